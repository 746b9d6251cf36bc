//! `stockade inspect`: the console, a page in the browser on which a person drives servers.

mod said;
mod wanted;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, Parser};
use serde_json::{Value, json};
use stockade_core::record::{Kind, Record};
use stockade_store::{Filter, Ledger, Verdict, query, verify};

use self::said::{Wants, answers, words};
use self::wanted::Wanted;
use super::audit::told;
use super::call::{Spoken, headers};
use super::printed;
use super::run::{Asks, Shared, runtime, stop};
use crate::browser::opener::{self, address, browse, browse_apart, is_own, leads_to};
use crate::failure::{Exit, Failure};
use crate::inspect::{Backing, Console, Options, Pages, Planned, Spec};

/// Open a page in the browser on which servers are driven, and all that passes is seen
#[derive(Debug, Args)]
#[command(
    override_usage = "stockade inspect [OPTIONS] [TARGET]\n       \
                      stockade inspect [OPTIONS] -- CMD…",
    after_help = "Examples:
  stockade inspect -- stockade example hardened
  stockade inspect https://mcp.example.com/mcp --header-env Authorization=TOKEN
  stockade inspect notes --no-open

TARGET is the address of a remote server, or the name of a server of the policy; without one, servers are
added on the page. A command after `--` is started in its sandbox, as with `stockade run`, and what is said
goes through the same guard. The page is for this user on this machine: one line on standard output has its
address, which lets one browser in, within two minutes. When the page is closed, the servers end, and this.

See docs/inspect.md."
)]
pub(super) struct Inspect {
    /// The server: its address, or its name in the policy
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// Serve the page here. Loopback only; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0", value_parser = address)]
    listen: SocketAddr,
    /// Start no browser: only print the address
    #[arg(long)]
    no_open: bool,
    /// Go on when the page is closed, until a signal asks for the end. The address that is printed lets a
    /// browser in until one has used it, and another is printed whenever the page was closed
    #[arg(long)]
    keep: bool,
    /// What is spoken with the server: `legacy` (with a session), `modern` (2026-07-28), `auto` (the server
    /// is asked first), or a revision by its name [default: legacy]
    #[arg(long, value_name = "ERA")]
    era: Option<Spoken>,
    /// Answer what the server asks by this file (TOML or JSON), as with `stockade call`. What is not in it
    /// is asked on the page
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// A header for a remote server. May be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The same with the value of a variable, which is then in no list of processes
    #[arg(long = "header-env", value_name = "NAME=VARIABLE")]
    headers_env: Vec<String>,
    /// How long a request may take in all, in seconds, whatever progress is reported [default: 600]
    #[arg(long, value_name = "SECONDS")]
    total: Option<usize>,
    /// Serve the page of this directory, for whoever works on it
    #[arg(long, value_name = "DIR", hide = true)]
    page: Option<PathBuf>,
    /// Have the desktop open this file, and end
    #[arg(long, value_name = "FILE", hide = true)]
    browse: Option<PathBuf>,
    #[command(flatten)]
    shared: Shared,
    /// The server's command
    #[arg(last = true, help_heading = None, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Inspect {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        if let Some(file) = &self.browse {
            let started = browse(file).map_err(|it| Failure::new(Exit::Usage, it));
            return started.map(|()| ExitCode::SUCCESS);
        }
        is_own(self.listen)?;
        let wants = self.wants()?;
        if let (true, Some(wants)) = (self.shared.is_dry(), &wants) {
            wants.shared.ready(wants.upstream.as_deref(), &wants.command, &[])?;
            return Ok(ExitCode::SUCCESS);
        }
        let planned = wants.map(Wanted::found).transpose()?;
        let directory = self.shared.own_state("inspect")?;
        let opening = directory.join(format!("open-{}.html", std::process::id()));
        opener::write(&opening, "").map_err(|it| unwritten(&directory, it))?;
        let pages = match &self.page {
            Some(directory) => Pages::Directory(directory.clone()),
            None => Pages::BuiltIn,
        };
        let backing = Box::new(Shop { shared: self.shared.clone(), ledger: Mutex::default() });
        let options = Options { listen: self.listen, keep: self.keep, pages, directory, backing };
        let runtime = runtime(1)?;
        let done = runtime.block_on(self.serve(options, planned, opening));
        // Whoever still looks for something is not waited for.
        runtime.shutdown_background();
        done
    }

    async fn serve(
        &self,
        options: Options,
        planned: Option<Wanted>,
        opening: PathBuf,
    ) -> Result<ExitCode, Failure> {
        let failed = |it| Failure::new(Exit::Usage, format!("no page: {it}"));
        let console = Console::listen(options).map_err(failed)?;
        let url = console.open().map_err(failed)?;
        if let Some(planned) = planned {
            let begun = console.begin(Arc::new(planned));
            begun.map_err(|it| failed(it.to_string()))?;
        }
        let written = opener::write(&opening, &leads_to(&url, "Console"));
        console.opens_by(opening.clone());
        let print = |url: &str| {
            let mut out = io::stdout().lock();
            printed(writeln!(out, "{url}").and_then(|()| out.flush()))
        };
        print(&url)?;
        if !self.no_open {
            tokio::task::spawn_blocking(move || {
                let written = written.map_err(|it| it.to_string());
                if let Err(why) = written.and_then(|()| browse_apart(&opening)) {
                    anstream::eprintln!(
                        "note: no browser was started ({why}): open the address above in one of this \
                         user's, within two minutes"
                    );
                }
            });
        }
        let again = || {
            if let Ok(url) = console.open() {
                // Nobody reads it: there is nobody to open it either.
                let _unread = print(&url);
            }
        };
        let why = tokio::select! {
            () = stop() => "it was asked to end",
            why = console.until_left(again) => why,
        };
        anstream::eprintln!("note: {why}: the servers end");
        console.end(why).await;
        Ok(ExitCode::SUCCESS)
    }

    /// The server of the command line, if there is one.
    fn wants(&self) -> Result<Option<Wants>, Failure> {
        let is_url = |it: &&String| it.starts_with("http://") || it.starts_with("https://");
        let url = self.target.as_ref().filter(is_url);
        let name = self.target.as_ref().filter(|it| !is_url(it));
        if self.target.is_some() && !self.command.is_empty() {
            return Err(Failure::new(Exit::Usage, "a target, and a command that is started")
                .help("name one of them; others are added on the page"));
        }
        if self.target.is_none() && self.command.is_empty() && self.shared.name().is_none() {
            return Ok(None);
        }
        let has_headers = !self.headers.is_empty() || !self.headers_env.is_empty();
        if has_headers && !self.command.is_empty() {
            return Err(Failure::new(Exit::Usage, "headers, and a command that is started")
                .help("headers go to a remote server; a variable is passed on with `--env NAME`"));
        }
        let shared = match name {
            Some(name) => self.shared.named(name),
            None => self.shared.clone(),
        };
        let headers = headers(&self.headers, &self.headers_env)?;
        let asks = Asks { total: self.total, many: true, headers, ..Asks::default() };
        let answers = self.answers.as_deref().map(answers).transpose()?;
        Ok(Some(Wants {
            upstream: url.cloned(),
            command: self.command.clone(),
            era: self.era,
            answers: answers.unwrap_or_default(),
            label: name.cloned(),
            ..Wants::by(shared.asking(asks))
        }))
    }
}

fn unwritten(directory: &Path, error: io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("cannot write in `{}`", directory.display()))
        .from(error)
        .help("name another directory with `--state DIR`")
}

fn unread(directory: &Path, error: stockade_store::Error) -> Failure {
    let says = format!("cannot read the ledger in `{}`", directory.display());
    Failure::new(Exit::Usage, says).from(error)
}

/// What finds the servers that are added on the page: by the same policy, lock and state as this was
/// started with.
struct Shop {
    shared: Shared,
    /// Opened when there is something to write.
    ledger: Mutex<Option<Ledger>>,
}

/// Options of a server that is added on the page, as if they had been typed.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Typed {
    #[command(flatten)]
    shared: Shared,
}

impl Backing for Shop {
    fn plan(&self, spec: Spec) -> Result<Arc<dyn Planned>, Failure> {
        let words = [self.shared.base(), words(&spec)].concat();
        let typed = Typed::try_parse_from(words).map_err(|error| {
            let whole = error.to_string();
            let says = whole.lines().next().unwrap_or_default();
            Failure::new(Exit::Usage, says.strip_prefix("error: ").unwrap_or(says))
        })?;
        Ok(Arc::new(Wanted::found(Wants::of(spec, typed.shared.unasked())?)?))
    }

    fn about(&self) -> Value {
        let resolved = self.shared.resolved();
        let names = resolved.as_ref().ok().into_iter().flat_map(|it| &it.servers);
        let names: Vec<&str> = names.map(|it| it.name.as_str()).collect();
        let file = resolved.as_ref().ok().and_then(|it| it.source.as_ref());
        let wrong = resolved.as_ref().err().map(ToString::to_string);
        json!({ "policy": { "file": file.map(|it| it.path.display().to_string()), "servers": names,
            "wrong": wrong } })
    }

    fn ledger(&self, filter: &Filter) -> Result<Value, Failure> {
        let directory = self.shared.own_state("ledger")?;
        let found = query(&directory, filter).map_err(|it| unread(&directory, it))?;
        let records = found.records.iter().enumerate().map(|(at, it)| {
            let record: Value = serde_json::from_str(&it.json).unwrap_or_default();
            json!({ "at": it.at, "segment": it.segment, "seq": it.seq, "record": record,
                "open": found.open.contains(&at) })
        });
        Ok(json!({ "records": records.collect::<Vec<_>>(), "damaged": found.damaged }))
    }

    fn verified(&self) -> Result<Value, Failure> {
        let directory = self.shared.own_state("ledger")?;
        let verdict = verify(&directory).map_err(|it| unread(&directory, it))?;
        let whole = matches!(verdict, Verdict::Whole(_));
        Ok(json!({ "whole": whole, "says": told(&verdict) }))
    }

    fn refused(&self, peer: IpAddr, rule: &'static str, says: String) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        if ledger.is_none() {
            let directory = self.shared.own_state("ledger").ok();
            *ledger = directory.and_then(|it| Ledger::open(it).ok());
        }
        let record = Record {
            kind: Kind::Refusal,
            peer: Some(peer),
            rule: Some(rule.to_owned()),
            channel: Some("console".to_owned()),
            says,
            ..Record::default()
        };
        // They are turned away in any case.
        let _recorded = ledger.as_ref().map(|it| it.append(&record));
    }
}
