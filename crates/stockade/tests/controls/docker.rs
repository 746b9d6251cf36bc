//! Servers in containers of Docker, whose daemon is started for each row: the walls, limits and ends
//! that a container of Podman has. They need root and `dockerd`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::containers::{GONE, said, sandbox};
use crate::harness::process::{is_dead, kill, tree, with_mark};
use crate::harness::{Home, wait_for, within};

crate::rows![
    x01_a_container_of_docker_has_its_roots_alone,
    x03_a_container_of_docker_is_bounded,
    x04_a_container_of_docker_is_unprivileged,
    x09_nothing_is_left_of_a_container_of_docker,
    a_container_of_docker_passes_on_how_its_server_ended,
];

/// Starts up to a hundred processes, and says how many.
const FORKS: &str = "
import subprocess
count = 0
try:
    while count < 100:
        subprocess.Popen(['sleep', '1000'])
        count += 1
except OSError:
    pass
print(count)
";

const DOCKERD: &str = "/usr/sbin/dockerd";

/// A daemon with nothing in it, which ends with its row.
struct Daemon {
    process: Child,
    place: TempDir,
}

impl Daemon {
    fn start() -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !Path::new(DOCKERD).exists() {
            println!("not run: it needs root, and dockerd (Debian: docker.io)");
            return None;
        }
        // Sockets have short paths.
        let place = tempfile::Builder::new().prefix("sd-").tempdir_in("/tmp").unwrap();
        let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
        let says = fs::File::create(at("log")).unwrap();
        let process = Command::new(DOCKERD)
            .args(["--data-root", &at("data"), "--exec-root", &at("exec")])
            .args(["--host", &format!("unix://{}", at("socket")), "--pidfile", &at("pid")])
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .arg("--storage-driver=vfs")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(says)
            .spawn()
            .unwrap();
        let daemon = Self { process, place };
        wait_for("the daemon", || daemon.docker(&["version"]));
        Some(daemon)
    }

    fn host(&self) -> String {
        format!("unix://{}/socket", self.place.path().display())
    }

    /// What its client says; nothing if that fails.
    fn docker(&self, args: &[&str]) -> Option<String> {
        let output = Command::new("docker").args(args).env("DOCKER_HOST", self.host()).output();
        let output = output.unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn sandbox(&self, home: &Home, options: &[&str], script: &str) -> Command {
        let mut command = sandbox(home, "docker", options, &["bash", "-c", script]);
        command.env("DOCKER_HOST", self.host());
        command
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.process);
        let _ = kill_process(pid, Signal::TERM);
        let _ = self.process.wait();
    }
}

fn x01_a_container_of_docker_has_its_roots_alone() {
    let Some(daemon) = Daemon::start() else { return };
    let home = Home::new();
    let at = |it: &str| home.path().join(it).to_str().unwrap().to_owned();
    for directory in ["rw/.git", "ro", "outside"] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    for file in ["outside/canary", "ro/file", "rw/file", "rw/.git/config"] {
        fs::write(at(file), "as it was").unwrap();
    }
    std::os::unix::fs::symlink(at("outside/canary"), at("rw/link")).unwrap();
    for place in ["rw", "rw/.git", "rw/file", "rw/.git/config", "ro", "ro/file"] {
        std::os::unix::fs::chown(at(place), Some(65534), Some(65534)).unwrap();
    }
    let script = format!(
        r#"cd {top}
        for it in outside/canary rw/link ro/file rw/file /etc/shadow /root/.ssh /etc/machine-id \
            /proc/1/environ /proc/1/root /proc/kcore /proc/keys /dev/kmsg /dev/vda \
            /var/run/docker.sock {socket}; do
            # What the engine has covered with nothing is opened, and has no byte.
            if [ -d $it ]; then ls $it >/dev/null 2>&1 && echo "read $it"
            elif [ "$(head -c 1 $it 2>/dev/null | wc -c)" = 1 ]; then echo "read $it"; fi
        done
        for it in rw/new rw/.git/config ro/new ro/file /usr/new /etc/new /new /tmp/new \
            /proc/sys/kernel/core_pattern; do
            if echo x 2>/dev/null >$it; then echo "written $it"; fi
        done
        cp /usr/bin/true rw/program; rw/program 2>/dev/null && echo executed
        unshare -U true 2>/dev/null && echo a user namespace
        ls /.stockade; echo end"#,
        top = home.path().display(),
        socket = daemon.place.path().join("socket").display(),
    );
    let roots = ["--root", &format!("{}:rw", at("rw")), "--root", &at("ro")];
    let output = daemon.sandbox(&home, &roots, &script).output().unwrap();
    let expected = "read ro/file\nread rw/file\nwritten rw/new\nwritten /tmp/new\nstockade\nend\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", said(&output));
    for file in ["outside/canary", "ro/file", "rw/.git/config"] {
        assert_eq!(fs::read_to_string(at(file)).unwrap(), "as it was", "{file}");
    }
}

fn x03_a_container_of_docker_is_bounded() {
    let Some(daemon) = Daemon::start() else { return };
    let home = Home::new();
    let run = |options: &[&str], script: &str| {
        said(&daemon.sandbox(&home, options, script).output().unwrap())
    };
    let memory = run(&["--memory", "64M"], "head -c 300M /dev/zero | tail >/dev/null; echo $?");
    assert_eq!(memory.lines().next(), Some("137"), "{memory}");
    let pids = run(&["--pids", "20"], &format!("python3 -c \"{FORKS}\""));
    let count = pids.lines().find_map(|it| it.trim().parse::<u32>().ok());
    assert!(count.is_some_and(|it| (5..20).contains(&it)), "{pids}");
    let descriptors = run(&[], "ulimit -n 100000 || ulimit -n");
    assert!(descriptors.contains("768"), "{descriptors}");
    let scratch = run(&[], "head -c 200M /dev/zero >/tmp/full; stat -c %s /tmp/full");
    let bytes = scratch.lines().find_map(|it| it.trim().parse::<u64>().ok());
    assert!(bytes.is_some_and(|it| it <= 64 << 20), "{scratch}");
    let time = daemon.sandbox(&home, &["--time", "1"], "sleep 1000").output().unwrap();
    assert_eq!(time.status.code(), Some(128 + 9), "{}", said(&time));
}

fn x04_a_container_of_docker_is_unprivileged() {
    let Some(daemon) = Daemon::start() else { return };
    let home = Home::new();
    let status = said(&daemon.sandbox(&home, &[], "cat /proc/self/status").output().unwrap());
    let field = |name: &str| {
        let line = status.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("{name} in {status}")).to_owned()
    };
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(name), "0000000000000000", "{name}");
    }
    assert_eq!((field("NoNewPrivs"), field("Seccomp")), ("1".into(), "2".into()));
    assert!(field("Seccomp_filters").parse::<u32>().unwrap() > 1, "{status}");
    assert!(field("Uid").split('\t').all(|it| it == "65534"), "{status}");
}

fn x09_nothing_is_left_of_a_container_of_docker() {
    let Some(daemon) = Daemon::start() else { return };
    for round in 0..6 {
        let home = Home::new();
        let mark = format!("daemon-of-{}", home.path().display());
        let script = format!("(setsid sh -c 'sleep 1000; : {mark}' &) ; echo up; cat; : {mark}");
        let mut command = daemon.sandbox(&home, &[], &script);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut guard = command.spawn().unwrap();
        std::io::Read::read_exact(guard.stdout.as_mut().unwrap(), &mut [0; 3]).unwrap();
        let all = tree(i32::try_from(guard.id()).unwrap());
        // The guard, the keeper, who stands in for it, the warden, the client.
        kill(all[round % all.len()]);
        drop(guard.stdin.take());
        let mut left = || {
            let _ = guard.try_wait();
            let pids: Vec<i32> =
                all.iter().copied().filter(|it| !is_dead(*it)).chain(with_mark(&mark)).collect();
            (pids, daemon.docker(&["container", "ls", "--all", "--quiet"]).unwrap())
        };
        let gone = within(GONE, || {
            let (pids, containers) = left();
            (pids.is_empty() && containers.is_empty()).then_some(())
        });
        assert!(gone.is_some(), "round {round}: left {:?}", left());
        guard.wait().unwrap();
    }
}

fn a_container_of_docker_passes_on_how_its_server_ended() {
    let Some(daemon) = Daemon::start() else { return };
    let home = Home::new();
    for (script, code, out, errors) in
        [("echo out; echo err >&2; exit 7", 7, "out\n", "err\n"), ("kill -9 $$", 128 + 9, "", "")]
    {
        let output = daemon.sandbox(&home, &[], script).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{script}: {}", said(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout), out, "{script}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), errors, "{script}");
    }
}
