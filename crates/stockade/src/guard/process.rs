//! The process of a server: started so that nothing of it stays behind, its standard error written
//! down.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stockade_core::check::{redacted, visible};
use stockade_core::record::{Kind, Record, Touched};
use stockade_core::session::Parties;
use stockade_sandbox::{Child, Exit, Plan, Spec, launch, launch_planned};
use stockade_wire::error::WireError;
use stockade_wire::frame::{Frames as _, Limits, Lines};
use stockade_wire::stdio::{SharedWriter, StdioWriter};
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use super::Guard;
use super::egress::{Egress, Recorded};
use super::watch::Watch;

/// How long a server may take to end by itself, at each step of MCP's shutdown ("stdio ›
/// Shutdown").
const GRACE: Duration = Duration::from_millis(1500);
/// So many lines of standard error are kept to say how a server ended.
const LAST_LINES: usize = 10;
/// The most that one process may write to the ledger through its standard error, in bytes.
const STDERR_BYTES_MAX: usize = 4 << 20;

/// A server's process.
#[derive(Debug)]
pub struct Process {
    child: Arc<Child>,
    /// Takes in what it says on standard error.
    errors: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    /// Its way out, if it has one. It holds sockets of the process's own network, which is there
    /// for as long as they are.
    egress: Mutex<Option<Egress>>,
    watch: Option<Arc<Watch>>,
    guard: Arc<Guard>,
    parties: Parties,
}

/// A process that has just started, with its ends.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub process: Process,
    /// Its standard input.
    pub input: SharedWriter,
    /// Its standard output.
    pub output: Lines<pipe::Receiver>,
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The process.
    #[error(transparent)]
    Launch(#[from] stockade_sandbox::Error),
    /// What was prepared of it.
    #[error(transparent)]
    Prepared(#[from] crate::prepared::Error),
    /// Its pipes.
    #[error("cannot use the pipes or sockets of the server")]
    Pipes(#[from] std::io::Error),
}

impl Process {
    /// Starts the server of a conversation: by this plan, if there is one. With `show`, its standard
    /// error is shown as well.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(
        spec: &Spec,
        plan: Option<Plan>,
        guard: &Arc<Guard>,
        parties: &Parties,
        show: bool,
    ) -> Result<Started, StartError> {
        let launching = spec.clone();
        let launch = move || match plan {
            Some(plan) => launch_planned(&launching, plan),
            None => launch(&launching),
        };
        let launched = tokio::task::spawn_blocking(launch).await;
        let child = launched.map_err(std::io::Error::other)??;
        let watch = child.trace().zip(spec.confine.as_deref());
        let watch = watch.map(|(trace, confinement)| Arc::new(Watch::new(trace, confinement)));
        let missing = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let input = child.take_stdin().ok_or_else(missing)?;
        let output = child.take_stdout().ok_or_else(missing)?;
        let errors = child.take_stderr().ok_or_else(missing)?;
        let network = spec.confine.as_ref().map(|it| it.network.clone()).unwrap_or_default();
        let recorded = || Recorded {
            guard: Arc::clone(guard),
            parties: parties.clone(),
            watch: watch.clone(),
        };
        let open = |doors| Egress::open(doors, network, Arc::new(recorded()), guard.room());
        let egress = Mutex::new(child.take_doors().map(open).transpose()?);
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let errors = tokio::spawn(listen(
            errors,
            Arc::clone(guard),
            parties.clone(),
            Arc::clone(&last_lines),
            show,
        ));
        let limits = Limits::default();
        let (input, _) = StdioWriter::new(pipe::Sender::from_owned_fd(input)?).share(&limits);
        let output = Lines::new(pipe::Receiver::from_owned_fd(output)?, &limits);
        let errors = tokio::sync::Mutex::new(Some(errors));
        let (guard, parties) = (Arc::clone(guard), parties.clone());
        let child = Arc::new(child);
        let process = Self { child, errors, last_lines, egress, watch, guard, parties };
        if let Some(watch) = &process.watch {
            process.touched("what the server touches is written down", watch.given());
        }
        Ok(Started { process, input, output })
    }

    /// Who sees what it touches, if somebody does.
    pub fn watch(&self) -> Option<&Arc<Watch>> {
        self.watch.as_ref()
    }

    /// Ends it, at once or in MCP's order, and says how it ended.
    pub async fn end(&self) -> String {
        let exit = self.exit().await.map_or_else(|it| it, |it| it.to_string());
        std::iter::once(exit).chain(self.reached()).collect::<Vec<_>>().join("; ")
    }

    /// Which limits it ran into, once it has ended.
    pub fn reached(&self) -> impl Iterator<Item = String> {
        self.child.reached().into_iter().map(|it| it.to_string())
    }

    /// The same, for whoever says it in other words; or why it is not known.
    pub async fn exit(&self) -> Result<Exit, String> {
        let child = Arc::clone(&self.child);
        let ended = tokio::task::spawn_blocking(move || child.terminate(GRACE)).await;
        if let Some(errors) = self.errors.lock().await.take() {
            // All of it is in the pipe by now: nothing is left that could write more.
            let _read = tokio::time::timeout(GRACE, errors).await;
        }
        drop(self.egress.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(outside) = self.watch.as_ref().and_then(|it| it.outside()) {
            self.touched("outside of every call", outside);
        }
        ended.map_err(|it| it.to_string())?.map_err(|it| it.to_string())
    }

    fn touched(&self, says: &str, touched: Touched) {
        // A ledger that cannot be written stops the next call.
        let _recorded = self.guard.record(&Record {
            kind: Kind::Touched,
            session: Arc::clone(&self.parties.session),
            principal: Arc::clone(&self.parties.principal),
            server: Arc::clone(&self.guard.server.name),
            touched: Some(Box::new(touched)),
            says: says.to_owned(),
            ..Record::default()
        });
    }

    /// The last lines of its standard error.
    pub fn last_lines(&self) -> Vec<String> {
        self.last_lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Writes down what a server says on standard error.
async fn listen(
    errors: OwnedFd,
    guard: Arc<Guard>,
    parties: Parties,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    show: bool,
) {
    let Ok(errors) = pipe::Receiver::from_owned_fd(errors) else { return };
    let frame_bytes_max = guard.policy().limits.stderr_line_bytes_max;
    let limits = Limits { frame_bytes_max, ..Limits::default() };
    let mut lines = Lines::new(errors, &limits);
    let mut written = 0;
    loop {
        let text = match lines.next().await {
            Ok(Some(bytes)) => visible(&redacted(&String::from_utf8_lossy(&bytes))),
            Ok(None) => return,
            Err(error @ WireError::FrameTooLong { .. }) => format!("({error})"),
            Err(_) => return,
        };
        if show {
            // Said by the server, and not by this process.
            anstream::eprintln!("server: {text}");
        }
        {
            let mut last = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(text.clone());
        }
        let before = written;
        written += text.len();
        let says = match (before <= STDERR_BYTES_MAX, written <= STDERR_BYTES_MAX) {
            (_, true) => text,
            (true, false) => "(more than the ledger takes; the rest is left out)".to_owned(),
            (false, false) => continue,
        };
        let record = Record {
            kind: Kind::Stderr,
            session: Arc::clone(&parties.session),
            principal: Arc::clone(&parties.principal),
            server: Arc::clone(&guard.server.name),
            says,
            ..Record::default()
        };
        // The next call finds out that the ledger cannot be written, and does not pass.
        let _poisoned = guard.record(&record);
    }
}
