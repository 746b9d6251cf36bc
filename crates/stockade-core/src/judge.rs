//! The one way through: a message goes in, and a judgement comes out.

use bytes::Bytes;
use serde_json::Value;

use crate::check;
use crate::finding::{Finding, Mend, Place};
use crate::json::{Edit, Json};
use crate::message::{Id, Malformed, Message, Side};
use crate::policy::{Action, Policy, Reason, Verdict};
use crate::structured;
use crate::subject::{Facts, subjects};

/// Mending one thing may uncover another: a key that was cut in two by a character nobody sees is
/// whole when the character is gone. And each look mends a value once, for one of the rules that mend
/// text. So what was mended is looked at again, at most this often.
const LOOKS_MAX: usize = 8;

/// A message as it was mended, what was seen in it, and what to do with it. Nobody else can change
/// it.
#[derive(Debug)]
pub struct Judgement {
    message: Message,
    findings: Vec<Finding>,
    verdict: Verdict,
    mended: bool,
}

/// A message that may be sent. Only a [`Judgement`] makes one, or the session for what Stockade
/// says itself; so a transport, which sends nothing else, cannot be handed a message that nobody
/// judged.
///
/// ```compile_fail
/// # fn transport(message: stockade_core::message::Message) {
/// stockade_core::judge::Cleared { message, about: None };
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cleared {
    message: Message,
    /// The request that it is about, of what Stockade says itself and that has no such name in it.
    about: Option<Id>,
}

/// Judges `message` as `facts` and `policy` have it.
pub fn judge(mut message: Message, facts: &Facts<'_>, policy: &Policy) -> Judgement {
    let mut findings: Vec<Finding> = Vec::new();
    let mut mended = false;
    let mut matched = true;
    for _ in 0..LOOKS_MAX {
        let mut found = check::run(&subjects(&message, facts.method), facts);
        if mended && matched {
            // It is not the server's fault that what is left does not match.
            structured::own(&mut found);
        } else {
            matched = !found.iter().any(structured::is_mismatch);
        }
        let verdict = policy.decide(facts.from, &found).and(unmendable(facts.from, &found, policy));
        let edits = match verdict {
            Verdict::Deny(_) => Vec::new(),
            Verdict::Allow | Verdict::Ask(_) => {
                let mut edits = edits(facts.from, &found, policy);
                edits.extend(hidden(&message, facts, policy));
                structured::fitted(&message, edits, facts, &policy.limits.json())
            }
        };
        findings.extend(found);
        if edits.is_empty() {
            return Judgement { message, findings, verdict, mended };
        }
        match message.edited(&edits, &policy.limits.json()) {
            Ok(it) => message = it,
            Err(_) => break,
        }
        mended = true;
    }
    let verdict = Verdict::Deny(Reason {
        rule: "unsettled".to_owned(),
        external: "it could not be made safe".to_owned(),
        internal: format!("still not clean after {LOOKS_MAX} looks"),
    });
    Judgement { message, findings, verdict, mended }
}

/// The tools of a listing that the policy does not show.
fn hidden(message: &Message, facts: &Facts<'_>, policy: &Policy) -> Vec<Edit> {
    let listing = facts.from == Side::Server && facts.method == "tools/list";
    let tools = message.get("tools").filter(|_| listing).into_iter().flat_map(Json::items);
    let shown =
        |it: &Json<'_>| it.get("name").and_then(Json::str).is_none_or(|name| policy.lists(name));
    tools.filter(|it| !shown(it)).map(|it| Edit { at: it.number(), to: None }).collect()
}

/// Values that one side makes up and the other gives back as they are, so that none of them may be
/// mended (2026-07-28, "Multi Round-Trip Requests": clients MUST NOT modify `requestState`).
const ECHOED: &[&str] = &["requestState", "cursor", "nextCursor", "taskId", "requestId"];

fn is_echoed(finding: &Finding) -> bool {
    let Place::Value(pointer) = &finding.place else { return false };
    let mut steps = pointer.rsplit('/');
    let named = steps.next().is_some_and(|it| ECHOED.contains(&it));
    named && steps.count() == 2
}

/// What would have to be mended and cannot be. A token in such a value is no secret that got out:
/// nobody but the two programs reads it.
fn unmendable(from: Side, found: &[Finding], policy: &Policy) -> Verdict {
    let wanted = |it: &&Finding| is_echoed(it) && policy.action(from, it) == Action::Fix;
    match found.iter().filter(wanted).find(|it| it.rule.id != "secret") {
        None => Verdict::Allow,
        Some(finding) => Verdict::Deny(Reason {
            rule: finding.rule.id.to_owned(),
            external: format!("rule `{}`", finding.rule.id),
            internal: format!("{}: it must go on as it is, or not at all", finding.place_told()),
        }),
    }
}

/// The mends that the policy wants, each value once: two mends of one value would overwrite each
/// other, so the second waits for the next look.
fn edits(from: Side, found: &[Finding], policy: &Policy) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    let wanted = |it: &&Finding| policy.action(from, it) == Action::Fix && !is_echoed(it);
    // A secret that is in several texts is taken out of all of them at once, or a part of it stays:
    // no other rule mends one of these texts first.
    let is_secret = |it: &&Finding| it.rule.id == "secret";
    let (secrets, others): (Vec<_>, Vec<_>) = found.iter().filter(wanted).partition(is_secret);
    // And its pieces read on only as long as there are no marks between them: those come last.
    let is_marked = |it: &&Finding| it.rule.id == "prompt_injection";
    let (marks, others): (Vec<_>, Vec<_>) = others.into_iter().partition(is_marked);
    let is_last = secrets.is_empty() && others.is_empty();
    let marks = marks.into_iter().filter(|_| is_last);
    for finding in secrets.into_iter().chain(others).chain(marks) {
        let to = match &finding.mend {
            Some(Mend::Replace(to)) => Some(to.clone()),
            Some(Mend::Remove) => None,
            None => continue,
        };
        if !edits.iter().any(|it| it.at == finding.number) {
            edits.push(Edit { at: finding.number, to });
        }
    }
    edits
}

impl Judgement {
    /// The message, mended.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// What was seen, in every look.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What to do with it.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Whether it is not what came in any more.
    pub fn mended(&self) -> bool {
        self.mended
    }

    /// Adds what is known from elsewhere than the message: the stricter verdict holds.
    #[must_use]
    pub fn and(self, other: Verdict) -> Self {
        Self { verdict: self.verdict.and(other), ..self }
    }

    /// What comes of it where a policy decides in shadow: the message goes on as it came in. Only the
    /// session knows that, and writes down what would have been done.
    #[must_use]
    pub(crate) fn in_shadow(self, original: Message) -> Self {
        let findings = self.findings;
        Self { message: original, findings, verdict: Verdict::Allow, mended: false }
    }

    /// Adds findings that are not about the message itself.
    #[must_use]
    pub(crate) fn with(self, found: Vec<Finding>, policy: &Policy) -> Self {
        let verdict = self.verdict.and(policy.decide(self.message.from(), &found));
        let findings = [self.findings, found].concat();
        Self { verdict, findings, ..self }
    }

    /// The message, if it may go on now that a person has said so. Only the session knows that.
    ///
    /// # Errors
    /// The judgement itself, if it may not in any case.
    pub(crate) fn approved(self) -> Result<Cleared, Box<Self>> {
        match self.verdict {
            Verdict::Allow | Verdict::Ask(_) => Ok(Cleared::judged(self.message)),
            Verdict::Deny(_) => Err(Box::new(self)),
        }
    }

    /// The message, if it may go on.
    ///
    /// # Errors
    /// The judgement itself, if it may not.
    pub fn clear(self) -> Result<Cleared, Box<Self>> {
        match self.verdict {
            Verdict::Allow => Ok(Cleared::judged(self.message)),
            Verdict::Ask(_) | Verdict::Deny(_) => Err(Box::new(self)),
        }
    }
}

impl Cleared {
    fn judged(message: Message) -> Self {
        Self { message, about: None }
    }

    /// What Stockade says itself, in the place of `from`.
    pub(crate) fn own(from: Side, value: &Value) -> Result<Self, Malformed> {
        Message::own(from, value).map(Self::judged)
    }

    /// The same, about a request of whoever it goes to.
    pub(crate) fn about_a_request(self, id: &Id) -> Self {
        Self { about: Some(id.clone()), ..self }
    }

    /// An answer that was judged before, but for its id.
    pub(crate) fn seen(from: Side, id: Id, bytes: Bytes) -> Self {
        Self::judged(Message::seen(from, id, bytes))
    }

    /// The side it goes to.
    pub fn to(&self) -> Side {
        self.message.from().other()
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The request of the side that it goes to on whose behalf Stockade says this itself: that it
    /// waits, or a question about it. It belongs on the stream of that request and on no other.
    pub fn about(&self) -> Option<&Id> {
        self.about.as_ref()
    }

    /// The same message with another name for the request that it is about, where a server knows
    /// that request by a name of the guard's. Nothing else can differ.
    #[must_use]
    pub fn renamed(self, from: &Id, to: &Id) -> Self {
        match self.message.renamed(from, to) {
            Ok(message) => Self { message, ..self },
            Err(_) => self,
        }
    }

    /// What is sent: the bytes that were judged, or, of a message that was mended, the new ones.
    pub fn bytes(&self) -> &Bytes {
        self.message.bytes()
    }
}
