//! Calls of the kernel that no library offers, since no program should make them.
#![allow(unsafe_code, reason = "what a hostile program does has no safe interface")]

use std::ffi::{CStr, CString, c_long};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How a child ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ended {
    Code,
    Signal(i32),
    /// It had to be killed from here.
    Late,
}

/// Makes a call. Pointers among the arguments are null, lead nowhere, or come from [`text`] or
/// [`memory`], whose owners outlive the call.
pub(super) fn call(number: c_long, arguments: [c_long; 6]) -> io::Result<c_long> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the callers are attempts at what the kernel must refuse. They pass integers, or
    // memory of theirs that is as large as the kernel expects and that outlives the call.
    match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}

/// The same with fewer arguments.
pub(super) fn call_of<const N: usize>(
    number: c_long,
    arguments: [c_long; N],
) -> io::Result<c_long> {
    let mut all = [0; 6];
    for (place, argument) in all.iter_mut().zip(arguments) {
        *place = argument;
    }
    call(number, all)
}

/// A text as an argument.
pub(super) fn text(text: &CStr) -> c_long {
    text.as_ptr().addr().cast_signed() as c_long
}

/// Memory as an argument, which the kernel may write to.
pub(super) fn memory<T>(memory: &mut T) -> c_long {
    (&raw mut *memory).addr().cast_signed() as c_long
}

pub(super) fn path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

/// Fails if this process has other threads.
pub(super) fn alone() -> io::Result<()> {
    match fs::read_dir("/proc/self/task").map(Iterator::count) {
        // Where there is no `/proc`, nobody can tell; whoever starts this has one thread.
        Ok(1) | Err(_) => Ok(()),
        Ok(_) => Err(io::Error::other("this process has more than one thread")),
    }
}

/// Forks; `None` is the child. The caller has one thread ([`alone`]).
pub(super) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: the process has one thread, so no lock is held by one that the child does not have.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        child => Ok(Some(child)),
    }
}

/// Ends this process, without what a program does at its end.
pub(super) fn leave() -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(0) }
}

/// Waits for a child that has closed its pipe; one that has not is killed.
pub(super) fn end(child: i32) -> io::Result<Ended> {
    for _ in 0..200 {
        if let Some(ended) = ended(child, libc::WNOHANG)? {
            return Ok(ended);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // SAFETY: the child was not waited for yet, so the pid is still its own.
    unsafe { libc::kill(child, libc::SIGKILL) };
    ended(child, 0)?;
    Ok(Ended::Late)
}

fn ended(child: i32, how: i32) -> io::Result<Option<Ended>> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    match unsafe { libc::waitpid(child, &raw mut status, how) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        _ if libc::WIFSIGNALED(status) => Ok(Some(Ended::Signal(libc::WTERMSIG(status)))),
        _ => Ok(Some(Ended::Code)),
    }
}

/// A call by the table of 32-bit programs: 20 is `getpid`.
#[cfg(target_arch = "x86_64")]
pub(super) fn getpid_of_32_bits() -> io::Result<c_long> {
    let answer: i64;
    // SAFETY: the call takes nothing, and only rax changes.
    unsafe { std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => answer) };
    match i32::try_from(answer) {
        Ok(refusal) if refusal < 0 => Err(io::Error::from_raw_os_error(-refusal)),
        _ => Ok(answer),
    }
}

/// Maps memory: of a file if there is one, else of nobody's. It is never unmapped: the process ends
/// soon.
pub(super) fn map(
    bytes: usize,
    protection: i32,
    how: i32,
    file: Option<i32>,
) -> io::Result<&'static mut [u8]> {
    let how = if file.is_some() { how } else { how | libc::MAP_ANONYMOUS };
    // SAFETY: a new mapping, at a place that the kernel chooses.
    let at =
        unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, how, file.unwrap_or(-1), 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is so long, nobody else's, and there until the process ends. Whoever
    // asks for memory that may not be read or written does neither.
    Ok(unsafe { std::slice::from_raw_parts_mut(at.cast::<u8>(), bytes) })
}

/// Attaches a shared memory segment of System V; the first byte is read.
pub(super) fn attach(segment: i32) -> io::Result<u8> {
    // SAFETY: the kernel chooses the place, and nothing is written.
    let at = unsafe { libc::shmat(segment, std::ptr::null(), libc::SHM_RDONLY) };
    if at.addr() == usize::MAX {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a segment is not empty, and this process has just attached it.
    Ok(unsafe { at.cast::<u8>().read_volatile() })
}

/// Attaches a segment of its own and writes to all of it.
pub(super) fn fill_segment(bytes: usize) -> io::Result<()> {
    // SAFETY: the call takes integers.
    let segment = unsafe { libc::shmget(libc::IPC_PRIVATE, bytes, 0o600) };
    if segment < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel chooses the place.
    let at = unsafe { libc::shmat(segment, std::ptr::null(), 0) };
    // It goes when this process has gone.
    // SAFETY: this command takes no memory.
    unsafe { libc::shmctl(segment, libc::IPC_RMID, std::ptr::null_mut()) };
    if at.addr() == usize::MAX {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the segment is so long, writable, and this process's own.
    unsafe { std::ptr::write_bytes(at.cast::<u8>(), 1, bytes) };
    Ok(())
}
