//! What is planted around a server that tries to get out: files, sockets, a process, a terminal.
//! All of it is looked at again when the server has ended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mkfifoat};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

/// In every planted file.
const MARKER: &str = "STOCKADE-CANARY";

/// Files of others: where, below the top.
const FILES: &[&str] = &[
    "outside/canary",
    "outside/to-remove",
    "outside/to-take",
    "other/file",
    "state/key",
    "home/.ssh/id_ed25519",
    "home/.aws/credentials",
    "home/.bash_history",
    "home/.bashrc",
    "home/.cursor/mcp.json",
    "home/.mozilla/cookies.sqlite",
    "ro/file",
    "ro/to-remove",
    "ro/to-rename",
    "rw/.git/hooks/pre-commit",
    "rw/.git/config",
    "rw/.mcp.json",
    "rw/.envrc",
    "rw/.vscode/tasks.json",
    "rw/.husky/pre-commit",
];

/// Sockets that machines have.
const SERVICES: &[&str] = &[
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/run/systemd/journal/stdout",
    "/tmp/.X11-unix/X0",
    "/run/snapd.socket",
];

pub(crate) struct Ground {
    pub(crate) top: PathBuf,
    host_tmp: PathBuf,
    name: String,
    victim: Child,
    victim_says: BufReader<process::ChildStdout>,
    visitors: Visitors,
    over: Arc<AtomicBool>,
    terminal: OwnedFd,
    before: BTreeMap<PathBuf, String>,
}

/// How often somebody came, by where.
#[derive(Clone, Default)]
struct Visitors(Arc<[(AtomicU32, &'static str); 12]>);

const TCP4: usize = 0;
const TCP6: usize = 1;
const UDP4: usize = 2;
const UDP6: usize = 3;
const OUTSIDE: usize = 4;
const IN_RW: usize = 5;
const IN_RO: usize = 6;
const ABSTRACT: usize = 7;
const AGENT: usize = 8;
const DATAGRAMS: usize = 9;
const FIFO: usize = 10;
const FIFO_IN_RO: usize = 11;
/// A pipe with a name in a root that is read only: what is written to it changes no file, so no
/// mount forbids it. Landlock does, but not below a place that may be written, as `/tmp` and HOME
/// are: what it allows there, it allows in every mount below.
pub(crate) const PIPE_IN_RO: &str = "a pipe with a name in the read-only root";

const PLACES: [&str; 12] = [
    "a TCP listener",
    "a TCP listener of IPv6",
    "a UDP socket",
    "a UDP socket of IPv6",
    "a unix socket outside",
    "a unix socket in the writable root",
    "a unix socket in the read-only root",
    "an abstract socket",
    "the agent of keys",
    "a datagram socket in the writable root",
    "a pipe with a name outside",
    PIPE_IN_RO,
];

impl Visitors {
    fn new() -> Self {
        Self(Arc::new(PLACES.map(|place| (AtomicU32::new(0), place))))
    }

    fn note(&self, place: usize) {
        self.0[place].0.fetch_add(1, Ordering::Relaxed);
    }

    fn came(&self) -> Vec<String> {
        let came = self.0.iter().filter(|it| it.0.load(Ordering::Relaxed) > 0);
        came.map(|it| format!("somebody came to {}", it.1)).collect()
    }
}

impl Ground {
    pub(crate) fn new(setuid_program: Option<&str>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("stockade-escape-{}-{count}", process::id());
        let tmp = std::env::temp_dir().canonicalize().unwrap();
        let top = tmp.join(&name);
        let host_tmp = tmp.join(format!("{name}-tmp"));
        for file in FILES {
            let path = top.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{MARKER} of {file}")).unwrap();
        }
        fs::create_dir(&host_tmp).unwrap();
        fs::write(host_tmp.join("file"), MARKER).unwrap();
        symlink("../outside/canary", top.join("rw/link")).unwrap();
        symlink(top.join("outside/canary"), top.join("ro/link")).unwrap();
        symlink("../outside", top.join("rw/linked")).unwrap();
        symlink(
            format!("/proc/self/root{}", top.join("outside").display()),
            top.join("rw/to-proc"),
        )
        .unwrap();
        symlink("../outside/by-link", top.join("rw/dangling")).unwrap();
        fs::create_dir(top.join("program")).unwrap();
        let program = top.join("program/stockade");
        fs::copy(env!("CARGO_BIN_EXE_stockade"), &program).unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(top.join("program/neighbour"), MARKER).unwrap();

        let mut victim = Command::new("python3")
            .args(["-c", include_str!("victim.py"), &name, &secret(&name)])
            .env("SECRET", secret(&name))
            .current_dir(top.join("outside"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut victim_says = BufReader::new(victim.stdout.take().unwrap());
        let mut planted = next_line(&mut victim_says);

        let (visitors, over) = (Visitors::new(), Arc::new(AtomicBool::new(false)));
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let user_terminal = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let around = json!({
            "marker": MARKER,
            "secret": secret(&name),
            "guard": 0,
            "outside": top.join("outside"), "home": top.join("home"), "other": top.join("other"),
            "state": top.join("state"), "ro": top.join("ro"), "rw": top.join("rw"),
            "host_tmp": &host_tmp,
            "abstract": &name,
            "terminal": user_terminal,
            "hostname": fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim(),
            "passwd": fs::read_to_string("/etc/passwd").unwrap(),
            "survivor": format!("30.{:06}", process::id() % 1_000_000),
            "variables": [
                "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "LANG",
                "LC_ALL", "LC_CTYPE", "PWD",
            ],
            "devices": devices(Path::new("/dev")),
            "sockets": SERVICES.iter().filter(|it| Path::new(it).exists()).collect::<Vec<_>>(),
            "memory_bytes": super::launcher::MEMORY_BYTES,
            "pids": super::launcher::PIDS,
            "open_files": 1024,
            "scratch_bytes": 64 << 20,
        });
        let planted = planted.as_object_mut().unwrap();
        planted.extend(around.as_object().unwrap().clone());
        if let Some(program) = setuid_program {
            planted.insert("setuid_program".into(), program.into());
        }
        if rustix::process::geteuid().is_root() {
            planted.insert("extra_group".into(), super::launcher::EXTRA_GROUP.into());
        }
        for (name, address) in listen(&top, &name, &visitors, &over) {
            planted.insert(name.into(), address.to_string().into());
        }
        let port = call_back(&over);
        planted.insert("listen_port".into(), port.into());
        fs::write(top.join("ro/plan.json"), Value::Object(planted.clone()).to_string()).unwrap();
        let before = contents(&top);
        Self { top, host_tmp, name, victim, victim_says, visitors, over, terminal, before }
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.top.join(path)
    }

    pub(crate) fn secret(&self) -> String {
        secret(&self.name)
    }

    pub(crate) fn terminal(&self) -> String {
        ptsname(&self.terminal, Vec::new()).unwrap().into_string().unwrap()
    }

    /// What happened that should not have, seen from outside.
    pub(crate) fn harm(&mut self) -> Vec<String> {
        let mut harm = self.visitors.came();
        harm.extend(self.survivors());
        let now = contents(&self.top);
        for path in self.before.keys().chain(now.keys()) {
            let (was, is) = (self.before.get(path), now.get(path));
            if was != is {
                let what = if was.is_none() { "is new" } else { "was changed" };
                harm.push(format!("{} {what}", path.display()));
            }
        }
        harm.extend(special(&self.top.join("rw")));
        drop(self.victim.stdin.take());
        let signals = next_line(&mut self.victim_says)["signals"].as_u64().unwrap();
        if signals > 0 {
            harm.push(format!("another process got {signals} signals"));
        }
        harm.sort();
        harm.dedup();
        harm
    }

    /// Processes that were to be left when all is over. They are ended now. One that was forked a
    /// moment ago may not be what it becomes yet, so they are looked for a while.
    fn survivors(&self) -> Vec<String> {
        let until = Instant::now() + SURVIVES;
        loop {
            let found = self.survivors_now();
            if !found.is_empty() || Instant::now() > until {
                return found;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn survivors_now(&self) -> Vec<String> {
        let plan: Value =
            serde_json::from_slice(&fs::read(self.at("ro/plan.json")).unwrap()).unwrap();
        let words = format!("sleep\0{}\0", plan["survivor"].as_str().unwrap());
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let said = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let pid = entry.file_name().to_string_lossy().parse().ok();
            let pid = pid.and_then(rustix::process::Pid::from_raw);
            if let (true, Some(pid)) = (said == words.as_bytes(), pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                found.push("a process was left".to_owned());
            }
        }
        found
    }
}

/// How long it is looked for what is left.
const SURVIVES: Duration = Duration::from_secs(3);

impl Drop for Ground {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(self.victim.stdin.take());
        let _ = self.victim.wait();
        let _ = fs::remove_dir_all(&self.top);
        let _ = fs::remove_dir_all(&self.host_tmp);
    }
}

fn secret(name: &str) -> String {
    format!("s3cret-of-{name}")
}

fn next_line(from: &mut impl BufRead) -> Value {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Every regular file that is not the server's to change, with its text and mode.
fn contents(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut places: Vec<PathBuf> =
        ["outside", "home", "other", "state", "program", "ro"].map(|it| top.join(it)).into();
    places.extend([".git", ".vscode", ".husky"].map(|it| top.join("rw").join(it)));
    for file in [".mcp.json", ".envrc"] {
        let path = top.join("rw").join(file);
        found.insert(path.clone(), fs::read_to_string(path).unwrap_or_default());
    }
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let about = entry.metadata().unwrap();
            if about.is_dir() {
                places.push(entry.path());
            }
            // The plan is completed when the guard starts, and the program is large.
            let is_text = about.is_file() && about.len() < 1000;
            let text = match is_text && entry.file_name() != "plan.json" {
                true => fs::read_to_string(entry.path()).unwrap_or_default(),
                false => String::new(),
            };
            found.insert(entry.path(), format!("{:o} {text}", about.mode()));
        }
    }
    found
}

/// Devices and setuid programs that somebody made.
fn special(place: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place).unwrap().flatten() {
        let about = entry.metadata().unwrap();
        let kind = about.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            found.push(format!("{} is a device", entry.path().display()));
        }
        if kind.is_file() && about.mode() & 0o6000 != 0 {
            found.push(format!("{} is setuid", entry.path().display()));
        }
    }
    found
}

fn devices(place: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(devices(&entry.path())),
            Ok(kind) if kind.is_char_device() || kind.is_block_device() => {
                found.push(entry.path());
            }
            _ => {}
        }
    }
    found
}

/// Listens everywhere, and counts who comes.
fn listen(
    top: &Path,
    name: &str,
    visitors: &Visitors,
    over: &Arc<AtomicBool>,
) -> Vec<(&'static str, SocketAddr)> {
    let mut addresses = Vec::new();
    for (place, name, at) in [(TCP4, "tcp4", "127.0.0.1:0"), (TCP6, "tcp6", "[::1]:0")] {
        let listener = TcpListener::bind(at).unwrap();
        addresses.push((name, listener.local_addr().unwrap()));
        listener.set_nonblocking(true).unwrap();
        count(visitors, over, place, move || listener.accept().is_ok());
    }
    for (place, name, at) in [(UDP4, "udp4", "127.0.0.1:0"), (UDP6, "udp6", "[::1]:0")] {
        let socket = UdpSocket::bind(at).unwrap();
        addresses.push((name, socket.local_addr().unwrap()));
        socket.set_nonblocking(true).unwrap();
        count(visitors, over, place, move || match socket.recv_from(&mut [0; 8]) {
            Ok((_, from)) => socket.send_to(b"pong", from).is_ok(),
            Err(_) => false,
        });
    }
    let name = UnixAddr::from_abstract_name(name).unwrap();
    for (place, listener) in [
        (OUTSIDE, UnixListener::bind(top.join("outside/socket"))),
        (IN_RW, UnixListener::bind(top.join("rw/socket"))),
        (IN_RO, UnixListener::bind(top.join("ro/socket"))),
        (AGENT, UnixListener::bind(top.join("home/.ssh/agent"))),
        (ABSTRACT, UnixListener::bind_addr(&name)),
    ] {
        let listener = listener.unwrap();
        listener.set_nonblocking(true).unwrap();
        count(visitors, over, place, move || listener.accept().is_ok());
    }
    let datagrams = UnixDatagram::bind(top.join("rw/datagrams")).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    count(visitors, over, DATAGRAMS, move || datagrams.recv(&mut [0; 8]).is_ok());
    for (place, fifo) in [(FIFO, "outside/fifo"), (FIFO_IN_RO, "ro/fifo")] {
        let path = top.join(fifo);
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        assert!(FileType::from_raw_mode(fs::metadata(&path).unwrap().mode()) == FileType::Fifo);
        // Open for writing too, so that it never ends.
        let mut open = File::options();
        let open = open.read(true).write(true).custom_flags(0o4000).open(path).unwrap();
        count(visitors, over, place, move || std::io::Read::read(&mut &open, &mut [0]).is_ok());
    }
    addresses
}

/// Asks until all is over.
fn count(
    visitors: &Visitors,
    over: &Arc<AtomicBool>,
    place: usize,
    came: impl Fn() -> bool + Send + 'static,
) {
    let (visitors, over) = (visitors.clone(), Arc::clone(over));
    thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            if came() {
                visitors.note(place);
            } else {
                thread::sleep(Duration::from_millis(5));
            }
        }
    });
}

/// Tries to connect to where the server may listen, until all is over.
fn call_back(over: &Arc<AtomicBool>) -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let over = Arc::clone(over);
    thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            let _ = TcpStream::connect(free);
            thread::sleep(Duration::from_millis(20));
        }
    });
    free.port()
}
