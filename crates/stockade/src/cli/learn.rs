//! `stockade policy learn`: the smallest policy under which a traced session would have gone as it
//! did. It is proposed, and nothing is changed by it.

mod profile;
mod propose;
mod session;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use similar::TextDiff;
use stockade_core::check::visible;

use self::profile::Profile;
use self::propose::propose;
use self::session::Session;
use super::{State, printed};
use crate::config::{Flags, Resolved, Search, Source};
use crate::failure::{Exit, Failure};

/// Proposes the smallest policy that a traced session would have needed, and shows what is different
/// from the one in force. It changes nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  stockade run --trace --root ~/notes:rw -- python3 server.py
  stockade policy learn
  stockade policy learn --session s3f9a1c2b --write ./notes.toml

The policy goes to standard output, the difference to standard error. What the session was refused
is not in the policy: it is named in its last lines. Read it before you use it.")]
pub(super) struct LearnArgs {
    /// The policy in force; without it, the one that would be used.
    file: Option<PathBuf>,
    /// The session, as records name it; without it, the last that was traced.
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Write the policy to this file, which must not be there yet.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    #[command(flatten)]
    state: State,
}

/// Proposes a policy.
///
/// # Errors
/// When there is nothing to learn from, or no policy to compare it with.
pub(super) fn run(args: &LearnArgs) -> Result<ExitCode, Failure> {
    let mut session = Session::read(&args.state.ledger()?, args.session.as_deref())?;
    let search = Search::new(args.file.as_deref());
    let in_force = in_force(&search, &session)?;
    let mut profile = Profile::of(&session, &homes());
    let had_roots = !session.roots.is_empty();
    profile.where_it_was(&mut session);
    if had_roots && session.roots.is_empty() && profile.roots.is_empty() {
        let says = "none of the roots of the session is where it was, and without any, arguments \
                    would be about anything";
        return Err(Failure::new(Exit::Usage, says).help(profile.left.join("; ")));
    }
    let proposed = propose(&session, &profile, &in_force);
    check(&proposed, &session, &in_force)?;
    let before = in_force.source.as_ref().map(|it| it.text.as_ref()).unwrap_or_default();
    let diff = TextDiff::from_lines(before, &proposed);
    let from = in_force.source.as_ref().map(|it| it.path.display().to_string());
    let from = from.unwrap_or_else(|| "no policy: what is built in".to_owned());
    let diff = diff.unified_diff().header(&from, "proposed").to_string();
    match &args.write {
        None => {
            printed(io::stdout().write_all(proposed.as_bytes()))?;
        }
        Some(path) => write(path, &proposed)?,
    }
    let lines: Vec<String> = diff.lines().map(visible).collect();
    let told = anstream::stderr().write_all(format!("{}\n", lines.join("\n")).as_bytes());
    printed(told)?;
    Ok(ExitCode::SUCCESS)
}

/// The policy that the session's server has now.
fn in_force(search: &Search, session: &Session) -> Result<Resolved, Failure> {
    let rendered = |it: crate::config::ConfigError| Failure::rendered(Exit::Usage, it.render(true));
    let resolved = Resolved::read(search, &Flags::default()).map_err(rendered)?;
    let named = resolved.servers.iter().any(|it| it.name == session.server);
    if resolved.servers.is_empty() || named {
        let server = Some(session.server.clone());
        return Resolved::read(search, &Flags { server, ..Flags::default() }).map_err(rendered);
    }
    let names: Vec<&str> = resolved.servers.iter().map(|it| it.name.as_str()).collect();
    let says = format!("the policy has no server `{}`, which the session was with", session.server);
    Err(Failure::new(Exit::Usage, says)
        .help(format!("name the policy that was used; this one has {}", names.join(", "))))
}

/// What is proposed must be a policy, whatever is in the ledger.
fn check(proposed: &str, session: &Session, in_force: &Resolved) -> Result<(), Failure> {
    let source = Source { path: "proposed".into(), text: proposed.into() };
    let server = (!in_force.servers.is_empty()).then(|| session.server.clone());
    let flags = Flags { server, ..Flags::default() };
    match Resolved::new(Some(source), &flags) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::rendered(Exit::Usage, error.render(true))
            .help("what was learnt is no policy, and nothing was written; please report it")),
    }
}

/// A file that is there is somebody's policy.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let help = if error.kind() == io::ErrorKind::AlreadyExists {
            "what is there is left as it is; name a file that is not, and compare the two"
        } else {
            "name a file that can be made after `--write`"
        };
        let says = format!("cannot write the policy to `{}`", path.display());
        Failure::new(Exit::Usage, says).from(error).help(help)
    };
    let mut file = File::create_new(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// What is never a root as a whole, as it is named and as it really is.
fn homes() -> Vec<PathBuf> {
    let home = crate::config::home();
    let real = home.as_ref().and_then(|it| it.canonicalize().ok());
    home.into_iter().chain(real).collect()
}
