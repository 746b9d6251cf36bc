//! What a server touches: the files that it opens and changes, the addresses that it names, the
//! programs that it starts. It is looked at and never decided about: the walls are the mounts,
//! Landlock and the filters, and they stand as they do without this.
//!
//! The kernel stops each such call and tells the guard (seccomp's user notification), which reads
//! the path or the address out of the server's memory, notes it, and always answers that the call
//! is to go on. That answer cannot be a decision: another thread of the server may change the path
//! in the meantime. For the same reason, and because the kernel does not say how a call ended,
//! "refused" is worked out from what the cell shows at that moment.
//!
//! What is not seen: calls that the filters refuse (they win over the notification), names that are
//! only looked at (`stat`, `access`), what is read or written through a descriptor that is open, and
//! what the kernel itself opens: a script's interpreter, a program's loader.

mod calls;
mod collect;
mod hand_over;
mod place;
mod read;
mod resolve;
mod watch;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

pub use self::collect::{How, SORT_MAX, Touch, Touched, Trace};
pub(crate) use self::hand_over::hand_over;
pub(crate) use self::place::Places;
use self::watch::Watch;

impl Trace {
    /// Begins to take in what the kernel tells `listener` about a server that sees these places. It
    /// ends by itself, with the last process of the server.
    pub(crate) fn begin(listener: OwnedFd, places: Places) -> io::Result<Arc<Self>> {
        let trace = Arc::new(Self::default());
        let watch = Watch::new(listener, places, Arc::clone(&trace));
        thread::Builder::new().name("trace".to_owned()).spawn(move || watch.stand())?;
        Ok(trace)
    }
}
