//! Roots: one list, and three walls. What the process sees, what arguments may be about, and what
//! a server is told.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::probe::initialize;
use crate::harness::{Gateway, Home, LEGACY, Probe, Script, call, is_refusal, request, say, text};

crate::rows![
    u08_a_server_is_told_the_roots_that_hold_it,
    u08_what_is_in_no_root_is_not_there,
    u08_the_same_behind_a_gateway,
    u08_roots_of_the_policy_are_walls_too,
    u08_what_is_the_guards_own_is_in_no_root,
    x01_a_project_leads_to_nothing_of_its_user,
    x01_a_repository_is_not_written,
    a_root_that_is_misspelled_is_said,
];

/// A server that does what it is told with the files of its process, whatever its guard thinks of
/// that: paths come reversed, so that no check of arguments knows them.
const SERVER: &str = r#"
import json, sys
def do(what, path):
    if what == "read": return open(path).read()
    open(path, "a").write("x"); return "written"
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked: continue
    if asked["method"] == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "files", "version": "1"}}
    elif asked["method"] == "tools/call":
        arguments = asked["params"]["arguments"]
        try: said = do(arguments["what"], arguments["where"][::-1])
        except OSError as error: said = "no: " + error.strerror
        result = {"content": [{"type": "text", "text": said}]}
    else: result = {}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"#;

/// A directory that is read, one that is written, one that is none of the server's, and its script.
struct Place {
    home: Home,
}

impl Place {
    fn new() -> Self {
        let home = Home::new();
        for (name, said) in [("read/file", "in"), ("write/file", "in"), ("other/file", "canary")] {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, said).unwrap();
        }
        fs::write(home.path().join("server.py"), SERVER).unwrap();
        Self { home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn roots(&self) -> [OsString; 4] {
        let write = format!("{}:rw", self.path("write").display());
        ["--root".into(), self.path("read").into(), "--root".into(), write.into()]
    }

    /// `run` or `serve`, in the sandbox.
    fn held(&self, command: &str) -> Command {
        let mut held = self.home.stockade([command]);
        held.args(self.home.state()).args(["--allow-weaker", "memory"]);
        held
    }

    fn server(&self) -> [OsString; 3] {
        ["--".into(), "python3".into(), self.path("server.py").into()]
    }

    fn asks(&self, what: &str, name: &str) -> Value {
        let backwards: String = self.path(name).to_str().unwrap().chars().rev().collect();
        call(format!("{what} {name}"), "do", json!({ "what": what, "where": backwards }))
    }

    /// Every try, and how what comes of it must begin.
    fn tries(&self) -> Vec<(Value, &'static str)> {
        vec![
            (self.asks("read", "read/file"), "in"),
            (self.asks("read", "write/file"), "in"),
            (self.asks("write", "write/made"), "written"),
            (self.asks("write", "read/made"), "no: Read-only file system"),
            (self.asks("write", "read/file"), "no: Read-only file system"),
            (self.asks("read", "other/file"), "no: No such file or directory"),
            (self.asks("read", "state/ledger/key"), "no: No such file or directory"),
            (self.asks("write", "server.py"), "no: "),
        ]
    }

    fn is_as_it_should(&self) {
        assert!(self.path("write/made").exists());
        assert!(!self.path("read/made").exists());
        assert_eq!(fs::read_to_string(self.path("read/file")).unwrap(), "in");
        assert_eq!(fs::read_to_string(self.path("server.py")).unwrap(), SERVER);
    }
}

#[track_caller]
fn check(asked: &Value, answer: &Value, said: &str) {
    assert!(text(answer).starts_with(said), "{asked}: {answer}");
}

fn u08_a_server_is_told_the_roots_that_hold_it() {
    let home = Home::new();
    let (inside, widened) = (home.path().join("a dir"), home.path().join("elsewhere"));
    fs::create_dir_all(&inside).unwrap();
    let ask = say(request("roots", "roots/list", json!({})));
    let done = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": { "content": [] } }));
    let fake = home.fake(Script::default().on_tool("ask", [ask, done]));
    let mut probe = Probe::run_with(&home, &["--root", inside.to_str().unwrap()], &fake);
    let mut hello = initialize(LEGACY);
    hello["params"]["capabilities"] = json!({ "roots": { "listChanged": true } });
    probe.ask(&hello);
    assert!(!is_refusal(&probe.ask(&call(1, "ask", json!({})))));
    let told = || fake.messages().into_iter().find(|it| it["id"] == "roots");
    let told = crate::harness::wait_for("the server to be told", told);
    let roots = told["result"]["roots"].as_array().unwrap();
    let uri = format!("file://{}/a%20dir", home.path().display());
    assert_eq!(*roots, [json!({ "uri": uri, "name": "a dir" })]);
    assert!(probe.others.is_empty(), "the client is not asked: {:?}", probe.others);
    // What nobody asked for widens nothing.
    let uri = format!("file://{}", widened.display());
    probe
        .send(&json!({ "jsonrpc": "2.0", "id": "roots", "result": { "roots": [{ "uri": uri }] } }));
    let outside = widened.join("file");
    assert!(is_refusal(&probe.ask(&call(2, "echo", json!({ "path": outside })))));
    probe.end();
    assert!(!fake.heard().contains("elsewhere"), "{}", fake.heard());
}

fn u08_what_is_in_no_root_is_not_there() {
    let place = Place::new();
    let mut probe = Probe::of(place.held("run").args(place.roots()).args(place.server())).begin();
    for (asked, said) in place.tries() {
        check(&asked, &probe.ask(&asked), said);
    }
    assert_eq!(probe.end().code, Some(0));
    place.is_as_it_should();
    let start = place.home.records_of("start");
    let says = start[0]["says"].as_str().unwrap();
    assert!(says.contains("the sandbox enforces files, network, processes"), "{says}");
}

fn u08_the_same_behind_a_gateway() {
    let place = Place::new();
    let mut serve = place.held("serve");
    serve.args(["--listen", "127.0.0.1:0"]).args(place.roots()).args(place.server());
    let gateway = Gateway::start(&mut serve);
    let mut connection = gateway.connect();
    connection.begin_legacy();
    for (asked, said) in place.tries() {
        check(&asked, &connection.post(&[], &asked).message(), said);
    }
    gateway.end();
    place.is_as_it_should();
}

fn u08_roots_of_the_policy_are_walls_too() {
    let place = Place::new();
    let (read, write) = (place.path("read"), format!("{}:rw", place.path("write").display()));
    place.home.policy(&format!(
        "roots = [{:?}, {write:?}]\n[sandbox]\nallow_weaker = [\"memory\"]\npids = 64\n",
        read.to_str().unwrap(),
    ));
    let mut run = place.home.stockade(["run"]);
    run.args(place.home.state()).args(place.server());
    let mut probe = Probe::of(&mut run).begin();
    for (asked, said) in place.tries() {
        check(&asked, &probe.ask(&asked), said);
    }
    let plain = json!({ "what": "read", "where": "x", "path": place.path("other/file") });
    assert!(is_refusal(&probe.ask(&call("plain", "do", plain))), "an argument as well");
    probe.end();
    place.is_as_it_should();
}

/// Whoever wrote the project wrote its links, its `#!` lines and its `pyvenv.cfg`.
fn x01_a_project_leads_to_nothing_of_its_user() {
    let place = Place::new();
    let server = place.path("project/venv/bin/server");
    let key = place.path("other/file");
    for directory in ["project/venv/bin", "project/venv/h"] {
        fs::create_dir_all(place.path(directory)).unwrap();
    }
    fs::write(&server, format!("#!/usr/bin/python3\n{SERVER}")).unwrap();
    fs::set_permissions(&server, fs::Permissions::from_mode(0o755)).unwrap();
    symlink(&key, place.path("project/venv/h/python3")).unwrap();
    let direct = place.path("other").display().to_string();
    let by_link = place.path("project/venv/h").display().to_string();
    for home in [by_link, direct, "/proc/self/cwd/project/venv/h".to_owned()] {
        fs::write(place.path("project/venv/pyvenv.cfg"), format!("home = {home}\n")).unwrap();
        for roots in [vec![], vec!["--root".into(), place.path("project").into_os_string()]] {
            let mut run = place.held("run");
            run.args(roots).arg("--").arg(&server).current_dir(place.home.path());
            let mut probe = Probe::of(&mut run).begin();
            let asked = place.asks("read", "other/file");
            check(&asked, &probe.ask(&asked), "no: No such file or directory");
            assert_eq!(probe.end().code, Some(0));
        }
        // Without a sandbox it is read, so it is the sandbox that holds it.
        let mut run = place.home.stockade(["run", "--sandbox", "none"]);
        run.args(place.home.state()).arg("--").arg(&server);
        let mut probe = Probe::of(&mut run).begin();
        let asked = place.asks("read", "other/file");
        check(&asked, &probe.ask(&asked), "canary");
        probe.end();
    }
}

fn x01_a_repository_is_not_written() {
    let place = Place::new();
    let files = [
        "write/.git/config",
        "write/.git/modules/sub/config",
        "write/deep/down/.git/config",
        "write/.mcp.json",
    ];
    for file in files {
        fs::create_dir_all(place.path(file).parent().unwrap()).unwrap();
        fs::write(place.path(file), "in").unwrap();
    }
    let new = ["write/.git/commondir", "write/.git/worktrees", "write/deep/down/.git/hooks"];
    let mut probe = Probe::of(place.held("run").args(place.roots()).args(place.server())).begin();
    for file in files.iter().chain(&new) {
        let asked = place.asks("write", file);
        check(&asked, &probe.ask(&asked), "no: Read-only file system");
    }
    let asked = place.asks("write", "write/deep/down/made");
    check(&asked, &probe.ask(&asked), "written");
    probe.end();
    // It is written where it is what was asked for.
    let git = format!("{}:rw", place.path("write/.git").display());
    let mut run = place.held("run");
    run.args(place.roots()).args(["--root", &git]).args(place.server());
    let mut probe = Probe::of(&mut run).begin();
    let asked = place.asks("write", "write/.git/index");
    check(&asked, &probe.ask(&asked), "written");
    probe.end();
}

fn u08_what_is_the_guards_own_is_in_no_root() {
    // The server's root is a whole home, in which the guard keeps its ledger and reads its policy.
    let place = Place::new();
    let text = "[sandbox]\nallow_weaker = [\"memory\"]\n";
    let policy = place.home.policy(text);
    let named = place.path("config/stockade/named.toml");
    fs::write(&named, text).unwrap();
    let root = format!("{}:rw", place.home.path().display());
    for options in [&[][..], &["--policy", named.to_str().unwrap()]] {
        let mut run = place.home.stockade(["run"]);
        run.args(place.home.state()).args(["--root", &root]).args(options).args(place.server());
        let mut probe = Probe::of(&mut run).begin();
        for (asked, said) in [
            (place.asks("read", "read/file"), "in"),
            (place.asks("write", "read/file"), "written"),
            (place.asks("read", "state/ledger/key"), "no: No such file or directory"),
            (place.asks("read", "config/stockade/stockade.toml"), "no: No such file or directory"),
        ] {
            check(&asked, &probe.ask(&asked), said);
        }
        let asked = place.asks("write", "config/stockade/named.toml");
        check(&asked, &probe.ask(&asked), "written");
        // What it makes in their place is nobody's, and goes with it.
        probe.ask(&place.asks("write", "state/planted"));
        probe.ask(&place.asks("write", "config/stockade/planted"));
        probe.end();
        for planted in ["state/planted", "config/stockade/planted"] {
            assert!(!place.path(planted).exists(), "{planted}");
        }
    }
    assert_eq!(fs::read_to_string(&policy).unwrap(), text);
    assert_eq!(fs::read_to_string(&named).unwrap(), text);
    assert!(place.home.is_whole());
    // And a root that is the guard's own is none.
    let mut run = place.home.stockade(["run"]);
    let state = place.path("state").join("ledger");
    run.args(place.home.state()).arg("--root").arg(state).args(place.server());
    let ended = Probe::of(&mut run).ended();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

/// A root that is not there bounds nothing that anybody means.
fn a_root_that_is_misspelled_is_said() {
    let place = Place::new();
    let home = &place.home;
    let (read, gone) = (home.path().join("read"), home.path().join("raed"));
    let check = |text: &str| {
        home.policy(text);
        let out = home.stockade(["policy", "check"]).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    assert_eq!(check(&format!("roots = [{read:?}]")).0, Some(0));
    for (written, says) in [
        (format!("{}", gone.display()), "is no directory here"),
        (format!("{}:rw", gone.display()), "is no directory here"),
        (format!("{}:rx", read.display()), "`:rx` is neither `:ro` nor `:rw`"),
        (format!("{}:RW", read.display()), "`:RW` is neither `:ro` nor `:rw`"),
    ] {
        for text in [
            format!("roots = [{written:?}]"),
            format!("[servers.a]\ncommand = [\"true\"]\nroots = [{written:?}]"),
        ] {
            let (code, said) = check(&text);
            assert_eq!(code, Some(2), "{text}: {said}");
            assert!(said.contains(says) && said.contains(".toml:"), "{text}: {said}");
        }
    }
    home.policy("");
    let odd = OsString::from_vec([home.path().as_os_str().as_bytes(), b"/caf\xe9"].concat());
    fs::create_dir(&odd).unwrap();
    for command in ["run", "serve", "sandbox"] {
        let mut command = home.stockade([command]);
        let out = command.args(home.state()).arg("--root").arg(&odd).args(["--", "true"]);
        let out = out.output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains("/caf\u{fffd}`: it is not UTF-8"), "{said}");
    }
}
