//! `stockade audit export`: reads the ledger, hands it over, and notes what was taken.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use stockade_core::check::visible;
use stockade_store::{Cursor, Error, Export as Ledger};
use tokio::time::sleep;

use super::super::State;
use super::age;
use crate::export::Form;
use crate::export::cursor::{Held, Kept, of_another};
use crate::export::place::{Appended, End, Framing, Place, Receiver, Unsaid};
use crate::failure::{Exit, Failure};
use crate::tls::Tls;

/// So many records are handed over before it is noted that they were taken.
const RECORDS_MAX: usize = 1000;

/// How often it is looked for more.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So often is a receiver tried, unless the export is to follow the ledger.
const TRIES_MAX: u32 = 5;

/// How long is waited for the second try, and at most for one. Each wait is twice the one before.
const WAIT: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What the kernel says of a datagram that is too long (`EMSGSIZE`).
const TOO_LONG: i32 = rustix::io::Errno::MSGSIZE.raw_os_error();

/// The records of the ledger, oldest first, verified while they are read
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade audit export --format ocsf --to /var/log/stockade.ocsf.jsonl
  stockade audit export --format syslog --to tls://logs.example:6514 --ca ca.pem --follow")]
pub(super) struct Export {
    /// How each record is written
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// Who receives it: a file, `unix:PATH`, `tcp://HOST:PORT`, `tls://HOST:PORT`, or `-`, which is
    /// standard output
    #[arg(long, value_name = "PLACE", default_value = "-", value_parser = Place::parse)]
    to: Place,
    /// The authorities that vouch for a receiver over TLS, in PEM [default: those of this machine]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Take the end of a connection for the word of a receiver that does not say over TLS that it has
    /// ended it, as rsyslog with GnuTLS: whoever is on the way can end it as well
    #[arg(long)]
    tcp_end: bool,
    /// No older than this: 90s, 15m, 12h or 7d
    #[arg(long, value_name = "AGE", value_parser = age)]
    since: Option<Duration>,
    /// Go on with what is to come
    #[arg(short, long)]
    follow: bool,
    /// Where it is noted what was taken, and gone on from [default: a file below the state directory;
    /// of standard output nothing is noted]
    #[arg(long, value_name = "FILE")]
    cursor: Option<PathBuf>,
}

impl Export {
    pub(super) fn run(self, state: &State) -> Result<ExitCode, Failure> {
        let dir = state.ledger()?;
        let ca = self.ca.as_ref().map(|_| "--ca");
        if let Some(option) = ca.or(self.tcp_end.then_some("--tcp-end"))
            && !matches!(self.to, Place::Tls(_))
        {
            return Err(Failure::new(
                Exit::Usage,
                format!("`{option}` is for a receiver over TLS"),
            )
            .help("name one with `--to tls://HOST:PORT`"));
        }
        let to = format!("{} to {}", self.format.name(), self.named());
        let path = match (&self.cursor, &self.to) {
            (Some(path), _) => Some(path.clone()),
            (None, Place::Output) => None,
            (None, _) => {
                let name = blake3::hash(to.as_bytes()).to_hex();
                let name = name.get(..16).unwrap_or_default();
                Some(state.below("export")?.join(format!("{name}.json")))
            }
        };
        let failed = |it| Failure::new(Exit::Usage, "cannot go on with the export").from(it);
        let held = path.as_deref().map(Held::open).transpose().map_err(failed)?;
        let (held, kept) = held.map_or((None, None), |(held, kept)| (Some(held), kept));
        if let Some(other) = kept.as_ref().filter(|it| it.to != to) {
            let says = format!("this cursor is of another export: {}", visible(&other.to));
            return Err(Failure::new(Exit::Usage, says).help("name another with `--cursor FILE`"));
        }
        let kept = kept.unwrap_or_else(|| Kept { to, ..Kept::default() });
        let since = self.since.and_then(|age| SystemTime::now().checked_sub(age));
        let ledger = Ledger::open(&dir, kept.ledger.clone(), since);
        let ledger = ledger.map_err(|it| {
            Failure::new(Exit::Usage, format!("cannot read the ledger in `{}`", dir.display()))
                .from(it)
                .help("name the directory that it was written to with `--state DIR`")
        })?;
        if let Place::File(file) = &self.to {
            let ledger = dir.canonicalize().unwrap_or(dir);
            free_for_us(file, &ledger, &state.below("export")?, path.as_deref())?;
        }
        let receiver = self.receiver(&kept)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime
            .map_err(|it| Failure::new(Exit::Usage, "the export cannot be started").from(it))?;
        runtime.block_on(Work { args: self, ledger, receiver, held, kept }.work())
    }

    fn named(&self) -> String {
        match &self.to {
            Place::Output => "standard output".to_owned(),
            // The same file, whatever the working directory is.
            Place::File(path) => {
                std::path::absolute(path).unwrap_or(path.clone()).display().to_string()
            }
            Place::Unix(path) => format!("unix:{}", path.display()),
            Place::Tcp(place) => format!("tcp://{place}"),
            Place::Tls(place) => format!("tls://{place}"),
        }
    }

    fn receiver(&self, kept: &Kept) -> Result<Receiver, Failure> {
        Ok(match &self.to {
            Place::Output => Receiver::Output,
            Place::File(path) => Receiver::File(Appended::open(path, kept.file).map_err(|it| {
                Failure::new(Exit::Usage, format!("cannot write `{}`", path.display())).from(it)
            })?),
            Place::Unix(path) => Receiver::Unix(path.clone()),
            Place::Tcp(place) => Receiver::Tcp(place.clone()),
            Place::Tls(place) => {
                let tls = Tls::new(self.ca.as_deref());
                let tls = tls.map_err(|it| {
                    Failure::new(Exit::Usage, "nobody can be reached over TLS").from(it)
                })?;
                let end = if self.tcp_end { End::Below } else { End::Said };
                Receiver::Tls(place.clone(), tls, end)
            }
        })
    }
}

struct Work {
    args: Export,
    ledger: Ledger,
    receiver: Receiver,
    held: Option<Held>,
    kept: Kept,
}

impl Work {
    async fn work(mut self) -> Result<ExitCode, Failure> {
        let lost_before = self.kept.ledger.lost_records();
        // Of a file, how long it was before anything of this was in it.
        self.note()?;
        loop {
            let records = self.ledger.more(RECORDS_MAX).map_err(unread)?;
            self.tell_lost();
            if !records.is_empty() {
                let lines: Vec<String> =
                    records.iter().map(|it| self.args.format.line(it)).collect();
                if !self.hand_over(&lines).await? {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            self.note()?;
            if !records.is_empty() {
                continue;
            }
            if !self.args.follow {
                break;
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(match self.kept.ledger.lost_records() == lost_before {
            true => ExitCode::SUCCESS,
            false => Exit::Findings.into(),
        })
    }

    fn tell_lost(&self) {
        let now = self.ledger.cursor().lost_records();
        let lost = now.saturating_sub(self.kept.ledger.lost_records());
        if lost > 0 {
            anstream::eprintln!(
                "note: {lost} records were removed, as the policy says, before they were exported; \
                 the cursor names them"
            );
        }
    }

    fn note(&mut self) -> Result<(), Failure> {
        let cursor: &Cursor = self.ledger.cursor();
        let file = self.receiver.length();
        if self.kept.ledger == *cursor && self.kept.file == file {
            return Ok(());
        }
        self.kept.ledger = cursor.clone();
        self.kept.file = file;
        let noted = self.held.as_ref().map_or(Ok(()), |it| it.keep(&self.kept));
        noted.map_err(|it| Failure::new(Exit::Usage, "cannot note what was exported").from(it))
    }

    /// Whether the receiver wants more. What it does not take is kept until it does: nobody but this
    /// process waits.
    async fn hand_over(&mut self, lines: &[String]) -> Result<bool, Failure> {
        let framing = match self.args.format {
            Form::Syslog => Framing::Counted,
            Form::Jsonl | Form::Cef | Form::Ocsf => Framing::Line,
        };
        let mut wait = WAIT;
        let (mut tries, mut unsaid) = (0, 0);
        loop {
            let Err(error) = self.receiver.take(lines, framing).await else { return Ok(true) };
            tries += 1;
            let place = self.args.named();
            if self.args.to == Place::Output && error.kind() == io::ErrorKind::BrokenPipe {
                return Ok(false);
            }
            let is_last = tries == TRIES_MAX && !self.args.follow;
            // A receiver that is started anew does so once. One that always does has all of it each time.
            let is_unsaid = error.get_ref().is_some_and(|it| it.is::<Unsaid>());
            unsaid = if is_unsaid { unsaid + 1 } else { 0 };
            // A record that is longer than a datagram can be stays so.
            let is_hopeless = error.raw_os_error() == Some(TOO_LONG) || unsaid == TRIES_MAX;
            if is_last || is_hopeless || !self.args.to.is_elsewhere() {
                let help = match is_unsaid {
                    true => {
                        "have the receiver say so (rsyslog does with `rsyslog-openssl`), or take the \
                         end of the connection for its word with `--tcp-end`"
                    }
                    false => "the next export goes on where this one ended",
                };
                return Err(Failure::new(
                    Exit::Server,
                    format!("{place} does not take the export"),
                )
                .from(error)
                .help(help));
            }
            if tries == 1 {
                let why = visible(&error.to_string());
                anstream::eprintln!(
                    "note: {place} does not take the export, and is tried again: {why}"
                );
            }
            sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }
}

/// Refuses a file in the ledger, and one that another export hands over to.
fn free_for_us(
    file: &Path,
    ledger: &Path,
    cursors: &Path,
    own: Option<&Path>,
) -> Result<(), Failure> {
    let refused =
        |says: String| Failure::new(Exit::Usage, says).help("name another file with `--to`");
    // Where it leads, or would be made.
    let leads = file.canonicalize().or_else(|_| {
        let parent = file.parent().filter(|it| !it.as_os_str().is_empty());
        parent.unwrap_or(Path::new(".")).canonicalize()
    });
    if leads.is_ok_and(|it| it.starts_with(ledger)) {
        return Err(refused(format!(
            "`{}` is in the ledger, which nobody else writes to",
            file.display()
        )));
    }
    let Some((other, cursor)) = of_another(cursors, own, file) else { return Ok(()) };
    Err(refused(format!(
        "`{}` is the file of another export, which has the cursor `{}`: {}",
        file.display(),
        cursor.display(),
        visible(&other)
    )))
}

fn unread(error: Error) -> Failure {
    if matches!(error, Error::Tampered(_)) {
        return Failure::new(Exit::Findings, "the export ends here")
            .from(error)
            .help("`stockade audit verify` looks at all of it");
    }
    Failure::new(Exit::Usage, "cannot read the ledger").from(error)
}
