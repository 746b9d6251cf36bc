//! What a parameter is, from what is said of it. The last word of its name says most: `file_path`,
//! `targetUrl`. A description counts only where the name says nothing.

use super::traits::Traits;
use super::{Kind, Kinds, Parameter, Parameters, Why};
use crate::check::is_secret_name;
use crate::json::Json;
use crate::role::Roles;
use crate::schema::unescape;

/// So much of a description is read: what a parameter is, is said first.
const DESCRIPTION_CHARS_MAX: usize = 240;

/// So many parameters of one tool are told apart. Others are taken for what their names say.
const PARAMETERS_MAX: usize = 512;

/// Reads the definition of a tool.
pub(super) fn parameters(tool: Json<'_>, roles: Roles) -> Parameters {
    let mut found = Parameters { traits: Traits::read(tool, roles), ..Parameters::default() };
    let Some(schema) = tool.get("inputSchema") else { return found };
    found.traits.runs |= found.traits.may_run && takes_command(schema);
    found.traits.is_shell |= found.traits.runs && is_told_to_shell(schema);
    declared(schema, &mut found);
    let mut left = NODES_MAX;
    for node in schema.all() {
        match node.name() {
            Some("properties") => {
                for (name, schema_of_one) in node.fields() {
                    if found.by_name.len() >= PARAMETERS_MAX {
                        break;
                    }
                    let said = Said::read(schema_of_one, schema, &mut left);
                    let one = parameter(name, &said, &found.traits);
                    let known = found.by_name.entry(name.into()).or_insert(one);
                    if known.kinds.is_plain() {
                        *known = one;
                    }
                    known.kinds = known.kinds.and(one.kinds);
                }
            }
            // What is in them has any name.
            Some("patternProperties") => {
                for (_, it) in node.fields() {
                    let one = parameter("", &Said::read(it, schema, &mut left), &found.traits);
                    found.add_unnamed(one);
                }
            }
            Some("additionalProperties" | "unevaluatedProperties") if node.is_object() => {
                let one = parameter("", &Said::read(node, schema, &mut left), &found.traits);
                found.add_unnamed(one);
            }
            _ => {}
        }
    }
    // Who can be told where to go, goes out.
    let reaches = |it: &Parameter| it.kinds.has(Kind::Url) && !it.kinds.has(Kind::Path);
    found.traits.is_open |= found.by_name.values().chain(&found.unnamed).any(reaches);
    found
}

impl Parameters {
    fn add_unnamed(&mut self, one: Parameter) {
        if one.kinds.is_plain() {
            return;
        }
        let known = self.unnamed.get_or_insert(one);
        known.kinds = known.kinds.and(one.kinds);
    }
}

/// Whether a tool has a parameter that is a command line, or says that it is one.
fn takes_command(schema: Json<'_>) -> bool {
    let properties = schema.all().filter(|it| it.name() == Some("properties"));
    properties.flat_map(Json::fields).any(|(name, it)| {
        let about = it.get("description").and_then(Json::str).unwrap_or_default().to_lowercase();
        let kinds = by_name(name).kinds;
        kinds.has(Kind::Command)
            || kinds.has(Kind::Words)
            || matches!(of_description(&about), Some(Kind::Command))
    })
}

/// Whether a parameter is said to be for a shell.
fn is_told_to_shell(schema: Json<'_>) -> bool {
    let properties = schema.all().filter(|it| it.name() == Some("properties"));
    properties.flat_map(Json::fields).any(|(name, it)| {
        let about = it.get("description").and_then(Json::str).unwrap_or_default().to_lowercase();
        let is_denied =
            ["without a shell", "no shell", "not a shell"].iter().any(|it| about.contains(it));
        by_name(name).kinds.has(Kind::Command)
            && ["shell", "bash", "terminal"].iter().any(|it| has_word(&about, it))
            && !is_denied
    })
}

/// What a schema says of a text, with what it refers to and chooses from.
#[derive(Debug, Default)]
struct Said<'a> {
    formats: Vec<&'a str>,
    patterns: Vec<&'a str>,
    description: String,
}

/// So many schemas are within one another.
const DEPTH_MAX: usize = 8;
/// So many are looked at for one tool, those that are referred to several times counted each time.
const NODES_MAX: usize = 20_000;

impl<'a> Said<'a> {
    fn read(schema: Json<'a>, root: Json<'a>, left: &mut usize) -> Self {
        let mut said = Self::default();
        said.add(schema, root, DEPTH_MAX, left);
        said.description = said.description.trim().to_lowercase();
        said
    }

    /// A cycle of references ends where the depth does.
    fn add(&mut self, schema: Json<'a>, root: Json<'a>, depth: usize, left: &mut usize) {
        if depth == 0 || *left == 0 || !(schema.is_object() && may_be_text(schema)) {
            return;
        }
        *left -= 1;
        let text = |key| schema.get(key).and_then(Json::str);
        self.formats.extend(text("format"));
        self.patterns.extend(text("pattern"));
        for it in [text("title"), text("description")].into_iter().flatten() {
            if self.description.len() < DESCRIPTION_CHARS_MAX * 4 {
                self.description.extend(it.chars().take(DESCRIPTION_CHARS_MAX));
                self.description.push(' ');
            }
        }
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let pointer = text(keyword).and_then(|it| it.strip_prefix('#'));
            let target = pointer.and_then(|it| root.at_pointer(&unescape(it)));
            if let Some(target) = target.filter(|it| it.pointer() != schema.pointer()) {
                self.add(target, root, depth - 1, left);
            }
        }
        for keyword in ["anyOf", "oneOf", "allOf", "prefixItems", "items"] {
            let Some(it) = schema.get(keyword) else { continue };
            if it.is_object() {
                self.add(it, root, depth - 1, left);
            }
            for it in it.items() {
                self.add(it, root, depth - 1, left);
            }
        }
        for keyword in ["if", "then", "else", "contains", "unevaluatedItems", "additionalItems"] {
            if let Some(it) = schema.get(keyword) {
                self.add(it, root, depth - 1, left);
            }
        }
    }
}

/// Whether a text can be what a schema describes, or what is in a list of it. What is in an object has
/// names of its own.
fn may_be_text(schema: Json<'_>) -> bool {
    let is_one = |it: &str| matches!(it, "string" | "array");
    match schema.get("type") {
        Some(it) if it.str().is_some() => it.str().is_some_and(is_one),
        Some(it) if it.is_array() => it.items().filter_map(Json::str).any(is_one),
        _ => schema.get("properties").is_none(),
    }
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

fn parameter(name: &str, said: &Said<'_>, tool: &Traits) -> Parameter {
    let by_name = by_name(name);
    let all = |kinds: Vec<Kind>| {
        kinds.into_iter().fold(by_name.kinds, |kinds, kind| kinds.and(kind.into()))
    };
    let formats: Vec<Kind> = said.formats.iter().filter_map(|it| of_format(it)).collect();
    let patterns: Vec<Kind> = said.patterns.iter().filter_map(|it| of_pattern(it)).collect();
    if !formats.is_empty() {
        return Parameter { kinds: all([formats, patterns].concat()), why: Why::Format };
    }
    if !patterns.is_empty() {
        return Parameter { kinds: all(patterns), why: Why::Pattern };
    }
    let description = &said.description;
    if by_name.why == Why::Name {
        return by_name;
    }
    let last = last_word(name);
    if is_ambiguous(&last) && !is_of_search(description) {
        if speaks_sql(description) {
            return Parameter { kinds: Kind::Sql.into(), why: Why::Description };
        }
        if tool.speaks_sql {
            return Parameter { kinds: Kind::Sql.into(), why: Why::Tool };
        }
    }
    if tool.runs && runs_by_name(&last) {
        return Parameter { kinds: Kind::Word.into(), why: Why::Tool };
    }
    if may_name_file(&last) && speaks_of_files(description) {
        return Parameter { kinds: Kind::Path.into(), why: Why::Description };
    }
    match of_description(description) {
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
        | "workdir" | "workspace" | "dirname" | "pathname" | "dirpath" | "outdir" | "outfile"
        | "outpath" | "outputdir" | "outputfile" | "outputpath" | "infile" | "inputfile"
        | "inputpath" | "logfile" | "savepath" | "basedir" | "basepath" | "rootdir" | "subdir"
        | "tmpdir" | "targetdir" | "configfile" | "configpath" | "localpath" | "folderpath"
        | "fullpath" | "foldername" | "directoryname" => Kind::Path.into(),
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
pub(super) fn is_content(word: &str) -> bool {
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

/// What may as well be the name of a file, where it is described as one.
fn may_name_file(word: &str) -> bool {
    matches!(
        word,
        "output"
            | "out"
            | "input"
            | "config"
            | "configuration"
            | "target"
            | "location"
            | "log"
            | "manifest"
            | "kubeconfig"
            | "dataset"
            | "template"
            | "attachment"
            | "attachments"
            | "archive"
            | "image"
            | "images"
            | "script"
            | "document"
            | "project"
            | "repo"
            | "repository"
            | "screenshot"
            | "backup"
            | "save"
            | "to"
            | "from"
            | "item"
            | "items"
            | "database"
            | "db"
    )
}

fn speaks_of_files(description: &str) -> bool {
    // `path of the URL`, `file name or ID`: of another kind as well.
    let is_other = ["url", "uri", "endpoint", "json", "xpath", "id", "css", "owner"];
    ["path", "paths", "filepath", "file", "filename", "directory", "folder"]
        .iter()
        .any(|it| has_word(description, it))
        && !is_other.iter().any(|it| has_word(description, it))
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
