//! Who is on the other side of the socket: whose process it is, and that it is no server's.
//!
//! A server in the sandbox cannot reach the socket. One that nothing holds is a process of the same
//! user, and file modes are no wall against it. What tells it apart is where it comes from: every
//! process of a server is below a process of Stockade, also one that has left its parent, since the
//! warden takes those in. So nobody below a Stockade process asks or answers, and no service is there.
//!
//! A process of Stockade is known by the [`MARK`] that it gives itself first of all, and that nobody
//! else can take from it: whichever file it was started from, a copy or one that an upgrade has replaced
//! since.

use tokio::net::UnixStream;

/// Whose it is, for the record.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) uid: u32,
    pub(crate) pid: Option<i32>,
}

/// Who is on the other side, if it is a process of this user.
pub(super) fn of(stream: &UnixStream) -> Result<Peer, String> {
    let cred = stream.peer_cred().map_err(|it| format!("nobody knows whose it is: {it}"))?;
    let own = rustix::process::geteuid().as_raw();
    if cred.uid() != own {
        return Err(format!("it is a process of uid {}", cred.uid()));
    }
    Ok(Peer { uid: cred.uid(), pid: cred.pid() })
}

/// That it is a process of this user, and none of a server.
pub(super) fn is_no_server(stream: &UnixStream) -> Result<Peer, String> {
    let peer = of(stream)?;
    comes_from_no_server(&peer)?;
    Ok(peer)
}

/// That it is a process of Stockade, such as guards are, and none of a server.
pub(super) fn is_guard(stream: &UnixStream) -> Result<(), String> {
    is_no_server(stream).and_then(|it| is_of_stockade(&it))
}

/// What every process of Stockade calls itself: the name of its first thread, which only it can change
/// (proc_pid_comm(5)), and which the kernel has beside the number of its parent.
#[cfg(target_os = "linux")]
const MARK: &std::ffi::CStr = c"stockade-guard";

/// Takes the name by which this process is known.
pub fn mark() {
    #[cfg(target_os = "linux")]
    // It fails for no name of this length.
    let _named = rustix::thread::set_name(MARK);
}

#[cfg(target_os = "linux")]
fn comes_from_no_server(peer: &Peer) -> Result<(), String> {
    let Some(first) = peer.pid.filter(|it| *it > 0) else {
        return Err("it is in another namespace of processes".to_owned());
    };
    is_below_none(Process::of(first).ok_or("it is gone")?.parent)
}

#[cfg(target_os = "linux")]
fn is_of_stockade(peer: &Peer) -> Result<(), String> {
    let process = peer.pid.and_then(Process::of).ok_or("it is gone")?;
    if process.is_stockade() { Ok(()) } else { Err("it is no guard".to_owned()) }
}

/// That this process is none of Stockade's, nor below one. 0 is the parent of the first process of all.
#[cfg(target_os = "linux")]
pub(crate) fn is_below_none(mut pid: i32) -> Result<(), String> {
    while pid > 0 {
        let process = Process::of(pid).ok_or("where it comes from cannot be read")?;
        if process.is_stockade() {
            return Err(format!("it comes from a process of Stockade ({pid}), as servers do"));
        }
        pid = process.parent;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn comes_from_no_server(_peer: &Peer) -> Result<(), String> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn is_of_stockade(_peer: &Peer) -> Result<(), String> {
    Ok(())
}

/// A process, as the kernel tells everybody of it.
#[cfg(target_os = "linux")]
struct Process {
    pid: i32,
    name: String,
    parent: i32,
}

#[cfg(target_os = "linux")]
impl Process {
    /// The second and the fourth field of `stat` (proc_pid_stat(5)); the second may have anything in it
    /// but ends with the last bracket.
    fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        let (before, after) = stat.rsplit_once(')')?;
        let name = before.split_once('(')?.1.to_owned();
        let parent = after.split_whitespace().nth(1)?.parse().ok()?;
        Some(Self { pid, name, parent })
    }

    /// By its mark; or, of one that was built before there was one, by the file that it was started
    /// from, or by what that is called.
    fn is_stockade(&self) -> bool {
        use std::ffi::OsString;
        use std::fs::{metadata, read_link};
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::MetadataExt;

        let file = |path: &str| metadata(path).ok().map(|it| (it.dev(), it.ino()));
        let called = |path: &str| -> Option<OsString> {
            let name = read_link(path).ok()?.file_name()?.to_owned();
            // So the kernel writes one that is not there any more.
            let name = name.as_bytes();
            let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
            Some(std::ffi::OsStr::from_bytes(name).to_owned())
        };
        // What cannot be looked at is another user's, and that is no guard of this one without a mark.
        let (own, its) = ("/proc/self/exe", format!("/proc/{}/exe", self.pid));
        let is_one = |a: Option<(u64, u64)>, b| a.is_some() && a == b;
        self.name.as_bytes() == MARK.to_bytes()
            || is_one(file(own), file(&its))
            || called(own).is_some_and(|it| called(&its) == Some(it))
    }
}
