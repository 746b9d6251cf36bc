#![doc = include_str!("link_with_data.md")]

use super::image_with_data::{carries, may_lead};
use super::links::{inert, targets};
use super::{Check, Facts, Findings, Rule, Text, rules};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::link_with_data
    }

    fn text(&self, text: Text<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if text.is_name() || !may_lead(text.str) {
            return;
        }
        let all = targets(text.str, |it| {
            !it.fetched && it.remote().and_then(|it| carries(&it)).is_some()
        });
        if !all.is_empty() {
            let says = format!("{} with data in the address", all.len());
            out.add_fixable(text.at, says, inert(text.str, &all));
        }
    }
}
