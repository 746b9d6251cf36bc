//! Whether a text would be more than the number that a server takes it for, where no quote is around
//! it: what an attacker sends as an id.

use std::borrow::Cow;

use sqlparser::ast::{BinaryOperator, Expr, SetExpr, Statement, UnaryOperator};
use sqlparser::dialect::MsSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Tokenizer;

use super::literal::{Breakout, DIALECTS, Placed, has_clause, place};
use super::name::beyond_name;
use super::{DEPTH_MAX, Effort, Refusal, catalog, outside};

/// What this text would be, if a server put it in the place of a number or an id without looking at
/// it. Nothing, where it is a number, a range, a date, a name or no SQL at all. It is for what is an
/// id by its name: `3 or 4` is said of a count as well.
///
/// ```
/// use stockade_kit::query::{Breakout, exceeds_number};
///
/// assert_eq!(exceeds_number("-1 or 1"), Some(Breakout::Condition));
/// assert_eq!(exceeds_number("null or 1=1"), Some(Breakout::Condition));
/// assert_eq!(exceeds_number("(select password from users limit 1)"), Some(Breakout::Condition));
/// assert_eq!(exceeds_number("1 order by 5"), Some(Breakout::Clause));
/// for text in ["42", "1-2", "2024-01-01", "INV-2024-001", "1 or 2 items", "Tom or Jerry"] {
///     assert_eq!(exceeds_number(text), None, "{text}");
/// }
/// ```
pub fn exceeds_number(text: &str) -> Option<Breakout> {
    exceeds_number_within(text, &Effort::default()).ok().flatten()
}

/// The same, for as long as the effort lasts.
pub fn exceeds_number_within(text: &str, effort: &Effort) -> Result<Option<Breakout>, Refusal> {
    let text = narrow(text);
    if text.len() > BYTES_MAX {
        return Ok(None);
    }
    if is_column(&text) {
        return Ok(Some(Breakout::Condition));
    }
    if is_list(&text) {
        return Ok(None);
    }
    // Whatever is before it: a row of ids may end in one.
    if text.split('(').skip(1).any(begins_query) || calls(&text) {
        return Ok(Some(Breakout::Condition));
    }
    let bare = text.trim_start_matches(|it: char| it.is_whitespace() || "(-+~".contains(it));
    let is_query = bare.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("select"));
    // What begins as a number is one, or arithmetic; what begins with a letter may be a name.
    let is_number = bare.starts_with(|it: char| it.is_ascii_digit() || it == '.') || is_query;
    for dialect in DIALECTS {
        let placed = place(&text, *dialect, WORDS_MAX, effort)?;
        let found = placed.and_then(|it| match is_number {
            true => beyond_number(&it),
            false => beyond_name(&it, &text),
        });
        if found.is_some() {
            return Ok(found);
        }
    }
    if is_number && let Some(found) = ends(bare).or_else(|| follows(bare)) {
        return Ok(Some(found));
    }
    beyond_grammar(&text, is_number, effort)
}

/// What no parser knows, and some database does.
fn beyond_grammar(
    text: &str,
    is_number: bool,
    effort: &Effort,
) -> Result<Option<Breakout>, Refusal> {
    // MySQL and MariaDB run what is in such a comment.
    if ["/*!", "/*M!"].iter().any(|it| text.contains(it)) || is_table(text) {
        return Ok(Some(Breakout::Condition));
    }
    // Without a word in it, it is arithmetic.
    if !text.contains(|it: char| it.is_alphabetic() || it == '!') {
        return Ok(None);
    }
    for dialect in DIALECTS {
        effort.spend(text.len())?;
        let Ok(tokens) = Tokenizer::new(*dialect, text).tokenize() else { continue };
        if let Some(found) = outside::of_number(&tokens, is_number) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// `(table users)`: to MySQL, all of it.
fn is_table(text: &str) -> bool {
    let inner = text.trim().strip_prefix('(').and_then(|it| it.strip_suffix(')'));
    let mut words = inner.unwrap_or_default().split_whitespace();
    words.next().is_some_and(|it| it.eq_ignore_ascii_case("table"))
        && words.next().is_some()
        && words.next().is_none()
}

const BYTES_MAX: usize = 8 * 1024;
const WORDS_MAX: usize = 200;

/// The same text in letters of the width that programs read, where it has others: `１ or 1=1`.
fn narrow(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let narrow = |it: char| match it {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(it) - 0xfee0).unwrap_or(it),
        it if it.is_whitespace() => ' ',
        it => it,
    };
    Cow::Owned(text.chars().map(narrow).collect())
}

fn begins_query(text: &str) -> bool {
    const SELECT: &str = "select";
    let text = text.trim_start();
    let is_whole = |it: &str| !it.starts_with(|it: char| it.is_alphanumeric() || it == '_');
    text.split_at_checked(SELECT.len())
        .is_some_and(|(word, rest)| word.eq_ignore_ascii_case(SELECT) && is_whole(rest))
}

/// Whether it calls what only an attacker would, wherever in a row of ids it does and whatever stands
/// before the bracket. With a number in it, since `Sleep (2014 film)` is called so.
fn calls(text: &str) -> bool {
    const ASKED: [&str; 16] = [
        "benchmark",
        "dblink",
        "extractvalue",
        "get_lock",
        "load_extension",
        "load_file",
        "lo_import",
        "pg_ls_dir",
        "pg_read_file",
        "pg_sleep",
        "query_to_xml",
        "readfile",
        "sleep",
        "updatexml",
        "writefile",
        "xp_cmdshell",
    ];
    let lower = text.to_ascii_lowercase();
    lower.match_indices('(').any(|(at, _)| {
        let mut before = lower.get(..at).unwrap_or_default();
        loop {
            let trimmed =
                before.trim_end_matches(|it: char| it.is_whitespace() || "`]\"".contains(it));
            let opened = trimmed.strip_suffix("*/").and_then(|it| it.rfind("/*"));
            before = trimmed;
            let Some(opened) = opened else { break };
            before = trimmed.get(..opened).unwrap_or_default();
        }
        let is_of_word = |it: char| it.is_alphanumeric() || it == '_';
        let name = before.trim_end_matches(is_of_word).len();
        let name = before.get(name..).unwrap_or_default();
        let inside = lower.get(at + 1..).unwrap_or_default();
        let inside = inside.split(')').next().unwrap_or_default().trim();
        let is_code =
            inside.parse::<f64>().is_ok() || inside.contains([',', '\'', '"', '(', '@', '*', '/']);
        is_code && ASKED.contains(&name)
    })
}

/// Whether it is the column that it is compared with, in brackets or with a sign, so that it is true of
/// every row: `(id)`, `-user_id`.
fn is_column(text: &str) -> bool {
    let begins = |it: char| it.is_whitespace() || "(+-~!`".contains(it);
    let ends = |it: char| it.is_whitespace() || ")`".contains(it);
    let inner = text.trim_start_matches(begins).trim_end_matches(ends);
    let is_name = inner.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
    let lower = inner.to_ascii_lowercase();
    text.trim().len() > inner.len() && is_name && (lower == "id" || lower.ends_with("_id"))
}

/// Whether it is one id, or some of them in a row, without anything that SQL would begin with.
fn is_list(text: &str) -> bool {
    let is_plain =
        |it: char| it.is_alphanumeric() || it.is_whitespace() || "_-.:@+,;/".contains(it);
    let mut words = text.split(|it: char| !it.is_alphanumeric() && !"_@.".contains(it));
    // A number ends where a word begins: `1or 1`, `1e1or 1`, `1.e0or 1`.
    let behind = |it: &str| {
        let it = it.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
        let exponent = it
            .strip_prefix(['e', 'E'])
            .map(|it| it.trim_start_matches(|it: char| it.is_ascii_digit()));
        [Some(it), exponent]
            .into_iter()
            .flatten()
            .any(|it| ENTERS.iter().any(|word| word.eq_ignore_ascii_case(it)))
    };
    let is_word = |it: &str| {
        it.starts_with("@@")
            || it.starts_with(|it: char| it.is_ascii_digit()) && behind(it)
            || it.split('.').any(|it| ENTERS.iter().any(|word| word.eq_ignore_ascii_case(it)))
    };
    text.chars().all(is_plain)
        && !text.contains("--")
        && !words.any(|it| is_word(it) || it.split('.').any(catalog::begins))
}

/// Words by which SQL goes on behind a value, or begins one.
const ENTERS: [&str; 38] = [
    "and",
    "attach",
    "between",
    "call",
    "case",
    "collate",
    "copy",
    "declare",
    "div",
    "except",
    "exists",
    "for",
    "group",
    "having",
    "ilike",
    "in",
    "intersect",
    "into",
    "is",
    "isnull",
    "like",
    "limit",
    "lock",
    "not",
    "notnull",
    "or",
    "order",
    "procedure",
    "regexp",
    "rlike",
    "select",
    "set",
    "sounds",
    "union",
    "vacuum",
    "window",
    "with",
    "xor",
];

fn beyond_number(it: &Placed) -> Option<Breakout> {
    let (first, others) = it.statements.split_first()?;
    if !others.is_empty() {
        return Some(Breakout::Statement);
    }
    let cuts_off = it.cut.as_ref().is_some_and(|it| matches!(it.prefix.as_str(), "--" | "/*"));
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
pub(super) fn is_plain(it: &Expr) -> bool {
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

/// What cuts off the rest behind a number: `1/*`, `1#`.
fn ends(bare: &str) -> Option<Breakout> {
    let opens =
        bare.rfind("/*").is_some_and(|at| !bare.get(at..).unwrap_or_default().contains("*/"));
    let rest = bare.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
    let hash = rest.trim_start_matches(|it: char| it.is_whitespace() || ";)".contains(it));
    let cuts = hash.strip_prefix('#').is_some_and(|it| {
        let is_behind_an_end = rest.trim_start().starts_with([';', ')']);
        it.is_empty() || is_behind_an_end || it.starts_with([' ', '-', '\t', '\n'])
    });
    (opens || cuts).then_some(Breakout::Comment)
}

/// Whether a statement stands behind a number. SQL Server needs nothing between the two.
fn follows(bare: &str) -> Option<Breakout> {
    let rest = bare.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
    let is_ended =
        rest.trim_start_matches(|it: char| it.is_whitespace() || it == ')').starts_with(';');
    let rest = rest.trim_start_matches(|it: char| it.is_whitespace() || ";)".contains(it));
    let lower = rest.to_ascii_lowercase();
    let mut words = lower.split(|it: char| it.is_whitespace() || ";('".contains(it));
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if is_ended && (catalog::begins(first) || BEHIND_AN_END.contains(&first))
        || begins(first, second, &lower)
    {
        return Some(Breakout::Statement);
    }
    if matches!((first, second), ("procedure", "analyse") | ("lock", "in")) {
        return Some(Breakout::Clause);
    }
    if (first, second) == ("sounds", "like") {
        return Some(Breakout::Condition);
    }
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

/// Words that begin a statement behind a semicolon, besides those of SQL Server.
const BEHIND_AN_END: [&str; 12] = [
    "attach", "call", "copy", "declare", "do", "handler", "pragma", "select", "set", "vacuum",
    "while", "with",
];

/// Whether words begin a statement of SQL Server, and are no unit or thing that was counted: `7 drop`,
/// `1 use case`.
fn begins(first: &str, second: &str, lower: &str) -> bool {
    let has = |words: &[&str]| {
        lower.split(|it: char| !it.is_alphanumeric()).any(|it| words.contains(&it))
    };
    match first {
        "shutdown" => matches!(second, "" | "with"),
        "waitfor" => matches!(second, "delay" | "time"),
        "declare" => second.starts_with('@'),
        "kill" => second.starts_with(|it: char| it.is_ascii_digit()),
        "if" | "while" => {
            has(&["begin", "drop", "exec", "execute", "print", "select", "update", "waitfor"])
        }
        "backup" | "restore" => matches!(second, "database" | "log"),
        "bulk" => second == "insert",
        "begin" | "commit" | "rollback" | "save" => second.starts_with("tran"),
        "raiserror" => lower.contains('('),
        "dbcc" => !second.is_empty(),
        "reconfigure" => matches!(second, "" | "with"),
        _ => false,
    }
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
            ("1,(select password from users)", Breakout::Condition),
            ("1 is not null", Breakout::Condition),
            ("1 between 0 and 9", Breakout::Condition),
            ("1>0", Breakout::Condition),
            ("sleep (5)", Breakout::Condition),
            ("sleep/**/(5)", Breakout::Condition),
            ("`sleep` /* a */ /**/\n(5)", Breakout::Condition),
            ("id and sleep (5)", Breakout::Condition),
            ("not sleep (5)", Breakout::Condition),
            ("1,sleep(5)", Breakout::Condition),
            ("1,2,benchmark (1,1)", Breakout::Condition),
            ("1e1or 1", Breakout::Condition),
            ("1or 1", Breakout::Condition),
            ("(id)", Breakout::Condition),
            ("-user_id", Breakout::Condition),
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
            ("1/*", Breakout::Comment),
            ("1#", Breakout::Comment),
            ("1;#", Breakout::Comment),
            ("null or 1=1", Breakout::Condition),
            ("x or 1=1", Breakout::Condition),
            ("user_id or 1=1", Breakout::Condition),
            ("not 1=2", Breakout::Condition),
            ("true or 1", Breakout::Condition),
            ("-id or 1=1", Breakout::Condition),
            ("id>0", Breakout::Condition),
            ("id is not null", Breakout::Condition),
            ("id like '%'", Breakout::Condition),
            ("'1' or 1=1", Breakout::Condition),
            ("\"1\" or 1=1", Breakout::Condition),
            ("\u{ff11} or 1=1", Breakout::Condition),
            ("1\u{a0}or 1=1", Breakout::Condition),
            ("exists(select 1 from users)", Breakout::Condition),
            ("coalesce((select password from users limit 1),1)", Breakout::Condition),
            ("ascii(substr((select password from users),1,1))", Breakout::Condition),
            ("case when (select 1) then 1 else 0 end", Breakout::Condition),
            ("sleep(5)", Breakout::Condition),
            ("pg_sleep(5)", Breakout::Condition),
            ("if(1=1,sleep(5),0)", Breakout::Condition),
            ("@@version", Breakout::Condition),
            ("1))) or (((1=1", Breakout::Condition),
            ("1 sounds like 1", Breakout::Condition),
            ("null union select password from users", Breakout::Union),
            ("id union select password from users", Breakout::Union),
            ("true union select 1", Breakout::Union),
            ("x; drop table users", Breakout::Statement),
            ("1;shutdown", Breakout::Statement),
            ("1 shutdown", Breakout::Statement),
            ("1 waitfor delay '0:0:5'", Breakout::Statement),
            ("1 declare @a int", Breakout::Statement),
            ("1 if 1=1 select 2", Breakout::Statement),
            ("1 kill 5", Breakout::Statement),
            ("1 procedure analyse()", Breakout::Clause),
            ("1 lock in share mode", Breakout::Clause),
            ("id order by 5", Breakout::Clause),
            ("id -- ", Breakout::Comment),
            ("1.e0or 1", Breakout::Condition),
            ("1 or 0 isnull is 0", Breakout::Condition),
            ("id or 0 isnull is 0", Breakout::Condition),
            ("id notnull", Breakout::Condition),
            ("-1 union select !0", Breakout::Union),
            ("-1 union select id from c where 0 isnull is 0", Breakout::Union),
            ("1 or !0", Breakout::Condition),
            ("id or !0", Breakout::Condition),
            ("!0", Breakout::Condition),
            ("!sleep(5)", Breakout::Condition),
            ("version ()", Breakout::Condition),
            ("1/*M!or*/1", Breakout::Condition),
            ("(table users)", Breakout::Condition),
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
            "1 use case",
            "usr_123",
            "alice",
            "user_id",
            "alice@example.com",
            "a b",
            "Null",
            "O'Brien",
            "Tom or Jerry",
            "Tom and Jerry-Lee",
            "not found",
            "cats and dogs and mice",
            "ORD-2024-001",
            "foo--bar",
            "507f1f77bcf86cd799439011",
            "dXNlcjoxMjM=",
            "ab/cd+ef==",
            "gid://shop/Order/12",
            "urn:isbn:0451450523",
            "std::vector",
            "arn:aws:iam::123456789012:user/Bob",
            "Report (final)",
            "report(1)",
            "main()",
            "Home > Docs",
            "key=value",
            "speed limit 50",
            "#general",
            "@alice",
            "issue 12 #4",
            "a1b2c3,d4e5f6",
            "in progress",
            "!important",
            "report ()",
            "Hello, world!",
            "A1.e0or",
            "v1.e2",
            "1.0.0-rc1",
            "(table of users)",
            "1 or 2 items!",
            "\u{6771}\u{4eac}",
        ] {
            assert_eq!(exceeds_number(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_too_long_is_found_by_its_beginning() {
        for sql in [
            "1 or 1=1 ".to_owned() + &"or 1=1 ".repeat(400),
            "null or 1=1 ".to_owned() + &"or a ".repeat(500),
        ] {
            assert_eq!(exceeds_number(&sql), Some(Breakout::Condition), "{sql}");
        }
        // A row of ids may be long.
        assert_eq!(exceeds_number(&"12, ".repeat(2000)), None);
    }

    #[test]
    fn many_take_no_longer_than_the_effort() {
        let effort = Effort::new(100_000);
        let text = "1+".repeat(95) + "1) ";
        let read = (0..4500).take_while(|_| exceeds_number_within(&text, &effort).is_ok()).count();
        assert!((50..500).contains(&read), "{read}");
        assert_eq!(exceeds_number_within(&text, &effort), Err(Refusal::TooMuch));
        // What is no SQL costs nothing.
        assert_eq!(exceeds_number_within("42", &effort), Ok(None));
    }
}
