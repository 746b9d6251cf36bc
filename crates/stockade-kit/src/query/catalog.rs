//! Names that mean something to a database: what it knows of itself, what accounts log in by, and
//! what is kept elsewhere.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::Dialect;

/// The schema and the name of a table, without quotes.
pub(super) fn parts(name: &str) -> (&str, &str) {
    let (schema, name) = name.rsplit_once('.').unwrap_or(("", name));
    (schema.rsplit('.').next().unwrap_or_default(), name)
}

/// Whether a table is on another server: `server.database.schema.table` of SQL Server, or what its
/// functions for other servers answer, written like a table.
pub(super) fn is_linked(meant: Dialect, name: &ObjectName) -> bool {
    let servers = matches!(meant, Dialect::MsSql | Dialect::Unknown);
    servers && (name.0.len() > 3 || last(name).is_some_and(|it| is_one_of(it, &LINKS)))
}

/// Whether a table is a stage of Snowflake, which has files.
pub(super) fn is_stage(meant: Dialect, name: &ObjectName) -> bool {
    let first = name.0.first().and_then(ident);
    matches!(meant, Dialect::Snowflake | Dialect::Unknown)
        && first.is_some_and(|it| it.quote_style.is_none() && it.value.starts_with('@'))
}

/// Whether a virtual table of SQLite is made of other tables of its database.
pub(super) fn is_module(name: &Ident) -> bool {
    is_one_of(name, &MODULES)
}

/// Whether a word begins another statement of SQL Server, where an alias may stand. To it none of
/// them can be one.
pub(super) fn begins(word: &str) -> bool {
    STATEMENTS.iter().any(|it| it.eq_ignore_ascii_case(word))
}

fn is_one_of(it: &Ident, names: &[&str]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(&it.value))
}

fn last(name: &ObjectName) -> Option<&Ident> {
    name.0.last().and_then(ident)
}

fn ident(part: &ObjectNamePart) -> Option<&Ident> {
    if let ObjectNamePart::Identifier(it) = part { Some(it) } else { None }
}

/// Functions of SQL Server that stand for tables of other servers and files.
const LINKS: [&str; 3] = ["openrowset", "openquery", "opendatasource"];

/// Modules of SQLite that index text and shapes. Others read files and archives.
const MODULES: [&str; 12] = [
    "fts3",
    "fts4",
    "fts5",
    "fts3aux",
    "fts4aux",
    "fts5vocab",
    "fts3tokenize",
    "rtree",
    "rtree_i32",
    "geopoly",
    "vec0",
    "series",
];

/// T-SQL needs no semicolon between two statements.
const STATEMENTS: [&str; 50] = [
    "alter",
    "backup",
    "begin",
    "break",
    "bulk",
    "checkpoint",
    "close",
    "commit",
    "create",
    "dbcc",
    "deallocate",
    "delete",
    "deny",
    "disable",
    "drop",
    "dump",
    "enable",
    "end",
    "exec",
    "execute",
    "fetch",
    "goto",
    "grant",
    "if",
    "insert",
    "kill",
    "lineno",
    "load",
    "merge",
    "open",
    "print",
    "raiserror",
    "readtext",
    "receive",
    "reconfigure",
    "restore",
    "revert",
    "revoke",
    "rollback",
    "save",
    "send",
    "set",
    "setuser",
    "shutdown",
    "truncate",
    "update",
    "updatetext",
    "use",
    "waitfor",
    "writetext",
];

/// Databases of SQL Server's own.
pub(super) const OWN: [&str; 3] = ["master", "msdb", "model"];

/// Tables of Supabase's vault and of pgsodium that answer secrets.
pub(super) const SECRETS: [&str; 5] =
    ["decrypted_secrets", "secrets", "key", "valid_key", "decrypted_key"];

/// Tables of what accounts log in by: in PostgreSQL, MariaDB and SQL Server.
pub(super) const ACCOUNTS: &[&str] = &[
    "pg_authid",
    "pg_shadow",
    "pg_user_mapping",
    "pg_user_mappings",
    "pg_foreign_server",
    "pg_subscription",
    "global_priv",
    "sql_logins",
    "syslogins",
    "sysxlogins",
    "duckdb_secrets",
];

/// Columns of `mysql.user` and its like.
pub(super) const SECRET_COLUMNS: &[&str] =
    &["authentication_string", "password", "plugin_auth_string", "user_attributes"];

/// Schemas that are the database's own.
pub(super) const SYSTEM: &[&str] =
    &["pg_catalog", "information_schema", "mysql", "sys", "performance_schema", "system"];

/// Tables of PostgreSQL's own that are found without their schema.
pub(super) const CATALOG: &[&str] = &[
    "pg_class",
    "pg_proc",
    "pg_attribute",
    "pg_type",
    "pg_database",
    "pg_settings",
    "pg_roles",
    "pg_user",
    "pg_auth_members",
    "pg_language",
    "pg_namespace",
    "pg_trigger",
    "pg_rewrite",
    "pg_extension",
    "pg_operator",
    "pg_cast",
    "pg_policy",
    "pg_largeobject",
    "pg_hba_file_rules",
    "pg_file_settings",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_event_trigger",
    "pg_index",
    "pg_constraint",
    "pg_opclass",
];

/// Engines of MySQL, MariaDB and ClickHouse that keep their tables in the database. The others are
/// files, programs and servers, and there are more of them with each release.
const KEEPING: &[&str] = &[
    "archive",
    "aria",
    "atomic",
    "blackhole",
    "buffer",
    "columnstore",
    "embeddedrocksdb",
    "generaterandom",
    "heap",
    "innodb",
    "join",
    "keepermap",
    "lazy",
    "log",
    "materializedview",
    "memory",
    "merge",
    "mrg_myisam",
    "mroonga",
    "myisam",
    "myrocks",
    "ndb",
    "ndbcluster",
    "null",
    "ordinary",
    "replicated",
    "rocksdb",
    "sequence",
    "set",
    "stripelog",
    "timeseries",
    "tinylog",
    "tokudb",
    "view",
];

/// Whether an engine, by its name in lower case, keeps its tables in the database.
pub(super) fn keeps(engine: &str) -> bool {
    KEEPING.contains(&engine) || engine.ends_with("mergetree")
}

/// Those that do not, and that are known: where `engine` may be a column.
pub(super) fn is_elsewhere(engine: &str) -> bool {
    const BEGIN: [&str; 5] = ["iceberg", "deltalake", "materialized", "azure", "s3"];
    !keeps(engine) && (ENGINES.contains(&engine) || BEGIN.iter().any(|it| engine.starts_with(it)))
}

const ENGINES: [&str; 31] = [
    "arrowflight",
    "connect",
    "cosn",
    "csv",
    "distributed",
    "executable",
    "executablepool",
    "externaldistributed",
    "federated",
    "federatedx",
    "file",
    "filelog",
    "gcs",
    "hdfs",
    "hudi",
    "jdbc",
    "kafka",
    "mongodb",
    "mysql",
    "nats",
    "odbc",
    "oss",
    "postgresql",
    "rabbitmq",
    "redis",
    "sphinx",
    "spider",
    "sqlite",
    "url",
    "ytsaurus",
    "paimon",
];

/// How the names of files end that DuckDB reads as tables.
pub(super) const FILES: [&str; 13] = [
    "csv", "tsv", "txt", "json", "jsonl", "ndjson", "parquet", "db", "duckdb", "xlsx", "gz", "zst",
    "arrow",
];
