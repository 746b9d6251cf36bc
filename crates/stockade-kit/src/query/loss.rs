//! What a statement takes away for good. Rows that are changed by a condition are a mistake that a
//! backup mends; a table that is gone, or a condition that every row meets, is another matter.

use std::fmt;

use sqlparser::ast::{AlterTableOperation, BinaryOperator, Expr, Statement, Value};

/// What is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// `DROP`, or a `CREATE OR REPLACE TABLE`.
    Drop,
    /// `TRUNCATE`.
    Truncate,
    /// `ALTER TABLE … DROP`: a column or a partition.
    Part,
    /// A `DELETE` that every row meets.
    Rows,
    /// An `UPDATE` that every row meets.
    Values,
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Drop => "it drops what is there",
            Self::Truncate => "it empties a table",
            Self::Part => "it drops a part of a table",
            Self::Rows => "it deletes every row",
            Self::Values => "it changes every row",
        })
    }
}

impl Loss {
    pub(super) fn of(statement: &Statement) -> Option<Self> {
        if let Statement::Delete(it) = statement {
            let is_bounded = it.limit.is_some() || !is_met_by_all(it.selection.as_ref());
            return (!is_bounded).then_some(Self::Rows);
        }
        if let Statement::Update(it) = statement {
            let is_bounded = it.limit.is_some() || !is_met_by_all(it.selection.as_ref());
            return (!is_bounded).then_some(Self::Values);
        }
        if let Statement::AlterTable(it) = statement {
            let drops = it.operations.iter().any(|it| {
                matches!(
                    it,
                    AlterTableOperation::DropColumn { .. }
                        | AlterTableOperation::DropPartitions { .. }
                )
            });
            return drops.then_some(Self::Part);
        }
        if let Statement::CreateTable(it) = statement {
            return it.or_replace.then_some(Self::Drop);
        }
        if matches!(statement, Statement::Truncate(_)) {
            return Some(Self::Truncate);
        }
        // There is one of these for each thing that can be dropped, and a new one now and then.
        let is_query = matches!(statement, Statement::Query(_) | Statement::Insert(_));
        (!is_query && statement.to_string().starts_with("DROP ")).then_some(Self::Drop)
    }
}

/// Whether a condition leaves out no row, as far as its text says: none, `1 = 1`, `id = id`.
fn is_met_by_all(condition: Option<&Expr>) -> bool {
    condition.is_none_or(is_true)
}

fn is_true(it: &Expr) -> bool {
    if let Expr::Nested(it) = it {
        return is_true(it);
    }
    if let Expr::Value(it) = it {
        return !matches!(it.value, Value::Boolean(false) | Value::Null) && !is_zero(&it.value);
    }
    let Expr::BinaryOp { left, op, right } = it else { return false };
    if *op == BinaryOperator::Or {
        return is_true(left) || is_true(right);
    }
    if *op == BinaryOperator::And {
        return is_true(left) && is_true(right);
    }
    let holds = matches!(op, BinaryOperator::Eq | BinaryOperator::GtEq | BinaryOperator::LtEq);
    let is_value = |it: &Expr| matches!(it, Expr::Value(_));
    // `2 > 1` as well: what two values come to is no matter of the row.
    holds && left == right || !holds && is_value(left) && is_value(right)
}

fn is_zero(it: &Value) -> bool {
    if let Value::Number(it, _) = it { it.parse() == Ok(0.0) } else { false }
}
