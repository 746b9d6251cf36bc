//! Whether a step came to what it should: every expectation of it, held against what came.

use std::fs;
use std::path::Path;

use serde_json::Value;
use stockade_core::check::{clipped, redacted_value, visible};
use stockade_core::json::Document;
use stockade_core::record::Record;
use stockade_core::schema::Schema;
use toml::Spanned;

use super::file::{Coming, Expect, Json, Outcome, Query, Severity, Step, Within};
use super::heard::Event;
use super::snapshot::{self, Both};
use crate::cli::asked::Seen;

/// The longest value that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// What came of a step.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub(super) outcome: Outcome,
    /// Why it ended so, where its answer does not say it.
    pub(super) why: String,
    /// The result, or the error. Nothing, where nothing was asked or answered.
    pub(super) answer: Value,
    /// What came before the answer, and how much of it.
    pub(super) events: Vec<Event>,
    pub(super) before: usize,
    /// What was written down of it.
    pub(super) records: Vec<Record>,
    pub(super) took_ms: u64,
}

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wrong {
    /// What sort of expectation it was.
    pub(super) sort: Sort,
    pub(super) severity: Severity,
    /// In words, perhaps in several lines.
    pub(super) says: String,
    /// Where in the file it stands, in bytes; of the step itself, nothing.
    pub(super) at: Option<usize>,
}

/// A sort of expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Outcome,
    OutputSchema,
    Assertion,
    Snapshot,
    Order,
    Question,
    Found,
    Time,
}

impl Sort {
    /// Every sort.
    pub(super) const ALL: [Self; 8] = [
        Self::Outcome,
        Self::OutputSchema,
        Self::Assertion,
        Self::Snapshot,
        Self::Order,
        Self::Question,
        Self::Found,
        Self::Time,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::OutputSchema => "output-schema",
            Self::Assertion => "assertion",
            Self::Snapshot => "snapshot",
            Self::Order => "order",
            Self::Question => "question",
            Self::Found => "found",
            Self::Time => "time",
        }
    }

    /// What it is about, in a sentence.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Outcome => "A step ends as it should: with a result, if nothing else is said.",
            Self::OutputSchema => "A result matches the `outputSchema` of its tool.",
            Self::Assertion => "What a step expects in a place is there.",
            Self::Snapshot => "An answer is as it was.",
            Self::Order => "What comes, comes in the order that is said.",
            Self::Question => "What the server asks has an answer in the test.",
            Self::Found => "The rules find what is said, and nothing else.",
            Self::Time => "A step takes no longer than it may.",
        }
    }
}

/// What of a step is not as expected. `beside` is where its file is.
pub(super) fn judge(step: &Step, came: &Came, matchers: Both<'_>, beside: &Path) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut say = |sort, severity, says: String, at| {
        wrong.push(Wrong { sort, severity, says, at });
    };
    let of_step = step.severity;
    if came.outcome != step.outcome {
        let why = if came.why.is_empty() { String::new() } else { format!(": {}", came.why) };
        let (is, wanted) = (came.outcome.name(), step.outcome.name());
        say(Sort::Outcome, of_step, format!("the outcome is {is}, and not {wanted}{why}"), None);
    }
    let method = step.method().unwrap_or_default();
    let seen = Seen { records: &came.records, method };
    if seen.is_of_another_schema() {
        let says = "the result does not match the tool's `outputSchema`";
        say(Sort::OutputSchema, of_step, says.to_owned(), None);
    }
    for event in &came.events {
        if let Event::Asked { method, unknown: Some(why), .. } = event {
            let says = format!("the server asks `{}`: {why}", visible(method));
            say(Sort::Question, of_step, says, None);
        }
    }
    for expect in &step.expect {
        let (at, expect) = (expect.span().start, expect.as_ref());
        let severity = expect.severity.unwrap_or(of_step);
        for says in expected(expect, came, beside) {
            say(Sort::Assertion, severity, says, Some(at));
        }
    }
    if let Err(says) = in_order(step, came) {
        say(Sort::Order, of_step, says, None);
    }
    if let Some(rules) = &step.found {
        let mut wanted: Vec<&str> = rules.iter().map(String::as_str).collect();
        let mut found: Vec<&str> = seen.findings().map(|it| it.rule).collect();
        for list in [&mut wanted, &mut found] {
            list.sort_unstable();
            list.dedup();
        }
        if wanted != found {
            let in_words = |it: &[&str]| match it {
                [] => "nothing".to_owned(),
                some => some.join(", "),
            };
            let says = format!("rules find {}, and not {}", in_words(&found), in_words(&wanted));
            say(Sort::Found, of_step, says, None);
        }
    }
    if let Some(snapshot) = &step.snapshot
        && came.outcome == step.outcome
    {
        let (taken, unfit) = snapshot::taken(&came.answer, matchers);
        let same = match snapshot.trim() {
            "" => Err("there is no snapshot yet: `--update` writes it".to_owned()),
            was => snapshot::differs(was, &taken, matchers),
        };
        let differs = same.err().filter(|_| unfit.is_empty());
        for says in unfit.into_iter().chain(differs) {
            say(Sort::Snapshot, of_step, says, None);
        }
    }
    if let Some(max) = step.max_ms
        && came.took_ms > max
    {
        // How long it took is another each time, and is told where times are.
        say(Sort::Time, Severity::Warning, format!("it took longer than {max} ms"), None);
    }
    wrong
}

/// What of an expectation does not hold.
fn expected(expect: &Expect, came: &Came, beside: &Path) -> Vec<String> {
    let listed = |is_it: fn(&Event) -> bool| {
        came.events.iter().filter(|it| is_it(it)).map(Event::value).collect::<Value>()
    };
    let root = match expect.within {
        Within::Answer => came.answer.clone(),
        Within::Notifications => listed(|it| matches!(it, Event::Told { .. })),
        Within::Questions => listed(|it| matches!(it, Event::Asked { .. })),
    };
    let place = |it: &str| match expect.within {
        Within::Answer => it.to_owned(),
        Within::Notifications => format!("{it} of the notifications"),
        Within::Questions => format!("{it} of the questions"),
    };
    let found: Vec<(String, &Value)> = match &expect.path {
        None => vec![("$".to_owned(), &root)],
        Some(query) => {
            let located = query.path().query_located(&root);
            located.iter().map(|it| (it.location().to_string(), it.node())).collect()
        }
    };
    let asked = expect.path.as_ref().map_or_else(|| "$".to_owned(), Query::to_string);
    let mut wrong = Vec::new();
    match (expect.count, expect.exists) {
        (Some(count), _) if count != found.len() => {
            wrong.push(format!("{} finds {} values, and not {count}", place(&asked), found.len()));
        }
        (_, Some(false)) if !found.is_empty() => {
            wrong.push(format!("{} is there, and should not be", place(&asked)));
        }
        (None, None | Some(true)) if found.is_empty() => {
            wrong.push(format!("{} is not there", place(&asked)));
        }
        (Some(_) | None, Some(_) | None) => {}
    }
    for (path, value) in &found {
        let each = each(expect, value, beside);
        wrong.extend(each.into_iter().map(|says| format!("{} {says}", place(path))));
    }
    wrong
}

/// What of it does not hold of one value.
fn each(expect: &Expect, value: &Value, beside: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    let is = shown(value);
    if let Some(Json(wanted)) = &expect.equals
        && !same(wanted, value)
    {
        wrong.push(format!("is {is}, and not {}", shown(wanted)));
    }
    if let Some(Json(wanted)) = &expect.contains {
        let has = match (value, wanted) {
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            (Value::Array(items), wanted) => items.iter().any(|it| same(wanted, it)),
            _ => false,
        };
        if !has {
            wrong.push(format!("is {is}, which does not contain {}", shown(wanted)));
        }
    }
    if let Some(pattern) = &expect.matches
        && !value.as_str().is_some_and(|it| pattern.0.is_match(it))
    {
        wrong.push(format!("is {is}, which does not match /{}/", pattern.0.as_str()));
    }
    let number = value.as_f64();
    if let Some(least) = expect.at_least
        && number.is_none_or(|it| it < least)
    {
        wrong.push(format!("is {is}, and not at least {least}"));
    }
    if let Some(most) = expect.at_most
        && number.is_none_or(|it| it > most)
    {
        wrong.push(format!("is {is}, and not at most {most}"));
    }
    if let Some(schema) = &expect.schema
        && let Err(says) = by_schema(schema, value, beside)
    {
        wrong.push(says);
    }
    wrong
}

fn by_schema(schema: &Json, value: &Value, beside: &Path) -> Result<(), String> {
    let schema = match &schema.0 {
        Value::String(text) if text.trim_start().starts_with('{') => serde_json::from_str(text)
            .map_err(|it| format!("has a schema that is no JSON: {it}"))?,
        Value::String(name) => {
            let text = fs::read_to_string(beside.join(name));
            let text = text.map_err(|it| format!("has a schema that cannot be read: {it}"))?;
            serde_json::from_str(&text)
                .map_err(|it| format!("has a schema that is no JSON: {it}"))?
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            schema.0.clone()
        }
    };
    let document = |it: &Value| Document::from_value(it).map_err(|it| it.to_string());
    let (schema, value) = (document(&schema)?, document(value)?);
    let checked = Schema::new(schema.root()).check(value.root());
    checked.map_err(|it| format!("does not match its schema: {it}"))
}

/// Whether what comes has the order that is said.
fn in_order(step: &Step, came: &Came) -> Result<(), String> {
    if step.order.is_empty() {
        return Ok(());
    }
    // The answer is in its place among them, where it is asked for.
    let (before, after) = came.events.split_at_checked(came.before).unwrap_or((&came.events, &[]));
    let is_answer = |it: &Coming| matches!(it, Coming::Method(it) if it == "answer");
    let answer = step.order.iter().any(is_answer).then_some(None);
    let all: Vec<Option<&Event>> =
        before.iter().map(Some).chain(answer).chain(after.iter().map(Some)).collect();
    let called = |it: &Option<&Event>| it.map_or("answer", Event::method).to_owned();
    let is_it = |coming: &Coming, it: &Option<&Event>| match (coming, it) {
        (Coming::Method(method), it) => *method == called(it),
        (Coming::With(_), None) => false,
        (Coming::With(with), Some(event)) => {
            with.method == event.method()
                && with.path.path().query(event.params()).iter().any(|it| same(&with.equals.0, it))
        }
    };
    let mut rest = all.iter();
    for coming in &step.order {
        let next = match step.no_other {
            true => rest.next().filter(|it| is_it(coming, it)),
            false => rest.find(|it| is_it(coming, it)),
        };
        if next.is_none() {
            let wanted: Vec<String> = step.order.iter().map(in_words).collect();
            let came: Vec<String> = all.iter().map(|it| visible(&called(it))).collect();
            return Err(format!(
                "what comes is {}, and not {}",
                came.join(", "),
                wanted.join(", ")
            ));
        }
    }
    match rest.next() {
        Some(it) if step.no_other => Err(format!("{} comes as well", visible(&called(it)))),
        Some(_) | None => Ok(()),
    }
}

fn in_words(coming: &Coming) -> String {
    match coming {
        Coming::Method(method) => method.clone(),
        Coming::With(it) => format!("{} with {} = {}", it.method, it.path, shown(&it.equals.0)),
    }
}

/// Whether two values are the same. A number is, however it is written.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64()
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// A value for a person: without secrets, and not longer than a line or two.
pub(super) fn shown(value: &Value) -> String {
    visible(&clipped(&redacted_value(value).to_string(), SHOWN_CHARS_MAX))
}

/// Where the step stands, or one of its expectations, in bytes.
pub(super) fn place(step: &Spanned<Step>, wrong: &Wrong) -> usize {
    wrong.at.unwrap_or(step.span().start)
}
