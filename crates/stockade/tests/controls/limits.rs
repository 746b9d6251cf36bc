//! Limits: what a server that takes too much is stopped by, that others do not suffer from it, and
//! that it is said why.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Output, Stdio};

use serde_json::json;

use crate::harness::probe::initialize;
use crate::harness::{Home, LEGACY, Probe, Script, call, process, text};

crate::rows![
    x03_a_memory_bomb_is_killed_and_it_is_said,
    x03_a_fork_bomb_is_bounded_and_it_is_said,
    x03_descriptors_are_bounded,
    x03_what_the_guard_may_open_is_not_its_servers,
    x03_a_file_does_not_grow_past_its_limit,
    x03_a_busy_loop_ends_with_its_time,
    x03_a_server_does_not_put_off_its_own_end,
    x03_what_a_server_ran_into_is_in_the_ledger,
];

/// `stockade sandbox OPTIONS -- python3 -c PROGRAM`.
fn sandboxed(home: &Home, options: &[&str], program: &str) -> Output {
    let mut command = home.stockade(["sandbox"]);
    command.args(options).args(["--", "python3", "-c", program]);
    command.stdin(Stdio::null()).output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether this user can have what is asked for. Where not, nothing is started, which is shown too.
fn can_have(home: &Home, options: &[&str]) -> bool {
    let tried = sandboxed(home, options, "pass");
    match tried.status.code() {
        Some(0) => true,
        Some(97) => {
            println!("cannot be limited here: {}", said(&tried.stderr));
            false
        }
        _ => panic!("{tried:?}"),
    }
}

/// Another server, which is to go on as if nothing had happened.
struct Bystander(Probe);

impl Bystander {
    fn new(home: &Home) -> Self {
        let probe = Probe::run(home, &home.fake(Script::default())).begin();
        let mut it = Self(probe);
        it.works();
        it
    }

    fn works(&mut self) {
        let answer = self.0.ask(&call("bystander", "echo", json!({ "text": "fine" })));
        assert_eq!(text(&answer), "fine");
    }
}

const BOMB: &str = "
held = []
while True: held.append(bytearray(b'x') * (4 << 20))";

fn x03_a_memory_bomb_is_killed_and_it_is_said() {
    let home = Home::new();
    if !can_have(&home, &["--memory", "64M"]) {
        return;
    }
    let mut other = Bystander::new(&home);
    let ended = sandboxed(&home, &["--memory", "64M"], BOMB);
    other.works();
    assert_eq!(ended.status.code(), Some(128 + 9), "{ended:?}");
    assert_eq!(
        said(&ended.stderr),
        "note: something of it was killed at its limit of 64 MiB of memory\n"
    );
    // And one that dies for itself is not said to have reached anything.
    let killed = "import os; os.kill(os.getpid(), 9)";
    let ended = sandboxed(&home, &["--memory", "64M"], killed);
    assert_eq!((ended.status.code(), said(&ended.stderr)), (Some(128 + 9), String::new()));
}

fn x03_a_fork_bomb_is_bounded_and_it_is_said() {
    let home = Home::new();
    let mut other = Bystander::new(&home);
    let bomb = "
import os, time
started = 0
while True:
    try: pid = os.fork()
    except OSError as error: print(started, error.strerror); break
    if pid == 0: time.sleep(1000)
    started += 1";
    let options = ["--pids", "20", "--allow-weaker", "memory"];
    let ended = sandboxed(&home, &options, bomb);
    other.works();
    // The first process is one of them.
    assert_eq!(said(&ended.stdout), "19 Resource temporarily unavailable\n", "{ended:?}");
    let told = "note: it was refused more than its limit of 20 processes and threads\n";
    let counts = home.stockade(["sandbox", "--dry-run", "--allow-weaker", "memory", "--", "true"]);
    let counts = said(&{ counts }.output().unwrap().stdout).contains("user namespace, a cgroup");
    assert_eq!(said(&ended.stderr), if counts { told } else { "" });
}

fn x03_descriptors_are_bounded() {
    let home = Home::new();
    let mut other = Bystander::new(&home);
    let bomb = "
import os
held = []
while True:
    try: held.append(os.open('/dev/null', 0))
    except OSError as error: print(len(held) + 3, error.strerror); break";
    let ended = sandboxed(&home, &["--allow-weaker", "memory"], bomb);
    other.works();
    assert_eq!(said(&ended.stdout), "768 Too many open files\n", "{ended:?}");
}

/// The guard takes all it may have. A server without a sandbox has what the guard was given, and one
/// in it what its limits say.
fn x03_what_the_guard_may_open_is_not_its_servers() {
    const PROGRAM: &str =
        "import resource, sys; print(resource.getrlimit(7), flush=True); sys.stdin.read()";
    let home = Home::new();
    for (options, has) in
        [(&["--allow-weaker", "memory"][..], "(768, 768)"), (&["--sandbox", "none"], "(256, 2048)")]
    {
        let mut command = home.stockade(["sandbox"]);
        command.args(options).args(["--", "python3", "-c", PROGRAM]);
        let mut command = process::limited(&command, 256, 2048);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), has, "{options:?}");
        let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let open = limits.lines().find(|it| it.starts_with("Max open files")).unwrap();
        assert_eq!(open.split_whitespace().nth(3), Some("2048"), "{open}");
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}

fn x03_a_file_does_not_grow_past_its_limit() {
    let home = Home::new();
    let root = home.path().join("root");
    fs::create_dir(&root).unwrap();
    let mut other = Bystander::new(&home);
    // Python ignores the signal, as many runtimes do; the second one does not.
    let refused = "
try:
    with open('big', 'wb') as file: file.seek(1 << 40); file.write(b'x'); file.flush()
except OSError as error: print(error.strerror)";
    let killed = "
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
with open('big', 'wb') as file: file.truncate(1 << 40)";
    let write = format!("{}:rw", root.display());
    let options = ["--root", &write, "--allow-weaker", "memory"];
    let ended = sandboxed(&home, &options, refused);
    assert_eq!(said(&ended.stdout), "File too large\n", "{ended:?}");
    let ended = sandboxed(&home, &options, killed);
    other.works();
    assert_eq!(ended.status.code(), Some(128 + 25), "{ended:?}");
    assert_eq!(said(&ended.stderr), "note: it was killed at its limit of 1 GiB a file\n");
    assert_eq!(fs::metadata(root.join("big")).unwrap().size(), 0);
}

fn x03_a_busy_loop_ends_with_its_time() {
    let home = Home::new();
    let mut other = Bystander::new(&home);
    let options = ["--time", "1", "--allow-weaker", "memory"];
    let ended = sandboxed(&home, &options, "while True: pass");
    other.works();
    assert_eq!(ended.status.code(), Some(128 + 9), "{ended:?}");
    assert_eq!(said(&ended.stderr), "note: its time of 1 s was over\n");
}

/// Its warden is process 1 inside, and of its user.
fn x03_a_server_does_not_put_off_its_own_end() {
    let home = Home::new();
    let starve = "
import os
def tries(change):
    try: change(); print('DONE')
    except PermissionError: pass
tries(lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)))
tries(lambda: os.sched_setaffinity(1, [0]))
tries(lambda: os.setpriority(os.PRIO_PROCESS, 1, 19))
tries(lambda: os.setpriority(os.PRIO_USER, 0, 19))
# What is its own stays its own.
os.sched_setaffinity(0, os.sched_getaffinity(0))
os.setpriority(os.PRIO_PROCESS, os.getpid(), 1)
print('tried', flush=True)
for _ in range(200):
    if os.fork() == 0: break
while True: pass";
    let options =
        ["--time", "2", "--cpus", "0.2", "--allow-weaker", "memory", "--allow-weaker", "cpu"];
    let ended = sandboxed(&home, &options, starve);
    assert_eq!(said(&ended.stdout), "tried\n", "{ended:?}");
    assert_eq!(ended.status.code(), Some(128 + 9), "{ended:?}");
    assert_eq!(said(&ended.stderr), "note: its time of 2 s was over\n");
}

fn x03_what_a_server_ran_into_is_in_the_ledger() {
    let home = Home::new();
    let memory = can_have(&home, &["--memory", "64M"]);
    let time = ("while True: pass", "its time of 1 s was over", &["--time", "1"][..]);
    let bomb = (BOMB, "killed at its limit of 64 MiB of memory", &["--memory", "64M"][..]);
    for (program, reason, options) in [time].into_iter().chain(memory.then_some(bomb)) {
        let home = Home::new();
        let mut command = home.stockade(["run"]);
        command.args(home.state()).args(options).args(["--allow-weaker", "memory"]);
        command.args(["--", "python3", "-c", program]);
        let mut probe = Probe::of(&mut command);
        // A guard that has ended already takes nothing.
        let _taken = probe.offer(format!("{}\n", initialize(LEGACY)).as_bytes());
        let ended = probe.ended();
        assert_eq!(ended.code, Some(4), "{}", ended.stderr);
        let line = ended.stderr.lines().find(|it| it.starts_with("error: ")).unwrap_or_default();
        assert!(line.contains("the server ended by itself: it was killed by signal 9"), "{line}");
        assert!(line.contains(reason), "{line}");
        let stops = home.records_of("stop");
        let says = stops.first().and_then(|it| it["says"].as_str()).unwrap_or_default();
        assert!(says.contains(reason), "{stops:?}");
    }
}
