//! Finds secrets that are written with escapes: as in URLs (`%67`), in programs and JSON (`\x67`,
//! `\u0067`, `\u{67}`, `\U00000067`, `\/`), and in HTML (`&#103;`, `&lowbar;`).

use super::{Secret, inside};

/// Adds the secrets in `text` that show when its escapes are undone.
pub(super) fn find(text: &[u8], depth: usize, found: &mut Vec<Secret>) {
    let mut done = 0;
    for at in memchr::memchr3_iter(b'%', b'\\', b'&', text) {
        let rest = text.get(at..).unwrap_or_default();
        if at < done || unescaped(rest).is_none() {
            continue;
        }
        // What has an escape is undone as a whole, as far as it goes without white space.
        let before = text.get(done..at).unwrap_or_default();
        let start = done + before.iter().rposition(u8::is_ascii_whitespace).map_or(0, |it| it + 1);
        let end = at + rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        done = end;
        in_run(text.get(start..end).unwrap_or_default(), start, depth, found);
    }
}

fn in_run(run: &[u8], start: usize, depth: usize, found: &mut Vec<Secret>) {
    let mut plain = Vec::with_capacity(run.len());
    // Where each byte was, and the end.
    let mut places = Vec::with_capacity(run.len() + 1);
    let mut at = 0;
    while let Some(byte) = run.get(at) {
        places.push(start + at);
        let (byte, length) = unescaped(run.get(at..).unwrap_or_default()).unwrap_or((*byte, 1));
        plain.push(byte);
        at += length;
    }
    places.push(start + run.len());
    let place = |it: usize| places.get(it).copied().unwrap_or(start + run.len());
    let secrets = inside(&plain, depth, false).into_iter();
    found.extend(secrets.map(|it| Secret::plain(it.kind, place(it.at.start)..place(it.at.end))));
}

/// Signs of tokens that have a name in HTML.
const NAMED: [(&[u8], u8); 8] = [
    (b"&lowbar;", b'_'),
    (b"&UnderBar;", b'_'),
    (b"&hyphen;", b'-'),
    (b"&period;", b'.'),
    (b"&sol;", b'/'),
    (b"&equals;", b'='),
    (b"&plus;", b'+'),
    (b"&colon;", b':'),
];

/// What an escape at the front stands for, and how long it is. Secrets are ASCII.
fn unescaped(text: &[u8]) -> Option<(u8, usize)> {
    let hex = |from: usize, to: usize| {
        let digits = std::str::from_utf8(text.get(from..to)?).ok()?;
        let is_hex = digits.bytes().all(|it| it.is_ascii_hexdigit());
        u8::from_str_radix(digits, 16).ok().filter(|it| is_hex && it.is_ascii())
    };
    match text {
        [b'%', ..] => Some((hex(1, 3)?, 3)),
        [b'\\', b'/', ..] => Some((b'/', 2)),
        [b'\\', b'x', ..] => Some((hex(2, 4)?, 4)),
        [b'\\', b'u', b'0', b'0', ..] => Some((hex(4, 6)?, 6)),
        [b'\\', b'u', b'{', ..] => {
            let length = text.iter().take(10).position(|it| *it == b'}')?;
            let digits = std::str::from_utf8(text.get(3..length)?).ok()?;
            let byte = u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii)?;
            Some((byte, length + 1))
        }
        [b'\\', b'U', b'0', b'0', b'0', b'0', b'0', b'0', ..] => Some((hex(8, 10)?, 10)),
        [b'&', b'#', ..] => {
            let length = text.iter().take(10).position(|it| *it == b';')?;
            let digits = std::str::from_utf8(text.get(2..length)?).ok()?;
            let byte = match digits.strip_prefix(['x', 'X']) {
                Some(digits) => u8::from_str_radix(digits, 16),
                None => digits.parse(),
            };
            Some((byte.ok().filter(u8::is_ascii)?, length + 1))
        }
        [b'&', ..] => {
            let (name, byte) = NAMED.iter().find(|(name, _)| text.starts_with(name))?;
            Some((*byte, name.len()))
        }
        _ => None,
    }
}
