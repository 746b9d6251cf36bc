//! Event streams: whatever a server sends, in pieces of any size, each event is within the limit,
//! and the stream ends.

#![no_main]

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http_body_util::StreamBody;
use http_body_util::combinators::BoxBody;
use libfuzzer_sys::fuzz_target;
use stockade_wire::events::Events;

/// Small enough that an input can be over it.
const EVENT_BYTES_MAX: usize = 1024;

type Piece = Result<http_body::Frame<Bytes>, Infallible>;

fuzz_target!(|input: &[u8]| {
    // The first byte says how large the pieces are that the stream comes in.
    let Some((size, text)) = input.split_first() else { return };
    let pieces: Vec<Piece> = text
        .chunks(usize::from(*size).max(1))
        .map(|it| Ok(http_body::Frame::data(Bytes::copy_from_slice(it))))
        .collect();
    let body: BoxBody<Bytes, Infallible> = BoxBody::new(StreamBody::new(stream::iter(pieces)));
    let mut events = Events::of(body, EVENT_BYTES_MAX);
    // All of it is there, so nothing has to be waited for.
    while let Some(Ok(Some(event))) = events.next_or_primer().now_or_never() {
        assert!(event.data.len() <= EVENT_BYTES_MAX);
        assert!(event.id.is_none_or(|it| !it.bytes().any(|it| it.is_ascii_control())));
    }
    assert!(matches!(events.next().now_or_never(), Some(Ok(None) | Err(_))));
});
