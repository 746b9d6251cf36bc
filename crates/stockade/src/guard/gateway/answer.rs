//! What the gateway answers over HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use stockade_core::json::Json;
use stockade_core::judge::Cleared;
use stockade_core::message::{Id, Kind};
use stockade_core::session::META_LIMIT;

use super::super::Unrecorded;

/// A stream of encoded events.
pub type Events = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;

/// A response.
pub type Answer = Response<Body>;

/// The body of an answer.
pub type Body = Either<Full<Bytes>, StreamBody<Events>>;

/// The most events that are read before the head of an answer is sent.
const AHEAD_MAX: usize = 64;

/// No body.
pub fn nothing() -> Body {
    Either::Left(Full::default())
}

/// A status and nothing else.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(nothing());
    *answer.status_mut() = status;
    answer
}

/// A message.
pub fn json(status: StatusCode, bytes: Bytes) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(bytes)));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// A stream of events.
pub fn events(
    stream: impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static,
) -> Answer {
    const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
    let mut answer = Response::new(Either::Right(StreamBody::new(Box::pin(stream) as Events)));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    answer
}

/// An error that the guard itself gives.
pub fn error(id: Option<&Id>, code: i64, text: &str, status: StatusCode) -> Answer {
    let id = id.map_or(Value::Null, Id::to_value);
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": text } });
    json(status, Bytes::from(body.to_string()))
}

/// What is answered when the ledger takes no record.
pub fn unrecorded(id: Option<&Id>, unrecorded: &Unrecorded) -> Answer {
    error(id, -32603, &unrecorded.to_string(), StatusCode::SERVICE_UNAVAILABLE)
}

/// The same answer, which is a refusal of the guard's own, with when to try again, where it says so.
pub fn refused(mut answer: Answer, refusal: &Cleared) -> Answer {
    let limit = refusal.message().meta(META_LIMIT);
    let retry = limit.and_then(|it| it.get("retryAfter")).and_then(Json::i64);
    if let Some(seconds) = retry {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// The status that goes with a message of the modern era (2026-07-28, "Streamable HTTP › Sending
/// Messages"): 404 for an unknown method, 400 for what the request itself got wrong.
pub fn status_of(message: &Cleared) -> StatusCode {
    let message = message.message();
    if message.kind() != Kind::Error {
        return StatusCode::OK;
    }
    match message.get("code").and_then(|it| it.i64()) {
        Some(-32601) => StatusCode::NOT_FOUND,
        Some(-32700 | -32600 | -32602 | -32022..=-32020) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// An answer whose events were read until `enough` is true. They are still in it, to be sent.
///
/// What is said in the events of an answer is judged when they are read. Where the head of the
/// answer depends on it, some have to be read before the head is sent.
pub async fn read_ahead(answer: Answer, enough: impl Fn() -> bool, patience: Duration) -> Answer {
    let (head, body) = answer.into_parts();
    let Either::Right(mut rest) = body else { return Response::from_parts(head, body) };
    let mut first = Vec::new();
    let reading = async {
        while !enough() && first.len() < AHEAD_MAX {
            let Some(event) = rest.next().await else { break };
            first.push(event);
        }
    };
    // What was not read in time is not enough, which is for the caller to see.
    let _late = tokio::time::timeout(patience, reading).await;
    let whole = Box::pin(stream::iter(first).chain(rest)) as Events;
    Response::from_parts(head, Either::Right(StreamBody::new(whole)))
}

/// The messages in an answer, for a batch.
pub async fn messages(answer: Answer) -> Vec<Bytes> {
    let is_json = answer.headers().get(CONTENT_TYPE).is_some_and(|it| it == "application/json");
    let Ok(body) = answer.into_body().collect().await else { return Vec::new() };
    let bytes = body.to_bytes();
    match (is_json, bytes.is_empty()) {
        (_, true) => Vec::new(),
        (true, false) => vec![bytes],
        (false, false) => data(&bytes),
    }
}

/// The answers to the parts of a batch, in one piece.
pub fn batch(messages: &[Bytes]) -> Answer {
    if messages.is_empty() {
        return empty(StatusCode::ACCEPTED);
    }
    let whole = [b"[", &messages.join(&b","[..])[..], b"]"].concat();
    json(StatusCode::OK, Bytes::from(whole))
}

/// The data of events that this program encoded itself: one line each.
fn data(events: &Bytes) -> Vec<Bytes> {
    let lines = events.split(|it| *it == b'\n');
    lines
        .filter_map(|it| it.strip_prefix(b"data: "))
        .filter(|it| !it.is_empty())
        .map(|it| events.slice_ref(it))
        .collect()
}
