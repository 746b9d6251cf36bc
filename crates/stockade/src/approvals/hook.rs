//! Asks at an address of the user's own, by a webhook. A guard has no address that could be called, so
//! it is the guard that asks: what answers does so in the response, or names a place on the same host
//! that is asked again and again until the question has expired.
//!
//! An answer counts if whoever gave it has the secret: it is signed like the question is, under the
//! name that this question went by and no other has, over which call and which arguments it is about,
//! just now. Whatever else comes is no answer, and leaves the question to whoever else is asked.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;
use stockade_core::check::{clipped, visible};
use stockade_wire::error::WireError;
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use super::shown::in_full;
use super::{Given, Shown};
use crate::webhook::{Hook, ID, Name, SIGNATURE, TIMESTAMP};

/// How long an address may take to answer once. What takes a person longer is asked for again.
pub const ANSWER: Duration = Duration::from_secs(30);

/// An answer is short.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// A place that is longer is none.
const LOCATION_BYTES_MAX: usize = 2048;

/// How long is waited until it is asked again what came of a question, where nothing is said, and what
/// may be said.
const AGAIN_S: u64 = 2;
const AGAIN_MAX_S: u64 = 30;

/// How long is waited when an address was not reached, and at most. Each wait is twice the one before.
const WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(15);

/// So long is a name in an answer, in characters.
const BY_CHARS: usize = 80;

/// Hears that an address is not reached.
pub type Down<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// An answer, as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    /// What this is: the question is signed with the same secret, and must not be an answer.
    #[serde(rename = "type")]
    kind: Kind,
    /// Which question.
    id: String,
    /// And that it is the one that was asked.
    digest: String,
    decision: Says,
    /// Who has said so, as far as whoever answers knows.
    #[serde(default)]
    by: Option<String>,
}

#[derive(Debug, Deserialize)]
enum Kind {
    #[serde(rename = "stockade.approval.decision")]
    Decision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Says {
    Allow,
    Deny,
}

/// Asks, for as long as there is for an answer. Nothing, where that address answers nothing at all.
/// `down` hears why it was not reached, which is tried again.
///
/// # Errors
/// Why what came was no answer.
pub async fn ask(hook: &Hook, shown: &Shown, down: &Down<'_>) -> Result<Option<Given>, String> {
    let until = Instant::now() + Duration::from_millis(shown.left_ms);
    match timeout_at(until, asked(hook, shown, down)).await {
        Ok(answered) => answered,
        Err(_) => Ok(None),
    }
}

async fn asked(hook: &Hook, shown: &Shown, down: &Down<'_>) -> Result<Option<Given>, String> {
    let name = Name::new().map_err(|it| it.to_string())?;
    let body = question(shown);
    // Under one name it is one question, however often it is sent.
    let mut response = reached(down, || hook.post(&name, body.clone(), ANSWER_BYTES_MAX)).await?;
    let mut place = match response.status() {
        StatusCode::OK => return given(hook, &name, shown, &response).map(Some),
        StatusCode::ACCEPTED => place(hook, response.headers())?,
        StatusCode::NO_CONTENT => return Ok(None),
        other => return Err(format!("HTTP status {other}")),
    };
    loop {
        sleep(again(response.headers())).await;
        response = reached(down, || hook.get(&place, &name, ANSWER_BYTES_MAX)).await?;
        match response.status() {
            StatusCode::OK => return given(hook, &name, shown, &response).map(Some),
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT => {
                if response.headers().contains_key(LOCATION) {
                    place = self::place(hook, response.headers())?;
                }
            }
            other => return Err(format!("HTTP status {other}")),
        }
    }
}

/// What comes back, once something does: an address that is not reached, or says that it cannot now,
/// is asked again.
async fn reached<F>(down: &Down<'_>, send: impl Fn() -> F) -> Result<Response<Bytes>, String>
where
    F: Future<Output = Result<Response<Bytes>, WireError>>,
{
    let mut wait = WAIT;
    loop {
        let why = match send().await {
            Ok(response) => {
                let status = response.status();
                if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                    return Ok(response);
                }
                format!("HTTP status {status}")
            }
            Err(error @ WireError::FrameTooLong { .. }) => return Err(error.to_string()),
            Err(error) => error.in_full(),
        };
        down(&why);
        sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

fn question(shown: &Shown) -> Bytes {
    let now_ms = stockade_store::now_ms();
    let expires = stockade_store::time_text(now_ms.saturating_add(shown.left_ms));
    let body = json!({
        "type": "stockade.approval.question",
        "timestamp": stockade_store::time_text(now_ms),
        "data": {
            "id": shown.id,
            "digest": shown.asked.question.digest,
            "expires_at": expires,
            "text": in_full(shown),
            "question": shown.asked.question,
            "known": shown.asked.known,
        },
    });
    Bytes::from(body.to_string())
}

/// What an answer comes to, if it is one.
fn given(
    hook: &Hook,
    name: &Name,
    shown: &Shown,
    response: &Response<Bytes>,
) -> Result<Given, String> {
    let header = |it: &HeaderName| {
        let value = response.headers().get(it).and_then(|it| it.to_str().ok());
        value.ok_or_else(|| format!("it has no `{it}`"))
    };
    // Before it is read: nobody else's bytes are.
    let at_s = header(&TIMESTAMP)?.parse().map_err(|_| "its time is none".to_owned())?;
    let now_s = stockade_store::now_ms() / 1000;
    let verified =
        hook.key().verify(header(&ID)?, at_s, response.body(), header(&SIGNATURE)?, now_s);
    verified.map_err(|it| it.to_string())?;
    if header(&ID)? != name.as_str() {
        return Err("it answers another question".to_owned());
    }
    let read: Result<Decision, _> = serde_json::from_slice(response.body());
    let Decision { kind: Kind::Decision, id, digest, decision, by } =
        read.map_err(|_| "it is no decision".to_owned())?;
    if id != shown.id || digest != shown.asked.question.digest {
        return Err("it is about another call".to_owned());
    }
    let by = by.map(|it| visible(&clipped(&it, BY_CHARS)));
    let says = by.map(|it| format!("by `{it}`, as the webhook says"));
    Ok(Given {
        id,
        digest,
        times: 1,
        approved: decision == Says::Allow,
        grant: None,
        channel: "webhook".to_owned(),
        says: says.unwrap_or_default(),
    })
}

/// The place that is to be asked: of the same host, or the question would be somebody else's.
fn place(hook: &Hook, headers: &HeaderMap) -> Result<Uri, String> {
    let location = headers.get(LOCATION).and_then(|it| it.to_str().ok());
    let location = location.filter(|it| it.len() <= LOCATION_BYTES_MAX);
    let location = location.ok_or("it does not say where to ask (`Location`)")?;
    let asked = Url::parse(&hook.uri().to_string()).map_err(|it| it.to_string())?;
    let place = asked.join(location).map_err(|_| "where to ask is no URL".to_owned())?;
    if place.origin() != asked.origin() {
        return Err("it would have somebody else be asked".to_owned());
    }
    let path: &str = &place[url::Position::BeforePath..url::Position::AfterQuery];
    path.parse().map_err(|_| "where to ask is no URL".to_owned())
}

fn again(headers: &HeaderMap) -> Duration {
    let said = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.parse().ok());
    Duration::from_secs(said.unwrap_or(AGAIN_S).clamp(1, AGAIN_MAX_S))
}
