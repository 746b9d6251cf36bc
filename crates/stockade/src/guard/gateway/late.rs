//! What is said to the requests of a conversation with a remote server from elsewhere than the server:
//! that one takes too long, that it waits for a person, and what the person has said.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use serde_json::json;
use stockade_core::judge::Cleared;
use stockade_core::message::{Id, Kind, Side};
use stockade_core::revision::REFUSED;
use stockade_core::session::{Event, Session};
use stockade_wire::http::client::HttpSession;
use stockade_wire::http::headers::SendHeaders;
use tokio::sync::Notify;

use super::super::Conversation;
use super::super::link::{Link, Outbox};
use super::channel::{Channel, Streams};
use super::mail::Mail;
use crate::approvals::desk::Desk;
use crate::edge::Principal;

/// A conversation with a remote server, and who waits for what in it.
#[derive(Debug)]
pub struct Late {
    conversation: Arc<Conversation>,
    session: Arc<HttpSession>,
    exchanges: Mutex<Vec<Waits>>,
    numbers: AtomicU64,
    streams: Streams,
    mail: Mail,
    /// Where one stream takes everything (HTTP+SSE).
    line: OnceLock<(Arc<Channel>, Arc<Link>)>,
    /// Where it is found again by a state, and by whom, when it is no part of a session.
    handed: Option<(Arc<Handed>, Principal)>,
}

/// Conversations in which a call was answered with the question about it, and is to come again: by the
/// state that it comes again with, which is good for whom it was made for. How many there are is
/// bounded by the places of the guard.
#[derive(Debug, Default)]
pub struct Handed(Mutex<HashMap<String, (Principal, Arc<Late>)>>);

#[derive(Debug)]
struct Waits {
    number: u64,
    /// The request, or nothing, of a stream for what the server says unasked.
    id: Option<Id>,
    post: Arc<Post>,
}

/// What was said to one request.
#[derive(Debug, Default)]
struct Post {
    letters: Mutex<Letters>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Letters {
    said: VecDeque<Cleared>,
    /// Nothing more comes.
    ended: bool,
    /// It is read on a stream, which takes more than an answer.
    is_stream: bool,
}

/// Waits for what is said to a request.
#[derive(Debug)]
pub struct Told {
    late: Arc<Late>,
    number: u64,
    post: Arc<Post>,
}

impl Handed {
    /// The conversation in which `principal` was given this state. It is not found again.
    pub fn take(&self, state: &str, principal: &Principal) -> Option<Arc<Late>> {
        let mut handed = lock(&self.0);
        handed.get(state).filter(|(it, _)| it == principal)?;
        handed.remove(state).map(|(_, late)| late)
    }

    /// Forgets those whose state is good no more.
    pub fn forget(&self) {
        lock(&self.0).retain(|_, (_, late)| late.conversation.look(|it| it.asked()) > 0);
    }
}

impl Late {
    /// For the requests of a conversation.
    pub fn new(
        conversation: Arc<Conversation>,
        session: Arc<HttpSession>,
        handed: Option<(Arc<Handed>, Principal)>,
    ) -> Arc<Self> {
        // A server names its events as it likes, and these must not be taken for its own.
        let (streams, numbers) = (Streams::new("stockade."), AtomicU64::new(0));
        let (exchanges, mail, line) = Default::default();
        Arc::new(Self { conversation, session, exchanges, numbers, streams, mail, line, handed })
    }

    /// The conversation.
    pub fn conversation(&self) -> &Arc<Conversation> {
        &self.conversation
    }

    /// The way to the server.
    pub fn session(&self) -> &Arc<HttpSession> {
        &self.session
    }

    /// The streams of calls that waited for a person.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Has one stream take everything that is said.
    pub fn attach(&self, channel: &Arc<Channel>, link: &Arc<Link>) {
        self.line.get_or_init(|| (Arc::clone(channel), Arc::clone(link)));
    }

    /// Has a person be asked about what is said in the conversation.
    pub fn asks(self: &Arc<Self>, desk: &Desk) {
        let late = Arc::downgrade(self);
        self.conversation.holds_answers();
        self.conversation.asks_by(desk.heard_by(move |event| {
            let Some(late) = late.upgrade() else { return };
            if late.mail.add(event) {
                tokio::spawn(async move {
                    while let Some(event) = late.mail.next() {
                        late.decided(event).await;
                    }
                });
            }
        }));
    }

    async fn decided(self: &Arc<Self>, event: Event) {
        let talk = &self.conversation;
        if let Some((channel, link)) = self.line.get() {
            // What cannot be written down was said to everyone who waits.
            let outbox = Outbox::Events(Arc::clone(channel));
            let _closed = link.take(talk, &outbox, event).await;
            return;
        }
        let sends = talk.take(event).unwrap_or_else(|_| talk.abandon());
        if let Some((handed, principal)) = &self.handed {
            // Before its client has it, and comes again with it.
            let states: Vec<String> = talk.look(|it| it.handed().map(str::to_owned).collect());
            let entry = || (principal.clone(), Arc::clone(self));
            lock(&handed.0).extend(states.into_iter().map(|it| (it, entry())));
        }
        for message in self.deliver(sends) {
            // A server that cannot be told goes on in vain.
            let _told = self.session.send(&message, &SendHeaders::default()).await;
        }
    }

    /// Waits for what is said to the request `id`; without, for what the server asks when nothing else
    /// is under way.
    pub fn wait(self: &Arc<Self>, id: Option<&Id>) -> Told {
        let post = Arc::<Post>::default();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        lock(&self.exchanges).push(Waits { number, id: id.cloned(), post: Arc::clone(&post) });
        Told { late: Arc::clone(self), number, post }
    }

    /// Ends what takes too long. Answers what the server is to be told.
    pub fn passed(&self) -> Vec<Cleared> {
        let talk = &self.conversation;
        if !talk.look(Session::is_due) {
            return Vec::new();
        }
        self.deliver(talk.take(Event::Passed).unwrap_or_else(|_| talk.abandon()))
    }

    /// A request is not answered: its client has cancelled it.
    pub fn end(&self, id: &Id) {
        let exchanges = lock(&self.exchanges);
        exchanges.iter().filter(|it| it.id.as_ref() == Some(id)).for_each(|it| it.post.end());
    }

    /// Nobody wants an answer any more.
    pub fn close(&self, why: &str) {
        self.conversation.asks_no_more(why);
        lock(&self.exchanges).iter().for_each(|it| it.post.end());
        self.streams.forget();
    }

    /// Gives each message to the request that it is about. Answers those for the server that belong
    /// to none.
    fn deliver(&self, sends: Vec<Cleared>) -> Vec<Cleared> {
        let mut rest = Vec::new();
        for message in sends {
            let said = message.message();
            match (message.to(), message.about().or(said.id()), said.kind()) {
                (Side::Client, Some(id), Kind::Request) if message.about().is_none() => {
                    let id = id.clone();
                    if !self.on_a_stream(message) {
                        rest.extend(self.nobody(&id));
                    }
                }
                (Side::Client, Some(id), _) | (Side::Server, Some(id), Kind::Request) => {
                    let exchanges = lock(&self.exchanges);
                    let who = exchanges.iter().rev().find(|it| it.id.as_ref() == Some(id));
                    if let Some(post) = who.map(|it| Arc::clone(&it.post)) {
                        drop(exchanges);
                        post.put(message);
                    }
                }
                // What is about no request is for the stream of what is said unasked, if it is read.
                (Side::Client, None, _) => self.unasked(message),
                (Side::Server, ..) => rest.push(message),
            }
        }
        rest
    }

    /// What a server asks, once a person has let it: where its request came on nothing says any more,
    /// so it is the stream of what was begun last, if there is any.
    fn on_a_stream(&self, message: Cleared) -> bool {
        let exchanges = lock(&self.exchanges);
        let streams = || exchanges.iter().rev().filter(|it| lock(&it.post.letters).is_stream);
        let answers = streams().find(|it| it.id.is_some()).or_else(|| streams().next());
        let Some(post) = answers.map(|it| Arc::clone(&it.post)) else { return false };
        drop(exchanges);
        post.put(message);
        true
    }

    /// What is about no request: no answer's stream may have it (2025-11-25, "Streamable HTTP ›
    /// Sending Messages").
    fn unasked(&self, message: Cleared) {
        let exchanges = lock(&self.exchanges);
        let listening = exchanges.iter().rev().find(|it| it.id.is_none());
        if let Some(post) = listening.map(|it| Arc::clone(&it.post)) {
            drop(exchanges);
            post.put(message);
        }
    }

    /// Nobody reads what the server asks: it is told so.
    fn nobody(&self, id: &Id) -> Vec<Cleared> {
        let error = json!({ "code": REFUSED, "message": "the client is not there" });
        let error = json!({ "jsonrpc": "2.0", "id": id.to_value(), "error": error });
        let event = Event::Heard { from: Side::Client, bytes: Bytes::from(error.to_string()) };
        self.conversation.take(event).unwrap_or_default()
    }
}

impl Post {
    fn put(&self, message: Cleared) {
        lock(&self.letters).said.push_back(message);
        self.came.notify_one();
    }

    fn end(&self) {
        lock(&self.letters).ended = true;
        self.came.notify_one();
    }
}

impl Told {
    /// What is said next; nothing, when nothing more comes.
    pub async fn next(&self) -> Option<Cleared> {
        loop {
            {
                let mut letters = lock(&self.post.letters);
                if let Some(message) = letters.said.pop_front() {
                    return Some(message);
                }
                if letters.ended {
                    return None;
                }
            }
            self.post.came.notified().await;
        }
    }

    /// It is read on a stream from now on, where the server may ask.
    pub fn is_stream(&self) {
        lock(&self.post.letters).is_stream = true;
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        lock(&self.late.exchanges).retain(|it| it.number != self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
