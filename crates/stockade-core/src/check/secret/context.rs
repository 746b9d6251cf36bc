//! Finds secrets by what is around them: what a name says that its value is, and the place of a password
//! in a URL.

use std::ops::Range;

use super::declared;
use super::foreign;
use super::password;
use super::placeholder::is_placeholder;

/// The most bytes that a password or a value is taken to have.
const VALUE_MAX: usize = 512;

/// The first byte of a colon as wide as a letter of Chinese, `：`.
const WIDE: u8 = 0xef;

/// Calls `found` with each value that is assigned to a secret's name, and each password in a URL.
pub(super) fn assigned(text: &[u8], found: &mut dyn FnMut(&'static str, Range<usize>)) {
    let (mut from, mut presigned) = (0, Presigned::default());
    while let Some(at) = memchr::memchr3(b':', b'=', WIDE, text.get(from..).unwrap_or_default()) {
        let at = from + at;
        from = at + 1;
        if text.get(at) == Some(&WIDE) {
            if text.get(from..).is_some_and(|it| it.starts_with(b"\xbc\x9a"))
                && let Some(value) = foreign::after(text, at, at + 3)
            {
                from = value.end;
                found("assigned-secret", value);
            }
            continue;
        }
        let rest = text.get(from..).unwrap_or_default();
        if rest.starts_with(b"//") {
            if let Some(password) = password_in_url(text, from + 2) {
                from = password.end;
                found("password-in-url", password);
            }
        } else if let Some(token) = bot_token(text, at) {
            from = token.end;
            found("telegram-bot-token", token);
        } else if let Some(hash) = password::hash(text, at) {
            from = hash.end;
            found("password-hash", hash);
        } else if let Some(value) = password::pgpass(text, at) {
            from = value.end;
            found("password", value);
        } else if may_be_named(text, at)
            && let Some(name) = name_before(text, at)
            && let Some(value) = in_settings(text, at, name)
        {
            from = value.end;
            found("assigned-secret", value);
        } else if may_be_named(text, at)
            && let Some(name) = name_before(text, at)
            && is_secret_name(name)
            && !presigned.has(text, at)
            && let Some(mut value) = value_after(text, from)
        {
            from = value.end;
            // What is called no more than a token is often for a badge that everybody sees.
            let is_badge = name.eq_ignore_ascii_case(b"token");
            value.is_parameter = !is_badge && is_parameter(text, at - name.len(), at, &value);
            if value.is_parameter {
                value.end = end_of_parameter(text, &value);
            }
            let is_directory =
                name.eq_ignore_ascii_case(b"pwd") && text.get(value.start) == Some(&b'/');
            if !is_directory && value.is_secret(text, name) {
                found("assigned-secret", value.start..value.end);
            }
        } else if may_be_named(text, at)
            && let Some(name) = name_before(text, at)
            && let Some(list) = list_after(text, at, name)
        {
            from = list.end;
            declared::in_list(text, list, found);
        } else if text.get(at) == Some(&b'=')
            && let Some(value) = of_default(text, at)
        {
            from = value.end;
            found("assigned-secret", value);
        } else if let Some(value) = foreign::after(text, at, at + 1) {
            from = value.end;
            found("assigned-secret", value);
        } else if text.get(at) == Some(&b'=')
            && let Some(value) = of_type(text, at)
        {
            from = value.end;
            found("assigned-secret", value);
        } else if let Some(value) = of_login(text, at) {
            from = value.end;
            found("password", value);
        }
    }
}

/// What is assigned to a variable that has a type between its name and the sign.
fn of_type(text: &[u8], equals: usize) -> Option<Range<usize>> {
    let value = value_after(text, equals + 1).filter(|it| it.is_quoted)?;
    let name = declared::typed_name(text, equals).filter(|it| is_secret_name(it))?;
    value.is_secret(text, name).then_some(value.start..value.end)
}

/// What is in the brackets behind a name of several secrets: `"passwords": ["…", "…"]`.
fn list_after(text: &[u8], sign: usize, name: &[u8]) -> Option<Range<usize>> {
    const LIST_MAX: usize = 4096;
    let one = name.strip_suffix(b"s").or_else(|| name.strip_suffix(b"S")).unwrap_or(name);
    (is_secret_name(one) || is_secret_name(name) || password::is_password_name(one))
        .then_some(())?;
    let rest = text.get(sign + 1..)?;
    let blank = rest.iter().take(8).take_while(|it| it.is_ascii_whitespace()).count();
    let list = rest.get(blank..)?.strip_prefix(b"[")?;
    let list = list.get(..LIST_MAX).unwrap_or(list);
    let length = memchr::memchr(b']', list).unwrap_or(list.len());
    let start = sign + 2 + blank;
    Some(start..start + length)
}

/// The value that a variable of Terraform has where nobody gives it one.
fn of_default(text: &[u8], equals: usize) -> Option<Range<usize>> {
    name_before(text, equals).filter(|it| *it == b"default")?;
    let value = value_after(text, equals + 1).filter(|it| it.is_quoted)?;
    let name = declared::variable(text, equals)?;
    is_secret_name_or_pass(name).then_some(())?;
    let range = value.start..value.end;
    let bytes = text.get(range.clone())?;
    let is_one = value.is_secret(text, name)
        || password::is_password_name(name) && password::is_password(bytes, password::Trust::Some);
    is_one.then_some(range)
}

/// `"auth": "…"`, a login of `docker`.
fn of_login(text: &[u8], sign: usize) -> Option<Range<usize>> {
    let name = name_before(text, sign).filter(|it| it.eq_ignore_ascii_case(b"auth"))?;
    let value = value_after(text, sign + 1).filter(|it| it.is_quoted)?;
    let range = value.start..value.end;
    declared::is_login(name, text.get(range.clone())?).then_some(range)
}

/// What a file of settings has for a name, or has as a `value` for the name before it.
fn in_settings(text: &[u8], sign: usize, name: &[u8]) -> Option<Range<usize>> {
    if name.eq_ignore_ascii_case(b"value") {
        let quotes = usize::from(matches!(text.get(sign.wrapping_sub(1)), Some(b'"' | b'\'')));
        let start = sign.checked_sub(name.len() + 2 * quotes)?;
        let value = value_after(text, sign + 1)?;
        let before = password::name_of_value(text, start);
        let trust = before.or_else(|| password::name_behind(text, value.end))?;
        let range = value.start..value.end;
        let bytes = text.get(range.clone())?;
        return (!bytes.starts_with(b"$") && password::is_password(bytes, trust)).then_some(range);
    }
    // `PASSWORD := …`, of a file for `make`.
    let is_env = || name.iter().all(|it| it.is_ascii_uppercase() || *it == b'_');
    let is_make = text.get(sign..sign + 2) == Some(b":=") && is_env();
    let assigns = sign + usize::from(is_make);
    // In quotes, it is a member of JSON or of a program.
    if text.get(sign.checked_sub(name.len())?..sign)? != name {
        let is_mark = |it: &&u8| matches!(it, b' ' | b'?' | b'*' | b'`');
        let blank = text.get(..sign)?.iter().rev().take(8).take_while(is_mark).count();
        let start = sign.checked_sub(blank + name.len())?;
        let is_plain = text.get(start..start + name.len())? == name;
        return (is_plain && is_secret_name_or_pass(name))
            .then(|| password::setting(text, start..start + name.len(), assigns))?;
    }
    let start = sign - name.len();
    is_secret_name_or_pass(name).then(|| password::setting(text, start..sign, assigns))?
}

fn is_secret_name_or_pass(name: &[u8]) -> bool {
    is_secret_name(name) || password::is_password_name(name)
}

/// URLs of one text that their signer has made for whoever has them: the identifier of a key is public,
/// and the URL is of no use without what else it has. The last of them is kept: a server may have
/// named any number of keys in one.
#[derive(Debug, Default)]
pub(super) struct Presigned {
    url: Range<usize>,
    is_signed: bool,
}

impl Presigned {
    /// Whether this place is in one.
    pub(super) fn has(&mut self, text: &[u8], at: usize) -> bool {
        const URL_MAX: usize = 4096;
        let before = text.get(at.saturating_sub(64)..at).unwrap_or_default();
        let name = before.rsplit(|it| matches!(it, b'?' | b'&' | b';')).next().unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        let is_part = lower.starts_with(b"x-amz-credential")
            || lower.starts_with(b"x-amz-security-token")
            || lower.starts_with(b"awsaccesskeyid");
        if !is_part {
            return false;
        }
        if !self.url.contains(&at) {
            let is_end = |it: &&u8| it.is_ascii_whitespace() || b"\"'<>`".contains(it);
            let rest = text.get(at..).unwrap_or_default();
            let end = rest.iter().take(URL_MAX).take_while(|it| !is_end(it)).count();
            let behind = text.get(..at).unwrap_or_default().iter().rev().take(URL_MAX);
            let start = at - behind.take_while(|it| !is_end(it)).count();
            let url = text.get(start..at + end).unwrap_or_default();
            let has = |it: &&[u8]| memchr::memmem::find(url, it).is_some();
            self.is_signed = [&b"Signature="[..], b"signature="].iter().any(has);
            self.url = start..at + end;
        }
        self.is_signed
    }
}

/// Around a `:`, the number of a bot and its secret, which begins with two letters that say nothing.
fn bot_token(text: &[u8], colon: usize) -> Option<Range<usize>> {
    const SECRET: usize = 35;
    let rest = text.get(colon + 1..)?;
    rest.starts_with(b"AA").then_some(())?;
    let is_letter = |it: &&u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-');
    let before = text.get(colon.saturating_sub(11)..colon)?;
    let digits = before.iter().rev().take_while(|it| it.is_ascii_digit()).count();
    let is_whole = (8..=10).contains(&digits)
        && rest.iter().take(SECRET + 1).take_while(is_letter).count() == SECRET;
    let token = colon - digits..colon + 1 + SECRET;
    (is_whole && !is_placeholder(text.get(token.clone())?)).then_some(token)
}

/// Of `user:password@host`, the password.
fn password_in_url(text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    let rest = rest.get(..VALUE_MAX).unwrap_or(rest);
    let is_end = |it: &u8| it.is_ascii_whitespace() || b"/?#\"'<>`,;(){}[]|\\".contains(it);
    let authority = rest.get(..rest.iter().position(is_end).unwrap_or(rest.len()))?;
    let at = authority.iter().rposition(|it| *it == b'@')?;
    let colon = authority.get(..at)?.iter().position(|it| *it == b':')?;
    let password = authority.get(colon + 1..at)?;
    // As every manual has it: who can reach this machine is in it already.
    let host = authority.get(at + 1..)?;
    let host = host.split(|it| *it == b':').next().unwrap_or_default();
    let is_manual = authority.get(..colon) == Some(password)
        && [&b"localhost"[..], b"127.0.0.1", b"[::1]"].contains(&host);
    let is_real = !password.is_empty() && !is_placeholder(password) && !is_manual;
    is_real.then_some(start + colon + 1..start + at)
}

/// Whether what is before a `:` or `=` can be the end of a secret's name. Mostly it is not.
fn may_be_named(text: &[u8], end: usize) -> bool {
    let last = end.checked_sub(1).and_then(|it| text.get(it)).map(u8::to_ascii_lowercase);
    last.is_some_and(|it| {
        is_last_letter(it)
            || matches!(it, b' ' | b'\t' | b'"' | b'\'' | b':' | b']' | b'*' | b'`' | b'?')
    })
}

/// How the names of [`is_secret_name`] end.
fn is_last_letter(it: u8) -> bool {
    matches!(it.to_ascii_lowercase(), b'd' | b'e' | b't' | b'y' | b'n' | b'l' | b's')
}

/// The name that a `:` or `=` follows, with or without quotes.
fn name_before(text: &[u8], end: usize) -> Option<&[u8]> {
    const NAME_MAX: usize = 64;
    let before = text.get(end.saturating_sub(NAME_MAX + ESCAPES_MAX + 4)..end)?;
    let before = before.strip_suffix(b":").unwrap_or(before);
    let before = before.strip_suffix(b"?").unwrap_or(before).trim_ascii_end();
    let before = before.strip_suffix(b"]").unwrap_or(before);
    // `**Password**: …`
    let marks = before.iter().rev().take(2).take_while(|it| matches!(it, b'*' | b'`')).count();
    let before = before.get(..before.len() - marks).unwrap_or_default();
    let before = before.strip_suffix(b"\"").or_else(|| before.strip_suffix(b"'")).unwrap_or(before);
    // A text in JSON in a text in JSON has more of them before each quote.
    let quotes = before.iter().rev().take_while(|it| **it == b'\\').count();
    let before = before.get(..before.len() - quotes).unwrap_or_default();
    let is_name = |it: &&u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
    let len = before.iter().rev().take_while(is_name).count();
    before.get(before.len() - len..).filter(|it| !it.is_empty())
}

/// So many backslashes may stand before a quote.
const ESCAPES_MAX: usize = 15;

/// A value that follows a name.
struct Value {
    start: usize,
    end: usize,
    is_quoted: bool,
    /// It is one of a row: of a query, or of a connection string.
    is_parameter: bool,
}

/// Whether `name=value` is a parameter: `?name=value`, `&name=value`, `;name=value`.
fn is_parameter(text: &[u8], start: usize, equals: usize, value: &Value) -> bool {
    let before = start.checked_sub(1).and_then(|it| text.get(it));
    let is_close = text.get(equals) == Some(&b'=') && value.start == equals + 1;
    is_close && before.is_some_and(|it| matches!(it, b'?' | b'&' | b';'))
}

fn value_after(text: &[u8], start: usize) -> Option<Value> {
    let mut at = start;
    let peek = |at: usize| text.get(at).copied().unwrap_or_default();
    let skip = |at: usize| {
        at + text
            .get(at..)
            .unwrap_or_default()
            .iter()
            .take(4)
            .take_while(|it| matches!(it, b' ' | b'\t' | b'=' | b'>'))
            .count()
    };
    at = skip(at);
    for scheme in [&b"bearer "[..], b"basic "] {
        let there = text.get(at..at + scheme.len());
        if there.is_some_and(|it| it.eq_ignore_ascii_case(scheme)) {
            at = skip(at + scheme.len());
        }
    }
    let escapes = text.get(at..).unwrap_or_default().iter().take(ESCAPES_MAX);
    at += escapes.take_while(|it| **it == b'\\').count();
    let is_quoted = matches!(peek(at), b'"' | b'\'' | b'`');
    at += usize::from(is_quoted);
    let rest = text.get(at..)?;
    let rest = rest.get(..VALUE_MAX).unwrap_or(rest);
    let is_value = |it: &&u8| {
        it.is_ascii_alphanumeric() || b"_-.+/=~!@#%^&*".contains(it) || is_quoted && **it == b'$'
    };
    let end = at + rest.iter().take_while(is_value).count();
    // A call, an index, a path of modules or a template: code that gets a secret, and not one.
    let is_code = matches!(peek(end), b'(' | b'[' | b'<' | b'{' | b'$')
        || peek(end) == b':' && peek(end + 1) == b':';
    (end > at && !is_code).then_some(Value { start: at, end, is_quoted, is_parameter: false })
}

/// Where one of a row of parameters ends.
fn end_of_parameter(text: &[u8], value: &Value) -> usize {
    let bytes = text.get(value.start..value.end).unwrap_or_default();
    memchr::memchr(b'&', bytes).map_or(value.end, |it| value.start + it)
}

/// The fewest letters and bits of what is called a password, and of any other secret: people make
/// short passwords, and programs give short values to what they call a token.
fn least(name: &[u8]) -> (usize, f64) {
    match password::is_password_name(name) || name.to_ascii_lowercase().ends_with(b"pwd") {
        true => (password::LENGTH_MIN, 2.25),
        // What `fetch` is told is called so, in words.
        false if name.eq_ignore_ascii_case(b"credentials") => (16, 3.0),
        false => (8, 2.75),
    }
}

impl Value {
    fn is_secret(&self, text: &[u8], name: &[u8]) -> bool {
        let value = text.get(self.start..self.end).unwrap_or_default();
        let (len_min, bits_min) = match (self.is_quoted, self.is_parameter) {
            (false, false) => (16, 3.4),
            (true, _) | (_, true) => least(name),
        };
        let is_code = !self.is_quoted && is_identifier(value);
        value.len() >= len_min && !is_code && is_random(value, bits_min)
    }
}

/// Without quotes, `a.b2`, `a_b2`, `A_B2` and `Ab_2` are names in a program.
fn is_identifier(value: &[u8]) -> bool {
    let has_case = |is: fn(&u8) -> bool| value.iter().any(is);
    let one_case = !(has_case(u8::is_ascii_lowercase) && has_case(u8::is_ascii_uppercase));
    let unnumbered = value.iter().rposition(|it| !it.is_ascii_digit());
    let is_numbered = unnumbered.and_then(|it| value.get(it)) == Some(&b'_');
    value.contains(&b'.') || value.contains(&b'_') && one_case || is_numbered
}

/// Whether the value of a member called `name` is a secret as a whole.
pub(super) fn is_secret_value(name: &str, value: &str) -> bool {
    let (len_min, bits_min) = least(name.as_bytes());
    let is_directory = name.eq_ignore_ascii_case("pwd") && value.starts_with('/');
    !is_directory
        && (len_min..=VALUE_MAX).contains(&value.len())
        && is_secret_name(name.as_bytes())
        && !value.contains(|it: char| it.is_whitespace() || it.is_control())
        && is_random(value.as_bytes(), bits_min)
        || declared::is_login(name.as_bytes(), value.as_bytes())
}

/// Digits and letters, few of them often, and not a word for what it should be.
fn is_random(value: &[u8], bits_min: f64) -> bool {
    if password::is_about_one(value) || password::is_path(value) || password::is_rule(value) {
        return false;
    }
    let digits = value.iter().filter(|it| it.is_ascii_digit()).count();
    let has_letter = value.iter().any(u8::is_ascii_alphabetic);
    digits > 0 && has_letter && entropy(value) >= bits_min && !is_placeholder(value)
}

/// Bits per byte (Shannon).
fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value {
        if let Some(it) = counts.get_mut(usize::from(*byte)) {
            *it += 1;
        }
    }
    let total = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX));
    let part = |it: &u32| f64::from(*it) / total;
    counts.iter().filter(|it| **it > 0).map(part).map(|it| -it * it.log2()).sum()
}

/// Whether a name, in any of the usual spellings, says that its value is a secret: by how it ends,
/// since `password_length` is none. What pages through a list is called a token and is none.
pub(super) fn is_secret_name(name: &[u8]) -> bool {
    const ENDS: [&[u8]; 20] = [
        b"password",
        b"passwd",
        b"passphrase",
        b"pwd",
        b"secret",
        b"secretkey",
        b"token",
        b"apikey",
        b"accesskey",
        b"privatekey",
        b"authkey",
        b"signingkey",
        b"encryptionkey",
        b"masterkey",
        b"accountkey",
        b"sharedkey",
        b"clientkey",
        b"credential",
        b"credentials",
        b"authorization",
    ];
    const HARMLESS: [&[u8]; 9] = [
        b"pagetoken",
        b"nexttoken",
        b"continuationtoken",
        b"synctoken",
        b"progresstoken",
        b"csrftoken",
        b"xsrftoken",
        b"changetoken",
        b"cancellationtoken",
    ];
    let ends = |end: &&[u8]| {
        let mut bytes = name.iter().rev().filter(|it| !matches!(it, b'_' | b'-' | b'.'));
        end.iter().rev().all(|it| bytes.next().is_some_and(|b| b.eq_ignore_ascii_case(it)))
    };
    name.last().is_some_and(|it| is_last_letter(*it) || matches!(it, b'_' | b'-' | b'.'))
        && ENDS.iter().any(&ends)
        && !HARMLESS.iter().any(ends)
        && !password::is_about_name(name)
}
