//! What a path means to a server, at this moment: every link in it followed, in the server's own
//! root. The guard never follows a link itself, and opens nothing but to look at what it is.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat2, readlinkat};
use rustix::io::Errno;

/// As many as the kernel follows.
const LINKS_MAX: usize = 40;

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    There {
        path: PathBuf,
        about: Stat,
    },
    /// Nothing is there, or what is before it in the path is no directory.
    Missing {
        path: PathBuf,
    },
    /// It may not be looked at.
    Closed {
        path: PathBuf,
    },
    /// A descriptor that has no name among the files.
    NoFile {
        name: PathBuf,
    },
    /// Something of the process itself, in `/proc`.
    Own,
    /// It leads through another process. What is said of it is the path as it was given.
    Unknown {
        path: PathBuf,
    },
}

/// Who asks, and in which root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) root: BorrowedFd<'a>,
    pub(super) thread: u32,
}

/// The root of a process.
pub(super) fn root_of(thread: u32) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(format!("/proc/{thread}/root"), flags, Mode::empty()).ok()
}

impl Asker<'_> {
    /// What a descriptor of the asker is, as a path in its root or as another name.
    pub(super) fn open(&self, descriptor: i32) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/fd/{descriptor}", self.thread)).ok()
    }

    /// The directory that paths of the asker begin in.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/cwd", self.thread)).ok()
    }

    /// What the kernel says a descriptor is, looked up.
    pub(super) fn find_open(&self, name: &Path) -> Found {
        let no_file = || Found::NoFile { name: name.to_owned() };
        if !has_path(name) {
            return no_file();
        }
        match self.find(name, false) {
            // It was removed, unless this is its name: then it was found.
            Found::Missing { .. } if name.as_os_str().as_bytes().ends_with(b" (deleted)") => {
                no_file()
            }
            found @ (Found::There { .. }
            | Found::Missing { .. }
            | Found::Closed { .. }
            | Found::NoFile { .. }
            | Found::Own
            | Found::Unknown { .. }) => found,
        }
    }

    /// Follows a whole path, and if `follows`, a link at its end as well.
    pub(super) fn find(&self, path: &Path, follows: bool) -> Found {
        let mut left = VecDeque::new();
        put_before(&mut left, path);
        let mut here = Here { path: PathBuf::from("/"), own: Own::Not };
        let mut about = fstat(self.root).ok();
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if name == ".." {
                here.up();
                about = None;
                continue;
            }
            let to = match self.step(&here, &name) {
                Step::Into(own) => {
                    here = Here { path: here.path.join(&name), own };
                    about = None;
                    continue;
                }
                Step::Over(to) if has_path(&to) => to,
                Step::Over(name) => return Found::NoFile { name },
                Step::Own => return Found::Own,
                Step::Unknown => return Found::Unknown { path: path.to_owned() },
                Step::File => {
                    let next = here.path.join(&name);
                    match self.look(&next) {
                        Ok((_, stat)) if !is_link(&stat) => {
                            (here.path, about) = (next, Some(stat));
                            continue;
                        }
                        Ok((_, stat)) if left.is_empty() && !follows => {
                            return Found::There { path: next, about: stat };
                        }
                        Ok((file, _)) => match readlinkat(&file, "", Vec::new()) {
                            Ok(to) => PathBuf::from(OsString::from_vec(to.into_bytes())),
                            Err(_) => return Found::Unknown { path: path.to_owned() },
                        },
                        Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => {
                            let path = left.iter().fold(next, |path, it| path.join(it));
                            return Found::Missing { path };
                        }
                        Err(Errno::ACCESS) => {
                            let path = left.iter().fold(next, |path, it| path.join(it));
                            return Found::Closed { path };
                        }
                        Err(_) => return Found::Unknown { path: path.to_owned() },
                    }
                }
            };
            links += 1;
            if links > LINKS_MAX {
                return Found::Missing { path: path.to_owned() };
            }
            if to.is_absolute() {
                here = Here { path: PathBuf::from("/"), own: Own::Not };
                about = fstat(self.root).ok();
            }
            put_before(&mut left, &to);
        }
        if here.own != Own::Not {
            return Found::Own;
        }
        match about.map_or_else(|| self.look(&here.path).map(|(_, stat)| stat), Ok) {
            Ok(about) => Found::There { path: here.path, about },
            Err(_) => Found::Missing { path: here.path },
        }
    }

    /// What is at a path without links in it.
    fn look(&self, path: &Path) -> Result<(OwnedFd, Stat), Errno> {
        let below = path.strip_prefix("/").unwrap_or(path);
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(self.root, below, flags, Mode::empty(), how)?;
        let about = fstat(&file)?;
        Ok((file, about))
    }

    /// What a name is in `/proc`, which shows another process to the guard than to the asker.
    fn step(&self, here: &Here, name: &OsStr) -> Step {
        let name = name.to_str().unwrap_or_default();
        let number = || number(name);
        let link = |it: &str| fs::read_link(format!("/proc/{}/{it}", self.thread));
        let over = |it: &str| link(it).map_or(Step::Own, Step::Over);
        match here.own {
            Own::Not if here.path != Path::new("/proc") => Step::File,
            Own::Not => match (name, number()) {
                ("self" | "thread-self", _) => Step::Into(Own::Process),
                (_, Some(number)) if self.is(number) => Step::Into(Own::Process),
                (_, Some(_)) => Step::Into(Own::Other),
                _ => Step::Own,
            },
            Own::Process => match name {
                "fd" => Step::Into(Own::Descriptors),
                "task" => Step::Into(Own::Threads),
                "cwd" | "root" | "exe" => over(name),
                "map_files" => Step::Into(Own::Other),
                _ => Step::Own,
            },
            // Its threads may have descriptors of their own; nobody does that.
            Own::Threads => Step::Into(Own::Process),
            Own::Descriptors => match number() {
                Some(number) => over(&format!("fd/{number}")),
                None => Step::Own,
            },
            Own::Other => match name {
                "fd" | "task" | "cwd" | "root" | "exe" | "map_files" => Step::Unknown,
                _ if number().is_some() || name.contains('-') => Step::Unknown,
                _ => Step::Own,
            },
        }
    }

    /// Whether the asker knows itself by this number.
    fn is(&self, number: u32) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.thread));
        let status = status.unwrap_or_default();
        let lines =
            status.lines().filter(|it| it.starts_with("NStgid:") || it.starts_with("NSpid:"));
        let mut own = lines.filter_map(|it| it.split_whitespace().last()?.parse().ok());
        own.any(|it: u32| it == number)
    }
}

/// Where a path has led so far.
struct Here {
    path: PathBuf,
    own: Own,
}

/// Which part of `/proc` that is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Not,
    Process,
    Threads,
    Descriptors,
    Other,
}

/// Where one name leads from there.
enum Step {
    /// To a file, or whatever it is.
    File,
    /// Deeper into `/proc`.
    Into(Own),
    /// Out of it, to here.
    Over(PathBuf),
    Own,
    Unknown,
}

impl Here {
    fn up(&mut self) {
        self.path.pop();
        self.own = match self.own {
            Own::Not => Own::Not,
            Own::Process | Own::Other if self.path == Path::new("/proc") => Own::Not,
            Own::Threads | Own::Descriptors | Own::Process => Own::Process,
            Own::Other => Own::Other,
        };
    }
}

fn put_before(left: &mut VecDeque<OsString>, path: &Path) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => left.push_front(name.to_owned()),
            Component::ParentDir => left.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

/// Whether the kernel says a path, and not the name of a pipe or a socket.
fn has_path(name: &Path) -> bool {
    name.as_os_str().as_bytes().starts_with(b"/")
}

fn is_link(about: &Stat) -> bool {
    FileType::from_raw_mode(about.st_mode) == FileType::Symlink
}

fn number(name: &str) -> Option<u32> {
    name.bytes().all(|it| it.is_ascii_digit()).then(|| name.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::fs::symlink;

    use super::*;

    /// What a path leads to in a made-up root, or for `/proc` in this process's own.
    fn find(root: &Path, path: &str, follows: bool) -> (&'static str, PathBuf) {
        let root = File::open(root).unwrap();
        let asker = Asker { root: root.as_fd(), thread: std::process::id() };
        match asker.find(Path::new(path), follows) {
            Found::There { path, .. } => ("there", path),
            Found::Missing { path } => ("missing", path),
            Found::Closed { path } => ("closed", path),
            Found::NoFile { name } => ("no file", name),
            Found::Own => ("own", PathBuf::new()),
            Found::Unknown { path } => ("unknown", path),
        }
    }

    fn place() -> PathBuf {
        let place = format!("stockade-resolve-{}", std::process::id());
        let place = std::env::temp_dir().join(place);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(place.join("a/b")).unwrap();
        fs::create_dir(place.join("proc")).unwrap();
        place.canonicalize().unwrap()
    }

    #[test]
    fn links_are_followed_in_the_root_of_the_asker() {
        let place = place();
        fs::write(place.join("a/file"), "x").unwrap();
        symlink("/a/file", place.join("whole")).unwrap();
        symlink("../file", place.join("a/b/up")).unwrap();
        symlink("loop", place.join("loop")).unwrap();
        symlink("/proc/self/fd", place.join("fds")).unwrap();
        let found = |path: &str| find(&place, path, true);
        for path in ["/a/file", "/whole", "/a/b/up", "/a/b/../file", "/../../a/./file", "a//file"] {
            assert_eq!(found(path), ("there", "/a/file".into()), "{path}");
        }
        assert_eq!(found("/"), ("there", "/".into()));
        assert_eq!(found("/a/b/.."), ("there", "/a".into()));
        assert_eq!(found("/a/none/deep"), ("missing", "/a/none/deep".into()));
        assert_eq!(found("/a/file/deep"), ("missing", "/a/file/deep".into()));
        assert_eq!(found("/loop"), ("missing", "/loop".into()));
        assert_eq!(find(&place, "/whole", false), ("there", "/whole".into()));
        // What is open is found by way of any link, and under its own name; which is not in the
        // made-up root, but in that of this process.
        let open = File::open(place.join("a/file")).unwrap();
        for path in ["/fds", "/proc/self/fd", "/proc/thread-self/fd"] {
            let path = format!("{path}/{}", open.as_raw_fd());
            assert_eq!(found(&path), ("missing", place.join("a/file")), "{path}");
        }
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn what_leads_through_proc_is_its_own_or_unknown() {
        let own = std::process::id();
        let kind = |path: &str| find(Path::new("/"), path, true).0;
        assert_eq!(kind("/proc/self/status"), "own");
        assert_eq!(kind(&format!("/proc/{own}/status")), "own");
        assert_eq!(kind("/proc/self/exe"), "there");
        assert_eq!(kind(&format!("/proc/self/task/{own}/root/etc")), "there");
        assert_eq!(kind("/proc/self/fd/../../self/cwd"), "there");
        assert_eq!(kind("/proc/1/fd/0"), "unknown");
        assert_eq!(kind("/proc/1/status"), "own");
        assert_eq!(kind("/proc/self/map_files/1-2"), "unknown");
        let (read, _write) = rustix::pipe::pipe().unwrap();
        assert_eq!(kind(&format!("/proc/self/fd/{}", read.as_raw_fd())), "no file");
        let root = File::open("/").unwrap();
        let asker = Asker { root: root.as_fd(), thread: own };
        let removed = asker.find_open(Path::new("/memfd:x (deleted)"));
        assert!(matches!(removed, Found::NoFile { .. }), "{removed:?}");
    }
}
