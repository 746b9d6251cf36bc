//! What waits for the person at the page: what a server asks of its client's model, person or roots, and
//! what the policy has nobody decide but a person. Whoever answers first has answered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use stockade_core::approval::Question;
use stockade_core::message::Id;

use super::events::Events;
use super::line::{Line, Order};
use super::witness::now;
use crate::approvals::desk::Says;
use crate::client::answers::unfit;
use crate::client::person::Reply;

/// So many wait at a time. A server can ask as much as it likes.
const WAITING_MAX: usize = 1000;

/// The questions that wait.
pub(super) struct Questions {
    events: Arc<Events>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    last: u64,
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    told: Value,
    server: u16,
    whom: Whom,
}

/// Who waits for an answer.
pub(super) enum Whom {
    /// The server, for the answer to its request.
    Server(Line, Id),
    /// The server, for what one of its requests for input wants, before it answers the request that the
    /// page calls so.
    Input(Line, String, String),
    /// The guard.
    Guard(Box<Question>, Says),
}

/// An answer of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answering {
    action: Option<String>,
    content: Option<Map<String, Value>>,
    result: Option<Value>,
    error: Option<Failed>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed {
    code: i64,
    message: String,
}

/// Why an answer is none.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Nobody waits for it.
    Gone,
    /// It is no answer to that.
    Unfit(String),
}

impl Questions {
    pub(super) fn new(events: &Arc<Events>) -> Self {
        Self { events: Arc::clone(events), open: Mutex::default() }
    }

    /// Asks; gives back who waits where there are too many.
    pub(super) fn ask(
        &self,
        server: u16,
        about: (&str, &Value),
        (request, message): (Option<&str>, Option<u64>),
        whom: Whom,
    ) -> Result<(), Whom> {
        let (method, params) = about;
        let kind = match (&whom, method) {
            (Whom::Guard(..), _) => "approval",
            (_, "elicitation/create") => "elicitation",
            (_, "sampling/createMessage") => "sampling",
            (_, "roots/list") => "roots",
            _ => "other",
        };
        let mut open = self.open();
        if open.waiting.len() >= WAITING_MAX {
            return Err(whom);
        }
        open.last += 1;
        let number = open.last;
        let mut told = json!({ "id": format!("q{number}"), "server": format!("s{server}"), "at": now(),
            "kind": kind, "method": method, "params": params });
        if let Some(told) = told.as_object_mut() {
            told.extend(request.map(|it| ("request".to_owned(), it.into())));
            told.extend(message.map(|it| ("message".to_owned(), it.into())));
        }
        let said = told.clone();
        open.waiting.insert(number, Waiting { told, server, whom });
        // Before it can be answered, so that nobody hears of the answer first.
        self.events.tell("question", &said);
        Ok(())
    }

    /// All that wait.
    pub(super) fn all(&self) -> Vec<Value> {
        self.open().waiting.values().map(|it| it.told.clone()).collect()
    }

    /// How many wait of a server.
    pub(super) fn of(&self, server: u16) -> usize {
        self.open().waiting.values().filter(|it| it.server == server).count()
    }

    /// Answers one.
    pub(super) fn answer(&self, id: &str, answering: Answering) -> Result<(), Unanswered> {
        let number = id.strip_prefix('q').and_then(|it| it.parse().ok()).ok_or(Unanswered::Gone)?;
        let mut open = self.open();
        let waiting = open.waiting.get(&number).ok_or(Unanswered::Gone)?;
        let said = waiting.said(answering).map_err(Unanswered::Unfit)?;
        let waiting = open.waiting.remove(&number).ok_or(Unanswered::Gone)?;
        drop(open);
        self.settled(&waiting, json!({ "by": "page" }));
        match (waiting.whom, said) {
            (Whom::Guard(question, says), Said::Approved(it)) => {
                says.say(&question, it, ("whoever sits at the console", "console"));
            }
            (Whom::Server(line, id), Said::Reply(it)) => line.tell(Order::Reply(id, it)),
            (Whom::Input(line, request, name), Said::Reply(it)) => {
                line.tell(Order::Input(request, name, it));
            }
            // One fits the other, as was just made sure of.
            (Whom::Guard(..), Said::Reply(_))
            | (Whom::Server(..) | Whom::Input(..), Said::Approved(_)) => {}
        }
        Ok(())
    }

    /// Nobody waits any more for those of which this holds.
    pub(super) fn gone(&self, server: u16, is_it: impl Fn(&Whom) -> bool) {
        let mut open = self.open();
        let gone = open.waiting.extract_if(.., |_, it| it.server == server && is_it(&it.whom));
        let gone: Vec<Waiting> = gone.map(|(_, it)| it).collect();
        drop(open);
        gone.iter().for_each(|it| self.settled(it, json!({ "by": "gone" })));
    }

    fn settled(&self, waiting: &Waiting, mut told: Value) {
        if let (Some(told), Some(id)) = (told.as_object_mut(), waiting.told.get("id")) {
            told.insert("id".to_owned(), id.clone());
            told.insert("server".to_owned(), format!("s{}", waiting.server).into());
        }
        self.events.tell("settled", &told);
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an answer comes to.
enum Said {
    Approved(bool),
    Reply(Reply),
}

impl Waiting {
    fn said(&self, answering: Answering) -> Result<Said, String> {
        let Answering { action, content, result, error } = answering;
        let kind = self.told.get("kind").and_then(Value::as_str).unwrap_or_default();
        match (action.as_deref(), result, error) {
            (None, Some(it), None) if kind != "approval" && content.is_none() => {
                Ok(Said::Reply(Reply::Result(it)))
            }
            (None, None, Some(Failed { code, message }))
                if kind != "approval" && content.is_none() =>
            {
                Ok(Said::Reply(Reply::Refused { code, says: message }))
            }
            (Some("approve"), None, None) if kind == "approval" => Ok(Said::Approved(true)),
            (Some("deny"), None, None) if kind == "approval" => Ok(Said::Approved(false)),
            (Some("accept"), None, None) if kind == "elicitation" => self.accepted(content),
            (Some(it @ ("decline" | "cancel")), None, None)
                if kind == "elicitation" && content.is_none() =>
            {
                Ok(Said::Reply(Reply::Result(json!({ "action": it }))))
            }
            _ => Err(format!("this is no answer to a question of the kind `{kind}`")),
        }
    }

    fn accepted(&self, content: Option<Map<String, Value>>) -> Result<Said, String> {
        let params = self.told.get("params");
        let is_url = params.and_then(|it| it.get("mode")).and_then(Value::as_str) == Some("url");
        if is_url {
            return match content {
                None => Ok(Said::Reply(Reply::Result(json!({ "action": "accept" })))),
                Some(_) => Err("an address is agreed to, and nothing is filled in".to_owned()),
            };
        }
        let content = Value::Object(content.unwrap_or_default());
        let form = params.and_then(|it| it.get("requestedSchema"));
        match form.and_then(|it| unfit(it, &content)) {
            Some(says) => Err(format!("it does not fit the form: {says}")),
            None => {
                let reply = json!({ "action": "accept", "content": content });
                Ok(Said::Reply(Reply::Result(reply)))
            }
        }
    }
}

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Questions").finish_non_exhaustive()
    }
}
