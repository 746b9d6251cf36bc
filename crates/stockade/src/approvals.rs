//! Who is asked when a policy asks: one small process of each person, which every guard of that
//! person shows its questions to, and every way to answer gets them from.
//!
//! A guard has a [`desk`] that carries its questions to the [`service`] and brings the answers back;
//! what the service knows is the [`hub`], a state without I/O. Standing [`grants`] are kept there. A
//! question as a person reads it is [`shown`]. By what other [`ways`] a guard has people hear of it, a
//! webhook ([`hook`]) among them, is in its policy.
//!
//! Everything here fails closed: a service that is gone, that is not the person's own, or that
//! cannot be started, is a no. See `docs/approvals.md` for what holds, and against whom.

pub mod desk;
pub mod grants;
pub mod hook;
pub mod hub;
pub(crate) mod peer;
pub mod place;
pub mod service;
pub mod shown;
pub mod ways;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stockade_core::approval::{Answer, Question};

use self::grants::{Bounds, Grant};
pub use self::peer::mark;

/// The longest line that either side takes in. A question is bounded by the policy
/// (`limits.approval_bytes_max`), and in JSON a byte may become six.
const LINE_BYTES_MAX: usize = 128 << 20;

/// What is said to the service: one line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// A guard asks.
    Ask(Box<Asked>),
    /// A guard does not want an answer any more.
    Unask(String),
    /// Somebody wants to see what waits.
    List,
    /// And what happens from now on.
    Watch,
    /// Somebody answers.
    Give(Given),
    /// Somebody allows it with something else in place of what can be changed of it.
    Edit {
        /// The answer.
        given: Given,
        /// What is to be sent.
        to: Value,
    },
    /// Somebody wants to see the standing grants.
    Grants,
    /// And to have one of them no more.
    Revoke(String),
    /// Somebody wants to answer in a browser, on a page that is served at this address.
    Open(SocketAddr),
}

/// A question, and what its guard knows beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// What is asked.
    pub question: Question,
    /// What the server is: a digest of what is started, or where it is. Another command is another
    /// server, whatever it is called.
    pub identity: String,
    /// What is known of it, for a person.
    pub known: Vec<String>,
    /// Whether the guard has other ways to ask, besides the client, once it is shown.
    #[serde(default)]
    pub elsewhere: bool,
}

/// An answer, as somebody gives it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Given {
    /// Which question.
    pub id: String,
    /// And that it is the one that was read.
    pub digest: String,
    /// How many calls it was about when it was read.
    pub times: usize,
    /// What.
    pub approved: bool,
    /// And that the same is to be allowed from now on, within these bounds.
    pub grant: Option<Bounds>,
    /// The way it comes by.
    pub channel: String,
    /// Anything else, in words.
    #[serde(default)]
    pub says: String,
}

/// What the service says: one line of JSON each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// To a guard: a question was answered.
    Answered {
        /// Which.
        id: String,
        /// What was approved, if it was.
        digest: String,
        /// What.
        answer: Answer,
    },
    /// To a guard: this question is shown now, and the guard may ask it elsewhere as well.
    Wanted(Box<Shown>),
    /// What waits, oldest first.
    Waiting(Vec<Shown>),
    /// Something waits, or there is more to a question that does.
    Asked(Box<Shown>),
    /// It does not wait any more, and why.
    Settled {
        /// Which.
        id: String,
        /// What came of it.
        says: String,
    },
    /// What was wanted is done.
    Done(String),
    /// It is not, and why.
    Refused(String),
    /// The standing grants: where they were wanted, and to whoever watches, when they change.
    Grants(Vec<Grant>),
    /// The page is there.
    Opened {
        /// Its address, with a code that lets one browser in, once.
        url: String,
        /// A file that leads there, for a browser that is started: whoever sees its command line has
        /// no code.
        file: PathBuf,
    },
}

/// Something that waits for a person: one question, however many calls it is about; or a flood.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// What it is answered by.
    pub id: String,
    /// The question; of a flood, the first in it.
    pub asked: Asked,
    /// How many calls it is about.
    pub times: usize,
    /// There are so many questions of this server that they are one: whether to go on.
    pub flood: bool,
    /// How long there still is for an answer.
    pub left_ms: u64,
}
