//! Why a package is not prepared, or not started.

use std::io;
use std::path::PathBuf;

/// Why a package is not prepared, or not started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that is needed is not installed.
    #[error("`{program}` is not there, and is needed for this package")]
    Missing {
        /// Which.
        program: String,
        /// How to get it.
        remedy: &'static str,
    },
    /// The sandbox around the package manager.
    #[error(transparent)]
    Sandbox(#[from] stockade_sandbox::Error),
    /// The package manager failed.
    #[error("`{program}` failed\n  {said}")]
    Failed {
        /// Which.
        program: String,
        /// The last lines it wrote.
        said: String,
        /// What can be done.
        remedy: &'static str,
    },
    /// The package manager took too long.
    #[error("`{program}` had not ended after {time_s} s, which is all that a preparation may take")]
    Late {
        /// Which.
        program: String,
        /// How long a preparation may take.
        time_s: u64,
    },
    /// What the package manager has left cannot be understood.
    #[error("`{program}` left something in `{file}` that cannot be used: {why}")]
    Garbled {
        /// Which.
        program: &'static str,
        /// Its file.
        file: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A part of it would come from somewhere that is not a registry, or is not what it claims.
    #[error("`{package}` {why}")]
    Refused {
        /// Which package.
        package: String,
        /// What is wrong with it.
        why: String,
    },
    /// An address of a registry that is not used.
    #[error("the registry `{url}` is not used: {why}")]
    Registry {
        /// The address, without a password.
        url: String,
        /// Why.
        why: &'static str,
    },
    /// A host of a registry that nobody can be sent to.
    #[error("`{hosts}` cannot be reached: {why}")]
    Host {
        /// The hosts.
        hosts: String,
        /// Why.
        why: String,
    },
    /// The way to the registry.
    #[error("there is no way to the registry")]
    Network {
        /// Why.
        source: io::Error,
    },
    /// It has nothing that could be started.
    #[error("`{package}` has no program")]
    NoProgram {
        /// Which package.
        package: String,
    },
    /// It has no program of this name.
    #[error("`{package}` has no program `{named}`: there is `{programs}`")]
    NoSuchProgram {
        /// Which package.
        package: String,
        /// Which was asked for.
        named: String,
        /// Those it has.
        programs: String,
    },
    /// What was prepared is not what is there.
    #[error("`{entry}` was changed since it was prepared: {what}", entry = entry.display())]
    Changed {
        /// Its directory.
        entry: PathBuf,
        /// The file, and what is wrong with it.
        what: String,
    },
    /// There is no such entry.
    #[error("nothing is prepared as `{name}`")]
    NotPrepared {
        /// What was asked for.
        name: String,
    },
    /// A file or directory.
    #[error("cannot use `{path}`", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
