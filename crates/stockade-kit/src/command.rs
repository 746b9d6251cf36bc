//! Programs that a tool may start, and the arguments it may give them. There is no shell here and
//! no way to get one: what comes out is a program and a list of arguments, each matched by a
//! pattern that the author of the server wrote down, or that is in [`known`] for programs that
//! servers often start.
//!
//! A list of characters that a command line must not have is no answer: `git --output=x`,
//! `find -exec` and `tar --to-command` have none of them, and a line break is as good as a `;`.
//!
//! Not a sandbox: a program that is allowed can do whatever it can do. `find` has `-exec`, `git`
//! has `-c`; that is why options are refused unless they are listed one by one.

pub mod known;
pub mod line;
pub mod starts;

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
    /// A relative path that stays below the working directory, by its text; or an absolute one in
    /// one of the directories of [`Command::within`].
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
    env: Vec<(String, String)>,
    options: Vec<(String, Option<Pattern>)>,
    letters: String,
    places: Vec<Pattern>,
    optional: Option<(Pattern, usize)>,
    terminator: Option<String>,
    options_last: bool,
    roots: Vec<String>,
}

/// A word, and where it stood.
type Given<'a> = (usize, &'a str);
/// Options that were read, and what is behind them.
type Read<'a> = (Vec<String>, &'a [Given<'a>]);

/// A program with arguments that were allowed. Only [`Command::argv`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argv {
    program: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Command {
    /// A program that takes no arguments yet: a name to look up in `/usr/bin` and `/bin`, or an
    /// absolute path.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            fixed: Vec::new(),
            env: Vec::new(),
            options: Vec::new(),
            letters: String::new(),
            places: Vec::new(),
            optional: None,
            terminator: Some("--".to_owned()),
            options_last: false,
            roots: Vec::new(),
        }
    }

    /// An argument that is always given, before all others: a subcommand, a safe mode.
    #[must_use]
    pub fn fixed(mut self, argument: impl Into<String>) -> Self {
        self.fixed.push(argument.into());
        self
    }

    /// A variable that the program is given, beside `PATH` and the locale.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// An option without a value that the caller may give.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>) -> Self {
        self.options.push((name.into(), None));
        self
    }

    /// An option whose value is the next argument, or behind a `=` where its name begins with two
    /// hyphens.
    #[must_use]
    pub fn option_with(mut self, name: impl Into<String>, value: Pattern) -> Self {
        self.options.push((name.into(), Some(value)));
        self
    }

    /// Options of one letter without a value, which may stand together: `-l`, `-la`. Not for
    /// programs whose options are words behind one hyphen.
    #[must_use]
    pub fn letters(mut self, letters: &str) -> Self {
        self.letters.push_str(letters);
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

    /// Leaves out the `--` before the arguments, for the few programs that do not know it. Paths
    /// are then given with a `./` before them, so that none is taken for something else.
    #[must_use]
    pub fn without_terminator(mut self) -> Self {
        self.terminator = None;
        self
    }

    /// Another word than `--` before the arguments.
    #[must_use]
    pub fn terminator(mut self, word: impl Into<String>) -> Self {
        self.terminator = Some(word.into());
        self
    }

    /// Options come after the arguments, as those of `find` do.
    #[must_use]
    pub fn options_last(mut self) -> Self {
        self.options_last = true;
        self
    }

    /// Absolute paths pass as well where they are in one of these directories, by their text.
    #[must_use]
    pub fn within<R: AsRef<str>>(mut self, roots: &[R]) -> Self {
        self.roots.extend(roots.iter().map(|it| it.as_ref().to_owned()));
        self
    }

    /// The program's name, as it was allowed.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Matches arguments to the grammar. What starts with `-` where no option is expected is
    /// refused and not guessed about.
    pub fn argv<A: AsRef<str>>(&self, given: &[A]) -> Result<Argv, Refusal> {
        let given: Vec<Given<'_>> = given.iter().map(AsRef::as_ref).enumerate().collect();
        let is_first = |(_, it): &Given<'_>| is_option(it) == self.options_last;
        let (options, arguments) = match self.options_last {
            true => {
                let at = given.iter().position(is_first).unwrap_or(given.len());
                let (arguments, options) = given.split_at_checked(at).unwrap_or((&given, &[]));
                let (read, rest) = self.options(options)?;
                if let Some((_, word)) = rest.first() {
                    return Err(Refusal::Option((*word).to_owned()));
                }
                (read, arguments)
            }
            false => self.options(&given)?,
        };
        let mut args = self.fixed.clone();
        if !self.options_last {
            args.extend_from_slice(&options);
        }
        self.check_count(arguments.len())?;
        if let Some(word) = self.terminator.as_ref().filter(|_| !arguments.is_empty()) {
            args.push(word.clone());
        }
        let optional = self.optional.iter().flat_map(|(it, most)| std::iter::repeat_n(it, *most));
        for (pattern, (at, argument)) in self.places.iter().chain(optional).zip(arguments) {
            args.push(self.argument(pattern, *at, argument)?);
        }
        if self.options_last {
            args.extend(options);
        }
        Ok(Argv { program: self.program.clone(), args, env: self.env.clone() })
    }

    /// The options at the start, and what is behind them.
    fn options<'a>(&self, given: &'a [Given<'a>]) -> Result<Read<'a>, Refusal> {
        let mut read = Vec::new();
        let mut given = given;
        while let Some(((at, word), rest)) =
            given.split_first().filter(|((_, it), _)| is_option(it))
        {
            given = rest;
            if *word == "--" && self.terminator.as_deref() == Some("--") {
                // It is put there anyway.
                break;
            }
            let letters = word.strip_prefix('-').unwrap_or_default();
            if !letters.is_empty() && letters.chars().all(|it| self.letters.contains(it)) {
                read.push((*word).to_owned());
                continue;
            }
            let joined = word.split_once('=').filter(|(name, _)| name.starts_with("--"));
            let name = joined.map_or(*word, |(name, _)| name);
            let refused = || Refusal::Option((*word).to_owned());
            let option = self.options.iter().find(|(it, _)| it == name);
            match (option.ok_or_else(refused)?, joined) {
                ((_, None), None) => read.push(name.to_owned()),
                ((_, None), Some(_)) => return Err(refused()),
                ((_, Some(pattern)), Some((_, value))) => {
                    let value = self.argument(pattern, *at, value)?;
                    read.push(format!("{name}={value}"));
                }
                ((_, Some(pattern)), None) => {
                    let ((at, value), rest) =
                        rest.split_first().ok_or_else(|| Refusal::Value(name.to_owned()))?;
                    read.extend([name.to_owned(), self.argument(pattern, *at, value)?]);
                    given = rest;
                }
            }
        }
        Ok((read, given))
    }

    /// An argument as the program is given it.
    fn argument(&self, pattern: &Pattern, at: usize, argument: &str) -> Result<String, Refusal> {
        pattern.check(at, argument, &self.roots)?;
        let is_relative = matches!(pattern, Pattern::Path) && !argument.starts_with('/');
        Ok(match is_relative && self.terminator.is_none() {
            true => format!("./{argument}"),
            false => argument.to_owned(),
        })
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

    /// The variables that it is given, beside `PATH` and the locale.
    pub fn env(&self) -> &[(String, String)] {
        &self.env
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
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(std::process::Stdio::null());
        command
    }
}

impl Pattern {
    /// A choice of fixed words.
    pub fn one_of<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::OneOf(words.into_iter().map(Into::into).collect())
    }

    fn check(&self, at: usize, argument: &str, roots: &[String]) -> Result<(), Refusal> {
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
                let inside = match path::relative(argument) {
                    Err(Escape::Absolute) if !roots.is_empty() => path::inside(roots, argument),
                    relative => relative,
                };
                inside.map_err(|escape| Refusal::Path { position, escape })?;
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
            .option_with("--since", Pattern::Word)
            .place(Pattern::Word)
            .rest(Pattern::Path, 2)
    }

    #[test]
    fn allowed_arguments_are_passed_on() {
        for (given, expected) in [
            (&["main"][..], &["log", "--", "main"][..]),
            (&["--oneline", "main"], &["log", "--oneline", "--", "main"]),
            (&["-n", "5", "main"], &["log", "-n", "5", "--", "main"]),
            (&["--since=now", "main"], &["log", "--since=now", "--", "main"]),
            (&["--since", "now", "main"], &["log", "--since", "now", "--", "main"]),
            (&["main", "src", "a b"], &["log", "--", "main", "src", "a b"]),
            (&["--", "main"], &["log", "--", "main"]),
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
            (&["-n=5", "main"], option("-n=5")),
            (&["--since=a;b", "main"], Refusal::Argument { position: 1 }),
            (&["--since=", "main"], Refusal::Argument { position: 1 }),
            (&["--", "--oneline"], option("--oneline")),
            (&["--", "--", "main"], option("--")),
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
