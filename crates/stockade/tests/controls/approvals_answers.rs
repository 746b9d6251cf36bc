//! Answers that wait behind `stockade serve`: a result in which a server asks something, and what a
//! client answers a server, in front of a process and of a remote server.

use std::time::Duration;

use serde_json::{Value, json};

use crate::approvals::{question, questions, waiting};
use crate::approvals_http::{FORMS, Form, Stand};
use crate::harness::{Script, call, is_refusal, modern, request, say, text, wait_for};

crate::rows![
    u05_a_result_that_asks_waits_behind_a_gateway,
    u05_a_result_that_nobody_wants_waits_for_nobody,
    u05_what_a_model_answers_waits_behind_a_gateway,
    u04_answers_take_places_as_calls_do,
];

const ASKS: &str = "\n[sampling]\neffect = \"ask\"\n";
const REPLIES: &str = "\n[sampling]\neffect = \"allow\"\nreply = \"ask\"\n";

fn models() -> Value {
    json!({ "sampling": {} })
}

fn sampling() -> Value {
    json!({
        "messages": [{ "role": "user", "content": { "type": "text", "text": "Sum it up." } }],
        "maxTokens": 100,
    })
}

/// A server whose tools ask a model: `wants` in its result, `streams` in one that comes on a stream,
/// `asks` by a request.
fn script() -> Script {
    let result = |it: Value| say(json!({ "jsonrpc": "2.0", "id": "$id", "result": it }));
    let wants = json!({
        "resultType": "input_required",
        "inputRequests": { "q": { "method": "sampling/createMessage", "params": sampling() } },
        "requestState": "of the server",
    });
    let progress = say(json!({
        "jsonrpc": "2.0", "method": "notifications/progress",
        "params": { "progressToken": "$token", "progress": 1 },
    }));
    let done = result(json!({ "content": [{ "type": "text", "text": "done" }] }));
    Script::default()
        .on_tool("wants", [result(wants.clone())])
        .on_tool("streams", [progress, result(wants)])
        .on_tool("asks", [say(request("asked", "sampling/createMessage", sampling())), done])
}

fn wants(id: u64, tool: &str) -> Value {
    let mut wants = call(id, tool, json!({}));
    wants["params"]["_meta"]["progressToken"] = json!(format!("t{id}"));
    wants
}

fn modern_forms() -> impl Iterator<Item = Form> {
    FORMS.iter().copied().filter(|it| it.is_modern())
}

fn u05_a_result_that_asks_waits_behind_a_gateway() {
    for form in modern_forms() {
        let stand = Stand::with(form, ASKS, script(), &[]);
        let client = stand.client_of(stand.gateway.connect(), models());
        for (id, tool) in [(1, "wants"), (2, "streams")] {
            // The head of the answer is there before anybody has said anything.
            let mut waits = client.begins(&wants(id, tool));
            let asked = question(&stand.home);
            assert!(!is_refusal(&client.ask(&call(id + 100, "echo", json!({})))), "{form:?}");
            stand.allows(&asked);
            let answer = waits.answer();
            let of = &answer["result"]["inputRequests"]["q"];
            assert_eq!(of["params"]["maxTokens"], 100, "{form:?} {tool}: {answer}");
            assert_eq!(waits.next(), None, "{form:?} {tool}: and no more");
            let outcomes = stand.home.records_of("outcome");
            let outcome = outcomes.iter().find(|it| it["call"] == *asked).expect(&asked);
            assert_eq!(outcome["channel"], "terminal", "{outcome}");
            // A no.
            let mut waits = client.begins(&wants(id + 10, tool));
            stand.denies(&question(&stand.home));
            let answer = waits.answer();
            assert!(text(&answer).contains("a person has said no"), "{form:?} {tool}: {answer}");
        }
        // Who waits is told so.
        let mut waits = client.begins(&wants(30, "wants"));
        let asked = question(&stand.home);
        let told = waits.next().unwrap();
        assert_eq!(told["method"], "notifications/progress", "{form:?} {told}");
        assert_eq!(told["params"]["progressToken"], "t30", "{form:?} {told}");
        assert!(told["params"]["message"].as_str().unwrap().contains(&asked), "{told}");
        stand.allows(&asked);
        assert!(!is_refusal(&waits.answer()), "{form:?}");
        stand.gateway.end();
        assert!(stand.home.is_whole());
    }
}

fn u05_a_result_that_nobody_wants_waits_for_nobody() {
    for form in modern_forms() {
        let limit = format!("{ASKS}\n[limits]\napproval_timeout_s = 3\n");
        let stand = Stand::with(form, &limit, script(), &[]);
        let client = stand.client_of(stand.gateway.connect(), models());
        for tool in ["wants", "streams"] {
            // Who closes the stream has cancelled.
            let waits = client.begins(&wants(1, tool));
            let asked = question(&stand.home);
            drop(waits);
            wait_for("the question to go", || waiting(&stand.home).is_empty().then_some(()));
            stand.complains(&asked);
            let outcomes = stand.home.records_of("outcome");
            let outcome = outcomes.iter().find(|it| it["call"] == *asked).expect(&asked);
            assert_eq!(outcome["status"], "cancelled", "{form:?} {tool}: {outcome}");
            // And a question that nobody answers is a no.
            let mut waits = client.begins(&wants(2, tool));
            question(&stand.home);
            let answer = waits.answer();
            assert!(text(&answer).contains("nobody has answered in time"), "{form:?}: {answer}");
        }
        stand.gateway.end();
    }
}

fn u05_what_a_model_answers_waits_behind_a_gateway() {
    for form in FORMS.iter().copied().filter(|it| !it.is_modern()) {
        let stand = Stand::with(form, REPLIES, script(), &[]);
        let client = stand.client_of(stand.gateway.connect(), models());
        for (id, approves) in [(1, true), (2, false)] {
            let mut waits = client.begins(&call(id, "asks", json!({})));
            let asked = waits.next().expect("a question");
            assert_eq!(asked["method"], "sampling/createMessage", "{form:?} {asked}");
            let content = json!({ "type": "text", "text": format!("MODEL {id}") });
            let reply = json!({ "role": "assistant", "model": "m", "content": content });
            let reply = json!({ "jsonrpc": "2.0", "id": "asked", "result": reply });
            assert_eq!(client.tells(&reply), 202, "{form:?}");
            let question = question(&stand.home);
            let is = |it: &&Value| it["id"] == "asked" && it.get("method").is_none();
            let told = || stand.messages().iter().filter(is).cloned().collect::<Vec<_>>();
            let before = told().len();
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(told().len(), before, "{form:?}: nobody has said yes");
            if approves {
                stand.allows(&question)
            } else {
                stand.denies(&question)
            }
            let last = wait_for("the server to be told", || {
                Some(told()).filter(|it| it.len() > before)?.pop()
            });
            assert_eq!(last.get("result").is_some(), approves, "{form:?} {last}");
            assert!(approves || !last.to_string().contains("MODEL"), "{form:?} {last}");
        }
        stand.gateway.end();
    }
}

fn u04_answers_take_places_as_calls_do() {
    for form in modern_forms() {
        let limit = format!("{ASKS}\n[limits]\napprovals_max = 2\n");
        let stand = Stand::with(form, &limit, script(), &["anna", "ben"]);
        let of = |name| stand.client_of(stand.gateway.connect_as(name), models());
        let (anna, ben) = (of("anna"), of("ben"));
        let _first = anna.begins(&wants(1, "wants"));
        questions(&stand.home, 1);
        let refused = anna.ask(&wants(2, "wants"));
        assert!(text(&refused).contains("too many calls wait"), "{form:?} {refused}");
        let _other = ben.begins(&wants(1, "wants"));
        questions(&stand.home, 2);
        let asks = modern(request(3, "tools/list", json!({})));
        assert!(ben.ask(&asks)["result"]["tools"].is_array(), "{form:?}");
    }
}
