//! Open Cybersecurity Schema Framework, 1.4: what was judged is API Activity (6003), and what somebody
//! may want to look at Detection Finding (2004), both with the profile of a security control.
//!
//! The whole record is in `raw_data`, byte for byte, so that its hash can be made again.

use serde_json::{Map, Value, json};
use stockade_core::check::escaped;

use super::event::{Event, Severity};

/// What the events are written by.
const VERSION: &str = "1.4.0";

const API_ACTIVITY: u64 = 6003;
const DETECTION_FINDING: u64 = 2004;
const CREATE: u64 = 1;
const OTHER: u64 = 99;

/// A record.
pub fn line(event: &Event<'_>) -> String {
    let mut fields = Map::new();
    let is_finding = event.is_finding();
    let (category, class, class_name, activity, activity_name) = match is_finding {
        true => (2, DETECTION_FINDING, "Detection Finding", CREATE, "Create".to_owned()),
        false => (6, API_ACTIVITY, "API Activity", OTHER, event.kind()),
    };
    let (severity_id, severity) = match event.severity() {
        Severity::Information => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    };
    let time = stockade_store::time_ms(&event.record.at).unwrap_or_default();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            fields.insert(name.to_owned(), value);
        }
    };
    put("category_uid", json!(category));
    put("class_uid", json!(class));
    put("class_name", json!(class_name));
    put("activity_id", json!(activity));
    put("activity_name", json!(activity_name));
    put("type_uid", json!(class * 100 + activity));
    put("severity_id", json!(severity_id));
    put("severity", json!(severity));
    put("time", json!(time));
    put("metadata", metadata(event));
    put("message", json!(event.text("says").unwrap_or_else(|| event.title())));
    put("duration", json!(event.number("duration_ms")));
    put("count", json!(event.number("repeats")));
    put("raw_data", json!(event.record.json));
    put("unmapped", unmapped(event));
    let (action_id, action, disposition_id, disposition) = match () {
        () if event.is_denied() => (2, "Denied", 2, "Blocked"),
        () if event.is_allowed() => (1, "Allowed", 1, "Allowed"),
        () => (0, "Unknown", 0, "Unknown"),
    };
    put("action_id", json!(action_id));
    put("action", json!(action));
    put("disposition_id", json!(disposition_id));
    put("disposition", json!(disposition));
    let tool = event.text("tool").map(|it| json!([{ "type": "tool", "name": it }]));
    put("resources", json!(tool));
    if is_finding {
        put("is_alert", json!(event.severity() >= Severity::High));
        put("finding_info", finding(event, time));
        put(
            "evidences",
            json!([{
                "actor": actor(event), "api": api(event), "src_endpoint": endpoint(event)
            }]),
        );
        // In a finding it is how far it was looked at.
        put("status_id", json!(1));
        put("status", json!("New"));
    } else {
        put("actor", actor(event));
        put("api", api(event));
        put("src_endpoint", endpoint(event));
        let to = event.text("destination").or_else(|| event.text("address"));
        put("dst_endpoint", json!(to.map(|it| json!({ "name": it }))));
        let detail = event.text("status");
        let (status_id, status) = match detail.as_deref() {
            Some("ok") => (1, "Success"),
            Some(_) => (2, "Failure"),
            None => (0, "Unknown"),
        };
        put("status_id", json!(status_id));
        put("status", json!(status));
        put("status_detail", json!(detail));
    }
    escaped(&Value::Object(fields).to_string())
}

fn metadata(event: &Event<'_>) -> Value {
    let product = json!({
        "name": "Stockade", "vendor_name": "Stockade", "version": env!("CARGO_PKG_VERSION"),
    });
    let mut metadata = json!({
        "version": VERSION,
        "product": product,
        "profiles": ["security_control"],
        "log_name": event.record.segment,
        "sequence": event.record.seq,
        "original_time": event.record.at,
    });
    if let Some(fields) = metadata.as_object_mut() {
        fields.extend(event.text("hash").map(|it| ("uid".to_owned(), json!(it))));
        fields.extend(event.text("call").map(|it| ("correlation_uid".to_owned(), json!(it))));
    }
    metadata
}

fn actor(event: &Event<'_>) -> Value {
    let mut actor = Map::new();
    let user = event.text("principal").unwrap_or_else(|| "stockade".to_owned());
    actor.insert("user".to_owned(), json!({ "name": user }));
    actor.extend(event.text("client").map(|it| ("app_name".to_owned(), json!(it))));
    let session = event.text("session");
    actor.extend(session.map(|it| ("session".to_owned(), json!({ "uid": it }))));
    Value::Object(actor)
}

fn api(event: &Event<'_>) -> Value {
    let mut api = Map::new();
    let operation = event.text("method").unwrap_or_else(|| event.kind());
    api.insert("operation".to_owned(), json!(operation));
    let server = event.text("server");
    api.extend(server.map(|it| ("service".to_owned(), json!({ "name": it }))));
    let call = event.text("call");
    api.extend(call.map(|it| ("request".to_owned(), json!({ "uid": it }))));
    Value::Object(api)
}

fn endpoint(event: &Event<'_>) -> Value {
    match event.text("peer") {
        Some(peer) => json!({ "ip": peer }),
        None => json!({ "name": event.text("from").unwrap_or_else(|| "local".to_owned()) }),
    }
}

fn finding(event: &Event<'_>, time: u64) -> Value {
    let rules = event.rules();
    let rule = event.text("rule").or_else(|| rules.first().cloned());
    let mut info = json!({
        "title": event.title(),
        "uid": event.text("hash"),
        "created_time": time,
        "types": rules,
    });
    if let Some(fields) = info.as_object_mut() {
        let analytic =
            rule.map(|it| json!({ "name": it, "uid": it, "type_id": 1, "type": "Rule" }));
        fields.extend(analytic.map(|it| ("analytic".to_owned(), it)));
        let said = event.findings().filter_map(|it| it.get("says")?.as_str());
        let said: Vec<&str> = said.collect();
        if !said.is_empty() {
            fields.insert("desc".to_owned(), json!(said.join("; ")));
        }
    }
    info
}

/// What the schema has no place for.
fn unmapped(event: &Event<'_>) -> Value {
    let names = ["kind", "decision", "rule", "would", "approver", "channel", "difference", "trace"];
    let pairs = names.iter().filter_map(|it| Some(((*it).to_owned(), json!(event.text(it)?))));
    Value::Object(pairs.collect())
}
