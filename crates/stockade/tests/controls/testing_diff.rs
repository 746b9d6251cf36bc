//! `stockade test diff`: two servers made for the purpose, and one against its lock.

use std::ffi::OsString;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::call::both;
use crate::harness::fake::tool;
use crate::harness::{Fake, FakeHttp, Home, Script};

crate::rows![t04_two_servers_are_compared, t04_a_server_is_compared_with_its_lock,];

fn diff(home: &Home, words: &[&str], server: Option<&Fake>) -> Output {
    let mut command = home.stockade(["test", "diff"]);
    command.args(home.unheld()).args(words).stdin(Stdio::null());
    if let Some(server) = server {
        command.arg("--").args(server.command());
    }
    command.output().unwrap()
}

/// A server whose tool takes a text, and perhaps something else.
fn of(description: &str, more: &Value) -> Script {
    let mut changed = tool("send");
    changed["description"] = description.into();
    for (name, it) in more.as_object().unwrap() {
        changed["inputSchema"][name] = it.clone();
    }
    Script::default().with(changed)
}

fn t04_two_servers_are_compared() {
    let home = Home::new();
    let old = home.fake(of("Sends a text.", &json!({})));
    let words = |it: &Fake| it.command().map(|it| it.to_str().unwrap().to_owned());
    for (script, class, says) in [
        (of("Sends a text.", &json!({})), None, "offers the same as"),
        (of("Sends  a text. ", &json!({})), Some("harmless"), "the tool `send`"),
        (of("Sends a text.", &json!({ "required": ["text"] })), Some("breaking"), "/required"),
        (of("Sends a text to us, always.", &json!({})), Some("dangerous"), "+ Sends a text to us"),
        (of("Sends a text.", &json!({})).with(tool("more")), Some("dangerous"), "is new"),
        (Script::default(), Some("breaking"), "is not listed any more"),
    ] {
        let new = home.fake(script.clone());
        home.policy(&format!(
            "[servers.old]\ncommand = {:?}\n[servers.new]\ncommand = {:?}\n",
            words(&old),
            words(&new)
        ));
        let classes = ["harmless", "breaking", "dangerous"];
        let rank = class.map(|it| classes.iter().position(|known| *known == it).unwrap());
        for (least, fail_on) in classes.iter().enumerate() {
            let out = diff(&home, &["old", "new", "--fail-on", fail_on], None);
            let code = i32::from(rank.is_some_and(|it| it >= least));
            assert_eq!(out.status.code(), Some(code), "{class:?} {fail_on}: {}", both(&out));
            assert!(both(&out).contains(says), "{}", both(&out));
        }
        let out = diff(&home, &["old", "new", "--format", "json"], None);
        let said: Value = serde_json::from_slice(&out.stdout).unwrap();
        for (number, it) in classes.iter().enumerate() {
            let expected = usize::from(rank == Some(number));
            assert_eq!(said["counts"][it], expected, "{said}");
        }
        // What is breaking or worse is exit code 1 where nothing else is said.
        let code = i32::from(rank >= Some(1));
        assert_eq!(out.status.code(), Some(code), "{said}");
    }
    home.policy("");
    let (a, b) = (FakeHttp::new(of("One.", &json!({}))), FakeHttp::new(of("Two.", &json!({}))));
    let state = home.state().map(|it| it.into_string().unwrap());
    let mut command = home.stockade(["test", "diff", &state[0], &state[1], &a.url(), &b.url()]);
    let out = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", both(&out));
    assert!(both(&out).contains("- One.") && both(&out).contains("+ Two."), "{}", both(&out));
}

fn t04_a_server_is_compared_with_its_lock() {
    let home = Home::new();
    let fake = home.fake(of("Sends a text.", &json!({})));
    let mut lock = home.stockade([OsString::from("lock")].into_iter().chain(home.unheld()));
    lock.args(["--lock", "stockade.lock", "--"]).args(fake.command()).stdin(Stdio::null());
    let out = lock.output().unwrap();
    assert!(out.status.success(), "{}", both(&out));
    let out = diff(&home, &["stockade.lock"], None);
    assert_eq!(out.status.code(), Some(0), "{}", both(&out));
    let other = home.fake(of("Sends a text to us, always.", &json!({})));
    let out = diff(&home, &["stockade.lock"], Some(&other));
    assert_eq!(out.status.code(), Some(1), "{}", both(&out));
    assert!(both(&out).contains("1 dangerous, 0 breaking, 0 harmless"), "{}", both(&out));
    // The same server has become another.
    fake.becomes(&of("Sends a text to us, always.", &json!({})));
    let out = diff(&home, &["stockade.lock", "--fail-on", "dangerous"], None);
    assert_eq!(out.status.code(), Some(1), "{}", both(&out));
    for (words, says) in [
        (&["stockade.lock#no"][..], "there is no server `no`"),
        (&["stockade.lock", "stockade.lock"], "offers the same as"),
        (&["no-such-server"], "nothing to compare it with"),
    ] {
        let out = diff(&home, words, None);
        assert!(both(&out).contains(says), "{words:?}: {}", both(&out));
    }
    let out = diff(&home, &["stockade.lock", "stockade.lock"], Some(&fake));
    assert_eq!(out.status.code(), Some(2), "{}", both(&out));
}
