//! The last steps before a process is the server: its session, its directory, its descriptors and
//! signals, and exec.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, chdir, getppid, set_parent_process_death_signal, setsid};

use crate::Spec;
use crate::cell::Cell;
use crate::confine;
use crate::landlock;
use crate::message::{Failure, Order, Step};
use crate::raw::{self, Alone};
use crate::trace;

/// Where a program is looked for when the server's environment has no `PATH`.
pub(crate) const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// Becomes the server, or says why not. `dies_with` is the warden, where the kernel does not end
/// the server with it anyway.
pub(crate) fn become_it(
    order: &Order,
    dies_with: Option<Pid>,
    alone: Alone,
    control: &UnixStream,
) -> Failure {
    let is_traced = order.cell.as_ref().is_some_and(|it| it.trace);
    let traced = || if is_traced { trace::hand_over(alone, control) } else { Ok(()) };
    let limited = || {
        let limited = order.confined().map_or(Ok(()), confine::descriptors);
        limited.map_err(|errno| Step::Limits.because(errno))
    };
    match prepare(order, dies_with).and_then(|()| traced()).and_then(|()| limited()) {
        Ok(()) => execute(&order.spec),
        Err(failure) => failure,
    }
}

/// Becomes the server in a container, whose first process has set everything up.
pub(crate) fn become_first(spec: &Spec, cell: &Cell) -> Failure {
    if let Err(errno) = setsid() {
        return Step::Session.because(errno);
    }
    if let Err(error) = raw::close_others_on_exec() {
        return Step::Descriptors.because_io(&error);
    }
    raw::forget_signals();
    match if cell.landlock { landlock::apart() } else { Ok(()) } {
        Ok(()) => execute(spec),
        Err(error) => Step::Landlock.because_io(&error),
    }
}

/// Whether [`become_first`] will find a program to execute, as far as can be known before.
pub(crate) fn could_be(spec: &Spec) -> Result<(), Failure> {
    let missing = Step::Execute.because(Errno::NOENT);
    let program = spec.command.first().ok_or(missing)?;
    let mut failure = None;
    for candidate in candidates(program, path_of(spec)) {
        match executable(&candidate) {
            Ok(()) => return Ok(()),
            Err(found) if candidate.symlink_metadata().is_ok() => {
                failure.get_or_insert(found);
            }
            Err(_) => {}
        }
    }
    Err(failure.unwrap_or(missing))
}

fn executable(program: &Path) -> Result<(), Failure> {
    let io = |error: io::Error| Step::Execute.because_io(&error);
    raw::may_execute(program).map_err(io)?;
    let mut start = [0; 256];
    let count = File::open(program).and_then(|mut it| it.read(&mut start));
    let start = match count {
        Ok(count) => start.get(..count).unwrap_or_default(),
        // What may be executed and not read is a program.
        Err(_) => return Ok(()),
    };
    let Some(line) = start.strip_prefix(b"#!") else {
        let is_program = start.starts_with(b"\x7fELF");
        return if is_program { Ok(()) } else { Err(Step::Execute.because(Errno::NOEXEC)) };
    };
    let mut words = line.split(u8::is_ascii_whitespace).filter(|it| !it.is_empty());
    let interpreter = words.next().map(OsStr::from_bytes).unwrap_or_default();
    if Path::new(interpreter).exists() {
        return Ok(());
    }
    Err(Step::Interpreter.because(Errno::NOENT))
}

fn prepare(order: &Order, dies_with: Option<Pid>) -> Result<(), Failure> {
    let session = |errno| Step::Session.because(errno);
    setsid().map_err(session)?;
    if let Some(warden) = dies_with {
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(session)?;
        if getppid() != Some(warden) {
            return Err(Step::Session.because(Errno::SRCH));
        }
    }
    let stdio = |errno| Step::Stdio.because(errno);
    let [stdin, stdout, stderr] = &order.stdio;
    rustix::stdio::dup2_stdin(stdin).map_err(stdio)?;
    rustix::stdio::dup2_stdout(stdout).map_err(stdio)?;
    rustix::stdio::dup2_stderr(stderr).map_err(stdio)?;
    raw::close_others_on_exec().map_err(|error| Step::Descriptors.because_io(&error))?;
    let cwd = order.confined().map(|it| &it.cwd).or(order.spec.cwd.as_ref());
    if let Some(cwd) = cwd {
        chdir(cwd).map_err(|errno| Step::Directory.because(errno))?;
    }
    raw::forget_signals();
    Ok(())
}

/// Tries every place where the program may be, as a shell does. What is said in the end is about
/// the first file that was there but could not be executed.
fn execute(spec: &Spec) -> Failure {
    let missing = Step::Execute.because(Errno::NOENT);
    let garbled = Step::Execute.because(Errno::INVAL);
    let Some(program) = spec.command.first() else {
        return missing;
    };
    let words = spec.command.iter().map(|it| CString::new(it.as_bytes()));
    let variables = spec
        .env
        .iter()
        .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()));
    let (Ok(args), Ok(env)) =
        (words.collect::<Result<Vec<_>, _>>(), variables.collect::<Result<Vec<_>, _>>())
    else {
        return garbled;
    };
    // A place in `PATH` that this user may not look into is passed over.
    let is_path = program.as_bytes().contains(&b'/');
    let mut failure = None;
    for candidate in candidates(program, path_of(spec)) {
        let Ok(path) = CString::new(candidate.as_os_str().as_bytes()) else {
            return garbled;
        };
        let error = raw::execute(&path, &args, &env);
        let is_there = candidate.symlink_metadata().is_ok();
        if is_missing(&error) {
            if is_there {
                failure.get_or_insert(Step::Interpreter.because_io(&error));
            }
        } else if is_there || is_path {
            failure.get_or_insert(Step::Execute.because_io(&error));
        }
    }
    failure.unwrap_or(missing)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn path_of(spec: &Spec) -> &OsStr {
    let path = spec.env.iter().find(|(name, _)| name == "PATH");
    path.map_or(OsStr::new(PATH_DEFAULT), |(_, value)| value)
}

/// Relative and empty places in `PATH` are left out: they would let whoever writes to the working
/// directory choose the program.
fn candidates(program: &OsStr, path: &OsStr) -> Vec<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return vec![program.into()];
    }
    let places = path.as_bytes().split(|it| *it == b':').map(OsStr::from_bytes).map(Path::new);
    places.filter(|it| it.is_absolute()).map(|it| it.join(program)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_in_absolute_places_only() {
        let found = |program: &str, path: &str| candidates(program.as_ref(), path.as_ref());
        assert_eq!(found("node", "::.:bin:/a:/b/"), [Path::new("/a/node"), Path::new("/b/node")]);
        assert!(found("node", "").is_empty());
        assert_eq!(found("./node", "/a"), [Path::new("./node")]);
    }
}
