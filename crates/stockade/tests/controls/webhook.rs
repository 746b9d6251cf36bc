//! Approvals by a webhook: an address of the user's own is asked, and what it answers counts if it is
//! signed with the secret, is about this call, and comes first. And the desktop, which only shows that
//! something waits.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::approvals::{ASKS, approvals, question, questions, sent, waiting};
use crate::harness::notifications::Desktop;
use crate::harness::probe::command;
use crate::harness::receiver::{Receiver, Reply, SECRET, Told, now_s};
use crate::harness::{
    Fake, Home, Probe, Script, call, is_refusal, modern, request, text, tool, wait_for,
};

crate::rows![
    u01_an_address_answers_at_once,
    u01_an_address_that_needs_time_is_asked_again,
    u01_the_first_answer_counts,
    u01_an_address_that_is_down_leaves_it_to_others,
    u02_an_address_is_shown_all_of_it,
    u04_a_flood_is_not_asked_of_an_address,
    u07_what_is_not_signed_answers_nothing,
    u07_an_answer_is_for_one_question_and_once,
    u07_nobody_else_is_asked,
    u07_the_desktop_shows_what_waits_and_answers_nothing,
    production_asks_no_address,
];

const ANOTHER: &str = "whsec_YW5vdGhlciBzZWNyZXQsIG9mIHNvbWVib2R5IGVsc2U=";

fn asking(receiver: &Receiver) -> (Home, Fake) {
    asking_with(receiver, "")
}

fn asking_with(receiver: &Receiver, more: &str) -> (Home, Fake) {
    let home = Home::new();
    let table = receiver.table(&home, "approvals");
    home.policy(&format!("{ASKS}{table}{more}"));
    let fake = home.fake(Script::default().with(tool("pay")).with(tool("pay_all")));
    (home, fake)
}

fn begun(home: &Home, fake: &Fake) -> Probe {
    let mut probe = Probe::run(home, fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    probe
}

fn pay(id: u64, sum: u64) -> Value {
    call(id, "pay", json!({ "to": "somebody", "sum": sum }))
}

/// What a question says that it is about.
fn data(told: &Told) -> Value {
    let body: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(body["type"], "stockade.approval.question", "{body}");
    body["data"].clone()
}

fn decision(question: &Value, says: &str) -> Value {
    json!({
        "type": "stockade.approval.decision",
        "id": question["id"],
        "digest": question["digest"],
        "decision": says,
        "by": "alice",
    })
}

/// What answers a question as it should be.
fn answer(told: &Told, says: &str) -> Reply {
    let name = told.header("webhook-id");
    Reply::signed(name, SECRET, now_s(), &decision(&data(told), says))
}

fn decided(home: &Home) -> Vec<Value> {
    let all = home.records_of("decision").into_iter();
    all.filter(|it| it["tool"] == "pay" || it["tool"] == "pay_all").collect()
}

/// Waits until somebody is asked in a terminal, and says no there.
#[track_caller]
fn denies(home: &Home) {
    let id = question(home);
    assert!(approvals(home, &["deny", &id]).status.success());
}

fn u01_an_address_answers_at_once() {
    let receiver = Receiver::answering(|told| {
        let sum = data(told)["question"]["arguments"]["sum"].as_u64().unwrap();
        answer(told, if sum == 1 { "allow" } else { "deny" })
    });
    let (home, fake) = asking(&receiver);
    let mut probe = begun(&home, &fake);
    assert!(!is_refusal(&probe.ask(&pay(1, 1))));
    assert_eq!(sent(&fake, "pay"), [pay(1, 1)], "as it was");
    let refused = probe.ask(&pay(2, 2));
    assert!(is_refusal(&refused) && text(&refused).contains("said no"), "{refused}");
    // Once: the same call is asked about again.
    assert!(!is_refusal(&probe.ask(&pay(3, 1))));
    let mut other = Probe::run(&home, &fake);
    let modern_pay = modern(pay(4, 1));
    other.ask(&modern(request("list", "tools/list", json!({}))));
    assert!(!is_refusal(&other.ask(&modern_pay)));
    other.end();
    probe.end();
    assert_eq!(receiver.told().len(), 4);
    receiver.told().iter().for_each(|it| it.is_signed());
    let decided = decided(&home);
    let says: Vec<_> = decided.iter().map(|it| it["decision"].as_str().unwrap()).collect();
    assert_eq!(says, ["allow", "deny", "allow", "allow"]);
    for it in &decided {
        assert_eq!(it["channel"], "webhook", "{it}");
        assert!(it.to_string().contains("alice"), "{it}");
    }
    questions(&home, 0);
}

fn u01_an_address_that_needs_time_is_asked_again() {
    let (asked, gets) = (Arc::new(Mutex::new(None::<Told>)), AtomicUsize::new(0));
    let receiver = Receiver::answering(move |told| {
        let mut asked = asked.lock().unwrap();
        if told.method == "POST" {
            *asked = Some(told.clone());
            return Reply::status(202)
                .with("location", "/what-came-of?it=1")
                .with("retry-after", 1);
        }
        match gets.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::status(202),
            1 => Reply::status(503),
            _ => answer(asked.as_ref().unwrap(), "allow"),
        }
    });
    let (home, fake) = asking(&receiver);
    let mut probe = begun(&home, &fake);
    probe.send(&pay(1, 1));
    // Everything else goes on meanwhile.
    assert!(!is_refusal(&probe.ask(&call(9, "echo", json!({ "text": "x" })))));
    assert!(!is_refusal(&probe.answer(1)));
    assert_eq!(sent(&fake, "pay"), [pay(1, 1)]);
    probe.end();
    let told = receiver.told();
    let seen: Vec<_> = told.iter().map(|it| (&*it.method, &*it.path)).collect();
    let again = ("GET", "/what-came-of?it=1");
    assert_eq!(seen, [("POST", "/told?by=us"), again, again, again]);
    told.iter().for_each(|it| it.is_signed());
    assert!(told.iter().all(|it| it.header("webhook-id") == told[0].header("webhook-id")));
    assert_eq!(decided(&home)[0]["channel"], "webhook");
}

fn u01_the_first_answer_counts() {
    let receiver = Receiver::answering(|_| {
        Reply::status(202).with("location", "/later").with("retry-after", 1)
    });
    let (home, fake) = asking(&receiver);
    let mut probe = begun(&home, &fake);
    probe.send(&pay(1, 1));
    receiver.posts(1);
    let id = question(&home);
    assert!(approvals(&home, &["allow", &id]).status.success());
    assert!(!is_refusal(&probe.answer(1)));
    // It is not asked any more.
    let asked = receiver.told().len();
    thread::sleep(Duration::from_millis(2500));
    assert!(receiver.told().len() <= asked + 1, "{:?}", receiver.told());
    assert_eq!(decided(&home)[0]["channel"], "terminal");
    // Nor when the call is cancelled.
    probe.send(&pay(2, 2));
    receiver.posts(2);
    let cancelled = json!({ "requestId": 2 });
    probe.send(
        &json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled }),
    );
    questions(&home, 0);
    let asked = receiver.told().len();
    thread::sleep(Duration::from_millis(2500));
    assert!(receiver.told().len() <= asked + 1, "{:?}", receiver.told());
    assert_eq!(sent(&fake, "pay"), [pay(1, 1)]);
    probe.end();
}

fn u01_an_address_that_is_down_leaves_it_to_others() {
    let tries = AtomicUsize::new(0);
    let receiver = Receiver::answering(move |told| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::status(502),
        _ => answer(told, "allow"),
    });
    let (home, fake) = asking(&receiver);
    let mut probe = begun(&home, &fake);
    assert!(!is_refusal(&probe.ask(&pay(1, 1))));
    let told = receiver.told();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].header("webhook-id"), told[1].header("webhook-id"));
    let gone = receiver.address;
    drop(receiver);
    wait_for("the end of the receiver", || std::net::TcpStream::connect(gone).err());
    probe.send(&pay(2, 2));
    denies(&home);
    assert!(is_refusal(&probe.answer(2)));
    let said = probe.end().stderr;
    assert_eq!(said.matches("is not asked, and tried again").count(), 1, "{said}");
    // And where there is no time, it is a no.
    let receiver = Receiver::answering(|_| Reply::status(500));
    let (home, fake) = asking_with(&receiver, "[limits]\napproval_timeout_s = 2\n");
    let mut probe = begun(&home, &fake);
    assert!(is_refusal(&probe.ask(&pay(1, 1))));
    assert!(sent(&fake, "pay").is_empty());
    probe.end();
}

fn u02_an_address_is_shown_all_of_it() {
    let receiver = Receiver::answering(|told| answer(told, "deny"));
    let (home, fake) = asking_with(&receiver, "[rules]\nhidden_unicode = \"allow\"\n");
    let mut probe = begun(&home, &fake);
    let long = format!("{}the end", "x".repeat(40_000));
    let arguments = json!({ "text": long, "to": "so\u{202e}me\u{200b}body" });
    assert!(is_refusal(&probe.ask(&call(1, "pay", arguments.clone()))));
    probe.end();
    let told = data(&receiver.told()[0]);
    let shown = told["text"].as_str().unwrap();
    assert!(shown.contains(&long), "all of it");
    assert!(shown.contains("\\u202e") && !shown.contains('\u{202e}'), "{}", &shown[..300]);
    assert_eq!(told["question"]["arguments"]["text"], long);
    assert_eq!(
        (&told["question"]["tool"], &told["question"]["from"]),
        (&json!("pay"), &json!("client"))
    );
    let asked = &home.records_of("question")[0];
    assert_eq!((&told["id"], &told["digest"]), (&asked["call"], &asked["approved_digest"]));
    assert!(told["expires_at"].as_str().unwrap().ends_with('Z'), "{}", told["expires_at"]);
}

fn u04_a_flood_is_not_asked_of_an_address() {
    let receiver = Receiver::answering(|_| Reply::status(204));
    let (home, fake) = asking(&receiver);
    let mut probe = begun(&home, &fake);
    (0..40).for_each(|n| probe.send(&pay(n, n)));
    questions(&home, 11);
    receiver.posts(10);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(receiver.told().len(), 10);
    // Those that say the same are one.
    let receiver = Receiver::answering(|_| Reply::status(204));
    let (home, fake) = asking(&receiver);
    let mut probe = begun(&home, &fake);
    (0..5).for_each(|n| probe.send(&pay(n, 7)));
    wait_for("one question", || waiting(&home).pop().filter(|it| it["times"] == 5));
    assert_eq!(receiver.posts(1).len(), 1);
}

fn u07_what_is_not_signed_answers_nothing() {
    type Forges = fn(&Told) -> Reply;
    let forged: [(&str, Forges); 12] = [
        ("nothing", |_| Reply::status(200)),
        ("no signature", |told| Reply { headers: Vec::new(), ..answer(told, "allow") }),
        ("another secret", |told| {
            let name = told.header("webhook-id");
            Reply::signed(name, ANOTHER, now_s(), &decision(&data(told), "allow"))
        }),
        ("signed as a no", |told| {
            let no = answer(told, "deny");
            Reply { body: no.body.replace("deny", "allow"), ..no }
        }),
        ("too old", |told| {
            let name = told.header("webhook-id");
            Reply::signed(name, SECRET, now_s() - 301, &decision(&data(told), "allow"))
        }),
        ("of later", |told| {
            let name = told.header("webhook-id");
            Reply::signed(name, SECRET, now_s() + 400, &decision(&data(told), "allow"))
        }),
        ("another time than is signed", |told| {
            answer(told, "allow").with("webhook-timestamp", now_s() - 1)
        }),
        ("another name", |_| {
            let question = json!({ "id": "s1-1", "digest": "x" });
            Reply::signed("msg_another", SECRET, now_s(), &decision(&question, "allow"))
        }),
        ("another call", |told| {
            let mut other = data(told);
            other["digest"] = json!("0".repeat(64));
            let name = told.header("webhook-id");
            Reply::signed(name, SECRET, now_s(), &decision(&other, "allow"))
        }),
        ("the question itself", |told| {
            Reply { status: 200, headers: told.headers.clone(), body: told.body.clone() }
                .only_signed()
        }),
        ("more than a decision", |told| {
            let mut more = decision(&data(told), "allow");
            more["grant"] = json!({ "for": "7d" });
            Reply::signed(told.header("webhook-id"), SECRET, now_s(), &more)
        }),
        ("too long", |told| {
            let mut long = decision(&data(told), "allow");
            long["by"] = json!("x".repeat(20_000));
            Reply::signed(told.header("webhook-id"), SECRET, now_s(), &long)
        }),
    ];
    for (what, forge) in forged {
        let receiver = Receiver::answering(forge);
        let (home, fake) = asking_with(&receiver, "[limits]\napproval_timeout_s = 20\n");
        let mut probe = begun(&home, &fake);
        probe.send(&pay(1, 1));
        receiver.posts(1);
        let refused = wait_for(what, || home.records_of("refusal").pop());
        assert_eq!(refused["channel"], "webhook", "{what}: {refused}");
        assert!(refused["says"].as_str().unwrap().contains("was not taken"), "{refused}");
        // It waits for whoever else is asked.
        denies(&home);
        assert!(is_refusal(&probe.answer(1)), "{what}");
        assert!(sent(&fake, "pay").is_empty(), "{what}");
        assert_eq!(decided(&home)[0]["channel"], "terminal", "{what}");
        let ended = probe.end();
        assert!(!ended.stderr.contains("panicked"), "{what}: {}", ended.stderr);
    }
}

fn u07_an_answer_is_for_one_question_and_once() {
    // What was answered once is said again, to the same call.
    let first = Mutex::new(None::<Reply>);
    let receiver = Receiver::answering(move |told| {
        first.lock().unwrap().get_or_insert_with(|| answer(told, "allow")).clone()
    });
    let (home, fake) = asking(&receiver);
    let mut probe = begun(&home, &fake);
    assert!(!is_refusal(&probe.ask(&pay(1, 1))));
    probe.send(&pay(2, 1));
    let refused = wait_for("a refusal", || home.records_of("refusal").pop());
    assert!(refused["says"].as_str().unwrap().contains("another question"), "{refused}");
    denies(&home);
    assert!(is_refusal(&probe.answer(2)));
    assert_eq!(sent(&fake, "pay"), [pay(1, 1)]);
    probe.end();
}

fn u07_nobody_else_is_asked() {
    let elsewhere = Receiver::answering(|told| {
        let question = json!({ "id": "?", "digest": "?" });
        Reply::signed(told.header("webhook-id"), SECRET, now_s(), &decision(&question, "allow"))
    });
    let url = elsewhere.url();
    for (status, says) in
        [(307, "HTTP status 307"), (302, "HTTP status 302"), (202, "somebody else be asked")]
    {
        let url = url.clone();
        let receiver = Receiver::answering(move |_| Reply::status(status).with("location", &url));
        let (home, fake) = asking(&receiver);
        let mut probe = begun(&home, &fake);
        probe.send(&pay(1, 1));
        let refused = wait_for("a refusal", || home.records_of("refusal").pop());
        assert!(refused["says"].as_str().unwrap().contains(says), "{status}: {refused}");
        denies(&home);
        assert!(is_refusal(&probe.answer(1)));
        probe.end();
    }
    assert_eq!(elsewhere.told().len(), 0);
}

fn u07_the_desktop_shows_what_waits_and_answers_nothing() {
    if !Desktop::can_be() {
        println!("not tried: it needs dbus-daemon (Debian's package dbus)");
        return;
    }
    let home = Home::new();
    let desktop = Desktop::new(home.path());
    home.policy(&format!("{ASKS}\n[approvals]\ndesktop = true\n"));
    let fake = home.fake(Script::default().with(tool("pay")));
    let mut command = command(&home, &[], &fake.command());
    let mut probe = Probe::of(command.envs([desktop.variable()])).begin();
    probe.send(&call(1, "pay", json!({ "to": "what only a terminal shows" })));
    let id = question(&home);
    let shown = wait_for("what is shown", || desktop.shown().pop());
    assert_eq!((&*shown.summary, shown.urgency), ("Stockade: a call waits for you", 1));
    assert!(shown.body.starts_with("The tool &quot;pay&quot; of &quot;"), "{shown:?}");
    assert!(shown.body.contains(&id) && !shown.body.contains("only a terminal"), "{shown:?}");
    assert_eq!(shown.actions, Vec::<String>::new());
    assert_eq!((desktop.closed(), sent(&fake, "pay").len()), (vec![], 0));
    // It is taken away once somebody has answered.
    denies(&home);
    assert!(is_refusal(&probe.answer(1)));
    wait_for("the end of what is shown", || Some(()).filter(|()| desktop.closed() == [1]));
    probe.end();
    // Without a desktop, everything else is as it was.
    drop(desktop);
    let mut probe = begun(&home, &fake);
    probe.send(&pay(2, 2));
    denies(&home);
    assert!(is_refusal(&probe.answer(2)));
    probe.end();
}

fn production_asks_no_address() {
    let receiver = Receiver::answering(|told| answer(told, "allow"));
    let home = Home::new();
    let table = receiver.table(&home, "approvals");
    home.policy(&format!(
        "[approvals]\nmode = \"production\"\n{table}\n[[tools]]\neffect = \"ask\"\ntool = \"pay\"\n"
    ));
    let fake = home.fake(Script::default().with(tool("pay")));
    let mut probe = begun(&home, &fake);
    assert!(is_refusal(&probe.ask(&pay(1, 1))));
    probe.end();
    assert_eq!(receiver.told().len(), 0);
}
