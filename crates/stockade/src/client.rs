//! A client that is a script: what it says goes the way of every client's messages, is judged and
//! written down, and what comes back is what a client would see.
//!
//! It declares everything that a client can do, or a server would not show what it has for those who
//! can. What it is asked is answered by a [`Person`], who may have nothing to say.

pub mod answers;
pub mod load;
pub mod offers;
pub mod person;
pub mod task;
pub mod typed;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use stockade_core::message::{Id, Kind, Message, Side};
use stockade_core::revision::{self, META_CAPABILITIES, META_CLIENT, META_VERSION, Revision};
use stockade_core::session::Parties;
use stockade_sandbox::{Plan, Spec};
use stockade_wire::frame::{self, Lines};
use stockade_wire::http::connection::HttpUpstream;
use stockade_wire::memory::{self, Peer};
use tokio::io::Empty;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use self::person::{Nobody, Person, Reply};
use crate::approvals::desk::Desk;
use crate::guard::link::{Link, Outbox};
use crate::guard::process::{Process, StartError, Started};
use crate::guard::roots::{Reserve, Roots};
use crate::guard::stdio::{Ended, carry};
use crate::guard::{Conversation, Guard};

/// How long a server may take to say whether it speaks the newest era. Many that do not answer what
/// they do not know with nothing at all.
const PROBE: Duration = Duration::from_secs(5);

/// How long what a script has said last may take to reach the server.
const LAST: Duration = Duration::from_secs(1);

/// How often a request may come back with questions. A server that has more has no end of them.
pub const ROUNDS_MAX: usize = 10;

/// How the server of a script is reached.
#[derive(Clone, Debug)]
pub enum Way {
    /// It is started, by this plan if there is one, and ends with the script.
    Process(Box<Spec>, Option<Box<Plan>>),
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

/// How a script holds its conversation.
#[derive(Clone, Debug)]
pub struct Manner {
    /// What it speaks; of the legacy era, what it offers to speak.
    pub revision: Revision,
    /// Whether it waits for tasks of the server (2026-07-28, the extension "Tasks").
    pub has_tasks: bool,
    /// How long an answer is waited for. The guard has limits of its own.
    pub patience: Option<Duration>,
    /// What the policy would ask a person about is approved by whoever started this.
    pub approves: bool,
    /// The server's standard error is shown.
    pub shows: bool,
    /// What it declares that a client can do, in place of everything.
    pub declares: Option<Value>,
}

impl Manner {
    /// Of the newest revision of an era.
    pub fn of(era: revision::Era) -> Self {
        let revision = match era {
            revision::Era::Legacy => Revision::V2025_11_25,
            revision::Era::Modern => Revision::V2026_07_28,
        };
        Self {
            revision,
            has_tasks: false,
            patience: None,
            approves: false,
            shows: false,
            declares: None,
        }
    }

    /// What it declares that a client can do.
    pub fn capabilities(&self) -> Value {
        if let Some(it) = &self.declares {
            return it.clone();
        }
        let elicitation = json!({ "form": {}, "url": {} });
        let sampling = json!({ "tools": {}, "context": {} });
        let mut all = Map::from_iter([
            ("roots".to_owned(), json!({})),
            ("sampling".to_owned(), sampling),
            ("elicitation".to_owned(), elicitation),
        ]);
        if self.has_tasks && self.revision.era() == revision::Era::Modern {
            let tasks = json!({ "io.modelcontextprotocol/tasks": {} });
            all.insert("extensions".to_owned(), tasks);
        }
        Value::Object(all)
    }
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It has a result.
    Result(Value),
    /// It has an error: its code, message and data, as they came.
    Error(Value),
}

/// What a client hears.
#[derive(Debug)]
enum Heard {
    /// An answer to one of its requests.
    Answer(Id, Answer),
    /// Anything else, that was taken care of; whether it was a notification.
    Other(bool),
}

/// How long it is listened to what a server says unasked.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    /// So long.
    pub time: Duration,
    /// Until so many notifications have come.
    pub count: Option<usize>,
}

/// A client, while its script runs.
#[derive(Debug)]
pub struct Client<'p> {
    peer: Peer,
    requests: u64,
    manner: Manner,
    patience: Duration,
    person: &'p mut dyn Person,
}

/// The era that a server speaks: it is asked, in a conversation of its own. One that does not say is
/// of the older ones.
///
/// # Errors
/// When it cannot be started.
pub async fn spoken(guard: &Arc<Guard>, way: &Way) -> Result<revision::Era, ClientError> {
    let (manner, mut nobody) = (Manner::of(revision::Era::Modern), Nobody);
    let begun = converse(guard, way, manner, &mut nobody, async |client| client.begin().await);
    match begun.await {
        // Some answer whatever they are asked.
        Ok(it) if it.get("supportedVersions").is_some() => Ok(revision::Era::Modern),
        Err(ClientError::Refused { code: -32022..=-32020, .. }) => Ok(revision::Era::Modern),
        Err(ClientError::Start(error)) => Err(ClientError::Start(error)),
        Ok(_)
        | Err(
            ClientError::Ended(_)
            | ClientError::Silent(_)
            | ClientError::Refused { .. }
            | ClientError::Wrong(_),
        ) => Ok(revision::Era::Legacy),
    }
}

/// Has `script` talk to a server, in a conversation of its own, and says what it came to.
///
/// # Errors
/// When the server cannot be started.
pub async fn converse<T>(
    guard: &Arc<Guard>,
    way: &Way,
    manner: Manner,
    person: &mut dyn Person,
    script: impl AsyncFnOnce(&mut Client<'_>) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let limits = frame::Limits::default();
    let (incoming, writer, peer) = memory::pair(&limits);
    let parties = Parties { session: guard.sessions().into(), principal: "local".into() };
    let conversation = Arc::new(Conversation::new(Arc::clone(guard), parties.clone()));
    let consenting = || Desk::consenting("whoever started this");
    if let Some((desk, answers)) = manner.approves.then(consenting).or_else(|| person.desk()) {
        conversation.asks_at(desk, answers);
        conversation.holds_answers();
    }
    let patience = manner.patience.unwrap_or(guard.policy().limits.call_timeout());
    let shows = manner.shows;
    let mut client = Client { peer, requests: 0, manner, patience, person };
    // Nothing is asked of the roots of a client that has none.
    let reserve = Reserve { keep: Arc::new(|_| Ok(())), starts: Arc::new(|_| ()) };
    let mut roots = Roots::new(None, reserve);
    let (done, ended) = oneshot::channel::<()>();
    let stop = async {
        drop(ended.await);
        tokio::time::sleep(LAST).await;
    };
    let said = async {
        let said = script(&mut client).await;
        // What it has said last still goes its way.
        client.peer.finish();
        // Nobody waits for it where the conversation has ended before.
        let _over = done.send(());
        said
    };
    match way {
        Way::Process(spec, plan) => {
            let plan = plan.as_deref().cloned();
            let started = Process::start(spec, plan, guard, &parties, shows).await?;
            let Started { process, input, output } = started;
            if let Some(watch) = process.watch() {
                conversation.watched_by(Arc::clone(watch));
            }
            let link = Arc::new(Link::lines(input));
            let outbox = Outbox::Script(writer);
            let carried =
                carry(conversation, link, outbox, incoming, Some(output), &mut roots, stop);
            let (ended, said) = tokio::join!(carried, said);
            let how = process.end().await;
            let how = [vec![format!(": {how}")], process.last_lines()].concat().join("\n  ");
            let by_itself = matches!(ended, Ended::Server);
            if by_itself {
                client.person.left(&how);
            }
            said.map_err(|error| match error {
                ClientError::Ended(_) => ClientError::Ended(how),
                // It is the guard that says no more comes.
                ClientError::Refused { .. } if by_itself => ClientError::Ended(how),
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

impl Client<'_> {
    /// The era that is spoken.
    pub fn era(&self) -> revision::Era {
        self.manner.revision.era()
    }

    /// Begins: in the newest era by asking what the server is, in the older ones with a session. The
    /// answer says who the server is and what it can do.
    ///
    /// # Errors
    /// When the server does not speak this era.
    pub async fn begin(&mut self) -> Result<Value, ClientError> {
        match self.era() {
            revision::Era::Modern => {
                let patience = self.patience;
                self.patience = PROBE.min(patience);
                let found = self.request("server/discover", json!({})).await;
                self.patience = patience;
                found
            }
            revision::Era::Legacy => {
                let params = json!({
                    "protocolVersion": self.manner.revision.name(),
                    "capabilities": self.manner.capabilities(),
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
    pub async fn request(&mut self, method: &str, params: Value) -> Result<Value, ClientError> {
        let error = match self.ask(method, params).await? {
            Answer::Result(it) => return Ok(it),
            Answer::Error(it) => it,
        };
        let text = error.get("message").and_then(Value::as_str).unwrap_or_default();
        Err(ClientError::Refused {
            method: method.to_owned(),
            code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
            says: text.chars().take(500).collect(),
        })
    }

    /// Asks for something, and waits for whatever is answered.
    ///
    /// # Errors
    /// When nothing is.
    pub async fn ask(&mut self, method: &str, params: Value) -> Result<Answer, ClientError> {
        let id = self.start(method, params).await?;
        let answer = timeout(self.patience, async {
            loop {
                match self.next().await? {
                    Heard::Answer(it, answer) if it == id => return Ok(answer),
                    Heard::Answer(..) | Heard::Other(_) => {}
                }
            }
        });
        answer.await.map_err(|_| ClientError::Silent(method.to_owned()))?
    }

    /// The same, and answers what the server wants to know before it says more (2026-07-28, "Multi
    /// Round-Trip Requests"). Where somebody has no answer to that, the question is the answer.
    ///
    /// # Errors
    /// When nothing is answered, or questions without end.
    pub async fn complete(&mut self, method: &str, params: Value) -> Result<Answer, ClientError> {
        let mut asked = params.clone();
        for _ in 0..ROUNDS_MAX {
            let answer = self.ask(method, asked).await?;
            let Answer::Result(result) = &answer else { return Ok(answer) };
            if result.get("resultType").and_then(Value::as_str) != Some("input_required") {
                return Ok(answer);
            }
            let Some(replies) = self.replies(result.get("inputRequests")) else {
                return Ok(answer);
            };
            asked = again(params.clone(), result, replies);
        }
        let says = format!("the server asks for input more than {ROUNDS_MAX} times");
        Err(ClientError::Wrong(says))
    }

    /// What is answered to these questions; nothing, where one has no answer.
    fn replies(&mut self, questions: Option<&Value>) -> Option<Map<String, Value>> {
        let mut replies = Map::new();
        for (name, question) in questions.and_then(Value::as_object).into_iter().flatten() {
            let method = question.get("method").and_then(Value::as_str).unwrap_or_default();
            let params = question.get("params").unwrap_or(&Value::Null);
            match self.person.asked(method, params) {
                Reply::Result(it) => drop(replies.insert(name.clone(), it)),
                Reply::Refused { .. } => return None,
            }
        }
        Some(replies)
    }

    /// Listens to what the server says unasked; where `about` is named, no longer than until that
    /// request is answered.
    ///
    /// # Errors
    /// When the conversation ends.
    pub async fn listen(
        &mut self,
        until: Until,
        about: Option<&Id>,
    ) -> Result<Option<Answer>, ClientError> {
        let end = Instant::now() + until.time;
        let mut left = until.count.unwrap_or(usize::MAX);
        while left > 0 {
            let Ok(heard) = timeout_at(end, self.next()).await else { return Ok(None) };
            match heard? {
                Heard::Answer(id, answer) if Some(&id) == about => return Ok(Some(answer)),
                Heard::Other(true) => left -= 1,
                Heard::Answer(..) | Heard::Other(false) => {}
            }
        }
        Ok(None)
    }

    /// Says that the answer to a request is not wanted any more.
    ///
    /// # Errors
    /// When the conversation has ended.
    pub async fn cancel(&self, id: &Id) -> Result<(), ClientError> {
        let params = json!({ "requestId": id.to_value(), "reason": "enough was heard" });
        let method = "notifications/cancelled";
        self.say(&json!({ "jsonrpc": "2.0", "method": method, "params": params })).await
    }

    /// Sends a request, and waits for nothing.
    ///
    /// # Errors
    /// When the conversation has ended.
    pub async fn start(&mut self, method: &str, params: Value) -> Result<Id, ClientError> {
        let id = self.next_id();
        self.start_as(&id, method, params).await?;
        Ok(id)
    }

    /// The id of the next request.
    pub fn next_id(&mut self) -> Id {
        self.requests += 1;
        Id::Number(i64::try_from(self.requests).unwrap_or(i64::MAX))
    }

    /// Sends a request by this id, and waits for nothing.
    ///
    /// # Errors
    /// When the conversation has ended.
    pub async fn start_as(
        &self,
        id: &Id,
        method: &str,
        mut params: Value,
    ) -> Result<(), ClientError> {
        if let (revision::Era::Modern, Some(params)) = (self.era(), params.as_object_mut()) {
            let meta = params.entry("_meta").or_insert_with(|| json!({}));
            // What is no object is for the server to refuse.
            if let Some(meta) = meta.as_object_mut() {
                meta.extend([
                    (META_VERSION.to_owned(), self.manner.revision.name().into()),
                    (META_CAPABILITIES.to_owned(), self.manner.capabilities()),
                    (META_CLIENT.to_owned(), itself()),
                ]);
            }
        }
        let asks = json!({
            "jsonrpc": "2.0", "id": id.to_value(), "method": method, "params": params,
        });
        self.say(&asks).await
    }

    /// The next message that comes, whatever it is.
    ///
    /// # Errors
    /// When the conversation has ended.
    pub async fn hear(&mut self) -> Result<Message, ClientError> {
        let bytes = self.peer.hear().await.ok_or_else(|| ClientError::Ended(String::new()))?;
        let message = Message::parse(Side::Server, bytes, &Default::default());
        // The guard itself has said or passed it.
        message.map_err(|it| ClientError::Wrong(it.says))
    }

    /// The next thing that comes. What the server asks or tells meanwhile is answered and heard.
    async fn next(&mut self) -> Result<Heard, ClientError> {
        let message = self.hear().await?;
        let body = || message.body().map(|it| it.to_value()).unwrap_or_default();
        let method = message.method().unwrap_or_default();
        match (message.kind(), message.id()) {
            (Kind::Result, Some(id)) => Ok(Heard::Answer(id.clone(), Answer::Result(body()))),
            (Kind::Error, Some(id)) => Ok(Heard::Answer(id.clone(), Answer::Error(body()))),
            (Kind::Request, Some(id)) => {
                let (name, said) = match self.person.asked(method, &body()) {
                    Reply::Result(it) => ("result", it),
                    Reply::Refused { code, says } => {
                        ("error", json!({ "code": code, "message": says }))
                    }
                };
                self.say(&json!({ "jsonrpc": "2.0", "id": id.to_value(), name: said })).await?;
                Ok(Heard::Other(false))
            }
            (Kind::Notification, _) => {
                self.person.told(method, &body());
                Ok(Heard::Other(true))
            }
            (Kind::Result | Kind::Error | Kind::Request, None) => Ok(Heard::Other(false)),
        }
    }

    /// Says a message.
    ///
    /// # Errors
    /// When the conversation has ended.
    pub async fn say(&self, message: &Value) -> Result<(), ClientError> {
        self.say_bytes(message.to_string()).await
    }

    /// Says these bytes, be they a message or not.
    ///
    /// # Errors
    /// When the conversation has ended.
    pub async fn say_bytes(&self, bytes: impl Into<Bytes>) -> Result<(), ClientError> {
        let said = self.peer.say(bytes).await;
        said.map_err(|_| ClientError::Ended(String::new()))
    }
}

/// The parameters of a request that was answered with questions, with what is said to them
/// (2026-07-28, "Multi Round-Trip Requests").
pub fn again(mut params: Value, result: &Value, replies: Map<String, Value>) -> Value {
    if let Some(params) = params.as_object_mut() {
        if !replies.is_empty() {
            params.insert("inputResponses".to_owned(), Value::Object(replies));
        }
        let state = result.get("requestState").filter(|it| !it.is_null()).cloned();
        params.extend(state.map(|it| ("requestState".to_owned(), it)));
    }
    params
}

fn itself() -> Value {
    json!({ "name": "stockade", "version": env!("CARGO_PKG_VERSION") })
}
