//! Who is at a client: somebody who is told what a server says unasked, and answers what it asks.

use std::fmt;

use serde_json::{Value, json};

use crate::approvals::desk::{Answers, Desk};

/// Who is at a client: is told what a server says unasked, and answers what it asks.
pub trait Person: fmt::Debug + Send {
    /// Is told something that nobody waits for.
    fn told(&mut self, method: &str, params: &Value);

    /// Answers a question.
    fn asked(&mut self, method: &str, params: &Value) -> Reply;

    /// Where what the policy asks is answered, if this is whoever it asks.
    fn desk(&mut self) -> Option<(Desk, Answers)> {
        None
    }

    /// Is told that the server has ended by itself, and how.
    fn left(&mut self, _how: &str) {}
}

/// What is said to a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// This.
    Result(Value),
    /// Nothing: the error that a server is told instead.
    Refused {
        /// Its code.
        code: i64,
        /// Its words.
        says: String,
    },
}

/// Somebody who hears nothing and answers nothing.
#[derive(Debug)]
pub struct Nobody;

impl Person for Nobody {
    fn told(&mut self, _method: &str, _params: &Value) {}

    fn asked(&mut self, method: &str, _params: &Value) -> Reply {
        match method {
            "ping" => Reply::Result(json!({})),
            _ => Reply::Refused { code: -32601, says: "a script answers nothing".to_owned() },
        }
    }
}
