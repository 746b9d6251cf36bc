//! The sessions of the legacy era.
//!
//! A session id is a name and not a credential: every request is authenticated by its key, and a
//! session answers only to the key that opened it (2025-11-25, "Session Hijacking").

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderValue, StatusCode};
use stockade_core::message::{Kind, Message, Side};
use stockade_core::revision::Revision;
use stockade_core::session::{Event, Session as Judged};
use stockade_wire::error::WireError;
use stockade_wire::http::client::HttpSession;
use stockade_wire::http::headers::{SESSION_ID, SendHeaders};
use stockade_wire::sse::server::{Name, Outgoing, encode};
use stockade_wire::upstream::Upstream;

use super::super::Conversation;
use super::super::link::{Link, Outbox};
use super::answer::{self, Answer};
use super::channel::Channel;
use super::late::Late;
use super::local::Line;
use super::remote::{self, Exchange};
use crate::approvals::desk::Desk;
use crate::edge::{Principal, hex};

/// A session on which nothing happens for so long ends.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// The sessions of a gateway, by id.
#[derive(Debug, Default)]
pub struct Sessions {
    sessions: Mutex<HashMap<Box<str>, Arc<Session>>>,
    /// Places that are taken by sessions that are about to be, with those that have begun.
    places: Mutex<HashMap<u64, Option<Arc<Session>>>>,
    numbers: AtomicU64,
}

/// A place for a session. Dropping it makes room for another.
#[derive(Debug)]
pub struct Place<'s> {
    sessions: &'s Sessions,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let begun = lock(&self.sessions.places).remove(&self.number).flatten();
        // It was not agreed on, and nobody waits for that any more.
        if let (Some(session), Ok(runtime)) = (begun, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { session.close("it was not agreed on").await });
        }
    }
}

/// One session.
#[derive(Debug)]
pub struct Session {
    id: Mutex<Box<str>>,
    principal: Principal,
    conversation: Arc<Conversation>,
    way: Way,
    used: Mutex<Instant>,
    sse: Mutex<Option<(Arc<Channel>, Arc<Link>)>>,
}

/// Where the server of a session is.
#[derive(Debug)]
enum Way {
    Remote(Arc<Late>),
    Local(Line),
}

impl Sessions {
    /// Takes a place, when fewer than `max` are taken.
    pub fn place(&self, max: usize) -> Option<Place<'_>> {
        let mut places = lock(&self.places);
        if places.len() + self.all_open().len() >= max {
            return None;
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        places.insert(number, None);
        Some(Place { sessions: self, number })
    }

    /// Ends what takes too long, in every session.
    pub fn passed(&self) {
        let begun: Vec<_> = lock(&self.places).values().flatten().cloned().collect();
        let open: Vec<_> = self.all_open().values().cloned().collect();
        let waits = |it: &Arc<Session>| it.conversation.look(Judged::is_due);
        for session in begun.into_iter().chain(open).filter(waits) {
            tokio::spawn(async move { session.passed().await });
        }
    }

    /// The session of that id, when `principal` opened it.
    pub fn get(&self, id: &str, principal: &Principal) -> Option<Arc<Session>> {
        let session = self.all_open().get(id).filter(|it| it.principal == *principal).cloned()?;
        session.touch();
        Some(session)
    }

    /// Opens a session by its first message. It exists once the server has agreed to it.
    pub async fn open(&self, place: Place<'_>, session: Session, initialize: Message) -> Answer {
        let session = Arc::new(session);
        lock(&self.places).insert(place.number, Some(Arc::clone(&session)));
        let mut answer = session.message(initialize).await;
        let agreed = || session.conversation.look(|it| it.revision()).is_some();
        if !agreed() {
            let patience = session.conversation.guard().policy().limits.call_timeout();
            answer = answer::read_ahead(answer, &agreed, patience).await;
        }
        let agreed = agreed();
        if !agreed || !answer.status().is_success() {
            return answer;
        }
        let Some(id) = self.insert(place, &session) else {
            return answer::empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        if let Ok(id) = HeaderValue::from_str(&id) {
            answer.headers_mut().insert(SESSION_ID, id);
        }
        answer
    }

    /// Opens a session of HTTP+SSE: everything comes on this one stream, and is posted to the
    /// address that its first event names.
    /// When the stream ends, so does the session.
    pub fn open_sse(self: &Arc<Self>, place: Place<'_>, session: Session) -> Answer {
        let session = Arc::new(session);
        lock(&self.places).insert(place.number, Some(Arc::clone(&session)));
        let Some(id) = self.insert(place, &session) else {
            return answer::empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let channel = Channel::new("");
        let address = format!("/messages?sessionId={id}");
        let (name, data) = (Name::Endpoint, address.as_bytes());
        channel.announce(encode(&Outgoing { name, data, ..Outgoing::default() }));
        let link = Arc::new(match &session.way {
            Way::Remote(late) => Link::known(Upstream::Http(Arc::clone(late.session()))),
            Way::Local(line) => {
                line.attach(&channel);
                Link::known(line.way().clone())
            }
        });
        let Some(stream) = channel.read(None) else {
            return answer::empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        if let Way::Remote(late) = &session.way {
            late.attach(&channel, &link);
        }
        *lock(&session.sse) = Some((Arc::clone(&channel), link));
        let sessions = Arc::clone(self);
        tokio::spawn(async move {
            channel.left().await;
            if sessions.remove(&session) {
                session.close("the client closed its stream").await;
            }
        });
        answer::events(stream)
    }

    /// Forgets a session. False, when that was done before.
    pub fn remove(&self, session: &Session) -> bool {
        let id = lock(&session.id).clone();
        self.all_open().remove(&id).is_some()
    }

    /// Takes out the sessions on which nothing has happened for too long.
    pub fn idle(&self) -> Vec<Arc<Session>> {
        let mut open = self.all_open();
        let idle: Vec<_> = open.values().filter(|it| it.is_idle()).cloned().collect();
        open.retain(|_, it| !it.is_idle());
        idle
    }

    /// Takes out every session.
    pub fn all(&self) -> Vec<Arc<Session>> {
        let begun = std::mem::take(&mut *lock(&self.places)).into_values().flatten();
        begun.chain(self.all_open().drain().map(|(_, it)| it)).collect()
    }

    fn insert(&self, place: Place<'_>, session: &Arc<Session>) -> Option<String> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        let id = hex(&bytes);
        *lock(&session.id) = id.clone().into();
        let mut places = lock(&self.places);
        places.remove(&place.number);
        self.all_open().insert(id.clone().into(), Arc::clone(session));
        // Before the place is given back, which looks here too.
        drop(places);
        Some(id)
    }

    fn all_open(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Session>>> {
        lock(&self.sessions)
    }
}

impl Session {
    /// A session with a remote server.
    pub fn remote(
        principal: Principal,
        conversation: Arc<Conversation>,
        http: HttpSession,
        desk: &Desk,
    ) -> Self {
        let late = Late::new(Arc::clone(&conversation), Arc::new(http), None);
        late.asks(desk);
        Self::new(principal, conversation, Way::Remote(late))
    }

    /// A session with a process of its own.
    pub fn local(
        principal: Principal,
        conversation: Arc<Conversation>,
        line: Line,
        desk: &Desk,
    ) -> Self {
        line.asks(&conversation, desk);
        Self::new(principal, conversation, Way::Local(line))
    }

    fn new(principal: Principal, conversation: Arc<Conversation>, way: Way) -> Self {
        let (id, used) = (Mutex::default(), Mutex::new(Instant::now()));
        Self { id, principal, conversation, way, used, sse: Mutex::default() }
    }

    /// Whether an array of messages is one input.
    pub fn has_batches(&self) -> bool {
        self.conversation.look(|it| it.revision()).is_some_and(Revision::has_batches)
    }

    /// Takes in a message, and answers what comes back for it.
    pub async fn message(self: &Arc<Self>, message: Message) -> Answer {
        let id = message.id().cloned().filter(|_| message.kind() == Kind::Request);
        match &self.way {
            Way::Remote(late) => {
                let exchange = Exchange {
                    headers: SendHeaders::default(),
                    id,
                    late: Arc::clone(late),
                    modern: false,
                };
                // A client that goes away has not cancelled (2025-11-25, "Streamable HTTP ›
                // Sending Messages"): the exchange goes on without it.
                Detached::new(exchange.run(Event::Said(Box::new(message)))).await
            }
            Way::Local(line) => {
                let (line, talk) = (line.clone(), Arc::clone(&self.conversation));
                // The same here. Who waits is noted, since what a server asks goes where it is read.
                let connection = Arc::new(());
                let waits = Arc::downgrade(&connection);
                let exchange = async move { line.exchange(&talk, message, Some(waits)).await };
                let answer = Detached::new(exchange).await;
                drop(connection);
                answer
            }
        }
    }

    /// Takes in a message of HTTP+SSE.
    pub async fn heard(self: &Arc<Self>, bytes: Bytes) -> Answer {
        let sse = lock(&self.sse).clone();
        let Some((channel, link)) = sse else { return answer::empty(StatusCode::NOT_FOUND) };
        let event = Event::Heard { from: Side::Client, bytes };
        match link.take(&self.conversation, &Outbox::Events(channel), event).await {
            Ok(()) => answer::empty(StatusCode::ACCEPTED),
            Err(_) => answer::empty(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// What the server says without being asked, or a broken stream taken up after an event.
    pub async fn listen(self: &Arc<Self>, after: Option<&str>) -> Answer {
        match &self.way {
            Way::Remote(late) => {
                // Of what waited for a person, the stream is the guard's own.
                if let Some((channel, after)) = after.and_then(|it| late.streams().find(it)) {
                    let stream = channel.read(Some(after)).map(answer::events);
                    return stream.unwrap_or_else(|| answer::empty(StatusCode::CONFLICT));
                }
                match late.session().listen(after, SendHeaders::NONE).await {
                    Ok(Some(events)) => {
                        let told = Some(late.wait(None));
                        answer::events(remote::judged(Arc::clone(late), events, None, told))
                    }
                    Ok(None) => answer::empty(StatusCode::METHOD_NOT_ALLOWED),
                    Err(WireError::SessionLost) => answer::empty(StatusCode::NOT_FOUND),
                    Err(_) => answer::empty(StatusCode::BAD_GATEWAY),
                }
            }
            Way::Local(line) => line.listen(after),
        }
    }

    /// Ends what takes too long.
    async fn passed(&self) {
        let sse = lock(&self.sse).clone();
        match (&self.way, sse) {
            (_, Some((channel, link))) => {
                // What cannot be written down was said to everyone who waits.
                let outbox = Outbox::Events(channel);
                let _closed = link.take(&self.conversation, &outbox, Event::Passed).await;
            }
            (Way::Local(line), None) => line.passed(&self.conversation).await,
            (Way::Remote(late), None) => {
                for message in late.passed() {
                    // A server that cannot be told goes on in vain.
                    let _told = late.session().send(&message, &SendHeaders::default()).await;
                }
            }
        }
    }

    /// Ends it, on both sides.
    pub async fn close(&self, why: &str) {
        match &self.way {
            // A server that cannot be told ends the session when it likes.
            Way::Remote(late) => {
                late.close(why);
                drop(late.session().close(SendHeaders::NONE).await);
            }
            Way::Local(line) => {
                self.conversation.asks_no_more(why);
                line.close().await;
            }
        }
        if let Some((channel, _)) = lock(&self.sse).take() {
            channel.close();
        }
        // What still waits is written down as lost; there is nobody left to be told.
        let _sends = self.conversation.take(Event::Left(Side::Client, why.to_owned()));
    }

    fn touch(&self) {
        *lock(&self.used) = Instant::now();
    }

    fn is_idle(&self) -> bool {
        let sse = lock(&self.sse).as_ref().is_some_and(|(channel, _)| channel.is_read());
        let waits = self.conversation.look(|it| it.waiting()) > 0;
        lock(&self.used).elapsed() > IDLE && !waits && !sse
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A future that goes on by itself when nobody waits for it any more.
pub(super) struct Detached<F: Future + Send + 'static>(Option<std::pin::Pin<Box<F>>>)
where
    F::Output: Send;

impl<F: Future + Send + 'static> Detached<F>
where
    F::Output: Send,
{
    pub(super) fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F: Future + Send + 'static> Future for Detached<F>
where
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        let Some(future) = &mut self.0 else { return std::task::Poll::Pending };
        let poll = future.poll_unpin(cx);
        if poll.is_ready() {
            self.0 = None;
        }
        poll
    }
}

impl<F: Future + Send + 'static> Drop for Detached<F>
where
    F::Output: Send,
{
    fn drop(&mut self) {
        if let (Some(future), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(future);
        }
    }
}
