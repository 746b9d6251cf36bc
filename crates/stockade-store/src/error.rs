//! What can go wrong with a ledger, as facts. How a tampered ledger reads is not an error of this
//! kind: see [`crate::Fault`].

use std::io;
use std::path::PathBuf;

use crate::verify::Broken;

/// Why a ledger could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory could not be opened or made.
    #[error("cannot open `{}`", path.display())]
    Open {
        /// What was to be opened.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written: the disk is full, or the file cannot be written any more.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody moved, replaced, cut or extended a file while it was being written.
    #[error("`{}` was replaced or changed while in use", path.display())]
    Replaced {
        /// The file that is no longer what it was.
        path: PathBuf,
    },
    /// A private file or directory that others may use.
    #[error("`{}` is open to other users (mode {mode:03o})", path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another process has held the manifest for too long.
    #[error("`{}` is locked by another process", path.display())]
    Locked {
        /// The file whose lock was waited for.
        path: PathBuf,
    },
    /// The signing key is gone, is not a key, or does not belong to `key.pub`.
    #[error("`{}` is not the key of this ledger", path.display())]
    Key {
        /// The key file.
        path: PathBuf,
    },
    /// The system's random number generator failed.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
    /// The manifest was tampered with; the ledger is not extended, lest the change be signed over.
    #[error("the ledger was changed: {0}")]
    Tampered(Broken),
    /// Where an export was, and the ledger has no such place.
    #[error("the cursor is of another ledger")]
    Cursor,
    /// What was to be recorded is not a record.
    #[error("not a record")]
    Fields(#[from] FieldsError),
    /// An earlier write failed, so nothing more is taken.
    #[error("the ledger stopped after an earlier failure: {cause}")]
    Poisoned {
        /// The first failure.
        cause: String,
    },
    /// A line of a segment cannot be read as a record.
    #[error("segment `{segment}` has a damaged record at byte {byte}")]
    Damaged {
        /// The segment's name.
        segment: String,
        /// Where in its file the line begins.
        byte: u64,
    },
    /// The index failed; it is a cache and may be deleted.
    #[error("cannot use the index `{}`", path.display())]
    Index {
        /// The index file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// What guards remember together cannot be used.
    #[error("cannot use `{}`", path.display())]
    Shared {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl Error {
    /// Whether a file is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Open { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Why something is not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// Not written as one JSON object.
    #[error("not a JSON object")]
    NotAnObject,
    /// Something in it was JSON already, which may have line breaks where JSON allows them.
    #[error("a part that was JSON already")]
    Raw,
    /// A name that the ledger itself writes.
    #[error("the name `{0}` is reserved")]
    Reserved(&'static str),
    /// More than [`crate::RECORD_BYTES_MAX`] bytes.
    #[error("{0} bytes are too many for one record")]
    TooLong(usize),
}
