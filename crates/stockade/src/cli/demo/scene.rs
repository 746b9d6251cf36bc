//! One scene: what is tried, what is expected of it, and what was seen.
//!
//! What was seen is taken from what the client was sent and from what the ledger has, never from
//! what was expected.

use std::path::Path;

use serde_json::Value;
use stockade_store::{Fault, Verdict};

use super::stage::PRIVATE;

/// Something that is tried.
#[derive(Debug)]
pub(super) struct Scene<Act> {
    /// For programs, and for the last line when it goes wrong.
    pub(super) name: &'static str,
    /// For people.
    pub(super) tried: &'static str,
    pub(super) act: Act,
    pub(super) expects: Expect,
}

/// What should come of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expect {
    /// It passes, and what comes back holds `holds`, after so many reports and questions.
    Answer { holds: &'static str, steps: usize, questions: usize },
    /// A rule refuses it. The server never sees it.
    Refused { rule: &'static str },
    /// It is not a message that the protocol has, by an error of this code.
    NotAMessage { code: i64 },
    /// It comes from the server, and a rule mends it on the way to the client.
    Mended { rule: &'static str, how: &'static str, keeps: &'static str, loses: &'static str },
    /// An error of the server, of which the client gets the reference and the ledger the text.
    Replaced { rule: &'static str, recorded: &'static str },
    /// The server asks the client for something, and a rule refuses that.
    NotAsked { rule: &'static str, method: &'static str },
    /// It does not come in, over HTTP.
    TurnedAway { status: u16, why: &'static str },
    /// It reaches the server, which does it, and the kernel does not let it: the answer says so.
    Held { says: &'static str },
}

/// What came back, and what was written down meanwhile.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Everything that the client was sent.
    pub(super) got: String,
    /// The last of it.
    pub(super) answer: Value,
    /// How many reports of progress there were.
    pub(super) steps: usize,
    /// How many questions of the server there were.
    pub(super) questions: usize,
    /// The status, over HTTP.
    pub(super) status: Option<u16>,
    /// What the ledger took in.
    pub(super) records: Vec<Value>,
}

/// What came of it, in words.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) happened: &'static str,
    /// The rule or the part of Stockade that stopped or changed it.
    pub(super) by: Option<&'static str>,
    pub(super) why: String,
}

/// What was seen, or what came instead of what was expected.
pub(super) type Outcome = Result<Seen, String>;

/// Why the demo cannot go on. What a guard does to a call is no trouble.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the guard took too long to answer")]
    Silent,
    #[error("the guard ended")]
    Ended,
    #[error("the guard began with `{0}`")]
    Hello(String),
    #[error("nobody reads what is printed")]
    Unread,
    #[error("the ledger has no decision that could be changed")]
    NothingToForge,
    #[error(transparent)]
    System(#[from] std::io::Error),
    #[error("cannot read the guard's output")]
    Wire(#[from] stockade_wire::error::WireError),
    #[error("the guard's output is not JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Ledger(#[from] stockade_store::Error),
    #[error("cannot speak HTTP with the guard")]
    Hyper(#[from] hyper::Error),
    #[error("cannot ask over HTTP")]
    Request(#[from] http::Error),
    #[error("cannot read the guard's answer")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Nothing that comes back in a scene is longer. An answer of the careless server that is not cut
/// is twice as long.
const GOT_BYTES_MAX: usize = (1 << 20) + (64 << 10);

impl Expect {
    /// What came of a scene.
    pub(super) fn judge(&self, evidence: &Evidence) -> Outcome {
        let seen = self.seen(evidence);
        let harmless = !evidence.got.contains(PRIVATE) && evidence.got.len() <= GOT_BYTES_MAX;
        seen.filter(|_| harmless).ok_or_else(|| evidence.instead())
    }

    fn seen(&self, evidence: &Evidence) -> Option<Seen> {
        let got = |text: &str| evidence.got.contains(text);
        let seen = |happened, by, why| Some(Seen { happened, by: Some(by), why });
        match *self {
            Self::Answer { holds, steps, questions } => {
                let passed = evidence.answer.pointer("/result").is_some()
                    && evidence.answer.pointer("/result/isError") != Some(&Value::Bool(true))
                    && (evidence.steps, evidence.questions) == (steps, questions)
                    && got(holds);
                let answer = holds.replace('"', "");
                let why = match (steps, questions) {
                    (0, 0) => format!("answered `{answer}`"),
                    (steps, 0) => format!("{steps} reports, `{answer}`"),
                    (_, questions) => format!("{questions} question, `{answer}`"),
                };
                passed.then_some(Seen { happened: "passed", by: None, why })
            }
            Self::Refused { rule } => {
                let refused = got(&format!("refused by Stockade: rule `{rule}`"));
                let why = evidence.finding(rule, "deny")?;
                refused.then(|| seen("refused", rule, why))?
            }
            Self::NotAMessage { code } => {
                let error = evidence.answer.pointer("/error/code").and_then(Value::as_i64);
                let record = evidence.record("violation")?;
                let why = record.get("says").and_then(Value::as_str)?.to_owned();
                (error == Some(code)).then(|| seen("refused", "protocol", why))?
            }
            Self::Mended { rule, how, keeps, loses } => {
                let why = evidence.finding(rule, "fix")?;
                (got(keeps) && !got(loses)).then(|| seen(how, rule, why))?
            }
            Self::Replaced { rule, recorded } => {
                let found = evidence.finding(rule, "fix")?;
                let record = evidence.record("outcome")?;
                let field = |name| record.get(name).and_then(Value::as_str);
                let (call, says) = (field("call")?, field("says")?);
                let replaced = got(&format!("(reference {call})"))
                    && !got(recorded)
                    && says.contains(recorded);
                let why = format!("{found}; the client gets a reference, the ledger has the text");
                replaced.then(|| seen("replaced", rule, why))?
            }
            Self::NotAsked { rule, method } => {
                let why = evidence.finding(rule, "deny")?;
                let asked = |it: &&Value| it.get("method").and_then(Value::as_str) == Some(method);
                evidence.records.iter().find(asked)?;
                (evidence.questions == 0).then(|| seen("refused", rule, why))?
            }
            Self::Held { says } => {
                let text = evidence.answer.pointer("/result/content/0/text");
                let held = text.and_then(Value::as_str).map(str::trim) == Some(says);
                held.then(|| seen("held", "sandbox", format!("the server found: {says}")))?
            }
            Self::TurnedAway { status, why } => {
                let turned = evidence.status == Some(status) && evidence.got.is_empty();
                turned.then(|| seen("refused", "front door", format!("{status}: {why}")))?
            }
        }
    }
}

impl Evidence {
    /// The record of a kind that was written last.
    fn record(&self, kind: &str) -> Option<&Value> {
        let is = |it: &&Value| it.get("kind").and_then(Value::as_str) == Some(kind);
        self.records.iter().rev().find(is)
    }

    /// What a rule saw, of which this was made.
    fn finding(&self, rule: &str, action: &str) -> Option<String> {
        let findings = self.records.iter().filter_map(|it| it.get("findings")?.as_array());
        let is = |it: &&Value| {
            it.get("rule").and_then(Value::as_str) == Some(rule)
                && it.get("action").and_then(Value::as_str) == Some(action)
        };
        let finding = findings.flatten().find(is)?;
        finding.get("says").and_then(Value::as_str).map(str::to_owned)
    }

    /// The beginning of what came back, for somebody who has to find out why.
    fn instead(&self) -> String {
        let status = self.status.map(|it| format!("{it} ")).unwrap_or_default();
        let got: String = self.got.chars().take(INSTEAD_CHARS).collect();
        format!("not as expected: {status}{got}")
    }
}

const INSTEAD_CHARS: usize = 300;

/// What comes of checking a ledger that nobody touched.
pub(super) fn whole(ledger: &Path) -> Result<Outcome, Trouble> {
    Ok(match stockade_store::verify(ledger)? {
        Verdict::Whole(it) if it.records > 0 && it.unsealed == 0 && it.torn.is_empty() => {
            let why = format!("{} records, all signed", it.records);
            Ok(Seen { happened: "passed", by: None, why })
        }
        Verdict::Whole(it) => Err(format!("not as expected: {} records unsigned", it.unsealed)),
        Verdict::Broken(it) => Err(format!("not as expected: {it}")),
        Verdict::Nothing => Err("not as expected: there is no ledger".to_owned()),
    })
}

/// What comes of checking one that somebody did.
pub(super) fn broken(ledger: &Path) -> Result<Outcome, Trouble> {
    Ok(match stockade_store::verify(ledger)? {
        Verdict::Broken(it) if it.fault == Fault::Edited => {
            let why = it.line.map(|line| format!("line {line} was edited")).unwrap_or_default();
            Ok(Seen { happened: "found", by: Some("audit verify"), why })
        }
        Verdict::Broken(it) => Err(format!("not as expected: {it}")),
        Verdict::Whole(_) | Verdict::Nothing => {
            Err("not as expected: the change was not found".to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a client and the ledger have of a call that was refused.
    fn refused() -> Evidence {
        let finding = json!({ "rule": "secret", "action": "deny", "says": "a key" });
        Evidence {
            got: "refused by Stockade: rule `secret` (reference s1.2)".to_owned(),
            records: vec![json!({ "kind": "decision", "findings": [finding] })],
            ..Evidence::default()
        }
    }

    #[test]
    fn a_refusal_is_one_where_client_and_ledger_say_so() {
        let expect = Expect::Refused { rule: "secret" };
        let seen = expect.judge(&refused()).unwrap();
        assert_eq!((seen.happened, seen.by, &*seen.why), ("refused", Some("secret"), "a key"));
        let unsaid = Evidence { got: "done".to_owned(), ..refused() };
        assert_eq!(expect.judge(&unsaid).unwrap_err(), "not as expected: done");
        assert!(expect.judge(&Evidence { records: Vec::new(), ..refused() }).is_err());
        assert!(Expect::Refused { rule: "confusable" }.judge(&refused()).is_err());
    }

    #[test]
    fn a_refusal_that_tells_what_nobody_may_read_is_none() {
        let told = Evidence { got: format!("{} {PRIVATE}", refused().got), ..refused() };
        assert!(Expect::Refused { rule: "secret" }.judge(&told).is_err());
    }

    #[test]
    fn an_error_of_a_tool_is_no_answer() {
        let expect = Expect::Answer { holds: "x", steps: 0, questions: 0 };
        let answered = |result| Evidence {
            got: "x".to_owned(),
            answer: json!({ "result": result }),
            ..Evidence::default()
        };
        assert!(expect.judge(&answered(json!({}))).is_ok());
        assert!(expect.judge(&answered(json!({ "isError": true }))).is_err());
        assert!(expect.judge(&Evidence { steps: 1, ..answered(json!({})) }).is_err());
        assert!(expect.judge(&Evidence { got: "x".to_owned(), ..Evidence::default() }).is_err());
    }

    #[test]
    fn a_mended_answer_keeps_and_loses() {
        let finding = json!({ "rule": "secret", "action": "fix", "says": "a key" });
        let mended = |got: &str| Evidence {
            got: got.to_owned(),
            records: vec![json!({ "kind": "outcome", "findings": [finding] })],
            ..Evidence::default()
        };
        let expect =
            Expect::Mended { rule: "secret", how: "redacted", keeps: "user", loses: "hunter2" };
        assert_eq!(expect.judge(&mended("user")).unwrap().happened, "redacted");
        for got in ["user hunter2", "", &"user".repeat(GOT_BYTES_MAX)] {
            assert!(expect.judge(&mended(got)).is_err());
        }
    }
}
