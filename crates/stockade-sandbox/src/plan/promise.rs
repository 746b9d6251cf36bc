//! How far each guarantee holds, or which one stops the start.

use std::fs;
use std::io;
use std::sync::OnceLock;

use super::LANDLOCK_MIN;
use crate::cgroup::Possible;
use crate::guarantee::Held;
use crate::trial::Trial;
use crate::{Confinement, Containment, Error, Guarantee, Limits, Strength, seccomp};

/// Without a sandbox. That everything goes with the guard depends on the machine, and is what
/// [`Child::ends`](crate::Child::ends) says.
pub(super) fn unconfined() -> Containment {
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
pub(super) fn promise(
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
pub(super) fn apart(confinement: &Confinement) -> Result<(), String> {
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

pub(super) const TOO_MUCH_REMEDY: &str =
    "name the directories in it that the server needs, one by one, or allow `files` to be weaker";

const ALONE_REMEDY: &str = "permit user namespaces (`stockade doctor` says how), or allow `files`, \
     `processes` and `end` to be weaker, and `pids` where no control group can be made";

const CGROUP_REMEDY: &str = "have a `systemd --user` run for this user, start it where this \
     user may make control groups, or allow the guarantee to be weaker (`stockade doctor` says more)";

/// Why a guarantee is not given, and what would give it.
pub(super) struct Refusal {
    pub(super) feature: &'static str,
    pub(super) cause: String,
    pub(super) remedy: &'static str,
}

impl Refusal {
    pub(super) fn of(self, guarantee: Guarantee) -> Error {
        let source = io::Error::new(io::ErrorKind::Unsupported, self.cause);
        Error::CannotEnforce {
            guarantee,
            feature: self.feature.into(),
            source,
            remedy: self.remedy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

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
}
