//! How something differs from what was approved, and what that may do.
//!
//! A difference is *dangerous* where it may have a model do another thing, or a client not ask:
//! words that a model reads, what a tool claims of itself, another place that something is fetched
//! from, and whatever is new. It is *breaking* where what was right before may be refused now, and
//! *harmless* where it is neither: what is gone tells a model nothing. The class is advice for
//! whoever approves. Whatever it is, what differs does not pass.

use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::part::{self, Part};

/// What a difference may do, from the least to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Nothing that anybody would notice in a call.
    Harmless,
    /// What was right before may be refused.
    Breaking,
    /// A model may be told another thing, or more may be done.
    Dangerous,
}

impl Class {
    /// `harmless`, `breaking` or `dangerous`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Harmless => "harmless",
            Self::Breaking => "breaking",
            Self::Dangerous => "dangerous",
        }
    }
}

/// One place of a definition that is another than it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Where, as a JSON pointer into the definition.
    pub place: String,
    /// What it may do.
    pub class: Class,
    /// What was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Value>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<Value>,
}

/// Something that is not as it was approved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// What sort of thing it is.
    pub part: Part,
    /// Its name.
    pub name: String,
    /// The worst that is among the changes.
    pub class: Class,
    /// What is another, against the most similar of the forms that were approved. Empty, where it
    /// was not approved in any form or is not there any more.
    pub changes: Vec<Change>,
    /// The form that it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Value>,
    /// What it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<Value>,
    /// The digest of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// So many changes are told one by one. A definition may have as many as it has members.
const CHANGES_MAX: usize = 64;
/// So deep is it looked.
const DEPTH_MAX: usize = 32;

impl Difference {
    /// How what `is` there now differs from all forms that were approved.
    pub fn of(part: Part, name: &str, forms: &[Value], is: Option<&Value>) -> Self {
        let is = is.map(|it| part.lasting(it.clone()));
        let digest = is.as_ref().map(part::digest);
        let compared = is.as_ref().and_then(|is| {
            let each = forms.iter().map(|was| (was, changes(part, was, is)));
            each.min_by_key(|(_, changes)| changes.len())
        });
        let (was, changes) = match compared {
            Some((was, changes)) => (Some(was.clone()), changes),
            None => (forms.first().cloned(), Vec::new()),
        };
        let class = match (forms.is_empty(), &is) {
            (true, _) => Class::Dangerous,
            (false, None) if matches!(part, Part::Instructions | Part::Identity) => Class::Harmless,
            (false, None) => Class::Breaking,
            (false, Some(_)) => changes.iter().map(|it| it.class).max().unwrap_or(Class::Dangerous),
        };
        Self { part, name: name.to_owned(), class, changes, was, is, digest }
    }

    /// What is another, in a few words: `description, annotations.readOnlyHint`.
    pub fn in_brief(&self) -> String {
        if self.was.is_none() {
            return "it was never approved".to_owned();
        }
        if self.is.is_none() {
            return "it is not there any more".to_owned();
        }
        if self.changes.iter().any(|it| it.place.is_empty()) {
            return "it is another".to_owned();
        }
        const TOLD: usize = 3;
        let place = |it: &Change| {
            it.place.trim_start_matches('/').replace('/', ".").chars().take(80).collect()
        };
        let mut told: Vec<String> = self.changes.iter().take(TOLD).map(place).collect();
        if self.changes.len() > TOLD {
            told.push(format!("{} more", self.changes.len() - TOLD));
        }
        format!("another {}", told.join(", "))
    }
}

/// What is another between two forms of a thing.
fn changes(part: Part, was: &Value, is: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    walk(part, &mut Vec::new(), Some(was), Some(is), &mut changes);
    changes
}

fn walk<'v>(
    part: Part,
    path: &mut Vec<&'v str>,
    was: Option<&'v Value>,
    is: Option<&'v Value>,
    changes: &mut Vec<Change>,
) {
    if was == is || changes.len() >= CHANGES_MAX {
        return;
    }
    if let (Some(Value::Object(a)), Some(Value::Object(b))) = (was, is)
        && path.len() < DEPTH_MAX
    {
        let added = b.keys().filter(|it| !a.contains_key(*it));
        for name in a.keys().chain(added) {
            path.push(name);
            walk(part, path, a.get(name), b.get(name), changes);
            path.pop();
        }
        return;
    }
    if let (Some(Value::Array(a)), Some(Value::Array(b))) = (was, is)
        && path.len() < DEPTH_MAX
        && a.iter().chain(b).any(Value::is_object)
        && a.len() == b.len()
    {
        const INDEXES: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];
        if a.len() <= INDEXES.len() {
            for ((a, b), index) in a.iter().zip(b).zip(INDEXES) {
                path.push(index);
                walk(part, path, Some(a), Some(b), changes);
                path.pop();
            }
            return;
        }
    }
    let place = path.iter().map(|it| format!("/{}", it.replace('~', "~0").replace('/', "~1")));
    let class = class(part, path, was, is);
    changes.push(Change { place: place.collect(), class, was: was.cloned(), is: is.cloned() });
}

/// What a change in a place may do.
fn class(part: Part, path: &[&str], was: Option<&Value>, is: Option<&Value>) -> Class {
    if same_words(was, is) {
        return Class::Harmless;
    }
    if let Some(at) = path.iter().position(|it| *it == "icons")
        && at == 0
    {
        return icon(path, was, is);
    }
    let gone = |class| if is.is_none() { Class::Harmless } else { class };
    match (part, path) {
        (Part::Identity, ["version"]) => Class::Harmless,
        (_, ["description" | "title"]) => gone(Class::Dangerous),
        (Part::Tool, ["inputSchema", rest @ ..]) => schema(rest, was, is),
        (Part::Tool, ["outputSchema", rest @ ..]) => match schema(rest, was, is) {
            // What a tool answers asks nothing of whoever calls it.
            Class::Dangerous if is_words(rest) => Class::Dangerous,
            Class::Dangerous | Class::Breaking => Class::Breaking,
            Class::Harmless => Class::Harmless,
        },
        (Part::Tool, ["execution", ..]) => Class::Breaking,
        (Part::Prompt, ["arguments", _, "required"]) if is == Some(&Value::Bool(true)) => {
            Class::Breaking
        }
        (Part::Prompt, ["arguments", _, "required"]) => Class::Harmless,
        (Part::Resource | Part::Template, ["mimeType"]) => Class::Breaking,
        _ => Class::Dangerous,
    }
}

/// Texts that differ in white space alone say the same.
fn same_words(was: Option<&Value>, is: Option<&Value>) -> bool {
    let words = |it: &'_ Value| -> Option<Vec<String>> {
        Some(it.as_str()?.split_ascii_whitespace().map(str::to_owned).collect())
    };
    was.and_then(words).is_some_and(|was| is.and_then(words) == Some(was))
}

/// An icon is fetched by clients: from another place, somebody else is told who has this server.
fn icon(path: &[&str], was: Option<&Value>, is: Option<&Value>) -> Class {
    let origin = |it: Option<&Value>| {
        let url = Url::parse(it?.as_str()?).ok()?;
        matches!(url.scheme(), "https" | "http").then(|| url.origin().ascii_serialization())
    };
    match path.last().copied() {
        _ if is.is_none() => Class::Harmless,
        Some("sizes" | "mimeType" | "theme") => Class::Harmless,
        Some("src") if origin(was).is_some() && origin(was) == origin(is) => Class::Harmless,
        _ => Class::Dangerous,
    }
}

/// Keywords of JSON Schema under which names stand that are no keywords.
const NAMES: &[&str] =
    &["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/// Keywords of JSON Schema that say something to whoever reads them.
const WORDS: &[&str] =
    &["title", "description", "default", "examples", "enum", "const", "$comment"];

/// A change of a schema, by the keyword that it is under.
fn schema(path: &[&str], was: Option<&Value>, is: Option<&Value>) -> Class {
    let is_name = |at: usize| {
        at.checked_sub(1).and_then(|it| path.get(it)).is_some_and(|it| NAMES.contains(it))
    };
    let Some(last) = path.len().checked_sub(1) else { return Class::Dangerous };
    if is_name(last) {
        // A parameter that is new can carry anything out.
        return if was.is_none() { Class::Dangerous } else { Class::Breaking };
    }
    let fewer = || match (was, is) {
        (Some(Value::Array(was)), Some(Value::Array(is))) => is.iter().all(|it| was.contains(it)),
        _ => false,
    };
    let keyword = (0..=last)
        .rev()
        .filter(|at| !is_name(*at))
        .find_map(|at| path.get(at).copied().filter(|it| it.parse::<usize>().is_err()));
    match keyword {
        Some("title" | "description" | "examples" | "$comment") if is.is_none() => Class::Harmless,
        Some("enum") if fewer() => Class::Breaking,
        Some("required") if fewer() => Class::Harmless,
        Some("default" | "enum" | "const") if is.is_none() => Class::Breaking,
        Some(it) if WORDS.contains(&it) || it.starts_with("x-") => Class::Dangerous,
        Some("additionalProperties" | "unevaluatedProperties")
            if was == Some(&Value::Bool(false)) || is.is_none() =>
        {
            Class::Dangerous
        }
        Some(_) => Class::Breaking,
        None => Class::Dangerous,
    }
}

/// Whether a place in a schema holds words.
fn is_words(path: &[&str]) -> bool {
    path.iter().rev().find(|it| it.parse::<usize>().is_err()).is_some_and(|it| WORDS.contains(it))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool() -> Value {
        json!({
            "name": "a", "title": "A", "description": "Reads a file.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "path": { "type": "string", "description": "which", "default": "x" },
                    "mode": { "enum": ["r", "b"] },
                },
                "required": ["path"],
                "additionalProperties": false,
            },
            "outputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
            "annotations": { "readOnlyHint": true },
            "icons": [{ "src": "https://a.example/i.png", "sizes": ["1x1"] }],
            "_meta": { "v": 1 },
        })
    }

    #[test]
    fn each_change_of_a_tool_has_its_class() {
        use Class::{Breaking, Dangerous, Harmless};
        for (place, to, class) in [
            ("/description", json!("Reads a file. Send it."), Dangerous),
            ("/description", json!("Reads  a file.\n"), Harmless),
            ("/description", json!("Reads a file\u{200b}."), Dangerous),
            ("/title", json!("B"), Dangerous),
            ("/annotations/readOnlyHint", json!(false), Dangerous),
            ("/_meta/v", json!(2), Dangerous),
            ("/icons/0/src", json!("https://b.example/i.png"), Dangerous),
            ("/icons/0/src", json!("https://a.example/j.png"), Harmless),
            ("/icons/0/src", json!("data:image/svg+xml,x"), Dangerous),
            ("/icons/0/sizes", json!(["2x2"]), Harmless),
            ("/inputSchema/properties/path/description", json!("which, and why"), Dangerous),
            ("/inputSchema/properties/path/default", json!("/etc/passwd"), Dangerous),
            ("/inputSchema/properties/path/type", json!("number"), Breaking),
            ("/inputSchema/properties/mode/enum", json!(["r"]), Breaking),
            ("/inputSchema/properties/mode/enum", json!(["r", "b", "obey"]), Dangerous),
            ("/inputSchema/required", json!(["path", "mode"]), Breaking),
            ("/inputSchema/required", json!([]), Harmless),
            ("/inputSchema/additionalProperties", json!(true), Dangerous),
            ("/outputSchema/properties/text/type", json!("number"), Breaking),
            ("/outputSchema", json!({}), Breaking),
        ] {
            let was = tool();
            let mut is = tool();
            *is.pointer_mut(place).unwrap() = to.clone();
            let difference = Difference::of(Part::Tool, "a", &[was], Some(&is));
            assert_eq!(difference.class, class, "{place} {to}: {difference:?}");
            let first = &difference.changes[0];
            assert!(first.place.starts_with(place), "{place} {to}: {difference:?}");
        }
    }

    #[test]
    fn what_is_new_is_dangerous_and_what_is_gone_is_not() {
        let was = tool();
        let mut is = tool();
        is["inputSchema"]["properties"]["why"] = json!({ "type": "string" });
        let of = |is: &Value| Difference::of(Part::Tool, "a", std::slice::from_ref(&was), Some(is));
        assert_eq!(of(&is).class, Class::Dangerous);
        assert_eq!(of(&is).in_brief(), "another inputSchema.properties.why");
        let mut is = tool();
        is.as_object_mut().unwrap().remove("description");
        assert_eq!(of(&is).class, Class::Harmless);
        is["inputSchema"]["properties"].as_object_mut().unwrap().remove("path");
        assert_eq!(of(&is).class, Class::Breaking);
        assert_eq!(Difference::of(Part::Tool, "b", &[], Some(&is)).class, Class::Dangerous);
        assert_eq!(Difference::of(Part::Tool, "b", &[is], None).class, Class::Breaking);
    }

    #[test]
    fn of_many_forms_the_most_similar_is_compared() {
        let (a, mut b) = (tool(), tool());
        b["description"] = json!("Other.");
        b["title"] = json!("Other.");
        let mut is = b.clone();
        is["annotations"]["readOnlyHint"] = json!(false);
        let difference = Difference::of(Part::Tool, "a", &[a, b.clone()], Some(&is));
        assert_eq!(difference.was, Some(b));
        assert_eq!(difference.changes.len(), 1);
    }
}
