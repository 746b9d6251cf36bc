//! How many files the guard may have open: as many as it may at all, since each session and each
//! connection of a server is some of them. What it starts has as many as the guard had before, or
//! what its sandbox says: a program that was made for 1024 may fail with more.

use std::io;
use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// More is of no use, and some programs go through all there could be.
const MOST: u64 = 1 << 20;

static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Lets this process have as many files open as it may. Whatever it launches is given what was in
/// force before.
pub fn raise_descriptors() {
    let before = getrlimit(Resource::Nofile);
    let may = before.maximum.map_or(MOST, |it| it.min(MOST));
    if before.current.is_some_and(|it| it < may) && BEFORE.set(before).is_ok() {
        // Where it fails, there are as many as before.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(may), ..before });
    }
}

/// Gives a keeper, and so whatever it starts without a sandbox, what this process had before.
pub(crate) fn give_back(keeper: Pid) -> io::Result<()> {
    let Some(before) = BEFORE.get() else { return Ok(()) };
    prlimit(Some(keeper), Resource::Nofile, *before)?;
    Ok(())
}
