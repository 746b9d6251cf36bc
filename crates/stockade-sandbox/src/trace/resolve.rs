//! What a path means to a server, at this moment: walked name by name from a descriptor of where it
//! begins, in the server's own root, each link in it followed. Where it has led is a descriptor at
//! every step and never a text, so `..`, a directory that is gone and one that lies too deep to be
//! named lead where the kernel says. Nothing is opened but to look at what it is (`O_PATH`).

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, Stat, StatxFlags, fstat,
    fstatfs, openat, openat2, readlinkat, statx,
};
use rustix::io::Errno;

/// As many as the kernel follows.
const LINKS_MAX: usize = 40;
/// So many names are looked up for one path, those of its links among them: the server's own limit
/// of processor time does not hold for this. What has more is not seen, and counted.
const NAMES_MAX: usize = 512;
/// The longest path that is put together, in bytes.
const PATH_BYTES_MAX: usize = 4096;
/// The number of the root of `/proc`.
const PROC_ROOT: u64 = 1;

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    There {
        path: PathBuf,
        about: Stat,
    },
    /// Nothing is there.
    Missing {
        path: PathBuf,
        /// Whether something could be made there: all that is before it is a directory.
        fits: bool,
    },
    /// It may not be looked at.
    Closed {
        path: PathBuf,
    },
    /// A descriptor that has no name among the files.
    NoFile {
        name: PathBuf,
    },
    /// Something in `/proc`, or a path that leads to nothing whatever is at its end.
    Nothing,
}

/// Who asks, and in which root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) root: BorrowedFd<'a>,
    pub(super) thread: u32,
}

/// The root of a process.
pub(super) fn root_of(thread: u32) -> Option<OwnedFd> {
    behind(CWD, format!("/proc/{thread}/root")).ok()
}

impl Asker<'_> {
    /// What a descriptor of the asker is, if it is open. Nothing, where that is not known.
    pub(super) fn open(&self, descriptor: i32) -> Option<Option<OwnedFd>> {
        match behind(CWD, format!("/proc/{}/fd/{descriptor}", self.thread)) {
            Ok(open) => Some(Some(open)),
            Err(Errno::NOENT) => Some(None),
            Err(_) => None,
        }
    }

    /// The directory that paths of the asker begin in.
    pub(super) fn directory(&self) -> Option<OwnedFd> {
        behind(CWD, format!("/proc/{}/cwd", self.thread)).ok()
    }

    /// What a path leads to that begins at `base`, if it is relative; if `follows`, a link at its
    /// end is followed as well. Nothing, where that cannot be said.
    pub(super) fn find(&self, base: OwnedFd, path: &Path, follows: bool) -> Option<Found> {
        self.walk(base, path, follows).ok()
    }

    /// The root, to begin at.
    pub(super) fn start(&self) -> Option<OwnedFd> {
        self.root.try_clone_to_owned().ok()
    }

    fn walk(&self, base: OwnedFd, path: &Path, follows: bool) -> Result<Found, Unseen> {
        let mut left = VecDeque::new();
        let mut here = base;
        if put_before(&mut left, path) {
            here = self.start().ok_or(Unseen)?;
        }
        let (mut names, mut links) = (0, 0);
        while let Some(name) = left.pop_front() {
            names += 1;
            if names > NAMES_MAX {
                return Err(Unseen);
            }
            if name == ".." && self.is_root(&here)? {
                continue;
            }
            let next = match look(&here, &name) {
                Ok(next) => next,
                Err(error) => return failed(error, &here, &name, &left),
            };
            let about = fstat(&next).map_err(|_| Unseen)?;
            if !is_link(&about) {
                here = next;
                continue;
            }
            if left.is_empty() && !follows {
                return at(&next, about);
            }
            links += 1;
            if links > LINKS_MAX {
                return Ok(Found::Nothing);
            }
            match self.leads(&here, &name, &next)? {
                Leads::To(open) => here = open,
                Leads::Nowhere => return Ok(Found::Nothing),
                Leads::By(text) => {
                    if put_before(&mut left, &text) {
                        here = self.start().ok_or(Unseen)?;
                    }
                }
            }
        }
        found(&here).ok_or(Unseen)
    }

    /// Where a link leads, of this name in this directory. In `/proc` a link is what it is to whoever
    /// asks, or leads to what is open, whatever it says.
    fn leads(&self, directory: &OwnedFd, name: &OsStr, link: &OwnedFd) -> Result<Leads, Unseen> {
        if is_proc(directory)? {
            let is_top = fstat(directory).is_ok_and(|it| it.st_ino == PROC_ROOT);
            if is_top && (name == "self" || name == "thread-self") {
                return self.own(name).map(Leads::By).ok_or(Unseen);
            }
            let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            if openat2(directory, name, LOOK, Mode::empty(), how).err() == Some(Errno::LOOP) {
                return match behind(directory, name) {
                    Ok(open) => Ok(Leads::To(open)),
                    Err(Errno::NOENT) => Ok(Leads::Nowhere),
                    Err(_) => Err(Unseen),
                };
            }
        }
        let text = readlinkat(link, "", Vec::new()).map_err(|_| Unseen)?;
        Ok(Leads::By(PathBuf::from(OsString::from_vec(text.into_bytes()))))
    }

    /// What `/proc/self` and `/proc/thread-self` say to the asker.
    fn own(&self, name: &OsStr) -> Option<PathBuf> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.thread)).ok()?;
        let number = |field: &str| {
            let line = status.lines().find_map(|it| it.strip_prefix(field))?;
            line.split_whitespace().last()?.parse::<u32>().ok()
        };
        let process = number("NStgid:")?;
        Some(match name == "self" {
            true => PathBuf::from(process.to_string()),
            false => PathBuf::from(format!("{process}/task/{}", number("NSpid:")?)),
        })
    }

    fn is_root(&self, here: &OwnedFd) -> Result<bool, Unseen> {
        let id = |it: BorrowedFd<'_>| {
            let about = statx(it, "", AtFlags::EMPTY_PATH, StatxFlags::INO | StatxFlags::MNT_ID);
            about.map(|it| (it.stx_dev_major, it.stx_dev_minor, it.stx_ino, it.stx_mnt_id))
        };
        match (id(here.as_fd()), id(self.root)) {
            (Ok(here), Ok(root)) => Ok(here == root),
            (Err(_), _) | (_, Err(_)) => Err(Unseen),
        }
    }
}

/// What is said when it cannot be said.
#[derive(Debug)]
struct Unseen;

enum Leads {
    To(OwnedFd),
    By(PathBuf),
    Nowhere,
}

/// To look at what is there.
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// What one name is in a directory; a link is itself.
fn look(directory: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(directory, name, LOOK | OFlags::NOFOLLOW, Mode::empty(), how)
}

/// What is open behind a link of `/proc`.
fn behind(directory: impl AsFd, link: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    openat(directory, link, LOOK, Mode::empty())
}

/// What it comes to that a name cannot be looked up.
fn failed(
    error: Errno,
    here: &OwnedFd,
    name: &OsStr,
    left: &VecDeque<OsString>,
) -> Result<Found, Unseen> {
    if is_proc(here)? && error == Errno::NOENT {
        return Ok(Found::Nothing);
    }
    let is_last = left.iter().all(|it| it == ".");
    let path = |here: PathBuf| {
        let mut path = here.join(name);
        for name in left.iter().filter(|it| *it != ".") {
            if path.as_os_str().len() > PATH_BYTES_MAX {
                break;
            }
            path.push(name);
        }
        path
    };
    let before = match found(here).ok_or(Unseen)? {
        Found::There { path, .. } => path,
        other @ (Found::Missing { .. }
        | Found::Closed { .. }
        | Found::NoFile { .. }
        | Found::Nothing) => return Ok(other),
    };
    match error {
        Errno::NOENT => Ok(Found::Missing { path: path(before), fits: is_last }),
        Errno::NOTDIR | Errno::NAMETOOLONG => {
            Ok(Found::Missing { path: path(before), fits: false })
        }
        Errno::ACCESS => Ok(Found::Closed { path: path(before) }),
        _ => Err(Unseen),
    }
}

/// What is open here, by the name that the kernel has for it.
pub(super) fn found(here: &OwnedFd) -> Option<Found> {
    at(here, fstat(here).ok()?).ok()
}

fn at(here: &OwnedFd, about: Stat) -> Result<Found, Unseen> {
    let name = fs::read_link(format!("/proc/self/fd/{}", here.as_raw_fd())).map_err(|_| Unseen)?;
    let text = name.as_os_str().as_bytes();
    if !text.starts_with(b"/") || (about.st_nlink == 0 && text.ends_with(b" (deleted)")) {
        return Ok(Found::NoFile { name });
    }
    if is_proc(here)? {
        return Ok(Found::Nothing);
    }
    Ok(Found::There { path: name, about })
}

fn is_proc(here: &OwnedFd) -> Result<bool, Unseen> {
    Ok(fstatfs(here).map_err(|_| Unseen)?.f_type == PROC_SUPER_MAGIC)
}

/// Puts the names of a path before those that are left, and says whether it begins at the root. A
/// slash at its end is a directory, and has a link before it followed.
fn put_before(left: &mut VecDeque<OsString>, path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    if bytes.ends_with(b"/") {
        left.push_front(".".into());
    }
    for name in bytes.split(|it| *it == b'/').rev().filter(|it| !it.is_empty()) {
        left.push_front(OsStr::from_bytes(name).to_owned());
    }
    bytes.starts_with(b"/")
}

fn is_link(about: &Stat) -> bool {
    FileType::from_raw_mode(about.st_mode) == FileType::Symlink
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;

    use super::*;

    /// What a path leads to in this root, for this process.
    fn find(root: &Path, path: &str, follows: bool) -> (&'static str, PathBuf) {
        let root = File::open(root).unwrap();
        let asker = Asker { root: root.as_fd(), thread: std::process::id() };
        let base = asker.start().unwrap();
        match asker.find(base, Path::new(path), follows) {
            Some(Found::There { path, .. }) => ("there", path),
            Some(Found::Missing { path, fits: true }) => ("missing", path),
            Some(Found::Missing { path, fits: false }) => ("does not fit", path),
            Some(Found::Closed { path }) => ("closed", path),
            Some(Found::NoFile { name }) => ("no file", name),
            Some(Found::Nothing) => ("nothing", PathBuf::new()),
            None => ("unseen", PathBuf::new()),
        }
    }

    fn place(name: &str) -> PathBuf {
        let place = format!("stockade-resolve-{name}-{}", std::process::id());
        let place = std::env::temp_dir().join(place);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(place.join("a/b")).unwrap();
        fs::write(place.join("a/file"), "x").unwrap();
        place.canonicalize().unwrap()
    }

    #[test]
    fn links_are_followed_in_the_root_of_the_asker() {
        let place = place("links");
        symlink("/a/file", place.join("whole")).unwrap();
        symlink("../file", place.join("a/b/up")).unwrap();
        symlink("loop", place.join("loop")).unwrap();
        symlink("/a", place.join("directory")).unwrap();
        let found = |path: &str| find(&place, path, true);
        let there = |path: &str| ("there", place.join(path));
        for path in ["/a/file", "/whole", "/a/b/up", "/a/b/../file", "/../../a/./file", "a//file"] {
            assert_eq!(found(path), there("a/file"), "{path}");
        }
        assert_eq!(found("/"), ("there", place.clone()));
        assert_eq!(found("/a/b/.."), there("a"));
        assert_eq!(found("/a/none"), ("missing", place.join("a/none")));
        assert_eq!(found("/a/none/"), ("missing", place.join("a/none")));
        assert_eq!(found("/a/none/deep"), ("does not fit", place.join("a/none/deep")));
        assert_eq!(found("/a/file/deep"), ("does not fit", place.join("a/file/deep")));
        assert_eq!(found("/a/file/..").0, "does not fit");
        assert_eq!(found("/loop").0, "nothing");
        assert_eq!(find(&place, "/whole", false), there("whole"));
        assert_eq!(find(&place, "/directory", false), there("directory"));
        assert_eq!(find(&place, "/directory/", false), there("a"), "the slash has it followed");
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn what_leads_through_proc_is_found_behind_it() {
        let place = place("proc");
        let own = std::process::id();
        let found = |path: &str| find(Path::new("/"), path, true);
        let file = place.join("a/file");
        let below = file.display();
        let open = File::open(&file).unwrap();
        let number = open.as_raw_fd();
        for path in [
            format!("/proc/self/fd/{number}"),
            format!("/proc/thread-self/fd/{number}"),
            format!("/proc/{own}/fd/{number}"),
            format!("/proc/self/root{below}"),
            format!("/proc/self/attr/../root{below}"),
            format!("/proc/self/fdinfo/../root{below}"),
            format!("/proc/self/ns/../root{below}"),
            format!("/proc/self/net/../root{below}"),
            format!("/proc/self/task/{own}/../{own}/root{below}"),
            format!("/proc/self/task/../root{below}"),
            format!("/proc/self/task/{own}/root{below}"),
            format!("/proc/self/fd/../../self/root{below}"),
            format!("/proc/sys/../net/../root{below}"),
            format!("/proc/..{below}"),
        ] {
            assert_eq!(found(&path), ("there", file.clone()), "{path}");
        }
        for path in ["/proc/self/status", "/proc/self", "/proc/1/status", "/proc/mounts"] {
            assert_eq!(found(path).0, "nothing", "{path}");
        }
        assert_eq!(found("/proc/self/exe"), ("there", std::env::current_exe().unwrap()));
        assert_eq!(found("/proc/self/fd/999999").0, "nothing");
        let (read, _write) = rustix::pipe::pipe().unwrap();
        assert_eq!(found(&format!("/proc/self/fd/{}", read.as_raw_fd())).0, "no file");
        fs::remove_file(&file).unwrap();
        assert_eq!(found(&format!("/proc/self/fd/{number}")).0, "no file");
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn a_directory_that_is_gone_or_has_no_name_leads_where_the_kernel_says() {
        let place = place("gone");
        let root = File::open(&place).unwrap();
        let asker = Asker { root: root.as_fd(), thread: std::process::id() };
        let gone = place.join("gone");
        fs::create_dir(&gone).unwrap();
        let base = OwnedFd::from(File::open(&gone).unwrap());
        fs::remove_dir(&gone).unwrap();
        let find = |base: &OwnedFd, path: &str| {
            asker.find(base.try_clone().unwrap(), Path::new(path), true)
        };
        let is_file = |found: Option<Found>| match found {
            Some(Found::There { path, .. }) => path == place.join("a/file"),
            _ => false,
        };
        assert!(is_file(find(&base, "../a/file")));
        assert!(matches!(find(&base, "new"), Some(Found::NoFile { .. })));
        let mut deep = OwnedFd::from(File::open(&place).unwrap());
        let name = "d".repeat(250);
        for _ in 0..20 {
            rustix::fs::mkdirat(&deep, &name, Mode::RWXU).unwrap();
            deep = openat(&deep, &name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        let up = "../".repeat(20);
        assert!(is_file(find(&deep, &format!("{up}a/file"))));
        assert!(find(&deep, "new").is_none(), "what has no name is not seen");
        // A path cannot be so long, but with the links in it.
        let mut place_of = place.clone();
        for number in 0..3 {
            let next = if number == 2 { "/a/file".into() } else { format!("/l{}", number + 1) };
            let path = format!("{}{next}", "/a/..".repeat(120));
            symlink(path, place.join(format!("l{number}"))).unwrap();
        }
        assert!(is_file(find(&base, "/l1")));
        assert!(find(&base, "/l0").is_none(), "so many names are not looked up");
        place_of.push(&name);
        fs::remove_dir_all(&place).unwrap();
        assert!(!place_of.exists());
    }
}
