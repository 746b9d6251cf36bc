#![doc = include_str!("hidden_unicode.md")]

use super::{Check, Facts, Findings, Rule, Text, rules};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::hidden_unicode
    }

    fn text(&self, text: Text<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if text.is_ascii || !may_hide(text.str) {
            return;
        }
        let Some(seen) = Hidden::find(text.str) else { return };
        if text.is_name() {
            out.add(text.at, seen.says());
        } else {
            out.add_fixable(text.at, seen.says(), seen.rest.as_str());
        }
    }
}

/// Whether the bytes allow for a character that is ignorable. Most text in any script does not.
fn may_hide(text: &str) -> bool {
    let leads = |it: u8| {
        // Everything that [`is_ignorable`] knows begins with one of these.
        matches!(it, 0xc2 | 0xcd | 0xd8 | 0xe1..=0xe3 | 0xef..)
    };
    let bytes = text.as_bytes();
    // Without branches, for the compiler to make vector instructions of.
    bytes.iter().fold(false, |any, it| any | leads(*it))
        && bytes.array_windows().any(|pair| {
            matches!(
                pair,
                [0xc2, 0xad]
                    | [0xcd, 0x8f]
                    | [0xd8, 0x9c]
                    | [0xe1, 0x85 | 0x9e | 0xa0]
                    | [0xe2, 0x80 | 0x81 | 0xa0]
                    | [0xe3, 0x85]
                    | [0xef, 0xb7 | 0xb8 | 0xbb | 0xbe | 0xbf]
                    | [0xf0, 0x9b | 0x9d]
                    | [0xf3, 0xa0]
                    | [0x8f | 0x9f | 0xaf | 0xbf, 0xbf]
            )
        })
}

/// What nobody sees in a text.
struct Hidden {
    /// The text without it.
    rest: String,
    count: usize,
    first: char,
}

impl Hidden {
    fn find(text: &str) -> Option<Self> {
        let mut found: Option<Self> = None;
        let mut before = Before::default();
        let mut braille: Option<bool> = None;
        let mut stands = |it: char| {
            // Among braille its blank is a space, and any number of them may stand in a row.
            it == BRAILLE_BLANK && *braille.get_or_insert_with(|| text.contains(is_braille))
        };
        let mut chars = text.char_indices();
        while let Some((at, it)) = chars.next() {
            if !is_ignorable(it) || stands(it) || before.allows(it, chars.as_str()) {
                before.push(it);
                if let Some(found) = &mut found {
                    found.rest.push(it);
                }
                continue;
            }
            let found = found.get_or_insert_with(|| Self {
                rest: text.get(..at).unwrap_or_default().to_owned(),
                count: 0,
                first: it,
            });
            found.count += 1;
        }
        found
    }

    fn says(&self) -> String {
        let Self { count, first, .. } = self;
        let characters = if *count == 1 { "character" } else { "characters" };
        format!("{count} {characters} that nobody sees, the first U+{:04X}", u32::from(*first))
    }
}

/// Unicode's `Default_Ignorable_Code_Point`, the marks of interlinear annotation, the noncharacters
/// and the blank of braille; by blocks of 256, since this is asked of every character of a text that
/// may have some.
pub(super) fn is_ignorable(it: char) -> bool {
    let code = u32::from(it);
    match code >> 8 {
        0x00 => code == 0xad,
        0x03 => code == 0x34f,
        0x06 => code == 0x61c,
        0x11 => matches!(code, 0x115f..=0x1160),
        0x17 => matches!(code, 0x17b4..=0x17b5),
        0x18 => matches!(code, 0x180b..=0x180f),
        0x20 => matches!(code, 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f),
        0x28 => it == BRAILLE_BLANK,
        0x31 => code == 0x3164,
        0xfd => matches!(code, 0xfdd0..=0xfdef),
        0xfe => matches!(code, 0xfe00..=0xfe0f | 0xfeff),
        0xff => matches!(code, 0xffa0 | 0xfff0..=0xfffb | 0xfffe..=0xffff),
        0x1bc => matches!(code, 0x1bca0..=0x1bca3),
        0x1d1 => matches!(code, 0x1d173..=0x1d17a),
        0xe00..=0xe0f => true,
        // The last two of every plane.
        _ => code & 0xfffe == 0xfffe,
    }
}

const BRAILLE_BLANK: char = '\u{2800}';

fn is_braille(it: char) -> bool {
    matches!(it, '\u{2801}'..='\u{28ff}')
}

/// What stands before a character, as far as it matters.
#[derive(Default)]
struct Before {
    last: char,
    /// The last that was not ignorable.
    base: char,
    /// The letters of a flag's tags so far.
    tags: usize,
}

/// The flags that have tags: England, Scotland, Wales. The rest of what tags could spell is no
/// emoji that any system shows, and thus a way to write unseen.
const FLAGS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];
const TAGS: u32 = 0xe0000;
const TAG_END: char = '\u{e007f}';

impl Before {
    fn push(&mut self, it: char) {
        self.last = it;
        if is_ignorable(it) {
            self.tags = if is_tag(it) { self.tags + 1 } else { 0 };
        } else {
            self.tags = 0;
            self.base = it;
        }
    }

    /// Whether `it`, which nobody sees, has a meaning between what is before and what is after.
    fn allows(&self, it: char, after: &str) -> bool {
        let next = after.chars().next().unwrap_or_default();
        let last = self.last;
        match it {
            '\u{200c}' => is_virama(last) || is_joining(last) && is_joining(next),
            '\u{200d}' => {
                let emoji = is_pictograph(self.base)
                    && (self.base == last || last == '\u{fe0f}' || last == TAG_END)
                    && is_pictograph(next);
                // `ه\u{200d}` at the end of a word is an abbreviation, in the form of the beginning.
                let ends_word = is_arabic(last) && !is_ignorable(next);
                emoji || is_virama(last) || is_joining(last) && is_joining(next) || ends_word
            }
            '\u{200e}' | '\u{200f}' | '\u{61c}' => {
                is_right_to_left(last) || is_right_to_left(next) && !is_ignorable(last)
            }
            '\u{34f}' => is_hebrew(last) && is_hebrew(next),
            '\u{fe0e}' | '\u{fe0f}' => is_pictograph(last) || is_keycap(last) && next == '\u{20e3}',
            '\u{fe00}'..='\u{fe02}' => {
                is_ideograph(last)
                    || matches!(last, '\u{2200}'..='\u{22ff}' | '\u{2a00}'..='\u{2aff}')
                    || matches!(last, '\u{1000}'..='\u{109f}' | '\u{a840}'..='\u{a877}')
            }
            '\u{e0100}'..='\u{e01ef}' => is_ideograph(last),
            '\u{180b}'..='\u{180f}' => matches!(last, '\u{1820}'..='\u{18af}'),
            _ if is_tag(it) => self.continues_flag(it, after),
            _ => false,
        }
    }

    fn continues_flag(&self, it: char, after: &str) -> bool {
        if self.base != '\u{1f3f4}' {
            return false;
        }
        if self.tags == 0 {
            // The first tag of a flag answers for all of them.
            return self.last == self.base && FLAGS.iter().any(|flag| spells(flag, it, after));
        }
        self.tags <= 5
    }
}

/// Whether `first` and what follows are the tags of `flag`, to the end.
fn spells(flag: &str, first: char, after: &str) -> bool {
    let tags = flag.bytes().filter_map(|it| char::from_u32(TAGS + u32::from(it)));
    let expected = tags.chain([TAG_END]);
    let there = std::iter::once(first).chain(after.chars());
    expected.zip(there).filter(|(a, b)| a == b).count() == flag.len() + 1
}

fn is_tag(it: char) -> bool {
    matches!(it, '\u{e0020}'..=TAG_END)
}

/// What signs may stand on: emoji, and symbols that are emoji in one of two presentations.
fn is_pictograph(it: char) -> bool {
    matches!(it,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{2460}'..='\u{24ff}'
        | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}'
        | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

fn is_keycap(it: char) -> bool {
    matches!(it, '0'..='9' | '#' | '*')
}

/// Letters and marks of scripts in which joiners change how a word is written.
fn is_joining(it: char) -> bool {
    let kin = matches!(it, '\u{700}'..='\u{74f}' | '\u{7c0}'..='\u{7ff}' | '\u{840}'..='\u{85f}'
        | '\u{1800}'..='\u{180a}' | '\u{1820}'..='\u{18af}');
    let indic = matches!(it, '\u{900}'..='\u{dff}' | '\u{f00}'..='\u{109f}'
        | '\u{1700}'..='\u{17b3}' | '\u{17b6}'..='\u{17ff}' | '\u{1a20}'..='\u{1aad}'
        | '\u{1b00}'..='\u{1c4f}' | '\u{a800}'..='\u{a8ff}' | '\u{a980}'..='\u{a9ff}'
        | '\u{aa60}'..='\u{aadf}' | '\u{abc0}'..='\u{abff}' | '\u{11000}'..='\u{11fff}');
    is_arabic(it) || kin || indic
}

fn is_arabic(it: char) -> bool {
    matches!(it, '\u{620}'..='\u{6ff}' | '\u{750}'..='\u{77f}'
        | '\u{860}'..='\u{8ff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

/// The signs that take the vowel from a consonant; a joiner after one chooses its form.
fn is_virama(it: char) -> bool {
    matches!(
        u32::from(it),
        0x94d
            | 0x9cd
            | 0xa4d
            | 0xacd
            | 0xb4d
            | 0xbcd
            | 0xc4d
            | 0xccd
            | 0xd3b
            | 0xd3c
            | 0xd4d
            | 0xdca
            | 0x1039
            | 0x103a
            | 0x17d2
            | 0xa8c4
            | 0x1b44
            | 0xa9c0
            | 0x11046
            | 0x110b9
    )
}

fn is_right_to_left(it: char) -> bool {
    matches!(it, '\u{590}'..='\u{61b}' | '\u{61d}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

fn is_hebrew(it: char) -> bool {
    matches!(it, '\u{591}'..='\u{5f4}')
}

fn is_ideograph(it: char) -> bool {
    matches!(it, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_was_seen() {
        let left = |text: &str| Hidden::find(text).map(|it| it.rest);
        assert_eq!(left("a\u{200b}b\u{200d}c").as_deref(), Some("abc"));
        assert_eq!(left("👍\u{fe0f}\u{fe0f}").as_deref(), Some("👍\u{fe0f}"));
        assert_eq!(left("می\u{200c}\u{200c}خواهم").as_deref(), Some("می\u{200c}خواهم"));
        let wales = "🏴\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}";
        assert_eq!(left(wales), None);
        assert_eq!(left(&format!("{wales}\u{e0061}")).as_deref(), Some(wales));
        assert_eq!(left(&wales.replace('\u{e0077}', "\u{e0078}")).as_deref(), Some("🏴"));
    }

    #[test]
    fn what_is_mended_is_clean() {
        for it in (0xad..=0x10_ffff).filter_map(char::from_u32).filter(|it| is_ignorable(*it)) {
            assert!(may_hide(&it.to_string()), "{it:?}");
            for around in ["a", "م", "क", "字", "👍", "🏴", "1"] {
                let text = format!("{around}{it}{it}{around}");
                let found = Hidden::find(&text);
                let rest = found.unwrap_or_else(|| panic!("{text:?}")).rest;
                assert!(Hidden::find(&rest).is_none(), "{text:?}");
            }
        }
    }
}
