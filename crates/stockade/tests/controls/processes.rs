//! Servers that do not start, end, hang or stay; and what is left when somebody is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::probe::{self, Probe};
use crate::harness::process::{ask_to_end, children, is_dead, kill, peak_bytes, tree, with_mark};
use crate::harness::{
    FakeHttp, Gateway, Home, LEGACY, NO_LIMITS, Script, Step, call, is_refusal, say, text,
    wait_for, within,
};

crate::rows![
    x09_nothing_is_left_when_the_client_is_killed,
    x09_nothing_is_left_when_the_guard_is_killed,
    x09_nothing_is_left_when_the_keeper_is_killed,
    x09_nothing_is_left_when_the_client_ends,
    x09_nothing_is_left_behind_a_gateway,
    x09_no_mount_cgroup_or_namespace_is_left,
    a_command_that_is_not_there_is_said_at_once,
    a_server_that_dies_is_reported_with_its_last_words,
    a_server_that_dies_in_a_call_leaves_no_call_open,
    a_server_that_hangs_ends_with_the_call_timeout,
    a_server_that_hangs_ends_with_its_client,
    a_signal_ends_a_session_as_its_client_does,
    a_variable_is_passed_only_by_name,
    a_server_that_hangs_behind_a_gateway_ends_with_the_call_timeout,
    a_server_that_does_not_read_ends_with_the_call_timeout,
    a_server_that_does_not_read_ends_with_its_client,
    a_remote_server_that_hangs_ends_with_the_call_timeout,
    a_server_that_never_begins_ends_with_the_call_timeout,
    an_answer_that_cannot_be_read_ends_its_call,
    a_cancellation_by_another_name_goes_nowhere,
    no_server_starts_above_the_limit_of_sessions,
    a_session_of_a_stream_ends_with_the_stream,
    servers_behind_a_gateway_end_side_by_side,
];

/// X09's limit.
const GONE: Duration = Duration::from_secs(5);

/// A server with a daemon that left it, and the two marks that find them.
fn with_a_daemon(home: &Home) -> (crate::harness::Fake, String) {
    let mark = format!("daemon-of-{}", home.path().display());
    let script = Script { start: vec![Step::Daemon(mark.clone())], ..Script::default() };
    (home.fake(script), mark)
}

#[track_caller]
fn is_gone(marks: &[&str]) {
    let left = || marks.iter().flat_map(|it| with_mark(it)).collect::<Vec<_>>();
    let gone = within(GONE, || left().is_empty().then_some(()));
    assert!(gone.is_some(), "after {GONE:?} there is still {:?}", left());
}

/// A guard in front of such a server, whose daemon is seen to run.
fn started(home: &Home) -> (Probe, crate::harness::Fake, String) {
    let (fake, mark) = with_a_daemon(home);
    let mut probe = Probe::run(home, &fake).begin();
    assert_eq!(text(&probe.ask(&call(1, "echo", json!({ "text": "x" })))), "x");
    wait_for("the daemon", || (!with_mark(&mark).is_empty()).then_some(()));
    (probe, fake, mark)
}

fn x09_nothing_is_left_when_the_client_is_killed() {
    let home = Home::new();
    let (fake, mark) = with_a_daemon(&home);
    let guarded = probe::command(&home, &[], &fake.command());
    let mut client = Command::new(std::env::current_exe().unwrap())
        .arg(probe::ARG)
        .arg(guarded.get_program())
        .args(guarded.get_args())
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.path().join("config"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = [0; 8];
    std::io::Read::read_exact(client.stdout.as_mut().unwrap(), &mut said).unwrap();
    wait_for("the daemon", || (!with_mark(&mark).is_empty()).then_some(()));
    client.kill().unwrap();
    client.wait().unwrap();
    is_gone(&[fake.mark(), &mark]);
}

fn x09_nothing_is_left_when_the_guard_is_killed() {
    let home = Home::new();
    let (probe, fake, mark) = started(&home);
    let tree = tree(i32::try_from(probe.guard()).unwrap());
    assert!(tree.len() >= 3, "the guard, the keeper, the server: {tree:?}");
    kill(i32::try_from(probe.guard()).unwrap());
    assert_eq!(probe.ended().code, None);
    is_gone(&[fake.mark(), &mark]);
    are_gone(&tree);
}

#[track_caller]
fn are_gone(pids: &[i32]) {
    let left = || pids.iter().copied().filter(|it| !is_dead(*it)).collect::<Vec<_>>();
    let gone = within(GONE, || left().is_empty().then_some(()));
    assert!(gone.is_some(), "after {GONE:?} there is still {:?}", left());
}

fn x09_nothing_is_left_when_the_keeper_is_killed() {
    let home = Home::new();
    let (mut probe, fake, mark) = started(&home);
    let guard = i32::try_from(probe.guard()).unwrap();
    let tree = tree(guard);
    let keepers = children(guard);
    assert_eq!(keepers.len(), 1, "the guard has one child, the keeper");
    keepers.into_iter().for_each(kill);
    is_gone(&[fake.mark(), &mark]);
    are_gone(&tree[1..]);
    // Whoever waits is told, and not left waiting.
    probe.close();
    assert_eq!(probe.ended().code, Some(4));
}

fn x09_nothing_is_left_when_the_client_ends() {
    let home = Home::new();
    let (probe, fake, mark) = started(&home);
    assert_eq!(probe.end().code, Some(0));
    is_gone(&[fake.mark(), &mark]);
}

fn x09_nothing_is_left_behind_a_gateway() {
    for killed in [true, false] {
        let home = Home::new();
        let (fake, mark) = with_a_daemon(&home);
        let gateway = Gateway::of(&home, &fake);
        let mut legacy = gateway.connect();
        legacy.begin_legacy();
        let answer = gateway.connect().post_modern(&call(1, "echo", json!({ "text": "x" })));
        assert_eq!(text(&answer.message()), "x");
        wait_for("two daemons", || (with_mark(&mark).len() >= 2).then_some(()));
        let tree = tree(i32::try_from(gateway.pid()).unwrap());
        if killed {
            kill(i32::try_from(gateway.pid()).unwrap());
        } else {
            gateway.end();
        }
        is_gone(&[fake.mark(), &mark]);
        are_gone(&tree[1..]);
    }
}

fn x09_no_mount_cgroup_or_namespace_is_left() {
    for killed in [true, false] {
        let (mounted, grouped) = (mounts(), cgroups());
        let home = Home::new();
        let (probe, fake, mark) = started(&home);
        let own: BTreeSet<_> = namespaces(std::process::id()).into_keys().collect();
        let tree = tree(i32::try_from(probe.guard()).unwrap());
        // Held open, so that none of their numbers is given to another.
        let mut held = BTreeMap::new();
        for pid in tree.iter().chain(&with_mark(&mark)) {
            held.extend(namespaces(u32::try_from(*pid).unwrap()));
        }
        held.retain(|it, _| !own.contains(it));
        if killed {
            kill(i32::try_from(probe.guard()).unwrap());
        }
        assert_eq!(probe.end().code, (!killed).then_some(0));
        is_gone(&[fake.mark(), &mark]);
        let used = || {
            let all = with_mark("").into_iter().filter_map(|it| u32::try_from(it).ok());
            let all: BTreeSet<_> = all.flat_map(|it| namespaces(it).into_keys()).collect();
            held.keys().filter(|it| all.contains(*it)).cloned().collect::<Vec<_>>()
        };
        let left = || (&mounts() - &mounted, &cgroups() - &grouped, used());
        let none = |it: &(BTreeSet<_>, BTreeSet<_>, Vec<_>)| {
            it.0.is_empty() && it.1.is_empty() && it.2.is_empty()
        };
        assert!(within(GONE, || none(&left()).then_some(())).is_some(), "left: {:?}", left());
    }
}

/// What is mounted where, the namespaces that are kept by a mount among it.
fn mounts() -> BTreeSet<String> {
    fs::read_to_string("/proc/self/mountinfo").unwrap().lines().map(str::to_owned).collect()
}

/// The control groups that a guard made.
fn cgroups() -> BTreeSet<PathBuf> {
    let (mut found, mut waiting) = (BTreeSet::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    while let Some(directory) = waiting.pop() {
        let inside = fs::read_dir(directory).into_iter().flatten().flatten();
        let inside = inside.filter(|it| it.file_type().is_ok_and(|it| it.is_dir()));
        waiting.extend(inside.map(|it| it.path()));
        let ours = |it: &&PathBuf| it.to_string_lossy().contains("stockade");
        found.extend(waiting.iter().filter(ours).cloned());
    }
    found
}

/// The namespaces that a process is in, each by its kind and number.
fn namespaces(pid: u32) -> BTreeMap<PathBuf, File> {
    let all = fs::read_dir(format!("/proc/{pid}/ns")).into_iter().flatten().flatten();
    all.filter_map(|it| Some((fs::read_link(it.path()).ok()?, File::open(it.path()).ok()?)))
        .collect()
}

fn a_command_that_is_not_there_is_said_at_once() {
    let home = Home::new();
    let not_a_program = home.path().join("plain.txt");
    std::fs::write(&not_a_program, "text").unwrap();
    for missing in ["no-such-program-anywhere", "./none", not_a_program.to_str().unwrap()] {
        let probe = Probe::of(&mut probe::command(&home, &[], &[OsString::from(missing)]));
        let ended = probe.ended();
        assert_eq!(ended.code, Some(4), "{missing}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("error: cannot "), "{}", ended.stderr);
        assert!(ended.stderr.contains(missing), "{}", ended.stderr);
        assert!(ended.stderr.contains("help: "), "{}", ended.stderr);
    }
}

fn a_server_that_dies_is_reported_with_its_last_words() {
    let home = Home::new();
    let script = Script {
        start: vec![Step::Complain("cannot open database".to_owned()), Step::Exit(3)],
        ..Script::default()
    };
    let fake = home.fake(script);
    let ended = Probe::run(&home, &fake).ended();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains('3'), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot open database"), "{}", ended.stderr);
    assert!(home.is_whole());
}

fn a_server_that_dies_in_a_call_leaves_no_call_open() {
    let home = Home::new();
    let fake = home.fake(Script::default().on_tool("die", [Step::Exit(3)]));
    let mut probe = Probe::run(&home, &fake).begin();
    let answer = probe.ask(&call(1, "die", json!({})));
    assert!(is_refusal(&answer), "{answer}");
    let ended = probe.ended();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let outcomes = home.records_of("outcome");
    assert!(outcomes.iter().any(|it| it["tool"] == "die" && it["status"] == "lost"));
}

fn a_server_that_hangs_ends_with_the_call_timeout() {
    let home = Home::new();
    let fake = home.fake(Script::default().on_tool("hang", [Step::Hang]));
    let mut probe = Probe::run_with(&home, &["--timeout", "1"], &fake).begin();
    let answer = probe.ask(&call(1, "hang", json!({})));
    assert!(is_refusal(&answer), "{answer}");
    assert_eq!(text(&probe.ask(&call(2, "echo", json!({ "text": "next" })))), "next");
    assert_eq!(fake.count("notifications/cancelled"), 1, "the server is told");
    probe.end();
    let outcomes = home.records_of("outcome");
    assert!(outcomes.iter().any(|it| it["tool"] == "hang" && it["status"] == "timeout"));
}

fn a_server_that_hangs_ends_with_its_client() {
    let home = Home::new();
    let fake = home.fake(Script::default().on_tool("hang", [Step::Hang]));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.send(&call(1, "hang", json!({})));
    wait_for("the call", || (fake.count("tools/call") == 1).then_some(()));
    assert_eq!(probe.end().code, Some(0));
    is_gone(&[fake.mark()]);
    let outcomes = home.records_of("outcome");
    assert!(outcomes.iter().any(|it| it["tool"] == "hang" && it["status"] == "lost"));
}

fn a_signal_ends_a_session_as_its_client_does() {
    for has_call in [true, false] {
        let home = Home::new();
        let fake = home.fake(Script::default().on_tool("hang", [Step::Hang]));
        let mut probe = Probe::run(&home, &fake).begin();
        if has_call {
            probe.send(&call(1, "hang", json!({})));
            wait_for("the call", || (fake.count("tools/call") == 1).then_some(()));
        }
        ask_to_end(probe.guard());
        let ended = probe.ended();
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "with a call: {has_call}");
        is_gone(&[fake.mark()]);
        assert_eq!(home.records_of("stop").len(), 1);
        let outcomes = home.records_of("outcome");
        let lost = outcomes.iter().any(|it| it["tool"] == "hang" && it["status"] == "lost");
        assert_eq!(lost, has_call, "{outcomes:?}");
        assert!(home.is_whole());
    }
}

fn a_variable_is_passed_only_by_name() {
    let home = Home::new();
    let server = ["sh", "-c", "env >&2; exit 3"].map(OsString::from);
    let mut command = probe::command(&home, &["--env", "GIVEN"], &server);
    let ended = Probe::of(command.env("GIVEN", "this-one").env("API_KEY", "not-this")).ended();
    assert_eq!(ended.code, Some(4));
    let records = home.records_of("stderr");
    let says: Vec<&str> = records.iter().filter_map(|it| it["says"].as_str()).collect();
    assert!(says.contains(&"GIVEN=this-one"), "{says:?}");
    assert!(!says.iter().any(|it| it.contains("API_KEY")), "{says:?}");
}

/// No server runs behind a gateway that goes on.
#[track_caller]
fn are_ended(gateway: &Gateway) {
    let guard = i32::try_from(gateway.pid()).unwrap();
    let ended = within(GONE, || children(guard).is_empty().then_some(()));
    assert!(ended.is_some(), "after {GONE:?} there is still {:?}", tree(guard));
}

const ONE_SECOND: &str = "[limits]\ncall_timeout_s = 1";

fn a_server_that_hangs_behind_a_gateway_ends_with_the_call_timeout() {
    let home = Home::new();
    home.policy(ONE_SECOND);
    let script = Script { concurrent: true, ..Script::default() };
    let fake = home.fake(script.on_tool("hang", [Step::Hang]));
    let gateway = Gateway::of(&home, &fake);
    let hang = call(1, "hang", json!({}));
    let answer = gateway.connect().post_modern(&hang).message();
    assert!(is_refusal(&answer), "{answer}");
    let mut legacy = gateway.connect();
    legacy.begin_legacy();
    let answer = legacy.post(&[], &hang).message();
    assert!(is_refusal(&answer), "{answer}");
    legacy.start_post(&[], &hang);
    wait_for("the call", || (fake.count("tools/call") == 3).then_some(()));
    drop(legacy);
    let told = || (fake.count("notifications/cancelled") == 3).then_some(());
    wait_for("the end of a call that nobody waits for", told);
    gateway.end();
    let outcomes = home.records_of("outcome");
    assert_eq!(outcomes.iter().filter(|it| it["status"] == "timeout").count(), 3);
}

/// A notification of some length. So many of them are more than fits between the guard and a
/// process that does not read.
fn note() -> serde_json::Value {
    let params = json!({ "x": "x".repeat(1 << 10) });
    json!({ "jsonrpc": "2.0", "method": "notifications/x", "params": params })
}
const MORE_THAN_FITS: usize = 1200;

/// Sends notifications until there is no room for one.
#[track_caller]
fn fill(mut post: impl FnMut() -> u16) {
    let taken = (0..MORE_THAN_FITS).take_while(|_| post() == 202).count();
    assert!(taken < MORE_THAN_FITS, "a process that does not read takes no more");
}

fn a_server_that_does_not_read_ends_with_the_call_timeout() {
    let home = Home::new();
    home.policy(&NO_LIMITS.replace("[limits]", ONE_SECOND));
    let fake = home.fake(Script::default().on_tool("deaf", [Step::Deafen]));
    let gateway = Gateway::of(&home, &fake);
    let refused = |answer: crate::harness::Response| {
        assert!(is_refusal(&answer.message()), "{answer:?}");
    };
    // The process that modern requests share, and one that is a session's own.
    let mut shared = gateway.connect();
    refused(shared.post_modern(&call(0, "deaf", json!({}))));
    fill(|| shared.post_modern(&note()).status);
    let mut legacy = gateway.connect();
    legacy.begin_legacy();
    refused(legacy.post(&[], &call(0, "deaf", json!({}))));
    fill(|| legacy.post(&[], &note()).status);
    let mut other = gateway.connect();
    other.begin_legacy();
    std::thread::scope(|scope| {
        for id in 1..8 {
            let (gateway, mut legacy) = (&gateway, legacy.again());
            let ask = move || call(id, "echo", json!({ "text": "x" }));
            scope.spawn(move || refused(gateway.connect().post_modern(&ask())));
            scope.spawn(move || refused(legacy.post(&[], &ask())));
        }
        for id in 1..8 {
            let answer = other.post(&[], &call(id, "echo", json!({ "text": "x" })));
            assert_eq!(text(&answer.message()), "x", "another session is not held up");
        }
    });
    // Clients that go away leave nothing behind that grows.
    let large = json!({ "text": "x", "more": vec!["x".repeat(1 << 16); 64] });
    for id in 100..150 {
        legacy.again().start_post(&[], &call(id, "echo", large.clone()));
    }
    let peak = peak_bytes(gateway.pid());
    assert!(peak < 128 << 20, "{peak} bytes");
    gateway.end();
    is_gone(&[fake.mark()]);
    let outcomes = home.records_of("outcome");
    assert!(outcomes.iter().any(|it| it["tool"] == "echo" && it["status"] == "timeout"));
    assert!(home.is_whole());
}

fn a_server_that_does_not_read_ends_with_its_client() {
    let home = Home::new();
    home.policy(&NO_LIMITS.replace("[limits]", ONE_SECOND));
    let fake = home.fake(Script::default().on_tool("deaf", [Step::Deafen]));
    let mut probe = Probe::run(&home, &fake).begin();
    assert!(is_refusal(&probe.ask(&call("deaf", "deaf", json!({})))));
    let note = format!("{}\n", note());
    // The guard ends while it is written to, since nobody reads on.
    let taken = (0..2 * MORE_THAN_FITS).take_while(|_| probe.offer(note.as_bytes()).is_ok());
    assert!(taken.count() > 0);
    let ended = probe.end();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    is_gone(&[fake.mark()]);
}

fn a_remote_server_that_hangs_ends_with_the_call_timeout() {
    let home = Home::new();
    home.policy(ONE_SECOND);
    let about = json!({ "progressToken": "$token", "progress": 1 });
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": about });
    let steps = [say(progress), Step::Hang];
    let upstream = FakeHttp::new(Script::default().on_tool("hang", steps));
    let gateway = Gateway::to(&home, &upstream);
    let mut hang = call(1, "hang", json!({}));
    hang["params"]["_meta"]["progressToken"] = json!("t");
    let answer = gateway.connect().post_modern(&hang).message();
    assert!(is_refusal(&answer), "{answer}");
    let mut legacy = gateway.connect();
    legacy.begin_legacy();
    let answer = legacy.post(&[], &hang).message();
    assert!(is_refusal(&answer), "{answer}");
    let told = || (upstream.count("notifications/cancelled") == 1).then_some(());
    wait_for("the cancellation", told);
}

fn a_server_that_never_begins_ends_with_the_call_timeout() {
    let home = Home::new();
    home.policy(ONE_SECOND);
    let fake = home.fake(Script::default().on("initialize", [Step::Hang]));
    let gateway = Gateway::of(&home, &fake);
    let answer = gateway.connect().post(&[], &probe::initialize(LEGACY));
    assert!(is_refusal(&answer.message()), "{answer:?}");
    assert_eq!(answer.header("mcp-session-id"), None);
    are_ended(&gateway);
}

fn an_answer_that_cannot_be_read_ends_its_call() {
    let broken = || Script::default().on_tool("broken", [Step::Line("{\"jsonrpc\":".to_owned())]);
    let home = Home::new();
    let fake = home.fake(broken());
    let upstream = FakeHttp::new(broken());
    for gateway in [Gateway::of(&home, &fake), Gateway::to(&Home::new(), &upstream)] {
        let answer = gateway.connect().post_modern(&call(1, "broken", json!({}))).message();
        assert!(is_refusal(&answer), "{answer}");
    }
}

fn a_cancellation_by_another_name_goes_nowhere() {
    let home = Home::new();
    let fake = home.fake(Script { concurrent: true, ..Script::default() });
    let gateway = Gateway::of(&home, &fake);
    gateway.connect().post_modern(&call(7, "echo", json!({})));
    for id in 0..8 {
        let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": { "requestId": id } });
        assert_eq!(gateway.connect().post_modern(&cancel).status, 202);
    }
    gateway.connect().post_modern(&call(8, "echo", json!({})));
    assert_eq!((fake.count("tools/call"), fake.count("notifications/cancelled")), (2, 0));
}

fn no_server_starts_above_the_limit_of_sessions() {
    let home = Home::new();
    home.policy("[limits]\nsessions_max = 4");
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    let begin = || gateway.connect().post(&[], &probe::initialize(LEGACY)).status;
    let begun: Vec<u16> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..24).map(|_| scope.spawn(begin)).collect();
        clients.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(begun.iter().filter(|it| **it == 200).count(), 4, "{begun:?}");
    assert_eq!(begun.iter().filter(|it| **it == 503).count(), 20, "{begun:?}");
    assert_eq!(fake.count("initialize"), 4);
}

fn a_session_of_a_stream_ends_with_the_stream() {
    let home = Home::new();
    home.policy("[limits]\nsessions_max = 1");
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    for number in 0..4 {
        wait_for(&format!("stream {number}"), || {
            let mut stream = gateway.connect();
            stream.send("GET", "/sse", &[("accept", "text/event-stream")], "");
            let opened = stream.head()?.status == 200;
            opened.then(|| assert!(stream.chunk().unwrap().contains("/messages?sessionId=")))
        });
    }
    are_ended(&gateway);
}

fn servers_behind_a_gateway_end_side_by_side() {
    let home = Home::new();
    let fake = home.fake(Script::default().on("notifications/initialized", [Step::Hang]));
    let gateway = Gateway::of(&home, &fake);
    for _ in 0..8 {
        gateway.connect().begin_legacy();
    }
    let began = Instant::now();
    gateway.end();
    assert!(began.elapsed() < Duration::from_secs(8), "not one after the other");
    is_gone(&[fake.mark()]);
}
