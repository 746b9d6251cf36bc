//! Whether a text would leave the quotes that a server puts around it: what an attacker sends to a
//! server that makes its statements by putting texts together.
//!
//! There is no list of words. The text is put where such a server puts it, and the whole is parsed:
//! what comes to more than one value is no value. Nearly no other text does, since what follows a
//! quote in prose is no SQL, and the server's own quote at the end has to find a beginning.

use std::fmt;

use sqlparser::ast::{BinaryOperator, Expr, GroupByExpr, Select, SetExpr, Statement};
use sqlparser::dialect::{
    Dialect, GenericDialect, MsSqlDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use super::DEPTH_MAX;

/// What a text would be besides a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Breakout {
    /// `UNION SELECT …`: the rows of another table.
    Union,
    /// `OR 1=1`: another condition.
    Condition,
    /// `; DROP …`: another statement.
    Statement,
    /// `--`: the rest of the statement is cut off.
    Comment,
    /// `ORDER BY`, `LIMIT`, `HAVING`: another clause.
    Clause,
}

impl fmt::Display for Breakout {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Union => "a `UNION` with another query",
            Self::Condition => "another condition",
            Self::Statement => "another statement",
            Self::Comment => "a comment that cuts off the rest",
            Self::Clause => "another clause",
        })
    }
}

/// What this text would be, if a server put it between quotes, or in the place of a number, without
/// escaping it. Nothing, where it is a value in every dialect.
///
/// ```
/// use stockade_kit::query::{Breakout, breaks_out};
///
/// assert_eq!(breaks_out("' UNION SELECT name FROM users --"), Some(Breakout::Union));
/// assert_eq!(breaks_out("x' OR '1'='1"), Some(Breakout::Condition));
/// assert_eq!(breaks_out("1; DROP TABLE users"), Some(Breakout::Statement));
/// for text in ["O'Brien", "it's -- well, fine", "the 'union' of 'selected' workers", "3 or 4"] {
///     assert_eq!(breaks_out(text), None, "{text}");
/// }
/// ```
pub fn breaks_out(text: &str) -> Option<Breakout> {
    if let Some(found) = as_number(text) {
        return Some(found);
    }
    ['\'', '"'].into_iter().find_map(|quote| as_text(text, quote))
}

/// So much is looked at, from the first quote on. What is longer is no value that somebody looks for.
const BYTES_MAX: usize = 8 * 1024;
const WORDS_MAX: usize = 600;
/// So many brackets may be around the place.
const BRACKETS_MAX: usize = 2;

fn as_text(text: &str, quote: char) -> Option<Breakout> {
    let at = text.find(quote)?;
    let (before, rest) = text.split_at_checked(at)?;
    let goes_on = text.match_indices(quote).any(|(at, _)| {
        let after = text.get(at + 1..).unwrap_or_default();
        may_go_on(after)
    });
    if rest.len() > BYTES_MAX || !goes_on {
        return None;
    }
    // What is before it stays in the quotes, where only a backslash at its end matters.
    let before = if before.ends_with('\\') { "a\\" } else { "a" };
    let value = format!("{quote}{before}{rest}{quote}");
    // To the others this is a name.
    let dialects = if quote == '"' { OF_MYSQL } else { DIALECTS };
    in_brackets(&value, dialects, rest.contains(')'))
}

/// Whether what follows a quote may be more of a statement: a symbol, a word, or nothing.
fn may_go_on(after: &str) -> bool {
    let rest = after.trim_start();
    match rest.chars().next() {
        None => false,
        Some(it) if it.is_alphabetic() => {
            let word: String = rest.chars().take_while(|it| it.is_alphabetic()).take(12).collect();
            FOLLOWS.contains(&word.to_ascii_lowercase().as_str())
        }
        Some(it) => "=<>|&;-#/+*%^!)~".contains(it),
    }
}

/// What may follow a value.
const FOLLOWS: &[&str] = &[
    "or",
    "and",
    "xor",
    "union",
    "intersect",
    "except",
    "in",
    "like",
    "ilike",
    "glob",
    "regexp",
    "rlike",
    "is",
    "isnull",
    "notnull",
    "not",
    "between",
    "group",
    "order",
    "having",
    "limit",
    "offset",
    "collate",
    "div",
    "mod",
    "sounds",
    "similar",
    "for",
    "into",
    "window",
    "procedure",
];

fn as_number(text: &str) -> Option<Breakout> {
    let trimmed = text.trim_start_matches([' ', '(', '-', '+']);
    let rest = trimmed.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
    if rest.len() == trimmed.len() || text.len() > BYTES_MAX {
        return None;
    }
    let follows = rest.trim_start_matches([' ', '\t', '\n', ')']);
    let word: String = follows.chars().take_while(|it| it.is_alphabetic()).take(12).collect();
    let word = word.to_ascii_lowercase();
    let may = matches!(word.as_str(), "or" | "and" | "union" | "xor" | "intersect" | "except")
        || follows.starts_with([';', '/']);
    if !may {
        return None;
    }
    match in_brackets(text, DIALECTS, text.contains(')'))? {
        // `3 or 4`, `2 and 2 = 4`.
        Breakout::Condition if !says_always(&word, text) => None,
        Breakout::Comment | Breakout::Clause => None,
        found @ (Breakout::Union | Breakout::Statement | Breakout::Condition) => Some(found),
    }
}

/// `1 OR 1=1`, and what asks for something else by a query.
fn says_always(word: &str, text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let asks = lower.contains("select ") && lower.contains('(');
    asks || word != "and" && text.contains(['=', '<', '>', '\''])
}

const OF_MYSQL: &[&dyn Dialect] = &[&MySqlDialect {}];
pub(super) const DIALECTS: &[&dyn Dialect] = &[
    &MySqlDialect {},
    &SQLiteDialect {},
    &PostgreSqlDialect {},
    &MsSqlDialect {},
    &GenericDialect {},
];

fn in_brackets(value: &str, dialects: &[&dyn Dialect], closes: bool) -> Option<Breakout> {
    let most = if closes { BRACKETS_MAX } else { 0 };
    for count in 0..=most {
        let (open, close) = ("(".repeat(count), ")".repeat(count));
        let sql = format!("SELECT 1 FROM t WHERE {open}x = {value}{close}");
        if let Some(found) = dialects.iter().find_map(|it| read(&sql, *it)) {
            return Some(found);
        }
    }
    None
}

fn read(sql: &str, dialect: &dyn Dialect) -> Option<Breakout> {
    let tokens = Tokenizer::new(dialect, sql).tokenize().ok()?;
    let is_word = |it: &&Token| !matches!(it, Token::Whitespace(_));
    if tokens.iter().filter(is_word).count() > WORDS_MAX {
        return None;
    }
    let cut = tokens.iter().find_map(comment);
    let cuts_off = cut.is_some_and(|it| is_short(&it));
    let mut parser = Parser::new(dialect).with_recursion_limit(DEPTH_MAX).with_tokens(tokens);
    let statements = parser.parse_statements().ok()?;
    let (first, others) = statements.split_first()?;
    let found = of_statement(first);
    if !others.is_empty()
        && (found.is_some() || !matches!(first, Statement::Query(_)) || is_one(first))
    {
        return Some(Breakout::Statement);
    }
    found.or_else(|| (cuts_off && is_one(first)).then_some(Breakout::Comment))
}

/// A comment that takes the end of the statement away.
fn comment(token: &Token) -> Option<String> {
    let Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) = token else {
        return None;
    };
    Some(comment.clone())
}

/// Behind a quote that ends a word (`the boys' -- all of them`) prose may go on; an attacker has no
/// more to say.
fn is_short(comment: &str) -> bool {
    let said = comment.trim_matches(|it: char| !it.is_alphanumeric());
    !said.contains(char::is_whitespace)
}

fn of_statement(statement: &Statement) -> Option<Breakout> {
    let Statement::Query(query) = statement else { return Some(Breakout::Statement) };
    let SetExpr::Select(select) = query.body.as_ref() else { return Some(Breakout::Union) };
    let is_more = select.selection.as_ref().is_some_and(adds);
    if is_more {
        return Some(Breakout::Condition);
    }
    let has_clause = query.order_by.is_some()
        || query.limit_clause.is_some()
        || query.fetch.is_some()
        || has_clause(select);
    has_clause.then_some(Breakout::Clause)
}

pub(super) fn has_clause(select: &Select) -> bool {
    let groups = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(by, _) => !by.is_empty(),
    };
    groups || select.having.is_some() || select.into.is_some() || !select.named_window.is_empty()
}

/// Whether it is the one comparison with a value, and nothing else.
fn is_one(statement: &Statement) -> bool {
    let Statement::Query(query) = statement else { return false };
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let mut it = select.selection.as_ref();
    while let Some(Expr::Nested(inner)) = it {
        it = Some(inner.as_ref());
    }
    let Some(Expr::BinaryOp { left, op: BinaryOperator::Eq, right }) = it else { return false };
    matches!(left.as_ref(), Expr::Identifier(_)) && matches!(right.as_ref(), Expr::Value(_))
}

/// Whether there is more than the comparison with a value. Names alone are words: `girls' and boys`.
fn adds(it: &Expr) -> bool {
    if let Expr::Nested(it) = it {
        return adds(it);
    }
    // `girls' choirs'` is a text in a character set called girls, to some.
    if matches!(
        it,
        Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::Prefixed { .. }
            | Expr::TypedString { .. }
    ) {
        return false;
    }
    let Expr::BinaryOp { left, op, right } = it else { return true };
    if matches!(op, BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor) {
        return adds(left) || adds(right);
    }
    let is_first = matches!(left.as_ref(), Expr::Identifier(name) if name.value == "x");
    if *op != BinaryOperator::Eq || !is_first {
        return true;
    }
    !matches!(right.as_ref(), Expr::Value(_)) && !is_hyphenated(right)
}

/// `rock'-n-'roll` is arithmetic only to a parser.
fn is_hyphenated(it: &Expr) -> bool {
    if let Expr::BinaryOp { left, op: BinaryOperator::Minus, right } = it {
        return is_hyphenated(left) && is_hyphenated(right) && (has_name(left) || has_name(right));
    }
    matches!(it, Expr::Value(_) | Expr::Identifier(_))
}

fn has_name(it: &Expr) -> bool {
    if let Expr::BinaryOp { left, right, .. } = it {
        return has_name(left) || has_name(right);
    }
    matches!(it, Expr::Identifier(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_its_quotes_is_found() {
        for (text, expected) in [
            ("' UNION SELECT id, email, city FROM customers --", Breakout::Union),
            ("'/**/UNION/**/SELECT/**/1,2-- -", Breakout::Union),
            ("%' union all select null,null#", Breakout::Union),
            ("0 UNION SELECT password FROM users", Breakout::Union),
            ("') UNION SELECT 1 -- ", Breakout::Union),
            ("' OR '1'='1", Breakout::Condition),
            ("'OR'1'='1", Breakout::Condition),
            ("x' or 1=1 --", Breakout::Condition),
            ("') OR ('1'='1", Breakout::Condition),
            ("')) or (('1'='1", Breakout::Condition),
            ("\" or \"\"=\"", Breakout::Condition),
            ("' or true --", Breakout::Condition),
            ("' || (SELECT password FROM users LIMIT 1) || '", Breakout::Condition),
            ("' AND (SELECT count(*) FROM users) > 1 --", Breakout::Condition),
            ("' AND sleep(5)#", Breakout::Condition),
            ("' or 'a' like '%", Breakout::Condition),
            ("1 OR 1=1", Breakout::Condition),
            ("-1) or (1=1", Breakout::Condition),
            ("\\' OR 1=1 -- ", Breakout::Condition),
            ("'; DROP TABLE orders; --", Breakout::Statement),
            ("1; DELETE FROM orders", Breakout::Statement),
            ("admin'--", Breakout::Comment),
            ("admin' #", Breakout::Comment),
            ("admin'-- -", Breakout::Comment),
            ("' ORDER BY 5 --", Breakout::Clause),
            ("' GROUP BY id HAVING 1=1 --", Breakout::Clause),
        ] {
            assert_eq!(breaks_out(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_people_write_stays_in_its_quotes() {
        for text in [
            "O'Brien",
            // What no database would run is no attack.
            "O'Brien' OR 1=1 --",
            "D'Angelo & Sons -- Ltd; 'the best'",
            "it's -- well, fine",
            "it's; drop me a line",
            "the boys' -- and the girls' -- room",
            "the boys' and girls' choirs",
            "girls' and boys",
            "rock'-n-'roll",
            "rock 'n' roll",
            "'tis -- fine",
            "'a' or 'b'",
            "the 'cats' and 'dogs'",
            "He said \"yes\" and \"no\"",
            "6' 2\" or 5' 9\"",
            "6'-2\"",
            "SELECT * FROM users WHERE name = 'x'",
            "project = 'FOO' AND status = 'Done'",
            "drop table; delete from",
            "union select or and",
            "3 or 4",
            "1 and 2",
            "2 and 2 = 4",
            "5; 6; 7",
            "12 / 3",
            "42",
            "-",
            "",
            "'",
            "''",
            "\\'",
            "C:\\dir\\'x'",
            "l'école d'été - l'an 2000",
            "rock & roll; 'n more",
            "' -- a note on quotes, and more",
        ] {
            assert_eq!(breaks_out(text), None, "{text}");
        }
    }
}
