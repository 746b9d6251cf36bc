//! A conversation as a test: what a client asked are its steps, what it was answered their snapshots,
//! and what it answered itself the answers.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use stockade_core::check::redacted_value;
use stockade_core::message::Side;
use stockade_core::revision::META_VERSION;
use toml::Spanned;

use super::answers::Answers;
use super::tape::Line;
use crate::cli::test::file::{Coming, Era, File, Json, Matcher, Matchers, Outcome, Step};
use crate::cli::test::snapshot::{self, volatile};

/// The longest answer that is kept as a snapshot, in bytes.
const SNAPSHOT_BYTES_MAX: usize = 256 << 10;

/// A test, and what is to be known of it.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) test: File,
    pub(super) notes: Vec<String>,
}

/// A request, while it is not all known.
#[derive(Debug)]
struct Asked {
    method: String,
    /// Its parameters, without secrets and without what each request has.
    params: Map<String, Value>,
    meta: Map<String, Value>,
    /// By what its progress is told.
    token: Option<Value>,
    /// What the server wanted to know before it said more (2026-07-28).
    wants: Option<Value>,
    came: Vec<String>,
    answer: Option<Result<Value, Value>>,
    /// Something was taken out of what was asked.
    mended: bool,
}

#[derive(Debug, Default)]
struct Conversation {
    asked: Vec<Asked>,
    /// Requests that are not answered, by their ids.
    open: HashMap<String, usize>,
    /// What the server has asked, by its ids.
    questions: HashMap<String, (String, Value)>,
    answers: Answers,
    era: Option<String>,
    begins: Option<String>,
}

impl Written {
    /// Of what was said. `sessions` is in what the guard has refused, and in nothing else.
    pub(super) fn of(begun: File, lines: &[Line], sessions: &str) -> Self {
        let mut conversation = Conversation::default();
        for (side, bytes) in lines {
            // What cannot be read was refused as well.
            let Ok(said) = serde_json::from_slice::<Value>(bytes) else { continue };
            let each = match said {
                Value::Array(items) => items,
                one @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Object(_)) => vec![one],
            };
            for message in each {
                match side {
                    Side::Client => conversation.says(&message),
                    Side::Server => conversation.hears(&message),
                }
            }
        }
        conversation.written(begun, sessions)
    }
}

impl Conversation {
    /// The client says something.
    fn says(&mut self, message: &Value) {
        let id = message.get("id").map(Value::to_string);
        let method = message.get("method").and_then(Value::as_str);
        match (method, id) {
            (Some("initialize"), Some(id)) => self.begins = Some(id),
            (Some(method), Some(id)) if method != "ping" => self.asks(method, message, id),
            (None, Some(id)) => {
                if let Some((method, params)) = self.questions.remove(&id) {
                    let refused = message.get("error").is_some();
                    let result = message.get("result").filter(|_| !refused);
                    self.answers.add(&method, &params, result);
                }
            }
            // A notification is no step; a cancelled request has no answer.
            (Some(_), _) | (None, None) => {}
        }
    }

    fn asks(&mut self, method: &str, message: &Value, id: String) {
        let given = message.get("params").cloned().unwrap_or_else(|| json!({}));
        let params = redacted_value(&given);
        let mended = params != given;
        let Value::Object(mut params) = params else { return };
        let mut meta = match params.remove("_meta") {
            Some(Value::Object(meta)) => meta,
            Some(_) | None => Map::new(),
        };
        let era = meta.get(META_VERSION).and_then(Value::as_str).map(str::to_owned);
        self.era = self.era.take().or(era);
        let token = given.pointer("/_meta/progressToken").cloned();
        meta.retain(|name, _| {
            name != "progressToken" && !name.starts_with("io.modelcontextprotocol/")
        });
        let replies = params.remove("inputResponses");
        let state = params.remove("requestState");
        if replies.is_some() || state.is_some() {
            let same =
                |it: &Asked| it.wants.is_some() && it.method == method && it.params == params;
            let place = self.asked.iter().rposition(same);
            if let Some((place, first)) = place.and_then(|it| Some((it, self.asked.get_mut(it)?))) {
                let wants = first.wants.take().unwrap_or_default();
                self.replied(&wants, replies.as_ref());
                self.open.insert(id, place);
                return;
            }
        }
        self.open.insert(id, self.asked.len());
        let (method, came) = (method.to_owned(), Vec::new());
        let (wants, answer) = (None, None);
        self.asked.push(Asked { method, params, meta, token, wants, came, answer, mended });
    }

    /// What was said to questions that were a result.
    fn replied(&mut self, wants: &Value, replies: Option<&Value>) {
        for (name, question) in wants.as_object().into_iter().flatten() {
            let method = question.get("method").and_then(Value::as_str).unwrap_or_default();
            let params = question.get("params").unwrap_or(&Value::Null);
            self.answers.add(method, params, replies.and_then(|it| it.get(name)));
        }
    }

    /// The client is told something.
    fn hears(&mut self, message: &Value) {
        let id = message.get("id").map(Value::to_string);
        let method = message.get("method").and_then(Value::as_str);
        let (result, error) = (message.get("result"), message.get("error"));
        match (method, id) {
            (Some("ping"), _) => {}
            (Some(method), Some(id)) => {
                let params = message.get("params").unwrap_or(&Value::Null);
                self.questions.insert(id, (method.to_owned(), params.clone()));
                self.comes(method, None);
            }
            (Some(method), None) => {
                self.comes(method, message.pointer("/params/progressToken"));
            }
            (None, Some(id)) if self.begins.as_ref() == Some(&id) => {
                let era = message.pointer("/result/protocolVersion").and_then(Value::as_str);
                self.era = era.map(str::to_owned);
            }
            (None, Some(id)) => {
                let Some(asked) = self.open.remove(&id).and_then(|it| self.asked.get_mut(it))
                else {
                    return;
                };
                let wants =
                    result.filter(|it| it.get("resultType") == Some(&json!("input_required")));
                if let Some(wants) = wants {
                    asked.wants = Some(wants.get("inputRequests").cloned().unwrap_or_default());
                    return;
                }
                let answer = match (result, error) {
                    (Some(it), _) => Ok(it.clone()),
                    (None, it) => Err(it.cloned().unwrap_or_default()),
                };
                asked.answer = Some(answer);
            }
            (None, None) => {}
        }
    }

    /// Something comes beside answers: it belongs to the request whose token it has, or the last.
    fn comes(&mut self, method: &str, token: Option<&Value>) {
        let is_open = |it: &&mut Asked| it.answer.is_none();
        let mut open = self.asked.iter_mut().rev().filter(is_open);
        let found = match token {
            Some(token) => open.find(|it| it.token.as_ref() == Some(token)),
            None => open.next(),
        };
        // Often the same is once: how often is another each time.
        if let Some(asked) = found
            && asked.came.last().map(String::as_str) != Some(method)
        {
            asked.came.push(method.to_owned());
        }
    }

    fn written(self, begun: File, sessions: &str) -> Written {
        let mut notes = Vec::new();
        let unanswered = self.asked.iter().filter(|it| it.answer.is_none()).count();
        if unanswered > 0 {
            notes.push(format!("{unanswered} requests that were not answered are not in it"));
        }
        let mut steps = Vec::new();
        for asked in self.asked {
            let Some(answer) = asked.answer.clone() else { continue };
            let number = steps.len() + 1;
            if asked.mended {
                notes.push(format!("a secret was taken out of what step {number} asks"));
            }
            let (step, note) = asked.step(answer, sessions);
            notes.extend(note.map(|it| format!("step {number} {it}")));
            steps.push(Spanned::new(0..0, step));
        }
        let era = self.era.and_then(|it| Era::try_from(it).ok());
        let test = File { era, answers: self.answers.table(), steps, ..begun };
        Written { test, notes }
    }
}

impl Asked {
    fn step(self, answer: Result<Value, Value>, sessions: &str) -> (Step, Option<String>) {
        let Self { method, mut params, meta, came, .. } = self;
        let mut step = Step {
            meta: (!meta.is_empty()).then(|| Json::of(Value::Object(meta))),
            task: params.remove("task").is_some(),
            ..Step::default()
        };
        let name = params.get("name").and_then(Value::as_str).map(str::to_owned);
        let uri = params.get("uri").and_then(Value::as_str).map(str::to_owned);
        let known = |allowed: &[&str]| params.keys().all(|it| allowed.contains(&it.as_str()));
        let arguments =
            params.get("arguments").filter(|it| **it != json!({})).cloned().map(Json::of);
        match (method.as_str(), name, uri) {
            ("tools/call", Some(name), _) if known(&["name", "arguments"]) => {
                (step.tool, step.arguments) = (Some(name), arguments);
            }
            ("prompts/get", Some(name), _) if known(&["name", "arguments"]) => {
                (step.prompt, step.arguments) = (Some(name), arguments);
            }
            ("resources/read", _, Some(uri)) if known(&["uri"]) => step.resource = Some(uri),
            _ => {
                step.method = Some(method);
                step.params = (!params.is_empty()).then(|| Json::of(Value::Object(params)));
            }
        }
        if !came.is_empty() {
            let answer = Coming::Method("answer".to_owned());
            step.order = came.into_iter().map(Coming::Method).chain([answer]).collect();
        }
        let told = answer.as_ref().map_or_else(Value::to_string, Value::to_string);
        let refused = told.contains("refused by Stockade")
            && told.contains(&format!("(reference {sessions}"));
        step.outcome = match &answer {
            _ if refused => Outcome::Denied,
            Ok(it) if it.get("isError") == Some(&Value::Bool(true)) => Outcome::ToolError,
            Ok(_) => Outcome::Result,
            Err(_) => Outcome::Error,
        };
        if refused {
            // What it is told names this one conversation.
            return (step, None);
        }
        let (Ok(answer) | Err(answer)) = answer;
        (step.matchers, step.snapshot) = snapshot_of(&answer);
        let note =
            step.snapshot.is_none().then(|| "has an answer too long for a snapshot".to_owned());
        (step, note)
    }
}

/// The snapshot of an answer, with matchers for what is another each time.
fn snapshot_of(answer: &Value) -> (Matchers, Option<String>) {
    let none = Matchers::default();
    let mut found = Vec::new();
    places(&mut ["$".to_owned(), "$".to_owned()], answer, &mut found);
    // All items of a list have one matcher, if it fits all of them.
    let of_each = found.iter().map(|([path, _], it)| (path.clone(), it.clone())).collect();
    let of_lists = found.into_iter().map(|([_, path], it)| (path, it)).collect();
    let mut taken = None;
    for each in [of_lists, of_each] {
        let mut each: Vec<(String, Matcher)> = each;
        each.sort_by(|a, b| a.0.cmp(&b.0));
        each.dedup();
        let parsed = each.into_iter().filter_map(|(path, it)| Some((path.parse().ok()?, it)));
        let matchers = Matchers(parsed.collect());
        let (value, wrong) = snapshot::taken(answer, [&none, &matchers]);
        if wrong.is_empty() {
            taken = Some((matchers, value));
            break;
        }
    }
    let Some((matchers, value)) = taken else { return (none, None) };
    let text = snapshot::written(&value);
    match text.len() <= SNAPSHOT_BYTES_MAX {
        true => (matchers, Some(text)),
        false => (none, None),
    }
}

/// Where times and ids are, as normalized paths (RFC 9535, 2.7), and as paths to all items of lists.
fn places(paths: &mut [String; 2], value: &Value, found: &mut Vec<([String; 2], Matcher)>) {
    let lengths = [0, 1].map(|it: usize| paths.get(it).map_or(0, String::len));
    let mut below = |steps: [String; 2], value: &Value| {
        paths.iter_mut().zip(&steps).for_each(|(path, step)| path.push_str(step));
        places(paths, value, found);
        paths.iter_mut().zip(lengths).for_each(|(path, length)| path.truncate(length));
    };
    match value {
        Value::String(text) => found.extend(volatile(text).map(|it| (paths.clone(), it))),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                below([format!("[{index}]"), "[*]".to_owned()], item);
            }
        }
        Value::Object(members) => {
            for (name, item) in members {
                let step = format!("[{}]", Value::from(name.as_str()));
                below([step.clone(), step], item);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
