//! Which file is read, and reading it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ConfigError;

/// The longest policy file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The name of a policy file.
const NAME: &str = "stockade.toml";

/// Where to look for a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// In one place. It must be there.
    Named(PathBuf),
    /// In the place of the user's own. It may be missing.
    Own(Option<PathBuf>),
}

/// A policy file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file, as it was named.
    pub path: PathBuf,
    /// What it says.
    pub text: Arc<str>,
}

impl Search {
    /// For what `--policy` says, in this process's environment.
    pub fn new(named: Option<&Path>) -> Self {
        Self::within(named, &|name| std::env::var_os(name))
    }

    /// The same, in another environment.
    pub fn within(named: Option<&Path>, variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        if let Some(path) = named {
            return Self::Named(path.to_owned());
        }
        // A relative path there is to be ignored (XDG base directory specification).
        let absolute =
            |name| variable(name).map(PathBuf::from).filter(|it: &PathBuf| it.is_absolute());
        let home = || absolute("HOME").map(|it| it.join(".config"));
        let base = absolute("XDG_CONFIG_HOME").or_else(home);
        Self::Own(base.map(|it| it.join("stockade").join(NAME)))
    }

    /// Where it is, or will be looked for.
    pub fn place(&self) -> Option<&Path> {
        match self {
            Self::Named(path) => Some(path),
            Self::Own(path) => path.as_deref(),
        }
    }

    /// Reads the file; nothing, where the user has none.
    ///
    /// # Errors
    /// When a file that is there cannot be used.
    pub fn read(&self) -> Result<Option<Source>, ConfigError> {
        match self {
            Self::Named(path) => read(path).map(Some),
            Self::Own(None) => Ok(None),
            Self::Own(Some(path)) => match read(path) {
                Err(ConfigError::Read { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound =>
                {
                    Ok(None)
                }
                read => read.map(Some),
            },
        }
    }

    /// What the user should know when a file in the working directory is not read.
    pub fn overlooks(&self, directory: &Path) -> Option<String> {
        let Self::Own(own) = self else { return None };
        let project = directory.join(NAME);
        let other = own.as_ref() != Some(&project) && project.exists();
        other.then(|| format!("`./{NAME}` is not read: name it with `--policy` to use it"))
    }
}

fn read(path: &Path) -> Result<Source, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if writable(&file.metadata().map_err(failed)?) {
        return Err(ConfigError::Writable { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ConfigError::TooLong { path: path.to_owned(), bytes_max: FILE_BYTES_MAX });
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| ConfigError::NotUtf8 { path: path.to_owned() })?;
    Ok(Source { path: path.to_owned(), text: text.into() })
}

#[cfg(unix)]
fn writable(file: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.is_file() && file.permissions().mode() & 0o002 != 0
}

#[cfg(not(unix))]
fn writable(_file: &std::fs::Metadata) -> bool {
    false
}

/// The line of a place in a text, from 1.
pub(super) fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|it| *it == b'\n').count()
}
