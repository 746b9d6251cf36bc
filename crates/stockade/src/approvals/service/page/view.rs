//! What a page is told: what a terminal is shown, in parts. Every text in it was made visible here, so
//! that the page cannot show less than the terminal; what goes back is apart from what is read.

use serde::Serialize;
use serde_json::Value;
use stockade_core::check::{escaped, visible};

use crate::approvals::grants::{Bound, Bounds, Grant};
use crate::approvals::shown::{pretty, quoted};
use crate::approvals::{Asked, Shown, Told};

/// One line to a page.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Waiting(Vec<Waiting>),
    Asked(Box<Waiting>),
    Settled {
        id: String,
        says: String,
    },
    Grants(Vec<Granted>),
    /// Nothing has happened.
    Here,
}

/// Something that waits.
#[derive(Serialize)]
pub(super) struct Waiting {
    id: String,
    digest: String,
    reference: String,
    times: usize,
    flood: bool,
    left_ms: u64,
    tool: Option<String>,
    method: String,
    server: String,
    principal: String,
    client: String,
    by_server: bool,
    arguments: String,
    verbatim: Option<String>,
    beside: Option<String>,
    mended: bool,
    reasons: Vec<String>,
    findings: Vec<String>,
    known: Vec<String>,
    title: Option<String>,
    description: Option<String>,
    annotations: Option<String>,
    listed: bool,
    /// What could be allowed from now on, argument by argument.
    grant: Option<Vec<Argument>>,
}

/// An argument of a call, or one that the tool takes and the call does not have.
#[derive(Serialize)]
struct Argument {
    name: String,
    shown: String,
    /// What it is; nothing, if it is not there.
    value: Option<String>,
    /// The same to make bounds of, if it is a text in which everything shows.
    text: Option<String>,
}

/// A standing grant.
#[derive(Serialize)]
pub(super) struct Granted {
    id: String,
    tool: String,
    server: String,
    principal: String,
    by: String,
    reasons: Vec<String>,
    left_s: u64,
    /// The name and what it may be.
    arguments: Vec<(String, String)>,
}

impl Line {
    /// Of what watchers are told.
    pub(super) fn of(told: Told, unix_s: u64) -> Option<Self> {
        match told {
            Told::Waiting(waiting) => {
                Some(Self::Waiting(waiting.iter().map(Waiting::of).collect()))
            }
            Told::Asked(shown) => Some(Self::Asked(Box::new(Waiting::of(&shown)))),
            Told::Settled { id, says } => Some(Self::Settled { id, says: visible(&says) }),
            Told::Grants(grants) => {
                Some(Self::Grants(grants.iter().map(|it| Granted::of(it, unix_s)).collect()))
            }
            Told::Answered { .. }
            | Told::Wanted(_)
            | Told::Done(_)
            | Told::Refused(_)
            | Told::Opened { .. } => None,
        }
    }
}

impl Waiting {
    fn of(shown: &Shown) -> Self {
        let question = &shown.asked.question;
        let lines = |of: &[String]| of.iter().map(|it| visible(it)).collect();
        let claims = &question.claims;
        let beside = Some(&question.beside).filter(|it| !it.is_null()).map(pretty);
        let empty = question.arguments.is_null();
        Self {
            id: shown.id.clone(),
            digest: question.digest.clone(),
            reference: visible(&shown.id),
            times: shown.times,
            flood: shown.flood,
            left_ms: shown.left_ms,
            tool: question.tool.as_deref().map(text),
            method: text(&question.method),
            server: text(&question.server),
            principal: text(&question.principal),
            client: text(&question.client),
            by_server: question.from == "server",
            arguments: if empty { String::new() } else { pretty(&question.arguments) },
            verbatim: question.verbatim.as_deref().map(escaped),
            beside,
            mended: question.mended,
            reasons: lines(&question.reasons),
            findings: lines(&question.findings),
            known: lines(&shown.asked.known),
            title: claims.title.as_deref().map(quoted),
            description: claims.description.as_deref().map(quoted),
            annotations: claims.annotations.as_ref().map(|it| escaped(&it.to_string())),
            listed: question.tool_digest.is_some(),
            grant: if shown.flood { None } else { grantable(&shown.asked) },
        }
    }
}

/// What a grant for this could be about; nothing, where there can be none.
fn grantable(asked: &Asked) -> Option<Vec<Argument>> {
    let question = &asked.question;
    question
        .tool_digest
        .as_ref()
        .filter(|_| question.from == "client" && question.asks_no_more())?;
    let bounds = Bounds::of(asked, 0)?;
    let there = bounds.arguments.iter().map(|(name, bound)| {
        let value = if let Bound::Equals(it) = bound { it } else { &Value::Null };
        let is_plain = |it: &&str| visible(it) == **it;
        Argument {
            name: name.clone(),
            shown: text(name),
            value: Some(pretty(value)),
            text: value.as_str().filter(is_plain).map(str::to_owned),
        }
    });
    let others = question.takes.iter().filter(|it| !bounds.arguments.contains_key(*it));
    let others =
        others.map(|it| Argument { name: it.clone(), shown: text(it), value: None, text: None });
    Some(there.chain(others).collect())
}

impl Granted {
    fn of(grant: &Grant, unix_s: u64) -> Self {
        let bound = |it: &Bound| match it {
            Bound::Equals(it) => pretty(it),
            Bound::Within(directory) => format!("a path within {}", quoted(directory)),
            Bound::Matches(regex) => format!("a text that matches {}", quoted(regex)),
            Bound::Any => "anything".to_owned(),
        };
        let arguments = grant.arguments.iter();
        Self {
            id: grant.id.clone(),
            tool: text(&grant.tool),
            server: text(&grant.server),
            principal: text(&grant.principal),
            by: match &grant.void {
                None => visible(&grant.by),
                Some(why) => format!("nobody; it is void: {}", visible(why)),
            },
            reasons: grant.reasons.iter().map(|it| visible(it)).collect(),
            left_s: grant.until_s.saturating_sub(unix_s),
            arguments: arguments.map(|(name, it)| (text(name), bound(it))).collect(),
        }
    }
}

/// A name: as it is where nothing in it is hidden or could be taken for something else, and in
/// quotation marks otherwise.
fn text(name: &str) -> String {
    let is_plain =
        |it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '.' | '/' | ':' | '@');
    let plain = !name.is_empty() && name.chars().all(is_plain) && visible(name) == name;
    if plain { name.to_owned() } else { quoted(name) }
}
