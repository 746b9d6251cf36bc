//! Secrets in what a server says: the client does not get them, and no file does.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use data_encoding::BASE32;
use serde_json::{Value, json};

use crate::harness::canary::{Canary, canaries};
use crate::harness::{Home, NO_LIMITS, Probe, Script, Step, call, request, say, text};
use crate::output::{says, strings, told};

crate::rows![
    o01_no_secret_of_any_kind_arrives,
    o01_no_secret_arrives_encoded,
    o01_no_secret_arrives_in_pieces,
    o01_no_short_password_arrives_from_where_it_stands,
    o01_no_token_arrives_that_is_cut,
    o01_secrets_are_told_apart,
    o01_what_only_looks_like_a_secret_arrives,
    l02_secrets_are_in_no_file,
];

fn all(canaries: &[Canary]) -> String {
    canaries.iter().map(|it| it.text.as_str()).collect::<Vec<_>>().join("\n")
}

fn answer(result: Value) -> Step {
    say(json!({ "jsonrpc": "2.0", "id": "$id", "result": result }))
}

/// What a tool answers that says this in the blocks of its result.
fn blocks<'t>(texts: impl IntoIterator<Item = &'t str>) -> Step {
    let block = |it: &str| json!({ "type": "text", "text": it });
    answer(json!({ "content": texts.into_iter().map(block).collect::<Vec<_>>() }))
}

fn o01_no_secret_of_any_kind_arrives() {
    let canaries = canaries();
    assert!(canaries.len() >= 60, "{}", canaries.len());
    let home = Home::new();
    // A tool that says a hundred secrets is also poisoned, and would not be listed.
    home.policy("[rules]\ntool_poisoning = \"allow\"\nprompt_injection = \"allow\"");
    for message in told(&home, says(&all(&canaries))) {
        for text in strings(&message) {
            let secret = canaries.iter().find(|it| text.contains(&it.secret));
            assert!(secret.is_none(), "{secret:?} in {message}");
        }
        let is_error = message.get("error").is_some() || message["result"]["isError"] == true;
        assert!(is_error || message.to_string().contains("[redacted:"), "{message}");
    }
    // Each by itself, and what is around it stays.
    let home = Home::new();
    home.policy(NO_LIMITS);
    let script = canaries.iter().enumerate().fold(Script::default(), |script, (number, it)| {
        script.on_tool(
            &format!("t{number}"),
            [blocks([format!("before {} after", it.text).as_str()])],
        )
    });
    let mut probe = Probe::run(&home, &home.fake(script)).begin();
    for (number, it) in canaries.iter().enumerate() {
        let answer = probe.ask(&call(number, &format!("t{number}"), json!({})));
        let shown = text(&answer);
        assert!(shown.contains("[redacted:") && !shown.contains(&it.secret), "{it:?}: {shown}");
        assert!(shown.starts_with("before ") && shown.ends_with(" after"), "{it:?}: {shown}");
    }
}

/// Everything that a text says, in any of the encodings below.
fn decoded(text: &str) -> String {
    let is_letter = |it: char| it.is_ascii_alphanumeric() || "+/-_=".contains(it);
    let words = text.split(|it: char| !is_letter(it)).filter(|it| it.len() > 20);
    let decoded = words.flat_map(|word| {
        let hex: Option<Vec<u8>> = (0..word.len() / 2)
            .map(|it| u8::from_str_radix(word.get(2 * it..2 * it + 2)?, 16).ok())
            .collect();
        [STANDARD.decode(word).ok(), URL_SAFE_NO_PAD.decode(word).ok(), hex]
    });
    decoded.flatten().map(|it| String::from_utf8_lossy(&it).into_owned()).collect()
}

fn o01_no_secret_arrives_encoded() {
    let hex = |it: &str| it.bytes().map(|it| format!("{it:02x}")).collect::<String>();
    let percent = |it: &str| it.bytes().map(|it| format!("%{it:02X}")).collect::<String>();
    let escaped = |it: &str| it.bytes().map(|it| format!("\\u{it:04x}")).collect::<String>();
    let quoted = |it: &str| json!({ "a": json!({ "b": it }).to_string() }).to_string();
    type Encode<'f> = &'f dyn Fn(&str) -> String;
    let encodings: [(&str, Encode<'_>); 7] = [
        ("base64", &|it| STANDARD.encode(it)),
        ("base64url", &|it| URL_SAFE_NO_PAD.encode(it)),
        ("base64 twice", &|it| STANDARD.encode(STANDARD.encode(it))),
        ("hex", &hex),
        ("percent", &percent),
        ("escapes", &escaped),
        ("JSON in JSON", &quoted),
    ];
    let home = Home::new();
    home.policy(NO_LIMITS);
    let canaries = canaries();
    let mut script = Script::default();
    for (number, it) in canaries.iter().enumerate() {
        let texts: Vec<_> = encodings.iter().map(|(_, encode)| encode(&it.text)).collect();
        let file = STANDARD.encode(format!("# a file\n{}\n# its end\n", it.text));
        let resource = json!({ "uri": "a:b", "mimeType": "text/plain", "blob": file });
        let blob = json!({ "type": "resource", "resource": resource });
        let structured = json!({ "texts": texts });
        let content: Vec<Value> = texts
            .iter()
            .map(|it| json!({ "type": "text", "text": format!("it is {it} so") }))
            .chain([blob])
            .collect();
        let result = json!({ "content": content, "structuredContent": structured });
        script = script.on_tool(&format!("t{number}"), [answer(result)]);
    }
    let mut probe = Probe::run(&home, &home.fake(script)).begin();
    for (number, it) in canaries.iter().enumerate() {
        let answer = probe.ask(&call(number, &format!("t{number}"), json!({})));
        let content = &answer["result"]["content"];
        for (at, (name, encode)) in encodings.iter().enumerate() {
            let text = content[at]["text"].as_str().unwrap();
            for said in [&it.secret, &encode(&it.secret), &encode(&it.text)] {
                assert!(!text.contains(said), "{name}: {it:?}: {text}");
            }
            assert!(text.starts_with("it is ") && text.ends_with(" so"), "{name}: {text}");
            let once = decoded(text);
            for said in [&once, &decoded(&once)] {
                assert!(!said.contains(&it.secret), "{name}: {it:?}: {said}");
            }
        }
        let texts = answer["result"]["structuredContent"].to_string();
        assert!(!decoded(&texts).contains(&it.secret) && !texts.contains(&it.secret), "{texts}");
        // What is left of a file can be decoded as before.
        let file = content[encodings.len()]["resource"]["blob"].as_str().unwrap();
        let file = String::from_utf8(STANDARD.decode(file).unwrap()).unwrap();
        assert!(file.starts_with("# a file\n") && file.ends_with("\n# its end\n"), "{file}");
        assert!(file.contains("[redacted:") && !file.contains(&it.secret), "{file}");
    }
}

fn o01_no_secret_arrives_in_pieces() {
    let home = Home::new();
    home.policy(NO_LIMITS);
    let canaries: Vec<Canary> = canaries().into_iter().step_by(3).collect();
    let mut script = Script::default();
    for (number, it) in canaries.iter().enumerate() {
        let whole = format!("it is {} so", it.text);
        for (way, size) in [("half", whole.len() / 2), ("seven", 7), ("one", 1)] {
            let pieces: Vec<_> =
                whole.as_bytes().chunks(size).map(|it| str::from_utf8(it).unwrap()).collect();
            script = script.on_tool(&format!("{way}{number}"), [blocks(pieces.clone())]);
            let list = json!({ "content": [], "structuredContent": { "lines": pieces } });
            script = script.on_tool(&format!("list-{way}{number}"), [answer(list)]);
        }
    }
    let mut probe = Probe::run(&home, &home.fake(script)).begin();
    for (number, it) in canaries.iter().enumerate() {
        for way in ["half", "seven", "one"] {
            let name = format!("{way}{number}");
            let answer = probe.ask(&call(name.as_str(), &name, json!({})));
            let blocks = answer["result"]["content"].as_array().unwrap();
            let shown: String = blocks.iter().map(|it| it["text"].as_str().unwrap()).collect();
            is_redacted(&shown, it);
            let name = format!("list-{name}");
            let answer = probe.ask(&call(name.as_str(), &name, json!({})));
            let lines = answer["result"]["structuredContent"]["lines"].as_array().unwrap();
            is_redacted(&lines.iter().map(|it| it.as_str().unwrap()).collect::<String>(), it);
        }
    }
}

/// Nothing of the secret is left but what anybody knows, which is how it begins.
#[track_caller]
fn is_redacted(shown: &str, it: &Canary) {
    let letters = it.secret.as_bytes();
    let mut windows = letters.windows(12).skip(it.secret.len().saturating_sub(24).min(12));
    let left = windows.find(|part| shown.contains(str::from_utf8(part).unwrap()));
    assert!(left.is_none(), "{it:?}: {shown}");
    assert!(shown.starts_with("it is ") && shown.ends_with(" so"), "{it:?}: {shown}");
    assert!(shown.contains("[redacted:"), "{it:?}: {shown}");
}

/// What a tool answers to each text, one after the other.
fn answers(texts: &[String]) -> Vec<String> {
    let home = Home::new();
    home.policy(NO_LIMITS);
    let script = texts.iter().enumerate().fold(Script::default(), |script, (number, it)| {
        script.on_tool(&format!("t{number}"), [blocks([it.as_str()])])
    });
    let mut probe = Probe::run(&home, &home.fake(script)).begin();
    let names = (0..texts.len()).map(|it| (it, format!("t{it}")));
    names.map(|(it, name)| text(&probe.ask(&call(it, &name, json!({})))).to_owned()).collect()
}

fn o01_no_short_password_arrives_from_where_it_stands() {
    let password = ["vU7", "pq2x"].concat();
    let places = [
        // Programs and data.
        "{\"user\":\"bob\",\"password\":\"@\"}",
        "password: \"@\",",
        "'password' => '@',",
        "const password = `@`;",
        "os.environ['DB_PASSWORD']='@'",
        "define('DB_PASSWORD', '@');",
        "jdbc:mysql://h/d?user=bob&password=@",
        "Server=h;Uid=sa;Pwd=@",
        // Tables.
        "user,password\nal,\nbob,@\n",
        "\"user\",\"password\"\n\"Smith, Bob\",\"@\"\n",
        "user\tpassword\nbob\t@\n",
        "user;pwd\nbob;@\n",
        "<table><tr><th>user</th><th>password</th></tr><tr><td>bob</td><td>@</td></tr></table>",
        // Settings.
        "password: |\n  @\nport: 1\n",
        "ssid=\"net\"\npsk=\"@\"\n",
        "requirepass @\n",
        "enable secret @\n",
        "ENV DB_PASS @\n",
        "ARG DB_PASSWORD=@\n",
        "setx DB_PASSWORD @",
        "PGPASSWORD=@ psql",
        // Statements and commands.
        "CREATE USER bob IDENTIFIED BY '@';",
        "ALTER USER bob WITH PASSWORD '@';",
        "docker login -u bob -p @ r.example.net",
        "redis-cli -a @ ping",
        "7z x -p@ a.7z",
        "openssl rsa -passin pass:@ -in k",
        "echo bob:@ | chpasswd",
        "echo '@' | sudo -S ls",
        // Other languages.
        "senha=@",
        "contraseña: @",
        "mot de passe : @",
        "пароль: @",
        "密码：@",
        "パスワード: @",
    ];
    let texts: Vec<String> = places.iter().map(|it| it.replace('@', &password)).collect();
    for (place, shown) in places.iter().zip(answers(&texts)) {
        let kinds = ["password", "assigned-secret"];
        let mut expected = kinds.iter().map(|it| place.replace('@', &format!("[redacted:{it}]")));
        assert!(expected.any(|it| it == shown), "{place}: {shown}");
    }
}

fn o01_no_token_arrives_that_is_cut() {
    let (a, b) = ("ghp_Zk82nVx7Lp0Rt5WqB", "d31Ys94MhKjTgUcEoNa");
    let texts = [
        format!("x = \"{a}\" + \"{b}\""),
        format!("x = \"{a}\"\n    \"{b}\""),
        format!("  1 {a}\n  2 {b}\n"),
        format!("12: {a}\n13: {b}\n"),
        format!("+{a}\\\n+{b}\n"),
        format!("-{a}\n-{b}\n"),
        format!("g<b>hp_{}</b>{b}", &a[4..]),
        format!("{a} | {b}"),
    ];
    for (said, shown) in texts.iter().zip(answers(&texts)) {
        assert!(shown.contains("[redacted:github-token"), "{said}: {shown}");
        assert!(!shown.contains(b) && !shown.contains(&a[4..]), "{said}: {shown}");
    }
    let encoded = answers(&[format!("it is {} so", BASE32.encode(format!("{a}{b}!").as_bytes()))]);
    assert_eq!(encoded, [format!("it is {} so", BASE32.encode(b"[redacted:github-token]!"))]);
}

fn o01_secrets_are_told_apart() {
    let token = |it: &str| format!("ghp_{it}nVx7Lp0Rt5WqBd31Ys94MhKjTgUcEoNa");
    let (one, two) = (token("Zk82"), token("Zk83"));
    let home = Home::new();
    home.policy(NO_LIMITS);
    let fake = home.fake(
        Script::default()
            .on_tool("both", [blocks([format!("{one} is not {two}").as_str()])])
            .on_tool("again", [blocks([format!("a file has {two}").as_str()])]),
    );
    let mut probe = Probe::run(&home, &fake).begin();
    let (first, second) = ("[redacted:github-token]", "[redacted:github-token-2]");
    let both = probe.ask(&call(1, "both", json!({})));
    assert_eq!(text(&both), format!("{first} is not {second}"));
    let again = probe.ask(&call(2, "again", json!({})));
    assert_eq!(text(&again), format!("a file has {second}"));
    // Another conversation does not know what came up in this one.
    let mut other = Probe::run(&home, &fake).begin();
    let again = other.ask(&call(1, "again", json!({})));
    assert_eq!(text(&again), format!("a file has {first}"));
}

/// What servers say, and what looks like secrets in it.
fn harmless() -> Vec<String> {
    let bytes: Vec<u8> =
        (0..3000_u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let hash = |seed: u32| {
        (0..16_u32)
            .map(|it| format!("{:04x}", (seed + it).wrapping_mul(40_503) & 0xffff))
            .collect::<String>()
    };
    let png = STANDARD.encode([&b"\x89PNG\r\n\x1a\n"[..], &bytes].concat());
    vec![
        format!("commit {}\nAuthor: a <a@example.org>\n\n    Bump", &hash(1)[..40]),
        format!("sha256:{}  target/release/app", hash(2)),
        "id: 550e8400-e29b-41d4-a716-446655440000, other: 6ba7b810-9dad-11d1-80b4-00c04fd430c8".into(),
        format!("[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"{}\"", hash(3)),
        format!("\"node_modules/a\": {{ \"resolved\": \"https://r.example.org/a-1.tgz\", \"integrity\": \"sha512-{}\" }}", STANDARD.encode(&bytes[..64])),
        format!("![logo](data:image/png;base64,{png})"),
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", STANDARD.encode(&bytes[..600])),
        format!("ssh-rsa {} me@example.org", STANDARD.encode(&bytes[..280])),
        "!function(e,t){\"object\"==typeof exports?t(exports):t(e.x={})}(this,function(e){var t=e.token||n.getToken(r),o=e.password===t?1:0;return{key:t,secret:o}});".into(),
        "{\"usage\":{\"prompt_tokens\":1234,\"completion_tokens\":5678},\"nextPageToken\":\"CAUQAA0f9dKq2xxx\",\"etag\":\"W/\\\"33a64df551425fcc\\\"\"}".into(),
        "export TOKEN=${GITHUB_TOKEN}\nAPI_KEY=<your key>\npassword: ********\napi_key = os.environ[\"API_KEY_2\"]".into(),
        "https://example.org/a%20b%2Fc?q=caf%C3%A9&x=%7B%22a%22%3A1%7D".into(),
        format!("Date: Sun, 29 Nov 2026 19:00:00 GMT\nETag: \"{}\"\nX-Request-Id: {}", &hash(5)[..32], hash(6)),
        STANDARD.encode("A letter that says nothing but how somebody is, and was encoded on its way."),
        "HOME=/home/bob\nPWD=/home/bob/src\nOLDPWD=/home/bob\nSHLVL=1\n".into(),
        "| Season | Pass | Price |\n|---|---|---|\n| Summer | Gold2026 | 99 |\n".into(),
        "name,pass,fail\nsuite1,12,0\nsuite2,40,1\n".into(),
        "machine learning login flow password reset\n".into(),
        "postgres://postgres:postgres@localhost:5432/test".into(),
        "4111 1111 1111 1111, +44 20 7946 0958, 192.0.2.1:8080, 2026-11-29T19:00:00Z, 1.2.3-rc.4+build.567".into(),
    ]
}

fn o01_what_only_looks_like_a_secret_arrives() {
    let home = Home::new();
    home.policy(NO_LIMITS);
    let texts = harmless();
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut script = Script::default().on_tool("all", [blocks(all)]);
    for (number, it) in texts.iter().enumerate() {
        script = script.on_tool(&format!("t{number}"), [blocks([it.as_str()])]);
    }
    let mut probe = Probe::run(&home, &home.fake(script)).begin();
    for (number, it) in texts.iter().enumerate() {
        assert_eq!(text(&probe.ask(&call(number, &format!("t{number}"), json!({})))), it);
    }
    let whole = probe.ask(&call("all", "all", json!({})));
    let blocks = whole["result"]["content"].as_array().unwrap();
    assert!(blocks.iter().map(|it| it["text"].as_str().unwrap()).eq(texts.iter()), "{whole}");
    probe.end();
    for outcome in home.records_of("outcome") {
        assert!(outcome.get("findings").is_none(), "{outcome}");
    }
}

fn l02_secrets_are_in_no_file() {
    let home = Home::new();
    home.policy(NO_LIMITS);
    let canaries = canaries();
    let all = all(&canaries);
    let complain = canaries.iter().map(|it| Step::Complain(format!("using {}", it.text)));
    let encoded = canaries.iter().map(|it| Step::Complain(STANDARD.encode(&it.text)));
    let failure = json!({ "isError": true, "content": [{ "type": "text", "text": all }] });
    let error = json!({ "code": -32603, "message": all, "data": { "token": all } });
    let script = says(&all)
        .on_tool("failure", [answer(failure)])
        .on_tool("error", [say(json!({ "jsonrpc": "2.0", "id": "$id", "error": error }))])
        .on_tool("complain", complain.chain(encoded).collect::<Vec<_>>());
    let fake = home.fake(script);
    let mut probe = Probe::run(&home, &fake).begin();
    for tool in ["result", "failure", "error"] {
        let mut call = call(tool, tool, json!({ "password": all }));
        call["params"]["_meta"] = json!({ "progressToken": "t" });
        let answer = probe.ask(&call).to_string();
        let others: String = probe.others.drain(..).map(|it| it.to_string()).collect();
        for it in &canaries {
            assert!(!answer.contains(&it.secret) && !others.contains(&it.secret), "{it:?}");
        }
    }
    probe.send(&call("complain", "complain", json!({})));
    for (number, Canary { text, secret }) in canaries.iter().enumerate() {
        // Where only names are expected, also at the length at which they are cut, and in what
        // cannot be read at all.
        let kept = text.len() - secret.len() + secret.len() * 3 / 4;
        let long = format!("{} {text}", "x".repeat(199_usize.saturating_sub(kept)));
        probe.ask(&call(number, &format!("tool {text}"), json!({ text: text })));
        probe.ask(&call(format!("l{number}"), &long, json!({})));
        probe.ask(&request(format!("m{number}"), text, json!({})));
        let line = json!(text);
        probe.write(format!("{{\"jsonrpc\":\"2.0\",\"id\":{line},\"id\":1}}\n").as_bytes());
    }
    let ended = probe.end();
    for it in canaries.iter().filter(|it| !it.secret.contains('\n')) {
        let middle = it.secret.len() / 2;
        let part = &it.secret[middle - 5..middle + 5];
        for secret in [it.secret.as_str(), part, &STANDARD.encode(&it.text)] {
            assert!(!ended.stderr.contains(secret), "{secret} on standard error");
        }
        is_nowhere(&home.path().join("state"), &it.secret);
        is_nowhere(&home.path().join("state"), part);
        is_nowhere(&home.path().join("state"), &STANDARD.encode(&it.text));
    }
}

#[track_caller]
fn is_nowhere(dir: &Path, secret: &str) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            is_nowhere(&path, secret);
        } else {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            let line = text.lines().find(|it| it.contains(secret));
            assert!(line.is_none(), "{secret} in {line:?}");
        }
    }
}
