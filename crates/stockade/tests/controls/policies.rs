//! Policies, as somebody works with them: tested by cases, explained for a call and for a record, and
//! looked at in shadow before anything of them is enforced.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::approvals::{approvals, waiting};
use crate::harness::{
    Gateway, Home, Probe, Script, Step, call, is_refusal, request, say, text, tool, wait_for,
};
use crate::lock::{Place, listed, names};

crate::rows![
    l08_a_policy_is_tested_by_cases,
    l08_a_case_that_is_written_wrong_ends_with_its_line,
    l08_a_rule_that_no_case_met_is_named,
    l08_a_call_is_explained_as_a_guard_decides_it,
    l08_a_call_of_the_ledger_is_explained,
    l08_what_nobody_is_asked_about_is_denied,
    l08_check_tells_who_may_ask_and_what_tools_are,
    l08_the_examples_of_the_documentation_are_true,
    l08_in_shadow_everything_is_decided_and_nothing_is_done,
    l08_in_shadow_over_http_as_well,
    l08_what_is_no_policy_holds_in_shadow,
    l08_a_lock_and_a_clock_hold_in_shadow,
    l08_a_rule_may_be_in_shadow_alone,
    l08_shadow_ends_when_the_file_says_so,
    l08_a_rule_has_one_name,
    l08_each_policy_to_begin_with_does_what_its_cases_say,
    l08_a_policy_to_begin_with_is_for_what_was_named,
];

const POLICY: &str = r#"default = "deny"
roots = ["/usr/share"]

[rules]
hidden_unicode = "fix"

[[tools]]
name = "reads"
effect = "allow"
tool = ["read_*", "say"]

[[tools]]
name = "pays"
effect = "ask"
tool = "pay"

[[tools]]
effect = "deny"
tool = "*"
when = "has(args.path) && args.path.endsWith('.env')"
"#;

const CASES: &str = r#"policy = "stockade.toml"
tools = "tools.json"

[[cases]]
name = "a document is read"
tool = "read_file"
args = { path = "/usr/share/a" }
expect = "allow"
rule = "tools.reads"
answer = "the key is ghp_Zk82nVx7Lp0Rt5WqBaJ3mTs9YcH4dFeGu1oX"
arrives = "fix"
arrives_rule = "secret"

[[cases]]
name = "nothing else is"
tool = "read_file"
args = { path = "/etc/passwd" }
expect = "deny"
rule = "path_outside_roots"

[[cases]]
tool = "read_file"
args = '{"path": "/usr/share/.env"}'
expect = "deny"
rule = "tools[2]"

[[cases]]
tool = "say"
args = { text = "a\u200bb" }
expect = "fix"
rule = "hidden_unicode"
mended = { text = "ab" }

[[cases]]
tool = "pay"
args = { text = "all" }
expect = "ask"
rule = "tools.pays"
answer = "done"
arrives = "allow"

[[cases]]
tool = "unheard_of"
expect = "deny"
rule = "default"
"#;

/// A home with a policy, cases and tools beside each other.
fn home() -> Home {
    let home = Home::new();
    let path = json!({ "path": { "type": "string" } });
    let read =
        json!({ "name": "read_file", "inputSchema": { "type": "object", "properties": path } });
    let tools = json!({ "tools": [read, tool("say"), tool("pay")] });
    put(&home, "stockade.toml", POLICY);
    put(&home, "tools.json", &tools.to_string());
    put(&home, "cases.toml", CASES);
    home
}

fn put(home: &Home, name: &str, text: &str) {
    fs::write(home.path().join(name), text).unwrap();
}

/// `stockade policy …`, in the directory of `home`.
fn policy(home: &Home, args: &[&str]) -> Output {
    home.stockade(["policy"]).args(args).stdin(Stdio::null()).output().unwrap()
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |it: &[u8]| String::from_utf8(it.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn l08_a_policy_is_tested_by_cases() {
    let home = home();
    let (code, out, err) = told(&policy(&home, &["test", "cases.toml"]));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.starts_with("ok: cases.toml: 6 cases\n"), "{out}");
    assert!(out.contains("stockade.toml: each of its 5 rules was met by a case"), "{out}");
    // One expectation that is not so, of each sort.
    for (was, now, says) in [
        (
            "expect = \"ask\"",
            "expect = \"allow\"",
            "expected allow by tools.pays, and it is ask by tools.pays (stockade.toml:12)",
        ),
        (
            "rule = \"tools[2]\"",
            "rule = \"tools.reads\"",
            "expected deny by tools.reads, and it is deny by tools[2] (stockade.toml:17)",
        ),
        (
            "mended = { text = \"ab\" }",
            "mended = { text = \"a\" }",
            "it goes on as {\"text\":\"ab\"}, and not as {\"text\":\"a\"}",
        ),
        (
            "arrives = \"fix\"",
            "arrives = \"deny\"",
            "of the answer, expected deny by secret, and it is fix by secret (built in)",
        ),
        (
            "arrives_rule = \"secret\"",
            "arrives_rule = \"canary\"",
            "of the answer, expected fix by canary",
        ),
        (
            "rule = \"path_outside_roots\"",
            "answer = \"x\"\narrives = \"allow\"",
            "there is no answer, since the call does not go on",
        ),
    ] {
        put(&home, "cases.toml", &CASES.replace(was, now));
        let (code, out, _) = told(&policy(&home, &["test", "cases.toml"]));
        assert_eq!(code, Some(1), "{now}: {out}");
        assert!(out.starts_with("not ok: cases.toml: 5 of 6 cases as expected\n"), "{now}: {out}");
        assert!(out.contains(says), "{now}: {out}");
    }
    // As a program reads it, and as continuous integration does.
    put(&home, "cases.toml", &CASES.replace("expect = \"ask\"", "expect = \"allow\""));
    let told_json = json_of(&policy(&home, &["test", "cases.toml", "--format", "json"]));
    assert_eq!((&told_json["cases"], &told_json["failed"]), (&json!(6), &json!(1)));
    let failed = &told_json["files"][0]["cases"][4];
    assert_eq!(
        (&failed["ok"], &failed["line"], &failed["name"]),
        (&json!(false), &json!(34), &json!("pay"))
    );
    let (code, out, _) = told(&policy(&home, &["test", "cases.toml", "--format", "junit"]));
    assert_eq!(code, Some(1));
    assert!(out.contains(r#"<testsuite name="cases.toml" tests="6""#), "{out}");
    assert!(
        out.contains(r#"failures="1""#) && out.contains(r#"name="a document is read""#),
        "{out}"
    );
    // Another policy in place of that of the file; in shadow it is tested as if it were enforced.
    put(&home, "cases.toml", CASES);
    put(&home, "other.toml", &format!("mode = \"shadow\"\n{POLICY}"));
    let other = policy(&home, &["test", "cases.toml", "--policy", "other.toml"]);
    assert!(other.status.success(), "{other:?}");
    put(&home, "other.toml", "default = \"allow\"\n");
    let other = policy(&home, &["test", "cases.toml", "--policy", "other.toml"]);
    assert_eq!(other.status.code(), Some(1), "{other:?}");
}

fn l08_a_case_that_is_written_wrong_ends_with_its_line() {
    let home = home();
    for (was, now, says) in [
        ("expect = \"ask\"", "expected = \"ask\"", "there is no key `expected`"),
        ("expect = \"ask\"", "expect = \"asks\"", "there is no action `asks`"),
        ("tool = \"pay\"\n", "", "`tool` is missing"),
        ("arrives = \"fix\"", "arrives = 1", "a string is wanted here, not an integer"),
        ("answer = \"done\"\n", "", "there is no answer that could arrive"),
        ("policy = \"stockade.toml\"\n", "", "names no policy"),
        ("stockade.toml", "none.toml", "cannot read policy `none.toml`"),
        ("tools.json", "none.json", "cannot read the tools in `none.json`"),
        (
            "[[cases]]\nname = \"nothing else",
            "[[case]]\nname = \"nothing else",
            "there is no key `case`",
        ),
        ("args = { text = \"all\" }", "args = { text = ", "this is not TOML"),
    ] {
        put(&home, "cases.toml", &CASES.replacen(was, now, 1));
        let (code, _, err) = told(&policy(&home, &["test", "cases.toml"]));
        assert_eq!(code, Some(2), "{now}: {err}");
        assert!(err.contains(says), "{now}: {err}");
    }
    put(&home, "cases.toml", &CASES.replace("expect = \"ask\"", "expected = \"ask\""));
    let (_, _, err) = told(&policy(&home, &["test", "cases.toml"]));
    assert!(err.contains("cases.toml:37:1") && err.contains("there is `expect`"), "{err}");
    // What can be read is tested all the same.
    put(&home, "right.toml", CASES);
    let (code, out, _) = told(&policy(&home, &["test", "cases.toml", "right.toml", "absent.toml"]));
    assert_eq!(code, Some(2));
    assert!(out.contains("ok: right.toml: 6 cases"), "{out}");
}

fn l08_a_rule_that_no_case_met_is_named() {
    let home = home();
    let without = CASES
        .replace("rule = \"tools.pays\"\n", "")
        .replace("tool = \"pay\"", "tool = \"pay_all\"");
    put(
        &home,
        "cases.toml",
        &without
            .replace("expect = \"ask\"", "expect = \"deny\"")
            .replace("answer = \"done\"\narrives = \"allow\"\n", ""),
    );
    let (code, out, _) = told(&policy(&home, &["test", "cases.toml"]));
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains("1 of its 5 rules were met by no case: tools.pays (stockade.toml:12)"),
        "{out}"
    );
    let all = policy(&home, &["test", "cases.toml", "--all-rules", "--format", "json"]);
    assert_eq!(all.status.code(), Some(1));
    assert_eq!(json_of(&all)["unmet"][0]["rule"], "tools.pays");
    let (_, out, _) =
        told(&policy(&home, &["test", "cases.toml", "--all-rules", "--format", "junit"]));
    assert!(out.contains("rules that no case met") && out.contains("tools.pays"), "{out}");
}

/// Calls, of which each is decided by something else.
fn calls() -> Vec<(&'static str, Value)> {
    vec![
        ("read_file", json!({ "path": "/usr/share/a" })),
        ("read_file", json!({ "path": "/usr/share/../b" })),
        ("read_file", json!({ "path": "/usr/share/.env" })),
        ("read_file", json!({ "path": 7 })),
        ("say", json!({ "text": "a\u{200b}b" })),
        ("say", json!({ "text": "plain" })),
        ("pay", json!({ "text": "all" })),
        ("unheard_of", json!({})),
        ("READ_FILE", json!({ "path": "/usr/share/a" })),
    ]
}

/// What a guard has decided about each, and by which rule.
fn decided(home: &Home) -> Vec<(String, String)> {
    let file = home.policy(POLICY);
    put(home, "stockade.toml", POLICY);
    assert!(file.exists());
    let tools: Value =
        serde_json::from_slice(&fs::read(home.path().join("tools.json")).unwrap()).unwrap();
    let tools = tools["tools"].as_array().unwrap().clone();
    let fake = home.fake(tools.into_iter().fold(Script::default(), Script::with));
    let mut probe = Probe::run(home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    for (n, (tool, arguments)) in calls().into_iter().enumerate() {
        let id = format!("call {n}");
        probe.send(&call(id.clone(), tool, arguments));
        if tool == "pay" {
            let asked = wait_for("a question", || waiting(home).first().cloned());
            assert!(approvals(home, &["deny", asked["id"].as_str().unwrap()]).status.success());
        }
        probe.answer(id);
    }
    assert_eq!(probe.end().code, Some(0));
    let records = home.records();
    let calls =
        records.iter().filter(|it| it["kind"] == "decision" && it["method"] == "tools/call");
    let decided = calls.map(|it| {
        let was_asked = it.get("approved_digest").is_some();
        let decision = match it["decision"].as_str().unwrap() {
            _ if was_asked => "ask",
            "allow" if it["mended"] == json!(true) => "fix",
            other => other,
        };
        let rule = match decision {
            "fix" => it["findings"][0]["rule"].as_str(),
            _ => it["rule"].as_str(),
        };
        (decision.to_owned(), rule.unwrap_or_default().to_owned())
    });
    decided.collect()
}

fn l08_a_call_is_explained_as_a_guard_decides_it() {
    let home = home();
    let decided = decided(&home);
    assert_eq!(decided.len(), calls().len());
    for ((tool, arguments), (decision, rule)) in calls().into_iter().zip(&decided) {
        let arguments = arguments.to_string();
        let line = ["explain", "--tool", tool, "--args", &arguments, "--tools", "tools.json"];
        let explained =
            policy(&home, &[&line[..], &["--format", "json", "stockade.toml"]].concat());
        let explained = json_of(&explained);
        assert_eq!(explained["verdict"], *decision, "{tool} {arguments}: {explained}");
        assert_eq!(explained["by"][0]["rule"], *rule, "{tool} {arguments}: {explained}");
    }
    let verdicts: Vec<&str> = decided.iter().map(|(it, _)| it.as_str()).collect();
    assert_eq!(verdicts, ["allow", "deny", "deny", "deny", "fix", "allow", "ask", "deny", "deny"]);
    // With the place of each, for a person.
    let line = ["explain", "--tool", "read_file", "--args", "{\"path\": \"/usr/share/.env\"}"];
    let (code, out, _) = told(&policy(&home, &[&line[..], &["stockade.toml"]].concat()));
    assert_eq!(code, Some(0));
    assert!(out.starts_with("read_file: deny\n  tools[2] (stockade.toml:17) denies it\n"), "{out}");
    // A link is looked up, as a guard does.
    let docs = home.path().join("docs");
    fs::create_dir(&docs).unwrap();
    std::os::unix::fs::symlink("/etc", docs.join("out")).unwrap();
    let at = docs.to_str().unwrap();
    put(&home, "stockade.toml", &POLICY.replace("/usr/share", at));
    let arguments = json!({ "path": format!("{at}/out/passwd") }).to_string();
    let line = [
        "explain",
        "--tool",
        "read_file",
        "--args",
        &arguments,
        "--format",
        "json",
        "stockade.toml",
    ];
    let explained = json_of(&policy(&home, &line));
    assert_eq!(explained["by"][0]["rule"], "path_outside_roots", "{explained}");
    assert!(explained["findings"][0]["says"].as_str().unwrap().contains("link"), "{explained}");
}

fn l08_a_call_of_the_ledger_is_explained() {
    let home = home();
    decided(&home);
    let records = home.records_of("decision");
    let of = |n: usize| records.iter().filter(|it| it["method"] == "tools/call").nth(n).unwrap();
    let state = home.path().join("state");
    let explain = |id: &str, more: &[&str]| {
        let line = ["explain", "--record", id, "--state", state.to_str().unwrap()];
        policy(&home, &[&line[..], more].concat())
    };
    let id = of(2)["call"].as_str().unwrap();
    let own = home.path().join("config/stockade/stockade.toml");
    let place = format!("tools[2] ({}:17)", own.display());
    let (code, out, _) = told(&explain(id, &[]));
    assert_eq!(code, Some(0));
    assert!(
        out.starts_with(&format!("{id}: deny (")) && out.contains(&format!("by {place}\n")),
        "{out}"
    );
    assert!(out.contains("which is the same now"), "{out}");
    // With its arguments it is judged again, and others are told from them.
    let (_, out, _) = told(&explain(id, &["--args", "{\"path\":\"/usr/share/.env\"}"]));
    assert!(out.contains("with the same arguments:") && out.contains("read_file: deny"), "{out}");
    let (_, out, _) = told(&explain(id, &["--args", "{\"path\":\"/usr/share/a\"}"]));
    assert!(out.contains("with other arguments than those of the call"), "{out}");
    assert!(out.contains("read_file: allow"), "{out}");
    // A policy that was changed since is told, and its lines are not passed off as those of then.
    home.policy(&format!("# One line more.\n{POLICY}"));
    let (_, out, _) = told(&explain(id, &[]));
    assert!(out.contains("it was changed since") && out.contains("as the policy is now"), "{out}");
    let json = json_of(&explain(id, &["--format", "json"]));
    assert_eq!((&json["policyChanged"], &json["rule"]), (&json!(true), &json!("tools[2]")));
    assert!(json["record"]["says"].as_str().unwrap().contains("stockade.toml:17"), "{json}");
    // One that a person was asked about, and one that is not there.
    let asked = of(6)["call"].as_str().unwrap();
    let json = json_of(&explain(asked, &["--format", "json"]));
    assert_eq!((&json["decision"], &json["rule"]), (&json!("deny"), &json!("tools.pays")));
    let (code, _, err) = told(&explain("s00000000.1", &[]));
    assert_eq!(code, Some(2));
    assert!(err.contains("the ledger has no decision about `s00000000.1`"), "{err}");
}

fn l08_what_nobody_is_asked_about_is_denied() {
    let home = Home::new();
    let asks = "[approvals]\nmode = \"production\"\n[[tools]]\neffect = \"ask\"\ntool = \"pay\"\n";
    home.policy(asks);
    put(&home, "stockade.toml", asks);
    let case = |expect: &str| {
        let text = format!(
            "policy = \"stockade.toml\"\n[[cases]]\ntool = \"pay\"\nexpect = \"{expect}\"\nrule = \"tools[0]\"\n"
        );
        put(&home, "cases.toml", &text);
        policy(&home, &["test", "cases.toml"]).status.code()
    };
    assert_eq!((case("deny"), case("ask"), case("allow")), (Some(0), Some(1), Some(1)));
    let explained =
        policy(&home, &["explain", "--tool", "pay", "--format", "json", "stockade.toml"]);
    let explained = json_of(&explained);
    assert_eq!(
        (&explained["verdict"], &explained["by"][0]["rule"]),
        (&json!("deny"), &json!("tools[0]"))
    );
    // So does the guard, and so does its ledger.
    let fake = home.fake(Script::default().with(tool("pay")));
    let mut probe = Probe::run(&home, &fake).begin();
    assert!(is_refusal(&probe.ask(&call(1, "pay", json!({})))));
    probe.end();
    let decided = home.records_of("decision").into_iter().find(|it| it["tool"] == "pay").unwrap();
    assert_eq!((&decided["decision"], &decided["rule"]), (&json!("deny"), &json!("tools[0]")));
    let recorded = ["explain", "--record", decided["call"].as_str().unwrap(), "--format", "json"];
    let mut recorded: Vec<_> = recorded.map(std::ffi::OsString::from).into();
    recorded.extend(home.state());
    let recorded: Vec<_> = recorded.iter().map(|it| it.to_str().unwrap()).collect();
    assert_eq!(json_of(&policy(&home, &recorded))["decision"], "deny");
}

fn l08_check_tells_who_may_ask_and_what_tools_are() {
    let home = Home::new();
    let says = "[sampling]\nserver = \"a\"\nmodels = [\"small-*\"]\n[elicitation]\nserver = [\"b\", \"c\"]\n\
                [[roles]]\ntool = \"look\"\nroles = [\"private\"]\ndoes = [\"read\"]\n";
    put(&home, "stockade.toml", says);
    let (code, told, _) = told(&policy(&home, &["check", "stockade.toml"]));
    assert_eq!(code, Some(0));
    for line in [
        r#"sampling.server = ["a"] (stockade.toml:2)"#,
        r#"sampling.models = ["small-*"] (stockade.toml:3)"#,
        r#"elicitation.server = ["b", "c"] (stockade.toml:5)"#,
        r#"roles[0] = tool ["look"], roles ["private"], does ["read"] (stockade.toml:6)"#,
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
}

fn l08_the_examples_of_the_documentation_are_true() {
    const PAGE: &str = include_str!("../../../../docs/policies.md");
    let home = home();
    let example = |heading: &str| {
        let (_, section) = PAGE.split_once(heading).expect(heading);
        let (_, example) = section.split_once("```toml\n").unwrap();
        example.split_once("```").unwrap().0
    };
    put(&home, "notes.toml", example("## Names"));
    put(&home, "notes.test.toml", example("## Tests"));
    fs::rename(home.path().join("tools.json"), home.path().join("notes.tools.json")).unwrap();
    let (code, says, _) = told(&policy(&home, &["test", "notes.test.toml"]));
    assert!(code == Some(0) && says.contains("2 cases"), "{says}");
    let pem = r#"{"path": "/a/x.pem"}"#;
    let explained = policy(&home, &["explain", "--tool", "read_file", "--args", pem, "notes.toml"]);
    assert!(told(&explained).1.contains("tools.no-keys (notes.toml:"), "{explained:?}");
}

const SHADOW: &str = r#"mode = "shadow"
default = "deny"

[[tools]]
effect = "allow"
tool = ["say", "echo"]

[[tools]]
effect = "ask"
tool = "pay"
"#;

fn shadowed() -> Script {
    let dirty = json!({ "content": [{ "type": "text", "text": "key ghp_Zk82nVx7Lp0Rt5WqBaJ3mTs9YcH4dFeGu1oX" }] });
    let answer = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": dirty }));
    Script::default()
        .with(tool("say"))
        .with(tool("pay"))
        .with(tool("wipe"))
        .on_tool("leak", [answer])
}

fn would(home: &Home, kind: &str) -> Vec<(String, String, String)> {
    let text = |it: &Value, name: &str| it[name].as_str().unwrap_or_default().to_owned();
    let records = home.records_of(kind);
    let records = records.iter().filter(|it| it.get("would").is_some());
    records.map(|it| (text(it, "tool"), text(it, "would"), text(it, "rule"))).collect()
}

fn l08_in_shadow_everything_is_decided_and_nothing_is_done() {
    let home = Home::new();
    home.policy(SHADOW);
    let fake = home.fake(shadowed());
    let mut probe = Probe::run(&home, &fake).begin();
    let listed = probe.ask(&request("list", "tools/list", json!({})));
    assert!(listed.to_string().contains("\"wipe\""), "{listed}");
    for (id, tool) in [(1, "say"), (2, "pay"), (3, "wipe"), (4, "leak")] {
        let answer = probe.ask(&call(id, tool, json!({ "text": "a\u{200b}b" })));
        assert!(!is_refusal(&answer), "{tool}: {answer}");
        if tool == "leak" {
            assert!(text(&answer).contains("ghp_Zk82nVx7"), "{answer}");
        }
    }
    assert!(waiting(&home).is_empty());
    let ended = probe.end();
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("in shadow: nothing of what the policy decides is done"),
        "{ended:?}"
    );
    // The server has got everything as it was said.
    let heard = fake.messages();
    let texts = heard.iter().filter(|it| it["method"] == "tools/call");
    assert!(texts.clone().all(|it| it["params"]["arguments"]["text"] == "a\u{200b}b"), "{heard:?}");
    assert_eq!(texts.count(), 4);
    let of =
        |tool: &str, would: &str, rule: &str| (tool.to_owned(), would.to_owned(), rule.to_owned());
    let decisions = would(&home, "decision");
    let wanted = [("say", "fix"), ("pay", "ask"), ("wipe", "deny"), ("leak", "deny")];
    let seen: Vec<_> =
        decisions.iter().map(|(tool, would, _)| (tool.as_str(), would.as_str())).collect();
    assert_eq!(seen, wanted);
    assert!(
        would(&home, "outcome").contains(&of("leak", "fix", "")),
        "{:?}",
        would(&home, "outcome")
    );
    assert!(home.records_of("question").is_empty());
    // It can be asked for, and the beginning says it.
    let asked = home.audit(&["query", "--would", "deny"]);
    let asked = String::from_utf8(asked.stdout).unwrap();
    assert_eq!(asked.lines().count(), 2, "{asked}");
    assert!(asked.contains("allow  would deny"), "{asked}");
    let all = home.audit(&["query", "--would", "any", "--format", "json"]);
    assert!(String::from_utf8(all.stdout).unwrap().lines().count() > 4);
    assert!(home.records_of("start")[0]["says"].as_str().unwrap().contains("in shadow"));
    assert!(home.is_whole());
}

fn l08_in_shadow_over_http_as_well() {
    let home = Home::new();
    home.policy(SHADOW);
    let fake = home.fake(shadowed());
    let gateway = Gateway::of(&home, &fake);
    for (id, tool) in [(1, "say"), (2, "pay"), (3, "wipe")] {
        let answer =
            gateway.connect().post_modern(&call(id, tool, json!({ "text": "x" }))).message();
        assert!(!is_refusal(&answer), "{tool}: {answer}");
    }
    let seen: Vec<_> =
        would(&home, "decision").into_iter().map(|(tool, would, _)| (tool, would)).collect();
    let of = |tool: &str, would: &str| (tool.to_owned(), would.to_owned());
    assert_eq!(seen, [of("pay", "ask"), of("wipe", "deny")]);
    assert!(gateway.end().stderr.contains("in shadow"));
}

fn l08_what_is_no_policy_holds_in_shadow() {
    let home = Home::new();
    home.policy(SHADOW);
    let fake = home.fake(shadowed());
    let mut probe = Probe::run(&home, &fake).begin();
    // What can be read in two ways, and what breaks the protocol.
    probe.write(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"method\":\"tools/list\"}\n");
    assert!(probe.next().unwrap().get("error").is_some());
    let twice = json!({ "jsonrpc": "2.0", "id": 2, "method": "notifications/initialized" });
    assert!(probe.ask(&twice).get("error").is_some());
    assert_eq!((fake.count("tools/list"), fake.count("notifications/initialized")), (0, 1));
    // A ledger that is gone.
    fs::rename(home.ledger(), home.path().join("moved")).unwrap();
    let answered = probe.offer(format!("{}\n", call(3, "say", json!({}))).as_bytes());
    assert!(answered.is_err() || probe.ended().code == Some(2));
    assert_eq!(fake.count("tools/call"), 0);
}

fn l08_a_lock_and_a_clock_hold_in_shadow() {
    let honest = Script::default().with(tool("wipe")).on_tool("hang", [Step::Hang]);
    let place = Place::approved(&honest);
    place.home.policy(&format!("{SHADOW}\n[limits]\ncall_timeout_s = 1\n"));
    let mut probe = place.run().begin();
    assert!(!is_refusal(&probe.ask(&call(1, "wipe", json!({})))));
    let late = probe.ask(&call(2, "hang", json!({})));
    assert!(text(&late).contains("took too long"), "{late}");
    let mut other = honest.clone();
    other.tools[0]["description"] = json!("Wipes everything.");
    place.fake.becomes(&other);
    assert_eq!(names(&listed(&mut probe, "tools")), ["echo", "hang"]);
    let answer = probe.ask(&call(3, "wipe", json!({})));
    assert!(is_refusal(&answer) && text(&answer).contains("not what was approved"), "{answer}");
}

fn l08_a_rule_may_be_in_shadow_alone() {
    let home = Home::new();
    home.policy(
        "default = \"allow\"\n\
         [[tools]]\nname = \"tried\"\neffect = \"deny\"\ntool = \"w*\"\nshadow = true\n\
         [[tools]]\neffect = \"deny\"\ntool = \"wring\"\n",
    );
    let fake =
        home.fake(Script::default().with(tool("wipe")).with(tool("wring")).with(tool("say")));
    let mut probe = Probe::run(&home, &fake).begin();
    assert!(!is_refusal(&probe.ask(&call(1, "wipe", json!({})))));
    assert!(is_refusal(&probe.ask(&call(2, "wring", json!({})))));
    assert!(!is_refusal(&probe.ask(&call(3, "say", json!({})))));
    let listed = probe.ask(&request("list", "tools/list", json!({}))).to_string();
    assert!(listed.contains("\"wipe\"") && !listed.contains("\"wring\""), "{listed}");
    let of = |it: &str| it.to_owned();
    assert_eq!(would(&home, "decision"), [(of("wipe"), of("deny"), of("tools.tried"))]);
    // An allow in shadow is a mistake.
    let file = home
        .policy("default = \"deny\"\n[[tools]]\neffect = \"allow\"\ntool = \"a\"\nshadow = true\n");
    let (code, _, err) = told(&policy(&home, &["check", file.to_str().unwrap()]));
    assert_eq!(code, Some(2));
    assert!(err.contains("an allow in shadow would allow nothing"), "{err}");
}

fn l08_shadow_ends_when_the_file_says_so() {
    let home = Home::new();
    home.policy(SHADOW);
    let mut probe = Probe::run(&home, &home.fake(shadowed())).begin();
    assert!(!is_refusal(&probe.ask(&call(1, "wipe", json!({})))));
    home.policy(&SHADOW.replace("shadow", "enforce"));
    let mut n = 1;
    wait_for("the policy that enforces", || {
        n += 1;
        thread::sleep(Duration::from_millis(200));
        is_refusal(&probe.ask(&call(n, "wipe", json!({ "text": n.to_string() })))).then_some(())
    });
    let first = home.records_of("start")[0]["policy"].clone();
    let replaced = home.records_of("policy")[0]["policy"].clone();
    assert!(first.is_string() && replaced.is_string() && first != replaced);
    // And back: it is told.
    home.policy(SHADOW);
    wait_for("shadow", || {
        n += 1;
        thread::sleep(Duration::from_millis(200));
        (!is_refusal(&probe.ask(&call(n, "wipe", json!({ "text": n.to_string() }))))).then_some(())
    });
    let says = probe.end().stderr;
    assert!(says.contains("the policy was replaced, and is in shadow"), "{says}");
}

fn l08_a_rule_has_one_name() {
    let home = Home::new();
    let rule =
        |name: &str| format!("[[tools]]\nname = \"{name}\"\neffect = \"deny\"\ntool = \"wipe\"\n");
    let file = home.policy(&format!("default = \"allow\"\n{}", rule("no-loss")));
    let mut probe = Probe::run(&home, &home.fake(shadowed())).begin();
    let answer = probe.ask(&call(1, "wipe", json!({})));
    assert!(is_refusal(&answer));
    assert_eq!(home.records_of("decision").last().unwrap()["rule"], "tools.no-loss");
    for (rules, says) in [
        (format!("{}{}", rule("a"), rule("a")), "two rules are called `a`"),
        (rule("A b"), "this is not the name of a rule"),
        (rule(""), "this is not the name of a rule"),
    ] {
        home.policy(&format!("default = \"allow\"\n{rules}"));
        let (code, _, err) = told(&policy(&home, &["check", file.to_str().unwrap()]));
        assert_eq!(code, Some(2), "{rules}");
        assert!(err.contains(says), "{err}");
    }
}

/// The policies to begin with, by name.
fn begun_with(home: &Home) -> Vec<String> {
    let (code, out, _) = told(&policy(home, &["init"]));
    assert_eq!(code, Some(0));
    out.lines().filter_map(|it| it.split_whitespace().next()).map(str::to_owned).collect()
}

fn l08_each_policy_to_begin_with_does_what_its_cases_say() {
    let home = Home::new();
    let names = begun_with(&home);
    assert_eq!(names.len(), 10, "{names:?}");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for name in &names {
        let cases = directory.join(format!("{name}.test.toml"));
        // What is printed is what is tested.
        let printed = policy(&home, &["init", name]);
        put(&home, "printed.toml", &String::from_utf8(printed.stdout).unwrap());
        let cases = cases.to_str().unwrap();
        let line = ["test", cases, "--policy", "printed.toml", "--all-rules", "--format", "json"];
        let output = policy(&home, &line);
        let tested = json_of(&output);
        assert_eq!(output.status.code(), Some(0), "{name}: {tested:#}");
        assert!(tested["cases"].as_u64().unwrap() >= 3, "{name}: {tested}");
        let denied = fs::read_to_string(cases).unwrap().contains("rule = \"default\"");
        assert!(denied, "{name}: what it does not name is not tried");
    }
}

fn l08_a_policy_to_begin_with_is_for_what_was_named() {
    let home = Home::new();
    let docs = home.path().join("docs");
    fs::create_dir(&docs).unwrap();
    let line = ["init", "filesystem", "--root", "docs", "--write", "mine.toml"];
    assert_eq!(told(&policy(&home, &line)), (Some(0), String::new(), String::new()));
    let checked = policy(&home, &["check", "mine.toml"]);
    let (code, out, _) = told(&checked);
    assert_eq!(code, Some(0), "{checked:?}");
    assert!(out.contains(&format!("root {}, read, write", docs.display())), "{out}");
    // Nobody's file is written over, and what is not named is told.
    let (code, _, err) = told(&policy(&home, &line));
    assert_eq!(code, Some(2));
    assert!(err.contains("cannot write the policy to `mine.toml`"), "{err}");
    let (code, out, err) = told(&policy(&home, &["init", "filesystem"]));
    assert_eq!(code, Some(0));
    assert!(
        out.contains("roots = [\"/srv/files:rw\"]") && err.contains("stands for a directory"),
        "{err}"
    );
    let (code, _, err) = told(&policy(&home, &["init", "time", "--root", "docs"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("`time` needs no directory"), "{err}");
}
