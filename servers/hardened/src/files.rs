//! The files below the root: listed, read and written off the async threads, with a bound on each.

use std::sync::Arc;

use stockade_kit::root::{self, Writing};
use stockade_kit::{Failure, Root};

use crate::tell::{of_root, of_task, printable};

/// As much as a model can use, and more than that is a mistake.
pub(crate) const FILE_BYTES_MAX: usize = 256 * 1024;
pub(crate) const ENTRIES_MAX: usize = 500;

/// One name in a directory.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
pub(crate) struct Entry {
    /// The name, without the directory.
    pub(crate) name: String,
    /// What it is. A link is not followed to find out.
    pub(crate) kind: Kind,
    /// The length of a file in bytes.
    pub(crate) bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    File,
    Directory,
    Link,
    Other,
}

impl From<root::Kind> for Kind {
    fn from(kind: root::Kind) -> Self {
        match kind {
            root::Kind::File => Self::File,
            root::Kind::Directory => Self::Directory,
            root::Kind::Link => Self::Link,
            root::Kind::Other => Self::Other,
        }
    }
}

pub(crate) async fn list(root: &Arc<Root>, path: String) -> Result<(Vec<Entry>, bool), Failure> {
    let root = Arc::clone(root);
    let listing = tokio::task::spawn_blocking(move || root.list(&path, ENTRIES_MAX))
        .await
        .map_err(of_task)?
        .map_err(|error| of_root("list the directory", error))?;
    let entries = listing.entries.into_iter().map(|it| Entry {
        name: printable(&it.name),
        kind: it.kind.into(),
        bytes: it.bytes,
    });
    Ok((entries.collect(), listing.more))
}

/// A text file, safe to print.
pub(crate) async fn read(root: &Arc<Root>, path: String) -> Result<String, Failure> {
    let root = Arc::clone(root);
    let bytes = tokio::task::spawn_blocking(move || root.read(&path, FILE_BYTES_MAX))
        .await
        .map_err(of_task)?
        .map_err(|error| of_root("read the file", error))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::told("cannot read the file: it is not UTF-8 text"))?;
    Ok(printable(&text))
}

pub(crate) async fn write(
    root: &Arc<Root>,
    path: String,
    text: String,
    writing: Writing,
) -> Result<(), Failure> {
    if text.len() > FILE_BYTES_MAX {
        let most = format!("cannot write the file: it is longer than {FILE_BYTES_MAX} bytes");
        return Err(Failure::told(most));
    }
    let root = Arc::clone(root);
    tokio::task::spawn_blocking(move || root.write(&path, text.as_bytes(), writing))
        .await
        .map_err(of_task)?
        .map_err(|error| of_root("write the file", error))
}
