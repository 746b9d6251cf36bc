//! Command lines that do more than read, and those that do not: what `command::known` says of them,
//! and what the latter do when they are run.
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

use std::fs;
use std::path::Path;

use stockade_kit::command::known::{Hazard, judge_line};

const ATTACKS: &str = include_str!("known/attacks.txt");
const LEGAL: &str = include_str!("known/legal.txt");

fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|it| !it.is_empty() && !it.starts_with("# "));
    lines.map(|it| it.replace("\\n", "\n").replace("\\r", "\r").replace("\\0", "\0")).collect()
}

#[test]
fn every_attack_is_a_hazard() {
    let lines = lines(ATTACKS);
    let passed: Vec<_> = lines.iter().filter(|it| judge_line(it, &["/proj"]).is_ok()).collect();
    assert!(passed.is_empty(), "{passed:#?}");
    assert!(lines.len() >= 100, "{}", lines.len());
}

#[test]
fn every_harmless_line_passes_and_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let project = home.path().join("proj");
    project_at(&project);
    let before = files(home.path());
    let lines = lines(LEGAL);
    for line in &lines {
        let line = line.replace("/proj", project.to_str().unwrap());
        let argv = judge_line(&line, &[project.to_str().unwrap()]);
        let argv = argv.unwrap_or_else(|hazard| panic!("{line}: {hazard}"));
        let Ok(output) = argv.command().current_dir(&project).output() else {
            continue; // not installed here
        };
        let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
        for wrong in
            ["invalid option", "unrecognized", "unknown option", "usage:", "unknown predicate"]
        {
            assert!(!said.contains(wrong), "{line} became {:?}: {said}", argv.args());
        }
    }
    assert_eq!(files(home.path()), before);
    assert!(lines.len() >= 40, "{}", lines.len());
    // What the repository's configuration names does run, where nothing turns it off.
    if std::process::Command::new("git").arg("diff").current_dir(&project).output().is_ok() {
        assert!(project.join("external-ran").exists());
    }
}

#[test]
fn a_hazard_says_what_it_is() {
    let says = |line: &str| judge_line(line, &["/proj"]).unwrap_err().to_string();
    assert_eq!(says("git log --output=x"), "`git log`: the option `--output=x` is not allowed");
    assert_eq!(says("python3 -c pass"), "`python3 -c` runs what the command line says");
    assert_eq!(says("cat /etc/passwd"), "`cat`: argument 1: the path is outside every root");
    assert_eq!(says("frobnicate a"), "nothing is known about the program `frobnicate`");
    assert_eq!(says("ls\nid"), "only a shell could say what `\\n` does there");
    assert!(matches!(judge_line("node x.js", &["/proj"]), Err(Hazard::Runs(_))));
}

/// A repository with two commits, and some files.
fn project_at(project: &Path) {
    fs::create_dir_all(project.join("src")).unwrap();
    fs::write(project.join("src/main.rs"), "fn main() {} // TODO\n").unwrap();
    fs::write(project.join("notes.txt"), "a\nb\nc\n").unwrap();
    fs::write(project.join("-rf"), "odd\n").unwrap();
    let git = |arguments: &[&str]| {
        std::process::Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(arguments)
            .current_dir(project)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
    };
    for arguments in [
        &["init", "-q", "-b", "main"][..],
        &["add", "."],
        &["commit", "-q", "-m", "one"],
        &["commit", "-q", "--allow-empty", "-m", "two"],
    ] {
        // Without git, its lines are not run either.
        let _ = git(arguments);
    }
    // What would run if nothing turned it off.
    let _ = git(&["config", "core.fsmonitor", "touch fsmonitor-ran; false"]);
    let _ = git(&["config", "core.pager", "touch pager-ran"]);
    let _ = git(&["config", "diff.external", "touch external-ran"]);
    let _ = git(&["config", "alias.log", "!touch alias-ran"]);
    fs::write(project.join("src/main.rs"), "fn main() { println!() } // TODO\n").unwrap();
}

/// Every file with its contents, but for what git notes for itself about times.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut ahead = vec![directory.to_owned()];
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                ahead.push(path);
            } else {
                found.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
