#![doc = include_str!("oversized_content.md")]

use super::{Check, Facts, Findings, Rule, Text, rules};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::oversized_content
    }

    fn text(&self, text: Text<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let (bytes, limit) = (text.str.len(), facts.text_bytes_max);
        if bytes <= limit {
            return;
        }
        let is_blob = matches!(text.label(), Some("data" | "blob"));
        if text.is_name() {
            out.add(text.at, format!("a name of {bytes} bytes, more than {limit}"));
        } else if is_blob {
            out.add(text.at, format!("a blob of {bytes} bytes, more than {limit}"));
        } else {
            let says = format!("a text of {bytes} bytes, more than {limit}");
            out.add_fixable(text.at, says, cut(text.str, limit));
        }
    }
}

/// The beginning of `text` and a mark of how much is missing, together within `limit`. Where the
/// mark itself is too long it is left out.
fn cut(text: &str, limit: usize) -> String {
    // The longest that the mark can be, so that its length does not depend on what it says.
    let room = mark(text.len()).len();
    let (kept, has_mark) = match limit.checked_sub(room) {
        Some(kept) => (text.floor_char_boundary(kept), true),
        None => (text.floor_char_boundary(limit), false),
    };
    let beginning = text.get(..kept).unwrap_or_default();
    let mark = if has_mark { mark(text.len() - kept) } else { String::new() };
    format!("{beginning}{mark}")
}

fn mark(bytes: usize) -> String {
    format!("\n[… {bytes} bytes were cut by Stockade]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_cut_between_characters_and_fits() {
        let text = "ж".repeat(500);
        for limit in 0..1000 {
            assert!(cut(&text, limit).len() <= limit);
        }
        assert_eq!(cut(&text, 50), "жжжжжж\n[… 988 bytes were cut by Stockade]");
    }
}
