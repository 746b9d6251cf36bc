//! What the places are that a server sees, and so what a path in its cell means.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use crate::cell::{Cell, Kind, Mount, What};
use crate::network;
use crate::{Confinement, Root};

/// The places of a cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// The deepest first.
    mounts: Vec<Mount>,
    roots: Vec<PathBuf>,
    /// Addresses inside that stand for somebody outside, whom the guard connects.
    addresses: Vec<Ipv4Addr>,
    /// Whether the guard connects anybody.
    has_doors: bool,
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

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The server's own loopback.
    Own,
    /// An address inside at which the guard is: who is behind it, the guard says.
    Guard,
    Other,
}

impl Places {
    pub(crate) fn new(cell: &Cell, confinement: &Confinement) -> Self {
        let mut mounts = cell.mounts.clone();
        mounts.sort_by_key(|it| std::cmp::Reverse(it.at.components().count()));
        let roots = &confinement.roots;
        let real = |it: &Root| match confinement.found(&it.path) {
            Some(it) => Some(it.real().to_owned()),
            None => it.path.canonicalize().ok(),
        };
        let roots = roots.iter().filter_map(real).collect();
        let addresses = cell.addresses.clone();
        let has_doors = !cell.doors.is_empty();
        Self { mounts, roots, addresses, has_doors, uid: cell.uid, gid: cell.gid }
    }

    /// Whose an address is.
    pub(super) fn whose(&self, address: IpAddr) -> Whose {
        let by_guard = |it: Ipv4Addr| self.has_doors && network::is_made_up(it);
        match address {
            IpAddr::V4(it) if by_guard(it) || self.addresses.contains(&it) => Whose::Guard,
            _ if address.is_loopback() || address.is_unspecified() => Whose::Own,
            IpAddr::V4(_) | IpAddr::V6(_) => Whose::Other,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_address_is_not_the_servers_own() {
        let with = Places {
            addresses: vec![Ipv4Addr::new(10, 0, 0, 5)],
            has_doors: true,
            ..Places::default()
        };
        for (address, with_doors, without) in [
            ("127.0.0.1", Whose::Own, Whose::Own),
            ("::1", Whose::Own, Whose::Own),
            ("0.0.0.0", Whose::Own, Whose::Own),
            ("127.64.0.1", Whose::Guard, Whose::Own),
            ("127.64.1.0", Whose::Own, Whose::Own),
            ("11.64.1.0", Whose::Guard, Whose::Other),
            ("11.128.1.0", Whose::Other, Whose::Other),
            ("10.0.0.5", Whose::Guard, Whose::Other),
            ("192.0.2.1", Whose::Other, Whose::Other),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(with.whose(address), with_doors, "{address}");
            assert_eq!(Places::default().whose(address), without, "{address}");
        }
    }
}
