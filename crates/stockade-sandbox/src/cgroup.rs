//! Control groups: where one can be made, what is written to it, and that it goes again. They are
//! what limits memory, since `RLIMIT_AS` breaks runtimes that reserve address space and
//! `RLIMIT_DATA` does not count shared mappings. Version 1, version 2 and both at once are known.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{Access, AtFlags, CWD, FlockOperation, Mode, OFlags, accessat, flock, open};
use rustix::io::Errno;
use rustix::process::{Pid, getpid};

use crate::cell::{Group, PIDS_MAX, Setting};
use crate::reached::Limit;
use crate::{Guarantee, Limits};

/// What every group of ours is called, so that a later run can tell what an earlier one left.
const NAME: &str = "stockade-";

/// How long a group may take to become empty when all of its processes were killed.
const EMPTY_MAX: Duration = Duration::from_secs(2);

/// So many groups in a row are not swept away by others.
const TRIES_MAX: u32 = 16;

/// The period over which a share of the processors is given, in microseconds: the kernel's own.
const PERIOD_US: u64 = 100_000;

/// Where the kernel counts how often a limit was run into, in version 2 and in version 1.
const EVENTS: [(Limit, &str, &str); 3] = [
    (Limit::Memory, "memory.events", "oom_kill"),
    (Limit::Memory, "memory.oom_control", "oom_kill"),
    (Limit::Pids, "pids.events", "max"),
];

/// The groups that this machine lets us make, and which limits they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Possible {
    pub(crate) groups: Vec<Group>,
    pub(crate) memory: bool,
    pub(crate) pids: bool,
    pub(crate) cpu: bool,
    /// Whether that is so only in a scope that systemd is still to make.
    pub(crate) in_scope: bool,
}

impl Possible {
    /// What a limit is held by, for a person.
    pub(crate) fn by(&self) -> &'static str {
        if self.in_scope { IN_SCOPE } else { "a cgroup" }
    }

    /// What is limited.
    pub(crate) fn limits(&self) -> Vec<Guarantee> {
        let all = [
            (self.memory, Guarantee::Memory),
            (self.pids, Guarantee::Pids),
            (self.cpu, Guarantee::Cpu),
        ];
        all.into_iter().filter(|(it, _)| *it).map(|(_, it)| it).collect()
    }

    /// The same, for a person.
    pub(crate) fn names(&self) -> String {
        self.limits().iter().map(|it| it.name()).collect::<Vec<_>>().join(", ")
    }
}

/// What a limit will be held by that is set in a scope, which has no name before it is made.
pub(crate) const IN_SCOPE: &str = "a cgroup in a scope of the user's systemd";

/// Looks where groups can be made. Nothing is changed.
pub(crate) fn possible(limits: &Limits) -> Possible {
    possible_of(OURS, limits, |_| true)
}

/// Looks whether groups can be made below no other. A container that is moved there from its engine's
/// learns the names of none of those that we are in.
pub(crate) fn possible_at_the_top(limits: &Limits) -> Possible {
    let (own, mounts) = about(OURS);
    possible_in(&at_the_top(&own), &mounts, limits, |_| true)
}

fn at_the_top(own: &str) -> String {
    let lines = own.lines().filter_map(|it| it.rsplit_once(':'));
    lines.map(|(hierarchy, _)| format!("{hierarchy}:/\n")).collect()
}

/// The same for another process, as `/proc` names it, and only in places that fit.
pub(crate) fn possible_of(
    process: &str,
    limits: &Limits,
    fits: impl Fn(&Path) -> bool,
) -> Possible {
    let (own, mounts) = about(process);
    possible_in(&own, &mounts, limits, fits)
}

fn possible_in(own: &str, mounts: &str, limits: &Limits, fits: impl Fn(&Path) -> bool) -> Possible {
    let mut found = Possible::default();
    let wanted = [
        (Controller::Memory, limits.memory_bytes.is_some()),
        (Controller::Pids, true),
        (Controller::Cpu, limits.cpu_thousandths.is_some()),
    ];
    for (controller, _) in wanted.into_iter().filter(|(_, wanted)| *wanted) {
        let Some((below, version)) = place(controller, own, mounts).filter(|it| fits(&it.0)) else {
            continue;
        };
        let settings = settings(controller, version, limits);
        match controller {
            Controller::Memory => found.memory = true,
            Controller::Pids => found.pids = true,
            Controller::Cpu => found.cpu = true,
        }
        match found.groups.iter_mut().find(|it| it.below == below) {
            Some(group) => group.settings.extend(settings),
            None => found.groups.push(Group { below, settings }),
        }
    }
    found
}

/// Ourselves, as `/proc` names us.
const OURS: &str = "self";

/// What is limited by groups.
pub(crate) const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// The groups that a process is in and that could hold a limit, of version 1.
pub(crate) fn own_of_version_one(process: &str) -> Vec<PathBuf> {
    let (own, mounts) = about(process);
    CONTROLLERS.into_iter().filter_map(|it| directory(Some(it), &own, &mounts)).collect()
}

/// The group that a process is in of version 2.
pub(crate) fn own_of_version_two(process: &str) -> Option<PathBuf> {
    let (own, mounts) = about(process);
    directory(None, &own, &mounts)
}

/// In which groups a process is, and what is mounted where.
fn about(process: &str) -> (String, String) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    (read(&format!("/proc/{process}/cgroup")), read("/proc/self/mountinfo"))
}

/// Where a process's own group is, in the hierarchy with this controller or in that of version 2.
fn directory(controller: Option<&str>, own: &str, mounts: &str) -> Option<PathBuf> {
    let kind = if controller.is_some() { "cgroup" } else { "cgroup2" };
    let (root, at) = mounted(mounts, kind, controller)?;
    Some(at.join(own_group(own, controller)?.strip_prefix(root).ok()?))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Controller {
    Memory,
    Pids,
    Cpu,
}

impl Controller {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A directory below which a group with this controller can be made.
fn place(controller: Controller, ours: &str, mounts: &str) -> Option<(PathBuf, Version)> {
    if own_group(ours, Some(controller.name())).is_some()
        && mounted(mounts, "cgroup", Some(controller.name())).is_some()
    {
        let directory = directory(Some(controller.name()), ours, mounts)?;
        return is_ours(&directory).then_some((directory, Version::One));
    }
    let (_, at) = mounted(mounts, "cgroup2", None)?;
    let own = directory(None, ours, mounts)?;
    // A group that hands controllers on has no processes of its own, so it is one above ours. To
    // move a process there, `cgroup.procs` of what both have in common must be writable.
    let above = own.ancestors().take_while(|it| it.starts_with(&at));
    let hands_on = |it: &&Path| {
        let on = fs::read_to_string(it.join("cgroup.subtree_control")).unwrap_or_default();
        on.split_whitespace().any(|it| it == controller.name())
    };
    let mut fit = above.filter(hands_on).filter(|it| is_ours(it));
    let fit = fit.find(|it| permitted(&it.join("cgroup.procs"), Access::WRITE_OK));
    fit.map(|it| (it.to_owned(), Version::Two))
}

/// Which versions are mounted, and what each of them controls, for a person.
pub(crate) fn layout() -> String {
    let (_, mounts) = about(OURS);
    layout_of(&mounts, read_controllers)
}

fn read_controllers(at: &Path) -> String {
    fs::read_to_string(at.join("cgroup.controllers")).unwrap_or_default()
}

fn layout_of(mounts: &str, controllers: impl Fn(&Path) -> String) -> String {
    let one: Vec<&str> = CONTROLLERS
        .into_iter()
        .filter(|it| mounted(mounts, "cgroup", Some(it)).is_some())
        .collect();
    let two = mounted(mounts, "cgroup2", None).map(|(_, at)| {
        let has = controllers(&at);
        let has: Vec<&str> = has.split_whitespace().filter(|it| CONTROLLERS.contains(it)).collect();
        if has.is_empty() { "none of them".to_owned() } else { has.join(", ") }
    });
    match (one.is_empty(), two) {
        (true, None) => "no control groups are mounted".to_owned(),
        (true, Some(two)) => format!("version 2 with {two}"),
        (false, None) => format!("version 1 with {}", one.join(", ")),
        (false, Some(two)) => {
            format!("both versions: 1 with {}, 2 with {two}", one.join(", "))
        }
    }
}

/// Our own group in the hierarchy with this controller, or in that of version 2.
fn own_group<'a>(ours: &'a str, controller: Option<&str>) -> Option<&'a Path> {
    ours.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let fits = match controller {
            Some(name) => controllers.split(',').any(|it| it == name),
            None => controllers.is_empty(),
        };
        fits.then(|| Path::new(path))
    })
}

/// Which part of the hierarchy is mounted where.
fn mounted<'a>(
    mounts: &'a str,
    kind: &str,
    controller: Option<&str>,
) -> Option<(&'a Path, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (mount, about) = line.split_once(" - ")?;
        let mut about = about.split(' ');
        let is_kind = about.next() == Some(kind);
        let options = about.nth(1)?;
        let fits = controller.is_none_or(|name| options.split(',').any(|it| it == name));
        let mut mount = mount.split(' ').skip(3);
        let (root, at) = (mount.next()?, mount.next()?);
        // A backslash begins an escape: such a place is passed over rather than guessed.
        let plain = !root.contains('\\') && !at.contains('\\');
        (is_kind && fits && plain).then(|| (Path::new(root), PathBuf::from(at)))
    })
}

/// How often an event happened, in a file with one to a line.
fn happened(events: &str, event: &str) -> u64 {
    let of = |line: &str| line.strip_prefix(event)?.strip_prefix(' ')?.trim().parse().ok();
    events.lines().find_map(of).unwrap_or_default()
}

fn is_ours(directory: &Path) -> bool {
    permitted(directory, Access::WRITE_OK | Access::EXEC_OK)
}

fn permitted(path: &Path, access: Access) -> bool {
    accessat(CWD, path, access, AtFlags::EACCESS).is_ok()
}

fn settings(controller: Controller, version: Version, limits: &Limits) -> Vec<Setting> {
    let memory = limits.memory_bytes.unwrap_or(u64::MAX);
    let quota_us = u64::from(limits.cpu_thousandths.unwrap_or(1000)) * (PERIOD_US / 1000);
    match (controller, version) {
        (Controller::Memory, Version::One) => vec![
            Setting::new("memory.limit_in_bytes", memory),
            Setting::new("memory.memsw.limit_in_bytes", memory).optional(),
        ],
        (Controller::Memory, Version::Two) => {
            vec![Setting::new("memory.max", memory), Setting::new("memory.swap.max", 0).optional()]
        }
        (Controller::Pids, _) => vec![Setting::new(PIDS_MAX, limits.pids)],
        (Controller::Cpu, Version::One) => vec![
            Setting::new("cpu.cfs_period_us", PERIOD_US),
            Setting::new("cpu.cfs_quota_us", quota_us),
        ],
        (Controller::Cpu, Version::Two) => {
            vec![Setting::new("cpu.max", format!("{quota_us} {PERIOD_US}"))]
        }
    }
}

/// Groups that were made, with their limits in force. They are removed when this is dropped, for
/// which whoever was in them must have ended.
#[derive(Debug, Default)]
pub(crate) struct Made {
    groups: Vec<(PathBuf, OwnedFd)>,
    doors: Vec<OwnedFd>,
}

impl Made {
    /// Makes them all, or none.
    pub(crate) fn new(groups: &[Group]) -> io::Result<Self> {
        let mut made = Self::default();
        for group in groups {
            sweep(&group.below);
            made.add(group)?;
        }
        Ok(made)
    }

    /// Another run that sweeps in this very moment may take a group for one that was left, and
    /// remove it before it has a lock or a process. Then another is made.
    fn add(&mut self, group: &Group) -> io::Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_to_add(group) {
                Err(error) if was_swept(&error) && tries < TRIES_MAX => {}
                done => return done,
            }
        }
    }

    fn try_to_add(&mut self, group: &Group) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let pid = getpid().as_raw_nonzero();
        let path = group.below.join(format!("{NAME}{pid}-{}", now.as_nanos()));
        fs::create_dir(&path)?;
        let directory = open(&path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let locked = directory.and_then(|it| {
            flock(&it, FlockOperation::NonBlockingLockShared)?;
            Ok(it)
        });
        // The lock tells other runs that somebody is alive behind this group.
        let lock = locked.inspect_err(|_| {
            let _ = fs::remove_dir(&path);
        })?;
        self.groups.push((path.clone(), lock));
        for Setting { file, value, optional } in &group.settings {
            let file = path.join(file);
            match fs::OpenOptions::new().write(true).open(&file) {
                Ok(mut it) => {
                    it.write_all(value.as_bytes())?;
                    // What the kernel does not say back is no limit.
                    if !is_said_back(value, &fs::read_to_string(&file)?) {
                        return Err(Errno::PROTO.into());
                    }
                }
                Err(error) if *optional && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.doors.push(door(&path)?);
        Ok(())
    }

    /// Which of the limits were run into so far.
    pub(crate) fn reached(&self) -> Vec<Limit> {
        EVENTS
            .into_iter()
            .filter(|(_, file, event)| {
                let count = |(path, _): &(PathBuf, _)| {
                    happened(&fs::read_to_string(path.join(file)).unwrap_or_default(), event)
                };
                self.groups.iter().any(|group| count(group) > 0)
            })
            .map(|(limit, _, _)| limit)
            .collect()
    }

    /// Moves this process, which has one thread, into them. The doors were opened by the keeper, and
    /// it is the keeper's rights that count.
    pub(crate) fn enter(&self) -> Result<(), Errno> {
        self.doors.iter().try_for_each(|door| rustix::io::write(door, b"0").map(|_| ()))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let until = Instant::now() + EMPTY_MAX;
        self.groups.iter().for_each(|(path, _)| remove(path, until));
    }
}

/// What is written to in order to enter a group. Version 1 has a file for threads as well: to move a
/// process, the kernel has every fork of the machine wait, and for that waits itself until each
/// processor has been elsewhere, some 15 ms; a thread that moves itself waits for nobody.
fn door(group: &Path) -> Result<OwnedFd, Errno> {
    let to = |file| open(group.join(file), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    match to("tasks") {
        Err(Errno::NOENT) => to("cgroup.procs"),
        opened => opened,
    }
}

/// Removes what a keeper made that was killed before it could, below these directories. All that
/// was in there has ended.
pub(crate) fn remove_those_of(keeper: u32, below: &[PathBuf]) {
    let until = Instant::now() + EMPTY_MAX;
    let name = format!("{NAME}{keeper}-");
    for entry in below.iter().filter_map(|it| fs::read_dir(it).ok()).flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&name) {
            remove(&entry.path(), until);
        }
    }
}

/// Moves a process to the groups that a keeper made below these directories.
pub(crate) fn enter_those_of(keeper: u32, below: &[PathBuf], process: Pid) -> io::Result<()> {
    let name = format!("{NAME}{keeper}-");
    for below in below {
        for entry in fs::read_dir(below)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&name) {
                let pid = process.as_raw_nonzero().to_string();
                fs::write(entry.path().join("cgroup.procs"), pid)?;
            }
        }
    }
    Ok(())
}

/// Whether a limit that was written is the one that is read. Memory is counted in whole pages, and
/// what no machine has is no limit of it.
fn is_said_back(written: &str, read: &str) -> bool {
    let read = read.trim();
    let (most, said) = (written.parse::<u64>(), read.parse::<u64>());
    match (most, said) {
        (Ok(most), Ok(said)) => said <= most,
        (Ok(most), Err(_)) => read == "max" && most > i64::MAX.unsigned_abs(),
        (Err(_), _) => read == written,
    }
}

fn was_swept(error: &io::Error) -> bool {
    let kind = error.kind();
    let is_gone = error.raw_os_error() == Some(Errno::NODEV.raw_os_error());
    is_gone || matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::WouldBlock)
}

/// A process that was killed stays in its group for a moment.
fn remove(group: &Path, until: Instant) {
    while let Err(error) = fs::remove_dir(group)
        && error.kind() == io::ErrorKind::ResourceBusy
        && Instant::now() < until
    {
        thread::sleep(Duration::from_millis(2));
    }
}

/// Removes what runs left that were killed together with their keeper. A group with processes in
/// it, or whose keeper lives, stays.
fn sweep(below: &Path) {
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(NAME) {
            continue;
        }
        let directory = open(entry.path(), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let Ok(directory) = directory else { continue };
        // Held until it is removed: nobody takes it for their own in between.
        if flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    const HYBRID: &str = "4:memory:/a/b\n1:cpu,cpuacct:/\n0::/user.slice/x.scope\n";
    const MOUNTS: &str = "\
        30 25 0:26 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n\
        33 25 0:29 /a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        34 25 0:30 / /sys/fs/cg\\040roup rw - cgroup cgroup rw,cpu,cpuacct\n";

    #[test]
    fn a_group_is_entered_as_a_thread_where_that_can_be() {
        let group = std::env::temp_dir().join(format!("stockade-door-{}", std::process::id()));
        fs::create_dir_all(&group).unwrap();
        let opened = || {
            let door = door(&group).unwrap();
            fs::read_link(format!("/proc/self/fd/{}", door.as_raw_fd())).unwrap()
        };
        assert_eq!(door(&group).err(), Some(Errno::NOENT));
        fs::write(group.join("cgroup.procs"), "").unwrap();
        assert_eq!(opened(), group.join("cgroup.procs"));
        fs::write(group.join("tasks"), "").unwrap();
        assert_eq!(opened(), group.join("tasks"));
        fs::remove_dir_all(group).unwrap();
    }

    #[test]
    fn the_own_group_is_found_in_each_layout() {
        assert_eq!(own_group(HYBRID, Some("memory")), Some(Path::new("/a/b")));
        assert_eq!(own_group(HYBRID, Some("cpu")), Some(Path::new("/")));
        assert_eq!(own_group(HYBRID, Some("pids")), None);
        assert_eq!(own_group(HYBRID, None), Some(Path::new("/user.slice/x.scope")));
        assert_eq!(own_group("garbage\n::", Some("memory")), None);
    }

    #[test]
    fn at_the_top_no_name_is_left() {
        assert_eq!(at_the_top(HYBRID), "4:memory:/\n1:cpu,cpuacct:/\n0::/\n");
    }

    #[test]
    fn a_mount_is_found_by_what_it_controls() {
        let unified = (Path::new("/"), PathBuf::from("/sys/fs/cgroup/unified"));
        assert_eq!(mounted(MOUNTS, "cgroup2", None), Some(unified));
        let memory = (Path::new("/a"), PathBuf::from("/sys/fs/cgroup/memory"));
        assert_eq!(mounted(MOUNTS, "cgroup", Some("memory")), Some(memory));
        assert_eq!(mounted(MOUNTS, "cgroup", Some("cpu")), None, "a name that needs decoding");
        assert_eq!(mounted("garbage\n - \n", "cgroup", None), None);
    }

    #[test]
    fn the_layout_is_said() {
        let two = |has: &'static str| move |_: &Path| has.to_owned();
        assert_eq!(
            layout_of(MOUNTS, two("hugetlb\n")),
            "both versions: 1 with memory, 2 with none of them"
        );
        let unified = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(layout_of(unified, two("cpu io memory\n")), "version 2 with cpu, memory");
        assert_eq!(layout_of("", two("")), "no control groups are mounted");
    }

    #[test]
    fn a_limit_is_what_the_kernel_says_back() {
        for (written, read, holds) in [
            ("4096", "4096\n", true),
            ("5000", "4096\n", true),
            ("4096", "8192\n", false),
            ("4096", "max\n", false),
            ("18446744073709551615", "max\n", true),
            ("50000 100000", "50000 100000\n", true),
            ("50000 100000", "max 100000\n", false),
            ("9", "\n", false),
        ] {
            assert_eq!(is_said_back(written, read), holds, "{written} and {read}");
        }
    }

    #[test]
    fn events_are_counted_by_their_whole_name() {
        let events = "low 0\nmax 41\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(happened(events, "oom_kill"), 2);
        assert_eq!(happened("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", "oom_kill"), 1);
        assert_eq!(happened(events, "max"), 41);
        assert_eq!(happened("max many\n", "max"), 0);
        assert_eq!(happened("", "max"), 0);
    }

    #[test]
    fn both_versions_get_every_limit() {
        let limits = Limits {
            memory_bytes: Some(1 << 20),
            pids: 9,
            cpu_thousandths: Some(1500),
            ..Limits::default()
        };
        let said = |controller, version| {
            let settings = settings(controller, version, &limits);
            let said = settings.iter().map(|it| format!("{}={}", it.file, it.value));
            said.collect::<Vec<_>>().join(" ")
        };
        for (controller, one, two) in [
            (
                Controller::Memory,
                "memory.limit_in_bytes=1048576 memory.memsw.limit_in_bytes=1048576",
                "memory.max=1048576 memory.swap.max=0",
            ),
            (Controller::Pids, "pids.max=9", "pids.max=9"),
            (
                Controller::Cpu,
                "cpu.cfs_period_us=100000 cpu.cfs_quota_us=150000",
                "cpu.max=150000 100000",
            ),
        ] {
            assert_eq!(said(controller, Version::One), one);
            assert_eq!(said(controller, Version::Two), two);
        }
    }

    #[test]
    fn what_is_handed_on_decides_where_a_group_of_version_two_is() {
        let tree = std::env::temp_dir().join(format!("stockade-cgroup-{}", std::process::id()));
        let own = tree.join("app.slice/x.scope");
        fs::create_dir_all(&own).unwrap();
        fs::write(tree.join("app.slice/cgroup.subtree_control"), "memory pids\n").unwrap();
        fs::write(tree.join("app.slice/cgroup.procs"), "").unwrap();
        fs::write(own.join("cgroup.subtree_control"), "\n").unwrap();
        let mounts = format!("30 25 0:26 / {} rw - cgroup2 cgroup2 rw\n", tree.display());
        let found = |controller| place(controller, "0::/app.slice/x.scope\n", &mounts);
        let expected = Some((tree.join("app.slice"), Version::Two));
        assert_eq!(found(Controller::Memory), expected);
        assert_eq!(found(Controller::Cpu), None, "it is not handed on");
        fs::remove_dir_all(&tree).unwrap();
    }
}
