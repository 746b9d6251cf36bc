//! Finds tokens that are cut within one text: by markup, by the end of a line, or by hyphens that
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
        let is_pair = text.get(at) == Some(&b'\n') && text.get(at.wrapping_sub(1)) == Some(&b'\r');
        let at = at - usize::from(is_pair);
        if cut(text, at).is_none() {
            return;
        }
        let floor = at.saturating_sub(HEAD_MAX);
        let before = text.get(floor..at).unwrap_or_default();
        let length = before.iter().rev().take_while(|it| is_token_byte(**it)).count();
        let start = at - length;
        let head = text.get(start..at).unwrap_or_default();
        if length < 2 || !begins(head) {
            return;
        }
        let known = |it: &Range<usize>| {
            found.iter().any(|one| one.at.start < it.end && it.start < one.at.end)
        };
        if let Some((kind, range)) = put_together(text, start, at, &mut budget).filter(|it| !known(&it.1)) {
            found.push(Secret::plain(kind, range));
        }
    };
    for at in memchr::memchr3_iter(b'\n', b'<', 0xc2, text) {
        look(at, found);
    }
    for at in memchr::memchr3_iter(b'*', b'`', b'&', text) {
        look(at, found);
    }
}

/// How long what cuts a token at this place is.
fn cut(text: &[u8], at: usize) -> Option<usize> {
    const TAG_MAX: usize = 64;
    let rest = text.get(at..)?;
    let length = match rest {
        [b'\r', b'\n', ..] | [b'\n', ..] => {
            let breaks = usize::from(rest.starts_with(b"\r")) + 1;
            breaks + rest.iter().skip(breaks).take(40).take_while(|it| matches!(it, b' ' | b'\t' | b'>')).count()
        }
        [0xc2, 0xad, ..] => 2,
        [b'*', ..] => rest.iter().take(3).take_while(|it| **it == b'*').count(),
        [b'`', ..] => 1,
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

fn put_together(
    text: &[u8],
    start: usize,
    first: usize,
    budget: &mut usize,
) -> Option<(&'static str, Range<usize>)> {
    let mut whole = text.get(start..first)?.to_vec();
    let mut at = first;
    for _ in 0..PIECES_MAX {
        while let Some(length) = cut(text, at) {
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
        if whole.len() > BYTES_MAX {
            return None;
        }
        if let Some(kind) = is_whole(&whole).filter(|_| !is_placeholder(&whole)) {
            return Some((kind, start..at));
        }
        cut(text, at)?;
    }
    None
}
