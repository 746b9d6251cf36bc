//! A conversation, as a state machine: events in, effects out, no I/O.
//!
//! It knows who waits for what, in which revision, and since when. Everything that is said goes
//! through [`judge`] here, and the effects come in the order in which they are to be carried out:
//! a [`Record`] before what it is about.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::catalog::{Catalog, Definition};
use crate::finding::Finding;
use crate::json::Json;
use crate::judge::{Cleared, Judgement, judge};
use crate::message::{Frame, Id, Kind, Malformed, Message, Side};
use crate::meter::{Meter, Slot};
use crate::policy::{CallFacts, Decision, Policy, Reason, Verdict};
use crate::record::{self, Noted, Record, Status};
use crate::revision::{self, META_VERSION, Revision};
use crate::seen::Seen;
use crate::subject::{Capabilities, Facts};

/// What all conversations with one server share.
#[derive(Debug, Default)]
pub struct Server {
    /// Its name in the policy.
    pub name: Arc<str>,
    /// Its tools, as they were last listed.
    catalog: RwLock<Catalog>,
    /// Its answers that were judged already.
    seen: Seen,
}

impl Server {
    /// A server that goes by `name`.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The tool that goes by `name`, as it was last listed.
    pub fn tool(&self, name: &str) -> Option<Arc<Definition>> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).tool(name).cloned()
    }

    /// A tool with another name that `name` reads as, where none goes by `name`.
    fn alike(&self, name: &str) -> Option<String> {
        let catalog = self.catalog.read().unwrap_or_else(PoisonError::into_inner);
        catalog.alike(name).map(str::to_owned)
    }

    fn learn(&self, tools: Option<Json<'_>>) {
        if let Some(tools) = tools {
            let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
            if catalog.learn(tools) {
                // An older listing that comes again says something new again.
                self.seen.forget();
            }
        }
    }
}

/// What happens to a conversation.
#[derive(Clone, Debug)]
pub enum Event {
    /// One side sent something that was not read yet.
    Heard {
        /// Who.
        from: Side,
        /// What.
        bytes: Bytes,
    },
    /// One side sent a message.
    Said(Box<Message>),
    /// One side sent something that its transport could not take in, and why.
    Garbled {
        /// Who.
        from: Side,
        /// What is wrong with it.
        says: String,
    },
    /// A request that was sent on will not be answered, and why.
    Unanswered {
        /// Its id.
        id: Id,
        /// What the way to the server says.
        why: String,
    },
    /// Whoever sent this request has closed the stream of its answer, which tells the server too.
    Withdrawn {
        /// Its id.
        id: Id,
    },
    /// The same, where the server has to be told.
    Abandoned {
        /// Its id.
        id: Id,
    },
    /// One side is gone, and why.
    Left(Side, String),
    /// This request has taken too long, by the clock of what carries it.
    Expired {
        /// Its id.
        id: Id,
    },
    /// Time has passed: what took too long ends now.
    Passed,
}

/// What is to be done, in this order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Write this down. When that fails, do nothing of what follows.
    Record(Box<Record>),
    /// Send this to the side it goes to.
    Send(Cleared),
}

/// Who is talking, for the record.
#[derive(Clone, Debug)]
pub struct Parties {
    /// A name for this conversation. Not a credential: it is in the record and in error texts.
    pub session: Arc<str>,
    /// The name of the key or person, or `local`.
    pub principal: Arc<str>,
}

/// A conversation between one client and one server.
#[derive(Debug)]
pub struct Session {
    server: Arc<Server>,
    parties: Parties,
    client: Arc<str>,
    client_can: Arc<Capabilities>,
    revision: Option<Revision>,
    waiting: HashMap<(Side, Id), Waiting>,
    exchanges: u64,
    /// How often each side broke the protocol: the client, the server.
    violations: [u64; 2],
    meter: Arc<Meter>,
}

/// So often a side's breaking of the protocol is written down in one conversation. A server that
/// prints its log where messages belong would fill a disk with it.
const VIOLATIONS_MAX: u64 = 100;

/// A request that was passed on and is not answered.
#[derive(Debug)]
struct Waiting {
    number: u64,
    call: String,
    method: Box<str>,
    tool: Option<Arc<Definition>>,
    tool_name: Option<Box<str>>,
    /// The tool that this name reads as, where no tool goes by it.
    reads_as: Option<String>,
    revision: Revision,
    client_can: Arc<Capabilities>,
    trace: Option<Box<str>>,
    /// What its progress is reported under.
    token: Option<Id>,
    since_ms: u64,
    /// When something was last heard of it.
    heard_ms: u64,
    /// The room it takes, of a tool call.
    slot: Option<Slot>,
    /// Only an error may answer it: it is in a revision that the guard does not know.
    unknown: bool,
}

impl Waiting {
    /// Whether it stays open for as long as both sides like.
    fn is_subscription(&self) -> bool {
        &*self.method == "subscriptions/listen"
    }
}

/// The revision that a request says it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era<'a> {
    /// It does not say: it belongs to a session.
    Legacy,
    /// It says so itself.
    Modern(Revision),
    /// It names a revision that the guard does not know.
    Unknown(&'a str),
}

impl<'a> Era<'a> {
    /// Reads it off a request.
    pub fn of(message: &'a Message) -> Self {
        match message.meta(META_VERSION).and_then(Json::str) {
            None => Self::Legacy,
            Some(name) => match Revision::parse(name) {
                Some(it) if it.era() == revision::Era::Modern => Self::Modern(it),
                _ => Self::Unknown(name),
            },
        }
    }
}

impl Session {
    /// A conversation that has not begun, whose calls are counted by `meter`.
    pub fn new(server: Arc<Server>, parties: Parties, meter: Arc<Meter>) -> Self {
        Self {
            server,
            parties,
            client: Arc::default(),
            client_can: Arc::default(),
            revision: None,
            waiting: HashMap::new(),
            exchanges: 0,
            violations: [0; 2],
            meter,
        }
    }

    /// The revision that was agreed on, or that the last request was in.
    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// Who is talking.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// How many requests wait for an answer.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a request of the client waits for an answer.
    pub fn waits_for(&self, id: &Id) -> bool {
        self.waiting.contains_key(&(Side::Client, id.clone()))
    }

    /// Takes in what happens, at `now_ms` of a clock that only goes forward.
    pub fn on(&mut self, event: Event, policy: &Arc<Policy>, now_ms: u64) -> Vec<Effect> {
        let mut turn = Turn { session: self, policy, now_ms, effects: Vec::with_capacity(2) };
        match event {
            Event::Heard { from, bytes } => turn.heard(from, bytes),
            Event::Said(message) => turn.said(*message),
            Event::Garbled { from, says } => {
                turn.malformed(from, &Malformed { code: -32600, says, id: None });
            }
            Event::Unanswered { id, why } => turn.unanswered(&id, &why),
            Event::Withdrawn { id } => {
                turn.withdrawn(&id);
            }
            Event::Abandoned { id } if !turn.withdrawn(&id) => (),
            Event::Abandoned { id } => turn.cancel(Side::Server, &id),
            Event::Left(side, why) => turn.left(side, &why),
            Event::Expired { id } => turn.expired(&id),
            Event::Passed => turn.passed(),
        }
        let effects = turn.effects;
        if self.waiting.is_empty() {
            // Most sessions are idle most of the time, and there may be thousands of them.
            self.waiting = HashMap::new();
        }
        effects
    }
}

/// One event, being taken in.
struct Turn<'s> {
    session: &'s mut Session,
    policy: &'s Arc<Policy>,
    now_ms: u64,
    effects: Vec<Effect>,
}

impl Turn<'_> {
    fn heard(&mut self, from: Side, bytes: Bytes) {
        if from == Side::Server && self.known(&bytes) {
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

    fn has_batches(&self) -> bool {
        self.session.revision.is_some_and(Revision::has_batches)
    }

    /// An answer that was judged before, but for its id.
    fn known(&mut self, bytes: &Bytes) -> bool {
        let server = Arc::clone(&self.session.server);
        let Some((id, method, revision)) = server.seen.find(bytes, self.policy) else {
            return false;
        };
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

    fn malformed(&mut self, from: Side, malformed: &Malformed) {
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

    fn said(&mut self, message: Message) {
        match message.kind() {
            Kind::Request => self.request(message),
            Kind::Notification => self.notification(message),
            Kind::Result | Kind::Error => self.answer(message),
        }
    }

    fn request(&mut self, message: Message) {
        let from = message.from();
        let (Some(id), Some(method)) = (message.id().cloned(), message.method()) else { return };
        let method: Box<str> = method.into();
        if self.session.waiting.contains_key(&(from, id.clone())) {
            self.violation(from, &method, "the id of a request that is still waiting");
            // Under its own id this would be taken for the answer to the request that waits.
            return self.reply(from, None, -32600, "the id of a request that still waits");
        }
        if from == Side::Server && self.asked() >= self.policy.limits.calls_in_flight_max {
            self.violation(from, &method, "more questions than may wait at a time");
            return self.reply(from, Some(&id), revision::REFUSED, "too many questions at a time");
        }
        let waiting = match misnamed(&message, &method) {
            Some(says) => Err(says),
            None => self.wait(&message, method),
        };
        let mut waiting = match waiting {
            Ok(it) => it,
            Err(says) => {
                self.violation(from, message.method().unwrap_or_default(), says);
                return self.reply(from, Some(&id), -32602, says);
            }
        };
        if from == Side::Server && !waiting.revision.server_asks() {
            // 2026-07-28, "Multi Round-Trip Requests": a server asks by `inputRequests` alone.
            return self.violation(
                from,
                &waiting.method,
                "a request of a server, which this revision forbids",
            );
        }
        let arguments = message.get("arguments").filter(|_| &*waiting.method == "tools/call");
        let digest = arguments.map(digest);
        let mut judgement = self.judge(message, &waiting);
        if called(judgement.message(), &waiting.method) != waiting.tool_name.as_deref() {
            // The rules about tools are asked about the name as it came in. Mended, it is that of
            // another tool, so a name in disguise would be a way around every one of them.
            judgement = judgement.and(Verdict::Deny(Reason {
                rule: "tool_name".to_owned(),
                external: "the name of the tool cannot be read in one way".to_owned(),
                internal: "mending it would call another tool".to_owned(),
            }));
        }
        let mut by = None;
        if from == Side::Client && &*waiting.method == "tools/call" {
            let decided = self.decide(&judgement, &mut waiting);
            if decided.hidden {
                return self.hidden(&id, &waiting, digest, &judgement, &decided.by);
            }
            by = Some(decided.by.rule.clone());
            judgement = judgement.and(decided.verdict);
        }
        let mut record = self.exchange(record::Kind::Decision, &waiting);
        record.arguments_digest = digest;
        record.rule = by.filter(|it| !it.is_empty());
        record.mended = judgement.mended();
        record.findings = Noted::all(from, judgement.findings(), self.policy);
        record.decision = Some(judgement.verdict().name());
        match judgement.clear() {
            Ok(cleared) => {
                self.effects.push(Effect::Record(Box::new(record)));
                self.session.waiting.insert((from, id), waiting);
                self.effects.push(Effect::Send(cleared));
            }
            Err(judgement) => {
                let reason = reason(judgement.verdict());
                record.rule = Some(reason.rule.clone());
                record.says.clone_from(&reason.internal);
                self.effects.push(Effect::Record(Box::new(record)));
                self.outcome(&waiting, Status::Refused, |_| ());
                self.refuse(from, &id, &waiting, &reason);
            }
        }
    }

    /// How many questions of the server wait for an answer.
    fn asked(&self) -> usize {
        self.session.waiting.keys().filter(|(side, _)| *side == Side::Server).count()
    }

    /// What the policy says of a call, by its tables and its limits.
    fn decide(&self, judgement: &Judgement, waiting: &mut Waiting) -> Decision {
        let tool = waiting.tool_name.as_deref().unwrap_or_default();
        let call = CallFacts {
            tool,
            arguments: judgement.message().get("arguments"),
            client: None,
            principal: Some(&self.session.parties.principal),
        };
        let mut decision = self.policy.call(&call);
        let limits = &self.policy.limits;
        match self.session.meter.call(tool, limits, self.now_ms) {
            Ok(slot) => waiting.slot = Some(slot),
            Err(reason) => {
                decision.by = reason.clone();
                decision.verdict = decision.verdict.and(Verdict::Deny(reason));
            }
        }
        decision
    }

    /// A tool that the client is not shown is answered like one that is not there.
    fn hidden(
        &mut self,
        id: &Id,
        waiting: &Waiting,
        digest: Option<String>,
        judgement: &Judgement,
        by: &Reason,
    ) {
        let mut record = self.exchange(record::Kind::Decision, waiting);
        record.arguments_digest = digest;
        record.findings = Noted::all(Side::Client, judgement.findings(), self.policy);
        record.decision = Some("deny");
        record.rule = Some(by.rule.clone());
        record.says.clone_from(&by.internal);
        self.effects.push(Effect::Record(Box::new(record)));
        self.outcome(waiting, Status::Refused, |_| ());
        let name = clipped(waiting.tool_name.as_deref().unwrap_or_default());
        let text = format!("Unknown tool: {}", crate::check::visible(&name));
        self.reply(Side::Client, Some(id), -32602, &text);
    }

    /// What is to be remembered of a request until it is answered.
    fn wait(&mut self, message: &Message, method: Box<str>) -> Result<Waiting, &'static str> {
        let session = &mut *self.session;
        let mut client_can = Arc::clone(&session.client_can);
        let mut unknown = false;
        let mut revision = session.revision.unwrap_or(Revision::V2025_03_26);
        if message.from() == Side::Client {
            match Era::of(message) {
                Era::Legacy => (),
                Era::Modern(it) => {
                    let can = message.meta(revision::META_CAPABILITIES);
                    // Only requests must say it, and a cancellation must not get lost.
                    if message.kind() == Kind::Request && !can.is_some_and(Json::is_object) {
                        return Err("`_meta` lacks `io.modelcontextprotocol/clientCapabilities`");
                    }
                    client_can = Arc::new(Capabilities::read(can));
                    revision = it;
                    session.revision.get_or_insert(it);
                }
                Era::Unknown(_) => {
                    revision = Revision::V2026_07_28;
                    unknown = true;
                }
            }
            if &*method == "initialize" {
                session.client_can = Arc::new(Capabilities::read(message.get("capabilities")));
                client_can = Arc::clone(&session.client_can);
            }
            self.name_client(message);
        }
        let session = &mut *self.session;
        session.exchanges += 1;
        let call = format!("{}.{}", session.parties.session, session.exchanges);
        let tool_name = called(message, &method);
        let tool = tool_name.and_then(|it| session.server.tool(it));
        let unlisted = tool_name.filter(|_| tool.is_none());
        let trace = message.meta("traceparent").and_then(Json::str).filter(|it| it.len() <= 128);
        Ok(Waiting {
            number: session.exchanges,
            call,
            tool,
            reads_as: unlisted.and_then(|it| session.server.alike(it)),
            tool_name: tool_name.map(Into::into),
            method,
            revision,
            client_can,
            trace: trace.map(Into::into),
            token: message.meta("progressToken").and_then(Id::read),
            since_ms: self.now_ms,
            heard_ms: self.now_ms,
            slot: None,
            unknown,
        })
    }

    fn name_client(&mut self, message: &Message) {
        let info = message.get("clientInfo").or_else(|| message.meta(revision::META_CLIENT));
        if let Some(info) = info {
            let text = |name| info.get(name).and_then(Json::str).unwrap_or_default();
            let name: String =
                format!("{} {}", text("name"), text("version")).chars().take(120).collect();
            if *self.session.client != *name {
                self.session.client = name.into();
            }
        }
    }

    fn notification(&mut self, message: Message) {
        let from = message.from();
        let method: Box<str> = message.method().unwrap_or_default().into();
        let ended = match &*method {
            "notifications/cancelled" => {
                let id = message.get("requestId").and_then(Id::read);
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
            _ => None,
        };
        let waiting = match self.wait(&message, method) {
            Ok(it) => it,
            Err(says) => return self.violation(from, message.method().unwrap_or_default(), says),
        };
        let judgement = self.judge(message, &waiting);
        let findings = Noted::all(from, judgement.findings(), self.policy);
        let mended = judgement.mended();
        let verdict = judgement.verdict().name();
        let cleared = judgement.clear();
        if !findings.is_empty() || cleared.is_err() {
            let mut record = self.exchange(record::Kind::Notice, &waiting);
            (record.findings, record.mended, record.decision) = (findings, mended, Some(verdict));
            if let Err(judgement) = &cleared {
                record.says = reason(judgement.verdict()).internal;
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
        self.effects.extend(cleared.ok().map(Effect::Send));
    }

    /// Says, in the guard's own words, that a request is not wanted any more.
    fn cancel(&mut self, to: Side, id: &Id) {
        let params = json!({ "requestId": id.to_value() });
        let method = "notifications/cancelled";
        self.own(to, &json!({ "jsonrpc": "2.0", "method": method, "params": params }));
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

    fn answer(&mut self, message: Message) {
        let from = message.from();
        let asker = from.other();
        let Some(id) = message.id().cloned() else {
            return self.violation(from, "", "an error that answers no request");
        };
        let Some(waiting) = self.session.waiting.remove(&(asker, id.clone())) else {
            return self.violation(from, "", "an answer to what was not asked, or was cancelled");
        };
        if let Some(says) = wrong_result(&message, &waiting) {
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
        let judgement = self.judge(message, &waiting);
        let findings = Noted::all(from, judgement.findings(), self.policy);
        let (mended, verdict) = (judgement.mended(), judgement.verdict().name());
        let detail = original_error(&original, judgement.findings());
        let clean = findings.is_empty() && !mended;
        let whole = !mended && matches!(judgement.verdict(), Verdict::Allow);
        if !whole && from == Side::Server && &*waiting.method == "tools/list" {
            // A tool that was taken out of the list, or whose list was refused, can be called all
            // the same, and is then held to what its server said of it.
            self.session.server.learn(original.get("tools"));
        }
        match judgement.clear() {
            Ok(cleared) => {
                self.learn(cleared.message(), &waiting, clean);
                self.outcome(&waiting, status, |it| {
                    (it.findings, it.mended, it.says) = (findings, mended, detail);
                    it.decision = (!clean).then_some(verdict);
                });
                self.effects.push(Effect::Send(cleared));
            }
            Err(judgement) => {
                let reason = reason(judgement.verdict());
                self.outcome(&waiting, Status::Refused, |it| {
                    (it.findings, it.mended) = (findings, mended);
                    (it.decision, it.rule) = (Some(verdict), Some(reason.rule.clone()));
                    it.says = format!("{}{}", reason.internal, detail);
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

    fn unanswered(&mut self, id: &Id, why: &str) {
        if let Some(waiting) = self.session.waiting.remove(&(Side::Client, id.clone())) {
            self.outcome(&waiting, Status::Lost, |it| it.says = why.to_owned());
            let text = format!("the server did not answer (reference {})", waiting.call);
            self.reply(Side::Client, Some(id), -32603, &text);
        }
    }

    /// Ends a request that nobody wants answered any more, if it still waits.
    fn withdrawn(&mut self, id: &Id) -> bool {
        let waiting = self.session.waiting.remove(&(Side::Client, id.clone()));
        if let Some(waiting) = &waiting {
            self.outcome(waiting, Status::Cancelled, |_| ());
        }
        waiting.is_some()
    }

    fn left(&mut self, side: Side, why: &str) {
        let omitted = std::mem::take(self.violations(side)).saturating_sub(VIOLATIONS_MAX);
        if omitted > 0 {
            self.broken(side, "", &format!("{omitted} of these were not written down"));
        }
        let mut waiting: Vec<_> = std::mem::take(&mut self.session.waiting).into_iter().collect();
        waiting.sort_by_key(|(_, it)| it.number);
        for ((asker, id), waiting) in waiting {
            self.outcome(&waiting, Status::Lost, |it| it.says = why.to_owned());
            if asker != side {
                self.reply(asker, Some(&id), -32603, &format!("the {} is gone", side.name()));
            }
        }
    }

    /// A call that reports progress is not silent.
    fn progressed(&mut self, message: &Message) {
        let token = message.get("progressToken").and_then(Id::read);
        let (asker, now_ms) = (message.from().other(), self.now_ms);
        let waiting = self.session.waiting.iter_mut();
        waiting
            .filter(|((side, _), it)| *side == asker && it.token.is_some() && it.token == token)
            .for_each(|(_, it)| it.heard_ms = now_ms);
    }

    fn passed(&mut self) {
        let limits = self.policy.limits;
        let ms = |it: usize| u64::try_from(it).unwrap_or(u64::MAX).saturating_mul(1000);
        let (silent, total) = (ms(limits.call_timeout_s), ms(limits.call_total_s));
        // While the client is asked something, it is not the server that is silent.
        let asked = self.asked() > 0;
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
    fn expired(&mut self, id: &Id) {
        let Some(waiting) = self.session.waiting.remove(&(Side::Client, id.clone())) else {
            return;
        };
        self.outcome(&waiting, Status::Timeout, |_| ());
        self.cancel(Side::Server, id);
        let reason = Reason {
            rule: "limits.call_timeout_s".to_owned(),
            external: "the server took too long".to_owned(),
            internal: String::new(),
        };
        self.refuse(Side::Client, id, &waiting, &reason);
    }

    fn judge(&self, message: Message, waiting: &Waiting) -> Judgement {
        let facts = Facts {
            from: message.from(),
            revision: waiting.revision,
            method: &waiting.method,
            reference: &waiting.call,
            definition: waiting.tool.as_deref(),
            reads_as: waiting.reads_as.as_deref(),
            client_can: &waiting.client_can,
            roots: &self.policy.roots,
            text_bytes_max: self.policy.text_bytes_max.unwrap_or(usize::MAX),
        };
        judge(message, &facts, self.policy)
    }

    fn exchange(&self, kind: record::Kind, waiting: &Waiting) -> Record {
        let session = &self.session;
        Record {
            kind,
            session: Arc::clone(&session.parties.session),
            principal: Arc::clone(&session.parties.principal),
            server: Arc::clone(&session.server.name),
            client: Arc::clone(&session.client),
            call: waiting.call.clone(),
            revision: Some(waiting.revision.name()),
            method: clipped(&waiting.method),
            tool: waiting.tool_name.as_deref().map(clipped),
            tool_digest: waiting.tool.as_deref().map(|it| it.digest.clone()),
            trace: waiting.trace.as_deref().map(str::to_owned),
            ..Record::default()
        }
    }

    fn outcome(&mut self, waiting: &Waiting, status: Status, fill: impl FnOnce(&mut Record)) {
        let mut record = self.exchange(record::Kind::Outcome, waiting);
        record.status = Some(status);
        record.duration_ms = Some(self.now_ms.saturating_sub(waiting.since_ms));
        fill(&mut record);
        self.effects.push(Effect::Record(Box::new(record)));
    }

    fn violation(&mut self, from: Side, method: &str, says: &str) {
        let count = self.violations(from);
        *count = count.saturating_add(1);
        match (*count).cmp(&(VIOLATIONS_MAX + 1)) {
            Ordering::Less => self.broken(from, method, says),
            Ordering::Equal => self.broken(from, "", "more of these, which are not written down"),
            Ordering::Greater => (),
        }
    }

    fn violations(&mut self, from: Side) -> &mut u64 {
        let [client, server] = &mut self.session.violations;
        match from {
            Side::Client => client,
            Side::Server => server,
        }
    }

    fn broken(&mut self, from: Side, method: &str, says: &str) {
        let session = &self.session;
        self.effects.push(Effect::Record(Box::new(Record {
            kind: record::Kind::Violation,
            session: Arc::clone(&session.parties.session),
            principal: Arc::clone(&session.parties.principal),
            server: Arc::clone(&session.server.name),
            client: Arc::clone(&session.client),
            from: Some(from.name()),
            method: clipped(method),
            says: says.to_owned(),
            ..Record::default()
        })));
    }

    /// Tells whoever waits that the answer is no. A tool's caller is a model, which reads results
    /// and not errors: it is told in a result that says it is an error.
    fn refuse(&mut self, asker: Side, id: &Id, waiting: &Waiting, reason: &Reason) {
        let text = format!("refused by Stockade: {} (reference {})", reason.external, waiting.call);
        if &*waiting.method != "tools/call" {
            return self.reply(asker, Some(id), revision::REFUSED, &text);
        }
        let mut result = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
        if let (true, Some(result)) = (waiting.revision.types_results(), result.as_object_mut()) {
            result.insert("resultType".to_owned(), Value::from("complete"));
        }
        self.own(asker, &json!({ "jsonrpc": "2.0", "id": id.to_value(), "result": result }));
    }

    fn reply(&mut self, to: Side, id: Option<&Id>, code: i64, text: &str) {
        let id = id.map_or(Value::Null, Id::to_value);
        let error = json!({ "code": code, "message": text });
        self.own(to, &json!({ "jsonrpc": "2.0", "id": id, "error": error }));
    }

    fn own(&mut self, to: Side, value: &Value) {
        self.effects.extend(Cleared::own(to.other(), value).ok().map(Effect::Send));
    }
}

/// Why a verdict that is not "allow" was given. Nobody can be asked yet, so a question is a denial.
fn reason(verdict: &Verdict) -> Reason {
    match verdict {
        Verdict::Deny(reason) => reason.clone(),
        Verdict::Ask(reasons) => {
            let first = reasons.first();
            Reason {
                rule: first.map(|it| it.rule.clone()).unwrap_or_default(),
                external: "a person would have to approve this, and nobody can be asked".to_owned(),
                internal: first.map(|it| format!("ask: {}", it.internal)).unwrap_or_default(),
            }
        }
        Verdict::Allow => {
            Reason { rule: String::new(), external: String::new(), internal: String::new() }
        }
    }
}

/// The tool that a request calls.
fn called<'m>(message: &'m Message, method: &str) -> Option<&'m str> {
    message.get("name").and_then(Json::str).filter(|_| method == "tools/call")
}

/// What a request is about, and the revision it is in, must be texts. Some readers make one of
/// anything: to JavaScript `tools[["add"]]` is `tools["add"]`, and would be called unjudged.
fn misnamed(message: &Message, method: &str) -> Option<&'static str> {
    let is_text = |it: Json<'_>| it.str().is_some();
    if message.meta(META_VERSION).is_some_and(|it| !is_text(it)) {
        return Some("`_meta` has a `io.modelcontextprotocol/protocolVersion` that is no string");
    }
    let name = revision::named_by(method)?;
    match message.get(name) {
        Some(it) if is_text(it) => None,
        // Not every method about tasks is about one of them.
        None if name == "taskId" => None,
        _ => Some(match name {
            "name" => "`name` is not a string",
            "uri" => "`uri` is not a string",
            _ => "`taskId` is not a string",
        }),
    }
}

/// Why a result cannot be what its revision allows.
fn wrong_result(message: &Message, waiting: &Waiting) -> Option<&'static str> {
    if message.kind() != Kind::Result || message.from() != Side::Server {
        return None;
    }
    if waiting.unknown {
        return Some("a result in a revision that the guard does not know");
    }
    if &*waiting.method == "initialize" {
        let version = message.get("protocolVersion").and_then(Json::str).and_then(Revision::parse);
        let known = version.is_some_and(|it| it.era() == revision::Era::Legacy);
        return (!known).then_some("a revision that the guard does not know");
    }
    if !waiting.revision.types_results() {
        return None;
    }
    match message.get("resultType").map(Json::str) {
        None | Some(Some("complete" | "task")) => None,
        Some(Some("input_required")) if !revision::may_ask_back(&waiting.method) => {
            Some("a method that may not ask for input does")
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
    let whole: String = texts.collect::<Vec<_>>().join("\n").chars().take(4096).collect();
    crate::check::redacted(&whole).into_owned()
}

/// A name as the record keeps it: whoever speaks can make it as long as a message.
fn clipped(name: &str) -> String {
    name.chars().take(200).collect()
}

fn digest(json: Json<'_>) -> String {
    let bytes = serde_json::to_vec(&json).unwrap_or_default();
    blake3::hash(&bytes).to_hex().to_string()
}
