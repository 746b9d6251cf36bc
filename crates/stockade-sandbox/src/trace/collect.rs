//! What was touched, as a list that is bounded: whoever is watched decides how long it would be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many different things of one sort are kept by name. Of the others it is said how many came,
/// and in which root.
pub const SORT_MAX: usize = 100;

/// And so much room they take, in bytes: whoever is watched chooses how long each of them is. All
/// sorts together fit into one record of the ledger, whatever is in their names.
const SORT_BYTES_MAX: usize = 32 << 10;

/// The longest text that is kept of one thing, in bytes. A path can be as long, and longer only by
/// the links in it.
const TEXT_BYTES_MAX: usize = 4096;

/// How something was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// A file or a directory in a root was opened to be read.
    Read,
    /// Something in a root was opened to be written, made, changed or removed.
    Write,
    /// A program was started.
    Execute,
    /// An address of somebody else was connected or sent to.
    Connect,
    /// The same, of itself: its own loopback.
    Own,
    /// An address was listened at.
    Listen,
    /// Files of this place were used that is no root: programs and what they are made of, empty
    /// space for temporary files, or a secret.
    Use,
}

impl How {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Write, Self::Execute, Self::Connect, Self::Own, Self::Listen, Self::Use];

    /// Its name, for a program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
            Self::Connect => "connect",
            Self::Own => "own",
            Self::Listen => "listen",
            Self::Use => "use",
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// One thing that was touched, or was to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touch {
    /// How.
    pub how: How,
    /// Whether the sandbox was in the way.
    pub refused: bool,
    /// A path, with a slash behind it if it is a directory, or an address. `ROOT/**` stands for
    /// what was not kept by name. Not a `Path`, for which that slash would not count.
    pub what: OsString,
}

/// What was touched in some time: each thing once, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// What.
    pub touches: BTreeSet<Touch>,
    /// How many more came of some sort, which was full. The same thing may be among them twice.
    pub more: u64,
    /// How many calls could not be looked into.
    pub unseen: u64,
    /// How many were under way in this time, at most: what is here may belong to any of them.
    pub among: usize,
}

impl Touched {
    /// What was touched in this way, and let pass or not.
    pub fn of(&self, how: How, refused: bool) -> impl Iterator<Item = &OsStr> {
        let of = move |it: &&Touch| it.how == how && it.refused == refused;
        self.touches.iter().filter(of).map(|it| it.what.as_os_str())
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.touches.is_empty() && self.more == 0 && self.unseen == 0
    }
}

/// What a server touches, while it runs. Between [`open`](Self::open) and
/// [`close`](Self::close) of a name everything is kept under that name; where several are open,
/// under each of them, and where none is, by itself.
#[derive(Debug, Default)]
pub struct Trace(Mutex<Windows>);

#[derive(Debug, Default)]
struct Windows {
    open: HashMap<String, Window>,
    outside: Window,
}

#[derive(Debug, Default)]
struct Window {
    touched: Touched,
    kept: BTreeMap<(How, bool), Room>,
}

/// What one sort has taken.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    count: usize,
    bytes: usize,
}

impl Room {
    /// Takes room for one more, if there is any.
    fn take(&mut self, what: &OsStr) -> bool {
        let bytes = self.bytes + written_bytes(what);
        if self.count == SORT_MAX || bytes > SORT_BYTES_MAX {
            return false;
        }
        *self = Self { count: self.count + 1, bytes };
        true
    }
}

/// How long a name becomes at most where it is written down: what is no plain character may be
/// written as six (`\u0001`).
fn written_bytes(what: &OsStr) -> usize {
    let plain = |it: &u8| it.is_ascii_graphic() && !matches!(it, b'"' | b'\\') || *it == b' ';
    what.as_encoded_bytes().iter().map(|it| if plain(it) { 1 } else { 6 }).sum()
}

impl Trace {
    /// Begins to keep what is touched under a name.
    pub fn open(&self, name: &str) {
        let mut windows = self.lock();
        let among = windows.open.len() + 1;
        for window in windows.open.values_mut() {
            window.touched.among = window.touched.among.max(among);
        }
        let mut window = Window::default();
        window.touched.among = among;
        windows.open.insert(name.to_owned(), window);
    }

    /// What was touched since this name was opened. Nothing more is kept under it.
    pub fn close(&self, name: &str) -> Option<Touched> {
        self.lock().open.remove(name).map(|it| it.touched)
    }

    /// What was touched while no name was open, since the last time this was asked.
    pub fn outside(&self) -> Touched {
        std::mem::take(&mut self.lock().outside).touched
    }

    /// Notes whom the server reached, or was not let reach, by way of whoever connects it: to the
    /// kernel, that is an address of the server's own loopback.
    pub fn reached(&self, whom: &str, refused: bool) {
        self.note(&Touch { how: How::Connect, refused, what: whom.into() }, None);
    }

    pub(super) fn note(&self, touch: &Touch, root: Option<&Path>) {
        let bytes = touch.what.as_bytes();
        let short = bytes.get(..TEXT_BYTES_MAX).map(|it| [it, "…".as_bytes()].concat());
        match short {
            Some(it) if bytes.len() > TEXT_BYTES_MAX => {
                let touch = Touch { what: OsString::from_vec(it), ..*touch };
                self.lock().each(|it| it.note(&touch, root));
            }
            Some(_) | None => self.lock().each(|it| it.note(touch, root)),
        }
    }

    pub(super) fn unseen(&self) {
        self.lock().each(|it| it.touched.unseen += 1);
    }

    /// What is behind this lock is whole at every moment.
    fn lock(&self) -> MutexGuard<'_, Windows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Windows {
    fn each(&mut self, mut with: impl FnMut(&mut Window)) {
        if self.open.is_empty() {
            with(&mut self.outside);
        }
        self.open.values_mut().for_each(with);
    }
}

impl Window {
    fn note(&mut self, touch: &Touch, root: Option<&Path>) {
        if self.touched.touches.contains(touch) {
            return;
        }
        let room = self.kept.entry((touch.how, touch.refused)).or_default();
        if room.take(&touch.what) {
            self.touched.touches.insert(touch.clone());
            return;
        }
        self.touched.more += 1;
        if let Some(root) = root {
            // There are no more of these than roots.
            let what = root.join("**").into_os_string();
            self.touched.touches.insert(Touch { what, ..touch.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(how: How, what: impl Into<OsString>) -> Touch {
        Touch { how, refused: false, what: what.into() }
    }

    #[test]
    fn a_flood_of_one_sort_hides_no_other() {
        let trace = Trace::default();
        trace.open("call");
        for number in 0..10_000 {
            let what = format!("/root/{number}");
            trace.note(&touch(How::Read, what), Some(Path::new("/root")));
        }
        trace.note(&touch(How::Write, "/root/x"), Some(Path::new("/root")));
        let touched = trace.close("call").unwrap();
        assert_eq!(touched.of(How::Read, false).count(), SORT_MAX + 1);
        assert!(touched.of(How::Read, false).any(|it| it == "/root/**"));
        assert_eq!(touched.more, 10_000 - SORT_MAX as u64);
        assert_eq!(touched.of(How::Write, false).count(), 1);
        trace.note(&touch(How::Read, "/root/a"), None);
        trace.note(&touch(How::Read, "/root/a/"), None);
        assert_eq!(trace.outside().touches.len(), 2, "a directory is another than a file");
    }

    #[test]
    fn long_names_take_no_more_room_than_short_ones() {
        let trace = Trace::default();
        trace.open("call");
        for number in 0..100 {
            let what = format!("/root/{}{number}", "\u{1}".repeat(1000));
            trace.note(&touch(How::Read, what), Some(Path::new("/root")));
        }
        let long = "a/".repeat(1 << 20);
        trace.note(&touch(How::Write, format!("/root/{long}")), Some(Path::new("/root")));
        let touched = trace.close("call").unwrap();
        let read = touched.of(How::Read, false).collect::<Vec<_>>();
        assert_eq!(read.len(), SORT_BYTES_MAX / 6000 + 1);
        assert!(read.contains(&OsStr::new("/root/**")));
        assert_eq!(touched.more, 100 - read.len() as u64 + 1);
        let written = touched.of(How::Write, false).collect::<Vec<_>>();
        assert_eq!(written.len(), 1);
        assert_eq!(written[0].len(), TEXT_BYTES_MAX + "…".len());
    }

    #[test]
    fn what_happens_during_several_calls_is_kept_under_each() {
        let trace = Trace::default();
        trace.note(&touch(How::Read, "/before"), None);
        trace.open("one");
        trace.note(&touch(How::Read, "/first"), None);
        trace.open("two");
        trace.note(&touch(How::Read, "/both"), None);
        let one = trace.close("one").unwrap();
        trace.note(&touch(How::Read, "/second"), None);
        let two = trace.close("two").unwrap();
        let names = |it: &Touched| it.touches.iter().map(|it| it.what.clone()).collect::<Vec<_>>();
        assert_eq!(names(&one), ["/both", "/first"]);
        assert_eq!(names(&two), ["/both", "/second"]);
        assert_eq!((one.among, two.among), (2, 2));
        assert_eq!(names(&trace.outside()), ["/before"]);
        assert!(trace.outside().is_empty());
        assert_eq!(trace.close("one"), None);
        trace.reached("a.example:443", false);
        trace.reached("b.example:443", true);
        let touched = trace.outside();
        assert!(touched.of(How::Connect, false).eq(["a.example:443"]));
        assert!(touched.of(How::Connect, true).eq(["b.example:443"]));
    }
}
