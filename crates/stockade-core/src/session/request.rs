//! A request: what is remembered of it, what the policy says of a call, and its refusal.

use std::sync::Arc;

use serde_json::{Value, json};
use url::Url;

use super::client::Client;
use super::effects::{clipped, reason};
use super::elicited::has_own_state;
use super::memory::Refused;
use super::relisted::Each;
use super::turn::Turn;
use super::waiting::{Era, Waiting};
use super::{Effect, Session, roots, shadow};
use crate::json::{Edit, Json};
use crate::judge::Judgement;
use crate::message::{Id, Kind, Message, Side};
use crate::meter::Attempt;
use crate::policy::{CallFacts, Decision, Reason, Verdict};
use crate::record::{self, Limited, Noted, Status};
use crate::revision::{self, META_VERSION, Revision};
use crate::role::Roles;
use crate::trace::Parent;

impl Turn<'_> {
    pub(super) fn request(&mut self, message: Message) {
        let from = message.from();
        let (Some(id), Some(method)) = (message.id().cloned(), message.method()) else { return };
        let method: Box<str> = method.into();
        let waits = &self.session.waiting;
        let waits = waits.contains_key(&(from, id.clone()))
            || self.session.asked.has(from, &id)
            || self.session.held.has(from, &id);
        if waits {
            self.violation(from, &method, "the id of a request that is still waiting");
            // Under its own id this would be taken for the answer to the request that waits.
            return self.reply(from, None, -32600, "the id of a request that still waits");
        }
        if from == Side::Server && roots::is_own(&id) {
            self.violation(from, &method, "an id that the guard keeps for itself");
            return self.reply(from, Some(&id), -32600, "this id is taken");
        }
        if from == Side::Server && self.asked() >= self.policy.limits.calls_in_flight_max {
            self.violation(from, &method, "more questions than may wait at a time");
            return self.reply(from, Some(&id), revision::REFUSED, "too many questions at a time");
        }
        if method.starts_with(revision::NOTIFICATIONS) {
            self.violation(from, &method, "a notification with an id");
            return self.reply(from, Some(&id), -32600, "a notification has no id");
        }
        if from == Side::Server && revision::is_of_client(&method) {
            self.violation(from, &method, "what only a client asks");
            return self.reply(from, Some(&id), -32601, "a client does not answer that");
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
        if let Some(blocked) = self.session.server.blocked() {
            if from == Side::Client {
                return self.answer_blocked(&id, &message, &waiting, &blocked);
            }
            return self.violation(from, &waiting.method, "what a server asks that is blocked");
        }
        if from == Side::Client && has_own_state(&message) {
            return self.comes_again(&id, message, waiting);
        }
        if from == Side::Server && !waiting.revision.server_asks() {
            // 2026-07-28, "Multi Round-Trip Requests": a server asks by `inputRequests` alone.
            return self.violation(
                from,
                &waiting.method,
                "a request of a server, which this revision forbids",
            );
        }
        if from == Side::Server && &*waiting.method == "roots/list" && self.answers_roots() {
            return self.answer_roots(&id, &waiting);
        }
        let bounds = !self.policy.roots.is_empty() || !self.policy.client_roots.is_empty();
        let own = (from == Side::Client && bounds)
            .then(|| roots::with_own(&message, &self.roots_listed(), &self.policy.limits.json()));
        let (message, answered) = match own.flatten() {
            None => (message, false),
            Some(Ok(edited)) => (edited, true),
            Some(Err(())) => {
                self.violation(from, &waiting.method, "roots in it that cannot be replaced");
                return self.reply(from, Some(&id), -32602, "`inputResponses` cannot be used");
            }
        };
        let message = self.parented(message, &waiting);
        let arguments = message.get("arguments").filter(|_| &*waiting.method == "tools/call");
        let digest = arguments.map(digest);
        let mut original = self.policy.shadow.then(|| message.clone());
        let seeded = if from == Side::Client { self.seeds() } else { Ok(()) };
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
        if let Some(reason) = self.unpinned(judgement.message(), &waiting) {
            judgement = judgement.and(Verdict::Deny(reason));
            // A lock is what somebody has approved, and no policy.
            original = None;
        }
        if let Err(refused) = seeded {
            judgement = judgement.and(Verdict::Deny(refused.reason));
        }
        let review = self.review(judgement.message(), &waiting);
        judgement = judgement.and(review);
        let mut by = None;
        let mut limit = None;
        let mut shadowed = None;
        if from == Side::Client && &*waiting.method == "tools/call" {
            let (decided, stopped) = self.decide(&judgement, digest.as_deref(), &mut waiting);
            if decided.hidden && !self.policy.shadow {
                return self.hidden(&id, &waiting, digest, &judgement, &decided.by);
            }
            by = Some(decided.by.rule.clone());
            limit = stopped;
            shadowed = decided.shadowed;
            judgement = judgement.and(decided.verdict);
        }
        if from == Side::Client {
            let (it, limited) = self.last(judgement, &mut waiting);
            judgement = it;
            limit = limited.or(limit);
        } else if matches!(judgement.verdict(), Verdict::Allow)
            && let Err(refused) = self.spend_tokens(judgement.message(), &waiting)
        {
            limit = refused.limited;
            judgement = judgement.and(Verdict::Deny(refused.reason));
        }
        let mut record = self.exchange(record::Kind::Decision, &waiting);
        record.arguments_digest = digest;
        record.from = Some(from).filter(|it| *it == Side::Server).map(Side::name);
        record.says = Self::exchanged(judgement.message(), &waiting);
        record.rule = by.filter(|it| !it.is_empty());
        record.policy.clone_from(&self.policy.digest);
        if answered {
            record.says = "the roots in it are those of the policy".to_owned();
        }
        record.findings = Noted::all(from, judgement.findings(), self.policy);
        if let Some(it) = shadowed {
            shadow::of_rule(it, self.policy.asks_nobody).note_beside(&judgement, &mut record);
        }
        if let Some(original) = original {
            let (it, would) = shadow::let_go(judgement, original, self.policy.asks_nobody);
            would.note(&mut record);
            let limit = limit.as_ref().filter(|it| Some(&it.name) == record.rule.as_ref());
            record.limit = limit.cloned().map(Box::new);
            judgement = it;
        }
        record.mended = judgement.mended() || answered;
        record.decision = Some(judgement.verdict().name());
        match judgement.clear() {
            Ok(cleared) => {
                self.effects.push(Effect::Record(Box::new(record)));
                self.watch(from, &waiting);
                if from == Side::Client {
                    self.greets(&waiting.method, &cleared);
                }
                self.session.waiting.insert((from, id), waiting);
                self.effects.push(Effect::Send(cleared));
            }
            Err(judgement) => {
                let parked = self.park(&id, waiting, judgement, record);
                let Err(unparked) = parked else { return };
                let (waiting, judgement, mut record) = *unparked;
                let reason = reason(judgement.verdict(), self.policy.asks_nobody);
                // Also what asks: nobody is asked about it, and it goes no further.
                record.decision = Some("deny");
                record.rule = Some(reason.rule.clone());
                record.says.clone_from(&reason.internal);
                // Another rule may have been stricter.
                let limit = limit.filter(|it| it.name == reason.rule);
                record.limit = limit.clone().map(Box::new);
                self.effects.push(Effect::Record(Box::new(record)));
                self.outcome(&waiting, Status::Refused, |_| ());
                self.refuse_limited(from, &id, &waiting, &reason, limit.as_ref());
            }
        }
    }

    /// A call that its client says is a part of a trace is, for the server, a part of what is done with
    /// it here. One that cannot be written again goes on as it came.
    fn parented(&self, message: Message, waiting: &Waiting) -> Message {
        let is_told = self.session.traced && &*waiting.method == "tools/call";
        let said =
            message.meta("traceparent").filter(|_| is_told && message.from() == Side::Client);
        let parent = said.and_then(|it| Parent::parse(it.str()?)).filter(|it| it.sampled);
        let edit = said.zip(parent).map(|(it, parent)| Edit {
            at: it.number(),
            to: Some(parent.of_call(&waiting.call).to_string().into()),
        });
        let edited = edit.and_then(|it| message.edited(&[it], &self.policy.limits.json()).ok());
        edited.unwrap_or(message)
    }

    /// What is asked last of a request of the client, of one that goes on or that a person may let
    /// go on: what it would say in public, what it costs, and what it reads. The last two leave a
    /// trace.
    fn last(
        &mut self,
        mut judgement: Judgement,
        waiting: &mut Waiting,
    ) -> (Judgement, Option<Limited>) {
        if matches!(judgement.verdict(), Verdict::Deny(_)) {
            return (judgement, None);
        }
        let roles = self.roles(judgement.message(), waiting);
        let mut left = match self.toxic(roles, waiting) {
            Ok(found) => {
                judgement = judgement.with(found, self.policy);
                Ok(())
            }
            Err(refused) => Err(refused),
        };
        let goes_on = match judgement.verdict() {
            Verdict::Allow => true,
            // In shadow nobody is asked, and what would be asked about goes on.
            Verdict::Ask(_) => self.policy.shadow,
            Verdict::Deny(_) => false,
        };
        if left.is_ok() && goes_on {
            left = self.spend_and_read(judgement.message(), roles, waiting);
        }
        match left {
            Ok(()) => (judgement, None),
            Err(refused) => (judgement.and(Verdict::Deny(refused.reason)), refused.limited),
        }
    }

    /// Pays for a request that is about to be sent on, and remembers what it will read.
    pub(super) fn spend_and_read(
        &mut self,
        message: &Message,
        roles: Roles,
        waiting: &mut Waiting,
    ) -> Result<(), Box<Refused>> {
        if &*waiting.method == "tools/call" {
            self.spend(message, waiting)?;
        }
        self.reads(roles, waiting)
    }

    /// A server is told the roots that hold it, whatever its client would have said: those are what
    /// its process sees and what arguments are held against.
    fn answer_roots(&mut self, id: &Id, waiting: &Waiting) {
        let mut record = self.exchange(record::Kind::Decision, waiting);
        record.decision = Some("allow");
        record.rule = Some("roots".to_owned());
        record.says = "answered from the policy".to_owned();
        self.effects.push(Effect::Record(Box::new(record)));
        self.outcome(waiting, Status::Ok, |_| ());
        let result = json!({ "roots": self.roots_listed() });
        self.session.roots.told += 1;
        self.own(Side::Server, &json!({ "jsonrpc": "2.0", "id": id.to_value(), "result": result }));
    }

    /// What is to be remembered of a request until it is answered.
    pub(super) fn wait(
        &mut self,
        message: &Message,
        method: Box<str>,
    ) -> Result<Waiting, &'static str> {
        let session = &mut *self.session;
        let mut client = Arc::clone(&session.client);
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
                    client = Arc::new(Client::of_request(message));
                    revision = it;
                    session.revision.get_or_insert(it);
                }
                Era::Unknown(_) => {
                    revision = Revision::V2026_07_28;
                    unknown = true;
                }
            }
            // Nothing else may name the client of a session: any message can have a `clientInfo`.
            if &*method == "initialize" {
                client = Arc::new(Client::of_session(message));
                session.client = Arc::clone(&client);
            }
            if message.kind() == Kind::Request {
                session.asked_last = Arc::clone(&client);
            }
        } else if let Some(it) = listening(session, message) {
            client = Arc::clone(&it.client);
        } else if revision.era() == revision::Era::Modern {
            client = Arc::clone(&session.asked_last);
        }
        session.exchanges += 1;
        let call = format!("{}.{}", session.parties.session, session.exchanges);
        let tool_name = called(message, &method);
        let tool = tool_name.and_then(|it| session.server.tool(it));
        let unlisted = tool_name.filter(|_| tool.is_none());
        let trace = message.trace().filter(|it| it.len() <= 128);
        Ok(Waiting {
            number: session.exchanges,
            call,
            tool,
            reads_as: unlisted.and_then(|it| session.server.alike(it)),
            tool_name: tool_name.map(Into::into),
            method,
            revision,
            client,
            trace: trace.map(Into::into),
            token: message.meta("progressToken").and_then(Id::read),
            since_ms: self.now_ms,
            heard_ms: self.now_ms,
            progress: 0.0,
            slot: None,
            charges: Vec::new(),
            asks_for_task: revision.asks_for_tasks()
                && message.get("task").is_some_and(Json::is_object),
            tells: Each::default(),
            unknown,
        })
    }

    /// What the policy says of a call, by its tables and its limits.
    fn decide(
        &self,
        judgement: &Judgement,
        arguments: Option<&str>,
        waiting: &mut Waiting,
    ) -> (Decision, Option<Limited>) {
        let tool = waiting.tool_name.as_deref().unwrap_or_default();
        let client = &waiting.client;
        let roots = self.roots();
        let call = CallFacts {
            tool,
            arguments: judgement.message().get("arguments"),
            client: Some(&client.name),
            principal: Some(&self.session.parties.principal),
            roots: &roots,
        };
        let mut decision = self.policy.call_of(&call, self.risk(waiting).as_ref());
        let (arguments, now_ms) = (arguments.unwrap_or_default(), self.now_ms);
        let attempt = Attempt { tool, arguments, policy: self.policy, now_ms };
        match self.session.meter.call(&attempt) {
            Ok(slot) => {
                waiting.slot = Some(slot);
                (decision, None)
            }
            Err(stopped) => {
                decision.by = stopped.reason.clone();
                decision.verdict = decision.verdict.and(Verdict::Deny(stopped.reason));
                (decision, Some(stopped.limited))
            }
        }
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
        record.policy.clone_from(&self.policy.digest);
        record.says.clone_from(&by.internal);
        self.effects.push(Effect::Record(Box::new(record)));
        self.outcome(waiting, Status::Refused, |_| ());
        let name = clipped(waiting.tool_name.as_deref().unwrap_or_default());
        let text = format!("Unknown tool: {}", crate::check::visible(&name));
        self.reply(Side::Client, Some(id), -32602, &text);
    }
}

/// The subscription that a server's notification belongs to.
fn listening<'s>(session: &'s Session, message: &Message) -> Option<&'s Waiting> {
    let id = message.meta(revision::META_SUBSCRIPTION).and_then(Id::read)?;
    session.waiting.get(&(Side::Client, id)).filter(|it| it.is_subscription())
}

/// A root as `roots/list` has it: a `file:` URI, and the last of its names.
pub(super) fn root(path: &str) -> Option<Value> {
    let uri = Url::from_file_path(path).ok()?;
    let name = path.rsplit('/').find(|it| !it.is_empty()).unwrap_or(path);
    Some(json!({ "uri": uri.as_str(), "name": name }))
}

/// The tool that a request calls.
fn called<'m>(message: &'m Message, method: &str) -> Option<&'m str> {
    message.get("name").and_then(Json::str).filter(|_| method == "tools/call")
}

/// What a request is about, and the revision it is in, must be texts. Some readers make one of
/// anything: to JavaScript `tools[["add"]]` is `tools["add"]`, and would be called unjudged. And
/// arguments have names: rules ask for them by those, and would not find them in a list, or in a
/// text that a lenient server reads as an object.
fn misnamed(message: &Message, method: &str) -> Option<&'static str> {
    let is_text = |it: Json<'_>| it.str().is_some();
    if message.meta(META_VERSION).is_some_and(|it| !is_text(it)) {
        return Some("`_meta` has a `io.modelcontextprotocol/protocolVersion` that is no string");
    }
    let is_named = |it: Json<'_>| it.is_object() || it.is_null();
    let has_arguments = matches!(method, "tools/call" | "prompts/get");
    if has_arguments && !message.get("arguments").is_none_or(is_named) {
        return Some("`arguments` is not an object");
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

fn digest(json: Json<'_>) -> String {
    let mut text = Vec::new();
    json.write(&mut text);
    blake3::hash(&text).to_hex().to_string()
}
