//! What a sandbox is made by: the options that say so, and what to do where it cannot be.

use clap::{Args, ValueEnum};
use stockade_sandbox::{Engine, EngineProgram, Error, Image};

use crate::failure::{Exit, Failure};

/// What a sandbox is made by.
#[derive(Clone, Debug, Args)]
pub(super) struct Backend {
    /// What holds it: walls of Stockade's own, or a container
    #[arg(long = "sandbox", value_name = "BACKEND", value_enum, default_value_t = By::Native)]
    by: By,
    /// The image of a container, with its digest; it must be there already. Without it, the
    /// container has this machine's programs, read only. What the image says of itself, its
    /// variables, user, volumes, entry point and labels, changes nothing
    #[arg(long, value_name = "NAME@sha256:DIGEST")]
    image: Option<Image>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Namespaces, mounts, Landlock and seccomp, by Stockade itself
    Native,
    /// A container of Podman, which must be run by root
    Podman,
    /// A container of Docker, whose daemon must run on this machine
    Docker,
    /// The sandbox of macOS
    Seatbelt,
}

impl Backend {
    /// The engine, if it is one.
    pub(super) fn engine(&self) -> Result<Option<Engine>, Failure> {
        let program = match self.by {
            By::Native if self.image.is_some() => {
                return Err(Failure::new(Exit::Usage, "`--image` without a container")
                    .help("name what runs it: `--sandbox podman` or `--sandbox docker`"));
            }
            By::Native => return Ok(None),
            By::Podman => EngineProgram::Podman,
            By::Docker => EngineProgram::Docker,
            By::Seatbelt => {
                return Err(Failure::new(Exit::Server, "`seatbelt` is the sandbox of macOS")
                    .help("on Linux, leave `--sandbox` away"));
            }
        };
        Ok(Some(Engine { program, image: self.image.clone() }))
    }
}

/// What can be done when there is no container.
pub(super) fn help_for(error: &Error) -> &'static str {
    match error {
        Error::NoEngine { engine: EngineProgram::Podman } => {
            "install it (Debian: `apt-get install podman runc`), or leave `--sandbox` away"
        }
        Error::NoEngine { engine: EngineProgram::Docker }
        | Error::Engine { engine: EngineProgram::Docker, .. } => {
            "see that its daemon runs (`docker version`), or leave `--sandbox` away"
        }
        Error::Engine { engine: EngineProgram::Podman, .. } => {
            "`--dry-run` shows the command; without `--sandbox`, no engine is needed"
        }
        Error::NoImage { .. } => {
            "fetch it yourself (`podman pull`, `docker pull`): nothing is fetched to start a server"
        }
        Error::Image { .. } => "use another image, or Podman, or leave `--image` away",
        Error::NoCommand
        | Error::ZeroByte
        | Error::VariableName { .. }
        | Error::TooLarge { .. }
        | Error::NotFound { .. }
        | Error::NotExecutable { .. }
        | Error::NoInterpreter { .. }
        | Error::Directory { .. }
        | Error::NotPermitted { .. }
        | Error::CannotEnforce { .. }
        | Error::Place { .. }
        | Error::NeverARoot { .. }
        | Error::Start { .. }
        | Error::Wait { .. }
        | Error::StillThere { .. } => "`--dry-run` says what the command sees",
    }
}
