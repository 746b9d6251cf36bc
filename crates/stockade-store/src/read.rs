//! Reading: the records of all segments, in the order in which they happened. Reads what is there
//! and does not judge it; that is `verify`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::chain::Envelope;
use crate::error::Error;
use crate::files::{Dir, Line, Lines, Name};

/// How often a tail that follows looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A record as it is stored. Ordered by time, then segment, then number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// When it was written, RFC 3339 in UTC with milliseconds.
    pub at: String,
    /// The segment it is in.
    pub segment: String,
    /// Its number in the segment.
    pub seq: u64,
    /// The whole line: a JSON object.
    pub json: String,
}

impl Record {
    pub(crate) fn read(segment: &Name, line: &[u8]) -> Option<Self> {
        let envelope = Envelope::read(line)?;
        Some(Self {
            at: envelope.at.into_owned(),
            segment: segment.as_str().to_owned(),
            seq: envelope.seq,
            json: std::str::from_utf8(line).ok()?.to_owned(),
        })
    }
}

/// The last `n` records, oldest first, and with `follow` those that come after, without end.
pub fn tail(dir: impl AsRef<Path>, n: usize, follow: bool) -> Result<Tail, Error> {
    let mut tail = Tail {
        dir: Dir::existing(dir.as_ref())?,
        follow,
        read: BTreeMap::new(),
        ready: VecDeque::new(),
    };
    tail.look(Some(n))?;
    Ok(tail)
}

/// The iterator that [`tail`] returns.
#[derive(Debug)]
pub struct Tail {
    dir: Dir,
    follow: bool,
    /// How far each segment was read.
    read: BTreeMap<Name, u64>,
    ready: VecDeque<Record>,
}

impl Tail {
    /// What has come since the last time, without waiting.
    pub fn fresh(&mut self) -> Result<Vec<Record>, Error> {
        if self.ready.is_empty() {
            self.look(None)?;
        }
        Ok(self.ready.drain(..).collect())
    }

    /// Reads on in every segment; in one that is new, the last lines only if the tail begins.
    fn look(&mut self, last: Option<usize>) -> Result<(), Error> {
        let mut found = BinaryHeap::new();
        for name in self.dir.segments()? {
            let read = self.read.get(&name).copied();
            if read.is_some_and(|it| self.dir.segment_bytes(&name) == Some(it)) {
                continue;
            }
            let Some(mut source) = Source::open(&self.dir, name.clone())? else { continue };
            match (read, last) {
                (Some(byte), _) => source.lines.seek(byte)?,
                (None, Some(n)) => source.lines.seek_last(n)?,
                (None, None) => {}
            }
            while let Some(record) = source.next()? {
                found.push(Reverse(record));
                if last.is_some_and(|it| found.len() > it) {
                    found.pop();
                }
            }
            self.read.insert(name, source.lines.byte());
        }
        let mut found: Vec<Record> = found.into_iter().map(|it| it.0).collect();
        found.sort_unstable();
        self.ready.extend(found);
        Ok(())
    }
}

impl Iterator for Tail {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Some(Ok(record));
            }
            if !self.follow {
                return None;
            }
            if let Err(error) = self.look(None) {
                self.follow = false;
                return Some(Err(error));
            }
            if self.ready.is_empty() {
                thread::sleep(LOOK_EVERY);
            }
        }
    }
}

/// The records of one segment.
#[derive(Debug)]
struct Source {
    name: Name,
    lines: Lines,
}

impl Source {
    /// Nothing, where the segment is no longer kept: it has gone since the directory was read.
    fn open(dir: &Dir, name: Name) -> Result<Option<Self>, Error> {
        match Lines::open(dir.segment(&name)) {
            Ok(lines) => Ok(Some(Self { name, lines })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next finished record.
    fn next(&mut self) -> Result<Option<Record>, Error> {
        let byte = self.lines.byte();
        let Some(Line::Whole(line)) = self.lines.next()? else {
            return Ok(None);
        };
        match Record::read(&self.name, line) {
            Some(record) => Ok(Some(record)),
            None => Err(Error::Damaged { segment: self.name.as_str().to_owned(), byte }),
        }
    }
}
