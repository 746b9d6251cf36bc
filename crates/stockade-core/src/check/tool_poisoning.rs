#![doc = include_str!("tool_poisoning.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::detect;
use crate::finding::{Mend, Scored};
use crate::message::Side;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::tool_poisoning
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if facts.from != Side::Server || !subject.channel.is_described() {
            return;
        }
        // There is nothing but the text of instructions that could be left out.
        let mend = match subject.channel == Channel::Instructions {
            true => Mend::Replace("".into()),
            false => Mend::Remove,
        };
        detect::each(subject, &mut |at, said| {
            if out.is_full() {
                return;
            }
            let Some(seen) = detect::look(said) else { return };
            let scored = Scored {
                severity: seen.severity,
                confidence: seen.confidence,
                mend: Some(mend.clone()),
                mended: subject.json,
            };
            out.add_scored(at, seen.says(), scored);
        });
    }
}
