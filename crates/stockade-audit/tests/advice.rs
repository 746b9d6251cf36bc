//! The pieces of bad advice of `docs/attacks`, each written down as it is given, and what is safer:
//! the first is told of by its rule, and the second is not.

use std::fs;
use std::path::Path;

use stockade_audit::{Limits, Severity, audit};

#[test]
fn advice_is_told_of_and_what_is_safer_is_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/advice");
    let mut wrong = Vec::new();
    let mut pieces = 0;
    for piece in fs::read_dir(&root).unwrap() {
        pieces += 1;
        for file in fs::read_dir(piece.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            let text = fs::read_to_string(&file).unwrap();
            let rule = text.lines().next().unwrap().split("rule: ").nth(1).unwrap();
            let report = audit(&file, &Limits::default());
            assert!(report.is_whole(), "{}: {:?}", file.display(), report.failures);
            let said = || report.findings.iter().chain(&report.notes);
            let told = said().any(|it| it.rule == rule);
            let is_advice = file.file_stem().unwrap() == "advice";
            let worse = said().any(|it| !is_advice && it.severity > Severity::Low);
            if told != is_advice || worse {
                let said = said().map(|it| (it.rule, it.line)).collect::<Vec<_>>();
                wrong.push(format!("{}: {said:?}", file.display()));
            }
        }
    }
    assert_eq!(pieces, 14);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
