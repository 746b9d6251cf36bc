//! Whether a ledger is what was written: walks the manifest and every segment, and names the first
//! thing that is wrong. Needs the public key only, changes nothing, and may run while others write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::TryLockError;
use std::io;
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
}

/// What a ledger that is whole consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Whole {
    /// How many segments there are.
    pub segments: u64,
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
pub(crate) struct Entry {
    pub(crate) name: Name,
    /// The end of the manifest when it was opened, which its first record follows.
    after: Hash,
    first: Hash,
    /// Its last record, and how many were not signed by its process.
    closed: Option<(Anchor, u64)>,
}

/// What a segment that is whole holds.
pub(crate) struct Found {
    pub(crate) end: End,
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
struct Anchor {
    seq: u64,
    hash: Hash,
}

fn examine(dir: &Dir) -> Result<Whole, Stop> {
    let wrong_key = || Broken::of(manifest::NAME, Fault::WrongKey);
    let key = match PublicKey::load(dir) {
        Ok(Some(key)) => key,
        Ok(None) if is_untouched(dir)? => return Ok(Whole::default()),
        Ok(None) | Err(Error::Key { .. }) => return Err(wrong_key().into()),
        Err(error) => return Err(error.into()),
    };
    // Where the signing key can be read, it says whether somebody exchanged the public one.
    if Key::load(dir).is_ok_and(|it| it.public() != key) {
        return Err(wrong_key().into());
    }
    let mut whole = Whole { key: Some(key.hex()), ..Whole::default() };
    let (entries, present) = register(dir, &key, &mut whole)?;
    let mut known = BTreeSet::new();
    for entry in &entries {
        whole.count(entry, segment(dir, &key, entry)?);
        known.insert(entry.name.as_str());
    }
    match present.iter().find(|it| !known.contains(it.as_str())) {
        Some(stranger) => Err(Broken::of(stranger, Fault::UnknownSegment).into()),
        None => Ok(whole),
    }
}

/// Whether nobody has written here yet, or came no further than the empty manifest.
fn is_untouched(dir: &Dir) -> Result<bool, Error> {
    let is_signed = dir.manifest_head().exists()
        || files::read(&dir.manifest())?.is_some_and(|it| !it.is_empty());
    Ok(!is_signed && dir.segment_stems()?.is_empty())
}

/// Walks the manifest. Meanwhile nobody opens or closes a segment, so what the manifest says and
/// what the directory holds belong together.
fn register(
    dir: &Dir,
    key: &PublicKey,
    whole: &mut Whole,
) -> Result<(Vec<Entry>, Vec<String>), Stop> {
    let path = dir.manifest();
    let mut lines = match Lines::open(path.clone()) {
        Ok(lines) => lines,
        Err(error) if is_not_found(&error) => {
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
            Event::Closed { segment, records, head, unsigned } => {
                let place = places.get(&segment).copied();
                let entry = place.and_then(|it| entries.get_mut(it));
                let last = Anchor {
                    seq: records.checked_sub(1).ok_or(Fault::Edited)?,
                    hash: chain::hash(head.as_bytes()).ok_or(Fault::Edited)?,
                };
                entry.ok_or(Fault::Edited)?.closed = Some((last, unsigned));
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
    if walked.torn {
        whole.torn.push(Torn { segment: manifest::NAME.to_owned(), seq: walked.end.seq });
    }
    whole.head = head.map(|it| it.trim_end().to_owned());
    Ok((entries, dir.segment_stems()?))
}

/// Examines one segment.
pub(crate) fn segment(dir: &Dir, key: &PublicKey, entry: &Entry) -> Result<Found, Stop> {
    let name = entry.name.as_str();
    // The head before the records: they may grow meanwhile, and then it is behind, never ahead.
    let head = files::read(&dir.head(&entry.name))?;
    let mut lines = match Lines::open(dir.segment(&entry.name)) {
        // Its process died, or is, between the manifest and the last step of opening it.
        Err(error) if is_not_found(&error) => Lines::open(dir.draft(&entry.name)),
        opened => opened,
    }
    .map_err(|error| match error {
        error if is_not_found(&error) => Broken::of(name, Fault::MissingSegment).into(),
        error => Stop::from(error),
    })?;

    let checkpoint = head
        .as_deref()
        .map(|it| Checkpoint::open(it, &entry.name, key).and_then(|it| Anchor::of(&it)));
    let sealed = checkpoint.flatten();
    let closed = entry.closed.map(|it| it.0);
    let mut is_first = true;
    let mut since = None;
    let walked = walk(&mut lines, name, End::after(entry.after), closed.or(sealed), |line| {
        let link = Link::read(line).ok_or(Fault::Edited)?;
        if std::mem::take(&mut is_first) && link.seq == 0 && link.hash != entry.first {
            return Err(Fault::Spliced);
        }
        if sealed.is_some_and(|it| it.seq.checked_add(1) == Some(link.seq)) && since.is_none() {
            since = Envelope::read(line).map(|it| it.at.into_owned());
        }
        Ok(link)
    })?;
    let fault = |fault| Err(Broken::of(name, fault).into());
    let sealed = match (checkpoint, entry.closed) {
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
    fn of(checkpoint: &Checkpoint) -> Option<Self> {
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

    fn of(segment: &str, fault: Fault) -> Self {
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

fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Open { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
