//! What was prepared, written down: every package at its exact version, and every file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Of what the fields of a manifest mean.
pub(super) const FORMAT: u32 = 1;

/// What was prepared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the other fields mean.
    pub format: u32,
    /// `npm` or `pypi`.
    pub ecosystem: String,
    /// The package.
    pub name: String,
    /// Its optional parts.
    pub extras: Vec<String>,
    /// Its version.
    pub version: String,
    /// The digest of its archive, as the registry has it.
    pub integrity: String,
    /// Where its archive came from.
    pub url: String,
    /// The interpreter that its compiled parts were chosen for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<Interpreter>,
    /// What can be started, by name.
    pub programs: BTreeMap<String, Program>,
    /// Packages with scripts that an ordinary installation runs, and this one did not.
    pub scripts_not_run: Vec<String>,
    /// All packages, this one as well.
    pub packages: Vec<Dependency>,
    /// All files, by their paths below the tree.
    pub files: BTreeMap<String, File>,
}

/// A package at an exact version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its archive; empty where it is a part of another's.
    pub integrity: String,
    /// Where its archive came from.
    pub url: String,
}

/// An interpreter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interpreter {
    /// The file that is executed.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
}

/// Something that can be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Program {
    /// A file for Node.js, by its path below the tree.
    Script(String),
    /// A function in a Python package.
    EntryPoint {
        /// The module.
        module: String,
        /// The function's place in it.
        attribute: String,
    },
}

/// A file as it was when it was prepared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The digest of what is in it, in hexadecimal.
    pub blake3: String,
    /// Whether it may be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// What was installed, before it is sealed.
pub(super) struct Made {
    pub(super) tree: PathBuf,
    pub(super) packages: Vec<Dependency>,
    pub(super) programs: BTreeMap<String, Program>,
    pub(super) interpreter: Option<Interpreter>,
}

impl Manifest {
    /// The package at its version, as it is written on a command line.
    pub fn id(&self) -> String {
        let at = if self.ecosystem == "npm" { "@" } else { "==" };
        let extras = match self.extras.is_empty() {
            true => String::new(),
            false => format!("[{}]", self.extras.join(",")),
        };
        format!("{}:{}{extras}{at}{}", self.ecosystem, self.name, self.version)
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.name, self.version)
    }
}
