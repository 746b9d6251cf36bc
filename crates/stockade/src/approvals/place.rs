//! Where the service of a person is: a directory that only that person may enter, a lock that one
//! process holds, and a socket. The service is started by whoever needs it first.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep, timeout};

use super::peer;
use crate::browser::opener;

/// How long a service may take to be there, once it was started.
const START: Duration = Duration::from_secs(10);

/// How long a service may take to greet.
const GREETING: Duration = Duration::from_secs(5);

/// A path of a socket that is longer is cut by the kernel, or refused.
const PATH_BYTES_MAX: usize = 100;

/// Where it is.
#[derive(Clone, Debug)]
pub struct Place {
    state: PathBuf,
}

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The directory cannot be used.
    #[error("cannot use `{path}`", path = .path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else could reach it.
    #[error("`{path}` is not this user's alone", path = .0.display())]
    Open(PathBuf),
    /// No service is there.
    #[error("nothing listens there")]
    Absent(#[source] io::Error),
    /// It could not be started.
    #[error("the service of approvals did not start")]
    Start(#[source] io::Error),
    /// Whoever listens there is not the person's own.
    #[error("what listens there is not to be trusted: {0}")]
    Peer(String),
}

impl Place {
    /// The place below a directory of state, which every guard of this state has in common.
    pub fn below(state: PathBuf) -> Self {
        Self { state }
    }

    fn directory(&self) -> PathBuf {
        self.state.join("approvals")
    }

    /// Where standing grants are kept.
    pub fn grants(&self) -> PathBuf {
        self.directory().join("grants.json")
    }

    /// Where the ledger is.
    pub fn ledger(&self) -> PathBuf {
        self.state.join("ledger")
    }

    /// Makes the directory, or makes sure that nobody else may enter it.
    fn ready(&self) -> Result<PathBuf, PlaceError> {
        let path = self.directory();
        let wrong = |source| PlaceError::Directory { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(wrong)?;
        let is = fs::symlink_metadata(&path).map_err(wrong)?;
        let own = rustix::process::geteuid().as_raw();
        if !is.is_dir() || is.uid() != own || is.permissions().mode() & 0o077 != 0 {
            return Err(PlaceError::Open(path));
        }
        Ok(path)
    }

    /// The service that is there.
    ///
    /// # Errors
    /// When none is, or one that is not this person's.
    pub async fn connect(&self) -> Result<UnixStream, PlaceError> {
        let directory = self.ready()?;
        let (_open, path) = socket(&directory).map_err(PlaceError::Absent)?;
        let mut stream = UnixStream::connect(path).await.map_err(PlaceError::Absent)?;
        peer::is_no_server(&stream).map_err(PlaceError::Peer)?;
        // A service that ends takes nobody in any more, and its socket still connects.
        let greeted = timeout(GREETING, stream.read_u8()).await;
        greeted.map_err(io::Error::from).flatten().map_err(PlaceError::Absent)?;
        Ok(stream)
    }

    /// The service, started if none is there.
    ///
    /// # Errors
    /// When there is none after that.
    pub async fn connect_or_start(&self) -> Result<UnixStream, PlaceError> {
        match self.connect().await {
            Err(PlaceError::Absent(_)) => (),
            it => return it,
        }
        let until = Instant::now() + START;
        loop {
            let state = self.state.clone();
            let started = tokio::task::spawn_blocking(move || start(&state)).await;
            started.map_err(io::Error::other).flatten().map_err(PlaceError::Start)?;
            // One that came while another still held the lock has ended: after a while, one more.
            for _ in 0..100 {
                match self.connect().await {
                    Err(PlaceError::Absent(error)) if Instant::now() > until => {
                        return Err(PlaceError::Start(error));
                    }
                    Err(PlaceError::Absent(_)) => sleep(Duration::from_millis(10)).await,
                    it => return it,
                }
            }
        }
    }

    /// Becomes the service of this place. Nothing, if there is one.
    ///
    /// # Errors
    /// When the place cannot be used.
    pub(super) fn listen(&self) -> Result<Option<(UnixListener, File)>, PlaceError> {
        let directory = self.ready()?;
        let wrong = |source| PlaceError::Directory { path: directory.clone(), source };
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join("lock"))
            .map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        // Nobody listens there: whoever did would hold the lock.
        match fs::remove_file(directory.join("socket")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrong(error)),
            Ok(()) | Err(_) => (),
        }
        let (_open, path) = socket(&directory).map_err(wrong)?;
        let listener = UnixListener::bind(path).map_err(wrong)?;
        Ok(Some((listener, lock)))
    }

    /// Takes the socket away, before the lock is let go.
    pub(super) fn leave(&self) {
        // Whoever comes next removes it as well.
        let _gone = fs::remove_file(self.directory().join("socket"));
        self.close_page();
    }

    /// Writes the file that leads a browser to the page.
    pub(super) fn open_page(&self, text: &str) -> io::Result<PathBuf> {
        let file = self.directory().join("open.html");
        opener::write(&file, text)?;
        Ok(file)
    }

    /// Takes that file away.
    pub(super) fn close_page(&self) {
        // The code in it does not let anybody in any more.
        let _gone = fs::remove_file(self.directory().join("open.html"));
    }
}

/// The path of the socket, by a descriptor where its own is too long for an address.
fn socket(directory: &Path) -> io::Result<(Option<OwnedFd>, PathBuf)> {
    let path = directory.join("socket");
    if path.as_os_str().len() <= PATH_BYTES_MAX || !cfg!(target_os = "linux") {
        return Ok((None, path));
    }
    let opened =
        open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/socket", opened.as_raw_fd()));
    Ok((Some(opened), path))
}

/// Starts a service that belongs to nobody who is here: not to the client, which may end its guard
/// and all that came of it, and not to the guard, among whose descendants are servers.
fn start(state: &Path) -> io::Result<()> {
    let program = std::env::current_exe()?;
    let status = Command::new(program)
        .args(["approvals", "service", "--state"])
        .arg(std::path::absolute(state)?)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

/// Starts the service as a process whose parent ends at once.
///
/// # Errors
/// When it cannot be started.
pub fn detach(state: &Path) -> io::Result<()> {
    let program = std::env::current_exe()?;
    Command::new(program)
        .args(["approvals", "service", "--stay", "--state"])
        .arg(state)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}
