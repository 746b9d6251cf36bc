//! Roots that the client gives: they count where the policy admits them, on all three walls, and
//! nowhere else.

mod changing;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::changing::{
    u08_a_client_has_nothing_written_that_others_trust,
    u08_a_root_of_the_client_is_what_was_judged, u08_a_root_that_goes_takes_no_session_with_it,
    u08_roots_that_change_all_the_time_stall_nothing, u08_what_is_to_be_read_stays_so_in_a_root,
};
use crate::harness::probe::initialize;
use crate::harness::{
    Home, LEGACY, NO_LIMITS, PATIENCE, Probe, Script, call, is_refusal, modern, request, say, text,
    wait_for,
};

crate::rows![
    u08_a_root_of_the_client_is_seen_once_it_is_admitted,
    u08_what_the_policy_does_not_admit_is_no_root,
    u08_any_directory_is_not_the_guards_own,
    u08_the_policy_decides_while_a_session_goes_on,
    u08_a_client_without_roots_is_not_asked,
    u08_a_client_that_does_not_answer_holds_nothing_up,
    u08_what_is_no_list_of_roots_is_none,
    u08_what_a_server_was_asked_is_answered,
    u08_a_server_that_becomes_another_is_not_used,
    u08_addresses_bound_arguments_and_the_network,
    u08_the_answer_to_the_guard_reaches_no_server,
    u08_a_modern_server_is_told_the_roots_of_the_policy,
    u08_a_root_of_the_client_is_what_was_judged,
    u08_a_root_that_goes_takes_no_session_with_it,
    u08_what_is_to_be_read_stays_so_in_a_root,
    u08_a_client_has_nothing_written_that_others_trust,
    u08_roots_that_change_all_the_time_stall_nothing,
];

/// A server that does what it is told with the files of its process, whatever its guard thinks of
/// that: paths come reversed, so that no check of arguments knows them. It asks for the roots
/// whenever it may, and says what it was told.
const SERVER: &str = r#"
import json, os, sys, threading, time
told = None
def say(message): print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
def do(what, where):
    if what == "read": return open(where).read()
    if what == "write": open(where, "a").write("x"); return "written"
    if what == "told": return json.dumps(told)
    if what == "env": return os.environ.get(where, "unset")
    if what == "slow": time.sleep(float(where)); return "slept"
def later(code):
    time.sleep(0.5)
    exec(code)
for line in sys.stdin:
    asked = json.loads(line)
    method = asked.get("method")
    if method is None:
        told = [root["uri"] for root in asked["result"]["roots"]]
    elif method in ("notifications/initialized", "notifications/roots/list_changed"):
        told = None
        say({"id": "roots", "method": "roots/list"})
    elif "id" not in asked: continue
    elif method == "initialize":
        moody = len(sys.argv) > 1 and os.path.exists(sys.argv[1])
        say({"id": asked["id"], "result": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "files", "version": "2" if moody else "1"}}})
    elif method == "tools/call":
        arguments = asked["params"]["arguments"]
        if arguments["what"] == "late":
            threading.Thread(target=later, args=[arguments["where"][::-1]], daemon=True).start()
            continue
        try: said = do(arguments["what"], arguments["where"][::-1])
        except OSError as error: said = "no: " + error.strerror
        say({"id": asked["id"], "result": {"content": [{"type": "text", "text": said}]}})
    else: say({"id": asked["id"], "result": {}})
"#;

const GONE: &str = "no: No such file or directory";

/// A root of the command line, three directories of projects, one that is nobody's, and the server.
struct Place {
    home: Home,
}

impl Place {
    fn new() -> Self {
        let home = Home::new();
        for name in ["own", "projects/a", "projects/b", "projects/notes", "other"] {
            fs::create_dir_all(home.path().join(name)).unwrap();
            fs::write(home.path().join(name).join("file"), format!("in {name}")).unwrap();
        }
        symlink("../other", home.path().join("projects/link")).unwrap();
        fs::write(home.path().join("server.py"), SERVER).unwrap();
        Self { home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn uri(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    /// A client of the server in the sandbox, which has begun and was not asked for anything yet.
    fn begin(&self, options: &[&str], declares: &Value) -> Probe {
        self.begin_with(options, &[], declares)
    }

    fn begin_with(&self, options: &[&str], arguments: &[OsString], declares: &Value) -> Probe {
        let mut run: Command = self.home.stockade(["run"]);
        run.args(self.home.state()).args(["--allow-weaker", "memory", "--root"]);
        run.arg(self.path("own")).args(options).args(["--", "python3"]);
        run.arg(self.path("server.py")).args(arguments);
        let mut probe = Probe::of(&mut run);
        begin(&mut probe, declares);
        probe
    }

    fn asks(&self, what: &str, name: &str) -> Value {
        ask(what, self.path(name).to_str().unwrap())
    }

    /// What the server says of a file that it reads.
    #[track_caller]
    fn read(&self, probe: &mut Probe, name: &str) -> String {
        let asked = self.asks("read", &format!("{name}/file"));
        text(&probe.ask(&asked)).to_owned()
    }

    /// Whether a call passes that names a file by an argument.
    #[track_caller]
    fn passes(&self, probe: &mut Probe, name: &str) -> bool {
        let arguments = json!({ "what": "env", "where": "x", "path": self.path(name) });
        !is_refusal(&probe.ask(&call("argument", "do", arguments)))
    }

    /// The roots that the server was told.
    #[track_caller]
    fn told(&self, probe: &mut Probe) -> Vec<String> {
        wait_for("the server to be told", || {
            let answer = probe.ask(&ask("told", ""));
            serde_json::from_str::<Option<Vec<String>>>(text(&answer)).unwrap()
        })
    }

    /// What the ledger says of roots: whether each counts, and why.
    fn recorded(&self) -> Vec<(String, String)> {
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let records = self.home.records_of("roots");
        records.iter().map(|it| (text(&it["decision"]), text(&it["says"]))).collect()
    }
}

fn ask(what: &str, whereabouts: &str) -> Value {
    let backwards: String = whereabouts.chars().rev().collect();
    call(what, "do", json!({ "what": what, "where": backwards }))
}

fn with_roots() -> Value {
    json!({ "roots": { "listChanged": true } })
}

#[track_caller]
fn begin(probe: &mut Probe, declares: &Value) {
    let mut hello = initialize(LEGACY);
    hello["params"]["capabilities"] = declares.clone();
    probe.ask(&hello);
    probe.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
}

/// Waits until the client is asked for its roots, and how it was asked.
#[track_caller]
fn asked(probe: &mut Probe) -> Value {
    let is_asked = |it: &Value| it["method"] == "roots/list";
    if let Some(at) = probe.others.iter().position(is_asked) {
        return probe.others.remove(at);
    }
    loop {
        let message = probe.next().expect("the client is asked");
        if is_asked(&message) {
            return message;
        }
        probe.others.push(message);
    }
}

/// Answers when the client is asked for its roots.
#[track_caller]
fn give(probe: &mut Probe, uris: &[String]) {
    let roots: Vec<Value> = uris.iter().map(|it| json!({ "uri": it, "name": "x" })).collect();
    let id = asked(probe)["id"].clone();
    probe.send(&json!({ "jsonrpc": "2.0", "id": id, "result": { "roots": roots } }));
}

/// The same after the client has said that its roots are others now.
#[track_caller]
fn change(probe: &mut Probe, uris: &[String]) {
    probe.send(&json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }));
    give(probe, uris);
}

fn u08_a_root_of_the_client_is_seen_once_it_is_admitted() {
    let place = Place::new();
    let (projects, notes) =
        (place.path("projects"), format!("{}:rw", place.path("projects/notes").display()));
    let options = ["--client-root", projects.to_str().unwrap(), "--client-root", &notes];
    let mut probe = place.begin(&options, &with_roots());
    give(&mut probe, &[]);
    assert_eq!(place.read(&mut probe, "own"), "in own");
    assert_eq!(place.read(&mut probe, "projects/a"), GONE);
    assert!(!place.passes(&mut probe, "projects/a/file"));
    assert_eq!(place.told(&mut probe), [place.uri("own")]);
    // What is asked right behind the change is asked with the new roots.
    change(&mut probe, &[place.uri("projects/a"), place.uri("projects/notes")]);
    assert_eq!(place.read(&mut probe, "projects/a"), "in projects/a");
    assert_eq!(place.read(&mut probe, "own"), "in own");
    assert!(place.passes(&mut probe, "projects/a/file"));
    assert!(!place.passes(&mut probe, "projects/b/file"));
    assert_eq!(place.read(&mut probe, "projects/b"), GONE);
    let told = [place.uri("own"), place.uri("projects/a"), place.uri("projects/notes")];
    assert_eq!(place.told(&mut probe), told);
    let written = |probe: &mut Probe, name| text(&probe.ask(&place.asks("write", name))).to_owned();
    assert_eq!(written(&mut probe, "projects/a/made"), "no: Read-only file system");
    assert_eq!(written(&mut probe, "projects/notes/made"), "written");
    // What is not given any more is no root any more.
    change(&mut probe, &[place.uri("projects/b")]);
    assert!(!place.passes(&mut probe, "projects/a/file"));
    assert_eq!(place.read(&mut probe, "projects/a"), GONE);
    assert_eq!(place.read(&mut probe, "projects/b"), "in projects/b");
    assert_eq!(place.told(&mut probe), [place.uri("own"), place.uri("projects/b")]);
    assert!(probe.others.is_empty(), "{:?}", probe.others);
    assert_eq!(probe.end().code, Some(0));
    let recorded = place.recorded();
    let allowed = |it: &str| recorded.contains(&("allow".into(), it.to_owned()));
    assert!(allowed(&format!("`{}` counts, to be read", place.uri("projects/a"))), "{recorded:?}");
    let notes = format!("`{}` counts, to be read and written", place.uri("projects/notes"));
    assert!(allowed(&notes), "{recorded:?}");
    let anew = recorded.iter().filter(|(_, it)| it.contains("started anew with other roots; "));
    assert_eq!(anew.count(), 2, "{recorded:?}");
    let shown = place.home.audit(&["query", "--kind", "roots"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("started anew with other roots"));
    assert!(place.home.is_whole());
}

fn u08_what_the_policy_does_not_admit_is_no_root() {
    let place = Place::new();
    let projects = place.path("projects");
    let mut probe = place.begin(&["--client-root", projects.to_str().unwrap()], &with_roots());
    let inside = place.uri("projects");
    let refused = [
        place.uri("other"),
        place.uri("projects/link"),
        format!("{inside}/../other"),
        format!("{inside}/%2e%2e/other"),
        format!("{inside}/a%00"),
        format!("{inside}/a/file"),
        format!("{inside}/none"),
        format!("file://host{}", projects.display()),
        format!("{inside}?x"),
        projects.display().to_string(),
        "file:projects/a".into(),
        "projects/a".into(),
        "https://docs.example/".into(),
        "db://main".into(),
        "file:///".into(),
        "file:///proc/self/root".into(),
        place.uri("state"),
        String::new(),
    ];
    give(&mut probe, &refused);
    assert_eq!(place.read(&mut probe, "other"), GONE);
    assert_eq!(place.read(&mut probe, "projects/a"), GONE);
    assert!(!place.passes(&mut probe, "other/file"));
    assert_eq!(place.told(&mut probe), [place.uri("own")]);
    probe.end();
    let recorded = place.recorded();
    let denied: Vec<_> = recorded.iter().filter(|(decision, _)| decision == "deny").collect();
    assert_eq!(denied.len(), refused.len(), "{recorded:?}");
    for (uri, (_, says)) in refused.iter().zip(denied) {
        assert!(says.starts_with(&format!("`{uri}` does not count: ")), "{uri}: {says}");
    }
    assert!(!recorded.iter().any(|(_, it)| it.contains("anew")), "{recorded:?}");
    // A place by way of a link is none: a server may have made it since the policy was written.
    symlink("projects", place.path("by-link")).unwrap();
    let by_link = place.path("by-link");
    let mut probe = place.begin(&["--client-root", by_link.to_str().unwrap()], &with_roots());
    give(&mut probe, &[place.uri("by-link/a"), place.uri("projects/a")]);
    assert_eq!(place.read(&mut probe, "projects/a"), GONE);
    probe.end();
    let (_, says) = place.recorded().into_iter().next_back().unwrap();
    assert!(says.contains("by the link"), "{says}");
}

fn u08_any_directory_is_not_the_guards_own() {
    let place = Place::new();
    let mut probe = place.begin(&["--client-root", "*:rw"], &with_roots());
    give(&mut probe, &["file:///".into(), "file:///proc".into(), place.uri("state/ledger")]);
    assert_eq!(place.read(&mut probe, "other"), GONE);
    // The home that the ledger is in may be one, and is seen without it.
    change(&mut probe, &[format!("file://{}", place.home.path().display())]);
    assert_eq!(place.read(&mut probe, "other"), "in other");
    assert_eq!(text(&probe.ask(&place.asks("write", "other/made"))), "written");
    for asked in [place.asks("read", "state/ledger/key"), place.asks("write", "own/made")] {
        assert!(text(&probe.ask(&asked)).starts_with("no: "), "{asked}");
    }
    probe.end();
    let recorded = place.recorded();
    assert_eq!(recorded.iter().filter(|(it, _)| it == "deny").count(), 3, "{recorded:?}");
    assert!(place.home.is_whole());
}

fn u08_the_policy_decides_while_a_session_goes_on() {
    let place = Place::new();
    let admits = |it: &str| format!("client_roots = [{:?}]\n{NO_LIMITS}", place.path(it));
    place.home.policy(&admits("projects/a"));
    let mut probe = place.begin(&[], &with_roots());
    give(&mut probe, &[place.uri("projects/a"), place.uri("projects/b")]);
    assert_eq!(place.read(&mut probe, "projects/a"), "in projects/a");
    assert_eq!(place.read(&mut probe, "projects/b"), GONE);
    place.home.policy(&admits("projects/b"));
    wait_for("the policy to hold", || {
        (place.read(&mut probe, "projects/b") == "in projects/b").then_some(())
    });
    assert_eq!(place.read(&mut probe, "projects/a"), GONE);
    assert!(!place.passes(&mut probe, "projects/a/file"));
    place.home.policy(NO_LIMITS);
    wait_for("the policy to hold", || (place.read(&mut probe, "projects/b") == GONE).then_some(()));
    probe.end();
}

fn u08_a_client_without_roots_is_not_asked() {
    let place = Place::new();
    let projects = place.path("projects");
    let admits = ["--client-root", projects.to_str().unwrap()];
    for (options, declares) in [(&admits[..], json!({})), (&[], with_roots())] {
        let mut probe = place.begin(options, &declares);
        assert_eq!(place.read(&mut probe, "own"), "in own");
        assert_eq!(place.read(&mut probe, "projects/a"), GONE);
        assert_eq!(place.told(&mut probe), [place.uri("own")]);
        assert!(probe.others.is_empty(), "{:?}", probe.others);
        probe.end();
    }
    assert_eq!(place.recorded(), []);
}

fn u08_a_client_that_does_not_answer_holds_nothing_up() {
    let place = Place::new();
    let projects = place.path("projects");
    let mut probe = place.begin(&["--client-root", projects.to_str().unwrap()], &with_roots());
    let start = Instant::now();
    assert_eq!(place.read(&mut probe, "own"), "in own");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // An answer that comes later is one to nothing.
    give(&mut probe, &[place.uri("projects/a")]);
    assert_eq!(place.read(&mut probe, "projects/a"), GONE);
    // The next one counts again.
    change(&mut probe, &[place.uri("projects/a")]);
    assert_eq!(place.read(&mut probe, "projects/a"), "in projects/a");
    // And a client that is gone holds nothing up either.
    probe.send(&json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }));
    probe.send(&place.asks("read", "own/file"));
    let start = Instant::now();
    let ended = probe.end();
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let recorded = place.recorded();
    for says in ["it did not answer in time", "it says nothing more"] {
        let why = |(_, it): &&(String, String)| it.ends_with(says);
        assert_eq!(recorded.iter().filter(why).count(), 1, "{recorded:?}");
    }
}

fn u08_what_is_no_list_of_roots_is_none() {
    let place = Place::new();
    let projects = place.path("projects");
    let mut probe = place.begin(&["--client-root", projects.to_str().unwrap()], &with_roots());
    let inside = place.uri("projects/a");
    let good = json!({ "uri": inside });
    let many: Vec<Value> =
        (0..100_000).map(|n| json!({ "uri": format!("{inside}/{n}") })).collect();
    let long = format!("{inside}/{}", "x".repeat(5000));
    let answers = [
        json!({ "result": { "roots": many } }),
        json!({ "result": { "roots": vec![good.clone(); 65] } }),
        json!({ "result": { "roots": { "0": good } } }),
        json!({ "result": { "roots": [good, "x"] } }),
        json!({ "result": { "roots": [good, { "uri": ["file:///"] }] } }),
        json!({ "result": { "roots": [{ "uri": inside, "name": { "a": 1 } }] } }),
        json!({ "result": { "roots": [good, { "uri": long }] } }),
        json!({ "result": {} }),
        json!({ "error": { "code": -32601, "message": "no" } }),
    ];
    for answer in &answers {
        let mut answer = answer.clone();
        (answer["jsonrpc"], answer["id"]) = (json!("2.0"), asked(&mut probe)["id"].clone());
        probe.send(&answer);
        assert_eq!(place.read(&mut probe, "projects/a"), GONE, "{answer:.200}");
        probe.send(&json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }));
    }
    // A name that is there twice makes no message, so the question is not answered by it.
    let id = asked(&mut probe)["id"].clone();
    let twice =
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"roots":[],"roots":[{good}]}}}}"#);
    probe.write(format!("{twice}\n").as_bytes());
    assert_eq!(place.read(&mut probe, "projects/a"), GONE);
    // Twice the same root is one.
    change(&mut probe, &[inside.clone(), format!("{inside}/"), inside.clone()]);
    assert_eq!(place.read(&mut probe, "projects/a"), "in projects/a");
    assert_eq!(place.told(&mut probe), [place.uri("own"), inside]);
    assert_eq!(probe.end().code, Some(0));
    assert!(place.home.is_whole());
}

fn u08_what_a_server_was_asked_is_answered() {
    let place = Place::new();
    let projects = place.path("projects");
    let mut probe = place.begin(&["--client-root", projects.to_str().unwrap()], &with_roots());
    give(&mut probe, &[]);
    assert_eq!(place.read(&mut probe, "own"), "in own");
    // What ends soon ends, with its own answer.
    let slow = |id: &str, seconds| {
        let mut asked = ask("slow", seconds);
        asked["id"] = json!(id);
        asked
    };
    probe.send(&slow("soon", "0.5"));
    change(&mut probe, &[place.uri("projects/a")]);
    assert_eq!(place.read(&mut probe, "projects/a"), "in projects/a");
    let soon = probe.others.iter().find(|it| it["id"] == "soon").expect("it was answered before");
    assert_eq!(text(soon), "slept");
    probe.others.clear();
    // What does not is answered too, and says what is known of it.
    probe.send(&slow("long", "60"));
    change(&mut probe, &[place.uri("projects/b")]);
    let long = probe.answer("long");
    let says = long["error"]["message"].as_str().unwrap_or_else(|| panic!("{long}"));
    assert!(says.starts_with("the server was started anew with other roots"), "{says}");
    assert_eq!(place.read(&mut probe, "projects/b"), "in projects/b");
    probe.end();
    let outcomes = place.home.records_of("outcome");
    assert!(
        outcomes.iter().any(|it| it["status"] == "lost" && says.contains("may have been done"))
    );
}

fn u08_a_server_that_becomes_another_is_not_used() {
    let place = Place::new();
    let projects = place.path("projects");
    let options = ["--client-root", projects.to_str().unwrap()];
    // It says another version once it sees this file.
    let moody = [place.path("projects/a/file").into_os_string()];
    let mut probe = place.begin_with(&options, &moody, &with_roots());
    give(&mut probe, &[place.uri("projects/a")]);
    probe.send(&place.asks("read", "projects/a/file"));
    let ended = probe.ended();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let says = "error: started anew, the server says another `serverInfo` than before";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
    assert!(place.home.is_whole());
}

fn u08_addresses_bound_arguments_and_the_network() {
    let place = Place::new();
    let url = |probe: &mut Probe, url: &str| {
        let arguments = json!({ "what": "env", "where": "x", "q": url });
        !is_refusal(&probe.ask(&call("url", "do", arguments)))
    };
    let check = |probe: &mut Probe| {
        assert!(url(probe, "https://docs.example/api/x?y=1"));
        assert!(!url(probe, "https://docs.example/key"));
        assert!(!url(probe, "https://evil.example/docs.example/api"));
        assert!(!url(probe, "http://docs.example/api"));
        assert!(url(probe, "note://other"));
        let proxy = text(&probe.ask(&ask("env", "HTTPS_PROXY"))).to_owned();
        assert!(proxy.starts_with("http://"), "{proxy}");
        assert_eq!(place.told(probe), [place.uri("own")], "a root is a directory to a server");
    };
    let mut probe = place.begin(&["--root", "https://docs.example/api"], &json!({}));
    check(&mut probe);
    probe.end();
    // The same by the client, in what is admitted of it.
    let options = ["--client-root", "https://docs.example/", "--client-root", "db://main"];
    let mut probe = place.begin(&options, &with_roots());
    give(
        &mut probe,
        &["https://evil.example/".into(), "https://docs.example.evil.example/".into()],
    );
    assert!(url(&mut probe, "https://evil.example/"), "nothing bounds it");
    assert_eq!(text(&probe.ask(&ask("env", "HTTPS_PROXY"))), "unset");
    change(&mut probe, &["https://docs.example/api".into(), "db://main/table".into()]);
    check(&mut probe);
    assert!(url(&mut probe, "db://main/table/x") && !url(&mut probe, "db://main/other"));
    probe.end();
    // Whom it may reach is in what is shown.
    let mut shown = place.home.stockade(["run", "--dry-run"]);
    shown.args(place.home.state()).args(["--allow-weaker", "memory", "--root"]);
    shown.args(["https://docs.example:8443/api", "--", "python3", "server.py"]);
    let shown = String::from_utf8(shown.output().unwrap().stdout).unwrap();
    assert!(shown.contains("docs.example:8443"), "{shown}");
}

fn u08_the_answer_to_the_guard_reaches_no_server() {
    let home = Home::new();
    let inside = home.path().join("inside");
    fs::create_dir_all(&inside).unwrap();
    // A server that asks by the name of the guard's question, to have its answer.
    let takes = say(request("stockade:roots:2", "roots/list", json!({})));
    let done = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": { "content": [] } }));
    let fake = home.fake(Script::default().on_tool("ask", [takes, done]));
    let options = ["--client-root", home.path().to_str().unwrap()];
    let mut probe = Probe::run_with(&home, &options, &fake);
    begin(&mut probe, &with_roots());
    let uri = format!("file://{}", inside.display());
    // What is the guard's own is no root of a server that nothing holds either.
    give(&mut probe, &[uri.clone(), format!("file://{}", home.ledger().display())]);
    assert!(!is_refusal(&probe.ask(&call(1, "ask", json!({})))));
    let key = json!({ "path": home.ledger().join("key") });
    assert!(is_refusal(&probe.ask(&call("key", "echo", key))));
    change(&mut probe, std::slice::from_ref(&uri));
    let path = json!({ "path": inside.join("file") });
    assert!(!is_refusal(&probe.ask(&call(2, "echo", path))));
    assert!(is_refusal(&probe.ask(&call(3, "echo", json!({ "path": "/etc/passwd" })))));
    probe.end();
    // Nothing holds it, so it is not started anew; it is told that there are others.
    assert_eq!(fake.count("initialize"), 1);
    assert_eq!(fake.count("notifications/roots/list_changed"), 1);
    assert!(!fake.heard().contains(&uri), "{}", fake.heard());
    let told = fake.messages().into_iter().find(|it| it["id"] == "stockade:roots:2");
    assert!(told.is_some_and(|it| it.get("error").is_some()), "{}", fake.heard());
}

fn u08_a_modern_server_is_told_the_roots_of_the_policy() {
    let home = Home::new();
    let inside = home.path().join("inside");
    fs::create_dir_all(&inside).unwrap();
    let fake = home.fake(Script::default());
    let mut probe = Probe::run_with(&home, &["--root", inside.to_str().unwrap()], &fake);
    let mut again = modern(call(1, "echo", json!({ "text": "x" })));
    again["params"]["requestState"] = json!("as it was");
    again["params"]["inputResponses"] = json!({
        "a": { "roots": [{ "uri": "file:///etc" }] },
        "b": { "action": "accept", "content": { "roots": "mine" } },
        "c": { "roots": 7 },
    });
    assert!(!is_refusal(&probe.ask(&again)));
    probe.end();
    let heard = fake.messages().into_iter().find(|it| it["method"] == "tools/call").unwrap();
    let told =
        json!({ "roots": [{ "uri": format!("file://{}", inside.display()), "name": "inside" }] });
    let answers = &heard["params"]["inputResponses"];
    assert_eq!((&answers["a"], &answers["c"]), (&told, &told));
    assert_eq!(answers["b"], again["params"]["inputResponses"]["b"]);
    assert_eq!(heard["params"]["requestState"], "as it was");
    let decision = home.records_of("decision").into_iter().find(|it| it["method"] == "tools/call");
    assert_eq!(decision.unwrap()["says"], "the roots in it are those of the policy");
    // Such a client is not asked, so none of its own counts; and none is told to the server.
    let home = Home::new();
    let fake = home.fake(Script::default());
    let admits = home.path().display().to_string();
    let mut probe = Probe::run_with(&home, &["--client-root", &admits], &fake);
    assert!(!is_refusal(&probe.ask(&again)));
    probe.end();
    let heard = fake.messages().into_iter().find(|it| it["method"] == "tools/call").unwrap();
    assert_eq!(heard["params"]["inputResponses"]["a"], json!({ "roots": [] }));
}
