//! Streams that are taken up again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stockade_core::revision::Revision;
use stockade_wire::error::WireError;
use stockade_wire::http::headers::SendHeaders;
use stockade_wire::http::resume::{Resumed, Resumption};

use super::{initialized, streaming, upstream};
use crate::soon;
use crate::web::{Connection, Server};

/// At once, so that a test need not wait.
fn at_once() -> Resumption {
    Resumption {
        tries_max: 3,
        wait: Duration::ZERO,
        wait_min: Duration::ZERO,
        ..Resumption::default()
    }
}

async fn resumed(server: &Server) -> (Resumed, Connection) {
    let session = Arc::new(initialized(server).await);
    let (events, connection) = streaming(server, &session).await;
    (Resumed::answer(session, events, SendHeaders::default(), at_once()), connection)
}

/// Waits for the client to come again, and for what it has last.
async fn comes_again(server: &Server) -> (Connection, Option<String>) {
    let mut connection = server.request().await;
    assert_eq!(connection.request.line, "GET /mcp HTTP/1.1\r\n");
    assert_eq!(connection.request.get("mcp-session-id"), Some("secret-1"));
    let last = connection.request.get("last-event-id").map(str::to_owned);
    connection.begin("text/event-stream").await;
    (connection, last)
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event() {
    let server = Server::start().await;
    let (mut stream, mut connection) = resumed(&server).await;
    let served = async {
        // Broken in the middle of an event.
        connection.chunk(b"id: 1\ndata: one\n\nid: 2\ndata: tw").await;
        drop(connection);
        let (mut connection, last) = comes_again(&server).await;
        assert_eq!(last.as_deref(), Some("1"));
        connection.chunk(b"id: 2\ndata: two\n\n").await;
        // Broken between events, and ended for now.
        drop(connection);
        let (mut connection, last) = comes_again(&server).await;
        assert_eq!(last.as_deref(), Some("2"));
        connection.end().await;
        let (mut connection, last) = comes_again(&server).await;
        assert_eq!(last.as_deref(), Some("2"));
        connection.chunk(b"id: 3\ndata: three\n\n").await;
        connection
    };
    let read = async {
        for text in ["one", "two", "three"] {
            assert_eq!(stream.next().await.unwrap().unwrap().data, text);
        }
    };
    soon(async { tokio::join!(served, read) }).await;
}

#[tokio::test]
async fn a_server_may_say_when_to_come_again() {
    let server = Server::start().await;
    let (mut stream, mut connection) = resumed(&server).await;
    let begun = Instant::now();
    let served = async {
        // Only an id and a delay, as a server says that means to be polled.
        connection.chunk(b"id: 1\nretry: 30\ndata:\n\n").await;
        connection.end().await;
        let (mut connection, last) = comes_again(&server).await;
        assert_eq!(last.as_deref(), Some("1"));
        connection.chunk(b"data: one\n\n").await;
    };
    let (read, ()) = soon(async { tokio::join!(stream.next(), served) }).await;
    assert_eq!(read.unwrap().unwrap().data, "one");
    assert!(begun.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn a_stream_is_not_taken_up_for_ever() {
    let server = Server::start().await;
    let (mut stream, mut connection) = resumed(&server).await;
    connection.chunk(b"id: 1\ndata: one\n\n").await;
    drop(connection);
    assert_eq!(stream.next().await.unwrap().unwrap().data, "one");
    let served = async {
        for _ in 0..3 {
            drop(comes_again(&server).await);
        }
        server.request().await.request.line
    };
    tokio::select! {
        it = soon(stream.next()) => assert!(matches!(it, Err(WireError::Closed)), "{it:?}"),
        it = served => panic!("a fourth try: {it}"),
    }
}

#[tokio::test]
async fn a_stream_without_ids_is_not_taken_up_but_a_listener_comes_again() {
    let server = Server::start().await;
    let (mut stream, mut connection) = resumed(&server).await;
    connection.chunk(b"data: one\n\n").await;
    connection.end().await;
    assert_eq!(stream.next().await.unwrap().unwrap().data, "one");
    assert!(stream.next().await.unwrap().is_none());

    let session = Arc::new(initialized(&server).await);
    let listened = session.listen(None, SendHeaders::NONE);
    let (events, (mut connection, _)) = tokio::join!(listened, comes_again(&server));
    let events = events.unwrap().unwrap();
    let mut stream = Resumed::listening(session, events, SendHeaders::default(), at_once());
    connection.end().await;
    drop(connection);
    let served = async {
        let (mut connection, last) = comes_again(&server).await;
        assert_eq!(last, None);
        connection.chunk(b"data: two\n\n").await;
    };
    let (read, ()) = soon(async { tokio::join!(stream.next(), served) }).await;
    assert_eq!(read.unwrap().unwrap().data, "two");
}

#[tokio::test]
async fn a_modern_stream_is_not_taken_up() {
    let server = Server::start().await;
    let session = Arc::new(upstream(&server).session());
    session.negotiated(Revision::V2026_07_28);
    let (events, mut connection) = streaming(&server, &session).await;
    let mut stream = Resumed::answer(session, events, SendHeaders::default(), at_once());
    connection.chunk(b"id: 1\ndata: one\n\n").await;
    drop(connection);
    assert_eq!(stream.next().await.unwrap().unwrap().data, "one");
    assert!(matches!(soon(stream.next()).await, Err(WireError::Closed)));
}
