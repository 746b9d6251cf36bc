//! What programs start by what they are told: lines that do and lines that do not, and the programs
//! themselves, which do it when nobody looks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "these are tests, which clippy.toml sees only inside of `#[test]`"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use stockade_kit::command::starts::{asks, why};

const ATTACKS: &str = include_str!("starts/attacks.txt");
const LEGAL: &str = include_str!("starts/legal.txt");
/// Programs of a project, which are refused for nothing else than that.
const ASKS: &str = include_str!("starts/asks.txt");
const ASKS_NOT: &str = include_str!("starts/asks_not.txt");

/// The words of each line. Quotes keep them together; nothing else is special.
fn lines(text: &str) -> Vec<Vec<String>> {
    text.lines().filter(|it| !it.is_empty() && !it.starts_with("# ")).map(split).collect()
}

fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    for it in line.chars() {
        match it {
            '\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            it => word.get_or_insert_default().push(it),
        }
    }
    assert!(!is_quoted, "{line}");
    words.extend(word);
    words
}

#[test]
fn what_starts_another_program_is_said() {
    let lines = lines(ATTACKS);
    let passed: Vec<_> = lines.iter().filter(|it| why(it).is_none()).collect();
    assert!(passed.is_empty(), "{} of {}: {passed:#?}", passed.len(), lines.len());
    assert!(lines.len() >= 250, "{}", lines.len());
}

#[test]
fn what_does_not_is_left_alone() {
    let lines = lines(LEGAL);
    let wrong: Vec<_> = lines.iter().filter_map(|it| Some((it, why(it)?))).collect();
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), lines.len());
    assert!(lines.len() >= 150, "{}", lines.len());
}

#[test]
fn what_only_a_person_can_say_is_told_apart() {
    for words in lines(ASKS) {
        assert!(why(&words).is_some() && asks(&words).is_some(), "{words:?}");
    }
    for words in lines(ASKS_NOT) {
        assert_eq!(asks(&words), None, "{words:?}");
    }
}

/// Programs with more than one line.
#[test]
fn a_line_within_a_program_hides_nothing() {
    for script in
        ["# \" \n{print | \"sh\"} # \"", "{print a\\\n/ 2 | \"sh\" /1}", "{print x\n| \"sh\"}"]
    {
        assert!(why(&["awk", script]).is_some(), "{script}");
    }
    for script in ["# a | b\n/a|b/ {print}", "/a|b/ {\n  print \"|\"\n}"] {
        assert_eq!(why(&["awk", script]), None, "{script}");
    }
    assert!(why(&["sqlite3", "db", "select edit -- x\n (1, 2)"]).is_some());
    assert!(why(&["sed", ":a\nta\ne touch M", "f"]).is_some());
}

/// Lines by which the real programs make a file, `{out}`, where nobody looks. `{sh}` is a script
/// that makes it, whatever it is told.
const REAL: &[&str] = &[
    "git -c Core.SSHCommand={sh} fetch ssh://nowhere.invalid/x",
    "git -c ALIAS.x=!{sh} x",
    "git -c diff.EXTERNAL={sh} diff HEAD~1",
    "git -c Core.FSMonitor={sh} status",
    "git clone -u {sh} . clone-a",
    "git clone --upload-pac={sh} . clone-b",
    "git clone --upl {sh} . clone-c",
    "git -c CORE.Editor={sh} commit --amend",
    "git -c PROTOCOL.ext.ALLOW=always clone ext::{sh} clone-e",
    "git ls-remote --exe={sh} .",
    "git push --receive-pac={sh} . HEAD:refs/heads/other",
    "git grep -O{sh} one",
    "git grep --open-files={sh} one",
    "git rebase -x {sh} HEAD~1",
    "git submodule foreach {sh}",
    "git difftool -yx {sh} HEAD~1",
    "git log --output={out}",
    "sed '1e {sh}' a.txt",
    "sed 's/one/{esc}/e' a.txt",
    "sed -if 's/one/{esc}/e' b.txt",
    "sed -n 'w {out}' a.txt",
    "tar -cf t.tar --use-c={sh} a.txt",
    "tar cfI t2.tar {sh} a.txt",
    "tar -xf in.tar --to-com={sh}",
    "tar -cf t3.tar --checkpoint=1 --checkpoint-a=exec={sh} a.txt",
    "sort -S 1k --compress-prog={sh} big.txt",
    "split --filt={sh} a.txt",
    "ssh -o '\"proxycommand\" {sh}' nowhere.invalid",
    "ssh -oPROXYCOMMAND={sh} nowhere.invalid",
    "scp -S {sh} a.txt nowhere.invalid:b",
    "rsync -ae {sh} a.txt nowhere.invalid:b",
    "sqlite3 x.db '.sy {sh}'",
    "sqlite3 -cmd '.shell {sh}' x.db .quit",
    "make -f other.mk",
    "make --eva 'x:;{sh}' x",
    "make SHELL={sh}",
    "gcc -wrapper {sh} -c a.c",
    "zip -q -T -TT {sh} a.zip a.txt",
    "find a.txt -fprintf {out} x",
    "awk -of 'BEGIN{system(\"{sh}\")}'",
    "awk 'BEGIN{f=\"system\";@f(\"{sh}\")}'",
    "flock x.lock -c {sh}",
    "taskset 1 sh -c {sh}",
    "setpriv {sh}",
    "script -qc {sh} /dev/null",
    "stdbuf -o0 sh -c {sh}",
    "ionice sh -c {sh}",
    "curl -sK curl.cfg",
    "npm exec -c {sh}",
    "vim -es -c '!{sh}' -c q",
    "git clone . clone-f -c core.sshCommand={sh} -u {sh}",
    "sed '1e {sh}' a.txt -- --sandbox",
    "sed --line-length 5 '1e {sh}' a.txt",
    "sed ':a;ta e {sh}' a.txt",
    "sqlite3 x.db '.shell {sh}' '.shell {sh}'",
    "make ' SHELL={sh}'",
    "make 'CC={sh}' a.o",
    "git merge-index {sh} -a",
    "bash -c 'test -v \"a[\\$({sh})]\"'",
];

#[test]
fn the_programs_do_start_it_where_nobody_looks() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path();
    prepare(place);
    let sh = place.join("made.sh");
    let out = place.join("made");
    fs::write(&sh, format!("#!/bin/sh\ntouch {}\n", out.display())).unwrap();
    Command::new("chmod").arg("+x").arg(&sh).status().unwrap();
    fs::write(place.join("other.mk"), format!("x:\n\t{}\n", sh.display())).unwrap();
    fs::write(
        place.join("curl.cfg"),
        format!("url = file://{0}\noutput = {1}\n", sh.display(), out.display()),
    )
    .unwrap();
    let (mut ran, mut absent, mut silent) = (0, Vec::new(), Vec::new());
    for line in REAL {
        let sh = sh.to_str().unwrap();
        let line = line.replace("{sh}", sh).replace("{out}", out.to_str().unwrap());
        let words = split(&line.replace("{esc}", &sh.replace('/', "\\/")));
        assert!(why(&words).is_some(), "{line}");
        let started = Command::new(&words[0])
            .args(&words[1..])
            .current_dir(place)
            .env("HOME", place)
            .env("TERM", "dumb")
            .stdin(Stdio::null())
            .output();
        match started {
            Err(_) => absent.push(words[0].clone()),
            Ok(_) if out.exists() => ran += 1,
            Ok(output) => {
                silent.push(format!("{line}: {}", String::from_utf8_lossy(&output.stderr)))
            }
        }
        let _ = fs::remove_file(&out);
    }
    println!("{ran} of {} run; not installed: {absent:?}; not run: {silent:#?}", REAL.len());
    let installed = REAL.len() - absent.len();
    assert!(ran * 4 >= installed * 3, "{ran} of {installed}: {silent:#?}");
}

/// A repository with two commits, and files.
fn prepare(place: &Path) {
    fs::write(place.join("a.txt"), "one\ntwo\n").unwrap();
    fs::write(place.join("b.txt"), "one\ntwo\n").unwrap();
    fs::write(place.join("a.c"), "int a;\n").unwrap();
    fs::write(place.join("Makefile"), "all:\n\techo x\n").unwrap();
    let big: String = (0..20_000).map(|it| format!("{}\n", it * 7919 % 20_000)).collect();
    fs::write(place.join("big.txt"), big).unwrap();
    let run = |words: &[&str]| {
        let _ = Command::new(words[0])
            .args(&words[1..])
            .current_dir(place)
            .env("HOME", place)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    };
    run(&["tar", "-cf", "in.tar", "a.txt"]);
    run(&["git", "init", "-q"]);
    run(&["git", "config", "user.name", "a"]);
    run(&["git", "config", "user.email", "a@example.com"]);
    run(&["git", "add", "a.txt"]);
    run(&["git", "commit", "-qm", "one"]);
    fs::write(place.join("a.txt"), "one\nthree\n").unwrap();
    run(&["git", "commit", "-qam", "two"]);
    let url = format!("{}", place.display());
    run(&["git", "-c", "protocol.file.allow=always", "submodule", "add", "-q", &url, "sub"]);
    run(&["git", "commit", "-qm", "three"]);
    run(&["git", "branch", "other"]);
}
