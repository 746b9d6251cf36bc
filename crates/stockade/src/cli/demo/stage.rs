//! Where the scenes are played: a directory of its own, and the processes of the guards. Both are
//! gone when the demo ends, however it ends.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use stockade_sandbox::Guarantee;
use stockade_store::Tail;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::scene::Trouble;

/// What is in the one file that honest calls read.
pub(super) const NOTE: &str = "gone fishing";
/// What is in the files that nobody may read. No answer may hold it.
pub(super) const PRIVATE: &str = "nobody may read this";

/// How long a guard may take to end, before it is made to.
const GRACE: Duration = Duration::from_secs(5);
/// So much of what guards complained of is shown when the demo cannot go on.
const COMPLAINTS_BYTES: u64 = 2 << 10;

/// A reference server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Server {
    /// The careful one.
    Hardened,
    /// The careless one.
    Vulnerable,
}

#[derive(Debug)]
pub(super) struct Stage {
    /// Removed when this is dropped.
    dir: TempDir,
    path: PathBuf,
    exe: PathBuf,
    guards: Vec<Guard>,
}

#[derive(Debug)]
struct Guard {
    child: Child,
    /// It ends when it is told to. The others end when their client hangs up.
    serves: bool,
}

/// What holds while it is played: the user's own policy is not what is shown here. Commands are let
/// pass, or no scene would come to what the sandbox alone holds.
const POLICY: &str = "\
preset = \"default\"
[[arguments]]
tool = \"run_command\"
commands = \"any\"
";

impl Stage {
    /// A directory with a project, a file outside it, and a project whose name begins the same.
    pub(super) fn new() -> Result<Self, Trouble> {
        let dir = tempfile::Builder::new().prefix("stockade-demo-").tempdir()?;
        let path = dir.path().canonicalize()?;
        for (name, text) in [
            ("project/notes.txt", NOTE),
            ("project-private/pay.txt", PRIVATE),
            ("outside.txt", PRIVATE),
        ] {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap_or(&path))?;
            fs::write(file, text)?;
        }
        fs::write(path.join("stockade.toml"), POLICY)?;
        Ok(Self { dir, path, exe: std::env::current_exe()?, guards: Vec::new() })
    }

    /// A path on the stage.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory that the servers serve.
    pub(super) fn root(&self) -> PathBuf {
        self.path("project")
    }

    /// What `--state` is.
    pub(super) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.state().join("ledger")
    }

    /// Starts `stockade run … -- stockade example …`, as a client's configuration would.
    pub(super) fn run(&mut self, server: Server) -> Result<&mut Child, Trouble> {
        self.start(&["run"], server)
    }

    /// Starts `stockade serve --listen ADDRESS … -- stockade example …`.
    pub(super) fn serve(&mut self, address: SocketAddr) -> Result<&mut Child, Trouble> {
        self.start(&["serve", "--listen", &address.to_string()], Server::Hardened)
    }

    fn start(&mut self, words: &[&str], server: Server) -> Result<&mut Child, Trouble> {
        let name = match server {
            Server::Hardened => "hardened",
            Server::Vulnerable => "vulnerable",
        };
        let mut args: Vec<OsString> = words.iter().map(OsString::from).collect();
        for (option, path) in [
            ("--policy", self.path("stockade.toml")),
            ("--state", self.state()),
            ("--root", self.root()),
        ] {
            args.extend([option.into(), path.into()]);
        }
        // What cannot be enforced on this machine is said, and the rest is shown all the same.
        for weaker in Guarantee::WEAKER {
            args.extend(["--allow-weaker".into(), weaker.name().into()]);
        }
        args.extend(["--".into(), self.exe.clone().into(), "example".into(), name.into()]);
        args.extend(["--root".into(), self.root().into()]);
        let errors = File::options().create(true).append(true).open(self.path(ERRORS))?;
        let child = Command::new(&self.exe)
            .args(args)
            .current_dir(&self.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()?;
        let serves = words.first() == Some(&"serve");
        self.guards.push(Guard { child, serves });
        self.guards.last_mut().map(|it| &mut it.child).ok_or(Trouble::Ended)
    }

    /// Waits for the guard that was started last.
    pub(super) async fn last_ended(&mut self) {
        if let Some(guard) = self.guards.last_mut() {
            let _status = guard.child.wait().await;
        }
    }

    /// Ends every guard, which ends its server. Their clients have hung up.
    pub(super) async fn end_guards(&mut self) {
        for Guard { mut child, serves } in self.guards.drain(..) {
            let pid = child.id().and_then(|it| Pid::from_raw(it.cast_signed()));
            if let Some(pid) = pid.filter(|_| serves) {
                // One that is gone already needs no telling.
                let _gone = kill_process(pid, Signal::TERM);
            }
            drop(child.stdin.take());
            if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                // What it started ends with it.
                let _gone = child.kill().await;
            }
        }
    }

    /// Ends everything, and removes the directory.
    pub(super) async fn clear(mut self) {
        self.end_guards().await;
        // What could not be removed is in the system's directory for such files.
        let _removed = self.dir.close();
    }

    /// The last that the guards wrote to standard error.
    pub(super) fn complaints(&self) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(self.path(ERRORS))?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(COMPLAINTS_BYTES)))?;
            let mut bytes = Vec::new();
            file.take(COMPLAINTS_BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let text = read().unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|it| !it.is_empty()).collect();
        if lines.is_empty() {
            String::new()
        } else {
            format!("the guard said: {}", lines.join("; "))
        }
    }

    /// A copy of the ledger in which somebody changed one byte of a decision.
    pub(super) fn forged_copy(&self) -> Result<PathBuf, Trouble> {
        let copy = self.path("forged");
        fs::create_dir(&copy)?;
        let mut forged = false;
        for entry in fs::read_dir(self.ledger())? {
            let entry = entry?;
            let mut bytes = fs::read(entry.path())?;
            let is_segment = entry.path().extension().is_some_and(|it| it == "jsonl");
            if is_segment && !forged {
                forged = forge(&mut bytes);
            }
            fs::write(copy.join(entry.file_name()), bytes)?;
        }
        if forged { Ok(copy) } else { Err(Trouble::NothingToForge) }
    }
}

/// Puts another letter in place of the first of what was decided.
fn forge(bytes: &mut [u8]) -> bool {
    let at = memchr::memmem::find(bytes, DECISION);
    let letter = at.and_then(|at| bytes.get_mut(at + DECISION.len()));
    letter.map(|it| *it = b'X').is_some()
}

const DECISION: &[u8] = b"\"decision\":\"";

/// The first guard has written no more than these by the time that it is watched.
const FIRST_RECORDS: usize = 100;

/// Where the guards' standard error goes.
const ERRORS: &str = "errors";

/// Reads what the guards write to the ledger, while they do.
#[derive(Debug)]
pub(super) struct Watch {
    tail: Tail,
}

impl Watch {
    /// A watch over the ledger that the first guard has begun.
    pub(super) fn new(stage: &Stage) -> Result<Self, Trouble> {
        Ok(Self { tail: stockade_store::tail(Path::new(&stage.ledger()), FIRST_RECORDS, true)? })
    }

    /// What was written since the last time.
    pub(super) fn fresh(&mut self) -> Result<Vec<Value>, Trouble> {
        let records = self.tail.fresh()?;
        Ok(records.iter().filter_map(|it| serde_json::from_str(&it.json).ok()).collect())
    }
}
