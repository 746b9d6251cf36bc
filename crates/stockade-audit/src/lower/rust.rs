//! Rust. What is inside a macro that takes expressions is read as expressions.

mod macros;

use std::borrow::Cow;

use super::{arg, join, unescape};
use crate::ir::{
    Arg, Block, Builder, Cmp, Entry, Expr, Field, Func, FuncId, Id, Import, Param, Pat, Stmt,
    TypeDef,
};
use crate::tree::Node;

pub(super) fn file<'s>(build: &mut Builder<'s>, root: Node<'_, 's>) -> Block<'s> {
    items(build, root, None)
}

/// The items of a file, a module or an `impl`, each with the attributes that are before it.
fn items<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, owner: Option<&'s str>) -> Block<'s> {
    let mut out = Vec::new();
    let mut marks: Vec<Node<'_, 's>> = Vec::new();
    for it in node.children() {
        match it.kind() {
            "attribute_item" => {
                marks.push(it);
                continue;
            }
            // Tests are no part of a server.
            _ if marks.iter().any(|it| matches!(it.text(), "#[cfg(test)]" | "#[test]")) => {}
            "function_item" => {
                let found = marks.iter().map(|it| mark(build, *it)).collect();
                let id = function(build, it, owner, found);
                out.push(Stmt::Func(id));
            }
            "impl_item" => {
                let of = it.field("type").map(|it| plain(it.text()));
                let bases = it.field("trait").map_or("", Node::text);
                if let Some(name) = of
                    && !bases.is_empty()
                {
                    let (fields, alias) = (Vec::new(), "");
                    build.types.push(TypeDef { name, bases, fields, alias, values: false });
                }
                let inside = it.field("body").map(|it| items(build, it, of));
                out.extend(inside.unwrap_or_default());
            }
            "mod_item" | "trait_item" => {
                let inside = it.field("body").map(|it| items(build, it, owner));
                out.extend(inside.unwrap_or_default());
            }
            _ => statement(build, it, &mut out),
        }
        marks.clear();
    }
    out
}

/// `#[tool(…)]` as the name `tool`.
fn mark<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let path = node.first().and_then(Node::first).map_or("", Node::text);
    let name = path.rsplit("::").next().unwrap_or(path);
    let callee = build.add(Expr::Name(name), node.lines());
    let text = build.add(Expr::Str(Cow::Borrowed(node.text())), node.lines());
    build.add(Expr::Call { callee, args: vec![arg(text)], new: false }, node.lines())
}

fn plain(text: &str) -> &str {
    let text = text.split('<').next().unwrap_or(text);
    text.rsplit("::").next().unwrap_or(text).trim()
}

fn body<'s>(build: &mut Builder<'s>, node: Option<Node<'_, 's>>) -> Block<'s> {
    match node {
        Some(it) if it.kind() == "block" => inside(build, it),
        Some(it) => vec![Stmt::Expr(expr(build, it))],
        None => Vec::new(),
    }
}

/// What is in a block. If it ends in a statement, its value is nothing.
fn inside<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Block<'s> {
    let mut out = Vec::new();
    let mut value = true;
    for it in node.children() {
        if it.kind() == "label" {
            continue;
        }
        value = it.kind() != "expression_statement"
            || it.first().is_some_and(|of| of.bytes().end == it.bytes().end);
        statement(build, it, &mut out);
    }
    if !value {
        let nothing = build.add(Expr::Null, node.lines());
        out.push(Stmt::Expr(nothing));
    }
    out
}

fn statement<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    match node.kind() {
        "let_declaration" => {
            let pat = node.field("pattern").map_or(Pat::Wild, |it| pattern(build, it));
            let typed = node.field("type").map_or("", Node::text);
            let mut value = match node.field("value") {
                Some(it) => expr(build, it),
                None => return,
            };
            // A type that is asked for is what a conversion makes.
            if !typed.is_empty() {
                let callee = build.add(Expr::Attr(value, "(let)"), node.lines());
                let name = build.add(Expr::Str(Cow::Borrowed(typed)), node.lines());
                let call = Expr::Call { callee, args: vec![arg(name)], new: false };
                value = build.add(call, node.lines());
            }
            match node.field("alternative") {
                Some(it) => {
                    let other = inside(build, it);
                    out.push(Stmt::LetElse(pat, value, other));
                }
                None => out.push(Stmt::Let(pat, value)),
            }
        }
        "expression_statement" => {
            if let Some(it) = node.first() {
                expression(build, it, out);
            }
        }
        "const_item" | "static_item" => {
            let value = node.field("value").map(|it| expr(build, it));
            let pat = node.field("name").map_or(Pat::Wild, |it| Pat::Name(it.text()));
            out.extend(value.map(|it| Stmt::Let(pat, it)));
        }
        "function_item" => {
            let id = function(build, node, None, Vec::new());
            out.push(Stmt::Func(id));
        }
        "struct_item" | "enum_item" | "type_item" => typedef(build, node),
        "use_declaration" => {
            if let Some(it) = node.field("argument") {
                uses(build, it, String::new());
            }
        }
        "mod_item"
        | "impl_item"
        | "trait_item"
        | "foreign_mod_item"
        | "attribute_item"
        | "inner_attribute_item"
        | "macro_definition"
        | "extern_crate_declaration"
        | "empty_statement" => {}
        _ => expression(build, node, out),
    }
}

fn expression<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    match node.kind() {
        "return_expression" => {
            let value = node.first().map(|it| expr(build, it));
            out.push(Stmt::Return(value));
        }
        "break_expression" | "continue_expression" => out.push(Stmt::Leave),
        "assignment_expression" => {
            let value = sub(build, node, "right");
            let pat = node.field("left").map_or(Pat::Wild, |it| place(build, it));
            out.push(Stmt::Let(pat, value));
        }
        "compound_assignment_expr" => {
            let old = sub(build, node, "left");
            let new = sub(build, node, "right");
            let value = match node.field("operator").map_or("", Node::text) {
                "+=" => join(build, vec![old, new], node.lines()),
                _ => build.add(Expr::Op("=", vec![old, new]), node.lines()),
            };
            let pat = node.field("left").map_or(Pat::Wild, |it| place(build, it));
            out.push(Stmt::Let(pat, value));
        }
        "for_expression" => {
            let iter = sub(build, node, "value");
            let pat = node.field("pattern").map_or(Pat::Wild, |it| pattern(build, it));
            let inside = body(build, node.field("body"));
            out.push(Stmt::Loop {
                bind: Some((pat, iter)),
                cond: None,
                body: inside,
                after: Vec::new(),
            });
        }
        "while_expression" | "loop_expression" => {
            let cond = node.field("condition").map(|it| expr(build, it));
            let inside = body(build, node.field("body"));
            out.push(Stmt::Loop { bind: None, cond, body: inside, after: Vec::new() });
        }
        "macro_invocation" => macros::statement(build, node, out),
        _ => out.push(Stmt::Expr(expr(build, node))),
    }
}

fn place<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Pat<'s> {
    match node.kind() {
        "identifier" => Pat::Name(node.text()),
        "_" => Pat::Wild,
        "unary_expression" => node.first().map_or(Pat::Wild, |it| place(build, it)),
        "tuple_expression" => Pat::Tuple(node.children().map(|it| place(build, it)).collect()),
        _ => Pat::Place(expr(build, node)),
    }
}

fn function<'s>(
    build: &mut Builder<'s>,
    node: Node<'_, 's>,
    owner: Option<&'s str>,
    marks: Vec<Id>,
) -> FuncId {
    let mut params = Vec::new();
    for it in node.field("parameters").into_iter().flat_map(Node::children) {
        if it.kind() == "self_parameter" {
            let (pat, default) = (Pat::Name("self"), None);
            params.push(Param { pat, name: "self", ty: "Self", default, rest: false });
        } else if it.kind() == "parameter" {
            let of = it.field("pattern");
            let pat = of.map_or(Pat::Wild, |it| pattern(build, it));
            let ty = it.field("type").map_or("", Node::text);
            let name = of.map_or("", Node::text);
            params.push(Param { pat, name, ty, default: None, rest: false });
        }
    }
    let inner = build.funcs.len();
    let inside = body(build, node.field("body"));
    build.nest(inner);
    let line = node.lines().0;
    build.func(Func {
        name: node.field("name").map_or("", Node::text),
        owner,
        params,
        marks,
        body: inside,
        tail: true,
        nested: false,
        public: node.of_kind("visibility_modifier").is_some(),
        line,
    })
}

fn closure<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let mut params = Vec::new();
    for it in node.field("parameters").into_iter().flat_map(Node::children) {
        let of = if it.kind() == "parameter" { it.field("pattern").unwrap_or(it) } else { it };
        let ty = it.field("type").map_or("", Node::text);
        let pat = pattern(build, of);
        params.push(Param { pat, name: of.text(), ty, default: None, rest: false });
    }
    let inner = build.funcs.len();
    let inside = body(build, node.field("body"));
    build.nest(inner);
    let line = node.lines().0;
    let id = build.func(Func {
        name: "",
        owner: None,
        params,
        marks: Vec::new(),
        body: inside,
        tail: true,
        nested: true,
        public: false,
        line,
    });
    build.add(Expr::Func(id), node.lines())
}

fn typedef<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) {
    let name = node.field("name").map_or("", Node::text);
    let inside = node.field("body");
    let mut fields = Vec::new();
    let mut values = node.kind() == "enum_item";
    let mut note = "";
    for it in inside.into_iter().flat_map(Node::children) {
        match it.kind() {
            "attribute_item" => note = it.text(),
            "field_declaration" => {
                let ty = it.field("type").map_or("", Node::text);
                fields.push(Field { name: it.field("name").map_or("", Node::text), ty, note });
                note = "";
            }
            // A variant that holds text lets text in.
            "enum_variant" => values &= !it.text().contains("String"),
            _ => {}
        }
    }
    let alias = match node.kind() {
        "type_item" => node.field("type").map_or("", Node::text),
        // A newtype is what it holds.
        _ => inside.and_then(|it| it.field("type")).map_or("", Node::text),
    };
    build.types.push(TypeDef { name, bases: "", fields, alias, values });
}

fn uses<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, above: String) {
    let under = |text: &str| match above.as_str() {
        "" => text.replace("::", "."),
        it => format!("{it}.{}", text.replace("::", ".")),
    };
    match node.kind() {
        "identifier" | "scoped_identifier" | "crate" | "self" => {
            let text = node.text();
            if text == "self" {
                let alias = above_name(node);
                build.imports.push(Import { alias, module: Cow::Owned(above), name: "" });
            } else {
                let alias = text.rsplit("::").next().unwrap_or(text);
                build.imports.push(Import { alias, module: Cow::Owned(under(text)), name: "" });
            }
        }
        "use_as_clause" => {
            let text = node.field("path").map_or("", Node::text);
            let alias = node.field("alias").map_or("", Node::text);
            build.imports.push(Import { alias, module: Cow::Owned(under(text)), name: "" });
        }
        "scoped_use_list" => {
            let path = under(node.field("path").map_or("", Node::text));
            let last = node.field("path").map_or("", Node::text).rsplit("::").next().unwrap_or("");
            for it in node.field("list").into_iter().flat_map(Node::children) {
                if it.kind() == "self" {
                    let module = Cow::Owned(path.clone());
                    build.imports.push(Import { alias: last, module, name: "" });
                } else {
                    uses(build, it, path.clone());
                }
            }
        }
        "use_list" => {
            for it in node.children() {
                uses(build, it, above.clone());
            }
        }
        _ => {}
    }
}

fn above_name<'s>(node: Node<'_, 's>) -> &'s str {
    node.text()
}

fn pattern<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Pat<'s> {
    match node.kind() {
        "identifier" | "shorthand_field_identifier" => match node.text() {
            it if it.starts_with(char::is_uppercase) => Pat::Variant(it, Vec::new()),
            it => Pat::Name(it),
        },
        "_" => Pat::Wild,
        "mut_pattern" | "ref_pattern" | "reference_pattern" | "match_pattern"
        | "captured_pattern" => {
            let kept = node.children().find(|it| it.kind() != "mutable_specifier");
            kept.map_or(Pat::Wild, |it| pattern(build, it))
        }
        "tuple_pattern" | "slice_pattern" => {
            Pat::Tuple(node.children().map(|it| pattern(build, it)).collect())
        }
        "tuple_struct_pattern" => {
            let name = plain(node.field("type").map_or("", Node::text));
            let inside = node.children().filter(|it| it.name() != "type");
            let inside = inside.collect::<Vec<_>>();
            Pat::Variant(name, inside.into_iter().map(|it| pattern(build, it)).collect())
        }
        "struct_pattern" => {
            let mut fields = Vec::new();
            for it in node.children().filter(|it| it.kind() == "field_pattern") {
                let name = it.field("name").map_or("", Node::text);
                let of = it.field("pattern").map_or(Pat::Name(name), |it| pattern(build, it));
                fields.push((name, of));
            }
            Pat::Fields(fields, None)
        }
        "or_pattern" => Pat::Or(node.children().map(|it| pattern(build, it)).collect()),
        "scoped_identifier" => Pat::Variant(plain(node.text()), Vec::new()),
        "string_literal" | "integer_literal" | "boolean_literal" | "char_literal"
        | "negative_literal" | "raw_string_literal" => Pat::Value(expr(build, node)),
        _ => Pat::Wild,
    }
}

fn sub<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, field: &str) -> Id {
    match node.field(field) {
        Some(it) => expr(build, it),
        None => build.add(Expr::Null, node.lines()),
    }
}

fn expr<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let made = match node.kind() {
        "identifier" | "self" | "crate" | "super" | "primitive_type" | "type_identifier"
        | "metavariable" => Expr::Name(node.text()),
        "string_literal" | "raw_string_literal" | "char_literal" => return string(build, node),
        "integer_literal" | "float_literal" => Expr::Num(node.text()),
        "boolean_literal" => Expr::Bool(node.text() == "true"),
        "unit_expression" => Expr::Null,
        "parenthesized_expression"
        | "reference_expression"
        | "await_expression"
        | "type_cast_expression" => {
            let kept = node.children().find(|it| it.kind() != "mutable_specifier");
            match kept {
                Some(it) => {
                    let of = expr(build, it);
                    let number = node.field("type").is_some_and(|it| it.kind() == "primitive_type");
                    if !number {
                        return of;
                    }
                    Expr::Op("as", vec![of])
                }
                None => Expr::Null,
            }
        }
        "try_expression" => {
            let of = node.first().map(|it| expr(build, it));
            Expr::Try(of.unwrap_or_default())
        }
        "field_expression" => {
            let base = sub(build, node, "value");
            Expr::Attr(base, node.field("field").map_or("", Node::text))
        }
        "scoped_identifier" | "scoped_type_identifier" => {
            let base = match node.field("path") {
                Some(it) => expr(build, it),
                None => build.add(Expr::Name("crate"), node.lines()),
            };
            Expr::Attr(base, node.field("name").map_or("", Node::text))
        }
        "generic_type" => return sub(build, node, "type"),
        "bracketed_type" => match node.first() {
            Some(it) => return expr(build, it),
            None => Expr::Null,
        },
        // `parse::<u32>` keeps the type in its name.
        "generic_function" => {
            let of = sub(build, node, "function");
            let ty = node.field("type_arguments").map_or("", Node::text);
            let read = ["parse", "from_str", "into", "try_into"];
            if let Some(Expr::Attr(base, name)) = build.get(of)
                && read.contains(name)
            {
                let as_type = Expr::Attr(*base, parsed(ty));
                return build.add(as_type, node.lines());
            }
            return of;
        }
        "call_expression" => {
            let callee = sub(build, node, "function");
            let args = node.field("arguments").map(|it| arguments(build, it)).unwrap_or_default();
            Expr::Call { callee, args, new: false }
        }
        "macro_invocation" => return macros::expr(build, node),
        "binary_expression" => {
            let left = sub(build, node, "left");
            let right = sub(build, node, "right");
            match node.field("operator").map_or("", Node::text) {
                "+" => return join(build, vec![left, right], node.lines()),
                "&&" => Expr::And(left, right),
                "||" => Expr::Or(left, right),
                "==" => Expr::Cmp(Cmp::Eq, left, right),
                "!=" => Expr::Cmp(Cmp::Ne, left, right),
                "<" | "<=" => Expr::Cmp(Cmp::Less, left, right),
                ">" | ">=" => Expr::Cmp(Cmp::More, left, right),
                it => Expr::Op(it, vec![left, right]),
            }
        }
        "unary_expression" => {
            let of = node.first().map(|it| expr(build, it)).unwrap_or_default();
            match node.text().as_bytes().first() {
                Some(b'!') => Expr::Not(of),
                Some(b'*') => return of,
                _ => Expr::Op("-", vec![of]),
            }
        }
        "index_expression" => {
            let mut parts = node.children();
            let base = parts.next().map(|it| expr(build, it)).unwrap_or_default();
            let key = parts.next().map(|it| expr(build, it)).unwrap_or_default();
            Expr::Index(base, key)
        }
        "let_condition" => {
            let pat = node.field("pattern").map_or(Pat::Wild, |it| pattern(build, it));
            let value = sub(build, node, "value");
            Expr::Is(pat, value)
        }
        "let_chain" => {
            let parts = node.children().map(|it| expr(build, it)).collect::<Vec<_>>();
            let mut whole = None;
            for it in parts {
                whole = Some(match whole {
                    Some(left) => build.add(Expr::And(left, it), node.lines()),
                    None => it,
                });
            }
            return whole.unwrap_or_default();
        }
        "if_expression" => {
            let cond = sub(build, node, "condition");
            let then = body(build, node.field("consequence"));
            let other = node.field("alternative").and_then(Node::first);
            let other = body(build, other);
            Expr::If { cond, then, other }
        }
        "match_expression" => return matching(build, node),
        "block" => Expr::Do(inside(build, node)),
        "unsafe_block" | "async_block" | "const_block" => {
            let of = node.of_kind("block").map(|it| inside(build, it));
            Expr::Do(of.unwrap_or_default())
        }
        "closure_expression" => return closure(build, node),
        "array_expression" | "tuple_expression" => Expr::List(arguments(build, node)),
        "struct_expression" => Expr::Map(structure(build, node)),
        "return_expression"
        | "break_expression"
        | "continue_expression"
        | "for_expression"
        | "while_expression"
        | "loop_expression"
        | "assignment_expression"
        | "compound_assignment_expr" => {
            let mut out = Vec::new();
            expression(build, node, &mut out);
            Expr::Do(out)
        }
        "range_expression" => Expr::Name(":"),
        _ => Expr::Other(node.children().map(|it| expr(build, it)).collect()),
    };
    build.add(made, node.lines())
}

/// A conversion, by what it makes.
fn parsed(ty: &str) -> &'static str {
    let ty = ty.trim_matches(['<', '>', ':', ' ']);
    match ty.split(['<', ',']).next().unwrap_or(ty).rsplit("::").next().unwrap_or(ty) {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128"
        | "isize" | "f32" | "f64" | "bool" => "parse_number",
        "Uuid" | "NaiveDate" | "DateTime" => "parse_fixed",
        "IpAddr" | "Ipv4Addr" | "Ipv6Addr" | "SocketAddr" => "parse_address",
        "Url" | "Uri" => "parse_url",
        _ => "parse",
    }
}

fn matching<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let value = sub(build, node, "value");
    let temp = build.temp();
    let mut arms = Vec::new();
    for arm in node.field("body").into_iter().flat_map(Node::children) {
        if arm.kind() != "match_arm" {
            continue;
        }
        let head = arm.field("pattern");
        let subject = build.add(Expr::Temp(temp), arm.lines());
        let pat = head.and_then(Node::first).map_or(Pat::Wild, |it| pattern(build, it));
        let mut cond = build.add(Expr::Is(pat, subject), arm.lines());
        if let Some(guard) = head.and_then(|it| it.field("condition")) {
            let guard = expr(build, guard);
            cond = build.add(Expr::And(cond, guard), arm.lines());
        }
        let then = body(build, arm.field("value"));
        arms.push((cond, then, arm.lines()));
    }
    let mut other: Block<'s> = Vec::new();
    for (cond, then, lines) in arms.into_iter().rev() {
        let id = build.add(Expr::If { cond, then, other }, lines);
        other = vec![Stmt::Expr(id)];
    }
    let mut out = vec![Stmt::Let(Pat::Temp(temp), value)];
    out.extend(other);
    build.add(Expr::Do(out), node.lines())
}

fn structure<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Vec<Entry<'s>> {
    let mut out = Vec::new();
    for it in node.field("body").into_iter().flat_map(Node::children) {
        match it.kind() {
            "field_initializer" => {
                let name = it.field("field").or(it.field("name")).map_or("", Node::text);
                let value = sub(build, it, "value");
                out.push(Entry::Field(Cow::Borrowed(name), value));
            }
            "shorthand_field_initializer" => {
                let value = build.add(Expr::Name(it.text()), it.lines());
                out.push(Entry::Field(Cow::Borrowed(it.text()), value));
            }
            _ => {
                let value = it.first().map(|it| expr(build, it));
                out.extend(value.map(Entry::Spread));
            }
        }
    }
    let ty = plain(node.field("name").map_or("", Node::text));
    let value = build.add(Expr::Str(Cow::Borrowed(ty)), node.lines());
    out.push(Entry::Field(Cow::Borrowed("(type)"), value));
    out
}

fn arguments<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Vec<Arg<'s>> {
    let kept = node.children().filter(|it| it.kind() != "attribute_item");
    let kept = kept.collect::<Vec<_>>();
    kept.into_iter().map(|it| expr(build, it)).map(arg).collect()
}

fn string<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let text = node.text();
    let raw = node.kind() == "raw_string_literal";
    let text = text.trim_start_matches(['b', 'r', 'c', '#']).trim_end_matches('#');
    let text = text.trim_matches(['"', '\'']);
    let text = if raw { Cow::Borrowed(text) } else { unescape(text) };
    build.add(Expr::Str(text), node.lines())
}
