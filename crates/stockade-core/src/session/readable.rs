//! Whether what a server asks can be read in one way: a client that reads more leniently than the
//! guard would ask its model or its person what nobody has judged. Such a message goes nowhere,
//! whatever the policy says.

use crate::json::Json;
use crate::message::{Kind, Message, refuse_variant};
use crate::revision::ELICITATION_REQUIRED;

/// What may be asked in `inputRequests` (2026-07-28, "Multi Round-Trip Requests").
const ASKS: &[&str] = &["sampling/createMessage", "elicitation/create", "roots/list"];

/// Names that decide what is asked. Who ignores case takes others for them.
const IN_RESULT: &[&str] = &["inputRequests", "requestState", "resultType"];
const IN_REQUEST: &[&str] = &["method", "params"];
const IN_ERROR: &[&str] = &["code", "data"];
const IN_DATA: &[&str] = &["elicitations"];

/// Why nobody can say what is asked in a message of a server, where that is so. `method` is that of
/// the message, or of the request that it answers.
pub(super) fn unreadable(message: &Message, method: &str) -> Option<&'static str> {
    let body = message.body();
    match message.kind() {
        Kind::Request if matches!(method, "sampling/createMessage" | "elicitation/create") => {
            question(method, body)
        }
        Kind::Request => None,
        Kind::Result | Kind::Notification => {
            let body = body?;
            if is_disguised(body, IN_RESULT) {
                return Some("a name that reads like `inputRequests`");
            }
            body.get("inputRequests").filter(|it| !it.is_null()).and_then(asked_back)
        }
        Kind::Error => wanted(body?),
    }
}

/// What is wrong with `inputRequests`.
fn asked_back(asks: Json<'_>) -> Option<&'static str> {
    if !asks.is_object() {
        return Some("`inputRequests` that is no map of requests");
    }
    asks.fields().find_map(|(_, ask)| {
        if !ask.is_object() || is_disguised(ask, IN_REQUEST) {
            return Some("something in `inputRequests` that is no request");
        }
        let method = ask.get("method").and_then(Json::str);
        match method.filter(|it| ASKS.contains(it)) {
            Some(method) => question(method, ask.get("params")),
            None => Some("a method in `inputRequests` that is none a client can be asked"),
        }
    })
}

/// What is wrong with what is asked.
fn question(method: &str, params: Option<Json<'_>>) -> Option<&'static str> {
    if method == "roots/list" {
        let is_odd = params.is_some_and(|it| !it.is_object() && !it.is_null());
        return is_odd.then_some("a question whose `params` are no object");
    }
    let Some(params) = params.filter(|it| it.is_object()) else {
        return Some("a question without `params`");
    };
    let mode = params.get("mode").filter(|_| method == "elicitation/create");
    let is_known = mode.is_none_or(|it| matches!(it.str(), Some("form" | "url")));
    (!is_known).then_some("a question in a mode that is neither `form` nor `url`")
}

/// What is wrong with an error: JSON-RPC 2.0 §5.1 has an integer as its code, and who compares numbers
/// takes `-32042.0` for that of [`ELICITATION_REQUIRED`].
fn wanted(error: Json<'_>) -> Option<&'static str> {
    let Some(code) = error.get("code").and_then(Json::i64) else {
        return Some("an error whose code is no integer");
    };
    if is_disguised(error, IN_ERROR) {
        return Some("a name that reads like `code`");
    }
    let data = error.get("data").filter(|it| !it.is_null() && code == ELICITATION_REQUIRED)?;
    let wanted = data.get("elicitations").filter(|it| it.is_array());
    let is_address = |it: Json<'_>| it.get("mode").and_then(Json::str) == Some("url");
    let is_read = wanted.is_some_and(|it| it.items().all(is_address));
    (!is_read || is_disguised(data, IN_DATA))
        .then_some("an error that wants addresses opened, and has no list of them")
}

/// Whether there is a name in it that a lenient reader takes for one of these.
fn is_disguised(json: Json<'_>, known: &[&str]) -> bool {
    json.fields().any(|(name, _)| refuse_variant(name, known).is_err())
}
