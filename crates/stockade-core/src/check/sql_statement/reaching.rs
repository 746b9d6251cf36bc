//! Functions that leave the database. Those that stay cannot be listed, and need not be here: a tool
//! that writes may change its tables by any of them.

use stockade_kit::query::Dialect;

/// Whether a function, whatever schema it is said to be of (`pg_catalog` has them all), reaches files,
/// programs or other databases.
pub(super) fn leaves(dialect: Dialect, function: &str) -> bool {
    let lower = function.to_lowercase();
    let name = last(&lower);
    // What DuckDB and its extensions call what reads a file or asks another database.
    const BEGIN: [&str; 5] = ["read_", "scan_", "parquet_", "iceberg_", "delta_"];
    const END: [&str; 4] = ["_scan", "_query", "_execute", "_attach"];
    let is_of_duckdb = dialect == Dialect::DuckDb
        && (BEGIN.iter().any(|it| name.starts_with(it)) || END.iter().any(|it| name.ends_with(it)));
    is_of_duckdb || is_listed(name) || lower.starts_with("snowflake.cortex.")
}

/// Whether a table of PostgreSQL is of an extension that sends requests.
pub(super) fn is_sent(table: &str) -> bool {
    matches!(table.rsplit('.').nth(1), Some("net" | "http"))
}

/// Whether a function of PostgreSQL is of such an extension, or of a package that reaches files.
pub(super) fn sends(function: &str) -> bool {
    const SCHEMAS: [&str; 10] = [
        "ai",
        "aws_lambda",
        "aws_s3",
        "azure_ai",
        "azure_openai",
        "azure_storage",
        "google_ml",
        "plpy",
        "utl_file",
        "utl_http",
    ];
    is_sent(function) || function.rsplit('.').nth(1).is_some_and(|it| SCHEMAS.contains(&it))
}

/// Whether a function is given a statement as a text.
pub(super) fn runs(function: &str) -> bool {
    let lower = function.to_lowercase();
    let name = last(&lower);
    matches!(name, "crosstab" | "crosstabn" | "connectby" | "ts_stat" | "ts_rewrite")
        || name.strip_prefix("crosstab").is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()))
}

/// Whether one of a statement's texts has words of another that changes something.
pub(super) fn changes_by_text(plain: &str) -> bool {
    const WORDS: [&str; 13] = [
        "alter", "call", "copy", "create", "delete", "do", "drop", "grant", "insert", "merge",
        "revoke", "truncate", "update",
    ];
    // What is between dollars is not told apart: nobody needs them for a name of a column.
    let texts = plain.split('\'').skip(usize::from(!plain.contains('$')));
    let mut words = texts
        .step_by(if plain.contains('$') { 1 } else { 2 })
        .flat_map(|it| it.split(|it: char| !it.is_alphanumeric() && it != '_'));
    words.any(|it| WORDS.iter().any(|word| word.eq_ignore_ascii_case(it)))
}

/// Whether a function, by its name in lower case, is on the list.
pub(super) fn is_listed(name: &str) -> bool {
    REACHES.contains(&name)
}

fn last(function: &str) -> &str {
    function.rsplit('.').next().unwrap_or_default().trim_matches(['"', '`', '[', ']'])
}

const REACHES: &[&str] = &[
    "arrow_scan",
    "arrowflight",
    "azureblobstorage",
    "azureblobstoragecluster",
    "azurequeue",
    "bigquery_execute",
    "bigquery_query",
    "bigquery_scan",
    "build_scoped_file_url",
    "build_stage_file_url",
    "catboostevaluate",
    "citus_add_node",
    "cluster",
    "clusterallreplicas",
    "cosn",
    "cursor_to_xml",
    "database_to_xml",
    "dblink",
    "dblink_connect",
    "dblink_connect_u",
    "dblink_exec",
    "dblink_fetch",
    "dblink_get_result",
    "dblink_open",
    "dblink_send_query",
    "delta_list_files",
    "delta_scan",
    "deltalake",
    "deltalakeazure",
    "deltalakecluster",
    "deltalakelocal",
    "deltalakes3",
    "deltalakes3cluster",
    "directory",
    "dm_os_enumerate_filesystem",
    "dm_os_enumerate_fixed_drives",
    "dm_os_file_exists",
    "duckdb_secrets",
    "edit",
    "executable",
    "executablepool",
    "external_query",
    "file",
    "filecluster",
    "filelog",
    "fn_get_audit_file",
    "fn_trace_gettable",
    "fn_xe_file_target_read_file",
    "fsdir",
    "fts3_tokenizer",
    "gcs",
    "get_presigned_url",
    "get_stage_location",
    "getenv",
    "glob",
    "hdfs",
    "hdfscluster",
    "hive",
    "http",
    "http_delete",
    "http_get",
    "http_head",
    "http_patch",
    "http_post",
    "http_put",
    "hudi",
    "hudicluster",
    "iceberg",
    "iceberg_metadata",
    "iceberg_scan",
    "iceberg_snapshots",
    "icebergazure",
    "icebergazurecluster",
    "icebergcluster",
    "iceberghdfs",
    "iceberghdfscluster",
    "iceberglocal",
    "icebergs3",
    "icebergs3cluster",
    "infer_schema",
    "jdbc",
    "json_execute_serialized_sql",
    "kafka",
    "lance_scan",
    "lib_mysqludf_sys_info",
    "lo_export",
    "lo_from_bytea",
    "lo_get",
    "lo_import",
    "lo_put",
    "load_aws_credentials",
    "load_extension",
    "load_file",
    "master_run_on_worker",
    "mongodb",
    "mssql_scan",
    "mysql",
    "mysql_execute",
    "mysql_query",
    "mysql_scan",
    "nats",
    "odbc",
    "odbc_query",
    "odbc_scan",
    "open_prompt",
    "opendatasource",
    "openquery",
    "openrowset",
    "oss",
    "parquet_bloom_probe",
    "parquet_file_metadata",
    "parquet_kv_metadata",
    "parquet_metadata",
    "parquet_scan",
    "parquet_schema",
    "pcap_reader",
    "pg_cancel_backend",
    "pg_execute_server_program",
    "pg_file_rename",
    "pg_file_sync",
    "pg_file_unlink",
    "pg_file_write",
    "pg_logdir_ls",
    "pg_ls_archive_statusdir",
    "pg_ls_dir",
    "pg_ls_logdir",
    "pg_ls_tmpdir",
    "pg_ls_waldir",
    "pg_promote",
    "pg_read_binary_file",
    "pg_read_file",
    "pg_read_server_files",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_stat_file",
    "pg_terminate_backend",
    "postgres_attach",
    "postgres_execute",
    "postgres_query",
    "postgres_scan",
    "postgresql",
    "query",
    "query_table",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "rabbitmq",
    "read_arrow",
    "read_avro",
    "read_blob",
    "read_csv",
    "read_csv_auto",
    "read_duckdb",
    "read_gsheet",
    "read_html",
    "read_json",
    "read_json_auto",
    "read_json_objects",
    "read_json_objects_auto",
    "read_lance",
    "read_ndjson",
    "read_ndjson_auto",
    "read_ndjson_objects",
    "read_parquet",
    "read_stat",
    "read_text",
    "read_vortex",
    "read_xlsx",
    "read_xml",
    "readfile",
    "redis",
    "remote",
    "remotesecure",
    "run_command_on_all_nodes",
    "run_command_on_colocated_placements",
    "run_command_on_placements",
    "run_command_on_shards",
    "run_command_on_workers",
    "s3",
    "s3_list",
    "s3cluster",
    "s3queue",
    "scan_arrow_ipc",
    "schema_to_xml",
    "set_config",
    "shell",
    "shellfs",
    "sniff_csv",
    "sp_oacreate",
    "sqlite",
    "sqlite_attach",
    "sqlite_query",
    "sqlite_scan",
    "st_read",
    "st_read_meta",
    "sys_eval",
    "sys_exec",
    "system$send_email",
    "system$send_snowflake_notification",
    "table_to_xml",
    "url",
    "urlcluster",
    "utl_http",
    "which_secret",
    "write_log",
    "writefile",
    "xp_cmdshell",
    "xp_dirtree",
    "xp_fileexist",
    "xp_regread",
    "xp_subdirs",
    "xpath_table",
    "ytsaurus",
    "zipfile",
];
