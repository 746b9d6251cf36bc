//! `stockade test fuzz`: a server with a mistake in each tool is seen to have it, by the smallest
//! arguments that show it, and one that is well made has none.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::call::both;
use crate::harness::Home;

crate::rows![
    t05_each_mistake_of_a_server_is_found_with_the_smallest_case,
    t05_what_may_destroy_is_called_only_when_it_is_named,
    t05_a_server_that_is_well_made_has_none,
];

const SERVER: &str = include_str!("fuzzed.py");

/// The server, and a file that is there once it has destroyed something.
fn server(home: &Home) -> (PathBuf, PathBuf) {
    let file = home.path().join("fuzzed.py");
    fs::write(&file, SERVER).unwrap();
    (file, home.path().join("all-is-gone"))
}

fn fuzz(home: &Home, words: &[&str]) -> Command {
    let (file, gone) = server(home);
    let mut command = home.stockade(["test", "fuzz"]);
    command.args(home.unheld()).args(words).stdin(Stdio::null());
    command.args(["--", "python3"]).arg(file).arg(gone);
    command
}

#[track_caller]
fn json(command: &mut Command) -> (Value, i32) {
    let out = command.output().unwrap();
    let said = serde_json::from_slice(&out.stdout);
    (said.unwrap_or_else(|_| panic!("{}", both(&out))), out.status.code().unwrap())
}

fn t05_each_mistake_of_a_server_is_found_with_the_smallest_case() {
    let home = Home::new();
    for era in ["legacy", "modern"] {
        let words = ["--total", "4", "--format", "json", "--cases", "150", "--era", era];
        let (said, code) = json(&mut fuzz(&home, &words));
        assert_eq!(code, 1, "{said}");
        let found = |tool: &str| {
            let all = said["tools"].as_array().unwrap();
            let tool = all.iter().find(|it| it["tool"] == tool).unwrap_or_else(|| panic!("{said}"));
            let found = tool["found"].as_array().unwrap().iter();
            found
                .map(|it| (it["sort"].as_str().unwrap().to_owned(), it["arguments"].clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(found("get_length"), [], "{said}");
        let sort = |it: &[(String, Value)]| it.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
        let crash = found("get_item");
        assert_eq!(sort(&crash), ["crash"], "{said}");
        assert_eq!(crash[0].1, json!({ "index": 10, "label": "" }), "{said}");
        assert!(said.to_string().contains("the server ended: exit code 3"), "{said}");
        assert_eq!(found("find_word"), [("hang".to_owned(), json!({ "word": "" }))], "{said}");
        let leak = found("list_rows");
        assert_eq!(sort(&leak), ["leak"], "{said}");
        assert_eq!(sort(&found("read_page")), ["outside"], "{said}");
        assert_eq!(sort(&found("search_words")), ["interpreted"], "{said}");
        let count = found("get_count");
        assert_eq!(sort(&count), ["output-schema"], "{said}");
        assert_eq!(count[0].1, json!({ "of": -1 }), "{said}");
        assert_eq!(sort(&found("get_any")), ["accepted"], "{said}");
    }
    // The same each time; and what only takes too much is a warning.
    let words = ["--tool", "get_any", "--tool", "list_rows", "--format", "json", "--seed", "7"];
    let (first, code) = json(&mut fuzz(&home, &words));
    assert_eq!(code, 1, "{first}");
    assert_eq!(json(&mut fuzz(&home, &words)).0, first);
    let words = ["--tool", "get_any", "--format", "json"];
    assert_eq!(json(&mut fuzz(&home, &words)).1, 0);
    let words = ["--tool", "get_any", "--format", "json", "--fail-on", "warning"];
    assert_eq!(json(&mut fuzz(&home, &words)).1, 1);
    assert!(home.is_whole());
}

fn t05_what_may_destroy_is_called_only_when_it_is_named() {
    let home = Home::new();
    let gone = home.path().join("all-is-gone");
    let words = ["--cases", "2", "--total", "4"];
    let out = fuzz(&home, &words).output().unwrap();
    assert!(both(&out).contains("not called: delete_all, since it deletes"), "{}", both(&out));
    assert!(!gone.exists());
    let out = fuzz(&home, &["--tool", "delete_all", "--cases", "20"]).output().unwrap();
    assert!(both(&out).contains("delete_all, 20 calls"), "{}", both(&out));
    assert!(gone.exists(), "{}", both(&out));
    let out = fuzz(&home, &["--tool", "no_such"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{}", both(&out));
}

fn t05_a_server_that_is_well_made_has_none() {
    let home = Home::new();
    let root = home.path().join("files");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("a.txt"), "the text of a").unwrap();
    let of = |which: &str| {
        let mut command = home.stockade(["test", "fuzz"]);
        command.args(home.state()).args(["--cases", "60", "--format", "json"]);
        for tool in ["find_orders", "query", "read_file", "list_files"] {
            command.args(["--tool", tool]);
        }
        command.arg("--root").arg(&root);
        command.args(["--", env!("CARGO_BIN_EXE_stockade"), "example", which, "--root"]).arg(&root);
        json(command.stdin(Stdio::null()))
    };
    let (said, code) = of("hardened");
    assert_eq!(code, 0, "{said}");
    let (said, code) = of("vulnerable");
    assert_eq!(code, 1, "{said}");
    let tools = said["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 4, "{said}");
    for tool in tools {
        let found = tool["found"].as_array().unwrap();
        assert!(found.iter().any(|it| it["sort"] == "leak"), "{said}");
    }
}
