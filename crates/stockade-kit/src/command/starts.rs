//! What a program that may be started would start in its turn, or load, by what it is told: the
//! options of `tar` and `rsync` that take a command, the settings of `git` and `ssh`, the scripts of
//! `sed`, and what is behind `nice` and `timeout`.
//!
//! Each program is read by a row of a table, after its manual: options also cut short, as
//! `getopt_long` takes them, and behind others in one word (`-xIsh`); settings in any letter case,
//! where the program does not tell the case. A program of which nothing is known passes: what it
//! does is its own, and a sandbox's, as is what a file does that a line names.

mod awk;
mod build;
mod git;
mod sed;
mod shell;
mod sqlite;
mod table;
mod texts;
mod tools;

use crate::launch::{self, Launch};

/// Why this command line would start something else than its program; nothing, where it would not as
/// far as is known.
///
/// ```
/// use stockade_kit::command::starts::why;
///
/// assert_eq!(why(&["tar", "-xf", "a.tar"]), None);
/// assert!(why(&["tar", "-xf", "a.tar", "--to-com=sh"]).is_some());
/// assert!(why(&["git", "-c", "Core.SSHCommand=sh", "fetch"]).is_some());
/// assert!(why(&["nice", "ssh", "-o", "proxycommand sh", "host"]).is_some());
/// ```
pub fn why<W: AsRef<str>>(words: &[W]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    judge(&words, DEPTH_MAX)
}

/// Why a person may want to see a line that is refused for nothing else than that: it starts a program
/// by the runner of a project (`npx tsc`, `poetry run pytest`), which may have to be fetched first.
///
/// ```
/// use stockade_kit::command::starts::{asks, why};
///
/// assert!(why(&["npx", "tsc", "--noEmit"]).is_some());
/// assert!(asks(&["npx", "tsc", "--noEmit"]).is_some());
/// assert_eq!(asks(&["npx", "-c", "tsc"]), None);
/// assert_eq!(asks(&["npx", "tsc@1.0.0"]), None);
/// assert_eq!(asks(&["poetry", "run", "python", "-c", "print(1)"]), None);
/// ```
pub fn asks<W: AsRef<str>>(words: &[W]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    tools::asks(&words, DEPTH_MAX)
}

/// Whether the options of a program are known here, so that no others of it are odd.
pub fn is_known(program: &str) -> bool {
    let name = launch::name_of(program);
    table::find(&name, launch::bare(&name)).is_some()
}

/// So many programs may start one another on one line.
const DEPTH_MAX: usize = 6;

fn judge(words: &[&str], depth: usize) -> Option<String> {
    let (program, rest) = words.split_first()?;
    if depth == 0 {
        return Some("too many programs that start one another".to_owned());
    }
    if matches!(rest, ["--version" | "-V" | "-v" | "--help" | "-h"]) {
        return None;
    }
    // To a shell, `time A=b CMD` is a command with a variable.
    if let Some((name, _)) = program.split_once('=').filter(|it| is_variable(it.0)) {
        return match launch::says_nothing(name) {
            true => judge(rest, depth - 1),
            false => Some(format!("`{name}=…` may have a program start another")),
        };
    }
    let name = launch::name_of(program);
    let bare = launch::bare(&name);
    if let Some(found) = shell::judge(&name, rest) {
        return Some(found);
    }
    match launch::behind_in_a_call(bare, &name, rest) {
        Some(Ok(inner)) => return judge(inner, depth - 1),
        Some(Err(why)) => return Some(why),
        None => {}
    }
    if bare == "git" {
        return git::judge(rest);
    }
    // The system's loader is no linker.
    if let Some(row) = table::find(&name, bare).filter(|_| !name.starts_with("ld-")) {
        return row.judge(&name, rest);
    }
    if let Some(found) = tools::judge_tool(bare, rest) {
        return found;
    }
    let command: Vec<_> = words.iter().map(Into::into).collect();
    match Launch::of(&command, []) {
        Launch::Arbitrary { why } => Some(why),
        Launch::Package(package) => Some(format!("it fetches and runs `{}`", package.spec())),
        Launch::Program | Launch::Script(_) | Launch::Container { .. } => None,
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
}

/// How a program reads its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Letters behind one hyphen, which may stand together, and words behind two, which may be cut
    /// short.
    Long,
    /// Words behind one hyphen, or two. A `*` ends those whose value follows at once.
    Words,
}

/// Reads what is no option, and says what is wrong with it.
type Read = fn(&[Item<'_>]) -> Option<String>;

/// What is known of a program.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// What it is called.
    names: &'static str,
    /// Options that start a program, load code, or lead to settings that do.
    starts: &'static str,
    /// The letters of options with a value.
    valued: &'static str,
    /// Those of them whose value may be left out, or that have none for some: the next word is read as
    /// their value, and as a word of its own.
    perhaps: &'static str,
    /// Those whose value is what follows in the same word, or nothing.
    glued: &'static str,
    /// Options that mean themselves although a longer one begins so.
    fine: &'static str,
    /// Subcommands that run something, in the places of the first two words that are not values.
    runs: &'static str,
    /// Those that may be cut short, in the place of the first.
    short: &'static str,
    form: Form,
    /// What else of it is read.
    text: Option<Read>,
}

const PLAIN: Row = Row {
    names: "",
    starts: "",
    valued: "",
    perhaps: "",
    glued: "",
    fine: "",
    runs: "",
    short: "",
    form: Form::Long,
    text: None,
};

/// A piece of a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item<'a> {
    /// `--name`, and what is behind its `=`.
    Long(&'a str, Option<&'a str>),
    /// One letter, and its value where it takes one.
    Letter(char, Option<&'a str>),
    /// Anything else.
    Word(&'a str),
}

impl Item<'_> {
    fn word(&self) -> Option<&str> {
        match self {
            Self::Word(it) => Some(it),
            Self::Long(..) | Self::Letter(..) => None,
        }
    }
}

impl Row {
    fn judge(&self, name: &str, words: &[&str]) -> Option<String> {
        let certain: String =
            self.valued.chars().filter(|it| !self.perhaps.contains(*it)).collect();
        let found = self.judge_as(name, words, self.valued);
        found.or_else(|| match self.perhaps {
            "" => None,
            _ => self.judge_as(name, words, &certain),
        })
    }

    /// With these as the letters of options with a value.
    fn judge_as(&self, name: &str, words: &[&str], valued: &str) -> Option<String> {
        let said =
            |it: &str| Some(format!("`{it}` of `{name}` starts what it is told, or loads it"));
        let items = match self.form {
            Form::Long => items(words, valued, self.glued),
            Form::Words => {
                if let Some(it) = words.iter().find(|it| self.is_word_option(it)) {
                    return said(it);
                }
                words.iter().map(|it| Item::Word(it)).collect()
            }
        };
        for item in &items {
            match item {
                Item::Long(long, _) if self.starts_long(long) => return said(long),
                Item::Letter(it, _) if self.starts_letter(*it) => return said(&format!("-{it}")),
                Item::Long(..) | Item::Letter(..) | Item::Word(_) => {}
            }
        }
        let is_run = |(at, it): &(usize, &str)| {
            let is_short = |run: &str| it.len() >= SHORT_MIN && run.starts_with(it);
            list(self.runs).any(|run| run == *it) || *at == 0 && list(self.short).any(is_short)
        };
        let run = subcommands(words).into_iter().find(is_run);
        if let Some((_, run)) = run {
            return Some(format!("`{name} {run}` runs what comes next"));
        }
        self.text.and_then(|read| read(&items))
    }

    fn starts_long(&self, long: &str) -> bool {
        let is_short_of = |it: &str| it == long || long.len() > 2 && it.starts_with(long);
        list(self.starts).any(is_short_of) && !list(self.fine).any(|it| it == long)
    }

    fn starts_letter(&self, letter: char) -> bool {
        list(self.starts).any(|it| it.strip_prefix('-') == Some(letter.encode_utf8(&mut [0; 4])))
    }

    fn is_word_option(&self, word: &str) -> bool {
        let Some(option) = word.strip_prefix('-') else { return false };
        let option = option.strip_prefix('-').unwrap_or(option);
        let name = option.split('=').next().unwrap_or_default();
        if list(self.fine).any(|it| it == word) {
            return false;
        }
        list(self.starts).filter_map(|it| it.strip_prefix('-')).any(|it| {
            match it.strip_suffix('*') {
                Some(begins) => option.starts_with(begins),
                None => it == name,
            }
        })
    }
}

fn list(words: &'static str) -> impl Iterator<Item = &'static str> {
    words.split_ascii_whitespace()
}

/// So many letters of a subcommand say which it is.
const SHORT_MIN: usize = 3;

/// The words that may be the subcommand (0) or the one behind it (1). Options before have values, and
/// nobody here knows which: a word behind one is read both as its value and as a word of its own.
fn subcommands<'a>(words: &[&'a str]) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    let (mut sure, mut may_be_value) = (0, false);
    for word in words {
        if *word == "--" && sure > 0 {
            break;
        }
        if word.starts_with('-') {
            may_be_value = *word != "--" && !word.contains('=');
            continue;
        }
        found.push((sure, *word));
        sure += usize::from(!may_be_value);
        may_be_value = false;
        if sure > 1 {
            break;
        }
    }
    found
}

/// By a row that there is.
fn judge_row(row: Option<&Row>, name: &str, words: &[&str]) -> Option<String> {
    row.and_then(|it| it.judge(name, words))
}

/// Takes a line apart. A `--` ends nothing here: not every program heeds it, and nobody calls a file
/// like an option that starts a program. It is a piece, for those who do heed it.
fn items<'a>(words: &[&'a str], valued: &str, glued: &str) -> Vec<Item<'a>> {
    let mut found = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word.starts_with("--") {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (*word, None),
            };
            found.push(Item::Long(name, value));
            continue;
        }
        let Some(letters) = word.strip_prefix('-').filter(|it| !it.is_empty()) else {
            found.push(Item::Word(word));
            continue;
        };
        let mut letters = letters.chars();
        while let Some(it) = letters.next() {
            if glued.contains(it) {
                found.push(Item::Letter(it, Some(letters.as_str())));
                break;
            }
            if !valued.contains(it) {
                found.push(Item::Letter(it, None));
                continue;
            }
            let joined = letters.as_str();
            let value = if joined.is_empty() { rest.next().copied() } else { Some(joined) };
            found.push(Item::Letter(it, value));
            break;
        }
    }
    found
}
