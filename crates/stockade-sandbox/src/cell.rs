//! What is carried out for one server, as plain data: who it is, what it sees and what it may use.
//! It is made by the guard ([`plan`](crate::plan())), shown to whoever asks, and sent to the
//! keeper, so that what is shown is what is done.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::codec::{Reader, Writer};
use crate::held::{Known, Which};

/// Where a group says how many processes may be in it, in both versions.
pub(crate) const PIDS_MAX: &str = "pids.max";

/// A server's confinement, worked out for this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Who the server is, inside and outside. Never root.
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether keeper and guard are root, and only the server is not.
    pub(crate) drops: bool,
    /// Whether the server gets namespaces of its own. Without them the places are where they are
    /// on the machine, and Landlock alone says which of them it may use.
    pub(crate) namespaces: bool,
    /// Parents before what is mounted in them.
    pub(crate) mounts: Vec<Mount>,
    /// Which of the places the roots and programs are that somebody named: nothing else is mounted.
    pub(crate) known: Vec<Known>,
    /// Files that are written for the server, below `/etc`.
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
    /// Symbolic links: where, and to what. One whose place is taken is left out.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    pub(crate) cwd: PathBuf,
    pub(crate) pids: u32,
    pub(crate) open_files: u32,
    pub(crate) file_bytes: u64,
    pub(crate) time: Option<Duration>,
    /// Whether the second wall around files stands: without it, only the mounts do.
    pub(crate) landlock: bool,
    /// Whether all that is not mounted is an image's, whose programs may be executed.
    pub(crate) image: bool,
    pub(crate) groups: Vec<Group>,
    /// What is listened on inside, for the guard outside.
    pub(crate) doors: Vec<Door>,
    /// What is an address of the loopback interface besides `127.0.0.0/8`.
    pub(crate) addresses: Vec<Ipv4Addr>,
    /// Whether the kernel tells the guard what the server touches.
    pub(crate) trace: bool,
}

/// A socket inside whose owner is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) kind: Way,
    pub(crate) at: SocketAddrV4,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// UDP.
    Datagrams,
    /// TCP.
    Connections,
}

/// One thing that is mounted for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) at: PathBuf,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// A place of the machine.
    Bind { from: PathBuf, kind: Kind, owner: Option<Owner> },
    /// An empty directory in memory.
    Scratch { bytes: u64, mode: u32 },
    /// The processes of this server.
    Proc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Device,
}

/// Whose files are to look, and be, as if they were the server's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A control group that is made below a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) below: PathBuf,
    pub(crate) settings: Vec<Setting>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) file: String,
    pub(crate) value: String,
    /// Not every machine has it, and the limit holds without it.
    pub(crate) optional: bool,
}

impl Cell {
    /// Whether what was found at a path is what the plan has found there.
    pub(crate) fn knows(&self, path: &Path, found: Which) -> bool {
        self.known.iter().filter(|it| it.path == path).all(|it| it.which == found)
    }

    /// Whether a control group counts the processes.
    pub(crate) fn counts_processes(&self) -> bool {
        self.groups.iter().flat_map(|it| &it.settings).any(|it| it.file == PIDS_MAX)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        for number in [self.uid, self.gid, self.drops.into(), self.pids, self.open_files] {
            out.number(number.into());
        }
        out.number(self.file_bytes);
        out.number(self.landlock.into());
        out.number(self.namespaces.into());
        out.number(self.image.into());
        out.number(self.trace.into());
        out.path(&self.cwd);
        out.count(self.time.iter().len());
        if let Some(time) = self.time {
            out.number(time.as_secs());
        }
        out.count(self.mounts.len());
        for mount in &self.mounts {
            mount.encode(&mut out);
        }
        out.count(self.known.len());
        for Known { path, which } in &self.known {
            out.path(path);
            out.number(which.device);
            out.number(which.inode);
            out.number(which.is_directory.into());
        }
        out.count(self.files.len());
        for (path, bytes) in &self.files {
            out.path(path);
            out.bytes(bytes);
        }
        out.count(self.links.len());
        for (at, to) in &self.links {
            out.path(at);
            out.path(to);
        }
        out.count(self.groups.len());
        for Group { below, settings } in &self.groups {
            out.path(below);
            out.count(settings.len());
            for Setting { file, value, optional } in settings {
                out.bytes(file.as_bytes());
                out.bytes(value.as_bytes());
                out.number((*optional).into());
            }
        }
        out.count(self.doors.len());
        for Door { kind, at } in &self.doors {
            out.number(u64::from(*kind == Way::Datagrams));
            out.number(at.ip().to_bits().into());
            out.number(at.port().into());
        }
        out.count(self.addresses.len());
        for address in &self.addresses {
            out.number(address.to_bits().into());
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let from = &mut Reader(bytes);
        let cell = Self {
            uid: from.small()?,
            gid: from.small()?,
            drops: from.flag()?,
            pids: from.small()?,
            open_files: from.small()?,
            file_bytes: from.number()?,
            landlock: from.flag()?,
            namespaces: from.flag()?,
            image: from.flag()?,
            trace: from.flag()?,
            cwd: from.path()?,
            time: from.many(Reader::number)?.pop().map(Duration::from_secs),
            mounts: from.many(Mount::decode)?,
            known: from.many(known)?,
            files: from.many(|it| Some((it.path()?, it.bytes()?)))?,
            links: from.many(|it| Some((it.path()?, it.path()?)))?,
            groups: from.many(|it| {
                Some(Group { below: it.path()?, settings: it.many(Setting::decode)? })
            })?,
            doors: from.many(Door::decode)?,
            addresses: from.many(address)?,
        };
        from.is_empty().then_some(cell)
    }
}

impl Door {
    fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let kind = if from.flag()? { Way::Datagrams } else { Way::Connections };
        let address = address(from)?;
        let port = from.number()?.try_into().ok()?;
        Some(Self { kind, at: SocketAddrV4::new(address, port) })
    }
}

fn known(from: &mut Reader<'_>) -> Option<Known> {
    let path = from.path()?;
    let (device, inode) = (from.number()?, from.number()?);
    Some(Known { path, which: Which { device, inode, is_directory: from.flag()? } })
}

fn address(from: &mut Reader<'_>) -> Option<Ipv4Addr> {
    from.small().map(Ipv4Addr::from_bits)
}

impl Mount {
    fn encode(&self, out: &mut Writer) {
        out.path(&self.at);
        match &self.what {
            What::Bind { from, kind, owner } => {
                out.number(match kind {
                    Kind::Read => 0,
                    Kind::Write => 1,
                    Kind::Device => 2,
                });
                out.path(from);
                out.count(owner.iter().len());
                if let Some(owner) = owner {
                    out.number(owner.uid.into());
                    out.number(owner.gid.into());
                }
            }
            What::Scratch { bytes, mode } => {
                out.number(3);
                out.number(*bytes);
                out.number((*mode).into());
            }
            What::Proc => out.number(4),
        }
    }

    fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let at = from.path()?;
        let bind = |kind, from: &mut Reader<'_>| {
            let place = from.path()?;
            let owner = |it: &mut Reader<'_>| Some(Owner { uid: it.small()?, gid: it.small()? });
            Some(What::Bind { from: place, kind, owner: from.many(owner)?.pop() })
        };
        let what = match from.number()? {
            0 => bind(Kind::Read, from)?,
            1 => bind(Kind::Write, from)?,
            2 => bind(Kind::Device, from)?,
            3 => What::Scratch { bytes: from.number()?, mode: from.small()? },
            4 => What::Proc,
            _ => return None,
        };
        Some(Self { at, what })
    }
}

impl Setting {
    pub(crate) fn new(file: &str, value: impl ToString) -> Self {
        Self { file: file.to_owned(), value: value.to_string(), optional: false }
    }

    pub(crate) fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let text = |it: &mut Reader<'_>| String::from_utf8(it.bytes()?).ok();
        Some(Self { file: text(from)?, value: text(from)?, optional: from.flag()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> Cell {
        let bind = |kind, owner| What::Bind { from: "/a".into(), kind, owner };
        let whats = [
            bind(Kind::Read, None),
            bind(Kind::Write, Some(Owner { uid: 0, gid: 7 })),
            bind(Kind::Device, None),
            What::Scratch { bytes: 1 << 40, mode: 0o1777 },
            What::Proc,
        ];
        Cell {
            uid: 1000,
            gid: 65534,
            drops: true,
            mounts: whats.map(|what| Mount { at: "/b".into(), what }).into(),
            known: vec![Known {
                path: "/a".into(),
                which: Which { device: 1, inode: u64::MAX, is_directory: true },
            }],
            files: vec![("/etc/passwd".into(), b"root\n".to_vec())],
            links: vec![("/bin".into(), "usr/bin".into())],
            cwd: "/a".into(),
            pids: 9,
            open_files: 64,
            file_bytes: u64::MAX,
            time: Some(Duration::from_secs(3)),
            landlock: true,
            namespaces: true,
            image: true,
            trace: true,
            groups: vec![Group {
                below: "/sys/fs/cgroup".into(),
                settings: vec![Setting::new("pids.max", 9), Setting::new("x", "y").optional()],
            }],
            doors: vec![
                Door { kind: Way::Datagrams, at: "127.64.0.1:53".parse().unwrap() },
                Door { kind: Way::Connections, at: "0.0.0.0:443".parse().unwrap() },
            ],
            addresses: vec![Ipv4Addr::new(10, 0, 0, 5)],
        }
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_refused() {
        let bytes = cell().encode();
        for end in 0..bytes.len() {
            assert_eq!(Cell::decode(&bytes[..end]), None, "cut at {end}");
        }
        assert_eq!(Cell::decode(&[bytes.as_slice(), b"x"].concat()), None);
        assert_eq!(Cell::decode(&[0xff; 256]), None);
    }

    #[test]
    fn what_was_encoded_comes_back() {
        for cell in [cell(), Cell { time: None, ..Cell::default() }] {
            assert_eq!(Cell::decode(&cell.encode()), Some(cell));
        }
    }
}
