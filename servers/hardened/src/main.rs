//! `hardened [--listen ADDR] [--root DIR]`: the reference server as a program of its own.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    hardened::start(hardened::stdio, hardened::http).await
}
