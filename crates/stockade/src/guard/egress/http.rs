//! HTTP/1: a proxy for whoever asks for one (CONNECT, and requests for `http://` addresses), and a
//! relay for connections that turn out to be HTTP. Either way `hyper` reads each request, it is
//! compared with the list, and written anew: what reaches the other side can be read in one way.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use stockade_core::check::visible;
use stockade_sandbox::Host;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::tunnel::{Stream, carry, pass};
use super::{IDLE_MAX, REQUEST_MAX, Reached, Refused, Way};

const HEADERS_MAX: usize = 100;
const HEADER_BYTES_MAX: usize = 64 << 10;
const PORT_DEFAULT: u16 = 80;

/// What is about one connection, and not about what is on the other side of whoever passes it on
/// (RFC 9110, 7.6.1).
const OF_ONE_CONNECTION: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "te",
    "upgrade",
];

type Body = Either<Incoming, Full<Bytes>>;
type Sender = client::SendRequest<Incoming>;

/// What goes on beside a connection, and ends with it.
type Beside = Arc<Mutex<JoinSet<()>>>;

/// A proxy. One connection, one request: the next may be for somebody else.
pub(super) async fn serve(stream: impl Stream, way: &Arc<Way>) {
    let beside = Beside::default();
    let service = service_fn(|request| {
        let (way, beside) = (Arc::clone(way), Arc::clone(&beside));
        async move { Ok::<_, Infallible>(proxied(request, &way, &beside).await) }
    });
    let mut builder = server();
    builder.keep_alive(false);
    // What breaks is between the two, who notice.
    let _broke = builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    rest(&beside).await;
}

fn server() -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .auto_date_header(false)
        .half_close(true);
    builder
}

/// Waits for what was begun beside: a connection that became something else.
async fn rest(beside: &Beside) {
    let mut tasks = std::mem::take(&mut *lock(beside));
    while tasks.join_next().await.is_some() {}
}

/// A poisoned lock is a panic while a task was added, which harms none of the others.
fn lock(beside: &Beside) -> std::sync::MutexGuard<'_, JoinSet<()>> {
    beside.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn proxied(request: Request<Incoming>, way: &Arc<Way>, beside: &Beside) -> Response<Body> {
    if request.method() == Method::CONNECT {
        return connected(request, way, beside).await.unwrap_or_else(|it| no(&it));
    }
    let asked = request.uri().authority().map(|it| it.as_str().to_owned());
    let (Some("http"), Some(asked)) = (request.uri().scheme_str(), asked) else {
        return answer(
            StatusCode::BAD_REQUEST,
            "this is a proxy: ask it for an address that begins with http://, or by CONNECT",
        );
    };
    forwarded(request, &asked, way, beside).await.unwrap_or_else(|it| no(&it))
}

/// CONNECT: what comes then is a connection like any other.
async fn connected(
    mut request: Request<Incoming>,
    way: &Arc<Way>,
    beside: &Beside,
) -> Result<Response<Body>, Refused> {
    let asked = request.uri().authority().map(|it| it.as_str().to_owned()).unwrap_or_default();
    let (host, port) = way.parse(&asked)?;
    let reached = way.connect(&host, port).await?;
    let upgrade = hyper::upgrade::on(&mut request);
    let way = Arc::clone(way);
    lock(beside).spawn(async move {
        if let Ok(Ok(upgraded)) = timeout(REQUEST_MAX, upgrade).await {
            pass(&way, TokioIo::new(upgraded), reached).await;
        }
    });
    Ok(answer(StatusCode::OK, ""))
}

/// A request for an `http://` address.
async fn forwarded(
    request: Request<Incoming>,
    asked: &str,
    way: &Arc<Way>,
    beside: &Beside,
) -> Result<Response<Body>, Refused> {
    let whole = match request.uri().port() {
        Some(_) => asked.to_owned(),
        None => format!("{asked}:{PORT_DEFAULT}"),
    };
    let (host, port) = way.parse(&whole)?;
    for_whom(&request, &host, port).map_err(|why| way.refuse(&whole, None, &why))?;
    let Reached { host, port, stream } = way.connect(&host, port).await?;
    let mut sender = open(stream, beside).await?;
    send(&mut sender, request, &host, port, beside).await
}

/// Relays a connection that began with a request: every one on it must be for this host.
pub(super) async fn relay(way: &Arc<Way>, inside: impl Stream, reached: Reached) {
    let Reached { host, port, stream } = reached;
    let (asked, beside) = (format!("{host}:{port}"), Beside::default());
    let Ok(sender) = open(stream, &beside).await else { return };
    let sender = Arc::new(tokio::sync::Mutex::new(sender));
    let service = service_fn(|request: Request<Incoming>| {
        let (way, beside, host) = (Arc::clone(way), Arc::clone(&beside), host.clone());
        let sender = Arc::clone(&sender);
        async move {
            let sent = match for_whom(&request, &host, port) {
                Ok(()) => {
                    let mut sender = sender.lock().await;
                    send(&mut sender, request, &host, port, &beside).await
                }
                Err(why) => Err(way.refuse(&format!("{host}:{port}"), None, &why)),
            };
            Ok::<_, Infallible>(sent.unwrap_or_else(|it| no(&it)))
        }
    });
    let io = TokioIo::new(inside);
    let served = server().serve_connection(io, service).with_upgrades().await;
    if served.is_err_and(|it| it.is_parse()) {
        way.refuse(&asked, None, "what begins like a request cannot be read as one");
    }
    drop(sender);
    // A connection that has become something else goes on; one that has not ends with this.
    rest(&beside).await;
}

/// Speaks HTTP with the other side.
async fn open(stream: TcpStream, beside: &Beside) -> Result<Sender, Refused> {
    let mut builder = client::Builder::new();
    builder.max_headers(HEADERS_MAX).max_buf_size(HEADER_BYTES_MAX);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|it| broken(&it))?;
    lock(beside).spawn(async move {
        // The request that is under way is told.
        let _broke = connection.with_upgrades().await;
    });
    Ok(sender)
}

fn broken(error: &hyper::Error) -> Refused {
    Refused::Unreachable(format!("the other side broke off: {error}"))
}

/// Whether a request is for this host, by all that it says.
fn for_whom(request: &Request<Incoming>, host: &Host, port: u16) -> Result<(), String> {
    let mut said = request.headers().get_all(header::HOST).iter();
    let (Some(named), None) = (said.next(), said.next()) else {
        return Err("a request without exactly one `Host`".to_owned());
    };
    let named = named.to_str().map_err(|_| "a request whose `Host` is no text".to_owned())?;
    let in_uri = request.uri().authority().map(|it| it.as_str());
    for named in in_uri.into_iter().chain([named]) {
        // Where the port is left out, it is not about another one.
        let same = match Host::parse_with_port(named) {
            Ok(it) => it == (host.clone(), port),
            Err(_) => Host::parse(named).is_ok_and(|it| it == *host),
        };
        if !same {
            return Err(format!("a request for `{}`", visible(named)));
        }
    }
    Ok(())
}

/// Sends a request as if it had come without a proxy, and takes the answer.
async fn send(
    sender: &mut Sender,
    mut request: Request<Incoming>,
    host: &Host,
    port: u16,
    beside: &Beside,
) -> Result<Response<Body>, Refused> {
    let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
    *request.uri_mut() =
        path.parse::<Uri>().map_err(|_| Refused::Forbidden("no path".to_owned()))?;
    *request.version_mut() = Version::HTTP_11;
    let whom = if port == PORT_DEFAULT { host.to_string() } else { format!("{host}:{port}") };
    let whom = HeaderValue::try_from(whom).map_err(|it| Refused::Forbidden(it.to_string()))?;
    request.headers_mut().insert(header::HOST, whom);
    let upgrade = websocket(request.headers());
    strip(request.headers_mut());
    let inside = upgrade.then(|| {
        upgraded(request.headers_mut());
        hyper::upgrade::on(&mut request)
    });
    let ready = timeout(IDLE_MAX, sender.ready()).await;
    ready.map_err(|_| late())?.map_err(|it| broken(&it))?;
    let answered = timeout(IDLE_MAX, sender.send_request(request)).await;
    let mut response = answered.map_err(|_| late())?.map_err(|it| broken(&it))?;
    strip(response.headers_mut());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(inside) = inside else {
            return Err(Refused::Unreachable("an upgrade that nobody asked for".to_owned()));
        };
        upgraded(response.headers_mut());
        let outside = hyper::upgrade::on(&mut response);
        lock(beside).spawn(async move {
            let both = async { tokio::try_join!(inside, outside) };
            if let Ok(Ok((inside, outside))) = timeout(REQUEST_MAX, both).await {
                carry(TokioIo::new(inside), TokioIo::new(outside)).await;
            }
        });
    }
    Ok(response.map(Either::Left))
}

fn late() -> Refused {
    Refused::Unreachable(format!("no answer for {} s", IDLE_MAX.as_secs()))
}

/// Of the protocols that a connection can become, only this has no requests of its own, which would
/// be for whomever they say.
fn websocket(headers: &HeaderMap) -> bool {
    let mut said = headers.get_all(header::UPGRADE).iter();
    let first = said.next().map(HeaderValue::as_bytes).unwrap_or_default();
    first.eq_ignore_ascii_case(b"websocket") && said.next().is_none()
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .filter_map(|it| it.trim().parse().ok())
        // These are about the message, whatever it says.
        .filter(|it| {
            ![header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(it)
        })
        .collect();
    for name in OF_ONE_CONNECTION {
        headers.remove(*name);
    }
    for name in named {
        headers.remove(name);
    }
}

fn upgraded(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

fn no(refused: &Refused) -> Response<Body> {
    let status = match refused {
        Refused::Forbidden(_) => StatusCode::FORBIDDEN,
        Refused::Unreachable(_) => StatusCode::BAD_GATEWAY,
    };
    answer(status, &format!("stockade: {refused}\n"))
}

fn answer(status: StatusCode, says: &str) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::new(Bytes::from(says.to_owned()))));
    *response.status_mut() = status;
    response
}
