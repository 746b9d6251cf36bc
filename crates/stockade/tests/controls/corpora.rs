//! Corpora: paths, statements, command lines and URLs, each through the guard, and what arrived.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Fake, Home, NO_LIMITS, Probe, Script, Step, call, is_refusal, request, say};

crate::rows![
    v03_no_path_leaves_the_roots,
    v03_no_uri_leaves_the_roots,
    v05_a_tool_that_reads_is_given_queries_alone,
    v05_a_tool_that_writes_stays_in_its_database,
    v05_statements_and_texts_are_told_apart_at_every_tool,
    v06_no_command_is_smuggled_in,
    v07_no_url_leads_inside,
];

/// The lines of a corpus, with what `\n`, `\u{…}` and the like stand for, and what a place is.
fn lines(corpus: &str, places: &[(&str, &str)]) -> Vec<String> {
    let lines = corpus.lines().filter(|it| !it.is_empty() && !it.starts_with("# "));
    lines
        .map(|it| places.iter().fold(it.to_owned(), |it, (name, is)| it.replace(name, is)))
        .map(|it| unescape(&it))
        .collect()
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(it) = rest.next() {
        if it != '\\' {
            plain.push(it);
            continue;
        }
        plain.push(match rest.next().unwrap() {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            '\\' => '\\',
            'u' => {
                let digits: String = rest.by_ref().skip(1).take_while(|it| *it != '}').collect();
                char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
            }
            other => panic!("{text}: \\{other}"),
        });
    }
    plain
}

/// `KIND | TEXT`.
fn pair(line: &str) -> (&str, &str) {
    line.split_once(" | ").unwrap_or_else(|| panic!("{line}"))
}

/// Calls that are to be refused, and those that are to pass, through one guard. Nothing of the first
/// arrives, all of the second does, and there are at least so many of both.
#[track_caller]
fn hold(home: &Home, fake: &Fake, refused: &[Value], passed: &[Value]) {
    let mut probe = Probe::run(home, fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    let mut wrong = Vec::new();
    for (cases, is_refused) in [(refused, true), (passed, false)] {
        for (number, case) in cases.iter().enumerate() {
            let mut case = case.clone();
            case["id"] = format!("{is_refused}{number}").into();
            let answer = probe.ask(&case);
            if is_refusal(&answer) != is_refused {
                wrong.push(format!("{}: {answer}", case["params"]));
            }
        }
    }
    let count = refused.len() + passed.len();
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    let heard = fake.messages();
    let arrived = heard.iter().filter(|it| it["method"] == passed[0]["method"]).count();
    assert_eq!(arrived, passed.len(), "what is refused does not arrive");
}

/// A root, with what is in it and beside it, and what the corpora call that.
fn root(home: &Home) -> String {
    let root = home.path().join("files/Project");
    std::fs::create_dir_all(root.join("a")).unwrap();
    let root = root.canonicalize().unwrap();
    home.policy(&format!("roots = [\"{}\"]\n{NO_LIMITS}", root.display()));
    root.to_str().unwrap().to_owned()
}

fn of_root(corpus: &str, root: &str) -> Vec<String> {
    let (parent, name) = root.rsplit_once('/').unwrap();
    let upper = format!("{parent}/{}", name.to_uppercase());
    lines(corpus, &[("{root}", root), ("{parent}", parent), ("{name}", name), ("{upper}", &upper)])
}

fn v03_no_path_leaves_the_roots() {
    let home = Home::new();
    let root = root(&home);
    let text = json!({ "type": "string" });
    let list = |items: &Value| json!({ "type": "array", "items": items });
    let deep = json!({ "type": "object", "properties": { "filePath": text, "content": text } });
    let schema = json!({ "type": "object", "properties": {
        "path": text, "paths": list(&text), "edits": list(&deep), "content": text,
        "it": { "type": "string", "description": "Absolute path of the file to read" } } });
    let fake = home.fake(Script::default().with(json!({ "name": "t", "inputSchema": schema })));
    let shapes = |path: &str| {
        [
            json!({ "path": path }),
            json!({ "paths": ["a.txt", path] }),
            json!({ "edits": [{ "filePath": path, "content": "../x and /etc/passwd\n" }] }),
            json!({ "it": path, "content": path.len().to_string() }),
        ]
    };
    let calls = |corpus: &[String]| -> Vec<Value> {
        corpus.iter().flat_map(|it| shapes(it)).map(|it| call(0, "t", it)).collect()
    };
    let refused = of_root(include_str!("corpora/paths_refused.txt"), &root);
    let passed = of_root(include_str!("corpora/paths_passed.txt"), &root);
    assert!(refused.len() >= 150 && passed.len() >= 60, "{} {}", refused.len(), passed.len());
    let (mut refused, mut passed) = (calls(&refused), calls(&passed));
    assert!(refused.len() >= 600);
    // Of a tool that was never listed, and in what a prompt or a template is completed with.
    refused.push(call(0, "unlisted", json!({ "options": { "target_file": "/etc/passwd" } })));
    refused.push(call(0, "unlisted", json!({ "anything": "../../etc/passwd" })));
    refused.push(call(0, "unlisted", json!({ "anything": "%2e%2e/%2e%2e/etc/passwd" })));
    refused.push(call(0, "unlisted", json!({ "files": { "/etc/passwd": "x" } })));
    let completed = json!({ "ref": { "type": "ref/resource", "uri": "docs:///{path}" },
        "argument": { "name": "path", "value": "../../etc/pass" } });
    refused.push(request(0, "completion/complete", completed));
    let prompt = json!({ "name": "p", "arguments": { "value": "x", "name": "path", "path": "/etc/passwd" } });
    refused.push(request(0, "prompts/get", prompt));
    passed.push(call(0, "unlisted", json!({ "source": "fn main() {\n    // ../x\n}\n" })));
    hold(&home, &fake, &refused, &passed);
}

fn v03_no_uri_leaves_the_roots() {
    let home = Home::new();
    let root = root(&home);
    let template = json!({ "uriTemplate": "docs:///{+path}", "name": "docs" });
    let content = json!({ "jsonrpc": "2.0", "id": "$id",
        "result": { "contents": [{ "uri": "docs:///a", "text": "x" }] } });
    let templates = json!({ "jsonrpc": "2.0", "id": "$id",
        "result": { "resourceTemplates": [template] } });
    let fake = home.fake(
        Script::default()
            .on("resources/read", [say(content)])
            .on("resources/templates/list", [say(templates)]),
    );
    let read = |it: String| request(0, "resources/read", json!({ "uri": it }));
    let refused = of_root(include_str!("corpora/uris_refused.txt"), &root);
    let passed = [
        "docs:///a/b.md",
        "docs://a/b..c/d",
        "docs:///a%20b.md",
        "note://today",
        "note://a/../b",
        "db://main/tables/users?limit=10",
        "https://example.com/a",
        "file://{root}/a.txt",
        "file://{root}/with%20space.txt",
        "ui://widget/main.html#x",
        "urn:isbn:0451450523",
        "memo://insights",
    ];
    let passed = passed.iter().filter(|it| **it != "note://a/../b");
    let passed = passed.map(|it| it.replace("{root}", &root)).map(read);
    let refused: Vec<Value> = refused.into_iter().map(read).collect();
    hold(&home, &fake, &refused, &passed.collect::<Vec<_>>());
}

const ATTACKS: &str = include_str!("../../../stockade-kit/tests/query/attacks.txt");
const LEGAL: &str = include_str!("../../../stockade-kit/tests/query/legal.txt");

/// A tool for statements, by what it is called and said to do.
fn sql_tool(name: &str, about: &str) -> Value {
    let schema = json!({ "type": "object", "properties": {
        "query": { "type": "string", "description": "The SQL query to execute" } } });
    json!({ "name": name, "description": about, "inputSchema": schema })
}

fn v05_a_tool_that_reads_is_given_queries_alone() {
    let home = Home::new();
    home.policy(NO_LIMITS);
    let mut script = Script::default().with(sql_tool("read_query", "Read from the database"));
    for (name, about) in [
        ("sqlite", "Execute a read-only SQL query on SQLite"),
        ("postgres", "Run a read-only query on PostgreSQL"),
        ("mysql", "Run SQL queries on MySQL (READ-ONLY)"),
        ("duckdb", "Read-only queries of DuckDB"),
    ] {
        script = script.with(sql_tool(name, about));
    }
    let fake = home.fake(script);
    let calls = |corpus: &str| -> Vec<Value> {
        let mut calls = Vec::new();
        for line in lines(corpus, &[("{out}", "/out")]) {
            let Some((head, sql)) = line.split_once('|') else { panic!("{line}") };
            let dialect = head.trim();
            let sql = sql.strip_prefix(' ').unwrap_or(sql);
            // An empty argument is none, and what one database alone reads so is for its tool.
            if sql.trim().is_empty() {
                continue;
            }
            calls.push(call(0, dialect.trim_end_matches('!').trim(), json!({ "query": sql })));
            if !dialect.ends_with('!') {
                calls.push(call(0, "read_query", json!({ "query": sql })));
            }
        }
        calls
    };
    let (refused, passed) = (calls(ATTACKS), calls(LEGAL));
    assert!(refused.len() >= 300 && passed.len() >= 150, "{} {}", refused.len(), passed.len());
    hold(&home, &fake, &refused, &passed);
}

fn v05_a_tool_that_writes_stays_in_its_database() {
    let home = Home::new();
    home.policy(&format!(
        "[[arguments]]\ntool = \"batch\"\nsql = \"any\"\n\
         [[arguments]]\ntool = \"report\"\nkinds = {{ filter = \"sql\" }}\nsql = \"read\"\n{NO_LIMITS}approval_timeout_s = 1\n"
    ));
    let write = "Execute an INSERT, UPDATE, or DELETE query on the SQLite database";
    let fake = home.fake(
        Script::default()
            .with(sql_tool("write_query", write))
            .with(sql_tool("execute_sql", "Execute a statement on PostgreSQL"))
            .with(sql_tool("batch", "Run SQL"))
            .with(sql_tool("report", "Make a report")),
    );
    let one = |tool: &str, it: &str| call(0, tool, json!({ "query": it }));
    let refused = [
        one("write_query", "INSERT INTO notes VALUES (1); DROP TABLE notes"),
        one("write_query", "ATTACH DATABASE '/etc/x.db' AS x"),
        one("write_query", "SELECT load_extension('/tmp/x.so')"),
        one("write_query", "INSERT INTO notes VALUES (readfile('/etc/passwd'))"),
        one("write_query", "SELECT writefile('/tmp/x', 'y')"),
        one("write_query", "VACUUM INTO '/tmp/x.db'"),
        one("write_query", "PRAGMA writable_schema = 1"),
        one("write_query", "INSERT INTO notes VALUES (\u{2018}a\u{2019})"),
        one("execute_sql", "COPY notes TO PROGRAM 'touch /tmp/x'"),
        one("execute_sql", "COPY notes FROM '/etc/passwd'"),
        one("execute_sql", "SELECT lo_import('/etc/passwd')"),
        one("execute_sql", "UPDATE notes SET text = pg_read_file('/etc/passwd')"),
        one("execute_sql", "CREATE EXTENSION plpython3u"),
        one("execute_sql", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'"),
        one("execute_sql", "ALTER SYSTEM SET log_directory = '/tmp'"),
        one("execute_sql", "CREATE ROLE eve SUPERUSER"),
        one("execute_sql", "GRANT ALL ON notes TO eve"),
        one("execute_sql", "SET ROLE postgres"),
        one("execute_sql", "DO $$ BEGIN PERFORM 1; END $$"),
        one("execute_sql", "UPDATE notes SET text = ''; DELETE FROM notes"),
        one("write_query", "DROP TABLE notes"),
        one("execute_sql", "UPDATE notes SET seen = now()"),
        call(0, "report", json!({ "filter": "DELETE FROM notes" })),
        call(0, "unlisted", json!({ "sql": "SELECT 1; DROP TABLE notes" })),
        call(0, "unlisted_read", json!({ "query": "DROP TABLE notes; SELECT 1" })),
    ];
    let passed = [
        one("write_query", "INSERT INTO notes (text) VALUES ('a; b -- c')"),
        one("write_query", "INSERT OR REPLACE INTO notes VALUES (1, 'it''s')"),
        one("write_query", "INSERT INTO notes VALUES (1, 'C:\\path')"),
        one("write_query", "UPDATE notes SET text = upper(text) WHERE id = 1"),
        one("write_query", "DELETE FROM notes WHERE id IN (SELECT id FROM old)"),
        one(
            "write_query",
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, language TEXT, server TEXT)",
        ),
        one("write_query", "CREATE INDEX i ON notes (text)"),
        one("write_query", "ALTER TABLE notes ADD COLUMN system TEXT"),
        one("write_query", "SELECT count(*) FROM notes"),
        one(
            "write_query",
            "WITH x AS (SELECT 1 AS id) DELETE FROM notes WHERE id IN (SELECT id FROM x)",
        ),
        one("execute_sql", "INSERT INTO notes (text) VALUES ('a') RETURNING id"),
        one("execute_sql", "UPDATE notes SET seen = now() WHERE seen IS NULL"),
        one("execute_sql", "SELECT 1"),
        one("batch", "INSERT INTO notes VALUES (1); DELETE FROM notes"),
        call(0, "report", json!({ "filter": "SELECT 1" })),
        call(0, "unlisted", json!({ "query": "select a restaurant for tonight" })),
        call(0, "echo", json!({ "text": "SELECT 1; DROP TABLE notes" })),
    ];
    hold(&home, &fake, &refused, &passed);
}

fn v05_statements_and_texts_are_told_apart_at_every_tool() {
    let home = Home::new();
    home.policy(&format!("{NO_LIMITS}approval_timeout_s = 1\n"));
    let tools: Vec<Value> =
        serde_json::from_str(include_str!("corpora/statements_tools.json")).unwrap();
    // Two databases may call their tool the same, so each has a number; what it says stays.
    let called = |tool: &Value| {
        let number = tools.iter().position(|it| it["name"] == tool["name"]).unwrap();
        format!("{}_{number}", tool["called"].as_str().unwrap())
    };
    let mut script = Script::default();
    for tool in &tools {
        let argument = tool["argument"].as_str().unwrap();
        let schema = json!({ "type": "object", "properties": { argument: { "type": "string" } } });
        script = script.with(json!({ "name": called(tool), "description": tool["description"],
            "inputSchema": schema }));
    }
    let calls = |corpus: &str| -> Vec<Value> {
        let calls = lines(corpus, &[]).into_iter().map(|line| {
            let (name, text) = pair(&line);
            let tool = tools.iter().find(|it| it["name"] == name).unwrap();
            call(0, &called(tool), json!({ tool["argument"].as_str().unwrap(): text }))
        });
        calls.collect()
    };
    let mut refused = calls(include_str!("corpora/statements_refused.txt"));
    let passed = calls(include_str!("corpora/statements_passed.txt"));
    assert!(refused.len() >= 80 && passed.len() >= 150, "{} {}", refused.len(), passed.len());
    // A tool that was never listed is looked at as one that was.
    let unlisted = include_str!("corpora/statements_refused.txt");
    let unlisted = lines(unlisted, &[]).into_iter().filter_map(|line| {
        let (name, text) = pair(&line);
        (name == "run_query").then(|| call(0, "run_query", json!({ "query": text })))
    });
    refused.extend(unlisted);
    hold(&home, &home.fake(script), &refused, &passed);
}

/// A server that puts arguments into lines for a shell, as many do.
fn shells(home: &Home) -> Fake {
    let text = json!({ "type": "string" });
    let tool = |name: &str, argument: &str| {
        let schema = json!({ "type": "object", "properties": { argument: text } });
        json!({ "name": name, "inputSchema": schema })
    };
    let mut script = Script::default();
    for (name, argument, line) in SHELLS {
        let step = Step::Shell((*line).to_owned(), (*argument).to_owned());
        let done = json!({ "jsonrpc": "2.0", "id": "$id", "result": { "content": [] } });
        script = script.with(tool(name, argument)).on_tool(name, [step, say(done)]);
    }
    home.fake(script)
}

const SHELLS: &[(&str, &str, &str)] = &[
    ("run_command", "command", "{}"),
    ("list_args", "words", "ls {}"),
    ("git_log", "branch", "echo log {}"),
    ("ping", "host", "echo ping {}"),
    ("show", "path", "echo show {}"),
    ("git_clone", "repo_url", "echo clone {}"),
    ("docker_thing", "anything", "echo {}"),
];

fn v06_no_command_is_smuggled_in() {
    let home = Home::new();
    let canary = home.path().join("canary");
    let canary = |it: &str| it.replace("{canary}", canary.to_str().unwrap());
    let is_there = || Path::new(&canary("{canary}")).exists();
    let as_calls = |corpus: &str| -> Vec<Value> {
        let calls = lines(&canary(corpus), &[]).into_iter().map(|line| {
            let (kind, text) = pair(&line);
            let (tool, argument, _) = SHELLS.iter().find(|it| it.1 == kind).unwrap();
            call(0, tool, json!({ *argument: text }))
        });
        calls.collect()
    };
    let kinds = "[[arguments]]\ntool = \"list_args\"\nkinds = { words = \"words\" }\n";
    home.policy(&format!("{kinds}{NO_LIMITS}"));
    let fake = shells(&home);
    let mut refused = as_calls(include_str!("corpora/commands_refused.txt"));
    let passed = as_calls(include_str!("corpora/commands_passed.txt"));
    assert!(refused.len() >= 100 && passed.len() >= 60, "{} {}", refused.len(), passed.len());
    for (program, arguments) in [
        ("sh", json!(["-c", "touch x"])),
        ("python3", json!(["-c", "import os"])),
        ("npx", json!(["-c", "touch x"])),
        ("git", json!(["fetch", "--upload-pack=touch x"])),
        ("find", json!([".", "-exec", "touch", "x", "+"])),
    ] {
        refused.push(call(0, "unlisted", json!({ "command": program, "args": arguments })));
        let whole: Vec<Value> =
            [program.into()].into_iter().chain(arguments.as_array().unwrap().clone()).collect();
        refused.push(call(0, "unlisted", json!({ "command": whole })));
    }
    hold(&home, &fake, &refused, &passed);
    assert!(!is_there(), "nothing of it was run");

    // The same server, with nobody in front of it who looks.
    home.policy(&format!("{kinds}{NO_LIMITS}\n[rules]\ncommand_injection = \"allow\""));
    let mut probe = Probe::run(&home, &shells(&home)).begin();
    for tool in ["run_command", "git_log", "docker_thing"] {
        let line = canary("x; touch {canary}");
        let argument = SHELLS.iter().find(|it| it.0 == tool).unwrap().1;
        assert!(!is_refusal(&probe.ask(&call(tool, tool, json!({ argument: line })))));
        assert!(is_there(), "{tool} runs what it is given");
        std::fs::remove_file(canary("{canary}")).unwrap();
    }
}

fn v07_no_url_leads_inside() {
    let home = Home::new();
    home.policy(&format!(
        "hosts = [\"localhost:4000\", \"*.dev.internal\", \"10.9.0.0/16\"]\n{NO_LIMITS}"
    ));
    let text = json!({ "type": "string" });
    let schema = json!({ "type": "object", "properties": {
        "url": text, "links": { "type": "array", "items": text },
        "it": { "type": "string", "format": "uri" }, "text": text } });
    let fake = home.fake(Script::default().with(json!({ "name": "fetch", "inputSchema": schema })));
    let shapes = |url: &str| {
        [
            call(0, "fetch", json!({ "url": url, "text": "see http://localhost/" })),
            call(0, "fetch", json!({ "links": ["https://example.com/", url] })),
            call(0, "fetch", json!({ "it": url })),
            call(0, "unlisted", json!({ "request": { "webhook": url } })),
        ]
    };
    let calls = |corpus: &str| -> Vec<Value> {
        lines(corpus, &[]).iter().flat_map(|it| shapes(it)).collect()
    };
    let mut refused = calls(include_str!("corpora/urls_refused.txt"));
    let mut passed = calls(include_str!("corpora/urls_passed.txt"));
    assert!(refused.len() >= 400 && passed.len() >= 160, "{} {}", refused.len(), passed.len());
    refused.push(call(0, "unlisted", json!({ "url": "http://localhost:4001/" })));
    refused.push(call(0, "unlisted", json!({ "path": "http://169.254.169.254/" })));
    refused.push(call(0, "http_get", json!({ "anything": "http://169.254.169.254/" })));
    passed.push(call(0, "unlisted", json!({ "url": "http://localhost:4000/a" })));
    passed.push(call(0, "unlisted", json!({ "url": "http://api.dev.internal/a" })));
    passed.push(call(0, "unlisted", json!({ "url": "http://10.9.8.7/a" })));
    passed.push(call(0, "create_entities", json!({ "observation": "http://localhost:3000" })));
    hold(&home, &fake, &refused, &passed);
}
