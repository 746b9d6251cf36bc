//! A policy that decides in shadow: what it would have done is written down, and nothing of it is done.
//!
//! What is no policy holds all the same: that a message can be read in one way, what the protocol and
//! its revision allow, the lock, times, the roots that a server is told of, and that everything is
//! recorded.

use crate::judge::Judgement;
use crate::message::Message;
use crate::policy::{Effect, Reason, Verdict};
use crate::record::Record;

use super::effects::reason;

/// What would have been done about a message, and by which rule.
#[derive(Debug, Default)]
pub(super) struct Would {
    done: Option<&'static str>,
    reason: Option<Reason>,
}

impl Would {
    /// What `judgement` would have done.
    fn of(judgement: &Judgement, asks_nobody: bool) -> Self {
        let done = match (judgement.verdict(), judgement.mended()) {
            (Verdict::Deny(_), _) => Some("deny"),
            (Verdict::Ask(_), _) => Some(if asks_nobody { "deny" } else { "ask" }),
            (Verdict::Allow, true) => Some("fix"),
            (Verdict::Allow, false) => None,
        };
        let reason = reason(judgement.verdict(), asks_nobody);
        Self { done, reason: (!reason.rule.is_empty()).then_some(reason) }
    }

    /// Writes down what a rule in shadow would have done. What a person is asked, or what is denied,
    /// is so by another rule.
    pub(super) fn note_beside(self, judgement: &Judgement, record: &mut Record) {
        match judgement.verdict() {
            Verdict::Allow => self.note(record),
            Verdict::Ask(_) => record.would = self.done,
            Verdict::Deny(_) => (),
        }
    }

    /// Writes it down.
    pub(super) fn note(self, record: &mut Record) {
        record.would = self.done.or(record.would);
        if let Some(reason) = self.reason {
            record.says = format!("in shadow: {}", reason.internal);
            record.rule = Some(reason.rule);
        }
    }
}

/// Lets a message go on as it came in, and says what would have been done with it.
pub(super) fn let_go(
    judgement: Judgement,
    original: Message,
    asks_nobody: bool,
) -> (Judgement, Would) {
    let would = Would::of(&judgement, asks_nobody);
    (judgement.in_shadow(original), would)
}

/// What a rule in shadow would have done with a call.
pub(super) fn of_rule((effect, reason): (Effect, Reason), asks_nobody: bool) -> Would {
    let done = match effect {
        Effect::Allow => None,
        Effect::Ask if asks_nobody => Some("deny"),
        Effect::Ask => Some("ask"),
        Effect::Deny => Some("deny"),
    };
    Would { done, reason: Some(reason) }
}
