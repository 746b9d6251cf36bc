//! One stream of events to one client, which may break and be taken up again.
//!
//! Events wait here until they are read. While somebody reads, a full channel makes the writer
//! wait; while nobody does, the oldest events give way. A channel that can be resumed keeps what
//! was read, within the same bounds, until it is dropped.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use hyper::body::Frame;
use stockade_wire::sse::server::{KEEP_ALIVE, Outgoing, encode};
use tokio::sync::Notify;
use tokio::time::{Duration, timeout};

/// The most events that wait in a channel.
const EVENTS_MAX: usize = 256;
/// The most bytes that wait in a channel, but for one event that is larger by itself.
const BYTES_MAX: usize = 1 << 20;
/// Proxies close connections on which nothing happens; a comment is something.
const QUIET: Duration = Duration::from_secs(15);
/// So many streams that may still be taken up again are kept for a session.
const STREAMS_MAX: usize = 16;

/// The streams of one session.
#[derive(Debug)]
pub struct Streams {
    /// What their names begin with.
    mark: &'static str,
    numbers: AtomicU64,
    /// Those that can be taken up again.
    kept: Mutex<Vec<Arc<Channel>>>,
}

impl Streams {
    /// None yet. Their names begin with `mark`.
    pub fn new(mark: &'static str) -> Self {
        Self { mark, numbers: AtomicU64::new(0), kept: Mutex::default() }
    }

    /// A stream for one answer; one that can be taken up again, where the revision has that.
    pub fn open(&self, resumes: bool) -> Arc<Channel> {
        if !resumes {
            return Channel::new("");
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let channel = Channel::new(&format!("{}{number}", self.mark));
        let mut kept = self.kept();
        if kept.len() >= STREAMS_MAX {
            // What waits for a person can take long, and the answer is still to come.
            let ended = kept.iter().position(|it| it.is_closed()).unwrap_or_default();
            kept.remove(ended);
        }
        kept.push(Arc::clone(&channel));
        channel
    }

    /// The stream that an event was on, and the number of the event.
    pub fn find(&self, event: &str) -> Option<(Arc<Channel>, u64)> {
        let (name, number) = event.rsplit_once('-')?;
        let number = number.parse().ok()?;
        let found = self.kept().iter().find(|it| it.name == name).cloned()?;
        Some((found, number))
    }

    /// None is taken up again. Whoever writes to one writes the last of it, and closes it.
    pub fn forget(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Arc<Channel>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream of events, between its writer and its reader.
#[derive(Debug)]
pub struct Channel {
    /// What its event ids begin with; empty, when it cannot be resumed.
    name: String,
    state: Mutex<State>,
    written: Notify,
    read: Notify,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<(u64, Bytes)>,
    bytes: usize,
    /// The number of the last event that was written.
    last: u64,
    /// The number of the last event that was read.
    seen: u64,
    reading: bool,
    closed: bool,
}

impl Channel {
    /// A channel whose events carry ids that begin with `name`, when it has one.
    pub fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            state: Mutex::default(),
            written: Notify::new(),
            read: Notify::new(),
        })
    }

    /// Writes a message, when there is room for it.
    pub async fn push(&self, message: &Bytes) {
        loop {
            let room = self.read.notified();
            {
                let mut state = self.state();
                if state.closed {
                    return;
                }
                if !state.reading || state.has_room(message.len()) {
                    self.add(&mut state, message);
                    break;
                }
            }
            room.await;
        }
        self.written.notify_one();
    }

    /// Writes a message at once. Where there is no room for it, the oldest gives way.
    pub fn put(&self, message: &Bytes) {
        let mut state = self.state();
        if !state.closed {
            self.add(&mut state, message);
            drop(state);
            self.written.notify_one();
        }
    }

    fn add(&self, state: &mut State, message: &Bytes) {
        state.last += 1;
        let number = state.last;
        let id = (!self.name.is_empty()).then(|| format!("{}-{number}", self.name));
        let event = Outgoing { id: id.as_deref(), data: message, ..Outgoing::default() };
        let encoded = encode(&event);
        state.bytes += encoded.len();
        state.kept.push_back((number, encoded));
        state.trim();
    }

    /// Writes an event of another name than `message`.
    pub fn announce(&self, encoded: Bytes) {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        state.bytes += encoded.len();
        state.kept.push_back((number, encoded));
        drop(state);
        self.written.notify_one();
    }

    /// Nothing more will be written.
    pub fn close(&self) {
        self.state().closed = true;
        self.written.notify_one();
        self.read.notify_waiters();
    }

    fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Whether somebody reads it.
    pub fn is_read(&self) -> bool {
        self.state().reading
    }

    /// Returns when nobody reads it.
    pub async fn left(&self) {
        loop {
            let read = self.read.notified();
            if !self.is_read() {
                return;
            }
            read.await;
        }
    }

    /// What is written after the event `after`, or all that is still there. Nothing, when somebody
    /// reads it already, or when what came after that event is not there any more.
    pub fn read(
        self: &Arc<Self>,
        after: Option<u64>,
    ) -> Option<impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + use<>> {
        let mut state = self.state();
        if std::mem::replace(&mut state.reading, true) {
            return None;
        }
        let first = state.kept.front().map_or(state.last + 1, |(number, _)| *number);
        if after.is_some_and(|it| it + 1 < first || it > state.last) {
            state.reading = false;
            return None;
        }
        let from = after.unwrap_or(if self.name.is_empty() { state.seen } else { 0 });
        drop(state);
        let reader = Reader { channel: Arc::clone(self), from };
        Some(stream::unfold(reader, |mut reader| async move {
            let bytes = reader.next().await?;
            Some((Ok(Frame::data(bytes)), reader))
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, bytes: usize) -> bool {
        let waiting = self.kept.iter().filter(|(number, _)| *number > self.seen);
        let (count, sum) = waiting.fold((0, 0), |(n, sum), (_, it)| (n + 1, sum + it.len()));
        count == 0 || (count < EVENTS_MAX && sum + bytes <= BYTES_MAX)
    }

    fn trim(&mut self) {
        while self.kept.len() > EVENTS_MAX || (self.bytes > BYTES_MAX && self.kept.len() > 1) {
            let Some((_, gone)) = self.kept.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(gone.len());
        }
    }
}

/// The one who reads a channel. Dropping it lets another read on.
struct Reader {
    channel: Arc<Channel>,
    from: u64,
}

impl Reader {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let written = self.channel.written.notified();
            {
                let mut state = self.channel.state();
                let next = state.kept.iter().find(|(number, _)| *number > self.from).cloned();
                if let Some((number, bytes)) = next {
                    self.from = number;
                    state.seen = state.seen.max(number);
                    if self.channel.name.is_empty() {
                        state.kept.retain(|(it, _)| *it > number);
                        state.bytes = state.kept.iter().map(|(_, it)| it.len()).sum();
                    }
                    drop(state);
                    self.channel.read.notify_waiters();
                    return Some(bytes);
                }
                if state.closed {
                    return None;
                }
            }
            if timeout(QUIET, written).await.is_err() {
                return Some(KEEP_ALIVE);
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.channel.state().reading = false;
        self.channel.read.notify_waiters();
    }
}
