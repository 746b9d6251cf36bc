//! Package runners: `npx`, `uvx` and their like, and which package it is that they start.

use std::fmt;

use super::flags::{Grammar, Piece};
use super::{Launch, arbitrary, read, unknown};

/// A package of a registry, and what is started of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Whose it is.
    pub ecosystem: Ecosystem,
    /// Its name, in the one spelling that the registry has for it.
    pub name: String,
    /// Optional parts of it, of a Python package.
    pub extras: Vec<String>,
    /// Which version.
    pub wanted: Wanted,
    /// Which of its programs, where that was said.
    pub bin: Option<String>,
    /// What the program is given.
    pub args: Vec<String>,
    /// Variables that were set on the command line.
    pub env: Vec<(String, String)>,
}

/// Where packages come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ecosystem {
    /// Packages for Node.js.
    Npm,
    /// Packages for Python.
    Pypi,
}

/// Which version of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This one. What is in it can still be looked up again and compared.
    Exact(String),
    /// Whichever fits when it is looked up: a range, a tag, or with nothing said the latest.
    Range(String),
}

impl Ecosystem {
    /// As it is written before a package's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pypi => "pypi",
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

impl Package {
    /// Reads `npm:NAME@VERSION` or `pypi:NAME==VERSION`.
    pub fn named(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("npm", spec) => npm(spec),
            ("pypi", spec) => pypi(spec),
            _ => None,
        }
    }

    /// The package alone, as it is written on a command line.
    pub fn spec(&self) -> String {
        let name = self.requirement_name();
        match (self.ecosystem, &self.wanted) {
            (_, Wanted::Range(range)) if range.is_empty() => format!("{}:{name}", self.ecosystem),
            (Ecosystem::Npm, Wanted::Exact(it) | Wanted::Range(it)) => format!("npm:{name}@{it}"),
            (Ecosystem::Pypi, Wanted::Exact(it)) => format!("pypi:{name}=={it}"),
            (Ecosystem::Pypi, Wanted::Range(it)) => format!("pypi:{name}{it}"),
        }
    }

    /// The name, with the optional parts that were asked for.
    pub fn requirement_name(&self) -> String {
        match self.extras.is_empty() {
            true => self.name.clone(),
            false => format!("{}[{}]", self.name, self.extras.join(",")),
        }
    }
}

/// A package runner, with what it was given.
#[derive(Debug)]
pub(super) struct Runner<'a> {
    /// As it is called.
    called: &'static str,
    ecosystem: Ecosystem,
    grammar: &'static Grammar,
    /// The options that name a package, so that the first word names a program of it.
    package: &'static [&'static str],
    /// Whether options are the runner's own also behind the package's name.
    reads_all: bool,
    words: &'a [&'a str],
}

/// It knows no letters together, and takes what follows `-yq` for the value of that.
const NPX: Grammar = Grammar {
    alone: &["--yes", "--quiet", "--silent", "-y", "-q"],
    letters: "",
    valued: &["-p", "--package"],
    code: &["-c", "--call", "--node-options", "--node-arg", "-n", "--script-shell", "--shell"],
};
/// For npm itself, `-p` is another option.
const NPM_EXEC: Grammar = Grammar { letters: "yq", valued: &["--package"], ..NPX };
const PNPM: Grammar = Grammar {
    alone: &["--silent"],
    letters: "s",
    valued: &["--package"],
    code: &["-c", "--shell-mode", "--allow-build"],
};
const YARN: Grammar =
    Grammar { alone: &["--quiet"], letters: "q", valued: &["-p", "--package"], code: &[] };
const BUN: Grammar = Grammar {
    alone: &["--bun", "--silent", "--verbose"],
    letters: "",
    valued: &["-p", "--package"],
    code: &[],
};
const UV: Grammar = Grammar {
    alone: &["--quiet", "--no-progress", "--isolated", "--no-cache"],
    letters: "qn",
    valued: &["--from"],
    code: &["--with", "--with-editable", "--with-requirements", "-w", "--env-file"],
};
const PIPX: Grammar = Grammar {
    alone: &["--quiet", "--no-cache"],
    letters: "q",
    valued: &["--spec"],
    code: &["--pip-args", "--path"],
};

/// A runner by its name, the words that must follow, and how it is read.
type Row = (
    &'static str,
    &'static [&'static str],
    Ecosystem,
    &'static Grammar,
    &'static [&'static str],
    bool,
);

const RUNNERS: &[Row] = &[
    ("npx", &[], Ecosystem::Npm, &NPX, &["-p", "--package"], false),
    ("npm", &["exec"], Ecosystem::Npm, &NPM_EXEC, &["--package"], true),
    ("npm", &["x"], Ecosystem::Npm, &NPM_EXEC, &["--package"], true),
    ("pnpm", &["dlx"], Ecosystem::Npm, &PNPM, &["--package"], false),
    ("pnpx", &[], Ecosystem::Npm, &PNPM, &["--package"], false),
    ("yarn", &["dlx"], Ecosystem::Npm, &YARN, &["-p", "--package"], false),
    ("bunx", &[], Ecosystem::Npm, &BUN, &["-p", "--package"], false),
    ("bun", &["x"], Ecosystem::Npm, &BUN, &["-p", "--package"], false),
    ("uvx", &[], Ecosystem::Pypi, &UV, &["--from"], false),
    ("uv", &["tool", "run"], Ecosystem::Pypi, &UV, &["--from"], false),
    ("pipx", &["run"], Ecosystem::Pypi, &PIPX, &["--spec"], false),
];

impl<'a> Runner<'a> {
    pub(super) fn find(name: &str, words: &'a [&'a str]) -> Option<Self> {
        RUNNERS.iter().find_map(|&(called, follows, ecosystem, grammar, package, reads_all)| {
            if called != name {
                return None;
            }
            let words = words.strip_prefix(follows)?;
            Some(Self { called, ecosystem, grammar, package, reads_all, words })
        })
    }

    pub(super) fn read(&self, depth: usize) -> Launch {
        let mut rest = self.words;
        let mut package = None;
        let mut words: Vec<&str> = Vec::new();
        while let Some((piece, after)) = self.grammar.next(rest) {
            match piece {
                Piece::Alone(_) => {}
                Piece::Valued(flag, spec) if self.package.contains(&flag) => {
                    if package.replace(spec).is_some() {
                        return arbitrary(format!("`{}` with several packages", self.called));
                    }
                }
                Piece::Valued(flag, _) | Piece::Unknown(flag) => return unknown(self.called, flag),
                Piece::Code(flag) => {
                    return arbitrary(format!("`{} {flag}` runs what is said there", self.called));
                }
                Piece::Word(word) => {
                    words.push(word);
                    if !self.reads_all {
                        words.extend(after);
                        break;
                    }
                }
                Piece::End => {
                    words.extend(after);
                    break;
                }
            }
            rest = after;
        }
        let [first, args @ ..] = words.as_slice() else {
            return arbitrary(format!(
                "`{}` without a package is a shell, or nothing",
                self.called
            ));
        };
        // `npx -y false x`: the word may be the value of the option before it.
        if matches!(*first, "true" | "false" | "null") {
            return arbitrary(format!("`{} {first}` can be read in two ways", self.called));
        }
        let spec = package.unwrap_or(first);
        let parsed = match self.ecosystem {
            Ecosystem::Npm => npm(spec),
            Ecosystem::Pypi => pypi_of_runner(spec),
        };
        let Some(parsed) = parsed else {
            return arbitrary(format!("`{spec}` is no package of the {} registry", self.ecosystem));
        };
        let bin = package.map(|_| (*first).to_owned());
        if bin.as_deref().is_some_and(|it| !is_plain_name(it)) {
            return arbitrary(format!("`{first}` is no name of a program"));
        }
        // A package may well be a shell, an interpreter or another runner.
        let started = bin.as_deref().unwrap_or_else(|| match self.ecosystem {
            Ecosystem::Npm => parsed.name.rsplit('/').next().unwrap_or_default(),
            // As it was written: `python3.12` is the interpreter, and in one spelling another name.
            Ecosystem::Pypi => {
                spec.split(['@', '=', '<', '>', '!', '~', '[']).next().unwrap_or(spec)
            }
        });
        let line: Vec<&str> = std::iter::once(started).chain(args.iter().copied()).collect();
        if read(&line, depth - 1) != Launch::Program {
            return arbitrary(format!("`{} {started}` runs what its arguments say", self.called));
        }
        let args = args.iter().map(|it| (*it).to_owned()).collect();
        Launch::Package(Package { bin, args, ..parsed })
    }
}

/// `NAME`, `NAME@VERSION`, `@SCOPE/NAME@VERSION`. What npm would take from anywhere but its registry
/// is none.
fn npm(spec: &str) -> Option<Package> {
    let (scope, rest) = match spec.strip_prefix('@') {
        Some(scoped) => {
            let (scope, rest) = scoped.split_once('/')?;
            (Some(scope), rest)
        }
        None => (None, spec),
    };
    let (name, version) = rest.split_once('@').unwrap_or((rest, ""));
    let is_name = |it: &str| {
        let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"._-".contains(&it);
        !it.is_empty() && !it.starts_with(['.', '_', '-']) && it.bytes().all(plain)
    };
    let is_range =
        version.bytes().all(|it| it.is_ascii_alphanumeric() || b".^~<>=|* -+_".contains(&it));
    if !is_name(name)
        || !scope.is_none_or(is_name)
        || is_archive(rest)
        || !is_range
        || spec.len() > 256
    {
        return None;
    }
    let name = scope.map_or(name.to_owned(), |scope| format!("@{scope}/{name}"));
    let wanted = match is_semver(version) {
        true => Wanted::Exact(version.to_owned()),
        false => Wanted::Range(version.to_owned()),
    };
    Some(package(Ecosystem::Npm, name, Vec::new(), wanted))
}

/// Whether this is a name in npm's registry, and this one whole version.
pub fn is_npm_release(name: &str, version: &str) -> bool {
    let named = npm(&format!("{name}@{version}"));
    named.is_some_and(|it| it.name == name && matches!(it.wanted, Wanted::Exact(_)))
}

/// Whether a program of a package may be called this: it is shown, and looked for in a directory.
pub fn is_plain_name(name: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"._-".contains(&it);
    !name.is_empty() && !name.starts_with(['.', '-']) && name.bytes().all(plain)
}

/// The same with `uvx`'s `NAME@VERSION`. What a runner would take for a file that is here is none.
fn pypi_of_runner(spec: &str) -> Option<Package> {
    if is_archive(spec) || spec.to_ascii_lowercase().ends_with(".py") {
        return None;
    }
    match spec.split_once('@') {
        Some((name, "latest")) => pypi(name),
        Some((name, version)) => pypi(&format!("{name}=={version}")),
        None => pypi(spec),
    }
}

/// `NAME`, `NAME[EXTRA]==VERSION`, `NAME>=VERSION`.
fn pypi(spec: &str) -> Option<Package> {
    let end = spec.find(['=', '<', '>', '!', '~']).unwrap_or(spec.len());
    let (named, range) = spec.split_at_checked(end)?;
    let (name, extras) = match named.split_once('[') {
        Some((name, rest)) => (name, rest.strip_suffix(']')?.split(',').collect()),
        None => (named, Vec::new()),
    };
    let is_range = range.bytes().all(|it| it.is_ascii_alphanumeric() || b".<>=!~,*+".contains(&it));
    if !is_range || spec.len() > 256 || is_archive(name) {
        return None;
    }
    let name = normal(name)?;
    let extras = extras.into_iter().map(normal).collect::<Option<Vec<_>>>()?;
    let exact = range.strip_prefix("==").filter(|it| is_pep440(it));
    let wanted = match exact {
        Some(version) => Wanted::Exact(version.to_owned()),
        None => Wanted::Range(range.to_owned()),
    };
    Some(package(Ecosystem::Pypi, name, extras, wanted))
}

/// Whether it is named as an archive, which is installed as it lies there.
fn is_archive(spec: &str) -> bool {
    const ENDS: &[&str] =
        &[".whl", ".zip", ".egg", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tbz", ".txz"];
    let spec = spec.to_ascii_lowercase();
    ENDS.iter().any(|it| spec.ends_with(it))
}

fn package(ecosystem: Ecosystem, name: String, extras: Vec<String>, wanted: Wanted) -> Package {
    Package { ecosystem, name, extras, wanted, bin: None, args: Vec::new(), env: Vec::new() }
}

/// PyPI takes `Mcp_Server.Git` for `mcp-server-git`, so there is one name for both.
pub fn normal(name: &str) -> Option<String> {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"._-".contains(&it);
    let ends_well = |it: Option<char>| it.is_some_and(|it| it.is_ascii_alphanumeric());
    if !name.bytes().all(is_plain)
        || !ends_well(name.chars().next())
        || !ends_well(name.chars().last())
    {
        return None;
    }
    let parts: Vec<&str> = name.split(['.', '_', '-']).filter(|it| !it.is_empty()).collect();
    Some(parts.join("-").to_ascii_lowercase())
}

/// A whole version by Semantic Versioning.
fn is_semver(version: &str) -> bool {
    let (core, rest) = match version.find(['-', '+']) {
        Some(at) => version.split_at_checked(at).unwrap_or((version, "")),
        None => (version, ""),
    };
    let numbers: Vec<&str> = core.split('.').collect();
    let is_number = |it: &&str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    numbers.len() == 3
        && numbers.iter().all(is_number)
        && rest.bytes().all(|it| it.is_ascii_alphanumeric() || b".-+".contains(&it))
        && !rest.ends_with(['-', '+', '.'])
}

/// A whole version of a Python package: no `*`.
fn is_pep440(version: &str) -> bool {
    version.starts_with(|it: char| it.is_ascii_digit())
        && version.bytes().all(|it| it.is_ascii_alphanumeric() || b".+!-_".contains(&it))
}
