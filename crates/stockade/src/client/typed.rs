//! Arguments as they are typed on a command line, brought into the form that a tool's schema wants:
//! `a=1` is a number where the schema has one there, and a text where it has that.

use serde_json::{Map, Value};
use stockade_core::json::Document;
use stockade_core::schema::{Schema, Violation};

/// Why arguments cannot be sent as they were typed.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// There is no `=`.
    #[error("`{0}` has no `=` between a name and a value")]
    NoValue(String),
    /// Twice the same.
    #[error("the argument `{0}` is there twice")]
    Twice(String),
    /// The value is nothing that the schema wants there.
    #[error("the argument `{name}` does not fit: {violation}; its schema is {schema}")]
    Value {
        /// Which.
        name: String,
        /// What is wrong with it.
        violation: Violation,
        /// What is wanted.
        schema: String,
    },
    /// Together they are not what the schema wants.
    #[error("the arguments do not fit: {0}")]
    Whole(String),
}

/// The longest schema of an argument that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 300;

/// Splits `name=value`.
///
/// # Errors
/// When there is no `=`.
pub fn split(typed: &str) -> Result<(String, String), Unfit> {
    let (name, value) = typed.split_once('=').ok_or_else(|| Unfit::NoValue(typed.to_owned()))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The arguments, beside those that were given in JSON, in the form that `schema` wants.
///
/// # Errors
/// When one of them, or all together, are nothing that it wants.
pub fn arguments(
    given: Map<String, Value>,
    typed: &[(String, String)],
    schema: &Value,
) -> Result<Map<String, Value>, Unfit> {
    let mut all = given;
    for (name, text) in typed {
        let value = value(name, text, schema)?;
        if all.insert(name.clone(), value).is_some() {
            return Err(Unfit::Twice(name.clone()));
        }
    }
    let whole = Value::Object(all.clone());
    check(schema, &whole).map_err(|it| Unfit::Whole(in_words(&it, schema)))?;
    Ok(all)
}

/// One value: what the text is in JSON, if the schema wants that, and else the text itself.
fn value(name: &str, text: &str, schema: &Value) -> Result<Value, Unfit> {
    let alone = alone(schema);
    let fits =
        |it: &Value| check(&alone, &Value::Object(Map::from_iter([(name.to_owned(), it.clone())])));
    // A text is typed as it is, and quotation marks are a part of it.
    let parsed = serde_json::from_str::<Value>(text).ok().filter(|it| !it.is_string());
    let as_text = Value::from(text);
    let declared = schema.get("properties").and_then(|it| it.get(name));
    match parsed {
        Some(parsed) => match fits(&parsed) {
            Ok(()) => Ok(parsed),
            Err(violation) => fits(&as_text).map(|()| as_text).map_err(|_| violation),
        },
        None => fits(&as_text).map(|()| as_text),
    }
    .map_err(|violation| {
        let schema = declared.map(Value::to_string).unwrap_or_default();
        let schema = schema.chars().take(SHOWN_CHARS_MAX).collect();
        Unfit::Value { name: name.to_owned(), violation, schema }
    })
}

/// The schema of an object of which one property is known: without what is said of the whole.
fn alone(schema: &Value) -> Value {
    const OF_ONE: &[&str] =
        &["$schema", "$id", "$defs", "definitions", "type", "properties", "patternProperties"];
    let fields = schema.as_object().into_iter().flatten();
    let kept = fields.filter(|(name, _)| OF_ONE.contains(&name.as_str()));
    Value::Object(kept.map(|(name, it)| (name.clone(), it.clone())).collect())
}

fn check(schema: &Value, value: &Value) -> Result<(), Violation> {
    // What cannot be read as the guard reads it is for the guard to refuse.
    let (Ok(schema), Ok(value)) = (Document::from_value(schema), Document::from_value(value))
    else {
        return Ok(());
    };
    Schema::new(schema.root()).check(value.root())
}

/// What is wrong with the whole, with the names that are wanted.
fn in_words(violation: &Violation, schema: &Value) -> String {
    let names = |it: &str| match schema.get(it) {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        Some(Value::Object(all)) => all.keys().map(String::as_str).collect::<Vec<_>>(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {
            Vec::new()
        }
    };
    let Violation::Mismatch { keyword, .. } = violation else { return violation.to_string() };
    match keyword.as_str() {
        "required" => format!("{violation}; required: {}", names("required").join(", ")),
        "additionalProperties" | "unevaluatedProperties" => {
            format!("{violation}; there are: {}", names("properties").join(", "))
        }
        _ => violation.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "n": { "type": "number" },
                "i": { "type": "integer", "maximum": 9 },
                "b": { "type": "boolean" },
                "s": { "type": "string" },
                "list": { "type": "array", "items": { "type": "string" } },
                "object": { "type": "object", "required": ["a"] },
                "either": { "anyOf": [{ "type": "integer" }, { "type": "string" }] },
                "far": { "$ref": "#/$defs/Far" },
                "digit": { "enum": ["1", "2"] },
                "any": {},
            },
            "required": ["s"],
            "additionalProperties": false,
            "$defs": { "Far": { "type": ["number", "null"] } },
        })
    }

    fn read(words: &[&str]) -> Result<Value, String> {
        let typed: Result<Vec<_>, _> = words.iter().map(|it| split(it)).collect();
        let read = typed.and_then(|it| arguments(Map::new(), &it, &schema()));
        read.map(Value::Object).map_err(|it| it.to_string())
    }

    #[test]
    fn a_value_is_what_its_schema_wants() {
        for (word, expected) in [
            ("n=1", json!(1)),
            ("n=1.5", json!(1.5)),
            ("i=9", json!(9)),
            ("b=true", json!(true)),
            ("list=[\"a\", \"b\"]", json!(["a", "b"])),
            ("object={\"a\": 1}", json!({ "a": 1 })),
            ("either=1", json!(1)),
            ("either=one", json!("one")),
            ("far=null", json!(null)),
            ("digit=1", json!("1")),
            ("any=[1]", json!([1])),
            ("any=a=b", json!("a=b")),
        ] {
            let (name, _) = word.split_once('=').unwrap();
            assert_eq!(read(&["s=x", word]).unwrap()[name], expected, "{word}");
        }
        for text in ["1", "true", "null", "[1]", "\"q\"", ""] {
            assert_eq!(read(&[&format!("s={text}")]), Ok(json!({ "s": text })));
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        for (words, says) in [
            (
                &["s=x", "n=x"][..],
                "`n` does not fit: /n does not satisfy `type`; its schema is {\"type\":\"number\"}",
            ),
            (&["s=x", "i=10"], "does not satisfy `maximum`"),
            (&["s=x", "i=1.5"], "its schema is {\"maximum\":9,\"type\":\"integer\"}"),
            (&["s=x", "list=a"], "/list does not satisfy `type`"),
            (&["s=x", "list=[1]"], "/list/0 does not satisfy `type`"),
            (&["s=x", "object={}"], "/object does not satisfy `required`"),
            (&["s=x", "far=x"], "its schema is {\"$ref\":\"#/$defs/Far\"}"),
            (&["n=1"], "required: s"),
            (&["s=x", "z=1"], "there are: any, b, digit, either, far, i, list"),
            (&["s=x", "s=y"], "`s` is there twice"),
            (&["s"], "`s` has no `=`"),
        ] {
            let error = read(words).unwrap_err();
            assert!(error.contains(says), "{words:?}: {error}");
        }
    }
}
