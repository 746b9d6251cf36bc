//! Approvals: a call that the policy asks about waits until a person has said yes to it, and to
//! nothing else.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::process::kill;
use crate::harness::{
    Fake, Home, Probe, Script, call, is_refusal, modern, request, say, text, tool, wait_for,
};

crate::rows![
    u01_a_call_waits_until_it_is_approved,
    u01_a_modern_call_waits_as_well,
    u01_who_says_no_and_who_says_nothing,
    u01_whoever_is_killed_has_not_said_yes,
    u01_a_call_that_is_cancelled_is_asked_about_no_more,
    u02_all_that_would_be_sent_is_shown,
    u02_a_call_that_changes_between_question_and_answer,
    u02_an_answer_counts_once,
    u02_calls_that_differ_are_asked_apart,
    u02_what_was_typed_before_is_no_answer,
    u04_calls_that_say_the_same_are_one_question,
    u04_a_flood_is_one_question,
    production_asks_nobody,
    a_question_that_nobody_would_read_is_denied,
    a_state_that_is_not_there_is_said,
    a_state_of_others_is_not_used,
];

pub(crate) const ASKS: &str = r#"
    default = "allow"
    [[tools]]
    effect = "ask"
    tool = "pay*"
"#;

/// A home whose policy asks about `pay`, and a server that has it.
pub(crate) fn asking() -> (Home, Fake) {
    let home = Home::new();
    home.policy(ASKS);
    let fake = home.fake(Script::default().with(tool("pay")).with(tool("pay_all")));
    (home, fake)
}

/// `stockade approvals …`.
pub(crate) fn approvals(home: &Home, args: &[&str]) -> Output {
    // A guard makes it when it starts, and may not have.
    std::fs::create_dir_all(home.path().join("state")).unwrap();
    let mut command = home.stockade(["approvals"]);
    command.args(args).args(home.state()).stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn complained(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What waits.
pub(crate) fn waiting(home: &Home) -> Vec<Value> {
    serde_json::from_str(&said(&approvals(home, &["list", "--format", "json"]))).unwrap()
}

/// Waits until so many questions wait.
#[track_caller]
pub(crate) fn questions(home: &Home, number: usize) -> Vec<Value> {
    wait_for("questions", || Some(waiting(home)).filter(|it| it.len() == number))
}

#[track_caller]
pub(crate) fn question(home: &Home) -> String {
    id(&questions(home, 1)[0])
}

pub(crate) fn id(question: &Value) -> String {
    question["id"].as_str().unwrap().to_owned()
}

/// The calls of `name` that the server was sent.
pub(crate) fn sent(fake: &Fake, name: &str) -> Vec<Value> {
    let is = |it: &Value| it["method"] == "tools/call" && it["params"]["name"] == name;
    fake.messages().into_iter().filter(is).collect()
}

pub(crate) fn pay(id: u64, sum: u64) -> Value {
    let mut pay = call(id, "pay", json!({ "to": "somebody", "sum": sum }));
    pay["params"]["_meta"]["progressToken"] = json!(format!("t{id}"));
    pay
}

pub(crate) fn listed(home: &Home, fake: &Fake) -> Probe {
    let mut probe = Probe::run(home, fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    probe
}

pub(crate) fn decision(home: &Home, id: &str) -> Value {
    let decisions = home.records_of("decision");
    decisions.into_iter().find(|it| it["call"] == id).expect(id)
}

fn u01_a_call_waits_until_it_is_approved() {
    let (home, fake) = asking();
    let mut probe = listed(&home, &fake);
    probe.send(&pay(1, 5));
    let question = question(&home);
    // Who waits is told so, and everything else goes on.
    let told = probe.next().unwrap();
    assert_eq!(told["method"], "notifications/progress", "{told}");
    assert_eq!(told["params"]["progressToken"], "t1");
    let says = told["params"]["message"].as_str().unwrap();
    assert!(says.contains("person") && says.contains(&question), "{says}");
    for n in 10..20 {
        assert!(!is_refusal(&probe.ask(&call(n, "echo", json!({ "text": "x" })))));
    }
    assert!(sent(&fake, "pay").is_empty());
    // The question is in the ledger before anything came of it.
    let asked = home.records_of("question");
    assert_eq!((asked.len(), &asked[0]["call"]), (1, &json!(question)), "{asked:?}");
    said(&approvals(&home, &["allow", &question]));
    assert!(!is_refusal(&probe.answer(1)));
    assert_eq!(sent(&fake, "pay"), [pay(1, 5)], "as it was");
    let decision = decision(&home, &question);
    assert_eq!(decision["decision"], "allow");
    assert_eq!(decision["channel"], "terminal");
    assert!(decision["approver"].as_str().unwrap().starts_with("uid "), "{decision}");
    assert_eq!(decision["approved_digest"], asked[0]["approved_digest"]);
    probe.end();
    assert!(home.is_whole());
}

fn u01_a_modern_call_waits_as_well() {
    let (home, fake) = asking();
    let mut probe = Probe::run(&home, &fake);
    probe.send(&modern(pay(1, 5)));
    let question = question(&home);
    assert!(sent(&fake, "pay").is_empty());
    said(&approvals(&home, &["allow", &question]));
    let answer = probe.answer(1);
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    assert_eq!(sent(&fake, "pay").len(), 1);
}

fn u01_who_says_no_and_who_says_nothing() {
    let (home, fake) = asking();
    home.policy(&format!("{ASKS}\n[limits]\napproval_timeout_s = 3"));
    let mut probe = listed(&home, &fake);
    probe.send(&pay(1, 1));
    let denied = question(&home);
    said(&approvals(&home, &["deny", &denied]));
    let answer = probe.answer(1);
    assert!(is_refusal(&answer) && text(&answer).contains("a person has said no"), "{answer}");
    probe.send(&pay(2, 2));
    let late = question(&home);
    let answer = probe.answer(2);
    assert!(is_refusal(&answer) && text(&answer).contains("nobody has answered in time"));
    assert!(complained(&approvals(&home, &["allow", &late])).contains("no question"));
    assert_eq!(waiting(&home), [] as [Value; 0]);
    probe.end();
    assert_eq!(sent(&fake, "pay"), [] as [Value; 0]);
    assert_eq!(decision(&home, &denied)["decision"], "deny");
    assert_eq!(decision(&home, &late)["decision"], "deny");
    assert!(decision(&home, &late)["approver"].is_null());
}

/// The service of a home, which is nobody's child.
pub(crate) fn service(home: &Home) -> i32 {
    let state = home.path().join("state");
    let found = || {
        let output = Command::new("pgrep").args(["-f", "approvals service --stay"]).output();
        let pids = String::from_utf8(output.unwrap().stdout).unwrap();
        pids.lines().map(|it| it.parse::<i32>().unwrap()).find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(state.to_str().unwrap())
        })
    };
    wait_for("the service", found)
}

fn u01_whoever_is_killed_has_not_said_yes() {
    let (home, fake) = asking();
    let mut probe = listed(&home, &fake);
    // The service.
    probe.send(&pay(1, 1));
    question(&home);
    kill(service(&home));
    let answer = probe.answer(1);
    assert!(is_refusal(&answer) && text(&answer).contains("nobody has"), "{answer}");
    // The next question starts another.
    probe.send(&pay(2, 2));
    let second = question(&home);
    // Somebody who watches, with the question before them.
    let mut watch = home.stockade(["approvals", "watch"]);
    let mut watch =
        watch.args(home.state()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(300));
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert_eq!(question(&home), second);
    // The guard.
    kill(i32::try_from(probe.guard()).unwrap());
    questions(&home, 0);
    assert!(complained(&approvals(&home, &["allow", &second])).contains("no question"));
    drop(probe);
    assert_eq!(sent(&fake, "pay"), [] as [Value; 0]);
}

fn u01_a_call_that_is_cancelled_is_asked_about_no_more() {
    let (home, fake) = asking();
    let mut probe = listed(&home, &fake);
    probe.send(&pay(1, 1));
    let question = question(&home);
    let cancel = json!({ "requestId": 1 });
    let method = "notifications/cancelled";
    probe.send(&json!({ "jsonrpc": "2.0", "method": method, "params": cancel }));
    questions(&home, 0);
    complained(&approvals(&home, &["allow", &question]));
    // A client that has left.
    probe.send(&pay(2, 2));
    questions(&home, 1);
    probe.end();
    questions(&home, 0);
    assert_eq!(sent(&fake, "pay"), [] as [Value; 0]);
    assert!(!fake.heard().contains(method), "{}", fake.heard());
}

fn u02_all_that_would_be_sent_is_shown() {
    let (home, fake) = asking();
    home.policy(&format!("{ASKS}\n[rules]\nhidden_unicode = \"allow\"\nsecret = \"fix\""));
    let mut probe = listed(&home, &fake);
    let long = format!("{}the end", "x".repeat(40_000));
    let arguments = json!({ "to": "a\u{200b}b\u{202e}c", "note": long, "n": 7 });
    probe.send(&call(1, "pay", arguments.clone()));
    let shown = &questions(&home, 1)[0];
    assert!(shown["asked"]["question"]["arguments"] == arguments, "not as it was");
    let human = said(&approvals(&home, &["list"]));
    for seen in [r"a\u200bb\u202ec", &long, "The tool pay.", "tools[0]", "started as"] {
        assert!(human.contains(seen), "{}", &seen[..seen.len().min(40)]);
    }
    assert!(!human.contains(['\u{200b}', '\u{202e}']));
    // What two readers could take for another number is shown to the letter.
    let line = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"pay","arguments":{"sum":100000000000000000001}}}"#;
    probe.write(format!("{line}\n").as_bytes());
    questions(&home, 2);
    assert!(said(&approvals(&home, &["list"])).contains("{\"sum\":100000000000000000001}"));
    // What is mended is what is shown.
    let secret = "DB_PASSWORD=Zk82nVx7Lp0Rt5Wq";
    probe.send(&call(3, "pay_all", json!({ "note": secret })));
    questions(&home, 3);
    let human = said(&approvals(&home, &["list"]));
    assert!(!human.contains("Zk82nVx7Lp0Rt5Wq") && human.contains("mended"), "{human}");
    let of =
        |name| waiting(&home).iter().find(|it| it["asked"]["question"]["tool"] == name).map(id);
    said(&approvals(&home, &["allow", &of("pay_all").unwrap()]));
    probe.answer(3);
    assert!(!fake.heard().contains("Zk82nVx7Lp0Rt5Wq"));
    assert_eq!(sent(&fake, "pay_all").len(), 1);
}

fn u02_a_call_that_changes_between_question_and_answer() {
    let home = Home::new();
    home.policy(ASKS);
    let other = json!({ "name": "pay", "description": "Another.", "inputSchema": {} });
    let listing =
        |tools: Value| say(json!({ "jsonrpc": "2.0", "id": "$id", "result": { "tools": tools } }));
    let script = Script::default().on("tools/list", [listing(json!([tool("pay")]))]);
    let fake = home.fake(script.on("prompts/list", [listing(json!([other]))]));
    let mut probe = listed(&home, &fake);
    // Other rules hold by now.
    probe.send(&pay(1, 1));
    let first = question(&home);
    home.policy("default = \"allow\"\n[[tools]]\neffect = \"deny\"\ntool = \"pay\"");
    let replaced = || home.records_of("policy").into_iter().next();
    wait_for("the policy to be replaced", replaced);
    said(&approvals(&home, &["allow", &first]));
    let answer = probe.answer(1);
    assert!(is_refusal(&answer) && text(&answer).contains("may not be"), "{answer}");
    // An answer to another question than the one that waits.
    home.policy(ASKS);
    wait_for("the policy to be replaced", || home.records_of("policy").into_iter().nth(1));
    probe.send(&pay(2, 2));
    let second = question(&home);
    let mut socket = UnixStream::connect(home.path().join("state/approvals/socket")).unwrap();
    let give = json!({ "give": {
        "id": second, "digest": "0".repeat(64), "times": 1, "approved": true, "channel": "terminal",
    } });
    writeln!(socket, "{give}").unwrap();
    let mut told = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(socket), &mut told).unwrap();
    assert!(told.contains("refused") && told.contains("another"), "{told}");
    assert_eq!(question(&home), second);
    assert_eq!(sent(&fake, "pay"), [] as [Value; 0]);
}

fn u02_an_answer_counts_once() {
    let (home, fake) = asking();
    let mut probe = listed(&home, &fake);
    probe.send(&pay(1, 1));
    let first = question(&home);
    said(&approvals(&home, &["allow", &first]));
    assert!(!is_refusal(&probe.answer(1)));
    complained(&approvals(&home, &["allow", &first]));
    // The very same call once more is another.
    probe.send(&pay(2, 1));
    let second = question(&home);
    assert_ne!(first, second);
    said(&approvals(&home, &["deny", &second]));
    assert!(is_refusal(&probe.answer(2)));
    assert_eq!(sent(&fake, "pay").len(), 1);
}

fn u02_calls_that_differ_are_asked_apart() {
    let (home, fake) = asking();
    let mut probe = Probe::run(&home, &fake);
    let to_whom = |id: u64, whom: &str| {
        let mut asked = modern(pay(id, 1));
        asked["params"]["inputResponses"] =
            json!({ "q": { "action": "accept", "content": { "to": whom } } });
        asked["params"]["requestState"] = json!(whom);
        asked
    };
    let limited = |id: u64, limit: u64| {
        let mut asked = modern(pay(id, 1));
        asked["params"]["_meta"]["com.bank/limit"] = json!(limit);
        asked
    };
    let hidden = |id: u64, says: &str| {
        let mut asked = modern(pay(id, 1));
        asked["params"]["_meta"]["io.modelcontextprotocol/says"] = json!(says);
        asked
    };
    let calls = [
        to_whom(1, "landlord"),
        to_whom(2, "mallory"),
        limited(3, 1),
        limited(4, 1_000_000),
        hidden(5, "a"),
        hidden(6, "b"),
    ];
    for (n, it) in calls.iter().enumerate() {
        probe.send(it);
        questions(&home, n + 1);
    }
    // Each is shown with what is in it, and what is allowed is that one.
    let asked = waiting(&home);
    let about = |text: &str| {
        let is = |it: &&Value| it["asked"]["question"]["beside"].to_string().contains(text);
        asked.iter().find(is).map(id).expect(text)
    };
    let digests: std::collections::HashSet<String> =
        asked.iter().map(|it| it["asked"]["question"]["digest"].to_string()).collect();
    assert_eq!(digests.len(), calls.len());
    said(&approvals(&home, &["allow", &about("landlord")]));
    assert!(!is_refusal(&probe.answer(1)));
    let heard = sent(&fake, "pay");
    assert_eq!((heard.len(), &heard[0]["params"]["requestState"]), (1, &json!("landlord")));
    // One that is taken back leaves the other as it is.
    let cancel = json!({ "requestId": 3 });
    let method = "notifications/cancelled";
    probe.send(&json!({ "jsonrpc": "2.0", "method": method, "params": cancel }));
    let left = questions(&home, 4);
    let shown = |text: &str| left.iter().any(|it| it.to_string().contains(text));
    assert!(shown("1000000") && shown("mallory") && !shown("landlord"));
    // With what is no double, too: to most readers these are one number.
    for (n, number) in ["100000000000000000001", "100000000000000000002"].iter().enumerate() {
        let text = serde_json::to_string(&to_whom(10 + n as u64, "NUMBER")).unwrap();
        probe.write(format!("{}\n", text.replace("\"NUMBER\"", number)).as_bytes());
        questions(&home, 5 + n);
    }
}

/// `stockade approvals watch`, which is typed to, and whose terminal somebody reads or does not.
struct Watch {
    child: std::process::Child,
    input: std::process::ChildStdin,
    output: std::process::ChildStdout,
    seen: String,
}

impl Watch {
    fn begin(home: &Home) -> Self {
        let mut watch = home.stockade(["approvals", "watch"]);
        watch.args(home.state()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = watch.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output, seen: String::new() }
    }

    fn types(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// Reads on until `text` has come.
    fn sees(&mut self, text: &str) {
        let mut bytes = [0; 4096];
        while !self.seen.contains(text) {
            let read = std::io::Read::read(&mut self.output, &mut bytes).unwrap();
            assert_ne!(read, 0, "no `{text}` in {}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        self.seen = self.seen.split_once(text).unwrap().1.to_owned();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _collected = self.child.wait();
    }
}

fn u02_what_was_typed_before_is_no_answer() {
    let (home, fake) = asking();
    home.policy(&format!("{ASKS}\n[limits]\napproval_bytes_max = 300000"));
    let mut probe = listed(&home, &fake);
    let mut watch = Watch::begin(&home);
    watch.sees("waits for questions");
    // It is on the screen, and nobody can have read it.
    probe.send(&pay(1, 1));
    watch.sees("q = quit");
    watch.sees("> ");
    watch.types("a");
    watch.sees("too early");
    let first = question(&home);
    assert!(sent(&fake, "pay").is_empty());
    // Later, or by its name, it is an answer; another's name is none.
    thread::sleep(Duration::from_millis(800));
    watch.types("a nobody.1");
    watch.sees("not the question that is shown");
    assert_eq!(question(&home), first);
    watch.types(&format!("d {first}"));
    assert!(is_refusal(&probe.answer(1)));
    probe.send(&pay(2, 2));
    watch.sees("q = quit");
    thread::sleep(Duration::from_millis(900));
    watch.types("a");
    assert!(!is_refusal(&probe.answer(2)));
    watch.sees("nothing waits");
    // A terminal that takes a long question slowly: what is typed meanwhile is about the one before.
    probe.send(&pay(3, 3));
    watch.sees("q = quit");
    let third = question(&home);
    thread::sleep(Duration::from_millis(900));
    probe.send(&call(4, "pay", json!({ "to": "mallory", "note": "x".repeat(150_000) })));
    questions(&home, 2);
    said(&approvals(&home, &["deny", &third]));
    thread::sleep(Duration::from_millis(900));
    watch.types("a");
    thread::sleep(Duration::from_millis(900));
    watch.sees("q = quit");
    watch.sees("too early");
    questions(&home, 1);
    assert_eq!(sent(&fake, "pay").len(), 1);
}

fn a_state_that_is_not_there_is_said() {
    let home = Home::new();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let nowhere = home.path().join("nowhere");
    for asked in [&["list"][..], &["grants"], &["allow", "x"], &["deny", "x"], &["revoke", "x"]] {
        for (state, why) in [(&nowhere, "cannot look into"), (&file, "is no directory")] {
            let mut command = home.stockade(["approvals"]);
            let output = command.args(asked).arg("--state").arg(state).output().unwrap();
            let complaint = complained(&output);
            assert!(complaint.contains(why) && output.stdout.is_empty(), "{asked:?} {complaint}");
        }
    }
    assert!(!nowhere.exists(), "it is not made either");
}

fn a_state_of_others_is_not_used() {
    use std::os::unix::fs::{PermissionsExt, chown};

    let (home, fake) = asking();
    let state = home.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let mode = |mode| std::fs::set_permissions(&state, PermissionsExt::from_mode(mode)).unwrap();
    let refused = |why: &str| {
        let ended = Probe::run(&home, &fake).ended();
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    };
    mode(0o777);
    refused("can be written by every user");
    assert!(complained(&approvals(&home, &["list"])).contains("can be written by every user"));
    let mut lock = home.stockade(["lock", "approve"]);
    let output = lock.args(home.unheld()).arg("--").args(fake.command()).output().unwrap();
    assert!(complained(&output).contains("can be written by every user"));
    mode(0o755);
    listed(&home, &fake).end();
    if !rustix::process::geteuid().is_root() {
        return;
    }
    chown(&state, Some(65534), None).unwrap();
    refused("belongs to another user");
    chown(&state, Some(0), None).unwrap();
    std::fs::write(state.join("stockade.lock"), "{}").unwrap();
    chown(state.join("stockade.lock"), Some(65534), None).unwrap();
    refused("belongs to another user");
}

fn u04_calls_that_say_the_same_are_one_question() {
    let (home, fake) = asking();
    let mut probe = listed(&home, &fake);
    (1..=5).for_each(|n| probe.send(&pay(n, 1)));
    let shown =
        wait_for("five calls", || waiting(&home).into_iter().next().filter(|it| it["times"] == 5));
    assert!(said(&approvals(&home, &["list"])).contains("5 that say exactly this"));
    said(&approvals(&home, &["allow", &id(&shown)]));
    (1..=5).for_each(|n| assert!(!is_refusal(&probe.answer(n))));
    assert_eq!(sent(&fake, "pay").len(), 5);
    // Each of them has its own decision.
    let approved = |it: &Value| it["channel"] == "terminal" && it["decision"] == "allow";
    assert_eq!(home.records_of("decision").iter().filter(|it| approved(it)).count(), 5);
}

fn u04_a_flood_is_one_question() {
    let (home, fake) = asking();
    let mut probe = listed(&home, &fake);
    (1..=40).for_each(|n| probe.send(&pay(n, n)));
    let flood = || {
        let waiting = waiting(&home);
        assert!(waiting.len() <= 11, "{}", waiting.len());
        waiting.into_iter().find(|it| it["flood"] == true && it["times"] == 30)
    };
    let flood = wait_for("a flood", flood);
    assert_eq!(waiting(&home).len(), 11);
    let human = said(&approvals(&home, &["list"]));
    assert!(human.contains("30 calls of"), "{human}");
    said(&approvals(&home, &["deny", &id(&flood)]));
    (1..=40).for_each(|n| assert!(is_refusal(&probe.answer(n)), "{n}"));
    // Those that come now are denied without a question.
    let answer = probe.ask(&pay(50, 50));
    assert!(is_refusal(&answer), "{answer}");
    assert_eq!(waiting(&home), [] as [Value; 0]);
    assert_eq!(sent(&fake, "pay"), [] as [Value; 0]);
}

fn production_asks_nobody() {
    let (home, fake) = asking();
    home.policy(
        "[approvals]\nmode = \"production\"\n[[tools]]\neffect = \"ask\"\ntool = \"pay\"\n\
         [[tools]]\neffect = \"allow\"\ntool = \"pay_all\"",
    );
    let mut probe = listed(&home, &fake);
    let answer = probe.ask(&pay(1, 1));
    assert!(is_refusal(&answer) && text(&answer).contains("asks nobody"), "{answer}");
    assert!(is_refusal(&probe.ask(&call(2, "echo", json!({})))), "no rule is about it");
    assert!(!is_refusal(&probe.ask(&call(3, "pay_all", json!({})))));
    probe.end();
    assert!(!home.path().join("state/approvals").exists(), "nobody was asked");
    assert_eq!(sent(&fake, "pay"), [] as [Value; 0]);
    // What says otherwise is no policy.
    home.policy("default = \"allow\"\n[approvals]\nmode = \"production\"");
    let ended = Probe::run(&home, &fake).ended();
    assert!(ended.stderr.contains("in production"), "{}", ended.stderr);
}

fn a_question_that_nobody_would_read_is_denied() {
    let (home, fake) = asking();
    home.policy(&format!("{ASKS}\n[limits]\napprovals_max = 2\napproval_bytes_max = 1000"));
    let mut probe = listed(&home, &fake);
    let answer = probe.ask(&call(1, "pay", json!({ "note": "x".repeat(2000) })));
    assert!(is_refusal(&answer) && text(&answer).contains("longer than"), "{answer}");
    probe.send(&pay(2, 2));
    probe.send(&pay(3, 3));
    let answer = probe.ask(&pay(4, 4));
    assert!(is_refusal(&answer) && text(&answer).contains("too many"), "{answer}");
    assert_eq!(questions(&home, 2).len(), 2);
    drop(probe);
    assert_eq!(sent(&fake, "pay"), [] as [Value; 0]);
}
