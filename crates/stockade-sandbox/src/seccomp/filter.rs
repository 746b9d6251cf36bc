//! The filters that refuse, as programs of the kernel: one of all rows that hold for a process.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, sock_filter,
};

use super::Test::{self, Is, IsNot, Masked, Pointer};
use super::{
    FIRST_UNKNOWN, Refused, refused, refused_if_traced, refused_without_namespaces, warden,
};
use crate::cell::Cell;

/// Filters, made before the process is so confined that it could not.
pub(crate) struct Filters(Vec<BpfProgram>);

impl Filters {
    pub(crate) fn new(cell: &Cell) -> io::Result<Self> {
        let mut filters = vec![compiled(refused())?];
        if !cell.namespaces {
            // On its own: a call that is always refused would otherwise be so with some arguments.
            filters.push(compiled(refused_without_namespaces())?);
        }
        Ok(Self(filters))
    }

    /// Those of a server that is traced, in addition. Who starts it hides its own memory.
    pub(crate) fn traced() -> io::Result<Self> {
        Ok(Self(vec![compiled(refused_if_traced())?]))
    }

    /// That of a warden, which lets nothing through but what is named.
    pub(crate) fn of_warden() -> io::Result<Self> {
        Ok(Self(vec![warden::compiled()?]))
    }

    /// So many filters a process has more by it.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// From here on, for this process and all that it starts.
    pub(crate) fn apply(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|it| apply_filter(it).map_err(io::Error::other))
    }
}

/// One filter of all of them.
fn compiled(refused: impl Iterator<Item = &'static Refused>) -> io::Result<BpfProgram> {
    let machine = machine()?;
    let mut by_errno: BTreeMap<i32, BTreeMap<i64, Vec<SeccompRule>>> = BTreeMap::new();
    for refused in refused {
        let rules = by_errno.entry(refused.errno.raw_os_error()).or_default();
        let rules = rules.entry(refused.number).or_default();
        for tests in refused.when {
            let tests = tests.iter().map(Test::condition).collect::<Result<_, _>>();
            rules.push(tests.and_then(SeccompRule::new).map_err(io::Error::other)?);
        }
    }
    let compile = |(errno, rules): (i32, _)| -> Result<BpfProgram, seccompiler::BackendError> {
        let refuse = SeccompAction::Errno(errno.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, machine)?;
        filter.try_into()
    };
    // A socket of a family that there is not is told so, whatever else it asks for.
    let filters = by_errno.into_iter().rev().map(compile).collect::<Result<Vec<_>, _>>();
    Ok(joined(filters.map_err(io::Error::other)?))
}

pub(super) fn machine() -> io::Result<TargetArch> {
    TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)
}

/// One program of several, each of which has one answer: what one lets through goes on to the next.
/// The kernel would go through as many filters for whatever it goes through one for.
fn joined(programs: Vec<BpfProgram>) -> BpfProgram {
    const JUMP: u16 = 0x05;
    const ALLOW: u32 = 0x7fff_0000;
    let last = programs.len().saturating_sub(1);
    let mut joined: BpfProgram = other_tables().into();
    for (number, mut program) in programs.into_iter().enumerate() {
        let ahead = (0..program.len()).rev();
        for (step, ahead) in program.iter_mut().zip(ahead).filter(|_| number != last) {
            if (step.code, step.k) == (RETURN, ALLOW) {
                let k = u32::try_from(ahead).unwrap_or(u32::MAX);
                *step = sock_filter { code: JUMP, jt: 0, jf: 0, k };
            }
        }
        joined.append(&mut program);
    }
    joined
}

const RETURN: u16 = 0x06;

#[cfg(target_arch = "x86_64")]
const OURS: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const OURS: u32 = 0xc000_00b7;

impl Test {
    fn condition(&self) -> Result<SeccompCondition, seccompiler::BackendError> {
        let (argument, operation, value) = match *self {
            Pointer(argument) => {
                let whole = SeccompCmpArgLen::Qword;
                return SeccompCondition::new(argument, whole, SeccompCmpOp::Ne, 0);
            }
            Is(argument, value) => (argument, SeccompCmpOp::Eq, value),
            IsNot(argument, value) => (argument, SeccompCmpOp::Ne, value),
            Masked(argument, mask, value) => (argument, SeccompCmpOp::MaskedEq(mask.into()), value),
        };
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value.into())
    }
}

/// Calls by another table than this processor's own (32-bit code, x32), and those that are newer
/// than this list, do not exist. The compiled filters would kill for the former, and know nothing
/// of the latter.
fn other_tables() -> [sock_filter; 6] {
    const LOAD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const IF_AT_LEAST: u16 = 0x35;
    const NUMBER: u32 = 0;
    const MACHINE: u32 = 4;
    const REFUSE: u32 = 0x0005_0000 | libc::ENOSYS.unsigned_abs();
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    [
        step(LOAD, 0, 0, MACHINE),
        step(IF_EQUAL, 0, 2, OURS),
        step(LOAD, 0, 0, NUMBER),
        step(IF_AT_LEAST, 0, 1, FIRST_UNKNOWN),
        step(RETURN, 0, 0, REFUSE),
        // To where the compiled filters begin; they load what they need themselves.
        step(LOAD, 0, 0, MACHINE),
    ]
}

#[cfg(test)]
mod tests {
    use std::ffi::c_long;

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn the_filters_are_not_too_long_for_the_kernel() {
        let filters = Filters::new(&Cell::default()).unwrap();
        assert!(filters.0.iter().all(|it| it.len() < 4096));
    }

    /// What a filter says of a call, by its own few instructions.
    fn run(filter: &[sock_filter], number: c_long, arguments: [u64; 6]) -> u32 {
        let mut data = [0; 64];
        data[0..4].copy_from_slice(&i32::try_from(number).unwrap().to_le_bytes());
        data[4..8].copy_from_slice(&OURS.to_le_bytes());
        for (place, argument) in data[16..].chunks_mut(8).zip(arguments) {
            place.copy_from_slice(&argument.to_le_bytes());
        }
        let (mut place, mut value) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = filter[place];
            place += 1;
            let jump = |holds| usize::from(if holds { jt } else { jf });
            match code {
                0x20 => {
                    let at = usize::try_from(k).unwrap();
                    value = u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
                }
                0x05 => place += usize::try_from(k).unwrap(),
                0x06 => return k,
                0x15 => place += jump(value == k),
                0x25 => place += jump(value > k),
                0x35 => place += jump(value >= k),
                0x54 => value &= k,
                code => panic!("{code:#x} is not known here"),
            }
        }
    }

    #[test]
    fn the_joined_filter_says_of_every_call_what_its_parts_do() {
        let filter = compiled(refused()).unwrap();
        let says = |errno: Errno| 0x0005_0000 | errno.raw_os_error().unsigned_abs();
        for it in refused().filter(|it| it.is_always()) {
            assert_eq!(run(&filter, it.number, [0; 6]), says(it.errno), "{}", it.name);
        }
        for (number, arguments, answer) in [
            (libc::SYS_read, [0; 6], 0x7fff_0000),
            (libc::SYS_socket, [2, 1, 0, 0, 0, 0], 0x7fff_0000),
            (libc::SYS_socket, [1, 1, 0, 0, 0, 0], says(Errno::AFNOSUPPORT)),
            (libc::SYS_socket, [16, 3, 0, 0, 0, 0], says(Errno::AFNOSUPPORT)),
            (libc::SYS_socket, [2, 3, 0, 0, 0, 0], says(Errno::PROTONOSUPPORT)),
            (libc::SYS_socketpair, [1, 1, 0, 0, 0, 0], 0x7fff_0000),
            (libc::SYS_socketpair, [1, 2, 0, 0, 0, 0], says(Errno::OPNOTSUPP)),
            (libc::SYS_clone, [0x1000_0011, 0, 0, 0, 0, 0], says(Errno::PERM)),
            (libc::SYS_clone, [0x0120_0011, 0, 0, 0, 0, 0], 0x7fff_0000),
            (c_long::from(FIRST_UNKNOWN), [0; 6], says(Errno::NOSYS)),
        ] {
            assert_eq!(run(&filter, number, arguments), answer, "{number} {arguments:?}");
        }
    }
}
