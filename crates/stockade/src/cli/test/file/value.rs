//! What may stand in a file beside texts and numbers: paths, expressions, matchers, an era, and whatever
//! TOML can say.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use serde_json_path::JsonPath;

use crate::cli::asked::Spoken;

/// A JSONPath, as it was written.
#[derive(Clone, Debug)]
pub(in crate::cli::test) struct Query(String, JsonPath);

impl Query {
    pub(in crate::cli::test) fn path(&self) -> &JsonPath {
        &self.1
    }
}

impl FromStr for Query {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = JsonPath::parse(text);
        path.map(|it| Self(text.to_owned(), it))
            .map_err(|it| format!("`{text}` is no JSONPath (RFC 9535): {it}"))
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Query {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A regular expression, as it was written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::cli::test) struct Pattern(pub(in crate::cli::test) Regex);

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, regex::Error> {
        Regex::new(&text).map(Self)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.as_str().to_owned()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// What a value that is another each time must be all the same.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli::test) enum Matcher {
    /// Whatever it is.
    Any,
    Text,
    Number,
    Truth,
    /// A time, as RFC 3339 writes it.
    Timestamp,
    Uuid,
    /// A text in which this regular expression is found.
    Matches(Pattern),
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Text => f.write_str("string"),
            Self::Number => f.write_str("number"),
            Self::Truth => f.write_str("boolean"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Uuid => f.write_str("uuid"),
            // Between slashes, or it could be the name of another.
            Self::Matches(pattern) => write!(f, "/{}/", pattern.0.as_str()),
        }
    }
}

impl FromStr for Matcher {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(pattern) = text.strip_prefix('/').and_then(|it| it.strip_suffix('/')) {
            let regex = Regex::new(pattern).map_err(|it| it.to_string())?;
            return Ok(Self::Matches(Pattern(regex)));
        }
        Ok(match text {
            "any" => Self::Any,
            "string" => Self::Text,
            "number" => Self::Number,
            "boolean" => Self::Truth,
            "timestamp" => Self::Timestamp,
            "uuid" => Self::Uuid,
            _ => {
                return Err(format!(
                    "there is no matcher `{text}`: one of any, string, number, boolean, timestamp, \
                     uuid, or /a regular expression/"
                ));
            }
        })
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is another each time, by where it is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(try_from = "BTreeMap<String, Matcher>", into = "BTreeMap<String, Matcher>")]
pub(in crate::cli::test) struct Matchers(pub(in crate::cli::test) Vec<(Query, Matcher)>);

impl Matchers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<BTreeMap<String, Matcher>> for Matchers {
    type Error = String;

    fn try_from(all: BTreeMap<String, Matcher>) -> Result<Self, String> {
        let each = all.into_iter().map(|(path, it)| Ok((path.parse()?, it)));
        each.collect::<Result<_, String>>().map(Self)
    }
}

impl From<Matchers> for BTreeMap<String, Matcher> {
    fn from(all: Matchers) -> Self {
        all.0.into_iter().map(|(path, it)| (path.to_string(), it)).collect()
    }
}

/// What is spoken, as it was written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::cli::test) struct Era(
    pub(in crate::cli::test) String,
    pub(in crate::cli::test) Spoken,
);

impl TryFrom<String> for Era {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let spoken = text.parse()?;
        Ok(Self(text, spoken))
    }
}

impl From<Era> for String {
    fn from(era: Era) -> Self {
        era.0
    }
}

/// Whatever TOML can say, as JSON.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli::test) struct Json(pub(in crate::cli::test) Value);

impl Json {
    /// An object: what it is, or what the text says in JSON. TOML has no null.
    pub(in crate::cli::test) fn object(&self) -> Result<Map<String, Value>, String> {
        let value = match &self.0 {
            Value::String(text) => serde_json::from_str(text).map_err(|it| it.to_string())?,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => self.0.clone(),
        };
        let Value::Object(object) = value else {
            return Err("it is neither a table nor an object in JSON".to_owned());
        };
        Ok(object)
    }

    /// As it is written: a table, or where TOML cannot say it, a text.
    pub(in crate::cli::test) fn of(value: Value) -> Self {
        match has_null(&value) {
            true => Self(value.to_string().into()),
            false => Self(value),
        }
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        // A whole number of TOML has 64 bits and a sign.
        Value::Number(it) => it.is_u64() && !it.is_i64(),
        Value::Bool(_) | Value::String(_) => false,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        plain(value).map(Self).ok_or_else(|| serde::de::Error::custom("JSON has no such number"))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

fn plain(value: toml::Value) -> Option<Value> {
    Some(match value {
        toml::Value::String(it) => it.into(),
        toml::Value::Integer(it) => it.into(),
        // Neither infinity nor what is not a number.
        toml::Value::Float(it) => serde_json::Number::from_f64(it)?.into(),
        toml::Value::Boolean(it) => it.into(),
        toml::Value::Datetime(it) => it.to_string().into(),
        toml::Value::Array(items) => {
            items.into_iter().map(plain).collect::<Option<Vec<_>>>()?.into()
        }
        toml::Value::Table(members) => {
            let each = members.into_iter().map(|(name, it)| Some((name, plain(it)?)));
            Value::Object(each.collect::<Option<_>>()?)
        }
    })
}
