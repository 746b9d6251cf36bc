//! What is found, by source and by style.

use std::collections::BTreeMap;
use std::time::Instant;

use stockade_core::check;
use stockade_core::detect::{self, Reason, model::Model};
use stockade_core::finding::{Finding, Severity};
use stockade_core::message::Side;
use stockade_core::subject::Facts;

use crate::corpus::{Corpus, Row, TENTHS};
use crate::train;

pub(crate) fn print(corpus: &Corpus) {
    let (folds, tenths) = (folds(corpus), tenths(corpus));
    let mut groups: BTreeMap<String, Counts> = BTreeMap::new();
    let mut scores: BTreeMap<i32, (u32, u32)> = BTreeMap::new();
    for row in &corpus.rows {
        let found = findings(row);
        let any = !found.is_empty();
        let high = found.iter().any(|it| it.severity == Severity::High);
        let others = found.iter().any(|it| !RULES.contains(&it.rule.id));
        let unseen = folds.get(&row.fold()).map_or(0, |model| points(row, model));
        let tenth = tenths.get(row.tenth()).map_or(0, |model| points(row, model));
        if unseen >= row.found() && row.is_fair() {
            let (attacks, all) = scores.entry((unseen / 6).min(10)).or_default();
            *attacks += u32::from(row.is_attack);
            *all += 1;
        }
        let counts = Counts {
            rows: 1,
            any: any.into(),
            high: high.into(),
            table: (points(row, &Model::silent()) >= row.found()).into(),
            source: (others || unseen >= row.found()).into(),
            row: (others || tenth >= row.found()).into(),
        };
        for name in names(row) {
            groups.entry(name).or_default().add(&counts);
        }
    }
    println!(
        "{:<58} {:>5}  {:>22}  {:>5}  {:>22}  {:>22}  {:>8}",
        "", "rows", "any rule", "high", "source unseen", "row unseen", "no model"
    );
    for (name, it) in &groups {
        println!(
            "{:<58} {:>5}  {}  {:>5}  {}  {}  {:>7.1}%",
            name,
            it.rows,
            rate(it.any, it.rows),
            it.high,
            rate(it.source, it.rows),
            rate(it.row, it.rows),
            percent(it.table, it.rows)
        );
    }
    println!();
    for (score, (attacks, all)) in scores {
        println!("from {:>2} points on: {attacks} of {all} are attacks, unseen", 2 * score);
    }
    println!(
        "[..]: 95 % intervals (Wilson). \"unseen\": what any rule finds when the classifier was trained without the row's source, or its generated style; or without the tenth of all rows that it is in. The table of words was not. \"no model\": the table alone, without other rules."
    );
    speed(corpus);
}

/// What was not found and is an attack, and what was found and is none.
pub(crate) fn misses(corpus: &Corpus) {
    for row in corpus.rows.iter().filter(|it| it.is_fair()) {
        let found = findings(row);
        if found.is_empty() == row.is_attack {
            let text: String =
                row.document.root().to_value().to_string().chars().take(500).collect();
            let says: Vec<&str> = found.iter().map(|it| it.says.as_str()).collect();
            let points = points(row, Model::shipped());
            println!("{} {} {} {points} {says:?}\n    {text}", row.id, row.source, row.style);
            let mut best: Option<(i32, Vec<Reason>)> = None;
            row.each(&mut |said| {
                let it = detect::explain(said);
                if best.as_ref().is_none_or(|(points, _)| it.0 > *points) {
                    best = Some(it);
                }
            });
            println!("    {best:?}");
        }
    }
}

/// The thirds of points of every row: by the model that is shipped, by one that has not seen its
/// source, and by one that has not seen a tenth of all rows.
pub(crate) fn scores(corpus: &Corpus) {
    let (folds, tenths) = (folds(corpus), tenths(corpus));
    for row in &corpus.rows {
        let unseen = folds.get(&row.fold()).map_or(0, |model| points(row, model));
        let tenth = tenths.get(row.tenth()).map_or(0, |model| points(row, model));
        let shipped = points(row, Model::shipped());
        let what = if row.is_tool { "tool" } else { "text" };
        let kind = if row.is_attack { "attack" } else { "honest" };
        let Row { id, source, style, .. } = row;
        let fair = row.is_fair();
        println!("{id}\t{source}\t{style}\t{what}\t{kind}\t{fair}\t{shipped}\t{unseen}\t{tenth}");
    }
}

fn findings(row: &Row) -> Vec<Finding> {
    check::run(&[row.subject()], &Facts::alone(Side::Server))
}

fn points(row: &Row, model: &Model) -> i32 {
    let mut most = 0;
    row.each(&mut |said| most = most.max(detect::points(said, model)));
    most
}

/// A model for each source or generated style, trained without it.
fn folds(corpus: &Corpus) -> BTreeMap<String, Model> {
    let names: std::collections::BTreeSet<String> = corpus.rows.iter().map(Row::fold).collect();
    let model = |name: &String| train::model(corpus.rows.iter().filter(|it| it.fold() != *name));
    names.iter().map(|it| (it.clone(), model(it))).collect()
}

/// A model for each tenth of the rows, trained without it.
fn tenths(corpus: &Corpus) -> Vec<Model> {
    let others = |tenth| corpus.rows.iter().filter(move |it| it.tenth() != tenth);
    (0..TENTHS).map(|tenth| train::model(others(tenth))).collect()
}

/// The rules that are measured.
const RULES: [&str; 2] = ["tool_poisoning", "prompt_injection"];

/// The lines of the table that a row counts in.
fn names(row: &Row) -> Vec<String> {
    let what = if row.is_tool { "tools" } else { "texts" };
    let kind = if row.is_attack { "attacks" } else { "honest" };
    let Row { source, style, .. } = row;
    let style = style.split('/').next().unwrap_or_default();
    if !row.is_fair() {
        let style = if row.is_tool { style } else { "without a mark" };
        return vec![format!("{what} {kind} (not counted): {style}")];
    }
    if let Some(how) = row.generated() {
        return vec![
            format!("{what} {kind}: generated, {how}: ALL"),
            format!("{what} {kind}: generated, {how}: {style}"),
        ];
    }
    let group = match (row.is_tool, row.is_attack, style) {
        (true, true, _) => "third party",
        (true, false, "real") => "real",
        (true, false, "synthetic_api") => "mock",
        (true, false, _) => "hard",
        (false, false, "over_defense") => "trigger words",
        (false, ..) => "documents",
    };
    vec![format!("{what} {kind}: {group}: ALL"), format!("{what} {kind}: {group}: {source}")]
}

#[derive(Default)]
struct Counts {
    rows: u32,
    any: u32,
    high: u32,
    source: u32,
    row: u32,
    table: u32,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.any += other.any;
        self.high += other.high;
        self.source += other.source;
        self.row += other.row;
        self.table += other.table;
    }
}

fn percent(part: u32, whole: u32) -> f64 {
    100.0 * f64::from(part) / f64::from(whole.max(1))
}

fn rate(part: u32, whole: u32) -> String {
    let (n, p, z) = (f64::from(whole.max(1)), f64::from(part) / f64::from(whole.max(1)), 1.96_f64);
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    format!(
        "{:>5.1}% [{:>5.1}-{:>5.1}]",
        100.0 * p,
        100.0 * (middle - half).max(0.0),
        100.0 * (middle + half).min(1.0)
    )
}

fn speed(corpus: &Corpus) {
    for (what, is_tool) in [("tools", true), ("texts", false)] {
        let rows: Vec<&Row> = corpus.rows.iter().filter(|it| it.is_tool == is_tool).collect();
        let bytes: usize = rows.iter().map(|it| it.document.source().len()).sum();
        let mut best = f64::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            for row in &rows {
                std::hint::black_box(findings(row));
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        let count = f64::from(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        let bytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        println!(
            "{:.0} {what} a second, {:.0} ns a byte, in all rules",
            count / best,
            best * 1e9 / bytes
        );
    }
}
