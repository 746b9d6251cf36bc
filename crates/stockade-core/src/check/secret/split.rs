//! Finds secrets that are cut in pieces, one in each of several texts that are read one after the
//! other: the blocks of a result, the items of a list.

use std::ops::Range;

use super::{DEPTH_MAX, Secret, inside, instead};
use crate::check::{Facts, Findings};
use crate::finding::At;
use crate::json::Json;
use crate::subject::{Channel, Subject};

/// What the texts are called that are read one after the other.
const READ_ON: [Option<&str>; 2] = [None, Some("text")];

pub(super) fn look(subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
    use Channel::{Argument, Call, Prompt, Resource, Roots, Template, Tool, Uri};
    // What describes something, and what a client asks for, is not read on from text to text.
    if matches!(
        subject.channel,
        Argument | Call | Prompt | Resource | Roots | Template | Tool | Uri
    ) {
        return;
    }
    for name in READ_ON {
        let texts = subject.json.all().filter(|it| it.name() == name);
        let parts: Vec<(Json<'_>, &str)> = texts.filter_map(|it| Some((it, it.str()?))).collect();
        if parts.len() > 1 {
            in_parts(&parts, facts, out);
        }
    }
}

fn in_parts(parts: &[(Json<'_>, &str)], facts: &Facts<'_>, out: &mut Findings<'_>) {
    let whole: Vec<u8> = parts.iter().flat_map(|(_, it)| it.bytes()).collect();
    let found = inside(&whole, DEPTH_MAX, false);
    let mut start = 0;
    let mut next = found.iter().peekable();
    for (json, text) in parts {
        let part = start..start + text.len();
        start = part.end;
        while next.next_if(|it| it.at.end <= part.start).is_some() {}
        let here = next.clone().take_while(|it| it.at.start < part.end);
        let crosses = |it: &Secret| it.at.start < part.start || it.at.end > part.end;
        let mut secrets: Vec<&Secret> = here.collect();
        if secrets.iter().any(|it| !crosses(it)) {
            // The text by itself shows some of them. What names the others is in another.
            let known = super::secrets(text, json.name());
            let is_known =
                |it: &Secret| known.iter().any(|known| known.at.start + part.start == it.at.start);
            secrets.retain(|it| crosses(it) || it.encoded.is_none() && !is_known(it));
        }
        let Some(first) = secrets.first() else { continue };
        let says = format!("a part of a secret: {}", first.kind);
        let mut shown = String::new();
        let mut from = part.start;
        let kept = |range: Range<usize>| {
            text.get(range.start - part.start..range.end - part.start).unwrap_or_default()
        };
        for secret in secrets {
            shown.push_str(kept(from..secret.at.start.max(from)));
            from = secret.at.end.min(part.end);
            // It is named where it begins.
            if secret.at.start >= part.start {
                let bytes = whole.get(secret.at.clone()).unwrap_or_default();
                shown.push_str(&instead(secret.kind, bytes, facts.aliases));
            }
        }
        shown.push_str(kept(from..part.end));
        out.add_fixable(At::Value(*json), says, shown);
    }
}
