#![doc = include_str!("context_parameter.md")]

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::context_parameter
    }

    fn subject(&self, subject: Subject<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if subject.channel != Channel::Tool {
            return;
        }
        let Some(schema) = subject.json.get("inputSchema") else { return };
        for properties in schema.all().filter(|it| it.name() == Some("properties")) {
            // Where a build or a container runs, and with which variables, is what such tools are for.
            let is_own = |name: &str| name.eq_ignore_ascii_case("environment");
            let asks = |name: &str| is_context(name) && !is_own(name);
            for (name, value) in properties.fields().filter(|(name, _)| asks(name)) {
                let what = if is_key(name) { "a credential" } else { "what a model was told" };
                out.add(At::Name(value), format!("a parameter for {what}"));
            }
        }
    }
}

/// Whether a name asks for what a conversation is made of, or for the keys of whoever leads it.
pub(super) fn is_context(name: &str) -> bool {
    if name.len() > NAME_BYTES_MAX {
        return false;
    }
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = name.to_ascii_lowercase();
    CONTEXT.contains(&name.as_str()) || KEYS.contains(&name.as_str())
}

fn is_key(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    KEYS.contains(&name.to_ascii_lowercase().as_str())
}

const NAME_BYTES_MAX: usize = 64;

const CONTEXT: &[&str] = &[
    "conversationhistory",
    "chathistory",
    "messagehistory",
    "conversation",
    "conversationcontext",
    "conversationlog",
    "chatcontext",
    "chatlog",
    "fullconversation",
    "previousmessages",
    "priormessages",
    "allmessages",
    "systemprompt",
    "systemmessage",
    "systeminstructions",
    "developerprompt",
    "developermessage",
    "promptcontext",
    "fullprompt",
    "originalprompt",
    "userprompt",
    "usermessages",
    "contextwindow",
    "modelcontext",
    "chainofthought",
    "reasoningtrace",
    "scratchpad",
    "toolslist",
    "availabletools",
    "toolcallhistory",
    "toolhistory",
    "toolcalls",
    "previoustoolcalls",
    "toolresults",
    "modelname",
    "sessionhistory",
    "usercontext",
    "sidenote",
];

const KEYS: &[&str] = &[
    "apikey",
    "openaiapikey",
    "anthropicapikey",
    "accesstoken",
    "authtoken",
    "sessiontoken",
    "sessioncookie",
    "bearertoken",
    "secretkey",
    "privatekey",
    "sshkey",
    "envvars",
    "environment",
    "environmentvariables",
    "credentials",
];
