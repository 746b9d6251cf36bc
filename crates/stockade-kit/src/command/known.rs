//! Grammars for programs that servers often start: those of their options that only read. They are
//! for authors, who start from one ([`grammar`]), and for a guard, which asks what a command line
//! that somebody else will start comes to ([`judge`]).
//!
//! A repository is a program of its own: what its configuration says (a filter, a hook) `git` runs,
//! whatever its arguments are. [`grammar`] turns off what can be turned off; that the repository is
//! one's own, or that a sandbox holds `git`, is for the caller.

use thiserror::Error;

use super::line::{self, Shell};
use super::{Argv, Command, Pattern, Refusal};
use crate::launch::Launch;

/// Why a command line is not one that only reads.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Hazard {
    /// It needs a shell to be read.
    #[error(transparent)]
    Shell(#[from] Shell),
    /// It runs code, or something else that runs: an interpreter's option, a wrapper, a package.
    #[error("{0}")]
    Runs(String),
    /// Nothing is known about the program.
    #[error("nothing is known about the program `{0}`")]
    Unknown(String),
    /// The program is known, and this argument of it is not one that only reads.
    #[error("`{program}`: {refusal}")]
    Argument {
        /// The program, with its subcommand.
        program: String,
        /// What its grammar says.
        refusal: Refusal,
    },
}

/// What a command line comes to, as one text: the arguments as they may be given, or why not.
/// Absolute paths pass where they are in one of `roots`.
///
/// ```
/// use stockade_kit::command::known::judge_line;
///
/// let roots = ["/proj"];
/// assert!(judge_line("git log --oneline", &roots).is_ok());
/// assert!(judge_line("grep -rn 'TODO: x' src", &roots).is_ok());
/// for line in [
///     "git log --output=/etc/cron.d/x",
///     "git -c core.pager=./x log",
///     "find . -exec id +",
///     "tar -xf a.tar --to-command=id",
///     "npx -c id",
///     "python3 -c 'import os'",
///     "env sh -c id",
///     "cat ../../etc/passwd",
///     "ls\nid",
/// ] {
///     assert!(judge_line(line, &roots).is_err(), "{line}");
/// }
/// ```
pub fn judge_line<R: AsRef<str>>(line: &str, roots: &[R]) -> Result<Argv, Hazard> {
    judge(&line::words(line)?, roots)
}

/// The same for words that are split already.
pub fn judge<W: AsRef<str>, R: AsRef<str>>(words: &[W], roots: &[R]) -> Result<Argv, Hazard> {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let Some((program, arguments)) = words.split_first() else {
        return Err(Hazard::Shell(Shell::Empty));
    };
    if let Some(name) = installed(program) {
        if name == "git" {
            return git(arguments, roots);
        }
        if let Some(grammar) = grammar(name) {
            let argv = grammar.within(roots).argv(arguments);
            return argv.map_err(|refusal| Hazard::Argument { program: name.to_owned(), refusal });
        }
    }
    let command: Vec<_> = words.iter().map(Into::into).collect();
    Err(match Launch::of(&command, []) {
        Launch::Arbitrary { why } => Hazard::Runs(why),
        Launch::Script(file) => Hazard::Runs(format!("it runs the file `{file}`")),
        Launch::Package(package) => {
            Hazard::Runs(format!("it runs the package `{}`", package.spec()))
        }
        Launch::Container { image, .. } => Hazard::Runs(format!("it runs the image `{image}`")),
        Launch::Program => Hazard::Unknown((*program).to_owned()),
    })
}

/// The grammar of a program, without its roots; nothing, if none is known. That of `git` is one for
/// each subcommand: `git log`.
pub fn grammar(name: &str) -> Option<Command> {
    let path = || Pattern::Path;
    let number = || Pattern::Number(0..=1_000_000);
    let text = || Pattern::Text { bytes_max: TEXT_BYTES_MAX };
    let of = Command::new;
    Some(match name {
        // Not `-R`, which follows links out; not `-f`, which reads a file; not `-P`, which can take
        // for ever.
        "grep" => ["-m", "-A", "-B", "-C"]
            .iter()
            .fold(of("grep").letters("nilcwxvohHrFEsqaI"), |it, name| {
                it.option_with(*name, number())
            })
            .option_with("-e", text())
            .place(text())
            .rest(path(), PATHS_MAX),
        // Not `--pre` and `-z`, which start programs.
        "rg" => ["-m", "-A", "-B", "-C"]
            .iter()
            .fold(of("rg").fixed("--no-config").letters("nilcwvoFSsHI"), |it, name| {
                it.option_with(*name, number())
            })
            .option("--hidden")
            .option_with("-g", text())
            .option_with("-t", Pattern::Word)
            .place(text())
            .rest(path(), PATHS_MAX),
        // Not `-exec` and its like, `-delete`, `-fprint`, `-L`.
        "find" => ["-name", "-iname", "-path", "-ipath", "-size", "-mtime", "-mmin"]
            .iter()
            .fold(of("find").without_terminator().options_last(), |it, name| {
                it.option_with(*name, text())
            })
            .option_with("-maxdepth", number())
            .option_with("-mindepth", number())
            .option_with("-type", Pattern::one_of(["f", "d", "l"]))
            .option_with("-newer", path())
            .option("-empty")
            .option("-print")
            .option("-print0")
            .option("-o")
            .option("-a")
            .option("-not")
            .rest(path(), PATHS_MAX),
        "ls" => of("ls").letters("laAh1tSrRdFipGgnosUc").rest(path(), PATHS_MAX),
        "cat" => of("cat").letters("nbsvETA").rest(path(), PATHS_MAX),
        // Not `-f`, which does not end.
        "head" | "tail" => of(name)
            .letters("qv")
            .option_with("-n", number())
            .option_with("-c", number())
            .rest(path(), PATHS_MAX),
        "wc" => of("wc").letters("lwcmL").rest(path(), PATHS_MAX),
        // Not `-o`, which writes, nor `--compress-program`.
        "sort" => of("sort")
            .letters("nrufbdghMVs")
            .option_with("-k", Pattern::Word)
            .rest(path(), PATHS_MAX),
        // A second file would be written.
        "uniq" => of("uniq").letters("cdui").rest(path(), 1),
        "cut" => of("cut")
            .letters("s")
            .option_with("-d", text())
            .option_with("-f", text())
            .option_with("-c", text())
            .rest(path(), PATHS_MAX),
        "diff" => of("diff").letters("uqrNwbBiay").place(path()).place(path()),
        "stat" => of("stat").letters("Lt").option_with("-c", text()).rest(path(), PATHS_MAX),
        "file" => of("file").letters("bi").rest(path(), PATHS_MAX),
        "du" => of("du").letters("shackm").option_with("-d", number()).rest(path(), PATHS_MAX),
        // Only a list of what is inside. A name with a colon would be another machine.
        "tar" => ["-tf", "-tvf", "-tzf", "-tzvf", "-tjf", "-tJf"]
            .iter()
            .fold(of("tar").fixed("--force-local").without_terminator(), |it, name| {
                it.option_with(*name, path())
            }),
        "sha256sum" | "sha1sum" | "md5sum" => of(name).rest(path(), PATHS_MAX),
        "basename" | "dirname" => of(name).place(path()),
        "date" => of("date").letters("uR").rest(Pattern::one_of(DATES), 1),
        "uname" => of("uname").letters("asrmnpo"),
        "pwd" | "whoami" | "hostname" | "id" | "true" => of(name),
        "echo" => of("echo").letters("n").without_terminator().rest(text(), PATHS_MAX),
        "git status" => git_of("status")
            .letters("sb")
            .option("--short")
            .option("--porcelain")
            .option("--branch"),
        "git log" | "git show" | "git diff" => [
            "--oneline",
            "--stat",
            "--name-only",
            "--name-status",
            "--graph",
            "--cached",
            "--staged",
        ]
        .iter()
        .fold(git_of(name.strip_prefix("git ").unwrap_or_default()), |it, name| it.option(*name))
        .fixed("--no-ext-diff")
        .fixed("--no-textconv")
        .option_with("-n", number())
        .option_with("--since", text())
        .option_with("--until", text())
        .option_with("--author", text())
        .option_with("--grep", text())
        .letters("p")
        .rest(text(), 2),
        "git blame" => git_of("blame").letters("lws").rest(text(), 1),
        "git ls-files" => git_of("ls-files").letters("comdst").option("--exclude-standard"),
        "git branch" => git_of("branch").fixed("--list").letters("avr"),
        "git tag" => git_of("tag").fixed("--list"),
        "git rev-parse" => git_of("rev-parse")
            .fixed("--verify")
            .option("--short")
            .option("--abbrev-ref")
            .place(text()),
        _ => return None,
    })
}

/// `git` without the programs that a configuration can have it start, as far as that can be said on
/// a command line.
fn git_of(subcommand: &str) -> Command {
    let settings = [
        "core.fsmonitor=false",
        "core.hooksPath=/dev/null",
        "core.sshCommand=false",
        "log.showSignature=false",
        "protocol.allow=never",
        "submodule.recurse=false",
        "diff.ignoreSubmodules=all",
    ];
    let git = Command::new("git").fixed("--no-pager").fixed("--no-optional-locks");
    settings
        .iter()
        .fold(git, |it, setting| it.fixed("-c").fixed(*setting))
        .fixed(subcommand)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CEILING_DIRECTORIES", "/")
        .terminator("--end-of-options")
}

/// `git SUBCOMMAND [options] [revisions] [-- paths]`. What is before `--` is no path to it, and so
/// `git diff` never compares two files of the machine.
fn git<R: AsRef<str>>(arguments: &[&str], roots: &[R]) -> Result<Argv, Hazard> {
    let (subcommand, rest) = match arguments.split_first() {
        Some((first, rest)) if !first.starts_with('-') => (*first, rest),
        Some((option, _)) => {
            let refusal = Refusal::Option((*option).to_owned());
            return Err(Hazard::Argument { program: "git".to_owned(), refusal });
        }
        None => return Err(Hazard::Unknown("git".to_owned())),
    };
    let program = format!("git {subcommand}");
    let refused = |refusal| Hazard::Argument { program: program.clone(), refusal };
    let grammar = grammar(&program).ok_or_else(|| Hazard::Unknown(program.clone()))?;
    let at = rest.iter().position(|it| *it == "--");
    let (before, paths) = rest.split_at_checked(at.unwrap_or(rest.len())).unwrap_or((rest, &[]));
    let mut argv = grammar.argv(before).map_err(refused)?;
    let takes_paths = PATHS_OF_GIT.contains(&subcommand);
    if paths.len() > PATHS_MAX || !paths.is_empty() && !takes_paths {
        return Err(refused(Refusal::Count { least: 0, most: 0, given: paths.len() }));
    }
    if takes_paths {
        argv.args.push("--".to_owned());
        for (at, path) in paths.iter().skip(1).enumerate() {
            let roots: Vec<String> = roots.iter().map(|it| it.as_ref().to_owned()).collect();
            Pattern::Path.check(before.len() + 2 + at, path, &roots).map_err(refused)?;
            // A `:` would begin a pattern of git's own.
            let is_relative = !path.starts_with('/');
            argv.args.push(if is_relative { format!("./{path}") } else { (*path).to_owned() });
        }
    }
    Ok(argv)
}

/// The program's name, if it is one of the system's: `./git` is whatever somebody has put there.
fn installed(program: &str) -> Option<&str> {
    let name = ["/usr/bin/", "/bin/"].iter().find_map(|it| program.strip_prefix(it));
    let name = name.unwrap_or(program);
    (!name.contains('/')).then_some(name)
}

const PATHS_OF_GIT: [&str; 6] = ["log", "show", "diff", "blame", "ls-files", "status"];
const DATES: [&str; 5] = ["+%F", "+%T", "+%s", "+%Y-%m-%d", "+%H:%M:%S"];
const PATHS_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 1000;
