//! Removes what a container leaves that does not end with its processes: its control groups, and
//! where a daemon keeps it, the container. It is the keeper's work; a process beside the keeper
//! does it if the keeper is killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, getppid, kill_process, pidfd_open, waitpid,
};

use crate::engine::{Ship, group};
use crate::message::{Failure, Step};
use crate::raw::{self, Alone, Side};
use crate::sweep::started_at;

/// How long the processes of a container may take to leave their groups when they were killed.
const EMPTY_MAX: Duration = Duration::from_secs(5);

/// What the groups of every container begin with.
const GROUP: &str = "stockade.";

/// The keeper's hold on what is to be removed. Dropped, all of it is, and nobody watches any more.
#[derive(Debug)]
pub(crate) struct Undertaker {
    ship: Ship,
    stand_in: Pid,
}

impl Undertaker {
    pub(crate) fn new(ship: Ship, alone: Alone) -> Result<Self, Failure> {
        if ship.staged {
            sweep();
        }
        let keeper = getpid();
        match alone.fork().map_err(|error| Step::Fork.because_io(&error))? {
            Side::Child => {
                stand_in(&ship, keeper);
                raw::leave(0)
            }
            Side::Parent(stand_in) => Ok(Self { ship, stand_in }),
        }
    }
}

impl Drop for Undertaker {
    fn drop(&mut self) {
        remove(&self.ship);
        // It is ours and not reaped yet, so the pid is nobody else's.
        let _ = kill_process(self.stand_in, Signal::KILL);
        let _ = retry_on_intr(|| waitpid(Some(self.stand_in), WaitOptions::empty()));
    }
}

/// Waits until the keeper is gone without having done it.
fn stand_in(ship: &Ship, keeper: Pid) {
    // Whatever is tied to the keeper by a socket or a pipe must not be tied to this process.
    raw::close_all();
    let Ok(watched) = pidfd_open(keeper, PidfdFlags::empty()) else { return };
    if getppid() == Some(keeper) {
        let _ = retry_on_intr(|| poll(&mut [PollFd::new(&watched, PollFlags::IN)], None));
    }
    remove(ship);
}

fn remove(ship: &Ship) {
    if let Some((program, args)) = ship.remove.split_first() {
        // There is nobody to tell of a daemon that is gone.
        let _ = Command::new(program)
            .args(args)
            .env_clear()
            .envs(ship.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
    if ship.staged {
        let until = Instant::now() + EMPTY_MAX;
        for hierarchy in hierarchies() {
            let group = hierarchy.join(group(&ship.name));
            while !remove_tree(&group) && Instant::now() < until {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// Removes the groups of containers whose guard is gone, and of whom nobody else is left.
fn sweep() {
    for hierarchy in hierarchies() {
        for entry in fs::read_dir(hierarchy).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|it| is_orphaned(it, started_at)) {
                remove_tree(&entry.path());
            }
        }
    }
}

/// Whether the process that a group is named after is gone: none has its pid, or another does.
fn is_orphaned(name: &str, began: impl Fn(Pid) -> Option<u64>) -> bool {
    let mut parts = name.strip_prefix(GROUP).unwrap_or_default().split('-');
    let pid = parts.next().and_then(|it| Pid::from_raw(it.parse().ok()?));
    let noted = parts.next().and_then(|it| it.parse::<u64>().ok());
    pid.zip(noted).is_some_and(|(pid, noted)| began(pid) != Some(noted))
}

/// Where control groups are.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let place = |line: &str| {
        let (mount, about) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        let is_one = about.starts_with("cgroup ") || about.starts_with("cgroup2 ");
        (is_one && root == "/" && !at.contains('\\')).then(|| PathBuf::from(at))
    };
    mounts.lines().filter_map(place).collect()
}

/// Whether a group, and all groups in it, are gone.
fn remove_tree(group: &Path) -> bool {
    let inside = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in inside.filter(|it| it.file_type().is_ok_and(|it| it.is_dir())) {
        remove_tree(&entry.path());
    }
    match fs::remove_dir(group) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_orphaned_when_its_process_is_another() {
        let began = |pid: Pid| (pid.as_raw_nonzero().get() == 7).then_some(100);
        for (name, orphaned) in [
            ("stockade.7-100-ab", false),
            ("stockade.7-101-ab", true),
            ("stockade.8-100-ab", true),
            ("stockade-8-100-ab", false),
            ("stockade.x-100", false),
            ("stockade.", false),
            ("user.slice", false),
        ] {
            assert_eq!(is_orphaned(name, began), orphaned, "{name}");
        }
    }

    #[test]
    fn groups_are_removed_with_those_in_them() {
        let top = std::env::temp_dir().join(format!("stockade-groups-{}", std::process::id()));
        fs::create_dir_all(top.join("a/b")).unwrap();
        assert!(remove_tree(&top));
        assert!(!top.exists());
        assert!(remove_tree(&top), "what is gone is gone");
    }
}
