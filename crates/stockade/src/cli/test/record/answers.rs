//! What a client has said to what a server asked, as entries that say it again.

use serde_json::{Map, Value, json};
use stockade_core::check::redacted_value;

/// So much of a question is what an answer is known by, in characters.
const QUESTION_CHARS_MAX: usize = 200;

/// What was said, as a file of answers has it.
#[derive(Debug, Default)]
pub(super) struct Answers {
    elicitation: Vec<Entry>,
    sampling: Vec<Entry>,
    roots: Option<Vec<Value>>,
}

/// What is said to one question.
#[derive(Debug, PartialEq)]
struct Entry {
    /// What the question is known by.
    contains: String,
    is_url: bool,
    /// The same was asked more than once, and another thing was said.
    once: bool,
    says: Map<String, Value>,
}

impl Answers {
    /// Adds what was said to a question; nothing, where that was an error.
    pub(super) fn add(&mut self, method: &str, params: &Value, said: Option<&Value>) {
        let (params, said) = (redacted_value(params), said.map(redacted_value));
        match method {
            "roots/list" => self.roots = said.as_ref().map(roots),
            "elicitation/create" => keep(&mut self.elicitation, filled_in(&params, said.as_ref())),
            "sampling/createMessage" => keep(&mut self.sampling, sampled(&params, said.as_ref())),
            _ => {}
        }
    }

    /// As it stands in a file.
    pub(super) fn table(self) -> Option<toml::Value> {
        let lists = [("elicitation", self.elicitation), ("sampling", self.sampling)];
        let lists = lists.into_iter().filter(|(_, it)| !it.is_empty());
        let lists = lists.map(|(name, it)| {
            (name.to_owned(), it.into_iter().map(Entry::value).collect::<Value>())
        });
        let roots = self.roots.map(|it| ("roots".to_owned(), it.into()));
        let all: Map<String, Value> = lists.chain(roots).collect();
        let table = (!all.is_empty()).then_some(Value::Object(all))?;
        toml::Value::try_from(without_nulls(table)).ok()
    }
}

impl Entry {
    fn value(self) -> Value {
        let Self { contains, is_url, once, mut says } = self;
        let mut when = Map::from_iter([("contains".to_owned(), contains.into())]);
        when.extend(is_url.then(|| ("mode".to_owned(), "url".into())));
        when.extend(once.then(|| ("times".to_owned(), 1.into())));
        says.insert("when".to_owned(), when.into());
        says.into()
    }
}

fn roots(said: &Value) -> Vec<Value> {
    let known = |it: &Value| match it.get("name") {
        Some(name) => json!({ "uri": it.get("uri"), "name": name }),
        None => json!({ "uri": it.get("uri") }),
    };
    said.get("roots").and_then(Value::as_array).into_iter().flatten().map(known).collect()
}

fn filled_in(params: &Value, said: Option<&Value>) -> Entry {
    let text = |name: &str| params.get(name).and_then(Value::as_str).unwrap_or_default();
    // An error is no answer, and there is none in a file.
    let action = said.and_then(|it| it.get("action")?.as_str()).unwrap_or("decline");
    let says = match action {
        "accept" => said.and_then(|it| it.get("content")).map(|it| ("content", it.clone())),
        other => Some(("action", other.into())),
    };
    let says = says.into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
    let (contains, is_url) = (beginning(text("message")), text("mode") == "url");
    Entry { contains, is_url, once: false, says }
}

fn sampled(params: &Value, said: Option<&Value>) -> Entry {
    let messages = params.get("messages").and_then(Value::as_array);
    let last = messages.and_then(|it| it.last()).and_then(|it| it.get("content"));
    let last = match last {
        Some(Value::Array(blocks)) => blocks.last(),
        other => other,
    };
    let asked = last.and_then(|it| it.get("text")?.as_str()).unwrap_or_default();
    let says = match said {
        None => Map::from_iter([("refuse".to_owned(), true.into())]),
        Some(said) => {
            let names = [("content", "content"), ("model", "model"), ("stop_reason", "stopReason")];
            let each = names.into_iter().filter_map(|(name, from)| Some((name, said.get(from)?)));
            each.map(|(name, it)| (name.to_owned(), it.clone())).collect()
        }
    };
    Entry { contains: beginning(asked), is_url: false, once: false, says }
}

/// Keeps an entry, once. Where the same is asked and another thing was said, each answers once.
fn keep(entries: &mut Vec<Entry>, mut entry: Entry) {
    let is_same = |it: &Entry| it.contains == entry.contains && it.is_url == entry.is_url;
    if entries.iter().any(|it| is_same(it) && it.says == entry.says && !it.once) {
        return;
    }
    let same = entries.iter_mut().filter(|it| is_same(it));
    let once = same.map(|it| it.once = true).count() > 0;
    entry.once = once;
    entries.push(entry);
}

/// TOML has no null, and what is null in a form was not filled in.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, it)| !it.is_null());
            Value::Object(kept.map(|(name, it)| (name, without_nulls(it))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn beginning(text: &str) -> String {
    text.chars().take(QUESTION_CHARS_MAX).collect()
}
