//! `conformance-server [--listen ADDR]`: the fixture that the official conformance suite (npm
//! `@modelcontextprotocol/conformance`) is run against, directly and through the guard.
//!
//! The names of its tools, prompts and resources, and what they answer, are the suite's. It is no
//! example of anything: for that there is `servers/hardened`. Over HTTP it speaks every revision
//! that rmcp speaks, on loopback, with `Host` and `Origin` checked; without `--listen` it speaks
//! stdio.

mod catalog;
mod questions;
mod rounds;
mod server;
mod sessions;

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use rmcp::ServiceExt;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use thiserror::Error;
use tokio::net::TcpListener;

use server::Server;
use sessions::Sessions;

/// Why the fixture is not started.
#[derive(Debug, Error)]
enum UsageError {
    #[error("usage: conformance-server [--listen ADDR], not `{0}`")]
    Arguments(String),
    #[error("`{0}` is not an address like 127.0.0.1:8080")]
    Address(String),
    #[error("will not listen on `{0}`: only loopback is allowed")]
    NotLoopback(SocketAddr),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done if standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [] => {
            let session = Server::new()?.serve(rmcp::transport::stdio()).await?;
            session.waiting().await?;
            Ok(())
        }
        [option, address] if option == "--listen" => {
            let address = address.parse().map_err(|_| UsageError::Address(address.to_owned()))?;
            listen(address).await
        }
        other => Err(UsageError::Arguments(other.join(" ")).into()),
    }
}

async fn listen(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    if !address.ip().is_loopback() {
        return Err(UsageError::NotLoopback(address).into());
    }
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let port = address.port();
    let names = ["localhost", "127.0.0.1", "[::1]"].map(|it| format!("{it}:{port}"));
    let config = StreamableHttpServerConfig::default()
        .with_allowed_origins(names.iter().map(|it| format!("http://{it}")))
        .with_allowed_hosts(names)
        .enforce_origin_validation();
    let server = Server::new()?;
    let manager = Arc::new(Sessions::default());
    let service = StreamableHttpService::new(move || Ok(server.clone()), manager, config);
    let router = axum::Router::new().route_service("/mcp", service);
    writeln!(std::io::stderr(), "listening on http://{address}/mcp")?;
    axum::serve(listener, router).await?;
    Ok(())
}
