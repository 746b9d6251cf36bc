//! `stockade prepare`, and what `run`, `serve` and `sandbox` start in place of a package runner.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use stockade_sandbox::{Guarantee, Plan, Spec, raise_descriptors};

use super::State;
use super::hold::{not_started, passed_on};
use crate::failure::{Exit, Failure};
use crate::prepared::{Checked, Entry, Error, Options, Resolved, Store, resolve};
use stockade_kit::launch::{Launch, Package};

/// Install a server from a registry at an exact version, so that it runs without a network
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade prepare npm:@modelcontextprotocol/server-filesystem@2026.8.31
  stockade prepare --yes -- uvx mcp-server-time==2026.10.19 --local-timezone UTC

npm or pip resolves and installs it, with every script off and no package built, in a sandbox with
one directory, no root and an empty home, that reaches the registry and nobody else. What is installed is written down file by file and read only; `stockade run -- npx …` and
`uvx …` start it from there, and not if a file of it was changed.")]
pub(super) struct Prepare {
    /// What to prepare: npm:NAME@VERSION or pypi:NAME==VERSION. Another version than an exact one is
    /// looked up now, and kept
    #[arg(value_name = "PACKAGE", value_parser = package)]
    packages: Vec<Package>,
    /// Ask this registry, instead of the one that npm or pip is configured for
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
    /// A host that the registry sends to for its archives, if that is another; or, with an address
    /// that is not public, the registry's own. May be repeated
    #[arg(long = "net", value_name = "HOST[:PORT][=ADDR]")]
    hosts: Vec<String>,
    /// Pass this variable on to npm or pip: a proxy, or a token. May be repeated
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// Run npm or pip although this guarantee (files, processes, end, memory, pids or cpu) cannot be enforced. May be
    /// repeated
    #[arg(long, value_name = "GUARANTEE")]
    allow_weaker: Vec<Guarantee>,
    /// How long npm or pip may take altogether, in seconds [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// List what is prepared, and whether it is as it was
    #[arg(long, conflicts_with_all = ["packages", "command"])]
    list: bool,
    /// Remove this, as --list names it or by package and version. May be repeated
    #[arg(long, value_name = "NAME", conflicts_with_all = ["packages", "command"])]
    remove: Vec<String>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    state: State,
    /// The command line of a package runner, such as npx or uvx
    #[arg(last = true, help_heading = None, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Whether what needs consent may be done without a question.
#[derive(Clone, Debug, Args)]
pub(super) struct Consent {
    /// Consent to what would be asked: that a package is prepared, that a server is approved
    #[arg(long)]
    yes: bool,
    /// Nobody is asked, wherever this was started.
    #[arg(skip)]
    unasked: bool,
}

impl Consent {
    /// It was given.
    pub(super) fn given() -> Self {
        Self { yes: true, unasked: true }
    }

    /// It was not given, and nobody is asked for it.
    pub(super) fn unasked() -> Self {
        Self { yes: false, unasked: true }
    }

    pub(super) fn is_given(&self) -> bool {
        self.yes
    }
}

impl Prepare {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let store = Store::at(self.state.store()?);
        if self.list {
            return list(&store);
        }
        for name in &self.remove {
            for removed in store.remove(name).map_err(|it| failed(&it))? {
                super::printed(writeln!(io::stdout(), "removed {removed}"))?;
            }
        }
        let mut packages = self.packages.clone();
        if !self.command.is_empty() {
            packages.push(of_command(&self.command)?);
        }
        if packages.is_empty() && self.remove.is_empty() {
            return Err(Failure::new(Exit::Usage, "no package is named").help(
                "write `npm:NAME@VERSION`, `pypi:NAME==VERSION`, or a command line after `--`",
            ));
        }
        let variable = |it: &String| Ok((it.into(), passed_on("--env", it)?));
        let options = Options {
            registry: self.registry.clone(),
            hosts: self.hosts.clone(),
            env: self.env.iter().map(variable).collect::<Result<_, Failure>>()?,
            allow_weaker: self.allow_weaker.clone(),
            time: self.timeout.map(Duration::from_secs),
        };
        raise_descriptors();
        for package in packages {
            let entry = prepare(&self.state, &package, &options, &self.consent)?;
            let said = format!("prepared {} as {}", entry.manifest.id(), entry.name());
            super::printed(writeln!(io::stdout(), "{said}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn package(text: &str) -> Result<Package, String> {
    Package::named(text)
        .ok_or_else(|| "a package is like npm:NAME@1.2.3 or pypi:NAME==1.2.3".to_owned())
}

fn of_command(command: &[OsString]) -> Result<Package, Failure> {
    let refused = |why: String| {
        Failure::new(Exit::Usage, why).help(
            "what is prepared is a package of a registry: `npx NAME@VERSION`, `uvx NAME==VERSION`",
        )
    };
    match Launch::of(command, []) {
        Launch::Package(package) => Ok(package),
        Launch::Arbitrary { why } => Err(refused(format!("this is arbitrary execution: {why}"))),
        Launch::Program | Launch::Script(_) | Launch::Container { .. } => {
            Err(refused("this command starts no package of a registry".to_owned()))
        }
    }
}

fn list(store: &Store) -> Result<ExitCode, Failure> {
    let mut whole = true;
    for entry in store.entries().map_err(|it| failed(&it))? {
        let state = match entry.verify() {
            Ok(()) => "as it was".to_owned(),
            Err(error) => {
                whole = false;
                error.to_string()
            }
        };
        let (id, packages) = (entry.manifest.id(), entry.manifest.packages.len());
        let line = writeln!(io::stdout(), "{id}  {packages} packages  {}  {state}", entry.name());
        super::printed(line)?;
    }
    Ok(if whole { ExitCode::SUCCESS } else { Exit::Findings.into() })
}

/// Prepares a package, if somebody consents.
fn prepare(
    state: &State,
    package: &Package,
    options: &Options,
    consent: &Consent,
) -> Result<Entry, Failure> {
    let store = &Store::at(state.store()?);
    let may_ask = !consent.unasked && io::stdin().is_terminal() && io::stderr().is_terminal();
    if !consent.yes && !may_ask {
        return Err(Failure::new(Exit::Usage, format!("`{}` is not prepared", package.spec()))
            .help(format!(
                "consent to that with `--yes`, or type in a terminal: {}",
                typed(package, state, &options.allow_weaker)
            )));
    }
    anstream::eprintln!("looking up {}", package.spec());
    let resolved = resolve(store, package, options).map_err(|it| failed(&it))?;
    anstream::eprint!("{}", shown(package, &resolved));
    if !consent.yes && !asked().map_err(|it| Failure::new(Exit::Usage, "cannot ask").from(it))? {
        return Err(Failure::new(Exit::Usage, "nothing was prepared, since nobody consented"));
    }
    resolved.install(store).map_err(|it| failed(&it))
}

/// What is known before anything is installed.
fn shown(package: &Package, resolved: &Resolved) -> String {
    let Resolved { itself, others, scripts, .. } = resolved;
    let mut lines = vec![
        format!("{}: {itself}", package.ecosystem),
        format!("  from       {}", itself.url),
        format!("  integrity  {}", itself.integrity),
        format!("  needs      {} other packages, each at an exact version", others.len()),
    ];
    if !scripts.is_empty() {
        let names = scripts.join(", ");
        lines.push(format!("  scripts    not run, of {}: {names}", scripts.len()));
    }
    lines.push(format!(
        "  sandbox    one directory, no root, an empty home; reaches {}",
        resolved.reaches.join(", ")
    ));
    lines.push(
        "  so far     nothing of it has run, and nothing of it runs when it is installed"
            .to_owned(),
    );
    let lines: Vec<String> =
        lines.iter().map(|it| stockade_core::check::visible(it) + "\n").collect();
    lines.concat()
}

fn asked() -> io::Result<bool> {
    anstream::eprint!("Install it? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// The command that prepares it.
fn typed(package: &Package, state: &State, allow_weaker: &[Guarantee]) -> String {
    let dir = state.dir.as_ref().map(|it| it.display().to_string());
    let words = dir.into_iter().flat_map(|it| ["--state".to_owned(), it]);
    let weaker =
        allow_weaker.iter().flat_map(|it| ["--allow-weaker".to_owned(), it.name().to_owned()]);
    let words = words.chain(weaker).chain([package.spec()]);
    let words = words.map(|word| {
        let plain = |it: u8| it.is_ascii_alphanumeric() || b"@/:.=-_+".contains(&it);
        if word.bytes().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
    });
    format!("stockade prepare {}", words.collect::<Vec<_>>().join(" "))
}

/// What is started, and what a person and the ledger are told of that.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) spec: Spec,
    /// What was prepared of it, if it is that, to be looked at before each start.
    pub(super) prepared: Option<Arc<Checked>>,
    about: Option<String>,
}

impl Settled {
    fn command(spec: Spec, about: Option<String>) -> Self {
        Self { spec, prepared: None, about }
    }

    /// What holds it.
    pub(super) fn held(&self, plan: &Plan) -> String {
        match self.spec.confine {
            Some(_) => plan.containment().in_brief(),
            None => "no sandbox: the server may do what its user may".to_owned(),
        }
    }

    /// What is to be known of the command, where there is something.
    pub(super) fn about(&self) -> Option<&str> {
        self.about.as_deref()
    }
}

/// In place of a package runner: what was prepared of the package, started directly, which needs no
/// network. Without a sandbox, and for everything else, it is the command itself.
pub(super) fn settle(mut spec: Spec, state: &State, consent: &Consent) -> Result<Settled, Failure> {
    let names: Vec<String> =
        spec.env.iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    let launch = Launch::of(&spec.command, names.iter().map(String::as_str));
    let package = match launch {
        Launch::Package(package) => package,
        Launch::Arbitrary { why } => {
            return Ok(Settled::command(spec, Some(format!("arbitrary execution: {why}"))));
        }
        Launch::Container { image, pinned: false } => {
            let about = format!("the image `{image}` has no digest, and may become another");
            return Ok(Settled::command(spec, Some(about)));
        }
        Launch::Program | Launch::Script(_) | Launch::Container { pinned: true, .. } => {
            return Ok(Settled::command(spec, None));
        }
    };
    let Some(confine) = &mut spec.confine else {
        let about = format!("the package runner itself starts `{}`", package.spec());
        return Ok(Settled::command(spec, Some(about)));
    };
    let store = Store::at(state.store()?);
    let entry = match store.find(&package).map_err(|it| failed(&it))? {
        Some(entry) => entry,
        None => {
            let allow_weaker = confine.allow_weaker.clone();
            let options = Options { allow_weaker, ..Options::default() };
            prepare(state, &package, &options, consent)?
        }
    };
    let prepared = Checked::new(entry);
    prepared.verify().map_err(|it| failed(&it))?;
    let entry = prepared.entry();
    let command = entry.command(package.bin.as_deref()).map_err(|it| failed(&it))?;
    confine.programs.push(entry.tree());
    spec.command = command.into_iter().map(OsString::from).collect();
    spec.command.extend(package.args.into_iter().map(OsString::from));
    for (name, value) in package.env {
        spec.env.retain(|(it, _)| **it != *name);
        spec.env.push((name.into(), value.into()));
    }
    let about = Some(format!("{} as it was prepared", entry.manifest.id()));
    Ok(Settled { spec, prepared: Some(Arc::new(prepared)), about })
}

pub(super) fn failed(error: &Error) -> Failure {
    if let Error::Sandbox(error) = error {
        return not_started(error);
    }
    let mut says = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(it) = cause {
        says = format!("{says}: {it}");
        cause = it.source();
    }
    match error {
        Error::Missing { remedy, .. } => Failure::new(Exit::Usage, says).help(*remedy),
        Error::Failed { remedy, .. } => Failure::new(Exit::Server, says).help(*remedy),
        Error::Late { .. } => Failure::new(Exit::Server, says).help(
            "nothing was prepared: see whether the registry answers, or give it more time with \
             `--timeout SECONDS`",
        ),
        Error::Changed { entry, .. } => {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let help = format!(
                "nothing of it is started; `stockade prepare --remove {name}`, and prepare it again"
            );
            Failure::new(Exit::Server, says).help(help)
        }
        Error::NoSuchProgram { .. } => Failure::new(Exit::Usage, says)
            .help("name one with `npx --package=NAME PROGRAM` or `uvx --from NAME PROGRAM`"),
        Error::NotPrepared { .. } => {
            Failure::new(Exit::Usage, says).help("`stockade prepare --list` says what is")
        }
        Error::Registry { .. }
        | Error::Host { .. }
        | Error::NoProgram { .. }
        | Error::Refused { .. }
        | Error::Garbled { .. } => Failure::new(Exit::Usage, says).help("nothing was prepared"),
        Error::File { .. } | Error::Network { .. } | Error::Sandbox(_) => {
            Failure::new(Exit::Usage, says)
        }
    }
}
