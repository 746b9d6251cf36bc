//! Mends of structured content that leave it as its schema says.
//!
//! A client holds structured content against the schema of its tool, and throws away what does not
//! match. So what was mended has to match as well as what the server said: a text for which the marks
//! are too long, or which may only be a date, is replaced by less. All of it is in the text beside
//! it, which has no schema.

use serde_json::Value;

use crate::finding::Finding;
use crate::json::{Edit, Limits};
use crate::message::{Message, Side};
use crate::schema::Violation;
use crate::subject::Facts;

/// What a text is replaced by that may not be what it was mended to, one after the other. After the
/// last it is left out.
const LESS: [&str; 2] = ["[withheld by Stockade]", ""];

/// So often it is looked which value does not match; from then on all have less at once.
const ROUNDS_MAX: usize = 12;

/// Whether a finding says that structured content does not match.
pub(crate) fn is_mismatch(finding: &Finding) -> bool {
    finding.rule.id == MISMATCH
}

const MISMATCH: &str = "output_schema";

/// Says of content that matched before it was mended whose doing it is that it does not any more.
pub(crate) fn own(found: &mut [Finding]) {
    for finding in found.iter_mut().filter(|it| is_mismatch(it)) {
        finding.says = "the tool has run, and its result is as its `outputSchema` says; what \
                        Stockade withholds of it leaves nothing that would be"
            .to_owned();
    }
}

/// The same edits, with less in the place of what does not match where the server's own did. Where
/// nothing does, they are as they were, and what comes of them is judged like any other result.
pub(crate) fn fitted(
    message: &Message,
    edits: Vec<Edit>,
    facts: &Facts<'_>,
    limits: &Limits,
) -> Vec<Edit> {
    let schema = facts.definition.and_then(|it| it.result.as_ref());
    let schema = schema.filter(|_| facts.from == Side::Server && !edits.is_empty());
    let (Some(schema), Some(whole)) = (schema, message.get("structuredContent")) else {
        return edits;
    };
    let mut less: Vec<Option<usize>> = Vec::new();
    for edit in &edits {
        let is_text = edit.to.as_ref().is_some_and(Value::is_string);
        less.push((is_text && whole.has(edit.at)).then_some(0));
    }
    if less.iter().all(Option::is_none) || schema.check(whole).is_err() {
        return edits;
    }
    for round in 0..=ROUNDS_MAX + LESS.len() {
        let tried: Vec<Edit> = edits.iter().zip(&less).map(|(it, less)| with(it, *less)).collect();
        let Ok(edited) = message.edited(&tried, limits) else { return edits };
        let Some(Err(wrong)) = edited.get("structuredContent").map(|it| schema.check(it)) else {
            return tried;
        };
        let Violation::Mismatch { path, .. } = wrong else { return edits };
        let at = whole.at_pointer(&path).map(|it| it.number());
        let is_it = |edit: &Edit| round < ROUNDS_MAX && Some(edit.at) == at;
        let is_one = edits.iter().zip(&less).any(|(it, less)| less.is_some() && is_it(it));
        for (edit, less) in edits.iter().zip(&mut less) {
            *less = less.map(|less| less + usize::from(!is_one || is_it(edit)));
        }
        if less.iter().flatten().any(|less| *less > LESS.len() + 1) {
            return edits;
        }
    }
    edits
}

fn with(edit: &Edit, less: Option<usize>) -> Edit {
    let to = match less.unwrap_or_default().checked_sub(1) {
        None => edit.to.clone(),
        Some(number) => LESS.get(number).map(|it| Value::from(*it)),
    };
    Edit { at: edit.at, to }
}
