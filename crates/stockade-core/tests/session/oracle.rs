//! What holds for every conversation, whatever is said in it.
//!
//! - What is sent can be read strictly, and judging it again changes nothing and lets it pass.
//! - It is what came in with this event, byte for byte; or that message, mended; or it is in
//!   Stockade's own words.
//! - A request is sent on after a decision that allows it, and that is about the tool it calls; an
//!   answer after its outcome.
//! - When both sides have left, nothing waits, and every decision has one outcome.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};
use stockade_core::check;
use stockade_core::json::{Document, Json};
use stockade_core::judge::{Cleared, judge};
use stockade_core::message::{Frame, Id, Kind, Message, Side};
use stockade_core::policy::{Action, Policy, Verdict};
use stockade_core::record::{self, Record};
use stockade_core::revision;
use stockade_core::session::{Effect, Event, Session};
use stockade_core::subject::{Capabilities, Facts};

/// Watches one conversation.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// The method and the exchange of each request that was sent on, by who asked.
    asked: HashMap<(Side, Id), (String, String)>,
    /// How many decisions and outcomes there were, by exchange.
    calls: HashMap<String, (usize, usize)>,
    /// The roots of the client that count.
    granted: Vec<String>,
    /// What waits for a person, by exchange.
    parked: HashMap<String, (String, Vec<Message>)>,
    /// What somebody has said yes to, by its digest, and that was not sent yet.
    approved: HashMap<String, Vec<Vec<Message>>>,
}

impl Oracle {
    /// Looks at the effects of an event.
    pub(crate) fn watch(&mut self, event: &Event, effects: &[Effect], policy: &Policy) {
        let heard = messages(event, policy);
        if let Event::Decided { call, digest, answer } = event {
            let (asked, parked) = self.parked.remove(call).unwrap_or_default();
            if answer.approved && asked == *digest {
                self.approved.entry(asked).or_default().push(parked);
            }
        }
        if let Event::Granted { roots, .. } = event {
            self.granted.clone_from(roots);
        }
        let mut said: Vec<&Record> = Vec::new();
        for effect in effects {
            match effect {
                Effect::Record(record) => {
                    self.note(record);
                    said.push(record);
                }
                Effect::Send(cleared) => {
                    // What was approved was said earlier, perhaps under another id, and somebody has
                    // said yes once for each time that it is sent.
                    let decided = said.last().filter(|it| it.decision == Some("allow"));
                    let approved = decided.and_then(|it| it.approved_digest.as_ref());
                    let mut sources = heard.clone();
                    if let Some(digest) = approved {
                        let yes = self.approved.get_mut(digest).and_then(Vec::pop);
                        sources = yes.unwrap_or_else(|| panic!("nobody has said yes: {cleared:?}"));
                    }
                    let sent = self.sent(cleared, &sources, &said, policy, approved.is_some());
                    // In shadow it is what came in.
                    if let Some((message, method)) = sent.filter(|_| !policy.shadow) {
                        let roots = [&policy.roots[..], &self.granted].concat();
                        again(message, &method, policy, &roots, approved.is_some());
                    }
                }
                Effect::Ask(question) => {
                    let asked = said.last().filter(|it| it.kind == record::Kind::Question);
                    let asked = asked.unwrap_or_else(|| panic!("unrecorded: {question:?}"));
                    assert_eq!(asked.call, question.id);
                    let parked = (question.digest.clone(), heard.clone());
                    self.parked.insert(question.id.clone(), parked);
                }
                Effect::Answer { call, .. } => assert!(self.parked.contains_key(call), "{call}"),
                Effect::Unask(call) => drop(self.parked.remove(call)),
                Effect::Roots(_) | Effect::Begun(_) | Effect::Differs(_) | Effect::Kill => (),
            }
        }
    }

    /// Looks at what is left when both sides are gone.
    pub(crate) fn end(&self, session: &Session) {
        assert_eq!(session.waiting(), 0, "somebody waits for those who left");
        for (call, counts) in &self.calls {
            assert_eq!(*counts, (1, 1), "decisions and outcomes of {call}");
        }
    }

    fn note(&mut self, record: &Record) {
        if !matches!(record.kind, record::Kind::Decision | record::Kind::Outcome) {
            return;
        }
        let counts = self.calls.entry(record.call.clone()).or_default();
        if record.kind == record::Kind::Decision {
            counts.0 += 1;
        } else {
            assert_eq!(counts.0, 1, "an outcome before its decision: {}", record.call);
            counts.1 += 1;
        }
    }

    /// The message and its method, where they are not Stockade's own.
    fn sent(
        &mut self,
        cleared: &Cleared,
        heard: &[Message],
        said: &[&Record],
        policy: &Policy,
        approved: bool,
    ) -> Option<(Message, String)> {
        let bytes = cleared.bytes();
        let message = read(cleared.to().other(), bytes, policy);
        if heard.iter().all(|it| it.bytes() != bytes) && is_own(&message) {
            return None;
        }
        let same = |it: &&Message| {
            let same = it.from() == message.from() && it.kind() == message.kind();
            same && (approved || it.id() == message.id())
        };
        let source =
            heard.iter().find(|it| it.bytes() == bytes).or_else(|| heard.iter().find(same));
        let source = source.unwrap_or_else(|| panic!("nobody said this: {message:?}"));
        assert_eq!(source.from(), message.from(), "sent back to its sender");
        let from = message.from();
        let method = match (message.kind(), message.id()) {
            (Kind::Request, Some(id)) => {
                let method = message.method().unwrap().to_owned();
                let decision = said.iter().rfind(|it| it.kind == record::Kind::Decision);
                let decision = decision.filter(|it| it.decision == Some("allow"));
                let decision = decision.unwrap_or_else(|| panic!("undecided: {message:?}"));
                let tool = message.get("name").and_then(Json::str);
                let tool = tool.filter(|_| method == "tools/call");
                let tool = tool.map(|it| stockade_core::check::clipped(it, 200));
                assert_eq!(decision.tool, tool, "decided about another tool");
                self.asked.insert((from, id.clone()), (method.clone(), decision.call.clone()));
                method
            }
            (Kind::Notification, _) => {
                let method = message.method().unwrap();
                assert!(!revision::is_request(method), "a request without an id: {message:?}");
                method.to_owned()
            }
            (_, Some(id)) => {
                let asked = self.asked.remove(&(from.other(), id.clone()));
                let (method, call) = asked.unwrap_or_else(|| panic!("not asked: {message:?}"));
                let ended = |it: &&Record| it.kind == record::Kind::Outcome && it.call == call;
                assert!(said.iter().copied().any(|it| ended(&it)), "no outcome: {message:?}");
                method
            }
            (_, None) => panic!("answers nobody: {message:?}"),
        };
        Some((message, method))
    }
}

/// Looks for a character that the policy does not let through, anywhere. Unlike the oracle this
/// does not ask Stockade where there is something to look at.
pub(crate) fn nothing_hidden(effects: &[Effect], policy: &Policy) {
    let rule = check::rule("hidden_unicode").unwrap();
    for effect in effects {
        let Effect::Send(cleared) = effect else { continue };
        let message = read(cleared.to().other(), cleared.bytes(), policy);
        // What a person was asked about may have some in it, which that person was shown.
        let stance = policy.stance(message.from(), rule);
        let stays = policy.shadow || matches!(stance, Action::Allow | Action::Ask);
        if stays || is_own(&message) {
            continue;
        }
        let hidden = |it: Json<'_>| [it.str(), it.name()].into_iter().flatten().any(has_hidden);
        assert!(!message.root().all().any(hidden), "sent: {message:?}");
    }
}

fn has_hidden(text: &str) -> bool {
    text.contains('\u{200b}')
}

/// Judges once more what was sent. What was approved may ask again, and no more than that.
fn again(message: Message, method: &str, policy: &Policy, roots: &[String], approved: bool) {
    let requests = json!({ "sampling": { "createMessage": {} }, "elicitation": { "create": {} } });
    let all = json!({
        "sampling": { "tools": {} },
        "elicitation": { "form": {}, "url": {} },
        "roots": {},
        "tasks": { "list": {}, "cancel": {}, "requests": requests },
        "extensions": { "io.modelcontextprotocol/tasks": {} },
    });
    let all = Document::from_value(&all).unwrap();
    let facts = Facts {
        method,
        client_can: Capabilities::read(Some(all.root())),
        roots,
        text_bytes_max: policy.text_bytes_max.unwrap_or(usize::MAX),
        ..Facts::alone(message.from())
    };
    let before = message.bytes().clone();
    let judgement = judge(message, &facts, policy);
    let passes = match judgement.verdict() {
        Verdict::Allow => true,
        Verdict::Ask(_) => approved,
        Verdict::Deny(_) => false,
    };
    assert!(passes, "sent, and not clean: {before:?}");
    assert_eq!(judgement.message().bytes(), &before, "judged again, it is another");
}

/// The messages in an event.
fn messages(event: &Event, policy: &Policy) -> Vec<Message> {
    let (from, bytes, asked) = if let Event::Heard { from, bytes } = event {
        (*from, bytes, None)
    } else if let Event::Answered { id, bytes } = event {
        (Side::Server, bytes, Some(id))
    } else {
        return Vec::new();
    };
    match Frame::parse(from, bytes.clone(), &policy.limits.json()) {
        Ok(Frame::One(message)) => match asked.filter(|_| message.id().is_none()) {
            // What names no request is about the one that it was sent back for.
            Some(id) => message.addressed(id).into_iter().chain([*message]).collect(),
            None => vec![*message],
        },
        Ok(Frame::Batch(parts)) => parts.into_iter().flatten().collect(),
        Err(_) => Vec::new(),
    }
}

fn read(from: Side, bytes: &Bytes, policy: &Policy) -> Message {
    Message::parse(from, bytes.clone(), &policy.limits.json())
        .unwrap_or_else(|it| panic!("sent what cannot be read: {it:?}: {bytes:?}"))
}

/// Whether this is one of the few things that Stockade says itself.
fn is_own(message: &Message) -> bool {
    let root = message.root().to_value();
    let text = |pointer: &str| root.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match message.kind() {
        Kind::Error => OWN_ERRORS.iter().any(|it| text("/error/message").starts_with(it)),
        Kind::Result => {
            text("/result/content/0/text").starts_with("refused by Stockade: ")
                || text("/result/requestState").starts_with("stockade:")
                || (message.from() == Side::Client && root.pointer("/result/roots").is_some())
        }
        Kind::Notification => {
            let alone = root.pointer("/params").and_then(Value::as_object);
            let again = ["notifications/initialized", "notifications/roots/list_changed"];
            let again = again.iter().any(|it| message.method() == Some(it));
            let waits = text("/params/message").starts_with("waits for a person to approve it");
            (again && message.from() == Side::Client)
                || (waits && message.method() == Some("notifications/progress"))
                || message.method() == Some("notifications/cancelled")
                    && alone.is_some_and(|it| it.contains_key("requestId"))
                    && matches!(text("/params/reason"), "" | "it took too long")
        }
        Kind::Request => text("/id").starts_with("stockade:"),
    }
}

/// How Stockade's own errors begin.
const OWN_ERRORS: &[&str] = &[
    "refused by Stockade: ",
    "not JSON that can be read in one way",
    "not a JSON-RPC 2.0 message that can be taken in",
    "the id of a request that still waits",
    "`_meta` lacks `",
    "`_meta` has a `",
    "`name` is not a string",
    "`uri` is not a string",
    "`taskId` is not a string",
    "`arguments` is not an object",
    "a notification has no id",
    "a client does not answer that",
    "the server did not answer (reference ",
    "the server is gone",
    "the client is gone",
    "Unknown tool: ",
    "this id is taken",
    "started anew before this was answered",
];
