//! What code can do, by what it calls.

use serde::Serialize;

/// Something that a server can do to what is outside of it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Starts programs.
    Execute,
    /// Reads files.
    ReadFiles,
    /// Writes files.
    WriteFiles,
    /// Deletes files.
    Delete,
    /// Speaks to others.
    Network,
    /// Asks a database.
    Database,
    /// Reads the environment.
    Environment,
    /// Runs code that is made at run time.
    Evaluate,
}

impl Capability {
    /// What it is, behind "can".
    pub fn words(self) -> &'static str {
        match self {
            Self::Execute => "start programs",
            Self::ReadFiles => "read files",
            Self::WriteFiles => "write files",
            Self::Delete => "delete files",
            Self::Network => "speak to others",
            Self::Database => "ask a database",
            Self::Environment => "read the environment",
            Self::Evaluate => "run code that is made at run time",
        }
    }
}

/// What a call of this name can do.
pub(crate) fn of_call(name: &str) -> Option<Capability> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let has = |words: &[&str]| words.iter().any(|it| name.contains(it));
    if has(&[
        "subprocess.",
        "child_process.",
        "os.system",
        "os.popen",
        "exec.Command",
        "Command.new",
        "os.exec",
        "os.spawn",
        "execa",
        "create_subprocess",
        "pexpect",
        "Bun.spawn",
    ]) {
        return Some(Capability::Execute);
    }
    if matches!(
        last,
        "unlink"
            | "unlinkSync"
            | "rmtree"
            | "rmdir"
            | "rm"
            | "rmSync"
            | "remove_file"
            | "remove_dir_all"
            | "RemoveAll"
            | "rmdirSync"
    ) || name == "os.remove"
        || name == "os.Remove"
    {
        return Some(Capability::Delete);
    }
    if matches!(
        last,
        "write_text"
            | "write_bytes"
            | "writeFile"
            | "writeFileSync"
            | "appendFile"
            | "appendFileSync"
            | "WriteFile"
            | "mkdir"
            | "makedirs"
            | "mkdirSync"
            | "MkdirAll"
            | "create_dir_all"
            | "createWriteStream"
            | "rename"
            | "copyFile"
            | "copy2"
            | "copyfile"
            | "extractall"
    ) || has(&["File.create", "fs.write", "os.Create", "shutil."])
    {
        return Some(Capability::WriteFiles);
    }
    if name == "open"
        || matches!(
            last,
            "read_text"
                | "read_bytes"
                | "readFile"
                | "readFileSync"
                | "ReadFile"
                | "read_to_string"
                | "readdir"
                | "readdirSync"
                | "listdir"
                | "iterdir"
                | "scandir"
                | "ReadDir"
                | "read_dir"
                | "createReadStream"
                | "rglob"
        )
        || has(&["File.open", "os.Open", "aiofiles.open", "fs.read"])
    {
        return Some(Capability::ReadFiles);
    }
    if name == "fetch"
        || has(&[
            "requests.",
            "httpx.",
            "urllib.request",
            "aiohttp.",
            "axios",
            "http.Get",
            "http.Post",
            "http.NewRequest",
            "reqwest",
            "net.Dial",
            "socket.",
            "node-fetch",
            "undici",
            "ureq",
            "got.",
            "https.get",
            "http.get",
            "https.request",
            "http.request",
            "smtplib",
            "websockets",
            "paramiko",
        ])
    {
        return Some(Capability::Network);
    }
    if matches!(
        last,
        "execute"
            | "executemany"
            | "executescript"
            | "fetchall"
            | "QueryRow"
            | "QueryContext"
            | "ExecContext"
            | "queryRaw"
            | "query_row"
    ) || has(&[
        "sqlite3.", "psycopg", "sqlx.", "rusqlite", "pg.", "mysql", "mongodb", "pymongo", "redis",
        "sql.Open",
    ]) {
        return Some(Capability::Database);
    }
    if name == "eval"
        || name == "exec"
        || has(&["vm.run", "Function()", "importlib."])
        || name == "Function"
    {
        return Some(Capability::Evaluate);
    }
    if has(&["os.environ", "os.getenv", "process.env", "os.Getenv", "env.var"]) {
        return Some(Capability::Environment);
    }
    None
}
