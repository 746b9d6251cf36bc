//! Roots of the client that are others by the time that they are shown, in what the policy says of
//! two places, or all the time.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{GONE, Place, ask, change, give, with_roots};
use crate::harness::{PATIENCE, Probe, is_refusal, text};

/// Has the server do something while a call of it goes on, which it never answers.
fn late(probe: &mut Probe, python: &str) {
    let mut asked = ask("late", python);
    asked["id"] = json!("late");
    probe.send(&asked);
}

#[track_caller]
fn writes(place: &Place, probe: &mut Probe, name: &str) -> String {
    text(&probe.ask(&place.asks("write", &format!("{name}/made")))).to_owned()
}

const READ_ONLY: &str = "no: Read-only file system";

fn admits(place: &Place, names: &[&str]) -> Vec<String> {
    let all = names.iter().map(|name| {
        let (name, mode) = name.split_once(':').unwrap_or((name, "ro"));
        format!("{}:{mode}", place.path(name).display())
    });
    all.flat_map(|it| ["--client-root".to_owned(), it]).collect()
}

#[track_caller]
fn begin(place: &Place, names: &[&str]) -> Probe {
    let options = admits(place, names);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    place.begin(&options, &with_roots())
}

pub(super) fn u08_a_root_of_the_client_is_what_was_judged() {
    let place = Place::new();
    let (sub, other) = (place.path("projects/a/sub"), place.path("other"));
    fs::create_dir(&sub).unwrap();
    let mut probe = begin(&place, &["projects:rw"]);
    give(&mut probe, &[place.uri("projects/a")]);
    assert_eq!(writes(&place, &mut probe, "projects/a"), "written");
    // The server has until its last call is over to put something else in the place of its next root.
    let swap = format!("os.rename({sub:?}, {sub:?} + '-gone'); os.symlink({other:?}, {sub:?})");
    late(&mut probe, &swap);
    change(&mut probe, &[place.uri("projects/a/sub")]);
    assert_eq!(place.read(&mut probe, "other"), GONE);
    assert_eq!(place.read(&mut probe, "projects/a/sub"), GONE);
    assert!(writes(&place, &mut probe, "other").starts_with("no: "));
    assert!(sub.is_symlink() && !place.path("other/made").exists());
    assert_eq!(place.told(&mut probe), [place.uri("own")]);
    assert_eq!(probe.end().code, Some(0));
    let recorded = place.recorded();
    let denied = recorded.iter().filter(|(it, _)| it == "deny");
    let uri = place.uri("projects/a/sub");
    let says: Vec<&String> = denied.map(|(_, it)| it).collect();
    assert!(says[0].starts_with(&format!("`{uri}` does not count: ")), "{recorded:?}");
    assert!(place.home.is_whole());
}

pub(super) fn u08_a_root_that_goes_takes_no_session_with_it() {
    for then in ["", "; open(it, 'w').write('x')"] {
        let place = Place::new();
        let sub = place.path("projects/a/sub");
        fs::create_dir(&sub).unwrap();
        let mut probe = begin(&place, &["projects:rw"]);
        give(&mut probe, &[place.uri("projects/a")]);
        assert_eq!(place.read(&mut probe, "projects/a"), "in projects/a");
        late(&mut probe, &format!("it = {sub:?}; os.rmdir(it){then}"));
        change(&mut probe, &[place.uri("projects/a/sub"), place.uri("projects/b")]);
        // The others are there, and the session goes on.
        assert_eq!(place.read(&mut probe, "projects/b"), "in projects/b");
        assert_eq!(text(&probe.ask(&place.asks("read", "projects/a/sub"))), GONE);
        assert_eq!(place.told(&mut probe), [place.uri("own"), place.uri("projects/b")]);
        assert_eq!(sub.exists(), !then.is_empty());
        assert_eq!(probe.end().code, Some(0));
        let recorded = place.recorded();
        let refused = format!("`{}` does not count: ", place.uri("projects/a/sub"));
        assert!(recorded.iter().any(|(_, it)| it.starts_with(&refused)), "{recorded:?}");
    }
}

pub(super) fn u08_what_is_to_be_read_stays_so_in_a_root() {
    let place = Place::new();
    let mut probe = begin(&place, &["projects:rw", "projects/notes"]);
    give(&mut probe, &[place.uri("projects")]);
    assert_eq!(place.read(&mut probe, "projects/notes"), "in projects/notes");
    assert_eq!(writes(&place, &mut probe, "projects/a"), "written");
    assert_eq!(writes(&place, &mut probe, "projects/notes"), READ_ONLY);
    // Nor is it put out of the way.
    let (notes, moved) = (place.path("projects/notes"), place.path("projects/moved"));
    late(&mut probe, &format!("os.rename({notes:?}, {moved:?})"));
    change(&mut probe, &[]);
    assert_eq!(place.read(&mut probe, "projects/notes"), GONE);
    assert!(!moved.exists() && notes.join("file").exists());
    probe.end();
}

pub(super) fn u08_a_client_has_nothing_written_that_others_trust() {
    let trusted = ["projects/a/.git/hooks", "projects/a/.vscode/sub", "projects/b/.ssh"];
    let place = Place::new();
    for name in trusted {
        fs::create_dir_all(place.path(name)).unwrap();
        fs::write(place.path(name).join("file"), "in it").unwrap();
    }
    let projects = place.path("projects");
    for admits in ["projects:rw".to_owned(), "*:rw".to_owned()] {
        let options = match &*admits {
            "*:rw" => vec!["--client-root".to_owned(), admits],
            _ => vec!["--client-root".to_owned(), format!("{}:rw", projects.display())],
        };
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let mut probe = place.begin(&options, &with_roots());
        give(&mut probe, &trusted.map(|it| place.uri(it)));
        for name in trusted {
            assert_eq!(place.read(&mut probe, name), "in it");
            assert_eq!(writes(&place, &mut probe, name), READ_ONLY, "{name}");
        }
        probe.end();
    }
    let recorded = place.recorded();
    let told = |(_, it): &&(String, String)| it.contains("counts, to be read: others trust");
    assert_eq!(recorded.iter().filter(told).count(), 2 * trusted.len(), "{recorded:?}");
    // What the policy names, somebody has written down; what is trusted in it is not named by that.
    for (given, written) in [("projects/a/.git", "written"), ("projects/a/.git/hooks", READ_ONLY)] {
        let mut probe = begin(&place, &["projects:rw", "projects/a/.git:rw"]);
        give(&mut probe, &[place.uri(given)]);
        assert_eq!(writes(&place, &mut probe, given), written, "{given}");
        probe.end();
    }
}

pub(super) fn u08_roots_that_change_all_the_time_stall_nothing() {
    let place = Place::new();
    let mut probe = begin(&place, &["projects"]);
    give(&mut probe, &[place.uri("projects/a")]);
    assert_eq!(place.read(&mut probe, "projects/a"), "in projects/a");
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" });
    let start = Instant::now();
    probe.write(format!("{changed}\n").repeat(300).as_bytes());
    let asked = place.asks("read", "own/file");
    probe.send(&asked);
    // Each time that it is asked, the client has other roots.
    let mut times = 0;
    let answer = loop {
        let message = probe.next().expect("the session goes on");
        if message["method"] == "roots/list" {
            times += 1;
            let roots = json!([{ "uri": place.uri(["projects/a", "projects/b"][times % 2]) }]);
            let result = json!({ "roots": roots });
            probe.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
        } else if message["id"] == asked["id"] {
            break message;
        }
    };
    assert!(!is_refusal(&answer), "{answer}");
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    let anew = |recorded: &[(String, String)]| {
        recorded.iter().filter(|(_, it)| it.contains("started anew with other roots; ")).count()
    };
    assert!(anew(&place.recorded()) < 30, "{:?}", place.recorded());
    // A client that is gone is asked nothing, however often it has said so before.
    probe.write(format!("{changed}\n").repeat(100).as_bytes());
    let start = Instant::now();
    assert_eq!(probe.end().code, Some(0));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(place.home.is_whole());
}
