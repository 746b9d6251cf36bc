//! What a server asks of the person at its client: a form for a secret reaches nobody, an address is
//! shown whole and opened by nobody, and what the person says is told apart. In either era, and in the
//! error that wants an address opened.

use std::io::ErrorKind;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::approvals::{approvals, question, questions};
use crate::harness::{Home, Probe, Script, call, is_refusal, say, text, wait_for};
use crate::sampling::{asks, can, modern_of, reached, reached_nobody, told};

crate::rows![
    u06_a_form_for_a_secret_is_known_in_any_disguise,
    u06_a_form_for_a_secret_is_known_by_what_a_client_shows,
    u06_an_address_is_shown_whole_and_opened_by_nobody,
    u06_an_address_that_may_not_be_opened_reaches_nobody,
    u06_a_form_is_shown_to_a_person_where_the_policy_asks,
    u06_accepted_declined_and_dismissed_are_told_apart,
    u06_what_is_put_into_a_form_is_judged,
    p12_an_error_that_wants_an_address_is_held_to_what_was_declared,
    p12_an_error_that_can_be_read_in_two_ways_reaches_nobody,
];

fn forms() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} } })
}

fn form(message: &str, name: &str, field: Value) -> Value {
    let schema = json!({ "type": "object", "properties": { name: field } });
    json!({ "message": message, "requestedSchema": schema })
}

fn address(url: &str) -> Value {
    json!({ "mode": "url", "message": "Sign in", "url": url, "elicitationId": "e" })
}

/// Whether a question reaches the client, in either era, and that it is refused where it does not.
#[track_caller]
fn reaches(home: &Home, params: &Value) -> bool {
    let fake = asks(home, "elicitation/create", params);
    let mut probe = can(home, &[], &fake, forms());
    probe.ask(&call(1, "ask", json!({})));
    probe.ask(&crate::harness::request("after", "ping", json!({})));
    let legacy = probe.others.iter().find(|it| it["id"] == "asked");
    if let Some(asked) = legacy {
        assert_eq!(asked["params"], *params, "as it was");
    } else {
        assert!(told(&fake).get("error").is_some());
    }
    let legacy = legacy.is_some();
    probe.end();
    let mut probe = Probe::run(home, &fake);
    let answer = probe.ask(&modern_of(call(1, "modern-ask", json!({})), forms()));
    let modern = !is_refusal(&answer);
    assert_eq!(modern, answer.to_string().contains("inputRequests"), "{answer}");
    assert_eq!(legacy, modern, "{params}: the same in both eras");
    probe.end();
    modern
}

fn u06_a_form_for_a_secret_is_known_in_any_disguise() {
    let home = Home::new();
    let text = || json!({ "type": "string" });
    for (params, expected) in [
        (form("To go on", "password", text()), false),
        (form("To go on", "p\u{430}ssw\u{43e}rd", text()), false),
        (form("To go on", "a", json!({ "type": "string", "title": "API key" })), false),
        (
            form("To go on", "a", json!({ "type": "string", "title": "\u{ff30}\u{ff29}\u{ff2e}" })),
            false,
        ),
        (form("To go on", "a", json!({ "type": "string", "description": "Ihr Kennwort" })), false),
        (form("To go on", "a", json!({ "type": "string", "format": "password" })), false),
        (form("To go on", "a", json!({ "type": "integer", "title": "Numéro de carte" })), false),
        (form("请输入您的密码", "a", text()), false),
        (form("Введите пароль", "a", text()), false),
        (form("Lütfen şifrenizi girin", "a", text()), false),
        (form("Please enter your p\u{430}ssword.", "a", text()), false),
        // A member that nobody reads hides nothing.
        (
            json!({ "message": "Please enter your password.", "params": form("Which?", "a", text()),
                "requestedSchema": { "type": "object", "properties": { "a": text() } } }),
            false,
        ),
        (form("Which colour?", "colour", text()), true),
        (form("The password was changed. What is the branch called?", "branch", text()), true),
        (form("Rotate the API key?", "yes", json!({ "type": "boolean" })), true),
    ] {
        assert_eq!(reaches(&home, &params), expected, "{params}");
    }
}

fn u06_a_form_for_a_secret_is_known_by_what_a_client_shows() {
    let home = Home::new();
    let text = || json!({ "type": "string" });
    let titled = |more: Value| {
        let mut field = json!({ "type": "string", "title": "Password" });
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        form("To go on", "a", field)
    };
    let above = |name: &str, said: &str| {
        let mut asked = form("To go on", "a", text());
        asked["requestedSchema"][name] = json!(said);
        asked
    };
    let nested = json!({ "type": "object", "properties": { "password": text() } });
    let secret = [
        // Something that is no choice, to a client that shows choices.
        titled(json!({ "enum": [] })),
        titled(json!({ "oneOf": [] })),
        titled(json!({ "oneOf": [{ "type": "string" }] })),
        titled(json!({ "anyOf": [{ "type": "string" }] })),
        titled(json!({ "const": null })),
        titled(json!({ "type": "String" })),
        titled(json!({ "type": ["string", "null"] })),
        titled(json!({ "type": "array", "items": text() })),
        form("To go on", "account", nested),
        above("title", "Your password"),
        above("description", "Enter your password."),
        form("What is your password?", "a", text()),
        form("Password:", "a", text()),
        form("[sudo] password for alice:", "a", text()),
        form("Please log in with your password", "a", text()),
        form("Wie lautet Ihr Passwort?", "a", text()),
        form("Quel est votre mot de passe ?", "a", text()),
        form("您的密码是什么？", "a", text()),
    ];
    let choice = |it: &[&str]| json!({ "type": "string", "enum": it });
    let harmless = [
        titled(json!({ "enum": ["keep it", "reset it"] })),
        titled(json!({ "oneOf": [{ "const": "a", "title": "Keep it" }] })),
        form("Reset your password?", "answer", choice(&["yes", "no"])),
        form("Reset your password?", "reset", json!({ "type": "boolean" })),
        form("Which password policy?", "policy", choice(&["strict", "usual"])),
        form("What is the password policy called?", "a", text()),
        form("What is the name of the API key?", "a", text()),
        above("title", "Password policy"),
    ];
    for (all, expected) in [(&secret[..], false), (&harmless[..], true)] {
        for params in all {
            assert_eq!(reaches(&home, params), expected, "{params}");
        }
    }
}

fn u06_an_address_is_shown_whole_and_opened_by_nobody() {
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let port = canary.local_addr().unwrap().port();
    let home = Home::new();
    let long = "x".repeat(3000);
    let own = format!("http://localhost:{port}/open?state={long}");
    let hosts = format!("hosts = [\"localhost:{port}\"]\n");
    home.policy(&format!("{hosts}[elicitation]\nurl = \"ask\"\n"));
    let punycode = "https://xn--bcher-kva.example.com/login".to_owned();
    for (url, host) in [(own, "`localhost`"), (punycode, "`bücher.example.com`")] {
        let fake = asks(&home, "elicitation/create", &address(&url));
        let mut probe = can(&home, &[], &fake, forms());
        probe.ask(&call(1, "ask", json!({})));
        let waiting = questions(&home, 1);
        let asked = &waiting[0]["asked"]["question"];
        assert_eq!(asked["arguments"], address(&url), "all of it");
        assert!(asked["reasons"][0].as_str().unwrap().contains(host), "{asked}");
        let shown = approvals(&home, &["list"]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains(&url) && shown.contains("the server itself"), "{shown}");
        let is_international = host.contains('ü');
        assert_eq!(shown.contains("Punycode"), is_international, "{shown}");
        reached_nobody(&mut probe);
        assert!(approvals(&home, &["allow", &question(&home)]).status.success());
        assert_eq!(reached(&mut probe), address(&url), "as it was");
        probe.end();
        let mut probe = Probe::run(&home, &fake);
        probe.send(&modern_of(call(1, "modern-ask", json!({})), forms()));
        let waiting = questions(&home, 1);
        assert_eq!(waiting[0]["asked"]["question"]["arguments"]["q"]["params"], address(&url));
        assert!(approvals(&home, &["allow", &question(&home)]).status.success());
        let answer = probe.answer(1);
        assert_eq!(answer["result"]["inputRequests"]["q"]["params"], address(&url));
        probe.end();
    }
    let error = canary.accept().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "nobody came");
}

fn u06_an_address_that_may_not_be_opened_reaches_nobody() {
    let home = Home::new();
    for (url, expected) in [
        ("https://accounts.example.com/login?state=4711", true),
        ("https://xn--bcher-kva.example.com/", true),
        ("http://accounts.example.com/login", false),
        ("https://127.0.0.1/", false),
        ("https://2130706433/", false),
        ("https://[::1]:8443/", false),
        ("https://10.0.0.1/admin", false),
        ("https://169.254.169.254/latest/meta-data", false),
        ("https://localhost:8443/", false),
        ("https://accounts.example.com@evil.example/", false),
        ("https://xn--80ak6aa92e.com/", false),
        ("https://accounts.example.com\\@evil.example/", false),
        ("javascript:alert(1)", false),
        ("file:///etc/passwd", false),
        ("data:text/html,x", false),
        ("", false),
    ] {
        assert_eq!(reaches(&home, &address(url)), expected, "{url}");
    }
    // Beside a form it is an address all the same.
    let mut both = form("Which?", "a", json!({ "type": "string" }));
    both["url"] = json!("https://10.0.0.1/");
    assert!(!reaches(&home, &both));
}

fn u06_a_form_is_shown_to_a_person_where_the_policy_asks() {
    let home = Home::new();
    home.policy("[elicitation]\nform = \"ask\"\n");
    let params = form("Which colour?", "colour", json!({ "type": "string" }));
    let fake = asks(&home, "elicitation/create", &params);
    let mut probe = can(&home, &[], &fake, forms());
    probe.ask(&call(1, "ask", json!({})));
    assert_eq!(questions(&home, 1)[0]["asked"]["question"]["arguments"], params);
    reached_nobody(&mut probe);
    assert!(approvals(&home, &["allow", &question(&home)]).status.success());
    assert_eq!(reached(&mut probe), params);
    probe.end();
    home.policy("[elicitation]\nform = \"deny\"\n");
    assert!(!reaches(&home, &params));
    assert!(reaches(&home, &address("https://example.com/")), "an address is no form");
    // What is both is held to both, and a mode that nobody knows is none.
    home.policy("[elicitation]\nurl = \"deny\"\n");
    let mut both = params.clone();
    both["url"] = json!("https://example.com/");
    for mode in [json!("form"), json!("url"), Value::Null, json!("URL"), json!("Form")] {
        both["mode"] = mode;
        assert!(!reaches(&home, &both), "{both}");
    }
    assert!(reaches(&home, &params));
}

fn u06_accepted_declined_and_dismissed_are_told_apart() {
    let home = Home::new();
    let params = form("Which colour?", "colour", json!({ "type": "string" }));
    let fake = asks(&home, "elicitation/create", &params);
    let said = [
        (json!({ "action": "accept", "content": { "colour": "red" } }), "accepted"),
        (json!({ "action": "decline" }), "declined"),
        (json!({ "action": "cancel" }), "dismissed"),
    ];
    let mut probe = can(&home, &[], &fake, forms());
    for (n, (answer, _)) in said.iter().enumerate() {
        probe.ask(&call(n, "ask", json!({})));
        reached(&mut probe);
        probe.send(&json!({ "jsonrpc": "2.0", "id": "asked", "result": answer }));
        wait_for("the server to be told", || {
            let is = |it: &&Value| it["id"] == "asked" && it["result"] == *answer;
            (fake.messages().iter().filter(is).count() == 1).then_some(())
        });
    }
    probe.end();
    let outcomes = home.records_of("outcome").into_iter();
    let answered: Vec<Value> = outcomes.filter(|it| it["method"] == "elicitation/create").collect();
    let says: Vec<_> = answered.iter().map(|it| it["says"].as_str().unwrap()).collect();
    assert_eq!(says, ["accepted", "declined", "dismissed"]);
    let mut probe = Probe::run(&home, &fake);
    for (n, (answer, _)) in said.iter().enumerate() {
        let mut again = modern_of(call(n, "modern-ask", json!({})), forms());
        again["params"]["requestState"] = json!("of the server");
        again["params"]["inputResponses"] = json!({ "q": answer });
        probe.ask(&again);
        let heard = fake.messages();
        let last = heard.iter().rfind(|it| it["method"] == "tools/call").unwrap();
        assert_eq!(last["params"]["inputResponses"]["q"], *answer);
    }
    probe.end();
    let decisions = home.records_of("decision").into_iter();
    let says: Vec<Value> =
        decisions.filter(|it| it["tool"] == "modern-ask").map(|it| it["says"].clone()).collect();
    assert_eq!(says, ["`q`: accepted", "`q`: declined", "`q`: dismissed"]);
}

fn u06_what_is_put_into_a_form_is_judged() {
    let home = Home::new();
    let params = form("Which colour?", "colour", json!({ "type": "string" }));
    let fake = asks(&home, "elicitation/create", &params);
    let card = json!({ "action": "accept", "content": { "colour": "4539 1488 0343 6467" } });
    let mut probe = can(&home, &[], &fake, forms());
    probe.ask(&call(1, "ask", json!({})));
    reached(&mut probe);
    probe.send(&json!({ "jsonrpc": "2.0", "id": "asked", "result": card }));
    assert!(told(&fake).get("error").is_some());
    probe.end();
    let mut probe = Probe::run(&home, &fake);
    let mut again = modern_of(call(1, "modern-ask", json!({})), forms());
    again["params"]["inputResponses"] = json!({ "q": card });
    let refused = probe.ask(&again);
    assert!(is_refusal(&refused) && text(&refused).contains("reply_data"), "{refused}");
    probe.end();
    assert!(!fake.heard().contains("4539"));
}

fn p12_an_error_that_wants_an_address_is_held_to_what_was_declared() {
    let home = Home::new();
    let wants = |elicitation: Value| {
        let error = json!({ "code": -32042, "message": "An address is to be opened",
            "data": { "elicitations": [elicitation] } });
        say(json!({ "jsonrpc": "2.0", "id": "$id", "error": error }))
    };
    let mut disguised = address("https://example.com/login");
    disguised["params"] = json!({ "mode": "form" });
    let script = Script::default()
        .on_tool("good", [wants(address("https://example.com/login"))])
        .on_tool("disguised", [wants(disguised)])
        .on_tool("inner", [wants(address("https://10.0.0.1/"))]);
    let fake = home.fake(script);
    for (can_do, tool, expected) in [
        (forms(), "good", true),
        (json!({ "elicitation": {} }), "good", false),
        (json!({}), "good", false),
        (json!({ "elicitation": {} }), "disguised", false),
        (forms(), "inner", false),
    ] {
        let mut probe = can(&home, &[], &fake, can_do.clone());
        let answer = probe.ask(&call(1, tool, json!({})));
        let reached = answer["error"]["code"] == -32042;
        assert_eq!(reached, expected, "{can_do} {tool}: {answer}");
        assert!(reached || is_refusal(&answer), "it ends in an error");
        assert_eq!(answer.to_string().contains("https://"), expected, "{answer}");
        probe.end();
    }
    // And where the policy asks about addresses, about this one.
    home.policy("[elicitation]\nurl = \"ask\"\n");
    let mut probe = can(&home, &[], &fake, forms());
    probe.send(&call(1, "good", json!({})));
    questions(&home, 1);
    assert!(approvals(&home, &["allow", &question(&home)]).status.success());
    assert_eq!(probe.answer(1)["error"]["code"], -32042);
    probe.end();
}

fn p12_an_error_that_can_be_read_in_two_ways_reaches_nobody() {
    let home = Home::new();
    let wanted = address("https://example.com/login");
    let other = |change: fn(&mut Value)| {
        let mut it = wanted.clone();
        change(&mut it);
        json!({ "elicitations": [it] })
    };
    let list = json!({ "elicitations": [wanted] });
    let errors = [
        // One number to who compares numbers, and none to who wants an integer.
        (json!(-32042.0), list.clone()),
        (json!("-32042"), list.clone()),
        (Value::Null, list.clone()),
        (json!(-32042), json!({ "elicitations": { "0": wanted } })),
        (json!(-32042), json!({ "elicitations": wanted })),
        (json!(-32042), json!([wanted])),
        (json!(-32042), json!({ "elicitations": [{ "params": wanted }] })),
        (json!(-32042), json!({ "elicitations": [[wanted]] })),
        (json!(-32042), json!({ "Elicitations": [wanted], "elicitations": [] })),
        (json!(-32042), other(|it| it["mode"] = json!("URL"))),
        (json!(-32042), other(|it| it["mode"] = json!("form"))),
        (json!(-32042), other(|it| drop(it.as_object_mut().unwrap().remove("mode")))),
    ];
    let error = |code: &Value, data: &Value| {
        let error = json!({ "code": code, "message": "An address is to be opened", "data": data });
        say(json!({ "jsonrpc": "2.0", "id": "$id", "error": error }))
    };
    let mut script = Script::default().on_tool("good", [error(&json!(-32042), &list)]);
    for (n, (code, data)) in errors.iter().enumerate() {
        script = script.on_tool(&format!("t{n}"), [error(code, data)]);
    }
    let fake = home.fake(script);
    for policy in ["", "[elicitation]\nurl = \"deny\"\n"] {
        home.policy(policy);
        let mut probe = can(&home, &[], &fake, forms());
        let good = probe.ask(&call("good", "good", json!({})));
        assert_eq!(good["error"]["code"] == -32042, policy.is_empty(), "{good}");
        for (n, (code, data)) in errors.iter().enumerate() {
            let answer = probe.ask(&call(n, &format!("t{n}"), json!({})));
            assert!(is_refusal(&answer), "{code} {data}: {answer}");
            assert!(!answer.to_string().contains("https://"), "{code} {data}: {answer}");
        }
        probe.end();
    }
}
