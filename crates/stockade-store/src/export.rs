//! Every record once, oldest first, for somebody elsewhere: verified while it is read, and from where
//! the last reading ended. A [`Cursor`] is that place. It has the hash of the last record that was read
//! of each segment, or of the last of those that are through. What was read of a segment that is still
//! written is held against it again when somebody begins to read; of those that are through, no more
//! than whether they are there, and as long as they were.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::chain::{self, End, Link};
use crate::clock;
use crate::error::Error;
use crate::files::{self, Dir, Line, Lines, Name};
use crate::manifest;
use crate::read::Record;
use crate::seal::{Checkpoint, PublicKey};
use crate::verify::{self, Anchor, Broken, Entry, Fault, Register, Stop};

/// So many bytes of records are returned at once, and one record more.
const BYTES_MAX: usize = 4 << 20;

/// So many losses are kept by name.
const LOST_MAX: usize = 100;

/// How far a ledger was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The public key of the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// So many of its first segments are through.
    #[serde(default)]
    through: usize,
    /// The hash of the last record of the last of them. Each segment begins with the end of those
    /// before it, so it vouches for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    /// How far each of the others is.
    #[serde(default)]
    segments: BTreeMap<String, Reached>,
    /// How many records were removed before they were exported.
    #[serde(default)]
    lost_records: u64,
    /// The last of those segments.
    #[serde(default)]
    lost: VecDeque<Lost>,
}

/// How far one segment was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reached {
    /// The number of the next record.
    seq: u64,
    /// Where its line begins.
    byte: u64,
    /// The hash of the last one.
    hash: String,
}

/// Records that were removed, as the policy says, before they were exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// The segment that they were in.
    pub segment: String,
    /// The number of the first.
    pub seq: u64,
    /// How many they were.
    pub records: u64,
}

impl Cursor {
    /// How many records were removed before they were exported.
    pub fn lost_records(&self) -> u64 {
        self.lost_records
    }

    fn end(&self, entry: &Entry) -> Result<(End, u64), Error> {
        let Some(reached) = self.segments.get(entry.name.as_str()) else {
            return Ok((End::after(entry.after), 0));
        };
        let hash = chain::hash(reached.hash.as_bytes()).ok_or(Error::Cursor)?;
        Ok((End { seq: reached.seq, prev: hash }, reached.byte))
    }

    fn reach(&mut self, entry: &Entry, end: End, byte: u64) {
        let reached = Reached { seq: end.seq, byte, hash: end.prev.to_string() };
        self.segments.insert(entry.name.as_str().to_owned(), reached);
    }

    /// As if all of a closed segment had been read.
    fn pass(&mut self, entry: &Entry) {
        if let Some(closed) = &entry.closed {
            let end = End { seq: closed.last.seq.saturating_add(1), prev: closed.last.hash };
            self.reach(entry, end, closed.bytes);
        }
    }

    fn lose(&mut self, entry: &Entry, seq: u64) {
        let last = entry.closed.as_ref().map_or(seq, |it| it.last.seq.saturating_add(1));
        let lost = Lost {
            segment: entry.name.as_str().to_owned(),
            seq,
            records: last.saturating_sub(seq),
        };
        self.lost_records = self.lost_records.saturating_add(lost.records);
        if self.lost.len() == LOST_MAX {
            self.lost.pop_front();
        }
        self.lost.push_back(lost);
        self.pass(entry);
    }
}

/// A ledger that is exported.
#[derive(Debug)]
pub struct Export {
    dir: Dir,
    cursor: Cursor,
    /// Older records are passed over.
    since: Option<String>,
    key: Option<PublicKey>,
    /// How long the manifest was when it was last read.
    manifest_bytes: Option<u64>,
    entries: Vec<Entry>,
    /// The files that are being read, by the place of their entry.
    sources: BTreeMap<usize, Source>,
    /// The next record of each, oldest first.
    heads: BTreeMap<Record, Head>,
    /// Whose beginning, which was read before, is what it was then.
    held: HashSet<Name>,
    /// What is said after the records before it.
    failed: Option<Error>,
}

/// The record that comes next in a segment.
#[derive(Debug)]
struct Head {
    place: usize,
    end: End,
    byte: u64,
}

#[derive(Debug)]
struct Source {
    lines: Lines,
    end: End,
    /// What was signed of it.
    sealed: Option<Anchor>,
}

impl Export {
    /// The ledger of a directory from `cursor` on, without what is older than `since`.
    pub fn open(
        dir: impl AsRef<Path>,
        cursor: Cursor,
        since: Option<SystemTime>,
    ) -> Result<Self, Error> {
        Ok(Self {
            dir: Dir::existing(dir.as_ref())?,
            cursor,
            since: since.map(|it| clock::text(clock::ms(it))),
            key: None,
            manifest_bytes: None,
            entries: Vec::new(),
            sources: BTreeMap::new(),
            heads: BTreeMap::new(),
            held: HashSet::new(),
            failed: None,
        })
    }

    /// Where it is after all that [`Self::more`] has returned.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// The next records, no more than `records_max`. None: there are no more yet.
    ///
    /// # Errors
    /// When the ledger cannot be read or is not whole. What comes before was returned by then.
    pub fn more(&mut self, records_max: usize) -> Result<Vec<Record>, Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut records = Vec::new();
        match self.read(records_max, &mut records) {
            Err(error) if records.is_empty() => return Err(error),
            Err(error) => self.failed = Some(error),
            Ok(()) => (),
        }
        Ok(records)
    }

    fn read(&mut self, records_max: usize, records: &mut Vec<Record>) -> Result<(), Error> {
        self.refresh()?;
        let mut bytes = 0;
        let mut waiting = self.waiting()?;
        while records.len() < records_max && bytes < BYTES_MAX {
            // A segment is opened when its time comes, so that no more files are open than segments
            // were at one time.
            while let Some(place) = waiting.pop_front_if(|it| self.is_due(*it)) {
                self.fill(place)?;
            }
            let Some((record, Head { place, end, byte })) = self.heads.pop_first() else {
                if waiting.is_empty() {
                    break;
                }
                continue;
            };
            if let Some(entry) = self.entries.get(place) {
                self.cursor.reach(entry, end, byte);
            }
            if self.since.as_ref().is_none_or(|it| record.at >= *it) {
                bytes += record.json.len();
                records.push(record);
            }
            self.fill(place)?;
        }
        self.compact()
    }

    /// Reads the manifest, if it has become longer.
    fn refresh(&mut self) -> Result<(), Error> {
        if self.key.is_none() {
            let Some(key) = verify::key(&self.dir).map_err(Stop::into_error)? else {
                // What was there once has been taken away. Else nobody has written yet.
                return if self.cursor.key.is_some() { Err(no_manifest()) } else { Ok(()) };
            };
            let hex = key.hex();
            if self.cursor.key.get_or_insert_with(|| hex.clone()) != &hex {
                return Err(Error::Cursor);
            }
            self.key = Some(key);
        }
        let path = self.dir.manifest();
        let meta = fs::metadata(&path).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                return no_manifest();
            }
            files::open_failed(&path, source)
        })?;
        if self.manifest_bytes == Some(meta.len()) {
            return Ok(());
        }
        self.manifest_bytes = Some(meta.len());
        self.reread()
    }

    fn reread(&mut self) -> Result<(), Error> {
        let Some(key) = &self.key else { return Ok(()) };
        let is_first = self.entries.is_empty() && self.cursor.is_new();
        let register = Register::read(&self.dir, key).map_err(Stop::into_error)?;
        let known: HashSet<&str> = register.entries.iter().map(|it| it.name.as_str()).collect();
        if let Some(stranger) = register.stems.iter().find(|it| !known.contains(it.as_str())) {
            return Err(Error::Tampered(Broken::of(stranger, Fault::UnknownSegment)));
        }
        if register.entries.len() < self.cursor.through.max(self.entries.len()) {
            let (seq, fault) = (register.entries.len(), Fault::Missing);
            let seq = u64::try_from(seq).unwrap_or(u64::MAX);
            return Err(Error::Tampered(Broken::new(manifest::NAME, seq, fault)));
        }
        let through = self.cursor.through.checked_sub(1).and_then(|it| register.entries.get(it));
        if let Some(entry) = through
            && entry.closed.as_ref().map(|it| it.last.hash.to_string()) != self.cursor.last
        {
            return Err(Error::Tampered(Broken::of(entry.name.as_str(), Fault::Rewritten)));
        }
        self.entries = register.entries;
        for (place, entry) in self.entries.iter().enumerate().skip(self.cursor.through) {
            if self.sources.contains_key(&place) {
                continue;
            }
            let closed = entry.closed.as_ref().map(|it| &it.at);
            let is_old = self.since.as_ref().zip(closed).is_some_and(|(since, at)| at < since);
            // What was gone before anything was exported was not lost on the way.
            if is_old || is_first && entry.removed {
                self.cursor.pass(entry);
            }
        }
        for (place, entry) in self.entries.iter().enumerate() {
            if place < self.cursor.through || is_through(&self.cursor, entry)? {
                self.remains(entry, &register.stems)?;
            }
        }
        self.compact()
    }

    /// Whether a segment that is through is still there and as long as it was: `stems` is what there
    /// was when the manifest was read.
    fn remains(&self, entry: &Entry, stems: &[String]) -> Result<(), Error> {
        let name = entry.name.as_str();
        let Some(closed) = entry.closed.as_ref().filter(|_| !entry.removed) else { return Ok(()) };
        if stems.binary_search_by(|it| it.as_str().cmp(name)).is_err() {
            return Err(Error::Tampered(Broken::of(name, Fault::MissingSegment)));
        }
        let fault = match self.dir.segment_bytes(&entry.name) {
            Some(bytes) if bytes > closed.bytes => Fault::Added,
            Some(bytes) if bytes < closed.bytes => Fault::Truncated { sealed: closed.last.seq },
            // One that was removed since is told of by the manifest of now.
            Some(_) | None => return Ok(()),
        };
        Err(Error::Tampered(Broken::of(name, fault)))
    }

    /// The segments that may have more, oldest first.
    fn waiting(&self) -> Result<VecDeque<usize>, Error> {
        let mut waiting = VecDeque::new();
        for (place, entry) in self.entries.iter().enumerate().skip(self.cursor.through) {
            if !self.sources.contains_key(&place) && !is_through(&self.cursor, entry)? {
                waiting.push_back(place);
            }
        }
        Ok(waiting)
    }

    fn is_due(&self, place: usize) -> bool {
        let (Some((first, _)), Some(entry)) =
            (self.heads.first_key_value(), self.entries.get(place))
        else {
            return true;
        };
        entry.name.as_str() <= clock::compact(&first.at).as_str()
    }

    /// Reads the next record of a segment, if there is one.
    fn fill(&mut self, place: usize) -> Result<(), Error> {
        if !self.sources.contains_key(&place) {
            let Some(source) = self.source(place)? else { return Ok(()) };
            self.sources.insert(place, source);
        }
        let (Some(entry), Some(source)) = (self.entries.get(place), self.sources.get_mut(&place))
        else {
            return Ok(());
        };
        let name = entry.name.as_str();
        let wrong = |seq, fault| Err(Error::Tampered(Broken::new(name, seq, fault)));
        let end = source.end;
        let line = match source.lines.next()? {
            Some(Line::Whole(line)) => line,
            rest @ (Some(Line::Rest) | None) => {
                let is_unfinished = rest.is_some();
                let last = entry.closed.as_ref().map(|it| it.last).or(source.sealed);
                if let Some(Anchor { seq: sealed, .. }) = last.filter(|it| end.seq <= it.seq) {
                    return wrong(end.seq, Fault::Truncated { sealed });
                }
                if is_unfinished && entry.closed.is_some() {
                    return wrong(end.seq, Fault::Added);
                }
                self.sources.remove(&place);
                return Ok(());
            }
        };
        let Some((link, record)) = Link::read(line).zip(Record::read(&entry.name, line)) else {
            return wrong(end.seq, Fault::Edited);
        };
        if !end.accepts(&link) || link.seq == 0 && link.hash != entry.first {
            return wrong(end.seq, Fault::Spliced);
        }
        let last = entry.closed.as_ref().map(|it| it.last);
        if last.is_some_and(|it| link.seq > it.seq) {
            return wrong(link.seq, Fault::Added);
        }
        let mut signed = last.into_iter().chain(source.sealed);
        if signed.any(|it| it.seq == link.seq && it.hash != link.hash) {
            return wrong(link.seq, Fault::Rewritten);
        }
        source.end.advance(&link);
        let head = Head { place, end: source.end, byte: source.lines.byte() };
        self.heads.insert(record, head);
        Ok(())
    }

    /// Opens a segment where it was left. Nothing, where there is no more of it.
    fn source(&mut self, place: usize) -> Result<Option<Source>, Error> {
        let (Some(entry), Some(key)) = (self.entries.get(place), &self.key) else {
            return Ok(None);
        };
        let (end, byte) = self.cursor.end(entry)?;
        // The head before the records: they may grow meanwhile, and then it is behind, never ahead.
        let head = files::read(&self.dir.head(&entry.name))?;
        let opened = match Lines::open(self.dir.segment(&entry.name)) {
            // Its process died, or is, between the manifest and the last step of opening it.
            Err(error) if error.is_not_found() => Lines::open(self.dir.draft(&entry.name)),
            opened => opened,
        };
        let mut lines = match opened {
            Ok(lines) => lines,
            Err(error) if error.is_not_found() => {
                return self.gone(place, end.seq, Fault::MissingSegment);
            }
            Err(error) => return Err(error),
        };
        let broken = |fault| Error::Tampered(Broken::of(entry.name.as_str(), fault));
        let sealed = match &head {
            // It goes after the records, of which this has hold.
            None if entry.removed => None,
            None => return self.gone(place, end.seq, Fault::MissingHead),
            Some(head) => {
                let checkpoint = Checkpoint::open(head, &entry.name, key);
                let anchor = checkpoint.and_then(|it| Anchor::of(&it));
                Some(anchor.ok_or_else(|| broken(Fault::BadSignature))?)
            }
        };
        let last = end.seq.checked_sub(1);
        if sealed.is_some_and(|it| Some(it.seq) == last && it.hash != end.prev) {
            let name = entry.name.as_str();
            let seq = last.unwrap_or_default();
            return Err(Error::Tampered(Broken::new(name, seq, Fault::Rewritten)));
        }
        let bytes = lines.file().metadata().map_or(0, |it| it.len());
        if bytes < byte {
            let sealed = end.seq.saturating_sub(1);
            let fault = Fault::Truncated { sealed };
            return Err(Error::Tampered(Broken::new(entry.name.as_str(), end.seq, fault)));
        }
        if byte > 0 && !self.held.contains(&entry.name) {
            holds(&mut lines, entry, end, byte)?;
            self.held.insert(entry.name.clone());
        }
        lines.seek(byte)?;
        Ok(Some(Source { lines, end, sealed }))
    }

    /// A file is not there: it was removed as the policy says, or somebody took it.
    fn gone(&mut self, place: usize, seq: u64, fault: Fault) -> Result<Option<Source>, Error> {
        self.reread()?;
        let Some(entry) = self.entries.get(place) else { return Ok(None) };
        if !entry.removed {
            return Err(Error::Tampered(Broken::of(entry.name.as_str(), fault)));
        }
        if !is_through(&self.cursor, entry)? {
            self.cursor.lose(entry, seq);
        }
        Ok(None)
    }

    /// Forgets the first segments that are through, but for their number and where they ended.
    fn compact(&mut self) -> Result<(), Error> {
        while let Some(entry) = self.entries.get(self.cursor.through)
            && !self.sources.contains_key(&self.cursor.through)
            && is_through(&self.cursor, entry)?
        {
            self.cursor.segments.remove(entry.name.as_str());
            self.cursor.last = entry.closed.as_ref().map(|it| it.last.hash.to_string());
            self.cursor.through += 1;
        }
        Ok(())
    }
}

impl Cursor {
    fn is_new(&self) -> bool {
        self.through == 0 && self.segments.is_empty()
    }
}

/// Whether what was exported of a segment, up to a byte of its file, is what it was.
fn holds(lines: &mut Lines, entry: &Entry, reached: End, byte: u64) -> Result<(), Error> {
    let mut end = End::after(entry.after);
    let broken = |seq, fault| Err(Error::Tampered(Broken::new(entry.name.as_str(), seq, fault)));
    while lines.byte() < byte {
        let link = match lines.next()? {
            Some(Line::Whole(line)) => Link::read(line),
            Some(Line::Rest) | None => None,
        };
        let Some(link) = link else { return broken(end.seq, Fault::Edited) };
        if !end.accepts(&link) || link.seq == 0 && link.hash != entry.first {
            return broken(end.seq, Fault::Spliced);
        }
        end.advance(&link);
    }
    if end == reached {
        return Ok(());
    }
    broken(reached.seq.saturating_sub(1), Fault::Rewritten)
}

fn no_manifest() -> Error {
    Error::Tampered(Broken::of(manifest::NAME, Fault::MissingSegment))
}

/// Whether all of a segment was exported, and was what the manifest says.
fn is_through(cursor: &Cursor, entry: &Entry) -> Result<bool, Error> {
    let Some(closed) = &entry.closed else { return Ok(false) };
    let (end, _) = cursor.end(entry)?;
    if end.seq <= closed.last.seq {
        return Ok(false);
    }
    if end.prev != closed.last.hash {
        let name = entry.name.as_str();
        return Err(Error::Tampered(Broken::new(name, closed.last.seq, Fault::Rewritten)));
    }
    Ok(true)
}
