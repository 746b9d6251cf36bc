//! The tools of the reference server, written the way courses warn against, and a few that lie.
//!
//! **For tests and teaching. Never deploy it**, and never give it a directory that matters: it
//! reads and writes whatever it is asked to, runs whatever it is sent, and tells everybody the
//! passwords it was made up with. Every mistake is on purpose and says so where it is made. The
//! secrets in it belong to nobody.
//!
//! It is the opposite of `servers/hardened`, which has the same tools under the same names, and it
//! is what a guard, a scanner and a sandbox are tried against. The tools that are honest (adding,
//! counting, listing) work, so that a guard that blocks everything is found out as well.

mod catalog;
mod mistakes;
pub mod probe;
mod server;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use rmcp::ServiceExt;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use thiserror::Error;
use tokio::net::TcpListener;

pub use hardened::Options;

use server::Server;

/// Why the server cannot start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Asked to listen where other machines can connect. This one mistake is not made.
    #[error("will not listen on `{address}`: only loopback is allowed")]
    NotLoopback {
        /// Where it was asked to listen.
        address: SocketAddr,
    },
    /// The tools or their database cannot be made.
    #[error("cannot make the tools")]
    Tools(#[source] Box<dyn std::error::Error + Send + Sync>),
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
    let session = Server::new(options.root)?
        .serve(rmcp::transport::stdio())
        .await
        .map_err(|error| ServerError::Session(Box::new(error)))?;
    session.waiting().await?;
    Ok(())
}

/// Serves many clients on a loopback listener, and says so on standard error. The mistake: `Host`
/// and `Origin` are not looked at, so that any web page in the user's browser is a client too.
pub async fn http(listener: TcpListener, options: Options) -> Result<(), ServerError> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(ServerError::NotLoopback { address });
    }
    let server = Server::new(options.root)?;
    let config = StreamableHttpServerConfig::default().disable_allowed_hosts();
    let manager = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(server.clone()), manager, config);
    let router = axum::Router::new().route_service("/mcp", service);
    writeln!(io::stderr(), "listening on http://{address}/mcp")?;
    axum::serve(listener, router).await?;
    Ok(())
}
