//! Grants: what was allowed for later is for what it was given for, and stands no longer than that.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use std::{env, fs, thread};

use serde_json::{Value, json};

use crate::approvals::{
    ASKS, approvals, asking, complained, listed, pay, question, questions, said, service,
};
use crate::harness::process::kill;
use crate::harness::{Home, Probe, Script, call, is_refusal, request, say, tool};

crate::rows![
    u03_a_grant_is_for_one_tool_as_it_was,
    u03_a_grant_is_for_one_server_and_one_time,
    u03_a_grant_names_arguments_that_there_are,
    u03_a_grant_ends_with_its_tool_for_good,
    u03_a_grant_is_for_a_server_as_it_is_held,
    u03_a_grant_ends_with_the_code_that_the_command_names,
    u03_a_grant_follows_no_link_out_of_its_directory,
    u03_a_grant_that_nobody_has_given_is_void,
];

fn u03_a_grant_ends_with_its_tool_for_good() {
    let home = Home::new();
    home.policy(ASKS);
    let listing = |text: &str| {
        let tools = json!([{ "name": "pay", "description": text, "inputSchema": {} }]);
        Script::default().on(
            "tools/list",
            [say(json!({ "jsonrpc": "2.0", "id": "$id", "result": { "tools": tools } }))],
        )
    };
    let fake = home.fake(listing("Pays."));
    fake.becomes(&listing("Pays."));
    let mut probe = listed(&home, &fake);
    probe.send(&pay(1, 1));
    said(&approvals(&home, &["allow", &question(&home), "--always"]));
    probe.answer(1);
    assert!(!is_refusal(&probe.ask(&pay(2, 1))));
    for (id, text) in [(3, "Pays twice."), (4, "Pays.")] {
        fake.becomes(&listing(text));
        probe.ask(&request(format!("list {id}"), "tools/list", json!({})));
        probe.send(&pay(id, 1));
        said(&approvals(&home, &["deny", &question(&home)]));
        assert!(is_refusal(&probe.answer(id)), "{text}");
    }
    assert_eq!(said(&approvals(&home, &["grants"])), "nothing is granted\n");
    let ended = home.records_of("grant").pop().unwrap();
    assert!(ended["says"].as_str().unwrap().contains("describes the tool otherwise"), "{ended}");
}

/// A server that only has `pay`.
const PAYS: &str = r#"
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked: continue
    result = {"content": [{"type": "text", "text": "PAID"}]}
    if asked["method"] == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
    if asked["method"] == "tools/list":
        result = {"tools": [{"name": "pay", "inputSchema": {"type": "object"}}]}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"#;

fn u03_a_grant_is_for_a_server_as_it_is_held() {
    let home = Home::new();
    home.policy(ASKS);
    let script = home.path().join("pays.py");
    let (data, more) = (home.path().join("data"), home.path().join("more"));
    std::fs::write(&script, PAYS).unwrap();
    std::fs::create_dir(&data).unwrap();
    std::fs::create_dir(&more).unwrap();
    let run = |options: &[&str]| {
        let mut command = home.stockade(["run"]);
        command.args(home.state()).args(options).args(["--allow-weaker", "memory"]);
        command.args(["--", "python3"]).arg(&script).env("TOKEN", "x");
        let mut probe = Probe::of(&mut command).begin();
        probe.ask(&request("list", "tools/list", json!({})));
        probe
    };
    let root = |it: &std::path::Path, mode: &str| format!("{}{mode}", it.display());
    let data = root(&data, ":rw");
    let usual = ["--root", &data];
    let mut probe = run(&usual);
    probe.send(&pay(1, 1));
    said(&approvals(&home, &["allow", &question(&home), "--always"]));
    probe.answer(1);
    drop(probe);
    assert!(!is_refusal(&run(&usual).ask(&pay(1, 1))), "it is held as before");
    let asks = |mut probe: Probe, why: &str| {
        probe.send(&pay(1, 1));
        said(&approvals(&home, &["deny", &question(&home)]));
        assert!(is_refusal(&probe.answer(1)), "{why}");
    };
    asks(run(&["--sandbox", "none"]), "nothing holds it");
    let more = root(&more, ":rw");
    asks(run(&[&usual[..], &["--root", &more]].concat()), "it has more");
    asks(run(&[&usual[..], &["--env", "TOKEN"]].concat()), "it is told more");
    asks(run(&[&usual[..], &["--net", "host.example=192.0.2.1"]].concat()), "it reaches more");
    std::fs::write(&script, format!("{PAYS}\n# another program\n")).unwrap();
    asks(run(&usual), "it is another program");
}

fn u03_a_grant_ends_with_the_code_that_the_command_names() {
    for (words, file) in [
        (&["pays", "notes.db"][..], "bin/pays"),
        (&["python3", "pays", "notes.db"], "pays"),
        (&["python3", "pays.pyw", "notes.db"], "pays.pyw"),
        (&["sh", "run", "notes.db"], "run"),
        (&["python3", "dir", "notes.db"], "dir/__main__.py"),
        (&["env", "-S", "python3 pays notes.db"], "pays"),
        (&["sh", "-c", "exec python3 ./pays notes.db"], "./pays"),
    ] {
        let home = Home::new();
        home.policy(ASKS);
        let at = |name: &str| home.path().join(name);
        let server = format!("#!/usr/bin/env python3\n{PAYS}");
        for name in ["bin/pays", "pays", "pays.pyw", "dir/__main__.py"] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), &server).unwrap();
        }
        fs::set_permissions(at("bin/pays"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(at("run"), "exec python3 dir \"$@\"\n").unwrap();
        let path = env::var_os("PATH").unwrap();
        let path = env::join_paths([at("bin")].into_iter().chain(env::split_paths(&path))).unwrap();
        let run = || {
            let mut command = home.stockade(["run"]);
            command.args(home.unheld()).arg("--").args(words).env("PATH", &path);
            let mut probe = Probe::of(&mut command).begin();
            probe.ask(&request("list", "tools/list", json!({})));
            probe
        };
        let mut probe = run();
        probe.send(&pay(1, 1));
        said(&approvals(&home, &["allow", &question(&home), "--always"]));
        probe.answer(1);
        drop(probe);
        fs::write(at("notes.db"), "other notes").unwrap();
        assert!(!is_refusal(&run().ask(&pay(1, 1))), "{words:?}: it is as before");
        let changed = format!("{}\n# changed\n", fs::read_to_string(at(file)).unwrap());
        fs::write(at(file), changed).unwrap();
        let mut probe = run();
        probe.send(&pay(1, 1));
        said(&approvals(&home, &["deny", &question(&home)]));
        assert!(is_refusal(&probe.answer(1)), "{words:?}: {file} is another");
    }
}

fn u03_a_grant_follows_no_link_out_of_its_directory() {
    let (home, fake) = asking();
    let notes = home.path().join("notes");
    std::fs::create_dir(&notes).unwrap();
    std::fs::create_dir(home.path().join("private")).unwrap();
    std::os::unix::fs::symlink("../private", notes.join("x")).unwrap();
    let mut probe = listed(&home, &fake);
    let at = |path: &str| json!({ "path": notes.join(path) });
    probe.send(&call(1, "pay", at("a")));
    let within = format!("path=within:{}", notes.display());
    said(&approvals(&home, &["allow", &question(&home), "--always", "--arg", &within]));
    assert!(!is_refusal(&probe.answer(1)));
    assert!(!is_refusal(&probe.ask(&call(2, "pay", at("b/c")))));
    for (id, path) in [(3, "x/key"), (4, "../private/key")] {
        probe.send(&call(id, "pay", at(path)));
        said(&approvals(&home, &["deny", &question(&home)]));
        assert!(is_refusal(&probe.answer(id)), "{path}");
    }
}

fn u03_a_grant_that_nobody_has_given_is_void() {
    let (home, fake) = asking();
    let mut probe = listed(&home, &fake);
    probe.send(&pay(1, 1));
    said(&approvals(&home, &["allow", &question(&home), "--always"]));
    probe.answer(1);
    assert!(!is_refusal(&probe.ask(&pay(2, 1))));
    drop(probe);
    kill(service(&home));
    // As it is kept, it stands; what somebody has written beside it, or into it, does not.
    let file = home.path().join("state/approvals/grants.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let mut forged = kept[0].clone();
    forged["id"] = json!("g00000001");
    forged["arguments"] = json!({ "to": "any", "sum": "any" });
    let mut unvouched = forged.clone();
    unvouched.as_object_mut().unwrap().remove("voucher");
    unvouched["id"] = json!("g00000002");
    let all = json!([kept[0], forged, unvouched]);
    std::fs::write(&file, all.to_string()).unwrap();
    let mut probe = listed(&home, &fake);
    assert!(!is_refusal(&probe.ask(&pay(3, 1))), "the one that was given");
    probe.send(&pay(4, 1_000_000));
    said(&approvals(&home, &["deny", &question(&home)]));
    assert!(is_refusal(&probe.answer(4)));
    // It shows, and goes when it is revoked.
    let listed = said(&approvals(&home, &["grants"]));
    assert_eq!(listed.matches("void").count(), 2, "{listed}");
    let told = home.records_of("refusal");
    let told = |id: &str| told.iter().any(|it| it["says"].as_str().unwrap().contains(id));
    assert!(told("g00000001") && told("g00000002"));
    said(&approvals(&home, &["revoke", "g00000001"]));
    said(&approvals(&home, &["revoke", "g00000002"]));
    assert!(!said(&approvals(&home, &["grants"])).contains("void"));
}

fn u03_a_grant_is_for_one_tool_as_it_was() {
    let home = Home::new();
    home.policy(ASKS);
    let listing = |text: &str| {
        let tools =
            json!([{ "name": "pay", "description": text, "inputSchema": {} }, tool("echo")]);
        say(json!({ "jsonrpc": "2.0", "id": "$id", "result": { "tools": tools } }))
    };
    let fake = home.fake(Script::default().on("tools/list", [listing("Pays.")]));
    let mut probe = listed(&home, &fake);
    probe.send(&pay(1, 1));
    let first = question(&home);
    let arguments = ["allow", &first, "--always", "--for", "1h", "--arg", "sum=matches:[0-9]+"];
    assert!(complained(&approvals(&home, &arguments)).contains("very call"), "a number is no text");
    said(&approvals(&home, &["allow", &first, "--always", "--for", "1h", "--arg", "sum=any"]));
    assert!(!is_refusal(&probe.answer(1)));
    assert!(!is_refusal(&probe.ask(&pay(2, 700))), "within the bounds");
    // Other arguments, more of them, another tool.
    let asks = |probe: &mut Probe, message: &Value| {
        probe.send(message);
        let question = question(&home);
        said(&approvals(&home, &["deny", &question]));
        assert!(is_refusal(&probe.answer(message["id"].clone())), "{message}");
    };
    asks(&mut probe, &call(3, "pay", json!({ "to": "another", "sum": 1 })));
    asks(&mut probe, &call(4, "pay", json!({ "to": "somebody", "sum": 1, "more": 1 })));
    asks(&mut probe, &call(5, "pay", json!({ "sum": 1 })));
    // It is listed, and it is in the ledger, as is each call that it has let pass.
    let grants = said(&approvals(&home, &["grants", "--format", "json"]));
    let grants: Value = serde_json::from_str(&grants).unwrap();
    let grant = grants[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(grants[0]["arguments"]["to"], json!({ "equals": "somebody" }));
    assert!(said(&approvals(&home, &["grants"])).contains(&grant));
    assert_eq!(home.records_of("grant").len(), 1);
    let by = |it: &Value| it["channel"] == format!("grant {grant}");
    assert_eq!(home.records_of("decision").iter().filter(|it| by(it)).count(), 1);
    // Taken back, it holds no more.
    said(&approvals(&home, &["revoke", &grant]));
    complained(&approvals(&home, &["revoke", &grant]));
    asks(&mut probe, &pay(6, 1));
    // Given again, it ends with the tool that it was given for.
    probe.send(&pay(7, 1));
    let again = question(&home);
    said(&approvals(&home, &["allow", &again, "--always"]));
    probe.answer(7);
    assert!(!is_refusal(&probe.ask(&pay(8, 1))));
    probe.end();
    let changed = home.fake(Script::default().on("tools/list", [listing("Pays more.")]));
    std::fs::copy(&changed.script, &fake.script).unwrap();
    let mut probe = listed(&home, &fake);
    asks(&mut probe, &pay(9, 1));
}

fn u03_a_grant_is_for_one_server_and_one_time() {
    let (home, fake) = asking();
    let mut probe = listed(&home, &fake);
    probe.send(&pay(1, 1));
    let first = question(&home);
    said(&approvals(&home, &["allow", &first, "--always", "--for", "8s"]));
    probe.answer(1);
    assert!(!is_refusal(&probe.ask(&pay(2, 1))));
    // The same tools, by another command.
    let other = home.fake(Script::default().with(tool("pay")).with(tool("pay_all")));
    let mut another = listed(&home, &other);
    another.send(&pay(1, 1));
    said(&approvals(&home, &["deny", &question(&home)]));
    assert!(is_refusal(&another.answer(1)));
    // A tool that its server has not listed cannot be seen to change.
    let mut unlisted = Probe::run(&home, &other).begin();
    drop(another);
    let fresh = home.fake(Script::default());
    drop(unlisted);
    unlisted = Probe::run(&home, &fresh).begin();
    unlisted.send(&pay(1, 1));
    let question = question(&home);
    let complaint = complained(&approvals(&home, &["allow", &question, "--always"]));
    assert!(complaint.contains("has not described"), "{complaint}");
    drop(unlisted);
    questions(&home, 0);
    thread::sleep(Duration::from_secs(8));
    probe.send(&pay(3, 1));
    questions(&home, 1);
    assert_eq!(said(&approvals(&home, &["grants"])), "nothing is granted\n");
}

fn u03_a_grant_names_arguments_that_there_are() {
    let home = Home::new();
    home.policy(ASKS);
    let properties = json!({ "to": {}, "sum": {}, "note": {} });
    let pays =
        json!({ "name": "pay", "inputSchema": { "type": "object", "properties": properties } });
    let fake = home.fake(Script::default().with(pays));
    let mut probe = listed(&home, &fake);
    probe.send(&pay(1, 1));
    let first = question(&home);
    let allow = |bound: &str| approvals(&home, &["allow", &first, "--always", "--arg", bound]);
    for bound in ["nope=any", "Note=any", "note =any", "=any"] {
        let complaint = complained(&allow(bound));
        assert!(
            complaint.contains("`pay` has no argument") && complaint.contains("`note`"),
            "{complaint}"
        );
    }
    assert_eq!(said(&approvals(&home, &["grants"])), "nothing is granted\n");
    said(&allow("note=any"));
    assert!(!is_refusal(&probe.answer(1)));
    let more = call(2, "pay", json!({ "to": "somebody", "sum": 1, "note": "x" }));
    assert!(!is_refusal(&probe.ask(&more)));
}
