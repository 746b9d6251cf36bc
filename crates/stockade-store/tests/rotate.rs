//! One segment after the other, and what is no longer kept of them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail as the test does"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use stockade_store::{Fault, Filter, Keep, Ledger, Options, Verdict, Whole, query, tail, verify};

use crate::support::export;

const NEVER: Duration = Duration::from_secs(3600);

/// Nothing happens by itself, and a segment has room for a few records.
fn small() -> Options {
    Options {
        write_within: NEVER,
        seal_within: NEVER,
        segment_bytes_max: 1500,
        ..Options::default()
    }
}

fn keeping(keep: Keep) -> Options {
    Options { keep, ..small() }
}

/// How many records fill a segment, besides the ledger's own.
const RECORDS: u64 = 4;

/// Fills a segment, and has the next begin. Answers the name of the full one.
fn fill(ledger: &Ledger) -> String {
    let name = ledger.segment().unwrap();
    for call in 1..=RECORDS {
        assert_eq!(ledger.segment().unwrap(), name);
        let text = "x".repeat(100);
        ledger.append(&json!({ "kind": "decision", "call": call, "text": text })).unwrap();
    }
    assert_ne!(ledger.segment().unwrap(), name);
    name
}

fn whole(dir: &Path) -> Whole {
    match verify(dir).unwrap() {
        Verdict::Whole(whole) => whole,
        Verdict::Broken(broken) => panic!("{broken}"),
        Verdict::Nothing => panic!("there is nothing"),
    }
}

fn says(dir: &Path, segment: &str, fault: Fault) {
    let Verdict::Broken(broken) = verify(dir).unwrap() else { panic!("whole") };
    assert_eq!((broken.segment.as_str(), broken.fault), (segment, fault), "{broken}");
}

fn file(dir: &Path, segment: &str) -> PathBuf {
    dir.join(format!("{segment}.jsonl"))
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// How many records `written` has.
const ALL: u64 = 4 * (RECORDS + 1) + 1;

/// A ledger of four full segments and one that has just begun, and their names.
fn written(dir: &Path) -> Vec<String> {
    let ledger = Ledger::open_with(dir, small()).unwrap();
    let mut names: Vec<String> = (0..4).map(|_| fill(&ledger)).collect();
    names.push(ledger.segment().unwrap());
    ledger.close().unwrap();
    names
}

/// Opens the ledger, and waits until it has removed what it does not keep.
fn sweep(dir: &Path, keep: Keep) -> serde_json::Value {
    let mut tail = tail(dir, 0, true).unwrap();
    let ledger = Ledger::open_with(dir, keeping(keep)).unwrap();
    let noted = tail.find_map(|it| {
        let record: serde_json::Value = serde_json::from_str(&it.unwrap().json).unwrap();
        (record["kind"] == "ledger.removed").then_some(record)
    });
    ledger.close().unwrap();
    noted.unwrap()
}

#[test]
fn a_full_segment_is_closed_and_the_next_is_chained_to_it() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ledger");
    let names = written(&dir);
    assert!(names.is_sorted());
    let found = whole(&dir);
    assert_eq!((found.segments, found.live, found.records, found.unsealed), (5, 0, ALL, 0));
    assert_eq!((found.gone, found.killed.len()), (None, 0));
    let manifest = lines(&dir.join("manifest.jsonl"));
    for (number, pair) in names.windows(2).enumerate() {
        let closed = &manifest[number * 2 + 1];
        let last = lines(&file(&dir, &pair[0])).pop().unwrap();
        assert_eq!((&closed["event"], &closed["head"]), (&json!("closed"), &last["hash"]));
        let first = &lines(&file(&dir, &pair[1]))[0];
        assert_eq!(first["prev"], closed["hash"], "{first}");
    }
}

#[test]
fn readers_see_all_segments_in_order() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ledger");
    let names = written(&dir);
    let mut out = Vec::new();
    assert_eq!(export(&dir, &mut out).unwrap(), ALL);
    let expected: Vec<u8> = names.iter().flat_map(|it| fs::read(file(&dir, it)).unwrap()).collect();
    assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected).unwrap());
    let found = query(&dir, &Filter::default()).unwrap().records;
    let places: Vec<_> = found.iter().map(|it| (it.segment.clone(), it.seq)).collect();
    assert_eq!(u64::try_from(places.len()).unwrap(), ALL);
    assert!(places.is_sorted_by(|one, other| one > other), "{places:?}");
    assert_eq!(tail(&dir, 8, false).unwrap().map(|it| it.unwrap().seq).last(), Some(0));
}

#[test]
fn a_segment_that_is_too_old_is_closed_unless_it_is_empty() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ledger");
    let options = Options { segment_age: Duration::ZERO, segment_bytes_max: u64::MAX, ..small() };
    let ledger = Ledger::open_with(&dir, options).unwrap();
    let name = ledger.segment().unwrap();
    ledger.checkpoint().unwrap();
    assert_eq!(ledger.segment().unwrap(), name);
    ledger.append(&json!({})).unwrap();
    ledger.checkpoint().unwrap();
    assert_ne!(ledger.segment().unwrap(), name);
    assert_eq!(whole(&dir).segments, 2);
}

/// Each record is written once, however often a segment ends meanwhile; and who verifies meanwhile
/// takes no segment that has just ended for that of a killed process.
#[test]
fn segments_end_while_many_threads_write_and_others_read() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ledger");
    let options = Options { write_within: Duration::ZERO, ..small() };
    let ledger = Ledger::open_with(&dir, options).unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let ledger = &ledger;
                scope.spawn(move || {
                    for call in 0..200 {
                        ledger.append(&json!({ "call": format!("{writer}.{call}") })).unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                let found = whole(&dir);
                assert_eq!((found.killed, found.torn), (Vec::new(), Vec::new()));
                query(&dir, &Filter::default()).unwrap();
            }
        });
        let failed = writers.into_iter().any(|it| it.join().is_err());
        is_done.store(true, Ordering::Relaxed);
        assert!(!failed);
    });
    ledger.close().unwrap();
    let found = whole(&dir);
    assert!(found.segments > 3, "{found:?}");
    assert_eq!(found.records, 800 + found.segments);
    for writer in 0..4 {
        for call in [0, 199] {
            let call = Some(format!("{writer}.{call}"));
            let found = query(&dir, &Filter { call, ..Filter::default() }).unwrap();
            assert_eq!(found.records.len(), 1);
        }
    }
}

#[test]
fn what_is_not_kept_is_removed_and_signed_for() {
    let bytes = |dir: &Path, names: &[String]| -> u64 {
        names.iter().map(|it| fs::metadata(file(dir, it)).unwrap().len()).sum()
    };
    let check = |keep: &dyn Fn(&Path, &[String]) -> Keep, kept: usize| {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("ledger");
        let names = written(&dir);
        let since = lines(&file(&dir, &names[0]))[0]["at"].clone();
        assert!(since.is_string());
        let noted = sweep(&dir, keep(&dir, &names));
        let (removed, left) = names.split_at(names.len() - kept);
        for name in removed {
            assert!(!file(&dir, name).exists());
            assert!(!dir.join(format!("{name}.head")).exists());
        }
        assert!(left.iter().all(|it| file(&dir, it).exists()));
        let found = whole(&dir);
        let gone = found.gone.unwrap();
        let segments = u64::try_from(removed.len()).unwrap();
        let records = if kept == 0 { ALL } else { segments * (RECORDS + 1) };
        assert_eq!((gone.segments, gone.records), (segments, records));
        assert_eq!(
            (&noted["segments"], &noted["records"]),
            (&json!(gone.segments), &json!(records))
        );
        if let Some(first) = left.first() {
            assert_eq!(gone.from, *first);
            assert_eq!(lines(&file(&dir, first))[0]["at"], gone.since);
        }
        // The next finds nothing to remove, and the ledger goes on.
        Ledger::open_with(&dir, keeping(Keep { bytes: Some(1 << 20), age: None })).unwrap();
        assert_eq!(whole(&dir).gone.unwrap().segments, gone.segments);
        export(&dir, Vec::new()).unwrap();
        query(&dir, &Filter::default()).unwrap();
        (temp, dir, names)
    };
    let newest = |n: usize| {
        move |dir: &Path, names: &[String]| Keep {
            bytes: Some(bytes(dir, &names[names.len() - n..])),
            age: None,
        }
    };
    check(&newest(1), 1);
    check(&newest(4), 4);
    check(&|_, _| Keep { bytes: None, age: Some(Duration::ZERO) }, 0);
    let (_temp, dir, names) = check(&newest(3), 3);

    // What is kept may not be taken away, and what was removed may only come back as it was.
    let foreign = fs::read(file(&dir, &names[3])).unwrap();
    fs::write(file(&dir, &names[0]), foreign).unwrap();
    says(&dir, &names[0], Fault::Spliced);
    fs::remove_file(file(&dir, &names[0])).unwrap();
    fs::remove_file(file(&dir, &names[3])).unwrap();
    says(&dir, &names[3], Fault::MissingSegment);
}

#[test]
fn what_somebody_has_changed_or_taken_away_is_not_signed_away() {
    let all = Keep { bytes: Some(0), age: None };
    // The oldest, and one in the middle.
    for place in [0, 2] {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("ledger");
        let names = written(&dir);
        let path = file(&dir, &names[place]);
        fs::remove_file(&path).unwrap();
        says(&dir, &names[place], Fault::MissingSegment);
        let noted = sweep(&dir, all);
        assert_eq!(noted["segments"], 4);
        says(&dir, &names[place], Fault::MissingSegment);

        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("ledger");
        let names = written(&dir);
        let path = file(&dir, &names[place]);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("decision", "decisiom", 1)).unwrap();
        assert_eq!(sweep(&dir, all)["segments"], 4);
        says(&dir, &names[place], Fault::Edited);
        assert!(path.exists());
    }
}

/// A copy of the files at some point is what a process leaves that is killed there.
#[test]
fn a_process_that_is_killed_between_two_segments_leaves_a_whole_ledger() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ledger");
    let names = written(&dir);
    let manifest = fs::read_to_string(dir.join("manifest.jsonl")).unwrap();
    let last = file(&dir, &names[4]);
    let (text, head) = (fs::read(&last).unwrap(), last.with_extension("head"));
    let signed = fs::read(&head).unwrap();
    let entries: Vec<&str> = manifest.split_inclusive('\n').collect();
    assert_eq!(entries.len(), 10);
    let put_back = |entries: &[&str]| {
        fs::write(dir.join("manifest.jsonl"), entries.concat()).unwrap();
        fs::write(dir.join("manifest.head"), entries.last().unwrap()).unwrap();
    };
    // The last one was closed, and the next has no entry, or its file not yet its name.
    put_back(&entries[..8]);
    fs::remove_file(&last).unwrap();
    fs::write(last.with_extension("opening"), &text).unwrap();
    assert_eq!(whole(&dir).records, ALL - 1);
    put_back(&entries[..9]);
    assert_eq!(whole(&dir).records, ALL);
    // It was to be closed.
    fs::rename(last.with_extension("opening"), &last).unwrap();
    fs::write(&head, signed).unwrap();
    put_back(&entries[..9]);
    assert_eq!(whole(&dir).records, ALL);
    Ledger::open_with(&dir, small()).unwrap().close().unwrap();
    let found = whole(&dir);
    assert_eq!((found.segments, found.records, found.unsealed), (6, ALL + 2, 0));
}

#[test]
fn a_removal_that_was_interrupted_is_finished_by_the_next() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ledger");
    let names = written(&dir);
    let first = file(&dir, &names[0]);
    let (text, head) = (fs::read(&first).unwrap(), fs::read(first.with_extension("head")).unwrap());
    sweep(&dir, Keep { bytes: Some(2000), age: None });
    fs::write(&first, text).unwrap();
    fs::write(first.with_extension("head"), head).unwrap();
    fs::set_permissions(&first, fs::Permissions::from_mode(0o600)).unwrap();
    let before = whole(&dir).gone.unwrap().segments;
    let roomy = Keep { bytes: Some(1 << 20), age: None };
    let ledger = Ledger::open_with(&dir, keeping(roomy)).unwrap();
    let patience = Instant::now() + Duration::from_secs(30);
    while first.exists() {
        assert!(Instant::now() < patience, "it is still there");
        thread::yield_now();
    }
    ledger.close().unwrap();
    drop(ledger);
    let found = whole(&dir).gone.unwrap();
    assert_eq!(found.segments, before + 1);
}
