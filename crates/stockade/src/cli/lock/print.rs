//! What is printed of a lock and of what differs from it. Everything that a server has said is shown
//! with what nobody would see in it written out.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};
use stockade_core::check::visible;
use stockade_core::judge::judge;
use stockade_core::lock::{Difference, Entry, Offers, Part};
use stockade_core::message::{Message, Side};
use stockade_core::policy::Policy;
use stockade_core::subject::Facts;

use crate::lock::launch::Identity;

/// What differs, each with its class and its lines. Of what was not there before, `is_new` is said.
pub(in crate::cli) fn differences(server: &str, others: &[Difference], is_new: &str) -> String {
    let mut text = String::new();
    let mut others: Vec<&Difference> = others.iter().collect();
    // What matters most is read first.
    others.sort_by_key(|it| std::cmp::Reverse(it.class));
    for it in others {
        let spoken = escaped(&it.part.spoken(&it.name));
        line(&mut text, &format!("{:<9}  {server}: {spoken}", it.class.name()));
        match (&it.was, &it.is) {
            (None, Some(is)) => {
                line(&mut text, &format!("  {is_new}"));
                compare(&mut text, None, Some(is));
            }
            (_, None) => line(&mut text, "  is not listed any more"),
            (Some(_), Some(_)) => {
                for change in &it.changes {
                    let place = if change.place.is_empty() { "all of it" } else { &change.place };
                    line(&mut text, &format!("  {} ({})", escaped(place), change.class.name()));
                    compare(&mut text, change.was.as_ref(), change.is.as_ref());
                }
            }
        }
    }
    text
}

/// The lines of two values, one against the other.
fn compare(text: &mut String, was: Option<&Value>, is: Option<&Value>) {
    let (was, is) = (lines(was), lines(is));
    for change in TextDiff::from_lines(&was, &is).iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        line(text, &format!("    {sign} {}", escaped(change.value().trim_end_matches('\n'))));
    }
}

/// A value as lines: a text as it is, and anything else as JSON.
fn lines(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => format!("{text}\n"),
        Some(other) => format!("{other:#}\n"),
    }
}

/// What is known of a server that was never approved.
pub(super) fn summary(name: &str, identity: &Identity, offers: &Offers) -> String {
    let mut text = format!("{name}:\n");
    let launch = &identity.launch;
    if let Some(url) = &launch.url {
        line(&mut text, &format!("  address       {}", escaped(url)));
    }
    if !launch.command.is_empty() {
        line(&mut text, &format!("  command       {}", escaped(&launch.command.join(" "))));
    }
    if !launch.env.is_empty() {
        line(&mut text, &format!("  variables     {}", escaped(&launch.env.join(", "))));
    }
    for code in &identity.code {
        let told = format!("  code          {} ({})", code.name, code.hash);
        line(&mut text, &escaped(&told));
    }
    text.push_str(unknown_code(identity));
    for (part, title) in [
        (Part::Tool, "tools"),
        (Part::Prompt, "prompts"),
        (Part::Resource, "resources"),
        (Part::Template, "templates"),
    ] {
        let names: Vec<String> = offers.of(part).map(|(name, _)| escaped(name)).collect();
        if !names.is_empty() {
            line(&mut text, &format!("  {title:<12}  {}: {}", names.len(), names.join(", ")));
        }
    }
    for (_, forms) in offers.of(Part::Instructions) {
        for form in forms {
            line(
                &mut text,
                &format!("  instructions  {}", escaped(form.as_str().unwrap_or_default())),
            );
        }
    }
    text
}

/// What is said of code that no digest is known of.
pub(super) fn unknown_code(identity: &Identity) -> &'static str {
    match identity.is_of_unknown_code() {
        true => "  code: not known, so other code behind the same command would not be noticed\n",
        false => "",
    }
}

/// What the rules see in what a server offers.
pub(super) fn findings(offers: &Offers) -> String {
    let mut text = String::new();
    let policy = Policy::default();
    for (part, method, list) in Part::LISTED {
        for (name, forms) in offers.of(part) {
            let listing = json!({ "jsonrpc": "2.0", "id": 1, "result": { list: forms } });
            let bytes = Bytes::from(listing.to_string());
            let Ok(message) = Message::parse(Side::Server, bytes, &policy.limits.json()) else {
                continue;
            };
            let facts = Facts { method, ..Facts::alone(Side::Server) };
            let judgement = judge(message, &facts, &policy);
            for it in judgement.findings() {
                let spoken = escaped(&part.spoken(name));
                let says = escaped(&it.says);
                line(
                    &mut text,
                    &format!("  {} ({}): {spoken}: {says}", it.rule.id, it.rule.severity.name()),
                );
            }
        }
    }
    if text.is_empty() { text } else { format!("The rules see in this:\n{text}") }
}

/// A server of a lock, to be read.
pub(super) fn entry(name: &str, entry: &Entry) -> String {
    let name = escaped(name);
    let mut text = String::new();
    let about = [
        ("launch", json!(entry.launch)),
        ("code", json!(entry.code)),
        ("alike", json!(entry.alike)),
    ];
    for (what, value) in about.into_iter().filter(|(_, it)| *it != json!([])) {
        line(&mut text, &format!("{name} {what} {}", escaped(&value.to_string())));
    }
    for (part, thing, forms) in entry.offers.all() {
        for form in forms {
            let head = format!("{name} {} {}", part.name(), escaped(thing));
            line(&mut text, head.trim_end());
            for one in lines(Some(form)).lines() {
                line(&mut text, &format!("    {}", escaped(one)));
            }
        }
    }
    text
}

fn line(text: &mut String, line: &str) {
    // Writing to a text cannot fail.
    let _written = writeln!(text, "{line}");
}

/// A text with what nobody would see written out, so that two that differ look different.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut buffer = [0; 4];
    for it in text.chars() {
        if it == '\n' {
            shown.push_str("\\n");
        } else if it == '\u{fffd}' || visible(it.encode_utf8(&mut buffer)) != "\u{fffd}" {
            shown.push(it);
        } else {
            shown.extend(it.escape_unicode());
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_written_out() {
        let was = json!({ "name": "a", "description": "One.\nTwo." });
        let is = json!({ "name": "a", "description": "One.\nTwo\u{200b}.\nThree\u{1b}[2J" });
        let other = Difference::of(Part::Tool, "a", &[was], Some(&is));
        let text = differences("s", &[other], "is new");
        insta::assert_snapshot!(text, @r"
        dangerous  s: the tool `a`
          /description (dangerous)
              One.
            - Two.
            + Two\u{200b}.
            + Three\u{1b}[2J
        ");
    }
}
