//! An answer: held against the request that it answers, judged, and learnt from.

use super::effects::reason;
use super::elicited::has_own_state;
use super::held::Kept;
use super::pinned::Pinned;
use super::readable::unreadable;
use super::review::asks;
use super::turn::Turn;
use super::waiting::Waiting;
use super::{Effect, shadow};
use crate::check;
use crate::finding::Finding;
use crate::json::Json;
use crate::message::{Kind, Message, Side};
use crate::policy::{Reason, Verdict};
use crate::record::{Noted, Status};
use crate::revision::{self, Capability, Revision};

impl Turn<'_> {
    pub(super) fn answer(&mut self, message: Message) {
        let from = message.from();
        let asker = from.other();
        if self.answers_guard(&message) {
            return;
        }
        let Some(id) = message.id().cloned() else {
            return self.violation(from, "", "an error that answers no request");
        };
        let Some(waiting) = self.session.waiting.remove(&(asker, id.clone())) else {
            return self.violation(from, "", "an answer to what was not asked, or was cancelled");
        };
        if from == Side::Server
            && let Some(blocked) = self.session.server.blocked()
        {
            return self.refuse_blocked(&id, &message, &waiting, &blocked);
        }
        if let Some(says) = wrong_answer(&message, &waiting) {
            self.violation(from, &waiting.method, says);
            self.outcome(&waiting, Status::Refused, |it| it.says = says.to_owned());
            let reason = Reason {
                rule: "protocol".to_owned(),
                external: "the answer breaks the protocol".to_owned(),
                internal: says.to_owned(),
            };
            return self.refuse(asker, &id, &waiting, &reason);
        }
        let status = status(&message);
        let original = message.clone();
        let planted = (from == Side::Server).then(|| self.plant(&message, &waiting)).flatten();
        let (message, has_canary) = match planted {
            Some(it) => (it, true),
            None => (message, false),
        };
        let (message, held) = match self.pinned(message, &waiting) {
            Pinned::Whole(message) => (message, false),
            Pinned::Mended(message) => (message, true),
            Pinned::Blocked(blocked) => {
                return self.refuse_blocked(&id, &original, &waiting, &blocked);
            }
            Pinned::Refused => {
                self.outcome(&waiting, Status::Refused, |it| it.mended = true);
                let reason = Reason {
                    rule: "lock".to_owned(),
                    external: "the answer is not what was approved".to_owned(),
                    internal: String::new(),
                };
                return self.refuse(asker, &id, &waiting, &reason);
            }
        };
        let (touched, found) = self.seen(&waiting);
        let as_it_came = self.policy.shadow.then(|| message.clone());
        let mut judgement = self.judge(message, &waiting).with(found, self.policy);
        if from == Side::Server
            && let Err(reason) = self.spent(&original, &waiting)
        {
            judgement = judgement.and(Verdict::Deny(reason));
        }
        let review = self.review(judgement.message(), &waiting);
        judgement = judgement.and(review);
        if from == Side::Server
            && matches!(judgement.verdict(), Verdict::Allow)
            && let Err(refused) = self.spend_tokens(judgement.message(), &waiting)
        {
            judgement = judgement.and(Verdict::Deny(refused.reason));
        }
        let findings = Noted::all(from, judgement.findings(), self.policy);
        // By what was seen, also where nothing is done about it.
        let clean = findings.is_empty() && !judgement.mended() && !held && !has_canary;
        let mut would = None;
        if let Some(original) = as_it_came {
            let (it, said) = shadow::let_go(judgement, original, self.policy.asks_nobody);
            (judgement, would) = (it, Some(said));
        }
        let mended = judgement.mended() || held || has_canary;
        let verdict = judgement.verdict().name();
        let mut detail = original_error(&original, judgement.findings());
        if has_canary {
            detail.push_str("a canary was planted");
        }
        detail.push_str(&Self::exchanged(&original, &waiting));
        let whole = !mended && matches!(judgement.verdict(), Verdict::Allow);
        if !whole && from == Side::Server && &*waiting.method == "tools/list" {
            // A tool that was taken out of the list, or whose list was refused, can be called all
            // the same, and is then held to what its server said of it.
            self.session.server.learn(original.get("tools"));
        }
        match judgement.clear() {
            Ok(cleared) => {
                if from == Side::Server && &*waiting.method == "initialize" {
                    self.greeted(&original);
                    self.session.lists.greeted(cleared.message());
                }
                self.learn(cleared.message(), &waiting, clean);
                self.outcome(&waiting, status, |it| {
                    (it.findings, it.mended, it.says) = (findings, mended, detail);
                    it.touched = touched;
                    it.decision = (!clean).then_some(verdict);
                    if let Some(would) = would {
                        would.note(it);
                    }
                });
                self.effects.push(Effect::Send(cleared));
            }
            Err(judgement) => {
                let status = Some(status);
                let kept = Kept { status, findings, mended, touched, says: detail };
                // What a tool has answered is nobody's to wait for: what asks about that is denied.
                let waits = from == Side::Client || asks(judgement.message(), &waiting.method);
                let held = match waits {
                    true => self.hold(&id, waiting, judgement, kept),
                    false => Err(Box::new((waiting, judgement, kept))),
                };
                let Err(unheld) = held else { return };
                let (waiting, judgement, kept) = *unheld;
                let reason = reason(judgement.verdict(), self.policy.asks_nobody);
                self.outcome(&waiting, Status::Refused, |it| {
                    (it.findings, it.mended) = (kept.findings, kept.mended);
                    it.touched = kept.touched;
                    // Also what asks: nobody is asked about it, and it goes no further.
                    (it.decision, it.rule) = (Some("deny"), Some(reason.rule.clone()));
                    it.says = format!("{}{}", reason.internal, kept.says);
                });
                self.refuse(asker, &id, &waiting, &reason);
            }
        }
    }

    /// Takes in what an answer that passed says about the server.
    fn learn(&mut self, message: &Message, waiting: &Waiting, clean: bool) {
        if message.from() != Side::Server || message.kind() != Kind::Result {
            return;
        }
        match &*waiting.method {
            "initialize" => {
                let version = message.get("protocolVersion").and_then(Json::str);
                self.session.revision = version.and_then(Revision::parse);
            }
            "tools/list" => self.session.server.learn(message.get("tools")),
            _ => (),
        }
        // A question is judged by what its client can do, which is not another's.
        if clean && message.get("inputRequests").is_none() {
            let seen = &self.session.server.seen;
            seen.keep(message.bytes(), &waiting.method, waiting.revision, self.policy);
        }
    }
}

/// Why an answer cannot be taken in: it is none to its request, its revision does not allow it, or
/// nobody can say what it asks.
fn wrong_answer(message: &Message, waiting: &Waiting) -> Option<&'static str> {
    let is_of_server = message.from() == Side::Server;
    wrong_result(message, waiting)
        .or_else(|| is_of_server.then(|| unreadable(message, &waiting.method)).flatten())
}

/// Why a result cannot be what its request has asked for, or what its revision allows.
fn wrong_result(message: &Message, waiting: &Waiting) -> Option<&'static str> {
    if message.kind() != Kind::Result {
        return None;
    }
    if waiting.unknown {
        return Some("a result in a revision that the guard does not know");
    }
    if !waiting.revision.has(&waiting.method) {
        return Some("a result of a method that this revision does not have");
    }
    if &*waiting.method == "initialize" && message.from() == Side::Server {
        let version = message.get("protocolVersion").and_then(Json::str).and_then(Revision::parse);
        let known = version.is_some_and(|it| it.era() == revision::Era::Legacy);
        return (!known).then_some("a revision that the guard does not know");
    }
    if waiting.revision.types_results() {
        wrong_type(message, waiting)
    } else {
        wrong_task(message, waiting)
    }
}

/// What is wrong with a modern result, by its `resultType`.
fn wrong_type(message: &Message, waiting: &Waiting) -> Option<&'static str> {
    let has_tasks = waiting.client.can.has(Capability::Tasks);
    if waiting.method.starts_with("tasks/") && !has_tasks {
        return Some("a task, and its client has not declared that it has tasks");
    }
    match message.get("resultType").map(Json::str) {
        None | Some(Some("complete")) => None,
        Some(Some("task")) if !waiting.revision.may_become_task(&waiting.method) => {
            Some("a method that may not become a task does")
        }
        // "Regardless of prior declarations" (the extension "Tasks", "Capability Negotiation").
        Some(Some("task")) if !has_tasks => {
            Some("a task, and its client has not declared that it has tasks")
        }
        Some(Some("task")) => None,
        Some(Some("input_required")) if !revision::may_ask_back(&waiting.method) => {
            Some("a method that may not ask for input does")
        }
        Some(Some("input_required")) if has_own_state(message) => {
            Some("a `requestState` that the guard keeps for itself")
        }
        // "At least one of both" (2026-07-28, "Multi Round-Trip Requests").
        Some(Some("input_required")) => {
            let asks = message.get("inputRequests").is_some_and(|it| it.fields().next().is_some());
            let continues = message.get("requestState").and_then(Json::str).is_some();
            (!asks && !continues).then_some("an answer that needs input, and asks for none")
        }
        Some(_) => Some("a `resultType` that nobody knows"),
    }
}

/// What is wrong with a result of a session: until 2026-07-28 whoever asks decides about tasks. One
/// that nobody asked for would be what its request does, out of sight of whoever waits for it.
fn wrong_task(message: &Message, waiting: &Waiting) -> Option<&'static str> {
    let unasked = !waiting.asks_for_task && Revision::V2025_11_25.may_become_task(&waiting.method);
    let is_task = message.get("task").is_some_and(|it| it.get("taskId").is_some());
    (unasked && is_task).then_some("a task, and none was asked for")
}

fn status(message: &Message) -> Status {
    match message.kind() {
        Kind::Error => Status::Error,
        Kind::Result if message.get("isError").and_then(Json::bool) == Some(true) => {
            Status::ToolError
        }
        Kind::Result | Kind::Request | Kind::Notification => Status::Ok,
    }
}

/// The text of an error that was kept from the client, for the record, secrets redacted.
fn original_error(message: &Message, findings: &[Finding]) -> String {
    if !findings.iter().any(|it| it.rule.id == "error_detail") {
        return String::new();
    }
    let texts = message.body().into_iter().flat_map(Json::all).filter_map(Json::str);
    let whole = texts.collect::<Vec<_>>().join("\n");
    check::clipped(&whole, 4096)
}
