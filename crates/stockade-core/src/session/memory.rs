//! What is remembered of a person beyond one conversation and one process: what was spent, and what
//! was read. The session says what, and is told whether it may; where it is kept is somebody else's.
//! What cannot be remembered does not pass.

use std::fmt::Debug;
use std::sync::Arc;

use super::turn::Turn;
use super::waiting::Waiting;
use crate::message::Message;
use crate::meter::Stopped;
use crate::policy::{Policy, Reason, Unit};
use crate::record::Limited;

/// Remembers.
pub trait Memory: Debug + Send + Sync {
    /// Spends all of it for `who`, or says of which there would be too much and spends nothing.
    ///
    /// # Errors
    /// Why it cannot be remembered.
    fn spend(&self, who: &str, charges: &[Charge]) -> Result<Option<Over>, String>;

    /// Spends all of it, whether or not it is too much: it was spent already.
    ///
    /// # Errors
    /// Why it cannot be remembered.
    fn spent(&self, who: &str, charges: &[Charge]) -> Result<(), String>;

    /// Notes that `who` has read something of this sort, and by what.
    ///
    /// # Errors
    /// Why it cannot be remembered.
    fn note(&self, who: &str, what: &str, by: &str) -> Result<(), String>;

    /// By what `who` has read something of this sort within that time.
    ///
    /// # Errors
    /// Why it is not known.
    fn noted(&self, who: &str, what: &str, within_s: u64) -> Result<Option<String>, String>;

    /// The canary of `who`: always the same.
    ///
    /// # Errors
    /// Why there is none.
    fn canary(&self, who: &str) -> Result<String, String>;
}

/// Something that is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What it goes by in the policy.
    pub name: String,
    /// Of what.
    pub unit: Unit,
    /// What it is counted under.
    pub counted: String,
    /// In what time, in seconds. It begins with the first that is spent.
    pub period_s: u64,
    /// How much.
    pub amount: u64,
    /// How much there may be in that time.
    pub max: u64,
}

/// There would be too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// Of which, by its place.
    pub charge: usize,
    /// How much was spent before.
    pub used: u64,
    /// When its time is over, in milliseconds.
    pub retry_ms: u64,
}

impl Turn<'_> {
    /// Spends what a call costs that is about to be sent on.
    pub(super) fn spend(
        &self,
        message: &Message,
        waiting: &mut Waiting,
    ) -> Result<(), Box<Refused>> {
        let tool = waiting.tool_name.as_deref().unwrap_or_default();
        let charges = charges(self.policy, tool, message.bytes().len());
        if charges.is_empty() {
            return Ok(());
        }
        self.pay(&charges)?;
        // Of what is left to be spent, only the bytes of the answer are not known yet.
        let is_open = |it: &Charge| it.unit == Unit::Bytes;
        waiting.charges = charges.into_iter().filter(is_open).collect();
        Ok(())
    }

    /// Spends all of it, or nothing where there would be too much of something.
    pub(super) fn pay(&self, charges: &[Charge]) -> Result<(), Box<Refused>> {
        let memory = self.session.memory.as_ref();
        let who = &self.session.parties.principal;
        let spent = memory.map_or_else(nobody, |it| it.spend(who, charges));
        let over = spent.map_err(|it| Box::new(Refused::forgotten(&it)))?;
        match over.and_then(|it| Some((it, charges.get(it.charge)?))) {
            Some((over, charge)) => Err(Box::new(Refused::over(&over, charge))),
            None => Ok(()),
        }
    }

    /// Spends what an answer costs. It is here, so one that is too much passes, and the next call
    /// does not.
    pub(super) fn spent(&self, message: &Message, waiting: &Waiting) -> Result<(), Reason> {
        if waiting.charges.is_empty() {
            return Ok(());
        }
        let amount = u64::try_from(message.bytes().len()).unwrap_or(u64::MAX);
        let charges = waiting.charges.iter().map(|it| Charge { amount, ..it.clone() });
        let charges: Vec<_> = charges.collect();
        let memory = self.session.memory.as_ref();
        let who = &self.session.parties.principal;
        let spent = memory.map_or_else(nobody, |it| it.spent(who, &charges));
        spent.map_err(|it| Refused::forgotten(&it).reason)
    }
}

/// Why a call is refused, and the limit that it ran into.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) limited: Option<Limited>,
}

impl Refused {
    /// What has to be remembered cannot be.
    pub(super) fn forgotten(why: &str) -> Self {
        let reason = Reason {
            rule: "memory".to_owned(),
            external: "what has to be remembered of this call cannot be".to_owned(),
            internal: why.to_owned(),
        };
        Self { reason, limited: None }
    }

    fn over(over: &Over, charge: &Charge) -> Self {
        let limited = Limited {
            name: charge.name.clone(),
            max: charge.max,
            count: over.used.saturating_add(charge.amount),
            window_s: Some(charge.period_s),
            retry_ms: Some(over.retry_ms),
        };
        let retry = limited.retry_s().unwrap_or_default();
        let external = format!(
            "the budget is spent: {} of {} were used, and this call would take {} more; try again \
             in {retry} s",
            over.used, charge.max, charge.amount
        );
        Stopped::new(limited, external).into()
    }
}

impl From<Stopped> for Refused {
    fn from(stopped: Stopped) -> Self {
        Self { reason: stopped.reason, limited: Some(stopped.limited) }
    }
}

/// What a call of `tool` in so many bytes is charged for.
fn charges(policy: &Policy, tool: &str, bytes: usize) -> Vec<Charge> {
    if policy.quotas.is_empty() {
        return Vec::new();
    }
    let cost = policy.quotas(tool).filter_map(|it| it.cost).max().unwrap_or(1);
    let each = policy.quotas(tool).flat_map(|quota| {
        quota.budgets.iter().map(move |budget| Charge {
            name: format!("{}.{}", quota.origin.id, budget.name()),
            unit: budget.unit,
            counted: format!("{} {}", quota.counts, budget.name()),
            period_s: budget.period.seconds(),
            amount: match budget.unit {
                Unit::Calls => 1,
                Unit::Bytes => u64::try_from(bytes).unwrap_or(u64::MAX),
                Unit::Cost => cost,
            },
            max: budget.max,
        })
    });
    each.collect()
}

pub(super) fn nobody<T>() -> Result<T, String> {
    Err("nobody remembers anything here".to_owned())
}

/// Where a session remembers.
pub(super) type Remembers = Option<Arc<dyn Memory>>;
