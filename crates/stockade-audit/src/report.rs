//! What an audit says.

use std::fmt;

use serde::Serialize;

use crate::inventory::Capability;
use crate::rules::Severity;

/// What was found in a directory, what was not looked at, and what could not be.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong, by file and line.
    pub findings: Vec<Finding>,
    /// What is good to know ([`Severity::Info`]) and no mistake by itself, by file and line.
    pub notes: Vec<Finding>,
    /// What clients can call.
    pub tools: Vec<Tool>,
    /// What the project can do, by all that its tools call.
    pub capabilities: Vec<Capability>,
    /// What was left out on purpose.
    pub skipped: Vec<Skipped>,
    /// What could not be read, or not to the end. With any of these, no findings is no clean bill.
    pub failures: Vec<Failure>,
    /// How many files were read.
    pub files: usize,
    /// How many lines they have.
    pub lines: usize,
}

/// Something that is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The rule that says so; its page is [`crate::rules::Rule::page`].
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// The file, below the root.
    pub file: String,
    /// The first line of what is wrong, from 1.
    pub line: u32,
    /// And the last.
    pub end: u32,
    /// The tool by which it is reached.
    pub tool: Option<String>,
    /// From where the caller's value comes in to where it is used.
    pub trace: Vec<Step>,
    /// In one sentence.
    pub message: String,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// It is not known who calls this.
    Low,
    /// By the form of the code alone.
    Medium,
    /// A value of a caller's was followed to it.
    High,
}

/// A step of a value on its way.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The file, below the root.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What happens there.
    pub what: String,
}

/// A tool, resource or prompt that was found in the code.
#[derive(Clone, Debug, Serialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Where its function begins.
    pub file: String,
    /// And in which line.
    pub line: u32,
    /// What it can do, by all that it calls.
    pub capabilities: Vec<Capability>,
}

/// Something that was left out on purpose.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// Below the root.
    pub path: String,
    /// What it is.
    pub why: &'static str,
}

/// Something that could not be read.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Below the root.
    pub path: String,
    /// Why not.
    pub cause: Cause,
}

/// Why something could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The system says no.
    Unreadable,
    /// It is larger than is read.
    TooLarge,
    /// There are more files, or more bytes, than are read.
    TooMany,
    /// It is nested deeper than is followed.
    TooDeep,
    /// It is not UTF-8.
    NotText,
    /// A part of it is not in its language; the rest was looked at.
    Syntax(u32),
    /// Time ran out.
    OutOfTime,
    /// It branches more than is followed; a part of it was not looked at.
    TooManyWays,
    /// A function calls others deeper than is followed.
    CallsTooDeep,
    /// The audit itself failed on it.
    Broken,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "cannot be read",
            Self::TooLarge => "is larger than is read",
            Self::TooMany => "there are more files, or more bytes, than are read",
            Self::TooDeep => "is nested deeper than is followed",
            Self::NotText => "is not UTF-8",
            Self::Syntax(line) => {
                return write!(f, "is not in its language at line {line}; the rest was looked at");
            }
            Self::OutOfTime => "time ran out",
            Self::TooManyWays => "branches more than is followed; a part was not looked at",
            Self::CallsTooDeep => "calls go deeper than is followed; a part was not looked at",
            Self::Broken => "the audit itself failed on it",
        })
    }
}

impl Report {
    /// Whether everything was looked at.
    pub fn is_whole(&self) -> bool {
        self.failures.is_empty()
    }

    pub(crate) fn severity(rule: &str) -> Severity {
        crate::rules::rule(rule).map_or(Severity::Medium, |it| it.severity)
    }
}
