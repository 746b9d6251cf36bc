//! What a server is in a lock: the name it goes by, how it is started, and what code that is.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use stockade_core::lock::{Code, Entry, Launch};
use stockade_kit::launch::{self, Launch as Line};

use crate::code;

/// A server, as somebody is about to start or reach it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The name that it goes by in the lock.
    pub name: String,
    /// Its command line or address, and the names of its variables.
    pub launch: Launch,
    /// The code that would be started, where that is known.
    pub code: Vec<Code>,
}

/// The longest script that is read for its digest, in bytes.
const SCRIPT_BYTES_MAX: u64 = 64 << 20;

impl Identity {
    /// A process that is started.
    pub fn of_command(name: Option<&str>, command: &[OsString], env: Vec<String>) -> Self {
        let line = Line::of(command, env.iter().map(String::as_str));
        let name = name.map_or_else(|| called(&line, command), str::to_owned);
        let words = command.iter().map(|it| it.to_string_lossy().into_owned());
        let launch = Launch { command: words.collect(), env: sorted(env), url: None };
        let code = match &line {
            Line::Script(path) => script(path).into_iter().collect(),
            Line::Container { image, pinned: true } => image
                .split_once('@')
                .map(|(name, hash)| Code { hash: hash.to_owned(), name: name.to_owned() })
                .into_iter()
                .collect(),
            Line::Program => begun_by_an_interpreter(command).into_iter().collect(),
            Line::Package(_) | Line::Container { .. } | Line::Arbitrary { .. } => Vec::new(),
        };
        Self { name, launch, code }
    }

    /// A server at an address.
    pub fn of_url(name: Option<&str>, url: &str) -> Self {
        let called = || match url::Url::parse(url) {
            // A password or a token may stand in the rest.
            Ok(it) => format!("{}{}", it.origin().ascii_serialization(), it.path()),
            Err(_) => url.to_owned(),
        };
        let name = name.map_or_else(called, str::to_owned);
        let launch = Launch { url: Some(url.to_owned()), ..Launch::default() };
        Self { name, launch, code: Vec::new() }
    }

    /// The same, with code that is known from elsewhere.
    #[must_use]
    pub fn with(mut self, code: impl IntoIterator<Item = Code>) -> Self {
        self.code.extend(code);
        self.code.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// Whether somebody else's code could be started by the same command, and nothing here would tell.
    pub fn is_of_unknown_code(&self) -> bool {
        self.launch.url.is_none() && self.code.is_empty()
    }

    /// What of the start of this server is not as it was approved, as a sentence about it.
    pub fn differs(&self, approved: &Entry) -> Option<String> {
        let (is, was) = (&self.launch, &approved.launch);
        if is.url != was.url {
            let told = |it: &Option<String>| it.clone().unwrap_or("a command".to_owned());
            return Some(format!(
                "its address is `{}`, and approved was `{}`",
                told(&is.url),
                told(&was.url)
            ));
        }
        if is.command != was.command {
            let told = |it: &[String]| it.join(" ");
            return Some(format!(
                "its command is `{}`, and approved was `{}`",
                told(&is.command),
                told(&was.command)
            ));
        }
        if is.env != was.env {
            let told = |it: &[String]| match it {
                [] => "none".to_owned(),
                it => it.join(", "),
            };
            return Some(format!(
                "its variables are {}, and approved were {}",
                told(&is.env),
                told(&was.env)
            ));
        }
        if self.code != approved.code {
            let told = |it: &[Code]| {
                let each = it.iter().map(|it| format!("{} ({})", it.name, it.hash));
                match it {
                    [] => "not known".to_owned(),
                    _ => each.collect::<Vec<_>>().join(", "),
                }
            };
            return Some(format!(
                "the code that is started is {}, and approved was {}",
                told(&self.code),
                told(&approved.code)
            ));
        }
        None
    }
}

/// What a server goes by whom nobody has named: that of it which stays the same when its version or
/// its arguments change, so that such a change is found.
fn called(line: &Line, command: &[OsString]) -> String {
    match line {
        Line::Package(package) => format!("{}:{}", package.ecosystem.name(), package.name),
        Line::Container { image, .. } => {
            image.split_once('@').map_or(image.as_str(), |(name, _)| name).to_owned()
        }
        Line::Script(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
            path.to_string_lossy().into_owned()
        }
        Line::Program | Line::Arbitrary { .. } => {
            command.first().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default()
        }
    }
}

fn script(path: impl AsRef<Path>) -> Option<Code> {
    of_file(path.as_ref(), b"")
}

/// A program that is a script: the kernel starts the interpreter that its first line names.
fn begun_by_an_interpreter(command: &[OsString]) -> Option<Code> {
    let program = launch::program(command)?;
    if program.contains('/') {
        return of_file(Path::new(program), b"#!");
    }
    of_file(&code::installed(program, &env::var_os("PATH")?)?, b"#!")
}

/// A file, if it begins in this way.
fn of_file(path: &Path, beginning: &[u8]) -> Option<Code> {
    let path = std::path::absolute(path).ok()?;
    let mut file =
        File::open(&path).ok().filter(|it| it.metadata().is_ok_and(|it| it.is_file()))?;
    let mut bytes = vec![0; beginning.len()];
    file.read_exact(&mut bytes).ok().filter(|()| bytes == beginning)?;
    file.take(SCRIPT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let hash = format!("blake3:{}", blake3::hash(&bytes).to_hex());
    Some(Code { hash, name: path.to_str()?.to_owned() })
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Identity {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Identity::of_command(None, &words, Vec::new())
    }

    #[test]
    fn a_server_keeps_its_name_when_its_version_and_arguments_change() {
        for (a, b, name) in [
            (&["npx", "-y", "x@1.0.0", "/a"][..], &["npx", "x@2.0.0", "/b"][..], "npm:x"),
            (&["uvx", "x==1.0"], &["uvx", "x==2.0", "--all"], "pypi:x"),
            (&["/usr/bin/server", "a"], &["/usr/bin/server", "b"], "/usr/bin/server"),
        ] {
            assert_eq!((of(a).name.as_str(), of(b).name.as_str()), (name, name));
            let entry = Entry { launch: of(a).launch, ..Entry::default() };
            assert_eq!(of(a).differs(&entry), None);
            assert!(of(b).differs(&entry).is_some_and(|it| it.starts_with("its command")));
        }
        assert!(of(&["/usr/bin/server", "a"]).is_of_unknown_code());
        let url = Identity::of_url(None, "https://user:secret@a.example/mcp?key=secret");
        assert_eq!(url.name, "https://a.example/mcp");
        assert!(!url.is_of_unknown_code());
    }

    #[test]
    fn variables_and_code_are_part_of_it() {
        let with = |env: &[&str]| {
            let env = env.iter().map(|it| (*it).to_owned()).collect();
            Identity::of_command(Some("a"), &["server".into()], env)
        };
        let entry = Entry { launch: with(&["B", "A", "B"]).launch, ..Entry::default() };
        assert_eq!(with(&["A", "B"]).differs(&entry), None);
        assert!(with(&["A"]).differs(&entry).is_some_and(|it| it.starts_with("its variables")));
        let code = Code { name: "npm:x@1.0.0".to_owned(), hash: "1".to_owned() };
        let now = with(&["A", "B"]).with([code]);
        assert!(now.differs(&entry).is_some_and(|it| it.starts_with("the code")));
    }
}
