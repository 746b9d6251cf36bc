//! A server, whichever way it is reached: a message goes out, and this says where its answer comes.

use std::sync::Arc;

use bytes::Bytes;
use stockade_core::judge::Cleared;

use crate::error::WireError;
use crate::events::Events;
use crate::http::client::HttpSession;
use crate::http::headers::SendHeaders;
use crate::http::pool::Lease;
use crate::memory::MemoryWriter;
use crate::sse::client::SseSession;
use crate::stdio::SharedWriter;

/// Where the answer to a message comes.
#[derive(Debug)]
pub enum Reply {
    /// Not here: there is none, or it comes where all answers of this server come (standard
    /// output, the stream of HTTP+SSE). A server of Streamable HTTP that says so (202) to a request
    /// will not answer it.
    Later,
    /// In one piece, not yet read.
    Body {
        /// The HTTP status: a JSON-RPC error may come with 400 or 404.
        status: u16,
        /// The message.
        bytes: Bytes,
        /// The connection that it came over, to be settled if it is the answer.
        lease: Lease,
    },
    /// As the last message of a stream.
    Events(Events),
}

/// A way to send to a server, for many tasks at once.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// A program's standard input.
    Stdio(SharedWriter),
    /// A peer in this process.
    Memory(MemoryWriter),
    /// Streamable HTTP.
    Http(Arc<HttpSession>),
    /// HTTP+SSE, of 2024-11-05.
    Sse(Arc<SseSession>),
}

impl Upstream {
    /// Sends one message. `headers` are for HTTP.
    ///
    /// # Errors
    /// As the transport has it.
    pub async fn send(&self, message: &Cleared, headers: &SendHeaders) -> Result<Reply, WireError> {
        match self {
            Self::Stdio(it) => it.send(message).await.map(|()| Reply::Later),
            Self::Memory(it) => it.send(message).await.map(|()| Reply::Later),
            Self::Http(it) => it.send(message, headers).await,
            Self::Sse(it) => it.send(message, headers).await.map(|()| Reply::Later),
        }
    }
}
