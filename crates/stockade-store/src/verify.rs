//! Whether a ledger is what was written: walks the manifest and every segment, and names the first
//! thing that is wrong. Needs the public key only, changes nothing, and may run while others write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::TryLockError;
use std::path::Path;

use blake3::Hash;
use serde::Serialize;

use crate::chain::{self, End, Envelope, GENESIS, Link};
use crate::error::Error;
use crate::files::{self, Dir, Line, Lines, Lock, Name};
use crate::manifest::{self, Event};
use crate::seal::{Checkpoint, Key, PublicKey};

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Everything is as it was written.
    Whole(Whole),
    /// Something was changed.
    Broken(Broken),
    /// There is nothing. Nothing was ever written here, or all of it was removed: nobody can tell.
    Nothing,
}

/// What a ledger that is whole consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Whole {
    /// How many segments there are.
    pub segments: u64,
    /// What was removed because the policy keeps no more, and has been signed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
    /// How many of them are being written now.
    pub live: u64,
    /// How many records there are, with the ledger's own.
    pub records: u64,
    /// How many of them no checkpoint has signed yet.
    pub unsealed: u64,
    /// Where processes were killed before they had signed their last records.
    pub killed: Vec<Killed>,
    /// Lines that a crash left unfinished, and nobody was told that they are written.
    pub torn: Vec<Torn>,
    /// The manifest's signed last entry. Noted elsewhere, it shows that this ledger was not put
    /// back to an older state.
    pub head: Option<String>,
    /// The public key that everything was verified with, in hexadecimal.
    pub key: Option<String>,
}

/// What is no longer kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// How many segments.
    pub segments: u64,
    /// How many records they had.
    pub records: u64,
    /// The oldest segment that is still there: from its first record on all was verified.
    pub from: String,
    /// When that record was written.
    pub since: String,
}

/// The last records of a process that was killed. Until somebody signed them, they could be cut off
/// or rewritten by whoever can write the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Killed {
    /// The segment's name.
    pub segment: String,
    /// How many records its process had not signed.
    pub records: u64,
    /// When the first of them was written.
    pub since: String,
    /// Whether the next to open the ledger has signed them, as it found them.
    pub sealed: bool,
}

/// An unfinished last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Torn {
    /// The segment's name, or `manifest`.
    pub segment: String,
    /// The number that the record would have had.
    pub seq: u64,
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The segment's name, or `manifest`.
    pub segment: String,
    /// The number of the first bad record, where it is about one.
    pub seq: Option<u64>,
    /// Its line in the file, from 1.
    pub line: Option<u64>,
    /// What is wrong.
    pub fault: Fault,
}

/// How a record, a segment or a head is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// The record is not what its hash, or the record after it, says.
    Edited,
    /// The record is not there, and later ones are.
    Missing,
    /// A later record stands before this one.
    Reordered,
    /// A record that belongs elsewhere stands in this place.
    Spliced,
    /// The records end here, and the signed head is further on.
    Truncated {
        /// The number of the last signed record.
        sealed: u64,
    },
    /// The chain holds, and does not lead to what was signed: this record or one before it was
    /// written anew.
    Rewritten,
    /// A record after the segment was closed.
    Added,
    /// Not signed by this ledger's key.
    BadSignature,
    /// The signed head is not there.
    MissingHead,
    /// The signed head is older than the end of the segment that the manifest has.
    StaleHead,
    /// The manifest has the segment, the directory does not.
    MissingSegment,
    /// The directory has the segment, the manifest does not.
    UnknownSegment,
    /// The public key is not there, not a key, or not that of the signing key beside it.
    WrongKey,
}

/// Verifies the ledger of a directory.
pub fn verify(dir: impl AsRef<Path>) -> Result<Verdict, Error> {
    match examine(&Dir::existing(dir.as_ref())?) {
        Ok(whole) if whole.key.is_none() => Ok(Verdict::Nothing),
        Ok(whole) => Ok(Verdict::Whole(whole)),
        Err(Stop::Broken(broken)) => Ok(Verdict::Broken(broken)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Why an examination ends early.
pub(crate) enum Stop {
    Broken(Broken),
    Failed(Error),
}

impl Stop {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Broken(broken) => Error::Tampered(broken),
            Self::Failed(error) => error,
        }
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What the manifest says about a segment.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Name,
    /// The end of the manifest when it was opened, which its first record follows.
    pub(crate) after: Hash,
    pub(crate) first: Hash,
    pub(crate) closed: Option<Closed>,
    /// Whether it was removed, and signed for. Its file may still be on its way out.
    pub(crate) removed: bool,
}

/// How a segment ended, as the manifest says.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) last: Anchor,
    /// How many of the last records were not signed by its process.
    unsigned: u64,
    pub(crate) bytes: u64,
    pub(crate) at: String,
}

/// What a segment that is whole holds.
pub(crate) struct Found {
    pub(crate) end: End,
    /// When the first record was written.
    began: String,
    /// How many of the last records its process has not signed, and since when.
    pub(crate) unsealed: u64,
    pub(crate) since: Option<String>,
    /// Whether a line that is not finished comes after so many bytes.
    pub(crate) torn: bool,
    pub(crate) bytes: u64,
    pub(crate) live: bool,
}

/// A record that somebody signed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
}

/// The key that everything is verified with; none, where nobody has written yet.
pub(crate) fn key(dir: &Dir) -> Result<Option<PublicKey>, Stop> {
    let wrong_key = || Broken::of(manifest::NAME, Fault::WrongKey);
    let key = match PublicKey::load(dir) {
        Ok(Some(key)) => key,
        Ok(None) if is_untouched(dir)? => return Ok(None),
        Ok(None) | Err(Error::Key { .. }) => return Err(wrong_key().into()),
        Err(error) => return Err(error.into()),
    };
    // Where the signing key can be read, it says whether somebody exchanged the public one.
    if Key::load(dir).is_ok_and(|it| it.public() != key) {
        return Err(wrong_key().into());
    }
    Ok(Some(key))
}

fn examine(dir: &Dir) -> Result<Whole, Stop> {
    let Some(key) = key(dir)? else { return Ok(Whole::default()) };
    let Register { entries, stems, torn, head } = Register::read(dir, &key)?;
    let torn = torn.into_iter().collect();
    let mut whole = Whole { key: Some(key.hex()), head, torn, ..Whole::default() };
    let mut known = BTreeSet::new();
    let mut gone = Gone::default();
    for entry in &entries {
        known.insert(entry.name.as_str());
        let Some(found) = settled(dir, &key, entry)? else {
            gone.segments += 1;
            gone.records += entry.closed.as_ref().map_or(0, |it| it.last.seq.saturating_add(1));
            continue;
        };
        if whole.segments == 0 {
            (gone.from, gone.since) = (entry.name.as_str().to_owned(), found.began.clone());
        }
        whole.count(entry, found);
    }
    whole.gone = Some(gone).filter(|it| it.segments > 0);
    match stems.iter().find(|it| !known.contains(it.as_str())) {
        Some(stranger) => Err(Broken::of(stranger, Fault::UnknownSegment).into()),
        None => Ok(whole),
    }
}

/// Examines a segment, and once more if it was closed or removed since the manifest was read: it
/// would look as if its process had been killed, or as if somebody had taken it away. Nothing, if it
/// was removed.
fn settled(dir: &Dir, key: &PublicKey, entry: &Entry) -> Result<Option<Found>, Stop> {
    let examined = segment(dir, key, entry);
    let is_missing = match &examined {
        Ok(it) if entry.closed.is_none() && !it.live && (it.torn || it.unsealed > 0) => false,
        Err(Stop::Broken(broken)) if broken.fault == Fault::MissingSegment => true,
        Ok(_) | Err(_) => return examined.map(Some),
    };
    if is_missing && entry.removed {
        return Ok(None);
    }
    let now = Register::read(dir, key)?.entries.into_iter().find(|it| it.name == entry.name);
    let is_new = |it: &Entry| it.removed || it.closed.is_some() && entry.closed.is_none();
    now.filter(is_new).map_or(examined.map(Some), |now| settled(dir, key, &now))
}

/// Whether nobody has written here yet, or came no further than the empty manifest.
fn is_untouched(dir: &Dir) -> Result<bool, Error> {
    let is_signed = dir.manifest_head().exists()
        || files::read(&dir.manifest())?.is_some_and(|it| !it.is_empty());
    Ok(!is_signed && dir.segment_stems()?.is_empty())
}

/// The manifest, and the directory at the same moment.
pub(crate) struct Register {
    pub(crate) entries: Vec<Entry>,
    /// The names of the files that look like segments.
    pub(crate) stems: Vec<String>,
    torn: Option<Torn>,
    head: Option<String>,
}

impl Register {
    /// Walks the manifest. Meanwhile nobody opens, closes or removes a segment, so what the manifest
    /// says and what the directory holds belong together.
    pub(crate) fn read(dir: &Dir, key: &PublicKey) -> Result<Self, Stop> {
        let path = dir.manifest();
        let mut lines = match Lines::open(path.clone()) {
            Ok(lines) => lines,
            Err(error) if error.is_not_found() => {
                return Err(Broken::of(manifest::NAME, Fault::MissingSegment).into());
            }
            Err(error) => return Err(error.into()),
        };
        files::lock(&path, lines.file(), Lock::Shared)?;
        let head = files::read(&dir.manifest_head())?;
        let signed = head
            .as_deref()
            .map(|it| manifest::read(it.strip_suffix('\n').unwrap_or(it).as_bytes(), key));
        let anchor = signed
            .as_ref()
            .and_then(|it| it.as_ref())
            .map(|it| Anchor { seq: it.0.seq, hash: it.0.hash });

        let mut entries: Vec<Entry> = Vec::new();
        let mut places = BTreeMap::new();
        let walked = walk(&mut lines, manifest::NAME, End::after(GENESIS), anchor, |line| {
            let (link, entry) = manifest::read(line, key).ok_or(Fault::BadSignature)?;
            match entry.event {
                Event::Opened { ref segment, .. } => {
                    places.insert(segment.clone(), entries.len());
                    entries.push(Entry::of((link, entry)).ok_or(Fault::Edited)?);
                }
                Event::Closed { segment, records, head, bytes, unsigned } => {
                    let last = Anchor {
                        seq: records.checked_sub(1).ok_or(Fault::Edited)?,
                        hash: chain::hash(head.as_bytes()).ok_or(Fault::Edited)?,
                    };
                    let at = Envelope::read(line).ok_or(Fault::Edited)?.at.into_owned();
                    let place = places.get(&segment).and_then(|it| entries.get_mut(*it));
                    place.ok_or(Fault::Edited)?.closed = Some(Closed { last, unsigned, bytes, at });
                }
                Event::Removed { segments } => {
                    for segment in &segments {
                        let place = places.get(segment).and_then(|it| entries.get_mut(*it));
                        place.ok_or(Fault::Edited)?.removed = true;
                    }
                }
            }
            Ok(link)
        })?;
        match signed {
            Some(None) => return Err(Broken::of(manifest::NAME, Fault::BadSignature).into()),
            None if walked.end.seq > 1 => {
                return Err(Broken::of(manifest::NAME, Fault::MissingHead).into());
            }
            None | Some(Some(_)) => {}
        }
        let torn = Torn { segment: manifest::NAME.to_owned(), seq: walked.end.seq };
        Ok(Self {
            entries,
            stems: dir.segment_stems()?,
            torn: walked.torn.then_some(torn),
            head: head.map(|it| it.trim_end().to_owned()),
        })
    }
}

/// Examines one segment.
pub(crate) fn segment(dir: &Dir, key: &PublicKey, entry: &Entry) -> Result<Found, Stop> {
    let name = entry.name.as_str();
    // The head before the records: they may grow meanwhile, and then it is behind, never ahead.
    let head = files::read(&dir.head(&entry.name))?;
    let mut lines = match Lines::open(dir.segment(&entry.name)) {
        // Its process died, or is, between the manifest and the last step of opening it.
        Err(error) if error.is_not_found() => Lines::open(dir.draft(&entry.name)),
        opened => opened,
    }
    .map_err(|error| match error {
        error if error.is_not_found() => Broken::of(name, Fault::MissingSegment).into(),
        error => Stop::from(error),
    })?;

    let checkpoint = head
        .as_deref()
        .map(|it| Checkpoint::open(it, &entry.name, key).and_then(|it| Anchor::of(&it)));
    let sealed = checkpoint.flatten();
    let closed = entry.closed.as_ref().map(|it| it.last);
    let mut began = String::new();
    let mut since = None;
    let walked = walk(&mut lines, name, End::after(entry.after), closed.or(sealed), |line| {
        let link = Link::read(line).ok_or(Fault::Edited)?;
        if began.is_empty() {
            began = Envelope::read(line).ok_or(Fault::Edited)?.at.into_owned();
            if link.seq == 0 && link.hash != entry.first {
                return Err(Fault::Spliced);
            }
        }
        if sealed.is_some_and(|it| it.seq.checked_add(1) == Some(link.seq)) && since.is_none() {
            since = Envelope::read(line).map(|it| it.at.into_owned());
        }
        Ok(link)
    })?;
    let fault = |fault| Err(Broken::of(name, fault).into());
    let closing = entry.closed.as_ref().map(|it| (it.last, it.unsigned));
    let sealed = match (checkpoint, closing) {
        (None, _) => return fault(Fault::MissingHead),
        (Some(None), _) => return fault(Fault::BadSignature),
        (Some(Some(sealed)), Some((last, 0))) if sealed != last => return fault(Fault::StaleHead),
        (Some(Some(sealed)), Some((last, unsigned)))
            if sealed.seq.checked_add(unsigned) != Some(last.seq) =>
        {
            return fault(Fault::StaleHead);
        }
        (Some(Some(sealed)), _) => sealed,
    };
    if let Some(last) = closed
        && (walked.end.seq > last.seq.saturating_add(1) || walked.torn)
    {
        return Err(Broken::new(name, last.seq.saturating_add(1), Fault::Added).into());
    }
    Ok(Found {
        unsealed: walked.end.seq.saturating_sub(sealed.seq.saturating_add(1)),
        end: walked.end,
        began,
        since,
        torn: walked.torn,
        bytes: lines.byte(),
        live: matches!(lines.file().try_lock_shared(), Err(TryLockError::WouldBlock)),
    })
}

impl Entry {
    /// What the manifest says when a segment is opened.
    pub(crate) fn of((link, entry): (Link, manifest::Entry)) -> Option<Self> {
        let Event::Opened { segment, head } = entry.event else { return None };
        Some(Self {
            name: Name::parse(&segment)?,
            after: link.prev,
            first: chain::hash(head.as_bytes())?,
            closed: None,
            removed: false,
        })
    }
}

impl Whole {
    fn count(&mut self, entry: &Entry, found: Found) {
        let name = || entry.name.as_str().to_owned();
        // A line of a process that still runs is not torn: it is on its way.
        if found.torn && !found.live {
            self.torn.push(Torn { segment: name(), seq: found.end.seq });
        }
        let sealed = entry.closed.is_some();
        self.segments += 1;
        self.live += u64::from(found.live);
        self.records += found.end.seq;
        self.unsealed += if sealed { 0 } else { found.unsealed };
        if let (false, Some(since)) = (found.live, found.since) {
            let (segment, records) = (name(), found.unsealed);
            self.killed.push(Killed { segment, records, since, sealed });
        }
    }
}

/// How far a chain goes.
struct Walked {
    end: End,
    torn: bool,
}

/// Follows a chain to its end, and stops at the first line that does not belong there.
fn walk(
    lines: &mut Lines,
    name: &str,
    mut end: End,
    sealed: Option<Anchor>,
    mut read: impl FnMut(&[u8]) -> Result<Link, Fault>,
) -> Result<Walked, Stop> {
    let mut torn = false;
    loop {
        let link = match lines.next()? {
            None => break,
            Some(Line::Rest) => {
                torn = true;
                break;
            }
            Some(Line::Whole(line)) => read(line),
        };
        let link = link.map_err(|fault| Broken::new(name, end.seq, fault))?;
        if !end.accepts(&link) {
            let mut rest = vec![link];
            while let Some(Line::Whole(line)) = lines.next()? {
                rest.extend(read(line).ok());
            }
            return Err(diagnose(name, &end, &rest, sealed).into());
        }
        if sealed.is_some_and(|it| it.seq == link.seq && it.hash != link.hash) {
            return Err(Broken::new(name, link.seq, Fault::Rewritten).into());
        }
        end.advance(&link);
    }
    match sealed {
        Some(Anchor { seq: sealed, .. }) if end.seq <= sealed => {
            Err(Broken::new(name, end.seq, Fault::Truncated { sealed }).into())
        }
        _ => Ok(Walked { end, torn }),
    }
}

/// What happened where the first of these links stands in the place of another.
fn diagnose(name: &str, end: &End, rest: &[Link], sealed: Option<Anchor>) -> Broken {
    let at_end = |fault| Broken::new(name, end.seq, fault);
    let (Some(found), next) = (rest.first(), rest.get(1)) else {
        return at_end(Fault::Missing);
    };
    // Whether others vouch for the record that stands here.
    let belongs = rest.iter().any(|it| it.prev == found.hash)
        || sealed.is_some_and(|it| it.hash == found.hash);
    if found.seq == end.seq {
        // The right number after the wrong record: one of the two is not the real one.
        return match end.seq.checked_sub(1) {
            Some(before) if belongs => Broken::new(name, before, Fault::Edited),
            _ => at_end(Fault::Spliced),
        };
    }
    if found.seq < end.seq {
        return at_end(Fault::Spliced);
    }
    if rest.iter().skip(1).any(|it| end.accepts(it)) {
        // What should stand here comes later.
        let follows = rest.iter().any(|it| it.hash == found.prev);
        return at_end(if follows { Fault::Reordered } else { Fault::Spliced });
    }
    // A later record follows its number here, so this place was filled, not closed up.
    let filled = next.is_some_and(|it| Some(it.seq) == end.seq.checked_add(1));
    at_end(if filled && !belongs { Fault::Spliced } else { Fault::Missing })
}

impl Anchor {
    pub(crate) fn of(checkpoint: &Checkpoint) -> Option<Self> {
        Some(Self { seq: checkpoint.seq, hash: checkpoint.head()? })
    }
}

impl Broken {
    pub(crate) fn new(segment: &str, seq: u64, fault: Fault) -> Self {
        Self {
            segment: segment.to_owned(),
            seq: Some(seq),
            line: Some(seq.saturating_add(1)),
            fault,
        }
    }

    pub(crate) fn of(segment: &str, fault: Fault) -> Self {
        Self { segment: segment.to_owned(), seq: None, line: None, fault }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.segment)?;
        if let (Some(seq), Some(line)) = (self.seq, self.line) {
            write!(f, ", record {seq} (line {line})")?;
        }
        write!(f, ": {}", self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edited => "edited",
            Self::Missing => "missing",
            Self::Reordered => "out of order",
            Self::Spliced => "a record from elsewhere stands in its place",
            Self::Truncated { sealed } => {
                return write!(f, "cut off here, record {sealed} was signed");
            }
            Self::Rewritten => "not the record that was signed, it or one before was rewritten",
            Self::Added => "added after the segment was closed",
            Self::BadSignature => "not signed by this ledger's key",
            Self::MissingHead => "the signed head is missing",
            Self::StaleHead => "the signed head is an older one",
            Self::MissingSegment => "the file is missing",
            Self::UnknownSegment => "not a segment of this ledger",
            Self::WrongKey => "`key.pub` is not this ledger's public key",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::ledger::{Ledger, Options};

    /// What the manifest said of the one segment while it was written, and its head of that time.
    fn read_before(end: impl FnOnce(&Dir, &Name)) -> Result<Option<Found>, Stop> {
        let never = Duration::from_secs(3600);
        let options = Options { write_within: never, seal_within: never, ..Options::default() };
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("ledger");
        let ledger = Ledger::open_with(&path, options).unwrap();
        ledger.append(&json!({})).unwrap();
        let dir = Dir::existing(&path).unwrap();
        let key = Key::load(&dir).unwrap().public();
        let entry = Register::read(&dir, &key).ok().unwrap().entries.remove(0);
        let head = fs::read(dir.head(&entry.name)).unwrap();
        ledger.close().unwrap();
        fs::write(dir.head(&entry.name), head).unwrap();
        end(&dir, &entry.name);
        settled(&dir, &key, &entry)
    }

    #[test]
    fn a_segment_that_has_ended_meanwhile_is_not_that_of_a_killed_process() {
        // Held against how it was closed, not against how it was open.
        let Err(Stop::Broken(broken)) = read_before(|_, _| ()) else { panic!("whole") };
        assert_eq!(broken.fault, Fault::StaleHead);
    }

    #[test]
    fn a_segment_that_was_removed_meanwhile_is_not_missed() {
        let removed = read_before(|dir, name| {
            let (key, manifest) = (Key::load(dir).unwrap(), manifest::Manifest::lock(dir).unwrap());
            let tail = manifest.tail(&key.public()).unwrap();
            let segments = vec![name.as_str().to_owned()];
            manifest.append(&key, tail, 0, Event::Removed { segments }).unwrap();
            fs::remove_file(dir.segment(name)).unwrap();
        });
        assert!(matches!(removed, Ok(None)));
        let taken = read_before(|dir, name| fs::remove_file(dir.segment(name)).unwrap());
        let Err(Stop::Broken(broken)) = taken else { panic!("whole") };
        assert_eq!(broken.fault, Fault::MissingSegment);
    }
}
