//! What the places are that a server sees, and so what a path in its cell means.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use crate::Confinement;
use crate::cell::{Cell, Kind, Mount, What};

/// The places of a cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// The deepest first.
    mounts: Vec<Mount>,
    roots: Vec<PathBuf>,
    /// Addresses of its own loopback, besides those that always are.
    addresses: Vec<Ipv4Addr>,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// In a root, which may be written there or not.
    Root { root: &'a Path, writes: bool },
    /// Programs and what they are made of.
    Programs(&'a Path),
    /// Empty space of its own.
    Scratch(&'a Path),
    /// Its own processes, and devices that are nobody's.
    Nobody,
    /// Nothing is shown there.
    Hidden,
}

impl Places {
    pub(crate) fn new(cell: &Cell, confinement: &Confinement) -> Self {
        let mut mounts = cell.mounts.clone();
        mounts.sort_by_key(|it| std::cmp::Reverse(it.at.components().count()));
        let roots = &confinement.roots;
        let roots = roots.iter().filter_map(|it| it.path.canonicalize().ok()).collect();
        let addresses = cell.addresses.clone();
        Self { mounts, roots, addresses, uid: cell.uid, gid: cell.gid }
    }

    /// Whether an address is the server's own. Whoever is behind it, if it is one that the guard
    /// connects, is said by the guard.
    pub(super) fn is_own(&self, address: IpAddr) -> bool {
        let added = self.addresses.iter().any(|it| address == *it);
        added || address.is_loopback() || address.is_unspecified()
    }

    /// What is at `path`, in which no link is left.
    pub(super) fn at(&self, path: &Path) -> Place<'_> {
        let Some(mount) = self.mounts.iter().find(|it| path.starts_with(&it.at)) else {
            return Place::Hidden;
        };
        let root = self.roots.iter().filter(|it| path.starts_with(it));
        let root = root.max_by_key(|it| it.components().count());
        match (&mount.what, root) {
            (What::Bind { kind: Kind::Device, .. } | What::Proc, _) => Place::Nobody,
            (What::Scratch { .. }, _) => Place::Scratch(&mount.at),
            (What::Bind { kind, .. }, Some(root)) => {
                Place::Root { root, writes: *kind == Kind::Write }
            }
            (What::Bind { .. }, None) => Place::Programs(&mount.at),
        }
    }
}
