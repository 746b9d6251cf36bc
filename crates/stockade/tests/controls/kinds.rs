//! What an argument is by all that its schema says, and the calls of every day, in the schemas of
//! servers that people use, which no rule is to refuse.

use serde_json::{Value, json};

use crate::harness::{Home, NO_LIMITS, Probe, Script, call, is_refusal, request};

crate::rows![
    what_a_schema_refers_to_is_read,
    v03_paths_with_blanks_and_by_description_are_paths,
    v06_a_name_is_no_way_round,
    v07_a_host_alone_is_a_host,
    calls_of_every_day_pass,
    writing_systems_pass_unchanged,
];

/// Tools with their calls, as JSON: those that pass, and those of the same tools that do not.
const HONEST: &str = include_str!("corpora/honest.json");

struct Seen {
    wrong: Vec<String>,
    count: usize,
}

/// Has each of these calls pass or be refused.
fn ask(home: &Home, tools: &[Value], cases: &[(String, Value, bool)]) -> Seen {
    let fake = home.fake(Script { tools: tools.to_vec(), ..Script::default() });
    let mut probe = Probe::run(home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    let mut wrong = Vec::new();
    for (number, (tool, arguments, passes)) in cases.iter().enumerate() {
        let answer = probe.ask(&call(number, tool, arguments.clone()));
        if is_refusal(&answer) == *passes {
            wrong.push(format!("{tool} {arguments}: {answer}"));
        }
    }
    let passed = cases.iter().filter(|it| it.2).count();
    if wrong.is_empty() {
        assert_eq!(fake.count("tools/call"), passed, "what is refused does not arrive");
    }
    Seen { wrong, count: cases.len() }
}

#[track_caller]
fn hold(home: &Home, tools: &[Value], cases: &[(&str, Value, bool)]) {
    let cases: Vec<_> = cases.iter().map(|it| (it.0.to_owned(), it.1.clone(), it.2)).collect();
    let Seen { wrong, count } = ask(home, tools, &cases);
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

fn rooted(home: &Home) -> String {
    let root = home.path().join("files/project");
    std::fs::create_dir_all(&root).unwrap();
    let root = root.canonicalize().unwrap().display().to_string();
    home.policy(&format!("roots = [\"{root}\"]\n{NO_LIMITS}approval_timeout_s = 1\n"));
    root
}

fn what_a_schema_refers_to_is_read() {
    let home = Home::new();
    home.policy(NO_LIMITS);
    let url = json!({ "type": "string", "format": "uri" });
    let tool = |name: &str, it: Value| {
        json!({ "name": name, "inputSchema": { "type": "object", "properties": { "it": it },
            "$defs": { "U": url, "Loop": { "anyOf": [{ "type": "array", "items": { "$ref": "#/$defs/Loop" } }, { "$ref": "#/$defs/V" }] },
                "V": { "allOf": [{ "$ref": "#/$defs/U" }] },
                "Deep": { "type": "object", "properties": { "inner": { "$ref": "#/$defs/U" } } } } } })
    };
    let none = json!({ "type": "null" });
    let chosen = [
        // pydantic's `Optional[AnyUrl]`
        tool(
            "any_of",
            json!({ "anyOf": [{ "type": "string", "format": "uri", "minLength": 1 }, none], "default": null }),
        ),
        tool("one_of", json!({ "oneOf": [none, url] })),
        tool("all_of", json!({ "allOf": [{ "description": "x" }, url] })),
        tool("types", json!({ "type": ["string", "null"], "format": "uri" })),
        tool("a_ref", json!({ "$ref": "#/$defs/U" })),
        tool("ref_of_ref", json!({ "anyOf": [{ "$ref": "#/$defs/V" }, none] })),
        tool("cycle", json!({ "$ref": "#/$defs/Loop" })),
        tool("list", json!({ "type": "array", "items": { "$ref": "#/$defs/U" } })),
        tool("list_or_one", json!({ "anyOf": [{ "type": "array", "items": url }, url] })),
        tool("tuple", json!({ "type": "array", "prefixItems": [{ "type": "string" }, url] })),
        tool(
            "words",
            json!({ "anyOf": [{ "type": "string", "description": "URL of the page" }, none] }),
        ),
        tool("title", json!({ "anyOf": [{ "type": "string", "title": "Page URL" }, none] })),
    ];
    let mut cases = Vec::new();
    let inside = "http://169.254.169.254/";
    let mut tools = chosen.to_vec();
    for tool in &chosen {
        let name = tool["name"].as_str().unwrap();
        let shape = |it: &str| match name {
            "list" | "tuple" => json!({ "it": ["https://example.com/", it] }),
            _ => json!({ "it": it }),
        };
        cases.push((name, shape(inside), false));
        cases.push((name, shape("https://example.com/"), true));
    }
    let open = [
        tool("open", json!({ "type": "object", "additionalProperties": url })),
        tool(
            "by_pattern",
            json!({ "type": "object", "patternProperties": { "^x": { "$ref": "#/$defs/U" } } }),
        ),
    ];
    for tool in &open {
        let name = tool["name"].as_str().unwrap();
        cases.push((name, json!({ "it": { "x1": inside } }), false));
        cases.push((name, json!({ "it": { "x1": "https://example.com/" } }), true));
    }
    tools.extend(open.clone());
    let nested = json!({ "it": [["https://example.com/"], [[inside]]] });
    cases.push(("cycle", nested, false));
    tools.push(tool("deep", json!({ "$ref": "#/$defs/Deep" })));
    cases.push(("deep", json!({ "it": { "inner": inside } }), false));
    // What is in an object has names of its own.
    tools.push(tool(
        "object",
        json!({ "anyOf": [{ "type": "object", "description": "has a URL",
        "properties": { "note": { "type": "string" } } }, none] }),
    ));
    cases.push(("object", json!({ "it": { "note": "see http://localhost/" } }), true));
    hold(&home, &tools, &cases);
}

fn v03_paths_with_blanks_and_by_description_are_paths() {
    let home = Home::new();
    let root = rooted(&home);
    let text = |about: &str| json!({ "type": "string", "description": about });
    let properties = json!({ "output": text("File to write the report to"),
        "config": text("Path of the configuration"), "dirname": text(""), "out_file": text(""),
        "workdir": text(""), "dest": text(""), "it": text(""), "format": text("Output format"),
        "content": text(""), "save_to": text("Directory for the images") });
    let tool = json!({ "name": "make_report", "inputSchema": { "type": "object", "properties": properties } });
    let mut cases = Vec::new();
    for name in ["output", "config", "dirname", "out_file", "workdir", "dest", "it", "save_to"] {
        for path in [
            "/etc/my secrets/x",
            "/home/a b/notes.txt",
            "../a b.txt",
            "..",
            "../",
            "/etc/passwd",
            "~/My Documents/x",
        ] {
            cases.push(("make_report", json!({ name: path }), false));
        }
        cases.push(("make_report", json!({ name: format!("{root}/a b/c.txt") }), true));
        cases.push(("make_report", json!({ name: "my notes/a.txt" }), true));
    }
    for name in ["output", "config", "dirname", "out_file", "workdir", "save_to"] {
        cases.push(("make_report", json!({ name: "/data/elsewhere" }), false));
    }
    for prose in [
        "/etc/hosts is a file, and so is /etc/passwd.",
        "see /etc/hosts",
        "../ means the directory above; use it.",
        "/usr is large and /home is larger still than anybody here would ever have thought",
        "and so on ...",
    ] {
        cases.push(("make_report", json!({ "it": prose }), true));
        cases.push(("make_report", json!({ "content": prose }), true));
    }
    cases.push(("make_report", json!({ "format": "/v1/x", "content": ".." }), true));
    hold(&home, &[tool], &cases);
}

fn v06_a_name_is_no_way_round() {
    let home = Home::new();
    home.policy(&format!("{NO_LIMITS}approval_timeout_s = 1\n"));
    let text = json!({ "type": "string" });
    let list = json!({ "type": "array", "items": text });
    let tool = |name: &str, about: &str, properties: Value| {
        json!({ "name": name, "description": about,
            "inputSchema": { "type": "object", "properties": properties } })
    };
    let tools = [
        tool("docker_run", "", json!({ "name": text, "image": text })),
        tool("run_program", "", json!({ "name": text, "args": list })),
        tool("exec", "", json!({ "cmd_name": text, "args": list })),
        tool("spawn_process", "", json!({ "binary": text, "arguments": list })),
        tool("git_clone", "", json!({ "url": text, "directory": text })),
        tool("create_label", "", json!({ "name": text })),
        tool(
            "find_files",
            "Finds files with the `find` command",
            json!({ "expression": text, "command": text }),
        ),
    ];
    let cases = [
        ("docker_run", json!({ "name": "x$(id)" }), false),
        ("docker_run", json!({ "name": "--privileged" }), false),
        ("docker_run", json!({ "name": "-v/:/host" }), false),
        ("docker_run", json!({ "name": "web-1", "image": "nginx:1.27" }), true),
        ("run_program", json!({ "name": "python3", "args": ["-c", "import os"] }), false),
        ("run_program", json!({ "name": "git", "args": ["clone", "-utouch", "a"] }), false),
        ("run_program", json!({ "name": "tar", "args": ["-I", "sh", "-xf", "a"] }), false),
        ("run_program", json!({ "name": "git", "args": ["log", "--oneline"] }), true),
        ("exec", json!({ "cmd_name": "ssh", "args": ["-o", "proxycommand=sh", "h"] }), false),
        ("exec", json!({ "cmd_name": "ls", "args": ["-la"] }), true),
        ("spawn_process", json!({ "binary": "nice", "arguments": ["sh", "-c", "id"] }), false),
        ("git_clone", json!({ "url": "-utouch", "directory": "a" }), false),
        ("git_clone", json!({ "url": "https://github.com/a/b", "directory": "-utouch" }), false),
        ("git_clone", json!({ "url": "https://github.com/a/b", "directory": "b" }), true),
        ("create_label", json!({ "name": "won't fix $(x)" }), true),
        ("find_files", json!({ "expression": "`id`" }), false),
    ];
    hold(&home, &tools, &cases);
}

fn v07_a_host_alone_is_a_host() {
    let home = Home::new();
    home.policy(NO_LIMITS);
    let tool = |name: &str, about: &str| {
        let text = json!({ "type": "string" });
        json!({ "name": name, "description": about, "inputSchema": { "type": "object",
            "properties": { "host": text, "ip": text, "domain": text, "hostname": text, "server": text } } })
    };
    let tools = [
        tool("check_port", "Checks whether a port of a host is open on the network"),
        tool("fetch_headers", "Fetches the HTTP headers of a site"),
        tool("db_connect", "Connects to a PostgreSQL database"),
        tool("create_ticket", "Creates a ticket"),
    ];
    let mut cases = Vec::new();
    for name in ["host", "ip", "domain", "hostname", "server"] {
        for host in [
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "169.254.169.254",
            "[::ffff:10.0.0.1]",
            "metadata.google.internal",
        ] {
            cases.push(("check_port", json!({ name: host }), false));
            cases.push(("fetch_headers", json!({ name: host }), false));
        }
        for host in ["localhost", "127.0.0.1", "10.0.0.1"] {
            cases.push(("fetch_headers", json!({ name: host }), false));
            cases.push(("db_connect", json!({ name: host }), true));
            cases.push(("create_ticket", json!({ name: host }), true));
            cases.push(("check_port", json!({ name: host }), true));
        }
        for tool in ["check_port", "fetch_headers", "db_connect", "create_ticket"] {
            for host in ["example.com", "1.1.1.1", "web-1", "10", "443"] {
                cases.push((tool, json!({ name: host }), true));
            }
        }
    }
    hold(&home, &tools, &cases);
}

fn calls_of_every_day_pass() {
    let home = Home::new();
    let root = rooted(&home);
    let corpus: Value = serde_json::from_str(&HONEST.replace("{root}", &root)).unwrap();
    let (mut tools, mut cases, mut passes) = (Vec::new(), Vec::new(), 0);
    for entry in corpus.as_array().unwrap() {
        tools.push(entry["tool"].clone());
        let name = entry["tool"]["name"].as_str().unwrap();
        for (list, is_passed) in [("passes", true), ("refused", false)] {
            for arguments in entry[list].as_array().into_iter().flatten() {
                passes += usize::from(is_passed);
                cases.push((name.to_owned(), arguments.clone(), is_passed));
            }
        }
    }
    let Seen { wrong, count } = ask(&home, &tools, &cases);
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tools.len() >= 30 && passes >= 60, "{} tools, {passes} calls", tools.len());
}

fn writing_systems_pass_unchanged() {
    let home = Home::new();
    home.policy(NO_LIMITS);
    let text = json!({ "type": "string" });
    let tool = json!({ "name": "write_file", "inputSchema": { "type": "object",
        "properties": { "path": text, "content": text } } });
    let fake = home.fake(Script::default().with(tool));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    let texts = [
        "👩\u{200d}👩\u{200d}👧\u{200d}👦 👩🏽\u{200d}💻 🏴\u{200d}☠\u{fe0f} 🧑\u{200d}🤝\u{200d}🧑 ❤\u{fe0f}\u{200d}🔥 🏳\u{fe0f}\u{200d}⚧\u{fe0f}",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} 1\u{fe0f}\u{20e3} #\u{fe0f}\u{20e3} ✔\u{fe0e}",
        "می\u{200c}خواهم این کتاب\u{200c}ها را به خانه\u{200c}ام ببرم؛ نمی\u{200c}دانم.",
        "خانه\u{200c}های بزرگ\u{200c}تر\nو ه\u{200d} در ه\u{200d}.ش.",
        "क्\u{200d}षमा र्\u{200d}य श्\u{200d}री क्\u{200c}ष",
        "ক্\u{200c}ষ র\u{200d}্য",
        "ശ്രീ ന്\u{200d} അവന്\u{200d} ക്\u{200c}ഷ",
        "ශ්\u{200d}රී ලංකා ක්\u{200d}ෂ",
        "שלום\u{200f}! (abc) ו\u{34f}ֱ",
        "葛\u{e0100}城 ᠮᠣᠩᠭᠣᠯ\u{180b} 한국어 ไทย ខ្មែរ မြန်မာ",
    ];
    for (number, text) in texts.iter().enumerate() {
        let answer =
            probe.ask(&call(number, "write_file", json!({ "path": "a.txt", "content": text })));
        assert!(!is_refusal(&answer), "{text}: {answer}");
    }
    let heard = fake.messages();
    let calls: Vec<&str> =
        heard.iter().filter_map(|it| it["params"]["arguments"]["content"].as_str()).collect();
    for (heard, text) in calls.iter().zip(texts) {
        assert_eq!(*heard, text, "{heard:?} is not {text:?}");
    }
    assert_eq!(calls.len(), texts.len());
    // What nobody sees in other places does not arrive.
    probe.ask(&call(
        "odd",
        "write_file",
        json!({ "path": "a.txt", "content": "a\u{200b}\u{200d}b" }),
    ));
    let heard = fake.messages();
    assert_eq!(heard.last().unwrap()["params"]["arguments"]["content"], "ab");
}
