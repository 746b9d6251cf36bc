//! A client that is a script: what it says goes the way of every client's messages, is judged and
//! written down, and what comes back is what a client would see.
//!
//! It declares everything that a client can do, or a server would not show what it has for those who
//! can, and answers nothing of what it is asked.

pub mod offers;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use stockade_core::message::{Id, Kind, Message, Side};
use stockade_core::revision::{self, META_CAPABILITIES, META_CLIENT, META_VERSION, Revision};
use stockade_core::session::Parties;
use stockade_sandbox::Spec;
use stockade_wire::frame::{self, Lines};
use stockade_wire::http::connection::HttpUpstream;
use stockade_wire::memory::{self, Peer};
use tokio::io::Empty;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::guard::link::{Link, Outbox};
use crate::guard::process::{Process, StartError, Started};
use crate::guard::roots::{Reserve, Roots};
use crate::guard::stdio::carry;
use crate::guard::{Conversation, Guard};

/// How long a server may take to say whether it speaks the newest era. Many that do not answer what
/// they do not know with nothing at all.
const PROBE: Duration = Duration::from_secs(5);

/// How the server of a script is reached.
#[derive(Clone, Debug)]
pub enum Way {
    /// It is started, and ends with the script.
    Process(Box<Spec>),
    /// It is at an address.
    Remote(HttpUpstream),
}

/// Why a script cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The conversation is over.
    #[error("the server has ended the conversation{0}")]
    Ended(String),
    /// There was no answer in time.
    #[error("the server does not answer `{0}`")]
    Silent(String),
    /// The answer is an error.
    #[error("the server answers `{method}` with the error {code}: {says}")]
    Refused {
        /// What was asked.
        method: String,
        /// The error.
        code: i64,
        /// In the server's words, which are anybody's.
        says: String,
    },
    /// What came cannot be used.
    #[error("{0}")]
    Wrong(String),
}

/// A client, while its script runs.
#[derive(Debug)]
pub struct Client {
    peer: Peer,
    requests: u64,
    /// From 2026-07-28 on, every request describes itself.
    era: revision::Era,
    patience: Duration,
}

/// Has `script` talk to a server, in a conversation of its own, and says what it came to.
///
/// # Errors
/// When the server cannot be started.
pub async fn converse<T>(
    guard: &Arc<Guard>,
    way: &Way,
    era: revision::Era,
    script: impl AsyncFnOnce(&mut Client) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let limits = frame::Limits::default();
    let (incoming, writer, peer) = memory::pair(&limits);
    let parties = Parties { session: guard.sessions().into(), principal: "local".into() };
    let conversation = Arc::new(Conversation::new(Arc::clone(guard), parties.clone()));
    let patience = guard.policy().limits.call_timeout();
    let mut client = Client { peer, requests: 0, era, patience };
    // Nothing is asked of the roots of a client that has none.
    let reserve = Reserve { keep: Arc::new(|_| Ok(())), starts: Arc::new(|_| ()) };
    let mut roots = Roots::new(None, reserve);
    let (done, ended) = oneshot::channel::<()>();
    let stop = async { drop(ended.await) };
    let said = async {
        let said = script(&mut client).await;
        // Nobody waits for it where the conversation has ended before.
        let _over = done.send(());
        said
    };
    match way {
        Way::Process(spec) => {
            let started = Process::start(spec, None, guard, &parties, false).await?;
            let Started { process, input, output } = started;
            let link = Arc::new(Link::lines(input));
            let outbox = Outbox::Script(writer);
            let carried =
                carry(conversation, link, outbox, incoming, Some(output), &mut roots, stop);
            let (_ended, said) = tokio::join!(carried, said);
            let how = process.end().await;
            let last = process.last_lines().join("\n  ");
            said.map_err(|error| match error {
                ClientError::Ended(_) => ClientError::Ended(format!(": it {how}\n  {last}")),
                other @ (ClientError::Start(_)
                | ClientError::Silent(_)
                | ClientError::Refused { .. }
                | ClientError::Wrong(_)) => other,
            })
        }
        Way::Remote(http) => {
            let link = Arc::new(Link::remote(http.clone()));
            let (to, outbox) = (Arc::clone(&link), Outbox::Script(writer));
            let none = None::<Lines<Empty>>;
            let carried = carry(conversation, to, outbox, incoming, none, &mut roots, stop);
            let (_ended, said) = tokio::join!(carried, said);
            link.close().await;
            said
        }
    }
}

impl Client {
    /// Begins: in the newest era by asking what the server is, in the older ones with a session. The
    /// answer says who the server is and what it can do.
    ///
    /// # Errors
    /// When the server does not speak this era.
    pub async fn begin(&mut self) -> Result<Value, ClientError> {
        match self.era {
            revision::Era::Modern => {
                let patience = self.patience;
                self.patience = PROBE.min(patience);
                let found = self.request("server/discover", json!({})).await;
                self.patience = patience;
                found
            }
            revision::Era::Legacy => {
                let params = json!({
                    "protocolVersion": Revision::V2025_11_25.name(),
                    "capabilities": capabilities(),
                    "clientInfo": itself(),
                });
                let begun = self.request("initialize", params).await?;
                let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
                self.say(&told).await?;
                Ok(begun)
            }
        }
    }

    /// Asks for something, and waits for the result.
    ///
    /// # Errors
    /// When there is none.
    pub async fn request(&mut self, method: &str, mut params: Value) -> Result<Value, ClientError> {
        self.requests += 1;
        let id = Id::Number(i64::try_from(self.requests).unwrap_or(i64::MAX));
        if let (revision::Era::Modern, Some(params)) = (self.era, params.as_object_mut()) {
            let meta = json!({
                META_VERSION: Revision::V2026_07_28.name(),
                META_CAPABILITIES: capabilities(),
                META_CLIENT: itself(),
            });
            params.insert("_meta".to_owned(), meta);
        }
        let asks = json!({
            "jsonrpc": "2.0", "id": id.to_value(), "method": method, "params": params,
        });
        self.say(&asks).await?;
        let answer = timeout(self.patience, self.answer(&id)).await;
        let answer = answer.map_err(|_| ClientError::Silent(method.to_owned()))??;
        if answer.kind() == Kind::Result {
            return Ok(answer.body().map(|it| it.to_value()).unwrap_or_default());
        }
        let text = answer.get("message").and_then(|it| it.str()).unwrap_or_default();
        Err(ClientError::Refused {
            method: method.to_owned(),
            code: answer.get("code").and_then(|it| it.i64()).unwrap_or_default(),
            says: text.chars().take(500).collect(),
        })
    }

    /// The answer to a request. Questions that come before it are answered with an error.
    async fn answer(&mut self, id: &Id) -> Result<Message, ClientError> {
        loop {
            let bytes = self.peer.hear().await.ok_or_else(|| ClientError::Ended(String::new()))?;
            let message = Message::parse(Side::Server, bytes, &Default::default());
            // The guard itself has said or passed it.
            let message = message.map_err(|it| ClientError::Wrong(it.says))?;
            match (message.kind(), message.id()) {
                (Kind::Result | Kind::Error, Some(it)) if it == id => return Ok(message),
                (Kind::Request, Some(asked)) => {
                    let ping = message.method() == Some("ping");
                    let error = json!({ "code": -32601, "message": "a script answers nothing" });
                    let (name, said) = if ping { ("result", json!({})) } else { ("error", error) };
                    let asked = asked.to_value();
                    self.say(&json!({ "jsonrpc": "2.0", "id": asked, name: said })).await?;
                }
                _ => (),
            }
        }
    }

    async fn say(&self, message: &Value) -> Result<(), ClientError> {
        let said = self.peer.say(Bytes::from(message.to_string())).await;
        said.map_err(|_| ClientError::Ended(String::new()))
    }
}

fn itself() -> Value {
    json!({ "name": "stockade", "version": env!("CARGO_PKG_VERSION") })
}

fn capabilities() -> Value {
    json!({
        "roots": {},
        "sampling": { "tools": {}, "context": {} },
        "elicitation": { "form": {}, "url": {} },
    })
}
