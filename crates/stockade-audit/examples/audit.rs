//! Audits directories and prints what it finds: `cargo run -p stockade-audit --example audit -- DIR…`.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::path::Path;
use std::time::Instant;

use stockade_audit::{Limits, audit};

fn main() {
    let limits = Limits { built: true, ..Limits::default() };
    for root in std::env::args().skip(1) {
        let start = Instant::now();
        let report = audit(Path::new(&root), &limits);
        let time = start.elapsed();
        for it in &report.findings {
            let way =
                it.trace.iter().map(|it| format!("{}:{}", it.line, it.what)).collect::<Vec<_>>();
            println!(
                "{root}/{}:{}: {:?} {} {} [{}]",
                it.file,
                it.line,
                it.severity,
                it.rule,
                it.message,
                way.join(" > ")
            );
        }
        for it in &report.failures {
            println!("{root}/{}: not read: {:?}", it.path, it.cause);
        }
        for it in &report.tools {
            println!("{root}/{}:{}: tool {} {:?}", it.file, it.line, it.name, it.capabilities);
        }
        for it in &report.skipped {
            println!("{root}/{}: skipped: {}", it.path, it.why);
        }
        println!("{root}: {} files, {} lines, {time:?}", report.files, report.lines);
    }
}
