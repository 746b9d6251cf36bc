//! The roots of the client: the guard asks for them itself, and whoever carries the conversation
//! says what becomes of them. And a server in the place of another, since what holds a process
//! cannot be widened: it is greeted as the first one was, and must answer the same.

use serde_json::{Value, json};

use super::Effect;
use super::turn::Turn;
use super::waiting::Waiting;
use crate::json::Json;
use crate::judge::Cleared;
use crate::message::{Id, Kind, Message, Side};
use crate::record::{self, Status};
use crate::revision::Capability;
use crate::root::Admission;

/// What the guard's own requests are called. A server may not use such a name: the answer of the
/// client would be taken for that to the guard, or the other way round.
const OWN_IDS: &str = "stockade:";

/// How long a client may take to say its roots. Its requests wait meanwhile, or they would be held
/// against a list that is about to change.
const ANSWER_MS: u64 = 2000;

/// The most roots that are read. Each becomes a mount, and is compared with every argument.
const ROOTS_MAX: usize = 64;

/// The longest URI of a root, in bytes.
const URI_BYTES_MAX: usize = 4096;

/// What a client says when its roots are others now.
pub const CHANGED: &str = "notifications/roots/list_changed";

/// What is known of a client's roots, and of how its session began.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// Whoever carries the conversation does something about them.
    pub(super) heeded: bool,
    /// Those that count, beside the policy's.
    pub(super) granted: Vec<String>,
    /// What the client was asked and has not answered.
    question: Option<(Id, Waiting)>,
    /// The list has changed while the client was asked for it.
    again: bool,
    /// The client answers nothing more, so it is asked nothing.
    silent: bool,
    asked: u64,
    /// What it has said last.
    said: Option<Vec<String>>,
    /// What the policy had admitted then.
    admitted: Vec<Admission>,
    /// How often a server was told them.
    pub(super) told: u64,
    greeting: Greeting,
    /// The request that greets another server.
    beginning: Option<Id>,
}

/// How a session began, for a server that takes the place of another.
#[derive(Debug, Default)]
struct Greeting {
    initialize: Option<Cleared>,
    initialized: Option<Cleared>,
    /// What the server has said of itself.
    answer: Value,
}

impl Roots {
    /// Whether a request is to wait, since the roots are about to change.
    pub(super) fn are_open(&self) -> bool {
        self.question.is_some()
    }
}

impl Turn<'_> {
    /// What the conversation may be about.
    pub(super) fn roots(&self) -> std::borrow::Cow<'_, [String]> {
        let (own, granted) = (&self.policy.roots, &self.session.roots.granted);
        if granted.is_empty() {
            return own.into();
        }
        own.iter().chain(granted).cloned().collect::<Vec<_>>().into()
    }

    /// Whether a server that asks for the roots is answered by the guard.
    pub(super) fn answers_roots(&self) -> bool {
        !self.policy.roots.is_empty() || self.roots_count()
    }

    /// Whether roots of this client can become some.
    fn roots_count(&self) -> bool {
        let roots = &self.session.roots;
        let can = self.session.client.can.has(Capability::Roots);
        roots.heeded && can && !self.policy.client_roots.is_empty()
    }

    /// The roots as `roots/list` has them. Only those that are directories: "This MUST be a file://
    /// URI" (2025-11-25, "Roots").
    pub(super) fn roots_listed(&self) -> Value {
        let roots = self.roots();
        let listed: Vec<_> = roots.iter().filter_map(|it| super::request::root(it)).collect();
        json!(listed)
    }

    /// Whether this is the guard's business: that the list of the client has changed.
    pub(super) fn heeds(&mut self, from: Side, method: &str) -> bool {
        if from == Side::Server || method != CHANGED || !self.roots_count() {
            return false;
        }
        if self.session.roots.greeting.initialized.is_some() {
            self.ask_for_roots();
        }
        true
    }

    /// Remembers what has begun the session, for another server.
    pub(super) fn greets(&mut self, method: &str, cleared: &Cleared) {
        if !self.session.roots.heeded {
            return;
        }
        let greeting = &mut self.session.roots.greeting;
        match method {
            "initialize" => greeting.initialize = Some(cleared.clone()),
            "notifications/initialized" if greeting.initialized.is_none() => {
                greeting.initialized = Some(cleared.clone());
                self.session.roots.admitted.clone_from(&self.policy.client_roots);
                if self.roots_count() {
                    self.ask_for_roots();
                }
            }
            _ => (),
        }
    }

    /// Remembers what the server has said of itself, as it said it.
    pub(super) fn greeted(&mut self, answer: &Message) {
        if self.session.roots.heeded {
            self.session.roots.greeting.answer = of_itself(answer);
        }
    }

    fn ask_for_roots(&mut self) {
        let roots = &mut self.session.roots;
        if roots.silent {
            return;
        }
        if roots.question.is_some() {
            roots.again = true;
            return;
        }
        roots.asked += 1;
        roots.again = false;
        let id = Id::Text(format!("{OWN_IDS}roots:{}", roots.asked));
        let ask = json!({ "jsonrpc": "2.0", "id": id.to_value(), "method": "roots/list" });
        let Ok(ask) = Cleared::own(Side::Server, &ask) else { return };
        let Ok(waiting) = self.wait(ask.message(), "roots/list".into()) else { return };
        self.note_roots(&waiting, |it| it.says = "the client is asked for its roots".to_owned());
        self.session.roots.question = Some((id, waiting));
        self.effects.push(Effect::Send(ask));
    }

    /// Takes in what a client answers the guard, or a server that is greeted. Nobody else is to
    /// have it.
    pub(super) fn answers_guard(&mut self, message: &Message) -> bool {
        if message.from() == Side::Client && self.elicited(message) {
            return true;
        }
        let roots = &mut self.session.roots;
        let is = |asked: Option<&Id>| asked.is_some() && message.id() == asked;
        match message.from() {
            Side::Client if is(roots.question.as_ref().map(|(id, _)| id)) => {
                let said = list(message);
                self.roots_said(said);
                true
            }
            Side::Server if is(roots.beginning.as_ref()) => {
                self.begun(message);
                true
            }
            Side::Client | Side::Server => false,
        }
    }

    fn roots_said(&mut self, said: Result<Vec<String>, &'static str>) {
        let Some((_, waiting)) = self.session.roots.question.take() else { return };
        let now_ms = self.now_ms;
        self.note_roots(&waiting, |it| {
            it.duration_ms = Some(now_ms.saturating_sub(waiting.since_ms));
            (it.status, it.says) = match &said {
                Ok(list) => (Some(Status::Ok), format!("the client has said {} roots", list.len())),
                Err(why) => (Some(Status::Refused), format!("none of the client's roots: {why}")),
            };
        });
        if self.session.roots.again {
            return self.ask_for_roots();
        }
        // A list that is known to be old, and that nothing has come in the place of, is none.
        let said = said.unwrap_or_default();
        self.session.roots.said = Some(said.clone());
        self.session.roots.admitted.clone_from(&self.policy.client_roots);
        self.effects.push(Effect::Roots(said));
    }

    /// What the client was asked it will not answer, and has no roots then.
    pub(super) fn silent(&mut self) {
        let roots = &mut self.session.roots;
        roots.silent = true;
        roots.again = false;
        self.roots_said(Err("it says nothing more"));
    }

    /// Time has passed: a client that does not answer has no roots, and another policy another view
    /// of them.
    pub(super) fn roots_passed(&mut self) {
        let asked_ms = self.session.roots.question.as_ref().map(|(_, it)| it.since_ms);
        if asked_ms.is_some_and(|it| self.now_ms.saturating_sub(it) >= ANSWER_MS) {
            self.session.roots.again = false;
            return self.roots_said(Err("it did not answer in time"));
        }
        let roots = &mut self.session.roots;
        if asked_ms.is_some()
            || roots.greeting.initialized.is_none()
            || roots.admitted == self.policy.client_roots
        {
            return;
        }
        roots.admitted.clone_from(&self.policy.client_roots);
        match roots.said.clone() {
            Some(said) => self.effects.push(Effect::Roots(said)),
            None if self.roots_count() => self.ask_for_roots(),
            None => (),
        }
    }

    /// These roots of the client count from now on. The server is told, if it may listen.
    pub(super) fn granted(&mut self, granted: Vec<String>, tell: bool) {
        self.session.roots.granted = granted;
        if tell {
            self.tell_roots();
        }
    }

    fn tell_roots(&mut self) {
        let greeting = &self.session.roots.greeting;
        let declared = greeting.initialize.as_ref().and_then(|it| it.message().get("capabilities"));
        let tells = declared.and_then(|it| it.path(&["roots", "listChanged"])).and_then(Json::bool);
        if greeting.initialized.is_some() && tells == Some(true) {
            self.own(Side::Server, &json!({ "jsonrpc": "2.0", "method": CHANGED }));
        }
    }

    /// The server goes, and another comes. What it was asked is over, and what it has asked.
    pub(super) fn replaced(&mut self, why: &str) {
        let mut waiting: Vec<_> = std::mem::take(&mut self.session.waiting).into_iter().collect();
        waiting.sort_by_key(|(_, it)| it.number);
        for ((asker, id), waiting) in waiting {
            match asker {
                Side::Client => {
                    self.outcome(&waiting, Status::Lost, |it| it.says = why.to_owned());
                    let text = format!(
                        "{why} before this was answered; it may have been done (reference {})",
                        waiting.call
                    );
                    self.reply(Side::Client, Some(&id), -32603, &text);
                }
                Side::Server => {
                    self.outcome(&waiting, Status::Cancelled, |it| it.says = why.to_owned());
                    self.cancel(Side::Client, &id);
                }
            }
        }
    }

    /// Greets the other server as the first was.
    pub(super) fn begin(&mut self) {
        let roots = &mut self.session.roots;
        let Some(initialize) = roots.greeting.initialize.clone() else {
            return self.effects.push(Effect::Begun(Ok(())));
        };
        let Some(said) = initialize.message().id().cloned() else { return };
        let id = Id::Text(format!("{OWN_IDS}initialize:{}", roots.asked));
        roots.beginning = Some(id.clone());
        self.effects.push(Effect::Send(initialize.renamed(&said, &id)));
    }

    fn begun(&mut self, answer: &Message) {
        let roots = &mut self.session.roots;
        roots.beginning = None;
        let said = of_itself(answer);
        let differs = ["protocolVersion", "capabilities", "serverInfo"];
        let differs = differs.into_iter().find(|it| said.get(it) != roots.greeting.answer.get(it));
        let begun = match (answer.kind(), differs) {
            (Kind::Result, None) => Ok(()),
            (Kind::Result, Some(what)) => {
                Err(format!("started anew, the server says another `{what}` than before"))
            }
            (Kind::Error | Kind::Request | Kind::Notification, _) => {
                Err("started anew, the server refuses to begin".to_owned())
            }
        };
        if begun.is_ok() {
            self.effects.extend(roots.greeting.initialized.clone().map(Effect::Send));
            self.tell_roots();
        }
        self.effects.push(Effect::Begun(begun));
    }

    fn note_roots(&mut self, waiting: &Waiting, fill: impl FnOnce(&mut record::Record)) {
        let mut record = self.exchange(record::Kind::Roots, waiting);
        fill(&mut record);
        self.effects.push(Effect::Record(Box::new(record)));
    }
}

/// Whether a server calls its request what the guard calls its own.
pub(super) fn is_own(id: &Id) -> bool {
    match id {
        Id::Text(it) => it.starts_with(OWN_IDS),
        Id::Number(_) => false,
    }
}

/// What a client has answered: the URIs of its roots, in order.
fn list(message: &Message) -> Result<Vec<String>, &'static str> {
    let roots = match message.kind() {
        Kind::Result => message.get("roots").filter(|it| it.is_array()),
        Kind::Error | Kind::Request | Kind::Notification => {
            return Err("it answers with an error");
        }
    };
    let roots = roots.ok_or("what it answers is no list of roots")?;
    if roots.items().count() > ROOTS_MAX {
        return Err("it answers more than 64");
    }
    let one = |it: Json<'_>| {
        let name = it.get("name").is_none_or(|it| it.is_null() || it.str().is_some());
        let uri = it.get("uri").and_then(Json::str).filter(|_| name);
        let uri = uri.ok_or("what it answers is no list of roots")?;
        if uri.len() > URI_BYTES_MAX {
            return Err("a URI in what it answers is too long");
        }
        Ok(uri.to_owned())
    };
    roots.items().map(one).collect()
}

fn of_itself(answer: &Message) -> Value {
    let member = |it: &str| answer.get(it).map(Json::to_value);
    json!({
        "protocolVersion": member("protocolVersion"),
        "capabilities": member("capabilities"),
        "serverInfo": member("serverInfo"),
    })
}

/// Has the guard's own roots in the answer of a modern client to a server that has asked for them
/// (2026-07-28, "Multi Round-Trip Requests"). Which of the answers are of that kind can be seen by
/// their form, so nothing has to be remembered between two requests that may come to two guards.
pub(super) fn with_own(
    message: &Message,
    roots: &Value,
    limits: &crate::json::Limits,
) -> Option<Result<Message, ()>> {
    let answers = message.get("inputResponses")?;
    let lists = answers.fields().filter_map(|(_, it)| it.get("roots"));
    let edits: Vec<_> =
        lists.map(|it| crate::json::Edit { at: it.number(), to: Some(roots.clone()) }).collect();
    (!edits.is_empty()).then(|| message.edited(&edits, limits).map_err(drop))
}
