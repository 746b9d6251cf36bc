//! Event streams: how they are read, and how they end.

use std::time::Duration;

use stockade_wire::error::WireError;
use stockade_wire::http::headers::SendHeaders;

use super::{JSON, streaming, upstream};
use crate::web::Server;
use crate::{cleared, numbered, soon};

#[tokio::test]
async fn a_stream_reads_the_same_wherever_it_is_cut() {
    let text = "\u{feff}: hi\r\nid: a\r\nretry: 7\r\ndata: {\"n\":\r\ndata: 1}\r\n\r\n\
                id: b\ndata:\n\nevent: other\ndata: x\n\ndata: 2\r\rdata: half";
    let server = Server::start().await;
    let session = upstream(&server).session();
    for at in 0..=text.len() {
        let (mut events, mut connection) = streaming(&server, &session).await;
        let (start, rest) = text.as_bytes().split_at(at);
        // An empty chunk would end the body.
        for part in [start, rest].into_iter().filter(|it| !it.is_empty()) {
            connection.chunk(part).await;
        }
        connection.end().await;
        let read = async {
            let first = events.next().await.unwrap().unwrap();
            assert_eq!(first.data, "{\"n\":\n1}", "cut at {at}");
            assert_eq!((first.id.as_deref(), first.retry), (Some("a"), Some(7)), "cut at {at}");
            assert_eq!(events.last_event_id(), Some("a"));
            assert_eq!(events.next().await.unwrap().unwrap().data, "2", "cut at {at}");
            assert_eq!(events.last_event_id(), Some("b"));
            assert_eq!(events.next().await.unwrap(), None, "cut at {at}");
        };
        soon(read).await;
        drop(connection);
    }
}

#[tokio::test]
async fn an_endless_event_is_cut_off_and_what_came_before_is_kept() {
    let server = Server::start().await;
    let session = upstream(&server).session();
    for endless in ["x", "data: x\n", ": x\r", "id: \u{e9}\r\n"] {
        let (mut events, mut connection) = streaming(&server, &session).await;
        let piece = endless.repeat(8 << 10);
        let served = async {
            let first = format!("data: 1\n\ndata: 2\n\ndata: {piece}");
            connection.chunk(first.as_bytes()).await;
            while connection.chunk(piece.as_bytes()).await {}
        };
        let read = async {
            assert_eq!(events.next().await.unwrap().unwrap().data, "1");
            assert_eq!(events.next().await.unwrap().unwrap().data, "2");
            let error = events.next().await.unwrap_err();
            assert!(matches!(error, WireError::FrameTooLong { .. }), "{error:?}");
            assert!(events.next().await.unwrap().is_none());
            drop(events);
        };
        // The server sees the connection close, or it would write for ever.
        soon(async { tokio::join!(served, read) }).await;
    }
}

#[tokio::test]
async fn dropping_a_stream_closes_its_connection() {
    let server = Server::start().await;
    let session = upstream(&server).session();
    let (mut events, mut connection) = streaming(&server, &session).await;
    connection.chunk(b"data: 1\n\n").await;
    assert_eq!(events.next().await.unwrap().unwrap().data, "1");
    drop(events);
    soon(connection.closed()).await;
}

#[tokio::test]
async fn giving_up_on_an_answer_closes_its_connection() {
    let server = Server::start().await;
    let session = upstream(&server).session();
    let message = cleared(&numbered(1));
    let mut connection = tokio::select! {
        it = session.send(&message, SendHeaders::NONE) => panic!("{it:?}"),
        it = server.request() => it,
    };
    soon(connection.closed()).await;
}

#[tokio::test]
async fn a_stream_that_breaks_is_an_error() {
    let server = Server::start().await;
    let session = upstream(&server).session();
    let (mut events, mut connection) = streaming(&server, &session).await;
    connection.chunk(b"data: 1\n\ndata: ha").await;
    drop(connection);
    assert_eq!(events.next().await.unwrap().unwrap().data, "1");
    assert!(matches!(soon(events.next()).await, Err(WireError::Closed)));
}

#[tokio::test]
async fn a_server_without_a_stream_of_its_own_is_no_error() {
    let server = Server::start().await;
    let session = upstream(&server).session();
    for (status, headers, found) in [
        ("405 Method Not Allowed", "", "none"),
        ("200 OK", JSON, "not MCP: not an event stream"),
        ("500 Broken", "", "HTTP status 500"),
    ] {
        let headers = format!("{headers}Connection: close\r\n");
        let listened = session.listen(Some("7"), SendHeaders::NONE);
        let (listened, request) = tokio::join!(listened, server.answer(status, &headers, ""));
        assert_eq!(request.get("last-event-id"), Some("7"));
        assert_eq!(request.get("accept"), Some("text/event-stream"));
        match listened {
            Ok(it) => assert!(it.is_none() && found == "none"),
            Err(it) => assert_eq!(it.to_string(), found),
        }
    }
}

#[tokio::test]
async fn a_server_waits_for_a_reader_that_does_not_read() {
    let server = Server::start().await;
    let session = upstream(&server).session();
    let (mut events, mut connection) = streaming(&server, &session).await;
    // From here on time passes only when nothing else moves.
    tokio::time::pause();
    let mut whole = 0;
    loop {
        let event = format!("id: {whole}\ndata: {}\n\n", "x".repeat(64 << 10));
        let written = connection.chunk(event.as_bytes());
        if tokio::time::timeout(Duration::from_secs(1), written).await.is_err() {
            break;
        }
        whole += 1;
        // What the system holds on the way is some megabytes.
        assert!(whole < 512, "32 MiB were taken, and nobody read");
    }
    tokio::time::resume();
    for n in 0..whole {
        let event = events.next().await.unwrap().unwrap();
        assert_eq!(event.id, Some(n.to_string()));
        assert_eq!(event.data.len(), 64 << 10);
    }
}
