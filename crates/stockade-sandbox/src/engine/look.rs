//! What engines this machine has.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::EngineProgram;
use super::command::{client_env, find};
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

/// Looks whether an engine is there and answers. Nothing is started in it.
pub fn look(engine: EngineProgram) -> Option<Seen> {
    let program = find(engine.name())?;
    let ask = |args: &[&str]| {
        let answered = Command::new(&program)
            .args(args)
            .env_clear()
            .envs(client_env(engine))
            .stdin(Stdio::null())
            .output();
        let answered = answered.map_err(|it| it.to_string())?;
        if answered.status.success() {
            Ok(String::from_utf8_lossy(&answered.stdout).trim().to_owned())
        } else {
            Err(last_line(&String::from_utf8_lossy(&answered.stderr)))
        }
    };
    let version = ask(&["--version"]).unwrap_or_default();
    let unusable = match engine {
        EngineProgram::Podman => super::command::unusable_podman()
            .or_else(|| ask(&["info", "--format", "{{.Version.Version}}"]).err()),
        EngineProgram::Docker => ask(&["version", "--format", "{{.Server.Version}}"]).err(),
    };
    Some(Seen { engine, program, version, unusable })
}
