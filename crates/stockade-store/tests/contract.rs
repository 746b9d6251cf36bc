//! What a ledger promises to those who write and read it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail as the test does"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::json;
use stockade_store::{
    Durability, Error, FieldsError, Filter, Ledger, Options, Verdict, Whole, query, tail, verify,
};
use tempfile::TempDir;

use crate::support::export;

fn temp() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A ledger to which nothing happens by itself.
fn still(dir: &Path) -> Ledger {
    const NEVER: Duration = Duration::from_secs(3600);
    let options = Options { write_within: NEVER, seal_within: NEVER, ..Options::default() };
    Ledger::open_with(dir, options).unwrap()
}

fn write(ledger: &Ledger, tools: &[&str]) {
    for tool in tools {
        ledger.append(&json!({ "kind": "decision", "tool": tool })).unwrap();
    }
}

fn whole(dir: &Path) -> Whole {
    match verify(dir).unwrap() {
        Verdict::Whole(whole) => whole,
        Verdict::Broken(broken) => panic!("{broken}"),
        Verdict::Nothing => panic!("there is nothing"),
    }
}

fn field(json: &str, name: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    value[name].as_str().unwrap_or_default().to_owned()
}

fn tools(dir: &Path, filter: &Filter) -> Vec<String> {
    let found = query(dir, filter).unwrap();
    assert_eq!(found.damaged, 0);
    found.records.iter().map(|it| field(&it.json, "tool")).collect()
}

#[test]
fn what_was_appended_is_read_before_the_ledger_is_closed() {
    let dir = temp();
    let ledger = still(&dir.path().join("a/b"));
    let dir = dir.path().join("a/b");
    let position = ledger.append(&json!({ "kind": "decision", "tool": "x" })).unwrap();
    assert_eq!(position.seq, 1);
    let mut out = Vec::new();
    assert_eq!(export(&dir, &mut out).unwrap(), 2);
    let out = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(field(lines[0], "kind"), "ledger.opened");
    assert_eq!(field(lines[0], "segment"), ledger.segment().unwrap());
    assert_eq!(field(lines[1], "tool"), "x");
    assert_eq!(field(lines[1], "prev"), field(lines[0], "hash"));
    assert_eq!(whole(&dir).unsealed, 1);
    ledger.checkpoint().unwrap();
    let found = whole(&dir);
    assert_eq!((found.segments, found.live), (1, 1));
    assert_eq!((found.records, found.unsealed), (2, 0));
    ledger.close().unwrap();
    assert!(matches!(ledger.append(&json!({})), Err(Error::Poisoned { .. })));
    assert_eq!(whole(&dir).live, 0);
}

#[test]
fn what_nobody_waits_for_is_written_and_signed_by_itself() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    let options = Options { seal_within: Duration::ZERO, ..Options::default() };
    let ledger = Ledger::open_with(&dir, options).unwrap();
    let mut tail = tail(&dir, 0, true).unwrap();
    for _ in 0..3 {
        ledger.append_soon(&json!({ "tool": "x" })).unwrap();
        assert_eq!(field(&tail.next().unwrap().unwrap().json, "tool"), "x");
        while whole(&dir).unsealed > 0 {
            thread::yield_now();
        }
    }
}

#[test]
fn what_nobody_waited_for_is_written_at_the_end() {
    for end in [|it: Ledger| it.close().unwrap(), drop] {
        let dir = temp();
        let dir = dir.path().join("ledger");
        let ledger = still(&dir);
        ledger.append_soon(&json!({ "tool": "x" })).unwrap();
        assert_eq!(whole(&dir).records, 1);
        end(ledger);
        let found = whole(&dir);
        assert_eq!((found.records, found.unsealed, found.live), (2, 0, 0));
    }
}

#[test]
fn a_refused_record_leaves_the_ledger_as_it_was() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    let ledger = Ledger::open(&dir).unwrap();
    for (record, expected) in [
        (json!("nothing"), FieldsError::NotAnObject),
        (json!({ "a": 1, "seq": 0 }), FieldsError::Reserved("seq")),
    ] {
        match ledger.append(&record) {
            Err(Error::Fields(error)) => assert_eq!(error, expected),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ledger.append(&json!({})).unwrap().seq, 1);
    ledger.close().unwrap();
    assert_eq!(whole(&dir).records, 2);
}

#[test]
fn hostile_text_stays_in_one_record() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    let ledger = Ledger::open(&dir).unwrap();
    let tool = "x\r\n{\"seq\":9,\"hash\":\"\"}\u{1b}[2J\u{2028}\u{85}\0\",\"hash\":\"";
    ledger.append(&json!({ "tool": tool })).unwrap();
    ledger.close().unwrap();
    let filter = Filter { text: Some("\u{1B}[2j".to_owned()), ..Filter::default() };
    assert_eq!(tools(&dir, &filter), [tool]);
    assert_eq!(whole(&dir).records, 2);
}

#[test]
fn many_threads_and_several_ledgers_write_one_whole_ledger() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    let disk = Options { durability: Durability::Disk, ..Options::default() };
    let ledgers = [(); 3].map(|()| Ledger::open_with(&dir, disk).unwrap());
    thread::scope(|scope| {
        for thread in 0..8 {
            let ledger = &ledgers[thread % 3];
            scope.spawn(move || write(ledger, &["x"; 300]));
        }
        // Those who verify meanwhile are not disturbed by those who write.
        for _ in 0..5 {
            whole(&dir);
        }
    });
    let found = whole(&dir);
    assert_eq!((found.segments, found.live, found.records), (3, 3, 2403));
    for ledger in ledgers {
        ledger.close().unwrap();
    }
    let found = whole(&dir);
    assert_eq!((found.live, found.records, found.unsealed), (0, 2403, 0));
    assert_eq!(query(&dir, &Filter::default()).unwrap().records.len(), 2403);
}

#[test]
fn ledgers_are_opened_and_closed_at_once() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let ledger = Ledger::open(&dir).unwrap();
                write(&ledger, &["x"]);
                ledger.close().unwrap();
                query(&dir, &Filter::default()).unwrap();
            });
        }
    });
    let found = whole(&dir);
    assert_eq!((found.segments, found.live, found.records), (8, 0, 16));
    assert_eq!(query(&dir, &Filter::default()).unwrap().records.len(), 16);
}

#[test]
fn after_any_prefix_of_what_a_ledger_does_it_is_whole() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(verify(&dir).unwrap(), Verdict::Nothing);
    let mut open: Vec<Ledger> = Vec::new();
    let mut written = 0;
    // A fixed linear congruential sequence: the same operations in each run.
    let mut random = 7_u32;
    for _ in 0..60 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let choice = usize::try_from(random >> 16).unwrap();
        match (choice % 8, open.is_empty()) {
            (0, _) | (_, true) => {
                open.push(Ledger::open(&dir).unwrap());
                written += 1;
            }
            (1, _) => open.swap_remove(choice % open.len()).close().unwrap(),
            (2, _) => drop(open.swap_remove(choice % open.len())),
            (3, _) => open[choice % open.len()].checkpoint().unwrap(),
            _ => {
                let tools = vec!["x"; choice % 300];
                write(&open[choice % open.len()], &tools);
                written += tools.len();
            }
        }
        let found = whole(&dir);
        assert_eq!(found.records, u64::try_from(written).unwrap());
        assert_eq!(found.live, u64::try_from(open.len()).unwrap());
    }
}

#[test]
fn files_are_private_and_must_stay_so() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    Ledger::open(&dir).unwrap().close().unwrap();
    query(&dir, &Filter::default()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    for (path, private) in [(dir.join("key"), 0o600), (dir.clone(), 0o700)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(private | 0o040)).unwrap();
        let refused = Ledger::open(&dir).unwrap_err();
        assert!(matches!(refused, Error::Exposed { path: it, .. } if it == path));
        fs::set_permissions(&path, fs::Permissions::from_mode(private)).unwrap();
    }
    Ledger::open(&dir).unwrap();
}

#[test]
fn a_ledger_without_its_key_is_not_extended() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    Ledger::open(&dir).unwrap().close().unwrap();
    fs::remove_file(dir.join("key")).unwrap();
    assert!(matches!(Ledger::open(&dir), Err(Error::Open { .. })));
    fs::write(dir.join("key"), "0".repeat(64)).unwrap();
    fs::set_permissions(dir.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(Ledger::open(&dir), Err(Error::Key { .. })));
    fs::remove_file(dir.join("key")).unwrap();
    assert_eq!(whole(&dir).records, 1);
}

#[test]
fn a_directory_that_cannot_be_used_is_said_to_be() {
    let dir = temp();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Ledger::open(&file), Err(Error::Open { .. })));
    assert!(matches!(Ledger::open(file.join("x")), Err(Error::Open { .. })));
    let absent = dir.path().join("absent");
    assert!(matches!(verify(&absent), Err(Error::Open { .. })));
    assert!(matches!(query(&absent, &Filter::default()), Err(Error::Open { .. })));
    assert!(matches!(tail(&absent, 1, false), Err(Error::Open { .. })));
    assert!(matches!(export(&absent, Vec::new()), Err(Error::Open { .. })));
}

#[test]
fn a_directory_that_is_replaced_ends_the_ledger() {
    for appends in [0, 1] {
        let dir = temp();
        let (here, there) = (dir.path().join("ledger"), dir.path().join("moved"));
        let ledger = still(&here);
        fs::rename(&here, &there).unwrap();
        fs::create_dir(&here).unwrap();
        // Whichever comes first finds out.
        let first = match appends {
            0 => ledger.checkpoint(),
            _ => ledger.append(&json!({})).map(drop),
        };
        assert!(matches!(first, Err(Error::Replaced { .. })));
        assert!(matches!(ledger.append(&json!({})), Err(Error::Poisoned { .. })));
        assert!(matches!(ledger.close(), Err(Error::Poisoned { .. })));
        assert_eq!(fs::read_dir(&here).unwrap().count(), 0);
        assert_eq!(whole(&there).records, 1 + appends);
    }
}

#[test]
fn a_segment_that_somebody_else_changes_ends_the_ledger() {
    for change in [
        |path: &Path| fs::remove_file(path).unwrap(),
        |path: &Path| fs::write(path, "").unwrap(),
        |path: &Path| {
            let mut text = fs::read_to_string(path).unwrap();
            text.push('x');
            fs::write(path, text).unwrap();
        },
    ] {
        let dir = temp();
        let dir = dir.path().join("ledger");
        let ledger = still(&dir);
        change(&dir.join(format!("{}.jsonl", ledger.segment().unwrap())));
        let first = ledger.append(&json!({})).map(drop).and_then(|()| ledger.checkpoint());
        assert!(matches!(first, Err(Error::Replaced { .. })));
        assert!(matches!(ledger.append(&json!({})), Err(Error::Poisoned { .. })));
    }
}

#[test]
fn queries_find_by_every_column() {
    const NAMES: [&str; 10] = [
        "kind",
        "session",
        "call",
        "server",
        "client",
        "principal",
        "tool",
        "method",
        "decision",
        "rule",
    ];
    let dir = temp();
    let dir = dir.path().join("ledger");
    let ledger = Ledger::open(&dir).unwrap();
    for name in NAMES {
        ledger.append(&json!({ name: "it's" })).unwrap();
    }
    ledger.append(&json!({ "call": 17, "session": ["it's"], "rule": null })).unwrap();
    let it = || Some("it's".to_owned());
    let none = Filter::default();
    let filters = [
        Filter { kind: it(), ..none.clone() },
        Filter { session: it(), ..none.clone() },
        Filter { call: it(), ..none.clone() },
        Filter { server: it(), ..none.clone() },
        Filter { client: it(), ..none.clone() },
        Filter { principal: it(), ..none.clone() },
        Filter { tool: it(), ..none.clone() },
        Filter { method: it(), ..none.clone() },
        Filter { decision: it(), ..none.clone() },
        Filter { rule: it(), ..none.clone() },
    ];
    for (name, filter) in NAMES.iter().zip(&filters) {
        let found = query(&dir, filter).unwrap().records;
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(field(&found[0].json, name), "it's");
    }
    let both = Filter { tool: it(), rule: it(), ..none.clone() };
    assert!(query(&dir, &both).unwrap().records.is_empty());
    let number = Filter { call: Some("17".to_owned()), ..none };
    assert_eq!(query(&dir, &number).unwrap().records.len(), 1);
}

#[test]
fn a_decision_without_an_outcome_is_found() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    let ledger = Ledger::open(&dir).unwrap();
    let write = |kind: &str, session: &str, call: &str| {
        ledger.append(&json!({ "kind": kind, "session": session, "call": call })).unwrap();
    };
    for (kind, session, call) in [
        ("decision", "a", "a.1"),
        ("outcome", "a", "a.1"),
        ("decision", "a", "a.2"),
        ("notice", "a", "a.2"),
        ("decision", "b", "1"),
        ("outcome", "c", "1"),
    ] {
        write(kind, session, call);
    }
    ledger.append(&json!({ "kind": "decision" })).unwrap();
    let open = |filter: &Filter| -> Vec<String> {
        let found = query(&dir, filter).unwrap();
        found.open.iter().map(|it| field(&found.records[*it].json, "call")).collect()
    };
    let only = Filter { open: true, ..Filter::default() };
    assert_eq!(open(&Filter::default()), ["1", "a.2"]);
    assert_eq!(open(&only), ["1", "a.2"]);
    assert_eq!(query(&dir, &only).unwrap().records.len(), 2);
    let text = Filter { text: Some("a.2".to_owned()), ..Filter::default() };
    assert_eq!(open(&text), ["a.2"]);
    write("outcome", "a", "a.2");
    assert_eq!(open(&Filter::default()), ["1"]);
}

#[test]
fn queries_answer_newest_first_within_a_time_and_a_limit() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    let [first, second] = [(); 2].map(|()| Ledger::open(&dir).unwrap());
    write(&first, &["a"]);
    write(&second, &["b"]);
    write(&first, &["c", "C"]);
    let decisions = Filter { kind: Some("decision".to_owned()), ..Filter::default() };
    let mut found = tools(&dir, &decisions);
    found.sort_unstable();
    assert_eq!(found, ["C", "a", "b", "c"]);
    let records = query(&dir, &decisions).unwrap().records;
    assert!(records.is_sorted_by(|a, b| a.at >= b.at));
    let text = Filter { text: Some("\"c\"".to_owned()), ..decisions.clone() };
    assert!(tools(&dir, &text).is_empty(), "a quote in a text is escaped in a record");
    let limited = Filter { limit: Some(2), text: Some("C".to_owned()), ..decisions.clone() };
    assert_eq!(query(&dir, &limited).unwrap().records, records[..2]);
    let hour = Duration::from_secs(3600);
    for (since, until, expected) in [
        (Some(SystemTime::now() - hour), Some(SystemTime::now() + hour), 4),
        (Some(SystemTime::now() + hour), None, 0),
        (None, Some(SystemTime::now() - hour), 0),
    ] {
        let filter = Filter { since, until, ..decisions.clone() };
        assert_eq!(query(&dir, &filter).unwrap().records.len(), expected);
    }
}

#[test]
fn the_index_can_be_deleted_spoilt_and_left_behind() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    let ledger = Ledger::open(&dir).unwrap();
    write(&ledger, &["a"]);
    let all = Filter { kind: Some("decision".to_owned()), ..Filter::default() };
    assert_eq!(tools(&dir, &all), ["a"]);
    write(&ledger, &["b"]);
    assert_eq!(tools(&dir, &all), ["b", "a"]);
    fs::remove_file(dir.join("index.sqlite")).unwrap();
    assert_eq!(tools(&dir, &all), ["b", "a"]);
    fs::write(dir.join("index.sqlite"), "nonsense ".repeat(1000)).unwrap();
    assert_eq!(tools(&dir, &all), ["b", "a"]);
    let segment = dir.join(format!("{}.jsonl", ledger.segment().unwrap()));
    drop(ledger);
    fs::remove_file(segment).unwrap();
    assert!(tools(&dir, &all).is_empty());
}

#[test]
fn a_damaged_line_is_counted_and_the_others_are_found() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    let ledger = Ledger::open(&dir).unwrap();
    write(&ledger, &["a", "b"]);
    let segment = dir.join(format!("{}.jsonl", ledger.segment().unwrap()));
    drop(ledger);
    let text = fs::read_to_string(&segment).unwrap();
    let endless = "x".repeat(3 << 20);
    // Shorter and longer than what the index has seen before.
    for (damage, damaged) in [("\"\"", 1), ("\"\n\"", 2), (&endless, 1)] {
        fs::write(&segment, &text).unwrap();
        let found = query(&dir, &Filter::default()).unwrap();
        assert_eq!((found.records.len(), found.damaged), (3, 0));
        fs::write(&segment, text.replacen(r#""tool":"a""#, damage, 1)).unwrap();
        let found = query(&dir, &Filter::default()).unwrap();
        assert_eq!((found.records.len(), found.damaged), (2, damaged));
        assert!(matches!(export(&dir, Vec::new()), Err(Error::Tampered(_))));
    }
}

#[test]
fn export_and_tail_go_by_time_across_segments() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    for _ in 0..3 {
        let ledgers = [(); 3].map(|()| Ledger::open(&dir).unwrap());
        for ledger in ledgers.iter().cycle().take(30) {
            write(ledger, &["x"]);
        }
    }
    let mut out = Vec::new();
    assert_eq!(export(&dir, &mut out).unwrap(), 99);
    let out = String::from_utf8(out).unwrap();
    let times: Vec<String> = out.lines().map(|it| field(it, "at")).collect();
    assert_eq!(times.len(), 99);
    assert!(times.is_sorted());
    for n in [0, 1, 10, 99, 1000] {
        let last: Vec<String> = tail(&dir, n, false).unwrap().map(|it| it.unwrap().json).collect();
        let expected: Vec<&str> = out.lines().skip(99_usize.saturating_sub(n)).collect();
        assert_eq!(last, expected);
    }
}

#[test]
fn a_tail_follows_old_and_new_segments() {
    let dir = temp();
    let dir = dir.path().join("ledger");
    let first = Ledger::open(&dir).unwrap();
    write(&first, &["a", "b"]);
    let mut tail = tail(&dir, 1, true).unwrap();
    assert_eq!(field(&tail.next().unwrap().unwrap().json, "tool"), "b");
    assert!(tail.fresh().unwrap().is_empty());
    write(&first, &["c"]);
    let second = Ledger::open(&dir).unwrap();
    write(&second, &["d"]);
    let mut found: Vec<String> = (0..3).map(|_| tail.next().unwrap().unwrap().json).collect();
    found.retain(|it| field(it, "kind") == "decision");
    found.sort_by_key(|it| field(it, "tool"));
    assert_eq!(field(&found[0], "tool"), "c");
    assert_eq!(field(&found[1], "tool"), "d");
    assert!(tail.fresh().unwrap().is_empty());
}
