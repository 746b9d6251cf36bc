#![doc = include_str!("sql_statement.md")]

use stockade_kit::query::{Dialect, Kind as Does, Query, Refusal};

use super::{Check, Facts, Findings, Rule, rules};
use crate::argument::{Argument, Called, Kind, Why, is_ambiguous, last_word};
use crate::policy::Sql;

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::sql_statement
    }

    fn argument(&self, it: &Argument<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if !is_statement(it) {
            return;
        }
        if let Err(why) = judge(it.call, it.str) {
            out.add_told(it.at, it.says(Kind::Sql, why));
        }
    }
}

/// Whether this is looked at as a statement.
pub(super) fn is_statement(it: &Argument<'_>) -> bool {
    if it.str.trim().is_empty() || !it.is(Kind::Sql) && !looks_like_sql(it) {
        return false;
    }
    // A tool that is only thought to speak SQL may be asked in words.
    let is_sure = it.is(Kind::Sql) && it.why != Why::Tool;
    is_sure || begins_as_sql(it.str) || it.str.contains(';')
}

/// A statement, by the policy's dialect or the tool's.
pub(super) fn parse(call: &Called<'_>, sql: &str) -> Result<Query, Refusal> {
    Query::parse(call.inputs.dialect().unwrap_or(call.traits().dialect), sql)
}

/// What the policy or the tool has it be.
pub(super) fn may(call: &Called<'_>) -> Sql {
    let default = if call.traits().reads { Sql::Read } else { Sql::Write };
    call.inputs.sql().unwrap_or(default)
}

/// Of a tool that was not listed nothing is known but names: one that reads like a statement is one.
fn looks_like_sql(it: &Argument<'_>) -> bool {
    let is_unknown = it.call.parameters.is_none() && it.why == Why::Nothing && !it.is_name();
    is_unknown && is_ambiguous(&last_word(it.name)) && begins_as_sql(it.str) && {
        let speaks = it.call.traits().speaks_sql;
        speaks || Query::parse(Dialect::Unknown, it.str).is_ok() || it.str.contains(';')
    }
}

fn begins_as_sql(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "select", "with", "insert", "update", "delete", "replace", "merge", "create", "drop",
        "alter", "truncate", "attach", "detach", "pragma", "copy", "load", "install", "call",
        "exec", "execute", "do", "begin", "commit", "rollback", "savepoint", "set", "reset", "show",
        "explain", "analyze", "vacuum", "grant", "revoke", "values", "table", "describe", "desc",
        "use", "lock", "declare", "prepare", "export", "import", "reindex", "listen", "notify",
        "handler", "start", "discard", "refresh", "cluster", "kill", "flush",
    ];
    let text = text.trim_start_matches(|it: char| !it.is_alphanumeric() && !"/-.\\".contains(it));
    if text.starts_with(['.', '\\']) || text.starts_with("/*") || text.starts_with("--") {
        return true;
    }
    let word: String = text.chars().take_while(|it| it.is_ascii_alphabetic()).take(12).collect();
    WORDS.contains(&word.to_ascii_lowercase().as_str())
}

fn judge(call: &Called<'_>, sql: &str) -> Result<(), String> {
    let may = may(call);
    if may == Sql::Any {
        return Ok(());
    }
    let query = parse(call, sql).map_err(|it| it.to_string())?;
    match may {
        Sql::Read => query.read_only().map(drop).map_err(|it| it.to_string()),
        Sql::Write | Sql::Any => stays(query),
    }
}

/// Whether a statement that may write does so in its database only, and to its tables.
fn stays(query: Query) -> Result<(), String> {
    const ROWS: &[Does] = &[
        Does::Read,
        Does::Explain,
        Does::Show,
        Does::Insert,
        Does::Update,
        Does::Delete,
        Does::Merge,
    ];
    let kind = query.kind();
    if kind == Does::Change {
        changes(query.sql())?;
    } else if kind == Does::Pragma {
        return query.read_only().map(drop).map_err(|_| format!("it is {kind}"));
    } else if !ROWS.contains(&kind) {
        return Err(format!("it is {kind}"));
    }
    // Whatever schema it is said to be of: `pg_catalog` has them all.
    let reaches = |it: &&str| {
        let name = it.rsplit('.').next().unwrap_or_default().trim_matches(['"', '`', '[', ']']);
        REACHES.contains(&name.to_lowercase().as_str())
    };
    if let Some(name) = query.functions().find(reaches) {
        return Err(format!("the function `{name}` reaches files, programs or other databases"));
    }
    if let Some(name) = query.reads().chain(query.writes()).find(|it| it.contains(['/', '\\', ':'])) {
        return Err(Refusal::File(name.to_owned()).to_string());
    }
    match query.read_only() {
        Err(refusal @ (Refusal::Into | Refusal::File(_))) => Err(refusal.to_string()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What a statement that changes a database is about. What brings in code, accounts or files is not
/// for a tool that writes rows.
fn changes(sql: &str) -> Result<(), String> {
    const TABLES: &[&str] = &[
        "table", "view", "index", "trigger", "sequence", "schema", "type", "virtual", "materialized",
        "analyze", "reindex", "truncate", "comment", "domain", "database", "unique",
    ];
    const BEYOND: &[&str] = &[
        "extension", "function", "procedure", "language", "server", "system", "role", "user",
        "library", "plugin", "tablespace", "subscription", "publication", "load", "install", "macro",
        "secret", "grant", "revoke", "foreign", "do", "cast", "operator", "aggregate", "event",
    ];
    let sql = sql.trim_start();
    for word in sql.split_whitespace().take(8) {
        if word.contains("--") || word.contains("/*") || word.starts_with('#') {
            return Err("there is a comment before what it is about".to_owned());
        }
        let word = word.to_ascii_lowercase();
        let word = word.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
        let word = word.into_iter().next().unwrap_or_default();
        if TABLES.contains(&word) {
            break;
        }
        if BEYOND.contains(&word) {
            return Err(format!("it is about `{word}`, which is more than rows and tables"));
        }
    }
    let vacuums = sql.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("vacuum"));
    let into = || sql.split_whitespace().any(|it| it.eq_ignore_ascii_case("into"));
    match vacuums && into() {
        true => Err("it writes the database to another file".to_owned()),
        false => Ok(()),
    }
}

/// Functions that leave the database. Those that stay cannot be listed, and need not be here: a tool
/// that writes may change its tables by any of them.
const REACHES: &[&str] = &[
    "load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "pg_read_file",
    "pg_read_binary_file", "pg_ls_dir", "pg_stat_file", "pg_file_write", "pg_reload_conf",
    "lo_import", "lo_export", "dblink", "dblink_exec", "dblink_connect", "dblink_send_query",
    "pg_execute_server_program", "set_config", "pg_terminate_backend", "query_to_xml",
    "database_to_xml", "load_file", "sys_exec", "sys_eval", "lib_mysqludf_sys_info", "read_csv",
    "read_csv_auto", "read_parquet", "parquet_scan", "read_json", "read_json_auto", "read_text",
    "read_blob", "glob", "sniff_csv", "query", "query_table", "xp_cmdshell", "openrowset",
    "opendatasource", "utl_http", "shell", "read_ndjson", "read_ndjson_auto", "read_json_objects",
    "read_xlsx", "st_read", "sqlite_scan", "postgres_scan", "postgres_query", "mysql_scan",
    "mysql_query", "iceberg_scan", "delta_scan", "parquet_metadata", "parquet_schema", "getenv",
    "duckdb_secrets", "pg_ls_logdir", "pg_ls_waldir", "pg_ls_tmpdir", "pg_ls_archive_statusdir",
    "query_to_xml_and_xmlschema", "table_to_xml", "cursor_to_xml", "schema_to_xml", "lo_get", "lo_put",
    "lo_from_bytea", "dblink_open", "dblink_fetch", "pg_promote", "pg_rotate_logfile",
    "pg_cancel_backend", "fsdir", "zipfile",
];
