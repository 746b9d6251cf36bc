//! Whoever sees what a server does between a call and its answer. The session says when that is, and
//! what the tool claims, and is told what was seen; how it is seen is somebody else's.

use std::fmt::Debug;

use super::server::Did;
use super::turn::Turn;
use super::waiting::Waiting;
use crate::catalog::Claims;
use crate::check;
use crate::finding::Finding;
use crate::message::Side;
use crate::record::Touched;

/// Sees what a server does.
pub trait Watch: Debug + Send + Sync {
    /// A call is about to be sent on.
    fn begin(&self, call: &str, claims: Claims);

    /// It has ended. Nothing, if it had not begun.
    fn end(&self, call: &str) -> Option<Observed>;
}

/// What was seen during a call.
#[derive(Clone, Debug)]
pub struct Observed {
    /// What.
    pub touched: Touched,
    /// What every call claims that was under way then, this one among them.
    pub claims: Claims,
}

impl Turn<'_> {
    /// A tool call is about to be sent on.
    pub(super) fn watch(&self, from: Side, waiting: &Waiting) {
        if let Some(watch) = self.session.watch.as_ref().filter(|_| is_call(from, waiting)) {
            let claims = waiting.tool.as_ref().map(|it| it.claims).unwrap_or_default();
            watch.begin(&waiting.call, claims);
        }
    }

    /// What was seen since then, and what is not as claimed about it; once.
    pub(super) fn seen(&self, waiting: &Waiting) -> (Option<Box<Touched>>, Vec<Finding>) {
        let watch = self.session.watch.as_ref().filter(|_| is_call(Side::Client, waiting));
        match watch.and_then(|it| it.end(&waiting.call)) {
            Some(Observed { touched, claims }) => {
                let found = check::observed(claims, &touched);
                // Of several calls at once it is not known which it was.
                if let (Some(tool), None) = (&waiting.tool_name, touched.among) {
                    let (wrote, reached) =
                        (!touched.written.is_empty(), !touched.reached.is_empty());
                    self.session.server.does(tool, Did { wrote, reached });
                }
                (Some(Box::new(touched)), found)
            }
            None => (None, Vec::new()),
        }
    }
}

fn is_call(from: Side, waiting: &Waiting) -> bool {
    from == Side::Client && &*waiting.method == "tools/call"
}
