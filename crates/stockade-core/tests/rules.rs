//! The rules in whole messages, judged by the policy that holds where nobody has written one.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use bytes::Bytes;
use serde_json::{Value, json};
use stockade_core::catalog::Definition;
use stockade_core::json::{Document, Limits};
use stockade_core::judge::{Judgement, judge};
use stockade_core::message::{Message, Side};
use stockade_core::policy::{Policy, Verdict};
use stockade_core::subject::{Capabilities, Facts};

fn judged(facts: &Facts<'_>, value: &Value) -> Judgement {
    let source = Bytes::from(value.to_string());
    let message = Message::parse(facts.from, source, &Limits::default()).unwrap();
    judge(message, facts, &Policy::default())
}

fn answer(method: &'static str) -> Facts<'static> {
    Facts { method, reference: "r-1", text_bytes_max: 400, ..Facts::alone(Side::Server) }
}

fn result(result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "result": result })
}

fn body(judgement: &Judgement) -> Value {
    judgement.message().body().unwrap().to_value()
}

#[test]
fn everything_that_is_wrong_with_one_text_is_mended() {
    let token = ["gh", "p_0aB1\u{200b}cD2eF3gH4iJ5kL6mN7oP8qR9", "\u{1b}[31m", "sT0uV1wX"].concat();
    let text = format!("{token}\r overwritten, and {}", "too much. ".repeat(100));
    let said = result(&json!({ "content": [{ "type": "text", "text": text }] }));
    let judgement = judged(&answer("tools/call"), &said);
    assert_eq!(*judgement.verdict(), Verdict::Allow, "{:?}", judgement.findings());
    let text = body(&judgement)["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("[redacted:github-token]␍ overwritten"), "{text}");
    assert!(text.len() <= 400 && text.ends_with("bytes were cut by Stockade]"), "{text}");
    let again = judged(&answer("tools/call"), &result(&body(&judgement)));
    assert!(again.findings().is_empty() && !again.mended());
}

#[test]
fn bad_tools_leave_the_list_and_good_ones_stay() {
    let tool = |name: &str, schema: Value| json!({ "name": name, "inputSchema": schema });
    let header =
        |name: &str| json!({ "properties": { "a": { "type": "string", "x-mcp-header": name } } });
    let said = result(&json!({ "tools": [
        tool("good", json!({ "type": "object" })),
        tool("remote", json!({ "$ref": "http://127.0.0.1:1/" })),
        tool("endless", json!({ "allOf": [{ "$ref": "#" }] })),
        tool("split", header("A\r\nB: c")),
        tool("re\u{430}d", json!({})),
        tool("region", header("Region")),
    ] }));
    let judgement = judged(&answer("tools/list"), &said);
    assert_eq!(*judgement.verdict(), Verdict::Allow);
    let tools = body(&judgement);
    let names: Vec<_> = tools["tools"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["good", "region"]);
}

#[test]
fn errors_say_no_more_than_they_should() {
    let said = result(&json!({
        "isError": true,
        "content": [{ "type": "text", "text": "open /home/alice/x: denied" }],
    }));
    let shown = body(&judged(&answer("tools/call"), &said));
    assert_eq!(shown["content"][0]["text"], "open [path withheld]: denied (reference r-1)");
    let said = json!({ "jsonrpc": "2.0", "id": 1, "error": {
        "code": -32603, "message": "no such table", "data": { "at": "  at f (/srv/app.js:1:2)" },
    } });
    let shown = body(&judged(&answer("tools/call"), &said));
    assert_eq!(shown, json!({ "code": -32603, "message": "no such table" }));
}

#[test]
fn a_server_asks_for_what_the_client_declared() {
    let said = result(&json!({
        "resultType": "input_required",
        "inputRequests": { "a": { "method": "elicitation/create", "params": { "message": "Name?" } } },
    }));
    let facts = answer("tools/call");
    assert!(matches!(judged(&facts, &said).verdict(), Verdict::Deny(_)));
    let declared = Document::from_value(&json!({ "elicitation": {} })).unwrap();
    let client_can = Capabilities::read(Some(declared.root()));
    let facts = Facts { client_can, ..facts };
    assert_eq!(*judged(&facts, &said).verdict(), Verdict::Allow);
}

#[test]
fn calls_are_held_to_the_schema_of_their_tool() {
    let tool = json!({ "name": "t", "inputSchema": {
        "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"],
    } });
    let tool = Document::from_value(&tool).unwrap();
    let tool = Definition::read(tool.root()).unwrap();
    let roots = ["/work".to_owned()];
    let facts = Facts {
        method: "tools/call",
        definition: Some(&tool),
        roots: &roots,
        ..Facts::alone(Side::Client)
    };
    let call = |params: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let verdict = |params: Value| judged(&facts, &call(params)).verdict().clone();
    assert_eq!(verdict(json!({ "name": "t", "arguments": { "n": 1 } })), Verdict::Allow);
    for (params, rule) in [
        (json!({ "name": "t", "arguments": { "n": "1" } }), "arguments_schema"),
        (json!({ "name": "t", "arguments": {} }), "arguments_schema"),
        (json!({ "name": "t" }), "arguments_schema"),
        (
            json!({ "name": "t", "arguments": { "n": 1, "path": "/work/../etc" } }),
            "path_outside_roots",
        ),
        (json!({ "name": "t", "arguments": { "n": 1, "a\u{200b}": 1 } }), "hidden_unicode"),
    ] {
        let Verdict::Deny(reason) = verdict(params) else { panic!("{rule}") };
        assert_eq!(reason.rule, rule);
    }
}

/// A token that is taken out of a result, where its schema allows it to be left out, and where not.
#[test]
fn what_is_withheld_does_not_put_the_server_in_the_wrong() {
    let token = ["gh", "p_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"].concat();
    for (required, settles) in [(json!([]), true), (json!(["t"]), false)] {
        let tool = json!({ "name": "t", "inputSchema": { "type": "object" }, "outputSchema": {
            "type": "object", "required": required,
            "properties": { "t": { "type": "string", "pattern": "^ghp_" } } } });
        let tool = Document::from_value(&tool).unwrap();
        let definition = Definition::read(tool.root()).unwrap();
        let facts = Facts { definition: Some(&definition), ..answer("tools/call") };
        let said = result(&json!({ "content": [], "structuredContent": { "t": token } }));
        let judgement = judged(&facts, &said);
        if settles {
            assert_eq!(*judgement.verdict(), Verdict::Allow);
            assert_eq!(body(&judgement)["structuredContent"], json!({}));
        } else {
            let Verdict::Deny(reason) = judgement.verdict() else { panic!("{judgement:?}") };
            assert!(reason.external.contains("what Stockade withholds"), "{reason:?}");
        }
    }
}
