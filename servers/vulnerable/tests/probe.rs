//! The attempts to get out, as a client and a shell have them.

#![expect(clippy::expect_used, reason = "a helper of tests is a test")]

#[path = "../../hardened/tests/session/mod.rs"]
mod session;

use std::process::Command;

use serde_json::{Value, json};
use session::Session;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vulnerable");

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|it| serde_json::from_str(it).expect("a line of JSON")).collect()
}

#[test]
fn each_attempt_is_a_line_that_says_how_it_came_out() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let plan = place.path().join("plan.json");
    std::fs::write(place.path().join("canary"), "a canary").expect("a file");
    let planted = json!({ "outside": place.path(), "marker": "canary" });
    std::fs::write(&plan, planted.to_string()).expect("a file");
    let run = |words: &[&str]| {
        let said = Command::new(PROGRAM).arg("--probe").args(words).output().expect("it starts");
        (lines(&String::from_utf8_lossy(&said.stdout)), said.status.success())
    };
    let plan = plan.display().to_string();
    let (said, fine) = run(&["--plan", &plan, "--only", "read.c"]);
    assert!(fine);
    let results: Vec<_> = said.iter().map(|it| (&it["id"], &it["result"])).collect();
    assert_eq!(results.first(), Some(&(&json!("read.canary"), &json!("escaped"))));
    // What is about a home needs one in the plan.
    assert_eq!(results.get(1), Some(&(&json!("read.cloud-key"), &json!("could-not-try"))));
    assert_eq!(said.first().expect("one")["severity"], "critical");
    for wrong in [["--plan", "/no/such/file"], ["--what", "x"]] {
        assert_eq!(run(&wrong), (Vec::new(), false), "{wrong:?}");
    }
}

#[test]
fn a_client_can_ask_for_it() {
    let mut session = Session::legacy(PROGRAM, &[]);
    let answer = session.call("probe", json!({ "only": "read.canary" }));
    let text = answer.pointer("/content/0/text").and_then(Value::as_str).expect("a text");
    let said = lines(text);
    assert_eq!(said.len(), 1);
    assert_eq!(said.first().expect("one")["result"], "could-not-try");
}
