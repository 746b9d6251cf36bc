//! Finds passwords by where they stand: in files of settings, in tables, on command lines, and where
//! a program keeps them. They have no form of their own, so each place is one that says so.

use std::ops::Range;

use memchr::memmem;

use super::context::is_secret_name;
use super::placeholder::is_placeholder;

/// The most bytes that a password is taken to have.
const VALUE_MAX: usize = 256;
/// So far behind a word is looked for what it is about.
const LINE_MAX: usize = 512;

type Found<'f> = dyn FnMut(&'static str, Range<usize>) + 'f;

/// Calls `found` with each password that a command, a file of logins, an element or a table has.
pub(super) fn placed(text: &[u8], found: &mut Found<'_>) {
    // Most texts have none of these words, and nearly all have few.
    let mut has_table = false;
    for at in memmem::find_iter(text, b"ass") {
        let word = word_around(text, at);
        let name = text.get(word.clone()).unwrap_or_default();
        if !is_password_name(name) && !ends_with(name, b"sshpass") {
            continue;
        }
        let before = word.start.checked_sub(1).and_then(|it| text.get(it));
        match text.get(word.end) {
            Some(b'>') if before == Some(&b'<') => in_element(text, &word, found),
            Some(b' ' | b'\t') if name == b"sshpass" => after_option(text, word.end, b"-p", found),
            Some(b' ') if name.starts_with(b"--") => {
                one(text, word.end + 1, Trust::Some, "password", found);
            }
            Some(b' ' | b'\t' | b'\n' | b'\r') if is_of_netrc(text, word.start) => {
                let blank = text.get(word.end..).unwrap_or_default();
                let blank = blank.iter().take_while(|it| it.is_ascii_whitespace()).count();
                one(text, word.end + blank, Trust::Full, "password", found);
            }
            _ => {}
        }
        has_table |= !has_table && is_cell(text, &word);
    }
    if has_table {
        in_tables(text, found);
    }
    // A line is looked at once, however often it has the word.
    let mut done = 0;
    for at in memmem::find_iter(text, b"curl ") {
        if at < done {
            continue;
        }
        let line = line_from(text, at);
        done = line.end;
        for option in [&b" -u "[..], b" --user ", b" --user="] {
            if let Some(there) = memmem::find(text.get(line.clone()).unwrap_or_default(), option) {
                user_and_password(text, line.start + there + option.len(), found);
            }
        }
    }
    for program in [&b"mysql"[..], b"mariadb"] {
        let mut done = 0;
        for at in memmem::find_iter(text, program) {
            if at < done {
                continue;
            }
            let line = line_from(text, at);
            done = line.end;
            let rest = text.get(line.clone()).unwrap_or_default();
            for there in memmem::find_iter(rest, b" -p") {
                let start = line.start + there + 3;
                let is_port = text.get(start).is_some_and(u8::is_ascii_digit);
                if !is_port {
                    one(text, start, Trust::Some, "password", found);
                }
            }
        }
    }
}

/// How sure it is that what stands there is a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing else stands there.
    Full,
    /// Manuals and programs have names of passwords there.
    Some,
}

/// Whether this is a password, and no word that stands for one.
pub(super) fn is_password(value: &[u8], trust: Trust) -> bool {
    const STANDS: [&[u8]; 26] = [
        b"password", b"passwd", b"secret", b"token", b"string", b"false", b"true", b"null", b"none",
        b"optional", b"required", b"prompt", b"hidden", b"enter", b"sha256", b"sha512", b"base64",
        b"utf8", b"utf-8", b"bcrypt", b"argon2", b"pbkdf2", b"undefined", b"my-", b"the-", b"some-",
    ];
    let has = |it: &&[u8]| value.windows(it.len()).any(|part| part.eq_ignore_ascii_case(it));
    let is_word = value.len() < 4 || STANDS.iter().any(has) || is_placeholder(value);
    if is_word || value.iter().all(|it| matches!(it, b'*' | b'-' | b'.' | b'x' | b'X' | b'?' | b'_')) {
        return false;
    }
    let letters = value.iter().filter(|it| it.is_ascii_alphabetic()).count();
    let digits = value.iter().filter(|it| it.is_ascii_digit()).count();
    let signs = value.iter().filter(|it| b"!@#%^&*+=?~".contains(it)).count();
    match trust {
        Trust::Full => letters + digits >= 4,
        Trust::Some => value.len() >= 6 && letters >= 2 && digits + signs > 0,
    }
}

/// Whether a name says that its value is a password, in the letters of any language of programs.
pub(super) fn is_password_name(name: &[u8]) -> bool {
    const ENDS: [&[u8]; 4] = [b"password", b"passwd", b"passphrase", b"passwort"];
    ENDS.iter().any(|it| ends_with(name, it))
        || name.eq_ignore_ascii_case(b"pass")
        || name.ends_with(b"_PASS")
        || name.ends_with(b"_pass")
}

fn ends_with(name: &[u8], end: &[u8]) -> bool {
    let start = name.len().checked_sub(end.len());
    start.and_then(|it| name.get(it..)).is_some_and(|it| it.eq_ignore_ascii_case(end))
}

fn is_word_byte(it: u8) -> bool {
    it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.')
}

fn word_around(text: &[u8], at: usize) -> Range<usize> {
    const WORD_MAX: usize = 48;
    let before = text.get(at.saturating_sub(WORD_MAX)..at).unwrap_or_default();
    let start = at - before.iter().rev().take_while(|it| is_word_byte(**it)).count();
    let after = text.get(at..).unwrap_or_default();
    start..at + after.iter().take(WORD_MAX).take_while(|it| is_word_byte(**it)).count()
}

fn line_from(text: &[u8], at: usize) -> Range<usize> {
    let rest = text.get(at..).unwrap_or_default();
    let rest = rest.get(..LINE_MAX).unwrap_or(rest);
    at..at + memchr::memchr(b'\n', rest).unwrap_or(rest.len())
}

/// One word of a command line, or what is between quotes.
fn token(text: &[u8], start: usize) -> Range<usize> {
    let quote = text.get(start).copied().filter(|it| matches!(it, b'"' | b'\''));
    let start = start + usize::from(quote.is_some());
    let rest = text.get(start..).unwrap_or_default();
    let is_end = |it: &u8| match quote {
        Some(quote) => *it == quote || *it == b'\n',
        None => it.is_ascii_whitespace() || b"\"'`,;|)<>".contains(it),
    };
    let rest = rest.get(..VALUE_MAX).unwrap_or(rest);
    start..start + rest.iter().position(is_end).unwrap_or(rest.len())
}

fn one(text: &[u8], start: usize, trust: Trust, kind: &'static str, found: &mut Found<'_>) {
    let at = token(text, start);
    let value = text.get(at.clone()).unwrap_or_default();
    let is_call = matches!(text.get(at.end), Some(b'(' | b'<')) || value.contains(&b'(');
    if !value.starts_with(b"-") && !is_call && is_password(value, trust) {
        found(kind, at);
    }
}

/// `sshpass -p value`.
fn after_option(text: &[u8], from: usize, option: &[u8], found: &mut Found<'_>) {
    let line = line_from(text, from);
    let rest = text.get(line.clone()).unwrap_or_default();
    if let Some(there) = memmem::find(rest, option) {
        let start = line.start + there + option.len();
        let blank = usize::from(text.get(start) == Some(&b' '));
        one(text, start + blank, Trust::Full, "password", found);
    }
}

/// `user:password`.
fn user_and_password(text: &[u8], start: usize, found: &mut Found<'_>) {
    let at = token(text, start);
    let pair = text.get(at.clone()).unwrap_or_default();
    let Some(colon) = memchr::memchr(b':', pair) else { return };
    let password = at.start + colon + 1..at.end;
    let value = text.get(password.clone()).unwrap_or_default();
    if colon > 0 && is_password(value, Trust::Full) {
        found("password", password);
    }
}

/// `machine host login user password …`, in this order, over lines or on one.
fn is_of_netrc(text: &[u8], password: usize) -> bool {
    let before = text.get(password.saturating_sub(LINE_MAX)..password).unwrap_or_default();
    let mut words = before.rsplit(u8::is_ascii_whitespace).filter(|it| !it.is_empty());
    let (user, login) = (words.next(), words.next());
    let (host, machine) = (words.next(), words.next());
    user.is_some()
        && login == Some(b"login")
        && (machine == Some(b"machine") || host == Some(b"default"))
}

/// `<password>…</password>`
fn in_element(text: &[u8], name: &Range<usize>, found: &mut Found<'_>) {
    let rest = text.get(name.end + 1..).unwrap_or_default();
    let rest = rest.get(..VALUE_MAX).unwrap_or(rest);
    let Some(end) = memchr::memchr(b'<', rest) else { return };
    let value = rest.get(..end).unwrap_or_default();
    let closes = text.get(name.end + 1 + end..).unwrap_or_default();
    let is_closed = closes.strip_prefix(b"</").is_some_and(|it| {
        it.starts_with(text.get(name.clone()).unwrap_or_default())
    });
    let is_one = !value.iter().any(u8::is_ascii_whitespace);
    if is_closed && is_one && is_password(value, Trust::Some) {
        found("password", name.end + 1..name.end + 1 + end);
    }
}

/// Whether a word is what stands between two bars of a table.
fn is_cell(text: &[u8], word: &Range<usize>) -> bool {
    let blank = |it: &&u8| matches!(it, b' ' | b'\t' | b'*');
    let after = text.get(word.end..).unwrap_or_default().iter().take(80).find(|it| !blank(it));
    let before = text.get(..word.start).unwrap_or_default().iter().rev().take(80).find(|it| !blank(it));
    let is_bar = |it: Option<&u8>| it == Some(&b'|');
    let is_edge = |it: Option<&u8>| it.is_none_or(|it| matches!(it, b'\n' | b'\r'));
    is_bar(after) && (is_bar(before) || is_edge(before)) || is_bar(before) && is_edge(after)
}

/// Tables whose heading has a column of passwords: in Markdown, and as databases print them.
fn in_tables(text: &[u8], found: &mut Found<'_>) {
    let mut heading: Option<&[u8]> = None;
    let mut column: Option<usize> = None;
    let mut start = 0;
    for line in text.split(|it| *it == b'\n') {
        let at = start;
        start += line.len() + 1;
        if is_rule(line) {
            column = column.or_else(|| heading.and_then(password_column));
            continue;
        }
        if !line.contains(&b'|') {
            (heading, column) = (None, None);
            continue;
        }
        heading = Some(line);
        let Some((_, cell)) = column.and_then(|it| cells(line).nth(it)) else { continue };
        let value = trimmed(line, cell);
        let bytes = line.get(value.clone()).unwrap_or_default();
        if !bytes.contains(&b' ') && is_password(bytes, Trust::Some) {
            found("password", at + value.start..at + value.end);
        }
    }
}

/// The line between the heading and the rows.
fn is_rule(line: &[u8]) -> bool {
    let dashes = line.iter().filter(|it| matches!(it, b'-' | b'=')).count();
    dashes >= 3 && line.iter().all(|it| b"|+-=: \r\t".contains(it))
}

fn password_column(heading: &[u8]) -> Option<usize> {
    cells(heading).position(|(_, cell)| {
        let name = heading.get(trimmed(heading, cell)).unwrap_or_default();
        is_password_name(name) || ends_with(name, b"password_hash")
    })
}

/// The cells of a line, with their numbers.
fn cells(line: &[u8]) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut start = 0;
    line.split(|it| *it == b'|').enumerate().map(move |(number, cell)| {
        let at = start..start + cell.len();
        start = at.end + 1;
        (number, at)
    })
}

fn trimmed(line: &[u8], cell: Range<usize>) -> Range<usize> {
    let blank = |it: &&u8| matches!(it, b' ' | b'\t' | b'\r' | b'`' | b'*');
    let bytes = line.get(cell.clone()).unwrap_or_default();
    let before = bytes.iter().take_while(blank).count();
    let after = bytes.iter().rev().take(bytes.len() - before).take_while(blank).count();
    cell.start + before..cell.end - after
}

/// In a file of settings, what is assigned to the name from `name` on: on a line of its own, with
/// nothing behind it but a comment.
pub(super) fn setting(text: &[u8], name: Range<usize>, sign: usize) -> Option<Range<usize>> {
    let called = text.get(name.clone())?;
    let is_password_name = is_password_name(called) || ends_with(called, b"pwd");
    let is_env = called.iter().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || *it == b'_');
    let equals = text.get(sign) == Some(&b'=');
    let is_option = called.starts_with(b"--") && equals;
    let rest = text.get(sign + 1..)?;
    let rest = rest.get(..VALUE_MAX).unwrap_or(rest);
    let blank = rest.iter().take_while(|it| matches!(it, b' ' | b'\t')).count();
    // `a: b` has a space, and so has a program's `a = b`.
    if !equals && blank == 0 {
        return None;
    }
    let is_part = |it: &u8| !it.is_ascii_whitespace() && !b"\"'`<>(){}[],;\\|".contains(it);
    let length = rest.iter().skip(blank).take_while(|it| is_part(it)).count();
    let value = sign + 1 + blank..sign + 1 + blank + length;
    let behind = text.get(value.end..).unwrap_or_default();
    let behind = behind.iter().find(|it| !matches!(it, b' ' | b'\t'));
    let is_last = behind.is_none_or(|it| matches!(it, b'\n' | b'\r' | b'#'));
    let is_parameter = equals
        && matches!(text.get(name.start.wrapping_sub(1)), Some(b';'))
        && matches!(behind, None | Some(b';' | b'"' | b'\'' | b'\n'));
    let is_line = is_line(text, name.start, is_env);
    let bytes = text.get(value.clone())?;
    if bytes.starts_with(b"$") || bytes.contains(&b':') && !equals && bytes.contains(&b'/') {
        return None;
    }
    let is_secret = if is_parameter || is_option {
        is_password_name && is_password(bytes, Trust::Some)
    } else if !is_last || !is_line {
        false
    } else if is_env && equals && blank == 0 {
        match is_password_name {
            true => is_password(bytes, Trust::Full),
            false => bytes.len() >= 12 && is_password(bytes, Trust::Some) && !bytes.contains(&b'.'),
        }
    } else {
        let is_type = bytes.len() < 6 || bytes.contains(&b'.') && !bytes.iter().any(|it| b"!@#$%^&*".contains(it));
        is_password_name && !is_type && is_password(bytes, Trust::Some) && !is_number(bytes)
    };
    is_secret.then_some(value)
}

fn is_number(value: &[u8]) -> bool {
    value.iter().all(|it| it.is_ascii_digit() || matches!(it, b'.' | b'_' | b'-'))
}

/// Whether a name is the first of its line, but for what files of settings have there.
fn is_line(text: &[u8], name: usize, is_env: bool) -> bool {
    let before = text.get(name.saturating_sub(40)..name).unwrap_or_default();
    let line = before.rsplit(|it| *it == b'\n').next().unwrap_or_default();
    let line = line.trim_ascii();
    match line {
        b"" | b"-" | b"export" | b"set" | b"ENV" | b"- -" => true,
        // `docker run -e DB_PASSWORD=…`
        _ => is_env && (line.ends_with(b" -e") || line.ends_with(b"--env")),
    }
}

/// Of a pair such as `name: DB_PASSWORD`, `value: …`, whether the name before `value` says that it is
/// a secret, and whether that is a password.
pub(super) fn name_of_value(text: &[u8], value: usize) -> Option<Trust> {
    const BYTES_MAX: usize = 160;
    let before = text.get(value.saturating_sub(BYTES_MAX)..value)?;
    let mut words = before
        .rsplit(|it| !is_word_byte(*it))
        .filter(|it| !it.is_empty() && *it != b"-" && *it != b"n");
    let (name, label) = (words.next()?, words.next()?);
    let is_label = [&b"name"[..], b"key", b"Name", b"Key", b"variable"].contains(&label);
    if !is_label || !is_secret_name(name) {
        return None;
    }
    Some(if is_password_name(name) { Trust::Full } else { Trust::Some })
}

/// What `crypt` makes of a password: `user:$6$…`, `user:$apr1$…`, `user:{SHA}…`.
pub(super) fn hash(text: &[u8], colon: usize) -> Option<Range<usize>> {
    const BEGINS: [&[u8]; 14] = [
        b"$1$", b"$2a$", b"$2b$", b"$2y$", b"$5$", b"$6$", b"$7$", b"$y$", b"$gy$", b"$apr1$",
        b"$argon2", b"$scrypt$", b"{SHA}", b"{SSHA}",
    ];
    const LENGTH_MIN: usize = 20;
    let rest = text.get(colon + 1..)?;
    matches!(rest.first(), Some(b'$' | b'{')).then_some(())?;
    BEGINS.iter().any(|it| rest.starts_with(it)).then_some(())?;
    let is_part = |it: &&u8| it.is_ascii_alphanumeric() || b"$./+=,{}-_".contains(it);
    let length = rest.iter().take(VALUE_MAX).take_while(is_part).count();
    (length >= LENGTH_MIN).then_some(colon + 1..colon + 1 + length)
}

/// `host:port:database:user:password`, whose second part begins behind `colon`.
pub(super) fn pgpass(text: &[u8], colon: usize) -> Option<Range<usize>> {
    let rest = text.get(colon + 1..)?;
    matches!(rest.first(), Some(b'1'..=b'9' | b'*')).then_some(())?;
    let port = rest.iter().take(6).take_while(|it| it.is_ascii_digit()).count();
    let is_port = (4..=5).contains(&port) || rest.starts_with(b"*:");
    is_port.then_some(())?;
    let rest = rest.get(..LINE_MAX).unwrap_or(rest);
    let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
    let line = rest.get(..end)?;
    let mut parts = line.split(|it| *it == b':');
    let (_, database, user) = (parts.next()?, parts.next()?, parts.next()?);
    let (password, none) = (parts.next()?, parts.next());
    let before = text.get(colon.saturating_sub(80)..colon)?;
    let host = before.rsplit(u8::is_ascii_whitespace).next()?;
    let is_host = host == b"*"
        || host.iter().any(u8::is_ascii_alphabetic) && host.iter().all(|it| is_word_byte(*it))
        || host.iter().filter(|it| **it == b'.').count() == 3;
    let is_name = |it: &[u8]| {
        !it.is_empty() && (it == b"*" || !it.iter().all(u8::is_ascii_digit))
            && it.iter().all(|it| is_word_byte(*it) || *it == b'*')
    };
    let is_one = is_host && none.is_none() && is_name(database) && is_name(user);
    let start = colon + 1 + end - password.len();
    // `file:line:error:note:text` is from a compiler.
    let trust = if rest.starts_with(b"543") || host == b"*" { Trust::Full } else { Trust::Some };
    (is_one && is_password(password, trust)).then_some(start..start + password.len())
}
