//! What a pattern lets through, and so what the text that fits it is safe for.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind, Look};

use super::super::value::Set;

/// Letters of which a text may be made.
#[derive(Clone, Copy, Debug, Default)]
struct Letters {
    /// What a shell, SQL and code have a meaning for.
    special: bool,
    space: bool,
    slash: bool,
    dash: bool,
    quote: bool,
    line: bool,
    other: bool,
    /// What separates the parts of a URL.
    url: bool,
}

impl Letters {
    fn add(&mut self, from: char, to: char) {
        let mut at = from;
        // A range of more than ASCII is anything.
        if to > '\u{7f}' {
            self.other = true;
            if from > '\u{7f}' {
                return;
            }
        }
        let end = to.min('\u{7f}');
        loop {
            match at {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | ',' | '=' | '+' => {}
                '-' => self.dash = true,
                '/' | '\\' => {
                    self.slash = true;
                    self.url = true;
                }
                ' ' | '\t' => self.space = true,
                '\n' | '\r' => self.line = true,
                '\'' | '"' | '`' => {
                    self.quote = true;
                    self.special = true;
                }
                ':' | '@' | '?' | '#' => {
                    self.url = true;
                    if at == '#' {
                        self.special = true;
                    }
                }
                '%' => {}
                _ => self.special = true,
            }
            if at >= end {
                break;
            }
            at = char::from_u32(u32::from(at) + 1).unwrap_or(end);
        }
    }

    fn safe(self, leading_dash: bool) -> Set {
        let mut out = Set::default();
        let bad = self.special || self.quote || self.line;
        if !bad && !self.space && !self.slash {
            out = out.or(Set::SHELL).or(Set::SQL).or(Set::PROGRAM);
        } else if !bad && !self.space {
            out = out.or(Set::SHELL);
        }
        if !self.slash && !self.special && !self.other {
            out = out.or(Set::PATH).or(Set::RELATIVE);
        }
        if !self.url && !self.special && !self.slash && !self.other {
            out = out.or(Set::URL);
        }
        if !bad && !self.other {
            out = out.or(Set::CODE).or(Set::TEMPLATE).or(Set::LINE).or(Set::XML).or(Set::QUERY);
        }
        if !bad && !self.dash && !self.space {
            out = out.or(Set::NAME).or(Set::REGEX);
        }
        if !leading_dash {
            out = out.or(Set::ARG);
        }
        out
    }
}

/// What a text of these letters is safe for.
pub(crate) fn of_chars(chars: impl Iterator<Item = char>) -> Set {
    let mut letters = Letters::default();
    for it in chars {
        letters.add(it, it);
    }
    letters.safe(letters.dash)
}

/// What a text is safe for that fits a pattern; `whole` if all of it has to.
pub(crate) fn of_pattern(pattern: &str, whole: bool, host: bool) -> Set {
    let Some(hir) = parse(pattern) else { return Set::default() };
    let parts: Vec<&Hir> = match hir.kind() {
        HirKind::Concat(it) => it.iter().collect(),
        _ => vec![&hir],
    };
    let is = |it: Option<&&Hir>, look: &[Look]| {
        it.is_some_and(|it| matches!(it.kind(), HirKind::Look(found) if look.contains(found)))
    };
    let start = whole || is(parts.first(), &[Look::Start]);
    let end = whole || is(parts.last(), &[Look::End]);
    let inner = parts
        .iter()
        .filter(|it| !matches!(it.kind(), HirKind::Look(_)))
        .copied()
        .collect::<Vec<_>>();
    let literal = |it: Option<&&Hir>| match it.map(|it| it.kind()) {
        Some(HirKind::Literal(it)) => String::from_utf8_lossy(&it.0).into_owned(),
        _ => String::new(),
    };
    let mut out = Set::default();
    if start && super::fixes_host(&literal(inner.first())) {
        out = out.or(Set::URL);
    }
    // `^[a-z]+\.example\.com$`: the end of a host decides whose it is.
    if end && host && literal(inner.last()).starts_with('.') {
        out = out.or(Set::URL);
    }
    if start && end {
        let mut letters = Letters::default();
        collect(&hir, &mut letters);
        out = out.or(letters.safe(inner.first().is_some_and(|it| starts_with_dash(it))));
    }
    out
}

/// What a text is safe for that does not have anything that fits this anywhere.
pub(crate) fn refused(pattern: &str) -> Set {
    // `[^a-z0-9]` found nowhere is `^[a-z0-9]*$`.
    let inner = pattern.strip_prefix("[^").and_then(|it| it.split(']').next());
    match inner {
        Some(it) => of_pattern(&format!("[{it}]*"), true, false),
        None => Set::default(),
    }
}

fn parse(pattern: &str) -> Option<Hir> {
    // What JavaScript and Python write otherwise.
    let pattern = pattern
        .replace("\\/", "/")
        .replace("\\Z", "\\z")
        .replace("\\-", "\\x2d")
        .replace("(?<", "(?P<");
    // Classes of letters are meant as ASCII: what is beyond has no meaning to a shell.
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).nest_limit(50).build();
    parser.parse(&pattern).ok()
}

fn collect(hir: &Hir, out: &mut Letters) {
    let mut open = vec![hir];
    while let Some(it) = open.pop() {
        match it.kind() {
            HirKind::Literal(it) => {
                for it in String::from_utf8_lossy(&it.0).chars() {
                    out.add(it, it);
                }
            }
            HirKind::Class(regex_syntax::hir::Class::Bytes(it)) => {
                for it in it.ranges() {
                    out.add(char::from(it.start()), char::from(it.end()));
                }
            }
            HirKind::Class(regex_syntax::hir::Class::Unicode(it)) => {
                for it in it.ranges() {
                    out.add(it.start(), it.end());
                }
            }
            HirKind::Repetition(it) => open.push(&it.sub),
            HirKind::Capture(it) => open.push(&it.sub),
            HirKind::Concat(it) | HirKind::Alternation(it) => open.extend(it.iter()),
            HirKind::Empty | HirKind::Look(_) => {}
        }
    }
}

fn starts_with_dash(hir: &Hir) -> bool {
    let mut letters = Letters::default();
    let mut open = vec![hir];
    while let Some(it) = open.pop() {
        match it.kind() {
            HirKind::Concat(it) => open.extend(it.first()),
            HirKind::Literal(it) => {
                let first = it.0.first().map(|it| char::from(*it)).unwrap_or('-');
                letters.add(first, first);
            }
            HirKind::Repetition(it) => open.push(&it.sub),
            HirKind::Capture(it) => open.push(&it.sub),
            HirKind::Alternation(it) => open.extend(it.iter()),
            HirKind::Class(_) => collect(it, &mut letters),
            HirKind::Empty | HirKind::Look(_) => {}
        }
    }
    letters.dash
}
