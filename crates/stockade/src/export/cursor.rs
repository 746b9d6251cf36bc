//! What a receiver has taken, in a file. One export at a time has it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use stockade_store::Cursor;

/// A link that somebody has put there is not followed.
const NO_FOLLOW: i32 = OFlags::NOFOLLOW.bits().cast_signed();

/// The file, while this process has it.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    /// Lets go when it is closed. The file itself is replaced each time, and cannot be what is locked.
    _lock: File,
}

/// What is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Who receives it, and in what form, for whoever reads this.
    pub to: String,
    /// How far the ledger was taken.
    pub ledger: Cursor,
    /// Of a file: which it is, and how long it is with all that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Length>,
}

/// A file, and how much of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Length {
    /// Its device.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// So many bytes of it.
    pub bytes: u64,
}

/// Why a cursor cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// It cannot be read or written.
    #[error("cannot use the cursor `{path}`", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process exports the same.
    #[error("another export has the cursor `{path}`", path = .0.display())]
    Busy(PathBuf),
    /// It is none.
    #[error("`{path}` is no cursor", path = .path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl Held {
    /// Takes hold of a cursor, and reads what is in it, if there is one.
    ///
    /// # Errors
    /// When it is none, or another process has it.
    pub fn open(path: &Path) -> Result<(Self, Option<Kept>), CursorError> {
        let failed = |source| CursorError::Io { path: path.to_owned(), source };
        if let Some(parent) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(NO_FOLLOW);
        let lock = options.open(beside(path, ".lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Err(CursorError::Busy(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let held = Self { path: path.to_owned(), _lock: lock };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((held, None)),
            Err(source) => return Err(failed(source)),
        };
        let unread = |source| CursorError::Unread { path: path.to_owned(), source };
        Ok((held, Some(serde_json::from_slice(&text).map_err(unread)?)))
    }

    /// Writes it down, on the disk: whoever reads it finds the old one or the new one.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn keep(&self, kept: &Kept) -> Result<(), CursorError> {
        let failed = |source| CursorError::Io { path: self.path.clone(), source };
        let draft = beside(&self.path, ".tmp");
        // Whoever may write to the directory may have put something there, or a link to elsewhere.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => (),
        }
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
        let mut file = opened.map_err(failed)?;
        // A struct of text and numbers always serialises.
        let mut text = serde_json::to_vec(kept).unwrap_or_default();
        text.push(b'\n');
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(failed)?;
        fs::rename(&draft, &self.path).map_err(failed)
    }
}

/// What another export is called that hands over to the same file, by the cursors in `dir`, and its
/// cursor. Neither would know what of the file is its own.
pub fn of_another(dir: &Path, own: Option<&Path>, file: &Path) -> Option<(String, PathBuf)> {
    let which = |path: &Path| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
    let file = which(file)?;
    let cursors = fs::read_dir(dir).ok()?.flatten().map(|it| it.path());
    let mut cursors =
        cursors.filter(|it| Some(&**it) != own && it.extension().is_some_and(|it| it == "json"));
    cursors.find_map(|cursor| {
        let kept: Kept = serde_json::from_slice(&fs::read(&cursor).ok()?).ok()?;
        let (_, place) = kept.to.split_once(" to ")?;
        (which(Path::new(place)) == Some(file)).then_some((kept.to, cursor))
    })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_somebody_has_put_beside_a_cursor_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("cursor"), dir.path().join("other"));
        fs::write(&other, "precious").unwrap();
        let (held, _) = Held::open(&path).unwrap();
        symlink(&other, dir.path().join("cursor.tmp")).unwrap();
        held.keep(&Kept::default()).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        drop(held);
        fs::remove_file(dir.path().join("cursor.lock")).unwrap();
        symlink(&other, dir.path().join("cursor.lock")).unwrap();
        assert!(Held::open(&path).is_err());
    }
}
