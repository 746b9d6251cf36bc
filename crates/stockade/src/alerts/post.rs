//! Tells what was raised: a thread of its own, so that a call never waits for it and a guard that ends
//! can still have told. Each sink has a queue of its own; one that is down is tried again, later and
//! later, while the others are told.
//!
//! Before anything is told, the guards of a state directory agree who does (`Shared::first`): several
//! that see the same are one alert. Where that cannot be found out, it is told twice rather than never.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use stockade_core::check::{redacted, visible};
use stockade_core::record::{Kind, Record};
use stockade_store::Shared;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::sink::Sink;
use super::{Alert, Only};
use crate::guard::Guard;
use crate::webhook::Name;

/// So many may wait to be told, of all sinks and of each. There are never so many of what is raised
/// once: see `watch.rs`.
const WAITING_MAX: usize = 256;

/// How long one try may take.
const TRY: Duration = Duration::from_secs(8);

/// So often it is tried.
const TRIES_MAX: u32 = 8;

/// How long is waited for the second try, and at most for one. Each wait is twice the one before.
const WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The same at the end, when somebody waits for it.
const LAST_WAIT: Duration = Duration::from_millis(200);

/// How long the disk may take.
const DISK: Duration = Duration::from_secs(2);

/// How long is waited for a file that others have locked, more each time.
const AGAIN: Duration = Duration::from_millis(20);

/// For how long it is known that a host was reached.
const YEAR_S: u64 = 365 * 86_400;

/// What is raised is left here.
#[derive(Debug)]
pub struct Post {
    inbox: Mutex<Option<mpsc::Sender<Alert>>>,
    closing: watch::Sender<Option<Instant>>,
    guard: Arc<OnceLock<Weak<Guard>>>,
    /// Hears that the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl Post {
    /// Tells `sinks`, and nobody what was told within `again` by a guard that shares `shared`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn open(sinks: Vec<Sink>, again: Duration, shared: PathBuf) -> std::io::Result<Self> {
        let (inbox, waiting) = mpsc::channel(WAITING_MAX);
        let (closing, closes) = watch::channel(None);
        let guard = Arc::new(OnceLock::new());
        let clerk = Clerk {
            shared: Arc::new(Shared::new(shared)),
            again,
            guard: Arc::clone(&guard),
            closes,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (ends, ended) = sync_channel(1);
        let work = move || {
            runtime.block_on(clerk.work(sinks, waiting));
            // A name that is still being looked up is nobody's to wait for.
            runtime.shutdown_background();
            let _unheard = ends.send(());
        };
        thread::Builder::new().name("alerts".to_owned()).spawn(work)?;
        let (inbox, ended) = (Mutex::new(Some(inbox)), Mutex::new(ended));
        Ok(Self { inbox, closing, guard, ended })
    }

    /// Has what is told be written down by this guard as well.
    pub(super) fn recorded_by(&self, guard: &Arc<Guard>) {
        let _first = self.guard.set(Arc::downgrade(guard));
    }

    /// Leaves an alert to be told, and returns at once.
    pub(super) fn take(&self, alert: Alert) {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inbox) = &*inbox {
            // More than that were raised and could not even be looked at: one more is no news.
            let _full = inbox.try_send(alert);
        }
    }

    /// Waits until everything was told, for so long. Nothing is told after that.
    pub(super) fn close(&self, patience: Duration) {
        self.closing.send_replace(Some(Instant::now() + patience));
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits for a file of others is not waited for.
        let _late = ended.recv_timeout(patience + LAST_WAIT);
    }
}

/// Where it is written down what is told, and what is not.
struct Notes {
    guard: Arc<OnceLock<Weak<Guard>>>,
    server: Arc<str>,
}

impl Notes {
    fn of(guard: &Arc<OnceLock<Weak<Guard>>>, alert: &Alert) -> Self {
        Self { guard: Arc::clone(guard), server: alert.server.as_str().into() }
    }

    /// Writes down something about alerts. A ledger that cannot be written, or does not come back, is
    /// an alert by itself, and keeps none from being told.
    async fn record(&self, record: Record) {
        let Some(guard) = self.guard.get().and_then(Weak::upgrade) else { return };
        let record = Record { kind: Kind::Alert, server: Arc::clone(&self.server), ..record };
        beside(move || drop(guard.record(&record))).await;
    }

    /// Says something about a sink, to whoever started the guard and in the ledger.
    async fn say(&self, says: &str) {
        let says = visible(&redacted(says));
        anstream::eprintln!("note: {says}");
        self.record(Record { says, ..Record::default() }).await;
    }
}

/// What comes of something that looks at the disk, if it comes in time.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    timeout(DISK, tokio::task::spawn_blocking(work)).await.ok()?.ok()
}

struct Clerk {
    shared: Arc<Shared>,
    again: Duration,
    guard: Arc<OnceLock<Weak<Guard>>>,
    closes: watch::Receiver<Option<Instant>>,
}

impl Clerk {
    async fn work(self, sinks: Vec<Sink>, mut inbox: mpsc::Receiver<Alert>) {
        let mut queues = Vec::new();
        let mut tasks = JoinSet::new();
        for sink in sinks {
            let (queue, waiting) = mpsc::channel(WAITING_MAX);
            queues.push(queue);
            tasks.spawn(tell_all(sink, waiting, Arc::clone(&self.guard), self.closes.clone()));
        }
        while let Some(alert) = inbox.recv().await {
            if !self.is_first(&alert).await {
                continue;
            }
            let alert = Arc::new(alert);
            for queue in &queues {
                // A sink that has so many before it is down, which was said.
                let _full = queue.try_send(Arc::clone(&alert));
            }
            Notes::of(&self.guard, &alert).record(record(&alert)).await;
        }
        drop(queues);
        // Without a time, nobody waits any more.
        let Some(until) = *self.closes.borrow() else { return };
        let told = async { while tasks.join_next().await.is_some() {} };
        if timeout_at(until, told).await.is_err() {
            anstream::eprintln!("note: not every alert was told before this ended");
        }
    }

    /// Whether no other guard has told the same.
    async fn is_first(&self, alert: &Alert) -> bool {
        let (who, within_s) = match alert.only {
            Only::Anew => ("alerts", self.again.as_secs()),
            Only::FirstEver => ("hosts", YEAR_S),
        };
        let who = format!("{who} {}", alert.server);
        let what = format!("{} {}", alert.kind.name(), alert.subject);
        let shared = Arc::clone(&self.shared);
        // Several guards that begin at once make the file together, and one may find it locked.
        let first = move || {
            (0..TRIES_MAX).find_map(|tried| {
                thread::sleep(AGAIN * tried);
                shared.first(&who, &what, within_s).ok()
            })
        };
        !matches!(beside(first).await, Some(Some(false)))
    }
}

fn record(alert: &Alert) -> Record {
    Record {
        session: alert.session.as_str().into(),
        principal: alert.principal.as_str().into(),
        call: alert.call.clone(),
        tool: alert.tool.clone(),
        rule: alert.rule.clone(),
        says: format!("{}: {}", alert.kind.name(), alert.says),
        ..Record::default()
    }
}

/// Tells one sink everything, one after the other.
async fn tell_all(
    sink: Sink,
    mut queue: mpsc::Receiver<Arc<Alert>>,
    guard: Arc<OnceLock<Weak<Guard>>>,
    closes: watch::Receiver<Option<Instant>>,
) {
    let mut is_down = false;
    while let Some(alert) = queue.recv().await {
        let notes = Notes::of(&guard, &alert);
        match tell(&sink, &alert, &notes, &mut is_down, closes.clone()).await {
            Ok(()) => is_down = false,
            Err(why) => {
                notes
                    .say(&format!(
                        "an alert ({}) did not reach {}: {why}",
                        alert.kind.name(),
                        sink.spoken()
                    ))
                    .await;
            }
        }
    }
}

async fn tell(
    sink: &Sink,
    alert: &Arc<Alert>,
    notes: &Notes,
    is_down: &mut bool,
    mut closes: watch::Receiver<Option<Instant>>,
) -> Result<(), String> {
    let name = Name::new().map_err(|it| it.to_string())?;
    let mut wait = WAIT;
    let mut tries = 0;
    loop {
        let told = timeout(TRY, sink.tell(alert, &name)).await;
        let late = |_| Err(format!("no answer within {} s", TRY.as_secs()));
        let Err(why) = told.unwrap_or_else(late) else { return Ok(()) };
        tries += 1;
        if tries == TRIES_MAX {
            return Err(why);
        }
        if !std::mem::replace(is_down, true) {
            notes
                .say(&format!("alerts do not reach {}, and are tried again: {why}", sink.spoken()))
                .await;
        }
        if closes.borrow().is_some() {
            sleep(LAST_WAIT).await;
            continue;
        }
        tokio::select! {
            () = sleep(wait) => (),
            _ = closes.changed() => (),
        }
        wait = (wait * 2).min(WAIT_MAX);
    }
}
