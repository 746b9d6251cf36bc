//! `stockade test diff`: what one server offers, against what another does, or against what was
//! approved. The classes are those of the lock.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;
use stockade_core::check::{escaped, visible};
use stockade_core::lock::{Class, Difference, Entry, Offers};

use crate::cli::lock::print::differences;
use crate::cli::locked::failed;
use crate::cli::run::Shared;
use crate::cli::{Format, printed};
use crate::failure::{Exit, Failure};
use crate::lock::read_any;

/// Compare what two servers offer, or a server with its lock: what is harmless, what breaks, what is
/// dangerous
#[derive(Debug, Args)]
#[command(
    override_usage = "stockade test diff [OPTIONS] OLD [NEW]\n       \
                      stockade test diff [OPTIONS] OLD -- CMD…",
    after_help = "Examples:
  stockade test diff stockade.lock -- node server.js
  stockade test diff notes notes-next --policy stockade.toml
  stockade test diff https://old.example.com/mcp https://new.example.com/mcp --fail-on dangerous

OLD and NEW are each an address, the name of a server of the policy, or a lock, with `#NAME` behind it
where that has several servers. A lock alone is compared with what its server offers now. A command after
`--` is NEW. What a server says is listed as it is, and nothing of it is mended.

Exit codes: 0 nothing, or nothing at or above --fail-on; 1 something is; 2 usage or configuration; 4 a
server cannot be started, reached or listed."
)]
pub(super) struct Diff {
    /// What was, and what is
    #[arg(value_name = "OLD NEW", required = true, num_args = 1..=2)]
    both: Vec<String>,
    /// How bad a difference must be for exit code 1
    #[arg(long, value_name = "CLASS", value_enum, default_value = "breaking")]
    fail_on: FailOn,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    shared: Shared,
    /// The command of the server that is
    #[arg(last = true, help_heading = None, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailOn {
    Harmless,
    Breaking,
    Dangerous,
}

impl FailOn {
    fn class(self) -> Class {
        match self {
            Self::Harmless => Class::Harmless,
            Self::Breaking => Class::Breaking,
            Self::Dangerous => Class::Dangerous,
        }
    }
}

/// One of the two, and what it goes by.
struct Side {
    name: String,
    offers: Offers,
}

impl Diff {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let (old, new) = self.sides()?;
        let all = old.offers.differences(&new.offers);
        let out = match self.format {
            Format::Human => human(&old, &new, &all),
            Format::Json => {
                let count = |class| all.iter().filter(|it| it.class == class).count();
                let counts = json!({
                    "dangerous": count(Class::Dangerous), "breaking": count(Class::Breaking),
                    "harmless": count(Class::Harmless),
                });
                let told = json!({ "old": old.name, "new": new.name, "counts": counts, "differences": all });
                format!("{}\n", escaped(&told.to_string()))
            }
        };
        printed(io::stdout().lock().write_all(out.as_bytes()))?;
        let is_bad = all.iter().any(|it| it.class >= self.fail_on.class());
        Ok(if is_bad { Exit::Findings.into() } else { ExitCode::SUCCESS })
    }

    fn sides(&self) -> Result<(Side, Side), Failure> {
        match (self.both.as_slice(), self.command.as_slice()) {
            ([old, new], []) => Ok((self.side(old)?, self.side(new)?)),
            ([old], []) => match self.locked(old)? {
                Some((side, entry)) => {
                    let now = self.started(&side.name, &entry)?;
                    Ok((side, now))
                }
                None => Err(Failure::new(Exit::Usage, "there is nothing to compare it with")
                    .help("name a second server, a lock, or a command after `--`")),
            },
            ([old], command) => {
                let old = self.side(old)?;
                Ok((old, Side::of(&self.shared, None, command)?))
            }
            (_, _) => Err(Failure::new(Exit::Usage, "three servers, and two are compared")
                .help("before a command after `--` there is one server or lock")),
        }
    }

    fn side(&self, named: &str) -> Result<Side, Failure> {
        if is_address(named) {
            return Side::of(&self.shared, Some(named), &[]);
        }
        match self.locked(named)? {
            Some((side, _)) => Ok(side),
            None => Side::of(&self.shared.named(named), None, &[]),
        }
    }

    /// What was approved, if this names a lock.
    fn locked(&self, named: &str) -> Result<Option<(Side, Entry)>, Failure> {
        if is_address(named) {
            return Ok(None);
        }
        let (path, name) = match named.split_once('#') {
            Some((path, name)) => (path, Some(name)),
            None => (named, None),
        };
        if !Path::new(path).is_file() {
            return Ok(None);
        }
        let lock = read_any(Path::new(path)).map_err(|it| failed(&it))?;
        let known = || lock.servers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let found = match name {
            Some(name) => lock.servers.get_key_value(name),
            None if lock.servers.len() == 1 => lock.servers.iter().next(),
            None => None,
        };
        let Some((name, entry)) = found else {
            let says = match name {
                Some(name) => format!("there is no server `{}` in `{path}`", visible(name)),
                None => format!("`{path}` has not one server"),
            };
            let help = format!("write `{path}#NAME`; there are: {}", visible(&known()));
            return Err(Failure::new(Exit::Usage, says).help(help));
        };
        let side = Side { name: name.clone(), offers: entry.offers.clone() };
        Ok(Some((side, entry.clone())))
    }

    /// What a server of a lock offers now.
    fn started(&self, name: &str, entry: &Entry) -> Result<Side, Failure> {
        let launch = &entry.launch;
        let command: Vec<OsString> = launch.command.iter().map(OsString::from).collect();
        let shared = self.shared.started(&launch.env, None);
        let now = Side::of(&shared, launch.url.as_deref(), &command)?;
        Ok(Side { name: name.to_owned(), ..now })
    }
}

impl Side {
    /// A server, started or reached, with all that it offers.
    fn of(shared: &Shared, url: Option<&str>, command: &[OsString]) -> Result<Self, Failure> {
        let found = shared.look(url, command, &[])?;
        let offers = shared.survey(&found)?;
        Ok(Self { name: found.locked.identity.name, offers })
    }
}

fn is_address(named: &str) -> bool {
    named.starts_with("http://") || named.starts_with("https://")
}

fn human(old: &Side, new: &Side, all: &[Difference]) -> String {
    let (from, to) = (visible(&old.name), visible(&new.name));
    if all.is_empty() {
        return format!("{to}: offers the same as {from}\n");
    }
    let told = differences(&to, all, "is new");
    let count = |class: Class| all.iter().filter(|it| it.class == class).count();
    let counts = [Class::Dangerous, Class::Breaking, Class::Harmless]
        .map(|it| format!("{} {}", count(it), it.name()));
    format!("{told}{to} against {from}: {}\n", counts.join(", "))
}
