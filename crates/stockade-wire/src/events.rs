//! Event streams, as they come from a server: `text/event-stream` with a limit on each event.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body::Body;
use sse_stream::{Sse, SseByteStream};

use crate::error::WireError;
use crate::frame::Frames;
use crate::http::pool::{Answering, Settled};

/// One message of an event stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The name under which the server knows it.
    pub id: Option<String>,
    /// How long to wait before the stream is taken up again, in milliseconds.
    pub retry: Option<u64>,
    /// The message, not yet read.
    pub data: Bytes,
}

/// How much longer than its data an event may be.
const FIELDS_BYTES_MAX: usize = 64 << 10;

/// What an event's id may measure. It goes back to the server in a header.
const ID_BYTES_MAX: usize = 1024;

/// An event stream. Dropping it closes the connection; from 2026-07-28 on, that cancels the
/// request.
pub struct Events {
    /// Gone, and its connection with it, as soon as it has ended or gone wrong.
    stream: Option<Box<dyn Stream<Item = Result<Sse, sse_stream::Error>> + Send + Unpin>>,
    last_event_id: Option<String>,
    retry: Option<Duration>,
    frame_bytes_max: usize,
    settled: Settled,
}

impl Frames for Events {
    async fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        Ok(Self::next(self).await?.map(|it| it.data))
    }
}

impl Events {
    pub(crate) fn new(body: Answering, frame_bytes_max: usize) -> Self {
        let settled = body.settled();
        let events = Self::reading(body, frame_bytes_max, |it| WireError::from_http(it, None));
        Self { settled, ..events }
    }

    /// An event stream that does not come over a connection, with a limit on each event.
    pub fn of<B>(body: B, frame_bytes_max: usize) -> Self
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        Self::reading(body, frame_bytes_max, |it| match *it {})
    }

    fn reading<B>(body: B, frame_bytes_max: usize, error: fn(&B::Error) -> WireError) -> Self
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let event_bytes_max = frame_bytes_max.saturating_add(FIELDS_BYTES_MAX);
        let count = Count::new(event_bytes_max);
        let capped = Capped { body, error, count, frame_bytes_max, cut: false };
        Self {
            stream: Some(Box::new(SseByteStream::new(capped))),
            last_event_id: None,
            retry: None,
            frame_bytes_max,
            settled: Settled::default(),
        }
    }

    /// The next message; `None` when the server has ended the stream. Events of other names than
    /// `message`, and those without data, carry none and are left out.
    ///
    /// May be given up and called again: nothing is lost.
    ///
    /// # Errors
    /// When the connection breaks or what comes is no event stream. The stream is at its end then.
    pub async fn next(&mut self) -> Result<Option<Event>, WireError> {
        while let Some(event) = self.next_of_any_name().await? {
            if event.event.as_deref().is_none_or(|it| it.is_empty() || it == "message")
                && let Some(data) = event.data.filter(|it| !it.is_empty())
            {
                return Ok(Some(Event { id: event.id, retry: event.retry, data: data.into() }));
            }
        }
        Ok(None)
    }

    /// The next event that is a message, or that has no data but says where the stream can be taken
    /// up again (2025-11-25, "Streamable HTTP › Sending Messages"): such a one has empty data.
    ///
    /// # Errors
    /// As [`Events::next`].
    pub async fn next_or_primer(&mut self) -> Result<Option<Event>, WireError> {
        while let Some(event) = self.next_of_any_name().await? {
            let is_message =
                event.event.as_deref().is_none_or(|it| it.is_empty() || it == "message");
            let data = Bytes::from(event.data.unwrap_or_default());
            if is_message && (!data.is_empty() || event.id.is_some() || event.retry.is_some()) {
                return Ok(Some(Event { id: event.id, retry: event.retry, data }));
            }
        }
        Ok(None)
    }

    /// The answer was in it: when it ends, others may use its connection.
    pub fn settle(&self) {
        self.settled.settle();
    }

    /// The id of the last event that came whole, to go on from.
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// How long the server wants a client to wait before it comes again.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    pub(crate) async fn next_of_any_name(&mut self) -> Result<Option<Sse>, WireError> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        let next = match stream.next().await {
            Some(Ok(it)) => self.noted(it).map(Some),
            Some(Err(it)) => Err(cause(it)),
            None => Ok(None),
        };
        if !matches!(next, Ok(Some(_))) {
            self.stream = None;
        }
        next
    }

    fn noted(&mut self, event: Sse) -> Result<Sse, WireError> {
        if event.data.as_ref().is_some_and(|it| it.len() > self.frame_bytes_max) {
            return Err(WireError::FrameTooLong { bytes_max: self.frame_bytes_max });
        }
        if let Some(id) = &event.id {
            if id.len() > ID_BYTES_MAX || id.bytes().any(|it| it.is_ascii_control()) {
                return Err(WireError::NotMcp("an event id that fits no header"));
            }
            self.last_event_id = Some(id.clone()).filter(|it| !it.is_empty());
        }
        self.retry = event.retry.map(Duration::from_millis).or(self.retry);
        Ok(event)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("retry", &self.retry).finish_non_exhaustive()
    }
}

fn cause(error: sse_stream::Error) -> WireError {
    match error {
        sse_stream::Error::Body(it) => match it.downcast::<WireError>() {
            Ok(it) => *it,
            Err(it) => WireError::from_http(&*it, None),
        },
        sse_stream::Error::Utf8Parse(_) => WireError::NotMcp("an event that is not UTF-8"),
        sse_stream::Error::UnknownField | _ => WireError::NotMcp("a broken event stream"),
    }
}

/// The bytes of a body, until one event in it gets too long: the parser behind it has no limit of
/// its own.
struct Capped<B: Body> {
    body: B,
    error: fn(&B::Error) -> WireError,
    count: Count,
    frame_bytes_max: usize,
    /// An event was too long: what was whole before it has been given out.
    cut: bool,
}

impl<B: Body<Data = Bytes> + Unpin> Stream for Capped<B> {
    type Item = Result<Bytes, WireError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let too_long = WireError::FrameTooLong { bytes_max: self.frame_bytes_max };
        if self.cut {
            return Poll::Ready(Some(Err(too_long)));
        }
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(it)) => it,
                Some(Err(it)) => {
                    return Poll::Ready(Some(Err((self.error)(&it))));
                }
                None => return Poll::Ready(None),
            };
            let Ok(mut data) = frame.into_data() else { continue };
            let Err(whole) = self.count.add(&data) else { return Poll::Ready(Some(Ok(data))) };
            self.cut = true;
            data.truncate(whole);
            return Poll::Ready(Some(if data.is_empty() { Err(too_long) } else { Ok(data) }));
        }
    }
}

/// Counts the bytes of an event. It does not read them: what ends an event is an empty line, and a
/// line ends with LF, CR or both.
#[derive(Debug)]
struct Count {
    event_bytes: usize,
    event_bytes_max: usize,
    line_is_empty: bool,
    after_cr: bool,
}

impl Count {
    fn new(event_bytes_max: usize) -> Self {
        Self { event_bytes: 0, event_bytes_max, line_is_empty: true, after_cr: false }
    }

    /// Counts `chunk`. When an event gets too long in it: how much of the chunk was before.
    fn add(&mut self, chunk: &[u8]) -> Result<(), usize> {
        let mut whole = 0;
        let mut at = 0;
        while let Some(rest) = chunk.get(at..).filter(|it| !it.is_empty()) {
            if std::mem::take(&mut self.after_cr) && rest.first() == Some(&b'\n') {
                at += 1;
                continue;
            }
            let end = memchr::memchr2(b'\r', b'\n', rest);
            self.event_bytes += end.map_or(rest.len(), |it| it + 1);
            if self.event_bytes > self.event_bytes_max {
                return Err(whole);
            }
            let Some(end) = end else {
                self.line_is_empty = false;
                return Ok(());
            };
            at += end + 1;
            self.after_cr = rest.get(end) == Some(&b'\r');
            if end == 0 && self.line_is_empty {
                self.event_bytes = 0;
                whole = at;
            }
            self.line_is_empty = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts `text` in pieces of `size` bytes.
    fn passes(text: &str, size: usize, event_bytes_max: usize) -> bool {
        let mut count = Count::new(event_bytes_max);
        text.as_bytes().chunks(size).all(|it| count.add(it).is_ok())
    }

    #[test]
    fn an_event_ends_with_an_empty_line_however_lines_end_and_chunks_are_cut() {
        for end in ["\n", "\r", "\r\n"] {
            let event = format!("data: 123{end}{end}");
            let many = event.repeat(100);
            for size in 1..=event.len() * 2 {
                // CRLF counts once.
                assert!(passes(&many, size, 11), "{end:?} {size}");
                assert!(!passes(&many, size, 9), "{end:?} {size}");
            }
        }
        assert!(!passes(&"data: 123\n".repeat(100), 7, 100));
        assert!(!passes(&"x".repeat(101), 7, 100));
    }

    #[test]
    fn events_before_the_one_that_is_too_long_are_kept() {
        let mut count = Count::new(10);
        // CR ends the second one already; the LF that belongs to it may be missing.
        assert_eq!(count.add(b"a\n\nb\r\n\r\n12345678901"), Err(7));
    }
}
