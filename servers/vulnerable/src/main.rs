//! `vulnerable [--listen ADDR] [--root DIR]`: the server of mistakes as a program of its own.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use tokio::net::TcpListener;
use vulnerable::Options;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut line = format!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                line.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            // Nothing is left to be done if standard error is closed.
            let _ = writeln!(std::io::stderr(), "{line}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let (options, listen) = Options::parse(std::env::args().skip(1))?;
    match listen {
        Some(address) => vulnerable::http(TcpListener::bind(address).await?, options).await?,
        None => vulnerable::stdio(options).await?,
    }
    Ok(())
}
