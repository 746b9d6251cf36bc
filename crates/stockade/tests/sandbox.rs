//! `stockade sandbox`, from outside.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests, which clippy.toml sees only inside of `#[test]`"
)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const NOBODY: u32 = 65534;

/// Runs it without a limit of memory, which not everybody can have.
fn sandbox(args: &[&str]) -> Output {
    let all = [&["sandbox", "--allow-weaker", "memory"], args].concat();
    stockade(Path::new(env!("CARGO_BIN_EXE_stockade")), &all).output().unwrap()
}

fn stockade(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("PATH", "/usr/bin:/bin").env("SECRET", "s3cret");
    command.stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_is_said_and_how_it_ended_is_passed_on() {
    let out = sandbox(&["--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((text(&out.stdout), text(&out.stderr)), ("out\n".into(), "err\n".into()));
    assert_eq!(out.status.code(), Some(7));
    let killed = sandbox(&["--time", "1", "--", "sleep", "1000"]);
    assert_eq!(killed.status.code(), Some(128 + 9));
}

#[test]
fn a_root_is_written_only_if_it_may_be() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().to_str().unwrap();
    let write = ["--", "sh", "-c", "pwd; echo x > made; ls; cat /proc/self/environ"];
    let out = sandbox(&[&["--root", &format!("{dir}:rw")], &write[..]].concat());
    let said = text(&out.stdout);
    assert!(said.starts_with(&format!("{dir}\nmade\n")), "{said}{}", text(&out.stderr));
    assert!(!said.contains("s3cret"), "{said}");
    assert!(root.path().join("made").exists());
    for read_only in [dir.to_owned(), format!("{dir}:ro")] {
        let out = sandbox(&["--root", &read_only, "--", "sh", "-c", "cat made && echo x > other"]);
        assert_eq!(text(&out.stdout), "x\n", "{}", text(&out.stderr));
        assert!(text(&out.stderr).contains("Read-only file system"), "{}", text(&out.stderr));
        assert!(!root.path().join("other").exists());
    }
}

#[test]
fn a_guarded_server_is_in_it() {
    let (root, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, state) = (root.path().to_str().unwrap(), state.path().to_str().unwrap());
    let itself = env!("CARGO_BIN_EXE_stockade");
    let about = "import json, os, sys\nasked = json.loads(sys.stdin.readline())\n\
        print(json.dumps({'jsonrpc': '2.0', 'id': asked['id'], 'result': {'status': \
        open('/proc/self/status').read(), 'here': os.listdir('.'), 'cwd': os.getcwd()}}), flush=True)\n\
        sys.stdin.readline()";
    let options = ["run", "--state", state, "--allow-weaker", "memory", "--root", dir, "--"];
    let args = [&options[..], &["python3", "-c", about]].concat();
    let mut command = stockade(Path::new(itself), &args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut guard = command.spawn().unwrap();
    let mut input = guard.stdin.take().unwrap();
    writeln!(input, r#"{{"jsonrpc":"2.0","id":1,"method":"ping"}}"#).unwrap();
    let mut answer = String::new();
    BufReader::new(guard.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    for sign in ["CapEff:\\t0000000000000000", "NoNewPrivs:\\t1", "Seccomp:\\t2", dir] {
        assert!(answer.contains(sign), "{sign}: {answer}");
    }
    drop(input);
    let ended = guard.wait_with_output().unwrap();
    assert!(ended.status.success());
    let said = text(&ended.stderr);
    assert!(said.contains("note: the sandbox enforces files, network, processes"), "{said}");
}

#[test]
fn a_secret_is_in_a_file_of_its_server_alone() {
    let read = "cat $SECRET_FILE; echo; env; cat /proc/self/environ /proc/1/environ 2>/dev/null";
    let out = sandbox(&["--secret", "SECRET", "--", "sh", "-c", read]);
    let said = text(&out.stdout);
    assert!(said.starts_with("s3cret\n"), "{said}{}", text(&out.stderr));
    assert!(said.contains("SECRET_FILE=/run/secrets/SECRET"), "{said}");
    assert_eq!(said.matches("s3cret").count(), 1, "{said}");
    let other = sandbox(&["--", "sh", "-c", "ls /run/secrets; find / -name SECRET 2>/dev/null"]);
    assert_eq!(text(&other.stdout), "");
    assert!(!Path::new("/run/secrets/SECRET").exists());
    let shown = sandbox(&["--secret", "SECRET", "--dry-run", "--", "true"]);
    assert!(text(&shown.stdout).contains("made up      /run/secrets/SECRET"));
    assert!(!text(&shown.stdout).contains("s3cret"), "{}", text(&shown.stdout));
    for args in [
        &["--secret", "NONE"][..],
        &["--secret", "A=b"],
        &["--sandbox", "none", "--secret", "SECRET"],
    ] {
        let out = sandbox(&[args, &["--", "true"]].concat());
        assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    }
}

#[test]
fn a_dry_run_starts_nothing() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().to_str().unwrap();
    let out = sandbox(&["--root", &format!("{dir}:rw"), "--dry-run", "--", "touch", "made"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let said = text(&out.stdout);
    assert!(said.contains(&format!("read, write  {dir}")), "{said}");
    assert!(said.contains("network      enforced"), "{said}");
    assert!(!root.path().join("made").exists());
}

#[test]
fn what_makes_no_sense_is_a_matter_of_usage() {
    for args in [
        &["--root", "/proc", "--", "true"][..],
        &["--root", "/no/such/place", "--", "true"],
        &["--memory", "lots", "--", "true"],
        &["--memory", "1", "--", "true"],
        &["--pids", "4294967295", "--", "true"],
        &["--program", "/", "--", "true"],
        &["--root", "/usr:rw", "--", "true"],
        &["--root", "/usr:ro", "--root", "/usr/../usr:rw", "--", "true"],
        &["--allow-weaker", "network", "--", "true"],
        &[],
    ] {
        assert_eq!(sandbox(args).status.code(), Some(2), "{args:?}");
    }
    assert_eq!(sandbox(&["--", "no-such-program-of-any-name"]).status.code(), Some(4));
}

#[test]
fn a_relative_command_is_relative_to_where_it_is_typed() {
    let top = tempfile::tempdir().unwrap();
    for name in ["app", "notes"] {
        let path = top.path().join(name).join("srv");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\necho {name}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let notes = top.path().join("notes");
    for roots in [&[][..], &["--root", notes.to_str().unwrap()]] {
        let args = [&["sandbox", "--allow-weaker", "memory"], roots, &["--", "./srv"]].concat();
        let mut command = stockade(Path::new(env!("CARGO_BIN_EXE_stockade")), &args);
        let out = command.current_dir(top.path().join("app")).output().unwrap();
        assert_eq!(text(&out.stdout), "app\n", "{roots:?}: {}", text(&out.stderr));
    }
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let top = tempfile::tempdir().unwrap();
    let dir = top.path().to_str().unwrap();
    std::os::unix::fs::symlink("/usr/share", top.path().join("link")).unwrap();
    let (write, link) = (format!("{dir}:rw"), format!("{dir}/link"));
    for (roots, help) in [
        (["/usr:rw", dir], "help: programs of the system are seen without a root"),
        (["/", dir], "help: name directories of files that the server needs"),
        ([dir, &write], "help: name it once"),
        ([&write, &link], "help: if that is what you mean, name where it leads now: `/usr/share`"),
        ([dir, "/no/such/place"], "help: write `--root DIR`, `DIR:ro` or `DIR:rw`"),
    ] {
        let [one, other] = roots;
        let out = sandbox(&["--root", one, "--root", other, "--", "true"]);
        assert_eq!(out.status.code(), Some(2), "{roots:?}");
        assert!(text(&out.stderr).contains(help), "{roots:?}: {}", text(&out.stderr));
    }
    for home in ["/etc", "/etc/passwd", "/run", "/usr", "/"] {
        let args =
            ["sandbox", "--allow-weaker", "memory", "--", "grep", "-c", "server", "/etc/passwd"];
        let mut command = stockade(Path::new(env!("CARGO_BIN_EXE_stockade")), &args);
        let out = command.env("HOME", home).output().unwrap();
        assert_eq!(text(&out.stdout), "1\n", "{home}: {}", text(&out.stderr));
    }
}

#[test]
fn what_cannot_be_enforced_is_exit_97_and_two_lines() {
    let (program, place) = (env!("CARGO_BIN_EXE_stockade"), tempfile::tempdir().unwrap());
    let copy = place.path().join("stockade");
    fs::copy(program, &copy).unwrap();
    for path in [place.path(), &copy] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = stockade(&copy, &["sandbox", "--", "true"]);
    command.current_dir("/");
    // Root can limit memory nearly everywhere; an ordinary user without a place for it cannot.
    if fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0) {
        command.uid(NOBODY).gid(NOBODY);
    }
    let out = command.output().unwrap();
    let said = text(&out.stderr);
    if out.status.code() == Some(0) {
        println!("this user can limit memory, so not tried");
        return;
    }
    assert_eq!(out.status.code(), Some(97), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let [what, help] = lines[..] else { panic!("{said}") };
    assert!(what.starts_with("error: cannot enforce `memory`: "), "{said}");
    assert!(help.starts_with("help: "), "{said}");
}
