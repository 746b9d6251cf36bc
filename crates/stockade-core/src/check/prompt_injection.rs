#![doc = include_str!("prompt_injection.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::detect;
use crate::finding::Scored;
use crate::message::Side;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::prompt_injection
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        match subject.channel {
            Channel::Content
            | Channel::Sampling
            | Channel::Elicitation
            | Channel::Task
            | Channel::Log
            | Channel::Progress
            | Channel::Error
            | Channel::Other => {}
            // What a server says of itself is `tool_poisoning`'s, and the rest is the client's.
            Channel::Tool
            | Channel::Prompt
            | Channel::Resource
            | Channel::Template
            | Channel::Instructions
            | Channel::Call
            | Channel::Argument
            | Channel::Uri
            | Channel::Roots
            | Channel::Reply
            | Channel::TaskQuestion => return,
        }
        if facts.from != Side::Server {
            return;
        }
        detect::each(subject, &mut |at, said| {
            if out.is_full() {
                return;
            }
            let Some(seen) = detect::look(said) else { return };
            let scored = Scored {
                severity: seen.severity,
                confidence: seen.confidence,
                mend: None,
                mended: at.json(),
            };
            out.add_scored(at, seen.says(), scored);
        });
    }
}
