//! A JSON document read once and strictly, with views into it.
//!
//! `serde_json` does the parsing. What this adds is what a guard needs and a parser does not give:
//! names that occur twice are refused at any depth, there is a limit on everything, every string is
//! visited without a tree of allocations, and each place has a JSON pointer (RFC 6901). Text stays
//! where it is in the input: a [`Document`] holds the bytes and a list of nodes that point into
//! them, so the bytes that were judged are the bytes that are sent.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;

/// What a document may cost to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of the whole document in bytes.
    pub bytes_max: usize,
    /// How deep arrays and objects may nest. `serde_json` itself stops at 128.
    pub depth_max: usize,
    /// How many values and names there may be.
    pub nodes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 16 << 20, depth_max: 64, nodes_max: 500_000 }
    }
}

/// Why bytes are not a document that can be read in one way only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Longer than [`Limits::bytes_max`].
    #[error("{bytes} bytes are more than the limit of {bytes_max}")]
    TooLong {
        /// The length of the input.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Not UTF-8 (RFC 8259 §8.1).
    #[error("not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Where the first bad byte is.
        at: usize,
    },
    /// Not JSON, nested too deep, too many values, or a name that occurs twice.
    #[error("{0}")]
    Syntax(String),
}

/// A strictly read JSON document.
#[derive(Clone)]
pub struct Document {
    source: Bytes,
    /// The same bytes, once they are known to be UTF-8.
    text: ByteString,
    /// Strings that had escapes, as they read without them, one after the other.
    unescaped: String,
    nodes: Vec<Node>,
}

/// Text, either in the source or, when it had escapes, in `unescaped`.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    len: u32,
    escaped: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(Span),
    Array,
    Object,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    name: Option<Span>,
    kind: Kind,
    parent: u32,
    /// The first node that is no longer inside this one.
    end: u32,
}

impl Document {
    /// Reads `source` within `limits`.
    ///
    /// # Errors
    /// See [`JsonError`].
    pub fn parse(source: Bytes, limits: &Limits) -> Result<Self, JsonError> {
        let bytes = source.len();
        if bytes > limits.bytes_max || u32::try_from(bytes).is_err() {
            return Err(JsonError::TooLong { bytes, bytes_max: limits.bytes_max });
        }
        let text = ByteString::try_from(source.clone())
            .map_err(|it| JsonError::NotUtf8 { at: it.valid_up_to() })?;
        let mut tape = Tape {
            source: &text,
            limits: *limits,
            unescaped: String::new(),
            nodes: Vec::with_capacity(24.max(bytes / 48)),
        };
        let mut input = serde_json::Deserializer::from_str(&text);
        let syntax = |it: serde_json::Error| JsonError::Syntax(it.to_string());
        Seed { tape: &mut tape, name: None, parent: 0, depth: 0 }
            .deserialize(&mut input)
            .map_err(syntax)?;
        input.end().map_err(syntax)?;
        let Tape { unescaped, nodes, .. } = tape;
        Ok(Self { source, text, unescaped, nodes })
    }

    /// Bytes that nobody needs to look into again.
    pub(crate) fn closed(source: Bytes) -> Self {
        Self { source, text: ByteString::new(), unescaped: String::new(), nodes: Vec::new() }
    }

    /// Whether it is bytes that were not looked into.
    pub(crate) fn is_closed(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Reads a value that Stockade made itself.
    ///
    /// # Errors
    /// When the value exceeds the default limits.
    pub fn from_value(value: &Value) -> Result<Self, JsonError> {
        let limits = Limits { depth_max: 127, ..Limits::default() };
        Self::parse(Bytes::from(value.to_string()), &limits)
    }

    /// The bytes that were read.
    pub fn source(&self) -> &Bytes {
        &self.source
    }

    /// The outermost value.
    pub fn root(&self) -> Json<'_> {
        Json { document: self, at: 0 }
    }

    /// The same document with some values replaced or removed, read again.
    ///
    /// A removed element leaves its array or object without a gap.
    ///
    /// # Errors
    /// When the result is over a limit.
    pub fn edited(&self, edits: &[Edit], limits: &Limits) -> Result<Self, JsonError> {
        // Written again, such a number would be another one.
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        let inexact = |it: &Node| matches!(it.kind, Kind::Float(it) if it.abs() > EXACT_MAX);
        if self.nodes.iter().any(inexact) {
            return Err(JsonError::Syntax("a number that cannot be written again".to_owned()));
        }
        // Of two edits of one value, a removal holds, and then the first.
        let mut edits: Vec<&Edit> = edits.iter().collect();
        edits.sort_by_key(|it| (it.at, it.to.is_some()));
        edits.dedup_by_key(|it| it.at);
        let text = serde_json::to_vec(&Edited { json: self.root(), edits: &edits })
            .map_err(|it| JsonError::Syntax(it.to_string()))?;
        Self::parse(Bytes::from(text), limits)
    }

    fn text(&self, span: Span) -> &str {
        let (start, len) = (span.start as usize, span.len as usize);
        let whole: &str = if span.escaped { &self.unescaped } else { &self.text };
        whole.get(start..start + len).unwrap_or_default()
    }

    fn write_text(&self, span: Span, out: &mut Vec<u8>) {
        let text = self.text(span);
        if span.escaped {
            let _infallible = serde_json::to_writer(out, text);
            return;
        }
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }

    #[inline]
    fn node(&self, at: u32) -> &Node {
        static GONE: Node = Node { name: None, kind: Kind::Null, parent: 0, end: 0 };
        self.nodes.get(at as usize).unwrap_or(&GONE)
    }

    /// The value of a number, which was that of one of its values.
    pub(crate) fn at(&self, number: u32) -> Json<'_> {
        Json { document: self, at: number }
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.source))
    }
}

/// What to do with one value of a document: see [`Document::edited`].
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Which value: [`Json::number`].
    pub at: u32,
    /// What stands there instead; nothing, when it is to be removed.
    pub to: Option<Value>,
}

/// A value in a [`Document`].
#[derive(Clone, Copy)]
pub struct Json<'a> {
    document: &'a Document,
    at: u32,
}

impl<'a> Json<'a> {
    /// The number of this value in its document, in the order of the text.
    pub fn number(self) -> u32 {
        self.at
    }

    /// The value under `name`, of an object.
    pub fn get(self, name: &str) -> Option<Self> {
        let end = if self.is_object() { self.end() } else { 0 };
        // Most names differ in length already.
        let of_length = |it: &Self| {
            self.document.node(it.at).name.is_some_and(|it| it.len as usize == name.len())
        };
        self.children(end).filter(of_length).find(|it| it.name() == Some(name))
    }

    /// The value under each of `names` in turn.
    pub fn path(self, names: &[&str]) -> Option<Self> {
        names.iter().try_fold(self, |json, name| json.get(name))
    }

    /// The text, of a string.
    pub fn str(self) -> Option<&'a str> {
        let Kind::Text(span) = self.document.node(self.at).kind else { return None };
        Some(self.document.text(span))
    }

    /// The number, of an integer within `i64`.
    pub fn i64(self) -> Option<i64> {
        match self.document.node(self.at).kind {
            Kind::Signed(it) => Some(it),
            Kind::Unsigned(it) => i64::try_from(it).ok(),
            Kind::Null
            | Kind::Bool(_)
            | Kind::Float(_)
            | Kind::Text(_)
            | Kind::Array
            | Kind::Object => None,
        }
    }

    /// The number, of any number; large integers are rounded.
    pub fn f64(self) -> Option<f64> {
        match self.document.node(self.at).kind {
            #[expect(clippy::cast_precision_loss, reason = "a rounded number is what is asked for")]
            Kind::Signed(it) => Some(it as f64),
            #[expect(clippy::cast_precision_loss, reason = "a rounded number is what is asked for")]
            Kind::Unsigned(it) => Some(it as f64),
            Kind::Float(it) => Some(it),
            Kind::Null | Kind::Bool(_) | Kind::Text(_) | Kind::Array | Kind::Object => None,
        }
    }

    /// The truth value, of a boolean.
    pub fn bool(self) -> Option<bool> {
        let Kind::Bool(it) = self.document.node(self.at).kind else { return None };
        Some(it)
    }

    /// Whether this is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.document.node(self.at).kind, Kind::Null)
    }

    /// Whether this is an object.
    pub fn is_object(self) -> bool {
        matches!(self.document.node(self.at).kind, Kind::Object)
    }

    /// Whether this is an array.
    pub fn is_array(self) -> bool {
        matches!(self.document.node(self.at).kind, Kind::Array)
    }

    /// What is in it, of an array; nothing, of anything else.
    pub fn items(self) -> impl Iterator<Item = Self> + use<'a> {
        let end = if self.is_array() { self.end() } else { 0 };
        self.children(end)
    }

    /// Names and values, of an object; nothing, of anything else.
    pub fn fields(self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let end = if self.is_object() { self.end() } else { 0 };
        self.children(end).map(|it| (it.name().unwrap_or_default(), it))
    }

    /// The name it has in its object.
    pub fn name(self) -> Option<&'a str> {
        self.document.node(self.at).name.map(|it| self.document.text(it))
    }

    /// What it is in, if it is in anything.
    pub fn parent(self) -> Option<Self> {
        let at = self.document.node(self.at).parent;
        (self.at != 0).then_some(Self { document: self.document, at })
    }

    /// This value and everything in it, in the order of the text.
    pub fn all(self) -> impl Iterator<Item = Self> + use<'a> {
        (self.at..self.end()).map(move |at| Self { document: self.document, at })
    }

    /// Where it is, as a JSON pointer (RFC 6901).
    pub fn pointer(self) -> String {
        let mut steps = Vec::new();
        let mut at = self.at;
        while at != 0 {
            let node = self.document.node(at);
            let parent = Self { document: self.document, at: node.parent };
            steps.push(match node.name {
                Some(name) => self.document.text(name).replace('~', "~0").replace('/', "~1"),
                None => parent.items().take_while(|it| it.at < at).count().to_string(),
            });
            at = node.parent;
        }
        steps.iter().rev().fold(String::new(), |pointer, step| pointer + "/" + step)
    }

    /// The value at a JSON pointer that [`Self::pointer`] could have made.
    pub fn at_pointer(self, pointer: &str) -> Option<Self> {
        pointer.split('/').skip(1).try_fold(self, |json, step| match step.parse::<usize>() {
            Ok(n) if json.is_array() => json.items().nth(n),
            _ => json.get(&step.replace("~1", "/").replace("~0", "~")),
        })
    }

    /// Appends it as JSON without white space, the same as its [`Serialize`] writes. What had no
    /// escapes where it was read needs none, which is not looked for again.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let document = self.document;
        let (open, close) = match document.node(self.at).kind {
            Kind::Array => (b'[', b']'),
            Kind::Object => (b'{', b'}'),
            Kind::Text(span) => return document.write_text(span, out),
            Kind::Null | Kind::Bool(_) | Kind::Signed(_) | Kind::Unsigned(_) | Kind::Float(_) => {
                let _infallible = serde_json::to_writer(out, &self);
                return;
            }
        };
        out.push(open);
        for (number, value) in self.children(self.end()).enumerate() {
            if number > 0 {
                out.push(b',');
            }
            if let Some(name) = document.node(value.at).name {
                document.write_text(name, out);
                out.push(b':');
            }
            value.write(out);
        }
        out.push(close);
    }

    /// Whether `other` is this value or somewhere in it.
    pub fn contains(self, other: Self) -> bool {
        (self.at..self.end()).contains(&other.at)
    }

    /// Whether the value of this number is this value or somewhere in it.
    pub(crate) fn has(self, number: u32) -> bool {
        (self.at..self.end()).contains(&number)
    }

    /// A tree of its own.
    pub fn to_value(self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn end(self) -> u32 {
        self.document.node(self.at).end
    }

    fn children(self, end: u32) -> impl Iterator<Item = Self> + use<'a> {
        let first = Some(self.at + 1).filter(|it| *it < end);
        let document = self.document;
        std::iter::successors(first, move |at| Some(document.node(*at).end).filter(|it| *it < end))
            .map(move |at| Self { document, at })
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).unwrap_or_default())
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Edited { json: *self, edits: &[] }.serialize(serializer)
    }
}

/// A value as it is to be written, edits applied.
struct Edited<'a> {
    json: Json<'a>,
    /// By number, each once: there may be as many as values.
    edits: &'a [&'a Edit],
}

impl<'a> Edited<'a> {
    fn edit(&self, json: Json<'a>) -> Option<&'a Edit> {
        let found = self.edits.binary_search_by_key(&json.at, |it| it.at);
        found.ok().and_then(|at| self.edits.get(at).copied())
    }

    fn inner(&self, json: Json<'a>) -> Option<Self> {
        let gone = self.edit(json).is_some_and(|it| it.to.is_none());
        (!gone).then_some(Self { json, edits: self.edits })
    }
}

impl Serialize for Edited<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = self.json;
        if let Some(Edit { to: Some(to), .. }) = self.edit(json) {
            return to.serialize(serializer);
        }
        match json.document.node(json.at).kind {
            Kind::Null => serializer.serialize_unit(),
            Kind::Bool(it) => serializer.serialize_bool(it),
            Kind::Signed(it) => serializer.serialize_i64(it),
            Kind::Unsigned(it) => serializer.serialize_u64(it),
            Kind::Float(it) => serializer.serialize_f64(it),
            Kind::Text(span) => serializer.serialize_str(json.document.text(span)),
            Kind::Array => {
                let mut out = serializer.serialize_seq(None)?;
                for item in json.items().filter_map(|it| self.inner(it)) {
                    out.serialize_element(&item)?;
                }
                out.end()
            }
            Kind::Object => {
                let mut out = serializer.serialize_map(None)?;
                for (name, value) in json.fields() {
                    if let Some(value) = self.inner(value) {
                        out.serialize_entry(name, &value)?;
                    }
                }
                out.end()
            }
        }
    }
}

/// The document while it is read.
struct Tape<'s> {
    source: &'s str,
    limits: Limits,
    unescaped: String,
    nodes: Vec<Node>,
}

impl Tape<'_> {
    /// Text that lies in the source as it is.
    fn borrowed<E: serde::de::Error>(&self, text: &str) -> Result<Span, E> {
        let start = (text.as_ptr() as usize).wrapping_sub(self.source.as_ptr() as usize);
        self.span(start, text.len(), false)
    }

    /// Text that had escapes.
    fn unescaped<E: serde::de::Error>(&mut self, text: &str) -> Result<Span, E> {
        let start = self.unescaped.len();
        self.unescaped.push_str(text);
        self.span(start, text.len(), true)
    }

    fn span<E: serde::de::Error>(
        &self,
        start: usize,
        len: usize,
        escaped: bool,
    ) -> Result<Span, E> {
        match (u32::try_from(start), u32::try_from(len)) {
            (Ok(start), Ok(len)) => Ok(Span { start, len, escaped }),
            _ => Err(E::custom("too long")),
        }
    }

    fn text(&self, span: Span) -> &str {
        let whole = if span.escaped { self.unescaped.as_str() } else { self.source };
        let start = span.start as usize;
        whole.get(start..start + span.len as usize).unwrap_or_default()
    }

    fn push<E: serde::de::Error>(&mut self, node: Node) -> Result<u32, E> {
        let at = u32::try_from(self.nodes.len()).map_err(E::custom)?;
        if self.nodes.len() >= self.limits.nodes_max {
            return Err(E::custom(format!("more than {} values", self.limits.nodes_max)));
        }
        self.nodes.push(Node { end: at + 1, ..node });
        Ok(at)
    }

    fn close(&mut self, at: u32) {
        let end = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.end = end;
        }
    }
}

/// Reads one value onto the tape.
struct Seed<'t, 's> {
    tape: &'t mut Tape<'s>,
    name: Option<Span>,
    parent: u32,
    depth: usize,
}

impl Seed<'_, '_> {
    fn put<E: serde::de::Error>(&mut self, kind: Kind) -> Result<u32, E> {
        let (name, parent) = (self.name, self.parent);
        self.tape.push(Node { name, kind, parent, end: 0 })
    }

    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        let depth = self.depth + 1;
        let depth_max = self.tape.limits.depth_max;
        if depth > depth_max {
            return Err(E::custom(format!("nested deeper than {depth_max}")));
        }
        Ok(depth)
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E: serde::de::Error>(mut self) -> Result<(), E> {
        self.put(Kind::Null).map(drop)
    }
    fn visit_bool<E: serde::de::Error>(mut self, it: bool) -> Result<(), E> {
        self.put(Kind::Bool(it)).map(drop)
    }
    fn visit_i64<E: serde::de::Error>(mut self, it: i64) -> Result<(), E> {
        self.put(Kind::Signed(it)).map(drop)
    }
    fn visit_u64<E: serde::de::Error>(mut self, it: u64) -> Result<(), E> {
        self.put(Kind::Unsigned(it)).map(drop)
    }
    fn visit_f64<E: serde::de::Error>(mut self, it: f64) -> Result<(), E> {
        self.put(Kind::Float(it)).map(drop)
    }
    fn visit_borrowed_str<E: serde::de::Error>(mut self, it: &'de str) -> Result<(), E> {
        let span = self.tape.borrowed(it)?;
        self.put(Kind::Text(span)).map(drop)
    }
    fn visit_str<E: serde::de::Error>(mut self, it: &str) -> Result<(), E> {
        let span = self.tape.unescaped(it)?;
        self.put(Kind::Text(span)).map(drop)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut input: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        let at = self.put(Kind::Array)?;
        let tape = self.tape;
        while input
            .next_element_seed(Seed { tape: &mut *tape, name: None, parent: at, depth })?
            .is_some()
        {}
        tape.close(at);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut input: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        let at = self.put(Kind::Object)?;
        let tape = self.tape;
        let mut names = Names::default();
        while let Some(name) = input.next_key_seed(Name { tape: &mut *tape })? {
            if !names.add(name, tape) {
                // Readers differ on which of two wins: CVE-2026-27896 and its kind.
                return Err(A::Error::custom("a name occurs twice in one object"));
            }
            input.next_value_seed(Seed {
                tape: &mut *tape,
                name: Some(name),
                parent: at,
                depth,
            })?;
        }
        tape.close(at);
        if !names.unique(tape) {
            return Err(A::Error::custom("a name occurs twice in one object"));
        }
        Ok(())
    }
}

/// Reads one name of an object.
struct Name<'t, 's> {
    tape: &'t mut Tape<'s>,
}

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = Span;
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Span, D::Error> {
        input.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_, '_> {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_borrowed_str<E: serde::de::Error>(self, it: &'de str) -> Result<Span, E> {
        self.tape.borrowed(it)
    }
    fn visit_str<E: serde::de::Error>(self, it: &str) -> Result<Span, E> {
        self.tape.unescaped(it)
    }
}

/// The names of one object so far. Few are compared with each other as they come, many are sorted
/// once at the end, so that a hostile object does not cost the square of its size.
#[derive(Default)]
struct Names {
    few: [Option<Span>; Self::FEW],
    count: usize,
    many: Vec<Span>,
}

impl Names {
    const FEW: usize = 12;

    /// False when the name is among the few already.
    fn add(&mut self, name: Span, tape: &Tape<'_>) -> bool {
        if self.count < Self::FEW {
            let same = |it: &Span| tape.text(*it) == tape.text(name);
            if self.few.iter().flatten().any(same) {
                return false;
            }
            if let Some(free) = self.few.get_mut(self.count) {
                *free = Some(name);
            }
        } else {
            if self.many.is_empty() {
                self.many.extend(self.few.iter().flatten());
            }
            self.many.push(name);
        }
        self.count += 1;
        true
    }

    fn unique(&mut self, tape: &Tape<'_>) -> bool {
        self.many.sort_unstable_by(|a, b| tape.text(*a).cmp(tape.text(*b)));
        self.many.array_windows().all(|[a, b]| tape.text(*a) != tape.text(*b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Document, JsonError> {
        Document::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default())
    }

    #[test]
    fn as_many_edits_as_values() {
        // With a look through all edits for each value this would take minutes.
        let many: Vec<String> = (0..60_000).map(|it| it.to_string()).collect();
        let source = Bytes::from(format!("[{}]", many.join(",")));
        let document = Document::parse(source, &Limits::default()).unwrap();
        let to = |at: u32| at.is_multiple_of(2).then(|| Value::from("x"));
        let edits: Vec<Edit> = (2..=60_000).rev().map(|at| Edit { at, to: to(at) }).collect();
        let edited = document.edited(&edits, &Limits::default()).unwrap();
        assert_eq!(edited.root().items().count(), 30_001);
        assert_eq!(edited.root().items().nth(30_000).and_then(Json::str), Some("x"));
    }

    #[test]
    fn it_is_appended_as_it_is_serialised() {
        let text = r#" {"a\"b":[1,-2,2.50,1e300,18446744073709551615,"x\ny\u00e9é\/\ud83d\ude00", true],
            "\u0007":{}, "é":[[],null,{"":"\u007f"}] } "#;
        let document = read(text).unwrap();
        for it in document.root().all() {
            let mut written = Vec::new();
            it.write(&mut written);
            assert_eq!(written, serde_json::to_vec(&it).unwrap());
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let many = (0..40).map(|n| format!("\"n{n}\":0")).collect::<Vec<_>>().join(",");
        for bad in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":[{"y":{"name":1,"b":2,"name":3}}]}"#,
            &format!("{{{many},\"n7\":1}}"),
            r#"{"a":1} x"#,
            r#"{"a":1}{"a":1}"#,
            "\u{feff}{}",
            r#""\ud800""#,
            "{\"a\":\"\u{1}\"}",
            "",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&format!("{{{many}}}")).is_ok());
        assert!(Document::parse(Bytes::from_static(b"\"\xff\""), &Limits::default()).is_err());
    }

    #[test]
    fn everything_has_a_limit() {
        let limits = Limits { bytes_max: 64, depth_max: 4, nodes_max: 8 };
        let parse = |text: &str| Document::parse(Bytes::copy_from_slice(text.as_bytes()), &limits);
        assert!(parse("[[[[]]]]").is_ok());
        assert!(parse("[[[[[]]]]]").is_err());
        assert!(parse("[1,2,3,4,5,6,7]").is_ok());
        assert!(parse("[1,2,3,4,5,6,7,8]").is_err());
        assert!(matches!(parse(&" ".repeat(65)), Err(JsonError::TooLong { .. })));
        assert!(read(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn views_reach_every_value() {
        let document = read(r#"{"a":{"b/c":[1,-2,2.5,"x\ny",null,true]},"~":""}"#).unwrap();
        let root = document.root();
        let items = root.path(&["a", "b/c"]).unwrap();
        assert_eq!(items.items().count(), 6);
        assert_eq!(items.items().nth(1).and_then(Json::i64), Some(-2));
        assert_eq!(items.items().nth(2).and_then(Json::f64), Some(2.5));
        assert_eq!(items.items().nth(3).and_then(Json::str), Some("x\ny"));
        assert!(items.items().nth(4).unwrap().is_null());
        assert_eq!(items.items().nth(5).and_then(Json::bool), Some(true));
        for it in root.all() {
            let found = root.at_pointer(&it.pointer()).unwrap();
            assert_eq!(found.number(), it.number(), "{}", it.pointer());
        }
        assert_eq!(root.get("~").unwrap().pointer(), "/~0");
        let again: Value = serde_json::from_slice(document.source()).unwrap();
        assert_eq!(root.to_value(), again);
    }

    #[test]
    fn edits_replace_and_remove() {
        let document = read(r#"{"z":[1,2,3],"a":"b","n":18446744073709551615}"#).unwrap();
        let root = document.root();
        let second = root.get("z").unwrap().items().nth(1).unwrap().number();
        let edits = [
            Edit { at: second, to: None },
            Edit { at: root.get("a").unwrap().number(), to: Some("c".into()) },
        ];
        let edited = document.edited(&edits, &Limits::default()).unwrap();
        assert_eq!(&edited.source()[..], br#"{"z":[1,3],"a":"c","n":18446744073709551615}"#);
    }
}
