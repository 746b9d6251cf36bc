//! A desktop that cannot be had here: a real bus of this user, and on it what takes the name of the
//! service that shows notifications. It keeps what it is told to show.

use std::collections::HashMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use futures_util::StreamExt;
use zbus::connection::Builder;
use zbus::{Connection, Message, MessageStream, OwnedVariant};

use super::wait_for;

/// What it was told to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) summary: String,
    pub(crate) body: String,
    pub(crate) actions: Vec<String>,
    pub(crate) urgency: u8,
}

/// A bus with a desktop on it. Dropped, both are gone.
#[derive(Debug)]
pub(crate) struct Desktop {
    daemon: Child,
    socket: PathBuf,
    shown: Arc<Mutex<Vec<Shown>>>,
    closed: Arc<Mutex<Vec<u32>>>,
}

impl Desktop {
    /// The bus is `bus` in a directory.
    pub(crate) fn new(directory: &Path) -> Self {
        let socket = directory.join("bus");
        let configuration = directory.join("bus.conf");
        let text = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
            <policy context=\"default\"><allow own=\"*\"/>
            <allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy></busconfig>",
            socket.display()
        );
        fs::write(&configuration, text).unwrap();
        let mut daemon = Command::new("dbus-daemon");
        daemon.arg(format!("--config-file={}", configuration.display())).arg("--nofork");
        let daemon = daemon.stdin(Stdio::null()).spawn().unwrap();
        let stream = wait_for("the bus", || UnixStream::connect(&socket).ok());
        let (shown, closed) = (Arc::default(), Arc::default());
        let (tell, told) = mpsc::channel();
        let (shows, closes) = (Arc::clone(&shown), Arc::clone(&closed));
        thread::spawn(move || {
            let serve = async {
                let bus = Builder::unix_stream(stream).build().await?;
                let heard = MessageStream::from(&bus);
                bus.request_name("org.freedesktop.Notifications").await?;
                tell.send(()).unwrap();
                serve(&bus, heard, &shows, &closes).await
            };
            // It ends with the bus.
            let _ended = zbus::block_on(serve);
        });
        told.recv().unwrap();
        Self { daemon, socket, shown, closed }
    }

    /// What a program finds it by.
    pub(crate) fn variable(&self) -> (&'static str, String) {
        ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", self.socket.display()))
    }

    pub(crate) fn shown(&self) -> Vec<Shown> {
        self.shown.lock().unwrap().clone()
    }

    /// The numbers of what was taken away again; the first that was shown is 1.
    pub(crate) fn closed(&self) -> Vec<u32> {
        self.closed.lock().unwrap().clone()
    }

    /// Whether there is a program for a bus here.
    pub(crate) fn can_be() -> bool {
        let daemon = Command::new("dbus-daemon").arg("--version").stdout(Stdio::null()).status();
        daemon.is_ok_and(|it| it.success())
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

async fn serve(
    bus: &Connection,
    mut heard: MessageStream,
    shown: &Mutex<Vec<Shown>>,
    closed: &Mutex<Vec<u32>>,
) -> zbus::Result<()> {
    while let Some(message) = heard.next().await {
        let message = message?;
        let header = message.header();
        match header.member().map(|it| it.to_string()).as_deref() {
            Some("Notify") => {
                let number = {
                    let mut shown = shown.lock().unwrap();
                    shown.push(note(&message)?);
                    u32::try_from(shown.len()).unwrap()
                };
                bus.reply(&header, &number).await?;
            }
            Some("CloseNotification") => {
                closed.lock().unwrap().push(message.body().deserialize()?);
                bus.reply(&header, &()).await?;
            }
            Some(_) | None => (),
        }
    }
    Ok(())
}

fn note(message: &Message) -> zbus::Result<Shown> {
    type Hints = HashMap<String, OwnedVariant>;
    type Said = (String, u32, String, String, String, Vec<String>, Hints, i32);
    let body = message.body();
    let (_, replaces, icon, summary, body, actions, hints, _): Said = body.deserialize()?;
    assert_eq!((replaces, icon.as_str()), (0, ""));
    let urgency = u8::try_from(hints["urgency"].clone()).unwrap();
    Ok(Shown { summary, body, actions, urgency })
}
