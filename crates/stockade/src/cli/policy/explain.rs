//! `stockade policy explain`: what a guard would do with a call, by which rule, in which line.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};
use stockade_core::check::{self, visible};
use stockade_core::json::Document;
use stockade_core::message::Side;
use stockade_core::policy::{Action, CallFacts, Decision, Outcome};
use stockade_core::record::Noted;
use stockade_core::risk::Risk;

use super::{USAGE, columns, listed, place_of, recorded};
use crate::cli::{Format, State};
use crate::config::{Resolved, Target};
use crate::rehearsal::{Call, Came, Rehearsed, Scene, rehearse};

/// Says what a guard would do with a call, by which rule, and where that rule stands. It is judged as
/// the guard judges: by the checks and by the tables about tools. Or, with --record, why a call was
/// decided that the ledger has. Nothing is started or sent.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  stockade policy explain --tool delete_file
  stockade policy explain --tool read_file --args '{\"path\": \"/etc/passwd\"}' --tools tools.json notes.toml
  stockade policy explain --record s3f9a1c2b.4

The call is the first of its client: how often it was made, what was spent and what was read before, and
a lock are not in it. What the arguments of a tool are is inferred from its definition, so give the
definitions (`--tools`): a result of `tools/list`, or a tool in each line.

The ledger keeps a digest of arguments and not the arguments: with --record, what was decided is told,
and with --args as well the call is judged again by the policy as it is now.")]
pub(in crate::cli) struct ExplainArgs {
    /// The file; without it, the one that would be used.
    pub(super) file: Option<PathBuf>,
    /// The tool that is called.
    #[arg(long, value_name = "NAME", required_unless_present = "record")]
    pub(super) tool: Option<String>,
    /// The server of the file that is called.
    #[arg(long, value_name = "NAME")]
    pub(super) server: Option<String>,
    /// The arguments of the call.
    #[arg(long, value_name = "JSON")]
    pub(super) args: Option<String>,
    /// A root, as the guard is given it on its command line, in place of those of the policy. May be
    /// repeated.
    #[arg(long = "root", value_name = "DIR[:ro|rw]")]
    pub(super) roots: Vec<String>,
    /// What the server lists: a result of `tools/list`, or a tool in each line.
    #[arg(long, value_name = "FILE")]
    tools: Option<PathBuf>,
    /// What the server answers: a result.
    #[arg(long, value_name = "JSON")]
    answer: Option<String>,
    /// What the client calls itself, as `when` knows it.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Who is signed in, as `when` knows them.
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// A call of the ledger: the reference of a refusal.
    #[arg(long, value_name = "ID", conflicts_with_all = ["tool", "client", "principal", "answer"])]
    pub(super) record: Option<String>,
    #[command(flatten)]
    pub(super) state: State,
    /// How to say it.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

impl ExplainArgs {
    /// Explains. Ends with 2 where there is nothing to be explained.
    pub(super) fn explain(
        &self,
        resolved: &Resolved,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> io::Result<u8> {
        let args = self.args.as_deref().unwrap_or("{}");
        let arguments = match Document::parse(args.to_owned().into(), &Default::default()) {
            Ok(arguments) if arguments.root().is_object() => Ok(arguments),
            Ok(_) => Err("not an object".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(why) => {
                writeln!(err, "error: `--args` is not what a call has: {why}")?;
                writeln!(err, "help: write an object, as in `--args '{{\"path\": \"/a\"}}'`")?;
                return Ok(USAGE);
            }
        };
        if let Some(id) = &self.record {
            return recorded::explain(self, id, resolved, &arguments, out, err);
        }
        let call = Call {
            tool: self.tool.as_deref().unwrap_or_default(),
            arguments: args,
            client: self.client.as_deref(),
            principal: self.principal.as_deref(),
        };
        let Some(explained) = self.explained(resolved, &call, &arguments, err)? else {
            return Ok(USAGE);
        };
        match self.format {
            Format::Json => writeln!(out, "{}", check::escaped(&explained.report().to_string()))?,
            Format::Human => explained.tell(out)?,
        }
        Ok(0)
    }

    /// Judges a call. Nothing, where something that was given cannot be used, which is told.
    pub(super) fn explained<'a>(
        &'a self,
        resolved: &'a Resolved,
        call: &Call<'a>,
        arguments: &Document,
        err: &mut dyn Write,
    ) -> io::Result<Option<Explained<'a>>> {
        let tools = match self.tools.as_deref().map(listed::tools).transpose() {
            Ok(tools) => tools.unwrap_or_default(),
            Err(failure) => {
                writeln!(err, "{failure}")?;
                return Ok(None);
            }
        };
        let answer = match self.answer.as_deref().map(serde_json::from_str::<Value>).transpose() {
            Ok(answer) => answer,
            Err(error) => {
                writeln!(err, "error: `--answer` is not a result: {error}")?;
                writeln!(err, "help: write an object, as `tools/call` is answered with")?;
                return Ok(None);
            }
        };
        let remote = resolved.server.as_ref().map(|it| &it.target);
        let looks = !matches!(remote, Some(Target::Url(_)));
        let scene = Scene { policy: &resolved.policy, tools: &tools, looks };
        let rehearsed = rehearse(&scene, call, answer.as_ref());
        let risk = risk(&tools, call.tool);
        Ok(Some(Explained::new(resolved, call, arguments, (rehearsed, risk))))
    }
}

/// What a policy would do with a call of one of these tools, and perhaps its answer: all of it, as `--format
/// json` prints it.
pub(in crate::cli) fn judged(
    resolved: &Resolved,
    tools: &[Value],
    (tool, arguments): (&str, &Map<String, Value>),
    answer: Option<&Value>,
) -> Result<Value, String> {
    let arguments = Value::Object(arguments.clone()).to_string();
    let read = Document::parse(arguments.clone().into(), &Default::default());
    let read = read.map_err(|it| it.to_string())?;
    let call = Call { tool, arguments: &arguments, client: Some("stockade"), principal: None };
    let remote = resolved.server.as_ref().map(|it| &it.target);
    let looks = !matches!(remote, Some(Target::Url(_)));
    let scene = Scene { policy: &resolved.policy, tools, looks };
    let came = rehearse(&scene, &call, answer);
    let risk = risk(tools, tool);
    Ok(Explained::new(resolved, &call, &read, (came, risk)).report())
}

/// What a tool does, as far as its definition says, or else its name.
fn risk(tools: &[Value], name: &str) -> Risk {
    let is_it = |it: &&Value| it.get("name").and_then(Value::as_str) == Some(name);
    let listed = tools.iter().find(is_it).and_then(|it| Document::from_value(it).ok());
    listed.map_or_else(|| Risk::of_name(name), |it| Risk::of(it.root()))
}

/// What came of a call, with every rule that was asked.
#[derive(Debug)]
pub(super) struct Explained<'a> {
    resolved: &'a Resolved,
    call: Call<'a>,
    decision: Decision,
    rows: Vec<Row>,
    pub(super) came: Rehearsed,
}

/// A rule about tools, and what came of it.
#[derive(Debug)]
struct Row {
    /// Its id, its effect, and where it is.
    cells: [String; 3],
    outcome: String,
    decides: bool,
}

impl<'a> Explained<'a> {
    fn new(
        resolved: &'a Resolved,
        call: &Call<'a>,
        arguments: &Document,
        (came, risk): (Rehearsed, Risk),
    ) -> Self {
        let policy = &resolved.policy;
        let facts = CallFacts {
            tool: call.tool,
            arguments: Some(arguments.root()),
            client: call.client,
            principal: call.principal.or(Some("local")),
            roots: &policy.roots,
        };
        let decision = policy.call(&facts);
        let facts = if decision.unnamed { CallFacts { client: None, ..facts } } else { facts };
        let decides = |id: &String| came.call.rules.contains(id);
        let rules = policy.weigh(&facts).map(|(rule, outcome)| Row {
            cells: [
                rule.origin.id.clone(),
                rule.effect.name().to_owned(),
                rule.origin.place.clone(),
            ],
            outcome: words(&outcome, rule.shadow),
            decides: decides(&rule.origin.id),
        });
        let tools = &policy.tools;
        let origin = tools.default_origin.clone();
        let is_said = origin.id == decision.by.rule;
        let default = Row {
            decides: decides(&origin.id),
            cells: [origin.id, tools.default.name().to_owned(), origin.place],
            outcome: if is_said { "no rule matches" } else { "a rule matches" }.to_owned(),
        };
        let risk = policy.risk(call.tool, risk);
        let risks = policy.risks.iter().flat_map(|risks| {
            risk.acts().filter_map(|(act, why)| {
                let (_, effect, origin) = risks.effects.iter().find(|(it, ..)| *it == act)?;
                let cells = [origin.id.clone(), effect.name().to_owned(), origin.place.clone()];
                let outcome = format!("{}: {why}", act.says());
                Some(Row { decides: decides(&origin.id), cells, outcome })
            })
        });
        let rows = rules.chain([default]).chain(risks).collect();
        Self { resolved, call: *call, decision, rows, came }
    }

    /// For a person.
    pub(super) fn tell(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}: {}", visible(self.call.tool), self.came.call.done.name())?;
        self.tell_of(&self.came.call, out)?;
        if self.decision.unnamed {
            writeln!(
                out,
                "  as for a client without a name: what a client calls itself opens nothing"
            )?;
        }
        if self.decision.hidden {
            writeln!(
                out,
                "  the tool is not listed, and its call is answered as an unknown tool's"
            )?;
        } else if self.came.listed == Some(false) {
            writeln!(out, "  the checks take the tool out of the list")?;
        }
        writeln!(out, "\nrules about tools, the strictest that matches decides")?;
        let cells = self.rows.iter().map(|it| {
            let [id, effect, place] = it.cells.clone();
            let decides = if it.decides { "  <- decides" } else { "" };
            vec![id, effect, place, format!("{}{decides}", it.outcome)]
        });
        columns(cells.collect(), out)?;
        self.tell_found("the call", &self.came.call, out)?;
        if let Some(answer) = &self.came.answer {
            writeln!(out, "\nthe answer: {}", answer.done.name())?;
            self.tell_of(answer, out)?;
            self.tell_found("the answer", answer, out)?;
        }
        if self.came.listed.is_none() {
            writeln!(
                out,
                "\nthe tool's definition was not given (`--tools`): what arguments are, their names say"
            )?;
        }
        Ok(())
    }

    fn tell_of(&self, came: &Came, out: &mut dyn Write) -> io::Result<()> {
        // What is said of what was mended is for the ledger: what it was before.
        let why = came.why.iter().filter(|_| came.done != Action::Fix);
        let said = why.clone().count();
        for why in why {
            writeln!(out, "  {}", visible(why))?;
        }
        if said == 0 {
            for rule in &came.rules {
                let verb = if came.done == Action::Fix { "mends it" } else { "decides" };
                writeln!(out, "  {rule} ({}) {verb}", place_of(self.resolved, rule))?;
            }
        }
        if came.shadow {
            writeln!(out, "  in shadow: that is written down, and the message goes on as it came")?;
        }
        if let (Action::Fix, Some(sent)) = (came.done, came.sent.as_ref().filter(|_| !came.shadow))
        {
            writeln!(out, "  it goes on as {}", check::escaped(&sent.to_string()))?;
        }
        Ok(())
    }

    fn tell_found(&self, what: &str, came: &Came, out: &mut dyn Write) -> io::Result<()> {
        if came.findings.is_empty() {
            return writeln!(out, "\nthe checks find nothing in {what}");
        }
        writeln!(out, "\nwhat the checks find in {what}")?;
        let rows = came.findings.iter().map(|it| {
            let decides = came.rules.iter().any(|rule| rule == it.rule);
            let decides = if decides && it.action != "allow" { "  <- decides" } else { "" };
            vec![
                it.rule.to_owned(),
                it.severity.to_owned(),
                it.action.to_owned(),
                place_of(self.resolved, it.rule),
                format!("{}: {}{decides}", visible(&it.place), visible(&it.says)),
            ]
        });
        columns(rows.collect(), out)
    }

    /// For a program.
    pub(super) fn report(&self) -> Value {
        let policy = &self.resolved.policy;
        let rules = self.rows.iter().map(|it| {
            let [id, effect, place] = &it.cells;
            let (outcome, decides) = (&it.outcome, it.decides);
            json!({
                "id": id, "effect": effect, "place": place, "outcome": outcome, "decides": decides,
            })
        });
        let checks = check::rules().map(|rule| {
            let stance = |from| policy.stance(from, rule).name();
            json!({
                "rule": rule.id,
                "client": stance(Side::Client),
                "server": stance(Side::Server),
                "place": place_of(self.resolved, rule.id),
            })
        });
        let call = self.came(&self.came.call);
        let mut report = json!({
            "tool": self.call.tool,
            "server": self.resolved.policy.tools.server,
            "listed": !self.decision.hidden && self.came.listed != Some(false),
            "unnamed": self.decision.unnamed,
            "rules": rules.collect::<Vec<_>>(),
            "checks": checks.collect::<Vec<_>>(),
            "answer": self.came.answer.as_ref().map(|it| self.came(it)),
        });
        if let (Some(report), Value::Object(call)) = (report.as_object_mut(), call) {
            report.extend(call);
        }
        report
    }

    fn came(&self, came: &Came) -> Value {
        let by =
            came.rules.iter().map(|it| json!({ "rule": it, "place": place_of(self.resolved, it) }));
        let found = |it: &Noted| {
            json!({
                "rule": it.rule, "severity": it.severity, "action": it.action, "at": it.place,
                "says": it.says, "place": place_of(self.resolved, it.rule),
            })
        };
        json!({
            "verdict": came.done.name(),
            "shadow": came.shadow,
            "by": by.collect::<Vec<_>>(),
            "why": came.why,
            "findings": came.findings.iter().map(found).collect::<Vec<_>>(),
            "sent": came.sent,
            "told": came.told,
        })
    }
}

fn words(outcome: &Outcome, shadow: bool) -> String {
    let said = match outcome {
        Outcome::OtherServer => "another server".to_owned(),
        Outcome::OtherTool => "another tool".to_owned(),
        Outcome::OtherArgument(name) if name.is_empty() => "other arguments".to_owned(),
        Outcome::OtherArgument(name) => format!("another `{name}`"),
        Outcome::NotNow => "`when` is false".to_owned(),
        Outcome::Matches => "matches".to_owned(),
        Outcome::Disguised(reads) => format!("the name reads as `{reads}`, which denies"),
        Outcome::Fails(why) => format!("`when` fails, which denies: {why}"),
    };
    if shadow { format!("{said} (in shadow)") } else { said }
}
