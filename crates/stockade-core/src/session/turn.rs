//! One event, being taken in: what was heard is read, judged, and sent on or refused.
//!
//! Requests and answers have files of their own (`request`, `answer`). Here is what is common to
//! them, what nobody answers, and how a request ends that is not answered.

use std::cell::OnceCell;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::effects::reason;
use super::waiting::Waiting;
use super::{Effect, Session, shadow};
use crate::canary::Canaries;
use crate::fence::Fence;
use crate::json::Json;
use crate::judge::{Cleared, Judgement, judge};
use crate::leads::Leads;
use crate::message::{Frame, Id, Kind, Malformed, Message, Side};
use crate::meter::Stopped;
use crate::policy::Policy;
use crate::record::{self, Limited, Noted, Status};
use crate::revision::{self, Revision};
use crate::subject::Facts;

const OTHER_ANSWER: &str = "something else than the answer to the request it was sent back for";

/// One event, being taken in.
pub(super) struct Turn<'s> {
    pub(super) session: &'s mut Session,
    pub(super) policy: &'s Arc<Policy>,
    pub(super) now_ms: u64,
    /// Where the paths of this message lead, where somebody has looked.
    pub(super) leads: Option<Leads>,
    pub(super) effects: Vec<Effect>,
}

impl Turn<'_> {
    pub(super) fn heard(&mut self, from: Side, bytes: Bytes) {
        if from == Side::Server && self.known(&bytes, None) {
            return;
        }
        match Frame::parse(from, bytes, &self.policy.limits.json()) {
            Ok(Frame::One(message)) => self.said(*message),
            Ok(Frame::Batch(parts)) if self.has_batches() => {
                for part in parts {
                    match part {
                        Ok(message) => self.said(message),
                        Err(malformed) => self.malformed(from, &malformed),
                    }
                }
            }
            Ok(Frame::Batch(_)) => {
                let says = "a batch, which only revision 2025-03-26 has".to_owned();
                self.malformed(from, &Malformed { code: -32600, says, id: None });
            }
            Err(malformed) => self.malformed(from, &malformed),
        }
    }

    /// What a server has sent back for the request `id` of its client.
    pub(super) fn answered(&mut self, id: &Id, bytes: Bytes) {
        if self.known(&bytes, Some(id)) {
            return;
        }
        let parts = match Frame::parse(Side::Server, bytes, &self.policy.limits.json()) {
            Ok(Frame::One(message)) => vec![Ok(*message)],
            Ok(Frame::Batch(parts)) if self.has_batches() => parts,
            Ok(Frame::Batch(_)) => return self.violation(Side::Server, "", OTHER_ANSWER),
            Err(malformed) => vec![Err(malformed)],
        };
        for part in parts {
            // An error that names no request answers the one that it was sent back for.
            let answer = part.and_then(|it| match (it.kind(), it.id()) {
                (Kind::Error, None) => it.addressed(id),
                _ => Ok(it),
            });
            match answer {
                Ok(it)
                    if matches!(it.kind(), Kind::Result | Kind::Error) && it.id() == Some(id) =>
                {
                    self.answer(it);
                }
                Ok(it) => {
                    self.violation(Side::Server, it.method().unwrap_or_default(), OTHER_ANSWER);
                }
                Err(malformed) => self.malformed(Side::Server, &malformed),
            }
        }
    }

    fn has_batches(&self) -> bool {
        self.session.revision.is_some_and(Revision::has_batches)
    }

    /// An answer that was judged before, but for its id; only that to the request `asked`, if it is
    /// known which it must be.
    fn known(&mut self, bytes: &Bytes, asked: Option<&Id>) -> bool {
        let server = Arc::clone(&self.session.server);
        if server.blocked().is_some() {
            return false;
        }
        let Some((id, method, revision)) = server.seen.find(bytes, self.policy) else {
            return false;
        };
        if asked.is_some_and(|it| *it != id) {
            return false;
        }
        let key = (Side::Client, id.clone());
        let same = |it: &Waiting| it.method == method && it.revision == revision && !it.unknown;
        if !self.session.waiting.get(&key).is_some_and(same) {
            return false;
        }
        if let Some(waiting) = self.session.waiting.remove(&key) {
            self.outcome(&waiting, Status::Ok, |_| ());
            self.effects.push(Effect::Send(Cleared::seen(Side::Server, id, bytes.clone())));
        }
        true
    }

    pub(super) fn malformed(&mut self, from: Side, malformed: &Malformed) {
        self.violation(from, "", &malformed.says);
        // A server that says what cannot be read is not told: it asked nothing.
        if from == Side::Client {
            let text = match malformed.code {
                -32700 => "not JSON that can be read in one way",
                _ => "not a JSON-RPC 2.0 message that can be taken in",
            };
            self.reply(from, malformed.id.as_ref(), malformed.code, text);
        }
    }

    pub(super) fn said(&mut self, message: Message) {
        match message.kind() {
            Kind::Request => self.request(message),
            Kind::Notification => self.notification(message),
            Kind::Result | Kind::Error => self.answer(message),
        }
    }

    fn notification(&mut self, message: Message) {
        let from = message.from();
        let method: Box<str> = message.method().unwrap_or_default().into();
        if revision::is_request(&method) {
            // Nothing that is asked of a request (the policy, the limits, a record) is asked of a
            // notification.
            return self.violation(from, &method, "a request without an id");
        }
        if from == Side::Server && revision::is_of_client(&method) {
            return self.violation(from, &method, "what only a client says");
        }
        if self.session.server.blocked().is_some() {
            // Neither side hears of the other.
            if from == Side::Client && &*method == "notifications/initialized" {
                self.session.lists.begins_blocked(message);
            }
            return;
        }
        if self.heeds(from, &method) {
            return;
        }
        let ended = match &*method {
            "notifications/cancelled" => {
                let id = message.get("requestId").and_then(Id::read);
                // The other side has never heard of it.
                if id.as_ref().is_some_and(|it| self.unasked(from, it) || self.unheld(from, it)) {
                    return;
                }
                let ended = id.and_then(|it| Some((it.clone(), self.cancelled(from, it)?)));
                if ended.is_none() {
                    return self.violation(from, &method, "cancels what does not wait");
                }
                ended
            }
            "notifications/progress" => {
                self.progressed(&message);
                None
            }
            "notifications/subscriptions/acknowledged" if from == Side::Server => {
                self.acknowledged(&message);
                None
            }
            _ => None,
        };
        let waiting = match self.wait(&message, method) {
            Ok(it) => it,
            Err(says) => return self.violation(from, message.method().unwrap_or_default(), says),
        };
        let original = self.policy.shadow.then(|| message.clone());
        let judgement = self.judge(message, &waiting);
        let review = self.review(judgement.message(), &waiting);
        let mut judgement = judgement.and(review);
        let findings = Noted::all(from, judgement.findings(), self.policy);
        let mut would = None;
        if let Some(original) = original {
            let (it, said) = shadow::let_go(judgement, original, self.policy.asks_nobody);
            (judgement, would) = (it, Some(said));
        }
        let mended = judgement.mended();
        let verdict = judgement.verdict().name();
        let cleared = judgement.clear();
        if !findings.is_empty() || cleared.is_err() {
            let mut record = self.exchange(record::Kind::Notice, &waiting);
            record.from = Some(from.name());
            (record.findings, record.mended, record.decision) = (findings, mended, Some(verdict));
            if let Err(judgement) = &cleared {
                // Also what asks: nobody is asked about a notification.
                let reason = reason(judgement.verdict(), self.policy.asks_nobody);
                (record.decision, record.rule) = (Some("deny"), Some(reason.rule));
                record.says = reason.internal;
            }
            if let Some(would) = would {
                would.note(&mut record);
            }
            self.effects.push(Effect::Record(Box::new(record)));
        }
        if let Some((id, ended)) = ended {
            self.outcome(&ended, Status::Cancelled, |_| ());
            if cleared.is_err() {
                // What was said about it is refused; that it is over must be known all the same.
                self.cancel(from.other(), &id);
            }
        }
        // What is refused here is dropped: nobody waits for a notification.
        if let Ok(cleared) = cleared {
            self.effects.push(Effect::Send(cleared.clone()));
            if from == Side::Client && &*waiting.method == "notifications/initialized" {
                self.session.lists.begins();
            }
            self.greets(&waiting.method, &cleared);
        }
    }

    /// A call that reports progress is not silent.
    fn progressed(&mut self, message: &Message) {
        let token = message.get("progressToken").and_then(Id::read);
        let (asker, now_ms) = (message.from().other(), self.now_ms);
        let progress = message.get("progress").and_then(Json::f64).filter(|it| it.is_finite());
        let waiting = self.session.waiting.iter_mut();
        waiting
            .filter(|((side, _), it)| *side == asker && it.token.is_some() && it.token == token)
            .for_each(|(_, it)| {
                it.heard_ms = now_ms;
                it.progress = progress.unwrap_or(it.progress).max(it.progress);
            });
    }

    /// Takes away the request that `by` no longer wants answered.
    fn cancelled(&mut self, by: Side, id: Id) -> Option<Waiting> {
        let waiting = &mut self.session.waiting;
        let own = (by, id);
        if waiting.contains_key(&own) || by == Side::Client {
            return waiting.remove(&own);
        }
        // 2026-07-28, "Cancellation": a server may end a subscription of its client's.
        let asked = (Side::Client, own.1);
        let ends = waiting.get(&asked).is_some_and(Waiting::is_subscription);
        ends.then(|| waiting.remove(&asked)).flatten()
    }

    /// Ends a request that nobody wants answered any more, if it still waits.
    pub(super) fn withdrawn(&mut self, id: &Id) -> bool {
        let waiting = self.session.waiting.remove(&(Side::Client, id.clone()));
        if let Some(waiting) = &waiting {
            self.outcome(waiting, Status::Cancelled, |_| ());
        }
        waiting.is_some()
    }

    pub(super) fn unanswered(&mut self, id: &Id, why: &str) {
        if let Some(waiting) = self.session.waiting.remove(&(Side::Client, id.clone())) {
            self.outcome(&waiting, Status::Lost, |it| it.says = why.to_owned());
            let text = format!("the server did not answer (reference {})", waiting.call);
            self.reply(Side::Client, Some(id), -32603, &text);
        }
    }

    pub(super) fn left(&mut self, side: Side, why: &str) {
        let mut waiting: Vec<_> = std::mem::take(&mut self.session.waiting).into_iter().collect();
        waiting.sort_by_key(|(_, it)| it.number);
        for ((asker, id), waiting) in waiting {
            self.outcome(&waiting, Status::Lost, |it| it.says = why.to_owned());
            if asker != side {
                self.reply(asker, Some(&id), -32603, &format!("the {} is gone", side.name()));
            }
        }
    }

    pub(super) fn passed(&mut self) {
        let limits = self.policy.limits;
        let ms = |it: usize| u64::try_from(it).unwrap_or(u64::MAX).saturating_mul(1000);
        let (silent, total) = (ms(limits.call_timeout_s), ms(limits.call_total_s));
        // While the client or a person is asked something, it is not the server that is silent.
        let by_server = |it: &(Side, Id)| it.0 == Side::Server;
        let asked = self.asked() > 0
            || self.session.asked.parked.keys().any(by_server)
            || self.session.held.len() > 0;
        let late = |it: &Waiting| {
            (self.now_ms.saturating_sub(it.heard_ms) >= silent && !asked)
                || self.now_ms.saturating_sub(it.since_ms) >= total
        };
        let waiting = self.session.waiting.iter();
        let late: Vec<Id> = waiting
            .filter(|((side, _), it)| *side == Side::Client && !it.is_subscription() && late(it))
            .map(|((_, id), _)| id.clone())
            .collect();
        late.iter().for_each(|it| self.expired(it));
    }

    /// A request has taken too long: its asker is told, and its server not to go on.
    pub(super) fn expired(&mut self, id: &Id) {
        let Some(waiting) = self.session.waiting.remove(&(Side::Client, id.clone())) else {
            return;
        };
        let limits = &self.policy.limits;
        let seconds = |since: u64| self.now_ms.saturating_sub(since) / 1000;
        let total_s = u64::try_from(limits.call_total_s).unwrap_or(u64::MAX);
        let (name, max, count, says) = match seconds(waiting.since_ms) {
            it if it >= total_s => {
                let says = "and may take no longer, whatever progress it reports";
                ("limits.call_total_s", total_s, it, says)
            }
            _ => {
                let max = u64::try_from(limits.call_timeout_s).unwrap_or(u64::MAX);
                // What carries it may have counted by a clock of its own.
                ("limits.call_timeout_s", max, seconds(waiting.heard_ms).max(max), "and was silent")
            }
        };
        let (name, window_s, retry_ms) = (name.to_owned(), None, None);
        let limited = Limited { name, max, count, window_s, retry_ms };
        let external = format!("the server took too long: {count} s, {says}");
        let Stopped { reason, limited } = Stopped::new(limited, external);
        self.outcome(&waiting, Status::Timeout, |it| {
            it.says.clone_from(&reason.internal);
            it.limit = Some(Box::new(limited.clone()));
        });
        self.cancel(Side::Server, id);
        self.refuse_limited(Side::Client, id, &waiting, &reason, Some(&limited));
        if self.policy.kills_overdue {
            self.effects.push(Effect::Kill);
        }
    }

    /// Says, in the guard's own words, that a request is not wanted any more.
    pub(super) fn cancel(&mut self, to: Side, id: &Id) {
        self.own(to, &cancelled(id));
    }

    pub(super) fn judge(&self, message: Message, waiting: &Waiting) -> Judgement {
        let roots = self.roots();
        let planted = self.session.planted.as_ref().map(|it| &*it.canaries);
        let canaries: Vec<&Canaries> =
            [&*self.policy.canaries].into_iter().chain(planted).collect();
        let bytes = message.bytes().clone();
        let fence = self.session.secret.as_ref().map(|it| Fence::new(it, &bytes));
        let tool = waiting.tool_name.as_deref().unwrap_or_default();
        let inputs = self.policy.inputs.about(&self.policy.tools.server, tool);
        let unlisted = OnceCell::new();
        let facts = Facts {
            from: message.from(),
            revision: waiting.revision,
            method: &waiting.method,
            reference: &waiting.call,
            definition: waiting.tool.as_deref(),
            inputs: &inputs,
            reads_as: waiting.reads_as.as_deref(),
            client_can: waiting.client.can,
            roots: &roots,
            leads: self.leads.as_ref(),
            unlisted: Some(&unlisted),
            text_bytes_max: self.policy.text_bytes_max.unwrap_or(usize::MAX),
            canaries: &canaries,
            fence: fence.as_ref(),
            aliases: Some(&self.session.aliases),
            sampling: &self.policy.sampling,
        };
        judge(message, &facts, self.policy)
    }

    /// How many questions of the server wait for an answer.
    pub(super) fn asked(&self) -> usize {
        self.session.waiting.keys().filter(|(side, _)| *side == Side::Server).count()
    }
}

pub(super) fn cancelled(id: &Id) -> Value {
    let params = json!({ "requestId": id.to_value() });
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params })
}
