//! `stockade test mock`: what was recorded of a server is answered by a stand-in for it, to a client
//! behind the guard and to the test that was recorded.

use std::ffi::OsString;
use std::fs;
use std::process::Stdio;

use serde_json::json;

use crate::call::both;
use crate::harness::{Home, Probe, request};
use crate::testing::Tested;

crate::rows![t04_a_recording_answers_as_its_server_did,];

const FILE: &str = r#"
command = ["no-such-server"]
[matchers]
"$..at" = "timestamp"
"$..id" = "/^n-[0-9]{3}$/"

[[steps]]
tool = "get_note"
arguments = { name = "a", limit = 1 }
order = ["notifications/progress", "answer"]
snapshot = '''{ "content": [{ "type": "text", "text": "first" }],
    "structuredContent": { "at": "[timestamp]", "id": "[/^n-[0-9]{3}$/]" } }'''

[[steps]]
tool = "get_note"
arguments = { name = "a", limit = 1 }
snapshot = '''{ "content": [{ "type": "text", "text": "second" }] }'''

[[steps]]
tool = "get_note"
arguments = { name = "b" }
outcome = "tool_error"
snapshot = '''{ "content": [{ "type": "text", "text": "no such note" }], "isError": true }'''

[[steps]]
resource = "notes://a"
snapshot = '''{ "contents": [{ "uri": "notes://a", "text": "the note" }] }'''

[[steps]]
method = "no/such"
outcome = "error"
snapshot = '''{ "code": -32000, "message": "as it was" }'''
"#;

fn t04_a_recording_answers_as_its_server_did() {
    let home = Home::new();
    let file = home.path().join("notes.test.toml");
    fs::write(&file, FILE).unwrap();
    let itself = OsString::from(env!("CARGO_BIN_EXE_stockade"));
    let mock = [itself, "test".into(), "mock".into(), file.clone().into()];

    // Without a guard, to the letter.
    let mut client = home.stockade(["test", "mock"]);
    let mut client = Probe::of(client.arg(&file)).begin();
    let call = |id: u64, arguments: serde_json::Value| {
        let mut call =
            request(id, "tools/call", json!({ "name": "get_note", "arguments": arguments }));
        call["params"]["_meta"] = json!({ "progressToken": 5 });
        call
    };
    let asked = call(2, json!({ "limit": 1, "name": "a" }));
    let first = client.ask(&asked);
    assert_eq!(first["result"]["content"][0]["text"], "first");
    let structured = &first["result"]["structuredContent"];
    assert_eq!(structured["at"], "2026-01-01T00:00:00Z", "{first}");
    let id = structured["id"].as_str().unwrap();
    assert!(id.len() == 5 && id.starts_with("n-"), "{first}");
    assert_eq!(client.others[0]["method"], "notifications/progress");
    assert_eq!(client.others[0]["params"]["progressToken"], 5);
    for id in [3, 4] {
        let mut again = asked.clone();
        again["id"] = id.into();
        assert_eq!(client.ask(&again)["result"]["content"][0]["text"], "second");
    }
    assert_eq!(client.ask(&call(5, json!({ "name": "b" })))["result"]["isError"], true);
    assert_eq!(client.ask(&call(6, json!({ "name": "c" })))["error"]["code"], -32601);
    let read = request(7, "resources/read", json!({ "uri": "notes://a" }));
    assert_eq!(client.ask(&read)["result"]["contents"][0]["text"], "the note");
    assert_eq!(client.ask(&request(8, "no/such", json!({})))["error"]["message"], "as it was");
    let tools = client.ask(&request(9, "tools/list", json!({})));
    assert_eq!(tools["result"]["tools"][0]["name"], "get_note", "{tools}");
    assert_eq!(client.end().code, Some(0));

    // In its sandbox and behind the guard, its own file is as expected of it, in both eras.
    for era in ["legacy", "modern"] {
        let mut tested = home.stockade(["test"]);
        tested.args(home.state()).arg(&file).args(["--era", era, "--root"]).arg(home.path());
        let out = tested.arg("--").args(&mock).stdin(Stdio::null()).output().unwrap();
        assert_eq!(out.status.code(), Some(0), "{era}: {}", both(&out));
    }
    // What has no answer, or is no test, is said.
    let broken = FILE.replace("'''{ \"code\"", "'''{ code");
    fs::write(&file, broken).unwrap();
    let out = home.stockade(["test", "mock"]).arg(&file).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{}", both(&out));
    assert!(both(&out).contains("no snapshot that can be answered"), "{}", both(&out));
    let (said, code) = Tested::of(&home, home.path().join("no-such.toml")).json();
    assert_eq!(code, 2, "{said}");
}
