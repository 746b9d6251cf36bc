//! The command line: one file a command. This is the only place that prints to standard output.

#![allow(clippy::print_stdout, reason = "a command's output is what it is run for")]
#![allow(clippy::print_stderr, reason = "what a command has to say to a person")]

mod approvals;
mod audit;
mod call;
mod demo;
mod doctor;
mod example;
mod explain;
mod hold;
mod inspect;
mod learn;
mod lock;
mod locked;
mod own;
mod policy;
mod prepare;
mod report;
mod run;
mod sandbox;
mod scan;
mod serve;

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use stockade_core::check::{self, visible};

use crate::config;
use crate::failure::{Exit, Failure};

/// Guard MCP servers: judge every message, record every decision.
#[derive(Debug, Parser)]
#[command(name = "stockade", version, after_help = EXITS, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXITS: &str = "Exit codes:
  0  ok
  1  findings, or something is not as it should be
  2  usage or configuration, or the ledger cannot be written
  3  a remote server wants other credentials
  4  the server cannot be reached or started, or ended by itself
  5  a tool has failed, or the server answered with an error
  6  the policy denies it; or the server is not what was approved, or its tools read like another's
  97 a guarantee of the sandbox cannot be enforced here, so nothing was started";

#[derive(Debug, Subcommand)]
enum Command {
    /// Play honest calls and attacks through the guard, and say what happened to each
    Demo(demo::Demo),
    /// Guard one server, speaking standard input and output to the client
    Run(run::Run),
    /// Guard one server for many clients, over HTTP on this machine
    Serve(serve::Serve),
    /// Run a command in a sandbox: its roots, no network, bounded memory and processes
    Sandbox(sandbox::Sandbox),
    /// Ask a server for one thing, as a client would, and print what comes
    Call(Box<call::Call>),
    /// Open a page in the browser on which servers are driven, and all that passes is seen
    Inspect(Box<inspect::Inspect>),
    /// Install a server from a registry at an exact version, so that it runs without a network
    Prepare(prepare::Prepare),
    /// Approve what servers are and offer, and see what is not as it was approved
    Lock(Box<lock::LockArgs>),
    /// Try what a sandbox is made of on this machine, and say what is missing and what to do
    Doctor(doctor::Doctor),
    /// Start one of the two reference servers
    Example(example::Example),
    /// Judge the source of servers, tool definitions or texts, without a server
    Scan(scan::Scan),
    /// Check and test a policy, explain what it decides, or have one to begin with
    Policy(policy::PolicyArgs),
    /// Answer the questions of guards, and see what is allowed for later
    Approvals(approvals::Approvals),
    /// Look into the ledger, and check that nobody changed it
    Audit(audit::Audit),
    /// Print a rule's page
    Explain(explain::Explain),
}

/// How a command prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person.
    #[default]
    Human,
    /// For a program.
    Json,
}

/// Where Stockade keeps what it writes.
#[derive(Clone, Debug, Default, Args)]
struct State {
    /// Keep the ledger and what is prepared below this directory [default: $XDG_STATE_HOME/stockade]
    #[arg(long = "state", value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
}

impl State {
    /// The directory of the ledger.
    fn ledger(&self) -> Result<PathBuf, Failure> {
        self.below("ledger")
    }

    /// The directory of what was prepared.
    fn store(&self) -> Result<PathBuf, Failure> {
        self.below("store")
    }

    /// The directory of both.
    fn base(&self) -> Result<PathBuf, Failure> {
        self.below("")
    }

    /// The directory of both, for whoever believes what is in it: whoever else may write there could have
    /// approved anything.
    fn own(&self) -> Result<PathBuf, Failure> {
        let dir = self.base()?;
        // What is not there yet is made for this user alone.
        let Ok(about) = std::fs::metadata(&dir) else { return Ok(dir) };
        let is_own = about.uid() == rustix::process::geteuid().as_raw();
        let why = match (is_own, about.mode() & 0o002 == 0) {
            (true, true) => return Ok(dir),
            (false, _) => "belongs to another user",
            (true, false) => "can be written by every user",
        };
        let shown: PathBuf = dir.components().collect();
        let says = format!("the directory `{}` {why}", visible(&shown.to_string_lossy()));
        Err(Failure::new(Exit::Usage, says)
            .help("what was approved there may have been approved by others: name one of your own"))
    }

    /// A directory of this name, by the XDG Base Directory specification.
    fn below(&self, name: &str) -> Result<PathBuf, Failure> {
        let xdg =
            || std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|it| it.is_absolute());
        let default = || match xdg() {
            Some(it) => Some(it.join("stockade")),
            None => config::home().map(|it| state_below(&it)),
        };
        self.dir.clone().or_else(default).map(|it| it.join(name)).ok_or_else(|| {
            Failure::new(Exit::Usage, "there is no home directory to keep anything in")
                .help("name a directory with `--state DIR`")
        })
    }
}

/// Where state is kept in a home, unless a variable says another place.
fn state_below(home: &Path) -> PathBuf {
    home.join(".local/state/stockade")
}

/// What somebody else has said, for a terminal: in its lines, and without secrets.
fn in_lines(text: &str) -> String {
    let text = check::redacted(text);
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

/// Whether there is still a reader. One that closed the pipe has read enough: that is no failure.
fn printed(written: io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(Exit::Usage, "cannot print").from(error)),
    }
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(it) => it.run(),
        Command::Run(it) => it.run(),
        Command::Serve(it) => it.run(),
        Command::Sandbox(it) => it.run(),
        Command::Call(it) => it.run(),
        Command::Inspect(it) => it.run(),
        Command::Prepare(it) => it.run(),
        Command::Lock(it) => it.run(),
        Command::Doctor(it) => it.run(),
        Command::Example(it) => it.run(),
        Command::Scan(it) => it.run(),
        Command::Policy(it) => policy::run(&it),
        Command::Approvals(it) => it.run(),
        Command::Audit(it) => it.run(),
        Command::Explain(it) => it.run(),
    };
    done.unwrap_or_else(|failure| {
        anstream::eprintln!("{failure}");
        failure.exit().into()
    })
}
