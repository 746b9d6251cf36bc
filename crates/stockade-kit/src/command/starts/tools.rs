//! Tools that an interpreter is there to be started with, and programs of a project behind its runner.

use super::texts::{Found, said};
use super::{DEPTH_MAX, Item, items, judge};
use crate::launch::{self, Launch, Wanted};

/// Modules of Python that are there to be started so, and run no text.
const MODULES: &[&str] = &[
    "pytest",
    "unittest",
    "mypy",
    "ruff",
    "black",
    "isort",
    "flake8",
    "pylint",
    "pyright",
    "build",
    "venv",
    "compileall",
    "json.tool",
    "pip",
    "coverage",
    "sphinx",
    "mkdocs",
    "tabnanny",
    "http.server",
];

/// What is said of a tool, `python3 -m pytest` or `node --test`; nothing, where the line is none.
pub(super) fn judge_tool(bare: &str, words: &[&str]) -> Option<Found> {
    match (bare, words) {
        ("python" | "pypy" | "py", ["-m", module, rest @ ..]) => module_of_python(module, rest),
        ("pytest" | "py.test", rest) => module_of_python("pytest", rest),
        ("pylint" | "coverage", rest) => module_of_python(bare, rest),
        // It reads a file and runs nothing of it.
        ("php", ["-l", file]) | ("node", ["--check" | "-c", file]) if !file.starts_with('-') => {
            Some(None)
        }
        ("bun" | "deno", ["test", rest @ ..]) if rest.iter().all(|it| is_plain_of_runner(it)) => {
            Some(None)
        }
        ("node", ["--test", rest @ ..]) if rest.iter().all(|it| is_plain_of_test(it)) => Some(None),
        _ => None,
    }
}

/// The same for `bun test` and `deno test`: nothing that would be fetched, and no option with a file.
fn is_plain_of_runner(word: &str) -> bool {
    const OPTIONS: &[&str] = &[
        "--watch",
        "--coverage",
        "--bail",
        "--timeout",
        "--todo",
        "--only",
        "-t",
        "--quiet",
        "-q",
        "--filter",
        "--parallel",
        "--fail-fast",
        "--allow-read",
        "--allow-write",
        "--allow-net",
        "--allow-env",
        "--allow-sys",
        "--allow-all",
        "-A",
        "--no-check",
        "--doc",
    ];
    match word.starts_with('-') {
        true => OPTIONS.contains(&word.split('=').next().unwrap_or_default()),
        false => !word.contains(':') && super::build::is_of_the_project(word),
    }
}

/// Files of the project, and options that load none: a reporter may be a file.
fn is_plain_of_test(word: &str) -> bool {
    const REPORTERS: &[&str] = &["spec", "tap", "dot", "junit", "lcov"];
    const OTHERS: &[&str] = &[
        "--test-name-pattern",
        "--test-skip-pattern",
        "--test-concurrency",
        "--test-timeout",
        "--test-shard",
    ];
    match word.split_once('=') {
        Some(("--test-reporter", it)) => REPORTERS.contains(&it),
        Some((name, _)) if name.starts_with('-') => OTHERS.contains(&name),
        Some(_) => true,
        None => {
            !word.starts_with('-')
                || matches!(word, "--watch" | "--test-only" | "--experimental-test-coverage")
        }
    }
}

fn module_of_python(module: &str, words: &[&str]) -> Option<Found> {
    if !MODULES.contains(&module) {
        return None;
    }
    let wrong = |it: &str| Some(said(&format!("`{it}` of `{module}`")));
    let short_of = |whole: &'static str| {
        words.iter().find(move |it| {
            let name = it.split('=').next().unwrap_or_default();
            name.len() > 4 && whole.starts_with(name)
        })
    };
    match module {
        "pytest" => {
            if let Some(it) = short_of("--pdbcls") {
                return wrong(it);
            }
            // A setting may be options.
            if let Some(it) = words.iter().find(|it| it.contains("addopts")) {
                return wrong(it);
            }
            let wrong_letter = items(words, "kmcorWnp", "").into_iter().find(|it| match it {
                // `-p no:NAME` turns a plugin off.
                Item::Letter('p', value) => !value.is_some_and(|it| it.starts_with("no:")),
                Item::Letter(..) | Item::Long(..) | Item::Word(_) => false,
            });
            match wrong_letter {
                Some(Item::Letter(it, _)) => wrong(&format!("-{it}")),
                Some(Item::Long(..) | Item::Word(_)) | None => Some(None),
            }
        }
        "pylint" => match short_of("--init-hook").or_else(|| short_of("--load-plugins")) {
            Some(it) => wrong(it),
            None => Some(None),
        },
        "coverage" => match words.iter().position(|it| names_module(it)) {
            // A module behind it is one as well.
            Some(at) => match words.get(at..) {
                Some(["-m" | "--module", inner, rest @ ..]) => {
                    module_of_python(inner, rest).or_else(|| wrong(&format!("-m {inner}")))
                }
                Some([it, ..]) => wrong(it),
                Some([]) | None => Some(None),
            },
            None => Some(None),
        },
        // Scripts that it starts for whoever asks.
        "http.server" => match words.iter().find(|it| it.starts_with("--c")) {
            Some(it) => wrong(it),
            None => Some(None),
        },
        "pip" | "mypy" | "pyright" | "sphinx" => {
            Some(super::judge_row(super::table::find(module, module), module, words))
        }
        _ => {
            match words.iter().find(|it| **it == "-c" && module != "flake8" && module != "isort") {
                Some(it) => wrong(it),
                None => Some(None),
            }
        }
    }
}

/// `-m`, also behind other letters, as `coverage` takes it.
fn names_module(word: &str) -> bool {
    match word.strip_prefix("--") {
        Some(name) => name.starts_with("mod"),
        None => word.starts_with('-') && word.contains('m'),
    }
}

/// Runners that start a program of the project, which they do not hand to a shell.
const RUNNERS: &[(&str, &str)] =
    &[("pnpm", "exec"), ("poetry", "run"), ("uv", "run"), ("bundle", "exec"), ("pdm", "run")];

/// Why a person may want to see a line that starts a program of the project, or perhaps fetches it:
/// which of the two is not on the line. Nothing, where it is something else, or where what is started
/// would start another.
pub(super) fn asks(words: &[&str], depth: usize) -> Option<String> {
    let (program, rest) = words.split_first()?;
    let name = launch::name_of(program);
    let bare = launch::bare(&name);
    if depth == 0 {
        return None;
    }
    if let Some(Ok(inner)) = launch::behind_in_a_call(bare, &name, rest) {
        return asks(inner, depth - 1);
    }
    let is_runner = |it: &&(&str, &str)| it.0 == bare && rest.first() == Some(&it.1);
    if let Some((runner, word)) = RUNNERS.iter().find(is_runner) {
        let inner = rest.get(1..)?;
        let first = inner.first()?;
        // Some hand a word with a blank in it to a shell.
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_./".contains(it);
        let is_fine = !first.starts_with('-')
            && first.chars().all(is_plain)
            && judge(inner, DEPTH_MAX - 1).is_none();
        return is_fine.then(|| format!("`{runner} {word}` starts `{first}` of the project"));
    }
    let is_of_project = bare == "npx" || bare == "npm" && matches!(rest, ["exec" | "x", ..]);
    let command: Vec<_> = words.iter().map(Into::into).collect();
    match Launch::of(&command, []) {
        Launch::Package(it) if is_of_project && it.env.is_empty() => {
            let is_bare = matches!(&it.wanted, Wanted::Range(range) if range.is_empty());
            let started: Vec<&str> = std::iter::once(it.name.as_str())
                .chain(it.args.iter().map(String::as_str))
                .collect();
            let is_fine = is_bare && it.bin.is_none() && judge(&started, DEPTH_MAX - 1).is_none();
            is_fine.then(|| {
                format!("it starts `{}` of the project, or fetches it where that has none", it.name)
            })
        }
        Launch::Package(_)
        | Launch::Program
        | Launch::Script(_)
        | Launch::Container { .. }
        | Launch::Arbitrary { .. } => None,
    }
}
