//! A span for each call of a tool, for who follows a trace through many programs: `[traces]` of a policy.
//!
//! What a span says is read off the records of its call, where they are written (`guard.rs`). It is left
//! in a queue, and told by a thread of its own ([`otlp`]): an endpoint that does not answer loses spans,
//! which is counted, and holds up no call. Whose part of which trace a call is, its client says
//! (`stockade_core::trace`).
//!
//! See `docs/monitoring.md`.

pub mod otlp;

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use stockade_core::check::{clipped, visible};
use stockade_core::record::{Kind, Record, Status};
use stockade_core::trace::Parent;
use stockade_wire::error::WireError;
use tokio::sync::mpsc;

use self::otlp::Collector;
use crate::metrics::Metrics;

/// So many calls are under way at a time, and so many that have ended wait to be told.
const OPEN_MAX: usize = 4096;
const WAITING_MAX: usize = 2048;

/// So many are told at once, and so long is waited for more.
const BATCH_MAX: usize = 256;
const GATHER: Duration = Duration::from_secs(1);

/// How long a guard that ends still tells what it has.
const LAST: Duration = Duration::from_secs(1);

/// So long is a text of a span, in characters.
const TEXT_CHARS: usize = 120;

/// Why no spans can be told.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The endpoint.
    #[error("the endpoint of traces cannot be used")]
    Endpoint(#[source] WireError),
    /// The thread.
    #[error("the system gives no thread")]
    Thread(#[source] std::io::Error),
}

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its own place in its trace.
    own: Parent,
    /// The span that it is a part of, if its client named one.
    parent: Option<u64>,
    began_ms: u64,
    ended_ms: u64,
    call: String,
    tool: Option<String>,
    revision: Option<&'static str>,
    decision: Option<&'static str>,
    rule: Option<String>,
    status: Option<Status>,
}

/// Who sees calls, and leaves what is to be told of them.
#[derive(Debug)]
pub struct Traces {
    open: Mutex<HashMap<String, Span>>,
    queue: Mutex<Option<mpsc::Sender<Span>>>,
    counts: Arc<Counts>,
    /// Hears that the thread has ended.
    ended: Mutex<Receiver<()>>,
}

/// What was told and what was lost, for who reads numbers.
#[derive(Debug, Default)]
struct Counts(OnceLock<Arc<Metrics>>);

impl Counts {
    fn add(&self, outcome: &'static str, spans: usize) {
        if let Some(metrics) = self.0.get().filter(|_| spans > 0) {
            metrics.spans(outcome, spans);
        }
    }
}

impl Traces {
    /// Of a server by this name, told to this endpoint.
    ///
    /// # Errors
    /// When the endpoint is none, or the system gives no thread.
    pub fn open(server: &str, endpoint: &str) -> Result<Self, TracesError> {
        let collector = Collector::new(&named(server), endpoint).map_err(TracesError::Endpoint)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(TracesError::Thread)?;
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let (ends, ended) = sync_channel(1);
        let counts = Arc::<Counts>::default();
        let counting = Arc::clone(&counts);
        let work = move || {
            runtime.block_on(tell(collector, waiting, &counting));
            // A name that is still being looked up is nobody's to wait for.
            runtime.shutdown_background();
            let _unheard = ends.send(());
        };
        let started = thread::Builder::new().name("traces".to_owned()).spawn(work);
        started.map_err(TracesError::Thread)?;
        let (queue, ended) = (Mutex::new(Some(queue)), Mutex::new(ended));
        Ok(Self { open: Mutex::default(), queue, counts, ended })
    }

    /// Has it be counted what is told and what is lost.
    pub fn counted_by(&self, metrics: &Arc<Metrics>) {
        self.counts.0.get_or_init(|| Arc::clone(metrics));
    }

    /// Sees a record.
    pub fn see(&self, record: &Record, now_ms: u64) {
        if record.method != "tools/call" || record.call.is_empty() {
            return;
        }
        if matches!(record.kind, Kind::Question | Kind::Decision) {
            let mut open = lock(&self.open);
            if !open.contains_key(&record.call) && open.len() >= OPEN_MAX {
                return self.counts.add("lost", 1);
            }
            let Some(new) = Span::begun(record, now_ms) else { return };
            let span = open.entry(record.call.clone()).or_insert(new);
            (span.decision, span.rule) = (record.decision, record.rule.as_deref().map(named));
        }
        if record.kind == Kind::Outcome {
            let Some(span) = lock(&self.open).remove(&record.call) else { return };
            let decision = record.decision.or(span.decision);
            let rule = record.rule.as_deref().map(named).or(span.rule);
            let ended_ms = now_ms.max(span.began_ms);
            self.leave(Span { decision, rule, ended_ms, status: record.status, ..span });
        }
    }

    fn leave(&self, span: Span) {
        let queue = lock(&self.queue);
        if queue.as_ref().is_none_or(|it| it.try_send(span).is_err()) {
            self.counts.add("lost", 1);
        }
    }

    /// Waits a moment until everything was told. Nothing is told after that.
    pub fn close(&self) {
        lock(&self.queue).take();
        let _late = lock(&self.ended).recv_timeout(LAST);
    }
}

impl Span {
    /// What is known at the beginning. Nothing, of a trace that nobody keeps, or without randomness.
    fn begun(record: &Record, now_ms: u64) -> Option<Self> {
        let said = record.trace.as_deref().and_then(Parent::parse);
        let begins = || {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes).ok()?;
            Some(Parent { trace: u128::from_be_bytes(bytes).max(1), span: 1, sampled: true })
        };
        let parent = said.or_else(begins).filter(|it| it.sampled)?;
        Some(Self {
            own: parent.of_call(&record.call),
            parent: said.map(|it| it.span),
            began_ms: now_ms,
            ended_ms: now_ms,
            call: record.call.clone(),
            // What is not listed is whatever a client has made up.
            tool: record.tool.as_deref().filter(|_| record.tool_digest.is_some()).map(named),
            revision: record.revision,
            decision: None,
            rule: None,
            status: None,
        })
    }
}

/// A name that somebody else has chosen: short, to be read, and without what might be a secret in it.
fn named(text: &str) -> String {
    visible(&clipped(text, TEXT_CHARS))
}

/// Tells what has ended, many at once, until nobody leaves any more.
async fn tell(mut collector: Collector, mut queue: mpsc::Receiver<Span>, counts: &Counts) {
    let mut spans = Vec::with_capacity(BATCH_MAX);
    while queue.recv_many(&mut spans, BATCH_MAX).await > 0 {
        let more = async {
            loop {
                let room = BATCH_MAX.saturating_sub(spans.len());
                if room == 0 || queue.recv_many(&mut spans, room).await == 0 {
                    break;
                }
            }
        };
        // That there were no more in time is no failure.
        let _enough = tokio::time::timeout(GATHER, more).await;
        let lost = collector.tell(&spans).await;
        counts.add("sent", spans.len().saturating_sub(lost));
        counts.add("lost", lost);
        spans.clear();
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
