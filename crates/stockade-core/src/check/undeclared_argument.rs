#![doc = include_str!("undeclared_argument.md")]

use super::context_parameter::is_context;
use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::undeclared_argument
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let (Channel::Call, Some(tool)) = (subject.channel, facts.definition) else { return };
        // A call without arguments is its whole parameters: there are none to look at.
        if subject.json.name() == Some("params") {
            return;
        }
        let is_strict = facts.inputs.is_strict();
        for (name, value) in subject.json.fields() {
            if (is_strict || is_context(name)) && !tool.parameters.declares(name) {
                out.add_told(At::Name(value), "an argument that the tool's schema does not name");
            }
        }
    }
}
