//! The words of a command line, if no shell is needed to read it: for a guard that sees the text
//! which somebody else's server will give to one.
//!
//! It is no parser of a shell's language, and there is no list of characters that are dangerous.
//! There is a list of those that mean themselves to every shell; a line with anything else is one
//! that only a shell can say the meaning of.

use thiserror::Error;

use crate::launch;

/// Why a line has no words without a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Shell {
    /// It has a character that a shell may do something with.
    #[error("only a shell could say what `{}` does there", .0.escape_default())]
    Character(char),
    /// A quote is not closed.
    #[error("a quote is not closed")]
    Open,
    /// It sets a variable for the command, or for the shell.
    #[error("the line sets a variable")]
    Variable,
    /// It is longer than a line that somebody writes.
    #[error("the line is too long")]
    TooLong,
    /// There is nothing on it.
    #[error("the line is empty")]
    Empty,
}

/// The words of a line on which a shell would do nothing but split.
///
/// ```
/// use stockade_kit::command::line::{Shell, words};
///
/// assert_eq!(words("grep -n 'a b' notes.txt")?, ["grep", "-n", "a b", "notes.txt"]);
/// assert_eq!(words("ls; id"), Err(Shell::Character(';')));
/// assert_eq!(words("ls\nid"), Err(Shell::Character('\n')));
/// assert_eq!(words("echo \"$(id)\""), Err(Shell::Character('$')));
/// # Ok::<(), Shell>(())
/// ```
pub fn words(line: &str) -> Result<Vec<String>, Shell> {
    if line.len() > BYTES_MAX {
        return Err(Shell::TooLong);
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(it) = rest.next() {
        match it {
            ' ' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next() {
                        Some(end) if end == it => break,
                        // `"a\.b"`: before these it is a backslash to every shell.
                        Some('\\') if it == '"' && rest.clone().next().is_some_and(is_kept) => {
                            word.push('\\');
                        }
                        Some(inner) if is_plain_between(it, inner) => word.push(inner),
                        Some(inner) => return Err(Shell::Character(inner)),
                        None => return Err(Shell::Open),
                    }
                }
            }
            it if is_plain(it) => word.get_or_insert_default().push(it),
            // Only at the start of a word are these a home directory and a comment.
            '~' | '#' if word.is_some() => word.get_or_insert_default().push(it),
            // `HEAD^`, `HEAD^2`: behind a word it begins no pattern and no escape of anything.
            '^' if word.is_some() && is_end_of_revision(rest.as_str()) => {
                word.get_or_insert_default().push('^');
            }
            '{' if let Some(inner) = inner_of_revision(word.as_deref(), rest.as_str()) => {
                let length = inner.chars().count() + 1;
                let word = word.get_or_insert_default();
                word.push('{');
                word.extend(rest.by_ref().take(length));
            }
            // `test_a.py::test_b[x-1]`: what begins so is no option, whatever files there are.
            '[' if let Some(inner) = inner_of_test(word.as_deref(), rest.as_str()) => {
                let length = inner.chars().count() + 1;
                let word = word.get_or_insert_default();
                word.push('[');
                word.extend(rest.by_ref().take(length));
            }
            it => return Err(Shell::Character(it)),
        }
    }
    words.extend(word);
    match words.first() {
        None => Err(Shell::Empty),
        // `A=1 CMD`; in other places it is an argument.
        Some(first) if first.contains('=') => Err(Shell::Variable),
        Some(_) => Ok(words),
    }
}

/// The same, without variables before the command that are known to say nothing about what is run:
/// `NODE_ENV=test npm test`.
///
/// ```
/// use stockade_kit::command::line::{Shell, words_with_variables};
///
/// assert_eq!(words_with_variables("CI=1 NODE_ENV=test npm test")?, ["npm", "test"]);
/// assert_eq!(words_with_variables("PATH=. npm test"), Err(Shell::Variable));
/// assert_eq!(words_with_variables("CI=1"), Err(Shell::Variable));
/// # Ok::<(), Shell>(())
/// ```
pub fn words_with_variables(line: &str) -> Result<Vec<String>, Shell> {
    let mut rest = line.trim_start_matches(' ');
    while let Some((first, after)) = rest.split_once(' ') {
        let Some((_, value)) = first.split_once('=').filter(|it| launch::says_nothing(it.0)) else {
            break;
        };
        if let Some(it) = value.chars().find(|it| !is_plain(*it)) {
            return Err(Shell::Character(it));
        }
        rest = after.trim_start_matches(' ');
    }
    words(rest)
}

/// Whether it is a character of a word, to every shell. `{`, `[`, `*`, `?`, `^` and `!` are not:
/// what they become depends on the files that are there, and on the shell. Where a revision or a test
/// has them, nothing comes of it that the line does not say.
fn is_plain(it: char) -> bool {
    it.is_alphanumeric() || "-_./:=@%+,".contains(it)
}

/// What a backslash in double quotes changes nothing of.
fn is_kept(it: char) -> bool {
    it.is_alphanumeric() || "-_./:=@%+,()[]{}*?^|;<>&#~'".contains(it)
}

/// What may be behind the `^` of a parent: a number, a `^{commit}`, another, or the end of the word.
fn is_end_of_revision(rest: &str) -> bool {
    let rest = rest.trim_start_matches(|it: char| it.is_ascii_digit());
    rest.is_empty() || rest.starts_with([' ', '^', '~', '{', ':', '.'])
}

/// What is between the braces of `stash@{0}` and `HEAD^{commit}`: one word, of which no shell makes
/// several.
fn inner_of_revision<'a>(before: Option<&str>, rest: &'a str) -> Option<&'a str> {
    let (inner, _) = rest.split_once('}')?;
    let is_plain = |it: char| it.is_ascii_alphanumeric() || it == '-';
    let is_one = before.is_some_and(|it| it.ends_with(['@', '^']) && it.len() > 1);
    (is_one && !inner.is_empty() && inner.chars().all(is_plain)).then_some(inner)
}

/// What is between the brackets of one case of a test of `pytest`, at the end of its word.
fn inner_of_test<'a>(before: Option<&str>, rest: &'a str) -> Option<&'a str> {
    let (inner, after) = rest.split_once(']')?;
    let is_test = before.is_some_and(|it| it.contains(".py::") && !it.starts_with('-'));
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    let is_last = after.is_empty() || after.starts_with(' ');
    (is_test && is_last && !inner.is_empty() && inner.chars().all(is_plain)).then_some(inner)
}

/// In double quotes, a shell still replaces variables and commands, and some their history.
fn is_plain_between(quote: char, it: char) -> bool {
    !it.is_control() && (quote == '\'' || !"$`\\!".contains(it))
}

const BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_is_split() {
        for (line, expected) in [
            ("ls", &["ls"][..]),
            ("  ls   -la  ", &["ls", "-la"]),
            ("git log --since=2026-01-01", &["git", "log", "--since=2026-01-01"]),
            ("cat 'a b' \"c; d\" e''f", &["cat", "a b", "c; d", "ef"]),
            ("cat ''", &["cat", ""]),
            ("cat notes~ a#b größe.txt", &["cat", "notes~", "a#b", "größe.txt"]),
            ("grep '$HOME|`id`' x", &["grep", "$HOME|`id`", "x"]),
            ("grep \"a\\.b\" src", &["grep", "a\\.b", "src"]),
            ("rg \"foo\\(\" src", &["rg", "foo\\(", "src"]),
            ("git diff HEAD^ HEAD^2~1", &["git", "diff", "HEAD^", "HEAD^2~1"]),
            ("git show HEAD^^ v1^{commit}", &["git", "show", "HEAD^^", "v1^{commit}"]),
            ("git stash pop stash@{0}", &["git", "stash", "pop", "stash@{0}"]),
            ("pytest a.py::B::c[x-1] -q", &["pytest", "a.py::B::c[x-1]", "-q"]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn what_a_shell_would_act_on_is_not_split() {
        for (line, odd) in [
            ("ls; id", ';'),
            ("ls & id", '&'),
            ("ls && id", '&'),
            ("ls | sh", '|'),
            ("ls\nid", '\n'),
            ("ls\rid", '\r'),
            ("ls\tid", '\t'),
            ("ls $(id)", '$'),
            ("ls `id`", '`'),
            ("ls \"$(id)\"", '$'),
            ("ls \"`id`\"", '`'),
            ("ls \"\\$(id)\"", '\\'),
            ("ls ${IFS}id", '$'),
            ("ls <(id)", '<'),
            ("ls > out", '>'),
            ("ls {a,b}", '{'),
            ("ls *", '*'),
            ("ls [a-z]", '['),
            ("ls ?", '?'),
            ("ls !!", '!'),
            ("ls \"!!\"", '!'),
            ("ls \\; id", '\\'),
            ("ls ~", '~'),
            ("ls # id", '#'),
            ("ls '\n' id", '\n'),
            ("ls \0id", '\0'),
            ("ls (id)", '('),
            ("ls ^id", '^'),
            ("ls a^b", '^'),
            ("ls @{x}", '{'),
            ("ls a@{b,c}", '{'),
            ("ls a@{$(id)}", '{'),
            ("ls a^{b..c}", '{'),
            ("pytest a.py::b[$x]", '['),
            ("pytest a.py::b[x]c", '['),
            ("ls \"\\\"; id\"", '\\'),
            ("ls \"\\\\\"", '\\'),
            ("ls \"\\`id`\"", '\\'),
            ("ls\u{a0}id", '\u{a0}'),
        ] {
            assert_eq!(words(line), Err(Shell::Character(odd)), "{line:?}");
        }
        for (line, why) in [
            ("", Shell::Empty),
            ("   ", Shell::Empty),
            ("ls 'a", Shell::Open),
            ("ls \"a", Shell::Open),
            ("LD_PRELOAD=./x ls", Shell::Variable),
            ("PATH=. ls", Shell::Variable),
        ] {
            assert_eq!(words(line), Err(why), "{line:?}");
        }
    }
}
