//! The guard's side: launch a server, hold on to it, and see it gone.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};

use crate::cell::{Cell, Way};
use crate::cgroup;
use crate::descriptors;
use crate::engine::{Client, first_below, first_of, is_held, last_line};
use crate::inside::{Letter, go, hand_over};
use crate::message::{Answer, Failure, Order, Step};
use crate::reached::{self, Reached};
use crate::trace::Places;
use crate::warden::{ASK_TO_END, BEGUN, KNOWN};
use crate::{
    Containment, Ends, Engine, EngineProgram, Error, Guarantee, KEEPER_ARG, Limits, Network, Plan,
    Spec, Trace, plan,
};

/// Exec from a slow file system takes a while; a keeper that says nothing for longer is stuck.
const LAUNCH_MAX: Duration = Duration::from_secs(30);

/// How long an engine may take to start a container of an image that is there.
const CONTAINER_MAX: Duration = Duration::from_secs(60);

/// What is read of what an engine says when it fails.
const ERRORS_BYTES_MAX: u64 = 64 << 10;

/// How long the kernel may take to let go of processes that were killed.
const KILL_MAX: Duration = Duration::from_secs(5);

/// Starts a server, to be ended by the best means that this machine permits; [`Child::ends`] says
/// which that is.
pub fn launch(spec: &Spec) -> Result<Child, Error> {
    start(spec, plan(spec)?, None)
}

/// Starts a server just as it was planned, by a plan of this spec.
pub fn launch_planned(spec: &Spec, plan: Plan) -> Result<Child, Error> {
    start(spec, plan, None)
}

/// Starts a server only if it can be ended by these means.
pub fn launch_as(spec: &Spec, ends: Ends) -> Result<Child, Error> {
    start(spec, plan(spec)?, Some(ends))
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It left with this code.
    Code(i32),
    /// It was ended by this signal.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(out, "exit code {code}"),
            Self::Signal(signal) => write!(out, "signal {signal}"),
        }
    }
}

/// A running server. Every method may be called from any thread, also while another waits. When
/// this is dropped, the server and all that it started are killed.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    ends: Ends,
    containment: Containment,
    in_container: bool,
    stdin: Mutex<Option<OwnedFd>>,
    stdout: Mutex<Option<OwnedFd>>,
    stderr: Mutex<Option<OwnedFd>>,
    doors: Mutex<Option<Doors>>,
    keeper: Keeper,
    warden: OwnedFd,
    /// How much the server may use, if it is held.
    limits: Option<Limits>,
    settled: Mutex<Option<Settled>>,
    trace: Option<Arc<Trace>>,
}

/// What is known when nothing is left.
#[derive(Debug, Clone)]
struct Settled {
    exit: Exit,
    reached: Vec<Reached>,
}

/// Sockets of a server's network that are held outside of it. None of them blocks.
#[derive(Debug)]
pub struct Doors {
    /// Takes questions about names, at [`GATE_DNS`](crate::network::GATE_DNS).
    pub names: UdpSocket,
    /// Take connections: at [`GATE_DNS`](crate::network::GATE_DNS), at
    /// [`GATE_PROXY`](crate::network::GATE_PROXY), and to whatever address at each port of the
    /// [`Network`](crate::Network). Which of these it is, is said by the address of a connection.
    pub connections: Vec<TcpListener>,
}

impl Doors {
    /// Those that were opened for a cell, in its order; `None` if some are missing.
    fn new(cell: &Cell, fds: Vec<OwnedFd>) -> Option<Option<Self>> {
        if fds.len() != cell.doors.len() {
            return None;
        }
        let (mut names, mut connections) = (None, Vec::new());
        for (door, fd) in cell.doors.iter().zip(fds) {
            match door.kind {
                Way::Datagrams => names = Some(UdpSocket::from(fd)),
                Way::Connections => connections.push(TcpListener::from(fd)),
            }
        }
        Some(names.map(|names| Self { names, connections }))
    }
}

/// The keeper and the socket that ties it, and the warden, to this process.
#[derive(Debug)]
struct Keeper {
    control: UnixStream,
    pidfd: OwnedFd,
    /// Held to be reaped.
    process: Mutex<process::Child>,
    /// Where it may have made control groups.
    groups_below: Vec<PathBuf>,
}

impl Child {
    /// The server's own process, as the guard sees it; in a container, the engine's client.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// By what means everything that the server starts is ended.
    pub fn ends(&self) -> Ends {
        self.ends
    }

    /// How far each guarantee holds, and by what.
    pub fn containment(&self) -> &Containment {
        &self.containment
    }

    /// What it touches, if that was asked for.
    pub fn trace(&self) -> Option<&Arc<Trace>> {
        self.trace.as_ref()
    }

    /// The end of the pipe that is written to; once.
    pub fn take_stdin(&self) -> Option<OwnedFd> {
        lock(&self.stdin).take()
    }

    /// The end of the pipe that is read from; once.
    pub fn take_stdout(&self) -> Option<OwnedFd> {
        lock(&self.stdout).take()
    }

    /// The end of the pipe that is read from; once.
    pub fn take_stderr(&self) -> Option<OwnedFd> {
        lock(&self.stderr).take()
    }

    /// The sockets inside through which the server reaches others; once, and only where it may
    /// reach somebody. They must be closed when the server has ended: they belong to its network.
    pub fn take_doors(&self) -> Option<Doors> {
        lock(&self.doors).take()
    }

    /// Blocks until the server has ended *and* nothing that it started is left.
    pub fn wait(&self) -> Result<Exit, Error> {
        loop {
            if let Some(exit) = self.wait_for(Duration::from_secs(3600))? {
                return Ok(exit);
            }
        }
    }

    /// The same, but for no longer than this.
    pub fn wait_for(&self, limit: Duration) -> Result<Option<Exit>, Error> {
        let until = Instant::now() + limit;
        for process in [&self.keeper.pidfd, &self.warden] {
            if !ended(process.as_fd(), until).map_err(|source| Error::Wait { source })? {
                return Ok(None);
            }
        }
        Ok(Some(self.settle()))
    }

    /// Which limits the server ran into; none before it has ended and was waited for.
    pub fn reached(&self) -> Vec<Reached> {
        lock(&self.settled).as_ref().map(|it| it.reached.clone()).unwrap_or_default()
    }

    /// Asks the server to end, in the order that MCP has for stdio: closes its input, then sends
    /// SIGTERM to its process group, then kills; with this much time before each next step. An
    /// input that was taken is the taker's to close, before this is called.
    pub fn terminate(&self, grace: Duration) -> Result<Exit, Error> {
        drop(self.take_stdin());
        if let Some(exit) = self.wait_for(grace)? {
            return Ok(exit);
        }
        // It fails only when the warden is gone, which the next wait notices.
        let _ = (&self.keeper.control).write_all(&[ASK_TO_END]);
        if let Some(exit) = self.wait_for(grace)? {
            return Ok(exit);
        }
        self.kill()
    }

    /// Kills the server and everything that it started, and returns when nothing is left.
    pub fn kill(&self) -> Result<Exit, Error> {
        match self.ends {
            // The kernel ends a namespace with its pid 1, even if that is stopped.
            Ends::Namespace => send(&self.warden, Signal::KILL),
            Ends::Subreaper => {
                let _ = self.keeper.control.shutdown(Shutdown::Write);
            }
        }
        if let Some(exit) = self.wait_for(KILL_MAX)? {
            return Ok(exit);
        }
        // One of the two does not do its work. The warden first, so that the keeper cleans up.
        send(&self.warden, Signal::KILL);
        if let Some(exit) = self.wait_for(KILL_MAX)? {
            return Ok(exit);
        }
        send(&self.keeper.pidfd, Signal::KILL);
        self.wait_for(KILL_MAX)?.ok_or(Error::StillThere { pid: self.pid })
    }

    /// Tells our own first process of a container what to start, and waits until it has.
    fn board(
        &self,
        spec: &Spec,
        engine: &Engine,
        cell: Cell,
        client: &Client,
    ) -> Result<(), Error> {
        let until = Instant::now() + CONTAINER_MAX;
        let own_users = engine.program == EngineProgram::Podman && engine.image.is_none();
        // The files are written already, and secrets among them are for one reader.
        let cell = Cell { files: Vec::new(), ..cell };
        let spec = with_proxy(spec).into_owned();
        let letter = Letter { spec: Spec { confine: None, ..spec }, cell, own_users };
        let (stdin, stdout) = (lock(&self.stdin), lock(&self.stdout));
        let told = match (stdin.as_ref(), stdout.as_ref()) {
            (Some(to), Some(from)) => hand_over(&letter, to.as_fd(), from.as_fd(), until),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        };
        drop((stdin, stdout));
        let error = match told {
            Ok(Ok(())) => {
                let may_go = || -> io::Result<()> {
                    if let Some(first) = self.first_in_container(engine, client)? {
                        is_held(first, engine.image.is_some(), &letter.cell)?;
                        self.keeper.take_in(first)?;
                    }
                    (&self.keeper.control).write_all(&[BEGUN])?;
                    lock(&self.stdin).as_ref().map_or(Ok(()), |it| go(it.as_fd()))
                };
                return may_go().map_err(|error| {
                    let _ = self.kill();
                    Error::Engine { engine: engine.program, says: error.to_string() }
                });
            }
            Ok(Err(failure)) => {
                let _ = self.kill();
                return Err(failed(&letter.spec, Some(&letter.cell), None, failure));
            }
            Err(error) => error,
        };
        let _ = self.kill();
        let mut says = String::new();
        if let Some(errors) = self.take_stderr() {
            // All of it is in the pipe by now, and nobody holds the other end.
            let mut errors = fs::File::from(errors).take(ERRORS_BYTES_MAX);
            let _ = errors.read_to_string(&mut says);
        }
        let says = if says.trim().is_empty() { error.to_string() } else { last_line(&says) };
        Err(Error::Engine { engine: engine.program, says })
    }

    /// Our own process in the container, where this user can look at it: a daemon's belongs to root.
    fn first_in_container(&self, engine: &Engine, client: &Client) -> io::Result<Option<Pid>> {
        match (engine.program, client.spec.command.first()) {
            (EngineProgram::Podman, _) => first_below(self.warden_pid()?).map(Some),
            (EngineProgram::Docker, Some(program)) if geteuid().is_root() => {
                first_of(Path::new(program), &client.ship.name).map(Some)
            }
            (EngineProgram::Docker, _) => Ok(None),
        }
    }

    fn warden_pid(&self) -> io::Result<Pid> {
        let pid = i32::try_from(pid_behind(&self.warden)?).map_err(io::Error::other)?;
        Pid::from_raw(pid).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Both are gone, so nothing here blocks: reaps the keeper and reads what the warden left.
    fn settle(&self) -> Exit {
        let mut settled = lock(&self.settled);
        let settled = settled.get_or_insert_with(|| {
            self.keeper.reap();
            // A warden that said nothing was killed, and its server with it.
            let mut exit = Exit::Signal(Signal::KILL.as_raw());
            let mut told = Vec::new();
            // All of it is here by now, or never comes.
            let _ = self.keeper.control.set_nonblocking(true);
            while let Ok(Some((answer, _))) = Answer::receive(&self.keeper.control) {
                match answer {
                    // A container's client has only codes to say it with.
                    Answer::Exited(Exit::Code(code @ 129..=192)) if self.in_container => {
                        exit = Exit::Signal(code - 128);
                    }
                    Answer::Exited(it) => exit = it,
                    // Of its time, both warden and keeper may tell.
                    Answer::Reached(limit) if told.contains(&limit) => {}
                    Answer::Reached(limit) => told.push(limit),
                    Answer::Started(_) | Answer::Failed(_) | Answer::Traced => {}
                }
            }
            let limits = self.limits.as_ref();
            let reached = limits.map(|it| reached::reached(&told, exit, it)).unwrap_or_default();
            Settled { exit, reached }
        });
        settled.exit
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if lock(&self.settled).is_none() {
            // There is nobody to tell of a process that the kernel does not let go of.
            let _ = self.kill();
        }
    }
}

fn start(spec: &Spec, mut plan: Plan, ends: Option<Ends>) -> Result<Child, Error> {
    let at = |step| move |source| Error::Start { step, source };
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|it| at("no pipe")(it.into()));
    let (their_stdin, stdin) = pipe()?;
    let (stdout, their_stdout) = pipe()?;
    let (stderr, their_stderr) = pipe()?;
    let mut keeper = Keeper::start().map_err(at("no keeper"))?;
    if let Some(confinement) = &spec.confine {
        plan.enter_scope(keeper.pid(), confinement)?;
    }
    let groups = plan.cell.iter().flat_map(|it| &it.groups).map(|it| it.below.clone());
    keeper.groups_below = groups.collect();
    let (client, ship) = match &plan.client {
        Some(client) => (Cow::Borrowed(&client.spec), Some(client.ship.encode())),
        None => (with_proxy(spec), None),
    };
    let order = client.encode()?;
    let cell = plan.cell.as_ref().map(Cell::encode);

    let stdio = [&their_stdin, &their_stdout, &their_stderr].map(AsFd::as_fd);
    // If this fails, the keeper is gone, and may have said why.
    let sent =
        Order::send(&mut keeper.control, &order, cell.as_deref(), ship.as_deref(), ends, stdio);
    drop((their_stdin, their_stdout, their_stderr));
    if sent.is_err() {
        // It would wait for the rest.
        let _ = keeper.control.shutdown(Shutdown::Write);
    }
    let mut answer = Answer::receive(&keeper.control);
    let mut trace = None;
    if let Ok(Some((Answer::Traced, fds))) = &mut answer {
        let (listener, cell) = (fds.pop(), plan.cell.as_ref().zip(spec.confine.as_deref()));
        let (listener, (cell, confinement)) = listener
            .zip(cell)
            .ok_or_else(|| at("no listener")(io::ErrorKind::InvalidData.into()))?;
        // From here on the server goes on: its exec waits for the first answer.
        let begun = Trace::begin(listener, Places::new(cell, confinement));
        trace = Some(begun.map_err(at("no thread to watch it"))?);
        answer = Answer::receive(&keeper.control);
    }
    let (ends, warden, server, doors) = match answer {
        Ok(Some((Answer::Started(ends), mut fds))) => {
            let garbled = || at("no word of the warden")(io::ErrorKind::InvalidData.into());
            let doors = fds.split_off(fds.len().min(2));
            let doors = Doors::new(plan.cell.as_ref().unwrap_or(&Cell::default()), doors);
            let [warden, server] = <[OwnedFd; 2]>::try_from(fds).map_err(|_| garbled())?;
            (ends, warden, server, doors.ok_or_else(garbled)?)
        }
        Ok(Some((Answer::Failed(failure), _))) => {
            if failure.step == Step::Order {
                sent.map_err(at("the keeper took no order"))?;
            }
            return Err(failed(&client, plan.cell.as_ref(), ends, failure));
        }
        Ok(Some((Answer::Exited(_) | Answer::Reached(_) | Answer::Traced, _)) | None) => {
            sent.map_err(at("the keeper took no order"))?;
            let gone = io::ErrorKind::UnexpectedEof.into();
            return Err(at("the keeper ended without a word")(gone));
        }
        Err(source) => return Err(at("the keeper did not answer")(source)),
    };
    let pid = pid_behind(&server).map_err(at("no pid of the server"))?;
    // It fails only when the warden is gone, which the first wait notices.
    let _ = keeper.control.write_all(&[KNOWN]);
    let engine = spec.confine.as_ref().and_then(|it| it.engine.as_ref());
    let board = engine.zip(plan.cell.clone()).zip(plan.client.clone());
    let child = Child {
        pid,
        ends,
        containment: plan.into_containment(),
        in_container: board.is_some(),
        stdin: Mutex::new(Some(stdin)),
        stdout: Mutex::new(Some(stdout)),
        stderr: Mutex::new(Some(stderr)),
        doors: Mutex::new(doors),
        keeper,
        warden,
        limits: spec.confine.as_ref().map(|it| it.limits.clone()),
        settled: Mutex::new(None),
        trace,
    };
    if let Some(((engine, cell), client)) = board {
        child.board(spec, engine, cell, &client)?;
    }
    Ok(child)
}

/// The spec of a server that may reach somebody says where the proxy is.
fn with_proxy(spec: &Spec) -> Cow<'_, Spec> {
    let network = spec.confine.as_ref().map(|it| &it.network);
    let variables = network.map(Network::variables).unwrap_or_default();
    if variables.is_empty() {
        return Cow::Borrowed(spec);
    }
    let mut spec = spec.clone();
    spec.env.retain(|(it, _)| variables.iter().all(|(name, _)| it != name.as_str()));
    spec.env.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
    Cow::Owned(spec)
}

impl Keeper {
    /// Executes this very binary, even if another has taken its place on the disk since.
    fn start() -> io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        control.set_read_timeout(Some(LAUNCH_MAX))?;
        control.set_write_timeout(Some(LAUNCH_MAX))?;
        let process = Command::new("/proc/self/exe")
            .arg0("stockade")
            .arg(KEEPER_ARG)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
        // It is not reaped yet, so the pid is nobody else's. Without a pidfd the keeper sees the
        // socket close, and leaves.
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        let process = Mutex::new(process);
        let keeper = Self { control, pidfd, process, groups_below: Vec::new() };
        // It waits for its order still. What has ended already says why by its socket.
        match descriptors::give_back(pid) {
            Err(error) if error.raw_os_error() != Some(Errno::SRCH.raw_os_error()) => Err(error),
            Ok(()) | Err(_) => Ok(keeper),
        }
    }

    /// Nobody else's while this is there, since it is reaped only then.
    fn pid(&self) -> u32 {
        lock(&self.process).id()
    }

    /// Whether it has ended, by then at the latest.
    fn ended(&self, until: Instant) -> io::Result<bool> {
        ended(self.pidfd.as_fd(), until)
    }

    /// Moves a process to the control groups that it has made.
    fn take_in(&self, process: Pid) -> io::Result<()> {
        cgroup::enter_those_of(self.pid(), &self.groups_below, process)
    }

    /// A keeper that was killed has not cleaned up.
    fn reap(&self) {
        let mut process = lock(&self.process);
        // It fails where the guard ignores SIGCHLD, and then the kernel has reaped.
        if !process.wait().is_ok_and(|it| it.code().is_some()) {
            cgroup::remove_those_of(process.id(), &self.groups_below);
        }
    }
}

impl Drop for Keeper {
    /// Closing the socket ends it and all that it keeps. It is waited for, so that it is reaped.
    fn drop(&mut self) {
        let _ = self.control.shutdown(Shutdown::Both);
        if !self.ended(Instant::now() + KILL_MAX).unwrap_or(false) {
            send(&self.pidfd, Signal::KILL);
        }
        self.reap();
    }
}

fn failed(spec: &Spec, cell: Option<&Cell>, wanted: Option<Ends>, failure: Failure) -> Error {
    let source = io::Error::from_raw_os_error(failure.errno);
    let program = spec.command.first().map(PathBuf::from).unwrap_or_default();
    match (failure.step, Errno::from_raw_os_error(failure.errno)) {
        (Step::Execute, Errno::NOENT) => Error::NotFound { program },
        (Step::Execute, Errno::ACCESS | Errno::NOEXEC | Errno::ISDIR | Errno::PERM) => {
            Error::NotExecutable { program, source }
        }
        (Step::Interpreter, _) => Error::NoInterpreter { program },
        (Step::Directory, _) => {
            let path = cell.map(|it| it.cwd.clone()).or(spec.cwd.clone()).unwrap_or_default();
            Error::Directory { path, source }
        }
        (Step::Namespace | Step::Proc, _) => {
            Error::NotPermitted { ends: wanted.unwrap_or(Ends::Subreaper), source }
        }
        (Step::Place, errno) => {
            let place = usize::try_from(failure.place).ok();
            let mount = cell.zip(place).and_then(|(cell, place)| cell.mounts.get(place));
            let path = mount.map(|it| it.at.clone()).unwrap_or_default();
            if let Errno::LOOP | Errno::STALE = errno {
                return Error::Replaced { path };
            }
            if errno != Errno::PERM {
                return Error::Place { path, source };
            }
            // What is wrong is not the place, but that nothing can be mounted: root of a container
            // has less than an ordinary user there, who may have a namespace of its own.
            Error::CannotEnforce {
                guarantee: Guarantee::Files,
                feature: format!("no mount of `{}`", path.display()),
                source,
                remedy: "run it as an ordinary user, or in a container with CAP_SYS_ADMIN",
            }
        }
        (Step::Trace, Errno::AGAIN) => Error::Start {
            step: "to be traced it needs one process more than it may have, for a moment",
            source,
        },
        (step, errno) => match guarantee_of(step) {
            Some((guarantee, remedy)) => {
                let remedy = match errno {
                    Errno::FBIG => "raise the length that files may have here (`ulimit -f`)",
                    Errno::MFILE => "raise how many files may be open here (`ulimit -n`)",
                    _ => remedy,
                };
                let feature = step.says().to_owned();
                Error::CannotEnforce { guarantee, feature, source, remedy }
            }
            None => Error::Start { step: step.says(), source },
        },
    }
}

/// What is not guaranteed when a step of the sandbox fails, and what can be done about it.
fn guarantee_of(step: Step) -> Option<(Guarantee, &'static str)> {
    const USER_NAMESPACES: &str = "permit user namespaces: `sysctl user.max_user_namespaces` above \
         0; on Ubuntu an AppArmor profile with `userns,` for stockade; in a container a seccomp \
         profile that leaves `clone` and `unshare`";
    let kernel = "use a Linux kernel that has it";
    Some(match step {
        Step::Ids => (
            Guarantee::Privileges,
            "see that `newuidmap` and `newgidmap` are root's and setuid, and that `/etc/subuid` and \
             `/etc/subgid` have a line for this user",
        ),
        Step::UserNamespace | Step::Identity => (Guarantee::Privileges, USER_NAMESPACES),
        Step::Separate => (Guarantee::Files, USER_NAMESPACES),
        Step::Group => (
            Guarantee::Memory,
            "run it where control groups can be made, or allow `memory` to be weaker",
        ),
        Step::Root => (Guarantee::Files, "permit mounts in a user namespace"),
        Step::Shown => (Guarantee::Files, "unmount it, or name a root that it is not in"),
        Step::Landlock => (Guarantee::Files, kernel),
        Step::Loopback | Step::Doors => (Guarantee::Network, USER_NAMESPACES),
        Step::Keyring => (Guarantee::Environment, kernel),
        Step::Limits => (Guarantee::Pids, "raise the limits of this user (`ulimit -H -a`)"),
        Step::Privileges => (Guarantee::Privileges, kernel),
        Step::Filter => (Guarantee::Calls, kernel),
        Step::Order
        | Step::Alone
        | Step::Keep
        | Step::Namespace
        | Step::Proc
        | Step::Fork
        | Step::Session
        | Step::Directory
        | Step::Stdio
        | Step::Descriptors
        | Step::Interpreter
        | Step::Execute
        | Step::Trace
        | Step::Tell
        | Step::Place => return None,
    })
}

/// Waits for the process behind a pidfd. A process in a pid namespace has ended when all in it
/// have, if it was pid 1.
fn ended(process: BorrowedFd<'_>, until: Instant) -> io::Result<bool> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The pid of a process as `/proc` has it, whatever pid namespace the process is in.
pub(crate) fn pid_behind(pidfd: &OwnedFd) -> io::Result<u32> {
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let pid = about.lines().find_map(|it| it.strip_prefix("Pid:")?.trim().parse().ok());
    pid.filter(|it| *it != 0).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Fails only when the process is gone, which is what was wanted.
fn send(pidfd: &OwnedFd, signal: Signal) {
    let _ = pidfd_send_signal(pidfd, signal);
}

/// What is behind these locks is whole at every moment, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
