//! Messages as lines: over the standard streams of this process, or the pipes of one it started.
//!
//! Reading is [`Lines`]; this is writing. Starting a process is not done here.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use stockade_core::judge::Cleared;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::error::WireError;
use crate::frame::{Limits, Lines, push_line};

/// How many messages may wait to be written, however short they are.
const QUEUE_MESSAGES_MAX: usize = 1024;

/// Messages that wait are written together up to about this length.
const WRITE_BYTES: usize = 64 << 10;

/// A buffer that one long message made larger than this is given back.
const KEEP_BYTES: usize = 1 << 20;

/// The standard input of this process.
pub type OwnInput = Box<dyn AsyncRead + Send + Unpin>;
/// The standard output of this process.
pub type OwnOutput = Box<dyn AsyncWrite + Send + Unpin>;

/// The standard streams of this process.
///
/// Pipes and sockets, which is what a client starts a server with, are driven by the event loop; a
/// thread for each, which anything else needs, would cost every message two more switches.
///
/// # Errors
/// When the streams are not open.
pub fn own(limits: &Limits) -> io::Result<(Lines<OwnInput>, StdioWriter<OwnOutput>)> {
    Ok((Lines::new(own_input()?, limits), StdioWriter::new(own_output()?)))
}

#[cfg(unix)]
fn own_input() -> io::Result<OwnInput> {
    use std::os::fd::AsFd;
    Ok(match Channel::of(io::stdin().as_fd())? {
        Channel::Pipe(it) => Box::new(tokio::net::unix::pipe::Receiver::from_owned_fd(it)?),
        Channel::Socket(it) => Box::new(tokio::net::UnixStream::from_std(it)?),
        Channel::Other => Box::new(tokio::io::stdin()),
    })
}

#[cfg(unix)]
fn own_output() -> io::Result<OwnOutput> {
    use std::os::fd::AsFd;
    Ok(match Channel::of(io::stdout().as_fd())? {
        Channel::Pipe(it) => Box::new(tokio::net::unix::pipe::Sender::from_owned_fd(it)?),
        Channel::Socket(it) => Box::new(tokio::net::UnixStream::from_std(it)?),
        Channel::Other => Box::new(tokio::io::stdout()),
    })
}

#[cfg(not(unix))]
fn own_input() -> io::Result<OwnInput> {
    Ok(Box::new(tokio::io::stdin()))
}

#[cfg(not(unix))]
fn own_output() -> io::Result<OwnOutput> {
    Ok(Box::new(tokio::io::stdout()))
}

/// What is behind a standard stream.
#[cfg(unix)]
enum Channel {
    Pipe(std::os::fd::OwnedFd),
    Socket(std::os::unix::net::UnixStream),
    Other,
}

#[cfg(unix)]
impl Channel {
    fn of(stream: std::os::fd::BorrowedFd<'_>) -> io::Result<Self> {
        use std::os::unix::fs::FileTypeExt;
        let file = std::fs::File::from(stream.try_clone_to_owned()?);
        let kind = file.metadata()?.file_type();
        if kind.is_fifo() {
            return Ok(Self::Pipe(file.into()));
        }
        if kind.is_socket() {
            let socket = std::os::unix::net::UnixStream::from(std::os::fd::OwnedFd::from(file));
            // A socket of another family than Unix's is read like a file.
            if socket.local_addr().is_ok() {
                socket.set_nonblocking(true)?;
                return Ok(Self::Socket(socket));
            }
        }
        Ok(Self::Other)
    }
}

/// Writes messages as lines.
#[derive(Debug)]
pub struct StdioWriter<W> {
    output: W,
    line: Vec<u8>,
}

impl<W: AsyncWrite + Unpin + Send + 'static> StdioWriter<W> {
    /// Writes to `output`.
    pub fn new(output: W) -> Self {
        Self { output, line: Vec::new() }
    }

    /// Sends one message, in one write where the other side takes it.
    ///
    /// To be waited for: given up in the middle, it leaves half a line. Who may have to give up
    /// uses [`StdioWriter::share`].
    ///
    /// # Errors
    /// When the other side has gone.
    pub async fn send(&mut self, message: &Cleared) -> Result<(), WireError> {
        self.line.clear();
        push_line(message.bytes(), &mut self.line);
        self.flush().await
    }

    /// A writer for many tasks at once, and the task that does the writing. The task ends when
    /// every writer is gone and all is written, or with an error when the other side has gone.
    pub fn share(self, limits: &Limits) -> (SharedWriter, JoinHandle<Result<(), WireError>>) {
        let (queue, queued) = mpsc::channel(QUEUE_MESSAGES_MAX);
        let room_bytes = limits.queue_bytes_max.min(Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(room_bytes));
        let room_bytes = u32::try_from(room_bytes).unwrap_or(u32::MAX);
        let task = tokio::spawn(self.write(queued));
        (SharedWriter { queue, room, room_bytes }, task)
    }

    async fn write(mut self, mut queued: mpsc::Receiver<Option<Queued>>) -> Result<(), WireError> {
        let mut batch = Vec::new();
        while queued.recv_many(&mut batch, QUEUE_MESSAGES_MAX).await > 0 {
            self.line.clear();
            // With each message that is copied here, its room is free again.
            let mut last = false;
            for it in batch.drain(..) {
                let Some(it) = it else {
                    last = true;
                    break;
                };
                push_line(&it.bytes, &mut self.line);
                if self.line.len() >= WRITE_BYTES {
                    self.flush().await?;
                }
            }
            self.flush().await?;
            if last {
                break;
            }
        }
        Ok(self.output.shutdown().await?)
    }

    async fn flush(&mut self) -> Result<(), WireError> {
        self.output.write_all(&self.line).await?;
        self.output.flush().await?;
        self.line.clear();
        self.line.shrink_to(KEEP_BYTES);
        Ok(())
    }
}

/// A message that waits to be written, and the room it takes.
#[derive(Debug)]
struct Queued {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Writes messages as lines, for many tasks at once.
#[derive(Clone, Debug)]
pub struct SharedWriter {
    /// What is to be written; nothing, when nothing more is.
    queue: mpsc::Sender<Option<Queued>>,
    room: Arc<Semaphore>,
    room_bytes: u32,
}

impl SharedWriter {
    /// Sends one message: it will be written, in the order of these calls, unless the other side
    /// goes. Waits while there is no room, because the other side does not read.
    ///
    /// May be given up: then the message is sent whole or not at all.
    ///
    /// # Errors
    /// [`WireError::Closed`] when the other side has gone.
    pub async fn send(&self, message: &Cleared) -> Result<(), WireError> {
        let bytes = message.bytes().clone();
        // What is longer than all the room there is takes all of it.
        let room = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(self.room_bytes);
        let room = tokio::select! {
            biased;
            it = Arc::clone(&self.room).acquire_many_owned(room) => it,
            () = self.queue.closed() => return Err(WireError::Closed),
        };
        let room = room.map_err(|_| WireError::Closed)?;
        let queued = Queued { bytes, _room: room };
        self.queue.send(Some(queued)).await.map_err(|_| WireError::Closed)
    }

    /// Closes this end once all is written that was sent before. What is sent after is not.
    pub async fn close(&self) {
        // Closed already, by this side or the other.
        let _closed = self.queue.send(None).await;
        self.room.close();
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed() || self.room.is_closed()
    }

    /// Waits until the other side has gone.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }
}
