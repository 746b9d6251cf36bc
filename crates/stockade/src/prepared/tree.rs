//! The files of a package: what may be among them, how they are made read only, and whether they
//! are still what they were.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

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
    for (name, path, executable) in walk(tree)? {
        let mode = if executable { 0o555 } else { 0o444 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(Error::file(&path))?;
        files.insert(name, File { blake3: digest(&path)?, executable });
    }
    each_directory(tree, &mut |path| {
        fs::set_permissions(path, Permissions::from_mode(0o555)).map_err(Error::file(path))
    })?;
    Ok(files)
}

/// Says what is not as it was: the first file that differs, is missing or is too many.
pub(super) fn differs(
    tree: &Path,
    files: &BTreeMap<String, File>,
) -> Result<Option<String>, Error> {
    let mut seen = 0;
    for (name, path, executable) in walk(tree)? {
        let Some(file) = files.get(&name) else {
            return Ok(Some(format!("`{name}` was added")));
        };
        if file.executable != executable || file.blake3 != digest(&path)? {
            return Ok(Some(format!("`{name}` is another")));
        }
        seen += 1;
    }
    if seen == files.len() {
        return Ok(None);
    }
    let missing = files.keys().find(|it| !tree.join(it).exists());
    Ok(Some(format!("`{}` is missing", missing.map(String::as_str).unwrap_or_default())))
}

/// Removes what was made read only.
pub(super) fn remove(directory: &Path) -> Result<(), Error> {
    each_directory(directory, &mut |path| {
        fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(Error::file(path))
    })?;
    fs::remove_dir_all(directory).map_err(Error::file(directory))
}

/// Every file, in no order: its name below the tree, its path, and whether it may be executed.
fn walk(tree: &Path) -> Result<Vec<(String, PathBuf, bool)>, Error> {
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
            let executable = about.mode() & 0o111 != 0;
            found.push((name.to_owned(), path, executable));
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
