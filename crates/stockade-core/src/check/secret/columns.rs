//! Finds passwords in tables that have a column of them: in Markdown, as databases print them, with
//! commas, semicolons or tabs between their cells, and in HTML.

use std::ops::Range;

use memchr::memmem;

use super::password::{Found, Trust, is_label, is_password, is_password_name, is_version};

/// A heading has so many bytes at most.
const HEADING_MAX: usize = 512;

/// Whether a word is what stands between two bars of a table.
pub(super) fn is_cell(text: &[u8], word: &Range<usize>) -> bool {
    let blank = |it: &&u8| matches!(it, b' ' | b'\t' | b'*');
    let after = text.get(word.end..).unwrap_or_default().iter().take(80).find(|it| !blank(it));
    let before =
        text.get(..word.start).unwrap_or_default().iter().rev().take(80).find(|it| !blank(it));
    let is_bar = |it: Option<&u8>| it == Some(&b'|');
    let is_edge = |it: Option<&u8>| it.is_none_or(|it| matches!(it, b'\n' | b'\r'));
    is_bar(after) && (is_bar(before) || is_edge(before)) || is_bar(before) && is_edge(after)
}

/// The tables that have bars between their cells and a line below their heading.
pub(super) fn in_tables(text: &[u8], found: &mut Found<'_>) {
    let mut heading: Option<&[u8]> = None;
    let mut column: Option<Column> = None;
    let mut describes = false;
    let mut start = 0;
    let mut lines = text.split(|it| *it == b'\n').peekable();
    while let Some(line) = lines.next() {
        let at = start;
        start += line.len() + 1;
        let is_row = !describes && !lines.peek().is_some_and(|it| is_rule(it));
        if is_row && let Some(value) = of_pair(line) {
            found_in(line, value, at, true, found);
        }
        if is_rule(line) {
            column = column.or_else(|| heading.and_then(|it| password_column(it, b'|')));
            describes |= heading.is_some_and(is_about_columns);
            continue;
        }
        if !line.contains(&b'|') {
            (heading, column, describes) = (None, None, false);
            continue;
        }
        heading = Some(line);
        if let Some(column) = &column {
            in_row(line, at, b'|', column, found);
        }
    }
}

/// The rows below a heading whose cells have a comma, a semicolon or a tab between them, one of which
/// is this word. Returns where they end.
pub(super) fn in_separated(text: &[u8], word: &Range<usize>, found: &mut Found<'_>) -> usize {
    let quoted = matches!(text.get(word.end), Some(b'"' | b'\''));
    let after = text.get(word.end + usize::from(quoted)).copied();
    let before =
        word.start.checked_sub(1 + usize::from(quoted)).and_then(|it| text.get(it)).copied();
    let is_separator = |it: &u8| matches!(it, b',' | b';' | b'\t');
    let Some(separator) = before.filter(is_separator).or(after.filter(is_separator)) else {
        return word.end;
    };
    // What is on a longer line, or on none that begins near here, is no heading.
    let earliest = word.start.saturating_sub(HEADING_MAX);
    let head = text.get(earliest..word.start).unwrap_or_default();
    let start = match memchr::memrchr(b'\n', head) {
        Some(it) => earliest + it + 1,
        None if earliest == 0 => 0,
        None => return word.end,
    };
    let rest = text.get(start..).unwrap_or_default();
    let near = rest.get(..HEADING_MAX).unwrap_or(rest);
    let Some(length) = memchr::memchr(b'\n', near) else { return word.end };
    let heading = rest.get(..length).unwrap_or_default();
    let mut at = start + length + 1;
    let count = cells(heading, separator).count();
    let is_name = |cell: Range<usize>| {
        let name = heading.get(trimmed(heading, cell)).unwrap_or_default();
        !name.is_empty() && name.iter().all(|it| it.is_ascii_alphanumeric() || b" _-.".contains(it))
    };
    // Of a list of parameters over some lines, each has a comma behind the last.
    let is_heading = count >= 2 && cells(heading, separator).all(|(_, it)| is_name(it));
    let Some(column) = password_column(heading, separator).filter(|_| is_heading) else {
        return start + length;
    };
    for line in text.get(at..).unwrap_or_default().split(|it| *it == b'\n') {
        if cells(line, separator).count() != count {
            break;
        }
        in_row(line, at, separator, &column, found);
        at += line.len() + 1;
    }
    at - 1
}

/// The rows of a table in HTML below the heading that is this word. Returns where they end.
pub(super) fn in_html(text: &[u8], word: &Range<usize>, found: &mut Found<'_>) -> usize {
    const BEFORE_MAX: usize = 1024;
    let is_heading =
        text.get(word.end..).is_some_and(|it| it.starts_with(b"</th") || it.starts_with(b"</td"));
    let before = text.get(word.start.saturating_sub(BEFORE_MAX)..word.start).unwrap_or_default();
    let Some(row) = memmem::rfind(before, b"<tr").filter(|_| is_heading) else { return word.end };
    let before = before.get(row..).unwrap_or_default();
    let column = html_cells(before).count();
    let rest = text.get(word.end..).unwrap_or_default();
    let end = memmem::find(rest, b"</table").unwrap_or(rest.len());
    let table = rest.get(..end).unwrap_or_default();
    let rows: Vec<usize> = memmem::find_iter(table, b"<tr").collect();
    for (number, row) in rows.iter().enumerate() {
        let row_end = rows.get(number + 1).copied().unwrap_or(table.len());
        let cells = table.get(*row..row_end).unwrap_or_default();
        let Some(cell) = html_cells(cells).nth(column.saturating_sub(1)) else { continue };
        let mut at = row + cell;
        // The cell's own tag, and those of how it looks.
        while table.get(at) == Some(&b'<') {
            let rest = table.get(at..).unwrap_or_default();
            let Some(close) = memchr::memchr(b'>', rest.get(..128).unwrap_or(rest)) else { break };
            at += close + 1;
        }
        let rest = table.get(at..).unwrap_or_default();
        let rest = rest.get(..256).unwrap_or(rest);
        let Some(length) = memchr::memchr(b'<', rest) else { continue };
        let value = trimmed(table, at..at + length);
        found_in(table, value, word.end, true, found);
    }
    word.end + end
}

/// Where the cells begin.
fn html_cells(row: &[u8]) -> impl Iterator<Item = usize> {
    memmem::find_iter(row, b"<t")
        .filter(|it| matches!(row.get(it + 2), Some(b'd' | b'h')))
        .filter(|it| matches!(row.get(it + 3), Some(b'>' | b' ')))
}

fn in_row(line: &[u8], at: usize, separator: u8, column: &Column, found: &mut Found<'_>) {
    if let Some((_, cell)) = cells(line, separator).nth(column.number) {
        found_in(line, trimmed(line, cell), at, column.has_owner, found);
    }
}

/// Of a line of two cells, what is beside the name of a password: `| Password | … |`.
fn of_pair(line: &[u8]) -> Option<Range<usize>> {
    if !line.contains(&b'|') {
        return None;
    }
    let mut whole = cells(line, b'|').map(|(_, it)| trimmed(line, it)).filter(|it| !it.is_empty());
    let (name, value, none) = (whole.next()?, whole.next()?, whole.next());
    let name = line.get(name)?;
    let is_one = none.is_none() && is_password_name(name) && !name.eq_ignore_ascii_case(b"pass");
    let bytes = line.get(value.clone())?;
    let is_page = bytes.starts_with(b"/") || bytes.contains(&b'/') && bytes.contains(&b'.');
    (is_one && !is_label(bytes) && !is_version(bytes) && !is_page).then_some(value)
}

/// Whether a table says of each of its rows what it is or has to be, and not what is in it.
fn is_about_columns(heading: &[u8]) -> bool {
    const WORDS: [&[u8]; 12] = [
        b"type",
        b"data type",
        b"validation",
        b"rule",
        b"rules",
        b"description",
        b"default",
        b"url",
        b"page",
        b"version",
        b"result",
        b"status",
    ];
    cells(heading, b'|').any(|(_, cell)| {
        let name = heading.get(trimmed(heading, cell)).unwrap_or_default();
        WORDS.iter().any(|it| it.eq_ignore_ascii_case(name))
    })
}

fn found_in(text: &[u8], value: Range<usize>, at: usize, is_sure: bool, found: &mut Found<'_>) {
    let bytes = text.get(value.clone()).unwrap_or_default();
    let is_label = || !is_sure && is_label(bytes);
    if !bytes.contains(&b' ') && is_password(bytes, Trust::Some) && !is_label() {
        found("password", at + value.start..at + value.end);
    }
}

/// The line between the heading and the rows.
fn is_rule(line: &[u8]) -> bool {
    let dashes = line.iter().filter(|it| matches!(it, b'-' | b'=')).count();
    let is_row = dashes >= 2 && line.contains(&b'|');
    (dashes >= 3 || is_row) && line.iter().all(|it| b"|+-=: \r\t".contains(it))
}

/// The column of a table that has passwords.
struct Column {
    number: usize,
    /// Another says whose they are: in a table of features a password is one of them.
    has_owner: bool,
}

/// Which column has passwords. What is called a `pass` is one where somebody has it: there are others,
/// of seasons and of tests.
fn password_column(heading: &[u8], separator: u8) -> Option<Column> {
    const OWNERS: [&[u8]; 8] =
        [b"user", b"username", b"user name", b"login", b"account", b"email", b"e-mail", b"host"];
    let name = |cell: Range<usize>| heading.get(trimmed(heading, cell)).unwrap_or_default();
    let is_owner = |it: &[u8]| OWNERS.iter().any(|owner| owner.eq_ignore_ascii_case(it));
    let is_short = |it: &[u8]| it.eq_ignore_ascii_case(b"pass") || it.eq_ignore_ascii_case(b"pwd");
    let is_hash = |it: &[u8]| it.to_ascii_lowercase().ends_with(b"password_hash");
    let number = cells(heading, separator).position(|(_, cell)| {
        let name = name(cell);
        is_password_name(name) || is_short(name) || is_hash(name)
    })?;
    let is_sure = !is_short(name(cells(heading, separator).nth(number)?.1));
    // Of tests, which pass or fail.
    let is_result = |it: &[u8]| {
        [&b"fail"[..], b"failed", b"skipped", b"total"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(it))
    };
    if !is_sure && cells(heading, separator).any(|(_, it)| is_result(name(it))) {
        return None;
    }
    let has_owner = cells(heading, separator).any(|(_, it)| is_owner(name(it)));
    (is_sure || has_owner).then_some(Column { number, has_owner })
}

/// The cells of a line, with their numbers.
fn cells(line: &[u8], separator: u8) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut start = 0;
    let mut in_quotes = false;
    let ends = move |it: &u8| {
        in_quotes ^= *it == b'"' && separator != b'|';
        *it == separator && !in_quotes
    };
    line.split(ends).enumerate().map(move |(number, cell)| {
        let at = start..start + cell.len();
        start = at.end + 1;
        (number, at)
    })
}

fn trimmed(line: &[u8], cell: Range<usize>) -> Range<usize> {
    let blank = |it: &&u8| matches!(it, b' ' | b'\t' | b'\r' | b'`' | b'*' | b'"');
    let bytes = line.get(cell.clone()).unwrap_or_default();
    let before = bytes.iter().take_while(blank).count();
    let after = bytes.iter().rev().take(bytes.len() - before).take_while(blank).count();
    cell.start + before..cell.end - after
}
