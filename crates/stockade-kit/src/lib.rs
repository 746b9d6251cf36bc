//! Roots, queries, commands, URLs and errors: guards for authors of MCP servers.
//!
//! A tool's arguments are written by a model, and a model writes what it has read. Each module
//! here turns one kind of argument into a type that only a check can make:
//!
//! | an argument | becomes | feature |
//! |---|---|---|
//! | a path | something opened beneath a [`Root`], by the kernel | |
//! | a command line | an [`Argv`], by the grammar of its program | |
//! | SQL | a [`query::ReadOnly`], by a parser of its dialect | `sql` |
//! | a URL | a [`url::Target`], connected to at the address that was judged | `url` |
//! | an error | a [`Failure`], which an outsider may read | |
//!
//! Most of it answers without touching a disk or a network, for a guard that stands in front of
//! somebody else's server: [`path::inside`], [`command::known::judge_line`], [`query::Query::parse`],
//! [`url::Url::parse`] and [`launch::Launch`].
//!
//! What is not here: a sandbox. A server that got all of this right still runs with the rights of
//! the user who started it.
//!
//! # A server to copy from
//!
//! `examples/notes.rs`, over `rmcp`:
//!
//! ````ignore
#![doc = include_str!("../examples/notes.rs")]
//! ````

#[cfg(feature = "url")]
pub mod address;
pub mod command;
pub mod failure;
pub mod launch;
pub mod limits;
pub mod path;
#[cfg(feature = "sql")]
pub mod query;
pub mod root;
#[cfg(feature = "url")]
pub mod url;

pub use command::{Argv, Command, Pattern};
pub use failure::Failure;
pub use path::Escape;
pub use root::Root;
