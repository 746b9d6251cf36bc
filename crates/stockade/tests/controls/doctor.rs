//! Machines that lack something: nothing is started on them unless what then holds less is named,
//! the rest holds all the same, and `stockade doctor` says what it is.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::geteuid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::home::copy_stockade;
use crate::harness::process::{kill, with_mark};
use crate::harness::{Home, Script, wait_for};

crate::rows![
    x08_without_namespaces_nothing_is_started,
    x08_root_that_stays_root_starts_nothing,
    x08_without_namespaces_the_rest_holds,
    x08_without_namespaces_what_cannot_be_kept_is_in_no_root,
    x08_the_doctor_says_what_is_missing,
    x08_the_doctor_leaves_nothing,
    c02_the_doctor_says_which_lock_there_is,
];

const NOBODY: u32 = 65534;

/// Everything that may be named, as a machine without namespaces and control groups needs it.
const WEAKER: [&str; 10] = [
    "--allow-weaker",
    "files",
    "--allow-weaker",
    "processes",
    "--allow-weaker",
    "end",
    "--allow-weaker",
    "memory",
    "--allow-weaker",
    "pids",
];

/// A place of an ordinary user, with the built binary in it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = TempDir::with_prefix("stockade-controls-").unwrap();
        copy_stockade(&place.path().join("stockade"));
        for name in ["root", "secret"] {
            let directory = place.path().join(name);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("file"), format!("of {name}")).unwrap();
            for it in [&directory, &directory.join("file")] {
                if geteuid().is_root() {
                    chown(it, Some(NOBODY), Some(NOBODY)).unwrap();
                }
            }
        }
        for it in [place.path(), &place.path().join("stockade")] {
            fs::set_permissions(it, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self(place)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The binary, as an ordinary user.
    fn stockade(&self) -> Command {
        self.ordinary(Command::new(self.at("stockade")))
    }

    /// The same in a user namespace below which there are no others, with the user being who it is,
    /// or root of it: what a container without user namespaces looks like from inside.
    fn alone(&self, who: &str) -> Command {
        self.alone_with(who, &self.at("stockade"))
    }

    fn alone_with(&self, who: &str, program: &Path) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--user", who, "--keep-caps", "sh", "-c"]);
        command.arg(
            "echo 0 > /proc/sys/user/max_user_namespaces || exit 9
            exec setpriv --ambient-caps=-all --inh-caps=-all \"$@\"",
        );
        command.arg("sh").arg(program);
        self.ordinary(command)
    }

    fn ordinary(&self, mut command: Command) -> Command {
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.0.path());
        command.current_dir("/").stdin(Stdio::null());
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

/// Whether there can be such a machine here at all.
fn can_be_alone(place: &Place, who: &str) -> bool {
    let version = place.alone(who).arg("--version").output().unwrap();
    if !version.status.success() {
        println!("cannot be tried here: {}", said(&version.stderr));
    }
    version.status.success()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn is_refused(out: &Output, guarantee: &str) {
    assert_eq!(out.status.code(), Some(97), "{out:?}");
    let said = said(&out.stderr);
    let mut lines = said.lines();
    let first = lines.next().unwrap_or_default();
    assert!(first.starts_with(&format!("error: cannot enforce `{guarantee}`: ")), "{said}");
    assert!(lines.next().is_some_and(|it| it.starts_with("help: ")), "{said}");
    assert_eq!(lines.next(), None, "{said}");
}

fn x08_without_namespaces_nothing_is_started() {
    let place = Place::new();
    if !can_be_alone(&place, "--map-current-user") {
        return;
    }
    let made = place.at("root/made");
    let root = format!("{}:rw", place.at("root").display());
    let start = |command: &str, weaker: &[&str]| {
        let mut alone = place.alone("--map-current-user");
        alone.args([command, "--root", &root]).args(weaker);
        alone.args(["--", "touch", made.to_str().unwrap()]).output().unwrap()
    };
    for command in ["sandbox", "run"] {
        is_refused(&start(command, &[]), "files");
        is_refused(&start(command, &WEAKER[..2]), "processes");
        is_refused(&start(command, &WEAKER[..4]), "end");
    }
    assert!(!made.exists());
    let started = start("sandbox", &WEAKER);
    assert!(started.status.success() && made.exists(), "{started:?}");
}

fn x08_root_that_stays_root_starts_nothing() {
    let place = Place::new();
    if !can_be_alone(&place, "--map-root-user") {
        return;
    }
    let mut alone = place.alone("--map-root-user");
    is_refused(
        &alone.arg("sandbox").args(WEAKER).args(["--", "id"]).output().unwrap(),
        "privileges",
    );
}

/// What is tried without namespaces, and how what comes of it must begin.
const TRIES: &str = r##"
import ctypes, os, resource, signal, socket, sys
root, outside, guard = sys.argv[1:4]
def tries(name, it):
    try: print(name + ": " + str(it()))
    except OSError as error: print(name + ": no: " + error.strerror)
def run():
    with open(root + "/script", "w") as file: file.write("#!/bin/sh\nexit 0\n")
    os.execv(root + "/script", ["script"])
tries("read", lambda: open(root + "/file").read())
tries("write", lambda: open(root + "/made", "w").write("x"))
tries("read outside", lambda: open(outside + "/file").read())
tries("write outside", lambda: open(outside + "/made", "w").write("x"))
tries("list outside", lambda: os.listdir(outside))
tries("change outside", lambda: os.chmod(outside + "/file", 0o777))
tries("touch outside", lambda: os.utime(outside + "/file"))
tries("move outside", lambda: os.rename(outside + "/file", root + "/taken"))
tries("users", lambda: open("/etc/passwd").read())
tries("processes", lambda: os.listdir("/proc"))
tries("memory of the guard", lambda: open(f"/proc/{guard}/mem"))
tries("signal", lambda: os.kill(int(guard), signal.SIGTERM))
tries("signal the warden", lambda: os.kill(os.getppid(), signal.SIGKILL))
tries("limit", lambda: resource.prlimit(int(guard), resource.RLIMIT_NOFILE, (3, 3)))
tries("slow down", lambda: os.setpriority(os.PRIO_PROCESS, int(guard), 19))
tries("tcp", lambda: socket.socket())
tries("unix", lambda: socket.socket(socket.AF_UNIX))
one, other = socket.socketpair()
tries("pair", lambda: one.send(b"x"))
libc = ctypes.CDLL(None, use_errno=True)
tries("shared memory", lambda: libc.shmget(1, 4096, 0o1777) + (ctypes.get_errno() == 38))
tries("child", lambda: os.waitstatus_to_exitcode(os.system("exit 3")))
tries("execute", run)
"##;

const HELD: &str = "\
read: of root
write: 1
read outside: no: Permission denied
write outside: no: Permission denied
list outside: no: Permission denied
change outside: no: Operation not permitted
touch outside: no: Operation not permitted
move outside: no: Permission denied
users: no: Permission denied
processes: no: Permission denied
memory of the guard: no: Permission denied
signal: no: Operation not permitted
signal the warden: no: Operation not permitted
limit: no: Operation not permitted
slow down: no: Operation not permitted
tcp: no: Address family not supported by protocol
unix: no: Address family not supported by protocol
pair: 1
shared memory: 0
child: 3
execute: no: Permission denied
";

fn x08_without_namespaces_what_cannot_be_kept_is_in_no_root() {
    let place = Place::new();
    let who = "--map-current-user";
    if !can_be_alone(&place, who) {
        return;
    }
    let root = format!("--root={}:rw", place.at("root").display());
    fs::write(place.at("root/p.toml"), "").unwrap();
    copy_stockade(&place.at("root/stockade"));
    fs::set_permissions(place.at("root/stockade"), fs::Permissions::from_mode(0o755)).unwrap();
    let policy = ["--policy".into(), place.at("root/p.toml")];
    let state = |name: &str| ["--state".into(), place.at(name)];
    let outside = place.at("stockade");
    for (program, command, options, says) in [
        (&outside, "run", [policy, state("secret/state")].concat(), "so it cannot decide"),
        (&outside, "sandbox", state("root/state").into(), "cannot be kept"),
        (&place.at("root/stockade"), "sandbox", state("secret/state").into(), "cannot be kept"),
    ] {
        let mut start = place.alone_with(who, program);
        start.args([command, &root]).args(WEAKER).args(options);
        let out = start.args(["--", "touch"]).arg(place.at("root/made")).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{command}: {out:?}");
        assert!(said(&out.stderr).contains(says), "{command}: {out:?}");
        assert!(!place.at("root/made").exists(), "{command}");
    }
}

fn x08_without_namespaces_the_rest_holds() {
    let place = Place::new();
    if !can_be_alone(&place, "--map-current-user") {
        return;
    }
    let root = format!("{}:rw", place.at("root").display());
    // Somebody of the same user, who is to be out of reach.
    let mut bystander = place.ordinary(Command::new("sleep")).arg("1000").spawn().unwrap();
    let mut alone = place.alone("--map-current-user");
    alone.args(["sandbox", "--root", &root]).args(WEAKER).args(["--", "python3", "-c", TRIES]);
    alone.arg(place.at("root")).arg(place.at("secret")).arg(bystander.id().to_string());
    let out = alone.output().unwrap();
    let lives = bystander.try_wait().unwrap().is_none();
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    assert_eq!(said(&out.stdout), HELD, "{}", said(&out.stderr));
    assert!(lives, "what is not the server's was killed");
    goes_with_its_guard(&place);
}

fn goes_with_its_guard(place: &Place) {
    let mark = format!("daemon-of-{}", place.at("").display());
    let daemon = "(setsid sh -c 'sleep 1000; true' \"$0\" &) ; echo up; cat";
    let mut alone = place.alone("--map-current-user");
    alone.arg("sandbox").args(WEAKER).args(["--", "sh", "-c", daemon, &mark]);
    let mut guard = alone.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut up = String::new();
    BufReader::new(guard.stdout.take().unwrap()).read_line(&mut up).unwrap();
    assert_eq!(up, "up\n");
    wait_for("the daemon", || (with_mark(&mark).len() > 2).then_some(()));
    kill(guard.id().try_into().unwrap());
    guard.wait().unwrap();
    wait_for("its end", || with_mark(&mark).is_empty().then_some(()));
}

#[track_caller]
fn report(out: &Output) -> Value {
    serde_json::from_slice(&out.stdout).unwrap_or_else(|it| panic!("{it}: {out:?}"))
}

fn feature<'a>(report: &'a Value, name: &str) -> &'a Value {
    let found = report["features"].as_array().unwrap().iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {report}"))
}

fn x08_the_doctor_says_what_is_missing() {
    let place = Place::new();
    let here = place.stockade().args(["doctor", "--format", "json"]).output().unwrap();
    let whole = report(&here)["whole"].as_bool().unwrap();
    assert_eq!(here.status.code(), Some(if whole { 0 } else { 97 }));
    // It is true: what is said to start does start, and what is not does not.
    let weaker = report(&here)["allow_weaker"].clone();
    let weaker: Vec<&str> =
        weaker.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    let start = |named: &[&str]| {
        let mut command = place.stockade();
        command.arg("sandbox").args(named.iter().flat_map(|it| ["--allow-weaker", it]));
        command.args(["--", "true"]).output().unwrap().status.code()
    };
    assert_eq!(start(&weaker), Some(0));
    if let Some((_, fewer)) = weaker.split_last() {
        assert_eq!(start(fewer), Some(97));
    }
    if !can_be_alone(&place, "--map-current-user") {
        return;
    }
    let mut alone = place.alone("--map-current-user");
    let alone = alone.args(["doctor", "--format", "json"]).output().unwrap();
    let found = report(&alone);
    assert_eq!((alone.status.code(), &found["whole"]), (Some(97), &json!(false)));
    let namespaces = feature(&found, "user namespace");
    assert_eq!(namespaces["works"], "no", "{namespaces}");
    let remedy = namespaces["remedy"].as_str().unwrap();
    assert!(remedy.contains("max_user_namespaces"), "{remedy}");
    assert_eq!(feature(&found, "seccomp")["works"], "yes");
    for name in ["files", "processes", "end"] {
        assert!(found["allow_weaker"].as_array().unwrap().contains(&json!(name)), "{name}");
    }
    let page = said(&place.alone("--map-current-user").arg("doctor").output().unwrap().stdout);
    let last = page.lines().last().unwrap_or_default();
    assert!(last.contains("`--allow-weaker files --allow-weaker processes"), "{page}");
    assert!(!page.contains('\x1b'), "colours without a terminal: {page}");
}

fn x08_the_doctor_leaves_nothing() {
    let place = Place::new();
    let copy = place.at("stockade");
    // Podman's own of its store comes with the first container of another row, and stays.
    let mounts = || {
        let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let ours = |it: &&str| !it.contains(" /var/lib/containers/storage/overlay ");
        all.lines().filter(ours).map(str::to_owned).collect::<Vec<_>>()
    };
    let mounted = mounts();
    let before = orphaned_groups(Path::new("/sys/fs/cgroup"));
    for mut doctor in [place.stockade(), Command::new(&copy)] {
        doctor.arg("doctor").stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert_eq!(with_mark(copy.to_str().unwrap()), [0; 0]);
    }
    assert_eq!(mounts(), mounted);
    // Other rows kill guards meanwhile, whose groups go with the next start.
    wait_for("groups to go", || {
        let left = orphaned_groups(Path::new("/sys/fs/cgroup"));
        left.iter().all(|it| before.contains(it)).then_some(())
    });
}

fn c02_the_doctor_says_which_lock_there_is() {
    let home = Home::new();
    let doctor = |options: &[&str]| {
        let page = home.stockade(["doctor"]).args(home.state()).args(options).output().unwrap();
        let mut json = home.stockade(["doctor", "--format", "json"]);
        let json = json.args(home.state()).args(options).output().unwrap();
        let page = said(&page.stdout);
        let line = page.lines().find(|it| it.starts_with("lock: ")).expect(&page).to_owned();
        (line, report(&json)["lock"].clone())
    };
    let file = home.path().join("state/stockade.lock");
    let (line, lock) = doctor(&[]);
    assert!(line.contains("there is none") && line.contains(file.to_str().unwrap()), "{line}");
    assert_eq!(lock, json!({ "file": file, "found": false, "servers": null, "error": null }));

    let fake = home.fake(Script::default());
    let mut approve = home.stockade(["lock"]);
    approve.args(home.unheld()).arg("--").args(fake.command());
    assert!(approve.output().unwrap().status.success());
    let (line, lock) = doctor(&[]);
    assert!(line.ends_with("can be read, and pins 1 server"), "{line}");
    assert_eq!(lock, json!({ "file": file, "found": true, "servers": 1, "error": null }));

    // The one that `run` would read with the same options.
    let project = home.path().join("project");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("stockade.toml"), "").unwrap();
    fs::write(project.join("stockade.lock"), r#"{"servers":{},"version":1}"#).unwrap();
    let policy = project.join("stockade.toml");
    let (line, lock) = doctor(&["--policy", policy.to_str().unwrap()]);
    assert!(line.ends_with("pins 0 servers"), "{line}");
    assert_eq!(lock["file"], json!(project.join("stockade.lock")));
    let named = project.join("gone.lock");
    let (line, lock) = doctor(&["--lock", named.to_str().unwrap()]);
    assert!(line.contains("there is no lock"), "{line}");
    assert_eq!((&lock["found"], &lock["servers"]), (&json!(true), &Value::Null), "{lock}");

    fs::write(&file, "{}").unwrap();
    let (line, lock) = doctor(&[]);
    assert!(line.contains("cannot be used"), "{line}");
    assert!(lock["error"].as_str().unwrap().contains("help: "), "{lock}");
}

/// Control groups of ours whose maker, which their names say, has ended.
fn orphaned_groups(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|it| it.is_dir()) {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix("stockade-").and_then(|it| it.split('-').next());
        if maker.is_some_and(|it| !Path::new("/proc").join(it).exists()) {
            found.push(entry.path());
        }
        found.extend(orphaned_groups(&entry.path()));
    }
    found
}
