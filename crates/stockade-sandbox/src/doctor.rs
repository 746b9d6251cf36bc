//! What this machine can do for a sandbox: each feature tried for real, what depends on it, and
//! what can be done where it does not work. Data; the printing is somebody else's.

use std::env;
use std::fs;

use rustix::process::geteuid;

use crate::cgroup;
use crate::trial::Trial;
use crate::{Confinement, Containment, Error, Guarantee, KEEPER_ARG, Limits, Spec, launch};

/// Whether a feature works here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Works {
    /// It was tried, and does.
    Yes,
    /// It was tried, and does not.
    No,
    /// It could not be tried.
    Unknown,
}

/// One thing that a sandbox is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// What it is.
    pub name: &'static str,
    /// Whether it works.
    pub works: Works,
    /// What was found, or what the kernel said.
    pub found: String,
    /// Which guarantees need it.
    pub needed_for: &'static [Guarantee],
    /// What would make it work, where it does not.
    pub remedy: Option<String>,
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Every feature.
    pub features: Vec<Feature>,
    /// What holds a server that is started as by default; nothing where none can be started.
    pub containment: Option<Containment>,
    /// Guarantees that must be named as weaker before one is started.
    pub weaker: Vec<Guarantee>,
    /// Why none is started even then.
    pub refused: Option<String>,
}

impl Diagnosis {
    /// Whether everything is enforced that is by default.
    pub fn is_whole(&self) -> bool {
        self.containment.is_some() && self.weaker.is_empty()
    }
}

/// Tries everything. It starts processes, and makes control groups and namespaces, which are all
/// gone when it returns.
pub fn examine() -> Diagnosis {
    let features = ROWS.iter().filter(|it| it.is_of_this_user()).map(Row::tried).collect();
    let mut weaker = Vec::new();
    let (containment, refused) = loop {
        match launched(&weaker) {
            Ok(it) => break (Some(it), None),
            Err(Error::CannotEnforce { guarantee, .. })
                if Guarantee::WEAKER.contains(&guarantee) && !weaker.contains(&guarantee) =>
            {
                weaker.push(guarantee);
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|it| format!(": {it}"));
                break (None, Some(format!("{error}{}", cause.unwrap_or_default())));
            }
        }
    };
    Diagnosis { features, containment, weaker, refused }
}

/// Starts a server that does nothing, held as every server is by default.
fn launched(weaker: &[Guarantee]) -> Result<Containment, Error> {
    let start = |source| Error::Start { step: "this program cannot be found", source };
    let program = env::current_exe().map_err(start)?;
    let confine = Confinement { allow_weaker: weaker.to_vec(), ..Confinement::default() };
    let spec = Spec {
        command: vec![program.into(), KEEPER_ARG.into(), Trial::Nothing.word().into()],
        confine: Some(Box::new(confine)),
        ..Spec::default()
    };
    let child = launch(&spec)?;
    child.wait()?;
    Ok(child.containment().clone())
}

/// A feature, before it is tried.
struct Row {
    name: &'static str,
    trial: Trial,
    needed_for: &'static [Guarantee],
    whose: Whose,
    remedy: fn() -> String,
}

/// Who needs a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Everybody,
    Root,
    OrdinaryUsers,
}

impl Row {
    fn is_of_this_user(&self) -> bool {
        match self.whose {
            Whose::Everybody => true,
            Whose::Root => geteuid().is_root(),
            Whose::OrdinaryUsers => !geteuid().is_root(),
        }
    }

    fn tried(&self) -> Feature {
        let (works, found, remedy) = match self.trial.carry_out() {
            Ok(Ok(found)) => (Works::Yes, found, None),
            Ok(Err(why)) => (Works::No, why, Some((self.remedy)())),
            Err(error) => (Works::Unknown, error.to_string(), None),
        };
        let Self { name, needed_for, .. } = *self;
        Feature { name, works, found, needed_for, remedy }
    }
}

const ROWS: &[Row] = {
    use Guarantee::{
        Calls, Cpu, End, Environment, Files, Memory, Network, Pids, Privileges, Processes,
    };
    const fn row(
        name: &'static str,
        trial: Trial,
        needed_for: &'static [Guarantee],
        remedy: fn() -> String,
    ) -> Row {
        Row { name, trial, needed_for, whose: Whose::Everybody, remedy }
    }
    &[
        row(
            "user namespace",
            Trial::UserNamespace,
            &[Files, Network, Processes, Privileges, End, Pids],
            user_namespaces,
        ),
        row("pid namespace", Trial::PidNamespace, &[Processes, End], user_namespaces),
        row("network namespace", Trial::NetworkNamespace, &[Network], user_namespaces),
        row("other namespaces", Trial::OtherNamespaces, &[Processes], user_namespaces),
        row("a root of its own", Trial::Mounts, &[Files], mounts_in_namespaces),
        row("a /proc of its own", Trial::Proc, &[], own_proc),
        Row {
            whose: Whose::Root,
            ..row("mounts with mapped ids", Trial::MappedMounts, &[], newer_kernel)
        },
        row("Landlock", Trial::Landlock, &[Files, Processes], landlock),
        row("seccomp", Trial::Seccomp, &[Calls, Network], kernel_option),
        row("no capabilities", Trial::Privileges, &[Privileges], user_namespaces),
        row("a keyring of its own", Trial::Keyring, &[Environment], kernel_option),
        row("close_range", Trial::Descriptors, &[Environment], newer_kernel),
        row("pidfd", Trial::Pidfd, &[End], newer_kernel),
        row("subreaper", Trial::Subreaper, &[End], newer_kernel),
        Row {
            whose: Whose::OrdinaryUsers,
            ..row("a scope of systemd", Trial::Scope, &[Memory, Cpu], a_scope)
        },
        row("limit of memory", Trial::Memory, &[Memory], control_groups),
        row("limit of processes", Trial::Pids, &[], control_groups),
        row("limit of processors", Trial::Cpu, &[Cpu], control_groups),
    ]
};

/// The text that Ubuntu needs, for where this very program is.
fn apparmor_profile() -> String {
    let program = env::current_exe().unwrap_or_else(|_| "/usr/bin/stockade".into());
    format!(
        "abi <abi/4.0>,\ninclude <tunables/global>\n\nprofile stockade {} flags=(unconfined) {{\n  \
         userns,\n}}",
        program.display()
    )
}

/// What keeps user namespaces away, as far as this machine says.
fn user_namespaces() -> String {
    let is = |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|it| it.trim() == value);
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return format!(
            "AppArmor permits them by name. As root, write this to `/etc/apparmor.d/stockade`, then \
             run `apparmor_parser -r /etc/apparmor.d/stockade`:\n{}",
            apparmor_profile()
        );
    }
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return "as root, `sysctl -w user.max_user_namespaces=10000`; inside of a container or \
                sandbox, start it outside"
            .to_owned();
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return "as root, `sysctl -w kernel.unprivileged_userns_clone=1`".to_owned();
    }
    "in a container, start that with a seccomp profile that leaves `clone3`, `unshare` and `mount`; \
     elsewhere use a kernel with CONFIG_USER_NS"
        .to_owned()
}

fn mounts_in_namespaces() -> String {
    "permit user namespaces; in a container, a profile that leaves `mount`, `open_tree`, `fsopen`, \
     `move_mount` and `pivot_root`"
        .to_owned()
}

fn own_proc() -> String {
    "nothing needs it: servers do without a `/proc` here. In a container, start that with \
     `--security-opt unmask=/proc/*` (podman) or `systempaths=unconfined` (docker)"
        .to_owned()
}

fn landlock() -> String {
    let list = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    let list = list.trim();
    let with = if list.is_empty() { "landlock,…".to_owned() } else { format!("landlock,{list}") };
    format!("use Linux 6.12 or newer, started with `lsm={with}`")
}

fn kernel_option() -> String {
    "use a kernel with CONFIG_SECCOMP_FILTER and CONFIG_KEYS; in a container, a profile that leaves \
     `seccomp` and `keyctl`"
        .to_owned()
}

fn newer_kernel() -> String {
    "use Linux 6.12 or newer".to_owned()
}

fn a_scope() -> String {
    let limits = Limits { cpu_thousandths: Some(1000), ..Limits::default() };
    let alone = cgroup::possible(&limits);
    if alone.memory && alone.cpu {
        return "nothing needs it: this user makes control groups without it".to_owned();
    }
    "have a `systemd --user` run that has control groups of version 2 to hand on: log in through PAM, \
     or as root `loginctl enable-linger` for this user; and `systemctl edit user@.service`, with \
     `Delegate=cpu memory pids` below `[Service]`"
        .to_owned()
}

fn control_groups() -> String {
    if geteuid().is_root() {
        return "mount control groups writable: in a container, `--cgroupns private` and a \
                `/sys/fs/cgroup` that is not read only"
            .to_owned();
    }
    "have the user's systemd make a scope (above), or start it where this user may make control \
     groups: `systemd-run --user --scope stockade …`"
        .to_owned()
}
