//! A server of HTTP that says what a test tells it to, byte by byte.

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Server {
    listener: TcpListener,
}

/// A connection, with the request that was read from it last.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    pub(crate) request: Request,
}

#[derive(Default)]
pub(crate) struct Request {
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    /// The next connection and its request.
    pub(crate) async fn request(&self) -> Connection {
        let (stream, _) = self.listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = BufReader::new(stream);
        let mut connection = Connection { stream, request: Request::default() };
        assert!(connection.read().await, "a connection without a request");
        connection
    }

    /// Answers the next request, and says what it was.
    pub(crate) async fn answer(&self, status: &str, headers: &str, body: &str) -> Request {
        let mut connection = self.request().await;
        connection.answer(status, headers, body).await;
        connection.request
    }
}

impl Connection {
    /// Reads one more request; false when the client has closed the connection.
    pub(crate) async fn read(&mut self) -> bool {
        let mut request = Request::default();
        if self.stream.read_line(&mut request.line).await.unwrap_or(0) == 0 {
            return false;
        }
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await.unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            request.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let length = request.get("content-length").map_or(0, |it| it.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        request.body = body.into();
        self.request = request;
        true
    }

    /// Writes bytes. That the client may have gone is not an error here.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub(crate) async fn answer(&mut self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
        self.write(head.as_bytes()).await;
        self.write(body.as_bytes()).await;
    }

    /// Begins a body of chunks, the last one of this connection.
    pub(crate) async fn begin(&mut self, content_type: &str) {
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        self.write(head.as_bytes()).await;
    }

    /// One chunk, which the client sees as one piece.
    pub(crate) async fn chunk(&mut self, bytes: &[u8]) -> bool {
        let size = format!("{:x}\r\n", bytes.len());
        self.write(&[size.as_bytes(), bytes, b"\r\n"].concat()).await
    }

    /// Ends a body of chunks as it should.
    pub(crate) async fn end(&mut self) {
        self.write(b"0\r\n\r\n").await;
    }

    /// Waits until the client closes the connection.
    pub(crate) async fn closed(&mut self) {
        assert!(!self.read().await, "another request: {}", self.request.line);
    }
}

impl Request {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }
}
