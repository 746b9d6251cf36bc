//! `stockade call`: what a client can do, done from a script, in front of the reference servers and of
//! servers made for the purpose; judged and held as behind `run`.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::fake::{say, tool};
use crate::harness::{FakeHttp, Home, LEGACY, MODERN, Script, Step};

crate::rows![
    t01_every_method_of_both_eras_is_asked_from_a_script,
    t01_arguments_are_what_the_schema_wants,
    t01_what_a_server_asks_is_answered_by_a_file,
    t01_what_is_in_no_file_is_refused_and_said,
    t01_progress_and_logs_are_told,
    t01_what_a_server_says_unasked_is_printed_until_a_bound,
    t01_a_task_is_followed_to_its_end,
    t02_nothing_is_probed_unless_that_is_asked_for,
];

/// What is asked, and of whom.
pub(crate) struct Asked<'h> {
    home: &'h Home,
    pub(crate) command: Command,
    pub(crate) server: Vec<OsString>,
}

impl<'h> Asked<'h> {
    pub(crate) fn new(home: &'h Home, words: &[&str]) -> Self {
        let mut command = home.stockade(["call"]);
        command.args(home.state()).args(words).stdin(Stdio::null());
        Self { home, command, server: Vec::new() }
    }

    /// Of one of the reference servers, in its sandbox.
    pub(crate) fn of(home: &'h Home, which: &str, words: &[&str]) -> Self {
        let mut asked = Self::new(home, words);
        let root = files(home);
        asked.command.arg("--root").arg(&root);
        let itself = env!("CARGO_BIN_EXE_stockade");
        asked.server = ["--", itself, "example", which, "--root"].map(OsString::from).into();
        asked.server.push(root);
        asked
    }

    /// Of a scripted server.
    pub(crate) fn fake(home: &'h Home, fake: &crate::harness::Fake, words: &[&str]) -> Self {
        let mut asked = Self::new(home, words);
        asked.command.args(["--sandbox", "none"]);
        asked.server = [OsString::from("--")].into_iter().chain(fake.command()).collect();
        asked
    }

    /// With a file of answers.
    pub(crate) fn answered(mut self, text: &str) -> Self {
        let file = self.home.path().join("answers.toml");
        fs::write(&file, text).unwrap();
        self.command.arg("--answers").arg(file);
        self
    }

    pub(crate) fn output(mut self) -> Output {
        self.command.args(&self.server).output().unwrap()
    }

    /// What is printed for a program, and the exit code.
    #[track_caller]
    pub(crate) fn json(mut self) -> (Value, i32) {
        self.command.args(["--format", "json"]);
        let out = self.output();
        let text = String::from_utf8_lossy(&out.stdout);
        let read = serde_json::from_str(&text);
        (read.unwrap_or_else(|_| panic!("{out:?}")), out.status.code().unwrap())
    }

    /// The result.
    #[track_caller]
    pub(crate) fn result(self) -> Value {
        let (said, code) = self.json();
        assert_eq!(code, 0, "{said}");
        said["result"].clone()
    }
}

pub(crate) fn files(home: &Home) -> OsString {
    let root = home.path().join("files");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("a.txt"), "the text of a").unwrap();
    root.into()
}

pub(crate) fn both(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

pub(crate) fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {result}"))
}

pub(crate) fn result(result: Value) -> Step {
    say(json!({ "jsonrpc": "2.0", "id": "$id", "result": result }))
}

/// A reference server over HTTP, that ends with this.
pub(crate) struct Listening(Child, pub(crate) String);

impl Listening {
    pub(crate) fn new(home: &Home, which: &str) -> Self {
        let mut command = home.stockade(["example", which, "--listen", "127.0.0.1:0", "--root"]);
        let mut child =
            command.arg(files(home)).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self(child, url)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// Each method with what is typed for it, the eras that have it, and something of its result.
const METHODS: &[(&[&str], &[&str], &str, &str)] = &[
    (&["initialize"], &["legacy"], "/serverInfo/name", "hardened"),
    (&["ping"], &["legacy"], "", "{}"),
    (&["server/discover"], &["modern"], "/supportedVersions/0", "20"),
    (&["tools/list"], &["legacy", "modern"], "/tools", "find_orders"),
    (
        &["tools/call", "--name", "read_file", "--arg", "path=a.txt"],
        &["legacy", "modern"],
        "/content/0/text",
        "the text of a",
    ),
    (
        &["tools/call", r#"{"name": "read_file", "arguments": {"path": "a.txt"}}"#],
        &["legacy", "modern"],
        "/content/0/text",
        "the text of a",
    ),
    (&["prompts/list"], &["legacy", "modern"], "/prompts", "review_file"),
    (
        &["prompts/get", "--name", "review_file", "--arg", "path=a.txt", "--arg", "focus=security"],
        &["legacy", "modern"],
        "/messages",
        "for security",
    ),
    (&["resources/list"], &["legacy", "modern"], "/resources", "about:///shop"),
    (
        &["resources/templates/list"],
        &["legacy", "modern"],
        "/resourceTemplates",
        "files:///{+path}",
    ),
    (
        &["resources/read", "--uri", "about:///shop"],
        &["legacy", "modern"],
        "/contents/0/text",
        "orders",
    ),
    (
        &["resources/read", "--template", "files:///{+path}", "--arg", "path=a.txt"],
        &["legacy", "modern"],
        "/contents/0/text",
        "the text of a",
    ),
    (
        &["completion/complete", "--name", "review_file", "--arg", "focus=se"],
        &["legacy", "modern"],
        "/completion/values",
        "security",
    ),
    (
        &["completion/complete", "--uri", "files:///{+path}", "--arg", "path=a"],
        &["legacy", "modern"],
        "/completion/values",
        "a.txt",
    ),
    (&["logging/setLevel", "--log-level", "debug"], &["legacy"], "", "{}"),
];

fn t01_every_method_of_both_eras_is_asked_from_a_script() {
    let home = Home::new();
    let remote = Listening::new(&home, "hardened");
    for (words, eras, place, expected) in METHODS {
        for era in *eras {
            let words = [words, &["--era", era][..]].concat();
            let far = [&[remote.1.as_str()], &words[..]].concat();
            for asked in [Asked::of(&home, "hardened", &words), Asked::new(&home, &far)] {
                let result = asked.result();
                let part = result.pointer(place).map(Value::to_string).unwrap_or_default();
                assert!(part.contains(expected), "{words:?}: {result}");
            }
        }
    }
    // Every revision with a session by its name, and what has no such method.
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let words = ["initialize", "--era", revision];
        let result = Asked::of(&home, "hardened", &words).result();
        assert_eq!(result["protocolVersion"], revision);
    }
    let (said, code) = Asked::of(&home, "hardened", &["no/such"]).json();
    assert_eq!((said["error"]["code"].as_i64(), code), (Some(-32601), 5), "{said}");
    // One of the policy, by its name.
    let itself = env!("CARGO_BIN_EXE_stockade");
    let root = files(&home);
    home.policy(&format!(
        "[servers.shop]\ncommand = [{itself:?}, 'example', 'hardened', '--root', {root:?}]\nroots = [{root:?}]\n"
    ));
    let words = ["shop", "tools/call", "--name", "read_file", "--arg", "path=a.txt"];
    assert_eq!(text(&Asked::new(&home, &words).result()), "the text of a");
    home.policy("");
    // For a person, it is the text and nothing else.
    let words = ["tools/call", "--name", "read_file", "--arg", "path=a.txt"];
    let out = Asked::of(&home, "hardened", &words).output();
    assert_eq!(String::from_utf8_lossy(&out.stdout), "the text of a\n", "{out:?}");
    // What was judged is in the ledger.
    let decided = home.records_of("decision");
    let is_it = |it: &&Value| it["tool"] == "read_file" && it["decision"] == "allow";
    assert!(decided.iter().filter(is_it).count() >= 8, "{decided:?}");
    assert!(home.is_whole());
}

/// A server with a tool of many arguments, which it gives back.
fn typed() -> Script {
    let schema = json!({
        "type": "object", "required": ["n"], "additionalProperties": false,
        "properties": {
            "n": { "type": "number" }, "s": { "type": "string" }, "b": { "type": "boolean" },
            "list": { "type": "array", "items": { "type": "integer" } },
            "object": { "type": "object" }, "some": { "anyOf": [{ "$ref": "#/$defs/N" }, { "type": "null" }] },
        },
        "$defs": { "N": { "type": "integer" } },
    });
    let mut many = tool("many");
    many["inputSchema"] = schema;
    let mut script = Script::default().with(many);
    script.on_tool.insert(
        "many".to_owned(),
        vec![result(
            json!({ "content": [], "structuredContent": "$arguments", "resultType": "complete" }),
        )],
    );
    script
}

fn t01_arguments_are_what_the_schema_wants() {
    let home = Home::new();
    let fake = home.fake(typed());
    let ask = |args: &[&str]| {
        let each = args.iter().flat_map(|it| ["--arg", it]);
        let words: Vec<&str> = ["tools/call", "--name", "many"].into_iter().chain(each).collect();
        Asked::fake(&home, &fake, &words)
    };
    let args = ["n=1", "s=1", "b=true", "list=[1, 2]", r#"object={"a": "b"}"#, "some=7"];
    let sent = ask(&args).result()["structuredContent"].clone();
    let expected = json!({ "n": 1, "s": "1", "b": true, "list": [1, 2], "object": { "a": "b" },
        "some": 7 });
    assert_eq!(sent, expected);
    assert_eq!(fake.count("tools/call"), 1);
    for (args, says) in [
        (&["n=one"][..], "`n` does not fit"),
        (&["n=1", "list=a,b"], "`list` does not fit"),
        (&["n=1", "b=1"], "`b` does not fit"),
        (&["s=1"], "required: n"),
        (&["n=1", "m=1"], "there are: b, list, n"),
    ] {
        let out = ask(args).output();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", both(&out));
        assert!(both(&out).contains(says), "{args:?}: {}", both(&out));
    }
    assert_eq!(fake.count("tools/call"), 1, "nothing of that was sent");
}

const ANSWERS: &str = r#"
    [[elicitation]]
    when = { contains = "colour", field = "answer" }
    content = { answer = "blue" }
    [[elicitation]]
    when = { contains = "name" }
    action = "decline"
    [[elicitation]]
    when = { matches = "(?i)AGE" }
    action = "cancel"
    [[elicitation]]
    when = { mode = "url", contains = "https://example.com/" }
    [[sampling]]
    when = { contains = "Summarise" }
    text = "It is short."
    [[roots]]
    uri = "file:///srv/docs"
    name = "docs"
"#;

fn t01_what_a_server_asks_is_answered_by_a_file() {
    let home = Home::new();
    let remote = Listening::new(&home, "hardened");
    for era in ["legacy", "modern"] {
        for (tool, arg, expected) in [
            ("ask_user", "question=Which colour?", "blue"),
            ("ask_user", "question=Which name?", "decline"),
            ("ask_user", "question=Which age?", "cancel"),
            ("summarise", "text=A long text.", "It is short."),
        ] {
            let words = ["tools/call", "--name", tool, "--arg", arg, "--era", era];
            let far = [&[remote.1.as_str()], &words[..]].concat();
            for asked in [Asked::of(&home, "hardened", &words), Asked::new(&home, &far)] {
                let (said, code) = asked.answered(ANSWERS).json();
                let told =
                    format!("{} {}", said["questions"][0]["answer"]["action"], said["result"]);
                assert!(code == 0 && told.contains(expected), "{words:?}: {said}");
            }
        }
    }
    // An address is agreed to and opened by nobody; roots are those of the file.
    let ask = |id: &str, method: &str, params: Value| {
        say(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
    };
    let url = json!({ "mode": "url", "message": "Sign in", "elicitationId": "1", "url": "https://example.com/in" });
    let script = Script::default().on_tool(
        "both",
        [
            ask("u", "elicitation/create", url),
            ask("r", "roots/list", json!({})),
            Step::Sleep(300),
            result(json!({ "content": [] })),
        ],
    );
    let fake = home.fake(script);
    let words = ["tools/call", "--name", "both"];
    let (said, code) = Asked::fake(&home, &fake, &words).answered(ANSWERS).json();
    assert_eq!(code, 0, "{said}");
    assert_eq!(said["questions"].as_array().unwrap().len(), 2, "{said}");
    let heard = fake.messages();
    let answered = |id: &str| heard.iter().find(|it| it["id"] == id).unwrap()["result"].clone();
    assert_eq!(answered("u"), json!({ "action": "accept" }));
    let roots = json!({ "roots": [{ "uri": "file:///srv/docs", "name": "docs" }] });
    assert_eq!(answered("r"), roots);
}

fn t01_what_is_in_no_file_is_refused_and_said() {
    let home = Home::new();
    for era in ["legacy", "modern"] {
        let words =
            ["tools/call", "--name", "ask_user", "--arg", "question=Which town?", "--era", era];
        let out = Asked::of(&home, "hardened", &words).answered(ANSWERS).output();
        let says = both(&out);
        assert!(says.contains("The user did not answer"), "{says}");
        assert!(says.contains("no entry of `elicitation` is for this question"), "{says}");
        // What does not fit the form is not sent either.
        let wrong = "[[elicitation]]\ncontent = { answer = 1 }";
        let says = both(&Asked::of(&home, "hardened", &words).answered(wrong).output());
        assert!(says.contains("does not fit the form"), "{says}");
        let words = ["tools/call", "--name", "summarise", "--arg", "text=a", "--era", era];
        let out = Asked::of(&home, "hardened", &words).output();
        assert!(both(&out).contains("no entry of `sampling`"), "{}", both(&out));
        let code = if era == "legacy" { 5 } else { 1 };
        assert_eq!(out.status.code(), Some(code), "{}", both(&out));
    }
    let broken = "[[elicitation]]\nanswer = 1";
    let out = Asked::of(&home, "hardened", &["tools/list"]).answered(broken).output();
    assert_eq!(out.status.code(), Some(2), "{}", both(&out));
    assert!(both(&out).contains("unknown field `answer`"), "{}", both(&out));
}

fn t01_progress_and_logs_are_told() {
    let home = Home::new();
    for era in ["legacy", "modern"] {
        let words = ["tools/call", "--name", "count_slowly", "--arg", "to=3", "--era", era];
        let out = Asked::of(&home, "hardened", &words).output();
        let told = String::from_utf8_lossy(&out.stderr);
        assert!(told.contains("progress 3/3") || told.contains("progress 3.0/3.0"), "{told}");
        assert_eq!(String::from_utf8_lossy(&out.stdout), "counted to 3\n");
        let words = [
            "tools/call",
            "--name",
            "run_command",
            "--arg",
            "program=date",
            "--log-level",
            "info",
            "--era",
            era,
        ];
        let (said, code) = Asked::of(&home, "hardened", &words).json();
        assert_eq!(code, 0, "{said}");
        let told = said["notifications"].as_array().unwrap();
        assert!(told.iter().any(|it| it["method"] == "notifications/message"), "{said}");
    }
}

fn t01_what_a_server_says_unasked_is_printed_until_a_bound() {
    let home = Home::new();
    let tell = |uri: &str| {
        let method = "notifications/resources/updated";
        say(json!({ "jsonrpc": "2.0", "method": method, "params": { "uri": uri } }))
    };
    let script = Script::default()
        .on("resources/subscribe", [result(json!({})), tell("a:1"), tell("a:2"), tell("a:3")]);
    let fake = home.fake(script);
    let words = ["resources/subscribe", "--uri", "a:1", "--listen", "20", "--count", "2"];
    let out = Asked::fake(&home, &fake, &words).output();
    let lines: Vec<Value> = String::from_utf8_lossy(&out.stdout)
        .lines()
        .filter_map(|it| serde_json::from_str(it).ok())
        .filter(|it: &Value| it["method"] == "notifications/resources/updated")
        .collect();
    assert_eq!(lines.len(), 2, "{out:?}");
    assert_eq!(lines[1]["params"]["uri"], "a:2");

    let acknowledged = "notifications/subscriptions/acknowledged";
    let meta = json!({ "io.modelcontextprotocol/subscriptionId": "$id" });
    let of = |method: &str| {
        say(json!({ "jsonrpc": "2.0", "method": method, "params": { "_meta": meta } }))
    };
    let script = Script::default().on(
        "subscriptions/listen",
        [of(acknowledged), of("notifications/tools/list_changed"), Step::Hang],
    );
    let fake = home.fake(Script { concurrent: true, ..script.clone() });
    let (said, code) = Asked::fake(&home, &fake, &["subscriptions/listen", "--count", "2"]).json();
    assert_eq!(code, 0, "{said}");
    assert_eq!(said["notifications"][1]["method"], "notifications/tools/list_changed", "{said}");
    assert_eq!(said["revision"], MODERN);
    assert_eq!(fake.count("notifications/cancelled"), 1, "{:?}", fake.messages());
    let http = FakeHttp::new(script);
    let url = http.url();
    let (said, code) = Asked::new(&home, &[&url, "subscriptions/listen", "--count", "2"]).json();
    assert_eq!(code, 0, "{said}");
    assert_eq!(said["notifications"].as_array().unwrap().len(), 2, "{said}");
    // Nothing comes: it ends by the clock.
    let (said, code) = Asked::new(&home, &[&url, "ping", "--listen", "1"]).json();
    assert_eq!(code, 0, "{said}");
    assert!(said["times"]["totalMs"].as_f64().unwrap() >= 1000.0, "{said}");
}

fn t01_a_task_is_followed_to_its_end() {
    let home = Home::new();
    let task = |status: &str| {
        json!({ "taskId": "t1", "status": status, "ttl": null,
        "createdAt": "2026-11-29T19:00:00Z", "lastUpdatedAt": "2026-11-29T19:00:00Z", "pollInterval": 20 })
    };
    let content = json!({ "content": [{ "type": "text", "text": "done at last" }] });
    let script = Script::default()
        .on_tool("slow", [result(json!({ "task": task("working") }))])
        .on("tasks/get", [result(task("completed"))])
        .on("tasks/result", [result(content.clone())]);
    let fake = home.fake(script);
    let words = ["tools/call", "--name", "slow", "--task"];
    assert_eq!(text(&Asked::fake(&home, &fake, &words).result()), "done at last");
    let asked = fake.messages().into_iter().find(|it| it["method"] == "tools/call").unwrap();
    assert_eq!(asked["params"]["task"], json!({}));

    let task = |status: &str, kind: &str| {
        json!({ "taskId": "t1", "status": status, "ttlMs": null,
        "createdAt": "2026-11-29T19:00:00Z", "lastUpdatedAt": "2026-11-29T19:00:00Z",
        "pollIntervalMs": 20, "resultType": kind })
    };
    let mut done = task("completed", "complete");
    done["result"] = content;
    let script = Script::default()
        .on_tool("slow", [result(task("working", "task"))])
        .on("tasks/get", [result(done)]);
    let fake = home.fake(script);
    let words = [&words[..], &["--era", "modern"]].concat();
    assert_eq!(text(&Asked::fake(&home, &fake, &words).result()), "done at last");
}

fn t02_nothing_is_probed_unless_that_is_asked_for() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    for (era, expected) in [
        ("legacy", &["initialize", "notifications/initialized", "tools/list"][..]),
        ("modern", &["tools/list"]),
        ("auto", &["server/discover", "tools/list"]),
    ] {
        let before = fake.messages().len();
        Asked::fake(&home, &fake, &["tools/list", "--era", era]).result();
        let said = fake.messages();
        let said: Vec<&str> =
            said[before..].iter().map(|it| it["method"].as_str().unwrap()).collect();
        assert_eq!(said, expected, "{era}");
    }
    // One that knows nothing newer is spoken to as it knows it.
    let old = json!({ "jsonrpc": "2.0", "id": "$id", "error": { "code": -32600, "message": "?" } });
    let fake = home.fake(Script::default().on("server/discover", [say(old)]));
    let (said, _) = Asked::fake(&home, &fake, &["tools/list", "--era", "auto"]).json();
    assert_eq!((&said["revision"], &said["exit"]), (&json!(LEGACY), &json!(0)), "{said}");
}
