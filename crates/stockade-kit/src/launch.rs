//! What a command line starts. Clients' configurations say `npx` or `python` and mean a server; a
//! list of programs that may be started, which is what many rely on, lets `npx -c 'anything'` pass
//! (CVE-2026-30625, -40933). So the whole line is read, by the grammar of the program it begins
//! with. What that grammar does not know is [`Launch::Arbitrary`], and nothing is guessed.
//!
//! Nothing here looks at the machine: what a name leads to is for whoever starts it.

mod container;
mod flags;
mod interpreter;
mod runner;
mod table;
#[cfg(test)]
mod tests;
mod wrapper;

use std::ffi::OsString;

use flags::{Grammar, Piece};

pub use runner::{Ecosystem, Package, Wanted, is_npm_release, is_plain_name, normal};

/// What a command line starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// A program that is installed, and is none of those below.
    Program,
    /// A file, executed by an interpreter.
    Script(String),
    /// A package of a registry, started by a package runner.
    Package(Package),
    /// A container.
    Container {
        /// Its image, as it was named.
        image: String,
        /// Whether the name says what is in it: it has a digest.
        pinned: bool,
    },
    /// Whatever somebody has written into the command line, a variable, or a place that is no
    /// registry. To allow this is to allow everything.
    Arbitrary {
        /// Where that is, for a person.
        why: String,
    },
}

impl Launch {
    /// Reads a command line, and the names of the variables that it is given beyond what every
    /// program has.
    pub fn of<'a>(command: &[OsString], variables: impl IntoIterator<Item = &'a str>) -> Self {
        if let Some(name) = variables.into_iter().find(|it| table::injects(it)) {
            return arbitrary(format!("the variable `{name}` has programs run code"));
        }
        let words: Option<Vec<&str>> = command.iter().map(|it| it.to_str()).collect();
        match words {
            Some(words) => read(&words, DEPTH_MAX),
            // What cannot be read is a matter of the program alone only where that reads no flags.
            None => match command.first().and_then(|it| it.to_str()) {
                Some(program) if read(&[program], DEPTH_MAX) == Self::Program => Self::Program,
                _ => arbitrary("an argument that is not UTF-8".to_owned()),
            },
        }
    }
}

/// The program that a command line starts: its first word, or that behind programs which do nothing but
/// start another (`env`, `nice`). Nothing, where that cannot be told.
pub fn program(command: &[OsString]) -> Option<&str> {
    let words: Vec<&str> = command.iter().map(|it| it.to_str()).collect::<Option<_>>()?;
    let mut at = 0;
    for _ in 0..DEPTH_MAX {
        let (program, rest) = words.get(at..)?.split_first()?;
        let name = name_of(program);
        let Some(command) = behind(bare(&name), &name, rest) else {
            return command.get(at)?.to_str();
        };
        at = words.len() - command.ok()?.len();
    }
    None
}

/// So many programs may start one another on one line.
const DEPTH_MAX: usize = 6;

fn arbitrary(why: String) -> Launch {
    Launch::Arbitrary { why }
}

fn read(words: &[&str], depth: usize) -> Launch {
    let [program, rest @ ..] = words else { return Launch::Program };
    if depth == 0 {
        return arbitrary("too many programs that start one another".to_owned());
    }
    let name = name_of(program);
    let name = name.as_str();
    let bare = bare(name);
    if let Some(how) = runner::Runner::find(bare, rest) {
        return how.read(depth);
    }
    match (bare, rest) {
        ("env", _) => return environment(rest, depth),
        ("busybox" | "toybox", [flag, ..]) if flag.starts_with('-') => return unknown(name, flag),
        ("busybox" | "toybox", _) => return read(rest, depth - 1),
        ("docker" | "podman" | "nerdctl", _) => return container::read(name, rest, depth),
        ("stockade", ["run" | "serve" | "sandbox", ..]) => return itself(rest, depth),
        _ => {}
    }
    if let Some(launch) = interpreter::read(bare, name, rest) {
        return launch;
    }
    if let Some(wrapper) = wrapper::Wrapper::find(bare) {
        return wrapper.read(name, rest, depth);
    }
    match table::why_arbitrary(name, bare) {
        Some(why) => arbitrary(format!("`{name}` {why}")),
        None => Launch::Program,
    }
}

/// The program's name, wherever it is and whatever system it is for.
pub(crate) fn name_of(program: &str) -> String {
    let name = program.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let plain = [".exe", ".cmd", ".bat", ".ps1"].iter().find_map(|it| name.strip_suffix(it));
    plain.map(str::to_owned).unwrap_or(name)
}

/// Whether a variable has programs run code.
pub(crate) fn injects(name: &str) -> bool {
    table::injects(name)
}

/// Whether a variable is known to say nothing about what is run.
pub(crate) fn says_nothing(name: &str) -> bool {
    table::says_nothing(name)
}

/// Whether some program starts another by this variable, or finds its settings by it.
pub(crate) fn may_start(name: &str) -> bool {
    table::may_start(name)
}

/// The name without what is put behind it where several are installed: a version, a build, a
/// machine. `python3.13t`, `perl5.36-x86_64-linux-gnu` and `vim.tiny` are what they begin with;
/// `node-red` is not.
pub(crate) fn bare(name: &str) -> &str {
    const BUILDS: &[&str] =
        &["static", "dbg", "debug", "tiny", "basic", "nox", "gtk", "gtk3", "intel64", "cli"];
    const MACHINES: &[&str] = &["linux", "darwin", "windows", "musl"];
    let is_version = |it: &str| it.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    let is_build = |it: &str| {
        BUILDS.contains(&it)
            || is_version(it)
            || MACHINES.iter().any(|machine| it.contains(machine))
    };
    let name = name.split_once('-').filter(|it| is_build(it.1)).map_or(name, |it| it.0);
    let name = name.rsplit_once('.').filter(|it| BUILDS.contains(&it.1)).map_or(name, |it| it.0);
    // Letters behind a version are a build of Python.
    let version = name.trim_end_matches(['t', 'd', 'm', 'u']);
    let name = if version.ends_with(|it: char| it.is_ascii_digit()) { version } else { name };
    name.trim_end_matches(|it: char| it.is_ascii_digit() || it == '.')
}

/// This program, around another.
fn itself(words: &[&str], depth: usize) -> Launch {
    let command = words.iter().position(|it| *it == "--").and_then(|at| words.get(at + 1..));
    match read(command.unwrap_or_default(), depth - 1) {
        launch @ Launch::Arbitrary { .. } => launch,
        Launch::Program | Launch::Script(_) | Launch::Package(_) | Launch::Container { .. } => {
            Launch::Program
        }
    }
}

/// The command behind a program that does nothing but start it, or why it is not known; nothing, where
/// the program is none of those.
pub(crate) fn behind<'a>(
    bare: &str,
    name: &str,
    words: &'a [&'a str],
) -> Option<Result<&'a [&'a str], String>> {
    match bare {
        "env" => Some(variables(words).map(|it| it.command)),
        "busybox" | "toybox" if words.first().is_some_and(|it| !it.starts_with('-')) => {
            Some(Ok(words))
        }
        _ => wrapper::Wrapper::find(bare).map(|it| it.behind(name, words)),
    }
}

/// The same on a line of which nobody knows whether the user wrote it: each program has variables of its
/// own by which it starts others.
pub(crate) fn behind_in_a_call<'a>(
    bare: &str,
    name: &str,
    words: &'a [&'a str],
) -> Option<Result<&'a [&'a str], String>> {
    let set = if bare == "env" { variables(words).ok() } else { None };
    let names = set.iter().flat_map(|it| &it.variables).map(|(name, _)| name);
    match names.into_iter().find(|it| !table::says_nothing(it)) {
        Some(name) => Some(Err(format!("`env {name}=…` may have a program start another"))),
        None => behind(bare, name, words),
    }
}

/// What `env` sets, and what is behind that.
struct Variables<'a> {
    variables: Vec<(String, String)>,
    has_options: bool,
    leads: Option<&'a str>,
    command: &'a [&'a str],
}

/// `env NAME=value CMD`.
fn environment(words: &[&str], depth: usize) -> Launch {
    let Variables { variables, has_options, leads, command } = match variables(words) {
        Ok(it) => it,
        Err(why) => return arbitrary(why),
    };
    let launch = read(command, depth - 1);
    if let (Some(name), Launch::Script(_) | Launch::Package(_)) = (leads, &launch) {
        return arbitrary(format!("`env {name}=…` leads it to other settings, which can run code"));
    }
    let Launch::Package(package) = launch else { return launch };
    if has_options {
        return arbitrary("`env` with options around a package".to_owned());
    }
    Launch::Package(Package { env: [variables, package.env].concat(), ..package })
}

fn variables<'a>(words: &'a [&'a str]) -> Result<Variables<'a>, String> {
    const GRAMMAR: Grammar = Grammar {
        alone: &["--ignore-environment"],
        letters: "i",
        valued: &["-u", "--unset"],
        code: &["-S", "--split-string", "-vS"],
    };
    let mut rest = words;
    let mut variables = Vec::new();
    let mut has_options = false;
    let mut leads = None;
    while let Some((piece, after)) = GRAMMAR.next(rest) {
        match piece {
            Piece::Word("-") | Piece::Alone(_) | Piece::Valued(..) => has_options = true,
            Piece::End => {}
            Piece::Word(word) => match word.split_once('=') {
                Some((name, _)) if name == "PATH" || table::injects(name) => {
                    return Err(format!("`env {name}=…` has programs run code"));
                }
                Some((name, value)) => {
                    leads = leads.or(Some(name).filter(|it| table::leads_to_settings(it)));
                    variables.push((name.to_owned(), value.to_owned()));
                }
                None => break,
            },
            Piece::Code(flag) => return Err(format!("`env {flag}` runs what a text says")),
            Piece::Unknown(flag) => return Err(says_unknown("env", flag)),
        }
        rest = after;
    }
    Ok(Variables { variables, has_options, leads, command: rest })
}

fn unknown(name: &str, flag: &str) -> Launch {
    arbitrary(says_unknown(name, flag))
}

fn says_unknown(name: &str, flag: &str) -> String {
    format!("`{name} {flag}`: what this option does is not known here")
}
