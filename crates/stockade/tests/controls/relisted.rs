//! Lists that become others by what is done in front of a server: it is approved anew, refused, or held
//! by another policy. Whoever is connected is told, where that was agreed on, and has it without a
//! restart.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::fake::{Step, say};
use crate::harness::{
    Connection, FakeHttp, Gateway, Home, LEGACY, Probe, Script, call, modern, request, text, tool,
    wait_for,
};
use crate::lock::{Place, listed, names};

crate::rows![
    c02_who_is_connected_is_told_what_is_approved_again,
    c02_a_subscription_is_told_what_is_approved_again,
    c02_a_blocked_server_that_is_approved_comes_back,
    c02_what_one_client_has_seen_is_told_to_the_others,
    c02_nobody_is_told_without_having_agreed,
    p15_another_policy_is_told,
    p15_another_policy_is_told_behind_a_gateway,
];

const TOOLS: &str = "notifications/tools/list_changed";
const PROMPTS: &str = "notifications/prompts/list_changed";

/// A server that says of `version` that it tells of changes, and has one prompt.
fn telling(version: &str, prompt: &str) -> Script {
    let tells = json!({ "listChanged": true });
    Script::default()
        .on(
            "initialize",
            [say(json!({ "jsonrpc": "2.0", "id": "$id", "result": {
                "protocolVersion": LEGACY,
                "capabilities": { "tools": tells, "prompts": tells, "resources": tells },
                "serverInfo": { "name": "fake", "version": version },
            }}))],
        )
        .on(
            "prompts/list",
            [say(json!({ "jsonrpc": "2.0", "id": "$id", "result": {
                "prompts": [{ "name": "p", "description": prompt }],
            }}))],
        )
}

/// A tool, described so.
fn work(description: &str) -> Value {
    let mut work = tool("work");
    work["description"] = json!(description);
    work
}

/// The same server, that acknowledges subscriptions for this.
fn granting(script: Script, granted: &Value) -> Script {
    let ack = say(json!({
        "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
        "params": {
            "notifications": granted,
            "_meta": { "io.modelcontextprotocol/subscriptionId": "$id" },
        },
    }));
    script.on("subscriptions/listen", [ack, Step::Hang])
}

fn listen(id: impl Into<Value>) -> Value {
    modern(request(
        id,
        "subscriptions/listen",
        json!({ "notifications": {
            "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
        }}),
    ))
}

fn methods(messages: &[Value]) -> Vec<&str> {
    let told = messages.iter().filter_map(|it| it["method"].as_str());
    told.filter(|it| it.ends_with("list_changed")).collect()
}

/// Waits until the client is told something, and nothing is asked meanwhile.
#[track_caller]
fn told(probe: &mut Probe, method: &str) -> Value {
    loop {
        let message = probe.next().expect("the guard goes on");
        if message["method"] == method {
            return message;
        }
        probe.others.push(message);
    }
}

/// What comes within two seconds.
fn rest(probe: &mut Probe) -> Vec<Value> {
    let mut rest = std::mem::take(&mut probe.others);
    while let Some(Some(message)) = probe.next_within(Duration::from_secs(2)) {
        rest.push(message);
    }
    rest
}

fn c02_who_is_connected_is_told_what_is_approved_again() {
    let it = Place::approved(&telling("1", "kind").with(work("Works.")));
    it.fake.becomes(&telling("1", "other").with(work("Works!")));
    let mut probe = it.run().begin();
    assert_eq!(names(&listed(&mut probe, "tools")), ["echo"]);
    assert_eq!(listed(&mut probe, "prompts"), json!([]));
    // It has read the very lists that what is refused was taken out of.
    assert_eq!(methods(&rest(&mut probe)), Vec::<&str>::new());
    assert_eq!(it.lock(&["approve", "--yes", "--only", "tool:work"]).status.code(), Some(0));
    let says = told(&mut probe, TOOLS);
    assert_eq!(says, json!({ "jsonrpc": "2.0", "method": TOOLS }));
    assert_eq!(names(&listed(&mut probe, "tools")), ["echo", "work"]);
    assert_eq!(text(&probe.ask(&call(1, "work", json!({ "text": "x" })))), "x");
    // Of the rest nothing was approved.
    assert_eq!(listed(&mut probe, "prompts"), json!([]));
    rest(&mut probe);
    assert_eq!(it.lock(&["approve", "--yes"]).status.code(), Some(0));
    told(&mut probe, PROMPTS);
    assert_eq!(listed(&mut probe, "prompts")[0]["description"], "other");
    assert!(!methods(&rest(&mut probe)).contains(&TOOLS));
}

fn c02_a_subscription_is_told_what_is_approved_again() {
    let tools = json!({ "toolsListChanged": true });
    let it = Place::approved(&granting(telling("1", "kind"), &tools).with(work("Works.")));
    it.fake.becomes(&granting(telling("1", "kind"), &tools).with(work("Works!")));
    let mut probe = it.run();
    probe.send(&listen("one"));
    let asks = modern(request(1, "tools/list", json!({})));
    assert_eq!(names(&probe.ask(&asks)["result"]["tools"]), ["echo"]);
    rest(&mut probe);
    assert_eq!(it.lock(&["approve", "--yes"]).status.code(), Some(0));
    let says = told(&mut probe, TOOLS);
    let meta = json!({ "io.modelcontextprotocol/subscriptionId": "one" });
    let is = json!({ "jsonrpc": "2.0", "method": TOOLS, "params": { "_meta": meta } });
    assert_eq!(says, is);
    let asks = modern(request(2, "tools/list", json!({})));
    assert_eq!(names(&probe.ask(&asks)["result"]["tools"]), ["echo", "work"]);
    // One that is not there any more is not told.
    let over = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": { "requestId": "one" } });
    probe.send(&over);
    it.home.policy("default = 'allow'\n[[tools]]\neffect = 'deny'\ntool = 'work'");
    wait_for("the policy", || {
        let asks = modern(request("again", "tools/list", json!({})));
        (names(&probe.ask(&asks)["result"]["tools"]) == ["echo"]).then_some(())
    });
    assert_eq!(methods(&rest(&mut probe)), Vec::<&str>::new());
}

fn c02_a_blocked_server_that_is_approved_comes_back() {
    let it = Place::approved(&telling("1", "kind"));
    it.fake.becomes(&telling("2", "kind"));
    let mut probe = it.run();
    let begun = probe.begin_in(LEGACY);
    let tells = json!({ "tools": { "listChanged": true } });
    assert_eq!(begun["result"]["capabilities"], tells, "{begun}");
    assert_eq!(names(&listed(&mut probe, "tools")), ["stockade_blocked"]);
    // `lock` begins sessions of its own: so many, each time it looks.
    let begun = || it.fake.count("notifications/initialized");
    let before = begun();
    assert_eq!(it.lock(&["--check"]).status.code(), Some(1));
    let own = begun() - before;
    rest(&mut probe);
    assert_eq!(it.lock(&["approve", "--yes"]).status.code(), Some(0));
    told(&mut probe, TOOLS);
    assert_eq!(names(&listed(&mut probe, "tools")), ["echo"]);
    assert_eq!(text(&probe.ask(&call(1, "echo", json!({ "text": "x" })))), "x");
    assert_eq!(begun(), before + 2 * own + 1, "the server is told that it begins");
}

/// What is said unasked in a session.
fn unasked(client: &Connection) -> Connection {
    let mut listening = client.again();
    listening.send("GET", "/mcp", &[("accept", "text/event-stream")], "");
    assert_eq!(listening.head().expect("a stream").status, 200);
    listening
}

#[track_caller]
fn listed_by(client: &mut Connection) -> Value {
    client.post(&[], &request("list", "tools/list", json!({}))).message()["result"]["tools"].clone()
}

fn c02_what_one_client_has_seen_is_told_to_the_others() {
    let it = Place::approved(&telling("1", "kind").with(work("Works.")));
    let gateway = Gateway::of(&it.home, &it.fake);
    let (mut one, mut other) = (gateway.connect(), gateway.connect());
    one.begin_legacy();
    other.begin_legacy();
    assert_eq!(names(&listed_by(&mut one)), ["echo", "work"]);
    let mut hears = unasked(&one);
    it.fake.becomes(&telling("1", "kind").with(work("Works!")));
    assert_eq!(names(&listed_by(&mut other)), ["echo"]);
    assert_eq!(hears.events().next().expect("an event")["method"], TOOLS);
    assert_eq!(names(&listed_by(&mut one)), ["echo"]);
    // And both when it is approved again.
    let mut others = unasked(&other);
    assert_eq!(it.lock(&["approve", "--yes"]).status.code(), Some(0));
    for stream in [&mut hears, &mut others] {
        assert_eq!(stream.events().next().expect("an event")["method"], TOOLS);
    }
    assert_eq!(names(&listed_by(&mut one)), ["echo", "work"]);
}

fn c02_nobody_is_told_without_having_agreed() {
    let none = json!({ "promptsListChanged": true });
    let silent = |description: &str| granting(Script::default(), &none).with(work(description));
    let it = Place::approved(&silent("Works."));
    it.fake.becomes(&silent("Works!"));
    // Its server announces nothing, and a subscription is for something else.
    let mut session = it.run().begin();
    let mut subscribed = it.run();
    subscribed.send(&listen("one"));
    assert_eq!(names(&listed(&mut session, "tools")), ["echo"]);
    assert_eq!(it.lock(&["approve", "--yes"]).status.code(), Some(0));
    wait_for("the lock to be read", || {
        (names(&listed(&mut session, "tools")) == ["echo", "work"]).then_some(())
    });
    for probe in [&mut session, &mut subscribed] {
        assert_eq!(methods(&rest(probe)), Vec::<&str>::new());
    }
}

const OPEN: &str = "default = 'allow'";
const CLOSED: &str = "default = 'allow'\n[[tools]]\neffect = 'deny'\ntool = 'work'";
const ASKS: &str = "default = 'allow'\n[[tools]]\neffect = 'ask'\ntool = 'work'";

fn p15_another_policy_is_told() {
    let home = Home::new();
    home.policy(OPEN);
    let grants = json!({ "toolsListChanged": true });
    let script = granting(telling("1", "kind"), &grants).with(work("Works."));
    let fake = home.fake(script);
    let mut session = Probe::run(&home, &fake).begin();
    let mut subscribed = Probe::run(&home, &fake);
    subscribed.send(&listen(7));
    assert_eq!(names(&listed(&mut session, "tools")), ["echo", "work"]);
    let asks = |id: u64| modern(request(id, "tools/list", json!({})));
    assert_eq!(names(&subscribed.ask(&asks(1))["result"]["tools"]), ["echo", "work"]);
    for (policy, shows) in [(CLOSED, &["echo"][..]), (OPEN, &["echo", "work"])] {
        home.policy(policy);
        told(&mut session, TOOLS);
        assert_eq!(names(&listed(&mut session, "tools")), shows);
        let says = told(&mut subscribed, TOOLS);
        assert_eq!(says["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7, "{says}");
        assert_eq!(names(&subscribed.ask(&asks(2))["result"]["tools"]), shows);
    }
    // One that shows the same tells nobody.
    home.policy(ASKS);
    wait_for("the policy", || (home.records_of("policy").len() >= 6).then_some(()));
    for probe in [&mut session, &mut subscribed] {
        assert_eq!(methods(&rest(probe)), Vec::<&str>::new());
    }
}

fn p15_another_policy_is_told_behind_a_gateway() {
    let home = Home::new();
    home.policy(OPEN);
    let grants = json!({ "toolsListChanged": true });
    let script = granting(telling("1", "kind"), &grants).with(work("Works."));
    let fake = home.fake(Script { concurrent: true, ..script.clone() });
    let http = FakeHttp::new(script);
    for gateway in [Gateway::of(&home, &fake), Gateway::to(&home, &http)] {
        home.policy(OPEN);
        let mut client = gateway.connect();
        let asks = request(1, "tools/list", json!({}));
        wait_for("the first policy", || {
            let tools = client.post_modern(&asks).message()["result"]["tools"].clone();
            (names(&tools) == ["echo", "work"]).then_some(())
        });
        let mut subscribed = gateway.connect();
        let message = listen("mine");
        let headers = crate::harness::http::modern_headers(&message);
        let headers: Vec<_> = headers.iter().map(|(name, it)| (*name, it.as_str())).collect();
        subscribed.start_post(&headers, &message);
        assert_eq!(subscribed.head().expect("a stream").status, 200);
        let mut events = subscribed.events();
        assert!(events.next().expect("an event")["method"].as_str().unwrap().ends_with("ledged"));
        home.policy(CLOSED);
        let says = events.next().expect("an event");
        assert_eq!(says["method"], TOOLS);
        let id = &says["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        assert_eq!(id, "mine", "{says}");
        let tools = client.post_modern(&asks).message()["result"]["tools"].clone();
        assert_eq!(names(&tools), ["echo"]);
    }
}
