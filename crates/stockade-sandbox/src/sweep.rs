//! Kills every process that descends from this one, for machines that permit no pid namespace.
//! It needs a `/proc` that shows them, and to be the subreaper of them all.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, wait};

/// A killed process takes this order of time to become a child that can be reaped.
const PAUSE: Duration = Duration::from_millis(1);

/// Kills until nothing is left, and tells of each process that was reaped. A process that forks
/// between look and kill is caught at the next look, since its orphans become children of ours.
pub(crate) fn sweep(mut reaped: impl FnMut(Pid, WaitStatus)) {
    loop {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            reaped(pid, status);
        }
        let left = descendants(getpid());
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(PAUSE);
    }
}

/// Whether `/proc` is that of our own pid namespace: another's would name the wrong processes.
pub(crate) fn check() -> io::Result<()> {
    let me = fs::read_link("/proc/self")?;
    let mine = me.to_str().and_then(|it| it.parse().ok()).and_then(Pid::from_raw);
    if mine == Some(getpid()) && parent(getpid()).is_some() {
        return Ok(());
    }
    Err(io::ErrorKind::Unsupported.into())
}

/// How many processes and threads a user has.
pub(crate) fn tasks_of(uid: u32) -> u64 {
    let of_user = processes().map(|it| format!("/proc/{}", it.as_raw_nonzero()));
    let of_user = of_user.filter(|it| fs::metadata(it).is_ok_and(|it| it.uid() == uid));
    let tasks = of_user.filter_map(|it| Some(fs::read_dir(format!("{it}/task")).ok()?.count()));
    tasks.map(|it| it as u64).sum()
}

/// Everything below `root`, in no order that matters.
pub(crate) fn descendants(root: Pid) -> Vec<Pid> {
    let all: Vec<(Pid, Pid)> = processes().filter_map(|it| Some((it, parent(it)?))).collect();
    let mut found = vec![root];
    let mut looked = 0;
    while let Some(above) = found.get(looked).copied() {
        let below = all.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid);
        found.extend(below);
        looked += 1;
    }
    found.split_off(1)
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|it| Pid::from_raw(it.file_name().to_str()?.parse().ok()?))
}

fn parent(pid: Pid) -> Option<Pid> {
    parent_in(&fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
}

/// When a process began, in ticks since the machine did: no two of the same pid have the same.
pub(crate) fn started_at(pid: Pid) -> Option<u64> {
    let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    field_of(&stat, 22)?.parse().ok()
}

fn parent_in(stat: &[u8]) -> Option<Pid> {
    Pid::from_raw(field_of(stat, 4)?.parse().ok()?)
}

/// One field, counted from 1 and after the second, which is the program's name in parentheses: that
/// may itself hold any byte, so the fields are counted from the last closing one.
fn field_of(stat: &[u8], number: usize) -> Option<&str> {
    let end = stat.iter().rposition(|it| *it == b')')?;
    let fields = str::from_utf8(stat.get(end + 1..)?).ok()?;
    fields.split_ascii_whitespace().nth(number.checked_sub(3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_pass_for_fields() {
        let pid = |stat: &[u8]| parent_in(stat).map(|it| it.as_raw_nonzero().get());
        assert_eq!(pid(b"7 (a) S 1 (b) S 42 7 7"), Some(42));
        assert_eq!(pid(b"7 (\xff\n) ) Z 9 7"), Some(9));
        assert_eq!(pid(b"1 (init) S 0 1"), None);
        for broken in [&b""[..], b"7", b"7 (x)", b"7 (x) S", b"7 (x) S x"] {
            assert_eq!(pid(broken), None);
        }
    }

    #[test]
    fn this_process_descends_from_its_parent() {
        let above = parent(getpid()).unwrap();
        assert!(descendants(above).contains(&getpid()));
        assert!(!descendants(getpid()).contains(&above));
    }
}
