//! `stockade test record`: what a client and a server say to each other through the guard, as a file
//! that `stockade test` plays again.

mod answers;
mod tape;
mod written;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use stockade_core::check::redacted;

use self::tape::Tape;
use self::written::Written;
use super::file::File as Test;
use crate::cli::run::Run;
use crate::failure::{Exit, Failure};
use crate::guard::tap::Tap;

/// Guard one server, as `stockade run` does, and write what was said into a file of a test
#[derive(Debug, Args)]
#[command(
    override_usage = "stockade test record --out FILE [OPTIONS] -- CMD…\n       \
                      stockade test record --out FILE [OPTIONS] --upstream URL",
    after_help = "Examples:
  stockade test record --out notes.test.toml --root ~/notes -- node server.js
  stockade test record --out shop.test.toml --upstream https://mcp.example.com/mcp

It takes the place of `stockade run` in a client's configuration. When the conversation ends, the file has
its requests as steps, each with its answer as a snapshot, and what the server asked with what was said.
Secrets are taken out. A file that is there is not written over."
)]
pub(in crate::cli) struct Record {
    /// The file that is written when the conversation ends
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    run: Run,
}

impl Record {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        // Whether it can be written is known before anything is said.
        let mut file = None;
        let mut sessions = String::new();
        let tape = Arc::new(Tape::default());
        let end = self.run.begun_by(|guard| {
            guard.tapped_by(Arc::clone(&tape) as Arc<dyn Tap>);
            guard.sessions().clone_into(&mut sessions);
            file = Some(new(&self.out)?);
            Ok(())
        });
        // What was said until a server ended by itself was said all the same.
        if let Some(file) = file {
            self.write(file, &tape, &sessions)?;
        }
        end
    }

    fn write(&self, mut file: File, tape: &Tape, sessions: &str) -> Result<(), Failure> {
        let (lines, more) = tape.take();
        let Written { test, notes } = Written::of(self.begun(), &lines, sessions);
        let shown = self.out.display();
        let steps = test.steps.len();
        let cannot = || Failure::new(Exit::Usage, format!("cannot write `{shown}`"));
        let text = toml::to_string_pretty(&test).map_err(|it| cannot().from(it))?;
        let mut head = format!(
            "# Recorded by Stockade {}, without secrets. `stockade test` asks it again;\n\
             # docs/test.md says what else there may be in a test.\n",
            env!("CARGO_PKG_VERSION")
        );
        let left = (more > 0).then(|| format!("{more} messages that came later are not in it"));
        for note in notes.iter().chain(&left) {
            head.push_str(&format!("# Note: {note}.\n"));
            anstream::eprintln!("note: {note}");
        }
        file.write_all(format!("{head}\n{text}").as_bytes()).map_err(|it| cannot().from(it))?;
        let plural = if steps == 1 { "" } else { "s" };
        anstream::eprintln!("note: {steps} step{plural} in `{shown}`");
        Ok(())
    }

    /// A test of the server that is guarded, without steps.
    fn begun(&self) -> Test {
        let it = self.run.guarded();
        let beside = std::path::absolute(&self.out).unwrap_or_default();
        let beside = beside.parent().unwrap_or(Path::new("/"));
        let from_there = |path: &Path| {
            let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            match whole.strip_prefix(beside) {
                Ok(rest) if rest.as_os_str().is_empty() => PathBuf::from("."),
                Ok(rest) => rest.to_owned(),
                Err(_) => whole,
            }
        };
        let root = |root: &std::ffi::OsString| {
            let text = root.to_string_lossy();
            let (path, mode) = match text.rsplit_once(':') {
                Some((path, mode @ ("ro" | "rw"))) => (path, format!(":{mode}")),
                Some(_) | None => (text.as_ref(), String::new()),
            };
            format!("{}{mode}", from_there(Path::new(path)).display())
        };
        Test {
            command: it.command.iter().map(|it| redacted(&it.to_string_lossy()).into()).collect(),
            url: it.upstream.map(|it| redacted(it).into_owned()),
            server: it
                .server
                .filter(|_| it.command.is_empty() && it.upstream.is_none())
                .map(str::to_owned),
            policy: it.policy.map(from_there),
            roots: it.roots.iter().map(root).collect(),
            ..Test::default()
        }
    }
}

/// A new file of this user alone: what is in it was said between two programs.
fn new(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| {
        let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
        let failure = Failure::new(Exit::Usage, format!("cannot write `{}`", path.display()));
        let help = match is_there {
            true => "it is there already, and is not written over: name another, or take it away",
            false => "name a file in a directory that is there, with `--out FILE`",
        };
        failure.from(error).help(help)
    })
}
