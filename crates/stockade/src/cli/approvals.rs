//! `stockade approvals`: the questions of every guard of this user, and their answers.

mod edit;
mod open;
mod watch;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;
use stockade_core::check::{escaped, visible};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::run::runtime;
use super::{Format, State, printed};
use crate::approvals::grants::{Bound, Bounds, FOR_MAX_S, Grant};
use crate::approvals::place::{Place, PlaceError, detach};
use crate::approvals::service::{line, next, serve};
use crate::approvals::shown::{in_brief, in_full};
use crate::approvals::{Given, Said, Shown, Told};
use crate::failure::{Exit, Failure};

/// The longest line that the service says.
const LINE_BYTES_MAX: usize = 1 << 30;

/// Answer the questions of guards, and see what is allowed for later
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade approvals watch
  stockade approvals open
  stockade approvals allow s8f3a9c1e.5
  stockade approvals allow s8f3a9c1e.6 --edit
  stockade approvals allow s8f3a9c1e.5 --always --for 7d --arg path=within:/home/me/notes")]
pub(super) struct Approvals {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    state: State,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what waits for an answer
    List {
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show what waits and what comes, and answer it here
    Watch,
    /// Open a page in the browser that shows what waits and what comes, and answer it there
    Open(open::Open),
    /// Allow one call; with --always, also the calls like it that are to come
    Allow(Allow),
    /// Deny one call
    Deny {
        /// The question, by its reference
        id: String,
    },
    /// Show the standing grants
    Grants {
        /// How they are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Take a standing grant back
    Revoke {
        /// The grant
        id: String,
    },
    /// Be the service; guards start it when they need it
    #[command(hide = true)]
    Service {
        /// Not to be started anew as a process of its own
        #[arg(long)]
        stay: bool,
    },
}

#[derive(Debug, Args)]
struct Allow {
    /// The question, by its reference
    id: String,
    /// Ask no more about calls of this tool with these arguments, until the server describes the tool
    /// otherwise
    #[arg(long)]
    always: bool,
    /// Change the text before it is sent: what a server asks of a model, or what goes back to a server.
    /// It is opened as JSON in $VISUAL or $EDITOR
    #[arg(long, conflicts_with = "always")]
    edit: bool,
    /// For how long: 30m, 8h, 7d [default: 1d]
    #[arg(long = "for", value_name = "TIME", requires = "always", value_parser = seconds)]
    for_s: Option<u64>,
    /// What an argument may be instead of what it is now: `any`, `within:DIR`, `matches:REGEX` or
    /// `equals:JSON`. May be repeated
    #[arg(long = "arg", value_name = "NAME=BOUND", requires = "always", value_parser = bound)]
    bounds: Vec<(String, Bound)>,
}

/// How long a grant stands where nothing is said.
const DAY_S: u64 = 86_400;

/// A time in seconds, as it is written.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "write it as `30m`, `8h` or `7d`".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => DAY_S,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).filter(|it| (1..=FOR_MAX_S).contains(it)).ok_or_else(wrong)
}

/// What an argument may be, as it is written.
fn bound(text: &str) -> Result<(String, Bound), String> {
    let (name, bound) = text.split_once('=').ok_or("write it as `NAME=BOUND`")?;
    let bound = match bound.split_once(':') {
        None if bound == "any" => Bound::Any,
        Some(("within", directory)) => Bound::Within(directory.to_owned()),
        Some(("matches", regex)) => Bound::Matches(regex.to_owned()),
        Some(("equals", json)) => {
            Bound::Equals(serde_json::from_str(json).map_err(|it| format!("no JSON: {it}"))?)
        }
        _ => return Err("`any`, `within:DIR`, `matches:REGEX` or `equals:JSON`".to_owned()),
    };
    Ok((name.to_owned(), bound))
}

impl Command {
    /// Whether it is about what a guard has asked or was told, so that there was one.
    fn answers(&self) -> bool {
        match self {
            Self::List { .. }
            | Self::Allow(_)
            | Self::Deny { .. }
            | Self::Grants { .. }
            | Self::Revoke { .. } => true,
            Self::Watch | Self::Open(_) | Self::Service { .. } => false,
        }
    }
}

/// A directory that somebody names and that is not there is misspelled: nothing waits in it, and
/// whoever is told so looks no further.
fn is_there(dir: &Path) -> Result<(), Failure> {
    let shown = visible(&dir.to_string_lossy());
    let is_dir = std::fs::metadata(dir).map(|it| it.is_dir()).map_err(|it| {
        Failure::new(Exit::Usage, format!("cannot look into `{shown}`"))
            .help("`--state` is the directory that the guards were given")
            .from(it)
    })?;
    if is_dir {
        Ok(())
    } else {
        Err(Failure::new(Exit::Usage, format!("`{shown}` is no directory")))
    }
}

impl Approvals {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let base = self.state.own()?;
        if let (Some(dir), true) = (&self.state.dir, self.command.answers()) {
            is_there(dir)?;
        }
        let place = Place::below(base.clone());
        if let Command::Service { stay } = &self.command {
            return service(*stay, base);
        }
        let runtime = runtime(1)?;
        let done = runtime.block_on(self.ask(&place));
        // What still waits for a line of the terminal waits for ever.
        runtime.shutdown_background();
        done
    }

    async fn ask(&self, place: &Place) -> Result<ExitCode, Failure> {
        match &self.command {
            Command::Watch => watch::watch(place).await,
            Command::Open(open) => open.open(place).await,
            Command::List { format } => {
                let waiting = match Service::there(place).await? {
                    Some(mut service) => service.waiting().await?,
                    None => Vec::new(),
                };
                print(&listed(&waiting, *format)?)
            }
            Command::Grants { format } => {
                // They stand whether or not anybody asks.
                let mut service = Service::of(place.connect_or_start().await)?;
                let told = service.ask(&Said::Grants).await?;
                let Told::Grants(grants) = &told else { return Err(misunderstood(&told)) };
                print(&granted(grants, *format)?)
            }
            Command::Revoke { id } => {
                let mut service = Service::of(place.connect_or_start().await)?;
                service.done(&Said::Revoke(id.clone())).await
            }
            Command::Deny { id } => {
                let (mut service, shown) = found(place, id).await?;
                let given = given(&shown, false, None, "terminal");
                service.done(&Said::Give(given)).await
            }
            Command::Allow(allow) => {
                let (mut service, shown) = found(place, &allow.id).await?;
                if allow.edit {
                    let to = edit::edited(&shown)?;
                    let given = given(&shown, true, None, "terminal");
                    return service.done(&Said::Edit { given, to }).await;
                }
                let grant = allow.grant(&shown)?;
                let given = given(&shown, true, grant, "terminal");
                service.done(&Said::Give(given)).await
            }
            Command::Service { .. } => Ok(ExitCode::SUCCESS),
        }
    }
}

impl Allow {
    fn grant(&self, shown: &Shown) -> Result<Option<Bounds>, Failure> {
        if !self.always {
            return Ok(None);
        }
        let bounds = proposed(shown, self.for_s.unwrap_or(DAY_S))?;
        let question = &shown.asked.question;
        let takes = question.takes.iter().chain(bounds.arguments.keys());
        let mut takes: Vec<String> = takes.map(|it| format!("`{}`", visible(it))).collect();
        let with = bounds.with(&shown.asked, self.bounds.iter().cloned());
        with.map(Some).map_err(|name| {
            let tool = visible(question.tool.as_deref().unwrap_or_default());
            let says = format!("`{tool}` has no argument `{}`", visible(&name));
            takes.sort();
            takes.dedup();
            Failure::new(Exit::Usage, says).help(format!("what it has: {}", takes.join(", ")))
        })
    }
}

/// What would be granted, if nothing else is said: the same once more.
fn proposed(shown: &Shown, for_s: u64) -> Result<Bounds, Failure> {
    let bounds = Some(shown).filter(|it| !it.flood).and_then(|it| Bounds::of(&it.asked, for_s));
    bounds.ok_or_else(|| {
        Failure::new(Exit::Usage, "there is nothing to grant for later")
            .help("only calls of a tool can be granted, with arguments that have names")
    })
}

/// An answer to what was read.
fn given(shown: &Shown, approved: bool, grant: Option<Bounds>, channel: &str) -> Given {
    Given {
        id: shown.id.clone(),
        digest: shown.asked.question.digest.clone(),
        times: shown.times,
        approved,
        grant,
        says: String::new(),
        channel: channel.to_owned(),
    }
}

async fn found(place: &Place, id: &str) -> Result<(Service, Shown), Failure> {
    let gone = || {
        Failure::new(Exit::Findings, format!("no question `{}` waits", visible(id)))
            .help("`stockade approvals list` shows what does")
    };
    let mut service = Service::there(place).await?.ok_or_else(gone)?;
    let waiting = service.waiting().await?;
    let shown = waiting.into_iter().find(|it| it.id == id).ok_or_else(gone)?;
    Ok((service, shown))
}

fn service(stay: bool, base: PathBuf) -> Result<ExitCode, Failure> {
    let failed = |it: Box<dyn std::error::Error + Send + Sync>| {
        Failure::new(Exit::Usage, "the service of approvals cannot start").from(it)
    };
    if !stay {
        detach(&base).map_err(|it| failed(it.into()))?;
        return Ok(ExitCode::SUCCESS);
    }
    // A session of its own: no terminal's signals, and none of whoever has started it. That fails
    // where it leads one already.
    let _led = rustix::process::setsid();
    stockade_sandbox::raise_descriptors();
    runtime(1)?.block_on(serve(&Place::below(base))).map_err(|it| failed(it.into()))?;
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> Result<ExitCode, Failure> {
    printed(io::stdout().lock().write_all(text.as_bytes()))?;
    Ok(ExitCode::SUCCESS)
}

fn listed(waiting: &[Shown], format: Format) -> Result<String, Failure> {
    if format == Format::Json {
        return json(waiting);
    }
    if waiting.is_empty() {
        return Ok("nothing waits\n".to_owned());
    }
    let each = waiting.iter().map(|it| format!("{}\n{}", in_brief(it), in_full(it)));
    Ok(each.collect::<Vec<_>>().join("\n"))
}

fn granted(grants: &[Grant], format: Format) -> Result<String, Failure> {
    if format == Format::Json {
        return json(grants);
    }
    if grants.is_empty() {
        return Ok("nothing is granted\n".to_owned());
    }
    let each = grants.iter().map(|it| {
        let arguments = it.arguments.iter().map(|(name, it)| {
            let bound = serde_json::to_value(it).unwrap_or_default();
            format!(
                "    {} {}\n",
                escaped(&Value::from(name.as_str()).to_string()),
                escaped(&bound.to_string())
            )
        });
        let arguments: String = arguments.collect();
        let (tool, server) = (visible(&it.tool), visible(&it.server));
        let (principal, by) = (visible(&it.principal), visible(&it.by));
        let left = it.until_s.saturating_sub(unix_s());
        let (days, hours, minutes) = (left / DAY_S, left % DAY_S / 3600, left % 3600 / 60);
        let left = format!("{days}d {hours}h {minutes}m");
        let stands = match &it.void {
            None => format!("given by {by}, {left} left"),
            Some(why) => format!("void, and lets nothing pass: {}", visible(why)),
        };
        let id = visible(&it.id);
        format!("{id}  `{tool}` of `{server}` for `{principal}`, {stands}\n{arguments}")
    });
    Ok(each.collect())
}

fn unix_s() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    now.map(|it| it.as_secs()).unwrap_or_default()
}

fn json<T: serde::Serialize>(list: &[T]) -> Result<String, Failure> {
    let wrong = |it| Failure::new(Exit::Usage, "cannot print").from(it);
    serde_json::to_string_pretty(list).map(|it| escaped(&it) + "\n").map_err(wrong)
}

/// The service, to somebody who answers.
struct Service {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    buffer: Vec<u8>,
}

impl Service {
    fn of(connected: Result<UnixStream, PlaceError>) -> Result<Self, Failure> {
        let stream = connected.map_err(|it| {
            Failure::new(Exit::Usage, "cannot reach the service of approvals").from(it)
        })?;
        let (reader, writer) = stream.into_split();
        Ok(Self { reader: BufReader::new(reader), writer, buffer: Vec::new() })
    }

    /// The service that is there, if one is.
    async fn there(place: &Place) -> Result<Option<Self>, Failure> {
        match place.connect().await {
            Err(PlaceError::Absent(_)) => Ok(None),
            it => Self::of(it).map(Some),
        }
    }

    async fn say(&mut self, said: &Said) -> Result<(), Failure> {
        self.writer.write_all(&line(said)).await.map_err(|it| gone(it.into()))
    }

    async fn next(&mut self) -> Result<Told, Failure> {
        let told = next(&mut self.reader, &mut self.buffer, LINE_BYTES_MAX).await;
        told.map_err(|it| gone(it.into()))?.ok_or_else(|| gone("it has ended".into()))
    }

    async fn ask(&mut self, said: &Said) -> Result<Told, Failure> {
        self.say(said).await?;
        self.next().await
    }

    async fn waiting(&mut self) -> Result<Vec<Shown>, Failure> {
        let told = self.ask(&Said::List).await?;
        if let Told::Waiting(waiting) = told { Ok(waiting) } else { Err(misunderstood(&told)) }
    }

    async fn done(&mut self, said: &Said) -> Result<ExitCode, Failure> {
        let told = self.ask(said).await?;
        if let Told::Done(says) = &told {
            return print(&format!("{}\n", visible(says)));
        }
        let Told::Refused(says) = &told else { return Err(misunderstood(&told)) };
        Err(Failure::new(Exit::Findings, visible(says)))
    }
}

fn gone(why: Box<dyn std::error::Error + Send + Sync>) -> Failure {
    Failure::new(Exit::Findings, "the service of approvals is gone, and what waited is denied")
        .from(why)
}

fn misunderstood(told: &Told) -> Failure {
    let said = format!("{told:?}").chars().take(200).collect::<String>();
    Failure::new(Exit::Usage, "the service of approvals is another version of this program")
        .from(visible(&said))
}
