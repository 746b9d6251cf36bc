//! What to start, and what holds it, as plain data. How that is done on this machine is a
//! [`Plan`](crate::Plan).

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::codec::{Reader, Writer};
use crate::held::AsFound;
use crate::{Engine, Error, Guarantee, Network};

/// The kernel takes at most 6 MiB of arguments and environment, so no larger spec could start.
pub(crate) const SPEC_BYTES_MAX: usize = 6 << 20;

/// One server's process: what to execute, with which environment, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    /// The program and its arguments. A program without a slash is looked for in the `PATH` of
    /// [`env`](Self::env); one with a slash is relative to [`cwd`](Self::cwd).
    pub command: Vec<OsString>,
    /// The whole environment of the server. Nothing is added to it but, where a
    /// [`Confinement::network`] names somebody, the variables that name the proxy.
    pub env: Vec<(OsString, OsString)>,
    /// The server's working directory; the guard's own when there is none, or in a sandbox the
    /// first root, if the guard's own is in none of them.
    pub cwd: Option<PathBuf>,
    /// What holds the server; nothing does when there is none.
    pub confine: Option<Box<Confinement>>,
}

/// What a server may see, reach and use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Directories and files of the machine that the server is there for.
    pub roots: Vec<Root>,
    /// More places that programs are executed from. They are read only, like `/usr` and where the
    /// command itself is installed, which are there in any case.
    pub programs: Vec<PathBuf>,
    /// Whom the server may reach.
    pub network: Network,
    /// What is the guard's own, whatever root it is in, and by whatever path it is seen there. A root
    /// in such a place is refused, and so is one in which the server could change the way to it.
    pub reserved: Vec<Reserved>,
    /// What the server is given in files, which are in no environment and on no command line.
    pub secrets: Vec<Secret>,
    /// How much the server may use.
    pub limits: Limits,
    /// Guarantees that may hold less than fully. Without its name here, one that cannot be
    /// enforced is a reason not to start.
    pub allow_weaker: Vec<Guarantee>,
    /// Whether [`Child::trace`](crate::Child::trace) says what the server touches. It costs each
    /// such call two switches to the guard and back.
    pub trace: bool,
    /// The container engine that holds the server. Without one, it is held by walls of our own.
    pub engine: Option<Engine>,
    /// What was found at the places that are named here; see [`hold`](Self::hold).
    pub as_found: AsFound,
}

/// Something that only this server may know. It finds it in a file by this name in
/// [`SECRETS_DIR`], which is in memory and in no other sandbox.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// A name as of a variable: letters, digits and `_`.
    pub name: String,
    /// The whole file.
    pub value: Vec<u8>,
}

/// Where a server finds its secrets.
pub const SECRETS_DIR: &str = "/run/secrets";

impl Secret {
    /// Where the server finds it.
    pub fn path(&self) -> PathBuf {
        Path::new(SECRETS_DIR).join(&self.name)
    }

    fn is_named(&self) -> bool {
        let word = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
        !self.name.is_empty() && self.name.bytes().all(word)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Secret({})", self.name)
    }
}

/// A place that is the guard's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// Where the guard looks for it.
    pub path: PathBuf,
    /// What of it is kept from a server.
    pub keep: Keep,
}

/// How a place is kept from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// A directory, perhaps of later: nothing in it is seen.
    Hidden,
    /// A file: it is not written.
    Unwritten,
    /// A file that is read again while the server runs, or when it is started again. That it is read
    /// only lasts until somebody saves it, since most editors put a new file in its place; so it must
    /// not lie where the server may write.
    Elsewhere,
}

/// A place that a server is there for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Where it is; the server sees it at the same path.
    pub path: PathBuf,
    /// What may be done there.
    pub access: Access,
}

/// What may be done in a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Files are read, and may be executed.
    Read,
    /// Files are read and written, and none is executed: what a server writes does not run.
    Write,
}

/// How much a server may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all processes together, and swap where the kernel counts that.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: u32,
    /// Thousandths of one processor.
    pub cpu_thousandths: Option<u32>,
    /// Descriptors that one process may have open. All processes of the server's user together may
    /// send each other little more than that, so where it is no less than what a guard may have open
    /// as the same user, a server can keep such a guard from starting another.
    pub open_files: u32,
    /// The length of one file.
    pub file_bytes: u64,
    /// What `/tmp`, `/dev/shm` and the private `HOME` hold, each.
    pub scratch_bytes: u64,
    /// How long the server may run.
    pub time: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: Some(1 << 30),
            pids: 256,
            cpu_thousandths: None,
            open_files: 768,
            file_bytes: 1 << 30,
            scratch_bytes: 64 << 20,
            time: None,
        }
    }
}

impl Spec {
    /// Says no to what the kernel could not represent, before any process is started for it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.command.first().is_none_or(|program| program.is_empty()) {
            return Err(Error::NoCommand);
        }
        let cwd = self.cwd.iter().map(|cwd| cwd.as_os_str());
        let values = self.env.iter().map(|(_, value)| value.as_os_str());
        let words = self.command.iter().map(OsString::as_os_str);
        if words.chain(values).chain(cwd).any(|it| it.as_bytes().contains(&0)) {
            return Err(Error::ZeroByte);
        }
        let mut secrets = self.confine.iter().flat_map(|it| &it.secrets);
        if let Some(it) = secrets.find(|it| !it.is_named()) {
            return Err(Error::VariableName { name: it.name.clone().into() });
        }
        for (name, _) in &self.env {
            let bytes = name.as_bytes();
            if bytes.is_empty() || bytes.contains(&b'=') || bytes.contains(&0) {
                return Err(Error::VariableName { name: name.clone() });
            }
        }
        Ok(())
    }

    /// All but [`confine`](Self::confine): to the keeper that travels as what was planned of it.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = Writer::default();
        out.count(self.command.len());
        for word in &self.command {
            out.bytes(word.as_bytes());
        }
        out.count(self.env.len());
        for (name, value) in &self.env {
            out.bytes(name.as_bytes());
            out.bytes(value.as_bytes());
        }
        out.count(self.cwd.iter().len());
        if let Some(cwd) = &self.cwd {
            out.path(cwd);
        }
        let out = out.finish();
        if out.len() > SPEC_BYTES_MAX {
            return Err(Error::TooLarge { bytes_max: SPEC_BYTES_MAX });
        }
        Ok(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let from = &mut Reader(bytes);
        let command = from.many(Reader::text)?;
        let env = from.many(|it| Some((it.text()?, it.text()?)))?;
        let cwd = from.many(Reader::path)?.pop();
        from.is_empty().then_some(Self { command, env, cwd, confine: None })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn spec() -> Spec {
        Spec {
            command: vec!["node".into(), OsString::from_vec(vec![0xff, b' ', b'\n'])],
            env: vec![("PATH".into(), "/bin".into()), ("EMPTY".into(), "".into())],
            cwd: Some("/srv".into()),
            confine: None,
        }
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_refused() {
        let bytes = spec().encode().unwrap();
        for end in 0..bytes.len() {
            assert_eq!(Spec::decode(&bytes[..end]), None, "cut at {end}");
        }
        let longer = [bytes.as_slice(), b"x"].concat();
        assert_eq!(Spec::decode(&longer), None);
        assert_eq!(Spec::decode(&[0xff; 64]), None);
    }

    #[test]
    fn what_was_encoded_comes_back() {
        for spec in [spec(), Spec { cwd: None, ..spec() }, Spec::default()] {
            assert_eq!(Spec::decode(&spec.encode().unwrap()), Some(spec));
        }
    }

    #[test]
    fn what_the_kernel_cannot_represent_is_refused() {
        assert!(matches!(Spec::default().check(), Err(Error::NoCommand)));
        let zero = Spec { command: vec!["cat".into(), "a\0b".into()], ..Spec::default() };
        assert!(matches!(zero.check(), Err(Error::ZeroByte)));
        for name in ["", "A=B", "A\0"] {
            let spec = Spec { env: vec![(name.into(), "x".into())], ..spec() };
            assert!(matches!(spec.check(), Err(Error::VariableName { .. })), "{name:?}");
        }
        let large = Spec { cwd: Some("x".repeat(SPEC_BYTES_MAX).into()), ..spec() };
        assert!(matches!(large.encode(), Err(Error::TooLarge { .. })));
    }
}
