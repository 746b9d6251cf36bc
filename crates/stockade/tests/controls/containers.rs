//! Servers in containers of Podman: the same walls as without an engine, nothing of what an image
//! says, and nothing left. These need root, `podman` and `runc`; what an ordinary user's Podman does
//! is tried as `nobody`, to whom `/etc/subuid` and `/etc/subgid` must give ids.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::harness::home::copy_stockade;
use crate::harness::process::{is_dead, kill, tree, with_mark};
use crate::harness::{Home, Probe, call, is_refusal, request, text, wait_for, within};

crate::rows![
    x01_a_container_has_the_same_walls,
    x03_a_container_is_bounded,
    x03_podman_of_an_ordinary_user_has_the_groups_that_the_user_may_make,
    x08_podman_of_an_ordinary_user_needs_ids_to_give,
    x04_a_container_is_unprivileged,
    x05_an_engine_is_told_no_secret,
    x09_nothing_is_left_of_a_container,
    c17_what_an_image_says_changes_nothing,
    c17_an_image_instructs_no_runtime,
    c17_an_image_is_one_digest,
    c17_nothing_of_an_image_is_loaded_into_our_first_process,
    a_guarded_server_is_in_a_container,
    a_container_passes_on_how_its_server_ended,
    an_engine_that_is_not_there_is_said,
    the_doctor_asks_the_engines_that_would_be_used,
];

/// X09's limit.
pub(crate) const GONE: Duration = Duration::from_secs(5);

/// An ordinary user.
const NOBODY: u32 = 65534;

/// Whether containers can be started here. It says why not, and how to get there.
pub(crate) fn can_run() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let there = |program: &str| {
        let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
        places.iter().any(|it| Path::new(it).join(program).exists())
    };
    let can = is_root && there("podman") && there("runc");
    if !can {
        println!("not run: it needs root, and podman and runc (Debian: podman runc)");
    }
    can
}

/// Whether an ordinary user can start containers here, too.
pub(crate) fn can_run_as_nobody() -> bool {
    let has_ids = ["/etc/subuid", "/etc/subgid"].iter().all(|it| {
        fs::read_to_string(it).unwrap_or_default().lines().any(|it| it.starts_with("nobody:"))
    });
    let can = can_run() && has_ids && Path::new("/usr/bin/newuidmap").exists();
    if !can {
        println!(
            "not run as an ordinary user: it needs newuidmap (Debian: uidmap) and ids for `nobody` \
             (`usermod --add-subuids 300000-365535 --add-subgids 300000-365535 nobody`)"
        );
    }
    can
}

/// The same as [`sandbox`], as an ordinary user, who owns all that is in this home by now.
fn sandbox_of_nobody(home: &Home, backend: &str, options: &[&str], command: &[&str]) -> Command {
    let program = home.path().join("stockade");
    if !program.exists() {
        copy_stockade(&program);
    }
    let owner = format!("{NOBODY}:{NOBODY}");
    let chown = Command::new("chown").args(["-R", &owner]).arg(home.path()).status();
    assert!(chown.unwrap().success());
    let mut sandbox = Command::new(program);
    sandbox.args(["sandbox", "--sandbox", backend]).args(options).arg("--").args(command);
    sandbox.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", home.path());
    sandbox.current_dir("/").stdin(Stdio::null()).uid(NOBODY).gid(NOBODY);
    sandbox
}

/// Whoever can start containers here: whether that is root, and how.
type Starts = fn(&Home, &str, &[&str], &[&str]) -> Command;
fn everybody() -> impl Iterator<Item = (bool, Starts)> {
    let nobody: (bool, Starts) = (false, sandbox_of_nobody);
    [(true, sandbox as Starts)].into_iter().chain(can_run_as_nobody().then_some(nobody))
}

/// `stockade sandbox --sandbox BACKEND …`.
pub(crate) fn sandbox(home: &Home, backend: &str, options: &[&str], command: &[&str]) -> Command {
    let mut sandbox = home.stockade(["sandbox", "--sandbox", backend]);
    sandbox.args(options).arg("--").args(command).stdin(Stdio::null());
    sandbox
}

pub(crate) fn said(output: &Output) -> String {
    let [out, errors] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    format!("{out}{errors}")
}

fn x01_a_container_has_the_same_walls() {
    if !can_run() {
        return;
    }
    for (is_root, sandbox) in everybody() {
        the_walls_are_the_same(is_root, sandbox);
    }
}

fn the_walls_are_the_same(is_root: bool, sandbox: Starts) {
    let home = Home::new();
    let at = |it: &str| home.path().join(it).to_str().unwrap().to_owned();
    for directory in ["rw/.git", "ro", "outside"] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    for file in ["outside/canary", "ro/file", "rw/file", "rw/.git/config"] {
        fs::write(at(file), "as it was").unwrap();
    }
    std::os::unix::fs::symlink(at("outside/canary"), at("rw/link")).unwrap();
    let listens = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listens.local_addr().unwrap().port();
    let script = format!(
        r#"for it in {outside}/canary rw/link ro/file rw/file /etc/shadow /root/.ssh /etc/machine-id \
            /proc/1/environ /proc/1/root /proc/sys/kernel/core_pattern /proc/kcore /proc/keys /sys/kernel \
            /sys/class/net/lo /dev/kmsg /dev/vda /run/podman/podman.sock /var/run/docker.sock /run/dbus; do
            if [ -d $it ] && ls $it >/dev/null 2>&1 || head -c 1 $it >/dev/null 2>&1; then echo "read $it"; fi
        done
        for it in rw/new rw/.git/config ro/new ro/file /usr/new /etc/new /new /tmp/new $HOME/new; do
            if echo x 2>/dev/null >$it; then echo "written $it"; fi
        done
        cp /usr/bin/true rw/program; rw/program 2>/dev/null && echo executed
        unshare -U true 2>/dev/null && echo a user namespace
        exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected"#,
        outside = at("outside"),
    );
    let roots =
        ["--allow-weaker", "memory", "--root", &format!("{}:rw", at("rw")), "--root", &at("ro")];
    let script = format!("cd {}; {script}", home.path().display());
    let tries = |backend| {
        let _ = fs::remove_file(at("rw/new"));
        let _ = fs::remove_file(at("rw/program"));
        let tried = sandbox(&home, backend, &roots, &["bash", "-c", &script]).output().unwrap();
        String::from_utf8(tried.stdout).unwrap_or_default()
    };
    let expected = format!(
        "read ro/file\nread rw/file\nwritten rw/new\nwritten /tmp/new\nwritten {}/new\n",
        home.path().display()
    );
    // HOME is what the roots are in, so it is not the server's, but a directory on the way to them.
    let expected = expected.lines().filter(|it| !it.ends_with(&at("new"))).collect::<Vec<_>>();
    for backend in ["podman", "native"] {
        let found = tries(backend);
        let found = found.lines().filter(|it| !it.ends_with(&at("new"))).collect::<Vec<_>>();
        assert_eq!(found, expected, "{backend}");
    }
    for file in ["outside/canary", "ro/file", "rw/.git/config"] {
        assert_eq!(fs::read_to_string(at(file)).unwrap(), "as it was", "{file}");
    }
    // Without walls, all of that is there to be had.
    let unheld = tries("none");
    for there in ["outside/canary", "connected", "/etc/shadow", "executed"] {
        assert!(
            unheld.contains(there) || !is_root && there == "/etc/shadow",
            "{there} in {unheld}"
        );
    }
}

fn x03_a_container_is_bounded() {
    if !can_run() {
        return;
    }
    let home = Home::new();
    let run = |options: &[&str], script: &str| {
        sandbox(&home, "podman", options, &["bash", "-c", script]).output().unwrap()
    };
    let memory = run(&["--memory", "64M"], "head -c 300M /dev/zero | tail >/dev/null; echo $?");
    assert_eq!(said(&memory).lines().next(), Some("137"), "{}", said(&memory));
    let told = "note: something of it was killed at its limit of 64 MiB of memory\n";
    assert!(said(&memory).ends_with(told), "{}", said(&memory));
    let pids = run(
        &["--pids", "20"],
        "for i in $(seq 100); do sleep 1000 & done 2>/dev/null; jobs -r | wc -l",
    );
    let count = said(&pids);
    let count = count.lines().find_map(|it| it.trim().parse::<u32>().ok()).unwrap_or(0);
    assert!(count < 20, "{}", said(&pids));
    let told = "note: it was refused more than its limit of 20 processes and threads\n";
    assert!(said(&pids).ends_with(told), "{}", said(&pids));
    let file = run(&[], "trap '' XFSZ; truncate -s 1T /tmp/long && echo long");
    assert!(!said(&file).contains("long\n"), "{}", said(&file));
    let descriptors = run(&[], "ulimit -n 100000 || ulimit -n");
    assert!(said(&descriptors).contains("768"), "{}", said(&descriptors));
    let scratch = run(&[], "head -c 200M /dev/zero >/tmp/full; stat -c %s /tmp/full");
    let bytes = String::from_utf8_lossy(&scratch.stdout).trim().parse::<u64>().unwrap();
    assert!(bytes <= 64 << 20, "{bytes}");
    let time = run(&["--time", "1"], "sleep 1000");
    assert_eq!(time.status.code(), Some(128 + 9), "{}", said(&time));
}

/// Control groups of version 1 that an ordinary user may make groups in, as `memory` and `pids`.
struct Delegated(Vec<PathBuf>);

impl Delegated {
    fn new() -> Option<Self> {
        let all = ["memory", "pids"].map(|it| {
            Path::new("/sys/fs/cgroup").join(it).join(format!("escape-{}", std::process::id()))
        });
        if !all.iter().all(|it| it.parent().unwrap().join("cgroup.procs").exists()) {
            println!("not run: it needs control groups of version 1");
            return None;
        }
        for group in &all {
            fs::create_dir(group).unwrap();
            std::os::unix::fs::chown(group, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Some(Self(all.into()))
    }

    /// The same command, started in them.
    fn start(&self, command: &Command) -> Output {
        let enter = self.0.iter().map(|it| format!("echo $$ >{}/cgroup.procs; ", it.display()));
        let ids = format!("--reuid {NOBODY} --regid {NOBODY} --clear-groups");
        let script = format!("{}exec setpriv {ids} \"$@\"", enter.collect::<String>());
        let mut inside = Command::new("sh");
        inside.args(["-c", &script, "sh"]).arg(command.get_program()).args(command.get_args());
        inside.env_clear().envs(command.get_envs().filter_map(|(name, it)| Some((name, it?))));
        inside.current_dir("/").stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        for group in &self.0 {
            let left = within(GONE, || fs::remove_dir(group).ok()).is_none();
            assert!(!left || std::thread::panicking(), "{} is not empty", group.display());
        }
    }
}

fn x03_podman_of_an_ordinary_user_has_the_groups_that_the_user_may_make() {
    if !can_run_as_nobody() {
        return;
    }
    let home = Home::new();
    let eats = ["bash", "-c", "head -c 300M /dev/zero | tail >/dev/null; echo $?"];
    let command = sandbox_of_nobody(&home, "podman", &["--memory", "64M"], &eats).output().unwrap();
    assert_eq!(command.status.code(), Some(97), "{}", said(&command));
    assert!(said(&command).contains("cannot enforce `memory`"), "{}", said(&command));
    let Some(delegated) = Delegated::new() else { return };
    let output = delegated.start(&sandbox_of_nobody(&home, "podman", &["--memory", "64M"], &eats));
    assert!(said(&output).starts_with("137\n"), "{}", said(&output));
    let told = "note: something of it was killed at its limit of 64 MiB of memory\n";
    assert!(said(&output).ends_with(told), "{}", said(&output));
    let forks = "for i in $(seq 100); do sleep 1000 & done 2>/dev/null; jobs -r | wc -l";
    let forks = sandbox_of_nobody(&home, "podman", &["--pids", "20"], &["bash", "-c", forks]);
    let output = delegated.start(&forks);
    let told = "note: it was refused more than its limit of 20 processes and threads\n";
    assert!(said(&output).ends_with(told), "{}", said(&output));
}

fn x08_podman_of_an_ordinary_user_needs_ids_to_give() {
    if !can_run() {
        return;
    }
    let home = Home::new();
    let mut unknown = sandbox_of_nobody(&home, "podman", &["--allow-weaker", "memory"], &["true"]);
    // Whom nobody has given anything.
    let output = unknown.uid(NOBODY - 1).gid(NOBODY - 1).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let says = said(&output);
    let lines: Vec<&str> = says.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains("cannot be used by this user: "), "{says}");
    assert!(lines[1].starts_with("help: "), "{says}");
    if can_run_as_nobody() {
        let image = format!("a@sha256:{}", "0".repeat(64));
        let options = ["--allow-weaker", "memory", "--image", &image];
        let output = sandbox_of_nobody(&home, "podman", &options, &["true"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("help: leave `--image` away"), "{}", said(&output));
    }
}

fn x04_a_container_is_unprivileged() {
    if !can_run() {
        return;
    }
    let home = Home::new();
    let status =
        said(&sandbox(&home, "podman", &[], &["cat", "/proc/self/status"]).output().unwrap());
    let field = |name: &str| {
        let line = status.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("{name} in {status}")).to_owned()
    };
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(name), "0000000000000000", "{name}");
    }
    assert_eq!((field("NoNewPrivs"), field("Seccomp")), ("1".into(), "2".into()));
    // The engine's filter and ours, of which there is one for each answer.
    assert!(field("Seccomp_filters").parse::<u32>().unwrap() > 1, "{status}");
    assert!(field("Uid").split('\t').all(|it| it != "0"), "{status}");
    let map =
        said(&sandbox(&home, "podman", &[], &["cat", "/proc/self/uid_map"]).output().unwrap());
    let outside = map.lines().filter_map(|it| it.split_whitespace().nth(1));
    assert!(outside.clone().count() == 2 && outside.clone().all(|it| it != "0"), "{map}");
}

/// What an engine writes down it shows to whoever asks; so a variable goes past it.
fn x05_an_engine_is_told_no_secret() {
    if !can_run() {
        return;
    }
    let home = Home::new();
    let secret = format!("s3cret-{}", home.path().display());
    let script = "env | grep -c ^TOKEN=s3cret; env | grep OTHER; ls /proc/self/fd | wc -l; cat";
    let mut command = sandbox(&home, "podman", &["--env", "TOKEN"], &["sh", "-c", script]);
    command.env("TOKEN", &secret).env("OTHER", "x");
    let mut guard = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = guard.stdout.take().unwrap();
    let mut said = [0; 4];
    std::io::Read::read_exact(&mut out, &mut said).unwrap();
    assert_eq!(&said, b"1\n4\n");
    let all = tree(i32::try_from(guard.id()).unwrap());
    let mut holders = BTreeSet::new();
    for pid in &all {
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            if String::from_utf8_lossy(&bytes).contains(&secret) {
                holders.insert(fs::read_to_string(format!("/proc/{pid}/comm")).unwrap());
            }
        }
    }
    // The guard was given it, and what the server runs has it.
    let expected: BTreeSet<String> = ["cat\n", "sh\n", "stockade-guard\n"].map(String::from).into();
    assert!(holders.is_subset(&expected) && holders.contains("sh\n"), "{holders:?}");
    let words = all.iter().map(|it| fs::read(format!("/proc/{it}/cmdline")).unwrap_or_default());
    let mut engine = words.filter(|it| it.starts_with(b"/usr/bin/podman"));
    assert!(engine.next().is_some(), "the engine was looked at");
    drop(guard.stdin.take());
    guard.wait().unwrap();
}

fn x09_nothing_is_left_of_a_container() {
    if !can_run() {
        return;
    }
    for (is_root, sandbox) in everybody() {
        nothing_is_left(if is_root { 20 } else { 12 }, sandbox);
    }
}

fn nothing_is_left(rounds: usize, sandbox: Starts) {
    let mounted = mounts();
    for round in 0..rounds {
        let home = Home::new();
        let mark = format!("daemon-of-{}", home.path().display());
        let script = format!("(setsid sh -c 'sleep 1000; : {mark}' &) ; echo up; cat; : {mark}");
        let weaker = ["--allow-weaker", "memory"];
        let mut command = sandbox(&home, "podman", &weaker, &["sh", "-c", &script]);
        // An engine that is killed while it begins is a failure, and is said.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut guard = command.spawn().unwrap();
        let pid = i32::try_from(guard.id()).unwrap();
        if round % 2 == 0 {
            // Half of them while the engine is at work.
            std::io::Read::read_exact(guard.stdout.as_mut().unwrap(), &mut [0; 3]).unwrap();
        } else {
            wait_for("the engine", || (tree(pid).len() > 3 + round % 6).then_some(()));
        }
        let all = tree(pid);
        // The guard, the keeper, who stands in for it, the engine, the container, the server.
        let killed = all[(round / 2) % all.len()];
        let what: Vec<String> = all.iter().map(|it| described(*it)).collect();
        kill(killed);
        drop(guard.stdin.take());
        let left = || {
            let _ = guard.try_wait();
            let pids = all.iter().copied().filter(|it| !is_dead(*it)).chain(with_mark(&mark));
            let pids: Vec<i32> = pids.collect();
            (pids, &mounts() - &mounted, groups(pid))
        };
        let mut left = left;
        let gone = within(GONE, || {
            let (pids, mounts, groups) = left();
            (pids.is_empty() && mounts.is_empty() && groups.is_empty()).then_some(())
        });
        assert!(gone.is_some(), "round {round}: {killed} of {what:?} left {:?}", left());
        guard.wait().unwrap();
    }
}

/// What a process is, for somebody who reads what was left.
fn described(pid: i32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words).replace('\0', " ");
    format!("{pid} {}", words.chars().take(60).collect::<String>())
}

/// What is mounted here at places where a container of ours is put together. All else is mounted by
/// others, who are at work meanwhile.
fn mounts() -> BTreeSet<String> {
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let is_ours = |it: &&str| {
        let at = it.split(' ').nth(4).unwrap_or_default();
        let shop = ["/tmp/root", "/tmp/runtime", "/tmp/state"];
        ["/", "/tmp", "/proc", "/dev/shm"].contains(&at)
            || shop.iter().any(|it| at.starts_with(it))
            || at.contains("stockade")
    };
    all.lines().filter(is_ours).map(str::to_owned).collect()
}

/// The control groups of this guard's containers, and the engine's in them.
fn groups(guard: i32) -> BTreeSet<PathBuf> {
    let ours = format!("stockade.{guard}-");
    let (mut found, mut waiting) = (BTreeSet::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    while let Some(directory) = waiting.pop() {
        let inside = fs::read_dir(directory).into_iter().flatten().flatten();
        let inside = inside.filter(|it| it.file_type().is_ok_and(|it| it.is_dir()));
        let inside: Vec<PathBuf> = inside.map(|it| it.path()).collect();
        let of_containers = |it: &&PathBuf| {
            let path = it.to_string_lossy();
            path.contains(&ours)
        };
        found.extend(inside.iter().filter(of_containers).cloned());
        waiting.extend(inside);
    }
    found
}

/// An image of a few of this machine's programs, which says a lot about itself.
struct Evil {
    name: String,
    digest: String,
}

impl Evil {
    fn new(home: &Home, says: &str) -> Self {
        Self::with(home, says, None)
    }

    /// The same, and the files below a directory.
    fn with(home: &Home, says: &str, more: Option<&Path>) -> Self {
        let name = format!("localhost/stockade-test-{}", std::process::id());
        let mut files: BTreeSet<String> = BTreeSet::new();
        for program in ["/bin/sh", "/bin/ls", "/bin/cat", "/usr/bin/env", "/usr/bin/id"] {
            files.insert(program.to_owned());
            let needs = Command::new("ldd").arg(program).output().unwrap();
            let needs = String::from_utf8(needs.stdout).unwrap();
            let words = needs.split_whitespace().filter(|it| it.starts_with('/'));
            files.extend(words.map(str::to_owned));
        }
        let archive = home.path().join("image.tar");
        let packed = Command::new("tar")
            .args(["--create", "--dereference", "--absolute-names", "--file"])
            .arg(&archive)
            .args(&files)
            .output()
            .unwrap();
        assert!(packed.status.success(), "{}", said(&packed));
        if let Some(more) = more {
            let mut add = Command::new("tar");
            add.arg("--append").arg("--file").arg(&archive).arg("--directory").arg(more).arg(".");
            let added = add.output().unwrap();
            assert!(added.status.success(), "{}", said(&added));
        }
        let gateway =
            "LABEL io.docker.server.metadata={\"volumes\":[\"/:/host\"],\"user\":\"root\"}";
        let mut import = Command::new("podman");
        import.arg("import").args(["--change", gateway]);
        for change in [
            "ENV LD_PRELOAD=/evil.so",
            &format!("ENV EVIL={says}"),
            "VOLUME /evil",
            "USER root",
            "WORKDIR /evil/dir",
            "ENTRYPOINT [\"/bin/false\"]",
            "CMD [\"evil\"]",
            "EXPOSE 80",
            "STOPSIGNAL SIGCONT",
        ] {
            import.args(["--change", change]);
        }
        let imported = import.arg(&archive).arg(&name).output().unwrap();
        assert!(imported.status.success(), "{}", said(&imported));
        let inspect = ["image", "inspect", "--format", "{{.Digest}}", &name];
        let inspected = Command::new("podman").args(inspect).output().unwrap();
        let digest = String::from_utf8(inspected.stdout).unwrap().trim().to_owned();
        Self { name, digest }
    }
}

impl Drop for Evil {
    fn drop(&mut self) {
        let image = format!("{}@{}", self.name, self.digest);
        let _ = Command::new("podman").args(["rmi", "--force", &image]).output();
    }
}

fn c17_what_an_image_says_changes_nothing() {
    if !can_run() {
        return;
    }
    let home = Home::new();
    let evil = Evil::new(&home, "one");
    let image = format!("{}@{}", evil.name, evil.digest);
    let root = home.path().join("root");
    fs::create_dir(&root).unwrap();
    let script = "id -u; env; ls -d /host /evil /evil/dir /usr/share; pwd; echo x >made; \
                  echo x >/new; cat /etc/shadow; ls /sys /.stockade; echo end";
    let options = ["--image", &image, "--root", &format!("{}:rw", root.display())];
    let mut command = sandbox(&home, "podman", &options, &["/bin/sh", "-c", script]);
    let output = command.env("SECRET", "s3cret").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.starts_with("65534\n") && out.ends_with("end\n"), "{}", said(&output));
    for word in ["EVIL", "LD_PRELOAD", "s3cret", "/host", "/evil", "/usr/share", "HOSTNAME"] {
        assert!(!out.contains(word), "{word} in {out}");
    }
    assert!(out.lines().any(|it| Path::new(it) == root), "it starts in its root: {out}");
    assert!(root.join("made").exists());
    let errors = String::from_utf8_lossy(&output.stderr);
    for refused in ["cannot create /new: Read-only file system", "/etc/shadow"] {
        assert!(errors.contains(refused), "{refused} in {errors}");
    }
}

fn c17_an_image_instructs_no_runtime() {
    if !can_run() {
        return;
    }
    let home = Home::new();
    let evil = Evil::new(&home, "instructs");
    let name = format!("{}-instructs", evil.name);
    let recipe = home.path().join("Containerfile");
    for (annotation, code) in
        [("run.oci.keep_original_groups=1", 4), ("org.opencontainers.image.title=evil", 0)]
    {
        fs::write(&recipe, format!("FROM {}\n", evil.name)).unwrap();
        let mut build = Command::new("podman");
        build.args(["build", "--pull=never", "--annotation", annotation, "--tag", &name]);
        let built = build.arg("--file").arg(&recipe).arg(home.path()).output().unwrap();
        assert!(built.status.success(), "{}", said(&built));
        let inspect = ["image", "inspect", "--format", "{{.Digest}}", &name];
        let inspected = Command::new("podman").args(inspect).output().unwrap();
        let digest = String::from_utf8(inspected.stdout).unwrap().trim().to_owned();
        let made = Evil { name: name.clone(), digest };
        let image = format!("{}@{}", made.name, made.digest);
        let mut run =
            sandbox(&home, "podman", &["--image", &image], &["/bin/sh", "-c", "echo ran"]);
        let output = run.output().unwrap();
        let says = said(&output);
        assert_eq!(output.status.code(), Some(code), "{annotation}: {says}");
        let expected = if code == 0 { "ran\n" } else { "it has an annotation `run.oci." };
        assert!(says.contains(expected), "{says}");
    }
}

fn c17_an_image_is_one_digest() {
    if !can_run() {
        return;
    }
    let home = Home::new();
    let before = {
        let evil = Evil::new(&home, "before");
        format!("{}@{}", evil.name, evil.digest)
    };
    // The name is another image's now.
    let now = Evil::new(&home, "now");
    assert_ne!(before, format!("{}@{}", now.name, now.digest));
    let run = |image: &str| {
        sandbox(&home, "podman", &["--image", image], &["/bin/sh", "-c", "echo ran"])
            .output()
            .unwrap()
    };
    let refused = run(&before);
    assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
    let says = said(&refused);
    assert!(says.starts_with("error: there is no image `") && says.contains("\nhelp: "), "{says}");
    for unpinned in [now.name.as_str(), "docker.io/library/node:22", "node@sha256:abc"] {
        assert_eq!(run(unpinned).status.code(), Some(2), "{unpinned}");
    }
    assert_eq!(said(&run(&format!("{}@{}", now.name, now.digest))), "ran\n");
}

/// Says that the server was started, and runs on in the place of whom should have put up the walls.
const FORGES: &str = r#"
#include <unistd.h>
__attribute__((constructor)) static void forge(void) {
    static char letter[65536], started[16];
    if (getpid() != 1) return;
    if (read(0, letter, sizeof letter) <= 0) _exit(9);
    if (write(1, started, sizeof started) < 0 || write(1, "forged\n", 7) < 0) _exit(8);
    _exit(0);
}
"#;

fn c17_nothing_of_an_image_is_loaded_into_our_first_process() {
    if !can_run() {
        return;
    }
    let home = Home::new();
    let (source, library) = (home.path().join("forge.c"), home.path().join("forge.so"));
    fs::write(&source, FORGES).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    let Ok(built) = gcc.output() else {
        println!("not run: it needs gcc, to build what an image has loaded");
        return;
    };
    assert!(built.status.success(), "{}", said(&built));
    let hwcaps: Vec<String> = ["x86-64-v2", "x86-64-v3", "x86-64-v4"]
        .iter()
        .flat_map(|it| {
            ["libc.so.6", "libm.so.6", "libgcc_s.so.1"]
                .map(|name| format!(".stockade/glibc-hwcaps/{it}/{name}"))
        })
        .collect();
    let list = "evil/list";
    // The files of an image; its links; whether a container is made of it.
    type Case<'a> = (&'a str, Vec<&'a str>, &'a [(&'a str, &'a str)], bool);
    let cases: [Case<'_>; 5] = [
        ("a preload", vec!["etc/ld.so.preload"], &[], true),
        ("other libraries", hwcaps.iter().map(String::as_str).collect(), &[], true),
        ("a linked preload", vec![list], &[("etc/ld.so.preload", "/evil/list")], false),
        ("a linked directory", vec![list], &[("etc", "evil/etc")], false),
        ("a link to where ours is", vec![list], &[(".stockade", "evil")], false),
    ];
    for (what, files, links, starts) in cases {
        let more = tempfile::tempdir_in(home.path()).unwrap();
        let at = |it: &str| more.path().join(it);
        fs::create_dir_all(at("evil/etc")).unwrap();
        fs::copy(&library, at("evil/forge.so")).unwrap();
        for file in files {
            fs::create_dir_all(at(file).parent().unwrap()).unwrap();
            if file.starts_with(".stockade") {
                fs::copy(&library, at(file)).unwrap();
            } else {
                fs::write(at(file), "/evil/forge.so\n").unwrap();
            }
        }
        for (link, to) in links {
            fs::create_dir_all(at(link).parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(to, at(link)).unwrap();
        }
        let evil = Evil::with(&home, "x", Some(more.path()));
        let image = format!("{}@{}", evil.name, evil.digest);
        let script = ["/bin/sh", "-c", "echo ran; cat /etc/ld.so.preload; ls /.stockade"];
        let output = sandbox(&home, "podman", &["--image", &image], &script).output().unwrap();
        let says = said(&output);
        assert!(!says.contains("forged"), "{what}: {says}");
        assert_eq!(says.starts_with("ran\n"), starts, "{what}: {says}");
        assert!(!says.contains("forge.so") && !says.contains("hwcaps"), "{what}: {says}");
        if !starts {
            assert_eq!(output.status.code(), Some(4), "{what}: {says}");
            assert!(says.contains("or a link there"), "{what}: {says}");
        }
    }
}

fn a_guarded_server_is_in_a_container() {
    if !can_run() {
        return;
    }
    let home = Home::new();
    let root = home.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("note.txt"), "in a container").unwrap();
    let mut command = home.stockade(["run"]);
    command.args(home.state()).args(["--sandbox", "podman", "--root"]).arg(&root).arg("--");
    command.args([env!("CARGO_BIN_EXE_stockade"), "example", "hardened", "--root"]).arg(&root);
    let mut probe = Probe::of(&mut command).begin();
    let guard = i32::try_from(probe.guard()).unwrap();
    let engines = tree(guard).into_iter().filter(|it| {
        let words = fs::read(format!("/proc/{it}/cmdline")).unwrap_or_default();
        words.starts_with(b"/usr/bin/conmon")
    });
    assert_eq!(engines.count(), 1, "one container for the session");
    let tools = probe.ask(&request(1, "tools/list", json!({})));
    assert!(!tools["result"]["tools"].as_array().unwrap().is_empty(), "{tools}");
    let read = call(2, "read_file", json!({ "path": "note.txt" }));
    let answer = probe.ask(&read);
    assert!(!is_refusal(&answer) && text(&answer).contains("in a container"), "{answer}");
    assert_eq!(probe.end().code, Some(0));
    assert!(home.is_whole());
}

fn a_container_passes_on_how_its_server_ended() {
    if !can_run() {
        return;
    }
    for (_, sandbox) in everybody() {
        the_end_is_passed_on(sandbox);
    }
}

fn the_end_is_passed_on(sandbox: Starts) {
    let (home, weaker) = (Home::new(), ["--allow-weaker", "memory"]);
    for (script, code, out, errors) in [
        ("echo out; echo err >&2; exit 7", 7, "out\n", "err\n"),
        ("kill -9 $$", 128 + 9, "", ""),
        ("true", 0, "", ""),
        ("head -c 3000000 /dev/zero | tr '\\0' x", 0, "xxx", ""),
    ] {
        let output = sandbox(&home, "podman", &weaker, &["sh", "-c", script]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{script}: {}", said(&output));
        assert!(output.stdout.starts_with(out.as_bytes()), "{script}: {}", said(&output));
        assert!(output.stdout.len() >= 3_000_000 || out != "xxx", "{}", output.stdout.len());
        assert_eq!(String::from_utf8_lossy(&output.stderr), errors, "{script}");
    }
    for missing in ["no-such-program-anywhere", "/etc/passwd"] {
        let output = sandbox(&home, "podman", &weaker, &[missing]).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(said(&output).contains(missing), "{}", said(&output));
    }
}

fn an_engine_that_is_not_there_is_said() {
    let home = Home::new();
    let nowhere = format!("unix://{}/no.sock", home.path().display());
    let mut docker = sandbox(&home, "docker", &[], &["true"]);
    let output = docker.env("DOCKER_HOST", nowhere).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let says = said(&output);
    let lines: Vec<&str> = says.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("error: "), "{says}");
    assert!(lines[0].contains("docker") && lines[1].starts_with("help: "), "{says}");
    // One that is not on this machine is not asked: nobody waits for who listens and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("tcp://{}", silent.local_addr().unwrap());
    let mut docker = sandbox(&home, "docker", &[], &["true"]);
    let output = docker.env("DOCKER_HOST", elsewhere).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    silent.set_nonblocking(true).unwrap();
    assert!(silent.accept().is_err(), "nobody has come");
    let seatbelt = sandbox(&home, "seatbelt", &[], &["true"]).output().unwrap();
    assert_eq!(seatbelt.status.code(), Some(4), "{}", said(&seatbelt));
    assert!(said(&seatbelt).contains("macOS"), "{}", said(&seatbelt));
    if can_run() {
        let traced = sandbox(&home, "podman", &["--trace"], &["true"]).output().unwrap();
        assert_eq!(traced.status.code(), Some(2), "{}", said(&traced));
        assert!(said(&traced).contains("not traced"), "{}", said(&traced));
        assert!(said(&traced).contains("help: leave `--trace` away"), "{}", said(&traced));
    }
    for backend in ["native", "none"] {
        let image = format!("a@sha256:{}", "0".repeat(64));
        let output = sandbox(&home, backend, &["--image", &image], &["true"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    }
}

fn the_doctor_asks_the_engines_that_would_be_used() {
    use std::os::unix::fs::PermissionsExt as _;

    let home = Home::new();
    let (fake, mark) = (home.path().join("podman"), home.path().join("asked"));
    fs::write(&fake, format!("#!/bin/sh\necho x >{}\necho fake\n", mark.display())).unwrap();
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let asked = |uid: Option<u32>| {
        let mut doctor = home.stockade(["doctor", "--format", "json"]);
        doctor.env("PATH", home.path()).env("HOME", home.path()).env("DOCKER_HOST", "tcp://x");
        if let Some(uid) = uid {
            doctor.uid(uid).gid(uid);
        }
        let output = doctor.output().unwrap();
        let found: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|it| panic!("{it}: {}", said(&output)));
        let of = |name: &str| {
            let all = found["engines"].as_array().unwrap();
            all.iter().find(|it| it["name"] == name).unwrap().clone()
        };
        [of("podman"), of("docker")]
    };
    if can_run() {
        let [podman, docker] = asked(None);
        assert_eq!(podman["works"], "yes", "{podman}");
        assert!(podman["found"].as_str().unwrap().starts_with("podman version "), "{podman}");
        assert_eq!(docker["works"], "no", "{docker}");
        let [podman, _] = asked(Some(NOBODY - 1));
        assert_eq!(podman["works"], "no", "{podman}");
        assert!(podman["found"].as_str().unwrap().contains("has no name"), "{podman}");
        if can_run_as_nobody() {
            let [podman, _] = asked(Some(NOBODY));
            assert_eq!(podman["works"], "yes", "{podman}");
        }
    } else if !is_root {
        assert_eq!(asked(None)[0]["works"], "no");
    }
    assert!(!mark.exists(), "what is on the caller's `PATH` was not started");
    let made: Vec<_> = fs::read_dir(home.path()).unwrap().flatten().map(|it| it.path()).collect();
    assert_eq!(made, [fake], "nothing was left in the home");
}
