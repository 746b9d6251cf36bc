#![doc = include_str!("confusable.md")]

use unicode_security::MixedScript;
use unicode_security::confusable_detection::skeleton;
use unicode_security::mixed_script::AugmentedScriptSet;

use super::{Check, Facts, Findings, Rule, Text, rules};
use crate::finding::At;
use crate::json::Json;
use crate::subject::Channel;

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::confusable
    }

    fn text(&self, text: Text<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if text.is_ascii {
            return;
        }
        let channel = text.subject.channel;
        let is_listed = matches!(channel, Channel::Tool | Channel::Prompt);
        if !is_listed && !matches!(channel, Channel::Call | Channel::Argument) {
            return;
        }
        // Looked for where it can be: there may be as many names as texts.
        let is_own =
            || text.subject.json.get("name").map(Json::number) == Some(text.at.json().number());
        let is_name = text.is_name() || is_listed && text.label() == Some("name") && is_own();
        let Some(says) = is_name.then(|| confusable(text.str)).flatten() else { return };
        if is_listed {
            out.add_removable(At::Value(text.subject.json), says);
        } else {
            out.add(text.at, says);
        }
    }
}

fn confusable(name: &str) -> Option<&'static str> {
    let mut words = name.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_ascii());
    words.find_map(|word| {
        if mixes(word) {
            Some("a name with letters of two scripts in one word")
        } else {
            // Letters such as `é` are not another script: they are Latin, and seen.
            let hides = !has_latin(word) && skeleton(word).all(|it| it.is_ascii());
            hides.then_some("a name that reads as ASCII and is not")
        }
    })
}

/// Chinese, Japanese and Korean are written with Latin letters among their own (UTS 39 §5.2,
/// "Highly Restrictive").
fn mixes(word: &str) -> bool {
    if word.is_single_script() {
        return false;
    }
    let foreign = word.chars().filter(|it| !is_latin(*it));
    let mut scripts = AugmentedScriptSet::default();
    foreign.for_each(|it| scripts.intersect_with(it.into()));
    !(scripts.hanb || scripts.jpan || scripts.kore)
}

fn has_latin(word: &str) -> bool {
    word.chars().any(is_latin)
}

fn is_latin(it: char) -> bool {
    matches!(it, 'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}
