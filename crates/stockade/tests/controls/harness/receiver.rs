//! Whoever is told by a webhook: a server that keeps every request, answers as it is told to, and
//! knows the secret. It signs and checks by itself, as Standard Webhooks says it.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::{Home, wait_for};

/// The secret, as it is written.
pub(crate) const SECRET: &str = "whsec_c3RvY2thZGUncyBvd24gc2VjcmV0LCBmb3IgdGVzdHM=";

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

type Answers = dyn Fn(&Told) -> Reply + Send + Sync;

/// A running receiver. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    is_secure: bool,
    told: Arc<Mutex<Vec<Told>>>,
    _stop: oneshot::Sender<()>,
}

impl Receiver {
    /// One that takes note of everything.
    pub(crate) fn new() -> Self {
        Self::answering(|_| Reply::status(204))
    }

    /// One that answers so.
    pub(crate) fn answering(answers: impl Fn(&Told) -> Reply + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self::at(listener, None, answers)
    }

    /// One that is reached by TLS.
    pub(crate) fn secure(tls: TlsAcceptor) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self::at(listener, Some(tls), |_| Reply::status(204))
    }

    /// One at this place.
    pub(crate) fn at(
        listener: std::net::TcpListener,
        tls: Option<TlsAcceptor>,
        answers: impl Fn(&Told) -> Reply + Send + Sync + 'static,
    ) -> Self {
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let (stop, stopped) = oneshot::channel();
        let (noted, is_secure) = (Arc::clone(&told), tls.is_some());
        let answers: Arc<Answers> = Arc::new(answers);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                tokio::select! {
                    () = serve(TcpListener::from_std(listener).unwrap(), tls, noted, answers) => (),
                    _ = stopped => (),
                }
            });
        });
        Self { address, is_secure, told, _stop: stop }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}/told?by=us", self.address)
    }

    /// What a policy says to have it told. The secret is in a file.
    pub(crate) fn table(&self, home: &Home, of: &str) -> String {
        let secret = home.path().join("hook-secret");
        fs::write(&secret, format!("{SECRET}\n")).unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        let (url, secret) = (self.url(), secret.display());
        format!("\n[{of}.webhook]\nurl = \"{url}\"\nsecret = \"file:{secret}\"\n")
    }

    /// Everything that came.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// The bodies of what was posted.
    pub(crate) fn posted(&self) -> Vec<Value> {
        let told = self.told();
        let posted = told.iter().filter(|it| it.method == "POST");
        posted.map(|it| serde_json::from_str(&it.body).expect(&it.body)).collect()
    }

    /// Waits until so much was posted.
    #[track_caller]
    pub(crate) fn posts(&self, number: usize) -> Vec<Value> {
        wait_for("what is posted", || Some(self.posted()).filter(|it| it.len() >= number))
    }
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Whether it is signed with the secret, just now.
    #[track_caller]
    pub(crate) fn is_signed(&self) {
        let at = self.header("webhook-timestamp");
        assert!(at.parse::<u64>().unwrap().abs_diff(now_s()) < 60, "{self:?}");
        let signed = signature(SECRET, self.header("webhook-id"), at, &self.body);
        assert_eq!(self.header("webhook-signature"), signed, "{self:?}");
        assert!(self.header("webhook-id").starts_with("msg_"), "{self:?}");
    }
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.retain(|(it, _)| it != name);
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same with what signs it, and no other header.
    #[must_use]
    pub(crate) fn only_signed(mut self) -> Self {
        self.headers.retain(|(it, _)| it.starts_with("webhook-"));
        self
    }

    /// A body, signed under the name of a question, with a secret and at a time.
    pub(crate) fn signed(name: &str, secret: &str, at_s: u64, body: &Value) -> Self {
        let (at, body) = (at_s.to_string(), body.to_string());
        let signature = signature(secret, name, &at, &body);
        let reply = Self { status: 200, headers: Vec::new(), body };
        reply
            .with("webhook-id", name)
            .with("webhook-timestamp", at)
            .with("webhook-signature", signature)
    }
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn signature(secret: &str, name: &str, at: &str, body: &str) -> String {
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let tag = hmac::sign(&key, format!("{name}.{at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    told: Arc<Mutex<Vec<Told>>>,
    answers: Arc<Answers>,
) {
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        let (tls, told, answers) = (tls.clone(), Arc::clone(&told), Arc::clone(&answers));
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (told, answers) = (Arc::clone(&told), Arc::clone(&answers));
                async move { Ok::<_, Infallible>(answer(request, &told, &*answers).await) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            let _ended = match tls {
                None => http.serve_connection(TokioIo::new(connection), service).await,
                Some(tls) => match tls.accept(connection).await {
                    Ok(secure) => http.serve_connection(TokioIo::new(secure), service).await,
                    // It does not trust us, which is what is looked at.
                    Err(_) => return,
                },
            };
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    told: &Mutex<Vec<Told>>,
    answers: &Answers,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|it| it.to_bytes()).unwrap_or_default();
    let headers = head.headers.iter();
    let text = |it: &http::HeaderValue| String::from_utf8_lossy(it.as_bytes()).into_owned();
    let this = Told {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    told.lock().unwrap().push(this.clone());
    let Reply { status, headers, body } = answers(&this);
    let response = headers.iter().fold(Response::builder().status(status), |it, (name, value)| {
        it.header(name.as_str(), value.as_str())
    });
    response.body(Full::from(body)).unwrap()
}
