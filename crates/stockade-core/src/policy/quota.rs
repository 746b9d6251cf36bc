//! How often, how many at a time, and how much: of some tools of some servers, for each person.
//!
//! What a quota is about is counted together. Minutes and calls at a time are counted by the process
//! that guards; hours and days by all guards of one state directory, also after they were started
//! anew.

use super::{Origin, Pattern};
use crate::name;

/// What is said about how much of some tools of some servers.
#[derive(Clone, Debug)]
pub struct Quota {
    /// Where.
    pub origin: Origin,
    /// What it counts goes by this name, which is the same for as long as it is about the same.
    pub counts: String,
    /// Of which servers.
    pub servers: Vec<Pattern>,
    /// Of which tools.
    pub tools: Vec<Pattern>,
    /// How many calls in a minute.
    pub calls_per_minute: Option<usize>,
    /// How many calls at a time.
    pub calls_at_once: Option<usize>,
    /// What a call costs.
    pub cost: Option<u64>,
    /// What may be spent in an hour and in a day.
    pub budgets: Vec<Budget>,
}

/// How much may be spent in some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Of what.
    pub unit: Unit,
    /// In what time.
    pub period: Period,
    /// How much.
    pub max: u64,
}

/// What is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Calls.
    Calls,
    /// Bytes of calls and of their answers.
    Bytes,
    /// What calls cost.
    Cost,
}

/// In what time. It begins with the first that is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Period {
    /// How long that is.
    pub fn seconds(self) -> u64 {
        match self {
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }
}

impl Budget {
    /// As a policy has it.
    pub fn name(&self) -> &'static str {
        match (self.unit, self.period) {
            (Unit::Calls, Period::Hour) => "calls_per_hour",
            (Unit::Calls, Period::Day) => "calls_per_day",
            (Unit::Bytes, Period::Hour) => "bytes_per_hour",
            (Unit::Bytes, Period::Day) => "bytes_per_day",
            (Unit::Cost, Period::Hour) => "cost_per_hour",
            (Unit::Cost, Period::Day) => "cost_per_day",
        }
    }
}

impl Quota {
    /// Whether it is about this tool, or what its name reads as: else each disguise of a name would
    /// be counted anew.
    pub(crate) fn is_about(&self, server: &str, tool: &str) -> bool {
        let fits = |name: &str| self.tools.iter().any(|it| it.fits(name));
        self.servers.iter().any(|it| it.fits(server))
            && (fits(tool) || name::undisguised(tool).is_some_and(|it| fits(&it)))
    }
}
