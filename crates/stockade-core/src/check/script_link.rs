#![doc = include_str!("script_link.md")]

use super::links::{Target, inert, targets};
use super::{Check, Facts, Findings, Rule, Text, rules};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::script_link
    }

    fn text(&self, text: Text<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if text.is_name() || !super::image_with_data::may_lead(text.str) || !may_run(text.str) {
            return;
        }
        let is_page = is_page(text.str);
        let all = targets(text.str, |it| runs(it) && !(is_page && it.attribute));
        if !all.is_empty() {
            let says = format!("{} that would run a program", all.len());
            out.add_fixable(text.at, says, inert(text.str, &all));
        }
    }
}

/// Whether there is any of the words, or an entity that may be in one. A browser leaves control characters
/// out of an address, and Markdown the backslash before a sign.
fn may_run(text: &str) -> bool {
    let read = text.bytes().filter(|it| !it.is_ascii_control() && *it != b'\\');
    let lower: Vec<u8> = read.map(|it| it.to_ascii_lowercase()).collect();
    ["script:", "data:", "&#", "&c", "&t", "&n"]
        .iter()
        .any(|it| memchr::memmem::find(&lower, it.as_bytes()).is_some())
}

/// A page as a whole is a program that somebody reads or edits, and links within it are its own.
fn is_page(text: &str) -> bool {
    ["<html", "<!doctype", "<!DOCTYPE", "<HTML", "<head", "<body"]
        .iter()
        .any(|it| memchr::memmem::find(text.as_bytes(), it.as_bytes()).is_some())
}

fn runs(target: &Target) -> bool {
    const NOTHING: [&str; 6] = ["", ";", "void(0)", "void(0);", "void 0", "void 0;"];
    const DOCUMENTS: [&str; 6] = [
        "text/html",
        "application/xhtml+xml",
        "image/svg+xml",
        "text/xml",
        "text/javascript",
        "application/javascript",
    ];
    let Some((scheme, rest)) = target.url.trim().split_once(':') else { return false };
    match scheme.trim().to_ascii_lowercase().as_str() {
        "javascript" | "vbscript" => !NOTHING.contains(&rest.trim()),
        "data" => {
            let rest = rest.trim().to_ascii_lowercase();
            // A picture runs nothing.
            let is_picture = target.fetched && rest.starts_with("image/");
            !is_picture && DOCUMENTS.iter().any(|it| rest.starts_with(it))
        }
        _ => false,
    }
}
