//! The form that all four languages are brought into: functions, assignments, calls, conditions.
//!
//! It keeps what matters to the question "does this text come from the caller, and what was done to
//! it on the way", and nothing else. Types are text, operators that only compute are one kind, and a
//! `match` is a chain of conditions.

use std::borrow::Cow;

use crate::language::Language;

/// An expression of a [`File`].
pub(crate) type Id = u32;
/// A function of a [`File`].
pub(crate) type FuncId = u32;
/// What is carried out in order.
pub(crate) type Block<'s> = Vec<Stmt<'s>>;

/// One source file.
#[derive(Debug)]
pub(crate) struct File<'s> {
    pub(crate) path: String,
    pub(crate) language: Language,
    pub(crate) text: &'s str,
    pub(crate) exprs: Vec<Expr<'s>>,
    /// The first and the last line of each expression, from 1.
    pub(crate) lines: Vec<(u32, u32)>,
    pub(crate) funcs: Vec<Func<'s>>,
    pub(crate) types: Vec<TypeDef<'s>>,
    pub(crate) imports: Vec<Import<'s>>,
    pub(crate) top: Block<'s>,
    /// What could not be read, so that nobody takes silence for a clean bill.
    pub(crate) trouble: Option<Trouble>,
}

/// Why a part of a file was not looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    /// The parser found text that is not in the language.
    Syntax { line: u32 },
    /// It is nested deeper than is followed.
    Depth { line: u32 },
}

#[derive(Debug)]
pub(crate) enum Expr<'s> {
    Str(Cow<'s, str>),
    Num(&'s str),
    Bool(bool),
    Null,
    Name(&'s str),
    /// A name that lowering made up.
    Temp(u32),
    Attr(Id, &'s str),
    Index(Id, Id),
    Call {
        callee: Id,
        args: Vec<Arg<'s>>,
        new: bool,
    },
    /// A template with a name before it: the name decides what becomes of its parts.
    Tagged {
        tag: Id,
        parts: Vec<Id>,
    },
    /// Text put together, in order.
    Build(Vec<Id>),
    /// What computes and does not put text together.
    Op(&'s str, Vec<Id>),
    Cmp(Cmp, Id, Id),
    Not(Id),
    And(Id, Id),
    Or(Id, Id),
    /// The value of a condition that also binds.
    Is(Pat<'s>, Id),
    If {
        cond: Id,
        then: Block<'s>,
        other: Block<'s>,
    },
    List(Vec<Arg<'s>>),
    Map(Vec<Entry<'s>>),
    /// `value for pat in iter if conds`.
    Each {
        pat: Pat<'s>,
        iter: Id,
        conds: Vec<Id>,
        value: Id,
    },
    Func(FuncId),
    Regex(&'s str),
    Assign(Pat<'s>, Id),
    /// `?`: what follows only happens if it went well.
    Try(Id),
    Do(Block<'s>),
    Other(Vec<Id>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cmp {
    Eq,
    Ne,
    Less,
    More,
    In,
    NotIn,
}

#[derive(Debug)]
pub(crate) struct Arg<'s> {
    pub(crate) name: Option<&'s str>,
    pub(crate) spread: bool,
    pub(crate) value: Id,
}

#[derive(Debug)]
pub(crate) enum Entry<'s> {
    Field(Cow<'s, str>, Id),
    Computed(Id, Id),
    Spread(Id),
}

#[derive(Debug)]
pub(crate) enum Pat<'s> {
    Name(&'s str),
    Temp(u32),
    Tuple(Vec<Self>),
    /// Fields by name, and what takes the rest.
    Fields(Vec<(&'s str, Self)>, Option<&'s str>),
    /// `Some(x)`, `Ok(x)`, a type that is asked for.
    Variant(&'s str, Vec<Self>),
    /// A place in something: an attribute or an index.
    Place(Id),
    Or(Vec<Self>),
    /// A value that is compared with.
    Value(Id),
    Default(Box<Self>, Id),
    Wild,
}

#[derive(Debug)]
pub(crate) enum Stmt<'s> {
    /// The last one of a block is its value, where the language has it so.
    Expr(Id),
    Let(Pat<'s>, Id),
    /// `let … else`: the block leaves.
    LetElse(Pat<'s>, Id, Block<'s>),
    Return(Option<Id>),
    Raise(Option<Id>),
    /// `break` and `continue`: the rest of the block is not reached.
    Leave,
    Loop {
        bind: Option<(Pat<'s>, Id)>,
        cond: Option<Id>,
        body: Block<'s>,
        after: Block<'s>,
    },
    Try {
        body: Block<'s>,
        catches: Vec<Catch<'s>>,
        after: Block<'s>,
    },
    Func(FuncId),
}

#[derive(Debug)]
pub(crate) struct Catch<'s> {
    pub(crate) bind: Option<&'s str>,
    /// Which errors, as written; empty is every one.
    pub(crate) types: &'s str,
    pub(crate) body: Block<'s>,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) struct Func<'s> {
    pub(crate) name: &'s str,
    /// The type whose method it is.
    pub(crate) owner: Option<&'s str>,
    pub(crate) params: Vec<Param<'s>>,
    /// Decorators and attributes.
    pub(crate) marks: Vec<Id>,
    /// What is written about it before its body, for marks that are not expressions.
    pub(crate) body: Block<'s>,
    /// Whether the last expression is what it returns.
    pub(crate) tail: bool,
    pub(crate) nested: bool,
    pub(crate) public: bool,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) struct Param<'s> {
    pub(crate) pat: Pat<'s>,
    pub(crate) name: &'s str,
    pub(crate) ty: &'s str,
    pub(crate) default: Option<Id>,
    /// `*args`, `...rest`.
    pub(crate) rest: bool,
}

/// A type with fields, or one with a fixed set of values.
#[derive(Debug)]
pub(crate) struct TypeDef<'s> {
    pub(crate) name: &'s str,
    pub(crate) bases: &'s str,
    pub(crate) fields: Vec<Field<'s>>,
    pub(crate) alias: &'s str,
    pub(crate) values: bool,
}

#[derive(Debug)]
pub(crate) struct Field<'s> {
    pub(crate) name: &'s str,
    pub(crate) ty: &'s str,
    /// What else says something about it: a default, a tag, an attribute.
    pub(crate) note: &'s str,
}

/// A name, and the module and name in it that it stands for.
#[derive(Debug)]
pub(crate) struct Import<'s> {
    pub(crate) alias: &'s str,
    pub(crate) module: Cow<'s, str>,
    /// Empty for the module itself.
    pub(crate) name: &'s str,
}

/// The expressions and functions of a file that is being read.
#[derive(Debug)]
pub(crate) struct Builder<'s> {
    pub(crate) exprs: Vec<Expr<'s>>,
    pub(crate) lines: Vec<(u32, u32)>,
    pub(crate) funcs: Vec<Func<'s>>,
    pub(crate) types: Vec<TypeDef<'s>>,
    pub(crate) imports: Vec<Import<'s>>,
    temps: u32,
}

impl<'s> Builder<'s> {
    pub(crate) fn new() -> Self {
        Self {
            exprs: Vec::new(),
            lines: Vec::new(),
            funcs: Vec::new(),
            types: Vec::new(),
            imports: Vec::new(),
            temps: 0,
        }
    }

    pub(crate) fn add(&mut self, expr: Expr<'s>, lines: (u32, u32)) -> Id {
        // Files are bounded at far less than four billion expressions.
        let id = u32::try_from(self.exprs.len()).unwrap_or(u32::MAX);
        self.exprs.push(expr);
        self.lines.push(lines);
        id
    }

    pub(crate) fn func(&mut self, func: Func<'s>) -> FuncId {
        let id = u32::try_from(self.funcs.len()).unwrap_or(u32::MAX);
        self.funcs.push(func);
        id
    }

    /// The functions from the one numbered `from` are inside of the next.
    pub(crate) fn nest(&mut self, from: usize) {
        for it in self.funcs.iter_mut().skip(from) {
            it.nested = true;
        }
    }

    pub(crate) fn temp(&mut self) -> u32 {
        self.temps += 1;
        self.temps
    }

    pub(crate) fn get(&self, id: Id) -> Option<&Expr<'s>> {
        self.exprs.get(id as usize)
    }
}

impl<'s> File<'s> {
    pub(crate) fn expr(&self, id: Id) -> &Expr<'s> {
        self.exprs.get(id as usize).unwrap_or(&Expr::Null)
    }

    pub(crate) fn at(&self, id: Id) -> (u32, u32) {
        self.lines.get(id as usize).copied().unwrap_or((0, 0))
    }

    pub(crate) fn func(&self, id: FuncId) -> Option<&Func<'s>> {
        self.funcs.get(id as usize)
    }
}
