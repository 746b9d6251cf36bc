//! One HTTP server: requests to it, limits and timeouts. What is said in them is not decided here.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};

use crate::error::WireError;
use crate::frame::Limits;
use crate::http::headers::SendHeaders;
use crate::http::pool::{Answering, Pool};

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
    pool: Arc<Pool>,
    options: HttpOptions,
    /// What is configured for it, such as a token.
    headers: SendHeaders,
    /// Who sees what is sent and what comes, if somebody does.
    onlooker: Option<Onlooker>,
}

/// Who sees what is sent, and the head of what comes. It must not wait.
pub type Onlooker = Arc<dyn Fn(&Exchanged) + Send + Sync>;

/// A request, and the head of its answer.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// The method.
    pub method: Method,
    /// The path, and what is behind it.
    pub target: String,
    /// What went with it. What may be a secret is marked as sensitive.
    pub headers: HeaderMap,
    /// What was sent.
    pub body: Bytes,
    /// The status.
    pub status: u16,
    /// What came with the answer.
    pub answer: HeaderMap,
}

impl HttpUpstream {
    /// The server at `url`. Nothing is sent yet.
    ///
    /// # Errors
    /// When `url` is not one of HTTP, or the certificates that this machine trusts cannot be read.
    pub fn new(url: &str, options: HttpOptions) -> Result<Self, WireError> {
        let (uri, host, is_tls) = parse(url)?;
        let pool = Arc::new(Pool::new(uri.clone(), is_tls, options.connect_timeout)?);
        let headers = SendHeaders::default();
        Ok(Self(Arc::new(Inner { uri, host, pool, options, headers, onlooker: None })))
    }

    /// The same server, which is given these headers with everything: `extra` of them.
    #[must_use]
    pub fn with(&self, headers: SendHeaders) -> Self {
        let Inner { uri, host, pool, options, onlooker, .. } = &*self.0;
        let (uri, host, pool) = (uri.clone(), host.clone(), Arc::clone(pool));
        let onlooker = onlooker.clone();
        Self(Arc::new(Inner { uri, host, pool, options: *options, headers, onlooker }))
    }

    /// The same server, where somebody sees what is sent and what comes.
    #[must_use]
    pub fn seen_by(&self, onlooker: Onlooker) -> Self {
        let Inner { uri, host, pool, options, headers, .. } = &*self.0;
        let (uri, host, pool) = (uri.clone(), host.clone(), Arc::clone(pool));
        let (headers, onlooker) = (headers.clone(), Some(onlooker));
        Self(Arc::new(Inner { uri, host, pool, options: *options, headers, onlooker }))
    }

    /// Says no to what [`Self::new`] would refuse of an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(url: &str) -> Result<(), WireError> {
        parse(url).map(drop)
    }

    /// Whose server it is: host and port, which are no credential.
    pub fn authority(&self) -> &str {
        self.0.uri.authority().map_or("", |it| it.as_str())
    }

    /// Its whole address. There may be a credential in the path or behind it.
    pub fn address(&self) -> String {
        self.0.uri.to_string()
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

    pub(crate) fn headers(&self) -> &SendHeaders {
        &self.0.headers
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.options.limits
    }

    /// Sends a request and waits for the head of its response. Of `uri` only what is behind the
    /// host counts: there is one server here.
    pub(crate) async fn request(
        &self,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Answering>, WireError> {
        let target = uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
        let seen = self.0.onlooker.as_ref().map(|onlooker| {
            let said = (method.clone(), target.to_string(), headers.clone(), body.clone());
            (Arc::clone(onlooker), said)
        });
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        let response = self.0.pool.send(request).await?;
        if let Some((onlooker, (method, target, headers, body))) = seen {
            let (status, answer) = (response.status().as_u16(), response.headers().clone());
            onlooker(&Exchanged { method, target, headers, body, status, answer });
        }
        Ok(response)
    }

    /// `answer`, if it comes in time.
    pub(crate) fn in_time<T, F>(
        &self,
        answer: F,
    ) -> impl Future<Output = Result<T, WireError>> + use<T, F>
    where
        F: Future<Output = Result<T, WireError>>,
    {
        let after = self.0.options.answer_timeout;
        // Not an `async fn`: it would keep room for `answer` twice, and these futures are large.
        tokio::time::timeout(after, answer)
            .map(move |it| it.unwrap_or(Err(WireError::Timeout { after })))
    }
}

impl fmt::Debug for HttpUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the path and the query, where a credential may stand.
        f.debug_tuple("HttpUpstream").field(&self.0.host).finish()
    }
}

/// An address, the `Host` that it means, and whether it is reached over TLS.
fn parse(url: &str) -> Result<(Uri, HeaderValue, bool), WireError> {
    let uri: Uri = url.parse().map_err(|_| WireError::Url("it cannot be read"))?;
    let authority = uri.authority().ok_or(WireError::Url("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(WireError::Url("it has a user in it"));
    }
    // Where it is none that there is, a connector takes that of the scheme.
    if port(authority).is_none() {
        return Err(WireError::Url("its port is none"));
    }
    let host = HeaderValue::from_str(authority.as_str())
        .map_err(|_| WireError::Url("its host is no header value"))?;
    let is_tls = match uri.scheme() {
        Some(it) if *it == Scheme::HTTPS => true,
        Some(it) if *it == Scheme::HTTP => false,
        _ => return Err(WireError::Url("it is neither http nor https")),
    };
    Ok((uri, host, is_tls))
}

/// The port; `None` when what stands in its place is none.
pub(crate) fn port(authority: &Authority) -> Option<Option<u16>> {
    let rest = authority.as_str().strip_prefix(authority.host())?;
    match rest.strip_prefix(':') {
        None | Some("") => Some(None),
        Some(_) => authority.port_u16().map(Some),
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
    pub(crate) fn of(response: &Response<Answering>) -> Self {
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
pub(crate) fn status_error(response: &Response<Answering>) -> WireError {
    let challenge = response.headers().get(header::WWW_AUTHENTICATE);
    let challenge = challenge
        .and_then(|it| it.to_str().ok())
        .filter(|it| it.len() <= CHALLENGE_BYTES_MAX)
        .map(str::to_owned);
    WireError::Status { status: response.status().as_u16(), challenge }
}

/// Whether the server wants other credentials.
pub(crate) fn wants_credentials(response: &Response<Answering>) -> bool {
    let status = response.status();
    status == StatusCode::UNAUTHORIZED
        || status == StatusCode::FORBIDDEN
            && response.headers().contains_key(header::WWW_AUTHENTICATE)
}

/// The whole of a body, if it is not longer than `bytes_max`.
pub(crate) async fn collect(body: &mut Answering, bytes_max: usize) -> Result<Bytes, WireError> {
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
            if body.is_end_stream() {
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
