//! A directory that everything of one row is in, and the commands that are run in it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{Script, fake};

/// A directory of its own for every row: home, state, policy, scripts, logs.
#[derive(Debug)]
pub(crate) struct Home(TempDir);

/// A scripted server that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Fake {
    pub(crate) script: PathBuf,
    log: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::with_prefix("stockade-controls-").unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where the ledger is.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.path().join("state/ledger")
    }

    /// The built binary, in an environment that has nothing of the one the tests run in.
    pub(crate) fn stockade<I: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = I>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stockade"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("XDG_STATE_HOME", self.path().join("elsewhere"))
            .current_dir(self.path())
            .args(args);
        command
    }

    /// What `run` and `serve` need to stay in this directory, with a server that nothing holds: the
    /// fakes write down here what they hear.
    pub(crate) fn unheld(&self) -> Vec<OsString> {
        [&self.state()[..], &["--sandbox".into(), "none".into()]].concat()
    }

    /// The options that keep the ledger in this directory.
    pub(crate) fn state(&self) -> [OsString; 2] {
        ["--state".into(), self.path().join("state").into()]
    }

    /// Writes a policy. Every command of `run` and `serve` here uses it.
    pub(crate) fn policy(&self, text: &str) -> PathBuf {
        let file = self.path().join("config/stockade/stockade.toml");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        // Replaced in one step, as an editor does it.
        let new = file.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &file).unwrap();
        file
    }

    /// A server that does what `script` says.
    pub(crate) fn fake(&self, script: Script) -> Fake {
        let number = fs::read_dir(self.path()).unwrap().count();
        let log = self.path().join(format!("fake-{number}.log"));
        let file = self.path().join(format!("fake-{number}.json"));
        fs::write(&log, "").unwrap();
        let script = Script { log: log.clone(), ..script };
        fs::write(&file, serde_json::to_vec(&script).unwrap()).unwrap();
        Fake { script: file, log }
    }

    /// `stockade audit …`.
    pub(crate) fn audit(&self, args: &[&str]) -> Output {
        let mut command = self.stockade([OsString::from("audit")].into_iter().chain(self.state()));
        command.args(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Whether the ledger is whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.audit(&["verify"]).status.success()
    }

    /// Every record of the ledger, as `stockade audit export` prints it.
    pub(crate) fn records(&self) -> Vec<Value> {
        let output = self.audit(&["export"]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|it| serde_json::from_str(it).expect(it)).collect()
    }

    /// The records of a kind.
    pub(crate) fn records_of(&self, kind: &str) -> Vec<Value> {
        self.records().into_iter().filter(|it| it["kind"] == kind).collect()
    }
}

impl Fake {
    /// What it is started with.
    pub(crate) fn command(&self) -> [OsString; 3] {
        let this = std::env::current_exe().unwrap();
        [this.into(), fake::ARG.into(), self.script.clone().into()]
    }

    /// Does what another script says from now on, if it is fickle.
    pub(crate) fn becomes(&self, script: &Script) {
        let script = Script { log: self.log.clone(), fickle: true, ..script.clone() };
        // Replaced in one step: it may be about to read it.
        let new = self.script.with_extension("new");
        fs::write(&new, serde_json::to_vec(&script).unwrap()).unwrap();
        fs::rename(&new, &self.script).unwrap();
    }

    /// Every byte that it was sent.
    pub(crate) fn heard(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// The messages that it was sent.
    pub(crate) fn messages(&self) -> Vec<Value> {
        self.heard().lines().map(|it| serde_json::from_str(it).expect(it)).collect()
    }

    /// How often it was asked for `method`.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.messages().iter().filter(|it| it["method"] == method).count()
    }

    /// What is on its command line, and on no other.
    pub(crate) fn mark(&self) -> &str {
        self.script.to_str().unwrap()
    }
}

/// Puts a copy of the built binary there, for users who cannot look into where it is. Not by this
/// process: a descriptor that is open for writing would be in whatever another row forks meanwhile,
/// and the copy could not be executed.
pub(crate) fn copy_stockade(to: &Path) {
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_stockade")).arg(to).status();
    assert!(copied.unwrap().success());
}
