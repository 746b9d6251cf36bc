//! Places for what waits for a person: so many of them a guard has, for all conversations of all who
//! use it. Whoever fills a list that one person reads has the others wait behind it, so nobody may take
//! more than an even share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places of one guard.
#[derive(Debug)]
pub struct Places {
    /// How many principals have them together.
    sharers: usize,
    taken: Mutex<HashMap<Arc<str>, usize>>,
}

/// A place. Dropping it makes room for another.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    who: Arc<str>,
}

impl Default for Places {
    fn default() -> Self {
        Self::shared_by(1)
    }
}

impl Places {
    /// Places that so many principals have together.
    pub fn shared_by(sharers: usize) -> Self {
        Self { sharers: sharers.max(1), taken: Mutex::default() }
    }

    /// Takes one of `max` places for `who`, if that is not more than its share.
    pub(super) fn take(self: &Arc<Self>, who: &Arc<str>, max: usize) -> Option<Place> {
        let mut taken = self.taken();
        let in_all: usize = taken.values().sum();
        let own = taken.get(who).copied().unwrap_or_default();
        // There is a share in the least that there may be.
        let share = (max / self.sharers).max(1);
        if in_all >= max || own >= share {
            return None;
        }
        taken.insert(Arc::clone(who), own + 1);
        Some(Place { places: Arc::clone(self), who: Arc::clone(who) })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let left = taken.get(&self.who).map_or(0, |it| it.saturating_sub(1));
        if left == 0 {
            taken.remove(&self.who);
        } else {
            taken.insert(Arc::clone(&self.who), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_the_share_of_another() {
        let places = Arc::new(Places::shared_by(2));
        let (anna, ben): (Arc<str>, Arc<str>) = ("anna".into(), "ben".into());
        let take = |who: &Arc<str>, max| places.take(who, max);
        let held: Vec<_> = (0..3).filter_map(|_| take(&anna, 4)).collect();
        assert_eq!(held.len(), 2);
        let other: Vec<_> = (0..3).filter_map(|_| take(&ben, 4)).collect();
        assert_eq!(other.len(), 2);
        drop(held);
        assert!(take(&ben, 4).is_none(), "not of what the other leaves either");
        assert!(take(&anna, 4).is_some());
        drop(other);
        // Of a single one there is no half.
        let one = take(&anna, 1);
        assert!(one.is_some() && take(&ben, 1).is_none());
        drop(one);
        assert!(take(&ben, 1).is_some());
        assert!(places.taken().is_empty());
    }
}
