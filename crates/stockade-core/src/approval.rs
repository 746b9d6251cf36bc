//! What a person is asked, and what came of it: a call that the policy has nobody decide but a
//! person. Here is what both sides of the question must mean the same by; who is asked, and how, is
//! the binary's.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::json::Json;
use crate::message::Message;

/// What a person is asked about one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// The exchange, as the ledger has it. It is no credential.
    pub id: String,
    /// What is approved, and nothing else: see [`digest`].
    pub digest: String,
    /// Whose call it is: the name of the key or person, or `local`.
    pub principal: String,
    /// The server, by its name in the policy.
    pub server: String,
    /// What the client calls itself. It proves nothing.
    #[serde(default)]
    pub client: String,
    /// Who wants it done: `client` or `server`.
    pub from: String,
    /// The method.
    pub method: String,
    /// The tool.
    #[serde(default)]
    pub tool: Option<String>,
    /// blake3 of the tool's definition, where the server has listed it.
    #[serde(default)]
    pub tool_digest: Option<String>,
    /// All that would be sent, whole: the arguments of a tool, or the parameters of another method.
    pub arguments: Value,
    /// The same to the letter, where it has numbers that are no integers: what is shown of those may
    /// be rounded.
    #[serde(default)]
    pub verbatim: Option<String>,
    /// What would be sent beside the arguments of a tool.
    #[serde(default)]
    pub beside: Value,
    /// It is not what came in any more: the policy had it mended.
    #[serde(default)]
    pub mended: bool,
    /// Which rules ask, and where they stand.
    pub reasons: Vec<String>,
    /// What the checks saw, in a line each.
    #[serde(default)]
    pub findings: Vec<String>,
    /// What the server says about the tool. It may be a lie.
    #[serde(default)]
    pub claims: Claims,
    /// What the tool's schema calls its arguments, at most [`TAKES_MAX`] of them.
    #[serde(default)]
    pub takes: Vec<String>,
    /// The client can ask its person, and the policy takes its word for the answer.
    #[serde(default)]
    pub elicits: bool,
    /// How long there is for an answer, from when it was asked.
    pub expires_in_ms: u64,
}

/// So many names of arguments a question has.
pub const TAKES_MAX: usize = 256;

impl Question {
    /// Whether a call is of its tool and its arguments alone. What is said about a call (`_meta`) is
    /// no part of what is done.
    pub fn asks_no_more(&self) -> bool {
        self.beside.as_object().is_none_or(|it| it.keys().all(|name| name == "_meta"))
    }

    /// What of it can be changed by whoever allows it: what a server asks of a model, and what goes back
    /// to a server. Nothing that a call of a tool says: its arguments are the model's to choose.
    pub fn editable(&self) -> Option<&Value> {
        let is_text = self.method == "sampling/createMessage" || self.method.starts_with("answer ");
        let text = || is_text.then_some(&self.arguments);
        self.beside.get("inputResponses").or_else(text).filter(|it| it.is_object())
    }
}

/// What names a question of which somebody has changed what can be: it, and what stands there instead.
/// A guard that does not know of changes takes it for the name of another question.
pub fn edited_digest(digest: &str, to: &Value) -> String {
    let canonical = serde_json_canonicalizer::to_vec(&json!([digest, to])).unwrap_or_default();
    format!("edited:{}", blake3::hash(&canonical).to_hex())
}

/// What a server says about one of its tools: for whoever is asked, beside what is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// What it calls it.
    #[serde(default)]
    pub title: Option<String>,
    /// What it says that it does.
    #[serde(default)]
    pub description: Option<String>,
    /// Its annotations, as they are.
    #[serde(default)]
    pub annotations: Option<Value>,
}

/// So much is kept of what a server says about a tool; what is longer is cut, and says so.
const CLAIM_CHARS_MAX: usize = 1000;

impl Claims {
    /// Reads what is said of a tool.
    pub(crate) fn read(tool: Json<'_>) -> Self {
        let text = |name| tool.get(name).and_then(Json::str).map(cut);
        let annotations = tool.get("annotations").map(Json::to_value);
        let fits = |it: &Value| it.to_string().len() <= CLAIM_CHARS_MAX;
        let too_long = || Value::from("(too long to be shown)");
        let annotations = annotations.map(|it| if fits(&it) { it } else { too_long() });
        Self { title: text("title"), description: text("description"), annotations }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CLAIM_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => {
            let rest = text.len() - end;
            format!("{} (and {rest} bytes more)", text.get(..end).unwrap_or_default())
        }
    }
}

/// What somebody has said to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it may be done. Once.
    pub approved: bool,
    /// Who said so; nobody, where nobody was there to say it.
    pub approver: Option<String>,
    /// The way by which it came: `terminal`, for example.
    pub channel: Option<String>,
    /// Anything else, in words.
    #[serde(default)]
    pub says: String,
    /// What is to be sent in place of what [`Question::editable`] was.
    #[serde(default)]
    pub edited: Option<Value>,
}

impl Answer {
    /// What it must be an answer to, where `digest` is what was asked about.
    pub(crate) fn is_about(&self, digest: &str) -> String {
        self.edited.as_ref().map_or_else(|| digest.to_owned(), |to| edited_digest(digest, to))
    }

    /// Nobody has said anything, and why. That is a no.
    pub fn none(why: &str) -> Self {
        let (approver, channel, says) = (None, None, why.to_owned());
        Self { approved: false, approver, channel, says, edited: None }
    }
}

/// What is no part of what is done: it differs between two tries of one call, or only answers a
/// question.
const BESIDE: &[&str] = &["_meta", "inputResponses", "requestState"];

/// What names a request, whoever sends it again: blake3 over its method and its parameters in their
/// canonical form (RFC 8785).
pub fn digest(message: &Message) -> String {
    let params = message.body().map(Json::to_value).unwrap_or_default();
    let asked = without(params, BESIDE);
    let whole = json!([message.method().unwrap_or_default(), asked, verbatim(message)]);
    let canonical = serde_json_canonicalizer::to_vec(&whole).unwrap_or_default();
    blake3::hash(&canonical).to_hex().to_string()
}

/// How the names begin that the protocol keeps for itself.
const META: &str = "io.modelcontextprotocol/";

/// What is asked, to the letter, where two readers could see different numbers in it.
pub(crate) fn verbatim(message: &Message) -> Option<String> {
    #[derive(Deserialize)]
    struct Whole<'a> {
        #[serde(borrow)]
        params: HashMap<String, &'a RawValue>,
    }
    let params = message.body().filter(|_| message.method().is_some())?;
    let asked = params.fields().filter(|(name, _)| !BESIDE.contains(name));
    let is_rounded =
        |it: Json<'_>| it.f64().is_some_and(|float| it.i64().is_none() && float.is_finite());
    asked.flat_map(|(_, it)| it.all()).find(|it| is_rounded(*it))?;
    let whole: Whole<'_> = serde_json::from_slice(message.bytes()).ok()?;
    let mut asked: Vec<(&String, &&RawValue)> =
        whole.params.iter().filter(|(name, _)| !BESIDE.contains(&name.as_str())).collect();
    asked.sort_by_key(|(name, _)| *name);
    let lines = asked.iter().map(|(name, it)| format!("{name}: {}", it.get()));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// The arguments of a request, and what is beside them.
pub(crate) fn parts(message: &Message) -> (Value, Value) {
    let params = message.body().map(Json::to_value).unwrap_or_default();
    if message.method() != Some("tools/call") {
        return (params, Value::Null);
    }
    let arguments = params.get("arguments").cloned().unwrap_or_default();
    let mut beside = without(params, &["name", "arguments"]);
    if let Some(meta) = beside.get_mut("_meta").and_then(Value::as_object_mut) {
        // What the protocol itself has there says nothing about what is done.
        meta.retain(|name, _| name != "progressToken" && !name.starts_with(META));
        if meta.is_empty() {
            beside = without(beside, &["_meta"]);
        }
    }
    let is_empty = beside.as_object().is_none_or(serde_json::Map::is_empty);
    (arguments, if is_empty { Value::Null } else { beside })
}

fn without(mut object: Value, names: &[&str]) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.retain(|name, _| !names.contains(&name.as_str()));
    }
    object
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::json::Limits;
    use crate::message::Side;

    fn of(params: &str) -> String {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let message = Message::parse(Side::Client, Bytes::from(text), &Limits::default());
        digest(&message.unwrap())
    }

    #[test]
    fn a_digest_is_of_what_is_done_and_not_of_how_it_is_written() {
        let one = of(r#"{"name":"pay","arguments":{"to":"a","sum":1}}"#);
        assert_eq!(one, of(r#"{"arguments":{"sum":1,"to":"a"},"name":"pay","_meta":{"x":1}}"#));
        for other in [
            r#"{"name":"pay","arguments":{"to":"a","sum":2}}"#,
            r#"{"name":"pay","arguments":{"to":"b","sum":1}}"#,
            r#"{"name":"pay2","arguments":{"to":"a","sum":1}}"#,
            r#"{"name":"pay","arguments":{"to":"a","sum":1},"task":{}}"#,
            r#"{"name":"pay","arguments":{"to":"a","sum":1.0}}"#,
        ] {
            assert_ne!(one, of(other), "{other}");
        }
        // To a reader of doubles these are one number.
        let large = |it: &str| of(&format!(r#"{{"name":"pay","arguments":{{"sum":{it}}}}}"#));
        assert_ne!(large("100000000000000000001"), large("100000000000000000002"));
        assert_ne!(large("0.1"), large("0.10000000000000000001"));
    }
}
