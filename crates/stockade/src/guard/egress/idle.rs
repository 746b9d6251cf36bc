//! When a connection was last used. All that passes between a server and whom it reaches goes over
//! the server's connection, so that one is looked at and no other.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

/// A stream that notes when it is used.
#[derive(Debug)]
pub(super) struct Noted<S> {
    stream: S,
    last: Arc<Last>,
}

/// When something was said last.
#[derive(Debug)]
pub(super) struct Last {
    began: Instant,
    after_ms: AtomicU64,
}

impl<S> Noted<S> {
    pub(super) fn new(stream: S) -> (Self, Arc<Last>) {
        let last = Arc::new(Last { began: Instant::now(), after_ms: AtomicU64::new(0) });
        (Self { stream, last: Arc::clone(&last) }, last)
    }

    fn note<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(polled, Poll::Ready(Ok(_))) {
            let after = self.last.began.elapsed().as_millis();
            let after = u64::try_from(after).unwrap_or(u64::MAX);
            self.last.after_ms.store(after, Ordering::Relaxed);
        }
        polled
    }
}

impl Last {
    /// Returns when nothing was said for so long.
    pub(super) async fn ago(&self, time: Duration) {
        loop {
            let after = Duration::from_millis(self.after_ms.load(Ordering::Relaxed));
            let until = self.began + after + time;
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        self.note(polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
