//! Uses that a value must be safe for.

use std::rc::Rc;

use super::Flow;
use super::call::Called;
use super::known::{COMMANDS, DANGEROUS, SHELLS, is_database, is_sql, program};
use super::value::{AtomId, Kind, Op, Set, Source, Value};
use crate::inventory;
use crate::ir::{Catch, Expr, Id};
use crate::rules::{Form, Place, Rule, Sink, book};

/// Something of the caller's where it must not be.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) rule: &'static str,
    pub(crate) file: usize,
    pub(crate) line: u32,
    pub(crate) end: u32,
    /// From the source to the use: file, line, and what happens there.
    pub(crate) way: Vec<(usize, u32, Rc<str>)>,
    pub(crate) call: String,
    /// It was not checked in any way before.
    pub(crate) unchecked: bool,
}

const OUTSIDE: u8 = 1 | 8;

impl<'p, 's> Flow<'p, 's> {
    pub(crate) fn sinks(&mut self, called: &Called<'s>) {
        let can = match self.named.get(&called.name) {
            Some(it) => *it,
            None => {
                let it = inventory::of_call(&called.name);
                self.named.insert(called.name.clone(), it);
                it
            }
        };
        self.capabilities.extend(can);
        let Some(here) = self.here() else { return };
        let mut found = book().sinks(here.language, &called.name).collect::<Vec<_>>();
        // By the name that it has in the text too: `cursor.execute`, whatever made the cursor.
        let shown = format!("{}.{}", called.base, called.method());
        if shown != called.name && !called.base.is_empty() {
            for (rule, sink) in book().sinks(here.language, &shown) {
                if !found.iter().any(|it| std::ptr::eq(it.1, sink)) {
                    found.push((rule, sink));
                }
            }
        }
        for (rule, sink) in found {
            self.sink(rule, sink, called);
        }
    }

    fn sink(&mut self, rule: &'static Rule, sink: &'static Sink, called: &Called<'s>) {
        if !sink.with.iter().all(|it| has_value(called, it)) {
            return;
        }
        if !sink.without.is_empty() {
            let text = self.source_of(called.id).to_owned();
            if sink.without.iter().any(|it| text.contains(it.as_str())) {
                return;
            }
        }
        // What is wrong whatever it is called with.
        if sink.args.is_empty() {
            self.hit(rule.id, called, &[]);
            return;
        }
        match sink.form {
            Form::Plain => {
                for value in places(sink, called) {
                    if sink.database && !self.is_query(called, &value) {
                        continue;
                    }
                    if sink.built && !matches!(value.kind, Kind::Built(_)) {
                        continue;
                    }
                    self.check(rule, rule.class, &value, called, sink.direct);
                }
            }
            Form::Argv => {
                let value = places(sink, called).into_iter().next().unwrap_or_default();
                self.argv(&value, called);
            }
            Form::Program => {
                let skip = sink.args.first().map_or(0, |it| match it {
                    Place::Number(it) => *it,
                    Place::Name(_) => 0,
                });
                let mut items = Vec::new();
                let mut open = None;
                for it in called.args.iter().filter(|it| it.name.is_none()).skip(skip) {
                    match &it.value.kind {
                        Kind::List(inner, more) => {
                            items.extend(inner.iter().cloned());
                            if *more {
                                open = it.value.atom;
                            }
                        }
                        Kind::Map(_) | Kind::Func(..) => {}
                        _ => items.push(it.value.clone()),
                    }
                }
                let mut value = Value::of(Kind::List(Rc::new(items), open.is_some()));
                value.atom = open;
                self.argv(&value, called);
            }
            Form::More => {}
        }
    }

    /// Whether a call is one to a database.
    fn is_query(&self, called: &Called<'s>, value: &Value) -> bool {
        // What a prepared statement is given are values.
        if called.name.contains("repare().") || matches!(called.base.as_str(), "stmt" | "statement")
        {
            return false;
        }
        match &value.kind {
            Kind::Built(it) | Kind::Str(it) => is_sql(it),
            _ => {
                let clear = [
                    "execute",
                    "executescript",
                    "executemany",
                    "Exec",
                    "ExecContext",
                    "QueryRow",
                    "QueryContext",
                    "queryRawUnsafe",
                ];
                if clear.contains(&called.method()) {
                    return true;
                }
                let base = called.name.rsplit_once('.').map_or("", |it| it.0);
                let last = called.base.rsplit('.').next().unwrap_or("");
                let from = value.atom.and_then(|it| self.at(it)).map_or("", |it| &it.what);
                let named = ["sql", "query", "statement", "stmt"]
                    .iter()
                    .any(|it| from.to_ascii_lowercase().contains(it));
                // `sessions.get(request.query.id)`, where `sessions` is a `Map`.
                let other = ["Map()", "WeakMap()", "URLSearchParams()", "Headers()", "FormData()"];
                !other.contains(&base) && (is_database(base) || is_database(last) || named)
            }
        }
    }

    pub(crate) fn source_of(&self, id: Id) -> &'p str {
        let Some(here) = self.here() else { return "" };
        let (from, to) = here.at(id);
        let mut lines = here.text.split_inclusive('\n').skip(from.saturating_sub(1) as usize);
        let Some(first) = lines.next() else { return "" };
        let start = first.as_ptr() as usize - here.text.as_ptr() as usize;
        let more: usize = lines.take(to.saturating_sub(from) as usize).map(str::len).sum();
        here.text.get(start..start + first.len() + more).unwrap_or("")
    }

    fn check(
        &mut self,
        rule: &'static Rule,
        class: Set,
        value: &Value,
        called: &Called<'s>,
        direct: bool,
    ) {
        // A text in a filter of ours stays a text.
        if class == Set::QUERY && matches!(value.kind, Kind::Map(_)) {
            return;
        }
        let Some(atom) = self.whole(value) else { return };
        if matches!(value.kind, Kind::Num) && class != Set::SIZE {
            return;
        }
        let Some(way) = self.flows(atom, class, OUTSIDE, direct) else {
            if class == Set::PATH {
                self.checked_path(atom, called);
            }
            return;
        };
        let mut id = rule.id;
        if class == Set::PATH {
            let prefix = way.iter().any(|it| {
                let known = self.state.facts.get(it).copied().unwrap_or_default();
                let safe = self.at(*it).map_or(Set::default(), |it| it.safe);
                known.or(safe).has(Set::PREFIX)
            });
            if prefix {
                id = "path_prefix";
            }
            let archive = way
                .first()
                .and_then(|it| self.at(*it))
                .is_some_and(|it| it.op == Op::Source(Source::Archive));
            if archive {
                id = "archive_escape";
            }
        }
        if class == Set::URL && !direct && self.flows(atom, class, OUTSIDE, true).is_none() {
            id = "ssrf_redirect";
        }
        self.hit(id, called, &way);
    }

    /// A path that was checked, and what a check of a path cannot know. These are notes: they need
    /// somebody else who can write into the root.
    fn checked_path(&mut self, atom: AtomId, called: &Called<'s>) {
        let way = self.way_up(atom);
        let is = |wanted: Op| way.iter().any(|it| self.at(*it).is_some_and(|it| it.op == wanted));
        let under = |it: &AtomId| {
            let known = self.state.facts.get(it).copied().unwrap_or_default();
            known.has(Set::UNDER) || known.has(Set::PATH)
        };
        let (resolved, normal, under) = (is(Op::Resolve), is(Op::Normal), way.iter().any(under));
        let Some(here) = self.here() else { return };
        let beneath = ["O_NOFOLLOW", "openat2", "RESOLVE_BENEATH", "OpenRoot", "cap_std", "dir_fd"];
        let by_handle = beneath.iter().any(|it| here.text.contains(it));
        if !under || by_handle {
            return;
        }
        if resolved {
            self.hit("check_then_open", called, &way);
        } else if normal {
            self.hit("symlink_in_root", called, &way);
        }
        let counted = here.text.contains("nlink") || here.text.contains("Nlink");
        if (resolved || normal) && !counted && self.writes(called) {
            self.hit("hard_link", called, &way);
        }
    }

    /// From where a caller's value comes in to here, whatever it is safe for.
    fn way_up(&self, atom: AtomId) -> Vec<AtomId> {
        let mut way = vec![atom];
        let caller = Source::Caller.bit();
        while let Some(it) = way.last().and_then(|it| self.at(*it)) {
            let from = |it: &&AtomId| self.at(**it).is_some_and(|it| it.from & caller != 0);
            let Some(next) = it.parents.iter().find(from) else { break };
            if way.len() > 64 {
                break;
            }
            way.push(*next);
        }
        way.reverse();
        way
    }

    /// Whether a call changes the file that it is given.
    fn writes(&self, called: &Called<'s>) -> bool {
        let modes = ["\"w", "'w", "\"a", "'a", "\"r+", "'r+", "O_WRONLY", "O_RDWR", "O_APPEND"];
        let text = self.source_of(called.id);
        // What makes a directory or puts another file in the place of one changes none.
        let other = ["mkdir", "Mkdir", "makedirs", "create_dir", "rename", "extractall"];
        inventory::of_call(&called.name) == Some(inventory::Capability::WriteFiles)
            && !other.iter().any(|it| called.name.contains(it))
            || called.name.contains("open") && modes.iter().any(|it| text.contains(it))
    }

    pub(crate) fn hit(&mut self, rule: &'static str, called: &Called<'s>, way: &[u32]) {
        let unchecked = way.iter().all(|it| !self.checked.contains(it));
        let way = way
            .iter()
            .filter_map(|it| self.at(*it))
            .map(|it| (it.file, it.line, Rc::clone(&it.what)));
        let way = way.collect::<Vec<_>>();
        let end = self.here().map_or(called.line, |it| it.at(called.id).1);
        let call = called.name.clone();
        let (file, line) = (self.file, called.line);
        if self.hits.iter().any(|it| it.rule == rule && it.file == file && it.line == line) {
            return;
        }
        self.hits.push(Hit { rule, file, line, end, way, call, unchecked });
    }

    /// A program and its arguments.
    fn argv(&mut self, value: &Value, called: &Called<'s>) {
        let rules = book();
        let (Some(command), Some(option)) =
            (rules.rule("command_from_caller"), rules.rule("option_injection"))
        else {
            return;
        };
        let Kind::List(items, _) = &value.kind else {
            // A text or words that the caller chose.
            let Some(atom) = value.atom else { return };
            let before = self.hits.len();
            self.check(command, Set::PROGRAM, value, called, false);
            if self.hits.len() == before
                && self.above(atom, |op| {
                    matches!(op, Op::Words | Op::Parts | Op::Flow | Op::Either | Op::Piece)
                })
            {
                self.check(option, Set::ARG, value, called, false);
            }
            return;
        };
        let Some((first, rest)) = items.split_first() else { return };
        let before = self.hits.len();
        self.check(command, Set::PROGRAM, first, called, false);
        if self.hits.len() > before {
            return;
        }
        let name = first.text().map(|it| program(it).to_owned());
        let shell = name.as_deref().is_some_and(|it| SHELLS.contains(&it));
        let runs = name.as_deref().is_some_and(|it| {
            [
                "python",
                "python3",
                "node",
                "perl",
                "ruby",
                "php",
                "deno",
                "osascript",
                "powershell",
                "pwsh",
            ]
            .contains(&it)
        });
        let reads = name.as_deref().is_some_and(|it| {
            [
                "awk", "gawk", "ssh", "xargs", "eval", "su", "sudo", "env", "watch", "timeout",
                "nohup", "sed",
            ]
            .contains(&it)
        });
        let dangerous =
            name.as_deref().is_none_or(|it| DANGEROUS.contains(&it)) || first.text().is_none();
        let mut command_next = false;
        let mut named_next = false;
        let mut ended = false;
        for it in rest {
            let word = it.text().map(|it| it.to_string());
            if let Some(word) = word {
                if word == "--" {
                    ended = true;
                }
                command_next = (shell || runs) && COMMANDS.contains(&word.as_str());
                // `-n VALUE` takes what is after it, whatever it looks like.
                named_next = !ended && word.starts_with('-') && word.len() == 2
                    || word.starts_with("--") && word.len() > 2 && !word.contains('=');
                continue;
            }
            if command_next {
                self.check(command, Set::SHELL, it, called, false);
                continue;
            }
            if shell && matches!(it.kind, Kind::Built(_)) {
                self.check(command, Set::SHELL, it, called, false);
            }
            if reads && !ended {
                let before = self.hits.len();
                self.check(option, Set::ARG, it, called, false);
                if self.hits.len() > before {
                    return;
                }
            }
            let taken = std::mem::take(&mut named_next) && !shell;
            if !ended && dangerous && !taken {
                self.check(option, Set::ARG, it, called, false);
            }
        }
        if let Some(atom) = value.atom
            && dangerous
            && !ended
        {
            self.check(option, Set::ARG, &Value::atom(atom), called, false);
        }
    }

    /// A command that is put together by methods.
    pub(crate) fn command(&mut self, called: &Called<'s>) -> Option<Value> {
        if self.language() != "rust" {
            return None;
        }
        let pack = |items: Vec<Value>| {
            let list = Value::of(Kind::List(Rc::new(items), false));
            Value::of(Kind::Map(Rc::new(vec![("(command)".into(), list)])))
        };
        if crate::rules::fits("Command.new", &called.name) && !called.name.starts_with("clap") {
            self.capabilities.insert(inventory::Capability::Execute);
            let items = vec![called.arg(0)];
            let list = Value::of(Kind::List(Rc::new(items.clone()), false));
            self.argv(&list, called);
            return Some(pack(items));
        }
        let list = called.receiver.as_ref()?.field("(command)")?;
        let Kind::List(items, _) = &list.kind else { return None };
        let mut items = (**items).clone();
        match called.method() {
            "arg" | "raw_arg" => items.push(called.arg(0)),
            "args" => match &called.arg(0).kind {
                Kind::List(more, _) if called.arg(0).atom.is_none() => {
                    items.extend(more.iter().cloned())
                }
                _ => items.push(called.arg(0)),
            },
            "output" | "status" | "spawn" | "exec" => return Some(Value::default()),
            _ => return called.receiver.clone(),
        }
        let list = Value::of(Kind::List(Rc::new(items.clone()), false));
        self.argv(&list, called);
        let made = pack(items);
        self.rebind(called.receiver_id, made.clone());
        Some(made)
    }

    pub(crate) fn shell_tag(&mut self, _parts: &[Value], _line: u32, _id: Id) {
        self.capabilities.insert(inventory::Capability::Execute);
    }

    fn simple(&self, id: Id, name: &str) -> Called<'s> {
        Called {
            id,
            line: self.here().map_or(0, |it| it.at(id).0),
            name: name.to_owned(),
            base: String::new(),
            receiver: None,
            receiver_id: None,
            args: Vec::new(),
        }
    }

    fn check_named(&mut self, rule: &str, value: &Value, id: Id, name: &str) {
        let Some(rule) = book().rule(rule) else { return };
        let called = self.simple(id, name);
        self.check(rule, rule.class, value, &called, false);
    }

    /// Something of a container of the runtime, chosen by the caller.
    pub(crate) fn chosen(&mut self, of: &str, key: &Value, id: Id) {
        let open = [
            "environ",
            "process.env",
            "globals()",
            "locals()",
            "sys.modules",
            "__dict__",
            "vars()",
            "globalThis",
            "global",
        ];
        if open.iter().any(|it| of.ends_with(it)) {
            self.check_named("name_from_caller", key, id, of);
        }
    }

    /// A method that is called by a name that the caller chose.
    pub(crate) fn called_by_name(&mut self, of: Id, key: Id, id: Id) {
        if self.is_literal(key) || self.language() != "js" {
            return;
        }
        let base = self.eval(of);
        let key = self.eval(key);
        // A table of ours has a prototype with functions too, but none that does anything.
        if !matches!(base.kind, Kind::Map(_) | Kind::List(..)) {
            self.check_named("name_from_caller", &key, id, "[…]()");
        }
    }

    /// `object[key] = value`, deep inside of an object: `__proto__` is a key too.
    pub(crate) fn written(&mut self, id: Id, base: Id, key: &Value, value: &Value) {
        if self.language() != "js" || key.atom.is_none() {
            return;
        }
        let recursive = self.calls.iter().filter(|it| Some(*it) == self.calls.last()).count() > 1;
        let deep = match self.node(base) {
            Expr::Index(_, inner) => self.eval(*inner).atom.is_some(),
            _ => false,
        };
        let merging =
            self.project.func(self.calls.last().copied().unwrap_or_default()).is_some_and(|it| {
                let name = it.name.to_ascii_lowercase();
                ["merge", "assign", "extend", "deep", "set"].iter().any(|word| name.contains(word))
            });
        if (recursive || deep || merging) && (value.atom.is_some() || deep) {
            self.check_named("name_from_caller", key, id, "[…] =");
        }
    }

    /// `text * n`.
    pub(crate) fn repeated(&mut self, id: Id, left: &Value, right: &Value) {
        if self.language() != "python" {
            return;
        }
        let text = |it: &Value| {
            matches!(it.kind, Kind::Str(_) | Kind::List(..))
                || it.atom.is_some() && !matches!(it.kind, Kind::Num)
        };
        let count = match (text(left), text(right)) {
            (true, false) => right,
            (false, true) => left,
            _ => return,
        };
        if count.atom.is_some() {
            self.check_named("unbounded_size", &count.clone(), id, "*");
        }
    }

    /// What the client is told.
    pub(crate) fn told(&mut self, value: &Value, line: u32) {
        let atoms = self.atoms_of(std::iter::once(value));
        for atom in atoms {
            self.leak(atom, Source::Secret, "secret_in_error", line);
            self.leak(atom, Source::Error, "error_passed_on", line);
        }
    }

    /// What an error says, which the client is told too.
    pub(crate) fn raised(&mut self, value: &Value, line: u32) {
        let atoms = self.atoms_of(std::iter::once(value));
        for atom in atoms {
            self.leak(atom, Source::Secret, "secret_in_error", line);
        }
    }

    fn leak(&mut self, atom: u32, source: Source, rule: &'static str, line: u32) {
        let Some(way) = self.flows(atom, Set(1 << 30), source.bit(), false) else { return };
        let name = "return".to_owned();
        let called = Called { line, name, ..self.simple(0, "return") };
        let (file, end) = (self.file, line);
        let way = way
            .iter()
            .filter_map(|it| self.at(*it))
            .map(|it| (it.file, it.line, Rc::clone(&it.what)));
        let hit =
            Hit { rule, file, line, end, way: way.collect(), call: called.name, unchecked: false };
        if !self.hits.iter().any(|it| it.rule == rule && it.file == file && it.line == line) {
            self.hits.push(hit);
        }
    }

    /// The error that a handler has. One that the server raised itself says what it was meant to.
    pub(crate) fn caught(&mut self, catch: &Catch<'s>) -> Value {
        let types = catch.types;
        let broad = types.is_empty()
            || [
                "Exception",
                "BaseException",
                "OSError",
                "IOError",
                "sqlite3.",
                "psycopg",
                "SQLAlchemyError",
                "CalledProcessError",
                "mysql",
                "requests.",
                "httpx.",
                "SubprocessError",
                "DatabaseError",
                "OperationalError",
            ]
            .iter()
            .any(|it| types.contains(it));
        if !broad {
            return Value::default();
        }
        let name = catch.bind.unwrap_or("error");
        Value::atom(self.source(Source::Error, Set::default(), catch.line, name))
    }
}

fn places(sink: &Sink, called: &Called<'_>) -> Vec<Value> {
    let mut out = Vec::new();
    for it in &sink.args {
        match it {
            Place::Number(at) => out.extend(called.positional(*at).cloned()),
            Place::Name(name) if name == "self" => out.extend(called.receiver.clone()),
            Place::Name(name) if name == "*" => out.extend(called.values()),
            Place::Name(name) => {
                out.extend(called.named(name).cloned());
                let inside = called.args.iter().filter_map(|it| it.value.field(name));
                out.extend(inside.cloned());
            }
        }
    }
    out
}

/// Whether an argument, or a field of one, has such a value. `name` alone asks whether it is there.
fn has_value(called: &Called<'_>, wanted: &str) -> bool {
    let (name, value) = wanted.split_once('=').unwrap_or((wanted, "*"));
    let fits = |it: &Value| match (&it.kind, value) {
        (_, "*") => true,
        (Kind::Bool(it), "true") => *it,
        (Kind::Bool(it), "false") => !*it,
        // `shell: "/bin/bash"` is one too.
        (Kind::Str(_), "true") => true,
        (Kind::Str(it), value) => &**it == value,
        (Kind::Path(it), value) => it.ends_with(value),
        _ => false,
    };
    called.named(name).is_some_and(fits)
        || called.args.iter().any(|it| it.value.field(name).is_some_and(fits))
}
