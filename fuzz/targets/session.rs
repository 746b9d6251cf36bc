//! A whole conversation, watched by the oracle of the session's tests.
//!
//! The input is a transcript as in `crates/stockade-core/tests/transcripts`, of which the lines at
//! the margin are played; so the transcripts are the seeds.

#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use stockade_core::message::{Id, Side};
use stockade_core::policy::Policy;
use stockade_core::session::{Event, Parties, Server, Session};

#[path = "../../crates/stockade-core/tests/session/oracle.rs"]
mod oracle;

use oracle::{Oracle, nothing_hidden};

fuzz_target!(|input: &[u8]| {
    let mut play = Play::new();
    for line in input.split(|it| *it == b'\n') {
        play.line(line);
    }
    play.end();
});

struct Play {
    session: Session,
    oracle: Oracle,
    policy: Arc<Policy>,
    now_ms: u64,
}

impl Play {
    fn new() -> Self {
        let parties = Parties { session: "s".into(), principal: "local".into() };
        Self {
            session: Session::new(Arc::new(Server::new("files")), parties, Arc::default()),
            oracle: Oracle::default(),
            policy: Arc::default(),
            now_ms: 0,
        }
    }

    fn line(&mut self, line: &[u8]) {
        let heard = |from, bytes| Event::Heard { from, bytes: Bytes::copy_from_slice(bytes) };
        let event = if let Some(bytes) = line.strip_prefix(b"client> ") {
            heard(Side::Client, bytes)
        } else if let Some(bytes) = line.strip_prefix(b"server> ") {
            heard(Side::Server, bytes)
        } else if let Some(event) = std::str::from_utf8(line).ok().and_then(|it| self.other(it)) {
            event
        } else {
            return;
        };
        self.on(event);
    }

    /// What happens without anybody saying anything.
    fn other(&mut self, line: &str) -> Option<Event> {
        let (what, rest) = line.split_once(": ")?;
        let says = rest.to_owned();
        let id = || match rest.parse() {
            Ok(number) => Id::Number(number),
            Err(_) => Id::Text(rest.trim_matches('"').to_owned()),
        };
        Some(match what {
            "policy" => {
                let transparent = rest.starts_with("transparent");
                let policy = if transparent { Policy::transparent() } else { Policy::default() };
                self.policy = Arc::new(policy);
                return None;
            }
            "passed" => {
                self.now_ms = self.now_ms.checked_add(rest.parse().ok()?)?;
                Event::Passed
            }
            "client garbled" => Event::Garbled { from: Side::Client, says },
            "server garbled" => Event::Garbled { from: Side::Server, says },
            "client left" => Event::Left(Side::Client, says),
            "server left" => Event::Left(Side::Server, says),
            "answered" => {
                let (id, bytes) = rest.split_once(' ')?;
                let id = id.parse().map_or_else(|_| Id::Text(id.to_owned()), Id::Number);
                Event::Answered { id, bytes: Bytes::copy_from_slice(bytes.as_bytes()) }
            }
            "unanswered" => Event::Unanswered { id: id(), why: says.clone() },
            "withdrawn" => Event::Withdrawn { id: id() },
            "abandoned" => Event::Abandoned { id: id() },
            "expired" => Event::Expired { id: id() },
            _ => return None,
        })
    }

    fn on(&mut self, event: Event) {
        let effects = self.session.on(event.clone(), &self.policy, self.now_ms);
        self.oracle.watch(&event, &effects, &self.policy);
        nothing_hidden(&effects, &self.policy);
    }

    fn end(mut self) {
        for side in [Side::Client, Side::Server] {
            self.on(Event::Left(side, String::new()));
        }
        self.oracle.end(&self.session);
    }
}
