//! What a command starts: servers from a registry, prepared without running anything of them, and
//! code on a command line, which is called what it is. The registry is one of the tests' own.

use std::fs::{self, FileTimes, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::probe::initialize;
use crate::harness::process::{children, kill};
use crate::harness::{Gateway, Home, LEGACY, Probe, call, request, text, wait_for};

crate::rows![
    x12_no_code_of_an_npm_package_runs_at_installation,
    x12_no_code_of_a_python_package_runs_at_installation,
    x12_what_comes_from_elsewhere_is_refused,
    x12_a_canary_is_seen_without_us,
    a_prepared_package_is_what_starts,
    nothing_is_prepared_without_consent,
    what_was_changed_is_not_started,
    what_was_changed_is_not_started_by_a_gateway,
    x12_a_preparation_ends_in_time,
    a_preparation_that_was_killed_leaves_nothing,
    preparations_at_the_same_time_are_apart,
    n04_code_on_the_command_line_is_called_that,
    n04_code_in_a_runner_reaches_no_registry,
    c03_a_package_that_is_another_is_not_started,
    x11_interpreters_start_and_answer,
];

const REGISTRY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/controls/registry.py");

/// A home with a registry beside it.
struct Place {
    home: Home,
    registry: Child,
    port: u16,
}

impl Place {
    fn new() -> Self {
        for tool in ["node", "npm", "python3"] {
            let found = Command::new(tool).arg("--version").output();
            assert!(
                found.is_ok_and(|it| it.status.success()),
                "missing: {tool} (tests/need.sh {tool})"
            );
        }
        let home = Home::new();
        let mut registry = Command::new("python3")
            .arg(REGISTRY)
            .args([home.path().join("canary"), home.path().join("mark")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(registry.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap();
        Self { home, registry, port }
    }

    /// A command of Stockade, for a user whose npm and pip have this registry.
    fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = self.home.stockade([name]);
        command
            .args(self.home.state())
            .args(["--allow-weaker", "memory"])
            .args(words)
            .env("npm_config_registry", format!("http://127.0.0.1:{}/npm/", self.port))
            .env("PIP_INDEX_URL", format!("http://127.0.0.1:{}/simple/", self.port));
        command
    }

    fn prepare(&self, words: &[&str]) -> Output {
        self.command("prepare", words).stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn prepared(&self, spec: &str) -> PathBuf {
        let out = self.prepare(&["--yes", spec]);
        assert_eq!(out.status.code(), Some(0), "{}", said(&out.stderr));
        let line = said(&out.stdout);
        let name = line.trim().rsplit(' ').next().unwrap();
        self.store().join(name)
    }

    fn store(&self) -> PathBuf {
        self.home.path().join("state/store")
    }

    fn entries(&self) -> Vec<String> {
        let listed = fs::read_dir(self.store()).into_iter().flatten().flatten();
        let names = listed.map(|it| it.file_name().into_string().unwrap());
        names.filter(|it| it.starts_with("npm-") || it.starts_with("pypi-")).collect()
    }

    fn canaries(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        every(self.home.path(), &mut |it| {
            let name = it.file_name().unwrap().to_string_lossy().into_owned();
            let is_one = ["canary", "escaped", "through"].iter().any(|it| name.starts_with(it));
            // In the store they are files of the package, as any other.
            let is_one = is_one && !it.starts_with(self.store());
            found.extend(is_one.then(|| it.to_owned()));
        });
        found
    }

    /// What a server says of itself when its tool is called.
    #[track_caller]
    fn asked(&self, words: &[&str]) -> Value {
        let mut probe = Probe::of(&mut self.command("run", words)).begin();
        let answer = probe.ask(&call(7, "about", json!({})));
        assert_eq!(probe.end().code, Some(0));
        serde_json::from_str(text(&answer)).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.registry.kill();
        let _ = self.registry.wait();
        // What is read only could not be removed with the home.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.home.path()).status();
    }
}

fn every(directory: &Path, act: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        act(&entry.path());
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            every(&entry.path(), act);
        }
    }
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Nothing but files and directories, none of which can be written or has another's rights.
#[track_caller]
fn is_sealed(entry: &Path) {
    let mut files = 0;
    every(entry, &mut |it| {
        let about = fs::symlink_metadata(it).unwrap();
        assert!(about.is_file() || about.is_dir(), "{}", it.display());
        assert_eq!(about.permissions().mode() & 0o7222, 0, "{}", it.display());
        files += 1;
    });
    assert!(files > 3, "{}", entry.display());
}

fn x12_no_code_of_an_npm_package_runs_at_installation() {
    let place = Place::new();
    let entry = place.prepared("npm:server@1.0.0");
    assert_eq!(place.canaries(), [] as [PathBuf; 0]);
    is_sealed(&entry);
    let manifest: Value =
        serde_json::from_slice(&fs::read(entry.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["scripts_not_run"], json!(["helper 1.0.0", "server 1.0.0"]));
    let packages: Vec<&str> = manifest["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(packages, ["helper", "server"]);
    assert!(manifest["integrity"].as_str().unwrap().starts_with("sha512-"));
    assert_eq!(
        place.asked(&["--", "npx", "-y", "server@1.0.0", "a", "-c"]),
        json!(["helped", ["a", "-c"], null])
    );
    assert_eq!(place.canaries(), [] as [PathBuf; 0]);
}

fn x12_no_code_of_a_python_package_runs_at_installation() {
    let place = Place::new();
    let entry = place.prepared("pypi:server==1.0");
    is_sealed(&entry);
    assert_eq!(
        place.asked(&["--", "uvx", "server==1.0", "--flag"]),
        json!(["helped", ["--flag"], null])
    );
    for refused in ["pypi:source==1.0", "pypi:climber==1.0", "pypi:absolute==1.0"] {
        let out = place.prepare(&["--yes", refused]);
        assert_ne!(out.status.code(), Some(0), "{refused}");
        assert!(said(&out.stderr).starts_with("looking up"), "{}", said(&out.stderr));
    }
    let out = place.prepare(&["--yes", "pypi:source==1.0"]);
    assert!(said(&out.stderr).contains("would have to be built"), "{}", said(&out.stderr));
    assert_eq!(place.canaries(), [] as [PathBuf; 0]);
    assert_eq!(place.entries().len(), 1);
}

/// The same packages, with nobody in between: what is not seen above could be seen.
fn x12_a_canary_is_seen_without_us() {
    let place = Place::new();
    let project = place.home.path().join("project");
    fs::create_dir_all(&project).unwrap();
    fs::write(project.join("package.json"), "{}").unwrap();
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "helper@1.0.0"]).current_dir(&project);
    npm.env("npm_config_registry", format!("http://127.0.0.1:{}/npm/", place.port));
    npm.env("npm_config_cache", place.home.path().join("cache"));
    let out = npm.output().unwrap();
    assert!(out.status.success(), "{}", said(&out.stderr));
    assert!(place.home.path().join("canary-postinstall").exists(), "{}", said(&out.stderr));
    let entry = place.prepared("pypi:server==1.0");
    let site = entry.join("tree/site");
    let add = format!("import site; site.addsitedir({:?})", site.to_str().unwrap());
    assert!(Command::new("python3").args(["-c", &add]).status().unwrap().success());
    assert!(place.home.path().join("canary-pth").exists());
}

fn x12_what_comes_from_elsewhere_is_refused() {
    let place = Place::new();
    for name in [
        "npm:climber@1.0.0",
        "npm:setuid@1.0.0",
        "npm:bin-outside@1.0.0",
        "npm:bin-absolute@1.0.0",
        "npm:from-git@1.0.0",
        "npm:from-file@1.0.0",
        "npm:from-elsewhere@1.0.0",
        "npm:shrinks@1.0.0",
        "npm:shrinks-below@1.0.0",
        "npm:named-otherwise@1.0.0",
        "npm:badly-named@1.0.0",
        "npm:without-program@1.0.0",
        "npm:no-such-package@1.0.0",
        "pypi:no-such-package==1.0",
    ] {
        let out = place.prepare(&["--yes", name]);
        assert!(matches!(out.status.code(), Some(2 | 4)), "{name}: {}", said(&out.stderr));
        assert!(said(&out.stderr).contains("\nhelp: "), "{name}: {}", said(&out.stderr));
        assert!(!said(&out.stderr).contains('\u{1b}'), "{name}: {}", said(&out.stderr));
    }
    let out = place.prepare(&["--yes", "npm:shrinks@1.0.0"]);
    let says = "comes from 127.0.0.1:1, which is not the registry";
    assert!(said(&out.stderr).contains(says), "{}", said(&out.stderr));
    for name in ["npm:../x", "npm:user/repo", "npm:a@file:/x", "gem:a", "server"] {
        assert_eq!(place.prepare(&["--yes", name]).status.code(), Some(2), "{name}");
    }
    let out = place.prepare(&["--yes", "--registry", "http://registry.invalid/", "npm:server"]);
    assert_eq!(out.status.code(), Some(2), "{}", said(&out.stderr));
    assert_eq!(place.canaries(), [] as [PathBuf; 0]);
    assert_eq!(place.entries(), [] as [String; 0]);
}

fn a_prepared_package_is_what_starts() {
    let place = Place::new();
    // A tag is looked up once; what it led to then is what starts from then on.
    place.prepared("npm:server@^1.0.0");
    place.prepared("pypi:server");
    assert!(
        place.entries().iter().any(|it| it.starts_with("npm-server@1.1.0-")),
        "{:?}",
        place.entries()
    );
    // No package runner is there any more, nor a registry.
    let bin = place.home.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    for name in ["npx", "npm", "uvx", "uv", "pip"] {
        let script =
            format!("#!/bin/sh\necho x > {}\n", place.home.path().join("canary-runner").display());
        fs::write(bin.join(name), script).unwrap();
        fs::set_permissions(bin.join(name), Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    for (words, answer) in [
        (&["npx", "-y", "server@^1.0.0", "a"][..], json!(["helped", ["a"], null])),
        (&["npx", "server@1.1.0"], json!(["helped", [], null])),
        (&["npm", "exec", "--", "server@1.1.0", "-x"], json!(["helped", ["-x"], null])),
        (&["npx", "--package=server@1.1.0", "server"], json!(["helped", [], null])),
        (&["env", "KEY=value", "npx", "server@1.1.0"], json!(["helped", [], "value"])),
        (&["uvx", "server", "a"], json!(["helped", ["a"], null])),
        (&["uvx", "--from", "server", "other"], json!(["helped", [], null])),
    ] {
        let mut command = place.command("run", &[&["--"][..], words].concat());
        command.env("PATH", &path).env("npm_config_registry", "http://127.0.0.1:1/");
        let mut probe = Probe::of(&mut command).begin();
        let said = probe.ask(&call(7, "about", json!({})));
        assert_eq!(serde_json::from_str::<Value>(text(&said)).unwrap(), answer, "{words:?}");
        assert_eq!(probe.end().code, Some(0));
    }
    assert_eq!(place.canaries(), [] as [PathBuf; 0]);
    let starts = place.home.records_of("start");
    let says = starts[0]["says"].as_str().unwrap();
    assert!(says.contains("npm:server@1.1.0 as it was prepared"), "{says}");
    let out = place.command("run", &["--", "npx", "-p", "server@1.1.0", "none"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{}", said(&out.stderr));
    // Without a sandbox it is the runner itself, and that is said.
    let mut command = place.command("run", &["--sandbox", "none", "--", "npx", "server@1.1.0"]);
    let out = command.env("PATH", &path).stdin(Stdio::null()).output().unwrap();
    assert!(
        said(&out.stderr).contains("the package runner itself starts"),
        "{}",
        said(&out.stderr)
    );
    assert_eq!(place.canaries().len(), 1);
}

fn nothing_is_prepared_without_consent() {
    let place = Place::new();
    for (words, typed) in [
        (&["npx", "-y", "server@1.0.0", "a"][..], "npm:server@1.0.0"),
        (&["uvx", "server"], "pypi:server"),
        (&["npx", "-y", "server@^1"], "'npm:server@^1'"),
    ] {
        for command in ["run", "sandbox"] {
            let mut command = place.command(command, &[&["--"][..], words].concat());
            let out = command.stdin(Stdio::null()).output().unwrap();
            assert_eq!(out.status.code(), Some(2), "{}", said(&out.stderr));
            let state = place.home.path().join("state");
            let typed = format!(
                "stockade prepare --state {} --allow-weaker memory {typed}\n",
                state.display()
            );
            assert!(said(&out.stderr).ends_with(&typed), "{}", said(&out.stderr));
        }
    }
    assert_eq!(place.prepare(&["npm:server@1.0.0"]).status.code(), Some(2));
    assert_eq!(place.entries(), [] as [String; 0]);
    // Consent that was given on the line is consent.
    assert_eq!(place.asked(&["--yes", "--", "npx", "server@1.0.0"]), json!(["helped", [], null]));
    assert_eq!(place.entries().len(), 1);
    let id = "npm:server@1.0.0";
    assert!(
        said(
            &place
                .home
                .stockade(["prepare", "--list"])
                .args(place.home.state())
                .output()
                .unwrap()
                .stdout
        )
        .starts_with(id)
    );
    assert_eq!(place.prepare(&["--remove", id]).status.code(), Some(0));
    assert_eq!(place.entries(), [] as [String; 0]);
    assert_eq!(place.prepare(&["--remove", id]).status.code(), Some(2));
}

fn what_was_changed_is_not_started() {
    let place = Place::new();
    let entry = place.prepared("npm:server@1.0.0");
    let script = entry.join("tree/node_modules/server/server.js");
    let whole = fs::read(&script).unwrap();
    let writable =
        |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let check = |named: &str| {
        let mut command = place.command("run", &["--", "npx", "-y", "server@1.0.0"]);
        let out = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(out.status.code(), Some(4), "{named}: {}", said(&out.stderr));
        assert!(said(&out.stderr).contains(named), "{}", said(&out.stderr));
        let listed = place.prepare(&["--list"]);
        assert_ne!(listed.status.code(), Some(0), "{named}");
    };
    writable(&script, 0o755);
    fs::write(&script, [whole.as_slice(), b"\n"].concat()).unwrap();
    check("`node_modules/server/server.js` is another");
    fs::write(&script, &whole).unwrap();
    let directory = script.parent().unwrap();
    writable(directory, 0o755);
    fs::write(directory.join("more.js"), "").unwrap();
    check("`node_modules/server/more.js` was added");
    fs::remove_file(directory.join("more.js")).unwrap();
    fs::rename(&script, directory.join("gone")).unwrap();
    fs::remove_file(directory.join("gone")).unwrap();
    check("`node_modules/server/server.js` is missing");
    std::os::unix::fs::symlink("/etc/passwd", &script).unwrap();
    check("`node_modules/server/server.js` is neither a file nor a directory");
    fs::remove_file(&script).unwrap();
    fs::write(&script, &whole).unwrap();
    writable(&script, 0o755);
    assert_eq!(place.asked(&["--", "npx", "server@1.0.0"]), json!(["helped", [], null]));
    let manifest = entry.join("manifest.json");
    writable(&manifest, 0o644);
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("server.js", "other.js")).unwrap();
    check("`manifest.json` is another");
}

/// A gateway starts for months what it has looked at once.
fn what_was_changed_is_not_started_by_a_gateway() {
    let place = Place::new();
    let entry = place.prepared("npm:server@1.0.0");
    let words = ["--listen", "127.0.0.1:0", "--", "npx", "server@1.0.0"];
    let gateway = Gateway::start(&mut place.command("serve", &words));
    let works = || {
        let mut connection = gateway.connect();
        connection.begin_legacy();
        let answer = connection.post(&[], &call(7, "about", json!({}))).message();
        text(&answer).contains("helped")
    };
    assert!(works());
    let script = entry.join("tree/node_modules/helper/index.js");
    let whole = fs::read(&script).unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    // As long as before, and with the time from before.
    let about = fs::metadata(&script).unwrap();
    fs::write(&script, String::from_utf8(whole.clone()).unwrap().replace("helped", "harmed"))
        .unwrap();
    let file = fs::File::options().write(true).open(&script).unwrap();
    file.set_times(FileTimes::new().set_modified(about.modified().unwrap())).unwrap();
    let asked = request(1, "tools/call", json!({ "name": "about", "arguments": {} }));
    for answer in
        [gateway.connect().post(&[], &initialize(LEGACY)), gateway.connect().post_modern(&asked)]
    {
        assert_eq!(answer.status, 502, "{answer:?}");
        let said = answer.body;
        assert!(said.contains("the server cannot be started"), "{said}");
        assert!(!said.contains("index.js") && !said.contains("state/store"), "{said}");
    }
    fs::write(&script, &whole).unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o555)).unwrap();
    assert!(works(), "and when it is as it was");
    gateway.end();
    let violations = place.home.records_of("violation");
    let says = "`node_modules/helper/index.js` is another";
    let said = violations.iter().filter(|it| it["says"].as_str().unwrap().contains(says)).count();
    assert_eq!(said, 2, "{violations:?}");
}

/// A registry that does not answer, and a source that is let pass and where nobody is.
fn x12_a_preparation_ends_in_time() {
    let place = Place::new();
    let began = Instant::now();
    let out = place.prepare(&["--yes", "--timeout", "4", "npm:never-comes@1.0.0"]);
    assert_eq!(out.status.code(), Some(4), "{}", said(&out.stderr));
    let says = "`npm` had not ended after 4 s, which is all that a preparation may take";
    assert!(said(&out.stderr).contains(says), "{}", said(&out.stderr));
    assert!(said(&out.stderr).contains("--timeout SECONDS"), "{}", said(&out.stderr));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let began = Instant::now();
    let out = place.prepare(&["--yes", "--net", "127.0.0.1:1", "npm:shrinks@1.0.0"]);
    assert_eq!(out.status.code(), Some(4), "{}", said(&out.stderr));
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert_eq!(place.entries(), [] as [String; 0]);
}

fn a_preparation_that_was_killed_leaves_nothing() {
    let place = Place::new();
    let mut command = place.command("prepare", &["--yes", "npm:never-comes@1.0.0"]);
    let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the archive to be asked for", || {
        place.home.path().join("mark").exists().then_some(())
    });
    let keepers = children(i32::try_from(child.id()).unwrap());
    assert_eq!(keepers.len(), 1);
    kill(i32::try_from(child.id()).unwrap());
    child.wait().unwrap();
    let staged = || {
        let listed = fs::read_dir(place.store()).unwrap().flatten();
        listed.filter(|it| it.file_name().to_string_lossy().starts_with(".staging-")).count()
    };
    assert_eq!(staged(), 1, "it was killed in the middle");
    assert_eq!(place.entries(), [] as [String; 0]);
    let listed = place.command("prepare", &["--list"]).output().unwrap();
    assert_eq!((said(&listed.stdout), listed.status.code()), (String::new(), Some(0)));
    wait_for("the end of what it started", || {
        keepers.iter().all(|it| crate::harness::process::is_dead(*it)).then_some(())
    });
    place.prepared("npm:server@1.0.0");
    assert_eq!(staged(), 0);
    assert_eq!(place.entries().len(), 1);
}

fn preparations_at_the_same_time_are_apart() {
    let place = Place::new();
    let specs = ["npm:server@1.0.0", "npm:server@1.0.0", "npm:server@1.1.0", "pypi:server==1.0"];
    let running: Vec<Child> = specs
        .iter()
        .map(|spec| {
            let mut command = place.command("prepare", &["--yes", spec]);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in running {
        let out = child.wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(0), "{}", said(&out.stderr));
    }
    assert_eq!(place.entries().len(), 3, "{:?}", place.entries());
    let listed = place.prepare(&["--list"]);
    assert_eq!(listed.status.code(), Some(0), "{}", said(&listed.stderr));
    assert_eq!(said(&listed.stdout).matches("as it was").count(), 3);
}

/// None of these is `npx`, `node` or `python` with a server, whatever the first word says.
fn n04_code_on_the_command_line_is_called_that() {
    let home = Home::new();
    let canary = home.path().join("canary");
    let touch = format!("touch {}", canary.display());
    let node = format!("require('fs').writeFileSync({:?}, '')", canary.to_str().unwrap());
    let python = format!("open({:?}, 'w')", canary.to_str().unwrap());
    let lines: &[&[&str]] = &[
        &["npx", "-c", &touch],
        &["npx", "-yc", &touch],
        &["env", "sh", "-c", &touch],
        &["env", "-S", "sh -c true"],
        &["sh", "-c", &touch],
        &["bash", "-lc", &touch],
        &["node", "-e", &node],
        &["node", "-pe", &node],
        &["python3", "-c", &python],
        &["python3", "-m", "this"],
        &["xargs", "touch"],
        &["env", "NODE_OPTIONS=--require=./x", "node", "server.js"],
    ];
    for (number, line) in lines.iter().enumerate() {
        let mut command = home.stockade(["run"]);
        command.args(home.state()).args(["--allow-weaker", "memory", "--"]).args(*line);
        let out = command.stdin(Stdio::null()).output().unwrap();
        let stderr = said(&out.stderr);
        assert!(stderr.contains("note: arbitrary execution: "), "{line:?}: {stderr}");
        let starts = home.records_of("start");
        let says = starts[number]["says"].as_str().unwrap();
        assert!(says.contains("arbitrary execution: "), "{line:?}: {says}");
        assert!(!says.contains("as it was prepared"), "{line:?}: {says}");
        assert!(!canary.exists(), "{line:?} runs in the sandbox");
    }
}

/// A package runner with code in its options is not taken for one with a package.
fn n04_code_in_a_runner_reaches_no_registry() {
    let place = Place::new();
    for line in [
        &["npx", "-y", "--package=server@1.0.0", "-c", "server"][..],
        &["npx", "--registry=http://elsewhere.invalid/", "server@1.0.0"],
        &["npx", "git+https://example.invalid/x"],
        &["npx", "./server"],
        &["uvx", "--with", "evil", "server==1.0"],
        &["uvx", "python", "-c", "x"],
    ] {
        let out = place.prepare(&[&["--yes", "--"][..], line].concat());
        assert_eq!(out.status.code(), Some(2), "{line:?}: {}", said(&out.stderr));
        assert!(said(&out.stderr).contains("arbitrary execution"), "{line:?}");
    }
    assert_eq!(place.entries(), [] as [String; 0]);
}

fn c03_a_package_that_is_another_is_not_started() {
    let place = Place::new();
    let other = place.prepared("npm:server@1.0.0");
    let approved = place.prepared("npm:server@^1");
    assert_ne!(other, approved);
    let line = ["--", "npx", "-y", "server@^1"];
    let out = place.command("lock", &line).stdin(Stdio::null()).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", said(&out.stderr));
    assert_eq!(place.asked(&line), json!(["helped", [], null]));
    let lock = fs::read_to_string(place.home.path().join("state/stockade.lock")).unwrap();
    for pinned in [r#""name":"npm:server@1.1.0""#, r#""npm:server":"#, "npx"] {
        assert!(lock.contains(pinned), "{pinned}: {lock}");
    }

    // What was asked for leads to another version, which says and offers the same.
    let name = |it: &Path| it.file_name().unwrap().to_str().unwrap().to_owned();
    let mut led = 0;
    every(&place.store(), &mut |it| {
        let is_pin = fs::read_to_string(it).is_ok_and(|text| text.trim() == name(&approved));
        if is_pin {
            fs::write(it, name(&other)).unwrap();
            led += 1;
        }
    });
    assert!(led > 0);
    let mut probe = Probe::of(&mut place.command("run", &line)).begin();
    let listed = probe.ask(&request(1, "tools/list", json!({})));
    let tools = &listed["result"]["tools"];
    assert_eq!(tools[0]["name"], "stockade_blocked", "{listed}");
    let says = tools[0]["description"].as_str().unwrap();
    assert!(says.contains("npm:server@1.0.0") && says.contains("npm:server@1.1.0"), "{says}");
    let ended = probe.end();
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    let out = place
        .home
        .stockade(["lock", "approve", "--yes", "--allow-weaker", "memory"])
        .args(place.home.state())
        .args(line)
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", said(&out.stderr));
    assert_eq!(place.asked(&line), json!(["helped", [], null]));
}

fn x11_interpreters_start_and_answer() {
    let place = Place::new();
    place.prepared("npm:server@1.0.0");
    place.prepared("pypi:server==1.0");
    let scripts = place.home.path().join("scripts");
    fs::create_dir_all(&scripts).unwrap();
    let node = "require('readline').createInterface({ input: process.stdin }).on('line', line => {\n\
        const { id } = JSON.parse(line);\n\
        if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, result: {} })); });";
    let python = "import json, sys\nfor line in sys.stdin:\n    asked = json.loads(line)\n    \
        if 'id' in asked: print(json.dumps({'jsonrpc': '2.0', 'id': asked['id'], 'result': {}}), flush=True)";
    let java = "import java.util.*; import java.util.regex.*;\npublic class Server { public static void main(String[] a) {\n\
        Scanner in = new Scanner(System.in); while (in.hasNextLine()) {\n\
        Matcher id = Pattern.compile(\"\\\"id\\\":([^,}]+)\").matcher(in.nextLine());\n\
        if (id.find()) System.out.println(\"{\\\"jsonrpc\\\":\\\"2.0\\\",\\\"id\\\":\" + id.group(1) + \",\\\"result\\\":{}}\"); } } }";
    for (name, source) in [("server.js", node), ("server.py", python), ("Server.java", java)] {
        fs::write(scripts.join(name), source).unwrap();
    }
    let at = |name: &str| scripts.join(name).to_str().unwrap().to_owned();
    let (js, py, class) = (at("server.js"), at("server.py"), at("Server.java"));
    let itself = env!("CARGO_BIN_EXE_stockade");
    let mut lines = vec![
        vec!["node", &js],
        vec!["python3", &py],
        vec!["npx", "-y", "server@1.0.0"],
        vec!["uvx", "server==1.0"],
        vec![itself, "example", "hardened", "--root", "."],
    ];
    if Command::new("java").arg("-version").output().is_ok_and(|it| it.status.success()) {
        lines.push(vec!["java", &class]);
    }
    for line in lines {
        let root = scripts.to_str().unwrap();
        let words = [&["--root", root, "--"][..], &line].concat();
        let mut probe = Probe::of(&mut place.command("run", &words));
        let answer = probe.ask(&request(1, "ping", json!({})));
        assert!(answer.get("result").is_some(), "{line:?}: {answer}");
        assert_eq!(probe.end().code, Some(0), "{line:?}");
    }
}
