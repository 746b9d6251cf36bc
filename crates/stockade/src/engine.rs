//! Which engines for containers this machine has, as the sandbox would use them.

use stockade_core::check::visible;
use stockade_sandbox::{EngineProgram, Works, look};

/// An engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Its program.
    pub name: &'static str,
    /// Whether it can be used here.
    pub works: Works,
    /// Its version, or why it is of no use.
    pub found: String,
}

/// Looks for each of them.
pub fn found() -> Vec<Engine> {
    [EngineProgram::Podman, EngineProgram::Docker].map(of).into()
}

fn of(engine: EngineProgram) -> Engine {
    let (works, found) = match look(engine) {
        None => (Works::No, "it is not installed".to_owned()),
        Some(seen) => match seen.unusable {
            None => (Works::Yes, seen.version),
            Some(why) if seen.version.is_empty() => (Works::No, why),
            Some(why) => (Works::No, format!("{}; {why}", seen.version)),
        },
    };
    // What an engine says is shown on a terminal.
    Engine { name: engine.name(), works, found: visible(&found) }
}
