//! What known functions make of what they are given, and questions that they answer.

use std::rc::Rc;

use super::Flow;
use super::call::Called;
use super::known::Turn;
use super::value::{Facts, Kind, Op, Set, Source, Value};
use crate::ir::{Expr, Id};

impl<'p, 's> Flow<'p, 's> {
    pub(crate) fn turned(&mut self, turn: Turn, called: &Called<'s>, new: bool) -> Value {
        let line = called.line;
        let method = called.method().to_owned();
        // Of a method, what it is called on; of a function, the first argument.
        let by_method = called.receiver.as_ref().is_some_and(|it| it.atom.is_some());
        let of = match (&called.receiver, called.positional(0)) {
            (Some(it), _) if by_method => it.clone(),
            (Some(it), None) => it.clone(),
            (_, Some(first)) => {
                let mut given = called.args.iter().map(|it| &it.value);
                given.find(|it| it.atom.is_some()).unwrap_or(first).clone()
            }
            (None, None) => Value::default(),
        };
        let Some(atom) = self.whole(&of) else {
            return self.turned_plain(turn, called, &of);
        };
        let derive = |flow: &mut Self, op: Op, safe: Set| {
            Value::maybe(flow.derive_safe(op, &[atom], safe, line, &method))
        };
        match turn {
            Turn::Copy => {
                let mut value = derive(self, Op::Copy, Set::default());
                if matches!(method.as_str(), "unwrap" | "expect") {
                    self.state.learned(of.yes.as_ref());
                } else {
                    (value.yes, value.no) = (of.yes.clone(), of.no.clone());
                }
                // `lstrip("/")`, and the like, keep nothing else.
                value.kind = match (&of.kind, called.method()) {
                    (
                        Kind::Map(_) | Kind::List(..) | Kind::Path(_) | Kind::Built(_) | Kind::Num,
                        _,
                    ) => of.kind.clone(),
                    _ => match self.language() {
                        "python" if called.name.ends_with("Path") => {
                            Kind::Path("pathlib.Path()".into())
                        }
                        _ => Kind::Unknown,
                    },
                };
                if matches!(of.kind, Kind::Num) {
                    return Value { kind: Kind::Num, ..of };
                }
                if called.name.ends_with("Path") && called.args.len() > 1 {
                    let joined = called.values();
                    let value = self.joined(Op::Join, &joined, line);
                    return Value { kind: Kind::Path("pathlib.Path()".into()), ..value };
                }
                value
            }
            Turn::Edit => self.edited(called, atom),
            Turn::Resolve => {
                // `path.resolve` of a promise is no path.
                if method == "resolve" && self.language() != "python" {
                    return derive(self, Op::Copy, Set::default());
                }
                let value = derive(self, Op::Resolve, Set::default());
                self.keep_path(value, &of)
            }
            Turn::Normal => {
                // `/` and `..` cancel out.
                let rooted = self.at(atom).is_some_and(|it| it.op == Op::Rooted);
                let safe = if rooted { Set::DOTS } else { Set::default() };
                let value = derive(self, Op::Normal, safe);
                self.keep_path(value, &of)
            }
            Turn::Join | Turn::Under => {
                let mut parts = called.values();
                // A list is joined with a separator.
                if self.language() == "python" && method == "join" && !called.name.contains("path.")
                {
                    return derive(self, Op::Flow, Set::default());
                }
                let function = called.name.contains("path.join")
                    || called.name.contains("filepath.Join")
                    || called.name.contains("path.Join")
                    || called.name.contains("path.posix.join");
                if let Some(it) = called.receiver.as_ref().filter(|_| !function) {
                    if matches!(it.kind, Kind::List(..))
                        || it.path().is_some_and(|it| it.ends_with("collect()"))
                    {
                        return derive(self, Op::Flow, Set::default());
                    }
                    parts.insert(0, it.clone());
                }
                let op = if turn == Turn::Under { Op::Under } else { Op::Join };
                let mut value = self.joined(op, &parts, line);
                if let (Op::Under, Some(it)) = (op, value.atom) {
                    value.atom = self.derive(Op::Normal, &[it], line, &method);
                }
                self.keep_path(value, &called.receiver.clone().unwrap_or_default())
            }
            Turn::Resolved => {
                let parts = called.values();
                if parts.len() == 1 {
                    return derive(self, Op::Normal, Set::default());
                }
                let joined = self.joined(Op::Join, &parts, line);
                let atoms = joined.atom.into_iter().collect::<Vec<_>>();
                Value::maybe(self.derive(Op::Normal, &atoms, line, &method))
            }
            Turn::Base => {
                let of = self.whole_of(called);
                Value::maybe(self.derive_safe(Op::Piece, &of, Set::PATH, line, &method))
            }
            Turn::Number | Turn::Fixed => self.converted(turn, called, atom, new),
            Turn::Decode => derive(self, Op::Decode, Set::default()),
            Turn::ParseUrl => {
                let value = derive(self, Op::ParsedUrl, Set::default());
                // With a base of ours only the path is the caller's; unless it is a whole URL.
                value
            }
            Turn::Host if self.is_url(atom) => derive(self, Op::Host, Set::default()),
            Turn::Scheme if self.is_url(atom) => derive(self, Op::Scheme, Set::default()),
            Turn::Host | Turn::Scheme => derive(self, Op::Flow, Set::default()),
            Turn::Address => {
                let of = self.whole_of(called);
                Value::maybe(self.derive(Op::Address, &of, line, &method))
            }
            Turn::ParseAddress => {
                let known = Set::TEXT.without(Set::URL);
                let facts = self.learn(atom, known);
                let value = derive(self, Op::Address, known);
                if matches!(self.language(), "python") {
                    self.state.learn(&facts);
                    return value;
                }
                Value { yes: Some(Rc::new(facts)), ..value }
            }
            Turn::Words => derive(self, Op::Words, Set::default()),
            Turn::Parts => derive(self, Op::Parts, Set::default()),
            Turn::Piece => derive(self, Op::Piece, Set::default()),
            Turn::Above => derive(self, Op::Above, Set::default()),
            Turn::Relative => self.relative(called),
            Turn::Common => {
                let of = self.atoms_of(called.values().iter());
                Value::maybe(self.derive(Op::Common, &of, line, &method))
            }
            Turn::Text => derive(self, Op::Text, Set::default()),
            Turn::QuoteShell => derive(self, Op::Flow, Set::SHELL),
            Turn::QuoteSql => derive(self, Op::Flow, Set::SQL),
            Turn::QuoteUrl => {
                // A slash is left as it is by some.
                let strict =
                    called.name.contains("Component") || called.name.ends_with("PathEscape");
                let safe = Set::URL.or(Set::LINE).or(Set::SHELL).or(Set::SQL);
                derive(self, Op::Flow, if strict { safe.or(Set::DOTS) } else { safe })
            }
            Turn::QuoteRegex => derive(self, Op::Flow, Set::REGEX),
            Turn::QuoteLine => derive(self, Op::Flow, Set::LINE),
            Turn::Inside => derive(self, Op::Flow, Set::PATH),
            Turn::Bound => {
                let all = called.values();
                let ours = all.iter().any(|it| it.atom.is_none());
                let safe = if ours { Set::SIZE } else { Set::default() };
                let atoms = self.atoms_of(all.iter().chain(&called.receiver));
                let atom = self.derive_safe(Op::Flow, &atoms, safe, line, &method);
                Value { atom, kind: of.kind, ..Value::default() }
            }
            Turn::Harmless | Turn::Exit | Turn::Secret => Value::default(),
            Turn::Later => derive(self, Op::Flow, Set::default()),
        }
    }

    /// Something was taken out of a text, or put into its place.
    fn edited(&mut self, called: &Called<'s>, atom: u32) -> Value {
        let method = called.method().to_owned();
        let args = called.values();
        let patterns = args.iter().filter_map(|it| match &it.kind {
            Kind::Regex(it) => Some((Rc::clone(it), true)),
            Kind::Str(it) => Some((Rc::clone(it), matches!(called.name.as_str(), "re.sub"))),
            _ => None,
        });
        // `[^a-z0-9]` taken out, each time it is found, leaves the rest.
        let whole = called.name == "re.sub"
            || self.source_of(called.id).contains("/g")
            || method.ends_with("ll")
            || matches!(self.language(), "rust" | "go");
        let safe = patterns
            .filter(|it| it.1 && whole)
            .fold(Set::default(), |set, it| set.or(super::guard::refused(&it.0)));
        let slash = args
            .first()
            .and_then(|it| it.text())
            .is_some_and(|it| it.contains('/') && it.len() <= 2);
        let safe = match method.as_str() {
            // No longer absolute.
            "lstrip" | "trim_start_matches" | "TrimLeft" | "removeprefix" | "TrimPrefix"
                if slash =>
            {
                safe.or(Set::RELATIVE)
            }
            // Line breaks taken out.
            "replace" | "replaceAll" | "ReplaceAll"
                if args.first().and_then(|it| it.text()).is_some_and(|it| &**it == "\n") =>
            {
                safe.or(Set::LINE)
            }
            _ => safe,
        };
        let inherits = self.at(atom).map_or(Set::default(), |it| it.safe).and(Set::DOTS);
        let mut of = vec![atom];
        of.extend(self.atoms_of(args.iter()));
        Value::maybe(self.derive_safe(Op::Edit, &of, safe.or(inherits), called.line, &method))
    }

    fn keep_path(&self, value: Value, of: &Value) -> Value {
        match of.path() {
            Some(it) if it.contains("Path()") => {
                Value { kind: Kind::Path("pathlib.Path()".into()), ..value }
            }
            _ => value,
        }
    }

    fn whole_of(&mut self, called: &Called<'s>) -> Vec<u32> {
        let all = called.values();
        let atoms = self.atoms_of(all.iter());
        if !atoms.is_empty() {
            return atoms;
        }
        self.atoms_of(called.receiver.iter())
    }

    /// Of what is ours only the form matters.
    fn turned_plain(&mut self, turn: Turn, called: &Called<'s>, of: &Value) -> Value {
        match turn {
            Turn::Copy => of.clone(),
            Turn::Join | Turn::Under | Turn::Resolved => {
                // `join(root, "")` ends in a separator.
                let ended = called.args.len() > 1
                    && called.args.last().is_some_and(|it| {
                        it.value.text().is_some_and(|it| it.is_empty() || it.ends_with('/'))
                    });
                let atoms = self.atoms_of(called.values().iter());
                if !atoms.is_empty() {
                    let mut parts = called.values();
                    parts.splice(0..0, called.receiver.clone());
                    let op = if turn == Turn::Under { Op::Under } else { Op::Join };
                    return self.joined(op, &parts, called.line);
                }
                if ended && turn != Turn::Resolved {
                    return Value::of(Kind::Built("\u{1}\u{2}".into()));
                }
                Value::default()
            }
            Turn::Secret => {
                let name = called.arg(0);
                let name = name.text().cloned().unwrap_or_default();
                if name.is_empty() || !super::expr::is_secret(&name) {
                    return Value::default();
                }
                Value::atom(self.source(Source::Secret, Set::default(), called.line, &name))
            }
            // `root.replace(/\/?$/, "/")`.
            Turn::Edit => {
                let at_end = match &called.arg(0).kind {
                    Kind::Regex(it) | Kind::Str(it) => it.ends_with('$'),
                    _ => false,
                };
                match at_end && super::guard::ends_in_separator(&called.arg(1)) {
                    true => Value::of(Kind::Built("\u{1}\u{2}".into())),
                    false => Value::default(),
                }
            }
            Turn::Number => Value::of(Kind::Num),
            _ => Value::default(),
        }
    }

    pub(crate) fn joined(&mut self, op: Op, parts: &[Value], line: u32) -> Value {
        let (first, rest) = match parts.split_first() {
            Some((first, rest)) => (self.whole(first), rest),
            None => return Value::default(),
        };
        let rest_atoms = self.atoms_of(rest.iter());
        let what = if op == Op::Under { "joined below" } else { "joined" };
        let made = match (first, rest_atoms.as_slice()) {
            (None, []) => None,
            // A list of parts as the only argument.
            (Some(it), []) => self.derive(Op::Flow, &[it], line, what),
            (None, rest) => self.derive(op, rest, line, what),
            (Some(it), rest) => {
                let below = self.derive(op, rest, line, what);
                let both = below.into_iter().chain([it]).collect::<Vec<_>>();
                self.derive(Op::Flow, &both, line, what)
            }
        };
        Value::maybe(made)
    }

    /// A conversion: what it makes is no text of the caller's, and if it did not fail, neither was
    /// what it was made of.
    fn converted(&mut self, turn: Turn, called: &Called<'s>, atom: u32, new: bool) -> Value {
        let question = matches!(
            called.method(),
            "isinstance"
                | "isNaN"
                | "isInteger"
                | "isFinite"
                | "isSafeInteger"
                | "type"
                | "id"
                | "callable"
        );
        if question {
            self.note(&Value::atom(atom));
            return self.type_asked(called, atom);
        }
        let asserts = matches!(
            called.name.as_str(),
            "int"
                | "float"
                | "uuid.UUID"
                | "UUID"
                | "ast.literal_eval"
                | "Decimal"
                | "decimal.Decimal"
        ) || called.name.contains("fromisoformat")
            || called.name.contains("strptime");
        if asserts {
            let facts = self.learn(atom, Set::TEXT);
            self.state.learn(&facts);
        }
        // `new Date(x)`, `int(x)`: as large as the caller likes.
        let number = turn == Turn::Number
            && !matches!(called.method(), "len" | "length" | "bool" | "Boolean" | "as_bool");
        let made = match number && !new {
            true => self.derive_safe(Op::Flow, &[atom], Set::TEXT, called.line, called.method()),
            false => None,
        };
        let yes = if matches!(self.language(), "go" | "rust") {
            Some(Rc::new(self.learn(atom, Set::TEXT)))
        } else {
            None
        };
        // In Go what is known goes with the error, which is nil.
        let (yes, no) = if self.language() == "go" { (None, yes) } else { (yes, None) };
        Value { atom: made, kind: Kind::Num, yes, no }
    }

    fn type_asked(&mut self, called: &Called<'s>, atom: u32) -> Value {
        let number = match called.method() {
            "isInteger" | "isFinite" | "isSafeInteger" => true,
            "isinstance" => {
                let of = called.arg(1);
                let one = |it: &Value| {
                    it.path().is_some_and(|it| matches!(&**it, "int" | "float" | "bool"))
                };
                match &of.kind {
                    Kind::List(it, _) => !it.is_empty() && it.iter().all(one),
                    _ => one(&of),
                }
            }
            "isNaN" => {
                return Value::cond(Vec::new(), self.learn(atom, Set::TEXT));
            }
            _ => false,
        };
        let known = if number { Set::TEXT } else { Set::default() };
        Value::cond(self.learn(atom, known), Vec::new())
    }

    fn relative(&mut self, called: &Called<'s>) -> Value {
        let line = called.line;
        // A method says no by itself if it is not inside.
        if matches!(called.method(), "relative_to" | "strip_prefix") {
            let Some(atom) = called.receiver.as_ref().and_then(|it| it.atom) else {
                return Value::default();
            };
            let compared_as_text = self.language() == "rust" && self.at_text(atom);
            let good = self.is_resolved(atom) && !compared_as_text;
            let facts = if good { self.learn(atom, Set::PATH) } else { Vec::new() };
            if self.language() == "python" {
                self.state.learn(&facts);
            }
            let made = self.derive(Op::Relative, &[atom], line, called.method());
            return Value { atom: made, yes: Some(Rc::new(facts)), ..Value::default() };
        }
        // `relpath(path, root)` in one, `relative(root, path)` in others.
        let of = if self.language() == "python" { called.arg(0) } else { called.arg(1) };
        let Some(atom) = self.whole(&of) else { return Value::default() };
        Value::maybe(self.derive(Op::Relative, &[atom], line, called.method()))
    }

    pub(crate) fn at_text(&self, atom: u32) -> bool {
        let mut at = Some(atom);
        while let Some(it) = at.and_then(|it| self.at(it)) {
            match it.op {
                Op::Text => return true,
                Op::Copy | Op::Return => at = it.parents.first().copied(),
                _ => return false,
            }
        }
        false
    }

    /// A question about a value, the answer to which teaches something.
    pub(crate) fn asked(&mut self, called: &Called<'s>) -> Option<Value> {
        let method = called.method().to_owned();
        let receiver = called.receiver.clone().unwrap_or_default();
        let first = called.arg(0);
        let python = self.language() == "python";
        if !matches!(method.as_str(), "append" | "push" | "write") {
            self.note_question(called, &method);
        }
        Some(match method.as_str() {
            "startswith" | "startsWith" | "starts_with" => {
                let path = self.language() == "rust"
                    && receiver.atom.is_some_and(|it| !self.at_text(it) && self.is_path(it));
                self.starts(&receiver, &first, path)
            }
            "HasPrefix" => {
                let second = called.arg(1);
                self.starts(&first, &second, false)
            }
            "endswith" | "endsWith" | "ends_with" => self.ends(&receiver, &first),
            "HasSuffix" => {
                let second = called.arg(1);
                self.ends(&first, &second)
            }
            "is_relative_to" | "isRelativeTo" => {
                let Some(atom) = receiver.atom else { return Some(Value::default()) };
                let yes =
                    if self.is_resolved(atom) { self.learn(atom, Set::PATH) } else { Vec::new() };
                Value::cond(yes, Vec::new())
            }
            "IsLocal" => {
                let atom = self.whole(&first)?;
                Value::cond(self.learn(atom, Set::PATH), Vec::new())
            }
            "isAbsolute" | "IsAbs" | "isabs" | "is_absolute" | "has_root" => {
                let of = if first.atom.is_some() { first } else { receiver };
                let atom = self.whole(&of)?;
                Value::cond(Vec::new(), self.learn(atom, Set::RELATIVE))
            }
            "includes" | "has" | "contains" | "contains_key" | "__contains__" | "Has"
            | "hasOwnProperty" | "hasOwn" | "get" | "count" | "containsKey" | "indexOf"
            | "find" | "Contains" | "Index" | "get_key_value" | "index" | "binary_search" => {
                return self.contained(called, &method, receiver);
            }
            "any" | "all" if python && called.receiver.is_none() => {
                let (yes, no) = (first.yes.clone(), first.no.clone());
                Value { yes, no: no.filter(|_| method == "any"), ..Value::default() }
            }
            "bool" | "Boolean" => Value { yes: first.yes, no: first.no, ..Value::default() },
            "is_err" | "is_none" => {
                Value { yes: receiver.no, no: receiver.yes, ..Value::default() }
            }
            "is_ok" | "is_some" => Value { yes: receiver.yes, no: receiver.no, ..Value::default() },
            "then_some" | "then" if receiver.yes.is_some() => {
                let value = self.flow(&called.values(), "then");
                Value { yes: receiver.yes, no: receiver.no, ..value }
            }
            "test" | "exec" | "match" | "fullmatch" | "is_match" | "MatchString" | "search"
            | "matches" | "Match" | "matchAll" => {
                return self.matching(called, &method, receiver);
            }
            "isalnum"
            | "isidentifier"
            | "is_alphanumeric"
            | "is_ascii_alphanumeric"
            | "isalpha"
            | "is_alphabetic"
            | "is_ascii_alphabetic"
            | "isdigit"
            | "isdecimal"
            | "isnumeric"
            | "is_ascii_digit"
            | "is_numeric"
            | "IsLetter"
            | "IsDigit"
            | "isAlphanumeric" => {
                let of = if receiver.atom.is_some() { receiver } else { first };
                let atom = self.whole(&of)?;
                Value::cond(self.learn(atom, super::guard::of_chars("az09".chars())), Vec::new())
            }
            "isIP" | "isIPv4" | "isIPv6" | "isValid" => {
                let atom = self.whole(&first)?;
                if method == "isValid" && !called.name.contains("ip") {
                    return None;
                }
                Value::cond(self.learn(atom, Set::TEXT.without(Set::URL)), Vec::new())
            }
            "is_private" | "IsPrivate" | "is_loopback" | "IsLoopback" | "IsLinkLocalUnicast"
            | "is_global" => {
                return receiver.atom.and_then(|it| self.address_attr(it, &method));
            }
            "isPrivate" | "range" | "check" | "is_unicast_link_local" | "is_link_local" => {
                let of: Vec<_> = called.values().into_iter().chain([receiver]).collect();
                let atoms = self.atoms_of(of.iter());
                let resolved =
                    atoms.into_iter().find(|it| self.above(*it, |op| op == Op::Address))?;
                if method == "range" {
                    // `range() === "unicast"`.
                    let made = self.derive(Op::Copy, &[resolved], called.line, "range");
                    return Some(Value::maybe(made));
                }
                Value::cond(Vec::new(), self.learn(resolved, Set::PUBLIC))
            }
            "len" | "size" | "exists" | "is_file" | "is_dir" | "existsSync" | "isdir"
            | "isfile" => Value::of(Kind::Unknown),
            _ => {
                let of: Vec<_> =
                    called.values().into_iter().chain(called.receiver.clone()).collect();
                return self.by_name(&called.name, &of);
            }
        })
    }

    fn note_question(&mut self, called: &Called<'s>, method: &str) {
        const QUESTIONS: &[&str] = &[
            "startswith",
            "startsWith",
            "starts_with",
            "HasPrefix",
            "endswith",
            "endsWith",
            "includes",
            "has",
            "contains",
            "test",
            "match",
            "fullmatch",
            "is_match",
            "MatchString",
            "isinstance",
            "isArray",
            "isInteger",
            "isNaN",
            "isFinite",
            "validate",
            "parse",
            "safeParse",
            "check",
            "assert",
            "is_relative_to",
            "isdigit",
            "isalnum",
            "len",
        ];
        if QUESTIONS.contains(&method)
            || method.starts_with("valid")
            || method.starts_with("check")
            || method.starts_with("is_")
        {
            for it in called.values().iter().chain(&called.receiver) {
                self.note(it);
            }
        }
    }

    fn is_path(&self, atom: u32) -> bool {
        self.above(atom, |op| matches!(op, Op::Resolve | Op::Normal | Op::Join))
            || self
                .at(atom)
                .is_some_and(|it| matches!(&*it.what, "new" | "from" | "join" | "PathBuf"))
    }

    /// Is it in a set of ours, or is there something of ours in it.
    fn contained(&mut self, called: &Called<'s>, method: &str, receiver: Value) -> Option<Value> {
        // `slices.Contains(list, x)`, `strings.Contains(x, "..")`.
        let (whole, part) = match method {
            "Contains" | "Index" if called.args.len() > 1 => (called.arg(0), called.arg(1)),
            "hasOwn" if called.args.len() > 1 => (called.arg(0), called.arg(1)),
            // `Object.prototype.hasOwnProperty.call(set, x)` was turned around by `call`.
            _ => (receiver, called.arg(0)),
        };
        match (self.whole(&whole), self.whole(&part)) {
            (Some(_), None)
                if matches!(method, "get" | "find" | "count" | "index")
                    && self.language() != "rust" =>
            {
                if method == "find" || method == "count" || method == "index" {
                    let found = self.contains(&whole, &part);
                    return (found.no.is_some()).then_some(found);
                }
                // A field of what the caller gave.
                let name = part.text().cloned().unwrap_or_default();
                let mut value = self.attr(&whole, &name, called.id);
                if called.args.len() > 1 {
                    let other = called.arg(1);
                    value = self.meet(&value, &other);
                }
                Some(value)
            }
            (Some(_), None) if method == "get" => {
                let name = part.text().cloned().unwrap_or_default();
                Some(self.attr(&whole, &name, called.id))
            }
            (Some(_), None) => Some(self.contains(&whole, &part)),
            (None, Some(_)) if called.receiver.is_some() || method == "Contains" => {
                // A text of ours that has it somewhere is no choice.
                let known = self.kept(&whole, &part);
                let found = match &whole.kind {
                    Kind::Map(fields) => fields.iter().fold(None, |all: Option<Value>, it| {
                        Some(match all {
                            Some(all) => self.meet(&all, &it.1),
                            None => it.1.clone(),
                        })
                    }),
                    _ => None,
                };
                if method == "get" {
                    // What else it says it is if it is not there.
                    let other = called.arg(1);
                    let mut found = found.unwrap_or_default();
                    if other.atom.is_some() {
                        found = self.meet(&found, &other);
                        return Some(found);
                    }
                    if matches!(found.kind, Kind::Func(..))
                        && let Kind::Map(fields) = &whole.kind
                    {
                        let all = fields.iter().map(|it| it.1.clone()).collect();
                        found.kind = Kind::List(Rc::new(all), true);
                    }
                    let env = whole.path().is_some_and(|it| it.contains("environ"));
                    if env
                        || whole
                            .path()
                            .is_some_and(|it| it.contains("client") || it.contains("requests"))
                    {
                        return None;
                    }
                    return Some(Value { yes: known.yes, no: known.no, ..found });
                }
                Some(known)
            }
            _ => None,
        }
    }

    fn matching(&mut self, called: &Called<'s>, method: &str, receiver: Value) -> Option<Value> {
        let first = called.arg(0);
        let second = called.arg(1);
        let pattern = |it: &Value| match &it.kind {
            Kind::Regex(it) | Kind::Str(it) => Some(Rc::clone(it)),
            _ => None,
        };
        // The pattern is the receiver, the first argument, or the other way round.
        let (pattern, value) = if let Kind::Regex(it) = &receiver.kind {
            (Rc::clone(it), first)
        } else if called.name.starts_with("re.")
            || called.name.ends_with("regexp.MatchString")
            || called.name.starts_with("regex.")
        {
            (pattern(&first)?, second)
        } else if receiver.atom.is_some() {
            (pattern(&first)?, receiver)
        } else {
            return None;
        };
        let python = self.language() == "python";
        let (text, whole) = match method {
            "fullmatch" => (pattern.to_string(), true),
            // It begins at the beginning by itself.
            "match" if python => (format!("^{}", pattern.trim_start_matches('^')), false),
            _ => (pattern.to_string(), false),
        };
        let cond = self.fits_pattern(&value, &text, whole);
        let found = match method {
            // What was found is a part of it.
            "match" | "search" | "exec" | "fullmatch" => {
                let atoms = self.atoms_of(std::iter::once(&value));
                let safe = if cond.yes.is_some() {
                    super::guard::of_pattern(&text, whole, false)
                } else {
                    Set::default()
                };
                self.derive_safe(Op::Flow, &atoms, safe, called.line, method)
            }
            _ => None,
        };
        Some(Value { atom: found, ..cond })
    }

    /// What a function by its result says of the whole: `indexOf` and so on are questions too.
    pub(crate) fn pattern_of(&mut self, called: &Called<'s>) -> Option<Value> {
        let makes = [
            "re.compile",
            "RegExp",
            "regexp.MustCompile",
            "regexp.Compile",
            "Regex.new",
            "regex.Regex.new",
        ];
        if !makes.iter().any(|it| crate::rules::fits(it, &called.name)) {
            return None;
        }
        let first = called.arg(0);
        let text = match &first.kind {
            Kind::Str(it) | Kind::Regex(it) => Rc::clone(it),
            _ => return None,
        };
        Some(Value::of(Kind::Regex(text)))
    }

    pub(crate) fn component(&mut self, value: &Value, name: &str) -> Value {
        let Some(atom) = value.atom else { return Value::default() };
        let facts: Facts = match name {
            // A component of a path that goes up, or that starts at the top.
            "ParentDir" => return Value::cond(Vec::new(), self.learn(atom, Set::DOTS)),
            "RootDir" | "Prefix" => {
                return Value::cond(Vec::new(), self.learn(atom, Set::RELATIVE));
            }
            "Normal" => self.learn(atom, Set::DOTS.or(Set::RELATIVE)),
            _ => Vec::new(),
        };
        Value::cond(facts, Vec::new())
    }

    pub(crate) fn is_literal(&self, id: Id) -> bool {
        matches!(self.node(id), Expr::Str(_) | Expr::Num(_))
    }
}
