//! How a call from a script ends: what is wrong with an answer, how long it takes, how its server ends,
//! what the policy denies, and what holds a server that is started for it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

use crate::call::{Asked, both, result, text};
use crate::harness::fake::{say, tool};
use crate::harness::{FakeHttp, Home, Script, Step};

crate::rows![
    t02_a_result_is_held_against_the_schema_of_its_tool,
    t02_a_call_takes_no_longer_than_it_may,
    t03_how_a_server_ends_is_said,
    what_the_policy_denies_is_not_asked,
    h04_a_server_that_is_started_is_held,
    a_key_goes_to_a_remote_server_and_is_not_said,
    a_load_is_measured,
];

fn t02_a_result_is_held_against_the_schema_of_its_tool() {
    let home = Home::new();
    let mut counted = tool("counted");
    counted["outputSchema"] =
        json!({ "type": "object", "properties": { "n": { "type": "number" } }, "required": ["n"] });
    let wrong = json!({ "content": [], "structuredContent": { "n": "many" } });
    let mut script = Script::default().with(counted);
    script.on_tool.insert("counted".to_owned(), vec![result(wrong)]);
    let fake = home.fake(script);
    for policy in ["", "[rules]\noutput_schema = 'allow'\n"] {
        home.policy(policy);
        let out = Asked::fake(&home, &fake, &["tools/call", "--name", "counted"]).output();
        assert_eq!(out.status.code(), Some(1), "{}", both(&out));
        assert!(both(&out).contains("does not match the tool's `outputSchema`"), "{}", both(&out));
    }
    let unknown = json!({ "content": [], "resultType": "whatever" });
    let fake = home.fake(Script::default().on_tool("odd", [result(unknown)]));
    let words = ["tools/call", "--name", "odd", "--era", "modern"];
    let out = Asked::fake(&home, &fake, &words).output();
    assert_eq!(out.status.code(), Some(1), "{}", both(&out));
    assert!(both(&out).contains("breaks the protocol"), "{}", both(&out));
}

fn t02_a_call_takes_no_longer_than_it_may() {
    let home = Home::new();
    let progress = say(json!({ "jsonrpc": "2.0", "method": "notifications/progress",
        "params": { "progressToken": "$token", "progress": 1 } }));
    let slow: Vec<Step> =
        (0..40).flat_map(|_| [progress.clone(), Step::Sleep(200)]).chain([Step::Hang]).collect();
    let script = Script::default().on_tool("silent", [Step::Hang]).on_tool("busy", slow);
    let fake = home.fake(Script { concurrent: true, ..script });
    for (tool, bound, limit) in [
        ("silent", ["--timeout", "1"], "call_timeout_s"),
        ("busy", ["--total", "2"], "call_total_s"),
    ] {
        let words = [&["tools/call", "--name", tool][..], &bound].concat();
        let (said, code) = Asked::fake(&home, &fake, &words).json();
        assert_eq!(code, 4, "{said}");
        let limits = said["seen"].as_array().unwrap().iter().map(|it| it["limit"]["name"].clone());
        let limits: Vec<Value> = limits.collect();
        assert!(
            limits.iter().any(|it| it.as_str().is_some_and(|it| it.ends_with(limit))),
            "{said}"
        );
    }
}

fn t03_how_a_server_ends_is_said() {
    let home = Home::new();
    let complain = Step::Complain("Traceback: no database".to_owned());
    let fake = home.fake(Script::default().on_tool("die", [complain, Step::Exit(3)]));
    let out = Asked::fake(&home, &fake, &["tools/call", "--name", "die"]).output();
    assert_eq!(out.status.code(), Some(4), "{}", both(&out));
    assert!(both(&out).contains("Traceback: no database"), "{}", both(&out));
    let fake = home.fake(Script {
        start: vec![Step::Complain("no database".to_owned()), Step::Exit(3)],
        ..Script::default()
    });
    let out = Asked::fake(&home, &fake, &["tools/list"]).output();
    let says = both(&out);
    assert_eq!(out.status.code(), Some(4), "{says}");
    assert!(says.contains("exit code 3\n  no database"), "{says}");
    let noise =
        Script { start: vec![Step::Line("Listening on stdio!".to_owned())], ..Script::default() };
    let fake = home.fake(noise);
    let out = Asked::fake(&home, &fake, &["tools/list"]).output();
    assert_eq!(out.status.code(), Some(0), "{}", both(&out));
    assert!(both(&out).contains("violation of the server"), "{}", both(&out));
    let mut gone = Asked::new(&home, &["tools/list"]);
    gone.server = vec!["--".into(), "/no/such/server".into()];
    assert_eq!(gone.output().status.code(), Some(4));
    let out = Asked::new(&home, &["http://127.0.0.1:9/mcp", "tools/list"]).output();
    assert_eq!(out.status.code(), Some(4), "{}", both(&out));
}

fn what_the_policy_denies_is_not_asked() {
    let home = Home::new();
    for era in ["legacy", "modern"] {
        let words =
            ["tools/call", "--name", "read_file", "--arg", "path=/etc/passwd", "--era", era];
        let out = Asked::of(&home, "vulnerable", &words).output();
        let says = both(&out);
        assert_eq!(out.status.code(), Some(6), "{says}");
        assert!(says.contains("path_outside_roots") && !says.contains("root:x:0"), "{says}");
    }
    // What a rule has found in an answer is told, and counts where that is wanted.
    let words = ["tools/call", "--name", "get_config", "--fail-on", "high"];
    let (said, code) = Asked::of(&home, "vulnerable", &words).json();
    assert_eq!(code, 1, "{said}");
    let seen = said["seen"].as_array().unwrap().iter();
    let found: Vec<&Value> =
        seen.flat_map(|it| it["findings"].as_array().into_iter().flatten()).collect();
    assert!(found.iter().any(|it| it["rule"] == "secret"), "{said}");
    // What a person would be asked about is denied, unless whoever calls has said yes.
    home.policy("default = 'allow'\n[[tools]]\neffect = 'ask'\ntool = 'echo'\n");
    let fake = home.fake(Script::default());
    let words = ["tools/call", "--name", "echo", "--arg", "text=hello"];
    let out = Asked::fake(&home, &fake, &words).output();
    assert_eq!(out.status.code(), Some(6), "{}", both(&out));
    assert_eq!(fake.count("tools/call"), 0);
    let approved = Asked::fake(&home, &fake, &[&words[..], &["--approve"]].concat());
    assert_eq!(text(&approved.result()), "hello");
    let decided = home.records_of("decision");
    assert!(decided.iter().any(|it| it["channel"] == "command line"), "{decided:?}");
    // A tool that has failed is no result, and its words are told.
    let failed =
        json!({ "content": [{ "type": "text", "text": "no such town" }], "isError": true });
    let fake = home.fake(Script::default().on_tool("fails", [result(failed)]));
    let out = Asked::fake(&home, &fake, &["tools/call", "--name", "fails"]).output();
    assert_eq!(out.status.code(), Some(5), "{}", both(&out));
    assert!(both(&out).contains("no such town"), "{}", both(&out));
}

fn h04_a_server_that_is_started_is_held() {
    let home = Home::new();
    // Nobody looks at arguments: it is the sandbox alone.
    home.policy("[rules]\npath_outside_roots = 'allow'\n");
    let outside = home.path().join("outside.txt");
    fs::write(&outside, "canary-4711").unwrap();
    let path = format!("path={}", outside.display());
    let words = ["tools/call", "--name", "read_file", "--arg", &path];
    let out = Asked::of(&home, "vulnerable", &words).output();
    assert_eq!(out.status.code(), Some(5), "{}", both(&out));
    assert!(!both(&out).contains("canary-4711"), "{}", both(&out));
    let unheld = [&words[..], &["--sandbox", "none"]].concat();
    let out = Asked::of(&home, "vulnerable", &unheld).output();
    assert!(both(&out).contains("canary-4711"), "{}", both(&out));
    // What is shown of it is what `run` shows.
    let out = Asked::of(&home, "vulnerable", &["tools/list", "--dry-run"]).output();
    assert_eq!(out.status.code(), Some(0), "{}", both(&out));
    assert!(both(&out).contains("files"), "{}", both(&out));
    assert!(!both(&out).contains("get_weather"), "{}", both(&out));
}

fn a_key_goes_to_a_remote_server_and_is_not_said() {
    let home = Home::new();
    let http = FakeHttp::new(Script::default());
    let url = http.url();
    let words = [
        &url,
        "tools/call",
        "--name",
        "echo",
        "--arg",
        "text=hello",
        "--header",
        "X-Team: red",
        "--header-env",
        "Authorization=KEY",
    ];
    let mut asked = Asked::new(&home, &words);
    asked.command.env("KEY", "Bearer sesame-4711");
    let out = asked.output();
    assert_eq!(out.status.code(), Some(0), "{}", both(&out));
    assert!(!both(&out).contains("sesame"), "{}", both(&out));
    let requests = http.requests();
    assert!(requests.len() >= 4, "{requests:?}");
    for request in &requests {
        assert_eq!(request.header("authorization"), Some("Bearer sesame-4711"), "{request:?}");
        assert_eq!(request.header("x-team"), Some("red"), "{request:?}");
    }
    assert!(!home.records().iter().any(|it| it.to_string().contains("sesame")));
    for header in ["Content-Length: 1", "no colon sesame", "Mcp-Session-Id: 1"] {
        let out = Asked::new(&home, &[&url, "tools/list", "--header", header]).output();
        assert_eq!(out.status.code(), Some(2), "{header}: {}", both(&out));
        assert!(!both(&out).contains("sesame"), "{}", both(&out));
    }
    // Who is turned away is told so.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _read = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _written = stream.write_all(head.as_bytes());
        }
    });
    let url = format!("http://{address}/mcp");
    for era in ["legacy", "modern"] {
        let out = Asked::new(&home, &[&url, "tools/list", "--era", era]).output();
        assert_eq!(out.status.code(), Some(3), "{}", both(&out));
        assert!(both(&out).contains("401"), "{}", both(&out));
    }
}

fn a_load_is_measured() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    let words =
        ["tools/call", "--name", "echo", "--arg", "text=hello", "--load", "200", "--at-once", "20"];
    let (said, code) = Asked::fake(&home, &fake, &words).json();
    assert_eq!(code, 0, "{said}");
    assert_eq!(said["load"]["results"], 200, "{said}");
    assert_eq!(fake.count("tools/call"), 200);
    let at = |name: &str| said["load"]["latencyMs"][name].as_f64().unwrap();
    assert!(at("min") > 0.0 && at("p50") <= at("p99") && at("p99") <= at("max") * 1.01, "{said}");
    // A limit that somebody has written counts.
    home.policy("[limits]\nsame_call_max = 5\n");
    let (said, code) = Asked::fake(&home, &fake, &words).json();
    assert_eq!(code, 6, "{said}");
    assert_eq!(said["load"]["results"], 5, "{said}");
    assert_eq!(fake.count("tools/call"), 205);
}
