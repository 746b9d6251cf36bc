//! A server that does what a script says, and writes down every byte that it is sent.
//!
//! Over standard input and output it is a process of its own: this binary, started with [`ARG`] and
//! the file of the script. `fake_http` plays the same scripts over HTTP.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The argument that makes this binary a server.
pub(crate) const ARG: &str = "--be-a-fake";

/// What a fake server does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Script {
    /// Where it writes down what it is sent. Set by whoever starts it.
    pub(crate) log: PathBuf,
    /// What it does before it is sent anything.
    pub(crate) start: Vec<Step>,
    /// What it does for a method, in place of the ordinary answer.
    pub(crate) on: BTreeMap<String, Vec<Step>>,
    /// What it does for a call of a tool, in place of the ordinary answer.
    pub(crate) on_tool: BTreeMap<String, Vec<Step>>,
    /// Its tools, beside `echo`.
    pub(crate) tools: Vec<Value>,
    /// Whether it begins with the next request before it is done with the last.
    pub(crate) concurrent: bool,
    /// Whether it looks at its script anew for each message.
    pub(crate) fickle: bool,
}

/// One thing that a fake server does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Says a message. `"$id"`, `"$token"`, `"$arguments"` and `"$text"` in it stand for what the
    /// request had there.
    Say(Value),
    /// Says a message so many times.
    Repeat(usize, Value),
    /// Says this line, whatever it is.
    Line(String),
    /// Says so many bytes without a line end.
    Flood(usize),
    /// Says so many lines that are no messages.
    Noise(usize),
    /// Writes a line to standard error.
    Complain(String),
    /// Has a shell do this line, with an argument of the call in the place of `{}`.
    Shell(String, String),
    /// Starts a process that has left the session and lost its parent, with this mark on its
    /// command line.
    Daemon(String),
    /// Takes some time, so that answers overtake each other.
    Dawdle,
    /// Takes so many milliseconds.
    Sleep(u64),
    /// Answers nothing more to this request, and keeps its stream open.
    Hang,
    /// Reads nothing more. Of a script that is not concurrent.
    Deafen,
    /// Ends.
    Exit(i32),
}

/// Says `message`.
pub(crate) fn say(message: Value) -> Step {
    Step::Say(message)
}

/// A tool with one text argument.
pub(crate) fn tool(name: &str) -> Value {
    json!({
        "name": name,
        "description": format!("The tool {name}."),
        "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
    })
}

impl Script {
    /// The same script, doing `steps` for `method`.
    #[must_use]
    pub(crate) fn on(mut self, method: &str, steps: impl Into<Vec<Step>>) -> Self {
        self.on.insert(method.to_owned(), steps.into());
        self
    }

    /// The same script, with the tool `name`, for which it does `steps`.
    #[must_use]
    pub(crate) fn on_tool(self, name: &str, steps: impl Into<Vec<Step>>) -> Self {
        let mut with = self.with(tool(name));
        with.on_tool.insert(name.to_owned(), steps.into());
        with
    }

    /// The same script, with one more tool.
    #[must_use]
    pub(crate) fn with(mut self, tool: Value) -> Self {
        self.tools.push(tool);
        self
    }

    /// What it does for a message.
    pub(crate) fn steps(&self, message: &Value) -> Vec<Step> {
        let Some(method) = message["method"].as_str() else { return Vec::new() };
        if let Some(steps) = self.on.get(method) {
            return steps.clone();
        }
        let name = message["params"]["name"].as_str().unwrap_or_default();
        if let Some(steps) = self.on_tool.get(name).filter(|_| method == "tools/call") {
            return steps.clone();
        }
        if message.get("id").is_none() { Vec::new() } else { vec![say(self.ordinary(message))] }
    }

    /// The answer of a server that does nothing special, in the era of the request.
    fn ordinary(&self, message: &Value) -> Value {
        let params = &message["params"];
        let is_modern = !params["_meta"]["io.modelcontextprotocol/protocolVersion"].is_null();
        let info = json!({ "name": "fake", "version": "1" });
        let capabilities = json!({ "tools": {}, "logging": {}, "prompts": {}, "resources": {} });
        let mut result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => json!({
                "protocolVersion": params["protocolVersion"],
                "capabilities": capabilities,
                "serverInfo": info,
            }),
            "server/discover" => json!({
                "supportedVersions": [super::MODERN],
                "capabilities": capabilities,
                "ttlMs": 0,
                "cacheScope": "private",
            }),
            "tools/list" => {
                let tools: Vec<Value> =
                    [tool("echo")].into_iter().chain(self.tools.clone()).collect();
                let mut result = json!({ "tools": tools });
                if is_modern {
                    (result["ttlMs"], result["cacheScope"]) = (json!(0), json!("private"));
                }
                result
            }
            "tools/call" => {
                let text = params["arguments"]["text"].as_str().unwrap_or("done");
                json!({ "content": [{ "type": "text", "text": text }] })
            }
            "ping" => json!({}),
            _ => {
                let error = json!({ "code": -32601, "message": "Method not found" });
                return json!({ "jsonrpc": "2.0", "id": message["id"], "error": error });
            }
        };
        if is_modern {
            result["resultType"] = json!("complete");
        }
        json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })
    }
}

/// A message of a script, with what the request had in the places of the marks.
pub(crate) fn filled(template: &Value, request: &Value) -> Value {
    match template {
        Value::String(mark) => match mark.as_str() {
            "$id" => request["id"].clone(),
            "$token" => request["params"]["_meta"]["progressToken"].clone(),
            "$arguments" => request["params"]["arguments"].clone(),
            "$text" => request["params"]["arguments"]["text"].clone(),
            _ => template.clone(),
        },
        Value::Array(items) => items.iter().map(|it| filled(it, request)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, it)| (name.clone(), filled(it, request))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

/// Is the server of the script in `file`, until its input ends.
pub(crate) fn play(file: &Path) -> ExitCode {
    let read = || -> Script { serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap() };
    let script = read();
    let log = File::options().append(true).create(true).open(&script.log).unwrap();
    let out = Mutex::new(io::stdout());
    thread::scope(|scope| {
        script.start.iter().for_each(|it| act(it, &Value::Null, &out));
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            if input.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
                break;
            }
            (&log).write_all(&line).unwrap();
            let message: Value = serde_json::from_slice(&line).unwrap_or_default();
            let steps = match script.fickle {
                true => read().steps(&message),
                false => script.steps(&message),
            };
            let out = &out;
            let answer = move || steps.iter().for_each(|it| act(it, &message, out));
            if script.concurrent {
                scope.spawn(answer);
            } else {
                answer();
            }
        }
    });
    ExitCode::SUCCESS
}

fn act(step: &Step, request: &Value, out: &Mutex<io::Stdout>) {
    let line = |bytes: &[u8]| {
        let mut out = out.lock().unwrap();
        // A guard that is gone has no use for it.
        let _gone = out.write_all(bytes).and_then(|()| out.flush());
    };
    match step {
        Step::Say(message) => line(format!("{}\n", filled(message, request)).as_bytes()),
        Step::Repeat(times, message) => {
            let text = format!("{}\n", filled(message, request));
            (0..*times).for_each(|_| line(text.as_bytes()));
        }
        Step::Line(text) => line(format!("{text}\n").as_bytes()),
        Step::Flood(bytes) => {
            let piece = vec![b'x'; 1 << 16];
            (0..bytes / piece.len()).for_each(|_| line(&piece));
        }
        Step::Noise(lines) => {
            let piece = "this is not a message\n".repeat(100);
            (0..lines / 100).for_each(|_| line(piece.as_bytes()));
        }
        Step::Complain(text) => eprintln!("{text}"),
        Step::Shell(template, name) => {
            let given = request["params"]["arguments"][name].as_str().unwrap_or_default();
            shell(&template.replace("{}", given));
        }
        Step::Daemon(mark) => daemon(mark),
        Step::Dawdle => {
            let id = request["id"].as_u64().unwrap_or_default();
            thread::sleep(Duration::from_millis(id * 7 % 5));
        }
        Step::Sleep(ms) => thread::sleep(Duration::from_millis(*ms)),
        Step::Hang => (),
        Step::Deafen => loop {
            thread::park();
        },
        Step::Exit(code) => process::exit(*code),
    }
}

fn shell(line: &str) {
    let started = Command::new("sh")
        .args(["-c", line])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    // How it ended is nobody's business here.
    let _ended = started.unwrap();
}

/// Starts what a server should not leave behind. It ends by itself after two minutes.
fn daemon(mark: &str) {
    let stays = "i=0; while [ $i -lt 120 ]; do sleep 1; i=$((i+1)); done";
    let started = Command::new("sh")
        .args(["-c", "(setsid sh -c \"$0\" \"$1\" &)", stays, mark])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(started.unwrap().success());
}
