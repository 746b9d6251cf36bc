//! The guard's side: what the kernel tells of, looked into, noted, and let go on.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::calls::{self, At, Part};
use super::place::{Place, Places, Whose};
use super::read::{Address, Memory};
use super::resolve::{Asker, Found, found, root_of};
use super::{How, Touch, Trace};
use crate::raw::{self, Told};
use crate::spec::SECRETS_DIR;

/// Watches one server.
#[derive(Debug)]
pub(super) struct Watch {
    listener: OwnedFd,
    places: Places,
    trace: Arc<Trace>,
    /// All of a server's processes have the same root, since none may change it.
    root: Option<OwnedFd>,
}

/// What was touched, and the root that it is in.
type Noted = (Touch, Option<PathBuf>);

/// What is done to what a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Read,
    /// And made, if it is not there.
    Write {
        makes: bool,
    },
    /// The same, without being opened: whether that is permitted is up to its directory.
    Change,
    Make,
    Replace,
    Execute,
}

impl Watch {
    pub(super) fn new(listener: OwnedFd, places: Places, trace: Arc<Trace>) -> Self {
        Self { listener, places, trace, root: None }
    }

    /// Watches until no process is left. Should it end before, the kernel refuses every call that
    /// would have been told about.
    pub(super) fn stand(mut self) {
        loop {
            let mut listener = [PollFd::new(&self.listener, PollFlags::IN)];
            if retry_on_intr(|| poll(&mut listener, None)).is_err() {
                return;
            }
            let [listener] = listener;
            if !listener.revents().contains(PollFlags::IN) {
                return;
            }
            let told = match raw::told(self.listener.as_fd()) {
                Ok(told) => told,
                // Whoever made the call was killed in the meantime.
                Err(error) if again(&error) => continue,
                Err(_) => return,
            };
            let noted = self.look(&told);
            // Only now is it certain that what was read belongs to this call.
            if raw::still_waits(self.listener.as_fd(), told.id) {
                match noted {
                    Some(noted) => noted
                        .iter()
                        .for_each(|(touch, root)| self.trace.note(touch, root.as_deref())),
                    None => self.trace.unseen(),
                }
            }
            match raw::go_on(self.listener.as_fd(), told.id) {
                Err(error) if !again(&error) => return,
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// What a call touches; nothing is known where its process cannot be looked into.
    fn look(&mut self, told: &Told) -> Option<Vec<Noted>> {
        let root = match self.root.take() {
            Some(root) => root,
            None => {
                let root = root_of(told.thread)?;
                // That of another process, which has the number now, would not be the server's, and
                // is not looked into.
                raw::still_waits(self.listener.as_fd(), told.id).then_some(root)?
            }
        };
        let asker = Asker { root: root.as_fd(), thread: told.thread };
        let memory = Memory::of(told.thread)?;
        let parts = calls::parts(told.number).iter();
        let noted =
            parts.map(|it| self.part(*it, told, asker, &memory)).collect::<Option<Vec<_>>>();
        self.root = Some(root);
        noted.map(|it| it.into_iter().flatten().collect())
    }

    fn part(
        &self,
        part: Part,
        told: &Told,
        asker: Asker<'_>,
        memory: &Memory,
    ) -> Option<Vec<Noted>> {
        let argument =
            |number: u8| told.arguments.get(usize::from(number)).copied().unwrap_or_default();
        let path = |at: At, follows: bool| named(at, (follows, false), argument, asker, memory);
        let path_or_open = |at: At| named(at, (true, true), argument, asker, memory);
        let addresses = |how: How, address: u8, length: u8, sends: bool| {
            if argument(address) == 0 {
                return Some(Vec::new());
            }
            let address = memory.address(argument(address), argument(length), sends)?;
            Some(address.iter().filter_map(|it| self.addressed(how, it)).collect())
        };
        Some(match part {
            Part::Open { at, flags } => {
                let created = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
                let flags = flags.map_or(created, |it| low(argument(it)));
                let has = |flag: i32| flags & flag == flag;
                let makes_new = has(libc::O_CREAT | libc::O_EXCL);
                let found = path(at, !has(libc::O_NOFOLLOW) && !makes_new)?;
                self.opened(found, flags).into_iter().collect()
            }
            Part::Change { at, follows } => {
                let found = if follows { path_or_open(at)? } else { path(at, false)? };
                self.done(Deed::Change, &found).into_iter().collect()
            }
            Part::Move { from, to } => {
                let source = path(from, false)?;
                let to = path(to, false)?;
                let moves = !matches!(source, Found::Missing { .. } | Found::Nothing);
                let replaced = moves.then(|| self.done(Deed::Replace, &to)).flatten();
                self.done(Deed::Change, &source).into_iter().chain(replaced).collect()
            }
            Part::Make(at) => self.done(Deed::Make, &path(at, false)?).into_iter().collect(),
            Part::ChangeOpen(descriptor) => match asker.open(low(argument(descriptor)))? {
                Some(open) => self.done(Deed::Change, &found(&open)?).into_iter().collect(),
                None => Vec::new(),
            },
            Part::Execute(at) => self.done(Deed::Execute, &path_or_open(at)?).into_iter().collect(),
            Part::Connect { address, length } => addresses(How::Connect, address, length, false)?,
            Part::Send { address, length } => addresses(How::Connect, address, length, true)?,
            Part::Listen { address, length } => addresses(How::Listen, address, length, false)?,
            Part::SendMessage { header, count } => {
                let found = memory.addresses(argument(header), count.map(argument))?;
                found.iter().filter_map(|it| self.addressed(How::Connect, it)).collect()
            }
        })
    }

    fn opened(&self, found: Found, flags: i32) -> Option<Noted> {
        let has = |flag: i32| flags & flag == flag;
        if has(libc::O_PATH) {
            // Neither is read nor written through it; what is opened by way of it is looked at then.
            return None;
        }
        if let Found::There { about, .. } = &found {
            let is_new = has(libc::O_CREAT | libc::O_EXCL);
            if is_new || kind(about) == FileType::Symlink {
                // It is there already, or is not followed: nothing is opened.
                return None;
            }
        }
        let is_directory =
            matches!(&found, Found::There { about, .. } if kind(about) == FileType::Directory);
        let is_file = matches!(&found, Found::There { .. }) && !is_directory;
        if has(libc::O_DIRECTORY) && is_file {
            return None;
        }
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || has(libc::O_TRUNC);
        let makes = has(libc::O_CREAT) || has(libc::O_TMPFILE);
        if is_directory && writes && !has(libc::O_TMPFILE) {
            // A directory is not opened to be written, but for a file in it without a name.
            return None;
        }
        let deed = if writes || makes { Deed::Write { makes } } else { Deed::Read };
        match (&found, deed) {
            // A file that is there is not made, and may be read only.
            (Found::There { .. }, Deed::Write { .. }) if !writes => self.done(Deed::Read, &found),
            _ => self.done(deed, &found),
        }
    }

    /// What it comes to that this is done to what was found.
    fn done(&self, deed: Deed, found: &Found) -> Option<Noted> {
        let how = match deed {
            Deed::Read => How::Read,
            Deed::Write { .. } | Deed::Change | Deed::Make | Deed::Replace => How::Write,
            Deed::Execute => How::Execute,
        };
        let noted = |refused: bool, path: &Path, root: Option<&Path>| {
            let touch = Touch { how, refused, what: path.into() };
            Some((touch, root.filter(|_| !refused).map(Path::to_owned)))
        };
        let used = |place: &Path| {
            Some((Touch { how: How::Use, refused: false, what: place.into() }, None))
        };
        match found {
            Found::Nothing => None,
            Found::NoFile { name } if deed == Deed::Execute => noted(false, name, None),
            Found::NoFile { .. } => None,
            Found::Closed { path } => noted(true, path, None),
            Found::Missing { path, fits } => {
                let makes = *fits
                    && matches!(deed, Deed::Write { makes: true } | Deed::Make | Deed::Replace);
                match self.places.at(path) {
                    Place::Hidden => noted(true, path, None),
                    Place::Root { root, writes } if makes => noted(!writes, path, Some(root)),
                    Place::Programs(_) if makes => noted(true, path, None),
                    Place::Scratch(at) if makes => used(at),
                    Place::Root { .. } | Place::Programs(_) | Place::Scratch(_) | Place::Nobody => {
                        None
                    }
                }
            }
            Found::There { .. } if deed == Deed::Make => None,
            Found::There { path, about } => {
                let shown = shown(path, about);
                let may = |wanted: u32| self.permits(about, wanted);
                match (self.places.at(path), how) {
                    (Place::Nobody | Place::Hidden, How::Execute) => noted(true, &shown, None),
                    (Place::Hidden, How::Read) if path.starts_with(SECRETS_DIR) => used(path),
                    (Place::Nobody, _) | (Place::Hidden, How::Read) => None,
                    (Place::Hidden, _) => noted(true, &shown, None),
                    (Place::Scratch(_), How::Execute) => noted(true, &shown, None),
                    (Place::Scratch(at), _) => used(at),
                    (Place::Programs(_) | Place::Root { .. }, How::Read) if !may(4) => {
                        noted(true, &shown, None)
                    }
                    (Place::Programs(at), How::Read) => used(at),
                    (Place::Programs(_), How::Execute) => noted(!may(1), &shown, None),
                    (Place::Programs(_), _) => noted(true, &shown, None),
                    (Place::Root { root, .. }, How::Read) => noted(false, &shown, Some(root)),
                    (Place::Root { root, writes }, How::Execute) => {
                        noted(writes || !may(1), &shown, Some(root))
                    }
                    (Place::Root { root, writes }, _) => {
                        let opens = matches!(deed, Deed::Write { .. });
                        noted(!writes || (opens && !may(2)), &shown, Some(root))
                    }
                }
            }
        }
    }

    /// What it comes to that this address is connected to or listened at. There is no other network
    /// than the server's own loopback.
    fn addressed(&self, how: How, address: &Address) -> Option<Noted> {
        let (how, refused, what) = match address {
            Address::Internet(it) => {
                let whose = self.places.whose(it.ip());
                let how = match (how, whose) {
                    (How::Listen, _) => How::Listen,
                    // Whom it reaches there is said by the guard.
                    (_, Whose::Guard) => return None,
                    (_, Whose::Own) => How::Own,
                    (_, Whose::Other) => How::Connect,
                };
                (how, whose == Whose::Other, OsString::from(it.to_string()))
            }
            Address::Path(path) => (how, true, path.into()),
        };
        Some((Touch { how, refused, what }, None))
    }

    /// Whether the bits of a file let the server read (4), write (2) or execute (1) it.
    fn permits(&self, about: &Stat, wanted: u32) -> bool {
        let shift = if about.st_uid == self.places.uid {
            6
        } else if about.st_gid == self.places.gid {
            3
        } else {
            0
        };
        (about.st_mode >> shift) & wanted == wanted
    }
}

/// What a path in the arguments of a call leads to. An empty one is the descriptor itself
/// (`AT_EMPTY_PATH`) where `empty` is, and nothing elsewhere.
fn named(
    at: At,
    (follows, empty): (bool, bool),
    argument: impl Fn(u8) -> u64,
    asker: Asker<'_>,
    memory: &Memory,
) -> Option<Found> {
    let directory = at.directory.map(|it| low(argument(it))).filter(|it| *it != libc::AT_FDCWD);
    let pointer = argument(at.path);
    let path = if pointer == 0 { PathBuf::new() } else { memory.path(pointer)? };
    let is_empty = path.as_os_str().is_empty();
    if is_empty && !empty {
        return Some(Found::Nothing);
    }
    if path.is_absolute() {
        return asker.find(asker.start()?, &path, follows);
    }
    let base = match directory {
        Some(descriptor) => match asker.open(descriptor)? {
            Some(open) => open,
            // A descriptor that is not open fails the call.
            None => return Some(Found::Nothing),
        },
        None => asker.directory()?,
    };
    if is_empty { found(&base) } else { asker.find(base, &path, follows) }
}

/// A directory ends with a slash.
fn shown(path: &Path, about: &Stat) -> PathBuf {
    if kind(about) == FileType::Directory { path.join("") } else { path.to_owned() }
}

fn kind(about: &Stat) -> FileType {
    FileType::from_raw_mode(about.st_mode)
}

/// Descriptors and flags are the low half of an argument.
fn low(argument: u64) -> i32 {
    u32::try_from(argument & 0xffff_ffff).unwrap_or_default().cast_signed()
}

/// Whether the call is gone, or a signal came.
fn again(error: &std::io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::NOENT | Errno::INTR))
}
