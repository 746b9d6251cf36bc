//! Traces: which span a call is, of which trace, what is in it; and that no call waits for who collects
//! them.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::process::listens_on;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::{
    Connection, Fake, Gateway, Home, Probe, Script, call, is_refusal, request, tool, wait_for,
};

crate::rows![
    l05_a_call_is_a_span,
    l05_a_trace_goes_on_behind_the_guard,
    l05_nobody_waits_for_a_collector,
    l05_spans_go_by_tls_or_stay_here,
    l02_nothing_of_a_call_is_in_a_span,
];

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const SECRET: &str = "ghp_u8jzPde0IgxLd6GncfBAepfJBd0Kh8oOOL8d";

fn policy(home: &Home, endpoint: &str, more: &str) {
    home.policy(&format!(
        "default = \"allow\"\n[[tools]]\neffect = \"deny\"\ntool = \"rm*\"\n\
         [traces]\nendpoint = \"{endpoint}\"\n{more}"
    ));
}

/// A collector that takes everything, and a guard that tells it.
fn traced() -> (Receiver, Home, Fake) {
    let collector = Receiver::answering(|_| Reply { body: "{}".to_owned(), ..Reply::status(200) });
    let home = Home::new();
    policy(&home, &collector.url(), "");
    let fake = home.fake(Script::default().with(tool("rm")));
    (collector, home, fake)
}

fn listed(home: &Home, fake: &Fake) -> Probe {
    let mut probe = Probe::run(home, fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    probe
}

/// All spans that came, as `opentelemetry/proto/trace/v1/trace.proto` has them in JSON.
fn spans(collector: &Receiver) -> Vec<Value> {
    let mut spans = Vec::new();
    for it in collector.told() {
        assert_eq!((&*it.method, it.header("content-type")), ("POST", "application/json"));
        let body: Value = serde_json::from_str(&it.body).unwrap();
        for of in body["resourceSpans"].as_array().unwrap() {
            assert_eq!(attribute(&of["resource"], "service.name"), Some("stockade"), "{of}");
            for scope in of["scopeSpans"].as_array().unwrap() {
                spans.extend(scope["spans"].as_array().unwrap().clone());
            }
        }
    }
    spans
}

/// Waits until there are so many.
#[track_caller]
fn told(collector: &Receiver, number: usize) -> Vec<Value> {
    wait_for("the spans", || Some(spans(collector)).filter(|it| it.len() >= number))
}

fn attribute<'v>(of: &'v Value, name: &str) -> Option<&'v str> {
    let all = of["attributes"].as_array()?;
    all.iter().find(|it| it["key"] == name)?["value"]["stringValue"].as_str()
}

/// Whether it is an id of so many digits, and not of zeros.
fn is_id(it: &Value, digits: usize) -> bool {
    let text = it.as_str().unwrap_or_default();
    let digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    text.len() == digits && text.bytes().all(digit) && text.bytes().any(|it| it != b'0')
}

fn with_parent(mut call: Value, parent: &str) -> Value {
    call["params"]["_meta"] = json!({ "traceparent": parent, "tracestate": "a=1" });
    call
}

/// What the server was told of the trace of its last call.
fn heard(fake: &Fake) -> Value {
    let messages = fake.messages();
    let last = messages.iter().rfind(|it| it["method"] == "tools/call").unwrap();
    last["params"]["_meta"].clone()
}

fn l05_a_call_is_a_span() {
    let (collector, home, fake) = traced();
    let mut probe = listed(&home, &fake);
    probe.ask(&call(1, "echo", json!({ "text": "x" })));
    assert!(heard(&fake)["traceparent"].is_null(), "{}", heard(&fake));
    assert!(is_refusal(&probe.ask(&call(2, "rm", json!({})))));
    let spans = told(&collector, 2);
    assert_eq!(probe.end().stderr, "");
    let [passed, denied] = &spans[..] else { panic!("{spans:?}") };
    for it in &spans {
        assert!(is_id(&it["traceId"], 32) && is_id(&it["spanId"], 16), "{it}");
        assert_eq!((&it["parentSpanId"], &it["kind"]), (&json!(""), &json!(2)), "{it}");
        let time = |name| it[name].as_str().unwrap().parse::<u128>().unwrap();
        let (began, ended) = (time("startTimeUnixNano"), time("endTimeUnixNano"));
        assert!(began <= ended && began > 1_600_000_000_000_000_000, "{it}");
        assert_eq!(attribute(it, "mcp.method.name"), Some("tools/call"));
    }
    assert_ne!(passed["traceId"], denied["traceId"], "each begins a trace");
    assert_eq!(passed["name"], "tools/call echo");
    assert_eq!((&passed["status"], attribute(passed, "stockade.status")), (&json!({}), Some("ok")));
    assert_eq!(attribute(passed, "stockade.decision"), Some("allow"));
    assert_eq!((&denied["status"]["code"], &denied["name"]), (&json!(2), &json!("tools/call rm")));
    assert_eq!(attribute(denied, "stockade.rule"), Some("tools[0]"), "{denied}");
    // It leads to its records.
    let reference = attribute(denied, "stockade.call").unwrap();
    let records = home.records();
    assert_eq!(records.iter().filter(|it| it["call"] == reference).count(), 2, "{reference}");
}

fn l05_a_trace_goes_on_behind_the_guard() {
    let (collector, home, fake) = traced();
    let mut probe = listed(&home, &fake);
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let arguments = json!({ "text": "x", "n": 1.5 });
    probe.ask(&with_parent(call(1, "echo", arguments.clone()), &parent));
    let (meta, messages) = (heard(&fake), fake.messages());
    let span = told(&collector, 1).remove(0);
    assert_eq!(
        (&span["traceId"], &span["parentSpanId"]),
        (&json!(TRACE), &json!(PARENT)),
        "{span}"
    );
    let own = span["spanId"].as_str().unwrap();
    assert_eq!(meta, json!({ "traceparent": format!("00-{TRACE}-{own}-01"), "tracestate": "a=1" }));
    assert_ne!(own, PARENT);
    assert_eq!(messages.last().unwrap()["params"]["arguments"], arguments, "and nothing else");
    let decisions = home.records_of("decision");
    assert_eq!(decisions.last().unwrap()["trace"], json!(parent), "{decisions:?}");
    // Of these nothing is told, or not as part of that trace; the server hears what was said.
    let unsampled = format!("00-{TRACE}-{PARENT}-00");
    let wrong = [&*unsampled, "00-x", &parent.to_uppercase(), &format!("{parent}-x"), ""];
    for (n, it) in wrong.iter().enumerate() {
        probe.ask(&with_parent(call(10 + n as u64, "echo", arguments.clone()), it));
        assert_eq!(heard(&fake)["traceparent"], json!(it));
    }
    let spans = told(&collector, wrong.len());
    probe.end();
    let spans = if spans.len() > wrong.len() { spans } else { self::spans(&collector) };
    assert_eq!(spans.len(), wrong.len(), "one for each but the unsampled: {spans:?}");
    assert_eq!(spans.iter().filter(|it| it["traceId"] == TRACE).count(), 1, "{spans:?}");
    // By a header, in front of a session and of a request without one.
    let gateway = Gateway::of(&home, &fake);
    let mut connection = gateway.connect();
    connection.keep("traceparent", &parent);
    connection.post_modern(&call(1, "echo", arguments.clone()));
    let mut connection: Connection = connection.again();
    connection.begin_legacy();
    connection.post(&[], &call(2, "echo", arguments));
    let spans = told(&collector, wrong.len() + 2);
    assert!(spans[wrong.len()..].iter().all(|it| it["parentSpanId"] == PARENT), "{spans:?}");
    gateway.end();
}

fn l05_nobody_waits_for_a_collector() {
    // It takes connections, and says nothing; and one that is not there.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for at in [silent.local_addr().unwrap(), gone] {
        let home = Home::new();
        let more = format!("[metrics]\nlisten = \"127.0.0.1:0\"\n{}", crate::harness::NO_LIMITS);
        policy(&home, &format!("http://{at}/v1/traces"), &more);
        let fake = home.fake(Script::default());
        let mut probe = listed(&home, &fake);
        let began = Instant::now();
        for n in 0..200 {
            assert!(!is_refusal(&probe.ask(&call(n, "echo", json!({ "text": "x" })))));
        }
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        if at == gone {
            let metrics = wait_for("metrics", || listens_on(probe.guard()).pop());
            wait_for("that they are lost", || {
                let body = Connection::to(metrics).ask("GET", "/metrics", &[], "").body;
                let lost = body.lines().find(|it| it.contains("outcome=\"lost\""))?;
                Some(()).filter(|()| lost.ends_with(" 200"))
            });
        }
        let began = Instant::now();
        let ended = probe.end();
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let notes = ended.stderr.matches("spans do not reach").count();
        assert_eq!((ended.code, notes), (Some(0), usize::from(at == gone)), "{ended:?}");
    }
}

fn l05_spans_go_by_tls_or_stay_here() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    for endpoint in ["http://collector.example/v1/traces", "127.0.0.1:4318", ""] {
        policy(&home, endpoint, "");
        let ended = Probe::run(&home, &fake).ended();
        assert_eq!(ended.code, Some(2), "{endpoint}: {ended:?}");
        assert!(ended.stderr.contains("no address of a collector"), "{ended:?}");
        assert!(ended.stderr.contains(":6:"), "{ended:?}");
    }
    home.policy("[traces]\n");
    assert_eq!(Probe::run(&home, &fake).ended().code, Some(2));
}

fn l02_nothing_of_a_call_is_in_a_span() {
    let (collector, home, _) = traced();
    let fake = home.fake(Script::default().with(tool(&format!("get_{SECRET}"))));
    let mut probe = listed(&home, &fake);
    let arguments =
        json!({ "text": "what nobody else is told", "path": "/etc/hidden", "key": SECRET });
    let long = format!("rm\u{202e}\u{1b}]0;x\u{7} {}", "x".repeat(300));
    for (n, name) in ["echo", "made_up", &format!("get_{SECRET}"), SECRET, &long].iter().enumerate()
    {
        probe.ask(&call(n as u64, name, arguments.clone()));
    }
    told(&collector, 5);
    probe.end();
    for it in collector.told() {
        for word in
            ["u8jzPde0Igx", "what nobody", "hidden", "made_up", "\\u001b", "\u{202e}", "probe"]
        {
            assert!(!it.body.contains(word), "{word}: {}", it.body);
        }
        assert!(it.body.len() < 5 * 1500, "{}", it.body);
    }
}
