//! The items of a list in a text, read one after the other: an order that is cut into them is one.

/// What is longer is no piece of a sentence.
const ITEM_MAX: usize = 200;
/// A list that is longer than this together is data.
const LIST_MAX: usize = 4000;
/// So many items go on where the one before ends, or it is no sentence that was cut.
const JOINED_MIN: usize = 2;

/// A text with the items of its lists joined, where they go on in lower case. Nothing, where none do.
pub(super) fn joined(text: &str) -> Option<String> {
    memchr::memchr(b'\n', text.as_bytes())?;
    let mut read = String::with_capacity(text.len());
    let (mut joins, mut run) = (0, 0);
    for line in text.lines() {
        match item(line).filter(|it| it.len() <= ITEM_MAX && run <= LIST_MAX) {
            // One that begins like a sentence is one: labels are read one by one.
            Some(item) if run > 0 && !item.starts_with(|it: char| it.is_uppercase()) => {
                joins += 1;
                run += item.len();
                read.push(' ');
                read.push_str(item);
            }
            Some(item) => {
                run = item.len();
                read.push_str(".\n");
                read.push_str(item);
            }
            None => {
                run = 0;
                read.push('\n');
                read.push_str(line);
            }
        }
    }
    (joins >= JOINED_MIN).then_some(read)
}

/// What is behind the mark of an item: `- x`, `* x`, `2. x`.
fn item(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let number = line.trim_start_matches(|it: char| it.is_ascii_digit());
    let rest = if number.len() < line.len() {
        number.strip_prefix(['.', ')'])?
    } else {
        line.strip_prefix(['-', '*', '+', '\u{2022}', '\u{2013}'])?
    };
    rest.strip_prefix([' ', '\t']).map(str::trim).filter(|it| !it.is_empty())
}
