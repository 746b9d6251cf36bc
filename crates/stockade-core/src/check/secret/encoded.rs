//! Finds secrets in Base64, in Base32 and in hexadecimal, and takes them out of it: what is left can be decoded
//! as before.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use data_encoding::HEXLOWER_PERMISSIVE;

use super::{BYTES_MIN, Secret, inside, tokens, write};
use crate::alias::Aliases;
use crate::bytes::{is_hex, is_text_in_hex, leading, run};

/// A secret that is in an encoding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Encoded {
    encoding: Encoding,
    decoded: Vec<u8>,
    secrets: Vec<Secret>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Hex,
    Base32 {
        padded: bool,
    },
    Base64 {
        /// With the letters for URLs.
        url: bool,
        padded: bool,
        /// In lines of so many letters, and what is between them.
        lines: Option<(usize, &'static str)>,
    },
}

/// Fewer letters are no token.
const BASE64_MIN: usize = 27;
const HEX_MIN: usize = 40;
const BASE32_MIN: usize = 32;
/// What is in lines is so in lines of 64 or 76 letters, mostly (RFC 7468, RFC 2045).
const LINE_MIN: usize = 60;

/// Adds the secrets in `text` that are in Base64 or in hexadecimal. In `text` they may begin anywhere
/// in a run of letters: a path or a word before the first of them is letters as well. A blob is
/// Base64 from its beginning. `is_digits` when all of it is known to be hexadecimal digits.
pub(super) fn find(
    text: &[u8],
    depth: usize,
    is_digits: bool,
    is_blob: bool,
    found: &mut Vec<Secret>,
) {
    if is_digits && !is_blob {
        return digits(text, 0..text.len(), depth, found);
    }
    let mut base64_end = 0;
    // The letters of the others are letters of Base64, too.
    runs(text, 0, BASE64_MIN, is_base64, &mut |all| {
        let letters = text.get(all.clone()).unwrap_or_default();
        let is_digits = leading(letters, is_hex) == letters.len();
        if is_digits && !is_blob {
            digits(text, all.clone(), depth, found);
            return all.end;
        }
        if all.start >= base64_end {
            base64_end = base64(text, all.clone(), depth, is_blob, found);
        }
        if !is_blob {
            let until = text.get(..all.end).unwrap_or_default();
            runs(until, all.start, HEX_MIN, is_hex, &mut |run| hex(text, run, depth, found));
            base32_within(text, &all, depth, found);
        }
        all.end
    });
}

/// Looks into a run of hexadecimal digits. These twenty-two letters of sixty-four make no text that a
/// token is in: it is hexadecimal or nothing.
fn digits(text: &[u8], run: Range<usize>, depth: usize, found: &mut Vec<Secret>) {
    if run.len() >= HEX_MIN {
        hex(text, run.clone(), depth, found);
    }
    base32_within(text, &run, depth, found);
}

fn base32_within(text: &[u8], run: &Range<usize>, depth: usize, found: &mut Vec<Secret>) {
    let until = text.get(..run.end).unwrap_or_default();
    runs(until, run.start, BASE32_MIN, is_base32, &mut |run| base32(text, run, depth, found));
}

#[inline]
fn is_base32(it: u8) -> bool {
    matches!(it, b'A'..=b'Z' | b'2'..=b'7')
}

#[inline]
fn is_base64(it: u8) -> bool {
    it.is_ascii_alphanumeric() | matches!(it, b'+' | b'/' | b'-' | b'_')
}

/// Calls `visit` with each run of at least `least` letters, from `from` on; it says where to go on.
fn runs(
    text: &[u8],
    mut from: usize,
    least: usize,
    is_letter: impl Fn(u8) -> bool + Copy,
    visit: &mut dyn FnMut(Range<usize>) -> usize,
) {
    while let Some(it) = run(text, from, least, is_letter) {
        from = it.end.max(visit(it));
    }
}

/// Looks into a run of letters, with the lines that follow it, and returns where it ends.
fn base64(
    text: &[u8],
    run: Range<usize>,
    depth: usize,
    is_blob: bool,
    found: &mut Vec<Secret>,
) -> usize {
    let lines = Lines::read(text, run.clone());
    let url = lines.letters.iter().any(|it| matches!(it, b'-' | b'_'))
        && !lines.letters.iter().any(|it| matches!(it, b'+' | b'/'));
    let letters: Cow<'_, [u8]> = if lines.letters.iter().any(|it| matches!(it, b'-' | b'_')) {
        let standard = |it: &u8| match it {
            b'-' => b'+',
            b'_' => b'/',
            it => *it,
        };
        lines.letters.iter().map(standard).collect::<Vec<u8>>().into()
    } else {
        Cow::Borrowed(&*lines.letters)
    };
    let rest = text.get(lines.end..).unwrap_or_default();
    let padding = rest.iter().take(2).take_while(|it| **it == b'=').count();
    let mut decoded = Vec::new();
    for skipped in 0..if is_blob { 1 } else { 4 } {
        let Some(letters) = letters.get(skipped..) else { break };
        let whole = letters.len() - usize::from(letters.len() % 4 == 1);
        decoded.clear();
        let letters = letters.get(..whole).unwrap_or_default();
        if engine(&STANDARD, false).decode_vec(letters, &mut decoded).is_err() {
            continue;
        }
        let secrets = secrets(&decoded, depth);
        if let Some(first) = secrets.first() {
            // Whole groups say nothing of what would be done with others; with the letters for
            // URLs nothing is, mostly.
            let padded = padding > 0 || whole % 4 == 0 && !url;
            let encoding = Encoding::Base64 { url, padded, lines: lines.form };
            let kind = first.kind;
            let encoded = Some(Box::new(Encoded { encoding, decoded, secrets }));
            let at = run.start + skipped..lines.end + padding;
            found.push(Secret { at, kind, encoded });
            break;
        }
    }
    lines.end
}

/// Letters over some lines.
struct Lines<'t> {
    letters: Cow<'t, [u8]>,
    form: Option<(usize, &'static str)>,
    end: usize,
}

impl<'t> Lines<'t> {
    fn read(text: &'t [u8], first: Range<usize>) -> Self {
        let mut letters = Cow::Borrowed(text.get(first.clone()).unwrap_or_default());
        let (mut end, mut length, mut form) = (first.end, first.len(), None);
        while length >= LINE_MIN {
            let rest = text.get(end..).unwrap_or_default();
            // As they are, or as they are in a text in JSON in a text.
            let ends = ["\r\n", "\n", "\\r\\n", "\\n"];
            let Some(between) = ends.into_iter().find(|it| rest.starts_with(it.as_bytes())) else {
                break;
            };
            let next = rest.get(between.len()..).unwrap_or_default();
            let line = next.get(..leading(next, is_base64)).unwrap_or_default();
            if line.is_empty() {
                break;
            }
            form.get_or_insert((length, between));
            letters.to_mut().extend_from_slice(line);
            end += between.len() + line.len();
            length = line.len();
        }
        Self { letters, form, end }
    }
}

/// Looks into a run of hexadecimal digits, and returns where it ends.
fn hex(text: &[u8], run: Range<usize>, depth: usize, found: &mut Vec<Secret>) -> usize {
    let digits = text.get(run.clone()).unwrap_or_default();
    for skipped in 0..2 {
        let (pairs, left) = digits.get(skipped..).unwrap_or_default().as_chunks::<2>();
        if !is_text_in_hex(pairs, BYTES_MIN) {
            continue;
        }
        let Ok(decoded) = HEXLOWER_PERMISSIVE.decode(pairs.as_flattened()) else { continue };
        let secrets = secrets(&decoded, depth);
        if let Some(first) = secrets.first() {
            let kind = first.kind;
            let encoded = Some(Box::new(Encoded { encoding: Encoding::Hex, decoded, secrets }));
            let at = run.start + skipped..run.end - left.len();
            found.push(Secret { at, kind, encoded });
            break;
        }
    }
    run.end
}

/// Looks into a run of letters of Base32 (RFC 4648), and returns where it ends.
fn base32(text: &[u8], run: Range<usize>, depth: usize, found: &mut Vec<Secret>) -> usize {
    let rest = text.get(run.end..).unwrap_or_default();
    let padding = rest.iter().take(6).take_while(|it| **it == b'=').count();
    for skipped in 0..8 {
        let letters = text.get(run.start + skipped..run.end).unwrap_or_default();
        // So many letters are no whole number of bytes.
        let left = usize::from(matches!(letters.len() % 8, 1 | 3 | 6));
        let whole = letters.get(..letters.len() - left).unwrap_or_default();
        let Some(Ok(decoded)) = BASE32.as_ref().map(|it| it.decode(whole)) else { break };
        let secrets = secrets(&decoded, depth);
        if let Some(first) = secrets.first() {
            let kind = first.kind;
            let encoding = Encoding::Base32 { padded: padding > 0 || whole.len() % 8 == 0 };
            let encoded = Some(Box::new(Encoded { encoding, decoded, secrets }));
            let end = if left == 0 { run.end + padding } else { run.end - left };
            found.push(Secret { at: run.start + skipped..end, kind, encoded });
            break;
        }
    }
    run.end
}

/// Base32 without padding, with bits that are left over.
static BASE32: LazyLock<Option<data_encoding::Encoding>> = LazyLock::new(|| {
    let mut rules = data_encoding::Specification::new();
    rules.symbols.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
    rules.check_trailing_bits = false;
    rules.encoding().ok()
});

/// The secrets in what was decoded. Only text has names before its secrets.
fn secrets(decoded: &[u8], depth: usize) -> Vec<Secret> {
    let is_control = |it: char| it.is_control() && !matches!(it, '\n' | '\r' | '\t');
    if std::str::from_utf8(decoded).is_ok_and(|it| !it.contains(is_control)) {
        return inside(decoded, depth, false);
    }
    let mut found = Vec::new();
    tokens(decoded, false, &mut found);
    found
}

impl Encoded {
    /// Writes what was encoded, encoded again, without the secrets in it.
    pub(super) fn write(&self, aliases: Option<&Aliases>, out: &mut Vec<u8>) {
        let mut clean = Vec::with_capacity(self.decoded.len());
        write(&self.decoded, &self.secrets, aliases, &mut clean);
        match self.encoding {
            Encoding::Hex => {
                let digit = |it: u8| b"0123456789abcdef".get(usize::from(it)).copied();
                out.extend(clean.iter().flat_map(|it| [it >> 4, it & 15]).filter_map(digit));
            }
            Encoding::Base32 { padded: true } => {
                out.extend_from_slice(data_encoding::BASE32.encode(&clean).as_bytes());
            }
            Encoding::Base32 { padded: false } => {
                out.extend_from_slice(data_encoding::BASE32_NOPAD.encode(&clean).as_bytes());
            }
            Encoding::Base64 { url, padded, lines } => {
                let alphabet = if url { &URL_SAFE } else { &STANDARD };
                let letters = engine(alphabet, padded).encode(clean).into_bytes();
                let (length, between) = lines.unwrap_or((letters.len().max(1), ""));
                let joined = letters.chunks(length).collect::<Vec<_>>().join(between.as_bytes());
                out.extend(joined);
            }
        }
    }
}

/// What decodes what others would not: without padding, and with bits that are left over.
fn engine(alphabet: &Alphabet, padded: bool) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(padded)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}
