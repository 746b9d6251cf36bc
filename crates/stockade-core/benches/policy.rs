//! What a decision about a call costs: `cargo bench -p stockade-core --bench policy`.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Value, json};
use stockade_core::json::Document;
use stockade_core::policy::{
    CallFacts, Condition, Effect, Origin, Pattern, Policy, Test, ToolRule, Tools, When,
};

const ROUNDS: u32 = 2_000;

fn rule(tool: &str, argument: Option<Test>, when: Option<&str>) -> ToolRule {
    let effect = Effect::Allow;
    let parse = |it| Pattern::parse(it, effect.reading()).unwrap();
    let conditions = argument.into_iter().map(|it| Condition {
        argument: "path".to_owned(),
        tests: vec![it],
        reading: effect.reading(),
    });
    ToolRule {
        origin: Origin::built_in("tools"),
        effect,
        servers: vec![parse("*")],
        tools: vec![parse(tool)],
        conditions: conditions.collect(),
        when: when.map(|it| When::parse(it).unwrap()),
        shadow: false,
    }
}

fn twenty(last: ToolRule) -> Policy {
    let mut rules: Vec<ToolRule> = (0..19).map(|n| rule(&format!("t{n}_*"), None, None)).collect();
    rules.push(last);
    let tools = Tools { rules, default: Effect::Deny, ..Tools::default() };
    Policy { tools, roots: vec!["/srv/docs".to_owned()], ..Policy::default() }
}

fn main() {
    let small = json!({"path": "/srv/docs/a.txt", "n": 3});
    let items: Vec<Value> = (0..100).map(|n| json!({"id": n, "text": "x".repeat(80)})).collect();
    let large = json!({"path": "/srv/docs/a.txt", "n": 3, "items": items});
    let matches = Test::matches("/srv/[a-z/.]+", Effect::Allow.reading()).unwrap();
    let policies = [
        ("a table: in_roots", twenty(rule("*", Some(Test::InRoots(true)), None))),
        ("a table: matches", twenty(rule("*", Some(matches), None))),
        ("CEL: one argument", twenty(rule("*", None, Some("args.path.startsWith('/srv/')")))),
        ("CEL: matches", twenty(rule("*", None, Some("args.path.matches('^/srv/[a-z/.]+$')")))),
        ("CEL: all arguments", twenty(rule("*", None, Some("size(args) == 2 || 'n' in args")))),
    ];
    for (name, policy) in &policies {
        for arguments in [&small, &large] {
            let document = Document::from_value(arguments).unwrap();
            let bytes = document.source().len();
            let arguments = Some(document.root());
            let roots = &policy.roots;
            let call = CallFacts { tool: "read", arguments, client: None, principal: None, roots };
            let start = Instant::now();
            for _ in 0..ROUNDS {
                black_box(policy.call(black_box(&call)));
            }
            let each = start.elapsed() / ROUNDS;
            println!("{name:20} {bytes:6} bytes of arguments: {each:?}");
        }
    }
    let start = Instant::now();
    for _ in 0..50 {
        black_box(When::parse("args.path.matches('^/srv/[a-z/.]+$')").unwrap());
    }
    println!("compiling an expression: {:?}", start.elapsed() / 50);
}
