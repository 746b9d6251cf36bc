//! Where the numbers are read: one route, on this machine alone, behind the front door that everything
//! has which is served. There is no key: every program of this machine may read them, and there is
//! nothing in them that is not for it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE as KIND;
use stockade_core::record::{Kind, Record};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{sleep, timeout};

use super::Metrics;
use crate::edge::Door;
use crate::guard::Guard;

/// What is served.
const PATH: &str = "/metrics";

/// So many may read at a time.
const CONNECTIONS_MAX: usize = 8;

/// How long one may take, from the first byte to the last.
const READ: Duration = Duration::from_secs(10);

/// The longest head of a request; `hyper` takes no less for its buffer.
const HEAD_BYTES_MAX: usize = 8 << 10;

type Answer = Response<Full<Bytes>>;

struct Reading {
    door: Door,
    metrics: Arc<Metrics>,
    /// Where it is written down who was turned away.
    guard: Weak<Guard>,
}

/// Shows the numbers of a guard at an address, until this process ends. Says where: port 0 is a free one.
///
/// # Errors
/// When somebody else listens there, or the system gives no thread.
pub fn start(
    address: SocketAddr,
    metrics: &Arc<Metrics>,
    guard: &Arc<Guard>,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reading = Reading {
        door: Door::new(address, &[], &[], None),
        metrics: Arc::clone(metrics),
        guard: Arc::downgrade(guard),
    };
    let work = move || runtime.block_on(Arc::new(reading).listen(listener));
    thread::Builder::new().name("metrics".to_owned()).spawn(work)?;
    Ok(address)
}

impl Reading {
    async fn listen(self: Arc<Self>, listener: TcpListener) {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        let mut reading: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            let Ok((stream, from)) = listener.accept().await else {
                sleep(READ / 1000).await;
                continue;
            };
            reading.retain(|it| !it.is_finished());
            // Who takes long makes room for who has just come: whoever is silent holds off nobody.
            if reading.len() >= CONNECTIONS_MAX
                && let Some(first) = reading.pop_front()
            {
                first.abort();
            }
            let itself = Arc::clone(&self);
            let work = tokio::spawn(async move {
                // How it ends is the reader's affair.
                let _late = timeout(READ, itself.connection(stream, from.ip())).await;
            });
            reading.push_back(work.abort_handle());
            // What it has asked by now is answered, however many come behind it.
            yield_now().await;
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, from: IpAddr) {
        let answering = service_fn(move |request| {
            let answer = self.answer(from, &request);
            async move { Ok::<_, Infallible>(answer) }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(READ)
            .max_buf_size(HEAD_BYTES_MAX)
            .keep_alive(false);
        let _ended = http.serve_connection(TokioIo::new(stream), answering).await;
    }

    fn answer(&self, from: IpAddr, request: &Request<Incoming>) -> Answer {
        if let Err(why) = self.door.admit(request) {
            if let Some((rule, what)) = why.refusal(request) {
                self.refused(from, rule, format!("a request for metrics: {what}"));
            }
            return self.door.turn_away(why, request.headers(), Full::default());
        }
        if request.uri().path() != PATH {
            return says(StatusCode::NOT_FOUND, "There is nothing but /metrics.\n");
        }
        if request.method() != Method::GET {
            let mut answer = says(StatusCode::METHOD_NOT_ALLOWED, "It can be read.\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return answer;
        }
        // A guard that has ended has nothing more to show.
        let ledger = self.guard.upgrade().map(|it| it.ledger().counted());
        match ledger.map(|it| self.metrics.text(it)) {
            Some(Ok(text)) => says(StatusCode::OK, text),
            Some(Err(_)) | None => says(StatusCode::SERVICE_UNAVAILABLE, "There are none.\n"),
        }
    }

    /// Writes down that somebody was turned away, who is so in any case.
    fn refused(&self, from: IpAddr, rule: &str, says: String) {
        let Some(guard) = self.guard.upgrade() else { return };
        let _recorded = guard.record(&Record {
            kind: Kind::Refusal,
            peer: Some(from),
            server: Arc::clone(&guard.server.name),
            rule: Some(rule.to_owned()),
            says,
            ..Record::default()
        });
    }
}

fn says(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(KIND));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
