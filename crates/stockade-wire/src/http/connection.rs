//! One HTTP server: a pool of connections to it, limits and timeouts. What is said over them is
//! not decided here.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::Scheme;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::error::WireError;
use crate::frame::Limits;

/// How many connections are kept for later.
const IDLE_CONNECTIONS_MAX: usize = 512;

/// What of a challenge is kept.
const CHALLENGE_BYTES_MAX: usize = 4 << 10;

/// What a server is given.
#[derive(Clone, Copy, Debug)]
pub struct HttpOptions {
    /// How long its messages may be.
    pub limits: Limits,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long an answer may take: until a stream begins, or a body is whole.
    pub answer_timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(120),
        }
    }
}

/// A server that is reached over HTTP. Clones share its connections.
///
/// Redirects are not followed and proxies of the environment are not used: a message goes where
/// the configuration says.
#[derive(Clone)]
pub struct HttpUpstream(Arc<Inner>);

struct Inner {
    uri: Uri,
    host: HeaderValue,
    client: Client,
    options: HttpOptions,
}

enum Client {
    Plain(legacy::Client<HttpConnector, Full<Bytes>>),
    Tls(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl HttpUpstream {
    /// The server at `url`. Nothing is sent yet.
    ///
    /// # Errors
    /// When `url` is not one of HTTP, or the certificates that this machine trusts cannot be read.
    pub fn new(url: &str, options: HttpOptions) -> Result<Self, WireError> {
        let uri: Uri = url.parse().map_err(|_| WireError::Url("it cannot be read"))?;
        let authority = uri.authority().ok_or(WireError::Url("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(WireError::Url("it has a user in it"));
        }
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| WireError::Url("its host is no header value"))?;
        let is_tls = match uri.scheme() {
            Some(it) if *it == Scheme::HTTPS => true,
            Some(it) if *it == Scheme::HTTP => false,
            _ => return Err(WireError::Url("it is neither http nor https")),
        };
        let client = Client::new(is_tls, options.connect_timeout)?;
        Ok(Self(Arc::new(Inner { uri, host, client, options })))
    }

    /// Whose server it is: host and port, which are no credential.
    pub fn authority(&self) -> &str {
        self.0.uri.authority().map_or("", |it| it.as_str())
    }

    /// Whether its address is, by custom, that of a server of HTTP+SSE (2024-11-05): it ends in
    /// `/sse`.
    pub fn is_sse(&self) -> bool {
        self.0.uri.path().ends_with("/sse")
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0.uri
    }

    pub(crate) fn host(&self) -> &HeaderValue {
        &self.0.host
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.options.limits
    }

    /// Sends a request and waits for the head of its response.
    pub(crate) async fn request(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, WireError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let response = match &self.0.client {
            Client::Plain(it) => it.request(request),
            Client::Tls(it) => it.request(request),
        };
        let connect_timeout = Some(self.0.options.connect_timeout);
        response.await.map_err(|it| WireError::from_http(&it, connect_timeout))
    }

    /// `answer`, if it comes in time.
    pub(crate) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, WireError>>,
    ) -> Result<T, WireError> {
        let after = self.0.options.answer_timeout;
        let late = |_| WireError::Timeout { after };
        tokio::time::timeout(after, answer).await.map_err(late)?
    }
}

impl fmt::Debug for HttpUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the path and the query, where a credential may stand.
        f.debug_tuple("HttpUpstream").field(&self.0.host).finish()
    }
}

impl Client {
    fn new(is_tls: bool, connect_timeout: Duration) -> Result<Self, WireError> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(connect_timeout));
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
        // The header is written once for all requests, by who makes them.
        builder.set_host(false);
        if !is_tls {
            return Ok(Self::Plain(builder.build(tcp)));
        }
        tcp.enforce_http(false);
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
            .map_err(WireError::Io)?
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self::Tls(builder.build(tls)))
    }
}

/// What a response carries, by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Json,
    Events,
    Nothing,
    Other,
}

impl Content {
    pub(crate) fn of(response: &Response<Incoming>) -> Self {
        let headers = response.headers();
        // None was asked for. `identity` means none too.
        if headers.get(header::CONTENT_ENCODING).is_some_and(|it| it != "identity") {
            return Self::Other;
        }
        let Some(kind) = headers.get(header::CONTENT_TYPE) else {
            return if response.body().is_end_stream() { Self::Nothing } else { Self::Other };
        };
        let kind = kind.as_bytes().split(|it| *it == b';').next().unwrap_or_default();
        match kind.trim_ascii() {
            it if it.eq_ignore_ascii_case(b"application/json") => Self::Json,
            it if it.eq_ignore_ascii_case(b"text/event-stream") => Self::Events,
            _ => Self::Other,
        }
    }
}

/// The error that the head of a response is.
pub(crate) fn status_error(response: &Response<Incoming>) -> WireError {
    let challenge = response.headers().get(header::WWW_AUTHENTICATE);
    let challenge = challenge
        .and_then(|it| it.to_str().ok())
        .filter(|it| it.len() <= CHALLENGE_BYTES_MAX)
        .map(str::to_owned);
    WireError::Status { status: response.status().as_u16(), challenge }
}

/// Whether the server wants other credentials.
pub(crate) fn wants_credentials(response: &Response<Incoming>) -> bool {
    let status = response.status();
    status == StatusCode::UNAUTHORIZED
        || status == StatusCode::FORBIDDEN
            && response.headers().contains_key(header::WWW_AUTHENTICATE)
}

/// The whole of a body, if it is not longer than `bytes_max`.
pub(crate) async fn collect(mut body: Incoming, bytes_max: usize) -> Result<Bytes, WireError> {
    let too_long = || WireError::FrameTooLong { bytes_max };
    let told = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if told > bytes_max {
        return Err(too_long());
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|it| WireError::from_http(&it, None))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > bytes_max {
            return Err(too_long());
        }
        if first.is_empty() && all.is_empty() {
            // A short body comes in one piece, and is not copied.
            first = data;
            if Pin::new(&body).is_end_stream() {
                return Ok(first);
            }
        } else {
            if all.is_empty() {
                // No more at once than has come: the length is only what the server says.
                all.reserve(told.min(first.len().saturating_mul(16)));
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
