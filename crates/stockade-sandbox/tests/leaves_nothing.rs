//! Starts real processes, kills what stands between them in every order, and looks in `/proc` for
//! what is left. It has a main of its own because the keeper is this very binary: see
//! `keeper_main_if_asked`. Run by root, every case is run again as an ordinary user.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "these are tests, which clippy.toml sees only inside of `#[test]`"
)]

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::panic::catch_unwind;
use std::process::{self, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use stockade_sandbox::{
    Child, Ends, Error, Exit, KEEPER_ARG, Spec, keeper_main_if_asked, launch, launch_as,
};

/// What X09 allows.
const GONE_MAX: Duration = Duration::from_secs(5);

const NOBODY: u32 = 65534;

/// A claim, and what shows it.
type Case = (&'static str, fn(Ends));

const CASES: &[Case] = &[
    ("a program that is not there is not found", a_missing_program_is_not_found),
    ("a file that is no program is not executable", a_file_that_is_no_program),
    ("a script without its interpreter says so", a_script_without_its_interpreter),
    ("a directory that is not there is an error", a_missing_directory),
    ("what failed to start leaves nothing", what_failed_to_start_leaves_nothing),
    ("a server is talked to", a_server_is_talked_to),
    ("an exit code is reported", an_exit_code_is_reported),
    ("a signal is reported", a_signal_is_reported),
    ("the environment is exact", the_environment_is_exact),
    ("the working directory is the given one", the_directory_is_the_given_one),
    ("no descriptor is inherited", no_descriptor_is_inherited),
    ("no signal is blocked or ignored", no_signal_is_blocked_or_ignored),
    ("the server has a session of its own", the_server_has_its_own_session),
    ("the keeper shows no secret", the_keeper_shows_no_secret),
    ("interpreters work", interpreters_work),
    ("closed input ends a server in order", closed_input_ends_in_order),
    ("SIGTERM reaches the group", sigterm_reaches_the_group),
    ("a server that ignores SIGTERM is killed", a_stubborn_server_is_killed),
    ("a wait and a kill from two threads agree", wait_and_kill_agree),
    ("a daemon goes with its server", a_daemon_goes_with_its_server),
    ("a daemon goes when the child is dropped", a_daemon_goes_with_the_child),
    ("a daemon goes when the guard is killed", a_daemon_goes_with_the_guard),
    ("a daemon goes when the keeper is killed", a_daemon_goes_with_the_keeper),
    ("a daemon goes when the warden is killed", a_daemon_goes_with_the_warden),
    ("a daemon goes when guard and keeper are killed", a_daemon_goes_with_guard_and_keeper),
    ("a daemon goes when guard and warden are killed", a_daemon_goes_with_guard_and_warden),
    (
        "a daemon goes with its guard when the warden does not see it",
        a_stopped_warden_is_no_way_out,
    ),
    ("the end of a thread is not the end of its server", a_thread_may_end),
    ("fifty servers leave nothing", fifty_servers_leave_nothing),
];

fn main() -> ExitCode {
    keeper_main_if_asked();
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["as-guard", ends, mark] => be_the_guard(ends_called(ends), mark),
        ["as-nobody", ..] => run("an ordinary user", words.get(1).copied()),
        _ => run_all(words.iter().find(|it| !it.starts_with('-')).copied()),
    }
}

fn run_all(filter: Option<&str>) -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        println!("not run as root, so not tried as root");
        return run("this user", filter);
    }
    let as_root = run("root", filter);
    let as_nobody = Command::new("/proc/self/exe")
        .arg("as-nobody")
        .args(filter)
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .status()
        .expect("this test can drop to an ordinary user");
    if as_nobody.success() { as_root } else { ExitCode::FAILURE }
}

fn run(who: &str, filter: Option<&str>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for ends in [Ends::Namespace, Ends::Subreaper] {
        let tried = launch_as(&command(&["true"]), ends);
        if let Err(error @ Error::NotPermitted { .. }) = tried {
            println!("{who}, {ends}: not run: {error}");
            continue;
        }
        drop(tried);
        for (name, case) in CASES.iter().filter(|(it, _)| filter.is_none_or(|f| it.contains(f))) {
            let fine = catch_unwind(|| case(ends)).is_ok() && none_left(children_of_ours);
            println!("{who}, {ends}: {name} ... {}", if fine { "ok" } else { "FAILED" });
            if !fine {
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn a_missing_program_is_not_found(ends: Ends) {
    for program in ["no-such-program-of-any-name", "/no/such/program", "/etc/passwd/x"] {
        let error = launch_as(&command(&[program]), ends).unwrap_err();
        let Error::NotFound { program: named } = &error else { panic!("{error:?}") };
        assert_eq!(named.as_os_str(), program);
    }
}

fn a_file_that_is_no_program(ends: Ends) {
    let text = Scratch::file("text", "no program\n", 0o755);
    for program in ["/etc/passwd", "/etc", text.path()] {
        let error = launch_as(&command(&[program]), ends).unwrap_err();
        assert!(matches!(error, Error::NotExecutable { .. }), "{program}: {error:?}");
    }
}

fn a_script_without_its_interpreter(ends: Ends) {
    let script = Scratch::file("script", "#!/no/such/interpreter\n", 0o755);
    let error = launch_as(&command(&[script.path()]), ends).unwrap_err();
    assert!(matches!(error, Error::NoInterpreter { .. }), "{error:?}");
}

fn a_missing_directory(ends: Ends) {
    let spec = Spec { cwd: Some("/no/such/directory".into()), ..command(&["true"]) };
    let error = launch_as(&spec, ends).unwrap_err();
    assert!(matches!(error, Error::Directory { .. }), "{error:?}");
}

fn what_failed_to_start_leaves_nothing(ends: Ends) {
    for _ in 0..10 {
        launch_as(&command(&["/no/such/program"]), ends).unwrap_err();
        assert_eq!(children_of_ours(), []);
    }
}

fn a_server_is_talked_to(ends: Ends) {
    let child = launch_as(&command(&["cat"]), ends).unwrap();
    assert_eq!(child.ends(), ends);
    let name = fs::read_to_string(format!("/proc/{}/comm", child.pid())).unwrap();
    assert_eq!(name, "cat\n");
    let mut stdin = File::from(child.take_stdin().unwrap());
    let mut stdout = BufReader::new(File::from(child.take_stdout().unwrap()));
    assert!(child.take_stdin().is_none());
    for line in ["one\n", "two\n"] {
        stdin.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, line);
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap(), Exit::Code(0));
    assert_eq!(read(child.take_stderr()), "");
}

fn an_exit_code_is_reported(ends: Ends) {
    for code in [0, 3, 255] {
        let child = launch_as(&shell(&format!("exit {code}")), ends).unwrap();
        assert_eq!(child.wait().unwrap(), Exit::Code(code));
        assert_eq!(child.wait().unwrap(), Exit::Code(code));
        assert_eq!(child.kill().unwrap(), Exit::Code(code));
    }
}

fn a_signal_is_reported(ends: Ends) {
    let child = launch_as(&command(&["cat"]), ends).unwrap();
    kill_dash_9(child.pid());
    assert_eq!(child.wait().unwrap(), Exit::Signal(9));
    let child = launch_as(&shell("kill -s USR1 0"), ends).unwrap();
    assert_eq!(child.wait().unwrap(), Exit::Signal(Signal::USR1.as_raw()));
}

fn the_environment_is_exact(ends: Ends) {
    let mut spec = command(&["/usr/bin/env"]);
    let env = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    spec.env = vec![env("B", "two words"), env("A", ""), env("PATH", "/nowhere")];
    let child = launch_as(&spec, ends).unwrap();
    assert_eq!(read(child.take_stdout()), "B=two words\nA=\nPATH=/nowhere\n");
    spec.env.clear();
    let child = launch_as(&spec, ends).unwrap();
    assert_eq!(read(child.take_stdout()), "");
}

fn the_directory_is_the_given_one(ends: Ends) {
    let spec = Spec { cwd: Some("/usr/bin".into()), ..command(&["./pwd"]) };
    let child = launch_as(&spec, ends).unwrap();
    assert_eq!(read(child.take_stdout()), "/usr/bin\n");
}

fn no_descriptor_is_inherited(ends: Ends) {
    // This one would be: it is not marked to be closed.
    let leak = rustix::io::dup(File::open("/").unwrap()).unwrap();
    assert!(leak.as_raw_fd() > 2);
    let child = launch_as(&command(&["ls", "-l", "/proc/self/fd"]), ends).unwrap();
    let listing = read(child.take_stdout());
    // The third is the listed directory itself.
    let fds = listing.lines().filter(|it| it.contains(" -> "));
    assert_eq!(fds.count(), 4, "{listing}");
    assert!(!listing.lines().any(|it| it.ends_with(" -> /") || it.contains("socket")), "{listing}");
}

fn no_signal_is_blocked_or_ignored(ends: Ends) {
    let child = launch_as(&command(&["cat", "/proc/self/status"]), ends).unwrap();
    let status = read(child.take_stdout());
    for mask in ["SigBlk", "SigIgn", "SigCgt"] {
        let line = status.lines().find(|it| it.starts_with(mask)).unwrap();
        assert!(line.ends_with("\t0000000000000000"), "{line}");
    }
}

fn the_server_has_its_own_session(ends: Ends) {
    let child = launch_as(&command(&["cat"]), ends).unwrap();
    let server = stat(child.pid()).unwrap();
    assert_eq!((server.group, server.session), (child.pid(), child.pid()));
}

fn the_keeper_shows_no_secret(ends: Ends) {
    let mut spec = command(&["cat", "-", "/dev/null/s3cret"]);
    spec.env.push(("TOKEN".into(), "s3cret".into()));
    let child = launch_as(&spec, ends).unwrap();
    let keeper = keeper_of(process::id());
    for pid in [keeper, warden_of(keeper)] {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert_eq!(words, format!("stockade\0{KEEPER_ARG}\0").as_bytes());
        // An ordinary user may not even look; root sees that there is nothing.
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&environ), "");
    }
    drop(child);
}

fn interpreters_work(ends: Ends) {
    let programs: [(&str, &[&str]); 3] = [
        ("node", &["-e", "console.log(require('child_process').execSync('echo 42')+'')"]),
        ("python3", &["-c", "import subprocess; print(subprocess.check_output(['echo','42']))"]),
        ("bash", &["-c", "cat <(echo 42) | cat"]),
    ];
    for (program, args) in programs {
        let words = [&[program], args].concat();
        match launch_as(&command(&words), ends) {
            Err(Error::NotFound { .. }) => println!("    no {program} here, so not tried"),
            other => {
                let child = other.unwrap();
                let answer = read(child.take_stdout());
                assert!(answer.contains("42"), "{program}: {answer} {}", read(child.take_stderr()));
                assert_eq!(child.wait().unwrap(), Exit::Code(0), "{program}");
            }
        }
    }
}

fn closed_input_ends_in_order(ends: Ends) {
    let child = launch_as(&shell("cat; exit 7"), ends).unwrap();
    assert_eq!(child.terminate(GONE_MAX).unwrap(), Exit::Code(7));
}

fn sigterm_reaches_the_group(ends: Ends) {
    // The shell waits for its child, and a shell passes no signal on.
    let child = launch_as(&shell("trap 'exit 9' TERM; echo up; sleep 1000; exit 8"), ends).unwrap();
    wait_for_line(&child, "up");
    assert_eq!(child.terminate(Duration::from_millis(200)).unwrap(), Exit::Code(9));
}

fn a_stubborn_server_is_killed(ends: Ends) {
    let script = "trap '' TERM; echo up; while :; do sleep 1000; done";
    let child = launch_as(&shell(script), ends).unwrap();
    wait_for_line(&child, "up");
    assert_eq!(child.wait_for(Duration::ZERO).unwrap(), None);
    assert_eq!(child.terminate(Duration::from_millis(50)).unwrap(), Exit::Signal(9));
}

fn wait_and_kill_agree(ends: Ends) {
    let child = Arc::new(launch_as(&command(&["cat"]), ends).unwrap());
    let waits = thread::spawn({
        let child = Arc::clone(&child);
        move || child.wait().unwrap()
    });
    assert_eq!(child.kill().unwrap(), Exit::Signal(9));
    assert_eq!(waits.join().unwrap(), Exit::Signal(9));
}

fn a_daemon_goes_with_its_server(ends: Ends) {
    let mark = mark();
    let child = launch_as(&daemon(&mark, "exec cat"), ends).unwrap();
    wait_until_there(&mark);
    drop(child.take_stdin());
    assert_eq!(child.wait().unwrap(), Exit::Code(0));
    assert_eq!(marked(&mark), [], "after wait, nothing may be left");
}

fn a_daemon_goes_with_the_child(ends: Ends) {
    let mark = mark();
    let child = launch_as(&daemon(&mark, "exec cat"), ends).unwrap();
    wait_until_there(&mark);
    drop(child);
    assert_eq!(marked(&mark), [], "after drop, nothing may be left");
}

fn a_daemon_goes_with_the_guard(ends: Ends) {
    let guard = Guard::start(ends);
    kill_dash_9(guard.process.id());
    guard.must_leave_nothing();
}

fn a_daemon_goes_with_the_keeper(ends: Ends) {
    let mark = mark();
    let child = launch_as(&daemon(&mark, "exec cat"), ends).unwrap();
    wait_until_there(&mark);
    kill_dash_9(keeper_of(process::id()));
    assert_eq!(child.wait().unwrap(), Exit::Signal(9));
    assert_eq!(marked(&mark), [], "after wait, nothing may be left");
}

fn a_daemon_goes_with_the_warden(ends: Ends) {
    let mark = mark();
    let child = launch_as(&daemon(&mark, "exec cat"), ends).unwrap();
    wait_until_there(&mark);
    kill_dash_9(warden_of(keeper_of(process::id())));
    assert_eq!(child.wait().unwrap(), Exit::Signal(9));
    assert_eq!(marked(&mark), [], "after wait, nothing may be left");
}

fn a_daemon_goes_with_guard_and_keeper(ends: Ends) {
    let guard = Guard::start(ends);
    kill_dash_9(guard.keeper);
    kill_dash_9(guard.process.id());
    guard.must_leave_nothing();
}

fn a_daemon_goes_with_guard_and_warden(ends: Ends) {
    let guard = Guard::start(ends);
    kill_dash_9(warden_of(guard.keeper));
    kill_dash_9(guard.process.id());
    guard.must_leave_nothing();
}

fn a_stopped_warden_is_no_way_out(ends: Ends) {
    let guard = Guard::start(ends);
    let warden = i32::try_from(warden_of(guard.keeper)).ok().and_then(Pid::from_raw).unwrap();
    kill_process(warden, Signal::STOP).unwrap();
    kill_dash_9(guard.process.id());
    guard.must_leave_nothing();
}

fn a_thread_may_end(ends: Ends) {
    let child = thread::spawn(move || launch_as(&command(&["cat"]), ends).unwrap());
    let child = child.join().unwrap();
    let mut stdin = File::from(child.take_stdin().unwrap());
    let mut stdout = BufReader::new(File::from(child.take_stdout().unwrap()));
    stdin.write_all(b"still here\n").unwrap();
    let mut answer = String::new();
    stdout.read_line(&mut answer).unwrap();
    assert_eq!(answer, "still here\n");
}

fn fifty_servers_leave_nothing(ends: Ends) {
    let mark = mark();
    let fds = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = fds();
    for turn in 0..50 {
        let child = launch_as(&daemon(&mark, "exec cat"), ends).unwrap();
        if turn % 2 == 0 {
            drop(child.take_stdin());
            assert_eq!(child.wait().unwrap(), Exit::Code(0));
        }
    }
    assert_eq!(marked(&mark), []);
    assert_eq!(children_of_ours(), []);
    assert_eq!(fds(), before);
    drop(launch(&command(&["true"])).unwrap());
}

fn command(words: &[&str]) -> Spec {
    let path = env::var_os("PATH").unwrap_or_default();
    Spec {
        command: words.iter().map(OsString::from).collect(),
        env: vec![("PATH".into(), path)],
        cwd: Some("/".into()),
        confine: None,
    }
}

fn shell(script: &str) -> Spec {
    command(&["sh", "-c", script])
}

/// A daemon as daemons are made: forked twice, in a session of its own, its parent gone.
fn daemon(mark: &str, then: &str) -> Spec {
    shell(&format!("(setsid sh -c 'sleep {mark} & sleep {mark} &' &) ; {then}"))
}

/// A time to sleep that no other process sleeps, to be found by in `/proc`.
fn mark() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("1000.{}{:04}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A guard in a process of its own, to be killed.
struct Guard {
    process: process::Child,
    keeper: u32,
    mark: String,
}

impl Guard {
    fn start(ends: Ends) -> Self {
        let mark = mark();
        let process = Command::new("/proc/self/exe")
            .args(["as-guard", &ends.to_string(), &mark])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        wait_until_there(&mark);
        Self { keeper: keeper_of(process.id()), process, mark }
    }

    fn must_leave_nothing(mut self) {
        self.process.wait().unwrap();
        let keeper = self.keeper;
        assert!(none_left(|| marked(&self.mark)), "the daemon is left");
        assert!(none_left(|| stat(keeper).into_iter().collect()), "the keeper is left");
    }
}

fn be_the_guard(ends: Ends, mark: &str) -> ExitCode {
    // A server that does not end by itself when its input does.
    let child = launch_as(&daemon(mark, "exec sleep 1000"), ends).unwrap();
    // Until it is killed, or the test itself is.
    let _ = std::io::stdin().read(&mut [0]);
    drop(child);
    ExitCode::SUCCESS
}

fn ends_called(name: &str) -> Ends {
    let known = [Ends::Namespace, Ends::Subreaper];
    known.into_iter().find(|it| it.to_string() == name).expect("a guard is started by `Guard`")
}

/// What `/proc/PID/stat` says.
#[derive(Debug, PartialEq)]
struct Stat {
    pid: u32,
    state: String,
    parent: u32,
    group: u32,
    session: u32,
}

fn stat(pid: u32) -> Option<Stat> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let field = |at: usize| fields[at].parse().ok();
    let state = fields[0].to_owned();
    Some(Stat { pid, state, parent: field(1)?, group: field(2)?, session: field(3)? })
}

fn processes() -> impl Iterator<Item = Stat> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|it| stat(it.file_name().to_str()?.parse().ok()?))
}

/// Zombies too.
fn children_of_ours() -> Vec<Stat> {
    processes().filter(|it| it.parent == process::id()).collect()
}

fn marked(mark: &str) -> Vec<Stat> {
    let sleeps = |pid: u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words == format!("sleep\0{mark}\0").as_bytes()
    };
    processes().filter(|it| sleeps(it.pid)).collect()
}

fn keeper_of(guard: u32) -> u32 {
    let is_keeper = |pid: u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.ends_with(format!("\0{KEEPER_ARG}\0").as_bytes())
    };
    let keeper = processes().find(|it| it.parent == guard && is_keeper(it.pid));
    keeper.expect("a guard that launched has a keeper").pid
}

fn warden_of(keeper: u32) -> u32 {
    processes().find(|it| it.parent == keeper).expect("a keeper has a warden").pid
}

fn kill_dash_9(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

fn wait_until_there(mark: &str) {
    assert!(within(GONE_MAX, || marked(mark).len() == 2), "the daemon did not start");
}

fn none_left(left: impl Fn() -> Vec<Stat>) -> bool {
    within(GONE_MAX, || left().is_empty())
}

fn within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + limit;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn wait_for_line(child: &Child, expected: &str) {
    let mut line = String::new();
    BufReader::new(File::from(child.take_stdout().unwrap())).read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), expected);
}

fn read(pipe: Option<OwnedFd>) -> String {
    let mut text = String::new();
    File::from(pipe.unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// A file of this process, gone with it.
struct Scratch(String);

impl Scratch {
    fn file(name: &str, text: &str, mode: u32) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let path = env::temp_dir().join(format!("stockade-{}-{name}", process::id()));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Self(path.into_os_string().into_string().unwrap())
    }

    fn path(&self) -> &str {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
