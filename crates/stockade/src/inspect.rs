//! The console: a page on which a person drives servers, and sees all that passes and what is decided about
//! it. What the page and this say to each other is in `console/API.md`.
//!
//! Nothing of a conversation is done here: each server has a thread of its own, in which a client like that
//! of `stockade call` speaks through a guard ([`seat`], `line`). What the guard judges is seen where it is
//! judged (`witness`) and kept (`history`); what waits for a person waits in `questions`; and the page
//! hears of it all by `events`. How a server is found, held and started is the command line's, behind
//! [`Backing`] and [`Planned`].

mod events;
mod history;
mod line;
mod listing;
mod page;
mod questions;
mod routes;
pub mod seat;
mod server;
mod witness;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use stockade_core::lock::Entry;
use stockade_store::Filter;
use tokio::time::{Instant, sleep, timeout};

use self::events::Events;
use self::history::History;
pub use self::page::Pages;
use self::questions::Questions;
use self::seat::Seat;
use self::server::Server;
use crate::browser::{CODE, Front, serve};
use crate::failure::Failure;

/// How long no page may be open before that is the end. It is opened again when it is reloaded.
const GONE: Duration = Duration::from_secs(10);

/// How long servers have to end. What has not ended by then ends with the process.
const END: Duration = Duration::from_secs(10);

/// So many servers there may be.
const SERVERS_MAX: usize = 200;

/// What a server is, as the page says it: `console/API.md` has what each of them means.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Spec {
    pub command: Vec<String>,
    pub url: Option<String>,
    pub name: Option<String>,
    pub label: Option<String>,
    pub era: Option<String>,
    pub env: BTreeMap<String, String>,
    pub pass_env: Vec<String>,
    pub headers: BTreeMap<String, String>,
    pub meta: Map<String, Value>,
    pub timeout: Option<usize>,
    pub total: Option<usize>,
    pub capabilities: Option<Map<String, Value>>,
    pub roots: Option<Value>,
    pub answers: Option<Map<String, Value>>,
    pub sandbox: Held,
    pub consent: bool,
}

/// What holds it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Held {
    pub how: Option<String>,
    pub image: Option<String>,
    pub roots: Vec<String>,
    pub net: Vec<String>,
    pub memory: Option<String>,
    pub cpus: Option<String>,
    pub pids: Option<u32>,
    pub time: Option<u64>,
    pub allow_weaker: Vec<String>,
    pub programs: Vec<String>,
    pub secrets: Vec<String>,
    pub trace: bool,
}

/// A call that is judged, and not made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The tool.
    pub tool: String,
    /// Its arguments.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// What the server would answer.
    #[serde(default)]
    pub answer: Option<Value>,
}

/// What finds servers.
pub trait Backing: Send + Sync {
    /// Finds one, and says what would be done for it. Nothing is started. It may take a while.
    ///
    /// # Errors
    /// Why there is none.
    fn plan(&self, spec: Spec) -> Result<Arc<dyn Planned>, Failure>;

    /// What is known beside servers, for the page.
    fn about(&self) -> Value;

    /// Finds records of the ledger.
    ///
    /// # Errors
    /// When it cannot be read.
    fn ledger(&self, filter: &Filter) -> Result<Value, Failure>;

    /// Whether the ledger is as it was written, and in words.
    ///
    /// # Errors
    /// When it cannot be read.
    fn verified(&self) -> Result<Value, Failure>;

    /// Writes down that somebody was turned away.
    fn refused(&self, peer: IpAddr, rule: &'static str, says: String);
}

/// A server that was found.
pub trait Planned: Send + Sync {
    /// What it is: `label`, `transport`, `command` or `url`, `spec`, `plan`.
    fn about(&self) -> Value;

    /// What goes into `_meta` of every request.
    fn meta(&self) -> Map<String, Value>;

    /// What is answered without a person: answers as of a file, in JSON, and roots.
    fn answers(&self) -> (Map<String, Value>, Value);

    /// Starts it, and has `seat` speak to it until that is over. Says how it ended.
    ///
    /// # Errors
    /// Why it could not be spoken to.
    fn run(&self, seat: &Seat) -> Result<String, Failure>;

    /// What its policy would do with a call, of these tools.
    ///
    /// # Errors
    /// When there is no such call, or no policy.
    fn judge(&self, tools: &[Value], call: &Judged) -> Result<Value, Failure>;

    /// The lock that it may be in, and what is in it.
    ///
    /// # Errors
    /// When that cannot be read.
    fn locked(&self) -> Result<(PathBuf, Option<Entry>), Failure>;
}

/// How the console is served.
pub struct Options {
    /// Where.
    pub listen: SocketAddr,
    /// It goes on when no page is open.
    pub keep: bool,
    /// What it shows.
    pub pages: Pages,
    /// Where what has passed is kept while it runs.
    pub directory: PathBuf,
    /// What finds servers.
    pub backing: Box<dyn Backing>,
}

/// The console.
pub struct Console {
    front: Front,
    keep: bool,
    pages: Pages,
    backing: Box<dyn Backing>,
    events: Arc<Events>,
    history: Arc<Mutex<History>>,
    questions: Questions,
    servers: Mutex<BTreeMap<u16, Arc<Server>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// How many servers there were, and how many requests.
    numbers: AtomicU64,
    requests: AtomicU64,
    /// The file that leads a browser here, while it does.
    opening: Mutex<Option<PathBuf>>,
}

impl Console {
    /// Listens.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn listen(options: Options) -> Result<Arc<Self>, String> {
        let (front, listener) = Front::bind(options.listen)?;
        let events = Arc::new(Events::new());
        let console = Arc::new(Self {
            front,
            keep: options.keep,
            pages: options.pages,
            backing: options.backing,
            questions: Questions::new(&events),
            history: Arc::new(Mutex::new(History::in_directory(options.directory))),
            events,
            servers: Mutex::default(),
            threads: Mutex::default(),
            numbers: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            opening: Mutex::default(),
        });
        tokio::spawn(serve(Arc::clone(&console), listener));
        Ok(console)
    }

    /// An address that lets a page in, once: for two minutes, or where the console stays for as long as it
    /// does.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn open(&self) -> Result<String, String> {
        let good = if self.keep { Duration::from_secs(10 * 365 * 86_400) } else { CODE };
        self.front.open(Instant::now() + good).map_err(|it| it.to_string())
    }

    /// Takes this file away once a page was let in.
    pub fn opens_by(&self, file: PathBuf) {
        *self.opening.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    }

    /// Adds a server that was found, and starts it.
    ///
    /// # Errors
    /// When the system gives no thread for it.
    pub fn begin(self: &Arc<Self>, planned: Arc<dyn Planned>) -> std::io::Result<()> {
        match self.add(planned) {
            Some(server) => self.start(&server).map(drop),
            None => Ok(()),
        }
    }

    /// Returns when no page is open any more, or none came, and says so: then that is the end. Where the
    /// console stays, it opens another address by `again`.
    pub async fn until_left(&self, again: impl Fn()) -> &'static str {
        let mut pages = self.events.pages();
        // It fails for nobody: the sender is here.
        let came = pages.wait_for(|it| *it > 0);
        if self.keep {
            let _came = came.await.map(drop);
        } else if timeout(CODE, came).await.is_err() {
            return "no page came";
        }
        loop {
            let _left = pages.wait_for(|it| *it == 0).await.map(drop);
            if timeout(GONE, pages.wait_for(|it| *it > 0)).await.is_ok() {
                continue;
            }
            if !self.keep {
                return "no page is open any more";
            }
            again();
            let _came = pages.wait_for(|it| *it > 0).await.map(drop);
        }
    }

    /// Ends all servers, and waits until they have ended, but no longer than they may take.
    pub async fn end(&self, why: &str) {
        self.events.tell("over", &json!({ "why": why }));
        self.close_opening();
        let servers: Vec<_> = self.servers().values().cloned().collect();
        servers.iter().for_each(|it| it.stop());
        let threads = std::mem::take(&mut *self.threads());
        let ended = async {
            while !threads.iter().all(JoinHandle::is_finished) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        // What stays ends with this process, which whoever keeps it sees to.
        let _late = timeout(END, ended).await;
    }

    fn add(&self, planned: Arc<dyn Planned>) -> Option<Arc<Server>> {
        let mut servers = self.servers();
        if servers.len() >= SERVERS_MAX {
            return None;
        }
        let last = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let number = u16::try_from(last).ok()?;
        let server = Arc::new(Server::new(number, planned, &self.events, &self.history));
        servers.insert(number, Arc::clone(&server));
        drop(servers);
        self.events.tell("server", &server.told(0));
        Some(server)
    }

    /// Starts a server. False, where it is there already.
    fn start(self: &Arc<Self>, server: &Arc<Server>) -> std::io::Result<bool> {
        let Some((line, orders)) = server.starts() else { return Ok(false) };
        self.changed(server);
        let seat = Seat::new(Arc::clone(self), Arc::clone(server), line, orders);
        let thread = std::thread::Builder::new().name(server.name());
        let started = thread.spawn(move || {
            let ended = seat.planned().run(&seat);
            seat.over(ended);
        });
        match started {
            Ok(thread) => {
                let mut threads = self.threads();
                threads.retain(|it| !it.is_finished());
                threads.push(thread);
                Ok(true)
            }
            Err(error) => {
                server.over(Err(error.to_string()));
                self.changed(server);
                Err(error)
            }
        }
    }

    fn server(&self, name: &str) -> Option<Arc<Server>> {
        let number = name.strip_prefix('s')?.parse().ok()?;
        self.servers().get(&number).cloned()
    }

    fn told(&self, server: &Server) -> Value {
        server.told(self.questions.of(server.number()))
    }

    fn changed(&self, server: &Server) {
        self.events.tell("server", &self.told(server));
    }

    fn close_opening(&self) {
        let file = self.opening.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The code in it does not let anybody in any more.
        let _gone = file.map(std::fs::remove_file);
    }

    fn servers(&self) -> MutexGuard<'_, BTreeMap<u16, Arc<Server>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn minute() -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map(|it| it.as_secs() / 60).unwrap_or_default()
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("address", &self.front.address()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("listen", &self.listen).finish_non_exhaustive()
    }
}
