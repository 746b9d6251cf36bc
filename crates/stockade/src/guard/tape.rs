//! What a client says and is told, kept as it was, for a command that writes it down as a file. It is
//! the client's side of a conversation: before anything of it was mended on the way to the server, and
//! after what came back was.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use stockade_core::message::Side;
use stockade_core::session::Event;

/// So many messages are kept, and so much of them in bytes. A conversation has no end of itself.
const MESSAGES_MAX: usize = 100_000;
const BYTES_MAX: usize = 64 << 20;

/// What was kept.
#[derive(Debug, Default)]
pub struct Tape(Mutex<Kept>);

/// One message: who has said it, and its bytes.
pub type Line = (Side, Bytes);

#[derive(Debug, Default)]
struct Kept {
    lines: Vec<Line>,
    bytes: usize,
    more: usize,
}

impl Tape {
    /// What was kept, in the order in which it was said, and how much more there was.
    pub fn take(&self) -> (Vec<Line>, usize) {
        let Kept { lines, more, .. } = std::mem::take(&mut *self.lock());
        (lines, more)
    }

    /// Keeps what a client has said.
    pub(super) fn hears(&self, event: &Event) {
        if let Event::Heard { from: Side::Client, bytes } = event {
            self.keep(Side::Client, bytes.clone());
        }
        if let Event::Said(message) | Event::Looked { message, .. } = event
            && message.from() == Side::Client
        {
            self.keep(Side::Client, message.bytes().clone());
        }
    }

    /// Keeps what it is told.
    pub(super) fn tells(&self, bytes: &Bytes) {
        self.keep(Side::Server, bytes.clone());
    }

    fn keep(&self, side: Side, bytes: Bytes) {
        let mut kept = self.lock();
        // What comes after something that was left out would be another conversation.
        let has_room = kept.lines.len() < MESSAGES_MAX
            && kept.bytes.saturating_add(bytes.len()) <= BYTES_MAX
            && kept.more == 0;
        if has_room {
            kept.bytes += bytes.len();
            kept.lines.push((side, bytes));
        } else {
            kept.more += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
