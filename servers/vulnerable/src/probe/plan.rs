//! What was planted for the attempts, and where. Without a plan, they are about what a machine has
//! in any case.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Names of what was planted, and which attempts are made.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    planted: Value,
    only: Option<String>,
}

/// The plan does not name what an attempt is about.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the plan names no `{0}`")]
pub(super) struct Missing(&'static str);

impl Plan {
    /// Reads a plan: one JSON object.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = std::fs::read(path)?;
        Ok(Self { planted: serde_json::from_slice(&text)?, only: None })
    }

    /// Only attempts whose names begin so.
    pub fn only(self, prefix: String) -> Self {
        Self { only: Some(prefix), ..self }
    }

    pub(super) fn wants(&self, id: &str) -> bool {
        self.only.as_ref().is_none_or(|it| id.starts_with(it.as_str()))
    }

    pub(super) fn text(&self, name: &'static str) -> Result<&str, Missing> {
        self.planted.get(name).and_then(Value::as_str).ok_or(Missing(name))
    }

    pub(super) fn number(&self, name: &'static str) -> Result<i64, Missing> {
        self.planted.get(name).and_then(Value::as_i64).ok_or(Missing(name))
    }

    pub(super) fn texts(&self, name: &'static str) -> Result<Vec<&str>, Missing> {
        let all = self.planted.get(name).and_then(Value::as_array).ok_or(Missing(name))?;
        Ok(all.iter().filter_map(Value::as_str).collect())
    }

    /// A place below a planted directory.
    pub(super) fn at(&self, directory: &'static str, name: &str) -> Result<PathBuf, Missing> {
        Ok(Path::new(self.text(directory)?).join(name))
    }
}
