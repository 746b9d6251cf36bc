// rule: name_from_caller
// attack: ["call_tool", {"name": "SECRET_TOKEN"}]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub struct CallToolRequest {
    pub arguments: HashMap<String, String>,
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("ROOT").unwrap()).canonicalize().unwrap()
}

pub fn call_tool(request: CallToolRequest) -> Result<String, String> {
    let name = request.arguments["name"].as_str();
    if !["LANG", "TZ"].contains(&name) {
        return Err("not shown".into());
    }
    std::env::var(name).map_err(|_| "not set".into())
}
