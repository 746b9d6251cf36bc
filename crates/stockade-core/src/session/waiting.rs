//! A request that waits for its answer: what is remembered of it, and which revision it is in.

use std::sync::Arc;

use super::client::Client;
use super::memory::Charge;
use super::relisted::Each;
use crate::catalog::Definition;
use crate::json::Json;
use crate::message::{Id, Message};
use crate::meter::Slot;
use crate::revision::{self, META_VERSION, Revision};

/// A request that was passed on and is not answered.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) call: String,
    pub(super) method: Box<str>,
    pub(super) tool: Option<Arc<Definition>>,
    pub(super) tool_name: Option<Box<str>>,
    /// The tool that this name reads as, where no tool goes by it.
    pub(super) reads_as: Option<String>,
    pub(super) revision: Revision,
    pub(super) client: Arc<Client>,
    pub(super) trace: Option<Box<str>>,
    /// What its progress is reported under.
    pub(super) token: Option<Id>,
    pub(super) since_ms: u64,
    /// When something was last heard of it.
    pub(super) heard_ms: u64,
    /// How far it has come, as its server says.
    pub(super) progress: f64,
    /// The room it takes, of a tool call.
    pub(super) slot: Option<Slot>,
    /// What its answer is charged for.
    pub(super) charges: Vec<Charge>,
    /// It has asked for a task, which may answer it.
    pub(super) asks_for_task: bool,
    /// The lists whose changes it is told of, of a subscription.
    pub(super) tells: Each<bool>,
    /// Only an error may answer it: it is in a revision that the guard does not know.
    pub(super) unknown: bool,
}

impl Waiting {
    /// Whether it stays open for as long as both sides like.
    pub(super) fn is_subscription(&self) -> bool {
        &*self.method == "subscriptions/listen"
    }
}

/// The revision that a request says it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era<'a> {
    /// It does not say: it belongs to a session.
    Legacy,
    /// It says so itself.
    Modern(Revision),
    /// It names a revision that the guard does not know.
    Unknown(&'a str),
}

impl<'a> Era<'a> {
    /// Reads it off a request.
    pub fn of(message: &'a Message) -> Self {
        match message.meta(META_VERSION).and_then(Json::str) {
            None => Self::Legacy,
            Some(name) => match Revision::parse(name) {
                Some(it) if it.era() == revision::Era::Modern => Self::Modern(it),
                _ => Self::Unknown(name),
            },
        }
    }
}
