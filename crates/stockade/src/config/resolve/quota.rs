//! How much of some tools, from the policy file: `[[quotas]]`.

use std::ops::RangeInclusive;

use stockade_core::policy::{Budget, Effect, Period, Quota, Unit};

use super::Making;
use crate::config::file::{At, File, QuotaTable};

const CALLS: RangeInclusive<usize> = 1..=1_000_000_000;
const PER_MINUTE: RangeInclusive<usize> = 1..=1_000_000;
const AT_ONCE: RangeInclusive<usize> = 1..=100_000;
const BYTES: RangeInclusive<usize> = 1..=1 << 50;
const COST: RangeInclusive<usize> = 1..=1_000_000_000;

impl Making<'_> {
    pub(super) fn quotas(&mut self, file: &File) -> Vec<Quota> {
        let mut quotas: Vec<Quota> = Vec::new();
        for (n, at) in file.quotas.iter().flat_map(|it| &it.value).enumerate() {
            let Some(quota) = self.quota(at, format!("quotas[{n}]")) else { continue };
            // Both would count in one place.
            if let Some(other) = quotas.iter().find(|it| it.counts == quota.counts) {
                let says = format!("this is about the same as `{}`", other.origin.id);
                self.reader.wrong(self.head(&at.span), says, "of the same tools and servers");
                self.reader.help("write both in one".to_owned());
            }
            quotas.push(quota);
        }
        quotas
    }

    /// Reads a quota. Nothing, when something is wrong with it: that is noted then.
    fn quota(&mut self, at: &At<QuotaTable>, id: String) -> Option<Quota> {
        let table = &at.value;
        if table.tool.is_none() {
            self.missing(&at.span, "tool", "names of tools; `\"*\"` is any");
        }
        let mut number = |name: &str, at: &Option<At<usize>>, bounds| {
            self.number(&format!("{id}.{name}"), at, bounds)
        };
        let calls_per_minute = number("calls_per_minute", &table.calls_per_minute, PER_MINUTE);
        let calls_at_once = number("calls_at_once", &table.calls_at_once, AT_ONCE);
        let cost = number("cost", &table.cost, COST);
        let (calls, bytes, costs) = (Unit::Calls, Unit::Bytes, Unit::Cost);
        let budgets = [
            (calls, Period::Hour, &table.calls_per_hour, CALLS),
            (calls, Period::Day, &table.calls_per_day, CALLS),
            (bytes, Period::Hour, &table.bytes_per_hour, BYTES),
            (bytes, Period::Day, &table.bytes_per_day, BYTES),
            (costs, Period::Hour, &table.cost_per_hour, COST),
            (costs, Period::Day, &table.cost_per_day, COST),
        ];
        let budgets = budgets.into_iter().filter_map(|(unit, period, at, bounds)| {
            let budget = Budget { unit, period, max: 0 };
            Some(Budget { max: number(budget.name(), at, bounds)?, ..budget })
        });
        let budgets: Vec<Budget> = budgets.collect();
        let says_nothing = calls_per_minute.or(calls_at_once).or(cost).is_none();
        if says_nothing && budgets.is_empty() {
            let says = "nothing is said about how much".to_owned();
            self.reader.wrong(self.head(&at.span), says, "in this quota");
            self.reader.help("write `calls_per_hour = 100`, for example".to_owned());
        }
        // It closes something, so its words are read widely.
        let servers = match &table.server {
            Some(it) => self.patterns(&it.value, Effect::Deny),
            None => self.pattern("*", &at.span, Effect::Deny).into_iter().collect(),
        };
        let tools = self.patterns(&table.tool.as_ref()?.value, Effect::Deny);
        let texts = |list: &[stockade_core::policy::Pattern]| {
            list.iter().map(|it| it.text().to_owned()).collect::<Vec<_>>()
        };
        // Another order in the file, or another number, goes on with what was spent.
        let counts = format!("{:?} of {:?}", texts(&tools), texts(&servers));
        let small = |it: Option<u64>| it.and_then(|it| usize::try_from(it).ok());
        Some(Quota {
            origin: self.origin(&id, &at.span),
            counts,
            servers,
            tools,
            calls_per_minute: small(calls_per_minute),
            calls_at_once: small(calls_at_once),
            cost,
            budgets,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::config::{Flags, Resolved, Source};

    fn resolve(text: &str) -> Result<Vec<Quota>, String> {
        let source = Source { path: PathBuf::from("stockade.toml"), text: Arc::from(text) };
        let resolved = Resolved::new(Some(source), &Flags::default());
        resolved.map(|it| it.policy.quotas.clone()).map_err(|it| it.to_string())
    }

    #[test]
    fn a_quota_is_about_some_tools_and_says_something() {
        for (text, says) in [
            ("cost = 1", "`tool` is missing"),
            ("tool = \"a\"", "nothing is said about how much"),
            ("tool = \"a\"\ncalls_per_day = 0", "`calls_per_day` is out of bounds"),
            ("tool = \"a\"\ncalls_a_day = 1", "there is no key `calls_a_day`"),
            ("tool = []\ncost = 1", "an empty list"),
            (
                "tool = \"a\"\ncost = 1\n[[quotas]]\ntool = \"a\"\ncalls_per_day = 1",
                "this is about the same as `quotas[0]`",
            ),
        ] {
            let found = resolve(&format!("[[quotas]]\n{text}")).unwrap_err();
            assert!(found.contains(says), "{text}: {found}");
        }
    }

    #[test]
    fn what_it_counts_is_named_after_what_it_is_about() {
        let one =
            resolve("[[quotas]]\ntool = \"a\"\ncost_per_day = 7\nbytes_per_hour = 9").unwrap();
        let two =
            "[[quotas]]\ntool = \"b\"\ncost = 1\n[[quotas]]\ntool = [\"a\"]\ncost_per_day = 8";
        assert_eq!(one[0].counts, resolve(two).unwrap()[1].counts);
        let names: Vec<_> = one[0].budgets.iter().map(|it| (it.name(), it.max)).collect();
        assert_eq!(names, [("bytes_per_hour", 9), ("cost_per_day", 7)]);
        let other = resolve("[[quotas]]\ntool = \"a\"\nserver = \"b\"\ncost = 1").unwrap();
        assert_ne!(one[0].counts, other[0].counts);
    }
}
