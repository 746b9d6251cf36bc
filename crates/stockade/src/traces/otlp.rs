//! Spans as OTLP over HTTP has them, in JSON: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>, and
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding> for how it is written. What they
//! are called is said in the semantic conventions for MCP.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};
use stockade_core::check::{redacted, visible};
use stockade_core::record::Status;
use stockade_wire::error::WireError;
use stockade_wire::http::connection::{HttpOptions, HttpUpstream};

use super::Span;

/// How long it may take to be connected, and then to be answered.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(5);

/// So much of an answer is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// So often it is tried, and so long is waited before it is tried again, each time twice as long.
const TRIES_MAX: u32 = 3;
const WAIT: Duration = Duration::from_millis(500);

/// `SPAN_KIND_SERVER` and `STATUS_CODE_ERROR` of `opentelemetry/proto/trace/v1/trace.proto`.
const KIND: u8 = 2;
const ERROR: u8 = 2;

const AGENT: &str = concat!("stockade/", env!("CARGO_PKG_VERSION"));

/// Who collects spans.
#[derive(Debug)]
pub struct Collector {
    upstream: HttpUpstream,
    uri: Uri,
    server: String,
    is_down: bool,
}

/// What a collector answers that has not taken all of them.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    partial_success: Partial,
}

/// A number of 64 bits is a text in this JSON, and may be a number.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Partial {
    rejected_spans: Value,
}

impl Collector {
    /// The one at this address, for spans of a server by this name. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none, or the certificates that this machine trusts cannot be read.
    pub fn new(server: &str, endpoint: &str) -> Result<Self, WireError> {
        let options = HttpOptions {
            connect_timeout: CONNECT,
            answer_timeout: ANSWER,
            ..HttpOptions::default()
        };
        let upstream = HttpUpstream::new(endpoint, options)?;
        let uri = endpoint.parse().map_err(|_| WireError::Url("it cannot be read"))?;
        Ok(Self { upstream, uri, server: server.to_owned(), is_down: false })
    }

    /// Tells it of these. Answers how many of them are lost.
    pub async fn tell(&mut self, spans: &[Span]) -> usize {
        let body = Bytes::from(all(&self.server, spans).to_string());
        let mut wait = WAIT;
        for tried in 1..=TRIES_MAX {
            let (why, is_over) = match self.post(body.clone()).await {
                Ok((status, answer)) if status.is_success() => {
                    self.is_down = false;
                    return rejected(&answer).min(spans.len());
                }
                Ok((status, _)) => (format!("HTTP status {status}"), !may_be_tried(status)),
                Err(error) => (error.in_full(), false),
            };
            if is_over || tried == TRIES_MAX {
                self.say(&why);
                break;
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        spans.len()
    }

    async fn post(&self, body: Bytes) -> Result<(StatusCode, Bytes), WireError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let (uri, max) = (&self.uri, ANSWER_BYTES_MAX);
        let answer = self.upstream.tell(uri, headers, body, max).await?;
        Ok((answer.status(), answer.into_body()))
    }

    /// Says that it does not take spans, once until it does.
    fn say(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_down, true) {
            let (whose, why) = (self.upstream.authority(), visible(&redacted(why)));
            anstream::eprintln!("note: spans do not reach {whose}, and are lost: {why}");
        }
    }
}

/// Whether the standard has a client try again after this answer.
fn may_be_tried(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn rejected(answer: &[u8]) -> usize {
    // What is no such answer says that all were taken: the status did.
    let answer: Answer = serde_json::from_slice(answer).unwrap_or_default();
    let rejected = &answer.partial_success.rejected_spans;
    let number = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok());
    usize::try_from(number.unwrap_or_default()).unwrap_or(usize::MAX)
}

fn all(server: &str, spans: &[Span]) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        attribute("service.name", "stockade"),
        attribute("service.version", version),
        attribute("stockade.server", server),
    ];
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": "stockade", "version": version }, "spans": spans }],
    }] })
}

fn span(it: &Span) -> Value {
    let name = match &it.tool {
        Some(tool) => format!("tools/call {tool}"),
        None => "tools/call".to_owned(),
    };
    let mut attributes =
        vec![attribute("mcp.method.name", "tools/call"), attribute("stockade.call", &it.call)];
    let status = it.status.map(Status::name);
    for (name, value) in [
        ("gen_ai.tool.name", it.tool.as_deref()),
        ("mcp.protocol.version", it.revision),
        ("stockade.decision", it.decision),
        ("stockade.rule", it.rule.as_deref().filter(|it| !it.is_empty())),
        ("stockade.status", status),
    ] {
        attributes.extend(value.map(|value| attribute(name, value)));
    }
    let nanos = |ms: u64| u128::from(ms).saturating_mul(1_000_000).to_string();
    let is_error = it.status.is_none_or(|it| !matches!(it, Status::Ok | Status::Cancelled));
    let status = match is_error {
        true => json!({ "code": ERROR, "message": status.unwrap_or_default() }),
        false => json!({}),
    };
    json!({
        "traceId": format!("{:032x}", it.own.trace),
        "spanId": format!("{:016x}", it.own.span),
        "parentSpanId": it.parent.map(|it| format!("{it:016x}")).unwrap_or_default(),
        "name": name,
        "kind": KIND,
        "startTimeUnixNano": nanos(it.began_ms),
        "endTimeUnixNano": nanos(it.ended_ms),
        "attributes": attributes,
        "status": status,
    })
}

fn attribute(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}
