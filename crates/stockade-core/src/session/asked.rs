//! Requests that wait for a person. One that is asked about is kept as it would be sent; nobody can
//! change it meanwhile, neither side knows that it is there, and everything else goes on. It is sent
//! when somebody has said yes to this request and no other, in time, and the policy of that moment
//! has no more against it than the one that asked. Whatever else happens, it is not.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Effect;
use super::elicited::{Elicited, Handed};
use super::places::{Place, Places};
use super::turn::Turn;
use super::waiting::Waiting;
use crate::approval::{self, Answer, Claims, Question};
use crate::argument::Parameters;
use crate::json::Edit;
use crate::judge::{Cleared, Judgement};
use crate::message::{Id, Kind, Message, Side};
use crate::policy::{CallFacts, Reason, Verdict};
use crate::record::{self, Record, Status};

/// How often a client is told that its call still waits. Clients give up after a minute of silence,
/// some after less.
pub(super) const PROGRESS_MS: u64 = 5000;

/// What a tool's arguments are called, for whoever grants some of them.
fn takes(parameters: &Parameters) -> Vec<String> {
    parameters.declared().into_iter().take(approval::TAKES_MAX).map(str::to_owned).collect()
}

/// What is known of the requests that wait for a person.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Whoever carries the conversation does something about them.
    pub(super) heeded: bool,
    pub(super) places: Arc<Places>,
    pub(super) parked: HashMap<(Side, Id), Box<Parked>>,
    /// Those that were answered with the question, by the state under which they come again.
    pub(super) handed: HashMap<String, Handed>,
}

/// A request that nobody is asked about.
type Unparked = (Waiting, Box<Judgement>, Record);

/// A request that waits for a person.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) waiting: Waiting,
    /// The exchange that was asked about: it, or one before it with the same call.
    pub(super) question: String,
    pub(super) elicited: Elicited,
    /// It, as it would be sent.
    pub(super) bytes: Bytes,
    pub(super) digest: String,
    /// What was asked.
    reasons: Vec<Reason>,
    /// What its decision will be written down with.
    pub(super) record: Record,
    pub(super) until_ms: u64,
    _place: Place,
    told_ms: u64,
    /// How often its client was told that it waits.
    told: u32,
}

impl Asked {
    /// Whether this request waits for a person.
    pub(super) fn has(&self, from: Side, id: &Id) -> bool {
        // The key is owned, and most conversations have nothing here.
        !self.parked.is_empty() && self.parked.contains_key(&(from, id.clone()))
    }

    /// What a request of the client is asked about under.
    pub(super) fn question(&self, id: &Id) -> Option<&str> {
        if self.parked.is_empty() {
            return None;
        }
        let parked = self.parked.get(&(Side::Client, id.clone()));
        parked.map(|it| it.question.as_str())
    }

    /// How many there are, also of those that are to come again.
    pub(super) fn len(&self) -> usize {
        self.parked.len() + self.handed.len()
    }
}

impl Turn<'_> {
    /// Has a person be asked about a request. The judgement comes back where nobody can be.
    pub(super) fn park(
        &mut self,
        id: &Id,
        waiting: Waiting,
        judgement: Box<Judgement>,
        mut record: Record,
    ) -> Result<(), Box<Unparked>> {
        let Verdict::Ask(reasons) = judgement.verdict() else {
            return Err(Box::new((waiting, judgement, record)));
        };
        let limits = &self.policy.limits;
        let message = judgement.message();
        let place = if !self.session.asked.heeded || self.policy.asks_nobody {
            return Err(Box::new((waiting, judgement, record)));
        } else if message.bytes().len() > limits.approval_bytes_max {
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
                return Err(Box::new((waiting, Box::new(judgement.and(verdict)), record)));
            }
        };
        let from = message.from();
        let reasons = reasons.clone();
        let expires_in_ms = ms(limits.approval_timeout_s);
        let (arguments, beside) = approval::parts(message);
        let mut question = Question {
            id: waiting.call.clone(),
            digest: String::new(),
            principal: self.session.parties.principal.to_string(),
            server: self.session.server.name.to_string(),
            client: waiting.client.label.to_string(),
            from: from.name().to_owned(),
            method: waiting.method.to_string(),
            tool: waiting.tool_name.as_deref().map(str::to_owned),
            tool_digest: waiting.tool.as_ref().map(|it| it.digest.clone()),
            arguments,
            verbatim: approval::verbatim(message),
            beside,
            mended: judgement.mended(),
            reasons: reasons.iter().map(|it| it.internal.clone()).collect(),
            findings: self.lines(&judgement),
            claims: waiting.tool.as_ref().map_or_else(Claims::default, |it| it.says.clone()),
            takes: waiting.tool.as_ref().map_or_else(Vec::new, |it| takes(&it.parameters)),
            elicits: self.elicits(&waiting),
            expires_in_ms,
        };
        let digest = question.named();
        question.digest.clone_from(&digest);
        let mut asked = self.exchange(record::Kind::Question, &waiting);
        asked.arguments_digest.clone_from(&record.arguments_digest);
        asked.policy.clone_from(&record.policy);
        asked.approved_digest = Some(digest.clone());
        asked.rule = reasons.first().map(|it| it.rule.clone());
        asked.says = question.reasons.join("; ");
        record.approved_digest = Some(digest.clone());
        let parked = Parked {
            question: waiting.call.clone(),
            elicited: Elicited::No,
            // What waits for a person takes no room from what does not.
            waiting: Waiting { slot: None, ..waiting },
            // A copy: what was read may be a part of much more.
            bytes: Bytes::copy_from_slice(message.bytes()),
            digest,
            reasons,
            record,
            until_ms: self.now_ms.saturating_add(expires_in_ms),
            _place: place,
            told_ms: self.now_ms,
            told: 0,
        };
        self.effects.push(Effect::Record(Box::new(asked)));
        self.effects.push(Effect::Ask(Box::new(question)));
        let mut parked = Box::new(parked);
        if let Some(progress) = parked.progress(from, self.now_ms) {
            self.own_about(id, &progress);
        }
        self.session.asked.parked.insert((from, id.clone()), parked);
        Ok(())
    }

    /// Somebody has answered a question, or nobody will.
    pub(super) fn decided(&mut self, call: &str, digest: &str, answer: &Answer) {
        let parked = &mut self.session.asked.parked;
        let key = parked.iter().find(|(_, it)| it.question == call).map(|(it, _)| it.clone());
        // Or it was cancelled or is too old, which has been written down.
        let Some((from, id)) = key else { return self.decided_meanwhile(call, digest, answer) };
        let Some(parked) = parked.remove(&(from, id.clone())) else { return };
        let mut parked = *parked;
        self.elicit_no_more(&id, &parked);
        parked.record.approver.clone_from(&answer.approver);
        parked.record.channel.clone_from(&answer.channel);
        parked.record.duration_ms = Some(self.now_ms.saturating_sub(parked.waiting.since_ms));
        if digest != answer.is_about(&parked.digest) {
            return self.unapproved(from, &id, parked, "what was approved is another call", "");
        }
        if !answer.approved {
            let told = match &answer.approver {
                Some(_) => "a person has said no",
                None => "a person would have to approve this, and nobody has",
            };
            return self.unapproved(from, &id, parked, told, &answer.says);
        }
        if let Some(to) = &answer.edited {
            match self.changed(from, &parked.bytes, to) {
                Ok(message) => {
                    parked.record.approved_digest = Some(approval::digest(&message));
                    parked.record.mended = true;
                    parked.bytes = Bytes::copy_from_slice(message.bytes());
                }
                Err(why) => {
                    let told = "it was approved, and may not be";
                    return self.unapproved(from, &id, parked, told, &why);
                }
            }
        }
        let is_edited = answer.edited.is_some();
        match self.again(from, &mut parked, is_edited) {
            Ok(cleared) => {
                let Parked { mut waiting, mut record, .. } = parked;
                record.decision = Some("allow");
                let approved = if is_edited { "approved, and changed" } else { "approved" };
                record.says = joined(approved, &answer.says);
                self.effects.push(Effect::Record(Box::new(record)));
                (waiting.since_ms, waiting.heard_ms) = (self.now_ms, self.now_ms);
                self.watch(from, &waiting);
                self.session.waiting.insert((from, id), waiting);
                self.effects.push(Effect::Send(cleared));
            }
            Err(why) => self.unapproved(from, &id, parked, "it was approved, and may not be", &why),
        }
    }

    /// Judges a request once more: it was approved by what was known when it was asked about. The
    /// policy may be another by now, and so may the tool.
    fn again(
        &mut self,
        from: Side,
        parked: &mut Parked,
        is_edited: bool,
    ) -> Result<Cleared, String> {
        if self.policy.asks_nobody {
            return Err("the policy has nobody be asked by now".to_owned());
        }
        let bytes = parked.bytes.clone();
        let message = Message::parse(from, bytes, &self.policy.limits.json());
        let message = message.map_err(|it| it.says)?;
        let waiting = &mut parked.waiting;
        let tool = waiting.tool_name.as_deref().and_then(|it| self.session.server.tool(it));
        let digest = |it: &Option<std::sync::Arc<crate::catalog::Definition>>| {
            it.as_ref().map(|it| it.digest.clone())
        };
        if digest(&tool) != digest(&waiting.tool) {
            return Err("the server has described the tool otherwise since".to_owned());
        }
        let mut judgement = self.judge(message, waiting);
        if self.session.server.blocked().is_some() {
            return Err("the server has turned out to be another since".to_owned());
        }
        if let Some(reason) = self.unpinned(judgement.message(), waiting) {
            return Err(reason.internal);
        }
        let is_call = from == Side::Client && &*waiting.method == "tools/call";
        if is_call {
            let roots = self.roots();
            let call = CallFacts {
                tool: waiting.tool_name.as_deref().unwrap_or_default(),
                arguments: judgement.message().get("arguments"),
                client: Some(&waiting.client.name),
                principal: Some(&self.session.parties.principal),
                roots: &roots,
            };
            let decision = self.policy.call_of(&call, self.risk(waiting).as_ref());
            if decision.hidden {
                return Err("the policy does not show this tool by now".to_owned());
            }
            judgement = judgement.and(decision.verdict);
        }
        let review = self.review(judgement.message(), waiting);
        judgement = judgement.and(review);
        let roles = self.roles(judgement.message(), waiting);
        if from == Side::Client {
            let found = self.toxic(roles, waiting).map_err(|it| it.reason.internal)?;
            judgement = judgement.with(found, self.policy);
        }
        if judgement.mended() {
            return Err("the policy would have it mended by now".to_owned());
        }
        match judgement.verdict() {
            Verdict::Allow => (),
            Verdict::Deny(reason) => return Err(reason.internal.clone()),
            Verdict::Ask(reasons) => {
                // Who has said yes was told of these alone.
                let new = reasons.iter().find(|it| !was_told(&parked.reasons, it, is_edited));
                if let Some(new) = new {
                    return Err(format!("nobody was asked about this: {}", new.internal));
                }
            }
        }
        if is_call {
            let tool = waiting.tool_name.as_deref().unwrap_or_default();
            let slot = self.session.meter.resume(tool, self.policy);
            waiting.slot = Some(slot.map_err(|it| it.reason.internal)?);
        }
        if from == Side::Client {
            // It is paid for when it is sent: what nobody approves costs nothing, and reads nothing.
            let left = self.spend_and_read(judgement.message(), roles, waiting);
            left.map_err(|it| it.reason.internal)?;
        } else {
            let paid = self.spend_tokens(judgement.message(), waiting);
            paid.map_err(|it| it.reason.internal)?;
        }
        judgement.approved().map_err(|_| "it may not be sent".to_owned())
    }

    /// A message with what somebody has put into it in place of what could be changed.
    pub(super) fn changed(&self, from: Side, bytes: &Bytes, to: &Value) -> Result<Message, String> {
        let limits = self.policy.limits.json();
        let message = Message::parse(from, bytes.clone(), &limits).map_err(|it| it.says)?;
        let at = match (message.kind(), message.method()) {
            (Kind::Request, Some("sampling/createMessage")) => message.body(),
            (Kind::Request, _) => message.get("inputResponses"),
            (Kind::Result, _) => message.get("inputRequests").or_else(|| message.body()),
            (Kind::Error | Kind::Notification, _) => None,
        };
        let at = at.filter(|_| to.is_object()).ok_or("nothing of it can be changed")?;
        let edit = Edit { at: at.number(), to: Some(to.clone()) };
        message.edited(&[edit], &limits).map_err(|it| it.says)
    }

    /// A request that waited for a person does not go on.
    fn unapproved(&mut self, from: Side, id: &Id, parked: Parked, told: &str, why: &str) {
        let Parked { waiting, reasons, .. } = &parked;
        let reason = Reason {
            rule: reasons.first().map(|it| it.rule.clone()).unwrap_or_default(),
            external: told.to_owned(),
            internal: joined(told, why),
        };
        self.undecided(&parked, &reason.internal);
        self.outcome(waiting, Status::Refused, |_| ());
        self.refuse(from, id, waiting, &reason);
    }

    /// Writes down that a request that waited for a person does not go on.
    fn undecided(&mut self, parked: &Parked, says: &str) {
        let mut record = parked.record.clone();
        record.decision = Some("deny");
        record.rule = parked.reasons.first().map(|it| it.rule.clone());
        record.says = says.to_owned();
        self.effects.push(Effect::Record(Box::new(record)));
    }

    /// Ends a request that waits for a person, and that nobody wants answered any more. False, where
    /// none of this name waits.
    pub(super) fn unasked(&mut self, from: Side, id: &Id) -> bool {
        if !self.session.asked.has(from, id) {
            return false;
        }
        let parked = self.session.asked.parked.remove(&(from, id.clone()));
        if let Some(parked) = &parked {
            self.elicit_no_more(id, parked);
            self.undecided(parked, "it was cancelled before anybody had answered");
            self.outcome(&parked.waiting, Status::Cancelled, |_| ());
            self.effects.push(Effect::Unask(parked.question.clone()));
        }
        parked.is_some()
    }

    /// One side is gone: nothing waits for a person any more.
    pub(super) fn nobody_asked(&mut self, side: Side, why: &str) {
        self.forget_handed(true);
        let parked = std::mem::take(&mut self.session.asked.parked);
        let mut parked: Vec<_> = parked.into_iter().collect();
        parked.sort_by_key(|(_, it)| it.waiting.number);
        for ((from, id), parked) in parked {
            self.undecided(&parked, why);
            self.outcome(&parked.waiting, Status::Lost, |it| it.says = why.to_owned());
            self.effects.push(Effect::Unask(parked.question.clone()));
            if from != side {
                self.reply(from, Some(&id), -32603, &format!("the {} is gone", side.name()));
            }
        }
    }

    /// Time has passed: what waits too long is denied, and who waits is told that it does.
    pub(super) fn asked_passed(&mut self) {
        self.forget_handed(false);
        let now_ms = self.now_ms;
        let asked = &mut self.session.asked.parked;
        let mut late: Vec<(u64, (Side, Id))> = asked
            .iter()
            .filter(|(_, it)| now_ms >= it.until_ms)
            .map(|(key, it)| (it.waiting.number, key.clone()))
            .collect();
        late.sort_by_key(|(number, _)| *number);
        for (_, key) in late {
            let Some(parked) = self.session.asked.parked.remove(&key) else { continue };
            let call = parked.question.clone();
            self.elicit_no_more(&key.1, &parked);
            self.unapproved(key.0, &key.1, *parked, "nobody has answered in time", "");
            self.effects.push(Effect::Unask(call));
        }
        let parked = self.session.asked.parked.iter_mut();
        let due = parked.filter(|(_, it)| now_ms.saturating_sub(it.told_ms) >= PROGRESS_MS);
        let told = |((from, id), it): (&(Side, Id), &mut Box<Parked>)| {
            Some((it.waiting.number, id.clone(), it.progress(*from, now_ms)?))
        };
        let mut due: Vec<(u64, Id, Value)> = due.filter_map(told).collect();
        due.sort_by_key(|(number, ..)| *number);
        due.iter().for_each(|(_, id, it)| self.own_about(id, it));
    }
}

impl Parked {
    /// What its client is told while it waits, if it wants to be told.
    fn progress(&mut self, from: Side, now_ms: u64) -> Option<Value> {
        let progress = progress(from, &self.waiting, self.told)?;
        (self.told, self.told_ms) = (self.told.saturating_add(1), now_ms);
        Some(progress)
    }
}

/// What the client of a request is told that waits for a person, for the `told`th time.
pub(super) fn progress(from: Side, waiting: &Waiting, told: u32) -> Option<Value> {
    let token = waiting.token.as_ref().filter(|_| from == Side::Client)?;
    // It must grow ("Progress"), and stay below what a server will begin to count with.
    let progress = waiting.progress + f64::from(told) * 1e-6;
    let says = format!("waits for a person to approve it (reference {})", waiting.call);
    let params =
        json!({ "progressToken": token.to_value(), "progress": progress, "message": says });
    let method = "notifications/progress";
    Some(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
}

/// Whether somebody was told of a reason. Of a text that they have changed themselves, the rule is enough:
/// what a reason says of it is of the one before.
pub(super) fn was_told(asked: &[Reason], now: &Reason, is_edited: bool) -> bool {
    asked.iter().any(|it| it == now || is_edited && it.rule == now.rule)
}

fn joined(told: &str, why: &str) -> String {
    if why.is_empty() { told.to_owned() } else { format!("{told}: {why}") }
}

fn ms(seconds: usize) -> u64 {
    u64::try_from(seconds).unwrap_or(u64::MAX).saturating_mul(1000)
}
