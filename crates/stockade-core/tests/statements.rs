//! Honest statements and texts that are not refused, and others that are, each at a tool that is
//! listed: the corpora of the guard's own test, without a guard.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop")]

use bytes::Bytes;
use serde_json::{Value, json};
use stockade_core::catalog::Definition;
use stockade_core::json::{Document, Limits};
use stockade_core::judge::judge;
use stockade_core::message::{Message, Side};
use stockade_core::policy::{Policy, Verdict};
use stockade_core::subject::Facts;

const PASSED: &str = include_str!("../../stockade/tests/controls/corpora/statements_passed.txt");
const REFUSED: &str = include_str!("../../stockade/tests/controls/corpora/statements_refused.txt");
const TOOLS: &str = include_str!("../../stockade/tests/controls/corpora/statements_tools.json");

fn verdict(tools: &Value, line: &str) -> Verdict {
    let (name, text) = line.split_once(" | ").unwrap();
    let tool = tools.as_array().unwrap().iter().find(|it| it["name"] == name).cloned().unwrap();
    let argument = tool["argument"].as_str().unwrap();
    let called = tool["called"].as_str().unwrap();
    let text = text.replace("\\n", "\n").replace("\\\\", "\\");
    let listed = json!({ "name": called, "description": tool["description"],
        "inputSchema": { "type": "object", "properties": { argument: { "type": "string" } } } });
    let listed = Document::from_value(&listed).unwrap();
    let listed = Definition::read(listed.root()).unwrap();
    let facts =
        Facts { method: "tools/call", definition: Some(&listed), ..Facts::alone(Side::Client) };
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": called, "arguments": { argument: text } } });
    let message = Message::parse(Side::Client, Bytes::from(call.to_string()), &Limits::default());
    judge(message.unwrap(), &facts, &Policy::default()).verdict().clone()
}

fn check(corpus: &str, passes: bool, least: usize) {
    let tools: Value = serde_json::from_str(TOOLS).unwrap();
    let lines = corpus.lines().filter(|it| !it.is_empty() && !it.starts_with("# "));
    let lines: Vec<&str> = lines.collect();
    assert!(lines.len() >= least, "{}", lines.len());
    let judged = lines.iter().map(|it| (it, verdict(&tools, it)));
    let wrong: Vec<String> = judged
        .filter(|(_, it)| (*it == Verdict::Allow) != passes)
        .map(|(line, it)| format!("{line}: {it:?}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
}

#[test]
fn honest_statements_and_texts_pass() {
    check(PASSED, true, 150);
}

#[test]
fn what_leaves_the_database_does_not() {
    check(REFUSED, false, 80);
}
