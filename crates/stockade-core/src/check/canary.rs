#![doc = include_str!("canary.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::json::Json;
use crate::message::Side;
use crate::subject::Subject;

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::canary
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if facts.from == Side::Server {
            return;
        }
        for canaries in facts.canaries.iter().filter(|it| !it.is_empty()) {
            // A canary that is taken apart into values has names between them.
            let values = || subject.json.all().filter_map(Json::str);
            let names = || subject.json.all().filter_map(Json::name);
            if let Some(hit) = canaries.find(values()).or_else(|| canaries.find(names())) {
                let says = format!("has {}, {}", hit.name, hit.how);
                out.add(At::Value(subject.json), says);
            }
        }
    }
}
