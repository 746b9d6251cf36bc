//! The calls that rustix does not offer: fork, exec, signals, the mass closing of descriptors, the
//! attributes of mounts, keyrings, the loopback interface, being told of calls, and how much of what was sent was
//! acknowledged. All `unsafe` code of the crate is here, and nothing else is.
#![allow(unsafe_code, reason = "fork, exec and signal dispositions have no safe interface")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;
use seccompiler::sock_filter;

pub(crate) const NEW_USER: u64 = libc::CLONE_NEWUSER.cast_unsigned() as u64;
pub(crate) const NEW_PID: u64 = libc::CLONE_NEWPID.cast_unsigned() as u64;

/// Proof that this process has one thread, which is what makes a fork harmless: no lock can be
/// held by a thread that the child does not have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alone(());

/// Which side of a fork this is.
pub(crate) enum Side {
    Child,
    Parent(Pid),
}

impl Alone {
    pub(crate) fn check() -> io::Result<Self> {
        match fs::read_dir("/proc/self/task")?.count() {
            1 => Ok(Self(())),
            _ => Err(io::Error::from(io::ErrorKind::ResourceBusy)),
        }
    }

    /// Forks, by the call that a sandbox leaves: it refuses `clone3`.
    pub(crate) fn fork(self) -> io::Result<Side> {
        let signal = libc::c_long::from(libc::SIGCHLD);
        let none: libc::c_long = 0;
        // SAFETY: without CLONE_VM and without a stack the child runs on a copy of this memory,
        // and the other arguments are not looked at. `self` proves that there is no other thread,
        // so the copy is not of a state in which some lock is held for ever.
        let answer = unsafe { libc::syscall(libc::SYS_clone, signal, none, none, none, none) };
        side(answer)
    }

    /// Forks, with one table of descriptors for both: what one of them opens or closes, the other
    /// has or has no more.
    pub(crate) fn fork_sharing_descriptors(self) -> io::Result<Side> {
        let flags = libc::c_long::from(libc::SIGCHLD | libc::CLONE_FILES);
        let none: libc::c_long = 0;
        // SAFETY: as in `fork`. That the descriptors are shared touches no memory; whoever calls
        // this closes none that the other still uses.
        let answer = unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) };
        side(answer)
    }

    /// Forks into new namespaces. `clone3` is used for its arguments, which are the same on every
    /// architecture.
    pub(crate) fn fork_into(self, flags: u64) -> io::Result<Side> {
        // The first version of `struct clone_args`: flags, pidfd, child_tid, parent_tid,
        // exit_signal, stack, stack_size, tls.
        let mut args = [0_u64; 8];
        let [asked, _, _, _, exit_signal, ..] = &mut args;
        *asked = flags;
        *exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
        // SAFETY: `args` is a valid `clone_args` of the given size. Without CLONE_VM and without a
        // stack the child runs on a copy of this memory. `self` proves that there is no other
        // thread, so the copy is not of a state in which some lock is held for ever.
        let answer =
            unsafe { libc::syscall(libc::SYS_clone3, args.as_mut_ptr(), size_of_val(&args)) };
        side(answer)
    }
}

/// Reads what a fork returned; `errno` is still that of the call.
fn side(answer: libc::c_long) -> io::Result<Side> {
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    let pid = i32::try_from(answer).ok().and_then(Pid::from_raw);
    Ok(pid.map_or(Side::Child, Side::Parent))
}

/// Becomes another program, or says why not.
pub(crate) fn execute(program: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let args = pointers(args);
    let env = pointers(env);
    // SAFETY: all three are zero-terminated, the lists by the null pointer that `pointers` adds,
    // and outlive the call, since `args` and `env` are borrowed from the caller.
    unsafe { libc::execve(program.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|it| it.as_ptr()).chain([ptr::null()]).collect()
}

/// Has what a command starts killed when the thread that starts it ends, which waits for it.
pub(crate) fn end_with_this_thread(command: &mut Command) {
    let here = getpid();
    let tie = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Nobody tells of a parent that was gone before.
        if getppid() == Some(here) { Ok(()) } else { Err(Errno::SRCH.into()) }
    };
    // SAFETY: between fork and exec it makes two calls of the kernel, and allocates and locks
    // nothing.
    unsafe { command.pre_exec(tie) };
}

/// Leaves the process at once, without what a program does at its end: in a fork, that would be
/// done twice.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Marks every descriptor but the standard three, so that none is inherited by what is executed:
/// an inherited directory is a way out of any sandbox.
pub(crate) fn close_others_on_exec() -> io::Result<()> {
    const FIRST: u32 = 3;
    // SAFETY: the call takes integers only, and with this flag closes nothing now.
    let answer =
        unsafe { libc::syscall(libc::SYS_close_range, FIRST, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Closes every descriptor of a fork that has nothing to do with what it was forked from. Whoever
/// owns one in the copied memory must not be used or dropped any more, so this is for a process
/// that ends by [`leave`].
pub(crate) fn close_all() {
    // SAFETY: the call takes integers only; that no owner of a descriptor is used after it is what
    // the caller promises, and the kernel answers `EBADF` to one that is.
    unsafe { libc::syscall(libc::SYS_close_range, 0_u32, u32::MAX, 0_u32) };
}

/// Whether this process may execute a file; asked of the kernel as if it did, where it can be
/// (Linux 6.14), so that mounts and Landlock are asked as well.
pub(crate) fn may_execute(program: &Path) -> io::Result<()> {
    const AT_EXECVE_CHECK: c_int = 0x10000;
    let path = CString::new(program.as_os_str().as_bytes())?;
    let none = [ptr::null::<c_char>()];
    // SAFETY: with this flag nothing is executed; the path is terminated, and both lists are empty
    // ones that outlive the call. A kernel that does not know the flag refuses it.
    let answer = unsafe {
        let (path, none) = (path.as_ptr(), none.as_ptr());
        libc::syscall(libc::SYS_execveat, libc::AT_FDCWD, path, none, none, AT_EXECVE_CHECK)
    };
    if answer == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::EINVAL) => {
            rustix::fs::access(&*path, rustix::fs::Access::EXEC_OK).map_err(io::Error::from)
        }
        error => Err(error),
    }
}

/// Gives every signal its default meaning and blocks none: both are inherited through exec, and a
/// server must not behave differently for what the guard ignores.
pub(crate) fn forget_signals() {
    const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;
    const MASK_BYTES: usize = 8;
    // A `struct sigaction` of the kernel (at most 32 bytes) that says SIG_DFL, which is zero.
    let default = [0_u64; 4];
    for signal in SIGNALS {
        // Past the C library, which does not let go of the two signals that it keeps for itself.
        // SAFETY: the default disposition runs no code of ours, the struct is valid for its size,
        // and the old one is not asked for. For SIGKILL and SIGSTOP this fails, as it should.
        unsafe {
            let old = ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), old, MASK_BYTES)
        };
    }
    let none = signal_set(&[]);
    // SAFETY: `none` is an initialised set; the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) };
}

/// Has a write that would make a file larger than it may be fail like any other. Otherwise the
/// kernel ends the process with SIGXFSZ, and what could not be written is not said either.
pub fn fail_at_the_file_size_limit() {
    // SAFETY: to ignore a signal runs no code of ours; the old disposition is not used.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// How many bytes of what was written to a connection of TCP the other side's kernel has not
/// acknowledged; the end of the connection counts as one.
///
/// # Errors
/// When it is no connection of TCP.
pub fn unacknowledged(connection: BorrowedFd<'_>) -> io::Result<u32> {
    let mut bytes: c_int = 0;
    // The same number as `SIOCOUTQ`.
    let what = libc::TIOCOUTQ;
    // SAFETY: this request writes an integer, which outlives the call.
    let answer = unsafe { libc::ioctl(connection.as_raw_fd(), what, &raw mut bytes) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    u32::try_from(bytes).map_err(io::Error::other)
}

/// A descriptor that is readable when one of these signals has come, which does nothing else then.
pub(crate) fn signals(signals: &[Signal]) -> io::Result<OwnedFd> {
    let set = signal_set(signals);
    // SAFETY: `set` is an initialised set; the old mask is not asked for.
    let blocked = unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
    if blocked != 0 {
        return Err(io::Error::last_os_error());
    }
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: `set` is an initialised set; -1 asks for a new descriptor.
    let fd: RawFd = unsafe { libc::signalfd(-1, &raw const set, flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made `fd`, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Changes a mount, and all below it if `recursive`. These attributes are set and none is cleared;
/// nothing that is mounted there later is seen elsewhere. With a user namespace, the ids of its
/// files are mapped as that one says.
pub(crate) fn set_mount_attributes(
    mount: BorrowedFd<'_>,
    recursive: bool,
    attributes: u64,
    ids: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    const MOUNT_ATTR_IDMAP: u64 = 0x10_0000;
    let recursive = if recursive { libc::AT_RECURSIVE } else { 0 };
    let flags = libc::AT_EMPTY_PATH | recursive;
    let ids_attribute = if ids.is_some() { MOUNT_ATTR_IDMAP } else { 0 };
    let ids = ids.map_or(0, |it| u64::from(it.as_raw_fd().unsigned_abs()));
    // `struct mount_attr`: what is set, what is cleared, the propagation, the user namespace.
    let change = [attributes | ids_attribute, 0, libc::MS_PRIVATE, ids];
    // SAFETY: the path is an empty, terminated string, and `change` is a valid `mount_attr` of the
    // given size; both outlive the call, which writes to neither.
    let answer = unsafe {
        let (path, change) = (c"".as_ptr(), change.as_ptr());
        let bytes = size_of::<[u64; 4]>();
        libc::syscall(libc::SYS_mount_setattr, mount.as_raw_fd(), path, flags, change, bytes)
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Leaves namespaces for new ones.
pub(crate) fn unshare(namespaces: UnshareFlags) -> Result<(), Errno> {
    // SAFETY: what is unsafe about this call is to stop sharing descriptors between threads; no
    // caller asks for that, and whoever forks here has one thread (`Alone`).
    unsafe { rustix::thread::unshare_unsafe(namespaces) }
}

/// Leaves the user's keys behind, for a keyring that is empty.
pub(crate) fn new_session_keyring() -> io::Result<()> {
    const JOIN_SESSION_KEYRING: c_int = 1;
    let unnamed = ptr::null::<c_char>();
    // SAFETY: without a name, the call takes no memory of ours.
    let answer = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, unnamed) };
    if answer >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Brings up the loopback interface of this network namespace.
pub(crate) fn bring_loopback_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a zeroed `ifreq` is a valid one: all of it is integers and arrays of them.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(*b"lo") {
        *place = c_char::from_ne_bytes([byte]);
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).unwrap_or(1);
    // SAFETY: this request reads a valid `ifreq`, which outlives the call.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives the loopback interface one more address, under a name of its own (`lo:1`), and with it all
/// that are the same under `mask`.
pub(crate) fn add_loopback_address(
    socket: BorrowedFd<'_>,
    address: Ipv4Addr,
    mask: Ipv4Addr,
    number: usize,
) -> io::Result<()> {
    // SAFETY: a zeroed `ifreq` is a valid one: all of it is integers and arrays of them.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = format!("lo:{number}");
    // The last byte stays zero.
    let places = request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1);
    for (place, byte) in places.zip(name.bytes()) {
        *place = c_char::from_ne_bytes([byte]);
    }
    for (what, octets) in
        [(libc::SIOCSIFADDR, address.octets()), (libc::SIOCSIFNETMASK, mask.octets())]
    {
        // As a `sockaddr_in`: two bytes of port, then the address.
        let [a, b, c, d] = octets.map(|it| c_char::from_ne_bytes([it]));
        let sa_data = [0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0];
        let sa_family = libc::sa_family_t::try_from(libc::AF_INET).map_err(io::Error::other)?;
        request.ifr_ifru.ifru_addr = libc::sockaddr { sa_family, sa_data };
        // SAFETY: both requests read a valid `ifreq`, which outlives the call.
        let answer = unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw const request) };
        if answer != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Which version of Landlock this kernel has; 0 for none.
pub(crate) fn landlock_version() -> u32 {
    const ASK_VERSION: u32 = 1;
    let none = ptr::null::<u64>();
    // SAFETY: with this flag the call takes no memory, and makes nothing.
    let answer =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, ASK_VERSION) };
    u32::try_from(answer).unwrap_or(0)
}

/// Has the kernel tell of calls that this filter says to tell of, from here on and of all that this
/// process starts, by the descriptor that is returned. Until it is answered there, a call waits, and
/// once it was told, only a signal that kills ends the waiting: one that is handled would have the
/// call made, and told, again and again.
pub(crate) fn tell_of_calls(filter: &[sock_filter]) -> io::Result<OwnedFd> {
    const SET_FILTER: c_int = 1;
    let flags =
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let length = u16::try_from(filter.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut().cast() };
    // SAFETY: `program` points to as many instructions as it says, which the kernel copies and does
    // not write to; both outlive the call. The two `sock_filter` have the same four fields, as C.
    let answer = unsafe { libc::syscall(libc::SYS_seccomp, SET_FILTER, flags, &raw const program) };
    let fd = RawFd::try_from(answer).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made `fd`, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor by its number, in a fork that shares descriptors with whoever has told it.
pub(crate) fn descriptor(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: whoever told the number keeps it open until this process has ended, and -1, which
    // alone must not be borrowed, is nobody's. A number that is wrong names no memory: a call with
    // it fails.
    unsafe { BorrowedFd::borrow_raw(number.max(0)) }
}

/// A call that waits to be told about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) id: u64,
    /// The thread that makes it, as this process sees it.
    pub(crate) thread: u32,
    pub(crate) number: c_int,
    pub(crate) arguments: [u64; 6],
}

/// The next call that the kernel tells of.
pub(crate) fn told(listener: BorrowedFd<'_>) -> io::Result<Told> {
    // SAFETY: a zeroed `seccomp_notif` is a valid one, and what the kernel asks for: all of it is
    // integers.
    let mut told: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: this request writes one `seccomp_notif`, to one that outlives the call.
    let answer =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut told) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    let (number, arguments) = (told.data.nr, told.data.args);
    Ok(Told { id: told.id, thread: told.pid, number, arguments })
}

/// Whether the call still waits, so that what was read about its process is about no other.
pub(crate) fn still_waits(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: this request reads one `u64`, which outlives the call.
    let answer = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id)
    };
    answer == 0
}

/// Lets the call go on, to be made by the kernel as it would have been.
pub(crate) fn go_on(listener: BorrowedFd<'_>, id: u64) -> io::Result<()> {
    let flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(1);
    let answer = libc::seccomp_notif_resp { id, val: 0, error: 0, flags };
    // SAFETY: this request reads one `seccomp_notif_resp`, which outlives the call.
    let sent = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer)
    };
    if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn signal_set(signals: &[Signal]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set, and cannot fail for a valid pointer.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in signals {
        // SAFETY: the set was initialised above.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal.as_raw()) };
    }
    // SAFETY: the set was initialised above.
    unsafe { set.assume_init() }
}
