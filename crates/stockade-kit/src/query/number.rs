//! Whether a text would be more than the number that a server takes it for, where no quote is around
//! it: what an attacker sends as an id.

use sqlparser::ast::{BinaryOperator, Expr, SetExpr, Statement, UnaryOperator};
use sqlparser::dialect::{Dialect, MsSqlDialect};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use super::DEPTH_MAX;
use super::literal::{Breakout, DIALECTS, has_clause};

/// What this text would be, if a server put it in the place of a number without looking at it.
/// Nothing, where it is a number, a range, a date or no SQL at all. It is for what is an id by its
/// name: `3 or 4` is said of a count as well.
///
/// ```
/// use stockade_kit::query::{Breakout, exceeds_number};
///
/// assert_eq!(exceeds_number("-1 or 1"), Some(Breakout::Condition));
/// assert_eq!(exceeds_number("(select password from users limit 1)"), Some(Breakout::Condition));
/// assert_eq!(exceeds_number("1 order by 5"), Some(Breakout::Clause));
/// for text in ["42", "1-2", "2024-01-01", "INV-2024-001", "1 or 2 items", "550e8400-e29b"] {
///     assert_eq!(exceeds_number(text), None, "{text}");
/// }
/// ```
pub fn exceeds_number(text: &str) -> Option<Breakout> {
    let bare = text.trim_start_matches(|it: char| it.is_whitespace() || "(-+~".contains(it));
    let is_query = bare.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("select"));
    let begins = bare.starts_with(|it: char| it.is_ascii_digit() || it == '.') || is_query;
    let goes_on = text.contains(|it: char| it.is_whitespace() || "();=<>|&'\"#/*!".contains(it));
    if !begins || !goes_on || text.len() > BYTES_MAX {
        return None;
    }
    let closings = 0..=usize::from(text.contains(')')) * 2;
    let found = closings.clone().find_map(|count| {
        let (open, close) = ("(".repeat(count), ")".repeat(count));
        let sql = format!("SELECT 1 FROM t WHERE {open}x = {text}{close}");
        DIALECTS.iter().find_map(|it| read(&sql, *it))
    });
    found.or_else(|| follows(bare))
}

const BYTES_MAX: usize = 1024;
const WORDS_MAX: usize = 200;

fn read(sql: &str, dialect: &dyn Dialect) -> Option<Breakout> {
    let tokens = Tokenizer::new(dialect, sql).tokenize().ok()?;
    if tokens.len() > WORDS_MAX * 2 {
        return None;
    }
    let cuts_off = tokens.iter().any(|it| {
        matches!(it, Token::Whitespace(Whitespace::SingleLineComment { prefix, .. }) if prefix == "--")
    });
    let mut parser = Parser::new(dialect).with_recursion_limit(DEPTH_MAX).with_tokens(tokens);
    let statements = parser.parse_statements().ok()?;
    let (first, others) = statements.split_first()?;
    if !others.is_empty() {
        return Some(Breakout::Statement);
    }
    of_statement(first).or_else(|| cuts_off.then_some(Breakout::Comment))
}

fn of_statement(statement: &Statement) -> Option<Breakout> {
    let Statement::Query(query) = statement else { return Some(Breakout::Statement) };
    let SetExpr::Select(select) = query.body.as_ref() else { return Some(Breakout::Union) };
    if !select.selection.as_ref().is_some_and(is_comparison) {
        return Some(Breakout::Condition);
    }
    let has_clause = query.order_by.is_some()
        || query.limit_clause.is_some()
        || query.fetch.is_some()
        || query.for_clause.is_some()
        || !query.locks.is_empty()
        || has_clause(select);
    has_clause.then_some(Breakout::Clause)
}

/// Whether a condition is still the one that the server began.
fn is_comparison(it: &Expr) -> bool {
    if let Expr::Nested(it) = it {
        return is_comparison(it);
    }
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = it else { return false };
    matches!(left.as_ref(), Expr::Identifier(_)) && is_plain(right)
}

/// Whether it is a number, or reads like one with signs in it: `1-2`, `2024-01-01`, `3/4`, `12 h`.
fn is_plain(it: &Expr) -> bool {
    if let Expr::Nested(it)
    | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: it } = it
    {
        return is_plain(it);
    }
    if let Expr::BinaryOp { left, op, right } = it {
        let is_sign = matches!(
            op,
            BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::BitwiseOr
                | BinaryOperator::BitwiseAnd
                | BinaryOperator::PGBitwiseXor
        );
        return is_sign && is_plain(left) && is_plain(right);
    }
    matches!(
        it,
        Expr::Value(_)
            | Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::TypedString { .. }
            | Expr::Prefixed { .. }
            | Expr::JsonAccess { .. }
    )
}

/// Whether a statement stands behind a number. SQL Server needs nothing between the two.
fn follows(bare: &str) -> Option<Breakout> {
    let rest = bare.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
    let rest = rest.trim_start_matches(|it: char| it.is_whitespace() || ";)".contains(it));
    let statements = Parser::new(&MsSqlDialect {})
        .with_recursion_limit(DEPTH_MAX)
        .try_with_sql(rest)
        .and_then(|mut it| it.parse_statements());
    let is_one = |it: &Statement| {
        matches!(
            it,
            Statement::Insert(_)
                | Statement::Update(_)
                | Statement::Delete(_)
                | Statement::Merge(_)
                | Statement::Drop { .. }
                | Statement::Truncate(_)
                | Statement::AlterTable(_)
                | Statement::CreateTable(_)
                | Statement::Execute { .. }
        )
    };
    statements.is_ok_and(|it| it.iter().any(is_one)).then_some(Breakout::Statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_an_expression_is_found() {
        for (text, expected) in [
            ("1 OR 1=1", Breakout::Condition),
            ("-1 or 1", Breakout::Condition),
            ("0x1 or 1", Breakout::Condition),
            ("1 or id", Breakout::Condition),
            ("1 AND 1=1", Breakout::Condition),
            ("1 and 1=2", Breakout::Condition),
            ("1 xor 0", Breakout::Condition),
            ("1-sleep(5)", Breakout::Condition),
            ("1/**/or/**/1", Breakout::Condition),
            ("1) or (1", Breakout::Condition),
            ("(select password from users limit 1)", Breakout::Condition),
            ("1 in (select id from users)", Breakout::Condition),
            ("1 is not null", Breakout::Condition),
            ("1 between 0 and 9", Breakout::Condition),
            ("1>0", Breakout::Condition),
            ("1=1", Breakout::Condition),
            ("1||1", Breakout::Condition),
            ("1 union select password from users", Breakout::Union),
            ("1 union all select null", Breakout::Union),
            ("1;drop table users", Breakout::Statement),
            ("1; select 2", Breakout::Statement),
            ("1 drop table users", Breakout::Statement),
            ("1 delete from users", Breakout::Statement),
            ("1 order by 5", Breakout::Clause),
            ("1 limit 1", Breakout::Clause),
            ("1 group by id having 1=1", Breakout::Clause),
            ("1 -- ", Breakout::Comment),
        ] {
            assert_eq!(exceeds_number(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn an_id_that_is_one_passes() {
        for text in [
            "42",
            "-5",
            "1e5",
            "0x1F",
            "3.14",
            "1-2",
            "3-4",
            "1 - 2",
            "2024-01-01",
            "2024-01-01 10:00",
            "2024-01-01T10:00:00Z",
            "INV-2024-001",
            "12/3",
            "1, 2, 3",
            "1;2;3",
            "12;",
            "1 or 2 items",
            "5 items",
            "5 and up to 9",
            "12 Main Street",
            "3 (three)",
            "550e8400-e29b-41d4-a716-446655440000",
            "1|2",
            "5%",
            "#12",
            "12#3",
            "one or two",
            "",
            "select",
            "1st",
            "2nd floor",
            "10:30",
            "+49 30 1234",
            "(030) 1234",
            "1 & 2",
            "7 drop",
        ] {
            assert_eq!(exceeds_number(text), None, "{text}");
        }
    }
}
