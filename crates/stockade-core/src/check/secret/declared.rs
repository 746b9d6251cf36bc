//! Finds passwords where a language has words between the name and the value: the type of a variable,
//! the columns of a statement, the attributes of a field, and the login that `docker` keeps.

use std::ops::Range;

use data_encoding::BASE64;
use memchr::memmem;

use super::context::is_secret_name;
use super::password::{Found, Trust, is_password, is_password_name, is_word_byte};

/// So far from a word is looked for what it is a part of.
const NEAR: usize = 256;

/// The name before a type: `const password: string = `, `let password: &str = `, `val password: String? = `,
/// `public string Password { get; set; } = `.
pub(super) fn typed_name(text: &[u8], equals: usize) -> Option<&[u8]> {
    const TYPE_MAX: usize = 40;
    let before = text.get(equals.saturating_sub(TYPE_MAX + 64)..equals)?.trim_ascii_end();
    let head = match before.strip_suffix(b"}") {
        Some(accessors) => {
            let open = memchr::memrchr(b'{', accessors)?;
            memmem::find(accessors.get(open..)?, b"get;")?;
            accessors.get(..open)?
        }
        None => {
            let is_type = |it: &&u8| it.is_ascii_alphanumeric() || b"_&'<>?!.[]| ".contains(it);
            let length = before.iter().rev().take(TYPE_MAX).take_while(is_type).count();
            let head = before.get(..before.len() - length)?.strip_suffix(b":")?;
            head.strip_suffix(b"?").or_else(|| head.strip_suffix(b"!")).unwrap_or(head)
        }
    };
    let head = head.trim_ascii_end();
    let length = head.iter().rev().take_while(|it| is_word_byte(**it)).count();
    head.get(head.len() - length..).filter(|it| !it.is_empty())
}

/// Of a login as `docker` keeps it, `user:password` in Base64, whether it has a password.
pub(super) fn is_login(name: &[u8], value: &[u8]) -> bool {
    if !name.eq_ignore_ascii_case(b"auth") || value.len() > NEAR {
        return false;
    }
    let Ok(login) = BASE64.decode(value) else { return false };
    let Some(colon) = memchr::memchr(b':', &login) else { return false };
    let password = login.get(colon + 1..).unwrap_or_default();
    colon > 0 && login.iter().all(u8::is_ascii_graphic) && is_password(password, Trust::Full)
}

/// `<input type="password" value="…">`, `<input name="password" value="…">`, one of whose attributes is
/// this word.
pub(super) fn in_field(text: &[u8], word: &Range<usize>, found: &mut Found<'_>) {
    const NAMES: [&[u8]; 3] = [b"type=", b"name=", b"id="];
    let before = text.get(word.start.saturating_sub(NEAR)..word.start).unwrap_or_default();
    let Some((b'"' | b'\'', attribute)) = before.split_last() else { return };
    if !NAMES.iter().any(|it| attribute.ends_with(it)) {
        return;
    }
    let Some(open) = memchr::memrchr(b'<', before) else { return };
    let start = word.start - (before.len() - open);
    let rest = text.get(start..).unwrap_or_default();
    let rest = rest.get(..2 * NEAR).unwrap_or(rest);
    let tag = rest.get(..memchr::memchr(b'>', rest).unwrap_or(rest.len())).unwrap_or_default();
    if !tag.get(..6).is_some_and(|it| it.eq_ignore_ascii_case(b"<input")) {
        return;
    }
    let Some(at) = memmem::find(tag, b" value=").map(|it| it + b" value=".len()) else { return };
    let Some(quote @ (b'"' | b'\'')) = tag.get(at).copied() else { return };
    let value = tag.get(at + 1..).unwrap_or_default();
    let Some(length) = memchr::memchr(quote, value) else { return };
    let value = value.get(..length).unwrap_or_default();
    if is_one(value) {
        found("password", start + at + 1..start + at + 1 + length);
    }
}

/// `INSERT INTO users (name, password) VALUES ('bob', '…')`, one of whose columns is this word. Returns where
/// its rows end.
pub(super) fn in_insert(text: &[u8], word: &Range<usize>, found: &mut Found<'_>) -> usize {
    let before = text.get(word.start.saturating_sub(2 * NEAR)..word.start).unwrap_or_default();
    let Some(open) = memchr::memrchr(b'(', before) else { return word.end };
    let head = before.get(..open).unwrap_or_default().trim_ascii_end();
    let head = head.get(head.len().saturating_sub(96)..).unwrap_or_default().to_ascii_lowercase();
    let is_insert = [&b"insert into "[..], b"replace into "].iter().any(|it| {
        memmem::rfind(&head, it).is_some_and(|at| {
            let table = head.get(at + it.len()..).unwrap_or_default();
            !table.trim_ascii().iter().any(u8::is_ascii_whitespace)
        })
    });
    if !is_insert {
        return word.end;
    }
    let start = word.start - (before.len() - open) + 1;
    let rest = text.get(start..).unwrap_or_default();
    let Some(close) = memchr::memchr(b')', rest.get(..4 * NEAR).unwrap_or(rest)) else {
        return word.end;
    };
    let columns: Vec<bool> = rest
        .get(..close)
        .unwrap_or_default()
        .split(|it| *it == b',')
        .map(|it| {
            let is_quote = |it: &u8| it.is_ascii_whitespace() || b"\"`[]'".contains(it);
            let first = it.iter().position(|it| !is_quote(it)).unwrap_or(it.len());
            let last = it.iter().rposition(|it| !is_quote(it)).map_or(first, |it| it + 1);
            let name = it.get(first..last).unwrap_or_default();
            is_password_name(name) || is_secret_name(name)
        })
        .collect();
    let after = rest.get(close + 1..).unwrap_or_default();
    let blank = after.iter().take_while(|it| it.is_ascii_whitespace()).count();
    let values = after.get(blank..).unwrap_or_default();
    if !values.get(..6).is_some_and(|it| it.eq_ignore_ascii_case(b"values")) {
        return word.end;
    }
    let first = start + close + 1 + blank + 6;
    rows(text, first, &columns, found)
}

/// The rows of a statement, with what is in these columns of them. Returns where they end.
fn rows(text: &[u8], start: usize, columns: &[bool], found: &mut Found<'_>) -> usize {
    let mut at = start;
    let (mut column, mut is_in_row) = (0, false);
    while let Some(byte) = text.get(at) {
        match byte {
            b'\'' if is_in_row => {
                let end = end_of_text(text, at + 1);
                let value = text.get(at + 1..end).unwrap_or_default();
                if columns.get(column) == Some(&true) && is_one(value) {
                    found("password", at + 1..end);
                }
                at = end;
            }
            b'(' if !is_in_row => (column, is_in_row) = (0, true),
            b')' => is_in_row = false,
            b',' if is_in_row => column += 1,
            b',' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ if is_in_row => {}
            _ => break,
        }
        at += 1;
    }
    at
}

/// Where a text of SQL ends, in which a quote is written twice.
fn end_of_text(text: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let Some(quote) = memchr::memchr(b'\'', rest) else { return text.len() };
        at += quote;
        match text.get(at + 1) {
            Some(b'\'') => at += 2,
            _ => return at,
        }
    }
}

/// The name of the variable whose block this is in: `variable "db_password" { default = "…" }`.
pub(super) fn variable(text: &[u8], at: usize) -> Option<&[u8]> {
    const WORD: &[u8] = b"variable \"";
    let before = text.get(at.saturating_sub(2 * NEAR)..at)?;
    let start = memmem::rfind(before, WORD)? + WORD.len();
    let rest = before.get(start..)?;
    let name = rest.get(..memchr::memchr(b'"', rest)?)?;
    // The block is not over.
    let block = rest.get(name.len() + 1..)?;
    let count = |sign: u8| block.iter().filter(|it| **it == sign).count();
    (count(b'{') > count(b'}')).then_some(name)
}

/// The texts of a list of secrets.
pub(super) fn in_list(text: &[u8], list: Range<usize>, found: &mut Found<'_>) {
    let mut at = list.start;
    while let Some(open) = text.get(at..list.end).and_then(|it| memchr::memchr2(b'"', b'\'', it)) {
        let start = at + open + 1;
        let quote = text.get(start - 1).copied().unwrap_or_default();
        let rest = text.get(start..list.end).unwrap_or_default();
        let Some(length) = memchr::memchr(quote, rest) else { return };
        if is_one(rest.get(..length).unwrap_or_default()) {
            found("assigned-secret", start..start + length);
        }
        at = start + length + 1;
    }
}

/// `<key>password</key><string>…</string>`, whose first element ends here.
pub(super) fn in_plist(text: &[u8], close: usize, found: &mut Found<'_>) {
    const VALUE: &[u8] = b"<string>";
    let before = text.get(close.saturating_sub(64)..close).unwrap_or_default();
    let name = before.rsplit(|it| *it == b'>').next().unwrap_or_default();
    if !before.strip_suffix(name).is_some_and(|it| it.ends_with(b"<key>"))
        || !(is_secret_name(name) || is_password_name(name))
    {
        return;
    }
    let after = close + b"</key>".len();
    let rest = text.get(after..).unwrap_or_default();
    let rest = rest.get(..2 * NEAR).unwrap_or(rest);
    let is_blank = |it: &&u8| it.is_ascii_whitespace();
    let blank = rest.iter().take_while(is_blank).count();
    let Some(value) = rest.get(blank..).and_then(|it| it.strip_prefix(VALUE)) else { return };
    let Some(length) = memchr::memchr(b'<', value) else { return };
    let start = after + blank + VALUE.len();
    if is_one(value.get(..length).unwrap_or_default()) {
        found("assigned-secret", start..start + length);
    }
}

/// One word that is a password.
fn is_one(value: &[u8]) -> bool {
    !value.iter().any(u8::is_ascii_whitespace) && is_password(value, Trust::Some)
}
