//! Which calls of the kernel are told about, and where in their arguments it says what they are
//! about.

use std::ffi::c_long;

use seccompiler::sock_filter;

/// One call that is told about.
#[derive(Debug)]
pub(crate) struct Traced {
    number: c_long,
    pub(super) parts: &'static [Part],
}

/// What a call is about. The numbers are those of its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A file is opened.
    Open { at: At, flags: Option<u8> },
    /// What goes by this path is changed or removed; a link at its end is followed, or meant itself.
    Change { at: At, follows: bool },
    /// Something is made that goes by this path, if nothing does.
    Make(At),
    /// What goes by one path does so by the other, in place of what did.
    Move { from: At, to: At },
    /// The file behind this descriptor is changed.
    ChangeOpen(u8),
    /// A program is started.
    Execute(At),
    /// This address is connected to.
    Connect { address: u8, length: u8 },
    /// Something is sent to this address.
    Send { address: u8, length: u8 },
    /// The same, in a `struct msghdr`, or in so many `struct mmsghdr`.
    SendMessage { header: u8, count: Option<u8> },
    /// This address is listened at.
    Listen { address: u8, length: u8 },
}

/// A path, and the directory that it is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    pub(super) directory: Option<u8>,
    pub(super) path: u8,
}

const fn at(directory: u8, path: u8) -> At {
    At { directory: Some(directory), path }
}

const CHANGE_AT: Part = Part::Change { at: at(0, 1), follows: true };
const REMOVE_AT: Part = Part::Change { at: at(0, 1), follows: false };

/// The numbers of calls. The newest have the same number on every machine, and no name in `libc`.
#[allow(non_upper_case_globals, reason = "they are named as `libc` names all others")]
mod number {
    use std::ffi::c_long;

    pub(super) use libc::*;

    pub(super) const SYS_fchmodat2: c_long = 452;
    pub(super) const SYS_setxattrat: c_long = 463;
    pub(super) const SYS_removexattrat: c_long = 466;
    pub(super) const SYS_file_setattr: c_long = 469;
}

macro_rules! traced {
    ($($call:ident: $($part:expr),+;)*) => {
        &[$(Traced { number: number::$call, parts: &[$($part),+] }),*]
    };
}

const EVERYWHERE: &[Traced] = traced! {
    SYS_openat: Part::Open { at: at(0, 1), flags: Some(2) };
    SYS_unlinkat: REMOVE_AT;
    SYS_renameat2: Part::Move { from: at(0, 1), to: at(2, 3) };
    SYS_linkat: Part::Make(at(2, 3));
    SYS_symlinkat: Part::Make(at(1, 2));
    SYS_mkdirat: Part::Make(at(0, 1));
    SYS_mknodat: Part::Make(at(0, 1));
    SYS_truncate: Part::Change { at: path(0), follows: true };
    SYS_fchmodat: CHANGE_AT;
    SYS_fchmodat2: CHANGE_AT;
    SYS_fchownat: CHANGE_AT;
    SYS_utimensat: CHANGE_AT;
    SYS_setxattr: Part::Change { at: path(0), follows: true };
    SYS_lsetxattr: Part::Change { at: path(0), follows: false };
    SYS_removexattr: Part::Change { at: path(0), follows: true };
    SYS_lremovexattr: Part::Change { at: path(0), follows: false };
    SYS_setxattrat: CHANGE_AT;
    SYS_removexattrat: CHANGE_AT;
    SYS_file_setattr: CHANGE_AT;
    SYS_fchmod: Part::ChangeOpen(0);
    SYS_fchown: Part::ChangeOpen(0);
    SYS_fsetxattr: Part::ChangeOpen(0);
    SYS_fremovexattr: Part::ChangeOpen(0);
    SYS_execve: Part::Execute(path(0));
    SYS_execveat: Part::Execute(at(0, 1));
    SYS_connect: Part::Connect { address: 1, length: 2 };
    SYS_sendto: Part::Send { address: 4, length: 5 };
    SYS_sendmsg: Part::SendMessage { header: 1, count: None };
    SYS_sendmmsg: Part::SendMessage { header: 1, count: Some(2) };
    SYS_bind: Part::Listen { address: 1, length: 2 };
};

/// What only this processor's kernel has.
#[cfg(target_arch = "x86_64")]
const HERE: &[Traced] = traced! {
    SYS_open: Part::Open { at: path(0), flags: Some(1) };
    SYS_creat: Part::Open { at: path(0), flags: None };
    SYS_unlink: Part::Change { at: path(0), follows: false };
    SYS_rmdir: Part::Change { at: path(0), follows: false };
    SYS_rename: Part::Move { from: path(0), to: path(1) };
    SYS_renameat: Part::Move { from: at(0, 1), to: at(2, 3) };
    SYS_link: Part::Make(path(1));
    SYS_symlink: Part::Make(path(1));
    SYS_mkdir: Part::Make(path(0));
    SYS_mknod: Part::Make(path(0));
    SYS_chmod: Part::Change { at: path(0), follows: true };
    SYS_chown: Part::Change { at: path(0), follows: true };
    SYS_lchown: Part::Change { at: path(0), follows: false };
    SYS_utime: Part::Change { at: path(0), follows: true };
    SYS_utimes: Part::Change { at: path(0), follows: true };
    SYS_futimesat: CHANGE_AT;
};

#[cfg(not(target_arch = "x86_64"))]
const HERE: &[Traced] = &[];

const fn path(path: u8) -> At {
    At { directory: None, path }
}

fn all() -> impl Iterator<Item = &'static Traced> {
    EVERYWHERE.iter().chain(HERE)
}

/// What a call with this number is about.
pub(super) fn parts(number: i32) -> &'static [Part] {
    all().find(|it| it.number == c_long::from(number)).map_or(&[], |it| it.parts)
}

/// The filter that has the kernel tell of these calls, and of no other. What is sent on a
/// connection, without an address, is passed over: it is most of what is sent.
pub(super) fn filter() -> Vec<sock_filter> {
    const LOAD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const NUMBER: u32 = 0;
    const SENDTO_ADDRESS: u32 = 16 + 4 * 8;
    const ALLOW: u32 = 0x7fff_0000;
    const TELL: u32 = libc::SECCOMP_RET_USER_NOTIF;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    // Calls by another table than this processor's own are refused before (`seccomp.rs`).
    let mut filter = vec![step(LOAD, 0, 0, NUMBER)];
    for call in all() {
        let number = u32::try_from(call.number).unwrap_or(u32::MAX);
        if call.number == libc::SYS_sendto {
            // Both halves of the pointer; the number is not looked at after that.
            filter.push(step(IF_EQUAL, 0, 6, number));
            filter.push(step(LOAD, 0, 0, SENDTO_ADDRESS));
            filter.push(step(IF_EQUAL, 0, 2, 0));
            filter.push(step(LOAD, 0, 0, SENDTO_ADDRESS + 4));
            filter.push(step(IF_EQUAL, 1, 0, 0));
            filter.push(step(RETURN, 0, 0, TELL));
            filter.push(step(RETURN, 0, 0, ALLOW));
        } else {
            filter.push(step(IF_EQUAL, 0, 1, number));
            filter.push(step(RETURN, 0, 0, TELL));
        }
    }
    filter.push(step(RETURN, 0, 0, ALLOW));
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the filter says of a call, by its own few instructions.
    fn run(number: u32, sendto_address: u64) -> u32 {
        let halves = sendto_address.to_le_bytes();
        let half = |at: usize| u32::from_le_bytes(halves[at..at + 4].try_into().unwrap());
        let filter = filter();
        let (mut place, mut value) = (0, 0);
        loop {
            let it = &filter[place];
            place += 1;
            match it.code {
                0x20 => {
                    value = match it.k {
                        0 => number,
                        48 => half(0),
                        52 => half(4),
                        other => panic!("loads {other}"),
                    }
                }
                0x15 => place += usize::from(if value == it.k { it.jt } else { it.jf }),
                0x06 => return it.k,
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn the_calls_of_the_table_are_told_about_and_no_other() {
        let tell = libc::SECCOMP_RET_USER_NOTIF;
        for number in 0..500 {
            let is_traced = all().any(|it| it.number == i64::from(number));
            assert_eq!(run(number, 1) == tell, is_traced, "{number}");
            assert_eq!(!parts(i32::try_from(number).unwrap()).is_empty(), is_traced, "{number}");
        }
        let sendto = u32::try_from(libc::SYS_sendto).unwrap();
        assert_ne!(run(sendto, 0), tell, "there is no address to tell about");
        assert_eq!(run(sendto, 1 << 40), tell);
    }

    #[test]
    fn no_call_is_in_the_table_twice() {
        for it in all() {
            assert_eq!(all().filter(|other| other.number == it.number).count(), 1, "{it:?}");
        }
    }
}
