//! `stockade example hardened|vulnerable`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use vulnerable::probe::{self, Plan};

use super::run::runtime;
use crate::failure::{Exit, Failure};

/// Start one of the two reference servers
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade run -- stockade example hardened --root .
  stockade example vulnerable --listen 127.0.0.1:8500
  stockade sandbox -- stockade example vulnerable --probe")]
pub(super) struct Example {
    /// Which one
    server: Which,
    /// Serve Streamable HTTP here instead of standard input and output. Loopback only
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The directory that it serves files from
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Have the vulnerable one try to get out of what holds it, print a line of JSON about each
    /// attempt, and end
    #[arg(long, conflicts_with = "listen")]
    probe: bool,
    /// What was planted for the attempts: a JSON object
    #[arg(long, value_name = "FILE", requires = "probe")]
    plan: Option<PathBuf>,
    /// Only attempts whose names begin so
    #[arg(long, value_name = "PREFIX", requires = "probe")]
    only: Option<String>,
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
        if self.probe {
            return self.probe();
        }
        runtime(1)?.block_on(self.serve())
    }

    fn probe(&self) -> Result<ExitCode, Failure> {
        if matches!(self.server, Which::Hardened) {
            let says = "the hardened server does not try to get out";
            return Err(
                Failure::new(Exit::Usage, says).help("write `stockade example vulnerable --probe`")
            );
        }
        let plan = self.plan.as_deref().map_or_else(|| Ok(Plan::default()), Plan::read);
        let plan = plan.map_err(|it| Failure::new(Exit::Usage, "cannot read the plan").from(it))?;
        let plan = match &self.only {
            Some(prefix) => plan.only(prefix.clone()),
            None => plan,
        };
        probe::run(&plan, std::io::stdout().lock())
            .map_err(|it| Failure::new(Exit::Server, "the attempts cannot be made").from(it))?;
        Ok(ExitCode::SUCCESS)
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
