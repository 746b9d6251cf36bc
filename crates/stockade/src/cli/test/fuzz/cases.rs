//! Arguments made from a tool's schema: what fits it, its bounds and what is beside them, other types,
//! and texts that mean something to a file system, a database or a shell. They are strategies of
//! `proptest`, which makes them from a seed and takes away from them what does not matter.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::strategy::{BoxedStrategy, Just, Strategy, Union};
use proptest::string::string_regex;
use serde_json::{Map, Number, Value, json};

/// So deep is a schema followed. One may refer to itself.
const DEPTH_MAX: usize = 6;

/// So many items does a list have that has no bounds.
const ITEMS_MAX: usize = 3;

/// The longest text, in bytes, of those that are long on purpose.
const LONG: usize = 20_000;

/// What only an interpreter makes of a text: none of the texts below has it.
pub(super) const MADE: &str = "stockade-42";

/// Texts that mean something to whoever does not keep them apart from what they mean themselves. None
/// of them destroys anything.
const MEANT: &[&str] = &[
    "../../../../../../../../etc/passwd",
    "/etc/passwd",
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "....//....//....//etc/passwd",
    "file:///etc/passwd",
    "a\u{0}.txt",
    "'",
    "' OR '1'='1",
    "1 OR 1=1",
    "' UNION SELECT 'stockade-' || (6*7) --",
    "1; SELECT 'stockade-' || (6*7)",
    "; echo stockade-$((6*7))",
    "| echo stockade-$((6*7))",
    "$(echo stockade-$((6*7)))",
    "`echo stockade-$((6*7))`",
    "\necho stockade-$((6*7))\n",
    "--help",
    "stockade-{{6*7}}",
    "stockade-${6*7}",
    "%s%s%s%n",
];

/// Texts that are nothing bad and are often forgotten.
const ODD: &[&str] = &[
    "",
    " ",
    "a",
    "0",
    "-1",
    "null",
    "1e309",
    "\u{e9}\u{301}\u{1f469}\u{200d}\u{1f680}",
    "\u{202e}abc",
    "\t\r\n",
    "\\",
    "\"",
    "<b>&amp;</b>",
];

/// Arguments for a tool with this schema.
pub(super) fn arguments(schema: &Value) -> BoxedStrategy<Value> {
    Made { root: schema }.object(schema, DEPTH_MAX)
}

struct Made<'s> {
    /// What references lead into.
    root: &'s Value,
}

impl Made<'_> {
    /// What fits, mostly; and what is beside it.
    fn any(&self, schema: &Value, depth: usize) -> BoxedStrategy<Value> {
        let schema = self.led(schema);
        let fits = self.fits(schema, depth);
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        // What is made smaller goes to what stands before it: the plainest is first.
        let mut all = vec![(6, fits)];
        if let "string" | "" = kind {
            let texts = |them: &[&str]| Union::new(them.iter().map(|it| Just(json!(it)))).boxed();
            let long = Just("A".repeat(LONG).into()).boxed();
            all.extend([(2, texts(ODD)), (4, texts(MEANT)), (1, long)]);
        }
        if let "integer" | "number" = kind {
            all.push((3, Union::new(bounds(schema).into_iter().map(Just)).boxed()));
        }
        all.push((1, others(kind)));
        Union::new_weighted(all).boxed()
    }

    /// What fits, as far as that is easily said.
    fn fits(&self, schema: &Value, depth: usize) -> BoxedStrategy<Value> {
        let several =
            |name: &str| schema.get(name).and_then(Value::as_array).filter(|it| !it.is_empty());
        if let Some(it) = schema.get("const") {
            return Just(it.clone()).boxed();
        }
        if let Some(all) = several("enum") {
            return Union::new(all.iter().cloned().map(Just)).boxed();
        }
        if depth == 0 {
            return Just(Value::Null).boxed();
        }
        if let Some(all) = several("anyOf").or_else(|| several("oneOf")) {
            return Union::new(all.iter().map(|it| self.fits(self.led(it), depth - 1))).boxed();
        }
        let kind = match schema.get("type") {
            Some(Value::Array(kinds)) => {
                kinds.iter().find_map(|it| it.as_str().filter(|it| *it != "null"))
            }
            it => it.and_then(Value::as_str),
        };
        match kind {
            Some("object") => self.object(schema, depth),
            Some("array") => {
                let items = schema.get("items").cloned().unwrap_or_else(|| json!({}));
                let number = |name: &str| {
                    let it = schema.get(name).and_then(Value::as_u64);
                    it.and_then(|it| usize::try_from(it).ok())
                };
                let least = number("minItems").unwrap_or(0).min(64);
                let most =
                    number("maxItems").unwrap_or(least + ITEMS_MAX).clamp(least, least + ITEMS_MAX);
                vec(self.any(&items, depth - 1), least..=most).prop_map(Value::from).boxed()
            }
            Some("integer") => {
                let (least, most) = integers(schema);
                (least..=most).prop_map(Value::from).boxed()
            }
            Some("number") => {
                let (least, most) = integers(schema);
                let halves = (least..=most)
                    .prop_map(|it| Number::from_f64(it as f64).map_or(Value::Null, Value::Number));
                halves.boxed()
            }
            Some("boolean") => Union::new([Just(json!(true)), Just(json!(false))]).boxed(),
            Some("null") => Just(Value::Null).boxed(),
            Some(_) | None => text(schema),
        }
    }

    /// An object: mostly with what it must have, often with what it may have, and sometimes with more.
    fn object(&self, schema: &Value, depth: usize) -> BoxedStrategy<Value> {
        let schema = self.led(schema);
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|it| it.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut fields: Vec<BoxedStrategy<Option<(String, Value)>>> = Vec::new();
        for (name, property) in properties.into_iter().flatten() {
            let value = match depth {
                0 => Just(Value::Null).boxed(),
                depth => self.any(property, depth - 1),
            };
            let often = if required.contains(&name.as_str()) { 0.97 } else { 0.5 };
            let name = name.clone();
            let field = value.prop_map(move |it| (name.clone(), it));
            fields.push(weighted(often, field).boxed());
        }
        let more = Just(("stockade_more".to_owned(), json!(1)));
        fields.push(weighted(0.03, more).boxed());
        let made = |fields: Vec<Option<(String, Value)>>| {
            Value::Object(fields.into_iter().flatten().collect::<Map<_, _>>())
        };
        fields.prop_map(made).boxed()
    }

    /// Where a reference within the schema leads.
    fn led<'v>(&'v self, schema: &'v Value) -> &'v Value {
        let pointer =
            schema.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix('#'));
        pointer.and_then(|it| self.root.pointer(it)).unwrap_or(schema)
    }
}

/// A text of the length and the form that a schema wants.
fn text(schema: &Value) -> BoxedStrategy<Value> {
    let pattern = schema.get("pattern").and_then(Value::as_str);
    if let Some(made) = pattern.and_then(|it| string_regex(it.trim_matches(['^', '$'])).ok()) {
        return made.prop_map(Value::from).boxed();
    }
    let example = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => Some("2026-11-30T12:00:00Z"),
        Some("date") => Some("2026-11-30"),
        Some("time") => Some("12:00:00Z"),
        Some("email") => Some("ada@example.com"),
        Some("uri" | "uri-reference" | "iri") => Some("https://example.com/a"),
        Some("uuid") => Some("00000000-0000-4000-8000-000000000000"),
        Some("ipv4") => Some("192.0.2.1"),
        Some(_) | None => None,
    };
    if let Some(example) = example {
        return Just(json!(example)).boxed();
    }
    let length = |name: &str| schema.get(name).and_then(Value::as_u64).unwrap_or(0).min(256);
    let (least, most) = (length("minLength"), length("maxLength"));
    let most = if most == 0 { least + 8 } else { most.clamp(least, least + 8) };
    let made = string_regex(&format!("[a-z0-9 ]{{{least},{most}}}"));
    let made = made.map(|it| it.prop_map(Value::from).boxed());
    made.unwrap_or_else(|_| Just(json!("a")).boxed())
}

/// Values of all types but one.
fn others(kind: &str) -> BoxedStrategy<Value> {
    let all = [
        ("null", json!(null)),
        ("boolean", json!(true)),
        ("integer", json!(7)),
        ("number", json!(0.5)),
        ("string", json!("text")),
        ("array", json!([])),
        ("array", json!([[[]]])),
        ("object", json!({})),
        ("object", json!({ "__proto__": { "a": 1 } })),
    ];
    let others = all.into_iter().filter(|(it, _)| *it != kind).map(|(_, it)| Just(it));
    Union::new(others).boxed()
}

/// The integers that a schema allows.
fn integers(schema: &Value) -> (i64, i64) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
    let least =
        bound("minimum").or_else(|| bound("exclusiveMinimum").map(|it| it.saturating_add(1)));
    let most =
        bound("maximum").or_else(|| bound("exclusiveMaximum").map(|it| it.saturating_sub(1)));
    match (least, most) {
        (Some(least), Some(most)) => (least, most.max(least)),
        (Some(least), None) => (least, least.saturating_add(100)),
        (None, Some(most)) => (most.saturating_sub(100), most),
        (None, None) => (0, 100),
    }
}

/// The bounds of a number, what is beside them, and numbers that are often forgotten. What is made
/// smaller goes from the end to the beginning: the least that is too much, or too little, is the last
/// before what is neither.
fn bounds(schema: &Value) -> Vec<Value> {
    let (least, most) = integers(schema);
    let whole = |all: &[i64]| all.iter().copied().map(Value::from).collect::<Vec<_>>();
    let inside = [whole(&[least, most, 0, -1]), vec![json!(-0.0), json!(0.1)]].concat();
    let below = whole(&[least.saturating_sub(1), i64::MIN]);
    let above = whole(&[most.saturating_add(1), i64::from(i32::MAX) + 1, (1 << 53) + 1, i64::MAX]);
    [inside, below, above, vec![json!(u64::MAX), json!(1e308)]].concat()
}
