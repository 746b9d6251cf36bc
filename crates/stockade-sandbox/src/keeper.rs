//! The keeper: this binary, executed again, which starts the warden and stays to clean up after it.
//! It decides by what means a server is ended; it does not start the server.

use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions, getegid, geteuid, getpid, pidfd_open,
    pidfd_send_signal, set_child_subreaper, set_dumpable_behavior, setsid, waitpid,
};

use crate::Ends;
use crate::cell::Cell;
use crate::confine::{self, Prepared};
use crate::engine::Ids;
use crate::inside::{self, INSIDE_ARG};
use crate::message::{Answer, Failure, Order, Step};
use crate::raw::{self, Alone, Side};
use crate::reached::Limit;
use crate::sweep::sweep;
use crate::trial;
use crate::undertaker::Undertaker;
use crate::warden::{self, Warden};

/// The argument that makes a binary a keeper. It alone is on the keeper's command line: everything
/// else comes over the socket that is its standard input. With the name of a trial behind it, the
/// process tries that instead, and ends.
pub const KEEPER_ARG: &str = "--stockade-keeper";

/// How long the warden may take to do what it sees as soon as its keeper.
const PATIENCE: Duration = Duration::from_secs(2);

/// Becomes the keeper, or the first process of a container, and does not return, if this process was
/// started as one. The binary's
/// `main` must call this before anything else: a keeper that has threads refuses to work.
pub fn keeper_main_if_asked() {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    match args.as_slice() {
        [keeper] if keeper == KEEPER_ARG => {}
        [inside] if inside == INSIDE_ARG => inside::main(),
        [keeper, what] if keeper == KEEPER_ARG => process::exit(trial::main(what)),
        _ => return,
    }
    let Ok(control) = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else {
        process::exit(1);
    };
    let mut control = UnixStream::from(control);
    let code = match keep(&mut control) {
        Ok(()) => 0,
        Err(failure) => {
            // A guard that is gone has no use for the answer.
            let _ = Answer::Failed(failure).send(&control, &[]);
            1
        }
    };
    // At once: what a program does at its end would give memory back that is gone with it.
    raw::leave(code)
}

fn keep(control: &mut UnixStream) -> Result<(), Failure> {
    let alone = Alone::check().map_err(|error| Step::Alone.because_io(&error))?;
    raw::forget_signals();
    // Away from the guard's terminal: Ctrl-C there is for the guard, which then ends the server in
    // order.
    setsid().map_err(|errno| Step::Keep.because(errno))?;
    let order = Order::receive(control).map_err(|error| Step::Order.because_io(&error))?;
    // What was made is removed when this ends, after everybody in it has.
    let prepare = |it| Prepared::new(it, order.ship.as_ref(), alone);
    let prepared = order.cell.as_ref().map(prepare).transpose()?;
    let undertaker = order.ship.clone().map(|it| Undertaker::new(it, alone)).transpose()?;
    if order.confined().is_some() {
        confine::lift_descriptors();
    }
    let time = order.cell.as_ref().and_then(|it| it.time);
    let started = start_warden(alone, control, order, prepared.as_ref())?;
    // The keeper has nothing to hide, but it is one of the two that hold the wall: nobody of the
    // same user may trace it.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let is_over = started.watch(control, time)?;
    let _ = retry_on_intr(|| waitpid(Some(started.warden), WaitOptions::empty()));
    if is_over {
        let _ = Answer::Reached(Limit::Time).send(control, &[]);
    }
    if started.means.ends() == Ends::Subreaper {
        sweep(|_, _| ());
    }
    for limit in prepared.iter().flat_map(Prepared::reached) {
        let _ = Answer::Reached(limit).send(control, &[]);
    }
    drop(undertaker);
    Ok(())
}

/// A warden that holds.
struct Started {
    means: Means,
    warden: Pid,
    /// Its other end is closed when the server runs.
    starting: OwnedFd,
}

impl Started {
    /// Waits for the warden's end, and brings it about where the warden does not: when the guard is
    /// gone, and when the server's time is over, which is what comes back. Of what a server could
    /// take from its warden, it has no hold on this process, which it does not even see.
    fn watch(&self, control: &UnixStream, time: Option<Duration>) -> Result<bool, Failure> {
        let keep = |errno| Step::Keep.because(errno);
        let warden = pidfd_open(self.warden, PidfdFlags::empty()).map_err(keep)?;
        let (mut is_starting, mut has_guard) = (time.is_some(), true);
        let (mut over, mut until): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            let mut watched = vec![PollFd::new(&warden, PollFlags::IN)];
            if has_guard {
                watched.push(PollFd::new(control, PollFlags::RDHUP));
            }
            if is_starting {
                watched.push(PollFd::new(&self.starting, PollFlags::IN));
            }
            let left = until.map(|it| it.saturating_duration_since(Instant::now()));
            let left = left.and_then(|it| Timespec::try_from(it).ok());
            retry_on_intr(|| poll(&mut watched, left.as_ref())).map_err(keep)?;
            let mut happened = watched.iter().map(|it| !it.revents().is_empty());
            if happened.next() == Some(true) {
                return Ok(false);
            }
            let guard_left = has_guard && happened.next() == Some(true);
            let runs = is_starting && happened.next() == Some(true);
            let now = Instant::now();
            if until.is_some_and(|it| it <= now)
                || (guard_left && self.means.ends() == Ends::Namespace)
            {
                let _ = pidfd_send_signal(&warden, Signal::KILL);
                return Ok(over.is_some_and(|it| it <= now));
            }
            if guard_left {
                // It kills one after the other what is left, and is better at it than we are.
                has_guard = false;
                until = Some(now + PATIENCE);
            }
            if runs {
                is_starting = false;
                over = time.map(|it| now + it + PATIENCE);
                until = until.or(over);
            }
        }
    }
}

/// How the warden comes to be in a position to end everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// A privileged user makes a pid namespace directly.
    PidNamespace,
    /// An ordinary user needs a user namespace around it, in which its own ids mean the same.
    UserAndPidNamespace { uid: u32, gid: u32 },
    /// An ordinary user's engine needs one in which it is root, and which has another id.
    MappedUserAndPidNamespace(Ids),
    /// What is left where neither is permitted.
    Subreaper,
}

impl Means {
    /// Best first.
    fn allowed_by(order: &Order) -> Vec<Self> {
        let only = match (&order.ship, &order.cell) {
            // What an engine of ours starts ends with the namespace that it is started in.
            (Some(ship), _) if ship.staged => {
                Some(ship.ids.map_or(Self::PidNamespace, Self::MappedUserAndPidNamespace))
            }
            // What was planned is what was promised, and nothing else takes its place.
            (None, Some(Cell { uid, gid, namespaces, .. })) => Some(match namespaces {
                true => Self::UserAndPidNamespace { uid: *uid, gid: *gid },
                false => Self::Subreaper,
            }),
            (Some(_), _) | (None, None) => None,
        };
        if let Some(only) = only {
            let fits = order.ends.is_none_or(|it| it == only.ends());
            return if fits { vec![only] } else { Vec::new() };
        }
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let namespaces = [Self::PidNamespace, Self::UserAndPidNamespace { uid, gid }];
        match order.ends {
            None => [&namespaces[..], &[Self::Subreaper]].concat(),
            Some(Ends::Namespace) => namespaces.to_vec(),
            Some(Ends::Subreaper) => vec![Self::Subreaper],
        }
    }

    fn clone_flags(self) -> u64 {
        match self {
            Self::PidNamespace => raw::NEW_PID,
            Self::UserAndPidNamespace { .. } | Self::MappedUserAndPidNamespace(_) => {
                raw::NEW_USER | raw::NEW_PID
            }
            Self::Subreaper => 0,
        }
    }

    pub(crate) fn ends(self) -> Ends {
        match self {
            Self::PidNamespace
            | Self::UserAndPidNamespace { .. }
            | Self::MappedUserAndPidNamespace(_) => Ends::Namespace,
            Self::Subreaper => Ends::Subreaper,
        }
    }
}

/// Starts the warden by the first means that this machine permits.
fn start_warden(
    alone: Alone,
    control: &UnixStream,
    order: Order,
    prepared: Option<&Prepared>,
) -> Result<Started, Failure> {
    let keep = |errno| Step::Keep.because(errno);
    let keeper = pidfd_open(getpid(), PidfdFlags::empty()).map_err(keep)?;
    let mut failure = Step::Namespace.because(Errno::PERM);
    for means in Means::allowed_by(&order) {
        if means == Means::Subreaper {
            set_child_subreaper(Some(getpid())).map_err(keep)?;
        }
        let (ready, says_ready) = pipe_with(PipeFlags::CLOEXEC).map_err(keep)?;
        let (until_mapped, mapped) = pipe_with(PipeFlags::CLOEXEC).map_err(keep)?;
        let forked = match order.confined() {
            Some(cell) => confine::fork_as_server(cell, alone, means.clone_flags()),
            None => {
                let step = match means {
                    // An engine is not started without.
                    Means::MappedUserAndPidNamespace(_) => Step::UserNamespace,
                    Means::PidNamespace | Means::UserAndPidNamespace { .. } | Means::Subreaper => {
                        Step::Namespace
                    }
                };
                let forked = alone.fork_into(means.clone_flags());
                forked.map_err(|error| step.because_io(&error))
            }
        };
        let pid = match forked {
            Err(error) => {
                failure = error;
                continue;
            }
            Ok(Side::Child) => {
                drop((ready, mapped));
                let Err::<Infallible, _>(failure) = warden::run(
                    alone,
                    Warden { means, control, keeper, until_mapped, says_ready, order, prepared },
                );
                let _ = Answer::Failed(failure).send(control, &[]);
                raw::leave(1);
            }
            Ok(Side::Parent(pid)) => pid,
        };
        drop((says_ready, until_mapped));
        if let Means::MappedUserAndPidNamespace(ids) = means {
            match ids.map(pid) {
                Ok(()) => _ = rustix::io::write(&mapped, &[1]),
                Err(error) => {
                    drop(mapped);
                    let _ = retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
                    failure = Step::Ids.because_io(&error);
                    continue;
                }
            }
        }
        let mut told = [0; Failure::BYTES];
        match retry_on_intr(|| rustix::io::read(&ready, &mut told)) {
            Ok(1) => return Ok(Started { means, warden: pid, starting: ready }),
            Ok(count) => {
                let told = told.get(..count).and_then(Failure::from_bytes);
                failure = told.unwrap_or(Step::Namespace.because(Errno::PERM));
            }
            Err(errno) => failure = Step::Keep.because(errno),
        }
        let _ = retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
    }
    Err(failure)
}
