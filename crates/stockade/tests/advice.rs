//! Advice that one reads about MCP servers, and what it comes to. Each test has the advice as plain
//! code, what gets past it, and what holds instead: `stockade-kit`, or where it is about messages
//! and not about a server's own work, the guard. The pages are in `docs/attacks`.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "these are tests, which clippy.toml sees only inside of `#[test]`"
)]

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use bytes::Bytes;
use http::Request;
use stockade::config::{Flags, Resolved, Source};
use stockade::edge::{Door, Turned};
use stockade_core::json::{Document, Limits};
use stockade_core::judge::judge;
use stockade_core::message::{Message, Side};
use stockade_core::policy::{CallFacts, Policy, Verdict};
use stockade_core::subject::Facts;
use stockade_kit::command::known;
use stockade_kit::path::{self, Escape};
use stockade_kit::query::{Dialect, Query};
use stockade_kit::root::{RootError, Writing};
use stockade_kit::url::{Reach, Url};
use stockade_kit::{Command, Root};

/// `proj`, which is the root, and around it what must not be reached.
fn machine() -> (tempfile::TempDir, PathBuf, Root) {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("proj");
    fs::create_dir(&root).unwrap();
    fs::create_dir(home.path().join("proj-secret")).unwrap();
    fs::write(home.path().join("proj-secret/key"), "secret").unwrap();
    fs::write(root.join("notes.txt"), "notes").unwrap();
    let opened = Root::open_dir(&root).unwrap();
    (home, root, opened)
}

#[test]
fn a_prefix_of_a_path_is_no_directory() {
    fn advice(root: &Path, path: &Path) -> bool {
        let real = fs::canonicalize(path).unwrap();
        real.to_str().unwrap().starts_with(fs::canonicalize(root).unwrap().to_str().unwrap())
    }
    let (home, root, opened) = machine();
    let beside = home.path().join("proj-secret/key");
    assert!(advice(&root, &root.join("notes.txt")));
    assert!(advice(&root, &beside), "the directory beside the root is in it");

    let text = root.to_str().unwrap();
    assert_eq!(path::inside(&[text], beside.to_str().unwrap()), Err(Escape::Outside));
    assert!(opened.read("../proj-secret/key", 100).is_err());
    assert_eq!(opened.read("notes.txt", 100).unwrap(), b"notes");
}

#[test]
fn a_separator_behind_the_prefix_does_not_see_links() {
    fn advice(root: &Path, path: &str) -> Option<Vec<u8>> {
        let path = std::path::absolute(root.join(path)).unwrap();
        let start = format!("{}/", root.display());
        path.to_str()?.starts_with(&start).then(|| fs::read(path).ok())?
    }
    let (_home, root, opened) = machine();
    symlink("../proj-secret", root.join("docs")).unwrap();
    assert_eq!(advice(&root, "docs/key").unwrap(), b"secret");

    assert!(opened.read("docs/key", 100).is_err());
    symlink("notes.txt", root.join("same")).unwrap();
    assert_eq!(opened.read("same", 100).unwrap(), b"notes");
}

#[test]
fn a_link_to_nothing_is_not_a_new_file() {
    /// What is not there yet cannot be resolved, so its directory is.
    fn advice(root: &Path, path: &str, text: &str) -> bool {
        let path = root.join(path);
        let real = fs::canonicalize(&path).or_else(|_| fs::canonicalize(path.parent().unwrap()));
        real.unwrap().starts_with(fs::canonicalize(root).unwrap()) && fs::write(path, text).is_ok()
    }
    let (home, root, opened) = machine();
    symlink("../proj-secret/planted", root.join("new.txt")).unwrap();
    assert!(advice(&root, "new.txt", "planted"));
    assert_eq!(fs::read(home.path().join("proj-secret/planted")).unwrap(), b"planted");

    fs::remove_file(home.path().join("proj-secret/planted")).unwrap();
    assert!(opened.write("new.txt", b"x", Writing::New).is_err());
    assert!(opened.write("new.txt", b"x", Writing::Replace).is_err());
    assert!(!home.path().join("proj-secret/planted").exists());
    opened.write("newer.txt", b"x", Writing::New).unwrap();
}

#[test]
fn what_was_checked_is_not_what_is_opened() {
    /// In two steps, as it is: the other program has its turn between them.
    fn advice(root: &Path, path: &str) -> Option<PathBuf> {
        let real = fs::canonicalize(root.join(path)).ok()?;
        real.starts_with(fs::canonicalize(root).ok()?).then_some(real)
    }
    let (_home, root, opened) = machine();
    fs::create_dir(root.join("d")).unwrap();
    fs::write(root.join("d/key"), "mine").unwrap();
    let swap = || {
        fs::rename(root.join("d"), root.join("aside")).unwrap();
        symlink("../proj-secret", root.join("d")).unwrap();
    };
    let checked = advice(&root, "d/key").unwrap();
    swap();
    assert_eq!(fs::read(checked).unwrap(), b"secret");

    // There is one step, before or after: `stockade-kit/tests/root.rs` runs the race.
    assert!(opened.read("d/key", 100).is_err());
    fs::remove_file(root.join("d")).unwrap();
    fs::rename(root.join("aside"), root.join("d")).unwrap();
    assert_eq!(opened.read("d/key", 100).unwrap(), b"mine");
}

#[test]
fn no_look_at_a_path_sees_its_other_name() {
    fn advice(root: &Path, path: &str, text: &str) -> bool {
        let real = fs::canonicalize(root.join(path)).unwrap();
        real.starts_with(fs::canonicalize(root).unwrap()) && fs::write(real, text).is_ok()
    }
    let (home, root, opened) = machine();
    let outside = home.path().join("proj-secret/key");
    fs::hard_link(&outside, root.join("same-file")).unwrap();
    assert!(advice(&root, "same-file", "overwritten"));
    assert_eq!(fs::read(&outside).unwrap(), b"overwritten");

    fs::write(&outside, "secret").unwrap();
    let written = opened.write("same-file", b"x", Writing::Replace);
    assert!(matches!(written, Err(RootError::Linked)));
    assert_eq!(fs::read(&outside).unwrap(), b"secret");
    opened.write("notes.txt", b"x", Writing::Replace).unwrap();
}

#[test]
fn a_list_of_characters_is_no_grammar() {
    fn advice(line: &str) -> bool {
        !line.contains([';', '|', '&', '$'])
    }
    let home = tempfile::tempdir().unwrap();
    let canary = home.path().join("canary");
    fs::write(home.path().join("a.txt"), "a").unwrap();
    let lines = [
        "ls\ntouch canary",
        "ls `touch canary`",
        "find . -name a.txt -exec touch canary {} +",
        "sort -o canary a.txt",
        "git diff --no-index --output=canary a.txt /dev/null",
        "tar -cf a.tar --checkpoint=1 --checkpoint-action=exec='touch canary' a.txt",
        "awk 'BEGIN { system(\"touch canary\") }'",
    ];
    let mut real = 0;
    for line in lines {
        assert!(advice(line), "{line}");
        let _ = Process::new("sh").args(["-c", line]).current_dir(home.path()).output().unwrap();
        real += usize::from(canary.exists());
        let _ = fs::remove_file(&canary);

        assert!(known::judge_line(line, &["/proj"]).is_err(), "{line}");
    }
    assert!(real >= 5, "{real} of them do something here");
    // What is dangerous to a shell is a text to a program that is started without one.
    assert!(!advice("grep 'a$' a.txt"));
    let argv = known::judge_line("grep 'a$' a.txt", &["/proj"]).unwrap();
    assert!(argv.command().current_dir(home.path()).output().unwrap().status.success());
}

#[test]
fn a_word_at_the_start_says_nothing_about_a_statement() {
    fn starts_well(sql: &str) -> bool {
        ["SELECT", "WITH"].iter().any(|it| sql.starts_with(it))
    }
    fn starts_with_no_keyword(sql: &str) -> bool {
        !["INSERT", "UPDATE", "DELETE", "DROP", "ALTER"].iter().any(|it| sql.starts_with(it))
    }
    type Advice = fn(&str) -> bool;
    let statements: [(&str, Advice); 4] = [
        ("SELECT 1; DROP TABLE notes", starts_well),
        ("WITH x AS (SELECT 1) DELETE FROM notes", starts_well),
        ("/**/DELETE FROM notes", starts_with_no_keyword),
        ("ATTACH 'new.db' AS n", starts_with_no_keyword),
    ];
    for (sql, advice) in statements {
        assert!(advice(sql), "{sql}");
        let home = tempfile::tempdir().unwrap();
        let (before, after) = (home.path().join("a.db"), home.path().join("new.db"));
        let database = rusqlite::Connection::open(&before).unwrap();
        database.execute_batch("CREATE TABLE notes (id); INSERT INTO notes VALUES (1)").unwrap();
        let sql = sql.replace("new.db", after.to_str().unwrap());
        database.execute_batch(&sql).unwrap();
        let left = database.query_row("SELECT count(*) FROM notes", [], |row| row.get(0));
        assert!(left != Ok(1) || after.exists(), "{sql}");

        let query = Query::parse(Dialect::Sqlite, &sql).and_then(Query::read_only);
        assert!(query.is_err(), "{sql}");
    }
    // And what only looks like it.
    let honest = "SELECT 'DROP TABLE notes' AS title FROM notes -- DELETE nothing";
    assert!(Query::parse(Dialect::Sqlite, honest).unwrap().read_only().is_ok());
}

#[test]
fn an_address_has_more_spellings_than_a_pattern() {
    fn advice(host: &str) -> bool {
        let private = ["127.", "10.", "192.168.", "172.16.", "169.254.", "localhost"];
        !private.iter().any(|it| host.starts_with(it))
    }
    // What each of them is to those who connect: `inet_aton`, and the kernel.
    for host in [
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[64:ff9b::7f00:1]",
        "100.64.0.1",
        "172.31.0.1",
    ] {
        assert!(advice(host), "{host}");
        let url = Url::parse(&format!("http://{host}/"), &["http"]);
        let target = url.map(|it| it.resolve(&Reach::public()));
        assert!(!matches!(target, Ok(Ok(_))), "{host}");
    }
    // `127.1` begins with what the pattern has; a name that leads there does not.
    assert!(Url::parse("http://127.1/", &["http"]).is_err());
    assert!(advice("localtest.me"));
    let url = Url::parse("http://localtest.me/", &["http"]).unwrap();
    let asked = url.resolve_with(&Reach::public(), |_, _| Ok(vec!["127.0.0.1".parse().unwrap()]));
    assert!(asked.is_err());
    let asked = url.resolve_with(&Reach::public(), |_, _| Ok(vec!["9.9.9.9".parse().unwrap()]));
    assert!(asked.is_ok());
}

#[test]
fn a_missing_origin_is_not_a_friend() {
    fn advice(request: &Request<()>) -> bool {
        let origin = request.headers().get("origin");
        origin.is_none_or(|it| it == "http://127.0.0.1:8420")
    }
    let door = Door::new("127.0.0.1:8420".parse().unwrap(), &[], &[], None);
    let request = |headers: &[(&str, &str)]| {
        let request = Request::get("/sse");
        let with =
            |it: http::request::Builder, (name, value): &(&str, &str)| it.header(*name, *value);
        headers.iter().fold(request, with).body(()).unwrap()
    };
    // The page's own name leads to this machine by now. To the browser nothing is foreign.
    let rebound = request(&[("host", "rebind.example:8420"), ("sec-fetch-site", "same-origin")]);
    assert!(advice(&rebound));
    assert_eq!(door.admit(&rebound), Err(Turned::Host));
    // A page of another site, by a request that carries no `Origin`.
    let image = request(&[("host", "127.0.0.1:8420"), ("sec-fetch-site", "cross-site")]);
    assert!(advice(&image));
    assert_eq!(door.admit(&image), Err(Turned::Origin));
    assert!(door.admit(&request(&[("host", "127.0.0.1:8420")])).is_ok());
}

#[test]
fn an_empty_list_is_nobody() {
    fn advice(allowed: &[&str], it: &str) -> bool {
        allowed.is_empty() || allowed.contains(&it)
    }
    assert!(advice(&[], "anything"));

    let none: [&str; 0] = [];
    assert_eq!(path::inside(&none, "/etc/passwd"), Err(Escape::Outside));
    assert!(Url::parse("https://example.com/", &none).is_err());
    assert!(Command::new("ls").argv(&["-l"]).is_err());
    assert!(Command::new("ls").argv(&["src"]).is_err());
    // The policy: a list of tools without a tool, and what is said of all others.
    let policy = policy("default = \"allow\"\n[[tools]]\ntool = []\neffect = \"allow\"\n");
    assert!(policy.is_err(), "a rule about no tool is a mistake");
    let policy = self::policy("default = \"deny\"\n").unwrap();
    assert!(matches!(call(&policy, "anything").0, Verdict::Deny(_)));
}

#[test]
fn what_is_invisible_is_more_than_zero_width() {
    /// The category `Cf`, as far as advice goes.
    fn advice(text: &str) -> String {
        let is_format = |it: char| {
            matches!(it, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
                || matches!(it, '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0001}'..='\u{e007f}')
        };
        text.chars().filter(|it| !is_format(*it)).collect()
    }
    for hidden in ["\u{e0100}", "\u{e01ef}", "\u{3164}", "\u{ffa0}", "\u{115f}", "\u{17b4}"] {
        let text = format!("Adds{hidden}{hidden} two numbers");
        assert_eq!(advice(&text), text, "{hidden:?} is still there");

        let result = serde_json::json!({
            "jsonrpc": "2.0", "id": 1,
            "result": { "content": [{ "type": "text", "text": text }] },
        });
        assert_eq!(rules(&result.to_string()), ["hidden_unicode"], "{hidden:?}");
    }
}

#[test]
fn a_name_that_occurs_twice_is_not_a_message() {
    fn advice(text: &str) -> bool {
        // `serde_json`, like most parsers, keeps the last.
        let all: HashMap<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        all["method"] == "ping"
    }
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping"}"#;
    assert!(advice(text), "the filter reads `ping`; who takes the first has a call");

    let parse = |text: &str| {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        Message::parse(Side::Client, bytes, &Limits::default())
    };
    assert!(parse(text).is_err());
    assert!(
        parse(r#"{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/call"}"#).is_err()
    );
    assert!(parse(r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#).is_err());
    assert!(parse(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).is_ok());
}

#[test]
fn decoding_once_leaves_what_was_encoded_twice() {
    fn advice(path: &str) -> Option<String> {
        let decoded = path.replace("%2e", ".").replace("%2f", "/").replace("%25", "%");
        (!decoded.contains("../")).then_some(decoded)
    }
    let once = advice("/proj/%252e%252e%252fetc/passwd").unwrap();
    // The server, or a library of its, decodes as well.
    assert_eq!(once, "/proj/%2e%2e%2fetc/passwd");
    assert!(advice(&once).is_none());
    // And the scheme is compared with `file://`.
    assert!(!"FILE:///etc/passwd".starts_with("file://"));

    for text in ["/proj/%252e%252e%252fetc/passwd", "file:///proj/%252e%252e/etc"] {
        assert_eq!(path::inside(&["/proj"], text), Err(Escape::Encoded), "{text}");
    }
    assert_eq!(path::inside(&["/proj"], "FILE:///etc/passwd"), Err(Escape::Outside));
    assert_eq!(path::inside(&["/proj"], "file://host/proj/a"), Err(Escape::Host));
    assert_eq!(path::inside(&["/proj"], "file:///proj/a%20b"), Ok("/proj/a b".to_owned()));
}

#[test]
fn a_tool_that_is_hidden_can_be_called() {
    struct Advice {
        hidden: &'static str,
    }
    impl Advice {
        fn list<'a>(&self, tools: &'a [(&'a str, bool)]) -> Vec<&'a str> {
            let shown = tools.iter().filter(|(name, _)| *name != self.hidden);
            shown.map(|(name, _)| *name).collect()
        }
        /// Nothing is asked of a tool that says of itself that it only reads.
        fn asks(says_read_only: bool) -> bool {
            !says_read_only
        }
    }
    let tools = [("read_file", true), ("delete_all", true)];
    let advice = Advice { hidden: "delete_all" };
    // It is not listed, and whoever has its name calls it; and it says that it only reads.
    assert_eq!(advice.list(&tools), ["read_file"]);
    assert!(!Advice::asks(tools[1].1));

    let hidden = "default = \"allow\"\n[[tools]]\ntool = [\"delete_*\"]\neffect = \"deny\"\n";
    let policy = policy(hidden).unwrap();
    let (verdict, is_hidden) = call(&policy, "delete_all");
    assert!(matches!(verdict, Verdict::Deny(_)) && is_hidden);
    let (verdict, is_hidden) = call(&policy, "Delete_All");
    assert!(matches!(verdict, Verdict::Deny(_)), "another spelling, {is_hidden}");
    assert_eq!(call(&policy, "read_file").0, Verdict::Allow);
}

fn policy(text: &str) -> Result<std::sync::Arc<Policy>, ()> {
    let source = Source { path: "stockade.toml".into(), text: text.into() };
    match Resolved::new(Some(source), &Flags::default()) {
        Ok(resolved) => Ok(resolved.policy),
        Err(_) => Err(()),
    }
}

/// What is done with a call, and whether the tool is hidden.
fn call(policy: &Policy, tool: &str) -> (Verdict, bool) {
    let arguments = Document::from_value(&serde_json::json!({})).unwrap();
    let arguments = Some(arguments.root());
    let call = CallFacts { tool, arguments, client: None, principal: None, roots: &[] };
    let decision = policy.call(&call);
    (decision.verdict, decision.hidden)
}

/// The rules that find something in a server's answer to `tools/call`.
fn rules(text: &str) -> Vec<&'static str> {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let message = Message::parse(Side::Server, bytes, &Limits::default()).unwrap();
    let facts = Facts { method: "tools/call", ..Facts::alone(Side::Server) };
    let judgement = judge(message, &facts, &Policy::default());
    let mut rules: Vec<_> = judgement.findings().iter().map(|it| it.rule.id).collect();
    rules.dedup();
    rules
}
