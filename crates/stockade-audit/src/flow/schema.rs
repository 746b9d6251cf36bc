//! Validators that are written in code: what comes out of them is what they let through.

use std::rc::Rc;

use super::Flow;
use super::call::Called;
use super::guard::of_pattern;
use super::value::{AtomId, Kind, Op, Schema, Set, Value};

impl<'s> Flow<'_, 's> {
    /// A call that makes a validator, or that asks one.
    pub(crate) fn validated(&mut self, called: &Called<'s>) -> Option<Value> {
        if let Some(it) = self.pattern_of(called) {
            return Some(it);
        }
        let method = called.method();
        if let Some(Kind::Schema(of)) = called.receiver.as_ref().map(|it| &it.kind) {
            let of = Rc::clone(of);
            return Some(match method {
                "parse" | "parseAsync" => self.passed(&of, &called.arg(0)),
                "safeParse" | "safeParseAsync" => {
                    let data = self.passed(&of, &called.arg(0));
                    Value::of(Kind::Map(Rc::new(vec![
                        ("data".into(), data),
                        ("success".into(), Value::default()),
                        ("error".into(), Value::default()),
                    ])))
                }
                _ => Value::of(Kind::Schema(Rc::new(narrowed(&of, called)))),
            });
        }
        let made = called.name.strip_prefix("zod.").unwrap_or(&called.name);
        let made = made.strip_prefix("z.").or_else(|| made.strip_prefix("coerce."))?;
        let first = called.arg(0);
        let schema = match made.trim_start_matches("coerce.").trim_start_matches("z.") {
            "string" | "any" | "unknown" | "record" | "map" | "url" | "email" => {
                Schema::Text(Set::default())
            }
            "number" | "int" | "bigint" | "int32" | "float64" => Schema::Text(Set::TEXT),
            "boolean" | "enum" | "literal" | "nativeEnum" | "date" | "null" | "undefined"
            | "uuid" | "iso.date" | "iso.datetime" => Schema::Safe,
            "ipv4" | "ipv6" => Schema::Text(Set::TEXT.without(Set::URL)),
            "object" | "strictObject" | "looseObject" => schema_of(&first)?,
            "array" | "set" => {
                Schema::Items(Rc::new(schema_of(&first).unwrap_or(Schema::Text(Set::default()))))
            }
            "optional" | "nullable" | "preprocess" | "lazy" => schema_of(&first)?,
            "union" | "discriminatedUnion" | "tuple" => {
                let of = if first.text().is_some() { called.arg(1) } else { first };
                match &of.kind {
                    Kind::List(items, _) => items
                        .iter()
                        .filter_map(schema_of)
                        .reduce(looser)
                        .unwrap_or(Schema::Text(Set::default())),
                    _ => Schema::Text(Set::default()),
                }
            }
            _ => return None,
        };
        Some(Value::of(Kind::Schema(Rc::new(schema))))
    }

    /// What a validator lets through of a value.
    pub(crate) fn passed(&mut self, schema: &Schema, value: &Value) -> Value {
        match self.whole(value) {
            Some(atom) => self.shaped(schema, atom, ""),
            None => Value::default(),
        }
    }

    pub(crate) fn shaped(&mut self, schema: &Schema, atom: AtomId, name: &str) -> Value {
        match schema {
            Schema::Safe => Value::default(),
            Schema::Text(safe) => {
                let kind = if safe.has(Set::TEXT) { Kind::Num } else { Kind::Unknown };
                let known = self.derive_safe(Op::Field, &[atom], *safe, 0, name);
                if safe.0 != 0
                    && let Some(it) = known
                {
                    self.checked.insert(it);
                }
                Value { atom: known, kind, ..Value::default() }
            }
            Schema::Items(of) => {
                let item = self.shaped(of, atom, name);
                Value::maybe(item.atom)
            }
            Schema::Fields(fields) => {
                let fields =
                    fields.iter().map(|(name, it)| (Rc::clone(name), self.shaped(it, atom, name)));
                Value::of(Kind::Map(Rc::new(fields.collect())))
            }
            Schema::Refined(of, predicate) => {
                let value = self.shaped(of, atom, name);
                let Kind::Func(file, func) = predicate.kind else { return value };
                let facts = Rc::clone(&self.state.facts);
                let said = self.run((file, func), vec![value.clone()], Value::default(), false);
                self.state.dead = false;
                self.state.learned(said.yes.as_ref());
                let value = self.seal(value, 0);
                self.state.facts = facts;
                self.note(&value);
                value
            }
        }
    }
}

/// The validator that a value is: of its own, or as a plain object of validators.
pub(crate) fn schema_of(value: &Value) -> Option<Schema> {
    match &value.kind {
        Kind::Schema(it) => Some((**it).clone()),
        Kind::Map(fields) => {
            let any = fields.iter().any(|it| matches!(it.1.kind, Kind::Schema(_)));
            if !any && !fields.is_empty() {
                return None;
            }
            let fields = fields.iter().map(|(name, it)| {
                let of = schema_of(it).unwrap_or(Schema::Text(Set::default()));
                (Rc::clone(name), of)
            });
            Some(Schema::Fields(fields.collect()))
        }
        _ => None,
    }
}

fn looser(a: Schema, b: Schema) -> Schema {
    match (a, b) {
        (Schema::Text(a), Schema::Text(b)) => Schema::Text(a.and(b)),
        (Schema::Safe, it) | (it, Schema::Safe) => it,
        (it, _) => it,
    }
}

fn narrowed(of: &Schema, called: &Called<'_>) -> Schema {
    let add = |set: Set| match of {
        Schema::Text(it) => Schema::Text(it.or(set)),
        Schema::Safe | Schema::Fields(_) | Schema::Items(_) | Schema::Refined(..) => of.clone(),
    };
    match called.method() {
        "regex" => match &called.arg(0).kind {
            Kind::Regex(it) => add(of_pattern(it, false, false)),
            _ => of.clone(),
        },
        "uuid" | "cuid" | "cuid2" | "ulid" | "datetime" | "date" | "guid" | "nanoid" | "time" => {
            Schema::Safe
        }
        "ip" | "ipv4" | "ipv6" => add(Set::TEXT.without(Set::URL)),
        "max" | "lte" | "lt" | "length" => add(Set::SIZE),
        "array" => Schema::Items(Rc::new(of.clone())),
        "refine" | "superRefine" | "check" => {
            Schema::Refined(Rc::new(of.clone()), Rc::new(called.arg(0)))
        }
        "extend" | "merge" | "and" => match (of, schema_of(&called.arg(0))) {
            (Schema::Fields(a), Some(Schema::Fields(b))) => {
                Schema::Fields(a.iter().cloned().chain(b).collect())
            }
            _ => of.clone(),
        },
        "or" => match schema_of(&called.arg(0)) {
            Some(it) => looser(of.clone(), it),
            None => of.clone(),
        },
        _ => of.clone(),
    }
}
