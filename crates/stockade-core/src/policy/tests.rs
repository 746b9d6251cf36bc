//! Decisions about calls, as tables: a policy in a line each, a call, and what is to come of it.

use serde_json::{Value, json};

use super::*;
use crate::json::Document;

/// `effect tools` and what else a rule may say.
fn rule(effect: Effect, tools: &str) -> ToolRule {
    let parse = |it: &str| Pattern::parse(it, effect.reading()).unwrap();
    ToolRule {
        origin: Origin { id: "tools[0]".to_owned(), place: "stockade.toml:12".to_owned() },
        effect,
        servers: vec![parse("*")],
        tools: tools.split(' ').filter(|it| !it.is_empty()).map(parse).collect(),
        conditions: Vec::new(),
        when: None,
        shadow: false,
    }
}

fn when(effect: Effect, source: &str) -> ToolRule {
    ToolRule { when: Some(When::parse(source).unwrap()), ..rule(effect, "*") }
}

fn about(effect: Effect, argument: &str, tests: Vec<Test>) -> ToolRule {
    let reading = effect.reading();
    let condition = Condition { argument: argument.to_owned(), tests, reading };
    ToolRule { conditions: vec![condition], ..rule(effect, "*") }
}

fn policy(default: Effect, rules: Vec<ToolRule>) -> Policy {
    let rules = rules.into_iter().enumerate().map(|(n, it)| ToolRule {
        origin: Origin { id: format!("tools[{n}]"), ..it.origin },
        ..it
    });
    let tools = Tools { rules: rules.collect(), default, server: "fs".into(), ..Tools::default() };
    Policy { tools, roots: vec!["/srv/docs".to_owned()], ..Policy::default() }
}

fn decide(policy: &Policy, tool: &str, arguments: &Value) -> Decision {
    let document = Document::from_value(arguments).unwrap();
    let arguments = Some(document.root());
    let roots = &policy.roots;
    policy.call(&CallFacts { tool, arguments, client: Some("desk"), principal: None, roots })
}

fn check(policy: &Policy, tool: &str, arguments: &Value, expected: &str, by: &str) {
    let decision = decide(policy, tool, arguments);
    let found = (decision.verdict.name(), decision.by.rule.as_str());
    assert_eq!(found, (expected, by), "{tool} {arguments}");
}

#[test]
fn the_strictest_rule_decides_whatever_the_order() {
    use Effect::{Allow, Ask, Deny};
    let policy = policy(
        Deny,
        vec![rule(Allow, "*_file"), rule(Deny, "delete_*"), rule(Ask, "write_*"), rule(Ask, "w*")],
    );
    for (tool, expected, by) in [
        ("read_file", "allow", "tools[0]"),
        ("write_file", "ask", "tools[2]"),
        ("delete_file", "deny", "tools[1]"),
        // What closes is read widely, what opens narrowly.
        ("DELETE_file", "deny", "tools[1]"),
        ("read_FILE", "deny", "default"),
        ("other", "deny", "default"),
        ("", "deny", "default"),
    ] {
        check(&policy, tool, &json!({}), expected, by);
    }
    let Verdict::Ask(questions) = decide(&policy, "write_file", &json!({})).verdict else {
        panic!("not asked");
    };
    assert_eq!(questions.len(), 2);
}

#[test]
fn every_decision_names_its_place() {
    let policy = policy(Effect::Allow, vec![rule(Effect::Deny, "rm")]);
    let said = |tool| decide(&policy, tool, &json!({})).by;
    assert_eq!(said("rm").internal, "tools[0] (stockade.toml:12) denies it");
    assert_eq!(said("rm").external, "rule `tools[0]`");
    assert_eq!(said("ls").internal, "default (built in) allows it");
}

#[test]
fn a_rule_for_another_server_says_nothing() {
    let other = vec![Pattern::parse("git*", Reading::Wide).unwrap()];
    let policy =
        policy(Effect::Allow, vec![ToolRule { servers: other, ..rule(Effect::Deny, "*") }]);
    check(&policy, "any", &json!({}), "allow", "default");
    assert!(policy.lists("any"));
}

#[test]
fn no_names_are_not_all_names() {
    let policy = policy(Effect::Deny, vec![rule(Effect::Allow, "")]);
    check(&policy, "read", &json!({}), "deny", "default");
    assert!(Pattern::parse("", Reading::Narrow).is_err());
}

#[test]
fn what_is_denied_by_name_is_not_listed() {
    use Effect::{Allow, Ask, Deny};
    let closed = policy(Deny, vec![rule(Allow, "read"), when(Ask, "tool == 'write'")]);
    let open = policy(Allow, vec![rule(Deny, "rm"), when(Deny, "args.path == '/etc'")]);
    let closed_names = policy(Deny, vec![rule(Allow, "read")]);
    for (policy, tool, listed) in [
        (&closed, "read", true),
        (&closed, "write", true),
        (&closed_names, "write", false),
        (&open, "rm", false),
        (&open, "ls", true),
    ] {
        assert_eq!(policy.lists(tool), listed, "{tool}");
        assert_eq!(decide(policy, tool, &json!({"path": "/"})).hidden, !listed, "{tool}");
    }
}

#[test]
fn what_closes_knows_a_name_in_disguise() {
    use Effect::{Allow, Ask, Deny};
    let open = policy(Allow, vec![rule(Deny, "danger"), rule(Ask, "*_file")]);
    for tool in ["danger ", "\u{a0}danger", "d\u{430}nger", "\u{ff44}anger", "dan\u{ad}ger\t"] {
        check(&open, tool, &json!({}), "deny", "tools[0]");
        assert!(!open.lists(tool), "{tool:?}");
    }
    // Where an ask would be milder than what holds for other names, a disguise gains nothing.
    check(&open, "write_file\n", &json!({}), "deny", "tools[1]");
    let asks = policy(Deny, vec![rule(Ask, "*_file")]);
    check(&asks, "write_file", &json!({}), "ask", "tools[0]");
    check(&asks, "write_file ", &json!({}), "deny", "tools[0]");
    assert!(!asks.lists("write_file "));
    assert_eq!(
        decide(&open, "danger ", &json!({})).by.internal,
        "tools[0] (stockade.toml:12) denies it: the name reads as `danger`"
    );
    // Nor does what opens know it.
    let named = policy(Deny, vec![rule(Allow, "read")]);
    check(&named, "read ", &json!({}), "deny", "default");
    // What else a rule says counts as ever, and an expression is asked about what the name reads as.
    let when = policy(Allow, vec![when(Deny, "tool == 'rm' && args.path == '/'")]);
    check(&when, "rm\r", &json!({"path": "/"}), "deny", "tools[0]");
    check(&when, "rm\r", &json!({"path": "/a"}), "allow", "default");
    check(&when, "\u{440}\u{43c}", &json!({"path": "/"}), "allow", "default");
}

#[test]
fn an_argument_in_disguise_is_the_one_that_was_meant() {
    let text = |it: &str| vec![Test::Prefix(it.to_owned())];
    let denies = policy(Effect::Allow, vec![about(Effect::Deny, "path", text("/etc"))]);
    let allows = policy(Effect::Deny, vec![about(Effect::Allow, "path", text("/srv"))]);
    for name in ["Path", "PATH", "path ", "p\u{430}th", "pa\u{200b}th"] {
        check(&denies, "t", &json!({ name: "/etc/passwd" }), "deny", "tools[0]");
        check(&denies, "t", &json!({ "path": "/srv", name: "/etc/passwd" }), "deny", "tools[0]");
        check(&denies, "t", &json!({ name: "/srv" }), "allow", "default");
        check(&allows, "t", &json!({ name: "/srv" }), "deny", "default");
        check(&allows, "t", &json!({ "path": "/srv", name: "/etc/passwd" }), "deny", "default");
    }
    check(&allows, "t", &json!({ "path": "/srv", "paths": "/etc" }), "allow", "tools[0]");
    let there =
        policy(Effect::Allow, vec![about(Effect::Deny, "force", vec![Test::Present(true)])]);
    check(&there, "t", &json!({ "Force": 1 }), "deny", "tools[0]");
    check(&there, "t", &json!({ "forced": 1 }), "allow", "default");
    let lacks =
        policy(Effect::Allow, vec![about(Effect::Deny, "reason", vec![Test::Present(false)])]);
    check(&lacks, "t", &json!({ "Reason": "x" }), "deny", "tools[0]");
    check(&lacks, "t", &json!({ "reason": "x" }), "allow", "default");
}

#[test]
fn an_allow_wants_everything_to_fit() {
    let inside =
        policy(Effect::Deny, vec![about(Effect::Allow, "path", vec![Test::InRoots(true)])]);
    for (arguments, expected) in [
        (json!({"path": "/srv/docs/a"}), "allow"),
        (json!({"path": ["/srv/docs/a", ["b"]]}), "allow"),
        (json!({"path": ["/srv/docs/a", "/etc/passwd"]}), "deny"),
        (json!({"path": "/srv/docs/../x"}), "deny"),
        (json!({"path": "/srv/docs-secret"}), "deny"),
        (json!({"path": "/srv/docs/%2e%2e/x"}), "deny"),
        (json!({"path": []}), "deny"),
        (json!({"path": {}}), "deny"),
        (json!({"path": {"in": "/srv/docs/a"}}), "deny"),
        (json!({"path": 7}), "deny"),
        (json!({"path": null}), "deny"),
        (json!({}), "deny"),
        (json!("/srv/docs/a"), "deny"),
    ] {
        assert_eq!(decide(&inside, "t", &arguments).verdict.name(), expected, "{arguments}");
    }
    let word = vec![Test::matches("[a-z]+|ok!", Reading::Narrow).unwrap()];
    let word = policy(Effect::Deny, vec![about(Effect::Allow, "name", word)]);
    for (name, expected) in
        [("abc", "allow"), ("ok!", "allow"), ("abc; rm -rf /", "deny"), ("abc\n", "deny")]
    {
        assert_eq!(decide(&word, "t", &json!({ "name": name })).verdict.name(), expected, "{name}");
    }
}

#[test]
fn a_deny_wants_anything_to_fit() {
    let outside =
        policy(Effect::Allow, vec![about(Effect::Deny, "path", vec![Test::InRoots(false)])]);
    let docs = policy(Effect::Allow, vec![about(Effect::Deny, "path", vec![Test::InRoots(true)])]);
    let rm = vec![Test::matches("rm -rf", Reading::Wide).unwrap()];
    let rm = policy(Effect::Allow, vec![about(Effect::Deny, "", rm)]);
    for (policy, arguments, expected) in [
        (&outside, json!({"path": "/etc/passwd"}), "deny"),
        (&outside, json!({"path": ["/srv/docs/a", "/etc/passwd"]}), "deny"),
        (&outside, json!({"path": {"deep": ["/etc"]}}), "deny"),
        (&outside, json!({"path": "/srv/docs/a"}), "allow"),
        (&outside, json!({"path": "/srv/docs/%2e%2e/x"}), "deny"),
        (&outside, json!({"path": 7}), "deny"),
        (&outside, json!({}), "allow"),
        (&docs, json!({"path": "/srv/docs/a"}), "deny"),
        (&docs, json!({"path": "/etc"}), "allow"),
        // It may be read as inside by somebody.
        (&docs, json!({"path": "/srv/%64ocs%2fa"}), "deny"),
        (&rm, json!({"cmd": "sudo rm -rf /"}), "deny"),
        (&rm, json!({"a": [{"rm -rf": 1}]}), "deny"),
        (&rm, json!({"cmd": "ls"}), "allow"),
    ] {
        assert_eq!(decide(policy, "t", &arguments).verdict.name(), expected, "{arguments}");
    }
}

#[test]
fn arguments_are_compared_as_json() {
    let one_of = |values: Value| {
        let values = values.as_array().cloned().unwrap_or_default();
        policy(Effect::Deny, vec![about(Effect::Allow, "/o/x", vec![Test::OneOf(values)])])
    };
    for (values, x, expected) in [
        (json!(["a", 1, true]), json!("a"), "allow"),
        (json!(["a", 1, true]), json!(1.0), "allow"),
        (json!(["a", 1, true]), json!(true), "allow"),
        (json!(["a", 1, true]), json!("1"), "deny"),
        (json!(["a", 1, true]), json!(null), "deny"),
        (json!([]), json!("a"), "deny"),
        (json!([9_007_199_254_740_993_i64]), json!(9_007_199_254_740_992_i64), "deny"),
    ] {
        let found = decide(&one_of(values.clone()), "t", &json!({"o": {"x": x}}));
        assert_eq!(found.verdict.name(), expected, "{values} {x}");
    }
    let absent =
        policy(Effect::Deny, vec![about(Effect::Allow, "force", vec![Test::Present(false)])]);
    check(&absent, "t", &json!({}), "allow", "tools[0]");
    check(&absent, "t", &json!({"force": false}), "deny", "default");
    let prefix = Test::Prefix("https://a.example/".to_owned());
    let prefix = policy(Effect::Deny, vec![about(Effect::Allow, "url", vec![prefix])]);
    check(&prefix, "t", &json!({"url": "https://a.example/x"}), "allow", "tools[0]");
    check(&prefix, "t", &json!({"url": "https://a.example.evil/"}), "deny", "default");
}

#[test]
fn expressions_see_the_call() {
    for (source, expected) in [
        ("tool == 't' && server == 'fs' && client in ['desk', ''] && principal == ''", "allow"),
        ("args.n > 2 && args.n < 4", "allow"),
        ("args.list.all(it, it.startsWith('a'))", "allow"),
        ("args.list.exists(args, args == 'ab') && size(args.list) == 2", "allow"),
        ("args['path'].matches('^/srv/')", "allow"),
        ("matches(args.path, 'nope')", "deny"),
        ("has(args.none) || args.deep.x[0] == null", "allow"),
        ("type(args.n) == int && type(args.list) == list", "allow"),
        ("args.half == 0.5", "allow"),
        ("!(tool in ['a', 'b'])", "allow"),
    ] {
        let policy = policy(Effect::Deny, vec![when(Effect::Allow, source)]);
        let arguments = json!({
            "n": 3, "half": 0.5, "list": ["a", "ab"], "path": "/srv/x", "deep": {"x": [null]},
        });
        let found = decide(&policy, "t", &arguments);
        assert_eq!(found.verdict.name(), expected, "{source}: {}", found.by.internal);
    }
}

#[test]
fn an_expression_that_fails_denies_whatever_the_effect_is() {
    let large: Vec<Value> = vec![json!("x"); 20_000];
    let arguments = json!({"path": "secret", "n": 1, "list": large, "text": "x".repeat(2 << 20)});
    for source in [
        "args.none == 'x'",
        "args.path > 3",
        "args.path",
        "args.n / 0 == 1",
        "args.list[30] == 'x'",
        "size(args.text) > 3",
        "9223372036854775807 + args.n > 0",
        "int(args.path) == 1",
    ] {
        for effect in [Effect::Allow, Effect::Ask, Effect::Deny] {
            let policy = policy(Effect::Allow, vec![when(effect, source)]);
            let found = decide(&policy, "t", &arguments);
            assert!(matches!(found.verdict, Verdict::Deny(_)), "{source}");
            assert!(!found.by.internal.contains("secret"), "{}", found.by.internal);
        }
    }
    // What it does not mention costs nothing.
    let policy = policy(Effect::Deny, vec![when(Effect::Allow, "args.n == 1")]);
    check(&policy, "t", &arguments, "allow", "tools[0]");
}

/// Each as deep as it may be, on the small stack of a thread.
#[test]
fn a_deep_expression_does_not_exhaust_the_stack() {
    for (source, taken) in [
        (format!("{}true{}", "(".repeat(12), ")".repeat(12)), true),
        (format!("{}true{}", "(".repeat(13), ")".repeat(13)), false),
        (format!("{}1{} == 1", "size(".repeat(12), ")".repeat(12)), true),
        (format!("1{} > 0", "+1".repeat(30)), true),
        (format!("1{} > 0", "+1".repeat(2000)), false),
        (format!("true{}", "&&true".repeat(600)), true),
        (format!("{}true", "!".repeat(4000)), true),
        (format!("args{} == 1", ".a".repeat(30)), true),
        (format!("args{} == 1", ".a".repeat(2000)), false),
        (format!("{}true", "false?true:".repeat(300)), false),
    ] {
        let parsed = When::parse(&source);
        assert_eq!(parsed.is_ok(), taken, "{source}: {parsed:?}");
        if let Ok(it) = parsed {
            let rules = vec![ToolRule { when: Some(it), ..rule(Effect::Allow, "*") }];
            decide(&policy(Effect::Deny, rules), "t", &json!({}));
        }
    }
}

#[test]
fn an_expression_that_a_caller_could_make_expensive_is_not_taken() {
    for source in [
        "args.a.all(x, args.b.all(y, x == y))",
        "args.path.matches(args.pattern)",
        "args.path.matches('(')",
        "args.path.matches('(a{1000}){1000}')",
        "arg.path == ''",
        "now() > 3",
        "optional.of(1).hasValue()",
        "args.?path == 1",
        "Message{x: 1}",
        "args.path ==",
        "",
        &format!("{}true{}", "(".repeat(2000), ")".repeat(2000)),
        &" ".repeat(5000),
    ] {
        let error = When::parse(source).map(|_| ()).unwrap_err();
        assert!(error.at().is_none_or(|it| it <= source.len()), "{source}: {error}");
    }
    let error = When::parse("true &&\n  arg.path == ''").map(|_| ()).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.at()), ("there is no variable `arg`", Some(10)));
}

/// Every policy of up to three rules out of some, and each of those with one deny more.
/// A loop looks through the text once for each value, and a caller chooses both.
#[test]
fn a_loop_over_much_denies() {
    let list = |values: usize| json!({ "l": vec!["x"; values], "s": "a".repeat(600_000) });
    let looped = policy(Effect::Deny, vec![when(Effect::Allow, "!args.l.exists(x, args.s == x)")]);
    check(&looped, "t", &list(10), "allow", "tools[0]");
    check(&looped, "t", &list(9000), "deny", "tools[0]");
    let once = policy(Effect::Deny, vec![when(Effect::Allow, "size(args.l) + size(args.s) > 0")]);
    check(&once, "t", &list(9000), "allow", "tools[0]");
}

#[test]
fn a_deny_more_never_opens_anything() {
    let effects = [Effect::Allow, Effect::Ask, Effect::Deny];
    let each = |it| {
        [
            rule(it, "read_*"),
            rule(it, "*"),
            about(it, "path", vec![Test::InRoots(true)]),
            about(it, "path", vec![Test::InRoots(false)]),
            when(it, "args.path == '/etc'"),
            when(it, "args.none"),
        ]
    };
    let all: Vec<ToolRule> = effects.into_iter().flat_map(each).collect();
    let denies = each(Effect::Deny);
    let strictness = |it: &Decision| match it.verdict {
        Verdict::Allow => 0,
        Verdict::Ask(_) => 1,
        Verdict::Deny(_) => 2,
    };
    let calls = [
        ("read_file", json!({"path": "/srv/docs/a"})),
        ("write_file", json!({"path": "/etc"})),
        ("read_file", json!({})),
    ];
    for default in effects {
        for (first, second) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
            let base = vec![first.clone(), second.clone()];
            let before = policy(default, base.clone());
            let before = calls.each_ref().map(|(tool, it)| strictness(&decide(&before, tool, it)));
            for (at, deny) in denies.iter().flat_map(|deny| (0..3).map(move |at| (at, deny))) {
                let mut rules = base.clone();
                rules.insert(at, deny.clone());
                let after = policy(default, rules);
                for ((tool, arguments), before) in calls.iter().zip(before) {
                    let after = strictness(&decide(&after, tool, arguments));
                    assert!(after >= before, "{first:?} {second:?} {deny:?} {tool} {arguments}");
                }
            }
        }
    }
}

#[test]
fn a_policy_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Policy>();
}

#[test]
fn what_a_client_calls_itself_opens_nothing() {
    use Effect::{Allow, Ask, Deny};
    let desk = |effect| when(effect, "client == 'desk'");
    let others = |effect| when(effect, "client != 'desk'");
    let table = [
        (Deny, vec![desk(Allow)], "deny", "default"),
        (Deny, vec![desk(Ask)], "deny", "default"),
        (Ask, vec![desk(Allow)], "ask", "default"),
        (Deny, vec![rule(Allow, "*"), others(Deny)], "deny", "tools[1]"),
        (Allow, vec![others(Ask)], "ask", "tools[0]"),
        (Allow, vec![desk(Deny)], "deny", "tools[0]"),
        (Allow, vec![desk(Ask)], "ask", "tools[0]"),
        (Allow, vec![desk(Deny), others(Ask)], "deny", "tools[0]"),
        (Allow, vec![desk(Ask), others(Deny)], "deny", "tools[1]"),
        // Each of these opens it for somebody, so it is open to everybody.
        (Deny, vec![desk(Allow), others(Allow)], "allow", "tools[0]"),
        (Deny, vec![when(Allow, "client != 'evil'")], "allow", "tools[0]"),
    ];
    for (default, rules, expected, by) in table {
        check(&policy(default, rules), "t", &json!({}), expected, by);
    }
}

#[test]
fn a_person_is_asked_what_either_name_asks() {
    let rules = ["client == 'desk'", "client == ''", "true"].map(|it| when(Effect::Ask, it));
    let decision = decide(&policy(Effect::Allow, rules.into()), "t", &json!({}));
    let Verdict::Ask(questions) = decision.verdict else { panic!("not asked") };
    let asked: Vec<_> = questions.iter().map(|it| it.rule.as_str()).collect();
    assert_eq!(asked, ["tools[0]", "tools[2]", "tools[1]"]);
}
