//! What can become of what a caller gives: functions are carried out on values of which only is
//! known where they come from and what they are safe for.
//!
//! A function is gone into wherever it is called, with what it is called with, so that what a helper
//! checks is known to whoever called it. Conditions teach: where `x in ALLOWED` holds, `x` is safe.
//! Where two ways meet, only what both know is known. It all ends by itself: loops are gone through
//! twice, calls so deep, and a budget is spent with every step.

mod atoms;
pub(crate) mod call;
mod expr;
mod guard;
mod known;
mod pattern;
pub(crate) mod schema;
mod sink;
mod turn;
mod types;
pub(crate) mod value;

use std::cell::Cell;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

pub(crate) use self::sink::Hit;
use self::value::{Atom, AtomId, Kind, Set, State, Value, Var, common};
use crate::entry::Entry;
use crate::inventory::Capability;
use crate::ir::{Block, Expr, File, Func, Id, Pat, Stmt};
use crate::project::{FuncRef, Project};

/// Steps that one entry may take: far more than a tool of any length needs.
const BUDGET: u32 = 200_000;
/// Calls within calls.
const CALLS_MAX: usize = 16;
/// Steps that are gone back over where values come from, for one entry.
const WALK_MAX: usize = 8_000_000;
const DEPTH_MAX: u32 = 1200;

/// Carries out the functions of one file.
#[derive(Debug)]
pub(crate) struct Flow<'p, 's> {
    pub(crate) project: &'p Project<'s>,
    /// The file that is being carried out.
    pub(crate) file: usize,
    pub(crate) atoms: Vec<Atom>,
    pub(crate) state: State<'s>,
    frames: Vec<Frame<'s>>,
    calls: Vec<FuncRef>,
    budget: u32,
    depth: u32,
    /// What files bind at their top.
    tops: FxHashMap<usize, Rc<FxHashMap<Var<'s>, Value>>>,
    /// What functions return that nothing of the caller's goes into.
    plain: FxHashMap<FuncRef, Value>,
    pub(crate) visited: FxHashSet<FuncRef>,
    /// What of the caller's was part of a condition.
    pub(crate) checked: FxHashSet<AtomId>,
    pub(crate) hits: Vec<Hit>,
    pub(crate) capabilities: FxHashSet<Capability>,
    /// What calls of a name can do, once it was asked.
    named: FxHashMap<String, Option<Capability>>,
    /// What is carried out only looks like a tool.
    pub(crate) guessing: bool,
    /// The budget was spent before the end.
    pub(crate) unfinished: bool,
    /// A call was not gone into, since it was too deep, although something of the caller's went in.
    pub(crate) too_deep: bool,
    /// The steps that were gone back, and whether a way was too long to be gone to its end.
    walked: Cell<usize>,
    pub(crate) lost: Cell<bool>,
    pub(crate) entries: Vec<Entry<'s>>,
    /// Conditions that are open and only about how the server is set up.
    settings: u32,
}

/// A function that is being carried out.
#[derive(Debug, Default)]
struct Frame<'s> {
    exits: Vec<Exit>,
    /// Its returns are what the client is told.
    tool: bool,
    owner: Option<&'s str>,
    /// How many conditions about the setup were open before.
    settings: u32,
}

#[derive(Debug)]
struct Exit {
    value: Value,
    facts: Rc<FxHashMap<AtomId, Set>>,
    /// It is only taken where the server is set up so.
    setting: bool,
}

/// Whether a value is one that is true, or an `Ok`, or not nil.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Yes,
    No,
    Either,
}

impl<'p, 's> Flow<'p, 's> {
    pub(crate) fn new(project: &'p Project<'s>, file: usize) -> Self {
        Self {
            project,
            file,
            atoms: Vec::new(),
            state: State::default(),
            frames: Vec::new(),
            calls: Vec::new(),
            budget: BUDGET,
            depth: 0,
            tops: FxHashMap::default(),
            plain: FxHashMap::default(),
            visited: FxHashSet::default(),
            checked: FxHashSet::default(),
            hits: Vec::new(),
            capabilities: FxHashSet::default(),
            named: FxHashMap::default(),
            guessing: false,
            unfinished: false,
            too_deep: false,
            walked: Cell::new(0),
            lost: Cell::new(false),
            entries: Vec::new(),
            settings: 0,
        }
    }

    fn here(&self) -> Option<&'p File<'s>> {
        self.project.files.get(self.file)
    }

    pub(crate) fn node(&self, id: Id) -> &'p Expr<'s> {
        self.here().map_or(&Expr::Null, |it| it.expr(id))
    }

    fn line(&self, id: Id) -> u32 {
        self.here().map_or(0, |it| it.at(id).0)
    }

    /// Carries out a tool with what a caller gives. Its returns go to the client.
    pub(crate) fn enter(&mut self, entry: &Entry<'s>) {
        self.fresh(entry.func.0);
        self.state.vars = Rc::clone(&entry.vars);
        let args = self.given(entry);
        self.run(entry.func, args, Value::default(), true);
    }

    /// Carries out a function with nothing of a caller's, for what it registers.
    pub(crate) fn survey(&mut self, func: FuncRef) {
        self.fresh(func.0);
        self.run(func, Vec::new(), Value::default(), false);
    }

    fn fresh(&mut self, file: usize) {
        self.budget = BUDGET;
        self.walked.set(0);
        self.unfinished |= self.lost.replace(false);
        self.capabilities.clear();
        // What a tool can do is gathered on its own way; of a guess nobody asks.
        if !self.guessing {
            self.plain.clear();
        }
        self.file = file;
        self.state = State { vars: self.top(file), ..State::default() };
        self.calls.clear();
        self.settings = 0;
        self.frames.clear();
        self.frames.push(Frame::default());
    }

    /// What a file binds at its top, carried out when it is first needed.
    pub(crate) fn top(&mut self, file: usize) -> Rc<FxHashMap<Var<'s>, Value>> {
        if let Some(it) = self.tops.get(&file) {
            return Rc::clone(it);
        }
        self.tops.insert(file, Rc::default());
        let Some(it) = self.project.files.get(file) else { return Rc::default() };
        let before = (self.file, std::mem::take(&mut self.state), std::mem::take(&mut self.frames));
        let calls = std::mem::take(&mut self.calls);
        self.file = file;
        self.frames.push(Frame::default());
        self.block(&it.top);
        let vars = Rc::clone(&self.state.vars);
        (self.file, self.state, self.frames) = before;
        self.calls = calls;
        self.tops.insert(file, Rc::clone(&vars));
        vars
    }

    /// Carries out a function that is called with `args`.
    pub(crate) fn run(
        &mut self,
        func: FuncRef,
        args: Vec<Value>,
        receiver: Value,
        tool: bool,
    ) -> Value {
        let Some(it) = self.project.func(func) else { return Value::default() };
        self.visited.insert(func);
        let again = self.calls.iter().filter(|it| **it == func).count() > 1;
        let deep = !again && self.calls.len() >= CALLS_MAX;
        if deep && !self.atoms_of(args.iter().chain([&receiver])).is_empty() {
            self.too_deep = true;
        }
        if again || deep || self.budget == 0 {
            return self.flow(&args, "call");
        }
        let inner = it.nested && func.0 == self.file;
        let vars = match inner {
            true => Rc::clone(&self.state.vars),
            false => self.top(func.0),
        };
        let outer = (self.file, std::mem::replace(&mut self.state.vars, vars));
        let facts = Rc::clone(&self.state.facts);
        self.file = func.0;
        self.calls.push(func);
        let settings = self.settings;
        self.frames.push(Frame { tool, owner: it.owner, settings, ..Frame::default() });
        self.bind_params(it, args, receiver);
        let last = self.block(&it.body);
        if !self.state.dead {
            let value = if it.tail { last } else { Value::of(Kind::Null) };
            self.exit(value, it.line);
        }
        let frame = self.frames.pop().unwrap_or_default();
        self.calls.pop();
        self.file = outer.0;
        // What an inner function writes to a variable outside of it stays written.
        let mut vars = outer.1;
        if inner {
            for (var, new) in self.state.vars.iter() {
                let old = vars.get(var).filter(|it| it.atom.is_none() && new.atom.is_some());
                let bound = it.params.iter().any(|it| Var::Name(it.name) == *var);
                if old.is_some() && !bound {
                    Rc::make_mut(&mut vars).insert(*var, new.clone());
                }
            }
        }
        self.state.vars = vars;
        self.leave(frame, facts)
    }

    /// What is known after a function, of its value and of all else.
    fn leave(&mut self, frame: Frame<'s>, before: Rc<FxHashMap<AtomId, Set>>) -> Value {
        let mut all: Option<FxHashMap<AtomId, Set>> = None;
        let mut yes: Option<FxHashMap<AtomId, Set>> = None;
        let mut no: Option<FxHashMap<AtomId, Set>> = None;
        let mut value: Option<Value> = None;
        // It never comes back: everything raises.
        self.state.dead = frame.exits.is_empty();
        let all_settings = frame.exits.iter().all(|it| it.setting);
        for exit in frame.exits {
            let outcome = outcome(&exit.value);
            let meet = |known: &mut Option<FxHashMap<_, _>>, more: &[(AtomId, Set)]| {
                let mut here = (*exit.facts).clone();
                for (atom, set) in more {
                    let it: &mut Set = here.entry(*atom).or_default();
                    *it = it.or(*set);
                }
                *known = Some(match known.take() {
                    Some(it) => common(&it, &here),
                    None => here,
                });
            };
            if exit.setting && !all_settings {
                value = Some(match value.take() {
                    Some(it) => self.meet(&it, &exit.value),
                    None => exit.value,
                });
                continue;
            }
            meet(&mut all, &[]);
            if outcome != Outcome::No {
                meet(&mut yes, exit.value.yes.as_deref().map_or(&[], Vec::as_slice));
            }
            if outcome != Outcome::Yes {
                meet(&mut no, exit.value.no.as_deref().map_or(&[], Vec::as_slice));
            }
            value = Some(match value.take() {
                Some(it) => self.meet(&it, &exit.value),
                None => exit.value,
            });
        }
        self.state.facts = all.map_or(before, Rc::new);
        let mut value = value.unwrap_or_default();
        let pack = |it: Option<FxHashMap<AtomId, Set>>| {
            it.filter(|it| !it.is_empty()).map(|it| Rc::new(it.into_iter().collect::<Vec<_>>()))
        };
        value.yes = pack(yes);
        value.no = pack(no);
        // Of several values the last is the error.
        if let Kind::List(parts, false) = &mut value.kind
            && let Some(it) = Rc::make_mut(parts).last_mut()
        {
            (it.yes, it.no) = (value.yes.clone(), value.no.clone());
        }
        value
    }

    fn bind_params(&mut self, func: &'p Func<'s>, args: Vec<Value>, receiver: Value) {
        let mut args = args.into_iter();
        for (at, param) in func.params.iter().enumerate() {
            if at == 0 && matches!(param.name, "self" | "cls" | "this") {
                self.state.set(Var::Name(param.name), receiver.clone());
                continue;
            }
            let value = if param.rest {
                Value::of(Kind::List(Rc::new(args.by_ref().collect()), false))
            } else {
                match (args.next(), param.default) {
                    (Some(it), _) => it,
                    (None, Some(id)) => self.eval(id),
                    (None, None) => Value::default(),
                }
            };
            self.bind(&param.pat, value);
        }
    }

    /// Leaves the function with a value: what is known of it here is known of it for good.
    fn exit(&mut self, value: Value, line: u32) {
        let tool = self.frames.last().is_some_and(|it| it.tool);
        if tool {
            self.told(&value, line);
        }
        let value = self.seal(value, line);
        let facts = Rc::clone(&self.state.facts);
        if let Some(it) = self.frames.last_mut() {
            let setting = self.settings > it.settings;
            it.exits.push(Exit { value, facts, setting });
        }
        self.state.dead = true;
    }

    /// Carries out statements. The value is that of the last.
    pub(crate) fn block(&mut self, block: &'p Block<'s>) -> Value {
        for it in block {
            if let Stmt::Func(id) = it
                && let Some(func) = self.here().and_then(|it| it.func(*id))
                && func.owner.is_none()
            {
                let value = Value::of(Kind::Func(self.file, *id));
                self.state.set(Var::Name(func.name), value);
            }
        }
        let mut last = Value::default();
        for it in block {
            if self.state.dead || self.budget == 0 {
                break;
            }
            last = self.statement(it);
        }
        last
    }

    fn statement(&mut self, stmt: &'p Stmt<'s>) -> Value {
        match stmt {
            Stmt::Expr(id) => return self.eval(*id),
            Stmt::Let(pat, id) => {
                let value = self.eval(*id);
                self.bind(pat, value);
            }
            Stmt::LetElse(pat, id, other) => {
                let value = self.eval(*id);
                let before = self.state.clone();
                self.state.learned(value.no.as_ref());
                self.block(other);
                self.state = before;
                self.matched(pat, &value);
                self.state.learned(value.yes.as_ref());
            }
            Stmt::Return(id) => {
                let (value, line) = match id {
                    Some(id) => (self.eval(*id), self.line(*id)),
                    None => (Value::of(Kind::Null), 0),
                };
                self.exit(value, line);
            }
            Stmt::Raise(id) => {
                if let Some(id) = id {
                    let value = self.eval(*id);
                    self.raised(&value, self.line(*id));
                }
                self.state.dead = true;
            }
            Stmt::Leave => self.state.dead = true,
            Stmt::Loop { bind, cond, body, after } => {
                self.repeat(bind.as_ref(), *cond, body, after)
            }
            Stmt::Try { body, catches, after } => {
                let start = self.state.clone();
                self.block(body);
                let end = std::mem::take(&mut self.state);
                // An error may come before or after anything in the body.
                let mut entry = start.clone();
                let dead = end.dead;
                if !dead {
                    entry = self.merge(start, end.clone());
                } else if end.vars.len() > entry.vars.len() {
                    entry.vars = Rc::clone(&end.vars);
                }
                let mut out = end;
                for it in catches {
                    self.state = entry.clone();
                    self.state.dead = false;
                    if let Some(name) = it.bind {
                        let error = self.caught(it);
                        self.state.set(Var::Name(name), error);
                    }
                    self.block(&it.body);
                    let caught = std::mem::take(&mut self.state);
                    out = self.merge(out, caught);
                }
                self.state = out;
                self.block(after);
            }
            Stmt::Func(_) => {}
        }
        Value::default()
    }

    fn repeat(
        &mut self,
        bind: Option<&'p (Pat<'s>, Id)>,
        cond: Option<Id>,
        body: &'p Block<'s>,
        after: &'p Block<'s>,
    ) {
        let iter = bind.map(|(_, id)| self.eval(*id));
        let mut last: Option<Rc<value::Facts>> = None;
        for _ in 0..2 {
            let before = self.state.clone();
            if let Some(id) = cond {
                let value = self.eval(id);
                self.state.learned(value.yes.as_ref());
                last = value.no;
            }
            if let (Some((pat, id)), Some(iter)) = (bind, &iter) {
                let item = self.item(iter, *id);
                self.bind(pat, item);
            }
            self.block(body);
            let end = std::mem::take(&mut self.state);
            // A loop that is left in the middle goes on behind it, and what was assigned stays.
            self.state = self.merge_loop(before, end);
        }
        self.state.learned(last.as_ref());
        self.block(after);
    }

    fn merge_loop(&mut self, before: State<'s>, end: State<'s>) -> State<'s> {
        if end.dead {
            let mut out = before;
            let known: Vec<_> = end.vars.iter().map(|(var, it)| (*var, it.clone())).collect();
            for (var, new) in known {
                match out.get(var).cloned() {
                    Some(old) => {
                        let mut both = self.meet(&old, &new);
                        self.flag(&mut both, (&old, &out.facts), (&new, &end.facts));
                        out.set(var, both);
                    }
                    None => out.set(var, new),
                }
            }
            return out;
        }
        self.merge(before, end)
    }

    /// Where two ways meet.
    pub(crate) fn merge(&mut self, a: State<'s>, b: State<'s>) -> State<'s> {
        match (a.dead, b.dead) {
            (true, _) => return b,
            (_, true) => return a,
            (false, false) => {}
        }
        let facts = if Rc::ptr_eq(&a.facts, &b.facts) {
            Rc::clone(&a.facts)
        } else {
            Rc::new(common(&a.facts, &b.facts))
        };
        let vars = if Rc::ptr_eq(&a.vars, &b.vars) {
            Rc::clone(&a.vars)
        } else {
            let mut vars = (*a.vars).clone();
            for (var, new) in b.vars.iter() {
                let Some(old) = a.vars.get(var) else {
                    vars.insert(*var, self.sealed_under(new, &b.facts));
                    continue;
                };
                if same(old, new) {
                    continue;
                }
                let (left, right) =
                    (self.sealed_under(old, &a.facts), self.sealed_under(new, &b.facts));
                let mut both = self.meet(&left, &right);
                self.flag(&mut both, (old, &a.facts), (new, &b.facts));
                vars.insert(*var, both);
            }
            Rc::new(vars)
        };
        State { vars, facts, dead: false }
    }

    /// A variable that is `true` on one way and `false` on the other knows what the ways know.
    fn flag(
        &self,
        both: &mut Value,
        a: (&Value, &FxHashMap<AtomId, Set>),
        b: (&Value, &FxHashMap<AtomId, Set>),
    ) {
        let all = |it: &FxHashMap<AtomId, Set>| {
            Some(Rc::new(it.iter().map(|(atom, set)| (*atom, *set)).collect::<Vec<_>>()))
        };
        match (outcome(a.0), outcome(b.0)) {
            (Outcome::Yes, Outcome::No) => (both.yes, both.no) = (all(a.1), all(b.1)),
            (Outcome::No, Outcome::Yes) => (both.yes, both.no) = (all(b.1), all(a.1)),
            _ => {}
        }
    }

    /// A value that is one or the other.
    pub(crate) fn meet(&mut self, a: &Value, b: &Value) -> Value {
        let atom = match (a.atom, b.atom) {
            (Some(x), Some(y)) if x == y => Some(x),
            (Some(x), Some(y)) => self.derive(value::Op::Either, &[x, y], 0, ""),
            (x, y) => x.or(y),
        };
        let kind = match (&a.kind, &b.kind) {
            (Kind::List(x, o), Kind::List(y, p)) if x.len() == y.len() => {
                let parts = x.iter().zip(y.iter()).map(|(x, y)| self.meet(x, y)).collect();
                Kind::List(Rc::new(parts), *o || *p)
            }
            // Items were added on one way.
            (Kind::List(x, _), Kind::List(y, _)) => {
                let longer = if x.len() > y.len() { x } else { y };
                Kind::List(Rc::clone(longer), true)
            }
            (Kind::Unknown | Kind::Null, it) | (it, Kind::Unknown | Kind::Null) => match it {
                Kind::Str(_) | Kind::Bool(_) => Kind::Unknown,
                it => it.clone(),
            },
            (Kind::Str(x), Kind::Str(y)) if x == y => Kind::Str(Rc::clone(x)),
            (Kind::Path(x), Kind::Path(y)) if x == y => Kind::Path(Rc::clone(x)),
            (Kind::Path(x), _) => Kind::Path(Rc::clone(x)),
            (Kind::Num, Kind::Num) => Kind::Num,
            (Kind::Map(x), Kind::Map(y)) => {
                let all = x.iter().chain(y.iter()).cloned().collect();
                Kind::Map(Rc::new(all))
            }
            (Kind::Built(x), _) | (_, Kind::Built(x)) => Kind::Built(Rc::clone(x)),
            (Kind::Map(x), _) | (_, Kind::Map(x)) => Kind::Map(Rc::clone(x)),
            _ => Kind::Unknown,
        };
        Value { atom, kind, yes: None, no: None }
    }
}

fn same(a: &Value, b: &Value) -> bool {
    let kinds = match (&a.kind, &b.kind) {
        (Kind::Unknown, Kind::Unknown) | (Kind::Num, Kind::Num) | (Kind::Null, Kind::Null) => true,
        (Kind::Str(x), Kind::Str(y)) | (Kind::Built(x), Kind::Built(y)) => Rc::ptr_eq(x, y),
        (Kind::Path(x), Kind::Path(y)) | (Kind::Regex(x), Kind::Regex(y)) => Rc::ptr_eq(x, y),
        (Kind::List(x, _), Kind::List(y, _)) => Rc::ptr_eq(x, y),
        (Kind::Map(x), Kind::Map(y)) => Rc::ptr_eq(x, y),
        (Kind::Func(a, b), Kind::Func(c, d)) => a == c && b == d,
        (Kind::Bool(x), Kind::Bool(y)) => x == y,
        (Kind::Schema(x), Kind::Schema(y)) => Rc::ptr_eq(x, y),
        _ => false,
    };
    kinds && a.atom == b.atom && a.yes.is_none() && b.yes.is_none()
}

fn outcome(value: &Value) -> Outcome {
    match &value.kind {
        Kind::Bool(true) => Outcome::Yes,
        Kind::Bool(false) | Kind::Null => Outcome::No,
        Kind::Path(it) if &**it == "Err()" || &**it == "None" => Outcome::No,
        Kind::Path(it) if &**it == "Ok()" || &**it == "Some()" || it.ends_with("Errorf()") => {
            Outcome::Yes
        }
        Kind::Path(it) if it.starts_with("errors.") || it.starts_with("fmt.") => Outcome::Yes,
        Kind::List(it, false) => it.last().map_or(Outcome::Either, last_outcome),
        Kind::Map(it) => match it.iter().find(|it| &*it.0 == "ok" || &*it.0 == "valid") {
            Some(it) => last_outcome(&it.1),
            None => Outcome::Either,
        },
        _ => Outcome::Either,
    }
}

/// Of an error that is the last of several values.
fn last_outcome(value: &Value) -> Outcome {
    match &value.kind {
        Kind::Null | Kind::Bool(false) => Outcome::No,
        Kind::Bool(true) => Outcome::Yes,
        Kind::Path(it) if it.starts_with("errors.") || it.starts_with("fmt.") => Outcome::Yes,
        _ => Outcome::Either,
    }
}
