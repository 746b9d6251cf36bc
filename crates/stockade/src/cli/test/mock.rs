//! `stockade test mock`: a server that answers as one did that was recorded.
//!
//! It is for whoever writes a client, and for trying a policy on what a server once said. It knows
//! nothing but its file: what is asked otherwise than there is answered with an error that says so.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Read as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use proptest::strategy::{Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use stockade_core::revision::{META_VERSION, Revision};

use super::expect::same;
use super::file::{Coming, Matcher, Matchers, Outcome, Read, Step, line};
use crate::failure::{Exit, Failure};

/// The longest message that is read, in bytes.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// Be a server that answers as in a file of a test, on standard input and output
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade test mock shop.test.toml
  stockade call tools/call --name query --arg 'sql=SELECT 1' -- stockade test mock shop.test.toml

A request is answered with the snapshot of the step that asks the same; of several, with that of each in turn,
and then with the last again. What has a matcher is some value that fits it. Notifications that the step's
`order` has come before the answer. Nothing is asked of the client.")]
pub(super) struct Mock {
    /// A file of a test, with snapshots
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What is answered to a request.
#[derive(Debug)]
struct Answered {
    method: String,
    params: Map<String, Value>,
    /// What comes before it: methods of notifications.
    before: Vec<String>,
    answer: Result<Value, Value>,
    /// How often it was said.
    said: usize,
}

impl Mock {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let read = Read::new(&self.file)?;
        let mut server = Server::of(&read)?;
        let (mut input, mut out) = (io::stdin().lock(), io::stdout().lock());
        loop {
            let mut line = Vec::new();
            let got = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            let got = got.map_err(|it| Failure::new(Exit::Usage, "cannot read").from(it))?;
            if got == 0 {
                return Ok(ExitCode::SUCCESS);
            }
            let message: Value = serde_json::from_slice(&line).unwrap_or_default();
            for said in server.hears(&message) {
                let written = writeln!(out, "{said}").and_then(|()| out.flush());
                // Nobody reads any more.
                if written.is_err() {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    }
}

#[derive(Debug)]
struct Server {
    all: Vec<Answered>,
}

impl Server {
    fn of(read: &Read) -> Result<Self, Failure> {
        let mut all = Vec::new();
        for step in &read.file.steps {
            let (line, step) = (line(&read.text, step.span().start), step.as_ref());
            let (Some(method), Some(snapshot)) = (step.method(), step.snapshot.as_deref()) else {
                continue;
            };
            let mut answer: Value = serde_json::from_str(snapshot).map_err(|error| {
                let says = format!("the step in line {line} has no snapshot that can be answered");
                Failure::new(Exit::Usage, says)
                    .from(error)
                    .help("`stockade test --update` writes it")
            })?;
            for matchers in [&read.file.matchers, &step.matchers] {
                lively(&mut answer, matchers);
            }
            let answer = match step.outcome {
                Outcome::Error => Err(answer),
                Outcome::Result
                | Outcome::ToolError
                | Outcome::Denied
                | Outcome::Timeout
                | Outcome::Lost
                | Outcome::Violation
                | Outcome::Question => Ok(answer),
            };
            let (params, before) = (step.params(), before(step));
            all.push(Answered { method: method.to_owned(), params, before, answer, said: 0 });
        }
        Ok(Self { all })
    }

    /// What it says to a message.
    fn hears(&mut self, message: &Value) -> Vec<Value> {
        let (Some(id), Some(method)) = (
            message.get("id").filter(|it| !it.is_null()),
            message.get("method").and_then(Value::as_str),
        ) else {
            return Vec::new();
        };
        let mut params = match message.get("params") {
            Some(Value::Object(params)) => params.clone(),
            Some(_) | None => Map::new(),
        };
        let meta = params.remove("_meta").unwrap_or_default();
        // What a client always sends, and a recording leaves away.
        if let Some(arguments) = params.get("arguments")
            && *arguments == json!({})
            && !matches!(method, "tools/call" | "prompts/get")
        {
            params.remove("arguments");
        }
        if matches!(method, "tools/call" | "prompts/get") {
            params.entry("arguments").or_insert_with(|| json!({}));
        }
        let is_modern = meta.get(META_VERSION).is_some();
        let asked = Value::Object(params.clone());
        let is_it =
            |it: &Answered| it.method == method && same(&Value::Object(it.params.clone()), &asked);
        // Each in turn, and then the last again.
        let next = self.all.iter().position(|it| is_it(it) && it.said == 0);
        let found = next.or_else(|| self.all.iter().rposition(is_it));
        let answer = match found.and_then(|it| self.all.get_mut(it)) {
            Some(it) => {
                it.said += 1;
                Ok((it.before.clone(), it.answer.clone()))
            }
            None => self.own(method, &params).map(|it| (Vec::new(), Ok(it))).ok_or(()),
        };
        let (before, answer) = answer.unwrap_or_else(|()| {
            let says = format!("`{method}` was not recorded with these parameters");
            (Vec::new(), Err(json!({ "code": -32601, "message": says })))
        });
        let token = meta.get("progressToken");
        let told = before.iter().filter_map(|it| notification(it, token));
        let answer = match answer {
            Ok(mut result) => {
                if let (true, Some(result)) = (is_modern, result.as_object_mut()) {
                    result.entry("resultType").or_insert_with(|| "complete".into());
                }
                json!({ "jsonrpc": "2.0", "id": id, "result": result })
            }
            Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
        };
        told.chain([answer]).collect()
    }

    /// What every server can say, where it was not recorded.
    fn own(&self, method: &str, params: &Map<String, Value>) -> Option<Value> {
        let has =
            |methods: &[&str]| self.all.iter().any(|it| methods.contains(&it.method.as_str()));
        let info = json!({ "name": "mock", "version": env!("CARGO_PKG_VERSION") });
        let capabilities = || {
            let mut all = Map::new();
            for (name, methods) in [
                ("tools", &["tools/list", "tools/call"][..]),
                ("prompts", &["prompts/list", "prompts/get"]),
                ("resources", &["resources/list", "resources/read", "resources/templates/list"]),
                ("completions", &["completion/complete"]),
                ("logging", &["logging/setLevel"]),
            ] {
                all.extend(has(methods).then(|| (name.to_owned(), json!({}))));
            }
            all
        };
        match method {
            "initialize" => {
                let wanted = params.get("protocolVersion").and_then(Value::as_str);
                let known = wanted.and_then(Revision::parse).map(Revision::name);
                let revision = known.unwrap_or(Revision::V2025_11_25.name());
                Some(json!({ "protocolVersion": revision, "capabilities": capabilities(),
                    "serverInfo": info }))
            }
            "server/discover" => Some(json!({
                "supportedVersions": [Revision::V2026_07_28.name()], "capabilities": capabilities(),
                "ttlMs": 0, "cacheScope": "private", "_meta": { "io.modelcontextprotocol/serverInfo": info },
            })),
            "ping" => Some(json!({})),
            // Whoever calls a tool looks for it first.
            "tools/list" => {
                let called = self.all.iter().filter(|it| it.method == "tools/call");
                let names: BTreeSet<&str> =
                    called.filter_map(|it| it.params.get("name").and_then(Value::as_str)).collect();
                let tools = names
                    .into_iter()
                    .map(|it| json!({ "name": it, "inputSchema": { "type": "object" } }));
                Some(
                    json!({ "tools": tools.collect::<Vec<_>>(), "ttlMs": 0, "cacheScope": "private" }),
                )
            }
            _ => None,
        }
    }
}

/// Notifications that come before the answer.
fn before(step: &Step) -> Vec<String> {
    let methods = step.order.iter().map(|it| match it {
        Coming::Method(method) => method.clone(),
        Coming::With(it) => it.method.clone(),
    });
    methods.take_while(|it| it != "answer").filter(|it| it.starts_with("notifications/")).collect()
}

fn notification(method: &str, token: Option<&Value>) -> Option<Value> {
    let params = match method {
        "notifications/progress" => json!({ "progressToken": token?, "progress": 1 }),
        "notifications/message" => json!({ "level": "info", "data": "mock" }),
        "notifications/resources/updated" => return None,
        _ => json!({}),
    };
    Some(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
}

/// Puts values that fit in the places of what was another each time.
fn lively(answer: &mut Value, matchers: &Matchers) {
    for (query, matcher) in &matchers.0 {
        let found = query.path().query_located(answer);
        let places: Vec<String> = found.locations().map(|it| it.to_json_pointer()).collect();
        for place in places {
            if let Some(value) = answer.pointer_mut(&place) {
                *value = some(matcher);
            }
        }
    }
}

fn some(matcher: &Matcher) -> Value {
    match matcher {
        Matcher::Any => Value::Null,
        Matcher::Text => "text".into(),
        Matcher::Number => 0.into(),
        Matcher::Truth => true.into(),
        Matcher::Timestamp => "2026-01-01T00:00:00Z".into(),
        Matcher::Uuid => "00000000-0000-4000-8000-000000000000".into(),
        Matcher::Matches(pattern) => {
            let made = string_regex(pattern.0.as_str().trim_matches(['^', '$']));
            let tree = made.ok().and_then(|it| it.new_tree(&mut TestRunner::deterministic()).ok());
            tree.map_or(Value::Null, |it| it.current().into())
        }
    }
}
