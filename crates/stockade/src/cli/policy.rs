//! `stockade policy`: is the file right, and what would it do?

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use stockade_core::check;
use stockade_core::json::Document;
use stockade_core::message::Side;
use stockade_core::policy::{CallFacts, Decision, Outcome};
use stockade_core::risk::Risk;

use super::{Format, learn, printed};
use crate::config::{ConfigError, Flags, Resolved, Root, Search, Server};
use crate::failure::{Exit, Failure};

/// Checks the policy, and explains what it does with a call.
#[derive(Args, Debug)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    #[command(flatten)]
    Read(Reading),
    Learn(learn::LearnArgs),
}

/// What is done with one policy file.
#[derive(Debug, Subcommand)]
enum Reading {
    Check(CheckArgs),
    Explain(ExplainArgs),
}

/// Says whether a policy file is right, and what is wrong with it: problems of form are shown first,
/// and those of meaning once there are none.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  stockade policy check
  stockade policy check ./stockade.toml --format json")]
pub(super) struct CheckArgs {
    /// The file; without it, the one that would be used.
    file: Option<PathBuf>,
    /// The server of the file that this is about.
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// How to say it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Says what the tables about tools would have happen to a call, and which of them decides. What the
/// rules about messages (`stockade explain`) would find in it is not asked.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  stockade policy explain --tool delete_file
  stockade policy explain --tool read_file --args '{\"path\": \"/etc/passwd\"}' ./stockade.toml")]
pub(super) struct ExplainArgs {
    /// The file; without it, the one that would be used.
    file: Option<PathBuf>,
    /// The tool that is called.
    #[arg(long, value_name = "NAME")]
    tool: String,
    /// The server of the file that is called.
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// The arguments of the call.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    /// What the client calls itself, as `when` knows it.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Who is signed in, as `when` knows them.
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// How to say it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What a wrong file or wrong arguments end with.
const USAGE: u8 = 2;

/// Runs the command: 0 when the file is right, 2 when it is not.
///
/// # Errors
/// When nothing can be written.
pub(super) fn run(args: &PolicyArgs) -> Result<ExitCode, Failure> {
    let reading = match &args.command {
        PolicyCommand::Read(it) => it,
        PolicyCommand::Learn(it) => return learn::run(it),
    };
    let mut out = Vec::new();
    let code = run_to(reading, &mut out, &mut anstream::stderr());
    let code = code.map_err(|it| Failure::new(Exit::Usage, "cannot print").from(it))?;
    printed(anstream::stdout().write_all(&out))?;
    Ok(code.into())
}

fn run_to(reading: &Reading, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let (file, server, format) = match reading {
        Reading::Check(it) => (&it.file, &it.server, it.format),
        Reading::Explain(it) => (&it.file, &it.server, it.format),
    };
    let search = Search::new(file.as_deref());
    if let Some(note) = std::env::current_dir().ok().and_then(|it| search.overlooks(&it)) {
        writeln!(err, "note: {note}")?;
    }
    let flags = Flags { server: server.clone(), ..Flags::default() };
    let resolved = match Resolved::read(&search, &flags) {
        Ok(it) => it,
        Err(error) => {
            wrong(&error, format, out, err)?;
            return Ok(USAGE);
        }
    };
    match reading {
        Reading::Check(_) => {
            let absent = absent(&search, &resolved);
            if !absent.is_empty() {
                not_there(&absent, format, out, err)?;
                return Ok(USAGE);
            }
            check(&resolved, format, out)?;
        }
        Reading::Explain(it) => {
            let arguments = match Document::parse(it.args.clone().into(), &Default::default()) {
                Ok(arguments) if arguments.root().is_object() => Ok(arguments),
                Ok(_) => Err("not an object".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            match arguments {
                Ok(arguments) => explain(&resolved, it, &arguments, out)?,
                Err(why) => {
                    writeln!(err, "error: `--args` is not what a call has: {why}")?;
                    writeln!(err, "help: write an object, as in `--args '{{\"path\": \"/a\"}}'`")?;
                    return Ok(USAGE);
                }
            }
        }
    }
    Ok(0)
}

fn wrong(
    error: &ConfigError,
    format: Format,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Human => writeln!(err, "{}", error.render(true)),
        Format::Json => writeln!(out, "{}", json!({ "ok": false, "errors": error.to_json() })),
    }
}

/// Roots that are no directories here, of this server and of all others. One that is misspelled
/// bounds nothing that anybody means, and stops each start.
fn absent(search: &Search, resolved: &Resolved) -> Vec<Root> {
    let of = |server: &Server| {
        let flags = Flags { server: Some(server.name.clone()), ..Flags::default() };
        Resolved::read(search, &flags).map(|it| it.roots).unwrap_or_default()
    };
    let all = resolved.roots.iter().cloned().chain(resolved.servers.iter().flat_map(of));
    let mut absent: Vec<Root> = Vec::new();
    for root in all.filter(|it| !it.is_uri() && !Path::new(&it.path).is_dir()) {
        if !absent.iter().any(|it| it.origin == root.origin && it.path == root.path) {
            absent.push(root);
        }
    }
    absent
}

fn not_there(
    absent: &[Root],
    format: Format,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    const HELP: &str = "mend its name, or make it; a policy for another machine is checked there";
    let says =
        |it: &Root| format!("the root `{}` is no directory here ({})", it.path, it.origin.place);
    if format == Format::Json {
        let errors = absent.iter().map(|it| json!({ "says": says(it), "help": HELP }));
        let report = json!({ "ok": false, "errors": errors.collect::<Vec<_>>() });
        return writeln!(out, "{report}");
    }
    for root in absent {
        writeln!(err, "error: {}", says(root))?;
    }
    writeln!(err, "help: {HELP}")
}

fn path(resolved: &Resolved) -> String {
    let path = resolved.source.as_ref().map(|it| it.path.display().to_string());
    path.unwrap_or_else(|| "no file: what is built in".to_owned())
}

fn check(resolved: &Resolved, format: Format, out: &mut dyn Write) -> io::Result<()> {
    let (policy, tools) = (&resolved.policy, &resolved.policy.tools);
    let said = resolved.settings.iter().filter(|it| it.place != "built in");
    if format == Format::Json {
        let settings = resolved
            .settings
            .iter()
            .map(|it| json!({ "key": it.key, "value": it.value, "place": it.place }));
        let roots = resolved
            .roots
            .iter()
            .map(|it| json!({ "path": it.path, "write": it.write, "place": it.origin.place }));
        let report = json!({
            "ok": true,
            "path": resolved.source.as_ref().map(|it| it.path.display().to_string()),
            "default": tools.default.name(),
            "tools": tools.rules.len(),
            "servers": resolved.servers.iter().map(|it| &it.name).collect::<Vec<_>>(),
            "roots": roots.collect::<Vec<_>>(),
            "settings": settings.collect::<Vec<_>>(),
        });
        return writeln!(out, "{report}");
    }
    writeln!(out, "ok: {}", path(resolved))?;
    writeln!(
        out,
        "  {}, else {}",
        count(tools.rules.len(), "rule about tools", "rules about tools"),
        tools.default.name()
    )?;
    writeln!(out, "  {}", count(resolved.servers.len(), "server", "servers"))?;
    if policy.roots.is_empty() {
        writeln!(
            out,
            "  no roots: a server's process sees programs only; arguments are not bounded"
        )?;
    }
    for root in resolved.roots.iter().filter(|it| it.is_uri()) {
        writeln!(out, "  root {} ({})", root.path, root.origin.place)?;
    }
    for root in resolved.roots.iter().filter(|it| !it.is_uri()) {
        let mode = if root.write { "read, write" } else { "read only" };
        writeln!(out, "  root {}, {mode} ({})", root.path, root.origin.place)?;
    }
    for it in said {
        writeln!(out, "  {} = {} ({})", it.key, it.value, it.place)?;
    }
    Ok(())
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn explain(
    resolved: &Resolved,
    args: &ExplainArgs,
    arguments: &Document,
    out: &mut dyn Write,
) -> io::Result<()> {
    let policy = &resolved.policy;
    let call = CallFacts {
        tool: &args.tool,
        arguments: Some(arguments.root()),
        client: args.client.as_deref(),
        principal: args.principal.as_deref(),
        roots: &policy.roots,
    };
    let decision = policy.call(&call);
    let call = if decision.unnamed { CallFacts { client: None, ..call } } else { call };
    let rules: Vec<Row> = policy
        .weigh(&call)
        .map(|(rule, outcome)| Row {
            cells: [
                rule.origin.id.clone(),
                rule.effect.name().to_owned(),
                rule.origin.place.clone(),
            ],
            outcome: words(&outcome),
            decides: rule.origin.id == decision.by.rule,
        })
        .chain([default(resolved, &decision)])
        .chain(risks(resolved, &args.tool, &decision))
        .collect();
    let checks: Vec<[String; 4]> = check::rules()
        .map(|rule| {
            let stance = |from| policy.stance(from, rule).name().to_owned();
            let severity = format!("severity.{}", rule.severity.name());
            let key = [format!("rules.{}", rule.id), severity, "preset".to_owned()];
            let place = key.iter().map(|it| resolved.place(it)).find(|it| *it != "built in");
            let place = place.unwrap_or("built in").to_owned();
            [rule.id.to_owned(), stance(Side::Client), stance(Side::Server), place]
        })
        .collect();
    if args.format == Format::Json {
        return writeln!(out, "{}", report(args, &decision, &rules, &checks));
    }
    writeln!(out, "{}: {}", args.tool, decision.verdict.name())?;
    writeln!(out, "  {}", decision.by.internal)?;
    if decision.unnamed {
        writeln!(
            out,
            "  as for a client without a name: what a client calls itself opens nothing"
        )?;
    }
    if decision.hidden {
        writeln!(out, "  the tool is not listed, and its call is answered as an unknown tool's")?;
    }
    writeln!(out, "\nrules about tools, the strictest that matches decides")?;
    let cells = rules.iter().map(|it| {
        let [id, effect, place] = it.cells.clone();
        let decides = if it.decides { "  <- decides" } else { "" };
        vec![id, effect, place, format!("{}{decides}", it.outcome)]
    });
    columns(cells.collect(), out)?;
    writeln!(out, "\nchecks of what is said: from the client, from the server")?;
    columns(checks.into_iter().map(|it| it.to_vec()).collect(), out)
}

/// A rule about tools, and what came of it.
struct Row {
    /// Its id, its effect, and where it is.
    cells: [String; 3],
    outcome: String,
    decides: bool,
}

fn default(resolved: &Resolved, decision: &Decision) -> Row {
    let tools = &resolved.policy.tools;
    let origin = tools.default_origin.clone();
    let decides = origin.id == decision.by.rule;
    let outcome = if decides { "no rule matches" } else { "a rule matches" };
    let cells = [origin.id, tools.default.name().to_owned(), origin.place];
    Row { cells, outcome: outcome.to_owned(), decides }
}

/// What the tool does, as far as its name says, and what is done about that where no rule matches.
fn risks(resolved: &Resolved, tool: &str, decision: &Decision) -> Vec<Row> {
    let policy = &resolved.policy;
    let Some(risks) = &policy.risks else { return Vec::new() };
    let risk = policy.risk(tool, Risk::of_name(tool));
    let rows = risk.acts().filter_map(|(act, why)| {
        let (_, effect, origin) = risks.effects.iter().find(|(it, ..)| *it == act)?;
        let cells = [origin.id.clone(), effect.name().to_owned(), origin.place.clone()];
        let outcome = format!("{}: {why}", act.says());
        Some(Row { cells, outcome, decides: origin.id == decision.by.rule })
    });
    rows.collect()
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::OtherServer => "another server".to_owned(),
        Outcome::OtherTool => "another tool".to_owned(),
        Outcome::OtherArgument(name) if name.is_empty() => "other arguments".to_owned(),
        Outcome::OtherArgument(name) => format!("another `{name}`"),
        Outcome::NotNow => "`when` is false".to_owned(),
        Outcome::Matches => "matches".to_owned(),
        Outcome::Disguised(reads) => format!("the name reads as `{reads}`, which denies"),
        Outcome::Fails(why) => format!("`when` fails, which denies: {why}"),
    }
}

fn columns(rows: Vec<Vec<String>>, out: &mut dyn Write) -> io::Result<()> {
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn report(args: &ExplainArgs, decision: &Decision, rules: &[Row], checks: &[[String; 4]]) -> Value {
    let rules = rules.iter().map(|it| {
        let [id, effect, place] = &it.cells;
        let (outcome, decides) = (&it.outcome, it.decides);
        json!({
            "id": id, "effect": effect, "place": place, "outcome": outcome, "decides": decides,
        })
    });
    let checks = checks.iter().map(|[id, client, server, place]| {
        json!({ "rule": id, "client": client, "server": server, "place": place })
    });
    json!({
        "tool": args.tool,
        "server": args.server,
        "verdict": decision.verdict.name(),
        "by": decision.by.rule,
        "why": decision.by.internal,
        "listed": !decision.hidden,
        "unnamed": decision.unnamed,
        "rules": rules.collect::<Vec<_>>(),
        "checks": checks.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        reading: Reading,
    }

    const FILE: &str = r#"default = "ask"
roots = ["/usr:rw"]
[severity]
high = "deny"
[[tools]]
effect = "allow"
tool = "read_*"
args.path = { in_roots = true }
[[tools]]
effect = "deny"
tool = "rm*"
[[tools]]
effect = "ask"
tool = "*"
when = "args.size > 10"
"#;

    /// What a command line prints of a file, and its exit code, in one text.
    fn run_on(file: &str, line: &[&str]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stockade.toml");
        std::fs::write(&path, file).unwrap();
        let path = path.to_str().unwrap();
        let args = Line::parse_from(["policy"].iter().chain(line).chain([&path])).reading;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = {
            let mut err = anstream::StripStream::new(&mut err);
            run_to(&args, &mut out, &mut err).unwrap()
        };
        let text = [out, err].map(|it| String::from_utf8(it).unwrap()).concat();
        let directory = format!("{}/", directory.path().display());
        format!("{}exit {code}", text.replace(&directory, ""))
    }

    #[test]
    fn a_right_file_is_summed_up() {
        insta::assert_snapshot!(run_on(FILE, &["check"]), @r#"
        ok: stockade.toml
          3 rules about tools, else ask
          0 servers
          root /usr, read, write (stockade.toml:2)
          severity.high = deny (stockade.toml:4)
          default = ask (stockade.toml:1)
        exit 0
        "#);
    }

    #[test]
    fn a_wrong_file_ends_with_two() {
        insta::assert_snapshot!(run_on("x = 1", &["check"]), @r#"
        error: there is no key `x`
         --> stockade.toml:1:1
          |
        1 | x = 1
          | ^ unknown key
          |
          = help: one of `preset`, `default`, `roots`, `client_roots`, `lock`, `rules`, `severity`, `limits`, `approvals`, `quotas`, `roles`, `risk`, `sampling`, `elicitation`, `canaries`, `http`, `sandbox`, `ledger`, `tools`, `arguments`, `hosts`, `servers`
        exit 2
        "#);
    }

    #[test]
    fn a_root_that_is_not_there_ends_with_two() {
        let file = "roots = [\"/usr\", \"/srv/none\"]\n\
            [servers.a]\ncommand = [\"x\"]\nroots = [\"/srv/neither:rw\"]\n";
        insta::assert_snapshot!(run_on(file, &["check"]), @r"
        error: the root `/srv/none` is no directory here (stockade.toml:1)
        error: the root `/srv/neither` is no directory here (stockade.toml:4)
        help: mend its name, or make it; a policy for another machine is checked there
        exit 2
        ");
        insta::assert_snapshot!(run_on("roots = [\"/usr:rx\"]\n", &["check"]), @r#"
        error: this is not a directory to work in
         --> stockade.toml:1:10
          |
        1 | roots = ["/usr:rx"]
          |          ^^^^^^^^^ `:rx` is neither `:ro` nor `:rw`
        exit 2
        "#);
    }

    #[test]
    fn a_program_is_told_the_same() {
        insta::assert_snapshot!(run_on("x = 1", &["check", "--format", "json"]), @r#"
        {"errors":[{"bytes":[0,1],"help":"one of `preset`, `default`, `roots`, `client_roots`, `lock`, `rules`, `severity`, `limits`, `approvals`, `quotas`, `roles`, `risk`, `sampling`, `elicitation`, `canaries`, `http`, `sandbox`, `ledger`, `tools`, `arguments`, `hosts`, `servers`","label":"unknown key","line":1,"path":"stockade.toml","says":"there is no key `x`"}],"ok":false}
        exit 2
        "#);
    }

    /// Of each kind one: a rule of the file, and one that nobody has said anything about.
    const SHOWN: [&str; 3] = ["hidden_unicode", "confusable", "error_detail"];

    #[test]
    fn a_denied_call_is_explained() {
        let said = run_on(FILE, &["explain", "--tool", "rm_all"]);
        let (call, checks) = said.split_once("  hidden_unicode").unwrap();
        insta::assert_snapshot!(call, @"
        rm_all: deny
          tools[1] (stockade.toml:9) denies it
          the tool is not listed, and its call is answered as an unknown tool's

        rules about tools, the strictest that matches decides
          tools[0]  allow  stockade.toml:5   another tool
          tools[1]  deny   stockade.toml:9   matches  <- decides
          tools[2]  ask    stockade.toml:12  `when` fails, which denies: there is no `size`
          default   ask    stockade.toml:1   a rule matches

        checks of what is said: from the client, from the server
        ");
        let checks = format!("  hidden_unicode{checks}");
        let words = checks.lines().map(|it| it.split_whitespace().collect::<Vec<_>>());
        let rules: Vec<_> = words.filter(|it| it.first() != Some(&"exit")).collect();
        assert_eq!(rules.len(), stockade_core::check::rules().count(), "{checks}");
        let shown: Vec<_> = rules.iter().filter(|it| SHOWN.contains(&it[0])).collect();
        assert_eq!(*shown[0], ["hidden_unicode", "deny", "deny", "stockade.toml:4"]);
        assert_eq!(*shown[1], ["confusable", "deny", "fix", "built", "in"]);
        assert_eq!(*shown[2], ["error_detail", "allow", "fix", "built", "in"]);
    }

    #[test]
    fn an_allowed_call_is_explained() {
        let args = r#"{"path": "/usr/a", "size": 3}"#;
        let line = ["explain", "--tool", "read_file", "--args", args, "--format", "json"];
        let said = run_on(FILE, &line);
        let mut told: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
        let checks = told.as_object_mut().unwrap().remove("checks").unwrap();
        let checks = checks.as_array().unwrap();
        assert_eq!(checks.len(), stockade_core::check::rules().count());
        let of_file = json!({
            "client": "deny", "place": "stockade.toml:4", "rule": "hidden_unicode", "server": "deny",
        });
        assert_eq!(checks[0], of_file);
        insta::assert_snapshot!(told.to_string(), @r#"
        {"by":"tools[0]","listed":true,"rules":[{"decides":true,"effect":"allow","id":"tools[0]","outcome":"matches","place":"stockade.toml:5"},{"decides":false,"effect":"deny","id":"tools[1]","outcome":"another tool","place":"stockade.toml:9"},{"decides":false,"effect":"ask","id":"tools[2]","outcome":"`when` is false","place":"stockade.toml:12"},{"decides":false,"effect":"ask","id":"default","outcome":"a rule matches","place":"stockade.toml:1"}],"server":null,"tool":"read_file","unnamed":false,"verdict":"allow","why":"tools[0] (stockade.toml:5) allows it"}
        "#);
    }

    #[test]
    fn a_name_that_opens_nothing_is_explained() {
        let file = "default = \"deny\"\n[[tools]]\neffect = \"allow\"\ntool = \"*\"\n\
            when = \"client == 'desk'\"\n";
        let said = run_on(file, &["explain", "--tool", "t", "--client", "desk"]);
        let said: Vec<_> = said.lines().take_while(|it| !it.starts_with("checks")).collect();
        insta::assert_snapshot!(said.join("\n"), @"
        t: deny
          default (stockade.toml:1) denies it
          as for a client without a name: what a client calls itself opens nothing

        rules about tools, the strictest that matches decides
          tools[0]  allow  stockade.toml:2  `when` is false
          default   deny   stockade.toml:1  no rule matches  <- decides
        ");
    }

    #[test]
    fn arguments_that_no_call_has_end_with_two() {
        let line = ["explain", "--tool", "t", "--args", "[1]"];
        insta::assert_snapshot!(run_on(FILE, &line), @r#"
        error: `--args` is not what a call has: not an object
        help: write an object, as in `--args '{"path": "/a"}'`
        exit 2
        "#);
    }
}
