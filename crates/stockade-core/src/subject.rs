//! What a check may look at.
//!
//! The guard finds subjects in live messages, the scanner in listings and configuration files, the
//! inspector in both. A check cannot tell the difference. Together the subjects of a message are
//! all of its `params`, `result` or `error` and all that stands beside them: what this file does
//! not know becomes [`Channel::Other`], so no channel is left unjudged.

use std::cell::OnceCell;

use crate::alias::Aliases;
use crate::argument::Traits;
use crate::canary::Canaries;
use crate::catalog::Definition;
use crate::fence::Fence;
use crate::finding::At;
use crate::json::Json;
use crate::leads::Leads;
use crate::message::{ENVELOPE, Kind, Message, Side};
use crate::policy::Sampling;
use crate::policy::input::{Inputs, NOTHING};
use crate::policy::review;
use crate::revision::{Capability, ELICITATION_REQUIRED, METHODS, Revision};

/// What kind of thing a subject is: which way it travels, and who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The arguments of a tool call.
    Call,
    /// The arguments of a prompt, or of a completion.
    Argument,
    /// A URI that the client wants read or watched.
    Uri,
    /// A tool as its server describes it.
    Tool,
    /// A prompt as its server describes it.
    Prompt,
    /// A resource as its server describes it.
    Resource,
    /// A template of resources as its server describes it.
    Template,
    /// What the server tells the model about itself.
    Instructions,
    /// What a tool, a prompt or a resource answers.
    Content,
    /// What a server wants a model to say.
    Sampling,
    /// What a server wants a person to answer.
    Elicitation,
    /// The list of roots, asked for or given.
    Roots,
    /// What the client answers to a server's question.
    Reply,
    /// The state of a task.
    Task,
    /// What is asked about a task.
    TaskQuestion,
    /// A log line.
    Log,
    /// Progress of a call.
    Progress,
    /// An error: of JSON-RPC, or what a tool that failed answers.
    Error,
    /// Anything else.
    Other,
}

impl Channel {
    /// Whether it is what a server says of itself and of what it offers.
    pub fn is_described(self) -> bool {
        match self {
            Self::Tool | Self::Prompt | Self::Resource | Self::Template | Self::Instructions => {
                true
            }
            Self::Call
            | Self::Argument
            | Self::Uri
            | Self::Content
            | Self::Sampling
            | Self::Elicitation
            | Self::Roots
            | Self::Reply
            | Self::Task
            | Self::TaskQuestion
            | Self::Log
            | Self::Progress
            | Self::Error
            | Self::Other => false,
        }
    }
}

/// A part of a document, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What it is.
    pub channel: Channel,
    /// The part.
    pub json: Json<'a>,
    /// Of a call: the name of the tool.
    pub tool: Option<&'a str>,
}

/// What is known about a message besides what it says.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who sent it.
    pub from: Side,
    /// The revision it is said in.
    pub revision: Revision,
    /// Its method, or that of the request that it answers.
    pub method: &'a str,
    /// A name for this exchange that the record has too, for a peer to quote.
    pub reference: &'a str,
    /// The tool that is called, where its server has described it.
    pub definition: Option<&'a Definition>,
    /// What the policy says of its arguments.
    pub inputs: &'a Inputs<'a>,
    /// The tool that its server has listed, and that the name of the one that is called reads as.
    pub reads_as: Option<&'a str>,
    /// What the client has declared that it can do.
    pub client_can: Capabilities,
    /// The directories and URIs that this conversation may be about. Empty: not bounded here.
    pub roots: &'a [String],
    /// Where the paths in it lead, where somebody has looked. Nothing: nobody can.
    pub leads: Option<&'a Leads>,
    /// What a tool that was not listed does, by its name, once somebody has asked.
    pub unlisted: Option<&'a OnceCell<Traits>>,
    /// The longest text that may pass in one piece, in bytes.
    pub text_bytes_max: usize,
    /// What nobody has a reason to say.
    pub canaries: &'a [&'a Canaries],
    /// What text in this message can be put between. None: nothing can.
    pub fence: Option<&'a Fence<'a>>,
    /// What the secrets of this conversation are called. Without, none of them has a number.
    pub aliases: Option<&'a Aliases>,
    /// What a server may ask of the client's model.
    pub sampling: &'a Sampling,
}

impl Facts<'static> {
    /// Facts for a subject that is not part of a conversation.
    pub fn alone(from: Side) -> Self {
        Self {
            from,
            revision: Revision::V2026_07_28,
            method: "",
            reference: "",
            definition: None,
            inputs: &NOTHING,
            reads_as: None,
            client_can: Capabilities::default(),
            roots: &[],
            leads: None,
            unlisted: None,
            text_bytes_max: usize::MAX,
            canaries: &[],
            fence: None,
            aliases: None,
            sampling: &review::USUAL,
        }
    }
}

/// What a client has declared that it can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// A bit for each [`Capability`].
    bits: u16,
}

impl Capabilities {
    /// Reads the object under `capabilities`.
    pub fn read(json: Option<Json<'_>>) -> Self {
        let mut declared = Self::default();
        let Some(json) = json else { return declared };
        let is_there = |it: &Json<'_>| !it.is_null() && it.bool() != Some(false);
        for capability in Capability::ALL {
            if json.path(capability.path()).as_ref().is_some_and(is_there) {
                declared.bits |= bit(*capability);
            }
        }
        // 2025-11-25, "Elicitation": who does not say in which way, means a form.
        if declared.has(Capability::Elicitation) && !declared.has(Capability::ElicitationUrl) {
            declared.bits |= bit(Capability::ElicitationForm);
        }
        declared
    }

    /// Whether this was declared.
    pub fn has(self, capability: Capability) -> bool {
        self.bits & bit(capability) != 0
    }
}

fn bit(capability: Capability) -> u16 {
    1 << capability as u16
}

/// Finds the subjects in a message. `method` is that of the message, or of the request it answers.
pub fn subjects<'a>(message: &'a Message, method: &str) -> Vec<Subject<'a>> {
    let body = message.body();
    let mut subjects = body.map_or_else(Vec::new, |it| inside(message, it, method));
    if message.kind() == Kind::Request && !body.is_some_and(Json::is_object) {
        // A question that has no parameters is one all the same.
        let channel = question(method).into_iter();
        subjects.extend(channel.map(|channel| Subject {
            channel,
            json: message.root(),
            tool: None,
        }));
    }
    // A server reads the name of a method that nobody knows, and a client can put anything into it.
    let is_unknown = message.from() == Side::Client && !METHODS.contains(&method);
    let named = message.root().get("method").filter(|_| is_unknown).into_iter();
    subjects.extend(named.map(|json| Subject { channel: Channel::Other, json, tool: None }));
    let beside = message.root().fields().filter(|(name, _)| !ENVELOPE.contains(name));
    subjects.extend(beside.map(|(_, json)| Subject { channel: Channel::Other, json, tool: None }));
    subjects
}

fn inside<'a>(message: &'a Message, body: Json<'a>, method: &str) -> Vec<Subject<'a>> {
    let mut found = Found { body, subjects: Vec::new() };
    match (message.kind(), message.from()) {
        (Kind::Error, from) => {
            if from == Side::Server {
                found.wanted();
            }
            found.one(Channel::Error, &[]);
        }
        // The specification has objects there, and what is no object has no parts to tell apart.
        _ if !body.is_object() => found.one(Channel::Other, &[]),
        (Kind::Request | Kind::Notification, _) => found.said(method),
        (Kind::Result, Side::Server) => found.answered(method),
        (Kind::Result, Side::Client) => found.one(Channel::Reply, &[]),
    }
    found.rest();
    found.subjects
}

/// What is asked for by this method, where it is a question that the other side answers itself.
fn question(method: &str) -> Option<Channel> {
    match method {
        "sampling/createMessage" => Some(Channel::Sampling),
        "elicitation/create" => Some(Channel::Elicitation),
        "roots/list" => Some(Channel::Roots),
        it if it.starts_with("tasks/") => Some(Channel::TaskQuestion),
        _ => None,
    }
}

struct Found<'a> {
    body: Json<'a>,
    subjects: Vec<Subject<'a>>,
}

impl<'a> Found<'a> {
    /// What is asked for or told.
    fn said(&mut self, method: &str) {
        match method {
            "tools/call" => {
                let tool = self.body.get("name").and_then(Json::str);
                let json = self.body.get("arguments").unwrap_or(self.body);
                self.subjects.push(Subject { channel: Channel::Call, json, tool });
                self.one(Channel::Reply, &["inputResponses"]);
            }
            "prompts/get" => {
                self.one(Channel::Argument, &["arguments"]);
                self.one(Channel::Reply, &["inputResponses"]);
            }
            "completion/complete" => self.one(Channel::Argument, &["argument"]),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                self.one(Channel::Uri, &["uri"]);
                self.one(Channel::Reply, &["inputResponses"]);
            }
            "notifications/message" => self.one(Channel::Log, &[]),
            "notifications/progress" => self.one(Channel::Progress, &[]),
            "notifications/tasks" => {
                self.asked_back();
                self.one(Channel::Task, &[]);
            }
            "notifications/tasks/status" => self.one(Channel::Task, &[]),
            it => question(it).into_iter().for_each(|channel| self.one(channel, &[])),
        }
    }

    /// What a server answers.
    fn answered(&mut self, method: &str) {
        self.asked_back();
        match method {
            "initialize" | "server/discover" => self.one(Channel::Instructions, &["instructions"]),
            "tools/list" => self.each(Channel::Tool, "tools"),
            "prompts/list" => self.each(Channel::Prompt, "prompts"),
            "resources/list" => self.each(Channel::Resource, "resources"),
            "resources/templates/list" => self.each(Channel::Template, "resourceTemplates"),
            "tasks/get" | "tasks/list" | "tasks/cancel" | "tasks/update" => {
                self.one(Channel::Task, &[]);
            }
            _ => {
                // A tool that failed says so in its content: 2024-11-05, "Error Handling".
                let failed = self.body.get("isError").and_then(Json::bool) == Some(true);
                let channel = if failed { Channel::Error } else { Channel::Content };
                self.one(channel, &["content"]);
                self.one(channel, &["structuredContent"]);
                for name in ["messages", "contents", "completion"] {
                    self.one(Channel::Content, &[name]);
                }
            }
        }
    }

    /// What a modern server wants to know before it goes on.
    fn asked_back(&mut self) {
        let asks = self.body.get("inputRequests").into_iter().flat_map(Json::fields);
        for (_, ask) in asks {
            let channel = ask.get("method").and_then(Json::str).and_then(question);
            let channel = channel.unwrap_or(Channel::Other);
            self.subjects.push(Subject { channel, json: ask, tool: None });
        }
    }

    /// What a server of 2025-11-25 wants opened before it does what it was asked for
    /// (`URLElicitationRequiredError`). It is a question, though it comes as an error.
    fn wanted(&mut self) {
        if self.body.get("code").and_then(Json::i64) != Some(ELICITATION_REQUIRED) {
            return;
        }
        let asks = self.body.path(&["data", "elicitations"]).into_iter().flat_map(Json::items);
        let channel = Channel::Elicitation;
        self.subjects.extend(asks.map(|json| Subject { channel, json, tool: None }));
    }

    fn one(&mut self, channel: Channel, path: &[&str]) {
        let json = self.body.path(path);
        self.subjects.extend(json.map(|json| Subject { channel, json, tool: None }));
    }

    fn each(&mut self, channel: Channel, name: &str) {
        let items = self.body.get(name).into_iter().flat_map(Json::items);
        self.subjects.extend(items.map(|json| Subject { channel, json, tool: None }));
    }

    /// Whatever is in the body and in no subject yet.
    fn rest(&mut self) {
        let mut known: Vec<Json<'a>> = self.subjects.iter().map(|it| it.json).collect();
        if known.iter().any(|it| it.contains(self.body)) {
            return;
        }
        // A server may send as many of either as fit: each is looked up, not compared with all.
        known.sort_unstable_by_key(|it| it.number());
        let is_taken = |it: Json<'a>| {
            let next = known.partition_point(|subject| subject.number() < it.number());
            known.get(next).is_some_and(|subject| it.contains(*subject))
        };
        let rest = self.body.fields().map(|(_, json)| json).filter(|it| !is_taken(*it));
        let other = |json| Subject { channel: Channel::Other, json, tool: None };
        self.subjects.extend(rest.map(other));
    }
}

impl<'a> Subject<'a> {
    /// What is asked, of a question: in `inputRequests` the whole request stands, elsewhere what it
    /// says. By its place and not by its form: a question can have a `params` that nobody reads.
    pub fn asked(self) -> Json<'a> {
        let is_whole = match self.json.parent() {
            Some(it) => it.name() == Some("inputRequests"),
            None => self.json.get("method").is_some(),
        };
        self.json.get("params").filter(|_| is_whole).unwrap_or(self.json)
    }

    /// Visits every string in it, names included.
    pub fn each_text(self, visit: &mut dyn FnMut(At<'a>, &'a str)) {
        for it in self.json.all() {
            if let Some(name) = it.name() {
                visit(At::Name(it), name);
            }
            if let Some(text) = it.str() {
                visit(At::Value(it), text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::json::Limits;

    /// The channel and the place of each subject of a server's result.
    fn found(method: &str, result: &serde_json::Value) -> Vec<(Channel, String)> {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "result": result, "beside": 1 });
        let bytes = Bytes::from(message.to_string());
        let message = Message::parse(Side::Server, bytes, &Limits::default()).unwrap();
        let subjects = subjects(&message, method);
        subjects.iter().map(|it| (it.channel, it.json.pointer())).collect()
    }

    #[test]
    fn a_method_that_nobody_knows_is_a_text_of_its_client() {
        for (method, expected) in [("x/Magpie-77", vec!["/method"]), ("tools/list", vec![])] {
            let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": {} });
            let bytes = Bytes::from(message.to_string());
            let message = Message::parse(Side::Client, bytes, &Limits::default()).unwrap();
            let found: Vec<_> =
                subjects(&message, method).iter().map(|it| it.json.pointer()).collect();
            assert_eq!(found, expected, "{method}");
        }
    }

    #[test]
    fn everything_is_in_a_subject_and_what_is_unknown_is_in_one() {
        use Channel::{Content, Elicitation, Other, Task, Tool};
        let asks = json!({ "q": { "method": "elicitation/create" }, "r": 1 });
        for (method, result, expected) in [
            (
                "tools/list",
                json!({ "a": 1, "inputRequests": asks, "tools": [{}, 2], "z": {} }),
                vec![
                    (Elicitation, "/result/inputRequests/q"),
                    (Other, "/result/inputRequests/r"),
                    (Tool, "/result/tools/0"),
                    (Tool, "/result/tools/1"),
                    (Other, "/result/a"),
                    (Other, "/result/z"),
                ],
            ),
            ("tools/list", json!({ "tools": [] }), vec![(Other, "/result/tools")]),
            (
                "tools/call",
                json!({ "a": [1], "content": "x" }),
                vec![(Content, "/result/content"), (Other, "/result/a")],
            ),
            ("tasks/get", json!({ "taskId": "a", "x": 1 }), vec![(Task, "/result")]),
            ("tools/call", json!([1]), vec![(Other, "/result")]),
        ] {
            let mut expected: Vec<_> =
                expected.into_iter().map(|(channel, at)| (channel, at.to_owned())).collect();
            expected.push((Other, "/beside".to_owned()));
            assert_eq!(found(method, &result), expected, "{method} {result}");
        }
    }
}
