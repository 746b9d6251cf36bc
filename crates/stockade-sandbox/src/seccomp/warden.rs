//! What a warden may still ask of the kernel when its server runs: to wait, to say how that ended, and
//! to ask the server to end. Here the list is of what is allowed, since all that it does is known: a
//! server that took its warden over would have less than it has itself.

use std::collections::BTreeMap;
use std::ffi::c_long;
use std::io;

use rustix::io::Errno;
use rustix::process::Signal;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Whatever the arguments are.
const ALWAYS: &[c_long] = &[
    // What is watched over, and what is said.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_sendmsg,
    libc::SYS_close,
    libc::SYS_ppoll,
    libc::SYS_pidfd_open,
    libc::SYS_wait4,
    libc::SYS_getpid,
    // A wait that a stop has interrupted goes on with it.
    libc::SYS_restart_syscall,
    // What the C library asks where the clock is not read without a call.
    libc::SYS_clock_gettime,
    // Memory that is given back, or had.
    libc::SYS_madvise,
    libc::SYS_munmap,
    libc::SYS_brk,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// With one argument that is this: memory that is no program, a signal that asks, and to be hidden
/// from whoever traces.
const SOMETIMES: &[(c_long, &[Is])] = &[
    (libc::SYS_mmap, &[(2, SeccompCmpOp::MaskedEq(PROT_EXEC), 0)]),
    (libc::SYS_kill, &[(1, SeccompCmpOp::Eq, TERM)]),
    (libc::SYS_prctl, &[(0, SeccompCmpOp::Eq, SET_DUMPABLE), (1, SeccompCmpOp::Eq, 0)]),
];

/// An argument's low 32 bits, how they are compared, and with what.
type Is = (u8, SeccompCmpOp, u64);

const PROT_EXEC: u64 = libc::PROT_EXEC.cast_unsigned() as u64;
const TERM: u64 = Signal::TERM.as_raw().cast_unsigned() as u64;
const SET_DUMPABLE: u64 = libc::PR_SET_DUMPABLE.cast_unsigned() as u64;

pub(super) fn compiled() -> io::Result<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALWAYS.iter().map(|it| (*it, Vec::new())).collect();
    for (number, tests) in SOMETIMES {
        let tests = tests.iter().map(|(argument, is, value)| {
            SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, is.clone(), *value)
        });
        let rule = tests.collect::<Result<_, _>>().and_then(SeccompRule::new);
        rules.insert(*number, vec![rule.map_err(io::Error::other)?]);
    }
    let refuse = SeccompAction::Errno(Errno::PERM.raw_os_error().unsigned_abs());
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, super::filter::machine()?);
    filter.and_then(BpfProgram::try_from).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::UdpSocket;
    use std::process::Command;
    use std::thread;

    use rustix::process::{getpid, kill_process, test_kill_process};
    use rustix::thread::set_no_new_privs;

    use super::*;
    use crate::seccomp::Filters;

    #[test]
    fn a_warden_opens_starts_and_reaches_nothing() {
        // A filter of one thread is no other's.
        let refused = thread::spawn(|| {
            set_no_new_privs(true).unwrap();
            let here = rustix::pipe::pipe().unwrap();
            Filters::of_warden().unwrap().apply().unwrap();
            let works = rustix::io::write(&here.1, b"x") == Ok(1)
                && rustix::io::read(&here.0, &mut [0; 1]) == Ok(1);
            let tried = [
                File::open("/proc/self/status").err(),
                Command::new("true").spawn().err(),
                UdpSocket::bind("127.0.0.1:0").err(),
                test_kill_process(getpid()).err().map(io::Error::from),
                kill_process(getpid(), Signal::KILL).err().map(io::Error::from),
                set_no_new_privs(true).err().map(io::Error::from),
            ];
            (works, tried.map(|it| it.and_then(|it| it.raw_os_error())))
        });
        let (works, tried) = refused.join().unwrap();
        assert!(works);
        assert_eq!(tried, [Some(Errno::PERM.raw_os_error()); 6]);
    }
}
