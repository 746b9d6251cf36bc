//! `stockade test record`: a client and a server talk through the guard, and the file that is left asks
//! the same again and is answered the same.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::call::{both, result};
use crate::harness::fake::say;
use crate::harness::{Home, LEGACY, MODERN, Probe, Script, request};
use crate::testing::Tested;

crate::rows![
    t04_what_was_recorded_is_asked_again,
    t04_a_recording_has_no_secrets,
    t04_a_recording_is_written_when_a_server_ends,
];

/// A client behind `stockade test record`.
fn recorded(home: &Home, out: &Path, options: &[OsString], server: &[OsString]) -> Probe {
    let mut command = home.stockade(["test", "record", "--out"]);
    command.arg(out).args(home.state()).args(options).arg("--").args(server);
    Probe::of(&mut command)
}

fn unheld() -> [OsString; 2] {
    ["--sandbox".into(), "none".into()]
}

fn call(id: u64, tool: &str, arguments: Value) -> Value {
    request(id, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// The same in 2026-07-28.
fn modern(mut request: Value, more: Value) -> Value {
    request["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "form": {} } },
        "io.modelcontextprotocol/clientInfo": { "name": "probe", "version": "1" },
    });
    for (name, it) in more.as_object().unwrap() {
        request["params"][name] = it.clone();
    }
    request
}

fn out(home: &Home) -> PathBuf {
    home.path().join("recorded.test.toml")
}

#[track_caller]
fn plays(home: &Home, words: &[&str]) -> Value {
    let (said, code) = Tested::of(home, out(home)).with(words).json();
    assert_eq!(code, 0, "{said}\n{}", fs::read_to_string(out(home)).unwrap());
    said
}

fn t04_what_was_recorded_is_asked_again() {
    let home = Home::new();
    let root = home.path().join("files");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("a.txt"), "the text of a").unwrap();
    let itself = env!("CARGO_BIN_EXE_stockade");
    let server = ["example", "hardened", "--root"].map(OsString::from);
    let server = [&[OsString::from(itself)], &server[..], &[root.clone().into()]].concat();
    let options = [OsString::from("--root"), root.into()];

    let mut client = recorded(&home, &out(&home), &options, &server);
    let capabilities = json!({ "elicitation": {} });
    let begin = json!({ "protocolVersion": LEGACY, "capabilities": capabilities,
        "clientInfo": { "name": "probe", "version": "1" } });
    client.ask(&request(1, "initialize", begin));
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    client.ask(&request(2, "tools/list", json!({})));
    client.ask(&call(3, "read_file", json!({ "path": "a.txt" })));
    client.ask(&call(4, "read_file", json!({ "path": "/etc/passwd" })));
    let mut counts = call(5, "count_slowly", json!({ "to": 3 }));
    counts["params"]["_meta"] = json!({ "progressToken": "mine" });
    client.ask(&counts);
    client.send(&call(6, "ask_user", json!({ "question": "Which colour?" })));
    let asked = client.next().unwrap();
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    let answer = json!({ "action": "accept", "content": { "answer": "blue" } });
    client.send(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": answer }));
    client.answer(6);
    client.ask(&request(7, "resources/read", json!({ "uri": "about:///shop" })));
    client.ask(&request(8, "no/such", json!({ "limit": null })));
    let ended = client.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("7 steps in"), "{}", ended.stderr);

    let text = fs::read_to_string(out(&home)).unwrap();
    for part in [
        "roots = [\"files\"]",
        "contains = \"Which colour?\"",
        "outcome = \"denied\"",
        "notifications/progress",
        "snapshot = \"\"\"\n{",
        "'{\"limit\":null}'",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(fs::metadata(out(&home)).unwrap().permissions().mode() & 0o777, 0o600);
    let said = plays(&home, &[]);
    let outcomes = said["files"][0]["steps"].as_array().unwrap().iter();
    let outcomes: Vec<&str> = outcomes.map(|it| it["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["result", "result", "denied", "result", "result", "result", "error"]);
    // A server that answers otherwise is noticed.
    fs::write(home.path().join("files/a.txt"), "another text").unwrap();
    let (said, code) = Tested::of(&home, out(&home)).json();
    assert_eq!((code, &said["failed"]), (1, &json!(1)), "{said}");
    // What is there is not written over, and nothing is started for it.
    let again = recorded(&home, &out(&home), &options, &server).ended();
    assert_eq!(again.code, Some(2), "{}", again.stderr);
    assert_eq!(fs::read_to_string(out(&home)).unwrap(), text);

    // In 2026-07-28, where a question is a result and its answer another request.
    fs::remove_file(out(&home)).unwrap();
    fs::write(home.path().join("files/a.txt"), "the text of a").unwrap();
    let mut client = recorded(&home, &out(&home), &options, &server);
    client.ask(&modern(request(1, "tools/list", json!({})), json!({})));
    client.ask(&modern(call(2, "read_file", json!({ "path": "a.txt" })), json!({})));
    let asks = call(3, "ask_user", json!({ "question": "Which colour?" }));
    let wants = client.ask(&modern(asks.clone(), json!({})));
    let name = wants["result"]["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let mut more = json!({ "inputResponses": { name: answer } });
    if let Some(state) = wants["result"].get("requestState") {
        more["requestState"] = state.clone();
    }
    let mut again = modern(asks, more);
    again["id"] = 4.into();
    let answered = client.ask(&again);
    assert!(answered.to_string().contains("blue"), "{answered}");
    assert_eq!(client.end().code, Some(0));
    let text = fs::read_to_string(out(&home)).unwrap();
    assert!(text.contains(&format!("era = \"{MODERN}\"")), "{text}");
    assert_eq!(plays(&home, &[])["steps"], 3, "{text}");
}

fn t04_a_recording_has_no_secrets() {
    let home = Home::new();
    let key = ["gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"].concat();
    // Whoever lets them pass has them in no recording.
    home.policy("[rules]\nsecret = 'allow'\n");
    let at = json!({ "content": [{ "type": "text", "text": format!("it is {key}") }],
        "structuredContent": { "rows": [{ "at": "2026-11-30T12:00:00Z", "password": "correct7Horse9Battery" }] } });
    let tell = say(json!({ "jsonrpc": "2.0", "method": "notifications/message",
        "params": { "level": "info", "data": format!("the key {key}") } }));
    let fake = home.fake(Script::default().on_tool("login", [tell, result(at)]));
    let mut client = recorded(&home, &out(&home), &unheld(), &fake.command()).begin();
    client.ask(&call(2, "login", json!({ "token": key, "name": "ada" })));
    let ended = client.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("a secret was taken out of what step 1 asks"),
        "{}",
        ended.stderr
    );
    let text = fs::read_to_string(out(&home)).unwrap();
    assert!(!text.contains("16C7e42F") && !text.contains("correct7Horse"), "{text}");
    for part in ["[redacted:github-token]", "name = \"ada\"", "rows", "\"[timestamp]\""] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // What is another each time, and what was taken out, is no difference.
    plays(&home, &["--sandbox", "none"]);
}

fn t04_a_recording_is_written_when_a_server_ends() {
    let home = Home::new();
    let fake = home.fake(Script::default().on_tool("die", [crate::harness::Step::Exit(3)]));
    let mut client = recorded(&home, &out(&home), &unheld(), &fake.command()).begin();
    client.ask(&call(2, "echo", json!({ "text": "a" })));
    client.ask(&call(3, "die", json!({})));
    let ended = client.ended();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let text = fs::read_to_string(out(&home)).unwrap();
    assert!(text.contains("tool = \"echo\""), "{text}");
    // Nowhere to write is said before anything is started.
    let nowhere = home.path().join("no/such/dir.test.toml");
    let before = fake.messages().len();
    let ended = recorded(&home, &nowhere, &unheld(), &fake.command()).ended();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert_eq!(fake.messages().len(), before);
    let help = home.stockade(["test", "record", "--help"]).output().unwrap();
    assert!(both(&help).contains("--out"), "{}", both(&help));
}
