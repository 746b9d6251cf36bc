//! What happens, in numbers, for Prometheus: `[metrics]` of a policy.
//!
//! It is counted where records are written and messages judged (`guard.rs`), in place: whoever reads
//! the numbers ([`listen`]) has a thread of its own, and is waited for by nobody. A label is one of
//! the guard's own words, or a name of which there are so many and no more: what a peer can make up
//! would be a series each. None is a person, an argument or a path.
//!
//! See `docs/monitoring.md`.

pub mod listen;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use stockade_core::check::{clipped, visible};
use stockade_core::message::Side;
use stockade_core::record::{Kind, Record, Status};
use stockade_core::revision::METHODS;
use stockade_store::Counted;

/// So many tools are told apart, of those that the server has listed.
const TOOLS_MAX: usize = 100;

/// So many rules: each of a policy file is one.
const RULES_MAX: usize = 200;

/// So many ways in which people answer.
const CHANNELS_MAX: usize = 16;

/// So long is a label, in characters.
const LABEL_CHARS: usize = 64;

/// What is not told apart.
const OTHER: &str = "other";

/// In seconds: how long a call takes, which is what its server takes or the person who is asked.
const CALL_S: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

/// In seconds: how long a message is held here.
const HELD_S: [f64; 12] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 1.0, 5.0];

type Label = (&'static str, Cow<'static, str>);
type Counters<const N: usize> = Family<[Label; N], Counter>;

/// The numbers of one guard.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    tools: Names,
    rules: Names,
    channels: Names,
    requests: Counters<2>,
    calls: Counters<2>,
    ended: Counters<1>,
    denials: Counters<1>,
    approvals: Counters<2>,
    findings: Counters<2>,
    bytes: Counters<1>,
    call_s: Histogram,
    held_s: Histogram,
    sessions: Gauge,
    waiting: Gauge,
    records: Counter,
    unsealed: Gauge,
    failed: Gauge,
    spans: Counters<1>,
}

impl Metrics {
    /// Of a guard of a server by this name. Nothing has happened.
    pub fn new(server: &str) -> Self {
        let labels = [(Cow::from("server"), Cow::from(label(server)))];
        let mut it = Self {
            registry: Registry::with_prefix_and_labels("stockade", labels.into_iter()),
            tools: Names::up_to(TOOLS_MAX),
            rules: Names::up_to(RULES_MAX),
            channels: Names::up_to(CHANNELS_MAX),
            requests: Family::default(),
            calls: Family::default(),
            ended: Family::default(),
            denials: Family::default(),
            approvals: Family::default(),
            findings: Family::default(),
            bytes: Family::default(),
            call_s: Histogram::new(CALL_S),
            held_s: Histogram::new(HELD_S),
            sessions: Gauge::default(),
            waiting: Gauge::default(),
            records: Counter::default(),
            unsealed: Gauge::default(),
            failed: Gauge::default(),
            spans: Family::default(),
        };
        let all = &mut it.registry;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        all.register("build", "Which Stockade this is", Info::new(version));
        let help = "Requests that were judged, of either side";
        all.register("requests", help, it.requests.clone());
        let help =
            "Calls of tools that were judged; `other` is a tool that the server has not listed";
        all.register("calls", help, it.calls.clone());
        let help = "Calls of tools that ended, and how";
        all.register("calls_ended", help, it.ended.clone());
        let help = "Requests and answers that did not pass, by the rule that decided";
        all.register("denials", help, it.denials.clone());
        let help = "Questions to a person that came to their end";
        all.register("approvals", help, it.approvals.clone());
        let help = "What the checks have seen, and what was done; `fix` is what was taken out";
        all.register("findings", help, it.findings.clone());
        all.register("message_bytes", "Bytes of the messages that came", it.bytes.clone());
        let help = "How long calls took that were sent on, from the request to its end";
        all.register("call_duration_seconds", help, it.call_s.clone());
        let help = "How long messages were held to be judged and written down";
        all.register("guard_duration_seconds", help, it.held_s.clone());
        all.register("sessions_open", "Conversations that are open", it.sessions.clone());
        let help = "Requests that wait for a person now";
        all.register("waiting_for_person", help, it.waiting.clone());
        all.register("ledger_records", "Records that were taken", it.records.clone());
        let help = "Records that no signature covers yet";
        all.register("ledger_unsealed", help, it.unsealed.clone());
        let help = "1 if the ledger takes nothing more, and so nothing passes";
        all.register("ledger_failed", help, it.failed.clone());
        let help = "Spans of calls that were sent to a collector, or lost";
        all.register("spans", help, it.spans.clone());
        it
    }

    /// Sees a record, whether it is written or only counted.
    pub fn see(&self, record: &Record) {
        for it in &record.findings {
            let labels = [("rule", it.rule.into()), ("action", it.action.into())];
            self.findings.get_or_create(&labels).inc();
        }
        let (is_decision, is_outcome) =
            (record.kind == Kind::Decision, record.kind == Kind::Outcome);
        let is_denied = (is_decision || is_outcome) && record.decision == Some("deny");
        if is_denied || record.kind == Kind::Refusal {
            let rule = self.rules.label(record.rule.as_deref().unwrap_or_default());
            self.denials.get_or_create(&[("rule", rule)]).inc();
        }
        if let Some(decision) = record.decision.filter(|_| is_decision || is_outcome) {
            self.answered(record, decision);
            if is_decision {
                self.decided(record, decision);
            }
        }
        if let Some(status) = record.status.filter(|_| is_outcome && record.method == "tools/call")
        {
            self.ended.get_or_create(&[("status", status.name().into())]).inc();
            if let Some(ms) = record.duration_ms.filter(|_| status != Status::Refused) {
                self.call_s.observe(Duration::from_millis(ms).as_secs_f64());
            }
        }
    }

    fn decided(&self, record: &Record, decision: &'static str) {
        let method = METHODS.iter().find(|it| **it == record.method).copied();
        let method = method.unwrap_or(OTHER);
        let labels = [("method", method.into()), ("decision", decision.into())];
        self.requests.get_or_create(&labels).inc();
        if method != "tools/call" {
            return;
        }
        // Only of what is listed is the definition known.
        let tool = record.tool.as_deref().filter(|_| record.tool_digest.is_some());
        let tool = tool.map_or(OTHER.into(), |it| self.tools.label(it));
        self.calls.get_or_create(&[("tool", tool), ("decision", decision.into())]).inc();
    }

    /// What was asked about has come to its end, if that is what it is.
    fn answered(&self, record: &Record, decision: &'static str) {
        if record.approved_digest.is_none() {
            return;
        }
        let outcome = match (decision, &record.approver) {
            ("allow", _) => "approved",
            (_, Some(_)) => "denied",
            (_, None) => "unanswered",
        };
        // Behind the word may be which grant it was.
        let channel = record.channel.as_deref().and_then(|it| it.split(' ').next());
        let channel = channel.map_or("none".into(), |it| self.channels.label(it));
        self.approvals.get_or_create(&[("channel", channel), ("outcome", outcome.into())]).inc();
    }

    /// The ledger takes nothing more.
    pub fn unwritten(&self) {
        self.failed.set(1);
    }

    /// So many spans were `sent`, or `lost`.
    pub fn spans(&self, outcome: &'static str, spans: usize) {
        let spans = u64::try_from(spans).unwrap_or(u64::MAX);
        self.spans.get_or_create(&[("outcome", outcome.into())]).inc_by(spans);
    }

    /// The numbers, as Prometheus reads them.
    fn text(&self, ledger: Counted) -> Result<String, std::fmt::Error> {
        self.records.inner().store(ledger.taken, Ordering::Relaxed);
        self.unsealed.set(i64::try_from(ledger.unsealed()).unwrap_or(i64::MAX));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// One conversation, in the numbers of its guard, for as long as it is there.
#[derive(Debug)]
pub struct Talk {
    metrics: Arc<Metrics>,
    waiting: AtomicI64,
}

impl Talk {
    /// It has begun.
    pub fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.sessions.inc();
        Self { metrics: Arc::clone(metrics), waiting: AtomicI64::new(0) }
    }

    /// So many of its requests wait for a person now.
    pub fn waits(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let before = self.waiting.swap(count, Ordering::Relaxed);
        self.metrics.waiting.inc_by(count.saturating_sub(before));
    }

    /// A message of this length came from there, and was held for so long.
    pub fn held(&self, from: Side, bytes: usize, time: Duration) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.metrics.bytes.get_or_create(&[("from", from.name().into())]).inc_by(bytes);
        self.metrics.held_s.observe(time.as_secs_f64());
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.waits(0);
        self.metrics.sessions.dec();
    }
}

/// Names that somebody else has chosen, as labels: so many, and no more.
#[derive(Debug)]
struct Names {
    max: usize,
    known: Mutex<HashSet<String>>,
}

impl Names {
    fn up_to(max: usize) -> Self {
        Self { max, known: Mutex::default() }
    }

    fn label(&self, text: &str) -> Cow<'static, str> {
        let text = label(text);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&text) {
            return text.into();
        }
        if known.len() >= self.max {
            return OTHER.into();
        }
        known.insert(text.clone());
        text.into()
    }
}

/// A name without what might be a secret in it, and what nobody sees.
fn label(text: &str) -> String {
    visible(&clipped(text, LABEL_CHARS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(tool: &str) -> Record {
        Record {
            kind: Kind::Decision,
            method: "tools/call".to_owned(),
            tool: Some(tool.to_owned()),
            tool_digest: Some("d".to_owned()),
            decision: Some("allow"),
            ..Record::default()
        }
    }

    fn text(metrics: &Metrics) -> String {
        metrics.text(Counted { taken: 0, sealed: 0 }).unwrap()
    }

    #[test]
    fn what_somebody_else_names_is_so_many_series_and_no_more() {
        let metrics = Metrics::new("files");
        (0..10_000).for_each(|n| metrics.see(&call(&format!("tool-{n}"))));
        let rule = |n| Record { rule: Some(format!("rule {n}")), ..call("x") };
        let denied = |n| Record { decision: Some("deny"), method: format!("m/{n}"), ..rule(n) };
        (0..10_000).for_each(|n| metrics.see(&denied(n)));
        let text = text(&metrics);
        let lines = |of: &str| text.lines().filter(|it| it.starts_with(of)).count();
        assert_eq!(lines("stockade_calls_total"), TOOLS_MAX + 1);
        assert_eq!(lines("stockade_denials_total"), RULES_MAX + 1);
        assert_eq!(lines("stockade_requests_total"), 2);
        let other =
            "stockade_calls_total{server=\"files\",tool=\"other\",decision=\"allow\"} 9900\n";
        assert!(text.contains(other), "{text}");
    }

    #[test]
    fn a_name_ends_no_label() {
        let metrics = Metrics::new("a\"} 1\nx");
        metrics.see(&call("b\",decision=\"allow\"} 9\nstockade_forged_total 1\u{1b}[2J"));
        let text = text(&metrics);
        assert!(
            text.lines().all(|it| it.starts_with('#') || it.starts_with("stockade_")),
            "{text}"
        );
        let forged = |it: &str| it.starts_with("stockade_forged");
        assert!(!text.lines().any(forged) && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_conversation_that_is_gone_has_nothing_open() {
        let metrics = Arc::new(Metrics::new("files"));
        let (one, other) = (Talk::new(&metrics), Talk::new(&metrics));
        one.waits(3);
        other.waits(1);
        other.waits(2);
        assert_eq!((metrics.sessions.get(), metrics.waiting.get()), (2, 5));
        drop(one);
        assert_eq!((metrics.sessions.get(), metrics.waiting.get()), (1, 2));
        drop(other);
        assert_eq!((metrics.sessions.get(), metrics.waiting.get()), (0, 0));
    }
}
