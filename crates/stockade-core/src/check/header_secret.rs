#![doc = include_str!("header_secret.md")]

use super::secret::is_secret_name;
use super::{Check, Facts, Findings, Rule, rules};
use crate::catalog;
use crate::finding::At;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::header_secret
    }

    fn subject(&self, subject: Subject<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        let schema = subject.json.get("inputSchema").filter(|_| subject.channel == Channel::Tool);
        let headers = schema.and_then(|it| catalog::headers(it).ok()).unwrap_or_default();
        let secret = headers.iter().find(|(path, _)| path.iter().any(|it| is_secret_name(it)));
        if let Some((_, header)) = secret {
            let says = format!("a secret goes into the header `Mcp-Param-{header}`");
            out.add_removable(At::Value(subject.json), says);
        }
    }
}
