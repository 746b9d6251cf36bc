//! What engines this machine has.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::geteuid;

use super::EngineProgram;
use super::ask::{ANSWER_MAX, ask};
use super::command::{client_env, find, unusable};
use super::image::last_line;

/// An engine that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Which one.
    pub engine: EngineProgram,
    /// Its program.
    pub program: PathBuf,
    /// What it says its version is.
    pub version: String,
    /// Why it cannot be used here, if it cannot.
    pub unusable: Option<String>,
}

/// Looks whether an engine is there and answers. Nothing is started in it, and one that this user
/// cannot use is not asked.
pub fn look(engine: EngineProgram) -> Option<Seen> {
    let program = find(engine.name())?;
    if let Some(why) = unusable(engine) {
        return Some(Seen { engine, program, version: String::new(), unusable: Some(why) });
    }
    let ask = |args: &[&str]| {
        let mut client = Command::new(&program);
        client.args(args).env_clear().envs(client_env(engine)).current_dir("/");
        let answered = ask(&mut client, &[], ANSWER_MAX).map_err(|it| it.to_string())?;
        if answered.status.success() {
            Ok(answered.stdout.trim().to_owned())
        } else {
            Err(last_line(&answered.stderr))
        }
    };
    let version = ask(&["--version"]).unwrap_or_default();
    let unusable = match engine {
        // That of an ordinary user would leave a process and files.
        EngineProgram::Podman if !geteuid().is_root() => None,
        EngineProgram::Podman => ask(&["info", "--format", "{{.Version.Version}}"]).err(),
        EngineProgram::Docker => ask(&["version", "--format", "{{.Server.Version}}"]).err(),
    };
    Some(Seen { engine, program, version, unusable })
}
