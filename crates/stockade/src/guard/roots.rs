//! The roots of the client, in `run`: which of those that it says count, and a server that has them.
//!
//! What a process sees cannot be widened while it runs, so the server is started anew: requests of
//! the client wait, what runs may end, and the other process is greeted as the first was
//! (`stockade-core`, `session/roots.rs`). Nothing here looks into a message.

mod consider;
mod successive;

use std::sync::Arc;
use std::time::Duration;

use stockade_core::record::{Kind, Record};
use stockade_core::session::{Event, Parties};
use stockade_sandbox::{Confinement, Plan, Spec};
use stockade_wire::frame::Lines;
use stockade_wire::upstream::Upstream;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use self::consider::{Considered, consider};
pub use self::successive::{Next, Successive};
use super::link::{Link, LinkError, Outbox};
use super::process::{Process, StartError, Started};
use super::{Conversation, Guard, Unrecorded};
use crate::prepared::Checked;

/// How long what the server was asked may go on when it is to be started anew.
const FINISH: Duration = Duration::from_secs(5);

/// How long it may take to find out what the roots are: a directory can hang, on a network mount.
const LOOK: Duration = Duration::from_secs(10);

/// How long a server that has asked for its roots before may take to ask again, and then to do with
/// the answer what it does. What waits would otherwise be held against none by the server itself.
const ASK: Duration = Duration::from_secs(1);
const TAKE_IN: Duration = Duration::from_millis(50);

/// What a server is told of why it ends, and whoever waits for it.
const WHY: &str = "the server was started anew with other roots";

/// What a session leaves to be done about roots.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// The client has said these.
    pub(super) said: Option<Vec<String>>,
    /// The other process has answered as the first did, or not.
    pub(super) begun: Option<Result<(), String>>,
    /// Requests of the client are to wait.
    pub(super) busy: bool,
}

/// What is done for the guard's own places when a server is started with other roots.
#[derive(Clone)]
pub struct Reserve {
    /// Has the process not see them, and makes what must be there for that.
    pub keep: Arc<Keep>,
    /// Is told what is about to be started.
    pub starts: Arc<Starts>,
}

type Keep = dyn Fn(&mut Confinement) -> Result<(), String> + Send + Sync;
type Starts = dyn Fn(&Plan) + Send + Sync;

impl std::fmt::Debug for Reserve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reserve")
    }
}

/// A process that can be replaced by another of the same server.
#[derive(Debug)]
pub struct Replaceable {
    /// As it was started without roots of the client.
    pub spec: Spec,
    /// What was prepared of it, to be looked at before each start.
    pub prepared: Option<Arc<Checked>>,
    /// The one that runs.
    pub process: Process,
    /// Takes what the next one writes.
    pub lines: mpsc::Sender<Next<Lines<pipe::Receiver>>>,
    /// Its standard error is shown.
    pub show_stderr: bool,
    /// Who is talking.
    pub parties: Parties,
}

/// The roots of the client of one conversation.
#[derive(Debug)]
pub struct Roots<'a> {
    /// The server, if it is a process of this machine.
    server: Option<&'a mut Replaceable>,
    reserve: Reserve,
    /// What the process that runs was started with.
    current: Option<Spec>,
    /// What was told last.
    told: Vec<(bool, String)>,
}

impl<'a> Roots<'a> {
    /// Of a conversation with a process, or with a remote server.
    pub fn new(server: Option<&'a mut Replaceable>, reserve: Reserve) -> Self {
        let current = server.as_ref().map(|it| it.spec.clone());
        Self { server, reserve, current, told: Vec::new() }
    }

    /// Does what the session leaves to be done, for as long as the conversation goes on.
    ///
    /// # Errors
    /// When it cannot go on.
    pub(super) async fn follow(
        &mut self,
        conversation: &Arc<Conversation>,
        link: &Arc<Link>,
        outbox: &Outbox,
    ) -> Result<(), LinkError> {
        let mut board = conversation.board().subscribe();
        loop {
            if board.wait_for(|it| it.said.is_some()).await.is_err() {
                return Ok(());
            }
            let mut said = None;
            conversation.board().send_modify(|it| said = it.said.take());
            self.settle(conversation, link, outbox, said.unwrap_or_default()).await?;
            let asks = conversation.look(|it| it.asks_for_roots());
            conversation.board().send_modify(|it| it.busy = asks || it.said.is_some());
        }
    }

    async fn settle(
        &mut self,
        conversation: &Arc<Conversation>,
        link: &Arc<Link>,
        outbox: &Outbox,
        said: Vec<String>,
    ) -> Result<(), LinkError> {
        let guard = Arc::clone(conversation.guard());
        let policy = guard.policy();
        let first = self.server.as_ref().map(|it| it.spec.clone());
        let reserve = self.reserve.clone();
        let (first_spec, own) = (first.clone(), policy.roots.clone());
        let by = policy.client_roots.clone();
        let look = move || consider(&said, &by, &own, first_spec.as_ref(), &reserve);
        let considered = timeout(LOOK, tokio::task::spawn_blocking(look)).await;
        let considered = considered.ok().and_then(Result::ok).unwrap_or_else(|| Considered {
            told: vec![(false, "it takes too long to find out what they are".to_owned())],
            spec: first,
            ..Considered::default()
        });
        let parties = conversation.look(|it| it.parties().clone());
        if self.told != considered.told {
            for (counts, says) in &considered.told {
                let decision = Some(if *counts { "allow" } else { "deny" });
                note(&guard, &parties, decision, says.clone())?;
            }
            self.told.clone_from(&considered.told);
        }
        let before = conversation.look(|it| it.granted().to_vec());
        let held = considered.held();
        let now = considered.roots;
        // What is no root any more is none at once, whatever becomes of the process.
        let left: Vec<String> = before.iter().filter(|it| now.contains(it)).cloned().collect();
        if left != before {
            link.take(conversation, outbox, Event::Granted { roots: left, tell: false }).await?;
        }
        let confines = |spec: Option<&Spec>| {
            let confine = spec.and_then(|it| it.confine.as_deref())?;
            Some((confine.roots.clone(), confine.network.clone()))
        };
        if confines(considered.spec.as_ref()) != confines(self.current.as_ref())
            && let (Some(spec), Some(server)) = (considered.spec, self.server.as_deref_mut())
        {
            if let Some(plan) = &considered.plan {
                (self.reserve.starts)(plan);
            }
            server.renew(conversation, link, outbox, &spec, now).await?;
            self.current = Some(spec);
            note(&guard, &parties, None, format!("{WHY}; {held}"))?;
        } else if now != before {
            link.take(conversation, outbox, Event::Granted { roots: now, tell: true }).await?;
        }
        Ok(())
    }
}

impl Replaceable {
    /// Puts another process, with this spec, in the place of the one that runs.
    async fn renew(
        &mut self,
        conversation: &Arc<Conversation>,
        link: &Arc<Link>,
        outbox: &Outbox,
        spec: &Spec,
        roots: Vec<String>,
    ) -> Result<(), LinkError> {
        let guard = Arc::clone(conversation.guard());
        let told = || conversation.look(|it| it.told_roots());
        let before = told();
        let idle = async {
            while conversation.look(|it| it.waiting()) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // What does not end by then is answered by what follows.
        let _ended = timeout(FINISH, idle).await;
        let gone = || LinkError::Anew("nobody reads what it writes".to_owned());
        // What the old process says from here on would be taken for the new one's.
        self.lines.send(Next::Gone).await.map_err(|_| gone())?;
        link.take(conversation, outbox, Event::Replaced { why: WHY.to_owned() }).await?;
        // One that does not read takes no end of input either, and is ended all the same.
        let _told = timeout(TAKE_IN, link.finish()).await;
        // How it ended changes nothing any more.
        let _exit = self.process.exit().await;
        let started = self.start(spec, &guard).await;
        let Started { process, input, output } = started.map_err(|it| LinkError::Anew(why(&it)))?;
        if let Some(watch) = process.watch() {
            conversation.watched_by(Arc::clone(watch));
        }
        self.process = process;
        link.replace(Upstream::Stdio(input));
        self.lines.send(Next::Here(output)).await.map_err(|_| gone())?;
        let granted = Event::Granted { roots, tell: false };
        link.take(conversation, outbox, granted).await?;
        conversation.board().send_modify(|it| it.begun = None);
        let mut board: watch::Receiver<Board> = conversation.board().subscribe();
        link.take(conversation, outbox, Event::Begins).await?;
        let patience = guard.policy().limits.call_timeout();
        let begun = timeout(patience, board.wait_for(|it| it.begun.is_some())).await;
        let begun = begun.ok().and_then(|it| it.ok()?.begun.clone());
        let late = || Err("started anew, the server does not answer".to_owned());
        begun.unwrap_or_else(late).map_err(LinkError::Anew)?;
        if before > 0 {
            let asks = async {
                while told() == before {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                tokio::time::sleep(TAKE_IN).await;
            };
            // One that does not ask again has no use for them.
            let _asked = timeout(ASK, asks).await;
        }
        Ok(())
    }

    async fn start(&self, spec: &Spec, guard: &Arc<Guard>) -> Result<Started, StartError> {
        if let Some(prepared) = self.prepared.clone() {
            let looked = tokio::task::spawn_blocking(move || prepared.verify()).await;
            looked.map_err(std::io::Error::other)??;
        }
        Process::start(spec, guard, &self.parties, self.show_stderr).await
    }
}

fn why(error: &StartError) -> String {
    let mut text = format!("the server cannot be started anew: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(it) = cause {
        text = format!("{text}: {it}");
        cause = it.source();
    }
    text
}

fn note(
    guard: &Guard,
    parties: &Parties,
    decision: Option<&'static str>,
    says: String,
) -> Result<(), Unrecorded> {
    guard.record(&Record {
        kind: Kind::Roots,
        session: Arc::clone(&parties.session),
        principal: Arc::clone(&parties.principal),
        server: Arc::clone(&guard.server.name),
        rule: decision.map(|_| "client_roots".to_owned()),
        decision,
        says,
        ..Record::default()
    })
}
