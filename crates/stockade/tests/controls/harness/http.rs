//! A client of `stockade serve`, over plain TCP: any header and any byte can be said.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use super::probe::Ended;
use super::{Home, LEGACY, MODERN, PATIENCE, probe, wait_for};

/// A running `stockade serve`.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    errors: Option<JoinHandle<String>>,
    pub(crate) address: SocketAddr,
    /// The bearer key; nothing, when it was started without.
    pub(crate) key: Option<String>,
    /// What it said when it was ready.
    said: String,
}

/// A connection to it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    /// Headers that go with every request.
    headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// The body, as far as it was read.
    pub(crate) body: String,
}

impl Gateway {
    /// `stockade serve ARGS`, on a free port.
    pub(crate) fn serve(home: &Home, args: &[OsString]) -> Self {
        Self::start(Self::command(home).args(args))
    }

    /// `stockade serve`, on a free port.
    pub(crate) fn command(home: &Home) -> Command {
        let options = ["serve", "--listen", "127.0.0.1:0"].map(OsString::from);
        home.stockade(options.into_iter().chain(home.unheld()))
    }

    /// A `stockade serve` that was put together elsewhere.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let keys = command.get_args().filter(|it| *it == "--key").count().max(1);
        while said.lines().count() < 1 + keys && output.read_line(&mut said).unwrap() > 0 {}
        let word =
            |mark: &str| Some(said.split_once(mark)?.1.split_whitespace().next()?.to_owned());
        let Some(url) = word("listening on http://") else {
            let mut stderr = String::new();
            let _read = child.stderr.take().unwrap().read_to_string(&mut stderr);
            panic!("`stockade serve` did not start: {said}{stderr}");
        };
        // Standard error is read to its end, so that the guard never waits for a reader.
        let mut stderr = child.stderr.take().unwrap();
        let errors = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _read = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let address = url.trim_end_matches("/mcp").parse().unwrap();
        let key = word("\nkey ");
        Self { child, errors: Some(errors), address, key, said }
    }

    /// In front of a process.
    pub(crate) fn of(home: &Home, fake: &super::Fake) -> Self {
        Self::serve(home, &[&["--".into()], &fake.command()[..]].concat())
    }

    /// In front of an address.
    pub(crate) fn to(home: &Home, upstream: &super::FakeHttp) -> Self {
        Self::serve(home, &["--upstream".into(), upstream.url().into()])
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection that presents the key.
    pub(crate) fn connect(&self) -> Connection {
        let mut connection = Connection::to(self.address);
        if let Some(key) = &self.key {
            connection.keep("authorization", &format!("Bearer {key}"));
        }
        connection
    }

    /// A connection that presents the key of this person.
    pub(crate) fn connect_as(&self, name: &str) -> Connection {
        let (_, key) = self.said.split_once(&format!("\nkey {name} ")).expect(name);
        let mut connection = Connection::to(self.address);
        let key = key.lines().next().unwrap();
        connection.keep("authorization", &format!("Bearer {key}"));
        connection
    }

    /// Asks it to end, and waits until it has.
    #[track_caller]
    pub(crate) fn end(self) -> Ended {
        super::process::ask_to_end(self.child.id());
        let ended = self.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Ended {
        let status = wait_for("the end of the guard", || self.child.try_wait().unwrap());
        let stderr = self.errors.take().unwrap().join().unwrap();
        Ended::new(status.code(), &stderr)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _collected = self.child.wait();
    }
}

impl Connection {
    /// A connection to an address.
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut it = Self { stream: BufReader::new(stream), headers: Vec::new() };
        it.keep("host", &address.to_string());
        it
    }

    /// Another connection, with the same headers.
    pub(crate) fn again(&self) -> Self {
        let mut it = Self::to(self.stream.get_ref().peer_addr().unwrap());
        it.headers.clone_from(&self.headers);
        it
    }

    /// Sends this header from now on.
    pub(crate) fn keep(&mut self, name: &str, value: &str) {
        self.headers.retain(|(it, _)| it != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Sends bytes, whatever they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends a request. A header of `headers` stands in the place of the kept one of that name; an
    /// empty value leaves it out.
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let kept = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let kept = kept.filter(|(name, _)| !headers.iter().any(|(it, _)| it == name));
        for (name, value) in kept.chain(headers.iter().copied()).filter(|it| !it.1.is_empty()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        self.write(head.as_bytes()).unwrap();
    }

    /// Sends a request, and reads the whole answer.
    #[track_caller]
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        self.send(method, path, headers, body);
        self.response()
    }

    /// Sends a message with these headers beside the two that every message has.
    #[track_caller]
    pub(crate) fn post(&mut self, headers: &[(&str, &str)], message: &Value) -> Response {
        self.start_post(headers, message);
        self.response()
    }

    /// Sends a message, and reads nothing.
    pub(crate) fn start_post(&mut self, headers: &[(&str, &str)], message: &Value) {
        let always = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        let always = always.into_iter().filter(|(name, _)| !headers.iter().any(|it| it.0 == *name));
        let headers: Vec<_> = always.chain(headers.iter().copied()).collect();
        self.send("POST", "/mcp", &headers, &message.to_string());
    }

    /// Sends a message of the modern era, with the headers that repeat it.
    #[track_caller]
    pub(crate) fn post_modern(&mut self, message: &Value) -> Response {
        let message = super::modern(message.clone());
        let headers = modern_headers(&message);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.post(&headers, &message)
    }

    /// Begins a session of the legacy era; its id goes with every request from then on.
    #[track_caller]
    pub(crate) fn begin(&mut self, revision: &str) {
        let answer = self.post(&[], &probe::initialize(revision));
        assert_eq!(answer.status, 200, "{answer:?}");
        let session = answer.header("mcp-session-id").expect("a session").to_owned();
        self.keep("mcp-session-id", &session);
        if revision > "2025-03-26" {
            self.keep("mcp-protocol-version", revision);
        }
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.post(&[], &ready).status, 202);
    }

    /// The same in the newest legacy revision.
    #[track_caller]
    pub(crate) fn begin_legacy(&mut self) {
        self.begin(LEGACY);
    }

    /// Reads an answer with its whole body.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        let mut response = self.head().expect("an answer");
        response.body = if response.header("transfer-encoding") == Some("chunked") {
            std::iter::from_fn(|| self.chunk()).collect()
        } else {
            let length = response.header("content-length").map_or(0, |it| it.parse().unwrap());
            self.bytes(length)
        };
        response
    }

    /// So many bytes of a body that comes in one piece.
    pub(crate) fn bytes(&mut self, length: usize) -> String {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    /// Reads the head of an answer; nothing, when the other side has closed the connection.
    pub(crate) fn head(&mut self) -> Option<Response> {
        let mut lines = std::iter::from_fn(|| {
            let mut line = String::new();
            let length = self.stream.read_line(&mut line).ok()?;
            let line = line.trim_end().to_owned();
            (length > 0 && !line.is_empty()).then_some(line)
        });
        let first = lines.next()?;
        let status = first.split(' ').nth(1)?.parse().ok()?;
        let split = |line: String| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.filter_map(split).collect();
        Some(Response { status, headers, body: String::new() })
    }

    /// Sends `bytes` again and again, a little at a time, until there is an answer, which is read as
    /// by [`Connection::head`]. Fails when none comes after a hundred times, which is far less than the
    /// guard waits when nothing is set.
    pub(crate) fn drip(&mut self, bytes: &[u8]) -> Option<Response> {
        const PAUSE: Duration = Duration::from_millis(100);
        const TIMES: usize = 100;
        self.stream.get_ref().set_read_timeout(Some(PAUSE)).unwrap();
        for _ in 0..TIMES {
            // The other side may have gone.
            let _gone = self.write(bytes);
            let waits = |it: std::io::Error| {
                matches!(it.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
            };
            if !self.stream.fill_buf().map(drop).is_err_and(waits) {
                return self.head();
            }
        }
        panic!("no answer, and no end, after {TIMES} times {PAUSE:?}");
    }

    /// The next piece of a body that comes in pieces; nothing at its end.
    pub(crate) fn chunk(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).ok()?;
        bytes.truncate(length);
        (length > 0).then(|| String::from_utf8(bytes).unwrap())
    }

    /// The messages of a stream of events, one after the other.
    pub(crate) fn events(&mut self) -> impl Iterator<Item = Value> {
        let mut waiting = VecDeque::new();
        std::iter::from_fn(move || {
            while waiting.is_empty() {
                waiting.extend(data(&self.chunk()?));
            }
            waiting.pop_front()
        })
    }
}

impl Response {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The messages in it, whether it is one or a stream of events.
    pub(crate) fn messages(&self) -> Vec<Value> {
        match self.header("content-type") {
            Some("text/event-stream") => data(&self.body),
            _ if self.body.is_empty() => Vec::new(),
            _ => vec![serde_json::from_str(&self.body).expect(&self.body)],
        }
    }

    /// Its last message, which is the answer.
    #[track_caller]
    pub(crate) fn message(&self) -> Value {
        self.messages().pop().unwrap_or_else(|| panic!("no message in {self:?}"))
    }

    /// The code of the error in it.
    pub(crate) fn error_code(&self) -> Option<i64> {
        self.messages().last()?["error"]["code"].as_i64()
    }
}

/// The headers that repeat a message of the modern era.
pub(crate) fn modern_headers(message: &Value) -> Vec<(&'static str, String)> {
    let mut headers = vec![("mcp-protocol-version", MODERN.to_owned())];
    let method = message["method"].as_str().unwrap_or_default();
    headers.push(("mcp-method", method.to_owned()));
    if let ("tools/call", Some(name)) = (method, message["params"]["name"].as_str()) {
        headers.push(("mcp-name", name.to_owned()));
    }
    headers
}

fn data(events: &str) -> Vec<Value> {
    let data = events.lines().filter_map(|it| it.strip_prefix("data:"));
    data.filter(|it| !it.trim().is_empty()).map(|it| serde_json::from_str(it).expect(it)).collect()
}
