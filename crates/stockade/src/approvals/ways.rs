//! By what other ways people hear of a call that waits: an address that is asked ([`hook`]), and a note
//! on the desktop that answers nothing. What comes of either is one answer among others, and the first
//! counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use stockade_core::check::{clipped, escaped, visible};
use stockade_core::record::{Kind, Record};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

use super::{Given, Shown, hook};
use crate::config;
use crate::desktop::{Desktop, Note};
use crate::guard::Guard;
use crate::webhook::{Hook, HookError};

/// What a guard has.
#[derive(Debug)]
pub struct Ways {
    hook: Option<Arc<Hook>>,
    desktop: Option<Desktop>,
    /// Whoever started the guard was told that one of them does not work.
    told: Arc<AtomicBool>,
}

/// A question that is asked elsewhere. Dropped, it is asked there no more.
#[derive(Debug)]
pub struct Elsewhere {
    asked: Option<AbortHandle>,
    /// Takes the note away.
    _shown: Option<oneshot::Sender<()>>,
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Some(asked) = &self.asked {
            asked.abort();
        }
    }
}

/// What is asked at addresses, and what comes of it.
pub type Asking = JoinSet<Option<Given>>;

impl Ways {
    /// Those that a policy names; nothing, where it names none.
    ///
    /// # Errors
    /// When the secret of a webhook is not there.
    pub fn new(ways: &config::Ways) -> Result<Option<Self>, HookError> {
        let config::Ways { webhook, desktop } = ways;
        let hook = webhook.as_ref().map(|it| Hook::new(it, hook::ANSWER)).transpose()?;
        let desktop = desktop.then_some(Desktop);
        let is_any = hook.is_some() || desktop.is_some();
        let told = Arc::default();
        Ok(is_any.then(|| Self { hook: hook.map(Arc::new), desktop, told }))
    }

    /// Asks there, and shows it. `guard` writes down what was no answer.
    pub fn ask(&self, shown: &Shown, guard: &Arc<Guard>, asking: &mut Asking) -> Elsewhere {
        let asked = self.hook.as_ref().map(|hook| {
            let (hook, shown, guard) = (Arc::clone(hook), shown.clone(), Arc::clone(guard));
            let told = Arc::clone(&self.told);
            asking.spawn(async move {
                let down = |why: &str| {
                    let at = hook.authority();
                    tell(
                        &told,
                        &format!("the webhook at {at} is not asked, and tried again: {why}"),
                    );
                };
                hook::ask(&hook, &shown, &down).await.unwrap_or_else(|why| {
                    refused(&guard, &shown, &hook, &why, &told);
                    None
                })
            })
        });
        let (show, settled) = oneshot::channel();
        let shows = self.desktop.map(|desktop| {
            let (note, told) = (note(shown), Arc::clone(&self.told));
            tokio::spawn(async move {
                match desktop.show(note).await {
                    Ok(showing) => {
                        // It is told by being dropped.
                        let _settled = settled.await;
                        showing.close().await;
                    }
                    Err(why) => {
                        tell(&told, &format!("the desktop does not show that a call waits: {why}"))
                    }
                }
            });
            show
        });
        Elsewhere { asked, _shown: shows }
    }
}

fn refused(guard: &Guard, shown: &Shown, hook: &Hook, why: &str, told: &AtomicBool) {
    let from = visible(hook.authority());
    let says = format!("an answer of the webhook at {from} to {} was not taken: {why}", shown.id);
    tell(told, &says);
    let question = &shown.asked.question;
    // It is not taken in any case.
    let _recorded = guard.record(&Record {
        kind: Kind::Refusal,
        principal: question.principal.as_str().into(),
        server: Arc::clone(&guard.server.name),
        call: shown.id.clone(),
        tool: question.tool.clone(),
        channel: Some("webhook".to_owned()),
        rule: Some("approvals.webhook".to_owned()),
        approved_digest: Some(question.digest.clone()),
        says,
        ..Record::default()
    });
}

fn tell(told: &AtomicBool, says: &str) {
    if !told.swap(true, Ordering::Relaxed) {
        anstream::eprintln!("note: {}", visible(says));
    }
}

/// So long is a name in a note, in characters.
const NAME_CHARS: usize = 80;

/// That something waits, and what: by names alone. A note is seen by whoever sees the screen, and a part
/// of a question is not what anybody should judge by.
fn note(shown: &Shown) -> Note {
    let question = &shown.asked.question;
    let named = |text: &str| escaped(&Value::from(clipped(text, NAME_CHARS)).to_string());
    let what = match &question.tool {
        Some(tool) => format!("The tool {}", named(tool)),
        None => named(&question.method),
    };
    Note {
        summary: "Stockade: a call waits for you".to_owned(),
        body: format!(
            "{what} of {}. It is not called before somebody has said yes: `stockade approvals watch` \
             shows all of it. Reference {}.",
            named(&question.server),
            visible(&shown.id)
        ),
        is_urgent: false,
    }
}
