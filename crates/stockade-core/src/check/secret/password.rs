//! Tells what is a password from what only stands where one could, and finds those of files of
//! settings, and those where a program keeps them. They have no form of their own, so each place is
//! one that says so.

use std::ops::Range;

use super::context::is_secret_name;
use super::option::{is_of_connection, is_of_mount, is_of_option};
use super::placeholder::is_placeholder;

/// The most bytes that a password is taken to have.
pub(super) const VALUE_MAX: usize = 256;
/// What is shorter is a password only where nothing else stands.
pub(super) const LENGTH_MIN: usize = 6;
/// So far behind a word is looked for what it is about.
pub(super) const LINE_MAX: usize = 512;

pub(super) type Found<'f> = dyn FnMut(&'static str, Range<usize>) + 'f;

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
    let is_word = value.len() < 4
        || stands_for_one(value)
        || is_placeholder(value)
        || is_path(value)
        || is_rule(value);
    if is_word
        || value.iter().all(|it| matches!(it, b'*' | b'-' | b'.' | b'x' | b'X' | b'?' | b'_'))
    {
        return false;
    }
    let letters = value.iter().filter(|it| it.is_ascii_alphabetic()).count();
    let digits = value.iter().filter(|it| it.is_ascii_digit()).count();
    let signs = value.iter().filter(|it| b"!@#%^&*+=?~".contains(it)).count();
    match trust {
        Trust::Full => letters + digits >= 4,
        Trust::Some => value.len() >= LENGTH_MIN && letters >= 2 && digits + signs > 0,
    }
}

/// Whether somebody has written a word for a password instead of one: it is all there is, or what is
/// beside it is nothing of a password. A part of another word (`Center2024!`) is none.
fn stands_for_one(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 23] = [
        b"string",
        b"false",
        b"true",
        b"null",
        b"none",
        b"optional",
        b"required",
        b"prompt",
        b"hidden",
        b"enter",
        b"sha256",
        b"sha512",
        b"base64",
        b"utf8",
        b"utf-8",
        b"bcrypt",
        b"scrypt",
        b"argon2",
        b"pbkdf2",
        b"undefined",
        b"my",
        b"the",
        b"some",
    ];
    is_about_one(value)
        || WORDS.iter().any(|word| {
            let here = |at: &usize| {
                let part = value.get(*at..at + word.len());
                part.is_some_and(|it| it.eq_ignore_ascii_case(word))
                    && is_bounded(value, *at, word.len())
            };
            // `my-…`, but not `soap-my`.
            let is_article = word.len() < 4 || *word == b"some";
            let found = (0..value.len())
                .find(here)
                .filter(|at| !is_article || value.get(at + word.len()) == Some(&b'-'));
            found.is_some_and(|at| !is_more(value, at..at + word.len()))
        })
}

/// The same, of what such a value is called: also within another word.
pub(super) fn is_about_one(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 4] = [b"password", b"passwd", b"secret", b"token"];
    WORDS.iter().any(|word| {
        let is = |it: &[u8]| it.eq_ignore_ascii_case(word);
        let at = value.windows(word.len()).position(is);
        at.is_some_and(|at| !is_more(value, at..at + word.len()))
    })
}

/// Whether a word ends where another begins: at a sign, or where the letters change their case.
fn is_bounded(value: &[u8], start: usize, length: usize) -> bool {
    let at = |it: usize| value.get(it).copied().unwrap_or_default();
    let joins = |a: u8, b: u8| {
        a.is_ascii_alphabetic()
            && b.is_ascii_alphabetic()
            && !(a.is_ascii_lowercase() && b.is_ascii_uppercase())
    };
    let end = start + length;
    (start == 0 || !joins(at(start - 1), at(start))) && !joins(at(end - 1), at(end))
}

/// Whether what stands beside a word makes a password of both: people add a sign and a number.
fn is_more(value: &[u8], word: Range<usize>) -> bool {
    let before = value.get(..word.start).unwrap_or_default();
    let after = value.get(word.end..).unwrap_or_default();
    // `&secret1` and `*secret1` are of a program.
    let leading = before.iter().take_while(|it| b"!&*@$~".contains(it)).count();
    let rest = || before.iter().skip(leading).chain(after);
    // An address, or a path of a package, is neither.
    let is_address = value.contains(&b'/') || value.contains(&b'@') && value.contains(&b'.');
    let signs = rest().filter(|it| b"!@#$^&*~".contains(it)).count();
    let others = rest().filter(|it| it.is_ascii_alphanumeric()).count();
    signs > 0 && others > 0 && !is_address
}

/// `varchar(64)`, `min:8`, `[a-z0-9]{8}`: what a password has to be.
pub(super) fn is_rule(value: &[u8]) -> bool {
    let letters = value.iter().take_while(|it| it.is_ascii_alphabetic() || **it == b'_').count();
    let rest = value.get(letters..).unwrap_or_default();
    let is_count = |it: &[u8]| {
        !it.is_empty() && it.len() <= 7 && it.iter().all(|it| it.is_ascii_digit() || *it == b',')
    };
    let within = |it: &[u8]| {
        it.strip_prefix(b"(").and_then(|it| it.strip_suffix(b")")).is_some_and(is_count)
    };
    let is_measure = letters >= 3 && rest.strip_prefix(b":").is_some_and(is_count);
    let is_class = value.contains(&b'[')
        && value.contains(&b']')
        && memchr::memmem::find(value, b"-z").is_some();
    letters > 0 && within(rest) || is_measure || is_class
}

/// `build-142`, `min-12`, `ERR_4012`, `RFC2617`, `12chars`: the name or the number of something.
pub(super) fn is_label(value: &[u8]) -> bool {
    let letters = |value: &[u8]| value.iter().take_while(|it| it.is_ascii_alphabetic()).count();
    let digits = |value: &[u8]| value.iter().take_while(|it| it.is_ascii_digit()).count();
    let first = letters(value);
    let word = value.get(..first).unwrap_or_default();
    let rest = value.get(first..).unwrap_or_default();
    let number = rest.strip_prefix(b"-").or_else(|| rest.strip_prefix(b"_"));
    let is_short = number.is_none() && word.iter().all(u8::is_ascii_uppercase);
    let number = number.or(is_short.then_some(rest)).unwrap_or_default();
    let is_numbered = first > 0 && !number.is_empty() && digits(number) == number.len();
    let count = digits(value);
    let unit = value.get(count..).unwrap_or_default();
    let is_count = (1..=3).contains(&count) && unit.len() >= 4 && letters(unit) == unit.len();
    is_numbered || is_count
}

/// Of what is wrong with a password, and of where one is kept: `INVALID_PASSWORD`, `existingSecret`.
pub(super) fn is_about_name(name: &[u8]) -> bool {
    const BEGINS: [&[u8]; 12] = [
        b"wrong",
        b"invalid",
        b"incorrect",
        b"bad",
        b"weak",
        b"missing",
        b"expired",
        b"existing",
        b"mismatched",
        b"forgot",
        b"forgotten",
        b"unknown",
    ];
    const ENDS: [&[u8]; 5] = [b"password", b"passwd", b"secret", b"token", b"credentials"];
    ENDS.iter().any(|end| {
        let Some(length) = name.len().checked_sub(end.len()).filter(|_| ends_with(name, end))
        else {
            return false;
        };
        let before = name.get(..length).unwrap_or_default();
        let before =
            before.strip_suffix(b"_").or_else(|| before.strip_suffix(b"-")).unwrap_or(before);
        BEGINS.iter().any(|it| ends_with(before, it))
    })
}

/// Whether a name says that its value is a password, in the letters of any language of programs.
pub(super) fn is_password_name(name: &[u8]) -> bool {
    const ENDS: [&[u8]; 4] = [b"password", b"passwd", b"passphrase", b"passwort"];
    ENDS.iter().any(|it| ends_with(name, it)) && !is_about_name(name)
        || name.eq_ignore_ascii_case(b"pass")
        || name.ends_with(b"_PASS")
        || name.ends_with(b"_pass")
        || is_hyphenated(name)
}

/// `db-pass`, and none of the passes that are something else: `low-pass`, `two-pass`.
fn is_hyphenated(name: &[u8]) -> bool {
    const OTHERS: [&[u8]; 18] = [
        b"low",
        b"high",
        b"band",
        b"all",
        b"by",
        b"one",
        b"two",
        b"three",
        b"single",
        b"multi",
        b"first",
        b"second",
        b"third",
        b"next",
        b"last",
        b"test",
        b"boarding",
        b"season",
    ];
    let Some(before) = name.len().checked_sub(5).filter(|_| ends_with(name, b"-pass")) else {
        return false;
    };
    let before = name.get(..before).unwrap_or_default();
    let word = before.rsplit(|it| matches!(it, b'-' | b'_' | b'.')).next().unwrap_or_default();
    !word.is_empty() && !OTHERS.iter().any(|it| it.eq_ignore_ascii_case(word))
}

pub(super) fn ends_with(name: &[u8], end: &[u8]) -> bool {
    let start = name.len().checked_sub(end.len());
    start.and_then(|it| name.get(it..)).is_some_and(|it| it.eq_ignore_ascii_case(end))
}

pub(super) fn is_word_byte(it: u8) -> bool {
    it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.')
}

/// A path, which programs have where others have a password: `PWD=/home/bob`, `/run/secrets/x`.
pub(super) fn is_path(value: &[u8]) -> bool {
    let is_part = |it: &u8| is_word_byte(*it) || *it == b'/';
    let slashes = value.iter().filter(|it| **it == b'/').count();
    (value.starts_with(b"/") && slashes >= 2
        || value.starts_with(b"~/")
        || value.starts_with(b"./"))
        && value.iter().skip(1).all(is_part)
}

/// In a file of settings, what is assigned to the name from `name` on: on a line of its own, with
/// nothing behind it but a comment.
pub(super) fn setting(text: &[u8], name: Range<usize>, sign: usize) -> Option<Range<usize>> {
    let called = text.get(name.clone())?;
    let is_password_name = is_password_name(called) || ends_with(called, b"pwd");
    let is_directory = called == b"PWD" || called == b"OLDPWD";
    let is_env =
        called.iter().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || *it == b'_');
    let equals = text.get(sign) == Some(&b'=');
    let is_option = equals
        && (called.starts_with(b"--")
            || called.starts_with(b"ansible_")
            || is_of_option(text.get(..name.start)?));
    let rest = text.get(sign + 1..)?;
    let rest = rest.get(..VALUE_MAX).unwrap_or(rest);
    // `**Password:** …`
    let before = text.get(..name.start)?;
    let is_inside =
        !equals && is_password_name && before.ends_with(b"**") && rest.starts_with(b"**");
    // `**Password**: …`
    let outside = text.get(name.end..sign)?.trim_ascii_end();
    let is_outside = !outside.is_empty()
        && !equals
        && is_password_name
        && outside.iter().all(|it| matches!(it, b'*' | b'`'))
        && before.ends_with(outside);
    let is_bold = is_inside || is_outside;
    let mark = if is_inside { 2 } else { 0 };
    let before_name = if is_outside { outside.len() } else { mark };
    let is_blank = |it: &&u8| matches!(it, b' ' | b'\t') || is_bold && **it == b'`';
    let mut blank = mark + rest.iter().skip(mark).take_while(is_blank).count();
    if !equals && is_password_name {
        blank += block(rest.get(blank..)?);
    }
    // `a: b` has a space, and so has a program's `a = b`.
    if !equals && blank == 0 {
        return None;
    }
    let is_part = |it: &u8| !it.is_ascii_whitespace() && !b"\"'`<>(){}[],;\\|".contains(it);
    let length = rest.iter().skip(blank).take_while(|it| is_part(it)).count();
    let value = sign + 1 + blank..sign + 1 + blank + length;
    let behind = text.get(value.end..).unwrap_or_default();
    let behind = behind.iter().find(|it| !matches!(it, b' ' | b'\t'));
    let is_last =
        behind.is_none_or(|it| matches!(it, b'\n' | b'\r' | b'#') || is_bold && *it == b'`');
    let is_parameter = equals
        && matches!(text.get(name.start.wrapping_sub(1)), Some(b';'))
        && matches!(behind, None | Some(b';' | b'"' | b'\'' | b'\n'));
    let is_of_mount = equals && blank == 0 && is_password_name && is_of_mount(before, behind);
    let is_line = is_line(text, name.start - before_name, is_env);
    if is_line
        && !is_bold
        && let Some(value) = in_quotes(text, called, sign + 1 + blank)
    {
        return Some(value);
    }
    let is_of_connection =
        equals && blank == 0 && is_password_name && is_of_connection(text, &name, value.end);
    let bytes = text.get(value.clone())?;
    if is_directory && bytes.starts_with(b"/")
        || bytes.starts_with(b"$")
        || bytes.contains(&b':') && !equals && bytes.contains(&b'/')
    {
        return None;
    }
    let is_secret = if is_parameter || is_option || is_of_connection || is_of_mount {
        is_password_name && is_password(bytes, Trust::Some)
    } else if is_line && is_env && equals && blank == 0 && !is_last {
        // What a command is given: `PGPASSWORD=… psql`.
        let is_next = text.get(value.end) == Some(&b' ');
        is_password_name && is_next && is_password(bytes, Trust::Some)
    } else if !is_last || !is_line {
        false
    } else if is_env && equals && blank == 0 {
        match is_password_name {
            true => is_password(bytes, Trust::Full),
            false => {
                // Of secrets that people make up, and not programs.
                let least = if ends_with(called, b"SECRET") { 8 } else { 12 };
                bytes.len() >= least
                    && is_password(bytes, Trust::Some)
                    && !bytes.contains(&b'.')
                    && !is_label(bytes)
            }
        }
    } else {
        let is_type = bytes.len() < 6
            || bytes.contains(&b'.') && !bytes.iter().any(|it| b"!@#$%^&*".contains(it));
        let is_result = called.eq_ignore_ascii_case(b"pass") && is_label(bytes);
        is_password_name
            && !is_type
            && is_password(bytes, Trust::Some)
            && !is_number(bytes)
            && !is_result
    };
    is_secret.then_some(value)
}

/// What is called a `pass` in a file of settings, in quotes: `pass = '…'`.
fn in_quotes(text: &[u8], name: &[u8], start: usize) -> Option<Range<usize>> {
    if is_secret_name(name) || !is_password_name(name) {
        return None;
    }
    let quote = text.get(start).copied().filter(|it| matches!(it, b'"' | b'\''))?;
    let rest = text.get(start + 1..)?;
    let length = memchr::memchr2(quote, b'\n', rest.get(..VALUE_MAX).unwrap_or(rest))?;
    let value = rest.get(..length)?;
    let behind = rest.get(length + 1..)?.iter().find(|it| !matches!(it, b' ' | b'\t'));
    let is_last = behind.is_none_or(|it| matches!(it, b'\n' | b'\r' | b'#' | b','));
    let is_one = rest.get(length) == Some(&quote)
        && is_last
        && !value.iter().any(u8::is_ascii_whitespace)
        && !is_label(value)
        && !is_version(value);
    (is_one && is_password(value, Trust::Some)).then_some(start + 1..start + 1 + length)
}

/// How long the head of a block of text in YAML is (`|`, `>-`) with the white space before its first line.
fn block(rest: &[u8]) -> usize {
    let head = match rest {
        [b'|' | b'>', b'-' | b'+', ..] => 2,
        [b'|' | b'>', ..] => 1,
        _ => return 0,
    };
    let rest = rest.get(head..).unwrap_or_default();
    let line = rest.strip_prefix(b"\r").unwrap_or(rest);
    let blank = rest.iter().take_while(|it| it.is_ascii_whitespace()).count();
    let is_indented = line.starts_with(b"\n ") || line.starts_with(b"\n\t");
    if is_indented { head + blank } else { 0 }
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
        b"" | b"-" | b"export" | b"set" | b"ENV" | b"ARG" | b"- -" | b"readonly" | b"declare"
        | b"declare -r" | b"declare -x" | b"typeset" => true,
        // `docker run -e DB_PASSWORD=…`, and before a command.
        _ => {
            const BEFORE: [&[u8]; 8] =
                [b" -e", b"--env", b"$", b"#", b"env", b"sudo", b"&&", b"then"];
            is_env && BEFORE.iter().any(|it| line.ends_with(it))
        }
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
    trust_of(label, name)
}

/// The same where the name comes behind the value, which ends here: `{"value": "…", "name": "DB_PASSWORD"}`.
pub(super) fn name_behind(text: &[u8], value: usize) -> Option<Trust> {
    const BYTES_MAX: usize = 160;
    let rest = text.get(value..)?;
    let rest = rest.get(..BYTES_MAX).unwrap_or(rest);
    let is_between = |it: &u8| it.is_ascii_whitespace() || b"\"',\\".contains(it);
    let start = rest.iter().position(|it| !is_between(it))?;
    // In what was quoted once more, the end of a line is two letters.
    let start =
        start + usize::from(rest.get(..start)?.ends_with(b"\\") && rest.get(start) == Some(&b'n'));
    let mut words = rest.get(start..)?.split(|it| !is_word_byte(*it)).filter(|it| !it.is_empty());
    trust_of(words.next()?, words.next()?)
}

fn trust_of(label: &[u8], name: &[u8]) -> Option<Trust> {
    let is_label = [&b"name"[..], b"key", b"Name", b"Key", b"variable"].contains(&label);
    if !is_label || !is_secret_name(name) && !is_password_name(name) {
        return None;
    }
    Some(if is_password_name(name) { Trust::Full } else { Trust::Some })
}

/// What `crypt` makes of a password: `user:$6$…`, `user:$apr1$…`, `user:{SHA}…`.
pub(super) fn hash(text: &[u8], colon: usize) -> Option<Range<usize>> {
    const BEGINS: [&[u8]; 14] = [
        b"$1$",
        b"$2a$",
        b"$2b$",
        b"$2y$",
        b"$5$",
        b"$6$",
        b"$7$",
        b"$y$",
        b"$gy$",
        b"$apr1$",
        b"$argon2",
        b"$scrypt$",
        b"{SHA}",
        b"{SSHA}",
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
        !it.is_empty()
            && (it == b"*" || !it.iter().all(u8::is_ascii_digit))
            && it.iter().all(|it| is_word_byte(*it) || *it == b'*')
    };
    let is_one = is_host && none.is_none() && is_name(database) && is_name(user);
    let start = colon + 1 + end - password.len();
    // `file:line:error:note:text` is from a compiler.
    let trust = if rest.starts_with(b"543") || host == b"*" { Trust::Full } else { Trust::Some };
    let is_sure = trust == Trust::Full || !is_version(password);
    (is_one && is_sure && is_password(password, trust)).then_some(start..start + password.len())
}

/// `v1.2.3rc1`, `8.0-alpine3`
pub(super) fn is_version(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"v").unwrap_or(value);
    let major = value.iter().take_while(|it| it.is_ascii_digit()).count();
    major > 0
        && value.get(major) == Some(&b'.')
        && value.get(major + 1).is_some_and(u8::is_ascii_digit)
}
