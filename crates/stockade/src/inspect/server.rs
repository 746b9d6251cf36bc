//! One server of the console: what it is, and what has become of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use stockade_core::revision::{Era, Revision};
use tokio::sync::mpsc;

use super::Planned;
use super::events::Events;
use super::line::{Line, Order};
use super::witness::{Shared, Witness, now};
use crate::client::answers::{Answers, Said};

/// A server.
pub(super) struct Server {
    number: u16,
    planned: Arc<dyn Planned>,
    witness: Arc<Witness>,
    /// What has to be said to have it started: it names what was shown.
    confirm: String,
    now: Mutex<Now>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Planned,
    Starting,
    Ready,
    Ended,
    Failed,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Ended => "ended",
            Self::Failed => "failed",
        }
    }
}

#[derive(Default)]
struct Now {
    state: State,
    why: Option<String>,
    held: Option<String>,
    revision: Option<Revision>,
    begun: Value,
    declared: Value,
    started_at: Option<f64>,
    ready_ms: Option<f64>,
    running: usize,
    line: Option<Line>,
    answers: Answers,
    /// The same as it was said, and the roots.
    said: Map<String, Value>,
    roots: Value,
    /// What came of listing each sort of thing, and when.
    lists: Option<(f64, Value)>,
}

impl Server {
    pub(super) fn new(
        number: u16,
        planned: Arc<dyn Planned>,
        events: &Arc<Events>,
        history: &Shared,
    ) -> Self {
        let witness = Arc::new(Witness::new(number, events, history));
        let confirm = blake3::hash(planned.about().to_string().as_bytes()).to_hex().to_string();
        let (said, roots) = planned.answers();
        let server = Self { number, planned, witness, confirm, now: Mutex::default() };
        // What was found was looked at when it was found.
        let _read = server.answers_by(Some(said), Some(roots));
        server
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    pub(super) fn name(&self) -> String {
        format!("s{}", self.number)
    }

    pub(super) fn planned(&self) -> &Arc<dyn Planned> {
        &self.planned
    }

    pub(super) fn witness(&self) -> &Arc<Witness> {
        &self.witness
    }

    /// Whether this names what was shown.
    pub(super) fn is_confirmed(&self, confirm: &str) -> bool {
        self.confirm == confirm
    }

    /// All of it, for the page.
    pub(super) fn told(&self, questions: usize) -> Value {
        let mut told = self.planned.about();
        let now = self.now();
        let more = [
            ("id", self.name().into()),
            ("confirm", self.confirm.as_str().into()),
            ("state", now.state.name().into()),
            ("held", json!(now.held)),
            ("era", json!(now.revision.map(era))),
            ("revision", json!(now.revision.map(Revision::name))),
            ("begun", now.begun.clone()),
            ("declared", now.declared.clone()),
            ("roots", now.roots.clone()),
            ("answers", Value::Object(now.said.clone())),
            ("why", json!(now.why)),
            ("startedAt", json!(now.started_at)),
            ("readyMs", json!(now.ready_ms)),
            ("running", now.running.into()),
            ("questions", questions.into()),
        ];
        if let Some(told) = told.as_object_mut() {
            let more = more.into_iter().filter(|(_, it)| !it.is_null());
            told.extend(more.map(|(name, it)| (name.to_owned(), it)));
        }
        told
    }

    /// It is being started, unless it is there: the way to it.
    pub(super) fn starts(&self) -> Option<(Line, mpsc::UnboundedReceiver<Order>)> {
        let mut it = self.now();
        if matches!(it.state, State::Starting | State::Ready) {
            return None;
        }
        let (line, orders) = Line::new();
        it.state = State::Starting;
        it.started_at = Some(now());
        it.line = Some(line.clone());
        (it.why, it.held, it.revision, it.ready_ms) = (None, None, None, None);
        (it.begun, it.running, it.lists) = (Value::Null, 0, None);
        drop(it);
        self.witness.begins();
        Some((line, orders))
    }

    /// It speaks.
    pub(super) fn ready(&self, revision: Revision, begun: Value, declared: Value) {
        let mut it = self.now();
        it.state = State::Ready;
        it.ready_ms = it.started_at.map(|began| ((now() - began) * 1000.0).round() / 1000.0);
        (it.revision, it.begun, it.declared) = (Some(revision), begun, declared);
    }

    /// What holds it.
    pub(super) fn is_held(&self, held: &str) {
        self.now().held = Some(held.to_owned());
    }

    /// So many requests are under way.
    pub(super) fn busy(&self, running: usize) {
        self.now().running = running;
    }

    /// It is over, and how.
    pub(super) fn over(&self, how: Result<String, String>) {
        let mut it = self.now();
        let was_there = it.state == State::Ready;
        it.state = if was_there || how.is_ok() { State::Ended } else { State::Failed };
        (it.why, it.line, it.running) = (Some(how.unwrap_or_else(|it| it)), None, 0);
    }

    /// Has it end.
    pub(super) fn stop(&self) {
        if let Some(line) = &self.now().line {
            line.tell(Order::Stop);
        }
    }

    /// The way to it, while it speaks.
    pub(super) fn line(&self) -> Option<Line> {
        let it = self.now();
        it.line.clone().filter(|_| it.state == State::Ready)
    }

    pub(super) fn begun(&self) -> Value {
        self.now().begun.clone()
    }

    pub(super) fn revision(&self) -> Option<Revision> {
        self.now().revision
    }

    /// What is answered without a person, from now on.
    pub(super) fn answers_by(
        &self,
        answers: Option<Map<String, Value>>,
        roots: Option<Value>,
    ) -> Result<(), String> {
        let mut it = self.now();
        let said = answers.unwrap_or_else(|| it.said.clone());
        let roots = roots.unwrap_or_else(|| it.roots.clone());
        let mut whole = said.clone();
        if !roots.is_null() {
            whole.insert("roots".to_owned(), roots.clone());
        }
        it.answers = Answers::parse(&Value::Object(whole).to_string())?;
        (it.said, it.roots) = (said, roots);
        Ok(())
    }

    /// What is said to a question without a person.
    pub(super) fn by_itself(&self, method: &str, params: &Value) -> Option<Said> {
        self.now().answers.find(method, params)
    }

    pub(super) fn lists(&self) -> Option<(f64, Value)> {
        self.now().lists.clone()
    }

    pub(super) fn listed(&self, lists: Value) {
        self.now().lists = Some((now(), lists));
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn era(revision: Revision) -> &'static str {
    match revision.era() {
        Era::Legacy => "legacy",
        Era::Modern => "modern",
    }
}
