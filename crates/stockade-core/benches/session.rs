//! What a call and its answer cost in a conversation, by what the policy has the guard count and
//! remember: `cargo bench -p stockade-core --bench session`.
//!
//! Prints microseconds for one call with its answer, the best of many. Where something is kept is
//! not part of it: what is remembered stays in a map here.

#![expect(clippy::print_stdout, reason = "it is what a bench is for")]
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};
use stockade_core::canary::Canaries;
use stockade_core::message::Side;
use stockade_core::meter::Meter;
use stockade_core::policy::{Budget, Origin, Pattern, Period, Policy, Quota, Reading, Unit};
use stockade_core::session::{Charge, Effect, Event, Memory, Over, Parties, Server, Session};

const ROUNDS: u64 = 20_000;

fn main() {
    let pattern = || Pattern::parse("*", Reading::Narrow).unwrap();
    let budget = |unit| Budget { unit, period: Period::Day, max: u64::MAX / 2 };
    let quota = Quota {
        origin: Origin::built_in("quotas"),
        counts: "quotas".to_owned(),
        servers: vec![pattern()],
        tools: vec![pattern()],
        calls_per_minute: Some(1_000_000),
        calls_at_once: Some(100),
        cost: Some(2),
        budgets: vec![budget(Unit::Calls), budget(Unit::Bytes), budget(Unit::Cost)],
    };
    let watched = ["Magpie-77-Lantern", "Heron-12-Compass"];
    let watched = watched.map(|it| ("a canary".to_owned(), it.to_owned()));
    let policies = [
        ("nothing said", free()),
        ("quotas", Policy { quotas: vec![quota.clone()], ..free() }),
        ("two canaries", Policy { canaries: Arc::new(Canaries::new(watched)), ..free() }),
        ("a canary that is planted", Policy { plants: true, ..free() }),
        ("quotas, and planted", Policy { quotas: vec![quota], plants: true, ..free() }),
    ]
    .map(|(name, policy)| (name, Arc::new(policy)));
    // One that neither reads what counts nor says anything, one that does the first, one the second.
    for tool in ["add_numbers", "read_file", "create_issue"] {
        for (name, policy) in &policies {
            println!("{:>8.2} µs  {tool}: {name}", cost(tool, policy));
        }
    }
}

/// The policy that nobody wrote, without the limits that so many calls would run into.
fn free() -> Policy {
    let mut policy = Policy::default();
    policy.limits.calls_per_minute = 1_000_000;
    policy.limits.calls_per_minute_per_tool = 1_000_000;
    policy.limits.same_call_max = 1_000_000;
    policy
}

/// Microseconds of one call and its answer.
fn cost(tool: &str, policy: &Arc<Policy>) -> f64 {
    let parties = Parties { session: "s".into(), principal: "local".into() };
    let server = Arc::new(Server::new("files"));
    let mut session = Session::new(server, parties, Arc::new(Meter::default()));
    session.remembered_by(Arc::new(Kept::default()));
    let mut say = |from, message: &Value, now_ms| {
        let bytes = Bytes::from(message.to_string());
        let start = Instant::now();
        let effects = black_box(session.on(Event::Heard { from, bytes }, policy, now_ms));
        let time = start.elapsed().as_secs_f64() * 1e6;
        assert!(effects.iter().any(|it| matches!(it, Effect::Send(sent) if sent.to() != from)));
        time
    };
    let info = json!({ "name": "bench", "version": "1" });
    let revision = "2025-11-25";
    let hello =
        json!({ "protocolVersion": revision, "capabilities": { "tools": {} }, "clientInfo": info });
    say(Side::Client, &request(&json!("i"), "initialize", &hello), 0);
    let hello =
        json!({ "protocolVersion": revision, "capabilities": { "tools": {} }, "serverInfo": info });
    say(Side::Server, &json!({ "jsonrpc": "2.0", "id": "i", "result": hello }), 0);
    let params = json!({ "name": tool, "arguments": { "path": "/srv/docs/a.txt", "n": 3 } });
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(10);
    let mut best = f64::MAX;
    for n in 1..=ROUNDS {
        let result = json!({ "content": [{ "type": "text", "text": text }] });
        let asked = say(Side::Client, &request(&json!(n), "tools/call", &params), n);
        let answer = json!({ "jsonrpc": "2.0", "id": n, "result": result });
        best = best.min(asked + say(Side::Server, &answer, n));
    }
    best
}

fn request(id: &Value, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// Remembers in a map.
#[derive(Debug, Default)]
struct Kept {
    spent: Mutex<HashMap<String, u64>>,
    noted: Mutex<HashMap<String, String>>,
}

impl Memory for Kept {
    fn spend(&self, who: &str, charges: &[Charge]) -> Result<Option<Over>, String> {
        self.spent(who, charges).map(|()| None)
    }

    fn spent(&self, who: &str, charges: &[Charge]) -> Result<(), String> {
        let mut spent = self.spent.lock().unwrap();
        for it in charges {
            *spent.entry(format!("{who} {}", it.counted)).or_default() += it.amount;
        }
        Ok(())
    }

    fn note(&self, who: &str, what: &str, by: &str) -> Result<(), String> {
        self.noted.lock().unwrap().insert(format!("{who} {what}"), by.to_owned());
        Ok(())
    }

    fn noted(&self, who: &str, what: &str, _within_s: u64) -> Result<Option<String>, String> {
        Ok(self.noted.lock().unwrap().get(&format!("{who} {what}")).cloned())
    }

    fn canary(&self, _who: &str) -> Result<String, String> {
        Ok("abcde-fghij-klmno-pqrst".to_owned())
    }
}
