//! One MCP message, from any transport and any protocol revision.
//!
//! Read strictly: whatever two readers could read differently is refused here, so that the guard
//! and the server cannot disagree about what was said (CVE-2026-27896 and its kind). What is known
//! of the protocol beyond the JSON-RPC envelope is in [`crate::revision`] and [`crate::subject`].

use std::fmt;

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::check;
use crate::json::{Document, Edit, Json, JsonError, Limits};
use crate::revision::{META_SUBSCRIPTION, METHODS};
use crate::trace::Parent;

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The program that a person uses, with the model in it.
    Client,
    /// The program that offers tools.
    Server,
}

impl Side {
    /// Who it goes to.
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// `client` or `server`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// The id of a request. MCP allows strings and integers, and never `null` (specification, "Base
/// Protocol › Requests").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// An integer.
    Number(i64),
    /// A string.
    Text(String),
}

impl Id {
    /// Reads an id, of a JSON value that is one.
    pub fn read(json: Json<'_>) -> Option<Self> {
        json.i64().map(Self::Number).or_else(|| Some(Self::Text(json.str()?.to_owned())))
    }

    /// Whether it is a name and nothing more: no check looks at it.
    fn is_plain(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Text(it) => is_plain(it),
        }
    }

    /// The id as JSON.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Number(it) => Value::from(*it),
            Self::Text(it) => Value::from(it.as_str()),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_value(), f)
    }
}

/// What a message is to JSON-RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Has a method and an id, and waits for an answer.
    Request,
    /// Has a method, and nobody waits.
    Notification,
    /// Answers a request with a result.
    Result,
    /// Answers a request with an error, or says that a message could not be read.
    Error,
}

/// A JSON-RPC message and its sender.
#[derive(Clone)]
pub struct Message {
    from: Side,
    kind: Kind,
    id: Option<Id>,
    /// Where in the document `params`, `result` or `error` is: it is asked for by everyone.
    body: Option<u32>,
    document: Document,
    /// The trace that its transport says it is a part of.
    trace: Option<Box<str>>,
}

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The JSON-RPC error code: -32700 when it is no JSON, -32600 when it is no message.
    pub code: i64,
    /// What is wrong with it, for the record. Not for the peer: it may quote the input.
    pub says: String,
    /// The id, where it could be read and the sender waits for an answer.
    pub id: Option<Id>,
}

/// What came in one piece: a message, or, in revision 2025-03-26, an array of them.
#[derive(Clone, Debug)]
pub enum Frame {
    /// One message.
    One(Box<Message>),
    /// A batch, each part read by itself.
    Batch(Vec<Result<Message, Malformed>>),
}

/// Names at the top of a message. A name that a lenient reader would take for one of these, and a
/// strict reader would not, is refused.
pub(crate) const ENVELOPE: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];

/// The same for the names in `params` that decide what is done.
const PARAMS: &[&str] = &[
    "name",
    "arguments",
    "uri",
    "_meta",
    "ref",
    "argument",
    "requestId",
    "protocolVersion",
    "capabilities",
    "taskId",
    "inputResponses",
    "requestState",
    "messages",
    "requestedSchema",
];

/// No honest method or id is longer, in bytes.
const LABEL_BYTES_MAX: usize = 256;

impl Frame {
    /// Reads one piece of input.
    ///
    /// # Errors
    /// When it is not JSON that can be read in one way, or not a message.
    pub fn parse(from: Side, source: Bytes, limits: &Limits) -> Result<Self, Malformed> {
        let is_array = source.iter().find(|it| !it.is_ascii_whitespace()) == Some(&b'[');
        if !is_array {
            return Message::parse(from, source, limits).map(|it| Self::One(Box::new(it)));
        }
        // The whole is checked first: limits count for the array, not for each part of it.
        Document::parse(source.clone(), limits).map_err(Malformed::not_json)?;
        let parts: Vec<&RawValue> = serde_json::from_slice(&source).map_err(|it| Malformed {
            code: -32700,
            says: it.to_string(),
            id: None,
        })?;
        if parts.is_empty() {
            return Err(Malformed::not_a_message("an empty batch"));
        }
        let read =
            |it: &&RawValue| Message::parse(from, source.slice_ref(it.get().as_bytes()), limits);
        Ok(Self::Batch(parts.iter().map(read).collect()))
    }
}

impl Message {
    /// Reads one message.
    ///
    /// # Errors
    /// When it is not JSON that can be read in one way, or not a JSON-RPC 2.0 message.
    pub fn parse(from: Side, source: Bytes, limits: &Limits) -> Result<Self, Malformed> {
        Self::read(from, Document::parse(source, limits).map_err(Malformed::not_json)?)
    }

    /// A message that Stockade itself says in the place of `from`.
    ///
    /// # Errors
    /// When `value` is no message.
    pub(crate) fn own(from: Side, value: &Value) -> Result<Self, Malformed> {
        Self::read(from, Document::from_value(value).map_err(Malformed::not_json)?)
    }

    /// An answer whose inside was judged before: views into it find nothing.
    pub(crate) fn seen(from: Side, id: Id, source: Bytes) -> Self {
        let document = Document::closed(source);
        Self { from, kind: Kind::Result, id: Some(id), body: None, document, trace: None }
    }

    fn read(from: Side, document: Document) -> Result<Self, Malformed> {
        let root = document.root();
        let (mut jsonrpc, mut id, mut method) = (None, None, None);
        let (mut params, mut result, mut error) = (None, None, None);
        if !root.is_object() {
            return Err(Malformed::not_a_message("not an object"));
        }
        for (name, value) in root.fields() {
            match name {
                "jsonrpc" => jsonrpc = value.str(),
                "id" => id = Some(value),
                "method" => method = Some(value),
                "params" => params = Some(value),
                "result" => result = Some(value),
                "error" => error = Some(value),
                _ => refuse_variant(name, ENVELOPE)?,
            }
        }
        let known = id.and_then(Id::read).filter(Id::is_plain);
        // Whoever sends an answer does not wait for one: its id is that of the other side's request.
        let asks = result.is_none() && error.is_none();
        let asked = || known.clone().filter(|_| asks);
        let bad = |says: &str| Malformed { code: -32600, says: says.to_owned(), id: asked() };
        if jsonrpc != Some("2.0") {
            return Err(bad("`jsonrpc` is not \"2.0\""));
        }
        for object in [params, params.and_then(|it| it.get("_meta"))].into_iter().flatten() {
            for (name, _) in object.fields() {
                refuse_variant(name, PARAMS).map_err(|it| Malformed { id: asked(), ..it })?;
            }
        }
        let kind = match (method, result, error) {
            (Some(method), None, None) => {
                let Some(method) = method.str() else {
                    return Err(bad("`method` is not a string"));
                };
                if !is_plain(method) {
                    return Err(bad("`method` is too long, or has characters that nobody sees"));
                }
                refuse_variant(method.trim(), METHODS)
                    .and_then(|()| refuse_padded(method))
                    .map_err(|it| Malformed { id: asked(), ..it })?;
                if params.is_some_and(|it| !it.is_object() && !it.is_null()) {
                    return Err(bad("`params` is not an object"));
                }
                if id.is_some() { Kind::Request } else { Kind::Notification }
            }
            (None, Some(_), None) => Kind::Result,
            (None, None, Some(error)) if error.is_object() => Kind::Error,
            _ => return Err(bad("not exactly one of `method`, `result` and `error`")),
        };
        let id_missing = match kind {
            Kind::Request | Kind::Result => known.is_none(),
            // An error may answer what could not be read: JSON-RPC 2.0 §5, "id".
            Kind::Error => known.is_none() && !id.is_none_or(Json::is_null),
            Kind::Notification => false,
        };
        if id.and_then(Id::read).is_some_and(|it| !it.is_plain()) {
            return Err(bad("`id` is too long, or has characters that nobody sees"));
        }
        if id_missing {
            return Err(bad("`id` is not a string or an integer"));
        }
        let body = match kind {
            Kind::Request | Kind::Notification => params,
            Kind::Result => result,
            Kind::Error => error,
        };
        let body = body.map(Json::number);
        Ok(Self { from, kind, id: known, body, document, trace: None })
    }

    /// Who sent it.
    pub fn from(&self) -> Side {
        self.from
    }

    /// What it is to JSON-RPC.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its id, of a request or an answer.
    pub fn id(&self) -> Option<&Id> {
        self.id.as_ref()
    }

    /// Its method, of a request or a notification.
    pub fn method(&self) -> Option<&str> {
        self.root().get("method")?.str()
    }

    /// What it is about: `params`, `result` or `error`.
    pub fn body(&self) -> Option<Json<'_>> {
        self.body.map(|it| self.document.at(it))
    }

    /// A value under `params`, `result` or `error`.
    pub fn get(&self, name: &str) -> Option<Json<'_>> {
        self.body()?.get(name)
    }

    /// A value under `_meta` of `params` or `result`.
    pub fn meta(&self, name: &str) -> Option<Json<'_>> {
        self.get("_meta")?.get(name)
    }

    /// The same message, which came with this `traceparent` beside it. One that is in it goes before that.
    #[must_use]
    pub fn traced(self, parent: &str) -> Self {
        Self { trace: Some(parent.into()), ..self }
    }

    /// The trace that it is a part of, as it says it.
    pub fn trace(&self) -> Option<&str> {
        let inside = self.meta("traceparent").and_then(Json::str);
        inside.filter(|it| Parent::parse(it).is_some()).or(self.trace.as_deref())
    }

    /// The whole message.
    pub fn root(&self) -> Json<'_> {
        self.document.root()
    }

    /// The bytes that were read.
    pub fn bytes(&self) -> &Bytes {
        self.document.source()
    }

    /// The same message with `to` wherever it says `from` to name a request: as its id, its
    /// progress token, the request it cancels, or the subscription it belongs to.
    ///
    /// # Errors
    /// When the result is over a limit.
    pub fn renamed(&self, from: &Id, to: &Id) -> Result<Self, Malformed> {
        if self.document.is_closed() {
            let source = self.bytes().clone();
            return Self::parse(self.from, source, &Limits::default())?.renamed(from, to);
        }
        let body = self.body();
        let meta = body.and_then(|it| it.get("_meta"));
        let names = [
            self.root().get("id"),
            body.and_then(|it| it.get("requestId")),
            body.and_then(|it| it.get("progressToken")),
            meta.and_then(|it| it.get(META_SUBSCRIPTION)),
        ];
        let same = |it: &Json<'_>| Id::read(*it).as_ref() == Some(from);
        let mut edits: Vec<Edit> = names
            .into_iter()
            .flatten()
            .filter(same)
            .map(|it| Edit { at: it.number(), to: Some(to.to_value()) })
            .collect();
        // Whatever a client calls its progress, the name of the request is unique.
        let token = meta.and_then(|it| it.get("progressToken"));
        edits.extend(token.map(|it| Edit { at: it.number(), to: Some(to.to_value()) }));
        self.edited(&edits, &Limits::default())
    }

    /// An error that names no request, as the answer to the request `id`.
    ///
    /// # Errors
    /// When the result is over a limit.
    pub fn addressed(&self, id: &Id) -> Result<Self, Malformed> {
        let mut value = self.root().to_value();
        if let Some(message) = value.as_object_mut() {
            message.insert("id".to_owned(), id.to_value());
        }
        Self::own(self.from, &value)
    }

    pub(crate) fn edited(&self, edits: &[Edit], limits: &Limits) -> Result<Self, Malformed> {
        let document = self.document.edited(edits, limits).map_err(Malformed::not_json)?;
        Ok(Self { trace: self.trace.clone(), ..Self::read(self.from, document)? })
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}> {:?}", self.from.name(), self.document)
    }
}

impl Malformed {
    fn not_json(error: JsonError) -> Self {
        Self { code: -32700, says: error.to_string(), id: None }
    }

    fn not_a_message(says: &str) -> Self {
        Self { code: -32600, says: says.to_owned(), id: None }
    }
}

/// Refuses `name` when a reader that ignores case would take it for one of `known`.
pub(crate) fn refuse_variant(name: &str, known: &[&str]) -> Result<(), Malformed> {
    let variant = |it: &&&str| {
        let alike = if name.is_ascii() {
            it.eq_ignore_ascii_case(name)
        } else {
            folded(name).eq(it.chars().flat_map(char::to_lowercase))
        };
        alike && **it != name
    };
    match known.iter().find(variant) {
        Some(it) => Err(Malformed::not_a_message(&format!("a name that reads like `{it}`"))),
        None => Ok(()),
    }
}

/// Whether `label`, which no check looks at, can neither hide nor command anything.
fn is_plain(label: &str) -> bool {
    label.len() <= LABEL_BYTES_MAX && label.chars().all(check::is_seen)
}

/// Refuses white space around a method: who trims it is asked for another.
fn refuse_padded(method: &str) -> Result<(), Malformed> {
    if method.trim() == method {
        return Ok(());
    }
    Err(Malformed::not_a_message("a method with white space around it"))
}

/// Simple case folding, where `ſ` is an `s` and `K` (the Kelvin sign) a `k`, as in Go's
/// `encoding/json`.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Message, Malformed> {
        let source = Bytes::copy_from_slice(text.as_bytes());
        Message::parse(Side::Client, source, &Limits::default())
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bad in [
            r#"[]"#,
            r#"1"#,
            r#"{"jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            r#"{"id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":[],"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
            r#"{"jsonrpc":"2.0","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","paramſ":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","Name":"b"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"NAME":"b"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"taſkId":1}}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_trace_in_the_message_goes_before_the_one_beside_it_if_it_is_one() {
        let (inside, beside) = (
            "00-11111111111111111111111111111111-2222222222222222-00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        );
        for (said, trace) in [(inside, inside), ("bad", beside), ("", beside)] {
            let text = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"_meta":{{"traceparent":"{said}"}}}}}}"#
            );
            assert_eq!(read(&text).unwrap().traced(beside).trace(), Some(trace), "{said}");
        }
    }

    #[test]
    fn a_method_in_disguise_is_refused() {
        for method in METHODS {
            let upper = method.to_uppercase();
            for bad in [
                upper.as_str(),
                &method.replacen('s', "\u{17f}", 1),
                &format!(" {method}"),
                &format!("{method}\\n"),
                &format!("{method}\u{2003}"),
                &format!("{method}\\u200b"),
                &format!("{method}{}", "x".repeat(LABEL_BYTES_MAX)),
            ] {
                let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{bad}"}}"#);
                assert_eq!(read(&text).is_ok(), bad == *method, "{text}");
            }
        }
    }

    #[test]
    fn an_id_is_a_name_and_no_text() {
        let long = "x".repeat(LABEL_BYTES_MAX + 1);
        for bad in [r"a\u200b", r"a\u001b[31m", r"\u2028", r"\ufdd0", &long] {
            for rest in [r#""method":"x""#, r#""result":{}"#, r#""error":{}"#] {
                let text = format!(r#"{{"jsonrpc":"2.0","id":"{bad}",{rest}}}"#);
                let malformed = read(&text).unwrap_err();
                assert_eq!((malformed.code, malformed.id), (-32600, None), "{text}");
            }
        }
        for id in ["9b2f4e6a-93d1-4c0a-8f5e-0d3c2b1a4f5e", "listen:0", "", "ключ 1", "a/b#c=="]
        {
            let text = format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"x/own"}}"#);
            assert_eq!(read(&text).unwrap().id(), Some(&Id::Text(id.to_owned())));
        }
    }

    #[test]
    fn a_message_knows_what_it_is() {
        let kind = |text: &str| read(text).unwrap().kind();
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#), Kind::Request);
        assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"n","params":null}"#), Kind::Notification);
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":-1,"result":{"x-own":1}}"#), Kind::Result);
        let unread = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}"#;
        assert_eq!(kind(unread), Kind::Error);
    }

    #[test]
    fn the_parts_of_a_batch_are_read_one_by_one() {
        let text = r#" [{"jsonrpc":"2.0","id":1,"method":"ping"}, {"jsonrpc":"2.0","id":2}]"#;
        let source = Bytes::copy_from_slice(text.as_bytes());
        let frame = Frame::parse(Side::Client, source, &Limits::default()).unwrap();
        let Frame::Batch(parts) = frame else { panic!("{frame:?}") };
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].as_ref().unwrap().method(), Some("ping"));
        assert_eq!(parts[1].as_ref().unwrap_err().id, Some(Id::Number(2)));
    }
}
