#![doc = include_str!("shell_line.md")]

use super::{Check, Facts, Findings, Rule, command_injection, rules};
use crate::argument::{Argument, Called, Kind};
use crate::finding::At;
use crate::subject::Subject;

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::shell_line
    }

    fn argument(&self, it: &Argument<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if it.is_name() {
            return;
        }
        if command_injection::is_shell(it.call)
            && let Some((Kind::Command, why)) = command_injection::argument(it, facts)
        {
            out.add_told(it.at, it.says(Kind::Command, why));
        } else if let Some(why) = command_injection::of_project(it) {
            out.add_told(it.at, it.says(Kind::Command, why));
        }
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let Some(call) = Called::of(subject, facts) else { return };
        if !command_injection::has_lists(&call) {
            return;
        }
        let judged = match command_injection::is_shell(&call) {
            true => command_injection::lists(&call, facts),
            false => Vec::new(),
        };
        for (list, why) in judged.into_iter().chain(command_injection::lists_of_project(&call)) {
            out.add_told(At::Value(list), why);
        }
    }
}
