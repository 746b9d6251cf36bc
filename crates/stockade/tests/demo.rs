//! `stockade demo`, as a person or a program runs it: what it says, what its exit code is, and that
//! nothing of it is left afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Every scene, in order: what happens to it, and what stops or changes it.
const SCENES: &[(&str, &str, Option<&str>)] = &[
    ("list_files", "passed", None),
    ("read_file", "passed", None),
    ("query", "passed", None),
    ("run_command", "passed", None),
    ("progress", "passed", None),
    ("elicitation", "passed", None),
    ("path_parent", "refused", Some("path_outside_roots")),
    ("path_absolute", "refused", Some("path_outside_roots")),
    ("path_encoded", "refused", Some("path_outside_roots")),
    ("path_sibling", "refused", Some("path_outside_roots")),
    ("path_uri", "refused", Some("path_outside_roots")),
    ("duplicate_member", "refused", Some("protocol")),
    ("batch", "refused", Some("protocol")),
    ("poisoned_tool", "left out", Some("tool_poisoning")),
    ("remote_schema", "left out", Some("schema_unusable")),
    ("header_injection", "left out", Some("header_parameter")),
    ("injected_page", "marked", Some("prompt_injection")),
    ("terminal_escape", "cleaned", Some("control_characters")),
    ("secret", "redacted", Some("secret")),
    ("error_database", "replaced", Some("error_detail")),
    ("error_trace", "replaced", Some("error_detail")),
    ("oversized", "cut", Some("oversized_content")),
    ("sampling", "refused", Some("capability_not_negotiated")),
    ("sandbox_read", "held", Some("sandbox")),
    ("sandbox_write", "held", Some("sandbox")),
    ("sandbox_process", "held", Some("sandbox")),
    ("sandbox_network", "held", Some("sandbox")),
    ("sandbox_privileges", "held", Some("sandbox")),
    ("http", "passed", None),
    ("http_mismatch", "refused", Some("protocol")),
    ("http_rebinding", "refused", Some("front door")),
    ("http_origin", "refused", Some("front door")),
    ("http_key", "refused", Some("front door")),
    ("ledger", "passed", None),
    ("ledger_edited", "found", Some("audit verify")),
];

/// A directory for temporary files that is the demo's alone, so that what it leaves is seen.
fn place() -> TempDir {
    tempfile::Builder::new().prefix("demo-test-").tempdir().unwrap()
}

fn demo(place: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade"));
    command.arg("demo").args(arguments).current_dir(place.path()).env("TMPDIR", place.path());
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(place: &TempDir, arguments: &[&str]) -> Output {
    demo(place, arguments).output().unwrap()
}

/// Nothing runs that was started in `place`, and nothing is in it.
fn assert_nothing_is_left(place: &TempDir) {
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let running = processes_that_name(place.path());
    assert!(running.is_empty(), "{running:?}");
}

/// The command lines of the processes that have `path` in an argument.
fn processes_that_name(path: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
    let lines = lines.map(|it| String::from_utf8_lossy(&it).replace('\0', " "));
    lines.filter(|it| it.contains(path.to_str().unwrap())).collect()
}

#[test]
fn a_program_reads_what_happened_in_every_scene() {
    let place = place();
    let output = run(&place, &["--format", "json"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    let scenes: Vec<Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let held = scenes[0]["held"].as_str().unwrap();
    assert!(held.starts_with("the sandbox enforces files, network, processes"), "{held}");
    let told: Vec<_> = scenes[1..]
        .iter()
        .map(|it| {
            assert_eq!(it["as_expected"], true, "{it}");
            assert!(!it["why"].as_str().unwrap().is_empty(), "{it}");
            let text = |name: &str| it[name].as_str();
            (text("scene").unwrap(), text("happened").unwrap(), text("by"))
        })
        .collect();
    assert_eq!(told, SCENES);
    assert_eq!(output.status.code(), Some(0));
    assert_nothing_is_left(&place);
}

#[test]
fn a_person_reads_a_list_that_fits_the_screen() {
    let place = place();
    let output = run(&place, &[]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\u{1b}'), "colour, where nobody looks: {text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert_eq!(line, line.trim_end(), "white space at the end");
    }
    for (_, happened, by) in SCENES {
        let said = format!("{happened:8} {}", by.unwrap_or_default());
        assert!(text.contains(said.trim_end()), "{said}");
    }
    let last = text.lines().last().unwrap();
    let all = format!("All {} scenes came out as they should", SCENES.len());
    assert!(last.starts_with(&all), "{last}");
    assert!(text.contains("Not stopped here"), "{text}");
    assert_nothing_is_left(&place);
}

#[test]
fn a_policy_of_the_user_does_not_change_the_demo() {
    let place = place();
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("stockade")).unwrap();
    std::fs::write(home.path().join("stockade/stockade.toml"), "preset = \"transparent\"").unwrap();
    let output = demo(&place, &[])
        .env("XDG_CONFIG_HOME", home.path())
        .env("XDG_STATE_HOME", home.path().join("state"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!home.path().join("state").exists(), "something was written to the user's ledger");
}

#[test]
fn a_server_that_is_kept_runs_until_somebody_interrupts() {
    let place = place();
    let mut demo = demo(&place, &["--keep", "--format", "json"]).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let kept = lines
        .find_map(|line| {
            let value: Value = serde_json::from_str(&line.unwrap()).unwrap();
            value.get("url").is_some().then_some(value)
        })
        .unwrap();
    let address = kept["url"].as_str().unwrap().strip_prefix("http://").unwrap();
    let address = address.strip_suffix("/mcp").unwrap();
    std::net::TcpStream::connect(address).unwrap();
    assert!(kept["key"].as_str().unwrap().starts_with("sk_stockade_"), "{kept}");
    assert!(!processes_that_name(place.path()).is_empty());
    assert_eq!(interrupt(demo), Some(0));
    assert!(std::net::TcpStream::connect(address).is_err(), "it still listens");
    assert_nothing_is_left(&place);
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    let place = place();
    let mut demo = demo(&place, &[]).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    assert!(lines.any(|it| it.unwrap().contains("read `../outside.txt`")));
    assert_eq!(interrupt(demo), Some(1));
    assert_nothing_is_left(&place);
}

#[test]
fn whoever_has_read_enough_has_seen_no_failure() {
    for format in ["human", "json"] {
        let place = place();
        let mut demo = demo(&place, &["--format", format]).spawn().unwrap();
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
        lines.next().unwrap().unwrap();
        drop(lines);
        assert_eq!(demo.wait().unwrap().code(), Some(0), "{format}");
        assert_nothing_is_left(&place);
    }
}

#[test]
fn an_address_needs_a_server_that_is_kept() {
    let place = place();
    assert_eq!(run(&place, &["--listen", "127.0.0.1:0"]).status.code(), Some(2));
}

#[test]
fn a_server_that_cannot_be_kept_is_an_error_that_says_why() {
    let place = place();
    let output = run(&place, &["--keep", "--listen", "192.0.2.1:0", "--format", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("`192.0.2.1:0` is not an address of this machine alone"), "{said}");
    assert_nothing_is_left(&place);
}

/// As Ctrl-C does. The rest of the output is read by nobody.
fn interrupt(mut demo: Child) -> Option<i32> {
    let pid = Pid::from_raw(demo.id().cast_signed()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    demo.wait().unwrap().code()
}
