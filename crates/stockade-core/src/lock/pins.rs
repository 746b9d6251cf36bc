//! What was approved of one server, ready to hold its answers against.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::template::{Template, leads_up};
use super::{Difference, Entry, Lock, Part, part};
use crate::json::Json;

/// What was approved of one server.
#[derive(Debug)]
pub struct Pins {
    release: String,
    entry: Entry,
    /// The digests of what was approved, by sort and name.
    digests: HashMap<Part, HashMap<String, Vec<String>>>,
    /// Tools whose names read like another server's.
    alike: HashSet<String>,
    /// The templates of resources, as far as they can be read.
    templates: Vec<Template>,
}

impl Pins {
    /// Those of a server; nothing, where the lock has none of it. `release` says, as a sentence, what
    /// a person can do about something that is not as it was approved.
    pub fn of(lock: &Lock, server: &str, release: &str) -> Option<Self> {
        let entry = lock.servers.get(server)?.clone();
        let mut digests: HashMap<Part, HashMap<String, Vec<String>>> = HashMap::new();
        for (part, name, forms) in entry.offers.all() {
            let of_part = digests.entry(part).or_default();
            of_part.insert(name.to_owned(), forms.iter().map(part::digest).collect());
        }
        let templates = entry.offers.of(Part::Template);
        let templates = templates.filter_map(|(it, _)| Template::parse(it)).collect();
        let alike = lock.alike(server).into_iter().map(|it| it.name).collect();
        Some(Self { release: release.to_owned(), entry, digests, alike, templates })
    }

    /// What a person can do about something that is not as it was approved.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// What was approved, as it was written down.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Whether a thing of this name was approved in any form.
    pub fn knows(&self, part: Part, name: &str) -> bool {
        self.digests.get(&part).is_some_and(|it| it.contains_key(name))
    }

    /// Whether a tool's name reads like that of another, and was not approved all the same.
    pub fn is_alike(&self, tool: &str) -> bool {
        self.alike.contains(tool)
    }

    /// Whether a resource was approved, by its URI or by a template that it can be made of.
    pub fn has_resource(&self, uri: &str) -> bool {
        let is_made = || self.templates.iter().any(|it| it.fits(uri)) && !leads_up(uri);
        self.knows(Part::Resource, uri) || is_made()
    }

    /// How a definition differs from every form that was approved; nothing, where it is one of them.
    pub fn difference(&self, part: Part, name: &str, definition: Json<'_>) -> Option<Difference> {
        let digest = part.digest(definition);
        let approved = self.digests.get(&part).and_then(|it| it.get(name));
        if approved.is_some_and(|it| it.contains(&digest)) {
            return None;
        }
        let forms = self.entry.offers.forms(part, name);
        Some(Difference::of(part, name, forms, Some(&definition.to_value())))
    }

    /// Whether `other` approves the same things of this sort.
    pub(crate) fn approves_like(&self, other: &Self, part: Part) -> bool {
        let (own, others) = (self.entry.offers.of(part), other.entry.offers.of(part));
        own.eq(others) && (part != Part::Tool || self.alike == other.alike)
    }

    /// The tools that were approved, as a listing has them.
    pub(crate) fn tools(&self) -> Value {
        let tools = self.entry.offers.of(Part::Tool);
        tools.filter_map(|(_, forms)| forms.last().cloned()).collect()
    }
}
