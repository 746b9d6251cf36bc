#![doc = include_str!("error_detail.md")]

use std::ops::Range;

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::json::Json;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::error_detail
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if subject.channel == Channel::Error {
            look(subject.json, facts, out);
        } else if subject.channel == Channel::Task {
            // A task that failed, or the tool that it was for.
            for task in subject.json.all().filter(|it| it.is_object()) {
                if task.get("status").and_then(Json::str) == Some("failed") {
                    let parts = ["error", "statusMessage"].into_iter();
                    parts.filter_map(|it| task.get(it)).for_each(|it| look(it, facts, out));
                }
                if task.get("isError").and_then(Json::bool) == Some(true) {
                    let parts = ["content", "structuredContent"].into_iter();
                    parts.filter_map(|it| task.get(it)).for_each(|it| look(it, facts, out));
                }
            }
        }
    }
}

fn look(error: Json<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let is_rpc = error.get("code").is_some();
        let data = error.get("data").filter(|_| is_rpc);
        let shown = |it: Json<'_>| data.is_none_or(|data| !data.contains(it));
        for json in error.all().filter(|it| shown(*it)) {
            let Some(text) = json.str() else { continue };
            if let Some(detail) = detail(text, facts.roots) {
                let shown = match detail {
                    PATH => without_paths(text, facts.roots, facts.reference),
                    _ => instead("internal error", facts.reference),
                };
                out.add_fixable(At::Value(json), detail, shown);
            }
        }
        if let Some(data) = data {
            let texts = data.all().flat_map(|it| [it.name(), it.str()]).flatten();
            if let Some(detail) = texts.into_iter().find_map(|it| detail(it, facts.roots)) {
                out.add_removable(At::Value(data), detail);
            }
        }
    }

fn instead(what: &str, reference: &str) -> String {
    if reference.is_empty() {
        return what.to_owned();
    }
    format!("{what} (reference {reference})")
}

/// An error that names a path of the host still says what went wrong, which whoever called has to
/// know: "no such file", "outside allowed directories".
fn without_paths(text: &str, roots: &[String], reference: &str) -> String {
    let mut paths = host_paths(text, roots);
    let mut shown = String::with_capacity(text.len());
    let mut rest = 0;
    for path in paths.by_ref().take(PLACES_MAX) {
        shown.push_str(text.get(rest..path.start).unwrap_or_default());
        shown.push_str("[path withheld]");
        rest = path.end;
    }
    if paths.next().is_some() {
        return instead("internal error", reference);
    }
    shown.push_str(text.get(rest..).unwrap_or_default());
    instead(&shown, reference)
}

/// What can be taken out of a text that is worth reading without it.
const PATH: &str = "a path of the host";

/// What a text tells that it should not.
fn detail(text: &str, roots: &[String]) -> Option<&'static str> {
    if has_trace(text) {
        Some("a stack trace")
    } else if has_connection(text) {
        Some("a connection string")
    } else if has_environment(text) {
        Some("environment variables")
    } else if host_paths(text, roots).next().is_some() {
        Some(PATH)
    } else {
        None
    }
}

/// What only traces have, whatever is around it.
const TRACE_MARKS: [&str; 8] = [
    "Traceback (most recent call last)",
    "\tat java.",
    " [running]:",
    "panicked at ",
    "stack backtrace:",
    "\nCaused by: ",
    "Stack trace:\n#0",
    "--- End of stack trace",
];

fn has_trace(text: &str) -> bool {
    TRACE_MARKS.iter().any(|it| text.contains(it)) || text.lines().any(is_frame)
}

/// One line of a trace: Python, JavaScript, Java, .NET, Go, Ruby.
fn is_frame(line: &str) -> bool {
    let bare = line.trim_start();
    if let Some(file) = bare.strip_prefix("File \"") {
        return file.contains("\", line ");
    }
    if let Some(call) = bare.strip_prefix("at ").filter(|_| bare.len() < line.len()) {
        let place = call.strip_suffix(')').unwrap_or(call);
        return place.contains(":line ")
            || ends_in_position(place)
            || call.contains("(Native Method)");
    }
    // `main.go:12 +0x1d`, `app.rb:3:in 'f'`
    line.contains(".go:") && line.contains(" +0x") || line.contains(".rb:") && line.contains(":in ")
}

/// `server.js:10:5`, `App.java:12`
fn ends_in_position(place: &str) -> bool {
    place.rsplit_once(':').is_some_and(|(_, line)| {
        !line.is_empty() && line.len() < 9 && line.bytes().all(|it| it.is_ascii_digit())
    })
}

fn has_connection(text: &str) -> bool {
    let has_password = |after: &str| {
        let end = after.find(['/', ' ', '"', '\'', '\n', '?']);
        let authority = after.get(..end.unwrap_or(after.len())).unwrap_or_default();
        authority.split_once('@').is_some_and(|(user, _)| user.contains(':'))
    };
    let databases = ["postgres", "postgresql", "mysql", "mariadb", "mongodb", "redis", "amqp"];
    for (before, after) in text.match_indices("://").take(PLACES_MAX).map(|(at, it)| {
        (text.get(..at).unwrap_or_default(), text.get(at + it.len()..).unwrap_or_default())
    }) {
        let is_database = databases.iter().any(|it| before.ends_with(it));
        if is_database || has_password(after) {
            return true;
        }
    }
    text.contains("jdbc:") || text.contains("Password=") && text.contains(';')
}

/// The most places of one kind that are looked at in one text. An error has a few; a text with
/// more than these is no error message, and is caught by its first ones.
const PLACES_MAX: usize = 256;

fn has_environment(text: &str) -> bool {
    const KNOWN: [&str; 10] =
        ["PATH", "HOME", "USER", "SHELL", "PWD", "LANG", "HOSTNAME", "LOGNAME", "TERM", "TMPDIR"];
    let names = text.match_indices('=').map(|(at, _)| {
        let before = text.get(..at).unwrap_or_default();
        before.trim_end_matches(|it: char| it.is_ascii_uppercase()).len()..at
    });
    let known = |it: &Range<usize>| {
        text.get(it.clone()).is_some_and(|name| KNOWN.contains(&name))
    };
    names.filter(known).take(3).count() == 3
}

/// Where a text names paths of the host, outside the roots of the conversation.
fn host_paths<'t>(text: &'t str, roots: &'t [String]) -> impl Iterator<Item = Range<usize>> + 't {
    let bytes = text.as_bytes();
    let starts = memchr::memchr2_iter(b'/', b'\\', bytes);
    let mut end = 0;
    starts.filter_map(move |at| {
        let start = path_start(text, at).filter(|start| *start >= end)?;
        // What looks like the start of a path in the middle of a root is none.
        if let Some(inside) = root_end(text, start, roots) {
            end = inside;
            return None;
        }
        end = path_end(text, start);
        Some(start..end)
    })
}

/// Where the path of the host starts whose first separator is at `at`, if it is one.
fn path_start(text: &str, at: usize) -> Option<usize> {
    const DIRECTORIES: [&str; 17] = [
        "/home/", "/Users/", "/root/", "/var/", "/usr/", "/opt/", "/etc/", "/tmp/", "/srv/", "/app/",
        "/mnt/", "/proc/", "/run/", "/lib/", "/nix/", "/private/", "/sys/",
    ];
    let bytes = text.as_bytes();
    let byte_before = |at: usize| at.checked_sub(1).and_then(|it| bytes.get(it));
    // A separator after what names are made of is in the middle of a path, not at its start.
    let is_free = |at: usize| {
        byte_before(at)
            .is_none_or(|it| !it.is_ascii_alphanumeric() && !b"/.-_~+@%#".contains(it))
    };
    let rest = text.get(at..)?;
    if rest.starts_with('\\') {
        let letter = at.checked_sub(2)?;
        let is_drive = text.get(letter..at)?.ends_with(':')
            && bytes.get(letter).is_some_and(u8::is_ascii_alphabetic);
        return Some(letter).filter(|it| is_drive && is_free(*it));
    }
    (is_free(at) && DIRECTORIES.iter().any(|it| rest.starts_with(it))).then_some(at)
}

/// Where the longest root ends that is named at `at`.
fn root_end(text: &str, at: usize, roots: &[String]) -> Option<usize> {
    let rest = text.get(at..)?;
    let is_named = |root: &&str| {
        rest.strip_prefix(root).is_some_and(|it| it.is_empty() || !is_word_start(it))
    };
    let roots = roots.iter().map(|it| it.strip_prefix("file://").unwrap_or(it));
    roots.filter(is_named).map(|it| at + it.len()).max()
}

/// Where a path ends: at the quote that it began with, and else before what a path seldom has.
fn path_end(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let before = text.get(..start).and_then(|it| it.chars().next_back());
    let quoted = before.filter(|it| "'\"`".contains(*it)).and_then(|it| rest.find([it, '\n']));
    let plain = || {
        let ends = |it: char| it.is_whitespace() || "'\"`,;()[]{}<>|".contains(it);
        let path = rest.get(..rest.find(ends).unwrap_or(rest.len())).unwrap_or_default();
        path.trim_end_matches(['.', ':', '!', '?']).len()
    };
    start + quoted.unwrap_or_else(plain)
}

fn is_word_start(text: &str) -> bool {
    text.starts_with(|it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_still_says_what_went_wrong() {
        let roots = ["/home/a/notes".to_owned()];
        for (text, shown) in [
            ("open /home/b/x: denied", "open [path withheld]: denied (reference r)"),
            (
                "ENOENT: no such file, open '/home/b/my notes/x.txt'",
                "ENOENT: no such file, open '[path withheld]' (reference r)",
            ),
            (
                "outside: /etc/hostname not in /home/a/notes, /tmp/b.",
                "outside: [path withheld] not in /home/a/notes, [path withheld]. (reference r)",
            ),
            ("no C:\\Users\\b\\x (gone)", "no [path withheld] (gone) (reference r)"),
        ] {
            assert_eq!(detail(text, &roots), Some(PATH), "{text}");
            assert_eq!(without_paths(text, &roots, "r"), shown);
            assert_eq!(detail(shown, &roots), None, "{shown}");
        }
        for root in ["/tmp/a_/root", "/tmp/é/root", "/home/a b (c)/tmp"] {
            let text = format!("no such file: {root}/x_/etc/y");
            assert_eq!(detail(&text, &[root.to_owned()]), None, "{root}");
            assert_eq!(detail(&text, &[]), Some(PATH), "{root}");
        }
        assert_eq!(detail("错误：/etc/x", &roots), Some(PATH));
        for text in ["see https://x.org/home/b", "a\\b", "/home/a/notes/x", "x:\\y".get(1..).unwrap()] {
            assert_eq!(detail(text, &roots), None, "{text}");
        }
        let many = "/etc/x ".repeat(PLACES_MAX + 1);
        assert_eq!(without_paths(&many, &roots, ""), "internal error");
    }
}
