//! Go.

use std::borrow::Cow;

use super::{arg, block, join, unescape, when};
use crate::ir::{
    Arg, Block, Builder, Cmp, Entry, Expr, Field, Func, FuncId, Id, Import, Param, Pat, Stmt,
    TypeDef,
};
use crate::tree::Node;

pub(super) fn file<'s>(build: &mut Builder<'s>, root: Node<'_, 's>) -> Block<'s> {
    block(build, root, statement)
}

fn body<'s>(build: &mut Builder<'s>, node: Option<Node<'_, 's>>) -> Block<'s> {
    let mut out = Vec::new();
    if let Some(it) = node {
        statement(build, it, &mut out);
    }
    out
}

fn statement<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    match node.kind() {
        "block" | "statement_list" | "source_file" | "var_spec_list" => {
            out.extend(block(build, node, statement));
        }
        "import_declaration" | "import_spec_list" => {
            for it in node.children() {
                statement(build, it, out);
            }
        }
        "import_spec" => {
            let path = node.field("path").map_or("", Node::text).trim_matches(['"', '`']);
            // A version at the end is no name.
            let mut parts = path.rsplit('/');
            let mut last = parts.next().unwrap_or(path);
            if last.starts_with('v') && last.len() <= 3 {
                last = parts.next().unwrap_or(last);
            }
            let alias = node.field("name").map_or(last, Node::text);
            build.imports.push(Import { alias, module: Cow::Borrowed(path), name: "" });
        }
        "var_declaration" | "const_declaration" => {
            for it in node.children() {
                statement(build, it, out);
            }
        }
        "var_spec" | "const_spec" => {
            let names = node.fields("name").collect::<Vec<_>>();
            let values = node.field("value").into_iter().flat_map(Node::children);
            let values = values.map(|it| expr(build, it)).collect::<Vec<_>>();
            let typed = node.field("type").map_or("", Node::text);
            if values.is_empty() {
                for name in names {
                    // A variable of a type, so that what is read into it is known.
                    let callee = build.add(Expr::Name(typed), node.lines());
                    let call = Expr::Call { callee, args: Vec::new(), new: true };
                    let value = build.add(call, node.lines());
                    out.push(Stmt::Let(Pat::Name(name.text()), value));
                }
            } else {
                let pats = names.iter().map(|it| Pat::Name(it.text())).collect();
                assign(build, pats, values, node, out);
            }
        }
        "short_var_declaration" | "assignment_statement" => {
            let left = node.field("left").into_iter().flat_map(Node::children);
            let pats = left.map(|it| pattern(build, it)).collect::<Vec<_>>();
            let right = node.field("right").into_iter().flat_map(Node::children);
            let values = right.map(|it| expr(build, it)).collect::<Vec<_>>();
            let op = node.field("operator").map_or("=", Node::text);
            if op == "+=" {
                let old = node.field("left").and_then(Node::first).map(|it| expr(build, it));
                let parts = old.into_iter().chain(values).collect();
                let value = join(build, parts, node.lines());
                assign(build, pats, vec![value], node, out);
            } else {
                assign(build, pats, values, node, out);
            }
        }
        "expression_statement" | "go_statement" | "defer_statement" => {
            if let Some(it) = node.first() {
                let id = expr(build, it);
                out.push(Stmt::Expr(id));
            }
        }
        "return_statement" => {
            let values = node.first().into_iter().flat_map(Node::children);
            let values = values.map(|it| expr(build, it)).collect::<Vec<_>>();
            let value = match values.as_slice() {
                [] => None,
                [one] => Some(*one),
                _ => {
                    let args = values.into_iter().map(arg).collect();
                    Some(build.add(Expr::List(args), node.lines()))
                }
            };
            out.push(Stmt::Return(value));
        }
        "if_statement" => {
            if let Some(it) = node.field("initializer") {
                statement(build, it, out);
            }
            let cond = sub(build, node, "condition");
            let then = body(build, node.field("consequence"));
            let other = body(build, node.field("alternative"));
            out.push(when(build, cond, then, other, node.lines()));
        }
        "for_statement" => loops(build, node, out),
        "expression_switch_statement" | "type_switch_statement" | "select_statement" => {
            switch(build, node, out);
        }
        "function_declaration" => {
            let id = function(build, node, None);
            out.push(Stmt::Func(id));
        }
        "method_declaration" => {
            let receiver = node.field("receiver").and_then(Node::first);
            let owner = receiver.and_then(|it| it.field("type")).map(|it| plain(it.text()));
            let id = function(build, node, owner);
            out.push(Stmt::Func(id));
        }
        "type_declaration" => {
            for it in node.children() {
                typedef(build, it);
            }
        }
        "break_statement" | "continue_statement" | "goto_statement" => out.push(Stmt::Leave),
        "labeled_statement" => {
            for it in node.children().skip(1) {
                statement(build, it, out);
            }
        }
        "inc_statement" | "dec_statement" | "package_clause" | "empty_statement" => {}
        _ => {
            let id = expr(build, node);
            out.push(Stmt::Expr(id));
        }
    }
}

/// A type's own name, without pointers, packages and parameters.
fn plain(text: &str) -> &str {
    let text = text.trim_start_matches(['*', '&', '(', ' ']);
    text.split(['[', '<', ')', ' ']).next().unwrap_or(text)
}

fn assign<'s>(
    build: &mut Builder<'s>,
    mut pats: Vec<Pat<'s>>,
    values: Vec<Id>,
    _node: Node<'_, 's>,
    out: &mut Block<'s>,
) {
    match values.as_slice() {
        [one] if pats.len() > 1 => out.push(Stmt::Let(Pat::Tuple(pats), *one)),
        [one] => out.extend(pats.pop().map(|it| Stmt::Let(it, *one))),
        _ => {
            // The right is worked out before anything changes.
            let temps = values.iter().map(|it| (build.temp(), *it)).collect::<Vec<_>>();
            for (temp, value) in &temps {
                out.push(Stmt::Let(Pat::Temp(*temp), *value));
            }
            for (pat, (temp, value)) in pats.into_iter().zip(temps) {
                let lines = build.lines.get(value as usize).copied().unwrap_or((0, 0));
                let value = build.add(Expr::Temp(temp), lines);
                out.push(Stmt::Let(pat, value));
            }
        }
    }
}

fn loops<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    let mut bind = None;
    let mut cond = None;
    let mut step = Vec::new();
    for it in node.children() {
        match it.kind() {
            "range_clause" => {
                let left = it.field("left").into_iter().flat_map(Node::children);
                let mut pats = left.map(|it| pattern(build, it)).collect::<Vec<_>>();
                // Of an index and a value, the value.
                let pat = if pats.len() > 1 { pats.pop() } else { pats.pop().map(|_| Pat::Wild) };
                let iter = sub(build, it, "right");
                bind = Some((pat.unwrap_or(Pat::Wild), iter));
            }
            "for_clause" => {
                if let Some(it) = it.field("initializer") {
                    statement(build, it, out);
                }
                cond = it.field("condition").map(|it| expr(build, it));
                if let Some(it) = it.field("update") {
                    statement(build, it, &mut step);
                }
            }
            "block" => {}
            _ => cond = Some(expr(build, it)),
        }
    }
    let mut inside = body(build, node.field("body"));
    inside.extend(step);
    out.push(Stmt::Loop { bind, cond, body: inside, after: Vec::new() });
}

fn switch<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    if let Some(it) = node.field("initializer") {
        statement(build, it, out);
    }
    let value = node.field("value").map(|it| expr(build, it));
    let temp = build.temp();
    if let Some(it) = value {
        out.push(Stmt::Let(Pat::Temp(temp), it));
        if let Some(it) = node.field("alias").and_then(Node::first) {
            out.push(Stmt::Let(pattern(build, it), value.unwrap_or_default()));
        }
    }
    let by_type = node.kind() == "type_switch_statement";
    let mut cases = Vec::new();
    let mut other = Vec::new();
    for case in node.children() {
        let mut then = Vec::new();
        match case.kind() {
            "expression_case" | "type_case" | "communication_case" | "default_case" => {}
            _ => continue,
        }
        let head = ["value", "type", "communication"];
        let heads = case.all().filter(|it| head.contains(&it.name()) && it.is_named());
        let heads = heads.collect::<Vec<_>>();
        for it in case.children().filter(|it| !head.contains(&it.name())) {
            statement(build, it, &mut then);
        }
        while matches!(then.last(), Some(Stmt::Leave)) {
            then.pop();
        }
        if case.kind() == "default_case" {
            other = then;
            continue;
        }
        let mut cond = None;
        for head in heads {
            let list = if head.kind() == "expression_list" {
                head.children().collect()
            } else {
                vec![head]
            };
            for it in list {
                let one = if by_type {
                    let subject = build.add(Expr::Temp(temp), it.lines());
                    build.add(Expr::Is(Pat::Variant(it.text(), Vec::new()), subject), it.lines())
                } else if it.kind().ends_with("statement") || it.kind() == "short_var_declaration" {
                    let mut inside = Vec::new();
                    statement(build, it, &mut inside);
                    build.add(Expr::Do(inside), it.lines())
                } else {
                    let of = expr(build, it);
                    match value {
                        Some(_) => {
                            let subject = build.add(Expr::Temp(temp), it.lines());
                            build.add(Expr::Cmp(Cmp::Eq, subject, of), it.lines())
                        }
                        None => of,
                    }
                };
                cond = Some(match cond {
                    Some(it) => build.add(Expr::Or(it, one), case.lines()),
                    None => one,
                });
            }
        }
        let cond = cond.unwrap_or_else(|| build.add(Expr::Null, case.lines()));
        cases.push((cond, then, case.lines()));
    }
    for (cond, then, lines) in cases.into_iter().rev() {
        other = vec![when(build, cond, then, other, lines)];
    }
    out.extend(other);
}

fn function<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, owner: Option<&'s str>) -> FuncId {
    let params = node.field("parameters").map(parameters).unwrap_or_default();
    let inner = build.funcs.len();
    let inside = body(build, node.field("body"));
    build.nest(inner);
    let name = node.field("name").map_or("", Node::text);
    let line = node.lines().0;
    build.func(Func {
        name,
        owner,
        params,
        marks: Vec::new(),
        body: inside,
        tail: false,
        nested: false,
        public: name.starts_with(char::is_uppercase),
        line,
    })
}

fn parameters<'s>(node: Node<'_, 's>) -> Vec<Param<'s>> {
    let mut out = Vec::new();
    for it in node.children() {
        let ty = it.field("type").map_or("", Node::text);
        let rest = it.kind() == "variadic_parameter_declaration";
        let mut names = it.fields("name").map(Node::text).collect::<Vec<_>>();
        if names.is_empty() {
            names.push("_");
        }
        for name in names {
            out.push(Param { pat: Pat::Name(name), name, ty, default: None, rest });
        }
    }
    out
}

fn typedef<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) {
    let name = node.field("name").map_or("", Node::text);
    let ty = node.field("type");
    let mut fields = Vec::new();
    let list = ty.and_then(|it| it.of_kind("field_declaration_list"));
    for it in list.into_iter().flat_map(Node::children) {
        let of = it.field("type").map_or("", Node::text);
        let note = it.field("tag").map_or("", Node::text);
        for name in it.fields("name") {
            fields.push(Field { name: name.text(), ty: of, note });
        }
    }
    let alias = if fields.is_empty() { ty.map_or("", Node::text) } else { "" };
    build.types.push(TypeDef { name, bases: "", fields, alias, values: false });
}

fn pattern<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Pat<'s> {
    match node.kind() {
        "identifier" if node.text() == "_" => Pat::Wild,
        "identifier" => Pat::Name(node.text()),
        "selector_expression" | "index_expression" => Pat::Place(expr(build, node)),
        "unary_expression" | "parenthesized_expression" | "expression_list" => {
            node.first().map_or(Pat::Wild, |it| pattern(build, it))
        }
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
        "identifier" | "type_identifier" | "field_identifier" | "package_identifier" => {
            Expr::Name(node.text())
        }
        "interpreted_string_literal" => Expr::Str(unescape(node.text().trim_matches('"'))),
        "raw_string_literal" => Expr::Str(Cow::Borrowed(node.text().trim_matches('`'))),
        "rune_literal" => Expr::Str(unescape(node.text().trim_matches('\''))),
        "int_literal" | "float_literal" | "imaginary_literal" => Expr::Num(node.text()),
        "true" => Expr::Bool(true),
        "false" => Expr::Bool(false),
        "nil" => Expr::Null,
        "parenthesized_expression" | "literal_element" => match node.first() {
            Some(it) => return expr(build, it),
            None => Expr::Null,
        },
        "selector_expression" => {
            let base = sub(build, node, "operand");
            Expr::Attr(base, node.field("field").map_or("", Node::text))
        }
        "qualified_type" => {
            let base = sub(build, node, "package");
            Expr::Attr(base, node.field("name").map_or("", Node::text))
        }
        "index_expression" => {
            let base = sub(build, node, "operand");
            let key = sub(build, node, "index");
            Expr::Index(base, key)
        }
        "slice_expression" => {
            let base = sub(build, node, "operand");
            let key = build.add(Expr::Name(":"), node.lines());
            Expr::Index(base, key)
        }
        "type_assertion_expression" => {
            let base = sub(build, node, "operand");
            let of = node.field("type").map_or("", Node::text);
            let as_type = build.add(Expr::Attr(base, "(type)"), node.lines());
            let name = build.add(Expr::Str(Cow::Borrowed(of)), node.lines());
            Expr::Call { callee: as_type, args: vec![arg(name)], new: false }
        }
        "type_conversion_expression" => {
            let callee = sub(build, node, "type");
            let value = sub(build, node, "operand");
            Expr::Call { callee, args: vec![arg(value)], new: false }
        }
        "slice_type" | "map_type" | "pointer_type" | "array_type" | "generic_type" => {
            Expr::Name(node.text())
        }
        "call_expression" => {
            let mut function = node.field("function");
            if let Some(it) = function.filter(|it| it.kind() == "type_instantiation_expression") {
                function = it.first();
            }
            let callee = match function {
                Some(it) => expr(build, it),
                None => build.add(Expr::Null, node.lines()),
            };
            let args = node.field("arguments").map(|it| arguments(build, it)).unwrap_or_default();
            Expr::Call { callee, args, new: false }
        }
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
            let of = sub(build, node, "operand");
            match node.field("operator").map_or("", Node::text) {
                "!" => Expr::Not(of),
                "&" | "*" | "<-" => return of,
                it => Expr::Op(it, vec![of]),
            }
        }
        "composite_literal" => return literal(build, node),
        "literal_value" => return literal_value(build, node, None),
        "func_literal" => Expr::Func(function(build, node, None)),
        _ => Expr::Other(node.children().map(|it| expr(build, it)).collect()),
    };
    build.add(made, node.lines())
}

fn literal<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let ty = node.field("type").map(Node::text);
    match node.field("body") {
        Some(it) => literal_value(build, it, ty),
        None => build.add(Expr::Null, node.lines()),
    }
}

/// A list, or a map with the name of its type under `(type)`.
fn literal_value<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, ty: Option<&'s str>) -> Id {
    let keyed = node.children().any(|it| it.kind() == "keyed_element");
    if !keyed && ty.is_none_or(|it| it.starts_with('[')) {
        let parts = node.children().map(|it| expr(build, it)).map(arg).collect();
        return build.add(Expr::List(parts), node.lines());
    }
    let mut out = Vec::new();
    for it in node.children() {
        if it.kind() != "keyed_element" {
            let value = expr(build, it);
            out.push(Entry::Computed(value, value));
            continue;
        }
        let mut parts = it.children();
        let (Some(key), Some(value)) = (parts.next(), parts.next()) else { continue };
        let value = expr(build, value);
        let inner = key.first().unwrap_or(key);
        let is_map = ty.is_some_and(|it| it.starts_with("map"));
        out.push(match inner.kind() {
            "identifier" if !is_map => Entry::Field(Cow::Borrowed(inner.text()), value),
            "interpreted_string_literal" => {
                Entry::Field(Cow::Borrowed(inner.text().trim_matches('"')), value)
            }
            _ => Entry::Computed(expr(build, key), value),
        });
    }
    if let Some(ty) = ty {
        let value = build.add(Expr::Str(Cow::Borrowed(plain(ty))), node.lines());
        out.push(Entry::Field(Cow::Borrowed("(type)"), value));
    }
    build.add(Expr::Map(out), node.lines())
}

fn arguments<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Vec<Arg<'s>> {
    let mut out = Vec::new();
    for it in node.children() {
        if it.kind() == "variadic_argument" {
            let value = it.first().map(|it| expr(build, it));
            out.extend(value.map(|value| Arg { name: None, spread: true, value }));
        } else {
            out.push(arg(expr(build, it)));
        }
    }
    out
}
