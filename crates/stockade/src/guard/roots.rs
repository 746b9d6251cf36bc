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
use stockade_sandbox::{Confinement, Plan, Spec, plan};
use stockade_wire::frame::Lines;
use stockade_wire::upstream::Upstream;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use self::consider::{Considered, consider};
pub use self::successive::{Next, Successive};
use super::link::{Link, LinkError, Outbox};
use super::process::{Process, StartError, Started};
use super::{Conversation, Guard, Unrecorded};
use crate::prepared::Checked;

/// How long what the server was asked may go on when it is to be started anew.
const FINISH: Duration = Duration::from_secs(5);

/// So long one process is left alone before another takes its place: a client that changes its roots
/// all the time has the last of them, and no server that does nothing but start.
const APART: Duration = Duration::from_millis(500);

/// So often it is tried to start a server with roots of the client that are not there any more by
/// then. After that it is started without any.
const TRIES: usize = 3;

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
    /// When the process that runs was begun, if it has taken the place of another.
    begun: Option<Instant>,
}

impl<'a> Roots<'a> {
    /// Of a conversation with a process, or with a remote server.
    pub fn new(server: Option<&'a mut Replaceable>, reserve: Reserve) -> Self {
        let current = server.as_ref().map(|it| it.spec.clone());
        Self { server, reserve, current, told: Vec::new(), begun: None }
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
            if let Some(begun) = self.begun {
                // What is said meanwhile takes the place of what was said before.
                tokio::time::sleep_until(begun + APART).await;
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
        let considered = self.consider(conversation, &said).await?;
        let before = conversation.look(|it| it.granted().to_vec());
        let now = considered.roots;
        // What is no root any more is none at once, whatever becomes of the process.
        let left: Vec<String> = before.iter().filter(|it| now.contains(it)).cloned().collect();
        if left != before {
            link.take(conversation, outbox, Event::Granted { roots: left, tell: false }).await?;
        }
        let confines = |spec: Option<&Spec>| {
            let confine = spec.and_then(|it| it.confine.as_deref())?;
            Some((confine.roots.clone(), confine.as_found.clone(), confine.network.clone()))
        };
        if confines(considered.spec.as_ref()) != confines(self.current.as_ref())
            && let Some(spec) = considered.spec
        {
            self.renew(conversation, link, outbox, spec, now, &said).await?;
            self.begun = Some(Instant::now());
        } else if now != before {
            link.take(conversation, outbox, Event::Granted { roots: now, tell: true }).await?;
        }
        Ok(())
    }

    /// Finds out which of these count as things are now, and writes it down.
    async fn consider(
        &mut self,
        conversation: &Arc<Conversation>,
        said: &[String],
    ) -> Result<Considered, LinkError> {
        let guard = conversation.guard();
        let policy = guard.policy();
        let first = self.server.as_ref().map(|it| it.spec.clone());
        let (said, by, own) = (said.to_vec(), policy.client_roots.clone(), policy.roots.clone());
        let (reserve, first_spec) = (self.reserve.clone(), first.clone());
        let look = move || consider(&said, &by, &own, first_spec.as_ref(), &reserve);
        let considered = timeout(LOOK, tokio::task::spawn_blocking(look)).await;
        let considered = considered.ok().and_then(Result::ok).unwrap_or_else(|| {
            Considered::none(first, "it takes too long to find out what they are")
        });
        self.tell(conversation, &considered.told)?;
        Ok(considered)
    }

    fn tell(
        &mut self,
        conversation: &Conversation,
        told: &[(bool, String)],
    ) -> Result<(), Unrecorded> {
        if self.told == told {
            return Ok(());
        }
        let parties = conversation.look(|it| it.parties().clone());
        for (counts, says) in told {
            let decision = Some(if *counts { "allow" } else { "deny" });
            note(conversation.guard(), &parties, decision, says.clone())?;
        }
        told.clone_into(&mut self.told);
        Ok(())
    }

    /// Puts another process, by this spec, in the place of the one that runs. Until that is gone a
    /// root can be so as well, or be something else: then it is asked again which of them count.
    async fn renew(
        &mut self,
        conversation: &Arc<Conversation>,
        link: &Arc<Link>,
        outbox: &Outbox,
        mut spec: Spec,
        mut roots: Vec<String>,
        said: &[String],
    ) -> Result<(), LinkError> {
        let told_before = conversation.look(|it| it.told_roots());
        if let Some(server) = self.server.as_deref_mut() {
            server.ends(conversation, link, outbox).await?;
        }
        for tried in 1.. {
            let Some(server) = self.server.as_deref() else { return Ok(()) };
            let (started, held) =
                match server.start(&spec, conversation.guard(), &self.reserve).await {
                    Err(StartError::Launch(error)) if tried <= TRIES && !roots.is_empty() => {
                        let considered = if tried < TRIES {
                            self.consider(conversation, said).await?
                        } else {
                            let first = Some(server.spec.clone());
                            let none = format!("they cannot be shown: {error}");
                            let considered = Considered::none(first, &none);
                            self.tell(conversation, &considered.told)?;
                            considered
                        };
                        let Some(next) = considered.spec else { return Ok(()) };
                        (spec, roots) = (next, considered.roots);
                        continue;
                    }
                    started => started.map_err(LinkError::NotStarted)?,
                };
            let parties = server.parties.clone();
            let says = format!("{WHY}; {held}");
            note(conversation.guard(), &parties, None, says)?;
            let Some(server) = self.server.as_deref_mut() else { return Ok(()) };
            self.current = Some(spec);
            return server.begins(conversation, link, outbox, started, roots, told_before).await;
        }
        Ok(())
    }
}

impl Replaceable {
    /// Ends the process that runs, once it has answered what it was asked, or has had the time to.
    async fn ends(
        &self,
        conversation: &Arc<Conversation>,
        link: &Arc<Link>,
        outbox: &Outbox,
    ) -> Result<(), LinkError> {
        let idle = async {
            while conversation.look(|it| it.waiting()) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // What does not end by then is answered by what follows.
        let _ended = timeout(FINISH, idle).await;
        // What the old process says from here on would be taken for the new one's.
        self.lines.send(Next::Gone).await.map_err(|_| unread())?;
        link.take(conversation, outbox, Event::Replaced { why: WHY.to_owned() }).await?;
        // One that does not read takes no end of input either, and is ended all the same.
        let _told = timeout(TAKE_IN, link.finish()).await;
        // How it ended changes nothing any more.
        let _exit = self.process.exit().await;
        Ok(())
    }

    /// Starts another, just as it is planned now; and says what holds it.
    async fn start(
        &self,
        spec: &Spec,
        guard: &Arc<Guard>,
        reserve: &Reserve,
    ) -> Result<(Started, String), StartError> {
        let (prepared, planned) = (self.prepared.clone(), spec.clone());
        let look = move || {
            prepared.map_or(Ok(()), |it| it.verify())?;
            Ok::<_, StartError>(plan(&planned)?)
        };
        let plan = tokio::task::spawn_blocking(look).await.map_err(std::io::Error::other)??;
        (reserve.starts)(&plan);
        let held = plan.containment().in_brief();
        let started = Process::start(spec, Some(plan), guard, &self.parties, self.show_stderr);
        Ok((started.await?, held))
    }

    /// Has the conversation go on with the one that was started, and that has these roots.
    async fn begins(
        &mut self,
        conversation: &Arc<Conversation>,
        link: &Arc<Link>,
        outbox: &Outbox,
        Started { process, input, output }: Started,
        roots: Vec<String>,
        told_before: u64,
    ) -> Result<(), LinkError> {
        if let Some(watch) = process.watch() {
            conversation.watched_by(Arc::clone(watch));
        }
        self.process = process;
        link.replace(Upstream::Stdio(input));
        self.lines.send(Next::Here(output)).await.map_err(|_| unread())?;
        let granted = Event::Granted { roots, tell: false };
        link.take(conversation, outbox, granted).await?;
        conversation.board().send_modify(|it| it.begun = None);
        let mut board: watch::Receiver<Board> = conversation.board().subscribe();
        link.take(conversation, outbox, Event::Begins).await?;
        let patience = conversation.guard().policy().limits.call_timeout();
        let begun = timeout(patience, board.wait_for(|it| it.begun.is_some())).await;
        let begun = begun.ok().and_then(|it| it.ok()?.begun.clone());
        let late = || Err("started anew, the server does not answer".to_owned());
        begun.unwrap_or_else(late).map_err(LinkError::Anew)?;
        if told_before > 0 {
            let asks = async {
                while conversation.look(|it| it.told_roots()) == told_before {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                tokio::time::sleep(TAKE_IN).await;
            };
            // One that does not ask again has no use for them.
            let _asked = timeout(ASK, asks).await;
        }
        Ok(())
    }
}

fn unread() -> LinkError {
    LinkError::Anew("nobody reads what it writes".to_owned())
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
