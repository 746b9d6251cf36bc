//! Orders in many languages, harmless sentences with the same words, and descriptions of tools, each
//! written for this and none taken from the corpora.

use stockade_core::detect::{self, Of, Said};
use stockade_core::finding::Severity;

/// `# language`, `+ order`, `- harmless`.
const SENTENCES: &str = include_str!("tongues/sentences.txt");

#[test]
fn orders_are_found_and_what_has_their_words_is_not() {
    let mut wrong = Vec::new();
    let mut language = "";
    for line in SENTENCES.lines() {
        let (kind, text) = line.split_once(' ').unwrap();
        let said = Said { text, of: Of::Content, is_own: &|_| false };
        let seen = detect::look(said);
        match kind {
            "#" => language = text,
            "+" if seen.is_none() => {
                wrong.push(format!("{language} missed: {text}\n    {:?}", detect::explain(said)));
            }
            "-" if seen.is_some() => {
                wrong.push(format!("{language} found: {text}\n    {:?}", detect::explain(said)));
            }
            "+" | "-" => {}
            _ => panic!("{line}"),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        SENTENCES.lines().count(),
        wrong.join("\n")
    );
}

/// `+ poisoned`, `- name: honest`.
const DESCRIPTIONS: &str = include_str!("tools/descriptions.txt");

/// So many of the forty are found. They were written before the words that find them: those that are
/// not found are in words that are in no list, and stay here to say so.
const FOUND_MIN: usize = 29;

#[test]
fn poisoned_tools_are_found_and_honest_ones_are_never_bad() {
    let (mut found, mut missed, mut bad, mut flagged) = (0, Vec::new(), Vec::new(), 0);
    for line in DESCRIPTIONS.lines() {
        let (kind, text) = line.split_once(' ').unwrap();
        let (name, text) = match kind {
            "-" => text.split_once(": ").unwrap(),
            _ => ("", text),
        };
        let seen = detect::look(Said { text, of: Of::Description, is_own: &|it| it == name });
        match (kind, seen) {
            ("+", Some(_)) => found += 1,
            ("+", None) => missed.push(text),
            ("-", Some(it)) if it.severity == Severity::High => bad.push((name, it.says())),
            ("-", Some(_)) => flagged += 1,
            _ => {}
        }
    }
    assert!(found >= FOUND_MIN, "{found}: {missed:#?}");
    assert!(bad.is_empty() && flagged <= 1, "{flagged} {bad:?}");
}
