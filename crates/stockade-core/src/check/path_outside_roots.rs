#![doc = include_str!("path_outside_roots.md")]

use std::collections::BTreeSet;

use super::{Check, Facts, Findings, Rule, rules};
use crate::argument::{Argument, Called, Kind, Place, Why, last_word};
use crate::finding::At;
use crate::leads::Lead;
use crate::root::{bounds, directories, scheme, within};
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::path_outside_roots
    }

    fn argument(&self, it: &Argument<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if !is_looked_at(it, facts.roots) {
            return;
        }
        let held_all = held(facts.roots, it.str)
            .and_then(|()| held_in_quotes(facts.roots, it))
            .and_then(|()| leads(facts, it.str))
            .and_then(|()| {
                let mut parts =
                    parts_of_pattern(it).filter(|part| is_path_of_pattern(part, facts.roots));
                parts.try_for_each(|part| held(facts.roots, part))
            });
        if let Err(why) = held_all {
            out.add(it.at, it.says(Kind::Path, why));
        }
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if subject.channel != Channel::Uri || facts.roots.is_empty() {
            return;
        }
        let uri = subject.json.str().unwrap_or_default();
        let held = within(facts.roots, uri).and_then(|()| stays(facts.roots, uri));
        if let Err(escape) = held.and_then(|()| leads(facts, uri)) {
            out.add(At::Value(subject.json), escape);
        }
    }
}

/// The paths among some subjects that are inside by their texts, and may lead out by a link.
pub(super) fn inside(subjects: &[Subject<'_>], facts: &Facts<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for subject in subjects {
        if subject.channel == Channel::Uri {
            let uri = subject.json.str().filter(|it| may_lead(it));
            let uri = uri.filter(|it| within(facts.roots, it).is_ok());
            found.extend(uri.map(str::to_owned));
        }
        let Some(call) = Called::of(*subject, facts) else { continue };
        call.each(&mut |it| {
            if is_looked_at(it, facts.roots)
                && may_lead(it.str)
                && !found.contains(it.str)
                && held(facts.roots, it.str).is_ok()
            {
                found.insert(it.str.to_owned());
            }
        });
    }
    found
}

/// Whether an argument is held against the roots.
fn is_looked_at(it: &Argument<'_>, roots: &[String]) -> bool {
    if roots.is_empty() || it.why == Why::Policy && !it.is(Kind::Path) && !it.is(Kind::Url) {
        return false;
    }
    let text = it.str;
    let is_path = it.is(Kind::Path) && may_be_path(it.name, text);
    let looks = || {
        looks_like_path(text)
            || may_have_blanks(it) && looks_like_path_with_blanks(text)
            || parts_of_pattern(it).any(|part| is_path_of_pattern(part, roots))
    };
    let is_uri =
        || !it.is_name() && looks_like_uri(text) && (bounds(roots, text) || is_of_files(text));
    let seems = is_path || looks();
    // What it leads to matters only where it may lead anywhere.
    let place = match seems && !it.is_name() && it.why != Why::Policy {
        true => it.place(),
        false => Place::Here,
    };
    let leads_here = match place {
        Place::Here => seems,
        Place::Words => is_path,
        Place::Elsewhere => false,
        Place::Repository => looks(),
    };
    leads_here || is_uri()
}

fn held(roots: &[String], text: &str) -> Result<(), String> {
    within(roots, text)?;
    stays(roots, text)?;
    match hides_a_climb(text) {
        true => Err("a path that climbs for whoever decodes it".to_owned()),
        false => Ok(()),
    }
}

/// The same of a path in quotes, which some programs take off.
fn held_in_quotes(roots: &[String], it: &Argument<'_>) -> Result<(), String> {
    let between = |quote: char| it.str.trim().strip_prefix(quote)?.strip_suffix(quote);
    let inner = between('"').or_else(|| between('\'')).filter(|_| it.is(Kind::Path));
    inner.map_or(Ok(()), |inner| held(roots, inner))
}

/// Whether this may be the name of a file, and one that may be a link.
fn may_lead(text: &str) -> bool {
    scheme(text).is_none() && text.len() <= PATH_MAX
}

/// What a pattern for the names of files may stand for, of what is between braces each: `{/etc/passwd,x}`.
/// Nothing, where it is none.
fn parts_of_pattern<'a>(it: &Argument<'a>) -> impl Iterator<Item = &'a str> {
    let last = last_word(it.name);
    let is_pattern = matches!(last.as_str(), "pattern" | "patterns" | "glob" | "globs");
    let text = if is_pattern && !it.is_name() { it.str } else { "" };
    text.split(['{', ',', '}']).filter(|it| !it.is_empty())
}

/// Whether a part of a pattern says where it begins: at a directory of the system, also with a sign for
/// some of its letters, above the directory that is searched, or beside a root.
fn is_path_of_pattern(part: &str, roots: &[String]) -> bool {
    let first = part.strip_prefix('/').map(|it| it.split('/').next().unwrap_or_default());
    // `/src/**` begins at the directory that is searched, for whoever reads it as `.gitignore` is read.
    let hides = |it: &str| {
        it.contains(['?', '[']) || it.contains('*') && it.contains(|it: char| it.is_alphanumeric())
    };
    looks_like_path(part)
        || matches!(part, ".." | "../" | "..\\")
        || first.is_some_and(|it| hides(it) && part.len() > it.len() + 1)
        || directories(roots).iter().any(|root| part.starts_with(root))
}

/// Whether a path stays inside on the disk too, where somebody has looked.
fn leads(facts: &Facts<'_>, text: &str) -> Result<(), String> {
    let Some(leads) = facts.leads.filter(|_| may_lead(text)) else { return Ok(()) };
    match leads.of(text) {
        Lead::Inside => Ok(()),
        Lead::Outside(link) => Err(format!("a link leads out of the roots: {link}")),
        // It was mended since, or there are more than are looked at.
        Lead::Unseen => Err("a path of which nobody has seen where it leads".to_owned()),
    }
}

/// Whether a URI has a scheme that may be of files: none of the web, and not `file` itself.
fn is_of_files(uri: &str) -> bool {
    scheme(uri).is_some_and(|it| !["http", "https"].iter().any(|web| web.eq_ignore_ascii_case(it)))
}

/// Whether a URI of another scheme, that no root bounds, stays below what it begins with. Servers make
/// paths of them: `docs://../../etc/passwd`, `files:///etc/passwd`.
fn stays(roots: &[String], uri: &str) -> Result<(), String> {
    let Some((scheme, rest)) = uri.split_once("://").filter(|_| is_of_files(uri)) else {
        return Ok(());
    };
    let mut path = rest.to_owned();
    for _ in 0..ENCODED_TIMES_MAX {
        let lower = path.to_ascii_lowercase();
        let plain = lower.replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
        path = plain.replace("%25", "%").replace("%c0%ae", ".").replace("%c0%af", "/");
    }
    let climbs = path.split(['/', '\\']).any(|it| it.trim_end_matches([';', ' ']) == "..");
    if climbs || path.contains(|it: char| it.is_control()) || path.contains("%00") {
        return Err("a URI that climbs".to_owned());
    }
    let paths = directories(roots);
    if paths.is_empty() {
        return Ok(());
    }
    let named = ["file", "fs", "dir", "path", "local"];
    let path = match rest.strip_prefix('/') {
        Some(_) => rest.to_owned(),
        None if named.iter().any(|it| scheme.to_ascii_lowercase().contains(it)) => {
            format!("/{rest}")
        }
        None => return Ok(()),
    };
    match looks_like_path(&path) {
        true => within(roots, &path),
        false => Ok(()),
    }
}

/// So many times a server may take the encoding off.
const ENCODED_TIMES_MAX: usize = 3;

/// The longest path of Linux.
const PATH_MAX: usize = 4096;

/// A parameter called `source` may as well hold the source of a program.
fn may_be_path(name: &str, text: &str) -> bool {
    let holds_code = || matches!(last_word(name).as_str(), "source" | "src" | "file" | "files");
    let is_long = text.len() > PATH_MAX || text.contains('\n');
    !is_long || !holds_code()
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
        "etc", "home", "root", "var", "usr", "proc", "sys", "dev", "tmp", "opt", "mnt", "boot",
        "run", "srv", "lib", "bin", "sbin", "media", "Users", "Volumes", "private", "Library",
        "System",
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
        _ if hides_a_climb(text) => true,
        [drive, b':', b'/' | b'\\', ..] => drive.is_ascii_alphabetic(),
        _ => {
            let scheme = text.get(..5).is_some_and(|it| it.eq_ignore_ascii_case("file:"));
            scheme
                || text.contains(":file:/")
                || text.starts_with("$HOME/")
                || text.starts_with("${HOME}")
                || text.contains("/../")
                || text.contains("\\..\\")
        }
    }
}

/// Whether a text with blanks may be a path: not what holds words for people, nor a line that names a
/// program.
fn may_have_blanks(it: &Argument<'_>) -> bool {
    it.why == Why::Nothing && !it.call.traits().runs
        || it.is_name() && it.call.arguments.is_object()
}

/// A path with blanks in it, or one that is `..` alone: as short as one is, and no sentence.
fn looks_like_path_with_blanks(text: &str) -> bool {
    let text = text.trim();
    if matches!(text, ".." | "..\\" | "../") {
        return true;
    }
    let is_sentence = [". ", ", ", "; ", ": ", "? ", "! "].iter().any(|it| text.contains(it))
        || text.ends_with(['.', '!', '?'])
        || text.contains(['\n', '\r', '\t'])
        || text.split(' ').count() > WORDS_OF_PATH_MAX;
    // What is before the first blank says where it is.
    !is_sentence && text.contains(' ') && {
        let head = text.split(' ').next().unwrap_or_default();
        looks_like_path(head) || looks_like_path(&text.replace(' ', "_"))
    }
}

/// So many words a file's name has, with what it is in.
const WORDS_OF_PATH_MAX: usize = 8;

/// `..` for whoever decodes, once or twice, or takes something away first.
fn hides_a_climb(text: &str) -> bool {
    let has_percent = text.contains('%') && !text.contains("://");
    let encoded = || {
        let lower = text.to_ascii_lowercase();
        ["%2e%2e", "..%2f", "..%5c", "%252e", "%c0%ae", ".%2e", "%2e.", "..%c0"]
            .iter()
            .any(|it| lower.contains(it))
    };
    has_percent && encoded()
        || text.contains("....//")
        || text.contains("/..;/")
        || text.starts_with("..;/")
}
