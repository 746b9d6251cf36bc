//! A directory that files are opened beneath, by the kernel: where the kernel can, every step of a
//! path is resolved in one system call that refuses to leave the directory, so there is no moment
//! between the check and the use.
//!
//! Paths are relative, with `/`, and are read by the rules of [`crate::path::relative`] first, so
//! that what is refused is refused in words. Only regular files are read and written: a FIFO would
//! block the server, a device would do worse. A file with more than one name is not written: the
//! other one may be outside, and no look at a path finds that out.
//!
//! A kernel without `openat2` is asked step by step instead, each step relative to the one before
//! and following no link by itself. Both ways are held to the same tests.

use std::fmt::{self, Debug};
use std::io::{self, Write};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions};
use thiserror::Error;

use crate::limits::{self, ReadError};
use crate::path::{self, Escape};

/// A directory, and nothing outside of it.
///
/// ```
/// use stockade_kit::root::{Root, RootError, Writing};
///
/// # let directory = tempfile::tempdir()?;
/// let root = Root::open_dir(directory.path())?;
/// root.write("notes.txt", b"hello", Writing::New)?;
/// assert_eq!(root.read("notes.txt", 1024)?, b"hello");
/// assert_eq!(root.list(".", 100)?.entries.len(), 1);
///
/// assert!(matches!(root.read("../../etc/passwd", 1024), Err(RootError::Escape(_))));
/// // A link that leads out is not followed, whenever it was made.
/// std::os::unix::fs::symlink("/etc/passwd", directory.path().join("link"))?;
/// assert!(root.read("link", 1024).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Root {
    dir: Dir,
}

/// Why something beneath a root cannot be opened, read, written or listed.
///
/// No variant holds the root's own path: what a tool prints of an error says nothing about where
/// on this machine it works. The `source` of [`RootError::Io`] is the system's word alone.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RootError {
    /// The path does not stay beneath the root, by its text.
    #[error(transparent)]
    Escape(#[from] Escape),
    /// There is no such file or directory.
    #[error("there is no such file")]
    Missing,
    /// It is there already, and must not be.
    #[error("there is such a file already")]
    Exists,
    /// It is a directory, a device, a FIFO or a socket.
    #[error("it is not a regular file")]
    Irregular,
    /// It has another name as well, which may be outside of the root.
    #[error("it has more than one name")]
    Linked,
    /// It is longer than allowed.
    #[error("it is longer than {bytes_max} bytes")]
    TooLong {
        /// What was allowed.
        bytes_max: usize,
    },
    /// The system refused: no permission, or a link that leads out.
    #[error("it cannot be opened")]
    Io(#[source] io::Error),
}

/// What may be there before writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Nothing: fails if the file exists.
    New,
    /// A regular file, which is overwritten.
    Replace,
}

/// Some of a directory's entries, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// In the order of their names.
    pub entries: Vec<Entry>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

/// One thing in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name. What is not UTF-8 is shown with replacement characters.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its length, for a regular file.
    pub bytes: u64,
}

/// What an entry is. A link is not followed to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a FIFO or a socket.
    Other,
}

impl Root {
    /// Opens a directory of this machine. The one place where a path of the host is used; after
    /// this it may be renamed, and the root stays what it is.
    pub fn open_dir(path: impl AsRef<Path>) -> Result<Self, RootError> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self { dir })
    }

    /// Opens a regular file for reading.
    pub fn open(&self, path: &str) -> Result<File, RootError> {
        let path = path::relative(path)?;
        self.refuse_irregular(&path)?;
        let mut options = OpenOptions::new();
        options.read(true);
        let file = self.dir.open_with(&path, at_once(&mut options))?;
        if !file.metadata()?.is_file() {
            return Err(RootError::Irregular);
        }
        Ok(file)
    }

    /// The whole of a regular file of at most `bytes_max` bytes.
    pub fn read(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, RootError> {
        limits::read(self.open(path)?, bytes_max).map_err(|error| match error {
            ReadError::TooLong { bytes_max } => RootError::TooLong { bytes_max },
            ReadError::Io(source) => RootError::from(source),
        })
    }

    /// Writes a whole regular file. Directories on the way must be there.
    pub fn write(&self, path: &str, bytes: &[u8], writing: Writing) -> Result<(), RootError> {
        let path = path::relative(path)?;
        let mut options = OpenOptions::new();
        options.write(true);
        match writing {
            Writing::New => options.create_new(true),
            Writing::Replace => {
                match self.refuse_irregular(&path) {
                    Ok(()) | Err(RootError::Missing) => {}
                    Err(error) => return Err(error),
                }
                options.create(true)
            }
        };
        let mut file = self.dir.open_with(&path, at_once(&mut options))?;
        // What was opened is looked at, since what was there before may have been another file; and
        // only then is anything lost.
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(RootError::Irregular);
        }
        if names(&metadata) > 1 {
            return Err(RootError::Linked);
        }
        file.set_len(0)?;
        file.write_all(bytes)?;
        Ok(())
    }

    /// Up to `entries_max` entries of a directory.
    pub fn list(&self, path: &str, entries_max: usize) -> Result<Listing, RootError> {
        let path = path::relative(path)?;
        let mut found = self.dir.read_dir(&path)?;
        let mut entries = Vec::new();
        for entry in found.by_ref().take(entries_max) {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let kind = kind(&metadata.file_type());
            entries.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                kind,
                bytes: if kind == Kind::File { metadata.len() } else { 0 },
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Listing { entries, more: found.next().is_some() })
    }

    /// Looked at before opening, because opening a FIFO already blocks.
    fn refuse_irregular(&self, path: &str) -> Result<(), RootError> {
        if self.dir.metadata(path)?.is_file() { Ok(()) } else { Err(RootError::Irregular) }
    }
}

/// A FIFO that was put there after the look is opened without waiting for its other end.
fn at_once(options: &mut OpenOptions) -> &OpenOptions {
    #[cfg(unix)]
    {
        use cap_std::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    options
}

/// How many names a file has.
#[cfg(unix)]
fn names(metadata: &cap_std::fs::Metadata) -> u64 {
    cap_std::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
fn names(_metadata: &cap_std::fs::Metadata) -> u64 {
    1
}

fn kind(file_type: &cap_std::fs::FileType) -> Kind {
    if file_type.is_file() {
        Kind::File
    } else if file_type.is_dir() {
        Kind::Directory
    } else if file_type.is_symlink() {
        Kind::Link
    } else {
        Kind::Other
    }
}

impl From<io::Error> for RootError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            Self::Missing
        } else if error.kind() == io::ErrorKind::AlreadyExists {
            Self::Exists
        } else {
            Self::Io(error)
        }
    }
}

/// Without the directory's path, which a `{:?}` would print.
impl Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root").finish_non_exhaustive()
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A root `inside` with a file next to it that must not be reached.
    fn beside_a_secret() -> (tempfile::TempDir, Root) {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir_all(outer.path().join("inside/sub")).unwrap();
        fs::create_dir(outer.path().join("inside-too")).unwrap();
        fs::write(outer.path().join("secret"), "secret").unwrap();
        fs::write(outer.path().join("inside-too/secret"), "secret").unwrap();
        fs::write(outer.path().join("inside/a.txt"), "hello").unwrap();
        let root = Root::open_dir(outer.path().join("inside")).unwrap();
        (outer, root)
    }

    #[test]
    fn nothing_outside_is_read() {
        let (outer, root) = beside_a_secret();
        let inside = outer.path().join("inside");
        symlink("../secret", inside.join("file-link")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        symlink(outer.path(), inside.join("absolute")).unwrap();
        symlink("/proc/self/root", inside.join("magic")).unwrap();
        for path in [
            "../secret",
            "../inside-too/secret",
            "sub/../../secret",
            "file-link",
            "up/secret",
            "absolute/secret",
            "magic/etc/passwd",
            "/etc/passwd",
            "~/x",
        ] {
            assert!(root.read(path, 100).is_err(), "{path}");
        }
    }

    #[test]
    fn nothing_outside_is_written() {
        let (outer, root) = beside_a_secret();
        let inside = outer.path().join("inside");
        symlink("../secret", inside.join("link")).unwrap();
        symlink("../new", inside.join("dangling")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        for path in ["link", "dangling", "up/new", "../new", "../secret"] {
            for writing in [Writing::New, Writing::Replace] {
                assert!(root.write(path, b"pwned", writing).is_err(), "{path} {writing:?}");
            }
        }
        assert_eq!(fs::read(outer.path().join("secret")).unwrap(), b"secret");
        assert!(!outer.path().join("new").exists());
    }

    #[test]
    fn a_file_with_another_name_is_not_written() {
        let (outer, root) = beside_a_secret();
        fs::hard_link(outer.path().join("secret"), outer.path().join("inside/other-name")).unwrap();
        let written = root.write("other-name", b"pwned", Writing::Replace);
        assert!(matches!(written, Err(RootError::Linked)), "{written:?}");
        assert_eq!(fs::read(outer.path().join("secret")).unwrap(), b"secret");
        fs::remove_file(outer.path().join("secret")).unwrap();
        root.write("other-name", b"mine", Writing::Replace).unwrap();
    }

    #[test]
    fn links_that_stay_inside_are_followed() {
        let (outer, root) = beside_a_secret();
        symlink("../a.txt", outer.path().join("inside/sub/link")).unwrap();
        assert_eq!(root.read("sub/link", 100).unwrap(), b"hello");
    }

    #[test]
    fn a_new_file_replaces_nothing() {
        let (_outer, root) = beside_a_secret();
        assert!(matches!(root.write("a.txt", b"x", Writing::New), Err(RootError::Exists)));
        root.write("a.txt", b"x", Writing::Replace).unwrap();
        root.write("b.txt", b"y", Writing::Replace).unwrap();
        assert_eq!(root.read("a.txt", 1).unwrap(), b"x");
        assert_eq!(root.read("b.txt", 1).unwrap(), b"y");
    }

    #[test]
    fn errors_say_what_is_wrong_and_not_where() {
        let (outer, root) = beside_a_secret();
        let check = |result: Result<Vec<u8>, RootError>, expected: &str| {
            let error = result.unwrap_err();
            assert_eq!(error.to_string(), expected);
            let place = outer.path().to_str().unwrap();
            assert!(!format!("{error:?}").contains(place));
        };
        check(root.read("none", 10), "there is no such file");
        check(root.read("sub", 10), "it is not a regular file");
        check(root.read("a.txt", 4), "it is longer than 4 bytes");
        check(root.read("../secret", 10), "the path climbs out with `..`");
        assert!(!format!("{root:?}").contains(outer.path().to_str().unwrap()));
    }

    #[test]
    fn a_listing_is_bounded_and_does_not_follow_links() {
        let (outer, root) = beside_a_secret();
        symlink("../secret", outer.path().join("inside/link")).unwrap();
        let names = |listing: &Listing| {
            listing.entries.iter().map(|it| (it.name.clone(), it.kind)).collect::<Vec<_>>()
        };
        let all = root.list(".", 10).unwrap();
        let expected = [("a.txt", Kind::File), ("link", Kind::Link), ("sub", Kind::Directory)];
        assert_eq!(names(&all), expected.map(|(name, kind)| (name.to_owned(), kind)));
        assert!(!all.more);
        let some = root.list(".", 2).unwrap();
        assert_eq!((some.entries.len(), some.more), (2, true));
        assert!(root.list("..", 10).is_err());
    }
}
