#![doc = include_str!("upstream_argument.md")]

use stockade_kit::url::Url;

use super::{Check, Facts, Findings, Rule, rules};
use crate::argument::{Argument, Kind};
use crate::root::{bounds, within};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::upstream_argument
    }

    fn argument(&self, it: &Argument<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if !it.is(Kind::Upstream) || !names_a_host(it.str) {
            return;
        }
        let url = Url::parse(it.str, &["http", "https", "ws", "wss"]);
        let is_said = url.is_ok_and(|it| facts.inputs.permits(it.host(), it.port()))
            || bounds(facts.roots, it.str) && within(facts.roots, it.str).is_ok();
        if !is_said {
            let why = "whom a server talks to is not for an argument to say";
            out.add_told(it.at, it.says(Kind::Upstream, why));
        }
    }
}

/// Whether it is more than a path below whatever the server talks to.
fn names_a_host(text: &str) -> bool {
    let text = text.trim();
    let is_host = |it: &str| it.contains('.') && !it.contains(char::is_whitespace);
    text.contains("://")
        || text.starts_with("//")
        || !text.starts_with(['/', '.', '?'])
            && text.split(['/', ':']).next().is_some_and(|it| is_host(it) || it == "localhost")
}
