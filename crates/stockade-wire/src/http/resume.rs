//! A stream that outlives its connection: up to 2025-11-25 a client may take up again, after the
//! last event that it has, a stream that broke or that the server has closed for now.

use std::sync::Arc;
use std::time::Duration;

use stockade_core::revision::Revision;

use crate::error::WireError;
use crate::events::{Event, Events};
use crate::http::client::HttpSession;
use crate::http::headers::SendHeaders;

/// How a stream is taken up again.
#[derive(Clone, Copy, Debug)]
pub struct Resumption {
    /// How often without anything new in between. Who waits for an answer has a limit on the
    /// whole besides.
    pub tries_max: u32,
    /// How long to wait first, where the server does not say.
    pub wait: Duration,
    /// How long to wait at least, whatever the server says: it must not make a client spin.
    pub wait_min: Duration,
    /// How long to wait at most, whatever the server says.
    pub wait_max: Duration,
}

impl Default for Resumption {
    fn default() -> Self {
        Self {
            tries_max: 5,
            wait: Duration::from_secs(1),
            wait_min: Duration::from_millis(50),
            wait_max: Duration::from_secs(60),
        }
    }
}

/// A stream that is taken up again where it was left.
#[derive(Debug)]
pub struct Resumed {
    session: Arc<HttpSession>,
    headers: SendHeaders,
    how: Resumption,
    events: Option<Events>,
    last_event_id: Option<String>,
    retry: Option<Duration>,
    /// Whether to open it anew where there is no event to go on from.
    anew: bool,
    tries: u32,
}

impl Resumed {
    /// The stream that answers a request. Who has seen the answer in it reads no further: a server
    /// may end a stream before, and be asked again, so the end of the stream is not the end.
    pub fn answer(
        session: Arc<HttpSession>,
        events: Events,
        headers: SendHeaders,
        how: Resumption,
    ) -> Self {
        Self {
            session,
            headers,
            how,
            events: Some(events),
            last_event_id: None,
            retry: None,
            anew: false,
            tries: 0,
        }
    }

    /// The stream of what the server says unasked, from [`HttpSession::listen`]. It is opened anew
    /// where it cannot be taken up.
    pub fn listening(
        session: Arc<HttpSession>,
        events: Events,
        headers: SendHeaders,
        how: Resumption,
    ) -> Self {
        Self { anew: true, ..Self::answer(session, events, headers, how) }
    }

    /// The next message. `None` when the stream has ended and cannot be taken up.
    ///
    /// May be given up and called again: nothing is lost.
    ///
    /// # Errors
    /// When the connection broke and the stream cannot be taken up, or too many tries failed.
    pub async fn next(&mut self) -> Result<Option<Event>, WireError> {
        loop {
            let mut end = Ok(None);
            if let Some(events) = &mut self.events {
                let next = events.next().await;
                if let Ok(Some(it)) = next {
                    self.tries = 0;
                    return Ok(Some(it));
                }
                // An id alone is progress: so says a server that means to be asked again.
                if let Some(id) = events.last_event_id()
                    && self.last_event_id.as_deref() != Some(id)
                {
                    self.last_event_id = Some(id.to_owned());
                    self.tries = 0;
                }
                self.retry = events.retry().or(self.retry);
                self.events = None;
                match next {
                    Err(it) if !is_passing(&it) => {
                        self.tries = u32::MAX;
                        return Err(it);
                    }
                    it => end = it,
                }
            }
            let resumes = self.session.revision().is_none_or(Revision::resumes);
            let known = self.anew || self.last_event_id.is_some();
            if !resumes || !known || self.tries >= self.how.tries_max {
                return end;
            }
            self.take_up().await?;
        }
    }

    /// One try. One that fails, but may succeed later, leaves no stream.
    async fn take_up(&mut self) -> Result<(), WireError> {
        let wait = self.retry.unwrap_or(self.how.wait.saturating_mul(1 << self.tries.min(16)));
        tokio::time::sleep(wait.min(self.how.wait_max).max(self.how.wait_min)).await;
        self.tries += 1;
        match self.session.listen(self.last_event_id.as_deref(), &self.headers).await {
            Ok(Some(it)) => self.events = Some(it),
            // It had a stream, and has none now.
            Ok(None) => {
                self.tries = u32::MAX;
                return Err(WireError::Closed);
            }
            Err(it) if is_passing(&it) && self.tries < self.how.tries_max => {}
            Err(it) => {
                self.tries = u32::MAX;
                return Err(it);
            }
        }
        Ok(())
    }
}

/// Whether a later try may succeed.
fn is_passing(error: &WireError) -> bool {
    match error {
        WireError::Closed | WireError::Io(_) | WireError::Timeout { .. } => true,
        WireError::Status { status, .. } => matches!(status, 429 | 500..),
        WireError::FrameTooLong { .. }
        | WireError::SessionLost
        | WireError::NotMcp(_)
        | WireError::Url(_)
        | WireError::Header { .. }
        | WireError::Tls(_) => false,
    }
}
