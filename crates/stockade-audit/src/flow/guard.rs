//! Conditions that protect, and those that only look as if they did.

mod charset;

use std::rc::Rc;

use super::Flow;
use super::value::{AtomId, Facts, Kind, Op, Set, Value};

pub(crate) use self::charset::{of_chars, of_pattern, refused};

/// What is known where both hold.
pub(crate) fn both(a: &Option<Rc<Facts>>, b: &Option<Rc<Facts>>) -> Option<Rc<Facts>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(Rc::new(a.iter().chain(b.iter()).copied().collect())),
        (Some(it), None) | (None, Some(it)) => Some(Rc::clone(it)),
        (None, None) => None,
    }
}

/// What is known where one of them holds.
pub(crate) fn shared(a: &Option<Rc<Facts>>, b: &Option<Rc<Facts>>) -> Option<Rc<Facts>> {
    let (a, b) = (a.as_ref()?, b.as_ref()?);
    let sum = |facts: &Facts, atom| {
        facts.iter().filter(|it| it.0 == atom).fold(Set::default(), |set, it| set.or(it.1))
    };
    let out = a.iter().filter_map(|(atom, _)| {
        let it = sum(a, *atom).and(sum(b, *atom));
        (it.0 != 0).then_some((*atom, it))
    });
    let out = out.collect::<Vec<_>>();
    if out.is_empty() { None } else { Some(Rc::new(out)) }
}

/// Whether a URL that begins like this leads to a host that is fixed.
pub(crate) fn fixes_host(prefix: &str) -> bool {
    let Some((scheme, rest)) = prefix.split_once("://") else { return false };
    !scheme.is_empty() && rest.find(['/', '?', '#']).is_some_and(|it| it > 0)
}

fn pack(facts: Facts) -> Option<Rc<Facts>> {
    if facts.is_empty() { None } else { Some(Rc::new(facts)) }
}

impl<'s> Flow<'_, 's> {
    /// `a or b`.
    pub(crate) fn either(&mut self, a: &Value, b: &Value) -> Value {
        let value = self.meet(a, b);
        Value { yes: shared(&a.yes, &b.yes), no: both(&a.no, &b.no), ..value }
    }

    /// `a == b`.
    pub(crate) fn equal(&mut self, a: &Value, b: &Value) -> Value {
        let plain =
            |it: &Value| Value { yes: it.yes.clone(), no: it.no.clone(), ..Value::default() };
        match (&a.kind, &b.kind) {
            (_, Kind::Null | Kind::Bool(false)) if a.yes.is_some() || a.no.is_some() => {
                return plain(a).negated();
            }
            (_, Kind::Bool(true)) if a.yes.is_some() || a.no.is_some() => return plain(a),
            (_, Kind::Null) => return Value::default(),
            _ => {}
        }
        let (atom, other) = match (self.whole(a), self.whole(b)) {
            (Some(it), None) => (it, b),
            (None, Some(it)) => (it, a),
            (None, None) => return Value::default(),
            // The same thing, resolved, or something of the caller's with something of the caller's.
            (Some(_), Some(_)) => return Value::default(),
        };
        let op = self.at(atom).map(|it| it.op);
        if op == Some(Op::Type) {
            let number =
                other.text().is_some_and(|it| matches!(&**it, "number" | "boolean" | "bigint"));
            let parents = self.at(atom).map(|it| it.parents.clone()).unwrap_or_default();
            let known = if number { Set::TEXT } else { Set::default() };
            let yes = parents.into_iter().flat_map(|it| self.learn(it, known)).collect();
            return Value::cond(yes, Vec::new());
        }
        if op == Some(Op::Common) {
            let parents = self.at(atom).map(|it| it.parents.clone()).unwrap_or_default();
            let good = parents.into_iter().filter(|it| self.is_resolved(*it)).collect::<Vec<_>>();
            let yes = good.into_iter().flat_map(|it| self.learn(it, Set::PATH)).collect();
            return Value::cond(yes, Vec::new());
        }
        let mut no = Vec::new();
        if let Some(text) = other.text() {
            match &**text {
                ".." | "../" => no = self.learn(atom, Set::DOTS),
                // The first letter of it.
                "/" if op == Some(Op::Piece) => no = self.learn_parents(atom, Set::RELATIVE),
                "-" if op == Some(Op::Piece) => no = self.learn_parents(atom, Set::ARG),
                // An empty one is no choice.
                "" => return Value::default(),
                _ => {}
            }
        }
        if matches!(other.kind, Kind::Num) {
            return Value::cond(self.learn(atom, Set::ALL), Vec::new());
        }
        Value::cond(self.learn(atom, Set::ALL), no)
    }

    fn learn_parents(&self, atom: AtomId, set: Set) -> Facts {
        let parents = self.at(atom).map(|it| it.parents.clone()).unwrap_or_default();
        parents.into_iter().flat_map(|it| self.learn(it, set)).collect()
    }

    /// `a < b`.
    pub(crate) fn smaller(&mut self, a: &Value, b: &Value) -> Value {
        match (self.whole(a), self.whole(b)) {
            (Some(small), None) => Value::cond(self.learn(small, Set::SIZE), Vec::new()),
            (None, Some(large)) => Value::cond(Vec::new(), self.learn(large, Set::SIZE)),
            _ => Value::default(),
        }
    }

    /// `a in b`.
    pub(crate) fn member(&mut self, a: &Value, b: &Value) -> Value {
        match (self.whole(a), self.whole(b)) {
            (None, Some(_)) => self.contains(b, a),
            (Some(_), None) => self.kept_in(b, a),
            // A child of a path has it among its parents.
            _ => Value::default(),
        }
    }

    /// Whether `whole` has `part` in it, as a text or as one of its parts.
    pub(crate) fn contains(&mut self, whole: &Value, part: &Value) -> Value {
        let Some(atom) = self.whole(whole) else { return Value::default() };
        let Some(text) = part.text() else {
            // `root in path.parents`.
            let resolved = self.is_resolved(atom) || self.parents_of_resolved(atom);
            if resolved
                && part.path().is_none_or(|it| !it.contains("BLOCK"))
                && self.is_ancestry(whole)
            {
                return Value::cond(self.learn_up(atom, Set::PATH), Vec::new());
            }
            return Value::default();
        };
        let no = match &**text {
            ".." | "../" => self.learn(atom, Set::DOTS),
            "/" => self.learn(atom, Set::PATH.or(Set::RELATIVE)),
            _ => Vec::new(),
        };
        Value::cond(Vec::new(), no)
    }

    fn is_ancestry(&self, value: &Value) -> bool {
        value.path().is_some_and(|it| it.ends_with(".parents") || it.ends_with(".ancestors()"))
            || value.atom.and_then(|it| self.at(it)).is_some_and(|it| &*it.what == "parents")
    }

    fn parents_of_resolved(&self, atom: AtomId) -> bool {
        self.at(atom).is_some_and(|it| it.parents.iter().any(|it| self.is_resolved(*it)))
    }

    fn learn_up(&self, atom: AtomId, set: Set) -> Facts {
        let parents = self.at(atom).map(|it| it.parents.clone()).unwrap_or_default();
        parents.into_iter().flat_map(|it| self.learn(it, set)).collect()
    }

    /// Whether `it` is one of those that `set` holds.
    fn kept_in(&mut self, set: &Value, it: &Value) -> Value {
        let Some(atom) = self.whole(it) else { return Value::default() };
        match &set.kind {
            // A letter of a text; of a longer text it would only be a part.
            Kind::Str(text) => {
                let letter = self.at(atom).is_some_and(|it| matches!(&*it.what, "item" | "chars"));
                if letter {
                    return Value::cond(self.learn(atom, of_chars(text.chars())), Vec::new());
                }
                Value::default()
            }
            // An empty list lets everything through, or nothing: it is no choice of ours.
            Kind::List(items, false) if items.is_empty() => Value::default(),
            Kind::List(items, _) => {
                let mut no = Vec::new();
                if items.iter().any(|it| it.text().is_some_and(|it| &**it == "..")) {
                    no = self.learn(atom, Set::DOTS);
                }
                Value::cond(self.learn(atom, Set::ALL), no)
            }
            _ => Value::cond(self.learn(atom, Set::ALL), Vec::new()),
        }
    }

    /// A choice by a key: if there is something, the key was one of ours.
    pub(crate) fn kept(&mut self, of: &Value, key: &Value) -> Value {
        if self.whole(of).is_some() {
            return Value::default();
        }
        self.kept_in(of, key)
    }

    /// `a.is_private` and its like.
    pub(crate) fn address_attr(&mut self, atom: AtomId, name: &str) -> Option<Value> {
        let known = self.above(atom, |op| op == Op::Address);
        match name {
            "is_private" | "IsPrivate" if known => {
                Some(Value::cond(Vec::new(), self.learn(atom, Set::PUBLIC)))
            }
            "is_global" if known => Some(Value::cond(self.learn(atom, Set::PUBLIC), Vec::new())),
            "is_private" | "is_loopback" | "is_link_local" | "is_reserved" | "is_multicast"
            | "is_unspecified" | "IsLoopback" | "IsLinkLocalUnicast" | "IsUnspecified"
            | "is_global" | "IsPrivate" => Some(Value::default()),
            _ => None,
        }
    }

    /// `value` begins with `prefix`. `components` if whole components are compared.
    pub(crate) fn starts(&mut self, value: &Value, prefix: &Value, components: bool) -> Value {
        let Some(atom) = self.whole(value) else { return Value::default() };
        let text = match &prefix.kind {
            Kind::Str(it) => Some(it.to_string()),
            _ => None,
        };
        if let Some(text) = &text {
            match text.as_str() {
                it if it.starts_with("..") => {
                    return Value::cond(Vec::new(), self.learn(atom, Set::DOTS.or(Set::RELATIVE)));
                }
                "/" | "\\" => return Value::cond(Vec::new(), self.learn(atom, Set::RELATIVE)),
                "-" | "--" => return Value::cond(Vec::new(), self.learn(atom, Set::ARG)),
                it if it.contains("://") => {
                    let yes = if fixes_host(it) { self.learn(atom, Set::URL) } else { Vec::new() };
                    return Value::cond(yes, Vec::new());
                }
                _ => {}
            }
        }
        if self.whole(prefix).is_some() {
            return Value::default();
        }
        let known = matches!(prefix.kind, Kind::Str(_) | Kind::Built(_));
        let separator = match &prefix.kind {
            Kind::Str(it) => it.ends_with('/') || it.ends_with('\\'),
            Kind::Built(it) => it.ends_with('/') || ends_separated(it),
            _ => false,
        };
        // A list of beginnings, each of which ends in a separator.
        let strict = match &prefix.kind {
            Kind::List(items, _) => !items.is_empty() && items.iter().all(ends_in_separator),
            _ => separator,
        };
        let strict = strict || components || prefix.path().is_some_and(|it| it.ends_with("(sep)"));
        let yes = match (self.is_resolved(atom), strict) {
            (true, true) => self.learn(atom, Set::PATH),
            (true, false)
                if !known
                    || text.as_ref().is_some_and(|it| it.starts_with('/'))
                    || text.is_none() =>
            {
                self.learn(atom, Set::PREFIX)
            }
            (false, true) => self.learn(atom, Set::UNDER),
            _ => Vec::new(),
        };
        Value::cond(yes, Vec::new())
    }

    /// `value` ends with `suffix`.
    pub(crate) fn ends(&mut self, value: &Value, suffix: &Value) -> Value {
        let Some(atom) = self.whole(value) else { return Value::default() };
        let dotted = match &suffix.kind {
            Kind::Str(it) => it.starts_with('.'),
            Kind::Built(it) => it.starts_with('.'),
            Kind::List(it, _) => {
                !it.is_empty()
                    && it.iter().all(|it| it.text().is_some_and(|it| it.starts_with('.')))
            }
            _ => false,
        };
        if dotted && self.above(atom, |op| op == Op::Host) {
            return Value::cond(self.learn(atom, Set::URL), Vec::new());
        }
        Value::default()
    }

    /// A pattern that all of a text has to fit.
    pub(crate) fn fits_pattern(&mut self, value: &Value, pattern: &str, whole: bool) -> Value {
        let Some(atom) = self.whole(value) else { return Value::default() };
        let host = self.above(atom, |op| op == Op::Host);
        let found = of_pattern(pattern, whole, host);
        // A pattern of what is bad: what does not fit it is free of these letters.
        let free = refused(pattern);
        Value::cond(self.learn(atom, found), self.learn(atom, free))
    }

    /// A function that only says yes to addresses that are public, by its name.
    pub(crate) fn by_name(&self, name: &str, args: &[Value]) -> Option<Value> {
        let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
        let atoms = self.atoms_of(args.iter());
        let resolved = atoms.into_iter().find(|it| self.above(*it, |op| op == Op::Address))?;
        let facts = self.learn(resolved, Set::PUBLIC);
        let bad = [
            "private",
            "internal",
            "blocked",
            "reserved",
            "forbidden",
            "unsafe",
            "local",
            "disallowed",
            "denied",
        ];
        let good = ["public", "allowed", "safe", "global"];
        if bad.iter().any(|it| last.contains(it)) {
            return Some(Value { no: pack(facts), ..Value::default() });
        }
        good.iter()
            .any(|it| last.contains(it))
            .then(|| Value { yes: pack(facts), ..Value::default() })
    }
}

fn ends_separated(text: &str) -> bool {
    // What is put together ends in something that is not known; see `turn::ended`.
    text.ends_with("\u{2}")
}

pub(crate) fn ends_in_separator(value: &Value) -> bool {
    match &value.kind {
        Kind::Str(it) | Kind::Built(it) => {
            it.ends_with('/') || it.ends_with('\\') || it.ends_with('\u{2}')
        }
        Kind::Unknown
        | Kind::Num
        | Kind::Bool(_)
        | Kind::Null
        | Kind::List(..)
        | Kind::Map(_)
        | Kind::Func(..)
        | Kind::Path(_)
        | Kind::Regex(_)
        | Kind::Schema(_) => false,
    }
}
