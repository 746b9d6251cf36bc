//! The bus of a user: where it is, and what is said to systemd over it. Nothing here knows what a scope
//! is good for, or believes that there is one: `scope.rs` asks the kernel. It is the guard that speaks,
//! or the doctor, and never a process that holds a server.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::geteuid;
use serde::Serialize;
use zbus::address::Transport;
use zbus::address::transport::UnixSocket;
use zbus::connection::Builder;
use zbus::wire::DynamicDeserialize;
use zbus::{Address, Connection, DynamicType, MessageStream, OwnedObjectPath, Variant};

/// How long all of it may take. A manager that is busy with a login takes a second or two.
const ANSWER_MAX: Duration = Duration::from_secs(10);

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const BUS: &str = "org.freedesktop.DBus";

/// Why systemd has not made a scope, or does not say that it has.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Unasked {
    #[error("there is no bus of this user")]
    NoBus,
    #[error("`{}`: {says}", at.display())]
    Refused { at: PathBuf, says: String },
    #[error("`{}`: there is no answer within {} s", at.display(), ANSWER_MAX.as_secs())]
    Silent { at: PathBuf },
}

/// Where this user's bus may be: a socket of the user's own. A client that starts a server often
/// leaves it no variable that would say so, and then it is where it always is.
pub fn places() -> Vec<PathBuf> {
    let said = env::var("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default();
    let said = said.split(';').filter_map(|it| file_of(it.parse().ok()?));
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(|it| Path::new(&it).join("bus"));
    let usual = PathBuf::from(format!("/run/user/{}/bus", geteuid().as_raw()));
    let mut known = BTreeSet::new();
    said.chain(runtime)
        .chain([usual])
        .filter(|it| is_ours(it))
        .filter(|it| known.insert(it.clone()))
        .collect()
}

/// Other kinds of addresses start programs, or lead to other machines.
fn file_of(address: Address) -> Option<PathBuf> {
    let Transport::Unix(unix) = address.transport() else { return None };
    let UnixSocket::File(path) = unix.path() else { return None };
    Some(path.clone())
}

/// Whoever owns the socket learns which process it is about, and is believed when it says no.
fn is_ours(place: &Path) -> bool {
    place.is_absolute()
        && fs::metadata(place)
            .is_ok_and(|it| it.file_type().is_socket() && it.uid() == geteuid().as_raw())
}

/// Has systemd put a process of this user into a scope of this name, which may have control groups
/// of its own, and waits until it says that it has.
pub(crate) fn start_scope(name: &str, pid: u32) -> Result<(), Unasked> {
    let mut failure = Unasked::NoBus;
    for place in places() {
        match ask(&place, name, pid) {
            Ok(()) => return Ok(()),
            // Another bus would be as slow, and nobody waits for two.
            Err(silent @ Unasked::Silent { .. }) => return Err(silent),
            Err(other) if matches!(failure, Unasked::NoBus) => failure = other,
            Err(_) => {}
        }
    }
    Err(failure)
}

/// In a thread of its own: what holds it up can then be cut off, wherever it is.
fn ask(at: &Path, name: &str, pid: u32) -> Result<(), Unasked> {
    let refused = |says: String| Unasked::Refused { at: at.to_owned(), says };
    let io = |error: io::Error| refused(error.to_string());
    let stream = connected(at).map_err(io)?;
    let cut = stream.try_clone().map_err(io)?;
    let (tell, told) = mpsc::channel();
    let name = name.to_owned();
    let talk = move || {
        let said = zbus::block_on(converse(stream, &name, pid));
        // Nobody listens any more when it has taken too long.
        let _ = tell.send(said.map_err(|it| it.to_string()));
    };
    thread::Builder::new().name("bus".to_owned()).spawn(talk).map_err(io)?;
    match told.recv_timeout(ANSWER_MAX) {
        Ok(said) => said.map_err(refused),
        Err(RecvTimeoutError::Timeout) => {
            // It fails when the other side has gone, and then the thread ends as well.
            let _ = cut.shutdown(std::net::Shutdown::Both);
            Err(Unasked::Silent { at: at.to_owned() })
        }
        Err(RecvTimeoutError::Disconnected) => Err(refused("it cannot be understood".to_owned())),
    }
}

/// A connection to the bus that is there. A socket that takes nobody would have it wait.
///
/// # Errors
/// When nobody takes it at once.
pub fn connected(at: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(at)?)?;
    Ok(UnixStream::from(socket))
}

async fn converse(stream: UnixStream, name: &str, pid: u32) -> zbus::Result<()> {
    let bus = Builder::unix_stream(stream).build().await?;
    // In a container that was given the bus of its host, our numbers are those of others there.
    let own = bus.unique_name().map(ToString::to_string).unwrap_or_default();
    let seen: u32 = called(&bus, BUS, BUS, "GetConnectionUnixProcessID", &own).await?;
    if seen != process::id() {
        let says = format!("it is of another pid namespace: there we are process {seen}");
        return Err(zbus::Error::Failure(says));
    }
    let mut heard = MessageStream::from(&bus);
    // Of other units nothing is sent to us, however busy the manager is.
    let rule = format!(
        "type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='JobRemoved',arg2='{name}'"
    );
    called::<()>(&bus, BUS, BUS, "AddMatch", &rule).await?;
    let job: OwnedObjectPath =
        called(&bus, SYSTEMD, MANAGER, "StartTransientUnit", &scope(name, pid)).await?;
    while let Some(message) = heard.next().await {
        let message = message?;
        if message.header().member().is_none_or(|it| it != "JobRemoved") {
            continue;
        }
        let body = message.body();
        let (_, of, _, result): (u32, OwnedObjectPath, String, String) = body.deserialize()?;
        if of != job {
            continue;
        }
        return match result.as_str() {
            "done" => Ok(()),
            other => Err(zbus::Error::Failure(format!("systemd says `{other}` of it"))),
        };
    }
    Err(zbus::Error::Failure("it was closed before it was done".to_owned()))
}

type Properties<'a> = Vec<(&'a str, Variant<'a>)>;

/// The arguments of `StartTransientUnit`. The limits are not among them: they are for the server
/// alone, and the process that is put there is its keeper. `Delegate` has systemd leave us the groups
/// below, with every controller that it has itself, and has it not end what is there when the kernel
/// kills one process at its limit.
fn scope(
    name: &str,
    pid: u32,
) -> (&str, &'static str, Properties<'static>, Vec<(String, Properties<'static>)>) {
    let properties = vec![
        ("Description", Variant::from("a server in Stockade's sandbox")),
        ("PIDs", Variant::from(vec![pid])),
        ("Delegate", Variant::from(true)),
        // Also after a failure nothing of it is left.
        ("CollectMode", Variant::from("inactive-or-failed")),
        // What a user's units may have by default is less than a server may be given.
        ("TasksMax", Variant::from(u64::MAX)),
    ];
    (name, "fail", properties, Vec::new())
}

/// Calls a method of the object that the whole of a service is.
async fn called<T>(
    bus: &Connection,
    service: &str,
    interface: &str,
    method: &str,
    body: &(impl Serialize + DynamicType),
) -> zbus::Result<T>
where
    T: for<'a> DynamicDeserialize<'a>,
{
    let path = format!("/{}", service.replace('.', "/"));
    let answer = bus.call_method(Some(service), path, Some(interface), method, body).await?;
    answer.body().deserialize()
}
