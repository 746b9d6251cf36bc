//! A conversation inside one process: for clients that are scripts of Stockade itself, and for tests
//! of what is above the wire.

use bytes::Bytes;
use stockade_core::judge::Cleared;
use tokio::sync::mpsc;

use crate::error::WireError;
use crate::frame::{Frames, Limits};

/// How many messages may wait on each way.
const QUEUE_MESSAGES_MAX: usize = 64;

/// Both ends of a new conversation: Stockade's, as a source of frames and a place to send to, and
/// that of the program it talks to.
pub fn pair(limits: &Limits) -> (MemoryReader, MemoryWriter, Peer) {
    let (to_peer, from_stockade) = mpsc::channel(QUEUE_MESSAGES_MAX);
    let (to_stockade, from_peer) = mpsc::channel(QUEUE_MESSAGES_MAX);
    let reader = MemoryReader { frames: from_peer, frame_bytes_max: limits.frame_bytes_max };
    let writer = MemoryWriter { frames: to_peer };
    (reader, writer, Peer { incoming: from_stockade, outgoing: to_stockade })
}

/// What the peer says.
#[derive(Debug)]
pub struct MemoryReader {
    frames: mpsc::Receiver<Bytes>,
    frame_bytes_max: usize,
}

impl Frames for MemoryReader {
    async fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        match self.frames.recv().await {
            Some(it) if it.len() > self.frame_bytes_max => {
                Err(WireError::FrameTooLong { bytes_max: self.frame_bytes_max })
            }
            it => Ok(it),
        }
    }
}

/// What the peer is told.
#[derive(Clone, Debug)]
pub struct MemoryWriter {
    frames: mpsc::Sender<Bytes>,
}

impl MemoryWriter {
    /// Sends one message. Waits while too many wait.
    ///
    /// # Errors
    /// [`WireError::Closed`] when the peer has gone.
    pub async fn send(&self, message: &Cleared) -> Result<(), WireError> {
        self.frames.send(message.bytes().clone()).await.map_err(|_| WireError::Closed)
    }
}

/// The program at the other end: it says what it likes.
#[derive(Debug)]
pub struct Peer {
    incoming: mpsc::Receiver<Bytes>,
    outgoing: mpsc::Sender<Bytes>,
}

impl Peer {
    /// Says `bytes`, be they a message or not.
    ///
    /// # Errors
    /// [`WireError::Closed`] when Stockade has gone.
    pub async fn say(&self, bytes: impl Into<Bytes>) -> Result<(), WireError> {
        self.outgoing.send(bytes.into()).await.map_err(|_| WireError::Closed)
    }

    /// Says nothing more. What was said before is still heard, and what comes can be.
    pub fn finish(&mut self) {
        let (nobody, _) = mpsc::channel(1);
        self.outgoing = nobody;
    }

    /// The next message; `None` when Stockade has gone.
    pub async fn hear(&mut self) -> Option<Bytes> {
        self.incoming.recv().await
    }
}
