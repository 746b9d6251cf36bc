//! A server that tries to get out: what a hostile one could do to the machine it runs on, one
//! attempt after the other, and what a peaceful one needs. Run without a sandbox most attempts
//! succeed, which is what shows that they are real; run in one, none should.
//!
//! No attempt does lasting harm where it succeeds: what it reads, writes and signals was planted
//! for it and is named by the [`Plan`], files of the machine are opened and not written to, and
//! what uses up the machine is bounded. Each attempt is made in a process of its own, so that one
//! that is killed for it, or that hangs, says that too.

mod calls;
mod devices;
mod environment;
mod files;
mod ipc;
mod needs;
mod network;
mod plan;
mod processes;
mod raw;
mod resources;
mod writes;

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

pub use plan::Plan;

use plan::Missing;
use raw::Ended;

/// What an attempt may take. None waits for anybody for long.
const ATTEMPT_MAX: Duration = Duration::from_secs(20);

/// What would be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Area {
    Files,
    Writes,
    Processes,
    Calls,
    Network,
    Ipc,
    Devices,
    Environment,
    Resources,
    /// What must work.
    Needs,
}

/// How bad an escape would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    /// It has the user, or the machine.
    Critical,
    /// It has something of the user, of another server, or of the machine.
    High,
    /// It is a step towards that.
    Medium,
    /// It knows or uses more than it should.
    Low,
    /// It is no escape, but a normal server's work.
    Need,
}

/// How an attempt came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It was refused.
    Held,
    /// It succeeded; for a need, that is as it should be.
    Done,
    /// What it is about is not there, so that nothing was shown.
    Untried,
}

#[derive(Clone, Debug)]
struct Outcome {
    verdict: Verdict,
    detail: String,
}

type Came = Result<Outcome, Missing>;

/// One attempt.
struct Probe {
    id: String,
    area: Area,
    severity: Severity,
    /// What it would mean.
    means: &'static str,
    attempt: Box<dyn Fn(&Plan) -> Came>,
}

impl Probe {
    fn new(
        id: impl Into<String>,
        area: Area,
        severity: Severity,
        means: &'static str,
        attempt: impl Fn(&Plan) -> Came + 'static,
    ) -> Self {
        Self { id: id.into(), area, severity, means, attempt: Box::new(attempt) }
    }
}

impl Outcome {
    fn held(detail: impl fmt::Display) -> Self {
        Self { verdict: Verdict::Held, detail: detail.to_string() }
    }

    fn done(detail: impl fmt::Display) -> Self {
        Self { verdict: Verdict::Done, detail: detail.to_string() }
    }

    fn untried(detail: impl fmt::Display) -> Self {
        Self { verdict: Verdict::Untried, detail: detail.to_string() }
    }

    /// An attempt that succeeds is an escape.
    fn of<T>(came: io::Result<T>) -> Self {
        match came {
            Ok(_) => Self::done("succeeded"),
            Err(error) => Self::held(error),
        }
    }

    /// An attempt at a call of the kernel, which must be refused by permission and not for its
    /// arguments: `EINVAL` would say that nobody stood in the way.
    fn refused<T>(came: io::Result<T>) -> Self {
        const REFUSALS: [i32; 6] = [
            libc::EPERM,
            libc::EACCES,
            libc::ENOSYS,
            libc::EAFNOSUPPORT,
            libc::EPROTONOSUPPORT,
            libc::EOPNOTSUPP,
        ];
        match came {
            Ok(_) => Self::done("succeeded"),
            Err(error) if error.raw_os_error().is_some_and(|it| REFUSALS.contains(&it)) => {
                Self::held(error)
            }
            Err(error) => Self::done(format!("reached the kernel, which says: {error}")),
        }
    }

    /// Something was looked for.
    fn unless(found: bool, detail: impl fmt::Display) -> Self {
        if found { Self::done(detail) } else { Self::held(format!("not so: {detail}")) }
    }
}

fn all() -> Vec<Probe> {
    [
        files::probes(),
        writes::probes(),
        processes::probes(),
        calls::probes(),
        network::probes(),
        ipc::probes(),
        devices::probes(),
        environment::probes(),
        resources::probes(),
        needs::probes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Makes every attempt, and writes one line of JSON about each as soon as it is over.
///
/// It fails where this process has more than one thread, since every attempt is forked from it.
pub fn run(plan: &Plan, mut out: impl Write) -> io::Result<()> {
    raw::alone()?;
    for probe in all().iter().filter(|it| plan.wants(&it.id)) {
        let outcome = apart(probe, plan)?;
        writeln!(out, "{}", line(probe, &outcome))?;
        out.flush()?;
    }
    Ok(())
}

/// For a program of its own: makes every attempt if its first word is `--probe`.
pub fn main_if_asked() -> Option<ExitCode> {
    let mut words = env::args().skip(1);
    if words.next()? != "--probe" {
        return None;
    }
    let mut plan = Ok(Plan::default());
    while let (Some(word), Some(value)) = (words.next(), words.next()) {
        plan = match word.as_str() {
            "--plan" => Plan::read(value.as_ref()),
            "--only" => plan.map(|it| it.only(value)),
            _ => Err(io::Error::other(format!("unknown argument `{word}`"))),
        };
    }
    Some(match plan.and_then(|it| run(&it, io::stdout().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    })
}

/// As a tool: this program once more, since a server has threads and the attempts must not.
pub(crate) async fn tool(arguments: &Value) -> Result<String, String> {
    let mut command = tokio::process::Command::new("/proc/self/exe");
    // Whichever program the server is a part of: the words before its options.
    let words = env::args().skip(1);
    command.args(words.take_while(|it| !it.starts_with('-'))).arg("--probe");
    for name in ["plan", "only"] {
        if let Some(value) = arguments.get(name).and_then(Value::as_str) {
            command.arg(format!("--{name}")).arg(value);
        }
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let said = command.output().await.map_err(|it| it.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr)) }
}

fn line(probe: &Probe, outcome: &Outcome) -> Value {
    let word = |it: &dyn fmt::Debug| format!("{it:?}").to_lowercase();
    let is_need = probe.severity == Severity::Need;
    let result = match (outcome.verdict, is_need) {
        (Verdict::Held, false) => "held",
        (Verdict::Done, false) => "escaped",
        (Verdict::Held, true) => "broken",
        (Verdict::Done, true) => "works",
        (Verdict::Untried, _) => "could-not-try",
    };
    json!({
        "id": probe.id,
        "area": word(&probe.area),
        "severity": word(&probe.severity),
        "means": probe.means,
        "result": result,
        "detail": outcome.detail,
    })
}

/// In a process of its own, which is killed if it says nothing for too long.
fn apart(probe: &Probe, plan: &Plan) -> io::Result<Outcome> {
    let (answer, say) = io::pipe()?;
    let Some(child) = raw::fork()? else {
        drop(answer);
        let outcome = (probe.attempt)(plan).unwrap_or_else(Outcome::untried);
        let mut say = say;
        let mark = match outcome.verdict {
            Verdict::Held => "h",
            Verdict::Done => "d",
            Verdict::Untried => "u",
        };
        let _heard = say.write_all(format!("{mark}{}", outcome.detail).as_bytes());
        raw::leave();
    };
    drop(say);
    let said = read_for(answer, ATTEMPT_MAX)?;
    let ended = raw::end(child)?;
    let mut letters = said.chars();
    let verdict = match letters.next() {
        Some('h') => Verdict::Held,
        Some('d') => Verdict::Done,
        Some('u') => Verdict::Untried,
        _ => {
            return Ok(match ended {
                // By what limits memory, or forbids a call.
                Ended::Signal(libc::SIGKILL | libc::SIGSYS | libc::SIGXCPU | libc::SIGXFSZ) => {
                    Outcome::held(format!("{ended:?}"))
                }
                Ended::Signal(_) | Ended::Code => Outcome::untried(format!("{ended:?}")),
                Ended::Late => Outcome::untried("it took too long"),
            });
        }
    };
    Ok(Outcome { verdict, detail: letters.collect() })
}

/// What is said until the other end is closed, or until the first silence of this length.
fn read_for(pipe: io::PipeReader, longest: Duration) -> io::Result<String> {
    let mut said = Vec::new();
    let limit = Timespec { tv_sec: longest.as_secs().cast_signed(), tv_nsec: 0 };
    let mut pipe = File::from(OwnedFd::from(pipe));
    loop {
        let mut waited = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
        if poll(&mut waited, Some(&limit))? == 0 {
            break;
        }
        let mut bytes = [0; 4096];
        match pipe.read(&mut bytes)? {
            0 => break,
            count => said.extend(bytes.iter().take(count)),
        }
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn attempts_are_many_and_each_has_a_name_of_its_own() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(names.len(), all.len());
        let needs = all.iter().filter(|it| it.severity == Severity::Need).count();
        assert!(needs >= 17, "{needs}");
        assert!(all.len() - needs >= 150, "{}", all.len() - needs);
        assert!(all.iter().all(|it| it.means.len() > 8));
    }
}
