//! Which records are alerts. No I/O and no clock. What is remembered of what peers choose has a limit:
//! of a sort of alert there are `SORT_MAX` in a time, and the last of them says so.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stockade_core::record::{self, Record};
use stockade_store::Position;

use super::{Alert, Kind, Only, Place, Wanted, named};

/// So many alerts of a sort are raised in the time in which the same is not raised again.
const SORT_MAX: usize = 20;

/// So many hosts are known to have been looked at.
const HOSTS_MAX: usize = 1024;

/// Sees what happens.
#[derive(Debug)]
pub struct Watch {
    server: String,
    wanted: Wanted,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    denials: Rate,
    /// Whom a door has turned away. Anybody who reaches it can be, so this holds back nothing else.
    turned_away: Rate,
    calls: Rate,
    bytes: Rate,
    /// Which were reached, and passed on to be looked at.
    hosts: HashSet<String>,
    /// When each was raised.
    raised: HashMap<Kind, HashMap<String, u64>>,
}

impl Watch {
    /// For a server of this name.
    pub fn new(server: &str, wanted: &Wanted) -> Self {
        Self { server: named(server), wanted: wanted.clone(), state: Mutex::default() }
    }

    /// What a record is an alert of.
    pub fn see(&self, record: &Record, at: Option<Position>, now_ms: u64) -> Vec<Alert> {
        let mut state = self.state();
        let mut found = Vec::new();
        found.extend(self.denials(&mut state, record, now_ms));
        found.extend(self.calls(&mut state, record, now_ms));
        found.extend(self.drift(record, now_ms));
        found.extend(self.host(&mut state, record, now_ms));
        found.extend(self.canary(record, now_ms));
        let found = found.into_iter().map(|it| Alert {
            session: record.session.to_string(),
            call: record.call.clone(),
            principal: named(&record.principal),
            record: at.map(Place::from),
            ..it
        });
        found.filter_map(|it| self.once(&mut state, it, now_ms)).collect()
    }

    /// What so many bytes more are an alert of.
    pub fn sees_bytes(&self, bytes: usize, now_ms: u64) -> Option<Alert> {
        let max = self.wanted.bytes_per_minute?;
        let mut state = self.state();
        let sum = state.bytes.add(u64::try_from(bytes).unwrap_or(u64::MAX), now_ms);
        let says =
            || format!("{sum} bytes within a minute, and there should be no more than {max}");
        let alert = (sum > max).then(|| self.alert(Kind::Volume, "bytes", says(), now_ms))?;
        self.once(&mut state, Alert { times: Some(sum), ..alert }, now_ms)
    }

    /// What is no record, or cannot become one.
    pub fn raise(&self, kind: Kind, says: String, now_ms: u64) -> Option<Alert> {
        let alert = self.alert(kind, "server", says, now_ms);
        self.once(&mut self.state(), alert, now_ms)
    }

    fn denials(&self, state: &mut State, record: &Record, now_ms: u64) -> Option<Alert> {
        let is_at_a_door = match record.kind {
            record::Kind::Decision if record.decision == Some("deny") => false,
            record::Kind::Refusal => true,
            record::Kind::Decision
            | record::Kind::Start
            | record::Kind::Stop
            | record::Kind::Question
            | record::Kind::Grant
            | record::Kind::Outcome
            | record::Kind::Notice
            | record::Kind::Violation
            | record::Kind::Stderr
            | record::Kind::Egress
            | record::Kind::Policy
            | record::Kind::Roots
            | record::Kind::Touched
            | record::Kind::Lock
            | record::Kind::Alert => return None,
        };
        let (rate, subject, were) = match is_at_a_door {
            true => (&mut state.turned_away, "door", "turned away at the door"),
            false => (&mut state.denials, "requests", "denied"),
        };
        let sum = rate.add(1, now_ms);
        if sum < self.wanted.denials_per_minute {
            return None;
        }
        let (tool, rule) = (record.tool.as_deref().map(named), record.rule.as_deref().map(named));
        let of = tool.iter().map(|it| format!(" of the tool `{it}`")).collect::<String>();
        let by = rule.iter().map(|it| format!(" by `{it}`")).collect::<String>();
        let says = format!("{sum} requests were {were} within a minute, the last{of}{by}");
        let alert = self.alert(Kind::Denials, subject, says, now_ms);
        Some(Alert { times: Some(sum), tool, rule, ..alert })
    }

    fn calls(&self, state: &mut State, record: &Record, now_ms: u64) -> Option<Alert> {
        let max = self.wanted.calls_per_minute?;
        if record.kind != record::Kind::Decision || record.method != "tools/call" {
            return None;
        }
        let sum = state.calls.add(1, now_ms);
        let says =
            || format!("{sum} calls within a minute, and there should be no more than {max}");
        let alert = (sum > max).then(|| self.alert(Kind::Volume, "calls", says(), now_ms))?;
        Some(Alert { times: Some(sum), ..alert })
    }

    fn drift(&self, record: &Record, now_ms: u64) -> Option<Alert> {
        if record.kind != record::Kind::Lock || record.decision != Some("deny") {
            return None;
        }
        let tool = record.tool.as_deref().map(named);
        let what = match (&tool, record.difference) {
            (Some(tool), Some(class)) => format!("the tool `{tool}` ({class})"),
            (Some(tool), None) => format!("the tool `{tool}`"),
            (None, Some(class)) => format!("something that the server offers ({class})"),
            (None, None) => "more that the server offers".to_owned(),
        };
        let says = format!("{what} is not as it was approved: `stockade lock diff` shows it");
        // One tool that changes and changes again is one event.
        let subject = tool.clone().unwrap_or_else(|| "server".to_owned());
        let alert = self.alert(Kind::Drift, &subject, says, now_ms);
        Some(Alert { tool, rule: record.rule.as_deref().map(named), ..alert })
    }

    fn host(&self, state: &mut State, record: &Record, now_ms: u64) -> Option<Alert> {
        let host = record.destination.as_deref().filter(|_| record.kind == record::Kind::Egress)?;
        if record.decision != Some("allow") {
            let host = named(host);
            let says = format!("the server asked for `{host}`, and was not connected");
            return Some(self.alert(Kind::Host, &format!("refused {host}"), says, now_ms));
        }
        if state.hosts.contains(host) {
            return None;
        }
        if state.hosts.len() < HOSTS_MAX {
            state.hosts.insert(host.to_owned());
        }
        let host = named(host);
        let says = format!("the server was connected to `{host}` for the first time");
        let alert = self.alert(Kind::Host, &format!("reached {host}"), says, now_ms);
        Some(Alert { only: Only::FirstEver, ..alert })
    }

    fn canary(&self, record: &Record, now_ms: u64) -> Option<Alert> {
        const RULE: &str = "canary";
        let found = record.findings.iter().find(|it| it.rule == RULE)?;
        let tool = record.tool.as_deref().map(named);
        let of = tool.iter().map(|it| format!(" of the tool `{it}`")).collect::<String>();
        let came = match found.action {
            "allow" => "passed",
            "ask" => "is asked about",
            _ => "was refused",
        };
        let says = format!("a request{of} has a canary in it, and {came}");
        let subject = tool.clone().unwrap_or_else(|| "requests".to_owned());
        let alert = self.alert(Kind::Canary, &subject, says, now_ms);
        Some(Alert { tool, rule: Some(RULE.to_owned()), ..alert })
    }

    fn alert(&self, kind: Kind, subject: &str, says: String, now_ms: u64) -> Alert {
        Alert {
            kind,
            server: self.server.clone(),
            subject: subject.to_owned(),
            says,
            at: stockade_store::time_text(now_ms),
            times: None,
            tool: None,
            rule: None,
            principal: String::new(),
            session: String::new(),
            call: String::new(),
            record: None,
            only: Only::Anew,
        }
    }

    /// The alert, if it is wanted, was not raised just now, and there are not too many of its sort.
    fn once(&self, state: &mut State, alert: Alert, now_ms: u64) -> Option<Alert> {
        if !self.wanted.on.contains(&alert.kind) {
            return None;
        }
        let again_ms = u64::try_from(self.wanted.again.as_millis()).unwrap_or(u64::MAX);
        let raised = state.raised.entry(alert.kind).or_default();
        raised.retain(|_, at_ms| now_ms.saturating_sub(*at_ms) < again_ms);
        if raised.contains_key(&alert.subject) || raised.len() >= SORT_MAX {
            return None;
        }
        raised.insert(alert.subject.clone(), now_ms);
        if raised.len() < SORT_MAX {
            return Some(alert);
        }
        let says = format!(
            "{}; no more of this sort is told for {} s",
            alert.says,
            self.wanted.again.as_secs()
        );
        Some(Alert { says, ..alert })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much there was in the last minute, second by second.
#[derive(Debug, Default)]
struct Rate(VecDeque<(u64, u64)>);

impl Rate {
    /// Adds to it, and says how much it is then.
    fn add(&mut self, amount: u64, now_ms: u64) -> u64 {
        // A clock that is put back counts on where it was.
        let now_s = self.0.back().map_or(0, |(second, _)| *second).max(now_ms / 1000);
        while self.0.front().is_some_and(|(second, _)| second.saturating_add(60) <= now_s) {
            self.0.pop_front();
        }
        match self.0.back_mut().filter(|(second, _)| *second == now_s) {
            Some((_, sum)) => *sum = sum.saturating_add(amount),
            None => self.0.push_back((now_s, amount)),
        }
        self.0.iter().fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stockade_core::record::Noted;

    use super::*;

    fn watch() -> Watch {
        let wanted = Wanted {
            on: Kind::ALL.to_vec(),
            denials_per_minute: 5,
            calls_per_minute: Some(10),
            bytes_per_minute: Some(1000),
            again: Duration::from_secs(600),
            webhook: None,
            syslog: None,
            desktop: true,
        };
        Watch::new("files", &wanted)
    }

    fn denied(tool: &str) -> Record {
        Record {
            kind: record::Kind::Decision,
            method: "tools/call".to_owned(),
            tool: Some(tool.to_owned()),
            decision: Some("deny"),
            rule: Some("tools[0]".to_owned()),
            ..Record::default()
        }
    }

    fn reached(host: &str, decision: &'static str) -> Record {
        Record {
            kind: record::Kind::Egress,
            destination: Some(host.to_owned()),
            decision: Some(decision),
            ..Record::default()
        }
    }

    #[test]
    fn a_burst_is_so_many_in_a_minute_and_told_once() {
        let watch = watch();
        let denied = Record { method: "prompts/get".to_owned(), ..denied("rm") };
        let at = |s: u64| watch.see(&denied, None, 1_000_000 + s * 1000);
        // Four in a minute, for an hour, are none.
        assert!((0..240).all(|n| at(n * 15).is_empty()));
        let raised: Vec<Alert> = (0..30).flat_map(|n| at(4000 + n)).collect();
        assert_eq!(raised.len(), 1, "{raised:?}");
        assert_eq!((raised[0].kind, raised[0].times), (Kind::Denials, Some(5)));
        assert_eq!(raised[0].tool.as_deref(), Some("rm"));
        assert!((0..4).all(|n| at(5000 + n).is_empty()));
        assert_eq!(at(5004).len(), 1, "and again after its time");
    }

    #[test]
    fn whoever_is_turned_away_at_a_door_hides_no_calls() {
        let watch = watch();
        let away = Record { kind: record::Kind::Refusal, ..Record::default() };
        let raised: Vec<_> = (0..40).flat_map(|_| watch.see(&away, None, 5000)).collect();
        assert_eq!(raised.len(), 1, "{raised:?}");
        assert_eq!((&*raised[0].subject, raised[0].times), ("door", Some(5)));
        let denied = Record { method: "prompts/get".to_owned(), ..denied("rm") };
        let raised: Vec<_> = (0..40).flat_map(|_| watch.see(&denied, None, 6000)).collect();
        assert_eq!(raised.len(), 1, "{raised:?}");
        assert_eq!((&*raised[0].subject, raised[0].times), ("requests", Some(5)));
    }

    #[test]
    fn volume_is_of_calls_and_of_bytes() {
        let watch = watch();
        let call = Record { decision: Some("allow"), ..denied("x") };
        let raised: Vec<_> = (0..20).flat_map(|_| watch.see(&call, None, 5000)).collect();
        assert_eq!(raised.iter().map(|it| it.times).collect::<Vec<_>>(), [Some(11)]);
        assert_eq!(watch.sees_bytes(1000, 5000), None);
        let alert = watch.sees_bytes(1, 5000).unwrap();
        assert_eq!((alert.kind, &*alert.subject), (Kind::Volume, "bytes"));
        assert_eq!(watch.sees_bytes(5000, 5000), None);
    }

    #[test]
    fn a_host_is_news_once_and_a_flood_of_hosts_is_bounded() {
        let watch = watch();
        let see = |host: &str, decision| watch.see(&reached(host, decision), None, 1000);
        assert_eq!(see("a.example:443", "allow")[0].only, Only::FirstEver);
        assert!(see("a.example:443", "allow").is_empty());
        assert_eq!(see("b.example:443", "deny").len(), 1);
        let hosts = (0..10_000).map(|n| format!("{n}.example:443"));
        let raised: Vec<_> = hosts.flat_map(|it| see(&it, "deny")).collect();
        assert_eq!(raised.len(), SORT_MAX - 2);
        assert!(raised.last().unwrap().says.ends_with("is told for 600 s"), "{raised:?}");
    }

    #[test]
    fn what_somebody_else_has_named_is_shown_and_short() {
        let watch = watch();
        let tool = format!("a\u{202e}b\n<b>{}", "x".repeat(500));
        let findings = vec![Noted {
            rule: "canary",
            severity: "high",
            place: "/params/arguments/secret".into(),
            says: "Magpie".into(),
            action: "deny",
        }];
        let record = Record { findings, ..denied(&tool) };
        let alert = watch.see(&record, None, 1000).remove(0);
        assert_eq!(alert.kind, Kind::Canary);
        let all = serde_json::to_string(&alert).unwrap();
        assert!(all.len() < 900 && !all.contains('\u{202e}') && !all.contains("Magpie"), "{all}");
        assert!(!all.contains("/params/arguments"), "{all}");
    }
}
