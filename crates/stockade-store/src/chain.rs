//! One record as one line, and how it is bound to the line before it. Pure: bytes in, bytes out.
//!
//! A line is `{"seq":N,"at":"…","prev":"…",FIELDS,"hash":"…"}`. The hash is BLAKE3 over the exact
//! bytes before `,"hash"`; `prev` is the hash of the record before. FIELDS are serialised into
//! their place, by a form that can write nothing but them ([`Fields`]).

use std::borrow::Cow;
use std::io::{self, Write};

use blake3::Hash;
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, Serializer};

use crate::clock;
use crate::error::FieldsError;

/// The most bytes that the fields of one record may have.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// The most bytes that any line of a ledger may have: the fields and what is put around them.
pub(crate) const LINE_BYTES_MAX: usize = RECORD_BYTES_MAX + 1024;

/// The names that only the ledger writes.
const RESERVED: [&str; 4] = ["seq", "at", "prev", "hash"];

const HASH_OPENS: &[u8] = br#","hash":""#;
const HASH_CLOSES: &[u8] = br#""}"#;
const HASH_DIGITS: usize = 64;

/// What comes before the first record of all.
pub(crate) const GENESIS: Hash = Hash::from_bytes([0; 32]);

/// A record's place in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) seq: u64,
    pub(crate) prev: Hash,
    pub(crate) hash: Hash,
}

/// The end of a chain: what the next record must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) seq: u64,
    pub(crate) prev: Hash,
}

/// What every line begins with.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<'a> {
    pub(crate) seq: u64,
    #[serde(borrow)]
    pub(crate) at: Cow<'a, str>,
    #[serde(borrow)]
    prev: Cow<'a, str>,
}

/// Writes the names and values of one object, each after a comma, and nothing else: no line break,
/// no name that is the ledger's own, and nothing that is a line end, or a command of a terminal, to
/// anyone. JSON itself escapes no more than the first 32 characters.
struct Fields<'a> {
    /// How many objects are open.
    depth: usize,
    in_name: bool,
    /// Why it is not a record. Until an object is begun, because it is not one.
    refused: &'a mut Option<FieldsError>,
}

impl Fields<'_> {
    fn refuse(&mut self, why: FieldsError) -> io::Result<()> {
        *self.refused = Some(why);
        Err(io::ErrorKind::InvalidInput.into())
    }
}

impl Formatter for Fields<'_> {
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        if self.depth > 1 {
            return writer.write_all(b"{");
        }
        *self.refused = None;
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.depth > 0 { writer.write_all(b"}") } else { Ok(()) }
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        match self.depth {
            0 => self.refuse(FieldsError::NotAnObject),
            _ => writer.write_all(b"["),
        }
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.in_name = true;
        if first && self.depth > 1 { Ok(()) } else { writer.write_all(b",") }
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.in_name = false;
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if self.in_name
            && self.depth == 1
            && let Some(name) = RESERVED.into_iter().find(|it| *it == fragment)
        {
            return self.refuse(FieldsError::Reserved(name));
        }
        // Without an early end, so that many bytes are compared at once.
        if fragment.bytes().fold(0, u8::max) < 0x7f {
            return writer.write_all(fragment.as_bytes());
        }
        let odd = |it: char| it.is_control() || matches!(it, '\u{2028}' | '\u{2029}');
        fragment.split_inclusive(odd).try_for_each(|part| {
            let last = part.chars().next_back().filter(|it| odd(*it));
            let plain = last.and_then(|it| part.strip_suffix(it)).unwrap_or(part);
            writer.write_all(plain.as_bytes())?;
            last.map_or(Ok(()), |it| write!(writer, "\\u{:04x}", u32::from(it)))
        })
    }

    /// What somebody else has written as JSON may have line breaks in it.
    fn write_raw_fragment<W: ?Sized + Write>(&mut self, _: &mut W, _: &str) -> io::Result<()> {
        self.refuse(FieldsError::Raw)
    }
}

impl End {
    pub(crate) fn after(prev: Hash) -> Self {
        Self { seq: 0, prev }
    }

    /// Adds the next record to `lines`, without a line break; nothing, if it is refused. The chain
    /// moves on only when the caller says so.
    pub(crate) fn compose(
        &self,
        at_ms: u64,
        record: &(impl Serialize + ?Sized),
        lines: &mut Vec<u8>,
    ) -> Result<Link, FieldsError> {
        let begin = lines.len();
        let composed = self.fill(at_ms, record, lines);
        let line = lines.get(begin..).unwrap_or_default();
        match composed {
            Ok(()) => {
                let hash = blake3::hash(line);
                lines.extend_from_slice(HASH_OPENS);
                digits(lines, &hash);
                lines.extend_from_slice(HASH_CLOSES);
                Ok(Link { seq: self.seq, prev: self.prev, hash })
            }
            Err(refused) => {
                lines.truncate(begin);
                Err(refused)
            }
        }
    }

    /// What is hashed.
    fn fill(
        &self,
        at_ms: u64,
        record: &(impl Serialize + ?Sized),
        lines: &mut Vec<u8>,
    ) -> Result<(), FieldsError> {
        lines.extend_from_slice(br#"{"seq":"#);
        let _infallible = write!(lines, "{}", self.seq);
        lines.extend_from_slice(br#","at":""#);
        clock::write(lines, at_ms);
        lines.extend_from_slice(br#"","prev":""#);
        digits(lines, &self.prev);
        lines.push(b'"');
        let before = lines.len();
        let mut refused = Some(FieldsError::NotAnObject);
        let fields = Fields { depth: 0, in_name: false, refused: &mut refused };
        let written = record.serialize(&mut Serializer::with_formatter(&mut *lines, fields));
        let bytes = lines.len() - before;
        match (refused, written) {
            (Some(refused), _) => Err(refused),
            (None, Err(_)) => Err(FieldsError::NotAnObject),
            (None, Ok(())) if bytes > RECORD_BYTES_MAX => Err(FieldsError::TooLong(bytes)),
            (None, Ok(())) => Ok(()),
        }
    }

    pub(crate) fn advance(&mut self, link: &Link) {
        *self = Self { seq: link.seq.saturating_add(1), prev: link.hash };
    }

    pub(crate) fn accepts(&self, link: &Link) -> bool {
        self.seq == link.seq && self.prev == link.prev
    }
}

impl Link {
    /// The link of a line, if the line is what its own hash says.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let tail = HASH_OPENS.len() + HASH_DIGITS + HASH_CLOSES.len();
        let (hashed, tail) = line.split_at_checked(line.len().checked_sub(tail)?)?;
        let digits = tail.strip_prefix(HASH_OPENS)?.strip_suffix(HASH_CLOSES)?;
        let hash = hash(digits)?;
        let envelope = Envelope::read(line)?;
        (blake3::hash(hashed) == hash).then_some(Self {
            seq: envelope.seq,
            prev: self::hash(envelope.prev.as_bytes())?,
            hash,
        })
    }
}

impl<'a> Envelope<'a> {
    pub(crate) fn read(line: &'a [u8]) -> Option<Self> {
        serde_json::from_str(std::str::from_utf8(line).ok()?).ok()
    }
}

/// Appends a hash as digits. By hand, because this is on the path of every record.
fn digits(out: &mut Vec<u8>, hash: &Hash) {
    let digit = |it: u8| if it < 10 { b'0' + it } else { b'a' - 10 + it };
    let mut digits = [[0; 2]; HASH_DIGITS / 2];
    for (pair, byte) in digits.iter_mut().zip(hash.as_bytes()) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    out.extend_from_slice(digits.as_flattened());
}

/// A hash from its digits. Lower case only: what can be written in two ways can be changed.
pub(crate) fn hash(digits: &[u8]) -> Option<Hash> {
    let hash = Hash::from_hex(digits).ok()?;
    (hash.to_hex().as_bytes() == digits).then_some(hash)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::*;

    fn compose(record: &Value) -> Result<String, FieldsError> {
        let mut lines = b"before".to_vec();
        let composed = End::after(GENESIS).compose(0, record, &mut lines);
        let lines = String::from_utf8(lines).unwrap();
        let line = lines.strip_prefix("before").unwrap();
        assert!(composed.is_ok() || line.is_empty(), "{line}");
        composed.map(|_| line.to_owned())
    }

    #[test]
    fn what_is_not_an_object_of_its_own_names_is_refused() {
        for (record, expected) in [
            (json!(null), FieldsError::NotAnObject),
            (json!(1), FieldsError::NotAnObject),
            (json!("a"), FieldsError::NotAnObject),
            (json!([]), FieldsError::NotAnObject),
            (json!([{ "a": 1 }]), FieldsError::NotAnObject),
            (json!({ "a": 1, "hash": "" }), FieldsError::Reserved("hash")),
            (json!({ "seq": 1 }), FieldsError::Reserved("seq")),
            (json!({ "at": {} }), FieldsError::Reserved("at")),
            (json!({ "z": {}, "prev": 1 }), FieldsError::Reserved("prev")),
        ] {
            assert_eq!(compose(&record).unwrap_err(), expected, "{record}");
        }
        let long = json!({ "a": "x".repeat(RECORD_BYTES_MAX) });
        assert_eq!(compose(&long).unwrap_err(), FieldsError::TooLong(RECORD_BYTES_MAX + 7));
        let raw = RawValue::from_string("{\n}".to_owned()).unwrap();
        let mut lines = Vec::new();
        let composed = End::after(GENESIS).compose(0, &BTreeMap::from([("a", raw)]), &mut lines);
        assert_eq!((composed, lines.len()), (Err(FieldsError::Raw), 0));
    }

    #[test]
    fn a_line_is_one_line_and_no_command_to_anyone() {
        let nasty = "\r\n\u{1b}[2J\u{2028}\u{2029}\u{85}\u{9b}\u{0}\u{7f}é\u{1f600}\",\"seq\":9";
        let line = compose(&json!({ "a": nasty, "b": { nasty: { "seq": [{ nasty: {} }, {}] } } }))
            .unwrap();
        let safe = |it: char| !it.is_control() && !matches!(it, '\u{2028}' | '\u{2029}');
        assert!(line.chars().all(safe), "{}", line.escape_debug());
        assert!(line.contains('é') && line.contains('\u{1f600}'), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["seq"], 0);
        assert_eq!(read["a"], nasty);
        assert_eq!(read["b"], json!({ nasty: { "seq": [{ nasty: {} }, {}] } }));
    }

    #[test]
    fn a_line_is_read_back_as_it_was_composed() {
        let records =
            [json!({}), json!({ "a": 1 }), json!({ "a": { "seq": 1, "x": {} }, "b": "\r\n" })];
        for record in records {
            let mut end = End::after(GENESIS);
            for seq in 0..3 {
                let mut line = Vec::new();
                let link = end.compose(seq, &record, &mut line).unwrap();
                assert!(serde_json::from_slice::<Value>(&line).is_ok());
                assert_eq!(Link::read(&line), Some(link));
                assert!(end.accepts(&link));
                end.advance(&link);
            }
            assert_eq!(end.seq, 3);
        }
    }

    #[test]
    fn no_byte_of_a_line_can_change() {
        let line = compose(&json!({ "tool": "read_file" })).unwrap();
        for at in 0..line.len() {
            let mut changed = line.clone().into_bytes();
            changed[at] ^= 0x20;
            assert_eq!(Link::read(&changed), None, "byte {at}");
        }
    }
}
