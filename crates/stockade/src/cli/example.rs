//! `stockade example hardened|vulnerable`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::run::runtime;
use crate::failure::{Exit, Failure};

/// Start one of the two reference servers
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade run -- stockade example hardened --root .
  stockade example vulnerable --listen 127.0.0.1:8500")]
pub(super) struct Example {
    /// Which one
    server: Which,
    /// Serve Streamable HTTP here instead of standard input and output. Loopback only
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The directory that it serves files from
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// Written the way Stockade advises
    Hardened,
    /// The same tools, written the way courses warn against. For tests and teaching
    Vulnerable,
}

impl Example {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        runtime(1)?.block_on(self.serve())
    }

    async fn serve(&self) -> Result<ExitCode, Failure> {
        let root = self.root.clone();
        let failed = |it: Box<dyn std::error::Error + Send + Sync>| {
            Failure::new(Exit::Server, "the example server cannot go on").from(it)
        };
        let Some(address) = self.listen else {
            match self.server {
                Which::Hardened => hardened::stdio(hardened::Options { root })
                    .await
                    .map_err(|it| failed(it.into()))?,
                Which::Vulnerable => {
                    vulnerable::stdio(vulnerable::Options { root })
                        .await
                        .map_err(|it| failed(it.into()))?;
                }
            }
            return Ok(ExitCode::SUCCESS);
        };
        let listener =
            tokio::net::TcpListener::bind(address).await.map_err(|it| failed(it.into()))?;
        match self.server {
            Which::Hardened => {
                hardened::http(listener, hardened::Options { root })
                    .await
                    .map_err(|it| failed(it.into()))?;
            }
            Which::Vulnerable => {
                vulnerable::http(listener, vulnerable::Options { root })
                    .await
                    .map_err(|it| failed(it.into()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
