//! Who is told what was decided, before it happens.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use stockade_core::message::Side;
use stockade_core::record::{Kind, Record};
use stockade_core::session::Parties;
use stockade_sandbox::Trace;

use crate::guard::tally::Tally;
use crate::guard::watch::Watch;
use crate::guard::{Guard, Unrecorded};

/// Whether a server reaches somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whom it asked for: a host and a port, or only a name, where it asked for its address. A
    /// refused one is in the server's own words.
    pub destination: &'a str,
    /// What is connected to, or would be.
    pub address: Option<IpAddr>,
    /// Whether it does.
    pub allowed: bool,
    /// Why not.
    pub why: &'a str,
}

/// Takes down decisions. One that it does not take has no effect.
pub trait Witness: fmt::Debug + Send + Sync {
    /// Takes down a decision.
    ///
    /// # Errors
    /// When it cannot.
    fn write(&self, decision: &Decision<'_>) -> Result<(), Unrecorded>;
}

/// The ledger, on behalf of one server's process.
#[derive(Debug)]
pub struct Recorded {
    /// Whose ledger it is.
    pub guard: Arc<Guard>,
    /// Whose server it is.
    pub parties: Parties,
    /// Who keeps it by the call that it is of, if somebody does.
    pub watch: Option<Arc<Watch>>,
}

impl Witness for Recorded {
    fn write(&self, decision: &Decision<'_>) -> Result<(), Unrecorded> {
        self.guard.record(&Record {
            session: Arc::clone(&self.parties.session),
            principal: Arc::clone(&self.parties.principal),
            server: Arc::clone(&self.guard.server.name),
            ..record(decision)
        })?;
        if let Some(watch) = &self.watch {
            watch.reached(decision.destination, !decision.allowed);
        }
        // One that was only counted must not pass where it could not have been written.
        self.guard.check()
    }
}

fn record(decision: &Decision<'_>) -> Record {
    let Decision { destination, address, allowed, why } = *decision;
    Record {
        kind: Kind::Egress,
        from: Some(Side::Server.name()),
        destination: Some(destination.to_owned()),
        address,
        decision: Some(if allowed { "allow" } else { "deny" }),
        says: why.to_owned(),
        ..Record::default()
    }
}

/// Standard error, where there is no ledger. It says what is refused: the first of a sort as they
/// come, and then how many there were, as the ledger has it.
#[derive(Debug)]
pub struct Shown {
    trace: Option<Arc<Trace>>,
    tally: Tally,
    began: Instant,
}

impl Shown {
    /// With what else the server touches, if that is noted.
    pub fn new(trace: Option<Arc<Trace>>) -> Self {
        Self { trace, tally: Tally::default(), began: Instant::now() }
    }

    /// Says the numbers of what was only counted: this is the end.
    pub fn settle(&self) {
        self.tally.rest().iter().for_each(say);
    }
}

impl Witness for Shown {
    fn write(&self, decision: &Decision<'_>) -> Result<(), Unrecorded> {
        if let Some(trace) = &self.trace {
            trace.reached(decision.destination, !decision.allowed);
        }
        if !decision.allowed {
            let (record, after) = (record(decision), self.began.elapsed().as_millis());
            let now_ms = u64::try_from(after).unwrap_or(u64::MAX);
            if self.tally.lets_through(&record, now_ms) {
                say(&record);
            }
            self.tally.due(now_ms).iter().for_each(say);
        }
        Ok(())
    }
}

fn say(record: &Record) {
    let whom = record.destination.iter().map(|it| format!("{it}: ")).collect::<String>();
    anstream::eprintln!("note: not reached: {whom}{}", record.says);
}
