//! Calls.

use std::rc::Rc;

use super::Flow;
use super::known::{Turn, turn};
use super::value::{Kind, Op, Set, Value};
use crate::ir::{Arg, Expr, Id};
use crate::project::FuncRef;

/// An argument that was worked out.
#[derive(Clone, Debug)]
pub(crate) struct Given<'s> {
    pub(crate) name: Option<&'s str>,
    pub(crate) spread: bool,
    pub(crate) value: Value,
}

/// A call, as far as it is known what is called.
#[derive(Clone, Debug)]
pub(crate) struct Called<'s> {
    pub(crate) id: Id,
    pub(crate) line: u32,
    /// Its whole name, as far as it is known: `sqlite3.connect().execute`.
    pub(crate) name: String,
    /// What the name of the receiver is in the text.
    pub(crate) base: String,
    pub(crate) receiver: Option<Value>,
    pub(crate) receiver_id: Option<Id>,
    pub(crate) args: Vec<Given<'s>>,
}

impl<'s> Called<'s> {
    pub(crate) fn method(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    pub(crate) fn arg(&self, at: usize) -> Value {
        self.positional(at).cloned().unwrap_or_default()
    }

    pub(crate) fn positional(&self, at: usize) -> Option<&Value> {
        self.args.iter().filter(|it| it.name.is_none()).nth(at).map(|it| &it.value)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Value> {
        self.args.iter().find(|it| it.name == Some(name)).map(|it| &it.value)
    }

    pub(crate) fn values(&self) -> Vec<Value> {
        self.args.iter().map(|it| it.value.clone()).collect()
    }
}

const MUTATORS: &[&str] = &[
    "append",
    "extend",
    "push",
    "add",
    "insert",
    "unshift",
    "push_str",
    "push_back",
    "WriteString",
    "update",
    "set",
    "Write",
    "write",
    "concat",
    "insert_str",
    "extend_from_slice",
    "Set",
];

impl<'p, 's> Flow<'p, 's> {
    pub(crate) fn call(&mut self, id: Id, callee: Id, args: &'p [Arg<'s>], new: bool) -> Value {
        let (called_value, receiver, receiver_id, name, base) = match self.node(callee) {
            Expr::Attr(of, method) => {
                let receiver = self.eval(*of);
                let base = self.words(*of);
                let value = match (&receiver.kind, receiver.atom) {
                    (Kind::Map(_), _) | (Kind::Path(_), None) => {
                        self.attr(&receiver, method, callee)
                    }
                    _ => Value::default(),
                };
                let name = match (&value.kind, receiver.path()) {
                    (Kind::Path(it), _) => it.to_string(),
                    (_, Some(it)) => format!("{it}.{method}"),
                    _ => format!("{base}.{method}"),
                };
                (value, Some(receiver), Some(*of), name, base)
            }
            _ => {
                let value = self.eval(callee);
                let name = match &value.kind {
                    Kind::Path(it) => it.to_string(),
                    _ => self.words(callee),
                };
                (value, None, None, name, String::new())
            }
        };
        let args = args.iter().map(|it| {
            let value = self.eval(it.value);
            Given { name: it.name, spread: it.spread, value }
        });
        let mut args: Vec<Given<'s>> = args.collect();
        // A list that is spread is as good as its items.
        if args.iter().any(|it| it.spread) {
            args = self.spread(args);
        }
        let line = self.line(id);
        let called = Called { id, line, name, base, receiver, receiver_id, args };
        if let Expr::Index(of, key) = self.node(callee) {
            self.called_by_name(*of, *key, id);
        }
        self.dispatch(called_value, called, new)
    }

    fn spread(&mut self, args: Vec<Given<'s>>) -> Vec<Given<'s>> {
        let mut out = Vec::new();
        for it in args {
            match &it.value.kind {
                Kind::List(items, false) if it.spread && it.value.atom.is_none() => {
                    let items = items.iter().cloned();
                    out.extend(items.map(|value| Given { name: None, spread: false, value }));
                }
                _ => out.push(it),
            }
        }
        out
    }

    /// A callee's name, from the text.
    fn words(&self, id: Id) -> String {
        let mut out = String::new();
        self.words_into(id, &mut out, 0);
        out
    }

    fn words_into(&self, id: Id, out: &mut String, depth: u32) {
        if depth > 12 {
            return;
        }
        match self.node(id) {
            Expr::Name(it) => out.push_str(it),
            Expr::Attr(base, name) => {
                self.words_into(*base, out, depth + 1);
                out.push('.');
                out.push_str(name);
            }
            Expr::Call { callee, .. } => {
                self.words_into(*callee, out, depth + 1);
                out.push_str("()");
            }
            Expr::Index(base, _) => self.words_into(*base, out, depth + 1),
            Expr::Try(it) => self.words_into(*it, out, depth + 1),
            _ => {}
        }
    }

    fn dispatch(&mut self, value: Value, called: Called<'s>, new: bool) -> Value {
        self.registered(&called);
        let turn = turn(self.language(), &called.name);
        if turn == Some(Turn::Exit) {
            let values = called.values();
            for it in &values {
                self.raised(it, called.line);
            }
            self.state.dead = self.language() != "rust" || called.name != "panic";
            return Value::default();
        }
        if let Some(it) = self.local(&value, &called) {
            let result = self.go_into(it, &called);
            return self.after(&called, result);
        }
        match &value.kind {
            // One of several: a table of handlers.
            Kind::List(items, true) => {
                let funcs = items.iter().filter_map(|it| match it.kind {
                    Kind::Func(file, func) => Some((file, func)),
                    _ => None,
                });
                let mut whole = Value::default();
                for it in funcs.collect::<Vec<_>>() {
                    let one = self.go_into(it, &called);
                    whole = self.meet(&whole, &one);
                }
                return whole;
            }
            Kind::Schema(_) => return Value::default(),
            _ => {}
        }
        if let Some(it) = self.validated(&called) {
            return it;
        }
        if let Some(it) = self.command(&called) {
            return it;
        }
        self.sinks(&called);
        self.mutate(&called);
        if turn == Some(Turn::Later) {
            return self.later(&called);
        }
        if let Some(it) = self.asked(&called) {
            return it;
        }
        let back = self.callbacks(&called);
        let result = match turn {
            Some(turn) => self.turned(turn, &called, new),
            None => self.unknown(&called),
        };
        let result = self.after(&called, result);
        match back {
            // What becomes of an error says nothing of the value.
            Some(_)
                if matches!(
                    called.method(),
                    "map_err"
                        | "ok_or_else"
                        | "unwrap_or_else"
                        | "or_else"
                        | "with_context"
                        | "catch"
                ) =>
            {
                result
            }
            // What is kept is what the question says yes to.
            Some(it) if called.method() == "filter" && it.atom.is_some() => Value::maybe(it.atom),
            Some(it) => {
                let whole = self.meet(&result, &it);
                Value { yes: it.yes, no: it.no, ..whole }
            }
            None => result,
        }
    }

    /// A function of this project.
    fn local(&self, value: &Value, called: &Called<'s>) -> Option<FuncRef> {
        if let Kind::Func(file, func) = value.kind {
            return Some((file, func));
        }
        if called.name.contains("()") && !called.name.ends_with(')') {
            // `Database().run`: a method of what was made.
            let (of, method) = called.name.rsplit_once('.')?;
            let of = of.trim_end_matches("()").rsplit(['.', '/']).next().unwrap_or(of);
            if let Some(it) = self.project.method(method, Some(of), self.file) {
                return Some(it);
            }
        }
        called.receiver.as_ref()?;
        let owner = self.frames.last().and_then(|it| it.owner);
        let method = called.method();
        let own = matches!(called.base.as_str(), "self" | "this" | "cls" | "Self")
            || self.calls.last().and_then(|it| self.project.func(*it)).is_some_and(|_| {
                owner.is_some() && called.base.len() <= 2 && self.language() == "go"
            });
        if own && let Some(it) = self.project.method(method, owner, self.file) {
            return Some(it);
        }
        if let Some(ty) = called.receiver.as_ref().and_then(|it| it.field("(type)"))
            && let Some(ty) = ty.text()
            && let Some(it) = self.project.method(method, Some(ty), self.file)
        {
            return Some(it);
        }
        if matches!(self.language(), "rust" | "go")
            && let Some(it) = self.project.named(&called.name, self.file)
            && self.project.func(it).is_some_and(|it| it.owner.is_some())
        {
            return Some(it);
        }
        const COMMON: &[&str] = &[
            "get", "set", "run", "execute", "query", "read", "write", "open", "close", "call",
            "send", "exec", "add", "append", "join", "push", "fetch", "load", "dump", "parse",
            "find", "update", "delete", "create", "list", "start", "stop", "connect", "items",
            "values", "keys", "text", "json", "all", "any", "map", "filter", "resolve", "next",
            "tool", "format", "strip", "split", "output", "arg", "args", "clone", "new", "into",
            "from", "iter", "contains", "is_empty",
        ];
        if COMMON.contains(&method) {
            return None;
        }
        self.project.method(method, None, self.file)
    }

    /// Goes into a function, with arguments in the order of its parameters.
    fn go_into(&mut self, func: FuncRef, called: &Called<'s>) -> Value {
        let Some(it) = self.project.func(func) else { return Value::default() };
        let params = it.params.iter().filter(|it| !matches!(it.name, "self" | "cls" | "this"));
        let own = it.params.first().is_some_and(|it| matches!(it.name, "self" | "cls" | "this"));
        let mut args = Vec::new();
        let mut positional = called.args.iter().filter(|it| it.name.is_none());
        // `Type::method(self, …)` in Rust.
        for param in params {
            if param.rest {
                args.extend(positional.by_ref().map(|it| it.value.clone()));
                continue;
            }
            let named =
                called.args.iter().find(|it| it.name.is_some() && it.name == Some(param.name));
            let spread = called.args.iter().find(|it| it.spread && it.name == Some("**"));
            let value = match (named, spread) {
                (Some(it), _) => it.value.clone(),
                (None, Some(it)) => self.attr(&it.value, param.name, called.id),
                (None, None) => match positional.next() {
                    Some(it) => it.value.clone(),
                    None => match param.default {
                        Some(_) => break,
                        None => Value::default(),
                    },
                },
            };
            args.push(value);
        }
        let receiver =
            if own { called.receiver.clone().unwrap_or_default() } else { Value::default() };
        let from = self.atoms_of(args.iter().chain([&receiver]));
        let active = args.iter().any(|it| matches!(it.kind, Kind::Func(..)));
        let nested = it.nested;
        if from.is_empty() && !active && !nested {
            if let Some(it) = self.plain.get(&func) {
                return it.clone();
            }
            self.plain.insert(func, Value::default());
            let value = self.run(func, args, receiver, false);
            self.plain.insert(func, value.clone());
            return value;
        }
        self.run(func, args, receiver, false)
    }

    /// What is left where a method changes what it is called on.
    fn mutate(&mut self, called: &Called<'s>) {
        let go_append = called.name == "append" && self.language() == "go";
        if go_append || !MUTATORS.contains(&called.method()) {
            self.filled(called);
            return;
        }
        let Some(var) = called.receiver_id.and_then(|it| self.variable(it)) else { return };
        let old = called.receiver.clone().unwrap_or_default();
        let mut items = called.values();
        if let (Kind::List(parts, open), "append" | "push" | "extend") =
            (&old.kind, called.method())
        {
            let mut parts = (**parts).clone();
            let mut open = *open;
            if called.method() == "extend" {
                items = match items.first().map(|it| (&it.kind, it.atom)) {
                    Some((Kind::List(inner, more), None)) => {
                        open |= *more;
                        (**inner).clone()
                    }
                    _ => {
                        open = true;
                        items
                    }
                };
            }
            if parts.len() < 64 {
                parts.extend(items);
            }
            self.state.set(var, Value { kind: Kind::List(Rc::new(parts), open), ..old });
            return;
        }
        let atoms = self.atoms_of(std::iter::once(&old).chain(&items));
        if atoms.is_empty() {
            return;
        }
        // A path that is pushed onto replaces or extends.
        if self.language() == "rust" && called.method() == "push" {
            let parts: Vec<_> = std::iter::once(old).chain(items).collect();
            let value = self.joined(Op::Join, &parts, called.line);
            self.state.set(var, value);
            return;
        }
        let kind = match old.kind {
            Kind::Map(it) => {
                let mut fields = (*it).clone();
                let name = called.arg(0).text().cloned().unwrap_or_else(|| "[]".into());
                fields.push((name, called.arg(1)));
                Kind::Map(Rc::new(fields))
            }
            Kind::Str(it) | Kind::Built(it) => {
                let more = items.first().and_then(|it| match &it.kind {
                    Kind::Str(it) | Kind::Built(it) => Some(Rc::clone(it)),
                    _ => None,
                });
                Kind::Built(format!("{it}{}", more.as_deref().unwrap_or("\u{1}")).into())
            }
            it => it,
        };
        let atom = self.derive(Op::Flow, &atoms, called.line, called.method());
        self.state.set(var, Value { atom, kind, ..Value::default() });
    }

    /// A variable that is handed over to be filled: `json.Unmarshal(data, &args)`.
    fn filled(&mut self, called: &Called<'s>) {
        const FILLERS: &[&str] = &[
            "Unmarshal",
            "BindArguments",
            "Decode",
            "Bind",
            "DecodeMap",
            "UnmarshalJSON",
            "Sscanf",
            "Sscan",
            "Copy",
            "As",
        ];
        if !FILLERS.contains(&called.method()) {
            return;
        }
        let last = match self.node(called.id) {
            Expr::Call { args, .. } => args.last().and_then(|it| self.variable(it.value)),
            _ => None,
        };
        let Some(var) = last else { return };
        let given = called.args.iter().rev().skip(1).map(|it| it.value.clone());
        let given: Vec<_> = given.chain(called.receiver.clone()).collect();
        let atoms = self.atoms_of(given.iter());
        let Some(atom) = self.derive(Op::Flow, &atoms, called.line, called.method()) else {
            return;
        };
        let old = self.state.get(var).cloned().unwrap_or_default();
        let ty = old.path().map(|it| it.trim_end_matches("()").to_owned()).unwrap_or_default();
        let value = self.typed(&ty, atom, self.file, 0);
        self.state.set(var, value);
    }

    /// A function that something else calls with the arguments after it.
    fn later(&mut self, called: &Called<'s>) -> Value {
        let receiver = called
            .receiver
            .as_ref()
            .filter(|_| matches!(called.method(), "call" | "apply" | "bind"));
        let (func, skip) = match receiver {
            Some(it) => (it.clone(), 1),
            None => {
                let at = called.args.iter().position(|it| {
                    matches!(it.value.kind, Kind::Func(..))
                        || it.value.path().is_some() && it.value.atom.is_none()
                });
                match at {
                    Some(it) => {
                        (called.args.get(it).map(|it| it.value.clone()).unwrap_or_default(), it + 1)
                    }
                    None => return self.flow(&called.values(), "later"),
                }
            }
        };
        let rest: Vec<_> = called.args.iter().skip(skip).cloned().collect();
        // `promisify(exec)` and `partial(run)` are what they are made of.
        if rest.iter().all(|it| matches!(it.value.kind, Kind::Null))
            && called.method() != "to_thread"
        {
            return func;
        }
        let name = func.path().map(|it| it.to_string()).unwrap_or_default();
        if name.is_empty() && !matches!(func.kind, Kind::Func(..)) {
            return self.flow(&called.values(), "later");
        }
        let inner = Called {
            name,
            base: String::new(),
            receiver: None,
            receiver_id: None,
            args: rest,
            ..called.clone()
        };
        self.dispatch(func, inner, false)
    }

    /// Functions that are given to be called.
    fn callbacks(&mut self, called: &Called<'s>) -> Option<Value> {
        let funcs = called.args.iter().filter_map(|it| match it.value.kind {
            Kind::Func(file, func) => Some((file, func)),
            _ => None,
        });
        let funcs = funcs.collect::<Vec<_>>();
        let mut inner = called.args.iter().filter_map(|it| match &it.value.kind {
            // `new Tool({ run() {} })` is not called here.
            Kind::Map(_) => None,
            _ => Some(&it.value),
        });
        let of = called.receiver.clone().unwrap_or_default();
        let source = match of.atom {
            Some(_) => of.clone(),
            None if !matches!(of.kind, Kind::Path(_)) => of.clone(),
            // `slices.ContainsFunc(parts, …)`.
            None => inner.find(|it| it.atom.is_some()).cloned().unwrap_or_default(),
        };
        let mut whole: Option<Value> = None;
        for func in funcs {
            // A handler that is registered is looked at as a tool, not here.
            if self.frames.len() <= 1 && self.calls.is_empty() {
                break;
            }
            let Some(it) = self.project.func(func) else { continue };
            let item = self.item(&source, called.id);
            let direct = matches!(
                called.method(),
                "then" | "map_err" | "and_then" | "filter" | "or_else" | "ok_or_else"
            ) && called.method() != "filter"
                || self.language() == "rust"
                    && matches!(
                        called.method(),
                        "map" | "filter" | "is_some_and" | "is_none_or" | "is_ok_and"
                    )
                    && source.atom.is_some_and(|it| {
                        !self.above(it, |op| matches!(op, Op::Parts | Op::Words))
                    });
            let item = if direct { source.clone() } else { item };
            let mut args = vec![item.clone()];
            args.resize(it.params.len().max(1), Value::default());
            // `(key, value)` of something of the caller's, or `reduce`.
            if matches!(called.method(), "reduce" | "fold")
                && let Some(last) = args.last_mut()
            {
                *last = item.clone();
            }
            let facts = Rc::clone(&self.state.facts);
            let one = self.run(func, args, Value::default(), false);
            self.state.facts = facts;
            self.state.dead = false;
            let yes = self.lifted(&source, &item, &one.yes);
            let no = self.lifted(&source, &item, &one.no);
            let mut one = Value { yes, no, ..one };
            if called.method() == "filter" {
                let before = self.state.clone();
                self.state.learned(one.yes.as_ref());
                let kept = self.seal(item.clone(), called.line);
                self.state = before;
                one.atom = kept.atom;
            }
            whole = Some(match whole {
                Some(it) => self.meet(&it, &one),
                None => one,
            });
        }
        let whole = whole?;
        match called.method() {
            "filter" => Some(Value { kind: Kind::Unknown, ..whole }),
            "some" | "any" | "ContainsFunc" | "find" | "is_some_and" | "contains_func" => {
                Some(Value { atom: None, kind: Kind::Unknown, ..whole })
            }
            "every" | "all" | "is_none_or" => {
                Some(Value { atom: None, kind: Kind::Unknown, no: None, ..whole })
            }
            // Whatever it returns is in what comes out.
            _ => Some(Value { yes: None, no: None, kind: Kind::Unknown, atom: whole.atom }),
        }
    }

    /// Nobody knows what it does: what goes in comes out.
    fn unknown(&mut self, called: &Called<'s>) -> Value {
        let mut of = called.values();
        of.extend(called.receiver.clone());
        let mut value = self.flow(&of, called.method());
        // A list keeps its items where only more come to it.
        if called.name == "append"
            && let Some(first) = called.args.first()
        {
            let mut items = match &first.value.kind {
                Kind::List(items, _) => (**items).clone(),
                _ => Vec::new(),
            };
            items.extend(called.args.iter().skip(1).map(|it| it.value.clone()));
            let spread = called.args.iter().any(|it| it.spread) || first.value.atom.is_some();
            value = Value::of(Kind::List(Rc::new(items), spread));
            if let Some(atom) = first.value.atom {
                value.atom = Some(atom);
            }
        }
        value
    }

    /// What comes out has a name too.
    fn after(&mut self, called: &Called<'s>, mut value: Value) -> Value {
        let plain = matches!(value.kind, Kind::Unknown);
        let known =
            called.receiver.as_ref().is_none_or(|it| it.path().is_some() || it.atom.is_none());
        if plain && known && called.name.len() < 120 && !called.name.is_empty() {
            value.kind = Kind::Path(format!("{}()", called.name).into());
        }
        value
    }

    pub(crate) fn tagged(&mut self, tag: Id, parts: &'p [Id], id: Id) -> Value {
        let parts = parts.iter().map(|it| self.eval(*it)).collect::<Vec<_>>();
        let name = self.words(tag);
        let last = name.rsplit('.').next().unwrap_or(&name);
        let line = self.line(id);
        let atoms = self.atoms_of(parts.iter());
        let safe = match last.trim_end_matches("()") {
            "sql" | "$queryRaw" | "$executeRaw" | "query" | "prql" | "gql" | "join" | "db"
            | "tx" => Set::SQL,
            // Each part is an argument of its own.
            "$" | "execa" | "$sync" | "execaCommand" => {
                self.shell_tag(&parts, line, id);
                Set::SHELL.or(Set::PROGRAM)
            }
            "raw" => Set::default(),
            _ => Set::default(),
        };
        Value::maybe(self.derive_safe(Op::Build, &atoms, safe, line, last))
    }

    /// The variable of a name, for those that set what was found out.
    pub(crate) fn rebind(&mut self, id: Option<Id>, value: Value) {
        if let Some(var) = id.and_then(|it| self.variable(it)) {
            self.state.set(var, value);
        }
    }
}
