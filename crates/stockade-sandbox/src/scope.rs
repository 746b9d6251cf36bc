//! Control groups for an ordinary user who can make none where the guard is: systemd's user manager
//! puts a process into a scope, below which they can be made. What it says is not believed: where the
//! process is, and what can be limited there, is read from the kernel.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::geteuid;

use crate::bus::{self, Unasked};
use crate::cgroup::{self, Possible};
use crate::{Guarantee, Limits};

/// In a scope of version 2, the group of the process itself: a group that hands controllers on to
/// others must have no process of its own.
const KEEPER: &str = "keeper";

/// Why there is no scope that limits could be set in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoScope {
    #[error("no scope of the user's systemd: {0}")]
    Unasked(#[from] Unasked),
    #[error("systemd says that there is a scope `{name}`, and it has not put the process there")]
    NotThere { name: String },
    #[error("cannot use the control group `{}` that systemd made: {source}", at.display())]
    Unusable { at: PathBuf, source: io::Error },
    #[error("no `{guarantee}` can be limited in a scope of the user's systemd ({layout})")]
    Lacks { guarantee: Guarantee, layout: String },
}

impl NoScope {
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Unasked(_) | Self::NotThere { .. } | Self::Unusable { .. } => {
                "have the user's systemd answer (`systemctl --user status`; as root `loginctl \
                 enable-linger`), start it where this user may make control groups, or allow the \
                 guarantee to be weaker"
            }
            Self::Lacks { .. } => {
                "as root, start the machine with control groups of version 2 alone \
                 (`systemd.unified_cgroup_hierarchy=1`) and hand the controller on (`systemctl edit \
                 user@.service`, with `Delegate=cpu memory pids` below `[Service]`); or allow the \
                 guarantee to be weaker"
            }
        }
    }
}

/// Whether it is worth asking: of an ordinary user, who has a bus.
pub(crate) fn is_likely() -> bool {
    !geteuid().is_root() && !bus::places().is_empty()
}

/// Puts a child of this process, which is not reaped, into a scope of its own, and says the scope's
/// name and which of these limits can be set there.
pub(crate) fn enter(pid: u32, limits: &Limits) -> Result<(String, Possible), NoScope> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = format!("stockade-{pid}-{}.scope", now.as_nanos());
    bus::start_scope(&name, pid)?;
    let of = pid.to_string();
    let unified = cgroup::own_of_version_two(&of).filter(|it| it.ends_with(&name));
    let is_there = cgroup::own_of_version_one(&of).iter().any(|it| it.ends_with(&name));
    if !is_there && unified.is_none() {
        return Err(NoScope::NotThere { name });
    }
    if let Some(group) = unified {
        hand_on(&group, &of).map_err(|source| NoScope::Unusable { at: group, source })?;
    }
    let possible = cgroup::possible_of(&of, limits, |it| it.ends_with(&name));
    Ok((name, possible))
}

/// Makes way in a group of version 2 for groups below it that have its controllers.
fn hand_on(group: &Path, pid: &str) -> io::Result<()> {
    let own = group.join(KEEPER);
    fs::create_dir(&own)?;
    fs::write(own.join("cgroup.procs"), pid)?;
    let has = fs::read_to_string(group.join("cgroup.controllers"))?;
    for controller in has.split_whitespace().filter(|it| cgroup::CONTROLLERS.contains(it)) {
        fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"))?;
    }
    Ok(())
}
