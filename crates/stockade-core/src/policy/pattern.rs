//! What a rule says about a name or an argument, compiled.
//!
//! The same words are read in two ways. An *allow* is read narrowly: the whole text has to fit, and
//! every text in a list. An *ask* or a *deny* is read widely: it finds what it looks for anywhere,
//! in upper or lower case for names, and a name in disguise (`name.rs`) as what it reads as.
//! What is in doubt therefore never opens anything.

use globset::{GlobBuilder, GlobMatcher};
use regex::{Regex, RegexBuilder};
use serde_json::Value;
use stockade_kit::path::Escape;

use crate::json::Json;
use crate::name;
use crate::root::strictly_within;

/// A compiled expression may take this much memory.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// How the words of a rule are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It opens something: everything must fit.
    Narrow,
    /// It closes something: anything that fits is enough.
    Wide,
}

/// Why a pattern cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Not a glob.
    #[error("{0}")]
    Glob(String),
    /// Not a regular expression, or too large a one.
    #[error("{0}")]
    Regex(String),
    /// An empty pattern fits nothing, or everything, and neither was meant.
    #[error("a pattern cannot be empty; `*` is any name")]
    Empty,
}

/// A name, or many: a glob.
#[derive(Clone, Debug)]
pub struct Pattern(GlobMatcher);

impl Pattern {
    /// Reads a glob: `*` is any text, `?` any character, `[ab]` either, `{a,b}` one of two.
    ///
    /// # Errors
    /// When it is no glob.
    pub fn parse(text: &str, reading: Reading) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let wide = reading == Reading::Wide;
        let glob = GlobBuilder::new(text).case_insensitive(wide).backslash_escape(true).build();
        match glob {
            Ok(it) => Ok(Self(it.compile_matcher())),
            Err(it) => Err(PatternError::Glob(it.kind().to_string())),
        }
    }

    /// One name, whatever characters it has.
    ///
    /// # Errors
    /// When it is empty.
    pub fn exact(name: &str, reading: Reading) -> Result<Self, PatternError> {
        Self::parse(&globset::escape(name), reading)
    }

    /// Whether `name` is one of those meant.
    pub fn fits(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        self.0.glob().glob()
    }
}

/// What must be so with one argument.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Which: a name, or a JSON pointer (RFC 6901) when it is empty or starts with `/`.
    pub argument: String,
    /// What about it. All of it, of the same text.
    pub tests: Vec<Test>,
    /// How it is read.
    pub reading: Reading,
}

/// One thing that is asked of an argument.
#[derive(Clone, Debug)]
pub enum Test {
    /// It is there, or it is not.
    Present(bool),
    /// It is a path inside the roots, or it is not.
    InRoots(bool),
    /// It fits a regular expression.
    Matches(Regex),
    /// It starts with this text.
    Prefix(String),
    /// It is one of these texts, numbers or truth values.
    OneOf(Vec<Value>),
}

impl Test {
    /// Reads a regular expression. Narrowly, it must fit the whole text.
    ///
    /// # Errors
    /// When it is none, or one that takes too much memory.
    pub fn matches(text: &str, reading: Reading) -> Result<Self, PatternError> {
        // By itself first: wrapped, `a)|(b` would be an expression too.
        let alone = regex(text)?;
        Ok(Self::Matches(match reading {
            Reading::Narrow => regex(&format!(r"\A(?:{text})\z"))?,
            Reading::Wide => alone,
        }))
    }
}

/// Compiles a regular expression within a bound on its memory.
pub(super) fn regex(text: &str) -> Result<Regex, PatternError> {
    let built = RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build();
    built.map_err(|it| {
        // The last line says what is wrong; those before draw the expression.
        let words = it.to_string();
        let last = words.lines().last().unwrap_or_default();
        PatternError::Regex(last.trim_start_matches("error: ").to_owned())
    })
}

/// A text, number or truth value somewhere in an argument.
#[derive(Clone, Copy)]
enum Leaf<'a> {
    Name(&'a str),
    Value(Json<'a>),
}

impl Condition {
    /// Whether it is so.
    pub fn holds(&self, arguments: Option<Json<'_>>, roots: &[String]) -> bool {
        let argument = arguments.and_then(|it| self.find(it));
        let mut alike = arguments.into_iter().flat_map(|it| self.alike(it)).peekable();
        if self.reading == Reading::Narrow && alike.peek().is_some() {
            // Go's decoder, among others, would take either for the one that was meant.
            return false;
        }
        let presence = |it: &Test| match it {
            Test::Present(wanted) => Some(*wanted),
            Test::InRoots(_) | Test::Matches(_) | Test::Prefix(_) | Test::OneOf(_) => None,
        };
        if let Some(wanted) = self.tests.iter().find_map(presence)
            && wanted != argument.is_some()
            && !(wanted && alike.peek().is_some())
        {
            return false;
        }
        if self.tests.iter().all(|it| presence(it).is_some()) {
            return true;
        }
        let fits = |leaf| self.tests.iter().all(|test| test.holds(leaf, self.reading, roots));
        match self.reading {
            // An object has names, which a server may read as it reads texts: not allowed for.
            Reading::Narrow => argument.is_some_and(|argument| {
                let mut leaves = argument.all().filter(|it| !it.is_array()).peekable();
                leaves.peek().is_some() && leaves.all(|it| !it.is_object() && fits(Leaf::Value(it)))
            }),
            Reading::Wide => argument.into_iter().chain(alike).any(|argument| {
                argument.all().any(|it| {
                    let name = it.name().filter(|_| it.number() != argument.number());
                    name.is_some_and(|it| fits(Leaf::Name(it))) || fits(Leaf::Value(it))
                })
            }),
        }
    }

    /// The arguments with another name that reads as the one that is meant.
    fn alike<'a>(&self, arguments: Json<'a>) -> impl Iterator<Item = Json<'a>> {
        let meant = Some(&*self.argument).filter(|it| !it.is_empty() && !it.starts_with('/'));
        let reads =
            move |it: &str| meant.is_some_and(|meant| it != meant && name::alike(it, meant));
        arguments.fields().filter(move |(it, _)| reads(it)).map(|(_, it)| it)
    }

    fn find<'a>(&self, arguments: Json<'a>) -> Option<Json<'a>> {
        if self.argument.is_empty() || self.argument.starts_with('/') {
            return arguments.at_pointer(&self.argument);
        }
        arguments.get(&self.argument)
    }
}

impl Test {
    fn holds(&self, leaf: Leaf<'_>, reading: Reading, roots: &[String]) -> bool {
        let text = match leaf {
            Leaf::Name(it) => Some(it),
            Leaf::Value(it) => it.str(),
        };
        match self {
            Self::Present(_) => true,
            Self::InRoots(wanted) => match (leaf, text) {
                (Leaf::Name(_), _) => false,
                (Leaf::Value(it), _) if it.is_array() || it.is_object() => false,
                (Leaf::Value(_), None) => !wanted,
                (Leaf::Value(_), Some(path)) => match (strictly_within(roots, path), reading) {
                    (Ok(_), _) => *wanted,
                    (Err(Escape::Outside), _) | (Err(_), Reading::Narrow) => !wanted,
                    // It can be read in more than one way: what closes assumes the worse of both.
                    (Err(_), Reading::Wide) => true,
                },
            },
            Self::Matches(regex) => text.is_some_and(|it| regex.is_match(it)),
            Self::Prefix(prefix) => text.is_some_and(|it| it.starts_with(prefix.as_str())),
            Self::OneOf(values) => values.iter().any(|it| is(leaf, it)),
        }
    }
}

fn is(leaf: Leaf<'_>, value: &Value) -> bool {
    match (leaf, value) {
        (Leaf::Name(name), value) => value.as_str() == Some(name),
        (Leaf::Value(it), Value::String(value)) => it.str() == Some(value),
        (Leaf::Value(it), Value::Bool(value)) => it.bool() == Some(*value),
        (Leaf::Value(it), Value::Number(value)) => match (it.i64(), value.as_i64()) {
            (Some(a), Some(b)) => a == b,
            // 1 and 1.0 are one number in JSON.
            _ => it.f64().is_some() && it.f64() == value.as_f64(),
        },
        (Leaf::Value(_), Value::Null | Value::Array(_) | Value::Object(_)) => false,
    }
}
