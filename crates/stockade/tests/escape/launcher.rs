//! The ways in which the server that tries to get out is started.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::ground::Ground;

/// What a server may use; the server's attempts know it, and go to twice as much.
pub(crate) const MEMORY_BYTES: u64 = 512 << 20;
pub(crate) const PIDS: u32 = 64;

/// A group that only the guard is in.
pub(crate) const EXTRA_GROUP: u32 = 54_321;

/// One way, and how much may get out.
pub(crate) struct Launcher {
    pub(crate) name: &'static str,
    /// What goes before the server's command.
    words: fn(&Ground, Option<&str>) -> Vec<String>,
    /// At most so many that are critical, high, or of any severity; `None` where most must get out.
    pub(crate) most: Option<[usize; 3]>,
    /// Whether it can be tried here, and why not.
    pub(crate) possible: fn() -> Result<(), String>,
}

pub(crate) const LAUNCHERS: &[Launcher] = &[
    Launcher { name: "none", words: |_, _| Vec::new(), most: None, possible: || Ok(()) },
    Launcher {
        name: "native",
        words: |ground, setuid| sandbox("native", ground, setuid),
        most: Some([0, 0, 2]),
        possible: || Ok(()),
    },
    Launcher {
        name: "podman",
        words: |ground, setuid| sandbox("podman", ground, setuid),
        most: Some([0, 0, 8]),
        possible: podman,
    },
];

fn podman() -> Result<(), String> {
    let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
    let is_there = |it: &&str| places.iter().any(|at| Path::new(at).join(it).exists());
    let is_root = rustix::process::geteuid().is_root();
    let needed: &[&str] =
        if is_root { &["podman", "runc"] } else { &["podman", "runc", "newuidmap", "newgidmap"] };
    if let Some(missing) = needed.iter().find(|it| !is_there(it)) {
        return Err(format!("missing: {missing} (Debian: podman runc uidmap)"));
    }
    if is_root {
        return Ok(());
    }
    let name = Command::new("id").arg("-un").output().unwrap().stdout;
    let line = format!("{}:", String::from_utf8(name).unwrap().trim());
    for file in ["/etc/subuid", "/etc/subgid"] {
        let given = fs::read_to_string(file).unwrap_or_default();
        if !given.lines().any(|it| it.starts_with(&line)) {
            let ids = "--add-subuids 300000-365535 --add-subgids 300000-365535";
            return Err(format!("{file} has no line for this user (`usermod {ids} USER`)"));
        }
    }
    Ok(())
}

fn sandbox(backend: &str, ground: &Ground, setuid: Option<&str>) -> Vec<String> {
    let at = |path: &str| ground.at(path).to_str().unwrap().to_owned();
    let mut words = vec![
        at("program/stockade"),
        "sandbox".into(),
        "--sandbox".into(),
        backend.into(),
        "--root".into(),
        format!("{}:rw", at("rw")),
        "--root".into(),
        at("ro"),
        "--memory".into(),
        MEMORY_BYTES.to_string(),
        "--pids".into(),
        PIDS.to_string(),
        // An ordinary user may have no control group; whether there is one is judged by the plan.
        "--allow-weaker".into(),
        "memory".into(),
    ];
    if let Some(program) = setuid {
        let place = Path::new(program).parent().unwrap();
        words.extend(["--root".into(), place.to_str().unwrap().to_owned()]);
    }
    words.push("--".into());
    words
}

impl Launcher {
    /// Everything that the server says, in the end.
    pub(crate) fn run(&self, ground: &Ground, setuid: Option<&str>) -> (Vec<Value>, bool) {
        let before = (self.words)(ground, setuid);
        let at = |path: &str| ground.at(path).to_str().unwrap().to_owned();
        let server = [
            &at("program/stockade"),
            "example",
            "vulnerable",
            "--probe",
            "--plan",
            &at("ro/plan.json"),
        ];
        let memory_holds = before.is_empty() || !dry(&before).contains("memory       not");
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["on-terminal", &ground.terminal(), &at("ro/plan.json"), &at("")])
            .args(before)
            .args(server)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", at("home"))
            .env("OTHERS_SECRET", ground.secret())
            .env("SSH_AUTH_SOCK", at("home/.ssh/agent"))
            .env("LD_LIBRARY_PATH", "/nowhere")
            .current_dir(at("rw"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let said = command.output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        let errors = String::from_utf8_lossy(&said.stderr);
        let lines: Vec<Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
        let last = text.lines().last().unwrap_or_default();
        assert!(said.status.success(), "{}: {}: {last}\n{errors}", self.name, said.status);
        (lines, memory_holds)
    }
}

fn dry(words: &[String]) -> String {
    let (program, rest) = words.split_first().unwrap();
    let rest: Vec<&String> = rest.iter().take_while(|it| *it != "--").collect();
    let said = Command::new(program).args(rest).args(["--dry-run", "--", "true"]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
}

/// Becomes a guard as a careless user starts one: from a terminal, with secrets in its environment,
/// a directory and a socket left open, and a group that the server has nothing to do with.
pub(crate) fn on_terminal(words: &[&str]) -> ! {
    let [terminal, plan, top, command @ ..] = words else { panic!("{words:?}") };
    rustix::process::setsid().unwrap();
    // The first terminal that a new session opens is its own.
    let terminal: OwnedFd = File::options().read(true).write(true).open(terminal).unwrap().into();
    rustix::stdio::dup2_stdin(&terminal).unwrap();
    let text = fs::read_to_string(plan).unwrap();
    let guard = format!("\"guard\":{}", std::process::id());
    fs::write(plan, text.replace("\"guard\":0", &guard)).unwrap();
    // Copies that are not marked to be closed.
    let directory = rustix::io::dup(File::open(top).unwrap()).unwrap();
    let socket = std::os::unix::net::UnixStream::pair().unwrap();
    let sockets = (rustix::io::dup(socket.0).unwrap(), rustix::io::dup(socket.1).unwrap());
    if rustix::process::geteuid().is_root() {
        let groups = [0, EXTRA_GROUP].map(rustix::process::Gid::from_raw);
        rustix::thread::set_thread_groups(&groups).unwrap();
    }
    let (program, rest) = command.split_first().unwrap();
    let error = Command::new(program).args(rest).exec();
    drop((directory, sockets));
    panic!("{program}: {error}");
}
