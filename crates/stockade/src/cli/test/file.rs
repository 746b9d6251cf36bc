//! A file of a test, as a user writes it and as it is recorded: a server, what it is asked, and what is
//! to come of that. Whether it does is in [`super::expect`].
//!
//! It is TOML, as the policy, its cases and files of answers are: it has comments, texts of several
//! lines that need no escapes, so that a snapshot in it is read as what it is, and it can be changed in
//! place without a word of its author being lost.

mod value;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use toml::Spanned;

pub(super) use self::value::{Era, Json, Matcher, Matchers, Pattern, Query};
use crate::client::answers::Answers;
use crate::failure::{Exit, Failure};

/// The longest file, in bytes. What is recorded has answers in it.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The server's command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) command: Vec<String>,
    /// The address of a remote server, in place of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    /// The name of a server of the policy, in place of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<String>,
    /// The policy, from where this file is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<PathBuf>,
    /// Roots, from where this file is, with `:rw` behind those that may be written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) roots: Vec<String>,
    /// What is spoken: `legacy`, `modern`, `auto`, or a revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) era: Option<Era>,
    /// What is said to what the server asks: a table as in a file of `--answers`, or the name of one,
    /// from where this file is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answers: Option<toml::Value>,
    /// What is another each time, in every snapshot.
    #[serde(default, skip_serializing_if = "Matchers::is_empty")]
    pub(super) matchers: Matchers,
    /// What is asked, in order, in one conversation.
    pub(super) steps: Vec<Spanned<Step>>,
}

/// One request, or some time in which it is listened to what the server says.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// What it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// The method, where it is none of the three below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<String>,
    /// The tool that is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tool: Option<String>,
    /// The prompt that is got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prompt: Option<String>,
    /// The resource that is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<String>,
    /// Whether it is to be a task, followed to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) task: bool,
    /// How long it is listened to what the server says, after the answer if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) listen_ms: Option<u64>,
    /// No longer than until so many notifications have come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<usize>,
    /// How it is to end.
    #[serde(default, skip_serializing_if = "Outcome::is_result")]
    pub(super) outcome: Outcome,
    /// How bad it is if it is not as expected.
    #[serde(default, skip_serializing_if = "Severity::is_error")]
    pub(super) severity: Severity,
    /// How long it may take. That it takes longer is a warning: a machine may be busy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_ms: Option<u64>,
    /// The rules that find something in it or in its answer: these, and no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<Vec<String>>,
    /// Whatever is not in `order` must not come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) no_other: bool,
    /// The answer as it was, in JSON. An empty text is filled in by `--update`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) snapshot: Option<String>,
    /// What comes, in this order: notifications and questions by their methods, and `answer`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) order: Vec<Coming>,
    /// Its parameters: a table, or a text in JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) params: Option<Json>,
    /// The arguments of the tool or prompt: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<Json>,
    /// What is in its `_meta`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) meta: Option<Json>,
    /// Values of the answer that later steps use as `${name}`, by where they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) save: BTreeMap<String, Query>,
    /// What is another each time in this snapshot.
    #[serde(default, skip_serializing_if = "Matchers::is_empty")]
    pub(super) matchers: Matchers,
    /// What is to be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) expect: Vec<Spanned<Expect>>,
}

/// What is to be in a place. Everything that it says must hold, of each value that the path finds, and
/// it must find one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// In what: the answer, or what came beside it.
    #[serde(default, rename = "in", skip_serializing_if = "Within::is_answer")]
    pub(super) within: Within,
    /// Where: a JSONPath (RFC 9535). Without, the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<Query>,
    /// It is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) equals: Option<Json>,
    /// It has this in it: a text, or a list a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) contains: Option<Json>,
    /// It is a text in which this regular expression is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) matches: Option<Pattern>,
    /// It is a number, and not less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at_least: Option<f64>,
    /// It is a number, and not more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at_most: Option<f64>,
    /// It matches this JSON Schema: a table, a text in JSON, or the name of a file, from where this one
    /// is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<Json>,
    /// The path finds so many values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<usize>,
    /// The path finds a value, or finds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) exists: Option<bool>,
    /// How bad it is if that is not so. Without, as of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) severity: Option<Severity>,
}

/// Something that comes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Coming {
    /// By its method; `answer` is the answer.
    Method(String),
    /// With something in its parameters.
    With(Box<With>),
}

/// A notification or a question that has something in its parameters.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct With {
    pub(super) method: String,
    pub(super) path: Query,
    pub(super) equals: Json,
}

/// How a step ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// With a result.
    #[default]
    Result,
    /// With a result of a tool that says it has failed.
    ToolError,
    /// With an error.
    Error,
    /// The policy denies it.
    Denied,
    /// There is no answer in time.
    Timeout,
    /// There is none, since the conversation is over.
    Lost,
    /// What is answered breaks the protocol.
    Violation,
    /// The server wants an answer first that nobody has.
    Question,
}

/// How bad something is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Deserialize,
    Serialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// It is told.
    Warning,
    /// It fails the test.
    #[default]
    Error,
}

/// Where a path begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Within {
    /// At the result, or the error.
    #[default]
    Answer,
    /// At a list of the notifications that came.
    Notifications,
    /// At a list of what the server has asked, and what was said to it.
    Questions,
}

impl Outcome {
    fn is_result(&self) -> bool {
        *self == Self::Result
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::ToolError => "tool_error",
            Self::Error => "error",
            Self::Denied => "denied",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
            Self::Violation => "violation",
            Self::Question => "question",
        }
    }
}

impl Severity {
    fn is_error(&self) -> bool {
        *self == Self::Error
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Within {
    fn is_answer(&self) -> bool {
        *self == Self::Answer
    }
}

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) file: File,
    pub(super) answers: Answers,
}

impl Read {
    /// Reads a file, and looks whether all of it has a meaning.
    pub(super) fn new(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let cannot = |it: std::io::Error| {
            Failure::new(Exit::Usage, format!("cannot read the test `{shown}`"))
                .from(it)
                .help("name a file of a test; `stockade test --help` shows one")
        };
        let about = fs::metadata(path).map_err(cannot)?;
        if about.len() > FILE_BYTES_MAX {
            let says = format!("the test `{shown}` is longer than {FILE_BYTES_MAX} bytes");
            return Err(Failure::new(Exit::Usage, says));
        }
        let text = fs::read_to_string(path).map_err(cannot)?;
        let wrong = |says: &str| {
            let says = says.trim_end();
            Failure::new(Exit::Usage, format!("the test `{shown}` cannot be used: {says}"))
                .help("docs/test.md says what there may be in it")
        };
        let file: File = toml::from_str(&text).map_err(|it| wrong(&it.to_string()))?;
        let beside = path.parent().unwrap_or(Path::new(""));
        file.makes_sense(&text).map_err(|it| wrong(&it))?;
        let answers = file.answers(beside).map_err(|it| wrong(&it))?;
        Ok(Self { path: path.to_owned(), text, file, answers })
    }

    /// A file from where this one is.
    pub(super) fn beside(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(name)
    }
}

/// The line of a place, from 1.
pub(super) fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|it| *it == b'\n').count()
}

impl File {
    fn answers(&self, beside: &Path) -> Result<Answers, String> {
        match &self.answers {
            None => Ok(Answers::default()),
            Some(toml::Value::String(name)) => {
                Answers::read(&beside.join(name)).map_err(|it| it.to_string())
            }
            Some(table) => {
                let answers = Answers::deserialize(table.clone());
                answers.map_err(|it| format!("`answers`: {it}"))?.checked()
            }
        }
    }

    fn makes_sense(&self, text: &str) -> Result<(), String> {
        let targets = [!self.command.is_empty(), self.url.is_some(), self.server.is_some()];
        if targets.iter().filter(|it| **it).count() > 1 {
            return Err("it names more than one of `command`, `url` and `server`".to_owned());
        }
        if self.steps.is_empty() {
            return Err("there are no `[[steps]]`".to_owned());
        }
        for step in &self.steps {
            let at = line(text, step.span().start);
            step.as_ref().makes_sense().map_err(|it| format!("step in line {at}: {it}"))?;
        }
        Ok(())
    }

    /// Whether a tool is called, so that its definition has to be known.
    pub(super) fn calls(&self) -> bool {
        self.steps.iter().any(|it| it.as_ref().method() == Some("tools/call"))
    }
}

impl Step {
    fn makes_sense(&self) -> Result<(), String> {
        let about = [&self.method, &self.tool, &self.prompt, &self.resource];
        match about.iter().filter(|it| it.is_some()).count() {
            0 if self.listen_ms.is_none() => {
                return Err(
                    "nothing is asked: write `tool`, `prompt`, `resource` or `method`, or \
                            `listen_ms` to hear what comes"
                        .to_owned(),
                );
            }
            0 | 1 => {}
            _ => return Err("more than one of `method`, `tool`, `prompt`, `resource`".to_owned()),
        }
        if self.arguments.is_some() && self.tool.is_none() && self.prompt.is_none() {
            return Err("`arguments` are for a `tool` or a `prompt`".to_owned());
        }
        if self.params.is_some() && self.method.is_none() {
            return Err("`params` are for a `method`".to_owned());
        }
        if self.method.is_none() && self.method().is_none() && self.snapshot.is_some() {
            return Err("a `snapshot` is of an answer, and nothing is asked".to_owned());
        }
        if self.no_other && self.order.is_empty() {
            return Err("`no_other` goes with `order`".to_owned());
        }
        for given in [&self.params, &self.arguments, &self.meta].into_iter().flatten() {
            given.object()?;
        }
        for expect in &self.expect {
            expect.as_ref().makes_sense()?;
        }
        Ok(())
    }

    /// The method that is asked, if one is.
    pub(super) fn method(&self) -> Option<&str> {
        match (&self.method, &self.tool, &self.prompt, &self.resource) {
            (Some(method), ..) => Some(method),
            (_, Some(_), ..) => Some("tools/call"),
            (_, _, Some(_), _) => Some("prompts/get"),
            (.., Some(_)) => Some("resources/read"),
            (None, None, None, None) => None,
        }
    }

    /// Its parameters, without `_meta`.
    pub(super) fn params(&self) -> Map<String, Value> {
        // It was looked at when the file was read.
        let object = |it: &Option<Json>| it.as_ref().and_then(|it| it.object().ok());
        let mut params = object(&self.params).unwrap_or_default();
        if let Some(name) = self.tool.as_ref().or(self.prompt.as_ref()) {
            params.insert("name".to_owned(), name.as_str().into());
            let arguments = object(&self.arguments).unwrap_or_default();
            params.insert("arguments".to_owned(), json!(arguments));
        }
        params.extend(self.resource.iter().map(|it| ("uri".to_owned(), Value::from(it.as_str()))));
        params
    }

    /// What it goes by: its name, or what is asked.
    pub(super) fn called(&self) -> String {
        let about = [&self.tool, &self.prompt, &self.resource].into_iter().flatten().next();
        match (&self.name, self.method(), about) {
            (Some(name), ..) => name.clone(),
            (None, Some(method), Some(about)) => format!("{method} {about}"),
            (None, Some(method), None) => method.to_owned(),
            (None, None, _) => "listens".to_owned(),
        }
    }
}

impl Expect {
    fn makes_sense(&self) -> Result<(), String> {
        let Self { equals, contains, matches, at_least, at_most, schema, count, exists, .. } = self;
        let values = equals.is_some()
            || contains.is_some()
            || matches.is_some()
            || at_least.is_some()
            || at_most.is_some()
            || schema.is_some();
        if values && *exists == Some(false) {
            return Err("what does not exist cannot be anything else".to_owned());
        }
        match values || count.is_some() || exists.is_some() {
            true => Ok(()),
            false => Err("an `expect` that expects nothing".to_owned()),
        }
    }
}
