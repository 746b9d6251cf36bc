//! The file of a lock: which one it is, reading it, and writing it in one step.
//!
//! Beside a policy that is named lies the lock of its project, which is committed with it; else it is
//! the user's own, with the ledger. One that lies in the working directory and was not named is not
//! read: a project that was just cloned must not approve its own servers.

pub mod launch;
pub mod shown;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use stockade_core::lock::{Lock, LockError};

/// The name of a lock.
const NAME: &str = "stockade.lock";

/// No honest lock is longer, in bytes.
const BYTES_MAX: u64 = 16 << 20;

/// Where a lock is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    path: PathBuf,
    /// It is this user's alone.
    own: bool,
    /// It was named, so it must be there.
    named: bool,
}

/// Why a lock cannot be used. Then nothing is approved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read or written.
    #[error("cannot use the lock `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Whoever changes the link has another lock read.
    #[error("the lock `{}` is a link", path.display())]
    Link {
        /// The file.
        path: PathBuf,
    },
    /// A file system that ignores case takes one for the other.
    #[error("beside the lock `{}` lies `{other}`, which some file systems take for it", path.display())]
    Variant {
        /// The file.
        path: PathBuf,
        /// The name of the other.
        other: String,
    },
    /// Everybody may approve.
    #[error("the lock `{}` can be written by every user", path.display())]
    Writable {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else may approve.
    #[error("the lock `{}` belongs to another user", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is too long.
    #[error("the lock `{}` is longer than {BYTES_MAX} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It is not there, and was named.
    #[error("there is no lock `{}`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// What it says cannot be used.
    #[error("the lock `{}` cannot be used: {source}", path.display())]
    Says {
        /// The file.
        path: PathBuf,
        /// Why.
        source: LockError,
    },
}

impl Place {
    /// The one that is named; or that beside a policy that is named; or that of this user, with
    /// what else is kept in `state`.
    pub fn new(named: Option<&Path>, policy: Option<&Path>, state: &Path) -> Self {
        match (named, policy) {
            (Some(path), _) => Self { path: path.to_owned(), own: false, named: true },
            (None, Some(policy)) => {
                // Beside the file itself, wherever a link to it lies.
                let policy = policy.canonicalize().unwrap_or_else(|_| policy.to_owned());
                Self { path: policy.with_file_name(NAME), own: false, named: false }
            }
            (None, None) => Self { path: state.join(NAME), own: true, named: false },
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the user should know of a lock in the working directory that is not read.
    pub fn overlooks(&self, directory: &Path) -> Option<String> {
        let other = directory.join(NAME);
        let is_it = other.canonicalize().ok() == self.path.canonicalize().ok();
        (other.exists() && !is_it)
            .then(|| format!("`./{NAME}` is not read: name it with `--lock` to use it"))
    }

    /// Reads it; nothing, where there is none and none was named.
    ///
    /// # Errors
    /// When there is one that cannot be used.
    pub fn read(&self) -> Result<Option<Lock>, Error> {
        match self.bytes()? {
            Some(bytes) => self.parse(&bytes).map(Some),
            None if self.named => Err(Error::Missing { path: self.path.clone() }),
            None => Ok(None),
        }
    }

    /// Has the lock become another, in one step: whoever reads meanwhile has the one or the other,
    /// and of two who write, the second sees what the first has written.
    ///
    /// # Errors
    /// When it cannot be read or written, or `change` does not want it to.
    pub fn change<E: From<Error>>(
        &self,
        change: impl FnOnce(&mut Lock) -> Result<(), E>,
    ) -> Result<(), E> {
        let directory = self.directory();
        if self.own {
            let made = fs::DirBuilder::new().recursive(true).create(&directory);
            made.map_err(|source| self.failed(source))?;
        }
        // The directory is what is locked: a file would be replaced under whoever has locked it.
        let held = File::open(&directory).and_then(|it| it.lock().map(|()| it));
        let _held = held.map_err(|source| self.failed(source))?;
        let mut lock = match self.bytes()? {
            Some(bytes) => self.parse(&bytes)?,
            None => Lock::default(),
        };
        change(&mut lock)?;
        Ok(self.write(&directory, &lock.to_bytes()).map_err(|source| self.failed(source))?)
    }

    fn write(&self, directory: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".stockade-lock-").tempfile_in(directory)?;
        file.write_all(bytes)?;
        let mode = if self.own { 0o600 } else { 0o644 };
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        // The name is to last as the content does.
        File::open(directory)?.sync_all()
    }

    fn parse(&self, bytes: &[u8]) -> Result<Lock, Error> {
        Lock::parse(bytes).map_err(|source| Error::Says { path: self.path.clone(), source })
    }

    /// The directory that it is in.
    fn directory(&self) -> PathBuf {
        let above = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        above.unwrap_or(Path::new(".")).to_owned()
    }

    fn bytes(&self) -> Result<Option<Vec<u8>>, Error> {
        self.alone()?;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let file = match options.open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                return Err(Error::Link { path: self.path.clone() });
            }
            Err(error) => return Err(self.failed(error)),
        };
        let about = file.metadata().map_err(|it| self.failed(it))?;
        if !about.is_file() {
            return Err(self.failed(io::Error::other("it is not a file")));
        }
        if about.mode() & 0o002 != 0 {
            return Err(Error::Writable { path: self.path.clone() });
        }
        // One of a project comes from whoever has checked it out.
        if self.own && about.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::Foreign { path: self.path.clone() });
        }
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|it| self.failed(it))?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(Error::TooLong { path: self.path.clone() });
        }
        Ok(Some(bytes))
    }

    /// Refuses another file that is this one where case is ignored (CVE-2025-59944 was such a name).
    fn alone(&self) -> Result<(), Error> {
        let Some(name) = self.path.file_name().and_then(|it| it.to_str()) else { return Ok(()) };
        let Ok(listed) = fs::read_dir(self.directory()) else { return Ok(()) };
        let others = listed.flatten().map(|it| it.file_name().to_string_lossy().into_owned());
        match others.into_iter().find(|it| it != name && it.to_lowercase() == name.to_lowercase()) {
            Some(other) => Err(Error::Variant { path: self.path.clone(), other }),
            None => Ok(()),
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::File { path: self.path.clone(), source }
    }
}

/// Reads a lock that is to be compared, wherever it comes from: `git show` by way of a pipe as well.
///
/// # Errors
/// When it cannot be used.
pub fn read_any(path: &Path) -> Result<Lock, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Error::TooLong { path: path.to_owned() });
    }
    Lock::parse(&bytes).map_err(|source| Error::Says { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(place: &Place) -> Result<(), Error> {
        place.change(|lock| {
            lock.servers.insert("a".to_owned(), Default::default());
            Ok(())
        })
    }

    #[test]
    fn a_lock_is_found_written_and_read() {
        let directory = tempfile::tempdir().unwrap();
        let at = |it: &str| directory.path().join(it);
        let own = Place::new(None, None, &at("state"));
        assert_eq!(own.path(), at("state/stockade.lock"));
        let project = Place::new(None, Some(&at("stockade.toml")), &at("state"));
        assert_eq!(project.path(), at("stockade.lock"));
        for (place, mode) in [(&own, 0o600), (&project, 0o644)] {
            assert!(place.read().unwrap().is_none());
            write(place).unwrap();
            assert!(place.read().unwrap().unwrap().servers.contains_key("a"));
            assert_eq!(fs::metadata(place.path()).unwrap().mode() & 0o777, mode);
        }
        let named = Place::new(Some(&at("other.lock")), None, &at("state"));
        assert!(matches!(named.read(), Err(Error::Missing { .. })));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn what_is_not_a_file_of_ones_own_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let at = |it: &str| directory.path().join(it);
        let place = Place::new(None, Some(&at("stockade.toml")), &at("state"));
        write(&place).unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(place.read(), Err(Error::Writable { .. })));
        fs::set_permissions(place.path(), Permissions::from_mode(0o644)).unwrap();
        fs::write(at("Stockade.LOCK"), "").unwrap();
        assert!(matches!(place.read(), Err(Error::Variant { .. })));
        fs::remove_file(at("Stockade.LOCK")).unwrap();
        fs::rename(place.path(), at("real")).unwrap();
        symlink(at("real"), place.path()).unwrap();
        assert!(matches!(place.read(), Err(Error::Link { .. })));
        assert!(matches!(write(&place), Err(Error::Link { .. })));
        fs::remove_file(place.path()).unwrap();
        fs::create_dir(place.path()).unwrap();
        assert!(matches!(place.read(), Err(Error::File { .. })));
    }

    /// Each of many who write at once sees what the others have written.
    #[test]
    fn nobody_overwrites_what_another_has_approved() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::new(None, None, directory.path());
        std::thread::scope(|scope| {
            for number in 0..16 {
                let place = &place;
                scope.spawn(move || {
                    let name = format!("server-{number}");
                    let add = |lock: &mut Lock| {
                        lock.servers.insert(name, Default::default());
                        Ok::<(), Error>(())
                    };
                    place.change(add).unwrap();
                });
            }
        });
        assert_eq!(place.read().unwrap().unwrap().servers.len(), 16);
    }
}
