//! From a syntax tree to the common form, one module for each language.

mod go;
mod python;
mod rust;
mod script;

use std::borrow::Cow;
use std::str::Chars;

use crate::ir::{Arg, Block, Builder, Expr, File, Id, Stmt, Trouble};
use crate::language::Language;
use crate::tree::{Node, Tree};

/// Reads one file. `None` if the parser gave up.
pub(crate) fn lower<'s>(path: &str, language: Language, text: &'s str) -> Option<File<'s>> {
    let tree = Tree::read(text, language, None)?;
    let mut build = Builder::new();
    let top = match language {
        Language::Python => python::file(&mut build, tree.root()),
        Language::JavaScript | Language::TypeScript | Language::Tsx => {
            script::file(&mut build, tree.root())
        }
        Language::Go => go::file(&mut build, tree.root()),
        Language::Rust => rust::file(&mut build, tree.root()),
    };
    let Builder { exprs, lines, funcs, types, imports, .. } = build;
    let trouble: Option<Trouble> = tree.trouble;
    let path = path.to_owned();
    Some(File { path, language, text, exprs, lines, funcs, types, imports, top, trouble })
}

/// Text put together: what is nested in it is taken into it.
fn join<'s>(build: &mut Builder<'s>, parts: Vec<Id>, lines: (u32, u32)) -> Id {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match build.get(part) {
            Some(Expr::Build(inner)) => flat.extend(inner.iter().copied()),
            _ => flat.push(part),
        }
    }
    build.add(Expr::Build(flat), lines)
}

fn arg(value: Id) -> Arg<'static> {
    Arg { name: None, spread: false, value }
}

/// The literal text of a string without its escapes, as far as they matter here.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(it) = chars.next() {
        match it {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('0') => out.push('\0'),
                Some('\n') | None => {}
                Some(it @ ('x' | 'u' | 'U')) => out.extend(numbered(it, &mut chars)),
                Some(other) => out.push(other),
            },
            it => out.push(it),
        }
    }
    Cow::Owned(out)
}

/// The character of `\x2e`, `\u002e`, `\U0000002e` and `\u{2e}`, from behind its letter.
fn numbered(letter: char, chars: &mut Chars<'_>) -> Option<char> {
    let rest = chars.as_str();
    let (digits, all) = match rest.strip_prefix('{') {
        Some(inside) => {
            let digits = inside.split('}').next()?;
            (digits, digits.len() + 2)
        }
        None => {
            let length = match letter {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            (rest.get(..length)?, length)
        }
    };
    let it = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
    *chars = rest.get(all..)?.chars();
    Some(it)
}

/// One statement, and all that its place in the tree does not say.
type Lower<'s> = fn(&mut Builder<'s>, Node<'_, 's>, &mut Block<'s>);

fn block<'s>(build: &mut Builder<'s>, node: Node<'_, 's>, one: Lower<'s>) -> Block<'s> {
    let mut out = Vec::new();
    for it in node.children() {
        one(build, it, &mut out);
    }
    out
}

/// `if`, as a statement.
fn when<'s>(
    build: &mut Builder<'s>,
    cond: Id,
    then: Block<'s>,
    other: Block<'s>,
    lines: (u32, u32),
) -> Stmt<'s> {
    Stmt::Expr(build.add(Expr::If { cond, then, other }, lines))
}
