#![doc = include_str!("output_schema.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::message::Side;
use crate::schema::Violation;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::output_schema
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let is_result = facts.from == Side::Server
            && subject.channel == Channel::Content
            && subject.json.name() == Some("structuredContent");
        let schema = facts.definition.and_then(|it| it.result.as_ref()).filter(|_| is_result);
        let Some(schema) = schema else { return };
        match schema.check(subject.json) {
            Ok(()) | Err(Violation::Unusable(_) | Violation::Work) => (),
            Err(error @ Violation::Mismatch { .. }) => {
                let says = format!(
                    "the tool has run, and its result is not as its `outputSchema` says: {error}"
                );
                out.add_told_removable(At::Value(subject.json), says);
            }
        }
    }
}
