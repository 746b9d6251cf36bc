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
        // In `inputRequests` of a result the whole request stands, elsewhere what it says.
        let asked = subject.json.get("params").filter(|_| facts.method != method);
        let params = asked.unwrap_or(subject.json);
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
