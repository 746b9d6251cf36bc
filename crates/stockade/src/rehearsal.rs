//! One call, carried through a session as a guard would carry it, with nobody on either side: what
//! would come of it, and by which rule. Nothing is started, sent or written.
//!
//! It is the session that decides here too, so what is said is what a guard would do with the first
//! call of a client. What only a longer conversation shows, limits, quotas and what was read before,
//! is not in it; nor is a lock.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use stockade_core::approval::{Answer, Question};
use stockade_core::json::Json;
use stockade_core::judge::Cleared;
use stockade_core::leads;
use stockade_core::message::{Frame, Message, Side};
use stockade_core::policy::{Action, Policy};
use stockade_core::record::{Kind, Noted, Record, Status};
use stockade_core::revision::Revision;
use stockade_core::session::{Charge, Effect, Event, Memory, Over, Parties, Server, Session};

use crate::guard::links;

/// A call.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The tool.
    pub tool: &'a str,
    /// Its arguments: a JSON object, to the letter.
    pub arguments: &'a str,
    /// What the client calls itself.
    pub client: Option<&'a str>,
    /// Who is signed in.
    pub principal: Option<&'a str>,
}

/// What is around a call.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// By what is judged.
    pub policy: &'a Arc<Policy>,
    /// What the server has listed.
    pub tools: &'a [Value],
    /// Whether it is looked up on this machine where paths lead, as a guard does for a server of this
    /// machine.
    pub looks: bool,
}

/// What came of a call, or of its answer.
#[derive(Clone, Debug)]
pub struct Came {
    /// What is done, or in shadow would be.
    pub done: Action,
    /// It would be done, and is not.
    pub shadow: bool,
    /// Who decided: a rule of the policy or of the checks; of what is mended or asked about, each.
    pub rules: Vec<String>,
    /// In words.
    pub why: Vec<String>,
    /// What the checks saw.
    pub findings: Vec<Noted>,
    /// What goes on: arguments, or a result. Nothing, where nothing does.
    pub sent: Option<Value>,
    /// What the client is told in place of an answer.
    pub told: Option<String>,
}

/// A call and its answer.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// The call.
    pub call: Came,
    /// The answer, where there was one and the call went on or was approved.
    pub answer: Option<Came>,
    /// Of the tool that is called, whether it is in the list that a client gets; nothing, where the
    /// server lists no such tool.
    pub listed: Option<bool>,
}

/// Carries out a call, and `answer` as what the server says to it.
pub fn rehearse(scene: &Scene<'_>, call: &Call<'_>, answer: Option<&Value>) -> Rehearsed {
    Rehearsal::new(scene, call).carry_out(scene, call, answer)
}

struct Rehearsal {
    session: Session,
    policy: Arc<Policy>,
    server: Arc<Server>,
    listed: Option<bool>,
}

impl Rehearsal {
    /// A conversation that has begun, in which the server has listed what it has.
    fn new(scene: &Scene<'_>, call: &Call<'_>) -> Self {
        let server = Arc::new(Server::new(&scene.policy.tools.server));
        let principal = call.principal.unwrap_or("local").into();
        let parties = Parties { session: "rehearsal".into(), principal };
        let mut session = Session::new(Arc::clone(&server), parties, Arc::default());
        session.heeds_questions();
        session.heeds_answers();
        session.remembered_by(Arc::new(Nothing));
        session.fenced_with([0; 32]);
        let policy = Arc::clone(scene.policy);
        let mut begun = Self { session, policy, server, listed: None };
        let version = Revision::V2025_11_25.name();
        let client = json!({ "name": call.client.unwrap_or_default(), "version": "" });
        let can = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
        begun.ask(1, "initialize", &can);
        let itself = json!({ "name": "", "version": "" });
        let has = json!({ "tools": {} });
        begun.answer(
            1,
            &json!({ "protocolVersion": version, "capabilities": has, "serverInfo": itself }),
        );
        if !scene.tools.is_empty() {
            begun.ask(2, "tools/list", &json!({}));
            let effects = begun.answer(2, &json!({ "tools": scene.tools }));
            let is_it = |it: &Value| it.get("name").and_then(Value::as_str) == Some(call.tool);
            let shown = sent(&effects, Side::Client, "tools");
            let shown = shown.as_ref().and_then(Value::as_array);
            let shown = shown.is_some_and(|it| it.iter().any(is_it));
            begun.listed = scene.tools.iter().any(is_it).then_some(shown);
        }
        begun
    }

    fn carry_out(
        mut self,
        scene: &Scene<'_>,
        call: &Call<'_>,
        answer: Option<&Value>,
    ) -> Rehearsed {
        let (name, arguments) = (Value::from(call.tool), call.arguments);
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{{"name":{name},"arguments":{arguments}}}}}"#
        );
        let bytes = Bytes::from(text);
        let event = self.looked(scene, bytes.clone());
        let event = event.unwrap_or(Event::Heard { from: Side::Client, bytes });
        let effects = self.on(event);
        let asked = asked(&effects);
        let mut came = of_call(&effects, asked);
        let goes_on = match asked {
            Some(question) => {
                let approved = Answer {
                    approved: true,
                    approver: Some("rehearsal".to_owned()),
                    channel: None,
                    says: String::new(),
                    edited: None,
                };
                let (call, digest) = (question.id.clone(), question.digest.clone());
                let effects = self.on(Event::Decided { call, digest, answer: approved });
                let decided = records(&effects).find(|it| it.kind == Kind::Decision);
                came.findings = decided.map(|it| it.findings.clone()).unwrap_or_default();
                sent(&effects, Side::Server, "name").is_some()
            }
            None => came.sent.is_some(),
        };
        let answer = answer.filter(|_| goes_on).map(|it| of_answer(&self.answer(3, it)));
        Rehearsed { call: came, answer, listed: self.listed }
    }

    /// The call, with where its paths lead.
    fn looked(&self, scene: &Scene<'_>, bytes: Bytes) -> Option<Event> {
        let roots = &self.policy.roots;
        if !scene.looks || roots.is_empty() {
            return None;
        }
        let frame = Frame::parse(Side::Client, bytes, &self.policy.limits.json());
        let Ok(Frame::One(message)) = frame else { return None };
        let paths = leads::paths(&message, &self.server, &self.policy, roots);
        let leads = Box::new(links::look(paths, roots));
        Some(Event::Looked { message, leads })
    }

    fn ask(&mut self, id: u64, method: &str, params: &Value) -> Vec<Effect> {
        let said = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.on(Event::Heard { from: Side::Client, bytes: said.to_string().into() })
    }

    fn answer(&mut self, id: u64, result: &Value) -> Vec<Effect> {
        let said = json!({ "jsonrpc": "2.0", "id": id, "result": result });
        self.on(Event::Heard { from: Side::Server, bytes: said.to_string().into() })
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        self.session.on(event, &self.policy, 0)
    }
}

fn records(effects: &[Effect]) -> impl Iterator<Item = &Record> {
    effects.iter().filter_map(|it| if let Effect::Record(it) = it { Some(&**it) } else { None })
}

/// What a person is asked.
fn asked(effects: &[Effect]) -> Option<&Question> {
    effects.iter().find_map(|it| if let Effect::Ask(it) = it { Some(&**it) } else { None })
}

/// What goes to one side.
fn said(effects: &[Effect], to: Side) -> impl Iterator<Item = &Message> {
    let messages = effects.iter().filter_map(move |it| {
        if let Effect::Send(it) = it { Some(it).filter(|it| it.to() == to) } else { None }
    });
    messages.map(Cleared::message)
}

/// A part of what goes to one side.
fn sent(effects: &[Effect], to: Side, name: &str) -> Option<Value> {
    said(effects, to).find_map(|it| it.get(name).map(Json::to_value))
}

fn of_call(effects: &[Effect], asked: Option<&Question>) -> Came {
    let told = |name: &str| sent(effects, Side::Client, name);
    let told =
        told("content").and_then(|it| it.pointer("/0/text").cloned()).or_else(|| told("message"));
    let told = told.as_ref().and_then(Value::as_str).map(str::to_owned);
    let decided = records(effects).find(|it| it.kind == Kind::Decision);
    if let Some(question) = asked {
        return of_question(question, told);
    }
    let Some(decided) = decided else {
        // It never was a request.
        let why = records(effects).map(|it| it.says.clone()).filter(|it| !it.is_empty());
        let (rules, why) = (vec!["protocol".to_owned()], why.collect());
        let (shadow, findings, sent) = (false, Vec::new(), None);
        return Came { done: Action::Deny, shadow, rules, why, findings, sent, told };
    };
    let sent = sent(effects, Side::Server, "arguments");
    of_record(decided, decided.decision == Some("deny"), sent, told)
}

fn of_question(question: &Question, told: Option<String>) -> Came {
    let by = |it: &String| it.split(' ').next().unwrap_or_default().to_owned();
    Came {
        done: Action::Ask,
        shadow: false,
        rules: question.reasons.iter().map(by).collect(),
        why: question.reasons.clone(),
        findings: Vec::new(),
        sent: Some(question.arguments.clone()),
        told,
    }
}

fn of_answer(effects: &[Effect]) -> Came {
    if let Some(question) = asked(effects) {
        return of_question(question, None);
    }
    let sent = said(effects, Side::Client).find_map(|it| it.body().map(Json::to_value));
    let ended = records(effects).find(|it| it.kind == Kind::Outcome);
    let ended = ended.cloned().unwrap_or_default();
    of_record(&ended, ended.status == Some(Status::Refused), sent, None)
}

fn of_record(record: &Record, refused: bool, sent: Option<Value>, told: Option<String>) -> Came {
    let done = match (record.would, refused, record.mended) {
        (Some(would), ..) => {
            Action::ALL.iter().copied().find(|it| it.name() == would).unwrap_or(Action::Deny)
        }
        (None, true, _) => Action::Deny,
        (None, false, true) => Action::Fix,
        (None, false, false) => Action::Allow,
    };
    let mends = |it: &&Noted| it.action == Action::Fix.name();
    let mut rules: Vec<String> = match done {
        Action::Fix => record.findings.iter().filter(mends).map(|it| it.rule.to_owned()).collect(),
        Action::Allow | Action::Ask | Action::Deny => record.rule.iter().cloned().collect(),
    };
    rules.dedup();
    let why = Some(record.says.clone()).filter(|it| !it.is_empty());
    Came {
        done,
        shadow: record.would.is_some(),
        rules,
        why: why.into_iter().collect(),
        findings: record.findings.clone(),
        sent,
        told,
    }
}

/// Nothing was spent or read before.
#[derive(Debug)]
struct Nothing;

impl Memory for Nothing {
    fn spend(&self, _who: &str, _charges: &[Charge]) -> Result<Option<Over>, String> {
        Ok(None)
    }

    fn spent(&self, _who: &str, _charges: &[Charge]) -> Result<(), String> {
        Ok(())
    }

    fn note(&self, _who: &str, _what: &str, _by: &str) -> Result<(), String> {
        Ok(())
    }

    fn noted(&self, _who: &str, _what: &str, _within_s: u64) -> Result<Option<String>, String> {
        Ok(None)
    }

    fn canary(&self, _who: &str) -> Result<String, String> {
        Ok("rehearsal-0000-0000".to_owned())
    }
}
