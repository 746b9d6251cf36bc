//! What one process after another says, as if it were one.

use bytes::Bytes;
use stockade_wire::error::WireError;
use stockade_wire::frame::Frames;
use tokio::sync::mpsc;

/// What becomes of what is read.
#[derive(Debug)]
pub enum Next<S> {
    /// Nothing more of the last one, whatever it still says.
    Gone,
    /// This one from now on.
    Here(S),
}

/// Reads what is there now. The end of it is the end, unless it was said to be gone before.
#[derive(Debug)]
pub struct Successive<S> {
    current: Option<S>,
    next: mpsc::Receiver<Next<S>>,
}

impl<S> Successive<S> {
    /// Begins with the first, and takes the others from the sender.
    pub fn new(first: S) -> (mpsc::Sender<Next<S>>, Self) {
        let (sender, next) = mpsc::channel(1);
        (sender, Self { current: Some(first), next })
    }
}

impl<S: Frames> Frames for Successive<S> {
    async fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        loop {
            let next = match &mut self.current {
                None => self.next.recv().await,
                Some(current) => tokio::select! {
                    biased;
                    Some(next) = self.next.recv() => Some(next),
                    frame = current.next() => return frame,
                },
            };
            self.current = match next {
                None => return Ok(None),
                Some(Next::Gone) => None,
                Some(Next::Here(it)) => Some(it),
            };
        }
    }
}
