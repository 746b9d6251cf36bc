//! What the source of an MCP server lets a caller do.
//!
//! [`audit`] reads the Python, JavaScript, TypeScript, Go and Rust of a directory, finds the tools in
//! it, and follows what a caller gives to them, through assignments, conditions and the functions of
//! the project, to where it would have to be something else: a path, a query, a command. What really
//! protects is known ([`rules`] say what), and so is what only looks as if it did.
//!
//! It reads and does nothing else: no code is started, no link followed, nothing fetched. Whoever
//! writes a server that is audited may try to keep the audit from seeing: so size, depth and time are
//! bounded, and what was not looked at is said in [`Report::failures`]. Finding nothing in what was
//! not read is no clean bill.
//!
//! What it does not do: it does not run the code, so a value that is made safe in a way that nobody
//! has told it of is a false alarm, and one that takes a way through data (a database, a file, a
//! field of an object that another tool reads) is not followed.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most questions are about one of two dozen kinds of expressions, and have one answer for the rest"
)]

mod advice;
mod entry;
mod flow;
mod inventory;
mod ir;
mod language;
mod lower;
mod project;
mod report;
mod rules;
mod run;
mod tokens;
mod tree;
mod walk;

use std::path::Path;
use std::time::Duration;

pub use self::inventory::Capability;
pub use self::language::Language;
pub use self::report::{Cause, Confidence, Failure, Finding, Report, Skipped, Step, Tool};
pub use self::rules::{Rule, Severity, rule, rules};

/// How much is read.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Files.
    pub files: usize,
    /// Directories in directories.
    pub depth: u32,
    /// All of it.
    pub time: Duration,
    /// Tests too.
    pub tests: bool,
    /// What was built too, where its source lies beside it.
    pub built: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 1 << 20,
            bytes: 256 << 20,
            files: 20_000,
            depth: 32,
            time: Duration::from_secs(120),
            tests: false,
            built: false,
        }
    }
}

/// Audits a directory, or a single file.
pub fn audit(root: &Path, limits: &Limits) -> Report {
    run::directory(root, limits)
}

/// Audits one text, as if it were a file of that name and all of a project.
pub fn audit_text(path: &str, language: Language, text: &str) -> Report {
    run::text(path, language, text)
}
