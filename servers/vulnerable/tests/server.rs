//! The server of mistakes, as a client meets it: that every mistake is still one, and that the
//! honest tools work.

#![expect(clippy::expect_used, reason = "a helper of tests is a test")]

#[path = "../../hardened/tests/session/mod.rs"]
mod session;

use serde_json::{Value, json};
use session::{Session, post_list};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vulnerable");

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    for (directory, name, text) in
        [("proj", "notes.txt", "one two\n"), ("proj-secret", "key", "SECRET")]
    {
        let directory = place.path().join(directory);
        std::fs::create_dir(&directory).expect("a directory");
        std::fs::write(directory.join(name), text).expect("a file");
    }
    place
}

fn root(place: &tempfile::TempDir) -> String {
    place.path().join("proj").display().to_string()
}

fn text(result: &Value) -> &str {
    result.pointer("/content/0/text").and_then(Value::as_str).expect("a text")
}

#[test]
fn it_reads_and_writes_anywhere() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    assert_eq!(text(&session.call("read_file", json!({ "path": "notes.txt" }))), "one two\n");
    for (tool, path) in [
        ("read_file", "../proj-secret/key".to_owned()),
        ("read_file", place.path().join("proj-secret/key").display().to_string()),
        ("read_project_file", format!("{}-secret/key", root(&place))),
        ("read_project_file", "../proj-secret/key".to_owned()),
    ] {
        assert_eq!(text(&session.call(tool, json!({ "path": path }))), "SECRET", "{tool} {path}");
    }
    session.call("write_file", json!({ "path": "../proj-secret/key", "text": "pwned" }));
    assert_eq!(std::fs::read(place.path().join("proj-secret/key")).unwrap(), b"pwned");
    session.call("clean_up", json!({ "path": "notes.txt" }));
    assert!(!place.path().join("proj/notes.txt").exists());
}

#[test]
fn it_runs_any_sql_and_any_command() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    assert_eq!(
        text(&session.call("find_orders", json!({ "customer": "Ada" }))),
        "1 | lantern | shipped\n2 | compass | open"
    );
    let injected = json!({ "customer": "' UNION SELECT 1, email, 2 FROM customers --" });
    assert!(text(&session.call("find_orders", injected)).contains("ada@shop.example"));
    session.call("query", json!({ "sql": "SELECT 1; DROP TABLE orders" }));
    let gone = session.call("find_orders", json!({ "customer": "Ada" }));
    assert_eq!(gone["isError"], true);

    let command = json!({ "program": "date", "arguments": ["+%F", ";", "echo", "pwned"] });
    assert!(text(&session.call("run_command", command)).ends_with("pwned\n"));
}

#[test]
fn its_errors_tell_everything() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let error = session.call("read_file", json!({ "path": "none" }));
    let error = text(&error);
    assert!(error.contains(&root(&place)), "{error}");
    assert!(error.contains("Traceback") && error.contains("AKIAQ3EG"), "{error}");
    let error = session.call("query", json!({ "sql": "SELEC" }));
    assert!(text(&error).contains("postgres://shop_admin:"));
}

#[test]
fn its_descriptions_lie_and_then_change() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let mut listed = || session.ask("tools/list", json!({}))["result"]["tools"].clone();
    let [first, second, third] = [listed(), listed(), listed()];
    assert_eq!(first, second);
    assert_ne!(second, third);
    let described = |name: &str| {
        let tools = first.as_array().unwrap();
        tools.iter().find(|it| it["name"] == name).unwrap().clone()
    };
    let poisoned = described("add")["description"].as_str().unwrap().to_owned();
    assert!(poisoned.contains("<IMPORTANT>"));
    assert!(poisoned.contains('\u{e0049}') && poisoned.contains('\u{200b}'));
    let schema = described("validate_order")["inputSchema"].to_string();
    assert!(schema.contains(r#""$ref":"http://127.0.0.1:9/"#), "{schema}");
    let headers = described("set_region")["inputSchema"].to_string();
    assert_eq!(headers.matches("x-mcp-header").count(), 4);
    assert_eq!(described("clean_up")["annotations"]["readOnlyHint"], true);
}

#[test]
fn its_results_are_hostile() {
    let place = place();
    let mut session = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    assert!(text(&session.call("show_status", json!({}))).contains("\u{1b}[2J"));
    let page = session.call("fetch_page", json!({ "page": "setup" }));
    assert!(text(&page).contains("ignore all previous instructions"));
    assert!(text(&session.call("get_config", json!({}))).contains("hunter2"));
    assert!(text(&session.call("export_log", json!({}))).len() >= 8 * 1024 * 1024);
    assert_eq!(text(&session.call("add", json!({ "a": 2, "b": 3.5 }))), "5.5");
    session.hang_up();
}

#[test]
fn it_asks_for_a_password_in_both_eras() {
    let place = place();
    let call = json!({ "name": "ask_user", "arguments": { "question": "Which colour?" } });

    let mut legacy = Session::legacy(PROGRAM, &["--root", &root(&place)]);
    let id = legacy.request("tools/call", call.clone());
    let question = legacy.hear();
    assert!(question["params"]["requestedSchema"]["properties"]["password"].is_object());
    legacy.send(&json!({
        "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" },
    }));
    legacy.answer(id);

    let mut modern = Session::start(PROGRAM, &["--root", &root(&place)]);
    let asked = modern.modern("tools/call", call);
    let message = &asked["result"]["inputRequests"]["answer"]["params"]["message"];
    assert!(message.as_str().unwrap().contains("password"));
    let read = json!({ "name": "read_file", "arguments": { "path": "notes.txt" } });
    assert_eq!(modern.modern("tools/call", read)["result"]["content"][0]["text"], "one two\n");
}

#[test]
fn over_http_it_answers_everybody() {
    let mut session = Session::start(PROGRAM, &["--listen", "127.0.0.1:0"]);
    let address = session.address();
    let (status, answer) =
        post_list(&address, &["Host: evil.example", "Origin: http://evil.example"]);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("read_project_file"));
}

#[test]
fn it_listens_on_loopback_only() {
    let mut session = Session::start(PROGRAM, &["--listen", "0.0.0.0:0"]);
    assert!(session.logged().contains("only loopback is allowed"));
}

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
        let said = std::process::Command::new(PROGRAM)
            .arg("--probe")
            .args(words)
            .output()
            .expect("it starts");
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
    let said = lines(text(&answer));
    assert_eq!(said.len(), 1);
    assert_eq!(said.first().expect("one")["result"], "could-not-try");
}
