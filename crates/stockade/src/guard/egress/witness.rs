//! Who is told what was decided, before it happens.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use stockade_core::message::Side;
use stockade_core::record::{Kind, Record};
use stockade_core::session::Parties;
use stockade_sandbox::Trace;

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
        let Decision { destination, address, allowed, why } = *decision;
        self.guard.record(&Record {
            kind: Kind::Egress,
            session: Arc::clone(&self.parties.session),
            principal: Arc::clone(&self.parties.principal),
            server: Arc::clone(&self.guard.server.name),
            from: Some(Side::Server.name()),
            destination: Some(destination.to_owned()),
            address,
            decision: Some(if allowed { "allow" } else { "deny" }),
            says: why.to_owned(),
            ..Record::default()
        })?;
        if let Some(watch) = &self.watch {
            watch.reached(destination, !allowed);
        }
        // One that was only counted must not pass where it could not have been written.
        self.guard.check()
    }
}

/// Standard error, where there is no ledger. It says what is refused.
#[derive(Debug)]
pub struct Shown {
    /// What else the server touches, if that is noted.
    pub trace: Option<Arc<Trace>>,
}

impl Witness for Shown {
    fn write(&self, decision: &Decision<'_>) -> Result<(), Unrecorded> {
        if let Some(trace) = &self.trace {
            trace.reached(decision.destination, !decision.allowed);
        }
        if !decision.allowed {
            anstream::eprintln!("note: not reached: {}: {}", decision.destination, decision.why);
        }
        Ok(())
    }
}
