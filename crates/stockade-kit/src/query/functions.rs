//! Functions that only read: what they answer is made of their arguments and of the database, and
//! nothing is changed, waited for, locked, sent or fetched by them.

use super::Dialect;

/// One line a dialect, and one for all of them; see the top of the file.
const LIST: &str = include_str!("functions.txt");

/// Whether a function, by its name in lower case, is on the list of a dialect.
pub(super) fn only_read(dialect: Dialect, name: &str) -> bool {
    let wanted = match dialect {
        Dialect::Sqlite => "sqlite",
        Dialect::Postgres => "postgres",
        Dialect::MySql => "mysql",
        Dialect::DuckDb => "duckdb",
        Dialect::MsSql => "mssql",
        Dialect::BigQuery => "bigquery",
        Dialect::ClickHouse => "clickhouse",
        Dialect::Snowflake => "snowflake",
        Dialect::Unknown => "",
    };
    LIST.lines().any(|line| match line.split_once(": ") {
        Some((dialects, names)) => {
            let fits = match wanted {
                // What another of them knows by this name may be something else.
                "" => !dialects.ends_with('!'),
                _ => dialects.trim_end_matches('!').split(' ').any(|it| it == wanted),
            };
            fits && names.split(' ').any(|it| it == name)
        }
        None => false,
    })
}

/// Whether a function of this name, in lower case, is on the list of any dialect.
pub(super) fn is_any(name: &str) -> bool {
    LIST.lines()
        .filter_map(|it| it.split_once(": "))
        .any(|(_, names)| names.split(' ').any(|it| it == name))
}
