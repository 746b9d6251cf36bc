//! One record as one line, and how it is bound to the line before it. Pure: bytes in, bytes out.
//!
//! A line is `{"seq":N,"at":"…","prev":"…",FIELDS,"hash":"…"}`. The hash is BLAKE3 over the exact
//! bytes before `,"hash"`; `prev` is the hash of the record before.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;

use blake3::Hash;
use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};

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

/// The inside of a JSON object, known to be one line without reserved names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(&'a str);

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

impl<'a> Fields<'a> {
    pub(crate) fn parse(object: &'a [u8]) -> Result<Self, FieldsError> {
        if object.len() > RECORD_BYTES_MAX {
            return Err(FieldsError::TooLong(object.len()));
        }
        // Within a string JSON forbids these; between tokens it allows line breaks, and one would
        // make two lines of one record.
        if let Some(at) = object.iter().position(|it| *it < b' ') {
            return Err(FieldsError::ControlCharacter(at));
        }
        let text = std::str::from_utf8(object).map_err(|_| FieldsError::NotAnObject)?;
        let inside = text
            .strip_prefix('{')
            .and_then(|it| it.strip_suffix('}'))
            .ok_or(FieldsError::NotAnObject)?;
        let mut names = Names { reserved: None };
        let mut json = serde_json::Deserializer::from_str(text);
        let read = json.deserialize_map(&mut names).and_then(|()| json.end());
        match (read, names.reserved) {
            (_, Some(name)) => Err(FieldsError::Reserved(name)),
            (Err(_), None) => Err(FieldsError::NotAnObject),
            (Ok(()), None) => Ok(Self(inside.trim_matches(' '))),
        }
    }
}

/// Walks the names of an object and stops at a reserved one, however it is escaped.
struct Names {
    reserved: Option<&'static str>,
}

impl<'de> Visitor<'de> for &mut Names {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            self.reserved = RESERVED.into_iter().find(|it| *it == name);
            if self.reserved.is_some() {
                return Err(A::Error::custom("a reserved name"));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Borrowed where there is nothing to unescape; `Cow` alone would always be copied.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl End {
    pub(crate) fn after(prev: Hash) -> Self {
        Self { seq: 0, prev }
    }

    /// Writes the next record into `line`, without a line break. The chain moves on only when the
    /// caller says so, which is when the line is written.
    pub(crate) fn compose(&self, at_ms: u64, fields: Fields<'_>, line: &mut Vec<u8>) -> Link {
        line.clear();
        line.extend_from_slice(br#"{"seq":"#);
        let _infallible = write!(line, "{}", self.seq);
        line.extend_from_slice(br#","at":""#);
        clock::write(line, at_ms);
        line.extend_from_slice(br#"","prev":""#);
        line.extend_from_slice(self.prev.to_hex().as_bytes());
        line.push(b'"');
        if !fields.0.is_empty() {
            line.push(b',');
            line.extend_from_slice(fields.0.as_bytes());
        }
        let hash = blake3::hash(line);
        line.extend_from_slice(HASH_OPENS);
        line.extend_from_slice(hash.to_hex().as_bytes());
        line.extend_from_slice(HASH_CLOSES);
        Link { seq: self.seq, prev: self.prev, hash }
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

/// A hash from its digits. Lower case only: what can be written in two ways can be changed.
pub(crate) fn hash(digits: &[u8]) -> Option<Hash> {
    let hash = Hash::from_hex(digits).ok()?;
    (hash.to_hex().as_bytes() == digits).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_one_line_of_fields_is_refused() {
        for (bytes, expected) in [
            (&b""[..], FieldsError::NotAnObject),
            (b"[]", FieldsError::NotAnObject),
            (b"{", FieldsError::NotAnObject),
            (b"{\"a\":1},\"b\":{}", FieldsError::NotAnObject),
            (b"{\"a\":1}{\"b\":1}", FieldsError::NotAnObject),
            (b"{\"a\":\"\xff\"}", FieldsError::NotAnObject),
            (b"{\"a\":\n1}", FieldsError::ControlCharacter(5)),
            (b"{\"a\":\"\x1b\"}", FieldsError::ControlCharacter(6)),
            (b"{\"a\":1}\n", FieldsError::ControlCharacter(7)),
            (b"{\"a\":1,\"hash\":\"\"}", FieldsError::Reserved("hash")),
            (b"{\"\\u0073eq\":1}", FieldsError::Reserved("seq")),
            (b"{\"at\":1,", FieldsError::NotAnObject),
            (b"{\"prev\":1}", FieldsError::Reserved("prev")),
        ] {
            assert_eq!(Fields::parse(bytes).unwrap_err(), expected);
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(RECORD_BYTES_MAX));
        assert_eq!(Fields::parse(long.as_bytes()).unwrap_err(), FieldsError::TooLong(long.len()));
    }

    #[test]
    fn a_line_is_read_back_as_it_was_composed() {
        for fields in ["{}", "{ }", r#"{"a":1}"#, r#"{"a":{"seq":1},"b":"\r\n"}"#] {
            let mut end = End::after(GENESIS);
            let mut line = Vec::new();
            for seq in 0..3 {
                let fields = Fields::parse(fields.as_bytes()).unwrap();
                let link = end.compose(seq, fields, &mut line);
                assert!(serde_json::from_slice::<serde_json::Value>(&line).is_ok());
                assert_eq!(Link::read(&line), Some(link));
                assert!(end.accepts(&link));
                end.advance(&link);
            }
            assert_eq!(end.seq, 3);
        }
    }

    #[test]
    fn no_byte_of_a_line_can_change() {
        let mut line = Vec::new();
        let fields = Fields::parse(br#"{"tool":"read_file"}"#).unwrap();
        End::after(GENESIS).compose(0, fields, &mut line);
        for at in 0..line.len() {
            let mut changed = line.clone();
            changed[at] ^= 0x20;
            assert_eq!(Link::read(&changed), None, "byte {at}");
        }
    }
}
