//! What a lock means for a server that is about to be guarded: it is held to what was approved, or it
//! is not started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use stockade_core::check::redacted;
use stockade_core::lock::{Entry, Lock, Offers, Pins};
use stockade_core::session::{Blocked, Server};

use crate::config::Pinning;
use crate::failure::{Exit, Failure};
use crate::lock::launch::Identity;
use crate::lock::shown::Shown;
use crate::lock::{Error, Place};

/// A server and the lock that it may be in.
#[derive(Clone, Debug)]
pub(super) struct Locked {
    pub(super) place: Place,
    pub(super) identity: Identity,
    pub(super) pinning: Pinning,
    /// What was typed to say which lock and which server, for advice.
    pub(super) typed: String,
    pub(super) state: PathBuf,
}

/// What a lock says about a server.
#[derive(Debug)]
pub(super) enum Standing {
    /// There is no lock, and none is wanted.
    Free,
    /// This was approved.
    Held(Box<Pins>),
    /// It was never approved.
    Unknown(Blocked),
    /// It is not started as it was approved.
    Other(Blocked),
}

impl Locked {
    /// What the lock says now.
    pub(super) fn standing(&self) -> Result<Standing, Failure> {
        let lock = match self.place.read() {
            // It is about to be made.
            Err(Error::Missing { .. }) if self.pinning == Pinning::FirstUse => None,
            read => read.map_err(|it| failed(&it))?,
        };
        Ok(match lock {
            None if self.pinning == Pinning::Found => Standing::Free,
            lock => self.judged(&lock.unwrap_or_default()),
        })
    }

    fn judged(&self, lock: &Lock) -> Standing {
        let name = &self.identity.name;
        let Some(pins) = Pins::of(lock, name, &self.release()) else {
            let at = self.place.path().display();
            return Standing::Unknown(Blocked {
                why: format!("`{name}` was never approved: it is not in the lock `{at}`"),
                release: format!("To approve it: `{}`", self.typed),
            });
        };
        match self.identity.differs(pins.entry()) {
            None => Standing::Held(Box::new(pins)),
            Some(why) => Standing::Other(Blocked {
                why: redacted(&why).into_owned(),
                release: format!("If that is as it should be, approve it: `{}`", self.typed),
            }),
        }
    }

    /// What a person can do about something that is not as it was approved.
    fn release(&self) -> String {
        let lock =
            |action| self.typed.replacen("stockade lock", &format!("stockade lock {action}"), 1);
        format!("To see it: `{}`; to approve it: `{}`", lock("diff"), lock("approve"))
    }

    /// Where it is kept what the server shows in place of what was approved.
    pub(super) fn shown(&self) -> Shown {
        Shown::of(&self.state, self.place.path(), &self.identity.name)
    }

    /// Approves what the server offers, in place of what was approved of it before.
    pub(super) fn approve(&self, offers: &Offers, alike: &[String]) -> Result<(), Failure> {
        self.place.change(|lock| {
            let mut entry = Entry {
                code: self.identity.code.clone(),
                launch: self.identity.launch.clone(),
                offers: offers.clone(),
                ..Entry::default()
            };
            if let Some(before) = lock.servers.get(&self.identity.name) {
                entry.alike.clone_from(&before.alike);
            }
            entry.alike.extend(alike.iter().cloned());
            lock.servers.insert(self.identity.name.clone(), entry);
            let alike = lock.alike(&self.identity.name);
            if alike.is_empty() {
                return Ok(());
            }
            let told = alike.iter().map(|it| {
                let (name, other) = (shown(&it.name), shown(&it.other));
                format!("  `{name}` {} `{other}` of `{}`", it.how.name(), shown(&it.server))
            });
            let names = alike.iter().map(|it| format!(" --alike {}", quoted(&it.name)));
            let says = format!(
                "tools of `{}` read like others that a model may have beside them:\n{}",
                shown(&self.identity.name),
                told.collect::<Vec<_>>().join("\n")
            );
            Err(Refused::Failure(Box::new(Failure::new(Exit::Denied, says).help(format!(
                "nothing was written; to approve them by name, add{}",
                names.collect::<String>()
            )))))
        })?;
        // What was shown before is what was approved now, or was not wanted.
        self.shown().forget().map_err(|it| {
            Failure::new(Exit::Usage, "cannot forget what the server has shown").from(it)
        })
    }
}

/// Why nothing was approved.
enum Refused {
    Place(Error),
    Failure(Box<Failure>),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Place(error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Place(error) => failed(&error),
            Refused::Failure(failure) => *failure,
        }
    }
}

/// Follows the lock while a server runs: what is approved meanwhile holds from then on.
#[derive(Debug)]
pub(super) struct Follows {
    locked: Locked,
    server: Arc<Server>,
    last: Mutex<Option<Lock>>,
}

impl Follows {
    pub(super) fn new(locked: Locked, server: Arc<Server>) -> Self {
        let last = Mutex::new(locked.place.read().ok().flatten());
        Self { locked, server, last }
    }

    /// Reads the lock again. What came of it, where it is another.
    pub(super) fn look(&self) -> Option<String> {
        // One that is broken or gone changes nothing: what was approved before still was.
        let lock = self.locked.place.read().ok().flatten()?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() == Some(&lock) {
            return None;
        }
        let standing = self.locked.judged(&lock);
        *last = Some(lock);
        Some(match standing {
            Standing::Held(pins) => {
                self.server.pin(*pins);
                "the lock was written: the server is held to what is approved now".to_owned()
            }
            Standing::Free => return None,
            Standing::Unknown(blocked) | Standing::Other(blocked) => {
                let says =
                    format!("the lock was written, and the server is blocked: {}", blocked.why);
                self.server.block(Arc::new(blocked));
                says
            }
        })
    }
}

pub(super) fn failed(error: &Error) -> Failure {
    let failure = Failure::new(Exit::Usage, error.to_string());
    failure.help(match error {
        Error::Missing { .. } => "`stockade lock` writes one; nothing passes by a lock that is not there",
        Error::Says { .. } => {
            "nothing passes by a lock that cannot be used: take it back from where it is committed, \
             or remove it and approve anew"
        }
        Error::Link { .. } => "name the file that it leads to with `--lock FILE`",
        Error::Variant { .. } => "remove the one that is not meant",
        Error::Foreign { .. } => "name another state with `--state DIR`, one of your own",
        Error::Writable { .. } => "`chmod o-w` it, once it is clear that nobody has changed it",
        Error::File { .. } | Error::TooLong { .. } => "name another with `--lock FILE`",
    })
}

/// What is typed for `stockade lock` to be about the same.
pub(super) fn typed(
    words: &[(&str, Option<&Path>)],
    server: Option<&str>,
    rest: &[OsString],
) -> String {
    let mut typed = vec!["stockade lock".to_owned()];
    for (option, value) in words {
        if let Some(value) = value {
            typed.push(format!("{option} {}", quoted(&value.to_string_lossy())));
        }
    }
    if let Some(server) = server {
        typed.push(format!("--server {}", quoted(server)));
    }
    typed.extend(rest.iter().map(|it| quoted(&it.to_string_lossy())));
    redacted(&typed.join(" ")).into_owned()
}

pub(super) fn quoted(word: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"@/:.=-_+,".contains(&it);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Text of a server, for a person.
pub(super) fn shown(text: &str) -> String {
    stockade_core::check::visible(text)
}
