//! Metrics: what happens, in numbers that Prometheus reads; what is in no label; and that no call
//! waits for who reads.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::approvals::{approvals, pay, question, said};
use crate::harness::process::{limit_files, listens_on};
use crate::harness::{
    Connection, Fake, Gateway, Home, Probe, Response, Script, Step, call, is_refusal, request, say,
    text, tool, wait_for, within,
};
use crate::ledger::ROOM;

crate::rows![
    l05_numbers_say_what_happened,
    l05_numbers_of_a_gateway_and_of_who_waits,
    l05_numbers_say_that_the_ledger_cannot_be_written,
    l05_nobody_waits_for_who_reads_the_numbers,
    l05_a_port_that_is_taken_stops_no_guard,
    l02_nothing_of_a_call_is_in_a_label,
    l07_names_are_so_many_series_and_end_no_line,
    h01_the_numbers_are_read_under_our_own_names,
    h03_the_numbers_are_for_this_machine,
];

const SECRET: &str = "ghp_u8jzPde0IgxLd6GncfBAepfJBd0Kh8oOOL8d";

/// On a free port.
pub(crate) const READ: &str = "[metrics]\nlisten = \"127.0.0.1:0\"\n";

fn policy(home: &Home, more: &str) {
    home.policy(&format!(
        "default = \"allow\"\n[[tools]]\neffect = \"deny\"\ntool = \"rm*\"\n\
         [[tools]]\neffect = \"ask\"\ntool = \"pay*\"\n{READ}{more}"
    ));
}

fn metered(script: Script) -> (Home, Fake) {
    let home = Home::new();
    policy(&home, "");
    let fake = home.fake(script);
    (home, fake)
}

fn listed(home: &Home, fake: &Fake) -> Probe {
    let mut probe = Probe::run(home, fake).begin();
    probe.ask(&request("list", "tools/list", json!({})));
    probe
}

/// Where the numbers of a guard are, which listens there and at no other place but `besides`.
#[track_caller]
pub(crate) fn place(guard: u32, besides: Option<SocketAddr>) -> SocketAddr {
    let found = || listens_on(guard).into_iter().find(|it| Some(*it) != besides);
    wait_for("the numbers", found)
}

#[track_caller]
pub(crate) fn get(at: SocketAddr, headers: &[(&str, &str)]) -> Response {
    Connection::to(at).ask("GET", "/metrics", headers, "")
}

/// The numbers, as the text format (version 0.0.4) has them: a sample is of a family whose type and
/// help came before.
#[derive(Debug)]
struct Numbers(Vec<(String, BTreeMap<String, String>, f64)>);

impl Numbers {
    #[track_caller]
    fn read(at: SocketAddr) -> Self {
        let answer = get(at, &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let (mut helps, mut types) = (BTreeMap::new(), BTreeMap::new());
        let mut samples = Vec::new();
        assert!(answer.body.ends_with('\n'), "{}", answer.body);
        for line in answer.body.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect(line);
                assert!(helps.insert(name.to_owned(), help.to_owned()).is_none(), "twice: {line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect(line);
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
            } else {
                let (name, labels, value) = sample(line).expect(line);
                let family = types.keys().find(|it| {
                    let part = name.strip_prefix(it.as_str());
                    let is_histogram = types[*it] == "histogram";
                    part == Some("")
                        || is_histogram && matches!(part, Some("_bucket" | "_sum" | "_count"))
                });
                let family = family.unwrap_or_else(|| panic!("of no type: {line}"));
                assert!(helps.contains_key(family), "without help: {line}");
                samples.push((name, labels, value));
            }
        }
        Self(samples)
    }

    /// The sum of what has this name and these labels.
    fn of(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |it: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| it.get(*name).is_some_and(|it| it == value))
        };
        self.0.iter().filter(|it| it.0 == name && fits(&it.1)).map(|it| it.2).sum()
    }

    /// The values of a label.
    fn values(&self, label: &str) -> Vec<&str> {
        self.0.iter().filter_map(|it| it.1.get(label)).map(String::as_str).collect()
    }
}

/// A sample: `name{label="value",…} number`.
fn sample(line: &str) -> Option<(String, BTreeMap<String, String>, f64)> {
    let is_name =
        |it: &str| !it.is_empty() && it.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
    let (name, mut rest) = line.split_once('{')?;
    let mut labels = BTreeMap::new();
    while !rest.starts_with('}') {
        let (label, quoted) = rest.split_once("=\"")?;
        let (mut value, mut chars) = (String::new(), quoted.char_indices());
        let end = loop {
            match chars.next()? {
                (end, '"') => break end,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    it @ ('\\' | '"') => it,
                    _ => return None,
                }),
                (_, it) => value.push(it),
            }
        };
        if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
            return None;
        }
        rest = &quoted[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    let value = rest.strip_prefix("} ")?.parse().ok()?;
    is_name(name).then(|| (name.to_owned(), labels, value))
}

fn l05_numbers_say_what_happened() {
    let failing = json!({ "content": [{ "type": "text", "text": "no" }], "isError": true });
    let failing = json!({ "jsonrpc": "2.0", "id": "$id", "result": failing });
    let leaking = json!({ "content": [{ "type": "text", "text": format!("it is {SECRET}") }] });
    let leaking = json!({ "jsonrpc": "2.0", "id": "$id", "result": leaking });
    let script = Script::default()
        .with(tool("rm"))
        .on_tool("fail", [say(failing)])
        .on_tool("leak", [say(leaking)])
        .on_tool(
            "slow",
            [
                Step::Sleep(300),
                say(json!({
                    "jsonrpc": "2.0", "id": "$id", "result": { "content": [] },
                })),
            ],
        );
    let (home, fake) = metered(script);
    let mut probe = listed(&home, &fake);
    let at = place(probe.guard(), None);
    let before = Numbers::read(at);
    assert_eq!(before.of("stockade_calls_total", &[]), 0.0);
    assert_eq!(before.of("stockade_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    for n in 0..5 {
        assert!(!is_refusal(&probe.ask(&call(n, "echo", json!({ "text": "x" })))));
    }
    for n in 10..13 {
        assert!(is_refusal(&probe.ask(&call(n, "rm", json!({})))));
    }
    probe.ask(&call(20, "fail", json!({})));
    assert!(!text(&probe.ask(&call(21, "leak", json!({})))).contains(SECRET));
    probe.ask(&call(22, "slow", json!({})));
    let now = Numbers::read(at);
    let calls =
        |tool, decision| now.of("stockade_calls_total", &[("tool", tool), ("decision", decision)]);
    assert_eq!((calls("echo", "allow"), calls("echo", "deny")), (5.0, 0.0), "{now:?}");
    assert_eq!(calls("fail", "allow") + calls("leak", "allow") + calls("slow", "allow"), 3.0);
    assert_eq!((calls("rm", "deny"), now.of("stockade_calls_total", &[])), (3.0, 11.0), "{now:?}");
    let ended = |status| now.of("stockade_calls_ended_total", &[("status", status)]);
    assert_eq!((ended("ok"), ended("tool_error"), ended("refused")), (7.0, 1.0, 3.0), "{now:?}");
    assert_eq!(now.of("stockade_denials_total", &[("rule", "tools[0]")]), 3.0, "{now:?}");
    let listed = [("method", "tools/list"), ("decision", "allow")];
    assert_eq!(now.of("stockade_requests_total", &listed), 1.0, "{now:?}");
    assert!(now.of("stockade_findings_total", &[("rule", "secret"), ("action", "fix")]) >= 1.0);
    // What was denied took the server no time.
    assert_eq!(now.of("stockade_call_duration_seconds_count", &[]), 8.0, "{now:?}");
    let fast = now.of("stockade_call_duration_seconds_bucket", &[("le", "0.25")]);
    assert!(fast < 8.0 && now.of("stockade_call_duration_seconds_sum", &[]) > 0.29, "{now:?}");
    let held = now.of("stockade_guard_duration_seconds_count", &[]);
    assert!(held >= 22.0 && now.of("stockade_guard_duration_seconds_sum", &[]) > 0.0, "{now:?}");
    for side in ["client", "server"] {
        let bytes = |it: &Numbers| it.of("stockade_message_bytes_total", &[("from", side)]);
        assert!(bytes(&now) > bytes(&before) + 300.0, "{side}: {now:?}");
    }
    assert_eq!(now.of("stockade_sessions_open", &[]), 1.0);
    assert_eq!(now.of("stockade_ledger_failed", &[]), 0.0);
    // The numbers are those of the ledger.
    let sealed = within(Duration::from_secs(10), || {
        Some(()).filter(|()| Numbers::read(at).of("stockade_ledger_unsealed", &[]) == 0.0)
    });
    assert!(sealed.is_some(), "what is recorded is signed");
    let records = Numbers::read(at).of("stockade_ledger_records_total", &[]);
    let own = |it: &Value| it["kind"].as_str().is_some_and(|it| it.starts_with("segment"));
    let known = home.records().into_iter().filter(|it| !own(it)).count();
    assert!((records - known as f64).abs() <= 1.0, "{records} are not {known}");
    let ended = probe.end();
    assert_eq!(ended.stderr, format!("note: metrics at http://{at}/metrics\n"));
}

fn l05_numbers_of_a_gateway_and_of_who_waits() {
    let (home, fake) = metered(Script::default().with(tool("pay")));
    let gateway = Gateway::of(&home, &fake);
    let at = place(gateway.pid(), Some(gateway.address));
    let open = || Numbers::read(at).of("stockade_sessions_open", &[]);
    let waiting = || Numbers::read(at).of("stockade_waiting_for_person", &[]);
    let before = open();
    let mut connections: Vec<_> = (0..3).map(|_| gateway.connect()).collect();
    connections.iter_mut().for_each(Connection::begin_legacy);
    assert_eq!(open(), before + 3.0);
    connections[0].post(&[], &request(1, "tools/list", json!({})));
    assert_eq!(waiting(), 0.0);
    for (outcome, answer) in [("approved", "allow"), ("denied", "deny")] {
        connections[0].start_post(&[], &pay(7, 5));
        wait_for("the question", || Some(()).filter(|()| waiting() == 1.0));
        said(&approvals(&home, &[answer, &question(&home)]));
        connections[0].response();
        assert_eq!(waiting(), 0.0);
        let labels = [("channel", "terminal"), ("outcome", outcome)];
        let now = Numbers::read(at);
        assert_eq!(now.of("stockade_approvals_total", &labels), 1.0, "{now:?}");
    }
    let end = connections[1].ask("DELETE", "/mcp", &[], "");
    assert_eq!(end.status, 200, "{end:?}");
    wait_for("the end of a session", || Some(()).filter(|()| open() == before + 2.0));
    // Without the key nobody gets in, which is a denial of the door.
    let turned = Connection::to(gateway.address).ask("GET", "/mcp", &[], "");
    assert_eq!(turned.status, 401);
    assert_eq!(Numbers::read(at).of("stockade_denials_total", &[("rule", "key")]), 1.0);
    gateway.end();
}

fn l05_numbers_say_that_the_ledger_cannot_be_written() {
    let hang = Script::default().on_tool("hang", [Step::Hang]);
    let (home, fake) = metered(hang);
    let mut probe = listed(&home, &fake);
    let at = place(probe.guard(), None);
    probe.send(&call(1, "hang", json!({})));
    limit_files(probe.guard(), ROOM);
    let failed = (0..1000).any(|n| {
        let sent = probe.offer(format!("{}\n", call(10 + n, "echo", json!({}))).as_bytes());
        let came = sent.ok().and_then(|()| probe.next());
        came.is_none_or(|it| is_refusal(&it))
    });
    assert!(failed, "a full disk stops what passes");
    // It ends soon: the last that is read may be that it has failed, and is never that it has not.
    if let Ok(stream) = TcpStream::connect(at) {
        drop(stream);
        let mut connection = Connection::to(at);
        connection.send("GET", "/metrics", &[], "");
        if let Some(answer) = connection.head().filter(|it| it.status == 200) {
            let length = answer.header("content-length").unwrap().parse().unwrap();
            let body = connection.bytes(length);
            let line = body.lines().find(|it| it.starts_with("stockade_ledger_failed")).unwrap();
            assert!(line.ends_with(" 1"), "{line}");
        }
    }
    assert_eq!(probe.ended().code, Some(2));
}

fn l05_nobody_waits_for_who_reads_the_numbers() {
    let (home, fake) = metered(Script::default());
    policy(&home, crate::harness::NO_LIMITS);
    let mut probe = listed(&home, &fake);
    let at = place(probe.guard(), None);
    // More than may read at a time say nothing, or half of something, or do not read.
    let mut held: Vec<Connection> = (0..24).map(|_| Connection::to(at)).collect();
    for (n, it) in held.iter_mut().enumerate() {
        match n % 3 {
            0 => (),
            1 => it.write(b"GET /metrics HTTP/1.1\r\nho").unwrap(),
            _ => it.send("GET", "/metrics", &[], ""),
        }
    }
    let began = Instant::now();
    for n in 0..200 {
        assert!(!is_refusal(&probe.ask(&call(n, "echo", json!({ "text": "x" })))));
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    // Who is silent makes room for whoever asks.
    let began = Instant::now();
    let numbers = Numbers::read(at);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(numbers.of("stockade_calls_total", &[("tool", "echo")]), 200.0);
    drop(held);
    let began = Instant::now();
    assert_eq!(probe.end().code, Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "the end waits for nobody");
}

fn l05_a_port_that_is_taken_stops_no_guard() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let home = Home::new();
    home.policy(&format!("[metrics]\nlisten = \"{at}\"\n"));
    let fake = home.fake(Script::default());
    let mut probes: Vec<_> = (0..3).map(|_| Probe::run(&home, &fake).begin()).collect();
    for probe in &mut probes {
        assert!(!is_refusal(&probe.ask(&call(1, "echo", json!({ "text": "x" })))));
    }
    for probe in probes {
        let ended = probe.end();
        let note = format!("note: no metrics of this guard at {at}: ");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stderr.matches(&note).count(), 1, "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
}

fn l02_nothing_of_a_call_is_in_a_label() {
    let (home, fake) = metered(Script::default().with(tool(&format!("get_{SECRET}"))));
    let mut probe = listed(&home, &fake);
    let at = place(probe.guard(), None);
    let arguments =
        json!({ "text": "what nobody else is told", "path": "/etc/hidden", "key": SECRET });
    for (n, name) in ["echo", "rm", "made_up_by_a_client", SECRET].iter().enumerate() {
        probe.ask(&call(n as u64, name, arguments.clone()));
        probe.ask(&call(10 + n as u64, &format!("get_{SECRET}"), arguments.clone()));
    }
    probe.ask(&request(20, "made/up", json!({ "x": SECRET })));
    let body = get(at, &[]).body;
    let calls = Numbers::read(at).of("stockade_calls_total", &[]);
    assert_eq!(calls, 8.0, "all are counted");
    for word in ["u8jzPde0Igx", "what nobody", "hidden", "made_up", "made/up", "probe", "local"] {
        assert!(!body.contains(word), "{word}: {body}");
    }
    // Nor the name of a person, or a key.
    let gateway = Gateway::start(
        Gateway::command(&home).args(["--key", "alice"]).arg("--").args(fake.command()),
    );
    let at = place(gateway.pid(), Some(gateway.address));
    let mut connection = gateway.connect_as("alice");
    connection.begin_legacy();
    connection.post(&[], &call(1, "echo", arguments));
    let body = get(at, &[]).body;
    assert!(body.contains("tool=\"") && !body.contains("alice"), "{body}");
    gateway.end();
}

fn l07_names_are_so_many_series_and_end_no_line() {
    let forged = "a\",decision=\"allow\"} 9\nstockade_forged_total 1\n\u{1b}[2J\u{202e}";
    let many = (0..300).map(|n| tool(&format!("tool_{n}")));
    let script = many.fold(Script::default().with(tool("quo\"te\\")), Script::with);
    let (home, fake) = metered(script);
    policy(&home, crate::harness::NO_LIMITS);
    let mut probe = listed(&home, &fake);
    let at = place(probe.guard(), None);
    probe.ask(&call("quoted", "quo\"te\\", json!({})));
    probe.ask(&call("forged", forged, json!({})));
    for n in 0..300 {
        probe.ask(&call(n, &format!("tool_{n}"), json!({})));
        probe.ask(&call(1000 + n, &format!("not_{n}"), json!({})));
        probe.ask(&request(2000 + n, &format!("method/{n}"), json!({})));
    }
    let numbers = Numbers::read(at);
    assert!(!numbers.0.iter().any(|it| it.0.contains("forged")), "{numbers:?}");
    assert_eq!(numbers.of("stockade_calls_total", &[]), 602.0, "none is lost: {numbers:?}");
    let mut tools = numbers.values("tool");
    tools.sort_unstable();
    tools.dedup();
    assert!(tools.len() <= 101 && tools.contains(&"other"), "{}", tools.len());
    assert!(numbers.0.len() < 400, "{}", numbers.0.len());
}

fn h01_the_numbers_are_read_under_our_own_names() {
    let (home, fake) = metered(Script::default());
    let probe = listed(&home, &fake);
    let at = place(probe.guard(), None);
    for host in ["evil.example", "127.0.0.1", "localhost.evil.example", ""] {
        let answer = get(at, &[("host", host)]);
        assert!(matches!(answer.status, 400 | 421), "{host}: {answer:?}");
        assert!(!answer.body.contains("stockade_"), "{host}: {answer:?}");
    }
    for page in [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")] {
        let answer = get(at, &[page]);
        assert_eq!((answer.status, answer.body.as_str()), (403, ""), "{page:?}");
        assert!(answer.header("access-control-allow-origin").is_none(), "{answer:?}");
    }
    let local = format!("localhost:{}", at.port());
    assert_eq!(get(at, &[("host", &local)]).status, 200);
    for (method, path, status) in
        [("GET", "/", 404), ("GET", "/metrics/x", 404), ("DELETE", "/metrics", 405)]
    {
        assert_eq!(Connection::to(at).ask(method, path, &[], "").status, status, "{method} {path}");
    }
    probe.end();
    let refusals = home.records_of("refusal");
    let says = refusals[0]["says"].as_str().unwrap();
    assert!(
        says.contains("a request for metrics") && says.contains("evil.example"),
        "{refusals:?}"
    );
}

fn h03_the_numbers_are_for_this_machine() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    for (listen, word) in [
        ("0.0.0.0:9464", "this machine alone"),
        ("[::]:9464", "this machine alone"),
        ("192.0.2.7:9464", "this machine alone"),
        ("localhost", "no address"),
        ("", "no address"),
    ] {
        home.policy(&format!("[metrics]\nlisten = \"{listen}\"\n"));
        let ended = Probe::run(&home, &fake).ended();
        assert_eq!(ended.code, Some(2), "{listen}: {ended:?}");
        assert!(ended.stderr.contains(word) && ended.stderr.contains(":2:"), "{listen}: {ended:?}");
    }
    home.policy("[metrics]\n");
    assert_eq!(Probe::run(&home, &fake).ended().code, Some(2));
    // Where nothing is said of it, nobody listens.
    home.policy("default = \"allow\"\n");
    let probe = Probe::run(&home, &fake).begin();
    assert_eq!(listens_on(probe.guard()), []);
    assert_eq!(probe.end().stderr, "");
}
