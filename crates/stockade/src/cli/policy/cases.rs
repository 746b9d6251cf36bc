//! `stockade policy test`: does a policy do with calls what it should?

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};
use stockade_core::check::{self, escaped, visible};
use stockade_core::json::Document;
use stockade_core::policy::{Action, CallFacts, Outcome, Policy};

use super::{count, listed, place_of};
use crate::cli::printed;
use crate::config::cases::{Case, Cases, Tools};
use crate::config::{ConfigError, Flags, Resolved, Search};
use crate::failure::{Exit, Failure};
use crate::rehearsal::{Call, Came, Scene, rehearse};

/// Tests a policy: a file has calls, and what is to be done with each. Calls are judged as a guard judges
/// the first call of a client; nothing is started, sent or looked up. What a policy decides in shadow is
/// tested as if it were enforced.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  stockade policy test notes.test.toml
  stockade policy test policies/*.test.toml --format junit > junit.xml

A file of cases, which names its policy and the definitions of the server's tools:
  policy = \"notes.toml\"
  tools = \"notes.tools.json\"          # a result of tools/list

  [[cases]]
  name = \"a key is not read\"
  tool = \"read_file\"
  args = { path = \"/home/me/notes/.env\" }
  expect = \"deny\"                     # allow, fix, ask or deny
  rule = \"tools.no-keys\"              # by whom, if that matters

A case may say more: `mended` (the arguments that go on), `answer` (what the server says: a text, or a
result), `arrives` and `arrives_rule` (what is done with that), `client`, `principal`.

Exit codes: 0 all as expected, 1 not so (or with --all-rules, a rule that no case met), 2 a file cannot
be read.")]
pub(super) struct TestArgs {
    /// Files of cases.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Test this policy, in place of those that the files name.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Fail when a rule of a policy was met by no case.
    #[arg(long)]
    all_rules: bool,
    /// How to say it.
    #[arg(long, value_enum, default_value_t)]
    format: As,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum As {
    /// For a person.
    #[default]
    Human,
    /// For a program.
    Json,
    /// For continuous integration.
    Junit,
}

/// A file of cases, and what came of them.
struct Tested {
    path: String,
    policy: String,
    results: Vec<(Case, Result<(), String>)>,
}

/// The rules of a policy, with where they are, and whether a case met them.
type Rules = BTreeMap<String, (String, bool)>;

impl TestArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let (mut tested, mut rules, mut unreadable) = (Vec::new(), BTreeMap::new(), false);
        for path in &self.files {
            match self.file(path, &mut rules) {
                Ok(it) => tested.push(it),
                Err(failure) => {
                    unreadable = true;
                    anstream::eprintln!("{failure}");
                }
            }
        }
        let report = Tests { tested, rules };
        let mut out = Vec::new();
        let written = match self.format {
            As::Human => report.tell(&mut out),
            As::Json => writeln!(out, "{}", escaped(&report.json().to_string())),
            As::Junit => {
                let junit = report.junit(self.all_rules).to_string();
                let junit =
                    junit.map_err(|it| Failure::new(Exit::Usage, "cannot print").from(it))?;
                out.write_all(junit.as_bytes())
            }
        };
        printed(written.and_then(|()| io::stdout().write_all(&out)))?;
        let unmet = self.all_rules && report.unmet().next().is_some();
        Ok(match (unreadable, report.failed() > 0 || unmet) {
            (true, _) => Exit::Usage.into(),
            (false, true) => Exit::Findings.into(),
            (false, false) => ExitCode::SUCCESS,
        })
    }

    fn file(&self, path: &Path, rules: &mut BTreeMap<String, Rules>) -> Result<Tested, Failure> {
        let rendered = |it: ConfigError| Failure::rendered(Exit::Usage, it.render(true));
        let shown = path.display().to_string();
        let cases = Cases::read(path).map_err(|error| {
            if matches!(error, ConfigError::Problems(_)) {
                return rendered(error);
            }
            Failure::new(Exit::Usage, format!("cannot read the cases in `{shown}`"))
                .from(error)
                .help("name a file of cases; `stockade policy test --help` shows one")
        })?;
        let policy = self.policy.clone().or(cases.policy).ok_or_else(|| {
            let says = format!("`{shown}` names no policy");
            Failure::new(Exit::Usage, says)
                .help("write `policy = \"FILE\"` at its top, or use `--policy FILE`")
        })?;
        let flags = Flags { server: cases.server, roots: cases.roots, ..Flags::default() };
        let search = Search::Named(policy.clone());
        let mut resolved = Resolved::read(&search, &flags).map_err(rendered)?;
        // Nobody else has it yet.
        if let Some(policy) = Arc::get_mut(&mut resolved.policy) {
            policy.shadow = false;
        }
        let tools = match &cases.tools {
            Tools::None => Vec::new(),
            Tools::File(path) => listed::tools(path)?,
            Tools::These(tools) => tools.clone(),
        };
        let policy = policy.display().to_string();
        let known = rules.entry(policy.clone()).or_default();
        for (rule, place) in written(&resolved) {
            known.entry(rule).or_insert((place, false));
        }
        let mut results = Vec::new();
        for case in cases.list {
            let (result, met) = tried(&case, &resolved, &tools);
            for rule in met {
                if let Some((_, is_met)) = known.get_mut(&rule) {
                    *is_met = true;
                }
            }
            results.push((case, result));
        }
        Ok(Tested { path: shown, policy, results })
    }
}

/// Every rule that a policy has itself: those about tools, what is done where none matches, and what
/// it says of the checks.
fn written(resolved: &Resolved) -> Vec<(String, String)> {
    let tools = &resolved.policy.tools;
    let of_tools = tools.rules.iter().map(|it| it.origin.clone());
    let default = Some(tools.default_origin.clone()).filter(|it| it.place != "built in");
    let origins = of_tools.chain(default).map(|it| (it.id, it.place));
    // What several calls show, or what a process does, is in no case.
    let is_of_a_case = |it: &&&str| **it != check::FLOW.id && **it != check::OBSERVED.id;
    let checks = resolved.policy.rules.keys().filter(is_of_a_case);
    let checks = checks.map(|it| ((*it).to_owned(), place_of(resolved, it)));
    origins.chain(checks).collect()
}

/// What came of a case, and which rules it met.
fn tried(
    case: &Case,
    resolved: &Resolved,
    tools: &[Value],
) -> (Result<(), String>, BTreeSet<String>) {
    let arguments = Document::parse(case.arguments.clone().into(), &Default::default());
    let arguments = match arguments {
        Ok(it) if it.root().is_object() => it,
        Ok(_) => return (Err("`args` is no object".to_owned()), BTreeSet::new()),
        Err(error) => {
            return (Err(format!("`args` cannot be read: {error}")), BTreeSet::new());
        }
    };
    let call = Call {
        tool: &case.tool,
        arguments: &case.arguments,
        client: case.client.as_deref(),
        principal: case.principal.as_deref(),
    };
    let scene = Scene { policy: &resolved.policy, tools, looks: false };
    let came = rehearse(&scene, &call, case.answer.as_ref());
    let facts = CallFacts {
        tool: &case.tool,
        arguments: Some(arguments.root()),
        client: call.client,
        principal: call.principal.or(Some("local")),
        roots: &resolved.policy.roots,
    };
    let mut met = met(&resolved.policy, &facts);
    let both = [Some(&came.call), came.answer.as_ref()];
    met.extend(both.iter().flatten().flat_map(|it| &it.findings).map(|it| it.rule.to_owned()));
    let result = as_expected(case.expect, &case.rules, &came.call, resolved)
        .and_then(|()| match (&case.mended, &came.call.sent) {
            (Some(wanted), Some(sent)) if wanted != sent => {
                Err(format!("it goes on as {sent}, and not as {wanted}"))
            }
            (Some(wanted), None) => Err(format!("it does not go on, and not as {wanted}")),
            (Some(_), Some(_)) | (None, _) => Ok(()),
        })
        .and_then(|()| match (case.arrives, &came.answer) {
            (Some(wanted), Some(answer)) => {
                as_expected(wanted, &case.arrives_rules, answer, resolved)
                    .map_err(|it| format!("of the answer, {it}"))
            }
            (Some(_), None) => Err("there is no answer, since the call does not go on".to_owned()),
            (None, _) => Ok(()),
        });
    (result, met)
}

fn met(policy: &Policy, facts: &CallFacts<'_>) -> BTreeSet<String> {
    let matches = |it: &Outcome| match it {
        Outcome::Matches | Outcome::Disguised(_) | Outcome::Fails(_) => true,
        Outcome::OtherServer | Outcome::OtherTool | Outcome::OtherArgument(_) | Outcome::NotNow => {
            false
        }
    };
    let rules = policy.weigh(facts).filter(|(_, outcome)| matches(outcome));
    let mut met: BTreeSet<String> = rules.map(|(rule, _)| rule.origin.id.clone()).collect();
    met.insert(policy.call(facts).by.rule);
    met
}

fn as_expected(
    wanted: Action,
    by: &[String],
    came: &Came,
    resolved: &Resolved,
) -> Result<(), String> {
    let is_by = by.is_empty() || by.iter().any(|it| came.rules.contains(it));
    if wanted == came.done && is_by {
        return Ok(());
    }
    let expected = match by {
        [] => wanted.name().to_owned(),
        _ => format!("{} by {}", wanted.name(), by.join(" or ")),
    };
    let rules = came.rules.iter().map(|it| format!("{it} ({})", place_of(resolved, it)));
    let rules: Vec<_> = rules.collect();
    let by = if rules.is_empty() { String::new() } else { format!(" by {}", rules.join(", ")) };
    let why: String = came.why.iter().map(|it| format!("\n  {it}")).collect();
    Err(format!("expected {expected}, and it is {}{by}{why}", came.done.name()))
}

/// All files, and what came of them.
struct Tests {
    tested: Vec<Tested>,
    /// By policy.
    rules: BTreeMap<String, Rules>,
}

impl Tests {
    fn results(&self) -> impl Iterator<Item = &(Case, Result<(), String>)> {
        self.tested.iter().flat_map(|it| &it.results)
    }

    fn failed(&self) -> usize {
        self.results().filter(|(_, it)| it.is_err()).count()
    }

    /// The rules that no case met: the policy, the rule, and where it is.
    fn unmet(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.rules.iter().flat_map(|(policy, rules)| {
            rules
                .iter()
                .filter(|(_, (_, is_met))| !is_met)
                .map(move |(rule, (place, _))| (policy.as_str(), rule.as_str(), place.as_str()))
        })
    }

    fn tell(&self, out: &mut Vec<u8>) -> io::Result<()> {
        for file in &self.tested {
            let all = file.results.len();
            let good = file.results.iter().filter(|(_, it)| it.is_ok()).count();
            let path = visible(&file.path);
            match good == all {
                true => writeln!(out, "ok: {path}: {}", count(all, "case", "cases"))?,
                false => writeln!(out, "not ok: {path}: {good} of {all} cases as expected")?,
            }
            for (case, result) in &file.results {
                if let Err(says) = result {
                    writeln!(out, "  {} ({path}:{})", visible(&case.name), case.line)?;
                    for line in says.lines() {
                        writeln!(out, "    {}", visible(line))?;
                    }
                }
            }
        }
        for (policy, rules) in &self.rules {
            let unmet = rules.iter().filter(|(_, (_, is_met))| !is_met);
            let unmet: Vec<_> =
                unmet.map(|(rule, (place, _))| format!("{rule} ({place})")).collect();
            let (policy, all) = (visible(policy), rules.len());
            match (all, unmet.as_slice()) {
                (0, _) => writeln!(out, "{policy}: no rules of its own")?,
                (_, []) => writeln!(out, "{policy}: each of its {all} rules was met by a case")?,
                (_, unmet) => {
                    let says = format!("{} of its {all} rules were met by no case", unmet.len());
                    writeln!(out, "{policy}: {says}: {}", visible(&unmet.join(", ")))?;
                }
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let case = |(case, result): &(Case, Result<(), String>)| {
            json!({
                "name": case.name,
                "line": case.line,
                "tool": case.tool,
                "ok": result.is_ok(),
                "says": result.as_ref().err(),
            })
        };
        let files = self.tested.iter().map(|it| {
            let cases: Vec<_> = it.results.iter().map(case).collect();
            json!({ "file": it.path, "policy": it.policy, "cases": cases })
        });
        let unmet = self
            .unmet()
            .map(|(policy, rule, place)| json!({ "policy": policy, "rule": rule, "place": place }));
        json!({
            "ok": self.failed() == 0,
            "cases": self.results().count(),
            "failed": self.failed(),
            "files": files.collect::<Vec<_>>(),
            "unmet": unmet.collect::<Vec<_>>(),
        })
    }

    /// A suite for each file, and one for the rules that no case met.
    fn junit(&self, all_rules: bool) -> Report {
        let mut report = Report::new("stockade policy test");
        for file in &self.tested {
            let mut suite = TestSuite::new(visible(&file.path));
            for (case, result) in &file.results {
                let status = match result {
                    Ok(()) => TestCaseStatus::success(),
                    Err(says) => failed(says),
                };
                let mut it = TestCase::new(visible(&case.name), status);
                it.set_classname(visible(&file.policy));
                it.set_system_out(format!("{}:{}", file.path, case.line));
                suite.add_test_case(it);
            }
            report.add_test_suite(suite);
        }
        if all_rules && self.unmet().next().is_some() {
            let mut suite = TestSuite::new("rules that no case met");
            for (policy, rule, place) in self.unmet() {
                let mut it = TestCase::new(rule, failed(&format!("no case met it ({place})")));
                it.set_classname(visible(policy));
                suite.add_test_case(it);
            }
            report.add_test_suite(suite);
        }
        report
    }
}

fn failed(says: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(says.lines().next().unwrap_or_default().to_owned());
    status.set_description(says.to_owned());
    status
}
