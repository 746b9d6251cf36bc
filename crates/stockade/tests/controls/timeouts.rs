//! How long a call may take, whatever the server reports meanwhile, and what becomes of a server that
//! does not stop.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::process::with_mark;
use crate::harness::{
    FakeHttp, Gateway, Home, Probe, Script, Step, call, is_refusal, say, text, wait_for,
};

crate::rows![
    v09_a_call_ends_at_its_maximum_whatever_progress_it_reports,
    v09_a_call_that_is_silent_ends_before_its_maximum,
    v09_a_server_that_lets_a_call_take_too_long_is_ended_where_that_is_wanted,
];

/// A server that reports progress of a call five times a second, for far longer than anybody waits.
fn busy() -> Script {
    let params = json!({ "progressToken": "$token", "progress": 1 });
    let method = "notifications/progress";
    let progress = say(json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    let steps = (0..600).flat_map(|_| [progress.clone(), Step::Sleep(200)]);
    let mut script = Script::default().on_tool("busy", steps.collect::<Vec<_>>());
    script.concurrent = true;
    script.on_tool("hang", [Step::Hang])
}

const LIMITS: &str = "[limits]\ncall_timeout_s = 2\ncall_total_s = 4\n";

fn started(id: &str, tool: &str) -> Value {
    let mut call = call(id, tool, json!({}));
    call["params"]["_meta"] = json!({ "progressToken": format!("token of {id}") });
    call
}

/// The outcome of the call of a tool.
#[track_caller]
fn outcome(home: &Home, tool: &str) -> Value {
    let found = || home.records_of("outcome").into_iter().find(|it| it["tool"] == tool);
    wait_for("the outcome", found)
}

#[track_caller]
fn ended_at_its_maximum(home: &Home, answer: &Value) {
    assert!(is_refusal(answer), "{answer}");
    assert!(text(answer).contains("took too long"), "{answer}");
    let limit = &answer["result"]["_meta"]["stockade/limit"];
    assert_eq!((&limit["limit"], &limit["max"]), (&json!("limits.call_total_s"), &json!(4)));
    let outcome = outcome(home, "busy");
    assert_eq!((&outcome["status"], &outcome["limit"]["max"]), (&json!("timeout"), &json!(4)));
    // It was not silent: by that limit it would have ended before.
    assert!(outcome["duration_ms"].as_u64().is_some_and(|it| it >= 4_000), "{outcome}");
}

fn v09_a_call_ends_at_its_maximum_whatever_progress_it_reports() {
    let home = Home::new();
    home.policy(LIMITS);
    let fake = home.fake(busy());
    let mut probe = Probe::run(&home, &fake).begin();
    let answer = probe.ask(&started("a", "busy"));
    ended_at_its_maximum(&home, &answer);
    assert!(probe.others.len() > 3, "there was progress: {:?}", probe.others);
    wait_for("the cancellation", || (fake.count("notifications/cancelled") == 1).then_some(()));
    assert!(!is_refusal(&probe.ask(&call(2, "echo", json!({})))), "and nothing else ends");

    // The same for clients over HTTP, in both eras.
    for is_modern in [true, false] {
        let home = Home::new();
        home.policy(LIMITS);
        let fake = home.fake(busy());
        let gateway = Gateway::of(&home, &fake);
        let mut connection = gateway.connect();
        let answer = if is_modern {
            connection.post_modern(&started("a", "busy"))
        } else {
            connection.begin_legacy();
            connection.post(&[], &started("a", "busy"))
        };
        ended_at_its_maximum(&home, &answer.message());
        wait_for("the cancellation", || (fake.count("notifications/cancelled") == 1).then_some(()));
    }
    // And in front of a remote server.
    let home = Home::new();
    home.policy(LIMITS);
    let upstream = FakeHttp::new(busy());
    let gateway = Gateway::to(&home, &upstream);
    let answer = gateway.connect().post_modern(&started("a", "busy"));
    ended_at_its_maximum(&home, &answer.message());
}

fn v09_a_call_that_is_silent_ends_before_its_maximum() {
    let home = Home::new();
    home.policy("[limits]\ncall_timeout_s = 1\ncall_total_s = 600\n");
    let fake = home.fake(busy());
    let mut probe = Probe::run(&home, &fake).begin();
    let answer = probe.ask(&started("a", "hang"));
    let limit = &answer["result"]["_meta"]["stockade/limit"];
    assert_eq!((&limit["limit"], &limit["max"]), (&json!("limits.call_timeout_s"), &json!(1)));
    assert_eq!(outcome(&home, "hang")["limit"]["name"], "limits.call_timeout_s");
    wait_for("the cancellation", || (fake.count("notifications/cancelled") == 1).then_some(()));
}

fn v09_a_server_that_lets_a_call_take_too_long_is_ended_where_that_is_wanted() {
    const KILL: &str =
        "[limits]\ncall_timeout_s = 1\ncall_total_s = 2\n[sandbox]\nkill_overdue = true\n";
    let home = Home::new();
    home.policy(KILL);
    let fake = home.fake(busy());
    let mut probe = Probe::run(&home, &fake).begin();
    let answer = probe.ask(&started("a", "hang"));
    assert!(text(&answer).contains("took too long"), "{answer}");
    let ended = probe.ended();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("was ended, since it let a call take too long"),
        "{}",
        ended.stderr
    );
    wait_for("its processes to go", || with_mark(fake.mark()).is_empty().then_some(()));

    // Over HTTP, those who have nothing to do with it go on, and so does whoever asks anew. That it
    // reports progress all the time does not put its end off.
    let home = Home::new();
    home.policy(KILL);
    let fake = home.fake(busy());
    let gateway = Gateway::of(&home, &fake);
    let mut bystander = gateway.connect();
    bystander.begin_legacy();
    let mut modern = gateway.connect();
    let answer = modern.post_modern(&started("a", "busy")).message();
    assert!(text(&answer).contains("took too long"), "{answer}");
    let noted = || {
        let ends = home.records_of("stop").into_iter();
        ends.filter_map(|it| it["says"].as_str().map(str::to_owned))
            .find(|it| it.contains("let a call take too long, and was ended"))
    };
    wait_for("a record of its end", noted);
    assert!(!is_refusal(&bystander.post(&[], &call(1, "echo", json!({}))).message()));
    let again = wait_for("another process", || {
        Some(modern.post_modern(&call(2, "echo", json!({}))).message()).filter(|it| !is_refusal(it))
    });
    assert_eq!(text(&again), "done");

    // Where it is not wanted, it goes on.
    let home = Home::new();
    home.policy("[limits]\ncall_timeout_s = 1\n");
    let fake = home.fake(busy());
    let mut probe = Probe::run(&home, &fake).begin();
    assert!(is_refusal(&probe.ask(&started("a", "hang"))));
    thread::sleep(Duration::from_millis(1500));
    assert!(!is_refusal(&probe.ask(&call(1, "echo", json!({})))));
}
