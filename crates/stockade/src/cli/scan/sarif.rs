//! Findings as SARIF 2.1.0, which code hosts and editors show beside the code.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stockade_audit::{Failure, Finding, Report, Rule, Severity, Step, rules};

use super::sources::place;
use crate::cli::sarif::{log_of, uri};

const PAGES: &str =
    "https://github.com/stockade/stockade/blob/main/crates/stockade-audit/src/rules";

/// All of it as one run.
pub(super) fn log(sources: &[(PathBuf, Report)]) -> Value {
    let results: Vec<Value> = sources
        .iter()
        .flat_map(|(root, report)| {
            let all = report.findings.iter().chain(&report.notes);
            all.map(|it| result(root, it))
        })
        .collect();
    let failures: Vec<Value> = sources
        .iter()
        .flat_map(|(root, report)| report.failures.iter().map(|it| notification(root, it)))
        .collect();
    let rules = rules().iter().map(descriptor).collect();
    log_of(rules, results, failures)
}

fn descriptor(rule: &Rule) -> Value {
    let why = rule.page.lines().skip(1).find(|it| !it.is_empty()).unwrap_or(rule.title());
    json!({
        "id": rule.id,
        "name": rule.id,
        "shortDescription": { "text": rule.title() },
        "fullDescription": { "text": why },
        "help": { "text": rule.page, "markdown": rule.page },
        "helpUri": format!("{PAGES}/{}.md", rule.id),
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": {
            "tags": ["security", format!("external/cwe/cwe-{:03}", rule.cwe)],
            "security-severity": score(rule.severity),
            "precision": "high",
        },
    })
}

fn result(root: &Path, it: &Finding) -> Value {
    let index = rules().iter().position(|rule| rule.id == it.rule);
    let fix = stockade_audit::rule(it.rule).map_or("", |it| it.fix.as_str());
    // What is no mistake by itself is told, and fails nothing.
    let (level, kind) = match it.severity {
        Severity::Info => ("none", "informational"),
        Severity::Low | Severity::Medium | Severity::High | Severity::Critical => {
            (level(it.severity), "fail")
        }
    };
    let way: Vec<Value> =
        it.trace.iter().map(|step| json!({ "location": step_location(root, step) })).collect();
    let mut out = json!({
        "ruleId": it.rule,
        "level": level,
        "kind": kind,
        "message": { "text": format!("{} {fix}", it.message) },
        "locations": [location(root, &it.file, it.line, it.end)],
        "properties": { "severity": it.severity, "confidence": it.confidence, "tool": it.tool },
    });
    if let Some(out) = out.as_object_mut() {
        if let Some(index) = index {
            out.insert("ruleIndex".to_owned(), index.into());
        }
        if way.len() > 1 {
            let flows = json!([{ "threadFlows": [{ "locations": way }] }]);
            out.insert("codeFlows".to_owned(), flows);
        }
    }
    out
}

fn step_location(root: &Path, step: &Step) -> Value {
    let mut out = location(root, &step.file, step.line, step.line);
    if let Some(out) = out.as_object_mut() {
        out.insert("message".to_owned(), json!({ "text": step.what }));
    }
    out
}

/// Lines begin at 1; what has none is at the first.
fn location(root: &Path, file: &str, line: u32, end: u32) -> Value {
    let line = line.max(1);
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(&place(root, file)) },
        "region": { "startLine": line, "endLine": end.max(line) },
    } })
}

/// What could not be looked at.
fn notification(root: &Path, it: &Failure) -> Value {
    json!({
        "level": "error",
        "message": { "text": format!("{}: {}", it.path, it.cause) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&place(root, &it.path)) },
        } }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info | Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    }
}

/// As code hosts sort by it.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "0.0",
        Severity::Low => "3.0",
        Severity::Medium => "5.5",
        Severity::High => "8.0",
        Severity::Critical => "9.5",
    }
}
