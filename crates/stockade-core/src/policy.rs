//! What to do about findings, and about calls. Nothing here looks inside a message but through the
//! matchers that a policy was compiled to; nothing here reads a file: see the binary's `config`.
//!
//! Of the rules about tools that match a call, the strictest decides: deny before ask before allow,
//! whatever their order. Where none matches, the default does. So adding a deny never opens
//! anything, and a file can be read in any order.

pub mod input;
pub mod limits;
pub mod pattern;
pub mod quota;
pub mod review;
pub mod risk;
pub mod when;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::canary::Canaries;
use crate::check;
use crate::finding::{Finding, Mend, Place, Rule, Severity};
use crate::json::Json;
use crate::message::Side;
use crate::name;
use crate::risk::{Act, Risk};
use crate::role::Roles;
use crate::root::Admission;

pub use input::{Commands, InputRule, InputRules, Permitted, Sql};
pub use limits::Limits;
pub use pattern::{Condition, Pattern, Reading, Test};
pub use quota::{Budget, Period, Quota, Unit};
pub use review::{Elicitation, Sampling};
pub use risk::Risks;
pub use when::When;

/// What a policy says about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It passes, and the record says that it was seen.
    Allow,
    /// It is mended; what cannot be mended is denied.
    Fix,
    /// A person is asked.
    Ask,
    /// It does not pass.
    Deny,
}

impl Action {
    /// Every action, from the mildest to the strictest.
    pub const ALL: &[Self] = &[Self::Allow, Self::Fix, Self::Ask, Self::Deny];

    /// `allow`, `fix`, `ask` or `deny`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Fix => "fix",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// What is done with a message, from the mildest to the strictest.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Verdict {
    /// It goes on.
    #[default]
    Allow,
    /// It waits for a person, who is told these reasons.
    Ask(Vec<Reason>),
    /// It does not go on.
    Deny(Reason),
}

/// Why a message was not simply let through: in words for its sender, and in words for the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The rule, of the checks or of the policy file, that decided.
    pub rule: String,
    /// For the peer.
    pub external: String,
    /// For the record.
    pub internal: String,
}

impl Verdict {
    /// The stricter of two verdicts; all the questions of two that ask.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Ask(mut a), Self::Ask(b)) => {
                a.extend(b);
                Self::Ask(a)
            }
            (it @ Self::Deny(_), _) | (_, it @ Self::Deny(_)) => it,
            (it @ Self::Ask(_), _) | (_, it @ Self::Ask(_)) => it,
            (Self::Allow, Self::Allow) => Self::Allow,
        }
    }

    /// `allow`, `ask` or `deny`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask(_) => "ask",
            Self::Deny(_) => "deny",
        }
    }
}

/// What a rule about tools does with a call, from the mildest to the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// It goes on.
    #[default]
    Allow,
    /// It waits for a person.
    Ask,
    /// It does not go on.
    Deny,
}

impl Effect {
    /// Every effect, from the mildest to the strictest.
    pub const ALL: &[Self] = &[Self::Allow, Self::Ask, Self::Deny];

    /// `allow`, `ask` or `deny`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }

    /// How the words of a rule with this effect are read.
    pub fn reading(self) -> Reading {
        match self {
            Self::Allow => Reading::Narrow,
            Self::Ask | Self::Deny => Reading::Wide,
        }
    }
}

/// Where something was said: `tools[2]` in `stockade.toml:12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// What it goes by.
    pub id: String,
    /// The file and the line; or that nobody said it.
    pub place: String,
}

impl Origin {
    /// What holds where nobody said anything.
    pub fn built_in(id: &str) -> Self {
        Self { id: id.to_owned(), place: "built in".to_owned() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.place)
    }
}

/// What is said about some tools of some servers.
#[derive(Clone, Debug)]
pub struct ToolRule {
    /// Where.
    pub origin: Origin,
    /// What is done.
    pub effect: Effect,
    /// With calls to which servers.
    pub servers: Vec<Pattern>,
    /// Of which tools.
    pub tools: Vec<Pattern>,
    /// With what arguments.
    pub conditions: Vec<Condition>,
    /// And what else must be so.
    pub when: Option<When>,
    /// What it decides is written down, and not enforced.
    pub shadow: bool,
}

/// What is said about the tools of one server.
#[derive(Debug)]
pub struct Tools {
    /// The name that the operator gave the server; empty where none was given.
    pub server: String,
    /// What is said.
    pub rules: Vec<ToolRule>,
    /// What is done with a call that nothing is said about.
    pub default: Effect,
    /// Where that was said.
    pub default_origin: Origin,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            server: String::new(),
            rules: Vec::new(),
            default: Effect::Allow,
            default_origin: Origin::built_in("default"),
        }
    }
}

/// A tool call, as far as a policy asks about it.
#[derive(Clone, Copy, Debug)]
pub struct CallFacts<'a> {
    /// The name of the tool.
    pub tool: &'a str,
    /// Its arguments.
    pub arguments: Option<Json<'a>>,
    /// What the client calls itself. That is not proven: it may close something, and opens nothing.
    pub client: Option<&'a str>,
    /// Who is signed in.
    pub principal: Option<&'a str>,
    /// What the conversation may be about: the roots of the policy, and perhaps some of the client.
    pub roots: &'a [String],
}

/// What is done with a call, and who said so.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What is done.
    pub verdict: Verdict,
    /// What decided, also where it is an allow.
    pub by: Reason,
    /// The tool is not there as far as the client can tell: it is not listed, and its call is to be
    /// answered as that of an unknown tool.
    pub hidden: bool,
    /// It is the decision about a client without a name, which is the stricter one.
    pub unnamed: bool,
    /// What the strictest of the rules in shadow would have done, where that is stricter.
    pub shadowed: Option<(Effect, Reason)>,
}

impl Decision {
    /// The stricter of this decision and that about a client without a name.
    fn or_unnamed(self, unnamed: Self) -> Self {
        let strictness = |it: &Self| match it.verdict {
            Verdict::Allow => 0,
            Verdict::Ask(_) => 1,
            Verdict::Deny(_) => 2,
        };
        match strictness(&self).cmp(&strictness(&unnamed)) {
            Ordering::Greater => self,
            Ordering::Less => Self { unnamed: true, ..unnamed },
            // Both ask, perhaps something else: a person is to see all of it.
            Ordering::Equal => {
                let Verdict::Ask(mut questions) = self.verdict else { return self };
                if let Verdict::Ask(more) = unnamed.verdict {
                    let new = more.into_iter().filter(|it| !questions.contains(it));
                    let new: Vec<_> = new.collect();
                    questions.extend(new);
                }
                Self { verdict: Verdict::Ask(questions), ..self }
            }
        }
    }
}

/// What came of a rule for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is about another server.
    OtherServer,
    /// It is about other tools.
    OtherTool,
    /// It is about other arguments: this one does not fit.
    OtherArgument(String),
    /// Its expression says no.
    NotNow,
    /// It matches.
    Matches,
    /// It would match this name, which the tool's reads as. That denies, whatever its effect is.
    Disguised(String),
    /// Its expression cannot be evaluated, which denies.
    Fails(String),
}

/// What a policy file says, compiled.
#[derive(Debug, Default)]
pub struct Policy {
    /// By rule.
    pub rules: HashMap<&'static str, Action>,
    /// By severity, where the rule is not named.
    pub severities: HashMap<Severity, Action>,
    /// What this conversation may be about: directories, or URIs.
    pub roots: Vec<String>,
    /// Where a root that the client gives is one of them as well. Empty: nowhere, and the client is
    /// not asked.
    pub client_roots: Vec<Admission>,
    /// The longest text that may pass in one piece, in bytes.
    pub text_bytes_max: Option<usize>,
    /// Nobody is asked anything: what would ask is denied.
    pub asks_nobody: bool,
    /// A client that can ask its person is asked as well, and its word is taken for the answer.
    pub asks_client: bool,
    /// Who may call what.
    pub tools: Tools,
    /// What the arguments of tools are, and may be.
    pub inputs: InputRules,
    /// How much of everything.
    pub limits: Limits,
    /// How much of some tools.
    pub quotas: Vec<Quota>,
    /// What some tools are, in place of what is guessed.
    pub roles: Vec<RoleRule>,
    /// What is done with calls by what their tools do. Nothing: nothing.
    pub risks: Option<Risks>,
    /// What a server may ask of the client's model.
    pub sampling: Sampling,
    /// What a server may ask of the person at the client.
    pub elicitation: Elicitation,
    /// What nobody has a reason to say.
    pub canaries: Arc<Canaries>,
    /// Whether something of that sort is put into what tools answer.
    pub plants: bool,
    /// Whether a server's process is ended that lets a call take too long.
    pub kills_overdue: bool,
    /// What is decided is written down, and nothing of it is enforced.
    pub shadow: bool,
    /// blake3 of the file that this is made from, where there is one.
    pub digest: Option<Arc<str>>,
}

/// What is said of what flows through some tools of some servers, and of what they do.
#[derive(Clone, Debug)]
pub struct RoleRule {
    /// Where.
    pub origin: Origin,
    /// Of which servers.
    pub servers: Vec<Pattern>,
    /// Through which tools.
    pub tools: Vec<Pattern>,
    /// What flows through them.
    pub roles: Option<Roles>,
    /// What they do.
    pub acts: Option<Vec<Act>>,
}

impl RoleRule {
    fn is_about(&self, server: &str, tool: &str) -> bool {
        let fits = |list: &[Pattern], name: &str| list.iter().any(|it| it.fits(name));
        fits(&self.servers, server) && fits(&self.tools, tool)
    }
}

/// So much is told of what a check saw.
const TOLD_CHARS_MAX: usize = 200;

impl Policy {
    /// A policy that lets everything through and mends nothing.
    pub fn transparent() -> Self {
        let all = [Severity::Low, Severity::Medium, Severity::High];
        Self {
            severities: all.into_iter().map(|it| (it, Action::Allow)).collect(),
            ..Self::default()
        }
    }

    /// What is to be done with a message from `from` in which this was found.
    pub fn decide(&self, from: Side, findings: &[Finding]) -> Verdict {
        let each = findings.iter().map(|it| self.decide_one(from, it));
        each.fold(Verdict::Allow, Verdict::and)
    }

    /// What is to be done about one finding.
    pub fn action(&self, from: Side, finding: &Finding) -> Action {
        let stance = self.stance_on(from, finding.rule, finding.severity);
        match (stance, &finding.place, &finding.mend) {
            (Action::Fix, _, Some(Mend::Remove)) => Action::Fix,
            // A name cannot be mended without changing what it names.
            (Action::Fix, Place::Name(_), _) | (Action::Fix, _, None) => Action::Deny,
            (action, ..) => action,
        }
    }

    /// What is to be done with a call of a tool of which nothing but its name is known, by what is
    /// said about tools alone.
    pub fn call(&self, call: &CallFacts<'_>) -> Decision {
        self.call_of(call, None)
    }

    /// The same of a tool that does this.
    ///
    /// A client can call itself anything. So what is decided is never milder than for a client
    /// without a name: else whoever knows the right one could open what is closed to others.
    pub fn call_of(&self, call: &CallFacts<'_>, risk: Option<&Risk>) -> Decision {
        let named = self.call_as(call, risk);
        let asks = |it: &ToolRule| it.when.as_ref().is_some_and(When::asks_for_client);
        if call.client.is_none_or(str::is_empty) || !self.tools.rules.iter().any(asks) {
            return named;
        }
        named.or_unnamed(self.call_as(&CallFacts { client: None, ..*call }, risk))
    }

    fn call_as(&self, call: &CallFacts<'_>, risk: Option<&Risk>) -> Decision {
        let mut by: Option<(Effect, Reason)> = None;
        let mut questions = Vec::new();
        let mut shadowed: Option<(Effect, Reason)> = None;
        for (rule, outcome) in self.weigh(call) {
            let (effect, reason) = match outcome {
                Outcome::Matches => (rule.effect, said(&rule.origin, rule.effect, "")),
                Outcome::Disguised(reads) => {
                    let why = format!("the name reads as `{reads}`");
                    (Effect::Deny, said(&rule.origin, Effect::Deny, &why))
                }
                Outcome::Fails(why) => (Effect::Deny, said(&rule.origin, Effect::Deny, &why)),
                Outcome::OtherServer
                | Outcome::OtherTool
                | Outcome::OtherArgument(_)
                | Outcome::NotNow => continue,
            };
            if rule.shadow {
                if shadowed.as_ref().is_none_or(|(before, _)| *before < effect) {
                    shadowed = Some((effect, reason));
                }
                continue;
            }
            if effect == Effect::Ask {
                questions.push(reason.clone());
            }
            if by.as_ref().is_none_or(|(before, _)| *before < effect) {
                by = Some((effect, reason));
            }
            if effect == Effect::Deny {
                break;
            }
        }
        let default = || {
            let reason = said(&self.tools.default_origin, self.tools.default, "");
            if self.tools.default == Effect::Ask {
                questions.push(reason.clone());
            }
            (self.tools.default, reason)
        };
        let by_default = by.is_none();
        let (mut effect, mut by) = by.unwrap_or_else(default);
        if by_default && self.risks.is_some() {
            let risk = risk.cloned().unwrap_or_else(|| Risk::of_name(call.tool));
            let risky = self.risky(call.tool, &risk).filter(|(it, _)| *it >= effect);
            if let Some((strictest, reasons)) = risky {
                by = reasons.first().filter(|_| strictest > effect).cloned().unwrap_or(by);
                questions.extend(reasons.into_iter().filter(|_| strictest == Effect::Ask));
                effect = strictest;
            }
        }
        let verdict = match effect {
            Effect::Allow => Verdict::Allow,
            Effect::Ask => Verdict::Ask(questions),
            Effect::Deny => Verdict::Deny(by.clone()),
        };
        let shadowed = shadowed.filter(|(it, _)| *it > effect);
        Decision { verdict, by, hidden: !self.lists(call.tool), unnamed: false, shadowed }
    }

    /// What came of each rule for this call, in the order of the file. [`Self::call`] is made of
    /// this, so it cannot say anything else; where its decision is `unnamed`, without the client.
    pub fn weigh<'a>(
        &'a self,
        call: &'a CallFacts<'a>,
    ) -> impl Iterator<Item = (&'a ToolRule, Outcome)> {
        let reads = name::undisguised(call.tool);
        self.tools
            .rules
            .iter()
            .map(move |rule| (rule, self.weigh_one(rule, call, reads.as_deref())))
    }

    /// Whether a client is shown this tool: not when it is denied whatever its arguments are.
    pub fn lists(&self, tool: &str) -> bool {
        let server = &self.tools.server;
        let reads = name::undisguised(tool);
        let mut opened = false;
        for rule in self.tools.rules.iter().filter(|it| !it.shadow) {
            let always = rule.conditions.is_empty() && rule.when.is_none();
            match (rule.effect, rule.is_about(server, tool)) {
                (Effect::Deny, true) if always => return false,
                (Effect::Allow | Effect::Ask, true) => opened = true,
                (Effect::Deny | Effect::Ask, false) if always => {
                    if reads.as_deref().is_some_and(|it| rule.is_about(server, it)) {
                        return false;
                    }
                }
                (Effect::Allow, false) | (Effect::Ask, false) | (Effect::Deny, _) => (),
            }
        }
        opened || self.tools.default != Effect::Deny
    }

    /// `reads` is what the name of the tool reads as. What closes is asked about that as well: a
    /// server that trims or folds names would be called by one that no rule is about.
    fn weigh_one(&self, rule: &ToolRule, call: &CallFacts<'_>, reads: Option<&str>) -> Outcome {
        let said = self.outcome(rule, call);
        let (Some(tool), Reading::Wide) = (reads, rule.effect.reading()) else { return said };
        if matches!(said, Outcome::Matches | Outcome::Fails(_)) {
            return said;
        }
        match self.outcome(rule, &CallFacts { tool, ..*call }) {
            Outcome::Matches | Outcome::Disguised(_) => Outcome::Disguised(tool.to_owned()),
            it @ Outcome::Fails(_) => it,
            Outcome::OtherServer
            | Outcome::OtherTool
            | Outcome::OtherArgument(_)
            | Outcome::NotNow => said,
        }
    }

    fn outcome(&self, rule: &ToolRule, call: &CallFacts<'_>) -> Outcome {
        let server = &self.tools.server;
        if !rule.servers.iter().any(|it| it.fits(server)) {
            return Outcome::OtherServer;
        }
        if !rule.tools.iter().any(|it| it.fits(call.tool)) {
            return Outcome::OtherTool;
        }
        let differs = |it: &&Condition| !it.holds(call.arguments, call.roots);
        if let Some(it) = rule.conditions.iter().find(differs) {
            return Outcome::OtherArgument(it.argument.clone());
        }
        match rule.when.as_ref().map(|it| it.holds(call, server)) {
            None | Some(Ok(true)) => Outcome::Matches,
            Some(Ok(false)) => Outcome::NotNow,
            Some(Err(why)) => Outcome::Fails(why),
        }
    }

    /// What is said of what flows through a tool: everything, of all that is about it.
    pub fn roles(&self, tool: &str) -> Option<Roles> {
        let said = self.roles.iter().filter(|it| it.is_about(&self.tools.server, tool));
        said.filter_map(|it| it.roles).reduce(Roles::and)
    }

    /// What is said about how much of a tool.
    pub fn quotas(&self, tool: &str) -> impl Iterator<Item = &Quota> {
        self.quotas.iter().filter(move |it| it.is_about(&self.tools.server, tool))
    }

    /// What is to be done, in general, about what this rule finds in what `from` says.
    pub fn stance(&self, from: Side, rule: &Rule) -> Action {
        self.stance_on(from, rule, rule.severity)
    }

    /// The same, about something that may be less bad than its rule's worst.
    fn stance_on(&self, from: Side, rule: &Rule, severity: Severity) -> Action {
        let said = self.rules.get(rule.id).or_else(|| self.severities.get(&severity));
        // What is a matter of degree, and not of the worst: a default is careful with what is likely
        // wrong, and only notes what may be.
        let default = || if severity < rule.severity { Action::Allow } else { rule.default(from) };
        said.copied().unwrap_or_else(default)
    }

    fn decide_one(&self, from: Side, finding: &Finding) -> Verdict {
        let external = || {
            let id = finding.rule.id;
            if finding.told {
                let says: String = finding.says.chars().take(TOLD_CHARS_MAX).collect();
                return format!("rule `{id}`: {}", check::visible(&says));
            }
            format!("rule `{id}`")
        };
        let reason = || Reason {
            rule: finding.rule.id.to_owned(),
            external: external(),
            internal: format!("{} at {}: {}", finding.rule.id, finding.place_told(), finding.says),
        };
        match self.action(from, finding) {
            Action::Allow | Action::Fix => Verdict::Allow,
            Action::Ask => Verdict::Ask(vec![reason()]),
            Action::Deny => Verdict::Deny(reason()),
        }
    }
}

impl ToolRule {
    fn is_about(&self, server: &str, tool: &str) -> bool {
        self.servers.iter().any(|it| it.fits(server)) && self.tools.iter().any(|it| it.fits(tool))
    }
}

/// Why something is done, by what was said where.
pub(crate) fn said(origin: &Origin, effect: Effect, why: &str) -> Reason {
    let verb = match effect {
        Effect::Allow => "allows it",
        Effect::Ask => "asks",
        Effect::Deny => "denies it",
    };
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    Reason {
        rule: origin.id.clone(),
        external: format!("rule `{}`", origin.id),
        internal: format!("{origin} {verb}{why}"),
    }
}

#[cfg(test)]
mod tests;
