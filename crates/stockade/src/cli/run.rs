//! `stockade run`, and what it shares with `stockade serve`.

mod approved;
mod identity;
mod inspected;
mod told;

use std::ffi::OsString;
use std::io::{self, Write};
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use stockade_core::check::{listed, redacted, visible};
use stockade_core::record::{Kind, Record};
use stockade_core::session::{Blocked, Parties, Server};
use stockade_sandbox::{Confinement, Plan, Spec, plan, raise_descriptors};
use stockade_store::Ledger;
use stockade_wire::frame;
use stockade_wire::http::connection::{HttpOptions, HttpUpstream};
use stockade_wire::http::headers::SendHeaders;
use stockade_wire::upstream::Upstream;
use stockade_wire::{memory, stdio};

use self::approved::letting_pass;
pub(super) use self::told::last;
use super::State;
use super::hold::{Hold, hold, not_started, passed_on, too_many};
use super::locked::{Follows, Locked, Standing};
use super::own::{Kept, led, reserve};
use super::prepare::{Consent, Settled, failed, settle};
use crate::approvals::desk::{About, Desk};
use crate::approvals::place::Place;
use crate::approvals::ways::Ways;
use crate::config::watch::{Change, EVERY, Live};
use crate::config::{Flags, Resolved, Search, Target};
use crate::failure::{Exit, Failure};
use crate::guard::link::{Link, LinkError, Outbox};
use crate::guard::memory::Memory;
use crate::guard::process::{Process, StartError, Started};
use crate::guard::roots::{Replaceable, Reserve, Roots, Successive};
use crate::guard::stdio::{Ended, carry};
use crate::guard::{Conversation, Guard, Unrecorded};

/// Variables that a program may need to find its way about, and that carry no secret. All others
/// are passed only by name: what a client's configuration gives to the guard is not for whatever
/// the guard starts.
const ENVIRONMENT: &[&str] = &[
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "LANG", "LC_ALL",
    "LC_CTYPE",
];

/// Guard one server, speaking standard input and output to the client
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade run --root ~/notes -- npx -y @modelcontextprotocol/server-filesystem ~/notes
  stockade run --upstream https://mcp.example.com/mcp")]
pub(super) struct Run {
    /// Guard the remote server at this address instead of a command. Over https, it must prove who
    /// it is by a certificate that this machine trusts, or one of those in $SSL_CERT_FILE
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    upstream: Option<String>,
    #[command(flatten)]
    shared: Shared,
    /// A directory in which roots that the client gives count as well, or `*` for any: with ":rw"
    /// behind it, the server may write in them. Or a URI. May be repeated [default: nowhere]
    #[arg(long = "client-root", value_name = "DIR[:ro|rw]|*")]
    client_roots: Vec<OsString>,
    /// The server's command
    #[arg(last = true, help_heading = None, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What is guarded, as the command line says it.
#[derive(Debug)]
pub(super) struct Guarded<'a> {
    pub(super) upstream: Option<&'a str>,
    pub(super) command: &'a [OsString],
    pub(super) policy: Option<&'a Path>,
    pub(super) server: Option<&'a str>,
    pub(super) roots: &'a [OsString],
}

/// What `run` and `serve` have in common.
#[derive(Clone, Debug, Args)]
pub(super) struct Shared {
    /// Decide by this policy [default: $XDG_CONFIG_HOME/stockade/stockade.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The server of the policy file that this is
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Hold the server to what was approved of it in this lock [default: stockade.lock beside the
    /// policy, if that is named; else that of this user]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// A directory that the server is there for: its process sees it, and arguments of calls may be
    /// about it. With ":rw" behind it, the server may write there. May be repeated
    #[arg(long = "root", value_name = "DIR[:ro|rw]")]
    roots: Vec<OsString>,
    /// Pass this variable of the environment on to the server. May be repeated
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// How long a call may be silent, in seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<usize>,
    /// Show what the server writes to standard error. The ledger has it in any case
    #[arg(long)]
    stderr: bool,
    /// Write down what each call has the server's process touch: files, addresses, programs. It
    /// slows down every file that is opened
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    state: State,
    #[command(flatten)]
    hold: Hold,
    #[command(flatten)]
    consent: Consent,
    #[arg(skip)]
    asks: Asks,
}

/// What a command says for itself that asks a server, and does not stand in front of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks {
    /// How long a request may take in all, in seconds.
    pub(super) total: Option<usize>,
    /// There are to be many of them.
    pub(super) many: bool,
    /// The policy lets all of them pass, and mends nothing: it is the server that is to be seen.
    pub(super) lets_pass: bool,
    /// What a remote server is given with each.
    pub(super) headers: SendHeaders,
    /// Variables of a process, with their values.
    pub(super) env: Vec<(String, String)>,
}

/// Where the server is, as the command line or the policy file has it.
#[derive(Debug)]
pub(super) enum Where {
    /// A process to start.
    Here(Settled),
    /// An address.
    There(HttpUpstream),
}

/// What the policy and the command line come to, before anything is started or written.
#[derive(Debug)]
pub(super) struct Found {
    search: Search,
    flags: Flags,
    resolved: Resolved,
    pub(super) server: Where,
    pub(super) locked: Locked,
    /// What will be done for the process, if the server is one.
    plan: Option<Plan>,
    /// What is to be known of its roots.
    told: Vec<String>,
}

/// A guard that is ready to stand.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) guard: Arc<Guard>,
    pub(super) resolved: Resolved,
    pub(super) server: Where,
    /// How it is started, if it is a process: so, the first time.
    pub(super) plan: Option<Plan>,
    /// What holds the server, for a person.
    pub(super) held: String,
    pub(super) kept: Arc<Mutex<Kept>>,
    /// What the server is held to, to be read again while it runs.
    pub(super) follows: Option<Follows>,
    pub(super) show_stderr: bool,
    /// The directory of state, which approvals are in as well.
    pub(super) state: PathBuf,
    /// Keeps what is the guard's own from the server, whatever roots it gets.
    reserve: Reserve,
}

impl Shared {
    /// Reads the policy, finds the server, and opens the ledger. Nothing, where only the plan was
    /// asked for: it is printed by then.
    pub(super) fn ready(
        &self,
        upstream: Option<&str>,
        command: &[OsString],
        client_roots: &[String],
    ) -> Result<Option<Ready>, Failure> {
        raise_descriptors();
        let found = self.look(upstream, command, client_roots)?;
        if !self.hold.dry_run
            && let Some(told) = self.first_use(&found)?
        {
            anstream::eprintln!("note: {told}");
        }
        let Found { search, flags, resolved, server, plan, told, locked } = found;
        if let Some(about) = server.about() {
            anstream::eprintln!("note: {about}");
        }
        if self.hold.dry_run {
            told.iter().for_each(|it| anstream::eprintln!("note: {it}"));
            let plan = plan.map(|it| it.to_string());
            let plan = plan.unwrap_or_else(|| "a remote server: nothing is started\n".to_owned());
            super::printed(io::stdout().lock().write_all(plan.as_bytes()))?;
            return Ok(None);
        }
        let standing = locked.standing()?;
        let name = resolved.server.as_ref().map(|it| it.name.clone());
        let name = name.unwrap_or_else(|| server.name());
        let alerts = self.alerts(&resolved, &name, plan.is_some())?;
        let ledger = self.ledger(&resolved).inspect_err(|_| told::unopened(alerts.as_deref()))?;
        let kept = plan.as_ref().map(|it| Kept::new(it, &search)).unwrap_or_default();
        let judged = if self.asks.lets_pass { letting_pass(&resolved) } else { resolved.clone() };
        let live = Arc::new(Live::new(search, flags, &judged));
        let memory = self.memory()?;
        let guard = Guard::new(Arc::new(Server::new(&name)), live, ledger, memory);
        let guard = Arc::new(guard.here(matches!(server, Where::Here(_))));
        guard.keeps_in(locked.shown());
        if let Some(alerts) = &alerts {
            guard.alerts_by(alerts);
        }
        told::counted(resolved.metrics, &guard);
        told::traced(resolved.traces.as_deref(), &guard)?;
        if let Some(ways) = Ways::new(&resolved.ways).map_err(told::no_hook)? {
            guard.asks_by(ways);
        }
        let (pinned, follows) = match standing {
            Standing::Free => ("nothing of it is pinned".to_owned(), None),
            Standing::Held(pins) => {
                guard.server.pin(*pins);
                let pinned = format!("held to `{}`", locked.place.path().display());
                (pinned, Some(Follows::new(locked, Arc::clone(&guard.server))))
            }
            Standing::Unknown(blocked) | Standing::Other(blocked) => {
                let pinned = format!("not started, and blocked: {}", blocked.why);
                alerts.iter().for_each(|it| it.blocked());
                guard.server.block(Arc::new(blocked));
                (pinned, None)
            }
        };
        let held = match (&server, &plan) {
            (Where::Here(it), Some(plan)) => it.held(plan),
            (Where::Here(_), None) => String::new(),
            (Where::There(_), _) => "a remote server, which no sandbox here holds".to_owned(),
        };
        let shadow = resolved.policy.shadow.then(|| {
            let place = resolved.place("mode");
            format!("in shadow: nothing of what the policy decides is done ({place})")
        });
        let held: Vec<String> = shadow.into_iter().chain([held, pinned]).chain(told).collect();
        let held = held.join("; ");
        let (state, read) = (self.state.clone(), self.read()?);
        let keep = move |confine: &mut Confinement| {
            let read: Vec<&Path> = read.iter().map(PathBuf::as_path).collect();
            reserve(Some(confine), &state, &read, false).map_err(|it| it.to_string())
        };
        let kept = Arc::new(Mutex::new(kept));
        let renewed = Arc::clone(&kept);
        let starts = move |plan: &Plan| {
            renewed.lock().unwrap_or_else(PoisonError::into_inner).renew(plan);
        };
        let reserve = Reserve { keep: Arc::new(keep), starts: Arc::new(starts) };
        let show_stderr = self.stderr;
        let state = self.state.base()?;
        let ready = Ready {
            guard,
            resolved,
            server,
            plan,
            held,
            kept,
            follows,
            show_stderr,
            state,
            reserve,
        };
        Ok(Some(ready))
    }

    fn ledger(&self, resolved: &Resolved) -> Result<Ledger, Failure> {
        let dir = self.state.ledger()?;
        Ledger::open_with(&dir, resolved.ledger).map_err(|error| {
            Failure::new(Exit::Usage, format!("cannot open the ledger in `{}`", dir.display()))
                .from(error)
                .help(
                    "nothing passes that cannot be recorded; name another directory with `--state`",
                )
        })
    }

    fn memory(&self) -> Result<Memory, Failure> {
        Ok(Memory::new(stockade_store::Shared::new(self.state.below("shared")?)))
    }

    /// Reads the policy, and finds the server and what holds it.
    pub(super) fn look(
        &self,
        upstream: Option<&str>,
        command: &[OsString],
        client_roots: &[String],
    ) -> Result<Found, Failure> {
        let search = Search::new(self.policy.as_deref());
        let flags = self.flags(client_roots)?;
        let resolved = Resolved::read(&search, &flags)
            .map_err(|it| Failure::rendered(Exit::Usage, it.render(true)))?;
        if let Some(says) = resolved.says_nothing() {
            anstream::eprintln!("warning: {says}");
        }
        for root in resolved.roots.iter().filter(|it| it.origin.place == "--root" && !it.is_uri()) {
            there(&root.path, false)?;
        }
        if let Ok(directory) = std::env::current_dir()
            && let Some(note) = search.overlooks(&directory)
        {
            anstream::eprintln!("note: {note}");
        }
        if let Ok(directory) = std::env::current_dir()
            && let Some(note) = self.place()?.overlooks(&directory)
        {
            anstream::eprintln!("note: {note}");
        }
        if self.server.is_none() && !resolved.servers.is_empty() {
            let names: Vec<&str> = resolved.servers.iter().map(|it| it.name.as_str()).collect();
            return Err(Failure::new(
                Exit::Usage,
                "the policy has rules for servers by name, and this one has none",
            )
            .help(format!("say which it is with `--server NAME`: {}", names.join(", "))));
        }
        let mut server = self.find(upstream, command, &resolved)?;
        if self.trace {
            server.traced()?;
        }
        let locked = self.locked(upstream, command, &resolved, &server)?;
        let (mut told, mut planned) = (Vec::new(), None);
        if let Where::Here(it) = &mut server {
            // From here on nobody asks again where a root leads.
            hold(&mut it.spec)?;
            if let Some(confine) = &it.spec.confine {
                told = led(&resolved, confine)?;
            }
            planned = Some(plan(&it.spec).map_err(|it| not_started(&it))?);
        }
        Ok(Found { search, flags, resolved, server, plan: planned, told, locked })
    }

    fn find(
        &self,
        upstream: Option<&str>,
        command: &[OsString],
        resolved: &Resolved,
    ) -> Result<Where, Failure> {
        let configured = resolved.server.as_ref();
        match (upstream, command, configured.map(|it| &it.target)) {
            (Some(url), ..) => self.there(url, resolved),
            (None, [_, ..], _) => self.here(command.to_vec(), resolved),
            (None, [], Some(Target::Command(words))) => {
                self.here(words.iter().map(OsString::from).collect(), resolved)
            }
            (None, [], Some(Target::Url(url))) => self.there(url, resolved),
            (None, [], None) => Err(match &self.server {
                Some(name) => {
                    let says = format!("no server `{}` is in the policy", visible(name));
                    Failure::new(Exit::Usage, says)
                        .help("`[[servers]]` of the policy file name them: `--policy FILE`")
                }
                None => Failure::new(Exit::Usage, "no server is named").help(
                    "name its command after `--`, its address with `--upstream URL`, or one of the \
                     policy file with `--server NAME`",
                ),
            }),
        }
    }

    /// A server that is started here, and what holds it.
    fn here(&self, command: Vec<OsString>, resolved: &Resolved) -> Result<Where, Failure> {
        let confine = self.hold.over(&resolved.sandbox)?.confinement(&resolved.roots);
        let mut confine = confine.map_err(|it| too_many(&it))?;
        let mut env = environment(&self.env, confine.is_some())?;
        let of_policy = resolved.server.iter().flat_map(|it| &it.env);
        for (name, value) in of_policy.chain(&self.asks.env) {
            env.retain(|(it, _)| it != name.as_str());
            env.push((name.into(), value.into()));
        }
        self.hold.keep_secrets(confine.as_deref_mut(), &mut env)?;
        let read = self.read()?;
        let read: Vec<&Path> = read.iter().map(PathBuf::as_path).collect();
        reserve(confine.as_deref_mut(), &self.state, &read, self.hold.dry_run)?;
        let spec = Spec { command, env, cwd: None, confine };
        settle(spec, &self.state, &self.consent).map(Where::Here)
    }

    /// A server at an address, of which nothing runs here.
    fn there(&self, url: &str, resolved: &Resolved) -> Result<Where, Failure> {
        let has_env = !self.env.is_empty() || !self.asks.env.is_empty();
        let env = has_env.then_some("--env");
        if let Some(option) = self.hold.of_a_process().or(env) {
            let says = format!("`{option}` with a remote server, of which nothing is started here");
            return Err(Failure::new(Exit::Usage, says).help(format!(
                "leave `{option}` away, or name a command in place of the address"
            )));
        }
        let limits = resolved.policy.limits;
        let answer_timeout = limits.call_timeout().min(limits.call_total());
        let options = HttpOptions { answer_timeout, ..HttpOptions::default() };
        let headers = self.asks.headers.clone();
        HttpUpstream::new(url, options).map(|it| Where::There(it.with(headers))).map_err(|error| {
            // A password may stand in it.
            let says = match url.contains('@') {
                true => "cannot use the address of the server".to_owned(),
                false => format!("cannot use the address `{url}`"),
            };
            let help = "write it as `https://HOST/PATH` or `http://HOST:PORT/PATH`";
            Failure::new(Exit::Usage, says).from(error).help(help)
        })
    }
}

/// The environment of what is started: what every program needs, and what is passed on by name.
pub(super) fn environment(
    names: &[String],
    confined: bool,
) -> Result<Vec<(OsString, OsString)>, Failure> {
    let mut env = Vec::new();
    // In a sandbox there are other temporary files, in the usual place.
    for name in ENVIRONMENT.iter().filter(|it| !confined || **it != "TMPDIR") {
        env.extend(std::env::var_os(name).map(|value| (OsString::from(*name), value)));
    }
    for name in names {
        let value = passed_on("--env", name)?;
        env.retain(|(it, _)| *it != **name);
        env.push((name.into(), value));
    }
    Ok(env)
}

impl Where {
    /// The same, with a trace of what it touches.
    fn traced(&mut self) -> Result<(), Failure> {
        let confine = match self {
            Self::Here(it) => it.spec.confine.as_deref_mut(),
            Self::There(_) => None,
        };
        let Some(confine) = confine else {
            return Err(Failure::new(Exit::Usage, "only what the sandbox holds can be traced")
                .help("leave `--trace` away, or have a process held by `--sandbox native`"));
        };
        confine.trace = true;
        Ok(())
    }

    fn about(&self) -> Option<&str> {
        match self {
            Self::Here(it) => it.about(),
            Self::There(_) => None,
        }
    }

    /// What the ledger is told of it: what it is, where that is to be known, and what holds it.
    pub(super) fn told(&self, held: &str) -> String {
        self.about().map_or_else(|| held.to_owned(), |about| format!("{about}; {held}"))
    }

    /// What a person is told of it who is asked about its calls, and what tells it from others.
    pub(super) fn for_a_person(&self, held: &str) -> About {
        let (kind, what) = match self {
            Self::Here(it) => {
                let words = it.spec.command.iter().map(|it| it.to_string_lossy().into_owned());
                ("started as", words.collect::<Vec<_>>())
            }
            Self::There(http) => ("at", vec![http.address()]),
        };
        let shown = match self {
            Self::Here(_) => listed(what.iter().map(String::as_str)),
            Self::There(http) => http.authority().to_owned(),
        };
        let about = self.about().unwrap_or_default();
        let held_by = match self {
            Self::Here(it) => identity::of(&it.spec),
            Self::There(_) => serde_json::Value::Null,
        };
        let whole = serde_json::json!([kind, what, about, held_by]).to_string();
        let identity = blake3::hash(whole.as_bytes()).to_hex().to_string();
        let known = [format!("{kind} {shown}"), about.to_owned(), held.to_owned()];
        let known = known.into_iter().filter(|it| !it.is_empty()).collect();
        About { identity, known }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Here(it) => {
                let program = it.spec.command.first().map(Path::new).and_then(Path::file_name);
                program.map(|it| it.to_string_lossy().into_owned()).unwrap_or_default()
            }
            Self::There(http) => http.authority().to_owned(),
        }
    }
}

impl Run {
    /// What is guarded: the address of a remote server, or a command; the policy, the name of the
    /// server in it, and the roots.
    pub(super) fn guarded(&self) -> Guarded<'_> {
        let Shared { policy, server, roots, .. } = &self.shared;
        Guarded {
            upstream: self.upstream.as_deref(),
            command: &self.command,
            policy: policy.as_deref(),
            server: server.as_deref(),
            roots,
        }
    }

    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        self.begun_by(|_| Ok(()))
    }

    /// The same. `begins` is told who guards before anything is started.
    pub(super) fn begun_by(
        &self,
        begins: impl FnOnce(&Guard) -> Result<(), Failure>,
    ) -> Result<ExitCode, Failure> {
        let (upstream, client_roots) = (self.upstream.as_deref(), roots(&self.client_roots)?);
        let ready = self.shared.ready(upstream, &self.command, &client_roots)?;
        let Some(ready) = ready else { return Ok(ExitCode::SUCCESS) };
        let told = Arc::clone(&ready.guard);
        begins(&told)?;
        // One thread is enough for one client, and starts faster than two.
        let end = ended(runtime(1)?, guard(ready));
        last(&told);
        end
    }
}

async fn guard(ready: Ready) -> Result<ExitCode, Failure> {
    let Ready { guard, server, plan, held, show_stderr, kept, follows, reserve, state, .. } = ready;
    let blocked = guard.server.blocked();
    let parties = Parties { session: guard.sessions().into(), principal: "local".into() };
    watch(&guard, kept, follows)?;
    note(&guard, &parties, Kind::Start, format!("{}; {}", server.name(), server.told(&held)))?;
    let limits = frame::Limits::default();
    let (client, writer) = stdio::own(&limits).map_err(|error| {
        Failure::new(Exit::Usage, "cannot use standard input and output").from(error)
    })?;
    let (writer, written) = writer.share(&limits);
    let conversation = Arc::new(Conversation::new(Arc::clone(&guard), parties.clone()));
    let (desk, answers) = Desk::open(Place::below(state), Arc::new(server.for_a_person(&held)));
    conversation.asks_at(desk, answers);
    conversation.holds_answers();
    let outbox = Outbox::Lines(writer);
    let (ended, how) = match server {
        _ if blocked.is_some() => {
            anstream::eprintln!("note: {held}");
            // The session answers for a server that is not there: nothing is ever sent to it.
            let (_, nobody, _) = memory::pair(&limits);
            let link = Arc::new(Link::known(Upstream::Memory(nobody)));
            let none = None::<frame::Lines<tokio::io::Empty>>;
            let mut roots = Roots::new(None, reserve);
            (carry(conversation, link, outbox, client, none, &mut roots, stop()).await, None)
        }
        Where::Here(it) => {
            conversation.heeds_roots();
            let started = Process::start(&it.spec, plan, &guard, &parties, show_stderr).await;
            let Started { process, input, output } = started.map_err(|it| start_failed(&it))?;
            if let Some(watch) = process.watch() {
                conversation.watched_by(Arc::clone(watch));
            }
            anstream::eprintln!("note: {held}");
            let link = Arc::new(Link::lines(input));
            let (lines, output) = Successive::new(output);
            let parties = parties.clone();
            let Settled { spec, prepared, .. } = it;
            let mut server = Replaceable { spec, prepared, process, lines, show_stderr, parties };
            let mut roots = Roots::new(Some(&mut server), reserve);
            let (output, stop) = (Some(output), stop());
            let ended = carry(conversation, link, outbox, client, output, &mut roots, stop).await;
            let process = server.process;
            let exit = match process.exit().await {
                Ok(stockade_sandbox::Exit::Code(code)) => format!("ended with exit code {code}"),
                Ok(stockade_sandbox::Exit::Signal(it)) => format!("was killed by signal {it}"),
                Err(error) => format!("ended, and nobody knows how: {error}"),
            };
            let exit: Vec<String> = iter::once(exit).chain(process.reached()).collect();
            let how: Vec<String> =
                iter::once(exit.join("; ")).chain(process.last_lines()).collect();
            (ended, Some(how.join("\n  ")))
        }
        Where::There(http) => {
            conversation.heeds_roots();
            let link = Arc::new(Link::remote(http));
            let none = None::<frame::Lines<tokio::io::Empty>>;
            let mut roots = Roots::new(None, reserve);
            let (to, stop) = (Arc::clone(&link), stop());
            let ended = carry(conversation, to, outbox, client, none, &mut roots, stop).await;
            link.close().await;
            (ended, None)
        }
    };
    let says = how.as_ref().map(|it| format!("the server {it}")).unwrap_or_default();
    let settled = guard.settle().map_err(unrecorded);
    let noted = settled.and_then(|()| note(&guard, &parties, Kind::Stop, says));
    // What the client is told of a ledger that cannot be written is to reach it as well.
    let _flushed = tokio::time::timeout(Duration::from_secs(1), written).await;
    noted?;
    seal(&guard)?;
    match ended {
        Ended::Client if blocked.is_some() => Err(not_approved(&blocked.unwrap_or_default())),
        Ended::Client if guard.never_reached() => {
            Err(Failure::new(Exit::Server, "the server could not be reached, not once")
                .help("the note above says why; check the address after `--upstream`"))
        }
        Ended::Client => Ok(ExitCode::SUCCESS),
        Ended::Server => {
            let how = how.map(|it| format!(": it {it}")).unwrap_or_default();
            Err(Failure::new(Exit::Server, format!("the server ended by itself{how}")))
        }
        Ended::Overdue => {
            let says = "the server was ended, since it let a call take too long";
            Err(Failure::new(Exit::Server, says)
                .help("`call_timeout_s` and `call_total_s` in the policy say how long it may"))
        }
        Ended::Broken(LinkError::Unrecorded(error)) => Err(unrecorded(error)),
        Ended::Broken(LinkError::NotStarted(error)) => Err(start_failed(&error)),
        Ended::Broken(LinkError::Anew(says)) => Err(Failure::new(Exit::Server, says).help(
            "leave `client_roots` away for this server, and give it its roots with `--root`",
        )),
        Ended::Broken(error @ (LinkError::Client(_) | LinkError::Server(_))) => {
            Err(Failure::new(Exit::Server, "the conversation broke").from(error))
        }
    }
}

/// What is said of a server that is not what was approved.
pub(super) fn not_approved(blocked: &Blocked) -> Failure {
    let says = format!("the server was not started: {}", visible(&blocked.why));
    Failure::new(Exit::Denied, says).help(visible(&blocked.release))
}

/// Roots, as they were given.
pub(super) fn roots(given: &[OsString]) -> Result<Vec<String>, Failure> {
    let text = |it: &OsString| {
        it.to_str().map(str::to_owned).ok_or_else(|| {
            let says = format!("cannot use the root `{}`: it is not UTF-8", it.display());
            Failure::new(Exit::Usage, says)
                .help("name a directory above it, or one by a name that is UTF-8")
        })
    };
    given.iter().map(text).collect()
}

/// A root that is not there bounds nothing that anybody means: it is misspelled.
pub(super) fn there(root: &str, or_a_file: bool) -> Result<(), Failure> {
    let why = match std::fs::metadata(root) {
        Ok(it) if it.is_dir() || or_a_file => return Ok(()),
        Ok(_) => "it is not a directory".to_owned(),
        Err(error) => error.to_string(),
    };
    let failure = Failure::new(Exit::Usage, format!("cannot use the root `{root}`: {why}"));
    Err(failure.help(match root.rsplit_once(':') {
        Some((path, _)) if Path::new(path).is_dir() => {
            format!("write `--root {path}`, `{path}:ro` or `{path}:rw`")
        }
        _ => "write `--root DIR`, `DIR:ro` or `DIR:rw`, of a directory that is there".to_owned(),
    }))
}

pub(super) fn start_failed(error: &StartError) -> Failure {
    match error {
        StartError::Launch(error) => not_started(error),
        StartError::Prepared(error) => failed(error),
        StartError::Pipes(_) => Failure::new(Exit::Server, error.to_string()),
    }
}

/// Writes down that a conversation began or ended.
pub(super) fn note(
    guard: &Guard,
    parties: &Parties,
    kind: Kind,
    says: String,
) -> Result<(), Failure> {
    let record = Record {
        kind,
        session: Arc::clone(&parties.session),
        principal: Arc::clone(&parties.principal),
        server: Arc::clone(&guard.server.name),
        policy: guard.policy().digest.clone().filter(|_| kind == Kind::Start),
        says,
        ..Record::default()
    };
    guard.record(&record).map_err(unrecorded)
}

/// Has the ledger sign what is in it.
pub(super) fn seal(guard: &Guard) -> Result<(), Failure> {
    guard.ledger().checkpoint().map_err(|it| unrecorded(guard.unwritten(it)))
}

/// What is said when the ledger takes nothing more.
pub(super) fn unrecorded(error: Unrecorded) -> Failure {
    let failure = Failure::new(Exit::Usage, "the ledger cannot be written, so nothing passes");
    // It is what happened first that can be mended.
    let failure = if let stockade_store::Error::Poisoned { cause } = error.0 {
        failure.from(cause)
    } else {
        failure.from(error.0)
    };
    failure
        .help("make room there, or keep the ledger elsewhere with `--state DIR`; then start anew")
}

/// Follows the policy file: what is new in it holds from the next message on, unless a server may have
/// written it. Tells what of the rest a server may write by now.
pub(super) fn watch(
    guard: &Arc<Guard>,
    kept: Arc<Mutex<Kept>>,
    follows: Option<Follows>,
) -> Result<(), Failure> {
    let alerts = guard.alerts().cloned();
    let late = move || {
        told::stuck(alerts.as_deref());
        stuck();
    };
    guard
        .watched(late)
        .map_err(|it| Failure::new(Exit::Usage, "the system gives no thread").from(it))?;
    let guard = Arc::clone(guard);
    let follows = follows.map(Arc::new);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(EVERY).await;
            let looking = Arc::clone(&guard);
            let kept = Arc::clone(&kept);
            let follows = follows.clone();
            let look = move || {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let (replaced, has_policy) = (kept.replaced(), kept.has_the_policy());
                let written = follows.filter(|_| has_policy).and_then(|it| it.look());
                let before = looking.policy();
                let changed = has_policy.then(|| looking.live().look()).flatten();
                if let Some(Change::Replaced(now)) = &changed {
                    looking.server.shown_by(&before, now);
                }
                (replaced, has_policy, changed, written)
            };
            let looked = tokio::task::spawn_blocking(look).await;
            let Ok((replaced, has_policy, changed, written)) = looked else { return };
            if let Some(says) = written {
                anstream::eprintln!("note: {}", visible(&says));
                let server = Arc::clone(&guard.server.name);
                let says = redacted(&says).into_owned();
                // A ledger that cannot be written stops the next call.
                let _recorded =
                    guard.record(&Record { kind: Kind::Lock, server, says, ..Record::default() });
            }
            let changed = changed.map(|it| match it {
                Change::Replaced(policy) if policy.shadow => (
                    "the policy was replaced, and is in shadow: nothing of what it decides is done"
                        .to_owned(),
                    policy.digest.clone(),
                ),
                Change::Replaced(policy) => {
                    ("the policy was replaced".to_owned(), policy.digest.clone())
                }
                Change::Refused(error) => {
                    let says = "the policy file cannot be used; what held before still does";
                    (format!("{says}\n{}", error.render(false)), None)
                }
            });
            let replaced = replaced.iter().map(|it| {
                let rest = if has_policy { "" } else { ", and the policy is not read again" };
                let says = format!(
                    "`{}` was replaced by somebody outside: a server that runs now may write what is \
                     there{rest}",
                    it.display()
                );
                (says, None)
            });
            for (says, policy) in replaced.chain(changed) {
                anstream::eprintln!("note: {says}");
                let (kind, server) = (Kind::Policy, Arc::clone(&guard.server.name));
                // A ledger that cannot be written stops the next call.
                let _recorded =
                    guard.record(&Record { kind, server, policy, says, ..Record::default() });
            }
        }
    });
    Ok(())
}

/// One message holds up everything. The ledger may be what does: where it could not be told in a
/// moment, it has no end of this session, as of one that was killed. What was started ends as it does
/// then.
fn stuck() {
    anstream::eprintln!(
        "error: a message was looked at, or written to the ledger, for too long; everything else \
         waits for it, so this ends"
    );
    std::process::exit(2);
}

/// Returns when somebody asks this process to end.
pub(super) async fn stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let mut signals: Vec<_> = kinds.into_iter().filter_map(|it| signal(it).ok()).collect();
    let waits = signals.iter_mut().map(|it| Box::pin(it.recv()));
    futures_util::future::select_all(waits).await;
}

/// How long what was left behind may take to end: to write down and to sign the last of it.
const LEFT: Duration = Duration::from_secs(1);

/// Carries this out, and does not wait for ever for what it has left behind: whoever looks at a disk
/// that does not answer does not come back.
pub(super) fn ended<T>(runtime: tokio::runtime::Runtime, future: impl Future<Output = T>) -> T {
    let end = runtime.block_on(future);
    runtime.shutdown_timeout(LEFT);
    end
}

/// The event loop.
pub(super) fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder
        .enable_all()
        .build()
        .map_err(|it| Failure::new(Exit::Usage, "cannot start the event loop").from(it))
}
