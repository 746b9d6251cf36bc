use serde_json::{Value, json};

use crate::catalog::Definition;
use crate::json::Document;

fn tool(value: &Value) -> Definition {
    Definition::read(Document::from_value(value).unwrap().root()).unwrap()
}

/// What a parameter is taken for, and why.
fn kind(tool_name: &str, description: &str, name: &str, schema: &Value) -> String {
    let value = json!({ "name": tool_name, "description": description,
        "inputSchema": { "type": "object", "properties": { name: schema } } });
    let found = tool(&value).parameters.find(name).unwrap();
    format!("{}, {}", found.kinds, found.why)
}

#[test]
fn a_parameter_is_what_is_said_of_it() {
    let text = |description: &str| json!({ "type": "string", "description": description });
    for (tool, about, name, schema, expected) in [
        ("read_file", "", "path", text(""), "path, by its name"),
        ("t", "", "filePath", text(""), "path, by its name"),
        ("t", "", "URLPath", text(""), "path, by its name"),
        ("t", "", "it", json!({ "format": "uri" }), "url, by its format"),
        ("t", "", "it", json!({ "items": { "format": "email" } }), "email, by its format"),
        ("t", "", "it", json!({ "pattern": "^https?://" }), "url, by its pattern"),
        ("t", "", "it", text("The URL to open"), "url, by its description"),
        ("t", "", "it", text("Absolute path of the file"), "path, by its description"),
        ("t", "", "uri", text(""), "path or url, by its name"),
        ("t", "", "content", text("Text for the file path, or a URL"), "plain, by its name"),
        (
            "read_query",
            "Execute a SELECT query on the SQLite database",
            "query",
            text("SELECT SQL query to execute"),
            "sql, by its description",
        ),
        ("mysql_query", "", "query", text(""), "sql, by its tool"),
        ("t", "", "query", text("What to search for"), "plain, by nothing"),
        ("brave_web_search", "", "query", text("Search query"), "plain, by nothing"),
        ("t", "", "sql_query", text(""), "sql, by its name"),
        ("t", "", "shell_command", text(""), "command, by its name"),
        ("t", "", "args", text(""), "words, by its name"),
        ("git_checkout", "", "branch_name", text(""), "word, by its name"),
        ("git_diff", "", "target", text("Branch or commit"), "word, by its tool"),
        ("t", "", "base_url", text(""), "url or upstream, by its name"),
        ("t", "", "X-Jira-Url", text(""), "url or upstream, by its name"),
        ("t", "", "api_key", text(""), "secret, by its name"),
        ("t", "", "entityName", text(""), "plain, by nothing"),
        ("sequentialthinking", "", "thought", text("Your current step"), "plain, by its name"),
        (
            "convert_time",
            "",
            "source_timezone",
            text("Source IANA timezone name"),
            "plain, by nothing",
        ),
        (
            "git_log",
            "",
            "start_timestamp",
            text("Start timestamp for filtering commits"),
            "plain, by nothing",
        ),
    ] {
        assert_eq!(kind(tool, about, name, &schema), expected, "{tool} {name}");
    }
}

#[test]
fn a_name_that_stands_for_two_things_is_both() {
    let value = json!({ "name": "t", "inputSchema": { "properties": {
        "it": { "format": "uri" }, "more": { "items": { "properties": { "it": { "format": "path" } } } } } } });
    assert_eq!(tool(&value).parameters.find("it").unwrap().kinds.to_string(), "path or url");
}

#[test]
fn a_tool_does_what_its_words_say() {
    let traits = |name: &str, about: &str, hints: Value| {
        let value = json!({ "name": name, "description": about, "annotations": hints });
        *tool(&value).parameters.traits()
    };
    for (name, about, hints, is_open) in [
        ("send_email", "", json!({}), true),
        ("fetch", "", json!({}), true),
        ("t", "Sends a message", json!({}), true),
        ("t", "", json!({ "openWorldHint": true }), true),
        ("send", "", json!({ "openWorldHint": false }), true),
        ("write_file", "Write a file", json!({}), false),
        ("create_entities", "Create entities in the knowledge graph", json!({}), false),
        ("echo", "Echoes back the input", json!({}), false),
    ] {
        assert_eq!(traits(name, about, hints).is_open, is_open, "{name} {about}");
    }
    for (name, about, hints, reads) in [
        ("read_query", "", json!({}), true),
        ("write_query", "", json!({}), false),
        ("execute_sql", "", json!({}), false),
        ("query", "Run a read-only SQL query", json!({}), true),
        ("query", "", json!({ "readOnlyHint": true }), true),
        ("query", "", json!({ "readOnlyHint": false }), false),
    ] {
        assert_eq!(traits(name, about, hints).reads, reads, "{name} {about}");
    }
}

#[test]
fn what_is_written_or_sought_is_no_path_and_one_of_another_machine_none_of_this() {
    use super::place::{Place, of};
    for (tool, names, expected) in [
        ("edit_file", "oldText newText old_string new_str insert_text replacement", Place::Words),
        ("grep", "pattern query regex filter", Place::Words),
        ("find_in_files", "query find replace", Place::Words),
        ("search_code", "query", Place::Words),
        ("commit", "message body description", Place::Words),
        ("set_config", "value", Place::Words),
        ("query_db", "params", Place::Words),
        ("ssh_read", "remote_path remoteFile container_dir", Place::Elsewhere),
        ("docker_run", "workdir working_dir", Place::Elsewhere),
        ("read_file", "path name it value params old new target options", Place::Here),
        ("search_files", "pattern query filter", Place::Here),
        ("glob", "pattern", Place::Here),
        ("list_directory", "filter", Place::Here),
        ("docker_compose_run", "workdir", Place::Here),
        ("run_tests", "workdir", Place::Here),
        ("rename", "old new", Place::Here),
    ] {
        for name in names.split(' ') {
            assert_eq!(of(name, &super::infer::words(tool), |_| false), expected, "{tool} {name}");
        }
    }
    let of_service = |name: &str, tool: &str| of(name, &super::infer::words(tool), |_| true);
    assert_eq!(of_service("path", "get_file_contents"), Place::Repository);
    assert_eq!(of_service("path", "upload_asset"), Place::Here);
    assert_eq!(of_service("file_path", "get_file_contents"), Place::Here);
}
