//! What the guard knows of a server, whoever talks to it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use crate::catalog::{Catalog, Definition};
use crate::json::{Document, Json};
use crate::lock::{Difference, Part, Pins};
use crate::seen::Seen;

/// What all conversations with one server share.
#[derive(Debug, Default)]
pub struct Server {
    /// Its name in the policy.
    pub name: Arc<str>,
    /// Its tools, as they were last listed.
    catalog: RwLock<Catalog>,
    /// Its answers that were judged already.
    pub(super) seen: Seen,
    held: RwLock<Held>,
    /// What its tools were seen doing.
    did: RwLock<HashMap<String, Did>>,
}

/// What a tool was seen doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Did {
    /// It wrote.
    pub(super) wrote: bool,
    /// It reached somebody.
    pub(super) reached: bool,
}

/// What a server is held to, and what was found to be otherwise.
#[derive(Debug, Default)]
struct Held {
    pins: Option<Arc<Pins>>,
    blocked: Option<Arc<Blocked>>,
    /// What was approved and has been seen in another form. Seen once is enough: what is sometimes
    /// another is not what was approved.
    differs: HashMap<(Part, String), Arc<Difference>>,
    /// What was written down already.
    noted: HashSet<(Part, String)>,
}

/// Why nothing may be asked of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    /// What is not as it was approved, as a sentence about the server without its full stop.
    pub why: String,
    /// What a person can do, as a sentence.
    pub release: String,
}

/// A server may make up names without end. So many differences are written down of one that is not
/// approved anew.
const NOTED_MAX: usize = 1024;

impl Server {
    /// A server that goes by `name`.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Holds it from now on to what was approved, in place of what it was held to before.
    pub fn pin(&self, pins: Pins) {
        let tools = serde_json::json!({ "tools": pins.tools() });
        if let Ok(document) = Document::from_value(&tools) {
            // Before it has listed anything, its tools are what was approved.
            self.learn(document.root().get("tools"));
        }
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        *held = Held { pins: Some(Arc::new(pins)), ..Held::default() };
        self.seen.forget();
    }

    /// Lets nothing pass between it and its clients.
    pub fn block(&self, blocked: Arc<Blocked>) {
        self.held.write().unwrap_or_else(PoisonError::into_inner).blocked = Some(blocked);
        self.seen.forget();
    }

    /// Why nothing passes, where that is so.
    pub fn blocked(&self) -> Option<Arc<Blocked>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).blocked.clone()
    }

    /// What it is held to, where there is a lock.
    pub fn pins(&self) -> Option<Arc<Pins>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).pins.clone()
    }

    /// How something that was approved was seen to differ.
    pub(super) fn differs(&self, part: Part, name: &str) -> Option<Arc<Difference>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        if held.differs.is_empty() {
            return None;
        }
        held.differs.get(&(part, name.to_owned())).cloned()
    }

    /// Takes note of a difference, and says whether it is to be told.
    pub(super) fn notes(&self, difference: &Difference) -> bool {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let key = (difference.part, difference.name.clone());
        // What was never approved is refused without being remembered.
        if held.pins.as_ref().is_some_and(|it| it.knows(key.0, &key.1)) {
            held.differs.insert(key, Arc::new(difference.clone()));
            self.seen.forget();
        }
        let digest = difference.digest.clone().unwrap_or_default();
        held.noted.len() < NOTED_MAX && held.noted.insert((difference.part, digest))
    }

    /// The tool that goes by `name`, as it was last listed.
    pub fn tool(&self, name: &str) -> Option<Arc<Definition>> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).tool(name).cloned()
    }

    /// What a tool was seen doing.
    pub(super) fn did(&self, tool: &str) -> Did {
        let did = self.did.read().unwrap_or_else(PoisonError::into_inner);
        did.get(tool).copied().unwrap_or_default()
    }

    /// Takes note of what a tool was seen doing. Once seen, it stays seen.
    pub(super) fn does(&self, tool: &str, now: Did) {
        if now == Did::default() || self.tool(tool).is_none() {
            // There are as many names as a client makes up.
            return;
        }
        let mut did = self.did.write().unwrap_or_else(PoisonError::into_inner);
        let before = did.entry(tool.to_owned()).or_default();
        before.wrote |= now.wrote;
        before.reached |= now.reached;
    }

    /// A tool with another name that `name` reads as, where none goes by `name`.
    pub(super) fn alike(&self, name: &str) -> Option<String> {
        let catalog = self.catalog.read().unwrap_or_else(PoisonError::into_inner);
        catalog.alike(name).map(str::to_owned)
    }

    pub(super) fn learn(&self, tools: Option<Json<'_>>) {
        if let Some(tools) = tools {
            let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
            if catalog.learn(tools) {
                // An older listing that comes again says something new again.
                self.seen.forget();
            }
        }
    }
}
