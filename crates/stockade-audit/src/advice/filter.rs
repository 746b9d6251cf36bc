//! What is taken out of text, of messages, and of a listing, and comes in by another way.

use super::Followed;
use super::tree::{
    Node, below, bindings, call, chain, exprs, inside, last, leaves, member, mentions,
};
use crate::ir::{Arg, Expr, File, Func, FuncId, Id};

/// Calls that are given what is to be taken out.
const REMOVES: &[&str] = &[
    "sub",
    "subn",
    "compile",
    "replace",
    "replaceAll",
    "replace_all",
    "translate",
    "RegExp",
    "new",
    "MustCompile",
    "ReplaceAll",
    "Replace",
    "NewReplacer",
    "strip",
    "split",
    "maketrans",
];

/// Zero-width characters or the category `Cf` are taken out, and other invisible ones are not.
pub(super) fn invisible_characters(file: &File<'_>, out: &mut Vec<Followed>) {
    let text = file.text.to_ascii_lowercase();
    let knows_more = ["default_ignorable", "e0100", "\\p{di}", "3164", "\u{3164}", "\u{e0100}"];
    if knows_more.iter().any(|it| text.contains(it)) {
        return;
    }
    let is_list = |text: &str| {
        let low = text.to_ascii_lowercase();
        let forms = ["\\u200b", "\\u{200b}", "\\x{200b}", "\u{200b}", "\\p{cf}", "\\p{format}"];
        forms.iter().any(|it| low.contains(it))
    };
    for id in (0..file.exprs.len()).filter_map(|it| Id::try_from(it).ok()) {
        let advice = match file.expr(id) {
            Expr::Regex(it) => is_list(it),
            Expr::Call { args, .. } => {
                let removes = call(file, id).is_some_and(|it| REMOVES.contains(&last(&it.0)));
                let list = |it: &Arg<'_>| {
                    below(file, it.value)
                        .into_iter()
                        .any(|it| matches!(file.expr(it), Expr::Str(it) if is_list(it)))
                };
                removes && args.iter().any(list)
            }
            // `unicodedata.category(c) != "Cf"`, `unicode.Is(unicode.Cf, r)`.
            Expr::Cmp(_, a, b) => {
                let asks = |it: Id| call(file, it).is_some_and(|it| last(&it.0) == "category");
                let format = |it: Id| {
                    below(file, it)
                        .into_iter()
                        .any(|it| matches!(file.expr(it), Expr::Str(it) if &**it == "Cf"))
                };
                asks(*a) && format(*b) || asks(*b) && format(*a)
            }
            _ => false,
        } || call(file, id).is_some_and(|(name, args)| {
            name == "unicode.Is" && args.iter().any(|it| chain(file, it.value) == "unicode.Cf")
        });
        if advice {
            let says = "Zero-width characters are taken out, and other invisible ones are not.";
            out.push(Followed::at("invisible_characters", file, id, says));
        }
    }
}

/// Calls that read a message.
const READS: &[&str] =
    &["loads", "parse", "Unmarshal", "from_str", "from_slice", "decode", "Decode"];
/// Calls that pass one on.
const SENDS: &[&str] = &[
    "write",
    "send",
    "sendall",
    "forward",
    "Write",
    "WriteString",
    "write_all",
    "post",
    "Post",
    "send_text",
    "send_bytes",
    "writeLine",
    "write_line",
    "fetch",
    "Send",
    "request",
];

/// What was judged is not what is passed on: the bytes may have a name twice.
pub(super) fn duplicate_names(file: &File<'_>, out: &mut Vec<Followed>) {
    let text = file.text;
    let reads = text.contains("json") || text.contains("JSON");
    if !reads || text.contains("object_pairs_hook") {
        return;
    }
    for func in &file.funcs {
        let all = exprs(file, func);
        for (raw, parsed) in read(file, func, &all) {
            let judged = all.iter().any(|it| match file.expr(*it) {
                Expr::If { cond, then, other } => {
                    let about = parsed.iter().any(|it| mentions(file, *cond, it));
                    about && (leaves(then) || leaves(other))
                }
                _ => false,
            });
            let passed = all.iter().copied().find(|it| {
                let Some((name, args)) = call(file, *it) else { return false };
                SENDS.contains(&last(&name)) && args.iter().any(|it| is_of(file, it.value, raw))
            });
            if let (true, Some(id)) = (judged, passed) {
                let says = format!(
                    "What was judged is read from `{raw}`, and `{raw}` itself is passed on."
                );
                out.push(Followed::at("duplicate_names", file, id, says));
            }
        }
    }
}

/// What is read in a function: the name of the bytes, and the names of what they came to.
fn read<'s>(file: &File<'s>, func: &Func<'s>, all: &[Id]) -> Vec<(&'s str, Vec<&'s str>)> {
    let bound = bindings(file, func);
    let mut out = Vec::new();
    for id in all.iter().copied() {
        let Some((name, args)) = call(file, id) else { continue };
        let json = name.to_ascii_lowercase().contains("json");
        if !json || !READS.contains(&last(&name)) {
            continue;
        }
        let Some(raw) = args.first().and_then(|it| first_name(file, it.value)) else { continue };
        let of = |it: &&(&'s str, Id)| it.0 != raw && below(file, it.1).contains(&id);
        let mut parsed: Vec<&str> = bound.iter().filter(of).map(|it| it.0).collect();
        // `json.Unmarshal(raw, &message)`.
        parsed.extend(args.get(1).and_then(|it| first_name(file, it.value)));
        out.push((raw, parsed));
    }
    out
}

fn first_name<'s>(file: &File<'s>, id: Id) -> Option<&'s str> {
    below(file, id).into_iter().find_map(|it| match file.expr(it) {
        Expr::Name(it) if !matches!(*it, "byte" | "string" | "String") => Some(*it),
        _ => None,
    })
}

/// Whether an argument is these bytes, perhaps with a line break behind them.
fn is_of(file: &File<'_>, id: Id, raw: &str) -> bool {
    match file.expr(id) {
        Expr::Name(it) => *it == raw,
        Expr::Build(parts) | Expr::Op("+", parts) => parts.iter().any(|it| is_of(file, *it, raw)),
        Expr::Call { args, .. } => {
            let same = ["append", "encode", "as_bytes", "from", "as_ref"];
            let name = chain(file, id);
            same.contains(&last(&name))
                && (args.iter().any(|it| is_of(file, it.value, raw))
                    || super::tree::receiver(file, id).is_some_and(|it| is_of(file, it, raw)))
        }
        Expr::Map(_) => mentions(file, id, raw),
        _ => false,
    }
}

/// Tools are left out of the listing, and what leaves them out is not asked when they are called.
pub(super) fn hidden_tools(file: &File<'_>, out: &mut Vec<Followed>) {
    let (lists, calls) = handlers(file);
    if calls.is_empty() {
        return;
    }
    for (list, at) in &lists {
        let inner = functions_in(file, *list);
        for (id, hides) in hiding(file, *list) {
            let elsewhere = (0..).zip(&file.funcs).any(|(other, func)| {
                !inner.contains(&other)
                    && exprs(file, func).into_iter().any(|it| is_named(file, it, &hides))
            });
            if !elsewhere {
                let says = format!(
                    "`{hides}` keeps tools out of the listing, and is not asked when one is called."
                );
                out.push(Followed::at("hidden_tools", file, if id == 0 { *at } else { id }, says));
            }
        }
    }
}

/// The functions that list tools, and those that are called for one.
fn handlers(file: &File<'_>) -> (Vec<(FuncId, Id)>, Vec<FuncId>) {
    let (mut lists, mut calls) = (Vec::new(), Vec::new());
    for (func, it) in (0..).zip(&file.funcs) {
        let marks: Vec<String> = it.marks.iter().map(|it| chain(file, *it)).collect();
        let is = |names: &[&str]| {
            names.contains(&it.name) || marks.iter().any(|it| names.contains(&last(it)))
        };
        if is(&["list_tools", "ListTools", "listTools", "handleListTools", "handle_list_tools"]) {
            lists.push((func, 0));
        }
        if is(&["call_tool", "CallTool", "callTool", "handleCallTool", "handle_call_tool"]) {
            calls.push(func);
        }
    }
    for id in (0..file.exprs.len()).filter_map(|it| Id::try_from(it).ok()) {
        let Some((name, args)) = call(file, id) else { continue };
        let [kind, handler] = args else { continue };
        let Expr::Func(func) = file.expr(handler.value) else { continue };
        if last(&name) != "setRequestHandler" {
            continue;
        }
        let kind = match file.expr(kind.value) {
            Expr::Str(it) => it.to_string(),
            _ => chain(file, kind.value),
        };
        match last(&kind) {
            "ListToolsRequestSchema" | "tools/list" => lists.push((*func, id)),
            "CallToolRequestSchema" | "tools/call" => calls.push(*func),
            _ => {}
        }
    }
    (lists, calls)
}

fn functions_in(file: &File<'_>, func: FuncId) -> Vec<FuncId> {
    let mut out = vec![func];
    let Some(it) = file.func(func) else { return out };
    for node in inside(file, &it.body) {
        match node {
            Node::Expr(id) => {
                if let Expr::Func(it) = file.expr(id) {
                    out.push(*it);
                }
            }
            Node::Stmt(crate::ir::Stmt::Func(it)) => out.push(*it),
            Node::Stmt(_) => {}
        }
    }
    out
}

/// By what a listing leaves tools out: a list they are on, or a field that they have.
fn hiding(file: &File<'_>, list: FuncId) -> Vec<(Id, String)> {
    let Some(func) = file.func(list) else { return Vec::new() };
    let mut out = Vec::new();
    let mut conditions = Vec::new();
    for id in exprs(file, func) {
        match file.expr(id) {
            Expr::Each { conds, .. } => conditions.extend(conds.iter().copied()),
            Expr::If { cond, .. } => conditions.push(*cond),
            Expr::Call { args, .. } => {
                let name = chain(file, id);
                let picks = matches!(last(&name), "filter" | "retain" | "reject");
                for it in args.iter().filter(|_| picks) {
                    let Expr::Func(it) = file.expr(it.value) else { continue };
                    let Some(it) = file.func(*it) else { continue };
                    conditions.extend(it.body.iter().filter_map(|it| match it {
                        crate::ir::Stmt::Return(Some(it)) | crate::ir::Stmt::Expr(it) => Some(*it),
                        _ => None,
                    }));
                }
            }
            _ => {}
        }
    }
    for cond in conditions {
        for id in below(file, cond) {
            let hides = match (member(file, id), file.expr(id)) {
                // A field by its name is no list.
                (Some(_), Expr::Index(..)) => continue,
                (Some((list, _)), _) => last(&chain(file, list)).to_owned(),
                (None, Expr::Attr(_, field)) if is_hidden(field) => (*field).to_owned(),
                _ => continue,
            };
            if !hides.is_empty() && !out.iter().any(|it: &(Id, String)| it.1 == hides) {
                out.push((id, hides));
            }
        }
    }
    out
}

fn is_hidden(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    ["hidden", "danger", "internal", "admin", "disabled"].iter().any(|it| field.contains(it))
}

fn is_named(file: &File<'_>, id: Id, name: &str) -> bool {
    match file.expr(id) {
        Expr::Name(it) | Expr::Attr(_, it) => *it == name,
        _ => false,
    }
}
