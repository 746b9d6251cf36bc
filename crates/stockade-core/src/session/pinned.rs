//! A server that is held to what was approved of it (`stockade.lock`).
//!
//! Each answer is looked at when it passes, whether or not the server has announced that something is
//! new: what is not as it was approved is taken out of the list, and what is asked of it is refused.
//! What is missing in a list is no difference: a list may be a page, or another client's. Nothing
//! here approves anything.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Effect;
use super::server::Blocked;
use super::turn::Turn;
use super::waiting::Waiting;
use crate::check::visible;
use crate::json::{Edit, Json};
use crate::lock::{Difference, Part, Pins};
use crate::message::{Id, Kind, Message, Side};
use crate::policy::Reason;
use crate::record::{self, Status};
use crate::revision::{self, META_SERVER, Revision};
use crate::session::effects::clipped;

/// What is done with an answer that a lock is about.
pub(super) enum Pinned {
    /// It is as it was approved, or there is nothing in it that is approved.
    Whole(Message),
    /// What is not as it was approved was taken out.
    Mended(Message),
    /// The server is not the one that was approved.
    Blocked(Arc<Blocked>),
    /// What is not as it was approved cannot be taken out.
    Refused,
}

/// So many differences of one answer are told one by one.
const TOLD_MAX: usize = 20;

/// The one tool of a server that is blocked.
const BLOCKED: &str = "stockade_blocked";

impl Turn<'_> {
    /// Holds an answer of the server to what was approved.
    pub(super) fn pinned(&mut self, message: Message, waiting: &Waiting) -> Pinned {
        if message.from() != Side::Server || message.kind() != Kind::Result {
            return Pinned::Whole(message);
        }
        let server = Arc::clone(&self.session.server);
        let Some(pins) = server.pins() else { return Pinned::Whole(message) };
        if let Some(difference) = identity(&message, waiting, &pins) {
            let blocked = Arc::new(Blocked {
                why: format!(
                    "it says that it is another server, or another version, than was approved \
                     ({}, {})",
                    difference.class.name(),
                    difference.in_brief()
                ),
                release: pins.release().to_owned(),
            });
            self.differs(vec![difference], waiting);
            server.block(Arc::clone(&blocked));
            return Pinned::Blocked(blocked);
        }
        let mut edits = Vec::new();
        let mut differences = Vec::new();
        for (part, name, definition) in offered(&message, &waiting.method) {
            let was = server.differs(part, name);
            let difference = pins.difference(part, name, definition);
            let is_alike = part == Part::Tool && pins.is_alike(name);
            if was.is_none() && difference.is_none() && !is_alike {
                continue;
            }
            edits.push(Edit { at: definition.number(), to: None });
            differences.extend(difference);
        }
        if edits.is_empty() {
            return Pinned::Whole(message);
        }
        self.differs(differences, waiting);
        match message.edited(&edits, &self.policy.limits.json()) {
            Ok(it) => Pinned::Mended(it),
            Err(_) => Pinned::Refused,
        }
    }

    /// Writes down what is not as it was approved, once each, and has it kept for whoever may
    /// approve it.
    fn differs(&mut self, differences: Vec<Difference>, waiting: &Waiting) {
        let mut new = Vec::new();
        for difference in differences {
            let (tells, lost) = self.session.server.notes(&difference);
            // The client of a session is about to read the very list. Of many who share a modern
            // conversation, one is.
            if waiting.revision.era() == revision::Era::Legacy {
                lost.into_iter().for_each(|it| self.session.lists.has_read(it));
            }
            new.extend(tells.then_some(difference));
        }
        let more = new.len().saturating_sub(TOLD_MAX);
        for difference in new.into_iter().take(TOLD_MAX) {
            let mut record = self.exchange(record::Kind::Lock, waiting);
            record.from = Some(Side::Server.name());
            record.decision = Some("deny");
            record.rule = Some(RULE.to_owned());
            record.difference = Some(difference.class.name());
            record.tool = (difference.part == Part::Tool).then(|| clipped(&difference.name));
            record.tool_digest.clone_from(&difference.digest);
            record.says = format!(
                "{} is not as it was approved: {}",
                difference.part.spoken(&clipped(&difference.name)),
                difference.in_brief()
            );
            self.effects.push(Effect::Record(Box::new(record)));
            self.effects.push(Effect::Differs(Box::new(difference)));
        }
        if more > 0 {
            let mut record = self.exchange(record::Kind::Lock, waiting);
            record.from = Some(Side::Server.name());
            record.decision = Some("deny");
            record.rule = Some(RULE.to_owned());
            record.says = format!("{more} more in this answer are not as they were approved");
            self.effects.push(Effect::Record(Box::new(record)));
        }
    }

    /// Why what a client asks for is not what was approved.
    pub(super) fn unpinned(&self, message: &Message, waiting: &Waiting) -> Option<Reason> {
        if message.from() != Side::Client {
            return None;
        }
        let server = &self.session.server;
        let pins = server.pins()?;
        let text = |name: &str| message.get(name).and_then(Json::str);
        let (part, name) = match &*waiting.method {
            "tools/call" => (Part::Tool, waiting.tool_name.as_deref()?),
            "prompts/get" => (Part::Prompt, text("name")?),
            "resources/read" | "resources/subscribe" => (Part::Resource, text("uri")?),
            "completion/complete" => {
                let about = message.get("ref")?;
                match about.get("type").and_then(Json::str) {
                    Some("ref/prompt") => (Part::Prompt, about.get("name")?.str()?),
                    _ => (Part::Template, about.get("uri")?.str()?),
                }
            }
            _ => return None,
        };
        let known = match part {
            Part::Resource => pins.has_resource(name),
            Part::Identity | Part::Instructions | Part::Tool | Part::Prompt | Part::Template => {
                pins.knows(part, name)
            }
        };
        let spoken = part.spoken(&visible(&clipped(name))).into_owned();
        let (external, internal) = if let Some(difference) = server.differs(part, name) {
            let class = difference.class.name();
            let brief = difference.in_brief();
            (
                format!("{spoken} is not what was approved ({class}: {})", visible(&brief)),
                format!("{spoken}: {class}: {brief}"),
            )
        } else if !known {
            (format!("{spoken} was never approved"), format!("{spoken} is not in the lock"))
        } else if part == Part::Tool && pins.is_alike(name) {
            (
                format!("{spoken} reads like a tool of another server, and was not approved so"),
                format!("{spoken} reads like a tool of another server"),
            )
        } else {
            return None;
        };
        let external = format!("{external}. {}", pins.release());
        Some(Reason { rule: RULE.to_owned(), external, internal })
    }

    /// Answers for a server that is blocked: it has one tool, which says why and what to do.
    pub(super) fn answer_blocked(
        &mut self,
        id: &Id,
        message: &Message,
        waiting: &Waiting,
        blocked: &Blocked,
    ) {
        let result = self.for_blocked(message, waiting, blocked);
        let mut record = self.exchange(record::Kind::Decision, waiting);
        record.rule = Some(RULE.to_owned());
        record.says = "the server is blocked".to_owned();
        record.decision = Some(if result.is_some() { "allow" } else { "deny" });
        self.effects.push(Effect::Record(Box::new(record)));
        let Some(result) = result else {
            self.outcome(waiting, Status::Refused, |_| ());
            let reason = blocked.reason();
            return self.refuse(Side::Client, id, waiting, &reason);
        };
        self.outcome(waiting, Status::Ok, |it| it.says = "answered by the guard".to_owned());
        self.own(Side::Client, &json!({ "jsonrpc": "2.0", "id": id.to_value(), "result": result }));
    }

    /// The answer of a server that has just turned out to be another than was approved.
    pub(super) fn refuse_blocked(
        &mut self,
        id: &Id,
        message: &Message,
        waiting: &Waiting,
        blocked: &Blocked,
    ) {
        let reason = blocked.reason();
        self.outcome(waiting, Status::Refused, |it| {
            (it.decision, it.rule) = (Some("deny"), Some(RULE.to_owned()));
            it.says.clone_from(&reason.internal);
        });
        if &*waiting.method == "initialize" {
            // It has begun all the same, and goes on once it is approved.
            self.greeted(message);
            self.session.lists.greeted_for_another();
        }
        match self.for_blocked(message, waiting, blocked) {
            Some(result) => {
                let id = id.to_value();
                self.own(Side::Client, &json!({ "jsonrpc": "2.0", "id": id, "result": result }));
            }
            None => self.refuse(Side::Client, id, waiting, &reason),
        }
    }

    /// What the guard answers itself, in the place of a server that is blocked: `said` is the request
    /// or the server's answer to it, which both name a revision where a session begins.
    fn for_blocked(
        &mut self,
        said: &Message,
        waiting: &Waiting,
        blocked: &Blocked,
    ) -> Option<Value> {
        let text = blocked.text();
        let version = said.get("protocolVersion").and_then(Json::str).and_then(Revision::parse);
        let mut result = match &*waiting.method {
            "initialize" => {
                let legacy = version.filter(|it| it.era() == revision::Era::Legacy);
                // One that was asked to begin can come back.
                let tells = said.from() == Side::Server;
                self.greeting(legacy.unwrap_or(Revision::V2025_11_25), tells)
            }
            "server/discover" => json!({
                "supportedVersions": [Revision::V2026_07_28.name()],
                "capabilities": { "tools": {} },
            }),
            "tools/list" => json!({ "tools": [tool(&text)] }),
            "tools/call" if waiting.tool_name.as_deref() == Some(BLOCKED) => {
                json!({ "content": [{ "type": "text", "text": text }] })
            }
            "ping" | "logging/setLevel" => json!({}),
            _ => return None,
        };
        if let (true, Some(result)) = (waiting.revision.types_results(), result.as_object_mut()) {
            result.insert("resultType".to_owned(), json!("complete"));
            if matches!(&*waiting.method, "tools/list" | "server/discover") {
                result.insert("ttlMs".to_owned(), json!(0));
                result.insert("cacheScope".to_owned(), json!("private"));
            }
        }
        Some(result)
    }

    fn greeting(&mut self, revision: Revision, tells: bool) -> Value {
        let tools = if tells { json!({ "listChanged": true }) } else { json!({}) };
        self.session.revision = Some(revision);
        json!({
            "protocolVersion": revision.name(),
            "capabilities": { "tools": tools },
            "serverInfo": { "name": "stockade", "version": env!("CARGO_PKG_VERSION") },
        })
    }
}

/// What a record and a refusal name as what has decided.
const RULE: &str = "lock";

impl Blocked {
    fn text(&self) -> String {
        format!("Stockade has blocked this server: {}. {}", visible(&self.why), self.release)
    }

    pub(super) fn reason(&self) -> Reason {
        Reason {
            rule: RULE.to_owned(),
            external: self.text(),
            internal: format!("the server is blocked: {}", self.why),
        }
    }
}

fn tool(text: &str) -> Value {
    json!({
        "name": BLOCKED,
        "title": "This server is blocked",
        "description": text,
        "inputSchema": { "type": "object", "properties": {} },
        "annotations": { "readOnlyHint": true, "openWorldHint": false },
    })
}

/// What a server says of who it is, where that differs. From 2026-07-28 on it may say it in any
/// result, or not at all.
fn identity(message: &Message, waiting: &Waiting, pins: &Pins) -> Option<Difference> {
    let said = match &*waiting.method {
        "initialize" => match message.get("serverInfo") {
            Some(it) => it,
            None => return Some(Difference::of(Part::Identity, "", &[], Some(&Value::Null))),
        },
        _ => message.meta(META_SERVER)?,
    };
    pins.difference(Part::Identity, "", said)
}

/// What an answer has of what can be approved, by sort and name.
fn offered<'m>(message: &'m Message, method: &str) -> Vec<(Part, &'m str, Json<'m>)> {
    if matches!(method, "initialize" | "server/discover") {
        let said = message.get("instructions").filter(|it| !it.is_null());
        return said.map(|it| (Part::Instructions, "", it)).into_iter().collect();
    }
    let Some((part, list)) = Part::listed_by(method) else { return Vec::new() };
    let items = message.get(list).into_iter().flat_map(Json::items);
    items.map(|it| (part, part.name_of(it).unwrap_or_default(), it)).collect()
}
