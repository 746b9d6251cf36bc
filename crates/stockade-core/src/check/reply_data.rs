#![doc = include_str!("reply_data.md")]

use super::{Check, Facts, Findings, Rule, Text, data_sent, rules};
use crate::json::Json;
use crate::message::Side;
use crate::subject::Channel;

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::reply_data
    }

    fn text(&self, text: Text<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let is_reply = text.subject.channel == Channel::Reply && facts.from == Side::Client;
        // Roots are paths, and a policy bounds them.
        if !is_reply || facts.method == "roots/list" || is_picture(text) {
            return;
        }
        let found = data_sent::found(text.str, text.label().unwrap_or_default(), false);
        if !found.is_empty() {
            let what = found.join(" and ");
            out.add_told(text.at, format!("it has {what} in it, and goes to the server"));
        }
    }
}

/// What is a picture or a sound, and no text.
fn is_picture(text: Text<'_>) -> bool {
    let kind = text.at.json().parent().and_then(|it| it.get("type")).and_then(Json::str);
    text.label() == Some("data") && matches!(kind, Some("image" | "audio"))
}
