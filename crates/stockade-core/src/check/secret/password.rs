//! Tells what is a password from what only stands where one could, and finds those of files of
//! settings, and those where a program keeps them. They have no form of their own, so each place is
//! one that says so.

use std::ops::Range;

use super::context::is_secret_name;
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
    const STANDS: [&[u8]; 26] = [
        b"password", b"passwd", b"secret", b"token", b"string", b"false", b"true", b"null", b"none",
        b"optional", b"required", b"prompt", b"hidden", b"enter", b"sha256", b"sha512", b"base64",
        b"utf8", b"utf-8", b"bcrypt", b"argon2", b"pbkdf2", b"undefined", b"my-", b"the-", b"some-",
    ];
    let has = |it: &&[u8]| value.windows(it.len()).any(|part| part.eq_ignore_ascii_case(it));
    let is_word =
        value.len() < 4 || STANDS.iter().any(has) || is_placeholder(value) || is_path(value);
    if is_word || value.iter().all(|it| matches!(it, b'*' | b'-' | b'.' | b'x' | b'X' | b'?' | b'_')) {
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

/// Whether a name says that its value is a password, in the letters of any language of programs.
pub(super) fn is_password_name(name: &[u8]) -> bool {
    const ENDS: [&[u8]; 4] = [b"password", b"passwd", b"passphrase", b"passwort"];
    ENDS.iter().any(|it| ends_with(name, it))
        || name.eq_ignore_ascii_case(b"pass")
        || name.ends_with(b"_PASS")
        || name.ends_with(b"_pass")
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
    (value.starts_with(b"/") && slashes >= 2 || value.starts_with(b"~/") || value.starts_with(b"./"))
        && value.iter().skip(1).all(is_part)
}

/// In a file of settings, what is assigned to the name from `name` on: on a line of its own, with
/// nothing behind it but a comment.
pub(super) fn setting(text: &[u8], name: Range<usize>, sign: usize) -> Option<Range<usize>> {
    let called = text.get(name.clone())?;
    let is_password_name = is_password_name(called) || ends_with(called, b"pwd");
    let is_directory = called == b"PWD" || called == b"OLDPWD";
    let is_env = called.iter().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || *it == b'_');
    let equals = text.get(sign) == Some(&b'=');
    let is_option = called.starts_with(b"--") && equals;
    let rest = text.get(sign + 1..)?;
    let rest = rest.get(..VALUE_MAX).unwrap_or(rest);
    let mut blank = rest.iter().take_while(|it| matches!(it, b' ' | b'\t')).count();
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
    let is_last = behind.is_none_or(|it| matches!(it, b'\n' | b'\r' | b'#'));
    let is_parameter = equals
        && matches!(text.get(name.start.wrapping_sub(1)), Some(b';'))
        && matches!(behind, None | Some(b';' | b'"' | b'\'' | b'\n'));
    let is_line = is_line(text, name.start, is_env);
    let bytes = text.get(value.clone())?;
    if is_directory && bytes.starts_with(b"/") || bytes.starts_with(b"$") || bytes.contains(&b':') && !equals && bytes.contains(&b'/') {
        return None;
    }
    let is_secret = if is_parameter || is_option {
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
            false => bytes.len() >= 12 && is_password(bytes, Trust::Some) && !bytes.contains(&b'.'),
        }
    } else {
        let is_type = bytes.len() < 6 || bytes.contains(&b'.') && !bytes.iter().any(|it| b"!@#$%^&*".contains(it));
        is_password_name && !is_type && is_password(bytes, Trust::Some) && !is_number(bytes)
    };
    is_secret.then_some(value)
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
        b"" | b"-" | b"export" | b"set" | b"ENV" | b"ARG" | b"- -" => true,
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
