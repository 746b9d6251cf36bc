//! The policy as it is now, while its file is edited.
//!
//! The file is read once a second and compared, rather than watched by the kernel's notices: these
//! follow one inode, and editors, `git` and configuration mounts put a new file or a new link in
//! its place; they do not come at all from network mounts; and their queues overflow. Reading a
//! file of a few kilobytes costs some microseconds and cannot miss what stays.
//!
//! A file is taken when two looks in a row find the same: one that is just being written may be a
//! right file up to there, without the denials that are still to come. A file that is broken, or
//! gone, changes nothing but what is told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use stockade_core::policy::Policy;

use super::{ConfigError, Flags, Resolved, Search, Source};

/// How often the file is read.
pub const EVERY: Duration = Duration::from_secs(1);

/// A policy that can be replaced while it is used. Who took it keeps the whole of it.
#[derive(Debug)]
pub struct Live {
    search: Search,
    flags: Flags,
    policy: ArcSwap<Policy>,
    seen: Mutex<Seen>,
}

/// What was found before.
#[derive(Debug)]
struct Seen {
    /// What was acted upon, so that nothing is told twice.
    last: Found,
    /// What was found once, and must be found again.
    next: Option<Found>,
}

/// What a look finds.
#[derive(Debug, PartialEq)]
enum Found {
    Source(Option<Source>),
    Unreadable(String),
}

/// What came of a look.
#[derive(Debug)]
pub enum Change {
    /// The file is another, and holds from now on.
    Replaced(Arc<Policy>),
    /// The file cannot be used. What held before still does.
    Refused(ConfigError),
}

impl Live {
    /// Takes what was resolved from this search and these flags.
    pub fn new(search: Search, flags: Flags, resolved: &Resolved) -> Self {
        let policy = ArcSwap::from(Arc::clone(&resolved.policy));
        let last = Found::Source(resolved.source.clone());
        let seen = Mutex::new(Seen { last, next: None });
        Self { search, flags, policy, seen }
    }

    /// The policy as it is now.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Reads the file again. Nothing, when it is as it was, or has only just become another.
    pub fn look(&self) -> Option<Change> {
        let read = self.search.read();
        let found = match &read {
            Ok(source) => Found::Source(source.clone()),
            Err(error) => Found::Unreadable(error.render(false)),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.last == found {
            seen.next = None;
            return None;
        }
        if seen.next.as_ref() != Some(&found) {
            seen.next = Some(found);
            return None;
        }
        let gone = matches!((&seen.last, &found), (Found::Source(Some(_)), Found::Source(None)));
        *seen = Seen { last: found, next: None };
        let resolved = match (read, gone) {
            (Ok(_), true) => Err(self.missing()),
            (read, _) => read.and_then(|source| Resolved::new(source, &self.flags)),
        };
        Some(match resolved {
            Ok(resolved) => {
                self.policy.store(Arc::clone(&resolved.policy));
                Change::Replaced(resolved.policy)
            }
            Err(error) => Change::Refused(error),
        })
    }

    /// The user's own file was there and is not any more: that is no wish for the defaults.
    fn missing(&self) -> ConfigError {
        let path = match &self.search {
            Search::Named(path) => path.clone(),
            Search::Own(path) => path.clone().unwrap_or_default(),
        };
        ConfigError::Read { path, source: std::io::ErrorKind::NotFound.into() }
    }
}

/// Looks again and again, and tells what came of it.
pub async fn watch(live: Arc<Live>, mut tell: impl FnMut(Change)) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let looking = Arc::clone(&live);
        // A file can hang, on a network mount; a session must not.
        if let Ok(Some(change)) = tokio::task::spawn_blocking(move || looking.look()).await {
            tell(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const DENY_ALL: &str = "default = 'deny'";
    const DENY_RM: &str = "default = 'allow'\n[[tools]]\neffect = 'deny'\ntool = 'rm'";

    fn live(path: &std::path::Path, text: &str) -> Live {
        fs::write(path, text).unwrap();
        let (search, flags) = (Search::Named(path.to_owned()), Flags::default());
        let resolved = Resolved::read(&search, &flags).unwrap();
        Live::new(search, flags, &resolved)
    }

    fn twice(live: &Live) -> Option<Change> {
        assert!(live.look().is_none(), "taken at once");
        live.look()
    }

    #[test]
    fn a_new_file_holds_for_who_asks_then() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.toml");
        let live = live(&path, DENY_ALL);
        let before = live.policy();
        assert!(live.look().is_none());
        fs::write(&path, DENY_RM).unwrap();
        assert!(matches!(twice(&live), Some(Change::Replaced(_))));
        assert!(live.look().is_none());
        assert!(live.policy().lists("ls") && !live.policy().lists("rm"));
        assert!(!before.lists("ls"), "who took the old one keeps it");
    }

    #[test]
    fn a_broken_file_changes_nothing_and_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.toml");
        let live = live(&path, DENY_RM);
        for broken in ["default = 'allw'", "[[tools]]", "default = ", "\u{0}"] {
            fs::write(&path, broken).unwrap();
            let Some(Change::Refused(error)) = twice(&live) else { panic!("{broken}: taken") };
            assert!(error.render(false).starts_with("error"), "{broken}");
            assert!(live.look().is_none(), "{broken}: told twice");
            assert!(!live.policy().lists("rm"), "{broken}");
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(twice(&live), Some(Change::Refused(ConfigError::Read { .. }))));
        assert!(live.look().is_none());
        assert!(!live.policy().lists("rm"));
        fs::write(&path, DENY_ALL).unwrap();
        assert!(matches!(twice(&live), Some(Change::Replaced(_))));
        assert!(!live.policy().lists("ls"));
    }

    #[test]
    fn the_users_own_file_may_come_but_not_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stockade.toml");
        let (search, flags) = (Search::Own(Some(path.clone())), Flags::default());
        let resolved = Resolved::read(&search, &flags).unwrap();
        let live = Live::new(search, flags, &resolved);
        assert!(live.policy().lists("ls"));
        fs::write(&path, DENY_ALL).unwrap();
        assert!(matches!(twice(&live), Some(Change::Replaced(_))));
        fs::remove_file(&path).unwrap();
        assert!(matches!(twice(&live), Some(Change::Refused(_))));
        assert!(!live.policy().lists("ls"));
    }

    #[test]
    fn a_file_that_is_being_written_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.toml");
        let live = live(&path, DENY_RM);
        for part in ["", "default = 'allow'", "", "default = 'allow'\n"] {
            fs::write(&path, part).unwrap();
            assert!(live.look().is_none());
        }
        fs::write(&path, DENY_RM).unwrap();
        assert!(twice(&live).is_none());
        assert!(!live.policy().lists("rm"));
    }

    /// Every policy that anybody sees is one of the two, whole.
    #[test]
    fn nobody_sees_half_a_policy() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.toml");
        let live = live(&path, DENY_ALL);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                for _ in 0..20_000 {
                    let policy = live.policy();
                    let rules = policy.tools.rules.len();
                    assert_eq!(policy.lists("ls"), rules == 1);
                }
            });
            for n in 0..50 {
                let next = directory.path().join("next");
                fs::write(&next, [DENY_RM, DENY_ALL][n % 2]).unwrap();
                fs::rename(&next, &path).unwrap();
                assert!(matches!(twice(&live), Some(Change::Replaced(_))));
            }
            reader.join().unwrap();
        });
    }
}
