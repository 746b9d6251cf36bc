//! What the page is told while it is open: a stream of events that goes on where it broke off. The last
//! of them are kept for that, and no more than so many: a page that was away for longer, or does not read
//! as fast as a server talks, is told that it has missed some, and reads anew what it shows.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::browser::answers::{Answer, stream};

/// So many are kept, and so many bytes of them.
const KEPT_MAX: usize = 10_000;
const KEPT_BYTES_MAX: usize = 8 << 20;

/// So many bytes are handed to a page at a time.
const BATCH_BYTES: usize = 64 << 10;

/// How often a page is told that the program is still there. A page that has gone is found out by it.
const BEAT: Duration = Duration::from_secs(5);

/// How long a page may take to read what it is told.
const READ: Duration = Duration::from_secs(10);

/// The events, and who hears them.
#[derive(Debug)]
pub(super) struct Events {
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
    /// How many pages are open.
    pages: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Ring {
    kept: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    newest: u64,
}

impl Events {
    pub(super) fn new() -> Self {
        let (newest, _) = watch::channel(0);
        let (pages, _) = watch::channel(0);
        Self { ring: Mutex::default(), newest, pages }
    }

    /// Tells every page of something.
    pub(super) fn tell(&self, event: &str, data: &Value) {
        let mut ring = self.ring();
        ring.newest += 1;
        let id = ring.newest;
        let bytes = frame(id, event, data);
        ring.bytes += bytes.len();
        ring.kept.push_back((id, bytes));
        while ring.kept.len() > KEPT_MAX || ring.bytes > KEPT_BYTES_MAX {
            let Some((_, bytes)) = ring.kept.pop_front() else { break };
            ring.bytes -= bytes.len();
        }
        drop(ring);
        self.newest.send_replace(id);
    }

    /// How many pages are open, as that changes.
    pub(super) fn pages(&self) -> watch::Receiver<usize> {
        self.pages.subscribe()
    }

    /// The events after `last`, and those to come.
    pub(super) fn stream(self: &Arc<Self>, last: Option<u64>) -> Answer {
        let (to, body) = mpsc::channel(1);
        let events = Arc::clone(self);
        events.pages.send_modify(|it| *it += 1);
        tokio::spawn(async move {
            events.send(last, &to).await;
            events.pages.send_modify(|it| *it = it.saturating_sub(1));
        });
        stream("text/event-stream", body)
    }

    /// Sends what there is and what comes, until the page has gone.
    async fn send(&self, last: Option<u64>, to: &mpsc::Sender<Vec<u8>>) {
        let mut newest = self.newest.subscribe();
        let (mut seen, whole) = self.begin(last);
        let mut next = Some(hello(seen, whole));
        loop {
            if let Some(bytes) = next.take()
                && to.send_timeout(bytes, READ).await.is_err()
            {
                // Whoever does not read comes again.
                return;
            }
            newest.borrow_and_update();
            match self.after(seen) {
                Some((last, bytes)) if !bytes.is_empty() => {
                    (seen, next) = (last, Some(bytes));
                    continue;
                }
                Some(_) => {}
                None => {
                    let (at, _) = self.begin(None);
                    (seen, next) = (at, Some(hello(at, false)));
                    continue;
                }
            }
            tokio::select! {
                changed = newest.changed() => if changed.is_err() { return },
                () = sleep(BEAT) => next = Some(b": here\n\n".to_vec()),
                () = to.closed() => return,
            }
        }
    }

    /// After which event a page goes on that has seen `last`, and whether it has missed none.
    fn begin(&self, last: Option<u64>) -> (u64, bool) {
        let ring = self.ring();
        let first = ring.kept.front().map_or(ring.newest, |(id, _)| id - 1);
        match last {
            Some(it) if (first..=ring.newest).contains(&it) => (it, true),
            Some(_) | None => (ring.newest, false),
        }
    }

    /// Some of what came after an event, and the last of that; nothing, where some of it is gone.
    fn after(&self, seen: u64) -> Option<(u64, Vec<u8>)> {
        let ring = self.ring();
        let first = ring.kept.front().map_or(ring.newest + 1, |(id, _)| *id);
        let gone = usize::try_from((seen + 1).checked_sub(first)?).ok()?;
        let (mut last, mut all) = (seen, Vec::new());
        for (id, bytes) in ring.kept.iter().skip(gone) {
            if !all.is_empty() && all.len() + bytes.len() > BATCH_BYTES {
                break;
            }
            all.extend_from_slice(bytes);
            last = *id;
        }
        Some((last, all))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn frame(id: u64, event: &str, data: &Value) -> Vec<u8> {
    // JSON on one line has no line end in it.
    format!("id: {id}\nevent: {event}\ndata: {data}\n\n").into_bytes()
}

fn hello(id: u64, whole: bool) -> Vec<u8> {
    frame(id, "hello", &json!({ "whole": whole }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(events: &Events, seen: u64) -> Option<(u64, usize)> {
        let (last, bytes) = events.after(seen)?;
        Some((last, String::from_utf8(bytes).unwrap().matches("\n\n").count()))
    }

    #[test]
    fn a_page_goes_on_where_it_was_or_is_told_that_it_cannot() {
        let events = Events::new();
        assert_eq!((events.begin(None), events.begin(Some(3))), ((0, false), (0, false)));
        assert_eq!(told(&events, 0), Some((0, 0)));
        for it in 0..5 {
            events.tell("server", &json!(it));
        }
        assert_eq!(events.begin(Some(2)), (2, true));
        assert_eq!(told(&events, 2), Some((5, 3)));
        for it in 0..KEPT_MAX {
            events.tell("server", &json!(it));
        }
        assert_eq!(events.begin(Some(2)), (10_005, false), "what came after it is gone");
        assert_eq!(told(&events, 2), None);
        let (last, some) = told(&events, 5).unwrap();
        assert!(last < 10_005 && some > 1, "a part of it at a time");
        assert!(!events.begin(Some(10_006)).1, "it never was");
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes() {
        let events = Events::new();
        let long = "x".repeat(1 << 20);
        (0..20).for_each(|_| events.tell("answer", &json!(long)));
        assert!(events.ring().bytes <= KEPT_BYTES_MAX);
        assert_eq!(told(&events, 19), Some((20, 1)));
    }
}
