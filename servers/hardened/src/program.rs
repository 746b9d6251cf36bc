//! The programs that the server starts: two, each with its own grammar of arguments. They are given
//! no shell, no environment, no path to open (a file arrives already open, on standard input), a
//! time limit and a bound on what they may say.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use stockade_kit::command::{Command, Pattern};
use stockade_kit::{Argv, Failure, Root, limits};
use tokio::io::AsyncReadExt;

use crate::tell::{of_root, of_task, printable};

/// A program of the list.
#[derive(Clone, Copy, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Program {
    /// The date: at most one of `+%F`, `+%T`, `+%s`, after an optional `-u`.
    Date,
    /// Counts lines (`-l`), words (`-w`) or bytes (`-c`) of the input file.
    Wc,
}

/// What a program said.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
pub(crate) struct Outcome {
    /// The exit code, if the program was not stopped by a signal.
    pub(crate) exit_code: Option<i32>,
    /// Standard output.
    pub(crate) output: String,
    /// Whether the output was longer than is shown.
    pub(crate) more: bool,
}

impl Program {
    fn grammar(self) -> Command {
        match self {
            Self::Date => {
                Command::new("date").option("-u").rest(Pattern::one_of(["+%F", "+%T", "+%s"]), 1)
            }
            Self::Wc => Command::new("wc").option("-l").option("-w").option("-c"),
        }
    }
}

pub(crate) async fn run(
    root: &Arc<Root>,
    program: Program,
    arguments: &[String],
    input: Option<String>,
) -> Result<Outcome, Failure> {
    let argv = program
        .grammar()
        .argv(arguments)
        .map_err(|refusal| Failure::told(format!("cannot run this: {refusal}")))?;
    let input = match input {
        Some(path) => Stdio::from(open(root, path).await?),
        None => Stdio::null(),
    };
    match tokio::time::timeout(TIME_MAX, finish(&argv, input)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::told("the program took too long and was stopped")),
    }
}

async fn open(root: &Arc<Root>, path: String) -> Result<std::fs::File, Failure> {
    let root = Arc::clone(root);
    let file = tokio::task::spawn_blocking(move || root.open(&path))
        .await
        .map_err(of_task)?
        .map_err(|error| of_root("open the input", error))?;
    Ok(file.into_std())
}

/// Dropping this, as the time limit does, kills the program.
async fn finish(argv: &Argv, input: Stdio) -> Result<Outcome, Failure> {
    let failed = |error| Failure::new("the program could not be run", error);
    let mut command = argv.command();
    command.current_dir("/").stdin(input).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child =
        tokio::process::Command::from(command).kill_on_drop(true).spawn().map_err(failed)?;
    let mut bytes = Vec::new();
    if let Some(output) = child.stdout.take() {
        // Leaving the rest unread closes the pipe, which ends a program that says too much.
        output.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut bytes).await.map_err(failed)?;
    }
    let status = child.wait().await.map_err(failed)?;
    let text = printable(&String::from_utf8_lossy(&bytes));
    let most = usize::try_from(OUTPUT_BYTES_MAX).unwrap_or(usize::MAX);
    let (output, more) = limits::clip(&text, most);
    Ok(Outcome { exit_code: status.code(), output: output.to_owned(), more })
}

const TIME_MAX: Duration = Duration::from_secs(5);
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;
