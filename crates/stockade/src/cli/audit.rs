//! `stockade audit query|tail|verify|export`.

mod export;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use stockade_core::check::{escaped, listed, visible};
use stockade_store::{Filter, Record, Verdict};

use super::{Format, State, printed};
use crate::failure::{Exit, Failure};

/// What records are about.
const KINDS: [&str; 18] = [
    "start",
    "stop",
    "question",
    "grant",
    "decision",
    "outcome",
    "notice",
    "violation",
    "refusal",
    "stderr",
    "egress",
    "policy",
    "touched",
    "roots",
    "lock",
    "alert",
    "ledger.recovered",
    "ledger.removed",
];
const DECISIONS: [&str; 3] = ["allow", "ask", "deny"];
const WOULD: [&str; 4] = ["fix", "ask", "deny", "any"];

/// Look into the ledger, and check that nobody changed it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade audit verify
  stockade audit query --tool write_file --decision deny --since 1d
  stockade audit query --would deny
  stockade audit export --format syslog --to tls://logs.example:6514 --follow")]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    state: State,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find records, newest first. A decision that has no outcome is marked
    Query(Box<Query>),
    /// Show the last records, and with --follow those to come
    Tail(Tail),
    /// Check that every record is as it was written
    Verify(Verify),
    /// Hand every record over once, oldest first: to a file, a log receiver, or standard output
    Export(export::Export),
}

#[derive(Debug, Args)]
struct Query {
    /// What was written down
    #[arg(long, value_parser = KINDS)]
    kind: Option<String>,
    /// The conversation
    #[arg(long)]
    session: Option<String>,
    /// The exchange: what an error text names as its reference
    #[arg(long)]
    call: Option<String>,
    /// The server, by its name in the policy
    #[arg(long)]
    server: Option<String>,
    /// What the client calls itself
    #[arg(long)]
    client: Option<String>,
    /// The method
    #[arg(long)]
    method: Option<String>,
    /// The tool
    #[arg(long)]
    tool: Option<String>,
    /// What was decided
    #[arg(long, value_parser = DECISIONS)]
    decision: Option<String>,
    /// The rule that decided, or in shadow would have
    #[arg(long)]
    rule: Option<String>,
    /// What the policy would have done, and has not: it decides in shadow
    #[arg(long, value_parser = WOULD)]
    would: Option<String>,
    /// No older than this: 90s, 15m, 12h or 7d
    #[arg(long, value_name = "AGE", value_parser = age)]
    since: Option<Duration>,
    /// A text somewhere in the record
    #[arg(long)]
    text: Option<String>,
    /// Only decisions that have no outcome: the call is under way, or its guard was killed
    #[arg(long)]
    open: bool,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct Tail {
    /// So many of those that are there
    #[arg(short, default_value_t = 20)]
    n: usize,
    /// Go on with those to come
    #[arg(short, long)]
    follow: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct Verify {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Audit {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let dir = self.state.ledger()?;
        let failed = |error: stockade_store::Error| {
            Failure::new(Exit::Usage, format!("cannot read the ledger in `{}`", dir.display()))
                .from(error)
                .help("name the directory that it was written to with `--state DIR`")
        };
        match self.command {
            Command::Query(query) => {
                let format = query.format;
                let found = stockade_store::query(&dir, &query.filter()).map_err(failed)?;
                let mut out = io::stdout().lock();
                for (place, record) in found.records.iter().enumerate() {
                    let is_open = found.open.contains(&place);
                    if !printed(show(&mut out, record, format, is_open))? {
                        break;
                    }
                }
                if found.damaged > 0 {
                    anstream::eprintln!(
                        "note: {} lines could not be read; `stockade audit verify` says more",
                        found.damaged
                    );
                }
                Ok(ExitCode::SUCCESS)
            }
            Command::Tail(tail) => {
                let mut out = io::stdout().lock();
                for record in stockade_store::tail(&dir, tail.n, tail.follow).map_err(failed)? {
                    if !printed(show(&mut out, &record.map_err(failed)?, tail.format, false))? {
                        break;
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
            Command::Verify(verify) => {
                let verdict = stockade_store::verify(&dir).map_err(failed)?;
                let text = match verify.format {
                    Format::Human => told(&verdict),
                    Format::Json => json(&verdict),
                };
                printed(writeln!(io::stdout(), "{text}"))?;
                Ok(match verdict {
                    Verdict::Whole(_) => ExitCode::SUCCESS,
                    Verdict::Broken(_) | Verdict::Nothing => Exit::Findings.into(),
                })
            }
            Command::Export(export) => export.run(&self.state),
        }
    }
}

impl Query {
    fn filter(self) -> Filter {
        Filter {
            kind: self.kind,
            session: self.session,
            call: self.call,
            server: self.server,
            client: self.client,
            principal: None,
            tool: self.tool,
            method: self.method,
            decision: self.decision,
            rule: self.rule,
            would: self.would,
            since: self.since.and_then(|age| SystemTime::now().checked_sub(age)),
            until: None,
            text: self.text,
            open: self.open,
            limit: Some(self.limit),
        }
    }
}

/// What is said of a decision that has no outcome.
const NO_OUTCOME: &str = "no outcome: under way, or its guard was killed";

/// One record, as a line. What is no part of a record comes after its hash, which is over what is
/// before.
fn show(out: &mut impl Write, record: &Record, format: Format, is_open: bool) -> io::Result<()> {
    if format == Format::Json {
        return match record.json.strip_suffix('}').filter(|_| is_open) {
            Some(fields) => writeln!(out, "{fields},\"open\":true}}"),
            None => writeln!(out, "{}", record.json),
        };
    }
    let value: serde_json::Value = serde_json::from_str(&record.json).unwrap_or_default();
    let text = |name: &str| match value.get(name) {
        Some(serde_json::Value::String(text)) if name == "would" => format!("would {text}"),
        // What somebody said may have had more lines than this has.
        Some(serde_json::Value::String(text)) => text.trim_end().replace(['\n', '\r'], " "),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let names = [
        "kind",
        "peer",
        "call",
        "method",
        "tool",
        "destination",
        "address",
        "decision",
        "would",
        "status",
        "rule",
        "says",
    ];
    let mark = is_open.then(|| format!("({NO_OUTCOME})"));
    let touched = value.get("touched").map(touched).filter(|it| !it.is_empty());
    let words = names.iter().map(|it| text(it)).filter(|it| !it.is_empty());
    let words = words.chain(touched).chain(mark);
    let words: Vec<String> = words.collect();
    writeln!(out, "{}  {}", record.at, visible(&words.join("  ")))
}

/// What a process touched, in one line.
fn touched(touched: &serde_json::Value) -> String {
    let list = |name: &str, says: &str| {
        let things = touched.get(name)?.as_array()?.iter().filter_map(|it| it.as_str());
        Some(format!("{says} {}", listed(things)))
    };
    // Each begins with how it was to be touched.
    let refused = touched.get("refused").and_then(serde_json::Value::as_array).map(|it| {
        let things = it.iter().filter_map(|it| it.as_str()).map(|it| match it.split_once(' ') {
            Some((how, what)) => format!("{how} {}", listed([what])),
            None => listed([it]),
        });
        format!("refused {}", things.collect::<Vec<_>>().join(", "))
    });
    let number = |name: &str, says: &str| {
        touched.get(name).and_then(serde_json::Value::as_u64).map(|it| format!("{says} {it}"))
    };
    let parts = [
        list("roots", "has the roots"),
        list("programs", "has the programs of"),
        list("net", "may reach"),
        list("read", "read"),
        list("written", "wrote"),
        list("executed", "executed"),
        list("reached", "reached"),
        list("own", "own addresses"),
        list("used", "used"),
        refused,
        number("more", "and more"),
        number("unseen", "calls not looked into"),
        number("among", "calls at once"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What was found, for a person.
pub(super) fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Whole(whole) => {
            let mut lines = vec![format!(
                "whole: {} records in {} segments, {} of them being written now",
                whole.records, whole.segments, whole.live
            )];
            if let Some(gone) = &whole.gone {
                lines.push(format!(
                    "verified from record 0 of `{}` ({}) on: {} closed segments, of {} records, were \
                     removed as the policy says, and signed for",
                    gone.from, gone.since, gone.segments, gone.records
                ));
            }
            let left: u64 = whole.killed.iter().filter(|it| !it.sealed).map(|it| it.records).sum();
            if whole.unsealed > left {
                let coming = whole.unsealed - left;
                lines.push(format!("{coming} of the records being written are not signed yet"));
            }
            for killed in &whole.killed {
                let now = match killed.sealed {
                    true => "the next start of a guard has signed them as it found them",
                    false => {
                        "nobody has signed them; the next start of a guard will, as it finds them"
                    }
                };
                lines.push(format!(
                    "`{}`: its process was killed before it had signed its last {} records, since \
                     {}; {now}",
                    killed.segment, killed.records, killed.since
                ));
            }
            for torn in &whole.torn {
                lines.push(format!(
                    "`{}`: a crash left record {} unfinished; nobody was told that it was written",
                    torn.segment, torn.seq
                ));
            }
            lines.extend(whole.head.iter().map(|it| format!("signed head: {it}")));
            lines.extend(whole.key.iter().map(|it| format!("key: {it}")));
            lines.join("\n")
        }
        Verdict::Broken(broken) => format!("broken: {broken}"),
        Verdict::Nothing => "nothing: no guard has written here, or all that was written is gone; \
                             if guards run, they keep it elsewhere (`--state DIR`)"
            .to_owned(),
    }
}

fn json(value: &impl serde::Serialize) -> String {
    escaped(&serde_json::to_string(value).unwrap_or_default())
}

/// A length of time, as in `15m`.
fn age(text: &str) -> Result<Duration, String> {
    let split = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split).unwrap_or_default();
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("a number and one of s, m, h, d, as in `15m`".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "a number is missing".to_owned())?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_in_which_no_name_passes_for_more() {
        let json = r#"{"kind":"stop","says":"the server ended\n  its last words\n","touched":{
            "written":["/a/q, wrote /etc/passwd; x","/a/b"],"refused":["write /c d"]}}"#;
        let record =
            Record { at: "now".to_owned(), json: json.to_owned(), segment: String::new(), seq: 0 };
        let mut out = Vec::new();
        show(&mut out, &record, Format::Human, false).unwrap();
        let said = String::from_utf8(out).unwrap();
        let expected = "now  stop  the server ended   its last words  wrote \
                        \"/a/q, wrote /etc/passwd; x\", /a/b; refused write \"/c d\"\n";
        assert_eq!(said, expected);
    }
}
