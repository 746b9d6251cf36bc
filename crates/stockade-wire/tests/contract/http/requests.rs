//! Requests: what they say, what their answers are, and which connection they take.

use std::time::Duration;

use stockade_wire::error::WireError;
use stockade_wire::http::connection::{HttpOptions, HttpUpstream};
use stockade_wire::http::headers::SendHeaders;
use stockade_wire::upstream::Reply;

use super::{ANSWER, CLOSE, INITIALIZE, JSON, ask, initialized, upstream};
use crate::web::Server;
use crate::{cleared, long, numbered, small, soon};

#[tokio::test]
async fn a_session_is_named_in_every_later_request() {
    let server = Server::start().await;
    let session = initialized(&server).await;
    let (reply, request) = ask(&server, &session, &numbered(1), "200 OK", CLOSE, ANSWER).await;
    assert!(matches!(reply.unwrap(), Reply::Body { .. }));
    for (name, value) in [
        ("mcp-session-id", "secret-1"),
        ("mcp-protocol-version", "2025-11-25"),
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("host", server.origin().strip_prefix("http://").unwrap()),
    ] {
        assert_eq!(request.get(name), Some(value));
    }
    assert_eq!(request.get("mcp-method"), None);
    assert_eq!(request.body, numbered(1));

    let closed = async { session.close(SendHeaders::NONE).await };
    let (closed, request) = tokio::join!(closed, server.answer("200 OK", "", ""));
    closed.unwrap();
    assert_eq!(request.line, "DELETE /mcp HTTP/1.1\r\n");
    assert_eq!(request.get("mcp-session-id"), Some("secret-1"));
    assert!(!format!("{session:?}").contains("secret"));
}

#[tokio::test]
async fn a_session_that_the_server_has_forgotten_is_lost() {
    let server = Server::start().await;
    let session = initialized(&server).await;
    let (reply, _) = ask(&server, &session, &numbered(1), "404 Not Found", CLOSE, "{}").await;
    assert!(matches!(reply, Err(WireError::SessionLost)));
    let listened = session.listen(None, SendHeaders::NONE);
    let (listened, _) = tokio::join!(listened, server.answer("404 Not Found", "", ""));
    assert!(matches!(listened, Err(WireError::SessionLost)));
}

#[tokio::test]
async fn a_session_id_that_is_none_is_refused() {
    for id in ["", "a b", "caf\u{e9}"] {
        let server = Server::start().await;
        let headers = format!("{CLOSE}Mcp-Session-Id: {id}\r\n");
        let session = upstream(&server).session();
        let (reply, _) = ask(&server, &session, INITIALIZE, "200 OK", &headers, ANSWER).await;
        assert!(matches!(reply, Err(WireError::NotMcp(_))), "{id:?}");
    }
}

#[tokio::test]
async fn a_modern_request_says_in_headers_what_its_body_says() {
    let server = Server::start().await;
    // Whatever this server gives out, the era has no sessions.
    let session = initialized(&server).await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"Größe","_meta":
        {"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let mut headers = SendHeaders::default();
    headers.param("Region", "eu west").unwrap();
    headers.param("Note", "grün").unwrap();
    headers.extra("Authorization", "Bearer upstream").unwrap();
    let message = cleared(call);
    let sent = session.send(&message, &headers);
    let (reply, request) = tokio::join!(sent, server.answer("200 OK", CLOSE, ANSWER));
    assert!(matches!(reply.unwrap(), Reply::Body { status: 200, .. }));
    for (name, value) in [
        ("mcp-protocol-version", Some("2026-07-28")),
        ("mcp-method", Some("tools/call")),
        ("mcp-name", Some("=?base64?R3LDtsOfZQ==?=")),
        ("mcp-param-region", Some("eu west")),
        ("mcp-param-note", Some("=?base64?Z3LDvG4=?=")),
        ("authorization", Some("Bearer upstream")),
        ("mcp-session-id", None),
    ] {
        assert_eq!(request.get(name), value, "{name}");
    }

    // An unknown method is 404 in this era, and no lost session.
    let body = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"m"}}"#;
    let (reply, _) = ask(&server, &session, call, "404 Not Found", CLOSE, body).await;
    assert!(matches!(reply.unwrap(), Reply::Body { status: 404, bytes, .. } if bytes == body));

    // Cancelling is closing the stream; nothing is sent.
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,
        "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    drop(server);
    let reply = session.send(&cleared(cancel), SendHeaders::NONE).await;
    assert!(matches!(reply, Ok(Reply::Later)));
}

#[tokio::test]
async fn a_status_is_an_answer_or_an_error() {
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let request = numbered(1);
    let html = "Content-Type: text/html\r\nConnection: close\r\n";
    let packed = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
    let long_error = "x".repeat((64 << 10) + 1);
    for (text, status, headers, body, expected) in [
        (&*request, "200 OK", "Content-Type: Application/JSON ; a=b\r\n", ANSWER, "200"),
        (&*request, "400 Bad Request", CLOSE, "{}", "400"),
        (&*request, "503 Busy", CLOSE, "{}", "503"),
        (&*request, "202 Accepted", "", "", "later"),
        (&*request, "204 No Content", "", "", "later"),
        (notification, "202 Accepted", html, "Accepted", "later"),
        (notification, "200 OK", "", "", "later"),
        (notification, "200 OK", html, "ok", "later"),
        (notification, "500 Broken", html, "no", "HTTP status 500"),
        (&*request, "500 Broken", html, "no", "HTTP status 500"),
        (&*request, "500 Broken", CLOSE, &long_error, "HTTP status 500"),
        (&*request, "401 Who", CLOSE, "{}", "HTTP status 401"),
        (&*request, "200 OK", html, "hi", "not MCP: an answer that is neither JSON nor events"),
        (&*request, "200 OK", packed, "??", "not MCP: an answer that is neither JSON nor events"),
    ] {
        let server = Server::start().await;
        let session = upstream(&server).session();
        let (reply, _) = ask(&server, &session, text, status, headers, body).await;
        let said = match reply {
            Ok(Reply::Body { status, bytes, .. }) => {
                assert_eq!(bytes, body);
                status.to_string()
            }
            Ok(Reply::Later) => "later".to_owned(),
            Ok(Reply::Events(_)) => "events".to_owned(),
            Err(it) => it.to_string(),
        };
        assert_eq!(said, expected, "{status} {headers} {body}");
    }
}

#[tokio::test]
async fn a_challenge_is_handed_on() {
    let server = Server::start().await;
    let session = upstream(&server).session();
    let headers = format!("{JSON}WWW-Authenticate: Bearer scope=\"a\"\r\n");
    let (reply, _) = ask(&server, &session, &numbered(1), "403 No", &headers, "{}").await;
    let Err(WireError::Status { status: 403, challenge }) = reply else { panic!("{reply:?}") };
    assert_eq!(challenge.as_deref(), Some("Bearer scope=\"a\""));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let (server, elsewhere) = (Server::start().await, Server::start().await);
        let session = upstream(&server).session();
        let headers = format!("{CLOSE}Location: {}/other\r\n", elsewhere.origin());
        let (reply, _) = ask(&server, &session, &numbered(1), status, &headers, "{}").await;
        assert!(matches!(reply, Err(WireError::Status { status: 300..400, .. })), "{reply:?}");
        // The first that comes there is another message.
        let other = upstream(&elsewhere).session();
        let (_, first) = ask(&elsewhere, &other, &numbered(2), "202 Accepted", "", "").await;
        assert_eq!(first.body, numbered(2));
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::start().await;
    let session = upstream(&server).session();
    let served = async {
        let mut connection = server.request().await;
        for n in 1..=3 {
            assert_eq!(connection.request.body, numbered(n));
            connection.answer("200 OK", JSON, ANSWER).await;
            if n < 3 {
                assert!(connection.read().await);
            }
        }
    };
    let sent = async {
        for n in 1..=3 {
            let reply = session.send(&cleared(&numbered(n)), SendHeaders::NONE).await.unwrap();
            let Reply::Body { lease, .. } = reply else { panic!("{reply:?}") };
            lease.settle();
        }
    };
    soon(async { tokio::join!(served, sent) }).await;
}

/// A server closes a connection that is idle, or says something on it that nobody asked for, which
/// would be taken for the answer to the next request. Or what it has said was not the answer.
#[tokio::test]
async fn a_connection_on_which_something_else_happened_is_not_used_again() {
    const UNASKED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (settles, unasked) in
        [(true, None), (true, Some(UNASKED)), (true, Some(b"\0")), (false, Some(b""))]
    {
        let server = Server::start().await;
        let session = upstream(&server).session();
        let message = cleared(&numbered(1));
        let first = async {
            let mut connection = server.request().await;
            connection.answer("200 OK", JSON, ANSWER).await;
            connection
        };
        let sent = session.send(&message, SendHeaders::NONE);
        let (mut connection, reply) = soon(async { tokio::join!(first, sent) }).await;
        let Ok(Reply::Body { lease, .. }) = reply else { panic!("{reply:?}") };
        if settles {
            lease.settle();
        }
        match unasked {
            None => drop(connection),
            Some(it) => assert!(connection.write(it).await),
        }
        // What is under way on loopback is with the other side by now, which has to look.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let (reply, request) = ask(&server, &session, &numbered(2), "200 OK", JSON, ANSWER).await;
        let Ok(Reply::Body { bytes, .. }) = reply else { panic!("{unasked:?}: {reply:?}") };
        assert_eq!(bytes, ANSWER, "{unasked:?}");
        assert_eq!(request.body, numbered(2), "{unasked:?}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_an_error_and_the_next_one_comes() {
    let server = Server::start().await;
    let session = upstream(&server).session();
    let too_long = long(small().frame_bytes_max);
    let (reply, _) = ask(&server, &session, &numbered(1), "200 OK", CLOSE, &too_long).await;
    assert!(matches!(reply, Err(WireError::FrameTooLong { .. })));

    // Without a length, it is counted.
    let message = cleared(&numbered(2));
    let served = async {
        let mut connection = server.request().await;
        connection.begin("application/json").await;
        while connection.chunk(&[b' '; 32 << 10]).await {}
    };
    let sent = session.send(&message, SendHeaders::NONE);
    let (reply, ()) = soon(async { tokio::join!(sent, served) }).await;
    assert!(matches!(reply, Err(WireError::FrameTooLong { .. })));

    let (reply, _) = ask(&server, &session, &numbered(3), "200 OK", CLOSE, ANSWER).await;
    assert!(matches!(reply, Ok(Reply::Body { .. })));
}

#[tokio::test]
async fn a_body_may_come_byte_by_byte_and_must_come_whole() {
    let server = Server::start().await;
    let session = upstream(&server).session();
    let message = cleared(&numbered(1));
    for whole in [true, false] {
        let served = async {
            let mut connection = server.request().await;
            connection.begin("application/json").await;
            for byte in ANSWER.as_bytes() {
                connection.chunk(&[*byte]).await;
            }
            if whole {
                connection.end().await;
            }
        };
        let sent = session.send(&message, SendHeaders::NONE);
        let (reply, ()) = soon(async { tokio::join!(sent, served) }).await;
        match reply {
            Ok(Reply::Body { bytes, .. }) => assert!(whole && bytes == ANSWER),
            other => assert!(!whole && matches!(other, Err(WireError::Closed)), "{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_no_longer_than_told() {
    let server = Server::start().await;
    let after = Duration::from_millis(20);
    let options = HttpOptions { answer_timeout: after, ..HttpOptions::default() };
    let session = HttpUpstream::new(&server.origin(), options).unwrap().session();
    let message = cleared(&numbered(1));
    let served = async { server.request().await.closed().await };
    let sent = session.send(&message, SendHeaders::NONE);
    let (reply, ()) = soon(async { tokio::join!(sent, served) }).await;
    assert!(matches!(reply, Err(WireError::Timeout { after: it }) if it == after));
}

#[tokio::test]
async fn what_is_not_http_or_not_tls_is_told_apart() {
    let server = Server::start().await;
    let session = upstream(&server).session();
    let message = cleared(&numbered(1));
    let served = async { server.request().await.write(b"220 mail.example\r\n\r\n").await };
    let (reply, _) = tokio::join!(session.send(&message, SendHeaders::NONE), served);
    assert!(matches!(reply, Err(WireError::NotMcp(_))), "{reply:?}");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/mcp", listener.local_addr().unwrap());
    let session = HttpUpstream::new(&url, HttpOptions::default()).unwrap().session();
    let served = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let (reply, _) = tokio::join!(session.send(&message, SendHeaders::NONE), served);
    assert!(matches!(reply, Err(WireError::Tls(_))), "{reply:?}");
}

#[test]
fn a_url_that_cannot_be_used_is_refused() {
    for url in [
        "",
        "/mcp",
        "localhost:1/mcp",
        "ftp://localhost/",
        "http://",
        "http://user:secret@localhost/",
        "http://a b/",
        "http://localhost:99999/mcp",
        "http://localhost:x/mcp",
    ] {
        let error = HttpUpstream::new(url, HttpOptions::default()).unwrap_err();
        assert!(matches!(error, WireError::Url(_)), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
