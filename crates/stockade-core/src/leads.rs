//! Where paths lead that a client names, as somebody has seen on the disk: only there a link shows.
//! Nothing here looks at a disk. What is to be looked at is said ([`paths`]), and what was seen is
//! given back with the message ([`crate::session::Event::Looked`]).
//!
//! It is advice: a moment later the link may be another. What holds a server is its sandbox.

use std::collections::{BTreeSet, HashMap};

use crate::check;
use crate::json::Json;
use crate::message::{Message, Side};
use crate::policy::Policy;
use crate::root::directories;
use crate::session::Server;
use crate::subject::{Facts, subjects};

/// Where some paths lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leads(HashMap<String, Option<String>>);

/// What is known of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead<'a> {
    /// It stays inside, as far as there is anything.
    Inside,
    /// A link in it leads out of every root; this is where the link is and what it says.
    Outside(&'a str),
    /// Nobody has looked.
    Unseen,
}

impl Leads {
    /// Notes what was seen of a path: that it stays inside, or which link leads out.
    pub fn note(&mut self, path: String, out: Option<String>) {
        self.0.insert(path, out);
    }

    /// Where this path leads.
    pub fn of(&self, path: &str) -> Lead<'_> {
        match self.0.get(path) {
            None => Lead::Unseen,
            Some(None) => Lead::Inside,
            Some(Some(link)) => Lead::Outside(link),
        }
    }
}

/// The paths of a client's message that are inside the roots by their texts, so that only the disk
/// can say more.
pub fn paths(
    message: &Message,
    server: &Server,
    policy: &Policy,
    roots: &[String],
) -> BTreeSet<String> {
    let method = message.method().unwrap_or_default();
    if message.from() == Side::Server || directories(roots).is_empty() {
        return BTreeSet::new();
    }
    let name = message.get("name").and_then(Json::str).filter(|_| method == "tools/call");
    let definition = name.and_then(|it| server.tool(it));
    let inputs = policy.inputs.about(&policy.tools.server, name.unwrap_or_default());
    let facts = Facts {
        method,
        definition: definition.as_deref(),
        inputs: &inputs,
        roots,
        ..Facts::alone(Side::Client)
    };
    check::paths(&subjects(message, method), &facts)
}
