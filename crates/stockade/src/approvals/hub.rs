//! What the service knows: which questions wait, for whom, and what was said to them. No I/O and no
//! clock; whoever answers first is the one who counts.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;
use stockade_core::approval::{Answer, edited_digest};

use super::grants::{Grant, Grants, covers};
use super::{Asked, Given, Shown, Told};

/// A guard, or somebody who watches.
pub type Whom = u64;

/// More new questions of one server in a minute are one question: whether to go on.
const FLOOD: usize = 10;

const MINUTE_MS: u64 = 60_000;

/// So many calls may wait in all. What is more is denied, or guards that ask without end would have
/// this process take all the memory there is.
const CALLS_MAX: usize = 10_000;

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Deed {
    /// Tell a guard.
    Tell(Whom, Told),
    /// Tell everybody who watches.
    Show(Told),
}

/// What waits.
#[derive(Debug, Default)]
pub struct Hub {
    /// Oldest first.
    waiting: Vec<Waiting>,
    /// Whose questions have come when, and are one until when.
    floods: HashMap<String, Flood>,
}

/// A question, and the calls that it is about.
#[derive(Debug)]
struct Waiting {
    asked: Asked,
    /// Which guard, and its name for the call. Never empty.
    calls: Vec<(Whom, String)>,
    until_ms: u64,
    /// It is part of a flood, and not shown by itself.
    held: bool,
}

#[derive(Debug, Default)]
struct Flood {
    came_ms: VecDeque<u64>,
    /// They are asked about one by one until then, by somebody's wish.
    open_until_ms: u64,
    /// They are denied until then.
    closed_until_ms: u64,
    closed_by: Option<(String, String)>,
}

impl Waiting {
    fn id(&self) -> &str {
        self.calls.first().map_or("", |(_, id)| id)
    }

    fn shown(&self, now_ms: u64) -> Shown {
        Shown {
            id: self.id().to_owned(),
            asked: self.asked.clone(),
            times: self.calls.len(),
            flood: false,
            left_ms: self.until_ms.saturating_sub(now_ms),
        }
    }

    /// Has the client of the call that is shown be asked as well, and whoever else its guard asks. Of
    /// calls that say the same it is one client at a time, and about one call.
    fn wanted(&self, now_ms: u64) -> Option<Deed> {
        let asks = self.asked.question.elicits || self.asked.elsewhere;
        let (guard, _) = self.calls.first().filter(|_| asks)?;
        let shown = Shown { times: 1, ..self.shown(now_ms) };
        Some(Deed::Tell(*guard, Told::Wanted(Box::new(shown))))
    }

    /// Whether whoever reads this one has read the other, to the last line.
    fn same(&self, other: &Asked) -> bool {
        let (a, b) = (&self.asked, other);
        let knows = |it: &Asked| (it.identity.clone(), it.known.clone(), it.elsewhere);
        a.question.is_same(&b.question) && knows(a) == knows(b)
    }

    fn answered(&self, answer: &Answer, times: usize) -> impl Iterator<Item = Deed> {
        let digest = self.asked.question.digest.clone();
        let answer = answer.clone();
        self.calls.clone().into_iter().take(times).map(move |(guard, id)| {
            let (digest, answer) = (digest.clone(), answer.clone());
            Deed::Tell(guard, Told::Answered { id, digest, answer })
        })
    }
}

/// Of whom a flood is.
fn source(asked: &Asked) -> String {
    format!("{}\n{}", asked.identity, asked.question.principal)
}

/// What a flood is answered by.
fn flood_id(asked: &Asked) -> String {
    let hash = blake3::hash(source(asked).as_bytes()).to_hex();
    format!("flood-{}", hash.get(..8).unwrap_or_default())
}

impl Hub {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A guard asks.
    pub fn ask(&mut self, guard: Whom, asked: Asked, grants: &Grants, now: Now) -> Vec<Deed> {
        let (id, now_ms) = (asked.question.id.clone(), now.ms);
        let answer = |answer| {
            let digest = asked.question.digest.clone();
            vec![Deed::Tell(guard, Told::Answered { id: id.clone(), digest, answer })]
        };
        if self.waiting.iter().any(|it| it.calls.iter().any(|(_, other)| *other == id)) {
            return answer(Answer::none("a question of this name waits already"));
        }
        if asked.question.named() != asked.question.digest {
            return answer(Answer::none("what it shows is not what it names"));
        }
        if let Some(grant) = grants.find(&asked, now.unix_s) {
            return answer(granted(grant));
        }
        if self.waiting.iter().map(|it| it.calls.len()).sum::<usize>() >= CALLS_MAX {
            return answer(Answer::none("too many calls wait already"));
        }
        if let Some(same) = self.waiting.iter_mut().find(|it| it.same(&asked)) {
            same.calls.push((guard, id));
            let held = same.held;
            let shown = same.shown(now_ms);
            return if held { self.flooded(&asked, now_ms) } else { show(shown) };
        }
        let flood = self.floods.entry(source(&asked)).or_default();
        if flood.closed_until_ms > now_ms {
            let (approver, channel) = flood.closed_by.clone().unzip();
            let says = "all of this server were denied for a minute".to_owned();
            return answer(Answer { approved: false, approver, channel, says, edited: None });
        }
        flood.came_ms.retain(|it| now_ms.saturating_sub(*it) < MINUTE_MS);
        flood.came_ms.push_back(now_ms);
        let held = flood.came_ms.len() > FLOOD && flood.open_until_ms <= now_ms;
        let until_ms = now_ms.saturating_add(asked.question.expires_in_ms);
        let waiting = Waiting { asked, calls: vec![(guard, id)], until_ms, held };
        let (asked, shown) = (waiting.asked.clone(), waiting.shown(now_ms));
        let wanted = waiting.wanted(now_ms);
        self.waiting.push(waiting);
        if held {
            return self.flooded(&asked, now_ms);
        }
        wanted.into_iter().chain(show(shown)).collect()
    }

    /// A flood has become larger: it is shown as one.
    fn flooded(&self, asked: &Asked, now_ms: u64) -> Vec<Deed> {
        self.flood(&source(asked), now_ms).map(show).unwrap_or_default()
    }

    fn flood(&self, of: &str, now_ms: u64) -> Option<Shown> {
        let held = || self.waiting.iter().filter(|it| it.held && source(&it.asked) == of);
        let first = held().next()?;
        let times = held().map(|it| it.calls.len()).sum();
        Some(Shown { id: flood_id(&first.asked), times, flood: true, ..first.shown(now_ms) })
    }

    /// A guard does not want an answer any more; of any call, where none is named.
    pub fn unask(&mut self, guard: Whom, call: Option<&str>, now: Now) -> Vec<Deed> {
        let mut deeds = Vec::new();
        let mut flooded: Vec<Asked> = Vec::new();
        for waiting in &mut self.waiting {
            let before = (waiting.id().to_owned(), waiting.calls.len());
            waiting
                .calls
                .retain(|(it, id)| *it != guard || call.is_some_and(|call| call != id.as_str()));
            if before.1 == waiting.calls.len() {
                continue;
            }
            if waiting.held {
                flooded.push(waiting.asked.clone());
                continue;
            }
            if before.0 != waiting.id() {
                deeds.extend(waiting.wanted(now.ms));
                let says = "it is not wanted any more".to_owned();
                deeds.push(Deed::Show(Told::Settled { id: before.0, says }));
            }
            if !waiting.calls.is_empty() {
                deeds.extend(show(waiting.shown(now.ms)));
            }
        }
        self.waiting.retain(|it| !it.calls.is_empty());
        for asked in flooded {
            match self.flood(&source(&asked), now.ms) {
                Some(shown) => deeds.extend(show(shown)),
                None => {
                    let says = "it is not wanted any more".to_owned();
                    deeds.push(Deed::Show(Told::Settled { id: flood_id(&asked), says }));
                }
            }
        }
        deeds
    }

    /// What waits.
    pub fn shown(&self, now: Now) -> Vec<Shown> {
        let mut shown: Vec<Shown> = Vec::new();
        for waiting in &self.waiting {
            if !waiting.held {
                shown.push(waiting.shown(now.ms));
                continue;
            }
            let id = flood_id(&waiting.asked);
            if !shown.iter().any(|it| it.id == id) {
                shown.extend(self.flood(&source(&waiting.asked), now.ms));
            }
        }
        shown
    }

    /// What `given` is about, if it waits.
    pub fn find(&self, given: &Given) -> Option<&Asked> {
        let waiting = self.waiting.iter().filter(|it| !it.held);
        let found = waiting.map(|it| (it.id(), &it.asked)).find(|(id, _)| *id == given.id);
        found.map(|(_, it)| it).filter(|it| it.question.digest == given.digest)
    }

    /// Somebody answers.
    ///
    /// # Errors
    /// Why that is no answer.
    pub fn give(
        &mut self,
        given: &Given,
        who: &str,
        now: Now,
    ) -> Result<(String, Vec<Deed>), String> {
        let answer = Answer {
            approved: given.approved,
            approver: Some(who.to_owned()),
            channel: Some(given.channel.clone()),
            says: given.says.clone(),
            edited: None,
        };
        let says = |times: usize| {
            let what = if given.approved { "allowed" } else { "denied" };
            let calls = if times == 1 { String::new() } else { format!(", {times} calls") };
            format!("{what} by {who} ({}){calls}", given.channel)
        };
        let held = |it: &Waiting| it.held && flood_id(&it.asked) == given.id;
        if let Some(of) = self.waiting.iter().find(|it| held(it)).map(|it| source(&it.asked)) {
            return Ok(self.give_flood(given, &of, &answer, now, &says));
        }
        let at = self.waiting.iter().position(|it| !it.held && it.id() == given.id);
        let Some(waiting) = at.and_then(|it| self.waiting.get_mut(it)) else {
            return Err("no such question waits: it was answered, cancelled, or is too old".into());
        };
        if waiting.asked.question.digest != given.digest {
            return Err("the question is another by now; look at it again".into());
        }
        let times = given.times.min(waiting.calls.len());
        if times == 0 {
            return Err("an answer about no call".into());
        }
        let mut deeds: Vec<Deed> = waiting.answered(&answer, times).collect();
        deeds.push(Deed::Show(Told::Settled { id: given.id.clone(), says: says(times) }));
        // What came after it was read is not what was answered.
        waiting.calls.drain(..times);
        if !waiting.calls.is_empty() {
            deeds.extend(waiting.wanted(now.ms));
            deeds.extend(show(waiting.shown(now.ms)));
        }
        self.waiting.retain(|it| !it.calls.is_empty());
        Ok((says(times), deeds))
    }

    /// Somebody allows a question with something else in place of what can be changed of it: one call,
    /// the one that was shown.
    ///
    /// # Errors
    /// Why that is no answer.
    pub fn edit(
        &mut self,
        given: &Given,
        to: &Value,
        who: &str,
        now: Now,
    ) -> Result<(String, Vec<Deed>), String> {
        let at = self.waiting.iter().position(|it| !it.held && it.id() == given.id);
        let Some(waiting) = at.and_then(|it| self.waiting.get_mut(it)) else {
            return Err("no such question waits: it was answered, cancelled, or is too old".into());
        };
        let question = &waiting.asked.question;
        if question.digest != given.digest {
            return Err("the question is another by now; look at it again".into());
        }
        if question.editable().is_none() || !to.is_object() || !given.approved {
            return Err("nothing of it can be changed".into());
        }
        let (approver, channel) = (Some(who.to_owned()), Some(given.channel.clone()));
        let edited = Some(to.clone());
        let answer = Answer { approved: true, approver, channel, says: given.says.clone(), edited };
        let digest = edited_digest(&question.digest, to);
        let says = format!("allowed by {who} ({}), and changed", given.channel);
        let first = waiting.calls.drain(..1).collect::<Vec<_>>().into_iter();
        let mut deeds: Vec<Deed> = first
            .map(|(guard, id)| {
                let (digest, answer) = (digest.clone(), answer.clone());
                Deed::Tell(guard, Told::Answered { id, digest, answer })
            })
            .collect();
        deeds.push(Deed::Show(Told::Settled { id: given.id.clone(), says: says.clone() }));
        if !waiting.calls.is_empty() {
            deeds.extend(waiting.wanted(now.ms));
            deeds.extend(show(waiting.shown(now.ms)));
        }
        self.waiting.retain(|it| !it.calls.is_empty());
        Ok((says, deeds))
    }

    fn give_flood(
        &mut self,
        given: &Given,
        of: &str,
        answer: &Answer,
        now: Now,
        says: &dyn Fn(usize) -> String,
    ) -> (String, Vec<Deed>) {
        let flood = self.floods.entry(of.to_owned()).or_default();
        if given.approved {
            flood.open_until_ms = now.ms.saturating_add(MINUTE_MS);
            let says = "they are asked about one by one".to_owned();
            let id = given.id.clone();
            let mut deeds = vec![Deed::Show(Told::Settled { id, says: says.clone() })];
            for it in self.waiting.iter_mut().filter(|it| it.held && source(&it.asked) == of) {
                it.held = false;
                deeds.extend(it.wanted(now.ms));
                deeds.extend(show(it.shown(now.ms)));
            }
            return (says, deeds);
        }
        flood.closed_until_ms = now.ms.saturating_add(MINUTE_MS);
        flood.closed_by = answer.approver.clone().zip(answer.channel.clone());
        let is = |it: &Waiting| source(&it.asked) == of;
        let (denied, rest) = std::mem::take(&mut self.waiting).into_iter().partition(is);
        self.waiting = rest;
        let denied: Vec<Waiting> = denied;
        let mut deeds: Vec<Deed> =
            denied.iter().flat_map(|it| it.answered(answer, usize::MAX)).collect();
        let says = says(denied.iter().map(|it| it.calls.len()).sum());
        let shown = denied.iter().filter(|it| !it.held).map(|it| it.id().to_owned());
        for id in shown.chain([given.id.clone()]) {
            deeds.push(Deed::Show(Told::Settled { id, says: says.clone() }));
        }
        (says, deeds)
    }

    /// There is a new standing grant: what it covers does not wait any more.
    pub fn granted(&mut self, grant: &Grant, now: Now) -> Vec<Deed> {
        let is = |it: &Waiting| covers(grant, &it.asked, now.unix_s);
        let (covered, rest) = std::mem::take(&mut self.waiting).into_iter().partition(is);
        self.waiting = rest;
        let covered: Vec<Waiting> = covered;
        let mut deeds = Vec::new();
        for it in covered {
            deeds.extend(it.answered(&granted(grant), usize::MAX));
            let says = format!("allowed by the grant {}", grant.id);
            deeds.push(Deed::Show(Told::Settled { id: it.id().to_owned(), says }));
        }
        deeds
    }
}

/// The time, as the service was told.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since something.
    pub ms: u64,
    /// Since 1970.
    pub unix_s: u64,
}

fn granted(grant: &Grant) -> Answer {
    Answer {
        approved: true,
        approver: Some(grant.by.clone()),
        channel: Some(format!("grant {}", grant.id)),
        says: String::new(),
        edited: None,
    }
}

fn show(shown: Shown) -> Vec<Deed> {
    vec![Deed::Show(Told::Asked(Box::new(shown)))]
}
