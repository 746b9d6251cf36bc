//! Headers that repeat the body, and must say the same (2026-07-28, "Request Headers" and "Server
//! Validation"; SEP-2243).
//!
//! A proxy in front of a server may decide by headers what the server does by the body. So whoever
//! reads the body refuses the request when the two differ, whatever else is right with it.

use http::{HeaderMap, HeaderName, HeaderValue};
use stockade_core::catalog::Definition;
use stockade_core::json::Json;
use stockade_core::message::Message;
use stockade_core::revision::{META_VERSION, named_by};

use crate::http::headers::{METHOD, NAME, PARAM, PROTOCOL_VERSION, untext};

/// A header that is missing, or says something else than the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It must be there.
    #[error("the header `{0}` is missing")]
    Missing(String),
    /// It is there more than once, or is not what a header of its kind can be.
    #[error("the header `{0}` cannot be read")]
    Unreadable(String),
    /// It is not what the body says.
    #[error("the header `{0}` does not equal the body")]
    Differs(String),
}

/// Checks every header that repeats something of `message`.
///
/// # Errors
/// The first header that does not say what the body says.
pub fn check(
    headers: &HeaderMap,
    message: &Message,
    definition: Option<&Definition>,
) -> Result<(), Mismatch> {
    let version = message.meta(META_VERSION).and_then(Json::str);
    equal(headers, &PROTOCOL_VERSION, version.or_else(|| plain(headers, &PROTOCOL_VERSION)))?;
    equal(headers, &METHOD, message.method())?;
    let name = message.method().and_then(named_by).and_then(|it| message.get(it)?.str());
    equal(headers, &NAME, name)?;
    let bound = definition.into_iter().flat_map(|it| &it.headers);
    for (path, header) in bound {
        let header = format!("{PARAM}{}", header.to_ascii_lowercase());
        let Ok(header) = HeaderName::from_bytes(header.as_bytes()) else { continue };
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        let argument = message.get("arguments").and_then(|it| it.path(&steps));
        param(headers, &header, argument.filter(|it| !it.is_null()))?;
    }
    Ok(())
}

/// The value of a header that occurs once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

fn plain<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    only(headers, name)?.to_str().ok()
}

fn equal(headers: &HeaderMap, name: &HeaderName, body: Option<&str>) -> Result<(), Mismatch> {
    let unreadable = || Mismatch::Unreadable(name.to_string());
    match (headers.contains_key(name), body) {
        (false, None) => Ok(()),
        (false, Some(_)) => Err(Mismatch::Missing(name.to_string())),
        (true, None) => Err(Mismatch::Differs(name.to_string())),
        (true, Some(body)) => {
            let said =
                untext(only(headers, name).ok_or_else(unreadable)?).ok_or_else(unreadable)?;
            if said == body { Ok(()) } else { Err(Mismatch::Differs(name.to_string())) }
        }
    }
}

fn param(
    headers: &HeaderMap,
    name: &HeaderName,
    argument: Option<Json<'_>>,
) -> Result<(), Mismatch> {
    let Some(argument) = argument else { return equal(headers, name, None) };
    let numbers = plain(headers, name).and_then(|it| it.parse::<i64>().ok()).zip(argument.i64());
    if let Some((said, body)) = numbers {
        // "Integers are compared numerically."
        let differs = Mismatch::Differs(name.to_string());
        return if said == body { Ok(()) } else { Err(differs) };
    }
    let body = argument.str().map_or_else(|| argument.to_value().to_string(), str::to_owned);
    equal(headers, name, Some(&body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use stockade_core::json::{Document, Limits};
    use stockade_core::message::Side;

    const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"dé",
        "arguments":{"region":"eu","n":7},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;

    fn check_with(headers: &[(&str, &str)], body: &str) -> Result<(), Mismatch> {
        let source = Bytes::copy_from_slice(body.as_bytes());
        let message = Message::parse(Side::Client, source, &Limits::default()).unwrap();
        let tool = serde_json::json!({ "name": "dé", "inputSchema": { "type": "object", "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "n": { "type": "integer", "x-mcp-header": "N" } } } });
        let mut definition = Definition::read(Document::from_value(&tool).unwrap().root()).unwrap();
        definition.headers = vec![
            (vec!["region".to_owned()], "Region".to_owned()),
            (vec!["n".to_owned()], "N".to_owned()),
        ];
        let map = headers
            .iter()
            .map(|(name, value)| {
                (name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            })
            .collect();
        check(&map, &message, Some(&definition))
    }

    #[test]
    fn headers_must_say_what_the_body_says() {
        let right = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "=?base64?ZMOp?="),
            ("mcp-param-region", "eu"),
            ("mcp-param-n", "07"),
        ];
        assert_eq!(check_with(&right, CALL), Ok(()));
        for n in 0..right.len() {
            let mut missing = right.to_vec();
            missing.remove(n);
            assert!(check_with(&missing, CALL).is_err(), "without {:?}", right[n]);
            for wrong in ["x", "=?base64?!!?=", "=?base64?ZMOp", "TOOLS/CALL", ""] {
                let mut headers = right.to_vec();
                headers[n].1 = wrong;
                assert!(check_with(&headers, CALL).is_err(), "{} {wrong}", right[n].0);
            }
        }
    }
}
