#![doc = include_str!("tool_name.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::tool_name
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let (Channel::Call, Some(other)) = (subject.channel, facts.reads_as) else { return };
        let other = super::clipped(other, NAME_CHARS_MAX);
        let says = format!("the name of the tool reads as `{other}`, which is listed");
        out.add_told(At::Value(subject.json), says);
    }
}

/// So much of a name is repeated.
const NAME_CHARS_MAX: usize = 100;
