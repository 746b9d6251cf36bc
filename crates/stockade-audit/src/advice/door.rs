//! Who is let in: a request without an origin, and a list with nobody on it.

use super::Followed;
use super::tree::{bindings, call, chain, empty, exprs, last, member, permits};
use crate::ir::{Expr, File, Func, Id};

/// A request that has no `Origin` passes, and nothing looks at its `Host`.
pub(super) fn missing_origin(file: &File<'_>, out: &mut Vec<Followed>) {
    if !file.text.contains("rigin") && !file.text.contains("ORIGIN") {
        return;
    }
    let looks_at_host = (0..file.exprs.len())
        .filter_map(|it| Id::try_from(it).ok())
        .any(|it| is_header(file, it, "host"));
    if looks_at_host {
        return;
    }
    for func in &file.funcs {
        let origins = origins(file, func);
        let is_origin =
            |chain: &str, id: Id| origins.contains(&chain) || mentions_header(file, id, "origin");
        for id in exprs(file, func) {
            let passes = match file.expr(id) {
                // `!origin || allowed.includes(origin)`.
                Expr::Or(a, b) => {
                    empty(file, *a).is_some_and(|it| it.1 && is_origin(&it.0, *a))
                        && member(file, *b).is_some_and(|it| !it.1)
                }
                // `origin && !allowed.includes(origin)`, which refuses.
                Expr::And(a, b) => {
                    empty(file, *a).is_some_and(|it| !it.1 && is_origin(&it.0, *a))
                        && member(file, *b).is_some_and(|it| it.1)
                }
                Expr::If { cond, then, other } => match empty(file, *cond) {
                    Some((of, true)) => is_origin(&of, *cond) && permits(file, then),
                    Some((of, false)) => is_origin(&of, *cond) && permits(file, other),
                    None => false,
                },
                _ => false,
            };
            if passes {
                let says = "A request without `Origin` passes, and `Host` is not looked at.";
                out.push(Followed::at("missing_origin", file, id, says));
            }
        }
    }
}

/// The names that an `Origin` is bound to.
fn origins<'s>(file: &File<'s>, func: &Func<'s>) -> Vec<&'s str> {
    let bound = bindings(file, func).into_iter();
    let mut out: Vec<&str> =
        bound.filter(|it| mentions_header(file, it.1, "origin")).map(|it| it.0).collect();
    out.extend(func.params.iter().map(|it| it.name).filter(|it| it.eq_ignore_ascii_case("origin")));
    out
}

fn mentions_header(file: &File<'_>, id: Id, name: &str) -> bool {
    super::tree::below(file, id).into_iter().any(|it| is_header(file, it, name))
}

/// `headers.origin`, `headers["origin"]`, `headers.get("origin")`, `r.Header.Get("Origin")`, `r.Host`.
fn is_header(file: &File<'_>, id: Id, name: &str) -> bool {
    let of_headers = |chain: &str| chain.to_ascii_lowercase().contains("header");
    let is_name = |id: Id| match file.expr(id) {
        Expr::Str(it) => it.eq_ignore_ascii_case(name),
        // `header::ORIGIN`.
        Expr::Name(it) | Expr::Attr(_, it) => it.eq_ignore_ascii_case(name) && is_constant(it),
        _ => false,
    };
    match file.expr(id) {
        Expr::Attr(of, it) => {
            it.eq_ignore_ascii_case(name)
                && (of_headers(&chain(file, *of)) || *it == "Host" && name == "host")
        }
        Expr::Index(of, key) => of_headers(&chain(file, *of)) && is_name(*key),
        Expr::Call { args, .. } => {
            let Some((of, _)) = call(file, id) else { return false };
            let asks = matches!(last(&of), "get" | "Get" | "header" | "getHeader" | "get_all");
            asks && (of_headers(&of) || last(&of) != "get_all")
                && args.first().is_some_and(|it| is_name(it.value))
        }
        _ => false,
    }
}

fn is_constant(name: &str) -> bool {
    name.bytes().all(|it| it.is_ascii_uppercase() || it == b'_')
}

/// Nobody on the list means everybody.
pub(super) fn empty_list(file: &File<'_>, out: &mut Vec<Followed>) {
    for func in &file.funcs {
        let all = exprs(file, func);
        for id in all.iter().copied() {
            let list = match file.expr(id) {
                // `allowed.is_empty() || allowed.contains(x)`.
                Expr::Or(a, b) => pair(file, *a, *b, true),
                // `allowed.length && !allowed.includes(x)`, which refuses.
                Expr::And(a, b) => pair(file, *a, *b, false),
                Expr::If { cond, then, .. } => match empty(file, *cond) {
                    Some((list, true)) if permits(file, then) => {
                        let asked =
                            |it: &Id| member(file, *it).is_some_and(|it| chain(file, it.0) == list);
                        all.iter().any(asked).then_some(list)
                    }
                    _ => None,
                },
                _ => None,
            };
            if let Some(list) = list.filter(|it| is_permission(it)) {
                let says = format!("Where `{list}` is empty, everybody passes.");
                out.push(Followed::at("empty_list", file, id, says));
            }
        }
    }
}

/// The list of which `a` says that it is empty (or not), and `b` that something is in it (or not).
fn pair(file: &File<'_>, a: Id, b: Id, is_empty: bool) -> Option<String> {
    let (list, empty) = empty(file, a)?;
    let (of, not_in) = member(file, b)?;
    (empty == is_empty && not_in != is_empty && chain(file, of) == list).then_some(list)
}

/// Whether a list says who may do something. What only narrows a search may well be empty.
fn is_permission(chain: &str) -> bool {
    let name = chain.to_ascii_lowercase();
    ["allow", "permit", "trust", "whitelist", "accept"].iter().any(|it| name.contains(it))
}
