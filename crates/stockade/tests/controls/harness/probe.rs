//! A client of `stockade run`: it says what it is told to, and shows what it is told.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Fake, Home, LEGACY, PATIENCE, request};

/// The argument that makes this binary a client, of the command that follows.
pub(crate) const ARG: &str = "--be-a-client";

/// A client and the guard that it talks to.
#[derive(Debug)]
pub(crate) struct Probe {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    /// What came while something else was awaited.
    pub(crate) others: Vec<Value>,
}

/// How the guard ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// Without the note that nothing holds the fakes (`Home::unheld`).
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn new(code: Option<i32>, stderr: &str) -> Self {
        let note =
            "note: no sandbox: the server may do what its user may; nothing of it is pinned\n";
        Self { code, stderr: stderr.replacen(note, "", 1) }
    }
}

impl Probe {
    /// A client of `stockade run -- FAKE`.
    pub(crate) fn run(home: &Home, fake: &Fake) -> Self {
        Self::run_with(home, &[], fake)
    }

    /// The same with options.
    pub(crate) fn run_with(home: &Home, options: &[&str], fake: &Fake) -> Self {
        Self::of(&mut command(home, options, &fake.command()))
    }

    /// A client of any command.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, output) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|it| sender.send(it)));
        let mut stderr = child.stderr.take().unwrap();
        let errors = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _read = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let input = child.stdin.take();
        Self { child, input, output, errors: Some(errors), others: Vec::new() }
    }

    /// The guard's process.
    pub(crate) fn guard(&self) -> u32 {
        self.child.id()
    }

    /// Says bytes, whatever they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.offer(bytes).unwrap();
    }

    /// The same, to a guard that may have ended.
    pub(crate) fn offer(&mut self, bytes: &[u8]) -> io::Result<()> {
        let input = self.input.as_mut().expect("nothing is said after the end");
        input.write_all(bytes).and_then(|()| input.flush())
    }

    /// Says a message.
    pub(crate) fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    /// The next message; nothing, when the guard has closed its end.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Value> {
        self.next_within(PATIENCE).expect("nothing came, and the end did not come")
    }

    /// The next message or end, if it comes in time.
    pub(crate) fn next_within(&mut self, time: Duration) -> Option<Option<Value>> {
        match self.output.recv_timeout(time) {
            Ok(line) => Some(Some(serde_json::from_str(&line).expect(&line))),
            Err(RecvTimeoutError::Disconnected) => Some(None),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }

    /// The answer to a request. What comes before it is kept in `others`.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: impl Into<Value>) -> Value {
        let id = id.into();
        loop {
            let Some(message) = self.next() else {
                panic!("the end came before the answer to {id}")
            };
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
            self.others.push(message);
        }
    }

    /// Says a request, and waits for its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Value) -> Value {
        self.send(request);
        self.answer(request["id"].clone())
    }

    /// Begins a session of the legacy era.
    #[track_caller]
    pub(crate) fn begin(mut self) -> Self {
        self.begin_in(LEGACY);
        self
    }

    /// Begins a session in a revision.
    #[track_caller]
    pub(crate) fn begin_in(&mut self, revision: &str) -> Value {
        let answer = self.ask(&initialize(revision));
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        // Once this is answered, what was said before it has arrived.
        self.ask(&request("begun", "ping", json!({})));
        answer
    }

    /// Closes the input.
    pub(crate) fn close(&mut self) {
        self.input = None;
    }

    /// Closes the input, and waits until the guard has ended.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        self.close();
        self.ended()
    }

    /// Waits until the guard has ended by itself.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Ended {
        let end = Instant::now() + PATIENCE;
        while let Some(message) = self.next_within(end - Instant::now()).expect("the guard ends") {
            self.others.push(message);
        }
        let status = self.child.wait().unwrap();
        let stderr = self.errors.take().unwrap().join().unwrap();
        Ended::new(status.code(), &stderr)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _collected = self.child.wait();
    }
}

/// `stockade run … -- …`, in `home`.
pub(crate) fn command(home: &Home, options: &[&str], server: &[OsString]) -> Command {
    let mut command = home.stockade([OsString::from("run")].into_iter().chain(home.unheld()));
    command.args(options).arg("--").args(server);
    command
}

/// The first request of a session.
pub(crate) fn initialize(revision: &str) -> Value {
    let info = json!({ "name": "probe", "version": "1" });
    let params = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": info });
    request("initialize", "initialize", params)
}

/// Is a client of the command in `args`: begins a session with it, calls a tool once, says on
/// standard output that it was answered, and then does nothing for two minutes.
pub(crate) fn play(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let mut child = Command::new(args.next().unwrap())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    for message in [initialize(LEGACY), super::call(1, "echo", json!({ "text": "x" }))] {
        input.write_all(format!("{message}\n").as_bytes()).unwrap();
        output.read_line(&mut line).unwrap();
    }
    println!("answered");
    io::stdout().flush().unwrap();
    thread::sleep(Duration::from_secs(120));
    drop(input);
    child.wait().unwrap();
    ExitCode::SUCCESS
}
