//! The standard streams of a process, whatever a client made them of. The process is this test
//! program, started once more with one test to run: [`echo`], which by itself has nothing to do.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;

use stockade_wire::frame::{Frames, Limits};
use stockade_wire::stdio;

use crate::{cleared, long, numbered};

/// Says to the process that it is the one that the tests below start.
const CHILD: &str = "STOCKADE_TEST_ECHO";

/// The process that the tests below start: it says what it hears.
#[tokio::test]
async fn echo() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let (mut reader, mut writer) = stdio::own(&Limits::default()).unwrap();
    while let Some(it) = reader.next().await.unwrap() {
        writer.send(&cleared(std::str::from_utf8(&it).unwrap())).await.unwrap();
    }
}

fn started(input: Stdio, output: Stdio) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["own::echo", "--exact", "--nocapture"]).env(CHILD, "");
    command.stdin(input).stdout(output).spawn().unwrap()
}

fn said() -> String {
    let lines = [numbered(1), long(1 << 20), numbered(2)];
    lines.map(|it| it + "\n").concat()
}

/// What was echoed, without what the test program says for itself.
fn echoed(mut output: impl Read) -> String {
    let mut all = String::new();
    output.read_to_string(&mut all).unwrap();
    all.split_inclusive('\n').filter(|it| it.starts_with('{')).collect()
}

#[test]
fn pipes() {
    let mut child = started(Stdio::piped(), Stdio::piped());
    let mut input = child.stdin.take().unwrap();
    let writer = thread::spawn(move || input.write_all(said().as_bytes()).unwrap());
    assert!(echoed(child.stdout.take().unwrap()) == said());
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_socket() {
    let (here, there) = UnixStream::pair().unwrap();
    let there = OwnedFd::from(there);
    let mut child = started(there.try_clone().unwrap().into(), there.into());
    let mut input = here.try_clone().unwrap();
    let writer = thread::spawn(move || {
        input.write_all(said().as_bytes()).unwrap();
        input.shutdown(Shutdown::Write).unwrap();
    });
    assert!(echoed(here) == said());
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::write(&input, said()).unwrap();
    let [from, to] = [File::open(&input).unwrap(), File::create(&output).unwrap()];
    assert!(started(from.into(), to.into()).wait().unwrap().success());
    assert!(echoed(File::open(&output).unwrap()) == said());
}
