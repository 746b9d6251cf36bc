//! Finds what a text leads to: the targets of its images and links, in Markdown, HTML and CSS.
//!
//! It does not render. What any renderer might take for a target is one, also in a block of code: the
//! rules that ask find nothing in most of them.

use std::ops::Range;

use url::Url;

/// Where an image or a link leads to.
#[derive(Debug)]
pub(super) struct Target {
    /// Where it is written.
    pub(super) at: Range<usize>,
    /// Whether it is fetched without anybody asking for it.
    pub(super) fetched: bool,
    /// Whether it is an attribute in HTML.
    pub(super) attribute: bool,
    /// The target, without the entities and the white space that a renderer leaves out.
    pub(super) url: String,
}

/// What is put before a target: no program knows this scheme.
pub(super) const INERT: &str = "unsafe:";

/// `text` in which these targets lead nowhere.
pub(super) fn inert<'t>(text: &str, targets: impl Iterator<Item = &'t Target>) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for it in targets {
        shown.push_str(text.get(from..it.at.start).unwrap_or_default());
        shown.push_str(INERT);
        from = it.at.start;
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    shown
}

/// The targets in `text` that lead out of it, in order.
pub(super) fn targets(text: &str) -> Vec<Target> {
    let mut found = Vec::new();
    for find in [markdown, html, css] {
        let mut some = Vec::new();
        find(text, &mut some);
        found.append(&mut some);
    }
    found.sort_by_key(|it| (it.at.start, !it.fetched));
    found.dedup_by_key(|it| it.at.start);
    found
}

/// `[a](target)`, `![a](target)`, `[a]: target`, `<target>`.
fn markdown(text: &str, found: &mut Vec<Target>) {
    /// Brackets within each other.
    const DEPTH_MAX: usize = 32;
    let bytes = text.as_bytes();
    let has_image = memchr::memmem::find(bytes, b"![").is_some();
    let mut open: Vec<(bool, usize)> = Vec::new();
    for at in memchr::memchr3_iter(b'[', b']', b'<', bytes) {
        match bytes.get(at) {
            Some(b'[') => {
                let is_image = at.checked_sub(1).and_then(|it| bytes.get(it)) == Some(&b'!');
                if open.len() < DEPTH_MAX {
                    open.push((is_image, at));
                }
            }
            Some(b']') => {
                let Some((is_image, start)) = open.pop() else { continue };
                match bytes.get(at + 1) {
                    Some(b'(') => add(text, at + 2, is_image, false, found),
                    // Which of the images and links uses it is not asked.
                    Some(b':') if begins_line(bytes, start) => {
                        add(text, at + 2, has_image, false, found);
                    }
                    _ => (),
                }
            }
            _ => add(text, at, false, false, found),
        }
    }
}

fn begins_line(bytes: &[u8], at: usize) -> bool {
    let before = bytes.get(..at).unwrap_or_default();
    let spaces = before.iter().rev().take(4).take_while(|it| matches!(it, b' ' | b'>')).count();
    before.get(..before.len() - spaces).unwrap_or_default().last().is_none_or(|it| *it == b'\n')
}

/// Attributes of tags.
fn html(text: &str, found: &mut Vec<Target>) {
    const NAMES: [&str; 11] = [
        "src",
        "srcset",
        "imagesrcset",
        "href",
        "poster",
        "background",
        "data",
        "action",
        "formaction",
        "ping",
        "content",
    ];
    let bytes = text.as_bytes();
    let mut tag = None;
    let mut done = 0;
    for at in memchr::memchr3_iter(b'<', b'>', b'=', bytes) {
        match bytes.get(at) {
            Some(b'<') => {
                let rest = bytes.get(at + 1..).unwrap_or_default();
                let length = rest.iter().take(12).take_while(|it| it.is_ascii_alphanumeric());
                let name = rest.get(..length.count()).unwrap_or_default();
                tag = Some(name).filter(|it| !it.is_empty());
            }
            Some(b'>') => tag = None,
            _ => {
                let Some(tag) = tag else { continue };
                let before = bytes.get(at.saturating_sub(16)..at).unwrap_or_default();
                let before = before.trim_ascii_end();
                let letters = before.iter().rev().take_while(|it| it.is_ascii_alphabetic());
                let name = before.get(before.len() - letters.count()..).unwrap_or_default();
                if !NAMES.iter().any(|it| it.as_bytes().eq_ignore_ascii_case(name)) {
                    continue;
                }
                let clicked = [&b"a"[..], b"area", b"form", b"button"];
                let fetched = !clicked.iter().any(|it| it.eq_ignore_ascii_case(tag));
                if name.len() >= 6 && name.to_ascii_lowercase().ends_with(b"srcset") {
                    // What is in one is none of its own: a text of nothing else would be read for each.
                    if at >= done {
                        done = candidates(text, at + 1, fetched, found);
                    }
                    continue;
                }
                let start = if name.eq_ignore_ascii_case(b"content") {
                    // `<meta http-equiv="refresh" content="0; url=target">`
                    let rest = bytes.get(at..).unwrap_or_default();
                    let rest = rest.get(..32).unwrap_or(rest).to_ascii_lowercase();
                    let Some(url) = memchr::memmem::find(&rest, b"url=") else { continue };
                    at + url + 4
                } else {
                    at + 1
                };
                add(text, start, fetched, true, found);
            }
        }
    }
}

/// The pictures of a `srcset`, of which a renderer takes the one that fits: each an address and, behind
/// a space, a size. Returns where it ends.
fn candidates(text: &str, start: usize, fetched: bool, found: &mut Vec<Target>) -> usize {
    /// No more of it is looked at.
    const BYTES_MAX: usize = 16 * 1024;
    let rest = text.get(start..).unwrap_or_default();
    let inside = rest.get(..rest.floor_char_boundary(BYTES_MAX)).unwrap_or_default();
    let spaces = inside.len() - inside.trim_start().len();
    let inside = inside.trim_start();
    let (value, before) = match inside.strip_prefix(['"', '\'']) {
        Some(value) => {
            let quote = inside.chars().next().unwrap_or_default();
            (value.split(quote).next().unwrap_or_default(), spaces + 1)
        }
        None => {
            let is_end = |it: char| it.is_whitespace() || it == '>';
            (inside.split(is_end).next().unwrap_or_default(), spaces)
        }
    };
    let start = start + before;
    let mut at = 0;
    while let Some(rest) = value.get(at..) {
        let is_between = |it: char| it.is_whitespace() || it == ',';
        let trimmed = rest.trim_start_matches(is_between);
        if trimmed.is_empty() {
            break;
        }
        at += rest.len() - trimmed.len();
        let written = trimmed.split(char::is_whitespace).next().unwrap_or_default();
        let address = written.trim_end_matches(',');
        if may_lead_out(address) {
            let from = start + at;
            let url = plain(address);
            found.push(Target { at: from..from + address.len(), fetched, attribute: true, url });
        }
        at += written.len();
        // Its size, unless it ended with the comma already.
        if address.len() == written.len() {
            let rest = value.get(at..).unwrap_or_default();
            at += rest.find(',').unwrap_or(rest.len());
        }
    }
    start + value.len()
}

/// `url(target)`, `@import "target"`.
fn css(text: &str, found: &mut Vec<Target>) {
    let bytes = text.as_bytes();
    for at in memchr::memchr_iter(b'(', bytes) {
        let name = at.checked_sub(3).and_then(|it| bytes.get(it..at));
        if name.is_some_and(|it| it.eq_ignore_ascii_case(b"url")) {
            add(text, at + 1, true, false, found);
        }
    }
    for at in memchr::memmem::find_iter(bytes, b"@import ") {
        add(text, at + 8, true, false, found);
    }
}

/// Adds the target that is written at `start`, if it is one that leads out.
fn add(text: &str, start: usize, fetched: bool, attribute: bool, found: &mut Vec<Target>) {
    /// No more of a target is looked at.
    const BYTES_MAX: usize = 4096;
    /// So much may stand before it.
    const SKIPPED_MAX: usize = 8;
    // No target is in another: a text of nothing but their beginnings is read once.
    if found.last().is_some_and(|it| it.at.end > start) {
        return;
    }
    let rest = text.get(start..).unwrap_or_default();
    // No further than what is looked for, or a text of nothing else would be read once for each.
    let is_before = |it: &u8| it.is_ascii_whitespace() || b"<\"'".contains(it);
    let skipped = rest.bytes().take(SKIPPED_MAX + 1).take_while(is_before).count();
    let inside = rest.get(skipped..).unwrap_or_default();
    if skipped > SKIPPED_MAX || !may_lead_out(inside) {
        return;
    }
    let quoted =
        rest.get(..skipped).and_then(|it| it.chars().rev().find(|it| "\"'<".contains(*it)));
    let is_end = |it: char| match quoted {
        Some('<') => it == '>',
        Some(quote) => it == quote,
        None => it.is_whitespace() || matches!(it, ')' | '>' | '"' | '\''),
    };
    let inside = inside.get(..inside.floor_char_boundary(BYTES_MAX)).unwrap_or_default();
    let written = inside.get(..inside.find(is_end).unwrap_or(inside.len())).unwrap_or_default();
    let start = start + skipped;
    let url = plain(written);
    found.push(Target { at: start..start + written.len(), fetched, attribute, url });
}

/// Whether it can be more than a path or a word.
fn may_lead_out(target: &str) -> bool {
    let first = target.bytes().next().unwrap_or_default();
    if !(first.is_ascii_control() || b"hHjJvVdD&/\\".contains(&first)) {
        return false;
    }
    let begin = target.get(..target.floor_char_boundary(48)).unwrap_or_default();
    let begin = plain(begin);
    let is_scheme = |it: &str| {
        let is = |name: &str| it.eq_ignore_ascii_case(name);
        ["http", "https", "javascript", "vbscript", "data"].into_iter().any(is)
    };
    begin.starts_with("//")
        || begin.starts_with("\\\\")
        || begin.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// A target as a renderer reads it.
fn plain(written: &str) -> String {
    let mut plain = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(it) = rest.chars().next() {
        let after = rest.get(it.len_utf8()..).unwrap_or_default();
        match entity(rest) {
            Some((known, length)) => {
                if !known.is_control() {
                    plain.push(known);
                }
                rest = rest.get(length..).unwrap_or_default();
            }
            None => {
                if !it.is_control() {
                    plain.push(it);
                }
                rest = after;
            }
        }
    }
    plain
}

/// The character that an entity at the front stands for, and its length.
fn entity(text: &str) -> Option<(char, usize)> {
    let inside = text.strip_prefix('&')?;
    for (name, known) in
        [("colon;", ':'), ("amp;", '&'), ("Tab;", '\t'), ("NewLine;", '\n'), ("sol;", '/')]
    {
        if inside.starts_with(name) {
            return Some((known, name.len() + 1));
        }
    }
    let number = inside.strip_prefix('#')?;
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let count = digits.chars().take(8).take_while(|it| it.is_digit(radix)).count();
    let code = u32::from_str_radix(digits.get(..count)?, radix).ok()?;
    let end = text.len() - digits.len() + count;
    let semicolon = usize::from(text.get(end..)?.starts_with(';'));
    Some((char::from_u32(code)?, end + semicolon))
}

impl Target {
    /// What it leads to in another place, as a URL.
    pub(super) fn remote(&self) -> Option<Url> {
        let url = self.url.trim();
        let url = match url.strip_prefix("//").or_else(|| url.strip_prefix("\\\\")) {
            Some(rest) => Url::parse(&format!("https://{rest}")),
            None => Url::parse(url),
        };
        url.ok().filter(|it| matches!(it.scheme(), "http" | "https"))
    }
}
