//! What a lock has to do with a server that is about to be guarded: which lock it is, who the server is
//! there, and all that it offers.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use stockade_core::lock::{Code, Offers};
use stockade_core::policy::Policy;
use stockade_core::record::Kind;
use stockade_core::session::{Parties, Server};

use super::{Asks, Found, Shared, Where, note, runtime, seal, start_failed, unrecorded};
use crate::cli::in_lines;
use crate::cli::locked::{Locked, Standing, typed};
use crate::client::offers::survey;
use crate::client::{ClientError, Way};
use crate::config::watch::Live;
use crate::config::{Flags, Pinning, Resolved, Search, Target};
use crate::failure::{Exit, Failure};
use crate::guard::Guard;
use crate::lock::Place;
use crate::lock::launch::Identity;

impl Shared {
    /// Where the lock is.
    pub(in crate::cli) fn place(&self) -> Result<Place, Failure> {
        Ok(Place::new(self.lock.as_deref(), self.policy.as_deref(), &self.state.own()?))
    }

    /// The files that are read again while a server runs, and that it must not write. The user's own
    /// are kept from it with all that lies there.
    pub(super) fn read(&self) -> Result<Vec<PathBuf>, Failure> {
        let lock = self.place()?.path().to_owned();
        let is_named = self.lock.is_some() || self.policy.is_some();
        Ok(self.policy.clone().into_iter().chain(Some(lock).filter(|_| is_named)).collect())
    }

    /// The same of the server that goes by this name in the policy.
    pub(in crate::cli) fn named(&self, server: &str) -> Self {
        Self { server: Some(server.to_owned()), ..self.clone() }
    }

    /// The same of a server of the lock, which has the variables and perhaps the name that it was
    /// approved with.
    pub(in crate::cli) fn started(&self, env: &[String], server: Option<&String>) -> Self {
        let server = server.cloned().or_else(|| self.server.clone());
        Self { env: env.to_vec(), server, ..self.clone() }
    }

    /// The same, for a command that asks a server.
    pub(in crate::cli) fn asking(&self, asks: Asks) -> Self {
        Self { asks, ..self.clone() }
    }

    /// The same with these roots as well, and with this policy where none is named.
    pub(in crate::cli) fn with(&self, roots: Vec<OsString>, policy: Option<PathBuf>) -> Self {
        let policy = self.policy.clone().or(policy);
        let roots = [self.roots.clone(), roots].concat();
        Self { roots, policy, ..self.clone() }
    }

    /// Whether a server of the policy is named.
    pub(in crate::cli) fn is_named(&self) -> bool {
        self.server.is_some()
    }

    /// The roots, as they were given.
    pub(in crate::cli) fn roots(&self) -> Result<Vec<String>, Failure> {
        super::roots(&self.roots)
    }

    /// Whether consent was given to what would be asked.
    pub(in crate::cli) fn consents(&self) -> bool {
        self.consent.is_given()
    }

    /// The policy file as it is.
    pub(in crate::cli) fn resolved(&self) -> Result<Resolved, Failure> {
        let flags = Flags { server: self.server.clone(), ..Flags::default() };
        Resolved::read(&Search::new(self.policy.as_deref()), &flags)
            .map_err(|it| Failure::rendered(Exit::Usage, it.render(true)))
    }

    /// Lists all that a server offers. Nothing is mended or refused in what it says, and all of it is
    /// written down.
    pub(in crate::cli) fn survey(&self, found: &Found) -> Result<Offers, Failure> {
        let Found { search, flags, resolved, server, .. } = found;
        let ledger = self.ledger(resolved)?;
        let live = Arc::new(Live::new(search.clone(), flags.clone(), &letting_pass(resolved)));
        let name = &found.locked.identity.name;
        let memory = self.memory()?;
        let guard = Arc::new(Guard::new(Arc::new(Server::new(name)), live, ledger, memory));
        let parties = Parties { session: guard.sessions().into(), principal: "local".into() };
        let way = match server {
            Where::Here(it) => Way::Process(Box::new(it.spec.clone()), None),
            Where::There(http) => Way::Remote(http.clone()),
        };
        note(&guard, &parties, Kind::Start, format!("{}; its offers are listed", server.name()))?;
        let offers = runtime(1)?.block_on(survey(&guard, &way)).map_err(|error| match &error {
            ClientError::Start(error) => start_failed(error),
            ClientError::Ended(_)
            | ClientError::Silent(_)
            | ClientError::Refused { .. }
            | ClientError::Wrong(_) => Failure::new(Exit::Server, in_lines(&error.to_string()))
                .help("nothing was approved; the server must answer to be looked at"),
        })?;
        guard.settle().map_err(unrecorded)?;
        note(&guard, &parties, Kind::Stop, String::new())?;
        seal(&guard)?;
        Ok(offers)
    }

    /// Approves a server that is used first, where the policy or whoever started this wants that.
    pub(super) fn first_use(&self, found: &Found) -> Result<Option<String>, Failure> {
        let locked = &found.locked;
        let is_wanted = locked.pinning == Pinning::FirstUse || self.consents();
        if !is_wanted || !matches!(locked.standing()?, Standing::Unknown(_)) {
            return Ok(None);
        }
        let offers = self.survey(found)?;
        locked.approve(&offers, &[])?;
        let (name, place) = (&locked.identity.name, locked.place.path().display());
        Ok(Some(format!("`{name}` was approved as it is, in `{place}`")))
    }

    pub(super) fn locked(
        &self,
        upstream: Option<&str>,
        command: &[OsString],
        resolved: &Resolved,
        server: &Where,
    ) -> Result<Locked, Failure> {
        let name = self.server.as_deref();
        let configured = resolved.server.as_ref();
        let target = configured.map(|it| &it.target);
        let url = match (upstream, command, target) {
            (None, [], Some(Target::Url(url))) => Some(url.as_str()),
            _ => upstream,
        };
        let identity = match (url, command, target) {
            (Some(url), ..) => Identity::of_url(name, url),
            (None, words, target) => {
                let words: Vec<OsString> = match (words, target) {
                    ([], Some(Target::Command(words))) => words.iter().map(Into::into).collect(),
                    _ => words.to_vec(),
                };
                if let Some(word) = words.iter().find(|it| it.to_str().is_none()) {
                    let says = format!("cannot pin `{}`: it is not UTF-8", word.display());
                    return Err(Failure::new(Exit::Usage, says));
                }
                let of_policy = configured.iter().flat_map(|it| &it.env).map(|(name, _)| name);
                let asked = self.asks.env.iter().map(|(name, _)| name);
                let given =
                    self.env.iter().chain(self.hold.secrets()).chain(of_policy).chain(asked);
                Identity::of_command(name, &words, given.cloned().collect())
            }
        };
        let prepared = match server {
            Where::Here(it) => it.prepared.as_ref(),
            Where::There(_) => None,
        };
        let prepared = prepared
            .map(|it| it.entry())
            .map(|it| Code { hash: it.name().to_owned(), name: it.manifest.id() });
        let image = self.hold.over(&resolved.sandbox)?.image.map(|it| it.to_string());
        let image = image
            .as_deref()
            .and_then(|it| it.split_once('@'))
            .map(|(name, hash)| Code { hash: hash.to_owned(), name: name.to_owned() });
        let rest = match (upstream, command) {
            (Some(url), _) => vec!["--upstream".into(), url.into()],
            (None, []) => Vec::new(),
            (None, words) => [&["--".into()], words].concat(),
        };
        let words = [
            ("--state", self.state.dir.as_deref()),
            ("--policy", self.policy.as_deref()),
            ("--lock", self.lock.as_deref()),
        ];
        Ok(Locked {
            place: self.place()?,
            identity: identity.with(prepared.into_iter().chain(image)),
            pinning: resolved.pinning,
            typed: typed(&words, name, &rest),
            state: self.state.base()?,
        })
    }
}

/// The same, with a policy that has its limits and roots, and lets everything pass.
pub(super) fn letting_pass(resolved: &Resolved) -> Resolved {
    let (limits, roots) = (resolved.policy.limits, resolved.policy.roots.clone());
    let policy = Arc::new(Policy { limits, roots, ..Policy::transparent() });
    Resolved { policy, ..resolved.clone() }
}
