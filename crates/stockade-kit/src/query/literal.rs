//! Whether a text would leave the quotes that a server puts around it: what an attacker sends to a
//! server that makes its statements by putting texts together.
//!
//! The text is put where such a server puts it, and the whole is parsed: what comes to more than one
//! value is no value. Nearly no other text does, since what follows a quote in prose is no SQL, and the
//! server's own quote at the end has to find a beginning. What the parser does not know is found by the
//! words that go on behind the quote, and by nothing else: see `beyond`.

use std::fmt;

use sqlparser::ast::{BinaryOperator, Expr, GroupByExpr, Select, SetExpr, Statement};
use sqlparser::dialect::{
    Dialect, GenericDialect, MsSqlDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use super::{DEPTH_MAX, Effort, Refusal, beyond};

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
    breaks_out_within(text, &Effort::default()).ok().flatten()
}

/// The same, for as long as the effort lasts.
pub fn breaks_out_within(text: &str, effort: &Effort) -> Result<Option<Breakout>, Refusal> {
    if let Some(found) = as_number(text, effort)? {
        return Ok(Some(found));
    }
    match as_text(text, '\'', effort)? {
        Some(found) => Ok(Some(found)),
        None => as_text(text, '"', effort),
    }
}

/// So much is looked at, from the first quote on. What is longer is no value that somebody looks for.
const BYTES_MAX: usize = 8 * 1024;
const WORDS_MAX: usize = 600;
/// So many brackets may be around the place.
const BRACKETS_MAX: usize = 8;

fn as_text(text: &str, quote: char, effort: &Effort) -> Result<Option<Breakout>, Refusal> {
    let Some((before, rest)) = text.find(quote).and_then(|at| text.split_at_checked(at)) else {
        return Ok(None);
    };
    let goes_on = text.match_indices(quote).any(|(at, _)| {
        let after = text.get(at + 1..).unwrap_or_default();
        may_go_on(after) || beyond::may_begin(after)
    });
    if rest.len() > BYTES_MAX || !goes_on {
        return Ok(None);
    }
    // What is before it stays in the quotes, where only a backslash at its end matters.
    let before = if before.ends_with('\\') { "a\\" } else { "a" };
    // To some, a space is what only looks like one.
    let rest = rest.replace(|it: char| !it.is_ascii() && it.is_whitespace(), " ");
    let value = format!("{quote}{before}{rest}{quote}");
    // To the others this is a name.
    let dialects = if quote == '"' { OF_MYSQL } else { DIALECTS };
    match of_any(&value, dialects, effort)? {
        Some(found) => Ok(Some(found)),
        // To the others it is an operand as well.
        None => beyond::breaks_out(&value, DIALECTS, effort),
    }
}

/// Whether what follows a quote may be more of a statement: a symbol, a word, or nothing.
pub(super) fn may_go_on(after: &str) -> bool {
    let rest = after.trim_start();
    match rest.chars().next() {
        None => false,
        Some(it) if it.is_alphabetic() => {
            let word: String = rest.chars().take_while(|it| it.is_alphabetic()).take(12).collect();
            FOLLOWS.contains(&word.to_ascii_lowercase().as_str())
        }
        Some(':') => rest.starts_with("::"),
        Some(it) => "=<>|&;-#/+*%^!)~@".contains(it),
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
    "match",
    "member",
    "operator",
    "overlaps",
    "at",
    "fetch",
    "natural",
    "returning",
];

fn as_number(text: &str, effort: &Effort) -> Result<Option<Breakout>, Refusal> {
    let trimmed = text.trim_start_matches([' ', '(', '-', '+']);
    let rest = trimmed.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
    if rest.len() == trimmed.len() || text.len() > BYTES_MAX {
        return Ok(None);
    }
    let follows = rest.trim_start_matches([' ', '\t', '\n', ')']);
    let word: String = follows.chars().take_while(|it| it.is_alphabetic()).take(12).collect();
    let word = word.to_ascii_lowercase();
    let may = matches!(word.as_str(), "or" | "and" | "union" | "xor" | "intersect" | "except")
        || follows.starts_with([';', '/']);
    if !may {
        return Ok(None);
    }
    Ok(of_any(text, DIALECTS, effort)?.filter(|it| match it {
        // `3 or 4`, `2 and 2 = 4`.
        Breakout::Condition => says_always(&word, text),
        Breakout::Comment | Breakout::Clause => false,
        Breakout::Union | Breakout::Statement => true,
    }))
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

/// The statements that a server makes of a value: `SELECT 1 FROM t WHERE x = {value}`, with as many
/// brackets around the place as the value closes.
pub(super) struct Placed {
    pub(super) statements: Vec<Statement>,
    /// The comment that takes the end of the statement away.
    pub(super) cut: Option<Cut>,
}

/// A comment to the end of the line, or one without an end.
pub(super) struct Cut {
    pub(super) prefix: String,
    pub(super) says: String,
}

/// Puts a value where a server would. Nothing, where that is no SQL.
pub(super) fn place(
    value: &str,
    dialect: &dyn Dialect,
    words_max: usize,
    effort: &Effort,
) -> Result<Option<Placed>, Refusal> {
    let sql = format!("SELECT 1 FROM t WHERE x = {value}");
    effort.spend(sql.len())?;
    let Ok(mut tokens) = Tokenizer::new(dialect, &sql).tokenize() else { return Ok(None) };
    shorten(&mut tokens, words_max);
    // `!0` of MySQL, which the parser knows of others alone.
    for token in &mut tokens {
        if *token == Token::ExclamationMark {
            *token = Token::make_keyword("NOT");
        }
    }
    let ends_in_comment =
        matches!(tokens.last(), Some(Token::Whitespace(Whitespace::SingleLineComment { .. })))
            || is_unended(tokens.last(), &sql);
    let cut = tokens.iter().find_map(comment);
    let cut = cut.or_else(|| {
        let says = String::new();
        is_unended(tokens.last(), &sql).then(|| Cut { prefix: "/*".to_owned(), says })
    });
    let (mut depth, mut least) = (0_isize, 0_isize);
    for token in &tokens {
        depth += isize::from(*token == Token::LParen) - isize::from(*token == Token::RParen);
        least = least.min(depth);
    }
    // Those that the value closes are open before it; what it leaves open, or has cut off, is not
    // closed again.
    let is_whole = if ends_in_comment { depth == least } else { depth == 0 };
    let Some(count) = usize::try_from(-least).ok().filter(|it| is_whole && *it <= BRACKETS_MAX)
    else {
        return Ok(None);
    };
    let is_where = |it: &Token| matches!(it, Token::Word(word) if word.value == "WHERE");
    if let Some(at) = tokens.iter().position(is_where) {
        tokens.splice(at + 1..at + 1, std::iter::repeat_n(Token::LParen, count));
    }
    if !ends_in_comment {
        tokens.extend(std::iter::repeat_n(Token::RParen, count));
    }
    let mut parser = Parser::new(dialect).with_recursion_limit(DEPTH_MAX).with_tokens(tokens);
    Ok(parser.parse_statements().ok().map(|statements| Placed { statements, cut }))
}

/// Leaves no more words than so many. What is too long ends where a condition does, since an attacker
/// may have written any number of them.
fn shorten(tokens: &mut Vec<Token>, words_max: usize) {
    let (mut count, mut link) = (0, None);
    for (at, token) in tokens.iter().enumerate() {
        count += usize::from(!matches!(token, Token::Whitespace(_)));
        if count > words_max {
            tokens.truncate(link.unwrap_or(0));
            return;
        }
        if matches!(token, Token::Word(it) if matches!(it.keyword, Keyword::OR | Keyword::AND | Keyword::XOR))
        {
            link = Some(at);
        }
    }
}

fn is_unended(last: Option<&Token>, sql: &str) -> bool {
    let Some(Token::Whitespace(Whitespace::MultiLineComment(text))) = last else { return false };
    !sql.ends_with(&format!("/*{text}*/"))
}

fn of_any(
    value: &str,
    dialects: &[&dyn Dialect],
    effort: &Effort,
) -> Result<Option<Breakout>, Refusal> {
    for dialect in dialects {
        let placed = place(value, *dialect, WORDS_MAX, effort)?;
        if let Some(found) = placed.and_then(|it| of_placed(&it)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn of_placed(it: &Placed) -> Option<Breakout> {
    let cuts_off = it.cut.as_ref().is_some_and(|it| is_short(&it.says));
    let (first, others) = it.statements.split_first()?;
    let found = of_statement(first);
    if !others.is_empty()
        && (found.is_some() || !matches!(first, Statement::Query(_)) || is_one(first))
    {
        return Some(Breakout::Statement);
    }
    found.or_else(|| (cuts_off && is_one(first)).then_some(Breakout::Comment))
}

fn comment(token: &Token) -> Option<Cut> {
    let Token::Whitespace(Whitespace::SingleLineComment { comment, prefix }) = token else {
        return None;
    };
    Some(Cut { prefix: prefix.clone(), says: comment.clone() })
}

/// Behind a quote that ends a word (`the boys' -- all of them`) prose may go on; an attacker has no
/// more to say.
pub(super) fn is_short(comment: &str) -> bool {
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
            ("')))) or (((('1'='1", Breakout::Condition),
            ("'))) or 1=1 -- ", Breakout::Condition),
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
            // What the parser does not know.
            ("x';shutdown -- ", Breakout::Statement),
            ("x' shutdown -- ", Breakout::Statement),
            ("x' exec xp_cmdshell 'id' -- ", Breakout::Statement),
            ("x';do sleep(5);-- ", Breakout::Statement),
            ("x';do $$ begin execute 'drop table t'; end $$ -- ", Breakout::Statement),
            ("x' waitfor delay '0:0:5'-- ", Breakout::Statement),
            ("x' if 1=1 waitfor delay '0:0:5' -- ", Breakout::Statement),
            ("x') ; load data infile '/x' into table t -- ", Breakout::Statement),
            ("x';handler t open;#", Breakout::Statement),
            ("x' or 1=1; do sleep(5) -- ", Breakout::Statement),
            ("x' into outfile '/var/www/a.php' -- ", Breakout::Clause),
            ("x' into dumpfile '/x' #", Breakout::Clause),
            ("' or 1=1 into outfile '/x' -- ", Breakout::Clause),
            ("x' limit 0,1 into outfile '/x' lines terminated by 0x3c3f -- ", Breakout::Clause),
            ("x' procedure analyse(1,1) -- ", Breakout::Clause),
            ("x' lock in share mode -- ", Breakout::Clause),
            ("x'::text or true -- ", Breakout::Condition),
            ("x' or id --", Breakout::Condition),
            ("x\" or id --", Breakout::Condition),
            ("x' or sleep(5)=!1#", Breakout::Condition),
            ("x' union select id,name from c where 0 isnull is 0 --", Breakout::Union),
            ("x'\u{a0}or\u{a0}id#", Breakout::Condition),
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
            "it's; do what you 'like'",
            "the boys' do well -- all of them",
            "Load the 'data' into the 'table'",
            "the kids' lock in the door",
            "'users' into 'accounts'",
            "the players' exec board",
            "the players' shutdown",
            "O'Brien; shutdown -- now",
            "'x'; execute as you 'will'",
            "it's or that",
            "rock'n'roll",
            "O'Brien or Smith -- pending",
            "the boys' or the girls -- all of them",
        ] {
            assert_eq!(breaks_out(text), None, "{text}");
        }
    }
}
