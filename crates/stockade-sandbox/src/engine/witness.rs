//! Looks at the first process of a container from outside, before anything of the server runs: an
//! image may have had its own code loaded into it, which says whatever it likes.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, StatVfsMountFlags, fstat, fstatvfs, open};
use rustix::io::Errno;
use rustix::process::Pid;

use super::ask::{ANSWER_MAX, ask};
use super::command::{client_env, ours};
use super::{EngineProgram, OURS, PRELOAD};
use crate::cell::Cell;
use crate::held::{Known, Which};
use crate::mounts::step_into;
use crate::seccomp::Filters;
use crate::sweep::descendants;

/// How often a daemon is asked for a process that it does not know yet.
const LOOKS: Duration = Duration::from_millis(20);

/// Why it is not held as it says.
#[derive(Debug, thiserror::Error)]
enum NotHeld {
    #[error("the first process of the container is not seen from outside")]
    NotSeen,
    #[error("the first process of the container is not Stockade's, whatever it says")]
    NotOurs,
    #[error("the image has something of its own where Stockade's program is, or a link there")]
    NotAlone,
    #[error("the image has `{PRELOAD}`, or a link there, which could not be covered")]
    Preloads,
    #[error("the first process of the container is held by less than it says")]
    NotWalled,
    #[error("something else is shown than what was there when it was looked at: start it again")]
    NotShown,
}

/// Whether the first process of a container is ours, made of nothing that is the image's, and behind
/// the walls that are put up inside.
pub(crate) fn is_held(first: Pid, is_image: bool, cell: &Cell) -> io::Result<()> {
    let about = format!("/proc/{}", first.as_raw_nonzero());
    let said = |name: &str| fs::read_to_string(format!("{name}/status"));
    let walls = Filters::new(cell)?.count();
    if !is_walled(&said(&about)?, &said("/proc/self")?, walls) {
        return Err(io::Error::other(NotHeld::NotWalled));
    }
    let ours = ours(is_image).map_err(io::Error::other)?;
    let root = open(format!("{about}/root"), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let runs = fs::metadata(format!("{about}/exe"))?;
    let mut is_ours = false;
    for (from, at) in &ours {
        let there = at_path(&root, at).map_err(|_| io::Error::other(NotHeld::NotAlone))?;
        let (from, there) = (fs::metadata(from)?, fstat(there)?);
        if (from.dev(), from.ino()) != (there.st_dev, there.st_ino) {
            return Err(io::Error::other(NotHeld::NotAlone));
        }
        is_ours |= (from.dev(), from.ino()) == (runs.dev(), runs.ino());
    }
    if !is_ours {
        return Err(io::Error::other(NotHeld::NotOurs));
    }
    // An engine that mounts by itself follows links that were put there meanwhile.
    for Known { path, which } in &cell.known {
        let there = at_path(&root, path).map_err(|_| io::Error::other(NotHeld::NotShown))?;
        if Which::of(&fstat(there)?) != *which {
            return Err(io::Error::other(NotHeld::NotShown));
        }
    }
    if is_image {
        // None of what leads to them is a link, by which a mount could have gone astray.
        let beside = fs::read_dir(format!("{about}/root{OURS}"))?.count();
        if beside != ours.len() {
            return Err(io::Error::other(NotHeld::NotAlone));
        }
        let preload = at_path(&root, Path::new(PRELOAD));
        let preload = preload.map_err(|_| io::Error::other(NotHeld::Preloads))?;
        let is_read_only = fstatvfs(&preload)?.f_flag.contains(StatVfsMountFlags::RDONLY);
        if fstat(&preload)?.st_size != 0 || !is_read_only {
            return Err(io::Error::other(NotHeld::Preloads));
        }
    }
    Ok(())
}

/// The process that is the first one of a namespace below that of the warden.
pub(crate) fn first_below(warden: Pid) -> io::Result<Pid> {
    let mut below = descendants(warden).into_iter();
    below.find(|it| is_first(*it)).ok_or_else(|| io::Error::other(NotHeld::NotSeen))
}

/// The first process of a container, as a daemon says, which may know of it a little later than we
/// do. It is seen from outside by root only.
pub(crate) fn first_of(program: &Path, name: &str) -> io::Result<Pid> {
    let until = Instant::now() + ANSWER_MAX;
    loop {
        let mut client = Command::new(program);
        client.args(["container", "inspect", "--format", "{{.State.Pid}}", name]);
        client.env_clear().envs(client_env(EngineProgram::Docker));
        let says = ask(&mut client, &[], ANSWER_MAX)?.stdout;
        // One of another machine, or of a virtual one, is somebody else here.
        let pid = says.trim().parse().ok().and_then(Pid::from_raw).filter(|it| is_first(*it));
        match pid {
            Some(pid) => return Ok(pid),
            None if Instant::now() > until => return Err(io::Error::other(NotHeld::NotSeen)),
            None => thread::sleep(LOOKS),
        }
    }
}

/// Whether it is the first one of a namespace.
fn is_first(pid: Pid) -> bool {
    let about = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    about.is_ok_and(|it| {
        field(&it, "NSpid").is_some_and(|it| it.split_whitespace().skip(1).last() == Some("1"))
    })
}

/// Whether there are as many filters as ours and the engine's, which come after those that whoever
/// looks has as well.
fn is_walled(status: &str, own: &str, walls: usize) -> bool {
    let count = |status| field(status, "Seccomp_filters")?.parse::<usize>().ok();
    // A kernel that counts nothing counts nothing of its own either.
    let counted = match (count(status), count(own)) {
        (Some(there), Some(here)) => there > here.saturating_add(walls),
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => true,
    };
    counted && field(status, "Seccomp") == Some("2") && field(status, "NoNewPrivs") == Some("1")
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// What is at a path of a container, without following a link.
fn at_path(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let mut at = rustix::io::fcntl_dupfd_cloexec(root, 3)?;
    for part in path.components() {
        if let Component::Normal(name) = part {
            at = step_into(&at, name)?;
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_our_filters_is_not_walled() {
        let status =
            |filters: u32| format!("NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t{filters}\n");
        let own = "NoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        assert!(is_walled(&status(5), own, 3));
        assert!(!is_walled(&status(4), own, 3), "the engine's is missing");
        assert!(!is_walled(&status(2), own, 3), "ours are missing");
        assert!(!is_walled(&status(5).replace("NoNewPrivs:\t1", "NoNewPrivs:\t0"), own, 3));
        assert!(!is_walled(&status(5).replace("Seccomp_filters", "Other"), own, 3));
    }

    #[test]
    fn a_link_is_not_followed() {
        let top = std::env::temp_dir().join(format!("stockade-witness-{}", std::process::id()));
        fs::create_dir_all(top.join("real")).unwrap();
        fs::write(top.join("real/file"), "").unwrap();
        std::os::unix::fs::symlink("real", top.join("link")).unwrap();
        let root = open(&top, OFlags::PATH, Mode::empty()).unwrap();
        assert!(at_path(&root, Path::new("/real/file")).is_ok());
        assert!(at_path(&root, Path::new("/link/file")).is_err());
        fs::remove_dir_all(top).unwrap();
    }
}
