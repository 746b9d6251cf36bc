//! `stockade lock`: what servers are and offer, looked at, approved, and compared.

pub(super) mod print;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use stockade_core::lock::{Difference, Entry, Lock, Offers, Part};

use self::print::{differences, findings, summary};
use super::Format;
use super::locked::{Locked, failed, shown};
use super::run::Shared;
use crate::failure::{Exit, Failure};
use crate::lock::launch::Identity;
use crate::lock::read_any;

/// Approve what servers are and offer, and see what is not as it was approved
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  stockade lock -- npx -y @modelcontextprotocol/server-filesystem@2026.8.31 ~/notes
  stockade lock --policy stockade.toml --check
  git config diff.stockade.textconv 'stockade lock show'

Each server is started in its sandbox, and all that it lists is written to stockade.lock: beside the
policy, if that is named with --policy, and else with this user's ledger. From then on `run` and
`serve` hold every server to that lock: what is another is taken out and refused, and a server that
is not in it, or is not started as it was approved, is not started.

Exit codes: 0 when everything is as it was approved, 1 when something is not."
)]
pub(super) struct LockArgs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    about: About,
    /// Compare with what was approved, and write nothing
    #[arg(long)]
    check: bool,
    /// Approve this tool although its name reads like another's. May be repeated
    #[arg(long, value_name = "TOOL")]
    alike: Vec<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what is not as it was approved: now, or as a guard has seen it
    Diff(Diff),
    /// Approve what is another, after it was shown
    Approve(Approve),
    /// Print a lock to be read, a line for each thing
    Show(Show),
}

/// The servers that it is about.
#[derive(Debug, Args)]
struct About {
    /// Servers, by their names in the policy or the lock [default: all of them]
    #[arg(value_name = "SERVER")]
    targets: Vec<String>,
    /// The remote server at this address
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    upstream: Option<String>,
    #[command(flatten)]
    shared: Shared,
    /// The server's command
    #[arg(last = true, help_heading = None, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Debug, Args)]
struct Diff {
    #[command(flatten)]
    about: About,
    /// Start nothing: show only what guards have seen
    #[arg(long)]
    seen: bool,
    /// Compare two locks, such as those of two commits
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with_all = ["targets", "seen"])]
    between: Vec<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct Approve {
    #[command(flatten)]
    about: About,
    /// Approve this alone, such as `tool:read_file`. May be repeated [default: all that differs]
    #[arg(long, value_name = "PART:NAME")]
    only: Vec<String>,
    /// Approve this tool although its name reads like another's. May be repeated
    #[arg(long, value_name = "TOOL")]
    alike: Vec<String>,
}

#[derive(Debug, Args)]
struct Show {
    /// The lock
    #[arg(value_name = "FILE", default_value = "stockade.lock")]
    file: PathBuf,
}

/// A server that was looked at.
struct Looked {
    locked: Locked,
    /// What was approved.
    before: Option<Entry>,
    /// What it offers.
    now: Option<Offers>,
    /// What it has shown to guards beside that.
    seen: Vec<(Part, String, Value)>,
}

impl LockArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        match &self.action {
            Some(Action::Diff(it)) => it.run(),
            Some(Action::Approve(it)) => it.run(),
            Some(Action::Show(it)) => it.run(),
            None if self.check => check(&self.about.look(true)?, self.format),
            None => self.write(),
        }
    }

    fn write(&self) -> Result<ExitCode, Failure> {
        for it in self.about.look(true)? {
            let (name, offers) =
                (shown(&it.locked.identity.name), it.now.clone().unwrap_or_default());
            let place = it.locked.place.path().display();
            let others = it.differences();
            if let Some(before) = &it.before {
                let launch = it.locked.identity.differs(before);
                if others.is_empty() && launch.is_none() && self.alike.is_empty() {
                    print(&format!("{name}: as it was approved in `{place}`\n"))?;
                    print(print::unknown_code(&it.locked.identity))?;
                    continue;
                }
                print(&told(&name, launch.as_deref(), &others))?;
                print(print::unknown_code(&it.locked.identity))?;
                consent(&self.about.shared)?;
            } else {
                print(&summary(&name, &it.locked.identity, &offers))?;
            }
            print(&findings(&offers))?;
            it.locked.approve(&offers, &self.alike)?;
            print(&format!("{name}: approved in `{place}`\n"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Says what is not as it was approved.
fn check(all: &[Looked], format: Format) -> Result<ExitCode, Failure> {
    let mut whole = true;
    let mut listed = Vec::new();
    for it in all {
        let name = shown(&it.locked.identity.name);
        let others = it.differences();
        let launch = match &it.before {
            Some(before) => it.locked.identity.differs(before),
            None => Some("it was never approved".to_owned()),
        };
        let is_whole = others.is_empty() && launch.is_none();
        whole &= is_whole;
        match format {
            Format::Json => listed.push(json!({
                "server": it.locked.identity.name, "launch": launch, "differences": others,
                "code": it.locked.identity.code,
            })),
            Format::Human => {
                match is_whole {
                    true => print(&format!("{name}: as it was approved\n"))?,
                    false => print(&told(&name, launch.as_deref(), &others))?,
                }
                print(print::unknown_code(&it.locked.identity))?;
            }
        }
    }
    if format == Format::Json {
        print(&format!("{}\n", Value::from(listed)))?;
    }
    Ok(if whole { ExitCode::SUCCESS } else { Exit::Findings.into() })
}

impl Diff {
    fn run(&self) -> Result<ExitCode, Failure> {
        let [old, new] = self.between.as_slice() else {
            return check(&self.about.look(!self.seen)?, self.format);
        };
        let (old, new) = (read_any(old).map_err(|it| failed(&it))?, read_any(new));
        let new = new.map_err(|it| failed(&it))?;
        let mut names: Vec<&String> = old.servers.keys().chain(new.servers.keys()).collect();
        names.sort();
        names.dedup();
        let mut whole = true;
        let mut listed = Vec::new();
        for name in names {
            let (was, is) = (old.servers.get(name), new.servers.get(name));
            if was == is {
                continue;
            }
            whole = false;
            let nothing = Entry::default();
            let (a, b) = (was.unwrap_or(&nothing), is.unwrap_or(&nothing));
            let others = a.offers.differences(&b.offers);
            let identity =
                Identity { name: name.clone(), launch: b.launch.clone(), code: b.code.clone() };
            let launch = match (was, is) {
                (None, _) => Some("it was not approved before".to_owned()),
                (_, None) => Some("it is not approved any more".to_owned()),
                _ => identity.differs(a),
            };
            match self.format {
                Format::Json => listed.push(json!({
                    "server": name, "launch": launch, "differences": others,
                })),
                Format::Human => print(&told(&shown(name), launch.as_deref(), &others))?,
            }
        }
        if self.format == Format::Json {
            print(&format!("{}\n", Value::from(listed)))?;
        }
        Ok(if whole { ExitCode::SUCCESS } else { Exit::Findings.into() })
    }
}

impl Approve {
    fn run(&self) -> Result<ExitCode, Failure> {
        let only: Vec<(Part, &str)> =
            self.only.iter().map(|it| named(it)).collect::<Result<_, _>>()?;
        for it in self.about.look(true)? {
            let name = shown(&it.locked.identity.name);
            let Some(before) = &it.before else {
                let says = format!("`{name}` was never approved");
                return Err(Failure::new(Exit::Usage, says)
                    .help(format!("look at it, and approve it: {}", it.locked.typed)));
            };
            let is_wanted =
                |it: &Difference| only.is_empty() || only.contains(&(it.part, it.name.as_str()));
            let others: Vec<Difference> = it.differences().into_iter().filter(is_wanted).collect();
            let launch = it.locked.identity.differs(before);
            if others.is_empty() && launch.is_none() && self.alike.is_empty() {
                print(&format!("{name}: nothing is another than it was approved\n"))?;
                continue;
            }
            print(&told(&name, launch.as_deref(), &others))?;
            consent(&self.about.shared)?;
            it.locked.approve(&it.offers(before, &others), &self.alike)?;
            print(&format!("{name}: approved in `{}`\n", it.locked.place.path().display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn named(text: &str) -> Result<(Part, &str), Failure> {
    let (part, name) = text.split_once(':').unwrap_or((text, ""));
    let part = Part::named(part);
    part.map(|it| (it, name)).ok_or_else(|| {
        let parts = Part::ALL.map(Part::name).join(", ");
        Failure::new(Exit::Usage, format!("`{}` names no part of a server", shown(text)))
            .help(format!("write a part and a name, as in `tool:read_file`; parts are {parts}"))
    })
}

impl Show {
    fn run(&self) -> Result<ExitCode, Failure> {
        let lock = read_any(&self.file).map_err(|it| failed(&it))?;
        let mut text = String::new();
        for (name, entry) in &lock.servers {
            text.push_str(&print::entry(name, entry));
        }
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Looked {
    /// What is not as it was approved: what it offers, and what guards have seen.
    fn differences(&self) -> Vec<Difference> {
        let nothing = Entry::default();
        let before = &self.before.as_ref().unwrap_or(&nothing).offers;
        let mut others = self.now.as_ref().map(|now| before.differences(now)).unwrap_or_default();
        for (part, name, form) in &self.seen {
            let forms = before.forms(*part, name);
            let other = Difference::of(*part, name, forms, Some(form));
            if !forms.contains(form) && !others.iter().any(|it| it.digest == other.digest) {
                others.push(other);
            }
        }
        others
    }

    /// What is approved when these differences are.
    fn offers(&self, before: &Entry, approved: &[Difference]) -> Offers {
        let mut offers = before.offers.clone();
        for it in approved {
            offers.remove(it.part, &it.name);
        }
        for it in approved {
            let now = self.now.iter().flat_map(|now| now.forms(it.part, &it.name));
            now.for_each(|form| offers.add(it.part, &it.name, form.clone()));
            if let Some(form) = &it.is {
                offers.add(it.part, &it.name, form.clone());
            }
        }
        offers
    }
}

impl About {
    /// Looks at each server; with `starts` at what it offers now as well.
    fn look(&self, starts: bool) -> Result<Vec<Looked>, Failure> {
        let lock = match self.shared.place()?.read() {
            Ok(lock) => lock,
            // It is about to be written.
            Err(crate::lock::Error::Missing { .. }) => None,
            Err(error) => return Err(failed(&error)),
        };
        let lock = lock.unwrap_or_default();
        if self.upstream.is_some() || !self.command.is_empty() {
            if let Some(target) = self.targets.first() {
                let says = format!("`{}`, and a command or an address", shown(target));
                return Err(Failure::new(Exit::Usage, says)
                    .help("a server is named by one of them; a name for it is `--server NAME`"));
            }
            let upstream = self.upstream.as_deref();
            return Ok(vec![one(&self.shared, upstream, &self.command, &lock, starts)?]);
        }
        let servers = self.shared.resolved()?.servers;
        let mut names = self.targets.clone();
        if names.is_empty() {
            names = servers.iter().map(|it| it.name.clone()).collect();
        }
        if names.is_empty() {
            names = lock.servers.keys().cloned().collect();
        }
        if names.is_empty() {
            return Err(Failure::new(Exit::Usage, "no server is named").help(
                "name its command after `--`, its address with `--upstream URL`, or a policy that \
                 has servers with `--policy FILE`",
            ));
        }
        let each = names.iter().map(|name| {
            if servers.iter().any(|it| it.name == *name) {
                return one(&self.shared.named(name), None, &[], &lock, starts);
            }
            let Some(entry) = lock.servers.get(name) else {
                let says = format!("`{}` is neither in the policy nor in the lock", shown(name));
                return Err(Failure::new(Exit::Usage, says)
                    .help("name its command after `--`, or its address with `--upstream URL`"));
            };
            let launch = &entry.launch;
            let command: Vec<OsString> = launch.command.iter().map(OsString::from).collect();
            let called = match &launch.url {
                Some(url) => Identity::of_url(None, url).name,
                None => Identity::of_command(None, &command, launch.env.clone()).name,
            };
            let shared = self.shared.started(&launch.env, (called != *name).then_some(name));
            one(&shared, launch.url.as_deref(), &command, &lock, starts)
        });
        each.collect()
    }
}

fn one(
    shared: &Shared,
    upstream: Option<&str>,
    command: &[OsString],
    lock: &Lock,
    starts: bool,
) -> Result<Looked, Failure> {
    let found = shared.look(upstream, command, &[])?;
    let now = if starts { Some(shared.survey(&found)?) } else { None };
    let locked = found.locked;
    let seen = locked.shown().all().map_err(|it| {
        Failure::new(Exit::Usage, "cannot read what the server has shown to guards").from(it)
    })?;
    let before = lock.servers.get(&locked.identity.name).cloned();
    Ok(Looked { locked, before, now, seen })
}

fn told(name: &str, launch: Option<&str>, others: &[Difference]) -> String {
    let mut text = String::new();
    if let Some(launch) = launch {
        // Writing to a text cannot fail.
        let _written = writeln!(text, "dangerous  {name}: {}", shown(launch));
    }
    text + &differences(name, others, "was never approved")
}

/// Asks whoever sits at the terminal, unless consent was given before.
fn consent(shared: &Shared) -> Result<(), Failure> {
    if shared.consents() {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::new(
            Exit::Usage,
            "nothing was approved, since nobody can be asked here",
        )
        .help("to approve what is shown above, add `--yes`"));
    }
    let asked = || -> io::Result<bool> {
        anstream::eprint!("Approve it? [y/N] ");
        io::stderr().flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    };
    match asked() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(Exit::Usage, "nothing was approved")),
        Err(error) => Err(Failure::new(Exit::Usage, "cannot ask").from(error)),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    super::printed(io::stdout().lock().write_all(text.as_bytes())).map(drop)
}
