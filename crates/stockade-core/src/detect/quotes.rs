//! What a text about attacks quotes.
//!
//! A page that explains an injection has one in it, word for word, and so have the tests of a scanner.
//! What it quotes is no order, as long as nobody says that it is one. Whoever wants to hide an order
//! can quote it, too: so what is quoted still counts, by less, and is written down; and of an order that
//! could be carried out, which is one with a place to send to, a secret or secrecy in it, it has to be
//! earned (`detect/prose.rs`). In what a server says of itself nobody has to quote such an order.

use std::ops::Range;

use memchr::memmem;

use super::Of;
use super::lexicon::{Class, Hit};
use super::prose::Prose;

/// So far from a word that says what a text is about it is about that.
const REACH: usize = 4000;

/// A quotation is not longer than this; a block of code is as long as it is.
const QUOTE_MAX: usize = 800;

/// The quotations of a text that is about attacks. Of any other there are none.
#[derive(Debug, Default)]
pub(super) struct Quotes {
    /// In order, none within another.
    ranges: Vec<Range<usize>>,
    /// Where it says what it is about.
    topics: Vec<usize>,
    are_meant: bool,
    /// Whether only what is in `ranges` is quoted, whatever else has marks around it.
    are_all: bool,
}

impl Quotes {
    pub(super) fn of(text: &[u8], parts: &Parts<'_>, hits: &[Hit], of: Of) -> Self {
        let has = |class: Class| hits.iter().any(|it| it.class == class);
        if !has(Class::Topic) && !has(Class::About) {
            return Self::default();
        }
        let ranges = seen(text, ranges(text, parts.lines));
        let mut quotes = Self { ranges, ..Self::default() };
        let open = |it: &&Hit| quotes.at(it.start).is_none();
        let topics = hits.iter().filter(|it| it.class == Class::Topic).filter(open);
        let topics = topics.map(|it| it.start).collect();
        let said = |class: Class| {
            hits.iter().filter(move |it| it.class == class).filter(open).map(|it| it.start)
        };
        let mut obeyed = said(Class::Obeyed).peekable();
        let mut are_meant = said(Class::Quote).any(|quote| {
            while obeyed.next_if(|it| *it + MEANT < quote).is_some() {}
            obeyed.peek().is_some_and(|it| *it < quote + MEANT)
        });
        let prose = Prose::of(text, &quotes.ranges, parts.ends);
        let are_orders = quotes.are_orders(text, hits);
        if of == Of::Content {
            are_meant |= prose.has_order();
            if are_orders {
                quotes.ranges = prose.examples(text, &quotes.ranges);
            }
        } else if are_orders {
            quotes.ranges.clear();
        }
        quotes.are_all = are_orders;
        (quotes.topics, quotes.are_meant) = (topics, are_meant);
        quotes
    }

    /// Those of a text in which nothing is only mentioned.
    pub(super) fn none() -> Self {
        Self { are_all: true, ..Self::default() }
    }

    /// Whether something that is quoted, or all of it together, could be carried out.
    fn are_orders(&self, text: &[u8], hits: &[Hit]) -> bool {
        let mut all = 0;
        let mut next = 0;
        for range in &self.ranges {
            let from = next
                + hits.get(next..).unwrap_or_default().partition_point(|it| it.start < range.start);
            let rest = hits.get(from..).unwrap_or_default();
            let inside =
                rest.get(..rest.partition_point(|it| it.start < range.end)).unwrap_or_default();
            next = from + inside.len();
            let set = inside.iter().fold(0, |set, it| set | it.class.bit());
            let inside = text.get(range.clone()).unwrap_or_default();
            if range.len() >= ORDER_MIN && is_order(set) || is_aimed(inside, set) {
                return true;
            }
            all |= set;
        }
        let has = |class: Class| all & class.bit() != 0;
        has(Class::Send) && (has(Class::Strong) || has(Class::Out)) && has(Class::Ignore)
    }

    /// Whether what is between marks in a sentence with these meanings is only mentioned there.
    pub(super) fn mention(&self, at: usize, meanings: u128) -> bool {
        self.at(at).is_some() || !self.are_all && !is_order(meanings)
    }

    /// Whether it says that what it quotes is to be done.
    pub(super) fn are_meant(&self) -> bool {
        self.are_meant
    }

    /// Whether the better part of these words are in quotations, and what they are in is about attacks: who
    /// writes about one often begins its sentence before the marks.
    pub(super) fn have(&self, words: impl Iterator<Item = usize>) -> bool {
        if self.topics.is_empty() {
            return false;
        }
        let (mut quoted, mut open, mut first) = (0, 0, 0);
        for word in words {
            if self.at(word).is_some() {
                (quoted, first) = (quoted + 1, word);
            } else {
                open += 1;
            }
        }
        let is_long = self.at(first).is_some_and(|it| it.len() >= SENTENCE_MIN);
        (quoted > open || quoted == open && is_long) && self.is_about(first)
    }

    fn is_about(&self, at: usize) -> bool {
        let next = self.topics.partition_point(|it| *it + REACH < at);
        self.topics.get(next).is_some_and(|it| *it < at + REACH)
    }

    pub(super) fn at(&self, at: usize) -> Option<&Range<usize>> {
        let next = self.ranges.partition_point(|it| it.end <= at);
        self.ranges.get(next).filter(|it| it.contains(&at))
    }
}

/// A quotation that is shorter is a word or two, and what is around it says the rest.
const SENTENCE_MIN: usize = 24;

/// What is shorter is a phrase, as a scanner's description lists them, unless it says what goes where.
const ORDER_MIN: usize = 48;

/// How a text is laid out.
pub(super) struct Parts<'v> {
    /// The lines that begin with `>`.
    pub(super) lines: &'v [Range<usize>],
    /// Where each sentence ends.
    pub(super) ends: &'v [usize],
}

/// Whether words that mean this say where something goes, or that it is secret.
fn is_order(set: u128) -> bool {
    let has = |class: Class| set & class.bit() != 0;
    let sinks =
        [Class::Out, Class::Covert, Class::Path, Class::Strong, Class::Harm, Class::Redirect];
    sinks.into_iter().any(has)
        || has(Class::Send) && (has(Class::Secret) || has(Class::Talk) || has(Class::Address))
        || has(Class::Neg) && has(Class::Tell) && has(Class::User)
}

/// Whether it says to send what is known by its place, or to where.
fn is_aimed(text: &[u8], set: u128) -> bool {
    let has = |class: Class| set & class.bit() != 0;
    let is_named = has(Class::Strong) || has(Class::Path);
    has(Class::Send) && (is_named || memmem::find(text, b"://").is_some())
}

/// The quotations that a person sees: none in a comment or in an attribute of a tag.
fn seen(text: &[u8], mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    if memchr::memchr(b'<', text).is_none() {
        return ranges;
    }
    let within = |ranges: &[Range<usize>], at: usize| {
        let next = ranges.partition_point(|it| it.end <= at);
        ranges.get(next).is_some_and(|it| it.contains(&at))
    };
    let mut comments: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|it| memmem::find(it, b"<!--")) {
        let start = at + found;
        // One that is quoted itself is shown.
        if within(&ranges, start) {
            at = start + 4;
            continue;
        }
        let rest = text.get(start..).unwrap_or_default();
        let end = memmem::find(rest, b"-->").map_or(text.len(), |it| start + it);
        comments.push(start..end);
        at = end.max(start + 4);
    }
    ranges.retain(|it| {
        let is_value = it.start.checked_sub(2).and_then(|at| text.get(at)) == Some(&b'=');
        let before = text.get(it.start.saturating_sub(QUOTE_MAX)..it.start).unwrap_or_default();
        let is_tag = memchr::memchr2_iter(b'<', b'>', before).next_back();
        let is_tag = is_tag.is_some_and(|at| before.get(at) == Some(&b'<'));
        !(within(&comments, it.start) || is_value && is_tag)
    });
    ranges
}

/// So far apart are what is quoted and that it is to be done.
const MEANT: usize = 80;

/// What stands between marks that belong together, and the lines that are quoted as in a mail.
pub(super) fn ranges(text: &[u8], lines: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(first) = text.get(at) {
        let is_start = at
            .checked_sub(1)
            .and_then(|it| text.get(it))
            .is_none_or(|it| !it.is_ascii_alphanumeric());
        let rest = text.get(at..).unwrap_or_default();
        let (open, close, max): (usize, &[u8], usize) = match first {
            b'`' if rest.starts_with(b"```") => (3, b"```", usize::MAX),
            b'`' => (1, b"`", QUOTE_MAX),
            b'"' if is_start => (1, b"\"", QUOTE_MAX),
            b'\'' if is_start => (1, b"'", QUOTE_MAX),
            0xe2 if rest.starts_with("\u{201c}".as_bytes()) => {
                (3, "\u{201d}".as_bytes(), QUOTE_MAX)
            }
            0xe2 if rest.starts_with("\u{201e}".as_bytes()) => {
                (3, "\u{201c}".as_bytes(), QUOTE_MAX)
            }
            0xe2 if rest.starts_with("\u{2018}".as_bytes()) => {
                (3, "\u{2019}".as_bytes(), QUOTE_MAX)
            }
            0xc2 if rest.starts_with("\u{ab}".as_bytes()) => (2, "\u{bb}".as_bytes(), QUOTE_MAX),
            0xe3 if rest.starts_with("\u{300c}".as_bytes()) => {
                (3, "\u{300d}".as_bytes(), QUOTE_MAX)
            }
            _ => {
                at += 1;
                continue;
            }
        };
        let inside = rest.get(open..).unwrap_or_default();
        let inside = inside.get(..inside.len().min(max)).unwrap_or_default();
        let closes = if close == b"'" { apostrophe(inside) } else { memmem::find(inside, close) };
        match closes {
            Some(len) => {
                found.push(at + open..at + open + len);
                at += open + len + close.len();
            }
            // A block that nothing closes goes on to the end; any other mark stands for itself.
            None if max == usize::MAX => {
                found.push(at + open..text.len());
                break;
            }
            None => at += open,
        }
    }
    if lines.is_empty() {
        return found;
    }
    let is_apart = |it: &Range<usize>| {
        let next = lines.partition_point(|line| line.end <= it.start);
        lines.get(next).is_none_or(|line| line.start >= it.end)
    };
    found.retain(is_apart);
    found.extend(lines.iter().cloned());
    found.sort_unstable_by_key(|it| it.start);
    found
}

/// The next `'` that no letter follows: the others stand within words.
fn apostrophe(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\'', text)
        .find(|at| text.get(at + 1).is_none_or(|it| !it.is_ascii_alphanumeric()))
}
