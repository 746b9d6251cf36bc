//! What a server asks of its client's model and of the person there, and what a model answers: what
//! the policy says of it, what it costs, and what the record and a person are told. In whatever way it
//! is asked: by a request, in a result that wants input, or in an error that wants an address opened.

use super::memory::{Charge, Refused};
use super::readable::unreadable;
use super::turn::Turn;
use super::waiting::Waiting;
use crate::check;
use crate::json::Json;
use crate::message::{Kind, Message, Side};
use crate::policy::review::tokens;
use crate::policy::{Effect, Origin, Period, Reason, Unit, Verdict, said};
use crate::revision::ELICITATION_REQUIRED;
use crate::risk::{Act, Risk};
use crate::role::Role;
use crate::subject::{Channel, Subject, subjects};

const SAMPLING: &str = "sampling/createMessage";
const ELICITATION: &str = "elicitation/create";

/// So much of a name that a server has chosen is told.
const NAME_CHARS_MAX: usize = 100;
/// So many of them.
const NAMES_MAX: usize = 5;

impl Turn<'_> {
    /// What the policy says of the questions of a server in a message, or of the answers of a model.
    pub(super) fn review(&self, message: &Message, waiting: &Waiting) -> Verdict {
        let each: Vec<Verdict> = match message.from() {
            Side::Server => {
                if let Some(says) = unreadable(message, &waiting.method) {
                    return Verdict::Deny(Reason {
                        rule: "protocol".to_owned(),
                        external: "the question breaks the protocol".to_owned(),
                        internal: says.to_owned(),
                    });
                }
                let questions = questions(message, &waiting.method).into_iter();
                questions.map(|it| self.question(it)).collect()
            }
            Side::Client => {
                let may = &self.policy.sampling;
                let answers = answers_of_model(message, waiting).into_iter();
                answers.map(|it| verdict(may.reply, &may.reply_origin, &by_model(it))).collect()
            }
        };
        let mut all = Verdict::Allow;
        for it in each {
            // Several answers are one reason.
            if it != all {
                all = all.and(it);
            }
        }
        all
    }

    fn question(&self, subject: Subject<'_>) -> Verdict {
        let server = &self.policy.tools.server;
        let is_sampling = subject.channel == Channel::Sampling;
        let (sampling, elicitation) = (&self.policy.sampling, &self.policy.elicitation);
        let (is_for, table) = match is_sampling {
            true => (sampling.is_for(server), "sampling"),
            false => (elicitation.is_for(server), "elicitation"),
        };
        if !is_for {
            return Verdict::Deny(Reason {
                rule: format!("{table}.server"),
                external: format!("rule `{table}.server`"),
                internal: format!("{table}.server does not list this server"),
            });
        }
        let asked = subject.asked();
        if is_sampling {
            return verdict(sampling.effect, &sampling.origin, &of_model(asked));
        }
        // One that is both is held to what is said of both: which of them a client shows is its own.
        let is_address = asked.get("mode").and_then(Json::str) == Some("url");
        let address = (is_address || asked.get("url").is_some())
            .then(|| verdict(elicitation.url, &elicitation.url_origin, &of_address(asked)));
        let why = "the server wants the person at the client to fill in a form";
        let form = (!is_address || asked.get("requestedSchema").is_some())
            .then(|| verdict(elicitation.form, &elicitation.form_origin, why));
        address.into_iter().chain(form).fold(Verdict::Allow, Verdict::and)
    }

    /// Spends what the questions in a message cost that is about to be sent on.
    pub(super) fn spend_tokens(
        &self,
        message: &Message,
        waiting: &Waiting,
    ) -> Result<(), Box<Refused>> {
        let may = &self.policy.sampling;
        if may.tokens_per_day.or(may.requests_per_day).is_none() {
            return Ok(());
        }
        let questions = questions(message, &waiting.method).into_iter();
        let questions = questions.filter(|it| it.channel == Channel::Sampling);
        // What cannot be counted is more than there is.
        let asked = |it: Subject<'_>| match it.asked().get("maxTokens") {
            Some(it) => tokens(it).unwrap_or(u64::MAX),
            None => may.max_tokens,
        };
        let each: Vec<u64> = questions.map(asked).collect();
        if each.is_empty() {
            return Ok(());
        }
        let tokens = each.iter().fold(0, |sum: u64, it| sum.saturating_add(*it));
        let number = u64::try_from(each.len()).unwrap_or(u64::MAX);
        let budgets = [
            ("sampling.tokens_per_day", may.tokens_per_day, tokens),
            ("sampling.requests_per_day", may.requests_per_day, number),
        ];
        let charges = budgets.into_iter().filter_map(|(name, max, amount)| {
            Some(Charge {
                name: name.to_owned(),
                unit: Unit::Cost,
                counted: name.to_owned(),
                period_s: Period::Day.seconds(),
                amount,
                max: max?,
            })
        });
        self.pay(&charges.collect::<Vec<_>>())
    }

    /// What is told, in the record, of what a message asks and answers between a server and the person
    /// and the model at its client.
    pub(super) fn exchanged(message: &Message, waiting: &Waiting) -> String {
        let mut said: Vec<String> = Vec::new();
        match (message.from(), message.kind()) {
            (Side::Server, Kind::Result | Kind::Error) => {
                for it in questions(message, &waiting.method).into_iter().take(NAMES_MAX) {
                    let is_sampling = it.channel == Channel::Sampling;
                    said.push(if is_sampling { SAMPLING } else { ELICITATION }.to_owned());
                }
                if !said.is_empty() {
                    return format!("asks for {}", said.join(", "));
                }
            }
            (Side::Client, Kind::Result) if &*waiting.method == ELICITATION => {
                said.extend(message.body().map(action));
            }
            (Side::Client, Kind::Request) => {
                let responses = message.get("inputResponses").into_iter().flat_map(Json::fields);
                let acted = responses.filter(|(_, it)| it.get("action").is_some());
                let each = acted.map(|(name, it)| format!("`{}`: {}", told(name), action(it)));
                said.extend(each.take(NAMES_MAX));
            }
            (Side::Client, Kind::Result | Kind::Error | Kind::Notification)
            | (Side::Server, Kind::Request | Kind::Notification) => (),
        }
        said.join(", ")
    }

    /// What the tool of a call does, where the policy asks for it.
    pub(super) fn risk(&self, waiting: &Waiting) -> Option<Risk> {
        self.policy.risks.as_ref()?;
        let name = waiting.tool_name.as_deref().unwrap_or_default();
        let risk = match &waiting.tool {
            Some(it) => it.risk.clone(),
            None => Risk::of_name(name),
        };
        let did = self.session.server.did(name);
        let reaches =
            did.reached && !waiting.tool.as_ref().is_some_and(|it| it.roles.has(Role::OpenWorld));
        let risk = if did.wrote { risk.seen(Act::Write) } else { risk };
        Some(if reaches { risk.seen(Act::Send) } else { risk })
    }
}

/// Whether a server asks something of a model or of a person in a message of its.
pub(super) fn asks(message: &Message, method: &str) -> bool {
    !questions(message, method).is_empty()
}

/// The questions of a server in a message of its.
fn questions<'m>(message: &'m Message, method: &str) -> Vec<Subject<'m>> {
    let asks = match message.kind() {
        Kind::Request => matches!(method, SAMPLING | ELICITATION),
        Kind::Result | Kind::Notification => message.get("inputRequests").is_some(),
        Kind::Error => message.get("code").and_then(Json::i64) == Some(ELICITATION_REQUIRED),
    };
    let found = if asks { subjects(message, method) } else { Vec::new() };
    let is_one = |it: &Subject<'_>| matches!(it.channel, Channel::Sampling | Channel::Elicitation);
    found.into_iter().filter(is_one).collect()
}

/// What a model has answered, in a message of its client. What else a client answers is told by its
/// form: a person's answer has an `action`, and roots are `roots`.
fn answers_of_model<'m>(message: &'m Message, waiting: &Waiting) -> Vec<Json<'m>> {
    let is_of_model = |it: &Json<'_>| ["action", "roots"].iter().all(|name| it.get(name).is_none());
    match message.kind() {
        Kind::Result if matches!(&*waiting.method, SAMPLING | "tasks/result") => {
            // A task is the promise of an answer, which comes as the result of the task.
            let is_answer = |it: &Json<'_>| it.get("task").is_none() || it.get("content").is_some();
            message.body().filter(|it| is_of_model(it) && is_answer(it)).into_iter().collect()
        }
        Kind::Request => {
            let responses = message.get("inputResponses").into_iter().flat_map(Json::fields);
            responses.map(|(_, it)| it).filter(is_of_model).collect()
        }
        Kind::Result | Kind::Error | Kind::Notification => Vec::new(),
    }
}

fn verdict(effect: Effect, origin: &Origin, why: &str) -> Verdict {
    match effect {
        Effect::Allow => Verdict::Allow,
        Effect::Ask => Verdict::Ask(vec![said(origin, effect, why)]),
        Effect::Deny => Verdict::Deny(said(origin, effect, why)),
    }
}

/// What a model has answered, in a line. It names the answer: a call that brings another is another
/// question, though it is the same call (see [`crate::approval::digest`]).
fn by_model(answer: Json<'_>) -> String {
    let bytes = serde_json::to_vec(&answer).unwrap_or_default();
    let digest = blake3::hash(&bytes).to_hex();
    let name = digest.get(..16).unwrap_or_default();
    format!("what the client's model has answered goes back to the server (answer {name})")
}

/// What is asked of a model, in a line.
fn of_model(asked: Json<'_>) -> String {
    let messages = asked.get("messages").into_iter().flat_map(Json::items).count();
    let mut all = vec![format!("{messages} message{}", if messages == 1 { "" } else { "s" })];
    all.extend(asked.get("systemPrompt").map(|_| "a system prompt".to_owned()));
    let most = asked.get("maxTokens").and_then(tokens);
    all.extend(most.map(|it| format!("at most {it} tokens")));
    let hints = asked.path(&["modelPreferences", "hints"]).into_iter().flat_map(Json::items);
    let names = hints.filter_map(|it| it.get("name")?.str()).take(NAMES_MAX).map(told);
    let names: Vec<String> = names.collect();
    if !names.is_empty() {
        all.push(format!("models it names: {}", check::listed(names.iter().map(String::as_str))));
    }
    if asked.get("tools").is_some() {
        all.push("with tools for the model to call".to_owned());
    }
    format!("the server wants the client's model to answer ({})", all.join(", "))
}

/// What is to be opened, in a line, with the host by itself: in a long address nobody finds it.
fn of_address(asked: Json<'_>) -> String {
    let text = asked.get("url").and_then(Json::str).unwrap_or_default();
    let url = url::Url::parse(text).ok();
    let host = url.as_ref().and_then(url::Url::host_str).map_or("no host", |it| it);
    let shown = idna::domain_to_unicode(host).0;
    let shown = match shown == host {
        true => String::new(),
        false => format!(", which is Punycode for `{}`", told(&shown)),
    };
    format!(
        "the server wants the person at the client to open an address at the host `{}`{shown}",
        told(host)
    )
}

fn action(answer: Json<'_>) -> String {
    match answer.get("action").and_then(Json::str) {
        Some("accept") => "accepted".to_owned(),
        Some("decline") => "declined".to_owned(),
        Some("cancel") => "dismissed".to_owned(),
        _ => "neither accepted nor declined nor dismissed".to_owned(),
    }
}

fn told(name: &str) -> String {
    check::visible(&check::clipped(name, NAME_CHARS_MAX))
}
