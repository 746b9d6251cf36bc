//! The server on Streamable HTTP. Loopback only, and only for requests that were meant for it: a
//! web page whose name was rebound to this machine sends the wrong `Host`, one that just tries
//! sends the wrong `Origin`.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, SessionConfig};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;

use crate::server::Server;
use crate::{REQUEST_BYTES_MAX, ServerError};

pub(crate) async fn serve(listener: TcpListener, server: Server) -> Result<(), ServerError> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(ServerError::NotLoopback { address });
    }
    let port = address.port();
    let names = ["localhost", "127.0.0.1", "[::1]"].map(|it| format!("{it}:{port}"));
    let config = StreamableHttpServerConfig::default()
        .with_allowed_origins(names.iter().map(|it| format!("http://{it}")))
        .with_allowed_hosts(names)
        .enforce_origin_validation()
        .with_max_request_body_bytes(REQUEST_BYTES_MAX);

    let mut sessions = SessionConfig::default();
    sessions.keep_alive = Some(SESSION_IDLE_MAX);
    let mut manager = LocalSessionManager::default();
    manager.session_config = sessions;

    let factory = move || Ok(server.for_session());
    let service = StreamableHttpService::new(factory, Arc::new(manager), config);
    let router = axum::Router::new().route_service("/mcp", service);
    writeln!(std::io::stderr(), "listening on http://{address}/mcp")?;
    axum::serve(listener, router).await?;
    Ok(())
}

const SESSION_IDLE_MAX: Duration = Duration::from_secs(300);
