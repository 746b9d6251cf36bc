//! `stockade sandbox`: a command, held by the sandbox and not guarded: no message is read.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use stockade_sandbox::{
    Access, Child, Confinement, Error, Guarantee, Limits, Root, Spec, launch, plan,
};

use super::backend::{Backend, help_for};
use super::run::environment;
use crate::failure::{Exit, Failure};

/// Run a command in a sandbox: its roots, no network, bounded memory and processes
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade sandbox --root ~/notes -- python3 -c 'import os; print(os.listdir())'
  stockade sandbox --root .:rw --memory 512M --dry-run -- node build/index.js

Files are seen if they are below a root, below /usr, or installed with the program itself; a script
that is an argument needs a root. HOME and /tmp are empty and private. What is written in a root
cannot be executed there.

Exit codes: that of the command, or 128 and the signal that ended it; 4 when it cannot be started;
97 when a guarantee cannot be enforced here.")]
pub(super) struct Sandbox {
    #[command(flatten)]
    backend: Backend,
    /// A directory or file that the command may read, or with ":rw" behind it write as well. May be
    /// repeated
    #[arg(long = "root", value_name = "DIR[:ro|rw]", value_parser = root)]
    roots: Vec<Root>,
    /// Another place that programs are executed from, read only. May be repeated
    #[arg(long = "program", value_name = "DIR")]
    programs: Vec<PathBuf>,
    /// Pass this variable of the environment on. May be repeated
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// Memory of all processes together: bytes, or with K, M or G
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "1G")]
    memory: u64,
    /// Processors, such as 0.5 or 2 [default: not limited]
    #[arg(long, value_name = "N", value_parser = thousandths)]
    cpus: Option<u32>,
    /// Processes and threads
    #[arg(long, value_name = "N", default_value_t = Limits::default().pids, value_parser = clap::value_parser!(u32).range(1..))]
    pids: u32,
    /// How long it may run, in seconds [default: not limited]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    time: Option<u64>,
    /// Start although this guarantee (files, memory or cpu) cannot be enforced. May be repeated
    #[arg(long, value_name = "GUARANTEE")]
    allow_weaker: Vec<Guarantee>,
    /// Say what would be done, and how far each guarantee would hold; start nothing
    #[arg(long)]
    dry_run: bool,
    /// The command
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Sandbox {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let spec = self.spec()?;
        if self.dry_run {
            let plan = plan(&spec).map_err(not_started)?;
            super::printed(write!(io::stdout().lock(), "{plan}"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let child = launch(&spec).map_err(not_started)?;
        let exit = carry(&child)
            .map_err(|it| Failure::new(Exit::Server, "cannot pass on what it says").from(it))?;
        Ok(match exit.map_err(not_started)? {
            stockade_sandbox::Exit::Code(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
            stockade_sandbox::Exit::Signal(it) => {
                ExitCode::from(u8::try_from(it.saturating_add(128)).unwrap_or(1))
            }
        })
    }

    fn spec(&self) -> Result<Spec, Failure> {
        let env = environment(&self.env)?;
        let limits = Limits {
            memory_bytes: Some(self.memory),
            pids: self.pids,
            cpu_thousandths: self.cpus,
            time: self.time.map(Duration::from_secs),
            ..Limits::default()
        };
        let confine = Confinement {
            roots: self.roots.clone(),
            programs: self.programs.clone(),
            limits,
            allow_weaker: self.allow_weaker.clone(),
            engine: self.backend.engine()?,
        };
        Ok(Spec { command: self.command.clone(), env, cwd: None, confine: Some(Box::new(confine)) })
    }
}

pub(super) fn not_started(error: Error) -> Failure {
    match error {
        Error::CannotEnforce { remedy, .. } => {
            Failure::rendered(Exit::Unenforced, format!("error: {}", chain(&error))).help(remedy)
        }
        Error::Place { .. } | Error::NeverARoot { .. } => {
            Failure::rendered(Exit::Usage, format!("error: {}", chain(&error))).help(
                "`--root DIR` names a directory that is there, and not one of the machine's own",
            )
        }
        Error::NoCommand
        | Error::ZeroByte
        | Error::VariableName { .. }
        | Error::TooLarge { .. }
        | Error::NotFound { .. }
        | Error::NotExecutable { .. }
        | Error::NoInterpreter { .. }
        | Error::Directory { .. }
        | Error::NotPermitted { .. }
        | Error::Start { .. }
        | Error::Wait { .. }
        | Error::StillThere { .. } => Failure::new(Exit::Server, chain(&error))
            .help("`--dry-run` says what the command sees; `--program DIR` shows it more"),
        Error::NoEngine { .. }
        | Error::Engine { .. }
        | Error::NoImage { .. }
        | Error::Image { .. } => Failure::new(Exit::Server, chain(&error)).help(help_for(&error)),
    }
}

fn chain(error: &Error) -> String {
    let mut whole = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(it) = cause {
        whole = format!("{whole}: {it}");
        cause = it.source();
    }
    whole
}

/// Passes on what goes in and comes out, until the command has ended. It gets pipes, and never our
/// own terminal: what can be typed into that is for the shell behind it.
fn carry(child: &Child) -> io::Result<Result<stockade_sandbox::Exit, Error>> {
    let file = |it: Option<OwnedFd>| it.map(File::from).ok_or(io::ErrorKind::BrokenPipe);
    let input = file(child.take_stdin())?;
    let (output, errors) = (file(child.take_stdout())?, file(child.take_stderr())?);
    // It ends with our input or with this process: a read cannot be called off.
    thread::spawn(move || copy(io::stdin(), input));
    let output = thread::spawn(move || copy(output, io::stdout()));
    let errors = thread::spawn(move || copy(errors, io::stderr()));
    let exit = child.wait();
    // All of it is in the pipes by now, since nothing is left that could write more.
    for passed_on in [output, errors] {
        let _ = passed_on.join();
    }
    Ok(exit)
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

fn root(text: &str) -> Result<Root, String> {
    let (path, access) = match text.rsplit_once(':') {
        Some((path, "ro")) => (path, Access::Read),
        Some((path, "rw")) => (path, Access::Write),
        _ => (text, Access::Read),
    };
    if path.is_empty() {
        return Err("it names no directory".to_owned());
    }
    Ok(Root { path: path.into(), access })
}

fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1 << 10),
        None => match (text.strip_suffix(['M', 'm']), text.strip_suffix(['G', 'g'])) {
            (Some(digits), _) => (digits, 1 << 20),
            (_, Some(digits)) => (digits, 1 << 30),
            (None, None) => (text, 1),
        },
    };
    let bytes = digits.parse::<u64>().ok().and_then(|it| it.checked_mul(unit));
    bytes.filter(|it| *it > 0).ok_or_else(|| "a size is like 512M, or in bytes".to_owned())
}

fn thousandths(text: &str) -> Result<u32, String> {
    let wrong =
        || "a number of processors is like 2 or 0.5, with at most three decimals".to_owned();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.is_empty() || decimals.len() > 3 || !decimals.bytes().all(|it| it.is_ascii_digit())
    {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let decimals: u32 = format!("{decimals:0<3}").parse().map_err(|_| wrong())?;
    let share = whole.checked_mul(1000).and_then(|it| it.checked_add(decimals));
    // The kernel gives no less than a hundredth.
    share.filter(|it| *it >= 10).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_shares_are_exact_or_refused() {
        for (text, bytes) in [("1", 1), ("3K", 3 << 10), ("512M", 512 << 20), ("2g", 2 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "0", "M", "-1", "1.5G", "1T", "99999999999999999999", "18446744073709551615K"]
        {
            assert!(size(text).is_err(), "{text}");
        }
        for (text, share) in [("1", 1000), ("0.5", 500), ("2.25", 2250), ("0.010", 10)] {
            assert_eq!(thousandths(text), Ok(share), "{text}");
        }
        for text in ["", "0", ".", "1.", ".5", "-1", "0.001", "1.2345", "1.-5", "9999999999"] {
            assert!(thousandths(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_root_is_read_only_unless_it_says_otherwise() {
        let parsed = |text: &str| root(text).map(|it| (it.path, it.access));
        assert_eq!(parsed("/a"), Ok(("/a".into(), Access::Read)));
        assert_eq!(parsed("/a:rw"), Ok(("/a".into(), Access::Write)));
        assert_eq!(parsed("/a:b:ro"), Ok(("/a:b".into(), Access::Read)));
        assert!(parsed(":ro").is_err());
    }
}
