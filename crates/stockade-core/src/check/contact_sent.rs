#![doc = include_str!("contact_sent.md")]

use super::data_sent::contacts::{emails, has_phone};
use super::{Check, Facts, Findings, Rule, rules};
use crate::argument::{Argument, Kind};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::contact_sent
    }

    fn argument(&self, it: &Argument<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        // Whom a message is for is not what it says.
        if it.is_name() || it.is(Kind::Email) || !it.call.traits().is_open {
            return;
        }
        let what = match (emails(it.str), has_phone(it.str)) {
            (0, false) => return,
            (0, true) => "a telephone number",
            (_, false) => "an e-mail address",
            (_, true) => "an e-mail address and a telephone number",
        };
        out.add_told(it.at, format!("it has {what} in it, and the tool sends it out"));
    }
}
