//! Programs of `awk`.

use super::Item;
use super::texts::{Found, said, words};

pub(super) fn awk(items: &[Item<'_>]) -> Found {
    let mut has_script = false;
    let mut texts: Vec<&str> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        match item {
            Item::Letter('f' | 'E', _) => has_script = true,
            Item::Letter('e' | 'W', Some(value)) | Item::Long(_, Some(value)) => texts.push(value),
            // `--source TEXT`, which may stand beside a file.
            Item::Long(_, None) => texts.extend(items.get(at + 1).and_then(Item::word)),
            Item::Letter(..) | Item::Word(_) => {}
        }
    }
    if !has_script {
        texts.extend(words(items));
    }
    texts.into_iter().find(|it| starts(it)).and_then(|_| said("what it tells `awk`"))
}

fn starts(text: &str) -> bool {
    let squeezed: String =
        text.replace("\\\n", "").chars().filter(|it| !it.is_whitespace()).collect();
    ["system(", "getline", "/inet"].iter().any(|it| squeezed.contains(it))
        || names_function(&squeezed) && !is_only_text(text, names_function)
        || has_pipe(&squeezed) && !is_only_text(text, has_pipe)
}

/// `@f(…)` calls what `f` names; `@load` and `@include` load.
fn names_function(text: &str) -> bool {
    let behind = |it: &str| it.starts_with(|it: char| it.is_alphabetic() || it == '_');
    text.split('@').skip(1).any(behind)
}

fn has_pipe(text: &str) -> bool {
    text.replace("||", "").contains('|')
}

/// Whether what there is of something is in strings and regular expressions, however the latter are
/// read: a `/` within brackets ends one to some. What could be a division as well as an expression is
/// neither here.
fn is_only_text(text: &str, has: fn(&str) -> bool) -> bool {
    [true, false].into_iter().all(|heeds_brackets| {
        code(text, heeds_brackets).is_some_and(|code| {
            let code: String = code.chars().filter(|it| !it.is_whitespace()).collect();
            !has(&code)
        })
    })
}

/// A program without strings, regular expressions and comments; nothing, where it is not sure what is
/// one.
fn code(text: &str, heeds_brackets: bool) -> Option<String> {
    let text = text.replace("\\\n", " ");
    let mut code = String::new();
    let mut rest = text.chars();
    while let Some(it) = rest.next() {
        match it {
            '#' => {
                rest.by_ref().find(|it| *it == '\n');
                code.push('\n');
            }
            '"' => {
                past(&mut rest, '"', false)?;
                code.push('"');
            }
            '/' if begins_expression(&code)? => {
                past(&mut rest, '/', heeds_brackets)?;
                code.push('"');
            }
            it => code.push(it),
        }
    }
    Some(code)
}

/// To the end of a string or an expression; nothing, where there is none on its line.
fn past(rest: &mut std::str::Chars<'_>, end: char, heeds_brackets: bool) -> Option<()> {
    let mut is_class = false;
    loop {
        match rest.next()? {
            '\n' => return None,
            '\\' => drop(rest.next()),
            '[' if heeds_brackets && !is_class => {
                is_class = true;
                // A `]` that comes first is one of the class.
                let mut ahead = rest.clone();
                let _ = ahead.next_if_is('^');
                if ahead.next_if_is(']') {
                    *rest = ahead;
                }
            }
            ']' if is_class => is_class = false,
            it if it == end && !is_class => return Some(()),
            _ => {}
        }
    }
}

trait NextIf {
    /// Takes the next character, if it is this one.
    fn next_if_is(&mut self, it: char) -> bool;
}

impl NextIf for std::str::Chars<'_> {
    fn next_if_is(&mut self, it: char) -> bool {
        match self.as_str().strip_prefix(it) {
            Some(after) => {
                *self = after.chars();
                true
            }
            None => false,
        }
    }
}

/// Whether a `/` behind this begins an expression; nothing, where it could be a division too.
fn begins_expression(code: &str) -> Option<bool> {
    const KEYWORDS: &[&str] =
        &["print", "printf", "return", "case", "else", "do", "in", "delete", "exit", "getline"];
    let before = code.trim_end_matches([' ', '\t', '\r']);
    match before.chars().next_back() {
        None | Some('(' | ',' | '{' | '}' | ';' | '!' | '~' | '&' | '|' | '=' | '\n') => Some(true),
        Some(it) if it.is_ascii_alphanumeric() || it == '_' => {
            let word = before.rsplit(|it: char| !it.is_ascii_alphanumeric() && it != '_').next();
            (!KEYWORDS.contains(&word.unwrap_or_default())).then_some(false)
        }
        Some(']') => Some(false),
        Some(_) => None,
    }
}
