//! Calls of the kernel that no server needs. Each is made so that it does nothing where nobody
//! refuses it: with a handle, a place or a length that cannot be.

use std::ffi::c_long;
use std::io;

use super::raw::{call, call_of, memory, text};
use super::{Area, Outcome, Probe, Severity};

use Severity::{High, Low, Medium};

/// A call with integers only.
const PLAIN: &[(&str, Severity, &str, c_long, [c_long; 6])] = &[
    ("pivot_root", High, "changes the root", libc::SYS_pivot_root, [0; 6]),
    (
        "move_mount",
        High,
        "changes which files are seen",
        libc::SYS_move_mount,
        [-1, 0, -1, 0, 0, 0],
    ),
    ("fsmount", High, "makes a file system", libc::SYS_fsmount, [-1, 0, 0, 0, 0, 0]),
    ("fspick", High, "changes a file system", libc::SYS_fspick, [-1, 0, 0, 0, 0, 0]),
    ("statmount", Low, "tells about mounts", 457, [0; 6]),
    ("listmount", Low, "tells about mounts", 458, [0; 6]),
    ("open_tree_attr", High, "takes a mount along", 467, [-1, 0, 0, 0, 0, 0]),
    ("swapoff", Medium, "administers the machine", libc::SYS_swapoff, [0; 6]),
    (
        "unshare-user",
        High,
        "makes a namespace with all privileges",
        libc::SYS_unshare,
        [0x1000_0000, 0, 0, 0, 0, 0],
    ),
    ("unshare-mounts", High, "makes a namespace", libc::SYS_unshare, [0x0002_0000, 0, 0, 0, 0, 0]),
    ("unshare-network", High, "makes a namespace", libc::SYS_unshare, [0x4000_0000, 0, 0, 0, 0, 0]),
    ("unshare-pid", Medium, "makes a namespace", libc::SYS_unshare, [0x2000_0000, 0, 0, 0, 0, 0]),
    ("unshare-time", Low, "makes a namespace", libc::SYS_unshare, [0x80, 0, 0, 0, 0, 0]),
    (
        "unshare-cgroup",
        Medium,
        "makes a namespace",
        libc::SYS_unshare,
        [0x0200_0000, 0, 0, 0, 0, 0],
    ),
    ("setns", Medium, "enters namespaces", libc::SYS_setns, [-1, 0, 0, 0, 0, 0]),
    ("ptrace", Medium, "takes over processes", libc::SYS_ptrace, [0; 6]),
    ("process_vm_readv", Medium, "reads memory of processes", libc::SYS_process_vm_readv, [0; 6]),
    (
        "process_madvise",
        Low,
        "acts on memory of processes",
        libc::SYS_process_madvise,
        [-1, 0, 0, 0, 0, 0],
    ),
    (
        "pidfd_getfd",
        Medium,
        "takes descriptors of processes",
        libc::SYS_pidfd_getfd,
        [-1, 0, 0, 0, 0, 0],
    ),
    ("bpf", High, "loads programs into the kernel", libc::SYS_bpf, [9999, 0, 0, 0, 0, 0]),
    (
        "perf_event_open",
        Medium,
        "measures the machine",
        libc::SYS_perf_event_open,
        [0, 0, -1, -1, 0, 0],
    ),
    (
        "userfaultfd",
        Medium,
        "stops the kernel in a copy",
        libc::SYS_userfaultfd,
        [1, 0, 0, 0, 0, 0],
    ),
    (
        "io_uring_setup",
        Medium,
        "makes calls past every filter",
        libc::SYS_io_uring_setup,
        [1, 0, 0, 0, 0, 0],
    ),
    ("keyctl", Medium, "reads keys of the user", libc::SYS_keyctl, [0, -3, 0, 0, 0, 0]),
    ("vmsplice", Low, "puts pages into pipes", libc::SYS_vmsplice, [-1, 0, 0, 0, 0, 0]),
    ("set_mempolicy", Low, "places memory", libc::SYS_set_mempolicy, [0; 6]),
    (
        "personality",
        Low,
        "takes the randomness out of addresses",
        libc::SYS_personality,
        [0x004_0000, 0, 0, 0, 0, 0],
    ),
    (
        "open_by_handle_at",
        High,
        "opens files without a path",
        libc::SYS_open_by_handle_at,
        [-1, 0, 0, 0, 0, 0],
    ),
    (
        "fanotify_init",
        Medium,
        "watches a whole mount",
        libc::SYS_fanotify_init,
        [0x200, 0, 0, 0, 0, 0],
    ),
    ("quotactl", Low, "administers file systems", libc::SYS_quotactl, [0; 6]),
    ("init_module", High, "loads code into the kernel", libc::SYS_init_module, [0; 6]),
    (
        "finit_module",
        High,
        "loads code into the kernel",
        libc::SYS_finit_module,
        [-1, 0, 0, 0, 0, 0],
    ),
    ("delete_module", High, "unloads code of the kernel", libc::SYS_delete_module, [0; 6]),
    ("kexec_load", High, "replaces the kernel", libc::SYS_kexec_load, [0, 0, 0, 0xffff, 0, 0]),
    ("reboot", High, "restarts the machine", libc::SYS_reboot, [0; 6]),
    ("syslog", Low, "reads the kernel's messages", libc::SYS_syslog, [10, 0, 0, 0, 0, 0]),
    ("acct", Low, "records processes", libc::SYS_acct, [1, 0, 0, 0, 0, 0]),
    ("sethostname", Medium, "renames the machine", libc::SYS_sethostname, [0, -1, 0, 0, 0, 0]),
    ("setdomainname", Medium, "renames the machine", libc::SYS_setdomainname, [0, -1, 0, 0, 0, 0]),
    ("clock_settime", Medium, "sets the clock", libc::SYS_clock_settime, [0; 6]),
    ("lsm_set_self_attr", Low, "changes how walls see it", 460, [0; 6]),
    ("unknown", Low, "a call that nobody has thought about", 470, [0; 6]),
    ("clone3", Low, "makes what no filter sees", libc::SYS_clone3, [0; 6]),
];

/// A call with a text or memory.
type Made = fn() -> io::Result<c_long>;

const WITH_MEMORY: &[(&str, Severity, &str, Made)] = &[
    ("mount", High, "changes which files are seen", || {
        let (none, root, kind) = (text(c"none"), text(c"/"), text(c"no-such-file-system"));
        call(libc::SYS_mount, [none, root, kind, 0, 0, 0])
    }),
    ("umount2", High, "uncovers what a mount hides", || {
        // Nothing is mounted there.
        call_of(libc::SYS_umount2, [text(c"/usr/bin"), 0])
    }),
    ("chroot", High, "changes the root", || call_of(libc::SYS_chroot, [text(c"/")])),
    ("open_tree", High, "takes a mount along", || {
        call_of(libc::SYS_open_tree, [libc::AT_FDCWD.into(), text(c"/"), 1])
    }),
    ("fsopen", High, "makes a file system", || call_of(libc::SYS_fsopen, [text(c"tmpfs"), 0])),
    ("mount_setattr", High, "makes writable what is read only", || {
        // Nothing is mounted there.
        let mut change = [1_u64, 0, 0, 0];
        let place = text(c"/usr/bin");
        call_of(libc::SYS_mount_setattr, [libc::AT_FDCWD.into(), place, 0, memory(&mut change), 32])
    }),
    ("add_key", Medium, "stores keys in the kernel", || {
        let mut value = 1_u8;
        let (kind, name) = (text(c"user"), text(c"stockade-probe"));
        // For this process alone, and gone with it.
        call_of(libc::SYS_add_key, [kind, name, memory(&mut value), 1, -2])
    }),
    ("request_key", Medium, "has the kernel start a program", || {
        call_of(libc::SYS_request_key, [text(c"user"), text(c"stockade-no-such-key"), 0, 0])
    }),
    ("name_to_handle_at", Medium, "names files without a path", || {
        let (mut handle, mut mount) = ([0_u32; 34], 0_i32);
        let arguments =
            [libc::AT_FDCWD.into(), text(c"/"), memory(&mut handle), memory(&mut mount), 0];
        call_of(libc::SYS_name_to_handle_at, arguments)
    }),
    ("openat2", Low, "makes what no filter sees", || {
        let mut how = [0_u64; 3];
        call_of(libc::SYS_openat2, [libc::AT_FDCWD.into(), text(c"/"), memory(&mut how), 24])
    }),
    ("adjtimex", Medium, "sets the clock", || {
        // ADJ_OFFSET by nothing.
        let mut how = [0_u64; 26];
        if let Some(modes) = how.first_mut() {
            *modes = 1;
        }
        call_of(libc::SYS_adjtimex, [memory(&mut how)])
    }),
];

pub(super) fn probes() -> Vec<Probe> {
    let plain = PLAIN.iter().map(|(name, severity, means, number, arguments)| {
        probe(name, *severity, means, move || call(*number, *arguments))
    });
    let with_memory =
        WITH_MEMORY.iter().map(|(name, severity, means, made)| probe(name, *severity, means, made));
    let cloned = [
        ("user", libc::CLONE_NEWUSER, High),
        ("mounts", libc::CLONE_NEWNS, High),
        ("network", libc::CLONE_NEWNET, High),
    ];
    let cloned = cloned.map(|(name, flag, severity)| {
        let means = "makes a namespace with all privileges";
        probe(&format!("clone-{name}"), severity, means, move || {
            let came = call_of(libc::SYS_clone, [c_long::from(flag | libc::SIGCHLD), 0, 0, 0, 0]);
            if matches!(came, Ok(0)) {
                super::raw::leave();
            }
            came
        })
    });
    plain.chain(with_memory).chain(cloned).chain(here()).collect()
}

fn probe(
    name: &str,
    severity: Severity,
    means: &'static str,
    made: impl Fn() -> io::Result<c_long> + 'static,
) -> Probe {
    Probe::new(format!("call.{name}"), Area::Calls, severity, means, move |_| {
        Ok(Outcome::refused(made()))
    })
}

/// What only this processor's kernel has.
#[cfg(target_arch = "x86_64")]
fn here() -> Vec<Probe> {
    let plain: [(&str, Severity, &'static str, c_long, [c_long; 6]); 6] = [
        ("iopl", High, "talks to hardware", libc::SYS_iopl, [3, 0, 0, 0, 0, 0]),
        ("ioperm", High, "talks to hardware", libc::SYS_ioperm, [0x80, 1, 1, 0, 0, 0]),
        ("modify_ldt", Low, "runs 16-bit code", libc::SYS_modify_ldt, [0; 6]),
        (
            "kexec_file_load",
            High,
            "replaces the kernel",
            libc::SYS_kexec_file_load,
            [-1, -1, 0, 0, 0, 0],
        ),
        ("uselib", Low, "is obsolete", libc::SYS_uselib, [0; 6]),
        (
            "x32",
            Medium,
            "calls by a table that no filter knows",
            libc::SYS_getpid | 0x4000_0000,
            [0; 6],
        ),
    ];
    let plain = plain.map(|(name, severity, means, number, arguments)| {
        probe(name, severity, means, move || call(number, arguments))
    });
    let means = "calls by a table that no filter knows";
    let old = probe("32-bit", Medium, means, super::raw::getpid_of_32_bits);
    plain.into_iter().chain([old]).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn here() -> Vec<Probe> {
    Vec::new()
}
