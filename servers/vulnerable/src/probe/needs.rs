//! What a normal server does all day. A sandbox in which one of these fails is not used.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use super::raw;
use super::{Area, Came, Outcome, Plan, Probe, Severity};

type Work = fn(&Plan, &Path) -> io::Result<()>;

const NEEDS: &[(&str, &str, Work)] = &[
    ("read-root", "reads a root", |plan, _| {
        let path = plan.at("ro", "file").map_err(io::Error::other)?;
        fs::read(path).map(|_| ())
    }),
    ("write-root", "writes a root", |_, rw| {
        let path = rw.join("written");
        fs::write(&path, "by the server")?;
        same(&fs::read(path)?, b"by the server")
    }),
    ("directories", "makes, moves and removes in a root", |_, rw| {
        fs::create_dir_all(rw.join("a/b"))?;
        fs::write(rw.join("a/f"), "x")?;
        fs::rename(rw.join("a/f"), rw.join("a/b/f"))?;
        fs::remove_dir_all(rw.join("a"))
    }),
    ("temporary-files", "uses temporary files", |_, _| {
        let path = env::temp_dir().join("stockade-probe-temporary");
        fs::write(&path, "x")?;
        fs::remove_file(path)
    }),
    ("home", "keeps something in its home", |_, _| {
        let path = env::home_dir().unwrap_or_default().join(".stockade-probe-home");
        fs::write(&path, "x")?;
        fs::remove_file(path)
    }),
    ("subprocess", "runs a program", |_, _| runs("sh", &["-c", "echo 42"])),
    ("threads", "has threads", |_, _| {
        let all: io::Result<Vec<_>> = (0..8).map(|_| thread::Builder::new().spawn(|| 42)).collect();
        let all: Result<Vec<i32>, _> = all?.into_iter().map(thread::JoinHandle::join).collect();
        all.map(|_| ()).map_err(|_| io::Error::other("a thread was lost"))
    }),
    ("loopback", "connects to itself", |_, _| over_loopback("127.0.0.1:0")),
    ("loopback-6", "connects to itself", |_, _| over_loopback("[::1]:0")),
    ("socketpair", "has a pair of sockets", |_, _| {
        let (mut one, mut other) = UnixStream::pair()?;
        one.write_all(b"x")?;
        other.read_exact(&mut [0])
    }),
    ("sqlite", "has a database with a log", |_, rw| database(rw).map_err(io::Error::other)),
    ("memory", "uses 256 MiB", |_, _| {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        raw::map(256 << 20, protection, libc::MAP_PRIVATE, None).map(|it| it.fill(1))
    }),
    ("processes", "has 32 processes", |_, _| {
        let all: io::Result<Vec<_>> = (0..32)
            .map(|_| Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn())
            .collect();
        for mut child in all? {
            drop(child.stdin.take());
            child.wait()?;
        }
        Ok(())
    }),
    ("node", "is written in JavaScript", |_, _| {
        let script = "const w = new (require('worker_threads').Worker)('', { eval: true });
            w.on('exit', () => console.log(require('child_process').execSync('echo 42') + ''))";
        runs("node", &["-e", script])
    }),
    ("python", "is written in Python", |_, _| {
        let script = "import ssl, sqlite3, tempfile, threading, multiprocessing, subprocess
multiprocessing.Lock(); tempfile.NamedTemporaryFile().write(b'x')
print(subprocess.check_output(['echo', '42']).decode())";
        runs("python3", &["-c", script])
    }),
    ("locale", "knows the time zone", |_, _| {
        runs("sh", &["-c", "LC_ALL=C date +%Z >/dev/null && echo 42"])
    }),
    ("null", "discards output", |_, _| {
        OpenOptions::new().write(true).open("/dev/null")?.write_all(b"x")
    }),
    ("random", "has random numbers", |_, _| File::open("/dev/urandom")?.read_exact(&mut [0; 16])),
    ("installed-program", "runs what it was installed with", |_, _| {
        // This very program, which is what it was installed with.
        let program = fs::read_link("/proc/self/exe")?;
        let mut it = Command::new(program);
        it.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        it.status().map(|_| ())
    }),
    ("large-pipe", "passes much on", |_, _| {
        let (mut reader, mut writer) = io::pipe()?;
        let much = thread::spawn(move || writer.write_all(&vec![1; 4 << 20]));
        let count = io::copy(&mut reader, &mut io::sink())?;
        much.join().map_err(|_| io::Error::other("a thread was lost"))??;
        if count == 4 << 20 { Ok(()) } else { Err(io::Error::other("some was lost")) }
    }),
    ("mapped-file", "maps a file of a root", |_, rw| {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(rw.join("mapped-file"))?;
        file.set_len(4096)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        raw::map(4096, protection, libc::MAP_SHARED, Some(file.as_raw_fd()))?.fill(7);
        let mut bytes = [0; 4096];
        File::open(rw.join("mapped-file"))?.read_exact(&mut bytes)?;
        if bytes.iter().all(|it| *it == 7) { Ok(()) } else { Err(io::Error::other("not shared")) }
    }),
    ("certain-files", "writes for certain, and locks", |_, rw| {
        let file = File::create(rw.join("certain"))?;
        file.lock()?;
        file.sync_all()?;
        file.unlock()?;
        fs::rename(rw.join("certain"), rw.join("certain-renamed"))
    }),
    ("read-system", "reads libraries and certificates", |_, _| {
        fs::read_dir("/usr/lib")?;
        fs::read_dir("/usr/share").map(|_| ())
    }),
    ("own-proc", "looks at itself", |_, _| {
        fs::read_to_string("/proc/self/status")?;
        fs::read_dir("/proc/self/fd").map(|_| ())
    }),
];

pub(super) fn probes() -> Vec<Probe> {
    let needs = NEEDS.iter().map(|(name, means, work)| {
        let attempt = move |plan: &Plan| -> Came {
            let rw = plan.text("rw")?;
            Ok(Outcome::of(work(plan, Path::new(rw))))
        };
        Probe::new(format!("need.{name}"), Area::Needs, Severity::Need, means, attempt)
    });
    needs.collect()
}

fn same(one: &[u8], other: &[u8]) -> io::Result<()> {
    if one == other { Ok(()) } else { Err(io::Error::other("something else was read")) }
}

/// A program that says 42.
fn runs(program: &str, words: &[&str]) -> io::Result<()> {
    let said = Command::new(program).args(words).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    if text == "42" {
        return Ok(());
    }
    Err(io::Error::other(format!("{text} {}", String::from_utf8_lossy(&said.stderr))))
}

fn over_loopback(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let mut there = TcpStream::connect(listener.local_addr()?)?;
    there.write_all(b"x")?;
    listener.accept()?.0.read_exact(&mut [0])
}

fn database(rw: &Path) -> rusqlite::Result<()> {
    let base = rusqlite::Connection::open(rw.join("probe.db"))?;
    let mode: String = base.query_row("pragma journal_mode = wal", [], |it| it.get(0))?;
    base.execute_batch("create table if not exists t (x); insert into t values (42)")?;
    let other = rusqlite::Connection::open(rw.join("probe.db"))?;
    let x: i64 = other.query_row("select x from t", [], |it| it.get(0))?;
    if mode == "wal" && x == 42 { Ok(()) } else { Err(rusqlite::Error::InvalidQuery) }
}
