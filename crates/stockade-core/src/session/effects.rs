//! What a turn writes down, and what it says in the guard's own words.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Effect;
use super::turn::Turn;
use super::waiting::Waiting;
use crate::check;
use crate::judge::{Cleared, Judgement};
use crate::message::{Id, Side};
use crate::policy::{Reason, Verdict};
use crate::record::{self, Limited, Noted, Record, Status};
use crate::revision::{self, METHODS};

/// Where a refusal has the limit that was run into.
pub const META_LIMIT: &str = "stockade/limit";

impl Turn<'_> {
    pub(super) fn exchange(&self, kind: record::Kind, waiting: &Waiting) -> Record {
        let session = &self.session;
        Record {
            kind,
            session: Arc::clone(&session.parties.session),
            principal: Arc::clone(&session.parties.principal),
            server: Arc::clone(&session.server.name),
            client: Arc::clone(&waiting.client.label),
            call: waiting.call.clone(),
            revision: Some(waiting.revision.name()),
            method: clipped_method(&waiting.method),
            tool: waiting.tool_name.as_deref().map(clipped),
            tool_digest: waiting.tool.as_deref().map(|it| it.digest.clone()),
            trace: waiting.trace.as_deref().map(str::to_owned),
            ..Record::default()
        }
    }

    pub(super) fn outcome(
        &mut self,
        waiting: &Waiting,
        status: Status,
        fill: impl FnOnce(&mut Record),
    ) {
        let mut record = self.exchange(record::Kind::Outcome, waiting);
        record.status = Some(status);
        record.duration_ms = Some(self.now_ms.saturating_sub(waiting.since_ms));
        let (touched, found) = self.seen(waiting);
        record.touched = touched;
        record.findings = Noted::all(Side::Server, &found, self.policy);
        fill(&mut record);
        self.effects.push(Effect::Record(Box::new(record)));
    }

    /// What the checks saw in a message, in a line each, for whoever is asked about it.
    pub(super) fn lines(&self, judgement: &Judgement) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        for it in Noted::all(judgement.message().from(), judgement.findings(), self.policy) {
            let place = check::redacted_pointer(&it.place);
            // What is found in a call as a whole has no place in it.
            let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
            let line = format!("{} ({}){at}: {} ({})", it.rule, it.severity, it.says, it.action);
            if !seen.contains(&line) {
                seen.push(line);
            }
        }
        let more = judgement.findings().len().saturating_sub(Noted::MAX);
        if more > 0 {
            seen.push(format!("and {more} more, which are not listed"));
        }
        seen
    }

    pub(super) fn violation(&mut self, from: Side, method: &str, says: &str) {
        let session = &self.session;
        self.effects.push(Effect::Record(Box::new(Record {
            kind: record::Kind::Violation,
            session: Arc::clone(&session.parties.session),
            principal: Arc::clone(&session.parties.principal),
            server: Arc::clone(&session.server.name),
            client: Arc::clone(&session.asked_last.label),
            from: Some(from.name()),
            method: clipped_method(method),
            says: says.to_owned(),
            ..Record::default()
        })));
    }

    /// Tells whoever waits that the answer is no. A tool's caller is a model, which reads results
    /// and not errors: it is told in a result that says it is an error.
    pub(super) fn refuse(&mut self, asker: Side, id: &Id, waiting: &Waiting, reason: &Reason) {
        self.refuse_limited(asker, id, waiting, reason, None);
    }

    /// The same of what ran into a limit, which a program is told in numbers.
    pub(super) fn refuse_limited(
        &mut self,
        asker: Side,
        id: &Id,
        waiting: &Waiting,
        reason: &Reason,
        limit: Option<&Limited>,
    ) {
        let text = format!("refused by Stockade: {} (reference {})", reason.external, waiting.call);
        if &*waiting.method != "tools/call" {
            return self.reply(asker, Some(id), revision::REFUSED, &text);
        }
        let mut result = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
        if let (true, Some(result)) = (waiting.revision.types_results(), result.as_object_mut()) {
            result.insert("resultType".to_owned(), Value::from("complete"));
        }
        if let (Some(limit), Some(result)) = (limit, result.as_object_mut()) {
            let limit = json!({
                "limit": limit.name,
                "max": limit.max,
                "count": limit.count,
                "windowSeconds": limit.window_s,
                "retryAfter": limit.retry_s(),
            });
            result.insert("_meta".to_owned(), json!({ META_LIMIT: limit }));
        }
        self.own(asker, &json!({ "jsonrpc": "2.0", "id": id.to_value(), "result": result }));
    }

    pub(super) fn reply(&mut self, to: Side, id: Option<&Id>, code: i64, text: &str) {
        let id = id.map_or(Value::Null, Id::to_value);
        let error = json!({ "code": code, "message": text });
        self.own(to, &json!({ "jsonrpc": "2.0", "id": id, "error": error }));
    }

    pub(super) fn own(&mut self, to: Side, value: &Value) {
        self.effects.extend(Cleared::own(to.other(), value).ok().map(Effect::Send));
    }

    /// Says something to the client about its request `id`.
    pub(super) fn own_about(&mut self, id: &Id, value: &Value) {
        let own = Cleared::own(Side::Server, value).map(|it| it.about_a_request(id));
        self.effects.extend(own.ok().map(Effect::Send));
    }
}

/// Why a verdict that is not "allow" was given. Where nobody can be asked, a question is a denial;
/// `by_policy`, where the policy says so.
pub(super) fn reason(verdict: &Verdict, by_policy: bool) -> Reason {
    match verdict {
        Verdict::Deny(reason) => reason.clone(),
        Verdict::Ask(reasons) => {
            let first = reasons.first();
            let why = first.map(|it| format!(": {}", it.external)).unwrap_or_default();
            Reason {
                rule: first.map(|it| it.rule.clone()).unwrap_or_default(),
                external: match by_policy {
                    false => {
                        format!("a person would have to approve this, and nobody can be asked{why}")
                    }
                    true => format!(
                        "a person would have to approve this, and the policy asks nobody{why}"
                    ),
                },
                internal: first.map(|it| format!("ask: {}", it.internal)).unwrap_or_default(),
            }
        }
        Verdict::Allow => {
            Reason { rule: String::new(), external: String::new(), internal: String::new() }
        }
    }
}

/// The same of a method, most of which everybody knows.
fn clipped_method(method: &str) -> String {
    if METHODS.contains(&method) { method.to_owned() } else { clipped(method) }
}

/// A name as the record keeps it: whoever speaks can make it as long as a message.
pub(super) fn clipped(name: &str) -> String {
    check::clipped(name, 200)
}
