//! The way to the server, for a client that has one stream for everything: standard input and
//! output, or legacy HTTP+SSE.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use stockade_core::judge::Cleared;
use stockade_core::message::{Id, Kind, Message, Side};
use stockade_core::revision::{Era, Revision};
use stockade_core::session::{Event, Server};
use stockade_wire::error::WireError;
use stockade_wire::events::Events;
use stockade_wire::http::client::{HttpSession, Probed};
use stockade_wire::http::connection::HttpUpstream;
use stockade_wire::http::headers::SendHeaders;
use stockade_wire::http::resume::{Resumed, Resumption};
use stockade_wire::memory::MemoryWriter;
use stockade_wire::stdio::SharedWriter;
use stockade_wire::upstream::{Reply, Upstream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::gateway::channel::Channel;
use super::process::StartError;
use super::{Conversation, Unrecorded};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where messages for the client go.
#[derive(Clone, Debug)]
pub enum Outbox {
    /// A stream of lines.
    Lines(SharedWriter),
    /// A stream of events.
    Events(Arc<Channel>),
    /// A script in this process.
    Script(MemoryWriter),
}

impl Outbox {
    async fn send(&self, message: &Cleared) -> Result<(), LinkError> {
        match self {
            Self::Lines(writer) => writer.send(message).await.map_err(LinkError::Client),
            Self::Script(writer) => writer.send(message).await.map_err(LinkError::Client),
            Self::Events(channel) => {
                channel.push(message.bytes()).await;
                Ok(())
            }
        }
    }
}

/// Why a conversation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A record was not taken.
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
    /// The client's side broke.
    #[error("the client cannot be reached")]
    Client(#[source] WireError),
    /// The server's side broke.
    #[error("the server cannot be reached")]
    Server(#[source] WireError),
    /// The process that took the place of another cannot be used.
    #[error("{0}")]
    Anew(String),
    /// The server's process could not be replaced by another.
    #[error("the server cannot be started anew")]
    NotStarted(#[source] StartError),
}

/// The way to the server.
#[derive(Debug)]
pub struct Link {
    /// What it turned out to be, once that is known.
    way: Mutex<Option<Upstream>>,
    /// Where to find out.
    remote: Option<HttpUpstream>,
    /// The requests that a remote server has not answered, by id.
    running: Mutex<HashMap<Id, AbortHandle>>,
}

impl Link {
    /// To a process that reads lines.
    pub fn lines(writer: SharedWriter) -> Self {
        Self::known(Upstream::Stdio(writer))
    }

    /// To a server that is known to speak Streamable HTTP, or HTTP+SSE.
    pub fn known(way: Upstream) -> Self {
        Self { way: Mutex::new(Some(way)), remote: None, running: Mutex::default() }
    }

    /// To a server at an address: what it speaks shows with the first message.
    pub fn remote(remote: HttpUpstream) -> Self {
        Self { way: Mutex::default(), remote: Some(remote), running: Mutex::default() }
    }

    /// From now on to another process.
    pub fn replace(&self, way: Upstream) {
        *lock(&self.way) = Some(way);
    }

    /// Takes in an event, and carries what is to be sent to where it goes, in order.
    ///
    /// # Errors
    /// When one side cannot be reached, or the ledger cannot be written; in that case everyone who
    /// waits was told.
    pub async fn take(
        self: &Arc<Self>,
        conversation: &Arc<Conversation>,
        outbox: &Outbox,
        event: Event,
    ) -> Result<(), LinkError> {
        let event = conversation.looked(event).await;
        let sends = match conversation.take(event) {
            Ok(sends) => sends,
            Err(unrecorded) => {
                for message in conversation.abandon() {
                    outbox.send(&message).await?;
                }
                return Err(unrecorded.into());
            }
        };
        for message in sends {
            match message.to() {
                Side::Client => outbox.send(&message).await?,
                Side::Server => self.forward(conversation, outbox, message).await?,
            }
        }
        Ok(())
    }

    async fn forward(
        self: &Arc<Self>,
        conversation: &Arc<Conversation>,
        outbox: &Outbox,
        message: Cleared,
    ) -> Result<(), LinkError> {
        let method = message.message().method();
        if let Some(remote) = self.remote.as_ref().filter(|_| method != Some("initialize")) {
            // Only a session has to find out what is spoken. Nothing waits for the answer to this.
            lock(&self.way).get_or_insert_with(|| Upstream::Http(Arc::new(remote.session())));
        }
        let way = lock(&self.way).clone();
        if let Some(Upstream::Stdio(writer)) = way {
            // Whoever does not read for that long will not read on, and all that is said after this
            // message waits behind it: the end of the client's input as well.
            let patience = conversation.guard().policy().limits.call_timeout();
            let late = |_| Err(WireError::Timeout { after: patience });
            let sent = timeout(patience, writer.send(&message)).await.unwrap_or_else(late);
            return sent.map_err(LinkError::Server);
        }
        let said = message.message();
        let method = said.method().unwrap_or_default();
        let revision = conversation.look(|it| it.revision());
        if method == "notifications/cancelled" && revision.is_some_and(Revision::disconnect_cancels)
        {
            // Closing the stream of the answer is what cancels (2026-07-28, "Cancellation").
            let id = said.get("requestId").and_then(Id::read);
            let running = id.and_then(|it| lock(&self.running).remove(&it));
            running.inspect(AbortHandle::abort);
            return Ok(());
        }
        let id = said.id().cloned().filter(|_| said.kind() == Kind::Request);
        let greets = method == "notifications/initialized";
        // Until it is known what the server speaks, and where nobody waits for an answer, messages
        // go one after the other.
        let in_order = id.is_none() || lock(&self.way).is_none();
        let (link, talk, out) = (Arc::clone(self), Arc::clone(conversation), outbox.clone());
        // Boxed, since carrying what comes back may lead here again.
        let headers = params(said, &conversation.guard().server);
        let exchange: Boxed<'_, ()> =
            Box::pin(async move { link.exchange(&talk, &out, &message, headers).await });
        match id {
            Some(id) if !in_order => {
                let (link, running) = (Arc::clone(self), id.clone());
                let task = tokio::spawn(async move {
                    exchange.await;
                    lock(&link.running).remove(&running);
                });
                if !task.is_finished() {
                    lock(&self.running).insert(id, task.abort_handle());
                }
            }
            _ => exchange.await,
        }
        if greets {
            let (link, talk, out) = (Arc::clone(self), Arc::clone(conversation), outbox.clone());
            let listening: Boxed<'_, ()> = Box::pin(async move { link.listen(&talk, &out).await });
            tokio::spawn(listening);
        }
        Ok(())
    }

    /// Sends one message to a remote server, and takes in what comes back for it.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        conversation: &Arc<Conversation>,
        outbox: &Outbox,
        message: &Cleared,
        headers: SendHeaders,
    ) {
        let said = message.message();
        let sent = self.send(conversation, outbox, message, &headers).await;
        if sent.is_ok() {
            conversation.guard().reached();
        }
        let failed = match sent {
            Ok(Reply::Later) => return,
            Ok(Reply::Body { bytes, lease, .. }) => {
                if let Some(id) = said.id().filter(|_| said.kind() == Kind::Request) {
                    let event = Event::Answered { id: id.clone(), bytes };
                    let _closed = self.take_boxed(conversation, outbox, event).await;
                    if !conversation.look(|session| session.waits_for(id)) {
                        lease.settle();
                    }
                }
                "the server answered something else".to_owned()
            }
            Ok(Reply::Events(events)) => {
                self.answer(conversation, outbox, events, said.id(), headers).await;
                "the stream of the answer ended without it".to_owned()
            }
            Err(error) => conversation.guard().unreached(&error),
        };
        // Whoever still waits for this request will wait for ever.
        let id = said.id().filter(|_| said.kind() == Kind::Request);
        if let Some(id) = id.filter(|it| conversation.look(|session| session.waits_for(it))) {
            let event = Event::Unanswered { id: id.clone(), why: failed };
            let _closed = self.take_boxed(conversation, outbox, event).await;
        }
    }

    async fn send(
        self: &Arc<Self>,
        conversation: &Arc<Conversation>,
        outbox: &Outbox,
        message: &Cleared,
        headers: &SendHeaders,
    ) -> Result<Reply, WireError> {
        let way = lock(&self.way).clone();
        let remote = match (way, &self.remote) {
            (Some(way), _) => {
                if let Upstream::Http(http) = &way {
                    agree(conversation, http);
                }
                return way.send(message, headers).await;
            }
            (None, Some(remote)) => remote,
            (None, None) => return Err(WireError::Closed),
        };
        match remote.probe(message, headers).await? {
            Probed::Streamable(http, reply) => {
                *lock(&self.way) = Some(Upstream::Http(Arc::new(http)));
                Ok(reply)
            }
            Probed::Sse(sse, mut events) => {
                *lock(&self.way) = Some(Upstream::Sse(Arc::new(sse)));
                let (link, talk, out) =
                    (Arc::clone(self), Arc::clone(conversation), outbox.clone());
                let listening: Boxed<'_, ()> = Box::pin(async move {
                    while let Ok(Some(event)) = events.next().await {
                        if !link.heard(&talk, &out, event.data).await {
                            return;
                        }
                    }
                    let why = "the stream of the server ended".to_owned();
                    let left = Event::Left(Side::Server, why);
                    let _closed = link.take_boxed(&talk, &out, left).await;
                });
                tokio::spawn(listening);
                Ok(Reply::Later)
            }
        }
    }

    /// What the server says without being asked, where it can.
    async fn listen(self: &Arc<Self>, conversation: &Arc<Conversation>, outbox: &Outbox) {
        let Some(Upstream::Http(http)) = lock(&self.way).clone() else { return };
        let Ok(Some(events)) = http.listen(None, SendHeaders::NONE).await else { return };
        let headers = SendHeaders::default();
        let mut events = Resumed::listening(http, events, headers, Resumption::default());
        while let Ok(Some(event)) = events.next().await {
            if !self.heard(conversation, outbox, event.data).await {
                return;
            }
        }
    }

    /// The stream that answers a request: taken up again where it breaks, until the answer is here.
    async fn answer(
        self: &Arc<Self>,
        conversation: &Arc<Conversation>,
        outbox: &Outbox,
        events: Events,
        id: Option<&Id>,
        headers: SendHeaders,
    ) {
        let Some(Upstream::Http(http)) = lock(&self.way).clone() else { return };
        let resumes = conversation.look(|it| it.revision()).is_none_or(Revision::resumes);
        let tries_max = if resumes { Resumption::default().tries_max } else { 0 };
        let how = Resumption { tries_max, ..Resumption::default() };
        let mut events = Resumed::answer(http, events, headers, how);
        let waits = || id.is_some_and(|id| conversation.look(|it| it.waits_for(id)));
        while waits() {
            let Ok(Some(event)) = events.next().await else { return };
            if !self.heard(conversation, outbox, event.data).await {
                return;
            }
        }
    }

    /// Takes in what a remote server said. False when the conversation is over.
    async fn heard(
        self: &Arc<Self>,
        conversation: &Arc<Conversation>,
        outbox: &Outbox,
        bytes: Bytes,
    ) -> bool {
        let event = Event::Heard { from: Side::Server, bytes };
        self.take_boxed(conversation, outbox, event).await.is_ok()
    }

    fn take_boxed<'a>(
        self: &'a Arc<Self>,
        conversation: &'a Arc<Conversation>,
        outbox: &'a Outbox,
        event: Event,
    ) -> Boxed<'a, Result<(), LinkError>> {
        Box::pin(self.take(conversation, outbox, event))
    }

    /// Tells a process that nothing more will be asked.
    pub async fn finish(&self) {
        let way = lock(&self.way).clone();
        if let Some(Upstream::Stdio(writer)) = way {
            writer.close().await;
        }
    }

    /// Ends what runs, and the session with the server.
    pub async fn close(&self) {
        self.finish().await;
        for (_, running) in lock(&self.running).drain() {
            running.abort();
        }
        let way = lock(&self.way).clone();
        if let Some(Upstream::Http(http)) = way {
            // A server that cannot be told ends the session when it likes.
            let _told = http.close(SendHeaders::NONE).await;
        }
    }
}

/// Has every later request of a session name the revision that was agreed on in it.
pub fn agree(conversation: &Conversation, http: &HttpSession) {
    let agreed = conversation.look(|it| it.revision()).filter(|it| it.era() == Era::Legacy);
    if let Some(revision) = agreed.filter(|_| http.revision().is_none()) {
        http.negotiated(revision);
    }
}

/// The headers that repeat arguments of a call, where its tool asks for them (2026-07-28,
/// `x-mcp-header`).
fn params(message: &Message, server: &Server) -> SendHeaders {
    let mut headers = SendHeaders::default();
    let called = message.method().filter(|it| *it == "tools/call");
    let tool = called.and_then(|_| server.tool(message.get("name")?.str()?));
    for (path, name) in tool.iter().flat_map(|it| &it.headers) {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        let argument = message.get("arguments").and_then(|it| it.path(&steps));
        let Some(argument) = argument.filter(|it| !it.is_null()) else { continue };
        let text = argument.str().map_or_else(|| argument.to_value().to_string(), str::to_owned);
        // A name that cannot be a header was found when the tool was listed.
        let _unusable = headers.param(name, &text);
    }
    headers
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
