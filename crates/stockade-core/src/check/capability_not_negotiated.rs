#![doc = include_str!("capability_not_negotiated.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::message::Side;
use crate::revision::{self, Capability};
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::capability_not_negotiated
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        const QUESTIONS: [(Channel, &str); 3] = [
            (Channel::Sampling, "sampling/createMessage"),
            (Channel::Elicitation, "elicitation/create"),
            (Channel::Roots, "roots/list"),
        ];
        let asked = QUESTIONS.iter().find(|(channel, _)| *channel == subject.channel);
        // What is said about tasks is a question, or is told unasked, or it answers the client.
        let tells = || subject.channel == Channel::Task && facts.method == "notifications/tasks";
        let own = || (subject.channel == Channel::TaskQuestion || tells()).then_some(facts.method);
        let Some(method) = asked.map(|(_, method)| *method).or_else(own) else { return };
        if facts.from != Side::Server {
            return;
        }
        let params = if asked.is_some() { subject.asked() } else { subject.json };
        let lacks = |it: &Capability| !facts.client_can.has(*it);
        if let Some(needed) = revision::needs(method, params).find(lacks) {
            let path = needed.path().join(".");
            out.add(
                At::Value(subject.json),
                format!("`{method}`, and the client has not declared `{path}`"),
            );
        }
    }
}
