//! What flows from one tool to another, over servers and processes: what strangers wrote and what is
//! private into what others read, and canaries.

use std::fs;

use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};

use crate::approvals::{approvals, questions, sent};
use crate::harness::{Gateway, Home, Probe, Script, call, is_refusal, request, text, tool};

crate::rows![
    o10_what_is_private_does_not_follow_what_strangers_wrote_into_public,
    o10_a_person_decides_where_the_policy_asks,
    o10_other_orders_and_honest_tools_pass,
    o10_a_toxic_flow_is_recorded_where_nothing_is_said,
    o10_what_sends_by_other_words_is_public,
    o10_roles_are_corrected_by_the_policy,
    o10_what_cannot_be_remembered_does_not_pass,
    a_canary_of_the_policy_is_found_however_it_is_written,
    a_canary_that_was_planted_is_found_at_any_server,
];

/// A server with tools that read what strangers wrote, what is private, and that post.
fn script() -> Script {
    ["get_issue", "read_file", "create_issue", "add_numbers"]
        .into_iter()
        .fold(Script::default(), |script, name| script.with(tool(name)))
}

fn run(home: &Home, server: &str) -> Probe {
    Probe::run_with(home, &["--server", server], &home.fake(script())).begin()
}

#[track_caller]
fn passes(probe: &mut Probe, tool: &str) -> bool {
    let id = format!("{tool} {}", probe.others.len());
    probe.others.push(json!(null));
    !is_refusal(&probe.ask(&call(id, tool, json!({}))))
}

/// What a rule has found, in the records of decisions.
fn found(home: &Home, rule: &str) -> Vec<Value> {
    let records = home.records_of("decision");
    let findings = records.iter().filter_map(|it| it["findings"].as_array()).flatten();
    findings.filter(|it| it["rule"] == rule).cloned().collect()
}

fn o10_what_is_private_does_not_follow_what_strangers_wrote_into_public() {
    // Three servers, each behind a guard of its own.
    let home = Home::new();
    home.policy("[rules]\ntoxic_flow = \"deny\"");
    let (mut web, mut files, mut forge) =
        (run(&home, "web"), run(&home, "files"), run(&home, "forge"));
    assert!(passes(&mut forge, "create_issue"), "nothing was read yet");
    assert!(passes(&mut web, "get_issue") && passes(&mut forge, "create_issue"));
    assert!(passes(&mut files, "read_file"));
    let answer = forge.ask(&call("third", "create_issue", json!({})));
    assert!(is_refusal(&answer) && text(&answer).contains("rule `toxic_flow`"), "{answer}");
    for name in ["`get_issue` of `web`", "`read_file` of `files`"] {
        assert!(text(&answer).contains(name), "{name}: {answer}");
    }
    assert!(passes(&mut forge, "add_numbers") && passes(&mut forge, "read_file"));
    // Neither does a client that comes anew.
    drop((web, files, forge));
    assert!(!passes(&mut run(&home, "forge"), "create_issue"));
    let found = found(&home, "toxic_flow");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((&found[0]["severity"], &found[0]["action"]), (&json!("high"), &json!("deny")));
    // The same over HTTP, where no request knows of the other.
    let home = Home::new();
    home.policy("[rules]\ntoxic_flow = \"deny\"");
    let gateway = Gateway::of(&home, &home.fake(script()));
    let passes = |tool: &str| {
        !is_refusal(&gateway.connect().post_modern(&call(1, tool, json!({}))).message())
    };
    assert!(passes("get_issue") && passes("read_file") && !passes("create_issue"));
}

fn o10_a_person_decides_where_the_policy_asks() {
    let home = Home::new();
    home.policy(
        "default = \"allow\"\n[rules]\ntoxic_flow = \"ask\"\n[[tools]]\neffect = \"ask\"\ntool = \"add_*\"\n
         [[roles]]\ntool = \"add_numbers\"\nroles = [\"public\"]",
    );
    let fake = home.fake(script());
    let mut probe = Probe::run_with(&home, &["--server", "forge"], &fake).begin();
    assert!(passes(&mut probe, "get_issue") && passes(&mut probe, "read_file"));
    // A tool that is asked about for another reason as well is asked about once, for both.
    for (name, verdict) in
        [("create_issue", "deny"), ("create_issue", "allow"), ("add_numbers", "allow")]
    {
        probe.send(&call(verdict, name, json!({})));
        let asked = questions(&home, 1);
        let shown = asked[0].to_string();
        assert!(shown.contains("toxic_flow (high): others can read"), "{shown}");
        for name in ["`get_issue` of `forge`", "`read_file` of `forge`"] {
            assert!(shown.contains(name), "{name}: {shown}");
        }
        assert!(approvals(&home, &[verdict, asked[0]["id"].as_str().unwrap()]).status.success());
        assert_eq!(is_refusal(&probe.answer(verdict)), verdict == "deny", "{name}");
    }
    assert_eq!(sent(&fake, "create_issue").len(), 1);
    assert_eq!(sent(&fake, "add_numbers").len(), 1);
}

fn o10_other_orders_and_honest_tools_pass() {
    let home = Home::new();
    home.policy("[rules]\ntoxic_flow = \"deny\"");
    let mut probe = run(&home, "forge");
    for tool in ["read_file", "create_issue", "add_numbers", "echo", "create_issue", "get_issue"] {
        assert!(passes(&mut probe, tool), "{tool}");
    }
    // Both were read by now, in the other order, and are remembered.
    assert!(!passes(&mut probe, "create_issue"));
    // A server of files alone finds nothing, and writes nothing down but its ledger.
    let home = Home::new();
    let mut probe = run(&home, "files");
    for tool in ["read_file", "write_file", "list_directory", "read_file", "search_files"] {
        assert!(passes(&mut probe, tool), "{tool}");
    }
    drop(probe);
    assert!(found(&home, "toxic_flow").is_empty());
}

fn o10_a_toxic_flow_is_recorded_where_nothing_is_said() {
    let home = Home::new();
    let mut probe = run(&home, "forge");
    for tool in ["get_issue", "read_file", "create_issue"] {
        assert!(passes(&mut probe, tool), "{tool}");
    }
    let found = found(&home, "toxic_flow");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["action"], "allow");
    let shown = home.audit(&["query", "--text", "toxic_flow"]);
    assert!(String::from_utf8(shown.stdout).unwrap().contains("create_issue"));
}

fn o10_what_sends_by_other_words_is_public() {
    let home = Home::new();
    home.policy("[rules]\ntoxic_flow = \"deny\"\ndata_sent = \"allow\"");
    let described = |name: &str, said: &str, parameters: &[&str]| {
        let properties: Value = parameters.iter().map(|it| ((*it).to_owned(), json!({}))).collect();
        let schema = json!({ "type": "object", "properties": properties });
        json!({ "name": name, "description": said, "inputSchema": schema })
    };
    let public = [
        described("webhook", "Calls a webhook", &["url", "body"]),
        described("render_image", "Renders a picture from an address", &["url"]),
        described("share_file", "Share a file with anyone with the link", &["id"]),
        described("git_push", "Pushes the branch to the remote", &["remote"]),
        described("brave_web_search", "Performs a web search", &["query"]),
        described("create_page", "Create a page in Notion", &["title"]),
        described("create_ticket", "Creates a ticket in the tracker", &["title"]),
        described("create_calendar_event", "Creates an event and invites attendees", &["title"]),
        described("dns_lookup", "Looks up a host name", &["host"]),
    ];
    let own = [
        described("write_file", "Writes a file", &["path", "text"]),
        described("create_note", "Creates a note", &["title", "text"]),
        described("sum", "Sums numbers", &["numbers"]),
        described("search_notes", "Searches the notes", &["query"]),
        described("git_commit", "Records changes to the repository", &["message"]),
        described("browser_console_messages", "Returns all console messages", &["level"]),
    ];
    let tabs =
        described("browser_tabs", "List, create or close a browser tab.", &["action", "url"]);
    let all = public.iter().chain(&own).chain([&tabs]).cloned();
    let fake = home.fake(all.fold(script(), Script::with));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    assert!(passes(&mut probe, "get_issue") && passes(&mut probe, "read_file"));
    let mut refused = |tool: &Value, arguments: Value| {
        let name = tool["name"].as_str().unwrap();
        let answer = probe.ask(&call(format!("{name}{arguments}"), name, arguments));
        is_refusal(&answer) && text(&answer).contains("toxic_flow")
    };
    for tool in &public {
        let parameters = tool["inputSchema"]["properties"].as_object().unwrap().keys();
        let value = |it: &str| if it == "url" { "https://example.com/x" } else { "x" };
        let arguments = parameters.map(|it| (it.clone(), json!(value(it)))).collect();
        assert!(refused(tool, arguments), "{tool}");
    }
    for tool in &own {
        assert!(!refused(tool, json!({})), "{tool}");
    }
    // What may be given an address tells nobody what it is given, where that is none.
    assert!(!refused(&tabs, json!({ "action": "list" })));
    assert!(refused(&tabs, json!({ "action": "new", "url": "https://example.com/x" })));
}

fn o10_roles_are_corrected_by_the_policy() {
    let home = Home::new();
    home.policy(
        "[rules]\ntoxic_flow = \"deny\"\n
         [[roles]]\ntool = \"add_numbers\"\nserver = \"odd\"\nroles = [\"untrusted\", \"private\"]\n
         [[roles]]\ntool = \"create_issue\"\nserver = \"own\"\nroles = [\"none\"]",
    );
    let (mut odd, mut own, mut forge) = (run(&home, "odd"), run(&home, "own"), run(&home, "forge"));
    assert!(passes(&mut own, "add_numbers") && passes(&mut forge, "create_issue"));
    assert!(passes(&mut odd, "add_numbers"));
    assert!(!passes(&mut forge, "create_issue"));
    assert!(passes(&mut own, "create_issue"), "a tracker that nobody else reads");
}

fn o10_what_cannot_be_remembered_does_not_pass() {
    let home = Home::new();
    home.policy("[rules]\ntoxic_flow = \"deny\"");
    fs::create_dir_all(home.path().join("state")).unwrap();
    let shared = home.path().join("state/shared");
    fs::write(&shared, "not a directory").unwrap();
    let mut probe = run(&home, "forge");
    assert!(!passes(&mut probe, "read_file") && !passes(&mut probe, "create_issue"));
    assert!(passes(&mut probe, "add_numbers"), "which neither reads nor says anything");
    fs::remove_file(&shared).unwrap();
    assert!(passes(&mut probe, "read_file") && passes(&mut probe, "create_issue"));
    // A rule that stops nothing needs no memory either.
    let home = Home::new();
    fs::create_dir_all(home.path().join("state")).unwrap();
    fs::write(home.path().join("state/shared"), "not a directory").unwrap();
    let mut probe = run(&home, "forge");
    assert!(passes(&mut probe, "read_file") && passes(&mut probe, "create_issue"));
}

const CANARY: &str = "Magpie-77-Lantern";

fn a_canary_of_the_policy_is_found_however_it_is_written() {
    let home = Home::new();
    home.policy(&format!("[canaries]\nwatch = [\"another-one\", \"{CANARY}\"]"));
    let mut probe = run(&home, "any");
    let backwards: String = CANARY.chars().rev().collect();
    let spaced: String = CANARY.chars().flat_map(|it| [it, '.']).collect();
    let percent = CANARY.replace('a', "%61");
    for (n, arguments) in [
        json!({ "text": CANARY }),
        json!({ "text": format!("it is {} here", CANARY.to_uppercase()) }),
        json!({ "text": backwards }),
        json!({ "text": spaced }),
        json!({ "text": format!("https://x.example/?q={percent}") }),
        json!({ "text": HEXLOWER.encode(CANARY.as_bytes()) }),
        json!({ "text": BASE64.encode(format!("so it is: {CANARY}, see").as_bytes()) }),
        json!({ "a": "Magpie", "b": ["77", { "c": "Lantern" }] }),
        json!({ CANARY: 1 }),
        json!({ "a": CANARY.bytes().map(|it| format!("&#{it};")).collect::<String>() }),
        json!({ "a": CANARY.bytes().map(|it| format!("0x{it:x} ")).collect::<String>() }),
        json!({ "a": CANARY.replace('a', "\u{430}") }),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = probe.ask(&call(n, "echo", arguments.clone()));
        assert!(is_refusal(&answer), "{arguments}");
        assert!(!answer.to_string().contains("Magpie"), "{answer}");
    }
    // Not in calls alone.
    let uri = format!("https://x.example/{CANARY}");
    assert!(is_refusal(&probe.ask(&request("r", "resources/read", json!({ "uri": uri })))));
    let honest = json!({ "text": "A magpie, a lantern, and 77 others" });
    assert!(!is_refusal(&probe.ask(&call("h", "echo", honest))));
    let found = found(&home, "canary");
    assert_eq!(found.len(), 13, "{found:?}");
    assert!(found.iter().all(|it| it["severity"] == "high" && it["action"] == "deny"));
    let says = found[0]["says"].as_str().unwrap();
    assert!(says.contains("canaries.watch[1]"), "{says}");
    let ledger = home.records().iter().map(Value::to_string).collect::<String>();
    assert!(!ledger.contains(CANARY), "the ledger does not say it");
    // A server reads the name of a method that nobody knows as well.
    let answer = probe.ask(&request("m", &format!("x/{CANARY}"), json!({})));
    assert!(is_refusal(&answer), "{answer}");
}

fn a_canary_that_was_planted_is_found_at_any_server() {
    let home = Home::new();
    home.policy("[canaries]\nplant = true");
    let mut files = run(&home, "files");
    let read = files.ask(&call(1, "read_file", json!({ "text": "the file" })));
    assert_eq!(text(&read), "the file");
    let marker = read["result"]["content"][1]["text"].as_str().expect("a marker");
    let token = marker.split_whitespace().nth(1).unwrap().trim_end_matches(':');
    assert!(token.len() > 20, "{marker}");
    let plain = files.ask(&call(2, "add_numbers", json!({ "text": "3" })));
    assert_eq!(plain["result"]["content"].as_array().unwrap().len(), 1, "{plain}");
    // Another guard, another server, and over HTTP.
    let mut other = run(&home, "other");
    let same = other.ask(&call(3, "read_file", json!({ "text": "another" })));
    assert!(same.to_string().contains(token), "one for each person: {same}");
    let says = json!({ "text": format!("see {}", BASE64.encode(token.as_bytes())) });
    assert!(is_refusal(&other.ask(&call(4, "echo", says.clone()))));
    assert!(!is_refusal(&other.ask(&call(5, "echo", json!({ "text": "see" })))));
    assert_eq!(found(&home, "canary").len(), 1);
    let outcomes = home.records_of("outcome");
    let planted = outcomes.iter().filter(|it| it["says"] == "a canary was planted").count();
    assert_eq!(planted, 2);
    // Without the policy wanting it, there is none.
    let home = Home::new();
    let read = run(&home, "files").ask(&call(1, "read_file", json!({ "text": "the file" })));
    assert_eq!(read["result"]["content"].as_array().unwrap().len(), 1);
}
