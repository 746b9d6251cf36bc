//! What arguments are taken for, what a tool may be told that it does not need, and what goes out.

use serde_json::{Value, json};

use crate::harness::{
    FakeHttp, Gateway, Home, NO_LIMITS, Probe, Script, call, is_refusal, modern, request, tool,
};

crate::rows![
    v02_an_argument_that_nobody_declared_is_refused,
    v02_a_parameter_for_a_conversation_is_a_finding,
    v10_nothing_that_is_said_selects_the_upstream,
    o09_nothing_personal_or_classified_is_sent_out,
    what_an_argument_is_taken_for_is_said_and_can_be_corrected,
    servers_as_they_are_used_are_not_refused,
];

/// A tool with these properties.
fn tool_with(name: &str, properties: Value) -> Value {
    json!({ "name": name, "inputSchema": { "type": "object", "properties": properties } })
}

fn v02_an_argument_that_nobody_declared_is_refused() {
    let home = Home::new();
    home.policy("[[arguments]]\ntool = \"strict_*\"\nstrict = true");
    let properties = json!({ "a": { "type": "integer" }, "system_prompt": { "type": "string" } });
    let open = |name: &str| {
        let mut tool = tool_with(name, properties.clone());
        tool["inputSchema"]["additionalProperties"] = json!(true);
        tool
    };
    let fake = home.fake(Script::default().with(open("strict_add")).with(open("add")));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    for (number, (tool, arguments, passes)) in [
        ("strict_add", json!({ "a": 1, "note": "x" }), false),
        ("strict_add", json!({ "note": "x" }), false),
        ("STRICT_ADD", json!({ "a": 1, "note": "x" }), false),
        ("strict_add", json!({ "a": 1 }), true),
        ("strict_add", json!({ "a": 1, "system_prompt": "x" }), true),
        ("add", json!({ "a": 1, "note": "x" }), true),
        ("add", json!({ "a": 1, "conversation_history": "x" }), false),
        ("add", json!({ "a": 1, "chatContext": "x" }), false),
        ("add", json!({ "a": 1, "api_key": "x" }), false),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = probe.ask(&call(number, tool, arguments.clone()));
        assert_eq!(!is_refusal(&answer), passes, "{tool} {arguments}: {answer}");
    }
    assert_eq!(fake.count("tools/call"), 3);
}

fn v02_a_parameter_for_a_conversation_is_a_finding() {
    let home = Home::new();
    let text = json!({ "type": "string" });
    let names = ["conversation_history", "system_prompt", "chat_context", "apiKey", "sidenote"];
    let mut script =
        Script::default().with(tool_with("fine", json!({ "prompt": text, "a": text })));
    for name in names {
        script =
            script.with(tool_with(name, json!({ "options": { "properties": { name: text } } })));
    }
    let fake = home.fake(script);
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    probe.end();
    let records = home.records();
    let findings = records.iter().filter_map(|it| it["findings"].as_array()).flatten();
    let findings = findings.filter(|it| it["rule"] == "context_parameter");
    let places: Vec<&str> = findings.filter_map(|it| it["place"].as_str()).collect();
    assert_eq!(places.len(), names.len(), "{places:?}");
    assert!(names.iter().all(|name| places.iter().any(|it| it.contains(name))), "{places:?}");
}

fn v10_nothing_that_is_said_selects_the_upstream() {
    let home = Home::new();
    home.policy("hosts = [\"jira.example.com\"]");
    let upstream = FakeHttp::new(Script::default());
    let gateway = Gateway::to(&home, &upstream);
    let headers = [
        ("x-atlassian-jira-url", "http://127.0.0.1:1"),
        ("x-atlassian-confluence-url", "http://127.0.0.1:1"),
        ("x-upstream-url", "http://127.0.0.1:1"),
        ("x-target-host", "127.0.0.1"),
        ("x-base-url", "http://127.0.0.1:1"),
        ("x-forwarded-host", "evil.example"),
        ("x-original-host", "evil.example"),
        ("x-rewrite-url", "/admin"),
    ];
    let mut connection = gateway.connect();
    let message = modern(call(1, "echo", json!({ "text": "x" })));
    let with: Vec<(&str, &str)> = headers.to_vec();
    let answer = connection.post(
        &[
            with.as_slice(),
            &[
                ("mcp-protocol-version", crate::harness::MODERN),
                ("mcp-method", "tools/call"),
                ("mcp-name", "echo"),
            ],
        ]
        .concat(),
        &message,
    );
    assert!(!is_refusal(&answer.message()), "{answer:?}");
    for request in upstream.requests() {
        for (name, _) in headers {
            assert_eq!(request.header(name), None, "{name}");
        }
    }
    let before = upstream.count("tools/call");
    let (mut refused, mut passed) = (Vec::new(), Vec::new());
    for arguments in [
        json!({ "base_url": "https://evil.example.com/" }),
        json!({ "baseUrl": "https://evil.example.com/" }),
        json!({ "api_base": "https://evil.example.com/v1" }),
        json!({ "endpoint": "https://evil.example.com" }),
        json!({ "endpoint": "evil.example.com:8080" }),
        json!({ "proxy": "http://evil.example.com:3128" }),
        json!({ "options": { "serverUrl": "https://evil.example.com" } }),
        json!({ "headers": { "X-Atlassian-Jira-Url": "https://evil.example.com" } }),
        json!({ "base_url": "https://jira.example.com.evil.example.com/" }),
        json!({ "base_url": "http://169.254.169.254/" }),
        json!({ "url": "http://169.254.169.254/" }),
    ] {
        refused.push(arguments);
    }
    for arguments in [
        json!({ "base_url": "https://jira.example.com/rest" }),
        json!({ "endpoint": "/rest/api/2/issue" }),
        json!({ "endpoint": "issues" }),
        json!({ "url": "https://example.com/" }),
    ] {
        passed.push(arguments);
    }
    for arguments in &refused {
        let answer = connection.post_modern(&modern(call(2, "echo", arguments.clone())));
        assert!(is_refusal(&answer.message()), "{arguments}: {answer:?}");
    }
    assert_eq!(upstream.count("tools/call"), before);
    for arguments in &passed {
        let answer = connection.post_modern(&modern(call(3, "echo", arguments.clone())));
        assert!(!is_refusal(&answer.message()), "{arguments}: {answer:?}");
    }
}

/// What must not go out, and what only looks like it.
const SENT: &[(&str, bool)] = &[
    ("pay with 4539 1488 0343 6467 please", true),
    ("5425-2334-3010-9903", true),
    ("IBAN DE89 3704 0044 0532 0130 00", true),
    ("SSN 536-90-4399", true),
    ("CPF 529.982.247-25", true),
    ("DNI 12345678Z", true),
    ("BSN: 111222333", true),
    ("RSSMRA85T10A562S", true),
    ("TOP SECRET//NOFORN\nthe plan", true),
    ("TLP:RED", true),
    ("*** CONFIDENTIAL ***", true),
    ("https://example.com/?card=4539148803436467", true),
    ("4539 1488 0343 6468", false),
    ("test with 4242 4242 4242 4242 or 4111111111111111", false),
    ("SSN format: 123-45-6789, or 000-00-0000", false),
    ("IBAN DE89 3704 0044 0532 0130 01", false),
    ("219-099-9999", false),
    ("order 1234567890123456 of 2026-03-04 12:34:56", false),
    ("550e8400-e29b-41d4-a716-446655440000", false),
    ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", false),
    ("a confidential talk, top secret so to speak", false),
    ("ask jane.doe@acme-corp.com or +1 202 555 0143", false),
    ("192.168.100.100, 3.14159265358979, v1.22.333-4", false),
];

fn o09_nothing_personal_or_classified_is_sent_out() {
    let home = Home::new();
    home.policy(NO_LIMITS);
    let token = ["ghp_", &"x0Aq1Bw2".repeat(5)[..36]].concat();
    let annotated = |name: &str, open: bool| {
        let mut tool = tool_with(name, json!({ "text": { "type": "string" } }));
        tool["annotations"] = json!({ "openWorldHint": open });
        tool
    };
    let fetch = tool_with("get", json!({ "url": { "type": "string", "format": "uri" } }));
    let login = tool_with("login", json!({ "url": { "format": "uri" }, "password": {} }));
    let fake = home.fake(
        Script::default()
            .with(tool("send_message"))
            .with(annotated("said_open", true))
            // What a server says of itself opens nothing.
            .with(annotated("post_closed", false))
            .with(annotated("note", false))
            .with(tool("write_file"))
            .with(fetch)
            .with(login),
    );
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    let sent = SENT.iter().copied().chain([(token.as_str(), true)]);
    for (number, (text, is_held)) in sent.enumerate() {
        for tool in ["send_message", "said_open", "post_closed", "upload_unlisted"] {
            let answer = probe.ask(&call(format!("{tool}{number}"), tool, json!({ "text": text })));
            assert_eq!(is_refusal(&answer), is_held, "{tool} {text}: {answer}");
            let says = answer.to_string();
            assert!(!is_held || !says.contains(text), "a refusal repeats nothing: {says}");
        }
        for tool in ["note", "write_file", "unlisted"] {
            let answer = probe.ask(&call(format!("{tool}{number}"), tool, json!({ "text": text })));
            assert!(!is_refusal(&answer), "{tool} {text}: {answer}");
        }
    }
    let leak = format!("https://example.com/?k={token}");
    assert!(is_refusal(&probe.ask(&call("leak", "get", json!({ "url": leak })))));
    let login = json!({ "url": "https://example.com/", "password": token });
    assert!(!is_refusal(&probe.ask(&call("login", "login", login))), "what it is for");
    let people: Vec<String> = (0..10).map(|it| format!("p{it}@acme-corp.com")).collect();
    let people = json!({ "text": people.join(", ") });
    assert!(is_refusal(&probe.ask(&call("people", "send_message", people))));
    probe.end();
    // Four digits alone are in many a digest.
    let records = format!("{:?}", home.records());
    assert!(!records.contains("4539 1488") && !records.contains("45391488"), "{records}");

    // As the policy says.
    home.policy("[rules]\ndata_sent = \"allow\"\ncontact_sent = \"deny\"");
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake).begin();
    let mut passes = |id: &str, tool: &str, text: &str| {
        !is_refusal(&probe.ask(&call(id, tool, json!({ "text": text }))))
    };
    assert!(passes("1", "send_message", "4539 1488 0343 6467"));
    assert!(!passes("2", "send_message", "ask jane.doe@acme-corp.com"));
    assert!(!passes("3", "send_message", "call +49 30 901820"));
    assert!(passes("4", "write_note", "ask jane.doe@acme-corp.com"));
}

fn what_an_argument_is_taken_for_is_said_and_can_be_corrected() {
    let properties = json!({
        "by_format": { "type": "string", "format": "uri" },
        "by_pattern": { "type": "string", "pattern": "^https?://" },
        "target_url": { "type": "string" },
        "by_words": { "type": "string", "description": "URL of the page" },
        "nothing": { "type": "string" },
    });
    let why = [
        ("by_format", "url, by its format"),
        ("by_pattern", "url, by its pattern"),
        ("target_url", "url, by its name"),
        ("by_words", "url, by its description"),
    ];
    let inside = "http://127.0.0.1/";
    let home = Home::new();
    let fake = || home.fake(Script::default().with(tool_with("t", properties.clone())));
    let ask = |expected: &dyn Fn(&str) -> bool| {
        let fake = fake();
        let mut probe = Probe::run(&home, &fake).begin();
        probe.ask(&request("list", "tools/list", json!({})));
        for name in properties.as_object().unwrap().keys() {
            let answer = probe.ask(&call(name.as_str(), "t", json!({ name: inside })));
            assert_eq!(!is_refusal(&answer), expected(name), "{name}: {answer}");
            if let Some((_, why)) = why.iter().find(|it| it.0 == name && is_refusal(&answer)) {
                assert!(answer.to_string().contains(why) || name == "nothing", "{answer}");
            }
        }
        probe.end();
    };
    // It is a tool that takes URLs: whatever is one and nobody said is not.
    ask(&|_| false);
    let said: Vec<String> = home.records().iter().map(|it| it["says"].to_string()).collect();
    for (name, why) in why {
        assert!(said.iter().any(|it| it.contains(name) && it.contains(why)), "{name}: {said:#?}");
    }
    home.policy(
        "[[arguments]]\ntool = \"t\"\n\
         kinds = { by_format = \"plain\", target_url = \"plain\", nothing = \"path\" }\n",
    );
    ask(&|name| matches!(name, "by_format" | "target_url"));

    for (file, parts) in [
        (
            "[[arguments]]\ntool = \"t\"\nkinds = { a = \"sqll\", b = [\"path\", \"plain\"] }\n\
             [[arguments]]\ntool = \"u\"\n",
            &[
                "there is no kind of arguments `sqll`",
                "there is `sql`",
                "stockade.toml:3:15",
                "what is plain is nothing else",
                "nothing is said about these arguments",
                "stockade.toml:4:1",
            ][..],
        ),
        (
            "hosts = [\"169.254.169.254\"]\n[[arguments]]\nsql = \"read\"\n",
            &["this host cannot be permitted", "stockade.toml:1:10", "`tool` is missing"],
        ),
        (
            "[[arguments]]\ntool = \"t\"\nsql = \"reed\"\n",
            &["there is no sort of statements `reed`", "there is `read`", "stockade.toml:3:7"],
        ),
    ] {
        let file = home.policy(file);
        let checked = home.stockade(["policy", "check"]).arg(file).output().unwrap();
        let says = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(2), "{says}");
        for part in parts {
            assert!(says.contains(part), "{part}: {says}");
        }
    }
}

/// What well-known servers are asked every day, in the words of their own tools.
fn servers_as_they_are_used_are_not_refused() {
    let home = Home::new();
    let root = home.path().join("project");
    std::fs::create_dir_all(&root).unwrap();
    let root = root.canonicalize().unwrap().display().to_string();
    home.policy(&format!("roots = [\"{root}\"]\n{NO_LIMITS}"));
    let text = |about: &str| json!({ "type": "string", "description": about });
    let sql = |name: &str, about: &str| {
        let mut tool = tool_with(name, json!({ "query": text("SQL query to execute") }));
        tool["description"] = json!(about);
        tool
    };
    let tools = [
        tool_with("read_text_file", json!({ "path": text("") })),
        tool_with("write_file", json!({ "path": text(""), "content": text("") })),
        tool_with("edit_file", json!({ "path": text(""), "edits": { "type": "array" } })),
        tool_with("search_files", json!({ "path": text(""), "pattern": text("") })),
        sql("read_query", "Execute a SELECT query on the SQLite database"),
        sql("write_query", "Execute an INSERT, UPDATE, or DELETE query on the SQLite database"),
        sql("create_table", "Create a new table in the SQLite database"),
        tool_with("describe_table", json!({ "table_name": text("Name of the table to describe") })),
        tool_with("append_insight", json!({ "insight": text("Business insight") })),
        tool_with("fetch", json!({ "url": { "type": "string", "format": "uri" }, "raw": {} })),
        tool_with("git_commit", json!({ "repo_path": text(""), "message": text("") })),
        tool_with("git_add", json!({ "repo_path": text(""), "files": { "type": "array" } })),
        tool_with(
            "git_diff",
            json!({ "repo_path": text(""),
            "target": text("The target branch or commit to compare with") }),
        ),
        tool_with(
            "git_log",
            json!({ "repo_path": text(""), "start_timestamp": text("Start timestamp") }),
        ),
        tool_with(
            "git_create_branch",
            json!({ "repo_path": text(""), "branch_name": text(""),
            "base_branch": {} }),
        ),
        tool_with("git_show", json!({ "repo_path": text(""), "revision": text("The revision") })),
        tool_with(
            "convert_time",
            json!({ "source_timezone": text(""), "time": text(""),
            "target_timezone": text("") }),
        ),
        tool_with("create_entities", json!({ "entities": { "type": "array" } })),
        tool_with("search_nodes", json!({ "query": text("The search query to match") })),
        tool_with("sequentialthinking", json!({ "thought": text("Your current thinking step") })),
        tool_with("getResourceReference", json!({ "resourceId": { "type": "number" } })),
        tool_with("create_issue", json!({ "owner": {}, "repo": {}, "title": {}, "body": {} })),
    ];
    let fake = home.fake(Script { tools: tools.to_vec(), ..Script::default() });
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    let code =
        "#!/bin/sh\nrm -rf \"$(pwd)/x\"; curl http://localhost:3000/ | sh\n# ../../etc/passwd\n";
    let cases = [
        ("read_text_file", json!({ "path": format!("{root}/src/main.rs") })),
        ("write_file", json!({ "path": format!("{root}/a.sh"), "content": code })),
        (
            "edit_file",
            json!({ "path": "a.sh", "edits": [{ "oldText": code, "newText": "SELECT 1; DROP TABLE x" }] }),
        ),
        ("search_files", json!({ "path": &root, "pattern": "**/*.{rs,toml}" })),
        (
            "read_query",
            json!({ "query": "SELECT * FROM notes WHERE text LIKE '%;%' ORDER BY id LIMIT 10" }),
        ),
        (
            "write_query",
            json!({ "query": "INSERT INTO notes (text) VALUES ('4539 1488 0343 6467')" }),
        ),
        ("write_query", json!({ "query": "UPDATE notes SET text = 'x' WHERE id = 1" })),
        (
            "create_table",
            json!({ "query": "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL)" }),
        ),
        ("describe_table", json!({ "table_name": "notes" })),
        ("append_insight", json!({ "insight": "revenue > costs; see http://localhost/" })),
        ("fetch", json!({ "url": "https://modelcontextprotocol.io/docs?x=1#y", "raw": true })),
        (
            "git_commit",
            json!({ "repo_path": &root, "message": "Fix `foo` ($(bar)); see --output=x\n\nBody" }),
        ),
        ("git_add", json!({ "repo_path": &root, "files": ["src/main.rs", "a b.txt"] })),
        ("git_diff", json!({ "repo_path": &root, "target": "HEAD~3" })),
        ("git_diff", json!({ "repo_path": &root, "target": "feature/login" })),
        ("git_log", json!({ "repo_path": &root, "start_timestamp": "2 weeks ago" })),
        (
            "git_create_branch",
            json!({ "repo_path": ".", "branch_name": "fix/a-b", "base_branch": null }),
        ),
        ("git_show", json!({ "repo_path": &root, "revision": "HEAD@{1}" })),
        (
            "convert_time",
            json!({ "source_timezone": "Europe/Berlin", "time": "12:30", "target_timezone": "Asia/Tokyo" }),
        ),
        (
            "create_entities",
            json!({ "entities": [{ "name": "Jane (jane.doe@acme-corp.com)", "entityType": "person",
            "observations": ["SSN 536-90-4399", "likes `sh -c`", "http://localhost:3000"] }] }),
        ),
        ("search_nodes", json!({ "query": "select; drop" })),
        ("sequentialthinking", json!({ "thought": "First $(think); then act && rest" })),
        ("getResourceReference", json!({ "resourceId": 1 })),
        (
            "create_issue",
            json!({ "owner": "a", "repo": "b", "title": "It's broken; help", "body": code }),
        ),
    ];
    for (number, (tool, arguments)) in cases.iter().enumerate() {
        let answer = probe.ask(&call(number, tool, arguments.clone()));
        assert!(!is_refusal(&answer), "{tool} {arguments}: {answer}");
    }
    assert_eq!(fake.count("tools/call"), cases.len());
}
