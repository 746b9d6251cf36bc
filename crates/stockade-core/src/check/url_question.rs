#![doc = include_str!("url_question.md")]

use stockade_kit::url::{Refusal, Url};
use unicode_security::MixedScript;
use unicode_security::confusable_detection::skeleton;

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::{At, Severity};
use crate::json::Json;
use crate::message::Side;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::url_question
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if subject.channel != Channel::Elicitation || facts.from != Side::Server {
            return;
        }
        let question = subject.asked();
        let is_address = question.get("mode").and_then(Json::str) == Some("url");
        // One that stands beside a form is opened by a client that looks at nothing else.
        let Some(at) = question.get("url") else {
            if is_address {
                out.add(At::Value(question), "an address to open that is not there");
            }
            return;
        };
        let Some(text) = at.str() else {
            return out.add(At::Value(at), "an address to open that is no text");
        };
        let url = match Url::parse(text, &["https", "http"]) {
            Ok(it) => it,
            Err(why) => return out.add(At::Value(at), super::redacted(&why.to_string())),
        };
        if let Err(why) = judge(&url, facts) {
            return out.add(At::Value(at), why);
        }
        if let Some(shown) = international(&url) {
            let host = url.host();
            match is_disguised(&shown) {
                true => out.add(
                    At::Value(at),
                    format!("the host `{host}` is shown as `{shown}`, which reads as another name"),
                ),
                false => {
                    let says = format!("the host `{host}` may be shown as `{shown}`");
                    out.add_as(Severity::Low, At::Value(at), says);
                }
            }
        }
    }
}

/// Where a person would be sent. Nobody asks for the address: a public name that leads inside is the
/// browser's to refuse.
fn judge(url: &Url, facts: &Facts<'_>) -> Result<(), String> {
    if facts.inputs.permits(url.host(), url.port()) {
        return Ok(());
    }
    url.judge().map_err(|it| it.to_string())?;
    let is_open = url.as_str().starts_with("http:");
    if is_open { Err(Refusal::Scheme("http".to_owned()).to_string()) } else { Ok(()) }
}

/// The name of a host as people read it, where it is written in another way (Punycode, RFC 3492).
fn international(url: &Url) -> Option<String> {
    url.is_international().then(|| idna::domain_to_unicode(url.host()).0)
}

/// Whether a name has letters of two scripts in one word, or looks like one in ASCII. Letters such as
/// `ü` are Latin, and seen.
fn is_disguised(name: &str) -> bool {
    let mut labels = name.split('.').filter(|it| !it.is_ascii());
    labels.any(|label| {
        let is_latin = label.chars().any(|it| it.is_ascii_alphabetic());
        !label.is_single_script() || !is_latin && skeleton(label).all(|it| it.is_ascii())
    })
}
