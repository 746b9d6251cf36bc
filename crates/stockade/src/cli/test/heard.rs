//! Who is at the client of a test: answers by its file, and keeps what comes in the order in which it
//! does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::client::answers::Answers;
use crate::client::person::{Person, Reply};

/// So much is kept of what a server says. It can say as much as it likes.
const KEPT_MAX: usize = 10_000;

/// Something that came beside an answer.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A notification.
    Told {
        /// Its method.
        method: String,
        /// Its parameters.
        params: Value,
    },
    /// A question, and what was said to it.
    Asked {
        /// Its method.
        method: String,
        /// Its parameters.
        params: Value,
        /// The answer, or the error in place of one.
        said: Value,
        /// Why nothing is for it, where nothing is.
        unknown: Option<String>,
    },
}

impl Event {
    pub(super) fn method(&self) -> &str {
        match self {
            Self::Told { method, .. } | Self::Asked { method, .. } => method,
        }
    }

    pub(super) fn params(&self) -> &Value {
        match self {
            Self::Told { params, .. } | Self::Asked { params, .. } => params,
        }
    }

    /// As a path finds it.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Told { method, params } => json!({ "method": method, "params": params }),
            Self::Asked { method, params, said, .. } => {
                json!({ "method": method, "params": params, "said": said })
            }
        }
    }
}

/// What came since it was looked at last, for the script, which talks meanwhile.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    events: Vec<Event>,
    /// How the server has ended, if it has by itself.
    left: Option<String>,
}

impl Heard {
    pub(super) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.lock().events)
    }

    /// How the server has ended, if it has by itself since this was asked last.
    pub(super) fn take_left(&self) -> Option<String> {
        self.lock().left.take()
    }

    fn keep(&self, event: Event) {
        let mut kept = self.lock();
        if kept.events.len() < KEPT_MAX {
            kept.events.push(event);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever answers.
#[derive(Debug)]
pub(super) struct Ear {
    answers: Answers,
    heard: Heard,
}

impl Ear {
    pub(super) fn new(answers: Answers, heard: &Heard) -> Self {
        Self { answers, heard: heard.clone() }
    }
}

impl Person for Ear {
    fn told(&mut self, method: &str, params: &Value) {
        self.heard.keep(Event::Told { method: method.to_owned(), params: params.clone() });
    }

    fn asked(&mut self, method: &str, params: &Value) -> Reply {
        let said = self.answers.say(method, params);
        if method != "ping" {
            let unknown = (!said.known).then_some(said.why);
            let told = match &said.reply {
                Reply::Result(it) => it.clone(),
                Reply::Refused { code, says } => {
                    json!({ "error": { "code": code, "message": says } })
                }
            };
            let (method, params) = (method.to_owned(), params.clone());
            self.heard.keep(Event::Asked { method, params, said: told, unknown });
        }
        said.reply
    }

    fn left(&mut self, how: &str) {
        self.heard.lock().left = Some(how.to_owned());
    }
}
