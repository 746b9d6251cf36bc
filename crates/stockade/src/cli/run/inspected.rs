//! What the console needs of the options that `run` and `serve` have.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Found, Shared, roots};
use crate::cli::prepare::Consent;
use crate::config::{Flags, Resolved, Search};
use crate::failure::{Exit, Failure};

impl Shared {
    /// Which policy, lock and state it is, in the words that say so.
    pub(in crate::cli) fn base(&self) -> Vec<OsString> {
        let words =
            [("--state", &self.state.dir), ("--policy", &self.policy), ("--lock", &self.lock)];
        let given = words.into_iter().filter_map(|(name, it)| Some((name, it.as_ref()?)));
        given.flat_map(|(name, it)| [name.into(), it.clone().into_os_string()]).collect()
    }

    /// Whether something is only to be said, and nothing started.
    pub(in crate::cli) fn is_dry(&self) -> bool {
        self.hold.dry_run
    }

    /// Which server of the policy it is, if that is said.
    pub(in crate::cli) fn name(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// A directory of state, of this user's alone.
    pub(in crate::cli) fn own_state(&self, name: &str) -> Result<PathBuf, Failure> {
        Ok(self.state.own()?.join(name))
    }

    /// The same, of which nobody is asked anything at the terminal.
    pub(in crate::cli) fn unasked(&self) -> Self {
        let consent = if self.consents() { Consent::given() } else { Consent::unasked() };
        Self { consent, ..self.clone() }
    }

    /// What the command line says beside the policy.
    pub(super) fn flags(&self, client_roots: &[String]) -> Result<Flags, Failure> {
        Ok(Flags {
            server: self.server.clone(),
            roots: roots(&self.roots)?,
            client_roots: client_roots.to_vec(),
            network: self.hold.network().cloned(),
            call_timeout_s: self.timeout,
            call_total_s: self.asks.total,
            load: self.asks.many,
        })
    }

    /// What the policy and the command line come to now.
    pub(in crate::cli) fn rules(&self) -> Result<Resolved, Failure> {
        Resolved::read(&Search::new(self.policy.as_deref()), &self.flags(&[])?)
            .map_err(|it| Failure::rendered(Exit::Usage, it.render(false)))
    }
}

impl Found {
    /// What would be done for the server, and what is to be known of it before.
    pub(in crate::cli) fn in_words(&self) -> (String, Vec<String>) {
        let plan = match &self.plan {
            Some(plan) => plan.to_string(),
            None => "a remote server: nothing is started\n".to_owned(),
        };
        let about = self.server.about().map(str::to_owned);
        (plan, self.told.iter().cloned().chain(about).collect())
    }
}
