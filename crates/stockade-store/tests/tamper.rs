//! What an intruder without the key does to the files, and what `verify` says of it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "the helpers of a test fail as the test does"
)]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use stockade_store::{Broken, Error, Fault, Killed, Ledger, Options, Verdict, tail, verify};
use tempfile::TempDir;

/// Two closed segments of ten records each, and the ledger's own first.
struct Scene {
    _temp: TempDir,
    dir: PathBuf,
    first: String,
    second: String,
}

impl Scene {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("ledger");
        let segment = || {
            let ledger = Ledger::open(&dir).unwrap();
            for call in 0..10 {
                let record = json!({ "kind": "decision", "call": call, "decision": "deny" });
                ledger.append(&record).unwrap();
            }
            let name = ledger.segment().unwrap();
            ledger.close().unwrap();
            name
        };
        let (first, second) = (segment(), segment());
        assert!(matches!(verify(&dir).unwrap(), Verdict::Whole(_)));
        Self { _temp: temp, dir, first, second }
    }

    /// The same, with a first segment that was never closed, because its process was killed.
    fn crashed() -> Self {
        let scene = Self::new();
        // As if `closed` had not been entered: the manifest of a ledger whose owner is gone.
        let never = Duration::from_secs(3600);
        let options = Options { write_within: never, seal_within: never, ..Options::default() };
        let ledger = Ledger::open_with(&scene.dir, options).unwrap();
        for call in 0..10 {
            ledger.append(&json!({ "call": call })).unwrap();
        }
        ledger.checkpoint().unwrap();
        for call in 10..12 {
            ledger.append(&json!({ "call": call })).unwrap();
        }
        let first = ledger.segment().unwrap();
        // A copy of the files is what a dead process leaves.
        let copy = scene.dir.with_file_name("copy");
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(&scene.dir).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
        }
        Self { dir: copy, first, ..scene }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn segment(&self) -> PathBuf {
        self.path(&format!("{}.jsonl", self.first))
    }

    fn head(&self) -> PathBuf {
        self.path(&format!("{}.head", self.first))
    }

    fn broken(&self) -> Broken {
        match verify(&self.dir).unwrap() {
            Verdict::Broken(broken) => broken,
            Verdict::Whole(whole) => panic!("{whole:?}"),
            Verdict::Nothing => panic!("there is nothing"),
        }
    }

    /// The first segment is broken at this record.
    fn says(&self, seq: u64, fault: Fault) {
        let broken = self.broken();
        assert_eq!(broken.segment, self.first);
        assert_eq!((broken.seq, broken.line), (Some(seq), Some(seq + 1)), "{broken}");
        assert_eq!(broken.fault, fault, "{broken}");
    }

    fn says_of(&self, name: &str, fault: Fault) {
        let broken = self.broken();
        assert_eq!((broken.segment.as_str(), broken.fault), (name, fault), "{broken}");
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn change_lines(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let mut lines = lines(path);
    change(&mut lines);
    lines.push(String::new());
    fs::write(path, lines.join("\n")).unwrap();
}

/// A line with another content and the hash that belongs to it.
fn rehash(line: &str, from: &str, to: &str) -> String {
    let body = line.replace(from, to);
    let body = &body[..body.len() - 75];
    format!(r#"{body},"hash":"{}"}}"#, blake3::hash(body.as_bytes()))
}

fn hash(line: &str) -> String {
    line[line.len() - 66..line.len() - 2].to_owned()
}

/// Rewrites the chain after a line, so that every hash is right.
fn rechain(lines: &mut [String], from: usize) {
    for at in from..lines.len() {
        let old = lines[at - 1].clone();
        let prev = lines[at].split(r#""prev":""#).nth(1).unwrap()[..64].to_owned();
        lines[at] = rehash(&lines[at], &prev, &hash(&old));
    }
}

#[test]
fn any_changed_byte_is_found_in_its_record() {
    let scene = Scene::new();
    let original = fs::read(scene.segment()).unwrap();
    let mut seq = 0;
    for at in 0..original.len() {
        let mut bytes = original.clone();
        bytes[at] ^= 1;
        fs::write(scene.segment(), &bytes).unwrap();
        let broken = scene.broken();
        assert_eq!(broken.segment, scene.first);
        // A line break that is gone makes one bad line of two, or leaves the last unfinished.
        assert_eq!(broken.seq, Some(seq), "byte {at}: {broken}");
        seq += u64::from(original[at] == b'\n');
    }
}

#[test]
fn a_record_with_a_new_hash_does_not_fit_the_next() {
    for seq in 0..11_u64 {
        let scene = Scene::new();
        change_lines(&scene.segment(), |lines| {
            let line = &mut lines[usize::try_from(seq).unwrap()];
            *line = rehash(line, r#""kind":""#, r#""kind":"x"#);
        });
        match seq {
            0 => scene.says(0, Fault::Spliced),
            10 => scene.says(10, Fault::Rewritten),
            _ => scene.says(seq, Fault::Edited),
        }
    }
}

#[test]
fn a_chain_that_was_written_anew_does_not_lead_to_what_was_signed() {
    let scene = Scene::new();
    change_lines(&scene.segment(), |lines| {
        lines[4] = rehash(&lines[4], "deny", "allow");
        rechain(lines, 5);
    });
    scene.says(10, Fault::Rewritten);
}

#[test]
fn a_deleted_record_is_missed() {
    for seq in 0..10 {
        let scene = Scene::new();
        change_lines(&scene.segment(), |lines| drop(lines.remove(seq)));
        scene.says(u64::try_from(seq).unwrap(), Fault::Missing);
    }
}

#[test]
fn swapped_records_are_out_of_order() {
    for (one, other) in [(0, 1), (4, 5), (2, 8), (9, 10)] {
        let scene = Scene::new();
        change_lines(&scene.segment(), |lines| lines.swap(one, other));
        scene.says(u64::try_from(one).unwrap(), Fault::Reordered);
    }
}

#[test]
fn a_segment_that_was_cut_off_is_shorter_than_what_was_signed() {
    for keep in 0..11 {
        let scene = Scene::new();
        change_lines(&scene.segment(), |lines| lines.truncate(keep));
        if keep == 0 {
            fs::write(scene.segment(), "").unwrap();
        }
        scene.says(u64::try_from(keep).unwrap(), Fault::Truncated { sealed: 10 });
    }
    let scene = Scene::new();
    let text = fs::read_to_string(scene.segment()).unwrap();
    fs::write(scene.segment(), &text[..text.len() - 1]).unwrap();
    scene.says(10, Fault::Truncated { sealed: 10 });
}

#[test]
fn a_record_of_another_segment_is_spliced() {
    for (to, from) in [(0, 0), (4, 4), (4, 9), (4, 2), (10, 10), (10, 3)] {
        for inserted in [false, true] {
            let scene = Scene::new();
            let other = lines(&scene.path(&format!("{}.jsonl", scene.second)));
            change_lines(&scene.segment(), |lines| {
                lines.insert(to, other[from].clone());
                if !inserted {
                    lines.remove(to + 1);
                }
            });
            scene.says(u64::try_from(to).unwrap(), Fault::Spliced);
        }
    }
}

#[test]
fn a_repeated_record_is_spliced() {
    let scene = Scene::new();
    change_lines(&scene.segment(), |lines| lines.insert(6, lines[5].clone()));
    scene.says(6, Fault::Spliced);
}

#[test]
fn a_record_after_the_end_is_added() {
    let scene = Scene::new();
    change_lines(&scene.segment(), |lines| {
        lines.push(lines[10].replace(r#""seq":10"#, r#""seq":11"#));
        rechain(lines, 11);
    });
    scene.says(11, Fault::Added);
    let scene = Scene::new();
    let mut file = OpenOptions::new().append(true).open(scene.segment()).unwrap();
    file.write_all(b"{").unwrap();
    scene.says(11, Fault::Added);
}

#[test]
fn segments_cannot_be_taken_away_added_or_exchanged() {
    let scene = Scene::new();
    fs::remove_file(scene.segment()).unwrap();
    scene.says_of(&scene.first, Fault::MissingSegment);

    let scene = Scene::new();
    fs::copy(scene.segment(), scene.path("20200101T000000000Z-1-00000000.jsonl")).unwrap();
    scene.says_of("20200101T000000000Z-1-00000000", Fault::UnknownSegment);

    let scene = Scene::new();
    let second = scene.path(&format!("{}.jsonl", scene.second));
    fs::copy(second, scene.segment()).unwrap();
    scene.says(0, Fault::Spliced);
}

#[test]
fn heads_cannot_be_taken_away_replaced_or_exchanged() {
    let scene = Scene::new();
    fs::remove_file(scene.head()).unwrap();
    scene.says_of(&scene.first, Fault::MissingHead);

    let scene = Scene::new();
    let second = scene.path(&format!("{}.head", scene.second));
    fs::copy(second, scene.head()).unwrap();
    scene.says_of(&scene.first, Fault::BadSignature);

    let scene = Scene::new();
    let head = fs::read_to_string(scene.head()).unwrap();
    fs::write(scene.head(), head.replace(r#""seq":10"#, r#""seq":9"#)).unwrap();
    scene.says_of(&scene.first, Fault::BadSignature);

    // Older and validly signed: what was a head before the last records.
    let scene = Scene::new();
    let ledger = Ledger::open(&scene.dir).unwrap();
    let name = ledger.segment().unwrap();
    let head = scene.path(&format!("{name}.head"));
    let old = fs::read(&head).unwrap();
    ledger.append(&json!({})).unwrap();
    ledger.close().unwrap();
    fs::write(&head, old).unwrap();
    scene.says_of(&name, Fault::StaleHead);
}

#[test]
fn a_signature_of_another_key_is_not_one() {
    let forger = Scene::new();
    let scene = Scene::new();
    let forged = fs::read(forger.head()).unwrap();
    fs::write(scene.head(), forged).unwrap();
    scene.says_of(&scene.first, Fault::BadSignature);

    // With the public key as well, the first line that was signed is already wrong.
    let scene = Scene::new();
    fs::copy(forger.path("key.pub"), scene.path("key.pub")).unwrap();
    let broken = scene.broken();
    assert_eq!((broken.segment.as_str(), broken.fault), ("manifest", Fault::WrongKey));
    fs::remove_file(scene.path("key")).unwrap();
    let broken = scene.broken();
    assert_eq!((broken.seq, broken.fault), (Some(0), Fault::BadSignature));
    for text in [None, Some("not a key"), Some("")] {
        match text {
            Some(text) => fs::write(scene.path("key.pub"), text).unwrap(),
            None => fs::remove_file(scene.path("key.pub")).unwrap(),
        }
        scene.says_of("manifest", Fault::WrongKey);
    }
}

#[test]
fn the_manifest_cannot_be_changed_and_is_not_extended_then() {
    let manifest = |scene: &Scene| scene.path("manifest.jsonl");
    let check = |scene: &Scene, seq: Option<u64>, fault: Fault, refuses: bool| {
        let broken = scene.broken();
        assert_eq!(broken.segment, "manifest");
        assert_eq!((broken.seq, broken.fault), (seq, fault));
        let opened = Ledger::open(&scene.dir);
        assert_eq!(matches!(opened, Err(Error::Tampered(_))), refuses, "{opened:?}");
    };

    for keep in 0..4 {
        let scene = Scene::new();
        change_lines(&manifest(&scene), |lines| lines.truncate(keep));
        if keep == 0 {
            fs::write(manifest(&scene), "").unwrap();
        }
        let seq = u64::try_from(keep).unwrap();
        check(&scene, Some(seq), Fault::Truncated { sealed: 3 }, true);
    }

    let scene = Scene::new();
    fs::remove_file(scene.path("manifest.head")).unwrap();
    check(&scene, None, Fault::MissingHead, true);

    let scene = Scene::new();
    fs::write(scene.path("manifest.head"), "{}\n").unwrap();
    check(&scene, None, Fault::BadSignature, true);

    let scene = Scene::new();
    change_lines(&manifest(&scene), |lines| lines.push(lines[3].clone()));
    check(&scene, Some(4), Fault::Spliced, true);

    let scene = Scene::new();
    change_lines(&manifest(&scene), |lines| {
        lines[1] = lines[1].replace(r#""records":11"#, r#""records":10"#);
    });
    // Only the end is looked at when a ledger is opened; `verify` sees the rest.
    check(&scene, Some(1), Fault::BadSignature, false);

    let scene = Scene::new();
    change_lines(&manifest(&scene), |lines| lines.swap(1, 2));
    check(&scene, Some(1), Fault::Reordered, false);
}

#[test]
fn without_its_manifest_a_ledger_is_broken() {
    let scene = Scene::new();
    fs::remove_file(scene.path("manifest.jsonl")).unwrap();
    scene.says_of("manifest", Fault::MissingSegment);
    assert!(matches!(Ledger::open(&scene.dir), Err(Error::Tampered(_))));
    fs::remove_file(scene.path("manifest.head")).unwrap();
    Ledger::open(&scene.dir).unwrap().close().unwrap();
    scene.says_of(&scene.first, Fault::UnknownSegment);
}

#[test]
fn a_crash_is_told_from_tampering() {
    let scene = Scene::crashed();
    let whole = |scene: &Scene| match verify(&scene.dir).unwrap() {
        Verdict::Whole(whole) => whole,
        Verdict::Broken(broken) => panic!("{broken}"),
        Verdict::Nothing => panic!("there is nothing"),
    };
    let found = whole(&scene);
    assert_eq!((found.live, found.unsealed, found.torn.len()), (0, 2, 0));

    // A line that was on its way.
    let mut file = OpenOptions::new().append(true).open(scene.segment()).unwrap();
    file.write_all(br#"{"seq":13,"at":"#).unwrap();
    let found = whole(&scene);
    assert_eq!((found.records, found.unsealed), (22 + 13, 2));
    assert_eq!(found.torn[0].segment, scene.first);
    assert_eq!(found.torn[0].seq, 13);

    // An entry of the manifest that was on its way is finished by nobody, and removed by the next.
    let manifest = scene.path("manifest.jsonl");
    let mut file = OpenOptions::new().append(true).open(&manifest).unwrap();
    file.write_all(br#"{"seq":5,"#).unwrap();
    assert_eq!(whole(&scene).torn[0].segment, "manifest");
    fs::set_permissions(&scene.dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    // The segment has not got its name yet.
    fs::rename(scene.segment(), scene.path(&format!("{}.opening", scene.first))).unwrap();
    assert_eq!(whole(&scene).records, 22 + 13);
    Ledger::open(&scene.dir).unwrap().close().unwrap();
    let found = whole(&scene);
    assert_eq!((found.records, found.torn.len()), (22 + 13 + 2, 0));
}

#[test]
fn the_next_to_open_a_ledger_seals_what_a_killed_process_has_left() {
    let scene = Scene::crashed();
    let whole = |scene: &Scene| match verify(&scene.dir).unwrap() {
        Verdict::Whole(whole) => whole,
        Verdict::Broken(broken) => panic!("{broken}"),
        Verdict::Nothing => panic!("there is nothing"),
    };
    let before = whole(&scene);
    let since = before.killed[0].since.clone();
    assert!(lines(&scene.segment())[11].contains(&since));
    let left =
        |sealed| Killed { segment: scene.first.clone(), records: 2, since: since.clone(), sealed };
    assert_eq!((before.unsealed, before.killed), (2, vec![left(false)]));

    fs::set_permissions(&scene.dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    // Only the first of them says so.
    for opened in 1..3 {
        Ledger::open(&scene.dir).unwrap().close().unwrap();
        let found = whole(&scene);
        assert_eq!((found.unsealed, found.killed), (0, vec![left(true)]));
        assert_eq!(found.records, before.records + 1 + opened);
    }
    let all: Vec<String> = tail(&scene.dir, 3, false).unwrap().map(|it| it.unwrap().json).collect();
    let found: Vec<&String> = all.iter().filter(|it| it.contains("ledger.recovered")).collect();
    assert_eq!(found.len(), 1, "{all:?}");
    for words in ["unsealed tail found: 2 records", r#""records":2"#, &scene.first, &since] {
        assert!(found[0].contains(words), "{words}: {}", found[0]);
    }

    let original = fs::read(scene.segment()).unwrap();
    change_lines(&scene.segment(), |lines| drop(lines.pop()));
    scene.says(12, Fault::Truncated { sealed: 12 });
    fs::write(scene.segment(), &original).unwrap();
    change_lines(&scene.segment(), |lines| {
        lines[12] = rehash(&lines[12], r#""call":11"#, r#""call":99"#);
    });
    scene.says(12, Fault::Rewritten);
    fs::write(scene.segment(), [&original[..], b"{"].concat()).unwrap();
    scene.says(13, Fault::Added);
}

#[test]
fn what_a_killed_process_has_left_is_not_sealed_when_it_was_changed() {
    let scene = Scene::crashed();
    change_lines(&scene.segment(), |lines| drop(lines.remove(4)));
    fs::set_permissions(&scene.dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    // Each that opens it says so again.
    for _ in 0..2 {
        Ledger::open(&scene.dir).unwrap().close().unwrap();
        scene.says(4, Fault::Missing);
        let mut last = tail(&scene.dir, 1, false).unwrap();
        let last = last.next().unwrap().unwrap().json;
        assert!(last.contains("unsealed tail found, and not sealed"), "{last}");
    }
}

#[test]
fn a_manifest_may_be_one_crash_ahead_of_its_head() {
    let scene = Scene::new();
    let head = scene.path("manifest.head");
    let older = fs::read(&head).unwrap();
    let ledger = Ledger::open(&scene.dir).unwrap();
    fs::write(&head, older).unwrap();
    assert!(matches!(verify(&scene.dir).unwrap(), Verdict::Whole(_)));
    ledger.close().unwrap();
    let Verdict::Whole(whole) = verify(&scene.dir).unwrap() else {
        panic!("broken");
    };
    assert_eq!(whole.segments, 3);

    // Of a ledger that never got further than its key.
    for gone in fs::read_dir(&scene.dir).unwrap() {
        let path = gone.unwrap().path();
        match path.file_name().unwrap().to_str().unwrap() {
            "key" => {}
            "manifest.jsonl" => fs::write(path, "").unwrap(),
            _ => fs::remove_file(path).unwrap(),
        }
    }
    assert_eq!(verify(&scene.dir).unwrap(), Verdict::Nothing);
    Ledger::open(&scene.dir).unwrap();
    assert!(matches!(verify(&scene.dir).unwrap(), Verdict::Whole(_)));
}

#[test]
fn what_a_crash_left_is_cut_off_no_further_than_its_checkpoint() {
    let scene = Scene::crashed();
    change_lines(&scene.segment(), |lines| lines.truncate(11));
    assert!(matches!(verify(&scene.dir).unwrap(), Verdict::Whole(_)));
    change_lines(&scene.segment(), |lines| lines.truncate(10));
    scene.says(10, Fault::Truncated { sealed: 10 });
    fs::remove_file(scene.head()).unwrap();
    scene.says_of(&scene.first, Fault::MissingHead);
}
