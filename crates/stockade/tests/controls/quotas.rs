//! How much of what: quotas, budgets and loops, of one guard and of several, and what is said of them.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{FakeHttp, Gateway, Home, Probe, Script, call, is_refusal, text, tool};

crate::rows![
    v08_a_quota_holds_for_its_tools_and_its_server,
    v08_a_budget_survives_a_restart_and_counts_all_guards,
    v08_a_budget_is_exact_under_thirty_two_clients,
    v08_bytes_and_costs_are_budgets_too,
    v08_a_loop_is_stopped_in_words,
    v08_a_refusal_says_when_to_try_again,
    v08_what_cannot_be_remembered_does_not_pass,
];

/// Many calls, no two the same, of which so many pass.
fn passed(probe: &mut Probe, tool: &str, from: usize, number: usize) -> usize {
    let calls = (from..from + number).map(|n| {
        let answer = probe.ask(&call(format!("{tool}{n}"), tool, json!({ "text": n.to_string() })));
        usize::from(!is_refusal(&answer))
    });
    calls.sum()
}

fn v08_a_quota_holds_for_its_tools_and_its_server() {
    let home = Home::new();
    home.policy(
        "[[quotas]]\ntool = \"search_*\"\ncalls_per_minute = 3\n
         [[quotas]]\ntool = \"*\"\nserver = \"web\"\ncalls_per_minute = 6\n
         [[quotas]]\ntool = \"slow\"\ncalls_at_once = 2",
    );
    let script = Script::default().with(tool("search_a")).with(tool("search_b"));
    let fake = home.fake(script.on_tool("slow", []));
    let mut probe = Probe::run_with(&home, &["--server", "web"], &fake).begin();
    assert_eq!(passed(&mut probe, "search_a", 0, 2) + passed(&mut probe, "search_b", 0, 2), 3);
    assert_eq!(passed(&mut probe, "SEARCH_A ", 0, 1), 0, "nor by a name that reads as it");
    assert_eq!(passed(&mut probe, "echo", 0, 5), 3, "of the six of its server");
    let mut other = Probe::run_with(&home, &["--server", "files"], &fake).begin();
    assert_eq!(passed(&mut other, "echo", 0, 9), 9, "another server is another's");
    for n in 0..2 {
        other.send(&call(n, "slow", json!({ "text": n.to_string() })));
    }
    let third = other.ask(&call(2, "slow", json!({})));
    assert!(text(&third).contains("too many calls at a time"), "{third}");
    let before = other.ask(&call(3, "echo", json!({})));
    assert!(!is_refusal(&before), "{before}");
    let heard = fake.messages();
    let calls = |name: &str| heard.iter().filter(|it| it["params"]["name"] == name).count();
    assert_eq!((calls("search_a") + calls("search_b"), calls("echo"), calls("slow")), (3, 13, 2));
}

fn v08_a_budget_survives_a_restart_and_counts_all_guards() {
    let home = Home::new();
    home.policy("[[quotas]]\ntool = \"*\"\ncalls_per_hour = 6");
    let fake = home.fake(Script::default());
    let mut first = Probe::run(&home, &fake).begin();
    assert_eq!(passed(&mut first, "echo", 0, 2), 2);
    // It is killed, and has no time to write anything.
    drop(first);
    let mut second = Probe::run(&home, &fake).begin();
    let mut third = Probe::run(&home, &fake).begin();
    assert_eq!(passed(&mut second, "echo", 0, 2) + passed(&mut third, "echo", 0, 1), 3);
    assert_eq!(passed(&mut second, "echo", 2, 3), 1);
    assert_eq!(passed(&mut third, "echo", 2, 3), 0);
    // A larger budget goes on with what was spent.
    drop((second, third));
    home.policy(
        "[[quotas]]\ntool = \"nothing\"\ncost = 2\n
                 [[quotas]]\ntool = \"*\"\ncalls_per_hour = 8",
    );
    let mut last = Probe::run(&home, &fake).begin();
    assert_eq!(passed(&mut last, "echo", 0, 4), 2);
    // What is refused for another reason costs nothing.
    home.policy(
        "default = \"deny\"\n[[tools]]\ntool = \"x\"\neffect = \"allow\"\n
                 [[quotas]]\ntool = \"*\"\ncalls_per_day = 1",
    );
    let mut denied = Probe::run(&home, &fake).begin();
    assert_eq!(passed(&mut denied, "echo", 0, 3) + passed(&mut denied, "x", 0, 1), 1);
    assert_eq!(fake.count("tools/call"), 9);
}

fn v08_a_budget_is_exact_under_thirty_two_clients() {
    let home = Home::new();
    home.policy("[[quotas]]\ntool = \"echo\"\ncalls_per_day = 50");
    let fake = home.fake(Script::default());
    let gateways = [Gateway::of(&home, &fake), Gateway::of(&home, &fake)];
    let passed: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..32)
            .map(|client| {
                let gateway = &gateways[client % 2];
                scope.spawn(move || {
                    let mut connection = gateway.connect();
                    let calls = (0..3).map(|n| {
                        let text = format!("{client} {n}");
                        let call = call(n, "echo", json!({ "text": text }));
                        let answer = connection.post_modern(&call);
                        usize::from(!is_refusal(&answer.message()))
                    });
                    calls.sum::<usize>()
                })
            })
            .collect();
        clients.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert_eq!(passed, 50);
    assert_eq!(fake.count("tools/call"), 50);
}

fn v08_bytes_and_costs_are_budgets_too() {
    let home = Home::new();
    home.policy(
        "[[quotas]]\ntool = \"dear\"\ncost = 4\n
         [[quotas]]\ntool = \"*\"\ncost_per_hour = 10\n
         [[quotas]]\ntool = \"echo\"\nbytes_per_hour = 20000",
    );
    let fake = home.fake(Script::default().with(tool("dear")));
    let mut probe = Probe::run(&home, &fake).begin();
    assert_eq!(passed(&mut probe, "dear", 0, 3), 2, "eight of ten");
    // Two more, each of which is answered by as much as it says.
    let large = |id: usize| call(id, "echo", json!({ "text": "x".repeat(7_000) }));
    assert!(!is_refusal(&probe.ask(&large(1))));
    let refused = probe.ask(&large(2));
    assert!(is_refusal(&refused), "{refused}");
    assert_eq!(refused["result"]["_meta"]["stockade/limit"]["limit"], "quotas[2].bytes_per_hour");
    assert!(!is_refusal(&probe.ask(&call(3, "echo", json!({ "text": "short" })))));
    let refused = probe.ask(&call(4, "other", json!({})));
    assert_eq!(refused["result"]["_meta"]["stockade/limit"]["limit"], "quotas[1].cost_per_hour");
}

fn v08_a_loop_is_stopped_in_words() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake).begin();
    let same = |n: usize| call(n, "echo", json!({ "text": "again" }));
    let answers: Vec<Value> = (0..32).map(|n| probe.ask(&same(n))).collect();
    let first = answers.iter().position(is_refusal);
    assert_eq!((first, fake.count("tools/call")), (Some(30), 30), "by the default");
    let says = text(&answers[30]);
    assert!(says.contains("this is a loop") && says.contains("31 times within 60 s"), "{says}");
    assert_eq!(passed(&mut probe, "echo", 0, 5), 5, "another call is another");

    let home = Home::new();
    home.policy("[limits]\nsame_call_max = 4\nsame_call_window_s = 600");
    let upstream = FakeHttp::new(Script::default());
    let gateway = Gateway::to(&home, &upstream);
    let passed = (0..3).map(|_| {
        // A new session does not begin anew.
        let mut connection = gateway.connect();
        connection.begin_legacy();
        (0..2).filter(|n| !is_refusal(&connection.post(&[], &same(*n)).message())).count()
    });
    assert_eq!(passed.sum::<usize>(), 4);
    assert!(is_refusal(&gateway.connect().post_modern(&same(9)).message()));
}

fn v08_a_refusal_says_when_to_try_again() {
    let home = Home::new();
    home.policy("[[quotas]]\ntool = \"*\"\ncalls_per_hour = 1");
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake).begin();
    assert_eq!(passed(&mut probe, "echo", 0, 1), 1);
    let refused = probe.ask(&call(1, "echo", json!({})));
    let limit = &refused["result"]["_meta"]["stockade/limit"];
    assert_eq!((&limit["max"], &limit["count"]), (&json!(1), &json!(2)), "{refused}");
    assert_eq!(limit["windowSeconds"], 3600);
    let retry = limit["retryAfter"].as_u64().unwrap();
    assert!((3000..=3600).contains(&retry), "{retry}");
    let says = text(&refused);
    assert!(says.contains(&format!("try again in {retry} s")), "{says}");
    // The same over HTTP, in both eras, and of a remote server.
    let upstream = FakeHttp::new(Script::default());
    home.policy(
        "[[quotas]]\ntool = \"*\"\nserver = \"x\"\ncost = 1\n
         [limits]\ncalls_per_minute = 1\ncalls_burst = 1",
    );
    for gateway in [Gateway::of(&home, &fake), Gateway::to(&home, &upstream)] {
        let mut connection = gateway.connect();
        let passed = connection.post_modern(&call(1, "echo", json!({})));
        assert_eq!((passed.status, passed.header("retry-after")), (200, None));
        let refused = connection.post_modern(&call(2, "echo", json!({})));
        let retry: u64 = refused.header("retry-after").expect("a header").parse().unwrap();
        assert!((30..=60).contains(&retry), "{refused:?}");
        let message = refused.message();
        assert_eq!(message["result"]["_meta"]["stockade/limit"]["retryAfter"], retry);

        let mut connection = gateway.connect();
        connection.begin_legacy();
        let refused = connection.post(&[], &call(3, "echo", json!({})));
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
    }
    // And in the ledger, also for a person.
    drop(probe);
    let refused = |rule: &str| {
        let records = home.records_of("decision").into_iter();
        records.filter(|it| it["rule"] == rule).collect::<Vec<_>>()
    };
    let spent = &refused("quotas[0].calls_per_hour")[0];
    assert_eq!(
        (&spent["decision"], &spent["limit"]["max"]),
        (&json!("deny"), &json!(1)),
        "{spent}"
    );
    assert_eq!((&spent["limit"]["count"], &spent["limit"]["window_s"]), (&json!(2), &json!(3600)));
    assert!(spent["limit"]["retry_ms"].as_u64().is_some_and(|it| it > 3_000_000), "{spent}");
    assert_eq!(refused("limits.calls_per_minute").len(), 4);
    let shown = home.audit(&["query", "--decision", "deny"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("quotas[0].calls_per_hour = 1: 2 within 3600 s"), "{shown}");
}

fn v08_what_cannot_be_remembered_does_not_pass() {
    let home = Home::new();
    home.policy("[[quotas]]\ntool = \"echo\"\ncalls_per_day = 50");
    let fake = home.fake(Script::default().with(tool("other")));
    let shared = home.path().join("state/shared");
    fs::create_dir_all(home.path().join("state")).unwrap();
    fs::write(&shared, "not a directory").unwrap();
    let mut probe = Probe::run(&home, &fake).begin();
    let refused = probe.ask(&call(1, "echo", json!({})));
    assert!(text(&refused).contains("cannot be"), "{refused}");
    assert!(!text(&refused).contains("state"), "it tells no place: {refused}");
    assert_eq!(passed(&mut probe, "other", 0, 1), 1, "which has no budget");
    let decisions = home.records_of("decision");
    let why = decisions.iter().find(|it| it["rule"] == "memory").expect("a record");
    assert!(why["says"].as_str().unwrap().contains("state/shared"), "{why}");
    // Once it can be, it is.
    fs::remove_file(&shared).unwrap();
    assert_eq!(passed(&mut probe, "echo", 0, 1), 1);
    assert_eq!(fake.count("tools/call"), 2);
}
