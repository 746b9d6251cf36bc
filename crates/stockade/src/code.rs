//! Which files a command line has executed, as far as it names them. What else it names is what the
//! server works on.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stockade_kit::launch::{self, Launch};

/// How files end that interpreters are started with.
const SCRIPTS: &[&str] = &[
    "py", "pyw", "pyz", "pyc", "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "rb", "pl",
    "pm", "php", "phar", "lua", "sh", "bash", "zsh", "ksh", "csh", "fish", "r", "jar", "exs",
    "tcl", "wasm", "ps1",
];

/// Where a directory of JavaScript says what is executed of it.
const PACKAGE: &str = "package.json";

/// So many words of a command are looked at for others in them.
const WORDS_MAX: usize = 256;

/// The program of this name in a `PATH`: the first file that can be executed, in places that do not
/// depend on a working directory. It is what the sandbox finds.
pub fn installed(name: &str, path: &OsStr) -> Option<PathBuf> {
    let places = std::env::split_paths(path).filter(|it| it.is_absolute());
    places.map(|it| it.join(name)).find(|it| fs::metadata(it).is_ok_and(|it| is_executed(&it)))
}

/// The files that a command has executed and names, by what it calls them: its program, the script of
/// an interpreter, and what is a program or a script by its name or its mode. Relative words are from
/// `from`, and names are looked for in `path`, if there is one.
pub fn named(command: &[OsString], from: &Path, path: Option<&OsStr>) -> BTreeMap<String, PathBuf> {
    let mut found = Found { from, path, is_unclear: false, files: BTreeMap::new() };
    let words: Vec<&str> = command.iter().filter_map(|it| it.to_str()).collect();
    if let Some(first) = words.first() {
        found.program(first);
    }
    if let Some(program) = launch::program(command) {
        found.program(program);
    }
    found.line(&words);
    // What is in one word is a line as well, to `sh -c` and `env -S`.
    if let Launch::Arbitrary { .. } = Launch::of(command, []) {
        found.is_unclear = true;
        let separates = |it: char| it.is_whitespace() || "'\"`;|&<>()$=".contains(it);
        let pieces = words.iter().flat_map(|it| it.split(separates)).filter(|it| !it.is_empty());
        let pieces: Vec<&str> = pieces.take(WORDS_MAX).collect();
        pieces.iter().filter(|it| !it.contains('/')).for_each(|it| found.program(it));
        found.line(&pieces);
    }
    for word in command {
        found.word(&word.to_string_lossy(), &from.join(word));
    }
    found.files
}

struct Found<'a> {
    from: &'a Path,
    path: Option<&'a OsStr>,
    /// Nobody knows which of the words are executed.
    is_unclear: bool,
    files: BTreeMap<String, PathBuf>,
}

impl Found<'_> {
    /// A word that is executed itself.
    fn program(&mut self, word: &str) {
        let file = match word.contains('/') {
            true => Some(self.from.join(word)).filter(|it| it.is_file()),
            false => self.path.and_then(|path| installed(word, path)),
        };
        if let Some(file) = file {
            self.files.insert(file.to_string_lossy().into_owned(), file);
        }
    }

    /// The words of a line, and those that a line could begin with: what programs that are not known
    /// here start is behind them.
    fn line(&mut self, words: &[&str]) {
        for at in 0..words.len().min(WORDS_MAX) {
            let line = words.get(at..).unwrap_or_default();
            let line: Vec<OsString> = line.iter().take(WORDS_MAX).map(OsString::from).collect();
            if let Launch::Script(script) = Launch::of(&line, []) {
                self.script(&script);
            }
        }
        for word in words {
            self.word(word, &self.from.join(word));
            // `--require=FILE`.
            if let Some((_, value)) = word.split_once('=') {
                self.word(value, &self.from.join(value));
            }
        }
    }

    /// What an interpreter is given: a file, or a directory that has it.
    fn script(&mut self, word: &str) {
        let path = self.from.join(word);
        if !path.is_dir() {
            if path.is_file() {
                self.files.insert(word.to_owned(), path);
            }
            return;
        }
        let inside = fs::read_dir(&path).into_iter().flatten().flatten();
        let mut inside: Vec<PathBuf> = inside.map(|it| it.path()).collect();
        inside.retain(|it| is_script(it) || it.file_name().is_some_and(|it| it == PACKAGE));
        let package = fs::read(path.join(PACKAGE)).unwrap_or_default();
        let package: Value = serde_json::from_slice(&package).unwrap_or_default();
        inside.extend(package.get("main").and_then(Value::as_str).map(|it| path.join(it)));
        for file in inside.into_iter().filter(|it| it.is_file()) {
            self.files.insert(file.to_string_lossy().into_owned(), file);
        }
    }

    /// Any word, of which nobody knows what it is.
    fn word(&mut self, word: &str, file: &Path) {
        let may_be = |it: &Metadata| {
            is_executed(it) || is_script(file) || self.is_unclear && file.extension().is_none()
        };
        let is_one = fs::metadata(file).is_ok_and(|it| it.is_file() && may_be(&it));
        if is_one {
            self.files.insert(word.to_owned(), file.to_owned());
        }
    }
}

fn is_executed(about: &Metadata) -> bool {
    about.is_file() && about.permissions().mode() & 0o111 != 0
}

fn is_script(file: &Path) -> bool {
    let ends = |it: &OsStr| SCRIPTS.iter().any(|end| it.eq_ignore_ascii_case(end));
    file.extension().is_some_and(ends)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn what_a_command_has_executed_is_known_however_it_is_started() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        for (name, mode) in [
            ("bin/mysrv", 0o755),
            ("before/mysrv", 0o644),
            ("srv", 0o644),
            ("s.pyw", 0o644),
            ("r.bash", 0o644),
            ("run", 0o644),
            ("hook.mjs", 0o644),
            ("notes.db", 0o644),
            ("notes", 0o644),
            ("dir/__main__.py", 0o644),
            ("pack/package.json", 0o644),
            ("pack/dist/main.txt", 0o644),
        ] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), "").unwrap();
            fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        }
        fs::write(at("pack/package.json"), r#"{"main": "dist/main.txt"}"#).unwrap();
        let path = std::env::join_paths([&at("before"), &at("bin"), Path::new("bin")]).unwrap();
        for (words, files) in [
            (&["mysrv", "notes"][..], &["bin/mysrv"][..]),
            (&["bin/mysrv", "notes.db"], &["bin/mysrv"]),
            (&["env", "A=b", "mysrv"], &["bin/mysrv"]),
            (&["python3", "srv", "notes"], &["srv"]),
            (&["python3", "-u", "s.pyw", "notes.db"], &["s.pyw"]),
            (&["python3", "--unknown", "srv", "notes.db"], &["srv"]),
            (&["bash", "r.bash"], &["r.bash"]),
            (&["sh", "run", "notes"], &["run"]),
            (&["timeout", "9", "sh", "run"], &["run"]),
            (&["python3", "dir"], &["dir/__main__.py"]),
            (&["node", "pack"], &["pack/dist/main.txt", "pack/package.json"]),
            (&["node", "--import=./hook.mjs", "srv"], &["hook.mjs", "srv"]),
            (&["env", "-S", "python3 srv notes.db"], &["srv"]),
            (&["env", "-S", "mysrv notes.db"], &["bin/mysrv"]),
            (&["sh", "-c", "cd /; exec python3 'srv' notes.db"], &["srv"]),
            (&["sh", "-c", "exec python3 ./srv ./notes.db"], &["srv"]),
            (&["sh", "-c", "A=$(mysrv) && exec ./run"], &["bin/mysrv", "run"]),
            (&["someone", "--", "python3", "srv"], &["srv"]),
        ] {
            let command: Vec<OsString> = words.iter().map(OsString::from).collect();
            let named = named(&command, top.path(), Some(&path));
            let mut found: Vec<_> =
                named.values().map(|it| it.strip_prefix(top.path()).unwrap()).collect();
            found.sort();
            found.dedup();
            assert_eq!(found, files.iter().map(Path::new).collect::<Vec<_>>(), "{words:?}");
        }
    }
}
