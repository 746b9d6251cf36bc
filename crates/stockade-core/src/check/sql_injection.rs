#![doc = include_str!("sql_injection.md")]

use stockade_kit::query::{Breakout, Effort, Refusal, breaks_out_within, exceeds_number_within};

use super::{Check, Facts, Findings, Rule, rules};
use crate::argument::{Argument, Kind, is_ambiguous, last_word};
use crate::finding::Severity;

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::sql_injection
    }

    fn argument(&self, it: &Argument<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        let is_of_another_kind = [Kind::Sql, Kind::Command, Kind::Words, Kind::Path, Kind::Url]
            .iter()
            .any(|kind| it.is(*kind));
        let may = |it: &Argument<'_>| {
            memchr::memchr2(b'\'', b'"', it.str.as_bytes()).is_some()
                || begins_as_number(it.str)
                || is_number(it.name)
        };
        if it.is_name() || is_of_another_kind || is_prose(it.name) || !may(it) {
            return;
        }
        let says = match found(it, it.call.statements().effort()) {
            Ok(None) => return,
            Ok(Some((place, how))) => format!("{place} it would be {how}, and no value"),
            // Nobody has looked.
            Err(why) => why.to_string(),
        };
        let traits = it.call.traits();
        // A search of the web may be for an attack.
        let is_search = is_search(it.name) && traits.is_open && !traits.speaks_sql;
        let severity = match traits.looks_up && !is_search {
            true => rules::sql_injection.severity,
            false => Severity::Low,
        };
        out.add_told_as(it.at, super::redacted(&says), severity);
    }
}

/// What a text would be, and in which place.
fn found(it: &Argument<'_>, effort: &Effort) -> Result<Option<(&'static str, Breakout)>, Refusal> {
    if let Some(how) = breaks_out_within(it.str, effort)? {
        return Ok(Some(("between quotes", how)));
    }
    if !is_number(it.name) {
        return Ok(None);
    }
    Ok(exceeds_number_within(it.str, effort)?.map(|how| ("as a number", how)))
}

fn begins_as_number(text: &str) -> bool {
    let text = text.trim_start_matches([' ', '(', '-', '+']);
    let goes_on = || {
        let text = text.as_bytes();
        memchr::memchr3(b' ', b';', b'/', text).or_else(|| memchr::memchr(b')', text)).is_some()
    };
    text.starts_with(|it: char| it.is_ascii_digit()) && goes_on()
}

/// What a server takes for a number, and puts nothing around. A `count` may be `3 or 4` to people.
fn is_number(name: &str) -> bool {
    matches!(
        last_word(name).as_str(),
        "id" | "ids" | "number" | "numbers" | "no" | "num" | "nr" | "offset" | "limit" | "page"
    )
}

fn is_search(name: &str) -> bool {
    let last = last_word(name);
    is_ambiguous(&last) || matches!(last.as_str(), "question" | "keyword" | "keywords" | "search")
}

/// What holds texts or code, and no value that something is looked up by.
fn is_prose(name: &str) -> bool {
    matches!(
        last_word(name).as_str(),
        "content"
            | "contents"
            | "text"
            | "texts"
            | "body"
            | "message"
            | "messages"
            | "msg"
            | "description"
            | "comment"
            | "comments"
            | "note"
            | "notes"
            | "prompt"
            | "summary"
            | "thought"
            | "thoughts"
            | "observation"
            | "observations"
            | "caption"
            | "markdown"
            | "html"
            | "code"
            | "script"
            | "snippet"
            | "patch"
            | "diff"
            | "pattern"
            | "patterns"
            | "regex"
            | "instruction"
            | "instructions"
            | "insight"
            | "reason"
            | "expression"
            | "function"
            | "source"
            | "answer"
    )
}
