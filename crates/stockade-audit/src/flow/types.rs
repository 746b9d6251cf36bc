//! Values of declared types, where something holds the caller to them.

use std::rc::Rc;

use super::Flow;
use super::guard::of_pattern;
use super::value::{AtomId, Kind, Op, Set, Value};

impl<'s> Flow<'_, 's> {
    /// What is of a type, and comes from the caller.
    pub(crate) fn typed(&mut self, ty: &str, atom: AtomId, file: usize, depth: u32) -> Value {
        self.typed_as(ty, "", atom, file, depth)
    }

    pub(crate) fn typed_as(
        &mut self,
        ty: &str,
        note: &str,
        atom: AtomId,
        file: usize,
        depth: u32,
    ) -> Value {
        let ty = ty.trim().trim_matches(['"', '\'']);
        let inner = inner(ty);
        let name = inner.rsplit("::").next().unwrap_or(inner);
        let name = name.rsplit('.').next().unwrap_or(name);
        let notes = format!("{ty} {note}");
        if is_number(name) {
            let bounded = ["le=", "lt=", "maximum", "range("].iter().any(|it| notes.contains(it));
            let safe = if bounded { Set::ALL } else { Set::TEXT };
            let known = self.derive_safe(Op::Copy, &[atom], safe, 0, "");
            return Value { atom: known, kind: Kind::Num, ..Value::default() };
        }
        if is_fixed(inner, name) {
            return Value::default();
        }
        if name.contains("IPv") || name == "IpAddr" || name.contains("Ipv") {
            return Value::maybe(self.derive_safe(
                Op::Copy,
                &[atom],
                Set::TEXT.without(Set::URL),
                0,
                "",
            ));
        }
        if depth < 4
            && let Some(def) = self.project.typedef(name, file)
        {
            if def.values {
                return Value::default();
            }
            if !def.alias.is_empty() && def.fields.is_empty() {
                return self.typed_as(def.alias, note, atom, file, depth + 1);
            }
            if !def.fields.is_empty() {
                let mut fields: Vec<(Rc<str>, Value)> = Vec::new();
                for it in &def.fields {
                    let field = self.derive(Op::Field, &[atom], 0, it.name);
                    let value = match field {
                        Some(of) => self.typed_as(it.ty, it.note, of, file, depth + 1),
                        None => Value::default(),
                    };
                    fields.push((it.name.into(), value));
                }
                fields.push(("(type)".into(), Value::of(Kind::Str(name.into()))));
                return Value::of(Kind::Map(Rc::new(fields)));
            }
        }
        // A pattern that has to be fitted.
        let pattern =
            ["pattern=", "regex=", "pattern ="].iter().find_map(|it| notes.split_once(it));
        if let Some((_, rest)) = pattern {
            let rest = rest.trim_start().trim_start_matches('r');
            let quote = rest.chars().next().unwrap_or('"');
            let text = rest.get(1..).and_then(|it| it.split(quote).next()).unwrap_or("");
            let safe = of_pattern(text, false, false);
            let known = self.derive_safe(Op::Copy, &[atom], safe, 0, "");
            if let Some(it) = known {
                self.note(&Value::atom(it));
            }
            return Value::maybe(known);
        }
        Value::atom(atom)
    }
}

/// The type inside of what only says that there may be none, or several.
fn inner(ty: &str) -> &str {
    let mut ty = ty.trim();
    for _ in 0..6 {
        let before = ty;
        ty = ty
            .trim_start_matches(['&', '*', ' '])
            .trim_start_matches("mut ")
            .trim_start_matches("[]");
        if ty.starts_with('\'') {
            ty = ty.split_once(' ').map_or(ty, |it| it.1);
        }
        for wrap in [
            "Optional[",
            "Annotated[",
            "list[",
            "List[",
            "Sequence[",
            "set[",
            "tuple[",
            "Option<",
            "Vec<",
            "Box<",
            "Arc<",
            "Parameters<",
            "Json<",
            "Iterable[",
            "typing.Optional[",
            "typing.Annotated[",
            "Cow<",
            "HashSet<",
        ] {
            if let Some(rest) = ty.strip_prefix(wrap) {
                let rest = rest.strip_suffix([']', '>']).unwrap_or(rest);
                // `Annotated[str, Field(…)]`.
                ty = if wrap.contains("Annotated") { first(rest) } else { rest };
            }
        }
        ty = ty.strip_suffix("| None").or_else(|| ty.strip_prefix("None |")).unwrap_or(ty).trim();
        if ty == before {
            break;
        }
    }
    ty
}

/// What is before the first comma that is not inside of brackets.
fn first(text: &str) -> &str {
    let mut depth = 0;
    for (at, it) in text.char_indices() {
        match it {
            '[' | '(' | '<' | '{' => depth += 1,
            ']' | ')' | '>' | '}' => depth -= 1,
            ',' if depth == 0 => return text.get(..at).unwrap_or(text),
            _ => {}
        }
    }
    text
}

fn is_number(name: &str) -> bool {
    matches!(
        name,
        "int"
            | "float"
            | "Decimal"
            | "PositiveInt"
            | "NonNegativeInt"
            | "conint"
            | "int8"
            | "int16"
            | "int32"
            | "int64"
            | "uint"
            | "uint8"
            | "uint16"
            | "uint32"
            | "uint64"
            | "float32"
            | "float64"
            | "u8"
            | "u16"
            | "u32"
            | "u64"
            | "u128"
            | "usize"
            | "i8"
            | "i16"
            | "i32"
            | "i64"
            | "i128"
            | "isize"
            | "f32"
            | "f64"
    ) || name.starts_with("conint(")
}

fn is_fixed(whole: &str, name: &str) -> bool {
    matches!(
        name,
        "bool"
            | "UUID"
            | "Uuid"
            | "date"
            | "datetime"
            | "time"
            | "timedelta"
            | "NaiveDate"
            | "DateTime"
            | "Duration"
            | "Context"
    ) || whole.starts_with("Literal[")
        || whole.starts_with("typing.Literal[")
        || whole.starts_with("DateTime<")
        || name.starts_with("UUID")
}
