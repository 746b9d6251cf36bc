//! The gateway in front of a process that speaks lines.
//!
//! A session of the legacy era has a process of its own, so nothing that one client says can reach
//! another (CVE-2026-25536). Requests that describe themselves share one process: the protocol
//! forbids such a server to remember anything between them. There, the guard gives each request an
//! id of its own, and the client's back with the answer.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::{future, stream};
use http::StatusCode;
use stockade_core::judge::Cleared;
use stockade_core::message::{Frame, Id, Kind, Message, Side};
use stockade_core::record::{self, Record};
use stockade_core::revision::{META_LOG_LEVEL, META_SUBSCRIPTION, Revision};
use stockade_core::session::{Event, Parties, Session};
use stockade_sandbox::Spec;
use stockade_wire::error::WireError;
use stockade_wire::frame::Frames;
use stockade_wire::http::connection::HttpUpstream;
use stockade_wire::http::headers::SendHeaders;
use stockade_wire::sse::client::SseSession;
use stockade_wire::upstream::Upstream as Way;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::timeout;

use super::super::process::{Process, StartError};
use super::super::{Conversation, Guard};
use super::answer::{self, Answer};
use super::channel::{Channel, Streams};
use super::mail::Mail;
use crate::approvals::desk::Desk;
use crate::edge::Principal;
use crate::prepared::Checked;

/// So many messages may wait for a client that does not read.
const WAITING_MAX: usize = 32;
/// So many requests may wait for a process, where the policy does not have more calls.
const REQUESTS_MAX: usize = 1024;
/// The most that may wait for room in the queue of a process that does not read, in bytes.
const BACKLOG_BYTES: u32 = 16 << 20;
/// What one message that waits there counts for at least.
const BACKLOG_STEP: u32 = 4 << 10;

/// How to start the server, and the process that all modern requests share.
#[derive(Debug)]
pub struct Upstream {
    spec: Spec,
    prepared: Option<Arc<Checked>>,
    show_stderr: bool,
    shared: tokio::sync::Mutex<HashMap<Arc<str>, Shared>>,
    ids: AtomicI64,
}

/// A conversation that many requests are part of, and its process.
type Shared = (Arc<Conversation>, Line);

/// A process, and who waits for what it says.
#[derive(Clone, Debug)]
pub struct Line(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Its process, when it is one of ours.
    process: Option<Process>,
    way: Way,
    /// Room for what waits until the process reads on. Without a bound, clients that go away would
    /// leave their messages here.
    backlog: Semaphore,
    router: Arc<Router>,
    mail: Mail,
}

/// Why a message did not go out.
enum Unsent {
    /// The process is gone.
    Gone,
    /// It does not read, and for too long.
    Late,
    /// It does not read, and too much waits for it.
    Full,
}

/// Who waits for what the process says.
#[derive(Debug)]
struct Router {
    /// Whether one channel takes everything, answers among it (HTTP+SSE).
    one: AtomicBool,
    exchanges: Mutex<HashMap<Id, Waiter>>,
    streams: Streams,
    unasked: Mutex<Option<Arc<Channel>>>,
}

/// Who waits for the answer to a request.
#[derive(Clone, Debug)]
struct Waiter {
    token: Option<Id>,
    /// Whether the process has requests of other clients as well.
    shared: bool,
    /// Whether it is a subscription. What is said of a request is never said there (2026-07-28,
    /// "subscriptions/listen").
    listens: bool,
    /// Whether it asked for log messages.
    logs: bool,
    /// The connection that the client waits on, until its answer has begun. A client of the legacy
    /// era may close it, and has not cancelled by that.
    connection: Option<Weak<()>>,
    /// Boxed: a queue is made with room for many messages, and most requests get one.
    sender: mpsc::Sender<Box<Cleared>>,
}

impl Waiter {
    /// Whether nobody will read what is said to it.
    fn is_gone(&self) -> bool {
        self.connection.as_ref().is_some_and(|it| it.strong_count() == 0)
    }
}

/// Whether a request was entered among those that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entered {
    Yes,
    Twice,
    TooMany,
}

/// The names of a request: the guard's own, and those that the client gave it.
#[derive(Clone, Debug)]
struct Names {
    own: Id,
    id: Id,
    token: Option<Id>,
}

impl Names {
    /// A message of the server, as the client knows its request.
    fn back(&self, message: Cleared) -> Cleared {
        let is_progress = message.message().method() == Some("notifications/progress");
        let name = self.token.as_ref().filter(|_| is_progress).unwrap_or(&self.id);
        message.renamed(&self.own, name)
    }
}

impl Upstream {
    /// The server that `spec` starts, as long as what was `prepared` of it is as it was.
    pub fn new(spec: Spec, prepared: Option<Arc<Checked>>, show_stderr: bool) -> Self {
        let (shared, ids) = (tokio::sync::Mutex::default(), AtomicI64::new(1));
        Self { spec, prepared, show_stderr, shared, ids }
    }

    /// Starts a process for a conversation.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(
        &self,
        guard: &Arc<Guard>,
        parties: &Parties,
        conversation: Arc<Conversation>,
    ) -> Result<Line, StartError> {
        if let Some(prepared) = self.prepared.clone() {
            let looked = tokio::task::spawn_blocking(move || prepared.verify()).await;
            looked.map_err(std::io::Error::other)??;
        }
        let started = Process::start(&self.spec, None, guard, parties, self.show_stderr).await?;
        if let Some(watch) = started.process.watch() {
            conversation.watched_by(Arc::clone(watch));
        }
        let router = Arc::new(Router::new());
        let inner = Arc::new(Inner {
            process: Some(started.process),
            way: Way::Stdio(started.input),
            backlog: backlog(),
            router: Arc::clone(&router),
            mail: Mail::default(),
        });
        tokio::spawn(listen(conversation, Arc::downgrade(&inner), router, started.output));
        Ok(Line(inner))
    }

    /// One message that describes itself, and all that comes back for it.
    ///
    /// # Errors
    /// When the process that it is for cannot be started.
    pub async fn modern(
        &self,
        guard: &Arc<Guard>,
        principal: &Principal,
        desk: &Desk,
        begin: impl FnOnce() -> Arc<Conversation>,
        message: Message,
    ) -> Result<Answer, StartError> {
        let id = message.id().cloned();
        let (conversation, line) = {
            let mut shared = self.shared.lock().await;
            match shared.get(&principal.0).filter(|(_, line)| !line.is_closed()) {
                Some((conversation, line)) => (Arc::clone(conversation), line.clone()),
                None => {
                    let conversation = begin();
                    let parties = conversation.parties();
                    let line = self.start(guard, &parties, Arc::clone(&conversation)).await?;
                    line.asks(&conversation, desk);
                    let entry = (Arc::clone(&conversation), line.clone());
                    shared.insert(Arc::clone(&principal.0), entry);
                    (conversation, line)
                }
            }
        };
        Ok(match id {
            Some(id) => {
                let own = Id::Number(self.ids.fetch_add(1, Ordering::Relaxed));
                let token = message.meta("progressToken").and_then(Id::read);
                match message.renamed(&id, &own) {
                    Ok(message) => {
                        let names = Names { own, id, token };
                        line.ask(&conversation, message, Some(names), None).await
                    }
                    Err(_) => {
                        answer::error(Some(&id), -32600, "not a request", StatusCode::BAD_REQUEST)
                    }
                }
            }
            // Closing the stream is what cancels here (2026-07-28, "Cancellation"). The id that
            // this names is the client's, and may be that of another's request to the process.
            None if message.method() == Some("notifications/cancelled") => {
                answer::empty(StatusCode::ACCEPTED)
            }
            None => line.exchange(&conversation, message, None).await,
        })
    }

    /// Ends the process that modern requests share.
    pub async fn close(&self) {
        let shared: Vec<_> = self.shared.lock().await.drain().collect();
        future::join_all(shared.iter().map(|(_, (conversation, line))| async {
            conversation.asks_no_more("the guard ends");
            line.close().await;
            // What still waits is written down as lost; there is nobody left to be told.
            let _sends = conversation.take(Event::Left(Side::Client, "the guard ends".to_owned()));
        }))
        .await;
    }

    /// Ends what takes too long.
    pub fn passed(&self) {
        // Held while a process is started. What is late then is late at the next look as well.
        let Ok(shared) = self.shared.try_lock() else { return };
        let waiting = shared.values().filter(|(talk, _)| talk.look(Session::is_due));
        for (conversation, line) in waiting {
            let (conversation, line) = (Arc::clone(conversation), line.clone());
            tokio::spawn(async move { line.passed(&conversation).await });
        }
    }
}

impl Line {
    /// A session with a server of HTTP+SSE, which like a process has one stream for everything.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn sse(
        http: &HttpUpstream,
        conversation: Arc<Conversation>,
    ) -> Result<Self, WireError> {
        let (session, events) = SseSession::open(http, SendHeaders::NONE).await?;
        let router = Arc::new(Router::new());
        let way = Way::Sse(Arc::new(session));
        let (backlog, route, mail) = (backlog(), Arc::clone(&router), Mail::default());
        let inner = Arc::new(Inner { process: None, way, backlog, router: route, mail });
        tokio::spawn(listen(conversation, Arc::downgrade(&inner), router, events));
        Ok(Self(inner))
    }

    /// Has a person be asked about what is said in the conversation that this carries.
    pub fn asks(&self, conversation: &Arc<Conversation>, desk: &Desk) {
        let (line, talk) = (Arc::downgrade(&self.0), Arc::downgrade(conversation));
        conversation.holds_answers();
        conversation.asks_by(desk.heard_by(move |event| {
            let (Some(line), Some(talk)) = (line.upgrade(), talk.upgrade()) else { return };
            if line.mail.add(event) {
                tokio::spawn(async move {
                    let line = Self(line);
                    while let Some(event) = line.0.mail.next() {
                        line.decided(&talk, event).await;
                    }
                });
            }
        }));
    }

    /// Takes in what people say: what they approve goes to the process, and what they do not is
    /// refused.
    async fn decided(&self, conversation: &Conversation, event: Event) {
        let sends = conversation.take(event).unwrap_or_else(|_| conversation.abandon());
        for message in sends {
            let told = match message.to() {
                Side::Client => Some(message),
                Side::Server => match self.send(conversation, &message).await {
                    // Of one that has ended its output says so, to everybody who waits.
                    Ok(()) | Err(Unsent::Gone) => None,
                    Err(why) => Self::unsent(conversation, &message, &why).unwrap_or_default(),
                },
            };
            if let Some(message) = told {
                self.0.router.deliver(message).await;
            }
        }
    }

    /// The way to the server.
    pub fn way(&self) -> &Way {
        &self.0.way
    }

    /// Sends everything that the process says to one channel.
    pub fn attach(&self, channel: &Arc<Channel>) {
        self.0.router.one.store(true, Ordering::Relaxed);
        *lock(&self.0.router.unasked) = Some(Arc::clone(channel));
    }

    /// Takes in a message of a session, and answers what comes back for it. `connection` is what
    /// the client waits on, where it may go away and its request go on.
    pub async fn exchange(
        &self,
        conversation: &Arc<Conversation>,
        message: Message,
        connection: Option<Weak<()>>,
    ) -> Answer {
        if message.kind() == Kind::Request {
            return self.ask(conversation, message, None, connection).await;
        }
        let cancels = message.method() == Some("notifications/cancelled");
        let cancelled = message.get("requestId").filter(|_| cancels).and_then(Id::read);
        let said = self.say(conversation, Event::Said(Box::new(message))).await;
        if let Some(id) = cancelled {
            // Nothing more will be said of it, so the stream of its answer ends.
            lock(&self.0.router.exchanges).remove(&id);
        }
        match said {
            Ok(_) => answer::empty(StatusCode::ACCEPTED),
            Err(answer) => *answer,
        }
    }

    /// Ends what takes too long.
    pub async fn passed(&self, conversation: &Conversation) {
        let sends = conversation.take(Event::Passed).unwrap_or_else(|_| conversation.abandon());
        // A process that does not read must not keep its clients from being told.
        let (client, server): (Vec<_>, Vec<_>) =
            sends.into_iter().partition(|it| it.to() == Side::Client);
        for message in client {
            self.0.router.deliver(message).await;
        }
        for message in server {
            // One that cannot be told any more has ended, which its output says, or does not read.
            let _told = self.send(conversation, &message).await;
        }
    }

    /// Sends a message, if the process reads on in time.
    async fn send(&self, conversation: &Conversation, message: &Cleared) -> Result<(), Unsent> {
        let bytes = u32::try_from(message.bytes().len()).unwrap_or(u32::MAX);
        let bytes = bytes.clamp(BACKLOG_STEP, BACKLOG_BYTES);
        let _room = self.0.backlog.try_acquire_many(bytes).map_err(|_| Unsent::Full)?;
        let patience = conversation.guard().policy().limits.call_timeout();
        match timeout(patience, self.0.way.send(message, SendHeaders::NONE)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Unsent::Gone),
            Err(_) => Err(Unsent::Late),
        }
    }

    /// A request, which the client may know by other names than the process.
    async fn ask(
        &self,
        conversation: &Arc<Conversation>,
        message: Message,
        names: Option<Names>,
        connection: Option<Weak<()>>,
    ) -> Answer {
        let Some(id) = message.id().cloned() else { return answer::empty(StatusCode::BAD_REQUEST) };
        let modern = names.is_some();
        let (sender, mut receiver) = mpsc::channel(WAITING_MAX);
        let token = message.meta("progressToken").and_then(Id::read);
        let listens = message.method() == Some("subscriptions/listen");
        let logs = message.meta(META_LOG_LEVEL).is_some();
        let waiter = Waiter { token, shared: modern, listens, logs, connection, sender };
        let limits = conversation.guard().policy().limits;
        // What waits for a person takes no room from what does not.
        let max = limits.calls_in_flight_max.max(REQUESTS_MAX).saturating_add(limits.approvals_max);
        let says = match self.0.router.enter(&id, waiter, max) {
            Entered::Yes => None,
            Entered::Twice => Some("the id of a request that is still waiting"),
            Entered::TooMany => Some("more requests than may wait at a time"),
        };
        if let Some(says) = says {
            let refused = Event::Garbled { from: Side::Client, says: says.to_owned() };
            return match self.say(conversation, refused).await {
                Ok(Some(refusal)) => deliver(&refusal, true),
                Ok(None) => answer::empty(StatusCode::BAD_REQUEST),
                Err(answer) => *answer,
            };
        }
        let (line, talk) = (self.clone(), Arc::clone(conversation));
        let waits = Waits { line, conversation: talk, id, modern };
        let back = move |message: Cleared| match &names {
            Some(names) => names.back(message),
            None => message,
        };
        let mut early = VecDeque::new();
        let said = {
            let saying = self.say(conversation, Event::Said(Box::new(message)));
            tokio::pin!(saying);
            // A process that does not read holds up what it is sent, and not what its client is
            // told meanwhile: that the call took too long, above all.
            loop {
                tokio::select! {
                    biased;
                    said = &mut saying => break said,
                    told = receiver.recv() => match told {
                        // It was cancelled, and is not sent any more.
                        None => return answer::events(stream::empty()),
                        Some(last) if is_last(&last) => return deliver(&back(*last), modern),
                        Some(other) if early.len() < WAITING_MAX => early.push_back(*other),
                        Some(_) => (),
                    },
                }
            }
        };
        match said {
            Ok(Some(refusal)) => {
                let refusal = back(refusal);
                return answer::refused(deliver(&refusal, modern), &refusal);
            }
            Ok(None) => (),
            Err(answer) => return *answer,
        }
        let first = match early.pop_front() {
            Some(first) => Some(first),
            // A client that is told nothing for minutes, not even a status, gives up. And only where
            // it has the head of an answer is it seen to go.
            None if conversation.look(|it| it.asks_about(&waits.id).is_some()) => None,
            None => tokio::select! {
                biased;
                first = receiver.recv() => match first {
                    Some(first) => Some(*first),
                    // It was cancelled, and is not answered (2025-11-25, "Cancellation").
                    None => return answer::events(stream::empty()),
                },
                // The same of one whose answer waits.
                () = conversation.holds(&waits.id) => None,
            },
        };
        if let Some(last) = first.as_ref().filter(|it| is_last(it)) {
            return deliver(&back(last.clone()), modern);
        }
        let resumes = conversation.look(|it| it.revision()).is_some_and(Revision::resumes);
        let channel = self.0.router.streams.open(resumes);
        let stream = channel.read(None);
        self.0.router.begin(&waits.id);
        if let Some(first) = first {
            early.push_front(first);
        }
        tokio::spawn(async move {
            loop {
                // A modern client that closes the stream has cancelled (2026-07-28,
                // "Cancellation"), whether or not the server has more to say.
                let next = match early.pop_front() {
                    Some(next) => Some(next),
                    None => tokio::select! {
                        next = receiver.recv() => next.map(|it| *it),
                        () = channel.left(), if modern => None,
                    },
                };
                let Some(message) = next else { break };
                let last = is_last(&message);
                channel.push(back(message).bytes()).await;
                if last {
                    break;
                }
            }
            channel.close();
            drop(waits);
        });
        match stream {
            Some(stream) => answer::events(stream),
            None => answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// Takes in what the client says. Answers the refusal, when there is one.
    async fn say(
        &self,
        conversation: &Arc<Conversation>,
        event: Event,
    ) -> Result<Option<Cleared>, Box<Answer>> {
        let event = conversation.looked(event).await;
        let sends = match conversation.take(event) {
            Ok(sends) => sends,
            Err(unrecorded) => {
                // The others who wait for this process are not answered any more either.
                for message in conversation.abandon() {
                    self.0.router.deliver(message).await;
                }
                return Err(Box::new(answer::unrecorded(None, &unrecorded)));
            }
        };
        for message in sends {
            match message.to() {
                Side::Client if is_last(&message) => return Ok(Some(message)),
                // That it waits for a person.
                Side::Client => self.0.router.deliver(message).await,
                Side::Server => match self.send(conversation, &message).await {
                    Ok(()) => (),
                    Err(Unsent::Gone) => {
                        return Err(Box::new(answer::empty(StatusCode::BAD_GATEWAY)));
                    }
                    Err(why) => return Self::unsent(conversation, &message, &why),
                },
            }
        }
        Ok(None)
    }

    /// A process does not read what it is sent: whoever asked it is told so, once.
    fn unsent(
        conversation: &Conversation,
        message: &Cleared,
        why: &Unsent,
    ) -> Result<Option<Cleared>, Box<Answer>> {
        let said = message.message();
        let Some(id) = said.id().filter(|_| said.kind() == Kind::Request).cloned() else {
            return Err(Box::new(answer::empty(StatusCode::GATEWAY_TIMEOUT)));
        };
        let event = match why {
            Unsent::Late => Event::Expired { id: id.clone() },
            Unsent::Full | Unsent::Gone => {
                let why = "the server does not read what it is sent".to_owned();
                Event::Unanswered { id: id.clone(), why }
            }
        };
        match conversation.take(event) {
            // It was never asked, so it is not told to stop either.
            Ok(sends) => Ok(sends.into_iter().find(|it| it.to() == Side::Client)),
            Err(unrecorded) => Err(Box::new(answer::unrecorded(Some(&id), &unrecorded))),
        }
    }

    /// What the process says without being asked, or a broken stream taken up after an event.
    pub fn listen(&self, after: Option<&str>) -> Answer {
        let broken = after.and_then(|it| self.0.router.streams.find(it));
        let (channel, after) = match broken {
            Some((channel, number)) => (channel, Some(number)),
            None if after.is_some() => return answer::empty(StatusCode::NOT_FOUND),
            None => {
                let mut unasked = lock(&self.0.router.unasked);
                (Arc::clone(unasked.get_or_insert_with(|| Channel::new(""))), None)
            }
        };
        match channel.read(after) {
            Some(stream) => answer::events(stream),
            // Somebody reads it already (CVE-2026-33946: a second reader must not take it over).
            None => answer::empty(StatusCode::CONFLICT),
        }
    }

    fn is_closed(&self) -> bool {
        matches!(&self.0.way, Way::Stdio(writer) if writer.is_closed())
    }

    /// Ends the process.
    pub async fn close(&self) {
        let finish = async {
            if let Way::Stdio(writer) = &self.0.way {
                writer.close().await;
            }
        };
        let end = async {
            if let Some(process) = &self.0.process {
                process.end().await;
            }
        };
        // Side by side: what waits for a process that does not read is never written.
        tokio::join!(finish, end);
        self.0.router.close();
    }
}

/// A request that waits. When nobody waits for it any more, a modern one is cancelled.
struct Waits {
    line: Line,
    conversation: Arc<Conversation>,
    id: Id,
    modern: bool,
}

impl Drop for Waits {
    fn drop(&mut self) {
        let waited = lock(&self.line.0.router.exchanges).remove(&self.id).is_some();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if waited && self.modern {
            let (line, talk) = (self.line.clone(), Arc::clone(&self.conversation));
            let event = Event::Abandoned { id: self.id.clone() };
            runtime.spawn(async move { line.say(&talk, event).await.map(drop) });
        }
    }
}

impl Router {
    fn new() -> Self {
        let (one, exchanges, unasked) = Default::default();
        Self { one, exchanges, streams: Streams::new(""), unasked }
    }

    /// Enters a request, unless one of its id waits already, or `max` wait.
    fn enter(&self, id: &Id, waiter: Waiter, max: usize) -> Entered {
        let mut exchanges = lock(&self.exchanges);
        let full = exchanges.len() >= max;
        match exchanges.entry(id.clone()) {
            Entry::Occupied(_) => Entered::Twice,
            Entry::Vacant(_) if full => Entered::TooMany,
            Entry::Vacant(free) => {
                free.insert(waiter);
                Entered::Yes
            }
        }
    }

    /// The answer to a request begins: what is said of it now can be read, and if its stream
    /// breaks, taken up again.
    fn begin(&self, id: &Id) {
        let mut exchanges = lock(&self.exchanges);
        if let Some(waiter) = exchanges.get_mut(id).filter(|it| !it.is_gone()) {
            waiter.connection = None;
        }
    }

    /// The request that waits, when it is the only one.
    fn only(&self) -> Option<Id> {
        let exchanges = lock(&self.exchanges);
        let mut waiting = exchanges.iter().filter(|(_, it)| !it.listens).map(|(id, _)| id);
        waiting.next().filter(|_| waiting.next().is_none()).cloned()
    }

    /// Takes out the subscription that the server ends by this message (2026-07-28,
    /// "Cancellation").
    fn ended(&self, message: &Message) -> Option<Waiter> {
        let cancels = message.method() == Some("notifications/cancelled");
        let id = message.get("requestId").filter(|_| cancels).and_then(Id::read)?;
        let mut exchanges = lock(&self.exchanges);
        exchanges.get(&id).filter(|it| it.listens)?;
        exchanges.remove(&id)
    }

    /// Gives a message to who waits for it.
    async fn deliver(&self, message: Cleared) {
        let addressed = match (message.about(), message.message().kind()) {
            (Some(id), _) => lock(&self.exchanges).get(id).cloned(),
            (None, Kind::Result | Kind::Error) => {
                let id = message.message().id();
                id.and_then(|it| lock(&self.exchanges).remove(it))
            }
            (None, Kind::Request | Kind::Notification) => {
                let message = message.message();
                self.ended(message).or_else(|| self.interested(message))
            }
        };
        match addressed {
            // A client that does not read must not hold up the others of this process: what it was
            // only told by the way gives way, and its answer waits by itself.
            Some(Waiter { sender, shared: true, .. }) => {
                if let Err(TrySendError::Full(message)) = sender.try_send(Box::new(message))
                    && is_last(&message)
                {
                    tokio::spawn(async move { sender.send(message).await });
                }
            }
            Some(Waiter { sender, .. }) => {
                let _nobody = sender.send(Box::new(message)).await;
            }
            // An answer is for who asked, and for no other stream (2025-11-25, "Streamable HTTP ›
            // Listening for Messages from the Server").
            None if (is_last(&message) || message.about().is_some())
                && !self.one.load(Ordering::Relaxed) => {}
            None => {
                let unasked = lock(&self.unasked).get_or_insert_with(|| Channel::new("")).clone();
                unasked.push(message.bytes()).await;
            }
        }
    }

    /// Whose stream a request or notification of the server belongs on.
    fn interested(&self, message: &Message) -> Option<Waiter> {
        let exchanges = lock(&self.exchanges);
        let answered = || exchanges.values().filter(|it| !it.listens && !it.is_gone());
        let one = || answered().next().cloned();
        if let Some(token) = message.get("progressToken").and_then(Id::read) {
            return exchanges.values().find(|it| it.token.as_ref() == Some(&token)).cloned();
        }
        if let Some(id) = message.meta(META_SUBSCRIPTION).and_then(Id::read) {
            return exchanges.get(&id).cloned();
        }
        let several = answered().nth(1).is_some();
        if exchanges.values().any(|it| it.shared) {
            // Nothing says which client's request this is about. With one request it is that one;
            // with several, a guess could tell one client what was meant for another
            // (CVE-2026-25536).
            let only = answered().next().filter(|it| !several && it.logs);
            return only.cloned();
        }
        let listening = lock(&self.unasked).as_ref().is_some_and(|it| it.is_read());
        // On a stream of lines nothing says which request a question belongs to. With one request
        // it is that one; with several, the stream for what is unasked is right, if it is read.
        if several && listening { None } else { one() }
    }

    fn close(&self) {
        lock(&self.exchanges).clear();
        self.streams.forget();
        if let Some(channel) = lock(&self.unasked).take() {
            channel.close();
        }
    }
}

/// Takes in what the process says, until it says no more.
async fn listen(
    conversation: Arc<Conversation>,
    line: Weak<Inner>,
    router: Arc<Router>,
    mut output: impl Frames,
) {
    // One for all that it says: a server that says much is not ended any later.
    let mut ending = pin!(conversation.overdue());
    let mut overdue = false;
    loop {
        let heard = tokio::select! {
            heard = output.next() => heard,
            () = &mut ending => {
                overdue = true;
                break;
            }
        };
        let event = match heard {
            Ok(Some(bytes)) => Event::Heard { from: Side::Server, bytes },
            Err(error @ WireError::FrameTooLong { .. }) => {
                Event::Garbled { from: Side::Server, says: error.to_string() }
            }
            Ok(None) | Err(_) => break,
        };
        let again = event.clone();
        let mut sends = conversation.take(event).unwrap_or_else(|_| conversation.abandon());
        // What something came of was read.
        let lost = sends.is_empty() && unreadable(&conversation, &again);
        if let Some(id) = lost.then(|| router.only()).flatten() {
            // With one request it was the answer to that one; with several, time will tell.
            let why = "the server said what cannot be read".to_owned();
            let unanswered = conversation.take(Event::Unanswered { id, why });
            sends.extend(unanswered.unwrap_or_else(|_| conversation.abandon()));
        }
        for message in sends {
            match message.to() {
                Side::Client => router.deliver(message).await,
                Side::Server => {
                    let Some(line) = line.upgrade().map(Line) else { return };
                    // One that does not read is not told.
                    if let Err(Unsent::Gone) = line.send(&conversation, &message).await {
                        break;
                    }
                }
            }
        }
    }
    let Some(line) = line.upgrade() else { return };
    let mut why = match overdue {
        true => "the server let a call take too long, and was ended".to_owned(),
        false => "the server ended".to_owned(),
    };
    if let Some(process) = &line.process {
        why = format!("{why}: {}", process.end().await);
        note(&conversation, &why, &process.last_lines());
    }
    for message in conversation.take(Event::Left(Side::Server, why)).unwrap_or_default() {
        router.deliver(message).await;
    }
    Line(line).close().await;
}

/// Whether a server meant to say a message, and it is none. What only was printed where messages
/// belong is not meant.
pub fn unreadable(conversation: &Conversation, event: &Event) -> bool {
    let Event::Heard { from, bytes } = event else {
        return matches!(event, Event::Garbled { .. });
    };
    let limits = conversation.guard().policy().limits.json();
    bytes.trim_ascii_start().starts_with(b"{")
        && Frame::parse(*from, bytes.clone(), &limits).is_err()
}

/// Writes down how a process ended.
fn note(conversation: &Conversation, why: &str, last_lines: &[String]) {
    let guard = conversation.guard();
    // A ledger that cannot be written stops the next call.
    let _recorded = guard.record(&Record {
        kind: record::Kind::Stop,
        session: conversation.look(|it| it.parties().session.clone()),
        server: Arc::clone(&guard.server.name),
        says: [&[why.to_owned()], last_lines].concat().join("\n"),
        ..Record::default()
    });
}

fn backlog() -> Semaphore {
    Semaphore::new(usize::try_from(BACKLOG_BYTES).unwrap_or(Semaphore::MAX_PERMITS))
}

fn is_last(message: &Cleared) -> bool {
    matches!(message.message().kind(), Kind::Result | Kind::Error)
}

fn deliver(message: &Cleared, modern: bool) -> Answer {
    let status = if modern { answer::status_of(message) } else { StatusCode::OK };
    answer::json(status, message.bytes().clone())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
