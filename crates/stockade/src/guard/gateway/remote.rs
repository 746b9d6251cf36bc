//! The gateway in front of a remote server: each exchange with the client is one with the server,
//! so an answer can only go to whom it belongs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderMap, StatusCode};
use http_body_util::{Either, StreamBody};
use hyper::body::Frame;
use stockade_core::judge::Cleared;
use stockade_core::message::{Id, Kind, Message, Side};
use stockade_core::revision::Revision;
use stockade_core::session::Event;
use stockade_wire::error::WireError;
use stockade_wire::events::Events;
use stockade_wire::http::client::HttpSession;
use stockade_wire::http::connection::HttpUpstream;
use stockade_wire::http::headers::{PARAM, SendHeaders};
use stockade_wire::http::pool::Lease;
use stockade_wire::sse::server::{Outgoing, encode};
use stockade_wire::upstream::Reply;
use tokio::sync::oneshot;

use super::super::Conversation;
use super::super::link::agree;
use super::answer::{self, Answer};
use super::local::unreadable;

/// A remote server, and the connections to it.
#[derive(Debug)]
pub struct Upstream {
    http: HttpUpstream,
    /// The conversations of requests that belong to no session.
    talks: Mutex<Vec<Weak<Late>>>,
}

/// Who is told when a request of a conversation takes too long.
#[derive(Debug)]
pub struct Late {
    conversation: Arc<Conversation>,
    exchanges: Mutex<Vec<(u64, Id, oneshot::Sender<Cleared>)>>,
    numbers: AtomicU64,
}

/// Waits for being told that a request takes too long.
#[derive(Debug)]
pub struct Told {
    late: Arc<Late>,
    number: u64,
    told: oneshot::Receiver<Cleared>,
}

impl Late {
    /// For the requests of a conversation.
    pub fn new(conversation: Arc<Conversation>) -> Arc<Self> {
        Arc::new(Self { conversation, exchanges: Mutex::default(), numbers: AtomicU64::new(0) })
    }

    fn wait(self: &Arc<Self>, id: &Id) -> Told {
        let (sender, told) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        lock(&self.exchanges).push((number, id.clone(), sender));
        Told { late: Arc::clone(self), number, told }
    }

    /// Ends what takes too long. Answers what the server is to be told.
    pub fn passed(&self) -> Vec<Cleared> {
        let talk = &self.conversation;
        if talk.look(|it| it.waiting()) == 0 {
            return Vec::new();
        }
        let sends = talk.take(Event::Passed).unwrap_or_else(|_| talk.abandon());
        let (client, server): (Vec<_>, Vec<_>) =
            sends.into_iter().partition(|it| it.to() == Side::Client);
        for message in client {
            let mut exchanges = lock(&self.exchanges);
            let id = message.message().id();
            let who = exchanges.iter().rposition(|(_, it, _)| Some(it) == id);
            if let Some((_, _, sender)) = who.map(|it| exchanges.swap_remove(it)) {
                let _gone = sender.send(message);
            }
        }
        server
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // Nobody waits any more, who would be woken by the end of the sender.
        self.told.close();
        lock(&self.late.exchanges).retain(|(it, _, _)| *it != self.number);
    }
}

/// Returns when it takes too long.
async fn told(late: &mut Option<Told>) -> Cleared {
    if let Some(waits) = late
        && let Ok(message) = (&mut waits.told).await
    {
        return message;
    }
    *late = None;
    std::future::pending().await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upstream {
    /// The server that `http` reaches.
    pub fn new(http: HttpUpstream) -> Self {
        Self { http, talks: Mutex::default() }
    }

    /// What connects to it.
    pub fn http(&self) -> &HttpUpstream {
        &self.http
    }

    /// A session that has not begun.
    pub fn session(&self) -> HttpSession {
        self.http.session()
    }

    /// Ends what takes too long. Closing its stream is what tells the server.
    pub fn passed(&self) {
        let talks: Vec<_> = {
            let mut talks = lock(&self.talks);
            talks.retain(|it| it.strong_count() > 0);
            talks.iter().filter_map(Weak::upgrade).collect()
        };
        for late in talks {
            late.passed();
        }
    }

    /// What of a client's headers the server may see: those that repeat arguments, which were
    /// compared with the body, and those of their kind that nobody here knows (2026-07-28,
    /// "Request Headers": intermediaries forward them). Never a credential, and never a header of
    /// any other kind (GHSA-g53w-w6mj-hrpp, CVE-2026-27826).
    pub fn headers(&self, client: &HeaderMap) -> SendHeaders {
        let mut headers = SendHeaders::default();
        for (name, value) in client.iter().filter(|(name, _)| name.as_str().starts_with(PARAM)) {
            headers.repeat(name, value);
        }
        headers
    }
}

/// One message that describes itself, and all that comes back for it.
pub async fn modern(
    upstream: &Upstream,
    conversation: Arc<Conversation>,
    message: Message,
    headers: SendHeaders,
) -> Answer {
    let id = message.id().cloned();
    let withdraw = Withdraw(Some((Arc::clone(&conversation), id.clone())));
    let session = Arc::new(upstream.session());
    let late = Late::new(Arc::clone(&conversation));
    lock(&upstream.talks).push(Arc::downgrade(&late));
    let exchange = Exchange { conversation, session, headers, id, late, modern: true };
    let answer = exchange.run(Event::Said(Box::new(message))).await;
    withdraw.into_answer(answer)
}

/// One exchange: what the client sent, and what comes back for it.
#[derive(Debug)]
pub struct Exchange {
    /// What it is part of.
    pub conversation: Arc<Conversation>,
    /// The way to the server.
    pub session: Arc<HttpSession>,
    /// What goes with the message.
    pub headers: SendHeaders,
    /// Its id, of a request.
    pub id: Option<Id>,
    /// Who is told when it takes too long.
    pub late: Arc<Late>,
    /// Whether the status says what kind of error it is.
    pub modern: bool,
}

impl Exchange {
    /// Judges the message, sends it on, and judges what comes back.
    pub async fn run(self, said: Event) -> Answer {
        let said = self.conversation.looked(said).await;
        let sends = match self.conversation.take(said) {
            Ok(sends) => sends,
            Err(unrecorded) => return answer::unrecorded(self.id.as_ref(), &unrecorded),
        };
        agree(&self.conversation, &self.session);
        let mut late = self.id.as_ref().map(|it| self.late.wait(it));
        let mut answer = answer::empty(StatusCode::ACCEPTED);
        for message in sends {
            answer = match message.to() {
                Side::Client => answer::refused(self.deliver(&message, StatusCode::OK), &message),
                Side::Server => {
                    let reply = tokio::select! {
                        reply = self.session.send(&message, &self.headers) => reply,
                        message = told(&mut late) => {
                            return self.deliver(&message, StatusCode::OK);
                        }
                    };
                    match reply {
                        Ok(reply) => self.replied(reply, late.take()),
                        Err(WireError::Timeout { .. }) => self.expired(),
                        Err(error) => {
                            let why = self.conversation.guard().unreached(&error);
                            self.unanswered(&why, StatusCode::BAD_GATEWAY)
                        }
                    }
                }
            };
        }
        answer
    }

    fn replied(&self, reply: Reply, late: Option<Told>) -> Answer {
        match reply {
            Reply::Later if self.id.is_none() => answer::empty(StatusCode::ACCEPTED),
            Reply::Later => self.unanswered("accepted, and not answered", StatusCode::BAD_GATEWAY),
            Reply::Body { status, bytes, lease } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                self.answered(bytes, lease, status)
            }
            Reply::Events(events) => self.stream(events, late),
        }
    }

    /// One answer, in one piece.
    fn answered(&self, bytes: Bytes, lease: Lease, status: StatusCode) -> Answer {
        let Some(id) = &self.id else {
            let passed = if status.is_success() { StatusCode::ACCEPTED } else { status };
            return answer::empty(passed);
        };
        match self.conversation.take(Event::Answered { id: id.clone(), bytes }) {
            Ok(sends) => match sends.iter().find(|it| it.to() == Side::Client) {
                Some(message) => {
                    lease.settle();
                    self.deliver(message, status)
                }
                None => self.unanswered("the server answered something else", status),
            },
            Err(unrecorded) => answer::unrecorded(Some(id), &unrecorded),
        }
    }

    fn deliver(&self, message: &Cleared, status: StatusCode) -> Answer {
        let status = if status.is_success() && self.modern {
            answer::status_of(message)
        } else if status.is_success() {
            StatusCode::OK
        } else {
            status
        };
        answer::json(status, message.bytes().clone())
    }

    /// The request takes too long. The connection that it was on is dropped with it.
    fn expired(&self) -> Answer {
        let Some(id) = &self.id else { return answer::empty(StatusCode::GATEWAY_TIMEOUT) };
        match self.conversation.take(Event::Expired { id: id.clone() }) {
            Ok(sends) => match sends.iter().find(|it| it.to() == Side::Client) {
                Some(message) => self.deliver(message, StatusCode::OK),
                None => answer::empty(StatusCode::GATEWAY_TIMEOUT),
            },
            Err(unrecorded) => answer::unrecorded(Some(id), &unrecorded),
        }
    }

    /// The request will not be answered: says so, to whoever waits.
    fn unanswered(&self, why: &str, status: StatusCode) -> Answer {
        let status = if status.is_success() { StatusCode::BAD_GATEWAY } else { status };
        let Some(id) = &self.id else { return answer::empty(status) };
        let event = Event::Unanswered { id: id.clone(), why: why.to_owned() };
        match self.conversation.take(event) {
            Ok(sends) => match sends.first() {
                Some(message) => answer::json(status, message.bytes().clone()),
                None => answer::empty(status),
            },
            Err(unrecorded) => answer::unrecorded(Some(id), &unrecorded),
        }
    }

    /// A stream of what comes back, judged piece by piece.
    fn stream(&self, events: Events, late: Option<Told>) -> Answer {
        let (conversation, session) = (Arc::clone(&self.conversation), Arc::clone(&self.session));
        answer::events(judged(conversation, session, events, self.id.clone(), late))
    }
}

/// What the server sends on a stream, judged piece by piece. `id` is the request that the stream
/// answers, if it answers one.
pub fn judged(
    conversation: Arc<Conversation>,
    session: Arc<HttpSession>,
    events: Events,
    id: Option<Id>,
    late: Option<Told>,
) -> impl stream::Stream<Item = Result<Frame<Bytes>, std::convert::Infallible>> + Send + 'static {
    let state = Some((conversation, session, events, id, late));
    stream::unfold(state, |state| async move {
        let (conversation, session, mut events, id, mut late) = state?;
        loop {
            let next = tokio::select! {
                next = events.next_or_primer() => next,
                message = told(&mut late) => {
                    return Some((Ok(Frame::data(named(&None, None, message.bytes()))), None));
                }
            };
            let Ok(Some(next)) = next else {
                let last = ended(&conversation, id.as_ref())?;
                return Some((Ok(Frame::data(last)), None));
            };
            if next.data.is_empty() {
                // An event without data primes the client for resumption (2025-11-25).
                let encoded = named(&next.id, next.retry, b"");
                let rest = Some((conversation, session, events, id, late));
                return Some((Ok(Frame::data(encoded)), rest));
            }
            let heard = Event::Heard { from: Side::Server, bytes: next.data };
            let again = heard.clone();
            let Ok(mut sends) = conversation.take(heard) else { return None };
            if let Some(id) = id.as_ref().filter(|_| sends.is_empty())
                && unreadable(&conversation, &again)
            {
                let why = "the server said what cannot be read".to_owned();
                let unanswered = Event::Unanswered { id: id.clone(), why };
                sends = conversation.take(unanswered).ok()?;
            }
            let mut out = Vec::new();
            for message in sends {
                match message.to() {
                    Side::Client => {
                        if id.is_some() && answers(&message) == id.as_ref() {
                            events.settle();
                        }
                        out.extend_from_slice(&named(&next.id, next.retry, message.bytes()));
                    }
                    Side::Server => {
                        // A refusal of what the server asked; if it cannot be told, it times out.
                        let _told = session.send(&message, &SendHeaders::default()).await;
                    }
                }
            }
            if !out.is_empty() {
                let bytes = Bytes::from(out);
                let rest = Some((conversation, session, events, id, late));
                return Some((Ok(Frame::data(bytes)), rest));
            }
        }
    })
}

/// The request that a message answers.
fn answers(message: &Cleared) -> Option<&Id> {
    let message = message.message();
    message.id().filter(|_| matches!(message.kind(), Kind::Result | Kind::Error))
}

/// An event, under the name that the server gave it.
fn named(id: &Option<String>, retry_ms: Option<u64>, data: &[u8]) -> Bytes {
    let retry = retry_ms.map(Duration::from_millis);
    encode(&Outgoing { id: id.as_deref(), retry, data, ..Outgoing::default() })
}

/// The stream of an answer has ended. Where the client can take it up again, it will; elsewhere it
/// is told that nothing more will come.
fn ended(conversation: &Conversation, id: Option<&Id>) -> Option<Bytes> {
    let resumes = conversation.look(|it| it.revision()).is_some_and(Revision::resumes);
    let id = id.filter(|_| !resumes)?;
    let why = "the stream of the answer ended without it".to_owned();
    let sends = conversation.take(Event::Unanswered { id: id.clone(), why }).ok()?;
    Some(named(&None, None, sends.first()?.bytes()))
}

/// Withdraws a request whose client has closed the connection (2026-07-28, "Cancellation"): the
/// connection to the server is dropped with it.
#[derive(Debug)]
struct Withdraw(Option<(Arc<Conversation>, Option<Id>)>);

impl Withdraw {
    /// Stays with the answer as long as it is being sent.
    fn into_answer(self, answer: Answer) -> Answer {
        answer.map(|body| match body {
            Either::Left(whole) => Either::Left(whole),
            Either::Right(events) => {
                let watched = stream::unfold((events, self), |(mut events, withdraw)| async move {
                    let next = StreamExt::next(&mut events).await?;
                    Some((next, (events, withdraw)))
                });
                Either::Right(StreamBody::new(Box::pin(watched) as answer::Events))
            }
        })
    }
}

impl Drop for Withdraw {
    fn drop(&mut self) {
        if let Some((conversation, Some(id))) = self.0.take()
            && conversation.look(|it| it.waiting()) > 0
        {
            // Nothing is sent for it; a ledger that cannot be written stops the next call.
            let _recorded = conversation.take(Event::Withdrawn { id });
        }
    }
}
