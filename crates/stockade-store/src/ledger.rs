//! Writing: an open ledger writes one segment after the other, each of which many threads append to.
//! What [`Ledger::append`] has returned for, the system has; after any failure nothing more is taken.
//!
//! A record takes its place in the chain under one lock and is written under another. Whoever gets
//! to write, writes what has come until then, so that records that come at once go out in one
//! write. What nobody waits for is written along with the next record, or else by the *clerk*, a
//! thread that also signs. Whoever fills a segment begins the next. What is no longer kept is removed by another,
//! the *sweeper*, so that nobody waits for it.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;

use crate::chain::End;
use crate::clock;
use crate::error::Error;
use crate::files::{self, Dir};
use crate::keep::{self, Keep, Removed};
use crate::manifest::Manifest;
use crate::recover::recover;
use crate::seal::Key;
use crate::segment::Segment;

/// A checkpoint is due after this many records.
const UNSEALED_MAX: u64 = 1024;

/// So much may wait to be written.
const UNWRITTEN_BYTES_MAX: usize = 64 << 10;

/// How often it is looked for what is no longer kept, where no segment is closed meanwhile.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

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

/// How a ledger is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// When records are on the disk.
    pub durability: Durability,
    /// How long a record of [`Ledger::append_soon`] may wait to be written.
    pub write_within: Duration,
    /// How long a record may wait to be signed; 1024 records do not wait.
    pub seal_within: Duration,
    /// A segment that has so many bytes is closed, and the next begins.
    pub segment_bytes_max: u64,
    /// And one that is so old, unless nothing was recorded in it.
    pub segment_age: Duration,
    /// How much is kept of the segments that are closed.
    pub keep: Keep,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            write_within: Duration::from_millis(20),
            seal_within: Duration::from_secs(1),
            segment_bytes_max: 64 << 20,
            segment_age: Duration::from_secs(86_400),
            keep: Keep::default(),
        }
    }
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
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Where a record is in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its number, from 0; record 0 is the ledger's own.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// How many records a ledger has taken since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// All of them.
    pub taken: u64,
    /// Those that a signature covers.
    pub sealed: u64,
}

impl Counted {
    /// Those that none covers yet.
    pub fn unsealed(&self) -> u64 {
        self.taken.saturating_sub(self.sealed)
    }
}

/// Who needs both locks takes the pen first.
struct Shared {
    dir: Dir,
    key: Key,
    options: Options,
    pen: Mutex<Pen>,
    chain: Mutex<Chain>,
    /// What [`Counted`] says, for who must not wait for either.
    taken: AtomicU64,
    sealed: AtomicU64,
    /// Tells the clerk that there is something to do.
    work: Condvar,
    /// Tells the sweeper that a segment was closed.
    turned: Condvar,
}

/// What records are added to.
struct Chain {
    end: End,
    at_ms: u64,
    /// What is not written yet.
    lines: Vec<u8>,
    /// How many records were taken.
    taken: u64,
    /// How many segments were begun.
    segments: u64,
    clerk_waits: bool,
    state: State,
}

/// What writes them.
struct Pen {
    segment: Segment,
    lines: Vec<u8>,
    /// How many of the records that were taken are written.
    written: u64,
}

enum State {
    Open,
    Closed,
    Failed(String),
}

impl Ledger {
    /// Opens the ledger of a directory for writing: makes what is not there, begins a segment, and
    /// notes in it what processes that were killed have left unsigned.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(dir, Options::default())
    }

    /// Like [`Self::open`], with a choice of how it is written.
    pub fn open_with(dir: impl AsRef<Path>, options: Options) -> Result<Self, Error> {
        let dir = Dir::make(dir.as_ref())?;
        let manifest = Manifest::lock(&dir)?;
        let key = Key::load_or_make(&dir, manifest.is_empty()?)?;
        let recovered = recover(&dir, &key, &manifest)?;
        let at_ms = clock::now_ms();
        let segment = Segment::begin(&dir, &key, options.durability, &manifest, at_ms)?;
        drop(manifest);
        let chain = Chain {
            end: segment.end,
            at_ms,
            lines: Vec::new(),
            taken: 0,
            segments: 1,
            clerk_waits: false,
            state: State::Open,
        };
        let path = segment.path.clone();
        let shared = Arc::new(Shared {
            dir,
            key,
            options,
            pen: Mutex::new(Pen { segment, lines: Vec::new(), written: 0 }),
            chain: Mutex::new(chain),
            taken: AtomicU64::new(0),
            sealed: AtomicU64::new(0),
            work: Condvar::new(),
            turned: Condvar::new(),
        });
        let mut ledger = Self { shared, threads: Vec::new() };
        let mut start = |name: &str, work: fn(&Shared)| {
            let shared = Arc::clone(&ledger.shared);
            let started = thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared));
            ledger.threads.push(started.map_err(|source| files::open_failed(&path, source))?);
            Ok::<_, Error>(())
        };
        start("ledger", Shared::clerk)?;
        if !options.keep.is_all() {
            start("ledger-sweeper", Shared::sweeper)?;
        }
        recovered.iter().try_for_each(|it| ledger.append(it).map(drop))?;
        Ok(ledger)
    }

    /// The name of the segment that this ledger writes now.
    pub fn segment(&self) -> Result<String, Error> {
        Ok(self.shared.pen()?.segment.name.as_str().to_owned())
    }

    /// Appends one record: what serialises as an object without the names `seq`, `at`, `prev` and
    /// `hash`. When this returns, the system has the record. A record that is refused for what it
    /// is leaves the ledger as it was; any other failure is the ledger's last.
    pub fn append(&self, record: &(impl Serialize + ?Sized)) -> Result<Position, Error> {
        let (position, taken, _) = self.shared.take(record)?;
        self.shared.write_until(taken)?;
        Ok(position)
    }

    /// The same for a record that nothing depends on. It has its place in the chain when this
    /// returns, and is written together with the next record, or after
    /// [`Options::write_within`]; a process that is killed before has not written it.
    pub fn append_soon(&self, record: &(impl Serialize + ?Sized)) -> Result<Position, Error> {
        let (position, taken, unwritten) = self.shared.take(record)?;
        if unwritten >= UNWRITTEN_BYTES_MAX {
            self.shared.write_until(taken)?;
        }
        Ok(position)
    }

    /// Whether it still takes records. A failure of what happens by itself shows here, also when
    /// nobody appends.
    pub fn check(&self) -> Result<(), Error> {
        self.shared.chain().map(drop)
    }

    /// How many records it has taken, without waiting for who writes.
    pub fn counted(&self) -> Counted {
        // In this order: what is signed was taken before.
        let sealed = self.shared.sealed.load(Ordering::Acquire);
        Counted { taken: self.shared.taken.load(Ordering::Acquire), sealed }
    }

    /// Writes what is not written yet, signs the head of the segment now, if it has moved, makes
    /// sure that the files are still there, and begins the next segment if it is time for it. While
    /// the ledger is open, it happens by itself.
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.shared.tend(|_| true).map(drop)
    }

    /// Signs the head and enters it in the manifest; nothing more is taken then. Dropping a ledger
    /// does the same, and tells nobody when it fails.
    pub fn close(&self) -> Result<(), Error> {
        self.shared.close()
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // What cannot be entered stays open in the manifest, which `verify` understands.
        let _unheard = self.close();
        let mut chain = self.shared.chain.lock().unwrap_or_else(PoisonError::into_inner);
        if chain.is_open() {
            chain.state = State::Closed;
        }
        drop(chain);
        self.shared.work.notify_all();
        self.shared.turned.notify_all();
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

impl Shared {
    /// Gives a record its place. Answers which one it is of all that were taken, and how many bytes
    /// are not written yet.
    fn take(&self, record: &(impl Serialize + ?Sized)) -> Result<(Position, u64, usize), Error> {
        let mut chain = self.chain()?;
        // A clock that is set back must not reorder a segment.
        chain.at_ms = chain.at_ms.max(clock::now_ms());
        let Chain { end, at_ms, lines, .. } = &mut *chain;
        let link = end.compose(*at_ms, record, lines)?;
        lines.push(b'\n');
        end.advance(&link);
        chain.taken += 1;
        self.taken.store(chain.taken, Ordering::Release);
        if std::mem::take(&mut chain.clerk_waits) {
            self.work.notify_all();
        }
        let position = Position { seq: link.seq, hash: *link.hash.as_bytes() };
        Ok((position, chain.taken, chain.lines.len()))
    }

    /// Returns when so many of the records that were taken are written.
    fn write_until(&self, taken: u64) -> Result<(), Error> {
        let mut pen = self.pen()?;
        if pen.written >= taken {
            // Whoever had the pen before has written it.
            return Ok(());
        }
        let written = self.write(&mut pen);
        self.or_fail(written)?;
        self.turn_if_full(&mut pen)
    }

    /// Writes all that was taken. Meanwhile more may be taken.
    fn write(&self, pen: &mut Pen) -> Result<(), Error> {
        let (end, at_ms, taken) = pen.dip(&mut *self.chain()?);
        self.put(pen, end, at_ms, taken)
    }

    fn put(&self, pen: &mut Pen, end: End, at_ms: u64, taken: u64) -> Result<(), Error> {
        if !pen.lines.is_empty() {
            pen.segment.write(&pen.lines, end, at_ms)?;
            pen.lines.clear();
            pen.written = taken;
        }
        if pen.segment.unsealed() >= UNSEALED_MAX { self.seal(pen) } else { Ok(()) }
    }

    fn seal(&self, pen: &mut Pen) -> Result<(), Error> {
        pen.segment.seal(&self.dir, &self.key, self.options.durability)?;
        self.sealed.store(pen.written, Ordering::Release);
        Ok(())
    }

    /// Writes what there is, signs it if that is due, and begins the next segment if that is.
    /// Answers how many of the records that were taken are signed.
    fn tend(&self, is_due: impl FnOnce(&Segment) -> bool) -> Result<u64, Error> {
        let mut pen = self.pen()?;
        let tended = self
            .write(&mut pen)
            .and_then(|()| if is_due(&pen.segment) { self.seal(&mut pen) } else { Ok(()) });
        self.or_fail(tended)?;
        self.turn_if_full(&mut pen)?;
        Ok(pen.written.saturating_sub(pen.segment.unsealed()))
    }

    fn close(&self) -> Result<(), Error> {
        let mut pen = self.pen()?;
        let mut chain = self.chain()?;
        let closed = self.finish(&mut pen, &mut chain).map(drop);
        chain.or_fail(closed)?;
        chain.state = State::Closed;
        self.work.notify_all();
        self.turned.notify_all();
        Ok(())
    }

    fn turn_if_full(&self, pen: &mut Pen) -> Result<(), Error> {
        let Options { segment_bytes_max, segment_age, .. } = self.options;
        if pen.segment.is_full(segment_bytes_max, segment_age) { self.turn(pen) } else { Ok(()) }
    }

    /// Closes the segment and begins the next. Nothing is taken meanwhile. The manifest is locked
    /// all the time, so that the first record of the next segment follows the end of this one.
    fn turn(&self, pen: &mut Pen) -> Result<(), Error> {
        let mut chain = self.chain()?;
        let finished = self.finish(pen, &mut chain);
        // Later than all in this one, so that who sorts by time never mixes the two.
        let at_ms = clock::now_ms().max(chain.at_ms.saturating_add(1));
        let begun = finished.and_then(|manifest| {
            Segment::begin(&self.dir, &self.key, self.options.durability, &manifest, at_ms)
        });
        pen.segment = chain.or_fail(begun)?;
        chain.end = pen.segment.end;
        chain.at_ms = at_ms;
        chain.segments += 1;
        self.turned.notify_all();
        Ok(())
    }

    /// Writes what was taken, signs it, and enters the end of the segment in the manifest, which
    /// stays locked.
    fn finish(&self, pen: &mut Pen, chain: &mut Chain) -> Result<Manifest<'_>, Error> {
        let (end, at_ms, taken) = pen.dip(chain);
        self.put(pen, end, at_ms, taken)?;
        self.seal(pen)?;
        let manifest = Manifest::lock(&self.dir)?;
        pen.segment.close(&self.key, &manifest)?;
        Ok(manifest)
    }

    /// Writes what nobody waits for and signs what is written, for as long as the ledger is open.
    fn clerk(&self) {
        let mut sealed = 0;
        loop {
            let Ok(mut chain) = self.chain() else { return };
            chain.clerk_waits = chain.taken == sealed;
            let has_nothing = |it: &mut Chain| it.is_open() && it.taken == sealed;
            // A segment that nobody writes to any more grows old all the same.
            let age = self.options.segment_age;
            let Ok(chain) = self.work.wait_timeout_while(chain, age, has_nothing) else { return };
            let chain = chain.0;
            let soon = self.options.write_within;
            let Ok(chain) = self.work.wait_timeout_while(chain, soon, |it| it.is_open()) else {
                return;
            };
            drop(chain);
            let seal_within = self.options.seal_within;
            // A failure is the ledger's last, and whoever appends next is told.
            let Ok(tended) = self.tend(|it| it.sealed_at.elapsed() >= seal_within) else { return };
            sealed = tended;
        }
    }

    /// Removes what is no longer kept, whenever a segment was closed, and now and then.
    fn sweeper(&self) {
        loop {
            let Ok(segments) = self.chain().map(|it| it.segments) else { return };
            let goes_on = || self.chain().is_ok();
            let swept = keep::sweep(&self.dir, &self.key, &self.options.keep, goes_on);
            if let Some(record) = swept.unwrap_or_else(|error| Some(Removed::failed(&error))) {
                let noted = self.take(&record).and_then(|(_, taken, _)| self.write_until(taken));
                if noted.is_err() {
                    return;
                }
            }
            let Ok(chain) = self.chain() else { return };
            let stays = |it: &mut Chain| it.is_open() && it.segments == segments;
            if self.turned.wait_timeout_while(chain, SWEEP_EVERY, stays).is_err() {
                return;
            }
        }
    }

    fn pen(&self) -> Result<MutexGuard<'_, Pen>, Error> {
        self.pen.lock().map_err(|_| panicked())
    }

    /// The chain, if it may still grow.
    fn chain(&self) -> Result<MutexGuard<'_, Chain>, Error> {
        let chain = self.chain.lock().map_err(|_| panicked())?;
        let cause = match &chain.state {
            State::Open => return Ok(chain),
            State::Closed => "it is closed".to_owned(),
            State::Failed(cause) => cause.clone(),
        };
        Err(Error::Poisoned { cause })
    }

    fn or_fail<T>(&self, done: Result<T, Error>) -> Result<T, Error> {
        match self.chain.lock() {
            Ok(mut chain) if done.is_err() => chain.or_fail(done),
            Ok(_) | Err(_) => done,
        }
    }
}

fn panicked() -> Error {
    Error::Poisoned { cause: "a thread panicked while it wrote".to_owned() }
}

impl Pen {
    /// Takes up what is to be written, and where the chain is after it.
    fn dip(&mut self, chain: &mut Chain) -> (End, u64, u64) {
        std::mem::swap(&mut self.lines, &mut chain.lines);
        (chain.end, chain.at_ms, chain.taken)
    }
}

impl Chain {
    fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// After a failure nobody knows what the file holds, so it is the last.
    fn or_fail<T>(&mut self, done: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &done
            && self.is_open()
        {
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
    use std::fs::File;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;

    use serde_json::json;

    use super::*;
    use crate::verify::{Verdict, verify};

    /// Nothing happens by itself.
    const NEVER: Duration = Duration::from_secs(3600);
    fn still() -> Options {
        Options { write_within: NEVER, seal_within: NEVER, ..Options::default() }
    }

    fn ledger() -> (tempfile::TempDir, Ledger) {
        let temp = tempfile::tempdir().unwrap();
        let ledger = Ledger::open_with(temp.path().join("ledger"), still()).unwrap();
        (temp, ledger)
    }

    /// Has the ledger write elsewhere. Answers where it wrote before.
    fn divert(ledger: &Ledger, file: File) -> File {
        std::mem::replace(&mut ledger.shared.pen.lock().unwrap().segment.file, file)
    }

    /// Where each write arrives by itself.
    fn writes(ledger: &Ledger) -> UnixDatagram {
        let (here, there) = UnixDatagram::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        divert(ledger, File::from(OwnedFd::from(there)));
        here
    }

    fn records_of_write(writes: &UnixDatagram) -> Option<usize> {
        let mut bytes = [0; 64 << 10];
        let length = writes.recv(&mut bytes).ok()?;
        Some(bytes[..length].split(|it| *it == b'\n').count() - 1)
    }

    /// After a write that fails for what `file` is, nothing more is taken.
    fn check_fails(file: &dyn Fn() -> File, cause: &str) {
        type Write = fn(&Ledger) -> Result<(), Error>;
        let soon: Write = |it| {
            it.append_soon(&json!({})).unwrap();
            it.checkpoint()
        };
        for write in [|it: &Ledger| it.append(&json!({})).map(drop), soon] {
            let (temp, ledger) = ledger();
            ledger.append(&json!({})).unwrap();
            let good = divert(&ledger, file());
            assert!(matches!(write(&ledger), Err(Error::Write { .. })));
            divert(&ledger, good);
            let soon = ledger.append_soon(&json!({})).map(drop);
            for refused in [ledger.append(&json!({})).map(drop), soon, ledger.checkpoint()] {
                let Err(Error::Poisoned { cause: it }) = refused else {
                    panic!("{refused:?}");
                };
                assert!(it.contains(cause), "{it}");
            }
            assert!(matches!(ledger.close(), Err(Error::Poisoned { .. })));
            // What was written before is still there, and still whole.
            let Verdict::Whole(whole) = verify(temp.path().join("ledger")).unwrap() else {
                panic!("broken");
            };
            assert_eq!((whole.records, whole.unsealed), (2, 1));
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_ends_the_ledger() {
        check_fails(&|| File::open("/dev/null").unwrap(), "Bad file descriptor");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_ends_the_ledger() {
        let full = || File::options().write(true).open("/dev/full").unwrap();
        check_fails(&full, "No space left on device");
    }

    #[test]
    fn a_thread_that_panics_while_it_writes_ends_the_ledger() {
        for hold in [
            |it: &Shared| {
                let _pen = it.pen.lock().unwrap();
                panic!("while it writes");
            },
            |it: &Shared| {
                let _chain = it.chain.lock().unwrap();
                panic!("while it takes");
            },
        ] {
            let (_temp, ledger) = ledger();
            assert!(thread::scope(|scope| scope.spawn(|| hold(&ledger.shared)).join().is_err()));
            assert!(matches!(ledger.append(&json!({})), Err(Error::Poisoned { .. })));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_mixes_no_segments() {
        let temp = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes_max: 1, ..still() };
        let ledger = Ledger::open_with(temp.path().join("ledger"), options).unwrap();
        let later = clock::now_ms() + 3_600_000;
        ledger.shared.chain.lock().unwrap().at_ms = later;
        let first = ledger.segment().unwrap();
        ledger.append(&json!({})).unwrap();
        let second = ledger.segment().unwrap();
        assert!(second.starts_with(&clock::compact(&clock::text(later + 1))), "{first} {second}");
        ledger.append(&json!({})).unwrap();
        assert!(ledger.segment().unwrap() > second);
    }

    #[test]
    fn what_nobody_waits_for_is_written_with_the_next_record() {
        let (_temp, ledger) = ledger();
        let writes = writes(&ledger);
        for _ in 0..3 {
            ledger.append_soon(&json!({})).unwrap();
        }
        assert_eq!(records_of_write(&writes), None);
        ledger.append(&json!({})).unwrap();
        assert_eq!(records_of_write(&writes), Some(4));
        assert_eq!(records_of_write(&writes), None);
    }

    #[test]
    fn no_more_than_so_much_waits_to_be_written() {
        let (_temp, ledger) = ledger();
        let half = json!({ "a": "x".repeat(UNWRITTEN_BYTES_MAX / 2) });
        for is_written in [false, true, false, true] {
            ledger.append_soon(&half).unwrap();
            assert_eq!(ledger.shared.chain.lock().unwrap().lines.is_empty(), is_written);
        }
    }

    #[test]
    fn records_that_come_at_once_go_out_in_one_write() {
        let (_temp, ledger) = ledger();
        let writes = writes(&ledger);
        thread::scope(|scope| {
            let pen = ledger.shared.pen.lock().unwrap();
            for _ in 0..8 {
                scope.spawn(|| ledger.append(&json!({})).unwrap());
            }
            while ledger.shared.chain.lock().unwrap().taken < 8 {
                thread::yield_now();
            }
            assert_eq!(records_of_write(&writes), None);
            drop(pen);
        });
        assert_eq!(records_of_write(&writes), Some(8));
        assert_eq!(records_of_write(&writes), None);
    }
}
