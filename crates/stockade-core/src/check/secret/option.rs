//! Tells whether a name is one of those that an option, a mount or a connection has values for.

use std::ops::Range;

use super::password::is_word_byte;

/// Whether a name is one of those that an option is given values for: `--from-literal=password=…`,
/// `--set a=b,db.password=…`, `-e "DB_PASSWORD=…"`.
pub(super) fn is_of_option(before: &[u8]) -> bool {
    const NEAR: usize = 160;
    const OPTIONS: [&[u8]; 13] = [
        b"--set",
        b"--set-string",
        b"--set-literal",
        b"--from-literal",
        b"--build-arg",
        b"--build-var",
        b"--var",
        b"-var",
        b"--env",
        b"-e",
        b"--extra-vars",
        b"--param",
        b"--opt",
    ];
    let before = before.get(before.len().saturating_sub(NEAR)..).unwrap_or_default();
    let line = before.rsplit(|it| *it == b'\n').next().unwrap_or_default();
    let mut words = line.rsplit(|it| matches!(it, b' ' | b'\t' | b'"' | b'\''));
    let Some(joined) = words.next() else { return false };
    let option = match joined.split(|it| *it == b'=').next() {
        Some(it) if it.starts_with(b"-") => Some(it),
        _ if joined.is_empty() || joined.ends_with(b",") => words.find(|it| !it.is_empty()),
        _ => None,
    };
    option.is_some_and(|it| OPTIONS.contains(&it.strip_suffix(b"=").unwrap_or(it)))
}

/// Whether a name is one of the options by which a share is mounted: `username=bob,password=…`.
pub(super) fn is_of_mount(before: &[u8], behind: Option<&u8>) -> bool {
    const NEAR: usize = 160;
    let before = before.get(before.len().saturating_sub(NEAR)..).unwrap_or_default();
    let options = before.rsplit(u8::is_ascii_whitespace).next().unwrap_or_default();
    let is_plain = |it: &u8| is_word_byte(*it) || b"=,\\/:@\"'".contains(it);
    options.ends_with(b",")
        && options.iter().all(is_plain)
        && memchr::memmem::find(options, b"user").is_some()
        && behind.is_none_or(|it| !matches!(it, b')' | b'(' | b'[' | b'.'))
}

/// Whether a name is one of a row for a database: `host=db user=sa password=… dbname=x`.
pub(super) fn is_of_connection(text: &[u8], name: &Range<usize>, end: usize) -> bool {
    const NEAR: usize = 160;
    const KEYS: [&[u8]; 4] = [b"host=", b"hostaddr=", b"dbname=", b"service="];
    let before = text.get(name.start.saturating_sub(NEAR)..name.start).unwrap_or_default();
    let before = before.rsplit(|it| *it == b'\n').next().unwrap_or_default();
    let after = text.get(end..).unwrap_or_default();
    let after = after.get(..NEAR).unwrap_or(after);
    let after = after.split(|it| *it == b'\n').next().unwrap_or_default();
    let has_key = |part: &[u8]| {
        part.split(|it| matches!(it, b' ' | b'"' | b'\''))
            .any(|word| KEYS.iter().any(|it| word.starts_with(it)))
    };
    (before.is_empty()
        || before.ends_with(b" ")
        || before.ends_with(b"\"")
        || before.ends_with(b"'"))
        && (has_key(before) || has_key(after))
}
