//! What a server's process touches, call by call; what it says of itself held against that; and the
//! policy that is learnt from it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::harness::home::copy_stockade;
use crate::harness::{Gateway, Home, Probe, call, is_refusal, process, request, text, wait_for};

crate::rows![
    x13_what_each_call_touches_is_written_down,
    x13_calls_at_once_are_told_apart_or_said_to_be,
    x13_a_flood_fills_no_disk,
    x13_long_names_hide_nothing,
    x13_what_is_outside_of_calls_is_written_down,
    x13_a_command_says_what_it_touched,
    x13_whom_it_reaches_is_named_and_learnt,
    x13_only_what_is_held_is_traced,
    x13_what_is_learnt_is_what_was_used,
    x13_learning_writes_and_loosens_nothing,
    c11_a_tool_that_does_what_it_says_it_does_not_is_found,
    c11_what_a_tool_says_decides_nothing,
    c11_what_a_tool_was_seen_doing_is_asked_about_next_time,
    c11_the_same_behind_a_gateway,
];

/// A server that does what it is told, one thread a call, and says what came of it. Paths come
/// reversed, so that no check of arguments knows them.
const SERVER: &str = r#"
import json, os, socket, subprocess, sys, threading
meeting = threading.Barrier(2)
lock = threading.Lock()
def do(what, about):
    if what == "read": open(about).read()
    elif what == "list": os.listdir(about)
    elif what == "write": open(about, "w").write("x")
    elif what == "around": open("/proc/self/attr/../root" + about, "w").write("x")
    elif what == "gone":
        os.mkdir("/tmp/gone"); gone = os.open("/tmp/gone", os.O_PATH); os.rmdir("/tmp/gone")
        os.close(os.open("../.." + about, os.O_WRONLY | os.O_CREAT, dir_fd=gone))
    elif what == "lost":
        # More names than are looked up.
        ends = [f"/tmp/l{n}" for n in range(1, 6)] + [about]
        for n, end in enumerate(ends): os.symlink("/tmp/.." * 500 + end, f"/tmp/l{n}")
        open("/tmp/l0", "w").write("x")
    elif what == "make": os.mkdir(about)
    elif what == "move": os.rename(about, about + ".moved")
    elif what == "remove": os.remove(about)
    elif what == "run": subprocess.run([about], check=True)
    elif what == "flood":
        for n in range(2000): open(os.path.join(about, str(n)), "w").close()
    elif what == "long":
        ways = [lambda it: open(it), lambda it: open(it, "w"), lambda it: os.execv(it, ["x"])]
        for n in range(100):
            for way in ways:
                try: way(f"{about}/{n}/" + "/".join(["\x01" * 250] * 4))
                except OSError: pass
    elif what == "send": socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (about, 53))
    elif what == "fetch":
        host, port = about.split(":"); stream = socket.create_connection((host, int(port)), 20)
        stream.sendall(b"GET / HTTP/1.1\r\nhost: " + about.encode() + b"\r\n\r\n")
        if b"canary" not in stream.recv(4096): raise OSError("nobody")
    elif what == "own":
        server = socket.create_server(("127.0.0.1", 0)); socket.create_connection(server.getsockname())
    elif what == "meet": meeting.wait(20)
    elif what == "later": threading.Timer(0.2, lambda: open(about, "w").write("x")).start()
def tool(name, **hints):
    return {"name": name, "inputSchema": {"type": "object"}, "annotations": hints}
tools = [tool("plain"), tool("reads", readOnlyHint=True), tool("closed", openWorldHint=False),
    tool("searches", readOnlyHint=True, openWorldHint=True)]
def answer(asked):
    if asked["method"] == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "touches", "version": "1"}}
    elif asked["method"] == "tools/list": result = {"tools": tools}
    elif asked["method"] == "tools/call":
        done = []
        for what, about in asked["params"]["arguments"]["deeds"]:
            try: do(what, about[::-1]); done.append("done")
            except OSError as error: done.append("no")
        result = {"content": [{"type": "text", "text": " ".join(done)}]}
    else: result = {}
    with lock: print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked: threading.Thread(target=answer, args=(asked,)).start()
"#;

const NOBODY: u32 = 65534;

/// Whoever runs the tests, and where that is root, an ordinary user as well.
fn each_user() -> Vec<Option<u32>> {
    let is_root = rustix::process::geteuid().is_root();
    [None].into_iter().chain(is_root.then_some(Some(NOBODY))).collect()
}

/// Directories to be touched, the server's script, and who is there.
struct Place {
    home: Home,
    user: Option<u32>,
}

impl Place {
    fn new(user: Option<u32>) -> Self {
        let home = Home::new();
        for name in ["read/deep/file", "read/deep/other", "write/there/file", "program/tool"] {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "#!/bin/sh\n").unwrap();
        }
        let tool = home.path().join("program/tool");
        fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(home.path().join("server.py"), SERVER).unwrap();
        let place = Self { home, user };
        if let Some(user) = user {
            copy_stockade(&place.path("stockade"));
            give(place.home.path(), user);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The built binary, started by this user.
    fn stockade(&self, args: &[&str]) -> Command {
        let mut command = self.home.stockade(args);
        if let Some(user) = self.user {
            // The build is in a place that is not everybody's.
            let mut other = Command::new(self.path("stockade"));
            other.args(args).current_dir(self.home.path()).uid(user).gid(user);
            other.env_clear().envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
            command = other;
        }
        // That of `/usr`, which every user has.
        command.env("PATH", "/usr/bin:/bin");
        command
    }

    fn held(&self, command: &str) -> Command {
        let mut held = self.stockade(&[command]);
        held.args(self.home.state()).args(["--allow-weaker", "memory"]);
        held
    }

    fn traced(&self, command: &str) -> Command {
        let mut traced = self.held(command);
        let write = format!("{}:rw", self.text("write"));
        traced.args(["--trace", "--root", &self.text("read"), "--root", &write]);
        traced.args(["--program", &self.text("program")]);
        traced
    }

    fn server(&self) -> [OsString; 3] {
        ["--".into(), "python3".into(), self.path("server.py").into()]
    }

    fn begin(&self) -> Probe {
        let mut probe = Probe::of(self.traced("run").args(self.server())).begin();
        probe.ask(&request("list", "tools/list", json!({})));
        probe
    }

    /// `what` is a deed, and for those that have one, a path in this place.
    fn asks(&self, id: &str, tool: &str, deeds: &[(&str, &str)]) -> Value {
        let deeds = deeds.iter().map(|(what, about)| {
            let plain = about.is_empty() || about.starts_with(['/', '1']) || about.contains(':');
            let about = if plain { (*about).to_owned() } else { self.text(about) };
            json!([what, about.chars().rev().collect::<String>()])
        });
        call(id, tool, json!({ "deeds": deeds.collect::<Vec<_>>() }))
    }

    /// The outcomes of calls, as they are in the ledger, in order.
    fn outcomes(&self) -> Vec<Value> {
        let outcomes = self.home.records_of("outcome");
        outcomes.into_iter().filter(|it| it["method"] == "tools/call").collect()
    }

    fn paths(&self, names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|it| self.text(it)).collect()
    }

    fn learn(&self, args: &[&str]) -> Output {
        let mut learn = self.stockade(&["policy", "learn"]);
        learn.args(self.home.state()).args(args).stdin(Stdio::null()).output().unwrap()
    }
}

fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|it| give(&it.unwrap().path(), user));
    }
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One list of what was touched.
fn list(record: &Value, name: &str) -> BTreeSet<String> {
    let list = record["touched"][name].as_array().into_iter().flatten();
    list.map(|it| it.as_str().unwrap().to_owned()).collect()
}

fn rules(record: &Value) -> Vec<&str> {
    let findings = record["findings"].as_array().into_iter().flatten();
    findings.map(|it| it["rule"].as_str().unwrap()).collect()
}

const OBSERVED: &str = "observed_not_declared";

fn x13_what_each_call_touches_is_written_down() {
    for user in each_user() {
        let place = Place::new(user);
        let mut probe = place.begin();
        let all: &[(&str, &str)] = &[
            ("read", "read/deep/file"),
            ("list", "read/deep"),
            ("write", "write/new"),
            ("make", "write/dir"),
            ("move", "write/there/file"),
            ("remove", "write/new"),
            ("run", "program/tool"),
            ("own", ""),
            ("write", "/tmp/scratch"),
        ];
        let no: &[(&str, &str)] = &[
            ("read", "/etc/shadow"),
            ("read", "read/nothing"),
            ("write", "read/deep/file"),
            ("write", "program/tool"),
            ("run", "write/there/file.moved"),
            ("send", "192.0.2.7"),
        ];
        let answer = probe.ask(&place.asks("all", "plain", all));
        assert_eq!(text(&answer), vec!["done"; all.len()].join(" "), "{user:?}");
        let answer = probe.ask(&place.asks("no", "plain", no));
        assert_eq!(text(&answer), vec!["no"; no.len()].join(" "), "{user:?}");
        probe.ask(&place.asks("nothing", "plain", &[]));
        assert_eq!(probe.end().code, Some(0));
        let [done, refused, nothing] = place.outcomes().try_into().unwrap();
        // Exactly what the server says that it has done.
        let deep = format!("{}/", place.text("read/deep"));
        assert_eq!(list(&done, "read"), [place.text("read/deep/file"), deep].into(), "{done}");
        let moved = ["write/there/file", "write/there/file.moved"];
        let written = place.paths(&["write/new", "write/dir", moved[0], moved[1]]);
        assert_eq!(list(&done, "written"), written, "{done}");
        assert!(list(&done, "executed").contains(&place.text("program/tool")), "{done}");
        assert!(list(&done, "used").contains("/tmp"), "{done}");
        assert!(list(&done, "own").iter().any(|it| it.starts_with("127.0.0.1:")), "{done}");
        assert_eq!(list(&done, "reached"), BTreeSet::new());
        let nothing_of = |record: &Value, lists: &[&str]| {
            assert!(lists.iter().all(|it| list(record, it).is_empty()), "{record}");
        };
        nothing_of(&refused, &["read", "written", "reached"]);
        let hidden = list(&refused, "refused");
        for (what, path) in [
            ("read", "/etc/shadow".to_owned()),
            ("write", place.text("read/deep/file")),
            ("write", place.text("program/tool")),
            ("execute", place.text("write/there/file.moved")),
            ("connect", "192.0.2.7:53".to_owned()),
        ] {
            assert!(hidden.contains(&format!("{what} {path}")), "{what} {path}: {refused}");
        }
        assert!(!hidden.iter().any(|it| it.ends_with("nothing")), "it is only not there");
        nothing_of(&nothing, &["read", "written", "executed", "reached", "own", "refused"]);
        assert!(nothing["touched"].is_object() && nothing["touched"]["among"].is_null());
        let shown = place.home.audit(&["query", "--call", done["call"].as_str().unwrap()]);
        let shown = said(&shown.stdout);
        assert!(shown.contains(&format!("; wrote {}", place.text("write/dir"))), "{shown}");
        assert!(place.home.is_whole());
    }
}

fn x13_calls_at_once_are_told_apart_or_said_to_be() {
    let place = Place::new(None);
    let mut probe = place.begin();
    let mut both = |one: (&str, &str, &str), two: (&str, &str, &str)| {
        for (tool, what, about) in [one, two] {
            let id = format!("{tool} {what} {about}");
            probe.send(&place.asks(&id, tool, &[("meet", ""), (what, about), ("meet", "")]));
        }
        for _ in [one, two] {
            assert!(!is_refusal(&probe.next().unwrap()));
        }
    };
    both(("reads", "read", "read/deep/file"), ("plain", "write", "write/one"));
    both(("reads", "read", "read/deep/other"), ("reads", "write", "write/two"));
    probe.ask(&place.asks("alone", "reads", &[("read", "read/deep/file")]));
    probe.end();
    let mut outcomes = place.outcomes();
    // In the order in which they began.
    outcomes.sort_by_key(|it| {
        it["call"].as_str().unwrap().rsplit('.').next().unwrap().parse::<u32>().unwrap()
    });
    for record in outcomes.iter().take(4) {
        assert_eq!(record["touched"]["among"], 2, "{record}");
    }
    assert!(outcomes[4]["touched"]["among"].is_null());
    assert_eq!(list(&outcomes[4], "written"), BTreeSet::new());
    for (record, written) in
        outcomes.iter().zip(["write/one", "write/one", "write/two", "write/two"])
    {
        assert_eq!(list(record, "written"), place.paths(&[written]), "{record}");
    }
    // Beside a call that may write, nobody knows who did; where neither may, each is suspect.
    let found: Vec<usize> = outcomes.iter().map(|it| rules(it).len()).collect();
    assert_eq!(found, [0, 0, 1, 1, 0]);
}

fn x13_a_flood_fills_no_disk() {
    let place = Place::new(None);
    let mut probe = place.begin();
    for number in 0..3 {
        let flood = [("flood", "write/there"), ("read", "read/deep/file")];
        probe.ask(&place.asks(&format!("{number}"), "plain", &flood));
    }
    probe.end();
    for record in place.outcomes() {
        let written = list(&record, "written");
        assert_eq!(written.len(), 101, "{record}");
        assert!(written.contains(&place.text("write/**")));
        assert_eq!(list(&record, "read"), place.paths(&["read/deep/file"]), "none is hidden by it");
        assert!(record["touched"]["more"].as_u64().unwrap() >= 1900);
        assert!(record.to_string().len() < 64 << 10);
    }
}

/// Names that are six times as long where they are written down.
fn x13_long_names_hide_nothing() {
    let place = Place::new(None);
    let deeds = [("write", "write/made"), ("long", "/nope")];
    let mut probe = place.begin();
    let answer = probe.ask(&place.asks("1", "plain", &deeds));
    assert_eq!(text(&answer), "done done");
    probe.end();
    let mut serve = place.traced("serve");
    serve.args(["--listen", "127.0.0.1:0"]).args(place.server());
    let gateway = Gateway::start(&mut serve);
    let mut connection = gateway.connect();
    connection.begin_legacy();
    let answer = connection.post(&[], &place.asks("1", "plain", &deeds)).message();
    assert_eq!(text(&answer), "done done");
    gateway.end();
    let outcomes = place.outcomes();
    assert_eq!(outcomes.len(), 2);
    for record in outcomes {
        assert_eq!(list(&record, "written"), place.paths(&["write/made"]));
        assert!(record["touched"]["more"].as_u64().unwrap() >= 200, "{record}");
        assert!(record.to_string().len() < 512 << 10);
    }
}

fn x13_what_is_outside_of_calls_is_written_down() {
    let place = Place::new(None);
    let mut probe = place.begin();
    probe.ask(&place.asks("later", "reads", &[("later", "write/later")]));
    wait_for("the server to write", || place.path("write/later").exists().then_some(()));
    probe.end();
    let [begun, outside] = place.home.records_of("touched").try_into().unwrap();
    assert_eq!(
        list(&begun, "roots"),
        [format!("{}:ro", place.text("read")), format!("{}:rw", place.text("write")),].into()
    );
    assert_eq!(list(&outside, "written"), place.paths(&["write/later"]), "{outside}");
    assert!(list(&outside, "executed").iter().any(|it| it.contains("python3")), "{outside}");
    assert_eq!(rules(&place.outcomes()[0]), [""; 0], "it is of no call");
}

fn x13_a_command_says_what_it_touched() {
    for user in each_user() {
        let place = Place::new(user);
        let root = format!("{}:rw", place.text("write"));
        let script = "cat there/file; echo x > made; cat /etc/shadow; cat /run/secrets/WORD > made; printf '\\033[2J' > /dev/null; \
                      : > \"$(printf 'a\\033b')\"; exit 7";
        let run = |options: &[&str]| {
            let mut sandbox = place.stockade(&["sandbox", "--allow-weaker", "memory"]);
            sandbox.env("WORD", "s3cret").args(["--secret", "WORD"]);
            sandbox.args(["--root", &root]).args(options).args(["--", "sh", "-c", script]);
            sandbox.stdin(Stdio::null()).output().unwrap()
        };
        let out = run(&["--trace"]);
        assert_eq!(out.status.code(), Some(7), "the command's own");
        let (file, made) = (place.text("write/there/file"), place.text("write/made"));
        let odd = place.text("write/a\u{fffd}b");
        let told = said(&out.stderr);
        for part in [
            format!("read\n  {file}\n"),
            format!("written\n  {odd}\n  {made}\n"),
            "executed\n  /usr/bin/cat\n".to_owned(),
            "refused to read\n".to_owned(),
            "  /etc/shadow\n".to_owned(),
            "  /run/secrets/WORD\n".to_owned(),
        ] {
            assert!(told.contains(&part), "{part}: {told}");
        }
        assert!(!said(&out.stdout).contains("refused"), "that is the command's");
        assert!(!told.contains("s3cret"), "{told}");
        let report = place.path("report");
        let out = run(&[&format!("--trace={}", report.display()), "--format", "json"]);
        assert!(!said(&out.stderr).contains("refused"), "{}", said(&out.stderr));
        let touched: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
        assert_eq!(touched["read"], json!([file]), "{touched}");
        assert!(touched["refused"].as_array().unwrap().contains(&json!("read /etc/shadow")));
        let quiet = run(&[]);
        assert!(!said(&quiet.stderr).contains("executed"), "only when it is asked for");
    }
}

fn x13_whom_it_reaches_is_named_and_learnt() {
    let place = Place::new(None);
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = canary.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in canary.incoming().map_while(Result::ok) {
            let _asked = stream.read(&mut [0; 4096]);
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ncanary");
        }
    });
    let named = format!("a.b.test:{port}");
    let net = format!("*.b.test:{port}=127.0.0.1,unused.example");
    let mut run = place.traced("run");
    let mut probe = Probe::of(run.args(["--net", &net]).args(place.server())).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    let fetch =
        |tool: &str, whom: &str| place.asks(&format!("{tool} {whom}"), tool, &[("fetch", whom)]);
    for tool in ["plain", "searches", "closed"] {
        assert_eq!(text(&probe.ask(&fetch(tool, &named))), "done", "{tool}");
    }
    let other = format!("other.example:{port}");
    assert_eq!(text(&probe.ask(&fetch("plain", &other))), "no");
    probe.end();
    let [plain, searches, closed, refused] = place.outcomes().try_into().unwrap();
    for record in [&plain, &searches, &closed] {
        assert_eq!(list(record, "reached"), [named.clone()].into(), "{record}");
        assert_eq!(list(record, "own"), BTreeSet::new(), "{record}");
    }
    assert_eq!((rules(&plain), rules(&searches)), (vec![], vec![]));
    assert_eq!(rules(&closed), [OBSERVED], "it says that it reaches nobody");
    assert_eq!(list(&refused, "reached"), BTreeSet::new(), "{refused}");
    let is_named = |it: &String| it.starts_with("connect other.example");
    assert!(list(&refused, "refused").iter().any(is_named), "{refused}");
    // Of all names that it might have reached, the one that it did; and that goes.
    let learnt = said(&place.learn(&[]).stdout);
    let entry = format!("net = [\"{named}=127.0.0.1\"]\n");
    assert!(learnt.contains(&entry) && !learnt.contains("unused"), "{learnt}");
    assert!(learnt.contains("# Refused, and not in it: connect other.example"), "{learnt}");
    let file = place.path("learnt.toml");
    fs::write(&file, learnt).unwrap();
    let mut run = place.held("run");
    run.arg("--policy").arg(&file).args(place.server());
    let mut probe = Probe::of(&mut run).begin();
    assert_eq!(text(&probe.ask(&fetch("plain", &named))), "done");
    assert_eq!(text(&probe.ask(&fetch("plain", &format!("c.b.test:{port}")))), "no");
    probe.end();
    let mut sandbox = place.stockade(&["sandbox", "--allow-weaker", "memory", "--trace"]);
    let script = format!(
        "import socket\nit = socket.create_connection(('a.b.test', {port}))\n\
         it.sendall(b'GET / HTTP/1.1\\r\\nhost: {named}\\r\\n\\r\\n')\nit.recv(4096)"
    );
    sandbox.args(["--net", &net, "--", "python3", "-c", &script]);
    let told = said(&sandbox.stdin(Stdio::null()).output().unwrap().stderr);
    assert!(told.contains(&format!("reached\n  {named}\n")), "{told}");
}

fn x13_only_what_is_held_is_traced() {
    let place = Place::new(None);
    for args in [
        &["run", "--trace", "--sandbox", "none", "--", "true"][..],
        &["run", "--trace", "--upstream", "http://127.0.0.1:9/"],
        &["sandbox", "--trace", "--sandbox", "none", "--", "true"],
        &["sandbox", "--trace=/no/such/place", "--", "true"],
    ] {
        let out = place.stockade(args).stdin(Stdio::null()).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", said(&out.stderr));
        assert!(said(&out.stderr).contains("help: "), "{}", said(&out.stderr));
    }
    assert!(!place.home.ledger().exists(), "nothing was begun");
    // And it goes with its guard, also while it opens files without end.
    let mut probe = place.begin();
    let deeds = vec![("flood", "write/there"); 1000];
    probe.send(&place.asks("busy", "plain", &deeds));
    wait_for("the first files", || place.path("write/there/100").exists().then_some(()));
    process::kill(i32::try_from(probe.guard()).unwrap());
    let mark = place.text("server.py");
    wait_for("the server to be gone", || process::with_mark(&mark).is_empty().then_some(()));
}

/// What the session of the next two rows does.
fn used(place: &Place) -> Value {
    let deeds = [
        ("read", "read/deep/file"),
        ("write", "write/there/new"),
        ("run", "program/tool"),
        ("read", "/etc/shadow"),
    ];
    place.asks("used", "plain", &deeds)
}

fn x13_what_is_learnt_is_what_was_used() {
    for user in each_user() {
        let place = Place::new(user);
        let mut probe = place.begin();
        assert_eq!(text(&probe.ask(&used(&place))), "done done done no");
        probe.end();
        let learnt = place.learn(&[]);
        assert_eq!(learnt.status.code(), Some(0), "{}", said(&learnt.stderr));
        let (policy, diff) = (said(&learnt.stdout), said(&learnt.stderr));
        let roots = format!(
            "roots = [\"{}:ro\", \"{}:rw\"]",
            place.text("read/deep"),
            place.text("write/there")
        );
        for part in [
            roots.as_str(),
            "default = \"deny\"\n",
            "effect = \"allow\"\ntool = [\"plain\"]\n",
            &format!("programs = [\"{}\"]", place.text("program")),
            "# Refused, and not in it: read /etc/shadow\n",
        ] {
            assert!(policy.contains(part), "{part}: {policy}");
        }
        let roots_line = policy.lines().find(|it| it.starts_with("roots"));
        assert!(!roots_line.unwrap().contains("/etc"), "{policy}");
        assert!(diff.contains(&format!("+{roots}")) && diff.contains("+++ proposed"), "{diff}");
        // It is a policy, under which the same goes, and nothing else.
        let file = place.path("learnt.toml");
        let written = place.learn(&["--write", file.to_str().unwrap()]);
        assert_eq!((written.status.code(), said(&written.stdout)), (Some(0), String::new()));
        assert_eq!(fs::read_to_string(&file).unwrap(), policy);
        let checked =
            place.stockade(&["policy", "check", file.to_str().unwrap()]).output().unwrap();
        assert_eq!(checked.status.code(), Some(0), "{}", said(&checked.stderr));
        let mut run = place.held("run");
        run.arg("--policy").arg(&file).args(place.server());
        let mut probe = Probe::of(&mut run).begin();
        assert_eq!(text(&probe.ask(&used(&place))), "done done done no");
        let beyond =
            [("write", "write/new"), ("read", "read/deep/other"), ("write", "read/deep/x")];
        let answer = probe.ask(&place.asks("beyond", "plain", &beyond));
        assert!(text(&answer).ends_with("done no"), "{answer}");
        // All of this is in `/tmp`, which a server has to itself where nothing is shown.
        assert!(!place.path("write/new").exists());
        assert!(is_refusal(&probe.ask(&place.asks("other", "reads", &[]))), "it was not called");
        probe.end();
    }
}

fn x13_learning_writes_and_loosens_nothing() {
    let place = Place::new(None);
    let nothing = place.learn(&[]);
    assert_eq!(nothing.status.code(), Some(2), "there is no ledger");
    let rules = "default = \"allow\"\n[limits]\napproval_timeout_s = 1\n[[tools]]\neffect = \"deny\"\ntool = \"searches\"\n\
                 [[tools]]\neffect = \"ask\"\ntool = \"closed\"\n";
    let policy = place.home.policy(rules);
    let mut probe = place.begin();
    probe.ask(&used(&place));
    for tool in ["searches", "closed"] {
        assert!(is_refusal(&probe.ask(&place.asks(tool, tool, &[("read", "read/deep/file")]))));
    }
    probe.end();
    let before = said(&place.home.audit(&["export"]).stdout);
    let learnt = place.learn(&[]);
    let proposed = said(&learnt.stdout);
    for part in [
        "effect = \"deny\"\ntool = \"searches\"",
        "effect = \"ask\"\ntool = \"closed\"",
        "default = \"deny\"",
    ] {
        assert!(proposed.contains(part), "{part}: {proposed}");
    }
    assert!(said(&learnt.stderr).contains("-default = \"allow\"\n"), "{}", said(&learnt.stderr));
    assert_eq!(fs::read_to_string(&policy).unwrap(), rules, "what is in force stays");
    let over = place.learn(&["--write", policy.to_str().unwrap()]);
    assert_eq!(over.status.code(), Some(2));
    assert!(said(&over.stderr).contains("help: what is there is left as it is"));
    assert_eq!(fs::read_to_string(&policy).unwrap(), rules);
    assert_eq!(said(&place.home.audit(&["export"]).stdout), before);
    let other = place.learn(&["--session", "none-of-this-name"]);
    assert_eq!(other.status.code(), Some(2), "{}", said(&other.stderr));
    let name = place.outcomes()[0]["session"].as_str().unwrap().to_owned();
    assert_eq!(said(&place.learn(&["--session", &name]).stdout), proposed);
}

/// What is done, and to what.
type Deeds = &'static [(&'static str, &'static str)];

/// Calls, and whether they are as the server has said.
const CLAIMS: &[(&str, Deeds, bool)] = &[
    ("reads", &[("read", "read/deep/file"), ("list", "write/there")], true),
    ("reads", &[("write", "/tmp/x"), ("write", "/dev/shm/x"), ("own", "")], true),
    ("reads", &[("run", "program/tool"), ("read", "/etc/shadow")], true),
    ("reads", &[("write", "read/deep/file")], true),
    ("reads", &[("write", "write/lied")], false),
    ("reads", &[("remove", "write/lied")], false),
    ("reads", &[("send", "192.0.2.7")], false),
    ("searches", &[("send", "192.0.2.7")], true),
    ("searches", &[("make", "write/searched")], false),
    ("closed", &[("write", "write/closed")], true),
    ("closed", &[("send", "192.0.2.7")], false),
    ("plain", &[("write", "write/plain"), ("send", "192.0.2.7")], true),
    ("reads", &[("around", "write/lied")], false),
    ("reads", &[("gone", "write/lied")], false),
    ("reads", &[("lost", "write/lied")], false),
];

fn c11_a_tool_that_does_what_it_says_it_does_not_is_found() {
    for user in each_user() {
        let place = Place::new(user);
        let mut probe = place.begin();
        for (number, (tool, deeds, _)) in CLAIMS.iter().enumerate() {
            let answer = probe.ask(&place.asks(&format!("{number}"), tool, deeds));
            assert!(!is_refusal(&answer), "{answer}");
        }
        let ended = probe.end();
        let outcomes = place.outcomes();
        assert_eq!(outcomes.len(), CLAIMS.len());
        for (record, claim) in outcomes.iter().zip(CLAIMS) {
            let expected = if claim.2 { vec![] } else { vec![OBSERVED] };
            assert_eq!(rules(record), expected, "{claim:?}: {record}");
            let call = format!("(call {}; {OBSERVED})", record["call"].as_str().unwrap());
            assert_eq!(ended.stderr.contains(&call), !claim.2, "{claim:?}: {}", ended.stderr);
        }
        assert_eq!(outcomes[4]["findings"][0]["severity"], "high");
        let says = format!("says that it only reads, and wrote {}", place.text("write/lied"));
        for place in [4, 12, 13] {
            assert_eq!(outcomes[place]["findings"][0]["says"], says);
        }
        let unseen = outcomes[14]["findings"][0]["says"].as_str().unwrap();
        assert!(unseen.contains("could not be looked into: 1"), "{unseen}");
        let lies = format!("note: the tool `reads` {says} (call ");
        assert!(ended.stderr.contains(&lies), "{}", ended.stderr);
    }
    let page = Home::new().stockade(["explain", OBSERVED]).output().unwrap();
    assert!(said(&page.stdout).contains("readOnlyHint"));
}

fn c11_what_a_tool_says_decides_nothing() {
    let place = Place::new(None);
    let rules = "default = \"ask\"\n[limits]\napproval_timeout_s = 1\n";
    place.home.policy(&format!("{rules}[[tools]]\neffect = \"deny\"\ntool = \"searches\"\n"));
    let mut probe = place.begin();
    for tool in ["plain", "reads", "searches", "closed"] {
        let asks = place.asks(tool, tool, &[("write", "write/asked")]);
        assert!(is_refusal(&probe.ask(&asks)), "{tool}: nobody has answered");
    }
    probe.end();
    assert!(!place.path("write/asked").exists());
    let questions = place.home.records_of("question");
    let is_asked = |tool: &str| questions.iter().any(|it| it["tool"] == tool);
    assert!(is_asked("reads") && is_asked("plain") && !is_asked("searches"), "{questions:?}");
    // A policy may have the answer withheld.
    place.home.policy(&format!("[rules]\n{OBSERVED} = \"deny\"\n"));
    let mut probe = place.begin();
    let honest = place.asks("honest", "reads", &[("read", "read/deep/file")]);
    assert!(!is_refusal(&probe.ask(&honest)));
    let lies = probe.ask(&place.asks("lies", "reads", &[("write", "write/lied")]));
    assert!(is_refusal(&lies) && text(&lies).contains(OBSERVED), "{lies}");
    probe.end();
    let last = place.outcomes().pop().unwrap();
    assert_eq!((&last["status"], &last["rule"]), (&json!("refused"), &json!(OBSERVED)), "{last}");
    assert_eq!(list(&last, "written"), place.paths(&["write/lied"]));
}

fn c11_what_a_tool_was_seen_doing_is_asked_about_next_time() {
    let place = Place::new(None);
    place.home.policy("[limits]\napproval_timeout_s = 1\n[risk]\nwrite = \"ask\"\n");
    let mut probe = place.begin();
    for (id, passes) in [("1", true), ("2", true), ("3", false)] {
        let deed = if id == "1" { ("read", "read/deep/file") } else { ("write", "write/x") };
        let answer = probe.ask(&place.asks(id, "reads", &[deed]));
        assert_eq!(!is_refusal(&answer), passes, "{id}: {answer}");
    }
    probe.end();
    let asked = place.home.records_of("question");
    let says = asked[0]["says"].as_str().unwrap();
    assert!(says.contains("risk.write") && says.contains("it was seen writing"), "{says}");
}

fn c11_the_same_behind_a_gateway() {
    let place = Place::new(None);
    let mut serve = place.traced("serve");
    serve.args(["--listen", "127.0.0.1:0"]).args(place.server());
    let gateway = Gateway::start(&mut serve);
    let mut connection = gateway.connect();
    connection.begin_legacy();
    connection.post(&[], &request("list", "tools/list", json!({})));
    for (number, (tool, deeds, _)) in CLAIMS.iter().enumerate() {
        let asks = place.asks(&format!("{number}"), tool, deeds);
        assert!(!is_refusal(&connection.post(&[], &asks).message()));
    }
    gateway.end();
    for (record, claim) in place.outcomes().iter().zip(CLAIMS) {
        let expected = if claim.2 { vec![] } else { vec![OBSERVED] };
        assert_eq!(rules(record), expected, "{claim:?}: {record}");
    }
}
