//! `stockade inspect`: what a page can have done, driven over its interface (`console/API.md`), in front of
//! the reference servers and of servers made for the purpose.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::approvals::ASKS;
use crate::call::{Listening, files, result, text};
use crate::harness::fake::{say, tool};
use crate::harness::process::{ask_to_end, is_dead, kill, with_mark};
use crate::harness::{Connection, Fake, FakeHttp, Home, PATIENCE, Script, Step, wait_for, within};

crate::rows![
    t01_every_method_of_both_eras_is_asked_over_the_interface,
    t01_what_a_server_asks_waits_for_the_person,
    t01_what_a_server_asks_is_answered_by_a_profile,
    t01_progress_cancel_timeouts_and_log_levels,
    t01_what_a_server_says_unasked_is_told,
    u01_what_the_policy_asks_is_asked_on_the_page,
    h04_a_server_that_is_added_is_not_started_before_it_is_confirmed,
    h04_a_server_that_is_started_is_held_and_ends_with_the_page,
    t03_how_a_server_has_ended_is_told,
];

/// A console, with a page that was let in.
pub(crate) struct Console {
    child: Child,
    errors: Option<JoinHandle<String>>,
    pub(crate) address: SocketAddr,
    pub(crate) code: String,
    pub(crate) token: String,
    /// What was heard of the events.
    events: Option<Events>,
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

impl Console {
    /// A console without a page yet.
    pub(crate) fn shut(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
        let mut stderr = child.stderr.take().unwrap();
        let errors = thread::spawn(move || {
            let mut text = String::new();
            let _read = stderr.read_to_string(&mut text);
            text
        });
        let Some((address, code)) =
            read.ok().and(line.trim().strip_prefix("http://")).and_then(|it| it.split_once("/#"))
        else {
            let _ended = child.kill();
            panic!("no address: {line}{}", errors.join().unwrap());
        };
        let (address, code) = (address.parse().unwrap(), code.to_owned());
        let (errors, token) = (Some(errors), String::new());
        Self { child, errors, address, code, token, events: None }
    }

    pub(crate) fn command(home: &Home, args: &[OsString]) -> Command {
        let mut command = home.stockade(["inspect", "--no-open"]);
        command.args(home.state()).args(args);
        command
    }

    /// A console that was started with these arguments, and a page.
    pub(crate) fn open(home: &Home, args: &[OsString]) -> Self {
        let mut console = Self::shut(&mut Self::command(home, args));
        console.enter();
        console
    }

    /// Has a page be let in, which stays.
    pub(crate) fn enter(&mut self) {
        let body = json!({ "code": self.code }).to_string();
        let entered = Connection::to(self.address).ask("POST", "/api/enter", &[JSON], &body);
        assert_eq!(entered.status, 200, "{entered:?}");
        let entered: Value = serde_json::from_str(&entered.body).unwrap();
        self.token = entered["token"].as_str().unwrap().to_owned();
        self.events = Some(self.events_after(None));
    }

    /// In front of a scripted server.
    pub(crate) fn of(home: &Home, fake: &Fake, more: &[&str]) -> Self {
        let more: Vec<OsString> = more.iter().map(OsString::from).collect();
        let args =
            [&["--sandbox".into(), "none".into()], &more[..], &["--".into()], &fake.command()[..]];
        let mut console = Self::open(home, &args.concat());
        console.ready("s1");
        console
    }

    /// In front of a reference server, in its sandbox.
    fn example(home: &Home, which: &str, era: &str) -> Self {
        let root = files(home);
        let itself = env!("CARGO_BIN_EXE_stockade");
        let args = ["--era", era, "--root"].map(OsString::from);
        let server = ["--", itself, "example", which, "--root"].map(OsString::from);
        let (root, also) = (root.clone(), root);
        let args = [&args[..], &[root], &server[..], &[also]].concat();
        let mut console = Self::open(home, &args);
        console.ready("s1");
        console
    }

    /// The processes of a server; what it was started with is on the console's own command line too.
    fn servers(&self, fake: &Fake) -> Vec<i32> {
        let own = i32::try_from(self.pid()).unwrap();
        with_mark(fake.mark()).into_iter().filter(|it| *it != own).collect()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn connect(&self) -> Connection {
        let mut connection = Connection::to(self.address);
        connection.keep("authorization", &format!("Bearer {}", self.token));
        connection
    }

    pub(crate) fn events_after(&self, last: Option<u64>) -> Events {
        let mut connection = self.connect();
        let last = last.map(|it| it.to_string()).unwrap_or_default();
        connection.send("GET", "/api/events", &[("last-event-id", &last)], "");
        let head = connection.head().unwrap();
        assert_eq!(head.header("content-type"), Some("text/event-stream"), "{head:?}");
        Events { connection, rest: String::new() }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let answer = self.connect().ask(method, path, &[JSON], &body);
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, it) = self.ask("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {it}");
        it
    }

    #[track_caller]
    pub(crate) fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, it) = self.ask(method, path, body);
        assert_eq!(status, 200, "{path} {body}: {it}");
        it
    }

    /// Waits until a server speaks.
    #[track_caller]
    pub(crate) fn ready(&mut self, server: &str) -> Value {
        wait_for("a server that speaks", || {
            let it = self.get(&format!("/api/servers/{server}"));
            let state = it["state"].as_str().unwrap();
            assert!(matches!(state, "starting" | "ready"), "{it}");
            (state == "ready").then_some(it)
        })
    }

    /// The next event of this name of which that holds.
    #[track_caller]
    pub(crate) fn until(&mut self, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        self.events.as_mut().unwrap().until(name, is_it)
    }

    #[track_caller]
    pub(crate) fn request(&self, asked: &Value) -> String {
        let it = self.done("POST", "/api/servers/s1/requests", asked);
        it["request"].as_str().unwrap().to_owned()
    }

    /// Asks, and waits for the answer.
    #[track_caller]
    pub(crate) fn answer(&mut self, method: &str, params: Value) -> Value {
        let name = self.request(&json!({ "method": method, "params": params }));
        self.until("answer", |it| it["request"] == *name)
    }

    #[track_caller]
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> String {
        let params = json!({ "name": tool, "arguments": arguments });
        self.request(&json!({ "method": "tools/call", "params": params }))
    }

    /// Answers the next question of a kind.
    #[track_caller]
    fn reply(&mut self, kind: &str, said: &Value) -> Value {
        let question = self.until("question", |it| it["kind"] == kind);
        let path = format!("/api/questions/{}", question["id"].as_str().unwrap());
        self.done("POST", &path, said);
        question
    }

    /// Closes the page.
    pub(crate) fn leave(&mut self) {
        self.events = None;
    }

    /// Waits until it has ended by itself, and gives what it has said.
    #[track_caller]
    pub(crate) fn ended(mut self) -> String {
        let status = wait_for("the end of the console", || self.child.try_wait().unwrap());
        let said = self.errors.take().unwrap().join().unwrap();
        assert_eq!(status.code(), Some(0), "{said}");
        said
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _collected = self.child.wait();
    }
}

/// Events, as they come.
pub(crate) struct Events {
    connection: Connection,
    rest: String,
}

impl Events {
    /// The next: its number, its name, and what it says.
    pub(crate) fn next(&mut self) -> Option<(u64, String, Value)> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|it| it.strip_prefix(name));
                    line.unwrap_or_default().to_owned()
                };
                let (id, name, data) = (field("id: "), field("event: "), field("data: "));
                self.rest = rest.to_owned();
                if !name.is_empty() {
                    return Some((id.parse().unwrap(), name, serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            self.rest += &self.connection.chunk()?;
        }
    }

    #[track_caller]
    pub(crate) fn until(&mut self, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let (_, event, data) = self.next().expect("the stream goes on");
            if event == name && is_it(&data) {
                return data;
            }
            assert!(Instant::now() < end, "{name} did not come; the last was {event} {data}");
        }
    }
}

fn t01_every_method_of_both_eras_is_asked_over_the_interface() {
    let methods = |era: &str| {
        let both = [
            ("tools/list", json!({}), "/tools", "find_orders"),
            (
                "tools/call",
                json!({ "name": "read_file", "arguments": { "path": "a.txt" } }),
                "/content/0/text",
                "the text of a",
            ),
            ("prompts/list", json!({}), "/prompts", "review_file"),
            (
                "prompts/get",
                json!({ "name": "review_file", "arguments": { "path": "a.txt", "focus": "security" } }),
                "/messages",
                "for security",
            ),
            ("resources/list", json!({}), "/resources", "about:///shop"),
            ("resources/templates/list", json!({}), "/resourceTemplates", "files:///{+path}"),
            ("resources/read", json!({ "uri": "about:///shop" }), "/contents/0/text", "orders"),
            (
                "completion/complete",
                json!({ "ref": { "type": "ref/prompt", "name": "review_file" },
                    "argument": { "name": "focus", "value": "se" } }),
                "/completion/values",
                "security",
            ),
        ];
        let own = match era {
            "legacy" => vec![
                ("ping", json!({}), "", "{}"),
                ("logging/setLevel", json!({ "level": "debug" }), "", "{}"),
            ],
            _ => vec![("server/discover", json!({}), "/supportedVersions/0", "20")],
        };
        both.into_iter().chain(own).collect::<Vec<_>>()
    };
    let home = Home::new();
    let remote = Listening::new(&home, "hardened");
    for era in ["legacy", "modern"] {
        let far = [remote.1.as_str().into(), "--era".into(), era.into()];
        for mut console in [Console::example(&home, "hardened", era), Console::open(&home, &far)] {
            let server = console.ready("s1");
            assert_eq!(server["era"], era, "{server}");
            assert!(server["begun"]["capabilities"]["tools"].is_object(), "{server}");
            for (method, params, place, expected) in methods(era) {
                let answer = console.answer(method, params);
                let part = answer["result"].pointer(place).map(Value::to_string);
                assert!(part.unwrap_or_default().contains(expected), "{method}: {answer}");
            }
            let answer = console.answer("no/such", json!({}));
            assert_eq!(answer["error"]["code"], -32601, "{answer}");
        }
    }
    // Whichever it speaks, where that is asked first; and one of the policy by its name.
    let itself = env!("CARGO_BIN_EXE_stockade");
    let root = files(&home);
    home.policy(&format!(
        "[servers.shop]\ncommand = [{itself:?}, 'example', 'hardened', '--root', {root:?}]\nroots = [{root:?}]\n"
    ));
    let mut console = Console::open(&home, &["shop".into(), "--era".into(), "auto".into()]);
    assert_eq!(console.ready("s1")["era"], "modern");
    assert_eq!(console.get("/api/about")["policy"]["servers"], json!(["shop"]));
    assert!(home.is_whole());
}

fn t01_what_a_server_asks_waits_for_the_person() {
    let home = Home::new();
    for era in ["legacy", "modern"] {
        let mut console = Console::example(&home, "hardened", era);
        for (said, expected) in [
            (json!({ "action": "accept", "content": { "answer": "blue" } }), "blue"),
            (json!({ "action": "decline" }), "The user did not answer (decline)"),
            (json!({ "action": "cancel" }), "The user did not answer (cancel)"),
        ] {
            let name = console.call("ask_user", json!({ "question": "Which colour?" }));
            let question = console.reply("elicitation", &said);
            assert_eq!(question["params"]["message"], "Which colour?", "{question}");
            let settled = console.until("settled", |it| it["id"] == question["id"]);
            assert_eq!(settled["by"], "page");
            let answer = console.until("answer", |it| it["request"] == *name);
            let told = text(&answer["result"]);
            let decided = expected.split_once(" (").map_or(expected, |(it, _)| it);
            assert!(told.contains(decided), "{era} {said}: {answer}");
            // It was answered, and is not again.
            let path = format!("/api/questions/{}", question["id"].as_str().unwrap());
            assert_eq!(console.ask("POST", &path, &said).0, 409);
        }
        // What does not fit the form, or is no answer to that, is none, and the question waits on.
        let name = console.call("ask_user", json!({ "question": "Which colour?" }));
        let question = console.until("question", |_| true);
        let path = format!("/api/questions/{}", question["id"].as_str().unwrap());
        for wrong in [
            json!({ "action": "accept", "content": { "answer": 1 } }),
            json!({ "action": "accept" }),
            json!({ "action": "approve" }),
            json!({ "action": "decline", "content": {} }),
            json!({}),
        ] {
            assert_eq!(console.ask("POST", &path, &wrong).0, 400, "{wrong}");
        }
        assert_eq!(console.get("/api/questions")["questions"][0]["id"], question["id"]);
        console.done("POST", &path, &json!({ "action": "cancel" }));
        console.until("answer", |it| it["request"] == *name);
        // A model that somebody plays.
        let name = console.call("summarise", json!({ "text": "A long text." }));
        let model = json!({ "result": { "role": "assistant", "model": "me", "stopReason": "endTurn",
            "content": { "type": "text", "text": "It is short." } } });
        let question = console.reply("sampling", &model);
        assert!(question["params"]["messages"].to_string().contains("A long text."), "{question}");
        let answer = console.until("answer", |it| it["request"] == *name);
        assert!(text(&answer["result"]).contains("It is short."), "{answer}");
    }
    // An address is agreed to and opened by nobody; roots are a question where there are none; what
    // cannot be answered is refused; and what the server takes back waits no more.
    let ask = |id: &str, method: &str, params: Value| {
        say(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
    };
    let url = json!({ "mode": "url", "message": "Sign in", "elicitationId": "1",
        "url": "https://example.com/in" });
    let back = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "b" } });
    let form = json!({ "message": "Which town?", "requestedSchema": { "type": "object", "properties": {} } });
    let script = Script::default().on_tool(
        "all",
        [
            ask("u", "elicitation/create", url),
            ask("r", "roots/list", json!({})),
            ask("s", "sampling/createMessage", json!({ "messages": [], "maxTokens": 1 })),
            ask("b", "elicitation/create", form),
            Step::Sleep(400),
            say(back),
            result(json!({ "content": [] })),
        ],
    );
    let fake = home.fake(script);
    let mut console = Console::of(&home, &fake, &[]);
    console.call("all", json!({}));
    console.reply("elicitation", &json!({ "action": "accept" }));
    console.reply("roots", &json!({ "result": { "roots": [{ "uri": "file:///srv" }] } }));
    let no = json!({ "error": { "code": -1, "message": "no model here" } });
    console.reply("sampling", &no);
    let gone = console.until("question", |_| true);
    let settled = console.until("settled", |it| it["id"] == gone["id"]);
    assert_eq!(settled["by"], "gone");
    let heard = wait_for("the answers", || {
        let heard = fake.messages();
        let of = |id: &str| heard.iter().find(|it| it["id"] == id && it.get("method").is_none());
        Some([of("u")?.clone(), of("r")?.clone(), of("s")?.clone()])
    });
    assert_eq!(heard[0]["result"], json!({ "action": "accept" }));
    assert_eq!(heard[1]["result"], json!({ "roots": [{ "uri": "file:///srv" }] }));
    assert_eq!(heard[2]["error"], no["error"]);
}

fn t01_what_a_server_asks_is_answered_by_a_profile() {
    let home = Home::new();
    let ask = |id: &str, method: &str, params: Value| {
        say(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
    };
    let form = json!({ "message": "Which colour?", "requestedSchema": { "type": "object",
        "properties": { "answer": { "type": "string" } } } });
    let steps = [
        ask("f", "elicitation/create", form),
        ask("r", "roots/list", json!({})),
        Step::Sleep(300),
        result(json!({ "content": [] })),
    ];
    let fake = home.fake(Script { concurrent: true, ..Script::default().on_tool("both", steps) });
    let answers = home.path().join("answers.toml");
    std::fs::write(
        &answers,
        "[[elicitation]]\nwhen = { contains = \"colour\" }\ncontent = { answer = \"blue\" }\n",
    )
    .unwrap();
    let mut console = Console::of(&home, &fake, &["--answers", answers.to_str().unwrap()]);
    let roots = json!({ "roots": [{ "uri": "file:///one", "name": "one" }] });
    console.done("PUT", "/api/servers/s1/roots", &roots);
    console.call("both", json!({}));
    let replied = console.until("replied", |it| it["method"] == "elicitation/create");
    assert_eq!(replied["entry"], "`elicitation` 1", "{replied}");
    console.until("answer", |_| true);
    let answered = |id: &str| {
        wait_for("an answer", || {
            let heard = fake.messages();
            let of = heard.iter().rfind(|it| it["id"] == id && it.get("method").is_none());
            Some(of?["result"].clone())
        })
    };
    assert_eq!(answered("f"), json!({ "action": "accept", "content": { "answer": "blue" } }));
    assert_eq!(answered("r"), roots);
    // Others from now on, and the server is told that the roots have changed.
    console.done("PUT", "/api/servers/s1/answers", &json!({ "answers": {} }));
    let roots = json!({ "roots": [{ "uri": "file:///other", "name": "other" }] });
    console.done("PUT", "/api/servers/s1/roots", &roots);
    wait_for("that roots have changed", || {
        (fake.count("notifications/roots/list_changed") == 2).then_some(())
    });
    console.call("both", json!({}));
    console.reply("elicitation", &json!({ "action": "decline" }));
    console.until("answer", |_| true);
    wait_for("the other roots", || (answered("r") == roots).then_some(()));
    let (status, wrong) =
        console.ask("PUT", "/api/servers/s1/answers", &json!({ "answers": { "a": 1 } }));
    assert!(status == 400 && wrong["error"].to_string().contains("unknown field"), "{wrong}");
}

fn t01_progress_cancel_timeouts_and_log_levels() {
    let home = Home::new();
    for era in ["legacy", "modern"] {
        let mut console = Console::example(&home, "hardened", era);
        let name = console.call("count_slowly", json!({ "to": 3 }));
        for step in [1.0, 2.0, 3.0] {
            let told = console.until("notification", |it| it["request"] == *name);
            assert_eq!(told["method"], "notifications/progress");
            assert_eq!(told["params"]["progress"].as_f64(), Some(step), "{told}");
        }
        let answer = console.until("answer", |it| it["request"] == *name);
        assert!(answer["ms"].as_f64().unwrap() > 100.0, "{answer}");
        let began = Instant::now();
        let name = console.call("count_slowly", json!({ "to": 50 }));
        console.until("notification", |it| it["request"] == *name);
        let path = format!("/api/servers/s1/requests/{name}/cancel");
        console.done("POST", &path, &json!({ "reason": "enough" }));
        let answer = console.until("answer", |it| it["request"] == *name);
        assert_eq!(answer["cancelled"], true, "{answer}");
        let asked = json!({ "method": "tools/call", "timeout": 0.3,
            "params": { "name": "count_slowly", "arguments": { "to": 50 } } });
        let name = console.request(&asked);
        let answer = console.until("answer", |it| it["request"] == *name);
        assert_eq!(answer["timeout"], true, "{answer}");
        assert!(began.elapsed() < Duration::from_secs(4), "nobody waited for fifty");
        // Log messages, as each era has them asked for.
        let level = match era {
            "legacy" => {
                console.answer("logging/setLevel", json!({ "level": "info" }));
                json!({})
            }
            _ => json!({ "io.modelcontextprotocol/logLevel": "info" }),
        };
        console.request(&json!({ "method": "tools/call", "meta": level,
            "params": { "name": "run_command", "arguments": { "program": "date" } } }));
        console.until("notification", |it| it["method"] == "notifications/message");
    }
    // The server hears of it.
    let script = Script { concurrent: true, ..Script::default().on_tool("wait", [Step::Hang]) };
    let fake = home.fake(script);
    let mut console = Console::of(&home, &fake, &[]);
    let name = console.call("wait", json!({}));
    wait_for("the call", || (fake.count("tools/call") == 1).then_some(()));
    console.done("POST", &format!("/api/servers/s1/requests/{name}/cancel"), &json!({}));
    console.until("answer", |it| it["request"] == *name && it["cancelled"] == true);
    wait_for("the end of it", || (fake.count("notifications/cancelled") == 1).then_some(()));
    // Two that are under way at a time are told apart.
    let (first, second) =
        (console.call("wait", json!({})), console.call("echo", json!({ "text": "b" })));
    let answer = console.until("answer", |_| true);
    assert_eq!(answer["request"], *second, "{answer}");
    assert_eq!(console.get("/api/servers/s1")["running"], 1);
    console.done("POST", "/api/servers/s1/stop", &json!({}));
    let lost = console.until("answer", |it| it["request"] == *first);
    assert!(lost["lost"].is_string(), "{lost}");
}

fn t01_what_a_server_says_unasked_is_told() {
    let home = Home::new();
    let tell = |uri: &str| {
        let method = "notifications/resources/updated";
        say(json!({ "jsonrpc": "2.0", "method": method, "params": { "uri": uri } }))
    };
    let changed = say(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    let script = Script::default()
        .on("resources/subscribe", [result(json!({})), tell("a:1"), tell("a:2"), changed]);
    let fake = home.fake(script);
    let mut console = Console::of(&home, &fake, &[]);
    console.answer("resources/subscribe", json!({ "uri": "a:1" }));
    for uri in ["a:1", "a:2"] {
        let told = console.until("notification", |_| true);
        assert_eq!(told["params"]["uri"], uri, "{told}");
    }
    console.until("notification", |it| it["method"] == "notifications/tools/list_changed");
    // A subscription of 2026-07-28 is a request that is under way until it is taken back.
    let acknowledged = "notifications/subscriptions/acknowledged";
    let meta = json!({ "io.modelcontextprotocol/subscriptionId": "$id" });
    let of = |method: &str| {
        say(
            json!({ "jsonrpc": "2.0", "method": method, "params": { "_meta": meta, "notifications": {} } }),
        )
    };
    let script = Script {
        concurrent: true,
        ..Script::default().on(
            "subscriptions/listen",
            [of(acknowledged), of("notifications/tools/list_changed"), Step::Hang],
        )
    };
    for far in [false, true] {
        let (near, remote);
        let mut console = if far {
            remote = FakeHttp::new(script.clone());
            let args = [remote.url(), "--era".to_owned(), "modern".to_owned()].map(OsString::from);
            let mut console = Console::open(&home, &args);
            console.ready("s1");
            console
        } else {
            near = home.fake(script.clone());
            Console::of(&home, &near, &["--era", "modern"])
        };
        let asked = json!({ "method": "subscriptions/listen",
            "params": { "notifications": { "toolsListChanged": true } } });
        let name = console.request(&asked);
        let told =
            console.until("notification", |it| it["method"] == "notifications/tools/list_changed");
        assert_eq!(told["request"], *name, "{told}");
        console.done("POST", &format!("/api/servers/s1/requests/{name}/cancel"), &json!({}));
        let answer = console.until("answer", |_| true);
        assert_eq!((&answer["request"], &answer["cancelled"]), (&json!(name), &json!(true)));
    }
}

fn u01_what_the_policy_asks_is_asked_on_the_page() {
    let home = Home::new();
    home.policy(ASKS);
    let fake = home.fake(Script::default().with(tool("pay")));
    let mut console = Console::of(&home, &fake, &[]);
    console.answer("tools/list", json!({}));
    let name = console.call("pay", json!({ "sum": 5, "to": "a\u{202e}b" }));
    let question = console.until("question", |it| it["kind"] == "approval");
    assert_eq!(question["params"]["arguments"]["sum"], 5, "{question}");
    assert!(question["params"]["reasons"].to_string().contains("tools[0]"), "{question}");
    assert_eq!(fake.count("tools/call"), 0, "nothing was sent");
    let path = format!("/api/questions/{}", question["id"].as_str().unwrap());
    for wrong in [json!({ "action": "accept" }), json!({ "result": {} })] {
        assert_eq!(console.ask("POST", &path, &wrong).0, 400, "{wrong}");
    }
    console.done("POST", &path, &json!({ "action": "approve" }));
    let answer = console.until("answer", |it| it["request"] == *name);
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(fake.count("tools/call"), 1);
    let name = console.call("pay", json!({ "sum": 6 }));
    console.reply("approval", &json!({ "action": "deny" }));
    let answer = console.until("answer", |it| it["request"] == *name);
    assert!(answer["result"]["isError"] == true || answer["error"].is_object(), "{answer}");
    assert_eq!(fake.count("tools/call"), 1, "nothing was sent");
    let decided = home.records_of("decision");
    let by_page = decided.iter().filter(|it| it["channel"] == "console").count();
    assert_eq!(by_page, 2, "{decided:?}");
    // The page finds them as well.
    let found = console.get("/api/ledger?kind=decision&tool=pay&decision=deny");
    let found = found["records"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["record"]["channel"], "console", "{found:?}");
    let verdict = console.get("/api/ledger/verify");
    assert!(verdict["whole"] == true && verdict["says"].as_str().unwrap().starts_with("whole: "));
}

fn h04_a_server_that_is_added_is_not_started_before_it_is_confirmed() {
    let home = Home::new();
    let mut console = Console::open(&home, &[]);
    let fake = home.fake(Script::default());
    let command: Vec<String> =
        fake.command().iter().map(|it| it.to_string_lossy().into_owned()).collect();
    let spec = json!({ "command": command, "label": "mine", "sandbox": { "how": "none" },
        "env": { "API_KEY": "a-secret-value" } });
    let added = console.done("POST", "/api/servers", &spec);
    assert_eq!((&added["state"], &added["label"]), (&json!("planned"), &json!("mine")), "{added}");
    assert!(!added.to_string().contains("a-secret-value"), "{added}");
    assert_eq!(added["spec"]["env"]["API_KEY"], "…");
    // In an address it is nothing.
    let path = format!("/?command={}&url=http://x", command[0].replace('/', "%2F"));
    assert_eq!(console.connect().ask("GET", &path, &[], "").status, 200);
    for confirm in [json!({ "confirm": "" }), json!({ "confirm": "0".repeat(64) })] {
        assert_eq!(console.ask("POST", "/api/servers/s1/start", &confirm).0, 409);
    }
    assert_eq!(console.ask("POST", "/api/servers/s1/start", &json!({})).0, 400);
    let (status, _) = console.ask("POST", "/api/servers/s1/requests", &json!({ "method": "ping" }));
    assert_eq!(status, 409);
    assert_eq!(console.get("/api/servers")["servers"].as_array().unwrap().len(), 1);
    assert_eq!(with_mark(fake.mark()), [] as [i32; 0]);
    let confirm = json!({ "confirm": added["confirm"] });
    console.done("POST", "/api/servers/s1/start", &confirm);
    console.ready("s1");
    assert_eq!(console.ask("POST", "/api/servers/s1/start", &confirm).0, 409, "it is there");
    let pid = with_mark(fake.mark())[0];
    let env = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    assert!(env.contains("API_KEY=a-secret-value"), "{env}");
    // It ends, and can be started again; what it was asked is forgotten with it.
    console.done("POST", "/api/servers/s1/stop", &json!({}));
    console.until("server", |it| it["state"] == "ended");
    wait_for("the end of the server", || Some(()).filter(|()| is_dead(pid)));
    console.done("POST", "/api/servers/s1/start", &confirm);
    console.ready("s1");
    console.done("DELETE", "/api/servers/s1", &json!({}));
    console.until("removed", |it| it["server"] == "s1");
    wait_for("the end of the server", || Some(()).filter(|()| with_mark(fake.mark()).is_empty()));
    assert_eq!(console.ask("GET", "/api/servers/s1", &json!(null)).0, 404);
    // What cannot be is said, by the rules of the command line.
    for (spec, says) in [
        (json!({}), "one of a command, an address and a name"),
        (json!({ "command": ["a"], "url": "http://x/" }), "one of a command"),
        (json!({ "url": "file:///etc/passwd" }), "begins with http"),
        (json!({ "command": ["a"], "sandbox": { "how": "weak" } }), "invalid value"),
        (json!({ "command": ["a"], "sandbox": { "roots": ["/not/there"] } }), "/not/there"),
        (json!({ "command": ["a"], "headers": { "a": "b" } }), "headers, and a command"),
        (json!({ "url": "http://127.0.0.1:1/", "headers": { "Host": "b" } }), "header"),
        (json!({ "command": ["a"], "env": { "A=B": "c" } }), "variable"),
        (json!({ "name": "none" }), "`none`"),
        (json!({ "command": ["a"], "exec": true }), "unknown field"),
        (json!({ "command": ["a"], "era": "old" }), "an era is"),
        (json!({ "command": ["--help"], "passEnv": ["NOT_THERE"] }), "NOT_THERE"),
    ] {
        let (status, it) = console.ask("POST", "/api/servers", &spec);
        assert!(status == 400 && it["error"].as_str().unwrap().contains(says), "{spec}: {it}");
    }
}

fn h04_a_server_that_is_started_is_held_and_ends_with_the_page() {
    let home = Home::new();
    let mut console = Console::example(&home, "hardened", "legacy");
    let server = console.get("/api/servers/s1");
    assert!(server["held"].as_str().unwrap().contains("the sandbox enforces files"), "{server}");
    assert!(server["plan"].as_str().unwrap().contains("network"), "{server}");
    console.leave();
    let said = console.ended();
    assert!(said.contains("no page is open any more"), "{said}");
    // However it ends, and whatever is under way.
    let script = Script { concurrent: true, ..Script::default().on_tool("wait", [Step::Hang]) };
    let fake = home.fake(script);
    for end in ["page", "signal", "kill"] {
        let mut console = Console::of(&home, &fake, &[]);
        console.call("wait", json!({}));
        assert!(!console.servers(&fake).is_empty());
        match end {
            "page" => console.leave(),
            "signal" => ask_to_end(console.pid()),
            _ => kill(i32::try_from(console.pid()).unwrap()),
        }
        wait_for("the end of the server", || {
            Some(()).filter(|()| with_mark(fake.mark()).is_empty())
        });
        if end != "kill" {
            console.ended();
        }
    }
    // A page that is reloaded has not gone, and one that is told to stay does.
    let mut console = Console::of(&home, &fake, &[]);
    console.leave();
    thread::sleep(Duration::from_secs(3));
    let mut events = console.events_after(None);
    assert_eq!(events.next().unwrap().1, "hello");
    let pid = console.pid();
    let is_over = || Some(()).filter(|()| is_dead(i32::try_from(pid).unwrap()));
    assert_eq!(within(Duration::from_secs(9), is_over), None);
    drop(events);
    console.ended();
    let mut console = Console::of(&home, &fake, &["--keep"]);
    console.leave();
    let pid = console.pid();
    let is_over = || Some(()).filter(|()| is_dead(i32::try_from(pid).unwrap()));
    assert_eq!(within(Duration::from_secs(12), is_over), None);
    assert!(!console.servers(&fake).is_empty());
}

fn t03_how_a_server_has_ended_is_told() {
    let home = Home::new();
    let script = Script::default().on_tool(
        "crash",
        [Step::Complain("it is \u{1b}[31mbroken <b>".to_owned()), Step::Sleep(100), Step::Exit(3)],
    );
    let fake = home.fake(script);
    let mut console = Console::of(&home, &fake, &[]);
    console.call("crash", json!({}));
    let line = console.until("stderr", |_| true);
    let said = line["text"].as_str().unwrap();
    assert!(said.contains("broken <b>") && !said.contains('\u{1b}'), "{line}");
    let answer = console.until("answer", |_| true);
    assert!(answer["lost"].is_string() || answer["error"].is_object(), "{answer}");
    let server = console.until("server", |it| it["state"] == "ended");
    let why = server["why"].as_str().unwrap();
    assert!(why.contains('3') && why.contains("broken"), "{why}");
    assert_eq!(console.get("/api/servers/s1/logs")["stderr"][0]["text"], line["text"]);
    // One that is not there, and one that says nothing that is a message.
    let add = |console: &Console, command: &[&str]| {
        let spec = json!({ "command": command, "sandbox": { "how": "none" } });
        let added = console.done("POST", "/api/servers", &spec);
        let path = format!("/api/servers/{}/start", added["id"].as_str().unwrap());
        console.done("POST", &path, &json!({ "confirm": added["confirm"] }));
        added["id"].clone()
    };
    for command in [&["/not/there"][..], &["sh", "-c", "echo no; exit 7"]] {
        let id = add(&console, command);
        let failed = console.until("server", |it| it["id"] == id && it["state"] == "failed");
        assert!(!failed["why"].as_str().unwrap().is_empty(), "{failed}");
    }
}
