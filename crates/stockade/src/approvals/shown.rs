//! A question as a person reads it in a terminal: all of it, and nothing in it that does not show
//! itself.

use std::fmt::Write as _;

use serde_json::Value;
use stockade_core::check::{escaped, visible};

use super::Shown;

/// The question in full, a line for each thing.
pub fn in_full(shown: &Shown) -> String {
    let question = &shown.asked.question;
    let mut out = String::new();
    let mut line = |name: &str, text: &str| {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let _infallible = writeln!(out, "  {name:<11}{first}");
        lines.for_each(|it| {
            let _infallible = writeln!(out, "  {:<11}{it}", "");
        });
    };
    if shown.flood {
        let server = visible(&question.server);
        line(
            "flood",
            &format!("{} calls of `{server}` wait, more than anybody reads", shown.times),
        );
        line("allow", "to be asked about them one by one");
        line("deny", "to deny all of them, and those to come in the next minute");
        line("the first", "is this:");
    }
    match &question.tool {
        Some(tool) => line("tool", &quoted(tool)),
        None => line("method", &quoted(&question.method)),
    }
    line("server", &quoted(&question.server));
    let whose = format!(
        "{} (the client calls itself {})",
        quoted(&question.principal),
        quoted(&question.client)
    );
    line("for", &whose);
    if question.from == "server" {
        line("asked by", "the server itself, not the client");
    }
    line("arguments", &pretty(&question.arguments));
    if let Some(verbatim) = &question.verbatim {
        line("verbatim", &escaped(verbatim));
    }
    if !question.beside.is_null() {
        line("beside", &pretty(&question.beside));
    }
    if question.mended {
        line("", "(mended by the policy; this is what would be sent)");
    }
    if !shown.flood && shown.times > 1 {
        line(
            "calls",
            &format!("{} that say exactly this; the answer is for all of them", shown.times),
        );
    }
    question.reasons.iter().for_each(|it| line("asks", &visible(it)));
    question.findings.iter().for_each(|it| line("found", &visible(it)));
    shown.asked.known.iter().for_each(|it| line("known", &visible(it)));
    let claims = &question.claims;
    [&claims.title, &claims.description].into_iter().flatten().for_each(|it| {
        line("it says", &quoted(it));
    });
    if let Some(annotations) = &claims.annotations {
        line("it says", &escaped(&annotations.to_string()));
    }
    if question.tool.is_some() && question.tool_digest.is_none() {
        line("it says", "nothing: the server has not listed this tool");
    }
    out
}

/// The question as a client shows it: many of them read it as Markdown, in which a part of it would
/// not be seen, but for what stands in a fence that nothing in it can close.
pub fn in_a_client(shown: &Shown) -> String {
    let question = in_full(shown);
    let longest = question.split(|it| it != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!(
        "Stockade asks whether this may be done. It is not done before somebody has said yes.\n\n\
         {fence}text\n{question}{fence}\n\nReference {}. It can be answered with `stockade \
         approvals` as well, and the first answer counts.",
        visible(&shown.id)
    )
}

/// The question in one line.
pub fn in_brief(shown: &Shown) -> String {
    let question = &shown.asked.question;
    let what = question.tool.as_deref().unwrap_or(&question.method);
    let times = if shown.times > 1 { format!(" ×{}", shown.times) } else { String::new() };
    let kind = if shown.flood { "flood, the first: " } else { "" };
    format!(
        "{}  {} left  {kind}{} of {}{times}",
        visible(&shown.id),
        time(shown.left_ms),
        quoted(what),
        quoted(&question.server)
    )
}

/// How long there still is.
pub fn time(ms: u64) -> String {
    let seconds = ms / 1000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// JSON on as many lines as it needs, in which everything can be seen.
pub fn pretty(value: &Value) -> String {
    escaped(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// A text in quotation marks, in which everything can be seen.
pub fn quoted(text: &str) -> String {
    escaped(&Value::from(text).to_string())
}
