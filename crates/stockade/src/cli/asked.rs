//! What commands have in common that ask a server as its client: what is before the first word and
//! after the last, how it is said that there is nothing to tell, and what the records say.

mod seen;

use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use stockade_core::record::Kind;
use stockade_core::revision::{Era, Revision};
use stockade_core::session::Parties;
use stockade_wire::http::headers::SendHeaders;

pub(super) use self::seen::Seen;
use super::hold::passed_on;
use super::in_lines;
use super::run::{Ready, Shared, Where, not_approved, note, seal, start_failed, unrecorded, watch};
use crate::client::answers::Answers;
use crate::client::{self, ClientError, Way};
use crate::failure::{Exit, Failure};
use crate::guard::Guard;
use crate::guard::onlooker::Onlooker;

/// A server that is asked, from the first word to the last.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) guard: Arc<Guard>,
    pub(super) way: Way,
    /// Who sees what the guard writes down of it.
    pub(super) onlooker: Arc<Onlooker>,
    /// What the server writes to standard error is shown.
    pub(super) shows: bool,
    /// What holds it, for a person.
    pub(super) held: String,
    parties: Parties,
}

impl Asking {
    /// Begins, within an event loop. With `tells`, a person is told what holds the server.
    pub(super) fn begin(ready: Ready, tells: bool) -> Result<Self, Failure> {
        let Ready { guard, server, plan, held, show_stderr: shows, kept, follows, .. } = ready;
        if let Some(blocked) = guard.server.blocked() {
            return Err(not_approved(&blocked));
        }
        watch(&guard, kept, follows)?;
        let parties = Parties { session: guard.sessions().into(), principal: "local".into() };
        note(&guard, &parties, Kind::Start, format!("{}; {}", server.name(), server.told(&held)))?;
        if tells {
            anstream::eprintln!("note: {held}");
        }
        let onlooker = Arc::new(Onlooker::default());
        guard.seen_by(&onlooker);
        let way = match server {
            Where::Here(it) => Way::Process(Box::new(it.spec), plan.map(Box::new)),
            Where::There(http) => Way::Remote(http),
        };
        Ok(Self { guard, way, onlooker, shows, held, parties })
    }

    /// Ends: all of it is written down and signed.
    pub(super) fn end(&self) -> Result<(), Failure> {
        self.guard.settle().map_err(unrecorded)?;
        note(&self.guard, &self.parties, Kind::Stop, String::new())?;
        seal(&self.guard)?;
        // Whoever carried the conversation could not go on without it.
        self.guard.check().map_err(unrecorded)
    }
}

/// What is spoken with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    /// Whatever it turns out to speak.
    Auto,
    /// This.
    This(Revision),
}

impl FromStr for Spoken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "legacy" => Ok(Self::This(Revision::V2025_11_25)),
            "modern" => Ok(Self::This(Revision::V2026_07_28)),
            _ => Revision::parse(text).map(Self::This).ok_or_else(|| {
                let names = Revision::ALL.map(Revision::name).join(", ");
                format!("an era is legacy, modern or auto, or a revision: {names}")
            }),
        }
    }
}

impl Spoken {
    /// The revision that is spoken with this server.
    pub(super) async fn with(self, guard: &Arc<Guard>, way: &Way) -> Result<Revision, ClientError> {
        match self {
            Self::This(it) => Ok(it),
            Self::Auto => Ok(match client::spoken(guard, way).await? {
                Era::Modern => Revision::V2026_07_28,
                Era::Legacy => Revision::V2025_11_25,
            }),
        }
    }
}

/// What a remote server is given with each request.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Headers {
    /// A header for a remote server. May be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The same with the value of a variable, which is then in no list of processes
    #[arg(long = "header-env", value_name = "NAME=VARIABLE")]
    headers_env: Vec<String>,
}

impl Headers {
    pub(super) fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.headers_env.is_empty()
    }

    pub(super) fn read(&self) -> Result<SendHeaders, Failure> {
        let mut headers = SendHeaders::default();
        let wrong = |option: &str, form: &str| {
            Failure::new(Exit::Usage, format!("cannot use what stands behind `{option}`"))
                .help(format!("write it as `{option} '{form}'`; MCP's own headers are set already"))
        };
        for header in &self.headers {
            // A secret may stand in it, which is not said again.
            let wrong = || wrong("--header", "NAME: VALUE");
            let (name, value) = header.split_once(':').ok_or_else(wrong)?;
            headers.extra(name.trim(), value.trim()).map_err(|_| wrong())?;
        }
        for header in &self.headers_env {
            let wrong = || wrong("--header-env", "NAME=VARIABLE");
            let (name, variable) = header.split_once('=').ok_or_else(wrong)?;
            let value = passed_on("--header-env", variable)?;
            let value = value.to_str().ok_or_else(wrong)?;
            headers.extra(name, value).map_err(|_| wrong())?;
        }
        Ok(headers)
    }
}

/// Answers that have the roots of the command line, where they say nothing of roots.
pub(super) fn rooted(answers: &mut Answers, shared: &Shared) -> Result<(), Failure> {
    let roots = shared.roots()?;
    if !answers.has_roots() && !roots.is_empty() {
        let paths = roots.iter().map(|it| {
            let path = it.strip_suffix(":rw").or_else(|| it.strip_suffix(":ro")).unwrap_or(it);
            std::path::absolute(path).ok().and_then(|it| url::Url::from_directory_path(it).ok())
        });
        answers.or_roots(paths.flatten().map(|it| it.as_str().trim_end_matches('/').to_owned()));
    }
    Ok(())
}

/// Why there is nothing to tell.
pub(super) fn failed(guard: &Guard, error: &ClientError) -> Failure {
    if let Some(status) = guard.turned_away() {
        return Failure::new(Exit::Credentials, turned_away(status)).help(CREDENTIALS);
    }
    let says = || in_lines(&error.to_string());
    match error {
        ClientError::Start(error) => start_failed(error),
        ClientError::Refused { .. } => Failure::new(Exit::Server, says())
            .help("`--era auto` asks the server first which protocol it speaks"),
        ClientError::Silent(_) => Failure::new(Exit::Server, says())
            .help("`--timeout` and `--total` say how long it has; `--stderr` shows what it writes"),
        ClientError::Ended(_) => Failure::new(Exit::Server, says())
            .help("`--dry-run` says what it sees and may do; `--stderr` shows all that it writes"),
        ClientError::Wrong(_) => Failure::new(Exit::Findings, says()),
    }
}

pub(super) const CREDENTIALS: &str =
    "give it a key with `--header-env Authorization=VARIABLE`, as in `Bearer KEY`";

pub(super) fn turned_away(status: u16) -> String {
    format!("the server wants other credentials: it answers with HTTP status {status}")
}
