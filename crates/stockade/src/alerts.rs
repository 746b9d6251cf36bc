//! What somebody is to hear of at once, and not when they look into the ledger: a burst of denials,
//! something that is not as it was approved, a new host, a canary, a ledger that cannot be written, and
//! more than there should be.
//!
//! [`watch`] sees every record as it is written, and says which are alerts; it does nothing else, and
//! no call waits for more than that. [`post`] is a thread of its own, which tells each [`sink`] in its
//! own time: a webhook, syslog, the desktop. An alert names what happened, to whom, and where the
//! ledger has it. It has no arguments, and nothing of what was read.
//!
//! See `docs/alerts.md`.

pub mod post;
pub mod sink;
pub mod watch;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use stockade_core::check::{clipped, visible};
use stockade_core::record::Record;
use stockade_store::Position;

use self::post::Post;
use self::sink::SyslogAddress;
use self::watch::Watch;
use crate::guard::Guard;
use crate::webhook::Address;

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Many requests were denied in a short time.
    Denials,
    /// Something is not as it was approved.
    Drift,
    /// A server's process asked for a host that it may not reach, or reached one for the first time.
    Host,
    /// A text that nobody has a reason to say was said.
    Canary,
    /// The ledger cannot be written.
    Ledger,
    /// There are more calls, or more bytes, than there should be.
    Volume,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Denials, Self::Drift, Self::Host, Self::Canary, Self::Ledger, Self::Volume];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Denials => "denials",
            Self::Drift => "drift",
            Self::Host => "host",
            Self::Canary => "canary",
            Self::Ledger => "ledger",
            Self::Volume => "volume",
        }
    }

    /// For a person, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Denials => "many requests were denied",
            Self::Drift => "something is not as it was approved",
            Self::Host => "a server asked for a new host",
            Self::Canary => "a canary was said",
            Self::Ledger => "the ledger cannot be written",
            Self::Volume => "more than there should be",
        }
    }

    /// Whether somebody should look now.
    pub fn is_urgent(self) -> bool {
        match self {
            Self::Drift | Self::Canary | Self::Ledger => true,
            Self::Denials | Self::Host | Self::Volume => false,
        }
    }
}

/// What is raised, when, and who is told: `[alerts]` of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What is raised.
    pub on: Vec<Kind>,
    /// So many denials in a minute are a burst.
    pub denials_per_minute: u64,
    /// More calls than this in a minute are too many.
    pub calls_per_minute: Option<u64>,
    /// More bytes than this in a minute, of both sides, are too many.
    pub bytes_per_minute: Option<u64>,
    /// The same is not raised again for so long.
    pub again: Duration,
    /// An address that is told.
    pub webhook: Option<Address>,
    /// A syslog that is.
    pub syslog: Option<SyslogAddress>,
    /// Whether the desktop is.
    pub desktop: bool,
}

/// So many denials in a minute are a burst, where nobody says otherwise.
pub const DENIALS_PER_MINUTE: usize = 20;

/// For how long the same is not raised again, where nobody says otherwise, in seconds.
pub const AGAIN_S: usize = 600;

/// Something that happened. Every text in it can be seen, is short, and has no secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// What sort of thing.
    pub kind: Kind,
    /// The server, by its name in the policy.
    pub server: String,
    /// What it is about: one alert and another about the same are one.
    pub subject: String,
    /// What happened, in the guard's words.
    pub says: String,
    /// When, as the ledger writes it.
    pub at: String,
    /// How often, of what was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// The tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Whose conversation it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub principal: String,
    /// The conversation, as the ledger has it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub session: String,
    /// The exchange: `stockade audit query --call` finds it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub call: String,
    /// The record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Place>,
    /// What has to be found out before it is told.
    #[serde(skip)]
    pub only: Only,
}

/// Where a record is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its number in its segment.
    pub seq: u64,
    /// Its hash, which no other record has.
    pub hash: String,
}

/// When an alert is told at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// If no guard of this state directory has told the same just now.
    #[default]
    Anew,
    /// If none has in a year: it is news that a host was reached, and not that it is reached again.
    FirstEver,
}

impl From<Position> for Place {
    fn from(at: Position) -> Self {
        let hash = at.hash.iter().map(|it| format!("{it:02x}")).collect();
        Self { seq: at.seq, hash }
    }
}

/// So long is a name that somebody else has chosen, in characters.
const NAME_CHARS: usize = 120;

/// A name that somebody else has chosen, to be read.
fn named(text: &str) -> String {
    visible(&clipped(text, NAME_CHARS))
}

/// Who sees what happens, and has it told.
#[derive(Debug)]
pub struct Alerts {
    watch: Watch,
    post: Post,
}

impl Alerts {
    /// For a server of this name.
    pub fn new(server: &str, wanted: &Wanted, post: Post) -> Self {
        Self { watch: Watch::new(server, wanted), post }
    }

    /// Has what is told be written down by this guard as well.
    pub fn recorded_by(&self, guard: &Arc<Guard>) {
        self.post.recorded_by(guard);
    }

    /// Sees a record, and where it is, if it was written and not only counted.
    pub fn see(&self, record: &Record, at: Option<Position>) {
        for alert in self.watch.see(record, at, stockade_store::now_ms()) {
            self.post.take(alert);
        }
    }

    /// Sees that a message of this length has come.
    pub fn sees_bytes(&self, bytes: usize) {
        if let Some(alert) = self.watch.sees_bytes(bytes, stockade_store::now_ms()) {
            self.post.take(alert);
        }
    }

    /// The ledger takes nothing any more, and why.
    pub fn unwritten(&self, why: &str) {
        let says = format!("the ledger cannot be written, so nothing passes: {}", named(why));
        self.raise(Kind::Ledger, says);
    }

    /// Something is held up for so long that the guard ends.
    pub fn stuck(&self) {
        let says =
            "a message was looked at, or written to the ledger, for too long; the guard ends";
        self.raise(Kind::Ledger, says.to_owned());
    }

    /// The server is not what was approved, and is not started.
    pub fn blocked(&self) {
        let says = "the server is not what was approved, and was not started";
        self.raise(Kind::Drift, says.to_owned());
    }

    fn raise(&self, kind: Kind, says: String) {
        let now_ms = stockade_store::now_ms();
        if let Some(alert) = self.watch.raise(kind, says, now_ms) {
            self.post.take(alert);
        }
    }

    /// Waits until what was raised was told, for so long. Nothing is told after that.
    pub fn close(&self, patience: Duration) {
        self.post.close(patience);
    }
}
