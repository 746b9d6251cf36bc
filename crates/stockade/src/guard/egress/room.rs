//! Room for the connections of all servers of this process. Each costs descriptors, which the
//! sessions, the ledger and the clients of a gateway need as well, and which a server could ask for
//! without end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Resource, getrlimit};

/// What a connection may have open at once: both sides, and what its name is resolved with.
const DESCRIPTORS_EACH: usize = 3;
/// One of so many descriptors is for connections.
const PART: usize = 2;
/// More would be memory for nothing.
const MOST: usize = 4096;

/// Room for so many connections.
#[derive(Debug)]
pub struct Room {
    most: usize,
    taken: Mutex<usize>,
}

/// What one server has of it.
#[derive(Debug)]
pub(super) struct Share {
    room: Arc<Room>,
    own: AtomicUsize,
}

/// One connection's, for as long as it is there.
#[derive(Debug)]
pub(super) struct Place(Arc<Share>);

impl Room {
    /// As much as this process may open, at this moment.
    pub fn of_this_process() -> Arc<Self> {
        let open = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let open = usize::try_from(open).unwrap_or(usize::MAX);
        Self::new((open / PART / DESCRIPTORS_EACH).clamp(1, MOST))
    }

    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// The share of one more server.
    pub(super) fn share(self: &Arc<Self>) -> Arc<Share> {
        Arc::new(Share { room: Arc::clone(self), own: AtomicUsize::default() })
    }
}

impl Share {
    /// A place, if there is one for this server. It may have as many as are left for all others, so
    /// that one which takes what it can get leaves as much as it has to those that come.
    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let mut taken = lock(&self.room.taken);
        let own = self.own.load(Ordering::Relaxed);
        if own >= self.room.most.saturating_sub(*taken) {
            return None;
        }
        *taken += 1;
        self.own.store(own + 1, Ordering::Relaxed);
        Some(Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.0.room.taken);
        *taken = taken.saturating_sub(1);
        self.0.own.fetch_sub(1, Ordering::Relaxed);
    }
}

/// It is a number, which is right whoever panicked.
fn lock(taken: &Mutex<usize>) -> std::sync::MutexGuard<'_, usize> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(share: &Arc<Share>) -> Vec<Place> {
        std::iter::from_fn(|| share.take()).collect()
    }

    #[test]
    fn nobody_takes_more_than_is_left_for_the_others() {
        let room = Room::new(160);
        let (first, second) = (room.share(), room.share());
        let taken = all(&first);
        assert_eq!(taken.len(), 80);
        let others = all(&second);
        assert_eq!(others.len(), 40);
        let late = room.share();
        assert!(late.take().is_some(), "and there is a place for one that comes late");
        drop(taken);
        assert_eq!(all(&second).len(), 40, "what is free again is anybody's: 80, and 80 are left");
        drop(others);
        assert_eq!(all(&first).len(), 80);
    }

    #[test]
    fn whoever_is_gone_takes_nothing() {
        let room = Room::new(8);
        for _ in 0..100 {
            assert_eq!(all(&room.share()).len(), 4);
        }
        assert_eq!(*lock(&room.taken), 0);
        assert!(Room::of_this_process().most > 1);
    }
}
