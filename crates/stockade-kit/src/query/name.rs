//! What more than a name there is in a text that stands in the place of an id. A name alone, and names
//! with `or`, `-` or `:` between them, are what people call things.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    ObjectNamePart, Query, SetExpr, Statement, UnaryOperator, Visit, Visitor,
};

use super::functions;
use super::literal::{Breakout, Placed, has_clause};
use super::number::is_plain;

/// What `text` is besides a name, where a server has put it behind `x =`.
pub(super) fn beyond_name(it: &Placed, text: &str) -> Option<Breakout> {
    let (first, others) = it.statements.split_first()?;
    if !others.is_empty() {
        return Some(Breakout::Statement);
    }
    let Statement::Query(query) = first else { return Some(Breakout::Statement) };
    let SetExpr::Select(select) = query.body.as_ref() else { return Some(Breakout::Union) };
    let condition = select.selection.as_ref()?;
    let mut code = Code { lower: text.to_ascii_lowercase() };
    if condition.visit(&mut code).is_break() || says_more(condition) {
        return Some(Breakout::Condition);
    }
    // `speed limit 50` is a name as well.
    let has_clause = query.order_by.is_some()
        || query.fetch.is_some()
        || query.for_clause.is_some()
        || !query.locks.is_empty()
        || has_clause(select);
    if has_clause {
        return Some(Breakout::Clause);
    }
    let cut = it.cut.as_ref().filter(|_| text.contains(" --"));
    let cuts_off = cut.is_some_and(|it| it.says.trim_matches(['-', ' ']).is_empty());
    cuts_off.then_some(Breakout::Comment)
}

/// Looks for what no name has in it: a query, a function of a database, one of its variables.
struct Code {
    lower: String,
}

impl Code {
    /// Whether a call is one, and no name with something in brackets: `report (final)`, `main()`.
    fn is_call(&self, it: &Function) -> bool {
        let Some(ObjectNamePart::Identifier(name)) = it.name.0.last() else { return true };
        let name = name.value.to_ascii_lowercase();
        // Behind a space, empty brackets are none that somebody says something in.
        let is_called = self.lower.contains(&format!("{name}(")) || is_empty(&it.args);
        is_called && (is_known(&name) || !has_plain_arguments(&it.args))
    }
}

impl Visitor for Code {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, it: &Expr) -> ControlFlow<()> {
        let is_code = if let Expr::Function(it) = it {
            self.is_call(it)
        } else {
            is_variable(it)
                || matches!(
                    it,
                    Expr::Case { .. }
                        | Expr::Exists { .. }
                        | Expr::Subquery(_)
                        | Expr::Substring { .. }
                        | Expr::Trim { .. }
                        | Expr::Position { .. }
                        | Expr::Overlay { .. }
                        | Expr::Extract { .. }
                )
        };
        if is_code { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// `@@version`.
fn is_variable(it: &Expr) -> bool {
    matches!(it, Expr::Identifier(it) if it.value.starts_with("@@"))
}

/// Whether a database has a function of this name: one that reads, or one of those that attackers ask
/// for.
fn is_known(name: &str) -> bool {
    const BEGIN: [&str; 10] =
        ["pg_", "lo_", "dblink", "xp_", "sp_", "utl_", "dbms_", "sys_", "sqlite_", "fts3_"];
    const ASKED: [&str; 22] = [
        "benchmark",
        "database",
        "elt",
        "extractvalue",
        "get_lock",
        "if",
        "load_extension",
        "load_file",
        "name_const",
        "query_to_xml",
        "randomblob",
        "readfile",
        "row_count",
        "schema",
        "session_user",
        "sleep",
        "substr",
        "system_user",
        "updatexml",
        "user",
        "version",
        "writefile",
    ];
    BEGIN.iter().any(|it| name.starts_with(it)) || ASKED.contains(&name) || functions::is_any(name)
}

fn is_empty(arguments: &FunctionArguments) -> bool {
    matches!(arguments, FunctionArguments::List(list) if list.args.is_empty())
}

/// Whether there are names and numbers in the brackets, and nothing else.
fn has_plain_arguments(arguments: &FunctionArguments) -> bool {
    let FunctionArguments::List(list) = arguments else { return true };
    list.args.iter().all(|it| {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(it)) = it else { return false };
        is_plain(it)
    })
}

/// Whether a condition has more in it than names.
fn says_more(it: &Expr) -> bool {
    if let Expr::Nested(it) = it {
        return says_more(it);
    }
    let Expr::BinaryOp { left, op, right } = it else { return tests(it) };
    if is_link(op) {
        return !is_of_names(left) || !is_of_names(right);
    }
    if !is_comparison(op) {
        return tests(left) || tests(right);
    }
    // `x =` is the server's. `Home > Docs` and `key=value` are names, `id > 0` is a condition.
    match is_of_server(left) {
        true => says_more(right),
        false => says_more(left) || !is_of_names(right),
    }
}

fn is_link(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::Or | BinaryOperator::And | BinaryOperator::Xor)
}

fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::Gt
            | BinaryOperator::LtEq
            | BinaryOperator::GtEq
            | BinaryOperator::Spaceship
    )
}

fn is_of_server(it: &Expr) -> bool {
    matches!(it, Expr::Identifier(it) if it.value == "x")
}

/// Whether it is a `NOT`, a `LIKE`, an `IN` or an `IS` of more than names.
fn tests(it: &Expr) -> bool {
    if let Expr::UnaryOp { op: UnaryOperator::Not, expr } = it {
        return !is_of_names(expr);
    }
    if let Expr::Like { pattern, .. } | Expr::ILike { pattern, .. } | Expr::RLike { pattern, .. } =
        it
    {
        return !is_of_names(pattern);
    }
    matches!(
        it,
        Expr::Between { .. }
            | Expr::In { .. }
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
    )
}

/// Whether there are names only, or names with signs between them: `Tom`, `Jerry-Lee`, `a.b`.
fn is_of_names(it: &Expr) -> bool {
    if let Expr::Nested(it) | Expr::UnaryOp { expr: it, .. } | Expr::Cast { expr: it, .. } = it {
        return is_of_names(it);
    }
    if let Expr::BinaryOp { left, op, right } = it {
        if is_link(op) {
            return is_of_names(left) && is_of_names(right);
        }
        if is_comparison(op) {
            return is_of_server(left) && is_of_names(right);
        }
        return (is_of_names(left) || is_of_names(right)) && is_plain(left) && is_plain(right);
    }
    matches!(
        it,
        Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::JsonAccess { .. }
            | Expr::Function(_)
    )
}
