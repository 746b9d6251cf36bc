#![doc = include_str!("sql_definition.md")]

use stockade_kit::query::Refusal;

use super::sql_statement::{definition, is_statement, may, parse};
use super::{Check, Facts, Findings, Rule, rules};
use crate::argument::{Argument, Kind};
use crate::policy::Sql;

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::sql_definition
    }

    fn argument(&self, it: &Argument<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if it.is_name() || !is_statement(it) || may(it.call) != Sql::Write {
            return;
        }
        let what = match parse(it.call, it.str).as_ref() {
            Ok(all) => all
                .iter()
                .find_map(|query| definition(it.call, query))
                .map(|it| format!("it is about `{it}`, which is more than rows and tables")),
            // What is refused anyhow has a reason of its own.
            Err(why) => {
                (*why == Refusal::Unparsable && it.call.traits().migrates).then(|| why.to_string())
            }
        };
        if let Some(what) = what {
            out.add_told(it.at, it.says(Kind::Sql, what));
        }
    }
}
