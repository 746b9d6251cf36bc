//! Expressions.

use std::rc::Rc;

use super::known::{Turn, turn};
use super::value::{Facts, Kind, Op, Set, Source, Value, Var};
use super::{BUDGET, DEPTH_MAX, Flow, guard};
use crate::ir::{Arg, Cmp, Entry, Expr, Id};

impl<'p, 's> Flow<'p, 's> {
    pub(crate) fn language(&self) -> &'static str {
        self.project.file(self.file).map_or("", |it| it.language.name())
    }

    pub(crate) fn eval(&mut self, id: Id) -> Value {
        if self.budget == 0 || self.depth > DEPTH_MAX {
            self.unfinished = true;
            return Value::default();
        }
        self.budget = self.budget.saturating_sub(1).min(BUDGET);
        self.depth += 1;
        let value = self.eval_inner(id);
        self.depth -= 1;
        value
    }

    fn eval_inner(&mut self, id: Id) -> Value {
        match self.node(id) {
            Expr::Str(it) => Value::of(Kind::Str(it.as_ref().into())),
            Expr::Num(_) => Value::of(Kind::Num),
            Expr::Bool(it) => Value::of(Kind::Bool(*it)),
            Expr::Null => Value::of(Kind::Null),
            Expr::Name(name) => self.name(name, id),
            Expr::Temp(it) => self.state.get(Var::Temp(*it)).cloned().unwrap_or_default(),
            Expr::Attr(base, name) => {
                let base = self.eval(*base);
                self.attr(&base, name, id)
            }
            Expr::Index(base, key) => {
                let of = self.eval(*base);
                let first = matches!(self.node(*key), Expr::Num("0"));
                let slice = matches!(self.node(*key), Expr::Name(":"));
                let at = match self.node(*key) {
                    Expr::Num(it) => it.parse::<usize>().ok(),
                    _ => None,
                };
                let key = self.eval(*key);
                self.index(&of, &key, id, first, slice, at)
            }
            Expr::Call { callee, args, new } => self.call(id, *callee, args, *new),
            Expr::Tagged { tag, parts } => self.tagged(*tag, parts, id),
            Expr::Build(parts) => {
                let parts = parts.iter().map(|it| self.eval(*it)).collect::<Vec<_>>();
                self.build(&parts, self.line(id))
            }
            Expr::Op(op, parts) => self.op(op, parts, id),
            Expr::Cmp(cmp, left, right) => self.compare(*cmp, *left, *right),
            Expr::Not(it) => self.eval(*it).negated(),
            Expr::And(left, right) => {
                let left = self.eval(*left);
                self.note(&left);
                let before = self.state.clone();
                self.state.learned(left.yes.as_ref());
                let right = self.eval(*right);
                let vars = Rc::clone(&self.state.vars);
                self.state = before;
                self.state.vars = vars;
                let yes = guard::both(&left.yes, &right.yes);
                let no = guard::shared(&left.no, &right.no);
                let value = self.meet(&left, &right);
                Value { yes, no, ..value }
            }
            Expr::Or(left, right) => {
                let left = self.eval(*left);
                self.note(&left);
                let before = self.state.clone();
                self.state.learned(left.no.as_ref());
                let right = self.eval(*right);
                let vars = Rc::clone(&self.state.vars);
                self.state = before;
                self.state.vars = vars;
                self.either(&left, &right)
            }
            Expr::Is(pat, of) => {
                let of = self.eval(*of);
                self.note(&of);
                self.matched(pat, &of)
            }
            Expr::If { cond, then, other } => {
                let cond = self.eval(*cond);
                self.note_cond(&cond);
                let before = self.state.clone();
                let ours = self.is_setting(&cond);
                self.settings += u32::from(ours);
                self.state.learned(cond.yes.as_ref());
                let left = self.block(then);
                let mut after = std::mem::replace(&mut self.state, before);
                self.state.learned(cond.no.as_ref());
                let right = self.block(other);
                self.settings -= u32::from(ours);
                let mut end = std::mem::take(&mut self.state);
                if ours && !after.dead && !end.dead {
                    // What is only checked if it is set up so is checked.
                    let all =
                        after.facts.iter().chain(end.facts.iter()).map(|(atom, set)| (*atom, *set));
                    let all = all.collect::<Vec<_>>();
                    after.learn(&all);
                    end.learn(&all);
                }
                let value = match (after.dead, end.dead) {
                    (true, false) => right,
                    (false, true) => left,
                    (true, true) => Value::default(),
                    (false, false) => {
                        let left = self.sealed_under(&left, &after.facts);
                        let right = self.sealed_under(&right, &end.facts);
                        self.meet(&left, &right)
                    }
                };
                self.state = self.merge(after, end);
                value
            }
            Expr::List(args) => self.list(args),
            Expr::Map(entries) => self.map(entries),
            Expr::Each { pat, iter, conds, value } => {
                let of = self.eval(*iter);
                let item = self.item(&of, *iter);
                let before = self.state.clone();
                self.bind(pat, item.clone());
                for it in conds {
                    let cond = self.eval(*it);
                    self.note_cond(&cond);
                    self.state.learned(cond.yes.as_ref());
                }
                let one = self.eval(*value);
                let one = self.seal(one, self.line(id));
                self.state = before;
                let yes = self.lifted(&of, &item, &one.yes);
                let no = self.lifted(&of, &item, &one.no);
                let atom = self.whole(&one).and_then(|it| self.derive(Op::Flow, &[it], 0, ""));
                Value { atom, kind: Kind::Unknown, yes, no }
            }
            Expr::Func(it) => Value::of(Kind::Func(self.file, *it)),
            Expr::Regex(it) => {
                let inside = it.rsplit_once('/').map_or(*it, |it| it.0);
                Value::of(Kind::Regex(inside.trim_start_matches('/').into()))
            }
            Expr::Assign(pat, of) => {
                let value = self.eval(*of);
                self.bind(pat, value.clone());
                value
            }
            Expr::Try(of) => {
                let value = self.eval(*of);
                self.state.learned(value.yes.as_ref());
                Value { yes: None, no: None, ..value }
            }
            Expr::Do(block) => self.block(block),
            Expr::Other(parts) => {
                let parts = parts.iter().map(|it| self.eval(*it)).collect::<Vec<_>>();
                match parts.as_slice() {
                    [one] => one.clone(),
                    _ => self.flow(&parts, ""),
                }
            }
        }
    }

    /// Whether a condition is about how the server is set up, and not about what a caller gave.
    fn is_setting(&self, cond: &Value) -> bool {
        let about = [&cond.yes, &cond.no].into_iter().flatten().flat_map(|it| it.iter());
        let mut about = about.filter_map(|it| self.at(it.0));
        cond.atom.is_none()
            && !matches!(cond.kind, Kind::Bool(_))
            && about.all(|it| matches!(it.op, Op::Scheme | Op::Type))
    }

    /// Notes that what a condition is about was looked at.
    fn note_cond(&mut self, cond: &Value) {
        self.note(cond);
        for facts in [&cond.yes, &cond.no].into_iter().flatten() {
            for (atom, _) in facts.iter() {
                self.note(&Value::atom(*atom));
            }
        }
    }

    fn name(&mut self, name: &'s str, id: Id) -> Value {
        if let Some(it) = self.state.get(Var::Name(name)) {
            return it.clone();
        }
        let Some(here) = self.here() else { return Value::default() };
        if let Some(it) = here.imports.iter().find(|it| it.alias == name) {
            let dotted = dotted(&it.module, it.name, here.language.is_script());
            return self.dotted(&dotted, self.line(id));
        }
        if let Some(it) = self.project.named(name, self.file) {
            return Value::of(Kind::Func(it.0, it.1));
        }
        if let Some(file) = self.project.binding(name, self.file) {
            let top = self.top(file);
            if let Some(it) = top.get(&Var::Name(name)) {
                return it.clone();
            }
        }
        if matches!(name, "self" | "this" | "cls" | "_" | ":") {
            return Value::default();
        }
        Value::of(Kind::Path(name.into()))
    }

    /// What a name of a module is: a function or a value of this project, or only a name.
    fn dotted(&mut self, name: &str, line: u32) -> Value {
        let script = self.language() == "js";
        if !script || name.starts_with('.') {
            if let Some(it) = self.project.named(name, self.file) {
                return Value::of(Kind::Func(it.0, it.1));
            }
            if name.contains('.')
                && let Some(file) = self.project.binding(name, self.file)
            {
                let last = name.rsplit('.').next().unwrap_or(name);
                let top = self.top(file);
                let found = top.iter().find(|(var, _)| matches!(var, Var::Name(it) if *it == last));
                if let Some((_, it)) = found {
                    return it.clone();
                }
            }
        }
        let mut value = Value::of(Kind::Path(name.into()));
        value.atom = self.secret(name, line);
        value
    }

    /// A key that is read from the environment.
    fn secret(&mut self, name: &str, line: u32) -> Option<u32> {
        let of = name.strip_prefix("process.env.")?;
        is_secret(of).then(|| self.source(Source::Secret, Set::default(), line, of))
    }

    pub(crate) fn attr(&mut self, base: &Value, name: &str, id: Id) -> Value {
        if let Some(it) = base.field(name) {
            return it.clone();
        }
        let line = self.line(id);
        if let Some(path) = base.path()
            && base.atom.is_none()
        {
            let name = format!("{path}.{name}");
            return self.dotted(&name, line);
        }
        let Some(atom) = base.atom else { return Value::default() };
        if name == "stack" && self.at(atom).is_some_and(|it| it.from == Source::Error.bit()) {
            return Value::atom(self.source(Source::Error, Set::default(), line, "stack"));
        }
        if let Some(it) = self.address_attr(atom, name) {
            return it;
        }
        let field = self.at(atom).is_some_and(|it| matches!(it.op, Op::Source(_) | Op::Field));
        let pathlike = base.path().is_some_and(|it| it.contains("Path()"));
        let made = match turn(self.language(), &format!(".{name}")) {
            Some(Turn::Number) if name == "length" => return Value::of(Kind::Num),
            Some(Turn::Host) if self.is_url(atom) => self.derive(Op::Host, &[atom], line, name),
            Some(Turn::Scheme) if self.is_url(atom) => self.derive(Op::Scheme, &[atom], line, name),
            Some(Turn::Piece) => self.derive(Op::Piece, &[atom], line, name),
            Some(Turn::Inside) => self.derive_safe(Op::Flow, &[atom], Set::PATH, line, name),
            _ if pathlike && matches!(name, "name" | "stem") => {
                self.derive_safe(Op::Piece, &[atom], Set::PATH, line, name)
            }
            _ if pathlike && name == "parts" => self.derive(Op::Parts, &[atom], line, name),
            // A netloc is a host, and what may be before and after it.
            _ if self.is_url(atom) => self.derive(Op::Piece, &[atom], line, name),
            _ if field => self.derive(Op::Field, &[atom], line, name),
            _ if name == "0" => self.derive(Op::Copy, &[atom], line, name),
            _ => self.derive(Op::Flow, &[atom], line, name),
        };
        let kind = match base.path() {
            Some(it) if it.len() < 120 => Kind::Path(format!("{it}.{name}").into()),
            _ => Kind::Unknown,
        };
        Value { atom: made, kind, ..Value::default() }
    }

    pub(crate) fn is_url(&self, atom: u32) -> bool {
        self.above(atom, |op| op == Op::ParsedUrl)
    }

    fn index(
        &mut self,
        of: &Value,
        key: &Value,
        id: Id,
        first: bool,
        slice: bool,
        at: Option<usize>,
    ) -> Value {
        let line = self.line(id);
        if let (Kind::List(items, _), Some(at)) = (&of.kind, at) {
            return items.get(at).cloned().unwrap_or_else(|| Value::maybe(of.atom));
        }
        if let Some(name) = key.text() {
            if let Some(it) = of.field(name) {
                return it.clone();
            }
            if of.path().is_some_and(|it| it.ends_with("environ") || it.ends_with(".env")) {
                let made = is_secret(name)
                    .then(|| self.source(Source::Secret, Set::default(), line, name));
                return Value::maybe(made);
            }
        }
        if let Some(atom) = of.atom {
            let cut = self.above(atom, |op| matches!(op, Op::Words | Op::Parts));
            let field = self.at(atom).is_some_and(|it| matches!(it.op, Op::Source(_) | Op::Field));
            let what = key.text().map_or("", |it| it);
            let op = match (cut, first, slice, field) {
                (true, true, _, _) => Op::Head,
                (_, _, true, _) | (true, ..) => Op::Piece,
                (_, _, _, true) => Op::Field,
                // The only one of several that are the same.
                _ if first && self.above(atom, |op| op == Op::Address) => Op::Copy,
                _ => Op::Flow,
            };
            return Value::maybe(self.derive(op, &[atom], line, what));
        }
        // A choice of what is ours, whatever it is chosen by.
        match &of.kind {
            Kind::Map(fields) => {
                let all = fields.iter().map(|it| it.1.clone()).collect::<Vec<_>>();
                Value::of(Kind::List(Rc::new(all), true))
            }
            Kind::List(items, _) => Value::of(Kind::List(Rc::clone(items), true)),
            Kind::Path(it) => {
                self.chosen(it, key, id);
                let it = it.clone();
                if it.len() < 120 {
                    Value::of(Kind::Path(format!("{it}[]").into()))
                } else {
                    Value::default()
                }
            }
            _ => {
                let member = self.kept(of, key);
                Value { yes: member.yes, no: member.no, ..Value::default() }
            }
        }
        .with(self.kept(of, key))
    }

    /// Text put together. What it begins with decides what can be done with the rest.
    pub(crate) fn build(&mut self, parts: &[Value], line: u32) -> Value {
        if parts.iter().any(|it| matches!(it.kind, Kind::List(..))) {
            return self.concat(parts);
        }
        let mut text = String::new();
        let mut fixed = true;
        let mut lead = true;
        let mut prefix = String::new();
        let mut atoms = Vec::new();
        let mut unknown_first = false;
        for (at, it) in parts.iter().enumerate() {
            if let Some(known) = it.text() {
                if text.len() < 400 {
                    text.push_str(known);
                }
                if lead {
                    prefix.push_str(known);
                }
                continue;
            }
            fixed = false;
            match self.whole(it) {
                Some(atom) => {
                    if lead && atoms.is_empty() && at > 0 {
                        // What is before it is ours.
                        lead = false;
                    }
                    if at == 0 {
                        lead = false;
                    }
                    atoms.push(atom);
                }
                None => {
                    if at == 0 {
                        unknown_first = true;
                    }
                    if let Kind::Built(it) = &it.kind {
                        text.push_str(it);
                    }
                    if lead && atoms.is_empty() {
                        // A separator, or a constant from elsewhere.
                        prefix.push(if is_separator(it) { '/' } else { '\u{1}' });
                    }
                }
            }
            text.push(if is_separator(it) { '\u{2}' } else { '\u{1}' });
        }
        if fixed {
            return Value::of(Kind::Str(text.into()));
        }
        let number = !parts.is_empty()
            && parts.iter().all(|it| matches!(it.kind, Kind::Num))
            && self.language() != "js";
        if number {
            let atom = self.derive_safe(Op::Flow, &atoms, Set::TEXT, line, "sum");
            return Value { atom, kind: Kind::Num, ..Value::default() };
        }
        let mut safe = Set::default();
        if guard::fixes_host(&prefix)
            || (unknown_first && prefix.contains("\u{1}/"))
            || prefix == "\u{1}"
        {
            safe = safe.or(Set::URL);
        }
        // What goes on behind something safe.
        if let (Some(first), Some(rest)) = (parts.first().and_then(|it| it.atom), atoms.get(1..))
            && !rest.is_empty()
        {
            for class in [Set::URL, Set::ARG] {
                if self.flows(first, class, u8::MAX, false).is_none() {
                    safe = safe.or(class);
                }
            }
        }
        // An option that is named, or a path that begins somewhere, cannot become another option.
        if !prefix.is_empty() {
            safe = safe.or(Set::ARG).or(Set::PROGRAM);
        }
        let op = match prefix.as_str() {
            "" => Op::Lead,
            "/" => Op::Rooted,
            _ => Op::Build,
        };
        let what = text.replace(['\u{1}', '\u{2}'], "…");
        let atom = self.derive_safe(op, &atoms, safe, line, &clip(&what));
        Value { atom, kind: Kind::Built(text.into()), ..Value::default() }
    }

    /// Lists, one behind the other.
    fn concat(&mut self, parts: &[Value]) -> Value {
        let mut items = Vec::new();
        let mut open = false;
        for it in parts {
            match &it.kind {
                Kind::List(inner, more) if it.atom.is_none() => {
                    items.extend(inner.iter().cloned());
                    open |= *more;
                }
                _ => items.push(it.clone()),
            }
        }
        Value::of(Kind::List(Rc::new(items), open))
    }

    fn op(&mut self, op: &str, parts: &[Id], id: Id) -> Value {
        let values = parts.iter().map(|it| self.eval(*it)).collect::<Vec<_>>();
        let line = self.line(id);
        match (op, values.as_slice()) {
            ("typeof", [one]) => match self.whole(one) {
                Some(it) => Value::maybe(self.derive(Op::Type, &[it], line, "typeof")),
                None => Value::default(),
            },
            ("instanceof", _) => {
                self.note(&values.first().cloned().unwrap_or_default());
                Value::default()
            }
            // `root / name`, where a path can be divided.
            ("/", [left, right])
                if self.language() == "python" && !matches!(right.kind, Kind::Num) =>
            {
                self.joined(Op::Join, &[left.clone(), right.clone()], line)
            }
            ("*", [left, right]) => {
                self.repeated(id, left, right);
                let atoms = self.atoms_of(values.iter());
                let numbers = values.iter().all(|it| matches!(it.kind, Kind::Num));
                let safe = if numbers { Set::TEXT } else { Set::default() };
                let atom = self.derive_safe(Op::Flow, &atoms, safe, line, "*");
                Value {
                    atom,
                    kind: if numbers { Kind::Num } else { Kind::Unknown },
                    ..Value::default()
                }
            }
            ("=", [left, right]) => self.meet(left, right),
            _ => {
                let atoms = self.atoms_of(values.iter());
                let atom = self.derive_safe(Op::Flow, &atoms, Set::TEXT, line, op);
                Value { atom, kind: Kind::Num, ..Value::default() }
            }
        }
    }

    fn list(&mut self, args: &'p [Arg<'s>]) -> Value {
        let mut items = Vec::new();
        let mut open = false;
        for it in args {
            let value = self.eval(it.value);
            match (&value.kind, it.spread) {
                (Kind::List(inner, more), true) => {
                    items.extend(inner.iter().cloned());
                    open |= *more;
                }
                (_, true) => {
                    items.push(value);
                    open = true;
                }
                _ => items.push(value),
            }
        }
        Value::of(Kind::List(Rc::new(items), open))
    }

    fn map(&mut self, entries: &'p [Entry<'s>]) -> Value {
        let mut fields: Vec<(Rc<str>, Value)> = Vec::new();
        for it in entries {
            match it {
                Entry::Field(name, id) => {
                    let value = self.eval(*id);
                    fields.push((name.as_ref().into(), value));
                }
                Entry::Computed(key, id) => {
                    let key = self.eval(*key);
                    let value = self.eval(*id);
                    let name = key.text().cloned().unwrap_or_else(|| "[]".into());
                    fields.push((name, value));
                }
                Entry::Spread(id) => {
                    let value = self.eval(*id);
                    match &value.kind {
                        Kind::Map(inner) => fields.extend(inner.iter().cloned()),
                        _ => fields.push(("...".into(), value)),
                    }
                }
            }
        }
        self.tabled(&fields);
        Value::of(Kind::Map(Rc::new(fields)))
    }

    /// One of the items.
    pub(crate) fn item(&mut self, of: &Value, id: Id) -> Value {
        if let Kind::List(items, _) = &of.kind
            && of.atom.is_none()
        {
            let mut whole: Option<Value> = None;
            for it in items.iter().take(32) {
                whole = Some(match whole {
                    Some(old) => self.meet(&old, it),
                    None => it.clone(),
                });
            }
            return whole.unwrap_or_default();
        }
        let Some(atom) = of.atom else {
            return match of.path() {
                Some(it) if it.len() < 120 => Value::of(Kind::Path(format!("{it}[]").into())),
                _ => Value::default(),
            };
        };
        let line = self.line(id);
        let op = match self.at(atom).map(|it| it.op) {
            Some(Op::Parts) => Op::Parts,
            Some(Op::Address) => Op::Copy,
            _ => Op::Flow,
        };
        Value::maybe(self.derive(op, &[atom], line, "item"))
    }

    /// What is known of each item is known of all of them.
    pub(crate) fn lifted(
        &self,
        of: &Value,
        item: &Value,
        facts: &Option<Rc<Facts>>,
    ) -> Option<Rc<Facts>> {
        let facts = facts.as_ref()?;
        let mut out = (**facts).clone();
        if let Some(one) = item.atom {
            let known =
                facts.iter().filter(|it| it.0 == one).fold(Set::default(), |set, it| set.or(it.1));
            for atom in self.atoms_of(std::iter::once(of)) {
                out.extend(self.learn(atom, known));
            }
        }
        Some(Rc::new(out))
    }

    fn compare(&mut self, cmp: Cmp, left: Id, right: Id) -> Value {
        let a = self.eval(left);
        let b = self.eval(right);
        self.note(&a);
        self.note(&b);
        let negative = matches!(self.node(right), Expr::Op("-", _));
        let zero = matches!(self.node(right), Expr::Num("0"));
        // `indexOf(x) !== -1`, `count > 0` and the like are as good as the question itself.
        if (negative || zero)
            && matches!(a.kind, Kind::Unknown)
            && (a.yes.is_some() || a.no.is_some())
        {
            return match (cmp, negative) {
                (Cmp::Ne | Cmp::More, _) => a,
                (Cmp::Eq, true) | (Cmp::Less, _) => a.negated(),
                _ => Value::default(),
            };
        }
        match cmp {
            Cmp::Eq => self.equal(&a, &b),
            Cmp::Ne => self.equal(&a, &b).negated(),
            Cmp::In => self.member(&a, &b),
            Cmp::NotIn => self.member(&a, &b).negated(),
            Cmp::Less => self.smaller(&a, &b),
            Cmp::More => self.smaller(&b, &a),
        }
    }
}

impl Value {
    /// With what is known from elsewhere.
    fn with(mut self, known: Self) -> Self {
        self.yes = self.yes.or(known.yes);
        self.no = self.no.or(known.no);
        self
    }
}

fn clip(text: &str) -> String {
    let mut out: String = text.chars().take(60).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out.replace(['\n', '\r'], " ")
}

pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASS", "CRED", "DSN", "DATABASE_URL", "DB_URL", "CONN"]
        .iter()
        .any(|it| name.contains(it))
}

fn is_separator(value: &Value) -> bool {
    value.path().is_some_and(|it| {
        [
            "os.sep",
            "PathSeparator",
            "path.sep",
            "os.path.sep",
            "MAIN_SEPARATOR",
            "filepath.Separator",
            "MAIN_SEPARATOR_STR",
        ]
        .iter()
        .any(|sep| it.contains(sep))
    })
}

/// The name of something imported, with one way to write each module.
fn dotted(module: &str, name: &str, script: bool) -> String {
    let mut module = module.strip_prefix("node:").unwrap_or(module).to_owned();
    if script {
        if module.starts_with('.') {
            let stem = module.rsplit('/').next().unwrap_or(&module);
            let stem = stem.split('.').find(|it| !it.is_empty()).unwrap_or(stem);
            module = format!("./{stem}");
        }
        module = match module.as_str() {
            "fs/promises" | "fs-extra" | "graceful-fs" => "fs".to_owned(),
            _ => module,
        };
    } else if module.starts_with('.') {
        module = module.trim_start_matches('.').to_owned();
    }
    match (name, module.as_str()) {
        ("" | "default", _) => module,
        ("promises", "fs") => module,
        ("posix", "path") => module,
        (name, "") => name.to_owned(),
        (name, _) => format!("{module}.{name}"),
    }
}
