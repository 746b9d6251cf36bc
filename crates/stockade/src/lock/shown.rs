//! What servers have shown to guards in place of what was approved, kept until somebody has looked
//! at it: a server that is honest when it is looked at would show it to nobody who could.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stockade_core::lock::{Difference, Part};

/// So many things are kept of one server.
const KEPT_MAX: usize = 256;
/// The longest that is kept, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// What one server has shown.
#[derive(Clone, Debug)]
pub struct Shown {
    directory: PathBuf,
}

/// Something that a server has shown, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    part: String,
    name: String,
    is: Value,
}

impl Shown {
    /// That of a server of a lock, below a state directory, where no server sees it.
    pub fn of(state: &Path, lock: &Path, server: &str) -> Self {
        let lock = std::path::absolute(lock).unwrap_or_else(|_| lock.to_owned());
        let mut hasher = blake3::Hasher::new();
        hasher.update(lock.as_os_str().as_encoded_bytes());
        hasher.update(b"\0");
        hasher.update(server.as_bytes());
        let name = hasher.finalize().to_hex();
        let directory = state.join("shown").join(name.get(..32).unwrap_or_default());
        Self { directory }
    }

    /// Keeps something. What is there already, or more than is kept, changes nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, difference: &Difference) -> io::Result<()> {
        let (Some(is), Some(digest)) = (&difference.is, &difference.digest) else { return Ok(()) };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let (part, name) = (difference.part.name(), &difference.name);
        let kept = Kept { part: part.to_owned(), name: name.clone(), is: is.clone() };
        let bytes = serde_json::to_vec(&kept)?;
        let listed = fs::read_dir(&self.directory)?.count();
        if listed >= KEPT_MAX || bytes.len() as u64 > BYTES_MAX {
            return Ok(());
        }
        let path = self.directory.join(format!("{part}-{digest}.json"));
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => file.write_all(&bytes),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// All that is kept, by sort and name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn all(&self) -> io::Result<Vec<(Part, String, Value)>> {
        let listed = match fs::read_dir(&self.directory) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut all = Vec::new();
        for entry in listed.take(KEPT_MAX) {
            let mut bytes = Vec::new();
            let mut options = OpenOptions::new();
            let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let options = options.read(true).custom_flags(flags.bits().cast_signed());
            let file: File = options.open(entry?.path())?;
            file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
            // One that was only half written says nothing.
            let Ok(Kept { part, name, is }) = serde_json::from_slice(&bytes) else { continue };
            all.extend(Part::named(&part).map(|part| (part, name, is)));
        }
        all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        Ok(all)
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_shown_is_kept_once_and_within_bounds() {
        let directory = tempfile::tempdir().unwrap();
        let shown = Shown::of(directory.path(), Path::new("/a/stockade.lock"), "a");
        let of = |name: &str, text: &str| {
            let is = json!({ "name": name, "description": text });
            Difference::of(Part::Tool, name, &[], Some(&is))
        };
        assert_eq!(shown.all().unwrap(), Vec::new());
        shown.keep(&of("b", "x")).unwrap();
        shown.keep(&of("b", "x")).unwrap();
        shown.keep(&of("a/../../b", "y")).unwrap();
        let all = shown.all().unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].2, json!({ "name": "b", "description": "x" }));
        for number in 0..KEPT_MAX + 10 {
            shown.keep(&of("c", &number.to_string())).unwrap();
        }
        assert_eq!(shown.all().unwrap().len(), KEPT_MAX);
        let other = Shown::of(directory.path(), Path::new("/b/stockade.lock"), "a");
        assert_eq!(other.all().unwrap(), Vec::new());
        shown.forget().unwrap();
        shown.forget().unwrap();
        assert_eq!(shown.all().unwrap(), Vec::new());
    }
}
