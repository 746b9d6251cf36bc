//! A remote server that plays a script over Streamable HTTP, in both eras, and keeps every request
//! with its headers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::fake::filled;
use super::{Script, Step};

type Events = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;
type Answer = Response<Either<Full<Bytes>, StreamBody<Events>>>;

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct FakeHttp {
    pub(crate) address: SocketAddr,
    is_secure: bool,
    state: Arc<State>,
    _stop: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    requests: Mutex<Vec<Heard>>,
    /// The ids of requests whose stream was closed by the other side.
    dropped: Mutex<Vec<Value>>,
}

/// A request that it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl FakeHttp {
    /// A server that does what `script` says.
    pub(crate) fn new(script: Script) -> Self {
        Self::start(script, None)
    }

    /// The same, over TLS.
    pub(crate) fn secure(script: Script, tls: TlsAcceptor) -> Self {
        Self::start(script, Some(tls))
    }

    fn start(script: Script, tls: Option<TlsAcceptor>) -> Self {
        let is_secure = tls.is_some();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let (stop, stopped) = oneshot::channel();
        let (shared, script) = (Arc::clone(&state), Arc::new(script));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                tokio::select! {
                    () = serve(TcpListener::from_std(listener).unwrap(), tls, script, shared) => (),
                    _ = stopped => (),
                }
            });
        });
        Self { address, is_secure, state, _stop: stop }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}/mcp", self.address)
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Heard> {
        self.state.requests.lock().unwrap().clone()
    }

    /// The messages that were posted to it.
    pub(crate) fn messages(&self) -> Vec<Value> {
        self.requests().iter().filter_map(|it| serde_json::from_str(&it.body).ok()).collect()
    }

    /// How often it was asked for `method`.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.messages().iter().filter(|it| it["method"] == method).count()
    }

    /// The ids of requests whose answer nobody waits for any more.
    pub(crate) fn dropped(&self) -> Vec<Value> {
        self.state.dropped.lock().unwrap().clone()
    }
}

impl Heard {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    script: Arc<Script>,
    state: Arc<State>,
) {
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        let (tls, script, state) = (tls.clone(), Arc::clone(&script), Arc::clone(&state));
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (script, state) = (Arc::clone(&script), Arc::clone(&state));
                async move { Ok::<_, Infallible>(answer(request, &script, state).await) }
            });
            // How a connection ends is seen by its streams.
            let http = hyper::server::conn::http1::Builder::new();
            let _ended = match tls {
                None => http.serve_connection(TokioIo::new(connection), service).await,
                Some(tls) => match tls.accept(connection).await {
                    Ok(secure) => http.serve_connection(TokioIo::new(secure), service).await,
                    // The guard does not want it, which is what is looked at.
                    Err(_) => return,
                },
            };
        });
    }
}

async fn answer(request: Request<Incoming>, script: &Script, state: Arc<State>) -> Answer {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|it| it.to_bytes()).unwrap_or_default();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let headers = head.headers.iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let body = String::from_utf8_lossy(&body).into_owned();
    let heard = Heard { headers, body };
    state.requests.lock().unwrap().push(heard);
    if head.method != http::Method::POST {
        return empty(405);
    }
    let steps = script.steps(&message);
    if message.get("id").is_none() || message.get("method").is_none() {
        return empty(202);
    }
    match &steps[..] {
        [Step::Say(only)] => one(&filled(only, &message)),
        _ => several(steps, message, state),
    }
}

fn empty(status: u16) -> Answer {
    Response::builder().status(status).body(Either::Left(Full::default())).unwrap()
}

/// One message, with the status that the modern era has for it.
fn one(message: &Value) -> Answer {
    let status = match message["error"]["code"].as_i64() {
        Some(-32601) => 404,
        Some(-32602 | -32022..=-32020) => 400,
        _ => 200,
    };
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Either::Left(Full::from(message.to_string())))
        .unwrap()
}

/// Several messages, as events.
fn several(steps: Vec<Step>, request: Value, state: Arc<State>) -> Answer {
    let watch = Watch { id: request["id"].clone(), state, ended: false };
    let start = (steps.into_iter(), watch, request);
    let events = stream::unfold(start, |(mut steps, watch, request)| async {
        let bytes = loop {
            match steps.next() {
                Some(Step::Say(message)) => {
                    break Bytes::from(format!("data: {}\n\n", filled(&message, &request)));
                }
                Some(Step::Line(text)) => break Bytes::from(format!("data: {text}\n\n")),
                Some(Step::Flood(bytes)) => break Bytes::from("x".repeat(bytes)),
                Some(Step::Dawdle) => tokio::task::yield_now().await,
                Some(Step::Sleep(ms)) => {
                    tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
                }
                Some(Step::Hang) => std::future::pending::<()>().await,
                Some(step) => unreachable!("{step:?} is nothing that is done over HTTP"),
                None => {
                    watch.end();
                    return None;
                }
            }
        };
        Some((Ok(Frame::data(bytes)), (steps, watch, request)))
    });
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Either::Right(StreamBody::new(Box::pin(events) as Events)))
        .unwrap()
}

/// Notes that a stream was dropped before its end.
struct Watch {
    id: Value,
    state: Arc<State>,
    ended: bool,
}

impl Watch {
    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.ended {
            self.state.dropped.lock().unwrap().push(self.id.take());
        }
    }
}
