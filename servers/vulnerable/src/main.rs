//! `vulnerable [--listen ADDR] [--root DIR]`: the server of mistakes as a program of its own; with
//! `vulnerable --probe [--plan FILE] [--only PREFIX]` it tries to get out, and ends.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before there is a second thread.
    vulnerable::probe::main_if_asked().unwrap_or_else(serve)
}

#[tokio::main]
async fn serve() -> ExitCode {
    hardened::start(vulnerable::stdio, vulnerable::http).await
}
