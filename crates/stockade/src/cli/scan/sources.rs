//! `stockade scan SOURCE…`: what the source of servers lets a caller do, for a person and for programs.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};
use stockade_audit::{Finding, Limits, Report, Severity, audit, rule};
use stockade_core::check::{escaped, visible};

use super::sarif;
use crate::failure::{Exit, Failure};

/// How it is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum As {
    /// For a person.
    #[default]
    Human,
    /// For a program.
    Json,
    /// SARIF 2.1.0, for what shows findings beside the code.
    Sarif,
}

/// What was named, and what each of it came to.
#[derive(Debug)]
pub(super) struct Sources(Vec<(PathBuf, Report)>);

impl Sources {
    /// Reads all of them.
    pub(super) fn read(roots: &[PathBuf], all: bool) -> Result<Self, Failure> {
        let limits = Limits { tests: all, built: all, ..Limits::default() };
        let one = |root: &PathBuf| {
            let shown = visible(&root.to_string_lossy());
            fs::metadata(root).map_err(|it| {
                Failure::new(Exit::Usage, format!("cannot read `{shown}`")).from(it)
            })?;
            let report = audit(root, &limits);
            if report.files == 0 && report.is_whole() {
                let says = format!("there is no source in `{shown}`");
                let help = match report.skipped.is_empty() {
                    true => "Python, JavaScript, TypeScript, Go and Rust are read",
                    false => "all that is there was left out; `--all` also reads tests and builds",
                };
                return Err(Failure::new(Exit::Usage, says).help(help));
            }
            Ok((root.clone(), report))
        };
        roots.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Whether everything could be looked at.
    pub(super) fn is_whole(&self) -> bool {
        self.0.iter().all(|it| it.1.is_whole())
    }

    /// How bad the worst finding is. Notes are none.
    pub(super) fn worst(&self) -> Option<Severity> {
        self.0.iter().flat_map(|it| &it.1.findings).map(|it| it.severity).max()
    }

    pub(super) fn printed(&self, how: As) -> String {
        match how {
            As::Human => self.0.iter().map(|it| in_words(&it.0, &it.1)).collect(),
            As::Json => {
                let sources: Vec<Value> = self.0.iter().map(|it| as_json(&it.0, &it.1)).collect();
                format!("{}\n", escaped(&json!({ "version": 1, "sources": sources }).to_string()))
            }
            As::Sarif => format!("{}\n", escaped(&sarif::log(&self.0).to_string())),
        }
    }
}

/// A file of a source, as a person would name it from here.
pub(super) fn place(root: &Path, file: &str) -> PathBuf {
    if root.is_file() { root.to_owned() } else { root.join(file) }
}

fn shown(root: &Path, file: &str) -> String {
    visible(&place(root, file).to_string_lossy())
}

/// The worst first, each with what to write instead; then what was not looked at.
fn in_words(root: &Path, report: &Report) -> String {
    let mut out = format!(
        "{}: {} in {} of {}, {}, which can {}\n",
        visible(&root.to_string_lossy()),
        count(report.findings.len(), "finding"),
        count(report.lines, "line"),
        count(report.files, "file"),
        count(report.tools.len(), "tool"),
        can(report),
    );
    let mut findings: Vec<&Finding> = report.findings.iter().collect();
    findings.sort_by_key(|it| std::cmp::Reverse(it.severity));
    for it in findings.into_iter().chain(&report.notes) {
        one(&mut out, root, it);
    }
    if !report.failures.is_empty() {
        out.push_str("\nNot looked at, or not to the end, and so no clean bill:\n");
    }
    for it in &report.failures {
        let _ = writeln!(out, "  {}: {}", shown(root, &it.path), it.cause);
    }
    if !report.skipped.is_empty() {
        out.push_str("\nLeft out:\n");
    }
    for it in report.skipped.iter().take(SKIPPED_MAX) {
        let _ = writeln!(out, "  {}: {}", shown(root, &it.path), it.why);
    }
    if let Some(more) = report.skipped.len().checked_sub(SKIPPED_MAX).filter(|it| *it > 0) {
        let _ = writeln!(out, "  and {more} more, which `--format json` names");
    }
    out
}

/// What was left out on purpose is shown so far.
const SKIPPED_MAX: usize = 10;

fn one(out: &mut String, root: &Path, finding: &Finding) {
    let severity = match finding.severity {
        Severity::Info => "note",
        Severity::Low | Severity::Medium | Severity::High | Severity::Critical => {
            finding.severity.name()
        }
    };
    let place = shown(root, &finding.file);
    let _ = writeln!(out, "\n{place}:{}: {severity}: {}", finding.line, finding.rule);
    let _ = writeln!(out, "  {}", visible(&finding.message));
    if let Some((_, [_, ..])) = finding.trace.split_last() {
        let way = finding.trace.iter().map(|it| format!("{} (line {})", it.what, it.line));
        let way: Vec<String> = way.collect();
        let _ = writeln!(out, "  way: {}", visible(&way.join(" > ")));
    }
    if let Some(rule) = rule(finding.rule) {
        let _ = writeln!(out, "  instead: {}", rule.fix);
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

fn can(report: &Report) -> String {
    let words: Vec<&str> = report.capabilities.iter().map(|it| it.words()).collect();
    match words.split_last() {
        None => "do nothing that is known here".to_owned(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}

fn as_json(root: &Path, report: &Report) -> Value {
    let all = |of: &[Finding]| of.iter().map(finding).collect::<Vec<_>>();
    let failure = |it: &stockade_audit::Failure| json!({ "path": it.path, "cause": it.cause, "says": it.cause.to_string() });
    json!({
        "source": root.to_string_lossy(),
        "files": report.files,
        "lines": report.lines,
        "capabilities": report.capabilities,
        "tools": report.tools,
        "findings": all(&report.findings),
        "notes": all(&report.notes),
        "skipped": report.skipped,
        "failures": report.failures.iter().map(failure).collect::<Vec<_>>(),
    })
}

fn finding(it: &Finding) -> Value {
    let mut out = json!(it);
    if let (Some(rule), Some(out)) = (rule(it.rule), out.as_object_mut()) {
        out.insert("fix".to_owned(), rule.fix.as_str().into());
        out.insert("cwe".to_owned(), rule.cwe.into());
    }
    out
}
