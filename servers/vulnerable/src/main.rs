//! `vulnerable [--listen ADDR] [--root DIR]`: the server of mistakes as a program of its own.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    hardened::start(vulnerable::stdio, vulnerable::http).await
}
