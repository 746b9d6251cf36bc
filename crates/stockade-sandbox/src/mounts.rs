//! Builds what a server sees: an empty root in memory, with the places of its [`Cell`] mounted in
//! it, and then nothing else. A place is looked up once, without following a link, and it is what
//! was found then that is mounted: nobody can put another in its stead meanwhile.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{
    CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2, symlinkat,
};
use rustix::io::{Errno, retry_on_intr};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    mount_change, move_mount, open_tree, unmount,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    PidfdFlags, WaitOptions, chdir, fchdir, pidfd_open, pivot_root, umask, waitpid,
};

use crate::cell::{Cell, Kind, Mount, Owner, What};
use crate::child::pid_behind;
use crate::engine::{SHOP, STAGED_ROOT, Ship, is_ours_to_mount};
use crate::held::Which;
use crate::message::{Failure, Step};
use crate::mounted::Mounted;
use crate::plan::SYSTEM;
use crate::raw::{self, Alone, Side};

/// Where the new root is put together. It is over what is there in this mount namespace only, and
/// gone with the old root.
const WORKSHOP: &str = "/tmp";

/// Names of files that one scratch directory holds, which cost memory as well.
const SCRATCH_FILES_MAX: u32 = 65536;

/// The root holds directories, links and short files.
const ROOT_BYTES: u64 = 4 << 20;

/// What an engine may write of its own: records, and directories of layers.
const SHOP_BYTES: u64 = 64 << 20;

/// Where control groups are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What engines mount over, in a root where they could not make it.
const DEVICES: [&str; 7] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/console",
];

/// Places of the machine, held so that they stay what they are: one for each mount that is a bind.
pub(crate) type Pinned = Vec<Option<OwnedFd>>;

/// Takes hold of every place, as whoever calls this: root's keeper for what only root can reach.
pub(crate) fn pin(cell: &Cell, alone: Alone) -> Result<Pinned, Failure> {
    let mut mappings: Vec<(Owner, OwnedFd)> = Vec::new();
    let server = Owner { uid: cell.uid, gid: cell.gid };
    let mut pin_one = |mount: &Mount| {
        let What::Bind { from, kind, owner } = &mount.what else { return Ok(None) };
        if let Some(owner) = *owner
            && mappings.iter().all(|(it, _)| *it != owner)
        {
            mappings.push((owner, mapping(owner, server, alone)?));
        }
        let ids = mappings.iter().find(|(it, _)| Some(*it) == *owner).map(|(_, it)| it.as_fd());
        clone_of(&look_up_known(cell, from)?, *kind, ids).map(Some)
    };
    let pinned = cell.mounts.iter().enumerate().map(|(place, mount)| {
        pin_one(mount).map_err(|error: io::Error| Step::Place.because_io(&error).at(place))
    });
    pinned.collect()
}

/// What is at a path, without following a link.
pub(crate) fn look_up(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(CWD, path, flags, Mode::empty(), resolve)
}

/// The same of a place of a cell, and nothing else that has taken its place since the plan.
pub(crate) fn look_up_known(cell: &Cell, path: &Path) -> Result<OwnedFd, Errno> {
    let place = look_up(path)?;
    if cell.knows(path, Which::of(&fstat(&place)?)) { Ok(place) } else { Err(Errno::STALE) }
}

/// A mount of its own of a place that was looked up, not yet anywhere.
pub(crate) fn clone_of(
    place: &OwnedFd,
    kind: Kind,
    ids: Option<BorrowedFd<'_>>,
) -> io::Result<OwnedFd> {
    let is_directory = FileType::from_raw_mode(fstat(place)?.st_mode).is_dir();
    let mut how = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    how.set(OpenTreeFlags::AT_RECURSIVE, is_directory);
    let tree = open_tree(place, "", how)?;
    let no_suid = MountAttrFlags::MOUNT_ATTR_NOSUID;
    let attributes = no_suid
        | match kind {
            Kind::Read => MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV,
            Kind::Write => MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC,
            Kind::Device => MountAttrFlags::MOUNT_ATTR_NOEXEC,
        };
    raw::set_mount_attributes(tree.as_fd(), is_directory, attributes.bits().into(), ids)?;
    Ok(tree)
}

/// A user namespace in which the server's ids are those of an owner of files. A mount that is
/// mapped by it shows the owner's files as the server's own, and makes new ones the owner's.
pub(crate) fn mapping(owner: Owner, server: Owner, alone: Alone) -> io::Result<OwnedFd> {
    let (until_mapped, mapped) = pipe_with(PipeFlags::CLOEXEC)?;
    let holder = match alone.fork_into(raw::NEW_USER)? {
        Side::Child => {
            drop(mapped);
            let _ = retry_on_intr(|| rustix::io::read(&until_mapped, &mut [0; 1]));
            raw::leave(0);
        }
        Side::Parent(pid) => pid,
    };
    let map = || {
        // `/proc` may be that of a pid namespace around ours, where the pid is another.
        let pid = pid_behind(&pidfd_open(holder, PidfdFlags::empty())?)?;
        let about = format!("/proc/{pid}");
        fs::write(format!("{about}/uid_map"), format!("{} {} 1", owner.uid, server.uid))?;
        fs::write(format!("{about}/gid_map"), format!("{} {} 1", owner.gid, server.gid))?;
        Ok(OwnedFd::from(fs::File::open(format!("{about}/ns/user"))?))
    };
    let namespace = map();
    drop(mapped);
    let _ = retry_on_intr(|| waitpid(Some(holder), WaitOptions::empty()));
    namespace
}

/// Puts everything together and makes it the root; the root of the machine is gone after it.
pub(crate) fn build(cell: &Cell, pinned: &[Option<OwnedFd>]) -> Result<(), Failure> {
    let root = |errno| Step::Root.because(errno);
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).map_err(root)?;
    let new = memory(ROOT_BYTES, 0o755, None).map_err(root)?;
    put(&new, CWD.as_fd(), WORKSHOP.as_ref()).map_err(root)?;
    furnish(&new, cell, pinned, |_| true)?;
    // A root comes with all that was mounted in it by then, and the plan has looked before that.
    let mounted = Mounted::read().map_err(|_| Step::Shown.because(Errno::NOENT))?;
    if let Some(place) = shows_machine(cell, &mounted) {
        return Err(Step::Shown.because(Errno::BUSY).at(place));
    }
    fchdir(&new).map_err(root)?;
    pivot_root(".", ".").map_err(root)?;
    // The old root lies on the new one now.
    unmount(".", UnmountFlags::DETACH).map_err(root)?;
    chdir("/").map_err(root)?;
    let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY.bits().into();
    raw::set_mount_attributes(new.as_fd(), false, read_only, None)
        .map_err(|error| Step::Root.because_io(&error))
}

/// Which place of the cell has something of the kernel's mounted in it that is not the cell's own.
fn shows_machine(cell: &Cell, mounted: &Mounted) -> Option<usize> {
    let is_named = |it: &Mount| match &it.what {
        What::Bind { from, kind: Kind::Read | Kind::Write, .. } => {
            SYSTEM.iter().all(|system| !from.starts_with(system))
        }
        What::Bind { kind: Kind::Device, .. } | What::Scratch { .. } | What::Proc => false,
    };
    mounted.of_kernel_below(Path::new(WORKSHOP)).find_map(|at| {
        let at = Path::new("/").join(at);
        let around = cell.mounts.iter().enumerate().filter(|(_, it)| at.starts_with(&it.at));
        let nearest = around.max_by_key(|(_, it)| it.at.components().count());
        nearest.filter(|(_, it)| is_named(it)).map(|(place, _)| place)
    })
}

/// Puts everything together for an engine to take it as a root, beside a store for the engine: all
/// of it in memory, and in this mount namespace only. Engines lock by files in `/dev/shm`, which
/// they would share with those of the machine.
pub(crate) fn stage(ship: &Ship, cell: &Cell, pinned: &[Option<OwnedFd>]) -> Result<(), Failure> {
    let root = |errno| Step::Root.because(errno);
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).map_err(root)?;
    if ship.ids.is_some() {
        no_groups().map_err(|error| Step::Group.because_io(&error))?;
    }
    let shop = memory(SHOP_BYTES, 0o711, None).map_err(root)?;
    let locks = memory(ROOT_BYTES, 0o700, None).map_err(root)?;
    let processes = mounted(&fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).map_err(root)?);
    for (tree, at) in [
        (&processes.map_err(|errno| Step::Proc.because(errno))?, "/proc"),
        (&locks, "/dev/shm"),
        (&shop, SHOP),
    ] {
        put(tree, CWD.as_fd(), at.as_ref()).map_err(root)?;
    }
    for (path, bytes) in &ship.files {
        let name = path.file_name().ok_or(Errno::INVAL).map_err(root)?;
        write(&shop, Path::new(name), bytes).map_err(root)?;
    }
    let new = memory(ROOT_BYTES, 0o755, None).map_err(root)?;
    let at = Path::new(STAGED_ROOT).strip_prefix(SHOP).unwrap_or(Path::new(STAGED_ROOT));
    find_or_make(&shop, at, true).map_err(root)?;
    put(&new, CWD.as_fd(), STAGED_ROOT.as_ref()).map_err(root)?;
    // Who the server is outside is root here, where that is the user of the engine.
    let (uid, gid) = if ship.ids.is_some() { (0, 0) } else { (cell.uid, cell.gid) };
    furnish(&new, &Cell { uid, gid, ..cell.clone() }, pinned, is_ours_to_mount)?;
    // What an engine mounts of its own, as root of a namespace that may make nothing here.
    for at in ["/proc", "/sys", "/dev/pts", "/dev/shm", "/dev/mqueue", "/run"] {
        find_or_make(&new, at.as_ref(), true).map_err(root)?;
    }
    for at in ["/run/.containerenv", "/etc/hostname"].into_iter().chain(DEVICES) {
        find_or_make(&new, at.as_ref(), false).map_err(root)?;
    }
    Ok(())
}

/// Has an engine make no control groups where its user may: they would have names that nobody knows,
/// and be left when it is killed.
fn no_groups() -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let groups = match openat(CWD, CGROUPS, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        found => found?,
    };
    let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY.bits().into();
    match raw::set_mount_attributes(groups.as_fd(), true, read_only, None) {
        // Nothing is mounted there.
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        done => done,
    }
}

/// Mounts, writes and links what the server sees into a root that is empty.
fn furnish(
    new: &OwnedFd,
    cell: &Cell,
    pinned: &[Option<OwnedFd>],
    ours: impl Fn(&Mount) -> bool,
) -> Result<(), Failure> {
    let root = |errno| Step::Root.because(errno);
    // Directories that are made on the way to a mount are to be passed by the server.
    let mask = umask(Mode::from_raw_mode(0o022));
    for (at, to) in &cell.links {
        if cell.mounts.iter().all(|it| !at.starts_with(&it.at)) {
            link(new, at, to).map_err(root)?;
        }
    }
    for (at, bytes) in &cell.files {
        write(new, at, bytes).map_err(root)?;
    }
    let places = cell.mounts.iter().zip(pinned).enumerate();
    for (place, (mount, pinned)) in places.filter(|(_, (it, _))| ours(it)) {
        put_mount(new, cell, mount, pinned.as_ref())
            .map_err(|errno| Step::Place.because(errno).at(place))?;
    }
    for (at, to) in &cell.links {
        if cell.mounts.iter().any(|it| at.starts_with(&it.at)) {
            // Into what is mounted; where it is read only, or taken, nothing is there to be had.
            let _ = link(new, at, to);
        }
    }
    umask(mask);
    Ok(())
}

fn put_mount(
    root: &OwnedFd,
    cell: &Cell,
    mount: &Mount,
    pinned: Option<&OwnedFd>,
) -> Result<(), Errno> {
    let tree = match &mount.what {
        What::Bind { .. } => {
            let tree = pinned.ok_or(Errno::NOENT)?;
            let is_directory = FileType::from_raw_mode(fstat(tree)?.st_mode).is_dir();
            let at = find_or_make(root, &mount.at, is_directory)?;
            return put(tree, at.as_fd(), Path::new(""));
        }
        What::Scratch { bytes, mode } => Some(memory(*bytes, *mode, Some((cell.uid, cell.gid)))?),
        // In some containers a new `/proc` is not permitted. Then there is none, which is less
        // than a server may expect, and no wall the lower for it.
        What::Proc => match processes() {
            Ok(tree) => Some(tree),
            Err(Errno::PERM) => None,
            Err(errno) => return Err(errno),
        },
    };
    let at = find_or_make(root, &mount.at, true)?;
    tree.map_or(Ok(()), |it| put(&it, at.as_fd(), Path::new("")))
}

/// An empty directory in memory, of this process's user or of these.
pub(crate) fn memory(bytes: u64, mode: u32, owner: Option<(u32, u32)>) -> Result<OwnedFd, Errno> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "size", bytes.to_string())?;
    fsconfig_set_string(&context, "mode", format!("{mode:o}"))?;
    fsconfig_set_string(&context, "nr_inodes", SCRATCH_FILES_MAX.to_string())?;
    if let Some((uid, gid)) = owner {
        fsconfig_set_string(&context, "uid", uid.to_string())?;
        fsconfig_set_string(&context, "gid", gid.to_string())?;
    }
    mounted(&context)
}

/// The processes of this namespace and nothing else of the kernel: no `/proc/sys`, whose files
/// look at the uid of whoever writes to them.
pub(crate) fn processes() -> Result<OwnedFd, Errno> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "subset", "pid")?;
    fsconfig_set_string(&context, "hidepid", "invisible")?;
    mounted(&context)
}

fn mounted(context: &OwnedFd) -> Result<OwnedFd, Errno> {
    fsconfig_create(context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

pub(crate) fn put(tree: &OwnedFd, at: BorrowedFd<'_>, path: &Path) -> Result<(), Errno> {
    let from = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    let to = MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    let how = if path.as_os_str().is_empty() { from | to } else { from };
    move_mount(tree, "", at, path, how)
}

/// What is at a path inside of the new root, made if it is not there. No link is followed: one in
/// a writable root could lead the mount astray.
fn find_or_make(root: &OwnedFd, path: &Path, directory: bool) -> Result<OwnedFd, Errno> {
    let mut at = rustix::io::fcntl_dupfd_cloexec(root, 3)?;
    let mut names = names(path).peekable();
    while let Some(name) = names.next() {
        let is_file = names.peek().is_none() && !directory;
        at = match step_into(&at, name) {
            Err(Errno::NOENT) => {
                if is_file {
                    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                    openat(&at, name, flags, Mode::from_raw_mode(0o644))?;
                } else {
                    mkdirat(&at, name, Mode::from_raw_mode(0o755))?;
                }
                step_into(&at, name)?
            }
            found => found?,
        };
    }
    Ok(at)
}

pub(crate) fn step_into(at: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(at, name, flags, Mode::empty(), resolve)
}

fn link(root: &OwnedFd, at: &Path, to: &Path) -> Result<(), Errno> {
    let (above, name) = above(root, at)?;
    match symlinkat(to, &above, name) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

fn write(root: &OwnedFd, at: &Path, bytes: &[u8]) -> Result<(), Errno> {
    let (above, name) = above(root, at)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(&above, name, flags, Mode::from_raw_mode(0o644))?;
    match rustix::io::write(&file, bytes)? {
        written if written == bytes.len() => Ok(()),
        _ => Err(Errno::NOSPC),
    }
}

fn above<'a>(root: &OwnedFd, path: &'a Path) -> Result<(OwnedFd, &'a OsStr), Errno> {
    let name = path.file_name().ok_or(Errno::INVAL)?;
    Ok((find_or_make(root, path.parent().ok_or(Errno::INVAL)?, true)?, name))
}

fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|it| match it {
        Component::Normal(name) => Some(name),
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_mounted_in_a_root_since_the_plan_is_found() {
        let bind = |at: &str, kind| {
            let what = What::Bind { from: at.into(), kind, owner: None };
            Mount { at: at.into(), what }
        };
        let cell = Cell {
            mounts: vec![
                Mount { at: "/proc".into(), what: What::Proc },
                bind("/usr", Kind::Read),
                bind("/dev/null", Kind::Device),
                bind("/srv/data", Kind::Write),
            ],
            ..Cell::default()
        };
        let found = |at: &str, kind: &str| {
            let line = format!("4 1 0:4 / {at} rw - {kind} x rw");
            shows_machine(&cell, &Mounted::parse(line.as_bytes()))
        };
        assert_eq!(found("/tmp/srv/data/jail/proc", "proc"), Some(3));
        assert_eq!(found("/tmp/srv/data", "sysfs"), Some(3));
        for (at, kind) in [
            ("/tmp/srv/data/more", "ext4"),
            ("/srv/data/jail/proc", "proc"),
            ("/tmp/proc", "proc"),
            ("/tmp/dev/null", "devtmpfs"),
            ("/tmp/usr/lib/x", "fusectl"),
        ] {
            assert_eq!(found(at, kind), None, "{at}");
        }
    }
}
