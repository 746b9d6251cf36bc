//! Connections to one HTTP server. Each is driven by whoever waits for what it brings, in the same
//! task: a task of its own for each connection, as a client usually has them, costs a request two
//! hand-overs between tasks, and their wake-ups.
//!
//! So nobody looks at a connection that is not in use. That the server has closed it is seen when it
//! is taken up again, before anything is sent.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::error::WireError;

/// How many connections are kept for later.
const IDLE_MAX: usize = 512;

/// How long a connection is kept that nobody uses.
const IDLE_FOR: Duration = Duration::from_secs(90);

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// The connections to one server.
pub(crate) struct Pool {
    uri: Uri,
    connector: Connector,
    connect_timeout: Duration,
    idle: Mutex<Idle>,
}

#[derive(Clone)]
enum Connector {
    Plain(HttpConnector),
    Tls(HttpsConnector<HttpConnector>),
}

/// The connections that nobody uses, the one that was used last at the end.
#[derive(Default)]
struct Idle {
    connections: VecDeque<(Instant, Box<Connection>)>,
    /// Whether somebody will look for those that are idle for too long.
    is_swept: bool,
}

/// A connection. It is large, so it is moved in a box.
struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Driver,
}

/// What moves a connection on. Gone when the connection has ended.
struct Driver(Option<http1::Connection<Stream, Full<Bytes>>>);

/// The body of a response, and the connection that it comes over, which goes back to the others when
/// the body has ended and was what was asked for. Dropped before that, the connection is closed.
pub(crate) struct Answering {
    body: Incoming,
    has_ended: bool,
    settled: Settled,
    connection: Option<Box<Connection>>,
    pool: Arc<Pool>,
}

/// Says that what came over a connection was the answer to what was asked on it. A server that has
/// answered something else has the answer still to give, and whoever asks next on that connection
/// would get it: another client, perhaps.
#[derive(Clone, Debug, Default)]
pub struct Settled(Arc<AtomicBool>);

impl Settled {
    /// It was: others may use the connection.
    pub fn settle(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The connection that an answer in one piece came over. Dropped before it is settled, it is closed.
pub struct Lease(Answering);

impl Lease {
    /// What came was the answer: others may use the connection.
    pub fn settle(self) {
        self.0.settled.settle();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.0.settled).finish()
    }
}

impl Answering {
    /// What says that this is the answer.
    pub(crate) fn settled(&self) -> Settled {
        self.settled.clone()
    }

    pub(crate) fn lease(self) -> Lease {
        Lease(self)
    }
}

impl Pool {
    /// Connections to the host of `uri`. None is made yet.
    pub(crate) fn new(
        uri: Uri,
        is_tls: bool,
        connect_timeout: Duration,
    ) -> Result<Self, WireError> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(connect_timeout));
        let connector = if is_tls {
            tcp.enforce_http(false);
            let tls = HttpsConnectorBuilder::new()
                .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
                .map_err(WireError::Io)?
                .https_only()
                .enable_http1()
                .wrap_connector(tcp);
            Connector::Tls(tls)
        } else {
            Connector::Plain(tcp)
        };
        Ok(Self { uri, connector, connect_timeout, idle: Mutex::default() })
    }

    /// Sends a request, which names a path and no host, and waits for the head of its response.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Answering>, WireError> {
        loop {
            let (mut connection, is_new) = match self.idle().await {
                Some(it) => (it, false),
                // In a box, since it is large and rarely what happens.
                None => (Box::pin(self.connect()).await?, true),
            };
            match connection.exchange(request).await {
                Ok(response) => {
                    return Ok(response.map(|body| {
                        let pool = Arc::clone(self);
                        let settled = Settled::default();
                        Answering {
                            body,
                            has_ended: false,
                            settled,
                            connection: Some(connection),
                            pool,
                        }
                    }));
                }
                // A server may close a connection at the moment that it is taken up. What was not
                // sent may be sent again, and what was may not (RFC 9110 §9.2.2).
                Err(mut failed) => match failed.take_message().filter(|_| !is_new) {
                    Some(unsent) => request = unsent,
                    None => return Err(WireError::from_http(failed.error(), None)),
                },
            }
        }
    }

    /// A connection that nobody uses and that is still open.
    async fn idle(&self) -> Option<Box<Connection>> {
        loop {
            let (_, mut connection) = self.lock().connections.pop_back()?;
            if connection.is_ready().await {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<Box<Connection>, WireError> {
        let connect_timeout = Some(self.connect_timeout);
        let uri = self.uri.clone();
        let stream = match self.connector.clone() {
            Connector::Plain(mut it) => match it.call(uri).await {
                Ok(stream) => MaybeHttpsStream::Http(stream),
                Err(error) => return Err(WireError::from_http(&error, connect_timeout)),
            },
            Connector::Tls(mut it) => it.call(uri).await.map_err(|error| {
                let error: &(dyn Error + 'static) = &*error;
                WireError::from_http(error, connect_timeout)
            })?,
        };
        let (sender, driver) =
            http1::handshake(stream).await.map_err(|it| WireError::from_http(&it, None))?;
        Ok(Box::new(Connection { sender, driver: Driver(Some(driver)) }))
    }

    fn keep(self: &Arc<Self>, connection: Box<Connection>) {
        let mut idle = self.lock();
        if idle.connections.len() == IDLE_MAX {
            idle.connections.pop_front();
        }
        idle.connections.push_back((Instant::now(), connection));
        // Outside of a runtime there is nobody to look after it, and the pool is at its end.
        if !idle.is_swept
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            idle.is_swept = true;
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that are idle for too long, for as long as there are some.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE_FOR / 3).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.lock();
        while idle.connections.front().is_some_and(|(since, _)| since.elapsed() >= IDLE_FOR) {
            idle.connections.pop_front();
        }
        if idle.connections.is_empty() {
            idle.is_swept = false;
            return;
        }
    }
}

impl Connection {
    /// Whether it takes a request.
    async fn is_ready(&mut self) -> bool {
        let is_ready = poll_fn(|cx| {
            self.driver.drive(cx);
            Poll::Ready(self.sender.poll_ready(cx))
        });
        matches!(is_ready.await, Poll::Ready(Ok(())))
    }

    /// Sends a request and waits for the head of its response.
    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let mut response = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            self.driver.drive(cx);
            response.as_mut().poll(cx)
        })
        .await
    }
}

impl Driver {
    /// Lets the connection go on as far as it can. Whoever waits for something of one that has ended
    /// is told so by what it waits for.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if self.0.as_mut().is_some_and(|it| Pin::new(it).poll(cx).is_ready()) {
            self.0 = None;
        }
    }
}

impl Body for Answering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(connection) = &mut self.connection {
            connection.driver.drive(cx);
        }
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(None) => self.has_ended = true,
            Poll::Ready(Some(Err(_))) => self.connection = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => (),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if self.is_end_stream()
            && self.settled.0.load(Ordering::Relaxed)
            && let Some(connection) = self.connection.take()
            && connection.driver.0.is_some()
        {
            self.pool.keep(connection);
        }
    }
}
