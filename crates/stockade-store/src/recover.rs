//! What a process that was killed has left: its last records are chained, and nobody signed them.
//! Whoever opens the ledger next signs them as they were found, and says so, so that nobody can
//! change them after that.

use std::fs::{self, File, TryLockError};

use serde::Serialize;

use crate::clock;
use crate::error::Error;
use crate::files::{self, Dir};
use crate::manifest::{Event, Manifest};
use crate::seal::Key;
use crate::verify::{self, Entry, Stop};

/// A record about a segment that was not closed.
#[derive(Debug, Serialize)]
pub(crate) struct Recovered {
    kind: &'static str,
    segment: String,
    /// How many of its records were not signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    /// When the first of them was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    says: String,
}

/// Closes the segments whose processes are gone. One that is not whole stays as it is, and each
/// start says so again.
pub(crate) fn recover(
    dir: &Dir,
    key: &Key,
    manifest: &Manifest<'_>,
) -> Result<Vec<Recovered>, Error> {
    let public = key.public();
    let mut recovered = Vec::new();
    for byte in manifest.tail(&public)?.open {
        let Some(entry) = manifest.entry(byte, &public)?.and_then(Entry::of) else { continue };
        let segment = entry.name.as_str().to_owned();
        let (path, draft) = (dir.segment(&entry.name), dir.draft(&entry.name));
        // Asked before it is read: a process that is killed after that may have written more.
        let file = [&path, &draft].into_iter().find_map(|it| File::open(it).ok());
        let locked = file.as_ref().map(File::try_lock_shared);
        if matches!(locked, Some(Err(TryLockError::WouldBlock))) {
            continue;
        }
        let found = match verify::segment(dir, &public, &entry) {
            Ok(found) => found,
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Broken(broken)) => {
                let says = format!("unsealed tail found, and not sealed: {broken}");
                let kind = "ledger.recovered";
                recovered.push(Recovered { kind, segment, records: None, since: None, says });
                continue;
            }
        };
        let failed = |source| files::write_failed(&path, source);
        if draft.exists() {
            fs::rename(&draft, &path).map_err(failed)?;
        }
        if found.torn {
            let file = files::open(&path, files::options().write(true))?;
            file.set_len(found.bytes).map_err(failed)?;
        }
        let closed = Event::Closed {
            segment: segment.clone(),
            records: found.end.seq,
            head: found.end.prev.to_string(),
            bytes: found.bytes,
            unsigned: found.unsealed,
        };
        manifest.close(key, clock::now_ms(), byte, closed)?;
        let torn = if found.torn { ", and one that was not finished" } else { "" };
        recovered.push(Recovered {
            kind: "ledger.recovered",
            segment,
            records: Some(found.unsealed),
            since: found.since,
            says: format!("unsealed tail found: {} records{torn}", found.unsealed),
        });
    }
    Ok(recovered)
}
