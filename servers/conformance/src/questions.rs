//! What the fixture asks its clients, as the wire carries it.

use rmcp::ErrorData;
use rmcp::model::InputRequest;
use serde_json::{Value, json};

/// A question as rmcp sends it. The only thing that can be wrong with it is this file.
pub(crate) fn question(wire: Value) -> Result<InputRequest, ErrorData> {
    serde_json::from_value(wire)
        .map_err(|error| ErrorData::internal_error(format!("not a question: {error}"), None))
}

pub(crate) fn elicit(message: &str, properties: &Value, required: &[&str]) -> Value {
    json!({ "method": "elicitation/create", "params": {
        "mode": "form",
        "message": message,
        "requestedSchema": { "type": "object", "properties": properties, "required": required },
    }})
}

pub(crate) fn sample(text: &str, tokens_max: u32) -> Value {
    json!({ "method": "sampling/createMessage", "params": {
        "messages": [{ "role": "user", "content": { "type": "text", "text": text } }],
        "maxTokens": tokens_max,
    }})
}

pub(crate) fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

pub(crate) fn name(message: &str) -> Value {
    elicit(message, &json!({ "name": { "type": "string" } }), &["name"])
}

pub(crate) fn confirm() -> Value {
    elicit("Please confirm", &json!({ "ok": { "type": "boolean" } }), &["ok"])
}

pub(crate) fn response(message: &str) -> Value {
    let properties = json!({
        "username": { "type": "string", "description": "User's response" },
        "email": { "type": "string", "description": "User's email address" },
    });
    elicit(message, &properties, &["username", "email"])
}

pub(crate) fn defaults() -> Value {
    let properties = json!({
        "name": { "type": "string", "description": "User name", "default": "John Doe" },
        "age": { "type": "integer", "description": "User age", "default": 30 },
        "score": { "type": "number", "description": "User score", "default": 95.5 },
        "status": {
            "type": "string",
            "description": "User status",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": { "type": "boolean", "description": "Verification", "default": true },
    });
    elicit("Please review and update the form fields with defaults", &properties, &[])
}

pub(crate) fn choices() -> Value {
    let titled = |titles: [&str; 3]| {
        let choices = titles.iter().enumerate();
        choices
            .map(|(at, title)| json!({ "const": format!("value{}", at + 1), "title": title }))
            .collect::<Value>()
    };
    let properties = json!({
        "untitledSingle": { "type": "string", "enum": ["option1", "option2", "option3"] },
        "titledSingle": {
            "type": "string",
            "oneOf": titled(["First Option", "Second Option", "Third Option"]),
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {
            "type": "array",
            "items": { "type": "string", "enum": ["option1", "option2", "option3"] },
        },
        "titledMulti": {
            "type": "array",
            "items": { "anyOf": titled(["First Choice", "Second Choice", "Third Choice"]) },
        },
    });
    elicit("Please select options from the enum fields", &properties, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_one_and_keeps_its_words() {
        for wire in [
            sample("Hello", 100),
            name("Who?"),
            confirm(),
            response("Hello"),
            defaults(),
            choices(),
        ] {
            let sent = serde_json::to_value(question(wire.clone()).unwrap()).unwrap();
            let properties = "/params/requestedSchema/properties";
            assert_eq!(sent.pointer(properties), wire.pointer(properties));
            assert_eq!(sent["method"], wire["method"]);
        }
        assert!(question(roots()).is_ok());
    }
}
