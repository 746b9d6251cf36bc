#![doc = include_str!("sampling_request.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::json::Json;
use crate::message::Side;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::sampling_request
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if subject.channel != Channel::Sampling || facts.from != Side::Server {
            return;
        }
        let (question, may) = (subject.asked(), facts.sampling);
        if let Some(it) = question.get("includeContext").filter(|_| !may.include_context)
            && it.str() != Some("none")
        {
            let says = "what the client has from other servers would be told the model";
            out.add_fixable(At::Value(it), says, "none");
        }
        for name in ["tools", "toolChoice"] {
            if let Some(it) = question.get(name).filter(|_| !may.tools) {
                out.add_removable(At::Value(it), format!("the model would be given `{name}`"));
            }
        }
        if let Some(it) = question.get("maxTokens")
            && asks_for_more(it, may.max_tokens)
        {
            let most = may.max_tokens;
            let says = format!("more tokens than a server may ask for at a time ({most})");
            out.add_fixable(At::Value(it), says, most);
        }
        let hints = question.path(&["modelPreferences", "hints"]);
        for hint in hints.filter(|_| may.models.is_some()).into_iter().flat_map(Json::items) {
            if !hint.get("name").and_then(Json::str).is_some_and(|it| may.names(it)) {
                out.add_removable(At::Value(hint), "a model that the policy does not list");
            }
        }
        let bytes: usize = question.all().filter_map(Json::str).map(str::len).sum();
        if bytes > may.bytes_max {
            let says = format!("{bytes} bytes of text, and {} may be asked at a time", may.bytes_max);
            out.add(At::Value(question), says);
        }
    }
}

/// Whether a number is above another. What is no number is above all.
fn asks_for_more(it: Json<'_>, most: u64) -> bool {
    match (it.i64(), it.f64()) {
        (Some(it), _) => u64::try_from(it).is_ok_and(|it| it > most),
        // A float is far below this where it is exact.
        (None, Some(it)) => it > u32::try_from(most).map_or(f64::from(u32::MAX), f64::from),
        (None, None) => true,
    }
}
