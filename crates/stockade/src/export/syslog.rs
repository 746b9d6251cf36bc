//! Syslog: a record as one message of RFC 5424, with its fields as structured data.

use stockade_core::check::visible;

use super::event::{Event, Severity};
use crate::alerts::sink::{AUTHPRIV, DATA_ID, escaped};

/// The fields that are structured data, by their names in the ledger.
const FIELDS: [&str; 22] = [
    "seq",
    "hash",
    "server",
    "principal",
    "client",
    "peer",
    "session",
    "call",
    "from",
    "method",
    "tool",
    "decision",
    "would",
    "rule",
    "approver",
    "destination",
    "address",
    "status",
    "duration_ms",
    "difference",
    "repeats",
    "trace",
];

/// A record, said by `host`.
pub fn line(event: &Event<'_>, host: &str) -> String {
    let severity = match event.severity() {
        Severity::Information => 6,
        Severity::Low => 5,
        Severity::Medium => 4,
        Severity::High => 3,
        Severity::Critical => 2,
    };
    let mut data = String::new();
    let rules = event.rules().join(",");
    let fields = FIELDS.iter().filter_map(|name| Some((*name, event.text(name)?)));
    let findings = Some(("findings", rules)).filter(|(_, it)| !it.is_empty());
    let segment = ("segment", event.record.segment.clone());
    for (name, value) in fields.chain(findings).chain([segment]) {
        data.push_str(&format!(" {name}=\"{}\"", escaped(&visible(&value))));
    }
    let says = event.text("says").unwrap_or_else(|| event.title());
    format!(
        "<{}>1 {} {host} stockade {} {} [{DATA_ID}{data}] \u{feff}{}",
        AUTHPRIV * 8 + severity,
        event.record.at,
        process(event),
        id(&event.kind()),
        visible(&says.replace(['\r', '\n'], " ")),
    )
}

/// The process that wrote the record, which the name of its segment has; `-` is nothing.
fn process<'a>(event: &Event<'a>) -> &'a str {
    let pid = event.record.segment.split('-').nth(1);
    pid.filter(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit())).unwrap_or("-")
}

/// What a message is about: 32 characters that print.
fn id(kind: &str) -> String {
    let id: String = kind.chars().filter(char::is_ascii_graphic).take(32).collect();
    if id.is_empty() { "-".to_owned() } else { id }
}
