//! Somebody who sees what passes through a guard, to the letter and with what was decided about it, for
//! a command that shows it to whoever tries a server. It sees, and has no say.

use std::fmt;

use bytes::Bytes;
use stockade_core::judge::Cleared;
use stockade_core::message::Side;
use stockade_core::record::Record;
use stockade_core::session::Event;

/// Who sees it. It must not wait: everything else of the conversation waits for it.
pub trait Tap: fmt::Debug + Send + Sync {
    /// Something was heard, or has happened, and this came of it.
    fn turn(&self, turn: &Turn<'_>);

    /// This was written down.
    fn noted(&self, record: &Record);
}

/// What came of one event of a conversation.
#[derive(Debug)]
pub struct Turn<'t> {
    /// Who has said what, to the letter, where it was that.
    pub heard: Option<&'t (Side, Bytes)>,
    /// What was written down of it.
    pub records: &'t [Record],
    /// What is sent for it, in order.
    pub sends: &'t [Cleared],
}

/// What was heard, of an event that says it.
pub(super) fn heard(event: &Event) -> Option<(Side, Bytes)> {
    if let Event::Heard { from, bytes } = event {
        return Some((*from, bytes.clone()));
    }
    if let Event::Answered { bytes, .. } = event {
        return Some((Side::Server, bytes.clone()));
    }
    if let Event::Said(message) | Event::Looked { message, .. } = event {
        return Some((message.from(), message.bytes().clone()));
    }
    // What a transport could not take in has no bytes any more, and says what it was.
    if let Event::Garbled { from, says } = event {
        return Some((*from, Bytes::from(format!("({says})"))));
    }
    None
}
