//! Places as they were found when somebody looked at them. What was looked at is what is shown: a
//! link that is put on the way later leads nowhere, and one that led there before is not asked again.

use std::collections::BTreeMap;
use std::env;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;

use crate::cell::Owner;
use crate::mounts::look_up;
use crate::roots::is_open_to_servers;
use crate::way::{Way, walk};
use crate::{Confinement, Error};

/// A file or a directory, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Which {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// The number of a directory that is gone may be given to a file.
    pub(crate) is_directory: bool,
}

impl Which {
    pub(crate) fn of(about: &Stat) -> Self {
        let is_directory = FileType::from_raw_mode(about.st_mode).is_dir();
        Self { device: about.st_dev, inode: about.st_ino, is_directory }
    }
}

/// Something that is shown, and which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) path: PathBuf,
    pub(crate) which: Which,
}

/// A link that leads to a place, and that a server may have made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it is.
    pub at: PathBuf,
    /// What is at the end of the way.
    pub real: PathBuf,
}

/// What was found at a path, and by what way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub(crate) way: Way,
    pub(crate) which: Which,
    pub(crate) owner: Owner,
    /// Whether nothing else will do that is there later by the same path.
    alone: bool,
}

impl Found {
    /// Looks at what an absolute path leads to.
    ///
    /// # Errors
    /// When nothing is there, or something else by the time that it is looked at.
    pub fn look(path: &Path) -> io::Result<Self> {
        Self::at_the_end(walk(path)?)
    }

    fn at_the_end(way: Way) -> io::Result<Self> {
        let about = fstat(look_up(&way.end)?)?;
        let which = Which::of(&about);
        let owner = Owner { uid: about.st_uid, gid: about.st_gid };
        Ok(Self { way, which, owner, alone: false })
    }

    /// The same, if nothing else is to be shown that takes its place.
    #[must_use]
    pub fn and_nothing_else(self) -> Self {
        Self { alone: true, ..self }
    }

    /// Where it is, without a link in the path.
    pub fn real(&self) -> &Path {
        &self.way.end
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.which.is_directory
    }

    /// The first link on the way that a server may have made: who had a root there once chose what is
    /// shown now. Those in directories that no server of this user ever writes are nobody's choice,
    /// such as a `/home` that leads to `/var/home`.
    pub fn link(&self) -> Option<Link> {
        let at = self.way.links.iter().map(|(at, _)| at).find(|it| is_open_to_servers(it));
        at.map(|at| Link { at: at.clone(), real: self.way.end.clone() })
    }

    /// What is there now, at the end of the same way.
    fn again(&self) -> io::Result<Self> {
        let now = Self { alone: self.alone, ..Self::at_the_end(self.way.clone())? };
        let is_as_before = match self.alone {
            true => now.which == self.which,
            false => now.is_directory() == self.is_directory(),
        };
        if !is_as_before {
            return Err(Errno::STALE.into());
        }
        Ok(now)
    }
}

/// What was found at the places that a [`Confinement`] names, by the paths that it names them by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AsFound(BTreeMap<PathBuf, Found>);

impl AsFound {
    /// What is shown of a place: what was found there before, if that was looked for, and no link has
    /// been put on the way since; else what is there.
    pub(crate) fn find(&self, path: &Path, here: &Path) -> Result<Found, Error> {
        let place = |source| Error::Place { path: path.to_owned(), source };
        let Some(found) = self.0.get(path) else {
            return Found::look(&here.join(path)).map_err(place);
        };
        found.again().map_err(|source| match Errno::from_io_error(&source) {
            Some(Errno::LOOP | Errno::STALE | Errno::NOENT | Errno::NOTDIR) => {
                Error::Replaced { path: found.way.end.clone() }
            }
            Some(_) | None => place(source),
        })
    }

    /// Where that is, whatever is there now.
    pub(crate) fn real(&self, path: &Path) -> Option<&Path> {
        self.0.get(path).map(Found::real)
    }
}

impl Confinement {
    /// Looks at its roots and places of programs, once for all that is started by this: each is where
    /// it is now, and whoever puts a link in its place, or on the way, has nothing shown.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn hold(&mut self) -> Result<(), Error> {
        let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        for path in self.roots.iter().map(|it| &it.path).chain(&self.programs) {
            if !self.as_found.0.contains_key(path) {
                let found = self.as_found.find(path, &here)?;
                self.as_found.0.insert(path.clone(), found);
            }
        }
        Ok(())
    }

    /// The same of one place, that was looked at before.
    pub fn hold_to(&mut self, path: &Path, found: Found) {
        self.as_found.0.insert(path.to_owned(), found);
    }

    /// What was found at one of its places, once it is held.
    pub fn found(&self, path: &Path) -> Option<&Found> {
        self.as_found.0.get(path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::{Access, Root};

    #[test]
    fn what_was_found_is_not_found_elsewhere_later() {
        let top = env::temp_dir().join(format!("stockade-held-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        for it in ["there/in", "other/in"] {
            fs::create_dir_all(top.join(it)).unwrap();
        }
        let top = top.canonicalize().unwrap();
        symlink("there", top.join("led")).unwrap();
        let root = |path: &str| Root { path: top.join(path), access: Access::Read };
        let mut confine =
            Confinement { roots: vec![root("led/in"), root("there")], ..Confinement::default() };
        confine.hold().unwrap();
        let all = confine.as_found;
        let find = |path: &str| all.find(&top.join(path), Path::new("/"));
        assert_eq!(find("led/in").unwrap().real(), top.join("there/in"));
        let link = find("led/in").unwrap().link().unwrap();
        assert_eq!(link, Link { at: top.join("led"), real: top.join("there/in") });
        // What led there leads elsewhere now, and is not asked.
        fs::remove_file(top.join("led")).unwrap();
        symlink("other", top.join("led")).unwrap();
        assert_eq!(find("led/in").unwrap().real(), top.join("there/in"));
        // Another directory by the same path will do, unless it was said that none will.
        let alone = Found::look(&top.join("there/in")).unwrap().and_nothing_else();
        fs::rename(top.join("there"), top.join("gone")).unwrap();
        assert!(matches!(find("there"), Err(Error::Replaced { .. })));
        fs::create_dir_all(top.join("there/in")).unwrap();
        assert!(find("led/in").is_ok() && alone.again().is_err());
        // A file will not, although it may have the number that the directory had.
        fs::remove_dir(top.join("there/in")).unwrap();
        fs::write(top.join("there/in"), "").unwrap();
        assert!(matches!(find("led/in"), Err(Error::Replaced { .. })));
        // A link will not, at the end or on the way.
        fs::remove_dir_all(top.join("there")).unwrap();
        symlink("other", top.join("there")).unwrap();
        for path in ["led/in", "there"] {
            assert!(matches!(find(path), Err(Error::Replaced { .. })), "{path}");
        }
        fs::remove_dir_all(&top).unwrap();
    }
}
