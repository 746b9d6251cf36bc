//! The page: what waits and what stands, in a browser of the person, served on loopback.
//!
//! It is served by the service itself, since that has the state; its listener is there once somebody
//! has wanted it, and goes with the service. Who may use it is asked by [`crate::browser`].

mod view;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use stockade_core::record::{Kind, Record};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use self::view::Line;
use super::{Connected, OUTBOX, Service, State};
use crate::approvals::grants::{Bound, Bounds};
use crate::approvals::peer::Peer;
use crate::approvals::{Given, Told};
use crate::browser::answers::{self, Answer, done, file, read, says};
use crate::browser::opener::leads_to;
use crate::browser::{CODE, Front, Site, enter, not_let_in, serve};

/// How often a page is told that the service is still there. A page that has gone is found out by it.
const BEAT: Duration = Duration::from_secs(5);

/// How long a page may take to read what it is told.
const READ: Duration = Duration::from_secs(10);

/// By which way an answer has come.
const CHANNEL: &str = "page";

/// The longest body of a request. What a grant has of a call is not sent back.
const BODY_BYTES_MAX: usize = 64 << 10;

/// The page, as it is served.
pub(super) struct Page {
    front: Front,
    service: Arc<Service>,
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
        let is = page.front.address();
        if at.ip() != is.ip() || (at.port() != 0 && at.port() != is.port()) {
            return Err(format!("it is at {is}, until nobody uses it any more"));
        }
        let until = Instant::now() + CODE;
        let url = page.front.open(until).map_err(|it| it.to_string())?;
        let file = self.place.open_page(&leads_to(&url, "Approvals"));
        let file = file.map_err(|it| it.to_string())?;
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
                () = page.front.entered() => (),
            }
            if page.front.is_shut() {
                service.place.close_page();
            }
            service.goodbye(whom);
        });
    }

    fn serve_page(self: &Arc<Self>, at: SocketAddr) -> Result<Arc<Page>, String> {
        let (front, listener) = Front::bind(at)?;
        let page = Arc::new(Page { front, service: Arc::clone(self) });
        tokio::spawn(serve(Arc::clone(&page), listener));
        Ok(page)
    }
}

impl Site for Page {
    fn front(&self) -> &Front {
        &self.front
    }

    fn entered(&self) {
        self.service.place.close_page();
    }

    fn refused(&self, rule: &'static str, says: String) {
        let now = self.service.now();
        if !self.front.is_written(now.unix_s / 60) {
            return;
        }
        let record = Record {
            kind: Kind::Refusal,
            peer: Some(self.front.address().ip()),
            rule: Some(rule.to_owned()),
            channel: Some(CHANNEL.to_owned()),
            says,
            ..Record::default()
        };
        // They are turned away in any case.
        let _recorded = self.service.record(&mut self.service.state(), &record);
    }

    async fn answer(self: Arc<Self>, peer: Peer, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        let route = ROUTES.iter().find(|it| it.0 == *request.method() && it.1 == path);
        let Some((_, _, route)) = route else {
            return says(StatusCode::NOT_FOUND, "There is no such page.");
        };
        let service = &self.service;
        match route {
            Route::File(kind, text) => file(kind, *text),
            Route::Enter => enter(&*self, request).await,
            Route::Events | Route::Answer | Route::Revoke
                if !self.front.is_in(request.headers()) =>
            {
                not_let_in(&*self)
            }
            Route::Events => events(service),
            Route::Answer => match read::<Answering>(request, BODY_BYTES_MAX).await {
                Ok(answering) => done(service.answer(answering, &peer)),
                Err(status) => says(status, "Not understood."),
            },
            Route::Revoke => match read::<Revoking>(request, BODY_BYTES_MAX).await {
                Ok(Revoking { id }) => {
                    done(service.revoke(&mut service.state(), &id, &peer, CHANNEL))
                }
                Err(status) => says(status, "Not understood."),
            },
        }
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
    answers::stream("application/x-ndjson", body)
}
