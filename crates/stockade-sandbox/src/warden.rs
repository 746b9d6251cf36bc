//! The warden: starts the server, passes on its exit, and ends everything. In a pid namespace it
//! is pid 1, and its end is the end of all; elsewhere it kills what descends from it.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, kill_process_group,
    pidfd_open, set_child_subreaper, set_dumpable_behavior, set_parent_process_death_signal, wait,
};

use crate::cell::Cell;
use crate::confine::{self, Prepared};
use crate::keeper::Means;
use crate::message::{Answer, Failure, Order, Step};
use crate::raw::{self, Alone, Side};
use crate::reached::Limit;
use crate::seccomp::Filters;
use crate::sweep::{self, sweep};
use crate::{Ends, Exit, server};

/// What the guard writes when it knows the server's pid, which has no meaning once the server is
/// reaped.
pub(crate) const KNOWN: u8 = b'k';

/// What the guard writes when what is in a container begins, whose time runs from then on. Any other
/// server's time runs from [`KNOWN`] on.
pub(crate) const BEGUN: u8 = b'b';

/// What the guard writes to have the server asked to end; any other byte is ignored, and the end
/// of the stream is the end of everything.
pub(crate) const ASK_TO_END: u8 = b't';

/// How long an engine's client may take to say how its container ended.
const CLIENT_MAX: Duration = Duration::from_secs(2);

/// What a warden is given.
pub(crate) struct Warden<'a> {
    pub(crate) means: Means,
    pub(crate) control: &'a UnixStream,
    pub(crate) keeper: OwnedFd,
    /// A byte comes from here when the keeper has said who is who in a user namespace.
    pub(crate) until_mapped: OwnedFd,
    /// One byte goes here when the means hold; a [`Failure`] when they do not. It is closed when the
    /// guard knows the server.
    pub(crate) says_ready: OwnedFd,
    pub(crate) order: Order,
    /// What the keeper made ready for the cell, if there is one.
    pub(crate) prepared: Option<&'a Prepared>,
}

/// Returns only what went wrong before the server was running.
pub(crate) fn run(alone: Alone, warden: Warden<'_>) -> Result<Infallible, Failure> {
    let Warden { means, control, keeper, until_mapped, says_ready, order, prepared } = warden;
    if let Err(failure) = take_hold(means, order.confined(), &until_mapped) {
        let _ = rustix::io::write(&says_ready, &failure.to_bytes());
        raw::leave(1);
    }
    drop(until_mapped);
    rustix::io::write(&says_ready, &[1]).map_err(|errno| Step::Keep.because(errno))?;

    let time = order.cell.as_ref().and_then(|it| it.time);
    let in_container = order.ship.is_some();
    let is_staged = order.ship.as_ref().is_some_and(|it| it.staged);
    let child_ends =
        raw::signals(&[Signal::CHILD]).map_err(|error| Step::Keep.because_io(&error))?;
    let (server, doors) = start_server(alone, means, order, prepared, control)?;
    let keep = |errno| Step::Keep.because(errno);
    let me = pidfd_open(getpid(), PidfdFlags::empty()).map_err(keep)?;
    let it = pidfd_open(server, PidfdFlags::empty()).map_err(keep)?;
    let fds: Vec<_> = [&me, &it].into_iter().chain(&doors).map(AsFd::as_fd).collect();
    let told = Answer::Started(means.ends()).send(control, &fds);
    told.map_err(|error| Step::Tell.because_io(&error))?;
    // From here on they are the guard's alone.
    drop(doors);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);

    // Nothing else is done before: no server is too short-lived to have had a pid.
    let known = retry_on_intr(|| rustix::io::read(control, &mut [0; 1])) == Ok(1);
    // Its end is seen by the keeper: the server's time begins.
    let mut begins = Some(says_ready).filter(|_| in_container);
    let mut exit = None;
    let mut until = time.filter(|_| begins.is_none()).map(|it| Instant::now() + it);
    while known && exit.is_none() {
        match stand_watch(control, &keeper, &child_ends, server, until) {
            Seen::Something => {}
            Seen::Begun => {
                let ends = time.filter(|_| begins.take().is_some()).map(|it| Instant::now() + it);
                until = until.into_iter().chain(ends).min();
            }
            Seen::End => break,
        }
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            exit = exit.or((pid == server).then(|| Exit::of(status)).flatten());
            if is_staged && pid != server {
                // What watches over a container comes to us from the engine's client. When it ends,
                // the client does so as well, or was left waiting for it.
                let soon = Instant::now() + CLIENT_MAX;
                until = Some(until.map_or(soon, |it| it.min(soon)));
            }
        }
    }
    let is_over = exit.is_none() && until.is_some_and(|it| it <= Instant::now());
    if means.ends() == Ends::Subreaper {
        sweep(|pid, status| {
            exit = exit.or((pid == server).then(|| Exit::of(status)).flatten());
        });
    }
    if is_over {
        let _ = Answer::Reached(Limit::Time).send(control, &[]);
    }
    if let Some(exit) = exit {
        let _ = Answer::Exited(exit).send(control, &[]);
    }
    raw::leave(0)
}

/// Comes into the position that `means` promises.
fn take_hold(means: Means, cell: Option<&Cell>, until_mapped: &OwnedFd) -> Result<(), Failure> {
    match means {
        Means::PidNamespace => {}
        Means::UserAndPidNamespace { uid, gid } => {
            let map = || map_ids(uid, gid);
            match cell {
                Some(cell) => confine::become_server(cell, map)
                    .map_err(|error| Step::UserNamespace.because_io(&error))?,
                None => map().map_err(|error| Step::Namespace.because_io(&error))?,
            }
        }
        Means::MappedUserAndPidNamespace(_) => {
            // Its end without a byte is a keeper that could not, and has said so.
            let told = retry_on_intr(|| rustix::io::read(until_mapped, &mut [0; 1]));
            if told != Ok(1) {
                raw::leave(1);
            }
        }
        Means::Subreaper => {
            if let Some(cell) = cell {
                confine::become_server(cell, || Ok(()))
                    .map_err(|error| Step::Identity.because_io(&error))?;
            }
            sweep::check().map_err(|error| Step::Proc.because_io(&error))?;
            return set_child_subreaper(Some(getpid())).map_err(|it| Step::Keep.because(it));
        }
    }
    // A second tie beside the watch over the keeper, for a warden that is stopped and cannot look.
    // It is set last: a change of credentials would undo it. Without a namespace it would kill the
    // one process that can still clean up.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|it| Step::Keep.because(it))
}

/// Every id of the server stays what it is outside. Supplementary groups stay in force, but cannot
/// be changed, without which the kernel would not let an ordinary user map a group.
pub(crate) fn map_ids(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// Starts the server, and knows that it runs: the far end of the pipe is closed by a successful
/// exec, and written to by a failed one. What comes back with it are the doors of its cell.
///
/// In a cell the server's process is there from the start: while it compiles its filter and is moved to
/// its control groups, which can take long, the warden builds what both see.
fn start_server(
    alone: Alone,
    means: Means,
    order: Order,
    prepared: Option<&Prepared>,
    control: &UnixStream,
) -> Result<(Pid, Vec<OwnedFd>), Failure> {
    let fork = |errno| Step::Fork.because(errno);
    let (failed, says_failed) = pipe_with(PipeFlags::CLOEXEC).map_err(fork)?;
    let held = Held::new(&order, prepared, alone)?;
    let warden = getpid();
    let server = match alone.fork().map_err(|error| Step::Fork.because_io(&error))? {
        Side::Child => {
            let orphaned_by = (means.ends() == Ends::Subreaper).then_some(warden);
            let failure = match held.as_server() {
                Ok(()) => server::become_it(&order, orphaned_by, alone, control),
                Err(failure) => failure,
            };
            let _ = rustix::io::write(&says_failed, &failure.to_bytes());
            raw::leave(127);
        }
        Side::Parent(pid) => pid,
    };
    drop(says_failed);
    let doors = held.build(alone)?;
    // With it go the server's ends of its pipes, so that what the server closes is closed.
    drop(order);
    let mut told = [0; Failure::BYTES];
    match retry_on_intr(|| rustix::io::read(&failed, &mut told)).map_err(fork)? {
        0 => Ok((server, doors)),
        count => {
            let told = told.get(..count).and_then(Failure::from_bytes);
            Err(told.unwrap_or(Step::Fork.because(Errno::PROTO)))
        }
    }
}

/// By what a server is held, from its fork on.
enum Held<'a> {
    /// By nothing of ours.
    Not,
    /// By limits, Landlock and filters.
    Weakly(&'a Cell, &'a Prepared),
    /// By a container, which is put together in namespaces of the warden.
    ByStaged { doors: Vec<OwnedFd> },
    /// By a cell, which the warden builds and enters too. A byte in the pipe says that it is built.
    ByCell { cell: &'a Cell, prepared: &'a Prepared, built: (OwnedFd, OwnedFd) },
}

impl<'a> Held<'a> {
    fn new(
        order: &'a Order,
        prepared: Option<&'a Prepared>,
        alone: Alone,
    ) -> Result<Self, Failure> {
        let (Some(cell), Some(prepared)) = (&order.cell, prepared) else { return Ok(Self::Not) };
        match &order.ship {
            Some(ship) if ship.staged => {
                confine::stage(ship, cell, prepared, alone).map(|doors| Self::ByStaged { doors })
            }
            Some(_) => Ok(Self::Not),
            None if cell.namespaces => {
                confine::separate()?;
                let built = pipe_with(PipeFlags::CLOEXEC).map_err(|it| Step::Fork.because(it))?;
                Ok(Self::ByCell { cell, prepared, built })
            }
            None => Ok(Self::Weakly(cell, prepared)),
        }
    }

    fn as_server(&self) -> Result<(), Failure> {
        match self {
            Self::Not | Self::ByStaged { .. } => Ok(()),
            Self::Weakly(cell, prepared) => {
                prepared.enter_groups()?;
                confine::hold(cell)
            }
            Self::ByCell { cell, prepared, built: (until_built, _) } => {
                let filters = Filters::new(cell).map_err(|it| Step::Filter.because_io(&it))?;
                confine::enter_groups(prepared)?;
                // Whatever is not that word is none: without it the root is still the machine's.
                let told = retry_on_intr(|| rustix::io::read(until_built, &mut [0; 1]));
                if told.map_err(|errno| Step::Fork.because(errno))? != 1 {
                    return Err(Step::Fork.because(Errno::PIPE));
                }
                confine::enclose(cell, &filters)
            }
        }
    }

    fn build(self, alone: Alone) -> Result<Vec<OwnedFd>, Failure> {
        let (cell, prepared, says_built) = match self {
            Self::Not | Self::Weakly(..) => return Ok(Vec::new()),
            Self::ByStaged { doors } => return Ok(doors),
            Self::ByCell { cell, prepared, built: (_, says_built) } => (cell, prepared, says_built),
        };
        let doors = confine::build(cell, prepared, alone)?;
        // Nothing runs beside a warden that still has its privileges.
        confine::enclose_warden(cell)?;
        rustix::io::write(&says_built, &[1]).map_err(|errno| Step::Fork.because(errno))?;
        Ok(doors)
    }
}

/// What a warden sees while it stands watch.
enum Seen {
    /// Somebody ended, or the guard asked for something, which is done.
    Something,
    /// What is in the container begins.
    Begun,
    /// It is time to end.
    End,
}

/// Waits until something happened, and does what the guard asks.
fn stand_watch(
    control: &UnixStream,
    keeper: &OwnedFd,
    child_ends: &OwnedFd,
    server: Pid,
    until: Option<Instant>,
) -> Seen {
    let mut watched = [
        PollFd::new(control, PollFlags::IN),
        PollFd::new(keeper, PollFlags::IN),
        PollFd::new(child_ends, PollFlags::IN),
    ];
    let left = until.map(|it| it.saturating_duration_since(Instant::now()));
    let left = left.and_then(|it| Timespec::try_from(it).ok());
    match retry_on_intr(|| poll(&mut watched, left.as_ref())) {
        // Its time is over.
        Ok(0) | Err(_) => return Seen::End,
        Ok(_) => {}
    }
    let [asked, orphaned, child_ended] = watched.map(|it| !it.revents().is_empty());
    if orphaned {
        return Seen::End;
    }
    if child_ended {
        // One `signalfd_siginfo`; it says less than `wait` does.
        let _ = rustix::io::read(child_ends, &mut [0; 128]);
    }
    if !asked {
        return Seen::Something;
    }
    let mut byte = [0; 1];
    match retry_on_intr(|| rustix::io::read(control, &mut byte)) {
        Ok(1..) if byte == [BEGUN] => Seen::Begun,
        Ok(1..) => {
            if byte == [ASK_TO_END] {
                // The whole group, as a terminal would: a shell does not pass a signal on. The
                // server is not reaped yet, so its id is nobody else's.
                let _ = kill_process_group(server, Signal::TERM);
            }
            Seen::Something
        }
        Ok(0) | Err(_) => Seen::End,
    }
}

impl Exit {
    pub(crate) fn of(status: WaitStatus) -> Option<Self> {
        let code = status.exit_status().map(Self::Code);
        code.or_else(|| status.terminating_signal().map(Self::Signal))
    }
}
