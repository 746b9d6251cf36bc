//! The items of a list in a text, read one after the other: an order that is cut into them is one.

use std::collections::VecDeque;

/// What is longer is no piece of a sentence, but for its end.
const ITEM_MAX: usize = 200;
/// So much of a list is read at once, with the items before that.
const LIST_MAX: usize = 4000;
/// So many of those.
const AGAIN: usize = 6;
/// So many items go on where the one before ends, or it is no sentence that was cut.
const JOINED_MIN: usize = 2;

/// A text with the items of its lists joined, where they go on in lower case. Nothing, where none do.
pub(super) fn joined(text: &str) -> Option<String> {
    memchr::memchr(b'\n', text.as_bytes())?;
    let mut read = String::with_capacity(text.len());
    let (mut joins, mut run) = (0, 0);
    let mut before: VecDeque<&str> = VecDeque::with_capacity(AGAIN);
    for line in text.lines() {
        match item(line) {
            // One that begins like a sentence is one: labels are read one by one.
            Some(item)
                if run > 0
                    && item.len() <= ITEM_MAX
                    && !item.starts_with(|it: char| it.is_uppercase()) =>
            {
                if run > LIST_MAX {
                    run = before.iter().map(|it| it.len()).sum();
                    read.push_str(".\n");
                    before.iter().for_each(|it| {
                        read.push_str(it);
                        read.push(' ');
                    });
                }
                if before.len() == AGAIN {
                    before.pop_front();
                }
                before.push_back(item);
                joins += 1;
                run += item.len();
                read.push(' ');
                read.push_str(item);
            }
            Some(item) => {
                before.clear();
                run = item.len().min(ITEM_MAX);
                read.push_str(".\n");
                read.push_str(item);
            }
            None => {
                before.clear();
                run = 0;
                read.push('\n');
                read.push_str(line);
            }
        }
    }
    (joins >= JOINED_MIN).then_some(read)
}

/// What is behind the mark of an item: `- x`, `* x`, `2. x`, `２．x`, `Step 2: x`.
fn item(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let number = line.trim_start_matches(|it: char| it.is_ascii_digit());
    if let Some(step) = line.strip_prefix("Step ").or_else(|| line.strip_prefix("step ")) {
        let behind = step.trim_start_matches(|it: char| it.is_ascii_digit());
        let rest = behind.strip_prefix([':', '.', ')']).filter(|_| behind.len() < step.len())?;
        return Some(rest.trim()).filter(|it| !it.is_empty());
    }
    let wide =
        line.trim_start_matches(|it: char| it.is_ascii_digit() || ('０'..='９').contains(&it));
    if let Some(rest) = wide.strip_prefix(['．', '、', '）']).filter(|_| wide.len() < line.len())
    {
        return Some(rest.trim()).filter(|it| !it.is_empty());
    }
    let rest = if number.len() < line.len() {
        number.strip_prefix(['.', ')'])?
    } else {
        line.strip_prefix(['-', '*', '+', '\u{2022}', '\u{2013}'])?
    };
    rest.strip_prefix([' ', '\t']).map(str::trim).filter(|it| !it.is_empty())
}
