//! Why a server did not start, or did not go.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use crate::{Ends, EngineProgram, Guarantee};

/// Why a server did not start, or did not go.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command is empty, or its program is.
    #[error("there is no command to start")]
    NoCommand,
    /// An argument, a variable or the directory holds a zero byte, which ends a string for the
    /// kernel: what would start is not what was written.
    #[error("the command or its environment holds a zero byte")]
    ZeroByte,
    /// The name of a variable is empty, or holds `=` or a zero byte.
    #[error("`{}` cannot be the name of a variable", name.display())]
    VariableName {
        /// The name as it was given.
        name: OsString,
    },
    /// The command and its environment are more than the kernel takes.
    #[error("the command and its environment are larger than {bytes_max} bytes")]
    TooLarge {
        /// The most that may be.
        bytes_max: usize,
    },
    /// There is no such program, neither at its path nor in `PATH`.
    #[error("cannot find the program `{}`", program.display())]
    NotFound {
        /// The program as it was given.
        program: PathBuf,
    },
    /// There is a file of this name, but it cannot be executed.
    #[error("cannot execute the program `{}`", program.display())]
    NotExecutable {
        /// The program as it was given.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The program is there, but the interpreter that it names (its `#!` line, or its loader) is
    /// not.
    #[error("cannot find the interpreter that the program `{}` names", program.display())]
    NoInterpreter {
        /// The program as it was given.
        program: PathBuf,
    },
    /// The working directory cannot be entered.
    #[error("cannot enter the directory `{}`", path.display())]
    Directory {
        /// The directory as it was given.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// This machine does not permit what was asked for.
    #[error("this machine does not permit to end a server by {ends}")]
    NotPermitted {
        /// What was asked for.
        ends: Ends,
        /// What the kernel said.
        source: io::Error,
    },
    /// A guarantee was demanded that this machine does not give, and nothing was started.
    #[error("cannot enforce `{guarantee}`: {feature}")]
    CannotEnforce {
        /// What was demanded.
        guarantee: Guarantee,
        /// What would enforce it.
        feature: String,
        /// Why it does not.
        source: io::Error,
        /// What can be done about it.
        remedy: &'static str,
    },
    /// A root, or a place of programs, is not there or cannot be shown.
    #[error("cannot show `{}` to the server", path.display())]
    Place {
        /// The place as it was given.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// What a root, or a place of programs, was when it was looked at is not there any more.
    #[error("`{}` is not what it was when it was looked at, or a link leads there now", path.display())]
    Replaced {
        /// Where it was, without a link in its path.
        path: PathBuf,
    },
    /// A root, or a place of programs, would show the machine.
    #[error("`{}` cannot be shown: it holds, or is in, /proc, /sys or /dev", path.display())]
    NeverARoot {
        /// The place as it was given.
        path: PathBuf,
    },
    /// A root is where the guard keeps what is its own.
    #[error("`{}` cannot be shown: it is, or is in, what Stockade keeps from every server", path.display())]
    Reserved {
        /// The root as it was given.
        path: PathBuf,
    },
    /// Nothing can be put over what is the guard's own, and it lies in a root.
    #[error("`{}` is Stockade's own and lies in a root: without namespaces it cannot be kept from the server", path.display())]
    NotKept {
        /// What is the guard's own.
        path: PathBuf,
    },
    /// What decides about the server lies where the server may write.
    #[error("`{}` lies where the server may write, so it cannot decide about the server", path.display())]
    Written {
        /// The file as it was given.
        path: PathBuf,
    },
    /// What a root, or a place of programs, has mounted in it shows the machine.
    #[error("`{}` cannot be shown: `{}` is {kind}, which shows the machine", path.display(), at.display())]
    MachineInside {
        /// The place as it was given.
        path: PathBuf,
        /// The file system.
        kind: String,
        /// Where it is mounted.
        at: PathBuf,
    },
    /// Programs of the system are in it, and what can be written is not executed.
    #[error("`{}` cannot be written by the server: programs are executed from it", path.display())]
    NeverWritten {
        /// The root as it was given.
        path: PathBuf,
    },
    /// It is somebody's home, which is no place of programs.
    #[error("`{}` is a home, and not a place that programs are executed from", path.display())]
    Home {
        /// The place as it was given.
        path: PathBuf,
    },
    /// One place is to be written and not to be written.
    #[error("`{}` is a root twice: read only, and to be written", path.display())]
    TwoAccesses {
        /// The second of them as it was given.
        path: PathBuf,
    },
    /// A place is named by way of a link that the server may change, or of a directory that it may
    /// move: what is found there later would be its own choice.
    #[error(
        "the way to `{}` passes `{}`, which the server may change",
        path.display(),
        link.display()
    )]
    ByALink {
        /// The place as it was given.
        path: PathBuf,
        /// The link, or the directory.
        link: PathBuf,
        /// Where it leads now.
        real: PathBuf,
    },
    /// Something else is shown where a secret would be.
    #[error("the secret `{name}` would be hidden by `{}`", by.display())]
    SecretHidden {
        /// Its name.
        name: String,
        /// What is there.
        by: PathBuf,
    },
    /// What lies in a writable root names a program outside of it. The server could have it name
    /// any, to be shown that when it starts again.
    #[error(
        "`{}` lies where the server may write, so what it leads to is not shown: `{}`",
        by.display(),
        to.display()
    )]
    LedAstray {
        /// The link, script or `pyvenv.cfg`.
        by: PathBuf,
        /// Where it leads.
        to: PathBuf,
    },
    /// A container engine is not installed.
    #[error("there is no `{engine}` on this machine")]
    NoEngine {
        /// The engine.
        engine: EngineProgram,
    },
    /// A container engine cannot be used, or did not do what it was told.
    #[error("{engine} cannot be used: {says}")]
    Engine {
        /// The engine.
        engine: EngineProgram,
        /// What it says, or what is wrong with it.
        says: String,
    },
    /// What was asked for is not to be had in a container.
    #[error("{engine} cannot hold it: {says}")]
    NotInContainer {
        /// The engine.
        engine: EngineProgram,
        /// Why.
        says: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// A container engine that this user cannot use, who has no ids to give to containers.
    #[error("{engine} cannot be used by this user: {says}")]
    NoIds {
        /// The engine.
        engine: EngineProgram,
        /// What is missing.
        says: String,
        /// What to do about it.
        remedy: String,
    },
    /// There is no such image on this machine, and none is fetched.
    #[error("there is no image `{image}` on this machine")]
    NoImage {
        /// The image, with its digest.
        image: String,
    },
    /// An image is not what it should be.
    #[error("the image `{image}` is refused: {says}")]
    Image {
        /// The image.
        image: String,
        /// Why.
        says: String,
    },
    /// A step between the guard and the server failed.
    #[error("cannot start the server: {step}")]
    Start {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The end of the server cannot be waited for.
    #[error("cannot wait for the server")]
    Wait {
        /// What the kernel said.
        source: io::Error,
    },
    /// A process of the server was killed, but the kernel has not let go of it.
    #[error("processes of the server with pid {pid} are still there after they were killed")]
    StillThere {
        /// The server's own process, which need not be the one that is left.
        pid: u32,
    },
}
