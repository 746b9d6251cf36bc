//! What came of a call: printed for a person or a program, and as an exit code.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade_core::check::{self, escaped, redacted, redacted_pointer, visible};
use stockade_core::finding::Severity;
use stockade_core::record::{Kind, Noted, Record, Status};
use stockade_core::revision::Revision;

use super::heard::Listener;
use super::wanted::{Came, Wanted, What};
use super::{CREDENTIALS, Format, turned_away};
use crate::cli::{in_lines, printed};
use crate::client::Answer;
use crate::client::person::Reply;
use crate::failure::{Exit, Failure};

/// The rule by which a result is held against its tool's `outputSchema`.
const OUTPUT_SCHEMA: &str = "output_schema";

pub(super) struct Report<'a> {
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) revision: Revision,
    pub(super) held: &'a str,
    pub(super) listener: &'a Listener,
    pub(super) came: &'a Came,
    /// What was written down of the request and its answer, and how much more there was.
    pub(super) seen: (Vec<Record>, usize),
    pub(super) began: Instant,
    pub(super) total: Duration,
    pub(super) turned_away: Option<u16>,
    pub(super) fail_on: Option<Severity>,
}

impl Report<'_> {
    /// Prints it, and says how the command ends.
    pub(super) fn print(&self, format: Format) -> Result<ExitCode, Failure> {
        let end = self.end();
        let out = match format {
            Format::Json => format!("{}\n", escaped(&self.json(end.as_ref()).to_string())),
            Format::Human => {
                self.findings();
                self.human()
            }
        };
        printed(io::stdout().lock().write_all(out.as_bytes()))?;
        let Some(End { exit, says, help }) = end else { return Ok(ExitCode::SUCCESS) };
        if format == Format::Json {
            return Ok(exit.into());
        }
        let failure = Failure::new(exit, in_lines(&says));
        Err(if help.is_empty() { failure } else { failure.help(help) })
    }

    /// What is wrong, if something is: the worst of it.
    fn end(&self) -> Option<End> {
        let end = |exit, says: &str, help: &str| {
            Some(End { exit, says: says.to_owned(), help: help.to_owned() })
        };
        if let Some(status) = self.turned_away {
            return end(Exit::Credentials, &turned_away(status), CREDENTIALS);
        }
        let seen = || self.seen.0.iter();
        let found = |rule: &str| seen().flat_map(|it| &it.findings).any(|it| it.rule == rule);
        if found(OUTPUT_SCHEMA) {
            let says = "the result does not match the tool's `outputSchema`";
            return end(
                Exit::Findings,
                says,
                "`stockade explain output_schema` says what is looked at",
            );
        }
        let own = || seen().filter(|it| it.method == self.wanted.method);
        if let Some(it) = own().find(|it| matches!(it.status, Some(Status::Timeout))) {
            let says = format!("the server took too long: {}", it.says);
            return end(Exit::Server, &says, "`--timeout` and `--total` say how long it may take");
        }
        if let Some(it) = own().find(|it| matches!(it.status, Some(Status::Lost))) {
            let how = self.listener.left.as_deref();
            let how = how.map_or_else(|| format!(": {}", it.says), str::to_owned);
            return end(Exit::Server, &format!("the server did not answer{how}"), "");
        }
        let refused = |it: &&Record| it.status == Some(Status::Refused) && it.decision.is_none();
        let broken = |it: &&Record| it.kind == Kind::Violation && it.from == Some("server");
        if let (Some(it), Some(_)) = (own().find(broken), own().find(refused)) {
            return end(
                Exit::Findings,
                &format!("the server breaks the protocol: {}", it.says),
                "",
            );
        }
        if let Some(it) = own().find(|it| is_denied(it)) {
            let rule = it.rule.as_deref().unwrap_or("the lock");
            let help = match (it.decision, check::rule(rule)) {
                (Some("ask"), _) => {
                    "`--approve` says yes to what the policy would ask a person about".to_owned()
                }
                (_, Some(_)) => format!("`stockade explain {rule}` says what it is about"),
                (_, None) => "the ledger has all of it: `stockade audit query`".to_owned(),
            };
            return end(Exit::Denied, &format!("denied by {rule}: {}", it.says), &help);
        }
        let least = self.fail_on.map(Severity::name);
        let is_bad = |it: &&Noted| least.is_some_and(|least| rank(it.severity) >= rank(least));
        match &self.came.what {
            What::Answer(Answer::Error(it)) => {
                let code = it.get("code").and_then(Value::as_i64).unwrap_or_default();
                let says = it.get("message").and_then(Value::as_str).unwrap_or_default();
                let help = match code {
                    -32601 | -32022 => "`--era auto` asks the server first what it speaks",
                    _ => "",
                };
                end(Exit::Tool, &format!("the server answers with the error {code}: {says}"), help)
            }
            What::Answer(Answer::Result(it)) if it.get("isError") == Some(&Value::Bool(true)) => {
                end(Exit::Tool, "the tool has failed", "")
            }
            What::Answer(Answer::Result(it))
                if it.get("resultType") == Some(&json!("input_required")) =>
            {
                let says = "the server wants an answer first, and there is none";
                end(Exit::Findings, says, "give it one with `--answers FILE`")
            }
            What::Load(load) if !load.is_fine() => {
                end(Exit::Tool, "not every answer was a result", "")
            }
            What::Answer(_) | What::Heard | What::Load(_) => {
                let bad = seen().flat_map(|it| &it.findings).find(is_bad)?;
                let says = format!("{} was found ({})", bad.rule, bad.severity);
                end(Exit::Findings, &says, "")
            }
        }
    }

    /// All of it, for a program.
    fn json(&self, end: Option<&End>) -> Value {
        let ms = |it: Duration| it.as_secs_f64() * 1000.0;
        let at = |it: Instant| ms(it.saturating_duration_since(self.began));
        let came = self.came;
        let told = self
            .listener
            .told
            .iter()
            .map(|it| json!({ "atMs": at(it.at), "method": it.method, "params": it.params }));
        let asked = self.listener.asked.iter().map(|it| {
            let (name, said) = match &it.said.reply {
                Reply::Result(it) => ("answer", it.clone()),
                Reply::Refused { code, says } => {
                    ("error", json!({ "code": code, "message": says }))
                }
            };
            json!({ "atMs": at(it.at), "method": it.method, "params": it.params, "by": it.said.why,
                name: said })
        });
        let mut all = json!({
            "revision": self.revision.name(),
            "method": self.wanted.method,
            "params": came.params,
            "held": self.held,
            "notifications": told.collect::<Vec<_>>(),
            "questions": asked.collect::<Vec<_>>(),
            "seen": self.seen.0,
            "seenBefore": came.before.0,
            "left": self.listener.more + self.seen.1 + came.before.1,
            "times": {
                "beginMs": at(came.begun),
                "callMs": ms(came.answered.saturating_duration_since(came.sent)),
                "totalMs": ms(self.total),
            },
            "exit": end.map_or(0, |it| it.exit.code()),
        });
        let what = match &came.what {
            What::Answer(Answer::Result(it)) => Some(("result", it.clone())),
            What::Answer(Answer::Error(it)) => Some(("error", it.clone())),
            What::Load(load) => Some(("load", load.report())),
            What::Heard => None,
        };
        let says = end.map(|end| ("says", Value::from(redacted(&end.says))));
        if let Some(all) = all.as_object_mut() {
            all.extend(what.into_iter().chain(says).map(|(name, it)| (name.to_owned(), it)));
        }
        all
    }

    /// What the rules found, on standard error.
    fn findings(&self) {
        let (before, _) = &self.came.before;
        let mut rules: Vec<&str> =
            before.iter().flat_map(|it| &it.findings).map(|it| it.rule).collect();
        if !rules.is_empty() {
            let number = rules.len();
            rules.sort_unstable();
            rules.dedup();
            let rules = rules.join(", ");
            anstream::eprintln!(
                "note: in what the server lists, rules found {number} things: {rules}"
            );
        }
        let (seen, more) = &self.seen;
        let mut lines: Vec<String> = Vec::new();
        for record in before.iter().filter(|it| it.kind == Kind::Violation).chain(seen) {
            let of = if record.kind == Kind::Outcome { "answer" } else { "request" };
            for it in &record.findings {
                let place = redacted_pointer(&it.place);
                let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
                lines.push(format!(
                    "found {} ({}) in the {of}{at}: {} ({})",
                    it.rule, it.severity, it.says, it.action
                ));
            }
            if let Some(would) = record.would {
                let rule = record.rule.as_deref().unwrap_or_default();
                lines.push(format!("in shadow: {would} by {rule}: {}", record.says));
            }
            if record.kind == Kind::Violation {
                let from = record.from.unwrap_or_default();
                lines.push(format!("violation of the {from}: {}", record.says));
            }
        }
        for line in lines {
            anstream::eprintln!("{}", visible(&redacted(&line)));
        }
        if *more > 0 {
            anstream::eprintln!("note: and {more} more, which the ledger has");
        }
    }

    /// What came, for a person.
    fn human(&self) -> String {
        let result = match &self.came.what {
            What::Answer(Answer::Result(it)) => it,
            What::Answer(Answer::Error(error)) => {
                let data = error.get("data").filter(|it| !it.is_null());
                return data.map(pretty).unwrap_or_default();
            }
            What::Load(load) => return load.in_words(),
            What::Heard => return String::new(),
        };
        let read = match self.wanted.method {
            "tools/call" => content(result),
            "tools/list" => list(result, "tools", "name"),
            "prompts/list" => list(result, "prompts", "name"),
            "resources/list" => list(result, "resources", "uri"),
            "resources/templates/list" => list(result, "resourceTemplates", "uriTemplate"),
            "resources/read" => resources(result),
            "prompts/get" => messages(result),
            "completion/complete" => values(result),
            _ => None,
        };
        // What has another form than it should is shown whole.
        let read = read.filter(|_| result.get("inputRequests").is_none());
        read.unwrap_or_else(|| pretty(result))
    }
}

/// How it ends, where that is not well.
#[derive(Clone, Debug)]
struct End {
    exit: Exit,
    says: String,
    help: String,
}

fn is_denied(record: &Record) -> bool {
    let denied = record.kind == Kind::Decision && matches!(record.decision, Some("deny" | "ask"));
    (denied || record.status == Some(Status::Refused)) && record.approver.is_none()
}

fn rank(severity: &str) -> usize {
    let all = [Severity::Low, Severity::Medium, Severity::High];
    all.iter().position(|it| it.name() == severity).unwrap_or_default()
}

fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    format!("{}\n", escaped(&text))
}

/// A text in its lines, for a terminal.
fn lines(text: &str) -> String {
    text.lines().map(|it| format!("{}\n", visible(it))).collect()
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

/// The result of a tool: its text, and what is structured where there is no text.
fn content(result: &Value) -> Option<String> {
    let blocks = result.get("content")?.as_array()?;
    let mut shown: String = blocks.iter().map(block).collect();
    if let (true, Some(it)) = (shown.is_empty(), result.get("structuredContent")) {
        shown = pretty(it);
    }
    Some(shown)
}

fn block(block: &Value) -> String {
    if let Some(it) = text(block, "text") {
        return lines(it);
    }
    if let Some(it) = block.get("resource").and_then(|it| text(it, "text")) {
        return lines(it);
    }
    let bytes = text(block, "data").map_or(0, str::len);
    match (text(block, "type"), text(block, "mimeType")) {
        (Some(kind @ ("image" | "audio")), Some(mime)) => {
            visible(&format!("[{kind}, {mime}, {bytes} characters of base64]")) + "\n"
        }
        _ => pretty(block),
    }
}

fn resources(result: &Value) -> Option<String> {
    let each = result.get("contents")?.as_array()?.iter();
    Some(each.map(|it| text(it, "text").map_or_else(|| pretty(it), lines)).collect())
}

fn messages(result: &Value) -> Option<String> {
    let each = result.get("messages")?.as_array()?.iter();
    let shown = each.map(|it| {
        let role = visible(text(it, "role").unwrap_or_default());
        let content = it.get("content").map(block).unwrap_or_default();
        format!("{role}: {content}")
    });
    Some(shown.collect())
}

fn values(result: &Value) -> Option<String> {
    let each = result.get("completion")?.get("values")?.as_array()?.iter();
    Some(each.filter_map(Value::as_str).map(lines).collect())
}

/// One line for each thing: what it goes by, and the first line of what is said of it.
fn list(result: &Value, name: &str, key: &str) -> Option<String> {
    let items = result.get(name)?.as_array()?;
    let wide = items.iter().filter_map(|it| text(it, key)).map(|it| it.chars().count()).max();
    let wide = wide.unwrap_or_default().min(40);
    let mut shown = String::new();
    for it in items {
        let (name, says) = (text(it, key)?, text(it, "description").or(text(it, "title")));
        let says = says.and_then(|it| it.lines().next()).unwrap_or_default();
        let line = format!("{:wide$}  {}", visible(name), visible(says));
        // Writing to a text cannot fail.
        let _written = writeln!(shown, "{}", line.trim_end());
    }
    if let Some(it) = text(result, "nextCursor") {
        let more = json!({ "cursor": it });
        let _written = writeln!(shown, "there is more: {}", escaped(&more.to_string()));
    }
    Some(shown)
}
