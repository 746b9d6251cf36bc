//! What was approved once does not change quietly: servers that are honest when they are looked at
//! and become others, in each part of what they offer. How they are started is in `lock_starts`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::harness::fake::{say, tool};
use crate::harness::{Fake, Home, LEGACY, MODERN, Probe, Script, call, request, text, wait_for};

crate::rows![
    c02_each_part_of_a_tool_is_held_to_what_was_approved,
    c02_prompts_resources_and_instructions_are_held_to_what_was_approved,
    c02_a_template_approves_what_can_be_made_of_it,
    c02_what_was_never_approved_is_denied,
    c02_a_page_is_no_removal,
    c02_another_server_is_blocked_and_says_so,
    c02_what_is_approved_while_it_runs_holds_at_once,
    c02_a_modern_server_is_held_in_both_eras,
    c02_the_lock_is_canonical_complete_and_never_writes_itself,
    c02_a_server_is_approved_with_consent_alone,
];

/// A user with a fake server and a lock.
pub(crate) struct Place {
    pub(crate) home: Home,
    pub(crate) fake: Fake,
    options: Vec<OsString>,
}

impl Place {
    fn new(script: &Script) -> Self {
        let home = Home::new();
        let fake = home.fake(Script { fickle: true, ..script.clone() });
        let options = home.unheld();
        Self { home, fake, options }
    }

    /// The same, that is approved as it is.
    #[track_caller]
    pub(crate) fn approved(script: &Script) -> Self {
        let place = Self::new(script);
        let out = place.lock(&[]);
        assert_eq!(out.status.code(), Some(0), "{}", both(&out));
        place
    }

    /// `stockade lock WORDS … -- FAKE`.
    pub(crate) fn lock(&self, words: &[&str]) -> Output {
        let mut command = self.home.stockade(["lock"]);
        command.args(words).args(&self.options).arg("--").args(self.fake.command());
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// A client of `stockade run -- FAKE`.
    pub(crate) fn run(&self) -> Probe {
        Probe::run(&self.home, &self.fake)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.home.path().join("state/stockade.lock")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }
}

pub(crate) fn both(out: &Output) -> String {
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    text(&out.stdout) + &text(&out.stderr)
}

pub(crate) fn listed(probe: &mut Probe, what: &str) -> Value {
    let (method, name) = match what {
        "templates" => ("resources/templates/list".to_owned(), "resourceTemplates"),
        it => (format!("{it}/list"), it),
    };
    probe.ask(&request(format!("list {what}"), &method, json!({})))["result"][name].clone()
}

pub(crate) fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect()
}

/// A tool with everything that a tool can have.
fn whole() -> Value {
    json!({
        "name": "work", "title": "Work", "description": "Works.",
        "inputSchema": {
            "type": "object",
            "properties": { "text": { "type": "string", "description": "what", "default": "x" } },
        },
        "outputSchema": { "type": "object", "properties": { "done": { "type": "boolean" } } },
        "annotations": { "readOnlyHint": true, "destructiveHint": false },
        "icons": [{ "src": "https://icons.example/w.png", "mimeType": "image/png" }],
        "_meta": { "example/v": 1 },
    })
}

fn c02_each_part_of_a_tool_is_held_to_what_was_approved() {
    for (place, to, class) in [
        ("/description", json!("Works!"), "dangerous"),
        ("/inputSchema/properties/text/default", json!("y"), "dangerous"),
        ("/inputSchema/properties/text/type", json!("number"), "breaking"),
        ("/annotations/readOnlyHint", json!(false), "dangerous"),
        ("/outputSchema/properties/done/type", json!("number"), "breaking"),
        ("/icons/0/src", json!("https://icons.example/v.png"), "harmless"),
        ("/icons/0/src", json!("https://jcons.example/w.png"), "dangerous"),
        ("/title", json!("Work\u{200b}"), "dangerous"),
        ("/_meta/example~1v", json!(2), "dangerous"),
    ] {
        let honest = Script::default().with(whole());
        let mut other = whole();
        *other.pointer_mut(place).unwrap() = to;
        let changed = Script::default().with(other.clone());
        let it = Place::approved(&honest);
        let approved = it.bytes();

        let mut probe = it.run().begin();
        for _ in 0..2 {
            assert_eq!(listed(&mut probe, "tools")[1], whole(), "{place}");
        }
        it.fake.becomes(&changed);
        assert_eq!(names(&listed(&mut probe, "tools")), ["echo"], "{place}");
        it.fake.becomes(&honest);
        // What is sometimes another is not what was approved.
        assert_eq!(names(&listed(&mut probe, "tools")), ["echo"], "{place}");
        let answer = probe.ask(&call(7, "work", json!({ "text": "a" })));
        assert_eq!(answer["result"]["isError"], true, "{place}: {answer}");
        assert!(text(&answer).contains(class), "{place}: {answer}");
        let echo = probe.ask(&call(8, "echo", json!({ "text": "still" })));
        assert_eq!(text(&echo), "still", "{place}");
        let ended = probe.end();
        assert!(ended.stderr.contains("is not as it was approved"), "{place}: {}", ended.stderr);
        assert_eq!(it.fake.messages().iter().filter(|it| it["id"] == 7).count(), 0, "{place}");
        let records = it.home.records_of("lock");
        assert_eq!(records.len(), 1, "{place}: {records:?}");
        assert_eq!(records[0]["difference"], class, "{place}");
        assert_eq!(records[0]["tool"], "work", "{place}");
        assert_eq!(records[0]["tool_digest"].as_str().unwrap().len(), 64, "{place}");

        // Looked at, it is honest: what the guard has seen is shown all the same.
        let diff = it.lock(&["diff"]);
        assert_eq!(diff.status.code(), Some(1), "{place}: {}", both(&diff));
        assert!(both(&diff).contains(&format!("{class:<9}")), "{place}: {}", both(&diff));
        assert!(!both(&diff).contains('\u{200b}'), "{place}: {}", both(&diff));
        let refused = it.lock(&["approve"]);
        assert_eq!(refused.status.code(), Some(2), "{place}: {}", both(&refused));
        assert_eq!(it.bytes(), approved, "{place}: nobody has consented");
        let done = it.lock(&["approve", "--yes"]);
        assert_eq!(done.status.code(), Some(0), "{place}: {}", both(&done));

        let mut probe = it.run().begin();
        assert_eq!(names(&listed(&mut probe, "tools")), ["echo", "work"], "{place}");
        it.fake.becomes(&changed);
        assert_eq!(names(&listed(&mut probe, "tools")), ["echo", "work"], "{place}");
        let answer = probe.ask(&call(9, "work", json!({ "text": "a" })));
        // In the one case the approved schema itself wants a number.
        let wants = other["inputSchema"]["properties"]["text"]["type"] == "string";
        assert_eq!(text(&answer) == "a", wants, "{place}: {answer}");
        assert_eq!(it.lock(&["--check"]).status.code(), Some(0), "{place}");
    }
}

/// A server with one of everything.
fn everything(say_of: &str) -> Script {
    let list = |name: &str, item: Value| {
        [say(json!({ "jsonrpc": "2.0", "id": "$id", "result": { name: [item] } }))]
    };
    let text = json!([{ "type": "text", "text": "done" }]);
    let messages = json!([{ "role": "user", "content": text[0] }]);
    Script::default()
        .on(
            "initialize",
            [say(json!({ "jsonrpc": "2.0", "id": "$id", "result": {
                "protocolVersion": LEGACY,
                "capabilities": { "tools": {}, "prompts": {}, "resources": {} },
                "serverInfo": { "name": "fake", "version": "1" },
                "instructions": say_of,
            }}))],
        )
        .on("prompts/list", list("prompts", json!({ "name": "p", "description": say_of })))
        .on(
            "resources/list",
            list(
                "resources",
                json!({
                    "uri": "note://a", "name": "a", "description": say_of, "size": say_of.len(),
                }),
            ),
        )
        .on(
            "resources/templates/list",
            list(
                "resourceTemplates",
                json!({
                    "uriTemplate": "book://{name}", "name": "b", "description": say_of,
                }),
            ),
        )
        .on(
            "prompts/get",
            [say(json!({ "jsonrpc": "2.0", "id": "$id",
            "result": { "messages": messages } }))],
        )
        .on(
            "resources/read",
            [say(json!({ "jsonrpc": "2.0", "id": "$id",
            "result": { "contents": [{ "uri": "note://a", "text": "done" }] } }))],
        )
}

fn c02_prompts_resources_and_instructions_are_held_to_what_was_approved() {
    let it = Place::approved(&everything("be kind"));
    let get = || request("get", "prompts/get", json!({ "name": "p" }));
    let read = |uri: &str| request(uri.to_owned(), "resources/read", json!({ "uri": uri }));

    let mut probe = it.run();
    let begun = probe.begin_in(LEGACY);
    assert_eq!(begun["result"]["instructions"], "be kind");
    for what in ["prompts", "resources", "templates"] {
        assert_eq!(listed(&mut probe, what).as_array().unwrap().len(), 1, "{what}");
    }
    for asks in [get(), read("note://a"), read("book://x")] {
        assert!(probe.ask(&asks).get("result").is_some(), "{asks}");
    }
    for asks in [
        request("other", "prompts/get", json!({ "name": "q" })),
        read("note://b"),
        request("watch", "resources/subscribe", json!({ "uri": "file:///etc" })),
        request(
            "complete",
            "completion/complete",
            json!({
                "ref": { "type": "ref/prompt", "name": "q" },
                "argument": { "name": "a", "value": "b" },
            }),
        ),
    ] {
        let answer = probe.ask(&asks);
        let says = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(says.contains("was never approved"), "{asks}: {answer}");
    }
    probe.end();

    it.fake.becomes(&everything("be evil"));
    let mut probe = it.run();
    let begun = probe.begin_in(LEGACY);
    assert_eq!(begun["result"]["serverInfo"]["name"], "fake");
    assert_eq!(begun["result"].get("instructions"), None);
    for what in ["prompts", "resources", "templates"] {
        assert_eq!(listed(&mut probe, what), json!([]), "{what}");
    }
    for asks in [get(), read("note://a")] {
        let answer = probe.ask(&asks);
        let says = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(says.contains("is not what was approved"), "{asks}: {answer}");
    }
    assert_eq!(it.home.records_of("lock").len(), 4);
    probe.end();

    let diff = both(&it.lock(&["diff"]));
    for line in ["- be kind", "+ be evil", "the prompt `p`", "the resource `note://a`"] {
        assert!(diff.contains(line), "{line}: {diff}");
    }
    // One thing alone, and then the rest.
    let one = it.lock(&["approve", "--yes", "--only", "prompt:p"]);
    assert_eq!(one.status.code(), Some(0), "{}", both(&one));
    assert_eq!(it.lock(&["--check"]).status.code(), Some(1));
    let mut probe = it.run();
    assert_eq!(probe.begin_in(LEGACY)["result"].get("instructions"), None);
    assert_eq!(listed(&mut probe, "prompts").as_array().unwrap().len(), 1);
    probe.end();
    assert_eq!(it.lock(&["approve", "--yes"]).status.code(), Some(0));
    let mut probe = it.run();
    assert_eq!(probe.begin_in(LEGACY)["result"]["instructions"], "be evil");
    assert!(probe.ask(&read("note://a")).get("result").is_some());
}

fn c02_a_template_approves_what_can_be_made_of_it() {
    let templates: Vec<Value> = [
        "file:///notes/{path}",
        "docs:///{+path}",
        "https://a.example{path}",
        "https://{tenant}.b.example/{page}{?lang}",
        "book://{name}",
    ]
    .iter()
    .map(|it| json!({ "uriTemplate": it, "name": it }))
    .collect();
    let list = |name: &str, items: Value| {
        [say(json!({ "jsonrpc": "2.0", "id": "$id", "result": { name: items } }))]
    };
    let it = Place::approved(
        &everything("be kind")
            .on("resources/templates/list", list("resourceTemplates", json!(templates))),
    );
    let mut probe = it.run().begin();
    for (number, (uri, expected)) in [
        ("file:///notes/a.md", true),
        ("docs:///a/b/c.md", true),
        ("https://t.b.example/index?lang=de", true),
        ("book://x", true),
        ("file:///notes/../etc/passwd", false),
        ("file:///notes/%2e%2e/etc/passwd", false),
        ("file:///notes/..%2f..%2fetc%2fpasswd", false),
        ("file:///notes/%252e%252e%252fetc", false),
        ("file:///notes/a/b.md", false),
        ("file:///etc/passwd", false),
        ("docs:///a/../../etc/passwd", false),
        ("docs:///a/.\t./.\n./etc/passwd", false),
        ("docs:///.%09./etc/passwd", false),
        ("docs:///\t/etc/passwd", false),
        ("https://a.example.evil.example/x", false),
        ("https://a.example@evil.example/x", false),
        ("https://evil.example/.b.example/x", false),
        ("https://t.b.example/index?next=1", false),
        ("book://x/y", false),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = probe.ask(&request(number, "resources/read", json!({ "uri": uri })));
        assert_eq!(answer.get("result").is_some(), expected, "{uri}: {answer}");
        let heard = it.fake.messages().iter().any(|it| it["params"]["uri"] == uri);
        assert_eq!(heard, expected, "{uri}");
    }
}

fn c02_what_was_never_approved_is_denied() {
    let it = Place::approved(&Script::default());
    it.fake.becomes(&Script::default().with(tool("extra")));
    let mut probe = it.run().begin();
    for number in 0..3 {
        assert_eq!(names(&listed(&mut probe, "tools")), ["echo"], "{number}");
    }
    for name in ["extra", "hidden", "Echo"] {
        let answer = probe.ask(&call(name, name, json!({})));
        assert_eq!(answer["result"]["isError"], true, "{name}: {answer}");
    }
    assert_eq!(it.fake.count("tools/call"), 0);
    // It is told once, however often it is listed.
    let records = it.home.records_of("lock");
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["difference"], "dangerous");

    // A server that makes up names without end fills no ledger.
    let mut many = Script::default();
    for number in 0..3000 {
        many = many.with(tool(&format!("t{number}")));
    }
    it.fake.becomes(&many);
    for _ in 0..3 {
        assert_eq!(names(&listed(&mut probe, "tools")), ["echo"]);
    }
    assert!(it.home.records_of("lock").len() < 100);
}

fn c02_a_page_is_no_removal() {
    let page = |name: &str, next: Option<&str>| {
        let mut result = json!({ "tools": [tool(name)] });
        if let Some(next) = next {
            result["nextCursor"] = json!(next);
        }
        [say(json!({ "jsonrpc": "2.0", "id": "$id", "result": result }))]
    };
    let it = Place::approved(&Script::default().with(tool("b")).with(tool("c")));
    it.fake.becomes(&Script::default().on("tools/list", page("c", Some("more"))));
    let mut probe = it.run().begin();
    assert_eq!(names(&listed(&mut probe, "tools")), ["c"]);
    assert_eq!(text(&probe.ask(&call(1, "b", json!({ "text": "x" })))), "x");
    assert_eq!(it.home.records_of("lock"), Vec::<Value>::new());
    probe.end();
    // Pages without an end are given up, and do not count as a list.
    let endless = it.lock(&["--check"]);
    assert_eq!(endless.status.code(), Some(4), "{}", both(&endless));
    // Whoever has seen the whole list knows what is gone.
    it.fake.becomes(&Script::default().on("tools/list", page("c", None)));
    let gone = it.lock(&["--check"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(both(&gone).contains("the tool `b`\n  is not listed any more"), "{}", both(&gone));
}

/// What a server says of itself in `initialize`.
fn named(version: &str) -> Script {
    Script::default().on(
        "initialize",
        [say(json!({ "jsonrpc": "2.0", "id": "$id", "result": {
            "protocolVersion": LEGACY, "capabilities": { "tools": {} },
            "serverInfo": { "name": "fake", "version": version },
        }}))],
    )
}

fn c02_another_server_is_blocked_and_says_so() {
    let it = Place::approved(&named("1"));
    it.fake.becomes(&named("2"));
    let mut probe = it.run();
    let begun = probe.begin_in(LEGACY);
    assert_eq!(begun["result"]["serverInfo"]["name"], "stockade", "{begun}");
    let tools = listed(&mut probe, "tools");
    assert_eq!(names(&tools), ["stockade_blocked"]);
    assert!(tools[0]["description"].as_str().unwrap().contains("stockade lock approve"));
    let told = probe.ask(&call(1, "stockade_blocked", json!({})));
    assert!(text(&told).contains("stockade lock diff"), "{told}");
    let answer = probe.ask(&call(2, "echo", json!({ "text": "x" })));
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let other = probe.ask(&request(3, "resources/list", json!({})));
    assert!(other["error"]["message"].as_str().unwrap().contains("blocked"), "{other}");
    assert_eq!(it.fake.count("tools/list"), 2, "only those of `lock`");
    assert_eq!(it.fake.count("tools/call"), 0);
    probe.end();
    assert_eq!(it.lock(&["approve", "--yes"]).status.code(), Some(0));
    let mut probe = it.run();
    assert_eq!(probe.begin_in(LEGACY)["result"]["serverInfo"]["version"], "2");
    assert_eq!(text(&probe.ask(&call(4, "echo", json!({ "text": "x" })))), "x");
}

fn c02_what_is_approved_while_it_runs_holds_at_once() {
    let it = Place::approved(&Script::default().with(whole()));
    let mut other = whole();
    other["description"] = json!("Works, and more.");
    it.fake.becomes(&Script::default().with(other));
    let mut probe = it.run().begin();
    assert_eq!(names(&listed(&mut probe, "tools")), ["echo"]);
    assert_eq!(it.lock(&["approve", "--yes"]).status.code(), Some(0));
    wait_for("the lock to be read", || {
        let now = listed(&mut probe, "tools");
        (names(&now) == ["echo", "work"]).then_some(())
    });
    assert_eq!(text(&probe.ask(&call(1, "work", json!({ "text": "x" })))), "x");
    // One that is broken while it runs opens nothing.
    fs::write(it.file(), "{}").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert_eq!(probe.ask(&call(2, "nobody", json!({})))["result"]["isError"], true);
    assert_eq!(text(&probe.ask(&call(3, "work", json!({ "text": "x" })))), "x");
}

fn c02_a_modern_server_is_held_in_both_eras() {
    let it = Place::approved(&Script::default().with(whole()));
    let mut other = whole();
    other["description"] = json!("Works!");
    it.fake.becomes(&Script::default().with(other));
    let modern = |id: u64, method: &str, mut params: Value| {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        request(id, method, params)
    };
    let mut probe = it.run();
    let listed = probe.ask(&modern(1, "tools/list", json!({})));
    assert_eq!(names(&listed["result"]["tools"]), ["echo"], "{listed}");
    let asks = modern(2, "tools/call", json!({ "name": "work", "arguments": {} }));
    let answer = probe.ask(&asks);
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(it.fake.count("tools/call"), 0);
    probe.end();

    // Blocked before it is started, it answers in this era as well.
    fs::write(it.file(), r#"{"servers":{},"version":1}"#).unwrap();
    let mut probe = it.run();
    let found = probe.ask(&modern(1, "server/discover", json!({})));
    assert_eq!(found["result"]["supportedVersions"], json!([MODERN]), "{found}");
    let listed = probe.ask(&modern(2, "tools/list", json!({})));
    assert_eq!(names(&listed["result"]["tools"]), ["stockade_blocked"], "{listed}");
    assert_eq!(listed["result"]["resultType"], "complete");
    assert_eq!(probe.end().code, Some(6));
}

fn c02_the_lock_is_canonical_complete_and_never_writes_itself() {
    let it = Place::approved(&everything("be kind").with(whole()));
    let bytes = it.bytes();
    let lock: Value = serde_json::from_slice(&bytes).unwrap();
    // All of it is ASCII and without floating point, so this is RFC 8785 as well.
    assert_eq!(serde_json::to_vec(&lock).unwrap(), bytes);
    assert_eq!(fs::metadata(it.file()).unwrap().permissions().mode() & 0o777, 0o600);
    let servers = lock["servers"].as_object().unwrap();
    let entry = servers.values().next().unwrap();
    let offers = &entry["offers"];
    assert_eq!(offers["tools"]["work"], json!([whole()]));
    assert_eq!(offers["instructions"], json!(["be kind"]));
    assert_eq!(offers["identity"], json!([{ "name": "fake", "version": "1" }]));
    assert_eq!(offers["prompts"]["p"][0]["description"], "be kind");
    assert_eq!(offers["resources"]["note://a"][0]["name"], "a");
    assert_eq!(offers["templates"]["book://{name}"][0]["name"], "b");
    let command: Vec<String> =
        it.fake.command().map(|it| it.into_string().unwrap()).into_iter().collect();
    assert_eq!(entry["launch"]["command"], json!(command));
    // The same server is written down by the same bytes.
    fs::remove_file(it.file()).unwrap();
    assert_eq!(it.lock(&[]).status.code(), Some(0));
    assert_eq!(it.bytes(), bytes);
    // Whatever is looked at, run and refused, it stays.
    it.fake.becomes(&everything("be evil").with(tool("more")));
    it.run().begin().end();
    for words in [&["--check"][..], &["diff"], &["approve"], &[]] {
        assert_ne!(it.lock(words).status.code(), Some(0), "{words:?}");
        assert_eq!(it.bytes(), bytes, "{words:?}");
    }
    let show = it.home.stockade(["lock", "show"]).arg(it.file()).output().unwrap();
    assert!(both(&show).contains("tool work"), "{}", both(&show));
    // Two locks, as two commits have them.
    let old = it.home.path().join("old");
    fs::write(&old, &bytes).unwrap();
    assert_eq!(it.lock(&["--yes"]).status.code(), Some(0));
    let mut between = it.home.stockade(["lock", "diff", "--between"]);
    let out = between.arg(&old).arg(it.file()).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(both(&out).contains("+ be evil") && both(&out).contains("`work`"), "{}", both(&out));
}

fn c02_a_server_is_approved_with_consent_alone() {
    // Without a lock nothing is pinned, and that is said.
    let it = Place::new(&Script::default());
    let mut probe = it.run().begin();
    assert_eq!(text(&probe.ask(&call(1, "echo", json!({ "text": "x" })))), "x");
    assert_eq!(probe.end().code, Some(0));
    assert!(!it.file().exists());
    let started = &it.home.records_of("start")[0];
    assert!(started["says"].as_str().unwrap().contains("nothing of it is pinned"), "{started}");

    // Where a lock is demanded, and where there is one, a server that is not in it is refused.
    it.home.policy("lock = 'required'");
    for written in [None, Some(r#"{"servers":{},"version":1}"#)] {
        if let Some(written) = written {
            it.home.policy("lock = 'found'");
            fs::write(it.file(), written).unwrap();
        }
        let heard = it.fake.heard();
        let mut probe = it.run().begin();
        assert_eq!(names(&listed(&mut probe, "tools")), ["stockade_blocked"]);
        let ended = probe.end();
        assert_eq!(ended.code, Some(6), "{}", ended.stderr);
        assert!(ended.stderr.contains("stockade lock"), "{}", ended.stderr);
        assert_eq!(it.fake.heard(), heard, "it was not started");
    }
    // Consent: on the command line, or once for all in the policy.
    let mut probe = Probe::run_with(&it.home, &["--yes"], &it.fake).begin();
    assert_eq!(names(&listed(&mut probe, "tools")), ["echo"]);
    assert!(probe.end().stderr.contains("was approved as it is"));
    fs::remove_file(it.file()).unwrap();
    it.home.policy("lock = 'first-use'");
    let mut probe = it.run().begin();
    assert_eq!(names(&listed(&mut probe, "tools")), ["echo"]);
    probe.end();
    let bytes = it.bytes();
    it.fake.becomes(&Script::default().with(tool("more")));
    let mut probe = it.run().begin();
    assert_eq!(names(&listed(&mut probe, "tools")), ["echo"]);
    probe.end();
    assert_eq!(it.bytes(), bytes, "the first use is the only one");
}
