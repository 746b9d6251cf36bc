//! Finds what a text leads to: the targets of its images and links, in Markdown, HTML and CSS.
//!
//! It does not render. What any renderer might take for a target is one, also in a block of code: the
//! rules that ask find nothing in most of them. Renderers do not agree where an address ends, so one
//! place may have several.

use url::Url;

use self::plain::Plain;

mod html;
mod markdown;
mod plain;

/// Where an image or a link leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Where it begins.
    pub(super) at: usize,
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
pub(super) fn inert(text: &str, targets: &[Target]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for it in targets {
        shown.push_str(text.get(from..it.at).unwrap_or_default());
        shown.push_str(INERT);
        from = it.at;
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    shown
}

/// The targets in `text` that lead out of it and are of this kind, in order, one for each place.
pub(super) fn targets(text: &str, mut is_one: impl FnMut(&Target) -> bool) -> Vec<Target> {
    let mut found = Vec::new();
    for find in [markdown::find, html::find, css] {
        find(text, &mut found);
    }
    found.sort_by(|a, b| (a.at, !a.fetched, &a.url).cmp(&(b.at, !b.fetched, &b.url)));
    found.dedup();
    found.retain(|it| is_one(it));
    found.dedup_by_key(|it| it.at);
    found
}

/// `url(target)`, `@import "target"`, `image-set("target" 1x)`.
fn css(text: &str, found: &mut Vec<Target>) {
    const NAMES: [&[u8]; 2] = [b"url", b"image-set"];
    let bytes = text.as_bytes();
    let mut done = 0;
    for at in memchr::memchr_iter(b'(', bytes) {
        let before = bytes.get(at.saturating_sub(9)..at).unwrap_or_default();
        let is = |name: &&[u8]| {
            let from = before.len().checked_sub(name.len());
            from.and_then(|it| before.get(it..)).is_some_and(|it| it.eq_ignore_ascii_case(name))
        };
        if at >= done && NAMES.iter().any(is) {
            done = value(text, at + 1, b")", true, false, found);
        }
    }
    for at in memchr::memmem::find_iter(bytes, b"@import ") {
        value(text, at + 8, b";", true, false, found);
    }
}

/// Adds the target that is written at `start`, in quotes or up to white space or one of these. Returns
/// up to where nothing else can begin.
fn value(
    text: &str,
    start: usize,
    ends: &[u8],
    fetched: bool,
    attribute: bool,
    found: &mut Vec<Target>,
) -> usize {
    let start = start + blanks(text, start);
    let quote = text.as_bytes().get(start).copied().filter(|it| matches!(it, b'"' | b'\''));
    let start = start + usize::from(quote.is_some());
    let start = start + blanks(text, start);
    let rest = text.get(start..).unwrap_or_default();
    if !leads_out(rest, false) {
        return start;
    }
    let end = match quote {
        Some(quote) => memchr::memchr(quote, rest.as_bytes()),
        None => rest.bytes().position(|it| it.is_ascii_whitespace() || ends.contains(&it)),
    };
    let written = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    let url = Plain::of(written).collect();
    found.push(Target { at: start, fetched, attribute, url });
    // What is in quotes may be no value for who reads it as something else.
    start + written.bytes().take_while(|it| !it.is_ascii_whitespace()).count()
}

/// How much of white space is there.
fn blanks(text: &str, start: usize) -> usize {
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    rest.iter().take_while(|it| it.is_ascii_whitespace()).count()
}

/// Whether a target that begins here can be more than a path or a word.
fn leads_out(target: &str, is_escaped: bool) -> bool {
    const SCHEMES: [&str; 5] = ["http", "https", "javascript", "vbscript", "data"];
    let first = target.bytes().next().unwrap_or_default();
    if !(first.is_ascii_control() || b"hHjJvVdD&/\\".contains(&first)) {
        return false;
    }
    let (mut scheme, mut slashes) = (String::new(), 0);
    // Read no further than what it could be, or a text of nothing but beginnings would be read for each.
    let plain = Plain { rest: target, is_escaped };
    for it in plain.skip_while(|it| it.is_whitespace()) {
        match it {
            '/' | '\\' if scheme.is_empty() && slashes == 1 => return true,
            '/' | '\\' if scheme.is_empty() => slashes += 1,
            ':' => return SCHEMES.contains(&scheme.as_str()),
            it if it.is_ascii_alphabetic() && slashes == 0 => {
                scheme.push(it.to_ascii_lowercase());
                if !SCHEMES.iter().any(|known| known.starts_with(&scheme)) {
                    return false;
                }
            }
            _ => return false,
        }
    }
    false
}

impl Target {
    /// What it leads to in another place, as a URL.
    pub(super) fn remote(&self) -> Option<Url> {
        let url = self.url.trim();
        // A browser takes a backslash for a slash.
        let slashes = url.bytes().take(2).filter(|it| matches!(it, b'/' | b'\\')).count();
        let url = if slashes == 2 { Url::parse(&format!("https:{url}")) } else { Url::parse(url) };
        url.ok().filter(|it| matches!(it.scheme(), "http" | "https"))
    }
}

#[cfg(test)]
mod tests;
