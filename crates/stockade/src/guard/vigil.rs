//! Whoever judges a message and writes it down is watched. Rules take a time that grows with the
//! message and no more; but a mistake in one, or a disk that does not take in the ledger, would hold
//! up everything in this process: the time limits of calls, the end of input, and signals. What has
//! not come to an end then is ended from outside, which is a no.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use stockade_core::message::{Frame, Side};
use stockade_core::policy::Policy;
use stockade_core::record::{Kind, Record};
use stockade_core::session::{Event, Parties};

/// How long it may take to look at one message, with all that is written down about it.
pub(super) const LOOK_MAX: Duration = Duration::from_secs(30);

/// How long the ledger has to take in why this ends: it may be what does not come to an end.
const TELL_MAX: Duration = Duration::from_secs(1);

/// Who looks at something, and since when.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    count: AtomicU64,
    /// Not more than there are threads, mostly: a list is looked through sooner than anything else.
    looks: Mutex<Vec<(u64, Instant, Held)>>,
}

/// What somebody looks at.
#[derive(Clone, Debug)]
pub(super) struct Held {
    parties: Parties,
    said: Option<(Side, Bytes)>,
}

impl Held {
    /// An event of a conversation.
    pub(super) fn new(parties: &Parties, event: &Event) -> Self {
        let said = if let Event::Heard { from, bytes } = event {
            Some((*from, bytes.clone()))
        } else if let Event::Said(message) | Event::Looked { message, .. } = event {
            Some((message.from(), message.bytes().clone()))
        } else if let Event::Answered { bytes, .. } = event {
            Some((Side::Server, bytes.clone()))
        } else {
            None
        };
        Self { parties: parties.clone(), said }
    }

    /// That it was not looked at to its end, for the ledger.
    pub(super) fn record(&self, server: Arc<str>, policy: &Policy, max: Duration) -> Record {
        let read = |(from, bytes): &(Side, Bytes)| {
            let frame = Frame::parse(*from, bytes.clone(), &policy.limits.json());
            if let Ok(Frame::One(message)) = frame { Some(message) } else { None }
        };
        let message = self.said.as_ref().and_then(read);
        let method = message.as_ref().and_then(|it| it.method()).unwrap_or_default();
        let is_call = method == "tools/call";
        let body = message.as_ref().and_then(|it| it.body()).filter(|_| is_call);
        let tool = body.and_then(|it| it.get("name")?.str());
        let size = self.said.as_ref().map_or(0, |(_, bytes)| bytes.len());
        Record {
            kind: Kind::Stop,
            session: Arc::clone(&self.parties.session),
            principal: Arc::clone(&self.parties.principal),
            server,
            from: self.said.as_ref().map(|(from, _)| from.name()),
            method: method.to_owned(),
            tool: tool.map(str::to_owned),
            says: format!(
                "the guard ended: a message of {size} bytes was looked at, or written down, for \
                 longer than {} s",
                max.as_secs()
            ),
            ..Record::default()
        }
    }
}

/// Has `write` write it down, and waits for that no longer than a moment: a disk may be what holds
/// up everything.
pub(super) fn tell(write: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let write = move || {
        write();
        // Nobody waits any more where this fails.
        let _ = done.send(());
    };
    if thread::Builder::new().name("vigil-tells".to_owned()).spawn(write).is_ok() {
        let _ = is_done.recv_timeout(TELL_MAX);
    }
}

/// Somebody looks at a message, for as long as this is there.
#[derive(Debug)]
pub(super) struct Look<'v> {
    vigil: &'v Vigil,
    number: u64,
}

impl Vigil {
    /// Somebody begins to look.
    pub(super) fn look(&self, held: Held) -> Look<'_> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.looks().push((number, Instant::now(), held));
        Look { vigil: self, number }
    }

    /// Calls `late`, once, with what somebody has looked at for longer than `max`. It is called on a
    /// thread of its own, which ends when nobody is watched any more.
    ///
    /// # Errors
    /// When there can be no such thread.
    pub(super) fn keep(
        self: &Arc<Self>,
        max: Duration,
        late: impl FnOnce(Held) + Send + 'static,
    ) -> std::io::Result<()> {
        let vigil = Arc::downgrade(self);
        let keep = move || {
            while let Some(vigil) = vigil.upgrade() {
                let is_late = |(_, since, _): &&(u64, Instant, Held)| since.elapsed() > max;
                let held = vigil.looks().iter().find(is_late).map(|(.., held)| held.clone());
                if let Some(held) = held {
                    return late(held);
                }
                drop(vigil);
                thread::sleep(max / 16);
            }
        };
        thread::Builder::new().name("vigil".to_owned()).spawn(keep).map(drop)
    }

    fn looks(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Instant, Held)>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        let mut looks = self.vigil.looks();
        if let Some(at) = looks.iter().position(|it| it.0 == self.number) {
            looks.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}"#;

    fn held() -> Held {
        let parties = Parties { session: "s1".into(), principal: "local".into() };
        let bytes = Bytes::from_static(CALL.as_bytes());
        Held::new(&parties, &Event::Heard { from: Side::Client, bytes })
    }

    #[test]
    fn it_is_called_once_for_what_does_not_end_and_never_for_what_does() {
        let vigil = Arc::new(Vigil::default());
        let (late, called) = mpsc::channel();
        vigil.keep(Duration::from_millis(200), move |_| late.send(()).unwrap()).unwrap();
        for _ in 0..1000 {
            drop(vigil.look(held()));
        }
        assert!(called.recv_timeout(Duration::from_millis(600)).is_err());
        let look = vigil.look(held());
        called.recv().unwrap();
        drop(look);
        assert!(called.recv().is_err(), "its thread has ended");
    }

    #[test]
    fn nobody_is_watched_after_the_end() {
        let vigil = Arc::new(Vigil::default());
        let (late, called) = mpsc::channel::<()>();
        vigil.keep(Duration::from_millis(50), move |_| late.send(()).unwrap()).unwrap();
        drop(vigil);
        assert!(called.recv().is_err());
    }

    #[test]
    fn the_ledger_is_told_which_message_it_was() {
        let vigil = Arc::new(Vigil::default());
        let (late, called) = mpsc::channel();
        vigil.keep(Duration::from_millis(50), move |held| late.send(held).unwrap()).unwrap();
        let _look = vigil.look(held());
        let record = called.recv().unwrap().record("files".into(), &Policy::default(), LOOK_MAX);
        assert_eq!(record.kind, Kind::Stop);
        assert_eq!((&*record.session, &*record.server), ("s1", "files"));
        assert_eq!((record.method.as_str(), record.tool.as_deref()), ("tools/call", Some("slow")));
        assert!(record.says.contains(&format!("of {} bytes", CALL.len())), "{}", record.says);
        assert!(record.says.contains("longer than 30 s"), "{}", record.says);
    }

    #[test]
    fn a_ledger_that_takes_nothing_holds_up_the_end_for_a_moment_only() {
        let began = Instant::now();
        let (_never, waits) = mpsc::channel::<()>();
        tell(move || {
            let _ = waits.recv();
        });
        assert!((TELL_MAX..TELL_MAX * 8).contains(&began.elapsed()));
        let (done, was_done) = mpsc::channel();
        tell(move || done.send(()).unwrap());
        assert!(was_done.try_recv().is_ok());
    }
}
