//! What one server says and is told, seen where the guard judges it: kept to the letter in the history,
//! with what was decided about it, and told to the page in brief.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use serde_json::{Map, Value, json};
use stockade_core::check::redacted;
use stockade_core::finding::Severity;
use stockade_core::judge::Cleared;
use stockade_core::message::{Id, Kind, Message, Side};
use stockade_core::record::{self, Record, Status};
use stockade_wire::http::connection::Exchanged;

use super::events::Events;
use super::history::{History, Marks};
use super::listing::Listing;
use crate::guard::tap::{Tap, Turn};

/// So many requests are remembered that were not answered.
const WAITING_MAX: usize = 10_000;

/// So many messages are remembered by what they are, until whoever hears them asks.
const PLACES_MAX: usize = 4_096;

/// So many lines of standard error are kept.
const LINES_MAX: usize = 2_000;

/// The history, for all servers.
pub(super) type Shared = Arc<Mutex<History>>;

/// Who sees one server.
pub(super) struct Witness {
    number: u16,
    name: String,
    events: Arc<Events>,
    history: Shared,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// What each side has asked and was not answered.
    asked: HashMap<(Side, Id), Asked>,
    /// What the page calls requests that are about to be sent.
    names: HashMap<Id, String>,
    /// Where messages are that go to the client, by what they are.
    places: HashMap<u64, u64>,
    order: VecDeque<u64>,
    listing: Listing,
    lines: VecDeque<Value>,
    lines_dropped: u64,
}

#[derive(Clone, Debug)]
struct Asked {
    method: String,
    at: f64,
    name: Option<String>,
}

/// What a message is, of those that can be read.
struct Read {
    kind: &'static str,
    method: String,
    id: Option<Id>,
    name: Option<String>,
    ms: Option<f64>,
}

impl Witness {
    pub(super) fn new(number: u16, events: &Arc<Events>, history: &Shared) -> Self {
        let (events, history) = (Arc::clone(events), Arc::clone(history));
        Self { number, name: format!("s{number}"), events, history, seen: Mutex::default() }
    }

    /// What the page calls the request that is about to be sent by this id.
    pub(super) fn called(&self, id: &Id, name: &str) {
        self.seen().names.insert(id.clone(), name.to_owned());
    }

    /// Where a message is that was just heard, if that is known.
    pub(super) fn place(&self, bytes: &[u8]) -> Option<u64> {
        self.seen().places.get(&mark(bytes)).copied()
    }

    /// What it has listed.
    pub(super) fn listing<T>(&self, look: impl FnOnce(&mut Listing) -> T) -> T {
        look(&mut self.seen().listing)
    }

    /// Its last lines of standard error, and how many more there were.
    pub(super) fn lines(&self) -> (Vec<Value>, u64) {
        let seen = self.seen();
        (seen.lines.iter().cloned().collect(), seen.lines_dropped)
    }

    /// Another process of it begins: what the one before was asked is not answered any more.
    pub(super) fn begins(&self) {
        let mut seen = self.seen();
        seen.asked.clear();
        seen.names.clear();
        seen.listing = Listing::default();
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self, turn: &Turn<'_>, from: Side, bytes: &Bytes) -> Option<usize> {
        let read = self.read(from, bytes);
        let is_denied =
            |it: &Record| it.status == Some(Status::Refused) || matches!(it.decision, Some("deny"));
        let denied = turn.records.iter().any(is_denied);
        let to = from.other();
        let passed = |it: &Cleared| it.to() == to && !denied;
        let place = turn.sends.iter().position(passed);
        let passed = place.and_then(|it| turn.sends.get(it));
        let asks = turn.records.iter().any(|it| it.decision == Some("ask") || is_question(it));
        let done = match passed {
            Some(it) if it.bytes() == bytes => None,
            Some(_) => Some("mended"),
            None if asks => Some("asked"),
            None => Some("denied").filter(|_| denied),
        };
        let sent = passed.filter(|it| it.bytes() != bytes).map(Cleared::bytes);
        let message = Told { read, from: from.name(), to: passed.map(|_| to), done, bytes, sent };
        let number = self.keep(message, turn.records);
        if let Some(it) = passed {
            self.passed(it, number);
        }
        place
    }

    /// What is sent that nobody has said in this turn: the guard's own, or what has waited.
    fn sends(&self, sent: &Cleared, records: &[Record]) {
        let (to, bytes) = (sent.to(), sent.bytes());
        let is_released = to == Side::Server && sent.message().kind() == Kind::Request
            || to == Side::Client && records.iter().any(|it| it.approver.is_some());
        let from = to.other();
        let read = self.read(from, bytes);
        let from = if is_released { from.name() } else { "guard" };
        let message = Told { read, from, to: Some(to), done: None, bytes, sent: None };
        let number = self.keep(message, if is_released { records } else { &[] });
        self.passed(sent, number);
    }

    /// A message has gone on: nobody waits for the answer that it is.
    fn passed(&self, sent: &Cleared, number: u64) {
        let mut seen = self.seen();
        seen.lies(sent.bytes(), number);
        if let (Kind::Result | Kind::Error, Some(id)) = (sent.message().kind(), sent.message().id())
        {
            let asked = seen.asked.remove(&(sent.to(), id.clone()));
            if asked.is_some_and(|it| it.name.is_some()) {
                seen.names.remove(id);
            }
        }
    }

    /// What went over HTTP for a message.
    pub(super) fn exchanged(&self, it: &Exchanged) {
        let number = self.place(&it.body);
        let told = json!({
            "server": self.name, "at": now(), "message": number, "method": it.method.as_str(),
            "target": redacted(&it.target), "headers": headers(&it.headers), "status": it.status,
            "answerHeaders": headers(&it.answer),
        });
        if let Some(number) = number {
            let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
            history.attach(number, told.clone());
        }
        self.events.tell("http", &told);
    }

    fn read(&self, from: Side, bytes: &Bytes) -> Read {
        let Ok(message) = Message::parse(from, bytes.clone(), &Default::default()) else {
            let kind = match bytes.trim_ascii_start().first() {
                Some(b'[') => "batch",
                Some(_) | None => "garbled",
            };
            return Read { kind, method: String::new(), id: None, name: None, ms: None };
        };
        let (at, id) = (now(), message.id().cloned());
        let method = message.method().unwrap_or_default().to_owned();
        let mut seen = self.seen();
        match (message.kind(), &id) {
            (Kind::Request, Some(key)) => {
                let name = seen.names.get(key).filter(|_| from == Side::Client).cloned();
                let asked = Asked { method: method.clone(), at, name: name.clone() };
                if seen.asked.len() < WAITING_MAX {
                    seen.asked.insert((from, key.clone()), asked);
                }
                Read { kind: "request", method, id, name, ms: None }
            }
            (kind @ (Kind::Result | Kind::Error), Some(key)) => {
                let kind = if kind == Kind::Result { "result" } else { "error" };
                let asked = seen.asked.get(&(from.other(), key.clone())).cloned();
                let ms = asked.as_ref().map(|it| (at - it.at).max(0.0));
                let name = asked.as_ref().and_then(|it| it.name.clone());
                Read { kind, method: asked.map(|it| it.method).unwrap_or_default(), id, name, ms }
            }
            (Kind::Notification, _) => {
                Read { kind: "notification", method, id, name: None, ms: None }
            }
            (Kind::Request | Kind::Result | Kind::Error, None) => {
                Read { kind: "garbled", method, id, name: None, ms: None }
            }
        }
    }

    fn keep(&self, message: Told<'_>, records: &[Record]) -> u64 {
        let Told { read, from, to, done, bytes, sent } = message;
        let rank = |it: &str| {
            [Severity::Low, Severity::Medium, Severity::High].iter().position(|s| s.name() == it)
        };
        let findings = || records.iter().flat_map(|it| &it.findings);
        let worst = findings().map(|it| it.severity).max_by_key(|it| rank(it));
        let violation = records.iter().any(|it| it.kind == record::Kind::Violation);
        let marks = Marks {
            server: self.number,
            from,
            kind: read.kind,
            method: &read.method,
            found: worst.is_some(),
            violation,
        };
        let told = |number: u64| {
            let mut brief = Map::new();
            let mut put = |name: &str, value: Value| drop(brief.insert(name.to_owned(), value));
            put("n", number.into());
            put("server", self.name.as_str().into());
            put("at", now().into());
            put("from", from.into());
            to.into_iter().for_each(|it| put("to", it.name().into()));
            put("kind", read.kind.into());
            if !read.method.is_empty() {
                put("method", read.method.as_str().into());
            }
            read.id.iter().for_each(|it| put("id", it.to_value()));
            read.name.iter().for_each(|it| put("request", it.as_str().into()));
            put("bytes", bytes.len().into());
            read.ms.into_iter().for_each(|it| put("ms", rounded(it).into()));
            done.into_iter().for_each(|it| put("done", it.into()));
            if let Some(worst) = worst {
                put("findings", findings().count().into());
                put("worst", worst.into());
            }
            if violation {
                put("violation", true.into());
            }
            let mut whole = brief.clone();
            whole.extend([text("text", bytes)]);
            whole.extend(sent.map(|it| text("sent", it)));
            whole.insert("records".to_owned(), json!(records));
            (Value::Object(brief), Value::Object(whole))
        };
        let mut told_as = Value::Null;
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let number = history.keep(&marks, |number| {
            let (brief, whole) = told(number);
            told_as = brief.clone();
            (brief, whole)
        });
        drop(history);
        self.events.tell("message", &told_as);
        number
    }
}

/// A message that is kept.
struct Told<'m> {
    read: Read,
    from: &'static str,
    to: Option<Side>,
    done: Option<&'static str>,
    bytes: &'m Bytes,
    /// What was sent in its place.
    sent: Option<&'m Bytes>,
}

impl Seen {
    /// Remembers where a message is.
    fn lies(&mut self, bytes: &[u8], number: u64) {
        let mark = mark(bytes);
        self.places.insert(mark, number);
        self.order.push_back(mark);
        if self.order.len() > PLACES_MAX
            && let Some(first) = self.order.pop_front()
        {
            self.places.remove(&first);
        }
    }
}

impl Tap for Witness {
    fn turn(&self, turn: &Turn<'_>) {
        let passed = turn.heard.map(|(from, bytes)| (*from, self.heard(turn, *from, bytes)));
        let place = passed.and_then(|(_, place)| place);
        let others = turn.sends.iter().enumerate().filter(|(at, _)| Some(*at) != place);
        for (_, sent) in others {
            self.sends(sent, if turn.heard.is_none() { turn.records } else { &[] });
        }
        if let Some((Side::Server, bytes)) = turn.heard {
            let sent = place.and_then(|it| turn.sends.get(it)).map(Cleared::bytes);
            self.listing(|it| it.sees(bytes, sent, turn.records));
        }
    }

    fn noted(&self, record: &Record) {
        let at = now();
        if record.kind == record::Kind::Stderr {
            let line = json!({ "server": self.name, "at": at, "text": record.says });
            self.events.tell("stderr", &line);
            let mut seen = self.seen();
            if seen.lines.len() >= LINES_MAX {
                seen.lines.pop_front();
                seen.lines_dropped += 1;
            }
            seen.lines.push_back(json!({ "at": at, "text": record.says }));
        }
        if let Some(touched) = &record.touched {
            let told = json!({ "server": self.name, "at": at, "tool": record.tool, "call": record.call,
                "touched": touched, "says": record.says });
            self.events.tell("touched", &told);
        }
        if record.kind == record::Kind::Egress {
            let told = json!({ "server": self.name, "at": at, "destination": record.destination,
                "address": record.address, "decision": record.decision, "says": record.says });
            self.events.tell("egress", &told);
        }
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Witness").field(&self.name).finish()
    }
}

/// Headers, without the values that may be secrets.
fn headers(all: &HeaderMap) -> Value {
    let secret = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE];
    let each = all.iter().map(|(name, value)| {
        let is_secret = value.is_sensitive() || secret.contains(name);
        let shown = String::from_utf8_lossy(value.as_bytes());
        let shown = if is_secret { "…".into() } else { redacted(&shown) };
        json!([name.as_str(), shown])
    });
    Value::Array(each.collect())
}

fn is_question(record: &Record) -> bool {
    record.kind == record::Kind::Question
}

/// Bytes as text where they are one.
fn text(name: &str, bytes: &Bytes) -> (String, Value) {
    match std::str::from_utf8(bytes) {
        Ok(it) => (name.to_owned(), it.into()),
        Err(_) if name == "text" => ("base64".to_owned(), STANDARD.encode(bytes).into()),
        Err(_) => ("sentBase64".to_owned(), STANDARD.encode(bytes).into()),
    }
}

fn mark(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn rounded(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

/// Now, in milliseconds of the Unix epoch.
pub(super) fn now() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    rounded(now.as_secs_f64() * 1000.0)
}
