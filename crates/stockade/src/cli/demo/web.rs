//! A client over HTTP, in revision 2026-07-28, where a request describes itself and needs no
//! session. It can also send what no honest client would.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use stockade_wire::frame::{Frames as _, Limits, Lines};
use tokio::net::TcpStream;

use super::client::PATIENCE;
use super::scene::{Evidence, Trouble};
use super::stage::Stage;

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const REVISION: &str = "2026-07-28";

/// What differs from one request to read the note to the next.
#[derive(Debug)]
pub(super) struct Post {
    /// The tool that the header names. The body names `read_file`.
    pub(super) header: &'static str,
    /// The name that the guard is called by, where it is not its own.
    pub(super) host: Option<&'static str>,
    /// The web page that sends it.
    pub(super) origin: Option<&'static str>,
    /// Whether the key is sent.
    pub(super) key: bool,
}

/// A guard that listens.
#[derive(Debug)]
pub(super) struct Web {
    address: SocketAddr,
    key: String,
}

impl Web {
    /// Starts a guard that listens, and reads from its output where, and the key.
    pub(super) async fn start(stage: &mut Stage, address: SocketAddr) -> Result<Self, Trouble> {
        let child = stage.serve(address)?;
        let output = child.stdout.take().ok_or(Trouble::Ended)?;
        let mut lines = Lines::new(output, &Limits::default());
        let mut word = async |before: &str| {
            let next = tokio::time::timeout(PATIENCE, lines.next()).await;
            let line = next.map_err(|_| Trouble::Silent)??.ok_or(Trouble::Ended)?;
            let line = String::from_utf8_lossy(&line).into_owned();
            line.strip_prefix(before).map(str::to_owned).ok_or(Trouble::Hello(line))
        };
        let url = word("listening on http://").await?;
        let key = word("key ").await?;
        let address = url.trim_end_matches("/mcp").parse().map_err(|_| Trouble::Hello(url))?;
        Ok(Self { address, key })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Sends one request, over a connection of its own.
    pub(super) async fn post(&self, post: &Post) -> Result<Evidence, Trouble> {
        let asked = tokio::time::timeout(PATIENCE, self.ask(self.request(post)?)).await;
        asked.map_err(|_| Trouble::Silent)?
    }

    fn request(&self, post: &Post) -> Result<Request<Full<Bytes>>, Trouble> {
        let host = post.host.map_or_else(|| self.address.to_string(), str::to_owned);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/mcp")
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .header("mcp-protocol-version", REVISION)
            .header("mcp-method", "tools/call")
            .header("mcp-name", post.header);
        if post.key {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.key));
        }
        if let Some(origin) = post.origin {
            request = request.header(ORIGIN, origin);
        }
        Ok(request.body(Full::from(body().to_string()))?)
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Evidence, Trouble> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let carried = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(Trouble::Body)?.to_bytes();
        carried.abort();
        Ok(Evidence {
            got: String::from_utf8_lossy(&body).into_owned(),
            // A request that is turned away at the door is answered with nothing but the status.
            answer: serde_json::from_slice(&body).unwrap_or_default(),
            status: Some(status),
            ..Evidence::default()
        })
    }
}

fn body() -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": "read_file",
            "arguments": { "path": "notes.txt" },
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": REVISION,
                "io.modelcontextprotocol/clientInfo": {
                    "name": "stockade-demo", "version": env!("CARGO_PKG_VERSION"),
                },
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    })
}
