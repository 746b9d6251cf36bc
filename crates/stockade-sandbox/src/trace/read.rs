//! What a call is about, out of the memory of the process that makes it. All of it is that
//! process's word: it is bounded, and nothing in it is taken for granted.

use std::ffi::OsString;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The kernel takes no longer path.
const PATH_BYTES_MAX: usize = 4096;
/// The longest address there is (`struct sockaddr_storage`).
const ADDRESS_BYTES_MAX: usize = 128;
/// The kernel sends no more messages at once (`UIO_MAXIOV`); nobody sends so many to many.
const MESSAGES_MAX: u64 = 1024;

/// The memory of a process.
#[derive(Debug)]
pub(super) struct Memory(File);

/// Whom something is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Internet(SocketAddr),
    /// A unix socket, by its path.
    Path(PathBuf),
}

impl Memory {
    pub(super) fn of(pid: u32) -> Option<Self> {
        File::open(format!("/proc/{pid}/mem")).ok().map(Self)
    }

    /// A text that ends with a zero byte.
    pub(super) fn path(&self, at: u64) -> Option<PathBuf> {
        let mut bytes = vec![0; PATH_BYTES_MAX];
        // Fewer are read where the memory ends.
        let count = self.0.read_at(&mut bytes, at).ok()?;
        bytes.truncate(count);
        let end = memchr(&bytes)?;
        bytes.truncate(end);
        Some(PathBuf::from(OsString::from_vec(bytes)))
    }

    /// An address; nothing, where it is none that leads to somebody. One of no family is, to what is
    /// sent on its own, of the fourth version.
    pub(super) fn address(&self, at: u64, length: u64, sends: bool) -> Option<Option<Address>> {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(ADDRESS_BYTES_MAX);
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, at).ok()?;
        Some(address(&bytes, sends))
    }

    /// The addresses in a `struct msghdr`, or in the first of so many `struct mmsghdr`.
    pub(super) fn addresses(&self, header: u64, count: Option<u64>) -> Option<Vec<Address>> {
        // `msghdr` is seven words long, and `mmsghdr` has a length behind it.
        const MMSGHDR_BYTES: u64 = 64;
        let mut found = Vec::new();
        for number in 0..count.unwrap_or(1).min(MESSAGES_MAX) {
            let at = header.checked_add(number * MMSGHDR_BYTES)?;
            let (name, length) = (self.word(at)?, self.word(at.checked_add(8)?)? & 0xffff_ffff);
            if name != 0 {
                found.extend(self.address(name, length, true)?);
            }
        }
        Some(found)
    }

    fn word(&self, at: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, at).ok()?;
        Some(u64::from_ne_bytes(bytes))
    }
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|it| *it == 0)
}

/// Reads a `struct sockaddr`.
fn address(bytes: &[u8], sends: bool) -> Option<Address> {
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    let family = i32::from(u16::from_ne_bytes(*family));
    match if sends && family == libc::AF_UNSPEC { libc::AF_INET } else { family } {
        libc::AF_INET => {
            let (port, rest) = rest.split_first_chunk::<2>()?;
            let (ip, _) = rest.split_first_chunk::<4>()?;
            let address = SocketAddr::new(Ipv4Addr::from(*ip).into(), u16::from_be_bytes(*port));
            Some(Address::Internet(address))
        }
        libc::AF_INET6 => {
            let (port, rest) = rest.split_first_chunk::<2>()?;
            let (_flow, rest) = rest.split_first_chunk::<4>()?;
            let (ip, _) = rest.split_first_chunk::<16>()?;
            let ip = IpAddr::V6(Ipv6Addr::from(*ip)).to_canonical();
            Some(Address::Internet(SocketAddr::new(ip, u16::from_be_bytes(*port))))
        }
        libc::AF_UNIX => {
            // An abstract one begins with a zero byte, and is shown with `@` as elsewhere.
            let name: Vec<u8> = match rest.split_first() {
                Some((0, name)) => [b"@", name].concat(),
                _ => rest.iter().copied().take_while(|it| *it != 0).collect(),
            };
            let path = Path::new(&OsString::from_vec(name)).to_owned();
            (!path.as_os_str().is_empty()).then_some(Address::Path(path))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockaddr(family: i32, rest: &[u8]) -> Option<Address> {
        let family = u16::try_from(family).unwrap().to_ne_bytes();
        address(&[&family, rest].concat(), false)
    }

    #[test]
    fn addresses_are_read_and_half_ones_are_none() {
        let v4 = [0, 80, 192, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0];
        let expected = Address::Internet("192.0.2.7:80".parse().unwrap());
        assert_eq!(sockaddr(libc::AF_INET, &v4), Some(expected.clone()));
        let mapped = [&[0, 80, 0, 0, 0, 0][..], &[0; 10], &[255, 255, 192, 0, 2, 7]].concat();
        assert_eq!(sockaddr(libc::AF_INET6, &mapped), Some(expected));
        let path = sockaddr(libc::AF_UNIX, b"/run/x\0junk");
        assert_eq!(path, Some(Address::Path("/run/x".into())));
        assert_eq!(sockaddr(libc::AF_UNIX, b"\0abc"), Some(Address::Path("@abc".into())));
        for (family, rest) in
            [(libc::AF_INET, &v4[..5]), (libc::AF_INET6, &mapped[..20]), (libc::AF_UNSPEC, &v4)]
        {
            assert_eq!(sockaddr(family, rest), None);
        }
        assert_eq!(address(&[2], false), None);
        let none = address(&[&[0, 0], &v4[..]].concat(), true);
        assert_eq!(none, sockaddr(libc::AF_INET, &v4), "it is sent there");
        assert_eq!(sockaddr(libc::AF_UNIX, b""), None, "a socket without a name");
    }

    #[test]
    fn memory_is_read_as_far_as_it_goes() {
        let memory = Memory::of(std::process::id()).unwrap();
        let text = c"/some/path";
        let path = memory.path(text.as_ptr() as u64);
        assert_eq!(path.as_deref(), Some(Path::new("/some/path")));
        assert_eq!(memory.path(0), None);
        assert_eq!(memory.address(8, 16, false), None);
    }
}
