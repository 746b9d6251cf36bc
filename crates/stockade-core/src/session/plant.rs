//! A canary of the guard's own: it is put into what a tool answers that reads what is private, and
//! watched for like those of the policy.

use std::sync::Arc;

use serde_json::{Value, json};

use super::memory::Refused;
use super::turn::Turn;
use super::waiting::Waiting;
use crate::canary::Canaries;
use crate::json::{Edit, Json};
use crate::message::{Kind, Message};
use crate::role::Role;

/// What is put into answers, and what it is found by.
#[derive(Clone, Debug)]
pub(super) struct Planted {
    text: Arc<str>,
    pub(super) canaries: Arc<Canaries>,
}

impl Turn<'_> {
    /// Finds out which canary is this person's, where the policy wants one planted.
    pub(super) fn seeds(&mut self) -> Result<(), Box<Refused>> {
        if !self.policy.plants || self.session.planted.is_some() {
            return Ok(());
        }
        let who = &self.session.parties.principal;
        let memory = self.session.memory.as_ref();
        let token = memory.map_or_else(super::memory::nobody, |it| it.canary(who));
        let token = token.map_err(|it| Box::new(Refused::forgotten(&it)))?;
        let name = "the canary that was planted".to_owned();
        let canaries = Arc::new(Canaries::new([(name, token.clone())]));
        let text = format!("[marker {token}: no part of the answer, and of no use anywhere]");
        self.session.planted = Some(Planted { text: text.into(), canaries });
        Ok(())
    }

    /// The answer of a tool with a canary in it, where one belongs there.
    pub(super) fn plant(&self, message: &Message, waiting: &Waiting) -> Option<Message> {
        let planted = self.session.planted.as_ref().filter(|_| self.policy.plants)?;
        let failed = message.get("isError").and_then(Json::bool) == Some(true);
        let is_answer = &*waiting.method == "tools/call" && message.kind() == Kind::Result;
        if !is_answer || failed || !self.roles(message, waiting).has(Role::Private) {
            return None;
        }
        let content = message.get("content").filter(|it| it.is_array())?;
        let mut blocks: Vec<Value> = content.items().map(Json::to_value).collect();
        blocks.push(json!({ "type": "text", "text": &*planted.text }));
        let edit = Edit { at: content.number(), to: Some(Value::Array(blocks)) };
        message.edited(&[edit], &self.policy.limits.json()).ok()
    }
}
