//! ArcSight Common Event Format, version 0 (Micro Focus, "Implementing ArcSight CEF", 25).
//!
//! In the header `\` and `|` are escaped, in an extension `\`, `=` and the ends of lines. What else does
//! not show itself is replaced: no reader of CEF would put it back.

use stockade_core::check::visible;

use super::event::{Event, Severity};

/// A record, without the header of syslog that some put before.
pub fn line(event: &Event<'_>) -> String {
    let id = event.text("rule").unwrap_or_else(|| event.kind());
    let severity = match event.severity() {
        Severity::Information => 1,
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
        Severity::Critical => 10,
    };
    let mut line = format!(
        "CEF:0|Stockade|Stockade|{}|{}|{}|{severity}|",
        env!("CARGO_PKG_VERSION"),
        header(&id),
        header(&event.title()),
    );
    let rules = event.rules().join(",");
    let text = |name: &str| event.text(name);
    let fields = [
        ("rt", Some(milliseconds(event))),
        ("cat", text("kind")),
        ("act", text("decision")),
        ("outcome", text("status")),
        ("reason", text("rule")),
        ("suser", text("principal")),
        ("src", text("peer")),
        ("dhost", text("destination")),
        ("dst", text("address")),
        ("requestMethod", text("method")),
        ("requestClientApplication", text("client")),
        ("cnt", text("repeats")),
        ("externalId", text("seq")),
        ("deviceExternalId", Some(event.record.segment.clone())),
        ("msg", text("says")),
    ];
    let labelled = [
        ("cs1", "server", text("server")),
        ("cs2", "tool", text("tool")),
        ("cs3", "session", text("session")),
        ("cs4", "call", text("call")),
        ("cs5", "trace", text("trace")),
        ("cs6", "hash", text("hash")),
        ("cn1", "durationMs", text("duration_ms")),
        ("flexString1", "findings", Some(rules).filter(|it| !it.is_empty())),
        ("flexString2", "would", text("would")),
    ];
    let mut pairs: Vec<String> = Vec::new();
    for (name, value) in fields {
        pairs.extend(value.map(|it| format!("{name}={}", extension(&it))));
    }
    for (name, label, value) in labelled {
        pairs.extend(value.map(|it| format!("{name}Label={label} {name}={}", extension(&it))));
    }
    line.push_str(&pairs.join(" "));
    line
}

/// When it was, in milliseconds since 1970, as every reader of CEF takes it.
fn milliseconds(event: &Event<'_>) -> String {
    stockade_store::time_ms(&event.record.at).unwrap_or_default().to_string()
}

fn header(text: &str) -> String {
    visible(&text.replace(['\r', '\n'], " ").replace('\\', "\\\\").replace('|', "\\|"))
}

fn extension(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('=', "\\=");
    visible(&text.replace('\r', "\\r").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_has_named_ends_no_field() {
        assert_eq!(header("a|b\\c\r\nd"), "a\\|b\\\\c  d");
        assert_eq!(extension("x act=allow\nrt=1\\"), "x act\\=allow\\nrt\\=1\\\\");
        assert_eq!(extension("a\u{1b}[2J\u{202e}|"), "a\u{fffd}[2J\u{fffd}|");
    }
}
