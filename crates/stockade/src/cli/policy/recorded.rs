//! `stockade policy explain --record`: why a call was decided that the ledger has. It keeps which rule
//! decided, by which policy file, and a digest of the arguments; not the arguments.

use std::io::{self, Write};

use serde_json::{Value, json};
use stockade_core::check::{escaped, visible};
use stockade_core::json::Document;
use stockade_store::Filter;

use super::explain::ExplainArgs;
use super::{USAGE, columns, path, place_of};
use crate::cli::Format;
use crate::config::{Flags, Resolved};
use crate::rehearsal::Call;

/// Whether the policy that is read is the one that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Same,
    Changed,
    /// No file was read then, or the record is of a guard that did not say.
    Unsaid,
}

pub(super) fn explain(
    args: &ExplainArgs,
    id: &str,
    resolved: &Resolved,
    arguments: &Document,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let found = args.state.ledger().map_err(|it| it.to_string()).and_then(|ledger| {
        let filter = Filter { call: Some(id.to_owned()), ..Filter::default() };
        stockade_store::query(&ledger, &filter).map_err(|error| {
            format!("error: cannot read the ledger in `{}`: {error}", ledger.display())
        })
    });
    let found = match found {
        Ok(found) => found,
        Err(says) => {
            writeln!(err, "{says}")?;
            writeln!(err, "help: name the directory that it was written to with `--state DIR`")?;
            return Ok(USAGE);
        }
    };
    let read = |it: &stockade_store::Record| serde_json::from_str::<Value>(&it.json).ok();
    let records: Vec<(String, Value)> =
        found.records.iter().filter_map(|it| Some((it.at.clone(), read(it)?))).collect();
    let of = |kind: &str| records.iter().find(|(_, it)| text(it, "kind") == kind);
    let Some((at, decided)) = of("decision").or_else(|| of("question")) else {
        writeln!(err, "error: the ledger has no decision about `{}`", visible(id))?;
        writeln!(err, "help: `stockade audit query --kind decision` lists them")?;
        return Ok(USAGE);
    };
    let outcome = of("outcome").map(|(_, it)| it);
    // The rules of the server that was called, where the policy knows it by that name.
    let server = text(decided, "server");
    let is_known = args.server.is_none() && resolved.servers.iter().any(|it| it.name == server);
    let of_server = is_known.then(|| {
        let (server, roots) = (Some(server.to_owned()), args.roots.clone());
        let flags = Flags { server, roots, ..Flags::default() };
        Resolved::new(resolved.source.clone(), &flags).ok()
    });
    let of_server = of_server.flatten();
    let resolved = of_server.as_ref().unwrap_or(resolved);
    let digest = resolved.policy.digest.as_deref();
    let since = match decided.get("policy").and_then(Value::as_str) {
        Some(then) if Some(then) == digest => Since::Same,
        Some(_) => Since::Changed,
        None => Since::Unsaid,
    };
    let told = Told { id, at, decided, outcome, since, resolved };
    let again = match (&args.args, text(decided, "method")) {
        (Some(given), "tools/call") => {
            let same = digest_of(arguments) == text(decided, "arguments_digest");
            // Who called is in the record; a client calls itself what it likes, and the record has it
            // with its version.
            let client = text(decided, "client");
            let client = client.rsplit_once(' ').map_or(client, |(name, _)| name);
            let call = Call {
                tool: text(decided, "tool"),
                arguments: given,
                client: Some(client).filter(|it| !it.is_empty()),
                principal: Some(text(decided, "principal")).filter(|it| !it.is_empty()),
            };
            let Some(explained) = args.explained(resolved, &call, arguments, err)? else {
                return Ok(USAGE);
            };
            Some((same, explained))
        }
        (Some(_) | None, _) => None,
    };
    if args.format == Format::Json {
        let mut report = told.report();
        if let (Some((same, explained)), Some(report)) = (&again, report.as_object_mut()) {
            let mut again = explained.report();
            if let Some(again) = again.as_object_mut() {
                again.insert("sameArguments".to_owned(), json!(same));
            }
            report.insert("again".to_owned(), again);
        }
        writeln!(out, "{}", escaped(&report.to_string()))?;
        return Ok(0);
    }
    told.tell(out)?;
    match again {
        Some((same, explained)) => {
            let whose = match same {
                true => "the same arguments",
                false => "other arguments than those of the call, by their digest",
            };
            writeln!(out, "\njudged again, by the policy as it is now, with {whose}:")?;
            explained.tell(out)?;
        }
        None if args.args.is_none() => writeln!(
            out,
            "\nits arguments are not in the ledger: with `--args JSON` it is judged again"
        )?,
        None => writeln!(out, "\nonly calls of tools are judged again")?,
    }
    Ok(0)
}

/// What the ledger has of a call, and what is known of it now.
struct Told<'a> {
    id: &'a str,
    at: &'a str,
    decided: &'a Value,
    outcome: Option<&'a Value>,
    since: Since,
    resolved: &'a Resolved,
}

impl Told<'_> {
    fn tell(&self, out: &mut dyn Write) -> io::Result<()> {
        let word = |name: &str| visible(text(self.decided, name));
        let decision = match self.would() {
            Some(would) => format!("{}, in shadow: would {would}", self.decision()),
            None => self.decision().to_owned(),
        };
        writeln!(out, "{}: {decision} ({})", visible(self.id), self.at)?;
        let what = match text(self.decided, "tool") {
            "" => word("method"),
            _ => word("tool"),
        };
        let who = [("of", "server"), ("by", "client"), ("for", "principal")];
        let who = who.iter().filter(|(_, name)| !text(self.decided, name).is_empty());
        let who: Vec<_> = who.map(|(as_what, name)| format!("{as_what} {}", word(name))).collect();
        writeln!(out, "  {what} {}", who.join(" "))?;
        if let Some((rule, place)) = self.rule(self.decided) {
            writeln!(out, "  by {} ({place})", visible(rule))?;
        }
        if !text(self.decided, "says").is_empty() {
            writeln!(out, "  {}", word("says"))?;
        }
        writeln!(out, "  {}", self.policy())?;
        self.tell_found(self.decided, out)?;
        let Some(outcome) = self.outcome else {
            return writeln!(out, "\nno outcome: it is under way, or its guard was killed");
        };
        writeln!(out, "\nit ended: {}", visible(text(outcome, "status")))?;
        if let Some((rule, place)) = self.rule(outcome) {
            writeln!(out, "  by {} ({place})", visible(rule))?;
        }
        self.tell_found(outcome, out)
    }

    fn tell_found(&self, record: &Value, out: &mut dyn Write) -> io::Result<()> {
        let findings = record.get("findings").and_then(Value::as_array).into_iter().flatten();
        let rows = findings.map(|it| {
            let rule = text(it, "rule");
            let place = self.place(rule);
            let says = format!("{}: {}", visible(text(it, "place")), visible(text(it, "says")));
            let words = [rule, text(it, "severity"), text(it, "action")].map(visible);
            words.into_iter().chain([place, says]).collect()
        });
        columns(rows.collect(), out)
    }

    /// What was decided about it; asked, as long as nobody has answered.
    fn decision(&self) -> &str {
        match text(self.decided, "decision") {
            "" => "ask",
            it => it,
        }
    }

    fn would(&self) -> Option<&str> {
        self.decided.get("would").and_then(Value::as_str)
    }

    fn rule<'r>(&self, record: &'r Value) -> Option<(&'r str, String)> {
        let rule = record.get("rule").and_then(Value::as_str)?;
        Some((rule, self.place(rule)))
    }

    fn place(&self, rule: &str) -> String {
        let place = place_of(self.resolved, rule);
        match self.since {
            Since::Changed => format!("{place}, as the policy is now"),
            Since::Same | Since::Unsaid => place,
        }
    }

    fn policy(&self) -> String {
        let path = visible(&path(self.resolved));
        let then = self.decided.get("policy").and_then(Value::as_str).unwrap_or_default();
        let then = visible(then.get(..12).unwrap_or(then));
        match self.since {
            Since::Same => format!("by the policy {path}, which is the same now (blake3 {then}…)"),
            Since::Changed => format!(
                "by another policy than {path} is now: it was changed since, or another file was \
                 used (blake3 {then}… then)"
            ),
            Since::Unsaid => "by no policy file".to_owned(),
        }
    }

    fn report(&self) -> Value {
        let place = self.rule(self.decided).map(|(_, place)| place);
        let mut record = self.decided.clone();
        if let Some(record) = record.as_object_mut() {
            record.retain(|name, _| name != "prev" && name != "hash");
        }
        json!({
            "call": self.id,
            "at": self.at,
            "decision": self.decision(),
            "would": self.would(),
            "rule": self.decided.get("rule"),
            "place": place,
            "policy": path(self.resolved),
            "policyChanged": match self.since {
                Since::Same => json!(false),
                Since::Changed => json!(true),
                Since::Unsaid => Value::Null,
            },
            "record": record,
            "outcome": self.outcome,
        })
    }
}

/// As a guard has it: of the arguments without white space.
fn digest_of(arguments: &Document) -> String {
    let bytes = serde_json::to_vec(&arguments.root()).unwrap_or_default();
    blake3::hash(&bytes).to_hex().to_string()
}

fn text<'v>(record: &'v Value, name: &str) -> &'v str {
    record.get(name).and_then(Value::as_str).unwrap_or_default()
}
