#![doc = include_str!("schema_unusable.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::schema::{Shape, Unusable};
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::schema_unusable
    }

    fn subject(&self, subject: Subject<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if subject.channel != Channel::Tool {
            return;
        }
        let Some(schema) = subject.json.get("inputSchema") else { return };
        if Shape::is_plain(schema) {
            return;
        }
        let shape = if schema.is_object() || schema.bool().is_some() {
            Shape::read(schema)
        } else {
            Err(Unusable::Invalid("it is no schema".to_owned()))
        };
        if let Err(error) = shape {
            out.add_removable(At::Value(subject.json), format!("`inputSchema`: {error}"));
        }
    }
}
