//! Streamable HTTP and HTTP+SSE, as a client of a server that a test plays.

mod old;
mod requests;
mod resumed;
mod streams;

use bytes::Bytes;
use stockade_core::judge::Cleared;
use stockade_core::revision::Revision;
use stockade_wire::error::WireError;
use stockade_wire::events::Events;
use stockade_wire::frame::Frames;
use stockade_wire::http::client::HttpSession;
use stockade_wire::http::connection::{HttpOptions, HttpUpstream};
use stockade_wire::http::headers::SendHeaders;
use stockade_wire::sse::client::SseSession;
use stockade_wire::upstream::Reply;

use crate::web::{Connection, Server};
use crate::{Bad, Peer, Sends, cleared, contract, numbered, small, soon};

const JSON: &str = "Content-Type: application/json\r\n";
const CLOSE: &str = "Content-Type: application/json\r\nConnection: close\r\n";
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":0,"result":{}}"#;

fn upstream(server: &Server) -> HttpUpstream {
    let options = HttpOptions { limits: small(), ..HttpOptions::default() };
    HttpUpstream::new(&format!("{}/mcp", server.origin()), options).unwrap()
}

/// Sends `text`, which the server answers as told.
async fn ask(
    server: &Server,
    session: &HttpSession,
    text: &str,
    status: &str,
    headers: &str,
    body: &str,
) -> (Result<Reply, WireError>, crate::web::Request) {
    let message = cleared(text);
    let answered = server.answer(status, headers, body);
    soon(async { tokio::join!(session.send(&message, SendHeaders::NONE), answered) }).await
}

/// A session that the server knows as `secret-1`.
async fn initialized(server: &Server) -> HttpSession {
    let session = upstream(server).session();
    let headers = format!("{CLOSE}Mcp-Session-Id: secret-1\r\n");
    let (reply, request) = ask(server, &session, INITIALIZE, "200 OK", &headers, ANSWER).await;
    assert!(matches!(reply.unwrap(), Reply::Body { status: 200, bytes, .. } if bytes == ANSWER));
    assert_eq!(request.line, "POST /mcp HTTP/1.1\r\n");
    session.negotiated(Revision::V2025_11_25);
    session
}

/// A message sent, and the stream that the server answers with.
async fn streaming(server: &Server, session: &HttpSession) -> (Events, Connection) {
    let message = cleared(&numbered(1));
    let served = async {
        let mut connection = server.request().await;
        connection.begin("text/event-stream").await;
        connection
    };
    let sent = session.send(&message, SendHeaders::NONE);
    let (reply, connection) = soon(async { tokio::join!(sent, served) }).await;
    let Reply::Events(events) = reply.unwrap() else { panic!("no stream") };
    (events, connection)
}

// The suite.

struct Listening(Events);

impl Frames for Listening {
    async fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        Ok(self.0.next().await?.map(|it| it.data))
    }
}

struct EventPeer {
    server: Server,
    stream: Connection,
}

impl Peer for EventPeer {
    async fn says(&mut self, bytes: &[u8]) {
        self.stream.chunk(&[b"data: ", bytes, b"\n\n"].concat()).await;
    }

    async fn hears(&mut self) -> Option<Bytes> {
        Some(self.server.answer("202 Accepted", "", "").await.body)
    }

    async fn goes(mut self) {
        self.stream.end().await;
    }
}

impl Sends for HttpSession {
    async fn send(&mut self, message: &Cleared) -> Result<(), WireError> {
        let reply = Self::send(self, message, SendHeaders::NONE).await?;
        assert!(matches!(reply, Reply::Later), "{reply:?}");
        Ok(())
    }
}

impl Sends for SseSession {
    async fn send(&mut self, message: &Cleared) -> Result<(), WireError> {
        Self::send(self, message, SendHeaders::NONE).await
    }
}

/// A server that closes each connection, so that every request is one `accept`.
async fn streamable_link() -> (Listening, HttpSession, EventPeer) {
    let server = Server::start().await;
    let session = initialized(&server).await;
    let served = async {
        let mut stream = server.request().await;
        assert_eq!(stream.request.line, "GET /mcp HTTP/1.1\r\n");
        stream.begin("text/event-stream").await;
        stream
    };
    let (events, stream) = tokio::join!(session.listen(None, SendHeaders::NONE), served);
    (Listening(events.unwrap().unwrap()), session, EventPeer { server, stream })
}

async fn sse_link() -> (Listening, SseSession, EventPeer) {
    let server = Server::start().await;
    let upstream = upstream(&server);
    let served = async {
        let mut stream = server.request().await;
        assert_eq!(stream.request.line, "GET /mcp HTTP/1.1\r\n");
        stream.begin("text/event-stream; charset=utf-8").await;
        stream.chunk(b"event: endpoint\ndata: /post?session=secret\n\n").await;
        stream
    };
    let (opened, stream) = tokio::join!(SseSession::open(&upstream, SendHeaders::NONE), served);
    let (session, events) = opened.unwrap();
    (Listening(events), session, EventPeer { server, stream })
}

contract!(streamable, streamable_link(), Bad::Ends);
contract!(sse, sse_link(), Bad::Ends);
