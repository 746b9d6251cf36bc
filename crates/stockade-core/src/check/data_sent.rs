#![doc = include_str!("data_sent.md")]

use std::borrow::Cow;

use super::{Check, Facts, Findings, Rule, rules};
use crate::argument::{Argument, Kind};

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

/// What of all this is in a text that is the value of `name`.
pub(super) fn found(text: &str, name: &str, may_be_secret: bool) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = Vec::new();
    if text.len() < BYTES_MIN {
        return found;
    }
    if !may_be_secret && matches!(super::redacted(text), Cow::Owned(_)) {
        found.push("a secret");
    }
    if text.bytes().any(|it| it.is_ascii_digit()) {
        found.extend(money::find(text));
        found.extend(identity::find(text, name));
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
        "TOP SECRET", "SECRET//", "CONFIDENTIAL//", "//NOFORN", "TLP:RED", "TLP:AMBER",
        "COMPANY CONFIDENTIAL", "STRICTLY CONFIDENTIAL", "STRENG VERTRAULICH", "INTERNAL USE ONLY",
        "FOR OFFICIAL USE ONLY", "NOT FOR DISTRIBUTION", "DO NOT DISTRIBUTE", "CUI//",
        "ATTORNEY-CLIENT PRIVILEGED", "NATO SECRET", "NATO RESTRICTED", "VS-NUR FÜR DEN DIENSTGEBRAUCH",
    ];
    const ALONE: &[&str] = &["CONFIDENTIAL", "SECRET", "RESTRICTED", "VERTRAULICH", "CLASSIFIED"];
    let has_capitals = text.as_bytes().windows(6).any(|it| it.iter().all(u8::is_ascii_uppercase));
    if !has_capitals && !text.contains("TLP:") && !text.contains("CUI//") {
        return None;
    }
    let around = |it: char| !it.is_ascii_alphanumeric();
    let stamped = STAMPS.iter().any(|it| text.contains(it))
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
            let joins = |it: Option<&u8>| it.is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_');
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
