//! Conversations that are made up: anything may come at any time, from either side.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use stockade_core::approval::Answer;
use stockade_core::check;
use stockade_core::message::{Id, Side};
use stockade_core::meter::Meter;
use stockade_core::policy::{self, Action, Policy};
use stockade_core::session::{Effect, Event, Parties, Server, Session};

use crate::oracle::{Oracle, nothing_hidden};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Event(Event),
    /// Another policy holds from here on.
    Policy(usize),
    /// So much time goes by.
    Time(u64),
    /// Whoever answers sees one of the questions that there were, perhaps again.
    Want(prop::sample::Index),
    /// The client answers something that the guard has asked it, perhaps again.
    Elicited(prop::sample::Index, &'static str, &'static str),
    /// One of the questions that there were is answered, perhaps again.
    Decide(prop::sample::Index, bool),
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_said_all_that_is_sent_was_judged(steps in vec(step(), 0..40)) {
        let parties = Parties { session: "s".into(), principal: "local".into() };
        let server = Arc::new(Server::new("files"));
        let mut session = Session::new(server, parties, Arc::new(Meter::default()));
        session.heeds_questions();
        session.fenced_with([7; 32]);
        let mut asked: Vec<(String, String)> = Vec::new();
        let mut elicited = Elicited::default();
        let mut oracle = Oracle::default();
        let policies = policies();
        let mut policy = Arc::clone(&policies[0]);
        let mut now_ms = 0;
        let left = |side| Step::Event(Event::Left(side, "the end".to_owned()));
        for step in steps.into_iter().chain([left(Side::Client), left(Side::Server)]) {
            let event = match step {
                Step::Want(at) => {
                    let Some((call, _)) = asked.get(at.index(asked.len().max(1))) else { continue };
                    Event::Wanted { call: call.clone(), says: "May it?".to_owned() }
                }
                Step::Elicited(at, action, decision) => {
                    let said = json!({ "action": action, "content": { "decision": decision } });
                    let Some(bytes) = elicited.answer(at, &said) else { continue };
                    Event::Heard { from: Side::Client, bytes }
                }
                Step::Decide(at, approved) => {
                    let Some((call, digest)) = asked.get(at.index(asked.len().max(1))) else {
                        continue;
                    };
                    let answer = Answer { approved, ..Answer::none("") };
                    Event::Decided { call: call.clone(), digest: digest.clone(), answer }
                }
                Step::Policy(n) => {
                    policy = Arc::clone(&policies[n]);
                    continue;
                }
                Step::Time(ms) => {
                    now_ms += ms;
                    Event::Passed
                }
                Step::Event(event) => event,
            };
            let effects = session.on(event.clone(), &policy, now_ms);
            oracle.watch(&event, &effects, &policy);
            nothing_hidden(&effects, &policy);
            elicited.note(&event, &effects);
            for effect in &effects {
                if let Effect::Ask(it) = effect {
                    asked.push((it.id.clone(), it.digest.clone()));
                }
            }
        }
        oracle.end(&session);
    }
}

/// What the guard has asked the client.
#[derive(Default)]
struct Elicited {
    /// What the client has said last, by its id.
    said: HashMap<String, Value>,
    /// What answers a question, but for what is said.
    answers: Vec<Value>,
}

impl Elicited {
    fn note(&mut self, event: &Event, effects: &[Effect]) {
        if let Event::Heard { from: Side::Client, bytes } = event
            && let Ok(said) = serde_json::from_slice::<Value>(bytes)
        {
            self.said.insert(said["id"].to_string(), said);
        }
        for effect in effects {
            let Effect::Send(cleared) = effect else { continue };
            let sent: Value = serde_json::from_slice(cleared.bytes()).unwrap();
            let id = sent["id"].as_str().unwrap_or_default();
            if id.starts_with("stockade:approval:") {
                self.answers.push(json!({ "jsonrpc": "2.0", "id": id, "result": {} }));
            }
            let state = &sent["result"]["requestState"];
            if state.as_str().is_some_and(|it| it.starts_with("stockade:")) {
                // A batch is one event, and only its parts have ids.
                let Some(said) = self.said.get(&sent["id"].to_string()) else { continue };
                let mut again = said.clone();
                again["id"] = json!(format!("again{}", self.answers.len()));
                again["params"]["requestState"] = state.clone();
                self.answers.push(again);
            }
        }
    }

    fn answer(&self, at: prop::sample::Index, said: &Value) -> Option<Bytes> {
        let mut answer = self.answers.get(at.index(self.answers.len().max(1)))?.clone();
        if answer["result"].is_null() {
            answer["params"]["inputResponses"] = json!({ "stockade": said });
        } else {
            answer["result"] = said.clone();
        }
        Some(Bytes::from(answer.to_string()))
    }
}

fn policies() -> [Arc<Policy>; 6] {
    let deny = |action| {
        let mut policy = Policy::default();
        policy.rules.extend(check::rules().map(|it| (it.id, action)));
        policy
    };
    let mut closed = Policy::default();
    closed.tools.default = policy::Effect::Deny;
    let mut asking = deny(Action::Ask);
    asking.tools.default = policy::Effect::Ask;
    asking.asks_client = true;
    let mut gentle = Policy::default();
    gentle.tools.default = policy::Effect::Ask;
    gentle.asks_client = true;
    [Policy::default(), deny(Action::Deny), closed, Policy::transparent(), asking, gentle]
        .map(Arc::new)
}

fn step() -> impl Strategy<Value = Step> {
    let id = || select(vec![Id::Number(1), Id::Number(2), Id::Text("a".to_owned())]);
    let why = || "it is gone".to_owned();
    prop_oneof![
        30 => heard().prop_map(Step::Event),
        1 => (0..6_usize).prop_map(Step::Policy),
        1 => select(vec![1, 60_000, 130_000, 400_000]).prop_map(Step::Time),
        2 => any::<prop::sample::Index>().prop_map(Step::Want),
        2 => (
            any::<prop::sample::Index>(),
            select(vec!["accept", "decline", "cancel", ""]),
            select(vec!["allow once", "deny", ""]),
        )
            .prop_map(|(at, action, decision)| Step::Elicited(at, action, decision)),
        3 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, yes)| Step::Decide(at, yes)),
        1 => side().prop_map(move |it| Step::Event(Event::Left(it, why()))),
        1 => side().prop_map(move |from| Step::Event(Event::Garbled { from, says: why() })),
        1 => id().prop_map(move |id| Step::Event(Event::Unanswered { id, why: why() })),
        3 => (id(), spoken()).prop_map(|(id, it)| {
            Step::Event(Event::Answered { id, bytes: Bytes::from(it) })
        }),
        1 => id().prop_map(|id| Step::Event(Event::Withdrawn { id })),
        1 => id().prop_map(|id| Step::Event(Event::Abandoned { id })),
        1 => id().prop_map(|id| Step::Event(Event::Expired { id })),
    ]
}

fn side() -> impl Strategy<Value = Side> {
    select(vec![Side::Client, Side::Server])
}

fn heard() -> impl Strategy<Value = Event> {
    (side(), spoken()).prop_map(|(from, it)| Event::Heard { from, bytes: Bytes::from(it) })
}

/// What somebody says: messages, and what is nearly one.
fn spoken() -> impl Strategy<Value = String> {
    let one = || message().prop_map(|it| it.to_string());
    prop_oneof![
        20 => one(),
        1 => vec(one(), 0..3).prop_map(|it| format!("[{}]", it.join(", "))),
        1 => one().prop_map(|it| it.replacen("\"id\"", "\"Id\"", 1)),
        1 => one().prop_map(|it| it.replacen('{', "{\"id\":1,", 1)),
        1 => (one(), any::<prop::sample::Index>()).prop_map(|(it, at)| {
            it.chars().take(at.index(it.len())).collect()
        }),
    ]
}

/// A message, mostly one that makes sense.
fn message() -> impl Strategy<Value = Value> {
    let id = select(vec![json!(1), json!(2), json!("a"), json!("a\u{200b}"), json!(null)]);
    let method = select(METHODS);
    prop_oneof![
        4 => (id.clone(), method, params()).prop_map(|(id, method, params)| {
            json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
        }),
        1 => (select(NOTIFICATIONS), params()).prop_map(|(method, params)| {
            json!({ "jsonrpc": "2.0", "method": method, "params": params })
        }),
        4 => (id.clone(), result()).prop_map(|(id, result)| {
            json!({ "jsonrpc": "2.0", "id": id, "result": result })
        }),
        1 => (id, text()).prop_map(|(id, text)| {
            let error = json!({ "code": -1, "message": text, "data": [text] });
            json!({ "jsonrpc": "2.0", "id": id, "error": error, "beside": text })
        }),
    ]
}

const METHODS: &[&str] = &[
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "prompts/get",
    "resources/read",
    "subscriptions/listen",
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
    "tasks/get",
    "tasks/update",
    "x/unknown",
    "x/unknown\u{200b}",
];

const NOTIFICATIONS: &[&str] = &[
    "notifications/cancelled",
    "notifications/progress",
    "notifications/message",
    "notifications/tools/list_changed",
    "notifications/tasks",
    "initialize",
];

fn params() -> impl Strategy<Value = Value> {
    let id = select(vec![json!(1), json!(2), json!("a")]);
    (text(), text(), id, revision(), any::<bool>()).prop_map(|(a, b, id, revision, whole)| {
        let mut meta = json!({ "progressToken": id });
        if let Some(revision) = revision {
            meta["io.modelcontextprotocol/protocolVersion"] = json!(revision);
            if whole {
                let can = json!({
                    "sampling": {}, "elicitation": {}, "roots": {},
                    "extensions": { "io.modelcontextprotocol/tasks": {} },
                });
                meta["io.modelcontextprotocol/clientCapabilities"] = can;
            }
        }
        json!({
            "name": a,
            "arguments": { "text": b },
            "uri": "file:///a",
            "taskId": "a",
            "requestId": id,
            "progressToken": id,
            "message": b,
            "protocolVersion": "2025-11-25",
            "capabilities": { "sampling": {}, "elicitation": {}, "roots": {} },
            "_meta": meta,
        })
    })
}

fn result() -> impl Strategy<Value = Value> {
    let kind =
        select(vec![None, Some("complete"), Some("input_required"), Some("task"), Some("else")]);
    let whole = (text(), text(), revision(), kind).prop_map(|(a, b, revision, kind)| {
        let long = a.repeat(700);
        let mut result = json!({
            "protocolVersion": revision.unwrap_or("2025-03-26"),
            "instructions": a,
            "content": [{ "type": "text", "text": b }],
            "structuredContent": { "a": [b] },
            "tools": [{ "name": a, "description": long, "inputSchema": { "type": "object" } }],
            "messages": [{ "role": "user", "content": { "type": "text", "text": a } }],
        });
        if let Some(kind) = kind {
            result["resultType"] = json!(kind);
            result["inputRequests"] =
                json!({ "q": { "method": "roots/list", "params": { "_meta": { "a": b } } } });
        }
        result
    });
    prop_oneof![9 => whole, 1 => text().prop_map(Value::from)]
}

fn revision() -> impl Strategy<Value = Option<&'static str>> {
    select(vec![
        None,
        Some("2025-03-26"),
        Some("2025-11-25"),
        Some("2026-07-28"),
        Some("2031-01-01"),
    ])
}

/// Something that may be quiet, hidden, or nothing.
fn text() -> impl Strategy<Value = &'static str> {
    select(vec![
        "add",
        "delete_file",
        "",
        "dele\u{200b}te_file",
        "\u{200b}",
        "ключ",
        "/etc/passwd",
        "\"\\",
        "DB_PASSWORD=Zk82nVx7Lp0Rt5Wq",
        "Traceback (most recent call last):\n  File a",
    ])
}
