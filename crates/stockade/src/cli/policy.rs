//! `stockade policy`: is the file right, what would it do, and does it do what it should?

mod cases;
mod explain;
mod listed;
mod recorded;
mod starter;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use stockade_core::check;

use self::explain::ExplainArgs;
pub(super) use self::explain::judged;
use super::{Format, learn, printed};
use crate::config::{ConfigError, Flags, Resolved, Root, Search, Server};
use crate::failure::{Exit, Failure};

/// Checks a policy, tests it, explains what it does with a call, and has one to begin with.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  stockade policy init filesystem --root ~/notes > notes.toml
  stockade policy test notes.test.toml")]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    #[command(flatten)]
    Read(Reading),
    Test(cases::TestArgs),
    Init(starter::InitArgs),
    Learn(learn::LearnArgs),
}

/// What is done with one policy file.
#[derive(Debug, Subcommand)]
enum Reading {
    Check(CheckArgs),
    Explain(Box<ExplainArgs>),
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

/// What a wrong file or wrong arguments end with.
const USAGE: u8 = 2;

/// Runs the command: 0 when the file is right, 2 when it is not.
///
/// # Errors
/// When nothing can be written.
pub(super) fn run(args: &PolicyArgs) -> Result<ExitCode, Failure> {
    let reading = match &args.command {
        PolicyCommand::Read(it) => it,
        PolicyCommand::Test(it) => return it.run(),
        PolicyCommand::Init(it) => return it.run(),
        PolicyCommand::Learn(it) => return learn::run(it),
    };
    let mut out = Vec::new();
    let code = run_to(reading, &mut out, &mut anstream::stderr());
    let code = code.map_err(|it| Failure::new(Exit::Usage, "cannot print").from(it))?;
    printed(anstream::stdout().write_all(&out))?;
    Ok(code.into())
}

fn run_to(reading: &Reading, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let (file, server, roots, format) = match reading {
        Reading::Check(it) => (&it.file, &it.server, &[][..], it.format),
        Reading::Explain(it) => (&it.file, &it.server, &it.roots[..], it.format),
    };
    let search = Search::new(file.as_deref());
    if let Some(note) = std::env::current_dir().ok().and_then(|it| search.overlooks(&it)) {
        writeln!(err, "note: {note}")?;
    }
    let flags = Flags { server: server.clone(), roots: roots.to_vec(), ..Flags::default() };
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
            if let Some(says) = resolved.says_nothing() {
                writeln!(err, "warning: {says}")?;
            }
            check(&resolved, format, out)?;
        }
        Reading::Explain(it) => return it.explain(&resolved, out, err),
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

/// Where the rule stands that goes by this name in a decision.
fn place_of(resolved: &Resolved, rule: &str) -> String {
    let tools = &resolved.policy.tools;
    let origins = tools.rules.iter().map(|it| &it.origin).chain([&tools.default_origin]);
    if let Some(it) = origins.into_iter().find(|it| it.id == rule) {
        return it.place.clone();
    }
    let of_quota = |id: &str| rule.strip_prefix(id).is_some_and(|it| it.starts_with('.'));
    if let Some(it) = resolved.policy.quotas.iter().find(|it| of_quota(&it.origin.id)) {
        return it.origin.place.clone();
    }
    match check::rule(rule) {
        Some(rule) => {
            let severity = format!("severity.{}", rule.severity.name());
            let key = [format!("rules.{}", rule.id), severity, "preset".to_owned()];
            let place = key.iter().map(|it| resolved.place(it)).find(|it| *it != "built in");
            place.unwrap_or("built in").to_owned()
        }
        None => resolved.place(rule).to_owned(),
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::Value;

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
          = help: one of `preset`, `mode`, `default`, `roots`, `client_roots`, `lock`, `rules`, `severity`, `limits`, `approvals`, `alerts`, `metrics`, `traces`, `quotas`, `roles`, `risk`, `sampling`, `elicitation`, `canaries`, `http`, `sandbox`, `ledger`, `tools`, `arguments`, `hosts`, `servers`
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
    fn a_policy_that_says_nothing_is_told() {
        for text in ["", "\n # nothing\n"] {
            let said = run_on(text, &["check"]);
            assert!(said.contains("warning: the policy `stockade.toml` says nothing"), "{said}");
        }
        assert!(!run_on("roots = []\n", &["check"]).contains("warning"));
    }

    #[test]
    fn a_program_is_told_the_same() {
        insta::assert_snapshot!(run_on("x = 1", &["check", "--format", "json"]), @r#"
        {"errors":[{"bytes":[0,1],"help":"one of `preset`, `mode`, `default`, `roots`, `client_roots`, `lock`, `rules`, `severity`, `limits`, `approvals`, `alerts`, `metrics`, `traces`, `quotas`, `roles`, `risk`, `sampling`, `elicitation`, `canaries`, `http`, `sandbox`, `ledger`, `tools`, `arguments`, `hosts`, `servers`","label":"unknown key","line":1,"path":"stockade.toml","says":"there is no key `x`"}],"ok":false}
        exit 2
        "#);
    }

    #[test]
    fn a_denied_call_is_explained() {
        let args = r#"{"text": "a\u200bb"}"#;
        let said = run_on(FILE, &["explain", "--tool", "rm_all", "--args", args]);
        insta::assert_snapshot!(said, @r#"
        rm_all: deny
          tools[1] (stockade.toml:9) denies it
          the tool is not listed, and its call is answered as an unknown tool's

        rules about tools, the strictest that matches decides
          tools[0]  allow  stockade.toml:5   another tool
          tools[1]  deny   stockade.toml:9   matches  <- decides
          tools[2]  ask    stockade.toml:12  `when` fails, which denies: there is no `size`
          default   ask    stockade.toml:1   a rule matches

        what the checks find in the call
          hidden_unicode  high  deny  stockade.toml:4  /params/arguments/text: 1 character that nobody sees, the first U+200B

        the tool's definition was not given (`--tools`): what arguments are, their names say
        exit 0
        "#);
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
        assert_eq!((&told["verdict"], &told["listed"]), (&json!("allow"), &json!(true)));
        assert_eq!(told["by"], json!([{ "rule": "tools[0]", "place": "stockade.toml:5" }]));
        assert_eq!(told["sent"], json!({ "path": "/usr/a", "size": 3 }));
        let rule = json!({
            "id": "tools[2]", "effect": "ask", "place": "stockade.toml:12", "decides": false,
            "outcome": "`when` is false",
        });
        assert_eq!(told["rules"][2], rule);
    }

    #[test]
    fn a_call_that_the_checks_decide_is_explained() {
        let line = ["explain", "--tool", "read_file", "--args", r#"{"path": "/etc/passwd"}"#];
        insta::assert_snapshot!(run_on(FILE, &line), @r#"
        read_file: deny
          path_outside_roots at /params/arguments/path: path, by its name: the path is outside every root

        rules about tools, the strictest that matches decides
          tools[0]  allow  stockade.toml:5   another `path`
          tools[1]  deny   stockade.toml:9   another tool
          tools[2]  ask    stockade.toml:12  `when` fails, which denies: there is no `size`
          default   ask    stockade.toml:1   a rule matches

        what the checks find in the call
          path_outside_roots  high  deny  stockade.toml:4  /params/arguments/path: path, by its name: the path is outside every root  <- decides

        the tool's definition was not given (`--tools`): what arguments are, their names say
        exit 0
        "#);
        let file = "[rules]\nhidden_unicode = \"fix\"\n";
        let line = ["explain", "--tool", "say", "--args", r#"{"text": "a\u200bb"}"#];
        let answer = r#"{"isError": true, "content": [{"type": "text", "text": "cannot open /home/ada/x.py"}]}"#;
        let line = [&line[..], &["--answer", answer]].concat();
        insta::assert_snapshot!(run_on(file, &line), @r#"
        say: fix
          hidden_unicode (stockade.toml:2) mends it
          it goes on as {"text":"ab"}

        rules about tools, the strictest that matches decides
          default  allow  built in  no rule matches

        what the checks find in the call
          hidden_unicode  high  fix  stockade.toml:2  /params/arguments/text: 1 character that nobody sees, the first U+200B  <- decides

        the answer: fix
          error_detail (built in) mends it
          it goes on as {"content":[{"text":"cannot open [path withheld] (reference rehearsal.2)","type":"text"}],"isError":true}

        what the checks find in the answer
          error_detail  medium  fix  built in  /result/content/0/text: a path of the host  <- decides

        the tool's definition was not given (`--tools`): what arguments are, their names say
        exit 0
        "#);
    }

    #[test]
    fn a_name_that_opens_nothing_is_explained() {
        let file = "default = \"deny\"\n[[tools]]\neffect = \"allow\"\ntool = \"*\"\n\
            when = \"client == 'desk'\"\n";
        let said = run_on(file, &["explain", "--tool", "t", "--client", "desk"]);
        insta::assert_snapshot!(said, @"
        t: deny
          default (stockade.toml:1) denies it
          as for a client without a name: what a client calls itself opens nothing

        rules about tools, the strictest that matches decides
          tools[0]  allow  stockade.toml:2  `when` is false
          default   deny   stockade.toml:1  no rule matches  <- decides

        the checks find nothing in the call

        the tool's definition was not given (`--tools`): what arguments are, their names say
        exit 0
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
