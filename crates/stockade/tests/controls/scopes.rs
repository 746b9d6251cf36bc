//! Limits for an ordinary user who can make no control group, by way of systemd's user manager: they
//! are the kernel's, and a manager that does not do what it says, or says nothing, starts nothing.
//! The manager is made up ([`Manager`]) and the groups are real, for which it must be root.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::home::copy_stockade;
use crate::harness::manager::{Manager, Manner, Noise, pose_as_bus};
use crate::harness::process::{kill, with_mark};
use crate::harness::wait_for;

crate::rows![
    x03_systemd_limits_a_user_who_has_no_group,
    x03_a_manager_that_does_not_do_it_starts_nothing,
    x03_a_bus_that_is_none_starts_nothing,
    x03_a_bus_of_somebody_else_is_not_asked,
    x03_named_weakness_needs_no_manager,
    x09_no_scope_outlives_its_guard,
    x08_the_doctor_tries_a_scope,
];

const NOBODY: u32 = 65534;

/// How long a start that nobody answers may take.
const START_MAX: Duration = Duration::from_secs(40);

/// A place of an ordinary user, with the built binary in it and a directory for a bus.
struct Place(TempDir);

impl Place {
    /// Nothing where a manager here could make no groups.
    fn new() -> Option<Self> {
        let has_daemon =
            Command::new("dbus-daemon").arg("--version").stdout(Stdio::null()).status();
        if !geteuid().is_root() || has_daemon.is_err() {
            println!("not tried: it needs root, and dbus-daemon (Debian's package dbus)");
            return None;
        }
        let place = TempDir::with_prefix("stockade-scopes-").unwrap();
        copy_stockade(&place.path().join("stockade"));
        for name in ["run", "root"] {
            fs::create_dir(place.path().join(name)).unwrap();
            chown(place.path().join(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        for it in [place.path(), &place.path().join("stockade")] {
            fs::set_permissions(it, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Some(Self(place))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn manager(&self, manner: Manner) -> Manager {
        Manager::new(&self.at("run"), NOBODY, manner)
    }

    /// The binary, as an ordinary user whose bus is in `run`.
    fn stockade(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.at("stockade"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.0.path());
        command.env("XDG_RUNTIME_DIR", self.at("run")).env("XDG_STATE_HOME", self.at("run/state"));
        command.current_dir("/").stdin(Stdio::null()).uid(NOBODY).gid(NOBODY);
        command.args(args);
        command
    }

    /// `stockade sandbox OPTIONS -- python3 -c PROGRAM`.
    fn sandboxed(&self, options: &[&str], program: &str) -> Output {
        let mut command = self.stockade(&["sandbox"]);
        command.args(options).args(["--", "python3", "-c", program]).output().unwrap()
    }

    /// Tries to start something, which must be refused, and leave nothing.
    #[track_caller]
    fn is_refused(&self, because: &str) {
        let root = format!("{}:rw", self.at("root").display());
        let made = self.at("root/made");
        let began = Instant::now();
        for command in ["sandbox", "run"] {
            let mut start = self.stockade(&[command, "--root", &root, "--", "touch"]);
            let out = start.arg(&made).output().unwrap();
            assert_eq!(out.status.code(), Some(97), "{because}: {out:?}");
            let said = said(&out.stderr);
            let mut lines = said.lines();
            let first = lines.next().unwrap_or_default();
            assert!(first.starts_with("error: cannot enforce `memory`: "), "{said}");
            assert!(first.contains(because), "not for `{because}`: {said}");
            assert!(lines.next().is_some_and(|it| it.starts_with("help: ")), "{said}");
            assert_eq!(lines.next(), None, "{said}");
        }
        assert!(began.elapsed() < START_MAX, "{because}: it took {:?}", began.elapsed());
        assert!(!made.exists(), "{because}: it was started");
        let mark = self.at("stockade");
        wait_for("its end", || with_mark(mark.to_str().unwrap()).is_empty().then_some(()));
    }
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The groups of these scopes, and those in them.
fn groups(scopes: &[String]) -> BTreeSet<PathBuf> {
    let (mut found, mut waiting) = (BTreeSet::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|it| it.is_dir()) {
                waiting.push(entry.path());
                let is_one =
                    |name: &String| entry.path().components().any(|it| it.as_os_str() == &**name);
                found.extend(scopes.iter().any(is_one).then(|| entry.path()));
            }
        }
    }
    found
}

#[track_caller]
fn is_gone(manager: &Manager) {
    let asked = manager.asked();
    assert!(!asked.is_empty());
    wait_for("the scopes to go", || groups(&asked).is_empty().then_some(()));
}

fn x03_systemd_limits_a_user_who_has_no_group() {
    let Some(place) = Place::new() else { return };
    // Without a manager, nothing is started: the limits below are its work.
    let without = place.sandboxed(&["--memory", "64M"], "print('started')");
    assert_eq!((without.status.code(), said(&without.stdout)), (Some(97), String::new()));

    let manager = place.manager(Manner::Makes);
    let bomb = "held = []\nwhile True: held.append(bytearray(b'x') * (4 << 20))";
    let ended = place.sandboxed(&["--memory", "64M"], bomb);
    assert_eq!(ended.status.code(), Some(128 + 9), "{ended:?}");
    let told = "note: something of it was killed at its limit of 64 MiB of memory\n";
    assert_eq!(said(&ended.stderr), told);

    let bomb = "
import os, time
started = 0
while True:
    try: pid = os.fork()
    except OSError as error: print(started, error.strerror); break
    if pid == 0: time.sleep(1000)
    started += 1";
    let ended = place.sandboxed(&["--pids", "20"], bomb);
    assert_eq!(said(&ended.stdout), "19 Resource temporarily unavailable\n", "{ended:?}");
    let told = "note: it was refused more than its limit of 20 processes and threads\n";
    assert_eq!(said(&ended.stderr), told);

    the_kernel_has_the_limits(&place, &manager);
    assert_eq!(manager.asked().len(), 3, "one scope for each server");
    is_gone(&manager);
}

/// Of a server that runs: in which groups it is, and what they say. Its launchers are in none of them.
fn the_kernel_has_the_limits(place: &Place, manager: &Manager) {
    let mark = format!("limited-in-{}", place.at("").display());
    let options = ["--memory", "64M", "--pids", "20", "--cpus", "0.5"];
    let mut start = place.stockade(&["sandbox"]);
    start.args(options).args(["--", "sh", "-c", "echo up; cat", &mark]);
    let mut guard = start.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut up = String::new();
    BufReader::new(guard.stdout.take().unwrap()).read_line(&mut up).unwrap();
    assert_eq!(up, "up\n");
    let scope = manager.asked().pop().unwrap();
    let is_server = |it: &i32| {
        let words = fs::read(format!("/proc/{it}/cmdline")).unwrap_or_default();
        words.starts_with(b"sh\0-c\0")
    };
    let server = with_mark(&mark).into_iter().find(is_server).unwrap();
    let limits = limits_of(server, &scope);
    assert_eq!(limits, ["64 MiB", "20 processes", "half a processor"], "{scope}");
    drop(guard.stdin.take());
    guard.wait().unwrap();
}

/// What holds a process, in whichever version of control groups, below a scope.
fn limits_of(pid: i32, scope: &str) -> Vec<&'static str> {
    let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let groups: Vec<PathBuf> = own
        .lines()
        .filter_map(|line| line.split_once(':')?.1.split_once(':'))
        .filter(|(_, path)| path.contains(&format!("{scope}/stockade-")))
        .map(|(controller, path)| {
            Path::new("/sys/fs/cgroup").join(controller).join(path.trim_start_matches('/'))
        })
        .collect();
    let has = |file: &str, value: &str| {
        let read = |it: &PathBuf| fs::read_to_string(it.join(file)).unwrap_or_default();
        groups.iter().any(|it| read(it).trim() == value)
    };
    let memory = (64 << 20).to_string();
    [
        (has("memory.limit_in_bytes", &memory) || has("memory.max", &memory), "64 MiB"),
        (has("pids.max", "20"), "20 processes"),
        (has("cpu.cfs_quota_us", "50000") || has("cpu.max", "50000 100000"), "half a processor"),
    ]
    .into_iter()
    .filter_map(|(holds, what)| holds.then_some(what))
    .collect()
}

fn x03_a_manager_that_does_not_do_it_starts_nothing() {
    let tries = [
        (Manner::MakesWithoutMemory, "no `memory` can be limited in a scope"),
        (Manner::Refuses, "not for you"),
        (Manner::IsSilent, "there is no answer within 10 s"),
        (Manner::NeverDone, "there is no answer within 10 s"),
        (Manner::Lies, "it has not put the process there"),
        (Manner::Fails, "systemd says `failed` of it"),
        (Manner::Mistakes, "no scope of the user's systemd: `"),
        (Manner::Leaves, "no scope of the user's systemd: `"),
        (Manner::IsNotThere, "no scope of the user's systemd: `"),
    ];
    at_the_same_time(tries.map(|(manner, because)| {
        move || {
            let Some(place) = Place::new() else { return };
            let manager = place.manager(manner);
            place.is_refused(because);
            assert_eq!(manager.asked().is_empty(), manner == Manner::IsNotThere, "{manner:?}");
            wait_for("the scopes to go", || groups(&manager.asked()).is_empty().then_some(()));
        }
    }));
}

fn x03_a_bus_that_is_none_starts_nothing() {
    let noises = [Noise::Closes, Noise::TakesNobody, Noise::IsSilent, Noise::AtOnce, Noise::OnceIn];
    at_the_same_time(noises.map(|noise| {
        move || {
            let Some(place) = Place::new() else { return };
            pose_as_bus(&place.at("run"), NOBODY, noise);
            place.is_refused("no scope of the user's systemd: `");
        }
    }));
}

/// Most of these wait for their time to be over.
fn at_the_same_time<const N: usize>(tries: [impl FnOnce() + Send; N]) {
    thread::scope(|scope| {
        let started = tries.map(|it| scope.spawn(it));
        for it in started {
            it.join().unwrap();
        }
    });
}

fn x03_a_bus_of_somebody_else_is_not_asked() {
    let Some(place) = Place::new() else { return };
    // It would do all that is asked of it.
    let manager = place.manager(Manner::Makes);
    chown(place.at("run/bus"), Some(1), Some(1)).unwrap();
    fs::set_permissions(place.at("run/bus"), fs::Permissions::from_mode(0o777)).unwrap();
    place.is_refused("no control group with `memory` can be made by this user");
    // Nor is a program started, or another machine asked, because an address says so.
    let made = place.at("root/made");
    for address in [
        format!("unixexec:path=/usr/bin/touch,argv1={}", made.display()),
        "tcp:host=127.0.0.1,port=1".to_owned(),
        "autolaunch:".to_owned(),
        "unix:path=run/bus".to_owned(),
        "nonsense".to_owned(),
    ] {
        let mut start = place.stockade(&["sandbox", "--", "true"]);
        let out = start.env("DBUS_SESSION_BUS_ADDRESS", &address).output().unwrap();
        assert_eq!(out.status.code(), Some(97), "{address}: {out:?}");
        assert!(!made.exists(), "{address}");
    }
    assert_eq!(manager.asked(), [""; 0]);
    // The address of a file is followed, wherever it is.
    fs::rename(place.at("run/bus"), place.at("run/other")).unwrap();
    chown(place.at("run/other"), Some(NOBODY), Some(NOBODY)).unwrap();
    let address = format!("unix:path={}", place.at("run/other").display());
    let mut start = place.stockade(&["sandbox", "--", "true"]);
    let out = start.env("DBUS_SESSION_BUS_ADDRESS", &address).output().unwrap();
    assert!(out.status.success() && manager.asked().len() == 1, "{out:?}");
}

fn x03_named_weakness_needs_no_manager() {
    for manner in [Manner::Lies, Manner::MakesWithoutMemory, Manner::Makes] {
        let Some(place) = Place::new() else { return };
        let manager = place.manager(manner);
        let plan =
            place.stockade(&["sandbox", "--allow-weaker", "memory", "--dry-run", "--", "true"]);
        let plan = said(&{ plan }.output().unwrap().stdout);
        let line = plan.lines().find(|it| it.starts_with("  memory ")).unwrap_or(&plan);
        let expected = if manner == Manner::Makes { " enforced " } else { " not " };
        assert!(line.contains(expected), "{manner:?}: {line}");
        let started = place.sandboxed(&["--allow-weaker", "memory"], "print('started')");
        assert_eq!(said(&started.stdout), "started\n", "{manner:?}: {started:?}");
        wait_for("the scopes to go", || groups(&manager.asked()).is_empty().then_some(()));
    }
}

fn x09_no_scope_outlives_its_guard() {
    let Some(place) = Place::new() else { return };
    let manager = place.manager(Manner::Makes);
    let mark = format!("killed-in-{}", place.at("").display());
    // The guard is killed, then its keeper as well, then everybody but the server.
    for killed in 1..=3 {
        let mut start =
            place.stockade(&["sandbox", "--", "sh", "-c", "echo up; sleep 1000", &mark]);
        let mut guard = start.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut up = String::new();
        BufReader::new(guard.stdout.take().unwrap()).read_line(&mut up).unwrap();
        assert_eq!(up, "up\n");
        let tree = crate::harness::process::tree(guard.id().try_into().unwrap());
        assert!(tree.len() > 3, "{tree:?}");
        tree.iter().take(killed).for_each(|it| kill(*it));
        guard.wait().unwrap();
        wait_for("its end", || with_mark(&mark).is_empty().then_some(()));
        is_gone(&manager);
    }
}

fn x08_the_doctor_tries_a_scope() {
    let Some(place) = Place::new() else { return };
    let report = || -> (Option<i32>, Value) {
        let out = place.stockade(&["doctor", "--format", "json"]).output().unwrap();
        (out.status.code(), serde_json::from_slice(&out.stdout).unwrap())
    };
    let feature = |report: &Value, name: &str| -> Value {
        let all = report["features"].as_array().unwrap();
        all.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let (code, without) = report();
    let scope = feature(&without, "a scope of systemd");
    assert_eq!((code, &scope["works"]), (Some(97), &json!("no")), "{scope}");
    assert_eq!(scope["needed_for"], json!(["memory", "cpu"]));
    assert!(scope["remedy"].as_str().unwrap().contains("enable-linger"), "{scope}");

    let manager = place.manager(Manner::Makes);
    let (code, with) = report();
    assert_eq!((code, &with["whole"]), (Some(0), &json!(true)), "{with}");
    assert_eq!(feature(&with, "a scope of systemd")["found"], "with limits of memory, pids, cpu");
    let memory = feature(&with, "limit of memory");
    let found = memory["found"].as_str().unwrap();
    assert!(found.starts_with("a process was killed at its limit"), "{memory}");
    assert!(found.ends_with("in a scope of systemd"), "{memory}");
    let guarantees = with["guarantees"].as_array().unwrap();
    let held = guarantees.iter().find(|it| it["name"] == "memory").unwrap();
    assert!(held["by"].as_str().unwrap().contains("a cgroup in systemd scope stockade-"), "{held}");
    is_gone(&manager);
    drop(manager);
    fs::remove_file(place.at("run/bus")).unwrap();

    let _lies = place.manager(Manner::Lies);
    let (code, with) = report();
    let scope = feature(&with, "a scope of systemd");
    assert_eq!((code, &scope["works"]), (Some(97), &json!("no")), "{scope}");
    assert!(scope["found"].as_str().unwrap().contains("has not put the process there"), "{scope}");
}
