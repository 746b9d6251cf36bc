//! The second wall around files: Landlock says of every place what may be done there, also where a
//! mount would permit more. It also keeps signals and abstract sockets within the sandbox. All of
//! it is a hard requirement: a kernel that knows less refuses.

use std::fs;
use std::io;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};
use rustix::fs::{Mode, OFlags, open};

use crate::cell::{Cell, Kind, Mount, What};
use crate::mounts;

/// What is required; see `LANDLOCK_MIN` in `plan.rs`.
const VERSION: ABI = ABI::V6;

/// From here on, for this process and all that it starts. The cell must be the root already, unless
/// there are no namespaces.
pub(crate) fn apply(cell: &Cell) -> io::Result<()> {
    let mut rules = nothing(Scope::from_all(VERSION))?;
    let look = AccessFs::ReadFile | AccessFs::ReadDir;
    // Where the root of the machine is the server's too, it may look at itself only.
    let seen = if cell.namespaces { "/" } else { "/proc/self" };
    let seen = PathFd::new(seen).map_err(io::Error::other)?;
    rules = rules.add_rule(PathBeneath::new(seen, look)).map_err(io::Error::other)?;
    for Mount { at, what } in &cell.mounts {
        let Some(rights) = rights(what) else { continue };
        let (at, rights) = match what {
            What::Bind { from, .. } if !cell.namespaces => (from, rights | look),
            What::Bind { .. } | What::Scratch { .. } | What::Proc => (at, rights),
        };
        // Without namespaces nothing has taken hold of the places yet.
        let place = match cell.namespaces {
            true => open(at, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?,
            false => mounts::look_up_known(cell, at)?,
        };
        let of_files = AccessFs::from_file(VERSION);
        let rights = if at.is_dir() { rights } else { rights & of_files };
        rules = rules.add_rule(PathBeneath::new(place, rights)).map_err(io::Error::other)?;
    }
    if cell.image {
        // Each place by itself, since what is said of a directory holds in all below it: nothing is
        // executed from where something may be written.
        for at in fs::read_dir("/")?.flatten().map(|it| it.path()) {
            if cell.mounts.iter().any(|it| it.at.starts_with(&at)) || at.is_symlink() {
                continue;
            }
            let place = PathFd::new(&at).map_err(io::Error::other)?;
            let run = PathBeneath::new(place, AccessFs::Execute);
            rules = rules.add_rule(run).map_err(io::Error::other)?;
        }
    }
    rules.restrict_self().map(|_| ()).map_err(io::Error::other)
}

/// The same for a warden, which needs no file any more. It signals its server, which is behind a wall
/// of its own.
pub(crate) fn apply_to_warden() -> io::Result<()> {
    let nothing = nothing(Scope::from_all(VERSION) & !Scope::Signal)?;
    nothing.restrict_self().map(|_| ()).map_err(io::Error::other)
}

/// Nothing may be done anywhere, but for what is said after it.
fn nothing(scope: BitFlags<Scope>) -> io::Result<RulesetCreated> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(VERSION))
        .and_then(|it| it.scope(scope))
        .and_then(Ruleset::create)
        .map_err(io::Error::other)
}

/// One wall more, between the server and the first process of a container that it is forked from:
/// signals go no way up, so that the server cannot disturb what holds it. (A warden and its server
/// have each their own.)
pub(crate) fn apart() -> io::Result<()> {
    // Files would no longer move between directories, unless every wall says that they may.
    let moves = AccessFs::Refer;
    let everywhere = PathFd::new("/").map_err(io::Error::other)?;
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(moves)
        .and_then(|it| it.scope(Scope::Signal))
        .and_then(Ruleset::create)
        .and_then(|it| it.add_rule(PathBeneath::new(everywhere, moves)))
        .and_then(RulesetCreated::restrict_self)
        .map(|_| ())
        .map_err(io::Error::other)
}

/// What may be done in a place beyond looking at it.
fn rights(what: &What) -> Option<BitFlags<AccessFs>> {
    // Nobody makes devices or sockets; and what can be written cannot be executed.
    let write = AccessFs::from_all(VERSION)
        & !(AccessFs::Execute
            | AccessFs::MakeChar
            | AccessFs::MakeBlock
            | AccessFs::MakeSock
            | AccessFs::IoctlDev);
    match what {
        What::Bind { kind: Kind::Read, .. } => Some(AccessFs::Execute.into()),
        What::Bind { kind: Kind::Write, .. } | What::Scratch { .. } => Some(write),
        What::Bind { kind: Kind::Device, .. } => {
            Some(AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate)
        }
        What::Proc => None,
    }
}
