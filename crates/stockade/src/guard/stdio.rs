//! A client on this process's own standard input and output: `stockade run`.
//!
//! What the client says and what the server says are carried by one task each, so a peer that does
//! not read holds up its own direction and nothing else.

use std::sync::Arc;
use std::time::Duration;

use stockade_core::message::Side;
use stockade_core::session::Event;
use stockade_wire::error::WireError;
use stockade_wire::frame::Frames;

use super::Conversation;
use super::link::{Link, LinkError, Outbox};

/// How long a server may take to finish what it was asked, once the client has no more to say.
const FINISH: Duration = Duration::from_secs(3);

/// Why a conversation over standard input and output ended.
#[derive(Debug)]
pub enum Ended {
    /// The client closed its end, or a signal asked for the end.
    Client,
    /// The server closed its end.
    Server,
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
    stop: impl Future<Output = ()>,
) -> Ended
where
    C: Frames,
    S: Frames,
{
    let ended = {
        let from_client = listen(&conversation, &link, &outbox, Side::Client, &mut client);
        let from_server = async {
            match server {
                Some(mut server) => {
                    listen(&conversation, &link, &outbox, Side::Server, &mut server).await
                }
                None => std::future::pending().await,
            }
        };
        let clock = tick(&conversation, &link, &outbox);
        tokio::pin!(from_server, stop);
        let first = tokio::select! {
            end = clock => end.map(|()| Ended::Client),
            end = from_client => end.map(|()| Ended::Client),
            end = &mut from_server => end.map(|()| Ended::Server),
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
                () = finish => (),
                () = tokio::time::sleep(FINISH) => (),
                () = &mut stop => (),
            }
        }
        first.unwrap_or_else(Ended::Broken)
    };
    let gone = match ended {
        Ended::Client | Ended::Broken(_) => Side::Client,
        Ended::Server => Side::Server,
    };
    let event = Event::Left(gone, format!("the {} closed its end", gone.name()));
    let last = link.take(&conversation, &outbox, event).await;
    match (ended, last) {
        (Ended::Server, Err(error @ LinkError::Unrecorded(_))) => Ended::Broken(error),
        (ended, _) => ended,
    }
}

/// Takes in what one side says, until it says no more.
async fn listen(
    conversation: &Arc<Conversation>,
    link: &Arc<Link>,
    outbox: &Outbox,
    from: Side,
    frames: &mut impl Frames,
) -> Result<(), LinkError> {
    loop {
        let event = match frames.next().await {
            Ok(Some(bytes)) => Event::Heard { from, bytes },
            Err(error @ WireError::FrameTooLong { .. }) => {
                Event::Garbled { from, says: error.to_string() }
            }
            Ok(None) | Err(_) => return Ok(()),
        };
        link.take(conversation, outbox, event).await?;
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
