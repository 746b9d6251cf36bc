//! The files of one project together: which function a name means.

use rustc_hash::FxHashMap;

use crate::ir::{File, Func, FuncId, Pat, Stmt, TypeDef};

/// A function, by its file.
pub(crate) type FuncRef = (usize, FuncId);

#[derive(Debug)]
pub(crate) struct Project<'s> {
    pub(crate) files: Vec<File<'s>>,
    funcs: FxHashMap<&'s str, Vec<FuncRef>>,
    types: FxHashMap<&'s str, Vec<(usize, usize)>>,
    /// Which files bind a name at their top.
    lets: FxHashMap<&'s str, Vec<usize>>,
}

impl<'s> Project<'s> {
    pub(crate) fn new(files: Vec<File<'s>>) -> Self {
        let mut funcs: FxHashMap<&'s str, Vec<FuncRef>> = FxHashMap::default();
        let mut types: FxHashMap<&'s str, Vec<(usize, usize)>> = FxHashMap::default();
        let mut lets: FxHashMap<&'s str, Vec<usize>> = FxHashMap::default();
        for (file, it) in files.iter().enumerate() {
            for (id, func) in (0..).zip(&it.funcs) {
                if !(func.name.is_empty() || func.nested && func.owner.is_none()) {
                    funcs.entry(func.name).or_default().push((file, id));
                }
            }
            for (id, def) in it.types.iter().enumerate() {
                types.entry(def.name).or_default().push((file, id));
            }
            for stmt in &it.top {
                if let Stmt::Let(Pat::Name(name), _) = stmt {
                    lets.entry(name).or_default().push(file);
                }
            }
        }
        Self { files, funcs, types, lets }
    }

    pub(crate) fn file(&self, file: usize) -> Option<&File<'s>> {
        self.files.get(file)
    }

    pub(crate) fn func(&self, it: FuncRef) -> Option<&Func<'s>> {
        self.files.get(it.0)?.func(it.1)
    }

    /// A type by its name, the one of the same file before others.
    pub(crate) fn typedef(&self, name: &str, file: usize) -> Option<&TypeDef<'s>> {
        let found = self.types.get(name)?;
        let best = found.iter().find(|it| it.0 == file).or(found.first())?;
        self.files.get(best.0)?.types.get(best.1)
    }

    fn alike(&self, a: usize, b: usize) -> bool {
        match (self.files.get(a), self.files.get(b)) {
            (Some(a), Some(b)) => a.language.name() == b.language.name(),
            _ => false,
        }
    }

    /// The function that a dotted name means, seen from a file.
    pub(crate) fn named(&self, name: &str, from: usize) -> Option<FuncRef> {
        let (above, last) = name.rsplit_once('.').unwrap_or(("", name));
        let found = self.funcs.get(last)?;
        let above = above.rsplit(['.', '/']).next().unwrap_or(above);
        let fits = |it: &&FuncRef| {
            let Some(func) = self.func(**it) else { return false };
            self.alike(it.0, from)
                && match func.owner {
                    Some(owner) => above == owner,
                    None => self.is_module(it.0, above, from),
                }
        };
        let near = found.iter().filter(fits);
        near.min_by_key(|it| it.0 != from).copied()
    }

    /// Whether a file is the module of that name, or, without a name, near enough to be seen.
    fn is_module(&self, file: usize, name: &str, from: usize) -> bool {
        let Some(it) = self.files.get(file) else { return false };
        let mut parts = it.path.rsplit('/');
        let stem = parts.next().unwrap_or("").split('.').next().unwrap_or("");
        let above = parts.next().unwrap_or("");
        match (name, it.language.name()) {
            ("", "go") => {
                self.files.get(from).is_some_and(|of| folder(&of.path) == folder(&it.path))
            }
            ("", "rust") | ("crate" | "self" | "super", _) => true,
            ("", _) => file == from,
            (name, "go") => above == name,
            (name, _) => {
                stem == name
                    || matches!(stem, "__init__" | "index" | "mod" | "lib") && above == name
            }
        }
    }

    /// A method of that name: of the owner, if it has one, else the only one there is.
    pub(crate) fn method(&self, name: &str, owner: Option<&str>, from: usize) -> Option<FuncRef> {
        let found = self.funcs.get(name)?;
        let methods = found.iter().filter(|it| {
            self.alike(it.0, from) && self.func(**it).is_some_and(|it| it.owner.is_some())
        });
        let mut methods = methods.copied();
        if let Some(owner) = owner {
            return methods.find(|it| self.func(*it).is_some_and(|it| it.owner == Some(owner)));
        }
        match (methods.next(), methods.next()) {
            (Some(it), None) => Some(it),
            _ => None,
        }
    }

    /// The file that binds a name, seen from another.
    pub(crate) fn binding(&self, name: &str, from: usize) -> Option<usize> {
        let (above, last) = name.rsplit_once('.').unwrap_or(("", name));
        let above = above.rsplit(['.', '/']).next().unwrap_or(above);
        let found = self.lets.get(last)?;
        let mut near =
            found.iter().filter(|it| self.alike(**it, from) && self.is_module(**it, above, from));
        near.next().copied()
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |it| it.0)
}
