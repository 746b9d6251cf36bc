//! `stockade test`: a server is asked what a file says, and answers as it should or not.

mod diff;
mod expect;
mod file;
mod fuzz;
mod heard;
mod mock;
mod play;
mod record;
mod report;
mod snapshot;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use stockade_core::revision::Revision;
use toml_edit::{DocumentMut, Item};

use self::file::{Read, Severity};
use self::play::{Played, play};
use self::report::{Tested, Tests};
use super::asked::{Asking, Headers, Spoken, rooted};
use super::printed;
use super::run::{Asks, Ready, Shared, ended, last, runtime};
use crate::failure::{Exit, Failure};

/// Ask a server what a file says, and see whether it answers as it should
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    override_usage = "stockade test [OPTIONS] FILE… [-- CMD…]\n       stockade test COMMAND …",
    after_help = "Examples:
  stockade test notes.test.toml
  stockade test tests/*.test.toml --format junit > junit.xml
  stockade test notes.test.toml --update -- node server.js

A file names its server and has steps, each a request with what is to come of it:
  command = [\"node\", \"server.js\"]     # or url = \"https://…\", or server = \"NAME\" of the policy

  [[steps]]
  name = \"the first customer is Ada\"
  tool = \"query\"
  arguments = { sql = \"SELECT name FROM customers\" }
  expect = [{ path = \"$.structuredContent.rows[0].name\", equals = \"Ada\" }]
  snapshot = \"\"                         # --update writes the answer here

Each file is one conversation, through the guard and in the sandbox, as with `stockade call`.
docs/test.md says what else there may be.

Exit codes: 0 as expected; 1 not so, at or above --fail-on; 2 a file cannot be used; 3 a server wants
other credentials; 4 a server cannot be started or reached."
)]
pub(super) struct Test {
    #[command(subcommand)]
    action: Option<Action>,
    /// Files of tests
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Test the remote server at this address, in place of those that the files name
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    upstream: Option<String>,
    #[command(flatten)]
    ways: Ways,
    #[command(flatten)]
    shared: Shared,
    /// Test the server that this command starts, in place of those that the files name
    #[arg(last = true, help_heading = None, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
enum Action {
    Record(Box<record::Record>),
    Diff(Box<diff::Diff>),
    Fuzz(Box<fuzz::Fuzz>),
    Mock(mock::Mock),
}

/// How it is tested.
#[derive(Debug, Args)]
#[command(next_help_heading = "Test")]
struct Ways {
    /// What is spoken: `legacy` (with a session), `modern` (2026-07-28), `auto`, or a revision by its
    /// name [default: as the file says, or legacy]
    #[arg(long, value_name = "ERA")]
    era: Option<Spoken>,
    /// Write into the files what snapshots are now
    #[arg(long)]
    update: bool,
    /// Approve what the policy would ask a person about. Without, that is denied
    #[arg(long)]
    approve: bool,
    #[command(flatten)]
    headers: Headers,
    /// How long a step may take in all, in seconds, whatever progress is reported [default: 600]
    #[arg(long, value_name = "SECONDS")]
    total: Option<usize>,
    /// How bad something must be for exit code 1
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t)]
    fail_on: Severity,
    /// Tell how long each step took. That is another each time
    #[arg(long)]
    times: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: As,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum As {
    /// For a person.
    #[default]
    Human,
    /// For a program.
    Json,
    /// For continuous integration.
    Junit,
    /// For code hosts.
    Sarif,
}

impl Test {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        match &self.action {
            Some(Action::Record(it)) => it.run(),
            Some(Action::Diff(it)) => it.run(),
            Some(Action::Fuzz(it)) => it.run(),
            Some(Action::Mock(it)) => it.run(),
            None => self.files(),
        }
    }

    fn files(&self) -> Result<ExitCode, Failure> {
        if !self.ways.headers.is_empty() && !self.command.is_empty() {
            return Err(Failure::new(Exit::Usage, "headers, and a command that is started")
                .help("headers go to a remote server; a variable is passed on with `--env NAME`"));
        }
        let mut tested = Vec::new();
        for path in &self.files {
            let (text, played) = match Read::new(path) {
                Ok(read) => match self.file(&read) {
                    // Only the plan was asked for.
                    Ok(None) => continue,
                    Ok(Some(played)) => (read.text, Ok(played)),
                    Err(failure) => (read.text, Err(failure)),
                },
                Err(failure) => (String::new(), Err(failure)),
            };
            if let Err(failure) = &played {
                anstream::eprintln!("{failure}");
            }
            tested.push(Tested { path: path.clone(), text, played });
        }
        let tests = Tests { tested, fail_on: self.ways.fail_on, times: self.ways.times };
        let out = tests.printed(self.ways.format)?;
        printed(io::stdout().lock().write_all(out.as_bytes()))?;
        Ok(tests.exit().map_or(ExitCode::SUCCESS, ExitCode::from))
    }

    /// Plays a file. Nothing, where only the plan was asked for.
    fn file(&self, read: &Read) -> Result<Option<Vec<Played>>, Failure> {
        let file = &read.file;
        let is_said = self.upstream.is_some() || !self.command.is_empty() || self.shared.is_named();
        let shared = self.shared.with(roots(read), file.policy.as_ref().map(|it| read.beside(it)));
        let (url, command, shared) = match (&file.url, &file.server) {
            _ if is_said => (self.upstream.as_deref(), self.command.clone(), shared),
            (Some(url), _) => (Some(url.as_str()), Vec::new(), shared),
            (None, Some(name)) => (None, Vec::new(), shared.named(name)),
            (None, None) if !file.command.is_empty() => {
                (None, file.command.iter().map(OsString::from).collect(), shared)
            }
            (None, None) => {
                let says = format!("`{}` names no server", read.path.display());
                return Err(Failure::new(Exit::Usage, says).help(
                    "write `command`, `url` or `server` at its top, or name a command after `--`",
                ));
            }
        };
        let (headers, total) = (self.ways.headers.read()?, self.ways.total);
        let mut answers = read.answers.clone();
        rooted(&mut answers, &shared)?;
        let ready =
            shared.asking(Asks { total, headers, ..Asks::default() }).ready(url, &command, &[])?;
        let Some(ready) = ready else { return Ok(None) };
        let guard = Arc::clone(&ready.guard);
        let spoken = self.ways.era.or(file.era.as_ref().map(|it| it.1));
        let spoken = spoken.unwrap_or(Spoken::This(Revision::V2025_11_25));
        let played = ended(runtime(1)?, self.play(ready, read, answers, spoken));
        last(&guard);
        let mut played = played?;
        if self.ways.update {
            update(read, &mut played)?;
        }
        Ok(Some(played))
    }

    async fn play(
        &self,
        ready: Ready,
        read: &Read,
        answers: crate::client::answers::Answers,
        spoken: Spoken,
    ) -> Result<Vec<Played>, Failure> {
        let asking = Asking::begin(ready, self.ways.format == As::Human)?;
        play(&asking, read, answers, spoken, self.ways.approve).await
    }
}

/// The roots of a file, from where it is.
fn roots(read: &Read) -> Vec<OsString> {
    let whole = |root: &String| {
        let (path, mode) = match root.rsplit_once(':') {
            Some((path, mode @ ("ro" | "rw"))) => (path, format!(":{mode}")),
            Some(_) | None => (root.as_str(), String::new()),
        };
        let mut whole = read.beside(path).into_os_string();
        whole.push(mode);
        whole
    };
    read.file.roots.iter().map(whole).collect()
}

/// Writes the snapshots that are another now, and leaves all else in the file as it is.
fn update(read: &Read, played: &mut [Played]) -> Result<(), Failure> {
    let mut document: DocumentMut =
        read.text.parse().map_err(|it: toml_edit::TomlError| cannot_write(&read.path).from(it))?;
    let mut changed = false;
    for (number, it) in played.iter_mut().enumerate() {
        let Some(came) = &it.came else { continue };
        let step = it.step.as_ref();
        let is_another = it.wrong.iter().any(|it| it.sort == expect::Sort::Snapshot);
        if step.snapshot.is_none() || !is_another || came.outcome != step.outcome {
            continue;
        }
        let (taken, unfit) = snapshot::taken(&came.answer, [&read.file.matchers, &step.matchers]);
        if !unfit.is_empty() {
            continue;
        }
        let place = document.get_mut("steps").and_then(|it| it.get_mut(number));
        let Some(Item::Value(old)) = place.and_then(|it| it.get_mut("snapshot")) else { continue };
        let mut new = quoted(&snapshot::written(&taken));
        new.decor_mut().clone_from(old.decor());
        *old = new;
        changed = true;
        it.wrong.retain(|it| it.sort != expect::Sort::Snapshot);
    }
    if changed {
        fs::write(&read.path, document.to_string())
            .map_err(|it| cannot_write(&read.path).from(it))?;
    }
    Ok(())
}

/// A text of several lines, as it is.
fn quoted(text: &str) -> toml_edit::Value {
    // What cannot stand so is written with escapes.
    format!("'''\n{text}'''").parse().unwrap_or_else(|_| text.into())
}

fn cannot_write(path: &Path) -> Failure {
    Failure::new(Exit::Usage, format!("cannot write the snapshots of `{}`", path.display()))
}
