//! Where an alert is told: each in its own form, one try at a time.

mod syslog;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use stockade_core::check::visible;

pub use self::syslog::SyslogAddress;
pub(crate) use self::syslog::{AUTHPRIV, DATA_ID, WRONG_TYPE, escaped, host};
use super::{Alert, Wanted};
use crate::desktop::{Desktop, Note};
use crate::webhook::{Hook, HookError, Name};

/// How long a webhook may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What it answers is not read; more than this is no answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Somebody who is told.
#[derive(Debug)]
pub enum Sink {
    /// An address of the user's own.
    Webhook(Box<Hook>),
    /// The system's log, or one elsewhere.
    Syslog(SyslogAddress),
    /// Whoever sits at this machine.
    Desktop(Desktop),
}

impl Sink {
    /// All that a policy names.
    ///
    /// # Errors
    /// When the secret of a webhook is not there.
    pub fn all(wanted: &Wanted) -> Result<Vec<Self>, HookError> {
        let hook = wanted.webhook.as_ref().map(|it| Hook::new(it, ANSWER)).transpose()?;
        let webhook = hook.map(|it| Self::Webhook(Box::new(it)));
        let syslog = wanted.syslog.clone().map(Self::Syslog);
        let desktop = wanted.desktop.then(|| Self::Desktop(Desktop));
        Ok(webhook.into_iter().chain(syslog).chain(desktop).collect())
    }

    /// For a person.
    pub fn spoken(&self) -> String {
        match self {
            Self::Webhook(hook) => format!("the webhook at {}", visible(hook.authority())),
            Self::Syslog(address) => format!("syslog at `{address}`"),
            Self::Desktop(_) => "the desktop".to_owned(),
        }
    }

    /// Tells it. Under one name it is one thing, however often it is tried.
    ///
    /// # Errors
    /// Why it was not told.
    pub async fn tell(&self, alert: &Arc<Alert>, name: &Name) -> Result<(), String> {
        match self {
            Self::Webhook(hook) => {
                let body = json!({
                    "type": format!("stockade.alert.{}", alert.kind.name()),
                    "timestamp": alert.at,
                    "data": &**alert,
                });
                let body = Bytes::from(body.to_string());
                let status = hook.tell(name, body, ANSWER_BYTES_MAX).await;
                let status = status.map_err(|it| it.in_full())?;
                if status.is_success() { Ok(()) } else { Err(format!("HTTP status {status}")) }
            }
            Self::Syslog(address) => address.send(alert).await.map_err(|it| it.to_string()),
            Self::Desktop(desktop) => {
                let note = Note {
                    summary: format!("Stockade: {}", alert.kind.title()),
                    body: format!("{}: {}", alert.server, alert.says),
                    is_urgent: alert.kind.is_urgent(),
                };
                desktop.show(note).await.map(drop).map_err(|it| it.to_string())
            }
        }
    }
}
