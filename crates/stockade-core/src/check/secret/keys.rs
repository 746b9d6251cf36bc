//! Finds private keys by the frame that they are kept in.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Calls `found` with each private key in PEM (RFC 7468), OpenSSH's and PGP's among them, from
/// `BEGIN` to `END`.
pub(super) fn in_pem(text: &[u8], found: &mut dyn FnMut(&'static str, Range<usize>)) {
    static LABEL: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("PRIVATE KEY"));
    const BEGIN: &[u8] = b"-----BEGIN ";
    const END: &[u8] = b"-----END ";
    /// As in `ENCRYPTED PRIVATE KEY`.
    const KIND_MAX: usize = 16;
    /// Less is no key, but the picture of one.
    const BODY_MIN: usize = 64;
    // Base64 in lines, headers (RFC 1421), and what either is when a text in JSON quotes it.
    let is_body = |it: &&u8| {
        it.is_ascii_alphanumeric() || it.is_ascii_whitespace() || b"+/=-:,.\\".contains(it)
    };
    let (mut from, mut may_end) = (0, true);
    while let Some(label) = LABEL.find(text.get(from..).unwrap_or_default()).map(|it| it + from) {
        from = label + LABEL.needle().len();
        let earliest = label.saturating_sub(BEGIN.len() + KIND_MAX);
        let head = text.get(earliest..label).unwrap_or_default();
        let Some(begin) = memchr::memmem::rfind(head, BEGIN) else { continue };
        let start = earliest + begin;
        let kind = match head.get(begin + BEGIN.len()..) {
            Some(b"OPENSSH ") => "openssh-private-key",
            Some(b"PGP ") => "pgp-private-key",
            _ => "private-key",
        };
        let rest = text.get(from..).unwrap_or_default();
        // Where there is none behind one label, there is none behind the next.
        let found_end = may_end.then(|| memchr::memmem::find(rest, END)).flatten();
        may_end = found_end.is_some();
        let end = match found_end {
            Some(end) => {
                let after = rest.get(end + END.len()..).unwrap_or_default();
                let line = memchr::memmem::find(after.get(..64).unwrap_or(after), b"-----");
                end + END.len() + line.map_or(0, |it| it + 5)
            }
            // One that was cut off is all that could be of it.
            None => rest.iter().take_while(is_body).count(),
        };
        if end >= BODY_MIN {
            found(kind, start..from + end);
            from += end;
        }
    }
}

/// Calls `found` with the lines of each private key that PuTTY has written.
pub(super) fn of_putty(text: &[u8], found: &mut dyn FnMut(&'static str, Range<usize>)) {
    static LINES: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("Private-Lines: "));
    const BODY_MIN: usize = 32;
    let is_body =
        |it: &&u8| it.is_ascii_alphanumeric() || it.is_ascii_whitespace() || b"+/=\\".contains(it);
    for at in LINES.find_iter(text) {
        let start = at + LINES.needle().len();
        let rest = text.get(start..).unwrap_or_default();
        let count = rest.iter().take(4).take_while(|it| it.is_ascii_digit()).count();
        let body = rest.get(count..).unwrap_or_default();
        let length = body.iter().take_while(is_body).count();
        // What follows it is the name of the next line.
        let is_next = body.get(length..).is_some_and(|it| it.starts_with(b"-MAC"));
        let end = length - if is_next { b"Private".len().min(length) } else { 0 };
        let body = body.get(..end).unwrap_or_default();
        let is_blank = |it: &&u8| it.is_ascii_whitespace();
        let before = body.iter().take_while(is_blank).count();
        let after = body.iter().rev().take_while(is_blank).count();
        if count > 0 && end >= BODY_MIN + before + after {
            found("putty-private-key", start + count + before..start + count + end - after);
        }
    }
}
