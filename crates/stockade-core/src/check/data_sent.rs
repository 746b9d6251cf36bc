#![doc = include_str!("data_sent.md")]

use std::borrow::Cow;

use super::{Check, Facts, Findings, Rule, rules};
use crate::argument::{Argument, Called, Kind};
use crate::finding::At;
use crate::json::Json;
use crate::subject::Subject;

pub(super) mod contacts;
mod identity;
mod money;

pub(super) struct This;

/// So many addresses in one text are a list of people.
const ADDRESSES_MIN: usize = 10;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::data_sent
    }

    /// Numbers that are none in quotes.
    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let mut numbers = subject.json.all().filter_map(|it| Some((it, number(it)?))).peekable();
        if numbers.peek().is_none() {
            return;
        }
        if !Called::of(subject, facts).is_some_and(|it| it.traits().is_open) {
            return;
        }
        for (json, text) in numbers {
            if let Some(what) = money::find(&text).first() {
                out.add_told(At::Value(json), format!("it is {what}, and the tool sends it out"));
            }
        }
    }

    fn argument(&self, it: &Argument<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if it.str.len() < BYTES_MIN || !it.call.traits().is_open {
            return;
        }
        let found = found(it.str, it.name, it.is(Kind::Secret));
        if !found.is_empty() {
            let what = format!("it has {} in it, and the tool sends it out", found.join(" and "));
            out.add_told(it.at, what);
        }
    }
}

/// A number as it is written, if it is as long as one of a card.
fn number(json: Json<'_>) -> Option<String> {
    /// 19 digits and a sign.
    const DIGITS: std::ops::RangeInclusive<i64> = 1_000_000_000_000..=i64::MAX;
    json.i64().filter(|it| DIGITS.contains(it)).map(|it| it.to_string())
}

/// A text with the digits and the spaces of every script as those of ASCII, and without what nobody
/// sees: `４５３９ …`, and the space that does not break.
fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    /// Where the digits of a script begin.
    const ZEROS: [u32; 5] = [0xff10, 0x660, 0x6f0, 0x966, 0x9e6];
    let one = |it: char| {
        let digit = ZEROS.iter().find_map(|zero| {
            let digit = u32::from(it).checked_sub(*zero).filter(|it| *it < 10)?;
            char::from_digit(digit, 10)
        });
        match it {
            _ if digit.is_some() => digit,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => None,
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}' => Some('-'),
            '\u{ff0e}' => Some('.'),
            it if !it.is_ascii() && it.is_whitespace() => Some(' '),
            it => Some(it),
        }
    };
    Cow::Owned(text.chars().filter_map(one).collect())
}

/// What of all this is in a text that is the value of `name`.
pub(super) fn found(text: &str, name: &str, may_be_secret: bool) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = Vec::new();
    if text.len() < BYTES_MIN {
        return found;
    }
    if !may_be_secret && matches!(super::redacted(text), Cow::Owned(_)) {
        found.push("a secret");
    }
    let plain = plain(text);
    if plain.bytes().any(|it| it.is_ascii_digit()) {
        found.extend(money::find(&plain));
        found.extend(identity::find(&plain, name));
    }
    found.extend(marking(text));
    if contacts::emails(text) >= ADDRESSES_MIN {
        found.push("a list of e-mail addresses");
    }
    found.dedup();
    found
}

/// Shorter ones have nothing of these in them.
const BYTES_MIN: usize = 7;

/// What a document says of who may read it. In the letters of a stamp, since people also write about
/// secrets.
fn marking(text: &str) -> Option<&'static str> {
    const STAMPS: &[&str] = &[
        "TOP SECRET",
        "SECRET//",
        "CONFIDENTIAL//",
        "//NOFORN",
        "COMPANY CONFIDENTIAL",
        "STRICTLY CONFIDENTIAL",
        "STRENG VERTRAULICH",
        "INTERNAL USE ONLY",
        "FOR OFFICIAL USE ONLY",
        "NOT FOR DISTRIBUTION",
        "DO NOT DISTRIBUTE",
        "CUI//",
        "ATTORNEY-CLIENT PRIVILEGED",
        "NATO SECRET",
        "NATO RESTRICTED",
        "VS-NUR FÜR DEN DIENSTGEBRAUCH",
    ];
    const ALONE: &[&str] = &["CONFIDENTIAL", "SECRET", "RESTRICTED", "VERTRAULICH", "CLASSIFIED"];
    let has_capitals = text.as_bytes().windows(6).any(|it| it.iter().all(u8::is_ascii_uppercase));
    if !has_capitals && !text.contains("TLP") && !text.contains("CUI//") {
        return None;
    }
    let around = |it: char| !it.is_ascii_alphanumeric();
    // `TLP:RED`, as FIRST writes it, and as people do.
    let is_tlp = |after: &str| {
        let color = after.trim_start_matches([':', ' ', '\u{a0}', '-', '=']);
        color.len() < after.len() && ["RED", "AMBER"].iter().any(|it| color.starts_with(it))
    };
    let stamped = STAMPS.iter().any(|it| text.contains(it))
        || text.split("TLP").skip(1).any(is_tlp)
        || text.lines().any(|line| ALONE.contains(&line.trim_matches(around)));
    stamped.then_some("a marking of who may read it")
}

/// Runs of digits, with what may stand between them, that no letter or digit is around.
fn runs<'t>(text: &'t str, between: &'static [u8]) -> impl Iterator<Item = (usize, &'t str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + bytes.get(at..)?.iter().position(u8::is_ascii_digit)?;
            let mut end = start;
            while let Some(it) = bytes.get(end) {
                let goes_on = it.is_ascii_digit()
                    || between.contains(it) && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
                if !goes_on {
                    break;
                }
                end += 1;
            }
            at = end;
            let joins =
                |it: Option<&u8>| it.is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_');
            let before = start.checked_sub(1).and_then(|it| bytes.get(it));
            if !joins(before) && !joins(bytes.get(end)) {
                return text.get(start..end).map(|it| (start, it));
            }
        }
    })
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|it| it.to_digit(10)).collect()
}

fn luhn(digits: &[u32]) -> bool {
    let doubled = |it: u32| if it > 4 { it * 2 - 9 } else { it * 2 };
    let each = digits.iter().rev().enumerate();
    let sum: u32 = each.map(|(n, it)| if n % 2 == 1 { doubled(*it) } else { *it }).sum();
    sum.is_multiple_of(10) && digits.iter().any(|it| Some(it) != digits.first())
}

/// Whether one of these words stands in front of a place, or names what holds it.
fn is_about(text: &str, at: usize, name: &str, words: &[&str]) -> bool {
    const BYTES_BEFORE: usize = 48;
    let mut from = at.saturating_sub(BYTES_BEFORE);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let before = text.get(from..at).unwrap_or_default().to_lowercase();
    let name = name.to_lowercase();
    words.iter().any(|it| before.contains(it) || name.contains(it))
}

#[cfg(test)]
mod tests;
