//! What a text that looks like a path is, by the names of its parameter and its tool: a path of this
//! machine, one of another, or words. Only names count: they are what a person has seen and let be, and
//! a description is not.

use super::infer::{is_content, words};

/// Where a path leads that an argument has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On this machine, for all that is known.
    Here,
    /// Nowhere: it is text to find, to write or to say.
    Words,
    /// On another machine, in a container or in a service.
    Elsewhere,
    /// In a repository of a service, whose paths may begin with `/`.
    Repository,
}

/// What a value of this parameter is. `has` says whether the tool is given another one.
pub(super) fn of(name: &str, tool: &[String], has: impl Fn(&str) -> bool) -> Place {
    let name = words(name);
    let is = |it: &[&str], list: &[&str]| it.iter().any(|word| list.contains(word));
    let tool: Vec<&str> = tool.iter().map(String::as_str).collect();
    let name: Vec<&str> = name.iter().map(String::as_str).collect();
    let Some((last, before)) = name.split_last() else { return Place::Here };
    // `old_string`, `newText`, `insert_line`
    let is_edit = is(before, EDITS) && TEXTS.contains(last) || EDITED.contains(last);
    // `file_content`, but not `name`, which a file has as well.
    let is_prose = is_content(last) && !["name", "pattern", "patterns"].contains(last);
    let is_sought = SOUGHT.contains(last) && (is(&tool, CONTENTS) || !is(&tool, FILES));
    let is_setting = matches!(*last, "value" | "values") && is(&tool, SETS);
    let is_bound = matches!(*last, "params" | "parameters" | "bindings") && is(&tool, DATABASES);
    if is_edit || is_prose || is_sought || is_setting || is_bound {
        return Place::Words;
    }
    let is_file = matches!(*last, "path" | "paths" | "dir" | "directory" | "file" | "folder");
    let is_remote = is_file && is(before, &["remote", "container", "pod"]);
    let is_workdir =
        matches!(name.as_slice(), ["workdir"] | ["work" | "working", "dir" | "directory"]);
    let is_contained = is(&tool, &["docker", "podman", "container", "pod"])
        && is(&tool, &["run", "exec", "create", "start"])
        && !is(&tool, &["compose", "build"]);
    if is_remote || is_workdir && is_contained {
        return Place::Elsewhere;
    }
    let is_served = name == ["path"] && has("owner") && has("repo");
    match is_served && !is(&tool, &["upload", "asset", "clone", "local", "download"]) {
        true => Place::Repository,
        false => Place::Here,
    }
}

/// What is edited, before [`TEXTS`].
const EDITS: &[&str] = &["old", "new", "insert", "search", "find", "replace", "replacement"];
const TEXTS: &[&str] = &["text", "str", "string", "line", "value", "code", "content"];

/// What is edited, in one word.
const EDITED: &[&str] = &["find", "replace", "replacement"];

/// What is looked for.
const SOUGHT: &[&str] = &[
    "pattern", "patterns", "regex", "regexp", "query", "queries", "search", "filter", "needle",
    "term", "terms",
];

/// A tool called so looks for files by their names.
const FILES: &[&str] = &[
    "glob",
    "file",
    "files",
    "ls",
    "list",
    "dir",
    "directory",
    "directories",
    "folder",
    "tree",
    "find",
];

/// A tool called so looks into them.
const CONTENTS: &[&str] = &[
    "grep",
    "rg",
    "ripgrep",
    "content",
    "contents",
    "code",
    "text",
    "in",
    "replace",
    "symbol",
    "symbols",
    "references",
    "usages",
];

/// A tool called so is given a value for something that has a name.
const SETS: &[&str] =
    &["set", "config", "setting", "settings", "env", "variable", "fill", "type", "select"];

const DATABASES: &[&str] =
    &["db", "database", "sql", "query", "sqlite", "postgres", "mysql", "duckdb"];
