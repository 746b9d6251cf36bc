//! The clients of an HTTP listener: `stockade serve`.
//!
//! Streamable HTTP in both eras, and HTTP+SSE for clients of 2024-11-05, in front of one server:
//! a remote one ([`remote`]) or a process ([`local`]). Sessions here are the guard's own, whatever
//! the server does: their ids are 128 random bits, bound to the key that opened them.

pub mod answer;
pub mod channel;
mod late;
pub mod local;
mod mail;
mod quiet;
pub mod remote;
pub mod sessions;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use stockade_core::message::{Frame, Id, Kind, Malformed, Message, Side};
use stockade_core::meter::Meter;
use stockade_core::policy::Limits;
use stockade_core::record::{self, Record};
use stockade_core::revision::{self, HEADER_MISMATCH, Revision};
use stockade_core::session::{Era, Parties, Places};
use stockade_core::trace::Parent;
use stockade_wire::binding;
use stockade_wire::http::headers::{LAST_EVENT_ID, PROTOCOL_VERSION, SESSION_ID};
use tokio::net::TcpListener;

use self::answer::{Answer, error};
use self::quiet::quietly;
use self::sessions::{Detached, Session, Sessions};
use super::process::StartError;
use super::{Conversation, Guard, Unrecorded};
use crate::approvals::desk::Desk;
use crate::edge::{Door, Principal, only};

/// How often it is looked whether something takes too long.
const TICK: Duration = Duration::from_millis(500);

/// Of which trace a request is a part (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where the server is.
#[derive(Debug)]
pub enum Upstream {
    /// Somewhere else.
    Remote(remote::Upstream),
    /// A process of ours for each session, and one for all that have none.
    Local(local::Upstream),
}

/// One server, for all clients of one listener.
#[derive(Debug)]
pub struct Gateway {
    guard: Arc<Guard>,
    door: Door,
    upstream: Upstream,
    sessions: Arc<Sessions>,
    conversations: AtomicU64,
    /// Where questions go, and how many of them there may be.
    desk: Desk,
    places: Arc<Places>,
    /// Counts the calls of each principal, in all its sessions and outside of them.
    meters: Mutex<HashMap<Arc<str>, Arc<Meter>>>,
}

/// What is served, and to whom. There is no other route, and none that does without the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A message: Streamable HTTP.
    Post,
    /// A stream of what the server says unasked, or a broken stream taken up again.
    Listen,
    /// The end of a session.
    Delete,
    /// The stream of HTTP+SSE (2024-11-05).
    Sse,
    /// A message to HTTP+SSE.
    SsePost,
}

/// Every route, for `--print-routes`.
pub const ROUTES: &[(Method, &str, Route)] = &[
    (Method::POST, "/mcp", Route::Post),
    (Method::GET, "/mcp", Route::Listen),
    (Method::DELETE, "/mcp", Route::Delete),
    (Method::GET, "/sse", Route::Sse),
    (Method::POST, "/messages", Route::SsePost),
];

/// Why a session has no server.
struct Unreached {
    told: &'static str,
    why: String,
}

impl Gateway {
    /// A gateway behind `door`, whose questions go to `desk`.
    pub fn new(guard: Arc<Guard>, door: Door, upstream: Upstream, desk: Desk) -> Arc<Self> {
        let (sessions, conversations) = (Arc::<Sessions>::default(), AtomicU64::new(0));
        let (meters, places) = (Mutex::default(), Arc::new(Places::shared_by(door.principals())));
        Arc::new(Self { guard, door, upstream, sessions, conversations, desk, places, meters })
    }

    /// Serves what comes in, until `stop`. Then every session ends.
    ///
    /// # Errors
    /// When the ledger takes nothing more: then it ends by itself, and everyone was told.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Unrecorded> {
        let clock = self.tick();
        tokio::pin!(stop, clock);
        // `hyper` takes no less than this for its buffer.
        let header_bytes_max = self.guard.policy().limits.header_bytes_max.max(8 << 10);
        let sweeper = tokio::spawn(Arc::clone(&self).sweep());
        let ended = loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => break Ok(()),
                unrecorded = &mut clock => break Err(unrecorded),
            };
            // Out of descriptors, or a connection that was gone before it was taken: the next one
            // may be luckier.
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let _slower = stream.set_nodelay(true);
            let gateway = Arc::clone(&self);
            let patience = patience(&self.guard.policy().limits);
            tokio::spawn(quietly(async move {
                let answering = Arc::clone(&gateway);
                let service = service_fn(move |request| {
                    let gateway = Arc::clone(&answering);
                    async move { Ok::<_, Infallible>(gateway.answer(peer.ip(), request).await) }
                });
                let mut http = hyper::server::conn::http1::Builder::new();
                http.timer(TokioTimer::new())
                    .header_read_timeout(patience)
                    .max_buf_size(header_bytes_max);
                let ended = http.serve_connection(TokioIo::new(stream), service).await;
                // Otherwise, how a connection ends is the client's affair.
                if let Some(error) = ended.err().filter(hyper::Error::is_parse) {
                    gateway.turned(Some(peer.ip()), None, "http", error.to_string());
                }
            }));
        };
        sweeper.abort();
        self.close().await;
        ended
    }

    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
            let idle = self.sessions.idle();
            join_all(idle.iter().map(|it| it.close("it was idle"))).await;
        }
    }

    /// Ends what takes too long, and everything that waits when nothing can be recorded any more.
    /// That is what it returns with, a moment later: whoever was told reads it meanwhile.
    async fn tick(&self) -> Unrecorded {
        loop {
            tokio::time::sleep(TICK).await;
            let failed = self.guard.tend().err();
            self.sessions.passed();
            match &self.upstream {
                Upstream::Remote(upstream) => upstream.passed(),
                Upstream::Local(upstream) => upstream.passed(),
            }
            if let Some(unrecorded) = failed {
                tokio::time::sleep(TICK).await;
                return unrecorded;
            }
        }
    }

    async fn close(&self) {
        let sessions = self.sessions.all();
        let sessions = join_all(sessions.iter().map(|it| it.close("the guard ends")));
        let shared = async {
            match &self.upstream {
                Upstream::Remote(upstream) => upstream.close(),
                Upstream::Local(upstream) => upstream.close().await,
            }
        };
        tokio::join!(sessions, shared);
    }

    async fn answer(self: &Arc<Self>, peer: IpAddr, request: Request<Incoming>) -> Answer {
        let principal = match self.door.admit(&request) {
            Ok(principal) => principal,
            Err(why) => {
                if let Some((rule, says)) = why.refusal(&request) {
                    self.turned(Some(peer), None, rule, says);
                }
                return self.door.turn_away(why, request.headers(), answer::nothing());
            }
        };
        let (head, body) = request.into_parts();
        let route = ROUTES
            .iter()
            .find(|(method, path, _)| *method == head.method && *path == head.uri.path())
            .map(|(_, _, route)| *route);
        let mut answer = match route {
            // Each is large, and a connection keeps room for what is not apart from it: `hyper` moves
            // that about with every request.
            Some(Route::Post) => Box::pin(self.post(&principal, &head, body)).await,
            Some(Route::Listen) => Box::pin(self.listen(&principal, &head)).await,
            Some(Route::Delete) => Box::pin(self.delete(&principal, &head)).await,
            Some(Route::Sse) => Box::pin(self.sse(&principal)).await,
            Some(Route::SsePost) => Box::pin(self.sse_post(&principal, &head, body)).await,
            None => {
                let known = ROUTES.iter().any(|(_, path, _)| *path == head.uri.path());
                let status =
                    if known { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
                let says = format!("no such route: {status}");
                self.turned(Some(peer), Some(&principal), "route", says);
                answer::empty(status)
            }
        };
        self.door.share(&head.headers, answer.headers_mut());
        answer
    }

    async fn post(self: &Arc<Self>, principal: &Principal, head: &Parts, body: Incoming) -> Answer {
        let policy = self.guard.policy();
        let limits = policy.limits.json();
        let bytes = match read(head, body, limits.bytes_max, patience(&policy.limits)).await {
            Ok(bytes) => bytes,
            Err(status) => return self.unread(principal, status),
        };
        match Frame::parse(Side::Client, bytes, &limits) {
            Ok(Frame::One(message)) => self.message(principal, head, *message).await,
            Ok(Frame::Batch(parts)) => self.batch(principal, head, parts).await,
            Err(malformed) => self.malformed(principal, &malformed),
        }
    }

    async fn message(
        self: &Arc<Self>,
        principal: &Principal,
        head: &Parts,
        message: Message,
    ) -> Answer {
        let trace = only(&head.headers, &TRACEPARENT).filter(|it| Parent::parse(it).is_some());
        let message = match trace {
            Some(it) => message.traced(it),
            None => message,
        };
        let version = head.headers.get(PROTOCOL_VERSION).map(|it| it.to_str().unwrap_or_default());
        let said = version.map(|it| (it, Revision::parse(it)));
        let modern_header =
            said.is_some_and(|(_, it)| it.is_some_and(|it| it.era() == revision::Era::Modern));
        match Era::of(&message) {
            Era::Legacy if modern_header => match message.kind() {
                Kind::Notification => self.modern(principal, head, message).await,
                Kind::Request => {
                    let says = "`_meta` lacks `io.modelcontextprotocol/protocolVersion`";
                    self.refused(principal, message.id(), -32602, says, StatusCode::BAD_REQUEST)
                }
                Kind::Result | Kind::Error => {
                    let says = "an answer, where no server asks";
                    self.refused(principal, message.id(), -32600, says, StatusCode::BAD_REQUEST)
                }
            },
            Era::Legacy => match said {
                Some((_, None)) => {
                    let says = "a revision that nobody knows";
                    self.refused(principal, message.id(), -32600, says, StatusCode::BAD_REQUEST)
                }
                _ => self.legacy(principal, head, message).await,
            },
            Era::Modern(_) | Era::Unknown(_) => self.modern(principal, head, message).await,
        }
    }

    /// A message that describes itself: no session.
    async fn modern(
        self: &Arc<Self>,
        principal: &Principal,
        head: &Parts,
        message: Message,
    ) -> Answer {
        let tool = message.get("name").and_then(|it| self.guard.server.tool(it.str()?));
        if let Err(mismatch) = binding::check(&head.headers, &message, tool.as_deref()) {
            let status = StatusCode::BAD_REQUEST;
            let says = mismatch.to_string();
            return self.refused(principal, message.id(), HEADER_MISMATCH, &says, status);
        }
        match &self.upstream {
            Upstream::Remote(upstream) => {
                let headers = upstream.headers(&head.headers);
                let begin = || self.conversation(principal);
                remote::modern(upstream, principal, &self.desk, begin, message, headers).await
            }
            Upstream::Local(upstream) => {
                let (begin, id) = (|| self.conversation(principal), message.id().cloned());
                let (guard, desk) = (&self.guard, &self.desk);
                let answered = upstream.modern(guard, principal, desk, begin, message).await;
                answered
                    .unwrap_or_else(|it| self.unreached(principal, id.as_ref(), &not_started(&it)))
            }
        }
    }

    /// A message of a session, or the one that opens it.
    async fn legacy(
        self: &Arc<Self>,
        principal: &Principal,
        head: &Parts,
        message: Message,
    ) -> Answer {
        if message.method() == Some("initialize") && message.kind() == Kind::Request {
            return self.open(principal, message).await;
        }
        match self.session(principal, &head.headers) {
            Ok(session) => session.message(message).await,
            Err(status) => {
                let says = "no session that this key has opened";
                self.refused(principal, message.id(), -32600, says, status)
            }
        }
    }

    async fn open(self: &Arc<Self>, principal: &Principal, message: Message) -> Answer {
        let id = message.id().cloned();
        let Some(place) = self.sessions.place(self.guard.policy().limits.sessions_max) else {
            let says = "too many sessions";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return self.refused(principal, id.as_ref(), -32603, says, status);
        };
        match self.begin(principal).await {
            Ok(session) => self.sessions.open(place, session, message).await,
            Err(why) => self.unreached(principal, id.as_ref(), &why),
        }
    }

    /// A session that has not begun, with a way to the server.
    async fn begin(&self, principal: &Principal) -> Result<Session, Unreached> {
        let conversation = self.conversation(principal);
        let (parties, talk) = (conversation.parties(), Arc::clone(&conversation));
        let line = match &self.upstream {
            Upstream::Remote(upstream) if !upstream.http().is_sse() => {
                let (principal, http) = (principal.clone(), upstream.session());
                return Ok(Session::remote(principal, conversation, http, &self.desk));
            }
            Upstream::Remote(upstream) => {
                let line = local::Line::sse(upstream.http(), talk).await;
                line.map_err(|it| Unreached {
                    told: "the server cannot be reached",
                    why: self.guard.unreached(&it),
                })?
            }
            Upstream::Local(upstream) => {
                let line = upstream.start(&self.guard, &parties, talk).await;
                line.map_err(|it| not_started(&it))?
            }
        };
        Ok(Session::local(principal.clone(), conversation, line, &self.desk))
    }

    /// An array of messages, which is one input in revision 2025-03-26 and an error in all others.
    async fn batch(
        self: &Arc<Self>,
        principal: &Principal,
        head: &Parts,
        parts: Vec<Result<Message, Malformed>>,
    ) -> Answer {
        let session = self.session(principal, &head.headers).ok();
        let Some(session) = session.filter(|it| it.has_batches()) else {
            let says = "a batch, which only revision 2025-03-26 has";
            return self.refused(principal, None, -32600, says, StatusCode::BAD_REQUEST);
        };
        let (gateway, principal) = (Arc::clone(self), principal.clone());
        // A client that goes away has not cancelled the parts that are still to come.
        Detached::new(async move {
            let mut answers = Vec::new();
            for part in parts {
                let answer = match part {
                    Ok(message) => session.message(message).await,
                    Err(malformed) => gateway.malformed(&principal, &malformed),
                };
                answers.extend(answer::messages(answer).await);
            }
            answer::batch(&answers)
        })
        .await
    }

    async fn listen(self: &Arc<Self>, principal: &Principal, head: &Parts) -> Answer {
        let after = head.headers.get(LAST_EVENT_ID).and_then(|it| it.to_str().ok());
        match self.session(principal, &head.headers) {
            Ok(session) => session.listen(after).await,
            // Without a session there is nothing to listen to: 2026-07-28 has no GET at all.
            Err(StatusCode::BAD_REQUEST) => {
                self.no_session(principal, StatusCode::METHOD_NOT_ALLOWED)
            }
            Err(status) => self.no_session(principal, status),
        }
    }

    async fn delete(self: &Arc<Self>, principal: &Principal, head: &Parts) -> Answer {
        match self.session(principal, &head.headers) {
            Ok(session) => {
                self.sessions.remove(&session);
                session.close("the client ended it").await;
                answer::empty(StatusCode::OK)
            }
            Err(StatusCode::BAD_REQUEST) => {
                self.no_session(principal, StatusCode::METHOD_NOT_ALLOWED)
            }
            Err(status) => self.no_session(principal, status),
        }
    }

    async fn sse(self: &Arc<Self>, principal: &Principal) -> Answer {
        let Some(place) = self.sessions.place(self.guard.policy().limits.sessions_max) else {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return self.refused(principal, None, -32603, "too many sessions", status);
        };
        match self.begin(principal).await {
            Ok(session) => self.sessions.open_sse(place, session),
            Err(why) => self.unreached(principal, None, &why),
        }
    }

    async fn sse_post(
        self: &Arc<Self>,
        principal: &Principal,
        head: &Parts,
        body: Incoming,
    ) -> Answer {
        let query = head.uri.query().unwrap_or_default();
        let id = query.split('&').find_map(|it| it.strip_prefix("sessionId="));
        let session = id.and_then(|it| self.sessions.get(it, principal));
        let Some(session) = session else {
            return self.no_session(principal, StatusCode::NOT_FOUND);
        };
        let limits = self.guard.policy().limits;
        match read(head, body, limits.message_bytes_max, patience(&limits)).await {
            Ok(bytes) => session.heard(bytes).await,
            Err(status) => self.unread(principal, status),
        }
    }

    /// The session that a request belongs to: 400 when it names none, 404 when there is none of
    /// that id that this key has opened.
    fn session(
        &self,
        principal: &Principal,
        headers: &HeaderMap,
    ) -> Result<Arc<Session>, StatusCode> {
        let id = headers.get(SESSION_ID).ok_or(StatusCode::BAD_REQUEST)?;
        let id = id.to_str().map_err(|_| StatusCode::BAD_REQUEST)?;
        self.sessions.get(id, principal).ok_or(StatusCode::NOT_FOUND)
    }

    /// A conversation that has not begun.
    fn conversation(&self, principal: &Principal) -> Arc<Conversation> {
        let (guard, meter) = (Arc::clone(&self.guard), self.meter(principal));
        let conversation = Conversation::metered(guard, self.parties(principal), meter);
        conversation.shares(Arc::clone(&self.places));
        Arc::new(conversation)
    }

    fn parties(&self, principal: &Principal) -> Parties {
        let number = self.conversations.fetch_add(1, Ordering::Relaxed);
        Parties {
            session: format!("{}-{number}", self.guard.sessions()).into(),
            principal: Arc::clone(&principal.0),
        }
    }

    fn meter(&self, principal: &Principal) -> Arc<Meter> {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(meters.entry(Arc::clone(&principal.0)).or_default())
    }

    /// Writes down that a request was turned away, which it is in any case: a ledger that cannot be
    /// written ends the guard.
    fn turned(&self, peer: Option<IpAddr>, who: Option<&Principal>, rule: &str, says: String) {
        let _recorded = self.guard.record(&Record {
            kind: record::Kind::Refusal,
            principal: who.map(|it| Arc::clone(&it.0)).unwrap_or_default(),
            peer,
            server: Arc::clone(&self.guard.server.name),
            rule: Some(rule.to_owned()),
            says,
            ..Record::default()
        });
    }

    fn no_session(&self, principal: &Principal, status: StatusCode) -> Answer {
        let says = format!("no session that this key has opened: {status}");
        self.turned(None, Some(principal), "session", says);
        answer::empty(status)
    }

    fn unread(&self, principal: &Principal, status: StatusCode) -> Answer {
        let says = format!("a body that could not be read: {status}");
        self.refused(principal, None, -32600, &says, status)
    }

    fn malformed(&self, principal: &Principal, malformed: &Malformed) -> Answer {
        let status = StatusCode::BAD_REQUEST;
        let recorded = self.violation(principal, &malformed.says);
        let text = match malformed.code {
            -32700 => "not JSON that can be read in one way",
            _ => "not a JSON-RPC 2.0 message",
        };
        match recorded {
            Ok(()) => error(malformed.id.as_ref(), malformed.code, text, status),
            Err(unrecorded) => answer::unrecorded(malformed.id.as_ref(), &unrecorded),
        }
    }

    /// Refuses a message that was not taken in, and writes down why.
    fn refused(
        &self,
        principal: &Principal,
        id: Option<&Id>,
        code: i64,
        says: &str,
        status: StatusCode,
    ) -> Answer {
        match self.violation(principal, says) {
            Ok(()) => error(id, code, says, status),
            Err(unrecorded) => answer::unrecorded(id, &unrecorded),
        }
    }

    /// What a client is told of a server that it cannot have, and what is written down of it.
    fn unreached(&self, principal: &Principal, id: Option<&Id>, why: &Unreached) -> Answer {
        match self.violation(principal, &format!("{}: {}", why.told, why.why)) {
            Ok(()) => error(id, -32603, why.told, StatusCode::BAD_GATEWAY),
            Err(unrecorded) => answer::unrecorded(id, &unrecorded),
        }
    }

    fn violation(&self, principal: &Principal, says: &str) -> Result<(), Unrecorded> {
        self.guard.record(&Record {
            kind: record::Kind::Violation,
            principal: Arc::clone(&principal.0),
            server: Arc::clone(&self.guard.server.name),
            from: Some(Side::Client.name()),
            says: says.to_owned(),
            ..Record::default()
        })
    }
}

/// A client is not told why: paths of this machine are in it.
fn not_started(error: &StartError) -> Unreached {
    Unreached { told: "the server cannot be started", why: error.to_string() }
}

/// How long a client may take to send its headers, and then its body.
fn patience(limits: &Limits) -> Duration {
    Duration::from_secs(u64::try_from(limits.request_read_s).unwrap_or(u64::MAX))
}

/// The body of a request, within the limits of size and time.
async fn read(
    head: &Parts,
    body: Incoming,
    bytes_max: usize,
    patience: Duration,
) -> Result<Bytes, StatusCode> {
    let declared = head.headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    if declared.is_some_and(|it: usize| it > bytes_max) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let collected = tokio::time::timeout(patience, Limited::new(body, bytes_max).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(StatusCode::PAYLOAD_TOO_LARGE)
        }
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}
