//! The corpora of `query`: what is refused, what passes, and what real databases say about it.
#![cfg(feature = "sql")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "these are tests, which clippy.toml sees only inside of `#[test]`"
)]

#[path = "query/postgres.rs"]
mod postgres;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use proptest::prelude::*;
use rusqlite::Connection;
use stockade_kit::query::{Dialect, Kind, Query, ReadOnly, Refusal};

const ATTACKS: &str = include_str!("query/attacks.txt");
const LEGAL: &str = include_str!("query/legal.txt");

struct Line {
    dialect: Dialect,
    /// Whether databases read it differently.
    is_special: bool,
    sql: String,
}

fn lines(corpus: &str, out: &Path) -> Vec<Line> {
    let lines = corpus.lines().filter(|it| !it.is_empty() && !it.starts_with("# "));
    lines.map(|line| read(line, out)).collect()
}

fn read(line: &str, out: &Path) -> Line {
    let (head, sql) = line.split_once('|').unwrap_or_else(|| panic!("{line}"));
    let (name, is_special) = match head.trim().strip_suffix('!') {
        Some(name) => (name.trim(), true),
        None => (head.trim(), false),
    };
    let dialect = match name {
        "sqlite" => Dialect::Sqlite,
        "postgres" => Dialect::Postgres,
        "mysql" => Dialect::MySql,
        "duckdb" => Dialect::DuckDb,
        _ => panic!("{line}"),
    };
    let sql = unescape(sql.strip_prefix(' ').unwrap_or(sql));
    let sql = sql.replace("{out}", out.to_str().unwrap());
    Line { dialect, is_special, sql }
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(it) = rest.next() {
        if it != '\\' {
            plain.push(it);
            continue;
        }
        plain.push(match rest.next().unwrap() {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            '\\' => '\\',
            'u' => {
                let digits: String = rest.by_ref().skip(1).take_while(|it| *it != '}').collect();
                char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
            }
            other => panic!("{text}: \\{other}"),
        });
    }
    plain
}

fn cleared(dialect: Dialect, sql: &str) -> Result<ReadOnly, Refusal> {
    Query::parse(dialect, sql)?.read_only()
}

#[test]
fn every_attack_is_refused() {
    let lines = lines(ATTACKS, Path::new("/out"));
    let passed: Vec<_> = lines
        .iter()
        .flat_map(|it| [(it.dialect, &it.sql), (Dialect::Unknown, &it.sql)])
        .filter(|(dialect, sql)| cleared(*dialect, sql).is_ok())
        .collect();
    assert!(passed.is_empty(), "{passed:#?}");
    assert!(lines.len() >= 60, "{}", lines.len());
}

#[test]
fn every_query_passes() {
    let lines = lines(LEGAL, Path::new("/out"));
    let mut refused = Vec::new();
    for line in &lines {
        let meant = (!line.is_special).then_some(Dialect::Unknown);
        for dialect in [line.dialect].into_iter().chain(meant) {
            if let Err(why) = cleared(dialect, &line.sql) {
                refused.push((dialect, &line.sql, why));
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(lines.len() >= 60, "{}", lines.len());
}

/// Everything that is there: tables' rows, the schema, settings, and the names of files.
fn state(database: &Path, out: &Path) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for directory in [out, database.parent().unwrap()] {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            state.insert(entry.path().display().to_string(), String::new());
        }
    }
    let connection = Connection::open(database).unwrap();
    for sql in [
        "SELECT * FROM notes",
        "SELECT * FROM other",
        "SELECT * FROM sqlite_master",
        "PRAGMA user_version",
        "PRAGMA application_id",
        "PRAGMA journal_mode",
    ] {
        let rows = connection.prepare(sql).and_then(|mut it| {
            let columns = it.column_count();
            let rows = it.query_map([], |row| {
                (0..columns).map(|at| Ok(format!("{:?}", row.get_ref(at)?))).collect()
            });
            rows?.collect::<rusqlite::Result<Vec<Vec<String>>>>()
        });
        state.insert(sql.to_owned(), format!("{rows:?}"));
    }
    state
}

const TABLES: &str = "
    CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);
    CREATE TABLE other (id INTEGER PRIMARY KEY);
    INSERT INTO notes VALUES (1, 'a'), (2, 'b'), (3, 'c');
    INSERT INTO other VALUES (1);
";

/// Runs `sql` in a database of its own, and says whether anything was changed by it.
fn changes(sql: &str, check: bool) -> bool {
    let home = tempfile::tempdir().unwrap();
    let (database, out) = (home.path().join("db/shop.db"), home.path().join("out"));
    std::fs::create_dir_all(database.parent().unwrap()).unwrap();
    std::fs::create_dir(&out).unwrap();
    Connection::open(&database).unwrap().execute_batch(TABLES).unwrap();
    let before = state(&database, &out);
    let sql = sql.replace("/out/", &format!("{}/", out.display()));
    if !check || cleared(Dialect::Sqlite, &sql).is_ok() {
        // What a statement comes to is seen by what it leaves.
        let _ = Connection::open(&database).unwrap().execute_batch(&sql);
    }
    state(&database, &out) != before
}

#[test]
fn no_attack_changes_a_real_database_and_no_query_does() {
    let attacks = lines(ATTACKS, Path::new("/out"));
    let sqlite = |it: &&Line| it.dialect == Dialect::Sqlite;
    let mut real = 0;
    for line in attacks.iter().filter(sqlite) {
        assert!(!changes(&line.sql, true), "{}", line.sql);
        real += usize::from(changes(&line.sql, false));
    }
    // The same statements, if nobody looks at them.
    assert!(real >= 30, "{real} of the attacks do something");
    for line in lines(LEGAL, Path::new("/out")).iter().filter(sqlite) {
        assert!(!changes(&line.sql, false), "{}", line.sql);
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLES).unwrap();
        let statement = connection.prepare(line.sql.trim_end_matches([' ', ';']));
        assert!(statement.as_ref().is_ok_and(|it| it.readonly()), "{}: {statement:?}", line.sql);
    }
}

/// SQLite marks the functions that have no effect and read nothing that is not given to them.
#[test]
fn sqlite_calls_the_listed_functions_harmless() {
    const INNOCUOUS: i64 = 0x0020_0000;
    let connection = Connection::open_in_memory().unwrap();
    let mut functions = connection.prepare("SELECT name, flags FROM pragma_function_list").unwrap();
    let functions = functions.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let (mut seen, mut other) = (0, Vec::new());
    for function in functions {
        let (name, flags): (String, i64) = function.unwrap();
        let call = format!("SELECT {name}()");
        if name.starts_with(|it: char| it.is_ascii_alphabetic())
            && cleared(Dialect::Sqlite, &call).is_ok()
        {
            seen += 1;
            if flags & INNOCUOUS == 0 {
                other.push(name);
            }
        }
    }
    other.sort();
    other.dedup();
    assert_eq!(other, TOLD);
    assert!(seen > 60, "{seen}");
}

/// Those of full-text search, which tell something of the table that is asked.
const TOLD: [&str; 3] = ["bm25", "highlight", "snippet"];

/// Where a table is kept, if it is not in its database.
fn kept_elsewhere(dialect: Dialect, sql: &str) -> bool {
    let query = Query::parse(dialect, sql).unwrap_or_else(|it| panic!("{sql}: {it}"));
    query.obstacles().iter().any(|it| matches!(it, Refusal::Elsewhere(_)))
}

#[test]
fn an_engine_that_is_not_known_to_keep_its_tables_does_not() {
    for (dialect, sql) in [
        (Dialect::ClickHouse, "create table t (a String) engine=Redis('h:6379') primary key a"),
        (Dialect::ClickHouse, "create table t (a String) engine=IcebergS3('http://h/x')"),
        (Dialect::ClickHouse, "create table t (a String) engine=NobodyKnows('http://h/x')"),
        (Dialect::ClickHouse, "create table t (engine String) engine=FileLog('/x', 'CSV')"),
        (Dialect::MySql, "create table t (a int) engine=sphinx connection='sphinx://h/x'"),
    ] {
        assert!(kept_elsewhere(dialect, sql), "{sql}");
    }
    for (dialect, sql) in [
        (Dialect::ClickHouse, "create table t (a UInt8) engine=ReplacingMergeTree order by a"),
        (Dialect::ClickHouse, "create table t (a UInt8) engine=Memory"),
        (Dialect::MySql, "create table t (a int) engine=InnoDB"),
        (Dialect::MySql, "create table t (a int) engine=MyISAM"),
        (Dialect::MySql, "create table cars (engine varchar(10))"),
        (Dialect::Postgres, "create view v as select * from cars where engine = 'v8'"),
        (Dialect::Postgres, "create table cars (engine text check (engine = 'v8'))"),
    ] {
        assert!(!kept_elsewhere(dialect, sql), "{sql}");
    }
}

#[test]
fn a_zero_in_any_spelling_is_no_bound() {
    for zero in ["0", "00", "0.0", "0e0", ".0"] {
        let sql = format!("SELECT 1 FROM t SETTINGS max_execution_time = {zero}");
        assert!(cleared(Dialect::ClickHouse, &sql).is_err(), "{sql}");
        assert!(cleared(Dialect::Unknown, &sql).is_err(), "{sql}");
    }
    let sql = "SELECT 1 FROM t SETTINGS max_execution_time = 0.5";
    assert!(cleared(Dialect::ClickHouse, sql).is_ok());
}

#[test]
fn what_begins_a_statement_of_sql_server_is_no_alias() {
    for word in ["goto", "enable", "receive", "send", "break", "end", "shutdown"] {
        let sql = format!("SELECT 1 {word}");
        assert!(cleared(Dialect::MsSql, &sql).is_err(), "{sql}");
        assert!(cleared(Dialect::MsSql, &format!("SELECT 1 AS [{word}]")).is_ok(), "{word}");
    }
    assert!(cleared(Dialect::MsSql, "SELECT CASE WHEN a = 1 THEN 2 END b FROM t").is_ok());
}

#[test]
fn a_trigger_names_what_it_calls() {
    let sql = "CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION net.http_post()";
    let query = Query::parse(Dialect::Postgres, sql).unwrap();
    assert!(query.functions().eq(["net.http_post"]));
}

/// SQLite takes the end of the statement for the end of a comment, whatever was one before.
#[test]
fn a_comment_without_an_end_is_none() {
    for sql in ["SELECT 1 /*", "SELECT 1 /*a", "SELECT /*a*/ 1 /*a", "SELECT 1 /*/"] {
        for dialect in [Dialect::Sqlite, Dialect::Unknown] {
            assert!(Query::parse(dialect, sql).is_err(), "{sql}");
        }
    }
    assert!(Query::parse(Dialect::Sqlite, "SELECT /*a*/ 1 /*a*/").is_ok());
}

/// Eight times as much does not take hundreds of times as long: each comment, and each text with a
/// backslash, was compared with all of the statement.
#[test]
fn a_statement_costs_what_it_is_long() {
    let comments =
        |count: usize| (0..count).map(|it| format!("/*{it}*/")).collect::<String>() + "SELECT 1";
    let texts = |count: usize| format!("SELECT {}1", "'\\'', ".repeat(count));
    let time = |sql: &str, dialect| {
        let once = |_| {
            let began = Instant::now();
            let _ = Query::parse(dialect, sql);
            began.elapsed()
        };
        (0..3).map(once).min().unwrap()
    };
    for (name, short, long, dialect) in [
        ("comments", comments(800), comments(6400), Dialect::Postgres),
        ("backslashes", texts(400), texts(3200), Dialect::MySql),
    ] {
        let (short, long) = (time(&short, dialect), time(&long, dialect));
        assert!(long < short * 80, "{name}: {short:?}, {long:?}");
    }
}

#[test]
fn tables_and_functions_are_named() {
    let check = |sql, reads: &[&str], writes: &[&str], functions: &[&str]| {
        let query = Query::parse(Dialect::Postgres, sql).unwrap();
        assert_eq!(query.reads().collect::<Vec<_>>(), reads, "{sql}");
        assert_eq!(query.writes().collect::<Vec<_>>(), writes, "{sql}");
        assert_eq!(query.functions().collect::<Vec<_>>(), functions, "{sql}");
    };
    check(
        "SELECT Lower(a) FROM Users u JOIN s.\"Items\" i ON true",
        &["s.Items", "users"],
        &[],
        &["lower"],
    );
    check("SELECT * FROM \"a.b\"", &["\"a.b\""], &[], &[]);
    check("WITH x AS (SELECT * FROM a) SELECT * FROM x", &["a"], &[], &[]);
    // What is defined is not what was there before.
    check("WITH a AS (SELECT * FROM a) SELECT * FROM a", &["a"], &[], &[]);
    check("WITH RECURSIVE a AS (SELECT 1 UNION SELECT * FROM a) SELECT * FROM a", &[], &[], &[]);
    // A name that is defined inside does not hide the table outside.
    check("SELECT * FROM (WITH s AS (SELECT 1) SELECT * FROM s) x, s", &["s"], &[], &[]);
    check("WITH s AS (SELECT 1) SELECT * FROM t.s", &["t.s"], &[], &[]);
    check("SELECT * FROM json_each('{}')", &[], &[], &["json_each"]);
    check("INSERT INTO a SELECT * FROM b", &["a", "b"], &["a"], &[]);
    check("WITH d AS (DELETE FROM a RETURNING *) SELECT * FROM d, b", &["a", "b"], &["a"], &[]);
    check("SELECT * INTO c FROM a", &["a"], &["c"], &[]);
    check("DROP TABLE a, b", &[], &["a", "b"], &[]);
    check("COPY a TO '/tmp/x'", &["a"], &[], &[]);
    check("TRUNCATE a", &["a"], &["a"], &[]);
}

#[test]
fn a_statement_is_of_a_kind() {
    for (sql, kind) in [
        ("SELECT 1", Kind::Read),
        ("EXPLAIN SELECT 1", Kind::Explain),
        ("EXPLAIN ANALYZE DELETE FROM a", Kind::Delete),
        ("WITH d AS (DELETE FROM a RETURNING 1) SELECT 1", Kind::Delete),
        ("SET a = 1", Kind::Session),
        ("COPY a FROM '/x'", Kind::Copy),
        ("CALL f()", Kind::Call),
        ("VACUUM", Kind::Change),
    ] {
        assert_eq!(Query::parse(Dialect::Postgres, sql).unwrap().kind(), kind, "{sql}");
    }
}

/// Deeper or longer than anybody writes is an error, and not the end of the process. A worker of
/// tokio has 2 MiB for everything.
#[test]
fn what_is_too_deep_is_refused_on_a_small_stack() {
    let of = |start: &str, piece: &str, count: usize, end: &str| {
        format!("{start}{}{end}", piece.repeat(count))
    };
    let texts = [1, 10, 30, 60, 250, 500, 5000, 20_000].into_iter().flat_map(|count| {
        [
            of("SELECT 1", "+1", count, ""),
            of("SELECT 1", " AND 1", count, ""),
            of("SELECT 1", " UNION SELECT 1", count, ""),
            of("SELECT 1", " IS NULL", count, ""),
            of("SELECT ", "NOT ", count, "1"),
            of("SELECT ", "- ", count, "1"),
            of("SELECT ", "(", count, "1"),
            format!("SELECT {}1{}", "(".repeat(count), ")".repeat(count)),
            format!("{}SELECT 1{}", "SELECT * FROM (".repeat(count), ") x".repeat(count)),
            format!("SELECT {}1{}", "abs(".repeat(count), ")".repeat(count)),
            format!("SELECT {}1{}", "CASE WHEN 1 THEN ".repeat(count), " END".repeat(count)),
            format!("SELECT {}1{}", "ARRAY[".repeat(count), "]".repeat(count)),
            of("SELECT 1", "::int", count, ""),
            of("SELECT * FROM a", " JOIN b ON true", count, ""),
            of("SELECT 1 WHERE a IN (1", ", 1", count, ")"),
            of("SELECT a", ".a", count, ""),
        ]
    });
    let texts: Vec<String> = texts.collect();
    let looker = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(move || {
        let mut passed = 0;
        for text in texts {
            for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::Unknown] {
                passed += usize::from(cleared(dialect, &text).is_ok());
            }
        }
        passed
    });
    let passed = looker.unwrap().join().unwrap();
    assert!(passed > 50, "{passed}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// A query with pieces of other statements in it, wherever: what passes, SQLite calls one
    /// statement that reads.
    #[test]
    fn sqlite_agrees(
        line in prop::sample::select(lines(LEGAL, Path::new("/out"))
            .into_iter()
            .map(|it| it.sql)
            .collect::<Vec<_>>()),
        pieces in prop::collection::vec((prop::sample::select(PIECES), 0_usize..30), 0..4),
    ) {
        let mut words: Vec<&str> = line.split(' ').collect();
        for (piece, at) in pieces {
            words.insert(at.min(words.len()), piece);
        }
        let sql = words.join(" ");
        if cleared(Dialect::Sqlite, &sql).is_ok() {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(TABLES).unwrap();
            match connection.prepare(sql.trim_end_matches([' ', ';'])) {
                Ok(statement) => prop_assert!(statement.readonly(), "{sql}"),
                Err(error) => {
                    prop_assert!(!matches!(error, rusqlite::Error::MultipleStatement), "{sql}");
                }
            }
        }
    }
}

const PIECES: &[&str] = &[
    "SELECT",
    "SELECT 1",
    "SELECT * FROM notes",
    "FROM notes",
    "WHERE",
    "1",
    "id",
    "=",
    "'a'",
    "(",
    ")",
    ",",
    ";",
    "DELETE FROM notes",
    "UPDATE notes SET body = 1",
    "INSERT INTO notes VALUES (9, 9)",
    "WITH x AS (",
    "WITH x AS (SELECT 1)",
    "UNION",
    "/*",
    "*/",
    "--",
    "\n",
    "'",
    "\"",
    "`",
    "[",
    "]",
    "PRAGMA",
    "user_version",
    "table_info",
    "REPLACE INTO notes",
    "RETURNING id",
    "EXPLAIN",
    "DROP TABLE notes",
    "AS",
    "x",
    "load_extension('a')",
    "ATTACH 'a' AS a",
    "||",
    "\\",
    "$$",
    "E'a'",
    "VALUES (1)",
    "ORDER BY 1",
    "LIMIT 1",
    "JOIN other ON 1",
    "CREATE TABLE t AS",
    "VACUUM",
    "BEGIN",
];
