//! The index: what the segments say, in SQLite, so that a question does not read them all. A cache
//! only: brought up to date by each query, never by a write, and made anew when it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction, TransactionBehavior};
use serde_json::value::RawValue;

use crate::chain::Envelope;
use crate::clock;
use crate::error::Error;
use crate::files::{self, Dir, Line, Lines, Name};
use crate::read::Record;

/// Raised whenever the tables change; an index of another version is made anew.
const VERSION: i64 = 2;

/// How long to wait for another process that brings the index up to date.
const BUSY_WAIT: Duration = Duration::from_secs(30);

const TABLES: &str = "
    CREATE TABLE segments (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
        inode INTEGER NOT NULL, bytes INTEGER NOT NULL, damaged INTEGER NOT NULL
    );
    CREATE TABLE records (
        at TEXT NOT NULL, segment INTEGER NOT NULL, seq INTEGER NOT NULL, byte INTEGER NOT NULL,
        kind TEXT, session TEXT, call TEXT, server TEXT, client TEXT, principal TEXT,
        tool TEXT, method TEXT, decision TEXT, rule TEXT, would TEXT
    );
    CREATE INDEX records_by_time ON records (at, segment, seq);
    CREATE INDEX records_by_session ON records (session, at);
    CREATE INDEX records_by_call ON records (call);
";

/// Whether a record is a decision about a call that has no outcome.
const OPEN: &str = "(records.kind IS 'decision' AND records.call IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM records AS ends WHERE ends.call = records.call
    AND ends.session IS records.session AND ends.kind = 'outcome'))";

/// What stands for whatever there is.
const ANY: &str = "any";

/// Which records to find. What is `None` does not matter; the others must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// What kind of record.
    pub kind: Option<String>,
    /// The session it belongs to.
    pub session: Option<String>,
    /// The call it belongs to.
    pub call: Option<String>,
    /// The server.
    pub server: Option<String>,
    /// The client.
    pub client: Option<String>,
    /// On whose behalf.
    pub principal: Option<String>,
    /// The tool.
    pub tool: Option<String>,
    /// The JSON-RPC method.
    pub method: Option<String>,
    /// What was decided.
    pub decision: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// What would have been done, of a policy in shadow; `any`, whatever that is.
    pub would: Option<String>,
    /// At this time or later.
    pub since: Option<SystemTime>,
    /// Before this time.
    pub until: Option<SystemTime>,
    /// A text that is somewhere in the record, whatever the case of ASCII letters.
    pub text: Option<String>,
    /// Only decisions about calls that have no outcome: they are under way, or the process that
    /// wrote them was killed.
    pub open: bool,
    /// At most this many, the newest; all of them when `None`.
    pub limit: Option<usize>,
}

/// What a query found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The records, newest first.
    pub records: Vec<Record>,
    /// Which of them, by their place, are decisions about calls that have no outcome.
    pub open: BTreeSet<usize>,
    /// How many lines of the ledger could not be read as records; `verify` says what is wrong.
    pub damaged: u64,
}

/// Finds records, newest first.
pub fn query(dir: impl AsRef<Path>, filter: &Filter) -> Result<Found, Error> {
    let dir = Dir::existing(dir.as_ref())?;
    match Index::open(&dir).and_then(|mut it| it.find(filter)) {
        Err(error) if is_spoilt(&error) => {
            discard(&dir)?;
            Index::open(&dir)?.find(filter)
        }
        found => found,
    }
}

/// Whether only a new index helps: SQLite cannot read the file, or a segment was changed since, and
/// no longer has its records where the index says.
fn is_spoilt(error: &Error) -> bool {
    if let Error::Index { source, .. } = error {
        return matches!(
            source.sqlite_error_code(),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
        );
    }
    matches!(error, Error::Damaged { .. })
}

fn discard(dir: &Dir) -> Result<(), Error> {
    let path = dir.index();
    fs::remove_file(&path).map_err(|source| files::write_failed(&path, source))
}

struct Index<'a> {
    dir: &'a Dir,
    db: Connection,
}

/// A segment as the index knows it.
struct Known {
    id: i64,
    inode: i64,
    bytes: u64,
}

/// What becomes a column, in the order of the table.
const COLUMNS: [&str; 11] = [
    "kind",
    "session",
    "call",
    "server",
    "client",
    "principal",
    "tool",
    "method",
    "decision",
    "rule",
    "would",
];

impl<'a> Index<'a> {
    fn open(dir: &'a Dir) -> Result<Self, Error> {
        let path = dir.index();
        let mut options = files::options();
        // SQLite gives its other files the mode of this one.
        files::open(&path, options.read(true).write(true).create(true))?;
        let opened = Connection::open(&path).and_then(|mut db| {
            db.busy_timeout(BUSY_WAIT)?;
            // What a power failure breaks is made anew.
            db.pragma_update(None, "synchronous", "OFF")?;
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let version: i64 = tx.pragma_query_value(None, "user_version", |it| it.get(0))?;
            if version != VERSION {
                tx.execute_batch("DROP TABLE IF EXISTS records; DROP TABLE IF EXISTS segments;")?;
                tx.execute_batch(TABLES)?;
                tx.pragma_update(None, "user_version", VERSION)?;
            }
            tx.commit()?;
            Ok(db)
        });
        let db = opened.map_err(|source| Error::Index { path, source })?;
        Ok(Self { dir, db })
    }

    fn find(&mut self, filter: &Filter) -> Result<Found, Error> {
        self.catch_up()?;
        let (sql, values) = select(filter);
        let mut found =
            Found { damaged: self.damaged().map_err(|it| self.failed(it))?, ..Found::default() };
        let needle = filter.text.as_deref().map(escaped);
        let limit = filter.limit.unwrap_or(usize::MAX);
        let mut statement = self.db.prepare(&sql).map_err(|it| self.failed(it))?;
        let mut rows =
            statement.query(rusqlite::params_from_iter(values)).map_err(|it| self.failed(it))?;
        let mut lines: Option<(Name, Lines)> = None;
        while found.records.len() < limit
            && let Some(row) = rows.next().map_err(|it| self.failed(it))?
        {
            let read = || Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            let read: rusqlite::Result<(String, i64, i64, bool)> = read();
            let (name, seq, byte, is_open) = read.map_err(|it| self.failed(it))?;
            let (seq, byte) = (seq.cast_unsigned(), byte.cast_unsigned());
            let damaged = || Error::Damaged { segment: name.clone(), byte };
            let name = Name::parse(&name).ok_or_else(damaged)?;
            let (_, source) = match &mut lines {
                Some(open) if open.0 == name => open,
                other => match Lines::open(self.dir.segment(&name)) {
                    Ok(lines) => other.insert((name.clone(), lines)),
                    Err(error) if error.is_not_found() => continue,
                    Err(error) => return Err(error),
                },
            };
            source.seek(byte)?;
            let record = match source.next()? {
                Some(Line::Whole(line)) => Record::read(&name, line),
                Some(Line::Rest) | None => None,
            };
            // A segment that was changed after it was indexed no longer has its records there.
            let record = record.filter(|it| it.seq == seq).ok_or_else(damaged)?;
            let holds = |it: &String| record.json.to_ascii_lowercase().contains(it);
            if needle.as_ref().is_none_or(holds) {
                if is_open {
                    found.open.insert(found.records.len());
                }
                found.records.push(record);
            }
        }
        Ok(found)
    }

    fn damaged(&self) -> rusqlite::Result<u64> {
        self.db.query_row("SELECT ifnull(sum(damaged), 0) FROM segments", [], |it| {
            it.get(0).map(i64::cast_unsigned)
        })
    }

    /// Reads what the segments have got since the last time.
    fn catch_up(&mut self) -> Result<(), Error> {
        let path = self.dir.index();
        let failed = |source| Error::Index { path: path.clone(), source };
        let tx =
            self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let mut present = Vec::new();
        for name in self.dir.segments()? {
            match Lines::open(self.dir.segment(&name)) {
                Ok(lines) => read_on(&tx, &name, lines, &failed)?,
                // No longer kept: it has gone since the directory was read.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            }
            present.push(name);
        }
        forget_others(&tx, &present).map_err(failed)?;
        tx.commit().map_err(failed)
    }

    fn failed(&self, source: rusqlite::Error) -> Error {
        let path = self.dir.index();
        Error::Index { path, source }
    }
}

/// Indexes one segment from where the index left it; from the start if it is another file now.
fn read_on(
    tx: &Transaction<'_>,
    name: &Name,
    mut lines: Lines,
    failed: &impl Fn(rusqlite::Error) -> Error,
) -> Result<(), Error> {
    let meta = lines.file().metadata();
    let meta = meta.map_err(|source| files::read_failed(Path::new(name.as_str()), source))?;
    let inode = meta.ino().cast_signed();
    let known = known(tx, name).map_err(failed)?;
    let known = match known {
        Some(known) if known.inode == inode && known.bytes == meta.len() => return Ok(()),
        Some(known) if known.inode == inode && known.bytes < meta.len() => known,
        Some(known) => {
            forget(tx, known.id).map_err(failed)?;
            begin(tx, name, inode).map_err(failed)?
        }
        None => begin(tx, name, inode).map_err(failed)?,
    };
    lines.seek(known.bytes)?;
    let mut insert = tx
        .prepare_cached(
            "INSERT INTO records VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
        )
        .map_err(failed)?;
    let mut damaged = 0_u64;
    loop {
        let byte = lines.byte();
        let Some(Line::Whole(line)) = lines.next()? else {
            break;
        };
        let fields = serde_json::from_slice::<BTreeMap<String, &RawValue>>(line).ok();
        let Some((envelope, fields)) = Envelope::read(line).zip(fields) else {
            damaged += 1;
            continue;
        };
        let mut values = vec![
            Value::Text(envelope.at.into_owned()),
            Value::Integer(known.id),
            Value::Integer(envelope.seq.cast_signed()),
            Value::Integer(byte.cast_signed()),
        ];
        let columns = COLUMNS.iter().map(|it| fields.get(*it));
        values.extend(columns.map(|it| it.map_or(Value::Null, |it| column(it))));
        insert.execute(rusqlite::params_from_iter(values)).map_err(failed)?;
    }
    tx.execute(
        "UPDATE segments SET bytes = ?2, damaged = damaged + ?3 WHERE id = ?1",
        (known.id, lines.byte().cast_signed(), damaged.cast_signed()),
    )
    .map_err(failed)?;
    Ok(())
}

fn known(tx: &Transaction<'_>, name: &Name) -> rusqlite::Result<Option<Known>> {
    tx.prepare_cached("SELECT id, inode, bytes FROM segments WHERE name = ?1")?
        .query_row([name.as_str()], |row| {
            Ok(Known {
                id: row.get(0)?,
                inode: row.get(1)?,
                bytes: row.get::<_, i64>(2)?.cast_unsigned(),
            })
        })
        .optional()
}

fn begin(tx: &Transaction<'_>, name: &Name, inode: i64) -> rusqlite::Result<Known> {
    tx.execute(
        "INSERT INTO segments (name, inode, bytes, damaged) VALUES (?1, ?2, 0, 0)",
        (name.as_str(), inode),
    )?;
    Ok(Known { id: tx.last_insert_rowid(), inode, bytes: 0 })
}

fn forget(tx: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM records WHERE segment = ?1", [id])?;
    tx.execute("DELETE FROM segments WHERE id = ?1", [id])?;
    Ok(())
}

/// Forgets the segments that are gone.
fn forget_others(tx: &Transaction<'_>, present: &[Name]) -> rusqlite::Result<()> {
    let mut statement = tx.prepare("SELECT id, name FROM segments")?;
    let known = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
    for (id, name) in known {
        if present.binary_search_by(|it| it.as_str().cmp(&name)).is_err() {
            forget(tx, id)?;
        }
    }
    Ok(())
}

/// A string as it is, a number or a boolean as it is written; what has parts is not a column.
fn column(raw: &RawValue) -> Value {
    match serde_json::from_str(raw.get()) {
        Ok(serde_json::Value::String(text)) => Value::Text(text),
        Ok(serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
            Value::Text(raw.get().to_owned())
        }
        Ok(
            serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_),
        )
        | Err(_) => Value::Null,
    }
}

/// The question in SQL. Only names that are written here become part of it; what the user asked for
/// is bound.
fn select(filter: &Filter) -> (String, Vec<Value>) {
    let time = |it: SystemTime| clock::text(clock::ms(it));
    let conditions = [
        ("kind =", filter.kind.clone()),
        ("session =", filter.session.clone()),
        ("call =", filter.call.clone()),
        ("server =", filter.server.clone()),
        ("client =", filter.client.clone()),
        ("principal =", filter.principal.clone()),
        ("tool =", filter.tool.clone()),
        ("method =", filter.method.clone()),
        ("decision =", filter.decision.clone()),
        ("rule =", filter.rule.clone()),
        ("at >=", filter.since.map(time)),
        ("at <", filter.until.map(time)),
        ("would =", filter.would.clone().filter(|it| it != ANY)),
    ];
    let mut sql = format!(
        "SELECT name, seq, byte, {OPEN} FROM records \
         JOIN segments ON segments.id = records.segment WHERE TRUE"
    );
    let mut values = Vec::new();
    for (condition, value) in conditions {
        if let Some(value) = value {
            sql.push_str(" AND ");
            sql.push_str(condition);
            sql.push_str(" ?");
            values.push(Value::Text(value));
        }
    }
    if filter.open {
        sql.push_str(" AND ");
        sql.push_str(OPEN);
    }
    if filter.would.as_deref() == Some(ANY) {
        sql.push_str(" AND would IS NOT NULL");
    }
    sql.push_str(" ORDER BY at DESC, segment DESC, seq DESC");
    (sql, values)
}

/// A text as it stands within a JSON string, in lower case.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let inside = quoted.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    inside.unwrap_or(text).to_ascii_lowercase()
}
