//! Where values come from: each is made of others, up to a source.

use std::collections::BTreeSet;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::guard::shared;
use super::value::{Atom, AtomId, Facts, Kind, Op, Set, Source, Value};
use super::{Flow, WALK_MAX};

/// The way of a value, from where it is used to where it comes from.
pub(crate) type Way = Vec<AtomId>;

const STEPS_MAX: usize = 2000;
/// Ways that meet in ways that met.
const WAYS_MAX: u32 = 4;

impl<'s> Flow<'_, 's> {
    pub(crate) fn source(&mut self, source: Source, safe: Set, line: u32, what: &str) -> AtomId {
        self.atom(Atom {
            op: Op::Source(source),
            parents: Vec::new(),
            safe,
            file: self.file,
            line,
            what: what.into(),
            from: source.bit(),
        })
    }

    fn atom(&mut self, atom: Atom) -> AtomId {
        let id = u32::try_from(self.atoms.len()).unwrap_or(u32::MAX);
        self.atoms.push(atom);
        id
    }

    pub(crate) fn at(&self, id: AtomId) -> Option<&Atom> {
        self.atoms.get(id as usize)
    }

    /// A value made of others. Of nothing from outside, nothing is made.
    pub(crate) fn derive(
        &mut self,
        op: Op,
        of: &[AtomId],
        line: u32,
        what: &str,
    ) -> Option<AtomId> {
        self.derive_safe(op, of, Set::default(), line, what)
    }

    pub(crate) fn derive_safe(
        &mut self,
        op: Op,
        of: &[AtomId],
        safe: Set,
        line: u32,
        what: &str,
    ) -> Option<AtomId> {
        let from = of.iter().filter_map(|it| self.at(*it)).fold(0, |bits, it| bits | it.from);
        if from == 0 {
            return None;
        }
        let line = if line == 0 {
            of.first().and_then(|it| self.at(*it)).map_or(0, |it| it.line)
        } else {
            line
        };
        let mut parents = of.to_vec();
        parents.dedup();
        let (file, what) = (self.file, what.into());
        Some(self.atom(Atom { op, parents, safe, file, line, what, from }))
    }

    /// Something that all of these went into.
    pub(crate) fn flow(&mut self, of: &[Value], what: &str) -> Value {
        let atoms = self.atoms_of(of.iter());
        // A key that was read goes into a text that has it, not into what is done with it.
        let kept =
            if is_text(what) { u8::MAX } else { Source::Caller.bit() | Source::Archive.bit() };
        let atoms =
            atoms.into_iter().filter(|it| self.at(*it).is_some_and(|it| it.from & kept != 0));
        let atoms = atoms.collect::<Vec<_>>();
        Value::maybe(self.derive(Op::Flow, &atoms, 0, what))
    }

    pub(crate) fn atoms_of<'a>(&self, of: impl Iterator<Item = &'a Value>) -> Vec<AtomId>
    where
        's: 'a,
    {
        let mut out = Vec::new();
        for it in of {
            self.collect(it, &mut out, 0);
        }
        out
    }

    fn collect(&self, value: &Value, out: &mut Vec<AtomId>, depth: u32) {
        if let Some(it) = value.atom {
            if !out.contains(&it) {
                out.push(it);
            }
            return;
        }
        if depth > 6 {
            return;
        }
        match &value.kind {
            Kind::List(it, _) => it.iter().for_each(|it| self.collect(it, out, depth + 1)),
            Kind::Map(it) => it.iter().for_each(|it| self.collect(&it.1, out, depth + 1)),
            Kind::Unknown
            | Kind::Str(_)
            | Kind::Num
            | Kind::Bool(_)
            | Kind::Null
            | Kind::Built(_)
            | Kind::Func(..)
            | Kind::Path(_)
            | Kind::Regex(_)
            | Kind::Schema(_) => {}
        }
    }

    /// The value as one, whatever it is made of.
    pub(crate) fn whole(&mut self, value: &Value) -> Option<AtomId> {
        if value.atom.is_some() {
            return value.atom;
        }
        let atoms = self.atoms_of(std::iter::once(value));
        match atoms.as_slice() {
            [] => None,
            [one] => Some(*one),
            _ => self.derive(Op::Flow, &atoms, 0, ""),
        }
    }

    /// The way by which a value comes from such a source without being made safe for this.
    pub(crate) fn flows(&self, atom: AtomId, class: Set, sources: u8, direct: bool) -> Option<Way> {
        self.flows_under(atom, class, sources, direct, &self.state.facts)
    }

    pub(crate) fn flows_under(
        &self,
        atom: AtomId,
        class: Set,
        sources: u8,
        direct: bool,
        facts: &FxHashMap<AtomId, Set>,
    ) -> Option<Way> {
        // An atom, whether facts about it count, whether it is below something, and who led here.
        let mut open: Vec<(AtomId, bool, bool, usize)> = vec![(atom, true, false, usize::MAX)];
        let mut done: Vec<(AtomId, usize)> = Vec::new();
        let mut seen = FxHashSet::default();
        while let Some((id, counts, below, before)) = open.pop() {
            if !seen.insert((id, counts, below)) {
                continue;
            }
            self.walked.set(self.walked.get() + 1);
            if done.len() > STEPS_MAX || self.walked.get() > WALK_MAX {
                self.lost.set(true);
                return None;
            }
            let Some(it) = self.at(id) else { continue };
            if it.from & sources == 0 {
                continue;
            }
            let mut known = it.safe;
            if counts {
                known = known.or(facts.get(&id).copied().unwrap_or_default());
            }
            if known.has(class) {
                continue;
            }
            let lexical = known.has(Set::RELATIVE) || known.has(Set::UNDER) || below;
            if class == Set::PATH && known.has(Set::DOTS) && lexical {
                continue;
            }
            if class == Set::URL && direct && known.has(Set::PUBLIC) {
                continue;
            }
            done.push((id, before));
            if let Op::Source(source) = it.op {
                if source.bit() & sources == 0 {
                    continue;
                }
                let mut way = Vec::new();
                let mut at = done.len().saturating_sub(1);
                while let Some((id, before)) = done.get(at) {
                    way.push(*id);
                    at = *before;
                }
                return Some(way);
            }
            let counts = counts && it.op != Op::Decode;
            let below = below || matches!(it.op, Op::Build | Op::Under | Op::Rooted);
            let here = done.len().saturating_sub(1);
            open.extend(it.parents.iter().rev().map(|it| (*it, counts, below, here)));
        }
        None
    }

    /// What a value is safe for, by now.
    fn proven(&self, atom: AtomId, facts: &FxHashMap<AtomId, Set>) -> Set {
        let mut out = self.at(atom).map_or(Set::default(), |it| it.safe);
        out = out.or(facts.get(&atom).copied().unwrap_or_default());
        let known = self.known_above(atom, facts);
        for bit in 0..15 {
            let class = Set(1 << bit);
            // What is known of nothing that it was made of is not known of it.
            let maybe = known.has(class) || class == Set::PATH && known.has(Set::DOTS);
            if maybe
                && !out.has(class)
                && self.flows_under(atom, class, u8::MAX, false, facts).is_none()
                && !self.lost.get()
            {
                out = out.or(class);
            }
        }
        out
    }

    /// All that is known of anything that a value was made of.
    fn known_above(&self, atom: AtomId, facts: &FxHashMap<AtomId, Set>) -> Set {
        let mut known = Set::default();
        let mut open = vec![atom];
        let mut seen = FxHashSet::default();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            self.walked.set(self.walked.get() + 1);
            let Some(it) = self.at(id) else { continue };
            known = known.or(it.safe).or(facts.get(&id).copied().unwrap_or_default());
            if known.has(Set::ALL) || seen.len() > STEPS_MAX || self.walked.get() > WALK_MAX {
                return known;
            }
            open.extend(&it.parents);
        }
        known
    }

    /// A value that keeps what is known of it now.
    pub(crate) fn seal(&mut self, value: Value, line: u32) -> Value {
        let facts = Rc::clone(&self.state.facts);
        if facts.is_empty() {
            return value;
        }
        self.sealed(value, &facts, line, 0)
    }

    pub(crate) fn sealed_under(&mut self, value: &Value, facts: &FxHashMap<AtomId, Set>) -> Value {
        if facts.is_empty() { value.clone() } else { self.sealed(value.clone(), facts, 0, 0) }
    }

    fn sealed(
        &mut self,
        mut value: Value,
        facts: &FxHashMap<AtomId, Set>,
        line: u32,
        depth: u32,
    ) -> Value {
        if let Some(it) = value.atom {
            let safe = self.proven(it, facts);
            let before = self.at(it).map_or(Set::default(), |it| it.safe);
            if safe != before {
                value.atom = self.derive_safe(Op::Return, &[it], safe, line, "");
            }
        }
        if depth > 3 {
            return value;
        }
        match &mut value.kind {
            Kind::List(it, _) => {
                let parts = it.iter().map(|it| self.sealed(it.clone(), facts, line, depth + 1));
                *it = Rc::new(parts.collect());
            }
            Kind::Map(it) => {
                let parts = it.iter().map(|(name, it)| {
                    (Rc::clone(name), self.sealed(it.clone(), facts, line, depth + 1))
                });
                *it = Rc::new(parts.collect());
            }
            Kind::Unknown
            | Kind::Str(_)
            | Kind::Num
            | Kind::Bool(_)
            | Kind::Null
            | Kind::Built(_)
            | Kind::Func(..)
            | Kind::Path(_)
            | Kind::Regex(_)
            | Kind::Schema(_) => {}
        }
        value
    }

    /// What follows for others if this is known of a value.
    pub(crate) fn learn(&self, atom: AtomId, set: Set) -> Facts {
        self.learn_below(atom, set, 0)
    }

    fn learn_below(&self, atom: AtomId, set: Set, ways: u32) -> Facts {
        let mut out = Vec::new();
        let mut open = vec![(atom, set)];
        while let Some((id, set)) = open.pop() {
            let Some(it) = self.at(id) else { continue };
            if set.0 == 0 || out.len() > 64 {
                continue;
            }
            let mut set = set;
            if it.op == Op::Relative && set.has(Set::DOTS) {
                set = set.or(Set::PATH);
            }
            out.push((id, set));
            let paths = Set::PATH.or(Set::PREFIX).or(Set::DOTS).or(Set::RELATIVE);
            let up = match it.op {
                Op::Edit if it.parents.iter().all(|it| self.is_resolved(*it)) => set.and(paths),
                Op::Copy | Op::Return | Op::Text => set,
                Op::Resolve | Op::Normal => set.and(paths),
                Op::Relative | Op::Common => set.and(Set::PATH),
                // What has no `..` is where its directory is.
                Op::Above if it.parents.iter().all(|it| self.is_resolved(*it)) => {
                    set.and(Set::PATH)
                }
                Op::Host | Op::ParsedUrl | Op::Address => set.and(Set::URL.or(Set::PUBLIC)),
                Op::Parts => set.and(Set::DOTS.or(Set::RELATIVE)),
                Op::Head => set.and(Set::PROGRAM),
                // Whichever it was, it follows for what all of them were made of.
                Op::Either if ways < WAYS_MAX => {
                    let each = it.parents.iter().map(|it| self.learn_below(*it, set, ways + 1));
                    let all = each.map(|it| Some(Rc::new(it))).reduce(|a, b| shared(&a, &b));
                    out.extend(all.flatten().iter().flat_map(|it| it.iter().copied()));
                    if let Some(it) = self.resolved_above(id).filter(|_| set.has(Set::PATH)) {
                        open.push((it, Set::PATH));
                    }
                    Set::default()
                }
                Op::Source(_)
                | Op::Field
                | Op::Flow
                | Op::Either
                | Op::Edit
                | Op::Build
                | Op::Lead
                | Op::Rooted
                | Op::Join
                | Op::Under
                | Op::Scheme
                | Op::Words
                | Op::Piece
                | Op::Above
                | Op::Type
                | Op::Decode => Set::default(),
            };
            open.extend(it.parents.iter().map(|it| (*it, up)));
        }
        out
    }

    /// The one resolved path of which all of this was made, by whatever forms of it there are.
    fn resolved_above(&self, atom: AtomId) -> Option<AtomId> {
        // What something was made of is older than it: where only one is left, all ways go through it.
        let mut open = BTreeSet::from([atom]);
        for _ in 0..256 {
            let id = open.pop_last()?;
            if id != atom && open.is_empty() && self.is_resolved(id) {
                return Some(id);
            }
            let it = self.at(id)?;
            match it.op {
                Op::Either
                | Op::Edit
                | Op::Build
                | Op::Lead
                | Op::Normal
                | Op::Copy
                | Op::Return
                | Op::Text
                | Op::Piece
                | Op::Flow => open.extend(&it.parents),
                Op::Source(_)
                | Op::Field
                | Op::Resolve
                | Op::Rooted
                | Op::Join
                | Op::Under
                | Op::Above
                | Op::Relative
                | Op::Common
                | Op::ParsedUrl
                | Op::Host
                | Op::Scheme
                | Op::Address
                | Op::Words
                | Op::Parts
                | Op::Head
                | Op::Type
                | Op::Decode => return None,
            }
        }
        None
    }

    /// Whether the text of a path is the outcome of resolving or normalising.
    pub(crate) fn is_resolved(&self, atom: AtomId) -> bool {
        self.above(atom, |op| matches!(op, Op::Resolve | Op::Normal))
    }

    /// Whether something like that is right above, but for copies.
    pub(crate) fn above(&self, atom: AtomId, wanted: impl Fn(Op) -> bool) -> bool {
        let mut open = vec![atom];
        let mut steps = 0;
        while let Some(id) = open.pop() {
            let Some(it) = self.at(id) else { continue };
            steps += 1;
            if wanted(it.op) {
                return true;
            }
            let through = matches!(
                it.op,
                Op::Copy
                    | Op::Return
                    | Op::Text
                    | Op::Flow
                    | Op::Either
                    | Op::Edit
                    | Op::Piece
                    | Op::Above
            );
            if through && steps < 64 {
                open.extend(&it.parents);
            }
        }
        false
    }

    /// Notes that something of the caller's was part of a condition.
    pub(crate) fn note(&mut self, value: &Value) {
        let mut open = self.atoms_of(std::iter::once(value));
        while let Some(id) = open.pop() {
            if self.checked.insert(id)
                && let Some(it) = self.atoms.get(id as usize)
                && it.op != Op::Field
            {
                open.extend(&it.parents);
            }
        }
    }
}

/// Whether something of that name puts what it is given into a text.
fn is_text(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    const WORDS: &[&str] = &[
        "error",
        "exception",
        "errorf",
        "text",
        "result",
        "content",
        "dumps",
        "stringify",
        "str",
        "format",
        "anyhow",
        "sprintf",
        "join",
        "sprint",
        "new",
        "msg",
        "internal",
        "invalid",
        "response",
        "from",
        "into",
    ];
    matches!(name.as_str(), "err" | "ok" | "some") || WORDS.iter().any(|it| name.contains(it))
}
