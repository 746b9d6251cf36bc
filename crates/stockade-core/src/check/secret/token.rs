//! Finds tokens by their formats, in time that grows with the text and with nothing else.
//!
//! There are no patterns to compile, and no automaton that an unlucky text drives through all of its
//! states. A token is a long run of few kinds of bytes, and text has few long runs: the search looks
//! at every twentieth byte until it is in one.

use std::ops::Range;
use std::sync::LazyLock;

use super::format::{BYTES_MIN, Class, FORMATS, Format, Part, is_token_byte};
use crate::bytes::leading;

/// The formats by their first byte, longest prefix first.
static BY_FIRST: LazyLock<Vec<Vec<&Format>>> = LazyLock::new(|| {
    let mut by_first: Vec<Vec<&Format>> = vec![Vec::new(); 256];
    for format in FORMATS {
        let first = format.prefix.bytes().next().unwrap_or_default();
        if let Some(formats) = by_first.get_mut(usize::from(first)) {
            formats.push(format);
        }
    }
    for formats in &mut by_first {
        formats.sort_by_key(|it| std::cmp::Reverse(it.prefix.len()));
    }
    by_first
});

static IS_TOKEN_BYTE: LazyLock<[bool; 256]> = LazyLock::new(|| {
    let mut table = [false; 256];
    for (byte, it) in (0..=u8::MAX).zip(&mut table) {
        *it = is_token_byte(byte);
    }
    table
});

/// Calls `found` with each token in `text`, in order.
pub(super) fn tokens(text: &[u8], found: &mut dyn FnMut(&'static str, Range<usize>)) {
    let table = &*IS_TOKEN_BYTE;
    let has = |it: &u8| table.get(usize::from(*it)).copied().unwrap_or_default();
    let mut ends = Ends::default();
    let mut floor = 0;
    let mut probe = BYTES_MIN - 1;
    while let Some(byte) = text.get(probe) {
        if !has(byte) {
            floor = probe + 1;
            probe += BYTES_MIN;
            continue;
        }
        let before = text.get(floor..probe).unwrap_or_default();
        let start = probe - before.iter().rev().take_while(|it| has(it)).count();
        let after = text.get(probe..).unwrap_or_default();
        let end = probe + leading(after, is_token_byte);
        if end - start >= BYTES_MIN {
            floor = in_run(text, start..end, &mut ends, found);
        }
        // A token may have ended beyond the run, at letters of Base64 that are not of the run.
        floor = floor.max(end);
        probe = floor + BYTES_MIN;
    }
}

/// Calls `found` with the token that a text of letters and digits alone begins with: within a word
/// none begins.
pub(super) fn at_front(text: &[u8], found: &mut dyn FnMut(&'static str, Range<usize>)) {
    if let Some((kind, at)) = token(text, 0, &mut Ends::default()) {
        found(kind, at);
    }
}

/// Whether the beginning of a token may be at the front of a word, or is all of it.
pub(super) fn begins(word: &[u8]) -> bool {
    let first = word.first().map_or(0, |it| usize::from(*it));
    let formats = BY_FIRST.get(first).map_or(&[][..], |it| it);
    formats.iter().any(|it| {
        let prefix = it.prefix.as_bytes();
        word.starts_with(prefix) || prefix.starts_with(word)
    })
}

/// What kind of token this is from its first byte to its last.
pub(super) fn is_whole(word: &[u8]) -> Option<&'static str> {
    let first = word.first().map_or(0, |it| usize::from(*it));
    let formats = BY_FIRST.get(first).map_or(&[][..], |it| it);
    let is = |it: &&&Format| matched(word, 0, it, &mut Ends::default()) == Some(word.len());
    formats.iter().find(is).map(|it| it.kind)
}

/// Looks at every word of a long run, and returns where the last token ended.
fn in_run(
    text: &[u8],
    run: Range<usize>,
    ends: &mut Ends,
    found: &mut dyn FnMut(&'static str, Range<usize>),
) -> usize {
    let is_word = u8::is_ascii_alphanumeric;
    let mut done = run.start;
    let mut at = run.start;
    while run.end.saturating_sub(at) >= BYTES_MIN {
        let rest = text.get(at..run.end).unwrap_or_default();
        let before = at.checked_sub(1).and_then(|it| text.get(it));
        let in_word = if before.is_some_and(is_word) {
            leading(rest, |it| it.is_ascii_alphanumeric())
        } else {
            0
        };
        let between = rest.iter().skip(in_word).take_while(|it| !is_word(it)).count();
        at += in_word + between;
        if run.end.saturating_sub(at) < BYTES_MIN {
            break;
        }
        match token(text, at, ends) {
            Some((kind, whole)) => {
                (done, at) = (whole.end, whole.end);
                found(kind, whole);
            }
            None => at += 1,
        }
    }
    done
}

/// The token that begins at `at`, if one does: its kind, and where it is.
fn token(text: &[u8], at: usize, ends: &mut Ends) -> Option<(&'static str, Range<usize>)> {
    let formats = BY_FIRST.get(usize::from(*text.get(at)?))?;
    formats.iter().find_map(|it| {
        let end = matched(text, at, it, ends)?;
        // Beginnings of tokens in a row that ends as one. To take the last alone would leave one
        // that is the next to be last: a text of nothing else would be looked at once for each.
        let first = ends.overran.filter(|over| over.end == end && over.start < at);
        Some((it.kind, first.map_or(at, |it| it.start)..end))
    })
}

/// Where the token at `at` ends, if there is one of `format`.
fn matched(text: &[u8], at: usize, format: &Format, ends: &mut Ends) -> Option<usize> {
    if !text.get(at..)?.starts_with(format.prefix.as_bytes()) {
        return None;
    }
    let start = at;
    let mut at = at + format.prefix.len();
    for part in format.parts {
        match part {
            Part::Is(it) => {
                text.get(at..)?.starts_with(it.as_bytes()).then_some(())?;
                at += it.len();
            }
            Part::Run(class, min, max) => {
                let end = ends.of(text, *class, at);
                let is_other = |it: &Overran| it.end != end;
                if end - at > *max && ends.overran.as_ref().is_none_or(is_other) {
                    ends.overran = Some(Overran { start, end });
                }
                (*min..=*max).contains(&(end - at)).then_some(())?;
                at = end;
            }
        }
    }
    Some(at)
}

/// Where runs of a class end. A text can be made in which very many places look like the beginning
/// of a token and are in the same few runs; no run is measured for each of them.
#[derive(Default)]
struct Ends {
    known: [Known; Class::COUNT],
    /// The first of the beginnings whose run, which ends there, is too long for a token of their kind.
    overran: Option<Overran>,
}

#[derive(Clone, Copy)]
struct Overran {
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, Default)]
struct Known {
    /// As many as a format has runs of one class, and one more.
    runs: [(usize, usize); 6],
    next: usize,
}

impl Ends {
    fn of(&mut self, text: &[u8], class: Class, at: usize) -> usize {
        let measure = || {
            let rest = text.get(at..).unwrap_or_default();
            at + leading(rest, |it| class.has(it))
        };
        let Some(known) = self.known.get_mut(class as usize) else { return measure() };
        if let Some((_, end)) = known.runs.iter().find(|it| it.0 <= at && at < it.1) {
            return *end;
        }
        let end = measure();
        if let Some(free) = known.runs.get_mut(known.next) {
            *free = (at, end);
        }
        known.next = (known.next + 1) % known.runs.len();
        end
    }
}
