//! What came of tests: for a person, a program, and for continuous integration. Unless times are wanted,
//! it is the same each time.

use std::path::{Path, PathBuf};

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};
use stockade_core::check::{escaped, redacted, visible};

use super::As;
use super::expect::{Sort, Wrong, place};
use super::file::{Severity, line};
use super::play::Played;
use crate::cli::sarif::{log_of, uri};
use crate::failure::{Exit, Failure};

/// A file, and what came of it.
#[derive(Debug)]
pub(super) struct Tested {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// Its steps, or why they could not be played.
    pub(super) played: Result<Vec<Played>, Failure>,
}

/// All files.
#[derive(Debug)]
pub(super) struct Tests {
    pub(super) tested: Vec<Tested>,
    /// How bad is bad.
    pub(super) fail_on: Severity,
    /// Whether it is told how long steps took.
    pub(super) times: bool,
}

impl Tested {
    /// The line of a place, from 1.
    fn line(&self, at: usize) -> usize {
        line(&self.text, at)
    }

    fn shown(&self) -> String {
        visible(&self.path.to_string_lossy())
    }
}

impl Tests {
    /// How the command ends.
    pub(super) fn exit(&self) -> Option<Exit> {
        let unplayed = self.tested.iter().find_map(|it| it.played.as_ref().err());
        let failed = self.steps().any(|it| self.is_failed(it));
        unplayed.map(Failure::exit).or_else(|| failed.then_some(Exit::Findings))
    }

    fn steps(&self) -> impl Iterator<Item = &Played> {
        self.tested.iter().flat_map(|it| it.played.iter().flatten())
    }

    fn is_bad(&self, wrong: &Wrong) -> bool {
        wrong.severity >= self.fail_on
    }

    fn is_failed(&self, it: &Played) -> bool {
        it.came.is_none() || it.wrong.iter().any(|it| self.is_bad(it))
    }

    pub(super) fn printed(&self, format: As) -> Result<String, Failure> {
        Ok(match format {
            As::Human => self.human(),
            As::Json => format!("{}\n", escaped(&self.json().to_string())),
            As::Sarif => format!("{}\n", escaped(&format!("{:#}", self.sarif()))),
            As::Junit => {
                let junit = self.junit().to_string();
                junit.map_err(|it| Failure::new(Exit::Usage, "cannot print").from(it))?
            }
        })
    }

    fn human(&self) -> String {
        let mut out = String::new();
        for file in &self.tested {
            let path = file.shown();
            let Ok(steps) = &file.played else {
                out += &format!("not ok: {path}: it could not be played\n");
                continue;
            };
            let all = steps.len();
            let good = steps.iter().filter(|it| !self.is_failed(it)).count();
            out += &match good == all {
                true => format!("ok: {path}: {all} step{}\n", if all == 1 { "" } else { "s" }),
                false => format!("not ok: {path}: {good} of {all} steps as expected\n"),
            };
            for it in
                steps.iter().filter(|it| self.times || it.came.is_none() || !it.wrong.is_empty())
            {
                let (step, came) = (it.step.as_ref(), &it.came);
                let line = file.line(it.step.span().start);
                let took = came.as_ref().filter(|_| self.times);
                let took = took.map(|it| format!(", {} ms", it.took_ms)).unwrap_or_default();
                let name = visible(&redacted(&step.called()));
                out += &format!("  {name} ({path}:{line}{took})\n");
                if came.is_none() {
                    out += "    it was not asked, since the conversation was over\n";
                }
                for wrong in &it.wrong {
                    let mark = match self.is_bad(wrong) {
                        true => String::new(),
                        false => format!("{}: ", wrong.severity.name()),
                    };
                    for (number, line) in in_lines(&wrong.says).lines().enumerate() {
                        let mark = if number == 0 { mark.as_str() } else { "" };
                        out += &format!("    {mark}{line}\n");
                    }
                }
            }
        }
        out
    }

    fn json(&self) -> Value {
        let files = self.tested.iter().map(|file| {
            let wrong = |step: &Played, it: &Wrong| {
                json!({
                    "sort": it.sort.name(), "severity": it.severity.name(),
                    "says": redacted(&it.says), "line": file.line(place(&step.step, it)),
                })
            };
            let step = |it: &Played| {
                let step = it.step.as_ref();
                let mut told = json!({
                    "name": step.called(),
                    "line": file.line(it.step.span().start),
                    "method": step.method(),
                    "outcome": it.came.as_ref().map(|it| it.outcome.name()),
                    "ok": !self.is_failed(it),
                    "wrong": it.wrong.iter().map(|wrong_one| wrong(it, wrong_one)).collect::<Vec<_>>(),
                });
                if let (true, Some(came), Some(told)) = (self.times, &it.came, told.as_object_mut()) {
                    told.insert("tookMs".to_owned(), came.took_ms.into());
                }
                told
            };
            match &file.played {
                Ok(steps) => json!({
                    "file": file.path, "steps": steps.iter().map(step).collect::<Vec<_>>(),
                }),
                Err(failure) => json!({ "file": file.path, "error": plain(failure) }),
            }
        });
        let files: Vec<Value> = files.collect();
        json!({
            "ok": self.exit().is_none(),
            "steps": self.steps().count(),
            "failed": self.steps().filter(|it| self.is_failed(it)).count(),
            "warnings": self.steps().flat_map(|it| &it.wrong).filter(|it| !self.is_bad(it)).count(),
            "files": files,
        })
    }

    /// A suite for each file, and a case for each step.
    fn junit(&self) -> Junit {
        let mut report = Junit::new("stockade test");
        for file in &self.tested {
            let mut suite = TestSuite::new(file.shown());
            match &file.played {
                Err(failure) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                    status
                        .set_message(plain(failure).lines().next().unwrap_or_default().to_owned());
                    status.set_description(plain(failure));
                    suite.add_test_case(TestCase::new("it can be played", status));
                }
                Ok(steps) => {
                    suite.add_test_cases(steps.iter().map(|it| self.case(file, it)));
                }
            }
            report.add_test_suite(suite);
        }
        report
    }

    fn case(&self, file: &Tested, it: &Played) -> TestCase {
        let step = it.step.as_ref();
        let says: Vec<String> = it.wrong.iter().map(|it| in_lines(&it.says)).collect();
        let status = match (&it.came, self.is_failed(it)) {
            (None, _) => TestCaseStatus::skipped(),
            (Some(_), false) => TestCaseStatus::success(),
            (Some(_), true) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let bad = it.wrong.iter().find(|it| self.is_bad(it));
                let first = bad.map(|it| in_lines(&it.says)).unwrap_or_default();
                status.set_message(first.lines().next().unwrap_or_default().to_owned());
                if let Some(bad) = bad {
                    status.set_type(bad.sort.name());
                }
                status.set_description(says.join("\n"));
                status
            }
        };
        let mut case = TestCase::new(visible(&redacted(&step.called())), status);
        case.set_classname(file.shown());
        let line = file.line(it.step.span().start);
        let at = [format!("{}:{line}", file.shown())];
        let warnings = it.wrong.iter().filter(|it| !self.is_bad(it));
        let warnings = warnings.map(|it| format!("{}: {}", it.severity.name(), in_lines(&it.says)));
        case.set_system_out(at.into_iter().chain(warnings).collect::<Vec<_>>().join("\n"));
        if let Some(came) = it.came.as_ref().filter(|_| self.times) {
            case.set_time(std::time::Duration::from_millis(came.took_ms));
        }
        case
    }

    fn sarif(&self) -> Value {
        let rules = Sort::ALL.map(|it| {
            json!({ "id": it.name(), "name": it.name(), "shortDescription": { "text": it.words() } })
        });
        let mut results = Vec::new();
        let mut failures = Vec::new();
        for file in &self.tested {
            let steps = match &file.played {
                Ok(steps) => steps,
                Err(failure) => {
                    failures.push(json!({
                        "level": "error", "message": { "text": plain(failure) },
                        "locations": [location(&file.path, 1)],
                    }));
                    continue;
                }
            };
            for it in steps {
                if it.came.is_none() {
                    let says = format!("`{}` was not asked", it.step.as_ref().called());
                    let line = file.line(it.step.span().start);
                    failures.push(json!({
                        "level": "error", "message": { "text": redacted(&says) },
                        "locations": [location(&file.path, line)],
                    }));
                }
                for wrong in &it.wrong {
                    let line = file.line(place(&it.step, wrong));
                    let says = format!("{}: {}", it.step.as_ref().called(), wrong.says);
                    results.push(json!({
                        "ruleId": wrong.sort.name(),
                        "ruleIndex": Sort::ALL.iter().position(|it| *it == wrong.sort),
                        "level": wrong.severity.name(),
                        "message": { "text": redacted(&says) },
                        "locations": [location(&file.path, line)],
                    }));
                }
            }
        }
        log_of(rules.into(), results, failures)
    }
}

fn location(path: &Path, line: usize) -> Value {
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(path) }, "region": { "startLine": line },
    } })
}

/// A failure without what says that it is one.
fn plain(failure: &Failure) -> String {
    let text = failure.to_string();
    in_lines(text.strip_prefix("error: ").unwrap_or(&text))
}

/// For a terminal or a report: in its lines, without secrets and what moves a cursor.
fn in_lines(text: &str) -> String {
    crate::cli::in_lines(text)
}
