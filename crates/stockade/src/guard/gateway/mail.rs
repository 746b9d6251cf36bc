//! What people have said about the calls of one conversation, in the order in which they have said it.
//! Somebody takes it in while there is any; where there is none, nobody waits for it, since there are
//! thousands of conversations that nobody is asked about.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stockade_core::session::Event;

/// What was said and is not taken in.
#[derive(Debug, Default)]
pub(super) struct Mail(Mutex<Letters>);

#[derive(Debug, Default)]
struct Letters {
    waiting: VecDeque<Event>,
    /// Somebody takes it in.
    taken_in: bool,
}

impl Mail {
    /// Adds something. True where whoever does so is to take it in, and all that comes meanwhile.
    pub(super) fn add(&self, event: Event) -> bool {
        let mut letters = self.letters();
        letters.waiting.push_back(event);
        !std::mem::replace(&mut letters.taken_in, true)
    }

    /// What is to be taken in next. When there is nothing, whoever has taken it in is done.
    pub(super) fn next(&self) -> Option<Event> {
        let mut letters = self.letters();
        let next = letters.waiting.pop_front();
        if next.is_none() {
            *letters = Letters::default();
        }
        next
    }

    fn letters(&self) -> MutexGuard<'_, Letters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
