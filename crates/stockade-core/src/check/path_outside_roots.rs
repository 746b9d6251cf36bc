#![doc = include_str!("path_outside_roots.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::json::Json;
use crate::root::{bounds, within};
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::path_outside_roots
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if facts.roots.is_empty() {
            return;
        }
        if matches!(subject.channel, Channel::Call | Channel::Argument) {
            look(subject.json, "", facts.roots, out);
        } else if subject.channel == Channel::Uri {
            let uri = subject.json.str().unwrap_or_default();
            if let Err(escape) = within(facts.roots, uri) {
                out.add(At::Value(subject.json), escape.to_string());
            }
        }
    }
}

/// Looks at everything in `json`, which a parameter called `name` holds.
fn look(json: Json<'_>, name: &str, roots: &[String], out: &mut Findings<'_>) {
    if let Some(text) = json.str()
        && (is_path_name(name) && may_be_path(text)
            || looks_like_path(text)
            || looks_like_uri(text) && bounds(roots, text))
        && let Err(escape) = within(roots, text)
    {
        out.add(At::Value(json), escape.to_string());
    }
    for (name, value) in json.fields() {
        if looks_like_path(name)
            && let Err(escape) = within(roots, name)
        {
            out.add(At::Name(value), escape.to_string());
        }
        look(value, name, roots, out);
    }
    for item in json.items() {
        look(item, name, roots, out);
    }
}

/// Whether the last word of a parameter's name says that it holds paths.
fn is_path_name(name: &str) -> bool {
    const WORDS: [&str; 26] = [
        "path", "paths", "file", "files", "filename", "filenames", "filepath", "filepaths", "dir",
        "dirs", "directory", "directories", "folder", "folders", "cwd", "root", "roots", "source",
        "src", "destination", "dest", "dst", "workdir", "workspace", "uri", "uris",
    ];
    let start = name
        .char_indices()
        .rev()
        .find(|(_, it)| it.is_ascii_uppercase() || !it.is_ascii_alphanumeric());
    // `filePath`, `file_path`, `PATH`
    let last = match start {
        Some((at, it)) if it.is_ascii_uppercase() => name.get(at..),
        Some((at, it)) => name.get(at + it.len_utf8()..),
        None => Some(name),
    };
    let is = |word: &str| WORDS.iter().any(|it| it.eq_ignore_ascii_case(word));
    last.is_some_and(is) || is(name)
}

/// The longest path of Linux.
const PATH_MAX: usize = 4096;

/// A parameter called `source` may as well hold the source of a program.
fn may_be_path(text: &str) -> bool {
    text.len() <= PATH_MAX && !text.contains('\n')
}

/// Whether a value is a URI and nothing else, whatever it is called.
fn looks_like_uri(text: &str) -> bool {
    text.len() <= URI_MAX && !text.contains([' ', '\n'])
}

/// Longer ones carry data.
const URI_MAX: usize = 64 << 10;

/// Whether a value is a path whatever it is called.
fn looks_like_path(text: &str) -> bool {
    const SYSTEM: [&str; 23] = [
        "etc", "home", "root", "var", "usr", "proc", "sys", "dev", "tmp", "opt", "mnt", "boot", "run",
        "srv", "lib", "bin", "sbin", "media", "Users", "Volumes", "private", "Library", "System",
    ];
    let text = text.trim();
    if text.len() > PATH_MAX || text.contains(|it: char| it.is_whitespace()) {
        return false;
    }
    let bytes = text.as_bytes();
    match bytes {
        [b'/', ..] => {
            let first = text.split('/').find(|it| !it.is_empty());
            first.is_some_and(|it| SYSTEM.contains(&it)) || text.contains("/../")
        }
        [b'\\', b'\\', ..] | [b'~', b'/', ..] | [b'.', b'.', b'/' | b'\\', ..] => true,
        [drive, b':', b'/' | b'\\', ..] => drive.is_ascii_alphabetic(),
        _ => {
            let scheme = text.get(..5).is_some_and(|it| it.eq_ignore_ascii_case("file:"));
            scheme || text.contains("/../") || text.contains("\\..\\")
        }
    }
}
