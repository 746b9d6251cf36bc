//! Streamable HTTP: one client's conversation with a server, in both eras.
//!
//! Up to 2025-11-25 a server may give out a session, which every later request names; from
//! 2026-07-28 on each request says in headers what its body says, and there is nothing to
//! remember.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use stockade_core::json::{self, Json};
use stockade_core::judge::Cleared;
use stockade_core::message::{Kind, Message, Side};
use stockade_core::revision::{Era, META_VERSION, Revision, named_by};

use crate::error::WireError;
use crate::events::Events;
use crate::http::connection::{Content, HttpUpstream, collect, status_error, wants_credentials};
use crate::http::headers::{
    LAST_EVENT_ID, METHOD, NAME, PROTOCOL_VERSION, SESSION_ID, SendHeaders, text,
};
use crate::http::pool::Answering;
use crate::sse::client::SseSession;
use crate::upstream::Reply;

const ACCEPT_BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const ACCEPT_EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the id of a session may measure.
const SESSION_BYTES_MAX: usize = 4 << 10;

/// One client's conversation with a server. For each client another one: a session is that of one
/// principal, and is never shared.
pub struct HttpSession {
    upstream: HttpUpstream,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    id: Option<HeaderValue>,
    revision: Option<Revision>,
}

/// What a server turned out to speak.
#[derive(Debug)]
pub enum Probed {
    /// Streamable HTTP, and its answer.
    Streamable(HttpSession, Reply),
    /// HTTP+SSE of 2024-11-05. The answer comes as an event.
    Sse(SseSession, Events),
}

impl HttpUpstream {
    /// A conversation that has not begun.
    pub fn session(&self) -> HttpSession {
        HttpSession { upstream: self.clone(), state: RwLock::default() }
    }

    /// Begins a conversation of the legacy era with `initialize`, over Streamable HTTP, or, where
    /// the server refuses that as one of 2024-11-05 does, over HTTP+SSE.
    ///
    /// # Errors
    /// What Streamable HTTP said, when neither is spoken.
    pub async fn probe(
        &self,
        initialize: &Cleared,
        headers: &SendHeaders,
    ) -> Result<Probed, WireError> {
        let session = self.session();
        let refused = match session.send(initialize, headers).await {
            Ok(Reply::Body { status, bytes, .. })
                if is_unknown(status) && !is_error_message(bytes.clone()) =>
            {
                WireError::Status { status, challenge: None }
            }
            Err(WireError::Status { status, challenge }) if is_unknown(status) => {
                WireError::Status { status, challenge }
            }
            other => return other.map(|it| Probed::Streamable(session, it)),
        };
        match SseSession::open(self, headers).await {
            Ok((session, events)) => {
                session.send(initialize, headers).await?;
                Ok(Probed::Sse(session, events))
            }
            Err(WireError::Status { .. } | WireError::NotMcp(_)) => Err(refused),
            Err(it) => Err(it),
        }
    }
}

/// Whether a server of 2024-11-05 answers so to a POST at the address of its stream.
fn is_unknown(status: u16) -> bool {
    matches!(status, 400 | 404 | 405)
}

fn is_error_message(bytes: Bytes) -> bool {
    Message::parse(Side::Server, bytes, &json::Limits::default())
        .is_ok_and(|it| it.kind() == Kind::Error)
}

impl HttpSession {
    /// Sends one message.
    ///
    /// In the modern era `notifications/cancelled` is not sent: who drops the [`Events`] of a
    /// request, or the future that waits for them, has cancelled it.
    ///
    /// # Errors
    /// [`WireError::SessionLost`] when the server wants `initialize` again;
    /// [`WireError::Status`] for what is no answer, a redirect among it.
    pub async fn send(&self, message: &Cleared, headers: &SendHeaders) -> Result<Reply, WireError> {
        let said = message.message();
        let version = said.meta(META_VERSION).and_then(Json::str);
        let (mut head, has_session) = self.head();
        head.insert(header::ACCEPT, ACCEPT_BOTH);
        head.insert(header::CONTENT_TYPE, JSON);
        let is_modern = version.map_or(self.revision(), Revision::parse).map(Revision::era)
            == Some(Era::Modern)
            // A revision that is not known here is newer.
            || version.is_some_and(|it| Revision::parse(it).is_none());
        if is_modern {
            if said.method() == Some("notifications/cancelled") {
                return Ok(Reply::Later);
            }
            describe(said, version, &mut head)?;
            headers.add_params(&mut head);
        }
        headers.add_extra(&mut head);
        let uri = self.upstream.uri();
        let exchange = async {
            let body = message.bytes().clone();
            let response = self.upstream.request(Method::POST, uri, head, body).await?;
            if !is_modern && has_session && response.status() == StatusCode::NOT_FOUND {
                return Err(WireError::SessionLost);
            }
            if !is_modern && said.method() == Some("initialize") && response.status().is_success() {
                self.remember(&response)?;
            }
            self.answer(said, response).await
        };
        self.upstream.in_time(exchange).await
    }

    async fn answer(
        &self,
        said: &Message,
        response: Response<Answering>,
    ) -> Result<Reply, WireError> {
        let status = response.status();
        let limits = self.upstream.limits();
        let nobody_waits = said.kind() != Kind::Request;
        if status == StatusCode::ACCEPTED || status == StatusCode::NO_CONTENT {
            if nobody_waits {
                response.body().settled().settle();
            }
            return Ok(Reply::Later);
        }
        if wants_credentials(&response) {
            return Err(status_error(&response));
        }
        let is_error = status.is_client_error() || status.is_server_error();
        match Content::of(&response) {
            Content::Json if status.is_success() => {
                let mut body = response.into_body();
                let bytes = collect(&mut body, limits.frame_bytes_max).await?;
                Ok(Reply::Body { status: status.as_u16(), bytes, lease: body.lease() })
            }
            Content::Json if is_error => {
                let error = status_error(&response);
                let mut body = response.into_body();
                match collect(&mut body, limits.error_bytes_max).await {
                    Ok(bytes) => {
                        Ok(Reply::Body { status: status.as_u16(), bytes, lease: body.lease() })
                    }
                    Err(_) => Err(error),
                }
            }
            Content::Events if status == StatusCode::OK => {
                Ok(Reply::Events(Events::new(response.into_body(), limits.frame_bytes_max)))
            }
            Content::Json | Content::Events | Content::Nothing | Content::Other => {
                if !status.is_success() {
                    return Err(status_error(&response));
                }
                if !nobody_waits {
                    return Err(WireError::NotMcp("an answer that is neither JSON nor events"));
                }
                // Nobody waits for more than that it has come.
                Ok(Reply::Later)
            }
        }
    }

    /// Keeps the revision that the server has chosen: every later request names it.
    pub fn negotiated(&self, revision: Revision) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.revision = Some(revision);
    }

    /// The revision that was negotiated.
    pub fn revision(&self) -> Option<Revision> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).revision
    }

    /// Opens the stream of what the server says unasked, or takes it up after `last_event_id`.
    /// `None` when the server has none.
    ///
    /// # Errors
    /// As [`HttpSession::send`].
    pub async fn listen(
        &self,
        last_event_id: Option<&str>,
        headers: &SendHeaders,
    ) -> Result<Option<Events>, WireError> {
        let (mut head, has_session) = self.head();
        head.insert(header::ACCEPT, ACCEPT_EVENTS);
        if let Some(id) = last_event_id {
            let id = HeaderValue::from_bytes(id.as_bytes())
                .map_err(|_| WireError::NotMcp("an event id that fits no header"))?;
            head.insert(LAST_EVENT_ID, id);
        }
        headers.add_extra(&mut head);
        let uri = self.upstream.uri();
        let request = self.upstream.request(Method::GET, uri, head, Bytes::new());
        let response = self.upstream.in_time(request).await?;
        match response.status() {
            StatusCode::OK if Content::of(&response) == Content::Events => {
                let frame_bytes_max = self.upstream.limits().frame_bytes_max;
                Ok(Some(Events::new(response.into_body(), frame_bytes_max)))
            }
            StatusCode::OK => Err(WireError::NotMcp("not an event stream")),
            StatusCode::METHOD_NOT_ALLOWED => Ok(None),
            StatusCode::NOT_FOUND if has_session => Err(WireError::SessionLost),
            _ => Err(status_error(&response)),
        }
    }

    /// Ends the session at the server, where there is one. A server that keeps sessions to itself
    /// (405), or has forgotten this one (404), is at the same end.
    ///
    /// # Errors
    /// When the server cannot be reached or says another thing.
    pub async fn close(&self, headers: &SendHeaders) -> Result<(), WireError> {
        let (mut head, has_session) = self.head();
        if !has_session {
            return Ok(());
        }
        headers.add_extra(&mut head);
        let uri = self.upstream.uri();
        let request = self.upstream.request(Method::DELETE, uri, head, Bytes::new());
        let response = self.upstream.in_time(request).await?;
        match response.status() {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(()),
            it if it.is_success() => Ok(()),
            _ => Err(status_error(&response)),
        }
    }

    /// The headers that every request has, and whether they name a session. They are made anew
    /// each time: kept, they would be most of what an idle session takes.
    fn head(&self) -> (HeaderMap, bool) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut head = HeaderMap::with_capacity(8);
        head.insert(header::HOST, self.upstream.host().clone());
        self.upstream.headers().add_extra(&mut head);
        if let Some(revision) = state.revision.filter(|it| *it >= Revision::V2025_06_18) {
            head.insert(PROTOCOL_VERSION, HeaderValue::from_static(revision.name()));
        }
        head.extend(state.id.clone().map(|id| (SESSION_ID, id)));
        (head, state.id.is_some())
    }

    /// Keeps the session that the server has given out.
    fn remember(&self, response: &Response<Answering>) -> Result<(), WireError> {
        let Some(id) = response.headers().get(SESSION_ID) else { return Ok(()) };
        let visible = id.as_bytes().iter().all(u8::is_ascii_graphic);
        if id.is_empty() || id.len() > SESSION_BYTES_MAX || !visible {
            return Err(WireError::NotMcp("a session id that is not visible ASCII"));
        }
        // A copy: what came is a part of the buffer that the whole response was read into, and would
        // keep all of it for as long as the session lasts.
        let copied = HeaderValue::from_bytes(id.as_bytes());
        let mut id = copied.map_err(|_| WireError::NotMcp("a session id that fits no header"))?;
        id.set_sensitive(true);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.id = Some(id);
        Ok(())
    }
}

impl fmt::Debug for HttpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revision = self.revision();
        f.debug_tuple("HttpSession").field(&self.upstream).field(&revision).finish()
    }
}

/// Writes the headers that repeat what the body says (2026-07-28, "Request Headers").
fn describe(said: &Message, version: Option<&str>, head: &mut HeaderMap) -> Result<(), WireError> {
    head.remove(SESSION_ID);
    if let Some(it) = version {
        head.insert(PROTOCOL_VERSION, text(&PROTOCOL_VERSION, it)?);
    }
    let Some(method) = said.method() else { return Ok(()) };
    head.insert(METHOD, text(&METHOD, method)?);
    let name = named_by(method).and_then(|it| said.get(it)).and_then(Json::str);
    if let Some(it) = name {
        head.insert(NAME, text(&NAME, it)?);
    }
    Ok(())
}
