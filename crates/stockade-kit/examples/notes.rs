//! A small MCP server with four kinds of tool that go wrong in practice, to copy from. It serves
//! the directory that it is given, over standard input and output:
//!
//! ```text
//! cargo run -p stockade-kit --all-features --example notes -- DIRECTORY
//! ```
//!
//! Each argument becomes a type of the kit before anything is done with it, and what a tool says of
//! an error is a [`Failure`]'s public half.

use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{Implementation, ServerCapabilities, ServerConfig};
use rmcp::{ServerHandler, ServiceExt, tool, tool_handler, tool_router};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use schemars::JsonSchema;
use serde::Deserialize;
use stockade_kit::command::{Argv, known};
use stockade_kit::query::{Dialect, Query};
use stockade_kit::root::RootError;
use stockade_kit::url::{Reach, Url};
use stockade_kit::{Failure, Root, limits};

#[derive(Clone)]
struct Notes {
    directory: std::path::PathBuf,
    root: Arc<Root>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadNote {
    /// A file, relative to the directory.
    path: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ask {
    /// One SELECT statement about `notes.db`.
    sql: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct History {
    /// Options and revisions for `git log`.
    #[serde(default)]
    arguments: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Head {
    /// An `http:` URL of a public host.
    url: String,
}

#[tool_router]
impl Notes {
    /// Reads a note.
    #[tool(annotations(read_only_hint = true))]
    async fn read_note(&self, Parameters(it): Parameters<ReadNote>) -> Result<String, String> {
        let root = Arc::clone(&self.root);
        answer(move || {
            // The kernel opens beneath the directory; the path is never joined to anything.
            let bytes = root.read(&it.path, BYTES_MAX).map_err(|error| {
                if matches!(error, RootError::Io(_)) {
                    Failure::new("cannot read the note", error)
                } else {
                    Failure::told(format!("cannot read the note: {error}"))
                }
            })?;
            String::from_utf8(bytes).map_err(|_| Failure::told("the note is not text"))
        })
        .await
    }

    /// Answers a query about the notes. Nothing can be changed.
    #[tool(annotations(read_only_hint = true))]
    async fn ask(&self, Parameters(it): Parameters<Ask>) -> Result<String, String> {
        let database = self.directory.join("notes.db");
        answer(move || {
            let sql = Query::parse(Dialect::Sqlite, &it.sql)
                .and_then(Query::read_only)
                .map_err(|refusal| Failure::told(format!("cannot run this: {refusal}")))?;
            // The check is advice; a handle that cannot write is what holds.
            let failed = |error| Failure::new("the query failed", error);
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let database = Connection::open_with_flags(database, flags).map_err(failed)?;
            let mut statement = database.prepare(sql.sql()).map_err(failed)?;
            let columns = statement.column_count();
            let mut rows = statement.query([]).map_err(failed)?;
            let mut text = String::new();
            while let Some(row) = rows.next().map_err(failed)? {
                for column in 0..columns {
                    text.push_str(&cell(row.get_ref(column).map_err(failed)?));
                    text.push('\t');
                }
                text.push('\n');
                if text.len() > BYTES_MAX {
                    break;
                }
            }
            Ok(text)
        })
        .await
    }

    /// Shows the history of the notes.
    #[tool(annotations(read_only_hint = true))]
    async fn history(&self, Parameters(it): Parameters<History>) -> Result<String, String> {
        let directory = self.directory.clone();
        answer(move || {
            let words: Vec<String> =
                ["git".to_owned(), "log".to_owned()].into_iter().chain(it.arguments).collect();
            let no_roots: [&str; 0] = [];
            let argv = known::judge(&words, &no_roots)
                .map_err(|hazard| Failure::told(format!("cannot run this: {hazard}")))?;
            run(&argv, &directory)
        })
        .await
    }

    /// Fetches the first line that a web server answers.
    #[tool(annotations(read_only_hint = true))]
    async fn head(&self, Parameters(it): Parameters<Head>) -> Result<String, String> {
        answer(move || {
            let url = Url::parse(&it.url, &["http"])
                .map_err(|refusal| Failure::told(format!("cannot fetch this: {refusal}")))?;
            let target = url
                .resolve(&Reach::public())
                .map_err(|why| Failure::new("cannot fetch this: the host is not public", why))?;
            // With an HTTP library: give it `target.addresses()`, and no redirects.
            let failed = |error| Failure::new("the host does not answer", error);
            let mut stream = target.connect(TIME_MAX).map_err(failed)?;
            stream.set_read_timeout(Some(TIME_MAX)).map_err(failed)?;
            let host = target.host();
            write!(stream, "HEAD / HTTP/1.0\r\nHost: {host}\r\n\r\n").map_err(failed)?;
            let mut answer = Vec::new();
            stream.take(1024).read_to_end(&mut answer).map_err(failed)?;
            let answer = String::from_utf8_lossy(&answer);
            Ok(answer.lines().next().unwrap_or_default().replace(char::is_control, " "))
        })
        .await
    }
}

#[tool_handler]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("notes", env!("CARGO_PKG_VERSION")))
    }
}

/// Does the work where it may block. A caller is told the public half of what went wrong, and
/// standard error, which is the operator's, all of it under the same id.
async fn answer(
    work: impl FnOnce() -> Result<String, Failure> + Send + 'static,
) -> Result<String, String> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|error| Err(Failure::new("the tool could not finish", error)));
    done.map_err(|failure| {
        let _ = writeln!(std::io::stderr(), "{}", failure.private());
        failure.public()
    })
}

fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}

/// What a program says, as far as it is shown. No shell, no environment, no input.
fn run(argv: &Argv, directory: &std::path::Path) -> Result<String, Failure> {
    let failed = |error| Failure::new("the program could not be run", error);
    let mut command = argv.command();
    command.current_dir(directory).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    let mut bytes = Vec::new();
    if let Some(output) = child.stdout.take() {
        let most = u64::try_from(BYTES_MAX).unwrap_or(u64::MAX);
        output.take(most).read_to_end(&mut bytes).map_err(failed)?;
    }
    child.wait().map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(limits::clip(&text, BYTES_MAX).0.to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os().nth(1).ok_or("which directory?")?;
    let root = Arc::new(Root::open_dir(&directory)?);
    let notes = Notes { directory: directory.into(), root };
    notes.serve(rmcp::transport::stdio()).await?.waiting().await?;
    Ok(())
}

const BYTES_MAX: usize = 256 * 1024;
const TIME_MAX: Duration = Duration::from_secs(10);
