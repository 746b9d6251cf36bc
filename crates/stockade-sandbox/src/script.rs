//! Which argument of an interpreter is the script that it runs. What is not known to be one opens
//! nothing: better that a script is not found than that the directory of a secret is shown.

use std::ffi::OsString;
use std::path::Path;

use crate::content::{self, Program};

/// How an interpreter is called, and how it reads its arguments.
struct Interpreter {
    names: &'static [&'static str],
    /// Words before the script.
    verbs: &'static [&'static str],
    /// Options whose value is the next word.
    valued: &'static [&'static str],
    /// Letters of short options after which there is code, or a module, and no script.
    code: &'static [u8],
    /// How the names of its scripts end.
    endings: &'static [&'static str],
}

/// Long options after which there is no script, whosever they are.
const CODE: &[&str] = &["--eval", "--print", "--command", "--module", "--test", "--check"];

const JAVASCRIPT: &[&str] = &["js", "mjs", "cjs", "ts", "mts", "cts", "jsx", "tsx"];

const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        names: &["node", "nodejs", "tsx", "ts-node"],
        verbs: &["watch"],
        valued: &["-r", "--require", "--import", "--loader", "--experimental-loader", "-C"],
        code: b"ep",
        endings: JAVASCRIPT,
    },
    Interpreter {
        names: &["deno", "bun"],
        verbs: &["run", "serve"],
        valued: &["-r", "--preload", "-c", "--config", "--import-map"],
        code: b"ep",
        endings: JAVASCRIPT,
    },
    Interpreter {
        names: &["python", "pypy"],
        verbs: &[],
        valued: &["-W", "-X", "--check-hash-based-pycs"],
        code: b"cm",
        endings: &["py", "pyc", "pyz"],
    },
    Interpreter {
        names: &["ruby"],
        verbs: &[],
        valued: &["-I", "-r", "-C", "-E"],
        code: b"e",
        endings: &["rb"],
    },
    Interpreter { names: &["perl"], verbs: &[], valued: &["-I"], code: b"eE", endings: &["pl"] },
    Interpreter {
        names: &["php"],
        verbs: &[],
        valued: &["-c", "-d", "-z"],
        code: b"rBRFS",
        endings: &["php", "phar"],
    },
    Interpreter {
        names: &["lua", "luajit"],
        verbs: &[],
        valued: &["-l"],
        code: b"e",
        endings: &["lua"],
    },
    Interpreter {
        names: &["java"],
        verbs: &["-jar"],
        valued: &["--add-modules", "--add-opens", "--add-exports", "--add-reads", "--source"],
        code: b"m",
        endings: &["jar", "java"],
    },
    Interpreter { names: &["dotnet"], verbs: &["exec"], valued: &[], code: b"", endings: &["dll"] },
    Interpreter { names: &["Rscript"], verbs: &[], valued: &[], code: b"e", endings: &["R", "r"] },
    Interpreter {
        names: &["sh", "bash", "dash", "zsh"],
        verbs: &[],
        valued: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"],
        code: b"cs",
        endings: &["sh", "bash", "zsh"],
    },
];

/// The script in a command, as it is named there, if the command is an interpreter with one.
pub(crate) fn named_in<'c>(command: &'c [OsString], cwd: &Path) -> Option<&'c Path> {
    let (program, arguments) = command.split_first()?;
    let program = Path::new(program).file_name()?.to_str()?;
    let interpreter = INTERPRETERS.iter().find(|it| it.is_called(program))?;
    let mut words = arguments.iter();
    let mut is_after_option = false;
    while let Some(word) = words.next() {
        let text = word.to_str();
        let is_file = cwd.join(word).is_file();
        match text {
            Some("--") => return words.next().map(Path::new).filter(|it| cwd.join(it).is_file()),
            Some(it) if interpreter.valued.contains(&it) => {
                words.next()?;
                is_after_option = false;
            }
            Some(it) if interpreter.verbs.contains(&it) => is_after_option = false,
            Some(it) if interpreter.is_code(it) => return None,
            Some(it) if it.starts_with(['-', '+']) => {
                let is_long = it.starts_with("--") && !it.contains('=');
                is_after_option = is_long || ["-cp", "-classpath"].contains(&it);
            }
            // It may be the value of an option that is not known here.
            _ if is_after_option && !(is_file && interpreter.may_be_script(&cwd.join(word))) => {
                is_after_option = false;
            }
            _ => return is_file.then_some(Path::new(word)),
        }
    }
    None
}

impl Interpreter {
    /// By one of its names, with a version behind it or without.
    fn is_called(&self, program: &str) -> bool {
        let version = |it: &&str| program.strip_prefix(*it);
        let is_version = |it: &str| it.bytes().all(|it| it.is_ascii_digit() || it == b'.');
        self.names.iter().filter_map(version).any(|it| is_version(it.trim_end_matches('t')))
    }

    fn is_code(&self, word: &str) -> bool {
        let long = word.split('=').next().is_some_and(|it| CODE.contains(&it));
        let letters = word.strip_prefix('-').filter(|it| !it.starts_with('-'));
        // What is longer than a few flags together is the name of an option, as Java has them.
        let short = letters.filter(|it| it.len() <= 4).unwrap_or_default();
        long || short.bytes().any(|it| self.code.contains(&it))
    }

    fn may_be_script(&self, path: &Path) -> bool {
        let ending = path.extension().and_then(|it| it.to_str());
        ending.is_some_and(|it| self.endings.contains(&it))
            || matches!(content::program(path), Some(Program::Script(_)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_is_known_to_be_the_script_is() {
        let top = std::env::temp_dir().join(format!("stockade-script-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        fs::create_dir_all(&top).unwrap();
        for name in ["a.js", "a.py", "a.sh", "a.jar", "a.rb", "secret", "server"] {
            fs::write(top.join(name), "x").unwrap();
        }
        for (command, script) in [
            ("node a.js secret", Some("a.js")),
            ("/usr/bin/node --x a.js", Some("a.js")),
            ("node20 --require secret a.js", Some("a.js")),
            ("node --no-such-option secret a.js", Some("a.js")),
            ("node --no-such-option secret", None),
            ("node --env-file=secret a.js", Some("a.js")),
            ("node -e 1 secret", None),
            ("node --eval=1 a.js", None),
            ("node -pe 1 a.js", None),
            ("node none.js a.js", None),
            ("node . a.js", None),
            ("python3.12 -u server", Some("server")),
            ("python3 -W ignore a.py", Some("a.py")),
            ("python3 -X dev server secret", Some("server")),
            ("python3 -m http.server secret", None),
            ("python3 -Im http.server a.py", None),
            ("python3 -c 1 a.py", None),
            ("python3 -- a.py", Some("a.py")),
            ("python -", None),
            ("bash -eu a.sh", Some("a.sh")),
            ("bash -o pipefail a.sh", Some("a.sh")),
            ("bash -lc true a.sh", None),
            ("sh a.sh secret", Some("a.sh")),
            ("deno run --allow-net a.js", Some("a.js")),
            ("bun a.js", Some("a.js")),
            ("java -Xmx1g -jar a.jar secret", Some("a.jar")),
            ("java -cp secret Main", None),
            ("ruby -I secret a.rb", Some("a.rb")),
            ("sha256sum secret", None),
            ("shred secret", None),
            ("nodemon a.js", None),
            ("python-config secret", None),
            ("cat secret", None),
            ("node", None),
        ] {
            let words: Vec<OsString> = command.split(' ').map(OsString::from).collect();
            assert_eq!(named_in(&words, &top), script.map(Path::new), "{command}");
        }
        fs::remove_dir_all(&top).unwrap();
    }
}
