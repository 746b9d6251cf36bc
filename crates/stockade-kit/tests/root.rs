//! `Root` by both of its ways, `openat2` and step by step, and in a race.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "these are tests, which clippy.toml sees only inside of `#[test]`"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use stockade_kit::Root;
use stockade_kit::root::Writing;

const WITHOUT: &str = "STOCKADE_KIT_WITHOUT_OPENAT2";

/// What leads out of `inside`, and what does not.
fn every_way_out(outer: &Path) {
    let inside = outer.join("inside");
    fs::create_dir_all(inside.join("sub/deep")).unwrap();
    fs::create_dir(outer.join("inside-too")).unwrap();
    fs::write(outer.join("secret"), "secret").unwrap();
    fs::write(outer.join("inside-too/secret"), "secret").unwrap();
    fs::write(inside.join("a.txt"), "hello").unwrap();
    let links = [
        ("file", "../secret"),
        ("up", ".."),
        ("up-twice", "sub/../../"),
        ("absolute", outer.to_str().unwrap()),
        ("root", "/"),
        ("magic", "/proc/self/root"),
        ("descriptor", "/proc/self/fd/0"),
        ("beside", "../inside-too"),
        ("chain", "chain-2"),
        ("chain-2", "up"),
        ("loop", "loop"),
        ("dangling", "../new"),
        ("dangling-absolute", "/var/tmp/stockade-kit-new"),
        ("back", "../inside/a.txt"),
    ];
    for (name, target) in links {
        symlink(target, inside.join(name)).unwrap();
    }
    symlink("../a.txt", inside.join("sub/fine")).unwrap();
    symlink("sub/deep/..", inside.join("fine-directory")).unwrap();
    let root = Root::open_dir(&inside).unwrap();
    for path in [
        "file",
        "up/secret",
        "up-twice/secret",
        "absolute/secret",
        "root/etc/passwd",
        "magic/etc/passwd",
        "descriptor",
        "beside/secret",
        "chain/secret",
        "chain-2/secret",
        "loop",
        "dangling",
        "back",
        "sub/../../secret",
        "../secret",
        "../inside-too/secret",
        "/etc/passwd",
        "sub/deep/../../../secret",
    ] {
        assert!(root.read(path, 100).is_err(), "read {path}");
        for writing in [Writing::New, Writing::Replace] {
            assert!(root.write(path, b"x", writing).is_err(), "write {path}");
        }
    }
    for path in ["up", "up-twice", "absolute", "root", "magic", "beside", "chain", "..", "/"] {
        assert!(root.list(path, 10).is_err(), "list {path}");
    }
    for path in ["a.txt", "sub/fine", "fine-directory/fine", "sub/../a.txt"] {
        assert_eq!(root.read(path, 100).unwrap(), b"hello", "{path}");
    }
    root.write("sub/new", b"new", Writing::New).unwrap();
    root.write("fine-directory/new", b"newer", Writing::Replace).unwrap();
    assert_eq!(fs::read(inside.join("sub/new")).unwrap(), b"newer");
    assert_eq!(fs::read(outer.join("secret")).unwrap(), b"secret");
    assert!(!outer.join("new").exists());
    assert!(!Path::new("/var/tmp/stockade-kit-new").exists());
}

fn has_openat2() -> bool {
    let how = rustix::fs::ResolveFlags::BENEATH;
    let (flags, mode) = (rustix::fs::OFlags::PATH, rustix::fs::Mode::empty());
    let opened = rustix::fs::openat2(rustix::fs::CWD, ".", flags, mode, how);
    opened.is_ok()
}

#[test]
fn nothing_leads_out_by_openat2() {
    if !has_openat2() {
        eprintln!("not run here: this kernel has no openat2");
        return;
    }
    every_way_out(tempfile::tempdir().unwrap().path());
}

/// In a process of its own: what is once found missing is not tried again.
#[test]
fn nothing_leads_out_step_by_step() {
    let this = std::env::current_exe().unwrap();
    let child = std::process::Command::new(this)
        .args(["--exact", "without_openat2", "--nocapture"])
        .env(WITHOUT, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    assert!(said.contains("step by step"), "{said}");
}

/// Nothing, unless it is started by the test above.
#[test]
fn without_openat2() {
    if std::env::var_os(WITHOUT).is_none() {
        return;
    }
    take_openat2_away();
    assert!(!has_openat2());
    every_way_out(tempfile::tempdir().unwrap().path());
    println!("step by step");
}

fn take_openat2_away() {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let missing = u32::try_from(libc::ENOSYS).unwrap();
    let filter = SeccompFilter::new(
        [(libc::SYS_openat2, Vec::new())].into_iter().collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(missing),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

/// A directory that is swapped for a link to the outside, back and forth, while it is gone through.
#[test]
fn a_race_is_not_won() {
    const TRIES: usize = 20_000;
    let outer = tempfile::tempdir().unwrap();
    let inside = outer.path().join("inside");
    fs::create_dir_all(inside.join("d")).unwrap();
    fs::create_dir(outer.path().join("outside")).unwrap();
    fs::write(outer.path().join("outside/f"), "secret").unwrap();
    fs::write(inside.join("d/f"), "hello").unwrap();
    symlink("../outside", inside.join("link")).unwrap();
    let root = Root::open_dir(&inside).unwrap();
    let done = AtomicBool::new(false);
    let (read, refused) = std::thread::scope(|scope| {
        scope.spawn(|| {
            // `d` is the directory, then the link, then the directory again.
            while !done.load(Ordering::Relaxed) {
                let swap = |from: &str, to: &str| fs::rename(inside.join(from), inside.join(to));
                swap("d", "aside").unwrap();
                swap("link", "d").unwrap();
                swap("d", "link").unwrap();
                swap("aside", "d").unwrap();
            }
        });
        let (mut read, mut refused) = (0, 0);
        for _ in 0..TRIES {
            match root.read("d/f", 100) {
                Ok(bytes) => {
                    assert_eq!(bytes, b"hello");
                    read += 1;
                }
                Err(_) => refused += 1,
            }
            // What is written is written inside, or nowhere.
            let _ = root.write("d/f", b"hello", Writing::Replace);
        }
        done.store(true, Ordering::Relaxed);
        (read, refused)
    });
    assert_eq!(fs::read(outer.path().join("outside/f")).unwrap(), b"secret");
    assert!(read > 0 && refused > 0, "there was a race: {read} read, {refused} refused");
}
