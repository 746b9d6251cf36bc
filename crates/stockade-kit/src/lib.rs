//! Roots, commands and errors: guards for authors of MCP servers.
//!
//! A tool's arguments are written by a model, and a model writes what it has read. Each module
//! here turns one kind of argument into a type that only a check can make: a path into something
//! opened beneath a [`Root`], a command line into an [`Argv`], an error into a [`Failure`] that an
//! outsider may read. [`path::inside`] is the odd one: it answers about a path without touching a
//! disk, for a guard that stands in front of somebody else's server.
//!
//! What is not here: a sandbox. A server that got all of this right still runs with the rights of
//! the user who started it.

#[cfg(feature = "url")]
pub mod address;
pub mod command;
pub mod failure;
pub mod launch;
pub mod limits;
pub mod path;
pub mod root;

pub use command::{Argv, Command, Pattern};
pub use failure::Failure;
pub use path::Escape;
pub use root::Root;
