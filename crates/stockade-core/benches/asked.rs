//! What calls that wait for a person cost the others, and what each of them costs the guard: `cargo
//! bench -p stockade-core --bench asked`. A call that waits may take 16 KiB, and a thousand of them may
//! not slow down what does not wait.
//!
//! `a call` is one that nobody is asked about, with its answer; `a look` is what is done twice a second
//! about all that wait. Each is the best of three, and the ratio is to where nothing waits.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "this is a measurement"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde_json::json;
use stockade_core::message::Side;
use stockade_core::meter::Meter;
use stockade_core::policy::{Effect, Limits, Origin, Pattern, Policy, Reading, ToolRule};
use stockade_core::session::{Event, Parties, Server, Session};

const CALLS: usize = 20_000;

const ROUNDS: usize = 3;

fn main() {
    let policy = Arc::new(asking());
    println!(
        "{:>8} {:>10} {:>7} {:>10} {:>12}",
        "waiting", "a call, ns", "ratio", "a look, µs", "each, bytes"
    );
    let mut alone = None;
    for waiting in [0, 100, 1000, 10_000] {
        let parties = Parties { session: "s".into(), principal: "local".into() };
        let server = Arc::new(Server::new("files"));
        let mut session = Session::new(server, parties, Arc::new(Meter::default()));
        session.heeds_questions();
        let before = resident();
        for n in 0..waiting {
            // The time goes on, or the limits on calls a minute would be reached.
            black_box(session.on(call(&format!("w{n}"), "pay", 200), &policy, n * 1000));
        }
        let each = resident().saturating_sub(before) / waiting.max(1);
        assert_eq!(session.asked(), usize::try_from(waiting).unwrap());
        let mut now_ms = waiting * 1000;
        let mut round = || {
            let begun = Instant::now();
            for n in 0..CALLS {
                now_ms += 1000;
                let id = format!("c{n}");
                black_box(session.on(call(&id, "add", 20), &policy, now_ms));
                let answer = json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [] } });
                let bytes = Bytes::from(answer.to_string());
                black_box(session.on(Event::Heard { from: Side::Server, bytes }, &policy, now_ms));
            }
            begun.elapsed().as_nanos() / CALLS as u128
        };
        let a_call = (0..ROUNDS).map(|_| round()).min().unwrap();
        let ratio = a_call as f64 / *alone.get_or_insert(a_call) as f64;
        let mut look = || {
            let begun = Instant::now();
            black_box(session.on(Event::Passed, &policy, now_ms));
            begun.elapsed().as_micros()
        };
        let a_look = (0..100).map(|_| look()).min().unwrap();
        println!("{waiting:>8} {a_call:>10} {ratio:>7.2} {a_look:>10} {each:>12}");
    }
}

fn call(id: &str, tool: &str, bytes: usize) -> Event {
    let params =
        json!({ "name": tool, "arguments": { "text": format!("{id}{}", "x".repeat(bytes)) } });
    let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
    Event::Heard { from: Side::Client, bytes: Bytes::from(call.to_string()) }
}

fn asking() -> Policy {
    let any = |it: &str| Pattern::parse(it, Reading::Wide).unwrap();
    let mut policy = Policy::default();
    policy.tools.rules.push(ToolRule {
        origin: Origin { id: "tools[0]".to_owned(), place: "bench".to_owned() },
        effect: Effect::Ask,
        servers: vec![any("*")],
        tools: vec![any("pay")],
        conditions: Vec::new(),
        when: None,
        shadow: false,
    });
    let limits = Limits { approvals_max: 100_000, approval_timeout_s: 86_400, ..Limits::default() };
    Policy { limits, ..policy }
}

/// The memory of this process, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split_whitespace().nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    pages * 4096
}
