//! `stockade test fuzz`: the tools of a server are called with what their schemas allow and what they do
//! not, and what should never come of a call is told with the smallest arguments that do it.

mod cases;
mod hunt;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value, json};
use stockade_core::check::{escaped, redacted_value, visible};
use stockade_core::json::Document;
use stockade_core::revision::{Era, Revision};
use stockade_core::risk::{Act, Risk};

use self::hunt::{Find, Hunt};
use super::expect::Came;
use super::file::{Outcome, Severity};
use super::heard::{Ear, Heard};
use super::play::outcome;
use crate::cli::asked::{Asking, Headers, Seen, Spoken, failed};
use crate::cli::run::{Asks, Ready, Shared, ended, last, runtime};
use crate::cli::{Format, in_lines, printed};
use crate::client::answers::Answers;
use crate::client::offers::pages;
use crate::client::{Client, ClientError, Manner, converse};
use crate::failure::{Exit, Failure};

/// Call the tools of a server with what their schemas allow and forbid, and see what breaks
#[derive(Debug, Args)]
#[command(
    override_usage = "stockade test fuzz [OPTIONS] -- CMD…\n       \
                      stockade test fuzz [OPTIONS] --upstream URL",
    after_help = "Examples:
  stockade test fuzz -- node server.js
  stockade test fuzz --tool delete_note --cases 500 --root ./scratch:rw -- node server.js

Arguments are made from each tool's schema: what fits, bounds and what is beside them, other types, missing
and unknown ones, and texts that mean something to a file system, a database or a shell. They are the same
each time, for the same --seed. A tool that may do more than read, by its name, words and schema, is called
only if it is named with --tool, or with --all. The policy lets all of it pass; the sandbox holds the server.

Exit codes: 0 nothing found at or above --fail-on; 1 something was; 2 usage or configuration; 3 the server
wants other credentials; 4 it cannot be started or reached."
)]
pub(super) struct Fuzz {
    /// Call this tool alone, whatever it does. May be repeated
    #[arg(long = "tool", value_name = "NAME")]
    tools: Vec<String>,
    /// Call every tool, also those that may do more than read
    #[arg(long, conflicts_with = "tools")]
    all: bool,
    /// So many calls of each tool
    #[arg(long, value_name = "N", default_value = "100",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    cases: u32,
    /// What the arguments are made from
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// How long a call may take, in seconds: one that takes longer hangs
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    total: usize,
    /// What is spoken: `legacy`, `modern`, `auto`, or a revision by its name [default: legacy]
    #[arg(long, value_name = "ERA")]
    era: Option<Spoken>,
    /// How bad something must be for exit code 1: a tool that takes what its schema forbids is a warning
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t)]
    fail_on: Severity,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    headers: Headers,
    /// The remote server at this address
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    upstream: Option<String>,
    #[command(flatten)]
    shared: Shared,
    /// The server's command
    #[arg(last = true, help_heading = None, value_name = "CMD")]
    command: Vec<OsString>,
}

/// A server that ends more often than that for one tool has been seen to.
const BEGINNINGS_MAX: usize = 200;

/// What came of one tool.
struct Fuzzed {
    name: String,
    calls: u32,
    found: Vec<Find>,
}

/// What came of all of them.
struct Report {
    server: String,
    fuzzed: Vec<Fuzzed>,
    /// Tools that were not called, and what they do.
    left: Vec<(String, &'static str)>,
}

impl Fuzz {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let headers = self.headers.read()?;
        let asks = Asks {
            total: Some(self.total),
            many: true,
            lets_pass: true,
            headers,
            ..Asks::default()
        };
        let url = self.upstream.as_deref();
        let ready = self.shared.asking(asks).ready(url, &self.command, &[])?;
        let Some(ready) = ready else { return Ok(ExitCode::SUCCESS) };
        let guard = Arc::clone(&ready.guard);
        let report = ended(runtime(1)?, self.fuzz(ready));
        last(&guard);
        let report = report?;
        let out = match self.format {
            Format::Human => report.human(self.seed),
            Format::Json => format!("{}\n", escaped(&report.json(self.seed).to_string())),
        };
        printed(io::stdout().lock().write_all(out.as_bytes()))?;
        let mut all = report.fuzzed.iter().flat_map(|it| &it.found);
        let is_bad = all.any(|it| it.trouble.severity() >= self.fail_on);
        Ok(if is_bad { Exit::Findings.into() } else { ExitCode::SUCCESS })
    }

    async fn fuzz(&self, ready: Ready) -> Result<Report, Failure> {
        let asking = Asking::begin(ready, self.format == Format::Human)?;
        let report = self.hunted(&asking).await;
        asking.end()?;
        report.map_err(|it| failed(&asking.guard, &it))?
    }

    async fn hunted(&self, asking: &Asking) -> Result<Result<Report, Failure>, ClientError> {
        let spoken = self.era.unwrap_or(Spoken::This(Revision::V2025_11_25));
        let revision = spoken.with(&asking.guard, &asking.way).await?;
        let heard = Heard::default();
        let listed = talk(asking, revision, &heard, async |client| {
            begin(client).await?;
            pages(client, "tools/list", "tools").await
        });
        let (wanted, left) = match self.chosen(listed.await?) {
            Ok(it) => it,
            Err(failure) => return Ok(Err(failure)),
        };
        let mut fuzzed = Vec::new();
        for (name, schema) in wanted {
            let mut hunt = Hunt::new(&name, &schema, self.cases, self.seed);
            for _ in 0..BEGINNINGS_MAX {
                // A server that has ended, or was ended since it hung, begins again.
                let went = talk(asking, revision, &heard, async |client| {
                    begin(client).await?;
                    pages(client, "tools/list", "tools").await?;
                    while let Some(arguments) = hunt.next() {
                        let came = call(asking, client, &name, arguments).await;
                        let is_over = matches!(came.outcome, Outcome::Lost | Outcome::Timeout);
                        hunt.came(&came);
                        if is_over {
                            break;
                        }
                    }
                    Ok(())
                });
                went.await?;
                if let Some(how) = heard.take_left() {
                    hunt.left(how.trim_start_matches(": "));
                }
                if hunt.is_over() {
                    break;
                }
            }
            let (calls, found) = hunt.end();
            fuzzed.push(Fuzzed { name, calls, found });
        }
        Ok(Ok(Report { server: asking.guard.server.name.to_string(), fuzzed, left }))
    }

    /// The tools that are called, with their schemas; and those that are not, with what they do.
    #[expect(clippy::type_complexity, reason = "both are lists of pairs")]
    fn chosen(
        &self,
        listed: Vec<Value>,
    ) -> Result<(Vec<(String, Value)>, Vec<(String, &'static str)>), Failure> {
        let (mut wanted, mut left) = (Vec::new(), Vec::new());
        for tool in listed {
            let Some(name) = tool.get("name").and_then(Value::as_str).map(str::to_owned) else {
                continue;
            };
            let is_named = self.tools.contains(&name);
            if !self.tools.is_empty() && !is_named {
                continue;
            }
            let document = Document::from_value(&tool);
            let risk = document.map(|it| Risk::of(it.root())).unwrap_or_default();
            let gravest = risk.acts().map(|(act, _)| act).next();
            match gravest {
                Some(Act::Read) => {}
                _ if is_named || self.all => {}
                Some(act) => {
                    left.push((name, act.says()));
                    continue;
                }
                None => {
                    left.push((name, "nobody knows what it does"));
                    continue;
                }
            }
            wanted.push((name, tool.get("inputSchema").cloned().unwrap_or_else(|| json!({}))));
        }
        let unknown = self.tools.iter().find(|it| !wanted.iter().any(|(name, _)| name == *it));
        if let Some(it) = unknown {
            let says = format!("the server has no tool `{}`", visible(it));
            return Err(Failure::new(Exit::Usage, says)
                .help("`stockade call tools/list` lists those that it has"));
        }
        Ok((wanted, left))
    }
}

/// A conversation with the server.
async fn talk<T>(
    asking: &Asking,
    revision: Revision,
    heard: &Heard,
    script: impl AsyncFnOnce(&mut Client<'_>) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let manner = Manner {
        revision,
        has_tasks: false,
        // The guard itself ends what takes too long, and says so.
        patience: Some(asking.guard.policy().limits.call_total() + Duration::from_secs(5)),
        approves: false,
        shows: asking.shows,
        declares: None,
    };
    let mut ear = Ear::new(Answers::default(), heard);
    let said = converse(&asking.guard, &asking.way, manner, &mut ear, script).await;
    // What comes beside the answers is no matter here.
    drop(heard.take());
    said
}

async fn begin(client: &mut Client<'_>) -> Result<(), ClientError> {
    if client.era() == Era::Legacy {
        client.begin().await?;
    }
    Ok(())
}

async fn call(asking: &Asking, client: &mut Client<'_>, name: &str, arguments: Value) -> Came {
    drop(asking.onlooker.take());
    let params =
        Map::from_iter([("name".to_owned(), name.into()), ("arguments".to_owned(), arguments)]);
    let sent = Instant::now();
    let asked = client.complete("tools/call", Value::Object(params)).await;
    let took_ms = u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (records, _) = asking.onlooker.take();
    let seen = Seen { records: &records, method: "tools/call" };
    let (outcome, why, answer) = outcome(asked.map(Some), seen);
    Came { outcome, why, answer, events: Vec::new(), before: 0, records, took_ms }
}

impl Report {
    fn human(&self, seed: u64) -> String {
        let calls: u32 = self.fuzzed.iter().map(|it| it.calls).sum();
        let (server, tools) = (visible(&self.server), self.fuzzed.len());
        let plural = if tools == 1 { "" } else { "s" };
        let mut out = format!("{server}: {calls} calls of {tools} tool{plural}, seed {seed}\n");
        for it in &self.fuzzed {
            let name = visible(&it.name);
            let ok = if it.found.is_empty() { "ok" } else { "not ok" };
            out += &format!("{ok}: {name}, {} calls\n", it.calls);
            for find in &it.found {
                let (sort, says) = (find.trouble.name(), in_lines(&find.says));
                let severity = find.trouble.severity().name();
                out += &format!("  {sort} ({severity}): {}\n", says.replace('\n', "\n    "));
                out += &format!("    {}\n", escaped(&redacted_value(&find.arguments).to_string()));
            }
        }
        for (name, what) in &self.left {
            out += &format!("not called: {}, since {what}: `--tool` names it\n", visible(name));
        }
        out
    }

    fn json(&self, seed: u64) -> Value {
        let find = |it: &Find| {
            json!({
                "sort": it.trouble.name(), "severity": it.trouble.severity().name(),
                "says": in_lines(&it.says), "arguments": redacted_value(&it.arguments),
            })
        };
        let fuzzed = self.fuzzed.iter().map(|it| {
            json!({ "tool": it.name, "calls": it.calls,
                "found": it.found.iter().map(find).collect::<Vec<_>>() })
        });
        let left = self.left.iter().map(|(name, what)| json!({ "tool": name, "does": what }));
        json!({ "server": self.server, "seed": seed, "tools": fuzzed.collect::<Vec<_>>(),
            "notCalled": left.collect::<Vec<_>>() })
    }
}
