#![doc = include_str!("schema_unusable.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::json::Json;
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
        if let Some(error) = subject.json.get("inputSchema").and_then(unusable) {
            out.add_removable(At::Value(subject.json), format!("`inputSchema`: {error}"));
        }
        // The tool can be called all the same, and what nobody can check is not promised.
        if let Some(schema) = subject.json.get("outputSchema")
            && let Some(error) = unusable(schema)
        {
            out.add_removable(At::Value(schema), format!("`outputSchema`: {error}"));
        }
    }
}

fn unusable(schema: Json<'_>) -> Option<Unusable> {
    if Shape::is_plain(schema) {
        return None;
    }
    if schema.is_object() || schema.bool().is_some() {
        return Shape::read(schema).err();
    }
    Some(Unusable::Invalid("it is no schema".to_owned()))
}
