//! Asks an engine's client: for so long and so much, and not longer than this process is there.

use std::io::{self, Read, Write as _};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::raw;

/// How long an engine may take to say something: one whose daemon hangs says nothing.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What is kept of what it says.
const SAID_BYTES_MAX: usize = 1 << 20;

/// How often it is looked whether a client has ended whose pipes somebody else holds open.
const LOOKS: Duration = Duration::from_millis(20);

/// What a client has said.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a client to its end, gives it that to read, and ends what it leaves.
pub(crate) fn ask(command: &mut Command, input: &[u8], most: Duration) -> io::Result<Answered> {
    command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    raw::end_with_this_thread(command);
    let until = Instant::now() + most;
    let mut child = command.spawn()?;
    let answered = listen(&mut child, input, until);
    // It is not reaped yet, so the group is nobody else's.
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let status = child.wait()?;
    let [stdout, stderr] = answered?;
    Ok(Answered { status, stdout, stderr })
}

fn listen(child: &mut Child, input: &[u8], until: Instant) -> io::Result<[String; 2]> {
    if let Some(mut stdin) = child.stdin.take() {
        // It is short enough for a pipe that nobody reads.
        stdin.write_all(input)?;
    }
    let pid = Pid::from_child(child);
    let (Some(mut out), Some(mut errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    for pipe in [out.as_fd(), errors.as_fd()] {
        fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
    }
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    loop {
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // Looked at before the pipes are, so that what it said last is read.
        let has_ended = waitid(WaitId::Pid(pid), how)?.is_some();
        let open = [take(&mut out, &mut said)?, take(&mut errors, &mut complained)?];
        if has_ended {
            return Ok([said, complained].map(|it| String::from_utf8_lossy(&it).into_owned()));
        }
        if Instant::now() >= until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"));
        }
        let pipes = [(open[0], out.as_fd()), (open[1], errors.as_fd())];
        let pipes = pipes.into_iter().filter(|(is_open, _)| *is_open);
        let mut watched: Vec<PollFd<'_>> =
            pipes.map(|(_, it)| PollFd::from_borrowed_fd(it, PollFlags::IN)).collect();
        let looks = Timespec::try_from(LOOKS).map_err(io::Error::other)?;
        let _ = poll(&mut watched, Some(&looks));
    }
}

/// Takes what there is, and says whether there can be more.
fn take(from: &mut impl Read, into: &mut Vec<u8>) -> io::Result<bool> {
    let mut bytes = [0; 4096];
    // Somebody who writes without end is read for so long at a time.
    for _ in 0..64 {
        match from.read(&mut bytes) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                let room = SAID_BYTES_MAX.saturating_sub(into.len()).min(count);
                into.extend(bytes.iter().take(room));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, input: &[u8], most: Duration) -> io::Result<Answered> {
        ask(Command::new("sh").args(["-c", script]), input, most)
    }

    #[test]
    fn both_that_it_says_and_how_it_ends_are_told() {
        let it = sh("cat; echo no >&2; exit 3", b"yes", ANSWER_MAX).unwrap();
        assert_eq!(
            (it.status.code(), it.stdout, it.stderr),
            (Some(3), "yes".into(), "no\n".into())
        );
        let long = sh("head -c 3000000 /dev/zero", b"", ANSWER_MAX).unwrap();
        assert_eq!(long.stdout.len(), SAID_BYTES_MAX);
    }

    #[test]
    fn one_that_does_not_answer_is_ended() {
        let silent = sh("sleep 1000", b"", Duration::from_millis(50)).unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn who_keeps_its_pipes_open_is_not_waited_for() {
        let it = sh("sleep 1000 & echo up", b"", ANSWER_MAX).unwrap();
        assert_eq!((it.status.code(), it.stdout), (Some(0), "up\n".into()));
    }
}
