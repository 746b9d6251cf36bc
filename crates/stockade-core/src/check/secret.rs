#![doc = include_str!("secret.md")]

use std::borrow::Cow;
use std::ops::Range;

use super::{Check, Facts, Findings, Rule, Text, rules};
use crate::alias::Aliases;
use crate::bytes::{is_hex, leading};
use crate::subject::Subject;

mod columns;
mod command;
mod context;
mod cut;
mod declared;
mod encoded;
mod escaped;
mod foreign;
mod format;
mod keys;
mod option;
mod pair;
mod password;
mod placeholder;
mod split;
mod token;

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::secret
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        split::look(subject, facts, out);
        pair::look(subject, facts, out);
    }

    fn text(&self, text: Text<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let secrets = secrets(text.str, text.label());
        if secrets.is_empty() {
            return;
        }
        if text.is_name() {
            out.add(text.at, says(&secrets));
        } else {
            out.add_fixable(text.at, says(&secrets), redacted(text.str, &secrets, facts.aliases));
        }
    }
}

fn says(secrets: &[Secret]) -> String {
    let first = secrets.first().map(|it| it.kind).unwrap_or_default();
    match secrets.len() {
        1 => format!("a secret: {first}"),
        count => format!("{count} secrets, the first: {first}"),
    }
}

/// `text` without the secrets in it.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    redact_as(text, None)
}

/// The same of a text that stands under a name: what is under `password` is one, whatever it is.
pub(super) fn redact_named(text: &str, name: &str) -> String {
    redact_as(text, Some(name)).into_owned()
}

fn redact_as<'t>(text: &'t str, label: Option<&str>) -> Cow<'t, str> {
    /// What is taken out may have hidden more.
    const LOOKS_MAX: usize = 4;
    let mut shown = Cow::Borrowed(text);
    for _ in 0..LOOKS_MAX {
        let found = secrets(&shown, label);
        if found.is_empty() {
            break;
        }
        shown = redacted(&shown, &found, None).into();
    }
    shown
}

/// A secret in a text.
#[derive(Debug, PartialEq, Eq)]
struct Secret {
    at: Range<usize>,
    kind: &'static str,
    /// It is there in an encoding, in which the rest of what was encoded stays.
    encoded: Option<Box<encoded::Encoded>>,
}

impl Secret {
    fn plain(kind: &'static str, at: Range<usize>) -> Self {
        Self { at, kind, encoded: None }
    }
}

/// The least that a secret has around it or is.
const BYTES_MIN: usize = 8;

/// How often what was encoded may have been encoded again.
const DEPTH_MAX: usize = 2;

/// The secrets in `text`, which is the value of `label`, in order and apart from each other.
fn secrets(text: &str, label: Option<&str>) -> Vec<Secret> {
    let is_blob = label.is_some_and(|it| matches!(it, "data" | "blob"));
    let mut found = inside(text.as_bytes(), DEPTH_MAX, is_blob);
    if found.is_empty() && label.is_some_and(|it| context::is_secret_value(it, text)) {
        found.push(Secret::plain("assigned-secret", 0..text.len()));
    }
    found
}

fn inside(bytes: &[u8], depth: usize, is_blob: bool) -> Vec<Secret> {
    let mut found = Vec::new();
    if bytes.len() < BYTES_MIN {
        return found;
    }
    // What is one run of letters and digits has nothing that is next to something.
    let is_digits = leading(bytes, is_hex) == bytes.len();
    let is_solid = is_digits || leading(bytes, |it| it.is_ascii_alphanumeric()) == bytes.len();
    tokens(bytes, is_solid, &mut found);
    if !is_solid {
        let mut plain = |kind, at| found.push(Secret::plain(kind, at));
        keys::in_pem(bytes, &mut plain);
        keys::of_putty(bytes, &mut plain);
        context::assigned(bytes, &mut plain);
        command::placed(bytes, &mut plain);
        cut::find(bytes, &mut found);
    }
    if depth > 0 && !is_solid {
        escaped::find(bytes, depth - 1, &mut found);
    }
    if depth > 0 {
        encoded::find(bytes, depth - 1, is_digits, is_blob, &mut found);
    }
    apart(&mut found);
    found
}

fn tokens(bytes: &[u8], is_solid: bool, found: &mut Vec<Secret>) {
    let real = |it: &Range<usize>| {
        bytes.get(it.clone()).is_some_and(|it| !placeholder::is_placeholder(it))
    };
    let mut presigned = context::Presigned::default();
    let mut each = |kind, at: Range<usize>| {
        if real(&at) && !presigned.has(bytes, at.start) {
            found.push(Secret::plain(kind, at));
        }
    };
    match is_solid {
        true => token::at_front(bytes, &mut each),
        false => token::tokens(bytes, &mut each),
    }
}

/// Where two overlap, the one that begins first is kept, and the longer of two that begin together.
/// A token says more than its place does: it comes first among equals. What is encoded and overlaps
/// with anything is taken out as a whole.
fn apart(found: &mut Vec<Secret>) {
    found.sort_by_key(|it| (it.at.start, std::cmp::Reverse(it.at.end)));
    found.dedup_by(|next, kept| {
        let overlaps = next.at.start < kept.at.end;
        if overlaps {
            kept.at.end = kept.at.end.max(next.at.end);
            kept.encoded = None;
        }
        overlaps
    });
}

fn redacted(text: &str, secrets: &[Secret], aliases: Option<&Aliases>) -> String {
    let mut shown = Vec::with_capacity(text.len());
    write(text.as_bytes(), secrets, aliases, &mut shown);
    String::from_utf8_lossy(&shown).into_owned()
}

/// Writes `text` without the secrets in it.
fn write(text: &[u8], secrets: &[Secret], aliases: Option<&Aliases>, out: &mut Vec<u8>) {
    let mut from = 0;
    for it in secrets {
        let secret = text.get(it.at.clone()).unwrap_or_default();
        out.extend_from_slice(text.get(from..it.at.start).unwrap_or_default());
        match &it.encoded {
            Some(encoded) => encoded.write(aliases, out),
            None => out.extend_from_slice(instead(it.kind, secret, aliases).as_bytes()),
        }
        from = it.at.end;
    }
    out.extend_from_slice(text.get(from..).unwrap_or_default());
}

/// What stands for a secret. The first of its kind in a conversation has no number.
fn instead(kind: &'static str, secret: &[u8], aliases: Option<&Aliases>) -> String {
    match aliases.map(|it| it.number(kind, secret)) {
        None | Some(Some(1)) => format!("[redacted:{kind}]"),
        Some(Some(number)) => format!("[redacted:{kind}-{number}]"),
        Some(None) => format!("[redacted:{kind}-other]"),
    }
}

/// Whether a name says that its value is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    context::is_secret_name(name.as_bytes())
}

#[cfg(test)]
mod tests;
