//! Two servers on one machine: what one has is not the other's.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::Home;

crate::rows![
    x10_two_servers_have_nothing_of_each_other,
    x06_a_secret_is_one_servers,
    what_holds_a_process_is_refused_for_an_address,
];

const SECRET: &str = "s3cret-of-one-server";

/// Has something everywhere where another could find it, and says what that is.
const ONE: &str = r#"
import json, os, socket, sys
for place in ("/tmp/mine", "/dev/shm/mine", os.path.expanduser("~/mine")):
    open(place, "w").write("mine")
listener = socket.create_server(("127.0.0.1", 0))
secret = os.environ.get("KEY_FILE")
print(json.dumps({
    "port": listener.getsockname()[1],
    "secret_file": secret,
    "secret": open(secret).read() if secret else None,
}), flush=True)
sys.stdin.readline()
print(json.dumps("still there"), flush=True)
"#;

/// Looks for all of that, by what it is told of the other, and says what it found.
const OTHER: &str = r#"
import glob, json, os, signal, socket, sys
other = json.loads(sys.stdin.readline())
found = []
for place in ("/tmp/mine", "/dev/shm/mine", os.path.expanduser("~/mine"), other["secret_file"]):
    if place and os.path.exists(place): found.append(place)
try:
    socket.create_connection(("127.0.0.1", other["port"]), 1)
    found.append("its port")
except OSError: pass
for pid in [other["pid"], *other["around"]]:
    try:
        os.kill(pid, 0)
        found.append(f"process {pid}")
        os.kill(pid, signal.SIGKILL)
    except OSError: pass
    if os.path.exists(f"/proc/{pid}"): found.append(f"/proc/{pid}")
    try: found.append(open(f"/proc/{pid}/environ").read())
    except OSError: pass
for path in glob.glob("/proc/[0-9]*/*") + glob.glob("/run/**", recursive=True) + glob.glob("/tmp/**"):
    try:
        if other["marker"] in open(path, errors="replace").read(): found.append(path)
    except OSError: pass
if any(other["marker"] in it for it in os.environ.values()): found.append("a variable")
print(json.dumps(found), flush=True)
"#;

/// A command in a sandbox.
struct Held {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Held {
    fn start(home: &Home, options: &[&str], script: &str) -> Self {
        let root = format!("{}:rw", home.path().display());
        let mut child = Command::new(env!("CARGO_BIN_EXE_stockade"))
            .args(["sandbox", "--allow-weaker", "memory", "--root", &root])
            .args(options)
            .args(["--", "python3", "-c", script])
            .env_clear()
            .envs([("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/home/somebody")])
            .env("KEY", SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    fn says(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn hear(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
    }

    /// The processes between this test and the command, and the command itself.
    fn processes(&self) -> Vec<u32> {
        let mut all = vec![self.child.id()];
        let mut next = 0;
        while let Some(parent) = all.get(next).copied() {
            all.extend(children(parent));
            next += 1;
        }
        all
    }
}

fn children(parent: u32) -> Vec<u32> {
    let ours = format!("\nPPid:\t{parent}\n");
    let is_child = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|it| it.contains(&ours))
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|it| it.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}

/// Starts both, and has the second look for what the first has.
fn look(options: &[&str]) -> (Value, Value) {
    let (home, of_other) = (Home::new(), Home::new());
    let mut one = Held::start(&home, options, ONE);
    let about = one.says();
    let mut other = Held::start(&of_other, &[], OTHER);
    let around = one.processes();
    assert!(around.len() >= 3, "guard, keeper, warden and command: {around:?}");
    other.hear(&json!({
        "port": about["port"], "secret_file": about["secret_file"], "marker": SECRET,
        "pid": around.last(), "around": around,
    }));
    let found = other.says();
    // Nothing that the second did has ended the first.
    one.hear(&json!("go on"));
    assert_eq!(one.says(), "still there");
    (about, found)
}

fn x10_two_servers_have_nothing_of_each_other() {
    let (_, found) = look(&[]);
    assert_eq!(found, json!([]));
}

fn x06_a_secret_is_one_servers() {
    for options in [["--secret", "KEY"], ["--env", "KEY"]] {
        let (about, found) = look(&options);
        if options[0] == "--secret" {
            assert_eq!(about["secret"], SECRET);
        }
        assert_eq!(found, json!([]), "{options:?}");
    }
    // Nor is it on anybody's command line, where the whole machine could read it.
    let home = Home::new();
    let mut one = Held::start(&home, &["--secret", "KEY"], ONE);
    one.says();
    for pid in one.processes() {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&words).contains(SECRET), "{pid}");
    }
}

/// Whoever says whom a server may reach, and means one that is elsewhere, believes in a wall that is
/// not there.
fn what_holds_a_process_is_refused_for_an_address() {
    let home = Home::new();
    home.policy("[servers.there]\nurl = \"http://127.0.0.1:1/mcp\"\n");
    for options in [
        &["--net", "a.test"][..],
        &["--net", "none"],
        &["--secret", "KEY"],
        &["--env", "KEY"],
        &["--sandbox", "native"],
        &["--program", "/usr"],
        &["--memory", "64M"],
        &["--cpus", "1"],
        &["--pids", "9"],
        &["--time", "9"],
        &["--allow-weaker", "memory"],
        &["--trace"],
    ] {
        for (command, server) in [
            ("run", &["--server", "there"][..]),
            ("run", &["--server", "there", "--upstream", "http://127.0.0.1:1/mcp"]),
            ("serve", &["--server", "there", "--upstream", "http://127.0.0.1:1/mcp"]),
        ] {
            let mut command = home.stockade([command]);
            command.env("KEY", SECRET).args(home.state()).args(server).args(options);
            let out = command.stdin(Stdio::null()).output().unwrap();
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert_eq!(out.status.code(), Some(2), "{server:?} {options:?}: {said}");
            assert!(said.contains(&format!("`{}`", options[0])), "{server:?} {options:?}: {said}");
            assert!(said.contains("\nhelp: "), "{said}");
        }
    }
    assert!(!home.ledger().exists(), "nothing was begun");
}
