//! What is told `sqlite3`: commands of the program, and functions that reach out of the database.

use super::Item;
use super::texts::{Found, said, words};

/// Commands with a dot before, but for those that only show; and functions that reach out.
pub(super) fn sqlite(items: &[Item<'_>]) -> Found {
    const SHOWS: &[&str] = &[
        ".tables",
        ".schema",
        ".fullschema",
        ".headers",
        ".header",
        ".mode",
        ".indexes",
        ".indices",
        ".databases",
        ".help",
        ".width",
        ".nullvalue",
        ".separator",
        ".timer",
        ".explain",
        ".show",
        ".stats",
        ".version",
        ".print",
        ".quit",
        ".exit",
        ".dump",
        ".dbinfo",
        ".bail",
        ".echo",
        ".timeout",
        ".changes",
        ".eqp",
        ".lint",
        ".parameter",
    ];
    // The first that is neither an option nor the value of one is the file.
    let mut valued = 0_usize;
    let file = words(items).position(|it| {
        let is_value = valued > 0;
        valued = match it.strip_prefix('-') {
            _ if is_value => valued - 1,
            Some(option) => match option.trim_start_matches('-') {
                "separator" | "nullvalue" | "newline" | "vfs" | "mmap" | "maxsize" | "heap"
                | "escape" | "nonce" => 1,
                "lookaside" | "pagecache" => 2,
                _ => 0,
            },
            None => 0,
        };
        !is_value && !it.starts_with('-')
    });
    words(items).enumerate().filter(|it| Some(it.0) != file).find_map(|(_, text)| {
        if FUNCTIONS.iter().any(|it| calls(text, it)) {
            return said("a function that it gives `sqlite3`");
        }
        text.lines().map(str::trim_start).find_map(|line| {
            let command = line.split_whitespace().next().unwrap_or_default();
            let is_command = command
                .strip_prefix('.')
                .is_some_and(|it| it.starts_with(|it: char| it.is_ascii_alphabetic()));
            let shows = SHOWS.contains(&command) && !line.contains('|');
            (is_command && !shows).then(|| said(&format!("`{command}` of `sqlite3`"))).flatten()
        })
    })
}

/// Functions of the program that start an editor, load code, and read and write files.
const FUNCTIONS: &[&str] = &["load_extension", "edit", "writefile", "readfile"];

/// Whether a function is called, with the quotes and comments that may be behind its name.
fn calls(text: &str, function: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let mut rest = lower.as_str();
    while let Some((_, after)) = rest.split_once(function) {
        let mut behind = after;
        loop {
            behind = behind.trim_start_matches(|it: char| {
                it.is_whitespace() || it.is_control() || matches!(it, '"' | '\'' | '`' | ']')
            });
            let comment = match behind.strip_prefix("/*") {
                Some(it) => it.split_once("*/"),
                None => behind.strip_prefix("--").and_then(|it| it.split_once('\n')),
            };
            let Some((_, after)) = comment else { break };
            behind = after;
        }
        if behind.starts_with('(') {
            return true;
        }
        rest = after;
    }
    false
}
