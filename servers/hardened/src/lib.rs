//! The reference MCP server: every kind of tool that goes wrong in practice, written the way
//! Stockade advises. It reads and writes files, asks a database, starts programs and asks the
//! user, and it is what `servers/vulnerable` is not.
//!
//! What to look at: a path becomes a [`stockade_kit::Root`]'s business before anything is opened
//! (`files`), SQL becomes a [`stockade_kit::query::ReadOnly`] and is judged by SQLite itself
//! (`database`), a command line is matched to a grammar
//! and never meets a shell (`program`), and an error has a public half and a private one
//! (`tell`). It speaks every revision that rmcp speaks, over stdio and Streamable HTTP.
//!
//! Not here: authentication. Over HTTP it binds loopback only, and a guard stands in front of it.

mod ask;
mod database;
mod files;
mod http;
mod options;
mod program;
mod prompts;
mod resources;
mod server;
mod tell;
mod tools;

use std::io;
use std::sync::Arc;

use rmcp::ServiceExt;
use rmcp::transport::async_rw::AsyncRwTransport;
use stockade_kit::Root;
use stockade_kit::root::RootError;
use thiserror::Error;
use tokio::net::TcpListener;

pub use options::{Options, OptionsError, start};

use database::Database;
use server::Server;

/// Why the server cannot start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The directory to serve cannot be opened.
    #[error("cannot open the root `{path}`")]
    Root {
        /// As it was given.
        path: String,
        /// What the system said.
        source: RootError,
    },
    /// The sample database cannot be made.
    #[error("cannot make the sample database")]
    Database(#[from] rusqlite::Error),
    /// Asked to listen where other machines can connect.
    #[error("will not listen on `{address}`: only loopback is allowed")]
    NotLoopback {
        /// Where it was asked to listen.
        address: std::net::SocketAddr,
    },
    /// The address cannot be listened on, or the connection broke.
    #[error("the transport failed")]
    Transport(#[from] io::Error),
    /// The client did not say hello as the protocol wants it.
    #[error("the session did not start")]
    Session(#[source] Box<rmcp::service::ServerInitializeError>),
    /// The session's task was lost.
    #[error("the session was lost")]
    Lost(#[from] tokio::task::JoinError),
}

/// Serves one client on standard input and output, until it hangs up.
pub async fn stdio(options: Options) -> Result<(), ServerError> {
    let server = open(&options)?;
    let (input, output) = rmcp::transport::stdio();
    let lines = AsyncRwTransport::new_server(input, output).with_max_line_length(REQUEST_BYTES_MAX);
    let session =
        server.serve(lines).await.map_err(|error| ServerError::Session(Box::new(error)))?;
    session.waiting().await?;
    Ok(())
}

/// Serves many clients on a loopback listener, and says so on standard error.
pub async fn http(listener: TcpListener, options: Options) -> Result<(), ServerError> {
    let server = open(&options)?;
    http::serve(listener, server).await
}

fn open(options: &Options) -> Result<Server, ServerError> {
    let root = Root::open_dir(&options.root)
        .map_err(|source| ServerError::Root { path: options.root.display().to_string(), source })?;
    Ok(Server::new(Arc::new(root), Arc::new(Database::sample()?)))
}

/// A request larger than this is a mistake or worse, on either transport.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
