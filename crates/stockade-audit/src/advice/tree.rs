//! Expressions and statements as they lie in each other, for questions about their form.

use crate::ir::{Arg, Block, Cmp, Entry, Expr, File, Func, FuncId, Id, Pat, Stmt};

/// Something in a function.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node<'f, 's> {
    Expr(Id),
    Stmt(&'f Stmt<'s>),
}

/// All that is in a block, and in the functions that are written in it. Deep nesting costs no stack.
pub(super) fn inside<'f, 's>(file: &'f File<'s>, block: &'f Block<'s>) -> Vec<Node<'f, 's>> {
    all(file, block.iter().rev().map(Node::Stmt).collect())
}

/// An expression and all that is in it.
pub(super) fn below(file: &File<'_>, id: Id) -> Vec<Id> {
    let nodes = all(file, vec![Node::Expr(id)]);
    nodes
        .into_iter()
        .filter_map(|it| match it {
            Node::Expr(it) => Some(it),
            Node::Stmt(_) => None,
        })
        .collect()
}

/// The expressions of a function.
pub(super) fn exprs(file: &File<'_>, func: &Func<'_>) -> Vec<Id> {
    let nodes = inside(file, &func.body);
    nodes
        .into_iter()
        .filter_map(|it| match it {
            Node::Expr(it) => Some(it),
            Node::Stmt(_) => None,
        })
        .collect()
}

fn all<'f, 's>(file: &'f File<'s>, mut open: Vec<Node<'f, 's>>) -> Vec<Node<'f, 's>> {
    let mut out = Vec::new();
    while let Some(it) = open.pop() {
        out.push(it);
        let from = open.len();
        match it {
            Node::Expr(id) => expr(file, file.expr(id), &mut open),
            Node::Stmt(it) => stmt(file, it, &mut open),
        }
        // What comes first in the text comes first.
        if let Some(new) = open.get_mut(from..) {
            new.reverse();
        }
    }
    out
}

type Open<'f, 's> = Vec<Node<'f, 's>>;

fn block<'f, 's>(it: &'f Block<'s>, out: &mut Open<'f, 's>) {
    out.extend(it.iter().map(Node::Stmt));
}

fn func<'f, 's>(file: &'f File<'s>, id: FuncId, out: &mut Open<'f, 's>) {
    if let Some(it) = file.func(id) {
        block(&it.body, out);
    }
}

fn args<'f, 's>(it: &[Arg<'s>], out: &mut Open<'f, 's>) {
    out.extend(it.iter().map(|it| Node::Expr(it.value)));
}

fn expr<'f, 's>(file: &'f File<'s>, it: &'f Expr<'s>, out: &mut Open<'f, 's>) {
    match it {
        Expr::Str(_)
        | Expr::Num(_)
        | Expr::Bool(_)
        | Expr::Null
        | Expr::Name(_)
        | Expr::Temp(_)
        | Expr::Regex(_) => {}
        Expr::Attr(it, _)
        | Expr::Not(it)
        | Expr::Is(_, it)
        | Expr::Assign(_, it)
        | Expr::Try(it) => {
            out.push(Node::Expr(*it));
        }
        Expr::Index(a, b) | Expr::Cmp(_, a, b) | Expr::And(a, b) | Expr::Or(a, b) => {
            out.extend([Node::Expr(*a), Node::Expr(*b)]);
        }
        Expr::Call { callee, args: given, .. } => {
            out.push(Node::Expr(*callee));
            args(given, out);
        }
        Expr::Tagged { tag, parts } => {
            out.push(Node::Expr(*tag));
            out.extend(parts.iter().copied().map(Node::Expr));
        }
        Expr::Build(parts) | Expr::Op(_, parts) | Expr::Other(parts) => {
            out.extend(parts.iter().copied().map(Node::Expr));
        }
        Expr::If { cond, then, other } => {
            out.push(Node::Expr(*cond));
            block(then, out);
            block(other, out);
        }
        Expr::List(items) => args(items, out),
        Expr::Map(entries) => out.extend(entries.iter().flat_map(|it| match it {
            Entry::Field(_, it) | Entry::Spread(it) => vec![Node::Expr(*it)],
            Entry::Computed(key, it) => vec![Node::Expr(*key), Node::Expr(*it)],
        })),
        Expr::Each { iter, conds, value, .. } => {
            out.push(Node::Expr(*iter));
            out.extend(conds.iter().copied().map(Node::Expr));
            out.push(Node::Expr(*value));
        }
        Expr::Func(it) => func(file, *it, out),
        Expr::Do(it) => block(it, out),
    }
}

fn stmt<'f, 's>(file: &'f File<'s>, it: &'f Stmt<'s>, out: &mut Open<'f, 's>) {
    match it {
        Stmt::Expr(it) | Stmt::Let(_, it) | Stmt::Return(Some(it)) | Stmt::Raise(Some(it)) => {
            out.push(Node::Expr(*it));
        }
        Stmt::LetElse(_, it, other) => {
            out.push(Node::Expr(*it));
            block(other, out);
        }
        Stmt::Return(None) | Stmt::Raise(None) | Stmt::Leave => {}
        Stmt::Loop { bind, cond, body, after } => {
            out.extend(bind.iter().map(|it| Node::Expr(it.1)));
            out.extend(cond.iter().copied().map(Node::Expr));
            block(body, out);
            block(after, out);
        }
        Stmt::Try { body, catches, after } => {
            block(body, out);
            catches.iter().for_each(|it| block(&it.body, out));
            block(after, out);
        }
        Stmt::Func(it) => func(file, *it, out),
    }
}

/// `a.b().c[]`: the names of a chain, whatever is passed on the way.
pub(super) fn chain(file: &File<'_>, id: Id) -> String {
    let mut parts = Vec::new();
    let mut at = Some(id);
    while let Some(id) = at {
        at = match file.expr(id) {
            Expr::Name(it) => {
                parts.push((*it).to_owned());
                None
            }
            Expr::Attr(of, name) => {
                parts.push(format!(".{name}"));
                Some(*of)
            }
            Expr::Call { callee, .. } => {
                parts.push("()".to_owned());
                Some(*callee)
            }
            Expr::Index(of, _) => {
                parts.push("[]".to_owned());
                Some(*of)
            }
            Expr::Try(of) => Some(*of),
            // `&x`, `-x`.
            Expr::Op(_, of) if of.len() == 1 => of.first().copied(),
            _ => None,
        };
    }
    parts.reverse();
    parts.concat()
}

/// The last name of a chain.
pub(super) fn last(chain: &str) -> &str {
    let chain = chain.trim_end_matches("()").trim_end_matches("[]");
    chain.rsplit('.').next().unwrap_or(chain)
}

/// What a call is of, by its chain, and what it is given.
pub(super) fn call<'f, 's>(file: &'f File<'s>, id: Id) -> Option<(String, &'f [Arg<'s>])> {
    match file.expr(id) {
        Expr::Call { callee, args, .. } => Some((chain(file, *callee), args)),
        _ => None,
    }
}

/// What a method is called on.
pub(super) fn receiver(file: &File<'_>, id: Id) -> Option<Id> {
    let Expr::Call { callee, .. } = file.expr(id) else { return None };
    match file.expr(*callee) {
        Expr::Attr(of, _) => Some(*of),
        _ => None,
    }
}

/// Whether a name is used below an expression.
pub(super) fn mentions(file: &File<'_>, id: Id, name: &str) -> bool {
    below(file, id).into_iter().any(|it| matches!(file.expr(it), Expr::Name(it) if *it == name))
}

/// What names in a function stand for: bound by a statement, a condition or an assignment.
pub(super) fn bindings<'f, 's>(file: &'f File<'s>, func: &'f Func<'s>) -> Vec<(&'s str, Id)> {
    let mut out = Vec::new();
    for it in inside(file, &func.body) {
        let (pat, value) = match it {
            Node::Stmt(Stmt::Let(pat, value) | Stmt::LetElse(pat, value, _)) => (pat, *value),
            Node::Expr(id) => match file.expr(id) {
                Expr::Is(pat, value) | Expr::Assign(pat, value) => (pat, *value),
                _ => continue,
            },
            Node::Stmt(_) => continue,
        };
        names(pat, &mut |name| out.push((name, value)));
    }
    out
}

fn names<'s>(pat: &Pat<'s>, see: &mut impl FnMut(&'s str)) {
    match pat {
        Pat::Name(it) => see(it),
        Pat::Tuple(inner) | Pat::Variant(_, inner) | Pat::Or(inner) => {
            inner.iter().for_each(|it| names(it, see));
        }
        Pat::Default(inner, _) => names(inner, see),
        Pat::Fields(fields, rest) => {
            fields.iter().for_each(|it| names(&it.1, see));
            rest.iter().for_each(|it| see(it));
        }
        Pat::Temp(_) | Pat::Place(_) | Pat::Value(_) | Pat::Wild => {}
    }
}

/// A condition without what turns it around, and whether it was turned.
pub(super) fn turned(file: &File<'_>, mut id: Id) -> (Id, bool) {
    let mut no = false;
    while let Expr::Not(it) = file.expr(id) {
        (id, no) = (*it, !no);
    }
    (id, no)
}

/// `x in list`, `list.includes(x)`, `slices.Contains(list, x)`: the list, and whether it is asked
/// that it is *not* in it.
pub(super) fn member(file: &File<'_>, id: Id) -> Option<(Id, bool)> {
    let (id, no) = turned(file, id);
    match file.expr(id) {
        Expr::Cmp(Cmp::In, _, list) => Some((*list, no)),
        Expr::Cmp(Cmp::NotIn, _, list) => Some((*list, !no)),
        // `list.indexOf(x) === -1`.
        Expr::Cmp(how, found, _) if last(&call(file, *found)?.0) == "indexOf" => {
            Some((receiver(file, *found)?, no != (*how == Cmp::Eq)))
        }
        Expr::Call { .. } => {
            let (name, args) = call(file, id)?;
            match last(&name) {
                "Contains" | "ContainsFunc" if args.len() == 2 => {
                    args.first().map(|it| (it.value, no))
                }
                "any" | "every" | "all" if args.len() == 1 && receiver(file, id).is_none() => {
                    let of = args.first().map(|it| file.expr(it.value))?;
                    match of {
                        Expr::Each { iter, .. } => Some((*iter, no)),
                        _ => None,
                    }
                }
                "includes" | "contains" | "has" | "some" | "any" | "contains_key" => {
                    Some((list_of(file, receiver(file, id)?), no))
                }
                _ => None,
            }
        }
        // A map of names in Go: `allowed[x]`.
        Expr::Index(list, _) => Some((*list, no)),
        _ => None,
    }
}

/// `list` of `list.iter()`.
fn list_of(file: &File<'_>, id: Id) -> Id {
    let steps = ["iter", "keys", "values", "as_ref", "into_iter"];
    match call(file, id) {
        Some((name, _)) if steps.contains(&last(&name)) => receiver(file, id).unwrap_or(id),
        _ => id,
    }
}

/// Whether a condition says that a thing is empty or not there (`Some(true)`), or that it is
/// (`Some(false)`), and of which chain.
pub(super) fn empty(file: &File<'_>, id: Id) -> Option<(String, bool)> {
    let (id, no) = turned(file, id);
    let is = |chain: String, empty: bool| (!chain.is_empty()).then_some((chain, empty != no));
    match file.expr(id) {
        Expr::Cmp(how, a, b) => {
            let nothing = |it: Id| match file.expr(it) {
                Expr::Null => true,
                Expr::Num(it) => *it == "0",
                Expr::Str(it) => it.is_empty(),
                Expr::Name(it) => matches!(*it, "undefined" | "nil" | "None"),
                _ => false,
            };
            let (of, other) = if nothing(*b) { (*a, *b) } else { (*b, *a) };
            if !nothing(other) {
                return None;
            }
            match how {
                Cmp::Eq => is(counted(file, of), true),
                Cmp::Ne | Cmp::More | Cmp::Less => is(counted(file, of), false),
                Cmp::In | Cmp::NotIn => None,
            }
        }
        Expr::Call { .. } => {
            let (name, _) = call(file, id)?;
            match last(&name) {
                "is_empty" | "is_none" => is(chain(file, receiver(file, id)?), true),
                "is_some" => is(chain(file, receiver(file, id)?), false),
                "len" => is(counted(file, id), false),
                _ => is(chain(file, id), false),
            }
        }
        Expr::Is(Pat::Variant("None", _), of) => is(chain(file, *of), true),
        Expr::Is(_, of) => is(chain(file, *of), false),
        Expr::Name(_) | Expr::Attr(..) | Expr::Index(..) => is(counted(file, id), false),
        _ => None,
    }
}

/// `list` of `len(list)`, `list.length`, `list.len()`.
fn counted(file: &File<'_>, id: Id) -> String {
    match file.expr(id) {
        Expr::Attr(of, "length" | "size") => chain(file, *of),
        Expr::Call { args, .. } => match (chain(file, id).as_str(), args.first()) {
            ("len()", Some(it)) => chain(file, it.value),
            (name, _) if last(name) == "len" => {
                receiver(file, id).map_or_else(String::new, |it| chain(file, it))
            }
            (name, _) => name.to_owned(),
        },
        _ => chain(file, id),
    }
}

/// Whether a block lets something pass: it says yes, or goes on to what comes next.
pub(super) fn permits(file: &File<'_>, block: &Block<'_>) -> bool {
    let yes = |id: Id| match file.expr(id) {
        Expr::Bool(it) => *it,
        Expr::Call { args, .. } => {
            let name = chain(file, id);
            let good = |it: &Arg<'_>| matches!(file.expr(it.value), Expr::Bool(true));
            match last(&name) {
                "next" | "call_next" | "ServeHTTP" | "run" => true,
                "Ok" | "Some" => args.first().is_none_or(|it| !is_no(file, it.value)),
                "callback" | "cb" => args.iter().any(good),
                _ => false,
            }
        }
        _ => false,
    };
    block.iter().any(|it| match it {
        Stmt::Return(Some(it)) | Stmt::Expr(it) => yes(*it),
        Stmt::Return(None)
        | Stmt::Let(..)
        | Stmt::LetElse(..)
        | Stmt::Raise(_)
        | Stmt::Leave
        | Stmt::Loop { .. }
        | Stmt::Try { .. }
        | Stmt::Func(_) => false,
    })
}

fn is_no(file: &File<'_>, id: Id) -> bool {
    matches!(file.expr(id), Expr::Bool(false))
}

/// Whether a block leaves the function, as one does that refuses.
pub(super) fn leaves(block: &Block<'_>) -> bool {
    block.iter().any(|it| matches!(it, Stmt::Return(_) | Stmt::Raise(_) | Stmt::Leave))
}
