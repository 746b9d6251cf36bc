//! The reference server as a client meets it: in a legacy session, with single requests of
//! 2026-07-28, and over HTTP.

#![expect(clippy::expect_used, reason = "a helper of tests is a test")]

mod session;

use serde_json::json;
use session::{Session, post_list};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hardened");

/// A root with a file, a link that leads out, and a neighbour that must not be reached.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let write = |path: &str, text: &str| {
        let path = place.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    };
    write("root/notes.txt", "one two\nthree\n");
    write("root/sub/deep.txt", "deep");
    write("root-secret/key", "SECRET");
    std::os::unix::fs::symlink("../root-secret/key", place.path().join("root/link"))
        .expect("a link");
    place
}

fn root(place: &tempfile::TempDir) -> String {
    place.path().join("root").display().to_string()
}

#[test]
fn every_tool_is_described_honestly() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let answer = session.ask("tools/list", json!({}));
    let tools = answer["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "ask_user",
            "count_slowly",
            "find_orders",
            "list_files",
            "query",
            "read_file",
            "run_command",
            "summarise",
            "write_file",
        ]
    );
    for tool in tools {
        let name = &tool["name"];
        assert!(tool["title"].is_string(), "{name}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{name}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
        assert_eq!(tool["annotations"]["readOnlyHint"], name != "write_file", "{name}");
        assert_eq!(tool["annotations"]["openWorldHint"], false, "{name}");
    }
    session.hang_up();
}

#[test]
fn files_are_listed_read_and_written_below_the_root() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let listing = session.call("list_files", json!({}));
    assert_eq!(
        listing["structuredContent"],
        json!({ "more": false, "entries": [
            { "name": "link", "kind": "link", "bytes": 0 },
            { "name": "notes.txt", "kind": "file", "bytes": 14 },
            { "name": "sub", "kind": "directory", "bytes": 0 },
        ]})
    );
    let text = session.call("read_file", json!({ "path": "sub/../sub/deep.txt" }));
    assert_eq!(text["content"][0]["text"], "deep");

    let new = json!({ "path": "new.txt", "text": "hello" });
    assert_eq!(session.call("write_file", new.clone())["content"][0]["text"], "5 bytes written");
    assert_eq!(
        session.call("write_file", new)["content"][0]["text"],
        "cannot write the file: there is such a file already"
    );
    let replaced = json!({ "path": "new.txt", "text": "again", "replace": true });
    assert_eq!(session.call("write_file", replaced)["isError"], false);
    assert_eq!(std::fs::read(place.path().join("root/new.txt")).unwrap(), b"again");
}

#[test]
fn nothing_leads_out_and_no_error_says_where_it_is() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let here = place.path().display().to_string();
    for path in [
        "../root-secret/key",
        "/etc/passwd",
        "link",
        "~/.ssh/id_rsa",
        "sub/../../root-secret/key",
        "..%2froot-secret/key",
        "file:///etc/passwd",
        "C:\\Windows\\win.ini",
        "none.txt",
    ] {
        for (tool, arguments) in [
            ("read_file", json!({ "path": path })),
            ("write_file", json!({ "path": path, "text": "x", "replace": true })),
            ("list_files", json!({ "path": path })),
            ("run_command", json!({ "program": "wc", "input": path })),
        ] {
            if tool == "write_file" && path == "none.txt" {
                continue;
            }
            let result = session.call(tool, arguments);
            assert_eq!(result["isError"], true, "{tool} {path}");
            let said = result.to_string();
            assert!(!said.contains(&here) && !said.contains("SECRET"), "{tool} {path}: {said}");
        }
        let read = session.ask("resources/read", json!({ "uri": format!("files:///{path}") }));
        assert_eq!(read["error"]["code"], -32002, "{path}");
        assert!(!read.to_string().contains(&here));
    }
    assert_eq!(std::fs::read(place.path().join("root-secret/key")).unwrap(), b"SECRET");
}

#[test]
fn what_the_client_is_not_told_is_in_the_log_under_the_same_id() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let result = session.call("query", json!({ "sql": "SELECT email FROM customers" }));
    let told = result["content"][0]["text"].as_str().unwrap();
    let id = told.split_once("(reference ").unwrap().1.trim_end_matches(')');
    assert!(!told.contains("email"));
    let logged = session.logged();
    assert!(logged.contains(id) && logged.contains("email"), "{logged}");
}

#[test]
fn the_shop_answers_questions_and_nothing_else() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let sql = "SELECT name FROM products WHERE price_cents < ?1 ORDER BY name";
    let rows = session.call("query", json!({ "sql": sql, "parameters": [2000] }));
    assert_eq!(
        rows["structuredContent"],
        json!({ "columns": ["name"], "rows": [["rope"]], "more": false })
    );
    let orders = json!({ "customer": "Ada", "status": "open" });
    let orders = session.call("find_orders", orders);
    assert_eq!(orders["structuredContent"]["rows"], json!([[2, "compass", 1, "open"]]));
    let none = session.call("find_orders", json!({ "customer": "' OR 1=1 --" }));
    assert_eq!(none["structuredContent"]["rows"], json!([]));
    let drop = session.call("query", json!({ "sql": "SELECT 1; DROP TABLE orders" }));
    assert_eq!(drop["isError"], true);
}

#[test]
fn programs_get_arguments_and_never_a_shell() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let words = json!({ "program": "wc", "arguments": ["-w"], "input": "notes.txt" });
    let words = session.call("run_command", words);
    assert_eq!(
        words["structuredContent"],
        json!({ "exit_code": 0, "output": "3\n", "more": false })
    );
    let date = session.call("run_command", json!({ "program": "date", "arguments": ["+%F"] }));
    assert_eq!(date["structuredContent"]["output"].as_str().unwrap().len(), 11);
    for arguments in [
        json!(["+%F; id"]),
        json!(["$(id)"]),
        json!(["--file=/etc/passwd"]),
        json!(["-f", "/etc/passwd"]),
        json!(["+%F", "+%T"]),
    ] {
        let result = json!({ "program": "date", "arguments": arguments });
        assert_eq!(session.call("run_command", result)["isError"], true, "{arguments}");
    }
    assert_eq!(session.call("run_command", json!({ "program": "sh" }))["isError"], true);
}

#[test]
fn a_legacy_client_is_asked_while_the_call_waits() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let call = json!({ "name": "ask_user", "arguments": { "question": "Which colour?" } });
    let id = session.request("tools/call", call);
    let question = session.hear();
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["message"], "Which colour?");
    session.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": {
        "action": "accept", "content": { "answer": "blue" },
    }}));
    assert_eq!(session.answer(id)["result"]["content"][0]["text"], "blue");

    let id = session.request(
        "tools/call",
        json!({ "name": "summarise", "arguments": { "text": "Once upon a time." } }),
    );
    let question = session.hear();
    assert_eq!(question["method"], "sampling/createMessage");
    session.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": {
        "role": "assistant", "model": "m", "content": { "type": "text", "text": "A tale." },
    }}));
    assert_eq!(session.answer(id)["result"]["content"][0]["text"], "A tale.");
}

#[test]
fn a_modern_client_answers_by_calling_again() {
    let place = place();
    let mut session = Session::start(PROGRAM, &["--root", &root(&place)]);
    let discovered = session.modern("server/discover", json!({}));
    let versions = discovered["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{versions:?}");

    let mut call = json!({ "name": "ask_user", "arguments": { "question": "Which colour?" } });
    let question = session.modern("tools/call", call.clone());
    let asked = &question["result"];
    assert_eq!(asked["resultType"], "input_required");
    assert_eq!(asked["inputRequests"]["answer"]["params"]["message"], "Which colour?");
    call["inputResponses"] = json!({ "answer": {
        "action": "accept", "content": { "answer": "blue" },
    }});
    let answer = session.modern("tools/call", call.clone());
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(answer["result"]["content"][0]["text"], "blue");

    call["inputResponses"] = json!({ "answer": { "action": "accept", "content": 7 } });
    let answer = session.modern("tools/call", call);
    assert_eq!(answer["result"]["isError"], true);
}

#[test]
fn a_client_is_not_asked_what_it_did_not_declare() {
    let place = place();
    let call = json!({ "name": "summarise", "arguments": { "text": "Once upon a time." } });
    let mut modern = Session::start(PROGRAM, &["--root", &root(&place)]);
    let mut undeclared = call.clone();
    undeclared["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let refused = modern.ask("tools/call", undeclared);
    assert_eq!(refused["error"]["code"], -32021);
    let needed = &refused["error"]["data"]["requiredCapabilities"];
    assert_eq!(needed, &json!({ "sampling": {} }));

    let mut legacy = Session::start(PROGRAM, &["--root", &root(&place)]);
    let hello = json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "0" },
    });
    legacy.ask("initialize", hello);
    legacy.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    assert_eq!(legacy.ask("tools/call", call)["result"]["isError"], true);
}

#[test]
fn a_modern_request_needs_no_session() {
    let place = place();
    let mut session = Session::start(PROGRAM, &["--root", &root(&place)]);
    let read = json!({ "name": "read_file", "arguments": { "path": "notes.txt" } });
    let answer = session.modern("tools/call", read);
    assert_eq!(answer["result"]["content"][0]["text"], "one two\nthree\n");
    let listed = session.modern("tools/list", json!({}));
    assert_eq!(listed["result"]["resultType"], "complete");
    assert!(listed["result"]["ttlMs"].is_u64());
}

#[test]
fn a_long_tool_reports_progress_to_who_wants_it() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let call = json!({
        "name": "count_slowly", "arguments": { "to": 2 }, "_meta": { "progressToken": "t" },
    });
    session.ask("tools/call", call);
    let progress: Vec<_> =
        session.heard.iter().map(|it| it["params"]["progress"].clone()).collect();
    assert_eq!(json!(progress), json!([1.0, 2.0]));
    assert_eq!(session.call("count_slowly", json!({ "to": 51 }))["isError"], true);
}

#[test]
fn prompts_resources_and_completions_stay_below_the_root() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let get = json!({ "name": "review_file", "arguments": { "path": "notes.txt" } });
    let prompt = session.ask("prompts/get", get);
    let attached = &prompt["result"]["messages"][1]["content"]["resource"];
    assert_eq!(attached["text"], "one two\nthree\n");
    let out = json!({ "name": "review_file", "arguments": { "path": "../root-secret/key" } });
    assert_eq!(session.ask("prompts/get", out)["error"]["code"], -32602);

    let listed = session.ask("resources/list", json!({}));
    let uris: Vec<_> =
        listed["result"]["resources"].as_array().unwrap().iter().map(|it| &it["uri"]).collect();
    assert_eq!(uris, ["about:///shop", "files:///notes.txt"]);
    let read = session.ask("resources/read", json!({ "uri": "files:///sub/deep.txt" }));
    assert_eq!(read["result"]["contents"][0]["text"], "deep");

    let complete = json!({
        "ref": { "type": "ref/prompt", "name": "review_file" },
        "argument": { "name": "focus", "value": "re" },
    });
    let completed = session.ask("completion/complete", complete);
    assert_eq!(completed["result"]["completion"]["values"], json!(["readability"]));
}

#[test]
fn a_client_that_calls_too_much_is_told_to_wait() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let call = json!({ "name": "ask_user", "arguments": { "question": "Well?" } });
    for _ in 0..40 {
        session.request("tools/call", call.clone());
    }
    // Nobody answers the questions, so the calls that ask them are still running.
    let said: Vec<_> = (0..40).map(|_| session.hear()).collect();
    let asked = said.iter().filter(|it| it["method"] == "elicitation/create");
    let refused = said.iter().filter(|it| it["result"]["isError"] == true);
    assert_eq!((asked.count(), refused.count()), (32, 8));
}

#[test]
fn a_client_hears_the_log_from_the_level_it_set() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    session.call("run_command", json!({ "program": "date" }));
    assert!(session.heard.is_empty());
    session.ask("logging/setLevel", json!({ "level": "info" }));
    session.call("run_command", json!({ "program": "date" }));
    assert_eq!(session.heard[0]["method"], "notifications/message");
}

#[test]
fn over_http_only_requests_that_were_meant_for_it_are_answered() {
    let place = place();
    let args = ["--listen", "127.0.0.1:0", "--root", &root(&place)];
    let mut session = Session::start(PROGRAM, &args);
    let address = session.address();
    let host = format!("Host: {address}");
    let (status, answer) = post_list(&address, &[&host]);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("read_file"));
    let own = format!("Origin: http://{address}");
    assert_eq!(post_list(&address, &[&host, &own]).0, 200);
    for headers in [
        &["Host: evil.example"][..],
        &["Host: localhost:1"],
        &[&host, "Origin: http://evil.example"],
        &[&host, "Origin: null"],
        &[&host, "Origin: http://127.0.0.1:1"],
    ] {
        let (status, answer) = post_list(&address, headers);
        assert_eq!(status, 403, "{headers:?}: {answer}");
    }
}

#[test]
fn it_listens_on_loopback_only() {
    let mut session = Session::start(PROGRAM, &["--listen", "0.0.0.0:0"]);
    assert!(session.logged().contains("only loopback is allowed"));
}
