//! A machine in small for each attack, the client that makes it, and what is left of it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Nobody's, and in no file of this machine but those that are made here.
pub(crate) const CANARY: &str = "canary-of-what-lies-outside";

const ANSWER: Duration = Duration::from_secs(30);

/// What stands between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Around {
    Nothing,
    Rules,
    Sandbox,
    Both,
    /// Nothing; and it is the other server.
    Hardened,
}

pub(crate) struct World {
    top: TempDir,
    /// Whether somebody connected to it.
    called: Arc<AtomicBool>,
    /// What the server had the client ask.
    asked: Mutex<Vec<Value>>,
    pub(crate) port: u16,
}

/// The rule that did something.
pub(crate) struct Rule {
    pub(crate) name: String,
    /// It changed what was said, and let it pass.
    pub(crate) mended: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        let top = tempfile::tempdir().unwrap();
        // Run by root, a server in the sandbox is somebody else.
        fs::set_permissions(top.path(), PermissionsExt::from_mode(0o755)).unwrap();
        for (name, said) in [
            ("project/notes.txt", "the rope is on the shelf"),
            ("outside.txt", CANARY),
            ("project-private/pay.txt", CANARY),
            ("victim.txt", "still here"),
        ] {
            let path = top.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, said).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        }
        // Nobody answers here, and that is not waited for.
        fs::create_dir_all(top.path().join("config/stockade")).unwrap();
        let policy = top.path().join("config/stockade/stockade.toml");
        fs::write(policy, "[limits]\napproval_timeout_s = 1\n").unwrap();
        symlink("../outside.txt", top.path().join("project/linked.txt")).unwrap();
        symlink("../new.txt", top.path().join("project/dangling.txt")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let called = Arc::<AtomicBool>::default();
        let heard = Arc::clone(&called);
        thread::spawn(move || {
            let _caller: Option<TcpStream> = listener.accept().ok().map(|(stream, _)| stream);
            heard.store(true, Ordering::Release);
        });
        Self { top, called, asked: Mutex::default(), port }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Whether there is such a file.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub(crate) fn was_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    /// Whether the server had the client ask for this.
    pub(crate) fn asked(&self, what: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|it| it.to_string().contains(what))
    }

    /// The answers to these requests, one after the other in one session.
    pub(crate) fn play(&self, around: Around, requests: &[(&str, Value)]) -> Vec<Value> {
        let mut session = Session::new(self.command(around));
        session.begin();
        let answers = requests.iter().map(|(method, params)| session.ask(method, params)).collect();
        self.asked.lock().unwrap().append(&mut session.asked);
        session.end();
        answers
    }

    fn command(&self, around: Around) -> Command {
        let itself = env!("CARGO_BIN_EXE_stockade");
        let root = format!("{}:rw", self.text("project"));
        let state = self.text("state");
        let sandboxed = ["--allow-weaker", "memory", "--root", &root, "--"];
        let options: Vec<&str> = match around {
            Around::Nothing | Around::Hardened => vec![],
            Around::Rules => {
                vec![itself, "run", "--state", &state, "--sandbox", "none", "--root", &root, "--"]
            }
            Around::Sandbox => [&[itself, "sandbox"], &sandboxed[..]].concat(),
            Around::Both => [&[itself, "run", "--state", &state], &sandboxed[..]].concat(),
        };
        let server = if around == Around::Hardened { "hardened" } else { "vulnerable" };
        let project = self.text("project");
        let words = [&options[..], &[itself, "example", server, "--root", &project]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("SHOP_TOKEN", CANARY).current_dir(self.top.path());
        command.env("HOME", self.path("home")).env("XDG_CONFIG_HOME", self.path("config"));
        command
    }

    /// The last rule that refused or mended something, of those that are meant.
    pub(crate) fn rule(&self, meant: &[&str]) -> Option<Rule> {
        let state = self.text("state");
        let mut export = Command::new(env!("CARGO_BIN_EXE_stockade"));
        let out = export.args(["audit", "export", "--state", &state]).output().unwrap();
        let lines = String::from_utf8(out.stdout).unwrap();
        let records = lines.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        let rules = records.flat_map(|it| {
            let record = it.get("record").cloned().unwrap_or(it);
            let refused = (record["decision"] == "deny").then(|| record["rule"].as_str());
            let refused = refused.flatten().map(|it| (it.to_owned(), false));
            let findings = record["findings"].as_array().cloned().unwrap_or_default();
            let seen = findings
                .into_iter()
                .filter(|it| it["action"] != "allow")
                .map(|it| (it["rule"].as_str().unwrap().to_owned(), it["action"] != "deny"));
            seen.chain(refused).collect::<Vec<_>>()
        });
        let rules: Vec<_> = rules.collect();
        let mut meant =
            rules.into_iter().filter(|(name, _)| meant.is_empty() || meant.contains(&&**name));
        meant.next_back().map(|(name, mended)| Rule { name, mended })
    }
}

/// A client that answers whatever it is asked, as many do.
struct Session {
    child: Child,
    lines: Receiver<Value>,
    last: u64,
    asked: Vec<Value>,
}

impl Session {
    fn new(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, last: 0, asked: Vec::new() }
    }

    fn send(&mut self, message: &Value) {
        // A server that has ended says so by its answer, which does not come.
        let _gone = writeln!(self.child.stdin.as_mut().unwrap(), "{message}");
    }

    fn begin(&mut self) {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": { "elicitation": {}, "sampling": {} },
            "clientInfo": { "name": "attacker", "version": "1" },
        });
        self.ask("initialize", &params);
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let id = json!(self.last);
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let Ok(message) = self.lines.recv_timeout(ANSWER) else { return Value::Null };
            match (message["method"].as_str(), message.get("id")) {
                (None, Some(it)) if *it == id => return message,
                (Some(asked), Some(it)) => {
                    let result = match asked {
                        "elicitation/create" => {
                            json!({ "action": "accept", "content": { "password": "x" } })
                        }
                        "sampling/createMessage" => json!({
                            "role": "assistant", "model": "m", "stopReason": "endTurn",
                            "content": { "type": "text", "text": "x" },
                        }),
                        _ => json!({}),
                    };
                    self.send(&json!({ "jsonrpc": "2.0", "id": it, "result": result }));
                    self.asked.push(message);
                }
                (_, _) => (),
            }
        }
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}
