//! What a tool does, as far as it matters for what its arguments may be. A server's own words are
//! taken for what they add: what it says of a tool makes rules look, and never look away.

use stockade_kit::query::Dialect;

use super::infer::{words, words_of_text};
use crate::json::Json;
use crate::role::{Role, Roles};

/// What a tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// It is said to read from a database, and to change nothing.
    pub reads: bool,
    /// It looks something up, in a database or elsewhere.
    pub looks_up: bool,
    /// It is called as what takes something away.
    pub takes_away: bool,
    /// It is called as what changes how a database is built.
    pub migrates: bool,
    /// It is called as a search: what it is given are words to look for.
    pub searches: bool,
    /// It runs programs.
    pub runs: bool,
    /// The program is `make`, which takes variables for what is to be made.
    pub makes: bool,
    /// It is called as what runs programs, or does something else: `find_orders`, `convert_time`.
    pub(super) may_run: bool,
    /// It is said to be a shell.
    pub is_shell: bool,
    /// It talks to the world outside: what it is given may go anywhere.
    pub is_open: bool,
    /// It goes where a URL leads: it fetches, navigates, downloads.
    pub goes: bool,
    /// It asks machines of a network something.
    pub asks_network: bool,
    /// It speaks SQL.
    pub speaks_sql: bool,
    /// Whose SQL.
    pub dialect: Dialect,
}

impl Default for Traits {
    fn default() -> Self {
        let dialect = Dialect::Unknown;
        Self {
            reads: false,
            looks_up: false,
            takes_away: false,
            migrates: false,
            searches: false,
            runs: false,
            makes: false,
            may_run: false,
            is_shell: false,
            is_open: false,
            goes: false,
            asks_network: false,
            speaks_sql: false,
            dialect,
        }
    }
}

impl Traits {
    /// Of a tool of which only the name is known.
    pub fn of_name(name: &str) -> Self {
        let roles = Roles::of_name(name);
        let words = words(name);
        let any = |list: &[&str]| words.iter().any(|it| list.contains(&it.as_str()));
        Self {
            reads: any(READS) && !any(WRITES),
            looks_up: any(READS) || any(LOOKS_UP) || any(SQL),
            takes_away: any(TAKES_AWAY),
            migrates: any(MIGRATES),
            searches: any(SEARCHES) && !any(SQL) && !any(TABLES),
            // Of one that nobody has described the worst is thought.
            runs: any(RUNS) || any(MAY_RUN),
            makes: any(&["make"]),
            may_run: any(MAY_RUN),
            is_shell: any(SHELLS),
            is_open: roles.has(Role::OpenWorld) || any(SENDS),
            goes: any(GOES),
            asks_network: any(GOES) || any(NETWORK),
            speaks_sql: any(SQL),
            dialect: dialect(&words),
        }
    }

    /// Of a tool as its server describes it.
    pub fn read(tool: Json<'_>, roles: Roles) -> Self {
        let text = |name| tool.get(name).and_then(Json::str).unwrap_or_default();
        let hint = |name| tool.get("annotations").and_then(|it| it.get(name)).and_then(Json::bool);
        let named = Self::of_name(text("name"));
        let description = words_of_text(text("description"));
        let any = |list: &[&str]| description.iter().any(|it| list.contains(&it.as_str()));
        let pair = |a: &str, b: &str| {
            description.windows(2).any(|it| matches!(it, [x, y] if x == a && y == b))
        };
        let begins = |list: &[&str]| {
            description.first().is_some_and(|it| {
                list.contains(&it.as_str()) || list.contains(&it.trim_end_matches('s'))
            })
        };
        let name = words(text("name"));
        let runs_by_name = name.iter().any(|it| RUNS.contains(&it.as_str()));
        let makes = [("gnu", "make"), ("using", "make"), ("via", "make"), ("with", "make")];
        let says_make = makes.iter().any(|(a, b)| pair(a, b))
            || ["command", "target", "targets"].iter().any(|it| pair("make", it));
        let says_run = begins(STARTS)
            && !any(SQL)
            && (any(PROGRAMS) || first_program(&description).is_some_and(|it| FIRST.contains(&it)));
        let says_read_only = pair("read", "only") || any(&["readonly"]);
        Self {
            reads: named.reads || says_read_only || hint("readOnlyHint") == Some(true),
            looks_up: named.looks_up || any(SQL) || begins(READS) || begins(LOOKS_UP),
            // A description is for a model to read; a name is what a person has seen and let be.
            takes_away: named.takes_away,
            migrates: named.migrates,
            searches: named.searches,
            runs: runs_by_name
                || pair("shell", "command")
                || pair("command", "line")
                || named.may_run && (any(PROGRAMS) || says_make)
                || says_run,
            // A tool called `make_label` makes something else.
            makes: says_make
                || says_run && first_program(&description) == Some("make")
                || named.makes && runs_by_name,
            may_run: named.may_run,
            is_shell: named.is_shell
                || SHELLS.iter().chain(&["system", "cli", "console"]).any(|shell| {
                    let lines = ["command", "commands", "script", "scripts", "session"];
                    lines.iter().any(|it| pair(shell, it))
                })
                || pair("terminal", "process"),
            is_open: named.is_open || roles.has(Role::OpenWorld) || begins(SENDS),
            goes: named.goes || begins(GOES),
            asks_network: named.asks_network || begins(GOES) || any(NETWORK),
            speaks_sql: named.speaks_sql || any(SQL),
            dialect: if named.dialect == Dialect::Unknown {
                dialect(&description)
            } else {
                named.dialect
            },
        }
    }
}

const READS: &[&str] = &[
    "read", "readonly", "select", "list", "get", "show", "describe", "explain", "view", "find",
    "search", "analyze",
];

const WRITES: &[&str] = &[
    "write", "insert", "update", "delete", "modify", "alter", "drop", "create", "execute", "exec",
    "run", "append", "upsert", "migrate", "import", "set", "put",
];

const LOOKS_UP: &[&str] = &[
    "lookup",
    "look",
    "query",
    "fetch",
    "retrieve",
    "load",
    "filter",
    "count",
    "check",
    "verify",
    "login",
    "authenticate",
    "report",
    "stats",
    "browse",
    "match",
    "export",
    "track",
];

const TAKES_AWAY: &[&str] = &[
    "drop",
    "truncate",
    "delete",
    "remove",
    "purge",
    "wipe",
    "clear",
    "destroy",
    "reset",
    "migrate",
    "migration",
    "cleanup",
];

const MIGRATES: &[&str] = &["migrate", "migration", "migrations", "ddl"];

const SEARCHES: &[&str] = &["search", "websearch", "google", "bing", "duckduckgo"];

const TABLES: &[&str] = &["db", "database", "databases", "table", "tables", "row", "rows"];

const SHELLS: &[&str] = &["shell", "bash", "zsh", "powershell", "pwsh", "terminal"];

const RUNS: &[&str] = &[
    "git",
    "exec",
    "execute",
    "run",
    "shell",
    "bash",
    "sh",
    "zsh",
    "powershell",
    "command",
    "cmd",
    "terminal",
    "spawn",
    "ssh",
    "scp",
    "rsync",
    "ping",
    "traceroute",
    "nslookup",
    "dig",
    "whois",
    "nmap",
    "curl",
    "wget",
    "docker",
    "podman",
    "kubectl",
    "helm",
    "npm",
    "npx",
    "pip",
    "uv",
    "yarn",
    "pnpm",
    "cargo",
    "grep",
    "ffmpeg",
    "tar",
    "zip",
    "adb",
    "osascript",
];

/// Verbs for much else, of tools that a program is behind only where more of them says so.
const MAY_RUN: &[&str] =
    &["process", "make", "find", "convert", "install", "clone", "build", "deploy"];

/// What speaks of programs in a description.
const PROGRAMS: &[&str] = &[
    "command",
    "commands",
    "shell",
    "cli",
    "subprocess",
    "executable",
    "binary",
    "git",
    "ffmpeg",
    "imagemagick",
    "grep",
    "npm",
    "pip",
    "docker",
    "program",
];

/// What a description begins with that says what is started.
const STARTS: &[&str] = &["run", "execute", "invoke", "launch", "spawn", "start"];

/// Programs that are no other word there: `Runs make to …`, `Runs the rg …`.
const FIRST: &[&str] = &[
    "make", "cmake", "rg", "ripgrep", "find", "sed", "awk", "convert", "pytest", "mvn", "gradle",
    "node", "python", "rsync", "tar", "zip", "ssh", "curl", "cargo", "kubectl", "helm",
];

/// What is said to be started: `Runs make`, `Runs the rg command`.
fn first_program(description: &[String]) -> Option<&str> {
    description.iter().skip(1).map(String::as_str).find(|it| *it != "the")
}

/// What takes something out, whoever asks for it: besides what `role` guesses of a whole sentence.
const SENDS: &[&str] = &[
    "send",
    "post",
    "publish",
    "share",
    "upload",
    "email",
    "mail",
    "sms",
    "tweet",
    "notify",
    "webhook",
    "fetch",
    "http",
    "https",
    "request",
    "browse",
    "browser",
    "navigate",
    "curl",
    "wget",
    "crawl",
    "scrape",
    "slack",
    "discord",
    "telegram",
    "twitter",
    "gist",
    "paste",
    "pastebin",
    "push",
    "forward",
    "reply",
    "download",
    "websearch",
];

const GOES: &[&str] = &[
    "fetch",
    "navigate",
    "goto",
    "crawl",
    "scrape",
    "download",
    "browse",
    "visit",
    "curl",
    "wget",
    "http",
    "https",
    "request",
    "screenshot",
    "open",
    "import",
    "webhook",
    "load",
    "clip",
    "extract",
];

const NETWORK: &[&str] = &[
    "ping",
    "traceroute",
    "dns",
    "whois",
    "nslookup",
    "dig",
    "resolve",
    "port",
    "ports",
    "scan",
    "nmap",
    "ssl",
    "tls",
    "certificate",
    "http",
    "https",
    "network",
    "reachable",
    "geolocation",
];

const SQL: &[&str] = &[
    "sql",
    "sqlite",
    "mysql",
    "mariadb",
    "postgres",
    "postgresql",
    "pg",
    "duckdb",
    "nl2sql",
    "snowflake",
    "bigquery",
    "clickhouse",
    "mssql",
    "oracle",
    "redshift",
    "motherduck",
    "sqlserver",
    "tsql",
    "ddl",
];

fn dialect(words: &[String]) -> Dialect {
    let mut found = Dialect::Unknown;
    for word in words {
        let next = match word.as_str() {
            "sqlite" | "sqlite3" => Dialect::Sqlite,
            "postgres" | "postgresql" | "pg" => Dialect::Postgres,
            "mysql" | "mariadb" => Dialect::MySql,
            "duckdb" | "motherduck" => Dialect::DuckDb,
            "redshift" | "supabase" => Dialect::Postgres,
            "mssql" | "sqlserver" | "tsql" => Dialect::MsSql,
            "bigquery" => Dialect::BigQuery,
            "clickhouse" => Dialect::ClickHouse,
            "snowflake" => Dialect::Snowflake,
            _ => continue,
        };
        // Of a tool for several it is not known which is meant.
        if found != Dialect::Unknown && found != next {
            return Dialect::Unknown;
        }
        found = next;
    }
    found
}
