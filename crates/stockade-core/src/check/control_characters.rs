#![doc = include_str!("control_characters.md")]

use super::{Check, Facts, Findings, Rule, Text, rules};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::control_characters
    }

    fn text(&self, text: Text<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        let plain = text.is_ascii || !has_c1(text.str) && !has_separator(text.str);
        if !text.has_control && plain {
            return;
        }
        let Some((shown, first)) = show(text.str) else { return };
        let says = format!("U+{:04X}, which commands and does not show", u32::from(first));
        if text.is_name() {
            out.add(text.at, says);
        } else {
            out.add_fixable(text.at, says, shown);
        }
    }
}

/// Whether there is any of U+0080 to U+009F.
fn has_c1(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(0xc2, bytes).any(|at| bytes.get(at + 1).is_some_and(|it| *it < 0xa0))
}

/// Whether there is U+2028 or U+2029, which end a line where no line is seen to end.
fn has_separator(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(0xe2, bytes)
        .any(|at| matches!(bytes.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9])))
}

fn is_control(it: char, next: Option<char>) -> bool {
    match it {
        '\n' | '\t' => false,
        '\r' => next != Some('\n'),
        '\u{2028}' | '\u{2029}' => true,
        it => it.is_control(),
    }
}

/// The text with sequences taken out and other controls made visible, and the first of them.
/// Nothing, when there are none.
fn show(text: &str) -> Option<(String, char)> {
    let mut found: Option<(String, char)> = None;
    let mut rest = text.chars();
    while let Some(it) = rest.next() {
        let after = rest.as_str();
        if !is_control(it, after.chars().next()) {
            if let Some((shown, _)) = &mut found {
                shown.push(it);
            }
            continue;
        }
        let (shown, _) = found.get_or_insert_with(|| {
            let before = text.len() - after.len() - it.len_utf8();
            (text.get(..before).unwrap_or_default().to_owned(), it)
        });
        match sequence(it, after) {
            Some(len) => rest = after.get(len..).unwrap_or_default().chars(),
            None => shown.push(picture(it)),
        }
    }
    found
}

/// Unicode has pictures of C0 and of delete, and none of C1.
fn picture(it: char) -> char {
    match u32::from(it) {
        code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or('\u{fffd}'),
        0x7f => '\u{2421}',
        0x2028 | 0x2029 => '\u{2424}',
        _ => '\u{fffd}',
    }
}

/// How many bytes of `after` belong to the sequence that `it` begins (ECMA-48 §5.4, §5.6).
fn sequence(it: char, after: &str) -> Option<usize> {
    let (kind, after_kind) = match it {
        '\u{1b}' => {
            let kind = after.chars().next().filter(|it| matches!(it, ' '..='~'))?;
            (kind, after.get(1..)?)
        }
        // The C1 characters are the same as ESC and a letter.
        '\u{80}'..='\u{9f}' => (char::from_u32(u32::from(it) - 0x40)?, after),
        _ => return None,
    };
    let skipped = after.len() - after_kind.len();
    let len = match kind {
        '[' => {
            let end = after_kind.find(|it| !matches!(it, ' '..='?'))?;
            matches!(after_kind.as_bytes().get(end), Some(b'@'..=b'~')).then_some(end + 1)?
        }
        ']' | 'P' | 'X' | '^' | '_' => string(after_kind)?,
        ' '..='/' => {
            let end = after_kind.find(|it| !matches!(it, ' '..='/'))?;
            matches!(after_kind.as_bytes().get(end), Some(b'0'..=b'~')).then_some(end + 1)?
        }
        _ if it == '\u{1b}' => 0,
        _ => return None,
    };
    Some(skipped + len)
}

/// A string runs to its end mark. One without an end would take the rest of the text with it, so
/// it is no sequence here.
fn string(text: &str) -> Option<usize> {
    let end = text.find(char::is_control)?;
    let mark = text.get(end..)?;
    let ends = ["\u{7}", "\u{1b}\\", "\u{9c}"];
    ends.iter().find(|it| mark.starts_with(**it)).map(|it| end + it.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_go_and_the_rest_is_shown() {
        for (text, shown) in [
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{7}", "link"),
            ("\u{9b}31mred", "red"),
            ("\u{9d}52;c;aGk=\u{9c}x", "x"),
            ("\u{1b}(Bx\u{1b}cy\u{1b}=z", "xyz"),
            ("\u{1b}]no end", "\u{241b}]no end"),
            ("\u{1b}[", "\u{241b}["),
            ("\u{1b}\u{1b}[31mx", "\u{241b}x"),
            ("a\rb\r\nc\r\r\n", "a\u{240d}b\r\nc\u{240d}\r\n"),
            ("a\u{2028}b\u{2029}", "a\u{2424}b\u{2424}"),
            ("é\u{85}\u{7f}\0\u{8}", "é\u{fffd}\u{2421}\u{2400}\u{2408}"),
        ] {
            assert_eq!(show(text).unwrap().0, shown, "{text:?}");
            assert!(show(shown).is_none());
        }
        assert!(show("plain\r\n\ttext ␛").is_none());
    }
}
