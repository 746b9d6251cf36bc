//! The audit itself: reads the files, finds the tools, follows what comes in.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use rustc_hash::FxHashSet;

use crate::entry::{Entry, EntryKind};
use crate::flow::{Flow, Hit};
use crate::ir::{File, Trouble};
use crate::language::Language;
use crate::project::{FuncRef, Project};
use crate::report::{Cause, Confidence, Failure, Finding, Report, Step, Tool};
use crate::rules::Severity;
use crate::walk::{self, Found, Source};
use crate::{Capability, Limits, advice, lower, tokens};

/// A tree is walked by recursion, to a bounded depth; this is more than that takes.
const STACK: usize = 256 << 20;

pub(crate) fn directory(root: &Path, limits: &Limits) -> Report {
    let end = Instant::now() + limits.time;
    let found = walk::find(root, limits, end);
    all(found, end)
}

pub(crate) fn text(path: &str, language: Language, text: &str) -> Report {
    let files = vec![Source { path: path.to_owned(), language, text: text.to_owned() }];
    all(Found { files, ..Found::default() }, Instant::now() + Limits::default().time)
}

/// Does something for each of so many, on all processors. What fails is `None`.
fn each<T: Send>(
    count: usize,
    end: Instant,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<Result<T, Cause>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(count));
    let workers = thread::available_parallelism().map_or(1, usize::from).min(count.max(1));
    let turn = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                break;
            }
            let it = if Instant::now() > end {
                Err(Cause::OutOfTime)
            } else {
                catch_unwind(AssertUnwindSafe(|| work(at))).map_err(|_| Cause::Broken)
            };
            if let Ok(mut done) = done.lock() {
                done.push((at, it));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            // Where no thread can be had, nothing is done, and that is said below.
            let _ = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, turn);
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|it| it.0);
    let mut out = done.into_iter().map(|it| it.1).collect::<Vec<_>>();
    out.resize_with(count, || Err(Cause::Broken));
    out
}

fn all(found: Found, end: Instant) -> Report {
    let Found { files: sources, skipped, mut failures } = found;
    let mut report = Report { skipped, files: sources.len(), ..Report::default() };
    report.lines = sources.iter().map(|it| it.text.lines().count()).sum();
    let read = each(sources.len(), end, |at| {
        let it = sources.get(at)?;
        let file = lower::lower(&it.path, it.language, &it.text)?;
        let advice = advice::followed(&file);
        Some((file, tokens::lines(&it.text), advice))
    });
    let mut files = Vec::new();
    let mut formal = Vec::new();
    for (source, it) in sources.iter().zip(read) {
        let fail = |cause| Failure { path: source.path.clone(), cause };
        match it {
            Ok(Some((file, tokens, advice))) => {
                failures.extend(trouble(&file).map(fail));
                files.push(file);
                formal.push((tokens, advice));
            }
            Ok(None) => failures.push(fail(Cause::OutOfTime)),
            Err(cause) => failures.push(fail(cause)),
        }
    }
    let project = Project::new(files);
    for (file, (tokens, advice)) in project.files.iter().zip(formal) {
        let says = "A key or password is written into the code.";
        let token = |line| by_form(file, "token_in_code", line, line, says.to_owned());
        report.findings.extend(tokens.into_iter().map(token));
        let advice = advice.into_iter();
        report.findings.extend(advice.map(|it| by_form(file, it.rule, it.line, it.end, it.says)));
    }
    let first = each(project.files.len(), end, |at| Part::of(&project, at));
    let mut visited = FxHashSet::default();
    let mut entries = 0;
    for it in first.iter().filter_map(|it| it.as_ref().ok()) {
        visited.extend(it.visited.iter().copied());
        entries += it.entries;
    }
    // A project that registers nothing in a way that is known.
    let lost = entries == 0;
    let second = each(project.files.len(), end, |at| Part::guessed(&project, at, lost, &visited));
    for (at, it) in first.into_iter().enumerate().chain(second.into_iter().enumerate()) {
        let path = project.files.get(at).map_or(String::new(), |it| it.path.clone());
        match it {
            Ok(part) => {
                if part.unfinished {
                    failures.push(Failure { path: path.clone(), cause: Cause::TooManyWays });
                }
                if part.too_deep {
                    failures.push(Failure { path, cause: Cause::CallsTooDeep });
                }
                report.tools.extend(part.tools);
                report.findings.extend(part.findings);
            }
            Err(cause) => failures.push(Failure { path, cause }),
        }
    }
    report.failures = failures;
    tidy(&mut report);
    report
}

/// Each thing once, in the order of the files.
fn tidy(report: &mut Report) {
    let order = |a: &Finding, b: &Finding| {
        (&a.file, a.line, a.rule)
            .cmp(&(&b.file, b.line, b.rule))
            .then(b.confidence.cmp(&a.confidence))
    };
    report.findings.sort_by(order);
    report.findings.dedup_by(|a, b| a.file == b.file && a.line == b.line && a.rule == b.rule);
    let all = std::mem::take(&mut report.findings).into_iter();
    (report.notes, report.findings) = all.partition(|it| it.severity == Severity::Info);
    let mut all =
        report.tools.iter().flat_map(|it| it.capabilities.iter().copied()).collect::<Vec<_>>();
    all.sort();
    all.dedup();
    report.capabilities = all;
}

fn trouble(file: &File<'_>) -> Option<Cause> {
    match file.trouble? {
        Trouble::Syntax { line } => Some(Cause::Syntax(line)),
        Trouble::Depth { .. } => Some(Cause::TooDeep),
    }
}

/// What is found without anything of a caller's being followed.
fn by_form(file: &File<'_>, rule: &'static str, line: u32, end: u32, message: String) -> Finding {
    Finding {
        rule,
        severity: Report::severity(rule),
        confidence: Confidence::Medium,
        file: file.path.clone(),
        line,
        end,
        tool: None,
        trace: Vec::new(),
        message,
    }
}

/// What one file gives.
#[derive(Debug, Default)]
struct Part {
    findings: Vec<Finding>,
    tools: Vec<Tool>,
    visited: FxHashSet<FuncRef>,
    entries: usize,
    unfinished: bool,
    too_deep: bool,
}

impl Part {
    fn of(project: &Project<'_>, file: usize) -> Self {
        let mut out = Self::default();
        let Some(it) = project.file(file) else { return out };
        let mut flow = Flow::new(project, file);
        flow.top(file);
        if registers(it.text) {
            for (id, func) in (0..).zip(&it.funcs) {
                if !func.nested {
                    flow.survey((file, id));
                }
            }
        }
        flow.marked(file);
        out.general(project, &mut flow);
        let entries = std::mem::take(&mut flow.entries);
        // A function that was looked at while others were registered is not yet one of a tool's.
        flow.visited.clear();
        for entry in entries {
            out.entries += 1;
            out.entry(project, &mut flow, &entry);
        }
        out.visited = std::mem::take(&mut flow.visited);
        out.unfinished = flow.unfinished || flow.lost.get();
        out.too_deep = flow.too_deep;
        out
    }

    fn guessed(
        project: &Project<'_>,
        file: usize,
        all: bool,
        visited: &FxHashSet<FuncRef>,
    ) -> Self {
        let mut out = Self::default();
        let mut flow = Flow::new(project, file);
        flow.top(file);
        flow.entries.clear();
        flow.hits.clear();
        flow.guessing = true;
        flow.guesses(file, all, &|it| visited.contains(&it));
        for entry in std::mem::take(&mut flow.entries) {
            out.entry(project, &mut flow, &entry);
        }
        out.unfinished = flow.unfinished || flow.lost.get();
        out.too_deep = flow.too_deep;
        out
    }

    /// What was found while nothing of a caller's was followed.
    fn general(&mut self, project: &Project<'_>, flow: &mut Flow<'_, '_>) {
        for hit in std::mem::take(&mut flow.hits) {
            self.findings.push(finding(project, &hit, None, Confidence::Medium));
        }
    }

    fn entry<'s>(&mut self, project: &Project<'s>, flow: &mut Flow<'_, 's>, entry: &Entry<'s>) {
        let Some(func) = project.func(entry.func) else { return };
        let Some(file) = project.file(entry.func.0) else { return };
        flow.checked.clear();
        flow.enter(entry);
        let guess = entry.kind == EntryKind::Guess;
        let confidence = if guess { Confidence::Low } else { Confidence::High };
        let mut capabilities = flow.capabilities.iter().copied().collect::<Vec<_>>();
        capabilities.sort();
        let hits = std::mem::take(&mut flow.hits);
        let mut missing = None;
        for hit in &hits {
            if hit.unchecked && Report::severity(hit.rule) >= Severity::High && !hit.way.is_empty()
            {
                missing.get_or_insert(hit.clone());
            }
            let tool = (!guess).then(|| entry.name.clone());
            self.findings.push(finding(project, hit, tool, confidence));
        }
        let own = |rule: &'static str, message: String| Finding {
            rule,
            severity: Report::severity(rule),
            confidence,
            file: file.path.clone(),
            line: func.line,
            end: func.line,
            tool: Some(entry.name.clone()),
            trace: Vec::new(),
            message,
        };
        if let Some(hit) = missing {
            let what = hit.way.first().map_or("it", |it| &it.2);
            let message = format!("Nothing is asked of `{what}` before it is used.");
            self.findings.push(own("missing_validation", message));
        }
        if entry.kind == EntryKind::Tool && !entry.annotated && acts(&capabilities) {
            let message =
                format!("`{}` does not say whether it reads or changes things.", entry.name);
            self.findings.push(own("missing_annotations", message));
        }
        if !guess {
            let (name, line) = (entry.name.clone(), func.line);
            self.tools.push(Tool { name, file: file.path.clone(), line, capabilities });
        }
    }
}

fn acts(capabilities: &[Capability]) -> bool {
    capabilities.iter().any(|it| *it != Capability::Environment)
}

/// Whether a text may register something inside of a function.
fn registers(text: &str) -> bool {
    ["ool", "setRequestHandler", "esource", "rompt"].iter().any(|it| text.contains(it))
}

fn finding(
    project: &Project<'_>,
    hit: &Hit,
    tool: Option<String>,
    confidence: Confidence,
) -> Finding {
    let path = |file: usize| project.files.get(file).map_or(String::new(), |it| it.path.clone());
    let mut trace: Vec<Step> = Vec::new();
    for (file, line, what) in &hit.way {
        let step = Step { file: path(*file), line: *line, what: what.to_string() };
        let again = trace.last().is_some_and(|it| it.line == step.line && it.file == step.file);
        if !(what.is_empty() || again && what.len() < 4) {
            trace.push(step);
        }
    }
    trace.push(Step { file: path(hit.file), line: hit.line, what: hit.call.clone() });
    let from = hit.way.first().map(|it| it.2.to_string()).unwrap_or_default();
    let title =
        crate::rules::rules().iter().find(|it| it.id == hit.rule).map_or("", |it| it.title());
    let message = match (from.as_str(), &tool) {
        ("", _) => format!("{title}: `{}`.", hit.call),
        (from, Some(tool)) => format!("{title}: `{from}` of `{tool}` reaches `{}`.", hit.call),
        (from, None) => format!("{title}: `{from}` reaches `{}`.", hit.call),
    };
    Finding {
        rule: hit.rule,
        severity: Report::severity(hit.rule),
        confidence,
        file: path(hit.file),
        line: hit.line,
        end: hit.end,
        tool,
        trace,
        message,
    }
}
