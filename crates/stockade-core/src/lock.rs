//! What was approved of each server: `stockade.lock`, a document that is committed and read by
//! people as a difference.
//!
//! It is one JSON document in canonical form (RFC 8785), so there is one way to write what it says,
//! and a file that is written otherwise was not written by Stockade: it is refused. It holds whole
//! definitions and not their digests alone, or nobody could be shown what has become another.
//!
//! Nothing here reads or writes a file.

pub mod alike;
pub mod difference;
pub mod part;
pub mod pins;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use alike::{Alike, How};
pub use difference::{Change, Class, Difference};
pub use part::Part;
pub use pins::Pins;

use crate::json::{Document, Limits};

/// The only form that there is.
const VERSION: u32 = 1;

/// Everything that was approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The servers, by the names that they go by here.
    pub servers: BTreeMap<String, Entry>,
    version: u32,
}

/// What was approved of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Names of its tools that another server's read like, and that were approved all the same.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub alike: BTreeSet<String>,
    /// The code that is started, where that is known, by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<Code>,
    /// How it is started or reached.
    pub launch: Launch,
    /// What it says of itself and offers.
    pub offers: Offers,
}

/// How a server is started or reached, as the client's configuration or the policy has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// The program and its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The names of the variables that it is given beyond what every program has, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The address of a remote server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Code that is known by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// The digest: of a prepared package with all of its files, of an image, of a script.
    pub hash: String,
    /// What it is: a package with its version, the name of an image, or a file.
    pub name: String,
}

/// What a server says of itself and offers. Each thing has all the forms that were approved of it:
/// a server that speaks two eras of the protocol may describe a tool differently in each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offers {
    /// Its name and version (`serverInfo`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    identity: Vec<Value>,
    /// What it tells the model about itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    instructions: Vec<Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    prompts: BTreeMap<String, Vec<Value>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    resources: BTreeMap<String, Vec<Value>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    templates: BTreeMap<String, Vec<Value>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tools: BTreeMap<String, Vec<Value>>,
}

/// Why bytes are no lock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// They cannot be read.
    #[error("it is not JSON that can be read in one way: {0}")]
    Json(String),
    /// It says the same in another form, which Stockade does not write.
    #[error(
        "it is not in canonical form (RFC 8785), so something else than Stockade has written it"
    )]
    Form,
    /// It is not what a lock says.
    #[error("it is not what a lock says: {0}")]
    Says(String),
    /// It is from another Stockade.
    #[error("it is of version {0}, and this Stockade knows version 1 alone")]
    Version(u64),
    /// A definition is that of another thing than it stands under.
    #[error("the {part} `{name}` is written down under another name")]
    Misplaced {
        /// What it is.
        part: &'static str,
        /// The name that it stands under.
        name: String,
    },
}

impl Default for Lock {
    fn default() -> Self {
        Self { servers: BTreeMap::new(), version: VERSION }
    }
}

impl Lock {
    /// Reads a lock.
    ///
    /// # Errors
    /// When it is not one, or is not written as Stockade writes it.
    pub fn parse(bytes: &[u8]) -> Result<Self, LockError> {
        // What edits or commits a file may end its last line.
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let document = Document::parse(Bytes::copy_from_slice(bytes), &Limits::default());
        let document = document.map_err(|it| LockError::Json(it.to_string()))?;
        let version = document.root().get("version").and_then(|it| it.f64());
        if let Some(other) = document.root().get("version").and_then(|it| it.i64())
            && version != Some(f64::from(VERSION))
        {
            return Err(LockError::Version(other.unsigned_abs()));
        }
        let canonical = serde_json_canonicalizer::to_vec(&document.root());
        if canonical.ok().as_deref() != Some(bytes) {
            return Err(LockError::Form);
        }
        let lock: Self =
            serde_json::from_slice(bytes).map_err(|it| LockError::Says(it.to_string()))?;
        for entry in lock.servers.values() {
            for (part, name, forms) in entry.offers.all() {
                let named = |it: &&Value| part.key().is_some_and(|key| it[key] != name);
                if forms.is_empty() || forms.iter().any(|it| named(&it)) {
                    return Err(LockError::Misplaced { part: part.name(), name: name.to_owned() });
                }
            }
        }
        Ok(lock)
    }

    /// As it is written.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it is a map with keys that are no strings, or a number that is none.
        serde_json_canonicalizer::to_vec(self).unwrap_or_default()
    }
}

impl Offers {
    /// The forms of a thing that were approved; none, where it was not.
    pub fn forms(&self, part: Part, name: &str) -> &[Value] {
        let forms = match part {
            Part::Identity => Some(self.identity.as_slice()),
            Part::Instructions => Some(self.instructions.as_slice()),
            Part::Prompt => self.prompts.get(name).map(Vec::as_slice),
            Part::Resource => self.resources.get(name).map(Vec::as_slice),
            Part::Template => self.templates.get(name).map(Vec::as_slice),
            Part::Tool => self.tools.get(name).map(Vec::as_slice),
        };
        forms.unwrap_or_default()
    }

    /// Everything, in order. What a server has only one of has no name.
    pub fn all(&self) -> impl Iterator<Item = (Part, &str, &[Value])> {
        let alone = [(Part::Identity, &self.identity), (Part::Instructions, &self.instructions)];
        let alone = alone.into_iter().filter(|(_, it)| !it.is_empty());
        let alone = alone.map(|(part, it)| (part, "", it.as_slice()));
        let named = [
            (Part::Tool, &self.tools),
            (Part::Prompt, &self.prompts),
            (Part::Resource, &self.resources),
            (Part::Template, &self.templates),
        ];
        let named = named.into_iter().flat_map(|(part, them)| {
            them.iter().map(move |(name, it)| (part, name.as_str(), it.as_slice()))
        });
        alone.chain(named)
    }

    /// Everything of a sort, by name.
    pub fn of(&self, part: Part) -> impl Iterator<Item = (&str, &[Value])> {
        self.all().filter(move |(it, ..)| *it == part).map(|(_, name, forms)| (name, forms))
    }

    /// Approves one more form of a thing.
    pub fn add(&mut self, part: Part, name: &str, form: Value) {
        let form = part.lasting(form);
        let forms = match part {
            Part::Identity => &mut self.identity,
            Part::Instructions => &mut self.instructions,
            Part::Prompt => self.prompts.entry(name.to_owned()).or_default(),
            Part::Resource => self.resources.entry(name.to_owned()).or_default(),
            Part::Template => self.templates.entry(name.to_owned()).or_default(),
            Part::Tool => self.tools.entry(name.to_owned()).or_default(),
        };
        if !forms.contains(&form) {
            forms.push(form);
            // One order, whichever was seen first.
            forms.sort_by_cached_key(part::digest);
        }
    }

    /// Approves nothing of it any more.
    pub fn remove(&mut self, part: Part, name: &str) {
        match part {
            Part::Identity => self.identity.clear(),
            Part::Instructions => self.instructions.clear(),
            Part::Prompt => drop(self.prompts.remove(name)),
            Part::Resource => drop(self.resources.remove(name)),
            Part::Template => drop(self.templates.remove(name)),
            Part::Tool => drop(self.tools.remove(name)),
        }
    }

    /// How these differ from `now`, in the order of both.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let both: BTreeSet<(Part, &str)> =
            self.all().chain(now.all()).map(|(part, name, _)| (part, name)).collect();
        let both = both.into_iter();
        both.flat_map(|(part, name)| {
            let (was, is) = (self.forms(part, name), now.forms(part, name));
            if is.is_empty() {
                return vec![Difference::of(part, name, was, None)];
            }
            let others = is.iter().filter(|it| !was.contains(it));
            others.map(|it| Difference::of(part, name, was, Some(it))).collect()
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lock() -> Lock {
        let mut entry = Entry {
            launch: Launch { command: vec!["server".into()], ..Launch::default() },
            ..Entry::default()
        };
        entry.offers.add(Part::Tool, "b", json!({ "name": "b", "description": "é\u{7f}" }));
        entry.offers.add(Part::Instructions, "", json!("be kind"));
        Lock { servers: [("a".to_owned(), entry)].into(), ..Lock::default() }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_in_no_other_form() {
        let lock = lock();
        let bytes = lock.to_bytes();
        assert_eq!(Lock::parse(&bytes), Ok(lock));
        let text = String::from_utf8(bytes).unwrap();
        assert!(Lock::parse(format!("{text}\n").as_bytes()).is_ok());
        for other in [
            text.replacen(':', ": ", 1),
            text.replacen("{\"servers\"", " {\"servers\"", 1),
            text.replacen("be kind", "be\\u0020kind", 1),
            format!("{text}\n\n"),
        ] {
            assert_eq!(Lock::parse(other.as_bytes()), Err(LockError::Form), "{other}");
        }
        for other in ["", "{}x", "{\"a\":1,\"a\":1}", "[", "\u{feff}{}"] {
            assert!(matches!(Lock::parse(other.as_bytes()), Err(LockError::Json(_))), "{other}");
        }
        for other in ["{}", "[]", "{\"servers\":{}}", "{\"servers\":{},\"version\":1,\"z\":1}"] {
            assert!(matches!(Lock::parse(other.as_bytes()), Err(LockError::Says(_))), "{other}");
        }
        assert_eq!(Lock::parse(b"{\"servers\":{},\"version\":2}"), Err(LockError::Version(2)));
        let moved = text.replacen("\"name\":\"b\"", "\"name\":\"c\"", 1);
        assert!(matches!(Lock::parse(moved.as_bytes()), Err(LockError::Misplaced { .. })));
    }

    #[test]
    fn what_is_not_listed_any_more_is_a_difference_and_a_second_form_is_none() {
        let lock = lock();
        let was = &lock.servers["a"].offers;
        let mut now = was.clone();
        assert_eq!(was.differences(&now), Vec::new());
        now.remove(Part::Tool, "b");
        now.add(Part::Tool, "c", json!({ "name": "c" }));
        let differences = was.differences(&now);
        let told: Vec<_> =
            differences.iter().map(|it| (it.part, it.name.as_str(), it.class)).collect();
        assert_eq!(told, [(Part::Tool, "b", Class::Breaking), (Part::Tool, "c", Class::Dangerous)]);
        let mut two = was.clone();
        two.add(Part::Tool, "b", json!({ "name": "b" }));
        assert_eq!(two.differences(was), Vec::new());
    }
}
