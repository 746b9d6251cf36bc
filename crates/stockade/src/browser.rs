//! What is served to a browser of this user on this machine: the page of the approvals and the console.
//!
//! Loopback is no wall: every process of this machine can connect, and so can every web page. So four
//! things are asked of a request, in this order: whose process has made the connection ([`caller`]),
//! whether it is for this address and from this page ([`Door`]), what it is, and whether the page in
//! front of the person has sent it ([`access`]). The last two are left to whoever serves it, a [`Site`].

pub(crate) mod access;
pub(crate) mod answers;
mod caller;
pub(crate) mod opener;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, ORIGIN};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep};

use self::access::Access;
use self::answers::{Answer, json, read, says};
use crate::approvals::peer::Peer;
use crate::edge::{Door, Turned, only};

/// How long the code of an address is good.
pub(crate) const CODE: Duration = Duration::from_secs(120);

/// So many connections there may be at a time. A browser makes six.
const CONNECTIONS_MAX: usize = 64;

/// How long a request may take to come, once it has begun.
const REQUEST: Duration = Duration::from_secs(10);

/// How long somebody has who is turned away in any case.
const TURNED: Duration = Duration::from_secs(2);

/// The longest head of a request; `hyper` takes no less for its buffer.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// The longest code that is read.
const ENTERING_BYTES_MAX: usize = 4 << 10;

/// One listener, and who may use it.
pub(crate) struct Front {
    address: SocketAddr,
    door: Door,
    access: Mutex<Access>,
    entered: Notify,
}

/// What is served behind a [`Front`].
pub(crate) trait Site: Send + Sync + 'static {
    /// Its front.
    fn front(&self) -> &Front;

    /// Somebody was turned away, by this rule: of many in a minute the first few.
    fn refused(&self, rule: &'static str, says: String);

    /// A page was let in, by the code that there was.
    fn entered(&self);

    /// Answers a request that is for this address and from this page.
    fn answer(
        self: Arc<Self>,
        peer: Peer,
        request: Request<Incoming>,
    ) -> impl Future<Output = Answer> + Send;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entering {
    code: String,
}

impl Front {
    /// Listens there, which must be an address of this machine alone.
    pub(crate) fn bind(at: SocketAddr) -> Result<(Self, tokio::net::TcpListener), String> {
        let wrong = |it: std::io::Error| format!("cannot listen on {at}: {it}");
        if !at.ip().is_loopback() {
            return Err(format!("{at} is not an address of this machine alone"));
        }
        let listener = TcpListener::bind(at).map_err(wrong)?;
        listener.set_nonblocking(true).map_err(wrong)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let (door, access) = (Door::narrow(address), Mutex::default());
        Ok((Self { address, door, access, entered: Notify::new() }, listener))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// An address that lets one page in, until then.
    pub(crate) fn open(&self, until: Instant) -> Result<String, getrandom::Error> {
        let code = self.access().open(until)?;
        Ok(format!("http://{}/#{code}", self.address))
    }

    /// Whether there is no code that is good.
    pub(crate) fn is_shut(&self) -> bool {
        self.access().is_shut()
    }

    /// Returns when somebody was let in.
    pub(crate) async fn entered(&self) {
        self.entered.notified().await;
    }

    /// Whether the page in front of the person has sent a request.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        self.access().is_in(only(headers, &AUTHORIZATION))
    }

    /// Whether one more refusal of this minute is to be written down.
    pub(crate) fn is_written(&self, minute: u64) -> bool {
        self.access().is_written(minute)
    }

    fn access(&self) -> MutexGuard<'_, Access> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves `site`, for as long as this runs.
pub(crate) async fn serve<S: Site>(site: Arc<S>, listener: tokio::net::TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, from)) = listener.accept().await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            connection(site, stream, from).await;
            drop(place);
        });
    }
}

async fn connection<S: Site>(site: Arc<S>, stream: TcpStream, from: SocketAddr) {
    // It goes through all processes, which takes a while, and others wait meanwhile.
    let here = site.front().address;
    let caller = tokio::task::spawn_blocking(move || caller::of(here, from)).await;
    let caller = caller.unwrap_or_else(|it| Err(it.to_string()));
    if let Err(why) = &caller {
        site.refused("caller", format!("a connection to the page: {why}"));
    }
    let _slower = stream.set_nodelay(true);
    let known = caller.is_ok();
    let patience = if known { REQUEST } else { TURNED };
    let answering = service_fn(move |request| {
        let (site, caller) = (Arc::clone(&site), caller.clone());
        async move { Ok::<_, Infallible>(admit(site, caller, request).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(known);
    // How it ends is the browser's affair.
    let _ended = http.serve_connection(TokioIo::new(stream), answering).await;
}

async fn admit<S: Site>(
    site: Arc<S>,
    caller: Result<Peer, String>,
    request: Request<Incoming>,
) -> Answer {
    let peer = match caller {
        Ok(it) => it,
        Err(why) => return says(StatusCode::FORBIDDEN, &format!("Not for you: {why}.")),
    };
    let is_page = request.uri().path() == "/";
    if let Err(why) = site.front().door.admit(&request)
        && !(why == Turned::Origin && is_page && is_followed_link(&request))
    {
        if let Some((rule, what)) = why.refusal(&request) {
            site.refused(rule, format!("a request to the page: {what}"));
        }
        return says(turned(why), "Not from here.");
    }
    site.answer(peer, request).await
}

/// A token, for the code of an address.
pub(crate) async fn enter<S: Site>(site: &S, request: Request<Incoming>) -> Answer {
    let Entering { code } = match read(request, ENTERING_BYTES_MAX).await {
        Ok(it) => it,
        Err(status) => return says(status, "Not understood."),
    };
    let entered = site.front().access().enter(&code, Instant::now());
    match entered {
        Some(Ok(token)) => {
            site.entered();
            site.front().entered.notify_waiters();
            json(&serde_json::json!({ "token": token }))
        }
        Some(Err(_)) => says(StatusCode::INTERNAL_SERVER_ERROR, "There is no randomness."),
        None => {
            let what = "a code that is not good, or not any more, for the page";
            site.refused("code", what.to_owned());
            says(StatusCode::FORBIDDEN, "Not let in.")
        }
    }
}

/// The answer to a request without the token of a page.
pub(crate) fn not_let_in<S: Site>(site: &S) -> Answer {
    site.refused("token", "a request to the page without its token".to_owned());
    says(StatusCode::UNAUTHORIZED, "Not let in.")
}

/// A link to the page that somebody has followed, wherever it was. What it leads to says nothing.
fn is_followed_link<B>(request: &Request<B>) -> bool {
    let headers: &HeaderMap = request.headers();
    let is = |name: &'static str, value: &str| headers.get(name).is_some_and(|it| it == value);
    request.method() == Method::GET
        && !headers.contains_key(ORIGIN)
        && is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
}

fn turned(why: Turned) -> StatusCode {
    match why {
        Turned::Host => StatusCode::MISDIRECTED_REQUEST,
        Turned::Origin | Turned::Key => StatusCode::FORBIDDEN,
        // No page of another origin has anything to ask here.
        Turned::Preflight => StatusCode::METHOD_NOT_ALLOWED,
    }
}
