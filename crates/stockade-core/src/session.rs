//! A conversation, as a state machine: events in, effects out, no I/O.
//!
//! It knows who waits for what, in which revision, and since when. Everything that is said goes
//! through [`judge`](crate::judge) here, and the effects come in the order in which they are to be
//! carried out: a [`Record`] before what it is about.

mod answer;
mod asked;
mod client;
mod effects;
mod elicited;
mod flow;
mod held;
mod memory;
mod pinned;
mod places;
mod plant;
mod readable;
mod relisted;
mod request;
mod review;
mod roots;
mod server;
mod shadow;
mod turn;
mod waiting;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use self::asked::Asked;
use self::client::Client;
pub use self::effects::META_LIMIT;
pub use self::elicited::own_state;
use self::flow::Flow;
use self::held::Held;
use self::memory::Remembers;
pub use self::memory::{Charge, Memory, Over};
pub use self::places::Places;
use self::plant::Planted;
use self::relisted::Lists;
pub use self::roots::CHANGED;
use self::roots::Roots;
pub use self::server::{Blocked, Server};
use self::turn::Turn;
pub use self::waiting::Era;
use self::waiting::Waiting;
pub use self::watch::{Observed, Watch};
use crate::alias::Aliases;
use crate::approval::{Answer, Question};
use crate::judge::Cleared;
use crate::leads::Leads;
use crate::lock::Difference;
use crate::message::{Id, Malformed, Message, Side};
use crate::meter::Meter;
use crate::policy::Policy;
use crate::record::Record;
use crate::revision::Revision;

/// What happens to a conversation.
#[derive(Clone, Debug)]
pub enum Event {
    /// One side sent something that was not read yet.
    Heard {
        /// Who.
        from: Side,
        /// What.
        bytes: Bytes,
    },
    /// The server has sent this back for a request, in a place where nothing else may be.
    Answered {
        /// The id of the request.
        id: Id,
        /// What.
        bytes: Bytes,
    },
    /// One side sent a message.
    Said(Box<Message>),
    /// The client sent a message, and somebody has looked where the paths in it lead.
    Looked {
        /// What it sent.
        message: Box<Message>,
        /// Where they lead.
        leads: Box<Leads>,
    },
    /// One side sent something that its transport could not take in, and why.
    Garbled {
        /// Who.
        from: Side,
        /// What is wrong with it.
        says: String,
    },
    /// A request that was sent on will not be answered, and why.
    Unanswered {
        /// Its id.
        id: Id,
        /// What the way to the server says.
        why: String,
    },
    /// Whoever sent this request has closed the stream of its answer, which tells the server too.
    Withdrawn {
        /// Its id.
        id: Id,
    },
    /// The same, where the server has to be told.
    Abandoned {
        /// Its id.
        id: Id,
    },
    /// One side is gone, and why.
    Left(Side, String),
    /// The client says nothing more, and answers nothing; what it has asked is still answered.
    Silent,
    /// This request has taken too long, by the clock of what carries it.
    Expired {
        /// Its id.
        id: Id,
    },
    /// A person has answered what was asked about a request, or nobody will.
    Decided {
        /// The exchange.
        call: String,
        /// What was approved, if anything was: [`Question::digest`].
        digest: String,
        /// What.
        answer: Answer,
    },
    /// Whoever answers sees the question about this exchange now, and its client may as well, where
    /// [`Question::elicits`] says so.
    Wanted {
        /// The exchange.
        call: String,
        /// The question, for a person.
        says: String,
    },
    /// Time has passed: what took too long ends now.
    Passed,
    /// These roots count beside those of the policy, of all that the client has said.
    Granted {
        /// As the policy has its own.
        roots: Vec<String>,
        /// The server is to be told that there are others.
        tell: bool,
    },
    /// The server is about to be replaced by another process of it, and why.
    Replaced {
        /// For the record and for whoever waits.
        why: String,
    },
    /// The other process is there, and is to be greeted as the first was.
    Begins,
}

/// What is to be done, in this order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Write this down. When that fails, do nothing of what follows.
    Record(Box<Record>),
    /// Send this to the side it goes to.
    Send(Cleared),
    /// Ask a person. [`Event::Decided`] is the answer, and without one it is a no, in time.
    Ask(Box<Question>),
    /// The client has answered a question. It counts when [`Event::Decided`] says so: somebody else
    /// may have been first.
    Answer {
        /// The exchange.
        call: String,
        /// What was asked about: [`Question::digest`].
        digest: String,
        /// Whether it may be done.
        approved: bool,
        /// Why not, where that is not said by the answer.
        says: &'static str,
    },
    /// Nobody waits for an answer about this exchange any more.
    Unask(String),
    /// Find out which of these roots of the client may be granted.
    Roots(Vec<String>),
    /// End the server's process: it let a call take too long.
    Kill,
    /// The process that took the place of another says the same as that; or it does not, and what
    /// is wrong.
    Begun(Result<(), String>),
    /// Keep what the server has shown in place of what was approved, for whoever may approve it.
    Differs(Box<Difference>),
}

/// Who is talking, for the record.
#[derive(Clone, Debug)]
pub struct Parties {
    /// A name for this conversation. Not a credential: it is in the record and in error texts.
    pub session: Arc<str>,
    /// The name of the key or person, or `local`.
    pub principal: Arc<str>,
}

/// A conversation between one client and one server.
#[derive(Debug)]
pub struct Session {
    server: Arc<Server>,
    parties: Parties,
    /// The client of a legacy session, by `initialize` alone.
    client: Arc<Client>,
    /// Whoever asked last. In a modern conversation every request says it for itself.
    asked_last: Arc<Client>,
    revision: Option<Revision>,
    waiting: HashMap<(Side, Id), Waiting>,
    exchanges: u64,
    meter: Arc<Meter>,
    memory: Remembers,
    flow: Flow,
    planted: Option<Planted>,
    watch: Option<Arc<dyn Watch>>,
    roots: Roots,
    lists: Lists,
    asked: Asked,
    held: Held,
    /// What nobody else knows.
    secret: Option<[u8; 32]>,
    aliases: Aliases,
    /// Somebody tells of calls as parts of traces.
    traced: bool,
}

impl Session {
    /// A conversation that has not begun, whose calls are counted by `meter`.
    pub fn new(server: Arc<Server>, parties: Parties, meter: Arc<Meter>) -> Self {
        let lists = Lists::of_now(&server.editions);
        Self {
            server,
            parties,
            client: Arc::default(),
            asked_last: Arc::default(),
            revision: None,
            waiting: HashMap::new(),
            exchanges: 0,
            meter,
            memory: None,
            flow: Flow::default(),
            planted: None,
            watch: None,
            roots: Roots::default(),
            lists,
            asked: Asked::default(),
            held: Held::default(),
            secret: None,
            aliases: Aliases::default(),
            traced: false,
        }
    }

    /// Has text that gives commands be put between marks that are made of this, which nobody else is
    /// to know. Without it, what a policy wants mended so is denied.
    pub fn fenced_with(&mut self, secret: [u8; 32]) {
        self.secret = Some(secret);
    }

    /// Has somebody look at what the server does during calls, from now on.
    pub fn watched_by(&mut self, watch: Arc<dyn Watch>) {
        self.watch = Some(watch);
    }

    /// Has the server told that its part of a trace is a part of what is done here: somebody tells of
    /// that as well.
    pub fn traced(&mut self) {
        self.traced = true;
    }

    /// Has somebody remember what was spent and read beyond this conversation.
    pub fn remembered_by(&mut self, memory: Arc<dyn Memory>) {
        self.memory = Some(memory);
    }

    /// Has the client be asked for its roots, where the policy lets them count: somebody does what
    /// [`Effect::Roots`] says.
    pub fn heeds_roots(&mut self) {
        self.roots.heeded = true;
    }

    /// Has a person be asked where the policy asks: somebody does what [`Effect::Ask`] says.
    pub fn heeds_questions(&mut self) {
        self.asked.heeded = true;
    }

    /// Has this conversation and others have these places together for what waits for a person.
    pub fn shares(&mut self, places: Arc<Places>) {
        self.asked.places = places;
    }

    /// The question that a request of the client waits for, if it waits for a person.
    pub fn asks_about(&self, id: &Id) -> Option<&str> {
        self.asked.question(id)
    }

    /// Whether an answer to this request of the client waits for a person.
    pub fn holds(&self, id: &Id) -> bool {
        self.held.has(Side::Client, id)
    }

    /// The states under which calls are to come again, with what was said to the question about them.
    pub fn handed(&self) -> impl Iterator<Item = &str> {
        self.asked.handed.keys().map(String::as_str)
    }

    /// Has a person be asked about answers as well: whoever carries the conversation keeps the way open
    /// to who waits for one.
    pub fn heeds_answers(&mut self) {
        self.held.heeded = true;
    }

    /// How many requests wait for a person, those included that their client is to send again.
    pub fn asked(&self) -> usize {
        self.asked.len() + self.held.len()
    }

    /// Whether the client was asked for its roots and has not answered.
    pub fn asks_for_roots(&self) -> bool {
        self.roots.are_open()
    }

    /// How often the server has asked for the roots, and was told them.
    pub fn told_roots(&self) -> u64 {
        self.roots.told
    }

    /// The roots of the client that count.
    pub fn granted(&self) -> &[String] {
        &self.roots.granted
    }

    /// All roots that count: those of the policy, and those of the client.
    pub fn roots(&self, policy: &Policy) -> Vec<String> {
        [&policy.roots[..], &self.roots.granted[..]].concat()
    }

    /// The revision that was agreed on, or that the last request was in.
    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// Who is talking.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// How many requests wait for an answer, of the other side or of a person.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.asked.parked.len() + self.held.len()
    }

    /// Whether there is something to be done when time passes: what waits, for an answer or to come
    /// again, is ended by it, and a client is told of lists that have become others.
    pub fn is_due(&self) -> bool {
        !self.waiting.is_empty() || self.asked() > 0 || self.lists.are_old(&self.server.editions)
    }

    /// Whether a request of the client waits for an answer.
    pub fn waits_for(&self, id: &Id) -> bool {
        self.asked.has(Side::Client, id)
            || self.held.has(Side::Client, id)
            || self.waiting.contains_key(&(Side::Client, id.clone()))
    }

    /// Takes in what happens, at `now_ms` of a clock that only goes forward.
    pub fn on(&mut self, event: Event, policy: &Arc<Policy>, now_ms: u64) -> Vec<Effect> {
        let mut turn =
            Turn { session: self, policy, now_ms, leads: None, effects: Vec::with_capacity(2) };
        match event {
            Event::Heard { from, bytes } => turn.heard(from, bytes),
            Event::Answered { id, bytes } => turn.answered(&id, bytes),
            Event::Said(message) => turn.said(*message),
            Event::Looked { message, leads } => {
                turn.leads = Some(*leads);
                turn.said(*message);
            }
            Event::Garbled { from, says } => {
                turn.malformed(from, &Malformed { code: -32600, says, id: None });
            }
            Event::Withdrawn { id }
            | Event::Abandoned { id }
            | Event::Expired { id }
            | Event::Unanswered { id, .. }
                if turn.unasked(Side::Client, &id) || turn.unheld(Side::Client, &id) => {}
            Event::Unanswered { id, why } => turn.unanswered(&id, &why),
            Event::Withdrawn { id } => {
                turn.withdrawn(&id);
            }
            Event::Abandoned { id } if !turn.withdrawn(&id) => (),
            Event::Abandoned { id } => turn.cancel(Side::Server, &id),
            Event::Left(side, why) => {
                turn.nobody_asked(side, &why);
                turn.nothing_held(side, &why);
                turn.left(side, &why);
            }
            Event::Silent => turn.silent(),
            Event::Expired { id } => turn.expired(&id),
            Event::Wanted { call, says } => turn.elicit(&call, &says),
            Event::Decided { call, digest, answer } => {
                if !turn.decided_answer(&call, &digest, &answer) {
                    turn.decided(&call, &digest, &answer);
                }
            }
            Event::Passed => {
                turn.passed();
                turn.asked_passed();
                turn.held_passed();
                turn.roots_passed();
                turn.relist();
            }
            Event::Granted { roots, tell } => turn.granted(roots, tell),
            Event::Replaced { why } => {
                turn.nothing_held(Side::Server, &why);
                turn.replaced(&why);
            }
            Event::Begins => turn.begin(),
        }
        let effects = turn.effects;
        if self.waiting.is_empty() {
            // Most sessions are idle most of the time, and there may be thousands of them.
            self.waiting = HashMap::new();
        }
        effects
    }
}
