//! Writing: one open ledger is one segment, which many threads append to. What [`Ledger::append`]
//! has returned for, the system has; after any failure nothing more is taken.

use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use blake3::Hash;
use serde::Serialize;

use crate::chain::End;
use crate::clock;
use crate::error::Error;
use crate::files::{self, Dir, Lock, Name};
use crate::manifest::{Event, Manifest, Tail};
use crate::seal::{Checkpoint, Key};

/// A checkpoint is due after this many records, or this long after the one before.
const UNSEALED_MAX: u64 = 1024;
const UNSEALED_FOR: Duration = Duration::from_secs(1);

/// When records are on the disk, and not only with the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When the system writes them. They survive the end of this process, and not a power failure,
    /// after which `verify` misses what was lost.
    #[default]
    Os,
    /// At every checkpoint.
    Disk,
}

/// A ledger that is open for writing. Share it between threads by reference.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let dir = dir.path().join("ledger");
/// use stockade_store::{Ledger, Verdict, verify};
///
/// let ledger = Ledger::open(&dir)?;
/// ledger.append(&serde_json::json!({ "kind": "decision", "tool": "read_file" }))?;
/// ledger.close()?;
/// assert!(matches!(verify(&dir)?, Verdict::Whole(_)));
/// # Ok::<(), stockade_store::Error>(())
/// ```
pub struct Ledger {
    dir: Dir,
    key: Key,
    durability: Durability,
    segment: Name,
    path: PathBuf,
    writer: Mutex<Writer>,
}

/// Where a record is in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its number, from 0; record 0 is the ledger's own.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

struct Writer {
    file: File,
    end: End,
    line: Vec<u8>,
    bytes: u64,
    at_ms: u64,
    sealed: u64,
    sealed_at: Instant,
    state: State,
}

/// The first record of a segment.
#[derive(Serialize)]
struct Opened<'a> {
    kind: &'static str,
    segment: &'a str,
    version: u32,
    pid: u32,
}

enum State {
    Open,
    Closed,
    Failed(String),
}

impl Ledger {
    /// Opens the ledger of a directory for writing: makes what is not there, and begins a segment.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(dir, Durability::Os)
    }

    /// Like [`Self::open`], with a choice of when records are on the disk.
    pub fn open_with(dir: impl AsRef<Path>, durability: Durability) -> Result<Self, Error> {
        let dir = Dir::make(dir.as_ref())?;
        let manifest = Manifest::lock(&dir)?;
        let key = Key::load_or_make(&dir, manifest.is_empty()?)?;
        let at_ms = clock::now_ms();
        let segment = Name::new(at_ms)?;
        let path = dir.draft(&segment);
        let mut options = files::options();
        let file = files::open(&path, options.append(true).create_new(true))?;
        // Held as long as the segment is open: whoever finds it free knows that nobody writes.
        files::lock(&path, &file, Lock::Exclusive)?;
        let tail = manifest.tail(&key.public())?;
        let mut ledger = Self {
            dir: dir.clone(),
            key,
            durability,
            path,
            writer: Mutex::new(Writer {
                file,
                end: End::after(tail.end.prev),
                line: Vec::with_capacity(4096),
                bytes: 0,
                at_ms,
                sealed: 0,
                sealed_at: Instant::now(),
                state: State::Open,
            }),
            segment,
        };
        let begun = ledger.begin(&manifest, tail);
        ledger.writer()?.or_fail(begun)?;
        Ok(ledger)
    }

    /// The first record names its segment, and the manifest has its hash, so that no segment can
    /// stand in for another. The file has its name, and its checkpoint, before anybody may append:
    /// a segment without them was tampered with, and never just interrupted.
    fn begin(&mut self, manifest: &Manifest<'_>, tail: Tail) -> Result<(), Error> {
        let first = self.append(&Opened {
            kind: "ledger.opened",
            segment: self.segment.as_str(),
            version: 1,
            pid: std::process::id(),
        })?;
        self.checkpoint()?;
        let opened = Event::Opened {
            segment: self.segment.as_str().to_owned(),
            head: Hash::from_bytes(first.hash).to_string(),
        };
        manifest.append(&self.key, tail, clock::now_ms(), opened)?;
        let path = self.dir.segment(&self.segment);
        fs::rename(&self.path, &path).map_err(|source| files::write_failed(&path, source))?;
        self.path = path;
        Ok(())
    }

    /// The name of the segment that this ledger writes.
    pub fn segment(&self) -> &str {
        self.segment.as_str()
    }

    /// Appends one record: what serialises as an object without the names `seq`, `at`, `prev` and
    /// `hash`. When this returns, the system has the record. A record that is refused for what it
    /// is leaves the ledger as it was; any other failure is the ledger's last.
    pub fn append(&self, record: &(impl Serialize + ?Sized)) -> Result<Position, Error> {
        let mut writer = self.writer()?;
        // A clock that is set back must not reorder a segment.
        writer.at_ms = writer.at_ms.max(clock::now_ms());
        let Writer { end, line, at_ms, .. } = &mut *writer;
        line.clear();
        let link = end.compose(*at_ms, record, line)?;
        line.push(b'\n');
        end.advance(&link);
        let written = self.write(&mut writer);
        writer.or_fail(written)?;
        Ok(Position { seq: link.seq, hash: *link.hash.as_bytes() })
    }

    /// Signs the head of the segment now, if it has moved, and makes sure that the files are still
    /// there. For when the owner has nothing to do;
    /// while records come, it happens by itself.
    pub fn checkpoint(&self) -> Result<(), Error> {
        let mut writer = self.writer()?;
        let sealed = self.seal(&mut writer);
        writer.or_fail(sealed)
    }

    /// Signs the head and enters it in the manifest; nothing more is taken then. Dropping a ledger
    /// does the same, and tells nobody when it fails.
    pub fn close(&self) -> Result<(), Error> {
        let mut writer = self.writer()?;
        let closed = self.seal(&mut writer).and_then(|()| {
            let event = Event::Closed {
                segment: self.segment.as_str().to_owned(),
                records: writer.end.seq,
                head: writer.end.prev.to_string(),
            };
            let manifest = Manifest::lock(&self.dir)?;
            let tail = manifest.tail(&self.key.public())?;
            manifest.append(&self.key, tail, clock::now_ms(), event)?;
            let unlocked = writer.file.unlock();
            unlocked.map_err(|source| files::write_failed(&self.path, source))
        });
        writer.or_fail(closed)?;
        writer.state = State::Closed;
        Ok(())
    }

    fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        writer
            .file
            .write_all(&writer.line)
            .map_err(|source| files::write_failed(&self.path, source))?;
        writer.bytes += u64::try_from(writer.line.len()).unwrap_or(0);
        let unsealed = writer.end.seq - writer.sealed;
        if unsealed >= UNSEALED_MAX || writer.sealed_at.elapsed() >= UNSEALED_FOR {
            self.seal(writer)?;
        }
        Ok(())
    }

    fn seal(&self, writer: &mut Writer) -> Result<(), Error> {
        // Also when there is nothing to sign: who lost the directory must not find out too late.
        files::unchanged(&self.path, &writer.file, writer.bytes)?;
        if writer.end.seq == writer.sealed {
            return Ok(());
        }
        let to_disk = self.durability == Durability::Disk;
        if to_disk {
            let synced = writer.file.sync_data();
            synced.map_err(|source| files::write_failed(&self.path, source))?;
        }
        let at = clock::text(writer.at_ms);
        let checkpoint = Checkpoint::before(&writer.end, &self.segment, at);
        let head = self.dir.head(&self.segment);
        files::replace(&head, &checkpoint.seal(&self.key), to_disk)?;
        writer.sealed = writer.end.seq;
        writer.sealed_at = Instant::now();
        Ok(())
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>, Error> {
        let poisoned = |cause: &str| Error::Poisoned { cause: cause.to_owned() };
        let Ok(writer) = self.writer.lock() else {
            return Err(poisoned("a thread panicked while it wrote"));
        };
        match &writer.state {
            State::Open => Ok(writer),
            State::Closed => Err(poisoned("it is closed")),
            State::Failed(cause) => Err(poisoned(cause)),
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // What cannot be entered stays open in the manifest, which `verify` understands.
        let _unheard = self.close();
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Writer {
    /// After a failure nobody knows what the file holds, so it is the last.
    fn or_fail<T>(&mut self, done: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &done {
            let mut cause = error.to_string();
            if let Some(source) = std::error::Error::source(error) {
                cause = format!("{cause}: {source}");
            }
            self.state = State::Failed(cause);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::verify::{Verdict, verify};

    /// After a write that fails for what `file` is, nothing more is taken.
    fn check_fails(file: File, cause: &str) {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("ledger");
        let ledger = Ledger::open(&dir).unwrap();
        ledger.append(&json!({})).unwrap();
        let good = std::mem::replace(&mut ledger.writer.lock().unwrap().file, file);
        assert!(matches!(ledger.append(&json!({})), Err(Error::Write { .. })));
        ledger.writer.lock().unwrap().file = good;
        for refused in [ledger.append(&json!({})).map(drop), ledger.checkpoint()] {
            let Err(Error::Poisoned { cause: it }) = refused else {
                panic!("{refused:?}");
            };
            assert!(it.contains(cause), "{it}");
        }
        assert!(matches!(ledger.close(), Err(Error::Poisoned { .. })));
        // What was written before is still there, and still whole.
        let Verdict::Whole(whole) = verify(&dir).unwrap() else {
            panic!("broken");
        };
        assert_eq!((whole.records, whole.unsealed), (2, 1));
    }

    #[test]
    fn a_file_that_cannot_be_written_ends_the_ledger() {
        check_fails(File::open("/dev/null").unwrap(), "Bad file descriptor");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_ends_the_ledger() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        check_fails(full, "No space left on device");
    }

    #[test]
    fn a_thread_that_panics_while_it_writes_ends_the_ledger() {
        let temp = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(temp.path().join("ledger")).unwrap();
        let panicked = std::thread::scope(|scope| {
            let held = || {
                let _writer = ledger.writer.lock().unwrap();
                panic!("while it writes");
            };
            scope.spawn(held).join().is_err()
        });
        assert!(panicked);
        assert!(matches!(ledger.append(&json!({})), Err(Error::Poisoned { .. })));
    }
}
