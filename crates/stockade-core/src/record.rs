//! What the ledger is told. Each record is one JSON object; the store chains it and signs the head.
//!
//! Records name what was decided and why. They carry digests of arguments and results, not the
//! arguments and results; where text of a peer is kept (an error, a line of stderr), secrets in it
//! are redacted here, before it leaves this crate.

use std::net::IpAddr;
use std::sync::Arc;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::check;
use crate::finding::Finding;
use crate::message::Side;
use crate::policy::{Action, Policy};

/// One line of the ledger. Fields that do not apply are left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    /// What happened.
    pub kind: Kind,
    /// The conversation.
    #[serde(skip_serializing_if = "is_empty")]
    pub session: Arc<str>,
    /// Who holds it: the name of the key or person, or `local`.
    #[serde(skip_serializing_if = "is_empty")]
    pub principal: Arc<str>,
    /// The address that a request came from, of one that was turned away at the door.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// The server, by its name in the policy.
    #[serde(skip_serializing_if = "is_empty")]
    pub server: Arc<str>,
    /// What the client calls itself. It proves nothing.
    #[serde(skip_serializing_if = "is_empty", serialize_with = "redacted")]
    pub client: Arc<str>,
    /// The exchange, unique in the session: one decision and one outcome carry it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub call: String,
    /// Who spoke first in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<&'static str>,
    /// The revision it was said in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<&'static str>,
    /// The method.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "redacted")]
    pub method: String,
    /// The tool.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "redacted_option")]
    pub tool: Option<String>,
    /// blake3 of the tool's definition (RFC 8785), where the server has listed it; of a difference,
    /// that of what is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_digest: Option<String>,
    /// How what is not as it was approved differs: `harmless`, `breaking` or `dangerous`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<&'static str>,
    /// blake3 of the arguments as they were sent, without white space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments_digest: Option<String>,
    /// `allow`, `ask` or `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<&'static str>,
    /// What would have been done, where the policy decides in shadow and enforces nothing of it:
    /// `fix`, `ask` or `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would: Option<&'static str>,
    /// The rule that decided, of the checks or of the policy file; or that would have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// blake3 of the policy file that it was decided by, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Arc<str>>,
    /// The limit that it ran into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Box<Limited>>,
    /// Who has said yes or no, where somebody was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
    /// The way by which that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// What was asked about: blake3 over the method and the parameters as they would be sent, in
    /// their canonical form, without `_meta`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_digest: Option<String>,
    /// Whom a server's process asked for: a host and a port, or a name.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "redacted_option")]
    pub destination: Option<String>,
    /// The address that it was connected to, or would have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Whether it was changed on the way.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mended: bool,
    /// What the checks saw.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Noted>,
    /// What the server's process touched between the request and this, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub touched: Option<Box<Touched>>,
    /// The trace it belongs to: `traceparent` of the request (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "redacted_option")]
    pub trace: Option<String>,
    /// How many more like it came, which were counted and not written one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u64>,
    /// Anything else, in words.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "redacted")]
    pub says: String,
}

/// How long a text of a record may be that was too long, in characters.
const SHORT_CHARS: usize = 500;

impl Record {
    /// Whether what it is about may go on before it is written: that a request ended, and nothing
    /// was seen in its answer or done about it. The decision that let the request pass was written
    /// before, and is there without an outcome if the guard is killed in between.
    pub fn can_wait(&self) -> bool {
        let plain = self.findings.is_empty() && !self.mended && self.says.is_empty();
        self.kind == Kind::Outcome && plain && self.touched.is_none()
    }

    /// The same without what can be as long as somebody else's message.
    #[must_use]
    pub fn shortened(&self) -> Self {
        let short = |text: &str| check::clipped(text, SHORT_CHARS);
        let mut record = self.clone();
        record.touched = None;
        record.findings.truncate(1);
        for it in &mut record.findings {
            (it.place, it.says) = (short(&it.place), short(&it.says));
        }
        for it in [&mut record.rule, &mut record.destination, &mut record.trace, &mut record.tool]
            .into_iter()
            .flatten()
        {
            *it = short(it);
        }
        (record.method, record.client) = (short(&record.method), short(&record.client).into());
        record.says = format!("(cut) {}", short(&record.says));
        record
    }

    /// Whether it is about something that nobody waits for, and that a peer can do as often as it
    /// likes. Of those that say the same, all but the first may be counted.
    pub fn can_be_counted(&self) -> bool {
        matches!(self.kind, Kind::Notice | Kind::Violation | Kind::Refusal | Kind::Egress)
    }
}

/// A limit that a call ran into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limited {
    /// What it goes by in the policy.
    pub name: String,
    /// How much there may be.
    pub max: u64,
    /// How much there would have been.
    pub count: u64,
    /// In what time, in seconds. Left out, where it is of one moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_s: Option<u64>,
    /// After what time there is room again, in milliseconds, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u64>,
}

impl Limited {
    /// The same in whole seconds, after which there is room for sure.
    pub fn retry_s(&self) -> Option<u64> {
        self.retry_ms.map(|it| it.div_ceil(1000).max(1))
    }
}

/// What a record is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A conversation began.
    #[default]
    Start,
    /// It ended.
    Stop,
    /// A person is asked about a request.
    Question,
    /// A standing grant was given or taken back.
    Grant,
    /// A request was judged.
    Decision,
    /// A request was answered, or never will be.
    Outcome,
    /// Something in a message that nobody waits for.
    Notice,
    /// The protocol was broken.
    Violation,
    /// A request was turned away at the door, unread.
    Refusal,
    /// A line of the server's stderr.
    Stderr,
    /// A server's process was connected to somebody, or was not.
    Egress,
    /// The policy was read anew, or could not be.
    Policy,
    /// The client was asked for its roots, has said some, or something came of them.
    Roots,
    /// The server's process touched something outside of every call.
    Touched,
    /// Something is not as it was approved, or was approved.
    Lock,
    /// Somebody is told of something at once, or could not be.
    Alert,
}

/// What a server's process touched in some time: each thing once, sorted, and of each sort no more
/// than whoever looked has kept. Paths of directories end with a slash; `ROOT/**` stands for what
/// was not kept by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Touched {
    /// What was opened to be read in a root.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub read: Vec<String>,
    /// What was opened to be written, made, changed or removed in a root.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub written: Vec<String>,
    /// The programs that were started.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub executed: Vec<String>,
    /// Whom it reached: addresses that were connected or sent to outside of the process's own
    /// loopback, and hosts that the guard connected it to.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub reached: Vec<String>,
    /// The addresses of its own loopback that were connected or sent to, or listened at.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub own: Vec<String>,
    /// The places of which files were used that are no roots: programs, and temporary files.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub used: Vec<String>,
    /// What the sandbox was in the way of, with what was to be done.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub refused: Vec<String>,
    /// How many more there were, of a sort that was full. The same may be among them twice.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: u64,
    /// How many calls of the kernel could not be looked into.
    #[serde(skip_serializing_if = "is_zero")]
    pub unseen: u64,
    /// Of how many tool calls at once it may be. Left out, where it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub among: Option<usize>,
    /// The roots that the process has, with what may be done there.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub roots: Vec<String>,
    /// Places that its programs were said to be in.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub programs: Vec<String>,
    /// Whom it may reach.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub net: Vec<String>,
}

impl Touched {
    /// The longest text that is kept of one thing, in characters.
    pub const TEXT_CHARS_MAX: usize = 1024;
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was answered with a result.
    Ok,
    /// A tool answered that it failed.
    ToolError,
    /// It was answered with an error.
    Error,
    /// It did not pass; or its answer did not.
    Refused,
    /// Whoever asked does not want the answer any more.
    Cancelled,
    /// It took too long.
    Timeout,
    /// One of the two sides went away.
    Lost,
}

impl Status {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::Error => "error",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A finding, as the ledger keeps it.
#[derive(Clone, Debug, Serialize)]
pub struct Noted {
    /// The rule.
    pub rule: &'static str,
    /// `low`, `medium` or `high`.
    pub severity: &'static str,
    /// Where, as a JSON pointer into the message.
    #[serde(serialize_with = "redacted_place")]
    pub place: String,
    /// What.
    pub says: String,
    /// What the policy had done about it.
    pub action: &'static str,
}

impl Noted {
    /// At most this many findings are kept of one message; their number is kept always.
    pub const MAX: usize = 20;

    /// The findings of a message from `from`, as `policy` treated them.
    pub fn all(from: Side, findings: &[Finding], policy: &Policy) -> Vec<Self> {
        let note = |it: &Finding| Self {
            rule: it.rule.id,
            severity: it.severity.name(),
            place: it.place_clipped(),
            says: it.says.clone(),
            action: match policy.action(from, it) {
                Action::Allow => "allow",
                Action::Fix => "fix",
                Action::Ask => "ask",
                Action::Deny => "deny",
            },
        };
        findings.iter().take(Self::MAX).map(note).collect()
    }
}

/// Whoever is watched chooses these texts, and may make each as long as a path can be.
fn texts<S: Serializer>(texts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(texts.len()))?;
    for text in texts {
        let redacted = check::redacted(text);
        match redacted.char_indices().nth(Touched::TEXT_CHARS_MAX) {
            Some((end, _)) => {
                list.serialize_element(&format!("{}…", redacted.get(..end).unwrap_or_default()))?;
            }
            None => list.serialize_element(&*redacted)?,
        }
    }
    list.end()
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A peer may put a secret where only names are expected.
fn redacted<S: Serializer>(text: &impl AsRef<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&check::redacted(text.as_ref()))
}

fn redacted_place<S: Serializer>(
    place: &impl AsRef<str>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&check::redacted_pointer(place.as_ref()))
}

fn redacted_option<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => redacted(text, serializer),
        None => serializer.serialize_none(),
    }
}

fn is_empty(it: &Arc<str>) -> bool {
    it.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shortened_fits_whatever_was_in_it() {
        let long = || "\u{10348}".repeat(1 << 20);
        let noted = || Noted {
            rule: "secret",
            severity: "high",
            place: long(),
            says: long(),
            action: "deny",
        };
        let record = Record {
            method: long(),
            tool: Some(long()),
            client: long().into(),
            rule: Some(long()),
            destination: Some(long()),
            trace: Some(long()),
            findings: vec![noted(), noted()],
            says: long(),
            ..Record::default()
        };
        let shortened = record.shortened();
        assert!(serde_json::to_vec(&shortened).unwrap().len() < 64 << 10);
        assert!(shortened.says.starts_with("(cut) \u{10348}"));
    }

    #[test]
    fn only_a_plain_outcome_can_wait() {
        let of = |kind| Record { kind, ..Record::default() };
        assert!(of(Kind::Outcome).can_wait());
        for kind in [
            Kind::Start,
            Kind::Stop,
            Kind::Question,
            Kind::Grant,
            Kind::Decision,
            Kind::Notice,
            Kind::Violation,
            Kind::Refusal,
            Kind::Stderr,
            Kind::Egress,
            Kind::Policy,
            Kind::Touched,
            Kind::Roots,
            Kind::Lock,
            Kind::Alert,
        ] {
            assert!(!of(kind).can_wait(), "{kind:?}");
        }
        let noted =
            Noted { rule: "x", severity: "low", place: "".into(), says: "".into(), action: "fix" };
        for record in [
            Record { findings: vec![noted], ..of(Kind::Outcome) },
            Record { mended: true, ..of(Kind::Outcome) },
            Record { says: "why".into(), ..of(Kind::Outcome) },
            Record { touched: Some(Box::default()), ..of(Kind::Outcome) },
        ] {
            assert!(!record.can_wait(), "{record:?}");
        }
    }
}
