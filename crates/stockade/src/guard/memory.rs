//! What guards remember together: the store's, in the words of the session.

use stockade_core::session::{self, Charge, Over};
use stockade_store::Shared;

/// What all guards of one state directory remember.
#[derive(Debug)]
pub struct Memory(Shared);

impl Memory {
    /// What is remembered there.
    pub fn new(shared: Shared) -> Self {
        Self(shared)
    }

    fn charge(&self, who: &str, charges: &[Charge], bounded: bool) -> Result<Option<Over>, String> {
        let charges = charges.iter().map(|it| stockade_store::Charge {
            what: &it.counted,
            period_s: it.period_s,
            amount: it.amount,
            max: bounded.then_some(it.max),
        });
        let spent = self.0.spend(who, &charges.collect::<Vec<_>>()).map_err(|it| told(&it))?;
        Ok(spent.map(|it| Over { charge: it.charge, used: it.used, retry_ms: it.retry_ms }))
    }
}

impl session::Memory for Memory {
    fn spend(&self, who: &str, charges: &[Charge]) -> Result<Option<Over>, String> {
        self.charge(who, charges, true)
    }

    fn spent(&self, who: &str, charges: &[Charge]) -> Result<(), String> {
        self.charge(who, charges, false).map(drop)
    }

    fn note(&self, who: &str, what: &str, by: &str) -> Result<(), String> {
        self.0.note(who, what, by).map_err(|it| told(&it))
    }

    fn noted(&self, who: &str, what: &str, within_s: u64) -> Result<Option<String>, String> {
        self.0.noted(who, what, within_s).map_err(|it| told(&it))
    }

    fn canary(&self, who: &str) -> Result<String, String> {
        self.0.token(who).map_err(|it| told(&it))
    }
}

/// An error with what it is from.
pub(super) fn told(error: &stockade_store::Error) -> String {
    let mut says = error.to_string();
    let mut from = std::error::Error::source(error);
    while let Some(it) = from {
        says = format!("{says}: {it}");
        from = it.source();
    }
    says
}
