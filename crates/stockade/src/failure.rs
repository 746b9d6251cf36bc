//! Expected failures: what a person reads, what to do next, and the exit code. Everything else is a
//! bug.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// An exit code, as documented in the command line's help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 1: findings, or a failed assertion.
    Findings,
    /// 2: usage or configuration, or the ledger cannot be written.
    Usage,
    /// 3: a remote server wants other credentials.
    Credentials,
    /// 4: the server cannot be reached or started, or ended by itself.
    Server,
    /// 5: a tool has failed, or a server has answered with an error.
    Tool,
    /// 6: the policy does not let it pass; or what would be started, or what it offers, is not what was approved.
    Denied,
    /// 97: a guarantee of the sandbox cannot be enforced here, so nothing was started.
    Unenforced,
}

impl Exit {
    /// It, as a number.
    pub fn code(self) -> u8 {
        match self {
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Credentials => 3,
            Self::Server => 4,
            Self::Tool => 5,
            Self::Denied => 6,
            Self::Unenforced => 97,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A failure that a person can do something about.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    whole: String,
    help: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure, in a lowercase fragment without a full stop.
    pub fn new(exit: Exit, says: impl Into<String>) -> Self {
        Self::rendered(exit, format!("error: {}", says.into()))
    }

    /// A failure that was put into words already, beginning with `error:`.
    pub fn rendered(exit: Exit, whole: String) -> Self {
        Self { exit, whole, help: None, source: None }
    }

    /// What to do next.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// What it comes from.
    #[must_use]
    pub fn from(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Its exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.whole)?;
        let mut cause: Option<&(dyn Error + 'static)> = match &self.source {
            Some(source) => Some(&**source),
            None => None,
        };
        while let Some(it) = cause {
            write!(f, ": {it}")?;
            cause = it.source();
        }
        if let Some(help) = &self.help {
            write!(f, "\nhelp: {help}")?;
        }
        Ok(())
    }
}

impl Error for Failure {}
