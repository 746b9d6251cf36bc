//! Finds tokens that are cut within one text: by markup, by the end of a line with what a listing or
//! a comparison has before the next, by a program that puts two pieces together, or by hyphens that
//! are not shown.

use std::ops::Range;

use super::Secret;
use super::format::is_token_byte;
use super::placeholder::is_placeholder;
use super::token::{begins, is_whole};

/// So many pieces are put together, and a token has so many bytes in all.
const PIECES_MAX: usize = 48;
const BYTES_MAX: usize = 512;
/// The most that a beginning of a token is long before it is cut.
const HEAD_MAX: usize = 300;

/// Adds the tokens in `text` that are whole when what cuts them is left out.
pub(super) fn find(text: &[u8], found: &mut Vec<Secret>) {
    // So many bytes are put together in all: a text can be made that has a beginning at each end.
    let mut budget = 8 * text.len() + 8192;
    let mut look = |at: usize, found: &mut Vec<Secret>| {
        let at = first_of_cut(text, at);
        if cut(text, at, false).is_none() {
            return;
        }
        let floor = at.saturating_sub(HEAD_MAX);
        let before = text.get(floor..at).unwrap_or_default();
        let length = before.iter().rev().take_while(|it| is_token_byte(**it)).count();
        let is_compared = is_compared(text, at - length);
        let start = at - length + usize::from(is_compared);
        let head = text.get(start..at).unwrap_or_default();
        // One letter alone is the beginning of very much, and before a tag of a word.
        let least = if matches!(text.get(at), Some(b'<' | 0xc2)) { 1 } else { 2 };
        if head.len() < least || !begins(head) {
            return;
        }
        let known = |it: &Range<usize>| {
            found.iter().any(|one| one.at.start < it.end && it.start < one.at.end)
        };
        let whole =
            put_together(text, start..at, is_compared, &mut budget).filter(|it| !known(&it.1));
        if let Some((kind, range)) = whole {
            found.push(Secret::plain(kind, range));
        }
    };
    for at in memchr::memchr3_iter(b'\n', b'<', 0xc2, text) {
        look(at, found);
    }
    for at in memchr::memchr3_iter(b'*', b'`', b'&', text) {
        look(at, found);
    }
    for at in memchr::memchr3_iter(b'|', b'"', b'\'', text) {
        look(at, found);
    }
}

/// Where what cuts begins, of which a byte at `at` is a part.
fn first_of_cut(text: &[u8], at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    match text.get(at) {
        Some(b'\n') => {
            let before = before.strip_suffix(b"\r").unwrap_or(before);
            before.strip_suffix(b"\\").unwrap_or(before).len()
        }
        Some(b'|') => at - before.iter().rev().take(BLANKS_MAX).take_while(is_blank).count(),
        _ => at,
    }
}

/// So much white space is between a piece and a bar.
const BLANKS_MAX: usize = 8;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is for take_while")]
fn is_blank(it: &&u8) -> bool {
    matches!(it, b' ' | b'\t')
}

/// Whether a line begins here, and with a hyphen, which is a letter of tokens too: one that a comparison
/// has taken away.
fn is_compared(text: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|it| text.get(it));
    text.get(at) == Some(&b'-') && before.is_none_or(|it| *it == b'\n')
}

/// How long what cuts a token at this place is.
fn cut(text: &[u8], at: usize, is_compared: bool) -> Option<usize> {
    const TAG_MAX: usize = 64;
    let rest = text.get(at..)?;
    let length = match rest {
        [b'\r', b'\n', ..] | [b'\n', ..] | [b'\\', b'\n', ..] | [b'\\', b'\r', b'\n', ..] => {
            let line = rest.iter().position(|it| *it == b'\n')? + 1;
            line + before_line(rest.get(line..)?, is_compared)
        }
        [0xc2, 0xad, ..] => 2,
        [b'*', ..] => rest.iter().take(3).take_while(|it| **it == b'*').count(),
        [b'`', ..] => 1,
        [b'"' | b'\'', ..] => joined(rest)?,
        [b' ' | b'\t' | b'|', ..] => {
            let before = rest.iter().take(BLANKS_MAX).take_while(is_blank).count();
            let rest = rest.get(before..)?.strip_prefix(b"|")?;
            before + 1 + rest.iter().take(BLANKS_MAX).take_while(is_blank).count()
        }
        [b'<', b'!', b'-', b'-', ..] => {
            memchr::memmem::find(rest.get(..TAG_MAX).unwrap_or(rest), b"-->")? + 3
        }
        [b'<', b'/' | b'a'..=b'z' | b'A'..=b'Z', ..] => {
            rest.iter().take(TAG_MAX).position(|it| *it == b'>')? + 1
        }
        [b'&', ..] => [&b"&shy;"[..], b"&#173;", b"&ZeroWidthSpace;"]
            .into_iter()
            .find(|it| rest.starts_with(it))?
            .len(),
        _ => return None,
    };
    Some(length)
}

/// What stands before the text of a line: white space, the mark of a quotation or a comparison, a number.
fn before_line(line: &[u8], is_compared: bool) -> usize {
    const MARKS: &[u8] = b" \t>+|#*";
    let marks = |line: &[u8]| line.iter().take(40).take_while(|it| MARKS.contains(it)).count();
    let mut at = usize::from(is_compared && line.first() == Some(&b'-'));
    at += marks(line.get(at..).unwrap_or_default());
    let rest = line.get(at..).unwrap_or_default();
    let digits = rest.iter().take(7).take_while(|it| it.is_ascii_digit()).count();
    let after = rest.get(digits..).unwrap_or_default();
    let sign = match after {
        [b' ' | b'\t' | b':' | b'|', ..] => 1,
        // An arrow, as some listings have.
        [0xe2, 0x86, 0x92, ..] => 3,
        _ => 0,
    };
    if digits == 0 || sign == 0 {
        return at;
    }
    at + digits + sign + marks(after.get(sign..).unwrap_or_default())
}

/// How a program puts two texts together: `" + "`, `' . '`, `' || '`, `" "` over the end of a line.
fn joined(rest: &[u8]) -> Option<usize> {
    const BETWEEN_MAX: usize = 48;
    let quote = rest.first()?;
    let between = rest.get(1..)?;
    let signs =
        |it: &&u8| matches!(it, b' ' | b'\t' | b'\r' | b'\n' | b'+' | b'.' | b'&' | b'|' | b'\\');
    let length = between.iter().take(BETWEEN_MAX).take_while(signs).count();
    (length > 0 && between.get(length) == Some(quote)).then_some(length + 2)
}

fn put_together(
    text: &[u8],
    head: Range<usize>,
    is_compared: bool,
    budget: &mut usize,
) -> Option<(&'static str, Range<usize>)> {
    let start = head.start;
    let mut at = head.end;
    let mut whole = text.get(head)?.to_vec();
    for _ in 0..PIECES_MAX {
        while let Some(length) = cut(text, at, is_compared) {
            at += length;
        }
        let rest = text.get(at..)?;
        let piece = rest.iter().take(BYTES_MAX).take_while(|it| is_token_byte(**it)).count();
        if piece == 0 {
            return None;
        }
        whole.extend_from_slice(rest.get(..piece)?);
        at += piece;
        *budget = budget.checked_sub(whole.len())?;
        if whole.len() > BYTES_MAX || !begins(&whole) {
            return None;
        }
        if let Some(kind) = is_whole(&whole).filter(|_| !is_placeholder(&whole)) {
            return Some((kind, start..at));
        }
        cut(text, at, is_compared)?;
    }
    None
}
