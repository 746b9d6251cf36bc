//! Interpreters: a file that they execute is one thing, and code on the command line another.

use super::flags::{Grammar, Piece};
use super::{Launch, arbitrary, unknown};

/// Interpreters, by their names without a version, and the options that leave it to the script what
/// is run.
const INTERPRETERS: &[(&[&str], Grammar)] = &[
    (
        &["node", "nodejs"],
        Grammar {
            alone: &[
                "--no-warnings",
                "--trace-warnings",
                "--no-deprecation",
                "--trace-deprecation",
                "--enable-source-maps",
                "--experimental-strip-types",
                "--expose-gc",
            ],
            letters: "",
            valued: &["--max-old-space-size", "--stack-size", "--stack-trace-limit"],
            code: &[
                "-e",
                "-p",
                "-r",
                "-i",
                "--eval",
                "--print",
                "--require",
                "--import",
                "--loader",
                "--experimental-loader",
                "--env-file",
                "--run",
                "--interactive",
            ],
        },
    ),
    (
        &["python", "pythonw", "pypy", "py"],
        Grammar {
            alone: &[],
            letters: "bBEIOPqRsSuv",
            valued: &["-W", "-X"],
            code: &["-c", "-m", "-i", "-X"],
        },
    ),
    (
        &["perl"],
        Grammar {
            alone: &[],
            letters: "wWtT",
            valued: &[],
            code: &["-e", "-E", "-M", "-m", "-I", "-n", "-p", "-i", "-x", "-d"],
        },
    ),
    (
        &["ruby"],
        Grammar {
            alone: &[],
            letters: "wW",
            valued: &[],
            code: &["-e", "-r", "-I", "-n", "-p", "-i", "-x"],
        },
    ),
    (
        &["php"],
        Grammar {
            alone: &["-f", "--file"],
            letters: "q",
            valued: &[],
            code: &["-r", "-R", "-B", "-E", "-F", "-a", "-S", "-d", "--run", "--interactive"],
        },
    ),
    (
        &["lua", "luajit"],
        Grammar { alone: &[], letters: "E", valued: &[], code: &["-e", "-l", "-i"] },
    ),
    (&["rscript"], Grammar { alone: &["--vanilla"], letters: "", valued: &[], code: &["-e"] }),
    (
        &["tsx", "ts-node", "ts-node-esm"],
        Grammar {
            alone: &[],
            letters: "",
            valued: &[],
            code: &["-e", "-p", "-r", "-i", "--eval", "--print", "--require", "--import"],
        },
    ),
    (
        &[
            "sh", "bash", "dash", "zsh", "ksh", "mksh", "lksh", "pdksh", "oksh", "ash", "posh",
            "rbash", "rksh",
        ],
        Grammar {
            alone: &[],
            letters: "efuvxp",
            valued: &[],
            code: &["-c", "-s", "-i", "-l", "-o", "--command", "--rcfile", "--init-file"],
        },
    ),
    // Other letters have values here.
    (&["fish"], Grammar { alone: &[], letters: "N", valued: &[], code: &["-c", "-C", "-i", "-l"] }),
    (
        &["csh", "tcsh"],
        Grammar { alone: &[], letters: "efvx", valued: &[], code: &["-c", "-s", "-i", "-l"] },
    ),
    (
        &["java"],
        Grammar {
            alone: &["-jar", "-server"],
            letters: "",
            valued: &[],
            code: &["-cp", "-classpath", "--class-path", "-javaagent", "-agentlib", "-agentpath"],
        },
    ),
    (
        &["deno"],
        Grammar {
            alone: &[
                "-A",
                "-q",
                "--quiet",
                "--no-prompt",
                "--allow-all",
                "--allow-net",
                "--allow-read",
                "--allow-write",
                "--allow-env",
                "--allow-run",
                "--allow-sys",
                "--cached-only",
            ],
            letters: "",
            valued: &[],
            code: &["-r", "--preload", "--import-map", "--config", "-c", "--import", "--require"],
        },
    ),
    (
        &["bun"],
        Grammar {
            alone: &["--smol", "--bun", "--silent"],
            letters: "b",
            valued: &[],
            code: &["-e", "-p", "-r", "--eval", "--print", "--preload", "--require", "--import"],
        },
    ),
];

/// What `bun NAME` and the like run as a file, and not as a command or a script of a project.
const SOURCES: &[&str] = &[".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"];

/// What `python -X` may be given without other code being loaded: `pycache_prefix` and `presite` are
/// not among these.
const PYTHON_X: &[&str] = &[
    "utf8",
    "dev",
    "importtime",
    "faulthandler",
    "tracemalloc",
    "no_debug_ranges",
    "int_max_str_digits",
    "warn_default_encoding",
    "showrefcount",
    "cpu_count",
    "gil",
    "frozen_modules",
    "thread_inherit_context",
    "context_aware_warnings",
    "disable_remote_debug",
];

/// Reads the command line of an interpreter; nothing, if the program is none. `plain` is its name
/// without a version, and `name` as it was written.
pub(super) fn read(plain: &str, name: &str, words: &[&str]) -> Option<Launch> {
    let (known, grammar) = INTERPRETERS
        .iter()
        .find_map(|(names, grammar)| Some((names.iter().find(|it| **it == plain)?, grammar)))?;
    let mut rest = match (*known, words) {
        ("deno" | "bun", ["run", rest @ ..]) => rest,
        _ => words,
    };
    let mut has_ended = false;
    loop {
        let Some((piece, after)) = grammar.next(rest) else {
            return Some(arbitrary(format!(
                "`{name}` without a file reads its program from elsewhere"
            )));
        };
        match piece {
            // A class of warnings that has a module is loaded from it.
            Piece::Valued("-W", what) if !what.bytes().all(|it| it.is_ascii_alphabetic()) => {
                return Some(arbitrary(format!("`{name} -W {what}` may load a module")));
            }
            Piece::Valued("-X", what)
                if !PYTHON_X.contains(&what.split('=').next().unwrap_or_default()) =>
            {
                return Some(arbitrary(format!("`{name} -X {what}` may load other code")));
            }
            Piece::Alone(_) | Piece::Valued(..) if !has_ended => {}
            Piece::End if !has_ended => has_ended = true,
            Piece::Code(flag) if !has_ended => {
                return Some(arbitrary(format!("`{name} {flag}` runs what the command line says")));
            }
            Piece::Unknown(flag) if !has_ended => return Some(unknown(name, flag)),
            Piece::Word(script) => return Some(file(known, name, script)),
            Piece::Alone(_)
            | Piece::Valued(..)
            | Piece::End
            | Piece::Code(_)
            | Piece::Unknown(_) => {
                let script = rest.first().copied().unwrap_or_default();
                return Some(file(known, name, script));
            }
        }
        rest = after;
    }
}

/// Whether what an interpreter is given is a file that stays what it is.
fn file(known: &str, name: &str, script: &str) -> Launch {
    let is_elsewhere = ["/dev/", "/proc/"].iter().any(|it| script.starts_with(it));
    let has_scheme = script.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.chars().all(|it| it.is_ascii_alphanumeric() || it == '+')
    });
    let is_source = SOURCES.iter().any(|it| script.ends_with(it));
    match known {
        _ if script == "-" || is_elsewhere => {
            arbitrary(format!("`{name} {script}` reads its program from what is open"))
        }
        // A shell takes it for options.
        _ if script.starts_with('+') => unknown(name, script),
        _ if script.starts_with('@') => {
            arbitrary(format!("`{name} @…` reads its command line from a file"))
        }
        _ if has_scheme => {
            arbitrary(format!("`{name}` gets its program from `{script}`, which is no file"))
        }
        "node" | "nodejs" if script == "inspect" || script == "debug" => {
            arbitrary(format!("`{name} {script}` is a debugger"))
        }
        "bun" | "deno" | "tsx" if !is_source => {
            arbitrary(format!("`{name} {script}` is a command, or a script of a project"))
        }
        _ => Launch::Script(script.to_owned()),
    }
}
