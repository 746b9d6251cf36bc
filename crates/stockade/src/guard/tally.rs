//! What a peer can do as often as it likes, and nobody waits for: requests that are turned away,
//! messages that are none, notifications that are dropped. If each were written down, whoever can
//! knock could fill the disk. So the first of a sort are written as they come, and the others are
//! counted; their number is written once in a while, and at the end.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use stockade_core::check::clipped;
use stockade_core::message::Side;
use stockade_core::record::{Kind, Record};

/// So many of a sort are written as they come.
const WHOLE_MAX: u64 = 8;
/// So many sorts are told apart, of each source. The others are counted together: what makes a sort
/// is in part what a peer says.
const SORTS_MAX: usize = 64;
/// How often it is written how many came. A sort of which none came for so long is forgotten.
const EVERY_MS: u64 = 5 * 60 * 1000;
/// What of a text tells sorts apart.
const SAYS_MAX: usize = 200;

/// Counts records. A source that is noisy does not hide what another does.
#[derive(Debug, Default)]
pub(super) struct Tally {
    door: Table,
    client: Table,
    server: Table,
    reached: Table,
    unreached: Table,
}

type Table = Mutex<HashMap<Sort, Count>>;

/// What records have in common that are counted together: not who exactly said it, and in what
/// session, since either can be new every time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sort {
    kind: Kind,
    principal: Arc<str>,
    peer: Option<IpAddr>,
    server: Arc<str>,
    from: Option<&'static str>,
    method: String,
    destination: Option<String>,
    address: Option<IpAddr>,
    decision: Option<&'static str>,
    rule: Option<String>,
    mended: bool,
    says: String,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    since_ms: u64,
    whole: u64,
    more: u64,
}

impl Tally {
    /// Whether a record is to be written. Otherwise it was counted.
    pub(super) fn lets_through(&self, record: &Record, now_ms: u64) -> bool {
        let mut table = lock(self.table(record));
        let mut sort = Sort::of(record);
        if table.len() >= SORTS_MAX && !table.contains_key(&sort) {
            sort = Sort::any(record);
        }
        let new = Count { since_ms: now_ms, whole: 0, more: 0 };
        let count = table.entry(sort).or_insert(new);
        if count.whole < WHOLE_MAX {
            count.whole += 1;
            return true;
        }
        count.more += 1;
        false
    }

    /// The numbers that are due to be written.
    pub(super) fn due(&self, now_ms: u64) -> Vec<Record> {
        let mut due = Vec::new();
        for table in self.tables() {
            lock(table).retain(|sort, count| {
                if now_ms.saturating_sub(count.since_ms) < EVERY_MS {
                    return true;
                }
                let more = std::mem::take(&mut count.more);
                count.since_ms = now_ms;
                due.extend((more > 0).then(|| sort.record(more)));
                more > 0
            });
        }
        due
    }

    /// All numbers. Then nothing was counted.
    pub(super) fn rest(&self) -> Vec<Record> {
        let counts = self.tables().into_iter().flat_map(|it| std::mem::take(&mut *lock(it)));
        counts.filter(|(_, it)| it.more > 0).map(|(sort, it)| sort.record(it.more)).collect()
    }

    fn tables(&self) -> [&Table; 5] {
        [&self.door, &self.client, &self.server, &self.reached, &self.unreached]
    }

    fn table(&self, record: &Record) -> &Table {
        if record.kind == Kind::Egress {
            // What was not reached can be anything; it must not hide who was.
            if record.decision == Some("allow") { &self.reached } else { &self.unreached }
        } else if record.kind == Kind::Refusal {
            &self.door
        } else if record.from == Some(Side::Server.name()) {
            &self.server
        } else {
            &self.client
        }
    }
}

impl Sort {
    fn of(record: &Record) -> Self {
        // What was asked of the door is no sort of its own: only the first are to say it.
        let says = if record.kind == Kind::Refusal { "" } else { &record.says };
        let found = record.findings.first().map(|it| it.rule.to_owned());
        Self {
            principal: Arc::clone(&record.principal),
            peer: record.peer,
            method: record.method.clone(),
            destination: record.destination.clone(),
            address: record.address,
            decision: record.decision,
            rule: record.rule.clone().or(found),
            mended: record.mended,
            says: clipped(says, SAYS_MAX),
            ..Self::any(record)
        }
    }

    /// Everything of its source that is not told apart.
    fn any(record: &Record) -> Self {
        Self {
            kind: record.kind,
            principal: Arc::default(),
            peer: None,
            server: Arc::clone(&record.server),
            from: record.from,
            method: String::new(),
            destination: None,
            address: None,
            // Whoever was reached and whoever was not are counted apart.
            decision: record.decision.filter(|_| record.kind == Kind::Egress),
            rule: None,
            mended: false,
            says: "of many sorts".to_owned(),
        }
    }

    fn record(&self, more: u64) -> Record {
        let says = match &*self.says {
            "" => format!("{more} more of these"),
            says => format!("{more} more: {says}"),
        };
        Record {
            kind: self.kind,
            principal: Arc::clone(&self.principal),
            peer: self.peer,
            server: Arc::clone(&self.server),
            from: self.from,
            method: self.method.clone(),
            destination: self.destination.clone(),
            address: self.address,
            decision: self.decision,
            rule: self.rule.clone(),
            mended: self.mended,
            repeats: Some(more),
            says,
            ..Record::default()
        }
    }
}

fn lock(table: &Table) -> std::sync::MutexGuard<'_, HashMap<Sort, Count>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(from: Side, says: &str) -> Record {
        Record {
            kind: Kind::Violation,
            from: Some(from.name()),
            says: says.to_owned(),
            ..Record::default()
        }
    }

    fn refusal(peer: [u8; 4], says: &str) -> Record {
        let rule = Some("host".to_owned());
        let peer = Some(IpAddr::from(peer));
        Record { kind: Kind::Refusal, peer, rule, says: says.to_owned(), ..Record::default() }
    }

    /// How many of `records` are written, at one moment.
    fn written(tally: &Tally, records: impl IntoIterator<Item = Record>) -> u64 {
        let written = records.into_iter().filter(|it| tally.lets_through(it, 0)).count();
        u64::try_from(written).unwrap()
    }

    fn counts(records: &[Record]) -> Vec<(Option<u64>, &str)> {
        records.iter().map(|it| (it.repeats, &*it.says)).collect()
    }

    #[test]
    fn the_first_are_written_and_the_others_counted() {
        let tally = Tally::default();
        let flood = || (0..1000).map(|_| broken(Side::Server, "no JSON"));
        assert_eq!(written(&tally, flood()), WHOLE_MAX);
        assert_eq!(counts(&tally.rest()), [(Some(1000 - WHOLE_MAX), "992 more: no JSON")]);
        assert!(tally.rest().is_empty());
    }

    #[test]
    fn a_number_is_written_once_in_a_while() {
        let tally = Tally::default();
        let it = broken(Side::Client, "x");
        let mut whole = 0;
        let mut more = 0;
        let mut numbers = 0;
        for second in 0..3600 {
            whole += u64::from(tally.lets_through(&it, second * 1000));
            let due = tally.due(second * 1000);
            numbers += due.len();
            more += due.iter().filter_map(|it| it.repeats).sum::<u64>();
        }
        assert_eq!((whole, numbers), (WHOLE_MAX, 11), "as long as it goes on");
        more += tally.rest().iter().filter_map(|it| it.repeats).sum::<u64>();
        assert_eq!(whole + more, 3600, "and none is lost");
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let tally = Tally::default();
        let it = broken(Side::Client, "x");
        assert_eq!(written(&tally, vec![it.clone(); 100]), WHOLE_MAX);
        assert_eq!(tally.due(EVERY_MS).len(), 1);
        assert!(!tally.lets_through(&it, EVERY_MS), "it is counted still");
        assert_eq!(tally.due(2 * EVERY_MS).len(), 1);
        assert!(tally.due(3 * EVERY_MS).is_empty());
        assert!(tally.lets_through(&it, 3 * EVERY_MS), "and is new again");
    }

    #[test]
    fn sorts_are_bounded_and_no_source_hides_another() {
        let tally = Tally::default();
        let many = (0..100_000).map(|it| broken(Side::Server, &it.to_string()));
        let bound = u64::try_from(SORTS_MAX).unwrap() + WHOLE_MAX;
        assert_eq!(written(&tally, many), bound);
        assert!(tally.lets_through(&broken(Side::Client, "x"), 0));
        assert!(tally.lets_through(&refusal([127, 0, 0, 1], "x"), 0));
        assert_eq!(
            counts(&tally.rest()),
            [(Some(100_000 - bound), &*format!("{} more: of many sorts", 100_000 - bound))]
        );
    }

    #[test]
    fn what_is_asked_of_the_door_is_no_sort() {
        let tally = Tally::default();
        let flood = (0..1000).map(|it| refusal([127, 0, 0, 1], &format!("host {it}")));
        assert_eq!(written(&tally, flood), WHOLE_MAX);
        assert!(tally.lets_through(&refusal([127, 0, 0, 2], "x"), 0), "another peer is");
        assert_eq!(counts(&tally.rest()), [(Some(992), "992 more of these")]);
    }
}
