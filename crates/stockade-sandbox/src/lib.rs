//! Starts a server's process, in a sandbox if one is asked for, and leaves nothing of it behind.
//!
//! Three processes stand between the guard and nothing:
//!
//! ```text
//! guard ── keeper ── warden ── server ── whatever the server starts
//!   └──── socket ──────┘
//! ```
//!
//! The *keeper* is this same binary, executed again with an empty environment, so that it has one
//! thread and may fork. It starts the *warden* and watches with it: the end of the guard and of the
//! server's time are seen by both, so that what keeps the one from its work does not keep the other.
//! The warden starts the server and ends everything when the server ends, when the guard closes its
//! end of the socket (which the kernel does for a guard that was killed), or when the keeper is gone. How
//! everything is ended is what [`Ends`] says: as pid 1 of a namespace of its own where the machine
//! permits, so that the kernel ends what is inside with it; else by killing every descendant. In
//! both cases the warden's death is noticed by the keeper and the keeper's by the warden.
//!
//! The tie between guard and keeper is the socket alone. `PR_SET_PDEATHSIG` would fire when the
//! guard's *thread* that launched the server ends, which in a thread pool is not the guard's end.
//!
//! What holds a server is said by [`Spec::confine`]. With it, the warden makes namespaces of its
//! own, forks the server's process in them, and puts together a root that holds what was asked for
//! and nothing else. Then both give away every privilege and put themselves behind Landlock and
//! seccomp (`confine.rs` has the order). The server alone is in the control groups: what it uses up
//! is not missing where it is ended. [`plan`](plan()) says what
//! will be done without doing it, and [`Child::containment`] how far each [`Guarantee`] holds.
//! What was demanded and cannot be enforced is a reason not to start.
//!
//! A server has no network but its own loopback interface. Where [`Network`] names whom it may
//! reach, the warden listens on that interface before it gives its privileges away, and the sockets
//! go to the guard ([`Child::take_doors`]): whoever holds them speaks for every name that is asked
//! for inside, and decides whom it is connected to.
//!
//! An [`Engine`] in it has a container hold the server instead, of Podman or Docker. What is in the
//! container is the same, and this binary is its first process: it adds the walls that engines do
//! not have (`inside.rs`). Podman runs in namespaces of ours, which an ordinary
//! user has as well, and keeps what it writes in memory, so
//! that it ends like any server and leaves as little; what would be left, a process beside the
//! keeper removes as well (`undertaker.rs`). For macOS there is the profile of a [`Seatbelt`].
//!
//! Without it there is no sandbox: the server sees the files, the network and the `/proc` of the
//! machine, and may do what its user may do. In particular a server that wants to can stop or kill
//! the processes of its user, the guard among them. Two things do differ in a pid namespace: a
//! server's own pid is small and means another process in `/proc`, which is still the machine's;
//! and where an ordinary user needs a user namespace for it, setuid programs such as `sudo` do not
//! raise a server's privileges.
//!
//! With [`Confinement::trace`], [`Child::trace`] says what the server touches: files, addresses,
//! programs. That is looked at and never decided about (`trace.rs` says what it does not see).
//!
//! What a sandbox needs beyond a server's certain end is Linux 6.12 with Landlock, user namespaces,
//! and for limits of memory and processors a place where control groups can be made. An ordinary user
//! who has none gets one from systemd's user manager, over the user's bus (`scope.rs`).
//!
//! Linux 5.11 or newer, and no other system.

#[cfg(not(target_os = "linux"))]
compile_error!("a server's processes can be ended for certain on Linux only");

pub mod bus;
mod cell;
mod cgroup;
mod child;
mod codec;
mod confine;
mod content;
mod descriptors;
mod doctor;
mod engine;
mod error;
mod guarantee;
mod held;
mod home;
mod inside;
mod keeper;
mod landlock;
mod message;
mod mounted;
mod mounts;
pub mod network;
mod plan;
mod prefix;
mod raw;
mod reached;
mod roots;
mod scope;
mod script;
mod seatbelt;
mod seccomp;
mod server;
mod spec;
mod sweep;
mod trace;
mod trial;
mod undertaker;
mod warden;
mod way;

pub use child::{Child, Doors, Exit, launch, launch_as, launch_planned};
pub use descriptors::raise_descriptors;
pub use doctor::{Diagnosis, Feature, Works, examine};
pub use engine::{Engine, EngineProgram, Image, NotPinned, Seen, look};
pub use error::Error;
pub use guarantee::{Containment, Guarantee, Held, NoGuarantee, Strength};
pub use held::{AsFound, Found, Link};
pub use keeper::{KEEPER_ARG, keeper_main_if_asked};
pub use network::{Destination, Host, Network, NoDestination};
pub use plan::{Plan, plan};
pub use raw::{fail_at_the_file_size_limit, unacknowledged};
pub use reached::Reached;
pub(crate) use roots::TRUSTED;
pub use roots::is_trusted;
pub use seatbelt::{Seatbelt, seatbelt};
pub use spec::{Access, Confinement, Keep, Limits, Reserved, Root, SECRETS_DIR, Secret, Spec};
pub use trace::{How, SORT_MAX, Touch, Touched, Trace};

use std::fmt;

/// By what means everything that a server started is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// The server lives in a pid namespace, and the kernel ends all that is in it at once. Nothing
    /// that the server does, short of privileges over the machine, takes a process out of it.
    Namespace,
    /// Descendants are found in `/proc` and killed until none is left. This holds for daemons, but
    /// not against a server that kills keeper and warden at the same moment, which it may do.
    Subreaper,
}

impl fmt::Display for Ends {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Namespace => "pid namespace",
            Self::Subreaper => "subreaper",
        })
    }
}
