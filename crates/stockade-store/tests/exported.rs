//! What an intruder without the key does to what was exported before, and what the next export says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of a test fail as the test does"
)]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use stockade_store::{Cursor, Error, Export, Fault, Ledger};
use tempfile::TempDir;

/// A ledger that is being written, of which all was exported, signed, and by now is more.
struct Scene {
    _temp: TempDir,
    dir: PathBuf,
    ledger: Ledger,
    export: Export,
    segment: PathBuf,
    /// How long its file was when it was exported.
    bytes: u64,
}

impl Scene {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("ledger");
        let ledger = Ledger::open(&dir).unwrap();
        write(&ledger, 5);
        let segment = dir.join(format!("{}.jsonl", ledger.segment().unwrap()));
        let bytes = fs::metadata(&segment).unwrap().len();
        let mut export = Export::open(&dir, Cursor::default(), None).unwrap();
        assert_eq!(all(&mut export).unwrap(), 6);
        Self { _temp: temp, dir, ledger, export, segment, bytes }
    }

    /// What one says that goes on where the other is, and that one itself.
    fn says(mut self, name: Option<&str>, seq: Option<u64>, fault: Fault) {
        let cursor = self.export.cursor().clone();
        assert_eq!(broken(&mut self.export), (name.map(str::to_owned), seq, fault), "goes on");
        let mut next = Export::open(&self.dir, cursor, None).unwrap();
        assert_eq!(broken(&mut next), (name.map(str::to_owned), seq, fault), "the next");
    }
}

fn write(ledger: &Ledger, records: usize) {
    for call in 0..records {
        ledger.append(&json!({ "kind": "decision", "call": call })).unwrap();
    }
    ledger.checkpoint().unwrap();
}

fn all(export: &mut Export) -> Result<usize, Error> {
    let mut records = 0;
    loop {
        let more = export.more(100)?;
        if more.is_empty() {
            return Ok(records);
        }
        records += more.len();
    }
}

/// Where it ends: the name of what is wrong, unless it is a segment, the record and how.
fn broken(export: &mut Export) -> (Option<String>, Option<u64>, Fault) {
    match all(export) {
        Err(Error::Tampered(broken)) => {
            let name = Some(broken.segment).filter(|it| it == "manifest");
            (name, broken.seq, broken.fault)
        }
        other => panic!("{other:?}"),
    }
}

fn cut(path: &Path, bytes: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

#[test]
fn what_was_signed_and_is_cut_off_where_the_cursor_is_is_missed() {
    let scene = Scene::new();
    write(&scene.ledger, 3);
    cut(&scene.segment, scene.bytes);
    scene.says(None, Some(6), Fault::Truncated { sealed: 8 });
    // Also if nobody writes any more, and somebody else has found it by then.
    let scene = Scene::new();
    write(&scene.ledger, 3);
    let dead = scene.dir.with_file_name("dead");
    fs::create_dir(&dead).unwrap();
    for entry in fs::read_dir(&scene.dir).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dead.join(path.file_name().unwrap())).unwrap();
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(&dead, mode).unwrap();
    cut(&dead.join(scene.segment.file_name().unwrap()), scene.bytes);
    Ledger::open(&dead).unwrap().close().unwrap();
    let mut next = Export::open(&dead, scene.export.cursor().clone(), None).unwrap();
    assert_eq!(broken(&mut next), (None, Some(6), Fault::Truncated { sealed: 8 }));
}

#[test]
fn a_ledger_that_was_taken_away_is_missed() {
    let scene = Scene::new();
    for file in fs::read_dir(&scene.dir).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    // Who begins says no more than that there is nothing.
    let mut first = Export::open(&scene.dir, Cursor::default(), None).unwrap();
    assert_eq!(all(&mut first).unwrap(), 0);
    scene.says(Some("manifest"), None, Fault::MissingSegment);
}

#[test]
fn a_record_that_was_exported_is_not_another_afterwards() {
    for (from, to) in [(r#""call":1"#, r#""call":7"#), ("decision", "decisiom")] {
        let scene = Scene::new();
        let text = fs::read_to_string(&scene.segment).unwrap();
        fs::write(&scene.segment, text.replacen(from, to, 1)).unwrap();
        let mut next = Export::open(&scene.dir, scene.export.cursor().clone(), None).unwrap();
        assert_eq!(broken(&mut next).2, Fault::Edited);
    }
}

#[test]
fn a_segment_that_is_through_stays_as_it_is() {
    let added = |path: &Path| {
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
    };
    let shorter = |path: &Path| cut(path, fs::metadata(path).unwrap().len() - 1);
    let gone = |path: &Path| fs::remove_file(path).unwrap();
    for (change, fault) in [
        (&added as &dyn Fn(&Path), Fault::Added),
        (&shorter, Fault::Truncated { sealed: 5 }),
        (&gone, Fault::MissingSegment),
    ] {
        let mut scene = Scene::new();
        scene.ledger.close().unwrap();
        assert_eq!(all(&mut scene.export).unwrap(), 0);
        change(&scene.segment);
        let cursor = scene.export.cursor().clone();
        let mut next = Export::open(&scene.dir, cursor, None).unwrap();
        assert_eq!(broken(&mut next), (None, None, fault));
    }
}

#[test]
fn a_line_that_is_not_finished_is_none_of_a_segment_that_is_closed() {
    let scene = Scene::new();
    scene.ledger.close().unwrap();
    let mut file = OpenOptions::new().append(true).open(&scene.segment).unwrap();
    file.write_all(b"more").unwrap();
    let mut export = Export::open(&scene.dir, Cursor::default(), None).unwrap();
    assert_eq!(export.more(100).unwrap().len(), 6, "what comes before is there");
    assert_eq!(broken(&mut export), (None, Some(6), Fault::Added));
}
