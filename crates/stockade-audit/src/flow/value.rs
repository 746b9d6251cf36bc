//! What is known of a value: whether it comes from the caller, by which way, and what it is safe for.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::ir::{FuncId, Pat};

pub(crate) type AtomId = u32;

/// Uses that a value is safe for, and what has been seen of it on the way to be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Set(pub(crate) u32);

impl Set {
    pub(crate) const PATH: Self = Self(1);
    pub(crate) const SQL: Self = Self(1 << 1);
    pub(crate) const SHELL: Self = Self(1 << 2);
    pub(crate) const PROGRAM: Self = Self(1 << 3);
    pub(crate) const ARG: Self = Self(1 << 4);
    pub(crate) const URL: Self = Self(1 << 5);
    pub(crate) const CODE: Self = Self(1 << 6);
    pub(crate) const TEMPLATE: Self = Self(1 << 7);
    pub(crate) const DATA: Self = Self(1 << 8);
    pub(crate) const NAME: Self = Self(1 << 9);
    pub(crate) const XML: Self = Self(1 << 10);
    pub(crate) const REGEX: Self = Self(1 << 11);
    pub(crate) const LINE: Self = Self(1 << 12);
    pub(crate) const QUERY: Self = Self(1 << 13);
    pub(crate) const SIZE: Self = Self(1 << 14);
    /// All that a text can be unsafe for.
    pub(crate) const TEXT: Self = Self((1 << 14) - 1);
    pub(crate) const ALL: Self = Self((1 << 15) - 1);
    /// It has no `..`.
    pub(crate) const DOTS: Self = Self(1 << 20);
    /// It is not absolute.
    pub(crate) const RELATIVE: Self = Self(1 << 21);
    /// It begins with the text of a root, which is not the same as being inside of it.
    pub(crate) const PREFIX: Self = Self(1 << 22);
    /// It begins with a root and a separator, and was not resolved before.
    pub(crate) const UNDER: Self = Self(1 << 23);
    /// Its address is a public one, at the time of asking.
    pub(crate) const PUBLIC: Self = Self(1 << 24);

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn named(name: &str) -> Self {
        match name {
            "path" => Self::PATH,
            "sql" => Self::SQL,
            "shell" => Self::SHELL,
            "program" => Self::PROGRAM,
            "arg" => Self::ARG,
            "url" => Self::URL,
            "code" => Self::CODE,
            "template" => Self::TEMPLATE,
            "data" => Self::DATA,
            "name" => Self::NAME,
            "xml" => Self::XML,
            "regex" => Self::REGEX,
            "line" => Self::LINE,
            "query" => Self::QUERY,
            "size" => Self::SIZE,
            _ => Self(0),
        }
    }
}

/// How a value was made of others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Op {
    /// It came from outside.
    Source(Source),
    /// The same text, or as good as.
    Copy,
    /// A field of what came from outside.
    Field,
    /// Somehow.
    Flow,
    /// One of them, by the way that was taken.
    Either,
    /// With something in it replaced.
    Edit,
    /// Put together, after a text that is fixed.
    Build,
    /// Put together, and it begins with the other text.
    Lead,
    /// Put together, after a single `/`.
    Rooted,
    /// Links followed.
    Resolve,
    /// `..` taken out, links not followed.
    Normal,
    /// Joined; an absolute part replaces what is before it.
    Join,
    /// Joined, below what is before it.
    Under,
    /// The directory of a path.
    Above,
    /// How one path is reached from another.
    Relative,
    /// What paths have in common.
    Common,
    /// A path as text, in Rust.
    Text,
    ParsedUrl,
    Host,
    Scheme,
    Address,
    /// A command line cut into words.
    Words,
    /// A path or text cut at a separator.
    Parts,
    /// The first of the words of a command line: the program.
    Head,
    /// A piece of it that says little about the rest.
    Piece,
    Type,
    /// Decoded: what was checked before may be something else now.
    Decode,
    Return,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    Caller,
    Error,
    Secret,
    /// A name in an archive.
    Archive,
}

#[derive(Debug)]
pub(crate) struct Atom {
    pub(crate) op: Op,
    pub(crate) parents: Vec<AtomId>,
    pub(crate) safe: Set,
    pub(crate) file: usize,
    pub(crate) line: u32,
    pub(crate) what: Rc<str>,
    /// Which sources there are above.
    pub(crate) from: u8,
}

impl Source {
    pub(crate) fn bit(self) -> u8 {
        match self {
            Self::Caller => 1,
            Self::Error => 2,
            Self::Secret => 4,
            Self::Archive => 8,
        }
    }
}

/// What holds if a condition does.
pub(crate) type Facts = Vec<(AtomId, Set)>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Value {
    pub(crate) atom: Option<AtomId>,
    pub(crate) kind: Kind,
    /// What is known where this value is true, or an `Ok`, or not nil.
    pub(crate) yes: Option<Rc<Facts>>,
    /// And where it is not.
    pub(crate) no: Option<Rc<Facts>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum Kind {
    #[default]
    Unknown,
    Str(Rc<str>),
    Num,
    Bool(bool),
    Null,
    /// Put together of these texts and others.
    Built(Rc<str>),
    /// `true` if there may be more.
    List(Rc<Vec<Value>>, bool),
    Map(Rc<Vec<(Rc<str>, Value)>>),
    Func(usize, FuncId),
    /// Something of a module, or what came of it: `sqlite3.connect().cursor()`.
    Path(Rc<str>),
    Regex(Rc<str>),
    Schema(Rc<Schema>),
}

/// What a validator lets through.
#[derive(Clone, Debug)]
pub(crate) enum Schema {
    Fields(Vec<(Rc<str>, Self)>),
    /// Any text, less what it is safe for.
    Text(Set),
    Safe,
    Items(Rc<Self>),
    /// A predicate that has to hold.
    Refined(Rc<Self>, Rc<Value>),
}

impl Value {
    pub(crate) fn of(kind: Kind) -> Self {
        Self { kind, ..Self::default() }
    }

    pub(crate) fn atom(atom: AtomId) -> Self {
        Self { atom: Some(atom), ..Self::default() }
    }

    pub(crate) fn maybe(atom: Option<AtomId>) -> Self {
        Self { atom, ..Self::default() }
    }

    pub(crate) fn cond(yes: Facts, no: Facts) -> Self {
        let pack = |it: Facts| if it.is_empty() { None } else { Some(Rc::new(it)) };
        Self { yes: pack(yes), no: pack(no), ..Self::default() }
    }

    pub(crate) fn path(&self) -> Option<&Rc<str>> {
        match &self.kind {
            Kind::Path(it) => Some(it),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&Rc<str>> {
        match &self.kind {
            Kind::Str(it) => Some(it),
            _ => None,
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(it) => it.iter().rev().find(|it| &*it.0 == name).map(|it| &it.1),
            _ => None,
        }
    }

    pub(crate) fn negated(self) -> Self {
        let kind = match self.kind {
            Kind::Bool(it) => Kind::Bool(!it),
            _ => Kind::Unknown,
        };
        Self { atom: None, kind, yes: self.no, no: self.yes }
    }
}

/// A variable.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Var<'s> {
    Name(&'s str),
    Temp(u32),
}

impl<'s> Var<'s> {
    pub(crate) fn of(pat: &Pat<'s>) -> Option<Self> {
        match pat {
            Pat::Name(it) => Some(Self::Name(it)),
            Pat::Temp(it) => Some(Self::Temp(*it)),
            _ => None,
        }
    }
}

/// What holds at one point of a function.
#[derive(Clone, Debug, Default)]
pub(crate) struct State<'s> {
    pub(crate) vars: Rc<FxHashMap<Var<'s>, Value>>,
    pub(crate) facts: Rc<FxHashMap<AtomId, Set>>,
    /// It is not reached.
    pub(crate) dead: bool,
}

impl<'s> State<'s> {
    pub(crate) fn learn(&mut self, facts: &[(AtomId, Set)]) {
        if facts.is_empty() {
            return;
        }
        let known = Rc::make_mut(&mut self.facts);
        for (atom, set) in facts {
            let it = known.entry(*atom).or_default();
            *it = it.or(*set);
        }
    }

    pub(crate) fn learned(&mut self, facts: Option<&Rc<Facts>>) {
        if let Some(it) = facts {
            self.learn(it);
        }
    }

    pub(crate) fn set(&mut self, var: Var<'s>, value: Value) {
        Rc::make_mut(&mut self.vars).insert(var, value);
    }

    pub(crate) fn get(&self, var: Var<'s>) -> Option<&Value> {
        self.vars.get(&var)
    }
}

/// What both know.
pub(crate) fn common(
    a: &FxHashMap<AtomId, Set>,
    b: &FxHashMap<AtomId, Set>,
) -> FxHashMap<AtomId, Set> {
    let both = a.iter().filter_map(|(atom, set)| {
        let it = set.and(b.get(atom).copied().unwrap_or_default());
        (it.0 != 0).then_some((*atom, it))
    });
    both.collect()
}
