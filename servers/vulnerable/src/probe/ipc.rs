//! Talking to other processes on the machine.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::Path;

use super::raw::{self, call_of, text};
use super::{Area, Came, Outcome, Plan, Probe, Severity};

use Severity::{Critical, High, Low, Medium};

/// Sockets that machines have, and what is behind them.
const SERVICES: &[(&str, Severity, &str)] = &[
    ("/run/docker.sock", Critical, "the machine, by its containers"),
    ("/run/podman/podman.sock", Critical, "the machine, by its containers"),
    ("/run/containerd/containerd.sock", Critical, "the machine, by its containers"),
    ("/run/dbus/system_bus_socket", Critical, "the machine's services"),
    ("/run/systemd/private", Critical, "the machine's services"),
    ("/run/systemd/journal/stdout", Medium, "what the machine writes down"),
    ("/tmp/.X11-unix/X0", Critical, "the user's screen and keys"),
    ("/run/snapd.socket", High, "the machine's programs"),
];

pub(super) fn probes() -> Vec<Probe> {
    let services = SERVICES.iter().map(|(path, severity, means)| {
        probe(&format!("service{}", path.replace('/', "-")), *severity, means, move |plan| {
            // Where the machine has none, nothing would be shown.
            if !plan.texts("sockets")?.contains(path) {
                return Ok(Outcome::untried("this machine has none"));
            }
            Ok(Outcome::of(UnixStream::connect(path)))
        })
    });
    let streams = [
        ("outside", (|plan| plan.at("outside", "socket")) as Way, Critical),
        ("in-writable-root", |plan| plan.at("rw", "socket"), High),
        ("in-read-only-root", |plan| plan.at("ro", "socket"), High),
        (
            "by-own-root",
            |plan| {
                Ok(Path::new("/proc/self/root")
                    .join(plan.at("outside", "socket")?.strip_prefix("/").unwrap_or(Path::new(""))))
            },
            Critical,
        ),
        ("of-key-agent", |plan| plan.at("home", ".ssh/agent"), Critical),
    ];
    let streams = streams.map(|(name, way, severity)| {
        let means = "a service of the user";
        probe(&format!("unix.{name}"), severity, means, move |plan| {
            Ok(Outcome::of(UnixStream::connect(way(plan)?)))
        })
    });
    services.chain(streams).chain(others()).collect()
}

type Way = fn(&Plan) -> Result<std::path::PathBuf, super::plan::Missing>;

fn probe(
    id: &str,
    severity: Severity,
    means: &'static str,
    attempt: impl Fn(&Plan) -> Came + 'static,
) -> Probe {
    Probe::new(id, Area::Ipc, severity, means, attempt)
}

fn others() -> Vec<Probe> {
    vec![
        probe("unix.datagrams-in-root", High, "a service of the user", |plan| {
            let to = plan.at("rw", "datagrams")?;
            Ok(Outcome::of(UnixDatagram::unbound().and_then(|it| it.send_to(b"x", to))))
        }),
        probe("unix.datagrams-by-a-pair", High, "a service of the user", |plan| {
            let to = plan.at("rw", "datagrams")?;
            Ok(Outcome::of(UnixDatagram::pair().and_then(|(it, _)| it.send_to(b"x", to))))
        }),
        probe("unix.abstract", Critical, "a service of the user", |plan| {
            let name = SocketAddr::from_abstract_name(plan.text("abstract")?);
            Ok(Outcome::of(name.and_then(|it| UnixStream::connect_addr(&it))))
        }),
        probe("unix.abstract-bound", Medium, "it stands for a service of the user", |plan| {
            // Taken already, if it is the same namespace.
            let name = SocketAddr::from_abstract_name(plan.text("abstract")?);
            let bound = name.and_then(|it| std::os::unix::net::UnixListener::bind_addr(&it));
            Ok(Outcome::unless(
                matches!(&bound, Err(it) if it.kind() == std::io::ErrorKind::AddrInUse),
                "names of others are seen",
            ))
        }),
        probe("sysv.memory", Critical, "what other processes share", |plan| {
            let key = plan.number("sysv_memory")?;
            let segment = call_of(libc::SYS_shmget, [key, 0, 0]);
            Ok(Outcome::of(segment.and_then(|it| raw::attach(i32::try_from(it).unwrap_or(-1)))))
        }),
        probe("sysv.semaphore", High, "other processes wait", |plan| {
            Ok(Outcome::of(call_of(libc::SYS_semget, [plan.number("sysv_semaphore")?, 0, 0])))
        }),
        probe("sysv.queue", High, "what other processes say", |plan| {
            Ok(Outcome::of(call_of(libc::SYS_msgget, [plan.number("sysv_queue")?, 0])))
        }),
        probe("posix.memory", Critical, "what other processes share", |plan| {
            Ok(Outcome::of(File::open(Path::new("/dev/shm").join(plan.text("posix_memory")?))))
        }),
        probe("posix.queue", High, "what other processes say", |plan| {
            let name = raw::path(Path::new(plan.text("posix_queue")?));
            Ok(Outcome::of(call_of(libc::SYS_mq_open, [text(&name), 0, 0, 0])))
        }),
        probe("fifo.outside", High, "a service of the user", |plan| {
            Ok(fifo(&plan.at("outside", "fifo")?))
        }),
        probe("fifo.in-read-only-root", Medium, "a service of the user", |plan| {
            Ok(fifo(&plan.at("ro", "fifo")?))
        }),
        probe("lease.in-read-only-root", Low, "others wait when they open a file", |plan| {
            let file = File::open(plan.at("ro", "file")?);
            Ok(Outcome::of(file.and_then(|it| {
                // F_SETLEASE, so that nobody else may write.
                call_of(libc::SYS_fcntl, [it.as_raw_fd().into(), 1024, libc::F_RDLCK.into()])
            })))
        }),
        probe("keys.of-user", Critical, "a key of the user", |plan| {
            let name = raw::path(Path::new(plan.text("user_key")?));
            // KEYCTL_SEARCH in the user's keyring.
            Ok(Outcome::of(call_of(libc::SYS_keyctl, [10, -4, text(c"user"), text(&name), 0])))
        }),
        probe("keys.of-session", Critical, "a key of the user", |plan| {
            let name = raw::path(Path::new(plan.text("session_key")?));
            Ok(Outcome::of(call_of(libc::SYS_keyctl, [10, -3, text(c"user"), text(&name), 0])))
        }),
        probe("keys.by-request", Critical, "a key of the user", |plan| {
            let name = raw::path(Path::new(plan.text("user_key")?));
            Ok(Outcome::of(call_of(libc::SYS_request_key, [text(c"user"), text(&name), 0, 0])))
        }),
        probe("queues-of-others", Low, "what other processes have", |_| {
            let count = fs::read_dir("/dev/mqueue").map(Iterator::count);
            Ok(match count {
                Ok(0) => Outcome::held("empty"),
                other => Outcome::of(other),
            })
        }),
    ]
}

/// Somebody reads it, so opening it does not wait.
fn fifo(path: &Path) -> Outcome {
    let how = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path);
    Outcome::of(how.and_then(|mut it| std::io::Write::write_all(&mut it, b"x")))
}
