//! Who is on the other side of a connection over loopback, which does not say so itself.
//!
//! The kernel lists every socket with its user (proc_pid_net(5)), and every process its descriptors:
//! the socket at the other end is looked up there, and whoever has it is judged as whoever connects
//! to the service's own socket is (see `peer`). What is not found, or cannot be looked at, is turned
//! away: a browser in a container, for example, or another user's.

use std::net::SocketAddr;

use crate::approvals::peer::Peer;

/// Who has made the connection that came to `here` from `from`, if it is a process of this user and
/// none of a server.
#[cfg(target_os = "linux")]
pub(super) fn of(here: SocketAddr, from: SocketAddr) -> Result<Peer, String> {
    use std::fs::metadata;
    use std::os::unix::fs::MetadataExt;

    use crate::approvals::peer::is_below_none;

    let (uid, inode) = linux::socket(here, from).ok_or("nobody knows whose it is")?;
    let own = rustix::process::geteuid().as_raw();
    if uid != own {
        return Err(format!("it is a process of uid {uid}"));
    }
    let mut found = None;
    // More than one may have it: it is handed on to children.
    for pid in linux::holders(inode) {
        let uid = metadata(format!("/proc/{pid}")).map_err(|_| "it is gone")?.uid();
        if uid != own {
            return Err(format!("it is a process of uid {uid}"));
        }
        is_below_none(pid)?;
        found = Some(Peer { uid, pid: Some(pid) });
    }
    found.ok_or_else(|| "no process of this user that can be looked at has it".to_owned())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn of(_here: SocketAddr, _from: SocketAddr) -> Result<Peer, String> {
    Err("nobody knows whose it is on this system".to_owned())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{read_dir, read_link, read_to_string};
    use std::net::{IpAddr, Ipv6Addr, SocketAddr};
    use std::path::Path;

    /// A connection that is made, among the states of a socket (`include/net/tcp_states.h`).
    const ESTABLISHED: &str = "01";

    /// The user and the number of the socket at the other end.
    pub(super) fn socket(here: SocketAddr, from: SocketAddr) -> Option<(u32, u64)> {
        // A socket of the other family may have made it.
        ["/proc/self/net/tcp", "/proc/self/net/tcp6"].into_iter().find_map(|list| {
            let wide = list.ends_with('6');
            let (local, remote) = (written(from, wide)?, written(here, wide)?);
            let list = read_to_string(list).ok()?;
            list.lines().find_map(|line| {
                // Number, local, remote, state, queues, timer, retransmissions, user, timeout, inode.
                let mut fields = line.split_whitespace().skip(1);
                let is = fields.next()? == local
                    && fields.next()? == remote
                    && fields.next()? == ESTABLISHED;
                let uid = fields.nth(3).filter(|_| is)?.parse().ok()?;
                Some((uid, fields.nth(1)?.parse().ok()?))
            })
        })
    }

    /// An address as the kernel writes it: words of 32 bits in the order of this machine.
    fn written(address: SocketAddr, wide: bool) -> Option<String> {
        let bytes = match (address.ip(), wide) {
            (IpAddr::V4(it), false) => it.octets().to_vec(),
            (IpAddr::V4(it), true) => it.to_ipv6_mapped().octets().to_vec(),
            (IpAddr::V6(it), true) => Ipv6Addr::octets(&it).to_vec(),
            (IpAddr::V6(_), false) => return None,
        };
        let words = bytes.as_chunks::<4>().0.iter();
        let host: String = words.map(|it| format!("{:08X}", u32::from_ne_bytes(*it))).collect();
        Some(format!("{host}:{:04X}", address.port()))
    }

    /// Which processes have this socket, of those that can be looked at.
    pub(super) fn holders(inode: u64) -> Vec<i32> {
        let name = format!("socket:[{inode}]");
        let entries = |path: &Path| read_dir(path).into_iter().flatten().flatten();
        let has = |fds: &Path| {
            entries(fds).any(|it| read_link(it.path()).is_ok_and(|it| it.as_os_str() == &*name))
        };
        entries(Path::new("/proc"))
            .filter_map(|it| it.file_name().to_str()?.parse().ok())
            .filter(|pid| has(Path::new(&format!("/proc/{pid}/fd"))))
            .collect()
    }

    #[cfg(test)]
    mod tests {
        use std::net::{TcpListener, TcpStream};

        use super::*;

        #[test]
        fn the_other_end_of_a_connection_is_found() {
            for at in ["127.0.0.1:0", "[::1]:0"] {
                // Not every machine has the second.
                let Ok(listener) = TcpListener::bind(at) else { continue };
                let here = listener.local_addr().unwrap();
                let client = TcpStream::connect(here).unwrap();
                let (_server, from) = listener.accept().unwrap();
                let (uid, inode) = socket(here, from).unwrap();
                assert_eq!(uid, rustix::process::geteuid().as_raw());
                let own = i32::try_from(std::process::id()).unwrap();
                assert!(holders(inode).contains(&own), "{at}");
                drop(client);
                assert_eq!(socket(here, from), None, "{at}: it is closed");
            }
        }

        #[test]
        fn one_of_the_other_family_is_found() {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let here = listener.local_addr().unwrap();
            let mapped = format!("[::ffff:127.0.0.1]:{}", here.port());
            let _client = TcpStream::connect(mapped).unwrap();
            let (_server, from) = listener.accept().unwrap();
            assert!(socket(here, from).is_some());
        }
    }
}
