//! `stockade serve`: who may come in, from which page, under which name, and what of a request goes
//! on.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::http::modern_headers;
use crate::harness::process::listens_on;
use crate::harness::tls::Authority;
use crate::harness::{
    Connection, FakeHttp, Gateway, Home, MODERN, Probe, Response, Script, call, is_refusal, modern,
    probe, request, text, wait_for,
};

crate::rows![
    p05_headers_must_say_what_the_body_says,
    p05_headers_must_say_what_the_arguments_say,
    p06_a_header_that_nobody_checks_decides_nothing,
    p19_a_tool_with_a_header_that_cannot_be_is_not_listed,
    h01_only_our_own_names_are_answered,
    h02_only_our_own_pages_may_ask,
    h03_only_this_machine_is_listened_to,
    h05_no_route_forgets_the_key,
    h05_each_person_has_a_key,
    h06_an_empty_list_is_nobody,
    h07_an_upstream_must_prove_who_it_is,
    h11_no_header_of_the_client_goes_further,
    h13_what_is_turned_away_is_written_down,
    h13_a_flood_at_the_door_is_counted,
];

const DENY_DANGER: &str = r#"
    default = "allow"
    [[tools]]
    effect = "deny"
    tool = "danger"
"#;

/// Posts a modern call with some of its headers replaced, or left out where the value is empty.
fn post_with(gateway: &Gateway, replaced: &[(&str, &str)], tool: &str) -> Response {
    let message = modern(call(1, tool, json!({ "text": "x" })));
    let right = modern_headers(&message);
    let mut headers: Vec<(&str, &str)> =
        right.iter().map(|(name, value)| (*name, value.as_str())).collect();
    headers.retain(|(name, _)| !replaced.iter().any(|it| it.0 == *name));
    headers.extend(replaced);
    gateway.connect().post(&headers, &message)
}

fn p05_headers_must_say_what_the_body_says() {
    let wrong: &[&[(&str, &str)]] = &[
        &[("mcp-name", "echo")],
        &[("mcp-name", "Danger")],
        &[("mcp-name", "danger ,echo")],
        &[("mcp-name", "danger"), ("mcp-name", "echo")],
        &[("mcp-name", "")],
        &[("mcp-name", "=?base64?ZWNobw==?=")],
        &[("mcp-name", "=?base64?!!!?=")],
        &[("mcp-name", "=?base64?ZGFuZ2Vy")],
        &[("mcp-name", "=?base64?ZGFuZ2Vy?")],
        &[("mcp-name", "=?BASE64?ZGFuZ2Vy?=")],
        &[("mcp-method", "tools/list")],
        &[("mcp-method", "TOOLS/CALL")],
        &[("mcp-method", "ping"), ("mcp-method", "tools/call")],
        &[("mcp-method", "")],
        &[("mcp-protocol-version", "2025-11-25")],
        &[("mcp-protocol-version", "2026-07-29")],
        &[("mcp-protocol-version", "")],
    ];
    let home = Home::new();
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    for headers in wrong {
        let answer = post_with(&gateway, headers, "danger");
        assert_eq!(answer.status, 400, "{headers:?}: {answer:?}");
        assert_eq!(answer.error_code(), Some(-32020), "{headers:?}: {answer:?}");
    }
    assert_eq!(fake.count("tools/call"), 0);
    let encoded = post_with(&gateway, &[("mcp-name", "=?base64?ZWNobw==?=")], "echo");
    assert_eq!(encoded.status, 200, "{encoded:?}");
    assert_eq!(text(&encoded.message()), "x");
}

fn with_headers(name: &str, properties: Value) -> Value {
    json!({ "name": name, "inputSchema": { "type": "object", "properties": properties } })
}

fn p05_headers_must_say_what_the_arguments_say() {
    let properties = json!({
        "text": { "type": "string", "x-mcp-header": "Region" },
        "n": { "type": "integer", "x-mcp-header": "Count" },
    });
    let home = Home::new();
    let fake = home.fake(Script::default().with(with_headers("bound", properties)));
    let gateway = Gateway::of(&home, &fake);
    let mut connection = gateway.connect();
    connection.post_modern(&request(0, "tools/list", json!({})));
    let mut post = |arguments: &Value, region: &str, count: &str| {
        let message = modern(call(1, "bound", arguments.clone()));
        let right = modern_headers(&message);
        let mut headers: Vec<(&str, &str)> =
            right.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.extend([("mcp-param-region", region), ("mcp-param-count", count)]);
        connection.post(&headers, &message)
    };
    let arguments = json!({ "text": "eu", "n": 7 });
    let wrong =
        [("us", "7"), ("EU", "7"), ("", "7"), ("eu", ""), ("eu", "8"), ("=?base64?dXM=?=", "7")];
    for (region, count) in wrong {
        let answer = post(&arguments, region, count);
        assert_eq!((answer.status, answer.error_code()), (400, Some(-32020)), "{region} {count}");
    }
    // A header for what is not there.
    assert_eq!(post(&json!({ "n": 7 }), "eu", "7").error_code(), Some(-32020));
    assert_eq!(fake.count("tools/call"), 0);
    for (region, count) in [("eu", "7"), ("=?base64?ZXU=?=", "7")] {
        assert_eq!(text(&post(&arguments, region, count).message()), "eu");
    }
    assert_eq!(fake.count("tools/call"), 2);
}

fn p19_a_tool_with_a_header_that_cannot_be_is_not_listed() {
    let text = |header: &str| json!({ "a": { "type": "string", "x-mcp-header": header } });
    let bad = [
        text("two words"),
        text("a\r\nX-Evil: 1"),
        text(""),
        text("a:b"),
        text("ä"),
        json!({ "a": { "type": "number", "x-mcp-header": "A" } }),
        json!({ "a": { "type": "object", "x-mcp-header": "A" } }),
        json!({ "a": { "type": "string", "x-mcp-header": 7 } }),
        json!({ "a": { "type": "string", "x-mcp-header": "Same" },
            "b": { "type": "string", "x-mcp-header": "same" } }),
        json!({ "a": { "type": "array", "items": { "type": "string", "x-mcp-header": "A" } } }),
        json!({ "a": { "anyOf": [{ "type": "string", "x-mcp-header": "A" }] } }),
    ];
    let mut script = Script::default().with(with_headers("good", text("Region")));
    for (number, properties) in bad.iter().enumerate() {
        script = script.with(with_headers(&format!("bad{number}"), properties.clone()));
    }
    let home = Home::new();
    let fake = home.fake(script);
    let gateway = Gateway::of(&home, &fake);
    let list = gateway.connect().post_modern(&request(0, "tools/list", json!({}))).message();
    let tools = list["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(names, ["echo", "good"]);
}

fn p06_a_header_that_nobody_checks_decides_nothing() {
    let home = Home::new();
    home.policy(DENY_DANGER);
    let fake = home.fake(Script::default().with(crate::harness::tool("danger")));
    let gateway = Gateway::of(&home, &fake);
    let mut connection = gateway.connect();
    connection.begin_legacy();
    let forged = [("mcp-name", "echo"), ("mcp-method", "ping")];
    let answer = connection.post(&forged, &call(1, "danger", json!({}))).message();
    assert!(is_refusal(&answer), "{answer}");
    let answer = connection.post(&[("mcp-name", "danger")], &call(2, "echo", json!({})));
    assert!(!is_refusal(&answer.message()), "{answer:?}");
    assert_eq!(fake.count("tools/call"), 1);
}

/// Every route of the binary, and some that a server might have.
fn routes(home: &Home) -> Vec<(String, String)> {
    let printed = home.stockade(["serve", "--print-routes"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let routes = printed.lines().filter_map(|it| it.split_once(' '));
    let mut routes: Vec<_> =
        routes.map(|(method, path)| (method.to_owned(), path.to_owned())).collect();
    assert!(routes.contains(&("POST".to_owned(), "/mcp".to_owned())), "{routes:?}");
    for path in ["/", "/api", "/healthz", "/metrics", "/mcp/", "/mcp/..", "/.well-known/x", "*"] {
        for method in ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"] {
            routes.push((method.to_owned(), path.to_owned()));
        }
    }
    routes
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn h01_only_our_own_names_are_answered() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    let port = gateway.address.port();
    let ping = modern(request(1, "ping", json!({}))).to_string();
    let evil = format!("evil.com:{port}");
    let names = ["evil.com", &evil, "localhost.evil.com", "127.0.0.1", "127.0.0.1:1", "0.0.0.0"];
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
    for (method, path) in routes(&home) {
        for name in names {
            for upgrade in [&[][..], &upgrade[..]] {
                let headers = [&[("host", name), JSON][..], upgrade].concat();
                let mut connection = gateway.connect();
                connection.send(&method, &path, &headers, &ping);
                let status = connection.head().expect("an answer").status;
                assert_eq!(status, 421, "{method} {path} {name}");
            }
        }
    }
    // A target with a name of its own, which wins over the header.
    let absolute = format!("http://evil.com:{port}/mcp");
    assert_eq!(gateway.connect().ask("POST", &absolute, &[JSON], &ping).status, 421);
    // No name, or two.
    assert!(gateway.connect().ask("POST", "/mcp", &[("host", ""), JSON], &ping).status >= 400);
    let own = format!("127.0.0.1:{port}");
    for two in
        [[("host", own.as_str()), ("host", "evil.com")], [("host", "evil.com"), ("host", &own)]]
    {
        let headers = [&two[..], &[JSON]].concat();
        assert!(gateway.connect().ask("POST", "/mcp", &headers, &ping).status >= 400, "{two:?}");
    }
    // HTTP/2, where the name would be in `:authority`, is not spoken.
    let mut connection = gateway.connect();
    connection.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    assert!(connection.head().is_none_or(|it| it.status >= 400));
    assert_eq!(fake.heard(), "");
    for name in [own, format!("localhost:{port}"), format!("[::1]:{port}")] {
        let answer = gateway.connect().ask("GET", "/nowhere", &[("host", &name)], "");
        assert_eq!(answer.status, 404, "{name}");
    }
}

fn h02_only_our_own_pages_may_ask() {
    let home = Home::new();
    home.policy("[http]\norigins = [\"https://app.example\"]");
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    let port = gateway.address.port();
    let (https, other) =
        (format!("https://localhost:{port}"), format!("http://localhost:{}", port ^ 1));
    let suffix = format!("http://localhost.evil.com:{port}");
    let user = format!("http://localhost:{port}@evil.com");
    let origins = [
        "http://evil.com",
        "null",
        "http://localhost.evil.com",
        "file://",
        "*",
        "http://localhost",
        "https://app.example.evil.com",
        "http://app.example",
        "https://app.example:444",
        &suffix,
        &https,
        &other,
        &user,
    ];
    let message = modern(call(1, "echo", json!({ "text": "x" }))).to_string();
    for origin in origins {
        for method in ["POST", "GET", "DELETE"] {
            let answer =
                gateway.connect().ask(method, "/mcp", &[("origin", origin), JSON], &message);
            assert_eq!(answer.status, 403, "{origin}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        }
        let wants = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight = gateway.connect().ask("OPTIONS", "/mcp", &wants, "");
        assert_eq!(preflight.status, 403, "{origin}");
        assert_eq!(preflight.header("access-control-allow-origin"), None, "{origin}");
    }
    for site in ["cross-site", "same-site", "Cross-Site", "whatever"] {
        for method in ["POST", "GET"] {
            let answer =
                gateway.connect().ask(method, "/mcp", &[("sec-fetch-site", site), JSON], &message);
            assert_eq!(answer.status, 403, "{site}");
        }
    }
    // What a page can send to another origin without asking first.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
        "text/plain; application/json",
    ] {
        let answer = gateway.connect().ask("POST", "/mcp", &[("content-type", kind)], &message);
        assert_eq!(answer.status, 403, "{kind}");
    }
    assert_eq!(fake.heard(), "");
    // A page that is on the list: its name comes back, and never `*`.
    let own = format!("http://127.0.0.1:{port}");
    for origin in ["https://app.example", &own] {
        let wants = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight = gateway.connect().ask("OPTIONS", "/mcp", &wants, "");
        assert_eq!(preflight.status, 204);
        assert_eq!(preflight.header("access-control-allow-origin"), Some(origin));
        assert_eq!(preflight.header("access-control-allow-credentials"), None);
    }
}

fn h03_only_this_machine_is_listened_to() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    let listeners = listens_on(gateway.pid());
    assert_eq!(listeners, [gateway.address], "nothing but loopback");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:0.0.0.0]:0"] {
        let refused = home.stockade(["serve", "--listen", address, "--", "true"]);
        let ended = Probe::of(&mut { refused }).ended();
        assert_eq!(ended.code, Some(2), "{address}: {}", ended.stderr);
        assert!(ended.stderr.contains("help: "), "{}", ended.stderr);
    }
}

fn h05_no_route_forgets_the_key() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    let key = gateway.key.clone().expect("a key by default");
    let longer = format!("Bearer {key}x");
    let (basic, bare, shorter) = (format!("Basic {key}"), key.clone(), &longer[..longer.len() - 2]);
    let message = modern(call(1, "echo", json!({}))).to_string();
    for (method, path) in routes(&home) {
        for wrong in ["", "Bearer", "Bearer x", &longer, shorter, &basic, &bare] {
            let mut connection = Connection::to(gateway.address);
            connection.send(&method, &path, &[("authorization", wrong), JSON], &message);
            let status = connection.head().expect("an answer").status;
            assert_eq!(status, 401, "{method} {path} with `{wrong}`");
        }
        let path = if path == "*" { "/mcp" } else { &path };
        let mut connection = Connection::to(gateway.address);
        connection.send(&method, &format!("{path}?key={key}"), &[JSON], &message);
        assert_eq!(connection.head().expect("an answer").status, 401, "a key in a URL is no key");
    }
    assert_eq!(fake.heard(), "");
    let records = format!("{:?}", home.records());
    assert!(!records.contains(&key), "the key is not written down");
}

fn h05_each_person_has_a_key() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    let people = ["--key", "anna", "--key", "ben@example.com"];
    let gateway =
        Gateway::start(Gateway::command(&home).args(people).arg("--").args(fake.command()));
    for name in ["anna", "ben@example.com"] {
        let answer = gateway.connect_as(name).post_modern(&call(1, "echo", json!({})));
        assert!(!is_refusal(&answer.message()), "{answer:?}");
        let of = |it: &Value| it["principal"] == name && it["tool"] == "echo";
        assert!(home.records_of("decision").iter().any(of), "{name}");
    }
    // The name is no key.
    let mut connection = Connection::to(gateway.address);
    connection.keep("authorization", "Bearer anna");
    assert_eq!(connection.post_modern(&call(1, "echo", json!({}))).status, 401);
    drop(gateway);
    for wrong in [
        &["--key", "anna", "--key", "anna"][..],
        &["--key", ""],
        &["--key", "anna ben"],
        &["--key", "local"],
        &["--key", "anna", "--auth", "none"],
    ] {
        let mut command = Gateway::command(&home);
        let output = command.args(wrong).arg("--").args(fake.command()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?} {output:?}");
        assert!(output.stdout.is_empty(), "{wrong:?} {output:?}");
    }
}

fn h06_an_empty_list_is_nobody() {
    let policies = [
        "[http]\nhosts = []",
        "[http]\norigins = []",
        "roots = []",
        "default = \"deny\"\n[[tools]]\neffect = \"allow\"\ntool = []",
        "default = \"deny\"\n[[tools]]\neffect = \"allow\"\ntool = \"*\"\nserver = []",
        "default = \"deny\"\n[[tools]]\neffect = \"allow\"",
        "default = \"deny\"\n[[tools]]\neffect = \"allow\"\ntool = \"*\"\nargs.x = { one_of = [] }",
        "[[tools]]\neffect = \"deny\"\ntool = \"x\"",
    ];
    for policy in policies {
        let home = Home::new();
        home.policy(policy);
        let fake = home.fake(Script::default());
        let mut serve = home.stockade(["serve", "--listen", "127.0.0.1:0", "--"]);
        serve.args(fake.command());
        for mut command in [serve, probe::command(&home, &[], &fake.command())] {
            let ended = Probe::of(&mut command).ended();
            assert_eq!(ended.code, Some(2), "{policy}: {}", ended.stderr);
            assert!(ended.stderr.contains("stockade.toml:"), "{policy}: {}", ended.stderr);
        }
        assert_eq!(fake.heard(), "");
    }
}

/// The binary in front of `upstream`, where the certificates in `trusted` are all that are trusted.
fn secured(mut command: Command, upstream: &FakeHttp, trusted: &Path) -> Command {
    command.args(["--upstream", &upstream.url()]).env("SSL_CERT_FILE", trusted);
    command
}

fn run(home: &Home) -> Command {
    home.stockade([OsString::from("run")].into_iter().chain(home.unheld()))
}

fn h07_an_upstream_must_prove_who_it_is() {
    let (authority, other) = (Authority::new("one"), Authority::new("other"));
    // Who vouches for it, for what name and until when, and why that is not enough.
    let cases = [
        (&authority, "127.0.0.1", 2100, None),
        (&other, "127.0.0.1", 2100, Some("an issuer that this machine does not trust")),
        (&authority, "mcp.example", 2100, Some("not valid for name")),
        (&authority, "127.0.0.1", 2020, Some("expired")),
    ];
    let echo = |number: usize| call(number, "echo", json!({ "text": "x" }));
    for (by, name, year, wrong) in cases {
        let home = Home::new();
        let trusted = authority.file(&home);
        let upstream = FakeHttp::secure(Script::default(), by.vouch(name, year));
        let mut probe = Probe::of(&mut secured(run(&home), &upstream, &trusted));
        let gateway = Gateway::start(&mut secured(Gateway::command(&home), &upstream, &trusted));
        let mut connection = gateway.connect();
        let Some(why) = wrong else {
            let mut probe = probe.begin();
            assert_eq!(text(&probe.ask(&echo(1))), "x");
            assert_eq!(text(&connection.post_modern(&echo(1)).message()), "x");
            connection.begin_legacy();
            assert_eq!(text(&connection.post(&[], &echo(2)).message()), "x");
            assert_eq!(probe.end().stderr, "");
            assert_eq!(gateway.end().stderr, "");
            continue;
        };
        let answers = (0..3).flat_map(|number| {
            let modern = connection.post_modern(&echo(number)).message();
            [probe.ask(&modern_call(number)), modern]
        });
        for answer in answers {
            assert!(is_refusal(&answer), "{answer}");
            assert!(!answer.to_string().contains(why), "that is for whoever runs the guard");
        }
        assert!(upstream.requests().is_empty(), "nothing is sent to it");
        let mut command = Gateway::command(&home);
        command.args(["--upstream", &upstream.url().replace("/mcp", "/sse")]);
        let sse = Gateway::start(command.env("SSL_CERT_FILE", &trusted));
        let answer = sse.connect().post(&[], &probe::initialize("2024-11-05"));
        assert_eq!(answer.status, 502, "{answer:?}");
        assert!(!answer.body.contains("TLS"), "{answer:?}");
        assert!(home.records_of("violation")[0]["says"].as_str().unwrap().contains(why));
        // A gateway waits for better times. A client's own guard has done nothing that it could.
        for (ended, code, lines) in
            [(sse.end(), Some(0), 1), (probe.end(), Some(4), 3), (gateway.end(), Some(0), 1)]
        {
            let begins = "note: the server cannot be reached: TLS failed: ";
            let stderr = ended.stderr;
            assert!(stderr.starts_with(begins) && stderr.contains(why), "{stderr}");
            assert_eq!((ended.code, stderr.lines().count()), (code, lines), "{stderr}");
        }
        let outcomes = home.records_of("outcome");
        assert_eq!(outcomes.len(), 6, "{outcomes:?}");
        for record in outcomes {
            assert!(record["says"].as_str().unwrap().contains(why), "{record}");
        }
    }
}

/// A call of the modern era.
fn modern_call(number: usize) -> Value {
    modern(call(number, "echo", json!({ "text": "x" })))
}

fn h11_no_header_of_the_client_goes_further() {
    let home = Home::new();
    home.policy(DENY_DANGER);
    let upstream = FakeHttp::new(Script::default().with(crate::harness::tool("danger")));
    let gateway = Gateway::to(&home, &upstream);
    let forged = [
        ("x-stockade-principal", "admin"),
        ("x-stockade-decision", "allow"),
        ("x-stockade-bypass", "1"),
        ("x-mcp-router", "internal"),
        ("x-internal", "true"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-user", "admin"),
        ("x-original-url", "/admin"),
        ("forwarded", "for=127.0.0.1"),
        ("x-api-key", "secret"),
        ("cookie", "session=secret"),
        ("proxy-authorization", "Basic secret"),
        ("mcp-session-id", "somebody-else"),
        ("last-event-id", "7"),
    ];
    let denied = post_with(&gateway, &forged, "danger");
    assert!(is_refusal(&denied.message()), "{denied:?}");
    assert_eq!(upstream.count("tools/call"), 0);
    let allowed = post_with(&gateway, &forged, "echo");
    assert_eq!(text(&allowed.message()), "x");
    let heard = upstream.requests();
    assert!(!heard.is_empty());
    for request in &heard {
        for (name, _) in forged {
            assert_eq!(request.header(name), None, "{name}");
        }
        assert_eq!(request.header("authorization"), None, "the key is for the guard alone");
    }
    let seen = heard.iter().find(|it| it.body.contains("tools/call")).unwrap();
    assert_eq!(seen.header("mcp-protocol-version"), Some(MODERN));
}

/// A request by its method, target and headers; its answer, and what the record says.
type Turned<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16, &'a str);

fn h13_what_is_turned_away_is_written_down() {
    let home = Home::new();
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    let ping = modern(request(1, "ping", json!({}))).to_string();
    let secret = "Bearer sk_stockade_0123456789abcdef0123456789abcdef";
    let user = "http://user:hunter2@evil.com";
    let turned: &[Turned<'_>] = &[
        ("POST", "/mcp", &[("host", "evil.com"), JSON], 421, "`evil.com`"),
        ("POST", "http://evil.net/mcp", &[JSON], 421, "`evil.net`"),
        ("POST", "/mcp", &[("origin", "http://evil.com"), JSON], 403, "`http://evil.com`"),
        ("GET", "/mcp", &[("origin", user)], 403, "`evil.com`"),
        ("POST", "/mcp", &[("content-type", "text/plain")], 403, "another site"),
        ("GET", "/mcp", &[("sec-fetch-site", "cross-site")], 403, "another site"),
        ("POST", "/mcp", &[("authorization", secret), JSON], 401, "no key"),
        ("GET", "/sse", &[("authorization", "")], 401, "no key"),
        ("GET", "/nowhere?key=hunter2", &[], 404, "no such route: 404"),
        ("PUT", "/mcp", &[], 405, "no such route: 405"),
        ("GET", "/mcp", &[("mcp-session-id", "stolen")], 404, "no session"),
        ("DELETE", "/mcp", &[], 405, "no session"),
        ("POST", "/messages?sessionId=stolen", &[JSON], 404, "no session"),
        ("GET", "/mcp", &[("bad\u{1}name", "x")], 400, "HTTP header"),
    ];
    let refusals = || home.records_of("refusal");
    for (number, (method, path, headers, status, says)) in turned.iter().enumerate() {
        let mut connection = gateway.connect();
        connection.send(method, path, headers, &ping);
        assert_eq!(connection.head().expect("an answer").status, *status, "{method} {path}");
        let count = number + 1;
        wait_for("the record", || (refusals().len() == count).then_some(()));
        let record = refusals().pop().unwrap();
        assert!(record["says"].as_str().unwrap().contains(says), "{path} {headers:?}: {record}");
        assert!(record["peer"] == "127.0.0.1" || record["principal"] == "key", "{record}");
    }
    let shown = home.audit(&["query", "--kind", "refusal", "--limit", "100"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.lines().count(), turned.len(), "{shown}");
    assert!(shown.contains("127.0.0.1"), "{shown}");
    for secret in ["sk_stockade", "hunter2", "stolen"] {
        let ledger = home.records().iter().map(Value::to_string).collect::<String>();
        assert!(!ledger.contains(secret), "{secret}");
    }
    assert_eq!(fake.heard(), "");
}

fn h13_a_flood_at_the_door_is_counted() {
    const FLOOD: u64 = 2000;
    let home = Home::new();
    let fake = home.fake(Script::default());
    let gateway = Gateway::of(&home, &fake);
    let mut stranger = Connection::to(gateway.address);
    let mut friend = gateway.connect();
    for number in 0..FLOOD {
        assert_eq!(stranger.ask("GET", "/mcp", &[], "").status, 401);
        // Whatever it says, it is the same refusal.
        let host = format!("evil{number}.com");
        assert_eq!(stranger.ask("GET", "/mcp", &[("host", &host)], "").status, 421);
        // What is wrong with the headers or the body of who has the key.
        let message = modern(call(number, "echo", json!({ "text": "x" })));
        assert_eq!(friend.post(&[], &message).status, 400);
        assert_eq!(friend.ask("POST", "/mcp", &[JSON], "{").status, 400);
        if number % 100 == 0 {
            let answer = friend.post_modern(&call(number, "echo", json!({ "text": "x" })));
            assert_eq!(text(&answer.message()), "x");
        }
    }
    gateway.end();
    assert!(home.is_whole());
    let count = |kind: &str, is: fn(&Value) -> bool| {
        let records = home.records_of(kind);
        let records: Vec<&Value> = records.iter().filter(|it| is(it)).collect();
        assert!((2..20).contains(&records.len()), "{} {kind}", records.len());
        records.iter().map(|it| it["repeats"].as_u64().unwrap_or(1)).sum::<u64>()
    };
    assert_eq!(count("refusal", |it| it["rule"] == "key"), FLOOD);
    assert_eq!(count("refusal", |it| it["rule"] == "host"), FLOOD);
    assert_eq!(count("violation", |it| it["says"].as_str().unwrap().contains("header")), FLOOD);
    assert_eq!(count("violation", |it| !it["says"].as_str().unwrap().contains("header")), FLOOD);
    let calls = FLOOD / 100;
    for kind in ["decision", "outcome"] {
        assert_eq!(home.records_of(kind).len() as u64, calls, "{kind}: one for each call");
    }
}
