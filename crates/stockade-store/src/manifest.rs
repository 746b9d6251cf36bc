//! The manifest: the signed chain of which segments were opened, how they were closed, and which of
//! them were removed since. Only changed under an exclusive lock, by a process that has made sure of
//! its end.

use std::fs::File;
use std::io::Write as _;

use serde::{Deserialize, Serialize};

use crate::chain::{End, GENESIS, Link};
use crate::error::Error;
use crate::files::{self, Dir, Line, Lines, Lock};
use crate::seal::{Key, PublicKey};
use crate::verify::{Broken, Fault};

/// What the manifest is called where a segment would be named.
pub(crate) const NAME: &str = "manifest";

/// The manifest, locked. Dropping it lets go.
#[derive(Debug)]
pub(crate) struct Manifest<'a> {
    dir: &'a Dir,
    file: File,
}

/// A line of the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Where the line begins, so that the end is found without reading the whole.
    pub(crate) byte: u64,
    /// Where the entries are of the segments that are open after this one, so that those of killed
    /// processes are found without reading the whole.
    #[serde(default)]
    open: Vec<u64>,
    #[serde(flatten)]
    pub(crate) event: Event,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event {
    /// With the hash of its first record, which names it.
    Opened { segment: String, head: String },
    /// With the number of its records, the hash of the last, and its length. If its process was
    /// killed, so many of them were not signed until somebody else found them.
    Closed {
        segment: String,
        records: u64,
        head: String,
        bytes: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        unsigned: u64,
    },
    /// Closed segments whose files are no longer kept. They were whole until then.
    Removed { segments: Vec<String> },
}

/// Where the next entry goes.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) end: End,
    pub(crate) byte: u64,
    /// Where the entries of the open segments are.
    pub(crate) open: Vec<u64>,
}

impl<'a> Manifest<'a> {
    pub(crate) fn lock(dir: &'a Dir) -> Result<Self, Error> {
        let path = dir.manifest();
        let mut options = files::options();
        let file = files::open(&path, options.read(true).append(true).create(true))?;
        files::lock(&path, &file, Lock::Exclusive)?;
        let manifest = Self { dir, file };
        files::unchanged(&path, &manifest.file, manifest.bytes()?)?;
        Ok(manifest)
    }

    pub(crate) fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.bytes()? == 0)
    }

    /// Adds an entry and signs it. On disk before it counts: a manifest that lost its end in a power
    /// failure could not be told from one whose end was cut off.
    pub(crate) fn append(
        &self,
        key: &Key,
        Tail { end, byte, mut open }: Tail,
        at_ms: u64,
        event: Event,
    ) -> Result<(), Error> {
        if matches!(event, Event::Opened { .. }) {
            open.push(byte);
        }
        let mut record = Vec::new();
        end.compose(at_ms, &Entry { byte, open, event }, &mut record)?;
        let mut line = key.sign(&record);
        line.push(b'\n');
        (&self.file)
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| files::write_failed(&self.dir.manifest(), source))?;
        files::replace(&self.dir.manifest_head(), &line, true)
    }

    /// Adds that the segment whose entry is at `opened` is closed.
    pub(crate) fn close(
        &self,
        key: &Key,
        at_ms: u64,
        opened: u64,
        event: Event,
    ) -> Result<(), Error> {
        let mut tail = self.tail(&key.public())?;
        tail.open.retain(|it| *it != opened);
        self.append(key, tail, at_ms, event)
    }

    /// The entry that begins at this byte, if it is whole and this key signed it.
    pub(crate) fn entry(&self, byte: u64, key: &PublicKey) -> Result<Option<(Link, Entry)>, Error> {
        let mut lines = Lines::open(self.dir.manifest())?;
        lines.seek(byte)?;
        Ok(match lines.next()? {
            Some(Line::Whole(line)) => read(line, key),
            Some(Line::Rest) | None => None,
        })
    }

    /// The end of the manifest: the entry in its head, and what a process that died on the way
    /// between the two left after it.
    pub(crate) fn tail(&self, key: &PublicKey) -> Result<Tail, Error> {
        let path = self.dir.manifest();
        let file = files::open(&path, files::options().read(true))?;
        let mut lines = Lines::new(path.clone(), file);
        let mut end = End::after(GENESIS);
        let mut open = Vec::new();
        let head = files::read(&self.dir.manifest_head())?;
        if let Some(head) = &head {
            let head = head.strip_suffix('\n').unwrap_or(head).as_bytes();
            let (link, entry) =
                read(head, key).ok_or_else(|| tampered(&end, Fault::BadSignature))?;
            lines.seek(entry.byte)?;
            match lines.next()? {
                Some(Line::Whole(found)) if found == head => end.advance(&link),
                _ => return Err(tampered(&end, Fault::Truncated { sealed: link.seq })),
            }
            open = entry.open;
        }
        loop {
            let byte = lines.byte();
            match lines.next()? {
                None => break,
                Some(Line::Rest) => {
                    self.file.set_len(byte).map_err(|source| files::write_failed(&path, source))?;
                    break;
                }
                Some(Line::Whole(line)) => match read(line, key) {
                    Some((link, entry)) if end.accepts(&link) && entry.byte == byte => {
                        end.advance(&link);
                        open = entry.open;
                    }
                    _ => return Err(tampered(&end, Fault::Edited)),
                },
            }
        }
        if head.is_none() && end.seq > 1 {
            return Err(tampered(&end, Fault::MissingHead));
        }
        Ok(Tail { end, byte: lines.byte(), open })
    }

    fn bytes(&self) -> Result<u64, Error> {
        let meta = self.file.metadata();
        let meta = meta.map_err(|source| files::read_failed(&self.dir.manifest(), source))?;
        Ok(meta.len())
    }
}

/// A line of the manifest, if it is whole and this key signed it.
pub(crate) fn read(line: &[u8], key: &PublicKey) -> Option<(Link, Entry)> {
    let record = key.unsign(line)?;
    let entry = serde_json::from_slice(&record).ok()?;
    Some((Link::read(&record)?, entry))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(it: &u64) -> bool {
    *it == 0
}

fn tampered(end: &End, fault: Fault) -> Error {
    Error::Tampered(Broken::new(NAME, end.seq, fault))
}
