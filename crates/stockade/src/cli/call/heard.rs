//! Who is at the client of a call: answers by a file, and tells what the server says.

use std::time::Instant;

use serde_json::{Value, json};
use stockade_core::check::{escaped, redacted, visible};

use crate::client::answers::{Answers, Said};
use crate::client::person::{Person, Reply};

/// So much is kept of what a server says. It can say as much as it likes.
const KEPT_MAX: usize = 10_000;

/// What a server has said, and what it was told.
#[derive(Debug)]
pub(super) struct Listener {
    answers: Answers,
    /// It is told as it comes.
    tells: bool,
    /// It is what was asked for, and belongs to standard output.
    is_wanted: bool,
    pub(super) told: Vec<Told>,
    pub(super) asked: Vec<Asked>,
    /// What was not kept.
    pub(super) more: usize,
    /// How the server has ended, if it has by itself.
    pub(super) left: Option<String>,
}

/// A notification.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) at: Instant,
    pub(super) method: String,
    pub(super) params: Value,
}

/// A question, and what was said.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) method: String,
    pub(super) params: Value,
    pub(super) said: Said,
}

impl Listener {
    pub(super) fn new(answers: Answers, tells: bool, is_wanted: bool) -> Self {
        Self { answers, tells, is_wanted, told: Vec::new(), asked: Vec::new(), more: 0, left: None }
    }
}

impl Person for Listener {
    fn told(&mut self, method: &str, params: &Value) {
        if self.tells && self.is_wanted {
            let line = json!({ "method": method, "params": params });
            // Nobody reads on: the end is told in any case.
            let _gone = std::io::Write::write_fmt(
                &mut std::io::stdout(),
                format_args!("{}\n", escaped(&line.to_string())),
            );
        } else if self.tells {
            anstream::eprintln!("{}", visible(&in_a_line(method, params)));
        }
        if self.told.len() < KEPT_MAX {
            let (method, params) = (method.to_owned(), params.clone());
            self.told.push(Told { at: Instant::now(), method, params });
        } else {
            self.more += 1;
        }
    }

    fn asked(&mut self, method: &str, params: &Value) -> Reply {
        let said = self.answers.say(method, params);
        let reply = said.reply.clone();
        if self.tells && method != "ping" {
            let question = params.get("message").and_then(Value::as_str).unwrap_or_default();
            let question: String = redacted(question).chars().take(200).collect();
            let separator = if question.is_empty() { "" } else { ": " };
            let line = format!("asked {method}{separator}{question} [{}]", said.why);
            anstream::eprintln!("{}", visible(&line));
        }
        if self.asked.len() < KEPT_MAX {
            let (method, params) = (method.to_owned(), params.clone());
            self.asked.push(Asked { at: Instant::now(), method, params, said });
        } else {
            self.more += 1;
        }
        reply
    }

    fn left(&mut self, how: &str) {
        self.left = Some(how.to_owned());
    }
}

/// A notification for a person.
fn in_a_line(method: &str, params: &Value) -> String {
    let text = |name: &str| match params.get(name) {
        Some(Value::String(it)) => it.clone(),
        Some(it) => it.to_string(),
        None => String::new(),
    };
    match method {
        "notifications/progress" => {
            let (total, message) = (text("total"), text("message"));
            let of = if total.is_empty() { String::new() } else { format!("/{total}") };
            let says = if message.is_empty() { String::new() } else { format!(": {message}") };
            format!("progress {}{of}{says}", text("progress"))
        }
        "notifications/message" => {
            let logger = text("logger");
            let by = if logger.is_empty() { String::new() } else { format!(" {logger}") };
            format!("log {}{by}: {}", text("level"), text("data"))
        }
        _ => format!("notification {method} {params}"),
    }
}
