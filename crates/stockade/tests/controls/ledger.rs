//! What is written down, what is not, and what happens when somebody changes it; and policies that
//! change while calls pass.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::{Value, json};

use crate::harness::http::modern_headers;
use crate::harness::probe::Ended;
use crate::harness::process::limit_files;
use crate::harness::{
    Connection, Fake, Gateway, Home, NO_LIMITS, Probe, Script, Step, call, is_refusal, modern,
    request, say, text, tool, wait_for,
};

crate::rows![
    l01_every_call_has_one_decision_and_one_outcome,
    l01_every_call_over_http_has_one_decision_and_one_outcome,
    l01_a_decision_without_an_outcome_is_marked,
    l03_every_change_is_found,
    l03_a_ledger_that_is_gone_is_not_whole,
    l03_what_a_killed_guard_has_left_is_told_and_sealed,
    l03_a_full_segment_ends_and_the_next_follows,
    l03_a_guard_that_is_killed_between_segments_has_lost_nothing,
    l03_what_is_no_longer_kept_is_told_from_what_was_taken,
    l04_what_cannot_be_recorded_does_not_pass,
    l04_a_gateway_that_cannot_record_says_so_and_ends,
    l04_a_ledger_that_is_taken_away_ends_the_guard,
    l07_one_record_is_one_line,
    l08_a_policy_that_is_wrong_starts_nothing,
    l08_a_policy_that_becomes_wrong_changes_nothing,
    l08_a_reload_leaves_no_gap,
];

fn failing() -> Step {
    say(json!({ "jsonrpc": "2.0", "id": "$id", "result": {
        "isError": true, "content": [{ "type": "text", "text": "no such row" }] } }))
}

fn error() -> Step {
    let error = json!({ "code": -32602, "message": "no such table" });
    say(json!({ "jsonrpc": "2.0", "id": "$id", "error": error }))
}

const CALLS: usize = 10_000;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Every way that a call can end, each of them a fifth of all.
fn mixed(number: usize) -> Value {
    let mut it = match number % 5 {
        0 => call(number, "echo", json!({ "text": format!("{number}") })),
        1 => call(number, "danger", json!({ "text": "x" })),
        2 => call(number, "failing", json!({})),
        3 => call(number, "error", json!({ "text": "y" })),
        _ => request(number, "resources/list", json!({})),
    };
    it["params"]["_meta"] = json!({ "traceparent": TRACE });
    it
}

/// A server that can end a call in every way, and a policy that denies one of its tools.
fn mixed_server(home: &Home) -> Fake {
    home.policy(&format!("{DENY_DANGER}{NO_LIMITS}"));
    let script = Script::default().with(tool("danger"));
    home.fake(script.on_tool("failing", [failing()]).on_tool("error", [error()]))
}

fn l01_every_call_has_one_decision_and_one_outcome() {
    let home = Home::new();
    let fake = mixed_server(&home);
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    (0..CALLS).for_each(|number| probe.send(&mixed(number)));
    let mut refused = 0;
    for _ in 0..CALLS {
        refused += usize::from(is_refusal(&probe.next().expect("an answer")));
    }
    assert_eq!(refused, CALLS / 5 * 4);
    assert_eq!(probe.end().code, Some(0));
    is_complete(&home);
}

fn l01_every_call_over_http_has_one_decision_and_one_outcome() {
    let home = Home::new();
    let fake = mixed_server(&home);
    let gateway = Gateway::of(&home, &fake);
    let refused = thread::scope(|scope| {
        let clients = [true, false, true, false].map(|is_modern| {
            let mut client = gateway.connect();
            scope.spawn(move || {
                if !is_modern {
                    client.begin_legacy();
                }
                let mut ask = |message: &Value| match is_modern {
                    true => client.post_modern(message).message(),
                    false => client.post(&[], message).message(),
                };
                ask(&request("list", "tools/list", json!({})));
                let answers = (0..CALLS / 4).map(|number| ask(&mixed(number)));
                answers.filter(is_refusal).count()
            })
        });
        clients.into_iter().map(|it| it.join().unwrap()).sum::<usize>()
    });
    assert_eq!(refused, CALLS / 5 * 4);
    gateway.end();
    is_complete(&home);
}

/// The ledger has the calls that are `mixed`, each of them whole.
#[track_caller]
fn is_complete(home: &Home) {
    assert!(home.is_whole());
    let records = home.records();
    let mut exchanges: HashMap<&str, (Vec<&Value>, Vec<&Value>)> = HashMap::new();
    for record in &records {
        let Some(id) = record["call"].as_str() else { continue };
        let entry = exchanges.entry(id).or_default();
        match record["kind"].as_str() {
            Some("decision") => entry.0.push(record),
            Some("outcome") => entry.1.push(record),
            _ => (),
        }
    }
    let mut counts: HashMap<(&str, &str, &str), usize> = HashMap::new();
    for (id, (decisions, outcomes)) in exchanges {
        if decisions.is_empty() && outcomes.is_empty() {
            continue;
        }
        assert_eq!((decisions.len(), outcomes.len()), (1, 1), "{id}");
        let (decision, outcome) = (decisions[0], outcomes[0]);
        for name in ["at", "session", "principal", "server", "client", "revision", "method"] {
            assert!(decision[name].as_str().is_some_and(|it| !it.is_empty()), "{name}: {decision}");
        }
        assert!(outcome["duration_ms"].is_u64(), "{outcome}");
        if decision["method"] == "tools/call" {
            assert_eq!(decision["trace"], TRACE, "{decision}");
            assert_eq!(decision["arguments_digest"].as_str().map(str::len), Some(64), "{decision}");
            assert_eq!(decision["tool_digest"].as_str().map(str::len), Some(64), "{decision}");
        }
        if decision["decision"] == "deny" {
            assert!(decision["rule"].as_str().is_some_and(|it| !it.is_empty()), "{decision}");
        }
        let words = |record: &'_ Value, name| record[name].as_str().unwrap_or_default().to_owned();
        let key = (words(decision, "tool"), words(decision, "decision"), words(outcome, "status"));
        let key = [key.0, key.1, key.2].map(|it| &*Box::leak(it.into_boxed_str()));
        *counts.entry((key[0], key[1], key[2])).or_default() += 1;
    }
    let each = CALLS / 5;
    assert_eq!(counts[&("echo", "allow", "ok")], each);
    assert_eq!(counts[&("danger", "deny", "refused")], each);
    assert_eq!(counts[&("failing", "allow", "tool_error")], each);
    assert_eq!(counts[&("error", "allow", "error")], each);
}

fn l01_a_decision_without_an_outcome_is_marked() {
    let home = Home::new();
    let fake = home.fake(Script::default().on_tool("hang", [Step::Hang]));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&call("ends", "echo", json!({ "text": "x" })));
    let shown = |args: &[&str]| {
        let query = [&["query", "--kind", "decision"], args].concat();
        let shown = String::from_utf8(home.audit(&query).stdout).unwrap();
        shown.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    // That a call has ended is written a moment after it has.
    wait_for("the outcome", || {
        home.records_of("outcome").iter().any(|it| it["status"] == "ok").then_some(())
    });
    probe.send(&call("hangs", "hang", json!({})));
    wait_for("the call that hangs", || (fake.count("tools/call") == 2).then_some(()));
    let is_marked = || {
        let echo = shown(&["--tool", "echo"]);
        assert!(!echo[0].contains("no outcome") && echo.len() == 1, "{echo:?}");
        let hang = shown(&["--tool", "hang"]);
        assert!(hang[0].contains("(no outcome: ") && hang.len() == 1, "{hang:?}");
        assert_eq!(shown(&["--open"]), hang);
        let [ref json] = shown(&["--open", "--format", "json"])[..] else { panic!() };
        let record: Value = serde_json::from_str(json).unwrap();
        assert_eq!((&record["tool"], &record["open"]), (&json!("hang"), &json!(true)));
        // What is kept elsewhere is what is in the file, to the byte.
        assert!(home.records_of("decision").iter().all(|it| it.get("open").is_none()));
    };
    is_marked();
    crate::harness::process::kill(i32::try_from(probe.guard()).unwrap());
    assert_eq!(probe.ended().code, None);
    is_marked();
    // The next does not make up how it ended.
    assert_eq!(Probe::run(&home, &fake).begin().end().code, Some(0));
    is_marked();
}

const DENY_DANGER: &str = r#"
    default = "allow"
    [[tools]]
    effect = "deny"
    tool = "danger"
"#;

/// A ledger of two conversations.
fn written() -> Home {
    let home = Home::new();
    let fake = home.fake(Script::default());
    for _ in 0..2 {
        let mut probe = Probe::run(&home, &fake).begin();
        for number in 0..5 {
            probe.ask(&call(number, "echo", json!({ "text": "x" })));
        }
        assert_eq!(probe.end().code, Some(0));
    }
    assert!(home.is_whole());
    home
}

/// The segments of a ledger, oldest first.
fn segments(ledger: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(ledger).unwrap().map(|it| it.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|it| it.extension().is_some_and(|it| it == "jsonl"))
        .filter(|it| it.file_name().is_some_and(|it| it != "manifest.jsonl"))
        .collect();
    files.sort();
    files
}

/// Ways to change lines of a segment, and the number of the first record that is wrong by it, if
/// it can be said.
type Change = (&'static str, fn(&mut Vec<String>), Option<u64>);

const CHANGES: &[Change] = &[
    ("a record is edited", |it| it[4] = it[4].replace("\"allow\"", "\"deny\""), None),
    ("a letter is edited", |it| it[3] = it[3].replacen("local", "locaI", 1), None),
    ("a record is deleted", |it| drop(it.remove(4)), Some(4)),
    ("two records change places", |it| it.swap(4, 5), Some(4)),
    ("a record is there twice", |it| it.insert(5, it[4].clone()), Some(5)),
    ("the last record is cut off", |it| drop(it.pop()), None),
    ("the last five records are cut off", |it| it.truncate(it.len() - 5), None),
    ("all but the first record are cut off", |it| it.truncate(1), None),
    (
        "the last record is cut in two",
        |it| {
            let last = it.pop().unwrap();
            it.push(last[..last.len() / 2].to_owned());
        },
        None,
    ),
    ("everything is cut off", Vec::clear, None),
    ("a line is added", |it| it.push(it[4].clone()), None),
    ("an empty line is added", |it| it.insert(3, String::new()), None),
    (
        "two records are glued together",
        |it| {
            let next = it.remove(5);
            it[4].push_str(&next);
        },
        None,
    ),
];

fn l03_every_change_is_found() {
    let home = written();
    let ledger = home.ledger();
    let originals: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(&ledger)
        .unwrap()
        .map(|it| it.unwrap().path())
        .map(|it| (it.clone(), fs::read(&it).unwrap()))
        .collect();
    let restore = || {
        for file in fs::read_dir(&ledger).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        originals.iter().for_each(|(file, bytes)| fs::write(file, bytes).unwrap());
    };
    let verdict = |what: &str| -> Value {
        let output = home.audit(&["verify", "--format", "json"]);
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let files = segments(&ledger);
    assert_eq!(files.len(), 2);
    for file in &files {
        for (what, change, seq) in CHANGES {
            let text = fs::read_to_string(file).unwrap();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let before = lines.clone();
            change(&mut lines);
            assert_ne!(lines, before, "{what}");
            let ends = if what.contains("in two") || lines.is_empty() { "" } else { "\n" };
            fs::write(file, lines.join("\n") + ends).unwrap();
            let found = verdict(what);
            assert_eq!(Some(found["segment"].as_str().unwrap()), stem(file), "{what}: {found}");
            if let Some(seq) = seq {
                assert_eq!(found["seq"], *seq, "{what}: {found}");
            }
            restore();
        }
        fs::remove_file(file).unwrap();
        verdict("a segment is gone");
        restore();
        fs::remove_file(file.with_extension("head")).unwrap();
        verdict("a signed head is gone");
        restore();
    }
    // A segment of another ledger, or the other segment of this one, in the place of one.
    let other = written();
    let foreign = segments(&other.ledger()).remove(0);
    for (what, from) in [("another ledger's records", &foreign), ("another segment's", &files[1])] {
        fs::copy(from, &files[0]).unwrap();
        verdict(what);
        restore();
    }
    fs::copy(&foreign, ledger.join(foreign.file_name().unwrap())).unwrap();
    verdict("a segment is added");
    restore();
    // Records that are chained anew, as whoever can write the file but not sign could do it.
    for name in ["manifest.jsonl", "manifest.head", "key.pub"] {
        fs::remove_file(ledger.join(name)).unwrap();
        let output = home.audit(&["verify"]);
        assert!(!output.status.success(), "without {name}: {output:?}");
        restore();
    }
    fs::copy(other.ledger().join("key.pub"), ledger.join("key.pub")).unwrap();
    verdict("another key");
    restore();
    assert!(home.is_whole());
}

/// What `audit verify` says.
fn verdict(home: &Home) -> Value {
    let output = home.audit(&["verify", "--format", "json"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn l03_a_ledger_that_is_gone_is_not_whole() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    Probe::run(&home, &fake).begin().end();
    assert!(home.is_whole());
    for file in std::fs::read_dir(home.ledger()).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let verified = home.audit(&["verify"]);
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
    assert!(String::from_utf8_lossy(&verified.stdout).starts_with("nothing: "), "{verified:?}");
}

fn l03_what_a_killed_guard_has_left_is_told_and_sealed() {
    // A guard that had just signed everything is no case of this.
    let (home, fake, left) = wait_for("a guard that is killed before it has signed", || {
        let home = Home::new();
        let fake = home.fake(Script::default());
        let mut probe = Probe::run(&home, &fake).begin();
        for number in 0..5 {
            probe.ask(&call(number, "echo", json!({ "text": "x" })));
        }
        crate::harness::process::kill(i32::try_from(probe.guard()).unwrap());
        assert_eq!(probe.ended().code, None);
        // What passed was decided, and that is written, however the guard ended.
        assert_eq!(fake.count("tools/call"), 5);
        let decided = home.records_of("decision").iter().filter(|it| it["tool"] == "echo").count();
        assert_eq!(decided, 5);
        let found = verdict(&home);
        assert_eq!(found["verdict"], "whole", "{found}");
        let left = found["killed"].get(0).cloned();
        left.map(|it| (home, fake, it))
    });
    let count = left["records"].as_u64().unwrap();
    assert_eq!(left["sealed"], false, "{left}");
    let told = String::from_utf8(home.audit(&["verify"]).stdout).unwrap();
    let words = format!("last {count} records, since {}", left["since"].as_str().unwrap());
    assert!(told.contains(&words), "{told}");

    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&call(1, "echo", json!({ "text": "x" })));
    assert_eq!(probe.end().code, Some(0));
    let noted = home.records_of("ledger.recovered");
    assert_eq!(noted.len(), 1, "{noted:?}");
    assert_eq!(noted[0]["segment"], left["segment"]);
    assert_eq!(noted[0]["says"], format!("unsealed tail found: {count} records"));
    let found = verdict(&home);
    assert_eq!(found["unsealed"], 0, "{found}");
    assert_eq!(
        (&found["killed"][0]["sealed"], &found["killed"][0]["records"]),
        (&json!(true), &json!(count))
    );

    // From then on its end cannot be cut off.
    let file = home.ledger().join(format!("{}.jsonl", left["segment"].as_str().unwrap()));
    let text = fs::read_to_string(&file).unwrap();
    let last = text.trim_end().rfind('\n').unwrap();
    fs::write(&file, &text[..=last]).unwrap();
    let found = verdict(&home);
    assert_eq!((&found["verdict"], &found["segment"]), (&json!("broken"), &left["segment"]));
}

/// Segments that some fifty calls fill.
const SHORT: &str = "[ledger]\nsegment_bytes_max = 65536\n";

fn l03_a_full_segment_ends_and_the_next_follows() {
    const CALLS: usize = 300;
    for is_gateway in [false, true] {
        let home = Home::new();
        home.policy(&format!("{NO_LIMITS}{SHORT}"));
        let fake = home.fake(Script::default());
        let ask = |answer: Value| assert_eq!(text(&answer), "x");
        let calls = (0..CALLS).map(|number| call(number, "echo", json!({ "text": "x" })));
        if is_gateway {
            let gateway = Gateway::of(&home, &fake);
            let mut connection = gateway.connect();
            calls.for_each(|it| ask(connection.post_modern(&it).message()));
            gateway.end();
        } else {
            let mut probe = Probe::run(&home, &fake).begin();
            calls.for_each(|it| ask(probe.ask(&it)));
            assert_eq!(probe.end().code, Some(0));
        }
        let files = segments(&home.ledger());
        assert!(files.len() > 3, "{files:?}");
        let found = verdict(&home);
        assert_eq!((&found["verdict"], &found["unsealed"]), (&json!("whole"), &json!(0)));
        assert_eq!(
            (found["segments"].as_u64().unwrap(), &found["gone"]),
            (u64::try_from(files.len()).unwrap(), &Value::Null)
        );

        // Whoever reads the ledger sees all of it, in order, and no break in it.
        let records = home.records();
        assert_eq!(found["records"].as_u64().unwrap(), u64::try_from(records.len()).unwrap());
        assert!(records.is_sorted_by_key(|it| it["at"].as_str().unwrap().to_owned()));
        for kind in ["decision", "outcome"] {
            let of = ["query", "--kind", kind, "--tool", "echo", "--limit", "1000"];
            let shown = String::from_utf8(home.audit(&of).stdout).unwrap();
            assert_eq!(shown.lines().count(), CALLS, "{kind}");
        }

        // One in the middle and the oldest, taken away by hand.
        for place in [files.len() / 2, 0] {
            let aside = home.path().join("aside");
            fs::rename(&files[place], &aside).unwrap();
            let found = verdict(&home);
            assert_eq!(found["verdict"], "broken", "{found}");
            assert_eq!(found["segment"].as_str(), stem(&files[place]), "{found}");
            assert_eq!(found["fault"]["kind"], "missing_segment", "{found}");
            fs::rename(&aside, &files[place]).unwrap();
        }
        assert!(home.is_whole());
    }
}

fn l03_a_guard_that_is_killed_between_segments_has_lost_nothing() {
    let home = Home::new();
    home.policy(&format!("{NO_LIMITS}{SHORT}"));
    let fake = home.fake(Script::default());
    let mut asked = 0;
    for round in 1..=5 {
        let mut probe = Probe::run(&home, &fake).begin();
        let files = || fs::read_dir(home.ledger()).unwrap().count();
        let before = files();
        // Its file comes before its entry in the manifest, and that before its name.
        while files() == before {
            asked += 1;
            probe.send(&call(asked, "echo", json!({ "text": "x" })));
            if asked % 8 == 0 {
                probe.answer(asked);
            }
        }
        crate::harness::process::kill(i32::try_from(probe.guard()).unwrap());
        assert_eq!(probe.ended().code, None);
        let found = verdict(&home);
        assert_eq!(found["verdict"], "whole", "round {round}: {found}");
        let decided = home.records_of("decision");
        let decided = decided.iter().filter(|it| it["tool"] == "echo").count();
        let passed = fake.count("tools/call");
        assert!(passed <= decided, "round {round}: {passed} > {decided}");
    }
    let probe = Probe::run(&home, &fake).begin();
    assert_eq!(probe.end().code, Some(0));
    let found = verdict(&home);
    assert_eq!((&found["verdict"], &found["unsealed"]), (&json!("whole"), &json!(0)), "{found}");
}

fn l03_what_is_no_longer_kept_is_told_from_what_was_taken() {
    const KEPT: u64 = 150_000;
    let home = Home::new();
    let fake = home.fake(Script::default());
    home.policy(&format!("{NO_LIMITS}{SHORT}keep_bytes = {KEPT}\n"));
    let gateway = Gateway::of(&home, &fake);
    let mut connection = gateway.connect();
    let noted = wait_for("a segment that is no longer kept", || {
        for number in 0..50 {
            let call = call(number, "echo", json!({ "text": "x" }));
            assert_eq!(text(&connection.post_modern(&call).message()), "x");
        }
        let shown = home.audit(&["query", "--kind", "ledger.removed", "--format", "json"]);
        serde_json::Deserializer::from_slice(&shown.stdout).into_iter::<Value>().next()
    });
    let noted = noted.unwrap();
    assert!(noted["segments"].as_u64().unwrap() > 0, "{noted}");
    gateway.end();
    let files = segments(&home.ledger());
    let closed = files[..files.len() - 1].iter().map(|it| fs::metadata(it).unwrap().len());
    assert!(closed.sum::<u64>() <= KEPT);
    let found = verdict(&home);
    let gone = &found["gone"];
    assert_eq!(found["verdict"], "whole", "{found}");
    assert!(gone["segments"].as_u64().unwrap() > 0, "{found}");
    assert_eq!(gone["from"].as_str(), stem(&files[0]), "{found}");
    assert_eq!(gone["since"], home.records()[0]["at"], "{found}");
    let told = String::from_utf8(home.audit(&["verify"]).stdout).unwrap();
    let words = format!("verified from record 0 of `{}`", stem(&files[0]).unwrap());
    assert!(told.contains(&words), "{told}");

    // The next one by hand.
    fs::remove_file(&files[0]).unwrap();
    let found = verdict(&home);
    assert_eq!(found["verdict"], "broken", "{found}");
    assert_eq!(found["segment"].as_str(), stem(&files[0]), "{found}");
    // Neither a later start, which would remove it by now, signs for it.
    let probe = Probe::run(&home, &fake).begin();
    assert_eq!(probe.end().code, Some(0));
    assert_eq!(verdict(&home)["segment"].as_str(), stem(&files[0]));
}

fn stem(file: &Path) -> Option<&str> {
    file.file_stem()?.to_str()
}

fn l04_what_cannot_be_recorded_does_not_pass() {
    // A file in the place of the directory.
    let home = Home::new();
    fs::write(home.path().join("state"), "").unwrap();
    let fake = home.fake(Script::default());
    let ended = Probe::run(&home, &fake).ended();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("help: "), "{}", ended.stderr);
    assert_eq!(fake.heard(), "");

    // No room for another record: the size of files is bounded for the guard alone.
    let home = Home::new();
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake).begin();
    limit_files(probe.guard(), ROOM);
    let mut passed = 0;
    for number in 0..1000 {
        probe.send(&call(number, "echo", json!({ "text": number.to_string() })));
        match probe.next() {
            Some(answer) if !is_refusal(&answer) => passed += 1,
            Some(_) | None => break,
        }
    }
    assert!(passed < 1000, "a full disk stops what passes");
    says_what_is_full(&home, &probe.ended());
    is_decided(&home, &fake);
}

/// What a ledger may grow to in these rows.
pub(crate) const ROOM: u64 = 32 << 10;

/// One line says what happened, where and why, and one what to do.
#[track_caller]
fn says_what_is_full(home: &Home, ended: &Ended) {
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let [error, help] = lines[..] else { panic!("{}", ended.stderr) };
    let place = segments(&home.ledger()).pop().unwrap();
    let cause = format!("cannot write `{}`: File too large", place.display());
    assert!(error.starts_with("error: the ledger cannot be written"), "{error}");
    assert!(error.contains(&cause), "{error}");
    assert!(help.starts_with("help: "), "{help}");
}

/// What reached the server is in the ledger, all of it.
#[track_caller]
fn is_decided(home: &Home, fake: &Fake) {
    let decided = home.records_of("decision");
    let decided = decided.iter().filter(|it| it["method"] == "tools/call").count();
    assert!(fake.count("tools/call") <= decided, "{} > {decided}", fake.count("tools/call"));
}

fn l04_a_gateway_that_cannot_record_says_so_and_ends() {
    for is_legacy in [true, false] {
        let home = Home::new();
        let fake = home.fake(Script::default().on_tool("hang", [Step::Hang]));
        let gateway = Gateway::of(&home, &fake);
        let mut waits = gateway.connect();
        let mut connection = gateway.connect();
        if is_legacy {
            connection.begin_legacy();
            // A session of its own, of which nothing has to be recorded.
            waits.begin_legacy();
        }
        let start = |connection: &mut Connection, message: Value| {
            if is_legacy {
                return connection.start_post(&[], &message);
            }
            let message = modern(message);
            let headers = modern_headers(&message);
            let headers: Vec<_> = headers.iter().map(|(name, it)| (*name, it.as_str())).collect();
            connection.start_post(&headers, &message);
        };
        start(&mut waits, call("hangs", "hang", json!({})));
        wait_for("the call that hangs", || (fake.count("tools/call") == 1).then_some(()));
        limit_files(gateway.pid(), ROOM);
        let refused = (0..1000).find_map(|number| {
            start(&mut connection, call(number, "echo", json!({ "text": "x" })));
            let answer = connection.response();
            (answer.status != 200).then_some(answer)
        });
        let refused = refused.expect("a full disk stops what passes");
        assert_eq!(refused.status, 503, "{refused:?}");
        // Who waited is told, too, and nobody is let in again.
        assert!(is_refusal(&waits.response().message()));
        says_what_is_full(&home, &gateway.ended());
        is_decided(&home, &fake);
    }
}

fn l04_a_ledger_that_is_taken_away_ends_the_guard() {
    // Nobody calls: the guard finds out by itself.
    let take_away = |home: &Home| {
        fs::rename(home.ledger(), home.path().join("taken")).unwrap();
    };
    let check = |ended: &Ended| {
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.starts_with("error: the ledger cannot be written"), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
    };
    let home = Home::new();
    let probe = Probe::run(&home, &home.fake(Script::default())).begin();
    take_away(&home);
    check(&probe.ended());

    let home = Home::new();
    let gateway = Gateway::of(&home, &home.fake(Script::default()));
    take_away(&home);
    check(&gateway.ended());

    // Somebody calls at once: what is written nowhere does not pass.
    let home = Home::new();
    let fake = home.fake(Script::default().with(tool("echo")));
    let mut probe = Probe::run(&home, &fake).begin();
    take_away(&home);
    assert!(is_refusal(&probe.ask(&call(1, "echo", json!({})))));
    check(&probe.ended());
    assert!(fake.messages().iter().all(|it| it["method"] != "tools/call"));
}

fn l07_one_record_is_one_line() {
    let nasty = [
        "a\r\n{\"seq\":0,\"kind\":\"decision\",\"decision\":\"allow\"}",
        "\u{1b}[2K\u{1b}[1A\u{1b}]52;c;aGk=\u{7}",
        "\u{2028}\u{2029}\u{85}\u{0b}\u{0c}",
        "\",\"decision\":\"allow\",\"x\":\"",
        "\u{0}\u{8}\u{7f}\u{9b}31m",
    ];
    let home = Home::new();
    let complaint = Step::Complain(format!("{}\u{1b}[31m{}", nasty[3], nasty[1]));
    let fake = home.fake(Script::default().on_tool("complain", [complaint, failing()]));
    let mut probe = Probe::run(&home, &fake);
    let mut begin = crate::harness::probe::initialize("2025-11-25");
    begin["params"]["clientInfo"]["name"] = json!(nasty.concat());
    probe.ask(&begin);
    for (number, text) in nasty.iter().enumerate() {
        probe.send(&call(number, text, json!({ *text: text })));
        probe.answer(number);
        probe.ask(&request(format!("m{number}"), text, json!({ "uri": text })));
        probe.send(&json!({ "jsonrpc": "2.0", "method": text, "params": { "level": text } }));
    }
    probe.ask(&call("c", "complain", json!({})));
    assert_eq!(probe.end().code, Some(0));
    assert!(home.is_whole());

    let ledger = home.ledger();
    for file in segments(&ledger) {
        let bytes = fs::read(file).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let is_safe =
            |it: char| it == '\n' || !(it.is_control() || "\u{2028}\u{2029}".contains(it));
        assert!(text.chars().all(is_safe), "{}", text.escape_debug());
        for (number, line) in text.lines().enumerate() {
            let record: Value = serde_json::from_str(line).expect(line);
            assert_eq!(record["seq"], number, "one line, one record");
        }
    }
    let shown = home.audit(&["query", "--limit", "1000"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.chars().all(|it| it == '\n' || !it.is_control()), "{}", shown.escape_debug());
    assert_eq!(shown.lines().count(), home.records().len());
}

fn l08_a_policy_that_is_wrong_starts_nothing() {
    let wrong = [
        ("defualt = \"deny\"", "default"),
        ("[rules]\nhiden_unicode = \"fix\"", "hidden_unicode"),
        ("[limits]\ncalls_per_minut = 5", "calls_per_minute"),
        ("[limits]\ncalls_per_minute = -5", "calls_per_minute"),
        ("[limits]\ncalls_per_minute = \"many\"", "stockade.toml:2"),
        ("preset = \"lax\"", "stockade.toml:1"),
        ("default = \"deny\"\n[[tools]]\neffect = \"alow\"\ntool = \"x\"", "allow"),
        ("default = \"deny\"\n[[tools]]\neffect = \"allow\"\ntols = \"x\"", "tool"),
        ("default = \"deny", "stockade.toml:1"),
        ("\u{0}", "stockade.toml"),
    ];
    for (policy, says) in wrong {
        let home = Home::new();
        home.policy(policy);
        let fake = home.fake(Script::default());
        let ended = Probe::run(&home, &fake).ended();
        assert_eq!(ended.code, Some(2), "{policy}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{policy}: {}", ended.stderr);
        assert_eq!(fake.heard(), "", "{policy}");
    }
    let home = Home::new();
    let missing = Probe::run_with(&home, &["--policy", "none.toml"], &home.fake(Script::default()));
    let ended = missing.ended();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("none.toml"), "{}", ended.stderr);
}

fn l08_a_policy_that_becomes_wrong_changes_nothing() {
    let home = Home::new();
    let deny = format!("{DENY_DANGER}{NO_LIMITS}");
    home.policy(&deny);
    let fake = home.fake(Script::default().with(tool("danger")));
    let mut probe = Probe::run(&home, &fake).begin();
    let mut number = 0;
    let mut refused = |probe: &mut Probe, tool: &str| {
        number += 1;
        is_refusal(&probe.ask(&call(number, tool, json!({}))))
    };
    assert!(refused(&mut probe, "danger"));
    let notes = |home: &Home| home.records_of("policy").len();
    for (count, broken) in ["defualt = \"allow\"", "default = \"", ""].iter().enumerate() {
        if broken.is_empty() {
            fs::remove_file(home.policy(&deny)).unwrap();
        } else {
            home.policy(broken);
        }
        wait_for("a note about the policy", || (notes(&home) > count).then_some(()));
        assert!(refused(&mut probe, "danger"), "{broken}");
        assert!(!refused(&mut probe, "echo"), "{broken}");
    }
    // One that is right again holds from the next call on.
    home.policy(&deny.replace("\"danger\"", "\"echo\""));
    wait_for("the new policy", || refused(&mut probe, "echo").then_some(()));
    assert!(!refused(&mut probe, "danger"));
    let ended = probe.end();
    assert!(ended.stderr.contains("defualt"), "{}", ended.stderr);
}

fn l08_a_reload_leaves_no_gap() {
    let home = Home::new();
    let policy = |other: &str| {
        format!("{DENY_DANGER}[[tools]]\neffect = \"deny\"\ntool = \"{other}\"\n{NO_LIMITS}")
    };
    home.policy(&policy("one"));
    let fake = home.fake(Script::default().with(tool("danger")));
    let gateway = Gateway::of(&home, &fake);
    let replaced = || home.records_of("policy").len();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    let calls = std::thread::scope(|scope| {
        let calls = scope.spawn(|| {
            let mut connection = gateway.connect();
            let mut calls = 0;
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                calls += 1;
                let denied = connection.post_modern(&call(calls, "danger", json!({}))).message();
                assert!(is_refusal(&denied), "{denied}");
                let allowed = connection.post_modern(&call(calls, "echo", json!({ "text": "x" })));
                assert_eq!(text(&allowed.message()), "x");
            }
            calls
        });
        for reload in 0..5 {
            home.policy(&policy(&format!("other-{reload}")));
            wait_for("the reload", || (replaced() > reload || calls.is_finished()).then_some(()));
        }
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        calls.join().unwrap()
    });
    assert!(calls > 50, "only {calls} calls passed meanwhile");
    assert_eq!(fake.messages().iter().filter(|it| it["params"]["name"] == "danger").count(), 0);
}
