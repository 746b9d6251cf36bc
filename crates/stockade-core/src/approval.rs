//! What a person is asked, and what came of it: a call that the policy has nobody decide but a
//! person. Here is what both sides of the question must mean the same by; who is asked, and how, is
//! the binary's.

use std::collections::BTreeMap;

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
    /// What is approved, and nothing else: see [`Self::named`].
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
    /// What names what would be sent, and nothing else: blake3 over all of it that is shown, in its
    /// canonical form (RFC 8785). Whoever is shown a question can work it out again.
    pub fn named(&self) -> String {
        let (tool, verbatim) = (self.tool.as_deref(), self.verbatim.as_deref());
        name(&self.method, tool, &self.arguments, &self.beside, verbatim)
    }

    /// Whether another is this one: who reads the one has read the other, to the last line. Which
    /// exchange it is, and how long there is, are no part of that.
    pub fn is_same(&self, other: &Self) -> bool {
        // Most differ here already.
        self.digest == other.digest
            && *self
                == Self { id: self.id.clone(), expires_in_ms: self.expires_in_ms, ..other.clone() }
    }

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

/// What names something that would be sent.
pub(crate) fn name(
    method: &str,
    tool: Option<&str>,
    arguments: &Value,
    beside: &Value,
    verbatim: Option<&str>,
) -> String {
    let whole = json!([method, tool, spelled(arguments), spelled(beside), verbatim]);
    let canonical = serde_json_canonicalizer::to_vec(&whole).unwrap_or_default();
    blake3::hash(&canonical).to_hex().to_string()
}

/// A value without its numbers that are no integers: those are in what is shown to the letter, and
/// another reader of JSON may see their last digit otherwise.
fn spelled(value: &Value) -> Value {
    match value {
        Value::Number(it) if it.is_f64() => Value::Null,
        Value::Array(items) => items.iter().map(spelled).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, it)| (name.clone(), spelled(it))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// What names a request: see [`Question::named`].
pub fn digest(message: &Message) -> String {
    let (arguments, beside) = parts(message);
    let tool = message.get("name").filter(|_| is_call(message)).and_then(Json::str);
    let method = message.method().unwrap_or_default();
    name(method, tool, &arguments, &beside, verbatim(message).as_deref())
}

fn is_call(message: &Message) -> bool {
    message.method() == Some("tools/call")
}

/// What the protocol itself has in `_meta`, and says nothing about what is done. Anything else under
/// its prefix is somebody's words, and is shown.
const PROTOCOLS: &[&str] = &[
    "progressToken",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
];

/// What names a request in a trace ("_meta", W3C Trace Context), which is another each time.
const TRACES: &[&str] = &["traceparent", "tracestate", "baggage"];

/// What a client puts into a call that it makes again, to answer what it was asked.
const ANSWERS: &[&str] = &["_meta", "inputResponses", "requestState"];

/// Whether a call is one that was asked about, made again with an answer under `key`: nothing else of
/// it may be another, but what the protocol and a trace have there.
pub(crate) fn is_again(asked: &Message, again: &Message, key: &str) -> bool {
    let core = |it: &Message| {
        let params = it.body().map(Json::to_value).unwrap_or_default();
        (it.method().map(str::to_owned), without(params, ANSWERS), letters(it, ANSWERS))
    };
    let said = |it: &Message| {
        let meta = it.get("_meta").map(Json::to_value).unwrap_or_else(|| json!({}));
        without(meta, &[PROTOCOLS, TRACES].concat())
    };
    let answers = |it: &Message| it.get("inputResponses").map(Json::to_value);
    let others = answers(again).map(|it| without(it, &[key]));
    let is_kept = others.is_none_or(|it| is_empty(&it) || Some(it) == answers(asked));
    is_kept && core(asked) == core(again) && said(asked) == said(again)
}

fn is_empty(object: &Value) -> bool {
    object.as_object().is_some_and(serde_json::Map::is_empty)
}

/// What is asked, to the letter, where two readers could see different numbers in it.
pub(crate) fn verbatim(message: &Message) -> Option<String> {
    let is_protocols = |name: &str| PROTOCOLS.contains(&name);
    let meta = message.get("_meta");
    let is_said = meta.is_some_and(|it| it.fields().any(|(name, _)| !is_protocols(name)));
    letters(message, if is_said { &[] } else { &["_meta"] })
}

/// The same, but for some of the parameters.
fn letters(message: &Message, but: &[&str]) -> Option<String> {
    #[derive(Deserialize)]
    struct Whole<'a> {
        #[serde(borrow)]
        params: BTreeMap<String, &'a RawValue>,
    }
    let params = message.body().filter(|_| message.method().is_some())?;
    let asked = params.fields().filter(|(name, _)| !but.contains(name));
    asked.flat_map(|(_, it)| it.all()).find(|it| is_rounded(*it))?;
    let whole: Whole<'_> = serde_json::from_slice(message.bytes()).ok()?;
    let asked = whole.params.iter().filter(|(name, _)| !but.contains(&name.as_str()));
    let lines = asked.map(|(name, it)| format!("{name}: {}", compact(it)));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// Whether it is a number that is shown as another where it has more digits than a double.
pub(crate) fn is_rounded(it: Json<'_>) -> bool {
    it.f64().is_some_and(f64::is_finite) && it.i64().is_none()
}

/// JSON to the letter, but for what stands between its values: a hundred empty lines would have what
/// comes after them not be read.
pub(crate) fn compact(json: &RawValue) -> String {
    let text = json.get();
    let whole = match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str(text).map(|members: BTreeMap<String, &RawValue>| {
            let each = members.iter().map(|(name, it)| {
                let name = Value::from(name.as_str());
                format!("{name}:{}", compact(it))
            });
            format!("{{{}}}", each.collect::<Vec<_>>().join(","))
        }),
        Some(b'[') => serde_json::from_str(text).map(|items: Vec<&RawValue>| {
            let each = items.iter().map(|it| compact(it));
            format!("[{}]", each.collect::<Vec<_>>().join(","))
        }),
        Some(_) | None => return text.to_owned(),
    };
    whole.unwrap_or_else(|_| text.to_owned())
}

/// The arguments of a request, and what is beside them.
pub(crate) fn parts(message: &Message) -> (Value, Value) {
    let params = message.body().map(Json::to_value).unwrap_or_default();
    if !is_call(message) {
        return (params, Value::Null);
    }
    let arguments = params.get("arguments").cloned().unwrap_or_default();
    let mut beside = without(params, &["name", "arguments"]);
    if let Some(meta) = beside.get_mut("_meta").and_then(Value::as_object_mut) {
        meta.retain(|name, _| !PROTOCOLS.contains(&name.as_str()));
        if meta.is_empty() {
            beside = without(beside, &["_meta"]);
        }
    }
    let is_bare = is_empty(&beside);
    (arguments, if is_bare { Value::Null } else { beside })
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

    fn call(params: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        Message::parse(Side::Client, Bytes::from(text), &Limits::default()).unwrap()
    }

    fn of(params: &str) -> String {
        digest(&call(params))
    }

    #[test]
    fn a_digest_is_of_what_would_be_sent_and_not_of_how_it_is_written() {
        let one = of(r#"{"name":"pay","arguments":{"to":"a","sum":1}}"#);
        let tried = r#"{"arguments":{"sum":1,"to":"a"},"name":"pay","_meta":{"progressToken":1}}"#;
        assert_eq!(one, of(tried));
        for other in [
            r#"{"name":"pay","arguments":{"to":"a","sum":2}}"#,
            r#"{"name":"pay","arguments":{"to":"b","sum":1}}"#,
            r#"{"name":"pay2","arguments":{"to":"a","sum":1}}"#,
            r#"{"name":"pay","arguments":{"to":"a","sum":1},"task":{}}"#,
            r#"{"name":"pay","arguments":{"to":"a","sum":1.0}}"#,
            r#"{"name":"pay","arguments":{"to":"a","sum":1},"_meta":{"x":1}}"#,
            r#"{"name":"pay","arguments":{"to":"a","sum":1},"_meta":{"io.modelcontextprotocol/x":1}}"#,
            r#"{"name":"pay","arguments":{"to":"a","sum":1},"requestState":"s"}"#,
            r#"{"name":"pay","arguments":{"to":"a","sum":1},"inputResponses":{"a":{}}}"#,
        ] {
            assert_ne!(one, of(other), "{other}");
        }
        // To a reader of doubles these are one number.
        let large = |it: &str| of(&format!(r#"{{"name":"pay","arguments":{{"sum":{it}}}}}"#));
        assert_ne!(large("100000000000000000001"), large("100000000000000000002"));
        assert_ne!(large("0.1"), large("0.10000000000000000001"));
    }

    #[test]
    fn what_is_shown_to_the_letter_has_nothing_between_its_values() {
        let params =
            "{\"name\":\"pay\",\"arguments\":{\"b\" : 0.50 ,\n\n\"a\":[ 1,\t{ } ,\"x  y\"]\n\n\n}}";
        let letters = verbatim(&call(params)).unwrap();
        assert_eq!(letters, "arguments: {\"a\":[1,{},\"x  y\"],\"b\":0.50}\nname: \"pay\"");
    }

    #[test]
    fn a_call_that_comes_again_is_the_same_but_for_the_answer() {
        let asked = call(
            r#"{"name":"pay","arguments":{"to":"a"},"_meta":{"x":1,"progressToken":1,"traceparent":"a"}}"#,
        );
        let again = |rest: &str| {
            let text = format!(
                r#"{{"name":"pay","arguments":{{"to":"a"}},"requestState":"s","inputResponses":{{"k":{{}}}}{rest}}}"#
            );
            is_again(&asked, &call(&text), "k")
        };
        assert!(again(r#","_meta":{"x":1,"progressToken":2,"traceparent":"b"}"#));
        assert!(!again(r#","_meta":{"x":2}"#));
        assert!(!again(""));
        assert!(!again(r#","_meta":{"x":1},"task":{}"#));
        let others = r#"{"name":"pay","arguments":{"to":"a"},"_meta":{"x":1},"requestState":"s","inputResponses":{"k":{},"other":{}}}"#;
        assert!(!is_again(&asked, &call(others), "k"));
    }
}
