//! Macros: their arguments are tokens, which are read again, each as an expression.

use std::borrow::Cow;
use std::ops::Range;

use super::super::{arg, join, unescape};
use crate::ir::{Arg, Block, Builder, Expr, Id, Pat, Stmt};
use crate::language::Language;
use crate::tree::{Node, Tree};

pub(super) fn statement<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    match name(node) {
        "bail" | "panic" | "unreachable" | "todo" | "unimplemented" => {
            let value = expr(build, node);
            out.push(Stmt::Raise(Some(value)));
        }
        "ensure" | "assert" => {
            let cond = arguments(build, node).into_iter().next().map(|it| it.value);
            if let Some(cond) = cond {
                let other = vec![Stmt::Raise(None)];
                let id = build.add(Expr::If { cond, then: Vec::new(), other }, node.lines());
                out.push(Stmt::Expr(id));
            }
        }
        _ => out.push(Stmt::Expr(expr(build, node))),
    }
}

fn name<'s>(node: Node<'_, 's>) -> &'s str {
    let path = node.field("macro").map_or("", Node::text);
    path.rsplit("::").next().unwrap_or(path)
}

pub(super) fn expr<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let lines = node.lines();
    match name(node) {
        "format" | "format_args" | "println" | "print" | "eprintln" | "eprint" | "panic"
        | "bail" | "anyhow" | "eyre" | "unreachable" => {
            let args = arguments(build, node);
            let text = formatted(build, &args, lines);
            match name(node) {
                "format" | "format_args" => text,
                it => call(build, it, vec![arg(text)], lines),
            }
        }
        // What they write to, and then what.
        "write" | "writeln" => {
            let mut args = arguments(build, node).into_iter();
            let target = args.next().map(|it| it.value).unwrap_or_default();
            let text = formatted(build, &args.collect::<Vec<_>>(), lines);
            let callee = build.add(Expr::Attr(target, "push_str"), lines);
            build.add(Expr::Call { callee, args: vec![arg(text)], new: false }, lines)
        }
        "vec" => {
            let args = arguments(build, node);
            // `vec![x; n]` is so much of it.
            if args.iter().any(|it| it.name == Some(";")) {
                return call(build, "vec", args, lines);
            }
            build.add(Expr::List(args), lines)
        }
        "matches" => matches(build, node),
        "error" | "warn" | "info" | "debug" | "trace" => {
            let args = arguments(build, node);
            call(build, "log", args, lines)
        }
        it => {
            let args = arguments(build, node);
            call(build, it, args, lines)
        }
    }
}

fn call<'s>(build: &mut Builder<'s>, name: &'s str, args: Vec<Arg<'s>>, lines: (u32, u32)) -> Id {
    let callee = build.add(Expr::Name(name), lines);
    build.add(Expr::Call { callee, args, new: false }, lines)
}

/// `matches!(x, pattern if guard)`: with a pattern that is read as an expression, as far as it goes.
fn matches<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let parts = parts(node);
    let mut parts = parts.into_iter();
    let Some((_, first)) = parts.next() else { return build.add(Expr::Null, node.lines()) };
    let subject = read(build, node, first).unwrap_or_default();
    let Some((_, rest)) = parts.next() else { return subject };
    let text = node.source().get(rest).unwrap_or("");
    let pats = text.split(" if ").next().unwrap_or(text).split('|').map(|it| {
        let it = it.trim();
        match it.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
            Some(inner) => Pat::Value(build.add(Expr::Str(unescape(inner)), node.lines())),
            None => Pat::Variant(super::plain(it.split('(').next().unwrap_or(it)), Vec::new()),
        }
    });
    let pat = Pat::Or(pats.collect());
    build.add(Expr::Is(pat, subject), node.lines())
}

/// Text that a format says how to put together.
fn formatted<'s>(build: &mut Builder<'s>, args: &[Arg<'s>], lines: (u32, u32)) -> Id {
    let Some((first, rest)) = args.split_first() else {
        return build.add(Expr::Str(Cow::Borrowed("")), lines);
    };
    let Some(Expr::Str(Cow::Borrowed(format))) = build.get(first.value) else {
        let all = args.iter().map(|it| it.value).collect();
        return join(build, all, lines);
    };
    let format: &'s str = format;
    let mut parts = Vec::new();
    let mut positional = rest.iter().filter(|it| it.name.is_none());
    let mut at = format;
    while let Some((before, after)) = at.split_once('{') {
        if let Some(after) = after.strip_prefix('{') {
            at = after;
            parts.push(build.add(Expr::Str(Cow::Borrowed(before)), lines));
            continue;
        }
        if !before.is_empty() {
            parts.push(build.add(Expr::Str(Cow::Borrowed(before)), lines));
        }
        let (inside, after) = after.split_once('}').unwrap_or((after, ""));
        at = after;
        let name = inside.split(':').next().unwrap_or("").trim();
        if name.is_empty() {
            parts.extend(positional.next().map(|it| it.value));
        } else if let Ok(it) = name.parse::<usize>() {
            parts.extend(rest.get(it).map(|it| it.value));
        } else if let Some(it) = rest.iter().find(|it| it.name == Some(name)) {
            parts.push(it.value);
        } else {
            parts.push(build.add(Expr::Name(name), lines));
        }
    }
    if !at.is_empty() {
        parts.push(build.add(Expr::Str(Cow::Borrowed(at)), lines));
    }
    match parts.as_slice() {
        [one] if matches!(build.get(*one), Some(Expr::Str(_))) => *one,
        [] => build.add(Expr::Str(Cow::Borrowed("")), lines),
        _ => join(build, parts, lines),
    }
}

fn arguments<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Vec<Arg<'s>> {
    let mut out = Vec::new();
    for (separator, part) in parts(node) {
        let text = node.source().get(part.clone()).unwrap_or("");
        let named = text.split_once('=').filter(|(left, right)| {
            let left = left.trim();
            !left.is_empty()
                && left.chars().all(|it| it.is_alphanumeric() || it == '_')
                && !right.starts_with(['=', '>'])
        });
        let (mut name, from) = match named {
            Some((left, _)) => (Some(left.trim()), part.start + left.len() + 1),
            None => (None, part.start),
        };
        if separator == Some(";") {
            name = Some(";");
        }
        if let Some(value) = read(build, node, from..part.end) {
            out.push(Arg { name, spread: false, value });
        }
    }
    out
}

/// The parts between commas and semicolons, each with what is before it.
fn parts<'s>(node: Node<'_, 's>) -> Vec<(Option<&'s str>, Range<usize>)> {
    let Some(tokens) = node.of_kind("token_tree") else { return Vec::new() };
    let inside = tokens.bytes().start + 1..tokens.bytes().end.saturating_sub(1);
    let mut out = Vec::new();
    let mut from = inside.start;
    let mut before = None;
    for it in tokens.all() {
        // An arm of a `select!` or `json!` is left whole.
        if matches!(it.text(), "," | ";") && !it.is_named() {
            if it.bytes().start > from {
                out.push((before, from..it.bytes().start));
            }
            from = it.bytes().end;
            before = Some(it.text());
        }
    }
    let rest = node.source().get(from..inside.end).unwrap_or("");
    if !rest.trim().is_empty() {
        out.push((before, from..inside.end));
    }
    out
}

/// Reads a part of the text as an expression.
fn read<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, part: Range<usize>) -> Option<Id> {
    let text = node.source().get(part.clone())?;
    let start = part.start + (text.len() - text.trim_start().len());
    let text = text.trim();
    let part = start..start + text.len();
    // Most are a name or a plain text.
    if text.chars().all(|it| it.is_alphanumeric() || it == '_') {
        let made = match text.starts_with(|it: char| it.is_ascii_digit()) {
            true => Expr::Num(text),
            false => Expr::Name(text),
        };
        return Some(build.add(made, node.lines()));
    }
    if let Some(inner) = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'))
        && !inner.contains('"')
    {
        return Some(build.add(Expr::Str(unescape(inner)), node.lines()));
    }
    let before = node.source().get(node.bytes().start..start).unwrap_or("");
    let rows = before.bytes().filter(|it| *it == b'\n').count();
    let line = node.lines().0.saturating_add(u32::try_from(rows).unwrap_or(0));
    let tree = Tree::read(node.source(), Language::Rust, Some((part, line)))?;
    let mut parts = Vec::new();
    for it in tree.root().children() {
        let mut inner = Vec::new();
        super::statement(build, it, &mut inner);
        for it in inner {
            parts.push(match it {
                Stmt::Expr(id) => id,
                other => build.add(Expr::Do(vec![other]), node.lines()),
            });
        }
    }
    Some(match parts.as_slice() {
        [one] => *one,
        _ => build.add(Expr::Other(parts), node.lines()),
    })
}
