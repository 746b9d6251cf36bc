//! Frames: the pieces in which messages come, one line each where there is nothing else to tell
//! them apart. What is in a frame is not looked at here.

use std::future::Future;
use std::mem;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::WireError;

/// What a conversation may cost to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of one message in bytes, as it comes.
    pub frame_bytes_max: usize,
    /// How much may wait to be sent before a sender has to wait.
    pub queue_bytes_max: usize,
    /// Length of the body of an HTTP error.
    pub error_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame_bytes_max: 16 << 20, queue_bytes_max: 16 << 20, error_bytes_max: 64 << 10 }
    }
}

/// A source of frames.
pub trait Frames: Send {
    /// The next frame; `None` when the other side has ended the conversation.
    ///
    /// May be given up and called again: nothing is lost.
    ///
    /// # Errors
    /// [`WireError::FrameTooLong`] for a frame over the limit, which is left out: the next call
    /// goes on behind it. Whatever else is for good.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, WireError>> + Send;
}

/// How much is asked of the operating system at once.
const READ_BYTES: usize = 64 << 10;

/// From here on a line takes the buffer with it. A shorter one is copied out, because a small
/// message that is kept would keep the whole buffer.
const GIVE_AWAY_BYTES: usize = READ_BYTES / 2;

/// Frames that are lines.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end.
    searched: usize,
    /// The rest of a line that was too long is still to come.
    skipping: bool,
    ended: bool,
    frame_bytes_max: usize,
}

impl<R: AsyncRead + Unpin + Send> Lines<R> {
    /// The lines of `input`.
    pub fn new(input: R, limits: &Limits) -> Self {
        Self {
            input,
            buffer: BytesMut::new(),
            searched: 0,
            skipping: false,
            ended: false,
            frame_bytes_max: limits.frame_bytes_max,
        }
    }

    async fn fill(&mut self) -> Result<(), WireError> {
        if self.buffer.capacity() - self.buffer.len() < READ_BYTES / 2 {
            self.buffer.reserve(READ_BYTES);
        }
        self.ended = self.input.read_buf(&mut self.buffer).await? == 0;
        Ok(())
    }

    /// A line that is there already.
    fn take(&mut self) -> Option<Result<Bytes, WireError>> {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(at) = memchr(b'\n', fresh) else {
                self.searched = self.buffer.len();
                if self.skipping {
                    self.buffer.clear();
                    self.searched = 0;
                } else if self.searched > self.frame_bytes_max.saturating_add(1) {
                    // Given back to the system: what is skipped needs no room.
                    self.buffer = BytesMut::new();
                    self.searched = 0;
                    self.skipping = true;
                    return Some(Err(self.too_long()));
                }
                return None;
            };
            let end = self.searched + at;
            self.searched = 0;
            if mem::take(&mut self.skipping) {
                self.buffer.advance(end + 1);
            } else if let Some(it) = self.cut(end, end + 1) {
                return Some(it);
            }
        }
    }

    /// What is left when nothing more will come.
    fn take_rest(&mut self) -> Option<Result<Bytes, WireError>> {
        let end = self.buffer.len();
        self.searched = 0;
        if mem::take(&mut self.skipping) {
            self.buffer.clear();
        }
        self.cut(end.min(self.buffer.len()), end.min(self.buffer.len()))
    }

    /// The line up to `end`, without what ends it; the buffer then begins at `next`. `None` when
    /// there is nothing on it.
    fn cut(&mut self, end: usize, next: usize) -> Option<Result<Bytes, WireError>> {
        let line = self.buffer.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let len = line.len();
        if len == 0 || len > self.frame_bytes_max {
            self.buffer.advance(next);
            return (len > 0).then(|| Err(self.too_long()));
        }
        if len < GIVE_AWAY_BYTES {
            let line = Bytes::copy_from_slice(line);
            self.buffer.advance(next);
            return Some(Ok(line));
        }
        let rest = BytesMut::from(self.buffer.get(next..).unwrap_or_default());
        let mut line = mem::replace(&mut self.buffer, rest);
        line.truncate(len);
        Some(Ok(line.freeze()))
    }

    fn too_long(&self) -> WireError {
        WireError::FrameTooLong { bytes_max: self.frame_bytes_max }
    }
}

impl<R: AsyncRead + Unpin + Send> Frames for Lines<R> {
    async fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        loop {
            if let Some(it) = self.take() {
                return it.map(Some);
            }
            if self.ended {
                return self.take_rest().transpose();
            }
            self.fill().await?;
        }
    }
}

/// Writes `bytes` as one line. A parser that took them for JSON refused control characters inside
/// strings, so a line end in them can only stand between tokens, where a space means the same.
pub(crate) fn push_line(bytes: &[u8], line: &mut Vec<u8>) {
    line.reserve(bytes.len() + 1);
    let mut rest = bytes;
    while let Some((before, after)) =
        memchr::memchr2(b'\r', b'\n', rest).and_then(|at| rest.split_at_checked(at))
    {
        line.extend_from_slice(before);
        line.push(b' ');
        rest = after.get(1..).unwrap_or_default();
    }
    line.extend_from_slice(rest);
    line.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(input: &[u8], frame_bytes_max: usize) -> Vec<Result<Vec<u8>, usize>> {
        let limits = Limits { frame_bytes_max, ..Limits::default() };
        let mut lines = Lines::new(input, &limits);
        let mut all = Vec::new();
        loop {
            match lines.next().await {
                Ok(Some(it)) => all.push(Ok(it.to_vec())),
                Ok(None) => return all,
                Err(WireError::FrameTooLong { bytes_max }) => all.push(Err(bytes_max)),
                Err(it) => panic!("{it}"),
            }
        }
    }

    #[tokio::test]
    async fn a_line_is_a_frame() {
        let line = |it: &str| Ok(it.as_bytes().to_vec());
        assert_eq!(read(b"", 9).await, []);
        assert_eq!(read(b"\n\r\n\n", 9).await, []);
        assert_eq!(read(b"a\nb\r\n\n\r\nc", 9).await, [line("a"), line("b"), line("c")]);
        assert_eq!(read(b"a\rb\n", 9).await, [line("a\rb")]);
        assert_eq!(read(b"last\r", 9).await, [line("last")]);
    }

    #[tokio::test]
    async fn the_limit_is_exact_and_the_next_line_comes() {
        let line = |it: &str| Ok(it.as_bytes().to_vec());
        assert_eq!(read(b"1234\n1234\r\n", 4).await, [line("1234"), line("1234")]);
        assert_eq!(read(b"12345\n1\n", 4).await, [Err(4), line("1")]);
        assert_eq!(read(b"1234567\r\n1", 4).await, [Err(4), line("1")]);
        assert_eq!(read(b"12345", 4).await, [Err(4)]);
        assert_eq!(read(b"123456789", 4).await, [Err(4)]);
    }

    #[tokio::test]
    async fn a_line_that_is_skipped_is_not_kept() {
        let limits = Limits { frame_bytes_max: 1 << 20, ..Limits::default() };
        let endless = tokio::io::repeat(b'x').take(64 << 20);
        let mut lines = Lines::new(endless.chain(&b"\nnext\n"[..]), &limits);
        assert!(matches!(lines.next().await, Err(WireError::FrameTooLong { .. })));
        assert_eq!(lines.buffer.capacity(), 0);
        assert_eq!(lines.next().await.unwrap().unwrap(), "next");
        assert!(lines.buffer.capacity() <= 4 * READ_BYTES, "{}", lines.buffer.capacity());
    }

    #[tokio::test]
    async fn a_long_line_takes_its_buffer_with_it() {
        let long = "x".repeat(3 << 20);
        let text = format!("{long}\nshort\n");
        let mut lines = Lines::new(text.as_bytes(), &Limits::default());
        assert_eq!(lines.next().await.unwrap().unwrap(), long);
        assert!(lines.buffer.capacity() <= 4 * READ_BYTES, "{}", lines.buffer.capacity());
        assert_eq!(lines.next().await.unwrap().unwrap(), "short");
    }

    #[test]
    fn a_line_has_no_line_end_in_it() {
        let written = |it: &[u8]| {
            let mut line = Vec::new();
            push_line(it, &mut line);
            String::from_utf8(line).unwrap()
        };
        assert_eq!(written(b"{}"), "{}\n");
        assert_eq!(written(b"{\r\n \"a\":\n1}\n"), "{   \"a\": 1} \n");
    }
}
