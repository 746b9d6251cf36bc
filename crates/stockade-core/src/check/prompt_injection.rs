#![doc = include_str!("prompt_injection.md")]

use data_encoding::BASE64;

use super::{Check, Facts, Findings, Rule, rules};
use crate::detect;
use crate::finding::{At, Mend, Scored, Severity};
use crate::json::Json;
use crate::message::Side;
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::prompt_injection
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        match subject.channel {
            Channel::Content
            | Channel::Sampling
            | Channel::Elicitation
            | Channel::Task
            | Channel::Log
            | Channel::Progress
            | Channel::Error
            | Channel::Other => {}
            // What a server says of itself is `tool_poisoning`'s, and the rest is the client's.
            Channel::Tool
            | Channel::Prompt
            | Channel::Resource
            | Channel::Template
            | Channel::Instructions
            | Channel::Call
            | Channel::Argument
            | Channel::Uri
            | Channel::Roots
            | Channel::Reply
            | Channel::TaskQuestion => return,
        }
        if facts.from != Side::Server {
            return;
        }
        detect::each(subject, &mut |at, said| {
            if out.is_full() || is_fenced(at, facts) {
                return;
            }
            let Some(seen) = detect::look(said) else { return };
            let scored = Scored {
                severity: seen.severity,
                confidence: seen.confidence,
                mend: mend(subject, at, facts),
                mended: at.json(),
            };
            out.add_scored(at, seen.says(), scored);
        });
        let has_parts = |it: &Json<'_>| it.is_array() || it.is_object();
        subject.json.all().filter(has_parts).for_each(|it| pieces(subject, it, facts, out));
    }
}

/// The texts of a list or of an object that only together are an order: a model reads them one after the other.
fn pieces(subject: Subject<'_>, whole: Json<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
    let mut pieces: Vec<(Json<'_>, &str)> = Vec::new();
    // The fields of an object that stands in a list are read with those of its neighbours, too.
    let is_list = whole.is_array();
    for item in whole.items().chain(whole.fields().map(|(_, it)| it)) {
        let inner = item.fields().map(|(_, it)| it).filter(|_| is_list);
        let texts = [item].into_iter().chain(inner);
        for json in texts.filter(|it| is_prose(subject, *it)) {
            let Some(text) = json.str() else { continue };
            // Of a longer one, the end may be the beginning of an order.
            let start = text.floor_char_boundary(text.len().saturating_sub(PIECE_MAX));
            pieces.push((json, text.get(start..).unwrap_or_default()));
        }
    }
    // Of a long list, each part that is read at once, and each half of it with the next.
    let mut rest = pieces.as_slice();
    let mut left = WINDOWS_MAX;
    while rest.len() >= 2 && left > 0 {
        left -= 1;
        let mut len = 0;
        let fits = rest.iter().take_while(|(_, it)| {
            len += it.len() + 1;
            len <= PIECES_MAX
        });
        let count = fits.count();
        let is_order = order_in(subject, rest.get(..count).unwrap_or_default(), facts, out);
        if count == rest.len() {
            return;
        }
        let next = if is_order { count } else { count.div_ceil(2) };
        rest = rest.get(next.max(1)..).unwrap_or_default();
    }
}

/// Pieces that are read one after the other. Whether they are an order.
fn order_in(
    subject: Subject<'_>,
    pieces: &[(Json<'_>, &str)],
    facts: &Facts<'_>,
    out: &mut Findings<'_>,
) -> bool {
    if pieces.len() < 2 || out.is_full() {
        return false;
    }
    let len: usize = pieces.iter().map(|(_, it)| it.len() + 1).sum();
    // A piece that begins like a sentence is one: labels of a menu are read one by one.
    let mut together = String::with_capacity(len + pieces.len());
    for (_, text) in pieces {
        let begins = |it: char| it.is_uppercase() || it.is_numeric();
        together.push_str(if text.starts_with(begins) { ". " } else { " " });
        together.push_str(text);
    }
    let Some(seen) = look(&together).filter(|it| it.severity == Severity::High) else {
        return false;
    };
    // What one of them says alone was found there. It stays out of what the others say.
    if pieces.iter().filter_map(|(it, _)| it.str()).any(|it| look(it).is_some()) {
        return false;
    }
    let is_fenced = |(json, _): &(Json<'_>, &str)| is_fenced(At::Value(*json), facts);
    for (json, _) in pieces.iter().filter(|it| !is_fenced(it)) {
        let at = At::Value(*json);
        let scored = Scored {
            severity: seen.severity,
            confidence: seen.confidence,
            mend: mend(subject, at, facts),
            mended: *json,
        };
        out.add_scored(at, format!("in pieces: {}", seen.says()), scored);
    }
    true
}

fn look(text: &str) -> Option<detect::Suspicion> {
    detect::look(detect::Said { text, of: detect::Of::Content, is_own: &|_| false })
}

/// What is longer is no piece of a sentence, but for its end.
const PIECE_MAX: usize = 200;
/// So much of a list is read at once.
const PIECES_MAX: usize = 4000;
/// So many parts of a list are read: what is longer is data.
const WINDOWS_MAX: usize = 16;

/// Whether a text was mended in an earlier look.
fn is_fenced(at: At<'_>, facts: &Facts<'_>) -> bool {
    let (At::Value(json), Some(fence)) = (at, facts.fence) else { return false };
    let text = json.str().unwrap_or_default();
    fence.is_around(text) || is_blob(json) && decoded(text).is_some_and(|it| fence.is_around(&it))
}

/// By marks around it, where it can have any without being something else: a name or an address
/// cannot.
fn mend(subject: Subject<'_>, at: At<'_>, facts: &Facts<'_>) -> Option<Mend> {
    let At::Value(json) = at else { return None };
    // One of many to choose from: whoever chooses it would get the marks as well.
    if is_choice(json) {
        return Some(Mend::Remove);
    }
    let (fence, text) = (facts.fence?, json.str()?);
    if is_blob(json) {
        let fenced = fence.around(&decoded(text)?, facts.text_bytes_max / 4 * 3);
        return Some(Mend::Replace(BASE64.encode(fenced.as_bytes()).into()));
    }
    let fenced = || Mend::Replace(fence.around(text, facts.text_bytes_max).into());
    is_prose(subject, json).then(fenced)
}

/// Whether it is a value that a completion offers.
fn is_choice(json: Json<'_>) -> bool {
    let list = json.parent().filter(|it| it.name() == Some("values"));
    list.and_then(Json::parent).is_some_and(|it| it.name() == Some("completion"))
}

/// Whether it is bytes in base64.
fn is_blob(json: Json<'_>) -> bool {
    let of_a_kind = || json.parent().is_some_and(|it| it.get("mimeType").is_some());
    match json.name() {
        Some("blob") => true,
        Some("data") => of_a_kind(),
        _ => false,
    }
}

/// Its text, in whichever encoding; what is bytes for the most part has none.
fn decoded(text: &str) -> Option<String> {
    detect::text(BASE64.decode(text.as_bytes()).ok()?)
}

/// Whether a text is read, and not used.
fn is_prose(subject: Subject<'_>, json: Json<'_>) -> bool {
    let name = json.name();
    if subject.channel == Channel::Elicitation {
        // The rest is the form that a client makes of it.
        return matches!(name, Some("message" | "title" | "description"));
    }
    // What has a schema of its own has names of its own.
    let is_structured = subject.json.name() == Some("structuredContent");
    is_structured || !name.is_some_and(|it| USED.contains(&it))
}

/// What the protocol has a use for.
const USED: [&str; 12] = [
    "type",
    "uri",
    "url",
    "uriTemplate",
    "src",
    "mimeType",
    "name",
    "role",
    "method",
    "level",
    "status",
    "mode",
];
