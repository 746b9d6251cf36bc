#![doc = include_str!("arguments_schema.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::json::{Document, Limits};
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::arguments_schema
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let (Channel::Call, Some(tool)) = (subject.channel, facts.definition) else { return };
        // A call without arguments is its whole parameters: there are none to look at.
        let checked = if subject.json.name() == Some("params") {
            let none = Document::parse("{}".into(), &Limits::default());
            none.map(|it| tool.arguments.check(it.root())).unwrap_or(Ok(()))
        } else {
            tool.arguments.check(subject.json)
        };
        if let Err(error) = checked {
            out.add_told(At::Value(subject.json), error.to_string());
        }
    }
}
