//! What one append costs: `cargo bench -p stockade-store`. Prints microseconds of CPU time and of
//! wall time for each record, for one thread and for several, checkpoints included.

use std::io::{self, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use stockade_store::{Error, Ledger, Verdict, query, verify};

const RECORDS: u32 = 200_000;

#[expect(clippy::expect_used, reason = "a benchmark that cannot run has nothing to say")]
fn main() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let record = decision();
    let mut out = io::stdout().lock();
    let mut say = |what: &str, spent: Spent, records: u32| {
        let each = |it: Duration| it.as_secs_f64() * 1e6 / f64::from(records);
        let (cpu, wall) = (each(spent.cpu), each(spent.wall));
        writeln!(out, "{what:<28} {cpu:>7.2} µs CPU {wall:>7.2} µs wall").expect("standard output");
    };
    for threads in [1, 4] {
        let ledger = Ledger::open(dir.path().join("ledger")).expect("a ledger");
        let spent = measure(|| append(&ledger, &record, threads)).expect("appends");
        say(&format!("append, {threads} thread(s)"), spent, RECORDS);
        ledger.close().expect("a close");
    }
    let ledger = Ledger::open(dir.path().join("ledger")).expect("a ledger");
    let call = || ledger.append(&record).and_then(|_| ledger.append_soon(&record));
    let spent = measure(|| (0..RECORDS).try_for_each(|_| call().map(drop))).expect("appends");
    say("a decision and an outcome", spent, RECORDS);
    ledger.close().expect("a close");
    let dir = dir.path().join("ledger");
    let spent = measure(|| verify(&dir).map(|it| assert!(matches!(it, Verdict::Whole(_)))));
    say("verify", spent.expect("a verdict"), 4 * RECORDS);
    let newest = stockade_store::Filter { limit: Some(10), ..Default::default() };
    let spent = measure(|| query(&dir, &newest).map(drop));
    say("query, building the index", spent.expect("an answer"), 4 * RECORDS);
    let spent = measure(|| query(&dir, &newest).map(drop));
    say("query, once more", spent.expect("an answer"), 1);
    let open = measure(|| Ledger::open(&dir).and_then(|it| it.close()));
    say("open and close", open.expect("a ledger"), 1);
}

struct Spent {
    cpu: Duration,
    wall: Duration,
}

fn measure(run: impl FnOnce() -> Result<(), Error>) -> Result<Spent, Error> {
    let (cpu, wall) = (cpu_time(), Instant::now());
    run()?;
    Ok(Spent { cpu: cpu_time().saturating_sub(cpu), wall: wall.elapsed() })
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn append(ledger: &Ledger, record: &Decision, threads: u32) -> Result<(), Error> {
    thread::scope(|scope| {
        let each = || (0..RECORDS / threads).try_for_each(|_| ledger.append(record).map(drop));
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
        let ended = running.into_iter().map(|it| it.join());
        ended.flatten().collect()
    })
}

/// A record of 500 bytes, as a decision is.
#[derive(Serialize)]
struct Decision {
    kind: &'static str,
    session: &'static str,
    call: &'static str,
    server: &'static str,
    client: &'static str,
    principal: &'static str,
    method: &'static str,
    tool: &'static str,
    decision: &'static str,
    rule: &'static str,
    findings: Vec<Noted>,
    arguments_digest: String,
    trace: String,
}

#[derive(Serialize)]
struct Noted {
    rule: &'static str,
    place: &'static str,
    severity: &'static str,
}

fn decision() -> Decision {
    let rule = "path-outside-roots";
    Decision {
        kind: "decision",
        session: "01JD2Q6Z7Y8W9V0T1S2R3Q4P5N",
        call: "17",
        server: "files",
        client: "editor 1.4",
        principal: "local",
        method: "tools/call",
        tool: "read_file",
        decision: "deny",
        rule,
        findings: vec![Noted { rule, place: "/params/arguments/path", severity: "high" }],
        arguments_digest: "a".repeat(64),
        trace: "0".repeat(55),
    }
}
