//! A file of answers, as a user writes it: what is said to a server that wants something of the
//! model, the person or the roots of its client. What is in no entry is refused.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stockade_core::json::Document;
use stockade_core::schema::Schema;

use super::person::Reply;

const SAMPLING: &str = "sampling/createMessage";
const ELICITATION: &str = "elicitation/create";
const ROOTS: &str = "roots/list";

/// The file, in TOML or in JSON.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// What a person fills in, or is sent to.
    #[serde(default)]
    elicitation: Vec<Elicitation>,
    /// What a model writes.
    #[serde(default)]
    sampling: Vec<Sampling>,
    /// The roots. Without, those of the command line.
    roots: Option<Vec<Root>>,
}

/// Which questions an entry is for: all that is said here must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    /// This is in the question.
    contains: Option<String>,
    /// This regular expression is found in it.
    matches: Option<Pattern>,
    /// This form has a field of that name.
    field: Option<String>,
    /// `form` or `url`.
    mode: Option<Mode>,
    /// So often, and not again.
    times: Option<usize>,
}

/// An answer to `elicitation/create`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Elicitation {
    #[serde(default)]
    when: When,
    #[serde(default)]
    action: Action,
    /// What is filled in.
    content: Option<Map<String, Value>>,
    #[serde(skip)]
    used: usize,
}

/// An answer to `sampling/createMessage`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sampling {
    #[serde(default)]
    when: When,
    /// What the model says, as text.
    text: Option<String>,
    /// The same, as a content block.
    content: Option<Value>,
    /// What the model is called.
    #[serde(default = "model")]
    model: String,
    /// Why it has stopped.
    #[serde(default = "stop_reason")]
    stop_reason: String,
    /// The person does not let the model answer.
    #[serde(default)]
    refuse: bool,
    #[serde(skip)]
    used: usize,
}

/// A root of the client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    uri: String,
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    Accept,
    Decline,
    Cancel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Form,
    Url,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, regex::Error> {
        Regex::new(&text).map(Self)
    }
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AnswersError {
    /// It cannot be read.
    #[error("cannot read the answers in `{}`", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("the answers in `{}` cannot be used: {says}", .path.display())]
    Says {
        /// Which.
        path: PathBuf,
        /// What is wrong, and where.
        says: String,
    },
}

/// What is said to a question, and by which entry; or why nothing is.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The answer.
    pub reply: Reply,
    /// Where it is from, or what is missing, for a person.
    pub why: String,
}

impl Answers {
    /// Reads a file: JSON, if it begins with a brace.
    ///
    /// # Errors
    /// When it is not there, or says something that has no meaning.
    pub fn read(path: &Path) -> Result<Self, AnswersError> {
        let owned = || path.to_owned();
        let text = fs::read_to_string(path)
            .map_err(|source| AnswersError::Read { path: owned(), source })?;
        Self::parse(&text).map_err(|says| AnswersError::Says { path: owned(), says })
    }

    /// Reads what such a file has in it.
    ///
    /// # Errors
    /// What has no meaning.
    pub fn parse(text: &str) -> Result<Self, String> {
        let answers: Self = match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text).map_err(|it| it.to_string())?,
            false => toml::from_str(text).map_err(|it| it.to_string())?,
        };
        for (place, it) in answers.elicitation.iter().enumerate() {
            if it.action != Action::Accept && it.content.is_some() {
                let place = place + 1;
                return Err(format!("`elicitation` {place} has `content`, and does not accept"));
            }
        }
        for (place, it) in answers.sampling.iter().enumerate() {
            let given = [it.text.is_some(), it.content.is_some(), it.refuse];
            if given.iter().filter(|it| **it).count() != 1 {
                let place = place + 1;
                return Err(format!(
                    "`sampling` {place} has not exactly one of `text`, `content` and `refuse`"
                ));
            }
            if it.when.field.is_some() || it.when.mode.is_some() {
                let place = place + 1;
                return Err(format!("`sampling` {place} is for a `field` or a `mode` of a form"));
            }
        }
        Ok(answers)
    }

    /// Whether the file says what the roots are.
    pub fn has_roots(&self) -> bool {
        self.roots.is_some()
    }

    /// These roots, where the file says nothing of them: URIs.
    pub fn or_roots(&mut self, uris: impl IntoIterator<Item = String>) {
        let given = || uris.into_iter().map(|uri| Root { uri, name: None }).collect();
        self.roots.get_or_insert_with(given);
    }

    /// What is said to a question: what no entry is for is refused.
    pub fn say(&mut self, method: &str, params: &Value) -> Said {
        self.find(method, params).unwrap_or_else(|| match method {
            ELICITATION => declined("no entry of `elicitation` is for this question"),
            SAMPLING => refused(-1, "no entry of `sampling` is for this question"),
            ROOTS => refused(-32601, "there are no roots here"),
            _ => refused(-32601, "nothing here answers that"),
        })
    }

    /// What is said to a question by what there is for it; nothing, where there is nothing.
    pub fn find(&mut self, method: &str, params: &Value) -> Option<Said> {
        match method {
            "ping" => Some(Said { reply: Reply::Result(json!({})), why: "itself".to_owned() }),
            ELICITATION => self.fill_in(params),
            SAMPLING => self.write(params),
            ROOTS => self.roots.as_ref().map(|roots| {
                let each = roots.iter().map(|it| match &it.name {
                    Some(name) => json!({ "uri": it.uri, "name": name }),
                    None => json!({ "uri": it.uri }),
                });
                let roots: Vec<Value> = each.collect();
                let why = format!("{} root{}", roots.len(), plural(roots.len()));
                Said { reply: Reply::Result(json!({ "roots": roots })), why }
            }),
            _ => None,
        }
    }

    fn fill_in(&mut self, params: &Value) -> Option<Said> {
        let text = |name: &str| params.get(name).and_then(Value::as_str).unwrap_or_default();
        let is_url = text("mode") == "url";
        let mode = if is_url { Mode::Url } else { Mode::Form };
        let question = format!("{}\n{}", text("message"), text("url"));
        let form = params.get("requestedSchema");
        let fields = form.and_then(|it| it.get("properties")).and_then(Value::as_object);
        let has = |name: &str| fields.is_some_and(|it| it.contains_key(name));
        let mut each = self.elicitation.iter_mut().enumerate();
        let found = each.find(|(_, it)| {
            it.when.mode.is_none_or(|it| it == mode)
                && it.when.field.as_deref().is_none_or(has)
                && it.when.is_for(&question, it.used)
        });
        let (place, entry) = found?;
        entry.used += 1;
        let why = format!("`elicitation` {}", place + 1);
        let reply = match entry.action {
            Action::Decline => json!({ "action": "decline" }),
            Action::Cancel => json!({ "action": "cancel" }),
            // What is to be opened has been agreed to, and is opened by nobody here.
            Action::Accept if is_url => json!({ "action": "accept" }),
            Action::Accept => {
                let content = Value::Object(entry.content.clone().unwrap_or_default());
                if let Some(says) = form.and_then(|it| unfit(it, &content)) {
                    return Some(declined(&format!("{why} does not fit the form: {says}")));
                }
                json!({ "action": "accept", "content": content })
            }
        };
        Some(Said { reply: Reply::Result(reply), why })
    }

    fn write(&mut self, params: &Value) -> Option<Said> {
        let texts = |it: &Value| {
            let blocks = match it.get("content") {
                Some(Value::Array(all)) => all.iter().collect(),
                Some(one) => vec![one],
                None => Vec::new(),
            };
            let text = blocks.into_iter().filter_map(|it| it.get("text")?.as_str());
            text.collect::<Vec<_>>().join("\n")
        };
        let system = params.get("systemPrompt").and_then(Value::as_str).unwrap_or_default();
        let messages = params.get("messages").and_then(Value::as_array);
        let said = messages.into_iter().flatten().map(texts);
        let question = [system.to_owned()].into_iter().chain(said).collect::<Vec<_>>().join("\n");
        let mut each = self.sampling.iter_mut().enumerate();
        let found = each.find(|(_, it)| it.when.is_for(&question, it.used));
        let (place, entry) = found?;
        entry.used += 1;
        let why = format!("`sampling` {}", place + 1);
        if entry.refuse {
            let reply = Reply::Refused { code: -1, says: "the user rejected it".to_owned() };
            return Some(Said { reply, why });
        }
        let text = || json!({ "type": "text", "text": entry.text });
        let content = entry.content.clone().unwrap_or_else(text);
        let reply = json!({
            "role": "assistant", "content": content, "model": entry.model,
            "stopReason": entry.stop_reason,
        });
        Some(Said { reply: Reply::Result(reply), why })
    }
}

impl When {
    fn is_for(&self, question: &str, used: usize) -> bool {
        self.contains.as_deref().is_none_or(|it| question.contains(it))
            && self.matches.as_ref().is_none_or(|it| it.0.is_match(question))
            && self.times.is_none_or(|it| used < it)
    }
}

/// What is wrong with what is filled in, by the form.
pub(crate) fn unfit(form: &Value, content: &Value) -> Option<String> {
    let document = |it: &Value| Document::from_value(it).map_err(|it| it.to_string());
    let checked = document(form).and_then(|form| {
        let content = document(content)?;
        Schema::new(form.root()).check(content.root()).map_err(|it| it.to_string())
    });
    checked.err()
}

fn declined(why: &str) -> Said {
    let reply = Reply::Result(json!({ "action": "decline" }));
    Said { reply, why: format!("{why}, so it is declined") }
}

fn refused(code: i64, why: &str) -> Said {
    let reply = Reply::Refused { code, says: why.to_owned() };
    Said { reply, why: format!("{why}, so it is refused") }
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

fn model() -> String {
    "stockade-answers".to_owned()
}

fn stop_reason() -> String {
    "endTurn".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(message: &str) -> Value {
        json!({ "message": message, "requestedSchema": { "type": "object",
            "properties": { "colour": { "type": "string", "enum": ["blue", "red"] } },
            "required": ["colour"] } })
    }

    fn action(said: &Said) -> &str {
        let Reply::Result(it) = &said.reply else { return "refused" };
        it["action"].as_str().unwrap()
    }

    #[test]
    fn the_first_entry_that_is_for_a_question_answers_it() {
        let text = r#"
            [[elicitation]]
            when = { contains = "delete" }
            action = "decline"
            [[elicitation]]
            when = { matches = "(?i)colou?r", field = "colour", times = 1 }
            content = { colour = "blue" }
            [[elicitation]]
            when = { mode = "url", contains = "https://good.example/" }
            [[elicitation]]
            when = { contains = "colour" }
            action = "cancel"
        "#;
        let mut answers = Answers::parse(text).unwrap();
        for (params, expected) in [
            (form("Shall I delete it?"), "decline"),
            (form("Which Color?"), "accept"),
            (form("Which colour, again?"), "cancel"),
            (form("Which Color, again?"), "decline"),
            (
                json!({ "mode": "url", "message": "Sign in", "url": "https://good.example/a" }),
                "accept",
            ),
            (
                json!({ "mode": "url", "message": "Sign in", "url": "https://evil.example/" }),
                "decline",
            ),
        ] {
            assert_eq!(action(&answers.say(ELICITATION, &params)), expected, "{params}");
        }
    }

    #[test]
    fn what_does_not_fit_the_form_is_not_sent() {
        let text = r#"{ "elicitation": [{ "content": { "colour": "green" } }] }"#;
        let mut answers = Answers::parse(text).unwrap();
        let said = answers.say(ELICITATION, &form("Which colour?"));
        assert_eq!(action(&said), "decline");
        assert!(said.why.contains("/colour does not satisfy `enum`"), "{}", said.why);
    }

    #[test]
    fn a_model_writes_what_the_file_says_and_nothing_else() {
        let text = r#"
            [[sampling]]
            when = { contains = "secret" }
            refuse = true
            [[sampling]]
            when = { contains = "Summarise" }
            text = "Short."
        "#;
        let mut answers = Answers::parse(text).unwrap();
        let asked = |system: &str, text: &str| {
            json!({ "systemPrompt": system, "messages": [
                { "role": "user", "content": { "type": "text", "text": text } }] })
        };
        let mut said = |params| answers.say(SAMPLING, &params).reply;
        let Reply::Result(it) = said(asked("Summarise.", "a")) else { panic!("refused") };
        assert_eq!(it["content"]["text"], "Short.");
        assert!(matches!(said(asked("Summarise.", "my secret")), Reply::Refused { code: -1, .. }));
        assert!(matches!(said(asked("Translate.", "a")), Reply::Refused { code: -1, .. }));
    }

    #[test]
    fn a_file_that_says_what_has_no_meaning_is_not_used() {
        for (text, says) in [
            ("[[elicitation]]\nanswer = 1", "unknown field `answer`"),
            ("[[elicitation]]\nwhen = { matches = \"(\" }", "unclosed group"),
            ("[[elicitation]]\naction = \"yes\"", "unknown variant `yes`"),
            ("[[elicitation]]\naction = \"cancel\"\ncontent = {}", "does not accept"),
            ("[[sampling]]\nmodel = \"a\"", "not exactly one of"),
            ("{ \"roots\": [{ \"path\": \"/a\" }] }", "unknown field `path`"),
        ] {
            let error = Answers::parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
