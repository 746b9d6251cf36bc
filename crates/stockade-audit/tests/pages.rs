//! Every rule says on its page what it fires at, and what it does not.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use stockade_audit::{Language, audit_text, rules};

/// The code blocks under a heading, with their language.
fn examples<'a>(page: &'a str, heading: &str) -> Vec<(&'a str, &'a str)> {
    let under = page.split(heading).nth(1).unwrap_or("").split("\n## ").next().unwrap();
    let mut out = Vec::new();
    for it in under.split("\n```").skip(1).step_by(2) {
        out.push(it.split_once('\n').unwrap());
    }
    out
}

fn fires(rule: &str, language: &str, code: &str) -> bool {
    let language = match language {
        "python" => Language::Python,
        "js" => Language::TypeScript,
        "go" => Language::Go,
        "rust" => Language::Rust,
        it => panic!("{it} is no language"),
    };
    let report = audit_text("example", language, code);
    assert!(report.failures.is_empty(), "{:?}\n{code}", report.failures);
    report.findings.iter().chain(&report.notes).any(|it| it.rule == rule)
}

#[test]
fn what_a_page_says_fires_does_and_what_it_says_is_quiet_is() {
    let mut wrong = Vec::new();
    for rule in rules() {
        let (bad, good) = (examples(rule.page, "\n## Fires"), examples(rule.page, "\n## Quiet"));
        assert!(!bad.is_empty() && !good.is_empty(), "{} has no examples", rule.id);
        for (language, code) in bad {
            if !fires(rule.id, language, code) {
                wrong.push(format!("{} does not fire:\n{code}", rule.id));
            }
        }
        for (language, code) in good {
            if fires(rule.id, language, code) {
                wrong.push(format!("{} fires:\n{code}", rule.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_says_why_and_what_to_do_instead() {
    for rule in rules() {
        for word in ["\nWhy: ", "\nInstead: ", "CWE-"] {
            let excused = word == "CWE-" && rule.id == "missing_annotations";
            assert!(rule.page.contains(word) || excused, "{}: {word}", rule.id);
        }
        assert!(rule.page.starts_with("# ") && !rule.title().is_empty() && rule.cwe > 0);
    }
    assert!(rules().len() >= 23);
}
