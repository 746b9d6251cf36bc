//! What the guard knows of a server, whoever talks to it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::relisted::{Editions, List};
use crate::catalog::{Catalog, Definition};
use crate::json::{Document, Json};
use crate::lock::{Difference, Part, Pins};
use crate::policy::Policy;
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
    /// How often its lists have become others by what is done here.
    pub(super) editions: Editions,
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

impl Held {
    /// Whether a list shows other things of this sort once these are the pins.
    fn lists_otherwise(&self, part: Part, now: &Pins) -> bool {
        // Whatever was listed before there were any, was so by nobody's leave.
        let Some(pins) = &self.pins else { return self.blocked.is_some() };
        self.blocked.is_some()
            || self.differs.keys().any(|(it, _)| *it == part)
            || !pins.approves_like(now, part)
    }
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
        let pins = Arc::new(pins);
        let now = Held { pins: Some(Arc::clone(&pins)), ..Held::default() };
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *held, now);
        drop(held);
        self.seen.forget();
        // Counted last: whoever is told by that reads the new list.
        for part in Part::ALL.into_iter().filter(|it| before.lists_otherwise(*it, &pins)) {
            List::of(part).into_iter().for_each(|it| self.editions.anew(it));
        }
    }

    /// Lets nothing pass between it and its clients.
    pub fn block(&self, blocked: Arc<Blocked>) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let was_free = held.blocked.replace(blocked).is_none();
        drop(held);
        self.seen.forget();
        if was_free {
            self.editions.all_anew();
        }
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

    /// Takes note of a difference, and says whether it is to be told, and which list has lost something
    /// by it.
    pub(super) fn notes(&self, difference: &Difference) -> (bool, Option<List>) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let key = (difference.part, difference.name.clone());
        let mut lost = None;
        // What was never approved is refused without being remembered.
        if held.pins.as_ref().is_some_and(|it| it.knows(key.0, &key.1)) {
            let is_new = held.differs.insert(key, Arc::new(difference.clone())).is_none();
            lost = List::of(difference.part).filter(|_| is_new);
            self.seen.forget();
        }
        let digest = difference.digest.clone().unwrap_or_default();
        let tells = held.noted.len() < NOTED_MAX && held.noted.insert((difference.part, digest));
        drop(held);
        lost.into_iter().for_each(|it| self.editions.anew(it));
        (tells, lost)
    }

    /// Another policy holds. Where it shows other tools, whoever has listed them is told.
    pub fn shown_by(&self, before: &Policy, now: &Policy) {
        let shows = |policy: &Policy, tool: &str| policy.shadow || policy.lists(tool);
        let catalog = self.catalog.read().unwrap_or_else(PoisonError::into_inner);
        let differs = catalog.names().any(|it| shows(before, it) != shows(now, it));
        drop(catalog);
        if differs {
            self.editions.anew(List::Tools);
        }
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
