//! What is the guard's own is no server's: its state, its policies and its program, however a server
//! could come by them; and a root is not what a server has made of it.

mod held;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::geteuid;
use serde_json::json;

use self::held::{
    u08_a_root_is_held_to_where_it_was, u08_a_root_that_changes_while_it_is_started_is_not_shown,
};
use crate::harness::home::copy_stockade;
use crate::harness::{Home, Probe, call, text, wait_for};

crate::rows![
    x13_what_is_learnt_is_where_it_was,
    u08_a_root_by_a_link_is_told_or_refused,
    u08_a_root_is_held_to_where_it_was,
    u08_a_root_that_changes_while_it_is_started_is_not_shown,
    u08_the_way_to_what_is_the_guards_own_is_no_servers,
    u08_a_policy_lies_where_no_server_writes,
    u08_what_is_the_guards_own_is_seen_by_no_other_path,
    u08_what_is_the_guards_own_later_is_not_seen,
    u08_the_program_of_the_guard_is_not_replaced,
    u08_a_trace_is_not_where_the_command_writes,
    u08_a_plan_makes_nothing,
    u08_without_home_the_policy_is_the_same,
    u08_variables_of_another_start_open_nothing,
    x01_what_starts_servers_is_not_written,
    x01_no_repository_is_passed_over,
    a_root_that_is_none_is_told_in_its_own_words,
];

/// A server whose tool does anything. What it is to do comes in numbers, so that no check of
/// arguments makes anything of it.
const SERVER: &str = r#"
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked: continue
    if asked["method"] == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "evil", "version": "1"}}
    elif asked["method"] == "tools/call":
        said = []
        for what in bytes(asked["params"]["arguments"]["does"]).decode().split("\n"):
            try: said.append(str(eval(what)))
            except OSError as error: said.append("no: " + error.strerror)
        result = {"content": [{"type": "text", "text": "\n".join(said)}]}
    else: result = {}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"#;

/// A home with a project in it.
struct Place {
    home: Home,
}

impl Place {
    fn new() -> Self {
        let place = Self { home: Home::new() };
        for name in ["proj/out/f", "priv/k", "shared/other"] {
            place.write(name, &format!("of {name}"));
        }
        place.write("server/server.py", SERVER);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, said: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, said).unwrap();
    }

    /// A policy that lets everything pass.
    fn policy(&self, name: &str) {
        self.write(name, "[sandbox]\nallow_weaker = [\"memory\"]\n");
    }

    fn link(&self, at: &str, to: &str) {
        fs::create_dir_all(self.path(at).parent().unwrap()).unwrap();
        symlink(to, self.path(at)).unwrap();
    }

    fn stockade(&self, command: &str, options: &[&str]) -> Command {
        let mut stockade = self.home.stockade([command, "--allow-weaker", "memory"]);
        stockade.args(options).current_dir(self.path("proj")).stdin(Stdio::null());
        stockade
    }

    fn root(&self, name: &str, mode: &str) -> String {
        format!("--root={}:{mode}", self.path(name).display())
    }

    fn server(&self) -> [OsString; 3] {
        ["--".into(), "python3".into(), self.path("server/server.py").into()]
    }

    /// What comes of Python in a server: of each line, what it is, or why not.
    #[track_caller]
    fn does(&self, run: &mut Command, lines: &[String]) -> Vec<String> {
        let mut probe = Probe::of(run.args(self.server())).begin();
        let does = lines.join("\n").into_bytes();
        let said = text(&probe.ask(&call(1, "do", json!({ "does": does })))).to_owned();
        assert_eq!(probe.end().code, Some(0));
        said.lines().map(str::to_owned).collect()
    }

    /// `run`, which must not start anything.
    #[track_caller]
    fn refused(&self, options: &[&str], says: &str) -> String {
        let out = self.stockade("run", options).args(self.server()).output().unwrap();
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{options:?}: {stderr}");
        assert!(stderr.contains(says) && stderr.contains("\nhelp: "), "{options:?}: {stderr}");
        stderr
    }

    #[track_caller]
    fn starts(&self, options: &[&str]) {
        let mut run = self.stockade("run", options);
        assert_eq!(self.does(&mut run, &["1+1".to_owned()]), ["2"], "{options:?}");
    }
}

fn said(out: &Output) -> (String, String) {
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    (text(&out.stdout), text(&out.stderr))
}

fn writes(path: &Path) -> String {
    format!("open({path:?}, 'w').write('evil')")
}

fn reads(path: &Path) -> String {
    format!("open({path:?}).read()")
}

fn x13_what_is_learnt_is_where_it_was() {
    let place = Place::new();
    let (out, away) = (place.path("proj/out"), place.path("proj/away"));
    let mut run = place.stockade("run", &["--trace", &place.root("proj", "rw")]);
    assert_eq!(place.does(&mut run, &[writes(&out.join("f"))]), ["4"]);
    let mut run = place.stockade("run", &[&place.root("proj", "rw")]);
    let lines = [
        format!("os.rename({out:?}, {away:?})"),
        format!("os.symlink({:?}, {out:?})", place.path("priv")),
    ];
    assert_eq!(place.does(&mut run, &lines), ["None", "None"]);
    let learnt = place.home.stockade(["policy", "learn"]).output().unwrap();
    let (policy, stderr) = said(&learnt);
    let roots = policy.lines().find(|it| it.starts_with("roots")).unwrap_or_default();
    assert!(!roots.contains("proj/out"), "{policy}{stderr}");
    let told = format!("{} leads to {} now", out.display(), place.path("priv").display());
    assert!(policy.contains(&told), "{policy}{stderr}");
    // And whoever has written that before is not shown what it has become.
    place.write("cfg/p.toml", &format!("roots = [{:?}]\n", out.display().to_string()));
    let policy = place.path("cfg/p.toml").display().to_string();
    let stderr = place.refused(&["--policy", &policy], "which a server may have made");
    assert!(stderr.contains(&place.path("priv").display().to_string()), "{stderr}");
}

fn u08_a_root_by_a_link_is_told_or_refused() {
    let place = Place::new();
    place.link("proj/linked", "../priv");
    let told = format!(
        "the root `{}` leads to `{}`",
        place.path("proj/linked").display(),
        place.path("priv").display()
    );
    let out = place.stockade("sandbox", &["--root", "linked", "--", "true"]).output().unwrap();
    assert!(said(&out).1.contains(&format!("note: {told}")), "{out:?}");
    place.starts(&["--root", "linked"]);
    let start = place.home.stockade(["audit", "export"]).output().unwrap();
    assert!(said(&start).0.contains(&told), "{start:?}");
    // One that is none is not spoken of.
    let out = place.stockade("sandbox", &["--root", "out", "--", "cat", "f"]).output().unwrap();
    assert_eq!(said(&out), ("of proj/out/f".to_owned(), String::new()));
    place.write("cfg/p.toml", &format!("roots = [{:?}]\n", place.path("proj/linked")));
    let policy = place.path("cfg/p.toml").display().to_string();
    place.refused(&["--policy", &policy], "which a server may have made");
}

fn u08_the_way_to_what_is_the_guards_own_is_no_servers() {
    let place = Place::new();
    place.policy("shared/p.toml");
    place.link("proj/p.toml", "../shared/p.toml");
    let by_a_link = "which the server may change";
    place.refused(&["--policy", "p.toml", "--root", ".:rw"], by_a_link);
    place.refused(&["--policy", "out/../../shared/p.toml", "--root", ".:rw"], by_a_link);
    place.starts(&["--policy", "p.toml", "--root", "."]);
    place.starts(&["--policy", "../shared/p.toml", "--root", ".:rw"]);
    // A link that lies where the server does not write is somebody's way of keeping things.
    place.link("linked", "shared");
    place.starts(&["--policy", "../linked/p.toml", "--root", ".:rw"]);
    let whole = place.root("", "rw");
    for (at, to) in [("config/stockade", "../dotfiles"), ("elsewhere", "data")] {
        place.write(&format!("{}/x", to.trim_start_matches("../")), "");
        let _made_before = fs::remove_dir_all(place.path(at));
        place.link(at, to);
        place.refused(&[&whole], by_a_link);
        // Nor is there one where it leads to nothing yet.
        fs::remove_dir_all(place.path(to.trim_start_matches("../"))).unwrap();
        place.refused(&[&whole, "--dry-run"], by_a_link);
        fs::remove_file(place.path(at)).unwrap();
    }
    place.link("st", "data");
    place.write("data/x", "");
    let state = place.path("st").display().to_string();
    place.refused(&[&whole, "--state", &state], by_a_link);
}

fn u08_a_policy_lies_where_no_server_writes() {
    let place = Place::new();
    place.policy("proj/p.toml");
    place.refused(&["--policy", "p.toml", "--root", ".:rw"], "so it cannot decide");
    place.starts(&["--policy", "p.toml", "--root", "."]);
    // A directory that is read only stays so, whoever saves what is in it.
    place.policy("proj/.stockade/p.toml");
    let policy = place.path("proj/.stockade/p.toml");
    let mut run = place.stockade("run", &["--policy", ".stockade/p.toml", "--root", ".:rw"]);
    let mut probe = Probe::of(run.args(place.server())).begin();
    let mut ask = |id: u64| {
        let new = place.path("proj/.stockade/new");
        let does = [writes(&policy), writes(&new)].join("\n").into_bytes();
        text(&probe.ask(&call(id, "do", json!({ "does": does })))).to_owned()
    };
    let refused = "no: Read-only file system\nno: Read-only file system";
    assert_eq!(ask(1), refused);
    place.policy("proj/.stockade/saved");
    fs::rename(place.path("proj/.stockade/saved"), &policy).unwrap();
    assert_eq!(ask(2), refused);
    // A directory that is made anew is the server's, and what decides stays what it was.
    fs::rename(place.path("proj/.stockade"), place.path("proj/before")).unwrap();
    place.write("proj/.stockade/p.toml", "default = \"deny\"\n");
    let told =
        format!("`{}` was replaced by somebody outside", place.path("proj/.stockade").display());
    let tells = |says: &str| {
        let told = place.home.stockade(["audit", "export"]).output().unwrap();
        said(&told).0.contains(says).then_some(())
    };
    wait_for("what is told", || tells(&told));
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(tells("the policy is not read again").is_some());
    assert_eq!(ask(3), "4\n4");
    let stderr = probe.end().stderr;
    assert!(stderr.contains(&told) && !stderr.contains("the policy was replaced"), "{stderr}");
}

fn u08_what_is_the_guards_own_is_seen_by_no_other_path() {
    let place = Place::new();
    place.starts(&[]);
    place.home.policy("");
    fs::create_dir(place.path("again")).unwrap();
    let hidden = ["elsewhere/stockade/ledger/key", "config/stockade/stockade.toml"];
    let (home, again) = (place.path(""), place.path("again"));
    // Nothing but this command sees what is mounted here.
    let bound = |what: &Path, stockade: &Command| {
        let mut unshare = Command::new("unshare");
        unshare.args(if geteuid().is_root() { &["--mount"][..] } else { &["-m", "-r"] });
        unshare.args(["sh", "-c", "mount --bind \"$0\" \"$1\" && shift && exec \"$@\""]);
        unshare.arg(what).arg(&again).arg(stockade.get_program()).args(stockade.get_args());
        let environment = stockade.get_envs().filter_map(|(name, value)| Some((name, value?)));
        unshare.env_clear().envs(environment).current_dir(place.path("proj"));
        unshare.stdin(Stdio::null()).output().unwrap()
    };
    let can = bound(&home, &Command::new("true"));
    if !can.status.success() {
        println!("cannot be tried here: {can:?}");
        return;
    }
    for (top, kind) in [("", "ro"), ("", "rw"), ("elsewhere", "ro")] {
        let mut sandbox = place.stockade("sandbox", &[&place.root("again", kind), "--", "cat"]);
        sandbox.args(
            hidden
                .iter()
                .filter_map(|it| Some(again.join(it.strip_prefix(top)?.trim_start_matches('/')))),
        );
        let out = bound(&place.path(top), &sandbox);
        let (stdout, stderr) = said(&out);
        assert_eq!(stdout, "", "{top}: {stderr}");
        assert!(stderr.contains("No such file or directory"), "{top}: {stderr}");
    }
    let mut planted = place.stockade("sandbox", &[&place.root("again", "rw"), "--", "sh", "-c"]);
    planted.arg("mv \"$0/elsewhere\" \"$0/gone\"; touch \"$0/config/stockade/x\"").arg(&again);
    let out = bound(&home, &planted);
    assert!(
        place.path("elsewhere").exists() && !place.path("config/stockade/x").exists(),
        "{out:?}"
    );
    // Nor is a part of it a root by another path.
    let part = place.path("elsewhere/stockade/ledger");
    let sandbox = place.stockade("sandbox", &[&place.root("again", "ro"), "--", "true"]);
    assert_eq!(bound(&part, &sandbox).status.code(), Some(2));
    // And another state directory does not uncover the one of every other guard.
    let other = place.path("other").display().to_string();
    let mut run = place.stockade("run", &["--state", &other, &place.root("", "rw")]);
    assert_eq!(
        place.does(&mut run, &[reads(&place.path(hidden[0]))]),
        ["no: No such file or directory"]
    );
}

fn u08_what_is_the_guards_own_later_is_not_seen() {
    let place = Place::new();
    let key = place.path("elsewhere/stockade/ledger/key");
    let mut sandbox = place.stockade("sandbox", &[&place.root("", "ro"), "--", "sh", "-c"]);
    sandbox.arg("echo begun; read x; cat \"$0\"").arg(&key);
    let mut sandbox = sandbox
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut begun = [0; 6];
    std::io::Read::read_exact(sandbox.stdout.as_mut().unwrap(), &mut begun).unwrap();
    place.starts(&[]);
    wait_for("the key", || key.exists().then_some(()));
    sandbox.stdin.take().unwrap().write_all(b"\n").unwrap();
    let out = sandbox.wait_with_output().unwrap();
    assert_eq!(out.stdout, b"", "the key is seen");
    assert!(said(&out).1.contains("No such file or directory"), "{out:?}");
    // A directory that is named from here is one all the same.
    let mut planted = place.stockade("sandbox", &["--state", "rel", "--root", ".:rw", "--", "sh"]);
    let out = planted.args(["-c", "mkdir -p rel/ledger && touch rel/ledger/key"]).output().unwrap();
    assert!(out.status.success(), "{out:?}");
    assert_eq!(fs::read_dir(place.path("proj/rel")).unwrap().count(), 0);
}

fn u08_the_program_of_the_guard_is_not_replaced() {
    let place = Place::new();
    fs::create_dir(place.path("bin")).unwrap();
    let program = place.path("bin/stockade");
    copy_stockade(&program);
    let run = |called: &Path| {
        let like = place.stockade("run", &[&place.root("", "rw")]);
        let mut run = Command::new(called);
        let environment = like.get_envs().filter_map(|(name, value)| Some((name, value?)));
        run.env_clear().envs(environment).args(like.get_args()).current_dir(place.path("proj"));
        run
    };
    let before = fs::read(&program).unwrap();
    let lines = [
        writes(&program),
        writes(&place.path("bin/new")),
        format!("os.rename({:?}, {program:?})", place.path("bin/new")),
        format!("os.unlink({program:?})"),
        format!("os.rename({:?}, {:?})", place.path("bin"), place.path("gone")),
    ];
    let answers = place.does(&mut run(&program), &lines);
    for (line, answer) in lines.iter().zip(&answers) {
        assert_eq!(answer == "4", line.contains("'w'") && line.contains("new"), "{line}: {answer}");
    }
    assert!(fs::read(&program).unwrap() == before);
    place.link("called", "bin/stockade");
    let out = run(&place.path("called")).args(place.server()).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(said(&out).1.contains("which the server may change"), "{out:?}");
}

fn u08_a_trace_is_not_where_the_command_writes() {
    let place = Place::new();
    place.link("proj/linked", "out");
    for file in ["report", "out/report", "linked/report", "../proj/report"] {
        let trace = format!("--trace={file}");
        let command = [&trace, "--root", ".:rw", "--", "true"];
        let out = place.stockade("sandbox", &command).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{file}: {out:?}");
        assert!(said(&out).1.contains("lies where the command may write"), "{file}: {out:?}");
        assert!(!place.path("proj").join(file).exists(), "{file}");
    }
    let command = ["--trace=../report", "--root", ".:rw", "--", "true"];
    let out = place.stockade("sandbox", &command).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{out:?}");
}

fn u08_a_plan_makes_nothing() {
    let place = Place::new();
    let names = || {
        let names = fs::read_dir(place.path("")).unwrap().map(|it| it.unwrap().file_name());
        let mut names: Vec<OsString> = names.collect();
        names.sort();
        names
    };
    let before = names();
    for (command, kind) in [("sandbox", "rw"), ("sandbox", "ro"), ("run", "rw")] {
        let root = place.root("", kind);
        let mut dry = place.stockade(command, &["--dry-run", &root]);
        let (stdout, stderr) = said(&dry.args(place.server()).output().unwrap());
        assert_eq!(names(), before, "{command}: {stderr}");
        for covered in ["elsewhere/stockade", "config/stockade"] {
            let line = format!("  empty        {} ", place.path(covered).display());
            assert!(stdout.contains(&line), "{command}: {stdout}{stderr}");
        }
    }
}

fn u08_without_home_the_policy_is_the_same() {
    let place = Place::new();
    let out = Command::new("getent").args(["passwd", &geteuid().as_raw().to_string()]).output();
    let entry = said(&out.unwrap()).0;
    let Some(home) = entry.trim().split(':').nth(5).filter(|it| Path::new(it).is_dir()) else {
        println!("cannot be tried here: this user has no home");
        return;
    };
    let mut dry = place.stockade("sandbox", &["--dry-run", "--root", home, "--", "true"]);
    for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
        dry.env_remove(variable);
    }
    let (stdout, stderr) = said(&dry.output().unwrap());
    for covered in [".config/stockade", ".local/state/stockade"] {
        assert!(stdout.contains(&format!("  empty        {home}/{covered} ")), "{stdout}{stderr}");
    }
}

fn u08_variables_of_another_start_open_nothing() {
    let place = Place::new();
    place.write(".config/stockade/stockade.toml", "[sandbox]\nallow_weaker = [\"memory\"]\n");
    place.write(".local/state/stockade/ledger/key", "secret");
    let home = place.home.path();
    let mut run = place.stockade("sandbox", &["--root", &format!("{}:rw", home.display()), "--"]);
    for (variable, name) in [("XDG_CONFIG_HOME", "xc"), ("XDG_STATE_HOME", "xs")] {
        run.env(variable, place.path(name));
    }
    run.env("HOME", home);
    let policy = place.path(".config/stockade/stockade.toml");
    let script = format!(
        "cat {}; echo 'backend = \"none\"' >>{}; echo done",
        place.path(".local/state/stockade/ledger/key").display(),
        policy.display()
    );
    let (stdout, stderr) = said(&run.args(["sh", "-c", &script]).output().unwrap());
    assert_eq!(stdout, "done\n", "{stderr}");
    assert!(stderr.contains("key: No such file or directory"), "{stderr}");
    assert!(!fs::read_to_string(policy).unwrap().contains("none"));
}

fn x01_what_starts_servers_is_not_written() {
    let place = Place::new();
    let kept = [
        ".mcp.json",
        ".claude.json",
        ".config/Claude/claude_desktop_config.json",
        ".config/Code/User/mcp.json",
        ".config/zed/settings.json",
        ".roo/mcp.json",
        "opencode.json",
        ".config/environment.d/x.conf",
        ".xprofile",
        "bin/tool",
    ];
    for name in kept.iter().chain(&[".bashrc", "sub/bin/tool", "notes.txt"]) {
        place.write(name, "as it was");
    }
    let root = format!("{}:rw", place.home.path().display());
    for (name, is_kept) in
        kept.iter().map(|it| (*it, true)).chain([("sub/bin/tool", false), ("notes.txt", false)])
    {
        let path = place.path(name);
        let write = format!("echo changed >{}", path.display());
        let options = ["--root", &root, "--", "sh", "-c", &write];
        let (_, stderr) = said(&place.stockade("sandbox", &options).output().unwrap());
        let is = fs::read_to_string(path).unwrap();
        assert_eq!(is == "as it was", is_kept, "{name}: {is} {stderr}");
    }
}

fn x01_no_repository_is_passed_over() {
    let place = Place::new();
    place.write("proj/deep/down/real/.git/config", "");
    let touch = ["--root", ".:rw", "--", "touch", "deep/down/real/.git/made"];
    let made = place.path("proj/deep/down/real/.git/made");
    for it in 0..100 {
        fs::create_dir_all(place.path(&format!("proj/{it}/.git"))).unwrap();
    }
    let out = place.stockade("sandbox", &touch).output().unwrap();
    assert!(said(&out).1.contains("Read-only file system"), "{out:?}");
    for it in 100..200 {
        fs::create_dir_all(place.path(&format!("proj/{it}/.git"))).unwrap();
    }
    let out = place.stockade("sandbox", &touch).output().unwrap();
    let stderr = said(&out).1;
    assert_eq!(out.status.code(), Some(97), "{stderr}");
    assert!(stderr.contains("128 repositories") && stderr.contains("\nhelp: "), "{stderr}");
    assert!(!made.exists());
    // Who says so has it, and the plan says what that is.
    let weaker = [&["--allow-weaker", "files", "--dry-run"], &touch[..]].concat();
    let (stdout, stderr) = said(&place.stockade("sandbox", &weaker).output().unwrap());
    assert!(stdout.contains("repositories below"), "{stdout}{stderr}");
}

fn a_root_that_is_none_is_told_in_its_own_words() {
    let place = Place::new();
    for command in ["run", "sandbox"] {
        let mut typo = place.stockade(command, &["--root", ".:wr"]);
        let (_, stderr) = said(&typo.args(place.server()).output().unwrap());
        assert!(stderr.contains("help: write `--root "), "{command}: {stderr}");
    }
    place.starts(&[]);
    let state = place.root("elsewhere/stockade", "ro");
    let stderr = place.refused(&[&state], "what Stockade keeps from every server");
    assert!(!stderr.contains("/proc"), "{stderr}");
}
