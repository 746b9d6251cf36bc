//! Which engines for containers this machine has, as far as they say so themselves.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use stockade_sandbox::Works;

/// How long an engine may take to say something: one whose service hangs says nothing.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// An engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Its program.
    pub name: &'static str,
    /// Whether it answers.
    pub works: Works,
    /// Its version, or why it is of no use.
    pub found: String,
}

/// Asks each of them.
pub fn found() -> Vec<Engine> {
    ["podman", "docker"].map(ask).into()
}

fn ask(name: &'static str) -> Engine {
    let (works, found) = match said(name, "--version") {
        Err(why) => (Works::No, why),
        Ok(version) => match said(name, "info") {
            Ok(_) => (Works::Yes, version),
            Err(why) => (Works::No, format!("{version}; `{name} info`: {why}")),
        },
    };
    Engine { name, works, found }
}

/// The first line of what it says, or of what it complains about.
fn said(program: &str, word: &str) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg(word).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        if is_missing { "it is not installed".to_owned() } else { error.to_string() }
    })?;
    let until = Instant::now() + ANSWER_MAX;
    // What it says fits into its pipes, or it has said enough.
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= until {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("it did not answer within {} s", ANSWER_MAX.as_secs()));
        }
        thread::sleep(Duration::from_millis(20));
    }
    let out = child.wait_with_output().map_err(|it| it.to_string())?;
    let first = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().find(|it| !it.trim().is_empty()).unwrap_or_default().trim().to_owned()
    };
    if out.status.success() { Ok(first(&out.stdout)) } else { Err(first(&out.stderr)) }
}
