//! Which languages are read, and by what a file is known to be in one.

use std::path::Path;
use std::sync::LazyLock;

use tree_sitter::Language as Grammar;

/// A language that is read.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Language {
    /// Python.
    Python,
    /// JavaScript, with JSX.
    JavaScript,
    /// TypeScript.
    TypeScript,
    /// TypeScript with JSX.
    Tsx,
    /// Go.
    Go,
    /// Rust.
    Rust,
}

impl Language {
    /// That of a file, by its name.
    pub fn of(path: &Path) -> Option<Self> {
        Some(match path.extension()?.to_str()? {
            "py" => Self::Python,
            "js" | "mjs" | "cjs" | "jsx" => Self::JavaScript,
            "ts" | "mts" | "cts" => Self::TypeScript,
            "tsx" => Self::Tsx,
            "go" => Self::Go,
            "rs" => Self::Rust,
            _ => return None,
        })
    }

    /// As rules name it: the two of the web are one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript | Self::TypeScript | Self::Tsx => "js",
            Self::Go => "go",
            Self::Rust => "rust",
        }
    }

    /// Its grammar, whose names live as long as the program.
    pub(crate) fn grammar(self) -> &'static Grammar {
        macro_rules! grammar {
            ($it:expr) => {{
                static IT: LazyLock<Grammar> = LazyLock::new(|| $it.into());
                &IT
            }};
        }
        match self {
            Self::Python => grammar!(tree_sitter_python::LANGUAGE),
            Self::JavaScript => grammar!(tree_sitter_javascript::LANGUAGE),
            Self::TypeScript => grammar!(tree_sitter_typescript::LANGUAGE_TYPESCRIPT),
            Self::Tsx => grammar!(tree_sitter_typescript::LANGUAGE_TSX),
            Self::Go => grammar!(tree_sitter_go::LANGUAGE),
            Self::Rust => grammar!(tree_sitter_rust::LANGUAGE),
        }
    }

    pub(crate) fn is_script(self) -> bool {
        matches!(self, Self::JavaScript | Self::TypeScript | Self::Tsx)
    }
}
