//! What is wrong with a policy file, and where: for a person, and for a program.

use std::fmt;
use std::io;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::source::line;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the file, in bytes.
    pub span: Range<usize>,
    /// What is wrong.
    pub says: String,
    /// What is meant by the place.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
}

/// Everything that is wrong with a file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file, as it was named.
    pub path: String,
    /// What it says.
    pub text: Arc<str>,
    /// What is wrong with it.
    pub list: Vec<Problem>,
}

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read policy `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is longer than a policy is.
    #[error("policy `{path}` is longer than {bytes_max} bytes", path = path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit.
        bytes_max: u64,
    },
    /// The file is not text.
    #[error("policy `{path}` is not UTF-8", path = path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// Everybody on this machine could change what is allowed.
    #[error("policy `{path}` can be written by everybody", path = path.display())]
    Writable {
        /// The file.
        path: PathBuf,
    },
    /// It does not say what it must.
    #[error("{0}")]
    Problems(Problems),
    /// The server that was asked for is not in the file.
    #[error("there is no server `{name}` in the policy")]
    NoServer {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A limit on the command line that is out of bounds.
    #[error("`{flag} {value}` is out of bounds")]
    Limit {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: usize,
        /// What it may be.
        bounds: RangeInclusive<usize>,
    },
    /// A root on the command line that is none.
    #[error("`--root {root}` is not a directory to work in: {why}")]
    Root {
        /// What was given.
        root: String,
        /// Why.
        why: String,
    },
    /// It is said that roots of the client may be where none can be.
    #[error("`--client-root {root}` is not where roots can be: {why}")]
    ClientRoot {
        /// What was given.
        root: String,
        /// Why.
        why: String,
    },
}

impl ConfigError {
    /// What to do, in one line.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Read { .. } => {
                Some("name a policy file that is there and can be read".to_owned())
            }
            Self::TooLong { .. } | Self::NotUtf8 { .. } | Self::Problems(_) => None,
            Self::Writable { path } => Some(format!("chmod o-w {}", path.display())),
            Self::NoServer { nearest, .. } => nearest.as_ref().map(|it| format!("there is `{it}`")),
            Self::Limit { bounds, .. } => {
                Some(format!("between {} and {}", bounds.start(), bounds.end()))
            }
            Self::Root { .. } => Some("write `--root DIR`, `DIR:ro` or `DIR:rw`".to_owned()),
            Self::ClientRoot { .. } => {
                Some("write `--client-root DIR`, `DIR:rw` or `'*'`".to_owned())
            }
        }
    }

    /// For a terminal.
    pub fn render(&self, colour: bool) -> String {
        if let Self::Problems(it) = self {
            return it.render(colour);
        }
        let mut text = format!("error: {self}");
        if let Some(cause) = std::error::Error::source(self) {
            text += &format!(": {cause}");
        }
        if let Some(help) = self.help() {
            text += &format!("\nhelp: {help}");
        }
        text
    }

    /// For a program.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Problems(it) => it.to_json(),
            Self::Read { .. }
            | Self::TooLong { .. }
            | Self::NotUtf8 { .. }
            | Self::Writable { .. }
            | Self::NoServer { .. }
            | Self::Limit { .. }
            | Self::Root { .. }
            | Self::ClientRoot { .. } => {
                let cause = std::error::Error::source(self).map(|it| format!(": {it}"));
                let says = format!("{self}{}", cause.unwrap_or_default());
                json!([{ "says": says, "help": self.help() }])
            }
        }
    }
}

impl Problems {
    /// For a terminal.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let groups = self.list.iter().map(|it| renderer.render(&[self.group(it)]));
        groups.collect::<Vec<_>>().join("\n\n")
    }

    fn group<'a>(&'a self, it: &'a Problem) -> Group<'a> {
        let annotation = AnnotationKind::Primary.span(it.span.clone()).label(&it.label);
        let snippet = Snippet::source(&*self.text).path(&self.path).annotation(annotation);
        let help = it.help.iter().map(|it| Element::from(Level::HELP.message(it)));
        Level::ERROR.primary_title(&it.says).element(snippet).elements(help)
    }

    fn to_json(&self) -> Value {
        let each = self.list.iter().map(|it| {
            json!({
                "path": self.path,
                "line": line(&self.text, it.span.start),
                "bytes": [it.span.start, it.span.end],
                "says": it.says,
                "label": it.label,
                "help": it.help,
            })
        });
        Value::Array(each.collect())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}
