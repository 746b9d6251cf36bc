//! JavaScript and TypeScript.

use std::borrow::Cow;

use super::{arg, block, join, unescape, when};
use crate::ir::{
    Arg, Block, Builder, Catch, Cmp, Entry, Expr, Field, Func, FuncId, Id, Import, Param, Pat,
    Stmt, TypeDef,
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
        "statement_block" | "program" | "else_clause" | "class_static_block" => {
            out.extend(block(build, node, statement));
        }
        "expression_statement" => {
            if let Some(it) = node.first() {
                expression(build, it, out);
            }
        }
        "lexical_declaration" | "variable_declaration" => {
            for it in node.children().filter(|it| it.kind() == "variable_declarator") {
                declarator(build, it, out);
            }
        }
        "return_statement" => {
            let value = node.first().map(|it| expr(build, it));
            out.push(Stmt::Return(value));
        }
        "throw_statement" => {
            let value = node.first().map(|it| expr(build, it));
            out.push(Stmt::Raise(value));
        }
        "if_statement" => {
            let cond = sub(build, node, "condition");
            let then = body(build, node.field("consequence"));
            let other = body(build, node.field("alternative"));
            out.push(when(build, cond, then, other, node.lines()));
        }
        "for_in_statement" => {
            let pat = node.field("left").map_or(Pat::Wild, |it| pattern(build, it));
            let iter = sub(build, node, "right");
            let inside = body(build, node.field("body"));
            out.push(Stmt::Loop {
                bind: Some((pat, iter)),
                cond: None,
                body: inside,
                after: Vec::new(),
            });
        }
        "for_statement" => {
            out.extend(body(build, node.field("initializer")));
            let cond = node.field("condition").and_then(|it| match it.kind() {
                "expression_statement" => it.first(),
                "empty_statement" => None,
                _ => Some(it),
            });
            let cond = cond.map(|it| expr(build, it));
            let mut inside = body(build, node.field("body"));
            if let Some(it) = node.field("increment") {
                inside.push(Stmt::Expr(expr(build, it)));
            }
            out.push(Stmt::Loop { bind: None, cond, body: inside, after: Vec::new() });
        }
        "while_statement" | "do_statement" => {
            let cond = Some(sub(build, node, "condition"));
            let inside = body(build, node.field("body"));
            out.push(Stmt::Loop { bind: None, cond, body: inside, after: Vec::new() });
        }
        "try_statement" => {
            let inside = body(build, node.field("body"));
            let mut catches = Vec::new();
            if let Some(it) = node.field("handler") {
                let bind = it.field("parameter").map(Node::text);
                let then = body(build, it.field("body"));
                catches.push(Catch { bind, types: "", body: then, line: it.lines().0 });
            }
            let after = body(build, node.field("finalizer").and_then(|it| it.field("body")));
            out.push(Stmt::Try { body: inside, catches, after });
        }
        "switch_statement" => switch(build, node, out),
        "function_declaration" | "generator_function_declaration" => {
            let id = function(build, node, None);
            out.push(Stmt::Func(id));
        }
        "class_declaration" | "abstract_class_declaration" | "class" => class(build, node, out),
        "export_statement" => {
            let marks = out.len();
            for it in node.children() {
                match it.kind() {
                    "export_clause" | "string" | "decorator" | "namespace_export" => {}
                    kind if kind.ends_with("declaration") => statement(build, it, out),
                    _ => {
                        let value = expr(build, it);
                        out.push(Stmt::Let(Pat::Name("default"), value));
                    }
                }
            }
            for it in out.iter().skip(marks) {
                if let Stmt::Func(id) = it
                    && let Some(it) = build.funcs.get_mut(*id as usize)
                {
                    it.public = true;
                }
            }
        }
        "import_statement" => imports(build, node),
        "break_statement" | "continue_statement" => out.push(Stmt::Leave),
        "labeled_statement" => out.extend(body(build, node.field("body"))),
        "interface_declaration" | "type_alias_declaration" => typedef(build, node),
        "enum_declaration" => {
            let name = node.field("name").map_or("", Node::text);
            let (bases, alias) = ("", "");
            build.types.push(TypeDef { name, bases, fields: Vec::new(), alias, values: true });
        }
        "empty_statement" | "debugger_statement" | "ambient_declaration" => {}
        _ => out.push(Stmt::Expr(expr(build, node))),
    }
}

/// An expression that stands alone: what it assigns is a statement.
fn expression<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    match node.kind() {
        "sequence_expression" => {
            for it in node.children() {
                expression(build, it, out);
            }
        }
        "assignment_expression" => {
            let value = sub(build, node, "right");
            let pat = node.field("left").map_or(Pat::Wild, |it| pattern(build, it));
            out.push(Stmt::Let(pat, value));
        }
        _ => out.push(Stmt::Expr(expr(build, node))),
    }
}

fn declarator<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    let Some(right) = node.field("value") else { return };
    let value = expr(build, right);
    let left = node.field("name");
    if let Some(module) = required(build, value) {
        match left {
            Some(it) if it.kind() == "identifier" => {
                build.imports.push(Import { alias: it.text(), module, name: "" });
            }
            Some(it) => {
                for it in it.children() {
                    let (name, alias) = match it.kind() {
                        "pair_pattern" => (
                            it.field("key").map_or("", Node::text),
                            it.field("value").map_or("", Node::text),
                        ),
                        _ => (it.text(), it.text()),
                    };
                    build.imports.push(Import { alias, module: module.clone(), name });
                }
            }
            None => {}
        }
        return;
    }
    // A function that is given a name.
    if let (Some(Expr::Func(id)), Some(name)) = (build.get(value), left)
        && name.kind() == "identifier"
    {
        let id = *id;
        if let Some(it) = build.funcs.get_mut(id as usize) {
            it.name = name.text();
        }
    }
    let pat = left.map_or(Pat::Wild, |it| pattern(build, it));
    out.push(Stmt::Let(pat, value));
}

/// The module of `require("x")`, or of `require("x").y`.
fn required<'s>(build: &Builder<'s>, value: Id) -> Option<Cow<'s, str>> {
    match build.get(value)? {
        Expr::Call { callee, args, .. } => {
            let named = matches!(build.get(*callee), Some(Expr::Name("require")));
            match (named, build.get(args.first()?.value)?) {
                (true, Expr::Str(it)) => Some(it.clone()),
                _ => None,
            }
        }
        Expr::Attr(base, name) => {
            let module = required(build, *base)?;
            Some(Cow::Owned(format!("{module}/{name}")))
        }
        _ => None,
    }
}

fn switch<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    let value = sub(build, node, "value");
    let temp = build.temp();
    out.push(Stmt::Let(Pat::Temp(temp), value));
    let mut cases: Vec<(Option<Id>, Block<'s>, (u32, u32))> = Vec::new();
    let mut default = None;
    let mut shared: Option<Id> = None;
    for case in node.field("body").into_iter().flat_map(Node::children) {
        let mut then = Vec::new();
        for it in case.fields("body") {
            statement(build, it, &mut then);
        }
        // What ends a case does not end what is after the switch.
        while matches!(then.last(), Some(Stmt::Leave)) {
            then.pop();
        }
        if case.kind() == "switch_default" {
            default = Some(then);
            continue;
        }
        let subject = build.add(Expr::Temp(temp), case.lines());
        let value = sub(build, case, "value");
        let mut cond = build.add(Expr::Cmp(Cmp::Eq, subject, value), case.lines());
        if let Some(it) = shared.take() {
            cond = build.add(Expr::Or(it, cond), case.lines());
        }
        // An empty case is one with the next.
        if case.fields("body").next().is_none() {
            shared = Some(cond);
        } else {
            cases.push((Some(cond), then, case.lines()));
        }
    }
    let mut other = default.unwrap_or_default();
    for (cond, then, lines) in cases.into_iter().rev() {
        if let Some(cond) = cond {
            other = vec![when(build, cond, then, other, lines)];
        }
    }
    out.extend(other);
}

fn function<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, owner: Option<&'s str>) -> FuncId {
    let params = match (node.field("parameters"), node.field("parameter")) {
        (Some(it), _) => parameters(build, it),
        (None, Some(it)) => {
            let name = it.text();
            let (pat, default) = (pattern(build, it), None);
            vec![Param { pat, name, ty: "", default, rest: false }]
        }
        (None, None) => Vec::new(),
    };
    let inner = build.funcs.len();
    let inside = match node.field("body") {
        Some(it) if it.kind() == "statement_block" => block(build, it, statement),
        Some(it) => vec![Stmt::Return(Some(expr(build, it)))],
        None => Vec::new(),
    };
    build.nest(inner);
    let line = node.lines().0;
    build.func(Func {
        name: node.field("name").map_or("", Node::text),
        owner,
        params,
        marks: Vec::new(),
        body: inside,
        tail: false,
        nested: false,
        public: false,
        line,
    })
}

fn parameters<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Vec<Param<'s>> {
    let mut out = Vec::new();
    for it in node.children() {
        let (of, ty) = match it.kind() {
            "required_parameter" | "optional_parameter" => {
                (it.field("pattern").unwrap_or(it), it.field("type").map_or("", Node::text))
            }
            _ => (it, ""),
        };
        let default = it.field("value").or(it.field("right")).map(|it| expr(build, it));
        let named =
            if of.kind() == "assignment_pattern" { of.field("left").unwrap_or(of) } else { of };
        let rest = of.kind() == "rest_pattern";
        let pat = pattern(build, of);
        let name = named.text();
        out.push(Param { pat, name, ty: ty.trim_start_matches([':', ' ']), default, rest });
    }
    out
}

fn class<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    let name = node.field("name").map_or("", Node::text);
    let bases = node.children().find(|it| it.kind() == "class_heritage").map_or("", Node::text);
    let mut fields = Vec::new();
    for it in node.field("body").into_iter().flat_map(Node::children) {
        match it.kind() {
            "method_definition" => {
                let id = function(build, it, Some(name));
                out.push(Stmt::Func(id));
            }
            "field_definition" | "public_field_definition" => {
                let key = it.field("property").or(it.field("name")).map_or("", Node::text);
                fields.push(Field {
                    name: key,
                    ty: it.field("type").map_or("", Node::text),
                    note: it.field("value").map_or("", Node::text),
                });
                if let Some(value) = it.field("value") {
                    let value = expr(build, value);
                    if let Some(Expr::Func(id)) = build.get(value) {
                        let id = *id;
                        if let Some(it) = build.funcs.get_mut(id as usize) {
                            it.name = key.trim_start_matches('#');
                            it.owner = Some(name);
                            it.nested = false;
                        }
                        out.push(Stmt::Func(id));
                    } else {
                        out.push(Stmt::Let(Pat::Name(key), value));
                    }
                }
            }
            "class_static_block" => statement(build, it, out),
            _ => {}
        }
    }
    build.types.push(TypeDef { name, bases, fields, alias: "", values: false });
}

fn typedef<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) {
    let name = node.field("name").map_or("", Node::text);
    let inside = node.field("body").or(node.field("value"));
    let mut fields = Vec::new();
    for it in inside.into_iter().flat_map(Node::children) {
        if it.kind() == "property_signature" {
            let ty = it.field("type").map_or("", Node::text).trim_start_matches([':', ' ']);
            fields.push(Field { name: it.field("name").map_or("", Node::text), ty, note: "" });
        }
    }
    let alias = node.field("value").map_or("", Node::text);
    build.types.push(TypeDef { name, bases: "", fields, alias, values: false });
}

fn imports<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) {
    let source = node
        .field("source")
        .or_else(|| node.of_kind("import_require_clause").and_then(|it| it.field("source")));
    let Some(module) = source.map(|it| it.text().trim_matches(['"', '\'', '`'])) else { return };
    let module = Cow::Borrowed(module);
    if let Some(it) = node.of_kind("import_require_clause").and_then(Node::first) {
        build.imports.push(Import { alias: it.text(), module: module.clone(), name: "" });
    }
    for it in node.of_kind("import_clause").into_iter().flat_map(Node::children) {
        match it.kind() {
            "identifier" => {
                build.imports.push(Import {
                    alias: it.text(),
                    module: module.clone(),
                    name: "default",
                });
            }
            "namespace_import" => {
                let alias = it.first().map_or("", Node::text);
                build.imports.push(Import { alias, module: module.clone(), name: "" });
            }
            "named_imports" => {
                for it in it.children() {
                    let name = it.field("name").map_or("", Node::text);
                    let alias = it.field("alias").map_or(name, Node::text);
                    build.imports.push(Import { alias, module: module.clone(), name });
                }
            }
            _ => {}
        }
    }
}

fn pattern<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Pat<'s> {
    match node.kind() {
        "identifier" | "shorthand_property_identifier_pattern" => Pat::Name(node.text()),
        "array_pattern" => Pat::Tuple(node.children().map(|it| pattern(build, it)).collect()),
        "object_pattern" => {
            let mut fields = Vec::new();
            let mut rest = None;
            for it in node.children() {
                match it.kind() {
                    "shorthand_property_identifier_pattern" => {
                        fields.push((it.text(), Pat::Name(it.text())));
                    }
                    "pair_pattern" => {
                        let key = it.field("key").map_or("", Node::text).trim_matches(['"', '\'']);
                        let of = it.field("value").map_or(Pat::Wild, |it| pattern(build, it));
                        fields.push((key, of));
                    }
                    "object_assignment_pattern" => {
                        let key = it.field("left").map_or("", Node::text);
                        let value = sub(build, it, "right");
                        fields.push((key, Pat::Default(Box::new(Pat::Name(key)), value)));
                    }
                    "rest_pattern" => rest = it.first().map(Node::text),
                    _ => {}
                }
            }
            Pat::Fields(fields, rest)
        }
        "assignment_pattern" => {
            let of = node.field("left").map_or(Pat::Wild, |it| pattern(build, it));
            Pat::Default(Box::new(of), sub(build, node, "right"))
        }
        "rest_pattern" | "parenthesized_expression" | "non_null_expression" => {
            node.first().map_or(Pat::Wild, |it| pattern(build, it))
        }
        "member_expression" | "subscript_expression" => Pat::Place(expr(build, node)),
        "lexical_declaration" | "variable_declaration" | "variable_declarator" => {
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
        "identifier"
        | "this"
        | "super"
        | "property_identifier"
        | "shorthand_property_identifier" => Expr::Name(node.text()),
        "undefined" | "null" => Expr::Null,
        "number" => Expr::Num(node.text()),
        "true" => Expr::Bool(true),
        "false" => Expr::Bool(false),
        "string" => {
            let text = node.text();
            let inside = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
            Expr::Str(unescape(inside))
        }
        "template_string" => return template(build, node),
        "regex" => Expr::Regex(node.text()),
        "parenthesized_expression"
        | "await_expression"
        | "as_expression"
        | "satisfies_expression"
        | "non_null_expression"
        | "instantiation_expression"
        | "yield_expression" => match node.first() {
            Some(it) => return expr(build, it),
            None => Expr::Null,
        },
        "type_assertion" => match node.last() {
            Some(it) => return expr(build, it),
            None => Expr::Null,
        },
        "sequence_expression" => {
            let mut out = Vec::new();
            expression(build, node, &mut out);
            Expr::Do(out)
        }
        "member_expression" => {
            let base = sub(build, node, "object");
            let name = node.field("property").map_or("", Node::text);
            Expr::Attr(base, name.trim_start_matches('#'))
        }
        "subscript_expression" => {
            let base = sub(build, node, "object");
            let key = sub(build, node, "index");
            Expr::Index(base, key)
        }
        "call_expression" => {
            let callee = sub(build, node, "function");
            match node.field("arguments") {
                Some(it) if it.kind() == "template_string" => {
                    let parts = it.children().filter(|it| it.kind() == "template_substitution");
                    let parts = parts.filter_map(Node::first).collect::<Vec<_>>();
                    let parts = parts.into_iter().map(|it| expr(build, it)).collect();
                    Expr::Tagged { tag: callee, parts }
                }
                Some(it) => Expr::Call { callee, args: arguments(build, it), new: false },
                None => Expr::Call { callee, args: Vec::new(), new: false },
            }
        }
        "new_expression" => {
            let callee = sub(build, node, "constructor");
            let args = node.field("arguments").map(|it| arguments(build, it)).unwrap_or_default();
            Expr::Call { callee, args, new: true }
        }
        "binary_expression" => return binary(build, node),
        "unary_expression" => {
            let of = sub(build, node, "argument");
            match node.field("operator").map_or("", Node::text) {
                "!" => Expr::Not(of),
                it => Expr::Op(it, vec![of]),
            }
        }
        "update_expression" => Expr::Op("+", vec![sub(build, node, "argument")]),
        "ternary_expression" => {
            let cond = sub(build, node, "condition");
            let then = vec![Stmt::Expr(sub(build, node, "consequence"))];
            let other = vec![Stmt::Expr(sub(build, node, "alternative"))];
            Expr::If { cond, then, other }
        }
        "array" => Expr::List(arguments(build, node)),
        "object" => Expr::Map(entries(build, node)),
        "arrow_function"
        | "function_expression"
        | "function"
        | "generator_function"
        | "function_declaration" => Expr::Func(function(build, node, None)),
        "class" | "class_declaration" => {
            let mut out = Vec::new();
            class(build, node, &mut out);
            Expr::Do(out)
        }
        "assignment_expression" => {
            let value = sub(build, node, "right");
            let pat = node.field("left").map_or(Pat::Wild, |it| pattern(build, it));
            Expr::Assign(pat, value)
        }
        "augmented_assignment_expression" => {
            let old = sub(build, node, "left");
            let new = sub(build, node, "right");
            let value = match node.field("operator").map_or("", Node::text) {
                "+=" => join(build, vec![old, new], node.lines()),
                "||=" | "??=" => build.add(Expr::Or(old, new), node.lines()),
                _ => build.add(Expr::Op("=", vec![old, new]), node.lines()),
            };
            let pat = node.field("left").map_or(Pat::Wild, |it| pattern(build, it));
            Expr::Assign(pat, value)
        }
        _ => Expr::Other(node.children().map(|it| expr(build, it)).collect()),
    };
    build.add(made, node.lines())
}

fn binary<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let left = sub(build, node, "left");
    let right = sub(build, node, "right");
    let made = match node.field("operator").map_or("", Node::text) {
        "+" => return join(build, vec![left, right], node.lines()),
        "&&" => Expr::And(left, right),
        "||" | "??" => Expr::Or(left, right),
        "==" | "===" => Expr::Cmp(Cmp::Eq, left, right),
        "!=" | "!==" => Expr::Cmp(Cmp::Ne, left, right),
        "<" | "<=" => Expr::Cmp(Cmp::Less, left, right),
        ">" | ">=" => Expr::Cmp(Cmp::More, left, right),
        "in" => Expr::Cmp(Cmp::In, left, right),
        "instanceof" => Expr::Op("instanceof", vec![left, right]),
        it => Expr::Op(it, vec![left, right]),
    };
    build.add(made, node.lines())
}

fn template<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let mut parts = Vec::new();
    // Older grammars have no node for the text between.
    let mut at = node.bytes().start + 1;
    let text = |build: &mut Builder<'s>, from: usize, to: usize| {
        let it = node.source().get(from..to).unwrap_or("");
        (!it.is_empty()).then(|| build.add(Expr::Str(unescape(it)), node.lines()))
    };
    for it in node.children().filter(|it| it.kind() == "template_substitution") {
        let bytes = it.bytes();
        parts.extend(text(build, at, bytes.start));
        parts.extend(it.first().map(|it| expr(build, it)));
        at = bytes.end;
    }
    parts.extend(text(build, at, node.bytes().end.saturating_sub(1)));
    match parts.as_slice() {
        [] => build.add(Expr::Str(Cow::Borrowed("")), node.lines()),
        [one] if matches!(build.get(*one), Some(Expr::Str(_))) => *one,
        _ => join(build, parts, node.lines()),
    }
}

fn arguments<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Vec<Arg<'s>> {
    let mut out = Vec::new();
    for it in node.children() {
        if it.kind() == "spread_element" {
            let value = it.first().map(|it| expr(build, it));
            out.extend(value.map(|value| Arg { name: None, spread: true, value }));
        } else {
            out.push(arg(expr(build, it)));
        }
    }
    out
}

fn entries<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Vec<Entry<'s>> {
    let mut out = Vec::new();
    for it in node.children() {
        match it.kind() {
            "pair" => {
                let value = sub(build, it, "value");
                let Some(key) = it.field("key") else { continue };
                out.push(match key.kind() {
                    "computed_property_name" => {
                        let key = key.first().map(|it| expr(build, it));
                        Entry::Computed(key.unwrap_or(value), value)
                    }
                    _ => {
                        let name = key.text().trim_matches(['"', '\'']);
                        if let Some(Expr::Func(id)) = build.get(value) {
                            let id = *id;
                            if let Some(it) = build.funcs.get_mut(id as usize) {
                                it.name = name;
                            }
                        }
                        Entry::Field(Cow::Borrowed(name), value)
                    }
                });
            }
            "shorthand_property_identifier" => {
                let value = build.add(Expr::Name(it.text()), it.lines());
                out.push(Entry::Field(Cow::Borrowed(it.text()), value));
            }
            "method_definition" => {
                let id = function(build, it, None);
                let value = build.add(Expr::Func(id), it.lines());
                let name = it.field("name").map_or("", Node::text);
                out.push(Entry::Field(Cow::Borrowed(name), value));
            }
            "spread_element" => {
                let value = it.first().map(|it| expr(build, it));
                out.extend(value.map(Entry::Spread));
            }
            _ => {}
        }
    }
    out
}
