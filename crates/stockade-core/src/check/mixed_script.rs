#![doc = include_str!("mixed_script.md")]

use std::sync::LazyLock;

use unicode_security::confusable_detection::skeleton;

use super::{Check, Facts, Findings, Rule, Text, rules};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::mixed_script
    }

    fn text(&self, text: Text<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if text.is_ascii || !has_latin_and_kin(text.str) {
            return;
        }
        let count = text.str.split(|it: char| !it.is_alphabetic()).filter(|it| mixes(it)).count();
        if count > 0 {
            out.add(text.at, format!("{count} words of Latin letters and others that look so"));
        }
    }
}

/// Whether the bytes allow for a word of both. Cyrillic and Greek begin with 0xCD to 0xD4.
fn has_latin_and_kin(text: &str) -> bool {
    let (mut latin, mut kin) = (false, false);
    for &byte in text.as_bytes() {
        latin |= byte.is_ascii_alphabetic();
        kin |= (0xcd..=0xd4).contains(&byte);
    }
    latin & kin
}

fn mixes(word: &str) -> bool {
    const LETTERS_MIN: usize = 4;
    let (mut latin, mut alike) = (0, 0);
    if word.is_ascii() {
        return false;
    }
    for it in word.chars() {
        match it {
            '\0'..='\u{24f}' => latin += 1,
            it if looks_latin(it) => alike += 1,
            _ => return false,
        }
    }
    latin > 0 && alike > 0 && latin + alike >= LETTERS_MIN
}

/// Whether a letter of Greek or Cyrillic looks like one of ASCII.
fn looks_latin(it: char) -> bool {
    const FIRST: u32 = 0x370;
    const LAST: u32 = 0x52f;
    static LOOKS: LazyLock<Vec<bool>> = LazyLock::new(|| {
        let alike =
            |it: char| skeleton(it.encode_utf8(&mut [0; 4])).all(|it| it.is_ascii_alphabetic());
        (FIRST..=LAST).map(|it| char::from_u32(it).is_some_and(alike)).collect()
    });
    let at = u32::from(it).checked_sub(FIRST).and_then(|it| usize::try_from(it).ok());
    at.and_then(|it| LOOKS.get(it)).copied().unwrap_or_default()
}
