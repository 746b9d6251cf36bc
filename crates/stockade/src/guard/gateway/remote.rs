//! The gateway in front of a remote server: each exchange with the client is one with the server,
//! so an answer can only go to whom it belongs.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderMap, StatusCode};
use http_body_util::{Either, StreamBody};
use hyper::body::Frame;
use stockade_core::judge::Cleared;
use stockade_core::message::{Id, Kind, Message, Side};
use stockade_core::revision::Revision;
use stockade_core::session::{Event, own_state};
use stockade_wire::error::WireError;
use stockade_wire::events::Events;
use stockade_wire::http::client::HttpSession;
use stockade_wire::http::connection::HttpUpstream;
use stockade_wire::http::headers::{PARAM, SendHeaders};
use stockade_wire::http::pool::Lease;
use stockade_wire::sse::server::{Outgoing, encode};
use stockade_wire::upstream::{Reply, Upstream as Way};

use super::super::Conversation;
use super::super::link::{Link, Outbox, agree};
use super::answer::{self, Answer};
use super::channel::Channel;
use super::late::{Handed, Late, Told};
use super::local::unreadable;
use crate::approvals::desk::Desk;
use crate::edge::Principal;

/// A remote server, and the connections to it.
#[derive(Debug)]
pub struct Upstream {
    http: HttpUpstream,
    /// The conversations of requests that belong to no session.
    talks: Mutex<Vec<Weak<Late>>>,
    handed: Arc<Handed>,
}

impl Upstream {
    /// The server that `http` reaches.
    pub fn new(http: HttpUpstream) -> Self {
        Self { http, talks: Mutex::default(), handed: Arc::default() }
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
        for late in self.talks() {
            late.passed();
        }
        self.handed.forget();
    }

    /// Ends what waits for a person.
    pub fn close(&self) {
        for late in self.talks() {
            late.close("the guard ends");
        }
    }

    fn talks(&self) -> Vec<Arc<Late>> {
        let mut talks = self.talks.lock().unwrap_or_else(PoisonError::into_inner);
        talks.retain(|it| it.strong_count() > 0);
        talks.iter().filter_map(Weak::upgrade).collect()
    }

    /// What a request belongs to that describes itself: a conversation of its own, or the one in which
    /// this principal was asked what it now answers.
    fn talk(
        &self,
        principal: &Principal,
        desk: &Desk,
        begin: impl FnOnce() -> Arc<Conversation>,
        message: &Message,
    ) -> Arc<Late> {
        let state = own_state(message).filter(|_| message.kind() == Kind::Request);
        if let Some(late) = state.and_then(|it| self.handed.take(it, principal)) {
            return late;
        }
        let handed = (Arc::clone(&self.handed), principal.clone());
        let late = Late::new(begin(), Arc::new(self.session()), Some(handed));
        late.asks(desk);
        let mut talks = self.talks.lock().unwrap_or_else(PoisonError::into_inner);
        talks.push(Arc::downgrade(&late));
        late
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
    principal: &Principal,
    desk: &Desk,
    begin: impl FnOnce() -> Arc<Conversation>,
    message: Message,
    headers: SendHeaders,
) -> Answer {
    let late = upstream.talk(principal, desk, begin, &message);
    let id = message.id().cloned();
    let withdraw = Withdraw(Some((Arc::clone(late.conversation()), id.clone())));
    let exchange = Exchange { headers, id, late, modern: true };
    let answer = exchange.run(Event::Said(Box::new(message))).await;
    withdraw.into_answer(answer)
}

/// One exchange: what the client sent, and what comes back for it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What goes with the message.
    pub headers: SendHeaders,
    /// Its id, of a request.
    pub id: Option<Id>,
    /// What it is part of, and the way to the server.
    pub late: Arc<Late>,
    /// Whether the status says what kind of error it is.
    pub modern: bool,
}

impl Exchange {
    /// Judges the message, sends it on, and judges what comes back.
    pub async fn run(self, said: Event) -> Answer {
        let (talk, session) = (self.late.conversation(), self.late.session());
        let cancelled =
            cancelled(&said).filter(|it| talk.look(|talk| talk.asks_about(it).is_some()));
        let said = talk.looked(said).await;
        // Before anything is judged: from then on somebody may answer.
        let mut late = self.id.as_ref().map(|it| self.late.wait(Some(it)));
        let sends = match talk.take(said) {
            Ok(sends) => sends,
            Err(unrecorded) => return answer::unrecorded(self.id.as_ref(), &unrecorded),
        };
        if let Some(id) = cancelled {
            self.late.end(&id);
        }
        // A request that is neither sent on nor answered waits for a person.
        if sends.iter().all(|it| it.about().is_some())
            && let Some(told) = late.take()
        {
            return self.hold(&sends, told);
        }
        agree(talk, session);
        let mut answer = answer::empty(StatusCode::ACCEPTED);
        for message in sends {
            answer = match message.to() {
                Side::Client => answer::refused(self.deliver(&message, StatusCode::OK), &message),
                Side::Server => {
                    let reply = tokio::select! {
                        reply = session.send(&message, &self.headers) => reply,
                        message = told(late.as_ref()) => {
                            return self.deliver(&message, StatusCode::OK);
                        }
                    };
                    match reply {
                        Ok(reply) => self.replied(reply, late.take()),
                        Err(WireError::Timeout { .. }) => self.expired(),
                        Err(error) => {
                            let why = talk.guard().unreached(&error);
                            self.unanswered(&why, StatusCode::BAD_GATEWAY)
                        }
                    }
                }
            };
        }
        answer
    }

    /// Answers a request that waits for a person, or whose answer does, with a stream, on which its
    /// client is told so, and asked. It begins at once: a client that is told nothing for minutes, not
    /// even a status, gives up.
    fn hold(self, sends: &[Cleared], told: Told) -> Answer {
        let resumes = self.late.conversation().look(|it| it.revision());
        let channel = self.late.streams().open(resumes.is_some_and(Revision::resumes));
        sends.iter().for_each(|it| channel.put(it.bytes()));
        let Some(stream) = channel.read(None) else {
            return answer::empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        // By itself: until 2025-11-25, a client that goes away has not cancelled.
        tokio::spawn(self.held(told, channel));
        answer::events(stream)
    }

    /// Carries a request that waits for a person, until it is answered.
    async fn held(self, told: Told, channel: Arc<Channel>) {
        told.is_stream();
        let link = Arc::new(Link::known(Way::Http(Arc::clone(self.late.session()))));
        let outbox = Outbox::Events(Arc::clone(&channel));
        let mut sent: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
        loop {
            let answered = async {
                match &mut sent {
                    Some(sent) => sent.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = answered => break,
                message = told.next() => match message {
                    // It was cancelled, and is not answered.
                    None => break,
                    Some(message) if message.to() == Side::Server => {
                        let (link, outbox) = (Arc::clone(&link), outbox.clone());
                        let talk = Arc::clone(self.late.conversation());
                        let headers = self.headers.clone();
                        sent = Some(Box::pin(async move {
                            link.exchange(&talk, &outbox, &message, headers).await;
                        }));
                    }
                    Some(message) => {
                        channel.put(message.bytes());
                        if answers(&message).is_some() {
                            break;
                        }
                    }
                },
                // Closing the stream is what cancels, which is taken in elsewhere ([`Withdraw`]); the
                // connection to the server is dropped with it.
                () = channel.left(), if self.modern => break,
            }
        }
        channel.close();
    }

    fn replied(&self, reply: Reply, late: Option<Told>) -> Answer {
        match reply {
            Reply::Later if self.id.is_none() => answer::empty(StatusCode::ACCEPTED),
            Reply::Later => self.unanswered("accepted, and not answered", StatusCode::BAD_GATEWAY),
            Reply::Body { status, bytes, lease } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                self.answered(bytes, lease, status, late)
            }
            Reply::Events(events) => self.stream(events, late),
        }
    }

    /// One answer, in one piece.
    fn answered(
        &self,
        bytes: Bytes,
        lease: Lease,
        status: StatusCode,
        late: Option<Told>,
    ) -> Answer {
        let Some(id) = &self.id else {
            let passed = if status.is_success() { StatusCode::ACCEPTED } else { status };
            return answer::empty(passed);
        };
        match self.late.conversation().take(Event::Answered { id: id.clone(), bytes }) {
            Ok(sends) => match sends.iter().find(|it| it.to() == Side::Client) {
                Some(message) => {
                    lease.settle();
                    self.deliver(message, status)
                }
                None => match late.filter(|_| self.holds(id)) {
                    Some(told) => {
                        lease.settle();
                        self.clone().hold(&[], told)
                    }
                    None => self.unanswered("the server answered something else", status),
                },
            },
            Err(unrecorded) => answer::unrecorded(Some(id), &unrecorded),
        }
    }

    /// Whether the answer to a request waits for a person.
    fn holds(&self, id: &Id) -> bool {
        self.late.conversation().look(|it| it.holds(id))
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
        match self.late.conversation().take(Event::Expired { id: id.clone() }) {
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
        match self.late.conversation().take(event) {
            Ok(sends) => match sends.first() {
                Some(message) => answer::json(status, message.bytes().clone()),
                None => answer::empty(status),
            },
            Err(unrecorded) => answer::unrecorded(Some(id), &unrecorded),
        }
    }

    /// A stream of what comes back, judged piece by piece.
    fn stream(&self, events: Events, late: Option<Told>) -> Answer {
        answer::events(judged(Arc::clone(&self.late), events, self.id.clone(), late))
    }
}

/// What the server sends on a stream, judged piece by piece. `id` is the request that the stream
/// answers, if it answers one.
pub fn judged(
    talk: Arc<Late>,
    events: Events,
    id: Option<Id>,
    late: Option<Told>,
) -> impl stream::Stream<Item = Result<Frame<Bytes>, std::convert::Infallible>> + Send + 'static {
    late.as_ref().into_iter().for_each(Told::is_stream);
    let state = Some((talk, events, id, late));
    stream::unfold(state, |state| async move {
        let (talk, mut events, id, late) = state?;
        let conversation = talk.conversation();
        loop {
            if id.as_ref().is_some_and(|id| conversation.look(|it| it.holds(id))) {
                // The server has said its own: what is left is what the person says.
                events.settle();
                let message = told(late.as_ref()).await;
                let last = answers(&message).is_some();
                let encoded = named(&None, None, message.bytes());
                let rest = (!last).then_some((talk, events, id, late));
                return Some((Ok(Frame::data(encoded)), rest));
            }
            let next = tokio::select! {
                next = events.next_or_primer() => next,
                message = told(late.as_ref()) => {
                    let encoded = named(&None, None, message.bytes());
                    let last = answers(&message).is_some();
                    let rest = (!last).then_some((talk, events, id, late));
                    return Some((Ok(Frame::data(encoded)), rest));
                }
            };
            let Ok(Some(next)) = next else {
                let last = ended(conversation, id.as_ref())?;
                return Some((Ok(Frame::data(last)), None));
            };
            if next.data.is_empty() {
                // An event without data primes the client for resumption (2025-11-25).
                let encoded = named(&next.id, next.retry, b"");
                return Some((Ok(Frame::data(encoded)), Some((talk, events, id, late))));
            }
            let heard = Event::Heard { from: Side::Server, bytes: next.data };
            let again = heard.clone();
            let Ok(mut sends) = conversation.take(heard) else { return None };
            if let Some(id) = id.as_ref().filter(|_| sends.is_empty())
                && unreadable(conversation, &again)
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
                        let _told = talk.session().send(&message, &SendHeaders::default()).await;
                    }
                }
            }
            if !out.is_empty() {
                let bytes = Bytes::from(out);
                return Some((Ok(Frame::data(bytes)), Some((talk, events, id, late))));
            }
        }
    })
}

/// Returns when something is said to a request from elsewhere than the server.
async fn told(late: Option<&Told>) -> Cleared {
    if let Some(waits) = late
        && let Some(message) = waits.next().await
    {
        return message;
    }
    std::future::pending().await
}

/// The request that is not wanted any more.
fn cancelled(said: &Event) -> Option<Id> {
    let Event::Said(message) = said else { return None };
    let cancels = message.method() == Some("notifications/cancelled");
    message.get("requestId").filter(|_| cancels).and_then(Id::read)
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
