//! What is not followed to its end is said: finding nothing there is no clean bill.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;

use stockade_audit::{Cause, Limits, Report, audit};

/// The report of a tool with this body, below these functions.
fn report(functions: &str, body: &str) -> Report {
    let text = format!(
        "import os\nfrom mcp.server.fastmcp import FastMCP\nmcp = FastMCP('x')\n{functions}\
         @mcp.tool()\ndef t(cmd: str):\n{body}"
    );
    let name = format!("stockade-bounds-{}-{}", std::process::id(), text.len());
    let home = std::env::temp_dir().join(name);
    fs::create_dir_all(&home).unwrap();
    let path = home.join("server.py");
    fs::write(&path, text).unwrap();
    let report = audit(&path, &Limits::default());
    fs::remove_dir_all(&home).unwrap();
    report
}

fn chain(length: usize) -> String {
    let one = |it: usize| format!("def f{it}(a):\n    return f{}(a)\n", it + 1);
    let calls: String = (0..length).map(one).collect();
    format!("{calls}def f{length}(a):\n    os.system(a)\n")
}

#[test]
fn calls_that_are_too_deep_are_said() {
    let near = report(&chain(10), "    return f0(cmd)\n");
    assert!(!near.findings.is_empty() && near.failures.is_empty(), "{:?}", near.failures);
    let far = report(&chain(40), "    return f0(cmd)\n");
    assert!(far.findings.is_empty());
    assert!(far.failures.iter().any(|it| it.cause == Cause::CallsTooDeep), "{:?}", far.failures);
    // What nothing of a caller's goes into is nobody's business.
    let own = report(&chain(40), "    return f0('date')\n");
    assert!(own.failures.is_empty(), "{:?}", own.failures);
}

#[test]
fn ways_that_are_too_many_are_found_or_said() {
    let one = |it: usize| {
        format!("    if cmd == '{it}':\n        x = x + '{it}'\n    else:\n        x = x + cmd\n")
    };
    let branches: String = (0..1500).map(one).collect();
    let report = report("", &format!("    x = cmd\n{branches}    os.system(x)\n"));
    let is_said = report.failures.iter().any(|it| it.cause == Cause::TooManyWays);
    assert!(is_said || !report.findings.is_empty());
}
