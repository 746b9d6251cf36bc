//! What the rows are made with: a place for files, the two sides of the guard, and patience.
//! Nothing here knows what is claimed.

pub(crate) mod canary;
pub(crate) mod fake;
pub(crate) mod fake_http;
pub(crate) mod home;
pub(crate) mod http;
pub(crate) mod manager;
pub(crate) mod notifications;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod receiver;
pub(crate) mod tls;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use fake::{Script, Step, say, tool};
pub(crate) use fake_http::FakeHttp;
pub(crate) use home::{Fake, Home};
pub(crate) use http::{Connection, Gateway, Response};
pub(crate) use probe::Probe;

use serde_json::{Value, json};

/// How long anything may take that should happen. Nothing is slow because of it: what is awaited is
/// looked for again and again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The modern revision.
pub(crate) const MODERN: &str = "2026-07-28";
/// The last legacy revision.
pub(crate) const LEGACY: &str = "2025-11-25";

/// For rows that are about something else than how much passes.
pub(crate) const NO_LIMITS: &str = r#"
    [limits]
    calls_per_minute = 1000000
    calls_per_minute_per_tool = 1000000
    calls_burst = 100000
    calls_in_flight_max = 10000
    same_call_max = 1000000
"#;

/// Becomes a server or a client, when this binary was started as one.
pub(crate) fn play_a_part() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    match args.next()?.to_str()? {
        fake::ARG => Some(fake::play(args.next()?.as_ref())),
        probe::ARG => Some(probe::play(args)),
        _ => None,
    }
}

/// Waits until `found` has found something.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, found).unwrap_or_else(|| panic!("waited {PATIENCE:?} for {what}"))
}

/// What `found` finds in that time.
pub(crate) fn within<T>(time: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + time;
    loop {
        if let Some(it) = found() {
            return Some(it);
        }
        if Instant::now() > end {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A request.
pub(crate) fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

/// A call of a tool.
pub(crate) fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    request(id, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// The same request as the modern era has it: it says itself what it is.
pub(crate) fn modern(mut request: Value) -> Value {
    let meta = &mut request["params"]["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    meta["io.modelcontextprotocol/clientInfo"] = json!({ "name": "probe", "version": "1" });
    request
}

/// Whether a message says that its request did not pass: by an error, or by a result that is one.
pub(crate) fn is_refusal(message: &Value) -> bool {
    message.get("error").is_some() || message["result"]["isError"] == json!(true)
}

/// The text of a tool's result.
#[track_caller]
pub(crate) fn text(message: &Value) -> &str {
    message["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text in {message}"))
}
