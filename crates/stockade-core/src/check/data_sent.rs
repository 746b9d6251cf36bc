#![doc = include_str!("data_sent.md")]

use std::borrow::Cow;
use std::ops::Range;

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

/// Groups of digits, with what may stand between them.
struct Run {
    groups: Vec<Range<usize>>,
    /// A letter is next to its first digit, or to its last.
    joins: (bool, bool),
}

/// Runs of digits, with up to three of what may stand between their groups.
fn runs(text: &str, between: &'static [u8]) -> impl Iterator<Item = Run> {
    /// `4539 - 1488`.
    const BETWEEN_MAX: usize = 3;
    let bytes = text.as_bytes();
    let digits = |at: usize| {
        let rest = bytes.get(at..).unwrap_or_default();
        at..at + rest.iter().take_while(|it| it.is_ascii_digit()).count()
    };
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = digits(at + bytes.get(at..)?.iter().position(u8::is_ascii_digit)?);
        let start = first.start;
        let mut end = first.end;
        let mut groups = vec![first];
        loop {
            let rest = bytes.get(end..).unwrap_or_default();
            let gap = rest.iter().take(BETWEEN_MAX).take_while(|it| between.contains(it)).count();
            let next = digits(end + gap);
            if gap == 0 || next.is_empty() {
                break;
            }
            end = next.end;
            groups.push(next);
        }
        at = end;
        let joins =
            |it: Option<&u8>| it.is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_');
        let before = start.checked_sub(1).and_then(|it| bytes.get(it));
        Some(Run { groups, joins: (joins(before), joins(bytes.get(end))) })
    })
}

impl Run {
    /// What may be one number of it: all of it, and what there is between two blanks, since people
    /// write a date behind a number, and a number behind how many there are.
    fn numbers<'t>(&self, text: &'t str) -> impl Iterator<Item = (usize, &'t str)> {
        /// No number has more groups.
        const GROUPS_MAX: usize = 8;
        /// No number has more digits, and none that is looked for has fewer.
        const DIGITS: std::ops::RangeInclusive<usize> = 9..=19;
        let groups = &self.groups;
        let is_blank = move |before: usize, after: usize| {
            let gap = groups.get(before).zip(groups.get(after));
            let gap = gap.and_then(|(before, after)| text.get(before.end..after.start));
            gap.is_some_and(|it| it.contains(' '))
        };
        let begins = move |it: usize| match it.checked_sub(1) {
            Some(before) => is_blank(before, it),
            None => !self.joins.0,
        };
        let ends = move |it: usize| match it + 1 == groups.len() {
            true => !self.joins.1,
            false => is_blank(it, it + 1),
        };
        let starts = groups.iter().enumerate().filter(move |(it, _)| begins(*it));
        starts.flat_map(move |(from, first)| {
            let mut count = 0;
            let some = groups.iter().enumerate().skip(from).take(GROUPS_MAX);
            some.filter_map(move |(to, last)| {
                count += last.len();
                let is_one = DIGITS.contains(&count) && ends(to);
                is_one.then(|| text.get(first.start..last.end)).flatten()
            })
            .map(move |it| (first.start, it))
        })
    }
}

/// What may be a number of its own, with its place.
fn any_number(
    text: &str,
    between: &'static [u8],
    mut is_one: impl FnMut((usize, &str)) -> bool,
) -> bool {
    runs(text, between).any(|run| run.numbers(text).any(&mut is_one))
}

/// How many digits each group of a number has.
fn groups(number: &str) -> Vec<usize> {
    let is_digit = |it: char| it.is_ascii_digit();
    number.split(|it| !is_digit(it)).map(str::len).filter(|it| *it > 0).collect()
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
