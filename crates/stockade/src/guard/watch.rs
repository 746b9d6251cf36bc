//! What the process of a server touches, call by call, where that was asked for: the trace of the
//! sandbox, in the words of the ledger.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stockade_core::catalog::Claims;
use stockade_core::record::Touched;
use stockade_core::session::{self, Observed};
use stockade_sandbox::{Access, Confinement, Found, How, Trace};

/// Sees what one process touches.
#[derive(Debug)]
pub struct Watch {
    trace: Arc<Trace>,
    /// What the process has to touch, as it was started.
    given: Touched,
    calls: Mutex<HashMap<String, Call>>,
}

/// A call that is under way.
#[derive(Clone, Copy, Debug)]
struct Call {
    own: Claims,
    /// What all claim that were under way since it began.
    all: Claims,
}

impl Watch {
    /// Over a process that has this trace and this confinement.
    pub fn new(trace: &Arc<Trace>, confinement: &Confinement) -> Self {
        let root = |it: &stockade_sandbox::Root| {
            let mode = match it.access {
                Access::Read => "ro",
                Access::Write => "rw",
            };
            // As the process sees them, and so as what it touches is named.
            let path = confinement.found(&it.path).map_or(&*it.path, Found::real);
            format!("{}:{mode}", path.display())
        };
        let programs = confinement.programs.iter().map(|it| it.display().to_string());
        let given = Touched {
            roots: confinement.roots.iter().map(root).collect(),
            programs: programs.collect(),
            net: confinement.network.destinations().iter().map(ToString::to_string).collect(),
            ..Touched::default()
        };
        Self { trace: Arc::clone(trace), given, calls: Mutex::default() }
    }

    /// What the process has to touch.
    pub fn given(&self) -> Touched {
        self.given.clone()
    }

    /// Notes whom the process reached through the guard, or was not let reach.
    pub fn reached(&self, whom: &str, refused: bool) {
        self.trace.reached(whom, refused);
    }

    /// What was touched outside of every call, since the last time this was asked.
    pub fn outside(&self) -> Option<Touched> {
        let touched = self.trace.outside();
        (!touched.is_empty()).then(|| in_words(&touched))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl session::Watch for Watch {
    fn begin(&self, call: &str, claims: Claims) {
        let mut calls = self.lock();
        let mut all = claims;
        for other in calls.values_mut() {
            other.all = other.all.and(claims);
            all = all.and(other.own);
        }
        calls.insert(call.to_owned(), Call { own: claims, all });
        self.trace.open(call);
    }

    fn end(&self, call: &str) -> Option<Observed> {
        let claims = self.lock().remove(call)?.all;
        self.trace.close(call).map(|it| Observed { touched: in_words(&it), claims })
    }
}

/// What was touched, as the ledger keeps it.
pub fn in_words(touched: &stockade_sandbox::Touched) -> Touched {
    let text = |it: &OsStr| it.to_string_lossy().into_owned();
    let of = |how: How| touched.of(how, false).map(text).collect::<Vec<_>>();
    let refused = How::ALL
        .into_iter()
        .flat_map(|how| touched.of(how, true).map(move |it| format!("{how} {}", it.display())));
    Touched {
        read: of(How::Read),
        written: of(How::Write),
        executed: of(How::Execute),
        reached: of(How::Connect),
        own: [of(How::Own), of(How::Listen)].concat(),
        used: of(How::Use),
        refused: refused.collect(),
        more: touched.more,
        unseen: touched.unseen,
        among: (touched.among > 1).then_some(touched.among),
        ..Touched::default()
    }
}
