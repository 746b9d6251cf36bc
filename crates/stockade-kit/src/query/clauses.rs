//! Clauses of single databases that change how an answer looks, and nothing else.

use sqlparser::ast::{
    Expr, ForClause, FormatClause, FunctionArg, FunctionArgExpr, FunctionArguments, PipeOperator,
    Query, Setting, Value,
};

/// Whether none of a query's clauses does more than shape what it answers.
pub(super) fn only_read(query: &Query) -> bool {
    let browses = matches!(query.for_clause, Some(ForClause::Browse));
    let formats = query.format_clause.as_ref().is_none_or(|it| match it {
        FormatClause::Identifier(name) => is_one_of(&name.value, &FORMATS),
        FormatClause::Null => true,
    });
    let settings = query.settings.iter().flatten();
    let sets = |it: &Setting| is_one_of(&it.key.value, &SETTINGS) && is_bound(&it.value);
    let calls = |it: &PipeOperator| matches!(it, PipeOperator::Call { .. });
    !browses && formats && settings.into_iter().all(sets) && !query.pipe_operators.iter().any(calls)
}

/// Whether a hint of MySQL is about a plan or a time, and not about a variable.
pub(super) fn is_plain_hint(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_plain = |it: char| it.is_ascii_alphanumeric() || " _.,()@".contains(it);
    lower.chars().all(is_plain)
        && !["set_var", "resource_group"].iter().any(|it| lower.contains(it))
}

/// Whether what is asked of `current_setting` is for everybody. What an application keeps in settings
/// of its own may be a token.
pub(super) fn is_open_setting(arguments: &FunctionArguments) -> bool {
    let FunctionArguments::List(list) = arguments else { return false };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(first)))) = list.args.first()
    else {
        return false;
    };
    let Value::SingleQuotedString(name) = &first.value else { return false };
    let others = list.args.iter().skip(1);
    let is_value = |it: &FunctionArg| {
        matches!(it, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(_))))
    };
    is_one_of(name, &OPEN) && others.into_iter().all(is_value)
}

/// Whether it is a number that bounds something: `0.0` is no bound.
fn is_bound(it: &Expr) -> bool {
    let Expr::Value(it) = it else { return false };
    let Value::Number(number, _) = &it.value else { return false };
    number.parse().is_ok_and(|it: f64| it > 0.0)
}

fn is_one_of(it: &str, names: &[&str]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(it))
}

/// Formats of ClickHouse that need no file of their own.
const FORMATS: [&str; 17] = [
    "CSV",
    "CSVWithNames",
    "JSON",
    "JSONColumns",
    "JSONCompact",
    "JSONCompactEachRow",
    "JSONEachRow",
    "JSONStrings",
    "Markdown",
    "Pretty",
    "PrettyCompact",
    "TSV",
    "TSVWithNames",
    "TabSeparated",
    "TabSeparatedWithNames",
    "Values",
    "Vertical",
];

/// Settings of ClickHouse that bound a query, or say how it is run. A zero takes a bound away.
const SETTINGS: [&str; 7] = [
    "max_block_size",
    "max_execution_time",
    "max_memory_usage",
    "max_result_rows",
    "max_rows_to_read",
    "max_threads",
    "optimize_read_in_order",
];

/// Settings of PostgreSQL that say how it is built and how it compares.
const OPEN: [&str; 14] = [
    "application_name",
    "block_size",
    "client_encoding",
    "datestyle",
    "default_transaction_read_only",
    "is_superuser",
    "max_connections",
    "search_path",
    "server_encoding",
    "server_version",
    "server_version_num",
    "statement_timeout",
    "timezone",
    "transaction_read_only",
];

/// Whether a hint of SQL Server about a table keeps others from it: `WITH (TABLOCKX, HOLDLOCK)`.
pub(super) fn is_lock(hint: &Expr) -> bool {
    const LOCKS: [&str; 7] =
        ["holdlock", "repeatableread", "serializable", "tablock", "tablockx", "updlock", "xlock"];
    matches!(hint, Expr::Identifier(it) if LOCKS.contains(&it.value.to_ascii_lowercase().as_str()))
}
