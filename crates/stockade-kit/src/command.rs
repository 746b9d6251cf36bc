//! Programs that a tool may start, and the arguments it may give them. There is no shell here and
//! no way to get one: what comes out is a program and a list of arguments, each matched by a
//! pattern that the author of the server wrote down.
//!
//! Not a sandbox: a program that is allowed can do whatever it can do. `find` has `-exec`, `git`
//! has `-c`; that is why options are refused unless they are listed one by one.

use std::ops::RangeInclusive;

use thiserror::Error;

use crate::path::{self, Escape};

/// What one argument may look like.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Pattern {
    /// One of these words exactly.
    OneOf(Vec<String>),
    /// Letters, digits, `.`, `_` and `-`, at most 64.
    Word,
    /// A decimal number in this range.
    Number(RangeInclusive<i64>),
    /// A relative path that stays below the working directory, by its text.
    Path,
    /// Any text without control characters, up to this many bytes.
    Text {
        /// The most bytes it may have.
        bytes_max: usize,
    },
}

/// Why an argument is not passed on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// An option that is not listed. Whatever starts with `-` is an option, also in the place of a
    /// file name.
    #[error("the option `{0}` is not allowed")]
    Option(String),
    /// An option that needs a value came last.
    #[error("the option `{0}` needs a value")]
    Value(String),
    /// More or fewer arguments than there are places.
    #[error("expected {least} to {most} arguments, not {given}")]
    Count {
        /// How many are needed.
        least: usize,
        /// How many are allowed.
        most: usize,
        /// How many there were.
        given: usize,
    },
    /// An argument that its pattern does not match.
    #[error("argument {position} is not allowed here")]
    Argument {
        /// Which one, from 1.
        position: usize,
    },
    /// A path argument that leaves the working directory.
    #[error("argument {position}: {escape}")]
    Path {
        /// Which one, from 1.
        position: usize,
        /// How it leaves.
        escape: Escape,
    },
}

/// A program and the grammar of its arguments.
///
/// ```
/// use stockade_kit::command::{Command, Pattern, Refusal};
///
/// let wc = Command::new("wc").option("-l").option("-w").rest(Pattern::Path, 8);
///
/// let argv = wc.argv(&["-l", "notes.txt"])?;
/// assert_eq!(argv.args(), ["-l", "--", "notes.txt"]);
///
/// assert_eq!(
///     wc.argv(&["--files0-from=/etc/passwd"]),
///     Err(Refusal::Option("--files0-from=/etc/passwd".to_owned())),
/// );
/// assert!(wc.argv(&["../../etc/passwd"]).is_err());
/// // Not a shell: this is the name of one file, and there is none of that name.
/// assert_eq!(wc.argv(&["a; rm b"])?.args(), ["--", "a; rm b"]);
/// # Ok::<(), Refusal>(())
/// ```
#[derive(Clone, Debug)]
pub struct Command {
    program: String,
    fixed: Vec<String>,
    options: Vec<(String, Option<Pattern>)>,
    places: Vec<Pattern>,
    optional: Option<(Pattern, usize)>,
    terminator: bool,
}

/// A program with arguments that were allowed. Only [`Command::argv`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argv {
    program: String,
    args: Vec<String>,
}

impl Command {
    /// A program that takes no arguments yet: a name to look up in `/usr/bin` and `/bin`, or an
    /// absolute path.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            fixed: Vec::new(),
            options: Vec::new(),
            places: Vec::new(),
            optional: None,
            terminator: true,
        }
    }

    /// An argument that is always given, before all others: a subcommand, a safe mode.
    #[must_use]
    pub fn fixed(mut self, argument: impl Into<String>) -> Self {
        self.fixed.push(argument.into());
        self
    }

    /// An option without a value that the caller may give.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>) -> Self {
        self.options.push((name.into(), None));
        self
    }

    /// An option whose value is the next argument.
    #[must_use]
    pub fn option_with(mut self, name: impl Into<String>, value: Pattern) -> Self {
        self.options.push((name.into(), Some(value)));
        self
    }

    /// An argument that the caller must give, in this place.
    #[must_use]
    pub fn place(mut self, pattern: Pattern) -> Self {
        self.places.push(pattern);
        self
    }

    /// Up to `most` further arguments.
    #[must_use]
    pub fn rest(mut self, pattern: Pattern, most: usize) -> Self {
        self.optional = Some((pattern, most));
        self
    }

    /// Leaves out the `--` before the arguments, for the few programs that do not know it.
    #[must_use]
    pub fn without_terminator(mut self) -> Self {
        self.terminator = false;
        self
    }

    /// The program's name, as it was allowed.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Matches arguments to the grammar. Options come first; what starts with `-` after that is
    /// refused and not guessed about.
    pub fn argv<A: AsRef<str>>(&self, given: &[A]) -> Result<Argv, Refusal> {
        let mut given = given.iter().map(AsRef::as_ref).enumerate().peekable();
        let mut args = self.fixed.clone();
        while let Some((_, name)) = given.next_if(|(_, it)| is_option(it)) {
            let Some((_, value)) = self.options.iter().find(|(it, _)| it == name) else {
                return Err(Refusal::Option(name.to_owned()));
            };
            args.push(name.to_owned());
            if let Some(pattern) = value {
                let (at, value) = given.next().ok_or_else(|| Refusal::Value(name.to_owned()))?;
                pattern.check(at, value)?;
                args.push(value.to_owned());
            }
        }
        let rest: Vec<(usize, &str)> = given.collect();
        self.check_count(rest.len())?;
        if self.terminator && !rest.is_empty() {
            args.push("--".to_owned());
        }
        let optional = self.optional.iter().flat_map(|(it, most)| std::iter::repeat_n(it, *most));
        for (pattern, (at, argument)) in self.places.iter().chain(optional).zip(rest) {
            pattern.check(at, argument)?;
            args.push(argument.to_owned());
        }
        Ok(Argv { program: self.program.clone(), args })
    }

    fn check_count(&self, given: usize) -> Result<(), Refusal> {
        let least = self.places.len();
        let most = least + self.optional.as_ref().map_or(0, |(_, most)| *most);
        if !(least..=most).contains(&given) {
            return Err(Refusal::Count { least, most, given });
        }
        Ok(())
    }
}

impl Argv {
    /// The program.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Its arguments.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// Ready to start: no standard input, and none of this process's environment, where the
    /// secrets are. The caller adds a working directory, a time limit and a bound on the output.
    pub fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .stdin(std::process::Stdio::null());
        command
    }
}

impl Pattern {
    /// A choice of fixed words.
    pub fn one_of<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::OneOf(words.into_iter().map(Into::into).collect())
    }

    fn check(&self, at: usize, argument: &str) -> Result<(), Refusal> {
        let position = at + 1;
        if is_option(argument) && !matches!(self, Self::OneOf(_) | Self::Number(_)) {
            return Err(Refusal::Option(argument.to_owned()));
        }
        let matches = match self {
            Self::OneOf(words) => words.iter().any(|it| it == argument),
            Self::Word => {
                let fits = |it: u8| it.is_ascii_alphanumeric() || b"._-".contains(&it);
                (1..=WORD_BYTES_MAX).contains(&argument.len()) && argument.bytes().all(fits)
            }
            Self::Number(range) => {
                argument.parse::<i64>().is_ok_and(|number| range.contains(&number))
            }
            Self::Path => {
                path::relative(argument).map_err(|escape| Refusal::Path { position, escape })?;
                true
            }
            Self::Text { bytes_max } => {
                argument.len() <= *bytes_max && !argument.chars().any(char::is_control)
            }
        };
        if matches { Ok(()) } else { Err(Refusal::Argument { position }) }
    }
}

/// A lone `-` is standard input to most programs, so it is an option as well.
fn is_option(argument: &str) -> bool {
    argument.starts_with('-')
}

const WORD_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn git_log() -> Command {
        Command::new("git")
            .fixed("log")
            .option("--oneline")
            .option_with("-n", Pattern::Number(1..=50))
            .place(Pattern::Word)
            .rest(Pattern::Path, 2)
    }

    #[test]
    fn allowed_arguments_are_passed_on() {
        for (given, expected) in [
            (&["main"][..], &["log", "--", "main"][..]),
            (&["--oneline", "main"], &["log", "--oneline", "--", "main"]),
            (&["-n", "5", "main"], &["log", "-n", "5", "--", "main"]),
            (&["main", "src", "a b"], &["log", "--", "main", "src", "a b"]),
        ] {
            assert_eq!(git_log().argv(given).unwrap().args(), expected, "{given:?}");
        }
    }

    #[test]
    fn other_arguments_are_refused() {
        let option = |it: &str| Refusal::Option(it.to_owned());
        let count = |given| Refusal::Count { least: 1, most: 3, given };
        for (given, expected) in [
            (&[][..], count(0)),
            (&["a", "b", "c", "d"], count(4)),
            (&["-c", "core.pager=sh"], option("-c")),
            (&["--output=/etc/x", "main"], option("--output=/etc/x")),
            (&["--oneline=x", "main"], option("--oneline=x")),
            (&["--", "main"], option("--")),
            (&["-", "main"], option("-")),
            (&["main", "--oneline"], option("--oneline")),
            (&["main", "-rf"], option("-rf")),
            (&["-n"], Refusal::Value("-n".to_owned())),
            (&["-n", "99", "main"], Refusal::Argument { position: 2 }),
            (&["-n", "-1", "main"], Refusal::Argument { position: 2 }),
            (&["-n", "5;id", "main"], Refusal::Argument { position: 2 }),
            (&["main;id"], Refusal::Argument { position: 1 }),
            (&[""], Refusal::Argument { position: 1 }),
            (&["main", "/etc"], Refusal::Path { position: 2, escape: Escape::Absolute }),
            (&["main", "../x"], Refusal::Path { position: 2, escape: Escape::Traversal }),
            (&["main", "a\0b"], Refusal::Path { position: 2, escape: Escape::Nul }),
        ] {
            assert_eq!(git_log().argv(given), Err(expected), "{given:?}");
        }
    }

    #[test]
    fn a_listed_word_may_look_like_an_option_only_in_its_place() {
        let date = Command::new("date").rest(Pattern::one_of(["+%F", "+%T"]), 1);
        assert_eq!(date.argv(&["+%F"]).unwrap().args(), ["--", "+%F"]);
        assert!(date.argv(&["+%N"]).is_err());
        assert!(date.argv(&["-s"]).is_err());
    }

    #[test]
    fn text_is_bounded_and_printable() {
        let echo = Command::new("echo").place(Pattern::Text { bytes_max: 5 }).without_terminator();
        assert_eq!(echo.argv(&["$(id)"]).unwrap().args(), ["$(id)"]);
        assert!(echo.argv(&["123456"]).is_err());
        assert!(echo.argv(&["a\nb"]).is_err());
        assert!(echo.argv(&["-n"]).is_err());
    }

    #[test]
    fn a_started_program_sees_no_secrets_and_no_shell() {
        let argv = Command::new("env").argv::<&str>(&[]).unwrap();
        let output = argv.command().output().unwrap();
        let mut names: Vec<_> = std::str::from_utf8(&output.stdout)
            .unwrap()
            .lines()
            .filter_map(|it| it.split_once('=').map(|(name, _)| name))
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PATH"]);
    }
}
