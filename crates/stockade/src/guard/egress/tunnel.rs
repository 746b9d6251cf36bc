//! Bytes, between a server and whom it was connected to. Nothing is passed on before it is known
//! what the server begins with; what the other side says is passed on at once, since there are
//! protocols in which it speaks first.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional_with_sizes,
};
use tokio::time::{Instant, sleep_until};

use super::opening::{Look, Opening};
use super::{IDLE_MAX, REQUEST_MAX, Reached, Way, http};

/// How much is passed on at once.
const CHUNK_BYTES: usize = 16 << 10;
/// A TLS record that says: fatal, this name is not known here (RFC 8446, 6.2).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// A connection of a server, through a door or through a proxy.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// Passes on what may be passed on, until both sides have ended.
pub(super) async fn pass(way: &Arc<Way>, mut inside: impl Stream, mut reached: Reached) {
    let asked = format!("{}:{}", reached.host, reached.port);
    let (opening, bytes, spoke) = match begin(&mut inside, &mut reached).await {
        Ok(it) => it,
        Err(Unclear::Ended) => return,
        Err(Unclear::Wrong(why)) => {
            way.refuse(&asked, None, &why);
            return;
        }
    };
    // Whoever has spoken first is no server of HTTP: NATS also has a `CONNECT`.
    let opening = if spoke && opening == Opening::Http { Opening::Other } else { opening };
    if let Err(why) = opening.check(&reached.host, reached.port) {
        way.refuse(&asked, None, &why);
        if matches!(opening, Opening::Tls(_)) {
            // It is a courtesy, and the connection ends in any case.
            let _told = inside.write_all(&UNRECOGNIZED_NAME).await;
            let _ended = inside.shutdown().await;
        }
        return;
    }
    let inside = Rewound { first: bytes, at: 0, stream: inside };
    match opening {
        Opening::Http => http::relay(way, inside, reached).await,
        Opening::Tls(_) | Opening::Other | Opening::Disguised(_) => {
            carry(inside, reached.stream).await
        }
    }
}

enum Unclear {
    Ended,
    Wrong(String),
}

/// Waits for what the server begins with. Says it, its bytes, and whether the other side has spoken.
async fn begin(
    inside: &mut impl Stream,
    reached: &mut Reached,
) -> Result<(Opening, Vec<u8>, bool), Unclear> {
    let mut look = Look::default();
    let (mut there, mut back) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut spoke = false;
    // It need not begin at all; but what it has begun it must go on with.
    let mut until = Instant::now() + IDLE_MAX;
    loop {
        tokio::select! {
            got = inside.read(&mut there) => {
                let count = got.map_err(|_| Unclear::Ended)?;
                if count == 0 && look.bytes.is_empty() {
                    return Ok((Opening::Other, Vec::new(), spoke));
                }
                if count == 0 {
                    return Err(Unclear::Ended);
                }
                if look.bytes.is_empty() {
                    until = Instant::now() + REQUEST_MAX;
                }
                let more = there.get(..count).unwrap_or_default();
                if let Some(opening) = look.take(more).map_err(Unclear::Wrong)? {
                    return Ok((opening, look.bytes, spoke));
                }
            }
            got = reached.stream.read(&mut back) => {
                let said = got.ok().and_then(|it| back.get(..it)).filter(|it| !it.is_empty());
                let said = said.ok_or(Unclear::Ended)?;
                inside.write_all(said).await.map_err(|_| Unclear::Ended)?;
                spoke = true;
            }
            () = sleep_until(until) => return Err(Unclear::Ended),
        }
    }
}

/// Passes everything on, both ways, until both have ended or one is broken.
pub(super) async fn carry(mut inside: impl Stream, mut outside: impl Stream) {
    // Whichever side broke, the other is closed by the end of this.
    let _broke =
        copy_bidirectional_with_sizes(&mut inside, &mut outside, CHUNK_BYTES, CHUNK_BYTES).await;
}

/// A stream whose first bytes were read already.
pub(super) struct Rewound<S> {
    first: Vec<u8>,
    at: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match this.first.get(this.at..) {
            Some(rest @ [_, ..]) => {
                let taken = rest.get(..into.remaining()).unwrap_or(rest);
                into.put_slice(taken);
                this.at += taken.len();
                Poll::Ready(Ok(()))
            }
            Some([]) | None => Pin::new(&mut this.stream).poll_read(context, into),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
