#![doc = include_str!("header_parameter.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::catalog;
use crate::finding::At;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::header_parameter
    }

    fn subject(&self, subject: Subject<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        let schema = subject.json.get("inputSchema").filter(|_| subject.channel == Channel::Tool);
        if let Some(Err(error)) = schema.map(catalog::headers) {
            out.add_removable(At::Value(subject.json), error.to_string());
        }
    }
}
