//! Too much of something: what is long, deep, slow or without end costs whoever sends it, and nobody
//! else.

use serde_json::{Value, json};

use crate::harness::http::modern_headers;
use crate::harness::{
    FakeHttp, Gateway, Home, Probe, Script, Step, call, is_refusal, modern, request, say, text,
    tool, wait_for,
};

crate::rows![
    p18_a_schema_fetches_nothing_and_costs_little,
    p20_a_line_that_is_too_long_is_refused_and_skipped,
    p20_what_is_no_message_is_left_out,
    p20_an_endless_line_of_the_server_costs_no_memory,
    p20_a_flood_of_messages_is_counted,
    p20_a_flood_over_http_is_counted,
    p20_an_endless_event_of_a_remote_server_costs_no_memory,
    p20_an_answer_of_many_parts_is_read_once,
    p20_a_text_of_one_sign_is_read_once,
    p20_a_word_as_long_as_a_message_ends_nobody,
    p20_a_request_that_is_too_slow_is_ended,
    p20_a_body_that_is_too_long_is_refused,
    p20_a_client_that_does_not_read_holds_up_nobody,
    p20_clients_that_stall_hold_up_nobody,
];

fn p18_a_schema_fetches_nothing_and_costs_little() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/schema", listener.local_addr().unwrap());
    let wide: Vec<Value> = (0..100_000).map(|it| json!({ "const": it })).collect();
    let slow = json!({ "properties": { "a": { "pattern": "^(a+)+$" } } });
    let bad: [(&str, Value, Value); 5] = [
        ("remote", json!({ "$ref": url }), json!({})),
        ("file", json!({ "$ref": "file:///etc/passwd" }), json!({})),
        ("wide", json!({ "anyOf": wide }), json!({})),
        ("dialect", json!({ "$schema": "http://example.com/own" }), json!({})),
        ("slow", slow, json!({ "a": format!("{}!", "a".repeat(50_000)) })),
    ];
    let home = Home::new();
    let mut script = Script::default();
    for (name, schema, _) in &bad {
        script = script.with(json!({ "name": name, "inputSchema": schema }));
    }
    let fake = home.fake(script);
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request(1, "tools/list", json!({})));
    for (name, _, arguments) in &bad {
        let answer = probe.ask(&call(*name, name, arguments.clone()));
        assert!(is_refusal(&answer), "{name}: {answer}");
    }
    assert!(!fake.heard().contains("tools/call"), "a call that cannot be checked does not pass");
    assert_eq!(text(&probe.ask(&call(2, "echo", json!({ "text": "next" })))), "next");
    let hit = listener.accept();
    assert!(hit.is_err(), "somebody fetched the schema: {hit:?}");
    drop(probe);

    // So deep that no listing with it can be read: it does not reach the client, which is
    // told so when the time is up, and the next call works.
    let deep = format!("{}{{}}{}", "{\"not\":".repeat(DEEP), "}".repeat(DEEP));
    let tools = format!(r#"[{{"name":"deep","inputSchema":{deep}}}]"#);
    let list = format!(r#"{{"jsonrpc":"2.0","id":"list","result":{{"tools":{tools}}}}}"#);
    let home = Home::new();
    let fake = home.fake(Script::default().on("tools/list", [Step::Line(list)]));
    let mut probe = Probe::run_with(&home, &["--timeout", "1"], &fake).begin();
    let listing = probe.ask(&request("list", "tools/list", json!({})));
    assert!(is_refusal(&listing), "{listing}");
    assert_eq!(text(&probe.ask(&call(2, "echo", json!({ "text": "next" })))), "next");
}

const DEEP: usize = 10_000;

/// More than a line may have, and more than the guard may need for it.
const HUGE: usize = 64 << 20;
/// What a guard may need at most, of which a line of the longest kind is 16 MiB.
const MEMORY_MAX: u64 = 128 << 20;

fn p20_a_line_that_is_too_long_is_refused_and_skipped() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake).begin();
    let before = fake.heard();
    let start = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":""#;
    probe.write(start.as_bytes());
    let piece = vec![b'x'; 1 << 20];
    (0..HUGE / piece.len()).for_each(|_| probe.write(&piece));
    probe.write(b"\"}}}\n");
    assert_eq!(probe.next().unwrap()["error"]["code"], -32600);
    assert_eq!(fake.heard(), before);
    assert_eq!(text(&probe.ask(&call(2, "echo", json!({ "text": "next" })))), "next");
    assert!(probe.others.is_empty(), "one error, and one answer: {:?}", probe.others);
    let peak = crate::harness::process::peak_bytes(probe.guard());
    assert!(peak < MEMORY_MAX, "{peak} bytes");
    assert_eq!(probe.end().code, Some(0));
    assert!(home.is_whole());
}

fn p20_what_is_no_message_is_left_out() {
    let noise = [
        "starting up...",
        "{}",
        "[]",
        "null",
        "42",
        "{\"jsonrpc\":\"2.0\"}",
        "\u{feff}{}",
        "{\"jsonrpc",
        "\u{1b}[31mred\u{1b}[0m",
        "{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{}}",
    ];
    let home = Home::new();
    let lines: Vec<Step> = noise.iter().map(|it| Step::Line((*it).to_owned())).collect();
    let answer = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": {
        "content": [{ "type": "text", "text": "done" }] } }));
    let script = Script { start: lines.clone(), ..Script::default() };
    let fake = home.fake(script.on_tool("noisy", [lines, vec![answer]].concat()));
    let mut probe = Probe::run(&home, &fake).begin();
    assert_eq!(text(&probe.ask(&call(1, "noisy", json!({})))), "done");
    assert!(probe.others.is_empty(), "{:?}", probe.others);
    probe.end();
    assert_eq!(home.records_of("violation").len(), 2 * noise.len());
}

fn p20_an_endless_line_of_the_server_costs_no_memory() {
    let home = Home::new();
    let answer = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": {
        "content": [{ "type": "text", "text": "done" }] } }));
    let floods = [Step::Flood(HUGE), Step::Line(String::new()), Step::Noise(20_000), answer];
    let fake = home.fake(Script::default().on_tool("flood", floods));
    let mut probe = Probe::run(&home, &fake).begin();
    assert_eq!(text(&probe.ask(&call(1, "flood", json!({})))), "done");
    let peak = crate::harness::process::peak_bytes(probe.guard());
    assert!(peak < MEMORY_MAX, "{peak} bytes");
    assert_eq!(text(&probe.ask(&call(2, "echo", json!({ "text": "next" })))), "next");
    probe.end();
    assert!(home.is_whole());
}

/// How many records of a kind and side there are, and how many they stand for.
fn counted(home: &Home, kind: &str, from: &str) -> (usize, u64) {
    let records = home.records_of(kind);
    let records: Vec<&Value> = records.iter().filter(|it| it["from"] == from).collect();
    let of = |it: &&Value| it["repeats"].as_u64().unwrap_or(1);
    (records.len(), records.iter().map(of).sum())
}

/// So often each thing is said in these rows.
const FLOOD: usize = 3000;

fn p20_a_flood_of_messages_is_counted() {
    let log = |data: &str| {
        json!({ "jsonrpc": "2.0", "method": "notifications/message",
            "params": { "level": "info", "data": data } })
    };
    let nobody = json!({ "jsonrpc": "2.0", "id": "nobody", "result": {} });
    let answer = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": {
        "content": [{ "type": "text", "text": "done" }] } }));
    let flood = [
        Step::Repeat(FLOOD, log("a\u{1b}[2Jb\u{e0041}")),
        Step::Repeat(FLOOD, nobody),
        Step::Noise(FLOOD),
        answer,
    ];
    let home = Home::new();
    let fake = home.fake(Script::default().on_tool("flood", flood));
    let mut probe = Probe::run(&home, &fake).begin();
    let mended = log("a\u{1b}[2Jb");
    let broken = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": { "requestId": "nobody" } });
    for _ in 0..FLOOD {
        probe.send(&mended);
        probe.send(&broken);
    }
    assert_eq!(text(&probe.ask(&call(1, "flood", json!({})))), "done");
    assert_eq!(text(&probe.ask(&call(2, "echo", json!({ "text": "next" })))), "next");
    let ended = probe.end();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "not a line on standard error");
    assert!(home.is_whole());
    let flood = FLOOD as u64;
    let expected = [
        ("notice", "server", flood),
        ("violation", "server", 2 * flood),
        ("violation", "client", flood),
        ("notice", "client", flood),
    ];
    for (kind, from, times) in expected {
        let (records, stand_for) = counted(&home, kind, from);
        assert_eq!(stand_for, times, "{kind} of the {from}: none is lost from the number");
        assert!(records < 30, "{kind} of the {from}: {records} records");
    }
    for kind in ["decision", "outcome"] {
        let calls = home.records_of(kind);
        let calls = calls.iter().filter(|it| it["method"] == "tools/call").count();
        assert_eq!(calls, 2, "{kind}: one for each call");
    }
}

fn p20_a_flood_over_http_is_counted() {
    // Each of these is a conversation of its own.
    let home = Home::new();
    let upstream = FakeHttp::new(Script::default());
    let gateway = Gateway::to(&home, &upstream);
    let mut connection = gateway.connect();
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": { "requestId": "nobody" } });
    for _ in 0..FLOOD {
        connection.post_modern(&note);
    }
    let answer = connection.post_modern(&call(1, "echo", json!({ "text": "next" })));
    assert_eq!(text(&answer.message()), "next");
    assert_eq!(gateway.end().stderr, "");
    let (records, stand_for) = counted(&home, "violation", "client");
    assert_eq!(stand_for, FLOOD as u64);
    assert!(records < 30, "{records} records");
}

fn p20_an_endless_event_of_a_remote_server_costs_no_memory() {
    let floods = [Step::Line("{}".to_owned()), Step::Flood(HUGE), Step::Hang];
    let upstream = FakeHttp::new(Script::default().on_tool("flood", floods));
    let home = Home::new();
    let gateway = Gateway::to(&home, &upstream);
    let answer = gateway.connect().post_modern(&call(1, "flood", json!({})));
    assert!(is_refusal(&answer.message()), "{answer:?}");
    let peak = crate::harness::process::peak_bytes(gateway.pid());
    assert!(peak < MEMORY_MAX, "{peak} bytes");
    let next = gateway.connect().post_modern(&call(2, "echo", json!({ "text": "next" })));
    assert_eq!(text(&next.message()), "next");
}

fn p20_a_request_that_is_too_slow_is_ended() {
    let home = Home::new();
    home.policy("[limits]\nrequest_read_s = 1\n");
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    let (host, key) = (gateway.address, gateway.key.clone().unwrap());
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: 1000000\r\n"
    );
    let mut body = gateway.connect();
    body.write(head.as_bytes()).unwrap();
    body.write(b"\r\n").unwrap();
    let mut headers = gateway.connect();
    headers.write(head.as_bytes()).unwrap();
    // Others are served meanwhile.
    let next = gateway.connect().post_modern(&call(2, "echo", json!({ "text": "next" })));
    assert_eq!(text(&next.message()), "next");
    // A byte now and then does not keep it alive.
    assert_eq!(body.drip(b" ").expect("an answer").status, 408);
    assert!(headers.drip(b"x").is_none_or(|it| it.status == 408));
}

fn p20_a_body_that_is_too_long_is_refused() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    let key = gateway.key.clone().unwrap();
    let head = |length: &str| {
        let host = gateway.address;
        format!(
            "POST /mcp HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\n{length}\r\n\r\n"
        )
    };
    // One that says how long it is, and one that does not.
    let mut honest = gateway.connect();
    honest.write(head(&format!("content-length: {HUGE}")).as_bytes()).unwrap();
    assert_eq!(honest.head().expect("an answer").status, 413);
    let mut endless = gateway.connect();
    endless.write(head("transfer-encoding: chunked").as_bytes()).unwrap();
    let piece = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    // The guard may close the connection before it is sent all.
    let _refused = (0..HUGE >> 20).try_for_each(|_| endless.write(piece.as_bytes()));
    assert!(endless.head().is_none_or(|it| it.status == 413));
    let peak = crate::harness::process::peak_bytes(gateway.pid());
    assert!(peak < MEMORY_MAX, "{peak} bytes");
    assert_eq!(fake.heard(), "");
    let next = gateway.connect().post_modern(&call(2, "echo", json!({ "text": "next" })));
    assert_eq!(text(&next.message()), "next");
}

fn p20_a_client_that_does_not_read_holds_up_nobody() {
    let message = "x".repeat(64 << 10);
    let params = json!({ "progressToken": "$token", "progress": 1, "message": message });
    let progress =
        json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
    let much = [Step::Repeat(HUGE / message.len(), progress)];
    let home = Home::new();
    let fake = home.fake(Script::default().on_tool("much", much));
    let gateway = Gateway::of(&home, &fake);
    let mut call_much = call(1, "much", json!({}));
    call_much["params"]["_meta"]["progressToken"] = json!("t");
    let call_much = modern(call_much);
    let headers = modern_headers(&call_much);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut deaf = gateway.connect();
    deaf.start_post(&headers, &call_much);
    wait_for("the call", || (fake.count("tools/call") == 1).then_some(()));
    let next = gateway.connect().post_modern(&call(2, "echo", json!({ "text": "next" })));
    assert_eq!(text(&next.message()), "next");
    let peak = crate::harness::process::peak_bytes(gateway.pid());
    assert!(peak < MEMORY_MAX, "{peak} bytes");
}

fn p20_clients_that_stall_hold_up_nobody() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    let key = gateway.key.clone().unwrap();
    let whole = format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"jsonrpc\"",
        gateway.address
    );
    // Stopped everywhere: before the first byte, in the head, in the body.
    let stalled: Vec<_> = (0..whole.len())
        .map(|length| {
            let mut connection = gateway.connect();
            connection.write(&whole.as_bytes()[..length]).unwrap();
            connection
        })
        .collect();
    assert!(stalled.len() > 200);
    let next = gateway.connect().post_modern(&call(1, "echo", json!({ "text": "next" })));
    assert_eq!(text(&next.message()), "next");
    assert_eq!(fake.count("tools/call"), 1);
}

fn p20_a_text_of_one_sign_is_read_once() {
    let home = Home::new();
    let mut script = Script::default();
    let signs = ["<", "< ", "[", "](", "![", "%", "&", "\\", "http://", "data:", "url(", "- "];
    for (number, sign) in signs.iter().enumerate() {
        let text = sign.repeat((256 << 10) / sign.len());
        let result = json!({ "content": [{ "type": "text", "text": text }] });
        let answer = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": result }));
        script = script.on_tool(&format!("t{number}"), [answer]);
    }
    let mut probe = Probe::run(&home, &home.fake(script)).begin();
    for (number, sign) in signs.iter().enumerate() {
        // Read once for each of its signs, it would take longer than anybody waits.
        let answer = probe.ask(&call(number, &format!("t{number}"), json!({})));
        assert!(text(&answer).contains(sign), "{sign}: {:.200}", answer.to_string());
    }
    assert_eq!(probe.end().code, Some(0));
}

fn p20_a_word_as_long_as_a_message_ends_nobody() {
    let home = Home::new();
    let long = |head: &str| format!("{head}{}", "A".repeat(600_000));
    let fake = home.fake(Script::default().with(tool("run_command")).with(tool("echo")));
    let gateway = Gateway::of(&home, &fake);
    let mut probe = Probe::run(&home, &fake).begin();
    for (number, arguments) in [
        json!({ "command": "less", "args": [long("+!")] }),
        json!({ "command": "ls", "args": [long(";")] }),
        json!({ "command": "git", "args": ["-c", long("core.sshcommand="), "fetch"] }),
        json!({ "command": "npx", "args": [long("a")] }),
        json!({ "path": long("../"), "url": long("http://127.0.0.1/") }),
        json!({ long("k\u{200b}"): "x" }),
        json!({ "sql": long("DROP TABLE ") }),
    ]
    .into_iter()
    .enumerate()
    {
        let call = call(number, "run_command", arguments);
        for answer in [probe.ask(&call), gateway.connect().post_modern(&call).message()] {
            assert!(is_refusal(&answer), "{:.300}", answer.to_string());
            assert!(answer.to_string().len() < 2000, "{number}: {:.3000}", answer.to_string());
        }
    }
    assert!(!is_refusal(&probe.ask(&call("last", "echo", json!({})))));
    let answer = gateway.connect().post_modern(&call("last", "echo", json!({}))).message();
    assert!(!is_refusal(&answer), "{answer}");
    assert_eq!(probe.end().code, Some(0));
    assert!(home.audit(&["verify"]).status.success());
}

fn p20_an_answer_of_many_parts_is_read_once() {
    let many = 40_000;
    let mut result = json!({ "tools": vec![json!({}); many] });
    let parts = (0..many).map(|number| (format!("part{number}"), json!(0)));
    result.as_object_mut().unwrap().extend(parts);
    let answer = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": result }));
    let home = Home::new();
    let fake = home.fake(Script::default().on("tools/list", [answer]));
    let mut probe = Probe::run(&home, &fake).begin();
    // Each part compared with each tool would take longer than anybody waits.
    let list = probe.ask(&request("list", "tools/list", json!({})));
    assert!(list.get("error").is_some() || list["result"]["part0"] == 0, "{list}");
    assert_eq!(text(&probe.ask(&call(1, "echo", json!({ "text": "next" })))), "next");
}
