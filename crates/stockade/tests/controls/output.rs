//! What a server says, on its way to the client and into the ledger.

use serde_json::{Value, json};

use crate::harness::{Home, Probe, Script, call, request, say};

crate::rows![
    o02_nothing_hidden_and_no_terminal_command_arrives,
    o02_text_in_real_scripts_is_left_alone,
    o06_an_error_tells_nothing_of_the_host,
    o06_a_trace_of_the_project_arrives,
];

/// What hides text from a person, reorders it, or commands a terminal.
const HIDDEN: &[&str] = &[
    "\u{200b}",
    "\u{2060}",
    "\u{feff}",
    "\u{00ad}",
    "\u{180e}",
    "\u{2061}\u{2064}",
    "\u{202e}txt.exe\u{202c}",
    "\u{2066}a\u{2069}",
    "\u{061c}",
    "\u{3164}",
    "\u{115f}",
    "\u{ffa0}",
    "\u{e0049}\u{e0067}\u{e006e}\u{e006f}\u{e0072}\u{e0065}",
    "\u{fe00}\u{fe01}\u{fe02}",
    "\u{e0100}\u{e01ef}",
    "a\u{200d}b",
    "\u{1b}[31m",
    "\u{1b}[2K\u{1b}[1A",
    "\u{1b}]52;c;aGk=\u{7}",
    "\u{1b}]8;;http://evil.example\u{1b}\\",
    "\u{9b}2J",
    "\u{8}\u{8}\u{8}",
    "\u{0}",
];

/// Text that needs such characters.
const REAL: &[&str] = &[
    "می\u{200c}خواهم کتاب\u{200c}ها را",
    "क्\u{200d}ष क्\u{200c}ष",
    "ന്\u{200d}",
    "שלום\u{200f}!",
    "👩\u{200d}💻 👨\u{200d}👩\u{200d}👧 🏳\u{fe0f}\u{200d}🌈 ❤\u{fe0f} 1\u{fe0f}⃣ 🧑🏽\u{200d}🚀",
    "🇺🇦 🇯🇵",
    "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "葛\u{e0100}城市",
    "日本語 ไทย 한국어 العربية",
    "ᠮᠣᠩᠭᠣᠯ\u{180b}",
    "naïve café Zürich",
    "one\r\ntwo\n\tthree",
    "\\x1b[31m \\u200b ␛[31m",
];

/// Everything that a server says in words, with `text` in it.
pub(crate) fn says(text: &str) -> Script {
    let schema = json!({ "type": "object", "title": text, "properties": {
        "a": { "type": "string", "description": text, "default": text, "examples": [text] } } });
    let annotated = json!({
        "name": "told", "title": text, "description": text, "inputSchema": schema,
        "annotations": { "title": text },
    });
    let result = json!({
        "content": [
            { "type": "text", "text": text },
            { "type": "resource", "resource": { "uri": "a:b", "mimeType": "text/plain", "text": text } },
            { "type": "resource_link", "uri": "a:b", "name": "x", "description": text },
        ],
        "structuredContent": { "a": [text] },
    });
    let error = json!({ "code": -32602, "message": text, "data": { "a": text } });
    let prompt = json!({ "name": "p", "description": text, "arguments": [
        { "name": "a", "description": text }] });
    let message = json!({ "role": "user", "content": { "type": "text", "text": text } });
    let contents = json!([{ "uri": "a:b", "mimeType": "text/plain", "text": text }]);
    let initialize = json!({
        "protocolVersion": "2025-11-25", "capabilities": { "tools": {}, "logging": {} },
        "serverInfo": { "name": "fake", "title": text, "version": "1" }, "instructions": text,
    });
    let answer = |result: Value| say(json!({ "jsonrpc": "2.0", "id": "$id", "result": result }));
    let tell = |method: &str, params: Value| {
        say(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    };
    let failure = json!({ "isError": true, "content": [{ "type": "text", "text": text }] });
    let log = json!({ "level": "info", "data": { "a": text } });
    let progress = json!({ "progressToken": "$token", "progress": 1, "message": text });
    let resource = json!({ "uri": "a:b", "name": "x", "description": text });
    Script::default()
        .with(annotated)
        .on("initialize", [answer(initialize)])
        .on_tool(
            "result",
            [
                tell("notifications/message", log),
                tell("notifications/progress", progress),
                answer(result),
            ],
        )
        .on_tool("failure", [answer(failure)])
        .on_tool("error", [say(json!({ "jsonrpc": "2.0", "id": "$id", "error": error }))])
        .on("prompts/list", [answer(json!({ "prompts": [prompt] }))])
        .on("prompts/get", [answer(json!({ "description": text, "messages": [message] }))])
        .on("resources/list", [answer(json!({ "resources": [resource] }))])
        .on("resources/read", [answer(json!({ "contents": contents }))])
        .on("completion/complete", [answer(json!({ "completion": { "values": [text] } }))])
}

/// Everything that a client is told by such a server.
pub(crate) fn told(home: &Home, script: Script) -> Vec<Value> {
    let fake = home.fake(script);
    let mut probe = Probe::run(home, &fake);
    let mut told = vec![probe.begin_in("2025-11-25")];
    for method in ["tools/list", "prompts/list", "resources/list"] {
        told.push(probe.ask(&request(method, method, json!({}))));
    }
    told.push(probe.ask(&request("get", "prompts/get", json!({ "name": "p" }))));
    told.push(probe.ask(&request("read", "resources/read", json!({ "uri": "a:b" }))));
    let completed = json!({ "ref": { "type": "ref/prompt", "name": "p" },
                            "argument": { "name": "a", "value": "" } });
    told.push(probe.ask(&request("complete", "completion/complete", completed)));
    for tool in ["result", "failure", "error"] {
        let mut call = call(tool, tool, json!({}));
        call["params"]["_meta"] = json!({ "progressToken": "t" });
        told.push(probe.ask(&call));
    }
    told.append(&mut probe.others);
    assert_eq!(told.len(), 12, "ten answers, a log message and progress: {told:?}");
    told
}

/// The strings in a message.
pub(crate) fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, it)| [vec![name.as_str()], strings(it)].concat())
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn o02_nothing_hidden_and_no_terminal_command_arrives() {
    let home = Home::new();
    let all: String = HIDDEN.iter().map(|it| format!("begin{it}end ")).collect();
    let forbidden: Vec<char> =
        HIDDEN.iter().flat_map(|it| it.chars()).filter(|it| !(' '..='~').contains(it)).collect();
    for message in told(&home, says(&all)) {
        for text in strings(&message) {
            let seen: Vec<char> = text.chars().filter(|it| forbidden.contains(it)).collect();
            assert!(seen.is_empty(), "{seen:?} in {message}");
        }
    }
    // One by one, in a name, which cannot be mended: the tool is not offered under it.
    for hidden in HIDDEN {
        let name = format!("ec{hidden}ho");
        let home = Home::new();
        let fake = home.fake(Script::default().with(crate::harness::tool(&name)));
        let mut probe = Probe::run(&home, &fake).begin();
        let list = probe.ask(&request("list", "tools/list", json!({})));
        let bad = |it: &&str| it.chars().any(|it| forbidden.contains(&it));
        assert!(!strings(&list).iter().any(bad), "{hidden:?}: {list}");
    }
}

fn o02_text_in_real_scripts_is_left_alone() {
    let all = REAL.join("\n");
    let home = Home::new();
    for message in told(&home, says(&all)) {
        let texts = strings(&message);
        assert!(texts.contains(&all.as_str()), "not as it was: {message}");
    }
}

/// Errors as servers make them, and what a client should not learn from each.
const ERRORS: &[(&str, &[&str])] = &[
    (
        "Traceback (most recent call last):\n  File \"/srv/app/server.py\", line 3, in query\n    raise E",
        &["Traceback", "/srv/app", "server.py"],
    ),
    ("Error: boom\n    at query (/home/alice/app/server.js:10:5)", &["alice", "server.js"]),
    ("cannot connect to postgres://app:hunter2@db.internal:5432/app", &["hunter2", "db.internal"]),
    (
        "ENOENT: no such file or directory, open '/home/alice/.config/app.json'",
        &["alice", ".config"],
    ),
    ("401 from upstream, token ghp_Zk82nVx7Lp0Rt5WqBd31Ys94MhKjTgUcEoNa", &["ghp_Zk82"]),
    ("thread 'main' panicked at src/main.rs:4:5:\nboom", &["main.rs"]),
    ("env:\nPATH=/x\nHOME=/home/app\nLANG=C", &["HOME", "/home/app"]),
];

fn o06_an_error_tells_nothing_of_the_host() {
    for (text, kept) in ERRORS {
        let home = Home::new();
        let error = json!({ "code": -32603, "message": text, "data": { "stack": text } });
        let failure = json!({ "isError": true, "content": [{ "type": "text", "text": text }] });
        let fake = home.fake(
            Script::default()
                .on_tool("error", [say(json!({ "jsonrpc": "2.0", "id": "$id", "error": error }))])
                .on_tool(
                    "fail",
                    [say(json!({ "jsonrpc": "2.0", "id": "$id", "result": failure }))],
                ),
        );
        let mut probe = Probe::run(&home, &fake).begin();
        let answers = ["error", "fail"].map(|it| probe.ask(&call(it, it, json!({}))));
        assert_eq!(answers[0]["error"]["code"], -32603);
        assert_eq!(answers[1]["result"]["isError"], true);
        probe.end();
        let records = home.records_of("outcome");
        for (answer, tool) in answers.iter().zip(["error", "fail"]) {
            let answer = answer.to_string();
            for word in *kept {
                assert!(!answer.contains(word), "{text}: {answer}");
            }
            if text.contains("ghp_") {
                continue;
            }
            // What was kept from the client is in the record, under the reference it was given.
            let record = records.iter().find(|it| it["tool"] == tool).unwrap();
            let reference = record["call"].as_str().unwrap();
            assert!(answer.contains(reference), "{answer}");
            let says = record["says"].as_str().unwrap_or_default();
            let first = text.split([':', '\n']).next().unwrap();
            assert!(says.contains(first), "{record}");
            assert!(!says.contains("hunter2"), "{record}");
        }
    }
}

/// Whoever has tests run wants to read why they failed.
fn o06_a_trace_of_the_project_arrives() {
    let home = Home::new();
    let project = home.path().join("project");
    std::fs::create_dir(&project).unwrap();
    let project = project.to_str().unwrap();
    home.policy(&format!("roots = [\"{project}\"]"));
    let own = format!(
        "FAIL: test_a\nTraceback (most recent call last):\n  File \"tests/test_a.py\", line 3, in test_a\n    \
         assert f() == 1\n  File \"{project}/src/app.py\", line 9, in f\n    return 1 / 0\nZeroDivisionError: division by zero\n"
    );
    let others =
        "  File \"/opt/server/lib/site-packages/runner.py\", line 40, in run\n    call(hunter2)\n";
    let mixed = own.replace("  File \"tests", &format!("{others}  File \"tests"));
    let server = format!("Traceback (most recent call last):\n{others}ValueError: x\n");
    let failed = |text: &str| {
        let result = json!({ "isError": true, "content": [{ "type": "text", "text": text }] });
        [say(json!({ "jsonrpc": "2.0", "id": "$id", "result": result }))]
    };
    let error = json!({ "code": -32603, "message": own });
    let fake = home.fake(
        Script::default()
            .on_tool("own", failed(&own))
            .on_tool("mixed", failed(&mixed))
            .on_tool("server", failed(&server))
            .on_tool("error", [say(json!({ "jsonrpc": "2.0", "id": "$id", "error": error }))]),
    );
    let mut probe = Probe::run(&home, &fake).begin();
    let mut text = |name: &str| {
        let answer = probe.ask(&call(name, name, json!({})));
        let result = answer["result"]["content"][0]["text"].as_str().map(str::to_owned);
        result.unwrap_or_else(|| answer["error"]["message"].as_str().unwrap().to_owned())
    };
    assert_eq!(text("own"), own);
    let shown = text("mixed");
    assert!(shown.contains("[frame withheld]") && shown.contains("reference"), "{shown}");
    assert!(shown.contains("src/app.py\", line 9") && shown.contains("return 1 / 0"), "{shown}");
    assert!(!shown.contains("runner") && !shown.contains("hunter2"), "{shown}");
    for name in ["server", "error"] {
        assert!(text(name).starts_with("internal error"), "{name}");
    }
}
