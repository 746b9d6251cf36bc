//! What the page asks of the program. `console/API.md` says it for whoever writes a page.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderName, Method, Request, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use stockade_core::check;
use stockade_core::json::Document;
use stockade_core::lock::Part;
use stockade_core::revision::{Era, Revision};
use stockade_core::schema::{Schema, Violation};
use tokio::sync::mpsc;

use super::history::Filter;
use super::line::{Asking, Line, Order};
use super::questions::{Answering, Unanswered};
use super::server::Server;
use super::{Console, Judged, Spec};
use crate::approvals::peer::Peer;
use crate::browser::answers::{self, Answer, body, data, stream};
use crate::browser::{Front, Site, enter, not_let_in};
use crate::client::offers::pages;
use crate::failure::Failure;

/// The longest body of a request: a message may be that long.
const BODY_BYTES_MAX: usize = 16 << 20;

/// So many messages are told at a time, and so many are looked at for that.
const LISTED_MAX: usize = 1000;
const LISTED: usize = 200;
const LOOKS_MAX: usize = 100_000;

/// So many are looked at while nothing else is written down.
const LOOKS: usize = 500;

/// The longest that a request may be waited for, in seconds.
const TIMEOUT_S_MAX: f64 = 86_400.0;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Why something was not done.
struct Refused {
    status: StatusCode,
    error: String,
    help: Option<String>,
}

type Done = Result<Value, Refused>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirming {
    confirm: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requesting {
    method: String,
    #[serde(default)]
    params: Map<String, Value>,
    #[serde(default)]
    meta: Map<String, Value>,
    timeout: Option<f64>,
    progress: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancelling {
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Notifying {
    method: String,
    params: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saying {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rooting {
    roots: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profiling {
    answers: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Validating {
    schema: Value,
    value: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Site for Console {
    fn front(&self) -> &Front {
        &self.front
    }

    fn entered(&self) {
        self.close_opening();
    }

    fn refused(&self, rule: &'static str, says: String) {
        if self.front.is_written(Self::minute()) {
            self.backing.refused(self.front.address().ip(), rule, says);
        }
    }

    async fn answer(self: Arc<Self>, _peer: Peer, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let Some(path) = path.strip_prefix("/api/") else {
            return match *request.method() {
                Method::GET => self.pages.answer(&path),
                _ => answers::says(StatusCode::METHOD_NOT_ALLOWED, "A page is only read."),
            };
        };
        if path == "enter" && request.method() == Method::POST {
            return enter(&*self, request).await;
        }
        if !self.front.is_in(request.headers()) {
            return not_let_in(&*self);
        }
        let steps: Vec<&str> = path.split('/').collect();
        let query = request.uri().query().unwrap_or_default().to_owned();
        match (request.method().as_str(), steps.as_slice()) {
            ("GET", ["events"]) => {
                let last = request.headers().get(LAST_EVENT_ID);
                let last = last.and_then(|it| it.to_str().ok()?.parse().ok());
                return self.events.stream(last);
            }
            ("GET", ["messages.jsonl"]) => return self.export(&query),
            _ => {}
        }
        match self.done(request, &steps, &query).await {
            Ok(it) => answers::json(&it),
            Err(Refused { status, error, help }) => {
                let mut it = json!({ "error": error });
                if let (Some(it), Some(help)) = (it.as_object_mut(), help) {
                    it.insert("help".to_owned(), help.into());
                }
                data(status, &it)
            }
        }
    }
}

impl Console {
    async fn done(
        self: &Arc<Self>,
        request: Request<Incoming>,
        steps: &[&str],
        query: &str,
    ) -> Done {
        let method = request.method().clone();
        match (method.as_str(), steps) {
            ("GET", ["about"]) => Ok(self.about()),
            ("GET", ["rules", id]) => rule(id),
            ("POST", ["validate"]) => validated(read(request).await?),
            ("GET", ["ledger"]) => {
                let filter = records(query)?;
                let console = Arc::clone(self);
                blocking(move || console.backing.ledger(&filter)).await?.map_err(|it| failed(&it))
            }
            ("GET", ["ledger", "verify"]) => {
                let console = Arc::clone(self);
                blocking(move || console.backing.verified()).await?.map_err(|it| failed(&it))
            }
            ("GET", ["questions"]) => Ok(json!({ "questions": self.questions.all() })),
            ("POST", ["questions", id]) => {
                let answering: Answering = read(request).await?;
                match self.questions.answer(id, answering) {
                    Ok(()) => Ok(json!({})),
                    Err(Unanswered::Gone) => Err(conflict("nobody waits for that any more")),
                    Err(Unanswered::Unfit(why)) => Err(wrong(why)),
                }
            }
            ("GET", ["messages"]) => self.messages(query).await,
            ("DELETE", ["messages"]) => {
                let Nothing {} = read(request).await?;
                self.history().forget(true);
                Ok(json!({}))
            }
            ("GET", ["messages", number]) => {
                let number = number.parse().map_err(|_| absent())?;
                let (whole, http) = {
                    let history = self.history();
                    (history.whole(number).ok_or_else(absent)?, history.attached(number))
                };
                let mut whole = parsed(&whole)?;
                if let (Some(whole), Some(http)) = (whole.as_object_mut(), http) {
                    whole.insert("http".to_owned(), http);
                }
                Ok(whole)
            }
            ("GET", ["servers"]) => {
                let servers: Vec<_> = self.servers().values().cloned().collect();
                let told: Vec<Value> = servers.iter().map(|it| self.told(it)).collect();
                Ok(json!({ "servers": told }))
            }
            ("POST", ["servers"]) => {
                let spec: Spec = read(request).await?;
                let console = Arc::clone(self);
                let planned = blocking(move || console.backing.plan(spec)).await?;
                let planned = planned.map_err(|it| failed(&it))?;
                let server =
                    self.add(planned).ok_or_else(|| conflict("there are too many servers"))?;
                Ok(self.told(&server))
            }
            (_, ["servers", name, rest @ ..]) => {
                let server = self.server(name).ok_or_else(absent)?;
                self.of_server(request, &method, &server, rest, query).await
            }
            _ => Err(absent()),
        }
    }

    async fn of_server(
        self: &Arc<Self>,
        request: Request<Incoming>,
        method: &Method,
        server: &Arc<Server>,
        steps: &[&str],
        query: &str,
    ) -> Done {
        match (method.as_str(), steps) {
            ("GET", []) => Ok(self.told(server)),
            ("DELETE", []) => {
                let Nothing {} = read(request).await?;
                server.stop();
                self.servers().remove(&server.number());
                self.events.tell("removed", &json!({ "server": server.name() }));
                Ok(json!({}))
            }
            ("POST", ["start"]) => {
                let Confirming { confirm } = read(request).await?;
                if !server.is_confirmed(&confirm) {
                    return Err(conflict("that confirms another server than this"));
                }
                match self.start(server) {
                    Ok(true) => Ok(self.told(server)),
                    Ok(false) => Err(conflict("it is there already")),
                    Err(error) => Err(conflict(&format!("the system gives no thread: {error}"))),
                }
            }
            ("POST", ["stop"]) => {
                let Nothing {} = read(request).await?;
                server.stop();
                Ok(json!({}))
            }
            ("PUT", ["roots"]) => {
                let Rooting { roots } = read(request).await?;
                server.answers_by(None, Some(Value::Array(roots))).map_err(wrong)?;
                // From 2026-07-28 on there is no such notification.
                let era = server.revision().map(Revision::era);
                if let Some(line) = server.line().filter(|_| era == Some(Era::Legacy)) {
                    let method = "notifications/roots/list_changed";
                    line.tell(Order::Say(json!({ "jsonrpc": "2.0", "method": method })));
                }
                self.changed(server);
                Ok(json!({}))
            }
            ("PUT", ["answers"]) => {
                let Profiling { answers } = read(request).await?;
                server.answers_by(Some(answers), None).map_err(wrong)?;
                self.changed(server);
                Ok(json!({}))
            }
            ("POST", ["requests"]) => self.request(server, read(request).await?),
            ("POST", ["requests", name, "cancel"]) => {
                let Cancelling { reason } = read(request).await?;
                line(server)?.tell(Order::Cancel((*name).to_owned(), reason));
                Ok(json!({}))
            }
            ("POST", ["notify"]) => {
                let Notifying { method, params } = read(request).await?;
                let mut said = json!({ "jsonrpc": "2.0", "method": method });
                if let (Some(said), Some(params)) = (said.as_object_mut(), params) {
                    said.insert("params".to_owned(), Value::Object(params));
                }
                line(server)?.tell(Order::Say(said));
                Ok(json!({}))
            }
            ("POST", ["raw"]) => {
                let Saying { text } = read(request).await?;
                line(server)?.tell(Order::Bytes(text));
                Ok(json!({}))
            }
            ("GET", ["logs"]) => {
                let (lines, dropped) = server.witness().lines();
                Ok(json!({ "stderr": lines, "dropped": dropped }))
            }
            ("GET", ["definitions"]) => self.definitions(server, query).await,
            ("POST", ["judge"]) => {
                let call: Judged = read(request).await?;
                let server = Arc::clone(server);
                let judged = blocking(move || {
                    let tools = server.witness().listing(|it| it.tools());
                    server.planned().judge(&tools, &call)
                });
                judged.await?.map_err(|it| failed(&it))
            }
            _ => Err(absent()),
        }
    }

    fn about(&self) -> Value {
        let mut about = self.backing.about();
        let revisions = Revision::ALL.map(Revision::name);
        if let Some(about) = about.as_object_mut() {
            about.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
            about.insert("page".to_owned(), self.pages.name().into());
            about.insert("revisions".to_owned(), json!(revisions));
            about.insert("hidden".to_owned(), hidden());
            about.insert("keep".to_owned(), self.keep.into());
        }
        about
    }

    fn request(&self, server: &Server, asked: Requesting) -> Done {
        let Requesting { method, mut params, meta, timeout, progress } = asked;
        let line = line(server)?;
        let name = format!("r{}", self.requests.fetch_add(1, Ordering::Relaxed) + 1);
        let timeout = match timeout {
            Some(it) if it > 0.0 && it <= TIMEOUT_S_MAX => Some(Duration::from_secs_f64(it)),
            Some(_) => return Err(wrong("`timeout` is in seconds, and no more than a day".into())),
            None => None,
        };
        let token = ("progressToken".to_owned(), Value::from(name.as_str()));
        let token = Some(token).filter(|_| progress.unwrap_or(true));
        let more = server.planned().meta().into_iter().chain(meta);
        let more: Map<String, Value> = token.into_iter().chain(more).collect();
        if !more.is_empty() {
            let given = params.entry("_meta").or_insert_with(|| json!({}));
            if let Some(given) = given.as_object_mut() {
                for (name, value) in more {
                    given.entry(name).or_insert(value);
                }
            }
        }
        let params = Value::Object(params);
        let asking = Asking { name: Some(name.clone()), method, params, timeout, to: None };
        line.tell(Order::Ask(Box::new(asking)));
        Ok(json!({ "request": name }))
    }

    async fn definitions(self: &Arc<Self>, server: &Arc<Server>, query: &str) -> Done {
        let fresh = field(query, "fresh").is_some_and(|it| it == "true");
        if fresh || server.lists().is_none() {
            let lists = list(server, line(server)?).await;
            server.listed(lists);
        }
        let (at, lists) = server.lists().unwrap_or_default();
        let server = Arc::clone(server);
        let told = blocking(move || {
            let (file, entry) = server.planned().locked()?;
            let approved = entry.as_ref().map(|it| &it.offers);
            let (items, differs) = server.witness().listing(|it| it.told(approved));
            let state = match (entry.is_some(), differs) {
                (false, _) => "none",
                (true, true) => "differs",
                (true, false) => "same",
            };
            let lock = json!({ "file": file.to_string_lossy(), "state": state });
            Ok::<_, Failure>(json!({ "at": at, "lists": lists, "lock": lock, "items": items }))
        });
        told.await?.map_err(|it| failed(&it))
    }

    async fn messages(self: &Arc<Self>, query: &str) -> Done {
        let filter = filter(query)?;
        let number = |name: &str| -> Result<Option<u64>, Refused> {
            let it = field(query, name).map(|it| it.parse().ok());
            it.map_or(Ok(None), |it: Option<u64>| {
                it.map(Some).ok_or_else(|| wrong(format!("`{name}` is no number")))
            })
        };
        let (before, after) = (number("before")?, number("after")?);
        let limit = number("limit")?.and_then(|it| usize::try_from(it).ok()).unwrap_or(LISTED);
        let limit = limit.clamp(1, LISTED_MAX);
        let console = Arc::clone(self);
        blocking(move || {
            let (first, last, dropped) = console.history().bounds();
            let newest_first = after.is_none();
            let at = match (before, after) {
                (_, Some(it)) => it.saturating_add(1).max(first),
                (Some(it), None) => it.saturating_sub(1).min(last),
                (None, None) => last,
            };
            let (mut messages, mut next): (Vec<Box<RawValue>>, _) = (Vec::new(), Some(at));
            for _ in 0..LOOKS_MAX / LOOKS {
                let Some(at) = next.filter(|_| messages.len() < limit) else { break };
                let left = limit - messages.len();
                let from = (at, newest_first);
                let part = console.history().list(&filter, from, left, LOOKS, false);
                messages.extend(part.messages);
                next = part.next;
            }
            let messages: Vec<Value> = messages.iter().filter_map(|it| parsed(it).ok()).collect();
            // Where to go on: what was looked at last, in the words that ask for what is beyond it.
            let next = next.map(|it| if newest_first { it + 1 } else { it.saturating_sub(1) });
            let mut told = json!({ "first": first, "last": last, "total": (last + 1).saturating_sub(first),
                "dropped": dropped, "messages": messages });
            if let (Some(told), Some(next)) = (told.as_object_mut(), next) {
                told.insert("next".to_owned(), next.into());
            }
            told
        })
        .await
    }

    /// All messages, whole, as they are read.
    fn export(self: &Arc<Self>, query: &str) -> Answer {
        let filter = match filter(query) {
            Ok(it) => it,
            Err(it) => return data(it.status, &json!({ "error": it.error })),
        };
        let (lines, body) = mpsc::channel(1);
        let console = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let (first, last, _) = console.history().bounds();
            let mut next = Some(first);
            while let Some(at) = next.filter(|it| *it <= last) {
                let part = console.history().list(&filter, (at, false), LOOKS, LOOKS, true);
                let text = |it: &RawValue| format!("{}\n", it.get());
                let text: String = part.messages.iter().map(|it| text(it)).collect();
                if !text.is_empty() && lines.blocking_send(text.into_bytes()).is_err() {
                    return;
                }
                next = part.next;
            }
        });
        stream("application/x-ndjson", body)
    }
}

/// Lists all that a server has said that it has. What came of each list.
async fn list(server: &Server, mut line: Line) -> Value {
    let begun = server.begun();
    let mut lists = Map::new();
    for (part, method, name) in Part::LISTED {
        let capability = if part == Part::Template { "resources" } else { name };
        let declared = begun.get("capabilities").is_none_or(|it| it.get(capability).is_some());
        let came = if declared {
            server.witness().listing(|it| it.forget(part));
            match pages(&mut line, method, name).await {
                Ok(_) => "ok".to_owned(),
                Err(error) => error.to_string(),
            }
        } else {
            "not declared".to_owned()
        };
        lists.insert(name.to_owned(), came.into());
    }
    Value::Object(lists)
}

/// The way to a server that speaks.
fn line(server: &Server) -> Result<Line, Refused> {
    server
        .line()
        .ok_or_else(|| conflict("the server does not speak: it has not begun, or has ended"))
}

async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refused> {
    let is_json = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|it| it.as_bytes().to_ascii_lowercase().starts_with(b"application/json"));
    if !is_json {
        return Err(wrong("`Content-Type` is to be `application/json`".to_owned()));
    }
    let bytes = body(request, BODY_BYTES_MAX).await;
    let bytes = bytes.map_err(|status| Refused {
        status,
        error: "the body was not read".to_owned(),
        help: None,
    })?;
    serde_json::from_slice(&bytes).map_err(|it| wrong(format!("the body is not understood: {it}")))
}

async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(job).await.map_err(|it| conflict(&it.to_string()))
}

fn parsed(raw: &RawValue) -> Done {
    serde_json::from_str(raw.get()).map_err(|it| conflict(&it.to_string()))
}

fn filter(query: &str) -> Result<Filter, Refused> {
    let is_true = |name: &str| field(query, name).is_some_and(|it| it == "true");
    let server = match field(query, "server") {
        Some(it) => {
            let number = it.strip_prefix('s').and_then(|it| it.parse().ok());
            Some(number.ok_or_else(|| wrong("`server` is no server".to_owned()))?)
        }
        None => None,
    };
    Ok(Filter {
        server,
        from: field(query, "from"),
        kind: field(query, "kind"),
        method: field(query, "method"),
        text: field(query, "text").filter(|it| !it.is_empty()),
        found: is_true("findings"),
        violation: is_true("violation"),
    })
}

/// Which records of the ledger are wanted.
fn records(query: &str) -> Result<stockade_store::Filter, Refused> {
    let limit = match field(query, "limit") {
        Some(it) => it.parse().map_err(|_| wrong("`limit` is no number".to_owned()))?,
        None => LISTED,
    };
    Ok(stockade_store::Filter {
        kind: field(query, "kind"),
        session: field(query, "session"),
        call: field(query, "call"),
        server: field(query, "server"),
        tool: field(query, "tool"),
        method: field(query, "method"),
        decision: field(query, "decision"),
        rule: field(query, "rule"),
        text: field(query, "text").filter(|it| !it.is_empty()),
        limit: Some(limit.clamp(1, LISTED_MAX)),
        ..stockade_store::Filter::default()
    })
}

/// What a query says of this.
fn field(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(it, _)| it == name)
        .map(|(_, value)| value.into_owned())
}

/// The page of a rule.
fn rule(id: &str) -> Done {
    let rule = check::rule(id).ok_or_else(absent)?;
    Ok(json!({ "id": rule.id, "severity": rule.severity.name(), "page": rule.page }))
}

/// Holds a value against a schema, as the arguments of a call are.
fn validated(asked: Validating) -> Done {
    let read = |it: &Value| Document::from_value(it).map_err(|it| wrong(it.to_string()));
    let (schema, value) = (read(&asked.schema)?, read(&asked.value)?);
    Ok(match Schema::new(schema.root()).check(value.root()) {
        Ok(()) => json!({ "valid": true }),
        Err(violation) => {
            let place = match &violation {
                Violation::Mismatch { path, .. } => path.as_str(),
                Violation::Unusable(_) | Violation::Work => "",
            };
            json!({ "valid": false, "place": place, "says": violation.to_string() })
        }
    })
}

/// What a person would not see, in ranges of code points: what a terminal does not show either.
fn hidden() -> Value {
    static RANGES: std::sync::OnceLock<Vec<[u32; 2]>> = std::sync::OnceLock::new();
    let ranges = RANGES.get_or_init(|| {
        let mut ranges: Vec<[u32; 2]> = Vec::new();
        let mut buffer = [0; 4];
        let shows = |it: char| matches!(it, '\n' | '\t' | '\r' | '\u{fffd}');
        for it in ('\0'..=char::MAX).filter(|it| !shows(*it)) {
            if check::visible(it.encode_utf8(&mut buffer)) != "\u{fffd}" {
                continue;
            }
            let code = u32::from(it);
            match ranges.last_mut() {
                Some([_, last]) if *last + 1 == code => *last = code,
                _ => ranges.push([code, code]),
            }
        }
        ranges
    });
    json!(ranges)
}

fn absent() -> Refused {
    Refused {
        status: StatusCode::NOT_FOUND,
        error: "there is no such thing".to_owned(),
        help: None,
    }
}

fn wrong(error: String) -> Refused {
    Refused { status: StatusCode::BAD_REQUEST, error, help: None }
}

fn conflict(error: &str) -> Refused {
    Refused { status: StatusCode::CONFLICT, error: error.to_owned(), help: None }
}

/// A failure in words, its advice apart from it.
fn failed(failure: &Failure) -> Refused {
    let whole = failure.to_string();
    let (error, help) = match whole.split_once("\nhelp: ") {
        Some((error, help)) => (error, Some(help.to_owned())),
        None => (whole.as_str(), None),
    };
    let error = error.strip_prefix("error: ").unwrap_or(error).to_owned();
    Refused { status: StatusCode::BAD_REQUEST, error, help }
}
