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
        Self::within(named, std::env::var_os("XDG_CONFIG_HOME"), home())
    }

    /// The same, with another `XDG_CONFIG_HOME`, of a user with another home directory.
    pub fn within(named: Option<&Path>, xdg: Option<OsString>, home: Option<PathBuf>) -> Self {
        if let Some(path) = named {
            return Self::Named(path.to_owned());
        }
        // A relative path there is to be ignored (XDG base directory specification).
        let xdg = xdg.map(PathBuf::from).filter(|it| it.is_absolute());
        let base = xdg.or_else(|| home.map(|it| it.join(".config")));
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

    /// What the user should know of files that are not read: one in the working directory, or any.
    pub fn overlooks(&self, directory: &Path) -> Option<String> {
        let Self::Own(own) = self else { return None };
        if own.is_none() {
            let says =
                "there is no home directory, and no policy is read: name one with `--policy`";
            return Some(says.to_owned());
        }
        let project = directory.join(NAME);
        let other = own.as_ref() != Some(&project) && project.exists();
        other.then(|| format!("`./{NAME}` is not read: name it with `--policy` to use it"))
    }
}

/// The home directory of this user, wherever something of theirs is looked for: as `HOME` says it,
/// or else as the system knows it.
pub fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|it| it.is_absolute())
}

fn read(path: &Path) -> Result<Source, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if writable(&file.metadata().map_err(failed)?) {
        return Err(ConfigError::Writable { path: path.to_owned() });
    }
    Ok(Source { path: path.to_owned(), text: contents(path, file)?.into() })
}

/// The text of a file that decides nothing.
pub(super) fn text(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    contents(path, File::open(path).map_err(failed)?)
}

fn contents(path: &Path, file: File) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ConfigError::TooLong { path: path.to_owned(), bytes_max: FILE_BYTES_MAX });
    }
    String::from_utf8(bytes).map_err(|_| ConfigError::NotUtf8 { path: path.to_owned() })
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
