//! What is done with a call that no rule about tools is about, by what its tool does: `[risk]`.
//!
//! It asks and denies, and never lets pass what else would not: what a tool does is guessed from the
//! words of its server, and a server that calls its tool `read_all` must gain nothing by it.

use super::{Effect, Origin, Policy, Reason, said};
use crate::risk::{Act, Risk};

/// What is done with tools that do this or that.
#[derive(Clone, Debug)]
pub struct Risks {
    /// For each act, and where that was said.
    pub effects: Vec<(Act, Effect, Origin)>,
}

/// What is done where there is a table and it does not name an act.
pub fn usual(act: Act) -> Effect {
    match act {
        Act::Delete | Act::Pay | Act::Execute | Act::Send => Effect::Ask,
        Act::Write | Act::Read => Effect::Allow,
    }
}

impl Policy {
    /// What a tool does, as far as this policy is concerned.
    pub fn risk(&self, tool: &str, guessed: Risk) -> Risk {
        let said = self.roles.iter().filter(|it| it.is_about(&self.tools.server, tool));
        let mut acts: Vec<Act> = Vec::new();
        let mut place = String::new();
        for rule in said {
            if let Some(more) = &rule.acts {
                acts.extend(more);
                place = rule.origin.to_string();
            }
        }
        if acts.is_empty() { guessed } else { guessed.corrected(&acts, &place) }
    }

    /// What is done with a call of a tool that does this, where no rule is about it: the strictest, and
    /// each reason for it. Nothing, where nothing is asked or denied.
    pub(super) fn risky(&self, tool: &str, guessed: &Risk) -> Option<(Effect, Vec<Reason>)> {
        let risks = self.risks.as_ref()?;
        let risk = self.risk(tool, guessed.clone());
        let mut strictest = Effect::Allow;
        let mut reasons = Vec::new();
        for (act, why) in risk.acts() {
            let Some((_, effect, origin)) = risks.effects.iter().find(|(it, ..)| *it == act) else {
                continue;
            };
            if *effect == Effect::Allow || *effect < strictest {
                continue;
            }
            if *effect > strictest {
                strictest = *effect;
                reasons.clear();
            }
            let denies = match risk.denies() {
                [] => String::new(),
                all => format!("; its server says {}, which changes nothing", all.join(" and ")),
            };
            reasons.push(said(origin, *effect, &format!("{}: {why}{denies}", act.says())));
        }
        (strictest != Effect::Allow).then_some((strictest, reasons))
    }
}
