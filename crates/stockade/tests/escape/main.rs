//! The server that tries to get out (`stockade example vulnerable --probe`), started in each way
//! that there is, and judged: by what it says, and by what is seen from outside. Without a sandbox
//! most of it must succeed, which shows that the attempts are real and that the judge sees them.
//! Run by root, everything is run again as an ordinary user.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "these are tests, which clippy.toml sees only inside of `#[test]`"
)]

mod ground;
mod launcher;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use serde_json::Value;

use ground::{Ground, PIPE_IN_RO};
use launcher::{LAUNCHERS, Launcher};

const NOBODY: u32 = 65534;

/// Where root has planted a setuid program for those who are not root.
const SETUID: &str = "STOCKADE_ESCAPE_SETUID";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["on-terminal", ref rest @ ..] => launcher::on_terminal(rest),
        ["as-nobody", ..] => judge_all("an ordinary user", words.get(1).copied()),
        _ => run_all(words.iter().find(|it| !it.starts_with('-')).copied()),
    }
}

fn run_all(filter: Option<&str>) -> ExitCode {
    println!("{}", kernel());
    if !rustix::process::geteuid().is_root() {
        println!("not run as root, so not tried as root");
        return judge_all("this user", filter);
    }
    let planted = Planted::new();
    let as_root = judge_all("root", filter);
    let as_nobody = Command::new("/proc/self/exe")
        .arg("as-nobody")
        .args(filter)
        .current_dir("/")
        .env(SETUID, planted.0.join("id"))
        .uid(NOBODY)
        .gid(NOBODY)
        .status()
        .expect("this test can drop to an ordinary user");
    if as_nobody.success() { as_root } else { ExitCode::FAILURE }
}

/// A program that runs as root, for whoever executes it. It tells who it is and does nothing else.
struct Planted(PathBuf);

impl Planted {
    fn new() -> Self {
        let place = env::temp_dir().join(format!("stockade-escape-setuid-{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        fs::copy("/usr/bin/id", place.join("id")).unwrap();
        fs::set_permissions(place.join("id"), fs::Permissions::from_mode(0o4755)).unwrap();
        Self(place)
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn kernel() -> String {
    let kernel = rustix::system::uname();
    let lsm = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or("unknown".into());
    format!("Linux {}, security modules: {lsm}", kernel.release().to_string_lossy())
}

fn judge_all(who: &str, filter: Option<&str>) -> ExitCode {
    let setuid = env::var(SETUID).ok();
    let mut code = ExitCode::SUCCESS;
    for launcher in LAUNCHERS.iter().filter(|it| filter.is_none_or(|f| it.name.contains(f))) {
        if let Err(why) = (launcher.possible)() {
            println!("{who}: {}: not run: {why}", launcher.name);
            continue;
        }
        let mut ground = Ground::new(setuid.as_deref());
        let (said, memory_holds) = launcher.run(&ground, setuid.as_deref());
        let judged = Judged { said, harm: ground.harm(), memory_holds };
        println!("{who}: {judged:>10}", judged = launcher.name);
        for line in judged.table() {
            println!("    {line}");
        }
        let wrong = judged.wrong(launcher);
        for it in &wrong {
            println!("    FAILED: {it}");
        }
        if !wrong.is_empty() {
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// What a server said of its attempts, and what was seen from outside.
struct Judged {
    said: Vec<Value>,
    harm: Vec<String>,
    memory_holds: bool,
}

impl Judged {
    fn of<'a>(&'a self, result: &'a str) -> impl Iterator<Item = &'a Value> {
        self.said.iter().filter(move |it| it["result"] == *result)
    }

    /// What got out, without what is weaker by name.
    fn escaped(&self) -> Vec<&Value> {
        let weaker =
            |it: &Value| !self.memory_holds && it["id"].as_str().unwrap().starts_with("memory.");
        self.of("escaped").filter(|it| !weaker(it)).collect()
    }

    fn count(&self, severity: &str) -> usize {
        self.escaped().iter().filter(|it| it["severity"] == *severity).count()
    }

    fn table(&self) -> Vec<String> {
        let by = |it: &str| format!("{} {it}", self.count(it));
        let mut lines = vec![format!(
            "escaped: {} ({}), held: {}, could not be tried: {}, needs: {} work, {} broken{}",
            self.escaped().len(),
            ["critical", "high", "medium", "low"].map(by).join(", "),
            self.of("held").count(),
            self.of("could-not-try").count(),
            self.of("works").count(),
            self.of("broken").count(),
            if self.memory_holds { "" } else { "; memory is weaker by name" },
        )];
        let mut areas: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
        for it in self.said.iter().filter(|it| it["area"] != "needs") {
            let [escaped, all] = areas.entry(it["area"].as_str().unwrap()).or_default();
            *escaped += usize::from(it["result"] == "escaped");
            *all += usize::from(it["result"] != "could-not-try");
        }
        let areas: Vec<String> =
            areas.iter().map(|(name, [out, all])| format!("{name} {out}/{all}")).collect();
        lines.push(format!("by area: {}", areas.join(", ")));
        if self.escaped().len() < 10 {
            let told = |it: &&Value| format!("{} ({}): {}", it["id"], it["severity"], it["detail"]);
            lines.extend(self.escaped().iter().map(told));
        }
        lines
    }

    fn wrong(&self, launcher: &Launcher) -> Vec<String> {
        let mut wrong = Vec::new();
        let told = |it: &&Value| format!("{}: {}", it["id"], it["detail"]);
        let Some(most) = launcher.most else {
            // The judge must be able to see what it looks for.
            for seen in [
                "somebody came to a TCP listener",
                "somebody came to a TCP listener of IPv6",
                "somebody came to a UDP socket",
                "somebody came to a unix socket outside",
                "somebody came to a unix socket in the writable root",
                "somebody came to a unix socket in the read-only root",
                "somebody came to an abstract socket",
                "somebody came to a datagram socket in the writable root",
                "somebody came to a pipe with a name outside",
                "somebody came to a pipe with a name in the read-only root",
                "a process was left",
                "outside/made is new",
                ".mcp.json was changed",
                "ro/file was changed",
                "is setuid",
                "another process got",
            ] {
                if !self.harm.iter().any(|it| it.contains(seen)) {
                    wrong.push(format!("it was not seen from outside that {seen}"));
                }
            }
            let held: Vec<String> = self.of("held").map(|it| told(&it)).collect();
            if self.escaped().len() < held.len() {
                wrong.push(format!("most attempts must succeed without a sandbox: {held:#?}"));
            }
            return wrong;
        };
        let counts = [self.count("critical"), self.count("high"), self.escaped().len()];
        if counts.iter().zip(most).any(|(count, most)| *count > most) {
            let escaped: Vec<String> = self.escaped().iter().map(told).collect();
            wrong.push(format!("got out: {escaped:#?}"));
        }
        let broken: Vec<String> = self.of("broken").map(|it| told(&it)).collect();
        if !broken.is_empty() || self.of("works").count() < 17 {
            wrong.push(format!("does not work: {broken:#?}"));
        }
        if self.said.len() < 190 {
            wrong.push(format!("only {} attempts were made", self.said.len()));
        }
        let harm: Vec<_> = self.harm.iter().filter(|it| !it.contains(PIPE_IN_RO)).collect();
        if !harm.is_empty() {
            wrong.push(format!("seen from outside: {harm:#?}"));
        }
        wrong
    }
}
