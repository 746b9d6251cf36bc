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
        // What a tool says, and not the protocol: `data` and `message` are no output of programs.
        let frames = if is_rpc { None } else { own_frames(text, facts.roots) };
        if let Some(frames) = frames {
            let seen = detail_but_traces(&frames.shown, facts.roots);
            let shown = match seen {
                None if !frames.withheld => continue,
                None => instead(&frames.shown, facts.reference),
                Some(PATH) => without_paths(&frames.shown, facts.roots, facts.reference),
                Some(_) => instead("internal error", facts.reference),
            };
            let says = if frames.withheld { TRACE } else { seen.unwrap_or(TRACE) };
            out.add_fixable(At::Value(json), says, shown);
        } else if let Some(detail) = detail(text, facts.roots) {
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
    if has_trace(text) { Some(TRACE) } else { detail_but_traces(text, roots) }
}

const TRACE: &str = "a stack trace";

fn detail_but_traces(text: &str, roots: &[String]) -> Option<&'static str> {
    if has_connection(text) {
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

/// A trace of what the conversation is about, without the frames that are elsewhere.
struct Frames {
    shown: String,
    withheld: bool,
}

/// What is left of a trace in which programs of the roots have frames: that of tests, say, which
/// whoever asked for them wants to read. Nothing, where there are no roots, or none of its frames is
/// in them: then it is the server's own.
fn own_frames(text: &str, roots: &[String]) -> Option<Frames> {
    if roots.is_empty() || !has_trace(text) {
        return None;
    }
    let (mut shown, mut withheld, mut has_own) = (String::with_capacity(text.len()), false, false);
    let mut hidden: Option<usize> = None;
    let mut is_source = false;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        // Below a frame of Python stands its line of the program.
        if hidden.is_some_and(|it| indent > it && !is_place(line)) {
            continue;
        }
        hidden = None;
        if is_place(line) {
            if frame_file(line).is_some_and(|it| is_own(it, roots)) {
                has_own = true;
            } else {
                hidden = Some(indent);
                withheld = true;
                shown.push_str(line.get(..indent).unwrap_or_default());
                shown.push_str("[frame withheld]\n");
                continue;
            }
            is_source = true;
            shown.push_str(line);
            continue;
        }
        // What a variable held, as verbose traces tell it. The first line below a frame is the program.
        if !std::mem::take(&mut is_source) && is_held(line) {
            withheld = true;
            // What goes on below it, further in, is of the same value.
            hidden = Some(indent);
            shown.push_str(line.get(..indent).unwrap_or_default());
            shown.push_str("[value withheld]\n");
            continue;
        }
        shown.push_str(line);
    }
    has_own.then_some(Frames { shown, withheld })
}

/// Whether a line is a name and what it stands for: `dsn = 'host=…'`.
fn is_held(line: &str) -> bool {
    let line = line.trim_start_matches(|it: char| it.is_whitespace() || "|>│└├─".contains(it));
    let is_name = |it: char| it.is_alphanumeric() || "_.[]'\"$*".contains(it);
    let end = line.find(|it| !is_name(it)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let value = rest.strip_prefix('=');
    !name.is_empty() && value.is_some_and(|it| !it.starts_with('=') && !it.trim().is_empty())
}

/// Whether a line says where in a program something happened.
fn is_place(line: &str) -> bool {
    is_frame(line.trim_end()) || line.contains("panicked at ")
}

/// The file that a frame names with the directory that it is in. Those of Java and of .NET without
/// symbols name none.
fn frame_file(line: &str) -> Option<&str> {
    let bare = line.trim();
    if let Some((_, place)) = bare.split_once("panicked at ") {
        return without_position(place.trim_end_matches(':'));
    }
    if let Some(file) = bare.strip_prefix("File \"") {
        return file.split_once("\", line ").map(|(file, _)| file);
    }
    if let Some(call) = bare.strip_prefix("at ") {
        let call = call.strip_prefix("async ").unwrap_or(call);
        let place = call.rsplit_once('(').map_or(call, |(_, it)| it.trim_end_matches(')'));
        let file = without_position(place)?;
        return Some(file).filter(|it| !it.ends_with(".java") && !it.ends_with(".kt"));
    }
    let (place, _) = bare.split_once(" +0x").or_else(|| bare.split_once(":in "))?;
    without_position(place)
}

/// `a.js:10:5` without what follows the name.
fn without_position(place: &str) -> Option<&str> {
    let is_digit = |it: char| it.is_ascii_digit() || it == ':';
    let file = place.trim_end_matches(is_digit);
    (file.len() < place.len()).then_some(file)
}

/// Whether a file is of what the conversation is about: in a root, or relative, as programs name
/// what they were started on. What is installed is of whoever installed it.
fn is_own(file: &str, roots: &[String]) -> bool {
    const INSTALLED: [&str; 8] = [
        "site-packages",
        "dist-packages",
        "node_modules",
        "node:",
        "<frozen",
        ".cargo/registry",
        "/rustc/",
        "importlib",
    ];
    let file = file.get(scheme(file, 0)..).unwrap_or(file);
    // No name of a file: what else is written there, or an address.
    if file.contains("://") || !file.starts_with('/') && file.contains(char::is_whitespace) {
        return false;
    }
    if file.is_empty() || file.contains("..") || INSTALLED.iter().any(|it| file.contains(it)) {
        return false;
    }
    let is_whole = file.starts_with(['/', '\\', '~', '<'])
        || file.get(1..).is_some_and(|it| it.starts_with(':'));
    !is_whole || root_end(file, 0, roots).is_some()
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
    let is_dsn = text.contains("dbname=") && (text.contains("host=") || text.contains("user="));
    is_dsn || text.contains("jdbc:") || text.contains("Password=") && text.contains(';')
}

/// The most places of one kind that are looked at in one text. An error has a few; a text with
/// more than these is no error message, and is caught by its first ones.
const PLACES_MAX: usize = 256;

fn has_environment(text: &str) -> bool {
    const KNOWN: [&str; 10] =
        ["PATH", "HOME", "USER", "SHELL", "PWD", "LANG", "HOSTNAME", "LOGNAME", "TERM", "TMPDIR"];
    // As Python and Node print all of it.
    if ["environ({", "environ(b{", "process.env = {", "os.environ: {"]
        .iter()
        .any(|it| text.contains(it))
    {
        return true;
    }
    let in_table =
        |name: &&&str| ["'", "\""].iter().any(|it| text.contains(&format!("{it}{name}{it}:")));
    if KNOWN.iter().filter(in_table).count() >= 3 {
        return true;
    }
    let names = text.match_indices('=').map(|(at, _)| {
        let before = text.get(..at).unwrap_or_default();
        before.trim_end_matches(|it: char| it.is_ascii_uppercase()).len()..at
    });
    let known = |it: &Range<usize>| text.get(it.clone()).is_some_and(|name| KNOWN.contains(&name));
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
        if let Some(inside) = root_end(text, start + scheme(text, start), roots) {
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
        "/home/",
        "/Users/",
        "/root/",
        "/var/",
        "/usr/",
        "/opt/",
        "/etc/",
        "/tmp/",
        "/srv/",
        "/app/",
        "/mnt/",
        "/proc/",
        "/run/",
        "/lib/",
        "/nix/",
        "/private/",
        "/sys/",
    ];
    let bytes = text.as_bytes();
    let byte_before = |at: usize| at.checked_sub(1).and_then(|it| bytes.get(it));
    // A separator after what names are made of is in the middle of a path, not at its start.
    let is_free = |at: usize| {
        byte_before(at).is_none_or(|it| !it.is_ascii_alphanumeric() && !b"/.-_~+@%#".contains(it))
    };
    let rest = text.get(at..)?;
    // `file:///etc/x`, and `file:/etc/x` as Java writes it.
    if let Some(start) = at.checked_sub(FILE.len()).filter(|it| scheme(text, *it) > 0) {
        return Some(start);
    }
    if rest.starts_with('\\') {
        let letter = at.checked_sub(2)?;
        let is_drive = text.get(letter..at)?.ends_with(':')
            && bytes.get(letter).is_some_and(u8::is_ascii_alphabetic);
        return Some(letter).filter(|it| is_drive && is_free(*it));
    }
    (is_free(at) && DIRECTORIES.iter().any(|it| rest.starts_with(it))).then_some(at)
}

const FILE: &str = "file:";

/// How long the scheme of a file's address is that begins at `at`, with the slashes before its path.
fn scheme(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    let is_file = |it: &[u8]| it.eq_ignore_ascii_case(FILE.as_bytes());
    let is_word = at.checked_sub(1).and_then(|it| text.as_bytes().get(it));
    if !rest.get(..FILE.len()).is_some_and(is_file)
        || is_word.is_some_and(u8::is_ascii_alphanumeric)
    {
        return 0;
    }
    let path = rest.get(FILE.len()..).unwrap_or_default();
    match path {
        [b'/', b'/', _, ..] => FILE.len() + 2,
        [b'/', _, ..] => FILE.len(),
        _ => 0,
    }
}

/// Where the longest root ends that is named at `at`.
fn root_end(text: &str, at: usize, roots: &[String]) -> Option<usize> {
    let rest = text.get(at..)?;
    let is_named =
        |root: &&str| rest.strip_prefix(root).is_some_and(|it| it.is_empty() || !is_word_start(it));
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
    fn a_trace_of_the_project_is_read_without_the_frames_of_others() {
        let roots = ["/home/a/notes".to_owned()];
        let trace = "FAIL\nTraceback (most recent call last):\n  File \"/usr/lib/python3/unittest/case.py\", line 57, in run\n    self.call()\n    ~~~~~~~~~^^\n  File \"tests/test_a.py\", line 3, in test\n    assert f() == 1\n  File \"/home/a/notes/src/a.py\", line 9, in f\n    return 1 / 0\nZeroDivisionError\n";
        let frames = own_frames(trace, &roots).unwrap();
        assert_eq!(
            frames.shown,
            "FAIL\nTraceback (most recent call last):\n  [frame withheld]\n  File \"tests/test_a.py\", line 3, in test\n    assert f() == 1\n  File \"/home/a/notes/src/a.py\", line 9, in f\n    return 1 / 0\nZeroDivisionError\n"
        );
        assert!(frames.withheld);
        for own in [
            "Error: x\n    at f (src/a.test.js:10:5)\n    at g (/home/a/notes/src/b.js:1:2)",
            "thread 'it' (7) panicked at src/main.rs:4:5:\nboom",
            "panic: x\n\ngoroutine 1 [running]:\nmain.f()\n\t/home/a/notes/main.go:12 +0x1d",
        ] {
            let frames = own_frames(own, &roots).unwrap_or_else(|| panic!("{own}"));
            assert_eq!((&*frames.shown, frames.withheld), (own, false));
            assert!(own_frames(own, &[]).is_none(), "{own}");
        }
        let script = "Error: x\n    at f (test/a.js:1:2)\n    at g (file:///srv/y.js:1:2)\n    at async h (lib/b.js:1:2)\n";
        let frames = own_frames(script, &roots).unwrap();
        assert_eq!(
            frames.shown,
            "Error: x\n    at f (test/a.js:1:2)\n    [frame withheld]\n    at async h (lib/b.js:1:2)\n"
        );
        let verbose = "Traceback (most recent call last):\n  File \"x.py\", line 3, in f\n    a = g()\n    self = <Server at 0x7f>\n    dsn = {\n        'host': 'db01'}\nKeyError\n";
        let frames = own_frames(verbose, &roots).unwrap();
        assert_eq!(
            frames.shown,
            "Traceback (most recent call last):\n  File \"x.py\", line 3, in f\n    a = g()\n    [value withheld]\n    [value withheld]\nKeyError\n"
        );
        assert!(frames.withheld);
        for other in [
            "Traceback (most recent call last):\n  File \"/srv/server.py\", line 1, in f",
            "Traceback (most recent call last):\n  File \"lib/site-packages/x.py\", line 1, in f",
            "Error: x\n    at f (node_modules/x/y.js:10:5)\n    at node:internal/a:1:2",
            "Error: x\n    at f (../server/y.js:10:5)",
            "Error: x\n    at f (file:///srv/db.js:10:5)\n    at async file:///srv/index.js:3:1",
            "Error: x\n    at async f (webpack-internal:///./src/x.js:1:2)",
            "java.lang.Error: x\n\tat com.example.App.main(App.java:12)",
            "thread 'main' panicked at /root/.cargo/registry/src/x/lib.rs:4:5:\nboom",
            "File \"/home/a/notes_of_b/a.py\", line 3, in f",
        ] {
            assert!(own_frames(other, &roots).is_none(), "{other}");
        }
    }

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
            (
                "cannot open file:///etc/stockade/x.conf",
                "cannot open [path withheld] (reference r)",
            ),
            ("at FILE:/data/x; gone", "at [path withheld]; gone (reference r)"),
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
        for text in [
            "see https://x.org/home/b",
            "a\\b",
            "/home/a/notes/x",
            "file:///home/a/notes/x",
            "profile://x",
            "x:\\y".get(1..).unwrap(),
        ] {
            assert_eq!(detail(text, &roots), None, "{text}");
        }
        for text in [
            "KeyError: environ({'HOME': '/root', 'DB_HOST': 'db01.internal'})",
            "{\"PATH\": \"x\", \"HOME\": \"y\", \"LANG\": \"C\"}",
        ] {
            assert_eq!(detail(text, &roots), Some("environment variables"), "{text}");
        }
        assert_eq!(detail("dsn 'host=db01 dbname=prod'", &roots), Some("a connection string"));
        let many = "/etc/x ".repeat(PLACES_MAX + 1);
        assert_eq!(without_paths(&many, &roots, ""), "internal error");
    }
}
