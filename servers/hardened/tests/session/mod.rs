//! A client of the raw protocol: it writes lines to a server's standard input and looks for the
//! answers on its standard output, with no SDK in between that would mend what is wrong.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of tests is a test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    errors: Receiver<String>,
    /// What the server said on its own while an answer was awaited.
    pub(crate) heard: Vec<Value>,
    last_id: i64,
}

impl Session {
    pub(crate) fn start(program: &str, args: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = lines(child.stdout.take().unwrap());
        let errors = lines(child.stderr.take().unwrap());
        Self { child, input, output, errors, heard: Vec::new(), last_id: 0 }
    }

    /// A session of 2025-11-25 whose client can be asked everything.
    pub(crate) fn legacy(program: &str, args: &[&str]) -> Self {
        let mut session = Self::start(program, args);
        let hello = session.ask(
            "initialize",
            json!({
                "protocolVersion": "2025-11-25",
                "capabilities": { "elicitation": {}, "sampling": {} },
                "clientInfo": { "name": "test", "version": "0" },
            }),
        );
        assert_eq!(hello["result"]["protocolVersion"], "2025-11-25");
        session.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        session
    }

    /// One request of 2026-07-28, which says everything about itself.
    pub(crate) fn modern(&mut self, method: &str, mut params: Value) -> Value {
        params["_meta"] = modern_meta();
        self.ask(method, params)
    }

    /// A tool's result, in a legacy session.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        answer.get("result").unwrap_or_else(|| panic!("{tool}: {answer}")).clone()
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        self.answer(id)
    }

    pub(crate) fn request(&mut self, method: &str, params: Value) -> i64 {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    pub(crate) fn answer(&mut self, id: i64) -> Value {
        loop {
            let message = self.hear();
            if message.get("method").is_none() && message["id"] == id {
                return message;
            }
            self.heard.push(message);
        }
    }

    /// The next message, whatever it is.
    pub(crate) fn hear(&mut self) -> Value {
        let line = self.output.recv_timeout(PATIENCE).expect("the server says something");
        serde_json::from_str(&line).expect("standard output belongs to the protocol")
    }

    pub(crate) fn send(&mut self, message: &Value) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{message}").unwrap();
        input.flush().unwrap();
    }

    /// The next line that the server wrote for its operator.
    pub(crate) fn logged(&mut self) -> String {
        self.errors.recv_timeout(PATIENCE).expect("the server writes to standard error")
    }

    /// The address that a server on HTTP says it listens on.
    pub(crate) fn address(&mut self) -> String {
        let line = self.logged();
        let address =
            line.strip_prefix("listening on http://").and_then(|it| it.strip_suffix("/mcp"));
        address.unwrap_or_else(|| panic!("{line}")).to_owned()
    }

    /// Hangs up, and waits for the server to end by itself.
    pub(crate) fn hang_up(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
    }
}

/// What a request of 2026-07-28 must say about its client.
pub(crate) fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": {}, "sampling": {} },
    })
}

/// Posts `tools/list` of 2026-07-28 with these headers added: the status and the body.
pub(crate) fn post_list(address: &str, headers: &[&str]) -> (u16, String) {
    let params = json!({ "_meta": modern_meta() });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params });
    let body = body.to_string();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
         Mcp-Method: tools/list\r\nConnection: close\r\n{}\r\n\r\n{body}",
        body.len(),
        headers.join("\r\n"),
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

const PATIENCE: Duration = Duration::from_secs(20);
