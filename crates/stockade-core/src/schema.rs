//! JSON Schema, as a guard may use it: no network, no files, linear patterns, bounded work.
//!
//! `jsonschema` compiles and validates. What this adds is an answer to "may that be done at all",
//! in two steps. [`Shape::read`] walks a schema without compiling it, for the listing: how large it
//! is, and where its references lead. [`Schema::check`] knows the arguments too, and counts what
//! validation would do before it is done: references can make the work exponential in the depth of
//! schema or arguments, and a validator that has begun cannot be stopped.

use std::collections::HashMap;
use std::sync::OnceLock;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::check;
use crate::json::{Document, Json, Limits};

/// The most bytes a schema may have, written out.
pub const BYTES_MAX: usize = 256 << 10;
/// The most schemas within a schema.
const SUBSCHEMAS_MAX: usize = 5_000;
/// The most references.
const REFERENCES_MAX: usize = 1_000;
/// The most patterns, and the most bytes of all of them.
const PATTERNS_MAX: usize = 100;
const PATTERN_BYTES_MAX: usize = 8 << 10;
/// How much a compiled pattern may take.
const PATTERN_SIZE_MAX: usize = 256 << 10;
/// How many schemas may apply within each other to one value.
const CHAIN_MAX: usize = 24;
/// How often a schema may be put to a value, for one set of arguments.
const WORK_MAX: u64 = 2_000_000;
/// How many pairs of a schema and a value are looked at to count that.
const PAIRS_MAX: usize = 200_000;

/// Why arguments cannot be checked against a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// More of something than is allowed.
    #[error("{count} {what}, more than {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are, or how many were counted before counting ended.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// A `$schema` that names no published draft.
    #[error("it is in a dialect that is not known")]
    Dialect,
    /// A reference out of the schema, which is never followed, or to nothing.
    #[error("a reference leads out of the schema or to nothing")]
    Reference,
    /// A schema that applies itself to the same value.
    #[error("it refers to itself without end")]
    Endless,
    /// The compiler refuses it.
    #[error("{0}")]
    Invalid(String),
}

/// What is wrong with arguments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The schema cannot be used.
    #[error("the tool's schema cannot be used: {0}")]
    Unusable(#[from] Unusable),
    /// Validation would be too much work.
    #[error("checking them against the tool's schema would take too long")]
    Work,
    /// They do not match.
    #[error("{} does not satisfy `{keyword}`", at(.path))]
    Mismatch {
        /// Where, as a JSON pointer.
        path: String,
        /// The keyword that they fail.
        keyword: String,
    },
}

fn at(path: &str) -> &str {
    if path.is_empty() { "the whole" } else { path }
}

/// The schema of a tool's arguments. It is compiled when it is used first.
#[derive(Debug)]
pub struct Schema {
    source: Box<str>,
    compiled: OnceLock<Result<Compiled, Unusable>>,
}

#[derive(Debug)]
struct Compiled {
    shape: Shape,
    validator: Validator,
}

impl Schema {
    /// The schema that everything matches.
    pub fn any() -> Self {
        Self { source: "true".into(), compiled: OnceLock::new() }
    }

    /// Keeps a schema for later.
    pub fn new(json: Json<'_>) -> Self {
        let source = serde_json::to_string(&json).unwrap_or_default().into();
        Self { source, compiled: OnceLock::new() }
    }

    /// Whether `arguments` match.
    ///
    /// # Errors
    /// When they do not, or when that cannot be said. No value of the arguments is quoted.
    pub fn check(&self, arguments: Json<'_>) -> Result<(), Violation> {
        let compiled = self.compiled.get_or_init(|| compile(&self.source));
        let Compiled { shape, validator } = compiled.as_ref().map_err(Clone::clone)?;
        shape.can_check(arguments)?;
        let value = arguments.to_value();
        if validator.is_valid(&value) {
            return Ok(());
        }
        let Err(error) = validator.validate(&value) else { return Ok(()) };
        Err(Violation::Mismatch {
            path: check::redacted_pointer(error.instance_path().as_str()),
            keyword: error.kind().keyword().to_owned(),
        })
    }
}

/// A schema without `$schema` is read as 2020-12 (2025-11-25, "JSON Schema usage").
fn compile(source: &str) -> Result<Compiled, Unusable> {
    let invalid = |it: &dyn ToString| Unusable::Invalid(it.to_string());
    let bytes = bytes::Bytes::copy_from_slice(source.as_bytes());
    let document = Document::parse(bytes, &Limits::default()).map_err(|it| invalid(&it))?;
    let shape = Shape::read(document.root())?;
    let schema: Value = serde_json::from_str(source).map_err(|it| invalid(&it))?;
    let dialect = document.root().get("$schema").and_then(Json::str);
    let validator = jsonschema::options()
        .with_draft(dialect.map_or(Some(Draft::Draft202012), draft).ok_or(Unusable::Dialect)?)
        .offline()
        .with_pattern_options(
            PatternOptions::regex().size_limit(PATTERN_SIZE_MAX).dfa_size_limit(PATTERN_SIZE_MAX),
        )
        .build(&schema)
        // Its words may quote the schema, which is the server's own; they go to the record.
        .map_err(|it| invalid(&it.masked()))?;
    Ok(Compiled { shape, validator })
}

fn draft(dialect: &str) -> Option<Draft> {
    let name = dialect.strip_prefix("https://").or_else(|| dialect.strip_prefix("http://"))?;
    match name.trim_end_matches('#') {
        "json-schema.org/draft-04/schema" => Some(Draft::Draft4),
        "json-schema.org/draft-06/schema" => Some(Draft::Draft6),
        "json-schema.org/draft-07/schema" => Some(Draft::Draft7),
        "json-schema.org/draft/2019-09/schema" => Some(Draft::Draft201909),
        "json-schema.org/draft/2020-12/schema" => Some(Draft::Draft202012),
        _ => None,
    }
}

/// Which schemas a schema applies, and to what. The first is the whole.
#[derive(Debug)]
pub struct Shape {
    nodes: Vec<Node>,
    /// Whether the work may be more than the sizes say.
    may_grow: bool,
}

/// What a schema applies to the value it is put to, and to the parts of it.
#[derive(Debug, Default)]
struct Node {
    /// To the value itself.
    here: Vec<usize>,
    /// To properties by name.
    named: HashMap<Box<str>, usize>,
    /// To properties without a schema by name.
    unnamed: Vec<usize>,
    /// To every property, or to its name.
    every: Vec<usize>,
    /// To items by place.
    placed: Vec<usize>,
    /// To every item.
    items: Vec<usize>,
    /// How many values it compares with one after the other: an `enum` of objects, say.
    compared: u64,
    /// `unevaluated…` puts what applies here to the value once more, to see what it covers, and
    /// keeps lists while it does: at every level, so it counts like references.
    covers: bool,
}

impl Shape {
    /// Whether a schema is so plain that [`Self::read`] would have nothing to say: small, without
    /// references, dialects or patterns. Most are.
    pub fn is_plain(schema: Json<'_>) -> bool {
        schema.is_object()
            && schema.all().take(SUBSCHEMAS_MAX).count() < SUBSCHEMAS_MAX
            && !schema
                .all()
                .filter_map(Json::name)
                .any(|it| it.starts_with('$') || it.starts_with("pattern"))
    }

    /// Reads what a schema applies, and refuses what is too large or leads elsewhere.
    ///
    /// # Errors
    /// When arguments cannot be checked against it.
    pub fn read(schema: Json<'_>) -> Result<Self, Unusable> {
        let mut walk = Walk::default();
        walk.node(schema, schema)?;
        walk.all()?;
        let has_references = walk.references > 0;
        let may_grow = has_references || walk.nodes.iter().any(|it| it.covers || it.compared > 0);
        let shape = Self { nodes: walk.nodes, may_grow };
        if has_references {
            let mut heights = HashMap::new();
            for node in 0..shape.nodes.len() {
                shape.height(node, CHAIN_MAX, &mut heights)?;
            }
        }
        Ok(shape)
    }

    /// How many schemas apply within each other from `node` on, at most `left`.
    fn height(
        &self,
        node: usize,
        left: usize,
        known: &mut HashMap<usize, usize>,
    ) -> Result<usize, Unusable> {
        if let Some(height) = known.get(&node).filter(|it| **it <= left) {
            return Ok(*height);
        }
        if left == 0 {
            // A circle is a chain that is longer than any other.
            return Err(Unusable::Endless);
        }
        let mut height = 0;
        for it in self.nodes.get(node).into_iter().flat_map(|it| &it.here) {
            height = height.max(self.height(*it, left - 1, known)?);
        }
        known.insert(node, height + 1);
        Ok(height + 1)
    }

    /// Counts what validation would do, by doing it once for each pair of a schema and a value.
    fn can_check(&self, arguments: Json<'_>) -> Result<(), Violation> {
        let values = arguments.all().count();
        if !self.may_grow && (values * self.nodes.len()) as u64 <= WORK_MAX {
            return Ok(());
        }
        let mut known = HashMap::new();
        let work = self.work(0, arguments, &mut known).ok_or(Violation::Work)?;
        if work > WORK_MAX { Err(Violation::Work) } else { Ok(()) }
    }

    /// How often schemas are put to values when `node` is put to `json`. Nothing, when it takes too
    /// long to say. It goes as deep as the arguments nest, times [`CHAIN_MAX`].
    fn work(
        &self,
        node: usize,
        json: Json<'_>,
        known: &mut HashMap<(usize, u32), u64>,
    ) -> Option<u64> {
        let pair = (node, json.number());
        if let Some(work) = known.get(&pair) {
            return Some(*work);
        }
        if known.len() >= PAIRS_MAX {
            return None;
        }
        let it = self.nodes.get(node)?;
        let mut work = it.compared.saturating_add(1);
        for applied in &it.here {
            work = work.saturating_add(self.work(*applied, json, known)?);
        }
        if it.covers {
            work = work.saturating_mul(4);
        }
        for (name, value) in json.fields() {
            let named = it.named.get(name);
            let unnamed = it.unnamed.iter().filter(|_| named.is_none());
            for applied in named.into_iter().chain(unnamed).chain(&it.every) {
                work = work.saturating_add(self.work(*applied, value, known)?);
            }
        }
        for (at, value) in json.items().enumerate() {
            for applied in it.placed.get(at).into_iter().chain(&it.items) {
                work = work.saturating_add(self.work(*applied, value, known)?);
            }
        }
        known.insert(pair, work);
        Some(work)
    }
}

/// How many values of an `enum` are compared one by one, with all that is in them. Strings and integers
/// are looked up.
fn compared(json: Json<'_>) -> u64 {
    let is_slow =
        |it: &Json<'_>| it.is_object() || it.is_array() || it.f64().is_some() && it.i64().is_none();
    json.items().filter(is_slow).map(|it| it.all().count() as u64).sum()
}

/// A schema while it is walked.
#[derive(Default)]
struct Walk<'a> {
    nodes: Vec<Node>,
    /// The schemas found, with the resource (the schema with an `$id`) that each is in.
    found: Vec<(Json<'a>, Json<'a>)>,
    known: HashMap<u32, usize>,
    identified: Vec<(&'a str, Json<'a>)>,
    anchored: Vec<(&'a str, usize)>,
    references: usize,
    patterns: usize,
    pattern_bytes: usize,
}

impl<'a> Walk<'a> {
    /// The number of the schema `json`, which is walked later if it is new.
    fn node(&mut self, json: Json<'a>, resource: Json<'a>) -> Result<usize, Unusable> {
        if let Some(at) = self.known.get(&json.number()) {
            return Ok(*at);
        }
        let at = self.nodes.len();
        within("subschemas", at + 1, SUBSCHEMAS_MAX)?;
        self.nodes.push(Node::default());
        self.known.insert(json.number(), at);
        let id = ["$id", "id"].iter().find_map(|it| json.get(it)?.str());
        let resource = match id.filter(|it| !it.starts_with('#')) {
            Some(id) => {
                self.identified.push((id.trim_end_matches('#'), json));
                json
            }
            None => resource,
        };
        let anchors = ["$anchor", "$dynamicAnchor"].map(|it| json.get(it).and_then(Json::str));
        let old = id.and_then(|it| it.strip_prefix('#'));
        self.anchored.extend(anchors.into_iter().chain([old]).flatten().map(|it| (it, at)));
        if json.get("$recursiveAnchor").and_then(Json::bool) == Some(true) {
            self.anchored.push(("$recursiveAnchor", at));
        }
        self.found.push((json, resource));
        Ok(at)
    }

    /// Walks what was found, then follows the references, which may find more.
    fn all(&mut self) -> Result<(), Unusable> {
        let (mut walked, mut followed) = (0, 0);
        loop {
            if let Some((json, resource)) = self.found.get(walked).copied() {
                self.walk(walked, json, resource)?;
                walked += 1;
            } else if let Some((json, resource)) = self.found.get(followed).copied() {
                self.follow(followed, json, resource)?;
                followed += 1;
            } else {
                return Ok(());
            }
        }
    }

    fn walk(&mut self, at: usize, json: Json<'a>, resource: Json<'a>) -> Result<(), Unusable> {
        let mut node = Node::default();
        for (name, value) in json.fields() {
            match name {
                "$schema" => {
                    let known = value.str().and_then(draft).is_some();
                    known.then_some(()).ok_or(Unusable::Dialect)?;
                }
                "not" | "if" | "then" | "else" => node.here.push(self.node(value, resource)?),
                "allOf" | "anyOf" | "oneOf" => {
                    for it in value.items() {
                        node.here.push(self.node(it, resource)?);
                    }
                }
                "dependentSchemas" | "dependencies" => {
                    for (_, it) in value.fields().filter(|(_, it)| !it.is_array()) {
                        node.here.push(self.node(it, resource)?);
                    }
                }
                "properties" => {
                    for (name, it) in value.fields() {
                        node.named.insert(name.into(), self.node(it, resource)?);
                    }
                }
                "patternProperties" => {
                    for (pattern, it) in value.fields() {
                        self.pattern(pattern)?;
                        node.every.push(self.node(it, resource)?);
                    }
                }
                "enum" | "const" => node.compared += compared(value),
                "pattern" => self.pattern(value.str().unwrap_or_default())?,
                "additionalProperties" => node.unnamed.push(self.node(value, resource)?),
                "unevaluatedProperties" => {
                    node.covers = true;
                    node.every.push(self.node(value, resource)?);
                }
                "unevaluatedItems" => {
                    node.covers = true;
                    node.items.push(self.node(value, resource)?);
                }
                "propertyNames" => node.every.push(self.node(value, resource)?),
                "prefixItems" | "items" if value.is_array() => {
                    for it in value.items() {
                        node.placed.push(self.node(it, resource)?);
                    }
                }
                "items" | "additionalItems" | "contains" => {
                    node.items.push(self.node(value, resource)?);
                }
                "$defs" | "definitions" => {
                    for (_, it) in value.fields() {
                        self.node(it, resource)?;
                    }
                }
                _ => (),
            }
        }
        if let Some(it) = self.nodes.get_mut(at) {
            *it = node;
        }
        Ok(())
    }

    fn pattern(&mut self, pattern: &str) -> Result<(), Unusable> {
        self.patterns += 1;
        self.pattern_bytes += pattern.len();
        within("patterns", self.patterns, PATTERNS_MAX)?;
        within("bytes of patterns", self.pattern_bytes, PATTERN_BYTES_MAX)
    }

    fn follow(&mut self, at: usize, json: Json<'a>, resource: Json<'a>) -> Result<(), Unusable> {
        for (name, value) in json.fields() {
            let targets = match (name, value.str()) {
                ("$ref", Some(to)) => self.targets(to, resource)?,
                ("$dynamicRef", Some(to)) => {
                    // Where it leads depends on the way that led to it: so, to each of them.
                    let mut targets = self.targets(to, resource)?;
                    let anchor = to.rsplit('#').next().unwrap_or_default();
                    targets.extend(self.anchored(anchor));
                    targets
                }
                ("$recursiveRef", Some(to)) => {
                    let mut targets = self.targets(to, resource)?;
                    targets.extend(self.anchored("$recursiveAnchor"));
                    targets
                }
                _ => continue,
            };
            self.references += 1;
            within("references", self.references, REFERENCES_MAX)?;
            if let Some(node) = self.nodes.get_mut(at) {
                node.here.extend(targets);
            }
        }
        Ok(())
    }

    fn anchored<'w>(&'w self, anchor: &'w str) -> impl Iterator<Item = usize> + 'w {
        self.anchored.iter().filter(move |(it, _)| *it == anchor).map(|(_, at)| *at)
    }

    /// What a reference may lead to. More than one, where that would take a base URI to know: the
    /// compiler will know, and here it is about how much there is to do at most.
    fn targets(&mut self, to: &str, resource: Json<'a>) -> Result<Vec<usize>, Unusable> {
        let (address, fragment) = to.split_once('#').unwrap_or((to, ""));
        let resources: Vec<Json<'a>> = if address.is_empty() {
            vec![resource]
        } else {
            let last = |it: &str| it.rsplit('/').next().unwrap_or_default().to_owned();
            let same = |it: &&(&str, _)| it.0 == address || last(it.0) == last(address);
            self.identified.iter().filter(same).map(|(_, it)| *it).collect()
        };
        if resources.is_empty() && draft(address).is_some() && self.anchored.is_empty() {
            // The schema of schemas is built in. What it applies, it applies to parts.
            return Ok(Vec::new());
        }
        let mut targets = Vec::new();
        for resource in resources {
            if fragment.is_empty() {
                targets.push(self.node(resource, resource)?);
            } else if fragment.starts_with('/') {
                let found = resource.at_pointer(&unescape(fragment));
                if let Some(found) = found {
                    targets.push(self.node(found, resource)?);
                }
            } else {
                targets.extend(self.anchored(fragment));
            }
        }
        if targets.is_empty() { Err(Unusable::Reference) } else { Ok(targets) }
    }
}

fn within(what: &'static str, count: usize, max: usize) -> Result<(), Unusable> {
    if count > max { Err(Unusable::TooMany { what, count, max }) } else { Ok(()) }
}

/// A URI's fragment without percent signs (RFC 3986 §2.1).
pub(crate) fn unescape(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: &Value, arguments: &Value) -> Result<(), Violation> {
        let (schema, arguments) = (document(schema), document(arguments));
        Schema::new(schema.root()).check(arguments.root())
    }

    fn document(value: &Value) -> Document {
        Document::from_value(value).unwrap()
    }

    fn shape(schema: &Value) -> Result<Shape, Unusable> {
        Shape::read(document(schema).root())
    }

    /// A row of definitions, each of which refers to the next by way of `keyword`, `width` times.
    fn fan_out(levels: usize, keyword: &str, width: usize) -> Value {
        let mut defs = serde_json::Map::new();
        for level in 0..levels {
            let next = json!({ "$ref": format!("#/$defs/d{}", level + 1) });
            defs.insert(format!("d{level}"), json!({ keyword: vec![next; width] }));
        }
        defs.insert(format!("d{levels}"), json!({ "type": "object" }));
        json!({ "$ref": "#/$defs/d0", "$defs": defs })
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!({}), |it, _| json!({ "x": it }))
    }

    #[test]
    fn every_draft_is_read_as_itself() {
        let tuple = |dialect: &str| json!({ "$schema": dialect, "properties": { "a": { "items": [{ "type": "integer" }] } } });
        let arguments = json!({ "a": ["x"] });
        for old in ["draft-04", "draft-06", "draft-07", "draft/2019-09"] {
            let dialect = format!("http://json-schema.org/{old}/schema#");
            assert!(check(&tuple(&dialect), &arguments).is_err(), "{old}");
        }
        let prefix = json!({ "properties": { "a": { "prefixItems": [{ "type": "integer" }] } } });
        assert!(check(&prefix, &arguments).is_err());
        let unknown = tuple("https://example.com/mine");
        assert_eq!(shape(&unknown).unwrap_err(), Unusable::Dialect);
        assert!(matches!(check(&unknown, &arguments), Err(Violation::Unusable(_))));
        let hidden = json!({ "$defs": { "a": { "$schema": "urn:x" } } });
        assert_eq!(shape(&hidden).unwrap_err(), Unusable::Dialect);
    }

    #[test]
    fn what_does_not_match_is_not_quoted() {
        let schema = json!({ "properties": { "a": { "items": { "const": "x" } } } });
        let said = check(&schema, &json!({ "a": ["hunter2"] })).unwrap_err().to_string();
        assert_eq!(said, "/a/0 does not satisfy `const`");
        let said = check(&json!({ "required": ["a"] }), &json!({ "b": "hunter2" })).unwrap_err();
        assert_eq!(said.to_string(), "the whole does not satisfy `required`");
    }

    #[test]
    fn references_stay_inside() {
        for bad in [
            json!({ "$ref": "http://127.0.0.1:1/schema" }),
            json!({ "$ref": "file:///etc/passwd" }),
            json!({ "$ref": "other.json" }),
            json!({ "$ref": "#/$defs/none" }),
            json!({ "$ref": "#none" }),
            json!({ "properties": { "a": { "$dynamicRef": "https://example.com/x#meta" } } }),
        ] {
            assert_eq!(shape(&bad).unwrap_err(), Unusable::Reference, "{bad}");
        }
        for good in [
            json!({ "$ref": "#/$defs/a%25b", "$defs": { "a%b": {} } }),
            json!({ "$ref": "#a", "$defs": { "x": { "$anchor": "a" } } }),
            json!({ "$id": "http://example.com/root", "$ref": "a",
                    "$defs": { "x": { "$id": "http://example.com/a" } } }),
            json!({ "$ref": "https://json-schema.org/draft/2020-12/schema" }),
            json!({ "properties": { "$ref": { "type": "string" } } }),
            json!({ "enum": [{ "$ref": "http://127.0.0.1:1/schema" }, {}] }),
        ] {
            assert!(check(&good, &json!({})).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_schema_that_never_ends_is_refused() {
        for bad in [
            json!({ "$ref": "#" }),
            json!({ "allOf": [{ "$ref": "#/$defs/a" }], "$defs": { "a": { "not": { "$ref": "#" } } } }),
            json!({ "$dynamicAnchor": "n", "anyOf": [{ "$dynamicRef": "#n" }] }),
            json!({ "$schema": "https://json-schema.org/draft/2019-09/schema",
                    "$recursiveAnchor": true, "if": { "$recursiveRef": "#" } }),
            fan_out(100, "allOf", 2),
        ] {
            assert_eq!(shape(&bad).unwrap_err(), Unusable::Endless, "{bad}");
        }
    }

    #[test]
    fn a_large_schema_is_refused() {
        let many = |what: &str, count: usize| json!({ what: vec![json!({}); count] });
        assert!(matches!(shape(&many("anyOf", 100_000)), Err(Unusable::TooMany { .. })));
        assert!(shape(&many("anyOf", 1_000)).is_ok());
        let long = json!({ "pattern": "a".repeat(10_000) });
        assert!(matches!(shape(&long), Err(Unusable::TooMany { .. })));
        let refs = vec![json!({ "$ref": "#/$defs/a" }); 2_000];
        let refs = json!({ "anyOf": refs, "$defs": { "a": {} } });
        assert!(matches!(shape(&refs), Err(Unusable::TooMany { .. })));
        let large = json!({ "pattern": "(\\w{1000}){1000}" });
        assert!(matches!(check(&large, &json!("x")), Err(Violation::Unusable(_))));
    }

    #[test]
    fn exponential_work_is_counted_and_not_done() {
        for keyword in ["allOf", "anyOf", "oneOf"] {
            let schema = fan_out(10, keyword, 2);
            assert_ne!(check(&schema, &json!({})), Err(Violation::Work), "{keyword}");
            assert_eq!(check(&fan_out(10, keyword, 90), &json!({})), Err(Violation::Work));
            // Each level is two in the chain: the reference, and the list it is in.
            let long = fan_out(CHAIN_MAX / 2, keyword, 2);
            assert_eq!(shape(&long).unwrap_err(), Unusable::Endless);
        }
        let next = json!({ "properties": { "x": { "$ref": "#" } } });
        let twice = json!({ "allOf": [next.clone(), next] });
        assert_eq!(check(&twice, &nested(50)), Err(Violation::Work));
        assert_eq!(check(&twice, &nested(10)), Ok(()));
        let dynamic = json!({ "$dynamicAnchor": "n", "allOf": [
            { "additionalProperties": { "$dynamicRef": "#n" } },
            { "patternProperties": { "": { "$dynamicRef": "#n" } } },
        ] });
        assert_eq!(check(&dynamic, &nested(50)), Err(Violation::Work));
        let covered = json!({ "unevaluatedProperties": { "$ref": "#" }, "allOf": [twice] });
        assert_eq!(check(&covered, &nested(50)), Err(Violation::Work));
    }

    #[test]
    fn what_is_compared_one_by_one_is_counted() {
        for (value, expected) in [
            (json!({ "a": 0 }), Err(Violation::Work)),
            (json!([0]), Err(Violation::Work)),
            (json!(0.5), Err(Violation::Work)),
            (json!("a"), Ok(())),
            (json!(1), Ok(())),
        ] {
            let schema = json!({ "items": { "enum": vec![value.clone(); 2000] } });
            assert_eq!(check(&schema, &json!(vec![value.clone(); 2000])), expected, "{value}");
            assert_eq!(check(&schema, &json!([value])), Ok(()));
        }
    }

    #[test]
    fn what_is_covered_is_counted_at_every_level() {
        let nest = |levels: usize, list: &str| {
            (0..levels).fold(
                json!({ "properties": { "a": {} } }),
                |it, _| json!({ list: [it], "unevaluatedProperties": false }),
            )
        };
        for list in ["allOf", "anyOf", "oneOf"] {
            assert_eq!(check(&nest(24, list), &json!({ "a": 1 })), Err(Violation::Work), "{list}");
            assert_eq!(check(&nest(4, list), &json!({ "a": 1 })), Ok(()), "{list}");
        }
    }

    #[test]
    fn honest_recursion_is_checked_to_the_depth_of_any_message() {
        let tree = json!({ "type": "object", "additionalProperties": { "$ref": "#" } });
        assert_eq!(check(&tree, &nested(60)), Ok(()));
        let wrong = json!({ "x": { "x": { "x": 1 } } });
        let Err(Violation::Mismatch { path, .. }) = check(&tree, &wrong) else { panic!() };
        assert_eq!(path, "/x/x/x");
        // The longest chain at every depth, on the small stack of a test's thread.
        let chain = (0..CHAIN_MAX - 2).fold(
            json!({ "additionalProperties": { "$ref": "#" } }),
            |it, _| json!({ "allOf": [it] }),
        );
        assert_eq!(check(&chain, &nested(60)), Ok(()));
    }
}
