//! The page: what waits and what stands, in a browser of the person, served on loopback.
//!
//! It is served by the service itself, since that has the state; its listener is there once somebody
//! has wanted it, and goes with the service. Loopback is no wall: every process of this machine can
//! connect, and so can every web page. So four things are asked of a request, in this order: whose
//! process has made the connection ([`caller`]), whether it is for this address and from this page
//! ([`Door`]), what it is, and whether the page in front of the person has sent it ([`access`]).

mod access;
mod answers;
mod caller;
mod view;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, ORIGIN};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use stockade_core::record::{Kind, Record};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{Instant, sleep};

use self::access::Access;
use self::answers::{Answer, done, file, json, read, says};
use self::view::Line;
use super::{Connected, OUTBOX, Service, State};
use crate::approvals::grants::{Bound, Bounds};
use crate::approvals::peer::Peer;
use crate::approvals::{Given, Told};
use crate::edge::{Door, Turned, only};

/// How long the code of an address is good.
const CODE: Duration = Duration::from_secs(120);

/// So many connections there may be at a time. A browser makes six.
const CONNECTIONS_MAX: usize = 64;

/// How long a request may take to come, once it has begun.
const REQUEST: Duration = Duration::from_secs(10);

/// How long somebody has who is turned away in any case.
const TURNED: Duration = Duration::from_secs(2);

/// The longest head of a request; `hyper` takes no less for its buffer.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// How often a page is told that the service is still there. A page that has gone is found out by it.
const BEAT: Duration = Duration::from_secs(5);

/// How long a page may take to read what it is told.
const READ: Duration = Duration::from_secs(10);

/// By which way an answer has come.
const CHANNEL: &str = "page";

/// One listener, and who may use it.
pub(super) struct Page {
    address: SocketAddr,
    door: Door,
    access: Mutex<Access>,
    /// Somebody was let in.
    entered: Notify,
}

/// What is served.
#[derive(Clone, Copy)]
enum Route {
    /// A part of the page. There is nothing in it that anybody may not see.
    File(&'static str, &'static str),
    /// A code, for a token.
    Enter,
    /// What waits and what comes, a line of JSON each, for as long as the page is open.
    Events,
    /// An answer.
    Answer,
    /// A grant is taken back.
    Revoke,
}

/// Every route.
const ROUTES: &[(Method, &str, Route)] = &[
    (Method::GET, "/", Route::File("text/html", include_str!("page/index.html"))),
    (Method::GET, "/page.css", Route::File("text/css", include_str!("page/page.css"))),
    (Method::GET, "/page.js", Route::File("text/javascript", include_str!("page/page.js"))),
    (Method::GET, "/show.js", Route::File("text/javascript", include_str!("page/show.js"))),
    (Method::GET, "/icon.svg", Route::File("image/svg+xml", include_str!("page/icon.svg"))),
    (Method::POST, "/api/enter", Route::Enter),
    (Method::GET, "/api/events", Route::Events),
    (Method::POST, "/api/answer", Route::Answer),
    (Method::POST, "/api/revoke", Route::Revoke),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entering {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answering {
    id: String,
    digest: String,
    times: usize,
    approved: bool,
    #[serde(default)]
    grant: Option<Granting>,
}

/// What is allowed from now on: the same once more, but for what is named here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Granting {
    for_s: u64,
    arguments: BTreeMap<String, Bound>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoking {
    id: String,
}

impl Service {
    /// Opens the page for one browser more; serves it, if it is not.
    pub(super) fn open(
        self: &Arc<Self>,
        state: &mut State,
        at: SocketAddr,
    ) -> Result<Told, String> {
        let page = match &state.page {
            Some(page) => Arc::clone(page),
            None => {
                let page = self.serve_page(at)?;
                Arc::clone(state.page.insert(page))
            }
        };
        let is = page.address;
        if at.ip() != is.ip() || (at.port() != 0 && at.port() != is.port()) {
            return Err(format!("it is at {is}, until nobody uses it any more"));
        }
        let until = Instant::now() + CODE;
        let code = page.access().open(until).map_err(|it| it.to_string())?;
        let url = format!("http://{is}/#{code}");
        let file = self.place.open_page(&leads_to(&url)).map_err(|it| it.to_string())?;
        self.stay(state, until, page);
        Ok(Told::Opened { url, file })
    }

    /// Somebody may come until then: until one has, it is as if they were connected.
    fn stay(self: &Arc<Self>, state: &mut State, until: Instant, page: Arc<Page>) {
        let whom = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (outbox, _nobody) = mpsc::channel(1);
        state.peers.insert(whom, Connected { outbox, watches: false });
        self.changed.notify_one();
        let service = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep_until(until) => (),
                () = page.entered.notified() => (),
            }
            if page.access().is_shut() {
                service.place.close_page();
            }
            service.goodbye(whom);
        });
    }

    fn serve_page(self: &Arc<Self>, at: SocketAddr) -> Result<Arc<Page>, String> {
        let wrong = |it: std::io::Error| format!("cannot listen on {at}: {it}");
        if !at.ip().is_loopback() {
            return Err(format!("{at} is not an address of this machine alone"));
        }
        let listener = TcpListener::bind(at).map_err(wrong)?;
        listener.set_nonblocking(true).map_err(wrong)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let (door, access) = (Door::narrow(address), Mutex::default());
        let page = Arc::new(Page { address, door, access, entered: Notify::new() });
        tokio::spawn(Arc::clone(&page).listen(Arc::clone(self), listener));
        Ok(page)
    }
}

/// A file that leads a browser to `url`.
fn leads_to(url: &str) -> String {
    format!(
        "<!doctype html><meta charset=utf-8><meta name=referrer content=no-referrer>\
         <title>Stockade</title><meta http-equiv=refresh content=\"0;url={url}\">\
         <a href=\"{url}\">Approvals</a>\n"
    )
}

impl Page {
    fn access(&self) -> MutexGuard<'_, Access> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(self: Arc<Self>, service: Arc<Service>, listener: tokio::net::TcpListener) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let Ok((stream, from)) = listener.accept().await else {
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            let (page, service) = (Arc::clone(&self), Arc::clone(&service));
            tokio::spawn(async move {
                page.connection(service, stream, from).await;
                drop(place);
            });
        }
    }

    async fn connection(
        self: Arc<Self>,
        service: Arc<Service>,
        stream: TcpStream,
        from: SocketAddr,
    ) {
        // It goes through all processes, which takes a while, and others wait meanwhile.
        let here = self.address;
        let caller = tokio::task::spawn_blocking(move || caller::of(here, from)).await;
        let caller = caller.unwrap_or_else(|it| Err(it.to_string()));
        if let Err(why) = &caller {
            self.refused(&service, "caller", format!("a connection to the page: {why}"));
        }
        let _slower = stream.set_nodelay(true);
        let known = caller.is_ok();
        let patience = if known { REQUEST } else { TURNED };
        let answering = service_fn(move |request| {
            let (page, service, caller) = (Arc::clone(&self), Arc::clone(&service), caller.clone());
            async move { Ok::<_, Infallible>(page.answer(&service, &caller, request).await) }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(patience)
            .max_buf_size(HEAD_BYTES_MAX)
            .keep_alive(known);
        // How it ends is the browser's affair.
        let _ended = http.serve_connection(TokioIo::new(stream), answering).await;
    }

    async fn answer(
        &self,
        service: &Arc<Service>,
        caller: &Result<Peer, String>,
        request: Request<Incoming>,
    ) -> Answer {
        let peer = match caller {
            Ok(it) => it,
            Err(why) => return says(StatusCode::FORBIDDEN, &format!("Not for you: {why}.")),
        };
        let path = request.uri().path();
        let route = ROUTES.iter().find(|it| it.0 == *request.method() && it.1 == path);
        if let Err(why) = self.door.admit(&request)
            && !(why == Turned::Origin && path == "/" && is_followed_link(&request))
        {
            if let Some((rule, what)) = why.refusal(&request) {
                self.refused(service, rule, format!("a request to the page: {what}"));
            }
            return says(turned(why), "Not from here.");
        }
        let Some((_, _, route)) = route else {
            return says(StatusCode::NOT_FOUND, "There is no such page.");
        };
        let is_in = || self.access().is_in(only(request.headers(), &AUTHORIZATION));
        match route {
            Route::File(kind, text) => file(kind, text),
            Route::Enter => self.enter(service, request).await,
            Route::Events | Route::Answer | Route::Revoke if !is_in() => {
                self.refused(
                    service,
                    "token",
                    "a request to the page without its token".to_owned(),
                );
                says(StatusCode::UNAUTHORIZED, "Not let in.")
            }
            Route::Events => events(service),
            Route::Answer => match read::<Answering>(request).await {
                Ok(answering) => done(service.answer(answering, peer)),
                Err(status) => says(status, "Not understood."),
            },
            Route::Revoke => match read::<Revoking>(request).await {
                Ok(Revoking { id }) => {
                    done(service.revoke(&mut service.state(), &id, peer, CHANNEL))
                }
                Err(status) => says(status, "Not understood."),
            },
        }
    }

    async fn enter(&self, service: &Service, request: Request<Incoming>) -> Answer {
        let entering = match read::<Entering>(request).await {
            Ok(it) => it,
            Err(status) => return says(status, "Not understood."),
        };
        let entered = self.access().enter(&entering.code, Instant::now());
        match entered {
            Some(Ok(token)) => {
                service.place.close_page();
                self.entered.notify_waiters();
                json(&serde_json::json!({ "token": token }))
            }
            Some(Err(_)) => says(StatusCode::INTERNAL_SERVER_ERROR, "There is no randomness."),
            None => {
                let what = "a code that is not good, or not any more, for the page";
                self.refused(service, "code", what.to_owned());
                says(StatusCode::FORBIDDEN, "Not let in.")
            }
        }
    }

    /// Writes down that somebody was turned away: of many in a minute the first few.
    fn refused(&self, service: &Service, rule: &str, says: String) {
        let now = service.now();
        if !self.access().is_written(now.unix_s / 60) {
            return;
        }
        let record = Record {
            kind: Kind::Refusal,
            peer: Some(self.address.ip()),
            rule: Some(rule.to_owned()),
            channel: Some(CHANNEL.to_owned()),
            says,
            ..Record::default()
        };
        // They are turned away in any case.
        let _recorded = service.record(&mut service.state(), &record);
    }
}

impl Service {
    fn answer(&self, answering: Answering, peer: &Peer) -> Result<String, String> {
        let now = self.now();
        let mut state = self.state();
        let Answering { id, digest, times, approved, grant } = answering;
        let (channel, says) = (CHANNEL.to_owned(), String::new());
        let mut given = Given { id, digest, times, approved, grant: None, channel, says };
        if let Some(Granting { for_s, arguments }) = grant {
            let asked = state.hub.find(&given).ok_or("no such question waits")?;
            let bounds = Bounds::of(asked, for_s).ok_or("there is nothing to grant for later")?;
            let with = bounds.with(asked, arguments);
            given.grant = Some(with.map_err(|it| format!("the tool has no argument `{it}`"))?);
        }
        self.give(&mut state, &given, peer, now)
    }
}

/// What waits and what comes, for as long as somebody reads it.
fn events(service: &Arc<Service>) -> Answer {
    let now = service.now();
    let whom = service.numbers.fetch_add(1, Ordering::Relaxed);
    let (outbox, mut mail) = mpsc::channel::<Told>(OUTBOX);
    let mut state = service.state();
    state.peers.insert(whom, Connected { outbox, watches: true });
    service.changed.notify_one();
    let (waiting, grants) = (state.hub.shown(now), state.grants.all(now.unix_s));
    state.tell(whom, Told::Waiting(waiting));
    state.tell(whom, Told::Grants(grants));
    drop(state);
    let (lines, body) = mpsc::channel(1);
    let service = Arc::clone(service);
    tokio::spawn(async move {
        loop {
            let line = tokio::select! {
                told = mail.recv() => match told {
                    Some(told) => Line::of(told, service.now().unix_s),
                    None => break,
                },
                () = sleep(BEAT) => Some(Line::Here),
                () = lines.closed() => break,
            };
            let Some(line) = line else { continue };
            // Whoever does not read comes again, and is shown what waits by then.
            if lines.send_timeout(super::line(&line), READ).await.is_err() {
                break;
            }
        }
        service.goodbye(whom);
    });
    answers::stream(body)
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
