//! What the server is started with, the few words of its command line, and how a program of these
//! words begins and ends.

use std::error::Error as StdError;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use thiserror::Error;
use tokio::net::TcpListener;

/// What the server is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The one directory whose files are served.
    pub root: PathBuf,
}

/// Why a command line is not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A word that means nothing here.
    #[error("unknown argument `{0}`")]
    Unknown(String),
    /// An option without its value.
    #[error("`{0}` needs a value")]
    Value(String),
    /// Not an address and a port.
    #[error("`{0}` is not an address like 127.0.0.1:8080")]
    Address(String),
}

/// The directory that the server was started in.
impl Default for Options {
    fn default() -> Self {
        Self { root: PathBuf::from(".") }
    }
}

impl Options {
    /// Reads `[--listen ADDR] [--root DIR]`. Without an address, the server speaks stdio.
    pub fn parse(
        args: impl IntoIterator<Item = String>,
    ) -> Result<(Self, Option<SocketAddr>), OptionsError> {
        let mut args = args.into_iter();
        let mut options = Self::default();
        let mut listen = None;
        while let Some(name) = args.next() {
            if name != "--listen" && name != "--root" {
                return Err(OptionsError::Unknown(name));
            }
            let value = args.next().ok_or_else(|| OptionsError::Value(name.clone()))?;
            if name == "--root" {
                options.root = PathBuf::from(value);
            } else {
                listen = Some(value.parse().map_err(|_| OptionsError::Address(value))?);
            }
        }
        Ok((options, listen))
    }
}

/// Serves as the command line of this process says, and tells on standard error why it cannot.
pub async fn start<E: StdError + 'static>(
    stdio: impl AsyncFnOnce(Options) -> Result<(), E>,
    http: impl AsyncFnOnce(TcpListener, Options) -> Result<(), E>,
) -> ExitCode {
    let served = async {
        let (options, listen) = Options::parse(std::env::args().skip(1))?;
        match listen {
            Some(address) => http(TcpListener::bind(address).await?, options).await?,
            None => stdio(options).await?,
        }
        Ok::<_, Box<dyn StdError>>(())
    };
    let Err(error) = served.await else { return ExitCode::SUCCESS };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<(&str, Option<&str>), OptionsError>) {
        let expected = expected.map(|(root, listen)| {
            (Options { root: root.into() }, listen.map(|it| it.parse().unwrap()))
        });
        let args = line.split_whitespace().map(str::to_owned);
        assert_eq!(Options::parse(args), expected, "{line}");
    }

    #[test]
    fn a_command_line_is_read_or_refused() {
        check("", Ok((".", None)));
        check("--root /srv", Ok(("/srv", None)));
        check("--listen [::1]:0 --root a", Ok(("a", Some("[::1]:0"))));
        check("--listen", Err(OptionsError::Value("--listen".into())));
        check("--listen here", Err(OptionsError::Address("here".into())));
        check("--rot a", Err(OptionsError::Unknown("--rot".into())));
    }
}
