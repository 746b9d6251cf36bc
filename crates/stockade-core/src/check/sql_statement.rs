#![doc = include_str!("sql_statement.md")]

mod reaching;

use std::sync::LazyLock;

use regex::Regex;
use stockade_kit::query::{Dialect, Kind as Does, Query, Refusal};

use super::{Check, Facts, Findings, Rule, rules};
use crate::argument::{Argument, Called, Kind, Read, Why, is_ambiguous, last_word};
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
    is_sure || is_sql(it.call, it.str)
}

/// What there is in a text, by the policy's dialect or the tool's: one statement, but for a tool
/// that changes how a database is built.
pub(super) fn parse(call: &Called<'_>, sql: &str) -> Read {
    call.statements().read(dialect(call), sql, call.traits().migrates)
}

fn dialect(call: &Called<'_>) -> Dialect {
    call.inputs.dialect().unwrap_or(call.traits().dialect)
}

/// What the policy or the tool has it be.
pub(super) fn may(call: &Called<'_>) -> Sql {
    let traits = call.traits();
    let default = if traits.reads && !traits.migrates { Sql::Read } else { Sql::Write };
    call.inputs.sql().unwrap_or(default)
}

/// Where nothing is said of what may hold a statement, one that reads like one is one, of a tool
/// that was listed as of another. A search is for words.
fn looks_like_sql(it: &Argument<'_>) -> bool {
    let may = it.why == Why::Nothing && !it.is_name() && is_ambiguous(&last_word(it.name));
    may && !it.call.traits().searches && is_sql(it.call, it.str)
}

/// Whether a text is SQL and no prose: it can be read as a statement that names a table, calls a
/// function or changes something, or it has the words of one in it.
fn is_sql(call: &Called<'_>, text: &str) -> bool {
    if !begins_as_sql(text) {
        return text.contains(';') && has_words(text);
    }
    // Where SQL is expected, what begins so and has a sign in it is some, whether it parses or not.
    if call.traits().speaks_sql
        && (text.contains(['=', '(', '*', '\'', '$', '@', '`', '[', '\\', '/', '#', '!'])
            || !text.trim().contains(char::is_whitespace))
    {
        return true;
    }
    if has_words(text) {
        return true;
    }
    match call.statements().read(dialect(call), text, true).as_ref() {
        // `select 1 shutdown` names nothing, and is no prose of a tool for SQL.
        Ok(all) => {
            let is_stacked = |it: &Query| it.obstacles().contains(&Refusal::Stacked);
            all.iter().any(is_more) || call.traits().speaks_sql && all.iter().any(is_stacked)
        }
        Err(Refusal::Unparsable | Refusal::Empty) => false,
        // Nobody has looked.
        Err(Refusal::TooMuch) => true,
        // It was made to be read in two ways.
        Err(_) => text.contains(';'),
    }
}

/// Whether a statement is more than words in a row: `call me`, `use cases` and `select the best` are
/// statements to a parser.
fn is_more(it: &Query) -> bool {
    const SAID: &[Does] =
        &[Does::Explain, Does::Show, Does::Session, Does::Transaction, Does::Lock];
    let kind = it.kind();
    if kind == Does::Read {
        return it.reads().next().or_else(|| it.functions().next()).is_some();
    }
    if kind == Does::Call {
        return it.functions().next().is_some() || it.plain().contains(['(', '\'']);
    }
    !SAID.contains(&kind)
}

/// Words that stand together in statements only, wherever in a text.
fn has_words(text: &str) -> bool {
    static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(SQL_WORDS).ok());
    WORDS.as_ref().is_none_or(|it| it.is_match(text))
}

/// What does not parse may still be run by a database that nobody has named.
const SQL_WORDS: &str = r#"(?ix)
    (?: ^ | [;)*/\s] ) (?:
        insert \s+ into \s+ [\w"'`\[.]+ \s* (?: \( | select\b | values\b | default\b )
      | update \s+ [\w"`\[\].]+ \s+ set \s+ [\w"`\[\].]+ \s* =
      | delete \s+ from \s+ [\w"`\[\].]+ \s* (?: ; | $ | where\b )
      | (?: drop | alter | create | truncate ) \s+ (?: table | database | schema | view | user | role
          | function | procedure | extension | trigger ) \s+ [\w"`\[\].]+ \s* (?: ; | $ | \( | as\b
          | add\b | drop\b | cascade\b | password\b | identified\b | shutdown\b | reconfigure\b
          | exec\b | execute\b | dbcc\b | kill\b )
      | reassign \s+ owned \s+ by \b
      | select \s+ (?: [\d.]+ | null | [\w.,\s]+ \s from \s+ [\w.]+ ) \s+ (?: backup | begin | bulk | checkpoint
          | commit | dbcc | deny | dump | exec | execute | grant | kill | load | reconfigure | restore | revert
          | revoke | rollback | save | setuser | shutdown | truncate | use | waitfor ) \b
      | (?: shutdown \s+ with \s+ nowait | reconfigure \s+ with \s+ override ) \b
      | union \s+ (?: all \s+ )? select\b
      | into \s+ (?: outfile | dumpfile ) \b
      | load \s+ data \b | copy \s+ \S+ \s+ (?: to | from ) \s+ (?: program \s | ['"] )
      | attach \s+ (?: database \s+ )? ['"]
      | (?: exec | execute ) \s+ (?: xp_ | sp_ )
    )
    | \b (?: load_file | load_extension | pg_read_file | pg_sleep | xp_cmdshell | openrowset ) \s* \("#;

fn begins_as_sql(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "select",
        "with",
        "insert",
        "update",
        "delete",
        "replace",
        "merge",
        "create",
        "drop",
        "alter",
        "truncate",
        "attach",
        "detach",
        "pragma",
        "copy",
        "load",
        "install",
        "call",
        "exec",
        "execute",
        "do",
        "begin",
        "commit",
        "rollback",
        "savepoint",
        "set",
        "reset",
        "show",
        "explain",
        "analyze",
        "vacuum",
        "bulk",
        "backup",
        "restore",
        "optimize",
        "put",
        "unload",
        "grant",
        "revoke",
        "values",
        "table",
        "describe",
        "desc",
        "use",
        "lock",
        "declare",
        "prepare",
        "export",
        "import",
        "reindex",
        "listen",
        "notify",
        "handler",
        "start",
        "discard",
        "refresh",
        "cluster",
        "kill",
        "flush",
        "deny",
        "reassign",
        "rename",
        "shutdown",
        "reconfigure",
        "checkpoint",
        "dbcc",
        "waitfor",
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
    let statements = parse(call, sql);
    let statements = match statements.as_ref() {
        // A person looks at what changes a database and is not understood: see `sql_definition`.
        Err(Refusal::Unparsable) if call.traits().migrates && !reaches_by_text(sql) => {
            return Ok(());
        }
        other => other.as_ref().map_err(ToString::to_string)?,
    };
    for query in statements {
        match may {
            Sql::Read => query.obstacles().first().map_or(Ok(()), |it| Err(it.to_string()))?,
            Sql::Write | Sql::Any => stays(call, query)?,
        }
    }
    Ok(())
}

/// Whether one of the functions that leave the database is named in a text that nobody can read.
fn reaches_by_text(sql: &str) -> bool {
    let mut words = sql.split(|it: char| !it.is_alphanumeric() && it != '_');
    words.any(|it| {
        let it = it.to_ascii_lowercase();
        it.contains('_') && reaching::is_listed(&it)
            || matches!(it.as_str(), "copy" | "outfile" | "dumpfile" | "attach" | "program")
    })
}

/// Whether a statement that may write does so in its database only, and to its tables.
fn stays(call: &Called<'_>, query: &Query) -> Result<(), String> {
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
        changes(call, query.plain())?;
    } else if kind == Does::Pragma {
        return query.clone().read_only().map(drop).map_err(|_| format!("it is {kind}"));
    }
    let opens_a_migration = kind == Does::Transaction && call.traits().migrates;
    if !(kind == Does::Change || ROWS.contains(&kind) || opens_a_migration) {
        return Err(format!("it is {kind}"));
    }
    // Whatever schema it is said to be of: `pg_catalog` has them all.
    if let Some(name) = query.functions().find(|it| reaching::leaves(dialect(call), it)) {
        return Err(format!("the function `{name}` reaches files, programs or other databases"));
    }
    let sending = query.functions().filter(|it| reaching::sends(it));
    let sent = query.writes().filter(|it| reaching::is_sent(it));
    if is_postgres(call)
        && let Some(name) = sending.chain(sent).next()
    {
        return Err(format!("`{name}` sends requests to other servers"));
    }
    if reaching::changes_by_text(query.plain())
        && let Some(name) = query.functions().find(|it| reaching::runs(it))
    {
        return Err(format!(
            "the function `{name}` runs a statement of its own, which changes something"
        ));
    }
    // `p.d.t` of BigQuery has a hyphen, and nothing else.
    if let Some(name) = query.reads().chain(query.writes()).find(|it| it.contains(['/', '\\', ':']))
    {
        return Err(Refusal::File(name.to_owned()).to_string());
    }
    let leaves = |it: &&Refusal| {
        matches!(
            it,
            Refusal::Into
                | Refusal::File(_)
                | Refusal::Accounts(_)
                | Refusal::System(_)
                | Refusal::Elsewhere(_)
                | Refusal::Stacked
        )
    };
    match query.obstacles().iter().find(leaves) {
        Some(it) => Err(it.to_string()),
        None => Ok(()),
    }
}

/// What a statement that changes a database is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Rows, tables, and what belongs to them.
    Tables,
    /// Code, accounts, or a whole database: a person is asked, see `sql_definition`.
    Definition(String),
    /// Files, programs, other servers.
    Beyond(String),
}

/// What a statement is about that a person is to see first, if it is that: code, accounts and
/// rights, and what a database does later by itself.
pub(super) fn definition(call: &Called<'_>, query: &Query) -> Option<String> {
    if query.kind() == Does::Change
        && let About::Definition(word) = about(query.plain())
    {
        return Some(word);
    }
    if !is_postgres(call) {
        return None;
    }
    // A view shows what it reads to whoever may read the view.
    let lower = query.plain().to_lowercase();
    let copies = query.kind() == Does::Change
        && [" as select ", " as ( select ", " as with ", " as table "]
            .iter()
            .any(|it| lower.contains(it));
    let names = query.writes().filter(|_| query.kind() != Does::Read).chain(query.functions());
    let names = names.chain(query.reads().filter(|_| copies));
    names.filter_map(|it| it.rsplit_once('.')).find_map(|(schema, _)| {
        let schema = schema.rsplit('.').next().unwrap_or_default();
        ASKED.contains(&schema).then(|| schema.to_owned())
    })
}

/// Whether a name may be one of an extension of PostgreSQL.
fn is_postgres(call: &Called<'_>) -> bool {
    matches!(dialect(call), Dialect::Postgres | Dialect::Unknown)
}

/// Schemas of extensions of PostgreSQL that run statements later, and keep accounts and keys.
const ASKED: &[&str] = &["cron", "auth", "vault", "pgsodium"];

/// Rights, by what stands behind the first word.
fn rights(lower: &str) -> Option<&'static str> {
    let mut words = lower.split(' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if matches!(first, "deny" | "reassign") {
        return Some("rights");
    }
    if !matches!(first, "create" | "alter" | "drop") {
        return None;
    }
    let has = |it: &str| lower.contains(it);
    // What else is made sure of, and by which statements, is left out or runs at once.
    let is_off =
        |it: &str| has(&format!(" disable {it} ")) || has(&format!(" enable replica {it} "));
    let without_rows = has(" disable row level security") || has(" no force row level security");
    match second {
        "policy" => Some("policy"),
        "authorization" => Some("rights"),
        "default" if has(" privileges ") => Some("rights"),
        _ if first == "alter" && is_off("trigger") => Some("triggers"),
        _ if first == "alter" && is_off("rule") => Some("rules"),
        _ if first == "alter" && has(" owner to ") => Some("owner"),
        _ if first == "alter" && without_rows => Some("row level security"),
        "schema" if has(" authorization ") => Some("authorization"),
        _ => None,
    }
}

/// Reads the first words of a statement that has no comments.
pub(super) fn about(plain: &str) -> About {
    const TABLES: &[&str] = &[
        "table",
        "view",
        "index",
        "trigger",
        "sequence",
        "schema",
        "type",
        "virtual",
        "materialized",
        "analyze",
        "reindex",
        "truncate",
        "comment",
        "domain",
        "unique",
        "vacuum",
    ];
    const BEYOND: &[&str] = &[
        "language",
        "server",
        "system",
        "library",
        "plugin",
        "tablespace",
        "subscription",
        "publication",
        "load",
        "install",
        "secret",
        "foreign",
        "cast",
        "operator",
        "aggregate",
        "event",
        "stage",
        "storage",
        "integration",
        "connector",
        "credential",
        "assembly",
        "external",
        "wrapper",
    ];
    const DEFINITIONS: &[&str] = &[
        "extension",
        "function",
        "procedure",
        "role",
        "user",
        "grant",
        "revoke",
        "macro",
        "do",
        "database",
    ];
    /// Languages in which a function does whatever the database's own account may.
    const UNTRUSTED: &[&str] = &["language c", "plpython", "plperlu", "pltclu", "plsh", "internal"];
    /// Extensions that reach files, programs or other servers.
    const REACHING: &[&str] = &[
        "plpython",
        "plperlu",
        "pltclu",
        "plsh",
        "file_fdw",
        "dblink",
        "postgres_fdw",
        "adminpack",
        "http",
        "pg_net",
        "pg_cron",
        "mysql_fdw",
        "oracle_fdw",
        "lo",
        "aws_s3",
        "aws_lambda",
    ];
    let lower = plain.to_lowercase();
    if let Some(word) = rights(&lower) {
        return About::Definition(word.to_owned());
    }
    for word in lower.split_whitespace().take(8) {
        let word = word.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
        let word = word.into_iter().next().unwrap_or_default();
        if TABLES.contains(&word) {
            return About::Tables;
        }
        if BEYOND.contains(&word) {
            return About::Beyond(word.to_owned());
        }
        if DEFINITIONS.contains(&word) {
            let mut words = lower.split(|it: char| !it.is_alphanumeric() && !"_-".contains(it));
            let reaches = match word {
                "extension" => words.any(|it| {
                    REACHING.contains(&it) || it.starts_with("plpython") || it.ends_with("_fdw")
                }),
                "function" | "procedure" | "do" => UNTRUSTED.iter().any(|it| lower.contains(it)),
                _ => false,
            };
            return match reaches {
                true => About::Beyond(word.to_owned()),
                false => About::Definition(word.to_owned()),
            };
        }
    }
    About::Tables
}

/// What brings in files, programs or other servers is not for a tool that writes rows, and accounts
/// are only for one that changes how a database is built.
fn changes(call: &Called<'_>, plain: &str) -> Result<(), String> {
    let is_account = |it: &str| {
        matches!(it, "role" | "user" | "grant" | "revoke" | "rights" | "database" | "do")
    };
    match about(plain) {
        About::Beyond(word) => {
            return Err(format!("it is about `{word}`, which is more than rows and tables"));
        }
        About::Definition(word) if is_account(&word) && !call.traits().migrates => {
            return Err(format!("it is about `{word}`, which is more than rows and tables"));
        }
        About::Definition(_) | About::Tables => {}
    }
    let vacuums = plain.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("vacuum"));
    let into = || plain.split_whitespace().any(|it| it.eq_ignore_ascii_case("into"));
    match vacuums && into() {
        true => Err("it writes the database to another file".to_owned()),
        false => Ok(()),
    }
}
