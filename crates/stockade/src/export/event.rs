//! A record of the ledger, as those read it that know nothing of ledgers: how grave it is, and what
//! came of it.

use serde_json::{Map, Value};
use stockade_core::check::clipped;
use stockade_store::Record;

/// A text of a field is no longer than this, in characters. The ledger has the whole.
pub const TEXT_CHARS_MAX: usize = 1000;

/// How grave something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// What happens all the time.
    Information,
    /// Something to be noted.
    Low,
    /// Something did not pass.
    Medium,
    /// Something grave was seen.
    High,
    /// Somebody should look now.
    Critical,
}

/// A record, read.
#[derive(Debug)]
pub struct Event<'a> {
    /// As it is stored.
    pub record: &'a Record,
    fields: Map<String, Value>,
}

impl<'a> Event<'a> {
    /// Reads a record. The ledger has made sure that it is an object.
    pub fn of(record: &'a Record) -> Self {
        let fields = serde_json::from_str(&record.json).unwrap_or_default();
        Self { record, fields }
    }

    /// A field that is a text or a number, cut where it is long.
    pub fn text(&self, name: &str) -> Option<String> {
        let text = match self.fields.get(name)? {
            Value::String(text) => clipped(text, TEXT_CHARS_MAX + 1),
            Value::Number(number) => number.to_string(),
            Value::Bool(it) => it.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        if text.chars().nth(TEXT_CHARS_MAX).is_none() {
            return Some(text);
        }
        Some(text.chars().take(TEXT_CHARS_MAX).chain(['…']).collect())
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.fields.get(name)?.as_u64()
    }

    /// What it is about.
    pub fn kind(&self) -> String {
        self.text("kind").unwrap_or_default()
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.fields.get(name).and_then(Value::as_str) == Some(value)
    }

    /// Whether it did not pass.
    pub fn is_denied(&self) -> bool {
        self.is("decision", "deny") || self.is("status", "refused") || self.is("kind", "refusal")
    }

    /// Whether it passed.
    pub fn is_allowed(&self) -> bool {
        self.is("decision", "allow") || self.is("status", "ok")
    }

    /// What the checks saw.
    pub fn findings(&self) -> impl Iterator<Item = &Value> {
        self.fields.get("findings").and_then(Value::as_array).into_iter().flatten()
    }

    /// The rules by which they saw it, each once.
    pub fn rules(&self) -> Vec<String> {
        let mut rules: Vec<String> = Vec::new();
        for rule in self.findings().filter_map(|it| it.get("rule")?.as_str()) {
            if !rules.iter().any(|it| it == rule) {
                rules.push(rule.to_owned());
            }
        }
        rules
    }

    /// Whether it is something that a person may want to look at, and not only traffic.
    pub fn is_finding(&self) -> bool {
        let kinds = ["alert", "lock", "violation", "refusal"];
        self.findings().next().is_some() || kinds.iter().any(|it| self.is("kind", it))
    }

    /// How grave it is.
    pub fn severity(&self) -> Severity {
        if self.is("kind", "alert") || self.is("difference", "dangerous") {
            return Severity::Critical;
        }
        let seen = self.findings().filter_map(|it| it.get("severity")?.as_str());
        let seen = seen.map(|it| match it {
            "high" => Severity::High,
            "medium" => Severity::Medium,
            _ => Severity::Low,
        });
        let decided = match () {
            () if self.is("kind", "lock") => Severity::High,
            () if self.is_denied() || self.is("kind", "violation") => Severity::Medium,
            () if self.is("decision", "ask") || self.is("kind", "question") => Severity::Low,
            () if self.is("kind", "ledger.removed") || self.is("kind", "ledger.recovered") => {
                Severity::Low
            }
            () => Severity::Information,
        };
        seen.max().unwrap_or(decided).max(decided)
    }

    /// What happened, in a few words.
    pub fn title(&self) -> String {
        let parts = ["kind", "method", "tool", "decision", "status"];
        let parts: Vec<String> = parts.iter().filter_map(|it| self.text(it)).collect();
        parts.join(" ")
    }
}
