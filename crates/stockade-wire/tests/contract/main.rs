//! What every transport keeps to. One suite, run against each transport that has two ends here.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows `#[test]` functions as tests, but not the helpers beside them"
)]

mod http;
mod lines;
#[cfg(unix)]
mod own;
mod web;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use stockade_core::json;
use stockade_core::judge::{Cleared, judge};
use stockade_core::message::{Message, Side};
use stockade_core::policy::Policy;
use stockade_core::subject::Facts;
use stockade_wire::error::WireError;
use stockade_wire::frame::{Frames, Limits};

/// Where Stockade sends to.
trait Sends {
    async fn send(&mut self, message: &Cleared) -> Result<(), WireError>;
}

/// The program at the other end, which says what it likes.
trait Peer {
    async fn says(&mut self, bytes: &[u8]);
    async fn hears(&mut self) -> Option<Bytes>;
    async fn goes(self);
}

/// What a transport does with a frame that it cannot carry.
#[derive(Clone, Copy, PartialEq)]
enum Bad {
    /// Leaves it out and goes on.
    LeavesOut,
    /// Ends: the boundary between frames is in the frames themselves.
    Ends,
}

fn message(text: &str) -> Message {
    let source = Bytes::copy_from_slice(text.as_bytes());
    Message::parse(Side::Client, source, &json::Limits::default()).unwrap()
}

fn cleared(text: &str) -> Cleared {
    judge(message(text), &Facts::alone(Side::Client), &Policy::transparent()).clear().unwrap()
}

fn numbered(n: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"ping"}}"#)
}

/// A message of about `bytes` bytes.
fn long(bytes: usize) -> String {
    let text = "x".repeat(bytes);
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"text":"{text}"}}}}"#)
}

fn small() -> Limits {
    Limits { frame_bytes_max: 2 << 20, queue_bytes_max: 64 << 10, ..Limits::default() }
}

/// A limit on the whole of a test, for one that would otherwise hang.
async fn soon<T>(it: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), it).await {
        Ok(it) => it,
        Err(_) => panic!("nothing moves any more"),
    }
}

async fn keeps_the_order((mut reader, mut writer, mut peer): (impl Frames, impl Sends, impl Peer)) {
    for n in 0..50 {
        let out = cleared(&numbered(n));
        let (sent, heard) = tokio::join!(writer.send(&out), peer.hears());
        sent.unwrap();
        assert_eq!(heard.unwrap(), numbered(n));
    }
    let all = async {
        for n in 0..50 {
            peer.says(numbered(n).as_bytes()).await;
        }
    };
    let read = async {
        for n in 0..50 {
            assert_eq!(reader.next().await.unwrap().unwrap(), numbered(n));
        }
    };
    tokio::join!(all, read);
}

async fn carries_a_long_message(
    (mut reader, mut writer, mut peer): (impl Frames, impl Sends, impl Peer),
) {
    let text = long(1 << 20);
    let out = cleared(&text);
    let (sent, heard) = tokio::join!(writer.send(&out), peer.hears());
    sent.unwrap();
    assert!(heard.unwrap() == text);
    let ((), read) = tokio::join!(peer.says(text.as_bytes()), reader.next());
    assert!(read.unwrap().unwrap() == text);
}

async fn carries_a_message_with_line_ends(
    (_reader, mut writer, mut peer): (impl Frames, impl Sends, impl Peer),
) {
    let out = cleared(
        "{\n\"jsonrpc\": \"2.0\",\r\n\"id\": 1,\n\"method\": \"ping\",\n\"params\": {\"a\": \"b\\nc\"}\n}",
    );
    let (sent, heard) = tokio::join!(writer.send(&out), peer.hears());
    sent.unwrap();
    let source = heard.unwrap();
    let heard = Message::parse(Side::Client, source, &json::Limits::default()).unwrap();
    assert_eq!(heard.root().to_value(), out.message().root().to_value());
}

async fn a_frame_over_the_limit_is_an_error(
    (mut reader, _writer, mut peer): (impl Frames, impl Sends, impl Peer),
    bad: Bad,
) {
    let too_long = long(small().frame_bytes_max);
    let said = async {
        peer.says(too_long.as_bytes()).await;
        if bad == Bad::LeavesOut {
            peer.says(numbered(2).as_bytes()).await;
        }
    };
    let read = async {
        let error = reader.next().await.unwrap_err();
        assert!(matches!(error, WireError::FrameTooLong { bytes_max: 0x20_0000 }), "{error:?}");
        match bad {
            Bad::LeavesOut => {
                assert_eq!(reader.next().await.unwrap().unwrap(), numbered(2));
            }
            Bad::Ends => assert!(matches!(reader.next().await, Ok(None))),
        }
        drop(reader);
    };
    tokio::join!(said, read);
}

async fn bytes_that_are_no_text_are_left_to_the_judge(
    (mut reader, _writer, mut peer): (impl Frames, impl Sends, impl Peer),
    bad: Bad,
) {
    let ((), read) = tokio::join!(peer.says(b"\"\xff\xfe\""), reader.next());
    match bad {
        Bad::LeavesOut => assert_eq!(&read.unwrap().unwrap()[..], b"\"\xff\xfe\""),
        Bad::Ends => assert!(matches!(read, Err(WireError::NotMcp(_))), "{read:?}"),
    }
}

async fn a_peer_that_goes_is_noticed(
    (mut reader, mut writer, mut peer): (impl Frames, impl Sends, impl Peer),
) {
    let last = numbered(1);
    let ((), read) = tokio::join!(peer.says(last.as_bytes()), reader.next());
    assert_eq!(read.unwrap().unwrap(), last);
    peer.goes().await;
    assert!(reader.next().await.is_ok_and(|it| it.is_none()));
    // What is queued may be accepted still; then it is known.
    loop {
        match writer.send(&cleared(&numbered(2))).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(it) => {
                assert!(matches!(it, WireError::Closed | WireError::Io(_)), "{it:?}");
                return;
            }
        }
    }
}

/// Runs the suite over the links that `$link` makes.
macro_rules! contract {
    ($transport:ident, $link:expr, $bad:expr) => {
        mod $transport {
            use super::*;

            #[tokio::test]
            async fn keeps_the_order() {
                crate::soon(async { crate::keeps_the_order($link.await).await }).await;
            }

            #[tokio::test]
            async fn carries_a_long_message() {
                crate::soon(async { crate::carries_a_long_message($link.await).await }).await;
            }

            #[tokio::test]
            async fn carries_a_message_with_line_ends() {
                let run = async { crate::carries_a_message_with_line_ends($link.await).await };
                crate::soon(run).await;
            }

            #[tokio::test]
            async fn a_frame_over_the_limit_is_an_error() {
                let run =
                    async { crate::a_frame_over_the_limit_is_an_error($link.await, $bad).await };
                crate::soon(run).await;
            }

            #[tokio::test]
            async fn bytes_that_are_no_text_are_left_to_the_judge() {
                let run = async {
                    crate::bytes_that_are_no_text_are_left_to_the_judge($link.await, $bad).await;
                };
                crate::soon(run).await;
            }

            #[tokio::test]
            async fn a_peer_that_goes_is_noticed() {
                crate::soon(async { crate::a_peer_that_goes_is_noticed($link.await).await }).await;
            }
        }
    };
}
use contract;
