//! What will be done for a spec on this machine, worked out without doing any of it. The sandbox is
//! built from exactly this, so that what is shown and what is done cannot differ.

mod reserve;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use rustix::process::{getegid, geteuid};

use crate::cell::{Cell, Door, Kind, Mount, Owner, Way, What};
use crate::cgroup::{self, IN_SCOPE, Possible};
use crate::engine::{self, Client, Ids, NoIds, PRELOAD};
use crate::guarantee::Held;
use crate::home::Homes;
use crate::network::{GATE, GATE_DNS, GATE_PROXY};
use crate::prefix::{Needed, Script, Search};
use crate::roots::{self, NEVER};
use crate::scope::{self, NoScope};
use crate::server::PATH_DEFAULT;
use crate::trial::Trial;
use crate::{
    Access, Confinement, Containment, Engine, EngineProgram, Error, Guarantee, Limits, Network,
    Root, SECRETS_DIR, Secret, Spec, Strength, raw, seccomp,
};

/// Who a server of root is, where its roots do not say: nobody.
pub(crate) const NOBODY: u32 = 65534;

/// What programs are made of, on every Linux. Where one is a link, the server sees the same link.
pub(crate) const SYSTEM: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// What programs read below `/etc` that says nothing about this machine's users and networks.
const ETC: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    "/etc/crypto-policies",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/mime.types",
    "/etc/protocols",
    "/etc/services",
];

/// How directories below `/etc` begin in which distributions keep what belongs to a runtime: without
/// its `java.security`, for example, Java does not start.
const ETC_OF_RUNTIMES: &[&str] = &["java", "python3", "perl"];

/// Where files are made up for the server.
const MADE_UP_DIR: &str = "/etc";

const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// What covers a directory is empty, and stays so: the least that the kernel gives.
const COVER_BYTES: u64 = 4096;

/// The oldest Landlock that holds truncation, devices, signals and abstract sockets.
pub(crate) const LANDLOCK_MIN: u32 = 6;

/// What will be done for a [`Spec`], and how far its guarantees will hold. Shown, it is a page for
/// a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(crate) cell: Option<Cell>,
    network: Network,
    /// What is still to be made in a scope of systemd, and is promised.
    scope: Option<Possible>,
    /// The engine's client, if it is an engine that holds the server.
    pub(crate) client: Option<Client>,
    containment: Containment,
}

/// Works out what [`launch`](crate::launch()) would do. Nothing is started, made or changed.
///
/// It fails when a guarantee cannot be enforced here and may not be weaker. That the machine
/// permits what is planned is found out only by doing it.
pub fn plan(spec: &Spec) -> Result<Plan, Error> {
    spec.check()?;
    let Some(confinement) = &spec.confine else {
        let network = Network::default();
        let containment = unconfined();
        return Ok(Plan { cell: None, network, scope: None, client: None, containment });
    };
    if let Some(engine) = &confinement.engine {
        return in_container(spec, confinement, engine);
    }
    let landlock = raw::landlock_version();
    let alone = apart(confinement).err();
    let possible = or_in_scope(cgroup::possible(&confinement.limits), confinement, alone.is_none());
    let mut containment = promise(confinement, &possible, landlock, alone.as_deref())?;
    let draft = Draft::new(spec, confinement)?;
    draft.weaken(&mut containment, &confinement.allow_weaker)?;
    let (secrets, has_landlock) = (&confinement.secrets, landlock >= LANDLOCK_MIN);
    let scope = possible.in_scope.then(|| possible.clone());
    let cell = draft.finish(secrets, possible, has_landlock, alone.is_none())?;
    let network = confinement.network.clone();
    Ok(Plan { cell: Some(cell), network, scope, client: None, containment })
}

/// The same, where an engine makes namespaces and control groups. An engine is asked what it has,
/// and an image is looked at.
fn in_container(spec: &Spec, confinement: &Confinement, engine: &Engine) -> Result<Plan, Error> {
    let program = engine.program;
    let path = engine::find(program.name()).ok_or(Error::NoEngine { engine: program })?;
    let is_rootless = program == EngineProgram::Podman && !geteuid().is_root();
    let ids = is_rootless.then(Ids::of_this_user).transpose();
    let ids =
        ids.map_err(|NoIds { says, remedy }| Error::NoIds { engine: program, says, remedy })?;
    if let Some(says) = engine::unusable(program) {
        return Err(Error::Engine { engine: program, says });
    }
    let cannot = |says, remedy| Err(Error::NotInContainer { engine: program, says, remedy });
    if confinement.trace {
        return cannot(
            "what a server in a container touches is not traced",
            "leave `--trace` away, or have the native sandbox hold it",
        );
    }
    if program == EngineProgram::Docker && !confinement.network.is_empty() {
        return cannot(
            "hosts that are named are reached from the native sandbox and from Podman alone",
            "leave `--net` away, or have one of these hold it",
        );
    }
    if ids.is_some() && engine.image.is_some() {
        return cannot(
            "the files of an image belong to users whom an ordinary user cannot be",
            "leave `--image` away, or run it as root",
        );
    }
    if program == EngineProgram::Docker && !confinement.secrets.is_empty() {
        return cannot(
            "it would have to be told the secrets",
            "pass them with `--env`, or have the native sandbox hold it",
        );
    }
    let landlock = raw::landlock_version();
    let possible = groups_of_container(program, confinement, ids.is_some());
    let mut containment = promise(confinement, &possible, landlock, None)?;
    for held in &mut containment.0 {
        if let Some(by) = by_engine(held.guarantee, engine, confinement, is_rootless) {
            held.by = by;
        }
    }
    let prepared = engine::prepare(engine, &path)?;
    let draft = Draft::new(spec, confinement)?;
    draft.weaken(&mut containment, &confinement.allow_weaker)?;
    let scope = possible.in_scope.then(|| possible.clone());
    let mut cell = draft.finish(&confinement.secrets, possible, landlock >= LANDLOCK_MIN, true)?;
    if program == EngineProgram::Docker {
        engine::links_are_places(&mut cell);
    }
    let client = Client::new(engine, &path, &cell, &confinement.limits, &prepared, ids)?;
    let network = confinement.network.clone();
    Ok(Plan { cell: Some(cell), network, scope, client: Some(client), containment })
}

/// The groups that the first process of a container is moved to when it is there, and that tell which
/// limits were run into. Root's engine has its own, which hold the same, so ours must hold no less.
fn groups_of_container(program: EngineProgram, it: &Confinement, is_rootless: bool) -> Possible {
    let holds = Possible { memory: true, pids: true, cpu: true, ..Possible::default() };
    if program == EngineProgram::Docker {
        return holds;
    }
    let limits = with_our_first(&it.limits);
    if is_rootless {
        return or_in_scope(cgroup::possible(&limits), it, true);
    }
    let possible = cgroup::possible_at_the_top(&limits);
    let holds_all = possible.pids
        && (possible.memory || limits.memory_bytes.is_none())
        && (possible.cpu || limits.cpu_thousandths.is_none());
    if holds_all { Possible { groups: possible.groups, ..holds } } else { holds }
}

/// What a group of a container holds: our own first process is in it.
fn with_our_first(limits: &Limits) -> Limits {
    Limits { pids: limits.pids.saturating_add(1), ..limits.clone() }
}

/// What enforces a guarantee in a container, where it is something else than in a cell of ours.
fn by_engine(
    guarantee: Guarantee,
    engine: &Engine,
    it: &Confinement,
    is_rootless: bool,
) -> Option<String> {
    let (program, limits) = (engine.program, &it.limits);
    let own_users = program == EngineProgram::Podman && engine.image.is_none();
    Some(match guarantee {
        Guarantee::Network if !it.network.is_empty() => return None,
        Guarantee::Network => format!("{program}'s network namespace with loopback only, seccomp"),
        Guarantee::Processes => format!("{program}'s pid namespace, seccomp"),
        Guarantee::Privileges => {
            let users = if own_users { ", a user namespace" } else { "" };
            format!("an ordinary uid{users}, no capabilities, no_new_privs: looked at inside")
        }
        Guarantee::Calls => format!(
            "{program}'s seccomp profile, and {} calls refused by ours",
            seccomp::refused().count()
        ),
        Guarantee::Environment => "execve inside the container, close_range".to_owned(),
        Guarantee::End => match program {
            EngineProgram::Podman => "a pid namespace around Podman and the container".to_owned(),
            EngineProgram::Docker => "`docker rm --force`, by either of two processes".to_owned(),
        },
        // What an ordinary user's engine does not count is counted as natively.
        Guarantee::Pids | Guarantee::Memory | Guarantee::Cpu if is_rootless => return None,
        Guarantee::Pids => format!("at most {}: {program}'s cgroup", limits.pids),
        Guarantee::Memory => {
            format!("at most {} bytes: {program}'s cgroup", limits.memory_bytes?)
        }
        Guarantee::Cpu => {
            format!("at most {}/1000 of a processor: {program}'s cgroup", limits.cpu_thousandths?)
        }
        Guarantee::Files | Guarantee::Time => return None,
    })
}

impl Plan {
    /// How far each guarantee will hold.
    pub fn containment(&self) -> &Containment {
        &self.containment
    }

    /// What the server must not write, or not see, within what it may write. The kernel keeps that as
    /// long as nobody outside puts something else in its place: what is there then is the server's.
    pub fn kept(&self) -> impl Iterator<Item = &Path> {
        let mounts = self.cell.iter().flat_map(|it| &it.mounts);
        let is_written = |it: &&Mount| matches!(it.what, What::Bind { kind: Kind::Write, .. });
        let written: Vec<&Path> =
            mounts.clone().filter(is_written).map(|it| it.at.as_path()).collect();
        let is_in = move |it: &&Mount| {
            let is_kept = match it.what {
                What::Bind { kind, .. } => kind == Kind::Read,
                What::Scratch { .. } => true,
                What::Proc => false,
            };
            is_kept && written.iter().any(|written| it.at.starts_with(written))
        };
        mounts.filter(is_in).map(|it| it.at.as_path())
    }

    pub(crate) fn into_containment(self) -> Containment {
        self.containment
    }

    /// Has systemd make the scope that is planned, around the keeper, before it is told anything. All
    /// that was promised must be there.
    pub(crate) fn enter_scope(&mut self, keeper: u32, it: &Confinement) -> Result<(), Error> {
        let (Some(promised), Some(cell)) = (&self.scope, &mut self.cell) else { return Ok(()) };
        let is_demanded = |guarantee: &Guarantee| !it.allow_weaker.contains(guarantee);
        let refused = |why: NoScope| {
            let guarantee = match why {
                NoScope::Lacks { guarantee, .. } => guarantee,
                NoScope::Unasked(_) | NoScope::NotThere { .. } | NoScope::Unusable { .. } => {
                    promised.limits().into_iter().find(is_demanded).unwrap_or(Guarantee::Pids)
                }
            };
            let (cause, remedy) = (why.to_string(), why.remedy());
            Refusal { feature: "a control group", cause, remedy }.of(guarantee)
        };
        let limits = match self.client {
            Some(_) => with_our_first(&it.limits),
            None => it.limits.clone(),
        };
        let (name, found) = scope::enter(keeper, &limits).map_err(refused)?;
        let has = found.limits();
        if let Some(guarantee) = promised.limits().into_iter().find(|it| !has.contains(it)) {
            return Err(refused(NoScope::Lacks { guarantee, layout: cgroup::layout() }));
        }
        cell.groups = found.groups;
        for held in &mut self.containment.0 {
            held.by = held.by.replace(IN_SCOPE, &format!("a cgroup in systemd scope {name}"));
        }
        Ok(())
    }
}

/// What an ordinary user can have by asking systemd, where that is more than without. To ask takes
/// processes, so that it is done here only where less would be accepted: elsewhere a start that needs
/// it fails without it.
fn or_in_scope(possible: Possible, it: &Confinement, namespaces: bool) -> Possible {
    let limits = &it.limits;
    let (memory, cpu) = (limits.memory_bytes.is_some(), limits.cpu_thousandths.is_some());
    let missing = [
        (Guarantee::Memory, memory && !possible.memory),
        (Guarantee::Cpu, cpu && !possible.cpu),
        // With namespaces, there is a limit of the kernel's besides.
        (Guarantee::Pids, !namespaces && !possible.pids),
    ];
    let missing = missing.into_iter().filter(|(_, is_missing)| *is_missing).map(|(it, _)| it);
    let missing: Vec<Guarantee> = missing.collect();
    if missing.is_empty() || !scope::is_likely() {
        return possible;
    }
    let in_scope =
        |memory, pids, cpu| Possible { memory, pids, cpu, in_scope: true, groups: vec![] };
    if !missing.iter().all(|guarantee| it.allow_weaker.contains(guarantee)) {
        return in_scope(memory, true, cpu);
    }
    match Trial::in_scope() {
        Ok(has) => in_scope(memory && has.memory, has.pids, cpu && has.cpu),
        Err(_) => possible,
    }
}

/// Without a sandbox. That everything goes with the guard depends on the machine, and is what
/// [`Child::ends`](crate::Child::ends) says.
fn unconfined() -> Containment {
    let held = |guarantee| {
        let (strength, by) = match guarantee {
            Guarantee::Environment => (Strength::Enforced, "execve, close_range"),
            Guarantee::End => (Strength::Partly, "a pid namespace if permitted, or a subreaper"),
            Guarantee::Files
            | Guarantee::Network
            | Guarantee::Processes
            | Guarantee::Privileges
            | Guarantee::Calls
            | Guarantee::Memory
            | Guarantee::Pids
            | Guarantee::Cpu
            | Guarantee::Time => (Strength::Not, "there is no sandbox"),
        };
        Held { guarantee, strength, by: by.to_owned() }
    };
    Containment(Guarantee::ALL.map(held).into())
}

/// How far each guarantee holds with what this machine has, or which one stops the start. `alone` is
/// why there are no namespaces, where there are none.
fn promise(
    it: &Confinement,
    possible: &Possible,
    landlock: u32,
    alone: Option<&str>,
) -> Result<Containment, Error> {
    let mut promised = Promised { held: Vec::new(), allow_weaker: &it.allow_weaker };
    match alone {
        None => promised.by_namespaces(it, possible, landlock)?,
        Some(why) => {
            let needs = [
                (!it.secrets.is_empty(), "namespaces, which secrets need", Guarantee::Environment),
                (it.trace, "namespaces, which a trace needs", Guarantee::Calls),
                (
                    !it.network.is_empty(),
                    "namespaces, which hosts that are named need",
                    Guarantee::Network,
                ),
            ];
            if let Some((_, feature, guarantee)) = needs.into_iter().find(|(asked, ..)| *asked) {
                let remedy = "permit user namespaces (`stockade doctor` says how), or do without";
                return Err(Refusal { feature, cause: why.to_owned(), remedy }.of(guarantee));
            }
            promised.without_namespaces(&it.limits, possible, landlock, why)?;
        }
    }
    promised.enforced(Guarantee::Environment, "execve, close_range, a keyring of its own");
    promised.limits(&it.limits, possible)?;
    promised.held.sort_by_key(|it| it.guarantee);
    Ok(Containment(promised.held))
}

/// Guarantees, one after the other.
struct Promised<'a> {
    held: Vec<Held>,
    allow_weaker: &'a [Guarantee],
}

impl Promised<'_> {
    fn enforced(&mut self, guarantee: Guarantee, by: impl Into<String>) {
        self.held.push(Held { guarantee, strength: Strength::Enforced, by: by.into() });
    }

    /// One that holds less, by what is left. It must have been named.
    fn weaker(
        &mut self,
        guarantee: Guarantee,
        strength: Strength,
        by: impl Into<String>,
        refusal: impl FnOnce() -> Refusal,
    ) -> Result<(), Error> {
        if !self.allow_weaker.contains(&guarantee) {
            return Err(refusal().of(guarantee));
        }
        self.held.push(Held { guarantee, strength, by: by.into() });
        Ok(())
    }

    fn by_namespaces(
        &mut self,
        it: &Confinement,
        possible: &Possible,
        landlock: u32,
    ) -> Result<(), Error> {
        let mut by = "a network namespace with loopback only, seccomp".to_owned();
        if !it.network.is_empty() {
            by = format!("{by}; the guard connects it to {} and nobody else", it.network);
        }
        self.enforced(Guarantee::Network, by);
        self.enforced(Guarantee::Processes, "a pid namespace, its own /proc, seccomp");
        self.enforced(
            Guarantee::Privileges,
            "an ordinary uid, a user namespace, no capabilities, no_new_privs",
        );
        let calls = seccomp::refused().count();
        self.enforced(Guarantee::Calls, format!("seccomp, {calls} calls refused"));
        self.enforced(Guarantee::End, "the pid namespace ends with its first process");
        let mut by = format!("at most {}: RLIMIT_NPROC of the user namespace", it.limits.pids);
        if possible.pids {
            by = format!("{by}, {}", possible.by());
        }
        self.enforced(Guarantee::Pids, by);
        if landlock >= LANDLOCK_MIN {
            self.enforced(Guarantee::Files, "a file system of its own, Landlock");
            return Ok(());
        }
        let cause = no_landlock(landlock);
        self.weaker(Guarantee::Files, Strength::Partly, format!("mounts only: {cause}"), || {
            Refusal { feature: "Landlock", cause, remedy: LANDLOCK_REMEDY }
        })
    }

    /// With Landlock, seccomp and limits alone: what a server cannot do is still refused, but more
    /// is seen, and what ends it is a process.
    fn without_namespaces(
        &mut self,
        limits: &Limits,
        possible: &Possible,
        landlock: u32,
        why: &str,
    ) -> Result<(), Error> {
        if landlock < LANDLOCK_MIN {
            let cause = format!("{why}; and {}", no_landlock(landlock));
            let feature = "neither namespaces nor Landlock";
            return Err(Refusal { feature, cause, remedy: ALONE_REMEDY }.of(Guarantee::Files));
        }
        let refusal =
            || Refusal { feature: "namespaces", cause: why.to_owned(), remedy: ALONE_REMEDY };
        self.weaker(
            Guarantee::Files,
            Strength::Partly,
            "Landlock only: names and sizes are seen everywhere, what is read only inside of a \
             writable root can be written, what is written there can be mapped as code, and there \
             are no temporary files",
            refusal,
        )?;
        self.enforced(Guarantee::Network, "seccomp: no socket at all, so not to itself either");
        self.weaker(
            Guarantee::Processes,
            Strength::Partly,
            "Landlock, seccomp: none is signalled or traced, but which pids there are can be asked",
            refusal,
        )?;
        self.enforced(Guarantee::Privileges, "an ordinary uid, no capabilities, no_new_privs");
        let calls = seccomp::refused().chain(seccomp::refused_without_namespaces()).count();
        self.enforced(Guarantee::Calls, format!("seccomp, {calls} calls refused"));
        self.weaker(
            Guarantee::End,
            Strength::Partly,
            "a subreaper: what descends from the server is looked for and killed",
            refusal,
        )?;
        let at_most = format!("at most {}", limits.pids);
        if possible.pids {
            self.enforced(Guarantee::Pids, format!("{at_most}: {}", possible.by()));
            return Ok(());
        }
        let by = format!("{at_most}: RLIMIT_NPROC, which counts all processes of this user");
        self.weaker(Guarantee::Pids, Strength::Partly, by, refusal)
    }

    /// What is the same with and without namespaces.
    fn limits(&mut self, limits: &Limits, possible: &Possible) -> Result<(), Error> {
        if let Some(time) = limits.time {
            self.enforced(Guarantee::Time, format!("at most {} s: the warden", time.as_secs()));
        }
        if let Some(bytes) = limits.memory_bytes {
            let by = format!("at most {bytes} bytes: {}", possible.by());
            self.group(Guarantee::Memory, possible.memory, by)?;
        }
        if let Some(share) = limits.cpu_thousandths {
            let by = format!("at most {share}/1000 of a processor: {}", possible.by());
            self.group(Guarantee::Cpu, possible.cpu, by)?;
        }
        Ok(())
    }

    fn group(&mut self, guarantee: Guarantee, possible: bool, by: String) -> Result<(), Error> {
        if possible {
            self.enforced(guarantee, by);
            return Ok(());
        }
        let cause = format!("no control group with `{guarantee}` can be made by this user");
        self.weaker(guarantee, Strength::Not, cause.clone(), || Refusal {
            feature: "a control group",
            cause,
            remedy: CGROUP_REMEDY,
        })
    }
}

fn no_landlock(version: u32) -> String {
    match version {
        0 => "this kernel has no Landlock, or it is not in `lsm=`".to_owned(),
        version => format!("Landlock is version {version}, and {LANDLOCK_MIN} is needed"),
    }
}

/// Whether this machine gives a server namespaces of its own, or why not. That takes a process to
/// find out, so it is asked only where something speaks against it, or where it would be accepted:
/// elsewhere a start that needs them fails without them.
fn apart(confinement: &Confinement) -> Result<(), String> {
    static ASKED: OnceLock<Result<(), String>> = OnceLock::new();
    let accepted = |it: &Guarantee| confinement.allow_weaker.contains(it);
    if ![Guarantee::Files, Guarantee::Processes, Guarantee::End].iter().any(accepted)
        && !speaks_against_namespaces()
    {
        return Ok(());
    }
    let ask = || match Trial::Apart.carry_out() {
        Ok(tried) => tried.map(|_| ()),
        Err(error) => Err(format!("it cannot be tried: {error}")),
    };
    ASKED.get_or_init(ask).clone()
}

fn speaks_against_namespaces() -> bool {
    let is = |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|it| it.trim() == value);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    // In a container there is a filter, or a user namespace around us.
    let is_filtered = status.lines().any(|it| it.starts_with("Seccomp:") && !it.ends_with('0'));
    let ids = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let ids: Vec<&str> = ids.split_whitespace().collect();
    is_filtered
        || ids != ["0", "0", "4294967295"]
        || is("/proc/sys/user/max_user_namespaces", "0")
        || is("/proc/sys/kernel/unprivileged_userns_clone", "0")
        || is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1")
}

const LANDLOCK_REMEDY: &str =
    "use Linux 6.12 or newer with `landlock` in `lsm=`, or allow `files` to be weaker";

const TOO_MUCH_REMEDY: &str =
    "name the directories in it that the server needs, one by one, or allow `files` to be weaker";

const ALONE_REMEDY: &str = "permit user namespaces (`stockade doctor` says how), or allow `files`, \
     `processes` and `end` to be weaker, and `pids` where no control group can be made";

const CGROUP_REMEDY: &str = "have a `systemd --user` run for this user, start it where this \
     user may make control groups, or allow the guarantee to be weaker (`stockade doctor` says more)";

/// Why a guarantee is not given, and what would give it.
struct Refusal {
    feature: &'static str,
    cause: String,
    remedy: &'static str,
}

impl Refusal {
    fn of(self, guarantee: Guarantee) -> Error {
        let source = io::Error::new(io::ErrorKind::Unsupported, self.cause);
        Error::CannotEnforce {
            guarantee,
            feature: self.feature.into(),
            source,
            remedy: self.remedy,
        }
    }
}

/// A cell while it is drawn up.
struct Draft<'a> {
    limits: &'a Limits,
    network: &'a Network,
    trace: bool,
    uid: u32,
    gid: u32,
    drops: bool,
    /// By path, so that parents come first and a path is mounted once; what is said later holds.
    mounts: BTreeMap<PathBuf, What>,
    links: Vec<(PathBuf, PathBuf)>,
    home: Option<PathBuf>,
    cwd: PathBuf,
    /// Whether what programs are made of is an image's.
    image: bool,
    /// Something of the guard's own that is covered, or not written.
    kept: Option<PathBuf>,
    /// A writable root that has more in it than could be looked through.
    too_much: Option<PathBuf>,
}

impl<'a> Draft<'a> {
    fn new(spec: &Spec, confinement: &'a Confinement) -> Result<Self, Error> {
        let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let roots = roots::real(&confinement.roots, &here)?;
        let (uid, gid, drops) = identity(&roots)?;
        let home = variable(spec, "HOME").map(PathBuf::from).filter(|it| is_plain(it));
        let mut draft = Self {
            limits: &confinement.limits,
            network: &confinement.network,
            trace: confinement.trace,
            uid,
            gid,
            drops,
            mounts: BTreeMap::new(),
            links: Vec::new(),
            home,
            cwd: PathBuf::new(),
            image: confinement.engine.as_ref().is_some_and(|it| it.image.is_some()),
            kept: None,
            too_much: None,
        };
        if !draft.image {
            draft.system();
        }
        draft.devices();
        draft.scratch(&roots);
        for (root, asked) in roots.iter().zip(&confinement.roots) {
            draft.root(root, &roots)?;
            draft.alias(&here.join(&asked.path), &root.path);
        }
        draft.cwd = working_directory(spec, &roots, &here);
        draft.programs(spec, confinement, &roots, &here)?;
        if confinement.engine.is_some() {
            for (from, at) in engine::ours(draft.image)? {
                draft.bind(&at, from, Kind::Read, None);
            }
        }
        draft.reserve(confinement, &roots, &here)?;
        draft.hold_in_place(&roots);
        if draft.cwd.as_os_str().is_empty() {
            let home = draft.home.clone().filter(|it| draft.mounts.contains_key(it));
            draft.cwd = home.unwrap_or_else(|| "/tmp".into());
        }
        Ok(draft)
    }

    fn finish(
        mut self,
        secrets: &[Secret],
        possible: Possible,
        landlock: bool,
        namespaces: bool,
    ) -> Result<Cell, Error> {
        // What was asked for goes before what is made up.
        let hidden = |at: &Path| self.mounts.keys().find(|it| at.starts_with(it));
        let mut files = self.etc();
        files.retain(|(at, _)| hidden(at).is_none());
        if let Some((secret, by)) = secrets.iter().find_map(|it| Some((it, hidden(&it.path())?))) {
            return Err(Error::SecretHidden { name: secret.name.clone(), by: by.clone() });
        }
        files.extend(secrets.iter().map(|it| (it.path(), it.value.clone())));
        if let Some(path) = self.kept.take_if(|_| !namespaces) {
            // Nothing can be covered, nor be read only in what is written.
            return Err(Error::NotKept { path });
        }
        if !namespaces {
            // Nothing can be put anywhere: what there is, is what the machine has.
            self.mounts.retain(|_, it| matches!(it, What::Bind { .. }));
            self.links.clear();
            files.clear();
            if !self.cwd.is_dir() {
                self.cwd = "/".into();
            }
        }
        let mut mounts: Vec<Mount> =
            self.mounts.into_iter().map(|(at, what)| Mount { at, what }).collect();
        mounts.sort_by_key(|it| it.at.components().count());
        Ok(Cell {
            uid: self.uid,
            gid: self.gid,
            drops: self.drops,
            mounts,
            files,
            links: self.links,
            cwd: self.cwd,
            pids: self.limits.pids,
            open_files: self.limits.open_files,
            file_bytes: self.limits.file_bytes,
            time: self.limits.time,
            landlock,
            namespaces,
            image: self.image,
            groups: possible.groups,
            doors: doors(self.network),
            addresses: addresses(self.network),
            trace: self.trace,
        })
    }

    fn system(&mut self) {
        for at in SYSTEM.iter().chain(ETC).map(Path::new) {
            let Ok(about) = fs::symlink_metadata(at) else { continue };
            match fs::read_link(at) {
                // A link out of what is shown leads nowhere, so it is followed here.
                Ok(to) if leads_to_system(at, &to) => self.links.push((at.to_owned(), to)),
                Ok(_) => {
                    if let Ok(real) = at.canonicalize() {
                        self.bind(at, real, Kind::Read, None);
                    }
                }
                Err(_) if about.is_dir() || about.is_file() => {
                    self.bind(at, at.to_owned(), Kind::Read, None);
                }
                Err(_) => {}
            }
        }
        for entry in fs::read_dir("/etc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let begins = |it: &&str| name.as_bytes().starts_with(it.as_bytes());
            if ETC_OF_RUNTIMES.iter().any(begins) && entry.file_type().is_ok_and(|it| it.is_dir()) {
                self.bind(&entry.path(), entry.path(), Kind::Read, None);
            }
        }
    }

    /// Devices that are nobody's, and a view of the server's own processes.
    fn devices(&mut self) {
        for at in DEVICES.iter().map(Path::new).filter(|it| it.exists()) {
            self.bind(at, at.to_owned(), Kind::Device, None);
        }
        for (at, to) in [
            ("/dev/fd", "/proc/self/fd"),
            ("/dev/stdin", "/proc/self/fd/0"),
            ("/dev/stdout", "/proc/self/fd/1"),
            ("/dev/stderr", "/proc/self/fd/2"),
            ("/var/tmp", "/tmp"),
        ] {
            self.links.push((at.into(), to.into()));
        }
        self.mounts.insert("/proc".into(), What::Proc);
    }

    /// Nobody else's temporary files, and a home that is empty.
    fn scratch(&mut self, roots: &[Root]) {
        let bytes = self.limits.scratch_bytes;
        for at in ["/tmp", "/dev/shm"] {
            self.mounts.insert(at.into(), What::Scratch { bytes, mode: 0o1777 });
        }
        let Some(home) = self.home.clone() else { return };
        // A root that holds the home was asked for, and so is the home in it. And nothing is put
        // over what programs are made of, nor over what is made up for the server.
        let is_shown = roots.iter().any(|it| home.starts_with(&it.path));
        let made_up = [MADE_UP_DIR, SECRETS_DIR];
        let is_system = SYSTEM.iter().chain(NEVER).chain(&made_up).any(|it| home.starts_with(it));
        let hides = made_up.iter().any(|it| Path::new(it).starts_with(&home));
        if !is_shown && !is_system && !hides && !self.mounts.contains_key(&home) {
            self.mounts.insert(home, What::Scratch { bytes, mode: 0o700 });
        }
    }

    fn root(&mut self, root: &Root, roots: &[Root]) -> Result<(), Error> {
        let place = |source| Error::Place { path: root.path.clone(), source };
        let about = fs::metadata(&root.path).map_err(place)?;
        // As root, a server that is somebody else must still be able to use what it is there for:
        // whose files these are is mapped to who the server is.
        let owner = Owner { uid: about.uid(), gid: about.gid() };
        let owner = (self.drops && owner.uid != self.uid).then_some(owner);
        let kind = match root.access {
            Access::Read => Kind::Read,
            Access::Write => Kind::Write,
        };
        self.bind(&root.path, root.path.clone(), kind, owner);
        if root.access == Access::Write {
            let trusted = roots::trusted(&root.path, roots);
            for path in trusted.places {
                self.bind(&path, path.clone(), Kind::Read, owner);
            }
            if !trusted.all {
                self.too_much.get_or_insert_with(|| root.path.clone());
            }
        }
        Ok(())
    }

    /// What is read only inside of a writable root stays where it is: the directories on the way are
    /// mounted on themselves, since a directory that something is mounted on cannot be moved away
    /// for another to take its place. Each is what it was before: what holds for it is said by the
    /// nearest place around it.
    fn hold_in_place(&mut self, roots: &[Root]) {
        for root in roots.iter().filter(|it| it.access == Access::Write) {
            let inside: Vec<PathBuf> = self.mounts.keys().cloned().collect();
            for path in inside.iter().filter(|it| it.starts_with(&root.path)) {
                let above = path.ancestors().skip(1);
                for above in above.take_while(|it| it.starts_with(&root.path) && *it != root.path) {
                    if self.mounts.contains_key(above) {
                        continue;
                    }
                    if let Some((kind, owner)) = self.around(above) {
                        self.bind(above, above.to_owned(), kind, owner);
                    }
                }
            }
        }
    }

    /// What may be done at a place by what is mounted there, or else nearest around it; nothing if
    /// that is no place of the machine.
    fn around(&self, path: &Path) -> Option<(Kind, Option<Owner>)> {
        match path.ancestors().find_map(|it| self.mounts.get(it))? {
            What::Bind { kind, owner, .. } => Some((*kind, *owner)),
            What::Scratch { .. } | What::Proc => None,
        }
    }

    /// What the command is installed in, and what was named beside it.
    fn programs(
        &mut self,
        spec: &Spec,
        confinement: &Confinement,
        roots: &[Root],
        here: &Path,
    ) -> Result<(), Error> {
        let path = variable(spec, "PATH").unwrap_or(OsStr::new(PATH_DEFAULT));
        let words: Vec<PathBuf> = spec.command.iter().map(|it| here.join(it)).collect();
        let words: Vec<&Path> = words.iter().map(PathBuf::as_path).collect();
        let homes = self.home.iter().cloned().chain(env::home_dir());
        let homes = Homes::new(homes, self.uid, &words);
        let mut named = Vec::new();
        for path in &confinement.programs {
            let real = roots::program(path, here, roots)?;
            if homes.is_home(&real) {
                return Err(Error::Home { path: path.clone() });
            }
            named.push(real);
        }
        let mut seen: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        let readable = roots.iter().filter(|it| it.access == Access::Read);
        seen.extend(readable.map(|it| it.path.clone()));
        seen.extend(named.iter().cloned());
        let search = Search { path, homes: &homes, seen: &seen, roots };
        let program = spec.command.first().filter(|_| !self.image);
        let at = if spec.cwd.is_some() { &self.cwd } else { here };
        let program = program.and_then(|it| search.find(it, at));
        let needed = program.map(|it| search.follow(&it)).transpose()?.unwrap_or_default();
        let Needed { places, links } = needed;
        for place in places.into_iter().chain(named) {
            let owner = self.around(&place).and_then(|(_, owner)| owner);
            self.bind(&place, place.clone(), Kind::Read, owner);
        }
        // Who names a program or a script by a path means it from where the command is typed.
        let mut is_from_here = spec.command.first().is_some_and(|it| is_relative(it));
        if let Some(Script { named, file, place }) = search.script(&spec.command, here)? {
            if !search.is_in_a_root(&place) {
                self.bind(&place, place.clone(), Kind::Read, None);
            }
            if let Some((Kind::Write, owner)) = self.around(&file) {
                self.bind(&file, file.clone(), Kind::Read, owner);
            }
            is_from_here |= named.is_relative();
        }
        if is_from_here && spec.cwd.is_none() {
            self.start_in(here);
        }
        // A link that something is mounted below, or on, would only be in the way.
        let is_free = |at: &Path| self.mounts.keys().all(|it| !it.starts_with(at));
        let links: Vec<_> = links.into_iter().filter(|(at, _)| is_free(at)).collect();
        self.links.extend(links);
        Ok(())
    }

    /// What was named relative to this directory must be found there, also where nothing of the
    /// directory itself is seen.
    fn start_in(&mut self, here: &Path) {
        let real = here.canonicalize().unwrap_or_default();
        let is_there = |it: &PathBuf| real.starts_with(it) || it.starts_with(&real);
        if !self.mounts.keys().any(is_there) {
            let bytes = self.limits.scratch_bytes;
            self.mounts.insert(real.clone(), What::Scratch { bytes, mode: 0o700 });
        }
        self.cwd = real;
    }

    /// A root that was named by another path is found there too.
    fn alias(&mut self, asked: &Path, real: &Path) {
        if asked != real && is_plain(asked) {
            self.links.push((asked.to_owned(), real.to_owned()));
        }
    }

    fn bind(&mut self, at: &Path, from: PathBuf, kind: Kind, owner: Option<Owner>) {
        self.mounts.insert(at.to_owned(), What::Bind { from, kind, owner });
    }

    /// Who and where the server is, as far as it needs to know.
    fn etc(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let home = self.home.as_deref().unwrap_or(Path::new("/")).display();
        let (uid, gid) = (self.uid, self.gid);
        let (hosts, resolver) = if self.network.is_empty() {
            ("files", String::new())
        } else {
            ("files dns", format!("nameserver {GATE}\n"))
        };
        let mut files: Vec<(PathBuf, Vec<u8>)> = [
            (
                "/etc/passwd",
                format!(
                    "root:x:0:0:root:/:/bin/false\nserver:x:{uid}:{gid}:server:{home}:/bin/sh\n"
                ),
            ),
            ("/etc/group", format!("root:x:0:\nserver:x:{gid}:\n")),
            ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n".to_owned()),
            ("/etc/nsswitch.conf", format!("passwd: files\ngroup: files\nhosts: {hosts}\n")),
            ("/etc/resolv.conf", resolver),
        ]
        .map(|(at, text)| (PathBuf::from(at), text.into_bytes()))
        .into();
        if self.image {
            // Over what an image has there, which would be loaded into our own first process.
            files.push((PRELOAD.into(), Vec::new()));
        }
        files
    }
}

/// What is listened on for a server that may reach somebody. Each port is taken at every address,
/// so that the guard sees under which of its made-up addresses a name was connected to, however
/// many names there are.
fn doors(network: &Network) -> Vec<Door> {
    if network.is_empty() {
        return Vec::new();
    }
    let ports = network.ports();
    let gates = [GATE_DNS, GATE_PROXY].into_iter().filter(|it| !ports.contains(&it.port()));
    let everywhere = ports.iter().map(|it| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, *it));
    let connections = gates.chain(everywhere).map(|at| Door { kind: Way::Connections, at });
    [Door { kind: Way::Datagrams, at: GATE_DNS }].into_iter().chain(connections).collect()
}

/// Destinations that are addresses are found by programs that know nothing of proxies, if they are
/// addresses inside. All of `127.0.0.0/8` are; those of sixteen bytes are for the proxy alone.
fn addresses(network: &Network) -> Vec<Ipv4Addr> {
    let all = network.destinations().iter().filter_map(|it| match it.address()? {
        IpAddr::V4(address) if !address.is_loopback() => Some(address),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    });
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether the link is one within what every server sees.
fn leads_to_system(at: &Path, to: &Path) -> bool {
    let to = at.parent().unwrap_or(Path::new("/")).join(to);
    let plain = to.components().all(|it| it != Component::ParentDir);
    plain && (to.starts_with("/usr") || SYSTEM.iter().any(|it| to.starts_with(it)))
}

/// Who the server is. Root's servers are whoever owns their first writable root.
fn identity(roots: &[Root]) -> Result<(u32, u32, bool), Error> {
    if !geteuid().is_root() {
        return Ok((geteuid().as_raw(), getegid().as_raw(), false));
    }
    let written = roots.iter().find(|it| it.access == Access::Write);
    let about = written.map(|it| {
        let place = |source| Error::Place { path: it.path.clone(), source };
        fs::metadata(&it.path).map_err(place)
    });
    let (uid, gid) = about.transpose()?.map_or((0, 0), |it| (it.uid(), it.gid()));
    let or_nobody = |id| if id == 0 { NOBODY } else { id };
    Ok((or_nobody(uid), or_nobody(gid), true))
}

/// The directory that the server starts in; empty where nothing says one.
fn working_directory(spec: &Spec, roots: &[Root], here: &Path) -> PathBuf {
    if let Some(cwd) = &spec.cwd {
        return here.join(cwd);
    }
    let real = here.canonicalize().unwrap_or_default();
    if roots.iter().any(|it| real.starts_with(&it.path)) {
        return real;
    }
    let first = roots.iter().find(|it| it.path.is_dir());
    first.map(|it| it.path.clone()).unwrap_or_default()
}

fn variable<'a>(spec: &'a Spec, name: &str) -> Option<&'a OsStr> {
    spec.env.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_os_str())
}

/// Whether a program is looked for in a directory, and neither in `PATH` nor at a whole path.
fn is_relative(program: &OsStr) -> bool {
    program.as_bytes().contains(&b'/') && Path::new(program).is_relative()
}

/// An absolute path without `..`, other than `/`.
fn is_plain(path: &Path) -> bool {
    let mut parts = path.components();
    parts.next() == Some(Component::RootDir)
        && parts.clone().count() > 0
        && parts.all(|it| matches!(it, Component::Normal(_)))
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(cell) = &self.cell else {
            writeln!(out, "no sandbox\n\nguarantees")?;
            return self.containment.fmt(out);
        };
        let from = if cell.drops { "; the guard is root, the server is not" } else { "" };
        writeln!(out, "runs as uid {}, gid {}{from}", cell.uid, cell.gid)?;
        writeln!(out, "starts in {}", shown(&cell.cwd))?;
        if !cell.namespaces {
            writeln!(out, "has no namespaces of its own, and so none of the files made for it")?;
        }
        writeln!(out, "\nsees")?;
        for Mount { at, what } in &cell.mounts {
            let name = shown(at);
            match what {
                What::Bind { from, kind, owner } => {
                    let kind = match kind {
                        Kind::Read => "read only",
                        Kind::Write => "read, write",
                        Kind::Device => "device",
                    };
                    write!(out, "  {kind:<12} {name}")?;
                    if from != at {
                        write!(out, " (which is {})", shown(from))?;
                    }
                    match owner {
                        Some(Owner { uid, .. }) => writeln!(out, " (uid {uid} is the server)")?,
                        None => writeln!(out)?,
                    }
                }
                What::Scratch { bytes, .. } => {
                    writeln!(out, "  empty        {name} (in memory, {bytes} bytes)")?;
                }
                What::Proc => writeln!(out, "  processes    {name} (its own, where permitted)")?,
            }
        }
        for (at, _) in &cell.files {
            writeln!(out, "  made up      {}", shown(at))?;
        }
        for (at, to) in &cell.links {
            writeln!(out, "  link         {} to {}", shown(at), shown(to))?;
        }
        writeln!(out, "\nreaches")?;
        for it in self.network.destinations() {
            writeln!(out, "  {it}")?;
        }
        match self.network.ports().iter().map(u16::to_string).collect::<Vec<_>>().join(", ") {
            ports if ports.is_empty() => writeln!(out, "  nobody")?,
            ports => writeln!(
                out,
                "  by name or by the proxy {GATE_PROXY}; the ports {ports} are taken inside"
            )?,
        }
        writeln!(out, "\nmay use")?;
        writeln!(out, "  {} processes and threads", cell.pids)?;
        writeln!(out, "  {} descriptors a process", cell.open_files)?;
        writeln!(out, "  {} bytes a file", cell.file_bytes)?;
        if let Some(scope) = &self.scope {
            writeln!(out, "  {} ({IN_SCOPE})", scope.names())?;
        }
        for group in &cell.groups {
            for setting in &group.settings {
                let below = shown(&group.below);
                writeln!(out, "  {} {} (a cgroup in {below})", setting.file, setting.value)?;
            }
        }
        if let Some(client) = &self.client {
            writeln!(out, "\nis started in a container by")?;
            for word in &client.spec.command {
                writeln!(out, "  {}", shown(word))?;
            }
        }
        if cell.trace {
            writeln!(out, "\nis watched: what it opens, changes, starts and connects to is noted")?;
        }
        writeln!(out, "\nis refused these calls of the kernel")?;
        let more = seccomp::refused_without_namespaces().filter(|_| !cell.namespaces);
        let traced = seccomp::refused_if_traced().filter(|_| cell.trace);
        for refused in seccomp::refused().chain(more).chain(traced) {
            let name = refused.name.trim_start_matches("SYS_");
            let sometimes = if refused.is_always() { "" } else { ", with some arguments" };
            writeln!(out, "  {name}{sometimes}: {}", refused.why)?;
        }
        writeln!(out, "\nguarantees")?;
        self.containment.fmt(out)
    }
}

/// A name as a person may see it: a server may have made it, with line ends and commands of a
/// terminal in it.
fn shown(name: impl AsRef<OsStr>) -> String {
    let name = name.as_ref().to_string_lossy();
    name.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn possible(memory: bool) -> Possible {
        Possible { memory, pids: memory, cpu: memory, ..Possible::default() }
    }

    #[test]
    fn what_cannot_be_enforced_stops_the_start_unless_it_is_named() {
        let demand = |allow_weaker: &[Guarantee]| Confinement {
            limits: Limits { cpu_thousandths: Some(500), ..Limits::default() },
            allow_weaker: allow_weaker.to_vec(),
            ..Confinement::default()
        };
        let refused = |confinement: &Confinement, groups, landlock| match promise(
            confinement,
            &possible(groups),
            landlock,
            None,
        ) {
            Err(Error::CannotEnforce { guarantee, .. }) => Some(guarantee),
            other => {
                other.unwrap();
                None
            }
        };
        assert_eq!(refused(&demand(&[]), true, 6), None);
        assert_eq!(refused(&demand(&[]), true, 5), Some(Guarantee::Files));
        assert_eq!(refused(&demand(&[Guarantee::Files]), true, 0), None);
        assert_eq!(refused(&demand(&[Guarantee::Files]), false, 0), Some(Guarantee::Memory));
        assert_eq!(refused(&demand(&[Guarantee::Memory]), false, 7), Some(Guarantee::Cpu));
        let weak = demand(&[Guarantee::Memory, Guarantee::Cpu, Guarantee::Files]);
        let held = promise(&weak, &possible(false), 3, None).unwrap();
        assert_eq!(held.of(Guarantee::Memory), Some(Strength::Not));
        assert_eq!(held.of(Guarantee::Cpu), Some(Strength::Not));
        assert_eq!(held.of(Guarantee::Files), Some(Strength::Partly));
        assert_eq!(held.of(Guarantee::Pids), Some(Strength::Enforced));
        assert_eq!(held.of(Guarantee::Time), None, "it was not demanded");
    }

    #[test]
    fn without_namespaces_what_holds_less_must_be_named() {
        use Guarantee::{End, Files, Memory, Network, Pids, Processes};
        let demand = |allow_weaker: &[Guarantee]| Confinement {
            allow_weaker: allow_weaker.to_vec(),
            ..Confinement::default()
        };
        let check = |named: &[Guarantee], groups, landlock| {
            promise(&demand(named), &possible(groups), landlock, Some("EPERM"))
        };
        for (named, refused) in [
            (&[][..], Files),
            (&[Files], Processes),
            (&[Files, Processes], End),
            (&[Files, Processes, End], Pids),
            (&[Files, Processes, End, Pids], Memory),
        ] {
            match check(named, false, 6) {
                Err(Error::CannotEnforce { guarantee, .. }) => assert_eq!(guarantee, refused),
                other => panic!("{named:?}: {other:?}"),
            }
        }
        let held = check(&[Files, Processes, End], true, 6).unwrap();
        for (guarantee, strength) in [
            (Files, Strength::Partly),
            (Processes, Strength::Partly),
            (End, Strength::Partly),
            (Network, Strength::Enforced),
            (Pids, Strength::Enforced),
            (Memory, Strength::Enforced),
        ] {
            assert_eq!(held.of(guarantee), Some(strength), "{guarantee}");
        }
        let secrets = vec![Secret { name: "TOKEN".into(), value: b"x".into() }];
        let secret = Confinement { secrets, ..demand(&Guarantee::WEAKER) };
        let secret = promise(&secret, &possible(true), 7, Some("EPERM"));
        assert!(matches!(
            secret,
            Err(Error::CannotEnforce { guarantee: Guarantee::Environment, .. })
        ));
        let neither = check(&Guarantee::WEAKER, true, 5);
        assert!(matches!(neither, Err(Error::CannotEnforce { guarantee: Files, .. })));
    }

    #[test]
    fn a_name_forges_no_line() {
        for (name, seen) in [
            ("/srv/Bob's \"files\"/वि/é", "/srv/Bob's \"files\"/वि/é"),
            ("a\nreaches", "a\\nreaches"),
            ("\u{1b}]0;x\u{7}", "\\u{1b}]0;x\\u{7}"),
            ("\u{9b}\u{202e}\u{2028}\u{7f}", "\\u{9b}\\u{202e}\\u{2028}\\u{7f}"),
        ] {
            assert_eq!(shown(name), seen);
        }
    }

    #[test]
    fn without_a_sandbox_nothing_is_claimed() {
        let spec = Spec { command: vec!["true".into()], ..Spec::default() };
        let plan = plan(&spec).unwrap();
        assert_eq!(plan.containment().of(Guarantee::Files), Some(Strength::Not));
        assert!(plan.to_string().starts_with("no sandbox\n"));
    }
}
