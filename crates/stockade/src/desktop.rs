//! The desktop of whoever sits at this machine, by the bus of this user: a notification, as
//! `org.freedesktop.Notifications` has it. It can be looked at and nothing else: it has no buttons, and
//! opens nothing.
//!
//! <https://specifications.freedesktop.org/notification-spec/latest/>

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use stockade_sandbox::bus;
use tokio::sync::oneshot;
use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::{Connection, Variant};

/// How long it may take to be shown.
const SHOW: Duration = Duration::from_secs(4);

/// Longer texts are cut by whoever shows them, and not where they should be.
const BODY_CHARS: usize = 400;

const SERVICE: &str = "org.freedesktop.Notifications";
const OBJECT: &str = "/org/freedesktop/Notifications";

/// What is shown, as text. What a desktop would read as markup is none here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The first line. Nobody else's words.
    pub summary: String,
    /// What else.
    pub body: String,
    /// Whether it stays until somebody has seen it.
    pub is_urgent: bool,
}

/// Why nothing is shown.
#[derive(Debug, thiserror::Error)]
pub enum NoDesktop {
    /// There is none.
    #[error("there is no bus of this user")]
    NoBus,
    /// It does not show it.
    #[error("nobody shows notifications: {0}")]
    Refused(String),
    /// It does not say whether it does.
    #[error("there is no answer within {} s", SHOW.as_secs())]
    Silent,
}

/// The desktop. It is looked for each time, since it comes and goes with whoever sits there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Desktop;

/// Something that is shown.
#[derive(Debug)]
pub struct Showing {
    bus: Connection,
    cut: UnixStream,
    id: u32,
}

impl Desktop {
    /// Shows something, until somebody closes it or the desktop does.
    ///
    /// # Errors
    /// When nobody shows it.
    pub async fn show(&self, note: Note) -> Result<Showing, NoDesktop> {
        let mut failure = NoDesktop::NoBus;
        for place in bus::places() {
            match show(&place, note.clone()).await {
                // Another bus would be as slow, and nobody waits for two.
                it @ (Ok(_) | Err(NoDesktop::Silent)) => return it,
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

impl Showing {
    /// Takes it away again. One that somebody has closed is gone already.
    pub async fn close(self) {
        let Self { bus, cut, id } = self;
        let _gone = within(&cut, async move {
            let (to, of) = (Some(SERVICE), Some(SERVICE));
            bus.call_method(to, OBJECT, of, "CloseNotification", &id).await.map(drop)
        })
        .await;
    }
}

async fn show(place: &Path, note: Note) -> Result<Showing, NoDesktop> {
    let refused = |it: io::Error| NoDesktop::Refused(it.to_string());
    let stream = bus::connected(place).map_err(refused)?;
    let cut = stream.try_clone().map_err(refused)?;
    let (bus, id) = within(&cut, async move {
        let bus = Builder::unix_stream(stream).build().await?;
        let urgency: u8 = if note.is_urgent { 2 } else { 1 };
        let hints = HashMap::from([("urgency", Variant::from(urgency))]);
        let (actions, body) = (Vec::<&str>::new(), markup(&note.body));
        let said = ("Stockade", 0_u32, "", &*note.summary, &*body, actions, hints, -1_i32);
        let (to, of) = (Some(SERVICE), Some(SERVICE));
        let shown = bus.call_method(to, OBJECT, of, "Notify", &said).await?;
        let id: u32 = shown.body().deserialize()?;
        Ok((bus, id))
    })
    .await?;
    Ok(Showing { bus, cut, id })
}

/// In a thread of its own, which `cut` ends: nobody waits for a bus that does not answer.
async fn within<T: Send + 'static>(
    cut: &UnixStream,
    said: impl Future<Output = zbus::Result<T>> + Send + 'static,
) -> Result<T, NoDesktop> {
    let (tell, told) = oneshot::channel();
    let talk = move || drop(tell.send(zbus::block_on(said)));
    let started = thread::Builder::new().name("desktop".to_owned()).spawn(talk);
    started.map_err(|it| NoDesktop::Refused(it.to_string()))?;
    match timeout(SHOW, told).await {
        Ok(Ok(it)) => it.map_err(|it| NoDesktop::Refused(it.to_string())),
        Ok(Err(_)) => Err(NoDesktop::Refused("it cannot be understood".to_owned())),
        Err(_) => {
            // It fails when the other side has gone, and then the thread ends as well.
            let _ended = cut.shutdown(Shutdown::Both);
            Err(NoDesktop::Silent)
        }
    }
}

/// A text, in the markup that a body is: links and images are words.
fn markup(text: &str) -> String {
    let mut short: String = text.chars().take(BODY_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_says_is_no_markup() {
        let text = markup("<a href='http://x'>\"&amp;</a>");
        assert_eq!(text, "&lt;a href=&apos;http://x&apos;&gt;&quot;&amp;amp;&lt;/a&gt;");
        assert_eq!(markup(&"<".repeat(401)), format!("{}…", "&lt;".repeat(400)));
    }
}
