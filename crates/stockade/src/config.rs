//! What the user wants, from `stockade.toml` and the command line to a policy that is ready to run.
//!
//! Types that a user writes ([`mod@file`]) are not types that run ([`resolve`]). Exactly one file is
//! read: the one that `--policy` names, or else the user's own,
//! `$XDG_CONFIG_HOME/stockade/stockade.toml`. A `stockade.toml` in the working directory is *not*
//! read unless it is named: a project that was just cloned must not be able to weaken what its user
//! decided (CVE-2025-59536 was such a file).

pub mod cases;
pub mod file;
pub mod problem;
mod read;
pub mod reference;
pub mod resolve;
pub mod source;
pub mod watch;

pub use file::{Backend, Pinning};
pub use problem::{ConfigError, Problem, Problems};
pub use resolve::{Flags, Http, Resolved, Root, Sandbox, Server, Setting, Target, Ways};
pub use source::{Search, Source, home};

#[cfg(test)]
mod tests;
