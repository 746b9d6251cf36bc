//! What the guard, the keeper and the warden say to each other over their socket, and how the
//! descriptors travel. Both ends are the same binary, so there is no version in it; yet nothing
//! here panics on what it reads.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::cell::Cell;
use crate::engine::Ship;
use crate::reached::Limit;
use crate::spec::SPEC_BYTES_MAX;
use crate::{Ends, Exit, Spec};

/// What the guard asks of the keeper.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) spec: Spec,
    /// What holds the server, if something does.
    pub(crate) cell: Option<Cell>,
    /// The engine whose client is started, if it is an engine that holds the server.
    pub(crate) ship: Option<Ship>,
    /// The means that must hold; the best that is possible when there is none.
    pub(crate) ends: Option<Ends>,
    /// The server's ends of its standard input, output and error.
    pub(crate) stdio: [OwnedFd; 3],
}

impl Order {
    /// The cell that keeper and warden build themselves, rather than an engine.
    pub(crate) fn confined(&self) -> Option<&Cell> {
        self.cell.as_ref().filter(|_| self.ship.is_none())
    }
}

/// What keeper and warden tell the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The server runs; descriptors of warden and server come with it, and those of the doors.
    Started(Ends),
    Failed(Failure),
    Exited(Exit),
    /// A limit was run into.
    Reached(Limit),
    /// From now on the kernel tells of the server's calls, by the descriptor that comes with it.
    Traced,
}

/// The step that failed, and what the kernel said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) errno: i32,
    /// Which mount of the cell it is about, where it is about one.
    pub(crate) place: i32,
}

/// The steps between the order and the running server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Order,
    Alone,
    Keep,
    Namespace,
    Proc,
    Fork,
    Session,
    Directory,
    Stdio,
    Descriptors,
    Interpreter,
    Execute,
    Group,
    Identity,
    UserNamespace,
    Ids,
    Keyring,
    Separate,
    Place,
    Shown,
    Root,
    Loopback,
    Doors,
    Limits,
    Privileges,
    Landlock,
    Filter,
    Trace,
    Tell,
}

impl Step {
    const ALL: [Self; 29] = [
        Self::Order,
        Self::Alone,
        Self::Keep,
        Self::Namespace,
        Self::Proc,
        Self::Fork,
        Self::Session,
        Self::Directory,
        Self::Stdio,
        Self::Descriptors,
        Self::Interpreter,
        Self::Execute,
        Self::Group,
        Self::Identity,
        Self::UserNamespace,
        Self::Ids,
        Self::Keyring,
        Self::Separate,
        Self::Place,
        Self::Shown,
        Self::Root,
        Self::Loopback,
        Self::Doors,
        Self::Limits,
        Self::Privileges,
        Self::Landlock,
        Self::Filter,
        Self::Trace,
        Self::Tell,
    ];

    pub(crate) fn because(self, errno: Errno) -> Failure {
        Failure { step: self, errno: errno.raw_os_error(), place: 0 }
    }

    pub(crate) fn because_io(self, error: &io::Error) -> Failure {
        let errno = error.raw_os_error().unwrap_or(Errno::PROTO.raw_os_error());
        Failure { step: self, errno, place: 0 }
    }

    pub(crate) fn says(self) -> &'static str {
        match self {
            Self::Order => "the keeper did not understand its order",
            Self::Alone => "the keeper must be asked for before the program starts a thread",
            Self::Keep => "the keeper could not watch over the warden",
            Self::Namespace => "no pid namespace",
            Self::Proc => "`/proc` does not show the processes of this machine",
            Self::Fork => "no new process",
            Self::Session => "no session of its own",
            Self::Directory => "no such working directory",
            Self::Stdio => "standard input, output and error could not be set",
            Self::Descriptors => "inherited descriptors could not be closed",
            Self::Interpreter => "no such interpreter",
            Self::Execute => "the program could not be executed",
            Self::Group => "no control group",
            Self::Identity => "no ordinary uid",
            Self::UserNamespace => "no user namespace",
            Self::Ids => "no ids from `newuidmap`",
            Self::Keyring => "no keyring of its own",
            Self::Separate => "no namespaces of its own",
            Self::Place => "a place could not be mounted",
            Self::Shown => "something that shows the machine is mounted in a root",
            Self::Root => "no root of its own",
            Self::Loopback => "no loopback interface",
            Self::Doors => "no sockets for whom it may reach",
            Self::Limits => "no limits",
            Self::Privileges => "privileges could not be given away",
            Self::Landlock => "no Landlock",
            Self::Filter => "no seccomp filter",
            Self::Trace => "what it touches cannot be told",
            Self::Tell => "the guard could not be handed what it needs to hold it",
        }
    }
}

impl Failure {
    pub(crate) const BYTES: usize = 12;

    /// The same, about one mount of the cell.
    pub(crate) fn at(self, place: usize) -> Self {
        Self { place: i32::try_from(place).unwrap_or(i32::MAX), ..self }
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let step = Step::ALL.iter().position(|it| *it == self.step);
        let step = step.and_then(|it| i32::try_from(it).ok()).unwrap_or(-1);
        pack([step, self.errno, self.place])
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [step, errno, place] = unpack(bytes)?;
        let step = *Step::ALL.get(usize::try_from(step).ok()?)?;
        Some(Self { step, errno, place })
    }
}

impl Answer {
    pub(crate) const BYTES: usize = 16;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let (kind, [a, b, c]) = match self {
            Self::Started(Ends::Namespace) => (0, [0, 0, 0]),
            Self::Started(Ends::Subreaper) => (0, [1, 0, 0]),
            Self::Failed(failure) => (1, unpack(&failure.to_bytes()).unwrap_or([-1, 0, 0])),
            Self::Exited(Exit::Code(code)) => (2, [0, code, 0]),
            Self::Exited(Exit::Signal(signal)) => (2, [1, signal, 0]),
            Self::Reached(limit) => {
                let place = Limit::ALL.iter().position(|it| *it == limit);
                (3, [place.and_then(|it| i32::try_from(it).ok()).unwrap_or(-1), 0, 0])
            }
            Self::Traced => (4, [0, 0, 0]),
        };
        pack([kind, a, b, c])
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match unpack(bytes)? {
            [0, 0, 0, 0] => Some(Self::Started(Ends::Namespace)),
            [0, 1, 0, 0] => Some(Self::Started(Ends::Subreaper)),
            [1, step, errno, place] => {
                let failure = pack::<3, { Failure::BYTES }>([step, errno, place]);
                Failure::from_bytes(&failure).map(Self::Failed)
            }
            [2, 0, code, 0] => Some(Self::Exited(Exit::Code(code))),
            [2, 1, signal, 0] => Some(Self::Exited(Exit::Signal(signal))),
            [3, limit, 0, 0] => {
                Limit::ALL.get(usize::try_from(limit).ok()?).copied().map(Self::Reached)
            }
            [4, 0, 0, 0] => Some(Self::Traced),
            _ => None,
        }
    }

    pub(crate) fn send(self, socket: &UnixStream, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        send(socket, &self.to_bytes(), fds)
    }

    /// An answer and the descriptors that came with it; `None` when the others are gone.
    pub(crate) fn receive(socket: &UnixStream) -> io::Result<Option<(Self, Vec<OwnedFd>)>> {
        let mut bytes = [0; Self::BYTES];
        let (count, fds) = receive(socket, &mut bytes)?;
        if count == 0 {
            return Ok(None);
        }
        let answer = bytes.get(..count).and_then(Self::from_bytes);
        answer.map(|it| Some((it, fds))).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

impl Order {
    const HEAD_BYTES: usize = 16;

    /// All three are encoded. They go over the socket and not as arguments or variables of the
    /// keeper, which every process of the machine, or of the user, may read.
    pub(crate) fn send(
        socket: &mut UnixStream,
        spec: &[u8],
        cell: Option<&[u8]>,
        ship: Option<&[u8]>,
        ends: Option<Ends>,
        stdio: [BorrowedFd<'_>; 3],
    ) -> io::Result<()> {
        let length = |it: &[u8]| i32::try_from(it.len()).map_err(io::Error::other);
        let (cell_length, ship_length) =
            (cell.map_or(Ok(-1), length)?, ship.map_or(Ok(-1), length)?);
        let wanted = match ends {
            None => 0,
            Some(Ends::Namespace) => 1,
            Some(Ends::Subreaper) => 2,
        };
        send(
            socket,
            &pack::<4, { Self::HEAD_BYTES }>([wanted, length(spec)?, cell_length, ship_length]),
            &stdio,
        )?;
        io::Write::write_all(socket, spec)?;
        io::Write::write_all(socket, cell.unwrap_or_default())?;
        io::Write::write_all(socket, ship.unwrap_or_default())
    }

    pub(crate) fn receive(socket: &mut UnixStream) -> io::Result<Self> {
        let garbled = || io::Error::from(io::ErrorKind::InvalidData);
        let mut head = [0; Self::HEAD_BYTES];
        let (count, fds) = receive(socket, &mut head)?;
        let stdio = <[OwnedFd; 3]>::try_from(fds).map_err(|_| garbled())?;
        let [wanted, length, cell_length, ship_length] =
            head.get(..count).and_then(unpack).ok_or_else(garbled)?;
        let ends = match wanted {
            0 => None,
            1 => Some(Ends::Namespace),
            2 => Some(Ends::Subreaper),
            _ => return Err(garbled()),
        };
        let mut read = |length: i32| {
            let length = usize::try_from(length).map_err(io::Error::other)?;
            if length > SPEC_BYTES_MAX {
                return Err(garbled());
            }
            let mut bytes = vec![0; length];
            socket.read_exact(&mut bytes).map(|()| bytes)
        };
        let spec = Spec::decode(&read(length)?).ok_or_else(garbled)?;
        let cell = match cell_length {
            -1 => None,
            length => Some(Cell::decode(&read(length)?).ok_or_else(garbled)?),
        };
        let ship = match ship_length {
            -1 => None,
            length => Some(Ship::decode(&read(length)?).ok_or_else(garbled)?),
        };
        Ok(Self { spec, cell, ship, ends, stdio })
    }
}

/// Warden, server, and more doors than there can be.
const FDS_MAX: usize = 64;

fn send(socket: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let count = retry_on_intr(|| {
        sendmsg(socket.as_fd(), &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)
    })?;
    if count == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

fn receive(socket: &UnixStream, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let got = retry_on_intr(|| {
        let into = &mut [IoSliceMut::new(bytes)];
        recvmsg(socket.as_fd(), into, &mut beside, RecvFlags::CMSG_CLOEXEC)
    })?;
    let rights = beside.drain().filter_map(|it| match it {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        RecvAncillaryMessage::ScmCredentials(_) | _ => None,
    });
    Ok((got.bytes, rights.flatten().collect()))
}

fn pack<const N: usize, const BYTES: usize>(numbers: [i32; N]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

fn unpack<const N: usize>(bytes: &[u8]) -> Option<[i32; N]> {
    let (chunks, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<i32> = chunks.iter().map(|it| i32::from_le_bytes(*it)).collect();
    if rest.is_empty() { numbers.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_makes_no_sense_is_an_error() {
        for bytes in [&[9; 16][..], &[0; 15], &[1, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            let (here, there) = UnixStream::pair().unwrap();
            send(&here, bytes, &[]).unwrap();
            assert!(Answer::receive(&there).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn every_answer_arrives_as_it_was_sent() {
        let exits = [Exit::Code(3), Exit::Code(-1), Exit::Signal(9)].map(Answer::Exited);
        let ends = [Ends::Namespace, Ends::Subreaper].map(Answer::Started);
        let reached = Limit::ALL.map(Answer::Reached);
        let failures = Step::ALL.map(|step| Answer::Failed(Failure { step, errno: 13, place: 7 }));
        let (here, there) = UnixStream::pair().unwrap();
        let answers = exits.into_iter().chain(ends).chain(reached).chain(failures);
        for answer in answers.chain([Answer::Traced]) {
            answer.send(&here, &[here.as_fd()]).unwrap();
            let (arrived, fds) = Answer::receive(&there).unwrap().unwrap();
            assert_eq!((arrived, fds.len()), (answer, 1));
        }
        drop(here);
        assert!(Answer::receive(&there).unwrap().is_none());
    }

    #[test]
    fn an_order_without_its_descriptors_is_refused() {
        let (here, mut there) = UnixStream::pair().unwrap();
        send(&here, &[0; Order::HEAD_BYTES], &[here.as_fd()]).unwrap();
        assert!(Order::receive(&mut there).is_err());
    }
}
