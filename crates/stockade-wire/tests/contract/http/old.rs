//! HTTP+SSE of 2024-11-05.

use stockade_wire::error::WireError;
use stockade_wire::http::client::Probed;
use stockade_wire::http::headers::SendHeaders;
use stockade_wire::sse::client::SseSession;
use stockade_wire::upstream::Reply;

use super::{ANSWER, CLOSE, INITIALIZE, sse_link, upstream};
use crate::web::Server;
use crate::{cleared, soon};

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
