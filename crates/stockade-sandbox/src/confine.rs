//! How a process comes to be confined: what the keeper prepares while it still has its rights, and
//! what the warden then does to itself, in an order in which no step needs what an earlier one gave
//! away. The server is forked from the warden and has the same walls; there is no way from the one
//! to the other that would lead out.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{
    DumpableBehavior, Gid, Resource, Rlimit, Uid, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::system::sethostname;
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, UnshareFlags,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_capabilities_secure_bits, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use crate::cell::Cell;
use crate::cgroup;
use crate::landlock;
use crate::message::{Failure, Step};
use crate::mounts::{self, Pinned};
use crate::raw::{self, Alone, Side};
use crate::seccomp::Filters;

/// So much memory may be locked: enough for a key, too little to starve the machine.
const LOCKED_BYTES: u64 = 64 << 10;

/// What the keeper has made ready.
#[derive(Debug)]
pub(crate) struct Prepared {
    groups: cgroup::Made,
    /// What only root can reach is held by root; an ordinary user can take hold of it later.
    pinned: Option<Pinned>,
}

impl Prepared {
    pub(crate) fn new(cell: &Cell, alone: Alone) -> Result<Self, Failure> {
        let groups =
            cgroup::Made::new(&cell.groups).map_err(|error| Step::Group.because_io(&error))?;
        let pinned = cell.drops.then(|| mounts::pin(cell, alone)).transpose()?;
        Ok(Self { groups, pinned })
    }
}

/// Forks as who the server is, so that the new user namespace is the server's and not root's. Root
/// stays root otherwise, to be able to remove what it has made.
pub(crate) fn fork_as_server(cell: &Cell, alone: Alone, flags: u64) -> Result<Side, Failure> {
    let identity = |errno| Step::Identity.because(errno);
    if cell.drops {
        set_thread_groups(&[]).map_err(identity)?;
        set_thread_res_gid(None, Some(Gid::from_raw(cell.gid)), None).map_err(identity)?;
        set_thread_res_uid(None, Some(Uid::from_raw(cell.uid)), None).map_err(identity)?;
    }
    let side = alone.fork_into(flags).map_err(|error| Step::UserNamespace.because_io(&error))?;
    if cell.drops && matches!(side, Side::Parent(_)) {
        set_thread_res_uid(None, Some(Uid::ROOT), None).map_err(identity)?;
        set_thread_res_gid(None, Some(Gid::ROOT), None).map_err(identity)?;
    }
    Ok(side)
}

/// Becomes who the server is, for good. Before, this process is known to nobody by that uid.
pub(crate) fn become_server(cell: &Cell, map_ids: impl Fn() -> io::Result<()>) -> io::Result<()> {
    // Otherwise the maps in `/proc` belong to root.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    map_ids()?;
    let (uid, gid) = (Some(Uid::from_raw(cell.uid)), Some(Gid::from_raw(cell.gid)));
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Goes into the cell. Nothing leads out again.
pub(crate) fn enter(cell: &Cell, prepared: &Prepared, alone: Alone) -> Result<(), Failure> {
    prepared.groups.enter().map_err(|errno| Step::Group.because(errno))?;
    raw::new_session_keyring().map_err(|error| Step::Keyring.because_io(&error))?;
    separate(cell).map_err(|errno| Step::Separate.because(errno))?;
    // Nothing that is started inside may have a user namespace of its own, which would come with
    // every capability. Where `/proc/sys` is read only, the filters alone say so.
    let _ = fs::write("/proc/sys/user/max_user_namespaces", "0");
    match &prepared.pinned {
        Some(pinned) => mounts::build(cell, pinned)?,
        None => mounts::build(cell, &mounts::pin(cell, alone)?)?,
    }
    if !cell.network {
        loopback().map_err(|error| Step::Loopback.because_io(&error))?;
    }
    limits(cell).map_err(|errno| Step::Limits.because(errno))?;
    let filters = Filters::new().map_err(|error| Step::Filter.because_io(&error))?;
    privileges().map_err(|errno| Step::Privileges.because(errno))?;
    if cell.landlock {
        landlock::apply(cell).map_err(|error| Step::Landlock.because_io(&error))?;
    }
    filters.apply().map_err(|error| Step::Filter.because_io(&error))
}

fn separate(cell: &Cell) -> Result<(), Errno> {
    let mut from =
        UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWCGROUP;
    from.set(UnshareFlags::NEWNET, !cell.network);
    raw::unshare(from)?;
    sethostname(b"stockade")
}

fn loopback() -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    raw::bring_loopback_up(socket.as_fd())
}

fn limits(cell: &Cell) -> Result<(), Errno> {
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Nofile, cell.open_files.into()),
        // In a user namespace of one's own, nobody else's processes count. The warden does.
        (Resource::Nproc, u64::from(cell.pids) + 1),
        (Resource::Fsize, cell.file_bytes),
        (Resource::Memlock, LOCKED_BYTES),
    ] {
        let most = getrlimit(resource).maximum.map_or(most, |before| before.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// Gives away every capability, and every way to get one.
fn privileges() -> Result<(), Errno> {
    for capability in CapabilitySet::all() {
        match remove_capability_from_bounding_set(capability) {
            // The kernel does not know so many.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    clear_ambient_capability_set()?;
    set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
    )?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, none)?;
    set_no_new_privs(true)
}
