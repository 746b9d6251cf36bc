//! Python.

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
    node.map(|it| block(build, it, statement)).unwrap_or_default()
}

fn statement<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    match node.kind() {
        "expression_statement" => {
            for it in node.children() {
                match it.kind() {
                    "assignment" => assignment(build, it, out),
                    "augmented_assignment" => augmented(build, it, out),
                    _ => out.push(Stmt::Expr(expr(build, it))),
                }
            }
        }
        "return_statement" => {
            let value = node.first().map(|it| expr(build, it));
            out.push(Stmt::Return(value));
        }
        "raise_statement" => {
            let value = node.first().map(|it| expr(build, it));
            out.push(Stmt::Raise(value));
        }
        "if_statement" => {
            let alternatives = node.fields("alternative").collect::<Vec<_>>();
            let it = branches(build, node, &alternatives);
            out.push(it);
        }
        "for_statement" => {
            let iter = sub(build, node, "right");
            let pat = node.field("left").map_or(Pat::Wild, |it| pattern(build, it));
            let inside = body(build, node.field("body"));
            let after = node.field("alternative").and_then(|it| it.field("body"));
            let after = body(build, after);
            out.push(Stmt::Loop { bind: Some((pat, iter)), cond: None, body: inside, after });
        }
        "while_statement" => {
            let cond = Some(sub(build, node, "condition"));
            let inside = body(build, node.field("body"));
            out.push(Stmt::Loop { bind: None, cond, body: inside, after: Vec::new() });
        }
        "try_statement" => {
            let mut inside = body(build, node.field("body"));
            let mut catches = Vec::new();
            let mut after = Vec::new();
            for it in node.children() {
                match it.kind() {
                    "except_clause" | "except_group_clause" => catches.push(catch(build, it)),
                    "else_clause" => inside.extend(body(build, it.field("body"))),
                    "finally_clause" => after = body(build, it.last()),
                    _ => {}
                }
            }
            out.push(Stmt::Try { body: inside, catches, after });
        }
        "with_statement" => {
            for item in node.of_kind("with_clause").into_iter().flat_map(Node::children) {
                match item.field("value").or(item.first()) {
                    Some(it) if it.kind() == "as_pattern" => {
                        let value = given(build, it.first(), it);
                        let target = it.field("alias").and_then(Node::first);
                        let pat = target.map_or(Pat::Wild, |it| pattern(build, it));
                        out.push(Stmt::Let(pat, value));
                    }
                    Some(it) => out.push(Stmt::Expr(expr(build, it))),
                    None => {}
                }
            }
            out.extend(body(build, node.field("body")));
        }
        "match_statement" => matching(build, node, out),
        "function_definition" => {
            let id = function(build, node, None, Vec::new());
            out.push(Stmt::Func(id));
        }
        "class_definition" => class(build, node, out),
        "decorated_definition" => {
            let marks = decorators(build, node);
            match node.field("definition") {
                Some(it) if it.kind() == "class_definition" => class(build, it, out),
                Some(it) => {
                    let id = function(build, it, None, marks);
                    out.push(Stmt::Func(id));
                }
                None => {}
            }
        }
        "import_statement" | "import_from_statement" => imports(build, node),
        "break_statement" | "continue_statement" => out.push(Stmt::Leave),
        "assert_statement" => {
            if let Some(it) = node.first() {
                let cond = expr(build, it);
                out.push(when(build, cond, Vec::new(), vec![Stmt::Raise(None)], node.lines()));
            }
        }
        "block" | "module" => out.extend(block(build, node, statement)),
        "delete_statement" | "global_statement" | "nonlocal_statement" | "pass_statement" => {}
        _ => {
            for it in node.children() {
                statement(build, it, out);
            }
        }
    }
}

fn branches<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, rest: &[Node<'_, 's>]) -> Stmt<'s> {
    let cond = sub(build, node, "condition");
    let then = body(build, node.field("consequence"));
    let other = match rest.split_first() {
        Some((next, rest)) if next.kind() == "elif_clause" => vec![branches(build, *next, rest)],
        Some((next, _)) => body(build, next.field("body")),
        None => Vec::new(),
    };
    when(build, cond, then, other, node.lines())
}

fn catch<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Catch<'s> {
    let what = node.children().find(|it| it.kind() != "block");
    let (types, bind) = match what {
        Some(it) if it.kind() == "as_pattern" => {
            (it.first().map_or("", Node::text), it.field("alias").map(Node::text))
        }
        Some(it) => {
            let bind = node.field("alias").map(Node::text);
            (it.text(), bind)
        }
        None => ("", None),
    };
    let inside = body(build, node.children().find(|it| it.kind() == "block"));
    Catch { bind, types, body: inside, line: node.lines().0 }
}

fn matching<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    let value = sub(build, node, "subject");
    let temp = build.temp();
    out.push(Stmt::Let(Pat::Temp(temp), value));
    let mut cases = Vec::new();
    for case in node.field("body").into_iter().flat_map(Node::children) {
        let subject = build.add(Expr::Temp(temp), case.lines());
        let mut cond = None;
        for it in case.children().filter(|it| it.kind() == "case_pattern") {
            let pat = case_pattern(build, it);
            cond = Some(build.add(Expr::Is(pat, subject), it.lines()));
        }
        let mut cond = cond.unwrap_or_else(|| build.add(Expr::Bool(true), case.lines()));
        if let Some(guard) = case.field("guard").and_then(Node::first) {
            let guard = expr(build, guard);
            cond = build.add(Expr::And(cond, guard), case.lines());
        }
        let then = body(build, case.field("consequence"));
        cases.push((cond, then, case.lines()));
    }
    let mut other = Vec::new();
    for (cond, then, lines) in cases.into_iter().rev() {
        other = vec![when(build, cond, then, other, lines)];
    }
    out.extend(other);
}

fn case_pattern<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Pat<'s> {
    match node.kind() {
        "case_pattern" | "as_pattern" => {
            node.first().map_or(Pat::Wild, |it| case_pattern(build, it))
        }
        "union_pattern" => Pat::Or(node.children().map(|it| case_pattern(build, it)).collect()),
        "dotted_name" => match node.text() {
            "_" => Pat::Wild,
            it if it.contains('.') => Pat::Value(expr(build, node)),
            it => Pat::Name(it),
        },
        "string" | "integer" | "true" | "false" | "none" | "concatenated_string" => {
            Pat::Value(expr(build, node))
        }
        "list_pattern" | "tuple_pattern" => {
            Pat::Tuple(node.children().map(|it| case_pattern(build, it)).collect())
        }
        _ => Pat::Wild,
    }
}

fn decorators<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Vec<Id> {
    let marks = node.children().filter(|it| it.kind() == "decorator").filter_map(Node::first);
    marks.map(|it| expr(build, it)).collect()
}

fn function<'s>(
    build: &mut Builder<'s>,
    node: Node<'_, 's>,
    owner: Option<&'s str>,
    marks: Vec<Id>,
) -> FuncId {
    let params = node.field("parameters").map(|it| parameters(build, it)).unwrap_or_default();
    let inner = build.funcs.len();
    let inside = body(build, node.field("body"));
    build.nest(inner);
    let name = node.field("name").map_or("", Node::text);
    let line = node.lines().0;
    build.func(Func {
        name,
        owner,
        params,
        marks,
        body: inside,
        tail: false,
        nested: false,
        public: !name.starts_with('_'),
        line,
    })
}

fn parameters<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Vec<Param<'s>> {
    let mut out = Vec::new();
    for it in node.children() {
        let kind = it.kind();
        let name = match kind {
            "identifier" => it.text(),
            "default_parameter" | "typed_default_parameter" => {
                it.field("name").map_or("", Node::text)
            }
            "typed_parameter" | "list_splat_pattern" | "dictionary_splat_pattern" => {
                it.first().map_or("", Node::text).trim_start_matches('*')
            }
            _ => continue,
        };
        let default = it.field("value").map(|it| expr(build, it));
        let ty = it.field("type").map_or("", Node::text);
        let rest = it.text().starts_with('*');
        out.push(Param { pat: Pat::Name(name), name, ty, default, rest });
    }
    out
}

fn class<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    let name = node.field("name").map_or("", Node::text);
    let bases = node.field("superclasses").map_or("", Node::text);
    let mut fields = Vec::new();
    for it in node.field("body").into_iter().flat_map(Node::children) {
        match it.kind() {
            "function_definition" => {
                let id = function(build, it, Some(name), Vec::new());
                out.push(Stmt::Func(id));
            }
            "decorated_definition" => {
                let marks = decorators(build, it);
                if let Some(it) = it.field("definition")
                    && it.kind() == "function_definition"
                {
                    let id = function(build, it, Some(name), marks);
                    out.push(Stmt::Func(id));
                }
            }
            "expression_statement" => {
                if let Some(it) = it.first().filter(|it| it.kind() == "assignment") {
                    fields.push(Field {
                        name: it.field("left").map_or("", Node::text),
                        ty: it.field("type").map_or("", Node::text),
                        note: it.field("right").map_or("", Node::text),
                    });
                    if it.field("right").is_some() {
                        assignment(build, it, out);
                    }
                }
            }
            "class_definition" => class(build, it, out),
            _ => {}
        }
    }
    let values = bases.contains("Enum");
    build.types.push(TypeDef { name, bases, fields, alias: "", values });
}

fn imports<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) {
    let module = node.field("module_name").map_or("", Node::text);
    let from = node.kind() == "import_from_statement";
    for it in node.fields("name") {
        let (name, alias) = match it.kind() {
            "aliased_import" => {
                (it.field("name").map_or("", Node::text), it.field("alias").map_or("", Node::text))
            }
            _ => (it.text(), it.text()),
        };
        if from {
            build.imports.push(Import { alias, module: Cow::Borrowed(module), name });
        } else if it.kind() == "aliased_import" {
            build.imports.push(Import { alias, module: Cow::Borrowed(name), name: "" });
        } else {
            // `import a.b` binds `a`.
            let first = name.split('.').next().unwrap_or(name);
            build.imports.push(Import { alias: first, module: Cow::Borrowed(first), name: "" });
        }
    }
    if node.of_kind("wildcard_import").is_some() {
        build.imports.push(Import { alias: "*", module: Cow::Borrowed(module), name: "*" });
    }
}

fn assignment<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    // `a = b = c` is the same value, twice.
    let mut targets = Vec::new();
    let mut at = node;
    let value = loop {
        targets.push(at);
        match at.field("right") {
            Some(it) if it.kind() == "assignment" => at = it,
            Some(it) => break expr(build, it),
            None => return,
        }
    };
    for it in targets {
        let pat = it.field("left").map_or(Pat::Wild, |it| pattern(build, it));
        out.push(Stmt::Let(pat, value));
    }
}

fn augmented<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, out: &mut Block<'s>) {
    let old = sub(build, node, "left");
    let new = sub(build, node, "right");
    let value = match node.field("operator").map_or("", Node::text) {
        "+=" => join(build, vec![old, new], node.lines()),
        "/=" => build.add(Expr::Op("/", vec![old, new]), node.lines()),
        _ => build.add(Expr::Op("=", vec![old, new]), node.lines()),
    };
    let pat = node.field("left").map_or(Pat::Wild, |it| pattern(build, it));
    out.push(Stmt::Let(pat, value));
}

fn pattern<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Pat<'s> {
    match node.kind() {
        "identifier" => Pat::Name(node.text()),
        "pattern_list" | "tuple_pattern" | "list_pattern" | "tuple" | "expression_list"
        | "list" => Pat::Tuple(node.children().map(|it| pattern(build, it)).collect()),
        "list_splat_pattern" | "as_pattern_target" | "parenthesized_expression" => {
            node.first().map_or(Pat::Wild, |it| pattern(build, it))
        }
        "attribute" | "subscript" => Pat::Place(expr(build, node)),
        _ => Pat::Wild,
    }
}

fn null<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    build.add(Expr::Null, node.lines())
}

fn given<'s>(build: &mut Builder<'s>, it: Option<Node<'_, 's>>, of: Node<'_, 's>) -> Id {
    match it {
        Some(it) => expr(build, it),
        None => null(build, of),
    }
}

fn sub<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, field: &str) -> Id {
    match node.field(field) {
        Some(it) => expr(build, it),
        None => null(build, node),
    }
}

fn expr<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let made = match node.kind() {
        "identifier" => Expr::Name(node.text()),
        "integer" | "float" => Expr::Num(node.text()),
        "true" => Expr::Bool(true),
        "false" => Expr::Bool(false),
        "none" | "ellipsis" => Expr::Null,
        "string" => return string(build, node),
        "concatenated_string" => {
            let parts = node.children().map(|it| expr(build, it)).collect();
            return join(build, parts, node.lines());
        }
        "parenthesized_expression" | "await" => match node.first() {
            Some(it) => return expr(build, it),
            None => Expr::Null,
        },
        "attribute" => {
            let base = sub(build, node, "object");
            Expr::Attr(base, node.field("attribute").map_or("", Node::text))
        }
        "subscript" => {
            let base = sub(build, node, "value");
            let key = match node.field("subscript") {
                Some(it) if it.kind() == "slice" => {
                    for it in it.children() {
                        expr(build, it);
                    }
                    build.add(Expr::Name(":"), node.lines())
                }
                Some(it) => expr(build, it),
                None => null(build, node),
            };
            Expr::Index(base, key)
        }
        "call" => {
            let callee = sub(build, node, "function");
            let args = node.field("arguments").map(|it| arguments(build, it)).unwrap_or_default();
            Expr::Call { callee, args, new: false }
        }
        "binary_operator" => {
            let left = sub(build, node, "left");
            let right = sub(build, node, "right");
            match node.field("operator").map_or("", Node::text) {
                "+" => return join(build, vec![left, right], node.lines()),
                "%" if matches!(build.get(left), Some(Expr::Str(_) | Expr::Build(_))) => {
                    return join(build, vec![left, right], node.lines());
                }
                "%" => Expr::Op("%", vec![left, right]),
                "/" => Expr::Op("/", vec![left, right]),
                "*" => Expr::Op("*", vec![left, right]),
                "|" => Expr::Op("|", vec![left, right]),
                _ => Expr::Op("-", vec![left, right]),
            }
        }
        "boolean_operator" => {
            let left = sub(build, node, "left");
            let right = sub(build, node, "right");
            match node.field("operator").map_or("", Node::text) {
                "and" => Expr::And(left, right),
                _ => Expr::Or(left, right),
            }
        }
        "not_operator" => Expr::Not(sub(build, node, "argument")),
        "unary_operator" => Expr::Op("-", vec![sub(build, node, "argument")]),
        "comparison_operator" => return comparison(build, node),
        "conditional_expression" => {
            let mut parts = node.children();
            let (then, cond, other) = (parts.next(), parts.next(), parts.next());
            let cond = given(build, cond, node);
            let then = given(build, then, node);
            let other = given(build, other, node);
            Expr::If { cond, then: vec![Stmt::Expr(then)], other: vec![Stmt::Expr(other)] }
        }
        "list" | "tuple" | "set" | "expression_list" => Expr::List(arguments(build, node)),
        "dictionary" => Expr::Map(entries(build, node)),
        "list_comprehension" | "set_comprehension" | "generator_expression" => {
            return comprehension(build, node);
        }
        "dictionary_comprehension" => return comprehension(build, node),
        "lambda" => {
            let params =
                node.field("parameters").map(|it| parameters(build, it)).unwrap_or_default();
            let value = sub(build, node, "body");
            let line = node.lines().0;
            Expr::Func(build.func(Func {
                name: "",
                owner: None,
                params,
                marks: Vec::new(),
                body: vec![Stmt::Return(Some(value))],
                tail: false,
                nested: true,
                public: false,
                line,
            }))
        }
        "named_expression" => {
            let value = sub(build, node, "value");
            let pat = node.field("name").map_or(Pat::Wild, |it| Pat::Name(it.text()));
            Expr::Assign(pat, value)
        }
        _ => Expr::Other(node.children().map(|it| expr(build, it)).collect()),
    };
    build.add(made, node.lines())
}

fn comparison<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let parts = node.children().map(|it| expr(build, it)).collect::<Vec<_>>();
    let words = node.fields("operators").map(Node::text).collect::<Vec<_>>();
    let mut ops = Vec::new();
    let mut rest = words.iter().peekable();
    while let Some(it) = rest.next() {
        ops.push(match *it {
            "==" => Cmp::Eq,
            "!=" | "<>" => Cmp::Ne,
            "<" | "<=" => Cmp::Less,
            ">" | ">=" => Cmp::More,
            "in" => Cmp::In,
            "not in" => Cmp::NotIn,
            "is not" => Cmp::Ne,
            "not" => {
                rest.next();
                Cmp::NotIn
            }
            "is" if rest.peek().is_some_and(|it| **it == "not") => {
                rest.next();
                Cmp::Ne
            }
            _ => Cmp::Eq,
        });
    }
    let mut whole = None;
    for ((left, right), op) in parts.iter().zip(parts.iter().skip(1)).zip(ops) {
        let one = build.add(Expr::Cmp(op, *left, *right), node.lines());
        whole = Some(match whole {
            Some(it) => build.add(Expr::And(it, one), node.lines()),
            None => one,
        });
    }
    whole.unwrap_or_else(|| null(build, node))
}

fn comprehension<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let value = match node.field("body") {
        Some(it) if it.kind() == "pair" => {
            let parts = it.children().map(|it| expr(build, it)).map(arg).collect();
            build.add(Expr::List(parts), it.lines())
        }
        Some(it) => expr(build, it),
        None => null(build, node),
    };
    let mut conds = Vec::new();
    let mut made = value;
    for it in node.children().collect::<Vec<_>>().into_iter().rev() {
        match it.kind() {
            "if_clause" => conds.extend(it.first().map(|it| expr(build, it))),
            "for_in_clause" => {
                let pat = it.field("left").map_or(Pat::Wild, |it| pattern(build, it));
                let iter = sub(build, it, "right");
                let conds = std::mem::take(&mut conds);
                made = build.add(Expr::Each { pat, iter, conds, value: made }, node.lines());
            }
            _ => {}
        }
    }
    made
}

fn arguments<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Vec<Arg<'s>> {
    if node.kind() == "generator_expression" {
        return vec![arg(comprehension(build, node))];
    }
    let mut out = Vec::new();
    for it in node.children() {
        out.push(match it.kind() {
            "keyword_argument" => Arg {
                name: it.field("name").map(Node::text),
                spread: false,
                value: sub(build, it, "value"),
            },
            "list_splat" | "dictionary_splat" => {
                let value = given(build, it.first(), it);
                Arg { name: (it.kind() == "dictionary_splat").then_some("**"), spread: true, value }
            }
            _ => arg(expr(build, it)),
        });
    }
    out
}

fn entries<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Vec<Entry<'s>> {
    let mut out = Vec::new();
    for it in node.children() {
        if it.kind() == "pair" {
            let key = sub(build, it, "key");
            let value = sub(build, it, "value");
            out.push(match build.get(key) {
                Some(Expr::Str(name)) => Entry::Field(name.clone(), value),
                _ => Entry::Computed(key, value),
            });
        } else if let Some(it) = it.first() {
            out.push(Entry::Spread(expr(build, it)));
        }
    }
    out
}

fn string<'s>(build: &mut Builder<'s>, node: Node<'_, 's>) -> Id {
    let raw = node.of_kind("string_start").is_some_and(|it| it.text().contains(['r', 'R']));
    let mut parts = Vec::new();
    for it in node.children() {
        match it.kind() {
            "string_content" => {
                let text = if raw { Cow::Borrowed(it.text()) } else { unescape(it.text()) };
                parts.push(build.add(Expr::Str(text), it.lines()));
            }
            "interpolation" => {
                if let Some(it) = it.field("expression").or(it.first()) {
                    parts.push(expr(build, it));
                }
            }
            _ => {}
        }
    }
    match parts.as_slice() {
        [] => build.add(Expr::Str(Cow::Borrowed("")), node.lines()),
        [one] if matches!(build.get(*one), Some(Expr::Str(_))) => *one,
        _ => join(build, parts, node.lines()),
    }
}
