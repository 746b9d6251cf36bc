//! `stockade scan SOURCE…`: what it finds in the source of servers, and that it only reads.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::Home;

crate::rows![
    c13_bad_advice_is_told_of_and_what_is_safer_is_not,
    c14_a_source_is_read_and_nothing_else,
    c14_what_is_too_much_is_told,
    c15_what_is_found_is_for_a_person_for_programs_and_for_code_hosts,
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn scan(args: &[&str]) -> Output {
    Home::new().stockade(["scan"].iter().chain(args)).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one source of a scan as JSON.
fn found(args: &[&str]) -> (Value, Option<i32>) {
    let output = scan(&[args, &["--format", "json"]].concat());
    let said = out(&output);
    let mut all: Value = serde_json::from_str(&said).unwrap_or_else(|it| panic!("{it}: {said}"));
    (all["sources"][0].take(), output.status.code())
}

/// The rules of its findings and notes.
fn rules(source: &Value) -> BTreeSet<&str> {
    let all = ["findings", "notes"].map(|it| source[it].as_array().unwrap());
    all.into_iter().flatten().map(|it| it["rule"].as_str().unwrap()).collect()
}

fn the_only(directory: &Path, stem: &str) -> PathBuf {
    let files = fs::read_dir(directory).unwrap().map(|it| it.unwrap().path());
    files.into_iter().find(|it| it.file_stem().unwrap() == stem).unwrap()
}

/// Each page of `docs/attacks` is a piece of advice, and there is a sample of each.
fn c13_bad_advice_is_told_of_and_what_is_safer_is_not() {
    let pages = fs::read_dir(crates().join("../docs/attacks")).unwrap();
    let pages = pages.map(|it| it.unwrap().path().file_stem().unwrap().to_owned());
    let pages: BTreeSet<_> = pages.filter(|it| it != "table").collect();
    assert_eq!(pages.len(), 14);
    for page in pages {
        let sample = crates().join("stockade-audit/tests/advice").join(&page);
        let advice = the_only(&sample, "advice");
        let text = fs::read_to_string(&advice).unwrap();
        let rule = text.lines().next().unwrap().split("rule: ").nth(1).unwrap();
        let advice = advice.to_str().unwrap();
        let (source, _) = found(&[advice]);
        assert!(rules(&source).contains(rule), "{page:?}: {source}");

        // A person is told the rule, and what to write instead.
        let all = ["findings", "notes"].map(|it| source[it].as_array().unwrap());
        let told = all.into_iter().flatten().find(|it| it["rule"] == rule).unwrap();
        let fix = told["fix"].as_str().unwrap();
        let said = out(&scan(&[advice]));
        assert!(said.contains(&format!(": {rule}\n")), "{said}");
        assert!(fix.len() > 20 && said.contains(&format!("  instead: {fix}\n")), "{said}");

        let safer = the_only(&sample, "safer");
        let (source, code) = found(&[safer.to_str().unwrap(), "--fail-on", "medium"]);
        assert!(!rules(&source).contains(rule), "{page:?}: {source}");
        assert_eq!(code, Some(0), "{page:?}: {source}");
    }
}

const SECRET: &str = "sk-proj-0a1B2c3D4e5F6g7H8i9J0k1L";

/// A repository that would like to be started, to be followed, and to be believed.
fn hostile(home: &Path) -> PathBuf {
    let (root, canary) = (home.join("repository"), home.join("canary"));
    let write = |name: &str, text: &str| {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
    };
    let touch = format!("touch {}\n", canary.display());
    for hook in ["pre-commit", "post-checkout", "fsmonitor-watchman"] {
        write(&format!(".git/hooks/{hook}"), &format!("#!/bin/sh\n{touch}"));
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(root.join(format!(".git/hooks/{hook}")), executable).unwrap();
    }
    write(".git/config", &format!("[core]\n\tfsmonitor = {touch}"));
    write("package.json", &format!("{{\"scripts\": {{\"preinstall\": \"{}\"}}}}", touch.trim()));
    let start = format!("import os\nos.system(\"{}\")\n", touch.trim());
    for name in ["setup.py", "conftest.py", "server.py", "sitecustomize.py"] {
        write(name, &start);
    }
    write("build.rs", &format!("fn main() {{ let _ = \"{}\"; }}", touch.trim()));
    // Out of the repository, in a circle, and into what never ends.
    fs::write(home.join("outside.py"), format!("API_KEY = \"{SECRET}\"\n")).unwrap();
    symlink(home.join("outside.py"), root.join("link.py")).unwrap();
    symlink(home, root.join("up")).unwrap();
    symlink(&root, root.join("again")).unwrap();
    symlink("/dev/zero", root.join("zero.py")).unwrap();
    let made = Command::new("mkfifo").arg(root.join("pipe.py")).status().unwrap();
    assert!(made.success());
    // A name that would command the terminal.
    write("\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}.py", "password = \"hunter2hunter2!7\"\n");
    root
}

fn c14_a_source_is_read_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let root = hostile(home.path());
    let trace = home.path().join("trace");
    let calls = "trace=execve,execveat,fork,vfork,socket,connect,openat,unlink,rename,mkdir";
    let traced = Command::new("strace")
        .args(["-f", "-qq", "-e", calls, "-o"])
        .arg(&trace)
        .args([env!("CARGO_BIN_EXE_stockade"), "scan", "--static"])
        .arg(&root)
        .output();
    let output = match traced {
        Ok(it) => it,
        Err(error) => return eprintln!("left out: there is no strace: {error}"),
    };
    // The password in the file with the worst name is found.
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let trace = fs::read_to_string(&trace).unwrap();
    let of = |call: &str| trace.lines().filter(|it| it.contains(call)).collect::<Vec<_>>();
    assert_eq!(of("execve").len(), 1, "{trace}");
    for call in ["fork(", "socket(", "connect(", "unlink(", "rename(", "mkdir("] {
        assert!(of(call).is_empty(), "{trace}");
    }
    let below = root.to_str().unwrap();
    for it in of("openat(").into_iter().filter(|it| it.contains(below)) {
        assert!(!it.contains("O_WRONLY") && !it.contains("O_RDWR"), "{it}");
        assert!(!it.contains(".git") && !it.contains("link.py") && !it.contains("/up"), "{it}");
    }
    assert!(!home.path().join("canary").exists(), "something was started");

    let said = out(&output);
    assert!(!said.contains(SECRET) && !said.contains("outside.py"), "{said}");
    assert!(said.contains("link.py: a link"), "{said}");
    assert!(said.contains("pipe.py: no file"), "{said}");
    let commands = ['\u{1b}', '\u{7}', '\u{202e}'];
    assert!(!said.contains(commands), "{said:?}");
    for format in ["json", "sarif"] {
        let said = out(&scan(&[below, "--format", format]));
        assert!(!said.contains(commands), "{said:?}");
        assert!(serde_json::from_str::<Value>(&said).is_ok(), "{said}");
    }
    // One that is named is followed: that is what its user says.
    let (source, _) = found(&[root.join("link.py").to_str().unwrap()]);
    assert!(rules(&source).contains("token_in_code"), "{source}");
}

fn c14_what_is_too_much_is_told() {
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let chain: String =
        (0..40).map(|it| format!("def f{it}(a):\n    return f{}(a)\n", it + 1)).collect();
    let calls = format!(
        "import os\nfrom mcp.server.fastmcp import FastMCP\nmcp = FastMCP('x')\n{chain}def f40(a):\n    \
         os.system(a)\n@mcp.tool()\ndef t(cmd: str):\n    return f0(cmd)\n"
    );
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("huge.py", vec![b'#'; 2 << 20], "too_large"),
        ("bytes.py", b"x = '\xff\xfe'\n".to_vec(), "not_text"),
        ("deep.py", format!("x = {deep}\n").into_bytes(), "too_deep"),
        ("deep.js", deep.replace("((((((((", "((((((((\n").into_bytes(), "too_deep"),
        ("calls.py", calls.into_bytes(), "calls_too_deep"),
        ("torn.go", b"package main\nfunc main() { if ((( \n".to_vec(), "syntax"),
    ];
    for (name, bytes, cause) in cases {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("fine.py"), "x = 1\n").unwrap();
        fs::write(home.path().join(name), bytes).unwrap();
        let (source, code) = found(&[home.path().to_str().unwrap()]);
        let causes: Vec<String> = source["failures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["cause"].to_string())
            .collect();
        assert!(causes.iter().any(|it| it.contains(cause)), "{name}: {source}");
        assert_eq!(code, Some(2), "{name}: what was not read is no clean bill");
        let said = out(&scan(&[home.path().to_str().unwrap()]));
        assert!(said.contains("no clean bill") && said.contains(name), "{said}");
    }
    // Directories in directories, and none with a source.
    let home = tempfile::tempdir().unwrap();
    let deep: PathBuf = std::iter::repeat_n("d", 60).collect();
    fs::create_dir_all(home.path().join(deep)).unwrap();
    let (source, code) = found(&[home.path().to_str().unwrap()]);
    assert_eq!((source["failures"][0]["cause"].as_str(), code), (Some("too_deep"), Some(2)));
    let empty = tempfile::tempdir().unwrap();
    let output = scan(&[empty.path().to_str().unwrap()]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""));
    assert_eq!(scan(&["/nowhere/at/all"]).status.code(), Some(2));
}

fn c15_what_is_found_is_for_a_person_for_programs_and_for_code_hosts() {
    let home = tempfile::tempdir().unwrap();
    let source = "from mcp.server.fastmcp import FastMCP\nmcp = FastMCP('x')\n\n@mcp.tool()\n\
                  def read(path: str) -> str:\n    return open(path).read()\n";
    fs::create_dir(home.path().join("a b")).unwrap();
    fs::write(home.path().join("a b/server.py"), source).unwrap();
    let mut command = Home::new().stockade(["scan", "a b", "--format", "sarif"]);
    let output = command.current_dir(home.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let described = run["tool"]["driver"]["rules"].as_array().unwrap();
    for it in described {
        let id = it["id"].as_str().unwrap();
        assert!(it["helpUri"].as_str().unwrap().ends_with(&format!("/{id}.md")), "{it}");
        let file = crates().join(format!("stockade-audit/src/rules/{id}.md"));
        assert!(file.is_file(), "{}", file.display());
        let page = it["help"]["markdown"].as_str().unwrap().trim_end().to_owned();
        for text in ["shortDescription", "fullDescription"] {
            assert!(it[text]["text"].as_str().is_some_and(|it| !it.is_empty()), "{it}");
        }
        // `explain` has the same page.
        let explained = Home::new().stockade(["explain", id]).output().unwrap();
        assert_eq!(out(&explained).trim_end(), page);
    }
    let results = run["results"].as_array().unwrap();
    for it in results {
        let index = usize::try_from(it["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(described[index]["id"], it["ruleId"]);
        assert_eq!(it["kind"] == "fail", it["level"] != "none", "{it}");
        assert!(["error", "warning", "note", "none"].contains(&it["level"].as_str().unwrap()));
        let place = &it["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/server.py");
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1, "{it}");
        assert!(!it["message"]["text"].as_str().unwrap().is_empty());
    }
    let escape = results.iter().find(|it| it["ruleId"] == "path_escape").unwrap();
    assert_eq!((escape["level"].as_str(), escape["kind"].as_str()), (Some("error"), Some("fail")));
    assert_eq!(escape["locations"][0]["physicalLocation"]["region"]["startLine"], 6);
    let steps = escape["codeFlows"][0]["threadFlows"][0]["locations"].as_array().unwrap();
    assert!(steps.len() >= 2, "{escape}");
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    // What is no mistake by itself fails nothing.
    let note = results.iter().find(|it| it["ruleId"] == "missing_annotations").unwrap();
    assert_eq!(note["kind"], "informational");

    let file = home.path().join("a b/server.py");
    let file = file.to_str().unwrap();
    let (json, code) = found(&[file]);
    assert_eq!(code, Some(1));
    let mut all = json["findings"].as_array().unwrap().iter();
    let escape = all.find(|it| it["rule"] == "path_escape").unwrap();
    let fields = (escape["rule"].as_str(), escape["severity"].as_str(), escape["line"].as_u64());
    assert_eq!(fields, (Some("path_escape"), Some("high"), Some(6)));
    assert_eq!((escape["tool"].as_str(), escape["cwe"].as_u64()), (Some("read"), Some(22)));
    assert_eq!(json["tools"][0]["name"], "read");
    assert_eq!(json["capabilities"][0], "read_files");
    let said = out(&scan(&[file]));
    assert!(said.contains(&format!("{file}:6: high: path_escape\n")), "{said}");

    // A habit to lose: what fails is said with `--fail-on`.
    let lower = home.path().join("log.py");
    let text = "def clean(text):\n    return re.sub('[\\u200b-\\u200f]', '', text)\n";
    fs::write(&lower, text).unwrap();
    let lower = lower.to_str().unwrap();
    assert_eq!(scan(&[lower]).status.code(), Some(0));
    assert_eq!(scan(&[lower, "--fail-on", "medium"]).status.code(), Some(0));
    assert_eq!(scan(&[lower, "--fail-on", "low"]).status.code(), Some(1));
    // What is printed for texts is JSON whatever is said.
    let refused = scan(&["--text", "-", "--format", "sarif"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}
