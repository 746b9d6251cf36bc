//! `stockade sandbox`: a command, held by the sandbox and not guarded: no message is read.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use stockade_sandbox::{
    Access, Child, Doors, Error, Found, Network, Spec, launch, plan, raise_descriptors,
};

use super::hold::{Hold, hold, not_started, too_many};
use super::own::{leads, reserve};
use super::prepare::{Consent, settle};
use super::report::Report;
use super::run::{environment, roots, runtime, there};
use super::{Format, State};
use crate::config;
use crate::failure::{Exit, Failure};
use crate::guard::egress::{Egress, Room, Shown};

/// How long a command that nobody reads any more may take to end by itself.
const GRACE: Duration = Duration::from_millis(1500);

/// Run a command in a sandbox: its roots, no network but what is named, bounded memory and
/// processes
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade sandbox --root ~/notes -- python3 -c 'import os; print(os.listdir())'
  stockade sandbox --net api.example.com,db.internal:5432=10.0.0.5 -- python3 report.py
  stockade sandbox --root .:rw --memory 512M --dry-run -- node build/index.js
  stockade sandbox --root . --trace -- python3 -c 'print(open(\"README.md\").read())'

Files are seen if they are below a root, below /usr, or installed with the program or the script
that it runs. HOME and /tmp are empty and private. What is written in a root cannot be executed
there, and .git and the like stay read only in it unless they are a root themselves.

Exit codes: that of the command, or 128 and the signal that ended it; 4 when it cannot be started;
97 when a guarantee cannot be enforced here.")]
pub(super) struct Sandbox {
    /// A directory or file that the command may read, or with ":rw" behind it write as well. May be
    /// repeated
    #[arg(long = "root", value_name = "DIR[:ro|rw]")]
    roots: Vec<OsString>,
    /// Pass this variable of the environment on. May be repeated
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// Say in the end what it touched: files, addresses, programs; on standard error, or in this
    /// file. It slows down every file that is opened
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    trace: Option<Option<PathBuf>>,
    /// How to say what it touched
    #[arg(long, value_enum, default_value_t, requires = "trace")]
    format: Format,
    #[command(flatten)]
    hold: Hold,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    state: State,
    /// The command
    #[arg(last = true, help_heading = None, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Sandbox {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        raise_descriptors();
        let spec = self.spec()?;
        if self.hold.dry_run {
            let plan = plan(&spec).map_err(|it| not_started(&it))?;
            Self::tell(&spec);
            super::printed(write!(io::stdout().lock(), "{plan}"))?;
            return Ok(ExitCode::SUCCESS);
        }
        self.is_for_us(&spec)?;
        // What cannot be written in the end is better known before.
        let report = self.trace.as_ref().map(|it| Report::new(it.as_deref(), self.format));
        let report = report.transpose()?;
        let child = Arc::new(launch(&spec).map_err(|it| not_started(&it))?);
        Self::tell(&spec);
        let shown = Arc::new(Shown::new(child.trace().cloned()));
        if let (Some(doors), Some(confine)) = (child.take_doors(), &spec.confine) {
            let_out(doors, confine.network.clone(), Arc::clone(&shown))?;
        }
        let exit = carry(&child)
            .map_err(|it| Failure::new(Exit::Server, "cannot pass on what it says").from(it))?;
        let exit = exit.map_err(|it| not_started(&it))?;
        shown.settle();
        for reached in child.reached() {
            anstream::eprintln!("note: {reached}");
        }
        if let (Some(report), Some(trace)) = (report, child.trace()) {
            report.write(&trace.outside())?;
        }
        Ok(match exit {
            stockade_sandbox::Exit::Code(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
            stockade_sandbox::Exit::Signal(it) => {
                ExitCode::from(u8::try_from(it.saturating_add(128)).unwrap_or(1))
            }
        })
    }

    /// What the command touched is not for the command to say.
    fn is_for_us(&self, spec: &Spec) -> Result<(), Failure> {
        let (Some(Some(file)), Some(confine)) = (&self.trace, &spec.confine) else { return Ok(()) };
        if confine.shows(file) != Some(Access::Write) {
            return Ok(());
        }
        let says = format!("`{}` lies where the command may write", file.display());
        Err(Failure::new(Exit::Usage, says)
            .help("name a file outside of that root after `--trace=`, or leave `=FILE` away"))
    }

    /// Tells of roots that are named by way of a link, now that they are what is shown.
    fn tell(spec: &Spec) {
        let Some(confine) = &spec.confine else { return };
        for root in &confine.roots {
            if let Some(link) = confine.found(&root.path).and_then(Found::link) {
                anstream::eprintln!("note: {}", leads(&root.path, &link.real));
            }
        }
    }

    fn spec(&self) -> Result<Spec, Failure> {
        let sandbox = self.hold.over(&config::Sandbox::default())?;
        let roots = roots(&self.roots)?;
        let roots = roots.iter().map(|it| config::Root::from_flag(it));
        let roots = roots.collect::<Result<Vec<_>, _>>();
        let roots = roots.map_err(|it| Failure::rendered(Exit::Usage, it.render(true)))?;
        for root in roots.iter().filter(|it| !it.is_uri()) {
            there(&root.path, true)?;
        }
        let mut confine = sandbox.confinement(&roots).map_err(|it| too_many(&it))?;
        if self.trace.is_some() {
            let nothing = || {
                Failure::new(Exit::Usage, "only what the sandbox holds can be traced")
                    .help("leave `--trace` or `--sandbox none` away")
            };
            confine.as_mut().ok_or_else(nothing)?.trace = true;
        }
        let mut env = environment(&self.env, confine.is_some())?;
        self.hold.keep_secrets(confine.as_deref_mut(), &mut env)?;
        reserve(confine.as_deref_mut(), &self.state, &[], self.hold.dry_run)?;
        let spec = Spec { command: self.command.clone(), env, cwd: None, confine };
        let mut spec = settle(spec, &self.state, &self.consent)?.spec;
        hold(&mut spec)?;
        Ok(spec)
    }
}

/// Connects the command to whom it may reach, for as long as this process lives. There is no ledger
/// here: what is refused is said on standard error.
fn let_out(doors: Doors, network: Network, shown: Arc<Shown>) -> Result<(), Failure> {
    let runtime = runtime(1)?;
    thread::spawn(move || {
        runtime.block_on(async {
            match Egress::open(doors, network, shown, &Room::of_this_process()) {
                Ok(_egress) => std::future::pending::<()>().await,
                Err(error) => anstream::eprintln!("note: nobody is reached: {error}"),
            }
        });
    });
    Ok(())
}

/// Passes on what goes in and comes out, until the command has ended. It gets pipes, and never our
/// own terminal: what can be typed into that is for the shell behind it.
fn carry(child: &Arc<Child>) -> io::Result<Result<stockade_sandbox::Exit, Error>> {
    let file = |it: Option<OwnedFd>| it.map(File::from).ok_or(io::ErrorKind::BrokenPipe);
    let input = file(child.take_stdin())?;
    let (output, errors) = (file(child.take_stdout())?, file(child.take_stderr())?);
    // It ends with our input or with this process: a read cannot be called off.
    thread::spawn(move || copy(io::stdin(), input));
    let output = thread::spawn(move || copy(output, io::stdout()));
    let errors = thread::spawn(move || copy(errors, io::stderr()));
    let unheard = Arc::clone(child);
    thread::spawn(move || {
        // Without a reader there is nobody that the command could be of use to: a client that was
        // killed cannot end its server itself.
        if nobody_reads(&io::stdout()) {
            let _ended = unheard.terminate(GRACE);
        }
    });
    let exit = child.wait();
    // All of it is in the pipes by now, since nothing is left that could write more.
    for passed_on in [output, errors] {
        let _ = passed_on.join();
    }
    Ok(exit)
}

/// Waits for the reader of a pipe to go. It does not return for what is no pipe.
fn nobody_reads(output: &impl AsFd) -> bool {
    loop {
        match poll(&mut [PollFd::new(output, PollFlags::empty())], None) {
            Err(Errno::INTR) => {}
            gone => return gone.is_ok(),
        }
    }
}

/// Whoever reads or writes no more has had enough: that ends the copy and is no failure.
fn copy(mut from: impl Read, mut to: impl Write) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let passed_on = bytes.get(..count).map(|it| to.write_all(it).and_then(|()| to.flush()));
        if !matches!(passed_on, Some(Ok(()))) {
            return;
        }
    }
}
