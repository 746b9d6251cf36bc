//! Where a client sits whose person is at the page: for as long as one conversation with a server lasts.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use stockade_core::revision::{Era, Revision};
use stockade_wire::http::connection::Onlooker;
use tokio::sync::mpsc;

use super::line::{Carrier, Line, Order, fields};
use super::questions::Whom;
use super::server::Server;
use super::witness::Witness;
use super::{Console, Planned};
use crate::approvals::desk::{Answers, AtHand, Desk};
use crate::client::person::{Person, Reply};
use crate::client::{Client, ClientError, Manner};
use crate::failure::Failure;
use crate::guard::tap::Tap;

/// The seat.
pub struct Seat {
    console: Arc<Console>,
    server: Arc<Server>,
    line: Line,
    orders: Mutex<Option<mpsc::UnboundedReceiver<Order>>>,
}

impl Seat {
    pub(super) fn new(
        console: Arc<Console>,
        server: Arc<Server>,
        line: Line,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Self {
        Self { console, server, line, orders: Mutex::new(Some(orders)) }
    }

    pub(super) fn planned(&self) -> &Arc<dyn Planned> {
        self.server.planned()
    }

    pub(super) fn witness(&self) -> &Witness {
        self.server.witness()
    }

    /// Who sees what passes.
    pub fn tap(&self) -> Arc<dyn Tap> {
        Arc::clone(self.server.witness()) as _
    }

    /// Who sees what goes over HTTP.
    pub fn onlooker(&self) -> Onlooker {
        let witness = Arc::clone(self.server.witness());
        Arc::new(move |it| witness.exchanged(it))
    }

    /// What holds the server.
    pub fn is_held(&self, held: &str) {
        self.server.is_held(held);
        self.console.changed(&self.server);
    }

    /// Who is at the client.
    pub fn person(&self) -> impl Person + '_ {
        Waits(self)
    }

    /// Speaks to the server, until one of the two ends it.
    ///
    /// # Errors
    /// When it is the server, or it cannot be spoken to.
    pub async fn drive(&self, client: &mut Client<'_>, manner: &Manner) -> Result<(), ClientError> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut orders) = orders else { return Ok(()) };
        // Until it is ready, nothing else is ordered.
        let stopped = async { while !matches!(orders.recv().await, None | Some(Order::Stop)) {} };
        let begun = tokio::select! {
            begun = client.begin() => begun,
            () = stopped => return Ok(()),
        };
        let begun = match begun {
            // It need not say what it is to say what it can do.
            Err(ClientError::Refused { code: -32601, .. }) if client.era() == Era::Modern => {
                Value::Null
            }
            other => other?,
        };
        let agreed = begun.get("protocolVersion").and_then(Value::as_str);
        let revision = agreed.and_then(Revision::parse).unwrap_or(manner.revision);
        self.server.ready(revision, begun, manner.capabilities());
        self.console.changed(&self.server);
        Carrier::new(self, self.line.clone()).carry(client, &mut orders).await
    }

    pub(super) fn over(&self, ended: Result<String, Failure>) {
        self.gone(|_| true);
        self.server.over(ended.map_err(|it| it.to_string()));
        self.console.changed(&self.server);
    }

    pub(super) fn busy(&self, running: usize) {
        self.server.busy(running);
    }

    /// What is said to a question without a person, if that was said before.
    pub(super) fn by_itself(
        &self,
        method: &str,
        params: &Value,
        request: Option<&str>,
    ) -> Option<Reply> {
        let said = self.server.by_itself(method, params)?;
        if method != "ping" {
            let (name, reply) = match &said.reply {
                Reply::Result(it) => ("result", it.clone()),
                Reply::Refused { code, says } => {
                    ("error", json!({ "code": code, "message": says }))
                }
            };
            self.tell(
                "replied",
                &[
                    ("method", method.into()),
                    ("params", params.clone()),
                    ("request", request.map_or(Value::Null, Value::from)),
                    ("entry", said.why.into()),
                    (name, reply),
                ],
            );
        }
        Some(said.reply)
    }

    pub(super) fn ask(
        &self,
        about: (&str, &Value),
        place: (Option<&str>, Option<u64>),
        whom: Whom,
    ) -> Result<(), Whom> {
        self.console.questions.ask(self.server.number(), about, place, whom)
    }

    pub(super) fn gone(&self, is_it: impl Fn(&Whom) -> bool) {
        self.console.questions.gone(self.server.number(), is_it);
    }

    pub(super) fn tell(&self, event: &str, more: &[(&str, Value)]) {
        self.console.events.tell(event, &fields(&self.server.name(), more));
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seat").field(&self.server.name()).finish()
    }
}

/// Whoever is at the client before it is ready, and is asked by the policy.
#[derive(Debug)]
struct Waits<'s>(&'s Seat);

impl Person for Waits<'_> {
    fn told(&mut self, method: &str, params: &Value) {
        self.0.tell("notification", &[("method", method.into()), ("params", params.clone())]);
    }

    fn asked(&mut self, method: &str, params: &Value) -> Reply {
        let nobody = || Reply::Refused { code: -1, says: "nobody is there yet".to_owned() };
        self.0.by_itself(method, params, None).unwrap_or_else(nobody)
    }

    fn desk(&mut self) -> Option<(Desk, Answers)> {
        let (console, number) = (Arc::clone(&self.0.console), self.0.server.number());
        Some(Desk::at_hand(move |told| match told {
            AtHand::Asked(question, says) => {
                let params = json!({
                    "tool": question.tool, "method": question.method,
                    "arguments": question.arguments, "verbatim": question.verbatim,
                    "beside": question.beside, "mended": question.mended,
                    "reasons": question.reasons, "findings": question.findings,
                    "claims": question.claims, "by": question.from,
                    "expiresInMs": question.expires_in_ms,
                });
                let about = (question.method.clone(), params);
                let whom = Whom::Guard(question, says);
                let asked = console.questions.ask(number, (&about.0, &about.1), (None, None), whom);
                if let Err(Whom::Guard(question, says)) = asked {
                    says.say(&question, false, ("nobody", "console"));
                }
            }
            AtHand::Unasked(call) => {
                let is_it =
                    |it: &Whom| matches!(it, Whom::Guard(question, _) if question.id == call);
                console.questions.gone(number, is_it);
            }
        }))
    }
}
