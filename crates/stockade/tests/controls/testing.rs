//! `stockade test`: a server is asked what a file says, and what comes is held against what the file
//! expects. In front of servers made for the purpose, which answer as they are told, and of the
//! reference servers.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::call::{both, result};
use crate::harness::fake::{say, tool};
use crate::harness::{Fake, FakeHttp, Home, Script, Step};

crate::rows![
    t04_what_comes_is_held_against_what_is_expected,
    t04_an_answer_is_held_against_its_snapshot,
    t04_a_result_is_held_against_the_schema_of_its_tool,
    t04_notifications_come_in_their_order,
    t04_a_time_bound_is_a_warning,
    t04_what_a_server_asks_has_an_answer_in_the_file,
    t04_values_of_answers_go_on_to_later_steps,
    t04_reports_are_the_same_each_time,
    t04_how_a_test_ends_is_said,
    t04_a_server_is_held_and_judged_as_behind_run,
];

/// A file of a test, and how it is played.
pub(crate) struct Tested {
    command: Command,
    server: Vec<OsString>,
}

impl Tested {
    pub(crate) fn new(home: &Home, text: &str) -> Self {
        let file = home.path().join("some.test.toml");
        fs::write(&file, text).unwrap();
        Self::of(home, file)
    }

    pub(crate) fn of(home: &Home, file: PathBuf) -> Self {
        let mut command = home.stockade(["test"]);
        command.args(home.state()).arg(&file).stdin(Stdio::null());
        Self { command, server: Vec::new() }
    }

    /// Of a scripted server.
    pub(crate) fn fake(mut self, fake: &Fake) -> Self {
        self.command.args(["--sandbox", "none"]);
        self.server = [OsString::from("--")].into_iter().chain(fake.command()).collect();
        self
    }

    pub(crate) fn with(mut self, words: &[&str]) -> Self {
        self.command.args(words);
        self
    }

    pub(crate) fn output(mut self) -> Output {
        self.command.args(&self.server).output().unwrap()
    }

    /// What is printed for a program, and the exit code.
    #[track_caller]
    pub(crate) fn json(self) -> (Value, i32) {
        let out = self.with(&["--format", "json"]).output();
        let read = serde_json::from_slice(&out.stdout);
        (read.unwrap_or_else(|_| panic!("{out:?}")), out.status.code().unwrap())
    }

    /// What is wrong with the first step: sorts and words.
    #[track_caller]
    fn wrong(self) -> (Vec<(String, String)>, i32) {
        let (said, code) = self.json();
        let wrong = said["files"][0]["steps"][0]["wrong"].as_array().unwrap_or_else(|| {
            panic!("{said}");
        });
        let text = |it: &Value| it.as_str().unwrap().to_owned();
        (wrong.iter().map(|it| (text(&it["sort"]), text(&it["says"]))).collect(), code)
    }
}

fn content(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "resultType": "complete" })
}

/// A server with tools that end in every way.
fn shop() -> Script {
    let orders = json!({
        "content": [{ "type": "text", "text": "two orders" }],
        "structuredContent": { "orders": [{ "id": 1, "total": 9.5 }, { "id": 2, "total": 20 }] },
        "resultType": "complete",
    });
    let error = json!({ "jsonrpc": "2.0", "id": "$id", "error": { "code": -32000, "message": "closed",
        "data": { "until": 9 } } });
    let failed = json!({ "content": [{ "type": "text", "text": "no such order" }], "isError": true,
        "resultType": "complete" });
    Script::default()
        .on_tool("orders", [result(orders)])
        .on_tool("closed", [say(error)])
        .on_tool("failing", [result(failed)])
        .on_tool("die", [Step::Complain("no database".to_owned()), Step::Exit(3)])
}

fn step(rest: &str) -> String {
    format!("[[steps]]\ntool = 'orders'\n{rest}")
}

fn t04_what_comes_is_held_against_what_is_expected() {
    let home = Home::new();
    let fake = home.fake(shop());
    fs::write(home.path().join("orders.schema.json"), r#"{ "required": ["orders"] }"#).unwrap();
    let expect = |it: &str| step(&format!("expect = [{it}]"));
    for (text, sort, says) in [
        (expect("{ path = '$.structuredContent.orders[0].id', equals = 1 }"), "", ""),
        (expect("{ path = '$.structuredContent.orders[0].id', equals = 1.0 }"), "", ""),
        (
            expect("{ path = '$.structuredContent.orders[0].id', equals = 2 }"),
            "assertion",
            "$['structuredContent']['orders'][0]['id'] is 1, and not 2",
        ),
        (
            expect("{ path = '$.structuredContent.orders[?@.total > 10].id', equals = 2, count = 1 }"),
            "",
            "",
        ),
        // Of several, each is held against it.
        (
            expect("{ path = '$.structuredContent.orders[*].total', at_least = 10 }"),
            "assertion",
            "[0]['total'] is 9.5, and not at least 10",
        ),
        (expect("{ path = '$..total', at_least = 9, at_most = 20 }"), "", ""),
        (expect("{ path = '$..total', count = 3 }"), "assertion", "$..total finds 2 values, and not 3"),
        (expect("{ path = '$.content[0].text', contains = 'orders' }"), "", ""),
        (expect("{ path = '$.content[0].text', matches = '^two .*s$' }"), "", ""),
        (
            expect("{ path = '$.content[0].text', matches = '^three' }"),
            "assertion",
            r#"is "two orders", which does not match /^three/"#,
        ),
        (expect("{ path = '$.structuredContent.orders[0].id', contains = 1 }"), "assertion", "contain"),
        (expect("{ path = '$.error', exists = false }"), "", ""),
        (expect("{ path = '$.content', exists = false }"), "assertion", "should not be"),
        (expect("{ path = '$.error', exists = true }"), "assertion", "$.error is not there"),
        (expect("{ path = '$.error', equals = 1 }"), "assertion", "$.error is not there"),
        (expect("{ path = '$.structuredContent', schema = { required = ['orders'] } }"), "", ""),
        (expect("{ path = '$.structuredContent', schema = 'orders.schema.json' }"), "", ""),
        (
            expect("{ path = '$.structuredContent', schema = '{\"required\": [\"no\"]}' }"),
            "assertion",
            "does not match its schema: the whole does not satisfy `required`",
        ),
        (step("outcome = 'error'"), "outcome", "the outcome is result, and not error"),
        (step("found = []"), "", ""),
        (step("found = ['secret']"), "found", "rules find nothing, and not secret"),
        ("[[steps]]\ntool = 'closed'\noutcome = 'error'\nexpect = [{ path = '$.data.until', equals = 9 }]".to_owned(), "", ""),
        ("[[steps]]\ntool = 'closed'".to_owned(), "outcome", "is error, and not result: -32000 closed"),
        ("[[steps]]\ntool = 'failing'\noutcome = 'tool_error'".to_owned(), "", ""),
        ("[[steps]]\ntool = 'failing'".to_owned(), "outcome", "is tool_error, and not result: no such order"),
        ("[[steps]]\nmethod = 'no/such'\noutcome = 'error'\nexpect = [{ path = '$.code', equals = -32601 }]".to_owned(), "", ""),
    ] {
        for era in ["legacy", "modern"] {
            let (wrong, code) = Tested::new(&home, &text).fake(&fake).with(&["--era", era]).wrong();
            assert_eq!(code, i32::from(!sort.is_empty()), "{era} {text}: {wrong:?}");
            match wrong.as_slice() {
                [] => assert_eq!(sort, "", "{text}"),
                [(is, told)] => assert!(is == sort && told.contains(says), "{text}: {wrong:?}"),
                _ => panic!("{text}: {wrong:?}"),
            }
        }
    }
    // What is only a warning fails nothing, unless that is wanted.
    let text = step("expect = [{ path = '$.no', equals = 1, severity = 'warning' }]");
    let (said, code) = Tested::new(&home, &text).fake(&fake).json();
    assert_eq!((code, &said["warnings"], &said["ok"]), (0, &json!(1), &json!(true)), "{said}");
    let (_, code) = Tested::new(&home, &text).fake(&fake).with(&["--fail-on", "warning"]).json();
    assert_eq!(code, 1);
    // What the file names, over HTTP as well.
    let http = FakeHttp::new(shop());
    let text =
        format!("url = '{}'\n{}", http.url(), step("expect = [{ path = '$..id', count = 2 }]"));
    let (said, code) = Tested::new(&home, &text).json();
    assert_eq!(code, 0, "{said}");
    assert!(home.is_whole());
}

fn t04_an_answer_is_held_against_its_snapshot() {
    let home = Home::new();
    let key = ["gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"].concat();
    let answer = |at: &str, total: u64| {
        let body = json!({ "at": at, "id": "6f1ed002-ab5d-4b1e-9d2f-2b7f7a9c0001", "total": total,
            "key": key });
        Script::default().on_tool(
            "orders",
            [result(json!({ "content": [], "structuredContent": body, "resultType": "complete" }))],
        )
    };
    let text = "# Written by hand.\n[matchers]\n'$..at' = 'timestamp'\n\n[[steps]]  # one\n\
                tool = 'orders'\nsnapshot = ''  # kept\n\
                matchers = { '$.structuredContent.id' = 'uuid' }\n";
    let fake = home.fake(answer("2026-11-30T12:00:00Z", 7));
    // A server that gives away a key, to whoever lets it.
    home.policy("[rules]\nsecret = 'allow'\n");
    let (wrong, code) = Tested::new(&home, text).fake(&fake).wrong();
    assert_eq!((code, wrong[0].0.as_str()), (1, "snapshot"), "{wrong:?}");
    let (wrong, code) = Tested::new(&home, text).fake(&fake).with(&["--update"]).wrong();
    assert_eq!((code, wrong.len()), (0, 0), "{wrong:?}");
    let file = home.path().join("some.test.toml");
    let written = fs::read_to_string(&file).unwrap();
    for part in [
        "# Written by hand.",
        "[[steps]]  # one",
        "'''  # kept",
        "\"[timestamp]\"",
        "\"[uuid]\"",
        "\"total\": 7",
    ] {
        assert!(written.contains(part), "{part}: {written}");
    }
    assert!(!written.contains("16C7e42F"), "{written}");
    // Another time is the same answer; another number is not, and what has no time is not.
    let play = |fake: &Fake, words: &[&str]| {
        Tested::of(&home, file.clone()).fake(fake).with(words).wrong()
    };
    let later = home.fake(answer("2027-01-01T00:00:00.25+01:00", 7));
    assert_eq!(play(&later, &[]), (Vec::new(), 0));
    let other = home.fake(answer("2026-11-30T12:00:00Z", 8));
    let (wrong, code) = play(&other, &[]);
    let says = &wrong[0].1;
    assert_eq!(code, 1, "{wrong:?}");
    assert!(says.contains("-    \"total\": 7") && says.contains("+    \"total\": 8"), "{says}");
    let none = home.fake(answer("yesterday", 7));
    let (wrong, code) = play(&none, &["--update"]);
    assert_eq!(code, 1, "{wrong:?}");
    assert!(wrong[0].1.contains("is \"yesterday\", and no timestamp"), "{wrong:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), written, "nothing of that was written");
    assert_eq!(play(&other, &["--update"]), (Vec::new(), 0));
    assert!(fs::read_to_string(&file).unwrap().contains("\"total\": 8"));
}

fn t04_a_result_is_held_against_the_schema_of_its_tool() {
    let home = Home::new();
    let mut counted = tool("counted");
    counted["outputSchema"] =
        json!({ "type": "object", "properties": { "n": { "type": "number" } }, "required": ["n"] });
    let answers = |n: Value| {
        let mut script = Script::default().with(counted.clone());
        let body =
            json!({ "content": [], "structuredContent": { "n": n }, "resultType": "complete" });
        script.on_tool.insert("counted".to_owned(), vec![result(body)]);
        home.fake(script)
    };
    home.policy("[rules]\noutput_schema = 'allow'\n");
    let text = "[[steps]]\ntool = 'counted'\n";
    for era in ["legacy", "modern"] {
        let play = |fake: &Fake| Tested::new(&home, text).fake(fake).with(&["--era", era]).wrong();
        assert_eq!(play(&answers(json!(1))), (Vec::new(), 0));
        let (wrong, code) = play(&answers(json!("many")));
        assert_eq!((code, wrong[0].0.as_str()), (1, "output-schema"), "{wrong:?}");
    }
}

fn progress(of: u64) -> Step {
    say(json!({ "jsonrpc": "2.0", "method": "notifications/progress",
        "params": { "progressToken": "$token", "progress": of, "total": 2 } }))
}

fn t04_notifications_come_in_their_order() {
    let home = Home::new();
    let changed = say(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    let steps = [progress(1), changed.clone(), progress(2), result(content("done")), changed];
    let fake = home.fake(Script::default().on_tool("orders", steps));
    let with = |n: u64| {
        format!("{{ method = 'notifications/progress', path = '$.progress', equals = {n} }}")
    };
    let (progress, list) = ("'notifications/progress'", "'notifications/tools/list_changed'");
    for (order, rest, is_fine) in [
        (vec![progress, progress, "'answer'"], "", true),
        (vec![list, progress], "", true),
        (vec![list, "'answer'", list], "listen_ms = 20000\ncount = 1", true),
        (vec![list, list], "", false),
        (vec!["'answer'", progress], "", false),
        (vec![progress, progress, "'answer'"], "no_other = true", false),
        (vec![progress, list, progress, "'answer'"], "no_other = true", true),
        (vec![progress, list], "no_other = true", false),
        (vec![&with(1), list, &with(2)], "", true),
        (vec![&with(2), &with(1)], "", false),
    ] {
        let text = step(&format!("order = [{}]\n{rest}", order.join(", ")));
        let (wrong, code) = Tested::new(&home, &text).fake(&fake).wrong();
        assert_eq!(code, i32::from(!is_fine), "{text}: {wrong:?}");
        assert_eq!(wrong.iter().any(|it| it.0 == "order"), !is_fine, "{text}: {wrong:?}");
    }
    let text =
        step("expect = [{ in = 'notifications', path = '$[*].params.progress', count = 2 }]");
    assert_eq!(Tested::new(&home, &text).fake(&fake).wrong(), (Vec::new(), 0));
    // A step that asks nothing hears what comes.
    let tell = say(json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated",
        "params": { "uri": "a:1" } }));
    let fake = home.fake(
        Script::default().on("resources/subscribe", [result(json!({})), Step::Sleep(300), tell]),
    );
    let text = "[[steps]]\nmethod = 'resources/subscribe'\nparams = { uri = 'a:1' }\n\
                [[steps]]\nlisten_ms = 20000\ncount = 1\norder = ['notifications/resources/updated']\n";
    let (said, code) = Tested::new(&home, text).fake(&fake).json();
    assert_eq!(code, 0, "{said}");
}

fn t04_a_time_bound_is_a_warning() {
    let home = Home::new();
    let fake =
        home.fake(Script::default().on_tool("orders", [Step::Sleep(200), result(content("a"))]));
    let text = step("max_ms = 100");
    let out = Tested::new(&home, &text).fake(&fake).output();
    let says = both(&out);
    assert_eq!(out.status.code(), Some(0), "{says}");
    assert!(
        says.contains("ok: ") && says.contains("warning: it took longer than 100 ms"),
        "{says}"
    );
    let strict = Tested::new(&home, &text).fake(&fake).with(&["--fail-on", "warning"]).output();
    assert_eq!(strict.status.code(), Some(1), "{}", both(&strict));
    let (wrong, code) = Tested::new(&home, &step("max_ms = 60000")).fake(&fake).wrong();
    assert_eq!((wrong.len(), code), (0, 0));
}

fn t04_what_a_server_asks_has_an_answer_in_the_file() {
    let home = Home::new();
    let itself = env!("CARGO_BIN_EXE_stockade");
    let text = |answers: &str| {
        format!(
            "command = [{itself:?}, 'example', 'hardened']\n{answers}\n\
             [[steps]]\ntool = 'ask_user'\narguments = {{ question = 'Which colour?' }}\n\
             expect = [{{ path = '$.content[0].text', contains = 'blue' }}]\n"
        )
    };
    let known =
        "[[answers.elicitation]]\nwhen = { contains = 'colour' }\ncontent = { answer = 'blue' }";
    fs::write(home.path().join("answers.toml"), known.replace("answers.", "")).unwrap();
    for era in ["legacy", "modern"] {
        for answers in [known, "answers = 'answers.toml'"] {
            let (said, code) = Tested::new(&home, &text(answers)).with(&["--era", era]).json();
            assert_eq!(code, 0, "{era}: {said}");
        }
        let (wrong, code) = Tested::new(&home, &text("")).with(&["--era", era]).wrong();
        assert_eq!(code, 1, "{wrong:?}");
        assert!(
            wrong.iter().any(|it| it.0 == "question" && it.1.contains("no entry")),
            "{wrong:?}"
        );
    }
}

fn t04_values_of_answers_go_on_to_later_steps() {
    let home = Home::new();
    let made = json!({ "content": [], "structuredContent": { "id": 41, "name": "Ada" } });
    let fake = home.fake(Script::default().on_tool("orders", [result(made)]));
    let text = "[[steps]]\ntool = 'orders'\n\
                save = { id = '$.structuredContent.id', who = '$.structuredContent.name' }\n\
                [[steps]]\ntool = 'echo'\narguments = { text = 'for ${who}: ${id}', n = '${id}' }\n\
                expect = [{ path = '$.content[0].text', equals = 'for Ada: 41' }]\n";
    let (said, code) = Tested::new(&home, text).fake(&fake).json();
    assert_eq!(code, 0, "{said}");
    let mut sent = fake.messages().into_iter().filter(|it| it["method"] == "tools/call");
    assert_eq!(sent.next_back().unwrap()["params"]["arguments"]["n"], 41);
    let text = step("save = { id = '$.no' }");
    let (wrong, code) = Tested::new(&home, &text).fake(&fake).wrong();
    assert_eq!((code, wrong[0].1.as_str()), (1, "$.no is not there, so there is no `id`"));
}

fn t04_reports_are_the_same_each_time() {
    let home = Home::new();
    let fake = home.fake(shop());
    let text = format!(
        "{}\n{}\n[[steps]]\nname = 'with <marks> & \"more\"'\ntool = 'failing'\n",
        step("expect = [{ path = '$.content[0].text', equals = 'x' }]"),
        step("max_ms = 60000"),
    );
    let print = |format: &str| {
        let out = Tested::new(&home, &text).fake(&fake).with(&["--format", format]).output();
        assert_eq!(out.status.code(), Some(1), "{}", both(&out));
        String::from_utf8(out.stdout).unwrap()
    };
    for format in ["human", "json", "junit", "sarif"] {
        assert_eq!(print(format), print(format), "{format}");
    }
    let junit = print("junit");
    assert!(junit.contains(r#"tests="3" skipped="0" failures="2" errors="0""#), "{junit}");
    assert!(junit.contains("with &lt;marks&gt; &amp;"), "{junit}");
    let sarif: Value = serde_json::from_str(&print("sarif")).unwrap();
    let results = &sarif["runs"][0]["results"];
    assert_eq!(results.as_array().unwrap().len(), 2, "{sarif}");
    assert_eq!(results[0]["ruleId"], "assertion");
    assert_eq!(results[1]["ruleId"], "outcome");
    let rules = &sarif["runs"][0]["tool"]["driver"]["rules"];
    for it in results.as_array().unwrap() {
        let index = usize::try_from(it["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], it["ruleId"]);
    }
    let at = |it: &Value| it["locations"][0]["physicalLocation"]["region"]["startLine"].clone();
    assert_eq!((at(&results[0]), at(&results[1])), (json!(3), json!(7)), "{sarif}");
    // With times, how long each step took is told.
    let timed = Tested::new(&home, &text).fake(&fake).with(&["--times"]).json().0;
    assert!(timed["files"][0]["steps"][0]["tookMs"].is_u64(), "{timed}");
}

fn t04_how_a_test_ends_is_said() {
    let home = Home::new();
    let fake = home.fake(shop());
    // A server that ends has no steps after that.
    let text = format!("[[steps]]\ntool = 'die'\n{}", step(""));
    let (said, code) = Tested::new(&home, &text).fake(&fake).json();
    let steps = &said["files"][0]["steps"];
    assert_eq!(
        (code, &steps[0]["outcome"], &steps[1]["outcome"]),
        (1, &json!("lost"), &Value::Null)
    );
    assert!(steps[0]["wrong"][0]["says"].as_str().unwrap().contains("exit code 3"), "{said}");
    assert!(said.to_string().contains("no database"), "{said}");
    // It may be what is expected of it.
    let text = "[[steps]]\ntool = 'die'\noutcome = 'lost'\n";
    assert_eq!(Tested::new(&home, text).fake(&fake).json().1, 0);
    for (text, code, says) in [
        ("command = ['/no/such/server']\n[[steps]]\ntool = 'a'\n", 4, "no/such/server"),
        ("url = 'http://127.0.0.1:9/mcp'\n[[steps]]\ntool = 'a'\n", 4, ""),
        ("[[steps]]\ntool = 'a'\n", 2, "names no server"),
        ("command = ['a']\n", 2, "missing field `steps`"),
        ("command = ['a']\nsteps = []\n", 2, "there are no `[[steps]]`"),
        ("command = ['a']\n[[steps]]\ntol = 'a'\n", 2, "unknown field `tol`"),
        ("command = ['a']\n\n[[steps]]\nname = 'a'\n", 2, "step in line 3: nothing is asked"),
        (
            "command = ['a']\n[[steps]]\ntool = 'a'\nexpect = [{ path = '$.a' }]\n",
            2,
            "expects nothing",
        ),
        (
            "command = ['a']\n[[steps]]\ntool = 'a'\nexpect = [{ path = 'a.b', count = 1 }]\n",
            2,
            "`a.b` is no JSONPath",
        ),
        (
            "command = ['a']\n[[steps]]\ntool = 'a'\nmatchers = { '$.a' = 'date' }\n",
            2,
            "no matcher `date`",
        ),
        ("command = ['a']\nurl = 'http://a/'\n[[steps]]\ntool = 'a'\n", 2, "more than one of"),
        (
            "command = ['a']\n[[answers.elicitation]]\nanswer = 1\n[[steps]]\ntool = 'a'\n",
            2,
            "unknown field `answer`",
        ),
    ] {
        let out = Tested::new(&home, text).output();
        assert_eq!(out.status.code(), Some(code), "{text}: {}", both(&out));
        assert!(both(&out).contains(says), "{text}: {}", both(&out));
    }
    // One that cannot be played keeps no other from being played.
    let good = home.path().join("good.test.toml");
    fs::write(&good, step("")).unwrap();
    let both_files = Tested::new(&home, "steps = 1").fake(&fake).with(&[good.to_str().unwrap()]);
    let (said, code) = both_files.json();
    assert_eq!((code, &said["files"][1]["steps"][0]["ok"]), (2, &json!(true)), "{said}");
    assert!(said["files"][0]["error"].is_string(), "{said}");
}

fn t04_a_server_is_held_and_judged_as_behind_run() {
    let home = Home::new();
    let itself = env!("CARGO_BIN_EXE_stockade");
    let root = home.path().join("files");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("a.txt"), "the text of a").unwrap();
    fs::write(home.path().join("beside"), "not for it").unwrap();
    let text = format!(
        "command = [{itself:?}, 'example', 'vulnerable', '--root', {root:?}]\nroots = ['files']\n\
         [[steps]]\ntool = 'read_file'\narguments = {{ path = 'a.txt' }}\n\
         expect = [{{ path = '$.content[0].text', equals = 'the text of a' }}]\n\
         [[steps]]\ntool = 'read_file'\narguments = {{ path = '/etc/passwd' }}\n\
         outcome = 'denied'\nfound = ['path_outside_roots']\n\
         [[steps]]\ntool = 'get_config'\nfound = ['secret']\n\
         expect = [{{ path = '$.content[0].text', contains = '[redacted:aws-access-key]' }}]\n"
    );
    for era in ["legacy", "modern"] {
        let (said, code) = Tested::new(&home, &text).with(&["--era", era]).json();
        assert_eq!(code, 0, "{said}");
    }
    // Nobody looks at arguments, and it is still not read.
    home.policy("[rules]\npath_outside_roots = 'allow'\n");
    let beside = home.path().join("beside");
    let text = format!(
        "command = [{itself:?}, 'example', 'vulnerable', '--root', {root:?}]\nroots = ['files']\n\
         [[steps]]\ntool = 'read_file'\narguments = {{ path = {beside:?} }}\noutcome = 'tool_error'\n"
    );
    let out = Tested::new(&home, &text).output();
    assert_eq!(out.status.code(), Some(0), "{}", both(&out));
    let plan = Tested::new(&home, &text).with(&["--dry-run"]).output();
    assert_eq!(plan.status.code(), Some(0), "{}", both(&plan));
    assert!(both(&plan).contains("files"), "{}", both(&plan));
    assert!(home.is_whole());
}
