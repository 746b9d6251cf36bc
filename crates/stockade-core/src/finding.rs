//! What a check saw.

use std::fmt;

use serde_json::Value;

use crate::check;
use crate::json::Json;
use crate::message::Side;
use crate::policy::Action;

/// How bad it is when nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// A person should look at it.
    Medium,
    /// It should not pass.
    High,
}

impl Severity {
    /// `low`, `medium` or `high`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Who a rule is: its name in policies and reports, and its page.
#[derive(Debug)]
pub struct Rule {
    /// Its name, in `snake_case`.
    pub id: &'static str,
    /// How bad what it finds is.
    pub severity: Severity,
    /// What is done where the policy says nothing, with what a client says and what a server says.
    pub default: Defaults,
    /// Its page, in Markdown: what it means, what to do, and examples that are also its tests.
    pub page: &'static str,
}

/// What is done about a finding where the policy says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// In what a client says.
    pub from_client: Action,
    /// In what a server says.
    pub from_server: Action,
}

impl Rule {
    /// What is done where the policy says nothing.
    pub fn default(&self, from: Side) -> Action {
        match from {
            Side::Client => self.default.from_client,
            Side::Server => self.default.from_server,
        }
    }

    /// The first line of its page, without the mark of a heading.
    pub fn title(&self) -> &'static str {
        self.page.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}

/// Where in a document: a value, or the name that it has in its object.
#[derive(Clone, Copy, Debug)]
pub enum At<'a> {
    /// The name.
    Name(Json<'a>),
    /// The value.
    Value(Json<'a>),
}

impl<'a> At<'a> {
    /// The value, or the one that is named.
    pub fn json(self) -> Json<'a> {
        match self {
            Self::Name(it) | Self::Value(it) => it,
        }
    }

    fn place(self) -> Place {
        match self {
            Self::Name(it) => Place::Name(it.pointer()),
            Self::Value(it) => Place::Value(it.pointer()),
        }
    }
}

/// The same as [`At`], kept: a JSON pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The name that the value has.
    Name(String),
    /// The value.
    Value(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(it) => write!(f, "the name of {it}"),
            Self::Value(it) => f.write_str(it),
        }
    }
}

/// How a value would be mended.
#[derive(Clone, Debug, PartialEq)]
pub enum Mend {
    /// By another value in its place.
    Replace(Value),
    /// By leaving this element of a list, or this member of an object, away.
    Remove,
}

/// An observation. It says what is there and how to mend it, never what to do: see
/// [`crate::policy`].
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule that saw it.
    pub rule: &'static Rule,
    /// How bad this is: what its rule says, or less.
    pub severity: Severity,
    /// Where it is a matter of degree: how likely it is what the rule is about, in percent.
    pub confidence: Option<u8>,
    /// Where.
    pub place: Place,
    /// What, in words that quote no secret.
    pub says: String,
    /// Whether the client may read what it says: a caller has to know what to do better.
    pub told: bool,
    /// How to mend it, where that is possible.
    pub mend: Option<Mend>,
    /// Which value is mended: [`Json::number`].
    pub(crate) number: u32,
}

impl Finding {
    /// Where, as it may be written down: names in a pointer can be secrets.
    pub fn place_told(&self) -> String {
        check::redacted_pointer(&self.place_clipped())
    }

    /// Where, no longer than anybody reads: names in a message can be as long as the message.
    pub(crate) fn place_clipped(&self) -> String {
        clipped(self.place.to_string())
    }
}

/// The most findings that are written down for one message. What has more is refused for that: to
/// place and to mend each of half a million would be work that its sender did not have.
pub const FINDINGS_MAX: usize = 512;

/// How long a text of a finding may be, in characters.
const TEXT_MAX: usize = 1000;

/// Where a check puts what it sees. It knows the rule that is running.
#[derive(Debug)]
pub struct Findings<'f> {
    rule: &'static Rule,
    found: &'f mut Vec<Finding>,
}

impl<'f> Findings<'f> {
    pub(crate) fn new(rule: &'static Rule, found: &'f mut Vec<Finding>) -> Self {
        Self { rule, found }
    }

    /// Something that cannot be mended.
    pub fn add(&mut self, at: At<'_>, says: impl Into<String>) {
        self.push(at, says.into(), None);
    }

    /// The same, in words that are for whoever sent it as well: they say nothing that is not in the
    /// message or was not told its sender before.
    pub fn add_told(&mut self, at: At<'_>, says: impl Into<String>) {
        let before = self.found.len();
        self.push(at, says.into(), None);
        self.found.iter_mut().skip(before).for_each(|it| it.told = true);
    }

    /// The same, and how bad it is here.
    pub(crate) fn add_told_as(&mut self, at: At<'_>, says: impl Into<String>, as_bad: Severity) {
        let before = self.found.len();
        self.add_told(at, says);
        self.found.iter_mut().skip(before).for_each(|it| it.severity = as_bad);
    }

    /// Something, with what to put there instead. A name cannot be mended: use it for values.
    pub fn add_fixable(&mut self, at: At<'_>, says: impl Into<String>, to: impl Into<Value>) {
        self.push(at, says.into(), Some(Mend::Replace(to.into())));
    }

    /// An element of a list, or a member of an object, that it is better without.
    pub fn add_removable(&mut self, at: At<'_>, says: impl Into<String>) {
        self.push(at, says.into(), Some(Mend::Remove));
    }

    /// Something that is less bad than the worst that the rule finds.
    pub(crate) fn add_as(&mut self, severity: Severity, at: At<'_>, says: String) {
        let before = self.found.len();
        self.push(at, says, None);
        self.found.iter_mut().skip(before).for_each(|it| it.severity = severity);
    }

    /// Something that is a matter of degree.
    pub(crate) fn add_scored(&mut self, at: At<'_>, says: String, scored: Scored<'_>) {
        let before = self.found.len();
        self.push(at, says, scored.mend);
        for it in self.found.iter_mut().skip(before) {
            it.severity = scored.severity;
            it.confidence = Some(scored.confidence);
            it.number = scored.mended.number();
        }
    }

    /// Such an element, in words that are for whoever waits for it as well.
    pub fn add_told_removable(&mut self, at: At<'_>, says: impl Into<String>) {
        let before = self.found.len();
        self.push(at, says.into(), Some(Mend::Remove));
        self.found.iter_mut().skip(before).for_each(|it| it.told = true);
    }

    /// Whether more would be lost, so that there is no need to look.
    pub fn is_full(&self) -> bool {
        self.found.len() >= FINDINGS_MAX
    }

    fn push(&mut self, at: At<'_>, says: String, mend: Option<Mend>) {
        if self.is_full() {
            return;
        }
        let says = clipped(says);
        let number = at.json().number();
        let (rule, place, told) = (self.rule, at.place(), false);
        let (severity, confidence) = (rule.severity, None);
        self.found.push(Finding { rule, severity, confidence, place, says, told, mend, number });
    }
}

/// What a finding says, and where, no longer than anybody reads, or than a record can be: what is
/// quoted in it may be as long as the message.
fn clipped(text: String) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some(_) => check::clipped(&text, TEXT_MAX) + "…",
        None => text,
    }
}

/// How bad a finding is, how likely, and what would be mended.
#[derive(Clone, Debug)]
pub(crate) struct Scored<'a> {
    pub(crate) severity: Severity,
    pub(crate) confidence: u8,
    pub(crate) mend: Option<Mend>,
    /// Not what was found, but what is better without it.
    pub(crate) mended: Json<'a>,
}
