//! Finds passwords behind the words that announce one: on command lines, in statements of SQL, in the
//! settings of devices, in files of logins and in elements of XML.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use memchr::memmem;

use super::columns;
use super::declared;
use super::password::{
    Found, LINE_MAX, Trust, VALUE_MAX, ends_with, is_password, is_password_name, is_word_byte,
};

/// What a word says of a password.
#[derive(Clone, Copy)]
enum Mark {
    /// It may be a part of a password's name.
    Name,
    /// It may head a column.
    Heading,
    /// A password stands behind it.
    Before(Trust),
    /// The same, in quotation marks or behind a user: people write the word as well.
    Quoted,
    /// The same, where the word is the first of its line and the password the last.
    Line,
    /// On the rest of the line a password stands behind one of these.
    Option(&'static [&'static [u8]]),
    /// The same, for what stands there as `user:password` or `user%password`.
    Pair(&'static [&'static [u8]]),
    /// It reads a password that `echo` has written.
    Piped,
    /// The name of a value in a list of properties ends there.
    Key,
}

/// The words, in the letters in which they are written.
const MARKS: &[(&str, Mark)] = &[
    ("ass", Mark::Name),
    ("ASS", Mark::Name),
    ("pwd", Mark::Heading),
    (
        "curl ",
        Mark::Pair(&[
            b" -u ",
            b" -u",
            b" --user ",
            b" --user=",
            b" -su ",
            b" -sSu ",
            b" -ku ",
            b" -sku ",
            b" -iu ",
            b" -Lu ",
            b" -fsSLu ",
        ]),
    ),
    ("smbclient ", Mark::Pair(&[b" -U "])),
    ("mysql", Mark::Option(&[b" -p"])),
    ("mariadb", Mark::Option(&[b" -p"])),
    ("7z ", Mark::Option(&[b" -p"])),
    ("redis-cli ", Mark::Option(&[b" -a "])),
    ("docker login ", Mark::Option(&[b" -p "])),
    ("podman login ", Mark::Option(&[b" -p "])),
    ("ldapsearch ", Mark::Option(&[b" -w "])),
    ("openssl enc ", Mark::Option(&[b" -k "])),
    ("zip -P ", Mark::Before(Trust::Full)),
    ("psk=\"", Mark::Before(Trust::Some)),
    ("enable secret ", Mark::Before(Trust::Some)),
    ("server community ", Mark::Before(Trust::Some)),
    ("masterauth ", Mark::Line),
    ("bindpw ", Mark::Line),
    ("</key>", Mark::Key),
    ("IDENTIFIED BY ", Mark::Before(Trust::Some)),
    ("identified by ", Mark::Quoted),
    ("Identified by ", Mark::Quoted),
    ("| sudo -S", Mark::Piped),
];

static WORDS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let words = MARKS.iter().map(|(word, _)| word);
    // Some kilobytes. A prefilter for parts of words so short costs more than it saves.
    let mut builder = AhoCorasick::builder();
    builder.kind(Some(AhoCorasickKind::DFA)).prefilter(false);
    builder.match_kind(MatchKind::LeftmostFirst).build(words).ok()
});

/// Calls `found` with each password that a command, a file of logins, an element or a table has.
pub(super) fn placed(text: &[u8], found: &mut Found<'_>) {
    let Some(words) = &*WORDS else { return };
    let mut seen = Seen::default();
    // Most texts have none of these words, and nearly all have few.
    for it in words.find_iter(text) {
        let number = it.pattern().as_usize();
        let Some((_, mark)) = MARKS.get(number) else { continue };
        // A line is looked at once for each word, however often it has it.
        let line = seen.lines.get(number).copied().unwrap_or_default();
        match mark {
            Mark::Name | Mark::Heading => named(text, it.start(), &mut seen, found),
            Mark::Before(trust) => before(text, it.end(), *trust, found),
            Mark::Quoted => {
                let earliest = it.start().saturating_sub(LINE_MAX);
                let line = text.get(earliest..it.start()).unwrap_or_default();
                let line = line.rsplit(|it| *it == b'\n').next().unwrap_or_default();
                let is_quoted = matches!(text.get(it.end()), Some(b'"' | b'\''));
                if is_quoted || memmem::find(line, b"user ").is_some() {
                    before(text, it.end(), Trust::Some, found);
                }
            }
            Mark::Key => declared::in_plist(text, it.start(), found),
            Mark::Line => on_line(text, it.range(), found),
            Mark::Piped => piped(text, it.start(), false, found),
            Mark::Option(_) | Mark::Pair(_) if it.start() < line => {}
            Mark::Option(options) => {
                let line = line_from(text, it.end() - 1);
                seen.lines(number, line.end);
                for option in *options {
                    after_option(text, &line, option, found);
                }
            }
            Mark::Pair(options) => {
                let line = line_from(text, it.end() - 1);
                seen.lines(number, line.end);
                for option in *options {
                    let rest = text.get(line.clone()).unwrap_or_default();
                    if let Some(there) = memmem::find(rest, option) {
                        pair(text, line.start + there + option.len(), found);
                    }
                }
            }
        }
    }
    if seen.has_table {
        columns::in_tables(text, found);
    }
}

/// What was looked at already.
#[derive(Default)]
struct Seen {
    lines: [usize; MARKS.len()],
    has_table: bool,
    /// The end of the last table with separators, and of the last in HTML.
    rows: usize,
    html: usize,
    /// The end of the rows of the last statement that inserts some.
    insert: usize,
    /// The end of the last line that was looked at for `sshpass`.
    sshpass: usize,
}

impl Seen {
    fn lines(&mut self, number: usize, end: usize) {
        if let Some(it) = self.lines.get_mut(number) {
            *it = end;
        }
    }
}

/// What is said of a password by its name.
fn named(text: &[u8], at: usize, seen: &mut Seen, found: &mut Found<'_>) {
    let word = word_around(text, at);
    let name = text.get(word.clone()).unwrap_or_default();
    let is_own = match name {
        b"requirepass" | b"sshpass" | b"chpasswd" => true,
        _ => ends_with(name, b"sshpass"),
    };
    if !is_own && !is_password_name(name) && !name.eq_ignore_ascii_case(b"pwd") {
        return;
    }
    let preceding = word.start.checked_sub(1).and_then(|it| text.get(it)).copied();
    let next = text.get(word.end).copied();
    let is_sql_quote = || matches!(text.get(word.end + 1), Some(b'\'' | b'"'));
    match next {
        _ if name == b"requirepass" => on_line(text, word.start..word.end + 1, found),
        _ if name == b"chpasswd" => piped(text, word.start, true, found),
        Some(b' ' | b'\t') if ends_with(name, b"sshpass") && word.start >= seen.sshpass => {
            let line = line_from(text, word.end);
            seen.sshpass = line.end;
            after_option(text, &line, b" -p", found);
        }
        Some(b'>') if preceding == Some(b'<') => in_element(text, &word, found),
        Some(b'<') if preceding == Some(b'>') && word.start >= seen.html => {
            seen.html = columns::in_html(text, &word, found);
        }
        Some(b':')
            if name == b"pass" && is_after(text, word.start, &[b"-passin ", b"-passout "]) =>
        {
            one(text, word.end + 1, Trust::Full, found);
        }
        Some(b' ') if name.starts_with(b"--") && is_switch(name) => {}
        Some(b' ') if name.starts_with(b"--") => one(text, word.end + 1, Trust::Some, found),
        Some(b' ')
            if is_after(
                text,
                word.start,
                &[b"ENV ", b"setx ", b"setenv ", b"set -x ", b"set -gx ", b"set -Ux ", b"set -xg "],
            ) =>
        {
            one(text, word.end + 1, Trust::Full, found);
        }
        // `SET PASSWORD FOR bob = '…'`
        Some(b' ')
            if text.get(word.end..).is_some_and(|it| {
                it.get(..5).is_some_and(|it| it.eq_ignore_ascii_case(b" FOR "))
            }) =>
        {
            let line = line_from(text, word.end);
            let rest = text.get(line.clone()).unwrap_or_default();
            if let Some(sign) = memmem::find(rest, b"= ") {
                quoted(text, line.start + sign + 2, found);
            }
        }
        // Whoever passes something to a program passes no password.
        Some(b' ') if is_sql_quote() && !name.eq_ignore_ascii_case(b"pass") => {
            quoted(text, word.end + 1, found)
        }
        Some(b' ') if is_after(text, word.start, &[b"enable ", b"set "]) => {
            before(text, word.end + 1, Trust::Some, found);
        }
        Some(b' ' | b'\t' | b'\n' | b'\r') if is_password_name(name) => {
            if let Some(trust) = of_netrc(text, word.start) {
                let blank = text.get(word.end..).unwrap_or_default();
                let blank = blank.iter().take_while(|it| it.is_ascii_whitespace()).count();
                let at = token(text, word.end + blank);
                let value = text.get(at).unwrap_or_default();
                let is_more = value.iter().any(|it| !it.is_ascii_alphabetic());
                if trust == Trust::Full || is_more {
                    one(text, word.end + blank, Trust::Full, found);
                }
            } else if is_of_account(text, &word) {
                one(text, word.end + 1, Trust::Some, found);
            }
        }
        // `define('DB_PASSWORD', '…')`
        Some(quote @ (b'\'' | b'"')) if preceding == Some(quote) => {
            let before = text.get(..word.start.saturating_sub(1)).unwrap_or_default();
            let blank = before.iter().rev().take(4).take_while(|it| **it == b' ').count();
            let opens = before.get(..before.len() - blank).unwrap_or_default().ends_with(b"(");
            let rest = text.get(word.end + 1..).unwrap_or_default();
            let between = rest.iter().take(6).take_while(|it| matches!(it, b',' | b' ')).count();
            declared::in_field(text, &word, found);
            if opens
                && rest.get(..between).is_some_and(|it| it.contains(&b','))
                && !name.eq_ignore_ascii_case(b"pass")
            {
                quoted(text, word.end + 1 + between, found);
            }
        }
        _ => {}
    }
    let is_column = matches!(next, Some(b',' | b')' | b' ' | b'"' | b'`' | b']' | b'\n'));
    if is_column && word.start >= seen.insert {
        seen.insert = declared::in_insert(text, &word, found);
    }
    seen.has_table |= !seen.has_table && columns::is_cell(text, &word);
    if word.start >= seen.rows {
        seen.rows = columns::in_separated(text, &word, found);
    }
}

/// An option about passwords that is given none: `--no-password`, `--disabled-password`.
fn is_switch(name: &[u8]) -> bool {
    const BEGINS: [&[u8]; 9] = [
        b"--no-",
        b"--disabled-",
        b"--disable-",
        b"--without-",
        b"--skip-",
        b"--ask-",
        b"--prompt-",
        b"--require-",
        b"--show-",
    ];
    BEGINS.iter().any(|it| name.starts_with(it))
}

/// Whether one of these stands before a place.
fn is_after(text: &[u8], at: usize, words: &[&[u8]]) -> bool {
    let before = text.get(..at).unwrap_or_default();
    words.iter().any(|it| before.ends_with(it))
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

fn one(text: &[u8], start: usize, trust: Trust, found: &mut Found<'_>) {
    let at = token(text, start);
    let value = text.get(at.clone()).unwrap_or_default();
    let is_call = matches!(text.get(at.end), Some(b'(' | b'<')) || value.contains(&b'(');
    if !value.starts_with(b"-") && !is_call && is_password(value, trust) {
        found("password", at);
    }
}

/// What is between quotes, and one word.
fn quoted(text: &[u8], start: usize, found: &mut Found<'_>) {
    let at = token(text, start);
    let value = text.get(at.clone()).unwrap_or_default();
    let is_quoted = at.start > start && text.get(at.end) == text.get(start);
    if is_quoted && !value.iter().any(u8::is_ascii_whitespace) {
        one(text, start, Trust::Some, found);
    }
}

/// What follows, behind the number of how a device has hidden it.
fn before(text: &[u8], start: usize, trust: Trust, found: &mut Found<'_>) {
    let rest = text.get(start..).unwrap_or_default();
    let number = match rest {
        [b'0'..=b'9', b' ', ..] => 2,
        _ => 0,
    };
    one(text, start + number, trust, found);
}

/// `requirepass …`: on a line of its own.
fn on_line(text: &[u8], word: Range<usize>, found: &mut Found<'_>) {
    /// From the comments of the file that everybody begins with.
    const MANUAL: &[u8] = b"foobared";
    let line = text.get(..word.start).unwrap_or_default();
    let line = line.rsplit(|it| *it == b'\n').next().unwrap_or_default();
    let at = token(text, word.end);
    let value = text.get(at.clone()).unwrap_or_default();
    let is_last = matches!(text.get(token_end(text, &at)), None | Some(b'\n' | b'\r'));
    if line.trim_ascii().is_empty() && is_last && value != MANUAL {
        one(text, word.end, Trust::Full, found);
    }
}

/// Where a word ends, with its closing quote.
fn token_end(text: &[u8], token: &Range<usize>) -> usize {
    token.end + usize::from(matches!(text.get(token.end), Some(b'"' | b'\'')))
}

/// What an option of a command has, wherever it is on the line.
fn after_option(text: &[u8], line: &Range<usize>, option: &[u8], found: &mut Found<'_>) {
    let rest = text.get(line.clone()).unwrap_or_default();
    for there in memmem::find_iter(rest, option) {
        let start = line.start + there + option.len();
        // `sshpass -p …` takes it apart as well; `mysql -p shop` does not.
        let is_own = option == b" -p" && is_after(text, line.start, &[b"sshpass"]);
        let blank = usize::from(is_own && text.get(start) == Some(&b' '));
        let value = text.get(token(text, start)).unwrap_or_default();
        let is_port = value.iter().all(|it| it.is_ascii_digit() || matches!(it, b':' | b'.'));
        if is_own || !is_port {
            one(text, start + blank, if is_own { Trust::Full } else { Trust::Some }, found);
        }
    }
}

/// `user:password`, `user%password`.
fn pair(text: &[u8], start: usize, found: &mut Found<'_>) {
    let at = token(text, start);
    let pair = text.get(at.clone()).unwrap_or_default();
    let Some(sign) = memchr::memchr2(b':', b'%', pair) else { return };
    let password = at.start + sign + 1..at.end;
    let value = text.get(password.clone()).unwrap_or_default();
    if sign > 0 && is_password(value, Trust::Full) {
        found("password", password);
    }
}

/// `echo … | sudo -S`, `echo user:… | chpasswd`.
fn piped(text: &[u8], end: usize, is_pair: bool, found: &mut Found<'_>) {
    let before = text.get(end.saturating_sub(VALUE_MAX)..end).unwrap_or_default();
    let line = before.rsplit(|it| *it == b'\n').next().unwrap_or_default();
    let Some(echo) = memmem::rfind(line, b"echo ") else { return };
    if !line.get(echo..).is_some_and(|it| it.contains(&b'|') || !is_pair) {
        return;
    }
    let start = end - line.len() + echo + 5;
    match is_pair {
        true => pair(text, start, found),
        false => one(text, start, Trust::Full, found),
    }
}

/// `machine host login user password …`, in this order, over lines or on one, and how sure it is: a
/// sentence may have these words.
fn of_netrc(text: &[u8], password: usize) -> Option<Trust> {
    let earliest = password.saturating_sub(LINE_MAX);
    let before = text.get(earliest..password).unwrap_or_default();
    let mut words = before.rsplit(u8::is_ascii_whitespace).filter(|it| !it.is_empty());
    let (_user, login) = (words.next()?, words.next()?);
    let host = words.next()?;
    if login != b"login" {
        return None;
    }
    let first = match host {
        b"default" => host,
        _ => words.next().filter(|it| *it == b"machine")?,
    };
    let place = memmem::rfind(before, first)?;
    let blank = |it: &&u8| matches!(it, b' ' | b'\t');
    let line = before.get(..place)?;
    let line = line.get(..line.len() - line.iter().rev().take_while(blank).count())?;
    // In a text in JSON, the end of a line is two letters.
    let is_first = line.is_empty() || line.ends_with(b"\n") || line.ends_with(b"\\n");
    let is_sure =
        host.contains(&b'.') || host == b"localhost" || before.get(place..)?.contains(&b'\n');
    // With the name of a host, the words are enough.
    (is_first || is_sure).then_some(if is_sure { Trust::Full } else { Trust::Some })
}

/// Whether this is a line of two words beside others that say whose password it is, as programs for
/// mail have them: `user bob`, `password …`.
fn is_of_account(text: &[u8], word: &Range<usize>) -> bool {
    const KEYS: [&[u8]; 10] = [
        b"user",
        b"username",
        b"login",
        b"account",
        b"host",
        b"from",
        b"auth",
        b"port",
        b"server",
        b"tls",
    ];
    let earliest = word.start.saturating_sub(LINE_MAX);
    let before = text.get(earliest..word.start).unwrap_or_default();
    let mut lines = before.rsplit(|it| *it == b'\n');
    let words = |line: &[u8]| {
        line.split(u8::is_ascii_whitespace).filter(|it| !it.is_empty()).take(3).count()
    };
    let behind = line_from(text, word.end);
    if !lines.next().is_some_and(|it| it.trim_ascii().is_empty())
        || words(text.get(behind.clone()).unwrap_or_default()) != 1
    {
        return false;
    }
    let is_key = |line: &[u8]| {
        let line = line.trim_ascii();
        let first = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        KEYS.contains(&first) && words(line) == 2
    };
    let after = text.get(behind.end..).unwrap_or_default();
    let after = after.get(..LINE_MAX).unwrap_or(after);
    lines.next().is_some_and(is_key) || after.split(|it| *it == b'\n').nth(1).is_some_and(is_key)
}

/// `<password>…</password>`
fn in_element(text: &[u8], name: &Range<usize>, found: &mut Found<'_>) {
    let rest = text.get(name.end + 1..).unwrap_or_default();
    let rest = rest.get(..VALUE_MAX).unwrap_or(rest);
    // `<AdministratorPassword><Value>…</Value>`, of an unattended set-up.
    let (start, called) = match rest.strip_prefix(b"<Value>") {
        Some(_) => (name.end + 8, &b"Value"[..]),
        None => (name.end + 1, text.get(name.clone()).unwrap_or_default()),
    };
    let rest = text.get(start..).unwrap_or_default();
    let rest = rest.get(..VALUE_MAX).unwrap_or(rest);
    let Some(end) = memchr::memchr(b'<', rest) else { return };
    let value = rest.get(..end).unwrap_or_default();
    let closes = text.get(start + end..).unwrap_or_default();
    let is_closed = closes.strip_prefix(b"</").is_some_and(|it| it.starts_with(called));
    let is_one = !value.iter().any(u8::is_ascii_whitespace);
    if is_closed && is_one && is_password(value, Trust::Some) {
        found("password", start..start + end);
    }
}
