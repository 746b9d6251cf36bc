//! The first process of a container: this binary again, which the engine starts in the place of the
//! server. What to start comes over its standard input, before anything that is for the server: an
//! engine writes down arguments and variables, and shows them to whoever asks. It looks whether the
//! engine has kept its word, puts up the walls that engines do not have, starts the server, says on
//! its standard output that it has, and from then on only reaps, and passes on what it is asked.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, chdir, kill_process_group, set_dumpable_behavior,
    set_parent_process_death_signal, wait,
};

use crate::cell::Cell;
use crate::codec::{Reader, Writer};
use crate::confine;
use crate::landlock;
use crate::message::{Answer, Failure, Step};
use crate::raw::{self, Alone, Side};
use crate::seccomp::Filters;
use crate::spec::SPEC_BYTES_MAX;
use crate::{Ends, Exit, Spec, server};

/// The argument that makes a binary the first process of a container.
pub(crate) const INSIDE_ARG: &str = "--stockade-inside";

const LENGTH_BYTES: usize = 8;

/// What the guard hands over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) spec: Spec,
    pub(crate) cell: Cell,
    /// Whether the container has a user namespace of its own, in which nobody else's processes
    /// count.
    pub(crate) own_users: bool,
}

impl Letter {
    pub(crate) fn encode(&self) -> io::Result<Vec<u8>> {
        let mut out = Writer::default();
        out.number(self.own_users.into());
        out.bytes(&self.spec.encode().map_err(io::Error::other)?);
        out.bytes(&self.cell.encode());
        let body = out.finish();
        let mut whole = Writer::default();
        whole.bytes(&body);
        Ok(whole.finish())
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let from = &mut Reader(bytes);
        let own_users = from.flag()?;
        let spec = Spec::decode(&from.bytes()?)?;
        let cell = Cell::decode(&from.bytes()?)?;
        from.is_empty().then_some(Self { spec, cell, own_users })
    }

    /// Reads it and not a byte more: what follows is the server's.
    fn receive(from: BorrowedFd<'_>) -> io::Result<Self> {
        let mut length = [0; LENGTH_BYTES];
        read_whole(from, &mut length)?;
        let length = usize::try_from(u64::from_le_bytes(length)).map_err(io::Error::other)?;
        if length > 2 * SPEC_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        read_whole(from, &mut bytes)?;
        Self::decode(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

fn read_whole(from: BorrowedFd<'_>, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        let count = retry_on_intr(|| rustix::io::read(from, &mut *into))?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into = into.get_mut(count..).unwrap_or_default();
    }
    Ok(())
}

/// The guard's side of it: hands the letter over and waits for the answer, until then. Nothing of
/// the server runs before it is also told to [`go`].
pub(crate) fn hand_over(
    letter: &Letter,
    to: BorrowedFd<'_>,
    from: BorrowedFd<'_>,
    until: Instant,
) -> io::Result<Result<(), Failure>> {
    let bytes = letter.encode()?;
    let flags = fcntl_getfl(to)?;
    // Whoever should read may be stuck, or gone.
    fcntl_setfl(to, flags | OFlags::NONBLOCK)?;
    let mut left = bytes.as_slice();
    while !left.is_empty() {
        ready(to, PollFlags::OUT, until)?;
        match rustix::io::write(to, left) {
            Ok(count) => left = left.get(count..).unwrap_or_default(),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    fcntl_setfl(to, flags)?;
    let mut answer = [0; Answer::BYTES];
    for byte in &mut answer {
        ready(from, PollFlags::IN, until)?;
        let byte = std::slice::from_mut(byte);
        if retry_on_intr(|| rustix::io::read(from, &mut *byte))? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    match Answer::from_bytes(&answer) {
        Some(Answer::Started(_)) => Ok(Ok(())),
        Some(Answer::Failed(failure)) => Ok(Err(failure)),
        Some(Answer::Exited(_) | Answer::Reached(_) | Answer::Traced) | None => {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}

/// Has the server started. The one byte of it finds room in any pipe.
pub(crate) fn go(to: BorrowedFd<'_>) -> io::Result<()> {
    retry_on_intr(|| rustix::io::write(to, b"g"))?;
    Ok(())
}

fn ready(fd: BorrowedFd<'_>, what: PollFlags, until: Instant) -> io::Result<()> {
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).map_err(io::Error::other)?;
    match retry_on_intr(|| poll(&mut [PollFd::new(&fd, what)], Some(&left)))? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

/// Becomes the first process of a container, for good.
pub(crate) fn main() -> ! {
    let Err::<Infallible, _>(failure) = run();
    let _ = rustix::io::write(rustix::stdio::stdout(), &Answer::Failed(failure).to_bytes());
    process::exit(1)
}

fn run() -> Result<Infallible, Failure> {
    let alone = Alone::check().map_err(|error| Step::Alone.because_io(&error))?;
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Whoever watches over this container outside is our parent there: without it, nobody would
    // pass anything on, and nobody would know that this is still running.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|it| Step::Keep.because(it))?;
    let Letter { spec, cell, own_users } =
        Letter::receive(rustix::stdio::stdin()).map_err(|error| Step::Order.because_io(&error))?;
    // An engine that was told to give privileges away and has not is not trusted with more.
    let status = fs::read_to_string("/proc/self/status")
        .map_err(|error| Step::Privileges.because_io(&error))?;
    if !is_unprivileged(&status, &cell) {
        return Err(Step::Privileges.because(Errno::PERM));
    }
    let asked = raw::signals(&[Signal::CHILD, Signal::TERM, Signal::INT, Signal::HUP])
        .map_err(|error| Step::Keep.because_io(&error))?;
    let limits = confine::limits(&cell, own_users).and_then(|()| confine::descriptors(&cell));
    limits.map_err(|errno| Step::Limits.because(errno))?;
    let filters = Filters::new(&cell).map_err(|error| Step::Filter.because_io(&error))?;
    if cell.landlock {
        landlock::apply(&cell).map_err(|error| Step::Landlock.because_io(&error))?;
    }
    filters.apply().map_err(|error| Step::Filter.because_io(&error))?;
    chdir(&cell.cwd).map_err(|errno| Step::Directory.because(errno))?;
    server::could_be(&spec)?;
    // Whoever is started could write at once; what is first on its output is ours.
    rustix::io::write(rustix::stdio::stdout(), &Answer::Started(Ends::Namespace).to_bytes())
        .map_err(|errno| Step::Stdio.because(errno))?;
    // The guard does not take our word for it, and looks at this process from outside.
    read_whole(rustix::stdio::stdin(), &mut [0; 1])
        .map_err(|error| Step::Order.because_io(&error))?;
    let server = match alone.fork() {
        Ok(Side::Child) => {
            let failure = server::become_first(&spec, &cell);
            let says = format!("stockade: {} ({})\n", failure.step.says(), failure.errno);
            let _ = rustix::io::write(rustix::stdio::stderr(), says.as_bytes());
            raw::leave(127)
        }
        Ok(Side::Parent(server)) => server,
        Err(_) => process::exit(127),
    };
    // The server's pipes are the server's: what it closes is closed.
    if let Ok(nothing) = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&nothing);
        let _ = rustix::stdio::dup2_stdout(&nothing);
        let _ = rustix::stdio::dup2_stderr(&nothing);
    }
    process::exit(match watch(server, &asked) {
        Exit::Code(code) => code,
        Exit::Signal(signal) => signal.saturating_add(128),
    })
}

/// What `/proc` says of this process: who it is, and that there is nothing to gain.
fn is_unprivileged(status: &str, cell: &Cell) -> bool {
    let field = |name: &str| {
        status.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let zero = |it: &str| it.bytes().all(|it| it == b'0');
    let capabilities = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    let is = |name: &str, id: u32| {
        field(name).is_some_and(|it| it.split_whitespace().all(|it| it.parse() == Ok(id)))
    };
    capabilities.iter().all(|it| field(it).is_some_and(zero))
        && field("NoNewPrivs") == Some("1")
        && field("Seccomp") == Some("2")
        && is("Uid", cell.uid)
        && is("Gid", cell.gid)
        && is("Groups", cell.gid)
        && cell.uid != 0
}

/// Reaps whoever is orphaned, passes on what the server is asked, and says how it ended.
fn watch(server: Pid, asked: &OwnedFd) -> Exit {
    loop {
        // The start of one `signalfd_siginfo` is the signal's number.
        let mut said = [0; 128];
        let _ = poll(&mut [PollFd::new(asked, PollFlags::IN)], None);
        let count = rustix::io::read(asked, &mut said);
        let signal = said.first_chunk::<4>().map(|it| i32::from_ne_bytes(*it));
        if count.is_ok() && signal.is_some_and(|it| it != Signal::CHILD.as_raw()) {
            // The whole group, as a terminal would.
            let _ = kill_process_group(server, Signal::TERM);
        }
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(exit) = Exit::of(status)
                && pid == server
            {
                return exit;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_that_was_encoded_comes_back() {
        let spec = Spec { command: vec!["true".into()], ..Spec::default() };
        let letter = Letter { spec, cell: Cell { uid: 7, ..Cell::default() }, own_users: true };
        let bytes = letter.encode().unwrap();
        assert_eq!(Letter::decode(&bytes[LENGTH_BYTES..]), Some(letter));
        for end in LENGTH_BYTES..bytes.len() {
            assert_eq!(Letter::decode(&bytes[LENGTH_BYTES..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn an_engine_that_leaves_a_privilege_is_found_out() {
        let kept = "Uid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\nGroups:\t8 \nCapInh:\t0\nCapPrm:\t0\nCapEff:\t0\n\
                    CapBnd:\t0000\nCapAmb:\t0\nNoNewPrivs:\t1\nSeccomp:\t2\n";
        let cell = Cell { uid: 7, gid: 8, ..Cell::default() };
        assert!(is_unprivileged(kept, &cell));
        for (held, broken) in [
            ("CapBnd:\t0000", "CapBnd:\t0400"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
            ("Seccomp:\t2", "Seccomp:\t0"),
            ("Uid:\t7\t7", "Uid:\t7\t0"),
            ("Gid:\t8", "Gid:\t0"),
            ("Groups:\t8", "Groups:\t8 0"),
            ("CapEff", "Cap"),
        ] {
            assert!(!is_unprivileged(&kept.replace(held, broken), &cell), "{broken}");
        }
        let root = Cell { uid: 0, ..cell };
        assert!(!is_unprivileged(&kept.replace("\t7", "\t0"), &root));
    }
}
