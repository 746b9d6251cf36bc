//! Whoever judges a message and writes it down is watched. Rules take a time that grows with the
//! message and no more; but a mistake in one, or a disk that does not take in the ledger, would hold
//! up everything in this process: the time limits of calls, the end of input, and signals. What has
//! not come to an end then is ended from outside, which is a no.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long it may take to look at one message, with all that is written down about it.
pub(super) const LOOK_MAX: Duration = Duration::from_secs(30);

/// Who looks at something, and since when.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    count: AtomicU64,
    looks: Mutex<HashMap<u64, Instant>>,
}

/// Somebody looks at a message, for as long as this is there.
#[derive(Debug)]
pub(super) struct Look<'v> {
    vigil: &'v Vigil,
    number: u64,
}

impl Vigil {
    /// Somebody begins to look.
    pub(super) fn look(&self) -> Look<'_> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.looks().insert(number, Instant::now());
        Look { vigil: self, number }
    }

    /// Calls `late`, once, when somebody has looked at one thing for longer than `max`. It is called
    /// on a thread of its own, which ends when nobody is watched any more.
    ///
    /// # Errors
    /// When there can be no such thread.
    pub(super) fn keep(
        self: &Arc<Self>,
        max: Duration,
        late: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let vigil = Arc::downgrade(self);
        let keep = move || {
            while let Some(vigil) = vigil.upgrade() {
                if vigil.looks().values().any(|since| since.elapsed() > max) {
                    return late();
                }
                drop(vigil);
                thread::sleep(max / 16);
            }
        };
        thread::Builder::new().name("vigil".to_owned()).spawn(keep).map(drop)
    }

    fn looks(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Instant>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.vigil.looks().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn it_is_called_once_for_what_does_not_end_and_never_for_what_does() {
        let vigil = Arc::new(Vigil::default());
        let (late, called) = mpsc::channel();
        vigil.keep(Duration::from_millis(200), move || late.send(()).unwrap()).unwrap();
        for _ in 0..1000 {
            drop(vigil.look());
        }
        assert!(called.recv_timeout(Duration::from_millis(600)).is_err());
        let look = vigil.look();
        called.recv().unwrap();
        drop(look);
        assert!(called.recv().is_err(), "its thread has ended");
    }

    #[test]
    fn nobody_is_watched_after_the_end() {
        let vigil = Arc::new(Vigil::default());
        let (late, called) = mpsc::channel::<()>();
        vigil.keep(Duration::from_millis(50), move || late.send(()).unwrap()).unwrap();
        drop(vigil);
        assert!(called.recv().is_err());
    }
}
