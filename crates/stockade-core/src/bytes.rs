//! What many look for in bytes, and can be found quickly.

use std::ops::Range;

/// How many bytes at the front are of a kind. Most runs are short; of a long one, many bytes at a time
/// are compared without a branch between them, of which a compiler makes vector instructions.
#[inline]
pub(crate) fn leading(text: &[u8], has: impl Fn(u8) -> bool) -> usize {
    const BLOCK: usize = 64;
    const SHORT: usize = 24;
    let short = text.iter().take(SHORT).take_while(|it| has(**it)).count();
    if short < SHORT {
        return short;
    }
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let all = |it: &&[u8; BLOCK]| {
        it.iter().map(|it| u8::from(!has(*it))).fold(0, |any, it| any | it) == 0
    };
    let whole = BLOCK * blocks.iter().take_while(all).count();
    let rest = text.get(whole..).unwrap_or_default();
    whole + rest.iter().take_while(|it| has(**it)).count()
}

/// Whether it is a hexadecimal digit. Without a branch, for [`leading`].
#[inline]
pub(crate) fn is_hex(it: u8) -> bool {
    it.is_ascii_digit() | matches!(it | 0x20, b'a'..=b'f')
}

/// How many bytes are of a kind. Counted in blocks whose number fits a byte, and without a branch: the
/// compiler makes vector instructions of that.
#[inline]
pub(crate) fn count(text: &[u8], has: impl Fn(u8) -> bool) -> usize {
    const BLOCK: usize = 128;
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let of =
        |part: &[u8]| part.iter().fold(0_u8, |count, it| count.wrapping_add(u8::from(has(*it))));
    blocks.iter().map(|it| usize::from(of(it))).sum::<usize>() + usize::from(of(rest))
}

/// Whether pairs of hexadecimal digits have so many bytes in a row that are no control characters of
/// ASCII, as a text has. Most of what is written so has not, and need not be decoded.
pub(crate) fn is_text_in_hex(pairs: &[[u8; 2]], least: usize) -> bool {
    let is_letter = |it: &[u8; 2]| match it {
        [b'0' | b'1', _] | [b'7', b'f' | b'F'] => false,
        [_, _] => true,
    };
    let mut floor = 0;
    let mut probe = least.saturating_sub(1);
    while let Some(pair) = pairs.get(probe) {
        if is_letter(pair) {
            let before = pairs.get(floor..probe).unwrap_or_default();
            let before = before.iter().rev().take_while(|it| is_letter(it)).count();
            let after = pairs.get(probe..).unwrap_or_default();
            let after = after.iter().take(least).take_while(|it| is_letter(it)).count();
            if before + after >= least {
                return true;
            }
            probe += after;
        }
        floor = probe + 1;
        probe += least;
    }
    false
}

/// Where the first run of at least `least` bytes of a kind is, from `from` on. One byte in so many is
/// looked at until one of the kind is found.
pub(crate) fn run(
    text: &[u8],
    from: usize,
    least: usize,
    has: impl Fn(u8) -> bool + Copy,
) -> Option<Range<usize>> {
    let mut floor = from;
    let mut probe = (from + least).checked_sub(1)?;
    while let Some(byte) = text.get(probe) {
        if !has(*byte) {
            floor = probe + 1;
            probe += least;
            continue;
        }
        let before = text.get(floor..probe).unwrap_or_default();
        let start = probe - before.iter().rev().take_while(|it| has(**it)).count();
        let end = probe + leading(text.get(probe..).unwrap_or_default(), has);
        if end - start >= least {
            return Some(start..end);
        }
        floor = end;
        probe = end + least;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first run, byte by byte.
    fn plainly(text: &[u8], from: usize, least: usize) -> Option<Range<usize>> {
        let mut at = from;
        while at < text.len() {
            let len = text[at..].iter().take_while(|it| is_hex(**it)).count();
            if len >= least {
                return Some(at..at + len);
            }
            at += len + 1;
        }
        None
    }

    proptest! {
        #[test]
        fn runs_are_found_as_by_looking_at_every_byte(
            text in "([0-9a-fA-F]{0,200}[ -~]{0,3}){0,8}",
            from in 0..300_usize,
            least in 1..120_usize,
        ) {
            let text = text.as_bytes();
            let plain = text.iter().take_while(|it| is_hex(**it)).count();
            prop_assert_eq!(leading(text, is_hex), plain);
            prop_assert_eq!(count(text, is_hex), text.iter().filter(|it| is_hex(**it)).count());
            prop_assert_eq!(run(text, from, least, is_hex), plainly(text, from, least));
        }

        #[test]
        fn text_in_hexadecimal_is_told_from_what_is_none(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x20..0x7f_u8], 0..80),
            least in 1..12_usize,
        ) {
            let digits = data_encoding::HEXLOWER.encode(&bytes).into_bytes();
            let (pairs, _) = digits.as_chunks::<2>();
            let is_control = |it: &u8| *it < 0x20 || *it == 0x7f;
            let longest = bytes.split(is_control).map(<[u8]>::len).max().unwrap_or_default();
            prop_assert_eq!(is_text_in_hex(pairs, least), longest >= least);
        }
    }
}
