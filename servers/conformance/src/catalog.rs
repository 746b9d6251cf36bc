//! The lists that the suite looks for, as the wire carries them, and the contents that never
//! change.

use serde_json::{Value, json};

/// A red pixel.
pub(crate) const PNG: &str = concat!(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAF",
    "BQIAX8jx0gAAAABJRU5ErkJggg==",
);

/// A WAV file with one silent sample.
pub(crate) const WAV: &str = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA==";

pub(crate) fn tools() -> Value {
    let none = || json!({});
    json!([
        tool("test_simple_text", "Returns a text.", none()),
        tool("test_image_content", "Returns an image.", none()),
        tool("test_audio_content", "Returns a sound.", none()),
        tool("test_embedded_resource", "Returns a resource.", none()),
        tool("test_multiple_content_types", "Returns a text, an image and a resource.", none()),
        tool("test_tool_with_logging", "Logs three messages.", none()),
        tool("test_logging_tool", "Logs a message.", none()),
        tool("test_tool_with_progress", "Reports progress three times.", none()),
        tool("test_error_handling", "Returns an error.", none()),
        tool("test_sampling", "Asks the client's model.", required("prompt")),
        tool("test_elicitation", "Asks the user.", required("message")),
        tool("test_elicitation_sep1034_defaults", "Asks the user, with defaults.", none()),
        tool("test_elicitation_sep1330_enums", "Asks the user to choose.", none()),
        tool("test_streaming_elicitation", "Asks the user during a call.", none()),
        tool("test_reconnection", "Answers late, so that a stream can break before.", none()),
        tool("test_missing_capability", "Needs a client that can be sampled.", none()),
        tool("test_trigger_tool_change", "Says that the tools have changed.", none()),
        tool("test_trigger_prompt_change", "Says that the prompts have changed.", none()),
        tool("test_input_required_result_elicitation", "Asks the user by its result.", none()),
        tool("test_input_required_result_sampling", "Asks the model by its result.", none()),
        tool("test_input_required_result_list_roots", "Asks for the roots.", none()),
        tool("test_input_required_result_request_state", "Asks, and keeps state.", none()),
        tool("test_input_required_result_multiple_inputs", "Asks three at once.", none()),
        tool("test_input_required_result_multi_round", "Asks twice.", none()),
        tool("test_input_required_result_tampered_state", "Asks, and trusts no state.", none()),
        tool("test_input_required_result_capabilities", "Asks what it may ask.", none()),
        tool(
            "test_custom_headers",
            "Has an argument that travels as a header.",
            json!({
                "type": "object",
                "properties": { "region": { "type": "string", "x-mcp-header": "Region" } },
            })
        ),
        tool(
            "json_schema_2020_12_tool",
            "Tool with JSON Schema 2020-12 features",
            schema_2020_12()
        ),
    ])
}

fn tool(name: &str, description: &str, schema: Value) -> Value {
    let schema =
        if schema == json!({}) { json!({ "type": "object", "properties": {} }) } else { schema };
    json!({ "name": name, "description": description, "inputSchema": schema })
}

fn required(name: &str) -> Value {
    json!({
        "type": "object",
        "properties": { name: { "type": "string" } },
        "required": [name],
    })
}

fn schema_2020_12() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
        }},
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": {
            "properties": { "contactMethod": { "const": "phone" } },
            "required": ["contactMethod"],
        },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

pub(crate) fn prompts() -> Value {
    json!([
        { "name": "test_simple_prompt", "description": "A prompt without arguments." },
        {
            "name": "test_prompt_with_arguments",
            "description": "A prompt with two arguments.",
            "arguments": [
                { "name": "arg1", "description": "First test argument", "required": true },
                { "name": "arg2", "description": "Second test argument", "required": true },
            ],
        },
        {
            "name": "test_prompt_with_embedded_resource",
            "description": "A prompt with a resource.",
            "arguments": [{
                "name": "resourceUri",
                "description": "URI of the resource to embed",
                "required": true,
            }],
        },
        { "name": "test_prompt_with_image", "description": "A prompt with an image." },
        {
            "name": "test_input_required_result_prompt",
            "description": "A prompt that asks the user first.",
        },
    ])
}

pub(crate) fn resources() -> Value {
    json!([
        {
            "uri": "test://static-text",
            "name": "static-text",
            "description": "A text that never changes.",
            "mimeType": "text/plain",
        },
        {
            "uri": "test://static-binary",
            "name": "static-binary",
            "description": "An image that never changes.",
            "mimeType": "image/png",
        },
        {
            "uri": "test://watched-resource",
            "name": "watched-resource",
            "description": "A text that can be subscribed to.",
            "mimeType": "text/plain",
        },
    ])
}

pub(crate) fn templates() -> Value {
    json!([{
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "description": "Data for any id.",
        "mimeType": "application/json",
    }])
}

/// What a resource contains, if there is one of that URI.
pub(crate) fn contents(uri: &str) -> Option<Value> {
    let contents = match uri {
        "test://static-text" => json!({
            "uri": uri,
            "mimeType": "text/plain",
            "text": "This is the content of the static text resource.",
        }),
        "test://static-binary" => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        "test://watched-resource" => json!({
            "uri": uri, "mimeType": "text/plain", "text": "Watched resource content.",
        }),
        other => {
            let id = other.strip_prefix("test://template/")?.strip_suffix("/data")?;
            let data =
                json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            json!({ "uri": uri, "mimeType": "application/json", "text": data.to_string() })
        }
    };
    Some(contents)
}

/// A prompt's messages, if there is one of that name that asks nothing.
pub(crate) fn messages(name: &str, arguments: &Value) -> Option<Value> {
    let argument = |name| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let contents = match name {
        "test_simple_prompt" => {
            vec![json!({ "type": "text", "text": "This is a simple prompt for testing." })]
        }
        "test_prompt_with_arguments" => {
            let text = format!(
                "Prompt with arguments: arg1='{}', arg2='{}'",
                argument("arg1"),
                argument("arg2")
            );
            vec![json!({ "type": "text", "text": text })]
        }
        "test_prompt_with_embedded_resource" => vec![
            json!({ "type": "resource", "resource": {
                "uri": argument("resourceUri"),
                "mimeType": "text/plain",
                "text": "Embedded resource content for testing.",
            }}),
            json!({ "type": "text", "text": "Please process the embedded resource above." }),
        ],
        "test_prompt_with_image" => vec![
            json!({ "type": "image", "data": PNG, "mimeType": "image/png" }),
            json!({ "type": "text", "text": "Please analyze the image above." }),
        ],
        _ => return None,
    };
    let messages = contents.into_iter().map(|it| json!({ "role": "user", "content": it }));
    Some(messages.collect())
}

/// A tool's content, if it always returns the same.
pub(crate) fn content(tool: &str) -> Option<Value> {
    let content = match tool {
        "test_simple_text" => {
            json!([{ "type": "text", "text": "This is a simple text response for testing." }])
        }
        "test_image_content" => json!([{ "type": "image", "data": PNG, "mimeType": "image/png" }]),
        "test_audio_content" => json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }]),
        "test_embedded_resource" => json!([{ "type": "resource", "resource": {
            "uri": "test://embedded-resource",
            "mimeType": "text/plain",
            "text": "This is an embedded resource content.",
        }}]),
        "test_multiple_content_types" => json!([
            { "type": "text", "text": "Multiple content types test:" },
            { "type": "image", "data": PNG, "mimeType": "image/png" },
            { "type": "resource", "resource": {
                "uri": "test://mixed-content-resource",
                "mimeType": "application/json",
                "text": r#"{"test":"data","value":123}"#,
            }},
        ]),
        "json_schema_2020_12_tool" | "test_custom_headers" => {
            json!([{ "type": "text", "text": "The arguments were accepted." }])
        }
        _ => return None,
    };
    Some(content)
}
