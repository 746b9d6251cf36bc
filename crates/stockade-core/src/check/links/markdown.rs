//! `[a](target)`, `![a](target)`, `[a]: target`, `<target>`.
//!
//! Looked at twice. A parser of CommonMark says what is an image and where its address ends, as most
//! renderers read it: what escapes, code and brackets within each other make of a text is nothing to be
//! guessed. Beside it everything is a target that follows a bracket, in code and in HTML as well, since
//! there are renderers of their own kind, and a mistake of the one look is none of the other.

use std::collections::VecDeque;
use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};

use super::plain::Plain;
use super::{Target, blanks, leads_out};

pub(super) fn find(text: &str, found: &mut Vec<Target>) {
    let bytes = text.as_bytes();
    let has = |it: &str| memchr::memmem::find(bytes, it.as_bytes()).is_some();
    let has_image = has("![");
    brackets(text, has_image, found);
    if has("](") || has("]:") {
        parsed(text, Options::empty(), has_image, found);
        // In a cell and in a footnote something else is an address than elsewhere.
        if has("|") || has("[^") {
            let all = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
            parsed(text, all | Options::ENABLE_STRIKETHROUGH, has_image, found);
        }
    }
}

/// A link or an image that is being read.
struct Open {
    /// Where it leads, if that is written there.
    target: Option<String>,
    is_image: bool,
    /// Where what was read of its text ends.
    end: usize,
}

fn parsed(text: &str, options: Options, has_image: bool, found: &mut Vec<Target>) {
    let mut add = |at: Option<usize>, fetched: bool, url: &str| {
        if let Some(at) = at.filter(|_| leads_out(url, false)) {
            let url = Plain::of(url).collect();
            found.push(Target { at, fetched, attribute: false, url });
        }
    };
    let mut events = Parser::new_ext(text, options).into_offset_iter();
    let mut open: Vec<Open> = Vec::new();
    for (event, range) in events.by_ref() {
        let is_image = matches!(event, Event::Start(Tag::Image { .. }));
        if let Event::Start(
            Tag::Image { dest_url, link_type, .. } | Tag::Link { dest_url, link_type, .. },
        ) = event
        {
            if link_type == LinkType::Autolink {
                add(Some(range.start + 1), false, &dest_url);
            }
            let target = (link_type == LinkType::Inline).then(|| dest_url.to_string());
            open.push(Open { target, is_image, end: range.start });
            continue;
        }
        if matches!(event, Event::End(TagEnd::Image | TagEnd::Link))
            && let Some(Open { target: Some(url), is_image, end }) = open.pop()
        {
            add(written(text, end..range.end, "]("), is_image, &url);
        }
        if let Some(it) = open.last_mut() {
            it.end = it.end.max(range.end);
        }
    }
    for (_, it) in events.reference_definitions().iter() {
        // Which of the images and links uses it is not asked.
        add(written(text, it.span.clone(), "]:"), has_image, &it.dest);
    }
}

/// Where an address is written behind these signs.
fn written(text: &str, at: Range<usize>, signs: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let inside = bytes.get(at.clone())?;
    let sign = memchr::memmem::find_iter(inside, signs)
        .find(|it| !is_escaped(inside.get(..*it).unwrap_or_default()))?;
    let start = at.start + sign + signs.len();
    // A line may go on within a quotation.
    let is_before = |it: &&u8| it.is_ascii_whitespace() || matches!(it, b'<' | b'>');
    Some(start + bytes.get(start..at.end)?.iter().take_while(is_before).count())
}

/// Whether what is next has lost its meaning by a backslash.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|it| **it == b'\\').count() % 2 == 1
}

/// The brackets that are open, the last ones of them: what is older is closed by nothing that matters.
#[derive(Default)]
struct Brackets(VecDeque<(bool, usize)>);

impl Brackets {
    fn open(&mut self, is_image: bool, at: usize) {
        const DEPTH_MAX: usize = 32;
        if self.0.len() == DEPTH_MAX {
            self.0.pop_front();
        }
        self.0.push_back((is_image, at));
    }
}

fn brackets(text: &str, has_image: bool, found: &mut Vec<Target>) {
    let bytes = text.as_bytes();
    // As they stand, and without those that a backslash takes for letters.
    let (mut all, mut plain) = (Brackets::default(), Brackets::default());
    for at in memchr::memchr3_iter(b'[', b']', b'<', bytes) {
        let before = bytes.get(..at).unwrap_or_default();
        match bytes.get(at) {
            Some(b'[') => {
                let is_image = before.last() == Some(&b'!');
                all.open(is_image, at);
                if !is_escaped(before) {
                    plain.open(is_image, at);
                }
            }
            Some(b']') => {
                let opens =
                    [all.0.pop_back(), if is_escaped(before) { None } else { plain.0.pop_back() }];
                let is_image = opens.iter().flatten().any(|(is_image, _)| *is_image);
                match bytes.get(at + 1) {
                    Some(b'(') => address(text, at + 2, is_image, found),
                    // As Markdown was at first.
                    Some(b' ') if is_image && bytes.get(at + 2) == Some(&b'(') => {
                        address(text, at + 3, true, found);
                    }
                    Some(b':')
                        if opens.iter().flatten().any(|(_, start)| begins_line(bytes, *start)) =>
                    {
                        address(text, at + 2, has_image, found);
                    }
                    _ => (),
                }
            }
            _ => address(text, at, false, found),
        }
    }
}

fn begins_line(bytes: &[u8], at: usize) -> bool {
    let before = bytes.get(..at).unwrap_or_default();
    let spaces = before.iter().rev().take(4).take_while(|it| matches!(it, b' ' | b'>')).count();
    before.get(..before.len() - spaces).unwrap_or_default().last().is_none_or(|it| *it == b'\n')
}

/// Adds the address at `start`, as long as it is for each who could read it.
fn address(text: &str, start: usize, fetched: bool, found: &mut Vec<Target>) {
    let start = start + blanks(text, start);
    let bytes = text.as_bytes();
    let quote = bytes.get(start).copied().filter(|it| matches!(it, b'<' | b'"' | b'\''));
    let start = start + usize::from(quote.is_some());
    let start = start + blanks(text, start);
    let rest = text.get(start..).unwrap_or_default();
    for is_escaped in [false, true] {
        if !leads_out(rest, is_escaped) {
            continue;
        }
        let (short, long) = ends(rest.as_bytes(), quote);
        for end in [short, long] {
            let written = rest.get(..end).unwrap_or_default();
            let url = Plain { rest: written, is_escaped }.collect();
            found.push(Target { at: start, fetched, attribute: false, url });
        }
    }
}

/// Where an address ends, at the least and at the most. No other that begins as it does is in it, so
/// that a text of nothing but their beginnings is read once.
fn ends(rest: &[u8], quote: Option<u8>) -> (usize, usize) {
    let is_next = |at: usize| rest.get(at..at + 2) == Some(b"](");
    if let Some(quote) = quote {
        let close = if quote == b'<' { b'>' } else { quote };
        let is_end = |(at, it): (usize, &u8)| *it == close || *it == b'<' || is_next(at);
        let end = rest.iter().enumerate().position(is_end).unwrap_or(rest.len());
        return (end, end);
    }
    let (mut depth, mut short) = (0_usize, None);
    for (at, it) in rest.iter().enumerate() {
        match it {
            b'(' => depth += 1,
            b')' => {
                short = short.or(Some(at));
                match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => return (short.unwrap_or(at), at),
                }
            }
            _ if it.is_ascii_whitespace() || is_next(at) => return (short.unwrap_or(at), at),
            _ => {}
        }
    }
    (short.unwrap_or(rest.len()), rest.len())
}
