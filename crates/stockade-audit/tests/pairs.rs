//! Servers that are wrong, and the same put right: each of the first is found, none of the second is.
//! That the first can really be attacked is shown by `exploits.rs`.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;
use std::path::{Path, PathBuf};

use stockade_audit::{Limits, Severity, audit};

fn pairs() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pairs");
    let below =
        |it: &Path| fs::read_dir(it).unwrap().map(|it| it.unwrap().path()).filter(|it| it.is_dir());
    let languages = ["python", "js", "go", "rust"].map(|it| root.join(it));
    let mut out = languages.iter().flat_map(|it| below(it)).collect::<Vec<_>>();
    out.sort();
    out
}

fn file(pair: &Path, stem: &str) -> PathBuf {
    let found = fs::read_dir(pair).unwrap().map(|it| it.unwrap().path());
    found.into_iter().find(|it| it.file_stem().unwrap() == stem).unwrap()
}

#[test]
fn what_is_wrong_is_found_and_what_was_put_right_is_not() {
    let mut wrong = Vec::new();
    let pairs = pairs();
    for pair in &pairs {
        let bad = file(pair, "vulnerable");
        let text = fs::read_to_string(&bad).unwrap();
        let rule = text.lines().next().unwrap().split("rule: ").nth(1).unwrap();
        let report = audit(&bad, &Limits::default());
        assert!(report.failures.is_empty(), "{bad:?}: {:?}", report.failures);
        if !report.findings.iter().any(|it| it.rule == rule) {
            let found = report.findings.iter().map(|it| it.rule).collect::<Vec<_>>();
            wrong.push(format!("{} is not found, only {found:?}", bad.display()));
        }
        let good = file(pair, "fixed");
        let report = audit(&good, &Limits::default());
        assert!(report.failures.is_empty(), "{good:?}: {:?}", report.failures);
        let said = report.findings.iter().chain(&report.notes);
        for it in said.filter(|it| it.severity > Severity::Low || it.rule == rule) {
            wrong.push(format!("{}:{}: {} {:?}", good.display(), it.line, it.message, it.trace));
        }
    }
    assert!(pairs.len() >= 60, "{} pairs", pairs.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
}
