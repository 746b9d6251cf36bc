//! The command that starts a container, made of the [`Cell`] that says what is in it. Whatever an
//! engine has a default for, or an image could say, is spelled out.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, geteuid, getpid, getrlimit};

use super::ids::Ids;
use super::image::Prepared;
use super::{Engine, EngineProgram, OURS, PRELOAD, Ship};
use crate::cell::{Cell, Kind, Mount, What};
use crate::inside::INSIDE_ARG;
use crate::sweep::started_at;
use crate::{Error, Limits, Spec};

/// What Podman makes and writes is below this directory, which is over what is there in its own
/// mount namespace only: a file system in memory, gone with the last process.
pub(crate) const SHOP: &str = "/tmp";

/// The root that we build for a container.
pub(crate) const STAGED_ROOT: &str = "/tmp/root";

/// Where engines and their helpers are, whatever the caller's `PATH` is.
const PROGRAMS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Who root of a container is on this machine: nobody at all. No server is it either.
const ROOT_INSIDE: u32 = 0xfff0_0000;

/// The namespace of the network that Podman itself is in, which is one of ours.
const NETWORK: &str = "ns:/proc/self/ns/net";

/// Places below `/proc` and `/sys` that tell of the machine; over them lies an empty directory.
const MASKED: &str = "/sys:/dev/mqueue";

/// What a Docker client needs to find its daemon.
const DOCKER: &[&str] = &[
    "HOME",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
];

/// Podman reads none of the machine's configuration: hooks, mounts, variables, devices and settings
/// of the kernel that it could add are not what was asked for.
const CONTAINERS_CONF: &str = "[containers]\ndefault_sysctls = []\n";

/// An engine's client as it will be started, and what the keeper does around it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) spec: Spec,
    pub(crate) ship: Ship,
}

impl Client {
    pub(crate) fn new(
        engine: &Engine,
        program: &Path,
        cell: &Cell,
        limits: &Limits,
        prepared: &Prepared,
        ids: Option<Ids>,
    ) -> Result<Self, Error> {
        let name = name();
        let mut words = Words(vec![program.into()]);
        let staged = engine.program == EngineProgram::Podman;
        if staged {
            words.of_podman()?;
        }
        words.flag("run");
        words.of_both(&name, cell, limits);
        match (engine.program, ids) {
            (EngineProgram::Podman, None) => {
                words.limits(cell, limits);
                words.of_podman_run(cell);
                words.flag(format!("--cgroup-parent=/{}", group(&name)));
                if engine.image.is_none() {
                    // The files of an image would have to be copied for it.
                    words.users(ROOT_INSIDE, [(cell.uid, cell.uid), (cell.gid, cell.gid)]);
                }
            }
            // Which groups this user may make, the engine does not know; the keeper does.
            (EngineProgram::Podman, Some(_)) => {
                words.of_podman_run(cell);
                words.users(1, [(cell.uid, 0), (cell.gid, 0)]);
            }
            (EngineProgram::Docker, _) => {
                words.limits(cell, limits);
                words.flag("--network=none");
                words.flag("--cgroupns=private");
            }
        }
        let mut inside = inside(engine.image.is_some());
        match (&prepared.reference, engine.program) {
            (None, _) => {
                words.flag("--rootfs");
                words.flag(STAGED_ROOT);
            }
            (Some(reference), program) => {
                match program {
                    EngineProgram::Podman => words.staged_mounts(cell)?,
                    EngineProgram::Docker => words.mounts(cell)?,
                }
                let entry = inside.remove(0);
                words.pair("--entrypoint", entry);
                words.flag(reference);
            }
        }
        words.0.extend(inside);
        let remove = ["rm", "--force", "--volumes", &name].map(OsString::from);
        let remove = if staged { Vec::new() } else { [&[program.into()], &remove[..]].concat() };
        let mut env = client_env(engine.program);
        let mut files = Vec::new();
        if staged {
            for (variable, file, text) in [
                ("CONTAINERS_CONF", "containers.conf", CONTAINERS_CONF.to_owned()),
                ("CONTAINERS_STORAGE_CONF", "storage.conf", storage(prepared.store.as_deref())),
            ] {
                let path = Path::new(SHOP).join(file);
                env.push((variable.into(), path.clone().into()));
                files.push((path, text.into_bytes()));
            }
        }
        if let Some(ids) = ids {
            env.retain(|(name, _)| name != "HOME");
            env.extend(rootless(ids));
        }
        let spec = Spec { command: words.0, env, cwd: Some("/".into()), confine: None };
        Ok(Self {
            spec,
            ship: Ship { name, staged, ids, files, remove, env: client_env(engine.program) },
        })
    }
}

/// The words of a command, while they are put together.
struct Words(Vec<OsString>);

impl Words {
    fn flag(&mut self, word: impl Into<OsString>) {
        self.0.push(word.into());
    }

    fn pair(&mut self, option: &str, value: impl Into<OsString>) {
        self.0.push(option.into());
        self.0.push(value.into());
    }

    /// Which of its helpers Podman uses, and where it keeps what it writes.
    fn of_podman(&mut self) -> Result<(), Error> {
        if let Some(runtime) = runtime()? {
            self.pair("--runtime", runtime);
        }
        self.flag(format!("--runtime-flag=root={SHOP}/runtime"));
        self.flag("--cgroup-manager=cgroupfs");
        self.flag("--events-backend=none");
        self.flag(format!("--tmpdir={SHOP}/state"));
        self.flag(format!("--hooks-dir={SHOP}/hooks"));
        self.flag("--log-level=error");
        Ok(())
    }

    fn of_both(&mut self, name: &str, cell: &Cell, limits: &Limits) {
        for flag in [
            "--rm",
            "--interactive",
            "--pull=never",
            "--read-only",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            "--ipc=private",
            "--restart=no",
            "--log-driver=none",
            "--hostname=stockade",
            "--workdir=/",
            "--no-healthcheck",
            "--ulimit=core=1:1",
        ] {
            self.flag(flag);
        }
        self.flag(format!("--name={name}"));
        self.flag(format!("--label=stockade={name}"));
        self.flag(format!("--user={}:{}", cell.uid, cell.gid));
        self.flag(format!("--shm-size={}", limits.scratch_bytes));
        let files = at_most(Resource::Nofile, cell.open_files.into());
        self.flag(format!("--ulimit=nofile={files}:{files}"));
        self.flag(format!("--ulimit=fsize={0}:{0}", cell.file_bytes));
    }

    /// What the engine's own control groups hold.
    fn limits(&mut self, cell: &Cell, limits: &Limits) {
        // One more, for our own first process.
        self.flag(format!("--pids-limit={}", cell.pids.saturating_add(1)));
        if let Some(bytes) = limits.memory_bytes {
            self.flag(format!("--memory={bytes}"));
            self.flag(format!("--memory-swap={bytes}"));
        }
        if let Some(share) = limits.cpu_thousandths {
            self.flag(format!("--cpus={}.{:03}", share / 1000, share % 1000));
        }
    }

    fn of_podman_run(&mut self, cell: &Cell) {
        for flag in [
            "--cgroups=no-conmon",
            "--cgroupns=private",
            "--pid=private",
            "--uts=private",
            "--read-only-tmpfs=false",
            "--security-opt=proc-opts=subset=pid,hidepid=invisible",
            "--no-hosts",
            "--http-proxy=false",
            "--unsetenv-all",
            "--systemd=false",
            "--passwd=false",
            "--sdnotify=ignore",
            "--image-volume=ignore",
        ] {
            self.flag(flag);
        }
        self.flag(format!("--security-opt=mask={MASKED}"));
        if cell.doors.is_empty() {
            self.flag("--network=none");
        } else {
            // The resolver is one of the files that were made up.
            self.flag(format!("--network={NETWORK}"));
            self.flag("--dns=none");
        }
        let threads = at_most(Resource::Nproc, u64::from(u32::MAX));
        self.flag(format!("--ulimit=nproc={threads}:{threads}"));
    }

    /// Who root and the server of a container are in the user namespace around it.
    fn users(&mut self, root: u32, server: [(u32, u32); 2]) {
        for (option, (inside, outside)) in ["--uidmap", "--gidmap"].into_iter().zip(server) {
            self.flag(format!("{option}=0:{root}:1"));
            self.flag(format!("{option}={inside}:{outside}:1"));
        }
    }

    /// What we have built for the container, on an image.
    fn staged_mounts(&mut self, cell: &Cell) -> Result<(), Error> {
        let made_up = cell.files.iter().map(|(at, _)| (at, "ro"));
        // One mount over the whole of it: nothing of the image is in there, and what the loader of
        // programs might look for beside its libraries is not there.
        let ours = PathBuf::from(OURS);
        let theirs = |it: &&Mount| is_ours_to_mount(it) && !it.at.starts_with(OURS);
        let mounted = cell.mounts.iter().filter(theirs).map(|it| {
            let read_only = matches!(it.what, What::Bind { kind: Kind::Read, .. });
            (&it.at, if read_only { "ro" } else { "rw,noexec" })
        });
        // What is mounted in one of them is there with it.
        let outer =
            |at: &&PathBuf| cell.mounts.iter().all(|it| it.at == **at || !at.starts_with(&it.at));
        let all = made_up.chain([(&ours, "ro")]).chain(mounted);
        for (at, how) in all.filter(|(at, _)| outer(at)) {
            let from = Path::new(STAGED_ROOT).join(at.strip_prefix("/").unwrap_or(at));
            let how = format!("{how},nosuid,nodev,bind-propagation=rprivate");
            self.mount(&from, at, &how)?;
        }
        Ok(())
    }

    /// What is on the machine, for an engine whose daemon mounts it. It has no word for `noexec`;
    /// Landlock keeps what is written from being executed.
    fn mounts(&mut self, cell: &Cell) -> Result<(), Error> {
        if cell.image {
            // Over what the image has there. What is empty and what is a device preload nothing.
            self.pair("--tmpfs", format!("{OURS}:ro,nosuid,nodev,size=64k,mode=755"));
            self.mount(Path::new("/dev/null"), Path::new(PRELOAD), "readonly")?;
        }
        for Mount { at, what } in cell.mounts.iter().filter(|it| is_ours_to_mount(it)) {
            match what {
                What::Bind { owner: Some(_), .. } => {
                    return Err(Error::Engine {
                        engine: EngineProgram::Docker,
                        says: format!(
                            "`{}` belongs to root or to somebody else than the other roots, which \
                             Docker cannot map to the server's user",
                            at.display()
                        ),
                    });
                }
                What::Bind { from, kind, owner: None } => {
                    let read_only = if *kind == Kind::Read { "readonly," } else { "" };
                    self.mount(from, at, &format!("{read_only}bind-propagation=rprivate"))?;
                }
                What::Scratch { bytes, mode } => {
                    let (uid, gid) = (cell.uid, cell.gid);
                    let mut value = OsString::from(at);
                    value.push(format!(
                        ":rw,nosuid,nodev,noexec,size={bytes},mode={mode:o},uid={uid},gid={gid}"
                    ));
                    self.pair("--tmpfs", value);
                }
                What::Proc => {}
            }
        }
        Ok(())
    }

    fn mount(&mut self, from: &Path, at: &Path, how: &str) -> Result<(), Error> {
        // Engines read a list with commas here, and quotes in it each in its own way.
        let plain = |it: &Path| !it.as_os_str().as_bytes().iter().any(|it| b",\"\n".contains(it));
        if !plain(from) || !plain(at) {
            let source = std::io::ErrorKind::InvalidFilename.into();
            return Err(Error::Place { path: at.to_owned(), source });
        }
        let mut value = OsString::from("type=bind,src=");
        value.push(from);
        value.push(",dst=");
        value.push(at);
        value.push(format!(",{how}"));
        self.pair("--mount", value);
        Ok(())
    }
}

/// Docker makes no links, so that each is shown as what it leads to: a place of its own, for Landlock
/// as well.
pub(crate) fn links_are_places(cell: &mut Cell) {
    for (at, _) in std::mem::take(&mut cell.links) {
        let Ok(from) = at.canonicalize() else { continue };
        let is_shown = cell.mounts.iter().any(|it| at.starts_with(&it.at));
        if !is_shown && !at.starts_with("/dev") && at != Path::new("/var/tmp") {
            let what = What::Bind { from, kind: Kind::Read, owner: None };
            cell.mounts.push(Mount { at, what });
        }
    }
    cell.mounts.sort_by_key(|it| it.at.components().count());
}

/// Devices, processes and shared memory are what engines have of their own.
pub(crate) fn is_ours_to_mount(mount: &Mount) -> bool {
    !mount.at.starts_with("/dev") && mount.what != What::Proc
}

/// The control groups of a container: below each hierarchy's root.
pub(crate) fn group(name: &str) -> String {
    // Another name than that of groups that hold no engine, which are swept by another rule.
    name.replacen("stockade-", "stockade.", 1)
}

/// A name that says whose container it is: of this process, which began at that time.
fn name() -> String {
    let pid = getpid();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let began = started_at(pid).unwrap_or(0);
    format!("stockade-{}-{began}-{:x}", pid.as_raw_nonzero(), now.as_nanos())
}

/// The words that start this binary as the first process of a container. In an image, which may
/// have another C library or none, it is loaded with what it is loaded with here.
fn inside(is_image: bool) -> Vec<OsString> {
    let program = Path::new(OURS).join("stockade");
    let loader = libraries().into_iter().find(|(_, name)| name.starts_with("ld-"));
    let mut words: Vec<OsString> = match loader {
        Some((_, loader)) if is_image => {
            vec![Path::new(OURS).join(loader).into(), "--library-path".into(), OURS.into()]
        }
        _ => Vec::new(),
    };
    words.extend([program.into(), INSIDE_ARG.into()]);
    words
}

/// What our own first process is made of: where on this machine, and where in the container.
pub(crate) fn ours(is_image: bool) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
    let at = |step| move |source| Error::Start { step, source };
    let program = fs::read_link("/proc/self/exe").map_err(at("no path of this program"))?;
    let mut ours = vec![(program, Path::new(OURS).join("stockade"))];
    if is_image {
        ours.extend(libraries().into_iter().map(|(from, name)| (from, Path::new(OURS).join(name))));
    }
    Ok(ours)
}

/// The libraries that this process has loaded, each with the name by which it is asked for.
fn libraries() -> Vec<(PathBuf, String)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut found: Vec<(PathBuf, String)> = Vec::new();
    for line in maps.lines() {
        let Some(path) = line.split_once('/').map(|(_, it)| PathBuf::from(format!("/{it}"))) else {
            continue;
        };
        let Some(name) = path.file_name().and_then(OsStr::to_str) else { continue };
        if name.contains(".so") && found.iter().all(|it| it.0 != path) {
            let name = asked_for(&path, name);
            found.push((path, name));
        }
    }
    found
}

/// The shortest link beside a library that leads to it, such as `libm.so.6` to `libm-2.31.so`.
fn asked_for(library: &Path, name: &str) -> String {
    let beside = library.parent().and_then(|it| fs::read_dir(it).ok()).into_iter().flatten();
    let links = beside.flatten().filter(|it| it.file_type().is_ok_and(|it| it.is_symlink()));
    let leads_here = |it: &fs::DirEntry| it.path().canonicalize().is_ok_and(|it| it == library);
    let names = links.filter(leads_here).filter_map(|it| it.file_name().into_string().ok());
    // `libm.so` alone is for compilers.
    let numbered = names.filter(|it| it.contains(".so."));
    numbered.min_by_key(String::len).unwrap_or_else(|| name.to_owned())
}

/// Which runtime Podman is told to use: the one that knows control groups of version 1, where these
/// are not of version 2 alone.
fn runtime() -> Result<Option<PathBuf>, Error> {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return Ok(None);
    }
    match find("runc") {
        Some(runc) => Ok(Some(runc)),
        None => Err(Error::Engine {
            engine: EngineProgram::Podman,
            says: "this machine has control groups of version 1, for which Podman needs `runc`"
                .to_owned(),
        }),
    }
}

/// Why an engine cannot be used here, as far as that is seen without asking it.
pub(crate) fn unusable(engine: EngineProgram) -> Option<String> {
    match engine {
        EngineProgram::Podman => match runtime() {
            Err(error) => Some(error.to_string()),
            Ok(_) if geteuid().is_root() => None,
            Ok(_) => Ids::of_this_user().err().map(|it| format!("{}: {}", it.says, it.remedy)),
        },
        EngineProgram::Docker => {
            let host = env::var_os("DOCKER_HOST").filter(|it| !it.is_empty())?;
            let is_here = host.as_bytes().starts_with(b"unix://");
            (!is_here).then(|| "`DOCKER_HOST` names no socket of this machine (`unix://…`)".into())
        }
    }
}

/// Where a program is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    PROGRAMS.split(':').map(|it| Path::new(it).join(program)).find(|it| it.is_file())
}

/// The whole environment of a client. What it is told is in its words.
pub(crate) fn client_env(engine: EngineProgram) -> Vec<(OsString, OsString)> {
    let mut all = vec![(OsString::from("PATH"), OsString::from(PROGRAMS))];
    match engine {
        // An ordinary user's is not asked for what is kept there, and finds nothing.
        EngineProgram::Podman => {
            let home = if geteuid().is_root() { "/root" } else { "/" };
            all.push(("HOME".into(), home.into()));
        }
        EngineProgram::Docker => {
            for name in DOCKER {
                all.extend(env::var_os(name).map(|value| (OsString::from(name), value)));
            }
        }
    }
    all
}

/// What tells Podman that it is not root of the machine, and that the user namespace which it would
/// make for that is around it. Without it, it would make control groups where it may not.
fn rootless(ids: Ids) -> [(OsString, OsString); 5] {
    [
        ("HOME".into(), SHOP.into()),
        ("XDG_RUNTIME_DIR".into(), SHOP.into()),
        ("_CONTAINERS_USERNS_CONFIGURED".into(), "done".into()),
        ("_CONTAINERS_ROOTLESS_UID".into(), ids.uid.to_string().into()),
        ("_CONTAINERS_ROOTLESS_GID".into(), ids.gid.to_string().into()),
    ]
}

fn storage(images: Option<&Path>) -> String {
    let mut text = format!(
        "[storage]\ndriver = \"overlay\"\ngraphroot = \"{SHOP}/store\"\nrunroot = \"{SHOP}/run\"\n"
    );
    if let Some(images) = images {
        // Writing to a string does not fail.
        let _ = write!(text, "[storage.options]\nadditionalimagestores = [{images:?}]\n");
    }
    text
}

/// No more than this process may have itself: an engine does not raise it.
fn at_most(resource: Resource, wanted: u64) -> u64 {
    getrlimit(resource).maximum.map_or(wanted, |it| it.min(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> Cell {
        let bind = |at: &str, kind| Mount {
            at: at.into(),
            what: What::Bind { from: at.into(), kind, owner: None },
        };
        Cell {
            uid: 1000,
            gid: 1001,
            mounts: vec![
                bind("/usr", Kind::Read),
                bind("/dev/null", Kind::Device),
                Mount { at: "/proc".into(), what: What::Proc },
                Mount { at: "/tmp".into(), what: What::Scratch { bytes: 4096, mode: 0o1777 } },
                bind("/srv/work", Kind::Write),
                bind("/srv/work/.git/config", Kind::Read),
            ],
            files: vec![("/etc/passwd".into(), Vec::new())],
            pids: 9,
            open_files: 64,
            file_bytes: 1 << 20,
            ..Cell::default()
        }
    }

    fn limits() -> Limits {
        Limits {
            memory_bytes: Some(1 << 20),
            cpu_thousandths: Some(1500),
            scratch_bytes: 4096,
            ..Limits::default()
        }
    }

    /// One word a line, without what is different each time.
    fn shown(program: EngineProgram, image: Option<&str>) -> String {
        shown_of(program, image, &cell(), None)
    }

    fn shown_of(
        program: EngineProgram,
        image: Option<&str>,
        cell: &Cell,
        ids: Option<Ids>,
    ) -> String {
        let image = image.map(|it| it.parse().unwrap());
        let engine = Engine { program, image };
        let reference = match (&engine.image, program) {
            (None, EngineProgram::Podman) => None,
            (None, EngineProgram::Docker) => Some("stockade/empty:1".to_owned()),
            (Some(image), _) => Some(image.to_string()),
        };
        let prepared = Prepared { reference, store: None };
        let path = Path::new("/usr/bin").join(program.name());
        let client = Client::new(&engine, &path, cell, &limits(), &prepared, ids).unwrap();
        let name = &client.ship.name;
        let words = client.spec.command.iter().map(|it| it.to_str().unwrap());
        let words = words.map(|it| it.replace(name, "NAME").replace(&group(name), "GROUP"));
        words.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn docker_gets_every_mount_by_name_and_no_capability() {
        let said = shown(EngineProgram::Docker, None);
        let expected = "\
/usr/bin/docker
run
--rm
--interactive
--pull=never
--read-only
--cap-drop=ALL
--security-opt=no-new-privileges
--ipc=private
--restart=no
--log-driver=none
--hostname=stockade
--workdir=/
--no-healthcheck
--ulimit=core=1:1
--name=NAME
--label=stockade=NAME
--user=1000:1001
--shm-size=4096
--ulimit=nofile=64:64
--ulimit=fsize=1048576:1048576
--pids-limit=10
--memory=1048576
--memory-swap=1048576
--cpus=1.500
--network=none
--cgroupns=private
--mount
type=bind,src=/usr,dst=/usr,readonly,bind-propagation=rprivate
--tmpfs
/tmp:rw,nosuid,nodev,noexec,size=4096,mode=1777,uid=1000,gid=1001
--mount
type=bind,src=/srv/work,dst=/srv/work,bind-propagation=rprivate
--mount
type=bind,src=/srv/work/.git/config,dst=/srv/work/.git/config,readonly,bind-propagation=rprivate
--entrypoint
/.stockade/stockade
stockade/empty:1
--stockade-inside";
        assert_eq!(said, expected);
    }

    #[test]
    fn podman_runs_what_we_have_built_and_nothing_of_the_machines_configuration() {
        let said = shown(EngineProgram::Podman, None);
        for word in [
            "--read-only-tmpfs=false",
            "--unsetenv-all",
            "--http-proxy=false",
            "--image-volume=ignore",
            "--user=1000:1001",
            "--uidmap=1000:1000:1",
            "--uidmap=0:4293918720:1",
            "--cgroup-parent=/GROUP",
            "--tmpdir=/tmp/state",
        ] {
            assert!(said.lines().any(|it| it == word), "{word} in {said}");
        }
        assert!(said.ends_with("--rootfs\n/tmp/root\n/.stockade/stockade\n--stockade-inside"));
        assert!(!said.contains("--mount"), "{said}");
    }

    #[test]
    fn podman_of_an_ordinary_user_maps_that_user_and_makes_no_group() {
        let ids = Ids { uid: 1000, gid: 1001, given_uid: 100_000, given_gid: 200_000 };
        let said = shown_of(EngineProgram::Podman, None, &cell(), Some(ids));
        let maps = "--uidmap=0:1:1\n--uidmap=1000:0:1\n--gidmap=0:1:1\n--gidmap=1001:0:1\n";
        assert!(said.contains(maps), "{said}");
        for word in ["--cgroup-parent", "--memory", "--pids-limit", "--cpus"] {
            assert!(!said.contains(word), "{word} in {said}");
        }
    }

    #[test]
    fn whom_a_server_may_reach_is_reached_through_a_network_of_ours() {
        let at = crate::network::GATE_PROXY;
        let doors = vec![crate::cell::Door { kind: crate::cell::Way::Connections, at }];
        let said = shown_of(EngineProgram::Podman, None, &Cell { doors, ..cell() }, None);
        assert!(said.contains("--network=ns:/proc/self/ns/net\n--dns=none\n"), "{said}");
        assert!(shown(EngineProgram::Podman, None).contains("--network=none\n"));
    }

    #[test]
    fn an_image_gets_the_roots_and_nothing_that_is_in_them_twice() {
        let image = format!("localhost/a@sha256:{}", "0".repeat(64));
        let said = shown(EngineProgram::Podman, Some(&image));
        let root = "type=bind,src=/tmp/root/srv/work,dst=/srv/work,rw,noexec,nosuid,nodev,\
                    bind-propagation=rprivate";
        assert!(said.lines().any(|it| it == root), "{said}");
        assert!(said.contains("src=/tmp/root/etc/passwd,dst=/etc/passwd,ro,"), "{said}");
        assert!(said.contains("src=/tmp/root/.stockade,dst=/.stockade,ro,"), "{said}");
        assert!(!said.contains("dst=/.stockade/"), "{said}");
        assert!(!said.contains(".git") && !said.contains("uidmap"), "{said}");
        let (before, after) = said.split_once(&image).unwrap();
        assert!(before.contains("--entrypoint\n/.stockade/"));
        assert!(after.ends_with("--stockade-inside"));
    }

    #[test]
    fn docker_shows_nothing_of_an_image_to_the_loader_of_our_program() {
        let mut words = Words(Vec::new());
        words.mounts(&Cell { image: true, ..cell() }).unwrap();
        let words = words.0.iter().map(|it| it.to_str().unwrap()).collect::<Vec<_>>().join(" ");
        assert!(words.starts_with("--tmpfs /.stockade:ro,"), "{words}");
        let nothing = "--mount type=bind,src=/dev/null,dst=/etc/ld.so.preload,readonly";
        assert!(words.contains(nothing), "{words}");
    }

    #[test]
    fn a_path_that_is_read_as_an_option_is_refused() {
        let mut words = Words(Vec::new());
        assert!(words.mount(Path::new("/a,readonly=false"), Path::new("/b"), "ro").is_err());
        assert!(words.mount(Path::new("/a"), Path::new("/b\",x"), "ro").is_err());
    }
}
