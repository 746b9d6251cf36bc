//! The service: one process of each person, started by whoever needs it first, and gone when nobody
//! has needed it for a while. It listens on one socket, which only that person's processes reach, and
//! has nothing that it would have to keep but standing grants: if it is killed, everything that waits
//! is denied.

mod page;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use stockade_core::approval::{Answer, Question};
use stockade_core::record::{Kind, Record};
use stockade_store::Ledger;
use tokio::io::{self, AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use self::page::Page;
use super::grants::Grants;
use super::hub::{Deed, Hub, Now, Whom};
use super::peer::{self, Peer};
use super::place::{Place, PlaceError};
use super::{Asked, Given, LINE_BYTES_MAX, Said, Told};

/// How long it stays when nobody is connected.
const IDLE: Duration = Duration::from_secs(10);

/// How long a peer may take to read what it is told; whoever does not read is not waited for.
const WRITE: Duration = Duration::from_secs(10);

/// So much may be on its way to one peer.
const OUTBOX: usize = 16_384;

/// So many may be connected at a time.
const PEERS_MAX: usize = 1024;

/// Is the service of `place`, until nobody needs it.
///
/// # Errors
/// When the place cannot be used, or what is kept there cannot be read.
pub async fn serve(place: &Place) -> Result<(), ServiceError> {
    let Some((listener, lock)) = place.listen()? else { return Ok(()) };
    let service = Arc::new(Service {
        state: Mutex::new(State {
            hub: Hub::default(),
            grants: Grants::read(place.grants(), place.ledger()).map_err(ServiceError::Grants)?,
            peers: HashMap::new(),
            ledger: None,
            page: None,
        }),
        place: place.clone(),
        numbers: AtomicU64::new(0),
        changed: Notify::new(),
        began: Instant::now(),
    });
    service.tell_void();
    loop {
        let alone = service.state().peers.is_empty();
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let Ok(peer) = peer::of(&stream) else { continue };
                if service.state().peers.len() < PEERS_MAX {
                    service.welcome(stream, peer);
                }
            }
            () = service.changed.notified() => (),
            () = tokio::time::sleep(IDLE), if alone => break,
        }
    }
    place.leave();
    if let Some(ledger) = service.state().ledger.take() {
        // What is in it was written; this only signs it.
        let _signed = ledger.close();
    }
    drop(lock);
    Ok(())
}

/// Why there is no service.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The place.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The grants.
    #[error("the standing grants cannot be read")]
    Grants(#[source] std::io::Error),
}

struct Service {
    state: Mutex<State>,
    place: Place,
    numbers: AtomicU64,
    /// Somebody has gone, or has come by the page.
    changed: Notify,
    began: Instant,
}

struct State {
    hub: Hub,
    grants: Grants,
    peers: HashMap<Whom, Connected>,
    /// Opened when there is something to write.
    ledger: Option<Ledger>,
    /// Served when somebody has wanted it.
    page: Option<Arc<Page>>,
}

/// What somebody may do who is connected; why not, where they may not.
struct May {
    answer: Result<(), String>,
    ask: Result<(), String>,
}

/// Somebody who is connected.
struct Connected {
    outbox: mpsc::Sender<Told>,
    watches: bool,
}

impl Service {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Now { ms, unix_s: unix.map(|it| it.as_secs()).unwrap_or_default() }
    }

    fn welcome(self: &Arc<Self>, stream: UnixStream, peer: Peer) {
        let whom = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (outbox, mut mail) = mpsc::channel::<Told>(OUTBOX);
        self.state().peers.insert(whom, Connected { outbox, watches: false });
        let may =
            May { answer: peer::is_no_server(&stream).map(drop), ask: peer::is_guard(&stream) };
        let (reader, mut writer) = stream.into_split();
        let service = Arc::clone(self);
        tokio::spawn(async move {
            let heard = async {
                let mut reader = BufReader::new(reader);
                service.listen(whom, &peer, &may, &mut reader).await;
            };
            let told = async {
                // See `Place::connect`. Before a line it says nothing.
                if writer.write_all(b" ").await.is_err() {
                    return;
                }
                while let Some(told) = mail.recv().await {
                    let written = timeout(WRITE, writer.write_all(&line(&told))).await;
                    if !matches!(written, Ok(Ok(()))) {
                        return;
                    }
                }
            };
            tokio::select! {
                () = heard => (),
                () = told => (),
            }
            service.goodbye(whom);
        });
    }

    fn goodbye(&self, whom: Whom) {
        let now = self.now();
        let mut state = self.state();
        state.peers.remove(&whom);
        let deeds = state.hub.unask(whom, None, now);
        state.carry(deeds);
        drop(state);
        self.changed.notify_one();
    }

    async fn listen(
        self: &Arc<Self>,
        whom: Whom,
        peer: &Peer,
        may: &May,
        reader: &mut BufReader<OwnedReadHalf>,
    ) {
        let mut buffer = Vec::new();
        while let Ok(Some(said)) = next::<Said>(reader, &mut buffer, LINE_BYTES_MAX).await {
            self.take(whom, peer, may, said);
        }
    }

    fn take(self: &Arc<Self>, whom: Whom, peer: &Peer, may: &May, said: Said) {
        let now = self.now();
        let no_server = &may.answer;
        let mut state = self.state();
        match said {
            Said::Ask(asked) if may.ask.is_err() => {
                let why = may.ask.as_ref().err().cloned().unwrap_or_default();
                let Question { id, digest, .. } = asked.question;
                let why = self.refused(&mut state, "a question", &id, peer, &why);
                let answer = Answer::none(&why);
                state.tell(whom, Told::Answered { id, digest, answer });
            }
            Said::Ask(asked) => {
                self.end_changed(&mut state, &asked);
                let State { hub, grants, .. } = &mut *state;
                let deeds = hub.ask(whom, *asked, grants, now);
                state.carry(deeds);
            }
            Said::Unask(call) => {
                let deeds = state.hub.unask(whom, Some(&call), now);
                state.carry(deeds);
            }
            Said::List => {
                let waiting = Told::Waiting(state.hub.shown(now));
                state.tell(whom, waiting);
            }
            Said::Watch => {
                if let Some(it) = state.peers.get_mut(&whom) {
                    it.watches = true;
                }
                let waiting = Told::Waiting(state.hub.shown(now));
                state.tell(whom, waiting);
            }
            Said::Grants => {
                let grants = Told::Grants(state.grants.all(now.unix_s));
                state.tell(whom, grants);
            }
            Said::Give(given) => {
                let given = match no_server {
                    Ok(()) => self.give(&mut state, &given, peer, now),
                    Err(why) => Err(self.refused(&mut state, "an answer", &given.id, peer, why)),
                };
                state.tell(whom, given.map_or_else(Told::Refused, Told::Done));
            }
            Said::Edit { given, to } => {
                let edited = match no_server {
                    Ok(()) => {
                        let edited = state.hub.edit(&given, &to, &name(peer), now);
                        edited.map(|(says, deeds)| {
                            state.carry(deeds);
                            says
                        })
                    }
                    Err(why) => Err(self.refused(&mut state, "an answer", &given.id, peer, why)),
                };
                state.tell(whom, edited.map_or_else(Told::Refused, Told::Done));
            }
            Said::Revoke(id) => {
                let revoked = match no_server {
                    Ok(()) => self.revoke(&mut state, &id, peer, "terminal"),
                    Err(why) => Err(self.refused(&mut state, "an answer", &id, peer, why)),
                };
                state.tell(whom, revoked.map_or_else(Told::Refused, Told::Done));
            }
            Said::Open(address) => {
                let opened = match no_server {
                    Ok(()) => self.open(&mut state, address),
                    Err(why) => Err(self.refused(&mut state, "an answer", "the page", peer, why)),
                };
                state.tell(whom, opened.unwrap_or_else(Told::Refused));
            }
        }
    }

    fn give(
        &self,
        state: &mut State,
        given: &Given,
        peer: &Peer,
        now: Now,
    ) -> Result<String, String> {
        let who = name(peer);
        let granted = match (&given.grant, given.approved) {
            (None, _) => None,
            (Some(_), false) => return Err("a grant that denies".to_owned()),
            (Some(bounds), true) => {
                self.open_ledger(state)?;
                let State { hub, grants, .. } = &mut *state;
                let asked = hub.find(given).ok_or("no such question waits")?;
                let grant = grants.give(asked, bounds, &who, now.unix_s)?;
                let arguments = serde_json::to_string(&grant.arguments).unwrap_or_default();
                let says = format!(
                    "grant {} to `{}`, with {arguments}, until {}",
                    grant.id, grant.principal, grant.until_s
                );
                let record = Record {
                    tool: Some(grant.tool.clone()),
                    tool_digest: Some(grant.tool_digest.clone()),
                    server: grant.server.as_str().into(),
                    principal: grant.principal.as_str().into(),
                    channel: Some(given.channel.clone()),
                    ..grants_record(Some(&who), says)
                };
                if let Err(why) = self.record(state, &record) {
                    let _not_kept = state.grants.revoke(&grant.id);
                    return Err(why);
                }
                Some(grant)
            }
        };
        let (says, mut deeds) = state.hub.give(given, &who, now)?;
        if let Some(grant) = &granted {
            deeds.extend(state.hub.granted(grant, now));
            deeds.push(Deed::Show(Told::Grants(state.grants.all(now.unix_s))));
        }
        state.carry(deeds);
        Ok(match granted {
            Some(grant) => format!("{says}; from now on by the grant {}", grant.id),
            None => says,
        })
    }

    fn revoke(
        &self,
        state: &mut State,
        id: &str,
        peer: &Peer,
        channel: &str,
    ) -> Result<String, String> {
        let revoked = state.grants.revoke(id);
        // Also one that could not be removed does not stand any more.
        state.carry(vec![Deed::Show(Told::Grants(state.grants.all(self.now().unix_s)))]);
        let grant = revoked?;
        let who = name(peer);
        let record = Record {
            tool: Some(grant.tool.clone()),
            server: grant.server.as_str().into(),
            principal: grant.principal.as_str().into(),
            channel: Some(channel.to_owned()),
            ..grants_record(Some(&who), format!("grant {id} was revoked"))
        };
        self.record(state, &record)?;
        Ok(format!("{id} does not stand any more"))
    }

    /// Ends the grants for a tool that its server describes otherwise by now, for good.
    fn end_changed(&self, state: &mut State, asked: &Asked) {
        let ended = state.grants.end_changed(asked);
        if ended.is_empty() {
            return;
        }
        for grant in ended {
            let says =
                format!("grant {} has ended: the server describes the tool otherwise", grant.id);
            let record = Record {
                tool: Some(grant.tool.clone()),
                tool_digest: asked.question.tool_digest.clone(),
                server: grant.server.as_str().into(),
                principal: grant.principal.as_str().into(),
                ..grants_record(None, says)
            };
            // It stands no more in any case.
            let _recorded = self.record(state, &record);
        }
        state.carry(vec![Deed::Show(Told::Grants(state.grants.all(self.now().unix_s)))]);
    }

    /// Writes down which grants are kept that nobody has given by this service.
    fn tell_void(&self) {
        let mut state = self.state();
        let void: Vec<_> = state.grants.void().cloned().collect();
        for grant in void {
            let why = grant.void.unwrap_or_default();
            let says = format!("a grant {} is kept that is void: {why}", grant.id);
            let record = Record {
                kind: Kind::Refusal,
                tool: Some(grant.tool),
                server: grant.server.as_str().into(),
                principal: grant.principal.as_str().into(),
                rule: Some("grant".to_owned()),
                ..grants_record(None, says)
            };
            // It does not stand in any case.
            let _recorded = self.record(&mut state, &record);
        }
    }

    /// Writes down that somebody who may not ask or answer has tried to.
    fn refused(&self, state: &mut State, what: &str, id: &str, peer: &Peer, why: &str) -> String {
        let says = format!("{what} ({id}) was not taken: {why}");
        let record = Record { kind: Kind::Refusal, ..grants_record(Some(&name(peer)), says) };
        // It is not taken in any case.
        let _recorded = self.record(state, &record);
        format!("whoever asks or answers must not come from what is guarded: {why}")
    }

    /// Opens the ledger, whose key a grant is kept with.
    fn open_ledger(&self, state: &mut State) -> Result<(), String> {
        let wrong = |it: stockade_store::Error| format!("the ledger cannot be written: {it}");
        if state.ledger.is_none() {
            state.ledger = Some(Ledger::open(self.place.ledger()).map_err(wrong)?);
        }
        Ok(())
    }

    fn record(&self, state: &mut State, record: &Record) -> Result<(), String> {
        let wrong = |it: stockade_store::Error| format!("the ledger cannot be written: {it}");
        self.open_ledger(state)?;
        let appended = state.ledger.as_ref().map(|it| it.append(record));
        appended.transpose().map(drop).map_err(wrong)
    }
}

impl State {
    fn tell(&self, whom: Whom, told: Told) {
        if let Some(it) = self.peers.get(&whom) {
            // Whoever has not read so much is not waited for, and has no answer: that is a no.
            let _full = it.outbox.try_send(told);
        }
    }

    fn carry(&self, deeds: Vec<Deed>) {
        for deed in deeds {
            match deed {
                Deed::Tell(whom, told) => self.tell(whom, told),
                Deed::Show(told) => {
                    let watching = self.peers.iter().filter(|(_, it)| it.watches);
                    watching.for_each(|(whom, _)| self.tell(*whom, told.clone()));
                }
            }
        }
    }
}

fn name(peer: &Peer) -> String {
    format!("uid {}", peer.uid)
}

/// A record about grants; by `who`, if it is somebody's doing.
fn grants_record(who: Option<&str>, says: String) -> Record {
    Record { kind: Kind::Grant, approver: who.map(str::to_owned), says, ..Record::default() }
}

/// What is said, as one line.
pub fn line(said: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(said).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The next line that is said; nothing at the end.
///
/// # Errors
/// When it cannot be read, or is too long.
pub async fn next<T: DeserializeOwned>(
    reader: &mut (impl AsyncBufRead + Unpin),
    buffer: &mut Vec<u8>,
    bytes_max: usize,
) -> io::Result<Option<T>> {
    // What was read of a line stays in the buffer when this is dropped in the middle of it.
    let room = bytes_max.saturating_sub(buffer.len());
    let room = u64::try_from(room).unwrap_or(u64::MAX);
    reader.take(room).read_until(b'\n', buffer).await?;
    if buffer.last() != Some(&b'\n') {
        return match buffer.is_empty() {
            true => Ok(None),
            false => Err(io::Error::other("a line that does not end")),
        };
    }
    let said = serde_json::from_slice(buffer);
    buffer.clear();
    said.map(Some).map_err(io::Error::other)
}
