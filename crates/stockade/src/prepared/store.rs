//! The store: a directory an entry, whose name has the digest of its manifest, which has the digest
//! of each of its files. An entry comes into being by one rename, so there is never half of one; and
//! what was asked for leads to it by a pin.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::error::Error;
use super::manifest::{FORMAT, Manifest};
use super::tree::{self, Known};
use stockade_kit::launch::{Package, Wanted};

const MANIFEST: &str = "manifest.json";
const TREE: &str = "tree";
const STAGING: &str = ".staging-";
/// Of the manifest's digest, in the name of an entry.
const DIGEST_CHARS: usize = 32;
/// More would not be ours.
const MANIFEST_BYTES_MAX: u64 = 128 << 20;

/// The store of one user.
#[derive(Clone, Debug)]
pub struct Store(PathBuf);

/// Something that was prepared.
#[derive(Clone, Debug)]
pub struct Entry {
    dir: PathBuf,
    /// What it is.
    pub manifest: Manifest,
}

/// An entry that is started again and again.
#[derive(Debug)]
pub struct Checked {
    entry: Entry,
    known: Mutex<Known>,
}

/// A directory that becomes an entry, or is gone with this value.
#[derive(Debug)]
pub(super) struct Staging {
    dir: PathBuf,
    /// Held, to say that somebody is at work here.
    _lock: File,
}

impl Store {
    /// The store in this directory, which is made when it is needed.
    pub fn at(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// What was prepared for this, if anything was. Whether it is as it was is another question:
    /// [`Entry::verify`].
    ///
    /// # Errors
    /// When there is something that cannot be read or is not what it says.
    pub fn find(&self, package: &Package) -> Result<Option<Entry>, Error> {
        let pin = self.pin(&package.spec());
        let Ok(name) = fs::read_to_string(&pin) else { return Ok(None) };
        let Some(entry) = self.entry(name.trim())? else { return Ok(None) };
        let Manifest { ecosystem, name, extras, version, .. } = &entry.manifest;
        let is_wanted = match &package.wanted {
            Wanted::Exact(wanted) => wanted == version,
            Wanted::Range(_) => true,
        };
        let same = is_wanted
            && ecosystem == package.ecosystem.name()
            && *name == package.name
            && *extras == package.extras;
        match same {
            true => Ok(Some(entry)),
            false => {
                Err(Error::Changed { entry: pin, what: "it leads to another package".to_owned() })
            }
        }
    }

    /// All entries, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let mut names: Vec<_> = match fs::read_dir(&self.0) {
            Ok(listed) => listed.flatten().map(|it| it.file_name()).collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::file(&self.0)(error)),
        };
        names.sort();
        let names = names.iter().filter_map(|it| it.to_str());
        let entries = names.filter(|it| digest_in(it).is_some()).map(|it| self.entry(it));
        entries.filter_map(Result::transpose).collect()
    }

    /// Removes an entry, by its name or by its package and version.
    ///
    /// # Errors
    /// When there is none, or it cannot be removed.
    pub fn remove(&self, named: &str) -> Result<Vec<String>, Error> {
        let mut removed = Vec::new();
        let _held = self.lock()?;
        for entry in self.entries()? {
            if entry.name() != named && entry.manifest.id() != named {
                continue;
            }
            // From here on it is no entry, whatever becomes of the rest.
            let gone = self.0.join(format!("{STAGING}{}", entry.name()));
            fs::rename(&entry.dir, &gone).map_err(Error::file(&entry.dir))?;
            tree::remove(&gone)?;
            removed.push(entry.name().to_owned());
        }
        match removed.is_empty() {
            true => Err(Error::NotPrepared { name: named.to_owned() }),
            false => Ok(removed),
        }
    }

    /// A place to work in. What others have left there unfinished is removed.
    pub(super) fn stage(&self) -> Result<Staging, Error> {
        let _held = self.lock()?;
        for entry in fs::read_dir(&self.0).map_err(Error::file(&self.0))?.flatten() {
            let is_staging = entry.file_name().to_string_lossy().starts_with(STAGING);
            if is_staging && !is_held(&entry.path()) {
                tree::remove(&entry.path())?;
            }
        }
        let dir = tempfile::Builder::new().prefix(STAGING).tempdir_in(&self.0);
        let dir = dir.map_err(Error::file(&self.0))?.keep();
        let path = lock_of(&dir);
        let lock = File::create(&path).and_then(|it| it.lock().map(|()| it));
        let _lock = lock.map_err(Error::file(&path))?;
        Ok(Staging { dir, _lock })
    }

    /// Makes an entry of a tree, and pins what was asked for to it.
    pub(super) fn add(
        &self,
        staging: Staging,
        made: &Path,
        manifest: &Manifest,
        package: &Package,
    ) -> Result<Entry, Error> {
        let bytes = serde_json::to_vec(manifest).unwrap_or_default();
        let name = format!(
            "{}-{}@{}-{}",
            manifest.ecosystem,
            safe(&manifest.name),
            safe(&manifest.version),
            digest(&bytes)
        );
        let new = staging.dir.join("entry");
        fs::create_dir(&new).map_err(Error::file(&new))?;
        let at = new.join(TREE);
        // A directory that is moved to another must be writable itself.
        fs::set_permissions(made, Permissions::from_mode(0o755)).map_err(Error::file(made))?;
        fs::rename(made, &at).map_err(Error::file(&at))?;
        fs::set_permissions(&at, Permissions::from_mode(0o555)).map_err(Error::file(&at))?;
        let path = new.join(MANIFEST);
        fs::write(&path, &bytes).map_err(Error::file(&path))?;
        fs::set_permissions(&path, Permissions::from_mode(0o444)).map_err(Error::file(&path))?;
        let dir = self.0.join(&name);
        // One that is there already has the same files: its name says so, and it is looked at.
        if let Err(error) = fs::rename(&new, &dir)
            && !dir.is_dir()
        {
            return Err(Error::file(&dir)(error));
        }
        let read_only = Permissions::from_mode(0o555);
        fs::set_permissions(&dir, read_only).map_err(Error::file(&dir))?;
        let entry = self.entry(&name)?.ok_or(Error::NotPrepared { name: name.clone() })?;
        entry.verify()?;
        let exact = Package { wanted: Wanted::Exact(manifest.version.clone()), ..package.clone() };
        for spec in [package.spec(), exact.spec()] {
            self.set_pin(&spec, &name)?;
        }
        drop(staging);
        Ok(entry)
    }

    fn entry(&self, name: &str) -> Result<Option<Entry>, Error> {
        let Some(expected) = digest_in(name) else { return Ok(None) };
        let dir = self.0.join(name);
        let path = dir.join(MANIFEST);
        let changed = |what: &str| Error::Changed { entry: dir.clone(), what: what.to_owned() };
        match fs::metadata(&path) {
            Ok(about) if about.len() > MANIFEST_BYTES_MAX => return Err(changed(MANIFEST)),
            Ok(_) => {}
            Err(_) if !dir.is_dir() => return Ok(None),
            Err(_) => return Err(changed("`manifest.json` is missing")),
        }
        let bytes = fs::read(&path).map_err(Error::file(&path))?;
        if digest(&bytes) != expected {
            return Err(changed("`manifest.json` is another"));
        }
        let manifest: Option<Manifest> = serde_json::from_slice(&bytes).ok();
        match manifest.filter(|it| it.format == FORMAT) {
            Some(manifest) => Ok(Some(Entry { dir, manifest })),
            None => Err(changed("`manifest.json` is of another version of Stockade")),
        }
    }

    fn pin(&self, spec: &str) -> PathBuf {
        self.0.join("pins").join(safe(spec))
    }

    fn set_pin(&self, spec: &str, name: &str) -> Result<(), Error> {
        let path = self.pin(spec);
        let pins = self.0.join("pins");
        fs::create_dir_all(&pins).map_err(Error::file(&pins))?;
        let mut file = tempfile::NamedTempFile::new_in(&pins).map_err(Error::file(&pins))?;
        file.write_all(name.as_bytes()).map_err(Error::file(&path))?;
        file.persist(&path).map_err(|it| Error::file(&path)(it.error))?;
        Ok(())
    }

    /// Held while directories of staging are made or removed.
    fn lock(&self) -> Result<File, Error> {
        let private = |it: &Path| DirBuilder::new().recursive(true).mode(0o700).create(it);
        private(&self.0).map_err(Error::file(&self.0))?;
        let path = self.0.join(".lock");
        let lock = File::create(&path).and_then(|it| it.lock().map(|()| it));
        lock.map_err(Error::file(&path))
    }
}

impl Entry {
    /// Its name in the store.
    pub fn name(&self) -> &str {
        self.dir.file_name().and_then(OsStr::to_str).unwrap_or_default()
    }

    /// Where its files are.
    pub fn tree(&self) -> PathBuf {
        self.dir.join(TREE)
    }

    /// Reads every file.
    ///
    /// # Errors
    /// When one is not what it was.
    pub fn verify(&self) -> Result<(), Error> {
        self.look(&mut Known::new())
    }

    fn look(&self, known: &mut Known) -> Result<(), Error> {
        let changed = |what| Error::Changed { entry: self.dir.clone(), what };
        match tree::differs(&self.tree(), &self.manifest.files, known) {
            Ok(None) => Ok(()),
            Ok(Some(what)) => Err(changed(what)),
            // Nothing of that kind was put there.
            Err(error @ Error::Refused { .. }) => Err(changed(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

impl Checked {
    /// It was not looked at yet.
    pub fn new(entry: Entry) -> Self {
        Self { entry, known: Mutex::default() }
    }

    /// The entry.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Looks at every file, and reads those that are new or were changed since.
    ///
    /// # Errors
    /// When one is not what it was.
    pub fn verify(&self) -> Result<(), Error> {
        // Whoever panicked has noted only files that were read.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.entry.look(&mut known)
    }
}

impl Staging {
    /// Where the package manager works.
    pub(super) fn work(&self) -> PathBuf {
        self.dir.join("work")
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next who prepares something.
        let _ = tree::remove(&self.dir);
    }
}

fn lock_of(staging: &Path) -> PathBuf {
    staging.join("lock")
}

/// Whether somebody works there. Asked only by who has the lock of the store.
fn is_held(staging: &Path) -> bool {
    let lock = File::open(lock_of(staging));
    lock.is_ok_and(|it| matches!(it.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

fn digest(bytes: &[u8]) -> String {
    let whole = blake3::hash(bytes).to_hex().to_string();
    whole.chars().take(DIGEST_CHARS).collect()
}

/// The digest in the name of an entry; nothing, where it is no such name.
fn digest_in(name: &str) -> Option<&str> {
    let (before, digest) = name.rsplit_once('-')?;
    let is_plain = !before.starts_with('.') && !name.contains('/');
    let is_digest = digest.len() == DIGEST_CHARS && digest.bytes().all(|it| it.is_ascii_hexdigit());
    (is_plain && is_digest).then_some(digest)
}

/// A text as the name of a file.
fn safe(text: &str) -> String {
    let mut name = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'@' | b'=' => {
                name.push(byte.into());
            }
            b'/' => name.push('+'),
            b'.' if !name.is_empty() => name.push('.'),
            other => name.push_str(&format!("%{other:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_different_for_different_packages() {
        assert_eq!(safe("npm:@a/b@1.0.0"), "npm%3a@a+b@1.0.0");
        assert_eq!(safe("../x"), "%2e.+x");
        assert_ne!(safe("a+b"), safe("a/b"));
    }

    #[test]
    fn an_entry_has_a_digest_in_its_name() {
        let hex = "0".repeat(DIGEST_CHARS);
        assert_eq!(digest_in(&format!("npm-a@1-{hex}")), Some(hex.as_str()));
        for name in [format!("../x-{hex}"), format!(".staging-{hex}"), hex.clone(), "pins".into()] {
            assert_eq!(digest_in(&name), None, "{name}");
        }
    }
}
