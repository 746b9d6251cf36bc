//! Every message that has passed, or has not: numbered, to the letter, on disk. In memory there is of each
//! only where it is and what a list is filtered by. The files have no name: they are gone with the process,
//! however it ends. What is more than [`BYTES_MAX`] is dropped from the front, and counted.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use memchr::memmem::Finder;
use serde_json::Value;
use serde_json::value::RawValue;

/// So much is kept, in files of that size, and so many messages.
const BYTES_MAX: u64 = 512 << 20;
const SEGMENT_BYTES: u64 = 64 << 20;
const MESSAGES_MAX: usize = 2_000_000;

/// So many names of methods are told apart in filters. A server can make up as many as it likes.
const METHODS_MAX: usize = 1000;

/// Of so many of the last it is known what went over HTTP.
const ATTACHED_MAX: usize = 2_000;

/// The messages.
#[derive(Debug)]
pub(super) struct History {
    directory: PathBuf,
    segments: VecDeque<Segment>,
    /// The number of the next.
    next: u64,
    dropped: u64,
    methods: HashMap<String, u16>,
    /// What went over HTTP for the last of them.
    attached: BTreeMap<u64, Value>,
}

#[derive(Debug)]
struct Segment {
    file: File,
    /// The number of its first.
    first: u64,
    bytes: u64,
    kept: Vec<Kept>,
}

/// Where a message is, in brief and whole, and what it is found by.
#[derive(Clone, Copy, Debug)]
struct Kept {
    offset: u64,
    whole: u32,
    brief: u32,
    server: u16,
    method: u16,
    marks: u8,
}

/// What a message is found by, beside its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks<'m> {
    pub(super) server: u16,
    pub(super) from: &'m str,
    pub(super) kind: &'m str,
    pub(super) method: &'m str,
    pub(super) found: bool,
    pub(super) violation: bool,
}

const KINDS: [&str; 6] = ["request", "result", "error", "notification", "batch", "garbled"];
const FROM: [&str; 3] = ["client", "server", "guard"];
const FOUND: u8 = 1 << 6;
const VIOLATION: u8 = 1 << 7;

/// Which messages are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) server: Option<u16>,
    pub(super) from: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) method: Option<String>,
    pub(super) text: Option<String>,
    pub(super) found: bool,
    pub(super) violation: bool,
}

/// Some of them.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) messages: Vec<Box<RawValue>>,
    /// Where to look on, if not all was looked at.
    pub(super) next: Option<u64>,
}

impl History {
    /// None yet; what is to come is kept in this directory.
    pub(super) fn in_directory(directory: PathBuf) -> Self {
        let (segments, methods, attached) = Default::default();
        Self { directory, segments, next: 1, dropped: 0, methods, attached }
    }

    /// Keeps a message, of which `told` says in brief and whole what it is, by its number. What cannot be
    /// kept is counted as dropped.
    pub(super) fn keep(
        &mut self,
        marks: &Marks<'_>,
        told: impl FnOnce(u64) -> (Value, Value),
    ) -> u64 {
        let number = self.next;
        let (brief, whole) = told(number);
        self.next += 1;
        if self.write(marks, &brief, &whole).is_err() {
            // There is no room: numbers go on, and what was kept before is still there.
            self.dropped += 1;
            self.forget(false);
        }
        number
    }

    fn write(&mut self, marks: &Marks<'_>, brief: &Value, whole: &Value) -> io::Result<()> {
        let (brief, whole) = (brief.to_string(), whole.to_string());
        let method = self.method(marks.method);
        let number = self.next - 1;
        if self.segments.back().is_none_or(|it| it.bytes >= SEGMENT_BYTES) {
            let file = tempfile::tempfile_in(&self.directory)?;
            self.segments.push_back(Segment { file, first: number, bytes: 0, kept: Vec::new() });
            let too_many = |all: &VecDeque<Segment>| {
                all.iter().map(|it| it.bytes).sum::<u64>() > BYTES_MAX - SEGMENT_BYTES
                    || all.iter().map(|it| it.kept.len()).sum::<usize>() > MESSAGES_MAX
            };
            while self.segments.len() > 1 && too_many(&self.segments) {
                let gone = self.segments.pop_front();
                self.dropped += gone.map_or(0, |it| it.kept.len() as u64);
            }
        }
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        let length = |it: &str| u32::try_from(it.len()).map_err(io::Error::other);
        let from = FROM.iter().position(|it| *it == marks.from).unwrap_or_default();
        let kind = KINDS.iter().position(|it| *it == marks.kind).unwrap_or(KINDS.len() - 1);
        let bits = u8::try_from(from | kind << 2).unwrap_or_default();
        let kept = Kept {
            offset: segment.bytes,
            whole: length(&whole)?,
            brief: length(&brief)?,
            server: marks.server,
            method,
            marks: bits
                | if marks.found { FOUND } else { 0 }
                | if marks.violation { VIOLATION } else { 0 },
        };
        let bytes = [brief, whole].concat();
        segment.file.write_all_at(bytes.as_bytes(), segment.bytes)?;
        segment.bytes += bytes.len() as u64;
        segment.kept.push(kept);
        Ok(())
    }

    /// The number that a method goes by; 0 for what is told apart from nothing.
    fn method(&mut self, name: &str) -> u16 {
        if let Some(it) = self.methods.get(name) {
            return *it;
        }
        let number = u16::try_from(self.methods.len() + 1).unwrap_or_default();
        if name.is_empty() || self.methods.len() >= METHODS_MAX {
            return 0;
        }
        self.methods.insert(name.to_owned(), number);
        number
    }

    /// The numbers that are there, and how many were dropped.
    pub(super) fn bounds(&self) -> (u64, u64, u64) {
        let first = self.segments.front().map_or(self.next, |it| it.first);
        (first, self.next - 1, self.dropped)
    }

    /// A message, whole.
    pub(super) fn whole(&self, number: u64) -> Option<Box<RawValue>> {
        let (segment, kept) = self.find(number)?;
        segment.read(kept.offset + u64::from(kept.brief), kept.whole)
    }

    /// Keeps what went over HTTP for a message.
    pub(super) fn attach(&mut self, number: u64, told: Value) {
        self.attached.insert(number, told);
        if self.attached.len() > ATTACHED_MAX {
            self.attached.pop_first();
        }
    }

    /// What went over HTTP for a message.
    pub(super) fn attached(&self, number: u64) -> Option<Value> {
        self.attached.get(&number).cloned()
    }

    fn find(&self, number: u64) -> Option<(&Segment, Kept)> {
        let segment = self.segments.iter().rev().find(|it| it.first <= number)?;
        let place = usize::try_from(number - segment.first).ok()?;
        Some((segment, *segment.kept.get(place)?))
    }

    /// Of the messages from `at` on, in one of the two directions, those that are wanted: at most `limit`,
    /// and no more than `looks` are looked at.
    pub(super) fn list(
        &self,
        filter: &Filter,
        (at, newest_first): (u64, bool),
        limit: usize,
        looks: usize,
        whole: bool,
    ) -> Part {
        let (first, last, _) = self.bounds();
        let mut part = Part::default();
        let method = filter.method.as_ref().map(|it| self.methods.get(it).copied());
        let needle = filter.text.as_deref().map(|it| {
            // It is looked for in JSON that has the message as a text in it.
            let written = Value::from(it).to_string().to_ascii_lowercase();
            written.trim_matches('"').to_owned()
        });
        let finder = needle.as_ref().map(|it| Finder::new(it.as_bytes()));
        let mut number = at;
        for _ in 0..looks {
            if number < first || number > last {
                return part;
            }
            if part.messages.len() >= limit {
                break;
            }
            let found = self.find(number).filter(|(_, it)| it.is_wanted(filter, method));
            if let Some((segment, kept)) = found {
                let at = kept.offset + u64::from(kept.brief);
                let has_text = || {
                    finder.as_ref().is_none_or(|finder| {
                        let bytes = segment.bytes(at, kept.whole).unwrap_or_default();
                        finder.find(&bytes.to_ascii_lowercase()).is_some()
                    })
                };
                if has_text() {
                    let read = match whole {
                        true => segment.read(at, kept.whole),
                        false => segment.read(kept.offset, kept.brief),
                    };
                    part.messages.extend(read);
                }
            }
            number = if newest_first { number - 1 } else { number + 1 };
        }
        part.next = (first..=last).contains(&number).then_some(number);
        part
    }

    /// Forgets them; if `all`, also that there were some before.
    pub(super) fn forget(&mut self, all: bool) {
        let there: u64 = self.segments.iter().map(|it| it.kept.len() as u64).sum();
        self.segments.clear();
        self.attached.clear();
        self.dropped = if all { 0 } else { self.dropped + there };
    }
}

impl Kept {
    fn is_wanted(&self, filter: &Filter, method: Option<Option<u16>>) -> bool {
        let named = |all: &[&'static str], bits: u8| all.get(usize::from(bits)).copied();
        let is = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|it| Some(it) == is)
        };
        filter.server.is_none_or(|it| it == self.server)
            && is(&filter.from, named(&FROM, self.marks & 0b11))
            && is(&filter.kind, named(&KINDS, (self.marks >> 2) & 0b111))
            && method.is_none_or(|it| it == Some(self.method))
            && (!filter.found || self.marks & FOUND != 0)
            && (!filter.violation || self.marks & VIOLATION != 0)
    }
}

impl Segment {
    fn bytes(&self, at: u64, length: u32) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        self.file.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    }

    fn read(&self, at: u64, length: u32) -> Option<Box<RawValue>> {
        let text = String::from_utf8(self.bytes(at, length)?).ok()?;
        RawValue::from_string(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keep(history: &mut History, server: u16, method: &str, text: &str) {
        let kind = if method.is_empty() { "result" } else { "request" };
        let found = text.contains("bad");
        let marks = Marks { server, from: "server", kind, method, found, violation: false };
        history.keep(&marks, |n| (json!({ "n": n }), json!({ "n": n, "text": text })));
    }

    fn numbers(part: &Part) -> Vec<u64> {
        let n = |it: &RawValue| serde_json::from_str::<Value>(it.get()).unwrap()["n"].as_u64();
        part.messages.iter().filter_map(|it| n(it)).collect()
    }

    #[test]
    fn messages_are_found_by_what_they_are_and_by_their_text() {
        let directory = tempfile::tempdir().unwrap();
        let mut history = History::in_directory(directory.path().to_owned());
        for n in 1..=100_u16 {
            let text = format!("{{\"name\":\"Tool {n}\"}}{}", if n == 70 { " bad" } else { "" });
            keep(&mut history, n % 2, if n % 10 == 0 { "tools/list" } else { "" }, &text);
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no file has a name");
        let list = |filter: &Filter, at, newest, limit| {
            let part = history.list(filter, (at, newest), limit, 1000, false);
            (numbers(&part), part.next)
        };
        let all = Filter::default();
        assert_eq!(list(&all, 100, true, 2), (vec![100, 99], Some(98)));
        assert_eq!(list(&all, 99, false, 5), (vec![99, 100], None));
        let filter = Filter { method: Some("tools/list".to_owned()), ..Filter::default() };
        assert_eq!(list(&filter, 100, true, 3), (vec![100, 90, 80], Some(79)));
        let filter = Filter { method: Some("none".to_owned()), ..Filter::default() };
        assert_eq!(list(&filter, 100, true, 3), (vec![], None));
        let filter =
            Filter { server: Some(1), kind: Some("result".to_owned()), ..Filter::default() };
        assert_eq!(list(&filter, 1, false, 2).0, [1, 3]);
        let filter = Filter { text: Some("\"NAME\":\"tool 42\"".to_owned()), ..Filter::default() };
        assert_eq!(list(&filter, 100, true, 10).0, [42]);
        let filter = Filter { found: true, ..Filter::default() };
        assert_eq!(list(&filter, 100, true, 10).0, [70]);
        let some = history.list(&all, (100, true), 1000, 10, true);
        assert_eq!((some.messages.len(), some.next), (10, Some(90)), "so many are looked at");
        assert!(history.whole(7).unwrap().get().contains("Tool 7"));
        assert!(history.whole(101).is_none() && history.whole(0).is_none());
    }

    #[test]
    fn what_is_too_much_is_dropped_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let mut history = History::in_directory(directory.path().to_owned());
        let long = "x".repeat(8 << 20);
        (0..80).for_each(|_| keep(&mut history, 0, "a", &long));
        let (first, last, dropped) = history.bounds();
        assert_eq!(last, 80);
        assert!(first > 1 && dropped == first - 1, "{first} {dropped}");
        assert!(history.whole(first - 1).is_none() && history.whole(first).is_some());
        let bytes: u64 = history.segments.iter().map(|it| it.bytes).sum();
        assert!(bytes <= BYTES_MAX, "{bytes}");
        history.forget(true);
        assert_eq!(history.bounds(), (81, 80, 0));
        keep(&mut history, 0, "a", "again");
        assert!(history.whole(81).is_some(), "numbers go on");
    }
}
