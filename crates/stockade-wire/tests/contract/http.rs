//! Streamable HTTP and HTTP+SSE, as a client of a server that a test plays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use stockade_core::judge::Cleared;
use stockade_core::revision::Revision;
use stockade_wire::error::WireError;
use stockade_wire::events::Events;
use stockade_wire::frame::Frames;
use stockade_wire::http::client::{HttpSession, Probed};
use stockade_wire::http::connection::{HttpOptions, HttpUpstream};
use stockade_wire::http::headers::SendHeaders;
use stockade_wire::http::resume::{Resumed, Resumption};
use stockade_wire::sse::client::SseSession;
use stockade_wire::upstream::Reply;

use crate::web::{Connection, Server};
use crate::{Bad, Peer, Sends, cleared, contract, long, numbered, small, soon};

const JSON: &str = "Content-Type: application/json\r\n";
const CLOSE: &str = "Content-Type: application/json\r\nConnection: close\r\n";
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":0,"result":{}}"#;

fn upstream(server: &Server) -> HttpUpstream {
    let options = HttpOptions { limits: small(), ..HttpOptions::default() };
    HttpUpstream::new(&format!("{}/mcp", server.origin()), options).unwrap()
}

/// Sends `text`, which the server answers as told.
async fn ask(
    server: &Server,
    session: &HttpSession,
    text: &str,
    status: &str,
    headers: &str,
    body: &str,
) -> (Result<Reply, WireError>, crate::web::Request) {
    let message = cleared(text);
    let answered = server.answer(status, headers, body);
    soon(async { tokio::join!(session.send(&message, SendHeaders::NONE), answered) }).await
}

/// A session that the server knows as `secret-1`.
async fn initialized(server: &Server) -> HttpSession {
    let session = upstream(server).session();
    let headers = format!("{CLOSE}Mcp-Session-Id: secret-1\r\n");
    let (reply, request) = ask(server, &session, INITIALIZE, "200 OK", &headers, ANSWER).await;
    assert!(matches!(reply.unwrap(), Reply::Body { status: 200, bytes, .. } if bytes == ANSWER));
    assert_eq!(request.line, "POST /mcp HTTP/1.1\r\n");
    session.negotiated(Revision::V2025_11_25);
    session
}

/// A message sent, and the stream that the server answers with.
async fn streaming(server: &Server, session: &HttpSession) -> (Events, Connection) {
    let message = cleared(&numbered(1));
    let served = async {
        let mut connection = server.request().await;
        connection.begin("text/event-stream").await;
        connection
    };
    let sent = session.send(&message, SendHeaders::NONE);
    let (reply, connection) = soon(async { tokio::join!(sent, served) }).await;
    let Reply::Events(events) = reply.unwrap() else { panic!("no stream") };
    (events, connection)
}

// The suite.

struct Listening(Events);

impl Frames for Listening {
    async fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        Ok(self.0.next().await?.map(|it| it.data))
    }
}

struct EventPeer {
    server: Server,
    stream: Connection,
}

impl Peer for EventPeer {
    async fn says(&mut self, bytes: &[u8]) {
        self.stream.chunk(&[b"data: ", bytes, b"\n\n"].concat()).await;
    }

    async fn hears(&mut self) -> Option<Bytes> {
        Some(self.server.answer("202 Accepted", "", "").await.body)
    }

    async fn goes(mut self) {
        self.stream.end().await;
    }
}

impl Sends for HttpSession {
    async fn send(&mut self, message: &Cleared) -> Result<(), WireError> {
        let reply = Self::send(self, message, SendHeaders::NONE).await?;
        assert!(matches!(reply, Reply::Later), "{reply:?}");
        Ok(())
    }
}

impl Sends for SseSession {
    async fn send(&mut self, message: &Cleared) -> Result<(), WireError> {
        Self::send(self, message, SendHeaders::NONE).await
    }
}

/// A server that closes each connection, so that every request is one `accept`.
async fn streamable_link() -> (Listening, HttpSession, EventPeer) {
    let server = Server::start().await;
    let session = initialized(&server).await;
    let served = async {
        let mut stream = server.request().await;
        assert_eq!(stream.request.line, "GET /mcp HTTP/1.1\r\n");
        stream.begin("text/event-stream").await;
        stream
    };
    let (events, stream) = tokio::join!(session.listen(None, SendHeaders::NONE), served);
    (Listening(events.unwrap().unwrap()), session, EventPeer { server, stream })
}

async fn sse_link() -> (Listening, SseSession, EventPeer) {
    let server = Server::start().await;
    let upstream = upstream(&server);
    let served = async {
        let mut stream = server.request().await;
        assert_eq!(stream.request.line, "GET /mcp HTTP/1.1\r\n");
        stream.begin("text/event-stream; charset=utf-8").await;
        stream.chunk(b"event: endpoint\ndata: /post?session=secret\n\n").await;
        stream
    };
    let (opened, stream) = tokio::join!(SseSession::open(&upstream, SendHeaders::NONE), served);
    let (session, events) = opened.unwrap();
    (Listening(events), session, EventPeer { server, stream })
}

contract!(streamable, streamable_link(), Bad::Ends);
contract!(sse, sse_link(), Bad::Ends);

// Requests.

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

// Event streams.

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

// Streams that are taken up again.

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

// 2024-11-05.

#[tokio::test]
async fn an_endpoint_of_another_origin_is_refused() {
    for first in [
        "event: endpoint\ndata: http://127.0.0.1:1/post?session=secret\n\n",
        "event: endpoint\ndata: https://elsewhere.example/post?session=secret\n\n",
        "event: endpoint\ndata: //elsewhere.example/post?session=secret\n\n",
        "event: message\ndata: /post?session=secret\n\n",
    ] {
        let server = Server::start().await;
        let upstream = upstream(&server);
        let served = async {
            let mut stream = server.request().await;
            stream.begin("text/event-stream").await;
            stream.chunk(first.as_bytes()).await;
            stream.closed().await;
        };
        let opened = SseSession::open(&upstream, SendHeaders::NONE);
        let (opened, ()) = soon(async { tokio::join!(opened, served) }).await;
        let error = opened.unwrap_err();
        assert!(matches!(error, WireError::NotMcp(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}

#[tokio::test]
async fn the_address_of_a_session_is_not_told() {
    let (_reader, session, _peer) = sse_link().await;
    assert!(!format!("{session:?}").contains("secret"));
}

#[tokio::test]
async fn a_server_of_2024_11_05_is_found() {
    for refusal in ["400 Bad Request", "404 Not Found", "405 Method Not Allowed"] {
        let server = Server::start().await;
        let upstream = upstream(&server);
        let initialize = cleared(INITIALIZE);
        let served = async {
            server.answer(refusal, "Connection: close\r\n", "").await;
            let mut stream = server.request().await;
            stream.begin("text/event-stream").await;
            stream.chunk(b"event: endpoint\ndata: /post?session=secret\n\n").await;
            let posted = server.answer("202 Accepted", "", "Accepted").await;
            assert_eq!(posted.line, "POST /post?session=secret HTTP/1.1\r\n");
            assert_eq!(posted.body, INITIALIZE);
            stream.chunk(format!("event: message\ndata: {ANSWER}\n\n").as_bytes()).await;
            stream
        };
        let probed = upstream.probe(&initialize, SendHeaders::NONE);
        let (probed, _stream) = soon(async { tokio::join!(probed, served) }).await;
        let Probed::Sse(_, mut events) = probed.unwrap() else { panic!("{refusal}") };
        assert_eq!(events.next().await.unwrap().unwrap().data, ANSWER);
    }
}

#[tokio::test]
async fn a_server_that_answers_is_not_taken_for_an_old_one() {
    let error = r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"m"}}"#;
    let server = Server::start().await;
    let upstream = upstream(&server);
    let initialize = cleared(INITIALIZE);
    let answered = server.answer("400 Bad Request", CLOSE, error);
    let (probed, _) = tokio::join!(upstream.probe(&initialize, SendHeaders::NONE), answered);
    let Probed::Streamable(_, Reply::Body { status: 400, bytes, .. }) = probed.unwrap() else {
        panic!("not streamable")
    };
    assert_eq!(bytes, error);

    // Neither: what the first said is what is told.
    let served = async {
        server.answer("404 Not Found", CLOSE, "{}").await;
        server.answer("406 Not Acceptable", CLOSE, "{}").await;
    };
    let (probed, ()) = tokio::join!(upstream.probe(&initialize, SendHeaders::NONE), served);
    assert!(matches!(probed, Err(WireError::Status { status: 404, .. })), "{probed:?}");
}
