//! A client on this process's own standard input and output: `stockade run`.
//!
//! What the client says and what the server says are carried by one task each, so a peer that does
//! not read holds up its own direction and nothing else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use stockade_core::message::{Frame, Id, Kind, Side};
use stockade_core::session::{CHANGED, Event};
use stockade_wire::error::WireError;
use stockade_wire::frame::Frames;
use tokio::time::{Instant, sleep_until};

use super::Conversation;
use super::link::{Link, LinkError, Outbox};
use super::roots::Roots;
use crate::approvals::desk::Answers;

/// How long a server may take to finish what it was asked, once the client has no more to say.
const FINISH: Duration = Duration::from_secs(3);

/// Why a conversation over standard input and output ended.
#[derive(Debug)]
pub enum Ended {
    /// The client closed its end, or a signal asked for the end.
    Client,
    /// The server closed its end.
    Server,
    /// The server let a call take too long, and is to be ended for it.
    Overdue,
    /// It could not go on.
    Broken(LinkError),
}

/// How often it is looked whether something takes too long.
const TICK: Duration = Duration::from_millis(500);

/// Carries a conversation until one of the two ends it. `server` is what the server's process
/// writes; a remote server has none.
pub async fn carry<C, S>(
    conversation: Arc<Conversation>,
    link: Arc<Link>,
    outbox: Outbox,
    mut client: C,
    server: Option<S>,
    roots: &mut Roots<'_>,
    stop: impl Future<Output = ()>,
) -> Ended
where
    C: Frames,
    S: Frames,
{
    let has_process = server.is_some();
    let ended = {
        let from_client = listen_or_hold(&conversation, &link, &outbox, &mut client);
        let from_server = async {
            match server {
                Some(mut server) => listen(&conversation, &link, &outbox, &mut server).await,
                None => std::future::pending().await,
            }
        };
        let clock = tick(&conversation, &link, &outbox);
        let overdue = async {
            match has_process {
                true => conversation.overdue().await,
                false => std::future::pending().await,
            }
        };
        let follow = roots.follow(&conversation, &link, &outbox);
        let decide = decide(&conversation, &link, &outbox);
        // It may be the first thing that comes, and is waited for again below.
        let stop = stop.fuse();
        tokio::pin!(from_server, decide, stop);
        let first = tokio::select! {
            end = clock => end.map(|()| Ended::Client),
            end = follow => end.map(|()| Ended::Client),
            end = &mut decide => end.map(|()| Ended::Client),
            end = from_client => end.map(|()| Ended::Client),
            end = &mut from_server => end.map(|()| Ended::Server),
            () = overdue => Ok(Ended::Overdue),
            () = &mut stop => Ok(Ended::Client),
        };
        if let Ok(Ended::Client) = first {
            // What was asked before the end of input is still answered: `echo … | stockade run`.
            let finish = async {
                // A server that does not read takes no end of input either.
                link.finish().await;
                answered(&conversation).await;
            };
            tokio::select! {
                _ = &mut from_server => (),
                _ = &mut decide => (),
                () = finish => (),
                () = tokio::time::sleep(FINISH) => (),
                () = &mut stop => (),
            }
        }
        first.unwrap_or_else(Ended::Broken)
    };
    let gone = match ended {
        Ended::Server
        | Ended::Overdue
        | Ended::Broken(LinkError::Anew(_) | LinkError::NotStarted(_)) => Side::Server,
        Ended::Client | Ended::Broken(_) => Side::Client,
    };
    let event = Event::Left(gone, format!("the {} closed its end", gone.name()));
    let last = link.take(&conversation, &outbox, event).await;
    match (ended, last) {
        (Ended::Server | Ended::Overdue, Err(error @ LinkError::Unrecorded(_))) => {
            Ended::Broken(error)
        }
        (ended, _) => ended,
    }
}

/// Takes in what the server says, until it says no more.
async fn listen(
    conversation: &Arc<Conversation>,
    link: &Arc<Link>,
    outbox: &Outbox,
    frames: &mut impl Frames,
) -> Result<(), LinkError> {
    while let Some(event) = heard(Side::Server, frames.next().await) {
        link.take(conversation, outbox, event).await?;
    }
    Ok(())
}

/// So many messages of a client wait while its roots are found out, and so much of them in bytes.
/// Nothing more is read then.
const HELD_MAX: usize = 1024;
const HELD_BYTES_MAX: usize = 16 << 20;

/// How long what a client has asked waits for its roots once the client says nothing more. It is not
/// answered after that.
const SETTLE: Duration = Duration::from_secs(10);

/// The same of the client. While its roots are found out, what it asks waits, or it would be held
/// against roots that are about to change; what it answers does not, since that is waited for.
async fn listen_or_hold(
    conversation: &Arc<Conversation>,
    link: &Arc<Link>,
    outbox: &Outbox,
    frames: &mut impl Frames,
) -> Result<(), LinkError> {
    let mut board = conversation.board().subscribe();
    let mut held: VecDeque<Bytes> = VecDeque::new();
    let mut held_bytes = 0;
    let mut ended: Option<Instant> = None;
    loop {
        let busy = board.borrow_and_update().busy;
        if !busy && let Some(bytes) = held.pop_front() {
            held_bytes -= bytes.len();
            let event = Event::Heard { from: Side::Client, bytes };
            link.take(conversation, outbox, event).await?;
            continue;
        }
        if ended.is_some() && held.is_empty() {
            return Ok(());
        }
        let reads = ended.is_none() && held.len() < HELD_MAX && held_bytes < HELD_BYTES_MAX;
        tokio::select! {
            frame = frames.next(), if reads => match heard(Side::Client, frame) {
                None => {
                    ended = Some(Instant::now());
                    link.take(conversation, outbox, Event::Silent).await?;
                }
                Some(Event::Heard { bytes, .. })
                    if (board.borrow().busy || !held.is_empty()) && waits(conversation, &bytes) =>
                {
                    held_bytes += bytes.len();
                    held.push_back(bytes);
                }
                Some(event) => link.take(conversation, outbox, event).await?,
            },
            changed = board.changed(), if busy => if changed.is_err() {
                return Ok(());
            },
            () = settled(ended) => return Ok(()),
        }
    }
}

/// Returns when what was to be known after the end of input has taken too long.
async fn settled(ended: Option<Instant>) {
    match ended {
        Some(ended) => sleep_until(ended + SETTLE).await,
        None => std::future::pending().await,
    }
}

/// Whether a message of the client can wait until its roots are known.
fn waits(conversation: &Conversation, bytes: &Bytes) -> bool {
    let limits = conversation.guard().policy().limits.json();
    let message = match Frame::parse(Side::Client, bytes.clone(), &limits) {
        Ok(Frame::One(message)) => message,
        Ok(Frame::Batch(_)) => return true,
        // It is told at once.
        Err(_) => return false,
    };
    match message.kind() {
        Kind::Request => true,
        // However many there are, the client is asked once more.
        Kind::Notification if message.method() == Some(CHANGED) => false,
        Kind::Notification => {
            let cancelled = message.get("requestId").and_then(Id::read);
            !cancelled.is_some_and(|it| conversation.look(|session| session.waits_for(&it)))
        }
        Kind::Result | Kind::Error => false,
    }
}

/// Takes in what people say, for as long as the conversation goes on.
async fn decide(
    conversation: &Arc<Conversation>,
    link: &Arc<Link>,
    outbox: &Outbox,
) -> Result<(), LinkError> {
    let mut answers = conversation.answers();
    while let Some(event) = next(&mut answers).await {
        link.take(conversation, outbox, event).await?;
    }
    std::future::pending().await
}

async fn next(answers: &mut Option<Answers>) -> Option<Event> {
    answers.as_mut()?.recv().await
}

/// What a frame comes to; nothing, when no more will come.
fn heard(from: Side, frame: Result<Option<Bytes>, WireError>) -> Option<Event> {
    match frame {
        Ok(Some(bytes)) => Some(Event::Heard { from, bytes }),
        Err(error @ WireError::FrameTooLong { .. }) => {
            Some(Event::Garbled { from, says: error.to_string() })
        }
        Ok(None) | Err(_) => None,
    }
}

/// Ends what takes too long, for as long as the conversation goes on.
async fn tick(
    conversation: &Arc<Conversation>,
    link: &Arc<Link>,
    outbox: &Outbox,
) -> Result<(), LinkError> {
    loop {
        tokio::time::sleep(TICK).await;
        // When it fails, whoever waits is told by what follows.
        let tended = conversation.guard().tend();
        link.take(conversation, outbox, Event::Passed).await?;
        tended?;
    }
}

/// Returns when nothing waits for an answer.
async fn answered(conversation: &Conversation) {
    while conversation.look(|it| it.waiting()) > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
