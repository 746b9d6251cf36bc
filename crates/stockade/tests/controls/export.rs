//! The ledger for somebody elsewhere: all of it, once, in a form that they read; whoever is slow, or is
//! not there, and whatever kills the export.

mod grammar;

use std::collections::HashSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade_store::{Keep, Ledger, Options};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use self::grammar::{Message, cef};
use crate::harness::process::kill;
use crate::harness::tls::Authority;
use crate::harness::{Home, NO_LIMITS, Probe, Script, call, is_refusal, request, tool, wait_for};

crate::rows![
    l05_ten_thousand_records_reach_a_slow_syslog_over_tls,
    l05_a_receiver_that_cannot_prove_who_it_is_gets_nothing,
    l05_an_export_that_is_killed_goes_on,
    l05_a_receiver_that_goes_away_gets_the_rest,
    l05_who_ends_a_connection_unsaid_is_not_believed_unasked,
    l05_a_receiver_that_does_not_read_holds_up_no_guard,
    l05_what_was_removed_before_it_was_exported_is_told,
    l05_a_changed_ledger_is_exported_up_to_the_change,
    l05_what_is_cut_off_after_an_export_ends_the_next,
    l05_each_form_has_what_its_readers_want,
    l05_one_cursor_is_of_one_export,
    l05_a_file_is_of_one_export,
    l02_no_secret_is_in_an_export,
    l07_a_name_ends_no_field_of_any_form,
];

/// A ledger with so many decisions, of several segments.
fn filled(home: &Home, records: usize) {
    let options = Options { segment_bytes_max: 256 << 10, ..Options::default() };
    let ledger = Ledger::open_with(home.ledger(), options).unwrap();
    for n in 0..records {
        ledger.append_soon(&decision(n)).unwrap();
    }
    ledger.close().unwrap();
}

fn decision(n: usize) -> Value {
    json!({
        "kind": "decision", "session": "s1", "principal": "local", "server": "files",
        "call": format!("s1.{n}"), "method": "tools/call", "tool": "read_file",
        "decision": if n.is_multiple_of(2) { "allow" } else { "deny" }, "rule": "line 3",
    })
}

fn export(home: &Home, args: &[&str]) -> Command {
    let mut command = home.stockade(["audit", "export"]);
    command.args(home.state()).args(args).stdin(Stdio::null());
    command
}

/// An export that goes on, until it is killed: when this is dropped.
#[derive(Debug)]
struct Running(Child);

impl Running {
    fn begin(home: &Home, args: &[&str]) -> Self {
        let mut command = export(home, args);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        kill(i32::try_from(self.0.id()).unwrap());
        let _ended = self.0.wait();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The hashes of all records, in order.
fn hashes(home: &Home) -> Vec<String> {
    home.records().iter().map(|it| it["hash"].as_str().unwrap().to_owned()).collect()
}

/// Somebody who receives syslog, by TCP or TLS.
#[derive(Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    messages: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    /// How long it waits before it reads the next bytes.
    slow: Duration,
    /// After so many messages of all it leaves a connection, once.
    leaves_after: Option<usize>,
    /// It does not say over TLS that it ends a connection.
    unsaid: bool,
}

impl Sink {
    pub(crate) fn new(tls: Option<TlsAcceptor>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let messages = Arc::<Mutex<Vec<String>>>::default();
        let taken = Arc::clone(&messages);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let mut manner = manner;
                while let Ok((stream, _)) = listener.accept().await {
                    match &tls {
                        None => read(stream, &taken, &mut manner).await,
                        Some(tls) => {
                            // Whoever does not trust it has nothing to say.
                            let Ok(mut stream) = tls.accept(stream).await else { continue };
                            read(&mut stream, &taken, &mut manner).await;
                            if !manner.unsaid {
                                let _ended = stream.shutdown().await;
                            }
                        }
                    }
                }
            });
        });
        Self { address, messages }
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    pub(crate) fn place(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }
}

/// Reads a connection to its end: numbers, and so many bytes (RFC 6587, 3.4.1).
async fn read(mut stream: impl AsyncRead + Unpin, taken: &Mutex<Vec<String>>, manner: &mut Manner) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        if !manner.slow.is_zero() {
            tokio::time::sleep(manner.slow).await;
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
        while let Some(space) = bytes.iter().position(|it| *it == b' ') {
            let length = std::str::from_utf8(&bytes[..space]).unwrap();
            let end = space + 1 + length.parse::<usize>().unwrap();
            if bytes.len() < end {
                break;
            }
            let message = String::from_utf8(bytes[space + 1..end].to_vec()).unwrap();
            bytes.drain(..end);
            taken.lock().unwrap().push(message);
        }
        let count = taken.lock().unwrap().len();
        if manner.leaves_after.is_some_and(|it| count >= it) {
            manner.leaves_after = None;
            return;
        }
    }
    assert!(bytes.is_empty(), "half a message: {}", String::from_utf8_lossy(&bytes));
}

fn hash(message: &str) -> String {
    Message::parse(message).data["hash"].clone()
}

fn l05_ten_thousand_records_reach_a_slow_syslog_over_tls() {
    let authority = Authority::new("ours");
    let manner = Manner { slow: Duration::from_millis(2), ..Manner::default() };
    let sink = Sink::new(Some(authority.vouch("127.0.0.1", 2099)), manner);
    let home = Home::new();
    filled(&home, 10_000);
    let ca = authority.file(&home);
    let place = sink.place("tls");
    let args = ["--format", "syslog", "--to", &place, "--ca", ca.to_str().unwrap()];
    let output = export(&home, &args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let taken: Vec<String> = sink.messages().iter().map(|it| hash(it)).collect();
    assert_eq!(taken, hashes(&home), "all of them, in order, once");
    let all = taken.len();
    assert!(all >= 10_000, "{all}");
    // What was taken is not said again, and what is new is.
    assert!(export(&home, &args).output().unwrap().status.success());
    assert_eq!(sink.messages().len(), all);
    filled(&home, 5);
    assert!(export(&home, &args).output().unwrap().status.success());
    let taken: Vec<String> = sink.messages().iter().map(|it| hash(it)).collect();
    assert_eq!(taken, hashes(&home));
}

fn l05_a_receiver_that_cannot_prove_who_it_is_gets_nothing() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    for (name, trusted) in [("127.0.0.1", &other), ("other.example", &ours)] {
        let sink = Sink::new(Some(ours.vouch(name, 2099)), Manner::default());
        let home = Home::new();
        filled(&home, 3);
        let ca = trusted.file(&home);
        let place = sink.place("tls");
        let args = ["--format", "syslog", "--to", &place, "--ca", ca.to_str().unwrap()];
        let output = export(&home, &args).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        assert!(said(&output).contains("does not take the export: "), "{output:?}");
        assert_eq!(sink.messages(), Vec::<String>::new());
    }
}

fn l05_an_export_that_is_killed_goes_on() {
    let home = Home::new();
    filled(&home, 10_000);
    let expected = hashes(&home);

    // A file has each record once, whenever it was that the export was killed.
    let file = home.path().join("out.jsonl");
    let length = || fs::metadata(&file).map_or(0, |it| it.len());
    for _ in 0..3 {
        let before = length();
        let mut running = Running::begin(&home, &["--to", "out.jsonl"]);
        wait_for("some of it", || (length() > before || running.has_ended()).then_some(()));
    }
    assert!(export(&home, &["--to", "out.jsonl"]).output().unwrap().status.success());
    let text = fs::read_to_string(&file).unwrap();
    let written: Vec<String> = text
        .lines()
        .map(|it| serde_json::from_str::<Value>(it).expect(it)["hash"].as_str().unwrap().to_owned())
        .collect();
    assert!(written == expected, "{} of {}", written.len(), expected.len());

    // A receiver has what it had not ended a connection for once more, and nothing else.
    let manner = Manner { slow: Duration::from_millis(5), ..Manner::default() };
    let sink = Sink::new(None, manner);
    let place = sink.place("tcp");
    let args = ["--format", "syslog", "--to", &place];
    let running = Running::begin(&home, &args);
    wait_for("some of it", || (sink.messages().len() > 2500).then_some(()));
    drop(running);
    assert!(export(&home, &args).output().unwrap().status.success());
    let taken: Vec<String> = sink.messages().iter().map(|it| hash(it)).collect();
    let mut seen = HashSet::new();
    let once: Vec<String> = taken.iter().filter(|it| seen.insert(*it)).cloned().collect();
    assert!(once == expected, "{} of {}", once.len(), expected.len());
    assert!(taken.len() <= expected.len() + 1000, "{} more", taken.len() - expected.len());
}

fn l05_a_receiver_that_goes_away_gets_the_rest() {
    let manner =
        Manner { leaves_after: Some(1500), slow: Duration::from_millis(2), ..Manner::default() };
    let sink = Sink::new(None, manner);
    let home = Home::new();
    filled(&home, 3000);
    let place = sink.place("tcp");
    let output = export(&home, &["--format", "syslog", "--to", &place]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let taken: HashSet<String> = sink.messages().iter().map(|it| hash(it)).collect();
    assert_eq!(taken, hashes(&home).into_iter().collect());
}

/// As rsyslog does with GnuTLS.
fn l05_who_ends_a_connection_unsaid_is_not_believed_unasked() {
    let authority = Authority::new("ours");
    let manner = Manner { unsaid: true, ..Manner::default() };
    let sink = Sink::new(Some(authority.vouch("127.0.0.1", 2099)), manner);
    let home = Home::new();
    filled(&home, 3);
    let expected = hashes(&home);
    let (ca, place) = (authority.file(&home), sink.place("tls"));
    let args = ["--format", "syslog", "--to", &place, "--ca", ca.to_str().unwrap()];
    // Not even for ever: it would be told the same again and again.
    let output = export(&home, &[&args[..], &["--follow"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let says = said(&output);
    assert!(says.contains("without saying so") && says.contains("--tcp-end"), "{says}");
    assert_eq!(sink.messages().len(), 5 * expected.len());
    let output = export(&home, &[&args[..], &["--tcp-end"]].concat()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(sink.messages().len(), 6 * expected.len());
    // And it was taken.
    assert!(export(&home, &args).output().unwrap().status.success());
    assert_eq!(sink.messages().len(), 6 * expected.len());
    let output = export(&home, &["--to", "tcp://127.0.0.1:9", "--tcp-end"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

fn l05_a_receiver_that_does_not_read_holds_up_no_guard() {
    // It takes connections, and reads nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("tcp://{}", listener.local_addr().unwrap());
    let home = Home::new();
    filled(&home, 10_000);
    let mut running = Running::begin(&home, &["--to", &place, "--follow"]);
    let held = listener.accept().unwrap();
    home.policy(&format!("default = \"allow\"\n{NO_LIMITS}"));
    let fake = home.fake(Script::default().with(tool("note")));
    let mut probe = Probe::run(&home, &fake).begin();
    let start = Instant::now();
    for n in 0..500 {
        let answer = probe.ask(&call(n, "note", json!({ "text": "x" })));
        assert!(!is_refusal(&answer), "{answer}");
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(probe.end().code, Some(0));
    assert!(!running.has_ended(), "it still waits");
    drop((running, held));
}

fn l05_what_was_removed_before_it_was_exported_is_told() {
    let home = Home::new();
    filled(&home, 10);
    let args = ["--to", "out.jsonl", "--cursor", "cursor.json"];
    assert!(export(&home, &args).output().unwrap().status.success());
    let first = home.records().len();
    // Segments come and go meanwhile.
    filled(&home, 2000);
    let gone = home.records().len() - first;
    let keep = Keep { bytes: Some(1), age: None };
    let options = Options { keep, ..Options::default() };
    let ledger = Ledger::open_with(home.ledger(), options).unwrap();
    // Not asked of the export, which would say that it had lost what goes meanwhile.
    wait_for("the removal", || {
        let files = fs::read_dir(home.ledger()).unwrap().map(|it| it.unwrap().path());
        let segments = files.filter(|it| it.extension().is_some_and(|it| it == "jsonl")).count();
        // The manifest, and the segment that is being written.
        (segments == 2).then_some(())
    });
    ledger.close().unwrap();
    drop(ledger);
    assert!(home.is_whole());
    let output = export(&home, &args).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let says = format!("note: {gone} records were removed, as the policy says, before");
    assert!(said(&output).contains(&says), "{output:?}");
    let cursor: Value =
        serde_json::from_slice(&fs::read(home.path().join("cursor.json")).unwrap()).unwrap();
    assert_eq!(cursor["ledger"]["lost_records"], gone, "{cursor}");
    assert!(cursor["ledger"]["lost"][0]["segment"].is_string(), "{cursor}");
    // It is said once, and the rest was written.
    let output = export(&home, &args).output().unwrap();
    assert_eq!((output.status.code(), &*said(&output)), (Some(0), ""), "{output:?}");
    let text = fs::read_to_string(home.path().join("out.jsonl")).unwrap();
    assert_eq!(text.lines().count(), first + home.records().len());
}

fn l05_a_changed_ledger_is_exported_up_to_the_change() {
    let home = Home::new();
    filled(&home, 100);
    let segment = fs::read_dir(home.ledger()).unwrap().map(|it| it.unwrap().path());
    let segment = segment
        .filter(|it| it.extension().is_some_and(|it| it == "jsonl"))
        .find(|it| !it.ends_with("manifest.jsonl"))
        .unwrap();
    let whole = fs::read_to_string(&segment).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let (edited, mut swapped, mut deleted) =
        (whole.replace("\"call\":\"s1.60\"", "\"call\":\"s2.60\""), lines.clone(), lines.clone());
    swapped.swap(70, 71);
    deleted.remove(80);
    let of = |lines: &[&str]| lines.iter().map(|it| format!("{it}\n")).collect::<String>();
    for (n, (changed, says, exported)) in [
        (edited, "record 61 (line 62): edited", 61),
        (of(&swapped), "record 70 (line 71): ", 70),
        (of(&deleted), "record 80 (line 81): ", 80),
        (of(&lines[..90]), "record 90 (line 91): ", 90),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("out{n}.jsonl");
        fs::write(&segment, changed).unwrap();
        let output = export(&home, &["--to", &name]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said(&output).contains(says), "{output:?}");
        let out = home.path().join(&name);
        assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), exported);
        // Put back, it goes on.
        fs::write(&segment, &whole).unwrap();
        let output = export(&home, &["--to", &name]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fs::read_to_string(&out).unwrap(), whole);
    }
    // What was exported cannot be another afterwards, even if whoever has the key signs it.
    for file in fs::read_dir(home.ledger()).unwrap().map(|it| it.unwrap()) {
        if !file.file_name().to_str().unwrap().starts_with("key") {
            fs::remove_file(file.path()).unwrap();
        }
    }
    filled(&home, 100);
    assert!(home.is_whole());
    let output = export(&home, &["--to", "out0.jsonl"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("rewritten"), "{output:?}");
}

fn l05_what_is_cut_off_after_an_export_ends_the_next() {
    let home = Home::new();
    let ledger = Ledger::open(home.ledger()).unwrap();
    let write = |from: usize| {
        for n in from..from + 5 {
            ledger.append(&decision(n)).unwrap();
        }
        ledger.checkpoint().unwrap();
    };
    let segment = home.ledger().join(format!("{}.jsonl", ledger.segment().unwrap()));
    let args = ["--to", "out.jsonl"];
    let says = |args: &[&str], says: &str| {
        let output = export(&home, args).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said(&output).contains(says), "{output:?}");
    };
    write(0);
    assert!(export(&home, &args).output().unwrap().status.success());
    let exported = fs::read(&segment).unwrap();
    let out = home.path().join("out.jsonl");
    assert_eq!(fs::read(&out).unwrap(), exported);
    // What was signed since is cut off, just where the export is.
    write(5);
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, &exported).unwrap();
    says(&args, "record 6 (line 7): cut off here, record 10 was signed");
    says(&["--to", "out.jsonl", "--follow"], "cut off here");
    // A record that was exported is another.
    fs::write(&segment, String::from_utf8(whole.clone()).unwrap().replacen("allow", "alloy", 1))
        .unwrap();
    says(&args, ": edited");
    fs::write(&segment, &whole).unwrap();
    assert!(export(&home, &args).output().unwrap().status.success());
    assert_eq!(fs::read(&out).unwrap(), whole);
    // A segment that is through is gone, and then all of it.
    ledger.close().unwrap();
    assert!(export(&home, &args).output().unwrap().status.success());
    fs::remove_file(&segment).unwrap();
    says(&args, "the file is missing");
    for file in fs::read_dir(home.ledger()).unwrap().map(|it| it.unwrap().path()) {
        fs::remove_file(file).unwrap();
    }
    says(&args, "`manifest`: the file is missing");
}

fn l05_each_form_has_what_its_readers_want() {
    let home = Home::new();
    let deny =
        "default = \"allow\"\n[[tools]]\neffect = \"deny\"\ntool = \"rm\"\nname = \"no-rm\"\n";
    home.policy(deny);
    let fake = home.fake(Script::default().with(tool("rm")));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&call(1, "echo", json!({ "text": "x" })));
    assert!(is_refusal(&probe.ask(&call(2, "rm", json!({ "text": "x" })))));
    probe.end();
    let records = home.records();
    let lines = |form: &str| -> Vec<String> {
        let output = export(&home, &["--format", form]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    let at = records.iter().position(|it| it["decision"] == "deny").unwrap();
    let denied = &records[at];

    let all = lines("cef");
    assert_eq!(all.len(), records.len());
    for (line, record) in all.iter().zip(&records) {
        let (head, pairs) = cef(line);
        assert_eq!((&*head[0], &*head[1]), ("CEF:0", "Stockade"), "{line}");
        assert_eq!(record["hash"], pairs["cs6"].as_str(), "{line}");
        assert!(pairs["rt"].parse::<u64>().is_ok_and(|it| it > 1_700_000_000_000), "{line}");
    }
    let (head, pairs) = cef(&all[at]);
    assert_eq!((&*head[4], &*head[6], &*pairs["act"]), ("tools.no-rm", "5", "deny"), "{head:?}");
    assert_eq!((&*pairs["cs2"], &*pairs["cs2Label"]), ("rm", "tool"));

    let all = lines("ocsf");
    assert_eq!(all.len(), records.len());
    for (line, record) in all.iter().zip(&records) {
        let event: Value = serde_json::from_str(line).expect(line);
        // What every event of the two classes has to have (OCSF 1.4).
        let class = event["class_uid"].as_u64().unwrap();
        assert_eq!(event["type_uid"], class * 100 + event["activity_id"].as_u64().unwrap());
        assert_eq!(event["metadata"]["version"], "1.4.0");
        assert_eq!(event["metadata"]["product"]["vendor_name"], "Stockade");
        assert!((1..=5).contains(&event["severity_id"].as_u64().unwrap()), "{line}");
        assert!(event["time"].as_u64().is_some_and(|it| it > 1_700_000_000_000), "{line}");
        match class {
            6003 => {
                assert_eq!(event["category_uid"], 6);
                assert!(event["actor"]["user"]["name"].is_string(), "{line}");
                assert!(event["api"]["operation"].is_string(), "{line}");
                assert!(event["src_endpoint"].is_object(), "{line}");
            }
            2004 => {
                assert_eq!(event["category_uid"], 2);
                assert!(event["finding_info"]["uid"].is_string(), "{line}");
                assert!(event["finding_info"]["title"].is_string(), "{line}");
            }
            _ => panic!("{line}"),
        }
        // The record itself, byte for byte.
        let raw: Value = serde_json::from_str(event["raw_data"].as_str().unwrap()).unwrap();
        assert_eq!(raw, *record);
    }
    let event: Value = serde_json::from_str(&all[at]).unwrap();
    assert_eq!((&event["action"], &event["disposition"]), (&json!("Denied"), &json!("Blocked")));
    assert_eq!(event["resources"][0]["name"], "rm");

    let all = lines("syslog");
    let message = Message::parse(&all[at]);
    assert_eq!((message.priority, &*message.id), (84, "decision"));
    assert_eq!((&*message.data["tool"], &*message.data["rule"]), ("rm", "tools.no-rm"));
    assert!(message.says.ends_with("denies it"), "{message:?}");
    assert_eq!(denied["hash"], message.data["hash"].as_str());
}

fn l05_one_cursor_is_of_one_export() {
    let home = Home::new();
    filled(&home, 5);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("tcp://{}", listener.local_addr().unwrap());
    let running = Running::begin(&home, &["--to", &place, "--cursor", "c.json"]);
    let held = listener.accept().unwrap();
    let second = export(&home, &["--to", &place, "--cursor", "c.json"]).output().unwrap();
    assert_eq!(second.status.code(), Some(2), "{second:?}");
    assert!(said(&second).contains("another export has the cursor"), "{second:?}");
    drop((running, held));
    // Nor does one go on where another was, or in another ledger.
    assert!(export(&home, &["--to", "a", "--cursor", "d.json"]).output().unwrap().status.success());
    let other = export(&home, &["--to", "b", "--cursor", "d.json"]).output().unwrap();
    assert_eq!(other.status.code(), Some(2), "{other:?}");
    fs::remove_dir_all(home.ledger()).unwrap();
    filled(&home, 5);
    let other = export(&home, &["--to", "a", "--cursor", "d.json"]).output().unwrap();
    assert_eq!(other.status.code(), Some(2), "{other:?}");
    assert!(said(&other).contains("the cursor is of another ledger"), "{other:?}");
}

fn l05_a_file_is_of_one_export() {
    let home = Home::new();
    filled(&home, 5);
    let refused = |args: &[&str], says: &str| {
        let began = Instant::now();
        let output = export(&home, args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(said(&output).contains(says), "{args:?}: {output:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{args:?}");
    };
    assert!(export(&home, &["--to", "out"]).output().unwrap().status.success());
    let out = home.path().join("out");
    let before = fs::read(&out).unwrap();
    // Neither another form, nor another way to it.
    refused(&["--to", "out", "--format", "cef"], "is the file of another export");
    std::os::unix::fs::symlink("out", home.path().join("link")).unwrap();
    refused(&["--to", "link"], "is the file of another export");
    assert_eq!(fs::read(&out).unwrap(), before);
    // Once it is away, another may begin there.
    fs::remove_file(&out).unwrap();
    fs::remove_file(home.path().join("link")).unwrap();
    assert!(export(&home, &["--to", "new", "--format", "cef"]).output().unwrap().status.success());
    // Nor a file of the ledger, one that would be made there, or what is no file.
    for name in ["manifest.jsonl", "key", "other.jsonl"] {
        let file = home.ledger().join(name);
        refused(&["--to", file.to_str().unwrap()], "is in the ledger");
    }
    assert!(home.is_whole());
    let pipe = home.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    refused(&["--to", "pipe"], "no ordinary file");
}

fn everything(home: &Home) -> Vec<(&'static str, String)> {
    let forms = ["jsonl", "cef", "ocsf", "syslog"];
    let exported = forms.map(|form| {
        let output = export(home, &["--format", form]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        (form, String::from_utf8(output.stdout).unwrap())
    });
    exported.to_vec()
}

fn l02_no_secret_is_in_an_export() {
    let secret = "ghp_u8jzPde0IgxLd6GncfBAepfJBd0Kh8oOOL8d";
    let home = Home::new();
    let fake = home.fake(Script::default().with(tool("note")));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&call(1, "note", json!({ "text": secret })));
    probe.ask(&call(2, &format!("note {secret}"), json!({ "text": secret })));
    probe.ask(&request(3, &format!("x/{secret}"), json!({})));
    probe.end();
    for (form, text) in everything(&home) {
        assert!(!text.contains("u8jzPde0IgxL"), "{form}: {text}");
        assert!(text.contains("note"), "{form}: {text}");
    }
}

fn l07_a_name_ends_no_field_of_any_form() {
    let nasty = [
        "a|b|10|act=allow",
        "x cs2=other act=allow\nCEF:0|Stockade|x",
        "\"] forged [stockade@32473 decision=\"allow",
        "a\r\n<82>1 2026-11-30T02:30:00.000Z h stockade 1 decision - forged",
        "\\\" \\] \\| \\= \\n \\",
        "\u{1b}]52;c;aGk=\u{7}\u{202e}\u{2028}\u{85}",
    ];
    let home = Home::new();
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake).begin();
    for (n, name) in nasty.iter().enumerate() {
        probe.send(&call(n, name, json!({ *name: name })));
        probe.answer(n);
    }
    probe.end();
    let records = home.records();
    // What does not show itself is another character there.
    let plain =
        |text: &str| -> String {
            text.chars()
                .map(|it| {
                    if it.is_control() || "\u{202e}\u{2028}".contains(it) { '\u{fffd}' } else { it }
                })
                .collect()
        };
    for (form, text) in everything(&home) {
        assert_eq!(text.lines().count(), records.len(), "{form}: {}", text.escape_debug());
        let is_safe = |it: char| it == '\n' || !(it.is_control() || "\u{2028}".contains(it));
        assert!(text.chars().all(is_safe), "{form}: {}", text.escape_debug());
        for (line, record) in text.lines().zip(&records) {
            let Some(tool) = record["tool"].as_str() else { continue };
            let read = match form {
                "cef" => cef(line).1["cs2"].clone(),
                "syslog" => Message::parse(line).data["tool"].clone(),
                "ocsf" => {
                    let event: Value = serde_json::from_str(line).expect(line);
                    event["resources"][0]["name"].as_str().unwrap().to_owned()
                }
                _ => serde_json::from_str::<Value>(line).unwrap()["tool"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            };
            assert_eq!(plain(&read), plain(tool), "{form}: {line}");
            if form == "cef" {
                assert_eq!(
                    cef(line).1.get("act").map_or("", |it| it),
                    record["decision"].as_str().unwrap_or_default()
                );
            }
        }
    }
}
