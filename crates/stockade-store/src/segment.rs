//! One segment while it is written: its file, how far it goes, how much of it is signed, and when
//! the next one is due.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::chain::End;
use crate::clock;
use crate::error::Error;
use crate::files::{self, Dir, Identity, Lock, Name};
use crate::ledger::Durability;
use crate::manifest::{Event, Manifest};
use crate::seal::{Checkpoint, Key};

/// A segment that this process writes.
pub(crate) struct Segment {
    pub(crate) name: Name,
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    identity: Identity,
    /// What is written.
    pub(crate) end: End,
    pub(crate) bytes: u64,
    at_ms: u64,
    /// How many records are signed.
    sealed: u64,
    pub(crate) sealed_at: Instant,
    opened_at: Instant,
    /// Where its entry in the manifest is.
    opened: u64,
}

/// The first record of a segment.
#[derive(Serialize)]
struct Opened<'a> {
    kind: &'static str,
    segment: &'a str,
    version: u32,
    pid: u32,
}

impl Segment {
    /// Begins a segment. The first record names it, and the manifest has its hash, so that no
    /// segment can stand in for another. The file has its name, and its checkpoint, before anybody
    /// may append: a segment without them was tampered with, and never just interrupted.
    pub(crate) fn begin(
        dir: &Dir,
        key: &Key,
        durability: Durability,
        manifest: &Manifest<'_>,
        at_ms: u64,
    ) -> Result<Self, Error> {
        let name = Name::new(at_ms)?;
        let draft = dir.draft(&name);
        let mut options = files::options();
        let file = files::open(&draft, options.append(true).create_new(true))?;
        // Held as long as the segment is open: whoever finds it free knows that nobody writes.
        files::lock(&draft, &file, Lock::Exclusive)?;
        let tail = manifest.tail(&key.public())?;
        let mut end = End::after(tail.end.prev);
        let mut line = Vec::new();
        let opened = Opened {
            kind: "ledger.opened",
            segment: name.as_str(),
            version: 1,
            pid: std::process::id(),
        };
        let first = end.compose(at_ms, &opened, &mut line)?;
        line.push(b'\n');
        end.advance(&first);
        let path = dir.segment(&name);
        let mut segment = Self {
            identity: files::identity(&draft, &file)?,
            path: draft,
            file,
            end,
            bytes: 0,
            at_ms,
            sealed: 0,
            sealed_at: Instant::now(),
            opened_at: Instant::now(),
            opened: tail.byte,
            name,
        };
        segment.write(&line, end, at_ms)?;
        segment.seal(dir, key, durability)?;
        let head = first.hash.to_string();
        let entry = Event::Opened { segment: segment.name.as_str().to_owned(), head };
        manifest.append(key, tail, clock::now_ms(), entry)?;
        fs::rename(&segment.path, &path).map_err(|source| files::write_failed(&path, source))?;
        segment.path = path;
        Ok(segment)
    }

    /// Writes whole lines, after which the chain is at `end`.
    pub(crate) fn write(&mut self, lines: &[u8], end: End, at_ms: u64) -> Result<(), Error> {
        self.file.write_all(lines).map_err(|source| files::write_failed(&self.path, source))?;
        self.bytes += u64::try_from(lines.len()).unwrap_or(0);
        (self.end, self.at_ms) = (end, at_ms);
        // Into a file that was taken away or replaced, writing succeeds as well.
        self.identity.leads(&self.path).map(drop)
    }

    /// Whether it has grown so long or so old that another should follow. One in which nothing was
    /// recorded yet has not.
    pub(crate) fn is_full(&self, bytes_max: u64, age: Duration) -> bool {
        self.end.seq > 1 && (self.bytes >= bytes_max || self.opened_at.elapsed() >= age)
    }

    /// How many records are written and not signed.
    pub(crate) fn unsealed(&self) -> u64 {
        self.end.seq - self.sealed
    }

    /// Signs what is written, if there is more than was signed before.
    pub(crate) fn seal(
        &mut self,
        dir: &Dir,
        key: &Key,
        durability: Durability,
    ) -> Result<(), Error> {
        // Also when there is nothing to sign: who lost the directory must not find out too late.
        files::unchanged(&self.path, &self.file, self.bytes)?;
        if self.unsealed() == 0 {
            return Ok(());
        }
        let to_disk = durability == Durability::Disk;
        if to_disk {
            let synced = self.file.sync_data();
            synced.map_err(|source| files::write_failed(&self.path, source))?;
        }
        let checkpoint = Checkpoint::before(&self.end, &self.name, clock::text(self.at_ms));
        files::replace(&dir.head(&self.name), &checkpoint.seal(key), to_disk)?;
        self.sealed = self.end.seq;
        self.sealed_at = Instant::now();
        Ok(())
    }

    /// Enters the end in the manifest. Everything must be signed.
    pub(crate) fn close(&self, key: &Key, manifest: &Manifest<'_>) -> Result<(), Error> {
        let event = Event::Closed {
            segment: self.name.as_str().to_owned(),
            records: self.end.seq,
            head: self.end.prev.to_string(),
            bytes: self.bytes,
            unsigned: 0,
        };
        manifest.close(key, clock::now_ms(), self.opened, event)?;
        self.file.unlock().map_err(|source| files::write_failed(&self.path, source))
    }
}
