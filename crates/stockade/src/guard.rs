//! Between a client and a server: what either says is judged by `stockade-core`, written to the
//! ledger, and only then sent on.
//!
//! A [`Conversation`] is the one way through, whatever the transport. What carries it is in the
//! modules below: [`link`] is the way to the server, [`stdio`] a client on this process's own
//! standard input, [`gateway`] the clients of an HTTP listener.

pub mod egress;
pub mod gateway;
pub mod link;
pub(crate) mod links;
pub mod memory;
pub mod onlooker;
pub mod process;
pub mod roots;
pub mod stdio;
mod tally;
pub mod tap;
mod vigil;
pub mod watch;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use stockade_core::check::{self, redacted, visible};
use stockade_core::judge::Cleared;
use stockade_core::leads;
use stockade_core::lock::Difference;
use stockade_core::message::{Frame, Id, Kind, Message, Side};
use stockade_core::meter::Meter;
use stockade_core::policy::Policy;
use stockade_core::record::{self, Record};
use stockade_core::root::directories;
use stockade_core::session::{Effect, Event, Parties, Places, Server, Session};
use stockade_store::{Ledger, Position};
use stockade_wire::error::WireError;
use tokio::sync::Semaphore;

use self::egress::Room;
use self::memory::Memory;
use self::onlooker::Onlooker;
use self::roots::Board;
use self::tally::Tally;
use self::tap::{Tap, Turn};
use self::vigil::{Held, Vigil};
use crate::alerts::Alerts;
use crate::approvals::desk::{Answers, Desk};
use crate::approvals::ways::Ways;
use crate::config::watch::Live;
use crate::lock::shown::Shown;
use crate::metrics::{Metrics, Talk};
use crate::traces::Traces;

/// How long a server has that was told to stop, before its process is ended for not having done so.
const LEAVE: Duration = Duration::from_secs(1);

/// How long it may take to find out where the paths of one call lead. A file system that does not
/// answer has nobody but that call wait.
const LOOK: Duration = Duration::from_secs(5);

/// So many look at the disk at a time.
const LOOKS_MAX: usize = 64;

/// What all conversations of this process share.
#[derive(Debug)]
pub struct Guard {
    /// The server that is guarded.
    pub server: Arc<Server>,
    live: Arc<Live>,
    ledger: Ledger,
    memory: Arc<Memory>,
    tally: Tally,
    room: Arc<Room>,
    vigil: Arc<Vigil>,
    /// Those who look at the disk.
    looks: Arc<Semaphore>,
    /// Whether the server's process is on this machine, so that paths can be looked at.
    here: bool,
    unreachable: OnceLock<()>,
    reached: OnceLock<()>,
    /// Where it is kept what the server shows in place of what was approved.
    shown: OnceLock<Shown>,
    /// Who tells at once what happens, if somebody does.
    alerts: OnceLock<Arc<Alerts>>,
    /// Who counts it, if somebody reads the numbers.
    metrics: OnceLock<Arc<Metrics>>,
    /// Who tells of calls as parts of traces, if somebody does.
    traces: OnceLock<Traces>,
    /// By what other ways people hear of what asks.
    ways: OnceLock<Ways>,
    /// Who sees what is written down, if somebody does.
    onlooker: OnceLock<Arc<Onlooker>>,
    /// Who sees what passes, if somebody does.
    tap: OnceLock<Arc<dyn Tap>>,
    /// The status with which a remote server has turned this guard away for who it is.
    turned_away: OnceLock<u16>,
    /// Why a record was refused for what it is: the ledger itself goes on after that.
    refused: OnceLock<String>,
    sessions: String,
    /// What the marks around a server's text are made of. None: there was no randomness, and such
    /// text does not pass.
    secret: Option<[u8; 32]>,
    began: Instant,
}

/// The ledger did not take a record, so nothing that depends on it may happen.
#[derive(Debug, thiserror::Error)]
#[error("the ledger cannot be written")]
pub struct Unrecorded(#[source] pub stockade_store::Error);

impl Guard {
    /// A guard of `server`, by a policy that may be replaced while it stands, which shares what it
    /// remembers with others.
    pub fn new(server: Arc<Server>, live: Arc<Live>, ledger: Ledger, memory: Memory) -> Self {
        // Names must differ and need not be secret: without randomness, processes differ too.
        let mark = getrandom::u32().unwrap_or_else(|_| std::process::id());
        let sessions = format!("s{mark:08x}");
        let tally = Tally::default();
        let (unreachable, reached, refused) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let (room, began, shown) = (Room::of_this_process(), Instant::now(), OnceLock::new());
        let mut secret = [0; 32];
        let secret = getrandom::fill(&mut secret).ok().map(|()| secret);
        let memory = Arc::new(memory);
        Self {
            server,
            live,
            ledger,
            memory,
            tally,
            room,
            vigil: Arc::default(),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
            here: false,
            unreachable,
            reached,
            shown,
            alerts: OnceLock::new(),
            metrics: OnceLock::new(),
            traces: OnceLock::new(),
            ways: OnceLock::new(),
            onlooker: OnceLock::new(),
            tap: OnceLock::new(),
            turned_away: OnceLock::new(),
            refused,
            sessions,
            secret,
            began,
        }
    }

    /// The same, of a server whose process is on this machine, or is not.
    #[must_use]
    pub fn here(self, here: bool) -> Self {
        Self { here, ..self }
    }

    /// What the names of this guard's sessions begin with. Many processes write to one ledger, and
    /// a reference is to lead to one call of one of them.
    pub fn sessions(&self) -> &str {
        &self.sessions
    }

    /// Calls `late`, once, when something has been looked at for longer than any message takes
    /// (half a minute): nothing else in this process goes on then. The ledger has been told what it
    /// was by then, if it could be in a moment.
    ///
    /// # Errors
    /// When the system gives no thread for it.
    pub fn watched(self: &Arc<Self>, late: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let guard = Arc::downgrade(self);
        self.vigil.keep(vigil::LOOK_MAX, move |held| {
            if let Some(guard) = guard.upgrade() {
                vigil::tell(move || {
                    let server = Arc::clone(&guard.server.name);
                    let record = held.record(server, &guard.policy(), vigil::LOOK_MAX);
                    // Whoever waits for this looks no further: it ends either way.
                    let _ = guard.append(&record).map(|_| guard.ledger.checkpoint());
                });
            }
            late();
        })
    }

    /// What all servers of this process have together for their connections.
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// The policy of this moment.
    pub fn policy(&self) -> Arc<Policy> {
        self.live.policy()
    }

    /// Writes something down: now, or if it can wait, along with the next record or a moment later.
    /// What comes in floods is counted after the first.
    ///
    /// # Errors
    /// When the ledger does not take it. It takes nothing after that.
    pub fn record(&self, record: &Record) -> Result<(), Unrecorded> {
        if record.can_be_counted() && !self.tally.lets_through(record, self.now_ms()) {
            self.see(record, None);
            return Ok(());
        }
        let at = self.append(record)?;
        self.see(record, Some(at));
        Ok(())
    }

    fn see(&self, record: &Record, at: Option<Position>) {
        if let Some(onlooker) = self.onlooker.get() {
            onlooker.sees(record);
        }
        if let Some(tap) = self.tap.get() {
            tap.noted(record);
        }
        if let Some(alerts) = self.alerts.get() {
            alerts.see(record, at);
        }
        if let Some(metrics) = self.metrics.get() {
            metrics.see(record);
        }
        if let Some(traces) = self.traces.get() {
            traces.see(record, stockade_store::now_ms());
        }
    }

    /// Writes down the numbers of what was counted that are due.
    ///
    /// # Errors
    /// When the ledger takes nothing more, whether or not there is a number.
    pub fn tend(&self) -> Result<(), Unrecorded> {
        self.tally.due(self.now_ms()).iter().try_for_each(|it| self.append(it).map(drop))?;
        self.check()
    }

    /// Writes down all numbers of what was counted: this is the end.
    ///
    /// # Errors
    /// When the ledger does not take them.
    pub fn settle(&self) -> Result<(), Unrecorded> {
        self.tally.rest().iter().try_for_each(|it| self.append(it).map(drop))
    }

    fn append(&self, record: &Record) -> Result<Position, Unrecorded> {
        let appended = match record.can_wait() {
            true => self.ledger.append_soon(record),
            false => self.ledger.append(record),
        };
        let appended = match appended {
            // What makes it so long is what a peer has said, and a peer ends nothing here.
            Err(stockade_store::Error::Fields(stockade_store::FieldsError::TooLong(_))) => {
                self.ledger.append(&record.shortened())
            }
            appended => appended,
        };
        if let Err(stockade_store::Error::Fields(why)) = &appended {
            let _first = self.refused.set(why.to_string());
        }
        appended.map_err(|it| self.unwritten(it))
    }

    /// Has somebody told that the ledger takes nothing more.
    pub fn unwritten(&self, error: stockade_store::Error) -> Unrecorded {
        if let Some(alerts) = self.alerts.get() {
            alerts.unwritten(&memory::told(&error));
        }
        if let Some(metrics) = self.metrics.get() {
            metrics.unwritten();
        }
        Unrecorded(error)
    }

    /// Whether anything can still be recorded.
    ///
    /// # Errors
    /// When the ledger takes nothing more.
    pub fn check(&self) -> Result<(), Unrecorded> {
        if let Some(cause) = self.refused.get() {
            let cause = cause.clone();
            return Err(self.unwritten(stockade_store::Error::Poisoned { cause }));
        }
        self.ledger.check().map_err(|it| self.unwritten(it))
    }

    /// Why the server was not reached, for the record. A certificate that is not trusted or a port
    /// where nobody listens is a thing to be mended by whoever started this process, who is told
    /// the first time; a client is not.
    pub fn unreached(&self, error: &WireError) -> String {
        let why = error.in_full();
        if let WireError::Status { status: status @ (401 | 403), .. } = error {
            self.turned_away.get_or_init(|| *status);
        }
        if matches!(error, WireError::Tls(_) | WireError::Io(_)) && self.unreachable.set(()).is_ok()
        {
            // The names in a certificate are the other side's words.
            anstream::eprintln!("note: the server cannot be reached: {}", visible(&redacted(&why)));
        }
        why
    }

    /// Has somebody see what is written down.
    pub fn seen_by(&self, onlooker: &Arc<Onlooker>) {
        self.onlooker.get_or_init(|| Arc::clone(onlooker));
    }

    /// Has somebody see what passes.
    pub fn tapped_by(&self, tap: Arc<dyn Tap>) {
        self.tap.get_or_init(|| tap);
    }

    /// The status with which a remote server has turned this guard away for who it is, if it has.
    pub fn turned_away(&self) -> Option<u16> {
        self.turned_away.get().copied()
    }

    /// Notes that the server has answered.
    pub fn reached(&self) {
        self.reached.get_or_init(|| ());
    }

    /// Whether it was tried to reach the server, and never done.
    pub fn never_reached(&self) -> bool {
        self.unreachable.get().is_some() && self.reached.get().is_none()
    }

    /// Has what the server shows in place of what was approved be kept there.
    pub fn keeps_in(&self, shown: Shown) {
        self.shown.get_or_init(|| shown);
    }

    /// Keeps what the server shows in place of what was approved. It is refused whether or not it
    /// can be kept.
    fn differs(&self, difference: &Difference) {
        if let Some(Err(error)) = self.shown.get().map(|it| it.keep(difference)) {
            anstream::eprintln!("note: what the server shows cannot be kept: {error}");
        }
    }

    /// Has what happens be told at once, where somebody is to hear of it.
    pub fn alerts_by(self: &Arc<Self>, alerts: &Arc<Alerts>) {
        alerts.recorded_by(self);
        self.alerts.get_or_init(|| Arc::clone(alerts));
    }

    /// Has what happens be counted, from the first conversation on that begins after this.
    pub fn counted_by(&self, metrics: &Arc<Metrics>) {
        self.metrics.get_or_init(|| Arc::clone(metrics));
    }

    /// Has calls be told as parts of traces, from the first conversation on that begins after this.
    pub fn traced_by(&self, traces: Traces) {
        if let Some(metrics) = self.metrics.get() {
            traces.counted_by(metrics);
        }
        self.traces.get_or_init(|| traces);
    }

    /// Who tells them.
    pub fn traces(&self) -> Option<&Traces> {
        self.traces.get()
    }

    /// Has people hear of what asks by other ways as well.
    pub fn asks_by(&self, ways: Ways) {
        self.ways.get_or_init(|| ways);
    }

    /// Those ways, if there are some.
    pub fn ways(&self) -> Option<&Ways> {
        self.ways.get()
    }

    /// Who tells it.
    pub fn alerts(&self) -> Option<&Arc<Alerts>> {
        self.alerts.get()
    }

    /// The policy and its file.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// The ledger itself.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Tells whoever started this process that something is not as it was approved, or that a tool does
/// what its server says it does not: a client believes such words, and nobody would look into the
/// ledger for it.
fn tell(record: &Record) {
    if record.kind == record::Kind::Lock {
        let says = visible(&redacted(&record.says));
        let class = record.difference.map(|it| format!("{it}; ")).unwrap_or_default();
        anstream::eprintln!("note: {says} ({class}`stockade lock diff` shows it)");
    }
    for noted in record.findings.iter().filter(|it| it.rule == check::OBSERVED.id) {
        let tool = visible(&redacted(record.tool.as_deref().unwrap_or_default()));
        let says = visible(&noted.says);
        anstream::eprintln!(
            "note: the tool `{tool}` {says} (call {}; {})",
            record.call,
            noted.rule
        );
    }
}

/// Who has sent a message, and how long it is, of an event that is one.
fn heard(event: &Event) -> Option<(Side, usize)> {
    if let Event::Heard { from, bytes } = event {
        return Some((*from, bytes.len()));
    }
    if let Event::Answered { bytes, .. } = event {
        return Some((Side::Server, bytes.len()));
    }
    if let Event::Said(message) | Event::Looked { message, .. } = event {
        return Some((message.from(), message.bytes().len()));
    }
    None
}

/// A message of more bytes takes its time to be judged.
const LARGE: usize = 256 * 1024;

/// Does what takes its time so that others, who wait for the same thread, go on at another. Whoever waits
/// for the same output of a server, which one task reads, waits all the same.
/// An event loop of one thread has one session, and nobody waits.
fn apart<T>(job: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|it| it.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(job),
        Ok(_) | Err(_) => job(),
    }
}

/// A message of a client, with what is to be looked at before it is judged.
struct Named {
    message: Box<Message>,
    paths: BTreeSet<String>,
    roots: Vec<String>,
}

/// One conversation between a client and the server.
#[derive(Debug)]
pub struct Conversation {
    guard: Arc<Guard>,
    parties: Parties,
    session: Mutex<Session>,
    board: tokio::sync::watch::Sender<Board>,
    overdue: tokio::sync::watch::Sender<bool>,
    desk: OnceLock<Desk>,
    answers: Mutex<Option<Answers>>,
    /// Something waits for a person that did not before.
    parks: tokio::sync::watch::Sender<()>,
    /// It, in the numbers, if it is counted.
    talk: Option<Talk>,
}

impl Conversation {
    /// A conversation that has not begun, whose calls are counted by themselves.
    pub fn new(guard: Arc<Guard>, parties: Parties) -> Self {
        Self::metered(guard, parties, Arc::default())
    }

    /// A conversation that has not begun, whose calls are counted by `meter`.
    pub fn metered(guard: Arc<Guard>, parties: Parties, meter: Arc<Meter>) -> Self {
        let mut session = Session::new(Arc::clone(&guard.server), parties.clone(), meter);
        guard.secret.into_iter().for_each(|it| session.fenced_with(it));
        session.remembered_by(Arc::clone(&guard.memory) as _);
        if guard.traces.get().is_some() {
            session.traced();
        }
        let session = Mutex::new(session);
        let (board, overdue) = Default::default();
        let (desk, answers, parks) = (OnceLock::new(), Mutex::default(), Default::default());
        let talk = guard.metrics.get().map(Talk::new);
        Self { guard, parties, session, board, overdue, desk, answers, parks, talk }
    }

    /// Has somebody look at what the server does during calls, from now on.
    pub fn watched_by(&self, watch: Arc<watch::Watch>) {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).watched_by(watch);
    }

    /// Has the client be asked for its roots, where the policy lets them count.
    pub fn heeds_roots(&self) {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).heeds_roots();
    }

    /// Returns when the server's process is to be ended, since it let a call take too long. It had
    /// time by then to take in that nobody waits for it, and whoever waited was told.
    pub async fn overdue(&self) {
        let mut overdue = self.overdue.subscribe();
        // It does not fail for as long as this is here.
        drop(overdue.wait_for(|it| *it).await);
        tokio::time::sleep(LEAVE).await;
    }

    /// Has a person be asked, where the policy asks. Whoever carries the conversation takes in what is
    /// answered.
    pub fn asks_at(&self, desk: Desk, answers: Answers) {
        desk.asks_elsewhere(&self.guard);
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = Some(answers);
        self.asks_by(desk);
    }

    /// The same, where the desk itself says who takes it in.
    pub fn asks_by(&self, desk: Desk) {
        if self.desk.set(desk).is_ok() {
            self.session.lock().unwrap_or_else(PoisonError::into_inner).heeds_questions();
        }
    }

    /// Has it and others have these places together for what waits for a person.
    pub fn shares(&self, places: Arc<Places>) {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).shares(places);
    }

    /// Who talks in it.
    pub fn parties(&self) -> Parties {
        self.look(|it| it.parties().clone())
    }

    /// Nobody wants an answer any more, and nobody is asked: what waits for a person must not be
    /// approved while the rest comes to its end.
    pub fn asks_no_more(&self, why: &str) {
        if self.look(|it| it.asked()) > 0 {
            // There is nobody left to be told.
            let _sends = self.take(Event::Left(Side::Client, why.to_owned()));
        }
    }

    /// Has a person be asked about answers as well. Whoever carries the conversation keeps the way open
    /// to who waits for one.
    pub fn holds_answers(&self) {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).heeds_answers();
    }

    /// Returns when the answer to the request `id` waits for a person.
    pub async fn holds(&self, id: &Id) {
        let mut parks = self.parks.subscribe();
        while !self.look(|it| it.holds(id)) {
            // It does not fail for as long as this is here.
            if parks.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// What is answered, for one who takes it in.
    fn answers(&self) -> Option<Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What the session leaves to be done about roots.
    fn board(&self) -> &tokio::sync::watch::Sender<Board> {
        &self.board
    }

    /// The guard that stands in it.
    pub fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// Looks at the session.
    pub fn look<T>(&self, at: impl FnOnce(&Session) -> T) -> T {
        at(&self.session.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An event in which the client has named paths, with what is known of them: to be asked for
    /// before it is taken in. Of what was not found out in time, nothing is known, and it does not pass.
    pub async fn looked(&self, event: Event) -> Event {
        let Named { message, paths, roots } = match self.named(event) {
            Ok(it) => it,
            Err(event) => return event,
        };
        let looks = Arc::clone(&self.guard.looks);
        let look = async {
            let room = looks.acquire_owned().await.ok()?;
            let look = move || {
                let leads = links::look(paths, &roots);
                drop(room);
                leads
            };
            tokio::task::spawn_blocking(look).await.ok()
        };
        let leads = tokio::time::timeout(LOOK, look).await.ok().flatten().unwrap_or_default();
        Event::Looked { message, leads: Box::new(leads) }
    }

    /// Takes in what happened, writes down what has to be written, and answers what is to be sent,
    /// in order.
    ///
    /// # Errors
    /// When the ledger does not take a record: then nothing may be sent.
    pub fn take(&self, event: Event) -> Result<Vec<Cleared>, Unrecorded> {
        if matches!(event, Event::Passed) {
            // What fails in the ledger by itself must not be found out by the next call alone:
            // whoever waits then would wait until it takes too long.
            self.guard.check()?;
        }
        let (began, heard) = (Instant::now(), heard(&event));
        if let (Some(alerts), Some((_, bytes))) = (self.guard.alerts.get(), heard) {
            alerts.sees_bytes(bytes);
        }
        let tap = self.guard.tap.get();
        let said = tap.and_then(|_| tap::heard(&event));
        let mut noted = Vec::new();
        let _look = self.guard.vigil.look(Held::new(&self.parties, &event));
        let effects = match heard {
            Some((_, bytes)) if bytes > LARGE => apart(|| self.on(event)),
            Some(_) | None => self.on(event),
        };
        let mut sends = Vec::with_capacity(1);
        for effect in effects {
            match effect {
                Effect::Record(record) => {
                    self.guard.record(&record)?;
                    tell(&record);
                    if tap.is_some() {
                        noted.push(*record);
                    }
                }
                Effect::Send(cleared) => sends.push(cleared),
                Effect::Ask(question) => {
                    if let Some(desk) = self.desk.get() {
                        desk.ask(question);
                    }
                    self.parks.send_replace(());
                }
                Effect::Answer { call, digest, approved, says } => {
                    if let Some(desk) = self.desk.get() {
                        desk.give(call, digest, approved, says);
                    }
                }
                Effect::Unask(call) => self.unask(call),
                Effect::Roots(said) => self.board.send_modify(|it| {
                    (it.said, it.busy) = (Some(said), true);
                }),
                Effect::Differs(difference) => self.guard.differs(&difference),
                Effect::Begun(begun) => self.board.send_modify(|it| it.begun = Some(begun)),
                Effect::Kill => drop(self.overdue.send_replace(true)),
            }
        }
        if let (Some(talk), Some((from, bytes))) = (&self.talk, heard) {
            talk.held(from, bytes, began.elapsed());
        }
        if let Some(tap) = tap {
            tap.turn(&Turn { heard: said.as_ref(), records: &noted, sends: &sends });
        }
        Ok(sends)
    }

    /// What is to be sent when nothing can be recorded any more: everyone who waits is told.
    pub fn abandon(&self) -> Vec<Cleared> {
        let why = "the ledger cannot be written".to_owned();
        let effects = self.on(Event::Left(Side::Server, why));
        effects
            .into_iter()
            .filter_map(|it| match it {
                Effect::Send(cleared) => Some(cleared),
                Effect::Unask(call) => {
                    self.unask(call);
                    None
                }
                Effect::Record(_)
                | Effect::Ask(_)
                | Effect::Answer { .. }
                | Effect::Roots(_)
                | Effect::Begun(_)
                | Effect::Differs(_)
                | Effect::Kill => None,
            })
            .collect()
    }

    /// The paths that a client has named in an event, where there is something to be looked at.
    #[expect(clippy::result_large_err, reason = "an event is what it is given, and gives back")]
    fn named(&self, event: Event) -> Result<Named, Event> {
        let policy = self.guard.policy();
        if !self.guard.here || policy.roots.is_empty() && policy.client_roots.is_empty() {
            return Err(event);
        }
        let message = if let Event::Heard { from: Side::Client, bytes } = &event {
            let frame = Frame::parse(Side::Client, bytes.clone(), &policy.limits.json());
            // What was several messages is judged by the texts alone.
            let Ok(Frame::One(message)) = frame else { return Err(event) };
            message
        } else if let Event::Said(message) = event {
            message
        } else {
            return Err(event);
        };
        if message.from() != Side::Client || message.kind() != Kind::Request {
            return Err(Event::Said(message));
        }
        let roots = self.look(|it| it.roots(&policy));
        if directories(&roots).is_empty() {
            return Err(Event::Said(message));
        }
        let paths = leads::paths(&message, &self.guard.server, &policy, &roots);
        if paths.is_empty() {
            return Err(Event::Looked { message, leads: Box::default() });
        }
        Ok(Named { message, paths, roots })
    }

    fn unask(&self, call: String) {
        if let Some(desk) = self.desk.get() {
            desk.unask(call);
        }
    }

    fn on(&self, event: Event) -> Vec<Effect> {
        let policy = self.guard.policy();
        let now_ms = self.guard.now_ms();
        // A poisoned lock is a panic in the middle of a turn. The session may have forgotten a
        // request by that; it cannot have cleared one, since what is cleared is returned.
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let effects = session.on(event, &policy, now_ms);
        if let Some(talk) = &self.talk {
            talk.waits(session.asked());
        }
        if session.asks_for_roots() {
            self.board.send_if_modified(|it| !std::mem::replace(&mut it.busy, true));
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_its_time_holds_up_no_other() {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let (tells, hears) = std::sync::mpsc::channel();
        let heard = runtime.block_on(async move {
            let judges = tokio::spawn(async move {
                apart(|| hears.recv_timeout(Duration::from_secs(10)).is_ok())
            });
            let other = tokio::spawn(async move { tells.send(()) });
            let _sent = other.await;
            judges.await
        });
        assert!(heard.unwrap());
    }

    #[test]
    fn one_thread_has_nobody_who_waits() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(async { apart(|| 1) }), 1);
        assert_eq!(apart(|| 2), 2);
    }
}
