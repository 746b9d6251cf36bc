//! What a server offers, as it was last seen: each tool with the schema of its arguments.

use std::collections::HashMap;
use std::sync::Arc;

use crate::approval;
use crate::argument::Parameters;
use crate::json::Json;
use crate::name;
use crate::risk::Risk;
use crate::role::Roles;
use crate::schema::Schema;

/// A tool as its server described it.
#[derive(Debug)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The digest of its whole definition: blake3 over its canonical form (RFC 8785).
    pub digest: String,
    /// What its arguments must look like. It costs little until it is used.
    pub arguments: Schema,
    /// What its structured results look like, where it says so.
    pub result: Option<Schema>,
    /// The headers that repeat arguments (`x-mcp-header`, 2026-07-28): argument path and name.
    pub headers: Vec<(Vec<String>, String)>,
    /// What its server says that it does not do.
    pub claims: Claims,
    /// What its server says about it, for a person that is asked.
    pub says: approval::Claims,
    /// What its arguments are.
    pub parameters: Parameters,
    /// What it probably is in a flow of data.
    pub roles: Roles,
    /// What it probably does.
    pub risk: Risk,
}

/// What a tool does not do, as its server says in its annotations. That is held against what it was
/// seen to do, and otherwise believed nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// It changes nothing (`readOnlyHint`).
    pub writes_nothing: bool,
    /// It reaches nobody: it says so (`openWorldHint: false`), or says that it only reads and not
    /// that it does so elsewhere.
    pub reaches_nobody: bool,
}

impl Claims {
    fn read(tool: Json<'_>) -> Self {
        let hint = |name| tool.get("annotations").and_then(|it| it.get(name)).and_then(Json::bool);
        let writes_nothing = hint("readOnlyHint") == Some(true);
        let reaches_nobody = match hint("openWorldHint") {
            Some(open) => !open,
            None => writes_nothing,
        };
        Self { writes_nothing, reaches_nobody }
    }

    /// What both claim.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            writes_nothing: self.writes_nothing && other.writes_nothing,
            reaches_nobody: self.reaches_nobody && other.reaches_nobody,
        }
    }
}

impl Definition {
    /// Reads a tool. Nothing when it has no name.
    pub fn read(tool: Json<'_>) -> Option<Self> {
        let name = tool.get("name")?.str()?.to_owned();
        let canonical = serde_json_canonicalizer::to_vec(&tool).unwrap_or_default();
        let digest = blake3::hash(&canonical).to_hex().to_string();
        let schema = tool.get("inputSchema");
        let headers = schema.and_then(|it| headers(it).ok()).unwrap_or_default();
        let arguments = schema.map_or_else(Schema::any, Schema::new);
        let result = tool.get("outputSchema").map(Schema::new);
        let (claims, says) = (Claims::read(tool), approval::Claims::read(tool));
        let roles = Roles::of(tool);
        let parameters = Parameters::read(tool, roles);
        let risk = Risk::of(tool);
        let definition = Self {
            name,
            digest,
            arguments,
            result,
            headers,
            claims,
            says,
            parameters,
            roles,
            risk,
        };
        Some(definition)
    }
}

/// Why a tool's `x-mcp-header` annotations cannot be used (2026-07-28, "Custom Headers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not the name of a header (RFC 9110 §5.6.2, "token").
    #[error("an `x-mcp-header` that is no header name")]
    Syntax,
    /// Two parameters that go into one header.
    #[error("an `x-mcp-header` that occurs twice")]
    Twice,
    /// A value that has no one way to be written in a header.
    #[error("an `x-mcp-header` on what is not a string, an integer or a boolean")]
    Type,
    /// A parameter that may be there once, many times, or not.
    #[error("an `x-mcp-header` on what is not reached by `properties` alone")]
    Place,
}

/// The headers that repeat arguments, as a tool's `inputSchema` has them: argument path and name.
///
/// # Errors
/// When one of them is invalid, and the tool with it.
pub fn headers(schema: Json<'_>) -> Result<Vec<(Vec<String>, String)>, HeaderError> {
    let mut found = Vec::new();
    if schema.all().any(|it| it.name() == Some(HEADER)) {
        find_headers(schema, &mut Vec::new(), true, &mut found)?;
    }
    Ok(found)
}

const HEADER: &str = "x-mcp-header";

fn find_headers(
    schema: Json<'_>,
    path: &mut Vec<String>,
    reached: bool,
    found: &mut Vec<(Vec<String>, String)>,
) -> Result<(), HeaderError> {
    for (name, value) in schema.fields() {
        match name {
            HEADER => {
                let header = value.str().filter(|it| is_token(it)).ok_or(HeaderError::Syntax)?;
                let kind = schema.get("type").and_then(Json::str);
                if !reached || path.is_empty() {
                    return Err(HeaderError::Place);
                }
                if !matches!(kind, Some("string" | "integer" | "boolean")) {
                    return Err(HeaderError::Type);
                }
                if found.iter().any(|(_, it)| it.eq_ignore_ascii_case(header)) {
                    return Err(HeaderError::Twice);
                }
                found.push((path.clone(), header.to_owned()));
            }
            "properties" => {
                for (name, it) in value.fields() {
                    path.push(name.to_owned());
                    find_headers(it, path, reached, found)?;
                    path.pop();
                }
            }
            "patternProperties" | "$defs" | "definitions" | "dependentSchemas" | "dependencies" => {
                for (_, it) in value.fields() {
                    find_headers(it, path, false, found)?;
                }
            }
            "enum" | "const" | "default" | "examples" => (),
            _ => {
                for it in value.items().chain([value]).filter(|it| it.is_object()) {
                    find_headers(it, path, false, found)?;
                }
            }
        }
    }
    Ok(())
}

fn is_token(name: &str) -> bool {
    let is_token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    !name.is_empty() && name.bytes().all(is_token)
}

/// The tools of a server.
#[derive(Debug, Default)]
pub struct Catalog {
    tools: HashMap<String, Arc<Definition>>,
    /// Their names, by what they read as.
    reads: HashMap<String, String>,
}

impl Catalog {
    /// The tool that goes by `name`.
    pub fn tool(&self, name: &str) -> Option<&Arc<Definition>> {
        self.tools.get(name)
    }

    /// What its tools go by.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.keys().map(String::as_str)
    }

    /// A tool with another name that `name` reads as, where no tool goes by `name`.
    pub fn alike(&self, name: &str) -> Option<&str> {
        if self.tools.contains_key(name) {
            return None;
        }
        self.reads.get(&name::folded(name)).map(String::as_str)
    }

    /// Takes in one page of a listing, and says whether a tool in it is another than it was.
    pub fn learn(&mut self, tools: Json<'_>) -> bool {
        let mut changed = false;
        for tool in tools.items().filter_map(Definition::read) {
            let (name, digest) = (tool.name.clone(), tool.digest.clone());
            self.reads.insert(name::folded(&name), name.clone());
            let before = self.tools.insert(name, Arc::new(tool));
            changed |= before.is_some_and(|it| it.digest != digest);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::json::Document;

    fn read(schema: &Value) -> Result<Vec<(Vec<String>, String)>, HeaderError> {
        headers(Document::from_value(schema).unwrap().root())
    }

    #[test]
    fn a_tool_claims_what_it_says_and_no_more() {
        let claims = |annotations: Value| {
            let tool = json!({ "name": "a", "annotations": annotations });
            let claims =
                Definition::read(Document::from_value(&tool).unwrap().root()).unwrap().claims;
            (claims.writes_nothing, claims.reaches_nobody)
        };
        assert_eq!(claims(json!({})), (false, false));
        assert_eq!(claims(json!("readOnlyHint")), (false, false));
        assert_eq!(claims(json!({ "readOnlyHint": "true" })), (false, false));
        assert_eq!(claims(json!({ "readOnlyHint": true })), (true, true));
        assert_eq!(claims(json!({ "readOnlyHint": true, "openWorldHint": true })), (true, false));
        assert_eq!(claims(json!({ "openWorldHint": false })), (false, true));
    }

    #[test]
    fn headers_are_found_by_way_of_properties() {
        let region = json!({ "type": "string", "x-mcp-header": "Region" });
        let nested = json!({ "properties": { "a": { "properties": { "b": region } } } });
        let path = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(read(&nested), Ok(vec![(path, "Region".to_owned())]));
        // A parameter that has this name, and data that looks like a schema.
        let named = json!({ "properties": { "x-mcp-header": { "type": "number" } },
                            "default": { "x-mcp-header": 1 } });
        assert_eq!(read(&named), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_a_header_is_refused() {
        let one = |it: Value| read(&json!({ "properties": { "a": it } }));
        for name in ["", "a b", "a\r\nb", "a:b", "é"] {
            let it = json!({ "type": "string", "x-mcp-header": name });
            assert_eq!(one(it), Err(HeaderError::Syntax), "{name}");
        }
        let it = json!({ "type": "number", "x-mcp-header": "A" });
        assert_eq!(one(it), Err(HeaderError::Type));
        let it = json!({ "type": "string", "x-mcp-header": "A" });
        for place in ["items", "anyOf", "$defs", "additionalProperties", "patternProperties"] {
            let inside = match place {
                "anyOf" => json!([it]),
                "$defs" | "patternProperties" => json!({ "b": it }),
                _ => it.clone(),
            };
            assert_eq!(one(json!({ place: inside })), Err(HeaderError::Place), "{place}");
        }
        let other = json!({ "type": "boolean", "x-mcp-header": "a" });
        let twice = json!({ "properties": { "a": it, "b": other } });
        assert_eq!(read(&twice), Err(HeaderError::Twice));
    }
}
