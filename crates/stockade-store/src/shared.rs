//! What all guards of one state directory remember together, of each person: what was spent, what
//! was noted of it, and a text of its own. In SQLite, since many processes read and write it at once
//! and none may lose what another wrote.
//!
//! It is no part of the ledger and proves nothing. What was written is there after a process was
//! killed; after a power failure the last of it may not be.

use std::convert::Infallible;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use crate::clock;
use crate::error::Error;
use crate::files::{self, Identity};

/// How long to wait for another process that writes, which takes microseconds.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// Raised whenever there are more tables. A file of before gets those that it does not have.
const VERSION: i64 = 2;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS spent (
        who TEXT NOT NULL, what TEXT NOT NULL, since INTEGER NOT NULL, used INTEGER NOT NULL,
        PRIMARY KEY (who, what)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS noted (
        who TEXT NOT NULL, what TEXT NOT NULL, by TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (who, what)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS tokens (who TEXT PRIMARY KEY, token TEXT NOT NULL) WITHOUT ROWID;
";

/// The file, opened when it is first needed: most guards have nothing to remember.
#[derive(Debug)]
pub struct Shared {
    dir: PathBuf,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    /// To see whether the file is still there.
    identity: Identity,
}

/// Something that is spent.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// What it is counted under.
    pub what: &'a str,
    /// In what time, in seconds. It begins with the first that is spent.
    pub period_s: u64,
    /// How much.
    pub amount: u64,
    /// How much there may be in that time. Without, as much as there is.
    pub max: Option<u64>,
}

/// There would be too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// Of which, by its place.
    pub charge: usize,
    /// How much was spent before.
    pub used: u64,
    /// When its time is over, in milliseconds.
    pub retry_ms: u64,
}

impl Shared {
    /// What is remembered in `dir`. Nothing is opened or made yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), open: Mutex::default() }
    }

    /// Spends all of it for `who`, or says of which there would be too much and spends nothing.
    ///
    /// # Errors
    /// When the file cannot be opened, read or written.
    pub fn spend(&self, who: &str, charges: &[Charge<'_>]) -> Result<Option<Over>, Error> {
        self.spend_at(who, charges, clock::now_ms())
    }

    fn spend_at(
        &self,
        who: &str,
        charges: &[Charge<'_>],
        now_ms: u64,
    ) -> Result<Option<Over>, Error> {
        self.change(|transaction| {
            let mut read = transaction
                .prepare_cached("SELECT since, used FROM spent WHERE who = ?1 AND what = ?2")?;
            let mut write = transaction.prepare_cached(
                "INSERT INTO spent VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET since = ?3, used = ?4",
            )?;
            for (place, charge) in charges.iter().enumerate() {
                let found = read
                    .query_row((who, charge.what), |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                let period_ms = charge.period_s.saturating_mul(1000);
                let (since, used) = match found.map(|(since, used)| (natural(since), natural(used)))
                {
                    // A clock that was put back gives nobody what was spent already.
                    Some((since, used)) if since > now_ms => (now_ms, used),
                    Some((since, used)) if now_ms - since < period_ms => (since, used),
                    _ => (now_ms, 0),
                };
                let sum = used.saturating_add(charge.amount);
                if charge.max.is_some_and(|max| sum > max) {
                    let retry_ms = period_ms.saturating_sub(now_ms.saturating_sub(since));
                    return Ok(Err(Over { charge: place, used, retry_ms }));
                }
                write.execute((who, charge.what, integer(since), integer(sum)))?;
            }
            Ok(Ok(()))
        })
    }

    /// Notes something of `who`, and by what it is so.
    ///
    /// # Errors
    /// When the file cannot be opened, read or written.
    pub fn note(&self, who: &str, what: &str, by: &str) -> Result<(), Error> {
        let noted = self.change(|transaction| {
            let mut write = transaction.prepare_cached(
                "INSERT INTO noted VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET by = ?3, at = ?4",
            )?;
            write.execute((who, what, by, integer(clock::now_ms())))?;
            Ok(Ok::<(), Infallible>(()))
        });
        noted.map(drop)
    }

    /// By what something was noted of `who`, within that time.
    ///
    /// # Errors
    /// When the file cannot be opened, read or written.
    pub fn noted(&self, who: &str, what: &str, within_s: u64) -> Result<Option<String>, Error> {
        let since = clock::now_ms().saturating_sub(within_s.saturating_mul(1000));
        self.change(|transaction| {
            let mut read = transaction
                .prepare_cached("SELECT by FROM noted WHERE who = ?1 AND what = ?2 AND at >= ?3")?;
            let by = read.query_row((who, what, integer(since)), |row| row.get(0)).optional()?;
            Ok(by.map_or(Ok(()), Err))
        })
    }

    /// Whether something is noted of `who` for the first time within that time. Of several who ask at
    /// once, one is told so. What is older is forgotten.
    ///
    /// # Errors
    /// When the file cannot be opened, read or written.
    pub fn first(&self, who: &str, what: &str, within_s: u64) -> Result<bool, Error> {
        self.first_at(who, what, within_s, clock::now_ms())
    }

    fn first_at(&self, who: &str, what: &str, within_s: u64, now_ms: u64) -> Result<bool, Error> {
        let since = now_ms.saturating_sub(within_s.saturating_mul(1000));
        let mut is_first = false;
        let noted = self.change(|transaction| {
            transaction
                .execute("DELETE FROM noted WHERE who = ?1 AND at < ?2", (who, integer(since)))?;
            let add = "INSERT OR IGNORE INTO noted VALUES (?1, ?2, '', ?3)";
            is_first = transaction.execute(add, (who, what, integer(now_ms)))? > 0;
            Ok(Ok::<(), Infallible>(()))
        });
        noted.map(|_| is_first)
    }

    /// A text that is nobody else's, and always the same.
    ///
    /// # Errors
    /// When the file cannot be opened, read or written, or there is no randomness.
    pub fn token(&self, who: &str) -> Result<String, Error> {
        let mut bytes = [0; 20];
        getrandom::fill(&mut bytes).map_err(Error::Random)?;
        // Letters alone, in pieces of five: it is nothing that looks like a key.
        let letters = bytes.iter().map(|it| char::from(b'a' + it % 26));
        let letters: Vec<char> = letters.collect();
        let pieces = letters.chunks(5).map(|it| it.iter().collect::<String>());
        let fresh = pieces.collect::<Vec<_>>().join("-");
        let mut token = String::new();
        let kept = self.change(|transaction| {
            transaction.execute("INSERT OR IGNORE INTO tokens VALUES (?1, ?2)", (who, &fresh))?;
            let read = "SELECT token FROM tokens WHERE who = ?1";
            token = transaction.query_row(read, [who], |row| row.get(0))?;
            Ok(Ok::<(), Infallible>(()))
        });
        kept.map(|_| token)
    }

    /// Does all of it in one piece, or nothing where it comes to an error of either kind.
    fn change<E>(
        &self,
        make: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Result<(), E>>,
    ) -> Result<Option<E>, Error> {
        let mut place = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { connection, identity } = match &mut *place {
            Some(it) => it,
            None => place.insert(self.open()?),
        };
        // What is written into a file that was taken away, nobody else knows of.
        identity.leads(&self.path())?;
        let failed = |source| Error::Shared { path: self.path(), source };
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        if let Err(refused) = make(&transaction).map_err(failed)? {
            return Ok(Some(refused));
        }
        transaction.commit().map_err(failed)?;
        Ok(None)
    }

    fn path(&self) -> PathBuf {
        self.dir.join("shared.sqlite")
    }

    fn open(&self) -> Result<Open, Error> {
        let path = self.path();
        let open = |source| files::open_failed(&self.dir, source);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(open)?;
        let meta = std::fs::metadata(&self.dir).map_err(open)?;
        files::private(&self.dir, &meta)?;
        // SQLite would make it with the modes of other files, and gives its log those of this one.
        let file = files::open(&path, files::options().append(true).create(true))?;
        let identity = files::identity(&path, &file)?;
        // Closed later, it would take the locks of SQLite with it (POSIX, `fcntl`).
        drop(file);
        let failed = |source| Error::Shared { path: path.clone(), source };
        let connect = || -> rusqlite::Result<Connection> {
            let mut connection = Connection::open(&path)?;
            connection.busy_timeout(BUSY_WAIT)?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "normal")?;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let version: i64 =
                transaction.pragma_query_value(None, "user_version", |it| it.get(0))?;
            if version < VERSION {
                transaction.execute_batch(TABLES)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            transaction.commit()?;
            Ok(connection)
        };
        let until = Instant::now() + BUSY_WAIT;
        loop {
            match connect() {
                // Before others have made it what it is, SQLite does not wait for them by itself.
                Err(error) if is_busy(&error) && Instant::now() < until => {
                    thread::sleep(Duration::from_millis(2));
                }
                connected => {
                    return Ok(Open { connection: connected.map_err(failed)?, identity });
                }
            }
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}

/// SQLite has no numbers without a sign. What is too large for it is far above what may be said.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn calls(max: u64) -> [Charge<'static>; 1] {
        [Charge { what: "calls", period_s: 3600, amount: 1, max: Some(max) }]
    }

    #[test]
    fn what_was_spent_is_remembered_until_its_time_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("shared");
        let spend = |now_ms| Shared::new(&place).spend_at("a", &calls(2), now_ms).unwrap();
        assert_eq!((spend(5), spend(6)), (None, None));
        let over = Some(Over { charge: 0, used: 2, retry_ms: HOUR_MS - 95 });
        assert_eq!(spend(100), over, "also by who opens it anew");
        let other = Shared::new(&place).spend_at("b", &calls(2), 100).unwrap();
        assert_eq!(other, None, "of each person by itself");
        assert_eq!(spend(HOUR_MS + 5), None);
    }

    #[test]
    fn what_was_taken_away_is_not_spent_from() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("shared");
        let shared = Shared::new(&place);
        assert_eq!(shared.spend("a", &calls(9)).unwrap(), None);
        std::fs::remove_dir_all(&place).unwrap();
        assert!(matches!(shared.spend("a", &calls(9)), Err(Error::Replaced { .. })));
        assert_eq!(Shared::new(&place).spend("a", &calls(9)).unwrap(), None, "made anew");
        assert!(matches!(shared.spend("a", &calls(9)), Err(Error::Replaced { .. })));
    }

    #[test]
    fn a_clock_that_is_put_back_gives_nothing_back() {
        let dir = tempfile::tempdir().unwrap();
        let shared = Shared::new(dir.path().join("shared"));
        let spend = |now_ms| shared.spend_at("a", &calls(1), now_ms).unwrap();
        assert_eq!(spend(10 * HOUR_MS), None);
        assert_eq!(spend(HOUR_MS).map(|it| it.retry_ms), Some(HOUR_MS));
        assert!(spend(2 * HOUR_MS - 1).is_some());
    }

    #[test]
    fn all_of_it_is_spent_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let shared = Shared::new(dir.path().join("shared"));
        let with = |what, max| Charge { what, period_s: 60, amount: 3, max };
        let both = [with("a", Some(10)), with("b", Some(4))];
        assert_eq!(shared.spend("p", &both).unwrap(), None);
        assert_eq!(shared.spend("p", &both).unwrap().map(|it| (it.charge, it.used)), Some((1, 3)));
        assert_eq!(shared.spend("p", &[with("a", Some(6))]).unwrap(), None);
        assert_eq!(shared.spend("p", &[with("a", None)]).unwrap(), None, "as much as there is");
        assert_eq!(
            shared
                .spend("p", &[with("a", Some(20)), with("a", Some(14))])
                .unwrap()
                .map(|it| it.used),
            Some(12)
        );
    }

    #[test]
    fn thirty_two_at_once_spend_what_there_is_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("shared");
        let passed: usize = std::thread::scope(|scope| {
            let all: Vec<_> = (0..32)
                .map(|_| {
                    let shared = Shared::new(&place);
                    scope.spawn(move || {
                        let spend = || shared.spend("p", &calls(50)).unwrap().is_none();
                        (0..8).filter(|_| spend()).count()
                    })
                })
                .collect();
            all.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!(passed, 50);
    }

    #[test]
    fn what_was_noted_is_known_to_others_for_some_time() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("shared");
        Shared::new(&place).note("p", "private", "one").unwrap();
        Shared::new(&place).note("p", "private", "two").unwrap();
        let noted = |who, what, within| Shared::new(&place).noted(who, what, within).unwrap();
        assert_eq!(noted("p", "private", 600).as_deref(), Some("two"));
        assert_eq!(noted("p", "untrusted", 600).or(noted("q", "private", 600)), None);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(noted("p", "private", 0), None);
    }

    #[test]
    fn of_all_who_note_something_one_is_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("shared");
        let first = |what, now_ms| Shared::new(&place).first_at("p", what, 60, now_ms).unwrap();
        assert_eq!([first("a", 1000), first("b", 1000)], [true, true]);
        assert_eq!(
            [first("a", 60_999), first("a", 61_001), first("a", 61_002)],
            [false, true, false]
        );
        let firsts: usize = std::thread::scope(|scope| {
            let note = || usize::from(Shared::new(&place).first("q", "c", 60).unwrap());
            let all: Vec<_> = (0..16).map(|_| scope.spawn(note)).collect();
            all.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!(firsts, 1);
    }

    #[test]
    fn a_file_of_before_keeps_what_it_has_and_takes_more() {
        let dir = tempfile::tempdir().unwrap();
        let shared = || Shared::new(dir.path().join("shared"));
        assert_eq!(shared().spend("p", &calls(1)).unwrap(), None);
        let before = Connection::open(shared().path()).unwrap();
        let before =
            before.execute_batch("DROP TABLE noted; DROP TABLE tokens; PRAGMA user_version = 1");
        before.unwrap();
        shared().note("p", "private", "one").unwrap();
        assert!(shared().spend("p", &calls(1)).unwrap().is_some());
    }

    #[test]
    fn a_token_stays_and_is_of_one_person() {
        let dir = tempfile::tempdir().unwrap();
        let token = |who| Shared::new(dir.path().join("shared")).token(who).unwrap();
        let first = token("p");
        assert_eq!((first.len(), &first), (23, &token("p")));
        assert_ne!(first, token("q"));
    }

    #[test]
    fn what_cannot_be_read_spends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("shared");
        let shared = Shared::new(&place);
        assert_eq!(shared.spend("p", &calls(9)).unwrap(), None);
        drop(shared);
        for file in std::fs::read_dir(&place).unwrap() {
            std::fs::write(file.unwrap().path(), "not a database, and long enough for one")
                .unwrap();
        }
        assert!(Shared::new(&place).spend("p", &calls(9)).is_err());
    }
}
