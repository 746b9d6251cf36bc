//! Which calls of the kernel are refused, each with its reason. A list of what is refused, and not
//! of what is allowed: servers are any program in any runtime, and one that breaks is run without
//! a sandbox. What keeps files, network and processes apart does not depend on this list; it takes
//! away what the kernel has more bugs in, and the ways around the other walls.

mod filter;
mod warden;

use std::ffi::c_long;

use rustix::io::Errno;

pub(crate) use filter::Filters;

/// The first number that no call had when this list was written (Linux 6.18). Nobody has thought
/// about what comes after it, `trace/calls.rs` does not know what changes files there, and the
/// 32-bit calls of x86-64 (x32) are above it too.
const FIRST_UNKNOWN: u32 = 470;

/// One refused call, or one refused use of a call.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) name: &'static str,
    number: c_long,
    /// Refused if all of one of these hold; always, if there are none.
    when: &'static [&'static [Test]],
    /// What the program is told.
    errno: Errno,
    pub(crate) why: &'static str,
}

impl Refused {
    /// Whatever its arguments are.
    pub(crate) fn is_always(&self) -> bool {
        self.when.is_empty()
    }
}

/// A test of one argument's low 32 bits, which is what the kernel looks at in each of them, or of a
/// whole pointer.
#[derive(Debug)]
enum Test {
    Is(u8, u32),
    IsNot(u8, u32),
    /// The bits of the mask are these.
    Masked(u8, u32, u32),
    /// There is something that it points to.
    Pointer(u8),
}

use Test::{Is, IsNot, Masked, Pointer};

/// The limit of dumps, as calls name it.
const RLIMIT_CORE: u32 = 4;

/// The numbers of calls. The newest have the same number on every machine, and no name in `libc`
/// on some.
#[allow(non_upper_case_globals, reason = "they are named as `libc` names all others")]
mod number {
    use std::ffi::c_long;

    pub(super) use libc::*;

    pub(super) const SYS_fchmodat2: c_long = 452;
    pub(super) const SYS_statmount: c_long = 457;
    pub(super) const SYS_setxattrat: c_long = 463;
    pub(super) const SYS_removexattrat: c_long = 466;
    pub(super) const SYS_file_setattr: c_long = 469;
    pub(super) const SYS_listmount: c_long = 458;
    pub(super) const SYS_lsm_set_self_attr: c_long = 460;
    pub(super) const SYS_open_tree_attr: c_long = 467;
}

macro_rules! refused {
    ($($call:ident $(if $when:expr)?, $errno:ident: $why:literal;)*) => {
        &[$(Refused {
            name: stringify!($call),
            number: number::$call,
            when: refused!(@ $($when)?),
            errno: Errno::$errno,
            why: $why,
        }),*]
    };
    (@) => { &[] };
    (@ $when:expr) => { $when };
}

/// Either of the setuid and setgid bits.
macro_rules! setuid_mode {
    ($argument:literal) => {
        &[&[Masked($argument, 0o4000, 0o4000)], &[Masked($argument, 0o2000, 0o2000)]]
    };
}

/// The same, if the call makes a file: by `O_CREAT`, or without a name by `O_TMPFILE`.
macro_rules! setuid_mode_if_made {
    ($flags:literal, $mode:literal) => {
        &[
            &[Masked($flags, 0o100, 0o100), Masked($mode, 0o4000, 0o4000)],
            &[Masked($flags, 0o100, 0o100), Masked($mode, 0o2000, 0o2000)],
            &[Masked($flags, 0o20_000_000, 0o20_000_000), Masked($mode, 0o4000, 0o4000)],
            &[Masked($flags, 0o20_000_000, 0o20_000_000), Masked($mode, 0o2000, 0o2000)],
        ]
    };
}

/// A device or a socket, or a setuid mode.
macro_rules! special_file {
    ($mode:literal) => {
        &[
            &[Masked($mode, 0o170_000, 0o020_000)],
            &[Masked($mode, 0o170_000, 0o060_000)],
            &[Masked($mode, 0o170_000, 0o140_000)],
            &[Masked($mode, 0o4000, 0o4000)],
            &[Masked($mode, 0o2000, 0o2000)],
        ]
    };
}

/// The warden's pid, as its server sees it.
const WARDEN: u32 = 1;
const PRIO_USER: u32 = 2;
const IOPRIO_WHO_USER: u32 = 3;
const F_SETLEASE: u32 = 1024;
/// As a lease, but of a directory; newer than `libc`.
const F_SETDELEG: u32 = 1040;

const INTERNET: [u32; 2] = [2, 10];
const UNIX: u32 = 1;
const SOCKET_TYPE: u32 = 0xf;

/// Everything that is refused on every machine.
const EVERYWHERE: &[Refused] = refused! {
    // The mounts are the first wall around files.
    SYS_mount, PERM: "changes which files are seen";
    SYS_umount2, PERM: "uncovers what a mount hides";
    SYS_pivot_root, PERM: "changes the root";
    SYS_chroot, PERM: "changes the root";
    SYS_move_mount, PERM: "changes which files are seen";
    SYS_open_tree, PERM: "takes a mount along";
    SYS_open_tree_attr, PERM: "takes a mount along, with other attributes";
    SYS_fsopen, PERM: "makes a file system";
    SYS_fsconfig, PERM: "makes a file system";
    SYS_fsmount, PERM: "makes a file system";
    SYS_fspick, PERM: "changes a file system";
    SYS_mount_setattr, PERM: "makes writable what is mounted read only";
    SYS_statmount, PERM: "tells about mounts of others";
    SYS_listmount, PERM: "tells about mounts of others";
    SYS_swapon, PERM: "administers the machine";
    SYS_swapoff, PERM: "administers the machine";
    // A namespace of one's own comes with every capability in it, and most local root holes with that.
    SYS_unshare, PERM: "makes namespaces";
    SYS_setns, PERM: "enters namespaces";
    SYS_clone if &[
        &[Masked(0, 0x0000_0080, 0x0000_0080)],
        &[Masked(0, 0x0002_0000, 0x0002_0000)],
        &[Masked(0, 0x0200_0000, 0x0200_0000)],
        &[Masked(0, 0x0400_0000, 0x0400_0000)],
        &[Masked(0, 0x0800_0000, 0x0800_0000)],
        &[Masked(0, 0x1000_0000, 0x1000_0000)],
        &[Masked(0, 0x2000_0000, 0x2000_0000)],
        &[Masked(0, 0x4000_0000, 0x4000_0000)],
    ], PERM: "makes namespaces";
    SYS_clone3, NOSYS: "its flags are in memory, where a filter cannot see them; C libraries then use clone";
    SYS_openat2, NOSYS: "its mode is in memory, where a filter cannot see a setuid bit; programs then use openat";
    // Other processes.
    SYS_ptrace, PERM: "takes over processes";
    SYS_process_vm_readv, PERM: "reads memory of other processes";
    SYS_process_vm_writev, PERM: "writes memory of other processes";
    SYS_process_madvise, PERM: "acts on memory of other processes";
    SYS_process_mrelease, PERM: "acts on memory of other processes";
    SYS_pidfd_getfd, PERM: "takes descriptors from other processes";
    SYS_kcmp, PERM: "tells about other processes' kernel objects";
    SYS_prlimit64 if &[&[IsNot(0, 0)]], PERM: "changes limits of other processes; those of its own are named by 0";
    // What one crash of a server must not do: have the kernel start a handler, as root and outside of
    // every sandbox, with the memory of the server as its input (`core_pattern` with a pipe). Of all
    // limits only one byte says no to that. Programs that turn dumps off take this for one of a kernel
    // that has none.
    SYS_prlimit64 if &[&[Is(1, RLIMIT_CORE), Pointer(2)]], INVAL: "has a handler of dumps started outside";
    SYS_migrate_pages, PERM: "acts on memory of other processes";
    SYS_move_pages, PERM: "acts on memory of other processes";
    // Its warden is process 1 of the same user: one that hardly gets a processor does not end it. A
    // program slows down itself, and names its own threads when it does.
    SYS_sched_setscheduler if &[&[Is(0, WARDEN)]], PERM: "takes the processor from its warden";
    SYS_sched_setparam if &[&[Is(0, WARDEN)]], PERM: "takes the processor from its warden";
    SYS_sched_setattr if &[&[Is(0, WARDEN)]], PERM: "takes the processor from its warden";
    SYS_sched_setaffinity if &[&[Is(0, WARDEN)]], PERM: "takes the processor from its warden";
    SYS_setpriority if &[&[Is(1, WARDEN)], &[Is(0, PRIO_USER)]], PERM: "takes the processor from its warden";
    SYS_ioprio_set if &[&[Is(1, WARDEN)], &[Is(0, IOPRIO_WHO_USER)]], PERM: "takes the disk from its warden";
    // What counts for the whole machine, or for a user with all that others run as the same.
    SYS_io_setup, NOSYS: "takes of the few requests that the whole machine may have under way";
    SYS_io_submit, NOSYS: "belongs to `io_setup`";
    SYS_fcntl if &[&[Is(1, F_SETLEASE)], &[Is(1, F_SETDELEG)]], PERM: "holds up whoever writes to a file that is only to be read";
    // Parts of the kernel with many holes in the past, that servers do not need.
    SYS_bpf, PERM: "loads programs into the kernel";
    SYS_perf_event_open, PERM: "measures the machine and others on it";
    SYS_userfaultfd, PERM: "stops the kernel in the middle of a copy, which exploits need";
    SYS_io_uring_setup, NOSYS: "does calls past this filter";
    SYS_io_uring_enter, NOSYS: "does calls past this filter";
    SYS_io_uring_register, NOSYS: "does calls past this filter";
    SYS_keyctl, PERM: "reads keys of the user";
    SYS_add_key, PERM: "stores keys in the kernel, past every limit of memory";
    SYS_request_key, PERM: "has the kernel start a program outside";
    SYS_vmsplice, PERM: "puts pages of a program into pipes, which exploits need";
    SYS_remap_file_pages, NOSYS: "is obsolete, and was full of holes";
    SYS_mbind, PERM: "places memory, which was full of holes";
    SYS_set_mempolicy, PERM: "places memory, which was full of holes";
    SYS_set_mempolicy_home_node, PERM: "places memory, which was full of holes";
    SYS_lsm_set_self_attr, PERM: "changes how other walls see this process";
    SYS_personality if &[&[IsNot(0, 0), IsNot(0, 0xffff_ffff)]], PERM: "takes away the randomness of addresses";
    // Files by another way than by a path.
    SYS_name_to_handle_at, PERM: "names files without a path";
    SYS_open_by_handle_at, PERM: "opens files without a path";
    SYS_fanotify_init, PERM: "watches files of a whole mount";
    SYS_fanotify_mark, PERM: "watches files of a whole mount";
    SYS_quotactl, PERM: "administers file systems";
    SYS_quotactl_fd, PERM: "administers file systems";
    // What a server writes may be executed by somebody else, later, outside.
    SYS_fchmod if setuid_mode!(1), PERM: "makes a setuid program";
    SYS_fchmodat if setuid_mode!(2), PERM: "makes a setuid program";
    SYS_fchmodat2 if setuid_mode!(2), PERM: "makes a setuid program";
    SYS_openat if setuid_mode_if_made!(2, 3), PERM: "makes a setuid program";
    SYS_mknodat if special_file!(2), PERM: "makes devices, sockets and setuid programs";
    SYS_memfd_create if &[&[Masked(1, 0x8, 0)]], NOSYS: "makes a program in memory, which no mount forbids to execute; what is said to be never executed (MFD_NOEXEC_SEAL) is let through";
    // The network namespace has loopback only; these families do not all live in one.
    SYS_socket if &[&[IsNot(0, INTERNET[0]), IsNot(0, INTERNET[1])]], AFNOSUPPORT: "reaches the machine: unix sockets of its services, netlink, vsock, packets, the kernel's cryptography";
    SYS_socket if &[
        &[Masked(1, SOCKET_TYPE, 3)],
        &[Masked(1, SOCKET_TYPE, 4)],
        &[Masked(1, SOCKET_TYPE, 5)],
        &[Masked(1, SOCKET_TYPE, 6)],
        &[Masked(1, SOCKET_TYPE, 10)],
        &[IsNot(2, 0), IsNot(2, 6), IsNot(2, 17)],
    ], PROTONOSUPPORT: "loads rare protocols into the kernel: SCTP, MPTCP, DCCP, raw sockets";
    SYS_socketpair if &[
        &[IsNot(0, UNIX)],
        &[Masked(1, SOCKET_TYPE, 2)],
        &[Masked(1, SOCKET_TYPE, 3)],
    ], OPNOTSUPP: "a pair of datagram sockets can send to any unix socket that has a path";
    SYS_ioctl if &[&[Is(1, 0x5412)]], PERM: "TIOCSTI types into the terminal, for its shell";
    SYS_ioctl if &[&[Is(1, 0x541c)]], PERM: "TIOCLINUX pastes into the terminal, for its shell";
    SYS_ioctl if &[&[Is(1, 0x5423)]], PERM: "TIOCSETD loads line disciplines into the kernel";
    // The machine.
    SYS_reboot, PERM: "administers the machine";
    SYS_kexec_load, PERM: "replaces the kernel";
    SYS_init_module, PERM: "loads code into the kernel";
    SYS_finit_module, PERM: "loads code into the kernel";
    SYS_delete_module, PERM: "unloads code of the kernel";
    SYS_syslog, PERM: "reads messages of the kernel, with addresses in them";
    SYS_acct, PERM: "records processes of the machine";
    SYS_sethostname, PERM: "administers the machine";
    SYS_setdomainname, PERM: "administers the machine";
    SYS_settimeofday, PERM: "sets the clock";
    SYS_clock_settime, PERM: "sets the clock";
    SYS_clock_adjtime, PERM: "sets the clock";
    SYS_adjtimex, PERM: "sets the clock";
    SYS_vhangup, PERM: "hangs up the terminal";
    SYS_lookup_dcookie, PERM: "tells paths of others to a profiler";
    SYS_nfsservctl, PERM: "is obsolete";
};

/// What only this processor's kernel has.
#[cfg(target_arch = "x86_64")]
const HERE: &[Refused] = refused! {
    SYS_kexec_file_load, PERM: "replaces the kernel";
    SYS_chmod if setuid_mode!(1), PERM: "makes a setuid program";
    SYS_creat if setuid_mode!(1), PERM: "makes a setuid program";
    SYS_open if setuid_mode_if_made!(1, 2), PERM: "makes a setuid program";
    SYS_mknod if special_file!(1), PERM: "makes devices, sockets and setuid programs";
    SYS_iopl, PERM: "talks to hardware";
    SYS_ioperm, PERM: "talks to hardware";
    SYS_modify_ldt, PERM: "runs 16-bit code, which was full of holes";
    SYS_uselib, PERM: "is obsolete";
    SYS_ustat, PERM: "is obsolete";
    SYS_sysfs, PERM: "is obsolete";
    SYS__sysctl, PERM: "is obsolete";
    SYS_setrlimit if &[&[Is(0, RLIMIT_CORE)]], INVAL: "has a handler of dumps started outside";
};

#[cfg(not(target_arch = "x86_64"))]
const HERE: &[Refused] = &[];

/// What is refused in their stead where a server has no namespaces of its own.
const WITHOUT_NAMESPACES: &[Refused] = refused! {
    SYS_socket, AFNOSUPPORT: "there is no network of its own, so there is none";
    // Landlock does not look at who changes what a file is, as long as its user may.
    SYS_fchmod, PERM: "changes files that are only to be read";
    SYS_fchmodat, PERM: "changes files that are not to be seen";
    SYS_fchmodat2, PERM: "changes files that are not to be seen";
    SYS_fchown, PERM: "changes files that are only to be read";
    SYS_fchownat, PERM: "changes files that are not to be seen";
    SYS_utimensat if &[&[Pointer(1)]], PERM: "changes files that are not to be seen";
    SYS_setxattr, PERM: "changes files that are not to be seen";
    SYS_lsetxattr, PERM: "changes files that are not to be seen";
    SYS_fsetxattr, PERM: "changes files that are only to be read";
    SYS_removexattr, PERM: "changes files that are not to be seen";
    SYS_lremovexattr, PERM: "changes files that are not to be seen";
    SYS_fremovexattr, PERM: "changes files that are only to be read";
    SYS_setxattrat, PERM: "changes files that are not to be seen";
    SYS_removexattrat, PERM: "changes files that are not to be seen";
    SYS_file_setattr, PERM: "changes files that are not to be seen";
    SYS_inotify_add_watch, PERM: "watches files that are not to be seen";
    // Other processes of this user, which may be its guard.
    SYS_prlimit64 if &[&[IsNot(0, 0)]], PERM: "limits other processes";
    SYS_setpriority if &[&[IsNot(1, 0)], &[IsNot(0, 0)]], PERM: "slows other processes down";
    SYS_ioprio_set if &[&[IsNot(1, 0)], &[IsNot(0, 1)]], PERM: "slows other processes down";
    SYS_sched_setaffinity if &[&[IsNot(0, 0)]], PERM: "slows other processes down";
    SYS_sched_setparam if &[&[IsNot(0, 0)]], PERM: "slows other processes down";
    SYS_sched_setscheduler if &[&[IsNot(0, 0)]], PERM: "slows other processes down";
    SYS_sched_setattr if &[&[IsNot(0, 0)]], PERM: "slows other processes down";
    // What System V and POSIX queues name is everybody's.
    SYS_shmget, NOSYS: "shares memory with other processes";
    SYS_shmat, NOSYS: "shares memory with other processes";
    SYS_shmctl, NOSYS: "shares memory with other processes";
    SYS_msgget, NOSYS: "talks to other processes";
    SYS_msgsnd, NOSYS: "talks to other processes";
    SYS_msgrcv, NOSYS: "talks to other processes";
    SYS_msgctl, NOSYS: "talks to other processes";
    SYS_semget, NOSYS: "talks to other processes";
    SYS_semop, NOSYS: "talks to other processes";
    SYS_semtimedop, NOSYS: "talks to other processes";
    SYS_semctl, NOSYS: "talks to other processes";
    SYS_mq_open, NOSYS: "talks to other processes";
    SYS_mq_unlink, NOSYS: "talks to other processes";
};

/// The same, of what only this processor's kernel has.
#[cfg(target_arch = "x86_64")]
const WITHOUT_NAMESPACES_HERE: &[Refused] = refused! {
    SYS_chmod, PERM: "changes files that are not to be seen";
    SYS_chown, PERM: "changes files that are not to be seen";
    SYS_lchown, PERM: "changes files that are not to be seen";
    SYS_utime, PERM: "changes files that are not to be seen";
    SYS_utimes, PERM: "changes files that are not to be seen";
    SYS_futimesat, PERM: "changes files that are not to be seen";
};

#[cfg(not(target_arch = "x86_64"))]
const WITHOUT_NAMESPACES_HERE: &[Refused] = &[];

/// What is refused beyond that to a server that is traced.
const TRACED: &[Refused] = refused! {
    SYS_prctl if &[&[Is(0, libc::PR_SET_DUMPABLE.unsigned_abs()), Is(1, 0)]], PERM: "hides memory, which the trace reads paths in";
};

/// All that is refused to every server.
pub(crate) fn refused() -> impl Iterator<Item = &'static Refused> {
    EVERYWHERE.iter().chain(HERE)
}

/// What is refused beyond that to a server without namespaces.
pub(crate) fn refused_without_namespaces() -> impl Iterator<Item = &'static Refused> {
    WITHOUT_NAMESPACES.iter().chain(WITHOUT_NAMESPACES_HERE)
}

/// What is refused beyond that to a server that is traced.
pub(crate) fn refused_if_traced() -> impl Iterator<Item = &'static Refused> {
    TRACED.iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_reason() {
        for it in refused().chain(refused_without_namespaces()).chain(refused_if_traced()) {
            assert!(it.name.starts_with("SYS_") && it.why.len() > 10, "{it:?}");
            assert!(it.number < i64::from(FIRST_UNKNOWN), "{} would be unknown", it.name);
        }
        assert!(refused().count() > 80);
    }

    #[test]
    fn a_call_that_is_always_refused_has_one_entry() {
        for it in refused().filter(|it| it.is_always()) {
            let others = refused().filter(|other| other.number == it.number);
            assert_eq!(others.count(), 1, "{}", it.name);
        }
    }
}
