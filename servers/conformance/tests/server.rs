//! The fixture where the suite does not look: over stdio. And that it starts at all, so that a
//! broken fixture is found without Node.

#[path = "../../hardened/tests/session/mod.rs"]
mod session;

use serde_json::json;
use session::{Session, post_list};

const PROGRAM: &str = env!("CARGO_BIN_EXE_conformance-server");

#[test]
fn a_legacy_session_over_stdio_has_it_all() {
    let mut session = Session::legacy(PROGRAM, &[]);
    let listed = session.ask("tools/list", json!({}));
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 28);
    let schema = &listed["result"]["tools"][27]["inputSchema"];
    assert_eq!(schema["$defs"]["address"]["$anchor"], "addressDef");
    assert!(schema["else"].is_object());

    let mixed = session.call("test_multiple_content_types", json!({}));
    let kinds: Vec<_> = mixed["content"].as_array().unwrap().iter().map(|it| &it["type"]).collect();
    assert_eq!(kinds, ["text", "image", "resource"]);

    let progress = json!({ "name": "test_tool_with_progress", "_meta": { "progressToken": 7 } });
    session.ask("tools/call", progress);
    let heard: Vec<_> = session.heard.iter().map(|it| it["params"]["progress"].clone()).collect();
    assert_eq!(json!(heard), json!([0.0, 50.0, 100.0]));

    let call = json!({ "name": "test_sampling", "arguments": { "prompt": "Hello?" } });
    let id = session.request("tools/call", call);
    let question = session.hear();
    assert_eq!(question["params"]["messages"][0]["content"]["text"], "Hello?");
    session.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": {
        "role": "assistant", "model": "m", "content": { "type": "text", "text": "Hi." },
    }}));
    let said = &session.answer(id)["result"]["content"][0]["text"];
    assert_eq!(said, "LLM response: Hi.");

    let missing = session.ask("resources/read", json!({ "uri": "test://none" }));
    assert_eq!(missing["error"]["code"], -32002);
    session.hang_up();
}

#[test]
fn modern_requests_over_stdio_take_rounds() {
    let mut session = Session::start(PROGRAM, &[]);
    let tool = "test_input_required_result_multi_round";
    let first = session.modern("tools/call", json!({ "name": tool }))["result"].clone();
    assert!(first["inputRequests"]["step1"].is_object());
    let second = json!({
        "name": tool,
        "requestState": first["requestState"],
        "inputResponses": { "step1": { "action": "accept", "content": { "name": "Ada" } } },
    });
    let second = session.modern("tools/call", second)["result"].clone();
    assert!(second["inputRequests"]["step2"].is_object());
    let mut third = json!({
        "name": tool,
        "requestState": second["requestState"],
        "inputResponses": { "step2": { "action": "accept", "content": { "color": "blue" } } },
    });
    let done = session.modern("tools/call", third.clone());
    assert_eq!(done["result"]["resultType"], "complete");

    // State that was given out for one tool is not taken by another, nor is made-up state.
    third["name"] = json!("test_input_required_result_request_state");
    assert_eq!(session.modern("tools/call", third.clone())["error"]["code"], -32602);
    third["requestState"] = json!("made up");
    assert_eq!(session.modern("tools/call", third)["error"]["code"], -32602);

    let undeclared = json!({ "name": "test_input_required_result_list_roots" });
    let undeclared = session.modern("tools/call", undeclared);
    assert_eq!(undeclared["error"]["code"], -32021);
    assert_eq!(undeclared["error"]["data"]["requiredCapabilities"], json!({ "roots": {} }));

    let missing = session.modern("resources/read", json!({ "uri": "test://none" }));
    assert_eq!(missing["error"]["code"], -32602);
}

#[test]
fn over_http_host_and_origin_are_checked() {
    let mut session = Session::start(PROGRAM, &["--listen", "127.0.0.1:0"]);
    let address = session.address();
    let host = format!("Host: {address}");
    assert_eq!(post_list(&address, &[&host]).0, 200);
    assert_eq!(post_list(&address, &["Host: evil.example"]).0, 403);
    assert_eq!(post_list(&address, &[&host, "Origin: http://evil.example"]).0, 403);
}

#[test]
fn what_is_not_understood_is_refused() {
    for args in [&["--listen"][..], &["--listen", "here"], &["--listen", "0.0.0.0:0"], &["-x"]] {
        let mut session = Session::start(PROGRAM, args);
        assert!(session.logged().starts_with("error: "), "{args:?}");
    }
}
