//! Who is on the other side of the socket: whose process it is, and that it is no server's.
//!
//! A server in the sandbox cannot reach the socket. One that nothing holds is a process of the same
//! user, and file modes are no wall against it. What tells it apart is where it comes from: every
//! process of a server is below a process of Stockade, also one that has left its parent, since the
//! warden takes those in. So nobody below a Stockade process answers, and no service is there.

use tokio::net::UnixStream;

/// Whose it is, for the record.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) pid: Option<i32>,
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

#[cfg(target_os = "linux")]
fn comes_from_no_server(peer: &Peer) -> Result<(), String> {
    let Some(first) = peer.pid.filter(|it| *it > 0) else {
        return Err("it is in another namespace of processes".to_owned());
    };
    is_below_none(parent(first).ok_or("it is gone")?)
}

/// That this process is none of Stockade's, nor below one. 0 is the parent of the first process of all.
#[cfg(target_os = "linux")]
pub(super) fn is_below_none(mut pid: i32) -> Result<(), String> {
    use std::fs::metadata;
    use std::os::unix::fs::MetadataExt;

    let file = |path: &str| metadata(path).ok().map(|it| (it.dev(), it.ino()));
    let own = file("/proc/self/exe").ok_or("this program cannot be found")?;
    while pid > 0 {
        // What cannot be looked at is another user's, and that is no guard of this one.
        if file(&format!("/proc/{pid}/exe")) == Some(own) {
            return Err(format!("it comes from a process of Stockade ({pid}), as servers do"));
        }
        pid = parent(pid).ok_or("where it comes from changes")?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn comes_from_no_server(_peer: &Peer) -> Result<(), String> {
    Ok(())
}

/// The fourth field of `stat` (proc_pid_stat(5)); the second may have anything in it but ends with
/// the last bracket.
#[cfg(target_os = "linux")]
fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
