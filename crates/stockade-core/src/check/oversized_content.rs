#![doc = include_str!("oversized_content.md")]

use serde_json::Value;

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
            let shown = cut_json(text.str, limit).unwrap_or_else(|| cut(text.str, limit));
            out.add_fixable(text.at, says, shown);
        }
    }
}

/// The beginning of a text that is an object or a list in JSON, which stays one.
fn cut_json(text: &str, limit: usize) -> Option<String> {
    const TRIES: u32 = 8;
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    // Escapes make what is left longer than was counted.
    let budgets = (0..TRIES).map(|it| limit.saturating_sub(MARK_MAX) >> it);
    budgets.map(|it| shortened(&value, it).to_string()).find(|it| it.len() <= limit)
}

/// More than a mark in JSON can be.
const MARK_MAX: usize = 96;

/// As much of a value as fits, and marks where there was more.
fn shortened(value: &Value, budget: usize) -> Value {
    let length = |it: &Value| it.to_string().len() + 1;
    let mut left = budget;
    match value {
        Value::String(text) if text.len() > budget => Value::String(cut(text, budget)),
        Value::Array(items) => {
            let mut kept = Vec::new();
            for item in items {
                let size = length(item);
                if size > left {
                    if kept.is_empty() && left > MARK_MAX {
                        kept.push(shortened(item, left - MARK_MAX));
                    }
                    break;
                }
                left -= size;
                kept.push(item.clone());
            }
            let missing = items.len() - kept.len();
            if missing > 0 {
                kept.push(Value::String(format!("[… {missing} more were cut by Stockade]")));
            }
            Value::Array(kept)
        }
        Value::Object(members) => {
            let mut kept = serde_json::Map::new();
            for (name, member) in members {
                let size = length(member) + name.len() + 3;
                if size <= left {
                    left -= size;
                    kept.insert(name.clone(), member.clone());
                } else if left > MARK_MAX + name.len()
                    && (member.is_array() || member.is_object() || member.is_string())
                {
                    // What is long is mostly what it is about: its beginning says more than nothing.
                    let part = shortened(member, left - MARK_MAX - name.len());
                    left = left.saturating_sub(length(&part) + name.len() + 3);
                    kept.insert(name.clone(), part);
                }
            }
            let missing = members.len() - kept.len();
            if missing > 0 {
                kept.insert(
                    "…".to_owned(),
                    Value::String(format!("[{missing} more were cut by Stockade]")),
                );
            }
            Value::Object(kept)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
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
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_json_stays_json_and_fits() {
        let rows: Vec<_> =
            (0..200).map(|n| json!({ "id": n, "name": "n".repeat(n % 40) })).collect();
        for value in [
            json!(rows),
            json!({ "rows": rows, "total": 200 }),
            json!({ "text": "ж\n\"".repeat(900), "more": "x" }),
            json!([["deep", rows]]),
        ] {
            for limit in [256, 500, 1000, 4000] {
                let text = cut_json(&value.to_string(), limit).unwrap();
                let kept: Value = serde_json::from_str(&text).unwrap();
                assert!(text.len() <= limit && text.contains("cut by Stockade"), "{limit} {text}");
                assert_eq!(kept.is_array(), value.is_array());
            }
        }
        assert_eq!(cut_json("[1, 2", 4), None);
    }

    #[test]
    fn it_is_cut_between_characters_and_fits() {
        let text = "ж".repeat(500);
        for limit in 0..1000 {
            assert!(cut(&text, limit).len() <= limit);
        }
        assert_eq!(cut(&text, 50), "жжжжжж\n[… 988 bytes were cut by Stockade]");
    }
}
