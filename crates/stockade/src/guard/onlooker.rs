//! Somebody who sees what a guard writes down, for a command that tells what came of its own
//! requests. What only says that something passed is not kept.

use std::sync::{Mutex, MutexGuard, PoisonError};

use stockade_core::record::{Kind, Record, Status};

/// So many records are kept. A server can have as many written as it likes.
const KEPT_MAX: usize = 10_000;

/// What was seen.
#[derive(Debug, Default)]
pub struct Onlooker(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    kept: Vec<Record>,
    more: usize,
}

impl Onlooker {
    /// Takes note of a record.
    pub(super) fn sees(&self, record: &Record) {
        if !says_something(record) {
            return;
        }
        let mut seen = self.lock();
        if seen.kept.len() < KEPT_MAX {
            seen.kept.push(record.clone());
        } else {
            seen.more += 1;
        }
    }

    /// What was seen since this was asked last, and how much more there was.
    pub fn take(&self) -> (Vec<Record>, usize) {
        let Seen { kept, more } = std::mem::take(&mut *self.lock());
        (kept, more)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn says_something(record: &Record) -> bool {
    let passed = matches!(record.decision, None | Some("allow"))
        && matches!(record.status, None | Some(Status::Ok | Status::ToolError | Status::Error));
    let is_news = match record.kind {
        Kind::Violation | Kind::Lock | Kind::Touched => true,
        Kind::Start
        | Kind::Stop
        | Kind::Question
        | Kind::Grant
        | Kind::Decision
        | Kind::Outcome
        | Kind::Notice
        | Kind::Refusal
        | Kind::Stderr
        | Kind::Egress
        | Kind::Policy
        | Kind::Roots
        | Kind::Alert => false,
    };
    is_news || !passed || record.mended || record.would.is_some() || !record.findings.is_empty()
}
