//! How a process comes to be confined: what the keeper prepares while it still has its rights, and
//! what the warden and the server then do to themselves, in an order in which no step needs what an
//! earlier one gave away: [`separate`]; fork; the warden [builds](build) while the server
//! [enters](enter_groups) its groups; and each goes behind its walls ([`enclose`], [`enclose_warden`]).
//! The warden's leave it less than the server has: there is no way from the one to the other that
//! would lead out.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
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

use crate::cell::{Cell, Door, Way};
use crate::cgroup;
use crate::engine::Ship;
use crate::landlock;
use crate::message::{Failure, Step};
use crate::mounts::{self, Pinned};
use crate::network::{MADE_UP, MADE_UP_MASK};
use crate::raw::{self, Alone, Side};
use crate::reached::Limit;
use crate::seccomp::Filters;
use crate::sweep;

/// So much memory may be locked: enough for a key, too little to starve the machine.
const LOCKED_BYTES: u64 = 64 << 10;

/// So many signals may wait, which timers count as: more than a runtime has, and few of those that
/// its user may have.
const PENDING_SIGNALS: u64 = 1024;

/// So much may wait in message queues.
const QUEUED_BYTES: u64 = 128 << 10;

/// So many descriptors keeper and warden may have, where that may be said.
const DESCRIPTORS: u64 = 1 << 20;

/// What a user may have at most, in the user namespace of a server.
const USER_MAX: [(&str, &str); 3] =
    [("user_namespaces", "0"), ("inotify_instances", "32"), ("inotify_watches", "16384")];

/// What the keeper has made ready.
#[derive(Debug)]
pub(crate) struct Prepared {
    groups: cgroup::Made,
    /// What only root can reach is held by root; an ordinary user can take hold of it later.
    pinned: Option<Pinned>,
}

impl Prepared {
    pub(crate) fn new(cell: &Cell, ship: Option<&Ship>, alone: Alone) -> Result<Self, Failure> {
        let groups =
            cgroup::Made::new(&cell.groups).map_err(|error| Step::Group.because_io(&error))?;
        let pins = cell.drops && ship.map_or(cell.namespaces, |it| it.staged);
        let pinned = pins.then(|| mounts::pin(cell, alone)).transpose()?;
        Ok(Self { groups, pinned })
    }

    /// Moves this process, and what it will start, to where its limits are.
    pub(crate) fn enter_groups(&self) -> Result<(), Failure> {
        self.groups.enter().map_err(|errno| Step::Group.because(errno))
    }

    /// Which limits were run into, when all is over.
    pub(crate) fn reached(&self) -> Vec<Limit> {
        self.groups.reached()
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
    let step = if flags == 0 { Step::Fork } else { Step::UserNamespace };
    let side = alone.fork_into(flags).map_err(|error| step.because_io(&error))?;
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

/// Leaves the namespaces of the machine, but for its control groups. What is started from here on
/// is where this process is, and goes with it to the root that [`build`] makes.
pub(crate) fn separate() -> Result<(), Failure> {
    raw::new_session_keyring().map_err(|error| Step::Keyring.because_io(&error))?;
    let apart = raw::unshare(
        UnshareFlags::NEWNS | UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS,
    );
    apart.and_then(|()| sethostname(b"stockade")).map_err(|it| Step::Separate.because(it))?;
    // Nothing that is started inside may have a user namespace of its own, which would come with
    // every capability; and what is counted for each user is not all for one server. Where
    // `/proc/sys` is read only, the filters alone say the former.
    for (name, most) in USER_MAX {
        let _ = fs::write(format!("/proc/sys/user/max_{name}"), most);
    }
    Ok(())
}

/// Puts together what the server sees, and makes it the root of this process and of whoever is with
/// it. What comes back are the doors, which are for the guard.
pub(crate) fn build(
    cell: &Cell,
    prepared: &Prepared,
    alone: Alone,
) -> Result<Vec<OwnedFd>, Failure> {
    match &prepared.pinned {
        Some(pinned) => mounts::build(cell, pinned)?,
        None => mounts::build(cell, &mounts::pin(cell, alone)?)?,
    }
    open_doors(cell)
}

/// Has this network namespace speak to itself, and listens there for the guard.
fn open_doors(cell: &Cell) -> Result<Vec<OwnedFd>, Failure> {
    let names = (!cell.doors.is_empty()).then_some((MADE_UP, MADE_UP_MASK));
    let addresses = cell.addresses.iter().map(|it| (*it, Ipv4Addr::BROADCAST));
    let addresses: Vec<_> = names.into_iter().chain(addresses).collect();
    loopback(&addresses).map_err(|error| Step::Loopback.because_io(&error))?;
    let doors = cell.doors.iter().map(open).collect::<Result<_, _>>();
    doors.map_err(|errno| Step::Doors.because(errno))
}

/// Goes where the server's limits are. Nothing of the groups above is seen from there. The warden
/// does not go: what the server uses up is not to be missing where the server is ended.
pub(crate) fn enter_groups(prepared: &Prepared) -> Result<(), Failure> {
    prepared.enter_groups()?;
    raw::unshare(UnshareFlags::NEWCGROUP).map_err(|errno| Step::Separate.because(errno))
}

/// Goes behind the walls, when what the server sees has been built. Nothing leads out again.
pub(crate) fn enclose(cell: &Cell, filters: &Filters) -> Result<(), Failure> {
    limits(cell, true).map_err(|errno| Step::Limits.because(errno))?;
    privileges().map_err(|errno| Step::Privileges.because(errno))?;
    if cell.landlock {
        landlock::apply(cell).map_err(|error| Step::Landlock.because_io(&error))?;
    }
    filters.apply().map_err(|error| Step::Filter.because_io(&error))
}

/// The same for the warden, with less left to it than to the server: no file, and the calls that
/// remain to be made. What the server uses up is not to be missing here, so its limits do not hold.
pub(crate) fn enclose_warden(cell: &Cell) -> Result<(), Failure> {
    limit(Resource::Core, CORE_BYTES).map_err(|errno| Step::Limits.because(errno))?;
    privileges().map_err(|errno| Step::Privileges.because(errno))?;
    if cell.landlock {
        landlock::apply_to_warden().map_err(|error| Step::Landlock.because_io(&error))?;
    }
    let filters = Filters::of_warden().and_then(|it| it.apply());
    filters.map_err(|error| Step::Filter.because_io(&error))
}

/// What holds a server where there are no namespaces: Landlock, filters and limits. Only the server
/// is in it and not the warden, which Landlock then keeps out of its reach.
pub(crate) fn hold(cell: &Cell) -> Result<(), Failure> {
    raw::new_session_keyring().map_err(|error| Step::Keyring.because_io(&error))?;
    limits(cell, true).map_err(|errno| Step::Limits.because(errno))?;
    let filters = Filters::new(cell).map_err(|error| Step::Filter.because_io(&error))?;
    no_privileges().map_err(|errno| Step::Privileges.because(errno))?;
    landlock::apply(cell).map_err(|error| Step::Landlock.because_io(&error))?;
    filters.apply().map_err(|error| Step::Filter.because_io(&error))
}

/// As an ordinary user, who has no capabilities and no right to say that there will be none:
/// without new privileges there will not.
fn no_privileges() -> Result<(), Errno> {
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    set_no_new_privs(true)
}

/// Builds what an engine is given, in a mount namespace that goes with this process, and all that
/// the engine mounts with it. The engine itself keeps its rights: what it starts has none. A network
/// in which somebody is reached is made here as well, with the doors that come back.
pub(crate) fn stage(
    ship: &Ship,
    cell: &Cell,
    prepared: &Prepared,
    alone: Alone,
) -> Result<Vec<OwnedFd>, Failure> {
    raw::new_session_keyring().map_err(|error| Step::Keyring.because_io(&error))?;
    let separate = |what| raw::unshare(what).map_err(|errno| Step::Separate.because(errno));
    separate(UnshareFlags::NEWNS)?;
    match &prepared.pinned {
        Some(pinned) => mounts::stage(ship, cell, pinned)?,
        None => mounts::stage(ship, cell, &mounts::pin(cell, alone)?)?,
    }
    if cell.doors.is_empty() {
        return Ok(Vec::new());
    }
    separate(UnshareFlags::NEWNET)?;
    open_doors(cell)
}

/// Has this network namespace speak to itself, also at these addresses, each with its mask.
pub(crate) fn loopback(addresses: &[(Ipv4Addr, Ipv4Addr)]) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    raw::bring_loopback_up(socket.as_fd())?;
    for ((address, mask), number) in addresses.iter().zip(1..) {
        raw::add_loopback_address(socket.as_fd(), *address, *mask, number)?;
    }
    Ok(())
}

/// So many connections may wait for the guard to take them.
const WAITING_MAX: i32 = 128;

/// A socket of this network namespace stays one, whoever holds it.
fn open(door: &Door) -> Result<OwnedFd, Errno> {
    let kind = match door.kind {
        Way::Datagrams => SocketType::DGRAM,
        Way::Connections => SocketType::STREAM,
    };
    // Whoever gets it waits for many things at once.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, kind, flags, None)?;
    bind(&socket, &door.at)?;
    if door.kind == Way::Connections {
        listen(&socket, WAITING_MAX)?;
    }
    Ok(socket)
}

/// With no byte at all the kernel writes no dump either, but starts the handler that `core_pattern`
/// may name: as root, outside of the sandbox. With one it does neither (`do_coredump`).
const CORE_BYTES: u64 = 1;

/// Sets the limits that every process has, but for [`descriptors`]. Without a user namespace of its
/// own, a server's user may have other processes, and they would be counted with its own.
pub(crate) fn limits(cell: &Cell, own_users: bool) -> Result<(), Errno> {
    for (resource, most) in [
        (Resource::Core, CORE_BYTES),
        (Resource::Nproc, processes_max(cell)),
        (Resource::Fsize, cell.file_bytes),
        (Resource::Memlock, LOCKED_BYTES),
        (Resource::Sigpending, PENDING_SIGNALS),
        (Resource::Msgqueue, QUEUED_BYTES),
    ] {
        if resource != Resource::Nproc || own_users {
            limit(resource, most)?;
        }
    }
    Ok(())
}

/// Limits the descriptors of a process, and with them those that its user may have under way over
/// sockets: whoever still has to send some does it before.
pub(crate) fn descriptors(cell: &Cell) -> Result<(), Errno> {
    limit(Resource::Nofile, cell.open_files.into())
}

fn limit(resource: Resource, most: u64) -> Result<(), Errno> {
    let most = getrlimit(resource).maximum.map_or(most, |before| before.min(most));
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

/// Lets keeper and warden send descriptors also when servers of the same user have so many under
/// way that the kernel refuses more to whoever may open only as many as a server.
pub(crate) fn lift_descriptors() {
    let before = getrlimit(Resource::Nofile);
    let most = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    if before.maximum.is_none_or(|it| it >= DESCRIPTORS)
        || setrlimit(Resource::Nofile, most).is_err()
    {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before });
    }
}

/// What the kernel is told, which counts the warden as well. In a user namespace of one's own nobody
/// else's processes count; elsewhere all of this user's do.
fn processes_max(cell: &Cell) -> u64 {
    let most = u64::from(cell.pids) + 1;
    match (cell.counts_processes(), cell.namespaces) {
        // The group is to be what refuses: it tells.
        (true, true) => most + 1,
        (true, false) => u64::from(u32::MAX),
        (false, true) => most,
        (false, false) => most + sweep::tasks_of(cell.uid),
    }
}

/// Gives away every capability, and every way to get one.
pub(crate) fn privileges() -> Result<(), Errno> {
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
