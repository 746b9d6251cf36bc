//! Tries one thing that a sandbox is made of, for real, in a process of its own that ends with it.
//! What a version number or a file in `/proc/sys` says is not what a machine does: a security
//! module, a container's filter or a mount option may forbid what the kernel has.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::OnceLock;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::CWD;
use rustix::io::{Errno, FdFlags, fcntl_getfd, retry_on_intr};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    DumpableBehavior, Gid, Pid, PidfdFlags, Signal, Uid, WaitOptions, fchdir, getegid, geteuid,
    getpid, pidfd_open, pivot_root, set_child_subreaper, set_dumpable_behavior, waitpid,
};
use rustix::system::sethostname;
use rustix::thread::{
    UnshareFlags, capabilities, no_new_privs, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use crate::cell::{Cell, Kind, Owner};
use crate::cgroup::{self, Made, Possible};
use crate::plan::{LANDLOCK_MIN, NOBODY};
use crate::raw::{self, Alone, NEW_PID, NEW_USER, Side};
use crate::reached::Limit;
use crate::seccomp::Filters;
use crate::{KEEPER_ARG, Limits, confine, mounts, scope, warden};

/// So much memory a process may have that tries whether a limit kills; it takes twice that.
const MEMORY_BYTES: u64 = 32 << 20;

/// All that groups can limit, for where it is asked what they do.
const ALL_LIMITS: Limits = Limits {
    memory_bytes: Some(MEMORY_BYTES),
    pids: 1,
    cpu_thousandths: Some(500),
    open_files: 0,
    file_bytes: 0,
    scratch_bytes: 0,
    time: None,
};

/// What can be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trial {
    UserNamespace,
    PidNamespace,
    NetworkNamespace,
    OtherNamespaces,
    Mounts,
    Proc,
    MappedMounts,
    Landlock,
    Seccomp,
    Privileges,
    Keyring,
    Descriptors,
    Pidfd,
    Subreaper,
    Scope,
    Memory,
    Pids,
    Cpu,
    /// All that a server needs to be apart from others, at once.
    Apart,
    /// Nothing but to start: for a launch that is itself what is tried.
    Nothing,
}

impl Trial {
    const ALL: [Self; 20] = [
        Self::UserNamespace,
        Self::PidNamespace,
        Self::NetworkNamespace,
        Self::OtherNamespaces,
        Self::Mounts,
        Self::Proc,
        Self::MappedMounts,
        Self::Landlock,
        Self::Seccomp,
        Self::Privileges,
        Self::Keyring,
        Self::Descriptors,
        Self::Pidfd,
        Self::Subreaper,
        Self::Scope,
        Self::Memory,
        Self::Pids,
        Self::Cpu,
        Self::Apart,
        Self::Nothing,
    ];

    /// What the process is told on its command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::UserNamespace => "user-namespace",
            Self::PidNamespace => "pid-namespace",
            Self::NetworkNamespace => "network-namespace",
            Self::OtherNamespaces => "other-namespaces",
            Self::Mounts => "mounts",
            Self::Proc => "proc",
            Self::MappedMounts => "mapped-mounts",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Privileges => "privileges",
            Self::Keyring => "keyring",
            Self::Descriptors => "descriptors",
            Self::Pidfd => "pidfd",
            Self::Subreaper => "subreaper",
            Self::Scope => "scope",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::Apart => "apart",
            Self::Nothing => "nothing",
        }
    }

    /// Tries it in a process of its own: what was found, or why it does not work. It fails where there
    /// is no such process.
    pub(crate) fn carry_out(self) -> io::Result<Result<String, String>> {
        if self == Self::Scope {
            return Ok(Self::in_scope().map(|has| format!("with limits of {}", has.names())));
        }
        let mut process = self.begun()?;
        // Where it is of no use, the process itself says why there is no limit.
        let in_scope = self.is_for_a_scope() && scope::enter(process.id(), &ALL_LIMITS).is_ok();
        drop(process.stdin.take());
        let out = process.wait_with_output()?;
        let said = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        Ok(match out.status.code() {
            Some(0) if in_scope => Ok(format!("{said}, in a scope of systemd")),
            Some(0) => Ok(said),
            Some(_) => Err(said),
            // A filter of a container may kill for what it does not know.
            None => Err(format!("the process that tried it was ended: {}", out.status)),
        })
    }

    /// What can be limited in a scope of the user's systemd, or why there is none. That is asked once.
    pub(crate) fn in_scope() -> Result<Possible, String> {
        static ASKED: OnceLock<Result<Possible, String>> = OnceLock::new();
        let ask = || {
            let mut process =
                Self::Scope.begun().map_err(|it| format!("it cannot be tried: {it}"))?;
            let entered = scope::enter(process.id(), &ALL_LIMITS);
            drop(process.stdin.take());
            // It has no more to say than that it was there.
            let _ = process.wait();
            let (_, has) = entered.map_err(|it| it.to_string())?;
            let nothing = || format!("nothing is limited in it ({})", cgroup::layout());
            if has.limits().is_empty() { Err(nothing()) } else { Ok(has) }
        };
        ASKED.get_or_init(ask).clone()
    }

    fn begun(self) -> io::Result<process::Child> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(KEEPER_ARG).arg(self.word()).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
    }

    /// Whether it needs a group that this user cannot make alone.
    fn is_for_a_scope(self) -> bool {
        let possible = || cgroup::possible(&ALL_LIMITS);
        let is_missing = (self == Self::Memory && !possible().memory)
            || (self == Self::Pids && !possible().pids)
            || (self == Self::Cpu && !possible().cpu);
        is_missing && scope::is_likely() && Self::in_scope().is_ok()
    }

    fn try_it(self, alone: Alone) -> io::Result<String> {
        match self {
            Self::UserNamespace => in_namespace(alone, 0, || Ok(())).map(|()| String::new()),
            Self::PidNamespace => in_namespace(alone, NEW_PID, || {
                expect(getpid() == Pid::INIT, "its first process is not pid 1")
            })
            .map(|()| String::new()),
            Self::NetworkNamespace => network_namespace(alone),
            Self::OtherNamespaces => other_namespaces(alone),
            Self::Mounts => in_namespace(alone, 0, a_root_of_its_own)
                .map(|()| "tmpfs, a read-only bind, pivot_root".to_owned()),
            Self::Proc => in_namespace(alone, NEW_PID, || {
                raw::unshare(UnshareFlags::NEWNS)?;
                Ok(mounts::processes().map(drop)?)
            })
            .map(|()| String::new()),
            Self::MappedMounts => mapped_mounts(alone),
            Self::Landlock => landlock(),
            Self::Seccomp => seccomp(),
            Self::Privileges => privileges(alone),
            Self::Keyring => raw::new_session_keyring().map(|()| String::new()),
            Self::Descriptors => descriptors(),
            Self::Pidfd => pidfd(alone),
            Self::Subreaper => subreaper(alone),
            Self::Scope => until_told().map(|()| String::new()),
            Self::Memory => until_told().and_then(|()| memory(alone)),
            Self::Pids => until_told().and_then(|()| pids(alone)),
            Self::Cpu => until_told().and_then(|()| cpu()),
            Self::Apart => apart(alone),
            Self::Nothing => Ok(String::new()),
        }
    }
}

/// What the process does that was started for a trial, and its exit code.
pub(crate) fn main(word: &OsStr) -> i32 {
    let trial = Trial::ALL.into_iter().find(|it| word == it.word());
    let tried = trial
        .ok_or_else(|| io::Error::other("there is no such trial"))
        .and_then(|it| it.try_it(Alone::check()?));
    let (code, said) = match tried {
        Ok(found) => (0, found),
        Err(error) => (1, error.to_string()),
    };
    // Whoever asked is gone if this fails.
    let _ = io::stdout().write_all(said.as_bytes());
    code
}

fn expect(holds: bool, otherwise: &str) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::other(otherwise.to_owned())) }
}

/// Does something as an ordinary user in a user namespace of its own, which is how a server is
/// started, also by root.
fn in_namespace(alone: Alone, and: u64, it: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    if geteuid().is_root() {
        set_thread_groups(&[])?;
        let (uid, gid) = (Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY)));
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        // Otherwise the maps in `/proc` belong to root.
        set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    }
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    in_fork(alone, NEW_USER | and, || {
        warden::map_ids(uid, gid)?;
        it()
    })
}

/// Does something in a fork, and passes on how that went.
fn in_fork(alone: Alone, flags: u64, it: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let (told, tell) = pipe_with(PipeFlags::CLOEXEC)?;
    let pid = match alone.fork_into(flags)? {
        Side::Child => {
            drop(told);
            let said = it().map_or_else(|error| error.to_string(), |()| String::new());
            let _ = rustix::io::write(&tell, format!("{said}\n").as_bytes());
            raw::leave(0);
        }
        Side::Parent(pid) => pid,
    };
    drop(tell);
    let mut said = String::new();
    File::from(told).read_to_string(&mut said)?;
    retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()))?;
    match said.strip_suffix('\n') {
        Some("") => Ok(()),
        Some(error) => Err(io::Error::other(error.to_owned())),
        None => Err(io::Error::other("it was killed")),
    }
}

fn network_namespace(alone: Alone) -> io::Result<String> {
    in_namespace(alone, 0, || {
        raw::unshare(UnshareFlags::NEWNET)?;
        confine::loopback(&[])?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        TcpStream::connect(listener.local_addr()?)?;
        let elsewhere = TcpStream::connect("192.0.2.1:9");
        expect(
            elsewhere.is_err_and(|it| it.raw_os_error() == Some(Errno::NETUNREACH.raw_os_error())),
            "there is a way out of it",
        )
    })?;
    Ok("own loopback works, nothing else is reached".to_owned())
}

fn other_namespaces(alone: Alone) -> io::Result<String> {
    in_namespace(alone, 0, || {
        for (flag, name) in [
            (UnshareFlags::NEWIPC, "ipc"),
            (UnshareFlags::NEWUTS, "uts"),
            (UnshareFlags::NEWCGROUP, "cgroup"),
        ] {
            raw::unshare(flag).map_err(|it| io::Error::other(format!("{name}: {it}")))?;
        }
        Ok(sethostname(b"stockade")?)
    })?;
    Ok("ipc, uts, cgroup".to_owned())
}

/// As `confine` has warden and server do it, and for root what its keeper does before.
fn apart(alone: Alone) -> io::Result<String> {
    if geteuid().is_root() {
        mounts::clone_of(&mounts::look_up(Path::new("/usr"))?, Kind::Read, None)?;
    }
    in_namespace(alone, NEW_PID, || {
        raw::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS)?;
        raw::unshare(UnshareFlags::NEWCGROUP)?;
        confine::loopback(&[])?;
        a_root_of_its_own()
    })?;
    Ok(String::new())
}

/// The steps in which a server's root is put together, each looked at for what it is for.
fn a_root_of_its_own() -> io::Result<()> {
    let at = |step: &'static str| move |it: Errno| io::Error::other(format!("{step}: {it}"));
    raw::unshare(UnshareFlags::NEWNS).map_err(at("no mount namespace"))?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(at("mounts cannot be made private"))?;
    let new = mounts::memory(1 << 20, 0o755, None).map_err(at("no tmpfs"))?;
    mounts::put(&new, CWD.as_fd(), Path::new("/tmp")).map_err(at("tmpfs cannot be mounted"))?;
    let usr = mounts::look_up(Path::new("/usr"))
        .map_err(io::Error::from)
        .and_then(|it| mounts::clone_of(&it, Kind::Read, None))
        .map_err(|it| io::Error::other(format!("no read-only bind: {it}")))?;
    fs::create_dir("/tmp/usr")?;
    mounts::put(&usr, CWD.as_fd(), Path::new("/tmp/usr")).map_err(at("no bind"))?;
    let written = File::create("/tmp/usr/stockade-trial");
    let is_read_only = |it: io::Error| it.kind() == io::ErrorKind::ReadOnlyFilesystem;
    expect(written.is_err_and(is_read_only), "a read-only bind can be written to")?;
    fchdir(&new).map_err(at("the new root"))?;
    pivot_root(".", ".").map_err(at("no pivot_root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(at("the old root stays"))?;
    expect(!Path::new("/etc").exists(), "the old root is still seen")
}

fn mapped_mounts(alone: Alone) -> io::Result<String> {
    let place = std::env::temp_dir().canonicalize()?.join(format!("stockade-{}", getpid()));
    fs::create_dir(&place)?;
    let mapped = || {
        let (root, server) = (Owner { uid: 0, gid: 0 }, Owner { uid: NOBODY, gid: NOBODY });
        let ids = mounts::mapping(root, server, alone)?;
        let tree = mounts::clone_of(&mounts::look_up(&place)?, Kind::Write, Some(ids.as_fd()))?;
        expect(rustix::fs::fstat(&tree)?.st_uid == NOBODY, "files keep their owner")
    };
    let tried = mapped();
    fs::remove_dir(&place)?;
    tried.map(|()| "files of root look like the server's own".to_owned())
}

fn landlock() -> io::Result<String> {
    let version = raw::landlock_version();
    expect(version > 0, "this kernel has none, or `lsm=` does not name it")?;
    let needed = format!("version {version}, and {LANDLOCK_MIN} is needed");
    expect(version >= LANDLOCK_MIN, &needed)?;
    File::open("/proc/self/status")?;
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V6))
        .and_then(Ruleset::create)
        .map_err(io::Error::other)?;
    set_no_new_privs(true)?;
    let status = rules.restrict_self().map_err(io::Error::other)?;
    expect(status.ruleset == RulesetStatus::FullyEnforced, "it is not fully enforced")?;
    let denied = File::open("/proc/self/status");
    let is_denied = |it: io::Error| it.kind() == io::ErrorKind::PermissionDenied;
    expect(denied.is_err_and(is_denied), "it denies nothing")?;
    Ok(format!("version {version}, and it denies"))
}

fn seccomp() -> io::Result<String> {
    // Nothing is asked of it, so it succeeds unless it is refused.
    let ask = || raw::unshare(UnshareFlags::empty());
    let before = ask();
    set_no_new_privs(true)?;
    Filters::new(&Cell { namespaces: true, ..Cell::default() })?.apply()?;
    expect(ask() == Err(Errno::PERM), "it refuses nothing")?;
    let also = if before.is_err() { ", as did another filter before it" } else { "" };
    Ok(format!("and it refuses{also}"))
}

fn privileges(alone: Alone) -> io::Result<String> {
    in_namespace(alone, 0, || {
        confine::privileges()?;
        let left = capabilities(None)?;
        let none = left.effective.is_empty() && left.permitted.is_empty();
        expect(none && left.inheritable.is_empty(), "some are left")?;
        expect(no_new_privs()?, "no_new_privs is not set")
    })?;
    Ok("none are left, and none are gained".to_owned())
}

fn descriptors() -> io::Result<String> {
    let inherited = rustix::io::dup(File::open("/")?)?;
    raw::close_others_on_exec()?;
    let closes = fcntl_getfd(&inherited)?.contains(FdFlags::CLOEXEC);
    expect(closes, "a descriptor stays open")?;
    Ok(String::new())
}

fn pidfd(alone: Alone) -> io::Result<String> {
    let pid = match alone.fork()? {
        Side::Child => raw::leave(0),
        Side::Parent(pid) => pid,
    };
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    retry_on_intr(|| poll(&mut [PollFd::new(&process, PollFlags::IN)], None))?;
    waitpid(Some(pid), WaitOptions::empty())?;
    Ok(String::new())
}

/// Whether an orphan becomes a child of this process.
fn subreaper(alone: Alone) -> io::Result<String> {
    set_child_subreaper(Some(getpid()))?;
    let pid = match alone.fork()? {
        Side::Child => {
            let _ = alone.fork();
            raw::leave(0);
        }
        Side::Parent(pid) => pid,
    };
    retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()))?;
    let orphan = retry_on_intr(|| waitpid(None, WaitOptions::empty()));
    expect(orphan.is_ok(), "an orphan went elsewhere")?;
    Ok(String::new())
}

/// Waits until whoever started this process has put it where it is to be.
fn until_told() -> io::Result<()> {
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

/// Makes a group that holds nothing but these limits, or says that there is no place for one.
fn group(limits: &Limits, has: impl Fn(&Possible) -> bool) -> io::Result<(Made, String)> {
    let possible = cgroup::possible(limits);
    let layout = cgroup::layout();
    let none = format!("this user can make no group for it ({layout})");
    expect(has(&possible), &none)?;
    Ok((Made::new(&possible.groups)?, layout))
}

fn memory(alone: Alone) -> io::Result<String> {
    let limits = Limits { memory_bytes: Some(MEMORY_BYTES), ..Limits::default() };
    let (made, layout) = group(&limits, |it| it.memory)?;
    let pid = match alone.fork()? {
        Side::Child => {
            let code = made.enter().map_or(2, |()| {
                let bytes = usize::try_from(MEMORY_BYTES * 2).unwrap_or(usize::MAX);
                black_box(vec![1_u8; bytes]);
                0
            });
            raw::leave(code);
        }
        Side::Parent(pid) => pid,
    };
    let ended = retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()))?;
    let status = ended.map(|(_, status)| status);
    expect(
        status.and_then(|it| it.exit_status()) != Some(2),
        "a process cannot be moved into a group",
    )?;
    let killed = status.and_then(|it| it.terminating_signal()) == Some(Signal::KILL.as_raw());
    expect(killed, "a process went past its limit")?;
    expect(made.reached().contains(&Limit::Memory), "nobody says why a process was killed")?;
    Ok(format!("a process was killed at its limit ({layout})"))
}

fn pids(alone: Alone) -> io::Result<String> {
    const MOST: u32 = 2;
    let limits = Limits { memory_bytes: None, pids: MOST, ..Limits::default() };
    let (made, layout) = group(&limits, |it| it.pids)?;
    in_fork(alone, 0, || {
        made.enter()?;
        let mut started = Vec::new();
        for _ in 0..MOST * 2 {
            match alone.fork() {
                Ok(Side::Child) => loop {
                    std::thread::park();
                },
                Ok(Side::Parent(pid)) => started.push(pid),
                Err(_) => break,
            }
        }
        for pid in &started {
            rustix::process::kill_process(*pid, Signal::KILL)?;
            waitpid(Some(*pid), WaitOptions::empty())?;
        }
        expect(started.len() <= MOST as usize, "more were started than may be")
    })?;
    expect(made.reached().contains(&Limit::Pids), "nobody says that one was refused")?;
    Ok(format!("one more was refused ({layout})"))
}

fn cpu() -> io::Result<String> {
    let limits = Limits { memory_bytes: None, cpu_thousandths: Some(500), ..Limits::default() };
    let (_made, layout) = group(&limits, |it| it.cpu)?;
    Ok(format!("a quota was taken ({layout})"))
}
