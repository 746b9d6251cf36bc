//! What one SQL statement does, read by a parser of its dialect.
//!
//! That a text starts with `SELECT`, or has none of a list of words in it, says nothing: `SELECT 1;
//! DROP …`, `WITH … DELETE`, `/**/DELETE`, `SELECT … INTO`, `SELECT setval(…)`. So a text is parsed
//! whole, there is one statement in it, and everything that the statement names is looked at. What
//! does not parse, and what two databases would read differently, is refused. Functions are a list
//! of those that read, since nobody can list those that write.
//!
//! It is a check, not an enforcement: a view, a trigger or an operator of the database's own may
//! call whatever it likes. Beside it belongs a handle that cannot write, as in `servers/hardened`:
//! a read-only connection and an authorizer, or a role without rights.

mod beyond;
mod catalog;
mod clauses;
mod effort;
mod functions;
mod lexical;
mod literal;
mod loss;
mod name;
mod number;
mod outside;
mod survey;

use std::collections::BTreeSet;
use std::fmt;

use sqlparser::dialect::{
    BigQueryDialect, ClickHouseDialect, DuckDbDialect, MsSqlDialect, MySqlDialect,
    PostgreSqlDialect, SQLiteDialect, SnowflakeDialect,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use thiserror::Error;

use lexical::Lexed;
use survey::Survey;

pub use effort::Effort;
pub use literal::{Breakout, breaks_out, breaks_out_within};
pub use loss::Loss;
pub use number::{exceeds_number, exceeds_number_within};

/// Whose SQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// DuckDB.
    DuckDb,
    /// SQL Server.
    MsSql,
    /// BigQuery.
    BigQuery,
    /// ClickHouse.
    ClickHouse,
    /// Snowflake.
    Snowflake,
    /// One of the above, and it is not known which: for a guard in front of somebody else's server.
    /// What the first four read differently is refused, and a statement has to be harmless in each
    /// dialect that it is a statement of.
    Unknown,
}

/// What a statement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `SELECT`, `VALUES`.
    Read,
    /// `EXPLAIN`, `DESCRIBE`.
    Explain,
    /// `SHOW`.
    Show,
    /// `PRAGMA`.
    Pragma,
    /// `INSERT`, `REPLACE`.
    Insert,
    /// `UPDATE`.
    Update,
    /// `DELETE`.
    Delete,
    /// `MERGE`.
    Merge,
    /// `COPY`, `LOAD DATA`, `UNLOAD`: between tables and files or programs.
    Copy,
    /// `ATTACH`, `DETACH`: other files as databases.
    Attach,
    /// `CALL`, `EXECUTE`: what was written elsewhere.
    Call,
    /// `SET`, `RESET`, `USE`, `PREPARE`: what later statements mean.
    Session,
    /// `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT`.
    Transaction,
    /// `LOCK`.
    Lock,
    /// `CREATE`, `ALTER`, `DROP`, `TRUNCATE`, `GRANT`, `VACUUM` and whatever else there is.
    Change,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Read => "a query",
            Self::Explain => "an `EXPLAIN`",
            Self::Show => "a `SHOW`",
            Self::Pragma => "a `PRAGMA`",
            Self::Insert => "an `INSERT`",
            Self::Update => "an `UPDATE`",
            Self::Delete => "a `DELETE`",
            Self::Merge => "a `MERGE`",
            Self::Copy => "a `COPY`",
            Self::Attach => "an `ATTACH`",
            Self::Call => "a `CALL`",
            Self::Session => "a statement about the session",
            Self::Transaction => "a statement about transactions",
            Self::Lock => "a `LOCK`",
            Self::Change => "a statement that changes the database",
        })
    }
}

/// Why a text is not taken for a statement, or a statement not for one that reads.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is nothing in it.
    #[error("there is no statement")]
    Empty,
    /// It is longer, or made of more parts, than is looked at.
    #[error("the statement is too long")]
    TooLong,
    /// So much was read already, of this and of others, that no more is.
    #[error("there is more SQL than is looked at")]
    TooMuch,
    /// It has a NUL, where C programs stop reading, or another control character.
    #[error("the statement contains a control character")]
    Control,
    /// It has a character that looks like a space or a quote, and is none to every database.
    #[error("the statement contains {0:?} outside of a text")]
    Lookalike(char),
    /// Databases would not agree about where a text, a name or a comment ends.
    #[error("databases read this differently: {0}")]
    Ambiguous(&'static str),
    /// There is more than one statement in it.
    #[error("there is more than one statement")]
    Stacked,
    /// It is no statement of this dialect, or none that the parser knows.
    #[error("the statement cannot be parsed")]
    Unparsable,
    /// It is a statement, or has one in it, that does not read.
    #[error("it is {0}, or has one in it")]
    Writes(Kind),
    /// It writes its result into a table, a variable or a file.
    #[error("it selects into something")]
    Into,
    /// It locks the rows that it reads.
    #[error("it locks what it reads")]
    Locks,
    /// It uses a function that is not known to only read.
    #[error("the function `{0}` is not known to only read")]
    Function(String),
    /// It uses an operator that somebody has defined, or an assignment.
    #[error("it uses an operator that is not known to only read")]
    Operator,
    /// It reads a file as if it were a table.
    #[error("`{0}` is a file, and no table")]
    File(String),
    /// It reads what accounts log in by.
    #[error("`{0}` has what accounts log in by")]
    Accounts(String),
    /// It changes a table that the database keeps about itself.
    #[error("`{0}` is what the database knows of itself")]
    System(String),
    /// Its table is kept in a place of its own, in another database, or on another server.
    #[error("`{0}` is, or makes, a table that is kept elsewhere")]
    Elsewhere(String),
    /// A pragma that is not known to only read, or a value for one.
    #[error("the pragma `{0}` is not known to only read")]
    Pragma(String),
    /// A clause that is not of this dialect, or an option that changes how the statement is run.
    #[error("it has a clause that is not known to only read")]
    Clause,
}

/// One statement, and what it does.
///
/// ```
/// use stockade_kit::query::{Dialect, Kind, Query, Refusal};
///
/// let query = Query::parse(Dialect::Postgres, "SELECT name FROM users WHERE id = $1")?;
/// assert_eq!(query.kind(), Kind::Read);
/// assert!(query.reads().eq(["users"]));
/// assert_eq!(query.read_only()?.sql(), "SELECT name FROM users WHERE id = $1");
///
/// let hidden = "WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone";
/// let hidden = Query::parse(Dialect::Postgres, hidden)?;
/// assert!(hidden.writes().eq(["users"]));
/// assert_eq!(hidden.read_only().unwrap_err(), Refusal::Writes(Kind::Delete));
///
/// let stacked = Query::parse(Dialect::Sqlite, "SELECT 1; DROP TABLE users");
/// assert_eq!(stacked.unwrap_err(), Refusal::Stacked);
/// # Ok::<(), Refusal>(())
/// ```
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    kind: Kind,
    reads: BTreeSet<String>,
    writes: BTreeSet<String>,
    functions: BTreeSet<String>,
    /// The things by which it does more than read, in the order in which they were seen.
    obstacles: Vec<Refusal>,
    loss: Option<Loss>,
    /// Its words, without comments.
    plain: String,
}

/// A statement that only reads, as far as its text says. Only [`Query::read_only`] makes one, so a
/// function that takes it cannot be called with a text that nobody has looked at.
#[derive(Clone, Debug)]
pub struct ReadOnly(Query);

impl Query {
    /// Reads a text that must be one statement.
    pub fn parse(dialect: Dialect, sql: &str) -> Result<Self, Refusal> {
        Self::parse_within(dialect, sql, &Effort::default())
    }

    /// The same, for as long as the effort lasts.
    pub fn parse_within(dialect: Dialect, sql: &str, effort: &Effort) -> Result<Self, Refusal> {
        let mut statements = read(dialect, sql, Count::One, effort)?.into_iter();
        let first = statements.next().ok_or(Refusal::Empty)?;
        Ok(Self { text: sql.to_owned(), ..first })
    }

    /// Reads a text of statements, one after the other: a script, or a migration. Of each its words
    /// are kept, without comments.
    pub fn parse_all(dialect: Dialect, sql: &str) -> Result<Vec<Self>, Refusal> {
        Self::parse_all_within(dialect, sql, &Effort::default())
    }

    /// The same, for as long as the effort lasts.
    pub fn parse_all_within(
        dialect: Dialect,
        sql: &str,
        effort: &Effort,
    ) -> Result<Vec<Self>, Refusal> {
        let statements = read(dialect, sql, Count::Any, effort)?.into_iter();
        Ok(statements.map(|it| Self { text: it.plain.clone(), ..it }).collect())
    }

    /// The statement as it came.
    pub fn sql(&self) -> &str {
        &self.text
    }

    /// What it is for. A query with an `INSERT` in it is an `INSERT`.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The tables and views that it names, wherever; not those that it defines itself with `WITH`.
    /// What is not quoted is in lower case, as are all names of SQLite and MySQL.
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        self.reads.iter().map(String::as_str)
    }

    /// The tables and views that it changes. Where a statement changes something and it is not
    /// known what, all that it names.
    pub fn writes(&self) -> impl Iterator<Item = &str> {
        self.writes.iter().map(String::as_str)
    }

    /// The functions that it calls.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(String::as_str)
    }

    /// What it takes away for good, it or one in it.
    pub fn loss(&self) -> Option<Loss> {
        self.loss
    }

    /// The words of this statement, without comments, and one space between two; nothing of a pragma.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// Everything by which it does more than read its tables.
    pub fn obstacles(&self) -> &[Refusal] {
        &self.obstacles
    }

    /// This statement, if it only reads.
    pub fn read_only(self) -> Result<ReadOnly, Refusal> {
        match self.obstacles.first() {
            Some(obstacle) => Err(obstacle.clone()),
            None => Ok(ReadOnly(self)),
        }
    }

    /// The same text, read by another dialect.
    fn and(mut self, other: Self) -> Result<Self, Refusal> {
        if self.kind != other.kind {
            return Err(Refusal::Ambiguous("what kind of statement it is"));
        }
        self.reads.extend(other.reads);
        self.writes.extend(other.writes);
        self.functions.extend(other.functions);
        self.obstacles.extend(other.obstacles);
        self.loss = self.loss.or(other.loss);
        Ok(self)
    }
}

impl ReadOnly {
    /// The statement as it came.
    pub fn sql(&self) -> &str {
        self.0.sql()
    }

    /// What it is for, and what it names.
    pub fn query(&self) -> &Query {
        &self.0
    }
}

impl fmt::Display for ReadOnly {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.sql())
    }
}

/// How many statements a text may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    One,
    Any,
}

/// Those that are to agree about what is not known.
const KNOWN: [Dialect; 4] = [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql, Dialect::DuckDb];
/// Those that are asked about what is a statement of none of them.
const OTHERS: [Dialect; 4] =
    [Dialect::MsSql, Dialect::BigQuery, Dialect::ClickHouse, Dialect::Snowflake];

/// What parses a dialect. Nothing is left to a generic one, which takes the words of all of them.
fn of(dialect: Dialect) -> &'static dyn sqlparser::dialect::Dialect {
    match dialect {
        Dialect::Sqlite => &SQLiteDialect {},
        Dialect::Postgres | Dialect::Unknown => &PostgreSqlDialect {},
        Dialect::MySql => &MySqlDialect {},
        Dialect::DuckDb => &DuckDbDialect {},
        Dialect::MsSql => &MsSqlDialect {},
        Dialect::BigQuery => &BigQueryDialect {},
        Dialect::ClickHouse => &ClickHouseDialect {},
        Dialect::Snowflake => &SnowflakeDialect,
    }
}

/// What is behind `SET NOCOUNT ON;`, by which SQL Server leaves out how many rows there were.
fn without_nocount(sql: &str) -> &str {
    let (mut rest, words) = (sql.trim_start(), ["set", "nocount", "on"]);
    for word in words {
        let Some((head, tail)) = rest.split_at_checked(word.len()) else { return sql };
        let ends = tail.starts_with(|it: char| it.is_whitespace() || it == ';');
        if !head.eq_ignore_ascii_case(word) || !ends {
            return sql;
        }
        rest = tail.trim_start();
    }
    rest.strip_prefix(';').unwrap_or(sql)
}

fn read(dialect: Dialect, sql: &str, count: Count, effort: &Effort) -> Result<Vec<Query>, Refusal> {
    let sql = if dialect == Dialect::MsSql { without_nocount(sql) } else { sql };
    let dialects = if dialect == Dialect::Unknown { KNOWN.len() + OTHERS.len() } else { 1 };
    // What is too long is not looked at.
    effort.spend(if sql.len() > lexical::BYTES_MAX { 0 } else { sql.len() * dialects })?;
    if dialect != Dialect::Unknown {
        let lexed = lexical::lex(dialect, of(dialect), sql, count)?;
        return parsed(dialect, dialect, &lexed, sql, count);
    }
    let has_plain_names = lexical::has_plain_backticks(sql);
    let mut lexed = Vec::new();
    for dialect in KNOWN {
        match lexical::lex(Dialect::Unknown, of(dialect), sql, count) {
            // To those that do not know it, it is no quote, and not much of anything.
            Err(Refusal::Lookalike('`')) if has_plain_names => {}
            other => lexed.push((dialect, other?)),
        }
    }
    if lexed.windows(2).any(|pair| matches!(pair, [a, b] if !a.1.agrees(&b.1))) {
        return Err(Refusal::Ambiguous("texts and quoted names"));
    }
    let mut found: Option<Vec<Query>> = None;
    for (dialect, lexed) in &lexed {
        let read = match parsed(Dialect::Unknown, *dialect, lexed, sql, count) {
            Ok(read) => read,
            Err(Refusal::TooLong) => return Err(Refusal::TooLong),
            Err(_) => continue,
        };
        found = Some(match found {
            Some(before) => together(before, read)?,
            None => read,
        });
    }
    let first = lexed.into_iter().next();
    for dialect in OTHERS {
        if found.is_none()
            && let Ok(lexed) = lexical::lex(Dialect::Unknown, of(dialect), sql, count)
            && first.as_ref().is_some_and(|it| it.1.agrees(&lexed))
        {
            found = parsed(Dialect::Unknown, dialect, &lexed, sql, count).ok();
        }
    }
    found.ok_or(Refusal::Unparsable)
}

/// The same text, read by two dialects.
fn together(before: Vec<Query>, read: Vec<Query>) -> Result<Vec<Query>, Refusal> {
    if before.len() != read.len() {
        return Err(Refusal::Ambiguous("how many statements there are"));
    }
    before.into_iter().zip(read).map(|(before, read)| before.and(read)).collect()
}

/// Reads by the grammar of `dialect`, strictly enough for `meant`.
fn parsed(
    meant: Dialect,
    dialect: Dialect,
    lexed: &Lexed,
    sql: &str,
    count: Count,
) -> Result<Vec<Query>, Refusal> {
    if let Some(pragma) = lexed.pragma() {
        return match dialect {
            Dialect::Sqlite | Dialect::DuckDb => Ok(vec![pragma?.query()]),
            Dialect::Postgres
            | Dialect::MySql
            | Dialect::MsSql
            | Dialect::BigQuery
            | Dialect::ClickHouse
            | Dialect::Snowflake
            | Dialect::Unknown => Err(Refusal::Unparsable),
        };
    }
    let mut parser = Parser::new(of(dialect)).with_recursion_limit(DEPTH_MAX);
    parser = parser.try_with_sql(sql).map_err(|_| Refusal::Unparsable)?;
    let statements = parser.parse_statements().map_err(|_| Refusal::Unparsable)?;
    // The parser reads no further than to an `END`, whatever is behind it.
    if parser.peek_token_ref().token != Token::EOF {
        return Err(Refusal::Unparsable);
    }
    if statements.len() > 1 && count == Count::One {
        return Err(Refusal::Stacked);
    }
    let elsewhere = lexed.elsewhere();
    let openings = lexed.openings();
    let plain: Vec<String> = lexed.statements().collect();
    if plain.len() != statements.len() {
        // A body of statements is one to a parser, and several to whoever looks for their ends.
        return Err(Refusal::Unparsable);
    }
    let of = |(it, plain)| {
        let mut query = Query { plain, ..Survey::of(meant, dialect, it, &openings) };
        query.obstacles.extend(elsewhere.clone().filter(|_| query.kind == Kind::Change));
        query
    };
    Ok(statements.iter().zip(plain).map(of).collect())
}

/// How deep a statement may be. Each level is many calls of the parser, and the stack is that of
/// whoever asks.
const DEPTH_MAX: usize = 16;
