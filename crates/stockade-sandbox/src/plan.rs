//! What will be done for a spec on this machine, worked out without doing any of it. The sandbox is
//! built from exactly this, so that what is shown and what is done cannot differ.

mod draft;
mod page;
mod promise;

use std::path::Path;

use rustix::process::geteuid;

use self::draft::Draft;
pub(crate) use self::draft::{NOBODY, SYSTEM};
use self::promise::{Refusal, apart, promise, unconfined};
use crate::cell::{Cell, Kind, Mount, What};
use crate::cgroup::{self, IN_SCOPE, Possible};
use crate::engine::{self, Client, Ids, NoIds};
use crate::scope::{self, NoScope};
use crate::trial::Trial;
use crate::{
    Confinement, Containment, Engine, EngineProgram, Error, Guarantee, Limits, Network, Spec, raw,
    seccomp,
};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Strength;

    #[test]
    fn without_a_sandbox_nothing_is_claimed() {
        let spec = Spec { command: vec!["true".into()], ..Spec::default() };
        let plan = plan(&spec).unwrap();
        assert_eq!(plan.containment().of(Guarantee::Files), Some(Strength::Not));
        assert!(plan.to_string().starts_with("no sandbox\n"));
    }
}
