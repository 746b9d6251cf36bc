//! Container engines: a server in a container of Podman or Docker, instead of in a cell that we
//! build ourselves. What the server sees and may use is the same [`Cell`]; the engine makes the
//! namespaces, the control groups and its own seccomp filter, and this binary, as the first process
//! of the container ([`inside`](crate::inside)), puts up the walls that engines do not have.
//!
//! Nothing that is said in an image changes any of it: not its labels, variables, user, volumes,
//! entry point, health check or ports. And nothing is fetched: an image is named by its digest and
//! is there, or nothing is started.

mod ask;
mod command;
mod ids;
mod image;
mod look;
mod witness;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::codec::{Reader, Writer};

pub use image::{Image, NotPinned};
pub use look::{Seen, look};

pub(crate) use command::{
    Client, SHOP, STAGED_ROOT, find, group, is_ours_to_mount, links_are_places, ours, unusable,
};
pub(crate) use ids::{Ids, NoIds};
pub(crate) use image::{last_line, prepare};
pub(crate) use witness::{first_below, first_of, is_held};

/// Where this binary is, and what it is loaded with, in every container.
pub(crate) const OURS: &str = "/.stockade";

/// Where glibc's loader reads what it loads into every program.
pub(crate) const PRELOAD: &str = "/etc/ld.so.preload";

/// A program that runs containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineProgram {
    /// Podman, which has no daemon.
    Podman,
    /// Docker, whose daemon must run on this machine.
    Docker,
}

impl EngineProgram {
    /// Its name, which is that of its command.
    pub fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }
}

impl fmt::Display for EngineProgram {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Which engine holds a server, and in what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// The engine.
    pub program: EngineProgram,
    /// The image that the server's files are from. Without one, it is this machine's programs that
    /// are shown to the server, as without an engine.
    pub image: Option<Image>,
}

/// What the keeper is told of a container beside the command that starts it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ship {
    /// The name of the container, and of its control groups.
    pub(crate) name: String,
    /// Whether the engine runs in namespaces of ours, with a store of its own that is gone with
    /// them. It needs no daemon then.
    pub(crate) staged: bool,
    /// Who the engine is there, where it is not root of the machine.
    pub(crate) ids: Option<Ids>,
    /// Files that the engine is told to read instead of the machine's.
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
    /// What removes the container, where that is not done by ending its namespaces.
    pub(crate) remove: Vec<OsString>,
    /// The environment of that.
    pub(crate) env: Vec<(OsString, OsString)>,
}

impl Ship {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(self.name.as_bytes());
        out.number(self.staged.into());
        out.count(self.ids.iter().len());
        if let Some(Ids { uid, gid, given_uid, given_gid }) = self.ids {
            for id in [uid, gid, given_uid, given_gid] {
                out.number(id.into());
            }
        }
        out.count(self.files.len());
        for (path, bytes) in &self.files {
            out.path(path);
            out.bytes(bytes);
        }
        out.count(self.remove.len());
        for word in &self.remove {
            out.bytes(word.as_encoded_bytes());
        }
        out.count(self.env.len());
        for (name, value) in &self.env {
            out.bytes(name.as_encoded_bytes());
            out.bytes(value.as_encoded_bytes());
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let from = &mut Reader(bytes);
        let ship = Self {
            name: String::from_utf8(from.bytes()?).ok()?,
            staged: from.flag()?,
            ids: from.many(Ids::decode)?.pop(),
            files: from.many(|it| Some((it.path()?, it.bytes()?)))?,
            remove: from.many(Reader::text)?,
            env: from.many(|it| Some((it.text()?, it.text()?)))?,
        };
        from.is_empty().then_some(ship)
    }
}

impl Ids {
    fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let (uid, gid) = (from.small()?, from.small()?);
        Some(Self { uid, gid, given_uid: from.small()?, given_gid: from.small()? })
    }
}

impl FromStr for EngineProgram {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Podman, Self::Docker].into_iter().find(|it| it.name() == name).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_comes_back() {
        let ship = Ship {
            name: "stockade-1-2-3".into(),
            staged: true,
            ids: Some(Ids { uid: 1000, gid: 1001, given_uid: 100_000, given_gid: 200_000 }),
            files: vec![("/tmp/containers.conf".into(), b"x".to_vec())],
            remove: vec!["docker".into(), "rm".into()],
            env: vec![("HOME".into(), "/root".into())],
        };
        let bytes = ship.encode();
        assert_eq!(Ship::decode(&bytes), Some(ship));
        for end in 0..bytes.len() {
            assert_eq!(Ship::decode(&bytes[..end]), None, "cut at {end}");
        }
    }
}
