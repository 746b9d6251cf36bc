//! What a parameter is, from what is said of it. The last word of its name says most: `file_path`,
//! `targetUrl`. A description counts only where the name says nothing.

use super::traits::Traits;
use super::{Kind, Kinds, Parameter, Parameters, Why};
use crate::check::is_secret_name;
use crate::json::Json;
use crate::role::Roles;

/// So much of a description is read: what a parameter is, is said first.
const DESCRIPTION_CHARS_MAX: usize = 240;

/// So many parameters of one tool are told apart. Others are taken for what their names say.
const PARAMETERS_MAX: usize = 512;

/// Reads the definition of a tool.
pub(super) fn parameters(tool: Json<'_>, roles: Roles) -> Parameters {
    let mut found = Parameters { traits: Traits::read(tool, roles), ..Parameters::default() };
    let Some(schema) = tool.get("inputSchema") else { return found };
    declared(schema, &mut found);
    for properties in schema.all().filter(|it| it.name() == Some("properties")) {
        for (name, schema) in properties.fields() {
            if found.by_name.len() >= PARAMETERS_MAX {
                return found;
            }
            let one = parameter(name, schema, &found.traits);
            let known = found.by_name.entry(name.into()).or_insert(one);
            if known.kinds.is_plain() {
                *known = one;
            }
            known.kinds = known.kinds.and(one.kinds);
        }
    }
    // Who can be told where to go, goes out.
    let reaches = |it: &Parameter| it.kinds.has(Kind::Url) && !it.kinds.has(Kind::Path);
    found.traits.is_open |= found.by_name.values().any(reaches);
    found
}

/// The names that a call may have at the top, wherever the schema says them.
fn declared(schema: Json<'_>, found: &mut Parameters) {
    for (keyword, value) in schema.fields() {
        match keyword {
            "properties" => found.declared.extend(value.fields().map(|(name, _)| name.into())),
            "allOf" | "anyOf" | "oneOf" => value.items().for_each(|it| declared(it, found)),
            "if" | "then" | "else" => declared(value, found),
            "$defs" | "definitions" | "dependentSchemas" => {
                value.fields().for_each(|(_, it)| declared(it, found));
            }
            _ => {}
        }
    }
}

fn parameter(name: &str, schema: Json<'_>, tool: &Traits) -> Parameter {
    let text = |key| schema.get(key).and_then(Json::str).unwrap_or_default();
    let items = schema.get("items");
    let format = match text("format") {
        "" => items.and_then(|it| it.get("format")).and_then(Json::str).unwrap_or_default(),
        it => it,
    };
    let by_name = by_name(name);
    let said = |kinds, why| Parameter { kinds: by_name.kinds.and(kinds), why };
    if let Some(kind) = of_format(format) {
        return said(kind.into(), Why::Format);
    }
    if let Some(kind) = of_pattern(text("pattern")) {
        return said(kind.into(), Why::Pattern);
    }
    if by_name.why == Why::Name {
        return by_name;
    }
    let description: String = [text("title"), " ", text("description")].concat().to_lowercase();
    let description: String = description.chars().take(DESCRIPTION_CHARS_MAX).collect();
    let last = last_word(name);
    if is_ambiguous(&last) && !is_of_search(&description) {
        if speaks_sql(&description) {
            return Parameter { kinds: Kind::Sql.into(), why: Why::Description };
        }
        if tool.speaks_sql {
            return Parameter { kinds: Kind::Sql.into(), why: Why::Tool };
        }
    }
    if tool.runs && runs_by_name(&last) {
        return Parameter { kinds: Kind::Word.into(), why: Why::Tool };
    }
    match of_description(&description) {
        Some(kind) => Parameter { kinds: kind.into(), why: Why::Description },
        None => by_name,
    }
}

fn of_format(format: &str) -> Option<Kind> {
    match format {
        "uri" | "url" | "uri-reference" | "iri" | "iri-reference" | "http-url" => Some(Kind::Url),
        "email" | "idn-email" => Some(Kind::Email),
        "hostname" | "idn-hostname" | "ipv4" | "ipv6" => Some(Kind::Word),
        "password" => Some(Kind::Secret),
        "path" | "file-path" | "directory-path" | "file" | "directory" | "filename" => {
            Some(Kind::Path)
        }
        "sql" => Some(Kind::Sql),
        "command" | "shell" => Some(Kind::Command),
        _ => None,
    }
}

fn of_pattern(pattern: &str) -> Option<Kind> {
    let begins = |starts: &[&str]| starts.iter().any(|it| pattern.starts_with(it));
    if begins(&["^http", "^(http", "^(?:http", "^ws", "^(?i)http"]) {
        return Some(Kind::Url);
    }
    begins(&["^/", "^\\/", "^file:", "^(/", "^(?:/"]).then_some(Kind::Path)
}

/// What the name alone says.
pub(super) fn by_name(name: &str) -> Parameter {
    let (last, whole) = (last_word(name), name.to_ascii_lowercase());
    let kinds = of_word(&last);
    let kinds = match whole.replace(['_', '-', '.'], "").as_str() {
        "authorization" | "proxyauthorization" | "cookie" => Kind::Secret.into(),
        _ if is_upstream(&whole, &last) => Kinds::from(Kind::Upstream).and(Kind::Url.into()),
        "commandline" | "cmdline" => Kind::Command.into(),
        "sqlquery" | "sqlqueries" | "sqlstatement" | "sqlstatements" => Kind::Sql.into(),
        _ => kinds.unwrap_or_default(),
    };
    let is_said = !kinds.is_plain() || is_content(&last);
    if !is_said && is_secret_name(name) {
        return Parameter { kinds: Kind::Secret.into(), why: Why::Name };
    }
    Parameter { kinds, why: if is_said { Why::Name } else { Why::Nothing } }
}

fn of_word(word: &str) -> Option<Kinds> {
    Some(match word {
        "path" | "paths" | "file" | "files" | "filename" | "filenames" | "filepath"
        | "filepaths" | "dir" | "dirs" | "directory" | "directories" | "folder" | "folders"
        | "cwd" | "root" | "roots" | "source" | "src" | "destination" | "dest" | "dst"
        | "workdir" | "workspace" => Kind::Path.into(),
        "uri" | "uris" => Kinds::from(Kind::Path).and(Kind::Url.into()),
        "url" | "urls" | "href" | "hrefs" | "link" | "links" | "webhook" | "website"
        | "homepage" => Kind::Url.into(),
        "sql" | "sqls" => Kind::Sql.into(),
        "command" | "commands" | "cmd" | "shell" | "bash" => Kind::Command.into(),
        "args" | "argv" | "flags" => Kind::Words.into(),
        "branch" | "branches" | "ref" | "refs" | "refspec" | "revision" | "rev" | "commit"
        | "sha" | "remote" | "host" | "hosts" | "hostname" | "hostnames" => Kind::Word.into(),
        "email" | "emails" | "recipient" | "recipients" | "cc" | "bcc" => Kind::Email.into(),
        _ => return None,
    })
}

/// Whom a server talks to is for whoever starts it. A relative `endpoint` is not that, which the rule
/// about them knows.
fn is_upstream(name: &str, last: &str) -> bool {
    let squeezed = name.replace(['_', '-', '.'], "");
    let ends = ["baseurl", "baseuri", "apibase", "apiurl", "serverurl", "hosturl", "instanceurl"];
    let selects = name.starts_with("x-") && matches!(last, "url" | "uri" | "host" | "endpoint");
    selects
        || ends.iter().any(|it| squeezed.ends_with(it))
        || squeezed == "endpointurl"
        || matches!(last, "endpoint" | "upstream" | "proxy")
}

/// What holds words for people: nothing in it is run, opened or fetched.
fn is_content(word: &str) -> bool {
    matches!(
        word,
        "content"
            | "contents"
            | "text"
            | "texts"
            | "body"
            | "message"
            | "messages"
            | "msg"
            | "description"
            | "title"
            | "subject"
            | "comment"
            | "comments"
            | "note"
            | "notes"
            | "prompt"
            | "summary"
            | "thought"
            | "thoughts"
            | "observation"
            | "observations"
            | "caption"
            | "markdown"
            | "html"
            | "code"
            | "pattern"
            | "patterns"
            | "regex"
            | "label"
            | "labels"
            | "reason"
            | "question"
            | "answer"
            | "str"
            | "topic"
            | "keyword"
            | "keywords"
            | "instruction"
            | "instructions"
            | "insight"
            | "name"
    )
}

/// What may hold a statement or a search.
pub(crate) fn is_ambiguous(word: &str) -> bool {
    matches!(
        word,
        "query" | "queries" | "statement" | "statements" | "stmt" | "q" | "expression" | "input"
    )
}

/// What a program is told by name.
fn runs_by_name(word: &str) -> bool {
    matches!(
        word,
        "tag"
            | "tags"
            | "package"
            | "packages"
            | "container"
            | "image"
            | "pod"
            | "namespace"
            | "deployment"
            | "service"
            | "context"
            | "domain"
            | "ip"
            | "address"
            | "target"
            | "module"
            | "resource"
    )
}

fn is_of_search(description: &str) -> bool {
    ["search", "keyword", "natural language", "free text"].iter().any(|it| description.contains(it))
        && !has_word(description, "sql")
}

fn speaks_sql(description: &str) -> bool {
    ["sql", "select", "sqlite", "postgresql", "mysql"].iter().any(|it| has_word(description, it))
}

fn of_description(text: &str) -> Option<Kind> {
    const PHRASES: &[(&str, Kind)] = &[
        ("sql query", Kind::Sql),
        ("sql statement", Kind::Sql),
        ("sql to ", Kind::Sql),
        ("shell command", Kind::Command),
        ("command to run", Kind::Command),
        ("command to execute", Kind::Command),
        ("command line", Kind::Command),
        ("absolute path", Kind::Path),
        ("file path", Kind::Path),
        ("path to ", Kind::Path),
        ("path of ", Kind::Path),
        ("working directory", Kind::Path),
        ("branch or commit", Kind::Word),
        ("branch name", Kind::Word),
        ("name of the branch", Kind::Word),
        ("commit hash", Kind::Word),
        ("git ref", Kind::Word),
        ("hostname", Kind::Word),
        ("ip address", Kind::Word),
        ("email address", Kind::Email),
        ("e-mail address", Kind::Email),
    ];
    let found = PHRASES.iter().find(|(phrase, _)| text.contains(phrase)).map(|(_, kind)| *kind);
    found.or_else(|| (has_word(text, "url") || has_word(text, "urls")).then_some(Kind::Url))
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|it: char| !it.is_alphanumeric()).any(|it| it == word)
}

/// The word of a name that says what it is, in lower case: of `filePath`, `file_path` and `PATH`. That
/// of a `branch_name` is the branch.
pub(crate) fn last_word(name: &str) -> String {
    let mut words = words(name);
    let last = words.pop().unwrap_or_default();
    let says_nothing = matches!(last.as_str(), "name" | "names" | "hash" | "string" | "list");
    words.pop().filter(|_| says_nothing).unwrap_or(last)
}

/// The words of a name, in lower case.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    let mut letters = name.chars().peekable();
    while let Some(it) = letters.next() {
        // `filePath`, `URLPath`
        let begins = it.is_uppercase()
            && (before.is_lowercase()
                || before.is_uppercase() && letters.peek().is_some_and(|it| it.is_lowercase()));
        if begins || !it.is_alphanumeric() {
            words.push(String::new());
        }
        if it.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(it.to_lowercase());
        }
        before = it;
    }
    words.retain(|it| !it.is_empty());
    words
}

/// The first words of a description, in lower case.
pub(super) fn words_of_text(text: &str) -> Vec<String> {
    let text: String = text.chars().take(DESCRIPTION_CHARS_MAX).collect();
    let words = text.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty());
    words.map(str::to_lowercase).collect()
}
