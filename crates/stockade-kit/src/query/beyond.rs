//! What stands behind the quote of a value and is known to a database but not to the parser: each has
//! statements and clauses of its own. A few words alone are English, so they count only where the
//! whole can be read (every quote has its other one, or a comment takes it away) and they stand where a
//! statement goes on.

use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use super::literal::{Breakout, is_short, may_go_on};
use super::{Effort, Refusal, outside};

/// Words that begin a statement behind a semicolon.
const STATEMENTS: &[&str] = &[
    "analyze",
    "attach",
    "backup",
    "begin",
    "bulk",
    "call",
    "checkpoint",
    "copy",
    "create",
    "dbcc",
    "declare",
    "delete",
    "deny",
    "detach",
    "do",
    "drop",
    "exec",
    "execute",
    "flush",
    "grant",
    "handler",
    "if",
    "insert",
    "install",
    "kill",
    "listen",
    "load",
    "lock",
    "merge",
    "notify",
    "optimize",
    "pragma",
    "prepare",
    "print",
    "raiserror",
    "reconfigure",
    "refresh",
    "rename",
    "repair",
    "replace",
    "reset",
    "restore",
    "revoke",
    "select",
    "set",
    "shutdown",
    "truncate",
    "uninstall",
    "unlock",
    "update",
    "use",
    "vacuum",
    "waitfor",
    "while",
    "with",
];

/// Those that SQL Server takes right behind a value.
const BARE: &[&str] =
    &["begin", "declare", "exec", "execute", "if", "kill", "shutdown", "waitfor", "while"];

/// Two words that stand next to each other in nothing but SQL, and whether they are a statement.
const PAIRS: &[(&str, &str, bool)] = &[
    ("into", "outfile", false),
    ("into", "dumpfile", false),
    ("into", "@", false),
    ("procedure", "analyse", false),
    ("lock", "in", false),
    ("for", "update", false),
    ("for", "share", false),
    ("waitfor", "delay", true),
    ("waitfor", "time", true),
    ("load", "data", true),
    ("load", "xml", true),
];

/// Whether what follows a quote may begin with one of those.
pub(super) fn may_begin(after: &str) -> bool {
    let word = after.trim_start();
    let length = word.bytes().take(12).take_while(u8::is_ascii_alphabetic).count();
    let word = word.get(..length).unwrap_or_default();
    BARE.iter().chain(["lock"].iter()).any(|it| it.eq_ignore_ascii_case(word))
}

/// What a value, in the quotes of a server, would be besides.
pub(super) fn breaks_out(
    value: &str,
    dialects: &[&dyn Dialect],
    effort: &Effort,
) -> Result<Option<Breakout>, Refusal> {
    for dialect in dialects {
        effort.spend(value.len())?;
        let Ok(tokens) = Tokenizer::new(*dialect, value).tokenize() else { continue };
        if let Some(found) = of_tokens(&tokens, value).or_else(|| outside::of_text(&tokens)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn of_tokens(tokens: &[Token], value: &str) -> Option<Breakout> {
    // Prose goes on behind a dash; an attacker has no more to say.
    let says_more = |it: &Token| {
        matches!(it, Token::Whitespace(Whitespace::SingleLineComment { comment, .. })
            if !is_short(comment))
    };
    let is_prose = tokens.iter().any(says_more);
    let is_said = |it: &&Token| !matches!(it, Token::Whitespace(_) | Token::LParen | Token::RParen);
    let words: Vec<String> = tokens.iter().skip(1).filter(is_said).map(said).collect();
    let first = words.first().filter(|_| !is_prose)?;
    let has_comment = tokens.iter().any(|it| {
        matches!(
            it,
            Token::Whitespace(
                Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)
            )
        )
    });
    let is_bare = BARE.contains(&first.as_str());
    // The quote at the end of a word closes nothing that an attacker opened: `the boys' or the girls'`.
    let is_closed = has_comment || {
        let before = value.get(..value.len().saturating_sub(2)).unwrap_or_default();
        let is_word = before.ends_with(char::is_alphanumeric);
        !(is_word && matches!(words.last().map(String::as_str), Some("''")))
    };
    let goes_on = may_go_on(first) || is_bare || matches!(first.as_str(), "lock" | "load" | "for");
    if !goes_on {
        return None;
    }
    let mut next = words.iter().zip(words.iter().skip(1));
    let begins = |(end, word): (&String, &String)| {
        end == ";" && (STATEMENTS.contains(&word.as_str()) || word == "{")
    };
    if is_closed && (is_bare || next.any(begins)) {
        return Some(Breakout::Statement);
    }
    let mut next = words.iter().zip(words.iter().skip(1));
    next.find_map(|(one, two)| {
        let is = |it: &&(&str, &str, bool)| {
            one == it.0 && (two == it.1 || it.1 == "@" && two.starts_with('@'))
        };
        let (_, _, is_statement) = PAIRS.iter().find(is)?;
        Some(if *is_statement { Breakout::Statement } else { Breakout::Clause })
    })
}

/// A word in small letters, a sign as it is, and of a text nothing.
fn said(token: &Token) -> String {
    if let Token::Word(word) = token
        && word.quote_style.is_none()
    {
        return word.value.to_ascii_lowercase();
    }
    if matches!(token, Token::SingleQuotedString(_) | Token::DoubleQuotedString(_)) {
        return "''".to_owned();
    }
    token.to_string().to_ascii_lowercase()
}
