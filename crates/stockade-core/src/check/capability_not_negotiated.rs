#![doc = include_str!("capability_not_negotiated.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::message::Side;
use crate::revision;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::capability_not_negotiated
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        const METHODS: [(Channel, &str); 3] = [
            (Channel::Sampling, "sampling/createMessage"),
            (Channel::Elicitation, "elicitation/create"),
            (Channel::Roots, "roots/list"),
        ];
        let asked = METHODS.iter().find(|(channel, _)| *channel == subject.channel);
        let Some((_, method)) = asked else { return };
        let needs = revision::needs(facts.from, method);
        if facts.from == Side::Server && !facts.client_can.has(needs) {
            let says = format!("`{method}`, and the client has not declared that it can do that");
            out.add(At::Value(subject.json), says);
        }
    }
}
