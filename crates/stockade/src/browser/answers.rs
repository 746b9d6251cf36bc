//! What is answered to a browser. Every answer says that nothing may keep it, frame it, or take it for
//! something else, and that no script runs in it but its own files.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use serde::de::DeserializeOwned;
use serde_json::{Value, json as value};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::edge::only;

type Lines = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;

/// An answer.
pub(crate) type Answer = Response<Either<Full<Bytes>, StreamBody<Lines>>>;

/// How long a body may take to come.
const BODY: Duration = Duration::from_secs(10);

/// What a page may do that says nothing else of it.
const CONTENT_SECURITY_POLICY: &str = "content-security-policy";

/// What goes with every answer.
const HEADERS: &[(&str, &str)] = &[
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src \
         'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("cache-control", "no-store"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), clipboard-read=()"),
];

fn answer(
    status: StatusCode,
    kind: &'static str,
    body: Either<Full<Bytes>, StreamBody<Lines>>,
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

fn whole(status: StatusCode, kind: &'static str, bytes: impl Into<Bytes>) -> Answer {
    answer(status, kind, Either::Left(Full::new(bytes.into())))
}

/// A part of the page.
pub(crate) fn file(kind: &'static str, bytes: impl Into<Bytes>) -> Answer {
    whole(StatusCode::OK, kind, bytes)
}

/// The same answer, of a page that may do what this policy says.
pub(crate) fn held_to(mut answer: Answer, policy: HeaderValue) -> Answer {
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}

/// A sentence, for whoever has no page that would show it.
pub(crate) fn says(status: StatusCode, text: &str) -> Answer {
    whole(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

/// Data.
pub(crate) fn json(it: &Value) -> Answer {
    data(StatusCode::OK, it)
}

/// Data, with another status.
pub(crate) fn data(status: StatusCode, it: &Value) -> Answer {
    whole(status, "application/json", it.to_string())
}

/// What came of it.
pub(crate) fn done(result: Result<String, String>) -> Answer {
    let (status, it) = match result {
        Ok(says) => (StatusCode::OK, value!({ "done": says })),
        Err(why) => (StatusCode::CONFLICT, value!({ "refused": why })),
    };
    whole(status, "application/json", it.to_string())
}

/// Lines, as they come.
pub(crate) fn stream(kind: &'static str, lines: mpsc::Receiver<Vec<u8>>) -> Answer {
    let next = |mut lines: mpsc::Receiver<Vec<u8>>| async move {
        let line = lines.recv().await?;
        Some((Ok(Frame::data(Bytes::from(line))), lines))
    };
    let lines = Box::pin(stream::unfold(lines, next)) as Lines;
    answer(StatusCode::OK, kind, Either::Right(StreamBody::new(lines)))
}

/// The body of a request, of at most so many bytes.
pub(crate) async fn read<T: DeserializeOwned>(
    request: Request<Incoming>,
    bytes_max: usize,
) -> Result<T, StatusCode> {
    let bytes = body(request, bytes_max).await?;
    serde_json::from_slice(&bytes).map_err(|_| StatusCode::BAD_REQUEST)
}

/// The same, to the letter.
pub(crate) async fn body(
    request: Request<Incoming>,
    bytes_max: usize,
) -> Result<Bytes, StatusCode> {
    let (head, body) = request.into_parts();
    let declared = only(&head.headers, &CONTENT_LENGTH).and_then(|it| it.parse().ok());
    if declared.is_some_and(|it: usize| it > bytes_max) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    match timeout(BODY, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}
