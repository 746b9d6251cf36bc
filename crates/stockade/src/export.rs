//! The ledger for somebody elsewhere: every record once, in order, in a form that they read, from
//! where the last export ended.
//!
//! A process of its own reads the files of the ledger, so whoever receives them slowly has the export
//! wait and no guard. [`cursor`] is what the receiver has taken: it is written down only once that is
//! known, which is a different thing for each [`place`]. Nothing here changes the ledger.
//!
//! See `docs/monitoring.md`.

pub mod cef;
pub mod cursor;
pub mod event;
pub mod ocsf;
pub mod place;
pub mod syslog;

use clap::ValueEnum;
use stockade_store::Record;

use self::event::Event;

/// How a record is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// As the ledger has it, which loses nothing.
    #[default]
    Jsonl,
    /// ArcSight Common Event Format.
    Cef,
    /// Open Cybersecurity Schema Framework: API Activity, or Detection Finding.
    Ocsf,
    /// RFC 5424.
    Syslog,
}

impl Form {
    /// As it is written on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Cef => "cef",
            Self::Ocsf => "ocsf",
            Self::Syslog => "syslog",
        }
    }

    /// A record in this form: one line, without its end. The same record is always the same line.
    pub fn line(self, record: &Record) -> String {
        match self {
            Self::Jsonl => record.json.clone(),
            Self::Cef => cef::line(&Event::of(record)),
            Self::Ocsf => ocsf::line(&Event::of(record)),
            Self::Syslog => syslog::line(&Event::of(record), &crate::alerts::sink::host()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_in_every_form() {
        let nasty = "a|b=c]d\"e\\f\r\ng\u{1b}[2J\u{2028}\u{202e}\u{85}";
        let json = serde_json::json!({
            "seq": 3, "at": "2026-11-30T02:30:00.000Z", "prev": "00", "kind": nasty,
            "server": nasty, "tool": nasty, "client": nasty, "says": nasty, "rule": nasty,
            "method": nasty, "principal": nasty, "decision": "deny", "destination": nasty,
            "findings": [{ "rule": "secret", "severity": "high", "place": nasty, "says": nasty }],
            "hash": "ab",
        });
        let record = Record {
            at: "2026-11-30T02:30:00.000Z".to_owned(),
            segment: "20261130T023000000Z-42-00000001".to_owned(),
            seq: 3,
            json: json.to_string(),
        };
        for form in [Form::Cef, Form::Ocsf, Form::Syslog] {
            let line = form.line(&record);
            let plain = |it: char| !it.is_control() && !matches!(it, '\u{2028}' | '\u{202e}');
            assert!(line.chars().all(plain), "{form:?}: {}", line.escape_debug());
            assert_eq!(line, form.line(&record));
        }
    }
}
