//! What reports in SARIF 2.1.0 have in common, which code hosts and editors show beside a file.

use std::path::Path;

use serde_json::{Value, json};
use url::Url;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// A report of one run: the rules that there are, what was found, and what could not be looked at.
pub(super) fn log_of(rules: Vec<Value>, results: Vec<Value>, failures: Vec<Value>) -> Value {
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "Stockade",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": "https://github.com/stockade/stockade",
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": failures.is_empty(),
                "toolExecutionNotifications": failures,
            }],
            "results": results,
        }],
    })
}

/// A path from here as a reference that is relative to here, and a whole one as a `file:` URL.
pub(super) fn uri(path: &Path) -> String {
    if path.is_absolute() {
        return Url::from_file_path(path).map_or_else(|()| String::new(), |it| it.to_string());
    }
    // What goes above this directory cannot be said relative to it: two dots would be taken away.
    let up = path.components().any(|it| it == std::path::Component::ParentDir);
    let here = std::path::absolute(path).ok().filter(|_| up);
    if let Some(whole) = here {
        return uri(&whole);
    }
    let Ok(mut url) = Url::parse("file:///") else { return String::new() };
    if let Ok(mut segments) = url.path_segments_mut() {
        let parts = path.components().filter(|it| *it != std::path::Component::CurDir);
        segments.clear().extend(parts.map(|it| it.as_os_str().to_string_lossy()));
    }
    url.path().trim_start_matches('/').to_owned()
}
