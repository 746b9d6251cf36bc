//! A root is what it was when it was looked at, however often something is started with it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use super::{Place, reads, said};
use crate::harness::{Connection, Gateway, LEGACY, call, probe::initialize, text};

fn does(connection: &mut Connection, path: &Path) -> String {
    let asked = call(1, "do", json!({ "does": reads(path).into_bytes() }));
    text(&connection.post(&[], &asked).message()).to_owned()
}

/// Puts a link to what is nobody's in the place of something, as a server of another guard would that
/// may write around it.
fn replaced(at: &Path, by: &Path) {
    fs::rename(at, at.with_extension("gone")).unwrap();
    symlink(by, at).unwrap();
}

pub(super) fn u08_a_root_is_held_to_where_it_was() {
    for key in ["roots", "programs"] {
        let place = Place::new();
        let (out, secret) = (place.path("proj/out"), place.path("priv/k"));
        let sandbox = "[sandbox]\nallow_weaker = [\"memory\"]\n";
        let policy = match key {
            "roots" => format!("roots = [{:?}]\n{sandbox}", format!("{}:rw", out.display())),
            _ => format!("{sandbox}programs = [{:?}]\n", out.display().to_string()),
        };
        place.write("cfg/p.toml", &policy);
        let cfg = place.path("cfg/p.toml").display().to_string();
        let mut serve = place.stockade("serve", &["--listen", "127.0.0.1:0", "--policy", &cfg]);
        let gateway = Gateway::start(serve.args(place.server()));
        let mut first = gateway.connect();
        first.begin_legacy();
        assert_eq!(does(&mut first, &out.join("f")), "of proj/out/f", "{key}");
        replaced(&out, &place.path("priv"));
        // Those that come now are not shown what the link leads to; nothing is started for them.
        let mut second = gateway.connect();
        let answer = second.post(&[], &initialize(LEGACY));
        assert!(
            answer.status != 200 || answer.message().get("error").is_some(),
            "{key}: {answer:?}"
        );
        assert_eq!(does(&mut first, &secret), "no: No such file or directory", "{key}");
        gateway.end();
    }
    // A link of whoever types it is followed once, and not to where it leads later.
    let place = Place::new();
    place.link("linked", "proj/out");
    let linked = place.path("linked");
    let root = format!("--root={}", linked.display());
    let mut serve = place.stockade("serve", &["--listen", "127.0.0.1:0", &root]);
    let gateway = Gateway::start(serve.args(place.server()));
    for again in [false, true] {
        if again {
            fs::remove_file(&linked).unwrap();
            place.link("linked", "priv");
        }
        let mut connection = gateway.connect();
        connection.begin_legacy();
        assert_eq!(does(&mut connection, &linked.join("f")), "of proj/out/f");
        let secret = does(&mut connection, &place.path("priv/k"));
        assert_eq!(secret, "no: No such file or directory");
    }
    gateway.end();
}

pub(super) fn u08_a_root_that_changes_while_it_is_started_is_not_shown() {
    let place = Place::new();
    let (out, link) = (place.path("proj/out"), place.path("proj/link"));
    place.link("proj/link", "../priv");
    place.write("cfg/p.toml", &format!("roots = [{:?}]\n", format!("{}:rw", out.display())));
    let cfg = place.path("cfg/p.toml").display().to_string();
    let saw = format!(
        "import os, sys; print('saw', os.path.exists({:?}), file=sys.stderr)",
        place.path("priv/k")
    );
    let starts = || {
        let mut run = place.stockade("run", &["--stderr", "--policy", &cfg]);
        said(&run.args(["--", "python3", "-c", &saw]).output().unwrap()).1
    };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &out, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                thread::sleep(Duration::from_micros(500));
            }
        });
        let seen: Vec<String> = (0..40).map(|_| starts()).collect();
        over.store(true, Ordering::Relaxed);
        let shown: Vec<_> = seen.iter().filter(|it| it.contains("saw True")).collect();
        assert!(shown.is_empty(), "{} of {}: {}", shown.len(), seen.len(), shown[0]);
    });
    if out.is_symlink() {
        renameat_with(CWD, &out, CWD, &link, RenameFlags::EXCHANGE).unwrap();
    }
    let stderr = starts();
    assert!(stderr.contains("saw False"), "{stderr}");
}
