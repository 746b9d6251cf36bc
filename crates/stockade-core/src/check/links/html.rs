//! Attributes of tags.

use super::plain::Plain;
use super::{Target, leads_out, value};

const NAMES: [&str; 14] = [
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
    "values",
    "to",
    "from",
];

/// What is fetched, whichever tag has it.
const FETCHED: [&str; 5] = ["src", "srcset", "imagesrcset", "poster", "background"];

/// Where a reader of HTML may be. A text is not cut into tags: it is not known where a renderer begins to
/// read, so all that could be true is.
#[derive(Clone, Copy, Default)]
struct At {
    /// Between the attributes of a tag.
    tag: bool,
    /// In a value with these quotation marks.
    double: bool,
    single: bool,
    /// Behind the beginning of a tag and before the next sign of one, whatever is quoted.
    bare: bool,
}

impl At {
    fn is_nowhere(self) -> bool {
        !(self.tag || self.double || self.single || self.bare)
    }

    fn may_be_named(self) -> bool {
        self.tag || self.bare
    }

    fn enters(&mut self) {
        self.tag = true;
        self.bare = true;
    }

    fn sees(&mut self, it: u8, is_value: bool) {
        match it {
            b'>' => (self.tag, self.bare) = (false, false),
            b'"' => {
                let closes = self.double;
                self.double = self.tag && is_value;
                self.tag = self.tag && !is_value || closes;
            }
            b'\'' => {
                let closes = self.single;
                self.single = self.tag && is_value;
                self.tag = self.tag && !is_value || closes;
            }
            _ => {}
        }
    }
}

pub(super) fn find(text: &str, found: &mut Vec<Target>) {
    let bytes = text.as_bytes();
    // In a tag whose addresses somebody clicks on, and in any other.
    let (mut clicked, mut other) = (At::default(), At::default());
    let (mut at, mut done, mut listed) = (0, 0, 0);
    while let Some(next) = next(bytes, at, clicked.is_nowhere() && other.is_nowhere()) {
        let byte = bytes.get(next).copied().unwrap_or_default();
        match byte {
            b'<' => {
                (clicked.bare, other.bare) = (false, false);
                match tag(bytes, next + 1) {
                    b"" => {}
                    name if is_clicked(name) => clicked.enters(),
                    _ => other.enters(),
                }
            }
            b'=' if next < done || !(clicked.may_be_named() || other.may_be_named()) => {}
            b'=' => {
                let Some(name) = name(bytes, next) else {
                    at = next + 1;
                    continue;
                };
                let fetched = other.may_be_named() || FETCHED.contains(&name);
                match name {
                    // What is in one is none of its own.
                    "srcset" | "imagesrcset" if next < listed => {}
                    "srcset" | "imagesrcset" => {
                        listed = candidates(text, next + 1, fetched, found);
                    }
                    "content" => {
                        if let Some(start) = refreshed(bytes, next + 1) {
                            done = value(text, start, b">\"'", fetched, true, found);
                        }
                    }
                    // What an address becomes for a while, on something that is clicked on.
                    "values" | "to" | "from" => {
                        done = value(text, next + 1, b">;", false, true, found);
                    }
                    _ => done = value(text, next + 1, b">", fetched, true, found),
                }
            }
            _ => {
                let before = bytes.get(at..next).unwrap_or_default().trim_ascii_end();
                // What was seen last is a sign of equality, and nothing is behind it.
                let is_value = before.is_empty() && at > 0 && bytes.get(at - 1) == Some(&b'=');
                clicked.sees(byte, is_value);
                other.sees(byte, is_value);
            }
        }
        at = next + 1;
    }
}

/// The next sign that tells where a reader is.
fn next(bytes: &[u8], from: usize, is_nowhere: bool) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let at = match is_nowhere {
        true => memchr::memchr(b'<', rest),
        false => rest.iter().position(|it| matches!(it, b'<' | b'>' | b'=' | b'"' | b'\'')),
    };
    at.map(|it| from + it)
}

/// The name of the tag that begins here.
fn tag(bytes: &[u8], at: usize) -> &[u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    let length = rest.iter().take(12).take_while(|it| it.is_ascii_alphanumeric()).count();
    let name = rest.get(..length).unwrap_or_default();
    if name.first().is_some_and(u8::is_ascii_alphabetic) { name } else { b"" }
}

fn is_clicked(tag: &[u8]) -> bool {
    [&b"a"[..], b"area", b"form", b"button"].iter().any(|it| it.eq_ignore_ascii_case(tag))
}

/// Which attribute is before a sign of equality.
fn name(bytes: &[u8], equals: usize) -> Option<&'static str> {
    let before = bytes.get(..equals)?;
    let blank = before.iter().rev().take_while(|it| it.is_ascii_whitespace()).count();
    let before = before.get(..before.len() - blank)?;
    let letters = before.iter().rev().take(16).take_while(|it| it.is_ascii_alphabetic());
    let name = before.get(before.len() - letters.count()..)?;
    NAMES.into_iter().find(|it| it.as_bytes().eq_ignore_ascii_case(name))
}

/// Where the address begins in `<meta http-equiv="refresh" content="0; url=target">`.
fn refreshed(bytes: &[u8], start: usize) -> Option<usize> {
    let skip = |at: usize, is: &dyn Fn(u8) -> bool| {
        at + bytes.get(at..).unwrap_or_default().iter().take_while(|it| is(**it)).count()
    };
    let is_before = |it: u8| it.is_ascii_whitespace() || matches!(it, b'"' | b'\'');
    let opens = skip(start, &is_before);
    let at = skip(opens, &|it| it.is_ascii_digit() || b" \t\r\n.;,".contains(&it));
    let is_named = bytes.get(at..at + 3).is_some_and(|it| it.eq_ignore_ascii_case(b"url"));
    let sign = skip(at + 3, &|it| it.is_ascii_whitespace());
    // Without a number, it says something else of a page.
    match is_named && bytes.get(sign) == Some(&b'=') {
        true => Some(sign + 1),
        false => (at > opens).then_some(at),
    }
}

/// The pictures of a `srcset`, of which a renderer takes the one that fits: each an address and, behind
/// a space, a size. Returns where it ends.
fn candidates(text: &str, start: usize, fetched: bool, found: &mut Vec<Target>) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let spaces = rest.len() - rest.trim_ascii_start().len();
    let inside = rest.trim_ascii_start();
    let (value, before, is_whole) = match inside.strip_prefix(['"', '\'']) {
        Some(value) => {
            let quote = inside.chars().next().unwrap_or_default();
            let (inside, is_whole) =
                value.split_once(quote).map_or((value, false), |it| (it.0, true));
            (inside, spaces + 1, is_whole)
        }
        None => {
            let is_end = |it: char| it.is_whitespace() || it == '>';
            (inside.split(is_end).next().unwrap_or_default(), spaces, true)
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
        if leads_out(address, false) {
            let url = Plain::of(address).collect();
            found.push(Target { at: start + at, fetched, attribute: true, url });
        }
        at += written.len();
        // Its size, unless it ended with the comma already.
        if address.len() == written.len() {
            let rest = value.get(at..).unwrap_or_default();
            at += rest.find(',').unwrap_or(rest.len());
        }
    }
    if is_whole { start + value.len() } else { start }
}
