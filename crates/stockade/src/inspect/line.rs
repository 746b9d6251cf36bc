//! The client's end of a conversation with a server: carries what the page says to it, and tells the page
//! what comes back. Many requests are under way at a time, and what the server asks waits for a person.

use std::collections::HashMap;

use std::time::Duration;

use serde_json::{Map, Value, json};
use stockade_core::message::{Id, Kind, Message};
use stockade_core::revision::Era;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::questions::Whom;
use super::seat::Seat;
use super::witness::now;
use crate::client::offers::Asks;
use crate::client::person::Reply;
use crate::client::{Answer, Client, ClientError, ROUNDS_MAX, again};

/// The longest result that is told at once, in bytes.
const TOLD_BYTES_MAX: usize = 256 << 10;

/// How long whoever lists something waits for an answer.
const LISTED: Duration = Duration::from_secs(600);

/// The way to the client's end.
#[derive(Clone, Debug)]
pub(super) struct Line(mpsc::UnboundedSender<Order>);

/// What is to be done.
#[derive(Debug)]
pub(super) enum Order {
    /// Ask for something.
    Ask(Box<Asking>),
    /// Wait no more for the answer to a request that the page calls so, and why.
    Cancel(String, Option<String>),
    /// Say a message that nobody answers.
    Say(Value),
    /// Say these bytes.
    Bytes(String),
    /// Answer a request of the server.
    Reply(Id, Reply),
    /// Answer what a request for input of this name wants, of a request that the page calls so.
    Input(String, String, Reply),
    /// End it.
    Stop,
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Asking {
    /// What the page calls it.
    pub(super) name: Option<String>,
    pub(super) method: String,
    pub(super) params: Value,
    pub(super) timeout: Option<Duration>,
    /// Who waits for the answer, if that is not the page.
    pub(super) to: Option<oneshot::Sender<Answer>>,
}

impl Line {
    /// The way, and its end.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Order>) {
        let (orders, receiver) = mpsc::unbounded_channel();
        (Self(orders), receiver)
    }

    /// Has something done. Of a conversation that is over, nothing is.
    pub(super) fn tell(&self, order: Order) {
        let _over = self.0.send(order);
    }
}

impl Asks for Line {
    async fn result_of(&mut self, method: &str, params: Value) -> Result<Value, ClientError> {
        let (to, answer) = oneshot::channel();
        let (method, to) = (method.to_owned(), Some(to));
        let asking =
            Asking { name: None, method: method.clone(), params, timeout: Some(LISTED), to };
        self.tell(Order::Ask(Box::new(asking)));
        match answer.await {
            Ok(Answer::Result(it)) => Ok(it),
            Ok(Answer::Error(it)) => Err(ClientError::Refused {
                method,
                code: it.get("code").and_then(Value::as_i64).unwrap_or_default(),
                says: it.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
            }),
            Err(_) => Err(ClientError::Ended(String::new())),
        }
    }
}

/// A request that is under way.
struct Running {
    asking: Asking,
    began: Instant,
    due: Option<Instant>,
    /// How often it came back with questions.
    rounds: usize,
}

/// A request that was answered with questions.
struct Parked {
    running: Running,
    result: Value,
    replies: Map<String, Value>,
    /// How many wait for an answer.
    left: usize,
}

/// How a request ended.
enum End {
    Answer(Answer),
    Cancelled,
    Timeout,
    Lost(String),
}

/// What is under way.
pub(super) struct Carrier<'s> {
    seat: &'s Seat,
    line: Line,
    running: HashMap<Id, Running>,
    parked: HashMap<String, Parked>,
}

impl<'s> Carrier<'s> {
    pub(super) fn new(seat: &'s Seat, line: Line) -> Self {
        Self { seat, line, running: HashMap::new(), parked: HashMap::new() }
    }

    /// Carries what is said, until that is to end or the server has gone.
    pub(super) async fn carry(
        &mut self,
        client: &mut Client<'_>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Result<(), ClientError> {
        let ended = loop {
            let due = self.running.values().filter_map(|it| it.due).min();
            let late = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let step = tokio::select! {
                order = orders.recv() => match order {
                    None | Some(Order::Stop) => {
                        self.leave(client).await;
                        break Ok(());
                    }
                    Some(order) => self.follow(client, order).await,
                },
                message = client.hear() => match message {
                    Ok(message) => self.hear(client, &message).await,
                    // It is not read as the guard has read it, so nobody can say what it was.
                    Err(ClientError::Wrong(_)) => Ok(()),
                    Err(error) => Err(error),
                },
                () = late => self.expire(client).await,
            };
            if let Err(error) = step {
                break Err(error);
            }
        };
        let why =
            ended.as_ref().err().map_or_else(|| "it was ended".to_owned(), |it| it.to_string());
        for (_, running) in std::mem::take(&mut self.running) {
            self.end(running, End::Lost(why.clone()), None);
        }
        for (_, parked) in std::mem::take(&mut self.parked) {
            self.end(parked.running, End::Lost(why.clone()), None);
        }
        ended
    }

    /// Takes back what was asked, so that nobody waits for the end of it.
    async fn leave(&mut self, client: &Client<'_>) {
        for id in self.running.keys() {
            // Where nobody hears it, it is over as well.
            let _gone = client.cancel(id).await;
        }
    }

    async fn follow(&mut self, client: &mut Client<'_>, order: Order) -> Result<(), ClientError> {
        match order {
            Order::Ask(asking) => self.ask(client, *asking, 0, Instant::now()).await,
            Order::Cancel(name, why) => {
                let is_it = |it: &Running| it.asking.name.as_deref() == Some(&*name);
                let id = self.running.iter().find(|(_, it)| is_it(it)).map(|(id, _)| id.clone());
                if let Some((id, running)) =
                    id.and_then(|id| self.running.remove(&id).map(|it| (id, it)))
                {
                    let params = match why {
                        Some(why) => json!({ "requestId": id.to_value(), "reason": why }),
                        None => json!({ "requestId": id.to_value() }),
                    };
                    self.end(running, End::Cancelled, None);
                    let method = "notifications/cancelled";
                    return client
                        .say(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
                        .await;
                }
                if let Some(parked) = self.parked.remove(&name) {
                    self.unask(&name);
                    self.end(parked.running, End::Cancelled, None);
                }
                Ok(())
            }
            Order::Say(message) => client.say(&message).await,
            Order::Bytes(text) => client.say_bytes(text).await,
            Order::Reply(id, reply) => reply_to(client, &id, reply).await,
            Order::Input(name, input, reply) => self.input(client, &name, &input, reply).await,
            Order::Stop => Ok(()),
        }
    }

    async fn ask(
        &mut self,
        client: &mut Client<'_>,
        asking: Asking,
        rounds: usize,
        began: Instant,
    ) -> Result<(), ClientError> {
        let id = client.next_id();
        if let Some(name) = &asking.name {
            self.seat.witness().called(&id, name);
        }
        let (method, params) = (asking.method.clone(), asking.params.clone());
        let due = asking.timeout.map(|it| Instant::now() + it);
        self.running.insert(id.clone(), Running { asking, began, due, rounds });
        self.seat.busy(self.running.len() + self.parked.len());
        client.start_as(&id, &method, params).await
    }

    async fn hear(
        &mut self,
        client: &mut Client<'_>,
        message: &Message,
    ) -> Result<(), ClientError> {
        let place = self.seat.witness().place(message.bytes());
        let body = message.body().map(|it| it.to_value()).unwrap_or_default();
        let method = message.method().unwrap_or_default();
        match (message.kind(), message.id()) {
            (kind @ (Kind::Result | Kind::Error), Some(id)) => {
                let Some(running) = self.running.remove(id) else { return Ok(()) };
                let bytes = message.bytes().len();
                let answer = match kind {
                    Kind::Error => Answer::Error(body),
                    Kind::Result | Kind::Request | Kind::Notification => Answer::Result(body),
                };
                self.answered(client, running, answer, (place, bytes)).await
            }
            (Kind::Request, Some(id)) => self.asked(client, id, (method, &body), place).await,
            (Kind::Notification, _) => {
                self.told(method, &body, place);
                Ok(())
            }
            (Kind::Result | Kind::Error | Kind::Request, None) => Ok(()),
        }
    }

    async fn answered(
        &mut self,
        client: &mut Client<'_>,
        running: Running,
        answer: Answer,
        place: (Option<u64>, usize),
    ) -> Result<(), ClientError> {
        let wants_input = match &answer {
            Answer::Result(it) if client.era() == Era::Modern => {
                it.get("resultType").and_then(Value::as_str) == Some("input_required")
            }
            Answer::Result(_) | Answer::Error(_) => false,
        };
        let name = running.asking.name.clone().filter(|_| running.rounds < ROUNDS_MAX);
        let (Answer::Result(result), true, Some(name)) = (&answer, wants_input, name) else {
            self.end(running, End::Answer(answer), Some(place));
            return Ok(());
        };
        let result = result.clone();
        let asked = result.get("inputRequests").and_then(Value::as_object).cloned();
        let asked = asked.unwrap_or_default();
        let mut parked = Parked { running, result, replies: Map::new(), left: 0 };
        for (input, question) in asked {
            let method = question.get("method").and_then(Value::as_str).unwrap_or_default();
            let params = question.get("params").cloned().unwrap_or_default();
            if let Some(reply) = self.seat.by_itself(method, &params, Some(&name)) {
                match reply {
                    Reply::Result(it) => drop(parked.replies.insert(input, it)),
                    Reply::Refused { .. } => {
                        self.end(parked.running, End::Answer(answer), Some(place));
                        self.unask(&name);
                        return Ok(());
                    }
                }
                continue;
            }
            let whom = Whom::Input(self.line.clone(), name.clone(), input);
            let about = (method, &params);
            if self.seat.ask(about, (Some(&name), place.0), whom).is_err() {
                self.end(parked.running, End::Answer(answer), Some(place));
                self.unask(&name);
                return Ok(());
            }
            parked.left += 1;
        }
        if parked.left == 0 {
            return self.go_on(client, parked).await;
        }
        self.parked.insert(name, parked);
        Ok(())
    }

    /// Sends a request again, with what was said to its questions.
    async fn go_on(&mut self, client: &mut Client<'_>, parked: Parked) -> Result<(), ClientError> {
        let Parked { running, result, replies, .. } = parked;
        let Running { mut asking, began, rounds, .. } = running;
        asking.params = again(asking.params, &result, replies);
        self.ask(client, asking, rounds + 1, began).await
    }

    async fn input(
        &mut self,
        client: &mut Client<'_>,
        name: &str,
        input: &str,
        reply: Reply,
    ) -> Result<(), ClientError> {
        let Some(mut parked) = self.parked.remove(name) else { return Ok(()) };
        match reply {
            Reply::Result(it) => drop(parked.replies.insert(input.to_owned(), it)),
            // It cannot be refused: what the server has said is the answer.
            Reply::Refused { .. } => {
                self.unask(name);
                let Parked { running, result, .. } = parked;
                self.end(running, End::Answer(Answer::Result(result)), None);
                return Ok(());
            }
        }
        parked.left = parked.left.saturating_sub(1);
        if parked.left == 0 {
            return self.go_on(client, parked).await;
        }
        self.parked.insert(name.to_owned(), parked);
        Ok(())
    }

    async fn asked(
        &mut self,
        client: &Client<'_>,
        id: &Id,
        (method, params): (&str, &Value),
        place: Option<u64>,
    ) -> Result<(), ClientError> {
        if let Some(reply) = self.seat.by_itself(method, params, None) {
            return reply_to(client, id, reply).await;
        }
        let whom = Whom::Server(self.line.clone(), id.clone());
        if self.seat.ask((method, params), (None, place), whom).is_err() {
            let says = "too many questions wait already".to_owned();
            return reply_to(client, id, Reply::Refused { code: -1, says }).await;
        }
        Ok(())
    }

    fn told(&self, method: &str, params: &Value, place: Option<u64>) {
        if method == "notifications/cancelled" {
            let id = params.get("requestId").cloned().unwrap_or_default();
            self.seat.gone(|it| matches!(it, Whom::Server(_, its) if its.to_value() == id));
        }
        let about = params
            .get("progressToken")
            .or_else(|| params.get("_meta")?.get("io.modelcontextprotocol/subscriptionId"));
        let request = about.and_then(|about| {
            let is_it = |(id, it): &(&Id, &Running)| {
                about.as_str().is_some() && about.as_str() == it.asking.name.as_deref()
                    || *about == id.to_value()
            };
            self.running.iter().find(is_it).and_then(|(_, it)| it.asking.name.clone())
        });
        self.seat.tell(
            "notification",
            &[
                ("method", method.into()),
                ("params", params.clone()),
                ("message", place.map_or(Value::Null, Value::from)),
                ("request", request.map_or(Value::Null, Value::from)),
            ],
        );
    }

    async fn expire(&mut self, client: &Client<'_>) -> Result<(), ClientError> {
        let at = Instant::now();
        let late = self.running.extract_if(|_, it| it.due.is_some_and(|due| due <= at));
        let late: Vec<(Id, Running)> = late.collect();
        for (id, running) in late {
            self.end(running, End::Timeout, None);
            client.cancel(&id).await?;
        }
        Ok(())
    }

    fn unask(&self, name: &str) {
        self.seat.gone(|it| matches!(it, Whom::Input(_, of, _) if of == name));
    }

    fn end(&self, running: Running, end: End, place: Option<(Option<u64>, usize)>) {
        let Running { asking, began, .. } = running;
        self.seat.busy(self.running.len() + self.parked.len());
        if let Some(to) = asking.to {
            if let End::Answer(answer) = end {
                // Whoever has asked may have gone.
                let _gone = to.send(answer);
            }
            return;
        }
        let Some(name) = asking.name else { return };
        let ms = began.elapsed().as_secs_f64() * 1000.0;
        let (message, bytes) = place.unwrap_or_default();
        let (what, value) = match end {
            End::Answer(Answer::Result(_)) if bytes > TOLD_BYTES_MAX => ("long", true.into()),
            End::Answer(Answer::Result(it)) => ("result", it),
            End::Answer(Answer::Error(it)) => ("error", it),
            End::Cancelled => ("cancelled", true.into()),
            End::Timeout => ("timeout", true.into()),
            End::Lost(why) => ("lost", why.into()),
        };
        self.seat.tell(
            "answer",
            &[
                ("request", name.into()),
                ("method", asking.method.into()),
                ("ms", ((ms * 1000.0).round() / 1000.0).into()),
                ("message", message.map_or(Value::Null, Value::from)),
                ("bytes", if bytes == 0 { Value::Null } else { bytes.into() }),
                (what, value),
            ],
        );
    }
}

async fn reply_to(client: &Client<'_>, id: &Id, reply: Reply) -> Result<(), ClientError> {
    let (name, said) = match reply {
        Reply::Result(it) => ("result", it),
        Reply::Refused { code, says } => ("error", json!({ "code": code, "message": says })),
    };
    client.say(&json!({ "jsonrpc": "2.0", "id": id.to_value(), name: said })).await
}

/// Something that is told, without what does not apply.
pub(super) fn fields(server: &str, more: &[(&str, Value)]) -> Value {
    let always = [("server", Value::from(server)), ("at", now().into())];
    let all = always.into_iter().chain(more.iter().cloned()).filter(|(_, it)| !it.is_null());
    Value::Object(all.map(|(name, it)| (name.to_owned(), it)).collect())
}
