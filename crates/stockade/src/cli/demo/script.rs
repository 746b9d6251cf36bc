//! The scenes, in the order in which they are played, and the words around them.

use serde_json::{Value, json};

use super::client::TYPED;
use super::scene::{Expect, Scene};
use super::stage::{NOTE, Stage};
use super::web::Post;

pub(super) const INTRODUCTION: &str = "Two small MCP servers run on this machine, each behind the \
    guard: a careful one, and a careless one that makes every mistake on purpose. This program is \
    their client. It asks honestly first, and then it attacks. Nothing leaves this machine.";

pub(super) const CLOSING: &str = "The rules about commands were off, so that the server's process \
    could be seen to try. Not stopped here: a description that changes later, as long as nothing is \
    pinned (`stockade lock`).";

/// What is done over standard input and output.
#[derive(Debug)]
pub(super) enum Act {
    Ask {
        method: &'static str,
        params: Value,
    },
    /// A line that no honest client sends.
    Line(&'static str),
    /// Looks at the last answer once more, for something else.
    Again,
}

/// The capabilities of a client with a person in front of it.
pub(super) fn can_be_asked() -> Value {
    json!({ "elicitation": {} })
}

/// The capabilities of a client that has declared none.
pub(super) fn can_nothing() -> Value {
    json!({})
}

pub(super) fn honest() -> Vec<Scene<Act>> {
    let answer = |holds| Expect::Answer { holds, steps: 0, questions: 0 };
    vec![
        Scene {
            name: "list_files",
            tried: "list the files of the project",
            act: call("list_files", json!({})),
            expects: answer("notes.txt"),
        },
        Scene {
            name: "read_file",
            tried: "read one of them",
            act: call("read_file", json!({ "path": "notes.txt" })),
            expects: answer(NOTE),
        },
        Scene {
            name: "query",
            tried: "ask the database, with a parameter",
            act: call(
                "query",
                json!({
                    "sql": "SELECT name FROM products WHERE price_cents < ?1",
                    "parameters": [2000],
                }),
            ),
            expects: answer("\"rope\""),
        },
        Scene {
            name: "run_command",
            tried: "run a program of its list: `wc`",
            act: call(
                "run_command",
                json!({ "program": "wc", "arguments": ["-w"], "input": "notes.txt" }),
            ),
            expects: answer("\"exit_code\":0"),
        },
        Scene {
            name: "progress",
            tried: "a slow call that says how far it is",
            act: call("count_slowly", json!({ "to": 2 })),
            expects: Expect::Answer { holds: "counted to 2", steps: 2, questions: 0 },
        },
        Scene {
            name: "elicitation",
            tried: "a call that asks the user something",
            act: call("ask_user", json!({ "question": "Which colour?" })),
            expects: Expect::Answer { holds: TYPED, steps: 0, questions: 1 },
        },
    ]
}

pub(super) fn on_a_server(stage: &Stage) -> Vec<Scene<Act>> {
    let outside = stage.path("outside.txt");
    let outside = outside.display();
    let beside = stage.path("project-private/pay.txt");
    let escape = |name, tried, tool, path: String| Scene {
        name,
        tried,
        act: call(tool, json!({ "path": path })),
        expects: Expect::Refused { rule: "path_outside_roots" },
    };
    vec![
        escape("path_parent", "read `../outside.txt`", "read_file", "../outside.txt".to_owned()),
        escape("path_absolute", "read it by its whole path", "read_file", outside.to_string()),
        escape(
            "path_encoded",
            "read it as `%2e%2e/outside.txt`",
            "read_file",
            "%2e%2e/outside.txt".to_owned(),
        ),
        escape(
            "path_sibling",
            "read from the sibling `project-private`",
            "read_project_file",
            beside.display().to_string(),
        ),
        Scene {
            name: "path_uri",
            tried: "read it as a resource, `file:///…`",
            act: Act::Ask {
                method: "resources/read",
                params: json!({ "uri": format!("file://{outside}") }),
            },
            expects: Expect::Refused { rule: "path_outside_roots" },
        },
        Scene {
            name: "duplicate_member",
            tried: "name the method twice in one message",
            act: Act::Line(
                r#"{"jsonrpc":"2.0","id":90,"method":"ping","method":"tools/call","params":{"name":"get_config","arguments":{}}}"#,
            ),
            expects: Expect::NotAMessage { code: -32700 },
        },
        Scene {
            name: "batch",
            tried: "hide a call in a batch",
            act: Act::Line(
                r#"[{"jsonrpc":"2.0","id":91,"method":"ping"},{"jsonrpc":"2.0","id":92,"method":"tools/call","params":{"name":"get_config","arguments":{}}}]"#,
            ),
            expects: Expect::NotAMessage { code: -32600 },
        },
    ]
}

pub(super) fn by_a_server() -> Vec<Scene<Act>> {
    vec![
        Scene {
            name: "poisoned_tool",
            tried: "give the model commands in a description",
            act: Act::Ask { method: "tools/list", params: json!({}) },
            expects: Expect::Mended {
                rule: "tool_poisoning",
                how: "left out",
                keeps: "find_orders",
                loses: "Adds two numbers.",
            },
        },
        Scene {
            name: "remote_schema",
            tried: "offer a tool whose schema is elsewhere",
            act: Act::Again,
            expects: Expect::Mended {
                rule: "schema_unusable",
                how: "left out",
                keeps: "find_orders",
                loses: "validate_order",
            },
        },
        Scene {
            name: "header_injection",
            tried: "offer a tool that smuggles in a header",
            act: Act::Again,
            expects: Expect::Mended {
                rule: "header_parameter",
                how: "left out",
                keeps: "find_orders",
                loses: "set_region",
            },
        },
        Scene {
            name: "injected_page",
            tried: "give the model commands in a page",
            act: call("fetch_page", json!({ "page": "install" })),
            expects: Expect::Mended {
                rule: "prompt_injection",
                how: "marked",
                keeps: "Data from a server",
                loses: "\"# install",
            },
        },
        Scene {
            name: "terminal_escape",
            tried: "answer with commands to the terminal",
            act: call("show_status", json!({})),
            expects: Expect::Mended {
                rule: "control_characters",
                how: "cleaned",
                keeps: "build: failed",
                loses: "\\u001b",
            },
        },
        Scene {
            name: "secret",
            tried: "answer with a key and a password",
            act: call("get_config", json!({})),
            expects: Expect::Mended {
                rule: "secret",
                how: "redacted",
                keeps: "[redacted:aws-access-key]",
                loses: "hunter2",
            },
        },
        Scene {
            name: "error_database",
            tried: "fail, and tell how to reach the database",
            act: call("query", json!({ "sql": "SELECT * FROM nowhere" })),
            expects: Expect::Replaced { rule: "error_detail", recorded: "no such table: nowhere" },
        },
        Scene {
            name: "error_trace",
            tried: "fail, and show a stack trace",
            act: call("read_file", json!({ "path": "nowhere.txt" })),
            expects: Expect::Replaced { rule: "error_detail", recorded: "/home/deploy/shop" },
        },
        Scene {
            name: "oversized",
            tried: "answer with 2 MiB of log",
            act: call("export_log", json!({ "bytes": 2 << 20 })),
            expects: Expect::Mended {
                rule: "oversized_content",
                how: "cut",
                keeps: "bytes were cut by Stockade]",
                // Nothing: how long the rest is, is looked at in every scene.
                loses: "\u{0}",
            },
        },
        Scene {
            name: "sampling",
            tried: "have the client's model write something",
            act: call("summarise", json!({ "text": "a text" })),
            expects: Expect::NotAsked {
                rule: "capability_not_negotiated",
                method: "sampling/createMessage",
            },
        },
    ]
}

/// The careless server gives whoever asks a shell. No message says what is done with that.
pub(super) fn by_a_process(guard: u32) -> Vec<Scene<Act>> {
    let shell = |name, tried, command: &str, says| Scene {
        name,
        tried,
        act: call("run_command", json!({ "program": command })),
        expects: Expect::Held { says },
    };
    vec![
        shell(
            "sandbox_read",
            "look for the file outside of the project",
            "test -e ../outside.txt && echo it is there || echo nothing is there",
            "nothing is there",
        ),
        shell(
            "sandbox_write",
            "write to the project, which it may read",
            "(echo x >> notes.txt) 2>/dev/null && echo written || echo read only",
            "read only",
        ),
        shell(
            "sandbox_process",
            "see this program, to stop it",
            &format!("kill -0 {guard} 2>/dev/null && echo it runs || echo no such process"),
            "no such process",
        ),
        shell(
            "sandbox_network",
            "find a way to another machine",
            "grep : /proc/self/net/dev | cut -d: -f1 | tr -d ' '",
            "lo",
        ),
        shell(
            "sandbox_privileges",
            "use a privilege of its user",
            "grep CapEff /proc/self/status | tr -d '\\t'",
            "CapEff:0000000000000000",
        ),
    ]
}

pub(super) fn over_http() -> Vec<Scene<Post>> {
    let honest = || Post { header: "read_file", host: None, origin: None, key: true };
    vec![
        Scene {
            name: "http",
            tried: "read the note, in revision 2026-07-28",
            act: honest(),
            expects: Expect::Answer { holds: NOTE, steps: 0, questions: 0 },
        },
        Scene {
            name: "http_mismatch",
            tried: "one tool in the header, one in the body",
            act: Post { header: "list_files", ..honest() },
            expects: Expect::NotAMessage { code: -32020 },
        },
        Scene {
            name: "http_rebinding",
            tried: "call the guard by another name",
            act: Post { host: Some("evil.example"), ..honest() },
            expects: Expect::TurnedAway {
                status: 421,
                why: "`evil.example` is no name of this guard (DNS rebinding)",
            },
        },
        Scene {
            name: "http_origin",
            tried: "send it from a page of another site",
            act: Post { origin: Some("http://evil.example"), ..honest() },
            expects: Expect::TurnedAway { status: 403, why: "the page is not one that may ask" },
        },
        Scene {
            name: "http_key",
            tried: "come without the key",
            act: Post { key: false, ..honest() },
            expects: Expect::TurnedAway { status: 401, why: "there is no key" },
        },
    ]
}

fn call(tool: &str, arguments: Value) -> Act {
    let meta = json!({ "progressToken": tool });
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    Act::Ask { method: "tools/call", params }
}
