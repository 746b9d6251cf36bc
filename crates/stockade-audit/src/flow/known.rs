//! What functions of libraries make of what they are given.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use serde::Deserialize;

use crate::rules::fits;

/// What becomes of an argument.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Turn {
    Copy,
    Edit,
    Resolve,
    Normal,
    Join,
    Under,
    Resolved,
    Base,
    Number,
    Fixed,
    Decode,
    ParseUrl,
    Host,
    Scheme,
    Address,
    ParseAddress,
    Words,
    Parts,
    Piece,
    Above,
    Relative,
    Common,
    Text,
    QuoteShell,
    QuoteSql,
    QuoteUrl,
    QuoteRegex,
    QuoteLine,
    Inside,
    Bound,
    Harmless,
    Exit,
    Later,
    Secret,
}

/// By the last part of a name: language, name, and what it does.
type Known = FxHashMap<String, Vec<(String, String, Turn)>>;

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let read: Vec<(Turn, FxHashMap<String, Vec<String>>)> = toml::from_str::<
        FxHashMap<String, FxHashMap<String, Vec<String>>>,
    >(include_str!("known.toml"))
    .unwrap_or_default()
    .into_iter()
    .filter_map(|(turn, names)| {
        let turn = Turn::deserialize(toml::Value::String(turn)).ok()?;
        Some((turn, names))
    })
    .collect();
    let mut out: FxHashMap<String, Vec<_>> = FxHashMap::default();
    for (turn, languages) in read {
        for (language, names) in languages {
            for name in names {
                let last = name.rsplit('.').next().unwrap_or(&name).to_owned();
                out.entry(last).or_default().push((language.clone(), name, turn));
            }
        }
    }
    out
});

/// What a call of this name does with what it is given.
pub(crate) fn turn(language: &str, qualified: &str) -> Option<Turn> {
    let last = qualified.rsplit('.').next().unwrap_or(qualified);
    let found = KNOWN
        .get(last)?
        .iter()
        .filter(|(of, name, _)| (of == language || of == "any") && fits(name, qualified));
    // The longer name knows better.
    found.max_by_key(|it| it.1.len()).map(|it| it.2)
}

/// Programs that an option can make do anything.
pub(crate) const DANGEROUS: &[&str] = &[
    "git",
    "find",
    "tar",
    "curl",
    "wget",
    "ssh",
    "scp",
    "sftp",
    "rsync",
    "python",
    "python3",
    "node",
    "deno",
    "perl",
    "ruby",
    "php",
    "awk",
    "gawk",
    "sed",
    "xargs",
    "env",
    "docker",
    "podman",
    "kubectl",
    "helm",
    "npm",
    "npx",
    "yarn",
    "pnpm",
    "pip",
    "pip3",
    "uvx",
    "cargo",
    "go",
    "make",
    "ffmpeg",
    "man",
    "less",
    "more",
    "vim",
    "vi",
    "nano",
    "zip",
    "unzip",
    "psql",
    "mysql",
    "sqlite3",
    "gdb",
    "strace",
    "nmap",
    "tcpdump",
    "openssl",
    "gpg",
    "hg",
    "svn",
    "bundle",
    "gem",
    "mvn",
    "gradle",
    "terraform",
    "ansible",
    "rg",
    "fd",
    "sort",
    "7z",
    "exiftool",
    "pandoc",
    "wkhtmltopdf",
    "chromium",
    "google-chrome",
    "sudo",
    "nice",
    "timeout",
    "nohup",
    "xdg-open",
    "hugo",
    "adb",
];

/// Programs that read a command out of an argument.
pub(crate) const SHELLS: &[&str] = &[
    "sh",
    "bash",
    "zsh",
    "dash",
    "ksh",
    "fish",
    "ash",
    "cmd",
    "cmd.exe",
    "powershell",
    "powershell.exe",
    "pwsh",
    "busybox",
];

/// Options after which a program is given, for interpreters and shells.
pub(crate) const COMMANDS: &[&str] = &[
    "-c",
    "-lc",
    "-ic",
    "-ec",
    "-xc",
    "-cl",
    "-exc",
    "/c",
    "/C",
    "/k",
    "-Command",
    "-command",
    "-EncodedCommand",
    "-e",
    "--eval",
    "-p",
    "--command",
];

/// The end of a program's path.
pub(crate) fn program(text: &str) -> &str {
    text.rsplit(['/', '\\']).next().unwrap_or(text)
}

/// Whether a name is that of something that speaks to a database.
pub(crate) fn is_database(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    const WORDS: &[&str] = &[
        "db",
        "conn",
        "curs",
        "pool",
        "sql",
        "session",
        "engine",
        "knex",
        "prisma",
        "sequelize",
        "pg",
        "postgres",
        "mysql",
        "database",
        "client",
        "tx",
        "trx",
        "transaction",
        "store",
        "duck",
        "mssql",
        "oracle",
        "typeorm",
        "manager",
        "repository",
        "datasource",
        "query",
        "rusqlite",
        "stmt",
    ];
    // `client` and `session` speak of much else too, and so the text has to be SQL there; see `sinks`.
    WORDS.iter().any(|it| name.contains(it)) || matches!(name.as_str(), "cur" | "c")
}

/// Whether a text begins like SQL, or has the words of it.
pub(crate) fn is_sql(text: &str) -> bool {
    let text = text.trim_start().to_ascii_lowercase();
    const WORDS: &[&str] = &[
        "select ",
        "insert ",
        "update ",
        "delete ",
        "create ",
        "drop ",
        "alter ",
        "pragma ",
        "with ",
        "replace ",
        "truncate ",
        "explain ",
        "attach ",
        "grant ",
        "call ",
        "exec ",
        "describe ",
        "show ",
        "where ",
        "order by",
        "match ",
        "merge ",
        "select\n",
        "values",
        "copy ",
    ];
    WORDS.iter().any(|it| {
        text.starts_with(it)
            || text.contains(&format!(" {it}"))
            || text.contains(&format!("\n{it}"))
    })
}
