//! A bus of an ordinary user, and on it what takes systemd's name. One does what it is asked, as far
//! as a scope goes: the control groups are the kernel's, made by root for that user. The others do
//! not.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::chown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use zbus::connection::Builder;
use zbus::{Connection, Message, MessageStream, OwnedObjectPath, OwnedVariant};

use super::wait_for;

const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// What a group of version 2 is in, which hands on no more than it should: the top has more.
const SLICE: &str = ".made-up.slice";
const JOB: &str = "/org/freedesktop/systemd1/job/7";

/// What a manager does when it is asked for a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// What it should.
    Makes,
    /// The same, but it has no memory to hand on.
    MakesWithoutMemory,
    /// Says no.
    Refuses,
    /// Says nothing.
    IsSilent,
    /// Says yes, and never that it is done.
    NeverDone,
    /// Says that it is done, and does nothing.
    Lies,
    /// Says that it has failed.
    Fails,
    /// Answers with something else than what is to come.
    Mistakes,
    /// Leaves the bus.
    Leaves,
    /// Nobody has that name.
    IsNotThere,
}

/// A bus with a manager on it. Dropped, both are gone.
#[derive(Debug)]
pub(crate) struct Manager {
    daemon: Child,
    /// The names of the scopes that were asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    /// The bus is `bus` in a directory that `user` may write to.
    pub(crate) fn new(directory: &Path, user: u32, manner: Manner) -> Self {
        let socket = directory.join("bus");
        let configuration = directory.join("bus.conf");
        // The manager here is root, whom the bus of a user would not let in.
        let text = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
            <policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>
            <allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy></busconfig>",
            socket.display()
        );
        fs::write(&configuration, text).unwrap();
        let mut daemon = Command::new("dbus-daemon");
        daemon.arg(format!("--config-file={}", configuration.display())).arg("--nofork");
        let daemon = daemon.uid(user).gid(user).stdin(Stdio::null()).spawn().unwrap();
        wait_for("the bus", || UnixStream::connect(&socket).ok());
        let asked = Arc::new(Mutex::new(Vec::new()));
        if manner != Manner::IsNotThere {
            let stream = UnixStream::connect(&socket).unwrap();
            let (tell, told) = mpsc::channel();
            let noted = Arc::clone(&asked);
            thread::spawn(move || {
                let serve = async {
                    let bus = Builder::unix_stream(stream).build().await?;
                    let heard = MessageStream::from(&bus);
                    bus.request_name("org.freedesktop.systemd1").await?;
                    tell.send(()).unwrap();
                    serve(&bus, heard, manner, user, &noted).await
                };
                // It ends with the bus.
                let _ended = zbus::block_on(serve);
            });
            told.recv().unwrap();
        }
        Self { daemon, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

async fn serve(
    bus: &Connection,
    mut heard: MessageStream,
    manner: Manner,
    user: u32,
    asked: &Mutex<Vec<String>>,
) -> zbus::Result<()> {
    while let Some(message) = heard.next().await {
        let message = message?;
        let header = message.header();
        if header.member().is_none_or(|it| it != "StartTransientUnit") {
            continue;
        }
        let (name, pid) = scope_of(&message)?;
        asked.lock().unwrap().push(name.clone());
        let job = OwnedObjectPath::try_from(JOB)?;
        match manner {
            Manner::IsSilent | Manner::IsNotThere => continue,
            Manner::Leaves => return Ok(()),
            Manner::Mistakes => {
                bus.reply(&header, &"a text, and no path").await?;
                continue;
            }
            Manner::Refuses => {
                let name = "org.freedesktop.DBus.Error.AccessDenied";
                bus.reply_error(&header, name, &"not for you").await?;
                continue;
            }
            Manner::Makes => make(&["memory", "pids", "cpu"], &name, pid, user),
            Manner::MakesWithoutMemory => make(&["pids", "cpu"], &name, pid, user),
            Manner::NeverDone | Manner::Lies | Manner::Fails => {}
        }
        bus.reply(&header, &job).await?;
        let result = if manner == Manner::Fails { "failed" } else { "done" };
        if manner != Manner::NeverDone {
            let body = (7_u32, job, name, result);
            bus.emit_signal(None::<&str>, OBJECT, MANAGER, "JobRemoved", &body).await?;
        }
    }
    Ok(())
}

/// The name that a scope is to have, and who is to be in it.
fn scope_of(message: &Message) -> zbus::Result<(String, u32)> {
    type Properties = Vec<(String, OwnedVariant)>;
    let body = message.body();
    let (name, mode, properties, others): (String, String, Properties, Vec<(String, Properties)>) =
        body.deserialize()?;
    assert_eq!((mode.as_str(), others.len()), ("fail", 0));
    let value = |name: &str| {
        let found = properties.iter().find(|(it, _)| it == name);
        found.unwrap_or_else(|| panic!("no {name} in {properties:?}")).1.clone()
    };
    assert!(bool::try_from(value("Delegate")).unwrap());
    assert_eq!(String::try_from(value("CollectMode")).unwrap(), "inactive-or-failed");
    let pids = Vec::<u32>::try_from(value("PIDs")).unwrap();
    assert_eq!(pids.len(), 1);
    Ok((name, pids[0]))
}

/// What systemd does for a scope that is delegated: a group that is the user's, with the process in
/// it, which goes when nobody is left in it.
fn make(controllers: &[&str], name: &str, pid: u32, user: u32) {
    let groups: Vec<PathBuf> =
        places(controllers, name).into_iter().map(|it| it.join(name)).collect();
    for group in &groups {
        fs::create_dir(group).unwrap();
        for file in [".", "cgroup.procs", "cgroup.subtree_control"] {
            let file = group.join(file);
            if file.exists() {
                chown(&file, Some(user), Some(user)).unwrap();
            }
        }
        fs::write(group.join("cgroup.procs"), pid.to_string()).unwrap();
    }
    thread::spawn(move || {
        while groups.iter().any(|it| it.exists()) {
            for group in groups.iter().filter(|it| is_empty(it)) {
                remove(group);
                // It was in a slice of its own, if it was in one.
                let slice = group.parent().filter(|it| it.to_string_lossy().ends_with(SLICE));
                if let Some(slice) = slice {
                    let _gone = fs::remove_dir(slice);
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
}

/// Where groups with these controllers, and no others, are made: below the group that this process is
/// in, or with version 2 alone in a slice of its own.
fn places(controllers: &[&str], scope: &str) -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    if top.join("cgroup.controllers").exists() {
        let slice = top.join(format!("{scope}{SLICE}"));
        fs::create_dir(&slice).unwrap();
        for above in [top, &slice] {
            for controller in controllers {
                fs::write(above.join("cgroup.subtree_control"), format!("+{controller}")).unwrap();
            }
        }
        return vec![slice];
    }
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let place = |controller: &&str| {
        let line = own.lines().find_map(|it| {
            let (has, path) = it.split_once(':')?.1.split_once(':')?;
            has.split(',').any(|it| it == *controller).then_some(path)
        });
        top.join(controller).join(line.unwrap().trim_start_matches('/'))
    };
    controllers.iter().map(place).collect()
}

/// Whether nobody is in a group, or in one below it.
fn is_empty(group: &Path) -> bool {
    let procs = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let below = fs::read_dir(group).into_iter().flatten().flatten();
    let mut below = below.filter(|it| it.file_type().is_ok_and(|it| it.is_dir()));
    procs.is_empty() && below.all(|it| is_empty(&it.path()))
}

/// Removes a group and those in it.
fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            remove(&entry.path());
        }
    }
    let _busy = fs::remove_dir(group);
}

/// What a socket does that poses as a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noise {
    /// Closes each connection.
    Closes,
    /// Takes none of them.
    TakesNobody,
    /// Takes them, and says nothing.
    IsSilent,
    /// Says what nobody understands.
    AtOnce,
    /// Lets one in first.
    OnceIn,
}

/// A socket that poses as the bus of a user, for as long as the test runs.
pub(crate) fn pose_as_bus(directory: &Path, owner: u32, noise: Noise) {
    let socket = directory.join("bus");
    let listener = UnixListener::bind(&socket).unwrap();
    chown(&socket, Some(owner), Some(owner)).unwrap();
    thread::spawn(move || {
        let mut held = Vec::new();
        if noise == Noise::TakesNobody {
            // As many as may wait do wait.
            rustix::net::listen(&listener, 0).unwrap();
            held.extend(UnixStream::connect(&socket));
            loop {
                thread::park();
            }
        }
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            match noise {
                Noise::Closes | Noise::TakesNobody => {}
                Noise::IsSilent => held.push(stream),
                Noise::AtOnce => write_garbage(&mut stream),
                Noise::OnceIn => {
                    let_in(&stream);
                    write_garbage(&mut stream);
                }
            }
        }
    });
}

/// What SASL has before the first message.
fn let_in(stream: &UnixStream) {
    let mut lines = BufReader::new(stream);
    let mut first = [0];
    lines.read_exact(&mut first).unwrap();
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let answer = match line.split_whitespace().next() {
            Some("AUTH" | "DATA") => "OK 0123456789abcdef0123456789abcdef\r\n",
            Some("NEGOTIATE_UNIX_FD") => "AGREE_UNIX_FD\r\n",
            Some("BEGIN") | None => return,
            Some(_) => "ERROR\r\n",
        };
        (&mut &*stream).write_all(answer.as_bytes()).unwrap();
    }
}

fn write_garbage(stream: &mut UnixStream) {
    // The head of a message that would be the longest there may be, and then anything.
    let head = [b'l', 2, 0, 1, 0xff, 0xff, 0xff, 7, 1, 0, 0, 0, 0xff, 0xff, 0xff, 3];
    let noise = (0..1_u32 << 16).flat_map(|it| it.wrapping_mul(2_654_435_761).to_le_bytes());
    // Nobody needs to listen to all of it.
    let _closed =
        stream.write_all(&head).and_then(|()| stream.write_all(&noise.collect::<Vec<_>>()));
}
