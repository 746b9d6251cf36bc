//! How much is kept of what is closed, and the removal of the rest. The manifest has each removal,
//! signed, before a file goes, so that `verify` can tell it from a segment that somebody took away.
//! What is not whole is never removed: it shows that somebody changed it.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::clock;
use crate::error::Error;
use crate::files::{self, Dir, Name};
use crate::manifest::{Event, Manifest};
use crate::seal::Key;
use crate::verify::{self, Entry, Register, Stop};

/// So many removals make one entry, so that its line stays well below the longest.
const ENTRY_SEGMENTS_MAX: usize = 1000;

/// How much is kept of the segments that are closed. Without anything said, all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// The newest, up to so many bytes in all.
    pub bytes: Option<u64>,
    /// Those that were closed no longer ago than this.
    pub age: Option<Duration>,
}

/// A record about segments that were removed, or could not be.
#[derive(Debug, Serialize)]
pub(crate) struct Removed {
    kind: &'static str,
    segments: u64,
    records: u64,
    says: String,
}

impl Keep {
    pub(crate) fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The segments that are not kept, oldest first. Lengths are those that the manifest has: a file
    /// that somebody made longer must not push the others out.
    fn rest<'a>(&self, entries: &'a [Entry], now: SystemTime) -> Vec<&'a Entry> {
        let closed = |it: &'a Entry| it.closed.as_ref().map(|closed| (closed, it));
        let mut closed: Vec<_> =
            entries.iter().filter(|it| !it.removed).filter_map(closed).collect();
        closed.sort_by(|(one, _), (other, _)| one.at.cmp(&other.at));
        let oldest = self.age.and_then(|it| now.checked_sub(it));
        let oldest = oldest.map(|it| clock::text(clock::ms(it)));
        let mut bytes = 0_u64;
        let newest_first = closed.into_iter().rev();
        let mut rest: Vec<_> = newest_first
            .filter(|(closed, _)| {
                bytes = bytes.saturating_add(closed.bytes);
                self.bytes.is_some_and(|it| bytes > it)
                    || oldest.as_ref().is_some_and(|it| closed.at < *it)
            })
            .map(|(_, entry)| entry)
            .collect();
        rest.reverse();
        rest
    }
}

impl Removed {
    fn of(segments: u64, records: u64) -> Self {
        let says = format!("{segments} closed segments removed, as the policy says");
        Self { kind: "ledger.removed", segments, records, says }
    }

    /// Of a removal that failed. The ledger is not worse for it, only longer.
    pub(crate) fn failed(error: &Error) -> Self {
        let source = std::error::Error::source(error).map(|it| format!(": {it}"));
        let says = format!("cannot remove closed segments: {error}{}", source.unwrap_or_default());
        Self { says, ..Self::of(0, 0) }
    }
}

/// Removes what is not kept, for as long as `goes_on`. Reads all of it before, and locks the
/// manifest only afterwards, so that nobody waits meanwhile.
pub(crate) fn sweep(
    dir: &Dir,
    key: &Key,
    keep: &Keep,
    goes_on: impl Fn() -> bool,
) -> Result<Option<Removed>, Error> {
    let public = key.public();
    let register = Register::read(dir, &public).map_err(Stop::into_error)?;
    // What a process that was killed in between has signed for and not removed any more.
    let gone = register.entries.iter().filter(|it| it.removed);
    gone.filter(|it| dir.segment(&it.name).exists()).try_for_each(|it| discard(dir, &it.name))?;
    let (mut segments, mut records) = (0, 0);
    for some in keep.rest(&register.entries, SystemTime::now()).chunks(ENTRY_SEGMENTS_MAX) {
        let mut whole = Vec::new();
        for entry in some.iter().take_while(|_| goes_on()) {
            match verify::segment(dir, &public, entry) {
                Ok(found) => whole.push((&entry.name, found.end.seq)),
                Err(Stop::Broken(_)) => {}
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        let removed = remove(dir, key, whole)?;
        segments += u64::try_from(removed.len()).unwrap_or(u64::MAX);
        records += removed.iter().sum::<u64>();
    }
    Ok((segments > 0).then(|| Removed::of(segments, records)))
}

/// Removes these segments, and answers how many records each of them had.
fn remove(dir: &Dir, key: &Key, mut segments: Vec<(&Name, u64)>) -> Result<Vec<u64>, Error> {
    let manifest = Manifest::lock(dir)?;
    // Another process may have been faster. What is gone for any other reason is not signed for.
    segments.retain(|(name, _)| dir.segment(name).exists());
    if segments.is_empty() {
        return Ok(Vec::new());
    }
    let names = segments.iter().map(|(name, _)| name.as_str().to_owned()).collect();
    let tail = manifest.tail(&key.public())?;
    manifest.append(key, tail, clock::now_ms(), Event::Removed { segments: names })?;
    segments.iter().try_for_each(|(name, _)| discard(dir, name))?;
    Ok(segments.into_iter().map(|(_, records)| records).collect())
}

/// The records before their head, without which they would look as if somebody had changed them.
fn discard(dir: &Dir, name: &Name) -> Result<(), Error> {
    let gone = |path: &Path| match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| files::write_failed(path, source)),
    };
    gone(&dir.segment(name))?;
    gone(&dir.head(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ledger::Ledger;
    use crate::verify::{Fault, Verdict, verify};

    #[test]
    fn what_has_gone_by_itself_is_not_signed_for() {
        let temp = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(temp.path().join("ledger")).unwrap();
        ledger.append(&json!({})).unwrap();
        let name = Name::parse(&ledger.segment().unwrap()).unwrap();
        ledger.close().unwrap();
        let dir = Dir::existing(&temp.path().join("ledger")).unwrap();
        fs::remove_file(dir.segment(&name)).unwrap();
        assert!(remove(&dir, &Key::load(&dir).unwrap(), vec![(&name, 2)]).unwrap().is_empty());
        let Verdict::Broken(broken) = verify(temp.path().join("ledger")).unwrap() else {
            panic!("whole");
        };
        assert_eq!(broken.fault, Fault::MissingSegment);
    }
}
