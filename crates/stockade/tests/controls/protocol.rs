//! Messages that could be read in two ways, and messages where none belong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::http::modern_headers;
use crate::harness::probe::initialize;
use crate::harness::{
    FakeHttp, Gateway, Home, MODERN, NO_LIMITS, Probe, Script, Step, call, is_refusal, modern,
    request, say, text, wait_for, within,
};

crate::rows![
    p04_what_can_be_read_in_two_ways_is_refused,
    p04_a_request_without_an_id_reaches_nobody,
    p04_arguments_are_an_object_or_refused,
    p07_a_modern_request_says_what_the_client_can,
    p08_a_batch_is_judged_piece_by_piece,
    p08_other_revisions_have_no_batches,
    p09_no_answer_reaches_another_client,
    p09_an_answer_that_comes_late_reaches_nobody_else,
    p09_a_session_opens_on_a_stream,
    p12_nothing_is_asked_that_was_not_declared,
    u06_a_form_that_asks_for_a_secret_reaches_nobody,
    p13_a_task_answers_only_whoever_can_have_one,
    p13_what_a_modern_server_may_not_say_is_dropped,
    p17_cancelling_reaches_the_server,
    p17_a_modern_client_that_goes_away_has_cancelled,
    p17_a_legacy_client_that_goes_away_has_not,
    p17_a_late_answer_is_on_no_other_stream,
    p17_a_modern_client_cancels_nothing_by_its_id,
];

/// Attempts to have the guard read one method, tool or envelope, and the server another.
/// "Parser differential" (CVE-2026-27896).
const TWO_WAYS: &[&str] = &[
    r#"{"jsonrpc":"2.0","id":ID,"method":"ping","method":"tools/call","params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","method":"ping","params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"ping","Method":"tools/call","params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"METHOD":"tools/call","params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"ping","param\u017f":{"name":"danger"},"params":{}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"ping","params":{},"Params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"echo","name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"echo","n\u0061me":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a","text":"danger"}}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"echo"},"params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"id":999,"method":"tools/call","params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"Id":999,"method":"tools/call","params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"ping"}{"jsonrpc":"2.0","id":999,"method":"tools/call","params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"danger"},}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"danger"}} x"#,
    r#"{"jsonrpc":"2.0","id":ID,'method':"tools/call","params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call",/* */"params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"1.0","id":ID,"method":"tools/call","params":{"name":"danger"}}"#,
    r#"{"id":ID,"method":"tools/call","params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","result":{},"params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":ID,"method":["tools/call"],"params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":1e400,"method":"tools/call","params":{"name":"danger"}}"#,
    r#"{"jsonrpc":"2.0","id":{"a":ID},"method":"tools/call","params":{"name":"danger"}}"#,
    "{\"jsonrpc\":\"2.0\",\"id\":ID,\"method\":\"tools/call\",\"params\":{\"name\":\"danger\u{0}\"}}",
    r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"danger\ud800"}}"#,
];

fn p04_what_can_be_read_in_two_ways_is_refused() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake).begin();
    let before = fake.heard();
    for (number, line) in TWO_WAYS.iter().enumerate() {
        probe.write(format!("{}\n", line.replace("ID", &number.to_string())).as_bytes());
        let answer = probe.next().expect("an answer");
        assert!(answer.get("error").is_some(), "{line}: {answer}");
    }
    // Bytes that are not UTF-8, which some parsers replace and others refuse.
    probe.write(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"dang\xffer\"}}\n");
    assert!(probe.next().unwrap().get("error").is_some());
    assert_eq!(fake.heard(), before, "nothing of it arrives");
    assert_eq!(text(&probe.ask(&call(1, "echo", json!({ "text": "next" })))), "next");
    probe.end();
    assert_eq!(home.records_of("violation").len(), TWO_WAYS.len() + 1);
}

/// What lets only `echo` through.
const ONLY_ECHO: &str = "default = \"deny\"\n[[tools]]\neffect = \"allow\"\ntool = \"echo\"\n";

/// Without an id, a call would be a notification: no rule about tools is asked about those.
fn p04_a_request_without_an_id_reaches_nobody() {
    let without_id = |mut it: Value| {
        it.as_object_mut().unwrap().remove("id");
        it
    };
    let denied = || without_id(call(1, "danger", json!({})));
    let allowed = || without_id(call(1, "echo", json!({ "text": "x" })));
    let home = Home::new();
    home.policy(ONLY_ECHO);
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake).begin();
    probe.send(&denied());
    probe.send(&allowed());
    assert_eq!(text(&probe.ask(&call(2, "echo", json!({ "text": "next" })))), "next");
    assert_eq!(fake.count("tools/call"), 1, "of the process: {}", fake.heard());
    probe.end();

    let upstream = FakeHttp::new(Script::default());
    let gateway = Gateway::to(&home, &upstream);
    gateway.connect().post_modern(&denied());
    let mut session = gateway.connect();
    session.begin_legacy();
    session.post(&[], &denied());
    session.post(&[], &allowed());
    let next = session.post(&[], &call(2, "echo", json!({ "text": "next" })));
    assert_eq!(text(&next.message()), "next");
    assert_eq!(upstream.count("tools/call"), 1, "of the remote server");
    let violations = home.records_of("violation");
    let said = violations.iter().filter(|it| it["says"] == "a request without an id").count();
    assert_eq!(said, 5, "{violations:?}");
}

/// A server that reads a text as JSON, or takes what is first in a list, would be called with
/// arguments that no rule has seen.
fn p04_arguments_are_an_object_or_refused() {
    let home = Home::new();
    home.policy(
        "default = \"allow\"\n[[tools]]\neffect = \"deny\"\ntool = \"*\"\n\
         [tools.args.mode]\nequals = \"danger\"\n",
    );
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake).begin();
    for (id, arguments) in (1..).zip([
        json!({ "mode": "danger" }),
        json!("{\"mode\":\"danger\"}"),
        json!([{ "mode": "danger" }]),
        json!(true),
    ]) {
        let answer = probe.ask(&call(id, "echo", arguments));
        assert!(is_refusal(&answer) || answer["error"]["code"] == -32602, "{answer}");
    }
    assert_eq!(fake.count("tools/call"), 0, "{}", fake.heard());
    assert_eq!(text(&probe.ask(&call(9, "echo", json!({ "text": "next" })))), "next");
}

fn p07_a_modern_request_says_what_the_client_can() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake);
    for (number, wrong) in [json!(null), json!("all"), json!([])].into_iter().enumerate() {
        let mut lacking = modern(call(number, "echo", json!({})));
        lacking["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = wrong;
        assert_eq!(probe.ask(&lacking)["error"]["code"], -32602, "{lacking}");
    }
    let mut lacking = modern(call(7, "echo", json!({})));
    let meta = lacking["params"]["_meta"].as_object_mut().unwrap();
    meta.remove("io.modelcontextprotocol/clientCapabilities");
    assert_eq!(probe.ask(&lacking)["error"]["code"], -32602);
    assert_eq!(fake.heard(), "");
    assert!(!is_refusal(&probe.ask(&modern(call(8, "echo", json!({}))))));
}

const DENY_DANGER: &str = r#"
    default = "allow"
    [[tools]]
    effect = "deny"
    tool = "danger"
"#;

fn p08_a_batch_is_judged_piece_by_piece() {
    let home = Home::new();
    home.policy(DENY_DANGER);
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake);
    probe.begin_in("2025-03-26");
    let batch = json!([
        request(1, "ping", json!({})),
        call(2, "danger", json!({})),
        call(3, "echo", json!({ "text": "allowed" })),
    ]);
    probe.send(&batch);
    let mut answers = Vec::new();
    while answers.len() < 3 {
        let answer = probe.next().expect("an answer");
        match answer.as_array() {
            Some(several) => answers.extend(several.clone()),
            None => answers.push(answer),
        }
    }
    let answer = |id: i64| answers.iter().find(|it| it["id"] == id).expect("an answer").clone();
    assert_eq!(answer(1)["result"], json!({}));
    assert!(is_refusal(&answer(2)));
    assert_eq!(text(&answer(3)), "allowed");
    assert!(!fake.heard().contains("danger"));
}

fn p08_other_revisions_have_no_batches() {
    for revision in ["2024-11-05", "2025-06-18", "2025-11-25", MODERN] {
        let home = Home::new();
        let fake = home.fake(Script::default());
        let mut probe = Probe::run(&home, &fake);
        let mut ping = request(1, "ping", json!({}));
        if revision == MODERN {
            ping = modern(ping);
        } else {
            probe.begin_in(revision);
        }
        let before = fake.heard();
        probe.send(&json!([ping, call(2, "echo", json!({}))]));
        assert_eq!(probe.next().unwrap()["error"]["code"], -32600, "{revision}");
        assert_eq!(fake.heard(), before, "{revision}");
    }
}

/// So many clients at the same time, and calls of each.
const CLIENTS: usize = 50;
const CALLS: usize = 50;

/// All clients use the same ids and the same progress token; what each says is marked as its own,
/// and comes back as progress, as a log message and as the answer, in no order.
fn p09_no_answer_reaches_another_client() {
    let progress = json!({ "progressToken": "$token", "progress": 1, "message": "$text" });
    let log = json!({ "level": "info", "data": "$text" });
    let script = Script { concurrent: true, ..Script::default() }.on_tool(
        "busy",
        [
            say(
                json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": progress }),
            ),
            say(json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": log })),
            Step::Dawdle,
            say(json!({ "jsonrpc": "2.0", "id": "$id", "result": {
                "resultType": "complete", "content": [{ "type": "text", "text": "$text" }] } })),
        ],
    );
    for is_modern in [true, false] {
        let home = Home::new();
        home.policy(NO_LIMITS);
        let fake = home.fake(script.clone());
        let gateway = Gateway::of(&home, &fake);
        ask_at_the_same_time(&gateway, is_modern);
        gateway.end();
        let home = Home::new();
        home.policy(NO_LIMITS);
        let upstream = FakeHttp::new(script.clone());
        let gateway = Gateway::to(&home, &upstream);
        ask_at_the_same_time(&gateway, is_modern);
        gateway.end();
    }
}

fn ask_at_the_same_time(gateway: &Gateway, is_modern: bool) {
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let own = format!("<client {client}>");
                let mut connection = gateway.connect();
                if !is_modern {
                    connection.begin_legacy();
                }
                for number in 0..CALLS {
                    let mut call = call(number, "busy", json!({ "text": own }));
                    call["params"]["_meta"]["progressToken"] = json!("token");
                    call["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = json!("info");
                    let answer = match is_modern {
                        true => connection.post_modern(&call),
                        false => connection.post(&[], &call),
                    };
                    let messages = answer.messages();
                    assert_eq!(text(messages.last().unwrap()), own, "{messages:?}");
                    assert_eq!(messages.last().unwrap()["id"], number, "{messages:?}");
                    for message in &messages {
                        let said = message.to_string();
                        let foreign = said.contains("<client ") && !said.contains(&own);
                        assert!(!foreign, "{own} was told {said}");
                        let token = &message["params"]["progressToken"];
                        assert!(token.is_null() || token == "token", "{message}");
                    }
                }
            });
        }
    });
}

/// The answer to `initialize` may come after other events; the session opens all the same.
/// A server that sends one answer too many is one behind with all that follow on that connection: the
/// next client, whose ids are the same, would get the answer of the one before.
fn p09_an_answer_that_comes_late_reaches_nobody_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            std::thread::spawn(move || answer_one_too_many(number == 0, stream));
        }
    });
    let home = Home::new();
    let gateway = Gateway::serve(&home, &["--upstream".into(), url.into()]);
    let ask = |whose: &str| {
        let call = call(7, "echo", json!({ "text": whose }));
        gateway.connect().post_modern(&call).message()
    };
    assert!(ask("the first")["error"].is_object(), "what it got was not its answer");
    for whose in ["the second", "the third"] {
        assert_eq!(text(&ask(whose)), whose);
    }
}

/// Answers what is asked on a connection; on the first one, with another answer before all.
fn answer_one_too_many(first: bool, stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut out = stream;
    let mut answer = |it: Value| {
        let body = it.to_string();
        let length = body.len();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
        write!(out, "{head}: {length}\r\n\r\n{body}")
    };
    let mut owed = first;
    let mut late = Vec::new();
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.trim_end().split_once(": ") {
                Some(("content-length", it)) => length = it.parse().unwrap(),
                None if line == "\r\n" => break,
                Some(_) | None => (),
            }
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body).unwrap();
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let said = asked["params"]["arguments"]["text"].clone();
        let content = json!([{ "type": "text", "text": said }]);
        let result = json!({ "content": content, "resultType": "complete" });
        late.push(json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }));
        let next = if std::mem::take(&mut owed) {
            json!({ "jsonrpc": "2.0", "id": "nobody's", "result": {} })
        } else {
            late.remove(0)
        };
        if answer(next).is_err() {
            return;
        }
    }
}

fn p09_a_session_opens_on_a_stream() {
    let log = json!({ "level": "info", "data": "starting" });
    let log = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": log });
    let agreed = json!({ "jsonrpc": "2.0", "id": "$id", "result": {
        "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
        "serverInfo": { "name": "s", "version": "1" } } });
    let home = Home::new();
    let upstream = FakeHttp::new(Script::default().on("initialize", [say(log), say(agreed)]));
    let gateway = Gateway::to(&home, &upstream);
    let mut connection = gateway.connect();
    connection.begin_legacy();
    let answer = connection.post(&[], &call(2, "echo", json!({ "text": "there" }))).message();
    assert_eq!(text(&answer), "there");
}

fn p12_nothing_is_asked_that_was_not_declared() {
    let url = json!({ "mode": "url", "message": "?", "url": "https://example.com" });
    let questions = [
        ("sampling", "sampling/createMessage", json!({ "messages": [], "maxTokens": 1 })),
        ("form", "elicitation/create", json!({ "message": "Your password?" })),
        ("url", "elicitation/create", url),
        ("roots", "roots/list", json!({})),
        ("tasks", "tasks/list", json!({})),
        // A question without parameters is one all the same.
        ("bare", "roots/list", json!(null)),
    ];
    let home = Home::new();
    let mut script = Script::default();
    let done = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": { "content": [] } }));
    for (name, method, params) in &questions {
        let mut ask = request(*name, method, params.clone());
        if params.is_null() {
            ask.as_object_mut().unwrap().remove("params");
        }
        script = script.on_tool(name, [say(ask), done.clone()]);
        let asks = json!({ "q": { "method": method, "params": params } });
        let asks = json!({ "resultType": "input_required", "inputRequests": asks });
        let asks = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": asks }));
        script = script.on_tool(&format!("modern-{name}"), [asks]);
    }
    let fake = home.fake(script);
    let mut probe = Probe::run(&home, &fake).begin();
    for (name, ..) in &questions {
        assert!(!is_refusal(&probe.ask(&call(*name, name, json!({})))), "{name}");
        assert!(probe.others.is_empty(), "{name} reaches nobody: {:?}", probe.others);
        wait_for("the server to be told", || {
            let told = |it: &Value| it["id"] == *name && it.get("error").is_some();
            fake.messages().iter().any(told).then_some(())
        });
    }
    probe.end();
    let mut probe = Probe::run(&home, &fake);
    for (name, method, _) in questions.iter().filter(|(_, method, _)| *method != "tasks/list") {
        let answer = probe.ask(&modern(call(*name, &format!("modern-{name}"), json!({}))));
        assert!(is_refusal(&answer), "{method}: {answer}");
        assert!(!answer.to_string().contains("inputRequests"), "{answer}");
    }
    probe.end();
}

fn u06_a_form_that_asks_for_a_secret_reaches_nobody() {
    let form = |message: &str, field: Value| {
        let schema = json!({ "type": "object", "properties": { "answer": field } });
        json!({ "message": message, "requestedSchema": schema })
    };
    let plain = json!({ "type": "string" });
    let questions = [
        ("title", form("Log in", json!({ "type": "string", "title": "Password" })), true),
        ("message", form("Please enter your API key to go on.", plain.clone()), true),
        ("colour", form("Which colour?", plain.clone()), false),
        ("about", form("The password was changed. What is the branch called?", plain), false),
    ];
    let home = Home::new();
    let mut script = Script::default();
    let done = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": { "content": [] } }));
    for (name, params, _) in &questions {
        let ask = request(*name, "elicitation/create", params.clone());
        script = script.on_tool(name, [say(ask), done.clone()]);
        let asks = json!({ "q": { "method": "elicitation/create", "params": params } });
        let asks = json!({ "resultType": "input_required", "inputRequests": asks });
        let asks = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": asks }));
        script = script.on_tool(&format!("modern-{name}"), [asks]);
    }
    let fake = home.fake(script);
    let mut probe = Probe::run(&home, &fake);
    let mut begin = initialize("2025-11-25");
    begin["params"]["capabilities"] = json!({ "elicitation": {} });
    probe.ask(&begin);
    probe.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    for (name, _, is_secret) in &questions {
        probe.ask(&call(*name, name, json!({})));
        let reached = !std::mem::take(&mut probe.others).is_empty();
        assert_eq!(reached, !is_secret, "{name}");
        if *is_secret {
            wait_for("the server to be told", || {
                let told = |it: &Value| it["id"] == *name && it.get("error").is_some();
                fake.messages().iter().any(told).then_some(())
            });
        }
    }
    probe.end();
    let mut probe = Probe::run(&home, &fake);
    for (name, _, is_secret) in &questions {
        let mut asked = modern(call(*name, &format!("modern-{name}"), json!({})));
        asked["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            json!({ "elicitation": {} });
        let answer = probe.ask(&asked);
        assert_eq!(is_refusal(&answer), *is_secret, "{name}: {answer}");
        assert_eq!(answer.to_string().contains("inputRequests"), !is_secret, "{answer}");
    }
    probe.end();
}

fn p13_a_task_answers_only_whoever_can_have_one() {
    let home = Home::new();
    let answer = |result: Value| say(json!({ "jsonrpc": "2.0", "id": "$id", "result": result }));
    let task = json!({ "resultType": "task", "taskId": "a", "status": "working", "ttlMs": null });
    let state = json!({ "resultType": "complete", "taskId": "a", "status": "working" });
    let script = Script::default()
        .on_tool("modern", [answer(task.clone())])
        .on_tool("legacy", [answer(json!({ "task": { "taskId": "a", "status": "working" } }))])
        .on("prompts/get", [answer(task)])
        .on("tasks/get", [answer(state)]);
    let fake = home.fake(script);
    let declared = |mut request: Value, can: Value| {
        request["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = can;
        request
    };
    let tasks = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let mut probe = Probe::run(&home, &fake);
    // What was declared for one request is not for the next: in turn.
    for turn in 0..2 {
        let id = |name: &str| format!("{name}{turn}");
        let with = |request: Value| declared(modern(request), tasks.clone());
        let run = call(id("with"), "modern", json!({}));
        assert_eq!(probe.ask(&with(run))["result"]["taskId"], "a");
        let run = call(id("without"), "modern", json!({}));
        assert!(is_refusal(&probe.ask(&modern(run))), "it was not declared");
        let state = |name| request(id(name), "tasks/get", json!({ "taskId": "a" }));
        assert_eq!(probe.ask(&with(state("state")))["result"]["taskId"], "a");
        assert!(is_refusal(&probe.ask(&modern(state("nobody's")))), "it was not declared");
        let prompt = request(id("prompt"), "prompts/get", json!({ "name": "p" }));
        assert!(is_refusal(&probe.ask(&with(prompt))), "only a call may become a task");
    }
    probe.end();
    let violations = home.records_of("violation").len();
    assert_eq!(violations, 6);

    // Before, whoever asks decides.
    let mut probe = Probe::run(&home, &fake).begin();
    assert!(is_refusal(&probe.ask(&call(1, "legacy", json!({})))), "nobody asked for it");
    let mut asks = call(2, "legacy", json!({}));
    asks["params"]["task"] = json!({ "ttl": 1000 });
    assert_eq!(probe.ask(&asks)["result"]["task"]["taskId"], "a");
    probe.end();
    assert_eq!(home.records_of("violation").len(), violations + 1);
}

fn p13_what_a_modern_server_may_not_say_is_dropped() {
    let home = Home::new();
    let ask = request("q", "elicitation/create", json!({ "message": "Your password?" }));
    let answer = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": {
        "resultType": "complete", "content": [{ "type": "text", "text": "done" }] } }));
    let odd = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": { "resultType": "surprise" } }));
    let script = Script::default()
        .on_tool("asks", [say(ask), answer.clone()])
        .on_tool("odd", [odd])
        .on_tool("twice", [answer.clone(), answer]);
    let fake = home.fake(script);
    let mut probe = Probe::run(&home, &fake);
    let asks = probe.ask(&modern(call(1, "asks", json!({}))));
    assert_eq!(text(&asks), "done");
    assert!(probe.others.is_empty(), "the question does not reach the client: {:?}", probe.others);
    assert!(is_refusal(&probe.ask(&modern(call(2, "odd", json!({}))))));
    assert_eq!(text(&probe.ask(&modern(call(3, "twice", json!({}))))), "done");
    assert_eq!(text(&probe.ask(&modern(call(4, "echo", json!({ "text": "next" }))))), "next");
    assert!(probe.others.is_empty(), "one request, one answer: {:?}", probe.others);
    probe.end();
    assert_eq!(home.records_of("violation").len(), 3);
}

fn p17_cancelling_reaches_the_server() {
    let home = Home::new();
    let late = say(json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": [] } }));
    let script =
        Script::default().on_tool("slow", [Step::Hang]).on("notifications/cancelled", [late]);
    let fake = home.fake(script);
    let mut probe = Probe::run(&home, &fake).begin();
    probe.send(&call(1, "slow", json!({})));
    let params = json!({ "requestId": 1 });
    let cancelled =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
    probe.send(&cancelled);
    // The server answers all the same, late: it is not passed on.
    assert!(!is_refusal(&probe.ask(&call(2, "echo", json!({})))));
    assert!(probe.others.is_empty(), "{:?}", probe.others);
    assert_eq!(fake.count("notifications/cancelled"), 1);
    probe.end();
    let outcomes = home.records_of("outcome");
    assert!(outcomes.iter().any(|it| it["tool"] == "slow" && it["status"] == "cancelled"));
}

fn p17_a_modern_client_that_goes_away_has_cancelled() {
    let progress = json!({ "progressToken": "$token", "progress": 1 });
    let began =
        say(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": progress }));
    let script = Script::default().on_tool("slow", [began, Step::Hang]);
    let mut slow = call(1, "slow", json!({}));
    slow["params"]["_meta"]["progressToken"] = json!("token");
    let slow = modern(slow);
    let headers = modern_headers(&slow);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let leave = |gateway: &Gateway| {
        let mut connection = gateway.connect();
        connection.start_post(&headers, &slow);
        assert_eq!(connection.head().unwrap().status, 200);
        assert!(connection.events().next().is_some(), "the call has begun");
    };

    let home = Home::new();
    let fake = home.fake(script.clone());
    let gateway = Gateway::of(&home, &fake);
    leave(&gateway);
    let told = || (fake.count("notifications/cancelled") == 1).then_some(());
    assert!(within(CANCEL, told).is_some(), "{}", fake.heard());
    let messages = fake.messages();
    let call = messages.iter().find(|it| it["method"] == "tools/call").unwrap();
    let cancelled = messages.iter().find(|it| it["method"] == "notifications/cancelled").unwrap();
    assert_eq!(cancelled["params"]["requestId"], call["id"]);

    let home = Home::new();
    let upstream = FakeHttp::new(script);
    let gateway = Gateway::to(&home, &upstream);
    leave(&gateway);
    let dropped = || (upstream.dropped().len() == 1).then_some(());
    assert!(within(CANCEL, dropped).is_some(), "the connection to the server stays");
}

/// All modern requests share one process, in which the guard gives them ids of its own. What a
/// client posts about an id of its own is not about those.
fn p17_a_modern_client_cancels_nothing_by_its_id() {
    let progress = json!({ "progressToken": "$token", "progress": 1 });
    let began =
        say(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": progress }));
    let home = Home::new();
    let fake = home.fake(Script::default().on_tool("slow", [began, Step::Hang]));
    let gateway = Gateway::of(&home, &fake);
    let mut slow = call(77, "slow", json!({}));
    slow["params"]["_meta"]["progressToken"] = json!("token");
    let slow = modern(slow);
    let headers = modern_headers(&slow);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut waiting = gateway.connect();
    waiting.start_post(&headers, &slow);
    assert_eq!(waiting.head().unwrap().status, 200);
    assert!(waiting.events().next().is_some(), "the call has begun");

    let mut other = gateway.connect();
    for id in 0..9 {
        let params = json!({ "requestId": id });
        let cancelled =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
        assert_eq!(other.post_modern(&cancelled).status, 202);
    }
    // Were one of them passed on, it would arrive before this does.
    assert!(!is_refusal(&other.post_modern(&call(2, "echo", json!({}))).message()));
    assert_eq!(fake.count("notifications/cancelled"), 0, "{}", fake.heard());
}

/// How long it may take until the server knows.
const CANCEL: Duration = Duration::from_secs(1);

fn p17_a_legacy_client_that_goes_away_has_not() {
    let progress = json!({ "progressToken": "$token", "progress": 1 });
    let began =
        say(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": progress }));
    let answer = say(json!({ "jsonrpc": "2.0", "id": 1, "result": {
        "content": [{ "type": "text", "text": "late" }] } }));
    let script = Script::default().on_tool("slow", [began]).on("notifications/go", [answer]);
    let mut slow = call(1, "slow", json!({}));
    slow["params"]["_meta"]["progressToken"] = json!("token");

    let home = Home::new();
    let fake = home.fake(script);
    let gateway = Gateway::of(&home, &fake);
    let mut connection = gateway.connect();
    connection.begin_legacy();
    let mut leaving = connection.again();
    leaving.start_post(&[], &slow);
    assert_eq!(leaving.head().unwrap().status, 200);
    assert!(leaving.events().next().is_some(), "the call has begun");
    drop(leaving);
    // Were it a cancellation, it would arrive before this does.
    assert!(!is_refusal(&connection.post(&[], &call(2, "echo", json!({}))).message()));
    let go = json!({ "jsonrpc": "2.0", "method": "notifications/go" });
    assert_eq!(connection.post(&[], &go).status, 202);
    wait_for("the outcome", || {
        let outcomes = home.records_of("outcome");
        outcomes.iter().any(|it| it["tool"] == "slow" && it["status"] == "ok").then_some(())
    });
    assert_eq!(fake.count("notifications/cancelled"), 0);
}

fn p17_a_late_answer_is_on_no_other_stream() {
    let late = json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [] } });
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    let done = json!({ "jsonrpc": "2.0", "id": "$id", "result": { "content": [] } });
    let script = Script::default().on_tool("slow", [Step::Hang]);
    let home = Home::new();
    let fake = home.fake(script.on_tool("go", [say(late), say(done), say(changed)]));
    let gateway = Gateway::of(&home, &fake);
    let mut client = gateway.connect();
    client.begin_legacy();
    let mut listening = client.again();
    listening.send("GET", "/mcp", &[("accept", "text/event-stream")], "");
    assert_eq!(listening.head().expect("a stream").status, 200);
    let mut leaving = client.again();
    leaving.start_post(&[], &call(7, "slow", json!({})));
    wait_for("the call", || (fake.count("tools/call") == 1).then_some(()));
    drop(leaving);
    // By the time these are answered, it is noticed that the client has gone.
    for id in 100..120 {
        client.post(&[], &request(id, "ping", json!({})));
    }
    client.post(&[], &call(8, "go", json!({})));
    let first = listening.events().next().expect("an event");
    assert_eq!(first["method"], "notifications/tools/list_changed", "{first}");
    gateway.end();
    let outcomes = home.records_of("outcome");
    assert!(outcomes.iter().any(|it| it["tool"] == "slow" && it["status"] == "ok"), "{outcomes:?}");
}
