//! The files of a package: what may be among them, how they are made read only, and whether they
//! are still what they were.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::Error;
use super::manifest::File;

/// More is no server.
const FILES_MAX: usize = 200_000;
const BYTES_MAX: u64 = 4 << 30;
/// So many directories may lie in one another.
const DEPTH_MAX: usize = 100;

/// Makes everything read only, and says what there is. Only files and directories are: a link, a
/// socket or a device that an archive has brought could lead out of the store.
pub(super) fn seal(tree: &Path) -> Result<BTreeMap<String, File>, Error> {
    let mut files = BTreeMap::new();
    for (name, path, about) in walk(tree)? {
        let executable = is_executable(&about);
        let mode = if executable { 0o555 } else { 0o444 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(Error::file(&path))?;
        files.insert(name, File { blake3: digest(&path)?, executable });
    }
    each_directory(tree, &mut |path| {
        fs::set_permissions(path, Permissions::from_mode(0o555)).map_err(Error::file(path))
    })?;
    Ok(files)
}

/// Says what is not as it was: the first file that differs, is missing or is too many. Those that
/// are `known`, and that nobody has changed since, are not read again.
pub(super) fn differs(
    tree: &Path,
    files: &BTreeMap<String, File>,
    known: &mut Known,
) -> Result<Option<String>, Error> {
    let began = SystemTime::now();
    let mut seen = 0;
    for (name, path, about) in walk(tree)? {
        let Some(file) = files.get(&name) else {
            return Ok(Some(format!("`{name}` was added")));
        };
        let identity = Identity::of(&about);
        seen += 1;
        if known.get(&name) == Some(&identity) {
            continue;
        }
        if file.executable != is_executable(&about) || file.blake3 != digest(&path)? {
            return Ok(Some(format!("`{name}` is another")));
        }
        if identity.is_older_than(began) {
            known.insert(name, identity);
        }
    }
    if seen == files.len() {
        return Ok(None);
    }
    let missing = files.keys().find(|it| !tree.join(it).exists());
    Ok(Some(format!("`{}` is missing", missing.map(String::as_str).unwrap_or_default())))
}

/// Files that were found to be as they should, and which they were.
pub(super) type Known = HashMap<String, Identity>;

/// Which file it is, in what state. Whoever changes one changes when it was last changed
/// (`ctime`), which the kernel sets and nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    place: (u64, u64),
    size: u64,
    mode: u32,
    changed: (i64, i64),
}

impl Identity {
    fn of(about: &Metadata) -> Self {
        Self {
            place: (about.dev(), about.ino()),
            size: about.size(),
            mode: about.mode(),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }

    /// Whether it was changed long enough before this that a change since has another time: the
    /// kernel's clock for files has steps.
    fn is_older_than(&self, moment: SystemTime) -> bool {
        const STEP: Duration = Duration::from_secs(1);
        let (Ok(seconds), Ok(more)) =
            (u64::try_from(self.changed.0), u32::try_from(self.changed.1))
        else {
            return false;
        };
        let changed = SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, more));
        let age = changed.and_then(|it| moment.duration_since(it).ok());
        age.is_some_and(|it| it >= STEP)
    }
}

fn is_executable(about: &Metadata) -> bool {
    about.mode() & 0o111 != 0
}

/// Removes what was made read only.
pub(super) fn remove(directory: &Path) -> Result<(), Error> {
    each_directory(directory, &mut |path| {
        fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(Error::file(path))
    })?;
    fs::remove_dir_all(directory).map_err(Error::file(directory))
}

/// Every file, in no order: its name below the tree, its path, and what is to be known of it.
fn walk(tree: &Path) -> Result<Vec<(String, PathBuf, Metadata)>, Error> {
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut queue = vec![tree.to_owned()];
    while let Some(directory) = queue.pop() {
        for entry in fs::read_dir(&directory).map_err(Error::file(&directory))? {
            let path = entry.map_err(Error::file(&directory))?.path();
            let below = path.strip_prefix(tree).unwrap_or(&path);
            let about = fs::symlink_metadata(&path).map_err(Error::file(&path))?;
            let refused = |why: &str| Error::Refused {
                package: below.display().to_string(),
                why: why.to_owned(),
            };
            let Some(name) = below.to_str() else {
                return Err(refused("has a name that is no text"));
            };
            if about.is_dir() {
                if below.components().count() > DEPTH_MAX {
                    return Err(refused("lies too deep"));
                }
                queue.push(path);
                continue;
            }
            if !about.is_file() {
                return Err(refused("is neither a file nor a directory, and could lead elsewhere"));
            }
            bytes += about.size();
            if found.len() >= FILES_MAX || bytes > BYTES_MAX {
                return Err(refused("is more than a package may have"));
            }
            found.push((name.to_owned(), path, about));
        }
    }
    Ok(found)
}

/// The innermost come last, so that they can still be reached when those above are read only; what
/// is above them is made writable first when they are removed.
fn each_directory(
    top: &Path,
    act: &mut impl FnMut(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut queue = vec![top.to_owned()];
    while let Some(directory) = queue.pop() {
        act(&directory)?;
        for entry in fs::read_dir(&directory).map_err(Error::file(&directory))? {
            let entry = entry.map_err(Error::file(&directory))?;
            if entry.file_type().is_ok_and(|it| it.is_dir()) {
                queue.push(entry.path());
            }
        }
    }
    Ok(())
}

fn digest(path: &Path) -> Result<String, Error> {
    let file = fs::File::open(path).map_err(Error::file(path))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(Error::file(path))?;
    Ok(hasher.finalize().to_hex().to_string())
}
