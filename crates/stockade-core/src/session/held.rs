//! Answers that wait for a person: a result in which a server of 2026-07-28 asks something of its
//! client's model or of the person there, and what a model has answered to a server. One that is asked
//! about is kept as it would be sent, and nobody can change it meanwhile. It is sent when somebody has
//! said yes to it, in time, and the policy of that moment has no more against it than the one that
//! asked. Whoever waits for it is refused otherwise.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Effect;
use super::asked::{PROGRESS_MS, progress, was_told};
use super::places::Place;
use super::turn::Turn;
use super::waiting::Waiting;
use crate::approval::{self, Answer, Claims, Question};
use crate::check;
use crate::json::Json;
use crate::judge::{Cleared, Judgement};
use crate::message::{Id, Kind, Message, Side};
use crate::policy::{Reason, Verdict};
use crate::record::{self, Noted, Status, Touched};

/// What is known of the answers that wait for a person.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Whoever carries the conversation keeps the way open to who waits for them.
    pub(super) heeded: bool,
    /// By who waits for them, and for which of its requests.
    answers: HashMap<(Side, Id), Box<Answered>>,
}

impl Held {
    /// Whether the answer to this request waits for a person.
    pub(super) fn has(&self, asker: Side, id: &Id) -> bool {
        // The key is owned, and most conversations have nothing here.
        !self.answers.is_empty() && self.answers.contains_key(&(asker, id.clone()))
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.answers.len()
    }
}

/// What the outcome of an answer is written down with.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) status: Option<Status>,
    pub(super) findings: Vec<Noted>,
    pub(super) mended: bool,
    pub(super) touched: Option<Box<Touched>>,
    pub(super) says: String,
}

/// An answer that waits for a person.
#[derive(Debug)]
struct Answered {
    waiting: Waiting,
    question: String,
    /// It, as it would be sent.
    bytes: Bytes,
    digest: String,
    reasons: Vec<Reason>,
    kept: Kept,
    since_ms: u64,
    until_ms: u64,
    told_ms: u64,
    /// How often its client was told that it waits.
    told: u32,
    /// Its place among all that waits.
    _place: Place,
}

/// An answer that nobody is asked about.
type Unheld = (Waiting, Box<Judgement>, Kept);

impl Turn<'_> {
    /// Has a person be asked about the answer to the request `id`. It all comes back where nobody can
    /// be.
    pub(super) fn hold(
        &mut self,
        id: &Id,
        waiting: Waiting,
        judgement: Box<Judgement>,
        kept: Kept,
    ) -> Result<(), Box<Unheld>> {
        let Verdict::Ask(reasons) = judgement.verdict() else {
            return Err(Box::new((waiting, judgement, kept)));
        };
        let limits = &self.policy.limits;
        let message = judgement.message();
        if !self.session.held.heeded || self.policy.asks_nobody {
            return Err(Box::new((waiting, judgement, kept)));
        }
        let place = if message.bytes().len() > limits.approval_bytes_max {
            Err(("approval_bytes_max", "it is longer than a person would read"))
        } else {
            let (places, who) = (&self.session.asked.places, &self.session.parties.principal);
            let place = places.take(who, limits.approvals_max);
            place.ok_or(("approvals_max", "too many calls wait for a person"))
        };
        let place = match place {
            Ok(place) => place,
            Err((limit, why)) => {
                let verdict = Verdict::Deny(Reason {
                    rule: format!("limits.{limit}"),
                    external: why.to_owned(),
                    internal: why.to_owned(),
                });
                return Err(Box::new((waiting, Box::new(judgement.and(verdict)), kept)));
            }
        };
        let (from, reasons) = (message.from(), reasons.clone());
        let expires_in_ms =
            u64::try_from(limits.approval_timeout_s).unwrap_or(u64::MAX).saturating_mul(1000);
        let (arguments, beside) = parts(message);
        let mut question = Question {
            id: waiting.call.clone(),
            digest: String::new(),
            principal: self.session.parties.principal.to_string(),
            server: self.session.server.name.to_string(),
            client: waiting.client.label.to_string(),
            from: from.name().to_owned(),
            method: method(&waiting),
            tool: None,
            tool_digest: None,
            arguments,
            verbatim: verbatim(message),
            beside,
            mended: judgement.mended(),
            reasons: reasons.iter().map(|it| it.internal.clone()).collect(),
            findings: self.lines(&judgement),
            claims: Claims::default(),
            takes: Vec::new(),
            elicits: false,
            expires_in_ms,
        };
        let digest = question.named();
        question.digest.clone_from(&digest);
        let mut asked = self.exchange(record::Kind::Question, &waiting);
        asked.from = Some(from.name());
        asked.approved_digest = Some(digest.clone());
        asked.rule = reasons.first().map(|it| it.rule.clone());
        asked.says = question.reasons.join("; ");
        let answered = Answered {
            question: waiting.call.clone(),
            // A copy: what was read may be a part of much more.
            bytes: Bytes::copy_from_slice(message.bytes()),
            digest,
            reasons,
            kept,
            since_ms: self.now_ms,
            told_ms: self.now_ms,
            told: 0,
            _place: place,
            until_ms: self.now_ms.saturating_add(expires_in_ms),
            // What waits for a person takes no room from what does not.
            waiting: Waiting { slot: None, ..waiting },
        };
        self.effects.push(Effect::Record(Box::new(asked)));
        self.effects.push(Effect::Ask(Box::new(question)));
        self.session.held.answers.insert((from.other(), id.clone()), Box::new(answered));
        Ok(())
    }

    /// Somebody has said something about an answer. False, where none of that name waits.
    pub(super) fn decided_answer(&mut self, call: &str, digest: &str, answer: &Answer) -> bool {
        let held = &mut self.session.held.answers;
        let key = held.iter().find(|(_, it)| it.question == call).map(|(it, _)| it.clone());
        let Some((key, mut answered)) = key.and_then(|it| held.remove_entry(&it)) else {
            return false;
        };
        if digest != answer.is_about(&answered.digest) {
            self.withheld(&key, *answered, "what was approved is another answer", answer);
            return true;
        }
        if !answer.approved {
            let told = match &answer.approver {
                Some(_) => "a person has said no",
                None => "a person would have to approve this, and nobody has",
            };
            self.withheld(&key, *answered, told, answer);
            return true;
        }
        let is_edited = answer.edited.is_some();
        let changed = answer.edited.as_ref().map(|to| {
            let message = self.changed(key.0.other(), &answered.bytes, to)?;
            answered.digest = self::digest(&message, &answered.waiting);
            answered.bytes = Bytes::copy_from_slice(message.bytes());
            answered.kept.mended = true;
            Ok(())
        });
        let again = changed.unwrap_or(Ok(()));
        let again = again.and_then(|()| self.answer_again(key.0.other(), &answered, is_edited));
        match again {
            Ok(cleared) => {
                let Answered { waiting, kept, digest, since_ms, .. } = *answered;
                let now_ms = self.now_ms;
                self.outcome(&waiting, kept.status.unwrap_or(Status::Ok), |it| {
                    (it.findings, it.mended, it.touched) =
                        (kept.findings, kept.mended, kept.touched);
                    (it.decision, it.approved_digest) = (Some("allow"), Some(digest));
                    (it.approver, it.channel) = (answer.approver.clone(), answer.channel.clone());
                    let approved = if is_edited { "approved, and changed" } else { "approved" };
                    it.says = joined(&joined(&kept.says, approved), &answer.says);
                    it.duration_ms = Some(now_ms.saturating_sub(since_ms));
                });
                self.effects.push(Effect::Send(cleared));
            }
            Err(why) => {
                let said = Answer { says: why, ..answer.clone() };
                self.withheld(&key, *answered, "it was approved, and may not be", &said);
            }
        }
        true
    }

    /// Judges an answer once more, by the policy of this moment.
    fn answer_again(
        &mut self,
        from: Side,
        answered: &Answered,
        is_edited: bool,
    ) -> Result<Cleared, String> {
        if self.policy.asks_nobody {
            return Err("the policy has nobody be asked by now".to_owned());
        }
        if self.session.server.blocked().is_some() {
            return Err("the server has turned out to be another since".to_owned());
        }
        let message = Message::parse(from, answered.bytes.clone(), &self.policy.limits.json());
        let judgement = self.judge(message.map_err(|it| it.says)?, &answered.waiting);
        let review = self.review(judgement.message(), &answered.waiting);
        let judgement = judgement.and(review);
        if judgement.mended() {
            return Err("the policy would have it mended by now".to_owned());
        }
        match judgement.verdict() {
            Verdict::Allow => (),
            Verdict::Deny(reason) => return Err(reason.internal.clone()),
            Verdict::Ask(reasons) => {
                let told = |it: &&Reason| was_told(&answered.reasons, it, is_edited);
                if let Some(new) = reasons.iter().find(|it| !told(it)) {
                    return Err(format!("nobody was asked about this: {}", new.internal));
                }
            }
        }
        let paid = self.spend_tokens(judgement.message(), &answered.waiting);
        paid.map_err(|it| it.reason.internal)?;
        judgement.approved().map_err(|_| "it may not be sent".to_owned())
    }

    /// An answer does not go on, and whoever waits for it is told.
    fn withheld(&mut self, key: &(Side, Id), answered: Answered, told: &str, answer: &Answer) {
        let Answered { waiting, reasons, kept, digest, since_ms, .. } = answered;
        let rule = reasons.first().map(|it| it.rule.clone()).unwrap_or_default();
        let reason = Reason {
            rule: rule.clone(),
            external: told.to_owned(),
            internal: joined(told, &answer.says),
        };
        let now_ms = self.now_ms;
        self.outcome(&waiting, Status::Refused, |it| {
            (it.findings, it.mended, it.touched) = (kept.findings, kept.mended, kept.touched);
            (it.decision, it.rule, it.approved_digest) = (Some("deny"), Some(rule), Some(digest));
            (it.approver, it.channel) = (answer.approver.clone(), answer.channel.clone());
            it.says = joined(&kept.says, &reason.internal);
            it.duration_ms = Some(now_ms.saturating_sub(since_ms));
        });
        self.refuse(key.0, &key.1, &waiting, &reason);
    }

    /// Whoever waits for an answer does not want it any more. False, where it waits for no person.
    pub(super) fn unheld(&mut self, asker: Side, id: &Id) -> bool {
        if !self.session.held.has(asker, id) {
            return false;
        }
        let answered = self.session.held.answers.remove(&(asker, id.clone()));
        if let Some(it) = answered {
            self.outcome(&it.waiting, Status::Cancelled, |_| ());
            self.effects.push(Effect::Unask(it.question));
        }
        true
    }

    /// One side is gone, or is another by now: no answer of its or for it waits any more.
    pub(super) fn nothing_held(&mut self, side: Side, why: &str) {
        for (key, answered) in self.let_go(|_| true) {
            self.outcome(&answered.waiting, Status::Lost, |it| it.says = why.to_owned());
            self.effects.push(Effect::Unask(answered.question));
            if key.0 != side {
                let text = format!("the {} is gone", side.name());
                self.reply(key.0, Some(&key.1), -32603, &text);
            }
        }
    }

    /// Time has passed: what waits too long is not sent.
    pub(super) fn held_passed(&mut self) {
        let now_ms = self.now_ms;
        for (key, answered) in self.let_go(|it| now_ms >= it.until_ms) {
            let call = answered.question.clone();
            self.withheld(&key, *answered, "nobody has answered in time", &Answer::none(""));
            self.effects.push(Effect::Unask(call));
        }
        let held = self.session.held.answers.iter_mut();
        let due = held.filter(|(_, it)| now_ms.saturating_sub(it.told_ms) >= PROGRESS_MS);
        let mut due: Vec<(u64, Id, Value)> = due
            .filter_map(|((asker, id), it)| {
                (it.told, it.told_ms) = (it.told.saturating_add(1), now_ms);
                let progress = progress(*asker, &it.waiting, it.told)?;
                Some((it.waiting.number, id.clone(), progress))
            })
            .collect();
        due.sort_by_key(|(number, ..)| *number);
        due.iter().for_each(|(_, id, it)| self.own_about(id, it));
    }

    /// Takes away those that wait and of which this holds, oldest first.
    fn let_go(&mut self, which: impl Fn(&Answered) -> bool) -> Vec<((Side, Id), Box<Answered>)> {
        let gone = self.session.held.answers.extract_if(|_, it| which(it));
        let mut gone: Vec<_> = gone.collect();
        gone.sort_by_key(|(_, it)| it.waiting.number);
        gone
    }
}

/// What is answered, in words.
fn method(waiting: &Waiting) -> String {
    match &waiting.tool_name {
        Some(tool) => format!("answer of `{}` to {}", check::clipped(tool, 100), waiting.method),
        None => format!("answer to {}", waiting.method),
    }
}

/// What names an answer: see [`Question::named`].
fn digest(message: &Message, waiting: &Waiting) -> String {
    let (arguments, beside) = parts(message);
    approval::name(&method(waiting), None, &arguments, &beside, verbatim(message).as_deref())
}

/// What is asked or answered, and what is beside it.
fn parts(message: &Message) -> (Value, Value) {
    let mut body = message.body().map(Json::to_value).unwrap_or_default();
    if message.kind() != Kind::Result {
        return (body, Value::Null);
    }
    let asks = body.as_object_mut().and_then(|it| it.remove("inputRequests"));
    match asks {
        Some(asks) => (asks, body),
        None => (body, Value::Null),
    }
}

/// All of it to the letter, where two readers could see different numbers in it.
fn verbatim(message: &Message) -> Option<String> {
    message.body().into_iter().flat_map(Json::all).find(|it| approval::is_rounded(*it))?;
    let whole: &RawValue = serde_json::from_slice(message.bytes()).ok()?;
    Some(approval::compact(whole))
}

fn joined(a: &str, b: &str) -> String {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b.to_owned(),
        (_, true) => a.to_owned(),
        (false, false) => format!("{a}: {b}"),
    }
}
