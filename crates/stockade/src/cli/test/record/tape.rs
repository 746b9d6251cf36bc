//! What a client says and is told, kept as it was. It is the client's side of a conversation: before
//! anything of it was mended on the way to the server, and after what came back was.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use stockade_core::message::Side;
use stockade_core::record::Record;

use crate::guard::tap::{Tap, Turn};

/// So many messages are kept, and so much of them in bytes. A conversation has no end of itself.
const MESSAGES_MAX: usize = 100_000;
const BYTES_MAX: usize = 64 << 20;

/// What was kept.
#[derive(Debug, Default)]
pub(super) struct Tape(Mutex<Kept>);

/// One message: who has said it, and its bytes.
pub(super) type Line = (Side, Bytes);

#[derive(Debug, Default)]
struct Kept {
    lines: Vec<Line>,
    bytes: usize,
    more: usize,
}

impl Tape {
    /// What was kept, in the order in which it was said, and how much more there was.
    pub(super) fn take(&self) -> (Vec<Line>, usize) {
        let Kept { lines, more, .. } = std::mem::take(&mut *self.lock());
        (lines, more)
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

impl Tap for Tape {
    fn turn(&self, turn: &Turn<'_>) {
        if let Some((Side::Client, bytes)) = turn.heard {
            self.keep(Side::Client, bytes.clone());
        }
        for sent in turn.sends.iter().filter(|it| it.to() == Side::Client) {
            self.keep(Side::Server, sent.bytes().clone());
        }
    }

    fn noted(&self, _: &Record) {}
}
