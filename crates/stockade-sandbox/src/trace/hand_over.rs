//! The server's side: the last thing that is done before exec, since every call after it waits for
//! the guard.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{DumpableBehavior, WaitOptions, set_dumpable_behavior, waitpid};

use super::calls;
use crate::message::{Answer, Failure, Step};
use crate::raw::{self, Alone, Side};
use crate::seccomp::Filters;

/// Has the kernel tell the guard from now on.
///
/// Whoever is behind the filter cannot send the listener away: to send is among the calls that wait
/// for the listener to be read. A fork that shares the descriptors, and not the filter, does.
pub(crate) fn hand_over(alone: Alone, control: &UnixStream) -> Result<(), Failure> {
    let failed = |errno| Step::Trace.because(errno);
    let (told, tell) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    // The guard reads the memory of what it watches, which until exec is the keeper's copy. It stays so.
    set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(failed)?;
    let kept = Filters::traced().and_then(|it| it.apply());
    kept.map_err(|error| Step::Trace.because_io(&error))?;
    let filter = calls::filter();
    let sharer = match alone.fork_sharing_descriptors() {
        Ok(Side::Child) => {
            let mut number = [0; 4];
            let told = retry_on_intr(|| rustix::io::read(&told, &mut number));
            let sent = match told {
                Ok(4) => {
                    let listener = raw::descriptor(i32::from_le_bytes(number));
                    Answer::Traced.send(control, &[listener])
                }
                Ok(_) => Err(Errno::PIPE.into()),
                Err(errno) => Err(errno.into()),
            };
            // Why not is the exit code: what the kernel says fits into one.
            let why = |error: io::Error| Step::Trace.because_io(&error).errno;
            raw::leave(sent.map_or_else(why, |()| 0));
        }
        Ok(Side::Parent(pid)) => pid,
        Err(error) => return Err(Step::Trace.because_io(&error)),
    };
    let listener = raw::tell_of_calls(&filter);
    if let Ok(listener) = &listener {
        // A pipe that is this empty takes four bytes at once.
        let _ = rustix::io::write(&tell, &listener.as_raw_fd().to_le_bytes());
    }
    // The descriptors are shared: without this the other would wait for ever.
    drop(tell);
    let ended = retry_on_intr(|| waitpid(Some(sharer), WaitOptions::empty())).map_err(failed)?;
    listener.map_err(|error| Step::Trace.because_io(&error))?;
    match ended.and_then(|(_, status)| status.exit_status()) {
        Some(0) => Ok(()),
        Some(errno) => Err(failed(Errno::from_raw_os_error(errno))),
        None => Err(failed(Errno::PIPE)),
    }
}
