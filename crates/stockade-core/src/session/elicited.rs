//! A question in the client itself, where it can ask its person and the policy takes its word for the
//! answer: a request of the guard's, or from 2026-07-28 on an answer that wants input, with a state
//! under which the same call comes again. It is one way to answer among others, and the first counts.
//!
//! A state is a name that nobody else can make; what it stands for is kept here. So there is nothing
//! in it to be read or changed, and it is good for one call of one conversation, and once.

use serde_json::{Value, json};

use super::Effect;
use super::asked::Parked;
use super::turn::{Turn, cancelled};
use super::waiting::Waiting;
use crate::approval::{self, Answer};
use crate::json::{Edit, Json};
use crate::message::{Id, Kind, Message, Side};
use crate::policy::Reason;
use crate::record::{self, Status};
use crate::revision::{Capability, Revision, may_ask_back};

/// What the guard's own questions are called. No server may use such a name.
const OWN_IDS: &str = "stockade:approval:";

/// How the guard's own states begin.
const OWN_STATES: &str = "stockade:";

/// What the question goes by in a result that wants input.
const KEY: &str = "stockade";

const ALLOW: &str = "allow once";
const DENY: &str = "deny";

/// What the client of a request was asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elicited {
    /// Nothing.
    No,
    /// It was asked, and has not answered.
    Open,
    /// It has answered, or answers by its next request.
    Done,
}

/// A request that was answered with the question about it, and is to come again.
#[derive(Debug)]
pub(super) struct Handed {
    parked: Box<Parked>,
    /// What somebody else has said meanwhile, and to what.
    answer: Option<(String, Answer)>,
}

/// The state in a message, where it is one of the guard's, or wants to be.
pub fn own_state(message: &Message) -> Option<&str> {
    let state = message.get("requestState").and_then(Json::str);
    state.filter(|it| it.starts_with(OWN_STATES))
}

/// Whether a message has a state of the guard's.
pub(super) fn has_own_state(message: &Message) -> bool {
    own_state(message).is_some()
}

impl Turn<'_> {
    /// Whether the client of a request may ask its person about it.
    pub(super) fn elicits(&self, waiting: &Waiting) -> bool {
        let revision = waiting.revision;
        let has_a_way = if revision.server_asks() {
            revision >= Revision::V2025_06_18
        } else {
            self.session.secret.is_some() && may_ask_back(&waiting.method) && !waiting.unknown
        };
        self.policy.asks_client && has_a_way && waiting.client.can.has(Capability::ElicitationForm)
    }

    /// Whoever answers sees this question now, in these words: so may the client.
    pub(super) fn elicit(&mut self, call: &str, says: &str) {
        let parked = self.session.asked.parked.iter();
        let asked = parked
            .filter(|(_, it)| it.question == call && it.elicited == Elicited::No)
            .find(|(_, it)| self.elicits(&it.waiting));
        let Some(key) = asked.map(|(key, _)| key.clone()) else { return };
        let Some(parked) = self.session.asked.parked.get_mut(&key) else { return };
        let schema = json!({
            "type": "object",
            "properties": {
                "decision": { "type": "string", "title": "Decision", "enum": [DENY, ALLOW] },
            },
            "required": ["decision"],
        });
        let method = "elicitation/create";
        let params = json!({ "message": says, "requestedSchema": schema });
        if parked.waiting.revision.server_asks() {
            parked.elicited = Elicited::Open;
            let id = format!("{OWN_IDS}{call}");
            let ask = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
            return self.own_about(&key.1, &ask);
        }
        let Some(parked) = self.session.asked.parked.remove(&key) else { return };
        self.hand(&key.1, parked, &json!({ "method": method, "params": params }));
    }

    /// Answers a request with the question about it.
    fn hand(&mut self, id: &Id, mut parked: Box<Parked>, ask: &Value) {
        let Some(secret) = &self.session.secret else { return };
        let whole = format!("state\n{}\n{}", parked.question, parked.digest);
        let state = blake3::keyed_hash(secret, whole.as_bytes()).to_hex();
        let state = format!("{OWN_STATES}{state}");
        let mut record = parked.record.clone();
        record.decision = Some("ask");
        record.says = "its client is asked, and calls again with the answer".to_owned();
        self.effects.push(Effect::Record(Box::new(record)));
        self.outcome(&parked.waiting, Status::Ok, |_| ());
        let result = json!({
            "resultType": "input_required",
            "inputRequests": { KEY: ask },
            "requestState": state,
        });
        self.own(Side::Client, &json!({ "jsonrpc": "2.0", "id": id.to_value(), "result": result }));
        parked.elicited = Elicited::Done;
        self.session.asked.handed.insert(state, Handed { parked, answer: None });
    }

    /// Takes in a request that comes again with a state of the guard's.
    pub(super) fn comes_again(&mut self, id: &Id, message: Message, waiting: Waiting) {
        let state = message.get("requestState").and_then(Json::str).unwrap_or_default();
        // Whatever comes of it, it was used.
        let handed = self.session.asked.handed.remove(state);
        let Some(handed) = handed.filter(|it| self.now_ms < it.parked.until_ms) else {
            let why = "a state that is not the guard's, was used, or is too old";
            return self.comes_to_nothing(id, &waiting, why);
        };
        let said = message.get("inputResponses").and_then(|it| it.get(KEY)).map(Json::to_value);
        let judgement = self.judge(message, &waiting);
        let asked =
            Message::parse(Side::Client, handed.parked.bytes.clone(), &self.policy.limits.json());
        let is_it = |it: Message| approval::is_again(&it, judgement.message(), KEY);
        if !asked.is_ok_and(is_it) {
            self.effects.push(Effect::Unask(handed.parked.question));
            let why = "a state of the guard's, with another call than it was made for";
            return self.comes_to_nothing(id, &waiting, why);
        }
        let Handed { mut parked, answer } = handed;
        let Some(bytes) = self.under_another_id(&parked, id, &waiting) else {
            self.effects.push(Effect::Unask(parked.question));
            let why = "what was asked about is over a limit by now";
            return self.comes_to_nothing(id, &waiting, why);
        };
        parked.bytes = bytes;
        let mut record = self.exchange(record::Kind::Decision, &waiting);
        record.arguments_digest.clone_from(&parked.record.arguments_digest);
        record.approved_digest.clone_from(&parked.record.approved_digest);
        record.findings.clone_from(&parked.record.findings);
        record.rule.clone_from(&parked.record.rule);
        record.mended = parked.record.mended;
        parked.record = record;
        // Whoever was asked was told of the tool as it was then.
        let (tool, reads_as) = (parked.waiting.tool.take(), parked.waiting.reads_as.take());
        parked.waiting = Waiting { tool, reads_as, ..waiting };
        let (question, digest) = (parked.question.clone(), parked.digest.clone());
        self.session.asked.parked.insert((Side::Client, id.clone()), parked);
        match answer {
            Some((digest, answer)) => self.decided(&question, &digest, &answer),
            None => self.said_by_client(question, digest, &said.unwrap_or_default()),
        }
    }

    /// What was asked about, as the request that it is now: with its id and its progress token.
    fn under_another_id(&self, parked: &Parked, id: &Id, now: &Waiting) -> Option<bytes::Bytes> {
        let limits = self.policy.limits.json();
        let held = Message::parse(Side::Client, parked.bytes.clone(), &limits).ok()?;
        let named = held.root().get("id").map(|it| (it, id));
        let token = held.meta("progressToken").zip(now.token.as_ref());
        let edits = named.into_iter().chain(token);
        let edits: Vec<_> =
            edits.map(|(at, to)| Edit { at: at.number(), to: Some(to.to_value()) }).collect();
        let renamed = held.edited(&edits, &limits).ok()?;
        Some(bytes::Bytes::copy_from_slice(renamed.bytes()))
    }

    fn comes_to_nothing(&mut self, id: &Id, waiting: &Waiting, why: &str) {
        let mut record = self.exchange(record::Kind::Decision, waiting);
        record.decision = Some("deny");
        record.rule = Some("approval".to_owned());
        record.says = why.to_owned();
        self.effects.push(Effect::Record(Box::new(record)));
        self.outcome(waiting, Status::Refused, |_| ());
        let reason = Reason {
            rule: "approval".to_owned(),
            external: "its `requestState` approves no such call".to_owned(),
            internal: why.to_owned(),
        };
        self.refuse(Side::Client, id, waiting, &reason);
    }

    /// Takes in what a client says to the guard's question.
    pub(super) fn elicited(&mut self, message: &Message) -> bool {
        let Some(Id::Text(id)) = message.id() else { return false };
        let Some(call) = id.strip_prefix(OWN_IDS) else { return false };
        let parked = self.session.asked.parked.values_mut();
        let mut open = parked.filter(|it| it.elicited == Elicited::Open);
        // Else it was answered elsewhere meanwhile, or is too old.
        if let Some(parked) = open.find(|it| it.question == call) {
            parked.elicited = Elicited::Done;
            let (question, digest) = (parked.question.clone(), parked.digest.clone());
            let said = match message.kind() {
                Kind::Result => message.body().map(Json::to_value),
                Kind::Error | Kind::Request | Kind::Notification => None,
            };
            self.said_by_client(question, digest, &said.unwrap_or_default());
        }
        true
    }

    /// What a client has said. Whatever is no yes, is a no.
    fn said_by_client(&mut self, call: String, digest: String, said: &Value) {
        let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str);
        let (approved, says) = match (text("/action"), text("/content/decision")) {
            _ if !self.policy.asks_client => (false, "the policy asks no client by now"),
            (Some("accept"), Some(ALLOW)) => (true, ""),
            (Some("accept"), Some(DENY)) => (false, ""),
            (Some("decline"), _) => (false, "the question was declined"),
            (Some("cancel"), _) => (false, "the question was dismissed"),
            _ => (false, "the client has answered with something else"),
        };
        self.effects.push(Effect::Answer { call, digest, approved, says });
    }

    /// The client is not to answer any more, if it was asked.
    pub(super) fn elicit_no_more(&mut self, id: &Id, parked: &Parked) {
        if parked.elicited == Elicited::Open {
            let question = format!("{OWN_IDS}{}", parked.question);
            self.own_about(id, &cancelled(&Id::Text(question)));
        }
    }

    /// Somebody else has answered, before the call has come again.
    pub(super) fn decided_meanwhile(&mut self, call: &str, digest: &str, answer: &Answer) {
        let mut handed = self.session.asked.handed.values_mut();
        if let Some(it) = handed.find(|it| it.parked.question == call && it.answer.is_none()) {
            it.answer = Some((digest.to_owned(), answer.clone()));
        }
    }

    /// What does not come again in time is forgotten; or all of it.
    pub(super) fn forget_handed(&mut self, all: bool) {
        let now_ms = self.now_ms;
        let late = |it: &Handed| all || now_ms >= it.parked.until_ms;
        let late = self.session.asked.handed.extract_if(|_, it| late(it));
        let mut late: Vec<_> = late.map(|(_, it)| it.parked).collect();
        late.sort_by_key(|it| it.waiting.number);
        self.effects.extend(late.into_iter().map(|it| Effect::Unask(it.question)));
    }
}
