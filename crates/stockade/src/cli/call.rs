//! `stockade call`: one request from a script, that goes the way of every client's messages.

mod heard;
mod report;
mod wanted;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value};
use stockade_core::revision::Revision;

use self::heard::Listener;
use self::report::Report;
use self::wanted::{Came, Wanted};
use super::Format;
use super::asked::{Asking, Headers, Spoken, failed, rooted};
use super::run::{Asks, Ready, Shared, ended, last, runtime};
use super::scan::FailOn;
use crate::client::answers::{Answers, AnswersError};
use crate::client::load::AT_ONCE_MAX;
use crate::client::{ClientError, Manner, Until, converse};
use crate::failure::{Exit, Failure};

/// Ask a server for one thing, as a client would, and print what comes
#[derive(Debug, Args)]
#[command(
    override_usage = "stockade call [OPTIONS] TARGET METHOD [JSON]\n       \
                      stockade call [OPTIONS] METHOD [JSON] -- CMD…",
    after_help = "Examples:
  stockade call tools/list -- stockade example hardened
  stockade call tools/call --name query --arg 'sql=SELECT 1' -- stockade example hardened
  stockade call https://mcp.example.com/mcp resources/read '{\"uri\": \"about:///shop\"}'
  stockade call notes tools/call --name ask --answers answers.toml --format json

TARGET is the address of a remote server, or the name of a server of the policy. A command after `--`
is started in its sandbox, as with `stockade run`, and what is said goes through the same guard: it is
judged by the policy, and is in the ledger. JSON are the parameters; `-` is standard input.

Exit codes: 0 when there is a result; 1 when it does not match the tool's `outputSchema`, the answer
breaks the protocol, the server wants an answer that --answers does not have, or a rule has found what
--fail-on names; 2 for arguments that cannot be sent; 3 when the server wants other credentials; 4 when
it cannot be started or reached, or does not answer in time; 5 when the tool has failed or the answer
is an error; 6 when the policy denies it."
)]
pub(super) struct Call {
    /// The server, unless a command is given; the method; and its parameters
    #[arg(value_name = "TARGET METHOD [JSON]", required = true, num_args = 1..=3)]
    words: Vec<String>,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    ways: Ways,
    #[command(flatten)]
    shared: Shared,
    /// The server's command
    #[arg(last = true, help_heading = None, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What is asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Parameters")]
struct About {
    /// The tool or prompt that it is about
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The resource that it is about
    #[arg(long, value_name = "URI", conflicts_with_all = ["name", "template"])]
    uri: Option<String>,
    /// The resource that this URI template (RFC 6570) names with each --arg in its place
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "name")]
    template: Option<String>,
    /// An argument. For a tool it is brought into the form that the tool's schema wants: a number, a
    /// list in JSON, or the text as it is. What is completed is the last one. May be repeated
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    args: Vec<String>,
    /// Something for `_meta`: JSON, or else a text. May be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    meta: Vec<String>,
    /// Have the server send log messages from this level on
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Have it done as a task, and wait until that has ended
    #[arg(long)]
    task: bool,
}

/// How it is asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Conversation")]
struct Ways {
    /// What is spoken: `legacy` (with a session), `modern` (2026-07-28), `auto` (the server is asked
    /// first), or a revision by its name [default: legacy, or what has the method]
    #[arg(long, value_name = "ERA")]
    era: Option<Spoken>,
    /// Answer what the server asks by this file (TOML or JSON): sampling, elicitation, roots. What is
    /// not in it is refused
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Approve what the policy would ask a person about. Without, that is denied
    #[arg(long)]
    approve: bool,
    #[command(flatten)]
    headers: Headers,
    /// How long it may take in all, in seconds, whatever progress is reported [default: 600]
    #[arg(long, value_name = "SECONDS")]
    total: Option<usize>,
    /// Listen for so long, in seconds, to what the server says after the answer; or, with
    /// `subscriptions/listen`, in its place [default there: 10]
    #[arg(long, value_name = "SECONDS")]
    listen: Option<u64>,
    /// Listen no longer than until so many notifications have come
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Ask so often, and tell how long it took. Limits of calls count only where the policy file has
    /// them
    #[arg(long, value_name = "N", conflicts_with_all = ["task", "listen"],
        value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    load: Option<u64>,
    /// So many of them at a time
    #[arg(long, value_name = "N", requires = "load", default_value = "10",
        value_parser = clap::value_parser!(u64).range(1..=AT_ONCE_MAX))]
    at_once: u64,
    /// Exit with 1 when a rule has found something that bad in the request or its answer
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The words, each in its place.
struct Words<'a> {
    target: Option<&'a str>,
    method: &'a str,
    json: Option<&'a str>,
}

impl Call {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let words = self.words()?;
        let wanted = Wanted::new(words.method, words.json, &self.about, &self.ways)?;
        let answers = self.answers()?;
        let url = words.target.filter(|it| it.starts_with("http://") || it.starts_with("https://"));
        let headers = self.ways.headers.read()?;
        if !self.ways.headers.is_empty() && !self.command.is_empty() {
            return Err(Failure::new(Exit::Usage, "headers, and a command that is started")
                .help("headers go to a remote server; a variable is passed on with `--env NAME`"));
        }
        let shared = match words.target.filter(|_| url.is_none()) {
            Some(name) => self.shared.named(name),
            None => self.shared.clone(),
        };
        let many = self.ways.load.is_some();
        let shared =
            shared.asking(Asks { total: self.ways.total, many, headers, lets_pass: false });
        let Some(ready) = shared.ready(url, &self.command, &[])? else {
            return Ok(ExitCode::SUCCESS);
        };
        let guard = Arc::clone(&ready.guard);
        let end = ended(runtime(1)?, self.ask(ready, &wanted, answers));
        last(&guard);
        end
    }

    fn words(&self) -> Result<Words<'_>, Failure> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let has_command = !self.command.is_empty();
        let (target, method, json) = match (words.as_slice(), has_command) {
            ([method], true) => (None, *method, None),
            ([method, json], true) => (None, *method, Some(*json)),
            ([target, method], false) => (Some(*target), *method, None),
            ([target, method, json], false) => (Some(*target), *method, Some(*json)),
            (_, true) => {
                return Err(Failure::new(Exit::Usage, "a target, and a command that is started")
                    .help("before `--` there are a method and perhaps its parameters"));
            }
            (_, false) => {
                return Err(Failure::new(Exit::Usage, "no server is named").help(
                    "name its address or its name in the policy before the method, or its command \
                     after `--`",
                ));
            }
        };
        Ok(Words { target, method, json })
    }

    fn answers(&self) -> Result<Answers, Failure> {
        let mut answers = match &self.ways.answers {
            Some(path) => Answers::read(path).map_err(|error| {
                let help = match &error {
                    AnswersError::Read { .. } => "name a file that is there with `--answers FILE`",
                    AnswersError::Says { .. } => "docs/call.md says what there may be in it",
                };
                Failure::new(Exit::Usage, error.to_string()).help(help)
            })?,
            None => Answers::default(),
        };
        rooted(&mut answers, &self.shared)?;
        Ok(answers)
    }

    async fn ask(
        &self,
        ready: Ready,
        wanted: &Wanted<'_>,
        answers: Answers,
    ) -> Result<ExitCode, Failure> {
        let is_human = self.ways.format == Format::Human;
        let asking = Asking::begin(ready, is_human)?;
        let mut listener = Listener::new(answers, is_human, wanted.listens());
        let began = Instant::now();
        let came = self.converse(&asking, wanted, &mut listener).await;
        let total = began.elapsed();
        asking.end()?;
        let (revision, came) = came.map_err(|it| failed(&asking.guard, &it))?;
        let came = came?;
        let report = Report {
            wanted,
            revision,
            held: &asking.held,
            listener: &listener,
            came: &came,
            seen: asking.onlooker.take(),
            began,
            total,
            turned_away: asking.guard.turned_away(),
            fail_on: self.ways.fail_on.and_then(FailOn::severity),
        };
        report.print(self.ways.format)
    }

    async fn converse(
        &self,
        asking: &Asking,
        wanted: &Wanted<'_>,
        listener: &mut Listener,
    ) -> Result<(Revision, Result<Came, Failure>), ClientError> {
        let Asking { guard, way, onlooker, shows, .. } = asking;
        let revision = match self.ways.era {
            Some(it) => it.with(asking).await?,
            None => wanted.revision(),
        };
        let limits = guard.policy().limits;
        let manner = Manner {
            revision,
            has_tasks: self.about.task,
            // The guard itself ends what takes too long, and says so.
            patience: Some(limits.call_total() + Duration::from_secs(5)),
            approves: self.ways.approve,
            shows: *shows,
        };
        let came = converse(guard, way, manner, listener, async |client| {
            wanted.put(client, guard, onlooker).await
        });
        Ok((revision, came.await?))
    }
}

impl About {
    /// What the request has in its `_meta`.
    fn meta(&self) -> Result<Map<String, Value>, Failure> {
        let each = self.meta.iter().map(|it| {
            let (name, value) = it.split_once('=').ok_or_else(|| {
                let says = "`--meta` has no `=` between a name and a value";
                Failure::new(Exit::Usage, says).help("write it as `--meta NAME=VALUE`")
            })?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            Ok((name.to_owned(), value))
        });
        each.collect()
    }
}

impl Ways {
    /// How long it is listened, where that was said.
    fn until(&self) -> Option<Until> {
        let time = self.listen.map(Duration::from_secs);
        let time = time.or(self.count.map(|_| LISTENED))?;
        Some(Until { time, count: self.count })
    }
}

/// How long it is listened where that is not said.
const LISTENED: Duration = Duration::from_secs(10);
