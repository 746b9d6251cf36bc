//! What a client may ask for: arguments against the schema that the server published, and how much.

use serde_json::{Value, json};

use crate::harness::{
    Gateway, Home, LEGACY, NO_LIMITS, Probe, Script, Step, call, is_refusal, modern, request, tool,
};

crate::rows![
    v01_arguments_match_the_schema,
    v01_what_cannot_be_checked_does_not_pass,
    v01_a_refusal_repeats_no_value,
    v01_a_refusal_says_where,
    a_rule_by_name_holds_for_names_in_disguise,
    a_listed_tool_is_not_called_by_another_name,
    a16_what_a_client_calls_itself_opens_nothing,
    a16_one_message_names_the_client_of_a_session,
    v08_no_call_passes_above_a_limit,
    v08_a_limit_holds_for_all_clients_of_a_key,
];

/// Cases of our own for every keyword, draft by draft.
const SCHEMAS: &str = include_str!("schemas.json");

fn dialect(draft: &str) -> String {
    match draft {
        "4" | "6" | "7" => format!("http://json-schema.org/draft-0{draft}/schema#"),
        _ => format!("https://json-schema.org/draft/{draft}/schema"),
    }
}

/// A tool whose argument `v` must match a case's schema, in a draft.
fn tool_of(name: &str, draft: &str, case: &Value) -> Value {
    let mut schema = json!({
        "$schema": dialect(draft), "type": "object", "properties": { "v": case["schema"] },
    });
    for definitions in ["definitions", "$defs"] {
        if let Some(it) = case.get(definitions) {
            schema[definitions] = it.clone();
        }
    }
    json!({ "name": name, "inputSchema": schema })
}

fn v01_arguments_match_the_schema() {
    let groups: Value = serde_json::from_str(SCHEMAS).unwrap();
    let mut tools = Vec::new();
    let mut calls = Vec::new();
    for group in groups.as_array().unwrap() {
        for draft in group["drafts"].as_array().unwrap().iter().filter_map(Value::as_str) {
            for case in group["cases"].as_array().unwrap() {
                let name = format!("t{}", tools.len());
                tools.push(tool_of(&name, draft, case));
                for (list, passes) in [("valid", true), ("invalid", false)] {
                    for value in case[list].as_array().unwrap() {
                        calls.push((name.clone(), draft, &case["schema"], value, passes));
                    }
                }
            }
        }
    }
    assert!(calls.len() >= 600, "{} verdicts", calls.len());
    let home = Home::new();
    home.policy(NO_LIMITS);
    let fake = home.fake(Script { tools, ..Script::default() });
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    let mut passed = 0;
    let mut wrong = Vec::new();
    for (number, (name, draft, schema, value, passes)) in calls.iter().enumerate() {
        let answer = probe.ask(&call(number, name, json!({ "v": value })));
        passed += usize::from(*passes);
        if is_refusal(&answer) == *passes {
            wrong.push(format!("{draft}: {value} against {schema}: {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), calls.len(), wrong.join("\n"));
    assert_eq!(fake.count("tools/call"), passed, "what is refused does not arrive");
}

fn v01_what_cannot_be_checked_does_not_pass() {
    let object = |more: Value| {
        let mut schema = json!({ "type": "object", "properties": { "v": {} } });
        schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        schema
    };
    let unusable = [
        object(json!({ "$schema": "https://example.com/dialect" })),
        object(json!({ "$schema": "http://json-schema.org/draft-99/schema#" })),
        object(json!({ "$ref": "#/$defs/nowhere" })),
        object(json!({ "$ref": "https://example.com/schema.json" })),
        object(json!({ "$ref": "other.json" })),
        object(json!({ "properties": { "v": { "type": "strnig" } } })),
        object(json!({ "properties": { "v": { "pattern": "(" } } })),
        object(json!({ "required": "v" })),
        json!("object"),
        json!([]),
    ];
    let home = Home::new();
    let name = |number: usize| format!("t{number}");
    let tools = unusable.iter().enumerate();
    let tools = tools.map(|(n, it)| json!({ "name": name(n), "inputSchema": it })).collect();
    let fake = home.fake(Script { tools, ..Script::default() });
    let mut probe = Probe::run(&home, &fake).begin();
    let list = probe.ask(&request("list", "tools/list", json!({})));
    for number in 0..5 {
        assert!(!list.to_string().contains(&format!("\"{}\"", name(number))), "{list}");
    }
    for (number, schema) in unusable.iter().enumerate() {
        let answer = probe.ask(&call(number, &name(number), json!({ "v": 1 })));
        assert!(is_refusal(&answer), "{schema}: {answer}");
    }
    assert_eq!(fake.count("tools/call"), 0);
}

fn v01_a_refusal_repeats_no_value() {
    let home = Home::new();
    let schema = json!({ "type": "object", "additionalProperties": false, "properties": {
        "a": { "type": "integer" }, "b": { "enum": ["x"] }, "c": { "maxLength": 3 },
        "d": { "pattern": "^x$" }, "e": { "const": 1 } } });
    let fake = home.fake(Script::default().with(json!({ "name": "t", "inputSchema": schema })));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    for name in ["a", "b", "c", "d", "e"] {
        let answer = probe.ask(&call(name, "t", json!({ name: "correct horse battery" })));
        assert_eq!(answer["result"]["isError"], true, "a model reads it as a result: {answer}");
        assert!(!answer.to_string().contains("horse"), "{answer}");
    }
    probe.end();
    assert!(!format!("{:?}", home.records()).contains("horse"));
}

/// What servers that trim, fold, normalise or show names take for `danger`.
const DISGUISES: &[&str] = &[
    "DANGER",
    "danger ",
    "\u{a0}danger",
    "danger\r\n",
    "dan\u{200b}ger",
    "\u{202e}danger",
    "danger\u{fe0f}",
    "\u{ff44}\u{ff41}nger",
    "\u{1d41d}anger",
    "d\u{430}nger",
];

fn a_rule_by_name_holds_for_names_in_disguise() {
    // Whatever the checks do about it: this is the policy's.
    for preset in ["default", "transparent"] {
        let home = Home::new();
        home.policy(&format!(
            r#"
                preset = "{preset}"
                default = "allow"
                [[tools]]
                effect = "deny"
                tool = "danger"
                [[tools]]
                effect = "deny"
                tool = "copy"
                args.path = {{ prefix = "/etc" }}
            "#
        ));
        let mut script = Script::default().with(tool("danger"));
        script.tools.extend(DISGUISES.iter().map(|it| tool(it)));
        let fake = home.fake(script);
        let mut probe = Probe::run(&home, &fake).begin();
        for listed in [false, true] {
            if listed {
                let list = probe.ask(&request("list", "tools/list", json!({})));
                let names = list["result"]["tools"].as_array().unwrap().iter();
                let names: Vec<_> = names.filter_map(|it| it["name"].as_str()).collect();
                assert_eq!(names, ["echo"], "what is denied by name is not listed");
            }
            for (number, name) in DISGUISES.iter().enumerate() {
                let answer = probe.ask(&call(format!("{listed}{number}"), name, json!({})));
                assert!(is_refusal(&answer), "{name:?}: {answer}");
            }
        }
        assert_eq!(fake.count("tools/call"), 0, "{preset}");
        for (number, name) in ["Path", "path ", "p\u{430}th"].into_iter().enumerate() {
            let there = json!({ "path": "/srv/a", name: "/etc/passwd" });
            assert!(is_refusal(&probe.ask(&call(number, "copy", there))), "{name:?}");
            let fine = json!({ "path": "/srv/a", name: "/srv/b" });
            probe.ask(&call(format!("fine{number}"), "copy", fine));
        }
        let passed: Vec<Value> = fake.messages();
        assert!(passed.iter().all(|it| !it.to_string().contains("/etc/passwd")), "{passed:?}");
        assert!(!is_refusal(&probe.ask(&call("next", "dangerous", json!({})))));
        probe.end();
        let why = "the name reads as `danger`";
        let said = |it: &Value| it["says"].as_str().is_some_and(|it| it.contains(why));
        let decisions = home.records_of("decision");
        let known = decisions.iter().filter(|it| said(it)).count();
        // One of them is only in other letters, which the rule itself is about.
        assert_eq!(known, 2 * (DISGUISES.len() - 1), "the record says why");
    }
}

fn a_listed_tool_is_not_called_by_another_name() {
    let home = Home::new();
    let fake = home.fake(Script::default().with(tool("danger")).with(tool("Danger Zone")));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    for (number, name) in DISGUISES.iter().enumerate() {
        let answer = probe.ask(&call(number, name, json!({})));
        assert!(is_refusal(&answer), "{name:?}: {answer}");
    }
    assert_eq!(fake.count("tools/call"), 0);
    for name in ["danger", "Danger Zone", "dangers"] {
        assert!(!is_refusal(&probe.ask(&call(name, name, json!({})))), "{name}");
    }
    assert_eq!(fake.count("tools/call"), 3);
}

/// A modern call of a client that goes by `name`, or does not say one.
fn called_by(name: Option<&str>, id: impl Into<Value>) -> Value {
    let mut call = modern(call(id, "echo", json!({})));
    let meta = call["params"]["_meta"].as_object_mut().unwrap();
    let key = "io.modelcontextprotocol/clientInfo";
    match name {
        Some(name) => meta.insert(key.to_owned(), json!({ "name": name, "version": "1" })),
        None => meta.remove(key),
    };
    call
}

fn a16_what_a_client_calls_itself_opens_nothing() {
    for (default, effect, condition) in [
        ("deny", "allow", "client == 'probe'"),
        ("deny", "ask", "client == 'probe'"),
        ("allow", "deny", "client != 'probe'"),
        ("allow", "deny", "!(client in ['probe', 'desk'])"),
    ] {
        let home = Home::new();
        home.policy(&format!(
            "default = \"{default}\"\n[[tools]]\neffect = \"{effect}\"\ntool = \"*\"\n\
             when = \"{condition}\""
        ));
        let fake = home.fake(Script::default());
        let mut legacy = Probe::run(&home, &fake).begin();
        assert!(is_refusal(&legacy.ask(&call(1, "echo", json!({})))), "{effect} {condition}");
        let mut modern = Probe::run(&home, &fake);
        for name in [Some("probe"), Some("desk"), Some(""), None] {
            let answer = modern.ask(&called_by(name, 1));
            assert!(is_refusal(&answer), "{effect} {condition}, as {name:?}");
        }
        assert_eq!(fake.count("tools/call"), 0, "{effect} {condition}");
    }
}

fn a16_one_message_names_the_client_of_a_session() {
    let home = Home::new();
    home.policy(
        "default = \"allow\"\n[[tools]]\neffect = \"deny\"\ntool = \"*\"\n\
         when = \"client == 'probe'\"",
    );
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake);
    // A name in any other message is not its client's, whatever was said before `initialize`.
    assert!(!is_refusal(&probe.ask(&called_by(Some("desk"), "before"))));
    probe.begin_in(LEGACY);
    let info = json!({ "name": "desk", "version": "1" });
    for (number, key) in ["clientInfo", "_meta"].into_iter().enumerate() {
        let mut call = call(number, "echo", json!({}));
        call["params"][key] = match key {
            "_meta" => json!({ "io.modelcontextprotocol/clientInfo": info }),
            _ => info.clone(),
        };
        assert!(is_refusal(&probe.ask(&call)), "{call}");
    }
    // A request that describes itself is its own client's, and nobody else's.
    assert!(!is_refusal(&probe.ask(&called_by(Some("desk"), "desk"))));
    assert!(!is_refusal(&probe.ask(&called_by(None, "nobody"))));
    assert!(is_refusal(&probe.ask(&called_by(Some("probe"), "probe"))));
    assert!(is_refusal(&probe.ask(&call("after", "echo", json!({})))));
    assert_eq!(fake.count("tools/call"), 3);
    probe.end();
    let decisions = home.records_of("decision");
    let calls = decisions.iter().filter(|it| it["method"] == "tools/call");
    let clients: Vec<_> = calls.map(|it| it["client"].as_str().unwrap_or_default()).collect();
    let expected = ["desk 1", "probe 1", "probe 1", "desk 1", "", "probe 1", "probe 1"];
    assert_eq!(clients, expected, "the record says who");
}

fn v08_no_call_passes_above_a_limit() {
    let home = Home::new();
    home.policy("[limits]\ncalls_per_minute = 1\ncalls_burst = 7\ncalls_per_minute_per_tool = 1");
    let fake = home.fake(Script::default());
    let mut probe = Probe::run(&home, &fake).begin();
    let answers: Vec<Value> =
        (0..20).map(|number| probe.ask(&call(number, &format!("t{number}"), json!({})))).collect();
    let passed = answers.iter().filter(|it| !is_refusal(it)).count();
    assert_eq!(passed, 7);
    assert!(answers[7..].iter().all(is_refusal));
    assert!(
        answers[7].to_string().contains("try again in 60 s"),
        "when to try again: {}",
        answers[7]
    );
    assert_eq!(fake.count("tools/call"), 7);

    // So many at a time.
    let home = Home::new();
    home.policy("[limits]\ncalls_in_flight_max = 3");
    let fake = home.fake(Script::default().on_tool("hang", [Step::Hang]));
    let mut probe = Probe::run(&home, &fake).begin();
    (0..3).for_each(|number| probe.send(&call(number, "hang", json!({}))));
    assert!(is_refusal(&probe.ask(&call(3, "hang", json!({})))));
    let cancel = json!({ "requestId": 0 });
    let method = "notifications/cancelled";
    probe.send(&json!({ "jsonrpc": "2.0", "method": method, "params": cancel }));
    assert!(!is_refusal(&probe.ask(&call(4, "echo", json!({})))));
    assert_eq!(fake.count("tools/call"), 4);
}

fn v01_a_refusal_says_where() {
    let home = Home::new();
    let schema = json!({ "type": "object", "properties": {
        "outer": { "type": "object", "properties": { "count": { "type": "integer" } } } } });
    let fake = home.fake(Script::default().with(json!({ "name": "t", "inputSchema": schema })));
    let mut probe = Probe::run(&home, &fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    let answer = probe.ask(&call(1, "t", json!({ "outer": { "count": "horse" } }))).to_string();
    assert!(answer.contains("/outer/count") && answer.contains("type"), "{answer}");
    assert!(!answer.contains("horse"), "{answer}");
}

fn v08_a_limit_holds_for_all_clients_of_a_key() {
    let home = Home::new();
    home.policy(
        "[limits]\ncalls_per_minute = 1\ncalls_burst = 10\ncalls_per_minute_per_tool = 1000",
    );
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    let passed: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..32)
            .map(|client| {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut connection = gateway.connect();
                    if client % 2 == 0 {
                        connection.begin_legacy();
                    }
                    let calls = (0..4).map(|number| {
                        let call = call(number, "echo", json!({}));
                        let answer = match client % 2 {
                            0 => connection.post(&[], &call),
                            _ => connection.post_modern(&call),
                        };
                        usize::from(!is_refusal(&answer.message()))
                    });
                    calls.sum::<usize>()
                })
            })
            .collect();
        clients.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert_eq!(passed, 10, "neither a new session nor a new connection begins anew");
    assert_eq!(fake.count("tools/call"), 10);
}
