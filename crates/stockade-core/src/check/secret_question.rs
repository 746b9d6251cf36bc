#![doc = include_str!("secret_question.md")]

use super::secret::is_secret_name;
use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::json::Json;
use crate::subject::{Channel, Subject};

pub(super) struct This;

/// What a form may not ask for, as it is said in it: words one after the other.
const SECRETS: &[&str] = &[
    "password", "passwords", "passphrase", "passcode", "api key", "api keys", "apikey", "access token",
    "access key", "auth token", "bearer token", "secret key", "private key", "recovery phrase", "seed phrase",
    "recovery code", "verification code", "one time code", "otp", "2fa code", "pin code", "credentials",
    "credit card", "card number", "cvv", "cvc", "security code", "client secret", "session cookie",
    "ssh key", "passwort", "mot de passe", "contraseña", "senha", "пароль", "密码", "パスワード",
];

/// Of names, besides those that say that their value is a secret.
const NAMES: &[&str] = &["pin", "otp", "cvv", "cvc", "mnemonic", "seedphrase", "cardnumber"];

/// How somebody asks for what follows, within so many words.
const ASKING: &[&str] = &[
    "enter", "type", "provide", "give", "paste", "confirm", "send", "share", "supply", "input", "tell", "need",
    "needs", "require", "requires",
];
const WORDS_BETWEEN: usize = 6;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::secret_question
    }

    fn subject(&self, subject: Subject<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if subject.channel != Channel::Elicitation {
            return;
        }
        let question = subject.json.get("params").unwrap_or(subject.json);
        let schema = question.get("requestedSchema");
        let fields = schema.and_then(|it| it.get("properties")).into_iter().flat_map(Json::fields);
        let mut takes_text = false;
        for (name, field) in fields {
            if !is_free(field) {
                continue;
            }
            takes_text = true;
            let titles = ["title", "description"].into_iter().filter_map(|it| field.get(it)?.str());
            let secret = named(name).then_some(name);
            if let Some(what) = secret.or_else(|| titles.clone().find_map(said)) {
                out.add(At::Value(field), format!("the form asks for `{what}`"));
                return;
            }
        }
        let message = question.get("message").filter(|_| takes_text);
        if let Some((message, what)) = message.and_then(|it| Some((it, asked(it.str()?)?))) {
            out.add(At::Value(message), format!("a person is asked for `{what}`"));
        }
    }
}

/// Whether anything can be typed into it.
fn is_free(field: Json<'_>) -> bool {
    let kind = field.get("type").and_then(Json::str).unwrap_or("string");
    matches!(kind, "string" | "integer" | "number")
        && ["enum", "oneOf", "anyOf", "const"].iter().all(|it| field.get(it).is_none())
}

fn named(name: &str) -> bool {
    let plain: String = name.chars().filter(|it| it.is_alphanumeric()).collect::<String>().to_lowercase();
    is_secret_name(name) || NAMES.contains(&&*plain)
}

/// Words in small letters, with a space before and behind each.
fn words(text: &str) -> String {
    let mut words = String::from(" ");
    for word in text.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty()) {
        words.extend(word.chars().flat_map(char::to_lowercase));
        words.push(' ');
    }
    words
}

/// The secret that a label is about.
fn said(text: &str) -> Option<&'static str> {
    let words = words(text);
    SECRETS.iter().find(|it| words.contains(&format!(" {it} "))).copied()
}

/// The secret that a sentence asks for.
fn asked(text: &str) -> Option<&'static str> {
    let words = words(text);
    SECRETS.iter().copied().find(|secret| {
        words.match_indices(&format!(" {secret} ")).any(|(at, _)| {
            let before = words.get(..at).unwrap_or_default();
            before.split(' ').rev().take(WORDS_BETWEEN).any(|it| ASKING.contains(&it))
        })
    })
}
