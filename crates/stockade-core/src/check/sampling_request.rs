#![doc = include_str!("sampling_request.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::json::Json;
use crate::message::Side;
use crate::policy::review::tokens;
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
        let most = may.max_tokens;
        match question.get("maxTokens") {
            Some(it) if tokens(it).is_none_or(|it| it > most) => {
                let says = format!("more tokens than a server may ask for at a time ({most})");
                out.add_fixable(At::Value(it), says, most);
            }
            Some(_) => {}
            None => {
                let mut limited = question.to_value();
                if let Some(members) = limited.as_object_mut() {
                    members.insert("maxTokens".to_owned(), most.into());
                    let says = format!("no limit to its tokens, where {most} may be asked for");
                    out.add_fixable(At::Value(question), says, limited);
                }
            }
        }
        let named = question.get("modelPreferences").filter(|_| may.models.is_some());
        // What is no list of names is read in some other way by whoever reads it.
        for (it, is_read) in [
            (named, named.is_some_and(Json::is_object)),
            (hints(named), hints(named).is_some_and(Json::is_array)),
        ] {
            if let Some(it) = it.filter(|it| !is_read && !it.is_null()) {
                out.add_removable(At::Value(it), "names of models that cannot be read");
            }
        }
        for hint in hints(named).into_iter().flat_map(Json::items) {
            if !hint.get("name").and_then(Json::str).is_some_and(|it| may.names(it)) {
                out.add_removable(At::Value(hint), "a model that the policy does not list");
            }
        }
        let bytes: usize = question.all().filter_map(Json::str).map(str::len).sum();
        if bytes > may.bytes_max {
            let says =
                format!("{bytes} bytes of text, and {} may be asked at a time", may.bytes_max);
            out.add(At::Value(question), says);
        }
    }
}

fn hints(preferences: Option<Json<'_>>) -> Option<Json<'_>> {
    preferences?.get("hints")
}
