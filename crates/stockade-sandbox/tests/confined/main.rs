//! Starts real servers in the sandbox: one that tries to get out, and one that wants to work. This
//! binary is the guard, the keeper, and (copied to where everybody may read it) the server. What is
//! tried inside is tried without a sandbox as well, where it must succeed: a probe that cannot
//! would show nothing. Run by root, everything is run again as an ordinary user.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "these are tests, which clippy.toml sees only inside of `#[test]`"
)]

mod probe;
mod traced;

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::{self, Command, ExitCode, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use stockade_sandbox::network::{GATE_DNS, GATE_PROXY};
use stockade_sandbox::{
    Access, Child, Confinement, Engine, EngineProgram, Error, Exit, Guarantee, KEEPER_ARG, Limits,
    Reached, Root, Secret, Spec, Strength, keeper_main_if_asked, launch, plan,
};

use probe::Around;

const NOBODY: u32 = 65534;

/// Whether the sandbox is one of Podman.
static IN_PODMAN: AtomicBool = AtomicBool::new(false);

fn in_podman() -> bool {
    IN_PODMAN.load(Relaxed)
}

/// A claim, and what shows it.
type Case = (&'static str, fn(&Ground));

const CASES: &[Case] = &[
    ("what is tried inside succeeds outside", what_is_tried_succeeds_outside),
    ("nothing outside of the roots is reached", nothing_outside_is_reached),
    ("no way out is open", no_way_out_is_open),
    ("a server is unprivileged", a_server_is_unprivileged),
    ("a warden is behind walls before its server runs", a_warden_is_behind_walls),
    ("sockets for the guard are of the server's network and not the server's", doors_are_apart),
    ("environment and descriptors are clean", environment_and_descriptors_are_clean),
    ("what servers need works", what_servers_need_works),
    ("interpreters work", interpreters_work),
    ("a fork bomb is bounded", a_fork_bomb_is_bounded),
    ("descriptors, files and scratch space are bounded", greed_is_bounded),
    ("a memory bomb is killed, or its limit demanded in vain", a_memory_bomb_is_killed),
    ("a server is ended when its time is over", time_is_over),
    ("what is written belongs to the owner of the root", ownership_is_kept),
    ("a root that shows the machine is refused", a_root_that_shows_the_machine),
    ("a plan starts nothing and says what holds", a_plan_says_what_holds),
    ("no control group is left", no_group_is_left),
    ("no control group is left by a guard that was killed", a_killed_guard_leaves_no_group),
    ("what a killed keeper leaves is swept by the next", a_killed_keeper_is_swept_after),
    ("starts at the same time do not get in each other's way", starts_at_the_same_time),
    ("a server that takes the processor goes with its guard", the_starved_end_too),
    ("a server that takes the processor ends with its time", the_starved_end_in_time),
    ("what a server has under way stops no other start", in_flight_stops_no_start),
    ("limits are in force where control groups can be made", limits_are_in_force),
    ("a named weakness is shown as one", a_named_weakness_is_shown),
    ("where there is no namespace, nothing is started", nothing_starts_without_a_namespace),
    ("two servers have nothing of each other", two_servers_are_apart),
    ("what is read only in a writable root stays in its place", read_only_stays_in_place),
    ("what is read only inside of what is read only is not written", read_only_in_read_only),
    ("a repository is written if it is a root itself", a_repository_that_is_a_root),
    ("a project shows its server nothing of the user's", a_project_shows_nothing),
    ("what a server plants shows it nothing when it starts again", nothing_is_planted),
    ("a script in a writable root is read only", a_script_is_read_only),
    ("a secret is not hidden by a root", a_secret_is_not_hidden),
    ("a traced server is held as any other", traced::a_traced_server_is_held),
    ("what a traced server touches is seen", traced::what_is_touched_is_seen),
    ("no way around by which a file is found hides it", traced::no_way_around_hides_a_file),
    ("what fails touches nothing", traced::what_fails_touches_nothing),
    ("a traced server does not hide its memory", traced::a_traced_server_does_not_hide_its_memory),
    ("a flood is bounded, and one kind hides no other", traced::a_flood_is_bounded),
    ("threads and signals do not stop a traced server", traced::threads_and_signals_go_on),
    ("a traced server goes with its guard", traced::a_traced_server_goes_with_its_guard),
];

/// What servers in containers cannot have: nothing of them is traced, and nobody is named whom they
/// may reach.
const NATIVE_ONLY: &[&str] = &[
    "a warden is behind walls before its server runs",
    "a traced server is held as any other",
    "what a traced server touches is seen",
    "no way around by which a file is found hides it",
    "what fails touches nothing",
    "a traced server does not hide its memory",
    "a flood is bounded, and one kind hides no other",
    "threads and signals do not stop a traced server",
    "a traced server goes with its guard",
    "sockets for the guard are of the server's network and not the server's",
];

fn main() -> ExitCode {
    keeper_main_if_asked();
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["probe", "reach", ref rest @ ..] => probe::reach(&Around::from_words(rest)),
        ["probe", "break-out", ref rest @ ..] => probe::break_out(&Around::from_words(rest)),
        ["probe", "work", ref rest @ ..] => probe::work(&Around::from_words(rest)),
        ["probe", "greed", ref rest @ ..] => probe::greed(&Around::from_words(rest)),
        ["probe", "fork-bomb", ..] => probe::fork_bomb(),
        ["probe", "memory-bomb", ..] => probe::memory_bomb(),
        ["probe", "nest", top, ..] => nest(top),
        ["probe", "starve", ..] => probe::starve(),
        ["probe", "in-flight", ..] => probe::in_flight(),
        ["as-guard"] => be_the_guard(|it| it.confined(&["sleep", "1000"])),
        ["as-guard", "starve"] => be_the_guard(starving),
        ["in-podman", ..] => {
            IN_PODMAN.store(true, Relaxed);
            return run("root, in Podman", words.get(1).copied());
        }
        ["as-nobody", ..] => return run("an ordinary user", words.get(1).copied()),
        _ => return run_all(words.iter().find(|it| !it.starts_with('-')).copied()),
    }
    ExitCode::SUCCESS
}

fn run_all(filter: Option<&str>) -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        println!("not run as root, so not tried as root");
        return run("this user", filter);
    }
    let as_root = run("root", filter);
    let in_podman = Command::new("/proc/self/exe").arg("in-podman").args(filter).status();
    let in_podman = in_podman.expect("this test can run itself");
    let as_nobody = Command::new("/proc/self/exe")
        .arg("as-nobody")
        .args(filter)
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .status()
        .expect("this test can drop to an ordinary user");
    if as_nobody.success() && in_podman.success() { as_root } else { ExitCode::FAILURE }
}

fn run(who: &str, filter: Option<&str>) -> ExitCode {
    let ground = Ground::new();
    match launch(&ground.confined(&["true"])) {
        Err(
            error @ (Error::CannotEnforce { .. }
            | Error::NoEngine { .. }
            | Error::Engine { .. }
            | Error::NoIds { .. }),
        ) => {
            println!("{who}: not run: {error}: {:?}", std::error::Error::source(&error));
            return ExitCode::SUCCESS;
        }
        started => drop(started.unwrap()),
    }
    let mut code = ExitCode::SUCCESS;
    for (name, case) in CASES.iter().filter(|(it, _)| filter.is_none_or(|f| it.contains(f))) {
        if in_podman() && NATIVE_ONLY.contains(name) {
            println!("{who}: {name}: not in a container");
            continue;
        }
        let ground = Ground::new();
        let fine = catch_unwind(std::panic::AssertUnwindSafe(|| case(&ground))).is_ok();
        println!("{who}: {name} ... {}", if fine { "ok" } else { "FAILED" });
        if !fine {
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn what_is_tried_succeeds_outside(ground: &Ground) {
    let spec = Spec { confine: None, ..ground.probe("reach") };
    let said = output(&spec);
    for name in [
        "read outside",
        "list outside",
        "read by a link in the root",
        "read by dots",
        "read by a link of its own",
        "make a hard link to outside",
        "write outside",
        "list the parent of its roots",
        "see processes of others",
        "connect by tcp",
        "be answered by udp",
        "connect to a unix socket outside",
        "connect to a unix socket in a root",
        "connect to an abstract socket",
    ] {
        assert!(said.contains(&format!("{name}: DONE\n")), "{name}: {said}");
    }
}

fn nothing_outside_is_reached(ground: &Ground) {
    // This one would be inherited: it is not marked to be closed.
    let leak = rustix::io::dup(File::open("/").unwrap()).unwrap();
    assert!(leak.as_raw_fd() > 2);
    must_hold(&output(&ground.probe("reach")), 18);
    assert_eq!(fs::read_to_string(ground.at("outside/canary")).unwrap(), "CANARY");
    assert!(!ground.at("outside/new").exists());
}

fn no_way_out_is_open(ground: &Ground) {
    must_hold(&output(&ground.probe("break-out")), 90);
    for (path, text) in [
        ("rw/.git/config", "trusted"),
        ("rw/repository/.git/config", "trusted"),
        ("rw/.mcp.json", "trusted"),
        ("ro/file", "read me"),
    ] {
        assert_eq!(fs::read_to_string(ground.at(path)).unwrap(), text, "{path}");
    }
    assert!(!ground.at("rw/.git/hooks/pre-commit").exists());
    for entry in fs::read_dir(ground.at("rw")).unwrap().flatten() {
        let mode = entry.metadata().unwrap().mode();
        assert_eq!(mode & 0o6000, 0, "{:?} is setuid", entry.path());
    }
}

fn must_hold(said: &str, at_least: usize) {
    assert!(!said.contains("DONE"), "{said}");
    let held = said.lines().filter(|it| it.contains(": held (")).count();
    assert!(held >= at_least, "only {held} were tried: {said}");
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(":\t"));
    line.unwrap_or_else(|| panic!("{name} in {status}")).to_owned()
}

fn must_be_unprivileged(status: &str) {
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(status, name), "0000000000000000", "{name}");
    }
    let signs = (field(status, "NoNewPrivs"), field(status, "Seccomp"));
    assert_eq!(signs, ("1".into(), "2".into()));
}

fn a_warden_is_behind_walls(ground: &Ground) {
    let child = launch(&ground.confined(&["cat"])).unwrap();
    let status = |pid: &str| fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let warden = status(&field(&status(&child.pid().to_string()), "PPid"));
    assert_eq!(field(&warden, "NSpid").split('\t').next_back(), Some("1"), "{warden}");
    must_be_unprivileged(&warden);
    let own = field(&status("self"), "Seccomp_filters").parse::<u32>().unwrap();
    assert_eq!(field(&warden, "Seccomp_filters"), (own + 1).to_string());
}

fn a_server_is_unprivileged(ground: &Ground) {
    let status = output(&ground.confined(&["cat", "/proc/self/status"]));
    must_be_unprivileged(&status);
    let field = |name: &str| field(&status, name);
    assert!(field("Uid").split('\t').all(|it| it == NOBODY.to_string() || it == our_uid()));
    assert!(!field("Uid").split('\t').any(|it| it == "0"));
    // A crash starts no handler of dumps outside, and the server does not change that.
    let dumps = "grep -F 'Max core file size' /proc/self/limits; ulimit -c 0 || echo kept";
    let dumps = output(&ground.confined(&["sh", "-c", dumps]));
    let (limit, kept) = dumps.split_once('\n').unwrap();
    assert_eq!(limit.split_whitespace().collect::<Vec<_>>()[4..], ["1", "1", "bytes"], "{dumps}");
    assert_eq!(kept, "kept\n");
    // And it is who it says to be outside, too.
    let child = launch(&ground.confined(&["cat"])).unwrap();
    for pid in [child.pid()].into_iter().filter(|_| !in_podman()).chain(servers("cat\0")) {
        assert_ne!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), 0, "{pid}");
    }
    assert!(
        child
            .containment()
            .0
            .iter()
            .all(|it| it.guarantee == Guarantee::Memory || it.strength == Strength::Enforced)
    );
}

fn doors_are_apart(ground: &Ground) {
    let may_reach = |mut spec: Spec, list: &str| {
        spec.confine.as_mut().unwrap().network = list.parse().unwrap();
        spec
    };
    let list = "a.example,*.b.example:8080,10.0.0.5:5432";
    let child = launch(&may_reach(ground.confined(&["cat"]), list)).unwrap();
    let held = &child.containment().0;
    let held = held.iter().find(|it| it.guarantee == Guarantee::Network).unwrap();
    assert!(held.by.contains("*.b.example:8080"), "{held:?}");
    let doors = child.take_doors().unwrap();
    assert!(child.take_doors().is_none());
    assert_eq!(doors.names.local_addr().unwrap(), GATE_DNS.into());
    let at = doors.connections.iter().map(|it| it.local_addr().unwrap().to_string());
    let expected =
        ["127.64.0.1:53", "127.64.0.1:1080", "0.0.0.0:443", "0.0.0.0:5432", "0.0.0.0:8080"];
    assert_eq!(at.collect::<Vec<_>>(), expected);
    // Nobody here can come in by them.
    assert!(TcpStream::connect(GATE_PROXY).is_err());
    let none = launch(&may_reach(ground.confined(&["cat"]), "none")).unwrap();
    assert!(none.take_doors().is_none());
    drop((child, doors, none));

    // A listed address is one inside, and says itself which it is.
    let connects = ["bash", "-c", "exec 3<>/dev/tcp/10.0.0.5/5432; cat"];
    let child = launch(&may_reach(ground.confined(&connects), list)).unwrap();
    let doors = child.take_doors().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    let accepted = loop {
        let found = doors.connections.iter().find_map(|it| it.accept().ok());
        assert!(Instant::now() < until, "nobody came");
        if let Some((stream, _)) = found {
            break stream;
        }
        thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(accepted.local_addr().unwrap().to_string(), "10.0.0.5:5432");
    drop((child, doors, accepted));

    // As closed as without a list, for whoever is not on it.
    must_hold(&output(&may_reach(ground.probe("reach"), list)), 18);
    must_hold(&output(&may_reach(ground.probe("break-out"), list)), 90);
    let script = "ls /proc/self/fd | tr '\\n' ' '; env | grep -i proxy | sort";
    let said = output(&may_reach(ground.confined(&["sh", "-c", script]), list));
    let proxy = format!("http://{GATE_PROXY}");
    assert!(said.starts_with("0 1 2 3 ALL_PROXY="), "{said}");
    assert!(said.contains(&format!("\nhttps_proxy={proxy}\n")), "{said}");
}

/// The processes with these words that are not in this pid namespace. One that was started a moment
/// ago may not have them yet.
fn servers(words: &str) -> Vec<u32> {
    let own = fs::read_link("/proc/self/ns/pid").unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let all = all.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
        let found = all.filter(|pid| {
            let said = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let namespace = fs::read_link(format!("/proc/{pid}/ns/pid"));
            said == words.as_bytes() && namespace.is_ok_and(|it| it != own)
        });
        let found: Vec<u32> = found.collect();
        // An ordinary user cannot look into the namespaces of others.
        if !found.is_empty() || our_uid() != "0" {
            return found;
        }
        assert!(Instant::now() < until, "nobody runs {words:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn environment_and_descriptors_are_clean(ground: &Ground) {
    let leak = rustix::io::dup(File::open("/").unwrap()).unwrap();
    let script = "env | sort; ls /proc/self/fd | tr '\\n' ' '; pwd";
    let said = output(&ground.confined(&["sh", "-c", script]));
    let home = ground.home();
    let expected =
        format!("HOME={home}\nPATH=/usr/local/bin:/usr/bin:/bin\nPWD={}\n", ground.text("rw"));
    assert_eq!(said, format!("{expected}0 1 2 3 {}\n", ground.text("rw")));
    drop(leak);
}

fn what_servers_need_works(ground: &Ground) {
    let said = output(&ground.probe("work"));
    assert!(!said.contains("BROKEN"), "{said}");
    assert_eq!(said.lines().filter(|it| it.ends_with(": works")).count(), 16, "{said}");
    assert_eq!(fs::read_to_string(ground.at("rw/renamed")).unwrap(), "by the server");
}

fn interpreters_work(ground: &Ground) {
    let python = "import sqlite3, subprocess, threading, tempfile, multiprocessing, ssl, sys
db = sqlite3.connect('t.db'); db.execute('pragma journal_mode=wal'); db.execute('create table t(x)')
t = threading.Thread(target=lambda: None); t.start(); t.join()
tempfile.NamedTemporaryFile().write(b'x')
multiprocessing.Lock()
print(subprocess.check_output(['echo', '42']))";
    let node = "const fs = require('fs'); fs.writeFileSync('n', 'x');
new (require('worker_threads').Worker)('', { eval: true });
console.log(require('child_process').execSync('echo 42') + '')";
    let java = "public class T { public static void main(String[] a) throws Exception {
java.nio.file.Files.writeString(java.nio.file.Path.of(\"j\"), \"x\");
System.out.println(java.security.SecureRandom.getInstanceStrong() == null ? 0 : 42); } }";
    fs::write(ground.at("ro/T.java"), java).unwrap();
    let class = ground.text("ro/T.java");
    for (program, args) in [
        ("python3", &["-c", python][..]),
        ("node", &["-e", node]),
        ("perl", &["-e", "print 42"]),
        ("java", &[&class]),
    ] {
        let words = [&[program][..], args].concat();
        match launch(&ground.confined(&words)) {
            Err(Error::NotFound { .. }) => println!("    no {program} here, so not tried"),
            other => {
                let child = other.unwrap();
                let (said, errors) = (read(child.take_stdout()), read(child.take_stderr()));
                assert!(said.contains("42"), "{program}: {said} {errors}");
                assert_eq!(child.wait().unwrap(), Exit::Code(0), "{program}");
            }
        }
    }
}

fn a_fork_bomb_is_bounded(ground: &Ground) {
    let mut spec = ground.probe("fork-bomb");
    limits(&mut spec).pids = 20;
    // The first is the server itself.
    assert_eq!(output(&spec), "processes: 19\n");
}

fn greed_is_bounded(ground: &Ground) {
    let mut spec = ground.probe("greed");
    limits(&mut spec).scratch_bytes = 8 << 20;
    let said = output(&spec);
    assert!(said.contains("a file of a terabyte: held (File too large"), "{said}");
    assert!(said.contains("scratch: 7\n") || said.contains("scratch: 8\n"), "{said}");
    let count = said.lines().find_map(|it| it.strip_prefix("descriptors: ")).unwrap();
    assert!((750..768).contains(&count.parse::<u32>().unwrap()), "{said}");
    // Where the server has a user namespace of ours, the user's others are not all taken.
    assert!(in_podman() || said.contains("watchers: 32\n"), "{said}");
}

fn a_memory_bomb_is_killed(ground: &Ground) {
    let mut spec = ground.probe("memory-bomb");
    limits(&mut spec).memory_bytes = Some(64 << 20);
    spec.confine.as_mut().unwrap().allow_weaker.clear();
    match launch(&spec) {
        Err(Error::CannotEnforce { guarantee, .. }) => assert_eq!(guarantee, Guarantee::Memory),
        started => {
            let child = started.unwrap();
            assert_eq!(child.containment().of(Guarantee::Memory), Some(Strength::Enforced));
            assert_eq!(child.wait().unwrap(), Exit::Signal(9));
            assert_eq!(read(child.take_stdout()), "");
        }
    }
}

fn time_is_over(ground: &Ground) {
    let mut spec = ground.confined(&["sleep", "1000"]);
    limits(&mut spec).time = Some(Duration::from_secs(1));
    let start = Instant::now();
    assert_eq!(launch(&spec).unwrap().wait().unwrap(), Exit::Signal(9));
    assert!(start.elapsed() < Duration::from_secs(5));
}

fn ownership_is_kept(ground: &Ground) {
    output(&ground.confined(&["sh", "-c", "echo x > made"]));
    let root = fs::metadata(ground.at("rw")).unwrap();
    let made = fs::metadata(ground.at("rw/made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (root.uid(), root.gid()));
}

fn a_root_that_shows_the_machine(ground: &Ground) {
    for path in ["/", "/proc", "/sys", "/dev/shm"] {
        let mut spec = ground.confined(&["true"]);
        let roots = &mut spec.confine.as_mut().unwrap().roots;
        roots.push(Root { path: path.into(), access: Access::Read });
        assert!(matches!(launch(&spec), Err(Error::NeverARoot { .. })), "{path}");
    }
}

fn a_plan_says_what_holds(ground: &Ground) {
    let spec = ground.confined(&["touch", "made"]);
    let plan = plan(&spec).unwrap();
    assert_eq!(plan.containment().of(Guarantee::Network), Some(Strength::Enforced));
    let shown = plan.to_string();
    assert!(shown.contains(&format!("read, write  {}", ground.text("rw"))), "{shown}");
    assert!(!ground.at("rw/made").exists());
    assert_eq!(launch(&spec).unwrap().containment(), plan.containment());
}

fn no_group_is_left(ground: &Ground) {
    let before = groups();
    let child =
        launch(&ground.confined(&["sh", "-c", "(setsid sleep 1000 &) ; exec cat"])).unwrap();
    if child.containment().of(Guarantee::Memory) == Some(Strength::Enforced) {
        assert!(groups().len() > before.len());
    } else {
        println!("    no control groups here, so not seen to go");
    }
    drop(child);
    assert_eq!(groups(), before);
}

fn a_killed_guard_leaves_no_group(_: &Ground) {
    let before = groups();
    let mut guard = Command::new("/proc/self/exe")
        .arg("as-guard")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    guard.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    kill_process(Pid::from_child(&guard), Signal::KILL).unwrap();
    guard.wait().unwrap();
    // It could not clean up its own ground.
    let ground = format!("stockade-confined-{}-0", guard.id());
    fs::remove_dir_all(env::temp_dir().join(ground)).unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    while groups() != before && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(groups(), before);
}

fn a_killed_keeper_is_swept_after(ground: &Ground) {
    let before = groups();
    let child =
        launch(&ground.confined(&["sh", "-c", "(setsid sleep 1000 &) ; exec cat"])).unwrap();
    let server = child.pid();
    kill_process(keeper_of_ours(), Signal::KILL).unwrap();
    assert_eq!(child.wait().unwrap(), Exit::Signal(9));
    assert!(!PathBuf::from(format!("/proc/{server}")).exists(), "the server is left");
    drop(launch(&ground.confined(&["true"])).unwrap());
    assert_eq!(groups(), before);
}

/// As of a client that starts all of its servers at once.
fn starts_at_the_same_time(ground: &Ground) {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let child = launch(&ground.confined(&["true"])).unwrap();
                    assert_eq!(child.wait().unwrap(), Exit::Code(0));
                }
            });
        }
    });
}

/// Little of the processor, and a program that wants all of it, so that nobody else gets any.
fn starving(ground: &Ground) -> Spec {
    let mut spec = ground.probe("starve");
    limits(&mut spec).cpu_thousandths = Some(200);
    spec.confine.as_mut().unwrap().allow_weaker.push(Guarantee::Cpu);
    spec
}

fn the_starved_end_too(_: &Ground) {
    let mut guard = Command::new("/proc/self/exe")
        .args(["as-guard", "starve"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    guard.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    let ground = format!("stockade-confined-{}-0", guard.id());
    let left = || running_with(&ground);
    let until = Instant::now() + Duration::from_secs(60);
    while left() < 201 && Instant::now() < until {
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(left(), 201);
    kill_process(Pid::from_child(&guard), Signal::KILL).unwrap();
    guard.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    while left() > 0 && Instant::now() < until {
        thread::sleep(Duration::from_millis(50));
    }
    let left = left();
    let _ = fs::remove_dir_all(env::temp_dir().join(ground));
    assert_eq!(left, 0);
}

fn the_starved_end_in_time(ground: &Ground) {
    let mut spec = starving(ground);
    limits(&mut spec).time = Some(Duration::from_secs(2));
    let child = launch(&spec).unwrap();
    assert_eq!(child.wait_for(Duration::from_secs(10)).unwrap(), Some(Exit::Signal(9)));
    assert_eq!(child.reached(), [Reached::Time { seconds: 2 }]);
}

/// How many processes have this in their command.
fn running_with(mark: &str) -> usize {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let commands = all.filter_map(|it| fs::read(it.path().join("cmdline")).ok());
    commands.filter(|it| String::from_utf8_lossy(it).contains(mark)).count()
}

fn in_flight_stops_no_start(ground: &Ground) {
    let child = launch(&ground.probe("in-flight")).unwrap();
    let mut said = [0; 3];
    File::from(child.take_stdout().unwrap()).read_exact(&mut said).unwrap();
    assert_eq!(&said, b"up\n");
    let other = launch(&ground.confined(&["true"])).unwrap();
    assert_eq!(other.wait().unwrap(), Exit::Code(0));
    assert_eq!(child.wait_for(Duration::ZERO).unwrap(), None);
}

fn keeper_of_ours() -> Pid {
    let ours = format!("\nPPid:\t{}\n", process::id());
    let mut keepers = fs::read_dir("/proc").unwrap().flatten().filter_map(|it| {
        let status = fs::read_to_string(it.path().join("status")).ok()?;
        let words = fs::read(it.path().join("cmdline")).ok()?;
        let is_it = status.contains(&ours) && words.ends_with(format!("{KEEPER_ARG}\0").as_bytes());
        is_it.then(|| Pid::from_raw(it.file_name().to_str()?.parse().ok()?)).flatten()
    });
    keepers.next().expect("a guard that launched has a keeper")
}

fn limits_are_in_force(ground: &Ground) {
    let mut spec = ground.confined(&["cat"]);
    *limits(&mut spec) = Limits {
        memory_bytes: Some(64 << 20),
        cpu_thousandths: Some(500),
        pids: 7,
        ..Limits::default()
    };
    spec.confine.as_mut().unwrap().allow_weaker.push(Guarantee::Cpu);
    let child = launch(&spec).unwrap();
    for guarantee in [Guarantee::Memory, Guarantee::Cpu] {
        if child.containment().of(guarantee) != Some(Strength::Enforced) {
            println!("    {guarantee} cannot be limited here, so not tried");
            return;
        }
    }
    let set = |file: &str| {
        let read = groups().into_iter().filter_map(|it| fs::read_to_string(it.join(file)).ok());
        read.map(|it| it.trim().to_owned()).collect::<Vec<_>>()
    };
    let memory = [set("memory.max"), set("memory.limit_in_bytes")].concat();
    assert!(memory.contains(&"67108864".to_owned()), "{memory:?}");
    // In a container, our first process is counted with the server's.
    let pids = if in_podman() { "8" } else { "7" };
    assert!(set("pids.max").contains(&pids.to_owned()));
    let cpu = [set("cpu.max"), set("cpu.cfs_quota_us")].concat();
    let half = |it: &String| it == "50000 100000" || it == "50000";
    assert!(cpu.iter().any(half), "{cpu:?}");
    drop(child);
}

fn a_named_weakness_is_shown(ground: &Ground) {
    let mut spec = ground.confined(&["true"]);
    limits(&mut spec).memory_bytes = Some(1 << 30);
    let with = launch(&spec).unwrap().containment().of(Guarantee::Memory);
    spec.confine.as_mut().unwrap().allow_weaker.clear();
    match launch(&spec) {
        Ok(_) => assert_eq!(with, Some(Strength::Enforced)),
        Err(Error::CannotEnforce { guarantee: Guarantee::Memory, remedy, .. }) => {
            assert_eq!(with, Some(Strength::Not));
            assert!(!remedy.is_empty());
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// A sandbox is a machine that gives no namespaces.
fn nothing_starts_without_a_namespace(ground: &Ground) {
    assert_eq!(output(&ground.probe("nest")), "files\n");
    assert!(!ground.at("rw/made").exists());
}

fn nest(top: &str) {
    let spec = Spec {
        command: vec!["touch".into(), format!("{top}/rw/made").into()],
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: Some("/".into()),
        confine: Some(Box::new(Confinement {
            allow_weaker: vec![Guarantee::Memory, Guarantee::Cpu],
            ..Confinement::default()
        })),
    };
    match launch(&spec) {
        Err(Error::CannotEnforce { guarantee, .. }) => println!("{guarantee}"),
        other => println!("{other:?}"),
    }
}

fn two_servers_are_apart(ground: &Ground) {
    let script =
        "echo mine > /tmp/mine; echo mine > /dev/shm/mine; echo mine > ~/mine; echo up; cat";
    let one = launch(&ground.confined(&["sh", "-c", script])).unwrap();
    let mut up = File::from(one.take_stdout().unwrap());
    up.read_exact(&mut [0; 3]).unwrap();
    let look = format!(
        "ls /tmp /dev/shm ~ | grep mine; ls /proc | grep -c '^[0-9]'; kill -9 {} 2>/dev/null; kill -0 {} 2>/dev/null && echo there; true",
        one.pid(),
        one.pid(),
    );
    // The processes are the shell and the two of the pipe.
    let said = output(&ground.confined(&["sh", "-c", &look]));
    assert!(said == "2\n" || said == "3\n", "{said}");
    assert_eq!(one.wait_for(Duration::ZERO).unwrap(), None, "the other one was killed");
}

fn read_only_stays_in_place(ground: &Ground) {
    fs::create_dir_all(ground.at("rw/deep/er/kept")).unwrap();
    let mut spec = ground.confined(&[
        "sh",
        "-c",
        "mv deep away; mv deep/er deep/away; rm -rf deep/er; echo x > deep/er/kept/new; echo x > deep/new",
    ]);
    let kept = Root { path: ground.at("rw/deep/er/kept"), access: Access::Read };
    spec.confine.as_mut().unwrap().roots.push(kept);
    output(&spec);
    assert!(ground.at("rw/deep/er/kept").exists());
    assert!(!ground.at("rw/deep/er/kept/new").exists());
    assert!(ground.at("rw/deep/new").exists());
}

fn read_only_in_read_only(ground: &Ground) {
    fs::create_dir_all(ground.at("rw/a/b/c")).unwrap();
    let script = "for it in a a/b a/b/c; do echo x > $it/new; done 2>/dev/null; echo x > new";
    let mut spec = ground.confined(&["sh", "-c", script]);
    for path in ["rw/a", "rw/a/b/c"] {
        let root = Root { path: ground.at(path), access: Access::Read };
        spec.confine.as_mut().unwrap().roots.push(root);
    }
    output(&spec);
    assert!(ground.at("rw/new").exists());
    for path in ["rw/a/new", "rw/a/b/new", "rw/a/b/c/new"] {
        assert!(!ground.at(path).exists(), "{path}");
    }
}

fn a_repository_that_is_a_root(ground: &Ground) {
    let script = "echo x > .git/index; echo x > .git/config; echo x > .git/hooks/new; true";
    output(&ground.confined(&["sh", "-c", script]));
    assert!(!ground.at("rw/.git/index").exists());
    for first in [true, false] {
        let mut spec = ground.confined(&["sh", "-c", script]);
        let roots = &mut spec.confine.as_mut().unwrap().roots;
        let root = Root { path: ground.at("rw/.git"), access: Access::Write };
        roots.insert(if first { 0 } else { roots.len() }, root);
        // The first writable one is where it would start.
        spec.cwd = Some(ground.at("rw"));
        output(&spec);
        fs::remove_file(ground.at("rw/.git/index")).unwrap();
        assert_eq!(fs::read_to_string(ground.at("rw/.git/config")).unwrap(), "trusted");
        assert!(!ground.at("rw/.git/hooks/new").exists());
    }
}

/// By every way that a project has to name a file: it is read outside, and not there inside.
fn a_project_shows_nothing(ground: &Ground) {
    let canary = ground.text("outside/canary");
    for place in ["p/venv/bin", "p/venv/h"] {
        fs::create_dir_all(ground.at(place)).unwrap();
    }
    symlink(&canary, ground.at("p/venv/h/python3")).unwrap();
    symlink(&canary, ground.at("p/stolen.sh")).unwrap();
    let script = |name: &str, first: &str| {
        let path = ground.at(name);
        fs::write(&path, format!("#!{first}\ncat '{canary}' 2>/dev/null; echo ran\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let server = script("p/venv/bin/server", "/bin/sh");
    let by_env = script("p/venv/bin/by-env", &format!("/usr/bin/env -S sh {canary} --"));
    let homes =
        [ground.text("p/venv/h"), "/proc/self/cwd/p/venv/h".to_owned(), ground.text("outside")];
    for home in homes {
        fs::write(ground.at("p/venv/pyvenv.cfg"), format!("home = {home}\n")).unwrap();
        let unconfined = Spec { confine: None, ..ground.confined(&[&server]) };
        assert_eq!(output(&unconfined), "CANARYran\n");
        assert_eq!(output(&ground.confined(&[&server])), "ran\n", "{home}");
        let spec = Spec { cwd: Some(ground.top.clone()), ..ground.confined(&[&server]) };
        assert!(!plan(&spec).unwrap().to_string().contains("canary"), "{home}");
    }
    let shown = plan(&ground.confined(&[&by_env])).unwrap().to_string();
    assert!(!shown.contains("canary"), "{shown}");
    let stolen = ground.text("p/stolen.sh");
    let shown = plan(&ground.confined(&["sh", &stolen])).unwrap().to_string();
    assert!(!shown.contains(&ground.text("outside")), "{shown}");
}

fn nothing_is_planted(ground: &Ground) {
    let plant = format!(
        "mkdir -p v/bin v/lib; ln -s {0} v/bin/python; ln -s {1} data; ln -s {0} v/bin/sh",
        ground.text("opt/bin/tool"),
        ground.text("outside"),
    );
    fs::create_dir_all(ground.at("opt/bin")).unwrap();
    fs::create_dir_all(ground.at("opt/lib")).unwrap();
    fs::copy("/bin/true", ground.at("opt/bin/tool")).unwrap();
    output(&ground.confined(&["sh", "-c", &plant]));
    let tool = ground.text("rw/v/bin/python");
    assert!(launch(&Spec { confine: None, ..ground.confined(&[&tool]) }).is_ok());
    let refused = plan(&ground.confined(&[&tool]));
    assert!(matches!(refused, Err(Error::LedAstray { .. })), "{refused:?}");
    // What was named is shown, as much of it as was named.
    let mut spec = ground.confined(&[&tool]);
    spec.confine.as_mut().unwrap().programs.push(ground.at("opt"));
    output(&spec);
    let mut spec = ground.confined(&["true"]);
    let root = Root { path: ground.at("rw/data"), access: Access::Read };
    spec.confine.as_mut().unwrap().roots.push(root);
    assert!(matches!(plan(&spec), Err(Error::ByALink { .. })));
    let mut spec = ground.confined(&["true"]);
    spec.confine.as_mut().unwrap().programs.push(ground.at("rw/data"));
    assert!(matches!(plan(&spec), Err(Error::ByALink { .. })));
}

fn a_script_is_read_only(ground: &Ground) {
    fs::create_dir_all(ground.at("rw/src")).unwrap();
    let text = "echo evil >> $0; mv src away; rm -f $0; echo new > src/other; true\n";
    fs::write(ground.at("rw/src/server.sh"), text).unwrap();
    output(&ground.confined(&["sh", &ground.text("rw/src/server.sh")]));
    assert_eq!(fs::read_to_string(ground.at("rw/src/server.sh")).unwrap(), text);
    assert_eq!(fs::read_to_string(ground.at("rw/src/other")).unwrap(), "new\n");
}

fn a_secret_is_not_hidden(ground: &Ground) {
    let mut spec = ground.confined(&["true"]);
    let confine = spec.confine.as_mut().unwrap();
    confine.secrets.push(Secret { name: "TOKEN".into(), value: b"x".into() });
    let shown = plan(&spec).unwrap().to_string();
    assert!(shown.contains("made up      /run/secrets/TOKEN"), "{shown}");
    // Neither by a home, which then is none.
    for (name, value) in &mut spec.env {
        if *name == *"HOME" {
            *value = "/run".into();
        }
    }
    spec.command = ["cat", "/run/secrets/TOKEN"].map(Into::into).into();
    assert_eq!(output(&spec), "x");
    let roots = &mut spec.confine.as_mut().unwrap().roots;
    roots.push(Root { path: "/etc".into(), access: Access::Read });
    let shown = plan(&spec).unwrap().to_string();
    assert!(!shown.contains("made up      /etc/passwd"), "{shown}");
    spec.confine.as_mut().unwrap().roots.push(Root { path: "/run".into(), access: Access::Read });
    let refused = plan(&spec);
    let is_refused = matches!(
        refused,
        // Where something of the machine is mounted below `/run`, that is told first.
        Err(Error::SecretHidden { .. } | Error::MachineInside { .. })
    );
    assert!(is_refused, "{refused:?}");
}

fn be_the_guard(spec: fn(&Ground) -> Spec) {
    let ground = Ground::new();
    let child = launch(&spec(&ground)).unwrap();
    println!("up");
    let _ = std::io::stdin().read(&mut [0]);
    drop(child);
}

/// Every control group of ours, wherever it is.
fn groups() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut places = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|it| it.is_dir()) {
                continue;
            }
            // An engine makes the container's own below ours.
            let ours: &[&str] =
                if in_podman() { &["stockade.", "libpod-"] } else { &["stockade-"] };
            let name = entry.file_name();
            if ours.iter().any(|it| name.to_string_lossy().starts_with(it)) {
                found.push(entry.path());
            }
            places.push(entry.path());
        }
    }
    found.sort();
    found
}

/// A place with roots, and with what is not to be reached from them.
struct Ground {
    top: PathBuf,
    around: Around,
    // Somebody listens for as long as this is there.
    _tcp: TcpListener,
    _sockets: (UnixListener, UnixListener, UnixListener, UnixDatagram),
}

impl Ground {
    fn new() -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("stockade-confined-{}-{count}", process::id());
        let top = env::temp_dir().canonicalize().unwrap().join(&name);
        for place in
            ["outside", "rw/.git/hooks", "rw/.git/modules/x", "rw/repository/.git", "ro", "home"]
        {
            fs::create_dir_all(top.join(place)).unwrap();
        }
        for (at, text) in [
            ("outside/canary", "CANARY"),
            ("ro/file", "read me"),
            ("rw/.git/config", "trusted"),
            ("rw/.git/modules/x/config", "trusted"),
            ("rw/repository/.git/config", "trusted"),
            ("rw/.mcp.json", "trusted"),
            ("rw/.envrc", "trusted"),
            ("home/secret", "CANARY"),
        ] {
            fs::write(top.join(at), text).unwrap();
        }
        symlink("../outside/canary", top.join("rw/link")).unwrap();
        fs::copy("/proc/self/exe", top.join("server")).unwrap();
        fs::set_permissions(top.join("server"), fs::Permissions::from_mode(0o755)).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sockets = (
            UnixListener::bind(top.join("outside/socket")).unwrap(),
            UnixListener::bind(top.join("rw/socket")).unwrap(),
            UnixListener::bind_addr(&UnixAddr::from_abstract_name(&name).unwrap()).unwrap(),
            UnixDatagram::bind(top.join("rw/datagrams")).unwrap(),
        );
        let around = Around {
            top: top.to_str().unwrap().to_owned(),
            tcp: tcp.local_addr().unwrap(),
            udp: udp.local_addr().unwrap(),
            name,
        };
        // Answers whoever asks, until the process ends.
        thread::spawn(move || {
            while let Ok((_, from)) = udp.recv_from(&mut [0; 8]) {
                let _ = udp.send_to(b"pong", from);
            }
        });
        Self { top, around, _tcp: tcp, _sockets: sockets }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.top.join(path)
    }

    fn text(&self, path: &str) -> String {
        self.at(path).to_str().unwrap().to_owned()
    }

    fn home(&self) -> String {
        self.text("home")
    }

    /// A command with both roots. Memory is limited where it can be.
    fn confined(&self, words: &[&str]) -> Spec {
        let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", &self.home())];
        let root = |path: &str, access| Root { path: self.at(path), access };
        let confine = Confinement {
            roots: vec![root("rw", Access::Write), root("ro", Access::Read)],
            allow_weaker: vec![Guarantee::Memory],
            engine: in_podman().then_some(Engine { program: EngineProgram::Podman, image: None }),
            ..Confinement::default()
        };
        Spec {
            command: words.iter().map(Into::into).collect(),
            env: env.map(|(name, value)| (name.into(), value.into())).into(),
            cwd: None,
            confine: Some(Box::new(confine)),
        }
    }

    fn probe(&self, what: &str) -> Spec {
        let (server, tcp, udp) =
            (self.text("server"), self.around.tcp.to_string(), self.around.udp.to_string());
        let Around { top, name, .. } = &self.around;
        self.confined(&[&server, "probe", what, top, &tcp, &udp, name])
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.top);
    }
}

fn limits(spec: &mut Spec) -> &mut Limits {
    &mut spec.confine.as_mut().unwrap().limits
}

fn our_uid() -> String {
    rustix::process::geteuid().as_raw().to_string()
}

/// What a server says until it ends, and that it ended well.
fn output(spec: &Spec) -> String {
    let child: Child = launch(spec).unwrap();
    drop(child.take_stdin());
    let said = read(child.take_stdout());
    let errors = read(child.take_stderr());
    assert_eq!(child.wait().unwrap(), Exit::Code(0), "{said}{errors}");
    said
}

fn read(pipe: Option<std::os::fd::OwnedFd>) -> String {
    let mut text = String::new();
    File::from(pipe.unwrap()).read_to_string(&mut text).unwrap();
    text
}
