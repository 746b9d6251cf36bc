//! The steps of a test, asked one after the other in one conversation.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use stockade_core::revision::Era;
use toml::Spanned;

use super::expect::{Came, Sort, Wrong, judge};
use super::file::{Outcome, Read, Step};
use super::heard::{Ear, Event, Heard};
use crate::cli::asked::{Asking, Seen, Spoken, failed};
use crate::client::answers::Answers;
use crate::client::offers::pages;
use crate::client::task::{follow, promised};
use crate::client::{Answer, Client, ClientError, Manner, Until, Way, converse};
use crate::failure::Failure;

/// A step that was played, or could not be any more.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) step: Spanned<Step>,
    /// What came of it; nothing, if the conversation was over before.
    pub(super) came: Option<Came>,
    pub(super) wrong: Vec<Wrong>,
}

/// Plays a file.
pub(super) async fn play(
    asking: &Asking,
    read: &Read,
    answers: Answers,
    spoken: Spoken,
    approves: bool,
) -> Result<Vec<Played>, Failure> {
    let heard = Heard::default();
    let mut ear = Ear::new(answers, &heard);
    let talk = async {
        let revision = spoken.with(&asking.guard, &asking.way).await?;
        let manner = Manner {
            revision,
            has_tasks: read.file.steps.iter().any(|it| it.as_ref().task),
            // The guard itself ends what takes too long, and says so.
            patience: Some(asking.guard.policy().limits.call_total() + Duration::from_secs(5)),
            approves,
            shows: asking.shows,
            declares: None,
        };
        converse(&asking.guard, &asking.way, manner, &mut ear, async |client| {
            let greeting = match client.era() {
                Era::Legacy => Some(client.begin().await?),
                Era::Modern => None,
            };
            if read.file.calls() {
                // A call and its result are held against what the server says of its tool.
                match pages(client, "tools/list", "tools").await {
                    Ok(_) | Err(ClientError::Refused { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            let mut table = Table { asking, heard: &heard, greeting, kept: BTreeMap::new() };
            let mut all = Vec::new();
            for step in &read.file.steps {
                all.push(table.put(client, step.as_ref(), all.len()).await);
                if all.last().is_some_and(|(came, _)| came.is_last) {
                    break;
                }
            }
            Ok(all)
        })
        .await
    };
    let talked = talk.await;
    asking.end()?;
    let came = talked.map_err(|it| failed(&asking.guard, &it))?;
    let left = heard.take_left();
    let mut came = came.into_iter();
    let beside = read.beside("");
    let steps = read.file.steps.iter().map(|step| {
        let Some((Ended { mut came, .. }, missing)) = came.next() else {
            return Played { step: step.clone(), came: None, wrong: Vec::new() };
        };
        if came.outcome == Outcome::Lost {
            came.why = left.clone().map_or(came.why, |it| it.trim_start_matches(": ").to_owned());
        }
        let inner = step.as_ref();
        let matchers = [&read.file.matchers, &inner.matchers];
        let wrong = judge(inner, &came, matchers, &beside).into_iter().chain(missing).collect();
        Played { step: step.clone(), came: Some(came), wrong }
    });
    Ok(steps.collect())
}

/// What a step came to, and whether there is nothing after it.
struct Ended {
    came: Came,
    is_last: bool,
}

/// What steps have in common.
struct Table<'a> {
    asking: &'a Asking,
    heard: &'a Heard,
    /// What the server has said of itself.
    greeting: Option<Value>,
    /// What was kept of answers.
    kept: BTreeMap<String, Value>,
}

impl Table<'_> {
    /// Asks, waits, and keeps what later steps want.
    async fn put(
        &mut self,
        client: &mut Client<'_>,
        step: &Step,
        number: usize,
    ) -> (Ended, Vec<Wrong>) {
        // What came before it is no matter of this step.
        let _before = self.asking.onlooker.take();
        let params = self.params(step, number);
        let mut events = Vec::new();
        let sent = Instant::now();
        let asked = self.ask(client, step, params, &mut events).await;
        let took_ms = u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX);
        let before = events.len();
        let listened = match (&asked, step.listen_ms) {
            // It was listened to in place of an answer.
            (Ok(None), _) | (Err(_), _) | (Ok(Some(_)), None) => Ok(()),
            (Ok(Some(_)), Some(ms)) => client.listen(until(step, ms), None).await.map(drop),
        };
        events.extend(self.heard.take());
        let (records, _) = self.asking.onlooker.take();
        let seen = Seen { records: &records, method: step.method().unwrap_or_default() };
        let is_over = asked.is_err() || listened.is_err();
        let (outcome, why, answer) = outcome(asked, seen);
        // A process does not come back; a remote server may be reached again.
        let is_gone = outcome == Outcome::Lost && matches!(self.asking.way, Way::Process(..));
        let is_last = is_over || is_gone;
        let came = Came { outcome, why, answer, events, before, records, took_ms };
        let wrong = self.keep(step, &came);
        (Ended { came, is_last }, wrong)
    }

    /// The answer; nothing, where it was only listened.
    async fn ask(
        &self,
        client: &mut Client<'_>,
        step: &Step,
        params: Map<String, Value>,
        events: &mut Vec<Event>,
    ) -> Result<Option<Answer>, ClientError> {
        let until = step.listen_ms.map(|ms| until(step, ms));
        let answer = match (step.method(), until) {
            (None, until) => {
                let until = until.unwrap_or(Until { time: Duration::ZERO, count: None });
                client.listen(until, None).await.map(|_| None)
            }
            (Some("initialize"), _) if self.greeting.is_some() => {
                Ok(self.greeting.clone().map(Answer::Result))
            }
            // It is not answered before it is cancelled.
            (Some(method @ "subscriptions/listen"), Some(until)) => {
                let id = client.start(method, Value::Object(params)).await?;
                match client.listen(until, Some(&id)).await? {
                    Some(answer) => Ok(Some(answer)),
                    None => client.cancel(&id).await.map(|()| None),
                }
            }
            (Some(method), _) => {
                let mut answer = client.complete(method, Value::Object(params)).await;
                if let Ok(Answer::Result(result)) = &answer
                    && step.task
                    && let Some(id) = promised(result, client.era()).map(str::to_owned)
                {
                    let total = self.asking.guard.policy().limits.call_total();
                    answer = follow(client, &id, total).await;
                }
                answer.map(Some)
            }
        };
        events.extend(self.heard.take());
        answer
    }

    fn params(&self, step: &Step, number: usize) -> Map<String, Value> {
        let mut params = step.params();
        if step.task {
            params.entry("task").or_insert_with(|| json!({}));
        }
        let meta = step.meta.as_ref().and_then(|it| it.object().ok());
        // Each has a token of its own, and the same each time.
        let token = ("progressToken".to_owned(), Value::from(format!("step-{}", number + 1)));
        let given = params.entry("_meta").or_insert_with(|| json!({}));
        if let Some(given) = given.as_object_mut() {
            for (name, value) in meta.into_iter().flatten().chain([token]) {
                given.entry(name).or_insert(value);
            }
        }
        params.into_iter().map(|(name, it)| (name, self.filled(it))).collect()
    }

    /// A value with what was kept in its places: a text that is nothing else is the value itself.
    fn filled(&self, value: Value) -> Value {
        match value {
            Value::String(text) => {
                let mark = |name: &str| format!("${{{name}}}");
                if let Some((_, it)) = self.kept.iter().find(|(name, _)| mark(name) == text) {
                    return it.clone();
                }
                let fill = |text: String, (name, it): (&String, &Value)| {
                    let words = it.as_str().map_or_else(|| it.to_string(), str::to_owned);
                    text.replace(&mark(name), &words)
                };
                self.kept.iter().fold(text, fill).into()
            }
            Value::Array(items) => items.into_iter().map(|it| self.filled(it)).collect(),
            Value::Object(members) => {
                members.into_iter().map(|(name, it)| (name, self.filled(it))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    /// Keeps what later steps want of it.
    fn keep(&mut self, step: &Step, came: &Came) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        for (name, query) in &step.save {
            match query.path().query(&came.answer).first() {
                Some(it) => drop(self.kept.insert(name.clone(), it.clone())),
                None => wrong.push(Wrong {
                    sort: Sort::Assertion,
                    severity: step.severity,
                    says: format!("{query} is not there, so there is no `{name}`"),
                    at: None,
                }),
            }
        }
        wrong
    }
}

fn until(step: &Step, ms: u64) -> Until {
    Until { time: Duration::from_millis(ms), count: step.count }
}

/// How a step has ended, why, and with what answer.
pub(super) fn outcome(
    asked: Result<Option<Answer>, ClientError>,
    seen: Seen<'_>,
) -> (Outcome, String, Value) {
    let answer = match asked {
        Ok(answer) => answer,
        Err(error @ ClientError::Silent(_)) => {
            return (Outcome::Timeout, error.to_string(), Value::Null);
        }
        Err(error @ (ClientError::Ended(_) | ClientError::Start(_))) => {
            return (Outcome::Lost, error.to_string(), Value::Null);
        }
        Err(error @ (ClientError::Refused { .. } | ClientError::Wrong(_))) => {
            return (Outcome::Violation, error.to_string(), Value::Null);
        }
    };
    let body = match &answer {
        Some(Answer::Result(it) | Answer::Error(it)) => it.clone(),
        None => Value::Null,
    };
    let by_record = [
        (seen.overdue(), Outcome::Timeout),
        (seen.lost(), Outcome::Lost),
        (seen.broken(), Outcome::Violation),
        (seen.denied(), Outcome::Denied),
    ];
    for (record, outcome) in by_record {
        let Some(record) = record else { continue };
        let rule = record.rule.as_deref().map(|it| format!(" ({it})")).unwrap_or_default();
        return (outcome, format!("{}{rule}", record.says), body);
    }
    match answer {
        Some(Answer::Error(it)) => {
            let code = it.get("code").and_then(Value::as_i64).unwrap_or_default();
            let says = it.get("message").and_then(Value::as_str).unwrap_or_default();
            (Outcome::Error, format!("{code} {says}"), body)
        }
        Some(Answer::Result(it)) if it.get("isError") == Some(&Value::Bool(true)) => {
            let text = it.pointer("/content/0/text").and_then(Value::as_str).unwrap_or_default();
            (Outcome::ToolError, text.to_owned(), body)
        }
        Some(Answer::Result(it)) if it.get("resultType") == Some(&json!("input_required")) => {
            (Outcome::Question, "it wants an answer first".to_owned(), body)
        }
        Some(Answer::Result(_)) | None => (Outcome::Result, String::new(), body),
    }
}
