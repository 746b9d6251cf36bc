//! An error with two readers: what an outsider may be told, and what the log keeps.
//!
//! A database driver puts the connection string in its errors, a file error names the host's
//! directories, and a tool's result goes to whoever asked. So nothing that prints a [`Failure`]
//! prints its cause; the cause has to be asked for by name.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What went wrong, in words for outsiders, with an id that leads the operator to the cause.
///
/// ```
/// use stockade_kit::Failure;
///
/// let cause = std::io::Error::other("no such table in postgres://app:hunter2@db/prod");
/// let failure = Failure::new("the query failed", cause);
///
/// assert!(failure.to_string().starts_with("the query failed (reference "));
/// assert!(!format!("{failure:?}").contains("hunter2"));
/// assert!(failure.private().contains("hunter2"));
/// assert!(failure.private().contains(failure.id()));
/// ```
pub struct Failure {
    public: String,
    id: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure whose cause only the log may see.
    pub fn new(public: impl Into<String>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { public: public.into(), id: next_id(), cause: Some(cause.into()) }
    }

    /// A failure that is told in full: the caller asked for something that is not allowed or not
    /// there, and nothing about this machine is in the answer.
    pub fn told(public: impl Into<String>) -> Self {
        Self { public: public.into(), id: next_id(), cause: None }
    }

    /// The words for outsiders. Where there is a cause that they do not say, the id is added.
    ///
    /// Part of the words may be the caller's own; they come back without what a terminal would
    /// act on.
    pub fn public(&self) -> String {
        let words = self.public.replace(char::is_control, " ");
        match self.cause {
            Some(_) => format!("{words} (reference {})", self.id),
            None => words,
        }
    }

    /// What outsiders quote and the log is searched for.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// One line for the log: the id, the public words and the whole chain of causes.
    pub fn private(&self) -> String {
        let mut line = format!("{} {}", self.id, self.public);
        let mut cause = self.cause.as_ref().map(|it| &**it as &dyn Error);
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        // One event is one line: a cause with a line break in it must not look like two.
        line.replace(char::is_control, " ")
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public())
    }
}

/// As [`Display`]: `{:?}` is how causes reach clients most often.
impl Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failure").field(&self.public()).finish()
    }
}

/// Without a `source`: reporters that walk the chain would print what is private.
impl Error for Failure {}

/// Unique in this process, and not a counter: how often a server fails is nobody's business.
fn next_id() -> String {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut hasher = KEY.get_or_init(RandomState::new).build_hasher();
    hasher.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_line_is_one_line() {
        let failure = Failure::new("no", "first\nsecond\u{1b}[31m");
        assert_eq!(failure.private().lines().count(), 1);
        assert!(!failure.private().contains('\u{1b}'));
    }

    #[test]
    fn the_public_words_are_printable() {
        assert_eq!(Failure::told("no `a\u{1b}[2J\nb`").public(), "no `a [2J b`");
    }

    #[test]
    fn what_an_outsider_quotes_finds_the_whole_of_it() {
        let cause = std::io::Error::other("connection to db.internal:5432 refused");
        let failure = Failure::new("the query failed", cause);
        let public = failure.to_string();
        let quoted = public.rsplit_once("(reference ").unwrap().1.trim_end_matches(')');
        let log = [Failure::told("other").private(), failure.private()];
        let found: Vec<_> = log.iter().filter(|line| line.starts_with(quoted)).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("db.internal:5432") && !public.contains("internal"));
    }

    #[test]
    fn ids_differ() {
        assert_ne!(Failure::told("a").id(), Failure::told("a").id());
    }

    #[test]
    fn a_told_failure_has_no_reference() {
        assert_eq!(Failure::told("no such file").to_string(), "no such file");
    }

    #[test]
    fn the_chain_ends_at_the_failure() {
        assert!(Failure::new("no", "secret").source().is_none());
    }
}
